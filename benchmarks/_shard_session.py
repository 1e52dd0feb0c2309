"""A process with one pipeline of `benchmarks.shards`."""

from __future__ import annotations

import gc
import os
import time
from typing import Any

from benchmarks import _processes, _shard_pipelines
from benchmarks._shard_pipelines import ShardJob
from benchmarks._worker import serve


class Session:
    """The process's state: one pipeline."""

    def __init__(self) -> None:
        self._pipeline: Any = None

    def open(self, maker: str, options: tuple[Any, ...], job: ShardJob) -> dict[str, str]:
        """Make the pipeline on as many cores as the job has; answers with its label and note."""
        _processes.keep_to(job.threads)
        self._pipeline = _shard_pipelines.MAKERS[maker](job, *options)
        return {"label": self._pipeline.label, "note": self._pipeline.note}

    def epochs(self, number: int, count: int) -> dict[str, float]:
        """Some epochs in the same order: images, bytes of their batches, and seconds."""
        self._pipeline.prepare(number)
        self._pipeline.nbytes = 0
        gc.collect()
        begin = time.perf_counter()
        images = sum(sum(self._pipeline.epoch(number)) for _ in range(count))
        return {"images": images, "bytes": self._pipeline.nbytes, "seconds": time.perf_counter() - begin}

    def memory(self) -> int | None:
        """Bytes that the process holds now, mapped files left out."""
        return _processes.memory(os.getpid())

    def opening(self, folder: str) -> dict[str, float]:
        """Seconds to open a set and ask for its last key and target, and bytes of memory that it takes."""
        from dctload import shards

        before, begin = _processes.memory(os.getpid()) or 0, time.perf_counter()
        opened = shards.open(folder)
        asked = opened.keys[len(opened) - 1], opened.targets[-1]
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "bytes": (_processes.memory(os.getpid()) or 0) - before, "asked": len(asked)}


if __name__ == "__main__":
    serve(Session())
