"""One tensor of a batch whose images have one grid: blocks as they are in the files, without resampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dctload.channels import ChannelSelection
from dctload.ops._unpackers import checked_backend, chosen_backend
from dctload.ops.batch import DCTBatch
from dctload.ops.facts import Int
from dctload.ops.samples import RGB

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def to_dense(
    d: DCTBatch,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
    *,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    flip: ArrayLike | None = None,
    replicate_chroma: bool = True,
    backend: str = "auto",
) -> Tensor:
    """Dequantised coefficients of the native blocks as one tensor `[B, C, rows, cols]` on the batch's device.

    Channels are Y, Cb, Cr of `d.channels`, or where that is not known of what the first image in colour holds. Chroma with
    fewer blocks than luma is repeated (nearest). A gray image's chroma is 0 before `mean` and `std`; an image without
    coefficients is 0 throughout.

    Args:
        d: Images whose luma has one grid.
        dtype: float32, bfloat16 or float16, rounded to at the very end.
        memory_format: `torch.contiguous_format` or `torch.channels_last`.
        mean: `[C]`, taken off each channel.
        std: `[C]`, what each channel is then divided by.
        flip: bool `[B]`, which images to mirror, left to right; exact, so only where the width is a multiple of 8.
        replicate_chroma: False: refuse chroma that has fewer blocks than luma.
        backend: `"triton"`: on CUDA unpacking and all that follows are one kernel, from the packed bytes, where chroma's blocks
            are whole fractions of luma's. Else, and with the other words of `unpack`, it is torch's work.

    Raises:
        ValueError: Different grids or selections, frequencies that the batch does not hold, colours other than YCbCr and
            gray, a width that cannot be mirrored in blocks.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype is float32, bfloat16 or float16, not {dtype}")
    backend = chosen_backend(checked_backend(backend), d.device)
    selection = _selection(d)
    parts = (selection.y, selection.cb, selection.cr)
    mirrored = _mirrored(d, flip)
    alive = np.flatnonzero(~d.images.failed)
    rows, cols = _grid(d, alive, parts, replicate_chroma=replicate_chroma)
    mean, std = (_by_channel(name, values, len(selection), d.device) for name, values in (("mean", mean), ("std", std)))
    fits = len(alive) > 0 and bool(_repeats_whole(d, alive).all())
    if backend == "triton" and fits:
        out = torch.empty((len(d), len(selection), rows, cols), dtype=dtype, device=d.device, memory_format=memory_format)
        _by_triton(d, selection, out, mean, std, mirrored)
        return out
    out = torch.zeros((len(d), len(selection), rows, cols), device=d.device)
    at = 0
    for part, frequencies in enumerate(parts):
        holds = alive[d.images.num_components[alive] > part]
        if frequencies and len(holds):
            blocks = _turned(_blocks(d, holds, part, np.array(frequencies)), mirrored[holds], frequencies)
            out[torch.from_numpy(holds).to(d.device), at : at + len(frequencies)] = blocks
        at += len(frequencies)
    if mean is not None:
        out -= mean[:, None, None]
    if std is not None:
        out *= 1 / std[:, None, None]
    out[torch.from_numpy(d.images.failed).to(d.device)] = 0
    return out.to(dtype=dtype, memory_format=memory_format)


def _selection(d: DCTBatch) -> ChannelSelection:
    if isinstance(d.channels, ChannelSelection):
        return d.channels
    if isinstance(d.channels, list) and d.channels:
        if any(other != d.channels[0] for other in d.channels):
            raise ValueError("the images have selections of their own; pass one to unpack(..., channels=...)")
        return d.channels[0]
    held = [d.frequencies(i) for i in range(len(d)) if not d.images.failed[i]]
    most = max(held, key=len, default=[])
    y, cb, cr = (most[k] if k < len(most) else () for k in range(3))
    return ChannelSelection(y, cb, cr) if y or cb or cr else ChannelSelection.parse("all")


def _grid(d: DCTBatch, alive: Int, parts: Sequence[tuple[int, ...]], *, replicate_chroma: bool) -> tuple[int, int]:
    """Luma's rows and columns of blocks, after all that can be wrong has been looked at."""
    images, facts = d.images, d.components
    bad = alive[~np.isin(images.num_components[alive], (1, 3)) | (images.color[alive] == RGB)]
    if len(bad):
        raise ValueError(f"image {bad[0]} is neither YCbCr nor gray; resample brings RGB files to YCbCr")
    if not len(alive):
        return 0, 0
    luma = images.first_component[alive]
    shapes = np.stack([facts.rows[luma], facts.cols[luma]], axis=1)
    odd = np.flatnonzero((shapes != shapes[:1]).any(axis=1))
    if len(odd):
        i = int(odd[0])
        raise ValueError(
            f"image {alive[i]} has a grid of {shapes[i, 0]} x {shapes[i, 1]} blocks, image {alive[0]} one of {shapes[0, 0]} x "
            f"{shapes[0, 1]}; resample brings images to one grid"
        )
    for part, frequencies in enumerate(parts):
        holds = alive[images.num_components[alive] > part]
        m = images.first_component[holds] + part
        lacking = facts.ranks[m][:, list(frequencies)] < 0
        if lacking.any():
            i, f = (int(n) for n in np.argwhere(lacking)[0])
            raise ValueError(f"image {holds[i]} does not hold frequency {frequencies[f]} of component {part}; extract it too")
        fewer = (facts.rows[m] != facts.rows[m - part]) | (facts.cols[m] != facts.cols[m - part])
        if frequencies and not replicate_chroma and fewer.any():
            raise ValueError("chroma has not as many blocks as luma; pass replicate_chroma=True, or resample")
    return int(shapes[0, 0]), int(shapes[0, 1])


