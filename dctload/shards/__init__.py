"""Shards: packed coefficients made once, then read at the speed of memory.

`extract` makes a set of any source, `open` reads one, `verify` checks one, `merge` makes one of parts, `export` turns one into
files that other programs read. pyarrow is imported when one of them is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dctload.shards.exporting import export
    from dctload.shards.extraction import extract
    from dctload.shards.finishing import Summary
    from dctload.shards.layout import Manifest
    from dctload.shards.merging import merge
    from dctload.shards.reader import ShardSet
    from dctload.shards.reader import open_set as open  # noqa: A004 - always read as shards.open
    from dctload.shards.verification import Report, verify

_PLACES = {
    "Manifest": ("layout", "Manifest"),
    "Report": ("verification", "Report"),
    "ShardSet": ("reader", "ShardSet"),
    "Summary": ("finishing", "Summary"),
    "export": ("exporting", "export"),
    "extract": ("extraction", "extract"),
    "merge": ("merging", "merge"),
    "open": ("reader", "open_set"),
    "verify": ("verification", "verify"),
}

__all__ = ["Manifest", "Report", "ShardSet", "Summary", "export", "extract", "merge", "open", "verify"]


def __getattr__(name: str) -> object:
    if name in _PLACES:
        module, own = _PLACES[name]
        return getattr(importlib.import_module(f"dctload.shards.{module}"), own)
    raise AttributeError(f"module 'dctload.shards' has no attribute {name!r}")
