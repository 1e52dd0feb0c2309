"""Steps that take away or blur information: erasing, dropout, noise, requantising, sharpening."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform, low_and_high, probability

if TYPE_CHECKING:
    from torch import Tensor

    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture
    from dctload.transforms.view import View

Float = NDArray[np.float64]

# ITU-T T.81, Tables K.1 and K.2, row-major.
# fmt: off
_LUMA = np.array([
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
])
# fmt: on
_CHROMA = np.array([17, 18, 24, 47] + [99] * 4 + [18, 21, 26, 66] + [99] * 4 + [24, 26, 56] + [99] * 5 + [47, 66] + [99] * 38)


class RandomErasing(Transform):
    """A rectangle set to one value (Zhong et al., 2017), snapped to whole blocks.

    Args:
        p: Probability.
        scale: Share of the picture's area, low and high.
        ratio: Height / width, low and high.
        value: What the rectangle holds: behind Normalize, every channel of it (0 is the mean); before it, the gray level 0..255.
    """

    _TRIES = 10

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), value: float = 0.0
    ) -> None:
        self.p = probability(p)
        self.scale, self.ratio = (float(scale[0]), float(scale[1])), (float(ratio[0]), float(ratio[1]))
        if not (0 <= self.scale[0] <= self.scale[1] <= 1 and 0 < self.ratio[0] <= self.ratio[1]):
            raise ValueError(f"scale is (low, high) within 0..1 and ratio (low, high) above 0, not {scale!r} and {ratio!r}")
        self.value = float(value)

    def apply(self, picture: Picture, draws: Draws) -> None:
        import torch

        x = picture.tensor
        rows, cols = x.shape[2:]
        step = 8 if picture.is_pixels else 1
        boxes = self._boxes(draws, -(-rows // step), -(-cols // step)) * step
        y, z = torch.arange(rows, device=x.device)[:, None], torch.arange(cols, device=x.device)[None, :]
        top, bottom, left, right = picture.device_array(boxes, torch.int64).T[:, :, None, None]
        inside = (y >= top) & (y < bottom) & (z >= left) & (z < right)
        values = np.full(len(picture.components), self.value)
        if not picture.is_normalized:  # Y, Cb, Cr of a gray level
            unit = 1.0 if picture.is_pixels else 8.0
            values = np.where((picture.components == 0) & (picture.frequencies == 0), unit * (self.value - 128), 0.0)
        picture.tensor = torch.where(inside[:, None], picture.device_array(values)[:, None, None], x)

    def _boxes(self, draws: Draws, rows: int, cols: int) -> NDArray[np.int64]:
        drawn = draws.child(1).uniform(2 * self._TRIES + 2)
        area = rows * cols * (self.scale[0] + (self.scale[1] - self.scale[0]) * drawn[:, : self._TRIES])
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = np.exp(low + (high - low) * drawn[:, self._TRIES : 2 * self._TRIES])
        h, w = np.rint(np.sqrt(area * ratio)).astype(np.int64), np.rint(np.sqrt(area / ratio)).astype(np.int64)
        fits = (h > 0) & (w > 0) & (h < rows) & (w < cols)
        first, every = np.argmax(fits, axis=1), np.arange(len(drawn))
        done = fits.any(axis=1) & draws.child(0).happens(self.p)
        h, w = np.where(done, h[every, first], 0), np.where(done, w[every, first], 0)
        top = (drawn[:, -2] * (rows - h + 1)).astype(np.int64)
        left = (drawn[:, -1] * (cols - w + 1)).astype(np.int64)
        return np.stack((top, top + h, left, left + w), axis=1)


class FrequencyDropout(Transform):
    """Whole channels set to 0, each with the probability `p`; behind Normalize 0 is the mean. Coefficients only.

    Args:
        p: Probability a channel.
        keep_dc: Leave the DC channels alone.
        rescale: Divide what stays by `1 - p`, as dropout does.
    """

    def __init__(self, p: float = 0.1, keep_dc: bool = True, rescale: bool = False) -> None:
        self.p, self.keep_dc, self.rescale = probability(p), keep_dc, rescale
        if rescale and p == 1.0:
            raise ValueError("p is less than 1 where the rest is rescaled")

    def apply(self, picture: Picture, draws: Draws) -> None:
        if picture.is_pixels:
            raise ValueError('FrequencyDropout takes coefficients; leave it out with output="rgb"')
        gone = draws.uniform(192)[:, 64 * picture.components + picture.frequencies] < self.p
        if self.keep_dc:
            gone &= picture.frequencies != 0
        factor = np.where(gone, 0.0, 1.0 / (1.0 - self.p) if self.rescale else 1.0)
        picture.tensor = picture.tensor * picture.device_array(factor)[:, :, None, None]


class GaussianNoise(Transform):
    """White noise: N(0, sigma^2) in each pixel of Y, Cb and Cr, of which the kept frequencies are added.

    The transform is orthonormal, so that white noise of pixels is white noise of coefficients. Stands before Normalize.

    Args:
        sigma: Standard deviation in levels of 0..255: one number or (low, high).
    """

    def __init__(self, sigma: float | Sequence[float] = 5.0) -> None:
        low, high = (sigma, sigma) if isinstance(sigma, (int, float)) else (float(sigma[0]), float(sigma[1]))
        if not 0 <= low <= high:
            raise ValueError(f"sigma is a number, or (low, high) with 0 <= low <= high, not {sigma!r}")
        self.sigma = (float(low), float(high))

    def apply(self, picture: Picture, draws: Draws) -> None:
        if picture.is_normalized:
            raise ValueError("GaussianNoise stands before Normalize: sigma is in levels of 0..255")
        x = picture.tensor
        weight = picture.device_array(draws.child(0).between(*self.sigma))[:, None, None, None]
        picture.tensor = x + weight * counter_noise(draws.child(1), x)


class Requantize(Transform):
    """Coefficients rounded to coarser steps on the image's own grid, as saving at a lower JPEG quality does.

    Nothing is decoded or encoded; against a file re-encoded by libjpeg about 96 % of the non-zero coefficients are equal (libjpeg
    rounds pixels in between).

    Args:
        quality: 1..100 by the Independent JPEG Group's formula: one number or (low, high), one draw a sample.
        p: Probability.
    """

    def __init__(self, quality: int | Sequence[int], p: float = 1.0) -> None:
        low, high = (quality, quality) if isinstance(quality, int) else (int(quality[0]), int(quality[1]))
        if not 1 <= low <= high <= 100:
            raise ValueError(f"quality is 1..100, or (low, high), not {quality!r}")
        self.quality, self.p = (low, high), probability(p)

    def plan(self, view: View, draws: Draws) -> None:
        low, high = self.quality
        quality = low + draws.child(0).integers(1, high - low + 1)[:, 0]
        tables = np.stack((quality_table(_LUMA, quality), quality_table(_CHROMA, quality)), axis=1)
        tables[~draws.child(1).happens(self.p)] = 1  # quantised values are whole: a step of 1 leaves them
        if view.requantize is not None:
            raise ValueError("two Requantize in one Compose")
        view.requantize = tables


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
    """`factor * x + (1 - factor) * smooth(x)` on each plane, `factor` `[B]`; 1 where nothing changes."""
    import torch
    from torch.nn.functional import conv2d

    if (factor == 1).all():
        return
    if picture.is_normalized:
        raise ValueError("sharpness stands before Normalize")
    x = picture.tensor
    planes = x if picture.is_pixels else pixels_of_blocks(x)
    kernel = torch.ones(1, 1, 3, 3, device=x.device, dtype=x.dtype)
    kernel[..., 1, 1] = 5
    smooth = planes.clone()
    if min(planes.shape[2:]) > 2:
        inner = conv2d(planes.flatten(0, 1)[:, None], kernel / 13)
        smooth[:, :, 1:-1, 1:-1] = inner.view(*planes.shape[:2], *inner.shape[2:])
    weight = picture.device_array(factor)[:, None, None, None]
    planes = weight * planes + (1 - weight) * smooth
    picture.tensor = planes if picture.is_pixels else blocks_of_pixels(planes)


def pixels_of_blocks(x: Tensor) -> Tensor:
    """`[B, 192, rows, cols]` -> `[B, 3, 8 rows, 8 cols]`, by the inverse DCT (T.81, A.3.3), without level shift."""
    import torch

    d = torch.from_numpy(dct_matrix()).to(x)
    b, _, rows, cols = x.shape
    planes = torch.einsum("vy,bcvurs,uz->bcrysz", d, x.view(b, 3, 8, 8, rows, cols), d)
    return planes.reshape(b, 3, 8 * rows, 8 * cols)


def blocks_of_pixels(planes: Tensor) -> Tensor:
    """The way back: `[B, 3, 8 rows, 8 cols]` -> `[B, 192, rows, cols]`."""
    import torch

    d = torch.from_numpy(dct_matrix()).to(planes)
    b, _, height, width = planes.shape
    blocks = planes.view(b, 3, height // 8, 8, width // 8, 8)
    return torch.einsum("vy,bcrysz,uz->bcvurs", d, blocks, d).reshape(b, 192, height // 8, width // 8)


@lru_cache(maxsize=1)
def dct_matrix() -> Float:
    """`[8, 8]`: the orthonormal DCT of T.81, A.3.3; frequency by sample."""
    u, x = np.arange(8)[:, None], np.arange(8)[None, :]
    return np.where(u == 0, math.sqrt(1 / 8), 0.5) * np.cos((2 * x + 1) * u * math.pi / 16)


def quality_table(base: NDArray[np.int64], quality: NDArray[np.int64]) -> NDArray[np.uint16]:
    """uint16 `[B, 64]`: a table of T.81, Annex K, scaled by the Independent JPEG Group's formula."""
    scale = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    return np.clip((base * scale[:, None] + 50) // 100, 1, 255).astype(np.uint16)


def counter_noise(draws: Draws, like: Tensor) -> Tensor:
    """Standard normal numbers in the shape of `like` `[B, ...]`: sample by sample from its stream, the same on every device."""
    import torch

    keys = torch.from_numpy((draws.bits(1)[:, 0] >> np.uint64(1)).astype(np.int64)).to(like.device)
    count = like[0].numel() if len(like) else 0
    counter = torch.arange(2 * count, device=like.device, dtype=torch.int64)
    bits = keys[:, None] + counter * -7046029254386353131  # the golden ratio's 64 bits; integers wrap as in SplitMix64
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        bits = (bits ^ (bits >> shift & (1 << 64 - shift) - 1)) * factor
    bits = bits ^ (bits >> 31 & (1 << 33) - 1)
    u = ((bits >> 40 & (1 << 24) - 1).to(torch.float64) + 0.5) * 2.0**-24
    normal = torch.sqrt(-2 * torch.log(u[:, :count])) * torch.cos(2 * math.pi * u[:, count:])
    return normal.to(like.dtype).view_as(like)
