"""The banded resampling operator on a CUDA device: two kernels a family of components, whatever the number of images.

Both read ragged data through a table of numbers, one row a component, so nothing is padded to the largest image and there is no
loop over images. Stage 1 goes along the stored rows: it reads quantised coefficients, takes them times their steps and writes
float32 `[rows, K, Ko, output columns]`. Stage 2 goes down the stored columns and does what is left: constant padding,
scale and bias, the cast, the place in the output (contiguous, channels_last, turned, or pixels).

The stored rows come first because then both stages read and write runs along the output's columns, one a thread; the other
way round the output would be written down its columns, 2 bytes every row. The operator of stage 1 differs from thread to thread,
so it is laid out by output column; that of stage 2 is the same for a whole program.
"""

# ruff: noqa: N803, RUF005
# mypy: disable-error-code="no-untyped-def, untyped-decorator, assignment"
# Kernels are Triton's dialect: compile-time arguments are written in capitals, and nothing in it has types for mypy.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from dctload.channels import ChannelSelection
from dctload.ops._triton_unpack import channel_table
from dctload.ops.batch import DCTBatch
from dctload.ops.color import RGB_TO_YCBCR
from dctload.ops.facts import Int
from dctload.ops.geometry import Geometry
from dctload.ops.operators import Bands, banded
from dctload.ops.samples import RGB, Samples

_Affine = tuple[Tensor, Tensor]  # what each channel of each image is multiplied by, and what is then added

_COLUMNS = 64  # output columns of a program, at most


def resample_into(
    d: DCTBatch,
    geometry: Geometry,
    channels: ChannelSelection | None,
    images: Int,
    out: Tensor,
    *,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
) -> None:
    """Writes the resampled images to `out`, all of it: what an image has not (the chroma of a gray one, all of a failed one) is 0
    before `scale` and `bias`.

    Args:
        d: The coefficients.
        geometry: One row an image of the output.
        channels: Output channels: Y, then Cb, then Cr, ascending; None: level-shifted Y, Cb, Cr pixels.
        images: `[N]`, which image of `d` each row of `geometry` shows.
        out: `[N, C, rows, cols]`, or without `channels` pixels `[N, 3, H, W]`: float32, float16 or bfloat16 with any strides;
            rounded to once, from float32.
        scale: float32 `[N, C]` on the device, what a channel is multiplied by; None: 1.
        bias: float32 `[N, C]`, what is then added; None: 0.

    Raises:
        ValueError: An image of `out` spans 2^31 values or more.
    """
    if sum((n - 1) * stride for n, stride in zip(out.shape[1:], out.stride()[1:], strict=True)) >= 1 << 31:
        raise ValueError(f"an image of the output spans fewer than 2^31 values, not {list(out.shape[1:])}")  # 32-bit offsets
    held = np.bincount(d.components.image[d.components.values > 0], minlength=len(d))
    if (held[images] < 3).any():
        out.copy_(torch.zeros(1, device=out.device) if bias is None else bias[:, :, None, None])
    affine = None
    if scale is not None or bias is not None:
        one = torch.ones(out.shape[:2], device=out.device)
        affine = (one if scale is None else scale.float().contiguous()), (0 * one if bias is None else bias.float().contiguous())
    lists = [range(64)] * 3 if channels is None else [channels.y, channels.cb, channels.cr]
    colors = d.images.color[images] == RGB
    # Triton launches on the current device, wherever the tensors are.
    with torch.cuda.device_of(out):  # type: ignore[no-untyped-call]
        for is_rgb in (False, True):
            for turned in (False, True):
                places = np.flatnonzero((colors == is_rgb) & (geometry.transposed == turned))
                if not len(places):
                    continue
                samples = Samples.of(d, geometry, images, places, turned=turned)
                if is_rgb:
                    _resample_rgb(d, samples, lists, out, affine, pixels=channels is None)
                    continue
                for parts in ((0,), (1, 2)):
                    _resample_family(d, samples, parts, lists, out, affine, pixels=channels is None)


