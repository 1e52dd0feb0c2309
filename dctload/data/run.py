"""One pass over an epoch: the threads that work ahead, and what the consumer takes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dctload.data.device import Delivered, DeviceStage, collated_targets
from dctload.data.handover import Closed, Handover
from dctload.data.host import HostStage, Prepared
from dctload.data.order import EpochPlan
from dctload.data.statistics import LoaderStatistics

if TYPE_CHECKING:
    from dctload.sources import Source


@dataclass(frozen=True)
class Failure:
    """An exception on its way to the consumer."""

    error: BaseException


class Run:
    """An epoch's batches in order, prepared ahead by two threads: one reads and decodes, one works for the device.

    With `ahead` 0 there are no threads, and each batch is made when it is asked for. Threads hold nothing of the consumer's, so
    that dropping the iterator ends them.
    """

    def __init__(
        self,
        plan: EpochPlan,
        source: Source,
        host: HostStage,
        device: DeviceStage,
        statistics: LoaderStatistics,
        target_transform: Callable[[Any], Any] | None,
        ahead: int,
    ) -> None:
        self._plan, self._source, self._host, self._device = plan, source, host, device
        self._statistics, self._target_transform = statistics, target_transform
        self._next = 0
        self._threads: list[threading.Thread] = []
        self._prepared: Handover[Prepared | Failure] = Handover(max(ahead - 1, 1))
        self._delivered: Handover[Delivered | Failure] = Handover(1)
        if ahead > 0:
            for work, name in ((self._prepare_all, "dctload-host"), (self._deliver_all, "dctload-device")):
                thread = threading.Thread(target=work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def take(self) -> Delivered | None:
        """The next batch; None behind the last. What went wrong in a thread is raised here."""
        if not self._threads:
            if self._next == len(self._plan):
                return None
            delivered = self._deliver(self._prepare(self._next))
            self._next += 1
        else:
            try:
                with self._statistics.timed("waiting_for_data"):
                    item = self._delivered.get()
            except Closed:
                return None
            if isinstance(item, Failure):
                raise item.error
            delivered = item
        return self._device.hand_over(delivered)

    def stop(self) -> None:
        """Ends the threads; returns when they have ended."""
        self._prepared.close()
        self._delivered.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _prepare(self, k: int) -> Prepared:
        ring = self._device.ring
        return self._host.prepare(self._plan[k], self._plan.epoch, None if ring is None else ring.take)

    def _deliver(self, prepared: Prepared) -> Delivered:
        values = [self._source.target(i) for i in prepared.indices.tolist()]
        if self._target_transform is not None:
            values = [self._target_transform(value) for value in values]
        return self._device.deliver(prepared, collated_targets(values))

    def _prepare_all(self) -> None:
        try:
            for k in range(len(self._plan)):
                prepared = self._prepare(k)
                with self._statistics.timed("waiting_for_consumer"):
                    self._prepared.put(prepared)
        except Closed:
            return
        except BaseException as error:
            self._put_failure(self._prepared, error)
        finally:
            self._prepared.finish()

    def _deliver_all(self) -> None:
        try:
            while True:
                prepared = self._prepared.get()
                self._delivered.put(prepared if isinstance(prepared, Failure) else self._deliver(prepared))
        except Closed:
            return
        except BaseException as error:
            self._put_failure(self._delivered, error)
        finally:
            self._delivered.finish()

    @staticmethod
    def _put_failure(queue: Handover[Any], error: BaseException) -> None:
        with contextlib.suppress(Closed):
            queue.put(Failure(error))
