"""Many images at once: packed quantised coefficients in one buffer, ready for the way to a device.

The bytes are described in docs/wire-format.md. A `PackedBatch` comes from `extract` (JPEG files), from `PackedBatch.join`
(stored image records) or from `PackedBatch.from_buffer` (somebody else's bytes); all that follows takes any of them.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.errors import JPEGError, code_name, error_from_code, wire_error
from dctload.jpeg import (
    Box,
    Header,
    JPEGCoefficients,
    Limits,
    box_tuple,
    checked_buffer,
    coefficients_from_record,
    facts_from_header,
    header_from_facts,
    keeps_truncated,
    limits_tuple,
    outside_error,
    read_header,
    source_name,
    status_name,
    whole_number,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload._core import Buffer
    from dctload.jpeg import Source

    Channels: TypeAlias = str | ChannelSelection
    Region: TypeAlias = Sequence[int]

_T = TypeVar("_T")
_MOST_THREADS = 4096


class PackedBatch:
    """Packed coefficients of several images: one buffer of bytes and what is known about each image.

    Attributes:
        buffer: uint8 `[nbytes]`, the whole batch (docs/wire-format.md). Writing to it damages the batch, which the next
            use of it finds and refuses.
        status: By image: `"ok"`, `"truncated"`, `"damaged"`, or the code of the error that left it without coefficients.
        channels: The selection, or the list of selections, that the batch was made with; None where it came as bytes.

    Example:
        >>> p = extract(["a.jpg", "b.jpg"], channels="24s")  # doctest: +SKIP
        >>> p.nbytes, p.status  # doctest: +SKIP
        (109488, ('ok', 'ok'))
    """

    buffer: NDArray[np.uint8]
    status: tuple[str, ...]
    channels: ChannelSelection | list[ChannelSelection] | None

    def __init__(
        self,
        buffer: NDArray[np.uint8],
        records: Sequence[_core.RecordFacts],
        *,
        channels: ChannelSelection | list[ChannelSelection] | None = None,
        sources: Sequence[str | None] | None = None,
        details: Sequence[int] | None = None,
    ) -> None:
        """Of bytes that have been checked; use `extract`, `join` or `from_buffer`."""
        self.buffer = buffer
        self.channels = channels
        self.status = tuple(
            code_name(code) if status == _core.STATUS_FAILED else status_name(status) for _, _, status, code, _ in records
        )
        self._records = tuple(records)
        self._sources = sources
        self._details = details

    @classmethod
    def from_buffer(cls, buffer: Buffer, *, deep: bool = False) -> PackedBatch:
        """A batch of somebody's bytes, which are checked and not copied: leave them unchanged while it lives.

        Args:
            buffer: A whole batch in any contiguous buffer.
            deep: Also walk every tile: finds payloads that no writer makes but whose checksums are right.

        Raises:
            WireError: Anything is wrong: sizes, checksums, ranges, directory.
        """
        batch = _as_uint8(_checked_bytes(buffer, "buffer"))
        return cls(batch, _checked(batch, deep))

    @classmethod
    def join(cls, images: Iterable[Buffer]) -> PackedBatch:
        """A batch of image records, as `image_bytes` or `pack` give them. The same records give the same bytes.

        Raises:
            WireError: A record is damaged; `.index` says which.
        """
        if isinstance(images, (bytes, bytearray, memoryview, np.ndarray)):
            raise TypeError("join takes a list of image bytes, not the bytes of one; write [image_bytes]")
        records = [_checked_bytes(image, f"images[{i}]") for i, image in enumerate(_items(images, "images"))]
        fault, batch = _core.join(records)
        if fault is not None or batch is None:
            raise wire_error(fault or ("batch", 0, -1), "image bytes")
        return cls(batch, _core.records_of_own(batch))

    def __len__(self) -> int:
        return len(self._records)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole batch, directory and padding included."""
        return int(self.buffer.nbytes)

    def error(self, i: int) -> JPEGError | None:
        """Why image `i` has no coefficients, or None if it has some.

        After `from_buffer` and `join` the error has its code, offset and index, but no source.
        """
        i = self._place(i)
        _, _, status, code, offset = self._records[i]
        if status != _core.STATUS_FAILED:
            return None
        detail = self._details[i] if self._details is not None else None
        source = self._sources[i] if self._sources is not None else None
        return error_from_code(code, offset=offset, detail=detail, index=i, source=source)

    def image_bytes(self, i: int) -> memoryview:
        """The record of image `i`: the unit that is stored, sent and joined again. A view of the batch, read-only."""
        offset, nbytes, *_ = self._records[self._place(i)]
        return memoryview(cast("bytes", self.buffer))[offset : offset + nbytes].toreadonly()

    def header(self, i: int) -> Header | None:
        """What the record of image `i` keeps of its file's header; None if there are no coefficients."""
        described = _core.describe(self.image_bytes(i))
        return None if described is None else header_from_facts(described[0])

    def region(self, i: int) -> Box | None:
        """The pixels, as coded, that the record of image `i` covers; None if there are no coefficients."""
        described = _core.describe(self.image_bytes(i))
        return None if described is None else Box(*described[1])

    def select(self, channels: Channels | Sequence[Channels]) -> PackedBatch:
        """Fewer channels of each image, as a new batch: bytes are moved, nothing is decoded.

        The result equals, to the byte, what `extract` gives for these channels. Images without coefficients stay as they
        are.

        Args:
            channels: One selection for all, or a list with one an image.

        Raises:
            ValueError: A channel asked for is not in the batch.
        """
        selections, kept = _selections(channels, len(self))
        fault, refused, batch = _core.select(self.buffer, [s.masks for s in selections])
        if refused is not None:
            raise ValueError(self._missing(refused, selections[refused]))
        return self._remade(fault, batch, kept)

    def cut(self, regions: Region | Sequence[Region | None] | None) -> PackedBatch:
        """A smaller region of each image, as a new batch: tiles are copied, nothing is decoded.

        Unpacked, it equals a fresh decode of the region; its bytes may be a few more, as tiles stay where they are.

        Args:
            regions: One box (top, left, height, width) in pixels as coded for all, or a list with one, or None, an image.
                A box is snapped out to whole MCUs and clipped to what the image's record covers.

        Raises:
            ValueError: A region does not touch what its image's record covers.
        """
        boxes = _boxes(regions, len(self))
        fault, refused, batch = _core.cut(self.buffer, boxes)
        if refused is not None:
            box, header, own = boxes[refused], self.header(refused), self.region(refused)
            assert box is not None and header is not None and own is not None
            if own == (0, 0, header.height, header.width):
                raise outside_error(box, header, index=refused, source=self._sources[refused] if self._sources else None)
            raise ValueError(
                f"{self._name(refused)}: the region (top, left, height, width) = {box} does not touch {tuple(own)}, which is "
                f"what this batch holds of the image of {header.width} x {header.height} pixels"
            )
        return self._remade(fault, batch, self.channels)

    def __repr__(self) -> str:
        bad = sum(status not in ("ok", "truncated", "damaged") for status in self.status)
        channels = ", mixed channels" if isinstance(self.channels, list) else ""
        if isinstance(self.channels, ChannelSelection):
            channels = f", channels {self.channels.name or self.channels}"
        return f"PackedBatch({len(self)} images, {self.nbytes} bytes{channels}{f', {bad} failed' if bad else ''})"

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.channels, self._sources, self._details)
        return _restored_batch, (self.buffer.tobytes(), self._records, *facts)

    def _remade(
        self,
        fault: _core.Fault | None,
        batch: NDArray[np.uint8] | None,
        channels: ChannelSelection | list[ChannelSelection] | None,
    ) -> PackedBatch:
        if fault is not None or batch is None:
            raise wire_error(fault or ("batch", 0, -1), "packed batch, changed since it was made")
        records = _core.records_of_own(batch)
        return PackedBatch(batch, records, channels=channels, sources=self._sources, details=self._details)

    def _place(self, i: int) -> int:
        place = operator.index(i)
        if not -len(self) <= place < len(self):
            raise IndexError(f"image {i} of a batch of {len(self)}")
        return place % len(self)

    def _name(self, i: int) -> str:
        source = self._sources[i] if self._sources is not None else None
        return source if source is not None else f"image {i}"

    def _missing(self, i: int, wanted: ChannelSelection) -> str:
        described = _core.describe(self.image_bytes(i))
        have = described[2] if described is not None else ()
        held = "; ".join(f"component {k}: {mask.bit_count()} of 64" for k, mask in enumerate(have))
        return (
            f"{self._name(i)}: channels {wanted.name or wanted} are not all in this batch, which holds {held}; "
            "select fewer, or extract again from the files"
        )