def _resample_rgb(
    d: DCTBatch, samples: Samples, lists: Sequence[Sequence[int]], out: Tensor, affine: _Affine | None, *, pixels: bool
) -> None:
    """Files in RGB: each component by itself, then mixed to Y, Cb and Cr. They are rare, so without kernels of their own."""
    wanted = [0] if pixels else sorted(set().union(*lists))
    places = np.unique(samples.place)
    between = torch.zeros((len(places), 3 * len(wanted), *out.shape[2:]), device=out.device)
    own = replace(samples, place=np.searchsorted(places, samples.place))
    _resample_family(d, own, (0, 1, 2), [wanted] * 3, between, None, pixels=pixels)
    shares = torch.tensor(RGB_TO_YCBCR, dtype=torch.float32, device=out.device)
    mixed = torch.einsum("cp,npfyx->ncfyx", shares, between.view(len(places), 3, len(wanted), *out.shape[2:]))
    if pixels:
        result = mixed[:, :, 0]
    else:
        kept = [mixed[:, c, [wanted.index(f) for f in frequencies]] for c, frequencies in enumerate(lists)]
        result = torch.cat(kept, dim=1)
    rows = torch.from_numpy(places).to(out.device)
    if affine is not None:
        scale, bias = (numbers[rows, :, None, None] for numbers in affine)
        result = result * scale + bias
    out[rows] = result.to(out.dtype)


def _resample_family(
    d: DCTBatch,
    samples: Samples,
    parts: tuple[int, ...],
    lists: Sequence[Sequence[int]],
    out: Tensor,
    affine: _Affine | None,
    *,
    pixels: bool,
) -> None:
    """The components of the colour planes `parts`, which share how many frequencies are computed, into their place in `out`."""
    samples = samples[np.flatnonzero(np.isin(samples.part, parts))]
    table = channel_table(lists).reshape(-1, 8, 8)
    if samples.turned:  # the table of stored frequencies: rows become columns
        table = table.transpose(0, 2, 1)
    wanted = np.argwhere(table[list(parts)] >= 0)[:, 1:]
    if not len(samples) or not len(wanted):
        return
    out_v, out_u = (8, 8) if pixels else (int(n) + 1 for n in wanted.max(axis=0))
    channel_of = torch.from_numpy(np.ascontiguousarray(table)).to(out.device)
    for part in _buckets(samples, out_u):
        band_v, band_u = (int(n) for n in part.band.max(axis=0))
        down = banded(part.down, out=out_v, band=band_v, device=d.device, pixels=pixels)
        across = banded(part.across, out=out_u, band=band_u, device=d.device, pixels=pixels)
        tables = _Tables.of(d, part, down, across)
        rows = _along_rows(d, part, across, tables, band_v)
        _down_columns(part, rows, down, across, tables, channel_of, out, affine, pixels=pixels)


_TAP_CLASSES = (2, 4, 8, 16, 64)
_BETWEEN = 1 << 28  # float32 values between the stages, at most (1 GiB)


def _buckets(samples: Samples, out_u: int) -> Iterator[Samples]:
    """Components with as many taps, roughly: one large file must not make all pay. And as many as fit between the stages."""
    taps = np.maximum(samples.down.taps(), samples.across.taps())
    kind = np.searchsorted(_TAP_CLASSES, taps)
    cost = samples.rows * int(samples.band[:, 0].max()) * out_u * samples.across.num_blocks
    cost = np.maximum(cost, _BETWEEN >> 15)  # a grid's second side is at most 65,535
    for number in np.unique(kind).tolist():
        places = np.flatnonzero(kind == number)
        batch = np.cumsum(cost[places]) // _BETWEEN
        for which in np.unique(batch).tolist():
            yield samples[places[batch == which]]


