"""One pass over an epoch: the threads that work ahead, and what the consumer takes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from dctload.data.device import Delivered, DeviceStage, collated_targets
from dctload.data.handover import Closed, Handover
from dctload.data.host import HostStage, Prepared
from dctload.data.order import EpochPlan, Indices
from dctload.data.statistics import LoaderStatistics

if TYPE_CHECKING:
    from dctload.packed import OpenImages


class _Worker(threading.Thread):
    """A thread of a run."""


@dataclass(frozen=True)
class Failure:
    """An exception on its way to the consumer."""

    error: BaseException


class Run:
    """An epoch's batches in order, prepared ahead by threads: one reads, some decode, one works for the device.

    Those that decode are lanes: each takes every `lanes`-th batch, and they are emptied in turn, which keeps the order. Where a
    batch costs less than to pass it from thread to thread, each lane does everything for its batches; not where there is a target
    transform, which is called by one thread, in the batches' order. With `ahead` 0 there are no threads, and each batch is made
    when it is asked for. Threads hold nothing of the consumer's, so that dropping the iterator ends them.
    """

    def __init__(
        self,
        plan: EpochPlan,
        host: HostStage,
        device: DeviceStage,
        statistics: LoaderStatistics,
        target_transform: Callable[[Any], Any] | None,
        ahead: int,
    ) -> None:
        self._plan, self._host, self._device = plan, host, device
        self._statistics, self._target_transform = statistics, target_transform
        self._next = 0
        self._threads: list[_Worker] = []
        each = max(ahead // host.lanes, 1)
        self._opened: list[Handover[tuple[Indices, OpenImages] | Failure]] = [Handover(1) for _ in range(host.lanes)]
        self._prepared: list[Handover[Prepared | Failure]] = [Handover(each) for _ in range(host.lanes)]
        alone = host.light and target_transform is None
        self._delivered: list[Handover[Delivered | Failure]] = [Handover(s) for s in ([each] * host.lanes if alone else [1])]
        self._turns = cycle(self._delivered)
        if ahead > 0:
            works: dict[str, Callable[[], None]]
            if alone:
                works = {f"batches-{lane}": partial(self._make_all, lane) for lane in range(host.lanes)}
            else:
                works = {"read": self._read_all, "device": self._deliver_all}
                works |= {f"decode-{lane}": partial(self._prepare_all, lane) for lane in range(host.lanes)}
            for name, work in works.items():
                thread = _Worker(target=work, name=f"dctload-{name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def take(self) -> Delivered | None:
        """The next batch; None behind the last. What went wrong in a thread is raised here."""
        if not self._threads:
            if self._next == len(self._plan):
                return None
            delivered = self._make(self._plan[self._next])
            self._next += 1
        else:
            try:
                with self._statistics.timed("waiting_for_data"):
                    item = next(self._turns).get()  # that the lane whose turn it is has ended ends all
            except Closed:
                return None
            if isinstance(item, Failure):
                raise item.error
            delivered = item
        return self._device.hand_over(delivered)

    def stop(self) -> None:
        """Ends the threads, and returns when they have ended.

        A collection of garbage can call this from a worker, of this run or of another one of the same loader. That worker may
        hold a lock that these threads wait for, so there they are left to end by themselves.
        """
        queues: list[Handover[Any]] = [*self._opened, *self._prepared, *self._delivered]
        for queue in queues:
            queue.close()
        if not isinstance(threading.current_thread(), _Worker):
            for thread in self._threads:
                thread.join()

    def _make(self, indices: Indices) -> Delivered:
        return self._deliver(self._prepare(indices, self._host.open(indices)))

    def _prepare(self, indices: Indices, opened: OpenImages) -> Prepared:
        ring = self._device.ring
        return self._host.prepare(indices, opened, self._plan.epoch, None if ring is None else ring.take)

    def _deliver(self, prepared: Prepared) -> Delivered:
        values = self._host.targets(prepared.indices)
        if self._target_transform is not None:
            values = [self._target_transform(value) for value in values]
        return self._device.deliver(prepared, collated_targets(values))

    def _make_all(self, lane: int) -> None:
        queue = self._delivered[lane]
        with _handing_on(cycle([queue]), [queue]):
            for number in range(lane, len(self._plan), self._host.lanes):
                delivered = self._make(self._plan[number])
                with self._statistics.timed("waiting_for_consumer"):
                    queue.put(delivered)

    def _read_all(self) -> None:
        lanes = cycle(self._opened)
        with _handing_on(lanes, self._opened), self._host.ahead_of(self._plan):
            for indices in self._plan:
                opened = self._host.open(indices)
                next(lanes).put((indices, opened))

    def _prepare_all(self, lane: int) -> None:
        queue = self._prepared[lane]
        with _handing_on(cycle([queue]), [queue]):
            while True:
                item = self._opened[lane].get()
                prepared = item if isinstance(item, Failure) else self._prepare(*item)
                with self._statistics.timed("waiting_for_consumer"):
                    queue.put(prepared)

    def _deliver_all(self) -> None:
        delivered = self._delivered[0]
        with _handing_on(cycle([delivered]), [delivered]):
            for queue in cycle(self._prepared):
                item = queue.get()
                delivered.put(item if isinstance(item, Failure) else self._deliver(item))


@contextlib.contextmanager
def _handing_on(turns: Iterator[Handover[Any]], queues: Sequence[Handover[Any]]) -> Iterator[None]:
    """A thread's work for the queues behind it, which learn of its end; the one whose turn it is, of what went wrong."""
    try:
        yield
    except Closed:
        pass
    except BaseException as error:  # raised again where the consumer is
        with contextlib.suppress(Closed):
            next(turns).put(Failure(error))
    finally:
        for queue in queues:
            queue.finish()
