"""The command `dctload`: one file a verb, each a thin front to a public Python function."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dctload.errors import install_line

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: Words after `dctload`; None: those that this process was started with.

    Returns:
        The exit status: 0 done, 1 some samples failed, 2 wrong use, or the work could not be done; 130 after Ctrl-C, 141 where
        the reader of stdout went away; of `bench`, the benchmark's own.

    Example:
        >>> main(["channels", "6s", "--text"])
        y:0,1,8,9;cb:0;cr:0
        0
    """
    try:
        import rich
        import typer  # noqa: F401 - that it is there
    except ImportError:
        sys.stderr.write(f"dctload: {install_line('the command needs typer and rich', 'cli')}\n")
        return 2
    del rich
    from dctload.cli.app import run

    return run(arguments)