class Extractor:
    """Threads and scratch memory for `extract`, kept from batch to batch.

    Calls from several threads wait for one another. A forked child starts threads of its own.

    Args:
        num_threads: 0: one a core that this process may run on; 1: the caller's own thread.
    """

    def __init__(self, num_threads: int = 0) -> None:
        if not 0 <= whole_number(num_threads, "num_threads") <= _MOST_THREADS:
            raise ValueError(f"num_threads is 0 (one a core) to {_MOST_THREADS}, not {num_threads}")
        self._core = _core.BatchExtractor(num_threads)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @property
    def num_threads(self) -> int:
        """Threads at work, the caller's included."""
        return self._core.num_threads

    def extract(
        self,
        sources: Iterable[Source],
        channels: Channels | Sequence[Channels] = "24s",
        regions: Region | Sequence[Region | None] | None = None,
        *,
        on_error: str = "raise",
        truncated: str = "error",
        out: Buffer | None = None,
        limits: Limits | None = None,
    ) -> PackedBatch:
        """As the function `extract`, with this object's threads."""
        items = _source_list(sources)
        selections, kept = _selections(channels, len(items))
        boxes = _boxes(regions, len(items))
        if on_error not in ("raise", "mark"):
            raise ValueError(f'on_error is "raise" or "mark", not {on_error!r}')
        keep = keeps_truncated(truncated)
        target = None if out is None else _checked_out(out)
        names = [source_name(item) for item in items]
        if self._pid != os.getpid():  # the lock may have been held by a thread of the parent
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            try:
                data = [_core_source(item) for item in items]
                masks, are_paths = [s.masks for s in selections], [name is not None for name in names]
                total = self._core.decode(data, are_paths, masks, boxes, limits_tuple(limits), keep)
                outcomes = self._core.outcomes()
                if on_error == "raise":
                    for i, ((code, detail, offset), *_) in enumerate(outcomes):
                        if code:
                            raise _batch_error(items[i], boxes[i], limits, code, detail, offset, i)
                if target is None:
                    target = _core.aligned_empty(total)
                elif target.nbytes < total:
                    raise ValueError(
                        f"out holds {target.nbytes} bytes, this batch needs {total}; pass a larger buffer: packed_bound says "
                        "beforehand what is enough"
                    )
                self._core.write(target)
            finally:
                self._core.forget()
        batch = target[:total]
        records, details = _core.records_of_own(batch), [outcome[0][1] for outcome in outcomes]
        return PackedBatch(batch, records, channels=kept, sources=names, details=details)


