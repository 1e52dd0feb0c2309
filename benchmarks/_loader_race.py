"""Runs the pipelines of `benchmarks.loader` side by side: one process each, their epochs interleaved, several rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import _processes, _race
from benchmarks._crops import Job
from benchmarks._harness import Spread, rotated
from benchmarks._worker import Worker, WorkerError

MODULE = "benchmarks._loader_session"
WARM = 2  # epochs before the first that counts


@dataclass(frozen=True)
class Variant(_race.Variant):
    """One contestant."""

    maker: str
    options: tuple[Any, ...] = ()
    cuda: bool | None = None  # True: with --device cuda alone; False: without it alone
    steps: bool = False  # with --device cuda it also feeds a model

    @property
    def ours(self) -> bool:
        return self.maker in ("packed", "whole", "loader", "untransformed")


PILLOW = "pillow"
CONTESTANTS = (
    Variant("packed", "packed", quick=True),
    Variant("extract whole", "whole", quick=True),
    Variant("loader untransformed", "untransformed", quick=True),
    Variant("loader 24s", "loader", ("dct", None), quick=True, steps=True),
    Variant("loader 24s, 1 worker", "loader", ("dct", 1)),
    Variant("loader 24s, no workers", "loader", ("dct", 0)),
    Variant("loader rgb", "loader", ("rgb", None), quick=True, steps=True),
    Variant(PILLOW, "pillow", quick=True, steps=True),
    Variant("pillow draft", "pillow", (True,)),
    Variant("simplejpeg", "simplejpeg", steps=True),
    Variant("spdl", "spdl", steps=True),
    Variant("dali", "dali", steps=True),
    Variant("nvjpeg", "nvjpeg", cuda=True, steps=True),
    Variant("dctnet", "dctnet"),
)


def available(device: str) -> list[Variant]:
    """Those that can be asked for a batch on this device."""
    return [variant for variant in CONTESTANTS if variant.cuda is None or variant.cuda == (device != "cpu")]


@dataclass
class Entry(_race.Pipeline[Variant]):
    """A pipeline that takes part, and what was measured: images, seconds and CPU seconds of each epoch."""

    output: str
    fed: list[dict[str, float]] = field(default_factory=list)  # epochs that feed a model
    peak: int | None = None  # bytes

    def cpu(self) -> Spread:
        """CPU milliseconds an image, the whole process tree."""
        return Spread.of(1000 * turn["cpu"] / turn["images"] for turn in self.turns)


Race = _race.PipelineRace[Entry]


def line_up(variants: Sequence[Variant], job: Job, step: Callable[..., None]) -> Race:
    """Start a process for each variant and let it go through two epochs (not timed); their peak memory is noted."""
    race = Race(job)
    environment = {"OMP_NUM_THREADS": str(job.threads)}

    def enter(variant: Variant, worker: Worker) -> Entry:
        opened = worker.ask("open", variant.maker, variant.options, job)
        with _processes.PeakMemory(worker.pid) as peak:
            for number in range(WARM):
                seen = worker.ask("epoch", number)
        if seen["images"] != len(job):
            raise WorkerError(f"yields {seen['images']:.0f} images of {len(job)}")
        return Entry(variant, worker, opened["label"], opened["note"], opened["output"], peak=peak.highest)

    race.line_up(variants, lambda _: Worker(environment, MODULE), enter, step)
    return race


def run(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """Every round: an epoch of each."""
    for turn, entry in race.rounds(rounds, step):
        entry.turns.append(entry.worker.ask("epoch", WARM + turn))


def run_steps(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """The same, with a ResNet-50 that trains on each batch; the first epoch of each is not counted."""
    fed = [entry for entry in race.entries.values() if entry.variant.steps]
    for turn in range(-1, rounds):
        for entry in rotated(fed, max(turn, 0)):
            step(0, f"ResNet-50, round {turn + 1} of {rounds}, {entry.variant.key}")
            seen = entry.worker.ask("steps", WARM + max(turn, 0))
            if turn >= 0:
                entry.fed.append(seen)
        step(1)
