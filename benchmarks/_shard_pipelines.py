"""Ways to whole packed batches in memory, for `benchmarks.shards`: stored ones, decoded ones, plain copies, other libraries'.

What runs in an environment of rivals needs no dctload: it is imported where it is used.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks._crops import Crops, Job
from benchmarks._processes import together
from benchmarks._records import Bytes, Records, mapped

CHUNK = 4  # slow pipelines read one sample in so many


@dataclass(frozen=True)
class ShardJob(Job):
    """A `Job` over stored images: sample i of a set is made of `paths[i]`.

    Attributes:
        sets: Folders of shard sets, by what they hold.
        containers: Folders of other containers, by key; all hold the records of the 24s set.
        records: Folder of those records (`_records`).
    """

    sets: Mapping[str, str]
    containers: Mapping[str, str]
    records: str

    def order(self, number: int) -> NDArray[np.int64]:
        """The samples of an epoch, shuffled."""
        return np.random.default_rng((self.seed, number)).permutation(len(self))


class Pipeline(Protocol):
    """Something that makes an epoch's batches in memory; `prepare` is called before each epoch, outside the timing."""

    label: str
    note: str

    def prepare(self, number: int) -> None: ...

    def epoch(self, number: int) -> Iterator[int]:
        """Yields the number of images and adds to `nbytes` what was put into the batch."""

    nbytes: int


class _Batches:
    label, note = "", ""

    def __init__(self, job: ShardJob) -> None:
        self.job, self.nbytes = job, 0
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def prepare(self, number: int) -> None:
        self._order = self.job.order(number)

    def batches(self) -> Iterator[NDArray[np.int64]]:
        for start in range(0, len(self._order), self.job.batch_size):
            yield self._order[start : start + self.job.batch_size]


class Stored(_Batches):
    """`ShardSet.read` into one ready buffer."""

    def __init__(self, job: ShardJob, stored: str, channels: str, checked: bool, crops: bool) -> None:
        from dctload import shards

        super().__init__(job)
        what = f"shards {stored}" + ("" if channels == stored else f" read as {channels}") + (", random crops" if crops else "")
        self.label = f"{what}, checksums computed" if checked else f"{what}, later epochs"
        self.note = "ShardSet.read" + (
            ", every record's CRC32C" if checked else ", records that were checked in an earlier epoch"
        )
        self._set, self._channels, self._checked = shards.open(job.sets[stored]), channels, checked
        self._out = np.zeros(_room(np.asarray(self._set.column("nbytes")), job.batch_size), np.uint8)
        self._crops = Crops(job) if crops else None
        self._boxes: NDArray[np.int64] = np.empty((0, 4), np.int64)

    def prepare(self, number: int) -> None:
        super().prepare(number)
        if self._crops is not None:
            left, top, width, height, _ = self._crops.epoch(number).T
            self._boxes = np.stack((top, left, height, width), axis=1)

    def epoch(self, number: int) -> Iterator[int]:
        if self._checked:
            self._set._checked[:] = 0  # as if the process had just begun; opened anew, its maps would be cold as well
        for indices in self.batches():
            boxes = None if self._crops is None else [tuple(box) for box in self._boxes[indices].tolist()]
            batch = self._set.read(indices, self._channels, boxes, self._out)
            self.nbytes += batch.nbytes
            yield len(batch)


class Loader(_Batches):
    """`DCTLoader` on a shard set without a transform: threads, targets and hand-over on top of reading."""

    def __init__(self, job: ShardJob, stored: str) -> None:
        from dctload import DCTLoader

        super().__init__(job)
        self.label, self.note = f"DCTLoader on shards {stored}", "transform=None: packed batches, shuffled, with targets"
        maker: Any = DCTLoader
        options = {"channels": stored, "transfer": stored, "num_workers": job.threads, "seed": job.seed, "device": job.device}
        self._loader = maker(job.sets[stored], job.batch_size, shuffle=True, transform=None, **options)

    def epoch(self, number: int) -> Iterator[int]:
        self._loader.set_epoch(number)
        for _, targets in self._loader:
            yield len(targets)


class Decoded(_Batches):
    """The same batches from the JPEG files, by the same threads."""

    def __init__(self, job: ShardJob, channels: str) -> None:
        from dctload import Extractor

        super().__init__(job)
        self.label, self.note = f"JPEG files decoded to {channels}", "Extractor.extract, page cache warm"
        self._extractor, self._channels = Extractor(job.threads), channels

    def prepare(self, number: int) -> None:
        self._order = self.job.order(number)[::CHUNK]

    def epoch(self, number: int) -> Iterator[int]:
        for indices in self.batches():
            batch = self._extractor.extract([self.job.paths[i] for i in indices], self._channels)
            self.nbytes += batch.nbytes
            yield len(batch)


