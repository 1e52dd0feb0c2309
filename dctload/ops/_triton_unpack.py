"""Unpacking on a CUDA device: a packed batch to coefficients in one kernel, from the one buffer (docs/wire-format.md).

A program takes one tile. It finds the tile's component among the batch's own entries, by a 32-ary search so that 768 components
cost two dependent reads instead of ten, and goes through the channels in chunks. One thread holds some (channel, group) pairs, 8
values each: a plane gives a pair one mask byte, and a data byte where the mask's bit is set. A nibble of that byte is spread over
four bytes by one multiplication, so a plane costs 8 values a few instructions.

A program is one warp: a tile of 4 channels is a long chain of dependent reads (search, record, table, nibbles, masks, bytes)
with little work, so as many tiles as possible should be on their way at a time. All that is known of a tile is a scalar: several
tiles a program made vectors of these facts, and cost 160 registers a thread instead of 60 (compiled for sm_90; not timed).

What the host has checked (record, directory, tile tables) is trusted. Payloads are not: a byte at or past its tile's end reads
as 0 and stores are bounded by the rectangle, so hostile nibbles and masks give wrong values and nothing else.
"""

# ruff: noqa: N803
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# Kernels are Triton's dialect: compile-time arguments are written in capitals, and nothing in it has types for mypy.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor
from triton.language.extra import libdevice

from dctload.channels import ChannelSelection
from dctload.ops._unpackers import interprets_triton
from dctload.ops.facts import BatchFacts

_FAN = 32  # of the search
_REAL = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Launch:
    """Sizes of one launch, powers of 2. They change the speed, never the values.

    Attributes:
        channels: Channels a chunk takes.
        warps: Warps a program has.
    """

    channels: int = 4
    warps: int = 1


def unpack_tiles(packed: Tensor, facts: BatchFacts) -> Tensor:
    """The coefficients of a batch, int16 `[values]`, by image, component and `[K, rows, cols]`, on the device of `packed`.

    Args:
        packed: uint8 `[nbytes]`, a checked batch.
        facts: What its records say.
    """
    out = torch.empty(facts.num_values, dtype=torch.int16, device=packed.device)
    unpack_into(packed, facts, out)
    return out


def unpack_into(packed: Tensor, facts: BatchFacts, out: Tensor, launch: Launch | None = None) -> None:
    """Writes all values of a batch: quantised where `out` is int16, else times the quantisation steps, rounded once from float32.

    Args:
        packed: uint8 `[nbytes]`, a checked batch.
        facts: What its records say; of them only the counts are used.
        out: `[values]` on the same device, contiguous: int16, float32, float16 or bfloat16.
        launch: Sizes of the launch; None: chosen here.

    Raises:
        ValueError: A tensor has another type, shape or place than stated.
    """
    _check(packed, out, (torch.int16, *_REAL))
    if out.shape != (facts.num_values,) or not out.is_contiguous():
        raise ValueError(f"out is a contiguous [{facts.num_values}], not {list(out.shape)} with strides {out.stride()}")
    if facts.num_tiles == 0:
        return
    real = out.dtype != torch.int16
    _launch(packed, facts, launch, out, [packed] * 4, (0, 0), (0, 0, 0, 0), DEQUANTIZE=real)


