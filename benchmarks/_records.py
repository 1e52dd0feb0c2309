"""Image records in one plain file, as the container benchmarks hand them to their processes: none of those needs dctload."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA, OFFSETS = "records.bin", "offsets.npy"
CLASSES = 1000  # of the targets that stand beside the records

Bytes = NDArray[np.uint8]


class Records:
    """Records that lie back to back in a mapped file; record i has the target `i % CLASSES`.

    Attributes:
        data: uint8 `[bytes]`, all records.
        offsets: int64 `[records + 1]`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = mapped(folder / DATA)
        self.offsets: NDArray[np.int64] = np.load(folder / OFFSETS)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Bytes:
        return self.data[self.offsets[i] : self.offsets[i + 1]]

    @property
    def nbytes(self) -> int:
        return int(self.offsets[-1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def targets(self) -> NDArray[np.int64]:
        return np.arange(len(self), dtype=np.int64) % CLASSES

    def column(self, start: int, stop: int) -> Any:
        """Some records as a column of an Arrow batch, large_binary."""
        import pyarrow as pa

        first, last = self.offsets[start], self.offsets[stop]
        buffers = [None, pa.py_buffer(self.offsets[start : stop + 1] - first), pa.py_buffer(self.data[first:last])]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), stop - start, buffers)

    def parts(self, count: int) -> list[range]:
        """The records dealt to so many files, in order."""
        edges = [round(len(self) * k / count) for k in range(count + 1)]
        return [range(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def mapped(path: Path) -> Bytes:
    """A file's bytes, in memory as far as they are read."""
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def write(folder: Path, records: Sequence[Any], count: int) -> Records:
    """`count` records in the folder: those that are given, in a random order, again and again."""
    rng, order = np.random.default_rng(0), list[int]()
    while len(order) < count:
        order += rng.permutation(len(records)).tolist()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / DATA).open("wb") as file:
        for i in order[:count]:
            file.write(records[i])
    np.save(folder / OFFSETS, np.cumsum([0, *(len(records[i]) for i in order[:count])], dtype=np.int64))
    return Records(folder)
