"""The one operator behind resize, crop, flip, turn, chroma upsampling and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.ops._unpackers import checked_backend, chosen_backend
from dctload.ops.batch import DCTBatch
from dctload.ops.facts import Int
from dctload.ops.geometry import PADDING_MODES, Geometry
from dctload.ops.samples import Samples, check_held, checked_geometry


def resample(
    d: DCTBatch,
    geometry: Geometry,
    channels: ChannelSelection | None,
    *,
    images: ArrayLike | None = None,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    backend: str = "auto",
    resampler: _core.Resampler | None = None,
) -> Tensor:
    """Images resampled as `geometry` says: frequencies on the output's block grid, or pixels.

    Chroma comes to luma's grid in the same step. Nothing is clamped. A file in RGB becomes YCbCr by JFIF's linear map, a gray
    image's chroma is 0, an image without coefficients is 0 throughout.

    Args:
        d: The coefficients.
        geometry: One row an image of the output.
        channels: Output channels: Y, then Cb, then Cr, ascending. None: pixels.
        images: `[N]`, which image of `d` each row of `geometry` shows; None: all, in order. One may come more than once.
        scale: float32 `[N, C]` on the batch's device, what each channel is multiplied by in the end; None: 1.
        bias: float32 `[N, C]`, what is then added, also where there was nothing; None: 0.
        backend: `"native"` (C++, CPU), `"torch"` (any device), `"triton"` (CUDA), or `"auto"`: the quickest that can.
        resampler: A `dctload._core.Resampler`, whose threads and memory are kept from call to call (native alone).

    Returns:
        float32 on the batch's device: `[N, C, rows, cols]` dequantised coefficients, or `[N, 3, H, W]` Y, Cb, Cr with 128
        taken off (-128..127 and what the triangle's neighbours add).

    Raises:
        ValueError: A geometry that does not fit; an image of 2 or 4 components; blocks that the batch does not hold.
    """
    chosen = np.arange(len(d)) if images is None else np.asarray(images, np.int64).reshape(-1)
    checked_geometry(d, geometry, chosen)
    backend = chosen_backend(checked_backend(backend), d.device)
    height, width = geometry.size
    shape = (3, height, width) if channels is None else (len(channels), *geometry.grid)
    # The kernels write every value, also where there is nothing.
    make = torch.zeros if backend == "torch" else torch.empty
    out = make((len(chosen), *shape), dtype=torch.float32, device=d.device)
    if len(chosen) == 0:
        return out
    for name, values in (("scale", scale), ("bias", bias)):
        if values is not None and values.shape != out.shape[:2]:
            raise ValueError(f"{name} has the shape {list(values.shape)}, not [{out.shape[0]}, {out.shape[1]}]")
    for samples in Samples.by_turn(d, geometry, chosen):
        check_held(samples, chosen)
    if backend == "native":
        _by_core(d, geometry, channels, chosen, scale, bias, out, _core.Resampler(0) if resampler is None else resampler)
        return out
    if backend == "triton":
        from dctload.ops._triton_resample import resample_into as by_triton

        by_triton(d, geometry, channels, chosen, out, scale=scale, bias=bias)
        return out
    from dctload.ops._torch_resample import resample_into as by_torch

    by_torch(d, geometry, channels, chosen, out)
    if scale is not None:
        out *= scale[:, :, None, None]
    if bias is not None:
        out += bias[:, :, None, None]
    return out


def _by_core(
    d: DCTBatch,
    geometry: Geometry,
    channels: ChannelSelection | None,
    images: Int,
    scale: Tensor | None,
    bias: Tensor | None,
    out: Tensor,
    resampler: _core.Resampler,
) -> None:
    def doubles(values: ArrayLike | None) -> Any:
        return None if values is None else np.ascontiguousarray(values, np.float64)

    def floats(values: Tensor | None) -> Any:
        return None if values is None else values.detach().to(torch.float32).contiguous().numpy()

    blur = geometry.blur or (None, None)
    resampler.resample(
        d.packed.numpy(),
        images,
        doubles(geometry.box),
        doubles(geometry.valid),
        doubles(geometry.present),
        np.ascontiguousarray(geometry.transposed, np.uint8),
        geometry.size,
        PADDING_MODES.index(geometry.padding_mode),
        None if geometry.fill is None else np.ascontiguousarray(geometry.fill, np.float32),
        doubles(blur[0]),
        doubles(blur[1]),
        None if geometry.requantize is None else np.ascontiguousarray(geometry.requantize, np.uint16),
        None if channels is None else channels.masks,
        floats(scale),
        floats(bias),
        out.numpy(),
    )
