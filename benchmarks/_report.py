"""What `benchmarks.decode` measured, as rows of the result and as tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks import _bars, _core_race, _harness
from benchmarks._decode_race import Entry, Race, Threaded
from benchmarks._harness import Row, Spread, ratio
from benchmarks._variants import BARS, MAIN, PROGRESSIVE

NEWER, SYSTEM, PILLOW_448 = "libjpeg pillow", "libjpeg system", "pillow 448"
MEMORY_TARGET = 64e6  # bytes beyond file and output, for 100 megapixels


def yardstick(race: Race) -> str | None:
    """libjpeg-turbo 3 where it is there, else the system's."""
    return next((key for key in (NEWER, SYSTEM) if key in race.entries), None)


def rows(race: Race) -> list[Row]:
    """One row a variant and set: images a second in one thread, with ratios, megabytes a second and peak memory."""
    made = []
    for name in race.kept:
        for entry in _running(race, name):
            timings = entry.times[name]
            rate = timings.rate()
            extra: dict[str, Any] = {
                "key": entry.variant.key,
                "set": name,
                "mb_per_s": round(race.nbytes(name) / timings.seconds / 1e6, 1),
                "us_per_file": round(timings.seconds / race.files(name) * 1e6, 1),
                "ratio": {other: round(value, 3) for other, value in _ratios(race, name, entry).items()},
            }
            if name == entry.variant.sets[0]:
                extra["peak_mb"] = None if entry.peak is None else round(entry.peak / 1e6, 1)
            made.append(Row(f"{entry.label}, {name}", "images/s", *rate.rounded(1), 1, entry.note, extra))
    return made


def threaded_rows(race: Race, threaded: Sequence[Threaded], threads: int) -> list[Row]:
    mean = race.nbytes(MAIN) / race.files(MAIN)
    made = []
    for one in threaded:
        extra = {"key": one.key, "set": MAIN, "mb_per_s": round(one.rate.median * mean / 1e6, 1)}
        made.append(Row(f"{one.label}, {MAIN}", "images/s", *one.rate.rounded(1), threads, one.how, extra))
    return made


def large_row(sampling: str, file_bytes: int, found: Mapping[str, Any]) -> Row:
    """Peak memory of one 100-megapixel file beyond the file and the output."""
    beyond = found["beyond"]
    extra = {
        "file_bytes": file_bytes,
        "output_bytes": found["output"],
        "seconds": round(found["seconds"], 3),
        "target_mb": MEMORY_TARGET / 1e6,
    }
    megabytes = float("nan") if beyond is None else round(beyond / 1e6, 1)
    note = "peak memory beyond the file and the output" + ("" if beyond is not None else ": not told by this system")
    return Row(f"100 megapixels, {sampling}, packed 24s", "MB", megabytes, 0.0, 1, 1, note, extra)


def bars(race: Race) -> list[dict[str, Any]]:
    """Each promised ratio beside what was measured; the ones whose variants did not run say so."""
    found = []
    for bar in BARS:
        other = yardstick(race) if bar.other == "libjpeg" else bar.other
        label = race.entries[other].label if other in race.entries else bar.other
        found.append(bar.outcome(_measured(race, bar.what, bar.ours, other), label))
    return found


def show(
    race: Race,
    core_rows: Sequence[Row],
    threaded: Sequence[Threaded],
    threads: int,
    large: Sequence[Row],
    bar_rows: Sequence[Mapping[str, Any]],
    packing: Sequence[Mapping[str, Any]],
    absent: Mapping[str, str],
) -> None:
    """Print everything: the core alone, a table a set, all threads, the bars, memory, what is absent, where there is no gain."""
    out = _harness.console()
    if core_rows:
        out.print(_core_race.table(out, core_rows))
    for name in race.kept:
        if _running(race, name):
            out.print(_set_table(out, race, name), "")
    if threaded:
        out.print(_threaded_table(out, race, threaded, threads))
    out.print(_bars.table(out, "Bars, one thread", "files", bar_rows, (_bars.SPREAD, _bars.WISH)))
    if core_rows:
        out.print(_core_race.packing_table(packing))
    if large:
        out.print(_large_table(large))
    _harness.bullets(out, "Where there is no gain", losses(race))
    _harness.absent(out, absent)
    if race.left_out:
        out.print(f"[bold]Left out[/bold], for all variants: {len(race.left_out)} files; the first: {race.left_out[0]}")


def _set_table(out: _harness.Console, race: Race, name: str) -> _harness.Table:
    running = _running(race, name)
    by_entry = [_ratios(race, name, entry) for entry in running]
    references = [key for key in _references(race) if any(key in found for found in by_entry)]
    columns = ("", "images/s", "iqr", "MB/s", "us/file", *(_head(race, key) for key in references), "peak\nMB")
    files = race.sets[name]
    mean = race.nbytes(name) / race.files(name) / 1000
    title = f"One thread, {name}: {race.files(name)} files of {mean:.1f} kB ({files.name})"
    notes = [f"{entry.label}: {entry.note}." for entry in running if entry.note and not entry.variant.ours]

    peaks = any(name == entry.variant.sets[0] and entry.peak is not None for entry in running)

    def make(left_out: Collection[int]) -> _harness.Table:
        left_out = left_out if peaks else {*left_out, len(columns) - 1}
        made = _harness.table(title, _harness.without(columns, left_out), "\n".join(notes))
        before = None
        for entry, found in zip(running, by_entry, strict=True):
            group = entry.variant.ours, bool(entry.variant.environment), entry.variant.maker == "libjpeg"
            if before is not None and group != before:
                made.add_section()
            before = group
            timings = entry.times[name]
            rate = timings.rate()
            figures = [f"{rate.median:,.0f}", f"{rate.iqr:,.0f}" if rate.n > 1 else ""]
            figures.append(f"{race.nbytes(name) / timings.seconds / 1e6:,.0f}")
            figures.append(f"{timings.seconds / race.files(name) * 1e6:,.0f}")
            figures += [ratio(found[key]) if key in found else "" for key in references]
            peak = "" if entry.peak is None or name != entry.variant.sets[0] else f"{entry.peak / 1e6:.1f}"
            cells = _harness.without((_shown(entry), *figures, peak), left_out)
            made.add_row(*cells, style="bold" if entry.variant.ours else None)
        return made

    older = [columns.index(_head(race, SYSTEM))] if SYSTEM in references and NEWER in references else []
    return _harness.fitted(out, make, spare=(4, 3, *older, len(columns) - 1, 2))


