"""From a source to batches on a device: order, the host's threads, the device's stage, and `DCTLoader`, which holds them."""

from __future__ import annotations

from dctload.data.loader import DCTLoader
from dctload.data.order import EpochOrder
from dctload.data.statistics import LoaderStatistics

__all__ = ["DCTLoader", "EpochOrder", "LoaderStatistics"]
