"""A short queue between two threads that either side can end."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Closed(Exception):
    """The queue was closed: by the reader, or by the writer with nothing left in it."""


class Handover(Generic[_T]):
    """At most `size` items on their way. `put` waits while it is full, `get` while it is empty."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[_T] = deque()
        self._changed = threading.Condition()
        self._finished = False  # no more will come
        self._closed = False  # nobody wants more

    def put(self, item: _T) -> None:
        """Hands an item over; `Closed` if nobody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> _T:
        """The next item; `Closed` if there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._finished or self._items)
            if self._closed or not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """Nothing more will be put; what is there can still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Ends both sides at once and drops what is there."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
