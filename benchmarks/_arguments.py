"""Options that several benchmarks have: rounds, who takes part, cores, and where rivals are and sets are written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _harness, _machine


def parsed(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, rounds: tuple[int, int], *, only: str, quick: str
) -> argparse.Namespace:
    """The options of a benchmark that goes in rounds: its own, and --rounds, --only and --quick, of which no run is kept.

    Args:
        parser: With the benchmark's own options.
        arguments: The command line; None: the process's.
        rounds: How many there are without --rounds: in a whole run, and with --quick.
        only, quick: The help of these two.
    """
    whole, short = rounds
    parser.add_argument("--rounds", metavar="N", type=_harness.count, help=f"rounds (default: {whole}, {short} with --quick)")
    parser.add_argument("--only", metavar="PART", nargs="+", default=[], help=only)
    parser.add_argument("--quick", action="store_true", help=quick)
    options = _harness.parsed(parser, arguments, "quick", "only")
    options.rounds = options.rounds or (short if options.quick else whole)
    return options


def add_threads(parser: argparse.ArgumentParser) -> None:
    """--threads, at most as many as there are cores."""
    every = _machine.usable_cores()
    parser.add_argument("--threads", metavar="N", type=_cores, default=every, help="cores a pipeline may use (default: all)")


def add_places(parser: argparse.ArgumentParser, written: str) -> None:
    """--rivals-python and --folder, which must be there; `written` is what is written into the folder."""
    text = "interpreter of an environment that has the rivals (their pins are old); default: this one"
    parser.add_argument("--rivals-python", metavar="F", type=_interpreter, help=text)
    text = f"where the {written} are written, and removed (default: the system's place for such)"
    parser.add_argument("--folder", metavar="DIR", type=_folder, help=text)


def _cores(text: str) -> int:
    found, every = _harness.count(text), _machine.usable_cores()
    if found > every:
        raise argparse.ArgumentTypeError(f"{found}: there are {every} cores")
    return found


def _interpreter(name: str) -> str:
    """The absolute path: workers start in the clone."""
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"{name}: no such file")
    return str(Path(name).absolute())


def _folder(name: str) -> str:
    if not Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name}: no such folder")
    return name
