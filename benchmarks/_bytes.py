"""Bytes that each representation of an image puts on the way from CPU to GPU.

Packed sizes come from encoding every file for real. All headers count: the image record with its tables and padding,
its entries in the batch's directory, and the image's share of the batch's own header. The arrays of the other
representations have no header at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from benchmarks import _data
from benchmarks._harness import Row, Spread, fail, percentile

IMAGENET_TRAIN = 1_281_167
RGB224 = 3 * 224 * 224
RGB448 = 3 * 448 * 448
GRID = 56  # blocks a side of the models' input at 448 pixels
PRESETS = ("6s", "12s", "24s", "32s", "48s", "64s", "88", "all")
DTYPES = {"fp32": 4, "int16": 2, "int8": 1}
BATCH = 64  # images encoded at once
BATCH_HEADER, IMAGE_ENTRY, COMPONENT_ENTRY = 64, 16, 16  # bytes (wire format, "Batch")

JPEG_NAME = "the JPEG file"
RGB224_NAME = "RGB u8 224"
RGB448_NAME = "RGB u8 448"


@dataclass(frozen=True)
class Representation:
    """Bytes of each image in one representation."""

    name: str
    kind: str  # "pixels", "file", "dense", "packed" or "packed whole"
    sizes: Sequence[float]
    channels: int = 0
    note: str = ""

    @property
    def label(self) -> str:
        """The name, as short as a table or a picture wants it."""
        if self.kind == "packed":
            return f"{self.name} ({self.channels} channels)"
        return self.name.replace(" of the region", ", region")

    @property
    def mean(self) -> float:
        return sum(self.sizes) / len(self.sizes)

    @property
    def spread(self) -> Spread:
        return Spread.of(self.sizes)

    @property
    def p99(self) -> float:
        return percentile(self.sizes, 99)


@dataclass(frozen=True)
class Measurement:
    """All representations of one file set under one crop."""

    files: _data.FileSet
    crop: _data.Crop
    regions: list[_data.Region | None]
    areas: list[tuple[int, int]]  # height, width of what the crop asks for
    representations: list[Representation]
    skipped: list[str] = field(default_factory=list)  # "name: reason"

    def __getitem__(self, name: str) -> Representation:
        for found in self.representations:
            if found.name == name:
                return found
        raise KeyError(name)

    def of_kind(self, kind: str) -> list[Representation]:
        return [found for found in self.representations if found.kind == kind]

    def rows(self) -> list[Row]:
        """One row a representation, with its ratios to all that is not packed."""
        others = [found for found in self.representations if not found.kind.startswith("packed")]
        rows = []
        for found in self.representations:
            extra = {
                "kind": found.kind,
                "mean": round(found.mean, 1),
                "p99": round(found.p99, 1),
                "ratio": {other.name: round(found.mean / other.mean, 4) for other in others},
                "epoch_bytes": round(found.mean * IMAGENET_TRAIN),
            }
            rows.append(Row(found.name, "bytes/image", *found.spread.rounded(1), note=found.note, extra=extra))
        return rows


def selections(names: Sequence[str]) -> dict[str, Any]:
    """Each name with its parsed selection; ends with one line where a name is unknown."""
    from dctload import ChannelSelection

    parsed = {}
    for name in names:
        try:
            parsed[name] = ChannelSelection.parse(name)
        except ValueError as error:
            fail(f"--channels: {error}")
    return parsed


def measure(
    files: _data.FileSet, crop: _data.Crop, presets: Sequence[str], step: Callable[..., None] | None = None
) -> Measurement:
    """Encode every file in every selection, and count. `step(n, text)` hears of progress, in images times selections.

    Files that cannot be decoded are left out of all representations and listed in `skipped`."""
    tell: Callable[..., Any] = step or (lambda *_, **__: None)
    chosen = selections(presets)
    good, headers, skipped = readable(files)
    if not good:
        fail(f"{files.name}: none of the {len(files)} files can be decoded; the first: {skipped[0]}")
    kept = replace(files, files=tuple(good))
    sizes = [(header.height, header.width) for header in headers]
    regions = _data.regions(sizes, crop)
    areas = [size if region is None else (region[2], region[3]) for size, region in zip(sizes, regions, strict=True)]

    packed, whole = [], []
    for name, selection in chosen.items():
        counted = _packed_sizes(kept, headers, selection, regions, partial(tell, text=f"packed {name}"))
        packed.append(Representation(f"packed {name}", "packed", counted, len(selection)))
        if crop != "none":
            counted = _packed_sizes(kept, headers, selection, None, partial(tell, text=f"packed {name}, whole"))
            whole.append(Representation(f"packed {name}, whole image", "packed whole", counted, len(selection)))
    everything = [*_pixels(kept, areas), *_dense(chosen, len(kept)), *packed, *whole]
    return Measurement(kept, crop, regions, areas, everything, skipped)


def readable(files: _data.FileSet) -> tuple[list[_data.JPEGFile], list[Any], list[str]]:
    """Files that decode to their end, their headers, and a line for each of the others.

    All channels are asked for: with fewer, scans are skipped, and damage in them is not seen."""
    import dctload

    good, headers, skipped = [], [], []
    for start in range(0, len(files), BATCH):
        part = files.files[start : start + BATCH]
        batch = dctload.extract([file.data for file in part], channels="all", on_error="mark")
        for index, file in enumerate(part):
            if batch.error(index) is None:
                good.append(file)
                headers.append(dctload.read_header(file.data))
            else:
                skipped.append(f"{file.name}: {str(batch.error(index)).removeprefix(f'image {index}: ')}")
    return good, headers, skipped


def with_colour(files: _data.FileSet) -> tuple[_data.FileSet, list[str]]:
    """The files with one or three components, and a line for each of the others; ends with one line where there is none."""
    import dctload

    good, skipped = [], []
    for file in files.files:
        count = len(dctload.read_header(file.data).components)
        if count in (1, 3):
            good.append(file)
        else:
            skipped.append(f"{file.name}: {count} components have no Y, Cb, Cr by a linear map")
    if not good:
        fail(f"{files.name}: no file has one or three components; the first: {skipped[0]}")
    return replace(files, files=tuple(good)), skipped


def usable(files: _data.FileSet) -> tuple[_data.FileSet, list[str]]:
    """The files that can be decoded and transformed, and a line for each other; ends with one line where there is none."""
    good, _, damaged = readable(files)
    if not good:
        fail(f"{files.name}: none of the {len(files)} files can be decoded; the first: {damaged[0]}")
    kept, colourless = with_colour(replace(files, files=tuple(good)))
    return kept, [*damaged, *colourless]


def _packed_sizes(
    files: _data.FileSet,
    headers: Sequence[Any],
    selection: Any,
    regions: Sequence[_data.Region | None] | None,
    step: Callable[..., Any],
) -> list[float]:
    """Bytes of each image, headers counted."""
    import dctload

    sizes: list[float] = []
    for start in range(0, len(files), BATCH):
        part = slice(start, start + BATCH)
        boxes = None if regions is None else list(regions[part])
        batch = dctload.extract(files.sources[part], channels=selection, regions=boxes)
        sizes.extend(image_sizes(batch, [len(header.components) for header in headers[part]]))
        step(len(batch))
    return sizes


def image_sizes(batch: Any, components: Sequence[int]) -> list[float]:
    """Bytes of each image of a packed batch, headers counted; `components` says how many each has.

    The sum is checked against the batch's size."""
    records = [memoryview(batch.image_bytes(index)).nbytes for index in range(len(batch))]
    entries = [IMAGE_ENTRY + COMPONENT_ENTRY * count for count in components]
    counted = [record + entry + BATCH_HEADER / len(batch) for record, entry in zip(records, entries, strict=True)]
    if round(sum(counted)) != batch.nbytes:
        fail(f"the parts of a packed batch sum to {sum(counted):.0f} bytes, but the batch has {batch.nbytes}")
    return counted


