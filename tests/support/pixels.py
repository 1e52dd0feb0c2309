"""The judge of the transforms: float64 pixels, plain and slow, that share nothing with the package but T.81's DCT.

Pictures here are level-shifted Y, Cb, Cr planes `[3, H, W]`, 0 is the gray level 128; nothing is rounded or clamped.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

import dctload
from dctload import ops
from support import jpeg_builder as jb

D = torch.tensor(
    [[math.sqrt((1 if u == 0 else 2) / 8) * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)] for u in range(8)],
    dtype=torch.float64,
)
# JFIF 1.02, page 4.
RGB_OF_YCBCR = torch.tensor([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=torch.float64)


@lru_cache(maxsize=256)
def built(width: int, height: int, layout: str = "4:4:4", seed: int = 0, orientation: int = 1, step: int = 2) -> bytes:
    """A JPEG file of random, mostly low frequencies."""
    content = jb.content(width, height, layout, seed=seed)
    tables = {t: tuple([step] * 64) for t in content.quantization}
    extras = (jb.exif(orientation),) if orientation > 1 else ()
    return jb.encode(replace(content, quantization=tables), extras=extras).to_bytes()


def batch(*files: object, channels: str = "all") -> ops.DCTBatch:
    return ops.unpack(dctload.extract(list(files), channels=channels))


def component(file: object, k: int = 0) -> torch.Tensor:
    """`[H, W]`: samples of a component at its own true size."""
    c = dctload.read_coefficients(file)
    blocks = torch.from_numpy(np.asarray(c.dequantized(k))).double()
    rows, cols = blocks.shape[1:]
    samples = torch.einsum("uy,uvrc,vx->rycx", D, blocks.reshape(8, 8, rows, cols), D).reshape(8 * rows, 8 * cols)
    part, h_max, v_max = c.header.components[k], c.header.h_max, c.header.v_max
    return samples[: -(-c.header.height * part.v // v_max), : -(-c.header.width * part.h // h_max)]


def planes(file: object) -> torch.Tensor:
    """`[3, H, W]` of a file without subsampling, or gray."""
    header = dctload.read_header(file)
    assert header.subsampling in ("4:4:4", "gray"), header.subsampling
    parts = [component(file, k) for k in range(len(header.components))]
    return torch.stack([*parts, *[torch.zeros_like(parts[0])] * (3 - len(parts))])


def coefficients(picture: torch.Tensor) -> torch.Tensor:
    """`[..., 3, H, W]` -> `[..., 192, rows, cols]`, sides multiples of 8."""
    *lead, count, height, width = picture.shape
    blocks = picture.reshape(*lead, count, height // 8, 8, width // 8, 8)
    return torch.einsum("uy,...rycx,vx->...uvrc", D, blocks, D).reshape(*lead, count * 64, height // 8, width // 8)


def pixels(x: torch.Tensor) -> torch.Tensor:
    """`[..., 192, rows, cols]` -> `[..., 3, H, W]`."""
    *lead, _, rows, cols = x.shape
    blocks = x.double().reshape(*lead, 3, 8, 8, rows, cols)
    return torch.einsum("uy,...uvrc,vx->...rycx", D, blocks, D).reshape(*lead, 3, 8 * rows, 8 * cols)


def rgb(picture: torch.Tensor) -> torch.Tensor:
    """R, G, B in levels, 0 to 255 and what lies beyond."""
    return torch.einsum("dc,...chw->...dhw", RGB_OF_YCBCR, picture) + 128


def ycbcr(levels: torch.Tensor) -> torch.Tensor:
    """The way back."""
    return torch.einsum("dc,...chw->...dhw", torch.linalg.inv(RGB_OF_YCBCR), levels - 128)


def resized(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """torch's antialiased triangle."""
    lead = picture.shape[:-2]
    flat = picture.reshape(1, -1, *picture.shape[-2:])
    out = torch.nn.functional.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return out.reshape(*lead, *size)


def axis_matrix(
    samples: int, box: tuple[float, float], n: int, valid: tuple[int, int], present: tuple[int, int], mode: str = "constant"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of resampling weights `[n, samples]`, one by one, and the weight that constant padding takes, `[n]`."""
    (a, b), (lo, hi), (first, end) = box, valid, present
    s, rows, outside = (b - a) / n, torch.zeros(n, samples, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    far = max(0, first - lo, hi - end)
    source = np.arange(first - far, end + far)
    if mode != "constant":
        source = np.pad(np.arange(first, end), far, mode=mode)  # type: ignore[call-overload]
    for i in range(n):
        c = min(max(a + (i + 0.5) * s, lo), hi)
        weights = {j: max(0.0, 1 - abs(j + 0.5 - c) / max(abs(s), 1.0)) for j in range(lo, hi)}
        total = sum(weights.values())
        for j, weight in weights.items():
            if first <= j < end or mode != "constant":
                rows[i, source[j - first + far]] += weight / total
            else:
                outside[i] += weight / total
    return rows, outside


def difference(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest one."""
    assert got.shape == want.shape, (got.shape, want.shape)
    return float((got.double() - want).abs().max())
