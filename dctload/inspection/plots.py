"""Pictures of what was found: an image beside what its kept channels hold of it, and heat maps of frequencies.

The format of a picture follows from the end of its file's name (.png, .pdf, .svg; .png where it has none). matplotlib draws,
without a display.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload.channels import ChannelSelection
from dctload.errors import install_line
from dctload.inspection.costs import Float
from dctload.inspection.images import ImageFacts, colors_of
from dctload.inspection.targets import target_file
from dctload.jpeg import JPEGCoefficients
from dctload.packing import pack

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dctload.inspection.sets import SetFacts
    from dctload.inspection.statistics import SourceStatistics

_INK, _QUIET = "#1f2933", "#5f6c7b"
_COLORS = "viridis"
_PARTS = ("Y", "Cb", "Cr")
_CELL = 4.3  # inches of a heat map with its margins


def plot_image(facts: ImageFacts, path: str | os.PathLike[str], *, channels: str | ChannelSelection = "24s") -> None:
    """A picture of one image: its pixels from the kept channels beside the original, energy and bytes of each frequency.

    Args:
        facts: Of an image in colour or gray.
        path: File that is written.
        channels: The kept channels; of a frequency that the image does not hold there is nothing to see.

    Raises:
        ValueError: The image has 2 or 4 components, or no picture has a name that ends so.
        ImportError: matplotlib or torch is not installed.
        OSError: The file cannot be written.
    """
    selection = ChannelSelection.parse(channels)
    image = facts.coefficients
    if len(image.planes) not in (1, 3):
        raise ValueError(f"{facts.name} has {len(image.planes)} components; pictures are of images in colour or gray")
    held = sum(len(c.frequencies) for c in facts.components)
    whole = "original" if held == 64 * len(facts.components) else f"as it is held, {held} channels"
    kept = selection.name or f"{len(selection)} channels"
    pixels = [_pixels(image, None), _pixels(image, selection)]
    header = image.header
    size = f"{facts.source_bytes:,} bytes" if facts.source_bytes is not None else "out of a shard set"
    subtitle = f"{header.width} x {header.height}, {header.process}, {colors_of(header)}, {size}"
    if len(selection) < 192:
        subtitle += f"; the line surrounds the kept channels, {kept}"
    names = [c.name for c in facts.components]
    maps = [[c.energy for c in facts.components], [c.nbytes for c in facts.components]]
    titles = [
        [f"{name}: energy (mean square)" for name in names],
        [f"{c.name}: {c.nbytes.sum():,.0f} bytes packed" for c in facts.components],
    ]
    if len(names) == 1:  # both maps of a gray image fill one row
        maps, titles = [[*maps[0], *maps[1]]], [[*titles[0], *titles[1]]]
    columns, rows = len(maps[0]), len(maps)
    wide = _CELL * columns / 2 - 0.6  # inches of one of the two pictures
    top = min(max(wide * pixels[0].shape[0] / pixels[0].shape[1], 1.5), 7.5) + 0.3
    marks = [_kept_of(selection, facts.components[k % len(names)].name) for k in range(columns)]
    with _figure(path, _CELL * columns, 1.4 + top + 4.5 * rows, Path(facts.name).name, subtitle) as figure:
        grid = figure.add_gridspec(1 + rows, 6 * columns, height_ratios=[top, *[4.2] * rows], hspace=0.22, wspace=2.2)
        for number, (title, picture) in enumerate(zip((whole, f"from {kept}"), pixels, strict=True)):
            axes = figure.add_subplot(grid[0, 3 * columns * number : 3 * columns * (number + 1)])
            axes.imshow(picture, vmin=0, vmax=1)
            axes.set_title(title if number == 0 else f"{title}: {_psnr(*pixels)}", fontsize=11, color=_INK)
            axes.set_axis_off()
        for row in range(rows):
            cells = [figure.add_subplot(grid[1 + row, 6 * k : 6 * (k + 1)]) for k in range(columns)]
            for scale in [slice(0, columns)] if rows > 1 else [slice(k, k + 1) for k in range(columns)]:
                _heat_maps(cells[scale], titles[row][scale], maps[row][scale], marks[scale])


def plot_set(facts: SetFacts, path: str | os.PathLike[str]) -> None:
    """A picture of a shard set: mean bytes an image of each frequency of Y, Cb and Cr.

    Raises:
        ValueError: No picture has a name that ends so.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    held = f"channels {facts.selection.name or facts.selection}"
    subtitle = f"{facts.manifest.images:,} images, {held}; mean of {facts.looked_at} of them"
    with _figure(path, 13, 5.4, Path(facts.name).name, subtitle) as figure:
        axes = [figure.add_subplot(1, 3, k + 1) for k in range(3)]
        marks = [_kept_of(facts.selection, part) for part in _PARTS]
        titles = [f"{part}: {cost.sum():,.0f} bytes an image" for part, cost in zip(_PARTS, facts.nbytes, strict=True)]
        _heat_maps(axes, titles, list(facts.nbytes), marks)


