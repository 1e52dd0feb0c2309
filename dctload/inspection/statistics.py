"""Statistics of a whole data set by frequency: what `T.Normalize` reads, energy, and bit cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload.inspection.costs import Float, channel_bytes
from dctload.inspection.sets import marked_records
from dctload.inspection.targets import target_file
from dctload.packed import Extractor, PackedBatch, unpack_reference

if TYPE_CHECKING:
    from dctload.transforms.statistics import ChannelStatistics

_BATCH = 16
_LONGEST = 65_528  # pixels: the multiple of 8 that the sides of a JPEG image end at
_IN_THREE_PARTS = ("ycbcr", "gray")  # colour spaces whose components are Y, Cb, Cr in the file


@dataclass(frozen=True, eq=False)
class SourceStatistics:
    """Numbers of the 192 channels, Y, Cb, Cr x 64, row-major, over a data set.

    Attributes:
        channels: Mean and spread of the coefficients of the pictures that the transform gives, pooled over all blocks.
        bits: float64 `[192]`: bits a coefficient of the files' own blocks in the packed format (`channel_bytes`); not a number
            for channels that no image has.
        left_out: (name, reason) of the samples that could not be used: files that cannot be decoded, records that are damaged.
        how: In words, what was measured.
    """

    channels: ChannelStatistics
    bits: Float
    left_out: list[tuple[str, str]]
    how: str

    @property
    def energy(self) -> Float:
        """float64 `[192]`: mean square, `mean^2 + std^2`, of the same coefficients as `channels`."""
        energy: Float = self.channels.mean**2 + self.channels.std**2
        return energy

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON file that `T.Normalize(path)` reads, with energy and bits beside mean and std.

        Raises:
            ValueError: No image was measured, or a channel never changes, so that nothing could be divided by its spread.
            OSError: The file cannot be written.
        """
        self.channels.save(target_file(path), self.how, more={"energy": self.energy, "bits": self.bits})

    def as_dict(self) -> dict[str, Any]:
        """The numbers in plain types, for JSON; None for a channel that no image has."""
        return {
            "how": self.how,
            "images": self.channels.images,
            "blocks": self.channels.count,
            "mean": self.channels.mean.tolist(),
            "std": self.channels.std.tolist(),
            "energy": self.energy.tolist(),
            "bits": [None if np.isnan(value) else value for value in self.bits.tolist()],
            "left_out": [{"key": key, "message": message} for key, message in self.left_out],
        }


def measure_source(
    src: Any,
    *,
    resize: int = 512,
    crop: int = 448,
    limit: int | None = None,
    workers: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> SourceStatistics:
    """Statistics of the pictures of a data set after `Resize(resize)` and `CenterCrop(crop)`.

    Sums are float64 and merged by the pairwise rule of Chan, Golub and LeVeque (1979): they do not lose digits however many
    images there are.

    Args:
        src: Whatever `dctload.sources.open_source` takes, or a shard set that holds all frequencies, opened or as a path.
        resize: Shorter side in pixels.
        crop: Side of the middle square, a multiple of 8.
        limit: Samples at most, evenly spaced over the source; None: all.
        workers: Threads that decode; 0: one a core.
        progress: Called as `progress(samples done, samples in all)`.

    Raises:
        ValueError: An argument is wrong, the source is empty, or a shard set lacks frequencies.
        FileNotFoundError: The source is absent.

    Example:
        >>> measure_source("imagenet/train", limit=5000).save("statistics.json")  # doctest: +SKIP
    """
    from dctload.ops import unpack
    from dctload.transforms import CenterCrop, Compose, Resize
    from dctload.transforms.statistics import ChannelStatistics

    if limit is not None and limit < 1:
        raise ValueError(f"limit is 1 or more, not {limit}")
    if crop % 8 or not 8 <= crop <= _LONGEST:
        raise ValueError(f"crop is the side of a square in multiples of 8 pixels, 8 to {_LONGEST:,}, not {crop}")
    if not 1 <= resize <= _LONGEST:
        raise ValueError(f"resize is the shorter side in pixels, 1 to {_LONGEST:,}, not {resize}")
    if workers < 0:
        raise ValueError(f"workers is 0 (one a core) or more, not {workers}")
    reader = _reader(src, workers)
    transform = Compose([Resize(resize), CenterCrop(crop)])
    count = min(reader.count, limit or reader.count)
    places = [n * reader.count // count for n in range(count)]
    statistics, left_out = ChannelStatistics(), []
    nbytes, values = np.zeros((3, 64)), np.zeros((3, 64))
    for first in range(0, count, _BATCH):
        part = places[first : first + _BATCH]
        packed = reader.read(part)
        kept = []
        for i, image in enumerate(unpack_reference(packed)):
            if image is None or len(image.planes) not in (1, 3):
                words = f"{len(image.planes)} components have no YCbCr by a linear map" if image is not None else packed.error(i)
                left_out.append((reader.name(part[i]), str(words).removeprefix(f"{reader.name(part[i])}: ")))
                continue
            kept.append(packed.image_bytes(i))
            if image.header.color_space in _IN_THREE_PARTS:
                for k, cost in enumerate(channel_bytes(image)):
                    nbytes[k] += cost
                    values[k] += image.planes[k][0].size
        if kept:
            statistics.update(transform(unpack(PackedBatch.join(kept)), channels="all"))
        if progress is not None:
            progress(first + len(part), count)
    with np.errstate(invalid="ignore", divide="ignore"):
        bits = (8 * nbytes / values).reshape(192)
    how = f"population mean and std over all blocks after Resize({resize}) and CenterCrop({crop}) of {statistics.images} files"
    return SourceStatistics(statistics, bits, left_out, how)


@dataclass(frozen=True, eq=False)
class _Reader:
    """Batches of all frequencies by sample numbers, from whatever holds them."""

    count: int
    read: Callable[[Sequence[int]], PackedBatch]
    name: Callable[[int], str]


def _reader(src: Any, workers: int) -> _Reader:
    from dctload import shards
    from dctload.shards.reader import is_set
    from dctload.sources import open_source

    if is_set(src):
        src = shards.open(src)
    if isinstance(src, shards.ShardSet):
        if len(src.channels) != 192:
            held = src.channels.name or str(src.channels)
            raise ValueError(f"statistics need all 192 channels, this shard set holds {held}; measure the files it was made from")
        stored, threads = src, Extractor(workers)
        return _Reader(len(stored), lambda places: marked_records(stored, places, threads), stored.name)
    source = open_source(src, unlabelled=True)
    if not len(source):
        raise ValueError(f"{source!r} holds no samples")
    extractor = Extractor(workers)

    def read(places: Sequence[int]) -> PackedBatch:
        return extractor.extract(source.fetch(places), "all", on_error="mark")

    return _Reader(len(source), read, source.name)