def _shown(entry: Entry) -> str:
    """The label, without what goes without saying; with the CPU level in round brackets where it is ours."""
    return f"{entry.label} ({entry.note})" if entry.variant.ours else entry.label.removesuffix(" coefficients")


def _threaded_table(out: _harness.Console, race: Race, threaded: Sequence[Threaded], threads: int) -> _harness.Table:
    mean = race.nbytes(MAIN) / race.files(MAIN)
    heads = ("", "images/s", "iqr", "MB/s", "/ one thread", "!")

    def make(left_out: Collection[int]) -> _harness.Table:
        made = _harness.table(f"All {threads} cores, {MAIN}, wall time", _harness.without(heads, left_out))
        for one in threaded:
            alone, rate = race.entries[one.key].times[MAIN].rate().median, one.rate
            figures = (f"{rate.median:,.0f}", f"{rate.iqr:,.0f}", f"{rate.median * mean / 1e6:,.0f}", ratio(rate.median / alone))
            made.add_row(*_harness.without((one.label.removesuffix(" coefficients"), *figures, one.how), left_out))
        return made

    return _harness.fitted(out, make, spare=(3, 2))


def _large_table(large: Sequence[Row]) -> _harness.Table:
    columns = ("", "file\nMB", "output\nMB", "seconds", "beyond them\nMB", "target\nMB", "!")
    made = _harness.table("Peak memory for one very large file, beyond the file and the output", columns)
    for row in large:
        file, output = row.extra["file_bytes"] / 1e6, row.extra["output_bytes"] / 1e6
        figures = (f"{file:.1f}", f"{output:.1f}", f"{row.extra['seconds']:.2f}", f"{row.median:.1f}")
        verdict = "[green]met[/green]" if row.median < row.extra["target_mb"] else "[red]missed[/red]"
        made.add_row(row.name, *figures, f"< {row.extra['target_mb']:.0f}", "" if math.isnan(row.median) else verdict)
    return made


def losses(race: Race) -> list[str]:
    """Ours that are not faster than the yardstick, and a word on what is not compared."""
    reference = yardstick(race)
    said = []
    for name in race.kept:
        for entry in _running(race, name):
            value = _ratio(race, name, entry.variant.key, reference)
            if entry.variant.ours and value is not None and value < 1:
                said.append(f"{_shown(entry)}, {name}: {value:.2f} x as fast as {race.entries[str(reference)].label}.")
    if PROGRESSIVE in race.kept and MAIN in race.kept and "packed 24s" in race.entries:
        times = race.entries["packed 24s"].times
        slower = times[PROGRESSIVE].seconds / times[MAIN].seconds
        said.append(f"Progressive files take {slower:.1f} x as long as their baseline twins (packed 24s).")
    said.append("Rows of pixels are finished pictures; coefficients still need the device's transforms.")
    return said


def _running(race: Race, name: str) -> list[Entry]:
    return [entry for entry in race.entries.values() if name in entry.times and entry.times[name].rounds]


def _references(race: Race) -> list[str]:
    return [key for key in (SYSTEM, NEWER, PILLOW_448) if key in race.entries]


def _head(race: Race, key: str) -> str:
    """`/ libjpeg 2.1.5`, `/ libjpeg 3.2.0`, `/ Pillow 448`."""
    return "/ Pillow\n448" if key == PILLOW_448 else f"/ libjpeg\n{race.entries[key].label.split()[1]}"


def _ratios(race: Race, name: str, entry: Entry) -> dict[str, float]:
    """How many times as fast as each reference, on the same files."""
    found = {}
    for key in _references(race):
        value = _ratio(race, name, entry.variant.key, key)
        if value is not None:
            found[key] = value
    return found


def _ratio(race: Race, name: str, ours: str, other: str | None) -> float | None:
    pair = [race.entries.get(key) for key in (ours, other or "")]
    if any(entry is None or name not in entry.times or not entry.times[name].rounds for entry in pair):
        return None
    mine, theirs = (entry.times[name].seconds for entry in pair if entry is not None)
    return theirs / mine


def _measured(race: Race, name: str, ours: str, other: str | None) -> Spread | None:
    """The ratio, and its spread round by round: neighbours in time share the machine's mood."""
    value = _ratio(race, name, ours, other)
    if other is None or value is None:
        return None
    mine, theirs = (race.entries[key].times[name].rounds for key in (ours, other))
    spread = Spread.of(sum(b) / sum(a) for a, b in zip(mine, theirs, strict=True))
    return Spread(value, spread.iqr, spread.n)
