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
# several threads', so that their sum may exceed the time that passed.
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
_COUNTS = ("samples", "batches", "bytes_read", "bytes_sent")


class LoaderStatistics:
    """Seconds by stage and counts, from several threads."""

    def __init__(self) -> None:
        # Held for an addition and nothing else: what ends a run waits for its threads, and a collection of garbage can end a
        # run wherever Python makes objects.
        self._lock = threading.Lock()
        self._sums: dict[str, float] = {**dict.fromkeys(STAGES, 0.0), **dict.fromkeys(_COUNTS, 0)}
        self._began: float | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time that passes inside to a stage."""
        start = time.perf_counter()
        if self._began is None:
            self._began = start
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, name: str, amount: float) -> None:
        """Adds to a stage's seconds (time that was measured elsewhere), or to a count."""
        with self._lock:
            self._sums[name] += amount

    def as_dict(self) -> dict[str, Any]:
        """Seconds by stage; `samples`, `batches`; `bytes_read`, `bytes_sent` a sample; `seconds` passed, `images_per_second`."""
        sums, now = self._sums.copy(), time.perf_counter()
        samples, passed = sums["samples"], now - (self._began if self._began is not None else now)
        for name in ("bytes_read", "bytes_sent"):
            sums[name] = sums[name] / samples if samples else 0.0
        return {**sums, "seconds": passed, "images_per_second": samples / passed if samples and passed > 0 else 0.0}

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
