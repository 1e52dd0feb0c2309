"""The C++ core (csrc/python): plain values in and out; dctload's modules make types and errors of them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer as _Buffer

Buffer: TypeAlias = _Buffer | NDArray[Any]  # an array is a buffer too; NumPy's stubs say so from Python 3.12 on

Result: TypeAlias = tuple[int, int, int]  # code, detail, offset; code 0 is ok
Limits: TypeAlias = tuple[int, int, int, int]  # pixels, components, scans, bytes
Box: TypeAlias = tuple[int, int, int, int]  # top, left, height, width
Masks: TypeAlias = tuple[int, int, int]  # y, cb, cr
Fault: TypeAlias = tuple[str, int, int]  # what, offset in the buffer, image or -1
ComponentFacts: TypeAlias = tuple[int, int, int, int, int, NDArray[np.uint16]]  # id, h, v, block_rows, block_cols, table
HeaderFacts: TypeAlias = tuple[
    # width, height, precision, orientation, process, color, restart_interval, num_mcus
    int, int, int, int, int, int, int, int, tuple[ComponentFacts, ...]
]
Planes: TypeAlias = tuple[NDArray[np.int16], ...]  # [channels, rows, cols] by component
# header, region, masks by component, planes, status, loss, valid_mcus, warnings
DecodedImage: TypeAlias = tuple[HeaderFacts, Box, tuple[int, ...], Planes, int, Result, int, int]
# header, region, masks by component, planes, status, valid_mcus
UnpackedImage: TypeAlias = tuple[HeaderFacts, Box, tuple[int, ...], Planes, int, int]
# header, region, masks by component, status, valid_mcus
Description: TypeAlias = tuple[HeaderFacts, Box, tuple[int, ...], int, int]
Decoded: TypeAlias = tuple[int, int | None]  # bytes of the batch, the first image that failed
RecordFacts: TypeAlias = tuple[int, int, int, int, int]  # offset, bytes, status, error code, error offset

CODES: tuple[tuple[str, str, str, bool, bool], ...]  # name, text, remedy, is_unsupported, is_limit; by number
FORMATS: tuple[str, ...]
WARNINGS: tuple[str, ...]  # by bit
ZIGZAG: tuple[int, ...]  # zigzag position -> frequency 8 * v + u

WIRE_MAJOR: int
WIRE_MINOR: int
ALIGN: int
MAX_RECORD_BYTES: int
MAX_BATCH_BYTES: int
MAX_TILES: int
MAX_TILE_BYTES: int
MAX_GRID: int
TILE_BLOCKS: int
TILE_SIDE: int
STATUS_FAILED: int

def cpu_level() -> str: ...
def read_header(source: Buffer, limits: Limits) -> tuple[Result, HeaderFacts | None, int]: ...
def decode(
    source: Buffer, selection: Masks, box: Box | None, limits: Limits, keep_truncated: bool
) -> tuple[Result, DecodedImage | None]: ...

class OpenBatch:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...  # TypeError: BatchExtractor.open makes it
    # int64 [10, B]: code, width, height, orientation, process, color, num_components, detail (-1: not known), offset, file bytes;
    # int64 [2, B, 4]: h, v
    def headers(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
    def bytes(self, i: int) -> bytes: ...

class BatchExtractor:
    def __init__(self, num_threads: int) -> None: ...
    @property
    def num_threads(self) -> int: ...
    # A str among sources is a path. Masks: one for all, or uint64 [B, 3]; boxes: int64 [B, 4], height 0 for whole images.
    def open(self, sources: Sequence[Buffer | str], limits: Limits) -> OpenBatch: ...
    # Image i is the record of nbytes[i] bytes at offset[i] of buffers[shard[i]]; int64 [B]. One that would pass the buffer's end,
    # or names no buffer, is opened as damaged.
    def open_records(
        self, buffers: list[Buffer], shard: NDArray[np.int64], offset: NDArray[np.int64], nbytes: NDArray[np.int64]
    ) -> OpenBatch: ...
    def decode(
        self,
        sources: Sequence[Buffer | str],
        masks: Masks | NDArray[np.uint64],
        boxes: NDArray[np.int64] | None,
        limits: Limits,
        keep_truncated: bool,
    ) -> Decoded: ...
    def decode_open(
        self,
        batch: OpenBatch,
        places: NDArray[np.int64],
        masks: Masks | NDArray[np.uint64],
        boxes: NDArray[np.int64] | None,
        keep_truncated: bool,
        checked: NDArray[np.bool_] | None = None,  # [n], of records: their tiles' checksum was computed before, and was right
    ) -> Decoded: ...
    def outcomes(self) -> NDArray[np.int64]: ...  # [B, 3], a Result a row; a detail of -1 is not known
    # uint8 [size], 64-aligned: memory of earlier batches that nobody holds any longer.
    def empty(self, size: int) -> NDArray[np.uint8]: ...
    # Bytes of the batch, fewer than decode_open said if a record proves damaged only now; and [B, 5], RecordFacts a row.
    def write(self, out: Buffer) -> tuple[int, NDArray[np.int64]]: ...
    def forget(self) -> None: ...

def aligned_empty(size: int) -> NDArray[np.uint8]: ...
def crc32c(buffer: Buffer, crc: int = 0) -> int: ...  # CRC-32C of all that `crc` is of, and of the buffer behind it
def records(batch: Buffer, deep: bool = False) -> tuple[Fault | None, list[RecordFacts]]: ...
def records_of_own(batch: Buffer) -> list[RecordFacts]: ...

# Of a batch that `records` has checked, in the order of ops.facts: int64 [10, B], int64 [B, 4], int64 [20, M], uint64 [M],
# uint16 [M, 64]. ValueError where anything would lie outside it.
def batch_facts(
    batch: Buffer,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint16]]: ...
def check_record(record: Buffer, deep: bool = False) -> Fault | None: ...
def join(records: list[Buffer]) -> tuple[Fault | None, NDArray[np.uint8] | None]: ...
def select(batch: Buffer, selections: Sequence[Masks]) -> tuple[Fault | None, int | None, NDArray[np.uint8] | None]: ...
def cut(batch: Buffer, boxes: Sequence[Box | None]) -> tuple[Fault | None, int | None, NDArray[np.uint8] | None]: ...
def describe(record: Buffer) -> Description | None: ...
def unpack(batch: Buffer) -> tuple[Fault | None, list[UnpackedImage | None]]: ...
def pack(planes: list[NDArray[np.int16]], facts: HeaderFacts, status: int, valid_mcus: int) -> tuple[Result, bytes]: ...
def bound(headers: list[HeaderFacts], selections: Sequence[Masks], boxes: Sequence[Box | None]) -> tuple[int | None, int]: ...

# csrc/ops. Neither is for use from two threads at once; a forked child starts threads of its own. A batch is one that `records`
# has checked; whatever it holds, nothing outside it is read. ValueError for an array of another type, shape or order.
class Unpacker:
    def __init__(self, num_threads: int) -> None: ...
    @property
    def num_threads(self) -> int: ...
    # Planes [channels, rows, cols] of every component of every image, one behind the other, fill `out` exactly: int16, or
    # float32 times the quantisation steps where `dequantize`.
    def unpack(self, batch: Buffer, dequantize: bool, out: NDArray[np.int16] | NDArray[np.float32]) -> None: ...

class Resampler:
    def __init__(self, num_threads: int) -> None: ...
    @property
    def num_threads(self) -> int: ...
    # dctload.ops.geometry has the meaning of these numbers. out: [N, C, block rows, block columns] for the output frequencies
    # `masks`, or [N, 3, height, width] level-shifted Y, Cb, Cr where it is None; every value is written: x * scale + bias.
    def resample(
        self,
        batch: Buffer,
        images: NDArray[np.int64] | None,  # [N]; None: 0 .. N - 1
        box: NDArray[np.float64],  # [N, 2, 2]
        valid: NDArray[np.float64],  # [N, 2, 2], whole numbers
        present: NDArray[np.float64] | None,  # [N, 2, 2], whole numbers; None: the whole images
        transposed: NDArray[np.uint8],  # [N]
        size: tuple[int, int],
        padding_mode: int,  # place in PADDING_MODES
        fill: NDArray[np.float32] | None,  # [N, 3]
        blur_y: NDArray[np.float64] | None,  # [N, taps]
        blur_x: NDArray[np.float64] | None,  # [N, taps]
        requantize: NDArray[np.uint16] | None,  # [N, 2, 64]
        masks: Masks | None,
        scale: NDArray[np.float32] | None,  # [N, C]
        bias: NDArray[np.float32] | None,  # [N, C]
        out: NDArray[np.float32],
    ) -> None: ...
