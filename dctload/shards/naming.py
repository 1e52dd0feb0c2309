"""What a set calls the samples of its source: keys, targets, and one number that stands for all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dctload import _core
from dctload.shards.plan import measured_places
from dctload.sources import FolderSource, ListSource, TarSource

if TYPE_CHECKING:
    from dctload.sources import Source

_LISTED = (FolderSource, ListSource, TarSource)  # names and targets of all their samples cost no reading of images
_FINGERPRINT_ROWS = 1 << 14


class SampleNames:
    """Keys of a source's samples: paths relative to what was given, so that a set does not depend on where its files lay.

    A folder's are relative to it, those of tars are `"train-000.tar/member"` relative to the folder that all tars lie in; other
    sources' are their names. Separators are slashes.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._skipped = 0
        self._tars: list[str] = []
        self._last = ""
        if isinstance(source, FolderSource):
            self._skipped = len(os.path.join(source.root, ""))  # noqa: PTH118 - as FolderSource joins
        elif isinstance(source, TarSource):
            self._tars = sorted(source.tars, key=len, reverse=True)  # of two that fit, the longer is meant
            first, last = min(source.tars), max(source.tars)  # what these two begin with, all begin with
            same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
            self._skipped = first[:same].rfind("/") + 1

    def key(self, i: int) -> str:
        """The key of sample `i`."""
        name = self._source.name(i)
        if self._tars:
            if not name.startswith(self._last + ":"):  # samples come tar by tar
                self._last = next((tar for tar in self._tars if name.startswith(tar + ":")), "")
            name = f"{self._last}/{name[len(self._last) + 1 :]}" if self._last else name
        key = name[self._skipped :]
        return printable(key if os.sep == "/" else key.replace(os.sep, "/"))


def printable(text: str) -> str:
    """The text as Unicode can hold it: bytes of a file's name that are no UTF-8 are spelt out, as in "backslash udc80"."""
    return text.encode("utf-8", "backslashreplace").decode()


def target_columns(target: Any, key: str) -> tuple[int | None, str | None]:
    """A target as a whole number, or else as JSON.

    Raises:
        TypeError: JSON cannot hold it; the message names the sample.
    """
    if not isinstance(target, (bool, float, str, bytes)) and hasattr(target, "__index__"):
        try:
            number = int(target.__index__())
        except TypeError:  # arrays and tensors have the method, whatever is in them
            number = 2**63
        if -(2**63) <= number < 2**63:
            return number, None
    try:
        # Half of a surrogate pair, as in names that are no UTF-8, is spelt out as JSON itself spells it.
        return None, printable(json.dumps(target, default=_plain, ensure_ascii=False, allow_nan=True))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{key}: the target, of type {type(target).__name__}, cannot be stored: {error}; shards hold whole numbers and what "
            "JSON holds"
        ) from None


def _plain(value: Any) -> Any:
    """Arrays and tensors as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not known to JSON")


def fingerprint(source: Source) -> int:
    """CRC32C of the names and targets of a source, which a changed source has another of.

    Of datasets whose names and targets cost reading the images, some samples stand for all.
    """
    names, count = SampleNames(source), len(source)
    places: Sequence[int] = range(count) if isinstance(source, _LISTED) else measured_places(count)
    crc = 0
    for first in range(0, len(places), _FINGERPRINT_ROWS):
        rows = []
        for i in places[first : first + _FINGERPRINT_ROWS]:
            key = names.key(i)
            rows.append(f"{key}\0{target_columns(source.target(i), key)}\n")
        crc = _core.crc32c("".join(rows).encode("utf-8", "backslashreplace"), crc)
    return crc
