"""What `benchmarks.shards` measured, as rows of the result, as tables, and in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks import _bars, _harness
from benchmarks._bars import Bar
from benchmarks._harness import Row, Spread, ratio
from benchmarks._markdown import bold, table
from benchmarks._shard_race import LARGE, PILLOW, Race

WHOLE = ("shards 24s", "shards 64s", "loader 24s", "loader 64s")  # all that is stored of every image
BATCHES = ("", f", batches of {LARGE}")  # ends of keys: as the run has them, and large ones
BESIDE = (PILLOW, "decoded 24s", "memcpy 24s")


BARS = (
    *(Bar(who + of, f"decoded {who[-3:]}", 20, "decoding the same files") for of in BATCHES for who in WHOLE),
    *(Bar(who + of, PILLOW, 100, "Pillow's ImageFolder loader") for of in BATCHES for who in WHOLE),
    *(Bar(who + of, f"memcpy {who[-3:]}{of}", 0.6, "a plain copy") for of in BATCHES for who in WHOLE),
    Bar("shards 24s", "memcpy 24s, records", 0.6, "a copy, record by record", promised=False),
    Bar("shards 24s, later epochs", "memcpy 24s", 0.6, "a plain copy", promised=False),
    Bar("shards 24s, 1 thread", "memcpy 24s, 1 thread", 0.6, "a plain copy, 1 thread", promised=False),
    Bar("shards 64s as 24s", "decoded 24s", 20, "fewer channels than stored", promised=False),
    Bar("shards 24s, crops", "decoded 24s", 20, "crops, beside decoding whole images", promised=False),
)
OPENING = 1.0  # s, promised for a million images
FFCV = (
    # What its documentation publishes (docs.ffcv.io/benchmarks.html): ImageNet from RAM, RandomResizedCrop(224) and flip.
    ("FFCV, JPEG quality 90, 512 px", 31278),
    ("FFCV, raw pixels, 256 px", 172801),
)
FFCV_SOURCE = "docs.ffcv.io/benchmarks.html: AWS p3dn.24xlarge, all of its 96 virtual CPUs, batches of finished 224 x 224 pixels"


def rows(race: Race) -> list[Row]:
    """One row a pipeline."""
    made = []
    for key, entry in race.entries.items():
        bandwidth = entry.bandwidth()
        beside = {other: found for other in BESIDE if (found := race.ratio(key, other)) is not None}
        extra: dict[str, Any] = {
            "key": key,
            "ours": entry.variant.ours,
            "mb_per_s": round(bandwidth.median) if bandwidth.median else None,
            "memory_mb": None if entry.memory is None else round(entry.memory / 1e6, 1),
            "ratio": {other: round(found.median, 3) for other, found in beside.items()},
        }
        made.append(Row(entry.label, "images/s", *entry.rate().rounded(), entry.threads, entry.note, extra))
    return made


def opening_rows(images: int, found: Sequence[Mapping[str, float]], held: Mapping[int, int]) -> list[Row]:
    """How long opening a large set takes; memory by the number of images that were read."""
    seconds = Spread.of(one["seconds"] for one in found)
    memory = round(Spread.of(one["bytes"] for one in found).median / 1e6, 1)
    extra = {"key": "opening", "images": images, "memory_mb": memory, "met": seconds.median < OPENING, "target": OPENING}
    made = [Row(f"opening a set of {images:,} images", "s", *seconds.rounded(4), extra=extra)]
    for images, nbytes in held.items():
        extra = {"key": "memory", "images": images}
        made.append(Row(f"memory after reading {images:,} images", "MB", round(nbytes / 1e6, 1), 0, 1, extra=extra))
    return made


def bars(race: Race) -> list[dict[str, Any]]:
    """Each promised ratio beside what was measured."""
    return [bar.outcome(race.ratio(bar.ours, bar.other)) for bar in BARS if bar.promised or bar.ours in race.entries]


def quoted() -> list[dict[str, Any]]:
    """Published figures of what was not run here."""
    return [{"name": name, "images_per_s": rate, "source": FFCV_SOURCE} for name, rate in FFCV]


def losses(race: Race) -> list[str]:
    """Where ours is not faster, and what the rows do not compare."""
    rivals = [key for key, entry in race.entries.items() if entry.variant.rival]
    said = race.slower(("shards 24s", "loader 24s"), rivals)
    said.append("Other containers hand over bytes and check no record (array-record: every one); ours checks them all.")
    said.append("Pillow's and FFCV's figures are finished pictures; packed batches still need their transforms on the device.")
    return said


def show(race: Race, more: Sequence[Row], bar_rows: Sequence[Mapping[str, Any]]) -> None:
    """Print everything: the rates, opening and memory, the targets, what is absent and where there is no gain."""
    out = _harness.console()
    out.print(_harness.fitted(out, lambda left_out: _rates(race, left_out), spare=(7, 2, 6)))
    for row in more:
        verdict = ("met" if row.extra["met"] else "missed") if "met" in row.extra else ""
        target = f"  (target < {OPENING:g}: {verdict})" if verdict else ""
        out.print(f"{row.name}: {row.median:g} {row.unit}{target}", soft_wrap=True, markup=False)
    out.print()
    out.print(_bars.table(out, "Targets", "what it is held against", bar_rows, (_bars.SPREAD,)))
    published = [f"{one['name']}: {one['images_per_s']:,} images/s ({one['source']})" for one in quoted()]
    _harness.bullets(out, "Published, not run here", published)
    _harness.bullets(out, "Where there is no gain", losses(race))
    _harness.absent(out, race.absent)


def _rates(race: Race, left_out: Collection[int]) -> _harness.Table:
    job = race.job
    columns = ("", "images/s", "iqr", "MB/s", "/ Pillow", "/ decoded\n24s", "/ memcpy\n24s", "memory\nMB")
    title = f"{len(job):,} images, batches of {job.batch_size}, {job.threads} threads, page cache warm"
    made = _harness.table(title, _harness.without(columns, left_out))
    for entry, row in zip(race.entries.values(), rows(race), strict=True):
        cells = _harness.without(_cells(row.as_json(), job.threads, iqr=True), left_out)
        made.add_row(*cells, style="bold" if entry.variant.ours else None)
    return made


def _cells(row: dict[str, Any], threads: int, iqr: bool) -> list[str]:
    name = row["name"] + (f", {row['threads']} thread" if row["threads"] != threads else "")
    beside = [ratio(row["ratio"][key]) if key in row["ratio"] else "" for key in BESIDE]
    bandwidth = "" if row["mb_per_s"] is None else f"{row['mb_per_s']:,}"
    memory = "" if row["memory_mb"] is None else f"{row['memory_mb']:,.0f}"
    return [name, f"{row['median']:,.0f}", *([f"{row['iqr']:,.0f}"] if iqr else []), bandwidth, *beside, memory]


def markdown(content: dict[str, Any]) -> str:
    """The kept rates as a table of the documents; figures that others publish at its end."""
    heads = ["whole packed batches in memory", "images/s", "MB/s", "/ Pillow", "/ decoded 24s", "/ memcpy 24s", "memory, MB"]
    shown = []
    for row in content["rows"]:
        if row["unit"] != "images/s":
            continue
        name, *figures = _cells(row, content["threads"], iqr=False)
        shown.append((bold(name, row["ours"]), *figures))
    shown += [(f"{one['name']} (published)", f"{one['images_per_s']:,}", *[""] * 5) for one in content["quoted"]]
    sources = sorted({one["source"] for one in content["quoted"]})
    return "\n".join([table(heads, shown), "", *(f"Published: {source}." for source in sources)])


def markdown_limits(content: dict[str, Any]) -> str:
    """Opening and memory as a table of the documents."""
    shown = []
    for row in content["rows"]:
        if row["unit"] == "images/s":
            continue
        verdict = _bars.EMPHASIZED[row.get("met")]
        target = f"< {row['target']:g} {row['unit']}" if "target" in row else ""
        shown.append((row["name"], f"{row['median']:g} {row['unit']}", target, verdict))
    return table(["", "measured", "promised", "!"], shown)