def _pixels(files: _data.FileSet, areas: Sequence[tuple[int, int]]) -> list[Representation]:
    """Pixels at the models' sizes, the file itself, and the two cheap forms of the region at its own size."""
    count = len(files)
    half = [3 * -(-height // 2) * -(-width // 2) for height, width in areas]
    chroma_halved = [height * width + 2 * -(-height // 2) * -(-width // 2) for height, width in areas]
    return [
        Representation(RGB224_NAME, "pixels", [RGB224] * count, note="resized on the CPU"),
        Representation("RGB fp32 224", "pixels", [4 * RGB224] * count, note="resized on the CPU"),
        Representation(RGB448_NAME, "pixels", [RGB448] * count, note="resized on the CPU"),
        Representation(JPEG_NAME, "file", [len(file.data) for file in files.files], note="decoded on the GPU"),
        Representation("half-resolution RGB u8 of the region", "pixels", half, note="native size / 2"),
        Representation("YCbCr 4:2:0 u8 of the region", "pixels", chroma_halved, note="native size"),
    ]


def _dense(chosen: dict[str, Any], count: int) -> list[Representation]:
    """Coefficients resized to the model's grid on the CPU, as published loaders send them."""
    channels = sorted({len(selection) for selection in chosen.values()})
    return [
        Representation(f"dense {GRID}x{GRID}x{c} {dtype}", "dense", [GRID * GRID * c * size] * count, c)
        for c in channels
        for dtype, size in DTYPES.items()
    ]
