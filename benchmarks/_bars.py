"""Promised ratios beside what was measured: as a result holds them, and as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import _harness
from benchmarks._harness import Spread

SPREAD, WISH, OTHER = 4, 6, 1  # columns that a narrow terminal can do without


COLOURED = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}  # on the terminal
EMPHASIZED = {True: "met", False: "**missed**", None: ""}  # in Markdown


@dataclass(frozen=True)
class Bar:
    """A ratio of rates that is held against a figure.

    Attributes:
        ours, other: Whose rates, by key.
        least: What is promised.
        what: The files, or what the ratio means.
        wish: What was hoped for, in words.
        promised: False: shown without a verdict.
    """

    ours: str
    other: str
    least: float
    what: str
    wish: str = ""
    promised: bool = True

    def outcome(self, measured: Spread | None, other: str = "", ours: str = "") -> dict[str, Any]:
        """The bar as a result holds it; `measured` is None where it was not run, names go before keys."""
        return {
            "set": self.what,
            "ours": ours or self.ours,
            "other": other or self.other,
            "ratio": None if measured is None else round(measured.median, 3),
            "iqr": None if measured is None else round(measured.iqr, 3),
            "bar": round(self.least, 3),
            "wish": self.wish,
            "promised": self.promised,
            "met": measured.median >= self.least if measured is not None and self.promised else None,
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
            target = f"{one['bar']:.2f}" if one["promised"] else ""
            cells = (one["ours"], _short(one["other"]), one["set"], *figures, target, one["wish"], COLOURED[one["met"]])
            made.add_row(*_harness.without(cells, left_out))
        return made

    return _harness.fitted(out, make, spare)


def in_words(found: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured, and the verdict, as the documents' tables have them."""
    return "not run" if found["ratio"] is None else f"{found['ratio']:.2f}", EMPHASIZED[found["met"]]


def _short(name: str) -> str:
    """A rival's name as a narrow column wants it: `libjpeg-turbo 3.2.0`, `Pillow + RRC(448) + tensor`."""
    if name.startswith("libjpeg-turbo"):
        return " ".join(name.split()[:2])
    return name.replace("RandomResizedCrop", "RRC")
