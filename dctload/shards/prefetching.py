"""Shards fetched in the background, in the order in which a loader will need them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_THREADS = 4  # downloads at a time
_log = logging.getLogger(__name__)


class Prefetcher:
    """Threads that fetch shards some way ahead of the batch that is being read.

    Args:
        fetch: Fetches one shard, unless it is there; called from several threads. What it raises is left to the reader, who
            will want the same shard.
        batches: int64 `[<= batch size]` each: the shards that a batch's samples lie in. Gone through once, ahead of the reader.
        count: Shards that there are.
        ahead: Shards that may be fetched before the reader has come to the batch that needs them first; at least 1.
    """

    def __init__(self, fetch: Callable[[int], object], batches: Iterable[NDArray[np.int64]], count: int, ahead: int) -> None:
        self._fetch, self._ahead = fetch, max(1, ahead)
        self._order = _by_first_need(batches, count)
        self._changed = threading.Condition()
        self._place: dict[int, int] = {}  # in that order, of the shards that were handed to a thread
        self._reached = 0  # shards, in that order, that the reader has come to
        self._closed = False
        for k in range(_THREADS):
            threading.Thread(target=self._work, name=f"dctload-fetch-{k}", daemon=True).start()

    def reached(self, shards: Iterable[int]) -> None:
        """Says that the reader wants these shards now."""
        with self._changed:
            self._reached = max(self._reached, *(self._place.get(number, -1) + 1 for number in shards), 0)
            self._changed.notify_all()

    def close(self) -> None:
        """Fetches no more; what a thread is at, it ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                self._fetch(number)
            except Exception as error:
                _log.debug("shard %d was not fetched ahead: %s", number, error)

    def _next(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._place) < self._reached + self._ahead)
            number = None if self._closed else next(self._order, None)
            if number is not None:
                self._place[number] = len(self._place)
            return number


def _by_first_need(batches: Iterable[NDArray[np.int64]], count: int) -> Iterator[int]:
    """Each shard once, by the first batch that needs it."""
    seen = np.zeros(count, bool)
    left = count
    for batch in batches:
        new = np.unique(batch[~seen[batch]])
        seen[new] = True
        yield from new.tolist()
        left -= len(new)
        if not left:
            return
