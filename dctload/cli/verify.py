"""`dctload verify`: a front to `dctload.shards.verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dctload.cli.console import counted, failed_rows, list_failed, note, output, print_json, progress
from dctload.cli.source import source_of

_EPILOG = """[bold]Examples[/]

dctload verify train.dct
dctload verify train.dct --against imagenet/train
dctload verify s3://bucket/train.dct --json
"""


def verify(
    dst: Annotated[str, typer.Argument(metavar="DST", help="Folder or URL of the shard set.")],
    against: Annotated[
        str | None, typer.Option(metavar="SRC", help="Extract the source again and compare it to the byte.")
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Threads; 0: one a core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The report as JSON.")] = False,
) -> int:
    """Check every byte of a shard set: checksums, structure, and the source where it is given."""
    from dctload import shards

    with progress("verify") as show:
        report = shards.verify(dst, None if against is None else source_of(against), progress=show, workers=workers)
    if as_json:
        damaged = [{"key": key, "reason": reason} for key, reason in report.damaged]
        print_json({"set": dst, "ok": report.ok, **asdict(report), "damaged": damaged, "failed": failed_rows(report.failed)})
    else:
        if report.ok:
            is_equal = against is not None and not report.notes
            words = "all right" + (f", equal to what {against} gives" if is_equal else "")
        else:
            words = f"{len(report.damaged):,} damaged, {counted(len(report.problems), 'problem')} with files"
        count = counted(report.images, "image")
        if report.failed:
            count += f" ({counted(len(report.failed), 'sample')} failed when it was made)"
        output().print(f"{dst}: {count}, {words}", markup=False, soft_wrap=True)
    for words in report.notes:
        note(words)
    list_failed(report.problems, "problem with files", "--json lists all")
    list_failed([f"{key}: {reason}" for key, reason in report.damaged], "image damaged", "--json lists all")
    return 0 if report.ok else 1


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(verify)
