"""The host's part of a batch: read, plan, decode; and what becomes of files that cannot be decoded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload.channels import ChannelSelection
from dctload.data.order import replacements
from dctload.data.statistics import LoaderStatistics
from dctload.errors import JPEGError, UnsupportedJPEG, code_number, error_from_code
from dctload.headers import Headers
from dctload.jpeg import WITHOUT_YCBCR, Limits
from dctload.packed import Extractor, OpenImages, PackedBatch
from dctload.shards.reader import ShardSet
from dctload.transcode import transcode
from dctload.transforms.compose import ALL, Compose, check_size, warn_of_missing

if TYPE_CHECKING:
    from torch import Tensor

    from dctload._core import Buffer
    from dctload.data.stored import Samples
    from dctload.transforms.plan import Plan

_LANES = 2  # more bring nothing (measured on two cores)
_MOST_REPLACEMENTS = 100  # in a row: then the source is bad, not a file of it

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Settings:
    """What a loader does with each batch, whatever the epoch.

    `compose` None: no pictures are made, whole images are handed on, each in its own size. `stored`: the frequencies that the
    source's records hold; None where it has files, which hold all.
    """

    compose: Compose | None
    channels: ChannelSelection
    output: str
    transfer: str | ChannelSelection
    seed: int
    on_error: str
    fallback: str | None
    truncated: str
    limits: Limits | None
    stored: ChannelSelection | None = None

    @property
    def selection(self) -> ChannelSelection | None:
        """Channels of the output; None: pixels."""
        return None if self.output == "rgb" else self.channels


@dataclass(eq=False)
class Prepared:
    """A batch on the host.

    Attributes:
        packed: Coefficients of the samples that are left, in order.
        plan: For the same; None without a transform.
        indices: Samples, `[<= batch size]`: of replaced ones, the replacement's.
        buffer: The tensor whose memory holds the bytes, and which can be used again; or None.
    """

    packed: PackedBatch
    plan: Plan | None
    indices: Indices
    buffer: Tensor | None = None


@dataclass(eq=False)
class _Slot:
    """One place of a batch on its way: sample `index` for it, -1 once it is given up, until there is a record."""

    draw: int
    index: int
    others: Iterator[int]
    record: Buffer | None = None
    refused: set[int] = field(default_factory=set)


@dataclass(eq=False)
class _Tried:
    """What decoding gave: the images at `places` of those that were opened, and by place why others failed."""

    packed: PackedBatch
    places: Indices
    plan: Plan | None
    bad: dict[int, JPEGError]
    buffer: Tensor | None


class HostStage:
    """Turns sample numbers into packed batches. Its threads and file buffers are kept from batch to batch.

    Attributes:
        lanes: Batches that may be prepared at a time: while one is planned, or waits for its last image, the other is decoded.
        light: Whether a batch is hardly more than a copy in memory: there is nothing to decode, fetch, plan or transform.
    """

    lanes: int
    light: bool

    def __init__(
        self,
        source: Samples,
        settings: Settings,
        num_threads: int,
        statistics: LoaderStatistics,
        report: Callable[[int, JPEGError], object],
    ) -> None:
        self._source, self._settings = source, settings
        self._reader = Extractor(num_threads)
        self.light = settings.compose is None and isinstance(source, ShardSet) and not source.store.is_remote
        self.lanes = min(num_threads, _LANES)
        self._decoders: SimpleQueue[Extractor] = SimpleQueue()  # those that are free
        for lane in range(self.lanes):
            self._decoders.put(Extractor((num_threads + lane) // self.lanes))
        self._statistics, self._report = statistics, report
        self._warning, self._warned = threading.Lock(), threading.Event()

    def open(self, indices: Indices) -> OpenImages:
        """Files and headers of these samples. May be called by another thread than `prepare`, for a batch that comes later."""
        with self._statistics.timed("reading"):
            if isinstance(self._source, ShardSet):
                opened = self._source.open(indices, self._reader)
            else:
                opened = self._reader.open(self._source.fetch(indices.tolist()), limits=self._settings.limits)
        self._statistics.add("bytes_read", opened.nbytes)
        return opened

    def prepare(
        self, indices: Indices, opened: OpenImages, epoch: int, memory: Callable[[int], Tensor] | None = None
    ) -> Prepared:
        """One batch. May be called by `lanes` threads at a time.

        Args:
            indices: Numbers of the samples.
            opened: What `open` gave for them; closed afterwards.
            epoch: For the random numbers.
            memory: Gives a uint8 tensor of at least so many bytes for the packed batch; None: fresh memory.

        Raises:
            JPEGError: A sample cannot be opened or decoded, and errors are raised; or no replacement is left.
        """
        with opened:
            tried = self._decode(opened, indices, indices, epoch, memory)
            if not tried.bad:
                return Prepared(tried.packed, tried.plan, indices, tried.buffer)
            count, seed = len(self._source), self._settings.seed
            slots = [_Slot(i, i, replacements(count, seed, epoch, i)) for i in indices.tolist()]
            self._settle(slots, opened, tried)
        while pending := [slot for slot in slots if slot.record is None and slot.index >= 0]:
            others = np.array([slot.index for slot in pending], np.int64)
            with self.open(others) as opened:
                draws = np.array([slot.draw for slot in pending], np.int64)
                self._settle(pending, opened, self._decode(opened, others, draws, epoch, None))
        return self._joined(slots, epoch)

    def ahead_of(self, batches: Iterable[Indices]) -> AbstractContextManager[object]:
        """While it is entered, what these batches need may be fetched before `open` asks for it."""
        return self._source.ahead_of(batches) if isinstance(self._source, ShardSet) else nullcontext()

    def targets(self, indices: Indices) -> Sequence[Any] | Indices:
        """Targets of samples, as the source has them."""
        if isinstance(self._source, ShardSet):
            return self._source.targets_of(indices)
        return [self._source.target(i) for i in indices.tolist()]

    # ------------------------------------------------------------------------------------------------- every batch

    def _plan(self, compose: Compose, headers: Headers, epoch: int, draws: Indices) -> Plan:
        with self._statistics.timed("planning"):
            plan = compose.plan_batch(headers, self._settings.seed, epoch, draws)
            check_size(plan, self._settings.output)
            return plan

    def _decode(
        self, opened: OpenImages, indices: Indices, draws: Indices, epoch: int, memory: Callable[[int], Tensor] | None
    ) -> _Tried:
        """All images that can be decoded, as one packed batch."""
        settings, bad = self._settings, self._errors(opened, indices)
        held: list[Tensor] = []
        began = 0.0

        def out(nbytes: int) -> Buffer | None:  # asked for between decoding and packing
            nonlocal began
            now = time.perf_counter()
            self._statistics.add("decoding", now - began)
            began = now
            if memory is None or bad:
                return None
            held.append(memory(nbytes))
            view: Buffer = held[0].numpy()
            return view

        places = np.arange(len(opened))
        if bad:
            places = np.delete(places, list(bad))
        headers = opened.headers[places] if bad else opened.headers
        masks = np.zeros((len(opened), 3), np.uint64)
        boxes: NDArray[np.int64] | None = None
        plan = None
        if settings.compose is None:
            masks[:] = settings.channels.masks
        elif len(places) or not len(opened):  # a batch without one good header has no size to plan
            plan = self._plan(settings.compose, headers, epoch, draws[places])
            with self._statistics.timed("planning"):
                boxes = np.zeros((len(opened), 4), np.int64)
                boxes[places], wanted = settings.compose.needs(plan, headers, settings.selection, settings.transfer)
                masks[places] = wanted if settings.stored is None else wanted & np.array(settings.stored.masks, np.uint64)
            self._warn_once(plan, headers, wanted, masks[places])
        decoder = self._decoders.get()
        try:
            began = time.perf_counter()
            packed = opened.extract(
                masks,
                boxes,
                places=places if bad else None,
                on_error="mark",
                truncated=settings.truncated,
                out=out,
                channels=settings.channels,
                extractor=decoder,
            )
        finally:
            self._decoders.put(decoder)
        self._statistics.add("packing", time.perf_counter() - began)
        if packed.failed:
            bad |= {int(places[i]): error for i in range(len(packed)) if (error := packed.error(i)) is not None}
        if isinstance(self._source, ShardSet):
            self._source.note_checked(indices, opened)
        return _Tried(packed, places, plan, bad, held[0] if held else None)

    def _warn_once(self, plan: Plan, headers: Headers, wanted: NDArray[np.uint64], sent: NDArray[np.uint64]) -> None:
        """Says, the first time, that what is sent makes another picture: by the user's selection, or for want of more."""
        settings = self._settings
        by_choice = isinstance(settings.transfer, ChannelSelection)
        if self._warned.is_set() or settings.compose is None or not (by_choice or settings.stored not in (None, ALL)):
            return
        needed = settings.compose.needs(plan, headers, settings.selection)[1] if by_choice else wanted
        with self._warning:
            if not self._warned.is_set() and warn_of_missing(needed, sent, headers):
                self._warned.set()

    def _errors(self, opened: OpenImages, indices: Indices) -> dict[int, JPEGError]:
        """By place, why an image cannot be decoded, as far as headers tell."""
        errors = opened.errors if opened.headers.code.any() else {}
        colors = opened.headers.color.tolist()
        for place in [] if WITHOUT_YCBCR.isdisjoint(colors) else range(len(colors)):
            if colors[place] in WITHOUT_YCBCR and place not in errors:
                name = self._source.name(int(indices[place]))
                errors[place] = error_from_code(code_number("color_space"), offset=0, detail=colors[place], source=name)
        return errors

    # ----------------------------------------------------------------------------------------- batches with bad files

    def _settle(self, slots: list[_Slot], opened: OpenImages, tried: _Tried) -> None:
        """Gives each slot its record; one that gets none has another index afterwards, or -1 if it is given up."""
        for number, place in enumerate(tried.places.tolist()):
            if place not in tried.bad:
                slots[place].record = bytes(tried.packed.image_bytes(number))
        for place, error in sorted(tried.bad.items()):
            self._treat(slots[place], error, opened.bytes(place))

    def _joined(self, slots: list[_Slot], epoch: int) -> Prepared:
        left = [(slot.draw, slot.index, slot.record) for slot in slots if slot.record is not None]
        packed = PackedBatch.join([record for _, _, record in left])
        packed.channels = self._settings.channels
        headers = Headers.of([header for i in range(len(packed)) if (header := packed.header(i)) is not None])
        draws = np.array([draw for draw, _, _ in left], np.int64)
        plan = None if self._settings.compose is None else self._plan(self._settings.compose, headers, epoch, draws)
        return Prepared(packed, plan, np.array([index for _, index, _ in left], np.int64))

    def _treat(self, slot: _Slot, error: JPEGError, data: bytes) -> None:
        settings, name = self._settings, self._source.name(slot.index)
        if settings.fallback == "transcode" and isinstance(error, UnsupportedJPEG):
            try:
                slot.record = transcode(data, limits=settings.limits, name=name)
                return
            except JPEGError as second:
                error = second
        if error.source is None:  # its words name a place in the batch, of which nobody knows
            error.args = (str(error).replace(f"image {error.index}: ", f"{name}: ", 1),)
        error.source, error.index = name, slot.index
        if settings.on_error == "raise":
            raise error
        self._report(slot.index, error)
        slot.refused.add(slot.index)
        slot.index = -1
        if settings.on_error == "replace":
            if len(slot.refused) > _MOST_REPLACEMENTS:
                raise error
            slot.index = next((i for i in slot.others if i not in slot.refused), -1)
            if slot.index < 0:  # a source of one sample
                raise error
