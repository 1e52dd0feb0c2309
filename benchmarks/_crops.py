"""What every pipeline of `benchmarks.loader` is asked for: the same samples in the same order, with the same crops and flips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The usual statistics of ImageNet's pixels, for the rivals' normalisation.
RGB_MEAN, RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Job:
    """One run's work.

    Attributes:
        paths: One a sample, in the order of every epoch; a file may stand there more than once, and has a draw each time.
        size: Side of the square that a crop is resized to.
        batch_size: Samples a batch.
        threads: Cores to use: threads of ours, worker processes of a `DataLoader`.
        seed: Of the crops.
        device: Where a batch is to be in the end.
    """

    paths: tuple[str, ...]
    size: int
    batch_size: int
    threads: int
    seed: int
    device: str

    def __len__(self) -> int:
        return len(self.paths)


def augmentation(size: int) -> list[Any]:
    """The spatial steps of all pipelines."""
    from dctload import transforms as T  # noqa: N812 - as users write it

    return [T.RandomResizedCrop(size), T.RandomHorizontalFlip()]


class Crops:
    """The rectangles and flips that `DCTLoader` draws, as numbers for others. Headers are read once, when it is made."""

    def __init__(self, job: Job) -> None:
        from dctload import Extractor
        from dctload.transforms import Compose

        names = sorted(set(job.paths))
        with Extractor().open(names) as opened:
            place = {name: number for number, name in enumerate(names)}
            self._headers = opened.headers[[place[path] for path in job.paths]]
        self._compose, self._seed = Compose(augmentation(job.size)), job.seed

    @property
    def sizes(self) -> NDArray[np.int64]:
        """`[N, 2]`: width and height of each sample's image."""
        return np.stack((self._headers.width, self._headers.height), axis=1)

    def epoch(self, number: int) -> NDArray[np.int64]:
        """`[N, 5]`: left, top, width, height in pixels, and 1 where the picture is mirrored."""
        box = self._compose.plan_batch(self._headers, self._seed, number).geometry.box
        low, high = box.min(axis=2), box.max(axis=2)
        mirrored = box[:, 1, 1] < box[:, 1, 0]
        columns = (low[:, 1], low[:, 0], high[:, 1] - low[:, 1], high[:, 0] - low[:, 0], mirrored)
        return np.stack([np.rint(column) for column in columns], axis=1).astype(np.int64)
