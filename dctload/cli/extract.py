"""`dctload extract`: a front to `dctload.shards.extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dctload.cli.completion import complete_channels
from dctload.cli.console import complain, counted, duration, list_failed, nbytes, note, print_summary, progress
from dctload.cli.source import source_of

if TYPE_CHECKING:
    from dctload.shards import Summary

_EPILOG = """[bold]Examples[/]

dctload extract imagenet/train train.dct --channels all
dctload extract imagenet/train train.dct --on-error skip --resume
dctload extract "train-{000..146}.tar" train.dct --workers 8
dctload extract train.tsv train.dct --fallback transcode
dctload extract imagenet/train small.dct --resize 512 --channels 24s
dctload extract imagenet/train train.dct --shard 3/16  [dim](job 3 of 16; then: dctload merge train.dct)[/]
"""


def extract(
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="Folder of class folders, WebDataset tars, or a list (.txt, .tsv, .csv: path and target a line)."
        ),
    ],
    dst: Annotated[str, typer.Argument(metavar="DST", help="Folder of the shard set, such as train.dct.")],
    channels: Annotated[
        str,
        typer.Option(help="Frequencies that are kept: a preset, or y:...;cb:...;cr:...", autocompletion=complete_channels),
    ] = "64s",
    workers: Annotated[int, typer.Option(metavar="N", help="Threads; 0: one a core.")] = 0,
    shard_size: Annotated[str, typer.Option(metavar="SIZE", help="Bytes of a shard, about.")] = "256MiB",
    on_error: Annotated[
        Literal["raise", "skip"], typer.Option(help="What a sample that cannot be decoded does: stop, or be left out and listed.")
    ] = "raise",
    resume: Annotated[bool, typer.Option("--resume", metavar="", help="Go on with what an earlier run left.")] = False,
    fallback: Annotated[
        Literal["transcode"] | None, typer.Option(help="Take PNG, CMYK and other images by their pixels instead of failing.")
    ] = None,
    truncated: Annotated[
        Literal["error", "keep"], typer.Option(help="What a file that breaks off is: a failure, or kept as far as it goes.")
    ] = "error",
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="i/n", help="Make only the i-th of n parts, as one job of an array.")
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Threads here, or tasks on a Ray cluster.")] = "local",
    resize: Annotated[int | None, typer.Option(metavar="PIXELS", help="Resample to this shorter side while extracting.")] = None,
    step: Annotated[
        int | None, typer.Option(metavar="STEP", help="With --resize: the step that coefficients are rounded to; 4.")
    ] = None,
    requantize: Annotated[
        int | None, typer.Option(metavar="STEP", help="Round coefficients to at least this step. Not lossless.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The summary as JSON.")] = False,
) -> int:
    """Decode a data set once, into shards that load at the speed of memory."""
    from dctload import shards

    more: dict[str, Any] = {
        name: value for name, value in (("resize", resize), ("step", step), ("requantize", requantize)) if value is not None
    }
    with progress("extract") as show:
        summary = shards.extract(
            source_of(src),
            dst,
            channels=channels,
            workers=workers,
            shard_size=shard_size,
            on_error=on_error,
            resume=resume,
            fallback=fallback,
            engine=engine,
            part=shard,
            truncated=truncated,
            progress=show,
            **more,
        )
    return report(summary, dst, as_json=as_json)


def report(summary: Summary, dst: str, *, as_json: bool) -> int:
    """Prints what an extraction or a merge did; the exit status."""
    print_summary("set", dst, summary, _in_words(summary), as_json=as_json)
    for words in summary.notes:
        note(words)
    where = "manifest.json lists all" if summary.is_complete else "each has a row in the shards, with its error"
    list_failed([message for _, _, message in summary.failed], "sample failed", where)
    if summary.failed and not summary.images:
        complain("no sample could be decoded")
    return 1 if summary.failed else 0


def _in_words(summary: Summary) -> str:
    words = [f"{counted(summary.images, 'image')} in {counted(summary.shards, 'shard')}"]
    if summary.failed:
        words.append(f"{len(summary.failed):,} skipped")
    share = f" ({100 * summary.nbytes / summary.source_bytes:.0f} % of the files)" if summary.source_bytes else ""
    words.append(nbytes(summary.nbytes) + share)
    if summary.seconds:
        words.append(f"{duration(summary.seconds)}, {summary.images / summary.seconds:,.0f} images/s")
    if not summary.is_complete:
        words.append("one part; dctload merge makes the set whole")
    return ", ".join(words)


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(extract)
