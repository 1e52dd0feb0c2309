"""The picture of `benchmarks.bandwidth`: horizontal bars of the mean bytes an image, fit for a slide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import _bytes
from benchmarks._data import CROPS
from benchmarks._harness import fail, kilobytes, ratio

COLOURS = {"pixels": "#9aa5b1", "file": "#6b7785", "dense": "#e3b26a", "packed": "#0b7a75"}
LEGEND = {
    "pixels": "pixels",
    "file": "the compressed file",
    "dense": "dense coefficients",
    "packed": "packed coefficients (dctload)",
}
TITLE = "What one image costs on the way from CPU to GPU"
INK = "#1f2933"
QUIET = "#5f6c7b"


@dataclass(frozen=True)
class Bar:
    label: str
    kind: str
    mean: float
    p99: float
    fixed: bool  # the same for every image


def draw(measured: _bytes.Measurement, path: Path) -> None:
    """Write the picture; the format follows from the file name's end."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        fail("--plot needs matplotlib; run: pip install matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    bars = _bars(measured)
    places = _places(bars)
    with plt.rc_context({"font.family": "DejaVu Sans", "font.size": 11, "text.color": INK, "axes.labelcolor": QUIET}):
        figure, axes = plt.subplots(figsize=(11, 2.0 + 0.34 * (max(places) + 1)), dpi=160)
        longest = max(bar.mean for bar in bars) / 1000
        for bar, place in zip(bars, places, strict=True):
            colour, mean = COLOURS[bar.kind], bar.mean / 1000
            axes.barh(place, mean, height=0.74, color=colour, zorder=2)
            if not bar.fixed:  # how far the largest images reach
                axes.plot([mean, min(bar.p99 / 1000, longest)], [place] * 2, color=colour, lw=1.5, alpha=0.55, zorder=1)
            weight = "bold" if bar.kind == "packed" else "normal"
            for x, text in ((1.11, kilobytes(bar.mean)), (1.28, ratio(bar.mean / _bytes.RGB224) + "x")):
                axes.text(longest * x, place, text, va="center_baseline", ha="right", weight=weight)
        for x, heading in ((1.11, "kB"), (1.28, "vs RGB u8 224")):
            axes.text(longest * x, -1.0, heading, ha="right", va="center", fontsize=9.5, color=QUIET)

        axes.set_yticks(places, [bar.label for bar in bars])
        axes.tick_params(axis="y", length=0, colors=INK)
        axes.tick_params(axis="x", length=0, colors=QUIET)
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= longest * 1.01])
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(0, longest * 1.29)
        axes.set_axisbelow(True)
        axes.set_ylim(max(places) + 0.6, -1.4)
        axes.xaxis.grid(True, color="#e4e7eb", zorder=0)
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(False)
        scale = "kB (1000 bytes) an image: bar = mean, thin line = up to the 99th percentile"
        cut = any(not bar.fixed and bar.p99 / 1000 > longest for bar in bars)
        axes.set_xlabel(scale + (", cut at the longest bar" if cut else ""), loc="left", fontsize=10)
        handles = [Patch(color=COLOURS[kind], label=LEGEND[kind]) for kind in dict.fromkeys(bar.kind for bar in bars)]
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(0.78, 0.0), frameon=False, fontsize=10)
        height = figure.get_figheight()
        figure.text(0.012, 1 - 0.1 / height, TITLE, fontsize=15, weight="bold", va="top")
        subtitle = f"{len(measured.files)} JPEG files ({measured.files.name}), {CROPS[measured.crop]}"
        subtitle += "; real encoding, all headers counted"
        figure.text(0.012, 1 - 0.45 / height, subtitle, fontsize=10, color=QUIET, va="top")
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.6 / height))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except (OSError, ValueError) as error:
            fail(f"--plot {path}: {getattr(error, 'strerror', None) or error}")
        finally:
            plt.close(figure)


def _places(bars: list[Bar]) -> list[float]:
    """Where each bar stands, top down, with half a bar of air between the kinds."""
    places = [0.0]
    for before, bar in pairwise(bars):
        places.append(places[-1] + (1.0 if bar.kind == before.kind else 1.5))
    return places


def _bars(measured: _bytes.Measurement) -> list[Bar]:
    """The representations worth a bar: pixels, the file, dense coefficients of two selections, all packed ones."""
    pixels = ("YCbCr 4:2:0 u8 of the region", "half-resolution RGB u8 of the region")
    shown = [measured[name] for name in (_bytes.RGB448_NAME, _bytes.RGB224_NAME, *pixels, _bytes.JPEG_NAME)]
    ends = ("x24 int16", "x64 int16", "x24 int8")
    dense = [found for found in measured.of_kind("dense") if found.name.endswith(ends)]
    shown += sorted(dense, key=lambda found: -found.mean)
    shown += sorted(measured.of_kind("packed"), key=lambda found: -found.channels)
    return [_bar(found) for found in shown]


def _bar(found: _bytes.Representation) -> Bar:
    label = found.label.replace(f"dense {_bytes.GRID}x{_bytes.GRID}x", "dense, ").replace(" int", " channels, int")
    label = label.replace(_bytes.RGB448_NAME, f"{_bytes.RGB448_NAME} (= RGB fp32 224)")
    return Bar(label, found.kind, found.mean, found.p99, len(set(found.sizes)) == 1)
