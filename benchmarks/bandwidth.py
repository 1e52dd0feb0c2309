"""How many bytes an image must cross from CPU to GPU: pixels, files, dense and packed coefficients, and the loader's `transfer=`.

python -m benchmarks.bandwidth --help
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _bytes, _copies, _data, _harness, _plot, _transfer, _transfer_report
from benchmarks._harness import kilobytes, ratio

if TYPE_CHECKING:
    from rich.console import Console

MODULE = "benchmarks.bandwidth"
LINK = 25.0  # GB/s: what pinned copies reach over PCIe 4.0 x16
QUICK_FILES = 24
QUICK_TRANSFERRED = 12  # of those, for the section on transfer
SECTIONS = ("bytes", "transfer")
EXAMPLES = """examples:
  python -m benchmarks.bandwidth                           photographs out of the scikit-image and scikit-learn wheels
  python -m benchmarks.bandwidth --data DIR --crop 448     your files, the centre as in evaluation
  python -m benchmarks.bandwidth --data DIR --crop none --channels 24s 64s "y:0-3;cb:0;cr:0"
  python -m benchmarks.bandwidth --data DIR --json bytes.json --plot bytes.png
  python -m benchmarks.bandwidth --data DIR --only transfer --margin 1 2 3 4
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    presets = _names(options.channels)
    if not presets:
        _harness.fail("--channels names nothing; write e.g. --channels 24s,64s")
    _harness.need_dctload()
    if options.plot:
        _harness.writable(options.plot)
    _bytes.selections(presets)  # a name that is wrong should not cost a walk through a folder first
    files = _data.file_set(options.data)
    if options.quick:
        files = files.first(QUICK_FILES)

    out = _harness.console()
    shown = options.json != _harness.STDOUT
    contents: dict[str, dict[str, Any]] = {}  # by the part of the name under which it is kept
    readable, skipped = None, []
    if options.only != "transfer":
        measured = _measured(files, options.crop, presets)
        copies = _copies.measure({found.name: found.mean for found in measured.representations if found.kind != "packed whole"})
        content = _harness.result(MODULE, arguments, measured.files.as_json(), [*measured.rows(), *copies.rows])
        content |= {"crop": options.crop, "link_gb_per_s": options.link, "copies": copies.reason or "measured"}
        contents[options.crop] = content | {"notes": notes(measured)}
        if shown:
            _print_report(out, measured, copies, options.link)
        if options.plot:
            _plot.draw(measured, Path(options.plot))
        readable, skipped = measured.files, measured.skipped
    if options.only != "bytes":
        if readable is None:
            good, _, skipped = _bytes.readable(files)
            readable = replace(files, files=tuple(good))
        found = _transferred(readable.first(QUICK_TRANSFERRED) if options.quick else readable, options.margin)
        if not found.reason:
            content = _harness.result(MODULE, arguments, found.files.as_json(), found.rows())
            contents["transfer"] = content | {"notes": _transfer_report.notes(found)}
        elif options.only:
            _harness.fail(found.reason)
        if shown:
            _print_transfer(out, found)
        skipped = [*skipped, *found.skipped]
    if shown:
        _harness.left_out(out, skipped)
    _keep(contents, options)


def _measured(files: _data.FileSet, crop: _data.Crop, presets: Sequence[str]) -> _bytes.Measurement:
    with _harness.progress("encoding", len(files) * len(presets) * (1 if crop == "none" else 2)) as step:
        return _bytes.measure(files, crop, presets, step)


def _transferred(files: _data.FileSet, margins: Sequence[int]) -> _transfer.Transfer:
    if not files.files:
        _harness.fail(f"{files.name}: none of the files can be decoded")
    with _harness.progress("transfer", len(files) * len(_transfer.RECIPES)) as step:
        return _transfer.measure(files, margins, step)


