"""What all races have in common: who takes part, a process for each, turns that go round, and ratios round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from benchmarks import _harness
from benchmarks._crops import Job
from benchmarks._harness import Spread, ratio, rotated
from benchmarks._worker import Worker, WorkerError


class HasKey(Protocol):
    """A variant, as far as it is told apart from others."""

    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Variant:
    """One contestant."""

    key: str
    quick: bool = field(default=False, kw_only=True)  # takes part with --quick


V = TypeVar("V", bound=HasKey)
C = TypeVar("C", bound=Variant)


def chosen(everyone: Sequence[C], only: Sequence[str], quick: bool, what: str, always: str = "") -> list[C]:
    """Who is to take part.

    Args:
        everyone: Who could.
        only: Parts of keys, or `all`; whose key holds one of them takes part. Where there are none: all, or the quick ones.
        quick: The quick ones alone, where there are no parts.
        what: What one of them is called where no key holds a part, which ends the program.
        always: The key of one that is never left out by parts.
    """
    if not only:
        return [variant for variant in everyone if variant.quick or not quick]
    found = [variant for variant in everyone if "all" in only or any(part.lower() in variant.key for part in only)]
    if not found:
        keys = ", ".join(variant.key for variant in everyone)
        _harness.fail(f"--only {' '.join(only)}: no such {what}; there are: {keys}")
    return [variant for variant in everyone if variant in found or variant.key == always]


@dataclass
class Entry(Generic[V]):
    """A variant that takes part, in a process of its own."""

    variant: V
    worker: Worker
    label: str
    note: str


E = TypeVar("E", bound=Entry[Any])


@dataclass
class Race(Generic[E]):
    """All that one run found out."""

    entries: dict[str, E] = field(default_factory=dict, kw_only=True)  # by the variants' keys
    absent: dict[str, str] = field(default_factory=dict, kw_only=True)  # variant -> reason

    def line_up(
        self,
        variants: Iterable[V],
        start: Callable[[V], Worker],
        enter: Callable[[V, Worker], E],
        step: Callable[..., None],
    ) -> None:
        """A process for each variant, in which `enter` warms it up; who fails there is absent."""
        for variant in variants:
            step(0, f"warm-up, {variant.key}")
            worker = start(variant)
            try:
                self.entries[variant.key] = enter(variant, worker)
            except WorkerError as error:
                self.absent[variant.key] = str(error).strip().splitlines()[0]
                worker.close()
            step(1)

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """For the time in which turns are taken; the processes end with it.

        The program ends with one line where nobody takes part, or where one (called `what`) stops after its warm-up."""
        try:
            if not self.entries:
                key, reason = next(iter(self.absent.items()))
                _harness.fail(f"no {what} can be run; {key}: {reason}")
            yield
        except WorkerError as error:
            _harness.fail(f"a {what} has stopped: {error}")
        finally:
            for entry in self.entries.values():
                entry.worker.close()

    def rounds(self, count: int, step: Callable[..., None]) -> Iterator[tuple[int, E]]:
        """Who has its turn, with the round's number. Every round all have one; who starts moves on from round to round."""
        for turn in range(count):
            for entry in rotated(list(self.entries.values()), turn):
                step(0, f"round {turn + 1} of {count}, {entry.variant.key}")
                yield turn, entry
            step(1)


@dataclass
class Pipeline(Entry[V]):
    """A way to a job's batches, and what was measured of each turn: its images, its seconds, and more."""

    turns: list[dict[str, float]] = field(default_factory=list, kw_only=True)

    def rate(self) -> Spread:
        """Images a second."""
        return Spread.of(turn["images"] / turn["seconds"] for turn in self.turns)


P = TypeVar("P", bound=Pipeline[Any])


@dataclass
class PipelineRace(Race[P]):
    """Ways to the same batches, held against each other."""

    job: Job

    def ratio(self, ours: str, other: str) -> Spread | None:
        """How many times as fast, round by round: neighbours in time share the machine's mood. None where one has no turn."""
        pair = [self.entries.get(key) for key in (ours, other)]
        if any(entry is None or not entry.turns for entry in pair):
            return None
        mine, theirs = ([turn["images"] / turn["seconds"] for turn in entry.turns] for entry in pair if entry is not None)
        return Spread.of(a / b for a, b in zip(mine, theirs, strict=True))

    def slower(self, ours: Iterable[str], rivals: Iterable[str]) -> list[str]:
        """Where ours is not faster than a rival, in words."""
        return [
            f"{self.entries[key].label} is {ratio(beside.median)} x as fast as {self.entries[other].label}."
            for key in ours
            for other in rivals
            if (beside := self.ratio(key, other)) is not None and beside.median < 1
        ]
