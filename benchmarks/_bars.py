"""Promised ratios beside what was measured: as a result holds them, and as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks import _harness
from benchmarks._harness import Spread

SPREAD, WISH, OTHER = 4, 6, 1  # columns that a narrow terminal can do without


def outcome(
    ours: str, other: str, what: str, measured: Spread | None, least: float, wish: str = "", promised: bool = True
) -> dict[str, Any]:
    """One ratio of rates; `measured` is None where it was not run.

    Args:
        ours, other: Whose rates, by key and by name.
        what: The files, or what the ratio means.
        measured: The ratio, and its spread over the rounds.
        least: What is promised.
        wish: What was hoped for, in words.
        promised: False: shown without a verdict.
    """
    return {
        "set": what,
        "ours": ours,
        "other": other,
        "ratio": None if measured is None else round(measured.median, 3),
        "iqr": None if measured is None else round(measured.iqr, 3),
        "bar": round(least, 3),
        "wish": wish,
        "promised": promised,
        "met": measured.median >= least if measured is not None and promised else None,
    }


def table(
    out: _harness.Console, title: str, what: str, found: Sequence[Mapping[str, Any]], spare: Sequence[int]
) -> _harness.Table:
    """One row an outcome; `what` is the heading of its files or meaning, `spare` the columns that can be missed."""
    wishes = any(one["wish"] for one in found)

    def make(left_out: Collection[int]) -> _harness.Table:
        left_out = left_out if wishes else {*left_out, WISH}
        heads = ("ratio of", "!to", f"!{what}", "measured", "iqr", "target", "!wish", "!")
        made = _harness.table(title, _harness.without(heads, left_out))
        for one in found:
            figures = ("not run", "") if one["ratio"] is None else (f"{one['ratio']:.2f}", f"{one['iqr']:.2f}")
            verdict = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}[one["met"]]
            target = f"{one['bar']:.2f}" if one["promised"] else ""
            cells = (one["ours"], _short(one["other"]), one["set"], *figures, target, one["wish"], verdict)
            made.add_row(*_harness.without(cells, left_out))
        return made

    return _harness.fitted(out, make, spare)


def _short(name: str) -> str:
    """A rival's name as a narrow column wants it: `libjpeg-turbo 3.2.0`, `Pillow + RRC(448) + tensor`."""
    if name.startswith("libjpeg-turbo"):
        return " ".join(name.split()[:2])
    return name.replace("RandomResizedCrop", "RRC")
