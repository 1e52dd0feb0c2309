"""A slow reader of the packed format, written from docs/wire-format.md alone: it refuses whatever the page forbids.

`read_batch` and `read_record` check every rule they can see, the canonical form of each tile among them, and raise
AssertionError with the rule's name. `seal_*` recompute checksums, so that tests can write lies with a right checksum.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

HEADER = struct.Struct("<4sBBHIIHHBBBBBBBBI4HIHHI8sI")
COMPONENT = struct.Struct("<Q8HIIIBBBBBBBB20s")
BATCH = struct.Struct("<4sBBHQIIII28sI")
COLORS = ("unknown", "gray", "ycbcr", "rgb", "cmyk", "ycck")
PROCESSES = ("baseline", "extended", "progressive")
STATUSES = ("ok", "truncated", "failed", "damaged")

# Where block (y, x) of a tile sits among its 64 lanes.
LANES = np.array([[(y >> 1) << 4 | (x >> 2) << 3 | (y & 1) << 2 | (x & 3) for x in range(8)] for y in range(8)])


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C: Castagnoli, reflected, inverted first and last."""
    state = 0xFFFFFFFF
    for byte in data:
        state = state >> 8 ^ _CRC[(state ^ byte) & 0xFF]
    return state ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Component:
    """One component record and its values."""

    frequencies: tuple[int, ...]
    block_rows: int
    block_cols: int
    x0: int
    y0: int
    id: int
    h: int
    v: int
    skip_x: int
    skip_y: int
    quantization: np.ndarray
    plane: np.ndarray  # int16 [kept, h, w]


@dataclass(frozen=True)
class Record:
    """One image record."""

    width: int
    height: int
    color: str
    orientation: int
    process: str
    status: str
    valid_mcus: int
    region: tuple[int, int, int, int]
    error_offset: int
    error_code: int
    restart_interval: int
    components: list[Component] = field(default_factory=list)

    @property
    def planes(self) -> list[np.ndarray]:
        return [c.plane for c in self.components]


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise AssertionError(f"wire format: {rule}")


