"""Whole pictures of a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dctload import _core
from dctload.ops.batch import DCTBatch
from dctload.ops.color import ycbcr_to_rgb
from dctload.ops.facts import Int
from dctload.ops.geometry import Geometry
from dctload.ops.resample import resample


def to_rgb(d: DCTBatch, *, backend: str = "auto", resampler: _core.Resampler | None = None) -> list[Tensor]:
    """RGB pictures, float32 `[3, H, W]` in 0..1 by image: what the records cover, at its own size, as coded (not turned).

    Chroma is brought to luma's grid by the one resampling operator. Against a decoder that rounds to 8 bits and doubles chroma
    with a filter of its own, the mean difference is about half a level of 255.

    Args:
        d: The coefficients; with fewer than all 64 frequencies the picture is that much softer.
        backend: As for `resample`.
        resampler: As for `resample`.

    Returns:
        Views of one tensor for images of equal size. An image without coefficients is `[3, 0, 0]`.

    Raises:
        ValueError: An image has 2 or 4 components.
    """
    regions = d.images.region
    pictures = [torch.zeros((3, 0, 0), device=d.device)] * len(d)
    sizes, group = np.unique(regions[:, 2:], axis=0, return_inverse=True)
    for number, size in enumerate(sizes.tolist()):
        images = np.flatnonzero((group.reshape(-1) == number) & ~d.images.failed)
        if not len(images):
            continue
        planes = resample(
            d, _native(regions[images], (size[0], size[1])), None, images=images, backend=backend, resampler=resampler
        )
        for i, picture in zip(images.tolist(), ycbcr_to_rgb(planes), strict=True):
            pictures[i] = picture
    return pictures


def _native(regions: Int, size: tuple[int, int]) -> Geometry:
    """Every pixel of the regions, `[N, 4]` of one size, for itself."""
    box = np.stack([regions[:, :2], regions[:, :2] + regions[:, 2:]], axis=2).astype(np.float64)
    return Geometry(box, box.copy(), np.zeros(len(regions), np.bool_), size)
