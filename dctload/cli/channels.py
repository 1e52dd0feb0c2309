"""`dctload channels`: a front to `dctload.ChannelSelection`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dctload.cli.completion import complete_channels
from dctload.cli.console import output, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from dctload.channels import ChannelSelection

_EPILOG = """[bold]Examples[/]

dctload channels
dctload channels 24s
dctload channels "y:0-3,8;cb:0;cr:0"
dctload channels --from-scores heatmap.json --keep 24
dctload extract SRC DST --channels "$(dctload channels --from-scores heatmap.json --keep 24 --text)"
"""
_PARTS = ("y", "cb", "cr")
_NAMES = ("Y", "Cb", "Cr")
_KEPT, _DROPPED = "bold white on rgb(0,110,100)", "dim"


def channels(
    selection: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|SPEC",
            help="A preset, or y:...;cb:...;cr:...; all presets without it.",
            autocompletion=complete_channels,
        ),
    ] = None,
    from_scores: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with a score a frequency: 192 numbers, 3 x 64, or by Y, Cb and Cr.")
    ] = None,
    keep: Annotated[int | None, typer.Option(metavar="K", help="How many of the best scores are kept.")] = None,
    text: Annotated[
        bool, typer.Option("--text", metavar="", help="Only the selection's text form, for another command.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="As JSON.")] = False,
) -> int:
    """Show which frequencies a selection keeps, as 8 x 8 grids, or make one from scores."""
    from dctload.channels import ChannelSelection

    if (from_scores is None) != (keep is None):
        raise ValueError("--from-scores and --keep go together: a file of scores, and how many to keep")
    if from_scores is not None and keep is not None:
        if selection is not None:
            raise ValueError("give a selection, or --from-scores, not both")
        chosen = ChannelSelection.from_scores(read_scores(from_scores), keep)
    elif selection is not None:
        chosen = ChannelSelection.parse(selection)
    else:
        _print_all(ChannelSelection.presets(), as_json=as_json, as_text=text)
        return 0
    if as_json:
        print_json(_as_dict(chosen))
    elif text:
        typer.echo(str(chosen))
    else:
        _print_one(chosen)
    return 0


def read_scores(path: Path) -> Any:
    """The scores of a JSON file, `[192]`: a list of 192, of 3 x 64 or 3 x 8 x 8, or by the names Y, Cb and Cr.

    Raises:
        ValueError: It is no JSON, or of another form.
        OSError: It cannot be read.
    """
    import numpy as np

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        data = data.get("scores", data) if isinstance(data, dict) else data
        if isinstance(data, dict):
            by_name = {name.lower(): values for name, values in data.items()}
            data = [by_name[part] for part in _PARTS]
        scores = np.asarray(data, np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no scores ({error}); write 192 numbers, 3 x 64, or 64 for each of Y, Cb and Cr") from None
    if scores.size != 192:
        raise ValueError(f"{path} holds {scores.size} scores; write 192 numbers, 3 x 64, or 64 for each of Y, Cb and Cr")
    return scores.reshape(192)


def _as_dict(selection: ChannelSelection) -> dict[str, Any]:
    parts = {part: list(getattr(selection, part)) for part in _PARTS}
    return {"name": selection.name, "text": str(selection), "count": len(selection), **parts}


def _print_one(selection: ChannelSelection) -> None:
    """Three grids with the numbers of the kept frequencies, side by side in 80 columns."""
    from rich.text import Text

    console = output()
    console.print(str(selection), style="bold", markup=False, soft_wrap=True)
    parts = [getattr(selection, part) for part in _PARTS]
    named = f"{selection.name}: " if selection.name else ""
    console.print(f"{named}{len(selection)} channels, {' + '.join(str(len(part)) for part in parts)}", markup=False)
    console.print()
    # Numbers are set to the right, so that titles and columns line up: 8 cells of 3 columns a grid.
    console.print(
        Text("  ").join(
            Text(f"{name + ', ' + str(len(part)):<24}", style="cyan") for name, part in zip(_NAMES, parts, strict=True)
        )
    )
    for v in range(8):
        console.print(Text("  ").join(_row(frozenset(part), v) for part in parts))
    console.print("\n8 v + u: u counts half waves across, v down; 0 is the mean of the block", style="dim")


def _row(kept: frozenset[int], v: int) -> Text:
    from rich.text import Text

    row = Text()
    for freq in range(8 * v, 8 * v + 8):
        row.append(f"{freq:>2} " if freq in kept else " . ", style=_KEPT if freq in kept else _DROPPED)
    return row


def _print_all(presets: Any, *, as_json: bool, as_text: bool) -> None:
    """All presets: small grids, as many side by side as fit."""
    if as_json:
        print_json({name: _as_dict(selection) for name, selection in presets.items()})
        return
    if as_text:
        for name, selection in presets.items():
            typer.echo(f"{name}\t{selection}")
        return
    from rich.columns import Columns

    console = output()
    console.print(Columns([_small(name, selection) for name, selection in presets.items()], padding=(1, 4)))
    console.print("\nY, Cb, Cr; a mark is a kept frequency, 0 at the top left; dctload channels NAME prints numbers", style="dim")


def _small(name: str, selection: ChannelSelection) -> Text:
    from rich.text import Text

    parts = [frozenset(getattr(selection, part)) for part in _PARTS]
    counts = "+".join(str(len(part)) for part in parts)
    picture = Text(f"{name:<6}", style="bold cyan", no_wrap=True)
    picture.append(f"{counts:>22}", style="not bold default")
    for v in range(8):
        picture.append("\n")
        for k, kept in enumerate(parts):
            picture.append("  " if k else "")
            for freq in range(8 * v, 8 * v + 8):
                picture.append("#" if freq in kept else ".", style="not bold green" if freq in kept else "not bold dim default")
    return picture


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=_EPILOG)(channels)
