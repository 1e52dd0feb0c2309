"""A list of `(path or bytes, target)` pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from dctload.jpeg import checked_buffer
from dctload.sources.urls import is_url, read_urls

if TYPE_CHECKING:
    from dctload.sources.protocol import Data


class ListSource:
    """Pairs of encoded images and targets, in the list's order.

    Args:
        pairs: `(path, target)`, `(URL, target)` or `(bytes, target)`, in any mixture. The list is copied, the bytes are not.
        classes: Names of the classes, where they are known.

    Raises:
        ValueError: The list is empty.
        TypeError: An item is no such pair; the message says which.
    """

    def __init__(self, pairs: Sequence[Any], classes: Sequence[str] | None = None) -> None:
        if not pairs:
            raise ValueError("the list of (path or bytes, target) pairs is empty")
        self.classes = list(classes) if classes is not None else None
        self._data: list[Data] = []
        self._targets: list[Any] = []
        for i, pair in enumerate(pairs):
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(
                    f"item {i} of the list is no (path or bytes, target) pair but {_shown(pair)}; without targets write "
                    "[(path, 0) for path in paths]"
                )
            self._data.append(_checked(pair[0], f"the image of item {i}"))
            self._targets.append(pair[1])

    def __len__(self) -> int:
        return len(self._data)

    def target(self, i: int) -> Any:
        """The second of pair `i`."""
        return self._targets[i]

    def name(self, i: int) -> str:
        """The path of sample `i`, or `"sample i"` where the list holds its bytes."""
        data = self._data[i]
        return data if isinstance(data, str) else f"sample {i}"

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """Paths and bytes as they stand in the list; what has a URL is read."""
        return fetched([self._data[i] for i in indices])

    def __repr__(self) -> str:
        return f"ListSource({len(self)} images)"


def fetched(items: list[Data]) -> list[Data]:
    """The items with URLs replaced by their bytes, as far as they can be read."""
    places = [k for k, item in enumerate(items) if isinstance(item, str) and is_url(item)]
    if places:
        for k, data in zip(places, read_urls([cast("str", items[k]) for k in places]), strict=True):
            items[k] = items[k] if data is None else data
    return items


def _checked(data: Any, what: str) -> Data:
    if isinstance(data, (str, os.PathLike)):
        path = os.fspath(data)
        if isinstance(path, str):
            return path
        return os.fsdecode(path)
    return checked_buffer(data, what)


def _shown(item: Any) -> str:
    return repr(item) if isinstance(item, (str, os.PathLike, int, float)) else f"of type {type(item).__name__}"
