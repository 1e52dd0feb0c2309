"""The transforms as functions, with the numbers given instead of drawn.

Spatial functions take a `DCTBatch` and resample it once; what changes resampled pictures takes coefficients `[B, C, rows, cols]`
and their channels, or, where `channels` is None, level-shifted Y, Cb, Cr pixels `[B, 3, H, W]`, and gives a new tensor. A number
may be one for all or one a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload.channels import ChannelSelection
from dctload.ops.color import RGB_TO_YCBCR
from dctload.transforms import color
from dctload.transforms.base import Transform, height_and_width
from dctload.transforms.blocks import sharpen
from dctload.transforms.compose import Compose
from dctload.transforms.draws import Draws
from dctload.transforms.noise import Requantize, add_noise, scale_frequencies
from dctload.transforms.spatial import CenterCrop, ExifTranspose, GaussianBlur, Pad, Resize

if TYPE_CHECKING:
    from torch import Tensor

    from dctload.ops import DCTBatch
    from dctload.transforms.picture import Picture
    from dctload.transforms.view import View

Channels = str | ChannelSelection | None
Float = NDArray[np.float64]

# ------------------------------------------------------------------------------------- from packed bytes: one resampling


def resize(batch: DCTBatch, size: int | Sequence[int], *, channels: Channels = None, output: str = "dct") -> Tensor:
    """Whole images in another size; see `Resize`."""
    return _shown(batch, Resize(size), channels, output)


def center_crop(batch: DCTBatch, size: int | Sequence[int], *, channels: Channels = None, output: str = "dct") -> Tensor:
    """The middle of each image; see `CenterCrop`."""
    return _shown(batch, CenterCrop(size), channels, output)


def crop(
    batch: DCTBatch,
    top: ArrayLike,
    left: ArrayLike,
    height: int,
    width: int,
    *,
    channels: Channels = None,
    output: str = "dct",
) -> Tensor:
    """A rectangle of each image, in pixels as coded; what leaves the image is black."""
    return _shown(batch, _Crop(top, left, height, width), channels, output)


def resized_crop(
    batch: DCTBatch,
    top: ArrayLike,
    left: ArrayLike,
    height: ArrayLike,
    width: ArrayLike,
    size: int | Sequence[int],
    *,
    channels: Channels = None,
    output: str = "dct",
) -> Tensor:
    """A rectangle of each image, resized; pixels beyond the rectangle have no weight."""
    return _shown(batch, Compose([_Crop(top, left, height, width), Resize(height_and_width(size, "size"))]), channels, output)


def pad(
    batch: DCTBatch,
    padding: int | Sequence[int],
    fill: float | Sequence[float] = 0,
    padding_mode: str = "constant",
    *,
    channels: Channels = None,
    output: str = "dct",
) -> Tensor:
    """Whole images with more on each side; see `Pad`."""
    return _shown(batch, Pad(padding, fill, padding_mode), channels, output)


def gaussian_blur(
    batch: DCTBatch,
    kernel_size: int | Sequence[int],
    sigma: float,
    *,
    channels: Channels = None,
    output: str = "dct",
) -> Tensor:
    """Whole images blurred; see `GaussianBlur`."""
    return _shown(batch, GaussianBlur(kernel_size, sigma), channels, output)


def requantize(batch: DCTBatch, quality: int, *, channels: Channels = None, output: str = "dct") -> Tensor:
    """Whole images as at a lower JPEG quality; see `Requantize`."""
    return _shown(batch, Requantize(quality), channels, output)


def exif_transpose(batch: DCTBatch, *, channels: Channels = None, output: str = "dct") -> Tensor:
    """Whole images as their EXIF orientation says that they are to be seen; see `ExifTranspose`."""
    return _shown(batch, ExifTranspose(), channels, output)


# ---------------------------------------------------------------------------------- of coefficients: exact sign and order


def horizontal_flip(x: Tensor, channels: Channels) -> Tensor:
    """Left and right exchanged: blocks in reverse order, odd horizontal frequencies negated."""
    return _mirrored(x, channels, 1)


def vertical_flip(x: Tensor, channels: Channels) -> Tensor:
    """Top and bottom exchanged: blocks in reverse order, odd vertical frequencies negated."""
    return _mirrored(x, channels, 0)


def transpose(x: Tensor, channels: Channels) -> Tensor:
    """Rows and columns exchanged, of the blocks and of the frequencies.

    Raises:
        ValueError: A kept frequency (v, u) whose (u, v) is not kept.
    """
    x = x.transpose(2, 3)
    if channels is None:
        return x.contiguous()
    picture = _picture(x, channels)
    at = {(int(c), int(f)): i for i, (c, f) in enumerate(zip(picture.components, picture.frequencies, strict=True))}
    try:
        order = [at[c, 8 * (f % 8) + f // 8] for c, f in at]
    except KeyError:
        raise ValueError(f"channels {channels} are not symmetric: transposing needs (u, v) for each kept (v, u)") from None
    return x[:, order].contiguous()


def rotate90(x: Tensor, channels: Channels, k: int = 1) -> Tensor:
    """Turned counter-clockwise by `k` quarters of a circle."""
    k %= 4
    if k == 2:
        return horizontal_flip(vertical_flip(x, channels), channels)
    if k == 0:
        return x.clone()
    turned = transpose(x, channels)
    return vertical_flip(turned, channels) if k == 1 else horizontal_flip(turned, channels)


# ----------------------------------------------------------------------------------------------------------- colour


def adjust_brightness(x: Tensor, brightness_factor: ArrayLike, channels: Channels) -> Tensor:
    """RGB times the factor; not clamped."""
    return _changed(x, channels, color.brightness, brightness_factor)


def adjust_contrast(x: Tensor, contrast_factor: ArrayLike, channels: Channels) -> Tensor:
    """Blended with the picture's mean gray; not clamped."""
    return _changed(x, channels, color.contrast, contrast_factor)