def _keep(contents: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Write what was asked for: one JSON of all sections, and with --save a file each."""
    parts = list(contents.values())
    whole = parts[0] | {key: [one for part in parts for one in part[key]] for key in ("rows", "notes")}
    _harness.write_json(options, whole)
    for part, content in contents.items() if options.save else ():
        _harness.save(content, "bandwidth", part)


def notes(measured: _bytes.Measurement) -> list[str]:
    """Where the saving is not there, from these files' own figures."""
    jpeg = measured[_bytes.JPEG_NAME]
    said = []
    whole = measured.of_kind("packed whole") or (measured.of_kind("packed") if measured.crop == "none" else [])
    for found in whole:
        share = _share_larger(found.sizes, jpeg.sizes)
        if found.mean > jpeg.mean or share > 0.5:
            text = f"Whole images, {found.channels} channels: {ratio(found.mean / jpeg.mean)} x the JPEG file in the mean"
            said.append(f"{text}, larger than it for {share:.0%} of the files.")
    packed = measured.of_kind("packed")
    costly = [found for found in packed if found.mean > _bytes.RGB224]
    if costly:
        listed = ", ".join(f"{found.name} {ratio(found.mean / _bytes.RGB224)} x" for found in costly)
        said.append(f"More than RGB u8 224 in the mean: {listed}; resizing on the CPU and sending pixels costs fewer bytes.")
    others = {
        found.name: _share_larger(found.sizes, [_bytes.RGB224] * len(found.sizes)) for found in packed if found not in costly
    }
    if any(others.values()):
        listed = ", ".join(f"{name} {share:.1%}" for name, share in others.items() if share)
        said.append(f"Share of images that cost more than RGB u8 224: {listed}.")
    half = measured["half-resolution RGB u8 of the region"]
    beaten = [found.name for found in packed if found.mean >= half.mean]
    if beaten:
        said.append(f"{half.name} ({kilobytes(half.mean)} kB) costs no more than {', '.join(beaten)}.")
    large = sum(height * width > 448 * 448 for height, width in measured.areas) / len(measured.areas)
    side = sum((height * width) ** 0.5 for height, width in measured.areas) / len(measured.areas) / 448
    said.append(
        f"Regions go at their native size, here {side:.2f} x 448 a side in the mean and {large:.0%} of them larger "
        "than 448 x 448; for photographs straight from a camera the native region costs more than resized pixels."
    )
    return said


def _share_larger(sizes: Sequence[float], others: Sequence[float]) -> float:
    return sum(size > other for size, other in zip(sizes, others, strict=True)) / len(sizes)


def _print_report(out: Console, measured: _bytes.Measurement, copies: _copies.Copies, link: float) -> None:
    out.print(f"[bold]Data[/bold]  {measured.files.describe()}")
    out.print(f"[bold]Crop[/bold]  {measured.crop}: {_data.CROPS[measured.crop]}\n")
    out.print(_main_table(out, measured, link), "")
    out.print(_shares_table(out, measured), "")
    if measured.crop != "none":
        out.print(_whole_table(measured), "")
    if copies.rows:
        out.print(_copies_table(copies))
    _harness.bullets(out, "Where the saving is not there", notes(measured))
    if copies.reason:
        out.print(f"\n{copies.reason}")


def _print_transfer(out: Console, found: _transfer.Transfer) -> None:
    if found.reason:
        out.print(f"\n{found.reason}")
        return
    out.print(f"\n[bold]Data[/bold]  {found.files.describe()}")
    out.print("[bold]Crop[/bold]  each as DCTLoader draws and plans it\n")
    for recipe in _transfer.RECIPES:
        out.print(_transfer_report.table(out, found, recipe), "")
    _harness.bullets(out, "Where band-limited transfer saves nothing, or costs the picture", _transfer_report.notes(found))


def _main_table(out: Console, measured: _bytes.Measurement, link: float) -> _harness.Table:
    ratios = ("/ RGB\nu8 224", "/ RGB\nu8 448", "/ JPEG\nfile")
    columns = ("kB an image\n(1000 bytes)", "\nmean", "\nmedian", "\np99", *ratios, "epoch\nGB", "epoch\ns")
    caption = f"Epoch: {_bytes.IMAGENET_TRAIN:,} images; seconds at {link:g} GB/s. Packed: real encoding, all headers."
    jpeg = measured[_bytes.JPEG_NAME].mean
    dense = [found for found in measured.of_kind("dense") if found.channels in (24, 64)]
    groups = ([*measured.of_kind("pixels"), measured[_bytes.JPEG_NAME]], dense, measured.of_kind("packed"))

    def make(left_out: Collection[int]) -> _harness.Table:
        made = _harness.table("Bytes from CPU to GPU", _harness.without(columns, left_out), caption)
        for group in groups:
            for found in group:
                epoch = found.mean * _bytes.IMAGENET_TRAIN / 1e9
                sizes = [kilobytes(value) for value in (found.mean, found.spread.median, found.p99)]
                shares = [ratio(found.mean / base) for base in (_bytes.RGB224, _bytes.RGB448, jpeg)]
                cells = (found.label, *sizes, *shares, f"{epoch:,.1f}", f"{epoch / link:,.1f}")
                made.add_row(*_harness.without(cells, left_out), style="bold" if found.kind == "packed" else None)
            made.add_section()
        return made

    return _harness.fitted(out, make, spare=(5, 7, 2))


def _shares_table(out: Console, measured: _bytes.Measurement) -> _harness.Table:
    """Packed beside everything else; dense with as many channels, which is what a loader sends that resizes on the CPU."""
    others = [*measured.of_kind("pixels"), measured[_bytes.JPEG_NAME]]
    dense = {found.name: found for found in measured.of_kind("dense")}
    heads = {"half-resolution RGB u8 of the region": "half RGB\nregion", "YCbCr 4:2:0 u8 of the region": "YCbCr\n4:2:0"}
    columns = ["packed\nchannels", *(heads.get(found.name, found.name.replace(" ", "\n", 1)) for found in others)]
    columns += [f"dense\n{dtype}" for dtype in _bytes.DTYPES]

    def make(left_out: Collection[int]) -> _harness.Table:
        caption = f"Dense: {_bytes.GRID}x{_bytes.GRID} blocks of as many channels."
        made = _harness.table("Packed bytes / bytes of", _harness.without(columns, left_out), caption)
        for found in measured.of_kind("packed"):
            names = [f"dense {_bytes.GRID}x{_bytes.GRID}x{found.channels} {dtype}" for dtype in _bytes.DTYPES]
            bases = [*others, *(dense[name] for name in names)]
            label = f"{found.channels} ({found.name.removeprefix('packed ')})"
            made.add_row(*_harness.without((label, *(ratio(found.mean / base.mean) for base in bases)), left_out))
        return made

    return _harness.fitted(out, make, spare=(2, 7, 6, 3))


def _whole_table(measured: _bytes.Measurement) -> _harness.Table:
    columns = ("channels", "mean", "median", "p99", "/ JPEG file", "larger than the file")
    made = _harness.table("Whole images packed, kB an image (what shards would hold)", columns)
    jpeg = measured[_bytes.JPEG_NAME]
    for found in measured.of_kind("packed whole"):
        sizes = [kilobytes(value) for value in (found.mean, found.spread.median, found.p99)]
        share = f"{_share_larger(found.sizes, jpeg.sizes):.0%} of files"
        name = found.name.removeprefix("packed ").removesuffix(", whole image")
        made.add_row(f"{found.channels} ({name})", *sizes, ratio(found.mean / jpeg.mean), share)
    return made


def _copies_table(copies: _copies.Copies) -> _harness.Table:
    columns = (f"copy of {_copies.IMAGES} images", "ms", "iqr", "GB/s", "link counter / bytes")
    made = _harness.table("Measured copies to the GPU", columns)
    for row in copies.rows:
        counter = row.extra.get("link_counter", "")
        shown = f"{counter:.2f}" if isinstance(counter, float) else str(counter)
        made.add_row(row.name, f"{row.median:.3f}", f"{row.iqr:.3f}", f"{row.extra['gigabytes_per_second']:.1f}", shown)
    return made


def _names(words: Sequence[str]) -> list[str]:
    """Selections: presets may be joined by commas, a text such as `y:0-3,8;cb:0` is a word of its own."""
    return [name for word in words for name in ([word] if ":" in word else word.split(",")) if name]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Bytes an image that must cross from CPU to GPU, from real encoding with every header counted."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    shown = "(default: %(default)s)"
    presets = ",".join(_bytes.PRESETS)
    add = parser.add_argument
    add("--channels", metavar="NAME", nargs="+", default=[presets], help=f"presets or selections (default: {presets})")
    add("--crop", choices=tuple(_data.CROPS), default="rrc", help=f"what is asked of each image {shown}")
    add("--only", choices=SECTIONS, help="only the table of bytes, or only the loader's transfer modes (default: both)")
    help_margin = 'of transfer="auto", 0 to 7 (default: the loader\'s own)'
    add("--margin", metavar="C", nargs="+", type=int, choices=range(8), default=[], help=help_margin)
    add("--link", metavar="GB/s", type=_positive, default=LINK, help=f"link speed for the epoch's seconds {shown}")
    add("--plot", metavar="F.png", help="draw the picture (matplotlib)")
    add("--quick", action="store_true", help=f"at most {QUICK_FILES} files, {QUICK_TRANSFERRED} for transfer")
    options = _harness.parsed(parser, arguments, "quick")
    if options.plot and options.only == "transfer":
        parser.error("--plot draws the table of bytes, which --only transfer leaves out")
    return options


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return value


if __name__ == "__main__":
    main()
