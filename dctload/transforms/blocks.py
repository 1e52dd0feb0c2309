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

# Of a block's frequencies along an axis: a third of each of its pixels and of those beside it, as frequencies again, and below
# them a third of its last pixel and of its first.
_THIRDS: Float = np.concatenate((DCT @ (np.eye(8) + np.eye(8, k=1) + np.eye(8, k=-1)) @ DCT.T, DCT.T[[7, 0]])) / 3


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

    `smooth` is a mean over 3 x 3 pixels of which the middle one counts five times, `(9 * box + 4 * x) / 13`; border pixels stay.

    Raises:
        ValueError: The picture is normalised, or holds parts of blocks.
    """
    import torch

    chosen = np.flatnonzero(factor != 1)
    if not len(chosen):
        return
    if picture.is_normalized:
        raise ValueError("sharpness is changed before Normalize; move the step to the front")
    if not picture.is_pixels and len(picture.components) != 192:
        raise ValueError(f"whole blocks are needed, all 64 frequencies; these are {len(picture.components)} channels of 192")
    x, change = picture.tensor, _box_change_of_pixels if picture.is_pixels else _box_change_of_blocks
    weight = (1 - factor[chosen]) * 9 / 13
    if x.device.type == "cpu":  # image by image, so that one and what is made of it stay in the cache
        for i, share in zip(chosen.tolist(), weight.tolist(), strict=True):
            x[i : i + 1].add_(change(x[i : i + 1]), alpha=share)
        return
    places = picture.device_array(chosen, torch.int64)
    x.index_add_(0, places, change(x.index_select(0, places)).mul_(picture.device_array(weight)[:, None, None, None]))


def _box_change_of_pixels(x: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels less the pixel, of planes `[N, 3, H, W]`; 0 on the border."""
    import torch

    if min(x.shape[2:]) < 3:
        return torch.zeros_like(x)
    rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    mean = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
    return torch.nn.functional.pad(mean - x[:, :, 1:-1, 1:-1], (1, 1, 1, 1))


def _box_change_of_blocks(x: Tensor) -> Tensor:
    """The same of coefficients, `[N, 192, rows, cols]`, without pixels in between."""
    blocks = x.reshape(-1, 8, 8, *x.shape[2:])
    change = _mean_of_three(_mean_of_three(blocks, 1), 0) - blocks
    for axis in range(2):
        for pixel, block in ((0, 0), (7, -1)):  # the border stays: its pixels are taken out of the outermost blocks
            outer = change.select(3 + axis, block).movedim(1 + axis, 1)
            basis = _like(DCT[:, pixel], x)[:, None, None]
            outer.sub_(basis * (basis * outer).sum(dim=1, keepdim=True))
    return change.view(x.shape)


def _mean_of_three(blocks: Tensor, axis: int) -> Tensor:
    """Each pixel's mean with its two neighbours along an axis, those beyond the picture taken as 0, between block DCTs.

    A block of it is a fixed 8 x 8 matrix times that block, and what the pixel next to it in either neighbour gives.

    Args:
        blocks: `[N, 8, 8, rows, cols]`: vertical and horizontal frequencies.
        axis: 0 down, 1 across.
    """
    x = blocks.reshape(len(blocks) * 8**axis, 8, -1)
    y = (_like(_THIRDS, x) @ x).view(len(x), 10, -1, *blocks.shape[3:])
    mean, last, first = y[:, :8], y[:, 8:9], y[:, 9:]
    basis, where, count = _like(DCT, x)[:, :, None, None, None], 3 + axis, blocks.shape[3 + axis] - 1
    mean.narrow(where, 1, count).addcmul_(last.narrow(where, 0, count), basis[:, 0])
    mean.narrow(where, 0, count).addcmul_(first.narrow(where, 1, count), basis[:, 7])
    return mean.reshape(blocks.shape)


def pixels_of_blocks(x: Tensor) -> Tensor:
    """`[B, 192, rows, cols]` -> `[B, 3, 8 rows, 8 cols]`, by the inverse DCT (T.81, A.3.3), without level shift."""
    import torch

    d = _like(DCT, x)
    b, _, rows, cols = x.shape
    planes = torch.einsum("vy,bcvurs,uz->bcrysz", d, x.reshape(b, 3, 8, 8, rows, cols), d)
    return planes.reshape(b, 3, 8 * rows, 8 * cols)


def blocks_of_pixels(planes: Tensor) -> Tensor:
    """The way back: `[B, 3, 8 rows, 8 cols]` -> `[B, 192, rows, cols]`."""
    import torch

    d = _like(DCT, planes)
    b, _, height, width = planes.shape
    blocks = planes.reshape(b, 3, height // 8, 8, width // 8, 8)
    return torch.einsum("vy,bcrysz,uz->bcvurs", d, blocks, d).reshape(b, 192, height // 8, width // 8)


def _like(values: Float, x: Tensor) -> Tensor:
    import torch

    return torch.tensor(values, dtype=x.dtype, device=x.device)