class Copied(_Batches):
    """A plain copy of as many bytes, out of the same mapped files into the same buffer: the bar that no reader can pass.

    Each thread copies its share of every batch on its own, without waiting for the others."""

    def __init__(self, job: ShardJob, stored: str, random: bool) -> None:
        from dctload import shards

        super().__init__(job)
        opened = shards.open(job.sets[stored])
        self.label = f"memcpy of the same bytes, {stored}" + (", record by record" if random else "")
        self.note = "numpy, a slice a record, same order" if random else "numpy, files from end to end, a slice a thread"
        self._random = random
        self._size = np.asarray(opened.column("nbytes")).astype(np.int64)
        self._offset, self._shard = np.asarray(opened.column("offset")), np.asarray(opened.shards)
        self._maps = [mapped(path) for path in sorted(Path(job.sets[stored]).glob("shard-*.arrow"))]
        self._out = np.zeros(_room(self._size, job.batch_size), np.uint8)
        if len(self._out) > max(map(len, self._maps)):  # `_copy_ends` would look for room in vain
            raise ValueError(f"{job.batch_size} records may be larger than a shard")

    def epoch(self, number: int) -> Iterator[int]:
        together(self.job.threads, self._work)
        self.nbytes += int(self._size.sum())
        yield len(self._order)

    def _work(self, member: int) -> None:
        batches = list(self.batches())
        sizes = [int(self._size[batch].sum()) for batch in batches]
        if self._random:
            self._copy_records(batches, member)
        else:
            self._copy_ends(sizes, member)

    def _copy_ends(self, sizes: Sequence[int], member: int) -> None:
        """This thread's part of every batch, from consecutive bytes of the files."""
        out, maps, count, which, at = self._out, self._maps, self.job.threads, 0, 0
        for size in sizes:
            share = size // count
            while at + size > len(maps[which]):
                which, at = (which + 1) % len(maps), 0
            first = member * share
            out[first : first + share] = maps[which][at + first : at + first + share]
            at += size

    def _copy_records(self, batches: Sequence[NDArray[np.int64]], member: int) -> None:
        out, maps, half = self._out, self._maps, len(self._out) // self.job.threads
        for batch in batches:
            mine = batch[member :: self.job.threads]
            at, facts = member * half, (self._shard[mine].tolist(), self._offset[mine].tolist(), self._size[mine].tolist())
            for number, offset, size in zip(*facts, strict=True):
                out[at : at + size] = maps[number][offset : offset + size]
                at += size


class Library(_Batches):
    """Another container with the same records: its own reads, copied into a ready buffer by as many threads."""

    def __init__(self, job: ShardJob, key: str) -> None:
        from benchmarks._container_session import MAKERS

        super().__init__(job)
        self._container = MAKERS[key]()
        self.label, self.note = self._container.label, self._container.note
        folder = Path(job.containers[key])
        records = Records(Path(job.records))
        if not folder.exists():
            folder.mkdir(parents=True)
            self._container.write(folder, records, 4)
        self._container.open(folder)
        self._sizes = records.sizes
        self._outs = [np.zeros(_room(self._sizes, job.batch_size), np.uint8) for _ in range(job.threads)]

    def prepare(self, number: int) -> None:
        self._order = self.job.order(number)[::CHUNK]

    def epoch(self, number: int) -> Iterator[int]:
        batches = list(self.batches())

        def work(member: int) -> None:
            for batch in batches[member :: self.job.threads]:
                self._container.read(batch.tolist(), self._outs[member])

        together(self.job.threads, work)
        self.nbytes += int(self._sizes[self._order].sum())
        yield len(self._order)


class WebDataset(_Batches):
    """webdataset's own pipeline: tars in sequence through a shuffle buffer, copied into a ready buffer."""

    def __init__(self, job: ShardJob, key: str) -> None:
        import webdataset

        made = Library(job, key)  # writes the tars
        super().__init__(job)
        self.label = f"webdataset {importlib.metadata.version('webdataset')}"
        self.note = "one process, in sequence, shuffle buffer of 1,000"
        tars = [str(path) for path in sorted(Path(job.containers[key]).glob("*.tar"))]
        self._pipeline: Any = webdataset.WebDataset(tars, shardshuffle=False).shuffle(1000)
        self._out: Bytes = made._outs[0]

    def epoch(self, number: int) -> Iterator[int]:
        at = held = 0
        for sample in self._pipeline:
            data = np.frombuffer(sample["record"], np.uint8)
            self._out[at : at + len(data)] = data
            at, held = at + len(data), held + 1
            if held == self.job.batch_size:
                self.nbytes += at
                yield held
                at = held = 0
        self.nbytes += at
        yield held


class Pillow(_Batches):
    """The `ImageFolder` loader of `benchmarks.loader`: what most people train with."""

    def __init__(self, job: ShardJob) -> None:
        from benchmarks import _loader_rivals

        super().__init__(job)
        own = {key: getattr(job, key) for key in Job.__dataclass_fields__}
        self._pipeline = _loader_rivals.MAKERS["pillow"](replace(Job(**own), paths=job.paths[:: 2 * CHUNK]))
        self.label = f"{self._pipeline.label}, ImageFolder"
        self.note = f"finished pictures of {job.size} x {job.size}: " + self._pipeline.note

    def prepare(self, number: int) -> None:
        self._pipeline.prepare(number)

    def epoch(self, number: int) -> Iterator[int]:
        for x in self._pipeline.epoch(number):
            self.nbytes += x.numel() * x.element_size()
            yield len(x)


def _room(sizes: NDArray[Any], batch: int) -> int:
    """Bytes that any batch of records fits in, its directory included."""
    return int(np.sort(sizes)[-batch:].sum()) + 64 * batch + 4096


MAKERS: dict[str, Callable[..., Pipeline]] = {
    "stored": Stored,
    "loader": Loader,
    "decoded": Decoded,
    "copied": Copied,
    "library": Library,
    "webdataset": WebDataset,
    "pillow": Pillow,
}
