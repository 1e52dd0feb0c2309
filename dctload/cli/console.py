"""Where words go: results to stdout, all else to stderr; and how numbers are written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

    from dctload.shards import Summary
    from dctload.shards.exporting import ExportSummary

LISTED = 10  # failed samples that are written out


def output() -> Console:
    """A console for results."""
    from rich.console import Console

    return Console(highlight=False)


def complain(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"dctload: {message}\n")


def note(message: str) -> None:
    """A remark on stderr, which is no error."""
    sys.stderr.write(f"note: {message}\n")


def print_json(facts: Any) -> None:
    """Results for machines, on stdout."""
    sys.stdout.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")


def print_summary(what: str, where: str, summary: Summary | ExportSummary, words: str, *, as_json: bool) -> None:
    """What a verb made, on stdout.

    Args:
        what: The name of `where` in JSON.
        where: Folder of what was made.
        summary: All that is known of it, for JSON.
        words: The same in a line.
        as_json: Which of both.
    """
    if as_json:
        print_json({what: where, **asdict(summary), "failed": failed_rows(summary.failed)})
    else:
        output().print(f"{where}: {words}", markup=False, soft_wrap=True)


def failed_rows(failed: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Samples that failed, for JSON."""
    return [{"key": key, "code": code, "message": message} for key, code, message in failed]


def list_failed(lines: Sequence[str], what: str, where: str) -> None:
    """Samples that failed, on stderr: the first ten, and how many more there are.

    Args:
        lines: One a sample.
        what: Of one, such as "sample failed"; the plural is made of its first word.
        where: The rest can be found, in words.
    """
    if not lines:
        return
    first, _, rest = what.partition(" ")
    sys.stderr.write(f"{len(lines):,} {first}{'s' if len(lines) != 1 else ''} {rest}:\n")
    for line in lines[:LISTED]:
        sys.stderr.write(f"  {' '.join(line.split())}\n")
    if len(lines) > LISTED:
        sys.stderr.write(f"  and {len(lines) - LISTED:,} more; {where}\n")


def nbytes(count: float) -> str:
    """Bytes in the unit that fits: 812 B, 52.3 kB, 1.25 GB."""
    for bound, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= bound:
            scaled = count / bound
            return (
                f"{scaled:.2f} {unit}"
                if scaled < 9.995
                else f"{scaled:.1f} {unit}"
                if scaled < 99.95
                else f"{scaled:,.0f} {unit}"
            )
    return f"{count:,.0f} B"


def duration(seconds: float) -> str:
    """A time in words: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 image, 1,250 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(what: str) -> Iterator[Callable[..., None] | None]:
    """A bar on stderr with rate and time to go.

    Yields:
        A function of (images done, images in all, bytes read, bytes written), of which the last two may be left out; None
        where stderr is no terminal, and nothing is shown.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Told(ProgressColumn):
        """Words that stay in one line; 80 columns hold all of it, and a bar of ten."""

        def __init__(self, words: Callable[[Task], str], style: str = "") -> None:
            super().__init__(Column(no_wrap=True))
            self._words, self._style = words, style

        def render(self, task: Task) -> Text:
            return Text(self._words(task), style=self._style)

    columns = (
        Told(lambda task: task.description),
        BarColumn(bar_width=None),
        Told(lambda task: f"{task.percentage:3.0f} %"),
        Told(_rate, "cyan"),
        Told(lambda task: "" if task.finished or task.time_remaining is None else f"{duration(task.time_remaining)} left"),
        Told(_traffic, "dim"),
    )
    with Progress(*columns, console=console, transient=True, expand=True, speed_estimate_period=20) as bar:
        task = bar.add_task(what, total=None, visible=False, read=0, written=0)

        def show(done: int, total: int, read: int = 0, written: int = 0) -> None:
            bar.update(task, completed=done, total=total, read=read, written=written, visible=True)

        yield show


def _rate(task: Task) -> str:
    speed = task.speed or task.finished_speed
    return f"{speed:,.0f} images/s" if speed else ""


def _traffic(task: Task) -> str:
    read, written = task.fields["read"], task.fields["written"]
    return ", ".join([f"{nbytes(read)} in"] * (read > 0) + [f"{nbytes(written)} out"] * (written > 0))
