"""What a worker times: dctload's own calls and libjpeg-turbo's coefficient read. Rivals are in `_rivals`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FEW = 16  # files a call in one thread: a call by itself costs some 10 us, which no loader pays for each file
BATCH = 64  # files a call with all threads


@dataclass
class Call:
    """One way to read a JPEG file.

    `prepare` makes of each file's bytes what `one` takes, outside the timing. With `many` above 1, `one` takes a list of at
    most so many and is timed as a whole. `batch`, where there is one, takes any number and uses threads of its own."""

    label: str
    one: Callable[[Any], object]
    prepare: Callable[[Sequence[bytes]], list[Any]] = list
    batch: Callable[[Sequence[bytes]], object] | None = None
    note: str = ""
    many: int = 1


def planes(channels: str) -> Call:
    """int16 planes of one image, as numpy arrays."""
    import dctload

    selection = dctload.ChannelSelection.parse(channels)
    read = dctload.read_coefficients
    return Call(f"dctload planes, {channels}", lambda data: read(data, channels=selection), note=dctload.cpu_level())


def packed(channels: str, crop: str = "none") -> Call:
    """The packed wire format, a few images a call in one thread; larger batches with all threads."""
    import dctload

    selection = dctload.ChannelSelection.parse(channels)
    single, threaded = _extractor(1), _extractor(0)

    def one(items: Sequence[tuple[bytes, Any]]) -> object:
        sources = [data for data, _ in items]
        boxes = None if crop == "none" else [region for _, region in items]
        return single(sources, channels=selection, regions=boxes)

    def batch(sources: Sequence[bytes]) -> None:
        for start in range(0, len(sources), BATCH):
            threaded(list(sources[start : start + BATCH]), channels=selection)

    def prepare(sources: Sequence[bytes]) -> list[Any]:
        return list(zip(sources, regions(sources, crop), strict=True))

    shown = "DC" if channels == DC else channels
    label = f"dctload packed, {shown}" + (f", {crop} region" if crop != "none" else "")
    return Call(label, one, prepare, batch if crop == "none" else None, dctload.cpu_level(), FEW)


def packed_large(channels: str) -> Call:
    """The packed wire format of one large file, in one thread."""
    import dctload

    selection = dctload.ChannelSelection.parse(channels)
    single = _extractor(1)
    return Call(f"dctload packed, {channels}", lambda data: single([data], channels=selection), note=dctload.cpu_level())


def libjpeg(origin: str) -> Call:
    """libjpeg-turbo's `jpeg_read_coefficients` over all rows, and nothing else."""
    from benchmarks import _libjpeg

    library = _libjpeg.library(origin)

    def one(data: bytes) -> None:
        if library.coefficients(data) < 0:
            raise ValueError("libjpeg reports an error")

    return Call(f"{library.name} coefficients", one)


def regions(sources: Sequence[bytes], crop: str) -> list[Any]:
    """The rectangle of each file under a crop, from the files' own headers (read outside the timing)."""
    if crop == "none":
        return [None] * len(sources)
    import dctload
    from benchmarks import _data

    headers = [dctload.read_header(source) for source in sources]
    return list(_data.regions([(header.height, header.width) for header in headers], crop))  # type: ignore[arg-type]


def _extractor(num_threads: int) -> Callable[..., Any]:
    """`extract` with threads and scratch that stay from call to call."""
    import dctload

    extract: Callable[..., Any] = dctload.Extractor(num_threads=num_threads).extract
    return extract


DC = "y:0;cb:0;cr:0"
MAKERS: dict[str, Callable[..., Call]] = {
    "planes": planes,
    "packed": packed,
    "packed_large": packed_large,
    "libjpeg": libjpeg,
}
