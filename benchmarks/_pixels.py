"""The pixels' way, in float64: inverse DCT, an operation as it is written down for pixels, forward DCT. No rounding, no clamping.

Pictures are `[3, H, W]`, level-shifted Y, Cb, Cr (-128..127); of a file whose components are all of one size (4:4:4).
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate
from torch.nn.functional import pad as padded

DCT = torch.tensor(
    [[math.sqrt((1 if u == 0 else 2) / 8) * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)] for u in range(8)],
    dtype=torch.float64,
)
# JFIF.
TO_RGB = torch.tensor([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=torch.float64)
GRAY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
BLACK = (-128.0, 0.0, 0.0)


def picture(coefficients: Any, tables: np.ndarray | None = None) -> Tensor:
    """A file's picture, without its padding to whole blocks; with `tables` (`[2, 64]`) requantised before."""
    planes = []
    for number in range(3):
        blocks = torch.from_numpy(np.asarray(coefficients.dequantized(number), np.float64))
        if tables is not None:
            step = torch.from_numpy(tables[min(number, 1)].astype(np.float64))[:, None, None]
            blocks = torch.round(blocks / step) * step
        rows, cols = blocks.shape[1:]
        plane = torch.einsum("vy,vurc,ux->rycx", DCT, blocks.view(8, 8, rows, cols), DCT)
        planes.append(plane.reshape(8 * rows, 8 * cols)[: coefficients.header.height, : coefficients.header.width])
    return torch.stack(planes)


def blocks(x: Tensor) -> Tensor:
    """`[192, rows, cols]` of a picture whose sides are multiples of 8."""
    rows, cols = x.shape[1] // 8, x.shape[2] // 8
    return torch.einsum("vy,krycx,ux->kvurc", DCT, x.reshape(3, rows, 8, cols, 8), DCT).reshape(192, rows, cols)


def resized(x: Tensor, height: int, width: int) -> Tensor:
    return interpolate(x[None], (height, width), mode="bilinear", antialias=True, align_corners=False)[0]


def cut(x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return x[:, top : top + height, left : left + width]


def framed(x: Tensor, left: int, top: int, right: int, bottom: int, mode: str = "constant") -> Tensor:
    """With more on each side: black, or mirrored."""
    if mode == "reflect":
        return padded(x[None], (left, right, top, bottom), mode="reflect")[0]
    return torch.stack([padded(plane, (left, right, top, bottom), value=value) for plane, value in zip(x, BLACK, strict=True)])


def blurred(x: Tensor, taps: int, sigma: float) -> Tensor:
    """torchvision's GaussianBlur: reflected at the edges."""
    at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    around = padded(x[:, None], (taps // 2,) * 4, mode="reflect")
    return conv2d(around, (kernel[:, None] * kernel)[None, None])[:, 0]


def sharpened(x: Tensor, factor: float) -> Tensor:
    """torchvision's adjust_sharpness: blended with a 3 x 3 smoothing, border pixels left alone."""
    kernel = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    kernel[..., 1, 1] = 5
    smooth = x.clone()
    smooth[:, 1:-1, 1:-1] = conv2d(x[:, None], kernel / kernel.sum())[:, 0]
    return factor * x + (1 - factor) * smooth


def rgb(x: Tensor) -> Tensor:
    """0..255, unclamped."""
    return torch.einsum("ij,jhw->ihw", TO_RGB, x) + 128


def ycbcr(pixels: Tensor) -> Tensor:
    """The way back, exactly."""
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(TO_RGB), pixels - 128)


def brighter(x: Tensor, factor: float) -> Tensor:
    return ycbcr(rgb(x) * factor)


def contrasted(x: Tensor, factor: float) -> Tensor:
    pixels = rgb(x)
    return ycbcr(factor * pixels + (1 - factor) * torch.einsum("i,ihw->hw", GRAY, pixels).mean())


def saturated(x: Tensor, factor: float) -> Tensor:
    pixels = rgb(x)
    return ycbcr(factor * pixels + (1 - factor) * torch.einsum("i,ihw->hw", GRAY, pixels))


def turned_hue(x: Tensor, turn: float) -> Tensor:
    """The plane of Cb and Cr, rotated."""
    angle = 2 * math.pi * turn
    c, s = math.cos(angle), math.sin(angle)
    return torch.stack([x[0], c * x[1] - s * x[2], s * x[1] + c * x[2]])


def quality_tables(quality: int) -> np.ndarray:
    """`[2, 64]`: the quantisation steps that libjpeg writes at a quality, by Pillow, row-major."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", quality=quality)
    with Image.open(out) as image:
        tables: Any = image.quantization  # type: ignore[attr-defined]
        return np.array([tables[0], tables[1]])


def with_orientation(data: bytes, orientation: int) -> bytes:
    """A file with an EXIF orientation: a segment behind SOI with a directory of one entry (TIFF 6.0)."""
    entry = (
        (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big") + orientation.to_bytes(2, "big") + b"\0\0"
    )
    exif = b"Exif\0\0MM\0*" + (8).to_bytes(4, "big") + (1).to_bytes(2, "big") + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