def adjust_saturation(x: Tensor, saturation_factor: ArrayLike, channels: Channels) -> Tensor:
    """Chroma times the factor; not clamped."""
    return _changed(x, channels, color.saturation, saturation_factor)


def adjust_hue(x: Tensor, hue_factor: ArrayLike, channels: Channels) -> Tensor:
    """The chroma plane rotated by this part (-0.5..0.5) of a circle."""
    return _changed(x, channels, color.hue, hue_factor)


def rgb_to_grayscale(x: Tensor, channels: Channels) -> Tensor:
    """Chroma set to 0."""
    return _changed(x, channels, color.saturation, 0.0)


def invert(x: Tensor, channels: Channels) -> Tensor:
    """255 - RGB."""
    return _changed(x, channels, lambda which: color.inversion(which > 0), 1.0)


def adjust_sharpness(x: Tensor, sharpness_factor: ArrayLike, channels: Channels) -> Tensor:
    """Blended with a 3 x 3 smoothing; coefficients of all 192 channels, or pixels."""
    picture = _picture(x, channels)
    sharpen(picture, _per_sample(sharpness_factor, len(x)))
    return picture.tensor


def permute_channels(x: Tensor, permutation: Sequence[int], channels: Channels) -> Tensor:
    """R, G and B in another order: the new picture's channel `i` is the old one's `permutation[i]`.

    Raises:
        ValueError: No order of 0, 1, 2.
    """
    if sorted(permutation) != [0, 1, 2]:
        raise ValueError(f"permutation is an order of 0, 1, 2, not {list(permutation)}")
    matrix = np.eye(3)[list(permutation)]
    return _changed(x, channels, lambda every: color.rgb_map(np.broadcast_to(matrix, (len(every), 3, 3))), 0.0)


def lighting(x: Tensor, shift: ArrayLike, channels: Channels) -> Tensor:
    """R, G and B (`[3]`, or `[B, 3]`; levels of 0..255) added to every pixel."""
    picture = _picture(x, channels)
    rgb = np.broadcast_to(np.asarray(shift, np.float64), (len(x), 3))
    picture.linear(np.broadcast_to(np.eye(3), (len(x), 3, 3)), rgb @ RGB_TO_YCBCR.T)
    return picture.tensor


# ------------------------------------------------------------------------------------------- erasing, mixing, dropping


def erase(x: Tensor, i: int, j: int, h: int, w: int, v: float, channels: Channels) -> Tensor:
    """A rectangle that holds gray level `v` (0..255): first row, first column, height, width, in blocks (of pixels: pixels)."""
    picture = _picture(x, channels)
    out = picture.tensor
    out[:, :, i : i + h, j : j + w] = 0.0
    gray = [k for k, (c, f) in enumerate(zip(picture.components, picture.frequencies, strict=True)) if c == f == 0]
    out[:, gray, i : i + h, j : j + w] = (v - 128) * (1.0 if picture.is_pixels else 8.0)
    return out


