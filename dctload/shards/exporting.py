"""Out of shards again: JPEG files that decode to the same pixels, or WebDataset tars."""

from __future__ import annotations

import io
import json
import os
import queue
import tarfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload._arguments import selection_masks, thread_count
from dctload.channels import ChannelSelection
from dctload.jpeg import JPEGCoefficients
from dctload.packed import Extractor, PackedBatch, unpack_reference
from dctload.shards.exported_names import ExportedNames
from dctload.shards.jpeg_writer import require_jpeglib, write_jpeg
from dctload.shards.layout import TEMPORARY, put_in_place
from dctload.shards.naming import printable
from dctload.shards.plan import file_in_the_way, local_folder, parse_size
from dctload.shards.reader import ShardSet, open_set
from dctload.shards.writer import write_error

if TYPE_CHECKING:
    from typing import TypeAlias

    # Called with images done, images in all and bytes written.
    Progress: TypeAlias = Callable[[int, int, int], object]

_FORMATS, _PAYLOADS = ("jpeg", "webdataset"), ("jpeg", "dct")
_BATCH = 32  # images that a thread takes at a time
_AHEAD = 3  # batches a thread that may wait to be written
_ALL = ChannelSelection.parse("all")


@dataclass(frozen=True)
class ExportSummary:
    """What an export wrote.

    Attributes:
        images: That were written.
        failed: (key, code, message) of those that were not; the code is a `JPEGError`'s, or `"not_writable"` where no JPEG file
            can hold the coefficients. Samples that have no record are not among them.
        nbytes: Of the images' files, or records.
        files: Files in the folder.
        seconds: That it took.
    """

    images: int
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    nbytes: int = 0
    files: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class _Sample:
    """An image on its way out: its bytes, or why there are none."""

    number: int
    data: bytes = b""
    error: ValueError | None = None


def export(
    dst: str | os.PathLike[str] | ShardSet,
    out: str | os.PathLike[str],
    to: str = "jpeg",
    *,
    payload: str = "jpeg",
    shard_size: int | str = "256MiB",
    lossy: bool = False,
    on_error: str = "raise",
    workers: int = 0,
    progress: Progress | None = None,
) -> ExportSummary:
    """Images of a shard set as files that need no dctload.

    JPEG files have the coefficients, quantisation tables, sampling factors, colours and orientation of the records, and decode to
    the pixels of the files that those were made from. (One exception: a decoder smooths a progressive file whose last scans lack,
    and has nothing to smooth in the whole file that is written.) Comments, colour profiles and other metadata are in no record.

    The bytes do not depend on threads or time. A file appears under its name when it is whole.

    Args:
        dst: Folder or URL of the set, or an open one.
        out: A folder, made where it is absent; nothing may be in it.
        to: `"jpeg"`: a file an image, in the folders that its key names; never outside of `out`. `"webdataset"`: tars
            `shard-000000.tar`, ... with the members `KEY.jpg` and `KEY.cls` (a whole number, or a text) or `KEY.json` (other
            targets) in the set's order. Dots in the last part of a key become "_" there, as WebDataset ends a key at the first.
            Equal names get a number, as in `cat/1-2.jpg`.
        payload: Of tars: `"jpeg"`, or `"dct"`: records as they are stored, as `KEY.dct`, which `PackedBatch.join` takes.
        shard_size: Bytes of a tar, about.
        lossy: JPEG files of a set that does not hold all frequencies: those that lack become 0. Without it this is refused.
        on_error: `"raise"`, or `"skip"`: go on without an image whose record is damaged, or that cannot be written.
        workers: Threads; 0: one a core.
        progress: Called, from the caller's thread, as `progress(images done, images in all, bytes written)`.

    Raises:
        ValueError: An argument is wrong, or `out` is a URL; the set lacks frequencies; an image cannot be written as JPEG: its
            key is named.
        JPEGError: A record is damaged; `.source` is its key.
        FileExistsError: Something is in `out`, or it is a file.
        OSError: `out` cannot be written to.
        ImportError: jpeglib or pyarrow is not installed.

    Example:
        >>> export("train.dct", "train")  # doctest: +SKIP
        ExportSummary(images=1281167, failed=[], ...)
    """
    began = time.perf_counter()
    _check(to, payload, on_error)
    threads = thread_count(workers)
    folder = local_folder(out)
    makes_jpeg = to == "jpeg" or payload == "jpeg"
    if makes_jpeg:
        require_jpeglib()
    size = parse_size(shard_size)
    source = dst if isinstance(dst, ShardSet) else open_set(dst)
    if makes_jpeg and source.channels != _ALL and not lossy:
        raise ValueError(
            f"{source.where} holds {len(source.channels)} of 192 frequencies, so its JPEG files would be other pictures; pass "
            'lossy=True to set the others to 0, or extract again with channels="all"'
        )
    folder = _empty_folder(folder)
    sink = _Files(source, folder) if to == "jpeg" else _Tars(source, folder, size, payload)
    failed: list[tuple[str, str, str]] = []
    images = nbytes = 0
    try:
        for sample in _samples(source, threads, makes_jpeg=makes_jpeg):
            if sample.error is not None:
                if on_error == "raise":
                    raise sample.error
                failed.append((source.keys[sample.number], getattr(sample.error, "code", "not_writable"), str(sample.error)))
            else:
                sink.put(sample.number, sample.data)
                images, nbytes = images + 1, nbytes + len(sample.data)
            if progress is not None:
                progress(images + len(failed), len(source), nbytes)
        sink.finish()
    finally:
        sink.abandon()
    return ExportSummary(images, failed, nbytes, sink.files, time.perf_counter() - began)


