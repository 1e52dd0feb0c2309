"""The core alone against libjpeg-turbo: the rows, bars and table of `benchmarks.decode` in which no Python takes part.

All contestants run in one process and one thread; a round sends all files through one of them, then through the next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import _bars, _harness
from benchmarks._core import CONTESTANTS
from benchmarks._decode_race import Race
from benchmarks._harness import Row, Spread, Timings, rotated
from benchmarks._variants import BARS, MAIN
from benchmarks._worker import Worker

LIBJPEG = "libjpeg"
PREFIX = "core "  # of the keys of these rows
PACKING = {"24s": 0.06, "64s": 0.11, "all": 0.20}  # the most that packing may take of the decoding before it


def wanted(patterns: Sequence[str]) -> bool:
    """Whether `--only` asks for these rows: all of them or none, as they share their rounds."""
    return not patterns or any(pattern.lower() in PREFIX for pattern in patterns)


@dataclass
class CoreRace:
    """What was measured, by set and contestant."""

    yardstick: str  # key of the same library in the other rows
    library: str
    level: str
    nbytes: dict[str, int]
    times: dict[str, dict[str, Timings]] = field(default_factory=dict)

    def ratio(self, name: str, key: str) -> float:
        """How many times as fast as libjpeg-turbo, on the same files."""
        return self.times[name][LIBJPEG].seconds / self.times[name][key].seconds


def run(race: Race, yardstick: str, origin: str, rounds: int, step: Callable[..., None]) -> CoreRace:
    """Every round: each set, each contestant on it, the starting one moving on.

    Raises:
        WorkerError: The harness or the library is not there; the text says why."""
    worker = Worker()
    try:
        step(0, "the core alone, compiling")
        opened = worker.ask("core_open", origin)
        found = CoreRace(yardstick, opened["library"], opened["level"], {name: race.nbytes(name) for name in race.kept})
        for name, indices in race.kept.items():
            worker.ask("core_files", name, [race.sets[name].files[index].data for index in indices])
            found.times[name] = {key: Timings() for key in CONTESTANTS}
        for turn in range(rounds):
            for name, times in found.times.items():
                for key in rotated(list(CONTESTANTS), turn):
                    step(0, f"the core alone, round {turn + 1} of {rounds}, {name}, {key}")
                    times[key].add(worker.ask("core_turn", key, name), race.files(name))
            step(1)
        return found
    finally:
        worker.close()


def rows(found: CoreRace) -> list[Row]:
    """One row a contestant and set."""
    made = []
    for name, by_key in found.times.items():
        for key, times in by_key.items():
            files, rate = times.files, times.rate()
            extra: dict[str, Any] = {
                "key": PREFIX + key,
                "set": name,
                "mb_per_s": round(found.nbytes[name] / times.seconds / 1e6, 1),
                "us_per_file": round(times.seconds / files * 1e6, 1),
                "ratio": {found.yardstick: round(found.ratio(name, key), 3)},
            }
            ours = key != LIBJPEG
            label = f"dctload core, {key.replace(' ', ', ')}" if ours else f"{found.library} coefficients, from C"
            note = f"{found.level}, no Python" if ours else "same process as the core's rows"
            made.append(Row(f"{label}, {name}", "images/s", *rate.rounded(1), 1, note, extra))
    return made


def bars(found: CoreRace | None) -> list[dict[str, Any]]:
    """The promised ratios to libjpeg-turbo, as the core alone keeps them; "not run" where it was not measured."""
    made = []
    for bar in BARS:
        if bar.other != "libjpeg":
            continue
        measured = None
        if found is not None and bar.what in found.times:
            pair = (found.times[bar.what][key].rounds for key in (bar.ours, LIBJPEG))
            spread = Spread.of(sum(theirs) / sum(mine) for mine, theirs in zip(*pair, strict=True))
            measured = Spread(found.ratio(bar.what, bar.ours), spread.iqr, spread.n)
        library = "libjpeg-turbo" if found is None else found.library
        made.append(bar.outcome(measured, library, PREFIX + bar.ours))
    return made


def packing(found: CoreRace | None) -> list[dict[str, Any]]:
    """What packing takes, copy and checksums included, as a share of the decoding before it; by selection, on the main set."""
    made = []
    for channels, most in PACKING.items():
        share = None
        if found is not None:
            pair = (found.times[MAIN][f"{kind} {channels}"].rounds for kind in ("packed", "tiles"))
            share = Spread.of(sum(whole) / sum(tiles) - 1 for whole, tiles in zip(*pair, strict=True))
        made.append(
            {
                "channels": channels,
                "share": None if share is None else round(share.median, 4),
                "iqr": None if share is None else round(share.iqr, 4),
                "most": most,
                "met": None if share is None else share.median <= most,
            }
        )
    return made


def packing_table(made: Sequence[Mapping[str, Any]]) -> _harness.Table:
    """The same for the terminal."""
    shown = _harness.table("Packing, beside decoding", ("channels", "share", "iqr", "at most", "!"))
    for one in made:
        figures = ("not run", "") if one["share"] is None else (f"{one['share']:.1%}", f"{one['iqr']:.1%}")
        shown.add_row(one["channels"], *figures, f"{one['most']:.0%}", _bars.COLOURED[one["met"]])
    return shown


def table(out: _harness.Console, made: Sequence[Row]) -> _harness.Table:
    """The rows, set by set."""
    heads = ("files", "!one thread, no Python", "images/s", "iqr", "MB/s", "us/file", "/ libjpeg")

    def make(left_out: Collection[int]) -> _harness.Table:
        title = "The core alone and libjpeg-turbo, called from C in one process"
        shown = _harness.table(title, _harness.without(heads, left_out))
        before = ""
        for row in made:
            facts: Mapping[str, Any] = row.extra
            name = facts["set"]
            if before not in ("", name):
                shown.add_section()
            label = row.name.removesuffix(f", {name}").removesuffix(", from C").removesuffix(" coefficients")
            figures = [f"{row.median:,.0f}", f"{row.iqr:,.0f}", f"{facts['mb_per_s']:,.0f}", f"{facts['us_per_file']:,.0f}"]
            figures += [_harness.ratio(value) for value in facts["ratio"].values()]
            cells = _harness.without(("" if name == before else name, label, *figures), left_out)
            shown.add_row(*cells, style="bold" if facts["key"] != PREFIX + LIBJPEG else None)
            before = name
        return shown

    return _harness.fitted(out, make, spare=(5, 4, 3))