def extract(
    sources: Iterable[Source],
    channels: Channels | Sequence[Channels] = "24s",
    regions: Region | Sequence[Region | None] | None = None,
    num_threads: int = 0,
    *,
    on_error: str = "raise",
    truncated: str = "error",
    out: Buffer | None = None,
    limits: Limits | None = None,
) -> PackedBatch:
    """Packed coefficients of many JPEG files, decoded by several threads without the GIL.

    Args:
        sources: Paths or buffers, in any mixture. Buffers must stay unchanged until the call returns.
        channels: Kept frequencies: one selection for all, or a list with one an image.
        regions: One box (top, left, height, width) in pixels as coded for all, or a list with one, or None for the whole
            image, an image. Each is snapped out to whole MCUs.
        num_threads: 0: one a core. The bytes do not depend on it. `Extractor` keeps the threads between calls.
        on_error: `"raise"`: the first image that fails raises. `"mark"`: it is left without coefficients, `status` and
            `error` say why.
        truncated: `"error"`: lost data is an error. `"keep"`: the blocks that came are kept, the others are zero, `status`
            says so.
        out: A writable uint8 buffer, 16-aligned, that takes the batch from its start, e.g. page-locked memory.
        limits: Bounds on what is accepted.

    Returns:
        The batch; its buffer is a view of `out` where that was given.

    Raises:
        JPEGError: An image failed and `on_error` is `"raise"`; `.index` and `.source` say which. OSError where its file
            cannot be opened.
        ValueError: An argument is wrong, or `out` is too small: the message says how many bytes are needed.
        TypeError: `sources` is one path or one file's bytes instead of a list.

    Example:
        >>> p = extract(["a.jpg", "b.jpg"], channels="24s", on_error="mark")  # doctest: +SKIP
        >>> [p.error(i) for i in range(len(p))]  # doctest: +SKIP
        [None, None]
    """
    return Extractor(num_threads).extract(
        sources, channels, regions, on_error=on_error, truncated=truncated, out=out, limits=limits
    )


