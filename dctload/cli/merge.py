"""`dctload merge`: a front to `dctload.shards.merge`."""

from __future__ import annotations

from typing import Annotated

import typer

from dctload.cli.extract import report

_EPILOG = """[bold]Examples[/]

dctload merge train.dct  [dim](all jobs wrote to one folder)[/]
dctload merge train.dct job1.dct job2.dct job3.dct
"""


def merge(
    dst: Annotated[str, typer.Argument(metavar="DST", help="Folder of the shard set.")],
    parts: Annotated[list[str] | None, typer.Argument(metavar="PART...", help="Folders of other jobs' parts.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Threads that read the shards.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The summary as JSON.")] = False,
) -> int:
    """Make one set of the parts of dctload extract --shard i/n."""
    from dctload import shards

    return report(shards.merge(dst, parts or (), workers=workers), dst, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(merge)