def _repeats_whole(d: DCTBatch, alive: Int) -> NDArray[np.bool_]:
    """By component of these images, whether a block lies over a whole number of luma's."""
    facts = d.components
    rows = np.isin(facts.image, alive)
    image = facts.image[rows]
    h, v = facts.h[rows], facts.v[rows]
    first = d.images.first_component[image]
    whole = (facts.h[first] % h == 0) & (facts.v[first] % v == 0)
    return np.asarray(whole & (facts.h[first] == d.headers.h_max[image]) & (facts.v[first] == d.headers.v_max[image]))


def _by_triton(
    d: DCTBatch,
    selection: ChannelSelection,
    out: Tensor,
    mean: Tensor | None,
    std: Tensor | None,
    mirrored: NDArray[np.bool_],
) -> None:
    from dctload.ops._triton_unpack import unpack_dense

    flip = torch.from_numpy(mirrored).to(d.device) if mirrored.any() else None
    unpack_dense(d.packed, d.facts, selection, out, mean=mean, std=std, flip=flip)


def _by_channel(name: str, values: Sequence[float] | Tensor | None, count: int, device: torch.device) -> Tensor | None:
    if values is None:
        return None
    numbers = torch.as_tensor(values, dtype=torch.float32, device=device)
    if numbers.shape != (count,):
        raise ValueError(f"{name} has the shape {list(numbers.shape)} for {count} channels")
    return numbers


def _blocks(d: DCTBatch, images: Int, part: int, frequencies: Int) -> Tensor:
    """float32 `[N, F, rows, cols]`: dequantised blocks of one component on luma's grid."""
    facts, device = d.components, d.device
    luma = d.images.first_component[images]
    m = luma + part
    row = _nearest(facts.rows[luma[0]], facts.y0, facts.v, facts.rows, luma, m)
    col = _nearest(facts.cols[luma[0]], facts.x0, facts.h, facts.cols, luma, m)
    rank = facts.ranks[m][:, frequencies]
    places = facts.first_value[m][:, None] + rank * (facts.rows[m] * facts.cols[m])[:, None]
    within = row * facts.cols[m][:, None]

    def put(numbers: Int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(device)

    place = put(places)[:, :, None, None] + put(within)[:, None, :, None] + put(col)[:, None, None, :]
    steps = d.quantization[put(m)][:, put(frequencies)]
    return d.coefficients[place].to(torch.float32) * steps[:, :, None, None]


def _nearest(count: Int, start: Int, factor: Int, held: Int, luma: Int, m: Int) -> Int:
    """`[N, count]`: the component's row (or column) of blocks that lies over each of luma's."""
    own = (start[luma][:, None] + np.arange(int(count))) * factor[m][:, None] // factor[luma][:, None] - start[m][:, None]
    return np.asarray(np.clip(own, 0, held[m][:, None] - 1), np.int64)


def _mirrored(d: DCTBatch, flip: ArrayLike | None) -> NDArray[np.bool_]:
    if flip is None:
        return np.zeros(len(d), np.bool_)
    chosen = np.asarray(flip, np.bool_)
    if chosen.shape != (len(d),):
        raise ValueError(f"flip is bool [{len(d)}], not {list(chosen.shape)}")
    bad = np.flatnonzero(chosen & ~d.images.failed & (d.images.region[:, 3] % 8 > 0))
    if len(bad):
        raise ValueError(
            f"image {bad[0]} is {d.images.region[bad[0], 3]} pixels wide, no multiple of 8: mirrored in blocks it would be "
            "shifted by its padding; mirror in the box of a resample"
        )
    return chosen


def _turned(blocks: Tensor, mirrored: NDArray[np.bool_], frequencies: Sequence[int]) -> Tensor:
    """Columns in reverse and odd horizontal frequencies with the other sign, where `mirrored`."""
    if not mirrored.any():
        return blocks
    signs = torch.tensor([-1.0 if f % 2 else 1.0 for f in frequencies], device=blocks.device)[:, None, None]
    chosen = torch.from_numpy(mirrored).to(blocks.device)[:, None, None, None]
    return torch.where(chosen, blocks.flip(3) * signs, blocks)
