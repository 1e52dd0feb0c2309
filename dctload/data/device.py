"""The device's part of a batch: the copy, unpacking and transforms, on a stream of their own where there are streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dctload import _core
from dctload.data.host import Prepared, Settings
from dctload.data.statistics import LoaderStatistics
from dctload.ops import DCTBatch, unpack

_GROWTH = 1.25  # of a page-locked buffer that was too small
_GRAIN = 1 << 20


class PinnedRing:
    """Page-locked buffers, used in turn: allocating one takes longer than filling it."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []
        self._copying: list[tuple[Any, Tensor]] = []
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Tensor:
        """A buffer of at least so many bytes."""
        with self._lock:
            while self._copying and self._copying[0][0].query():
                self._free.append(self._copying.pop(0)[1])
            self._free.sort(key=Tensor.numel)
            for place, buffer in enumerate(self._free):
                if buffer.numel() >= nbytes:
                    return self._free.pop(place)
            if self._free:  # one that is too small makes room for its successor
                self._free.pop(0)
        size = -(-int(nbytes * _GROWTH) // _GRAIN) * _GRAIN
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def give_back(self, buffer: Tensor, event: Any) -> None:
        """A buffer that is free once the copy before a CUDA event is done."""
        with self._lock:
            self._copying.append((event, buffer))


@dataclass(eq=False)
class Delivered:
    """What a batch is on its device: the first element of what a loader yields, and its targets; ready when `event` is."""

    x: Tensor | DCTBatch
    targets: Any
    prepared: Prepared
    event: torch.cuda.Event | None = None

    def tensors(self) -> list[Tensor]:
        """Tensors that were made on the side stream."""
        return [self.x.packed if isinstance(self.x, DCTBatch) else self.x, *tensors(self.targets)]


class DeviceStage:
    """Turns packed batches into what the model takes.

    On a CUDA device all of it is queued on a side stream, so that it overlaps with the model's own work; the consumer's stream
    waits for an event.
    """

    def __init__(
        self,
        device: torch.device,
        settings: Settings,
        statistics: LoaderStatistics,
        *,
        dtype: torch.dtype,
        memory_format: torch.memory_format,
        num_threads: int,
    ) -> None:
        self.device, self._settings, self._statistics = device, settings, statistics
        self._dtype, self._memory_format = dtype, memory_format
        cuda = device.type == "cuda"
        self.ring = PinnedRing() if cuda else None
        self._stream = torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]
        self._resampler = None if cuda else _core.Resampler(num_threads)
        self._clocks: list[list[Any]] = []  # CUDA events by batch: begin, copied, done
        self._lock = threading.Lock()

    def deliver(self, prepared: Prepared, targets: Any) -> Delivered:
        """The batch on the device. With CUDA this returns before the work is done."""
        if self._stream is None:
            with self._lock, self._statistics.timed("device"):  # the resampler serves one call at a time
                return self._made(self._packed(prepared), prepared, targets)
        with self._lock, torch.cuda.stream(self._stream):
            self._look_at_clocks()
            clocks = [torch.cuda.Event(enable_timing=True) for _ in range(3)]  # type: ignore[no-untyped-call]
            clocks[0].record(self._stream)
            batch = self._packed(prepared).to(self.device, non_blocking=True)
            clocks[1].record(self._stream)
            if self.ring is not None and prepared.buffer is not None:
                self.ring.give_back(prepared.buffer, clocks[1])
            delivered = self._made(batch, prepared, targets)
            clocks[2].record(self._stream)
            self._clocks.append(clocks)
            delivered.event = clocks[2]
        return delivered

    def hand_over(self, delivered: Delivered) -> Delivered:
        """Makes the consumer's stream wait for the batch, and keeps its memory until that stream is done with it."""
        if delivered.event is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(delivered.event)
            for tensor in delivered.tensors():
                tensor.record_stream(current)
        return delivered

    def _packed(self, prepared: Prepared) -> DCTBatch:
        self._statistics.add("bytes_sent", prepared.packed.nbytes)
        return unpack(prepared.packed, channels=self._settings.channels, checked=True)

    def _made(self, batch: DCTBatch, prepared: Prepared, targets: Any) -> Delivered:
        targets = moved(targets, self.device)
        compose = self._settings.compose
        if prepared.plan is None or compose is None:
            batch.targets = targets
            return Delivered(batch, targets, prepared)
        x, targets = compose.apply(batch, prepared.plan, targets, channels=self._settings.selection, resampler=self._resampler)
        return Delivered(x.to(dtype=self._dtype, memory_format=self._memory_format), targets, prepared)

    def _look_at_clocks(self) -> None:
        """Adds up the times of batches that the device is done with, without waiting for it."""
        while self._clocks and self._clocks[0][2].query():
            start, copied, done = self._clocks.pop(0)
            self._statistics.add("copying", start.elapsed_time(copied) / 1e3)
            self._statistics.add("device", copied.elapsed_time(done) / 1e3)


def collated_targets(values: Sequence[Any] | NDArray[np.int64]) -> Any:
    """Targets of a batch: int64 of whole numbers, float32 of others, what torch's default_collate makes of the rest.

    Where there are none (each is None), a list of None.
    """
    if isinstance(values, np.ndarray):
        return torch.from_numpy(values)
    if all(isinstance(v, (int, np.integer)) for v in values):
        return torch.from_numpy(np.array(values, np.int64))
    if all(isinstance(v, (int, float, np.integer, np.floating)) for v in values):
        return torch.from_numpy(np.array(values, np.float32))
    if all(v is None for v in values):
        return list(values)
    from torch.utils.data import default_collate

    return default_collate(list(values))


def moved(targets: Any, device: torch.device) -> Any:
    """Collated targets with every tensor in them on a device."""
    if isinstance(targets, Tensor):
        return targets.to(device, non_blocking=True)
    if isinstance(targets, Mapping):
        return {name: moved(value, device) for name, value in targets.items()}
    if isinstance(targets, (list, tuple)):
        parts = [moved(value, device) for value in targets]
        return type(targets)(*parts) if hasattr(targets, "_fields") else type(targets)(parts)
    return targets


def tensors(targets: Any) -> Iterator[Tensor]:
    """All tensors in collated targets."""
    if isinstance(targets, Tensor):
        yield targets
    elif isinstance(targets, (Mapping, list, tuple)):
        for value in targets.values() if isinstance(targets, Mapping) else targets:
            yield from tensors(value)
