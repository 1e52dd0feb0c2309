"""The portable unpacker: all tiles of a batch at once, in torch, on any device. docs/wire-format.md, section 6."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dctload import _core
from dctload.ops.facts import BatchFacts, Int

# Values that are worked on at a time, at about 60 bytes each: on the CPU what its caches and allocator like (measured: twice as
# quick as 2^22), elsewhere enough for a device.
_CHUNK = 1 << 18
_CHUNK_ON_DEVICE = 1 << 22

_SIDE = _core.TILE_SIDE


def unpack_tiles(packed: Tensor, facts: BatchFacts) -> Tensor:
    """The coefficients of a batch, int16 `[values]`, by image, component and `[K, rows, cols]`, on the device of `packed`.

    A byte at or past the end of its tile reads as 0 and stores stay inside the rectangles, so no payload leads outside.

    Args:
        packed: uint8 `[nbytes]`, a checked batch.
        facts: What its records say.
    """
    out = torch.zeros(facts.num_values, dtype=torch.int16, device=packed.device)
    channels = facts.components.channels
    chunk = _CHUNK if packed.device.type == "cpu" else _CHUNK_ON_DEVICE
    for k in np.unique(channels[channels > 0]).tolist():
        tiles = _Tiles.of(facts, np.flatnonzero(channels == k))
        step = max(1, chunk // (_core.TILE_BLOCKS * k))
        for first in range(0, len(tiles.table), step):
            _unpack(packed, tiles.part(first, first + step), k, out)
    return out


@dataclass(frozen=True)
class _Tiles:
    """Numbers of tiles with one K, on the host, `[n]` each."""

    table: Int  # byte of the tile's own entry in its table
    payload: Int
    row: Int  # of the tile's first block in the rectangle; negative after a cut
    col: Int
    rows: Int  # of the rectangle
    cols: Int
    first_value: Int
    has_dc: Int

    @classmethod
    def of(cls, facts: BatchFacts, rows: Int) -> _Tiles:
        parts = facts.components
        counts = parts.tiles[rows]
        m = np.repeat(rows, counts)
        t = np.arange(len(m)) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(
            table=parts.table[m] + 4 * t,
            payload=parts.payload[m],
            row=t // parts.tiles_x[m] * _SIDE - parts.skip_y[m],
            col=t % parts.tiles_x[m] * _SIDE - parts.skip_x[m],
            rows=parts.rows[m],
            cols=parts.cols[m],
            first_value=parts.first_value[m],
            has_dc=(parts.mask[m] & np.uint64(1)).astype(np.int64),
        )

    def part(self, first: int, last: int) -> Int:
        """`[8, n]`, one row a field, in the order above."""
        fields = (self.table, self.payload, self.row, self.col, self.rows, self.cols, self.first_value, self.has_dc)
        return np.stack([field[first:last] for field in fields])


def _unpack(packed: Tensor, numbers: Int, k: int, out: Tensor) -> None:
    table, payload, row, col, rows, cols, first_value, has_dc = torch.from_numpy(numbers).to(packed.device)
    start = payload + _core.ALIGN * _entry(packed, table)
    end = (payload + _core.ALIGN * _entry(packed, table + 4)).clamp(max=packed.numel())
    base = _byte(packed, start, end) | _byte(packed, start + 1, end) << 8
    folded = _folded(packed, start[:, None], end[:, None], k)
    values = folded >> 1 ^ -(folded & 1)  # 0, 1, 2, 3 -> 0, -1, 1, -2
    values[:, 0] += torch.where(has_dc > 0, base, 0)[:, None].to(torch.int32)
    y, x = (row[:, None] + _steps(row))[:, :, None], (col[:, None] + _steps(col))[:, None, :]
    rows, cols = rows[:, None, None], cols[:, None, None]
    inside = ((y >= 0) & (y < rows) & (x >= 0) & (x < cols))[:, None].expand(-1, k, -1, -1)
    place = first_value[:, None, None] + y * cols + x
    channel = torch.arange(k, device=row.device)[:, None, None] * (rows * cols)[:, None]
    values = values[:, :, _lanes(row.device)].view(-1, k, _SIDE, _SIDE)
    out[(place[:, None] + channel)[inside]] = values[inside].to(torch.int16)  # wraps, as the format's arithmetic does


def _folded(packed: Tensor, start: Tensor, end: Tensor, k: int) -> Tensor:
    """int32 `[n, k, 64]`: the zigzag-folded values of tiles, by lane."""
    device, counts = packed.device, _bit_counts(packed.device)
    channel = torch.arange(k, device=device)
    nibble = _byte(packed, start + 2 + channel // 2, end) >> 4 * (channel & 1) & 15
    planes = torch.where(nibble == 15, 16, nibble)
    at = start + 2 + (k + 1) // 2
    masks_at = at + planes.cumsum(1) - planes
    depth = int(planes.max())
    masks = [torch.where(planes > p, _byte(packed, masks_at + p, end), 0) for p in range(depth)]
    stored = torch.zeros_like(planes)
    for mask in masks:
        stored = stored + counts[mask]
    byte_at = at + planes.sum(1, keepdim=True) + stored.cumsum(1) - stored
    group = torch.arange(8, device=device)
    folded = torch.zeros((*planes.shape, 8, 8), dtype=torch.int32, device=device)
    for p, mask in enumerate(masks):
        below = counts[mask[..., None] & (1 << group) - 1]
        byte = torch.where(mask[..., None] >> group & 1 > 0, _byte(packed, byte_at[..., None] + below, end[..., None]), 0)
        bits = (byte[..., None] >> group & 1).to(torch.int32)
        folded = torch.where((planes > p)[..., None, None], 2 * folded + bits, folded)
        byte_at = byte_at + counts[mask]
    return folded.flatten(2)


def _byte(packed: Tensor, at: Tensor, end: Tensor) -> Tensor:
    """int64: bytes of tiles; 0 at or past the end."""
    inside = at < end
    return torch.where(inside, packed[torch.where(inside, at, 0)].to(torch.int64), 0)


def _entry(packed: Tensor, at: Tensor) -> Tensor:
    """int64: u32 numbers of tile tables."""
    four = packed[at[:, None] + torch.arange(4, device=at.device)].to(torch.int64)
    return (four << 8 * torch.arange(4, device=at.device)).sum(1)


def _steps(like: Tensor) -> Tensor:
    return torch.arange(_SIDE, device=like.device)


def _bit_counts(device: torch.device) -> Tensor:
    """int64 `[256]`: bits set in a byte."""
    return (torch.arange(256, device=device)[:, None] >> torch.arange(8, device=device) & 1).sum(1)


def _lanes(device: torch.device) -> Tensor:
    """int64 `[64]`: the lane of block (y, x) of a tile, row by row; groups of 8 lanes are areas of 2 rows x 4 columns."""
    y, x = torch.arange(_SIDE, device=device)[:, None], torch.arange(_SIDE, device=device)
    return (y >> 1 << 4 | x >> 2 << 3 | (y & 1) << 2 | x & 3).flatten()
