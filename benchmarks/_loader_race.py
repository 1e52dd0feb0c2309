"""Runs the pipelines of `benchmarks.loader` side by side: one process each, their epochs interleaved, several rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import _processes
from benchmarks._crops import Job
from benchmarks._harness import Spread, rotated
from benchmarks._worker import Worker, WorkerError, line_up_workers

MODULE = "benchmarks._loader_session"
WARM = 2  # epochs before the first that counts


@dataclass(frozen=True)
class Variant:
    """One contestant."""

    key: str
    maker: str
    options: tuple[Any, ...] = ()
    quick: bool = False  # takes part with --quick
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


def chosen(only: Sequence[str], quick: bool, device: str) -> list[Variant]:
    """Those whose key holds one of the parts (Pillow's always stays); without parts all, or the quick ones."""
    fit = [variant for variant in CONTESTANTS if variant.cuda is None or variant.cuda == (device != "cpu")]
    if not only:
        return [variant for variant in fit if variant.quick or not quick]
    if "all" in only:
        return fit
    found = [variant for variant in fit if any(part.lower() in variant.key for part in only)]
    return [variant for variant in fit if variant in found or variant.key == PILLOW] if found else []


@dataclass
class Entry:
    """A pipeline that takes part, and what was measured: images, seconds and CPU seconds of each epoch."""

    variant: Variant
    worker: Worker
    label: str
    note: str
    output: str
    turns: list[dict[str, float]] = field(default_factory=list)
    fed: list[dict[str, float]] = field(default_factory=list)  # epochs that feed a model
    peak: int | None = None  # bytes

    def rate(self) -> Spread:
        return Spread.of(turn["images"] / turn["seconds"] for turn in self.turns)

    def cpu(self) -> Spread:
        """CPU milliseconds an image, the whole process tree."""
        return Spread.of(1000 * turn["cpu"] / turn["images"] for turn in self.turns)


@dataclass
class Race:
    """All that one run found out."""

    job: Job
    entries: dict[str, Entry] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)  # variant -> reason

    def close(self) -> None:
        for entry in self.entries.values():
            entry.worker.close()

    def ratio(self, ours: str, other: str) -> Spread | None:
        """How many times as fast, round by round: neighbours in time share the machine's mood."""
        pair = [self.entries.get(key) for key in (ours, other)]
        if any(entry is None or not entry.turns for entry in pair):
            return None
        mine, theirs = (entry.turns for entry in pair if entry is not None)
        return Spread.of(b["seconds"] / a["seconds"] for a, b in zip(mine, theirs, strict=True))


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

    race.entries, race.absent = line_up_workers(variants, lambda _: Worker(environment, MODULE), enter, step)
    return race


def run(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """Every round: an epoch of each. The starting variant moves on from round to round."""
    for turn in range(rounds):
        for entry in rotated(list(race.entries.values()), turn):
            step(0, f"round {turn + 1} of {rounds}, {entry.variant.key}")
            entry.turns.append(entry.worker.ask("epoch", WARM + turn))
        step(1)


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
