"""Where a loader's time goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

# What each stage's seconds are spent on, in the order of the road. Reading, decoding (with planning) and the device's work are
# three threads', so that their sum may exceed the time that passed.
STAGES = {
    "reading": "files into memory, headers",
    "planning": "random numbers, regions, frequencies",
    "decoding": "Huffman decoding, and packing each image",
    "packing": "images put together to one batch, with checksums",
    "waiting_for_consumer": "decoded batches ready, nobody takes them",
    "copying": "the batch to the device, by its own clock",
    "device": "unpacking and transforms, by the device's clock",
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
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Adds time that was measured elsewhere."""
        with self._lock:
            self._seconds[stage] += seconds

    def count(self, **more: int) -> None:
        """Adds to the counts."""
        with self._lock:
            for name, number in more.items():
                self._counts[name] += number

    def as_dict(self) -> dict[str, Any]:
        """Seconds by stage; `samples`, `batches`; `bytes_read`, `bytes_sent` a sample; `seconds` passed, `images_per_second`."""
        with self._lock:
            samples, passed = self._counts["samples"], time.perf_counter() - (self._began or time.perf_counter())
            each = {name: self._counts[name] / samples if samples else 0.0 for name in ("bytes_read", "bytes_sent")}
            return {
                **self._seconds,
                "samples": samples,
                "batches": self._counts["batches"],
                **each,
                "seconds": passed,
                "images_per_second": samples / passed if samples and passed > 0 else 0.0,
            }

    def live(self) -> Live:
        """A table of this on standard error that keeps itself up to date inside a with statement. It needs rich."""
        from rich.console import Console
        from rich.live import Live

        return Live(get_renderable=self._table, console=Console(stderr=True), refresh_per_second=4, transient=False)

    def _table(self) -> Table:
        from rich.table import Table

        now = self.as_dict()
        passed = now["seconds"] or 1.0
        sent = f"{now['bytes_sent'] / 1000:.1f} kB sent an image"
        title = f"{now['samples']:,} samples, {now['images_per_second']:,.0f} images/s, {sent}"
        table = Table("stage", "seconds", "of the time", "what", title=title, title_justify="left")
        for stage, what in STAGES.items():
            table.add_row(stage.replace("_", " "), f"{now[stage]:.1f}", f"{100 * now[stage] / passed:.0f} %", what)
        return table
