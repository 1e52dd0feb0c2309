"""Steps that take away information: erasing, dropout, noise, requantising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform, probability
from dctload.transforms.blocks import blocks_of_pixels, pixels_of_blocks

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture
    from dctload.transforms.view import View

Float = NDArray[np.float64]

_NOISE_AT_ONCE = 1 << 22  # numbers held at a time

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
        x.masked_fill_(inside[:, None], self.value if picture.is_normalized else 0.0)
        if not picture.is_normalized:  # Y of a gray level; Cb and Cr of it are 0
            for place in np.flatnonzero((picture.components == 0) & (picture.frequencies == 0)).tolist():
                x[:, place].masked_fill_(inside, (1.0 if picture.is_pixels else 8.0) * (self.value - 128))

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
    """Whole channels set to 0, each with the probability `p`; behind Normalize 0 is the mean.

    Of pixels (`output="rgb"`) the blocks of 8 x 8 lose these frequencies; there it stands before Normalize.

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
        gone = draws.uniform(192) < self.p
        if self.keep_dc:
            gone[:, ::64] = False
        scale_frequencies(picture, np.where(gone, 0.0, 1.0 / (1.0 - self.p) if self.rescale else 1.0))


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
        add_noise(picture, draws.child(0).between(*self.sigma), draws.child(1))


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
        if view.requantize is not None:
            raise ValueError("coefficients are requantised twice in one Compose; leave one Requantize (or policy) out")
        view.requantize = requantizing_tables(quality, draws.child(1).happens(self.p))


def scale_frequencies(picture: Picture, factors: Float) -> None:
    """Each frequency of each component times a factor, `[B, 192]`; samples of factors that are all 1 are not touched."""
    import torch

    x, chosen = picture.tensor, np.flatnonzero((factors != 1).any(axis=1))
    if not picture.is_pixels:
        scale = picture.device_array(factors[:, 64 * picture.components + picture.frequencies])[:, :, None, None]
        if x.device.type == "cpu":
            for i in chosen.tolist():
                x[i].mul_(scale[i])
        else:
            x.mul_(scale)
        return
    if picture.is_normalized or x.shape[2] % 8 or x.shape[3] % 8:
        raise ValueError(
            f"frequencies of {x.shape[2]} x {x.shape[3]} pixels are scaled before Normalize, and by blocks of 8 x 8; move the "
            "step to the front, and take a size that is a multiple of 8"
        )
    places = picture.device_array(chosen, torch.int64)
    blocks = blocks_of_pixels(x[places]) * picture.device_array(factors[chosen])[:, :, None, None]
    x[places] = pixels_of_blocks(blocks)


def requantizing_tables(quality: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """uint16 `[B, 2, 64]` of luma and chroma; where not `which`, steps of 1, which leave coefficients as they are."""
    tables = np.stack((quality_table(_LUMA, quality), quality_table(_CHROMA, quality)), axis=1)
    tables[~which] = 1  # dequantised values are whole
    return tables


def quality_table(base: NDArray[np.int64], quality: NDArray[np.int64]) -> NDArray[np.uint16]:
    """uint16 `[B, 64]`: a table of T.81, Annex K, scaled by the Independent JPEG Group's formula."""
    scale = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    return np.clip((base * scale[:, None] + 50) // 100, 1, 255).astype(np.uint16)


def add_noise(picture: Picture, sigma: Float, draws: Draws) -> None:
    """Adds N(0, sigma^2) to each value, `sigma` `[B]`; a value's noise depends on its sample's stream, channel and place alone.

    Counters through SplitMix64's finaliser, two normal numbers each by Box and Muller; on every device the same up to rounding.
    """
    import torch

    x = picture.tensor
    channels = picture.device_array(64 * picture.components + picture.frequencies, torch.int64)
    size = x.shape[2] * x.shape[3]
    half = -(-size // 2)
    golden = -7046029254386353131  # the golden ratio's 64 bits
    counter = (channels[:, None] * half + torch.arange(half, device=x.device)) * golden
    keys = picture.device_array((draws.bits(1)[:, 0] >> np.uint64(1)).astype(np.int64), torch.int64)
    weight = picture.device_array(sigma)
    step = max(1, _NOISE_AT_ONCE // max(counter.numel(), 1))
    for first in range(0, len(x), step):
        bits = keys[first : first + step, None, None] + counter  # integers wrap as in SplitMix64
        for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
            bits.bitwise_xor_(bits >> shift & (1 << 64 - shift) - 1).mul_(factor)
        bits.bitwise_xor_(bits >> 31 & (1 << 33) - 1)
        radius = ((bits >> 40 & (1 << 24) - 1).to(x.dtype) + 0.5).mul_(2.0**-24).log_().mul_(-2).clamp_(min=0).sqrt_()
        angle = (bits >> 8 & (1 << 24) - 1).to(x.dtype).mul_(2 * math.pi * 2.0**-24)
        noise = torch.cat((radius * angle.cos(), radius * angle.sin()), dim=2)[:, :, :size]
        part = x[first : first + step]
        part.addcmul_(noise.reshape(part.shape), weight[first : first + step, None, None, None])