def read_tile(data: bytes, channels: int, dc: bool) -> np.ndarray:
    """int16 [channels, 8, 8] of one tile of `channels` kept frequencies."""
    base = int.from_bytes(data[:2], "little", signed=True)
    require(dc or base == 0, "base without DC")
    nibbles = [nibble for byte in data[2 : 2 + (channels + 1) // 2] for nibble in (byte & 15, byte >> 4)]
    require(len(nibbles) == channels or nibbles[-1] == 0, "last nibble of an odd count")
    planes = [16 if n == 15 else n for n in nibbles[:channels]]
    mask_at = 2 + (channels + 1) // 2
    at = mask_at + sum(planes)
    masks = list(data[mask_at:at])
    out = np.zeros((channels, 64), np.uint32)
    for k, count in enumerate(planes):
        for p in range(count):
            mask = masks.pop(0)
            require(p > 0 or mask != 0 or count == 16, "plane count is not the smallest")
            groups = np.zeros(8, np.uint8)
            for group in range(8):
                if mask >> group & 1:
                    require(data[at] != 0, "a stored byte of zero")
                    groups[group] = data[at]
                    at += 1
            out[k] = out[k] << 1 | np.unpackbits(groups, bitorder="little")
    require(len(data) == -(-at // 16) * 16 and not any(data[at:]), "padding of a tile")
    values = (out >> 1).astype(np.int32) ^ -(out & 1).astype(np.int32)
    if dc:
        values[0] += base
    unfolded: np.ndarray = values.astype(np.int16)[:, LANES]
    return unfolded


def check_outside(tile: np.ndarray, rows: int, cols: int, dc: bool) -> None:
    """A fresh tile repeats the nearest block's DC outside its rectangle and has no AC there."""
    inside = np.zeros((8, 8), bool)
    inside[:rows, :cols] = True
    nearest = tile[0][np.minimum(np.arange(8), rows - 1)][:, np.minimum(np.arange(8), cols - 1)]
    require(not dc or np.array_equal(tile[0], nearest), "DC outside the rectangle")
    require(not tile[int(dc) :, ~inside].any(), "AC outside the rectangle")


def check_base(data: bytes, tile: np.ndarray) -> None:
    low, high = int(tile[0].min()), int(tile[0].max())
    require(int.from_bytes(data[:2], "little", signed=True) == (low + high + 1) >> 1, "base of a tile")


def read_record(data: bytes, *, fresh: bool = True) -> Record:
    """An image record; `fresh` ones come from a file, not from a cut, and have one right form."""
    require(len(data) >= 64 and len(data) % 16 == 0, "size of a record")
    (
        (magic, major, minor, flags, total, meta, width, height, count, color, precision, orientation),
        (h_max, v_max, process, status, valid, top, left, rows, cols, error_offset, error_code, restart),
        (payload_crc, reserved, meta_crc),
    ) = (lambda f: (f[:12], f[12:24], f[24:]))(HEADER.unpack_from(data))
    require((magic, major, minor, flags) == (b"DCTI", 1, 0, 0), "magic, version, flags")
    require(total == len(data) and meta <= total, "record_bytes, meta_bytes")
    require(reserved == bytes(8), "reserved bytes of the header")
    require(crc32c(data[:60] + bytes(4) + data[64:meta]) == meta_crc, "meta checksum")
    require(crc32c(data[meta:]) == payload_crc, "payload checksum")
    require(color < len(COLORS) and process < 3 and status < 4 and count <= 4, "enumerations")
    require(status in (1, 3) or valid == 0, "valid MCUs without a loss")
    require(status == 2 or (error_offset, error_code) == (0, 0), "error without failure")
    record = Record(
        width, height, COLORS[color], orientation, PROCESSES[process], STATUSES[status], valid,
        (top, left, rows, cols), error_offset, error_code, restart,
    )  # fmt: skip
    if status == 2:
        require(count == 0 and total == 64, "a failed image is 64 bytes")
        return record
    require(precision == 8 and 1 <= orientation <= 8 and count >= 1, "precision, orientation, components")
    table_at = 64 + 192 * count
    payload_at = meta
    for index in range(count):
        at = 64 + 192 * index
        (
            (mask, grid_cols, grid_rows, x0, y0, w, h, tiles_x, tiles_y, table, payload, payload_bytes),
            (channels, identifier, hf, vf, reserved0, skip_x, skip_y, own, reserved1),
        ) = (lambda f: (f[:12], f[12:]))(COMPONENT.unpack_from(data, at))
        require(reserved0 == 0 and reserved1 == bytes(20) and own == index, "component record")
        require(1 <= hf <= h_max <= 4 and 1 <= vf <= v_max <= 4, "factors")
        require(channels == mask.bit_count(), "channel count")
        require(grid_cols == -(-(-(-width * hf // h_max)) // 8), "grid columns")  # noqa: B002
        require(grid_rows == -(-(-(-height * vf // v_max)) // 8), "grid rows")  # noqa: B002
        require(x0 + w <= grid_cols and y0 + h <= grid_rows, "rectangle")
        require(skip_x < 8 and skip_y < 8 and (not fresh or (skip_x, skip_y) == (0, 0)), "skip")
        want_tiles = (-(-(skip_x + w) // 8), -(-(skip_y + h) // 8)) if channels else (0, 0)
        require((tiles_x, tiles_y) == want_tiles, "tiles")
        require(table == table_at and payload == payload_at, "sections stand back to back")
        starts = struct.unpack_from(f"<{tiles_x * tiles_y + 1}I", data, table)
        require(starts[0] == 0 and starts[-1] * 16 == payload_bytes, "ends of a tile table")
        table_end = table + 4 * len(starts)
        table_at = -(-table_end // 16) * 16
        require(not any(data[table_end:table_at]), "padding of a tile table")
        payload_at += payload_bytes
        values = np.zeros((channels, 8 * tiles_y, 8 * tiles_x), np.int16)
        for t in range(tiles_x * tiles_y):
            y, x = divmod(t, tiles_x)
            raw = data[payload + 16 * starts[t] : payload + 16 * starts[t + 1]]
            tile = read_tile(raw, channels, bool(mask & 1))
            if fresh:
                check_outside(tile, min(8, h - 8 * y), min(8, w - 8 * x), bool(mask & 1))
                if mask & 1:
                    check_base(raw, tile)
            values[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = tile
        plane = values[:, skip_y : skip_y + h, skip_x : skip_x + w] if channels else np.zeros((0, h, w), np.int16)
        table_values = np.frombuffer(data, "<u2", 64, at + 64).copy()
        kept = tuple(f for f in range(64) if mask >> f & 1)
        require(bool(table_values[list(kept)].all()), "quantisation by zero")
        record.components.append(
            Component(kept, grid_rows, grid_cols, x0, y0, identifier, hf, vf, skip_x, skip_y, table_values, plane)
        )
    require(table_at == meta and payload_at == total, "sections end where they should")
    return record


def split_batch(data: bytes) -> list[bytes]:
    """The records of a batch, after a check of its header and of the directory that follows from them."""
    magic, major, minor, flags, total, images, components, tiles, first, reserved, crc = BATCH.unpack_from(data)
    require((magic, major, minor, flags, reserved) == (b"DCTB", 1, 0, 0, bytes(28)), "batch header")
    require(total == len(data) and first == 64 + 16 * (images + components), "sizes of a batch")
    require(crc32c(data[:60] + bytes(4) + data[64:first]) == crc, "directory checksum")
    records = []
    for i in range(images):
        offset, size, _ = struct.unpack_from("<QII", data, 64 + 16 * i)
        require(offset + size <= total, "an entry inside the batch")
        records.append(data[offset : offset + size])
    require(join_records(records) == data, "the directory follows from the records")
    require(tiles == sum(a * b for r in records for a, b in _tiles(r)), "tiles in all")
    return records


def _tiles(record: bytes) -> list[tuple[int, int]]:
    return [struct.unpack_from("<2H", record, 64 + 192 * i + 20) for i in range(record[20])]


def join_records(records: list[bytes]) -> bytes:
    """The batch of these records."""
    components = sum(r[20] for r in records)
    first = at = 64 + 16 * (len(records) + components)
    entries, blocks = bytearray(), bytearray()
    tiles = values = 0
    for r in records:
        entries += struct.pack("<QII", at, len(r), len(blocks) // 16)
        for i, (tiles_x, tiles_y) in enumerate(_tiles(r)):
            here = 64 + 192 * i
            blocks += struct.pack("<IIQ", (at + here) // 16, tiles, values)
            w, h = struct.unpack_from("<2H", r, here + 16)
            tiles += tiles_x * tiles_y
            values += r[here + 36] * w * h
        at += len(r)
    head = BATCH.pack(b"DCTB", 1, 0, 0, at, len(records), components, tiles, first, bytes(28), 0)
    crc = crc32c(head + entries + blocks)
    return head[:60] + struct.pack("<I", crc) + bytes(entries) + bytes(blocks) + b"".join(records)


def seal_record(record: bytes) -> bytes:
    """The record with both checksums made right."""
    meta = struct.unpack_from("<I", record, 12)[0]
    out = bytearray(record)
    struct.pack_into("<I", out, 48, crc32c(record[meta:]))
    struct.pack_into("<I", out, 60, 0)
    struct.pack_into("<I", out, 60, crc32c(bytes(out[:meta])))
    return bytes(out)


def read_batch(data: bytes, *, fresh: bool = True) -> list[Record]:
    """All records of a batch, checked."""
    return [read_record(r, fresh=fresh) for r in split_batch(data)]