def unpack_dense(
    packed: Tensor,
    facts: BatchFacts,
    selection: ChannelSelection,
    out: Tensor,
    *,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    flip: Tensor | None = None,
    launch: Launch | None = None,
) -> None:
    """Writes the dequantised native blocks of images of one luma grid into one tensor, chroma repeated to that grid (nearest).

    Which images are for this road (one grid, YCbCr or gray, all frequencies of the selection there) is for the caller to check.
    What a record holds outside of the grid or the selection is left out.

    Args:
        packed: uint8 `[nbytes]`, a checked batch.
        facts: What its records say.
        selection: Output channels: Y, then Cb, then Cr, ascending.
        out: `[images, channels, rows, cols]`, contiguous or channels_last: float32, float16 or bfloat16. All of it is written: a
            gray image's chroma is 0 before `mean` and `std`, an image without coefficients is 0 after them.
        mean: float32 `[channels]` on the device, what is taken off; None: 0.
        std: float32 `[channels]` likewise, what is then divided by (as a product with `1 / std`); None: 1.
        flip: bool or uint8 `[images]` on the device: mirror this image left to right. Exact where its width is a multiple of 8;
            elsewhere its padding moves to the left.
        launch: Sizes of the launch; None: chosen here.

    Raises:
        ValueError: A tensor has another type, shape or place than stated.
    """
    _check(packed, out, _REAL)
    shape = (len(facts.images), len(selection))
    if out.dim() != 4 or out.shape[:2] != shape:
        raise ValueError(f"out is [{shape[0]}, {shape[1]}, rows, cols], not {list(out.shape)}")
    if out[:1].numel() >= 1 << 31:
        raise ValueError(f"an image has fewer than 2^31 values of output, not {out[:1].numel()}")  # offsets have 32 bits
    last = not out.is_contiguous()
    if last and not out.is_contiguous(memory_format=torch.channels_last):
        raise ValueError(f"out is contiguous or channels_last, not of strides {out.stride()}")
    for name, numbers in (("mean", mean), ("std", std)):
        if numbers is not None and (numbers.shape != shape[1:] or numbers.dtype != torch.float32):
            raise ValueError(f"{name} is float32 [{shape[1]}], not {numbers.dtype} {list(numbers.shape)}")
    if flip is not None and (flip.shape != shape[:1] or flip.dtype not in (torch.bool, torch.uint8)):
        raise ValueError(f"flip is bool or uint8 [{shape[0]}], not {flip.dtype} {list(flip.shape)}")
    off = torch.zeros(shape[1], device=out.device) if mean is None else mean.contiguous()
    gain = torch.ones(shape[1], device=out.device) if std is None else 1 / std
    if (facts.images.num_components < 3).any() or (facts.components.values == 0).any():
        alive = torch.from_numpy(~facts.images.failed).to(out.device)
        out.copy_((-off * gain)[:, None, None] * alive[:, None, None, None])
    if facts.num_tiles == 0:
        return
    rows, cols = out.shape[2:]
    table = channel_table((selection.y, selection.cb, selection.cr))
    _launch(
        packed,
        facts,
        launch,
        out,
        [torch.from_numpy(table).to(out.device), off, gain, packed if flip is None else flip.contiguous().view(torch.uint8)],
        (rows, cols),
        out.stride(),
        DEQUANTIZE=True,
        DENSE=True,
        NORMALIZE=mean is not None or std is not None,
        HAS_FLIP=flip is not None,
        CHANNELS_LAST=last,
        WIDE=flip is None and not last and cols % 8 == 0,
    )


def _launch(
    packed: Tensor,
    facts: BatchFacts,
    launch: Launch | None,
    out: Tensor,
    tables: Sequence[Tensor],
    size: tuple[int, int],
    strides: Sequence[int],
    **variant: bool,
) -> None:
    launch = launch or Launch()
    num_images, num_components, num_tiles = len(facts.images), len(facts.components), facts.num_tiles
    words = (packed, packed.view(torch.int16), packed.view(torch.int32), packed.view(torch.int64))
    names = ("DEQUANTIZE", "DENSE", "NORMALIZE", "HAS_FLIP", "CHANNELS_LAST", "WIDE")
    constants: dict[str, Any] = {name: variant.get(name, False) for name in names}
    # Triton launches on the current device, wherever the tensors are.
    with torch.cuda.device_of(packed):  # type: ignore[no-untyped-call]
        _unpack_kernel[(num_tiles,)](
            *words,
            out,
            *tables,
            num_components,
            num_images,
            *size,
            *strides,
            **constants,
            COMPONENT_ROUNDS=_rounds(num_components),
            IMAGE_ROUNDS=_rounds(num_images),
            CHUNK=launch.channels,
            PORTABLE=interprets_triton(),
            num_warps=launch.warps,
        )


