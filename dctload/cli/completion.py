"""What the shell offers when a word is being written."""

from __future__ import annotations

import textwrap

_WIDTH = 60  # of what is said beside a word: typer breaks longer ones into two lines, and shells offer both


def complete_channels(incomplete: str) -> list[tuple[str, str]]:
    """Presets that begin so, each with its counts."""
    from dctload.channels import ChannelSelection

    return [
        (name, f"{len(s.y)}+{len(s.cb)}+{len(s.cr)}")
        for name, s in ChannelSelection.presets().items()
        if name.startswith(incomplete)
    ]


def complete_benchmarks(incomplete: str) -> list[tuple[str, str]]:
    """Benchmarks that begin so, each with what it measures."""
    from dctload.cli.bench import benchmarks, clone

    root = clone()
    known = {} if root is None else benchmarks(root)
    return [
        (name, textwrap.shorten(what, _WIDTH, placeholder="...")) for name, what in known.items() if name.startswith(incomplete)
    ]