def _check(to: str, payload: str, on_error: str) -> None:
    if to not in _FORMATS:
        raise ValueError(f'to is "jpeg" or "webdataset", not {to!r}')
    if payload not in _PAYLOADS or (payload == "dct" and to == "jpeg"):
        raise ValueError(f'payload is "jpeg", or with to="webdataset" also "dct", not {payload!r}')
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error is "raise" or "skip", not {on_error!r}')


def _empty_folder(folder: Path) -> Path:
    file = file_in_the_way(folder)
    if file is not None:
        raise FileExistsError(f"{file} is a file; give the name of a folder")
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not an empty folder; give another one, or empty it")
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


# ------------------------------------------------------------------------------------------------------- what is written


def _samples(source: ShardSet, threads: int, *, makes_jpeg: bool) -> Iterator[_Sample]:
    """All images in order, made by some threads a bounded way ahead."""
    starts = range(0, len(source), _BATCH)
    threads = max(1, min(threads, len(starts)))
    extractors: queue.SimpleQueue[Extractor] = queue.SimpleQueue()  # one a thread: calls of one wait for one another
    for _ in range(threads):
        extractors.put(Extractor(1))

    def made(start: int) -> list[_Sample]:
        numbers = np.arange(start, min(start + _BATCH, len(source)), dtype=np.int64)
        extractor = extractors.get()
        try:
            return _made(source, numbers, extractor, makes_jpeg=makes_jpeg)
        finally:
            extractors.put(extractor)

    with ThreadPoolExecutor(threads, "dctload-export") as pool:
        waiting: deque[Future[list[_Sample]]] = deque()
        try:
            for start in starts:
                waiting.append(pool.submit(made, start))
                if len(waiting) > _AHEAD * threads:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _made(source: ShardSet, numbers: NDArray[np.int64], extractor: Extractor, *, makes_jpeg: bool) -> list[_Sample]:
    with source.open(numbers, extractor) as opened:
        masks, _ = selection_masks(source.channels, len(numbers))
        table = np.broadcast_to(np.array(masks, np.uint64), (len(numbers), 3))
        packed = opened.extract(table, on_error="mark", channels=source.channels)
    coefficients = unpack_reference(packed) if makes_jpeg else [None] * len(packed)
    return [_sample(source, int(n), packed, i, coefficients[i], makes_jpeg=makes_jpeg) for i, n in enumerate(numbers)]


