"""Many images at once: packed quantised coefficients in one buffer, ready for the way to a device.

The bytes are described in docs/wire-format.md. A `PackedBatch` comes from `extract` (JPEG files), from `PackedBatch.join`
(stored image records) or from `PackedBatch.from_buffer` (somebody else's bytes); all that follows takes any of them.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload._arguments import (
    as_uint8,
    box_list,
    box_table,
    checked_bytes,
    checked_column,
    checked_flags,
    checked_out,
    listed,
    name_list,
    selection_list,
    selection_masks,
    source_list,
)
from dctload.channels import ChannelSelection
from dctload.errors import JPEGError, code_name, error_from_code, wire_error
from dctload.jpeg import (
    Box,
    Header,
    JPEGCoefficients,
    Limits,
    coefficients_from_record,
    header_from_facts,
    keeps_truncated,
    limits_tuple,
    outside_error,
    status_name,
    whole_number,
)
from dctload.opened import OpenImages as OpenImages
from dctload.opened import batch_error
from dctload.packing import pack as pack
from dctload.packing import packed_bound as packed_bound

if TYPE_CHECKING:
    from dctload._arguments import Channels, Region
    from dctload._core import Buffer
    from dctload.jpeg import Source

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
        records: Sequence[_core.RecordFacts] | NDArray[np.int64],
        *,
        channels: ChannelSelection | list[ChannelSelection] | None = None,
        sources: Sequence[str | None] | None = None,
        details: NDArray[np.int64] | None = None,
    ) -> None:
        """Of bytes that have been checked; use `extract`, `join` or `from_buffer`."""
        self.buffer = buffer
        self.channels = channels
        if not isinstance(records, np.ndarray):
            records = np.array(records, np.int64).reshape(-1, 5)
        self._records = records  # int64 [images, 5], rows as _core.RecordFacts
        self.status = _status_names(self._records)
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
        batch = as_uint8(checked_bytes(buffer, "buffer"))
        return cls(batch, _checked(batch, deep))

    @classmethod
    def join(cls, images: Iterable[Buffer]) -> PackedBatch:
        """A batch of image records, as `image_bytes` or `pack` give them. The same records give the same bytes.

        Raises:
            WireError: A record is damaged; `.index` says which.
        """
        if isinstance(images, (bytes, bytearray, memoryview, np.ndarray)):
            raise TypeError("join takes a list of image bytes, not the bytes of one; write [image_bytes]")
        records = [checked_bytes(image, f"images[{i}]") for i, image in enumerate(listed(images, "images"))]
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

    @property
    def failures(self) -> NDArray[np.bool_]:
        """Which images have no coefficients, bool `[images]`."""
        failures: NDArray[np.bool_] = self._records[:, 2] == _core.STATUS_FAILED
        return failures

    @property
    def failed(self) -> int:
        """How many images have no coefficients."""
        return int(np.count_nonzero(self.failures))

    def error(self, i: int) -> JPEGError | None:
        """Why image `i` has no coefficients, or None if it has some.

        After `from_buffer` and `join` the error has its code, offset and index, but no source.
        """
        i = self._place(i)
        _, _, status, code, offset = self._records[i].tolist()
        if status != _core.STATUS_FAILED:
            return None
        detail = int(self._details[i]) if self._details is not None else None
        source = self._sources[i] if self._sources is not None else None
        return error_from_code(code, offset=offset, detail=detail, index=i, source=source)

    def image_bytes(self, i: int) -> memoryview:
        """The record of image `i`: the unit that is stored, sent and joined again. A view of the batch, read-only."""
        offset, nbytes = self._records[self._place(i), :2].tolist()
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
        selections, kept = selection_list(channels, len(self))
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
        boxes = box_list(regions, len(self))
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
        data, names = source_list(sources)
        masks, kept = selection_masks(channels, len(data))
        boxes = box_table(regions, len(data))
        bounds, keep = limits_tuple(limits), keeps_truncated(truncated)

        def decode() -> _core.Decoded:
            return self._core.decode(data, masks, boxes, bounds, keep)

        def error(i: int, outcome: _core.Result) -> Exception:
            box = None if boxes is None else boxes[i]
            return batch_error(data[i], names[i], box, limits, outcome, i)

        return self._packed(decode, error, names, kept, on_error, out)

    def open(self, sources: Iterable[Source], *, limits: Limits | None = None) -> OpenImages:
        """Files in memory and their headers: what is wanted of each image may then depend on what its header says.

        Args:
            sources: Paths or buffers, in any mixture. Buffers must stay unchanged while the result is open.
            limits: Bounds on what is accepted, here and in `OpenImages.extract`.

        Returns:
            The images, with an error for each that cannot be opened or has no readable header: nothing is raised for a
            file's sake.

        Example:
            >>> extractor = Extractor()
            >>> with extractor.open(["a.jpg", "b.jpg"]) as images:  # doctest: +SKIP
            ...     masks = np.full((2, 3), 0x01, np.uint64)
            ...     masks[images.headers.width > 256] = ChannelSelection.parse("24s").masks
            ...     batch = images.extract(masks, on_error="mark")
        """
        data, names = source_list(sources)
        bounds = limits_tuple(limits)
        with self._turn():
            return OpenImages(self, self._core.open(data, bounds), names, limits)

    def open_records(
        self,
        buffers: Sequence[Buffer],
        shard: ArrayLike,
        offset: ArrayLike,
        nbytes: ArrayLike,
        *,
        names: Sequence[str | None] | Callable[[int], str | None] | None = None,
        trusted: ArrayLike | None = None,
    ) -> OpenImages:
        """Stored image records and their headers, to be read as files are: whole, cut, or with fewer channels.

        A record is checked before anything of it is handed on: its facts here, its tiles' checksum in `OpenImages.extract`,
        while they are copied. One that lacks a channel which is asked for fails as `channels_missing`; one that is damaged, or
        passes its buffer's end, as `record_damaged`; one that was stored as failed with its own code. What was kept of a
        truncated image stays as it is, whatever `truncated=` says.

        Args:
            buffers: Contiguous buffers that hold records, e.g. mapped files. They are held, and must stay unchanged, while the
                result is open.
            shard: int `[B]`, by image the place of its buffer in `buffers`.
            offset: int `[B]`, where its record begins in that buffer.
            nbytes: int `[B]`, bytes of the record.
            names: What errors and batches call the images, by place: a sequence, or a function that is asked only when a name
                is needed. None: no names.
            trusted: bool `[B]`, whose tiles were held against their checksum before, in this process: they are not again.
                None: none of them.

        Returns:
            The images; `OpenImages.trusted` goes on from `trusted`.

        Raises:
            ValueError: An array has another shape, or `shard` names no buffer.
            TypeError: An array holds something else than whole numbers (bools for `trusted`).
        """
        places = checked_column(shard, "shard")
        count = len(places)
        if count and not 0 <= places.min() <= places.max() < len(buffers):
            raise ValueError(f"shard holds 0 to {len(buffers) - 1}, not {places.min()} to {places.max()}")
        starts, sizes = checked_column(offset, "offset", count), checked_column(nbytes, "nbytes", count)
        flags, known = checked_flags(trusted, "trusted", count), name_list(names, count)
        held = [checked_bytes(buffer, f"buffers[{i}]") for i, buffer in enumerate(listed(buffers, "buffers"))]
        with self._turn():
            return OpenImages(self, self._core.open_records(held, places, starts, sizes), known, None, flags)

    def _turn(self) -> threading.Lock:
        """The lock; in a forked child a new one, as a thread of the parent may have held it."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock

    def _packed(
        self,
        decode: Callable[[], _core.Decoded],
        error: Callable[[int, _core.Result], Exception],
        names: Sequence[str | None],
        kept: ChannelSelection | list[ChannelSelection] | None,
        on_error: str,
        out: Buffer | Callable[[int], Buffer | None] | None,
    ) -> PackedBatch:
        """The batch that `decode` leaves in the core; `error` says what to raise for its image i."""
        if on_error not in ("raise", "mark"):
            raise ValueError(f'on_error is "raise" or "mark", not {on_error!r}')
        target = None if out is None or callable(out) else checked_out(out)
        outcomes: NDArray[np.int64] | None = None

        def look() -> None:
            nonlocal outcomes
            outcomes = self._core.outcomes()
            first = int(np.flatnonzero(outcomes[:, 0])[0])
            if on_error == "raise":
                raise error(first, tuple(outcomes[first].tolist()))

        with self._turn():
            try:
                total, failed = decode()
                if failed is not None:
                    look()
                given = out(total) if callable(out) else None
                if given is not None:
                    target = checked_out(given)
                elif target is None:
                    target = self._core.empty(total)
                if target.nbytes < total:
                    raise ValueError(
                        f"out holds {target.nbytes} bytes, this batch needs {total}; pass a larger buffer: packed_bound says "
                        "beforehand what is enough"
                    )
                nbytes, records = self._core.write(target)
                if nbytes != total:  # a stored record proved damaged while it was copied
                    look()
            finally:
                self._core.forget()
        details = None if outcomes is None else outcomes[:, 1]
        return PackedBatch(target[:nbytes], records, channels=kept, sources=names, details=details)


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


def _restored_batch(
    data: bytes,
    records: NDArray[np.int64],
    channels: ChannelSelection | list[ChannelSelection] | None,
    sources: Sequence[str | None] | None,
    details: NDArray[np.int64] | None,
) -> PackedBatch:
    buffer = _core.aligned_empty(len(data))
    buffer[:] = np.frombuffer(data, np.uint8)
    return PackedBatch(buffer, records, channels=channels, sources=sources, details=details)


def _checked(batch: NDArray[np.uint8], deep: bool = False) -> list[_core.RecordFacts]:
    fault, records = _core.records(batch, deep)
    if fault is not None:
        raise wire_error(fault, "packed batch")
    return records


def _status_names(records: NDArray[np.int64]) -> tuple[str, ...]:
    if not any(records[:, 2].tolist()):
        return (status_name(0),) * len(records)
    rows = records[:, 2:4].tolist()
    return tuple(code_name(code) if status == _core.STATUS_FAILED else status_name(status) for status, code in rows)
