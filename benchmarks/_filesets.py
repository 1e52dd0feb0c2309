"""The file sets of `benchmarks.decode` that are made out of others: progressive copies, 4:2:0 alone, one very large file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import dctload
from benchmarks import _libjpeg
from benchmarks._data import FileSet, JPEGFile
from benchmarks._variants import MAIN, ONLY_420, PROGRESSIVE, SMALL

FEWEST = 8  # a set with fewer files is not worth a row
LARGE_SIDE = (8192, 12288)  # height, width of the large file: 100.7 megapixels
LARGE_SAMPLINGS = ("4:4:4", "4:2:0")


def derived_sets(main: FileSet, small: FileSet) -> tuple[dict[str, FileSet], dict[str, str]]:
    """All sets by name, and the reason for each that could not be made."""
    sets, absent = {MAIN: main}, {}
    only = [file for file in main.files if _is_420(file.data)]
    if len(only) >= FEWEST:
        sets[ONLY_420] = FileSet(ONLY_420, tuple(only), f"those of {main.name} that are 4:2:0")
    else:
        absent[f"set {ONLY_420}"] = f"{len(only)} such files in {main.name}, fewer than {FEWEST}"
    try:
        copies = progressive_copies(main)
        if len(copies):
            sets[PROGRESSIVE] = copies
        else:
            absent[f"set {PROGRESSIVE}"] = f"libjpeg-turbo reads none of {main.name}"
    except _libjpeg.AbsentError as reason:
        absent[f"set {PROGRESSIVE}"] = f"the copies are made with libjpeg-turbo: {reason}"
    sets[SMALL] = small
    order = (MAIN, PROGRESSIVE, ONLY_420, SMALL)
    return {name: sets[name] for name in order if name in sets}, absent


def progressive_copies(files: FileSet) -> FileSet:
    """The same coefficients in progressive files (libjpeg's usual scans): nothing is decoded to pixels."""
    library = _libjpeg.library(_libjpeg.SYSTEM)
    made = []
    for file in files.files:
        data = library.progressive(file.data)
        if data is not None:
            made.append(JPEGFile(file.name, data))
    return FileSet(PROGRESSIVE, tuple(made), f"{files.name}, transcoded without loss by {library.name}")


def write_large_file(photo: FileSet, sampling: str, path: Path) -> None:
    """A baseline file of 100 megapixels at quality 90: a photograph, tiled. Meant for a process of its own (300 MB)."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    height, width = LARGE_SIDE
    largest = max(photo.files, key=lambda file: len(file.data))
    with Image.open(io.BytesIO(largest.data)) as opened:
        tile = opened.convert("RGB")
    canvas = Image.new("RGB", (width, height))
    for top in range(0, height, tile.height):
        for left in range(0, width, tile.width):
            canvas.paste(tile, (left, top))
    canvas.save(path, "JPEG", quality=90, subsampling=sampling)


def shortened(sets: dict[str, FileSet], count: int) -> dict[str, FileSet]:
    """Every set cut to `count` files."""
    return {name: replace(files.first(count), name=files.name) for name, files in sets.items()}


def _is_420(data: bytes) -> bool:
    """Whether a file is 4:2:0, by its header."""
    try:
        return dctload.read_header(data).subsampling == "4:2:0"
    except dctload.JPEGError:
        return False
