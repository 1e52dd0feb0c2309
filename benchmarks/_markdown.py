"""Tables in Markdown, for the documents; see `benchmarks.readme`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is text, all others are figures; `!` before a heading makes its column text."""
    kinds = ["---" if place == 0 or head.startswith("!") else "--:" for place, head in enumerate(heads)]
    titles = (f" {head} " if head else " " for head in (head.lstrip("!") for head in heads))
    return "\n".join([f"|{'|'.join(titles)}|", f"|{'|'.join(kinds)}|", *(f"| {' | '.join(cells)} |" for cells in rows)])


def bold(name: str, wanted: bool) -> str:
    """The name in bold type where that is wanted."""
    return f"**{name}**" if wanted else name
