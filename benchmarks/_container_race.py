"""Runs the containers of `benchmarks.containers` side by side: one process each, their turns interleaved, several rounds."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _race, _ranges
from benchmarks._harness import Spread
from benchmarks._records import Records
from benchmarks._worker import Worker, WorkerError

MODULE = "benchmarks._container_session"
THREADS = (1, 2)
TURN = 0.4  # seconds that a container reads in a turn, about
BATCH = 64
FILES = 4
RANGES = 64  # records fetched over HTTP
FLIPS = 7  # bits that are flipped, one after the other
WAITS = "waits for ever"
PATIENCE = 20.0  # seconds to read all of a small container that is damaged; some libraries wait for ever


@dataclass(frozen=True)
class Variant(_race.Variant):
    """One container; `own` is read by code that every installation of ours has."""

    own: bool = False


CONTESTANTS = (
    Variant("arrow", own=True, quick=True),
    Variant("arrow crc", own=True, quick=True),
    Variant("safetensors", own=True, quick=True),
    Variant("lance", quick=True),
    Variant("raw", own=True, quick=True),
    Variant("tar"),
    Variant("mds"),
    Variant("array-record"),
    Variant("litdata"),
)


@dataclass
class Entry(_race.Entry[Variant]):
    """A container that takes part, and what was measured; by threads: reads a second of each round."""

    stability: str
    remote: str
    overhead: float
    reads: int  # records in a turn
    rates: dict[int, list[float]] = field(default_factory=lambda: {threads: [] for threads in THREADS})
    failed: dict[int, str] = field(default_factory=dict)  # by threads: why that cannot be
    writes: list[float] = field(default_factory=list)  # MB/s
    openings: list[float] = field(default_factory=list)  # ms
    ranges: list[float] = field(default_factory=list)  # ms for RANGES records
    flips: dict[str, int] = field(default_factory=dict)
    cut: dict[str, Any] = field(default_factory=dict)

    def rate(self, threads: int = 1) -> Spread:
        return Spread.of(self.rates[threads])


@dataclass
class Race(_race.Race[Entry]):
    """All that one run found out."""

    records: Records
    few: Records  # for the faults
    folder: Path

    @property
    def mean(self) -> float:
        """Bytes of a record."""
        return self.records.nbytes / len(self.records)


def interpreter(own: bool, rivals: str | None) -> str:
    """What runs a container: rivals in an environment of their own where there is one."""
    return sys.executable if own or rivals is None else rivals


def line_up(race: Race, variants: Sequence[Variant], rivals: str | None, step: Callable[..., None]) -> None:
    """Start a process for each container, which writes it and reads all of it back, then a smaller one for the faults."""

    def enter(variant: Variant, worker: Worker) -> Entry:
        flips, cut = _faults(race, variant, rivals)
        about = worker.ask("open", variant.key, str(race.records.folder), str(race.folder / variant.key), FILES)
        speed = 2 * BATCH / worker.ask("reads", _some(race, 2 * BATCH, 0), 1)
        count = min(len(race.records), max(1, round(TURN * speed / BATCH)) * BATCH)
        return Entry(variant, worker, **about, overhead=worker.ask("overhead"), reads=count, flips=flips, cut=cut)

    start = lambda variant: Worker(module=MODULE, python=interpreter(variant.own, rivals))  # noqa: E731
    race.line_up(variants, start, enter, step)


def _faults(race: Race, variant: Variant, rivals: str | None) -> tuple[dict[str, int], dict[str, Any]]:
    """What becomes of a small container with one bit flipped, several times, and of one that is cut.

    A process that is kept waiting is ended, and the next fault has another."""
    flips: dict[str, int] = {}
    cut: dict[str, Any] = {}
    worker: Worker | None = None
    for number in range(FLIPS + 1):
        if number < FLIPS and WAITS in flips:
            continue  # once is enough
        if worker is None:
            worker = Worker(module=MODULE, python=interpreter(variant.own, rivals))
            worker.ask("open", variant.key, str(race.few.folder), str(race.folder / "few"), 1)
        watch = threading.Timer(PATIENCE, worker.kill)
        watch.start()
        try:
            if number < FLIPS:
                outcome = worker.ask("flip", number)
            else:
                cut = worker.ask("cut")
        except WorkerError:
            outcome, cut = WAITS, {"waits": 1, "records": len(race.few)}
            worker.close()
            worker = None
        finally:
            watch.cancel()
        if number < FLIPS:
            flips[outcome] = flips.get(outcome, 0) + 1
    if worker is not None:
        worker.close()
    shutil.rmtree(race.folder / "few")
    return flips, cut


def run(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """Every round: each container is written, opened, read by one thread and by two, and asked for ranges."""
    for turn, entry in race.rounds(rounds, step):
        ask = entry.worker.ask
        entry.writes.append(race.records.nbytes / 1e6 / ask("write", FILES))
        entry.openings.append(1000 * ask("opening"))
        indices = _some(race, entry.reads, turn)
        for threads in THREADS:
            if threads in entry.failed:
                continue
            try:
                ask("reads", indices, threads)  # the writing has emptied the caches
                entry.rates[threads].append(len(indices) / ask("reads", indices, threads))
            except WorkerError as error:
                if threads == 1:
                    raise
                entry.failed[threads] = str(error)
        _ranged(race, entry, turn)


def _ranged(race: Race, entry: Entry, turn: int) -> None:
    places = entry.worker.ask("places")
    if places is None:
        return
    asked = _some(race, RANGES, 1000 + turn)
    with _ranges.FileServer(race.folder / entry.variant.key) as server:
        seconds, found = _ranges.fetch(server.port, [places[i] for i in asked])
    if any(data != race.records[i].tobytes() for i, data in zip(asked, found, strict=True)):
        raise WorkerError(f"{entry.variant.key}: ranges give other bytes")
    entry.ranges.append(1000 * seconds)


def _some(race: Race, count: int, turn: int) -> list[int]:
    """Random records, the same for all containers in a round."""
    picked: list[int] = np.random.default_rng(turn).integers(0, len(race.records), count).tolist()
    return picked
