"""What `benchmarks.containers` measured, as rows of the result, as a table, and in Markdown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from benchmarks import _harness
from benchmarks._container_race import RANGES, Race
from benchmarks._harness import Row, Spread
from benchmarks._markdown import bold, table

CHOSEN = ("arrow", "arrow crc")  # rows in bold
HEADS = (
    "container",
    "reads/s\n1 thread",
    "MB/s",
    "reads/s\n2 threads",
    "write\nMB/s",
    "bytes over\na record",
    "open\nms",
    "!one flipped bit",
    "!cut at 90 %",
    "!ranges over HTTP",
    "!stability (quoted)",
)
SPARE = (10, 9, 6, 5, 2)  # columns that a narrow terminal can do without, the first to go first


def rows(race: Race) -> list[Row]:
    """One row a container: random reads a second by one thread, and all else beside it."""
    made = []
    for key, entry in race.entries.items():
        one, two = entry.rate(1), entry.rate(2)
        extra: dict[str, Any] = {
            "key": key,
            "mb_per_s": round(one.median * race.mean / 1e6),
            "reads_2_threads": None if 2 in entry.failed else round(two.median),
            "reads_2_threads_failed": entry.failed.get(2),
            "write_mb_per_s": round(Spread.of(entry.writes).median),
            "overhead": round(entry.overhead, 1),
            "open_ms": round(Spread.of(entry.openings).median, 2),
            "flips": entry.flips,
            "cut": entry.cut,
            "ranges_ms": round(Spread.of(entry.ranges).median, 1) if entry.ranges else None,
            "remote": entry.remote,
            "stability": entry.stability,
        }
        made.append(Row(entry.label, "reads/s", *one.rounded(), note=entry.note, extra=extra))
    return made


def show(race: Race, found: list[Row]) -> None:
    """Print the table, what is absent, and how to read it."""
    out = _harness.console()

    def make(left_out: Collection[int]) -> _harness.Table:
        title = f"{len(race.records):,} records of {race.mean / 1000:.1f} kB in the mean, page cache warm"
        caption = f"Ranges: {RANGES} records, a request each, one connection."
        made = _harness.table(title, _harness.without(HEADS, left_out), caption)
        for row in found:
            style = "bold" if row.extra["key"] in CHOSEN else None
            made.add_row(*_harness.without(_cells(row.as_json()), left_out), style=style)
        return made

    out.print(_harness.fitted(out, make, SPARE))
    failed = [f"{entry.label}, 2 threads: {text}" for entry in race.entries.values() for text in entry.failed.values()]
    _harness.bullets(out, "Failed", failed)
    _harness.absent(out, race.absent)


def markdown(content: dict[str, Any]) -> str:
    """The kept result as a table of the documents."""
    heads = [head.replace("\n", " ").replace("reads/s ", "reads/s, ") for head in HEADS]
    return table(heads, [(bold(row["name"], row["key"] in CHOSEN), *_cells(row)[1:]) for row in content["rows"]])


def _cells(row: dict[str, Any]) -> list[str]:
    two = row["reads_2_threads"]
    ranges = row["remote"] if row["ranges_ms"] is None else f"{row['ranges_ms']:.0f} ms"
    return [
        row["name"],
        f"{row['median']:,.0f}",
        f"{row['mb_per_s']:,}",
        "fails" if two is None else f"{two:,}",
        f"{row['write_mb_per_s']:,}",
        f"{row['overhead']:,.0f}",
        f"{row['open_ms']:.1f}",
        _flip_words(row["flips"]),
        _cut_words(row["cut"]),
        ranges,
        row["stability"],
    ]


def _flip_words(flips: dict[str, int]) -> str:
    """`unseen`, or how many of how many times."""
    total = sum(flips.values())
    return ", ".join(f"{name}" if count == total else f"{name} {count} of {total}" for name, count in flips.items())


def _cut_words(cut: dict[str, Any]) -> str:
    total = cut["records"]
    if "waits" in cut:
        return "reading waits for ever"
    if not cut["opens"]:
        words = "does not open"
    elif cut["wrong"]:
        words = f"{cut['wrong']} of {total} wrong without a word"
    else:
        words = f"{cut['raises']} of {total} reads raise" if cut["right"] else "all reads raise"
    return words + (f"; {cut['saved']} of {total} saved as a stream" if cut["saved"] else "")
