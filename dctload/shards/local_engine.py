"""The machine at hand: shards made by threads of this process. Also what every engine is given and tells."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dctload._arguments import thread_count
from dctload.shards.recording import Recorder
from dctload.shards.writer import Stopped, write_shard

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload.shards.plan import Plan
    from dctload.sources import Source

    # Called with images done, images in all, bytes read and bytes written.
    Progress: TypeAlias = Callable[[int, int, int, int], object]


@dataclass(frozen=True, eq=False)
class Job:
    """What there is to do, for whatever engine does it.

    Attributes:
        source: Opened.
        given: What the user called it.
        folder: Of the set.
        plan: Of the set.
        shards: Numbers of the shards to make.
        workers: Threads in all; 0: as the engine sees fit.
        on_error: `"raise"` or `"skip"`.
    """

    source: Source
    given: Any
    folder: Path
    plan: Plan
    shards: Sequence[int]
    workers: int
    on_error: str


class Tally:
    """Counts what was done and tells it to the user's function; used from one thread."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = self._read = self._written = 0

    def add(self, images: int, source_bytes: int, nbytes: int) -> None:
        """So many more."""
        self._done, self._read, self._written = self._done + images, self._read + source_bytes, self._written + nbytes
        if self._progress is not None:
            self._progress(self._done, self._total, self._read, self._written)


def run_here(job: Job, tally: Tally) -> None:
    """Makes the shards, some at a time, each by a thread of its own that may have helpers for decoding."""
    workers = thread_count(job.workers)
    at_a_time = min(workers, len(job.shards))
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in job.shards:
        numbers.put(number)
    events: queue.SimpleQueue[tuple[int, int, int] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work(threads: int) -> None:
        try:
            recorder = Recorder(job.source, job.plan, threads)
            while not stop.is_set():
                number = numbers.get_nowait()
                write_shard(
                    job.folder,
                    job.plan,
                    number,
                    recorder,
                    on_error=job.on_error,
                    is_stopped=stop.is_set,
                    progress=lambda rows: events.put(rows.counts),
                )
        except (queue.Empty, Stopped):
            pass
        except BaseException as error:
            events.put(error)
        finally:
            events.put(None)

    shares = [workers // at_a_time + (k < workers % at_a_time) for k in range(at_a_time)]
    team = [threading.Thread(target=work, args=(share,), name=f"dctload-shard-{k}") for k, share in enumerate(shares)]
    failure: BaseException | None = None
    try:
        for thread in team:
            thread.start()
        running = len(team)
        while running:
            event = events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                failure = failure or event
                stop.set()
            else:
                tally.add(*event)
    finally:
        stop.set()  # Ctrl-C, or the user's own function raised
        for thread in team:
            if thread.ident is not None:  # the system may have refused to start more of them
                thread.join()
    if failure is not None:
        raise failure


def make_shard(source: Source, folder: Path, plan: Plan, number: int, on_error: str) -> tuple[int, int, int]:
    """One shard, by one thread, for engines whose workers do one at a time; its samples, bytes read and bytes written."""
    seen: list[tuple[int, int, int]] = []
    recorder = Recorder(source, plan, 1)
    write_shard(folder, plan, number, recorder, on_error=on_error, progress=lambda rows: seen.append(rows.counts))
    images, source_bytes, nbytes = (sum(column) for column in zip(*seen, strict=True))
    return images, source_bytes, nbytes
