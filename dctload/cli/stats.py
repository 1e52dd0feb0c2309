"""`dctload stats`: a front to `dctload.inspection.measure_source`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dctload.cli.console import complain, counted, list_failed, output, print_json, progress
from dctload.cli.source import source_of

if TYPE_CHECKING:
    from dctload.inspection import SourceStatistics

_EPILOG = """[bold]Examples[/]

dctload stats imagenet/train -o statistics.json  [dim](then: T.Normalize("statistics.json"))[/]
dctload stats imagenet/train --limit 5000 --plot statistics.png
dctload stats train.dct --resize 256 --crop 224 --json  [dim](a set that holds all channels)[/]
"""


def stats(
    src: Annotated[
        str, typer.Argument(metavar="SRC", help="What dctload extract takes, or a shard set that holds all channels.")
    ],
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="JSON file that T.Normalize takes.")] = None,
    resize: Annotated[int, typer.Option(metavar="PIXELS", help="Shorter side before the crop.")] = 512,
    crop: Annotated[int, typer.Option(metavar="PIXELS", help="Side of the middle square, a multiple of 8.")] = 448,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Samples at most, evenly spaced.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Threads that decode; 0: one a core.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="PICTURE", help="Write the numbers as heat maps.")] = None,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="All numbers as JSON.")] = False,
) -> int:
    """Measure mean, standard deviation, energy and bit cost of each frequency."""
    from dctload import inspection
    from dctload.inspection.plots import picture_file
    from dctload.inspection.targets import target_file

    if out is not None:
        target_file(out)  # what can be wrong with a name is told before all of a data set was measured
    if plot is not None:
        picture_file(plot)
    with progress("stats") as show:
        measured = inspection.measure_source(
            source_of(src), resize=resize, crop=crop, limit=limit, workers=workers, progress=show
        )
    list_failed([f"{key}: {reason}" for key, reason in measured.left_out], "sample left out", "--json lists all")
    if not measured.channels.images:
        complain(f"{src} holds no image that can be measured")
        return 1
    if out is not None:
        measured.save(out)
    if plot is not None:
        inspection.plot_statistics(measured, plot)
    if as_json:
        print_json(measured.as_dict())
    else:
        _print(measured)
    return 1 if measured.left_out else 0


def _print(measured: SourceStatistics) -> None:
    """The frequencies of most energy; the others stand in the file, the picture, and `--json`."""
    import numpy as np
    from rich import box
    from rich.table import Table

    console = output()
    console.print(measured.how, markup=False)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for heading in ("channel", "v", "u", "mean", "std", "energy", "% of part", "bits"):
        table.add_column(heading, justify="left" if heading == "channel" else "right")
    energy = measured.energy
    for part, name in enumerate(("Y", "Cb", "Cr")):
        own = energy[64 * part : 64 * part + 64]
        for freq in np.argsort(-own, kind="stable")[:6].tolist():
            k = 64 * part + freq
            share = 100 * own[freq] / own.sum() if own.sum() else 0.0
            mean, std, bits = round(measured.channels.mean[k], 1) + 0.0, measured.channels.std[k], measured.bits[k]  # no -0.0
            cells = (f"{mean:,.1f}", f"{std:,.1f}", f"{energy[k]:,.0f}", f"{share:.1f}", "-" if np.isnan(bits) else f"{bits:.2f}")
            table.add_row(f"{name} {freq}", str(freq // 8), str(freq % 8), *cells)
    console.print(table)
    console.print(f"the 6 of most energy of each part; {counted(measured.channels.images, 'image')}", style="dim")


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(stats)
