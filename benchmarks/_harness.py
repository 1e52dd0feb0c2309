"""What all benchmarks share: rows, the result file, tables on the terminal, and timing that one can believe.

Timing follows three rules. All files go through one variant, then through the next, for several rounds: a file that is
repeated at once teaches the branch predictor, and looks up to 14 % too good. CPU time, not wall time, where one thread is
measured. Medians and their spread, never the best.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import _machine

try:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Table as Table
except ModuleNotFoundError as error:
    raise SystemExit("benchmarks: the package rich is not installed; run: pip install rich") from error

SCHEMA = "dctload-benchmark/1"
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """One measured figure. `median` and `iqr` are in `unit`, taken over `n` files or rounds."""

    name: str
    unit: str
    median: float
    iqr: float
    n: int
    threads: int = 1
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)  # by benchmark: mean, p99, ratios, peak memory

    def as_json(self) -> dict[str, Any]:
        plain = {key: getattr(self, key) for key in ("name", "unit", "median", "iqr", "n", "threads", "note")}
        return {**plain, **self.extra}


@dataclass(frozen=True)
class Spread:
    """Median, interquartile range and count of a set of figures."""

    median: float
    iqr: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        data = sorted(values)
        if not data:
            return cls(float("nan"), float("nan"), 0)
        if len(data) < 2:
            return cls(float(data[0]), 0.0, 1)
        quarters = statistics.quantiles(data, n=4, method="inclusive")
        return cls(float(statistics.median(data)), float(quarters[2] - quarters[0]), len(data))


def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile (0..100), with linear interpolation between neighbours."""
    data = sorted(values)
    place = (len(data) - 1) * q / 100
    low = int(place)
    high = min(low + 1, len(data) - 1)
    return float(data[low] + (data[high] - data[low]) * (place - low))


class Timings:
    """CPU nanoseconds of each call in each round, for one variant on one data set. A call takes one file or a few."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.files = 0

    def add(self, nanoseconds: Sequence[int], files: int) -> None:
        self.rounds.append(list(nanoseconds))
        self.files = files

    @property
    def seconds(self) -> float:
        """Seconds for the whole data set: the sum of the calls' medians, so that one disturbed round moves nothing."""
        return sum((float(statistics.median(times)) for times in zip(*self.rounds, strict=True)), 0.0) / 1e9

    def rate(self) -> Spread:
        """Files a second: from the sum of the medians; the spread is that of whole rounds."""
        rounds = Spread.of(self.files * 1e9 / sum(times) for times in self.rounds)
        return Spread(self.files / self.seconds, rounds.iqr, len(self.rounds))


def rotated(items: Sequence[Any], turn: int) -> list[Any]:
    """The items from another start each turn, so that no variant always runs behind the same neighbour."""
    start = turn % len(items) if items else 0
    return [*items[start:], *items[:start]]


def result(module: str, arguments: Sequence[str] | None, data: Mapping[str, Any], rows: Iterable[Row]) -> dict[str, Any]:
    """The result as it is kept in `benchmarks/results/`."""
    return {
        "schema": SCHEMA,
        "command": _machine.command_line(module, arguments),
        "date": _machine.today(),
        "commit": _machine.commit(),
        "machine": _machine.this_machine().as_json(),
        "versions": _machine.versions(),
        "data": dict(data),
        "rows": [row.as_json() for row in rows],
    }


def write_result(content: Mapping[str, Any], path: Path) -> None:
    """Write a result as indented JSON."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=float) + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def writable(name: str) -> Path:
    """The path of a file that will be written at the end; ends at once with one line where that cannot work."""
    path = Path(name)
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        if not was_there:
            path.unlink()
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    return path


def need_dctload() -> None:
    """Ends with one line where dctload cannot be imported."""
    try:
        import dctload  # noqa: F401
    except ImportError as error:
        fail(str(error) if "dctload" in str(error).lower() else f"dctload cannot be imported: {error}")


def results_path(benchmark: str, data: str, *parts: str) -> Path:
    """Where a result of this machine is kept: `benchmarks/results/BENCHMARK-DATA[-PART]-MACHINE.json`."""
    words = [benchmark, _machine.slug(data), *parts, _machine.this_machine().short_name]
    return RESULTS / f"{'-'.join(words)}.json"


def console(stderr: bool = False, width: int | None = None) -> Console:
    """A console that never breaks a table's line where the output is a file or a pipe."""
    made = Console(stderr=stderr, highlight=False, width=width)
    if width is None and not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, width=160)
    return made


def table(title: str, columns: Sequence[str], caption: str = "") -> Table:
    """An empty table; the first column is text, all others are figures. `!` before a heading makes its column text."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption or None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for index, heading in enumerate(columns):
        text = index == 0 or heading.startswith("!")
        made.add_column(heading.lstrip("!"), justify="left" if text else "right", no_wrap=not text)
    return made


def bullets(out: Console, heading: str, lines: Iterable[str]) -> None:
    """A heading and its lines, broken between words on a terminal, whole elsewhere."""
    out.print(f"[bold]{heading}[/bold]")
    for line in lines:
        text = textwrap.fill(line, out.width - 4, subsequent_indent="    ", break_on_hyphens=False) if out.is_terminal else line
        out.print(f"  - {text}", soft_wrap=True, markup=False)


@contextmanager
def progress(description: str, total: int) -> Iterator[Any]:
    """A bar on stderr for long work; yields a function `step(n=1, text=None)`. Silent where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    err = Console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def step(n: int = 1, text: str | None = None) -> None:
            bar.update(task, advance=n, description=description if text is None else f"{description}: {text}")

        yield step


def kilobytes(count: float) -> str:
    """Bytes as kB of 1000, with three figures that count."""
    value = count / 1000
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def ratio(value: float) -> str:
    """A ratio with two or three figures: 0.042, 0.17, 1.00, 12.8."""
    if value < 0.1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def fail(message: str) -> NoReturn:
    """End with one line on stderr and the exit status for wrong use."""
    print(f"benchmarks: {message}", file=sys.stderr)
    raise SystemExit(2)