def plot_statistics(statistics: SourceStatistics, path: str | os.PathLike[str]) -> None:
    """A picture of a data set's statistics: spread, energy and bits a coefficient of each frequency of Y, Cb and Cr.

    Raises:
        ValueError: No picture has a name that ends so.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    with _figure(path, 13, 14, "Statistics by frequency", statistics.how) as figure:
        rows = [
            (statistics.channels.std, "standard deviation"),
            (statistics.energy, "energy (mean square)"),
            (statistics.bits, "bits a coefficient, packed"),
        ]
        for row, (values, what) in enumerate(rows):
            axes = [figure.add_subplot(3, 3, 3 * row + k + 1) for k in range(3)]
            _heat_maps(axes, [f"{part}: {what}" for part in _PARTS], list(values.reshape(3, 64)), [frozenset()] * 3)


# ------------------------------------------------------------------------------------------------------------ drawing


def _heat_maps(
    axes: Sequence[Axes],
    titles: Sequence[str],
    maps: Sequence[Float],
    marks: Sequence[frozenset[int]],
) -> None:
    """8 x 8 heat maps on one logarithmic scale, with the number in each cell and a line around the marked ones."""
    from matplotlib.colors import LogNorm

    known = np.concatenate([np.ravel(values) for values in maps])
    known = known[np.isfinite(known) & (known > 0)]
    high = float(known.max()) if len(known) else 1.0
    norm = LogNorm(max(float(known.min()) if len(known) else 0.1, high / 1e7), high * 1.0001)
    for ax, title, values, marked in zip(axes, titles, maps, marks, strict=True):
        cells = np.where(np.isfinite(values) & (values > 0), values, np.nan).reshape(8, 8)
        ax.imshow(cells, cmap=_COLORS, norm=norm)
        ax.set_facecolor("#eceff3")
        for freq, value in enumerate(np.ravel(values).tolist()):
            is_light = value > 0 and float(norm(value)) > 0.6
            words, color = (_short(value), _INK if is_light else "w") if value > 0 else ("·", _INK)
            ax.text(freq % 8, freq // 8, words, ha="center", va="center", fontsize=8.5, color=color)
        _outline(ax, marked)
        ax.set_title(title, fontsize=11, color=_INK)
        ax.set_xticks(range(8))
        ax.set_yticks(range(8))
        ax.tick_params(length=0, labelsize=8, colors=_QUIET)
        ax.set_xlabel("u, across", fontsize=8, color=_QUIET, labelpad=2)
        ax.set_ylabel("v, down", fontsize=8, color=_QUIET, labelpad=2)
        for spine in ax.spines.values():
            spine.set_visible(False)


def _outline(ax: Axes, marked: frozenset[int]) -> None:
    """A line around the cells that are marked, where a marked cell meets another; none around all of them."""
    if len(marked) == 64:
        return
    for freq in marked:
        u, v = freq % 8, freq // 8
        sides = (
            (u == 0 or freq - 1 not in marked, (u - 0.5, u - 0.5), (v - 0.5, v + 0.5)),
            (u == 7 or freq + 1 not in marked, (u + 0.5, u + 0.5), (v - 0.5, v + 0.5)),
            (freq - 8 not in marked, (u - 0.5, u + 0.5), (v - 0.5, v - 0.5)),
            (freq + 8 not in marked, (u - 0.5, u + 0.5), (v + 0.5, v + 0.5)),
        )
        for is_edge, x, y in sides:
            if is_edge:
                ax.plot(x, y, color="#e4572e", lw=2.2, solid_capstyle="round", clip_on=False)


def _short(value: float) -> str:
    """A number in at most five characters: .012, 0.34, 3.4, 512, 12k, 3.1M."""
    for bound, divisor, unit in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= bound:
            scaled = value / divisor
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:,.0f}{unit}"
    if value >= 9.95:
        return f"{value:.0f}"
    if value >= 0.095:
        return f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"
    return f"{value:.3f}"[1:] if value >= 0.0005 else "<.001"


def picture_file(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Where a picture goes, its folder made, and its format: what can be wrong with a name is found before any work is done.

    Raises:
        ValueError: No picture has a name that ends so.
        ImportError: matplotlib is not installed.
        OSError: It is a folder, or the folder around it cannot be made.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise ImportError(install_line("pictures need matplotlib", "cli")) from error
    target = target_file(path)
    kind = target.suffix[1:].lower() or "png"
    if kind not in FigureCanvasAgg.get_supported_filetypes():
        raise ValueError(f"{target}: there are no pictures that end in .{kind}; write .png, .pdf or .svg")
    return target, kind


@contextmanager
def _figure(path: str | os.PathLike[str], width: float, height: float, title: str, subtitle: str) -> Iterator[Figure]:
    """A figure that is written to `path`, and to no display, when it was drawn."""
    target, kind = picture_file(path)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title = title.encode("utf-8", "backslashreplace").decode()  # names of files may be no text
    with rc_context({"font.family": "DejaVu Sans", "text.color": _INK}):
        figure = Figure(figsize=(width, height), dpi=100, facecolor="w")
        FigureCanvasAgg(figure)
        figure.text(0.03, 1 - 0.18 / height, title, fontsize=15, weight="bold", va="top", parse_math=False)
        figure.text(0.03, 1 - 0.52 / height, subtitle, fontsize=10, color=_QUIET, va="top")
        yield figure
        figure.subplots_adjust(left=0.05, right=0.98, bottom=0.5 / height, top=1 - 1.15 / height, hspace=0.3)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")  # the title has a box in its place
            figure.savefig(target, format=kind)


# -------------------------------------------------------------------------------------------------------------- pixels


def _pixels(image: JPEGCoefficients, selection: ChannelSelection | None) -> NDArray[np.float32]:
    """float32 `[height, width, 3]` in 0..1, as coded: of the channels in the selection that the image holds."""
    try:
        from dctload import ops
    except ImportError as error:
        raise ImportError(install_line("pictures of an image need torch", "torch")) from error
    from dctload.packed import PackedBatch

    header = image.header
    planes = []
    for k, (plane, frequencies) in enumerate(zip(image.planes, image.frequencies, strict=True)):
        rows, cols = header.components[k].block_rows, header.components[k].block_cols
        full = np.zeros((64, rows, cols), np.int16)
        full[list(frequencies)] = plane
        if selection is not None:
            name = "Y" if k == 0 or header.color_space == "rgb" else _PARTS[k]
            dropped = sorted(set(range(64)) - _kept_of(selection, name))
            full[dropped] = 0
        planes.append(full)
    record = pack(planes, [c.quantization for c in header.components], header)
    pixels: NDArray[np.float32] = ops.to_rgb(ops.unpack(PackedBatch.join([record])))[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return pixels


def _kept_of(selection: ChannelSelection, component: str) -> frozenset[int]:
    """The kept frequencies of a component; luma's list serves all but Cb and Cr."""
    return frozenset({"Cb": selection.cb, "Cr": selection.cr}.get(component, selection.y))


def _psnr(a: NDArray[Any], b: NDArray[Any]) -> str:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return f"PSNR {-10 * math.log10(error):.1f} dB" if error > 1e-12 else "the same"