@dataclass(frozen=True)
class _Tables:
    """What the kernels know of the components of a bucket, on the device.

    Attributes:
        facts: int64 `[S, 10]`: first_value, cols, rows, x0, y0, taps across, taps down, the component's first row between the
            stages, place, part.
        ranks: int32 `[S, 64]`, channel of a frequency, or -1.
        steps: float32 `[S, 64]`, quantisation.
        coarse: float32 `[S, 64]`, steps to round to; None: none.
        fill: float32 `[S]`, what constant padding holds; None: no component leaves its image.
    """

    facts: Tensor
    ranks: Tensor
    steps: Tensor
    coarse: Tensor | None
    fill: Tensor | None

    @classmethod
    def of(cls, d: DCTBatch, part: Samples, down: Bands, across: Bands) -> _Tables:
        def put(numbers: NDArray[Any], kind: type[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(numbers, kind)).to(d.device, non_blocking=True)

        # What is folded at an image's edge may need more taps than its scale says.
        taps_x = np.full(len(part), across.matrix.shape[2]) if part.across.folds else part.across.taps()
        taps_y = np.full(len(part), down.matrix.shape[2]) if part.down.folds else part.down.taps()
        first_row = np.cumsum(part.rows) - part.rows
        columns = (part.first_value, part.cols, part.rows, part.x0, part.y0, taps_x, taps_y, first_row, part.place, part.part)
        facts = np.stack(columns, axis=1)
        leaves = part.down.padding_mode == "constant" and (part.down.leaves or part.across.leaves)
        return cls(
            facts=put(facts, np.int64),
            ranks=put(part.ranks, np.int32),
            steps=d.quantization[put(part.component, np.int64)],
            coarse=None if part.requantize is None else put(part.requantize, np.float32),
            fill=put(part.fill, np.float32) if leaves and part.fill is not None else None,
        )


def _along_rows(d: DCTBatch, part: Samples, across: Bands, tables: _Tables, band_v: int) -> Tensor:
    """Stage 1: float32 `[stored rows of all, band_v, Ko_u, output columns]`."""
    s, columns, taps, out_u, band_u = across.matrix.shape
    operator = across.matrix.permute(0, 2, 3, 4, 1).contiguous()  # neighbouring threads read neighbouring columns
    rows = torch.empty((int(part.rows.sum()), band_v, out_u, columns), device=d.device)
    sizes = _sizes(band_v, out_u, columns)
    _rows_kernel[(int(part.rows.max()), s, triton.cdiv(columns, sizes["BLOCK"]))](
        d.coefficients,
        tables.facts,
        tables.ranks,
        tables.steps,
        tables.steps if tables.coarse is None else tables.coarse,
        operator,
        across.first,
        rows,
        columns,
        taps,
        **sizes,
        BAND_U=band_u,
        REQUANTIZE=tables.coarse is not None,
        num_warps=_warps(band_v * sizes["WIDE_U"] * sizes["BLOCK"], 32),
    )
    return rows


def _down_columns(
    part: Samples,
    rows: Tensor,
    down: Bands,
    across: Bands,
    tables: _Tables,
    channel_of: Tensor,
    out: Tensor,
    affine: _Affine | None,
    *,
    pixels: bool,
) -> None:
    """Stage 2, into `out`."""
    s, count, taps, out_v, _ = down.matrix.shape
    columns, sizes = rows.shape[3], _sizes(*rows.shape[1:])
    wide_v = triton.next_power_of_2(out_v)
    place, channel, *axes = out.stride()
    height, width = out.shape[2:]
    if part.turned:
        axes, height, width = axes[::-1], width, height
    _columns_kernel[(count, s, triton.cdiv(columns, sizes["BLOCK"]))](
        rows,
        tables.facts,
        down.matrix.contiguous(),
        down.first,
        channel_of,
        rows if tables.fill is None else tables.fill,
        down.ones,
        down.inside,
        across.ones,
        across.inside,
        *((rows, rows) if affine is None else affine),
        out,
        columns,
        taps,
        height,
        width,
        out.shape[1],
        place,
        channel,
        *axes,
        **sizes,
        OUT_V=out_v,
        WIDE_V=wide_v,
        PIXELS=pixels,
        FILL=tables.fill is not None,
        AFFINE=affine is not None,
        CHANNELS_LAST=channel == 1 and not pixels,
        num_warps=_warps(wide_v * sizes["WIDE_U"] * sizes["BLOCK"], 16),
    )


def _sizes(band_v: int, out_u: int, columns: int) -> dict[str, int]:
    """What both kernels are compiled for: frequencies, and output columns of a program."""
    block = min(_COLUMNS, max(16, int(triton.next_power_of_2(columns))))
    return {"BAND_V": band_v, "OUT_U": out_u, "WIDE_U": int(triton.next_power_of_2(out_u)), "BLOCK": block}


def _warps(sums: int, share: int) -> int:
    """Warps for a program with that many sums, at `share` a thread: a power of 2."""
    return int(triton.next_power_of_2(max(1, min(8, sums // (32 * share)))))


# -------------------------------------------------------------------------------------------------------------- kernels


@triton.jit
def _rows_kernel(
    values,  # int16, ragged
    facts,  # int64 [S, 10]
    ranks,  # int32 [S, 64]
    steps,  # float32 [S, 64]
    coarse,  # float32 [S, 64]
    operator,  # float32 [S, taps, OUT_U, BAND_U, columns]
    first,  # int32 [S, columns]
    rows_out,  # float32 [rows of all, BAND_V, OUT_U, columns]
    columns,
    taps,
    BAND_V: tl.constexpr,
    BAND_U: tl.constexpr,
    OUT_U: tl.constexpr,
    WIDE_U: tl.constexpr,  # the next power of 2
    BLOCK: tl.constexpr,
    REQUANTIZE: tl.constexpr,
):
    row, s = tl.program_id(0), tl.program_id(1)
    facts += s * 10
    rows = tl.load(facts + 2).to(tl.int32)
    if row >= rows:
        return
    cols = tl.load(facts + 1).to(tl.int32)
    own_taps = tl.load(facts + 5).to(tl.int32)
    values += tl.load(facts) + row * cols
    area = rows.to(tl.int64) * cols
    u_out = tl.arange(0, WIDE_U)
    column = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    is_column = column < columns
    place = tl.load(first + s * columns + column, mask=is_column, other=0) - tl.load(facts + 3).to(tl.int32)
    operator += s.to(tl.int64) * taps * (OUT_U * BAND_U) * columns
    weight_at = (u_out * (BAND_U * columns))[:, None] + column[None, :]
    is_weight = (u_out < OUT_U)[:, None] & is_column[None, :]
    # One [U, column] of sums for each v, so that a plane's rank and step are scalars and all reads are one row's.
    total = ()
    for _ in tl.static_range(BAND_V):
        total = total + (tl.zeros((WIDE_U, BLOCK), tl.float32),)
    for u in range(BAND_U):
        rank, step, round_to = (), (), ()
        for v in tl.static_range(BAND_V):
            known = s * 64 + v * 8 + u
            rank = rank + (tl.load(ranks + known),)
            step = step + (tl.load(steps + known),)
            if REQUANTIZE:
                round_to = round_to + (tl.load(coarse + known),)
        for tap in range(own_taps):
            at = tl.minimum(tl.maximum(place + tap, 0), cols - 1)  # blocks that are not there have no weight
            weight = tl.load(operator + tap * (OUT_U * BAND_U) * columns + u * columns + weight_at, mask=is_weight, other=0)
            grown = ()
            for v in tl.static_range(BAND_V):
                is_kept = is_column & (rank[v] >= 0)
                block = tl.load(values + rank[v] * area + at, mask=is_kept, other=0).to(tl.float32) * step[v]
                if REQUANTIZE:
                    block = _rounded(tl.div_rn(block, tl.zeros_like(block) + round_to[v])) * round_to[v]
                grown = grown + (total[v] + block[None, :] * weight,)
            total = grown
    rows_out += (tl.load(facts + 7) + row) * (BAND_V * OUT_U) * columns
    at = (u_out * columns)[:, None] + column[None, :]
    for v in tl.static_range(BAND_V):
        tl.store(rows_out + v * OUT_U * columns + at, total[v], mask=is_weight)


@triton.jit
def _rounded(x):
    """To the nearest whole number, halves to even: adding 1.5 * 2^23 leaves no bits behind the point. From 2^22 on the sum would
    lose bits before it, and only a half can be there: what is so large came from a hostile file, and is left as it is.
    """
    return tl.where(tl.abs(x) < 4194304.0, (x + 12582912.0) - 12582912.0, x)


@triton.jit
def _columns_kernel(
    rows_in,  # float32 [rows of all, BAND_V, OUT_U, columns]
    facts,  # int64 [S, 10]
    operator,  # float32 [S, output rows, taps, OUT_V, BAND_V]
    first,  # int32 [S, output rows]
    channel_of,  # int32 [4, 64]
    fill,  # float32 [S]
    ones_y,  # float32 [S, output rows, OUT_V]
    inside_y,
    ones_x,  # float32 [S, columns, OUT_U]
    inside_x,
    scale,  # float32 [places, channels]
    bias,
    out,
    columns,
    taps,
    height,  # of the output, along the stored axes
    width,
    channels,
    stride_place,
    stride_channel,
    stride_row,
    stride_col,
    BAND_V: tl.constexpr,
    OUT_V: tl.constexpr,
    OUT_U: tl.constexpr,
    WIDE_V: tl.constexpr,  # the next powers of 2
    WIDE_U: tl.constexpr,
    BLOCK: tl.constexpr,
    PIXELS: tl.constexpr,
    FILL: tl.constexpr,
    AFFINE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    row, s = tl.program_id(0), tl.program_id(1)
    entry = s.to(tl.int64) * tl.num_programs(0) + row
    facts += s * 10
    rows = tl.load(facts + 2).to(tl.int32)
    place = tl.load(first + entry) - tl.load(facts + 4).to(tl.int32)
    own_taps = tl.load(facts + 6).to(tl.int32)
    v_out = tl.arange(0, WIDE_V)
    u_out = tl.arange(0, WIDE_U)
    column = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    is_column = column < columns
    rows_in += tl.load(facts + 7) * (BAND_V * OUT_U) * columns
    read_at = (u_out * columns)[:, None] + column[None, :]
    is_read = (u_out < OUT_U)[:, None] & is_column[None, :]
    operator += entry * taps * (OUT_V * BAND_V)
    total = tl.zeros((WIDE_V, WIDE_U, BLOCK), tl.float32)
    for tap in range(own_taps):
        at = tl.minimum(tl.maximum(place + tap, 0), rows - 1)  # blocks that are not there have no weight
        read = rows_in + at.to(tl.int64) * (BAND_V * OUT_U) * columns
        for v in tl.static_range(BAND_V):
            block = tl.load(read + v * OUT_U * columns + read_at, mask=is_read, other=0)
            weight = tl.load(operator + v_out * BAND_V + v, mask=v_out < OUT_V, other=0)
            total += weight[:, None, None] * block[None, :, :]
        operator += OUT_V * BAND_V
    if FILL:  # what constant padding adds: f * (D 1 (x) D 1 - D s_y (x) D s_x), s the weight that is left inside the image
        at_y = entry * OUT_V + v_out
        at_x = (s.to(tl.int64) * columns + column)[None, :] * OUT_U + u_out[:, None]
        all_y = tl.load(ones_y + at_y, mask=v_out < OUT_V, other=0)[:, None, None]
        left_y = tl.load(inside_y + at_y, mask=v_out < OUT_V, other=0)[:, None, None]
        all_x = tl.load(ones_x + at_x, mask=is_read, other=0)[None, :, :]
        left_x = tl.load(inside_x + at_x, mask=is_read, other=0)[None, :, :]
        total += tl.load(fill + s) * (all_y * all_x - left_y * left_x)

    part = tl.load(facts + 9).to(tl.int32)
    output = tl.load(facts + 8)
    out += output * stride_place
    scale += output * channels
    bias += output * channels
    if PIXELS:
        channel = part
        if AFFINE:
            total = total * tl.load(scale + channel) + tl.load(bias + channel)
        down = (row * 8 + v_out)[:, None, None]
        # samples of a row of the output are next to one another in memory: let neighbouring threads have them
        across = (column * 8)[None, :, None] + u_out[None, None, :]
        total = tl.permute(total, (0, 2, 1))
        fits = (down < height) & (across < width)
        at = channel.to(tl.int64) * stride_channel + down.to(tl.int64) * stride_row + across * stride_col
        tl.store(out + at, total.to(out.dtype.element_ty), mask=fits)
    else:
        known = part * 64 + v_out[:, None] * 8 + u_out[None, :]
        channel = tl.load(channel_of + known, mask=(v_out < OUT_V)[:, None] & (u_out < OUT_U)[None, :], other=-1)
        is_channel = channel >= 0
        channel = tl.maximum(channel, 0)
        if AFFINE:
            total = total * tl.load(scale + channel)[:, :, None] + tl.load(bias + channel)[:, :, None]
        to = out + row.to(tl.int64) * stride_row
        if CHANNELS_LAST:
            at = (channel * stride_channel)[None, :, :] + (column * stride_col)[:, None, None]
            fits = is_channel[None, :, :] & is_column[:, None, None]
            tl.store(to + at, tl.permute(total, (2, 0, 1)).to(out.dtype.element_ty), mask=fits)
        else:
            at = (channel * stride_channel)[:, :, None] + (column * stride_col)[None, None, :]
            tl.store(to + at, total.to(out.dtype.element_ty), mask=is_channel[:, :, None] & is_column[None, None, :])
