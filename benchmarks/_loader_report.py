"""What `benchmarks.loader` measured, as rows of the result and as tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks import _bars, _harness
from benchmarks._bars import Bar
from benchmarks._harness import Row, Spread, ratio
from benchmarks._loader_race import PILLOW, Entry, Race

BARS = {
    "cpu": (
        Bar("packed", PILLOW, 6.0, "entropy decoding to packed batches"),
        Bar("loader 24s", PILLOW, 3.0, "the whole path on the CPU"),
        Bar("loader untransformed", "extract whole", 1 / 1.1, "the loader adds under 10 % to decoding alone"),
    ),
    "cuda": (
        Bar("loader 24s", PILLOW, 6.0, "the whole path, device included"),
        Bar("loader 24s", "packed", 1 / 1.1, "the device is not the bottleneck"),
    ),
}


def rows(race: Race) -> list[Row]:
    """One row a pipeline; where a model was fed, one more."""
    made = []
    for key, entry in race.entries.items():
        cpu, beside = entry.cpu(), race.ratio(key, PILLOW)
        extra: dict[str, Any] = {
            "key": key,
            "output": entry.output,
            "cpu_ms_per_image": round(cpu.median, 3),
            "peak_mb": None if entry.peak is None else round(entry.peak / 1e6, 1),
            "ratio": {} if beside is None else {PILLOW: round(beside.median, 3)},
        }
        made.append(Row(entry.label, "images/s", *entry.rate().rounded(1), race.job.threads, entry.note, extra))
    for key, entry in race.entries.items():
        if entry.fed:
            share, fed = waiting(entry), Spread.of(turn["images"] / turn["seconds"] for turn in entry.fed)
            extra = {"key": f"{key}, fed", "output": entry.output, "images_per_second": round(fed.median, 1)}
            name = f"ResNet-50 step waits for {entry.label}"
            made.append(Row(name, "share of time", *share.rounded(4), race.job.threads, entry.note, extra))
    return made


def waiting(entry: Entry) -> Spread:
    """The share of a training epoch in which the step waits for its batch."""
    return Spread.of(turn["waited"] / turn["seconds"] for turn in entry.fed)


def bars(race: Race) -> list[dict[str, Any]]:
    """Each promised ratio beside what was measured."""
    found = []
    for bar in BARS["cpu" if race.job.device == "cpu" else "cuda"]:
        other = race.entries[bar.other].label if bar.other in race.entries else bar.other
        found.append(bar.outcome(race.ratio(bar.ours, bar.other), other))
    return found


def losses(race: Race) -> list[str]:
    """Where ours is not faster, and what is not compared."""
    ours = [key for key, entry in race.entries.items() if key == "loader 24s" or (entry.variant.ours and entry.output == "rgb")]
    said = race.slower(ours, [key for key, entry in race.entries.items() if not entry.variant.ours])
    said.append("Rivals get their crops as numbers before the clock starts; ours draws them while it runs.")
    return said


def show(race: Race, bar_rows: Sequence[Mapping[str, Any]]) -> None:
    """Print everything: the rates, steps that wait, the targets, what is absent and where there is no gain."""
    out = _harness.console()
    out.print(_harness.fitted(out, lambda left_out: _rates(race, left_out), spare=(2, 6, 5)))
    fed = [entry for entry in race.entries.values() if entry.fed]
    if fed:
        made = _harness.table("A ResNet-50 step in bfloat16 that waits for its batch", ("", "share of time", "iqr", "images/s"))
        for entry in fed:
            share, speed = waiting(entry), Spread.of(turn["images"] / turn["seconds"] for turn in entry.fed)
            made.add_row(entry.label, f"{share.median:.1%}", f"{share.iqr:.1%}", f"{speed.median:,.0f}")
        out.print(made)
    out.print(_bars.table(out, "Targets", "", bar_rows, (_bars.SPREAD, _bars.OTHER)))
    _harness.bullets(out, "Where there is no gain", losses(race))
    _harness.absent(out, race.absent)


def _rates(race: Race, left_out: Collection[int]) -> _harness.Table:
    """One row a pipeline."""
    job = race.job
    columns = ("", "images/s", "iqr", "/ Pillow", "CPU ms\n/ image", "peak\nMB", "!output")
    title = f"{len(job)} images an epoch, crops to {job.size}, batches of {job.batch_size}, {job.threads} cores, on {job.device}"
    made = _harness.table(title, _harness.without(columns, left_out))
    before = None
    for key, entry in race.entries.items():
        if before is not None and before != entry.variant.ours:
            made.add_section()
        before = entry.variant.ours
        rate, beside = entry.rate(), race.ratio(key, PILLOW)
        shown = "" if beside is None else ratio(beside.median)
        peak = "" if entry.peak is None else f"{entry.peak / 1e6:,.0f}"
        figures = (f"{rate.median:,.0f}", f"{rate.iqr:,.0f}", shown, f"{entry.cpu().median:.2f}", peak)
        cells = _harness.without((entry.label, *figures, entry.output), left_out)
        made.add_row(*cells, style="bold" if entry.variant.ours else None)
    return made
