"""What a shard set is: its manifest in words and numbers, and what its channels cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload.channels import ChannelSelection
from dctload.inspection.costs import Float, channel_bytes
from dctload.inspection.images import colors_of
from dctload.packed import Extractor, PackedBatch, unpack_reference

if TYPE_CHECKING:
    from dctload.shards import ShardSet
    from dctload.shards.layout import Manifest


@dataclass(frozen=True, eq=False)
class SetFacts:
    """A shard set.

    Attributes:
        name: Path or URL.
        manifest: As it lies in the set.
        looked_at: Images, evenly spaced, that the following was measured over.
        widths: Smallest, median and largest, in pixels as coded.
        heights: Likewise.
        kinds: How many of them were of each kind, such as `"baseline ycbcr 4:2:0"`.
        nbytes: float64 `[3, 64]`: mean bytes an image of each frequency of Y, Cb and Cr (`channel_bytes`), over images in YCbCr
            and gray.
    """

    name: str
    manifest: Manifest
    looked_at: int
    widths: tuple[int, float, int]
    heights: tuple[int, float, int]
    kinds: dict[str, int]
    nbytes: Float

    @property
    def selection(self) -> ChannelSelection:
        """The frequencies that the set holds."""
        return ChannelSelection.parse(self.manifest.channels)

    def as_dict(self) -> dict[str, Any]:
        """The facts in plain types, for JSON; lists of 64 numbers are row-major."""
        manifest = self.manifest
        return {
            "name": self.name,
            "images": manifest.images,
            "failed": manifest.failed,
            "failures": [asdict(failure) for failure in manifest.failures],
            "channels": manifest.channels,
            "preset": self.selection.name,
            "quantization": manifest.quantization,
            "nbytes": manifest.nbytes,
            "source_bytes": manifest.source_bytes,
            "shards": len(manifest.shards),
            "classes": manifest.classes,
            "command": manifest.command,
            "versions": manifest.versions,
            "looked_at": self.looked_at,
            "width": dict(zip(("min", "median", "max"), self.widths, strict=True)),
            "height": dict(zip(("min", "median", "max"), self.heights, strict=True)),
            "kinds": self.kinds,
            "bytes": dict(zip(("Y", "Cb", "Cr"), self.nbytes.tolist(), strict=True)),
        }


def inspect_set(path: str | os.PathLike[str], *, images: int = 64) -> SetFacts:
    """The facts of a shard set.

    Args:
        path: Folder, or URL.
        images: How many, evenly spaced, are read for sizes, kinds and bytes a channel.

    Raises:
        JPEGError: A record is damaged; `.source` is its key.
        ValueError: It is no shard set, or not whole.
        ImportError: pyarrow is not installed.

    Example:
        >>> inspect_set("train.dct").manifest.channels  # doctest: +SKIP
        'y:0-6,8-14,16-21,24-29,32-37,40-45,48-53;cb:0-2,8-10,16,17,24,25;cr:0-2,8-10,16,17,24,25'
    """
    from dctload import shards

    if images < 1:
        raise ValueError(f"at least 1 image is looked at, not {images}")
    opened, extractor = shards.open(path), Extractor(1)
    count = min(images, len(opened))
    sizes, kinds, total, counted = [], Counter[str](), np.zeros((3, 64)), 0
    for i in (n * len(opened) // count for n in range(count)):
        record = marked_records(opened, [i], extractor)
        image = unpack_reference(record)[0]
        if image is None:
            raise record.error(0) or ValueError(f"{opened.keys[i]} holds no coefficients")
        header = image.header
        sizes.append((header.width, header.height))
        kinds[f"{header.process} {colors_of(header)}"] += 1
        if header.color_space in ("ycbcr", "gray"):
            counted += 1
            for k, cost in enumerate(channel_bytes(image)[:3]):
                total[k] += cost
    return SetFacts(
        name=os.fspath(path),
        manifest=opened.manifest,
        looked_at=count,
        widths=_spread([width for width, _ in sizes]),
        heights=_spread([height for _, height in sizes]),
        kinds=dict(kinds.most_common()),
        nbytes=total / max(counted, 1),
    )


def marked_records(opened: ShardSet, places: Sequence[int], extractor: Extractor) -> PackedBatch:
    """Records of a set as they are stored; those that are damaged are marked and raise nothing."""
    masks = np.broadcast_to(np.array(opened.channels.masks, np.uint64), (len(places), 3))
    with opened.open(places, extractor) as images:
        return images.extract(masks, on_error="mark", channels=opened.channels)


def _spread(values: list[int]) -> tuple[int, float, int]:
    return (min(values), float(np.median(values)), max(values)) if values else (0, 0.0, 0)
