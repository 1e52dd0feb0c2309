"""One pipeline of `benchmarks.loader` in a process of its own (`python -m benchmarks._loader_session`); see `_worker`."""

from __future__ import annotations

import gc
import os
import time
from typing import Any

from benchmarks import _processes
from benchmarks._crops import Job
from benchmarks._worker import serve


class Session:
    """The child's state: its pipeline, and a model where steps are timed."""

    def __init__(self) -> None:
        self._pipeline: Any = None
        self._device = "cpu"
        self._step: Any = None

    def open(self, maker: str, options: tuple[Any, ...], job: Job) -> dict[str, str]:
        """Make the pipeline on as many cores as the job has; answers with its label and note."""
        _processes.keep_to(job.threads)
        from benchmarks import _loader_rivals, _pipelines

        self._pipeline = {**_pipelines.MAKERS, **_loader_rivals.MAKERS}[maker](job, *options)
        self._device = job.device
        return {"label": self._pipeline.label, "note": self._pipeline.note, "output": self._pipeline.output}

    def epoch(self, number: int) -> dict[str, float]:
        """One epoch: images, seconds, and CPU seconds of this process and all its children."""
        self._pipeline.prepare(number)
        gc.collect()
        used, begin, images = _processes.cpu_seconds(os.getpid()), time.perf_counter(), 0
        for batch in self._pipeline.epoch(number):
            images += len(batch)
        self._wait()
        seconds = time.perf_counter() - begin
        return {"images": images, "seconds": seconds, "cpu": _processes.cpu_seconds(os.getpid()) - used}

    def steps(self, number: int) -> dict[str, float]:
        """One epoch of training steps of a ResNet-50: images, seconds, and those in which the step waited for its batch."""
        self._pipeline.prepare(number)
        begin, waited, images, batches = time.perf_counter(), 0.0, 0, iter(self._pipeline.epoch(number))
        while True:
            asked = time.perf_counter()
            x = next(batches, None)
            self._wait()  # until the batch's copy and transforms are done
            waited += time.perf_counter() - asked
            if x is None:
                break
            if self._step is None:
                from benchmarks._resnet import TrainingStep

                self._step = TrainingStep(x.shape[1], self._device)
            self._step(x)
            self._wait()
            images += len(x)
        return {"images": images, "seconds": time.perf_counter() - begin, "waited": waited}

    def _wait(self) -> None:
        """Until the consumer's stream is done; work on side streams goes on."""
        if self._device != "cpu":
            import torch

            torch.cuda.current_stream().synchronize()


if __name__ == "__main__":
    serve(Session())
