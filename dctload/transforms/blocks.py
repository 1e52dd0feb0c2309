"""Between whole blocks and pixels, and what is done on the pixels in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.ops.operators import DCT
from dctload.transforms.base import Transform, low_and_high, probability

if TYPE_CHECKING:
    from torch import Tensor

    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture

Float = NDArray[np.float64]


class RandomAdjustSharpness(Transform):
    """torchvision's sharpness: blended with a 3 x 3 smoothing, the border pixels left alone.

    Works on whole blocks: all 64 frequencies are computed before the model's are picked.

    Args:
        sharpness_factor: 0 smooths, 1 changes nothing, 2 sharpens: one number, or (low, high) with one draw a sample.
        p: Probability.
    """

    needs_whole_blocks = True

    def __init__(self, sharpness_factor: float | Sequence[float], p: float = 0.5) -> None:
        pair = (sharpness_factor,) * 2 if isinstance(sharpness_factor, (int, float)) else sharpness_factor
        checked = low_and_high(pair, "sharpness_factor", centre=1.0)
        self.sharpness_factor, self.p = checked or (1.0, 1.0), probability(p)

    def apply(self, picture: Picture, draws: Draws) -> None:
        factor = np.where(draws.child(0).happens(self.p), draws.child(1).between(*self.sharpness_factor), 1.0)
        sharpen(picture, factor)


def sharpen(picture: Picture, factor: Float) -> None:
    """`factor * x + (1 - factor) * smooth(x)` on each plane, `factor` `[B]`; samples of factor 1 are not touched.

    Raises:
        ValueError: The picture is normalised, or holds parts of blocks.
    """
    import torch
    from torch.nn.functional import conv2d

    chosen = np.flatnonzero(factor != 1)
    if not len(chosen):
        return
    if picture.is_normalized:
        raise ValueError("sharpness is changed before Normalize; move the step to the front")
    x, places = picture.tensor, picture.device_array(chosen, torch.int64)
    planes = planes_of(picture, x[places])
    kernel = torch.ones(1, 1, 3, 3, device=x.device, dtype=x.dtype)
    kernel[..., 1, 1] = 5
    if min(planes.shape[2:]) > 2:
        weight = 1 - picture.device_array(factor[chosen])[:, None, None, None]
        smooth = conv2d(planes.flatten(0, 1)[:, None], kernel / 13).view(*planes.shape[:2], *(n - 2 for n in planes.shape[2:]))
        inner = planes[:, :, 1:-1, 1:-1]
        inner.lerp_(smooth, weight)
    x[places] = planes if picture.is_pixels else blocks_of_pixels(planes)


def planes_of(picture: Picture, x: Tensor) -> Tensor:
    """`[B, 3, H, W]`, a tensor of its own: pixels of samples `x` of the picture, from whole blocks or as they are."""
    if picture.is_pixels:
        return x
    if len(picture.components) != 192:
        raise ValueError(f"whole blocks are needed, all 64 frequencies; these are {len(picture.components)} channels of 192")
    return pixels_of_blocks(x)


def pixels_of_blocks(x: Tensor) -> Tensor:
    """`[B, 192, rows, cols]` -> `[B, 3, 8 rows, 8 cols]`, by the inverse DCT (T.81, A.3.3), without level shift."""
    import torch

    d = torch.tensor(DCT, dtype=x.dtype, device=x.device)
    b, _, rows, cols = x.shape
    planes = torch.einsum("vy,bcvurs,uz->bcrysz", d, x.reshape(b, 3, 8, 8, rows, cols), d)
    return planes.reshape(b, 3, 8 * rows, 8 * cols)


def blocks_of_pixels(planes: Tensor) -> Tensor:
    """The way back: `[B, 3, 8 rows, 8 cols]` -> `[B, 192, rows, cols]`."""
    import torch

    d = torch.tensor(DCT, dtype=planes.dtype, device=planes.device)
    b, _, height, width = planes.shape
    blocks = planes.reshape(b, 3, height // 8, 8, width // 8, 8)
    return torch.einsum("vy,bcrysz,uz->bcvurs", d, blocks, d).reshape(b, 192, height // 8, width // 8)