def _rounds(count: int) -> int:
    """Rounds of a 32-ary search among `count` entries."""
    rounds = 1
    while _FAN**rounds < count:
        rounds += 1
    return rounds


def channel_table(lists: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """`[4, 64]`: the output channel of a component's frequency `8 * v + u`; -1 where the output (`lists`) has none."""
    table, first = np.full((4, 64), -1, np.int32), 0
    for component, frequencies in enumerate(lists):
        table[component, list(frequencies)] = first + np.arange(len(frequencies))
        first += len(frequencies)
    return table


def _check(packed: Tensor, out: Tensor, kinds: Sequence[torch.dtype]) -> None:
    if packed.dtype != torch.uint8 or packed.dim() != 1 or not packed.is_contiguous():
        raise ValueError(f"packed is a contiguous uint8 [nbytes], not {packed.dtype} {list(packed.shape)}")
    if packed.data_ptr() % 16 or packed.numel() % 16:
        raise ValueError("packed begins at a multiple of 16 bytes and holds a multiple of 16")
    if out.device != packed.device:
        raise ValueError(f"out is on {out.device}, packed on {packed.device}")
    if out.dtype not in kinds:
        raise ValueError(f"out is {', '.join(str(kind).removeprefix('torch.') for kind in kinds)}, not {out.dtype}")


# --------------------------------------------------------------------------------------------------------------- kernel


@triton.jit
def popcount(x, PORTABLE: tl.constexpr):
    """Set bits of an int32. The interpreter has no such instruction, and LLVM does not see through the sums for it."""
    if PORTABLE:
        x = x.to(tl.uint32)
        x = x - ((x >> 1) & 0x55555555)
        x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
        x = (x + (x >> 4)) & 0x0F0F0F0F
        x = x + (x >> 8)
        count = ((x + (x >> 16)) & 63).to(tl.int32)
    else:
        count = libdevice.popc(x)
    return count


@triton.jit
def _last_at_most(words, at, count, wanted, ROUNDS: tl.constexpr):
    """The last of `count` directory entries (4 words each, the field in question at word `at` of the first) that is not above
    `wanted`, which the first never is.
    """
    probe = tl.arange(0, 32)
    low = 0
    for i in tl.static_range(ROUNDS):
        step = 1 << (5 * (ROUNDS - 1 - i))
        index = low + probe * step
        value = tl.load(words + at + index.to(tl.int64) * 4, mask=index < count, other=0)
        low += (tl.sum(((index < count) & (value <= wanted)).to(tl.int32), axis=0) - 1) * step
    return low


@triton.jit
def _frequency(low, high, rank, PORTABLE: tl.constexpr):
    """Which bit of a 64-bit mask is the set bit number `rank`: halves, quarters, ... are counted and left behind."""
    lower = popcount(low, PORTABLE)
    place = tl.where(rank >= lower, 32, 0)
    word = tl.where(rank >= lower, high, low)
    rank = tl.where(rank >= lower, rank - lower, rank)
    for i in tl.static_range(5):
        width = 16 >> i
        some = popcount((word >> (place & 31)) & ((1 << width) - 1), PORTABLE)
        place = tl.where(rank >= some, place + width, place)
        rank = tl.where(rank >= some, rank - some, rank)
    return place & 63


@triton.jit
def _plane_counts(tile, length, channel, channels):
    """Plane counts out of a tile's nibbles; 0 for channels that it has not."""
    at = 2 + (channel >> 1)
    code = tl.load(tile + at, mask=(channel < channels) & (at < length), other=0).to(tl.int32)
    code = (code >> ((channel & 1) * 4)) & 15
    return tl.where(code == 15, 16, code)


@triton.jit
def _planes(tile, length, planes, mask_at, byte_at, group, high, low, PORTABLE: tl.constexpr):
    """Sums the planes of significance high-1 down to low, at most 8: a byte a lane, four lanes (a row of the group) an int32."""
    upper = tl.zeros_like(byte_at)
    lower = tl.zeros_like(byte_at)
    for i in range(high - low):
        place = high - 1 - i
        at = mask_at + planes - 1 - place
        mask = tl.load(tile + at, mask=(place < planes) & (at < length), other=0).to(tl.int32)
        here = byte_at + popcount(mask & ((1 << group) - 1), PORTABLE)
        byte = tl.load(tile + here, mask=((mask >> group) & 1 != 0) & (here < length), other=0).to(tl.int32)
        # Bit i of a nibble goes to bit 8 * i: of all i + 7 * j only j = i is a multiple of 8, and no two are equal.
        upper = upper * 2 + (((byte & 15) * 0x00204081) & 0x01010101)
        lower = lower * 2 + (((byte >> 4) * 0x00204081) & 0x01010101)
        byte_at += popcount(mask, PORTABLE)
    return upper, lower, byte_at


@triton.jit
def _chunk_values(tile, length, channels, channel, mask_at, byte_at, PORTABLE: tl.constexpr):
    """One chunk of channels: values without their base, int32 [CHUNK, 8, 2, 4] (group, row, column of the group), and where the
    next chunk's masks and bytes begin.
    """
    planes = _plane_counts(tile, length, channel, channels)
    masks_at = mask_at + tl.cumsum(planes, axis=0) - planes
    # All masks of a channel at once, to know how many bytes it has: one round of reads instead of one a plane.
    place = tl.arange(0, 16)[None, :]
    at = masks_at[:, None] + place
    masks = tl.load(tile + at, mask=(place < planes[:, None]) & (at < length), other=0)
    nbytes = tl.sum(popcount(masks.to(tl.int32), PORTABLE), axis=1)
    bytes_at = byte_at + tl.cumsum(nbytes, axis=0) - nbytes

    group = tl.arange(0, 8)[None, :]
    most = tl.max(planes, axis=0)
    here = bytes_at[:, None] + tl.zeros_like(group)
    up_0, up_1, here = _planes(tile, length, planes[:, None], masks_at[:, None], here, group, tl.maximum(most, 8), 8, PORTABLE)
    low_0, low_1, here = _planes(tile, length, planes[:, None], masks_at[:, None], here, group, tl.minimum(most, 8), 0, PORTABLE)

    shift = (tl.arange(0, 4) * 8)[None, None, None, :]
    folded = (tl.join(low_0, low_1)[:, :, :, None] >> shift) & 255
    folded |= ((tl.join(up_0, up_1)[:, :, :, None] >> shift) & 255) << 8
    return (folded >> 1) ^ -(folded & 1), mask_at + tl.sum(planes, axis=0), byte_at + tl.sum(nbytes, axis=0)


@triton.jit
def _repeated(place, repeat, first, luma_first, factor, luma_factor, count):
    """Where on luma's axis a component's blocks `place` of the record go for the `repeat`-th time: to all that lie over them, `x`
    with `floor(x * factor / luma_factor)` equal to the block's place in the image. And whether they go there.
    """
    whole = (place + first) * luma_factor
    to = (whole + factor - 1) // factor + repeat
    to_own = to - luma_first
    return to_own, (place >= 0) & (to * factor < whole + luma_factor) & (to_own >= 0) & (to_own < count)


@triton.jit(do_not_specialize=["num_components", "num_images", "rows", "cols"])
def _unpack_kernel(
    packed,  # the batch as uint8, int16, int32, int64
    packed16,
    packed32,
    packed64,
    out,
    channel_of,  # int32 [4, 64]; from here on of the dense form only
    mean,  # float32 [channels]
    gain,  # float32 [channels]
    flip,  # uint8 [images]
    num_components,
    num_images,
    rows,
    cols,
    stride_image,
    stride_channel,
    stride_row,
    stride_col,
    DEQUANTIZE: tl.constexpr,
    DENSE: tl.constexpr,
    NORMALIZE: tl.constexpr,
    HAS_FLIP: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
    WIDE: tl.constexpr,
    COMPONENT_ROUNDS: tl.constexpr,
    IMAGE_ROUNDS: tl.constexpr,
    CHUNK: tl.constexpr,
    PORTABLE: tl.constexpr,
):
    # The tile's component record, its entry in the tile table, its bytes.
    tile_index = tl.program_id(0)
    entries = 16 + num_images * 4  # in words of 4 bytes, as all of the following
    component = _last_at_most(packed32, entries + 1, num_components, tile_index, COMPONENT_ROUNDS)
    entry = entries + component.to(tl.int64) * 4
    # Offsets are unsigned: a record may have nearly 2^32 bytes, a batch 2^36.
    record = (tl.load(packed32 + entry).to(tl.int64) & 0xFFFFFFFF) * 4
    number = tile_index - tl.load(packed32 + entry + 1)
    low, high = tl.load(packed32 + record), tl.load(packed32 + record + 1)
    tiles = tl.load(packed32 + record + 5)
    table_at, payload_at = tl.load(packed32 + record + 6), tl.load(packed32 + record + 7)
    facts, place = tl.load(packed32 + record + 9), tl.load(packed32 + record + 10)
    channels = facts & 0xFF
    own = (place >> 24) & 0xFF
    image_record = record - 16 - 48 * own
    table = image_record + ((table_at.to(tl.int64) & 0xFFFFFFFF) >> 2) + number
    begin, end = tl.load(packed32 + table), tl.load(packed32 + table + 1)
    length = (end - begin) * 16
    tile_at = image_record * 4 + (payload_at.to(tl.int64) & 0xFFFFFFFF) + (begin.to(tl.int64) & 0xFFFFFFFF) * 16
    tile = packed + tile_at
    tiles_x = tiles & 0xFFFF
    base = 0
    if low & 1:  # DC is kept
        base = tl.load(packed16 + (tile_at >> 1)).to(tl.int32)
    mask_at = 2 + ((channels + 1) >> 1)
    byte_at = mask_at + tl.sum(_plane_counts(tile, length, tl.arange(0, 64), channels), axis=0)

    if DENSE:
        image = _last_at_most(packed32, 19, num_images, component, IMAGE_ROUNDS)
    for chunk in range(0, channels, CHUNK):
        channel = chunk + tl.arange(0, CHUNK)
        values, mask_at, byte_at = _chunk_values(tile, length, channels, channel, mask_at, byte_at, PORTABLE)
        values += tl.where(channel == 0, base, 0)[:, None, None, None]
        # In int16 the sum wraps, as the format says. Then groups [4, 2] of rows and columns [2, 4] -> [8 rows, 8 columns].
        values = tl.reshape(values.to(tl.int16), (CHUNK, 4, 2, 2, 4))
        values = tl.reshape(tl.permute(values, (0, 1, 3, 2, 4)), (CHUNK, 8, 8))

        has = channel < channels
        if DEQUANTIZE:
            frequency = _frequency(low, high, channel, PORTABLE)
            step = tl.load(packed16 + record * 2 + 32 + frequency, mask=has, other=0).to(tl.int32) & 0xFFFF
            real = values.to(tl.float32) * step.to(tl.float32)[:, None, None]
            if DENSE:
                target = tl.load(channel_of + own * 64 + frequency, mask=has, other=-1)
                has = target >= 0
                target = tl.maximum(target, 0)
            if HAS_FLIP:
                is_flipped = tl.load(flip + image) != 0
                real = tl.where((is_flipped & ((frequency & 1) != 0))[:, None, None], -real, real)
            if NORMALIZE:
                real = (real - tl.load(mean + target)[:, None, None]) * tl.load(gain + target)[:, None, None]
            result = real.to(out.dtype.element_ty)
        else:
            result = values
        # Read again for each chunk: kept over the loop, these facts and what follows from them cost 40 registers.
        size, place = tl.load(packed32 + record + 4), tl.load(packed32 + record + 10)
        width, height = size & 0xFFFF, (size >> 16) & 0xFFFF
        skip_x, skip_y = (place >> 8) & 0xFF, (place >> 16) & 0xFF
        whole_col = number % tiles_x * 8
        row = number // tiles_x * 8 - skip_y + tl.arange(0, 8)
        col = whole_col - skip_x + tl.arange(0, 8)
        is_row = ((row >= 0) & (row < height))[None, :, None]
        is_col = ((col >= 0) & (col < width))[None, None, :]
        is_value = has[:, None, None] & is_row & is_col

        if DENSE:
            plane = out + image.to(tl.int64) * stride_image
            # The first block, and the factors, of luma and of this component.
            luma, luma_facts = tl.load(packed32 + image_record + 19), tl.load(packed32 + image_record + 25)
            first = tl.load(packed32 + record + 3)
            h, v = (facts >> 16) & 0xFF, (facts >> 24) & 0xFF
            luma_h, luma_v = (luma_facts >> 16) & 0xFF, (luma_facts >> 24) & 0xFF
            luma_x, luma_y = luma & 0xFFFF, (luma >> 16) & 0xFFFF
            first_x, first_y = first & 0xFFFF, (first >> 16) & 0xFFFF
            # Where a row of the tile is 8 columns from a multiple of 8 on, let the compiler see it and store 16 bytes at once.
            is_whole = (h == luma_h) & (skip_x == 0) & (whole_col + 8 <= width) & (whole_col + 8 <= cols) & (first_x == luma_x)
            for y in range((luma_v + v - 1) // v):
                to_row, fits_row = _repeated(row, y, first_y, luma_y, v, luma_v, rows)
                if WIDE and is_whole:
                    lead = out + image.to(tl.int64) * (stride_image // 8 * 8) + whole_col
                    at = (target * (stride_channel // 8 * 8))[:, None] + (to_row * (stride_row // 8 * 8))[None, :]
                    at = at[:, :, None] + tl.arange(0, 8)[None, None, :]
                    tl.store(lead + at, result, mask=has[:, None, None] & is_row & fits_row[None, :, None])
                else:
                    for x in range((luma_h + h - 1) // h):
                        to_col, fits_col = _repeated(col, x, first_x, luma_x, h, luma_h, cols)
                        if HAS_FLIP:
                            to_col = tl.where(is_flipped, cols - 1 - to_col, to_col)
                        at = (to_row * stride_row)[:, None] + (to_col * stride_col)[None, :]
                        at = (target * stride_channel)[:, None, None] + at[None, :, :]
                        fits = is_value & (fits_row[:, None] & fits_col[None, :])[None, :, :]
                        if CHANNELS_LAST:  # channels are next to one another in memory: let neighbouring threads have them
                            at, fits = tl.permute(at, (1, 2, 0)), tl.permute(fits, (1, 2, 0))
                            tl.store(plane + at, tl.permute(result, (1, 2, 0)), mask=fits)
                        else:
                            tl.store(plane + at, result, mask=fits)
        else:
            first_value = tl.load(packed64 + (entry >> 1) + 1)
            area = width * height
            # 32 bits hold an offset from the chunk's first plane (at most 2^26 blocks each), and cost half the registers.
            plane = out + (first_value + chunk * area.to(tl.int64))
            at = (tl.arange(0, CHUNK) * area)[:, None, None] + (row[:, None] * width + col[None, :])[None, :, :]
            tl.store(plane + at, result, mask=is_value)
