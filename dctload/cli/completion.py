"""What the shell offers when a word is being written."""

from __future__ import annotations


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
    return [] if root is None else [(name, what) for name, what in benchmarks(root).items() if name.startswith(incomplete)]
