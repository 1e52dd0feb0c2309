"""`dctload export`: a front to `dctload.shards.export`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from dctload.cli.console import counted, duration, list_failed, nbytes, print_summary, progress

_EPILOG = """[bold]Examples[/]

dctload export train.dct photos  [dim](JPEG files that decode to the same pixels)[/]
dctload export train.dct tars --to webdataset --shard-size 1GB
dctload export small.dct tars --to webdataset --payload dct
"""


def export(
    dst: Annotated[str, typer.Argument(metavar="SHARDS", help="Folder or URL of the shard set.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder for the files; nothing may be in it.")],
    to: Annotated[
        Literal["jpeg", "webdataset"], typer.Option(help="A JPEG file an image, in the folders of its key; or WebDataset tars.")
    ] = "jpeg",
    payload: Annotated[Literal["jpeg", "dct"], typer.Option(help="What tars hold: JPEG files, or records as they are.")] = "jpeg",
    shard_size: Annotated[str, typer.Option(metavar="SIZE", help="Bytes of a tar, about.")] = "256MiB",
    lossy: Annotated[
        bool, typer.Option("--lossy", metavar="", help="Go on where the set does not hold all channels; the others become 0.")
    ] = False,
    on_error: Annotated[
        Literal["raise", "skip"], typer.Option(help="What an image that cannot be written does: stop, or be left out and listed.")
    ] = "raise",
    workers: Annotated[int, typer.Option(metavar="N", help="Threads; 0: one a core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="What was written, as JSON.")] = False,
) -> int:
    """Turn shards back into JPEG files or WebDataset tars."""
    from dctload import shards

    with progress("export") as show:
        summary = shards.export(
            dst,
            out,
            to=to,
            payload=payload,
            shard_size=shard_size,
            lossy=lossy,
            on_error=on_error,
            workers=workers,
            progress=None if show is None else _of_written(show),
        )
    words = f"{counted(summary.images, 'image')} in {counted(summary.files, 'file')}, {nbytes(summary.nbytes)}"
    print_summary("out", out, summary, f"{words}, {duration(summary.seconds)}", as_json=as_json)
    list_failed([message for _, _, message in summary.failed], "image not written", "--json lists all")
    return 1 if summary.failed else 0


def _of_written(show: Callable[..., None]) -> Callable[[int, int, int], None]:
    return lambda done, total, written: show(done, total, 0, written)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(export)