def unpack_reference(batch: PackedBatch) -> list[JPEGCoefficients | None]:
    """The coefficients of every image, by the plain C++ unpacker that the others are held against.

    Returns:
        By image its coefficients, or None where its status says that there are none.

    Raises:
        WireError: The batch's bytes were changed since it was made.
    """
    if not isinstance(batch, PackedBatch):
        raise TypeError(f"batch is a PackedBatch, not {type(batch).__name__}; PackedBatch.from_buffer makes one of bytes")
    fault, images = _core.unpack(batch.buffer)
    if fault is not None:
        raise wire_error(fault, "packed batch, changed since it was made")
    asked = batch.channels if isinstance(batch.channels, list) else [batch.channels] * len(images)
    return [
        None if image is None else coefficients_from_record(image, selection)
        for image, selection in zip(images, asked, strict=True)
    ]


def packed_bound(
    headers: Sequence[Header],
    channels: Channels | Sequence[Channels] = "24s",
    regions: Region | Sequence[Region | None] | None = None,
) -> int:
    """Bytes that a batch of these images cannot pass, whatever is in them.

    Args:
        headers: Of the images, from `read_header`.
        channels: As for `extract`.
        regions: As for `extract`.

    Raises:
        ValueError: A region does not touch its image.
    """
    items = [_checked_header(item, f"headers[{i}]") for i, item in enumerate(_items(headers, "headers"))]
    selections, _ = _selections(channels, len(items))
    boxes = _boxes(regions, len(items))
    outside, nbytes = _core.bound([facts_from_header(h) for h in items], [s.masks for s in selections], boxes)
    box = boxes[outside] if outside is not None else None
    if outside is not None and box is not None:
        raise outside_error(box, items[outside], index=outside)
    return nbytes


def pack(planes: Sequence[NDArray[np.int16]], tables: Sequence[ArrayLike], header: Header) -> bytes:
    """The record of one image from whole planes: what `image_bytes` would give for a file that holds them.

    Args:
        planes: By component, int16 `[64, block_rows, block_cols]`, quantised, row-major frequency order.
        tables: By component, its quantisation table `[64]`, row-major, 1..65535.
        header: Size, sampling, colour and orientation of the image.

    Raises:
        ValueError: A shape or a table is not what the header asks for.
        TypeError: Planes that are not int16.
        LimitExceeded: The record would pass 2^32 - 16 bytes.
    """
    components = _checked_header(header, "header").components
    if len(planes) != len(components) or len(tables) != len(components):
        raise ValueError(f"the header has {len(components)} components, not {len(planes)} planes and {len(tables)} tables")
    facts, arrays = [], []
    for k, (component, plane, table) in enumerate(zip(components, planes, tables, strict=True)):
        array, shape = np.asarray(plane), (64, component.block_rows, component.block_cols)
        if array.dtype != np.int16:
            raise TypeError(f"planes[{k}] is int16, not {array.dtype}")
        if array.shape != shape:
            raise ValueError(f"planes[{k}] has the shape {shape} by the header, not {array.shape}")
        steps = np.asarray(table)
        if steps.shape != (64,) or steps.dtype.kind not in "iu" or steps.min() < 1 or steps.max() > 65535:
            raise ValueError(f"tables[{k}] is 64 integers of 1..65535")
        arrays.append(np.ascontiguousarray(array))
        facts.append(
            (component.id, component.h, component.v, component.block_rows, component.block_cols, steps.astype(np.uint16))
        )
    (code, detail, offset), record = _core.pack(arrays, (*facts_from_header(header)[:8], tuple(facts)))
    if code:
        raise error_from_code(code, offset=offset, detail=detail)
    return record


def _restored_batch(
    data: bytes,
    records: tuple[_core.RecordFacts, ...],
    channels: ChannelSelection | list[ChannelSelection] | None,
    sources: Sequence[str | None] | None,
    details: Sequence[int] | None,
) -> PackedBatch:
    buffer = _core.aligned_empty(len(data))
    buffer[:] = np.frombuffer(data, np.uint8)
    return PackedBatch(buffer, records, channels=channels, sources=sources, details=details)


def _checked(batch: NDArray[np.uint8], deep: bool = False) -> list[_core.RecordFacts]:
    fault, records = _core.records(batch, deep)
    if fault is not None:
        raise wire_error(fault, "packed batch")
    return records


def _as_uint8(buffer: Buffer) -> NDArray[np.uint8]:
    view = memoryview(cast("bytes", buffer))
    if view.nbytes == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(view, np.uint8)


