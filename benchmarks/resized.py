"""The quantisation step of resized shards: bytes an image, and how far the rounded coefficients are from the float ones.

python -m benchmarks.resized --help
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import _bytes, _data, _harness, _markdown
from benchmarks._harness import Spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dctload import ChannelSelection, PackedBatch

    Float = NDArray[np.floating[Any]]

MODULE = "benchmarks.resized"
CHANNELS = "24s"
SIZE = 512
STEPS = (1, 2, 4, 8, 16)
QUICK = 8  # files
PEAK = 255.0
EXAMPLES = """examples:
  python -m benchmarks.resized --quick
  python -m benchmarks.resized --data DIR --save
"""


@dataclass
class Found:
    """Figures by image of one way to store them; PSNR in dB of luma and of chroma, SNR in dB of the normalised channels."""

    name: str
    step: int
    nbytes: list[int] = field(default_factory=list)
    luma: list[float] = field(default_factory=list)
    chroma: list[float] = field(default_factory=list)
    normalised: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch()
    import dctload

    files, skipped = _bytes.usable(_data.file_set(options.data))
    files = files.first(QUICK) if options.quick else files
    selection = dctload.ChannelSelection.parse(CHANNELS)
    native = Found(f"{CHANNELS}, own size", 0)
    found = [Found(f"{CHANNELS}, resize {SIZE} step {step}", step) for step in STEPS]
    with _harness.progress("resized", len(files)) as step:
        for data in files.sources:
            native.nbytes.append(len(dctload.extract([data], selection).image_bytes(0)))
            _measure(dctload.extract([data], "all"), selection, found)
            step(1)
    files_mean = files.nbytes / len(files)
    rows = [_row(one, files_mean) for one in (native, *found)]
    content = _harness.result(MODULE, arguments, files.as_json(), rows)
    if options.json != _harness.STDOUT:
        _show((native, *found), files)
        _harness.left_out(_harness.console(), skipped)
    _harness.keep(options, content, "resized")


def _measure(packed: PackedBatch, selection: ChannelSelection, found: Sequence[Found]) -> None:
    """Adds one image to each: what is stored of it against what was to be stored, before rounding."""
    import numpy as np

    from dctload import ops
    from dctload.shards.resized import Changer, Quantization, resized_size

    batch = ops.unpack(packed)
    height, width = int(batch.images.height[0]), int(batch.images.width[0])
    whole = np.array([[[0.0, height], [0.0, width]]])
    geometry = ops.Geometry(whole, whole, np.zeros(1, np.bool_), resized_size(height, width, SIZE))
    exact = ops.resample(batch, geometry, selection)[0].numpy()
    std = _std(selection)
    for one in found:
        changer = Changer(Quantization(resize=SIZE, step=one.step), selection, 1)
        stored, _ = changer.changed([packed.image_bytes(0)])
        one.nbytes.append(len(stored.image_bytes(0)))
        planes = ops.unpack(stored).planes(0)
        error = np.concatenate([plane.numpy() for plane in planes]) - exact[: sum(len(plane) for plane in planes)]
        squares = (error.astype(np.float64) ** 2).mean(axis=(1, 2))
        luma = len(selection.y)
        one.luma.append(_psnr(squares[:luma]))
        if len(planes) == 3:  # orthonormal: squares of 64 frequencies are those of 64 pixels
            one.chroma.append(_psnr(squares[luma:]) + 10 * math.log10(2))
        one.normalised.append(-10 * math.log10(float((squares / std[: len(squares)] ** 2).mean())))


def _psnr(squares: Float) -> float:
    return 10 * math.log10(PEAK**2 * 64 / float(squares.sum()))


def _std(selection: ChannelSelection) -> Float:
    """Of each channel, by the preset "imagenet"."""
    from importlib import resources

    import numpy as np

    facts = json.loads((resources.files("dctload.transforms") / "presets" / "imagenet.json").read_text(encoding="utf-8"))
    kept = zip(("Y", "Cb", "Cr"), (selection.y, selection.cb, selection.cr), strict=True)
    return np.array([facts["std"][part][frequency] for part, frequencies in kept for frequency in frequencies], np.float64)


def _row(one: Found, files_mean: float) -> _harness.Row:
    spread = Spread.of(one.nbytes)
    mean = sum(one.nbytes) / len(one.nbytes)
    extra: dict[str, Any] = {"step": one.step, "mean": round(mean), "of_file": round(mean / files_mean, 3)}
    for name in ("luma", "chroma", "normalised"):
        values = getattr(one, name)
        if values:
            extra[f"{name}_db"] = round(sum(values) / len(values), 2)
            extra[f"{name}_db_p10"] = round(_harness.percentile(values, 10), 2)
    return _harness.Row(one.name, "bytes an image", spread.median, spread.iqr, spread.n, extra=extra)


def _show(found: Sequence[Found], files: _data.FileSet) -> None:
    title = f"Records of {files.describe()}"
    caption = "PSNR of rounded coefficients against float ones, mean by image; normalised: each channel by its preset std."
    columns = ("", "mean bytes", "/ JPEG", "luma\nPSNR dB", "chroma\nPSNR dB", "normalised\nSNR dB")
    table = _harness.table(title, columns, caption)
    for one in found:
        extra = _row(one, files.nbytes / len(files)).extra
        figures = [f"{extra[key]:.1f}" if key in extra else "" for key in ("luma_db", "chroma_db", "normalised_db")]
        table.add_row(one.name, f"{extra['mean']:,}", f"{extra['of_file']:.2f}", *figures)
    _harness.console().print(table)


def markdown(content: dict[str, Any]) -> str:
    """The kept bytes and errors as a table of the documents, one row a step."""
    files_mean = content["data"]["bytes"] / content["data"]["count"]
    cells = []
    for row in content["rows"]:
        if row["step"]:
            levels = (f"{math.floor(row[key] + 0.5)} dB" for key in ("luma_db", "normalised_db"))  # 42.5 is 43
            cells.append((str(row["step"]), f"{row['mean'] / 1000:.1f}", f"{row['mean'] / files_mean:.2f}", *levels))
    return _markdown.table(["`step`", "kB an image", "of the JPEG file", "luma", "normalised channels"], cells)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _harness.parser(MODULE, "Bytes and error of resized shards, by their quantisation step.", EXAMPLES)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} files")
    return _harness.parsed(parser, arguments, "quick")


if __name__ == "__main__":
    main()