def mixup(x: Tensor, share: ArrayLike) -> Tensor:
    """`share * x + (1 - share) * x.roll(1, 0)`: each sample with the one before it."""
    import torch

    weight = torch.as_tensor(_per_sample(share, len(x))).to(x)[:, None, None, None]
    return torch.lerp(x.roll(1, 0), x, weight)


def cutmix(x: Tensor, i: int, j: int, h: int, w: int) -> Tensor:
    """A rectangle from the sample before: first row, first column, height and width, in blocks (of pixels: pixels)."""
    out = x.clone()
    out[:, :, i : i + h, j : j + w] = x.roll(1, 0)[:, :, i : i + h, j : j + w]
    return out


def drop_frequencies(x: Tensor, frequencies: Sequence[int], channels: Channels) -> Tensor:
    """Frequencies set to 0, numbered 0..191: Y, Cb, Cr x 64, row-major; of pixels in blocks of 8 x 8."""
    picture = _picture(x, channels)
    factors = np.ones((len(x), 192))
    factors[:, list(frequencies)] = 0.0
    scale_frequencies(picture, factors)
    return picture.tensor


def gaussian_noise(x: Tensor, sigma: ArrayLike, channels: Channels, *, seed: int = 0, index: ArrayLike | None = None) -> Tensor:
    """White noise of this standard deviation in levels of 0..255, drawn from (seed, index) of each sample."""
    picture = _picture(x, channels)
    draws = Draws.of(seed, 0, np.arange(len(x)) if index is None else index)
    add_noise(picture, _per_sample(sigma, len(x)), draws)
    return picture.tensor


def normalize(x: Tensor, mean: Sequence[float], std: Sequence[float], channels: Channels = None) -> Tensor:
    """`(x - mean) / std` by channel: 192 numbers by frequency, or as many as there are channels."""
    import torch

    values = [torch.as_tensor(np.array(v), dtype=x.dtype, device=x.device) for v in (mean, std)]
    if channels is not None and len(values[0]) == 192:
        picture = _picture(x, channels)
        places = (64 * picture.components + picture.frequencies).tolist()
        values = [v[places] for v in values]
    if not len(values[0]) == len(values[1]) == x.shape[1]:
        raise ValueError(f"{len(values[1])} standard deviations and {len(values[0])} means for {x.shape[1]} channels")
    return (x - values[0][:, None, None]) / values[1][:, None, None]


class _Crop(Transform):
    def __init__(self, *box: ArrayLike) -> None:
        self.box = box

    def plan(self, view: View, draws: Draws) -> None:
        view.crop(*self.box)


def _shown(batch: DCTBatch, step: Transform | Compose, channels: Channels, output: str) -> Tensor:
    pictures: Tensor = step(batch, channels=channels, output=output)
    return pictures


def _picture(x: Tensor, channels: Channels) -> Picture:
    import torch

    from dctload.transforms.picture import Picture

    selection = None if channels is None else ChannelSelection.parse(channels)
    wanted = 3 if selection is None else len(selection)
    if x.ndim != 4 or x.shape[1] != wanted:
        raise ValueError(f"a tensor of shape {list(x.shape)} where [B, {wanted}, rows, cols] is expected")

    def make(scale: Tensor | None, bias: Tensor | None) -> Tensor:
        y = x.clone(memory_format=torch.contiguous_format) if scale is None else x * scale[:, :, None, None]
        return y if bias is None else y.add_(bias[:, :, None, None])

    return Picture(make, selection, len(x), (x.shape[2], x.shape[3]), x.device)


def _per_sample(value: ArrayLike, count: int) -> Float:
    return np.array(np.broadcast_to(np.asarray(value, np.float64), (count,)))


def _changed(x: Tensor, channels: Channels, change: Callable[[Float], color.Change], value: ArrayLike) -> Tensor:
    picture = _picture(x, channels)
    picture.linear(*change(_per_sample(value, len(x))))
    return picture.tensor


def _mirrored(x: Tensor, channels: Channels, axis: int) -> Tensor:
    flipped = x.flip(2 + axis)
    if channels is None:
        return flipped
    picture = _picture(x, channels)
    frequency = picture.frequencies % 8 if axis == 1 else picture.frequencies // 8
    return flipped.mul_(picture.device_array(np.where(frequency % 2 == 1, -1.0, 1.0)).to(x.dtype)[:, None, None])