def _checked_out(out: Buffer) -> NDArray[np.uint8]:
    view = memoryview(cast("bytes", _checked_bytes(out, "out")))
    if view.readonly:
        raise ValueError("out is read-only; pass a writable uint8 buffer")
    if view.itemsize != 1:
        raise ValueError(f"out holds items of {view.itemsize} bytes; pass a uint8 buffer")
    if not view.c_contiguous:
        raise ValueError("out is not contiguous; pass a contiguous uint8 buffer")
    target = _as_uint8(view)
    if target.nbytes and target.ctypes.data % _core.ALIGN:
        raise ValueError(
            f"out begins {target.ctypes.data % _core.ALIGN} bytes after a multiple of {_core.ALIGN}; pass a buffer whose address "
            f"is a multiple of {_core.ALIGN}"
        )
    return target


def _source_list(sources: Iterable[Source]) -> list[Source]:
    if isinstance(sources, (str, os.PathLike)):
        raise TypeError(f"sources is a list of images, not one path; write [{os.fspath(sources)!r}]")
    if isinstance(sources, (bytes, bytearray, memoryview, np.ndarray)):
        raise TypeError("sources is a list of images, not the bytes of one; write [data]")
    items = _items(sources, "sources")
    for i, item in enumerate(items):
        if not isinstance(item, (str, os.PathLike, bytes)):
            checked_buffer(item, f"sources[{i}]")
    return items


def _items(values: Iterable[_T], what: str) -> list[_T]:
    """The values as a list; TypeError, with the argument's name, if there is nothing to go through."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} is a list, not {type(values).__name__}")
    return list(values)


def _checked_bytes(buffer: Buffer, what: str) -> Buffer:
    try:
        memoryview(cast("bytes", buffer)).release()
    except TypeError:
        raise TypeError(f"{what} is a buffer of bytes (bytes, memoryview, uint8 array), not {type(buffer).__name__}") from None
    return buffer


def _checked_header(header: Header, what: str) -> Header:
    if not isinstance(header, Header):
        raise TypeError(f"{what} is a Header, as read_header gives it, not {type(header).__name__}")
    return header


def _core_source(source: Source) -> Buffer:
    """A buffer as it is, or a path as the bytes that the system takes."""
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = os.fsencode(source)
    if b"\0" in path:
        raise ValueError(f"a path holds no zero byte: {os.fspath(source)!r}")
    return path


def _per_image(what: str, values: Sequence[_T], count: int) -> list[_T]:
    if len(values) != count:
        raise ValueError(f"{what} has {len(values)} entries for {count} images; give one for all, or as many as images")
    return list(values)


def _selections(
    channels: Channels | Sequence[Channels], count: int
) -> tuple[list[ChannelSelection], ChannelSelection | list[ChannelSelection]]:
    """One selection an image, and what the batch remembers."""
    if isinstance(channels, (str, ChannelSelection)) or not isinstance(channels, Sequence):
        one = ChannelSelection.parse(channels)
        return [one] * count, one
    many = _per_image("channels", [ChannelSelection.parse(c) for c in channels], count)
    return many, many


def _boxes(regions: Region | Sequence[Region | None] | None, count: int) -> list[tuple[int, int, int, int] | None]:
    if regions is None:
        return [None] * count
    if not isinstance(regions, (Sequence, np.ndarray)):
        raise TypeError(
            f"regions is a box (top, left, height, width), or a list with a box or None an image, not {type(regions).__name__}"
        )
    if len(regions) == 4 and all(isinstance(number, (int, np.integer)) for number in regions):
        return [box_tuple(cast("Sequence[int]", regions))] * count
    return _per_image("regions", [box_tuple(box) for box in cast("Sequence[Sequence[int] | None]", regions)], count)


def _batch_error(
    source: Source,
    box: tuple[int, int, int, int] | None,
    limits: Limits | None,
    code: int,
    detail: int,
    offset: int,
    index: int,
) -> Exception:
    """What to raise for an image of a batch; more is found out here than the batch's marks can hold."""
    name, path = code_name(code), source_name(source)
    if name == "io_error" and path is not None:
        try:
            with open(path, "rb"):  # noqa: PTH123 - the system's own error says why
                pass
        except OSError as error:
            return error
    if name == "region_outside" and box is not None:
        return outside_error(box, read_header(source, limits=limits), index=index, source=path)
    return error_from_code(code, offset=offset, detail=detail, index=index, source=path, in_batch=True)
