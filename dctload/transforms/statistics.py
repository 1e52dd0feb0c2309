"""Mean and standard deviation of each channel over a data set, which `Normalize` reads: pooled over all blocks of all images.

`dctload stats SRC --resize 512 --crop 448 -o FILE` (`dctload.inspection.measure_source`) measures a data set; what is here makes
and writes the numbers, for any transform.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.ops import unpack
from dctload.packed import Extractor, PackedBatch
from dctload.transforms.compose import Compose

if TYPE_CHECKING:
    import os

    from torch import Tensor

Float = NDArray[np.float64]

_PARTS = ("Y", "Cb", "Cr")
_CHANNELS = 192


class ChannelStatistics:
    """Running mean and spread of the 192 channels of coefficients, in float64: what is merged in any order gives the same.

    Attributes:
        images: How many were added.
        count: Blocks of each channel.
    """

    def __init__(self) -> None:
        self.images = 0
        self.count = 0
        self._mean: Float = np.zeros(_CHANNELS)
        self._m2: Float = np.zeros(_CHANNELS)  # sum of squared deviations from the mean

    def update(self, x: Tensor) -> None:
        """Adds pictures.

        Args:
            x: `[B, 192, rows, cols]`: Y, Cb, Cr x 64 dequantised coefficients, row-major, not normalised.

        Raises:
            ValueError: Another shape.
        """
        if x.ndim != 4 or x.shape[1] != _CHANNELS:
            raise ValueError(f"statistics are of all {_CHANNELS} channels, [B, {_CHANNELS}, rows, cols], not {list(x.shape)}")
        for image in x:
            values = image.flatten(1).double()
            mean = values.mean(dim=1, keepdim=True)
            spread = (values - mean).square_().sum(dim=1)
            self._add(1, values.shape[1], mean[:, 0].cpu().numpy(), spread.cpu().numpy())

    def merge(self, other: ChannelStatistics) -> None:
        """Adds what another one has seen."""
        self._add(other.images, other.count, other._mean, other._m2)

    @property
    def mean(self) -> Float:
        """`[192]`."""
        mean: Float = self._mean.copy()
        return mean

    @property
    def std(self) -> Float:
        """`[192]`, of the population: the sum of squares is divided by the count."""
        spread: Float = np.sqrt(self._m2 / max(self.count, 1))
        return spread

    def save(self, path: str | os.PathLike[str], how: str, *, more: Mapping[str, Sequence[float] | Float] | None = None) -> None:
        """Writes a JSON file that `Normalize` reads.

        Args:
            path: Of the file.
            how: In words, what the numbers are of.
            more: Other numbers `[192]` for readers of the file, by name; one that is not finite becomes null.

        Raises:
            ValueError: Nothing was added, or a channel never changes, so that nothing could be divided by its spread.
        """
        std = self.std
        if not self.count or (std <= 0).any():
            dead = "no image was added" if not self.count else f"channel {int(np.argmin(std))} is the same in every block"
            raise ValueError(f"no statistics to save: {dead}; take more images, or images in colour")
        own = {"mean": self._mean, "std": std}
        others = {name: np.asarray(values, np.float64) for name, values in (more or {}).items()}
        data = {
            "how": how,
            "files": self.images,
            "blocks_per_component": self.count,
            "order": "row-major: 8 * v + u, v vertical and u horizontal frequency",
            **{
                name: {part: _plain(values[64 * k : 64 * k + 64]) for k, part in enumerate(_PARTS)}
                for name, values in (own | others).items()
            },
        }
        Path(path).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    def _add(self, images: int, count: int, mean: Float, m2: Float) -> None:
        """Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979."""
        total = self.count + count
        if count == 0:
            return
        step = mean - self._mean
        self._mean = self._mean + step * (count / total)
        self._m2 = self._m2 + m2 + step * step * (self.count * count / total)
        self.images, self.count = self.images + images, total

    def __repr__(self) -> str:
        return f"ChannelStatistics({self.images} images, {self.count} blocks a channel)"


def _plain(values: Float) -> list[float | None]:
    """For JSON, which knows no infinity and no NaN."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def measure(
    files: Sequence[str | os.PathLike[str]],
    transform: Compose,
    *,
    batch_size: int = 16,
    num_threads: int = 0,
    advance: Callable[[int], None] = lambda files: None,
) -> tuple[ChannelStatistics, list[str]]:
    """Statistics of files after a transform without `Normalize`.

    Args:
        files: JPEG files.
        transform: What brings them to one size.
        batch_size: Files in memory at a time.
        num_threads: Of the decoder; 0: one a core.
        advance: Called with the number of files done.

    Returns:
        The statistics, and by file that was left out a line that says why.
    """
    statistics, left_out, extractor = ChannelStatistics(), [], Extractor(num_threads)
    for first in range(0, len(files), batch_size):
        part = list(files[first : first + batch_size])
        packed = extractor.extract(part, "all", on_error="mark")
        batch = unpack(packed)
        headers = batch.headers
        good = np.flatnonzero((headers.code == 0) & np.isin(headers.num_components, (1, 3)))
        for i in sorted(set(range(len(part))) - set(good.tolist())):
            reason = packed.error(i) or f"{headers.num_components[i]} components have no YCbCr by a linear map"
            left_out.append(f"{part[i]}: {reason}")
        if len(good):
            kept = batch if len(good) == len(part) else unpack(PackedBatch.join(packed.image_bytes(i) for i in good.tolist()))
            statistics.update(transform(kept, channels="all"))
        advance(len(part))
    return statistics, left_out