def _sample(
    source: ShardSet, number: int, packed: PackedBatch, place: int, image: JPEGCoefficients | None, *, makes_jpeg: bool
) -> _Sample:
    error = packed.error(place)
    if error is not None:
        error.index = number
        return _Sample(number, error=error)
    if image is None or not makes_jpeg:
        return _Sample(number, bytes(packed.image_bytes(place)))
    planes = []
    for plane, kept in zip(image.planes, image.frequencies, strict=True):
        whole = plane
        if len(kept) < 64:
            whole = np.zeros((64, *plane.shape[1:]), np.int16)
            whole[list(kept)] = plane
        planes.append(whole)
    try:
        return _Sample(number, write_jpeg(planes, image.header))
    except ValueError as fault:
        return _Sample(number, error=ValueError(f"{source.keys[number]}: {fault}"))


# ------------------------------------------------------------------------------------------------------ where it goes


class _Files:
    """A file an image, in folders as the keys name them."""

    def __init__(self, source: ShardSet, folder: Path) -> None:
        self._source, self._folder, self._made = source, folder, {folder}
        self._names = ExportedNames(with_extension=True)
        self.files = 0

    def put(self, number: int, data: bytes) -> None:
        key = self._source.keys[number]
        path = self._folder / self._names.name(key, number)
        temporary = path.with_name(f".{number}{TEMPORARY}")  # short: the name itself may be as long as names can be
        with _told(path):
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            try:
                temporary.write_bytes(data)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        self.files += 1

    def finish(self) -> None:
        """Every file is whole already."""

    def abandon(self) -> None:
        """Likewise."""


class _Tars:
    """WebDataset tars of about so many bytes; no owner and no time is in them."""

    def __init__(self, source: ShardSet, folder: Path, size: int, payload: str) -> None:
        self._source, self._folder, self._size = source, folder, size
        self._extension = {"jpeg": "jpg", "dct": "dct"}[payload]
        self._names = ExportedNames(with_extension=False)
        self._file: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        self.files = 0

    def put(self, number: int, data: bytes) -> None:
        key = self._source.keys[number]
        name = self._names.name(key, number)
        with _told(self._path):
            if self._file is None or self._tar is None:
                self._file = self._temporary.open("wb")
                self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed in finish
            for extension, content in ((self._extension, data), _target_member(self._source.target(number))):
                member = tarfile.TarInfo(f"{name}.{extension}")
                member.size, member.mode = len(content), 0o644
                self._tar.addfile(member, io.BytesIO(content))
        if self._file.tell() >= self._size:
            self.finish()

    def finish(self) -> None:
        """Gives the tar that is being written its name."""
        if self._tar is None or self._file is None:
            return
        with _told(self._path):
            self._tar.close()
            self._file.close()
            put_in_place(self._temporary, self._path)
        self._file = self._tar = None
        self.files += 1

    def abandon(self) -> None:
        """Leaves nothing of a tar that was not finished."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written once cannot be written at closing either
                self._file.close()
            self._temporary.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self._folder / f"shard-{self.files:06d}.tar"

    @property
    def _temporary(self) -> Path:
        return self._folder / (self._path.name + TEMPORARY)


def _target_member(target: Any) -> tuple[str, bytes]:
    """Extension and content of what says the class."""
    if isinstance(target, int) and not isinstance(target, bool):
        return "cls", str(target).encode()
    if isinstance(target, str):
        return "cls", printable(target).encode()
    return "json", printable(json.dumps(target, ensure_ascii=False)).encode()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of writing to a file, with what to do."""
    try:
        yield
    except OSError as error:
        raise write_error(error, path, remedy="export again into an empty folder") from error
