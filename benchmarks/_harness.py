"""What all benchmarks share: rows, the result file, tables on the terminal, and timing that one can believe.

Timing follows three rules. All files go through one variant, then through the next, for several rounds: a file that is
repeated at once teaches the branch predictor, and looks up to 14 % too good. CPU time, not wall time, where one thread is
measured. Medians and their spread, never the best.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import _machine

try:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Table as Table
except ModuleNotFoundError as error:
    raise SystemExit("benchmarks: the package rich is not installed; run: pip install rich") from error

SCHEMA = "dctload-benchmark/1"
RESULTS = Path(__file__).resolve().parent / "results"
STDOUT = "-"  # as the file of --json
DATA = "folder of JPEG files, searched through; default: photographs out of two wheels"


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
        """The row as JSON has it; a median that is not there (NaN) is null."""
        plain = {key: getattr(self, key) for key in ("name", "unit", "median", "iqr", "n", "threads", "note")}
        return {**plain, "median": None if math.isnan(self.median) else self.median, **self.extra}


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

    def rounded(self, digits: int | None = None) -> tuple[float, float, int]:
        """Median, range and count as a row has them; to whole numbers where there are no digits."""
        return round(self.median, digits), round(self.iqr, digits), self.n


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
    """The items from another start each turn, spread over them (golden section): nobody keeps one place in a round."""
    start = int(turn * len(items) * 0.618034) % max(len(items), 1)
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


def parser(module: str, description: str, examples: str, data: str | None = None) -> argparse.ArgumentParser:
    """The command line that all benchmarks share: --data (with a help of its own it is a must), --json and --save."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data", metavar="DIR", required=data is not None, help=data or DATA)
    made.add_argument("--json", metavar="F", help="write the result as JSON; - prints it instead of the tables")
    made.add_argument("--save", action="store_true", help="keep the result in benchmarks/results/")
    return made


def parsed(made: argparse.ArgumentParser, arguments: Sequence[str] | None, *partial: str) -> argparse.Namespace:
    """The options; ends with one line where --save meets one of `partial`, or where what --json names cannot be written."""
    options = made.parse_args(arguments)
    if options.save and any(getattr(options, name) for name in partial):
        listed = " and ".join(f"--{name}" for name in partial)
        made.error(f"--save keeps whole runs only; leave out {listed}, or write the result elsewhere with --json F")
    if options.json and options.json != STDOUT:
        writable(options.json)
    return options


def count(text: str) -> int:
    """An option's whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def keep(options: argparse.Namespace, content: Mapping[str, Any], benchmark: str, *parts: str) -> None:
    """Write a result wherever `--json` and `--save` want it."""
    write_json(options, content)
    if options.save:
        save(content, benchmark, *parts)


def write_json(options: argparse.Namespace, content: Mapping[str, Any]) -> None:
    """Write a result to the file of `--json`, or to stdout for `-`."""
    if options.json == STDOUT:
        print(_json(content))
    elif options.json:
        write_result(content, Path(options.json))


def save(content: Mapping[str, Any], benchmark: str, *parts: str) -> None:
    """Keep a result among those of `benchmarks/results/`, and say so."""
    path = results_path(benchmark, content["data"]["name"], *parts)
    write_result(content, path)
    print(f"saved {path.name}", file=sys.stderr)


def write_result(content: Mapping[str, Any], path: Path) -> None:
    """Write a result as indented JSON."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_json(content) + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, default=float)


def writable(name: str) -> None:
    """Ends with one line where a file that is to be written at the end cannot be written."""
    path = Path(name)
    was_there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
        if not was_there:
            path.unlink()
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def need_dctload() -> None:
    """Ends with one line where dctload cannot be imported."""
    try:
        import dctload  # noqa: F401
    except ImportError as error:
        fail(str(error) if "dctload" in str(error).lower() else f"dctload cannot be imported: {error}")


def need_torch(device: str = "cpu") -> None:
    """Ends with one line where torch, or the CUDA device that is asked for, is not there."""
    try:
        import torch
    except ImportError:
        fail("this benchmark needs torch; run: pip install torch")
    if device == "cuda" and not torch.cuda.is_available():
        fail("--device cuda: torch finds no CUDA device")


def results_path(benchmark: str, data: str, *parts: str) -> Path:
    """Where a result of this machine is kept: `benchmarks/results/BENCHMARK-DATA[-PART]-MACHINE.json`."""
    words = [benchmark, _machine.slug(data), *parts, _machine.this_machine().short_name]
    return RESULTS / f"{'-'.join(words)}.json"


def console() -> Console:
    """A console that never breaks a table's line where the output is a file or a pipe."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=160)


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
        made.add_column(heading.lstrip("!"), justify="left" if text else "right", no_wrap=not text, overflow="fold")
    return made


def fitted(out: Console, make: Callable[[Collection[int]], Table], spare: Sequence[int]) -> Table:
    """The table that `make` returns, less as few columns as a narrow terminal asks for.

    Args:
        out: Where it will be printed.
        make: Makes the table without the columns of these numbers.
        spare: Columns that can be missed, the first to go first.
    """
    for left_out in range(len(spare) + 1):
        made = make(spare[:left_out])
        if out.measure(made, options=out.options.update(max_width=1000)).maximum <= out.width:
            break
    return made


def without(cells: Sequence[str], left_out: Collection[int]) -> list[str]:
    """A row or its headings less the columns of these numbers."""
    return [cell for place, cell in enumerate(cells) if place not in left_out]


def bullets(out: Console, heading: str, lines: Sequence[str]) -> None:
    """A heading and its lines, broken between words on a terminal, whole elsewhere; nothing where there are no lines."""
    if lines:
        out.print(f"[bold]{heading}[/bold]")
    for line in lines:
        text = textwrap.fill(line, out.width - 4, subsequent_indent="    ", break_on_hyphens=False) if out.is_terminal else line
        out.print(f"  - {text}", soft_wrap=True, markup=False)


def absent(out: Console, reasons: Mapping[str, str]) -> None:
    """Who took no part, and why."""
    bullets(out, "Absent", [f"{name}: {reason}" for name, reason in reasons.items()])


def left_out(out: Console, lines: Sequence[str]) -> None:
    """The first files that take no part, and why; the others' number."""
    for line in lines[:5]:
        out.print(f"left out: {line}", style="yellow", soft_wrap=True, markup=False)
    if len(lines) > 5:
        out.print(f"left out: {len(lines) - 5} more files", style="yellow")


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
