"""Where a loader's time goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What each stage's seconds are spent on, in the order of the road. The first four are one thread's, "device" is another's, so
# that their sum may exceed the time that passed.
STAGES = {
    "reading": "files into memory, headers",
    "planning": "random numbers, regions, frequencies",
    "decoding": "Huffman decoding and packing",
    "waiting_for_consumer": "decoded batches ready, nobody takes them",
    "device": "copy, unpacking and transforms (on CUDA: queueing them)",
    "waiting_for_data": "the consumer waits for a batch",
}


class LoaderStatistics:
    """Seconds by stage and counts, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._counts = {"samples": 0, "batches": 0, "bytes_read": 0, "bytes_sent": 0}
        self._began: float | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time that passes inside to a stage."""
        start = time.perf_counter()
        with self._lock:
            if self._began is None:
                self._began = start
        try:
            yield
        finally:
            passed = time.perf_counter() - start
            with self._lock:
                self._seconds[stage] += passed

    def count(self, **more: int) -> None:
        """Adds to the counts."""
        with self._lock:
            for name, number in more.items():
                self._counts[name] += number

    def as_dict(self) -> dict[str, Any]:
        """Seconds by stage, `samples`, `batches`; `bytes_read` and `bytes_sent` a sample; `images_per_second` since the start."""
        with self._lock:
            samples, passed = self._counts["samples"], time.perf_counter() - (self._began or time.perf_counter())
            each = {name: self._counts[name] / samples if samples else 0.0 for name in ("bytes_read", "bytes_sent")}
            return {
                **self._seconds,
                "samples": samples,
                "batches": self._counts["batches"],
                **each,
                "images_per_second": samples / passed if samples and passed > 0 else 0.0,
            }
