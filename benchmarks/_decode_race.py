"""Runs the variants of `benchmarks.decode` side by side: one process each, their turns interleaved, several rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import _race
from benchmarks._data import FileSet
from benchmarks._harness import Spread, Timings, rotated
from benchmarks._variants import Variant
from benchmarks._worker import Worker, WorkerError

SLOW_EVERY = 3  # slow variants run in every third round
MOST_FAILURES = 0.1  # a variant that cannot read more than this share of a set is listed as absent


@dataclass
class Entry(_race.Entry[Variant]):
    """A variant that takes part, and what was measured."""

    times: dict[str, Timings] = field(default_factory=dict)
    peak: int | None = None  # bytes above files and libraries, on the variant's first set


@dataclass
class Race(_race.Race[Entry]):
    """All that one run found out."""

    sets: dict[str, FileSet]
    kept: dict[str, list[int]] = field(default_factory=dict)  # by set: the files that every variant reads
    left_out: list[str] = field(default_factory=list)  # files that some variant cannot read

    def files(self, name: str) -> int:
        return len(self.kept[name])

    def nbytes(self, name: str) -> int:
        return sum(len(self.sets[name].files[index].data) for index in self.kept[name])


def line_up(variants: Sequence[Variant], sets: Mapping[str, FileSet], step: Callable[..., None]) -> Race:
    """Start a process for each variant, hand it its files, and let it read each once (not timed).

    Peak memory is taken here, in a fresh process that has just its files and libraries in memory."""
    race = Race(dict(sets))
    failures: dict[str, dict[int, str]] = {name: {} for name in sets}

    def enter(variant: Variant, worker: Worker) -> Entry:
        opened = worker.ask("open", variant.maker, variant.options)
        entry = Entry(variant, worker, opened["label"], opened["note"])
        failed_here: dict[str, dict[int, str]] = {}
        for name in variant.sets:
            if name not in sets:
                continue
            worker.ask("files", name, sets[name].sources)
            failed_here[name] = failed = worker.ask("warm", name)
            if len(failed) > MOST_FAILURES * len(sets[name]):
                first = next(iter(failed.values()))
                raise WorkerError(f"cannot read {len(failed)} of {len(sets[name])} files ({name}): {first}")
            if not entry.times:
                entry.peak = worker.ask("peak")
            entry.times[name] = Timings()
        for name, failed in failed_here.items():
            failures[name].update(failed)
            lines = [f"{name}: {sets[name].files[index].name}: {entry.label}: {text}" for index, text in failed.items()]
            race.left_out.extend(lines)
        return entry

    race.line_up(variants, lambda variant: Worker(variant.environment), enter, step)
    race.kept = {name: [i for i in range(len(sets[name])) if i not in failures[name]] for name in sets}
    return race


def run(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """Every round: each set, each variant on it, all files once. The starting variant moves on from round to round."""
    for turn in range(rounds):
        for name, indices in race.kept.items():
            running = [entry for entry in race.entries.values() if name in entry.times]
            for entry in rotated(running, turn):
                if entry.variant.slow and turn % SLOW_EVERY:
                    continue
                step(0, f"round {turn + 1} of {rounds}, {name}, {entry.variant.key}")
                entry.times[name].add(entry.worker.ask("turn", name, indices), len(indices))
        step(1)


@dataclass(frozen=True)
class Threaded:
    """Files a second with all threads, wall time."""

    key: str
    label: str
    rate: Spread
    how: str


def run_threaded(race: Race, name: str, threads: int, rounds: int, step: Callable[..., None]) -> list[Threaded]:
    """The same files by all threads: our batches bring their own, all others get one process a core and share the files."""
    indices = race.kept[name]
    teams: dict[str, list[Worker]] = {}
    walls: dict[str, list[float]] = {}
    entries = {key: entry for key, entry in race.entries.items() if entry.variant.all_threads and name in entry.times}
    try:
        for key, entry in entries.items():
            variant = entry.variant
            own_threads = variant.maker == "packed"
            team = [Worker(variant.environment) for _ in range(1 if own_threads else threads)]
            teams[key], walls[key] = team, []
            for member, worker in enumerate(team):
                share = indices[member :: len(team)]
                worker.ask("open", variant.maker, variant.options)
                worker.ask("files", name, [race.sets[name].files[index].data for index in share])
                worker.ask("batch", name, range(len(share)))
        for turn in range(rounds):
            for key in rotated(list(teams), turn):
                step(0, f"all threads, round {turn + 1} of {rounds}, {key}")
                walls[key].append(_wall_seconds(teams[key], name, len(indices)))
            step(1)
    finally:
        for team in teams.values():
            for worker in team:
                worker.close()
    done = []
    for key, seconds in walls.items():
        rates = Spread.of(len(indices) / wall for wall in seconds)
        rate = Spread(len(indices) / statistics.median(seconds), rates.iqr, rates.n)
        how = "own threads" if len(teams[key]) == 1 else f"{threads} processes"
        done.append(Threaded(key, entries[key].label, rate, how))
    return done


def _wall_seconds(team: Sequence[Worker], name: str, count: int) -> float:
    """Wall time from the first start to the last answer."""
    shares = [range(len(range(member, count, len(team)))) for member in range(len(team))]
    begin = time.perf_counter()
    for worker, share in zip(team, shares, strict=True):
        worker.start("batch", name, share)
    for worker in team:
        worker.finish()
    return time.perf_counter() - begin


def run_large(path: str, channels: str) -> dict[str, Any]:
    """One large file into the packed form, in a process that has never decoded anything."""
    worker = Worker()
    try:
        worker.ask("open", "packed_large", (channels,))
        answer: dict[str, Any] = worker.ask("large", path)
        return answer
    finally:
        worker.close()
