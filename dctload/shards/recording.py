"""From samples of a source to rows of a shard: read, decode, pack; and what becomes of samples that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.errors import JPEGError, UnsupportedJPEG, code_number, error_from_code
from dctload.jpeg import WITHOUT_YCBCR
from dctload.packed import Extractor, OpenImages, PackedBatch
from dctload.shards.layout import shard_schema
from dctload.shards.naming import SampleNames, printable, target_columns
from dctload.shards.resized import Changer, Quantization
from dctload.transcode import transcode

if TYPE_CHECKING:
    import pyarrow as pa

    from dctload._core import Buffer
    from dctload.shards.plan import Plan
    from dctload.sources import Source

# What one batch holds: enough for threads to share, little enough that memory stays flat whatever a shard's size. The bounds
# depend on the source alone, so that a shard has the same bytes whatever the machine.
_BATCH_IMAGES = 64
_BATCH_BYTES = 4 << 20
_MOST_RECORD = 2**31 - 1  # bytes, as the index counts them


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of a shard.

    Attributes:
        batch: By `shard_schema`.
        images: Rows that have a record.
        nbytes: Bytes of the records.
        source_bytes: Bytes of the files, those of failed samples included.
        error: Of the first sample without a record, or None.
    """

    batch: pa.RecordBatch
    images: int
    nbytes: int
    source_bytes: int
    error: JPEGError | None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows, bytes read and bytes of records."""
        return len(self.batch), self.source_bytes, self.nbytes


@dataclass(eq=False)
class _Sample:
    """One row in the making: a record, or an error with its words."""

    key: str
    source_bytes: int
    record: memoryview | None = None
    size: tuple[int, int, int] | None = None  # width, height, orientation
    status: str = "ok"
    error: JPEGError | None = None
    words: str | None = None


class Recorder:
    """Turns samples into rows. Its threads and memory are kept from batch to batch; one thread at a time may use it.

    Args:
        source: Of the samples.
        plan: Says which channels are kept, and what is accepted.
        num_threads: That decode; more than a batch has images do nothing.
    """

    def __init__(self, source: Source, plan: Plan, num_threads: int) -> None:
        self._source, self._plan = source, plan
        self._names = SampleNames(source)
        num_threads = min(num_threads, _BATCH_IMAGES)
        self._extractor = Extractor(num_threads)
        self._selection, self._limits = plan.selection, plan.bounds
        self._changer: Changer | None = None
        if plan.quantization != str(Quantization()):
            self._changer = Changer(Quantization.parse(plan.quantization), plan.selection, num_threads)
            self._selection = self._changer.source_selection

    def rows(self, samples: Sequence[int]) -> Iterator[Rows]:
        """The rows of samples, in their order, some at a time.

        Raises:
            TypeError: A target is nothing that a shard can hold.
            ImportError: An image is to be transcoded, and Pillow is not installed.
        """
        for first in range(0, len(samples), _BATCH_IMAGES):
            numbers = samples[first : first + _BATCH_IMAGES]
            data = self._source.fetch(numbers)
            sizes = [_nbytes(item) for item in data]
            for start, end in _runs(sizes):
                yield self._batch(numbers[start:end], data[start:end], sizes[start:end])

    def record_bytes(self, samples: Sequence[int]) -> list[int]:
        """Sizes of the records of these samples, as far as they have one."""
        found: list[int] = []
        for rows in self.rows(samples):
            records = rows.batch.column(0)
            found += [len(record.as_buffer()) for record in records if record.is_valid]
        return found

    def _batch(self, numbers: Sequence[int], data: Sequence[Any], sizes: Sequence[int]) -> Rows:
        keys = [self._names.key(i) for i in numbers]
        samples = [_Sample(key, nbytes) for key, nbytes in zip(keys, sizes, strict=True)]
        with self._extractor.open(data, limits=self._limits) as opened:
            places = self._decodable(opened)
            packed = self._decoded(opened, places)
            _take(samples, opened, places, packed)
            if self._plan.fallback == "transcode":
                for place, sample in enumerate(samples):
                    if sample.record is None and (sample.error is None or isinstance(sample.error, UnsupportedJPEG)):
                        self._transcode(sample, opened.bytes(place))
        if self._changer is not None:
            packed = _changed(samples, self._changer)
        for sample in samples:
            if sample.record is not None and sample.record.nbytes > _MOST_RECORD:
                fact = f"its record of {sample.record.nbytes} bytes passes the {_MOST_RECORD} that a shard set can hold"
                sample.record, sample.size = None, None
                error = error_from_code(
                    code_number("limit_record"), offset=0, source=sample.key, fact=fact, remedy="keep fewer channels"
                )
                _fail(sample, error, sample.key)
        return self._rows(numbers, samples, packed)

    def _decodable(self, opened: OpenImages) -> NDArray[np.int64]:
        """Places of the images to decode. With a fallback, colours that no training step can use go by their pixels."""
        color, code = opened.headers.color, opened.headers.code
        if self._plan.fallback is None:
            return np.arange(len(opened), dtype=np.int64)
        return np.flatnonzero((code != 0) | ~np.isin(color, list(WITHOUT_YCBCR))).astype(np.int64)

    def _decoded(self, opened: OpenImages, places: NDArray[np.int64]) -> PackedBatch:
        masks = np.tile(np.array(self._selection.masks, np.uint64), (len(opened), 1))
        return opened.extract(masks, places=places, on_error="mark", truncated=self._plan.truncated)

    def _transcode(self, sample: _Sample, data: bytes) -> None:
        try:
            whole = PackedBatch.join([transcode(data, limits=self._limits, name=sample.key)])
        except JPEGError as error:
            _fail(sample, error, sample.key)
            return
        packed = whole.select(self._selection)
        header = packed.header(0)
        assert header is not None  # it was just made
        sample.record, sample.error, sample.words = packed.image_bytes(0), None, None
        sample.size, sample.status = (header.width, header.height, header.orientation), packed.status[0]

    def _rows(self, numbers: Sequence[int], samples: list[_Sample], packed: PackedBatch) -> Rows:
        import pyarrow as pa

        targets = [target_columns(self._source.target(i), sample.key) for i, sample in zip(numbers, samples, strict=True)]
        sizes = [sample.size or (None, None, None) for sample in samples]
        columns: list[Sequence[Any]] = [
            [sample.key for sample in samples],
            [number for number, _ in targets],
            [label for _, label in targets],
            *([size[k] for size in sizes] for k in range(3)),
            [sample.status for sample in samples],
            [sample.words for sample in samples],
            [None if sample.record is None else _core.crc32c(sample.record) for sample in samples],
            [sample.source_bytes for sample in samples],
        ]
        schema = shard_schema()
        records = _record_column([sample.record for sample in samples], packed)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, list(schema)[1:], strict=True)]
        kept = [sample.record.nbytes for sample in samples if sample.record is not None]
        error = None
        for i, sample in zip(numbers, samples, strict=True):
            if sample.error is not None:
                error, name = sample.error, self._source.name(i)
                error.args, error.source, error.index = (f"{name}: {sample.words}",), name, i
                break
        batch = pa.RecordBatch.from_arrays([records, *arrays], schema=schema)
        return Rows(batch, len(kept), sum(kept), sum(sample.source_bytes for sample in samples), error)


def _take(samples: list[_Sample], opened: OpenImages, places: NDArray[np.int64], packed: PackedBatch) -> None:
    """Hands the samples what decoding gave."""
    headers = opened.headers
    sizes = list(zip(headers.width.tolist(), headers.height.tolist(), headers.orientation.tolist(), strict=True))
    for number, place in enumerate(places.tolist()):
        sample, error = samples[place], packed.error(number)
        if error is not None:
            _fail(sample, error, error.source if error.source is not None else f"image {number}")
        else:
            sample.record, sample.size, sample.status = packed.image_bytes(number), sizes[place], packed.status[number]


def _changed(samples: list[_Sample], changer: Changer) -> PackedBatch:
    """Hands the samples the records that are stored in place of theirs; the batch that holds these."""
    having = [(sample, sample.record) for sample in samples if sample.record is not None]
    packed, errors = changer.changed([record for _, record in having])
    number = 0
    for place, (sample, _) in enumerate(having):
        if place in errors:
            sample.record, sample.size = None, None
            _fail(sample, errors[place], sample.key)
            continue
        header = packed.header(number)
        assert header is not None  # it was just made
        sample.record, sample.size = packed.image_bytes(number), (header.width, header.height, header.orientation)
        number += 1
    return packed


def _fail(sample: _Sample, error: JPEGError, who: str) -> None:
    """The words leave out the name that they begin with: the key has it, and a path would differ from machine to machine."""
    sample.error, sample.status = error, error.code
    sample.words = printable(str(error).removeprefix(f"{who}: "))


def _record_column(records: list[memoryview | None], packed: PackedBatch) -> pa.LargeBinaryArray:
    """The records as one column: a view of the packed batch where it holds just these, else a copy."""
    import pyarrow as pa

    views = [record for record in records if record is not None]
    sizes = [view.nbytes for view in views]
    if len(views) == len(records) == len(packed) and sum(sizes) > 0:
        buffer, first, last = pa.py_buffer(packed.buffer), _address(views[0]), _address(views[-1])
        is_inside = buffer.address <= first and last + sizes[-1] <= buffer.address + buffer.size  # one that was transcoded is not
        if is_inside and last + sizes[-1] - first == sum(sizes):  # records of one batch lie back to back
            data = buffer.slice(first - buffer.address, sum(sizes))
            offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), [None, pa.py_buffer(offsets), data])
    return pa.array([None if record is None else bytes(record) for record in records], pa.large_binary())


def _address(view: memoryview) -> int:
    return np.frombuffer(view, np.uint8).ctypes.data


def _nbytes(data: str | os.PathLike[str] | Buffer) -> int:
    """Bytes of a file, 0 where it cannot be asked for them."""
    if not isinstance(data, (str, os.PathLike)):
        return memoryview(data).nbytes  # type: ignore[arg-type]
    try:
        return os.stat(data).st_size  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return 0


def _runs(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cuts items into runs (first, end) of at most so many bytes, of one item at least."""
    start = held = 0
    for end, nbytes in enumerate(sizes):
        if end > start and held + nbytes > _BATCH_BYTES:
            yield start, end
            start, held = end, 0
        held += nbytes
    if sizes:
        yield start, len(sizes)
