"""`dctload inspect`: a front to `dctload.inspection.inspect` and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dctload.cli.completion import complete_channels
from dctload.cli.console import LISTED, counted, nbytes, output, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from dctload.inspection import ImageFacts, SetFacts

_EPILOG = """[bold]Examples[/]

dctload inspect photo.jpg
dctload inspect photo.jpg --plot photo.png --channels 24s
dctload inspect train.dct --json
dctload inspect train.dct --image 17 --plot image.png
"""


def inspect(
    path: Annotated[str, typer.Argument(metavar="FILE|SHARDS", help="A JPEG file, or the folder or URL of a shard set.")],
    image: Annotated[str | None, typer.Option(metavar="N|KEY", help="One image of a shard set.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PICTURE", help="Write a picture: the image from --channels, energy and bytes as heat maps."),
    ] = None,
    channels: Annotated[str, typer.Option(help="What the picture keeps of an image.", autocompletion=complete_channels)] = "24s",
    tables: Annotated[bool, typer.Option("--tables", metavar="", help="Print the quantisation tables too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Everything as JSON.")] = False,
) -> int:
    """Show what a JPEG file or a shard set holds: header, tables, quality, bytes a channel."""
    from dctload import inspection
    from dctload.channels import ChannelSelection

    kept = ChannelSelection.parse(channels)
    facts = inspection.inspect(path, image=image)
    if plot is not None:
        if isinstance(facts, inspection.ImageFacts):
            inspection.plot_image(facts, plot, channels=kept)
        else:
            inspection.plot_set(facts, plot)
    if as_json:
        print_json(facts.as_dict())
    elif isinstance(facts, inspection.ImageFacts):
        _print_image(facts, with_tables=tables)
    else:
        _print_set(facts)
    return 0


def _print_image(facts: ImageFacts, *, with_tables: bool) -> None:
    from dctload.inspection.images import colors_of

    console = output()
    header, image = facts.coefficients.header, facts.coefficients
    console.print(facts.name, style="bold", markup=False, soft_wrap=True)
    rows = [
        (
            "size",
            f"{header.width} x {header.height} pixels"
            + (f", orientation {header.orientation}" if header.orientation > 1 else ""),
        ),
        ("coding", f"{header.process}, {header.precision} bits, {_restarts(header.restart_interval)}"),
        ("colours", colors_of(header)),
    ]
    if image.status != "ok":
        rows.append(("status", f"{image.status}: {image.valid_mcus:,} of {header.num_mcus:,} MCUs came"))
    if facts.source_bytes is not None:
        rows.append(("file", nbytes(facts.source_bytes)))
    packed = ", ".join(f"{name} {nbytes(size)}" for name, size in facts.packed_bytes.items())
    rows += [("packed", packed)] if packed else []
    rows += [("warning", words) for words in image.warnings]
    console.print(_facts_table(rows))
    console.print(_components(facts))
    for number, component in enumerate(facts.components):
        if number:  # the table above ends in an empty line
            console.print()
        console.print(_grid(f"{component.name}: bytes of each channel", component.nbytes.tolist()))
    if with_tables:
        for component in facts.components:
            console.print()
            title = f"{component.name}: quantisation table, quality {component.quality}"
            console.print(_grid(title, component.component.quantization.tolist()))


def _print_set(facts: SetFacts) -> None:
    console = output()
    manifest, selection = facts.manifest, facts.selection
    console.print(facts.name, style="bold", markup=False, soft_wrap=True)
    images = counted(manifest.images, "image") + (f", {manifest.failed:,} samples failed" if manifest.failed else "")
    rows = [
        ("images", images),
        ("classes", "none" if manifest.classes is None else _classes(manifest.classes)),
        ("channels", f"{selection.name or 'own selection'}: {len(selection.y)} + {len(selection.cb)} + {len(selection.cr)}"),
        ("coefficients", "as in the files" if manifest.quantization == "source" else manifest.quantization),
        (
            "records",
            f"{nbytes(manifest.nbytes)} of {nbytes(manifest.source_bytes)} of files, {counted(len(manifest.shards), 'shard')}",
        ),
        ("made by", manifest.command),
        ("width", f"{facts.widths[0]:,} to {facts.widths[2]:,}, median {facts.widths[1]:,.0f}"),
        ("height", f"{facts.heights[0]:,} to {facts.heights[2]:,}, median {facts.heights[1]:,.0f}"),
        ("kinds", ", ".join(f"{count} {kind}" for kind, count in facts.kinds.items()) + f" (of {facts.looked_at} looked at)"),
    ]
    if manifest.failures:
        words = [f"{' '.join(failure.message.split())} ({failure.code})" for failure in manifest.failures[:LISTED]]
        if len(manifest.failures) > LISTED:
            words.append(f"and {len(manifest.failures) - LISTED:,} more; --json lists all")
        rows.append(("failed", "\n".join(words)))
    console.print(_facts_table(rows))
    for name, values in zip(("Y", "Cb", "Cr"), facts.nbytes.tolist(), strict=True):
        console.print()
        console.print(_grid(f"{name}: mean bytes an image of each channel", values))


def _facts_table(rows: list[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in rows:
        table.add_row(name, Text(words))
    return table


def _components(facts: ImageFacts) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for heading in ("component", "sampling", "blocks", "quality", "channels", "bytes"):
        table.add_column(heading, justify="left" if heading == "component" else "right")
    for c in facts.components:
        blocks = f"{c.component.block_cols:,} x {c.component.block_rows:,}"
        row = (
            c.name,
            f"{c.component.h} x {c.component.v}",
            blocks,
            str(c.quality),
            str(len(c.frequencies)),
            f"{c.nbytes.sum():,.0f}",
        )
        table.add_row(*row)
    return table


def _grid(title: str, values: list[Any]) -> Table:
    """64 numbers as 8 x 8; `u` across, `v` down."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1), title=Text(title, style="cyan"), title_justify="left")
    for _ in range(8):
        table.add_column(justify="right", min_width=6)
    for v in range(8):
        table.add_row(*(Text(_number(value), style="" if value else "dim") for value in values[8 * v : 8 * v + 8]))
    return table


def _number(value: float) -> str:
    if not value:  # a frequency that is not held
        return "."
    return f"{value:,.0f}" if value >= 9.95 or value == int(value) else f"{value:.1f}"


def _restarts(interval: int) -> str:
    return f"a restart marker every {counted(interval, 'MCU')}" if interval else "no restart markers"


def _classes(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names):,}: {shown}"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(inspect)
