"""`dctload bench`: a front to `python -m benchmarks.NAME` of a clone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dctload.cli.completion import complete_benchmarks
from dctload.cli.console import output

_EPILOG = """[bold]Examples[/]

dctload bench  [dim](which there are)[/]
dctload bench bandwidth
dctload bench decode --help
"""


def bench(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which benchmark; all are listed without it.", autocompletion=complete_benchmarks),
    ] = None,
) -> int:
    """Run a benchmark of a clone; words after NAME are its own options."""
    root = clone()
    if root is None:
        raise ValueError(
            "the benchmarks are part of a clone of dctload, not of the installed package; run dctload bench in a clone"
        )
    known = benchmarks(root)
    if name is None:
        _print(known)
        return 0
    if name not in known:
        raise ValueError(f"no benchmark is called {name!r}; there are {', '.join(known)}")
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", f"benchmarks.{name}", *context.args]
    status = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode
    return status if status >= 0 else 128 - status  # as a shell says of a process that a signal ended


def clone() -> Path | None:
    """The clone that holds the benchmarks: the current folder, one above it, or the one that dctload was imported from."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "benchmarks" / "_harness.py").is_file() and (folder / "dctload").is_dir():
            return folder
    return None


def benchmarks(root: Path) -> dict[str, str]:
    """By name, the first line of what each benchmark says of itself."""
    found = {}
    for path in sorted((root / "benchmarks").glob("[!_]*.py")):
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = words.partition("\n")[0]
    return found


def _print(known: dict[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, words in known.items():
        table.add_row(name, Text(words))
    output().print(table)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command(epilog=_EPILOG, context_settings=settings)(bench)
