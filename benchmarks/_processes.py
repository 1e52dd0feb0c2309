"""What a process and its children use of the machine: cores, threads, CPU time and memory.

A loader's workers count as the loader's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_INTERVAL = 0.02  # seconds between two looks at the memory


def keep_to(cores: int) -> None:
    """This process and its children run on so many cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def together(threads: int, work: Callable[[int], None]) -> None:
    """Call `work` with 0 here and with each further number in a thread of its own, until all are done.

    Raises:
        RuntimeError: One of them raised; the text is the first error's."""
    errors: list[Exception] = []

    def member(number: int) -> None:
        try:
            work(number)
        except Exception as error:
            errors.append(error)

    others = [threading.Thread(target=member, args=(number,)) for number in range(1, threads)]
    for thread in others:
        thread.start()
    member(0)
    for thread in others:
        thread.join()
    if errors:
        raise RuntimeError(f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]


def tree(root: int) -> list[int]:
    """Process numbers of `root` and all that descend from it, as far as they live; `root` alone where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_seconds(root: int) -> float:
    """CPU seconds that the tree has used so far; those of children that have ended are in their parents' figures."""
    if not Path("/proc/self/stat").exists():
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    ticks = os.sysconf("SC_CLK_TCK")
    used = [_stat(pid) for pid in tree(root)]
    return sum(sum(map(int, fields[11:15])) for fields in used if fields) / ticks


def memory(root: int) -> int | None:
    """Bytes of anonymous and shared memory of the tree, each page once; None where the system does not tell.

    Pages of libraries' files are left out: which process pays for them depends on who else has them mapped."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has just ended
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))) * 1024
    return total or None


class PeakMemory:
    """The highest `memory` of a tree inside a `with` block, looked at every 20 ms by a thread."""

    def __init__(self, root: int) -> None:
        self.highest: int | None = None
        self._root, self._done = root, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_INTERVAL):
            now = memory(self._root)
            if now is not None:
                self.highest = max(now, self.highest or 0)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ...; empty where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
