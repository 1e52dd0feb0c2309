"""The documents' tables of what the loader's benchmarks measured, in Markdown; see `benchmarks.readme`."""

from __future__ import annotations

from typing import Any

from benchmarks import _bars
from benchmarks._harness import ratio
from benchmarks._markdown import bold, table


def loader_table(content: dict[str, Any]) -> str:
    """One row a pipeline; where a model was fed, the share of time in which it waited."""
    fed = {row["key"].removesuffix(", fed"): row for row in content["rows"] if row["unit"] == "share of time"}
    heads = ["pipeline", "!output", "images/s", "/ Pillow", "CPU ms an image", "peak MB", *(["ResNet-50 waits"] if fed else [])]
    cells = []
    for row in content["rows"]:
        if row["unit"] != "images/s":
            continue
        beside = [ratio(value) for value in row["ratio"].values()] or [""]
        peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f}"
        waits = [f"{fed[row['key']]['median']:.1%}" if row["key"] in fed else ""] if fed else []
        ours = row["name"].startswith(("DCTLoader", "Extractor", "packed"))
        figures = (f"{row['median']:,.0f}", *beside, f"{row['cpu_ms_per_image']:.2f}", peak)
        cells.append((bold(row["name"], ours), row["output"], *figures, *waits))
    return table(heads, cells)


def targets_table(content: dict[str, Any]) -> str:
    """Each ratio of the loader or of shards beside what was measured."""
    cells = []
    for bar in content["bars"]:
        promised = f"{bar['bar']:.2f}" if bar.get("promised", True) else ""
        measured, verdict = _bars.in_words(bar)
        cells.append((bar["set"], bar["ours"], bar["other"], measured, promised, verdict))
    return table(["", "!ratio of", "!to", "measured", "promised", "!"], cells)


def transforms_table(content: dict[str, Any]) -> str:
    """One row a transform: its largest error against pixels, and milliseconds a batch by backend."""
    heads = {"native": "CPU", "torch": "CPU, torch's resampler", "cuda": "CUDA"}
    times: dict[str, dict[str, float]] = {}
    errors: dict[str, str] = {}
    for row in content["rows"]:
        times.setdefault(row["key"], {})[row["backend"]] = row["median"]
        errors[row["key"]] = f"{row['of_range']:.0e}" if "of_range" in row else ""
    held = [name for name in heads if any(name in by for by in times.values())]
    cells = [(f"`{key}`", errors[key], *(f"{by[name]:.1f}" if name in by else "" for name in held)) for key, by in times.items()]
    return table(["transform", "max error / range", *(f"{heads[name]}, ms a batch" for name in held)], cells)


def unpack_table(content: dict[str, Any]) -> str:
    """One row a kind of work: milliseconds, bytes read and written a second, and on a GPU its share of the copy's rate."""
    cells = []
    for row in content["rows"]:
        share = "" if row["share_of_copy"] is None else f"{row['share_of_copy']:.0%}"
        images = "" if row["images_per_second"] is None else f"{row['images_per_second']:,.0f}"
        cells.append((row["name"], f"{row['median']:.3f}", f"{row['gigabytes_per_second']:,.1f}", share, images))
    return f"{table(['work, channels, device', 'ms', 'GB/s', 'of the copy', 'images/s'], cells)}\n\n{content['target']}"


def registers_table(content: dict[str, Any]) -> str:
    """What each kernel needs of a GPU."""
    keys = ("warps", "registers", "spilled_bytes", "shared_bytes")
    heads = ["kernel", "warps", "registers a thread", "spilled bytes", "shared bytes"]
    return table(heads, [(row["name"], *(str(row[key]) for key in keys)) for row in content["rows"]])


def training_table(content: dict[str, Any]) -> str:
    """One row an output: accuracy on held-out files, the mean and the lowest of the seeds."""
    cells = []
    for row in content["rows"]:
        what = {"dct": "coefficients, 24s", "rgb": "pixels"}[row["key"]]
        figures = (
            f"{row['parameters']:,}",
            str(row["n"]),
            f"{row['mean']:.1%}",
            f"{row['least']:.1%}",
            f"{row['seconds_an_epoch']:.1f}",
        )
        cells.append((what, *figures))
    return table(["a small CNN on", "parameters", "seeds", "mean accuracy", "lowest", "s an epoch"], cells)
