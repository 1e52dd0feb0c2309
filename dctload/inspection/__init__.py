"""Looking at images and data sets: what headers say, what each frequency holds and costs, and pictures of it.

`inspect` looks at a JPEG file or a shard set, `measure_source` at all images of a data set; `plot_image`, `plot_set` and
`plot_statistics` draw what they found. Facts need NumPy alone; pictures need matplotlib, and torch for the image itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dctload.inspection.costs import channel_bytes
from dctload.inspection.images import ComponentFacts, ImageFacts, inspect_image, inspect_record
from dctload.inspection.plots import plot_image, plot_set, plot_statistics
from dctload.inspection.quality import Quality, estimated_quality
from dctload.inspection.sets import SetFacts, inspect_set, marked_records
from dctload.inspection.statistics import SourceStatistics, measure_source
from dctload.packed import Extractor
from dctload.sources.urls import is_url

if TYPE_CHECKING:
    from dctload.shards import ShardSet

__all__ = [
    "ComponentFacts",
    "ImageFacts",
    "Quality",
    "SetFacts",
    "SourceStatistics",
    "channel_bytes",
    "estimated_quality",
    "inspect",
    "inspect_image",
    "inspect_record",
    "inspect_set",
    "measure_source",
    "plot_image",
    "plot_set",
    "plot_statistics",
]


def inspect(path: str | os.PathLike[str], *, image: int | str | None = None) -> ImageFacts | SetFacts:
    """The facts of a JPEG file, of a shard set, or of one image of a set.

    Args:
        path: A file, or the folder or URL of a set.
        image: Of a set: number or key of the image; a text is a number where no key is the same. None: the set as a whole.

    Raises:
        JPEGError: The image, or one of those that the facts of a set come from, cannot be decoded.
        OSError: There is no such file.
        ValueError: `path` is no shard set, or `image` does not go with it.
    """
    name = os.fspath(path)
    if not is_url(name) and not Path(name).is_dir():
        if not Path(name).exists():
            raise FileNotFoundError(f"{name} does not exist; give a JPEG file, or the folder of a shard set")
        if image is not None:
            raise ValueError(f"{name} is a file; an image is chosen out of a shard set only")
        return inspect_image(path)
    if image is None:
        return inspect_set(path)
    from dctload import shards

    opened = shards.open(path)
    place = _place(opened, image, name)
    return inspect_record(marked_records(opened, [place], Extractor(1)), f"{name}: {opened.keys[place]}")


def _place(opened: ShardSet, image: int | str, name: str) -> int:
    keys = opened.keys
    if not len(keys):
        raise ValueError(f"{name} holds no image")
    if isinstance(image, str):
        for place, key in enumerate(keys):
            if key == image:  # also where it looks like a number, as the keys of WebDataset tars do
                return place
        if not image.removeprefix("-").isdecimal():
            raise ValueError(f"{name} has no image with the key {image!r}; keys are like {keys[0]!r}")
    place = int(image)
    if not 0 <= place < len(keys):
        raise ValueError(f"{name} has the images 0 to {len(keys) - 1}, not {place}")
    return place
