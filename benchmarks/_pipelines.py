"""Ours in `benchmarks.loader`: the loader, and its parts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from benchmarks import _crops
from benchmarks._crops import Job

CHANNELS = "24s"


class Pipeline(Protocol):
    """Something that yields an epoch's batches; `prepare` is called before each epoch, outside the timing.

    `output` says what a batch is: `"packed"`, `"24s"` or `"rgb"`."""

    label: str
    note: str
    output: str

    def prepare(self, number: int) -> None: ...

    def epoch(self, number: int) -> Iterator[Any]: ...


class _Ours:
    label, note, output = "", "", "packed"

    def __init__(self, job: Job) -> None:
        self.job = job

    def prepare(self, number: int) -> None:
        """Nothing: draws are part of what is timed."""

    def starts(self) -> range:
        return range(0, len(self.job), self.job.batch_size)


class Packed(_Ours):
    """Reading, headers, draws, Huffman decoding and packing, one batch after the other: what the loader's host stage does."""

    def __init__(self, job: Job) -> None:
        from dctload import ChannelSelection, Extractor
        from dctload.transforms import Compose

        super().__init__(job)
        self.label, self.note = f"packed batches, {CHANNELS}, crops", "entropy decoding alone, the crop's blocks and frequencies"
        self._extractor, self._compose = Extractor(job.threads), Compose(_crops.augmentation(job.size))
        self._selection = ChannelSelection.parse(CHANNELS)

    def epoch(self, number: int) -> Iterator[Any]:
        job, compose = self.job, self._compose
        for start in self.starts():
            paths = job.paths[start : start + job.batch_size]
            with self._extractor.open(paths) as opened:
                headers = opened.headers
                plan = compose.plan_batch(headers, job.seed, number, np.arange(start, start + len(paths)))
                boxes, masks = compose.needs(plan, headers, self._selection)
                yield opened.extract(masks, boxes, channels=self._selection)


class Whole(_Ours):
    """`Extractor.extract` of whole images: what `transform=None` is held against."""

    def __init__(self, job: Job) -> None:
        from dctload import Extractor

        super().__init__(job)
        self.label, self.note = f"Extractor.extract, {CHANNELS}, whole images", "decoding alone"
        self._extractor = Extractor(job.threads)

    def epoch(self, number: int) -> Iterator[Any]:
        for start in self.starts():
            yield self._extractor.extract(self.job.paths[start : start + self.job.batch_size], CHANNELS)


class Loader(_Ours):
    """`DCTLoader` with the usual augmentation."""

    def __init__(self, job: Job, output: str, workers: int | None) -> None:
        super().__init__(job)
        self.output = "rgb" if output == "rgb" else CHANNELS
        count = job.threads if workers is None else workers
        self.label = f"DCTLoader, {self.output}, num_workers={count}"
        self.note = "the whole path"
        self._loader = _loader(job, count, output=output, transform=[*_crops.augmentation(job.size), _normalize()])

    def epoch(self, number: int) -> Iterator[Any]:
        self._loader.set_epoch(number)
        for x, _ in self._loader:
            yield x


class Untransformed(_Ours):
    """`DCTLoader` without a transform: decoding, threads, targets and hand-over."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.label, self.note = f"DCTLoader, {CHANNELS}, transform=None", "whole images, as decoded"
        self._loader = _loader(job, job.threads, transform=None, transfer=CHANNELS)

    def epoch(self, number: int) -> Iterator[Any]:
        self._loader.set_epoch(number)
        for batch, _ in self._loader:
            yield batch


def _loader(job: Job, workers: int, **options: Any) -> Any:
    from dctload import DCTLoader

    source = [(path, 0) for path in job.paths]
    options = {"channels": CHANNELS, "device": job.device, "num_workers": workers, "seed": job.seed, **options}
    return DCTLoader(source, job.batch_size, **options)


def _normalize() -> Any:
    from dctload import transforms as T  # noqa: N812 - as users write it

    return T.Normalize("imagenet")


MAKERS: dict[str, Callable[..., Pipeline]] = {"packed": Packed, "whole": Whole, "loader": Loader, "untransformed": Untransformed}
