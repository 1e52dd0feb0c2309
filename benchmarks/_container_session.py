"""A process with one container of `benchmarks.containers`: it writes, reads and damages it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _container_rivals, _containers
from benchmarks._containers import Container, Place
from benchmarks._processes import together
from benchmarks._records import Bytes, Records
from benchmarks._worker import serve

BATCH = 64  # records read at a time into one buffer
MAKERS = {**_containers.MAKERS, **_container_rivals.MAKERS}


class Session:
    """The process's state: one container, open, and buffers for its batches."""

    def __init__(self) -> None:
        self._maker = ""
        self._container: Any = None
        self._records: Any = None
        self._folder = Path()
        self._outs: list[Bytes] = []

    def open(self, maker: str, records: str, folder: str, files: int) -> dict[str, str]:
        """Write the container once, and read all of it: whatever is not as it was raises. Answers with words about it."""
        self._maker, self._records, self._folder = maker, Records(Path(records)), Path(folder)
        largest = int(self._records.sizes.max()) * BATCH
        self._outs = [np.zeros(largest, np.uint8) for _ in range(2)]
        made = MAKERS[maker]()
        self.write(files)
        self.opening()
        wrong = sum(_outcome(self._container, self._records, self._outs[0], [i]) != "right" for i in range(len(self._records)))
        if wrong:
            raise ValueError(f"{wrong} of {len(self._records)} records are not as they were written")
        return {key: getattr(made, key) for key in ("label", "note", "stability", "remote")}

    def write(self, files: int) -> float:
        """All records into an empty folder: seconds until the library is done; the system writes to the disk later."""
        self._container = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        container: Container = MAKERS[self._maker]()
        begin = time.perf_counter()
        container.write(self._folder, self._records, files)
        return time.perf_counter() - begin

    def overhead(self) -> float:
        """Bytes on the disk beyond the records' own, a record; its target is among them."""
        nbytes = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return (nbytes - self._records.nbytes) / len(self._records)

    def opening(self) -> float:
        """Seconds from the path to the first record, in a process that has done it before."""
        made: Container = MAKERS[self._maker]()
        begin = time.perf_counter()
        made.open(self._folder)
        made.read([0], self._outs[0])
        seconds = time.perf_counter() - begin
        self._container = made
        return seconds

    def reads(self, indices: Sequence[int], threads: int) -> float:
        """Batches of random records, dealt to so many threads: seconds until the last is done."""
        batches = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]

        def work(member: int) -> None:
            for batch in batches[member::threads]:
                self._container.read(batch, self._outs[member])

        begin = time.perf_counter()
        together(threads, work)
        return time.perf_counter() - begin

    def places(self) -> list[Place] | None:
        """Where the records lie, as far as the container can tell."""
        places: list[Place] | None = self._container.places()
        return places

    def flip(self, number: int) -> str:
        """One bit flipped somewhere in the largest file, and all records read: `"caught"`, `"unseen"` or `"harmless"`."""
        path, rng = self._largest(), np.random.default_rng(number)
        whole = path.read_bytes()
        at = int(rng.integers(len(whole) // 8, len(whole) * 7 // 8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :])
        counts = self._survey()
        path.write_bytes(whole)
        return "caught" if counts["raises"] else "unseen" if counts["wrong"] else "harmless"

    def cut(self) -> dict[str, Any]:
        """The largest file cut to nine tenths: what becomes of the records."""
        path = self._largest()
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 9 // 10])
        counts = self._survey()
        saved = MAKERS[self._maker]().saved(self._folder)
        path.write_bytes(whole)
        return {**counts, "records": len(self._records), "saved": saved}

    def _survey(self) -> dict[str, int]:
        """How many records come right, come wrong without a word, or raise; all of them where it cannot even be opened."""
        counts = {"right": 0, "wrong": 0, "raises": 0, "opens": 1}
        container = MAKERS[self._maker]()
        try:
            container.open(self._folder)
        except Exception:
            return {**counts, "raises": len(self._records), "opens": 0}
        for i in range(len(self._records)):
            counts[_outcome(container, self._records, self._outs[0], [i])] += 1
        return counts

    def _largest(self) -> Path:
        return max((path for path in self._folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def _outcome(container: Container, records: Records, out: Bytes, indices: Sequence[int]) -> str:
    """What a read gives: `"right"`, `"wrong"` or `"raises"`."""
    expected = np.concatenate([records[i] for i in indices])
    try:
        count = container.read(indices, out)
    except Exception:
        return "raises"
    return "right" if count == len(expected) and np.array_equal(out[:count], expected) else "wrong"


if __name__ == "__main__":
    serve(Session())
