"""Reading a shard set: `ShardSet`, opened by `open_set`, which users know as `dctload.shards.open`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload._arguments import box_table, selection_masks
from dctload.channels import ChannelSelection
from dctload.packed import Extractor, OpenImages, PackedBatch
from dctload.shards.layout import INDEX, MANIFEST, PLAN, Manifest
from dctload.shards.plan import parse_size
from dctload.shards.remote import CachedStore, RemoteStore
from dctload.shards.store import LocalStore, Pieces, Store
from dctload.shards.writer import require_pyarrow
from dctload.sources import Source, open_source
from dctload.sources.urls import is_url

if TYPE_CHECKING:
    from dctload._arguments import Channels, Region
    from dctload._core import Buffer

Int = NDArray[np.int64]

_WINDOW = 16  # shards that a remote set's samples are shuffled in
_LISTED = 4096  # keys made at a time when all are gone through


class ShardSet:
    """The images of a shard set by number, in the order of the source that it was made from.

    Nothing of it is held in memory: index and shards are mapped files. Any number of threads may read; in a forked child it
    works on, and pickling it pickles where it lies.

    Attributes:
        manifest: What the set is.
        channels: The frequencies that its records hold.
        keys: Names of the images: paths relative to the source, with slashes.
        targets: int64 `[images]`, a view of the index; a list where targets are no whole numbers.
        classes: Names by target, or None.
        shards: int32 `[images]`, ascending: numbers of the shards that the images lie in.
        shuffle_window: How a `DCTLoader` shuffles: shards first, and then samples within so many shards; 0: all samples.

    Example:
        >>> s = open_set("train.dct")  # doctest: +SKIP
        >>> batch = s.read([5, 17, 3], channels="24s")  # doctest: +SKIP
    """

    manifest: Manifest
    channels: ChannelSelection
    keys: Sequence[str]
    classes: list[str] | None
    shuffle_window: int

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        cache_size: int | str = "50GiB",
        shuffle_window: int | None = None,
    ) -> None:
        pa = require_pyarrow()
        self._arguments = (location, cache_dir, cache_size, shuffle_window)
        self._store, self.manifest = _opened(location, cache_dir, parse_size(cache_size))
        if shuffle_window is not None and shuffle_window < 0:
            raise ValueError(f"shuffle_window is 0 (none) or a number of shards, not {shuffle_window}")
        self.shuffle_window = (_WINDOW if self._store.is_remote else 0) if shuffle_window is None else shuffle_window
        self.channels = ChannelSelection.parse(self.manifest.channels)
        self.classes = self.manifest.classes
        where = f"{self._store.where}/{INDEX}"
        # A million rows are some 100 MB; their checksum takes a few hundredths of a second.
        data = self._store.whole(INDEX, self.manifest.index_crc32c)
        if _core.crc32c(data) != self.manifest.index_crc32c:
            raise ValueError(f"{where} is damaged (its checksum differs from the {MANIFEST}'s); copy the set again")
        self._index = pa.ipc.open_file(pa.py_buffer(data)).read_all()
        if len(self._index) != self.manifest.images:
            raise ValueError(f"{where} has {len(self._index)} rows; the {MANIFEST} counts {self.manifest.images} images")
        self.shards: NDArray[np.int32] = self._numbers("shard")
        self._offset, self._nbytes = self._numbers("offset"), self._numbers("nbytes")
        self.keys = Texts(self.column("key"))
        # Whether a record's checksum was found right in this process; then it is not computed again.
        self._checked = np.zeros(len(self), bool)
        self._extractor: Extractor | None = None

    def __len__(self) -> int:
        return self.manifest.images

    @cached_property
    def targets(self) -> Int | list[Any]:
        """int64 `[images]`, read-only; a list where targets are no whole numbers."""
        if not self.column("target").null_count:
            numbers: Int = self._numbers("target")
            return numbers
        rows = zip(self.column("target").to_pylist(), self.column("label").to_pylist(), strict=True)
        return [json.loads(label) if target is None else target for target, label in rows]

    @property
    def where(self) -> str:
        """The folder or URL."""
        return self._store.where

    @property
    def store(self) -> Store:
        """The files."""
        return self._store

    def column(self, name: str) -> Any:
        """A column of the index (`layout.index_schema`), as an Arrow array: a view of the mapped file."""
        chunks = self._index[name].chunks
        return chunks[0] if len(chunks) == 1 else self._index[name].combine_chunks()

    def read(
        self,
        indices: ArrayLike,
        channels: Channels | Sequence[Channels] | None = None,
        regions: Region | Sequence[Region | None] | None = None,
        out: Buffer | None = None,
    ) -> PackedBatch:
        """Packed coefficients of some images: copied from the shards, nothing is decoded.

        Whole images come with the bytes that `dctload.extract` gives for their files; regions unpack to the same values.

        Args:
            indices: Numbers of the images, 0..len - 1, in any order, repeated ones too.
            channels: What is wanted of what is stored: one selection for all, or a list with one an image. None: all of it.
            regions: As for `dctload.extract`.
            out: A writable uint8 buffer, 16-aligned, that takes the batch from its start, e.g. page-locked memory.

        Raises:
            IndexError: There is no such image.
            ValueError: Channels are asked for that are not stored; a region lies outside its image; or `out` is too small.
            JPEGError: A record is damaged; `.code` is `"record_damaged"`, `.source` its key, `.index` its place in the batch.
            OSError: A shard cannot be read.
        """
        places = self._places(indices)
        masks, kept = selection_masks(self.channels if channels is None else channels, len(places))
        for selection in kept if isinstance(kept, list) else [kept]:
            self.check_stored(selection)
        boxes = box_table(regions, len(places))
        pieces = self._pieces(places)
        for error in pieces.lost.values():
            raise error
        table = np.broadcast_to(np.array(masks, np.uint64), (len(places), 3))
        with self._opened(places, pieces, self._own_extractor()) as images:
            batch = images.extract(table, boxes, out=out, channels=kept)
            self.note_checked(places, images)
        return batch

    def check_stored(self, channels: ChannelSelection, what: str = "channels") -> None:
        """Raises ValueError where frequencies are asked for that the records do not hold.

        Args:
            channels: That are asked for.
            what: The argument that asks for them.
        """
        lacking = [
            f"{len(missing)} of {part}"
            for part in ("y", "cb", "cr")
            if (missing := set(getattr(channels, part)) - set(getattr(self.channels, part)))
        ]
        if lacking:
            raise ValueError(
                f"{what} {channels.name or channels} are not all in {self.where}, which holds "
                f"{self.channels.name or self.channels}: frequencies that lack are {', '.join(lacking)}; ask for what is stored, "
                f"or extract the set again with these channels"
            )

    # ------------------------------------------------------------------------------- as a source of a loader's samples

    def name(self, i: int) -> str:
        """The key of image `i`."""
        return self.keys[i]

    def target(self, i: int) -> Any:
        """The target of image `i`."""
        targets = self.targets
        return targets[i] if isinstance(targets, list) else int(targets[i])

    def targets_of(self, indices: Int) -> Int | list[Any]:
        """Targets of images: int64 `[B]`, or a list where targets are no whole numbers."""
        targets = self.targets
        return [targets[i] for i in indices.tolist()] if isinstance(targets, list) else targets[indices]

    def open(self, indices: ArrayLike, extractor: Extractor) -> OpenImages:
        """Records and their headers: what `Extractor.open` gives for files. A record that cannot be had is as a damaged one.

        Args:
            indices: Numbers of the images.
            extractor: Whose threads work, here and in `OpenImages.extract`.
        """
        places = self._places(indices)
        return self._opened(places, self._pieces(places), extractor)

    def note_checked(self, indices: Int, images: OpenImages) -> None:
        """Remembers whose checksums are right, of the images that `open` gave for these numbers.

        What is read by ranges comes anew each time, and is checked each time.
        """
        if images.trusted is not None and self._store.stays:
            self._checked[indices[images.trusted]] = True

    def ahead_of(self, batches: Iterable[Int]) -> AbstractContextManager[object]:
        """While it is entered, what these batches (int64 `[<= batch size]` of image numbers) need may be fetched ahead."""
        return self._store.ahead_of(self.shards[batch].astype(np.int64) for batch in batches)

    # ---------------------------------------------------------------------------------------------------------- inside

    def __repr__(self) -> str:
        return f"ShardSet({self.where!r}: {len(self)} images, {self.channels.name or self.channels})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, self._arguments

    def _places(self, indices: ArrayLike) -> Int:
        places = np.asarray(indices)
        if places.ndim != 1:
            raise TypeError(
                f"indices is a list of numbers, not {indices!r}" + ("; write [i] for one image" if not places.ndim else "")
            )
        if not places.size:
            return np.empty(0, np.int64)
        if places.dtype.kind not in "iu":
            raise TypeError(f"indices are whole numbers, not {places.dtype}")
        outside = places[(places < 0) | (places >= len(self))]
        if len(outside):
            raise IndexError(f"index {outside[0]}: {self.where} has the images 0..{len(self) - 1}")
        return places.astype(np.int64, copy=False)

    def _pieces(self, places: Int) -> Pieces:
        return self._store.pieces(
            self.shards[places].astype(np.int64), self._offset[places], self._nbytes[places].astype(np.int64)
        )

    def _opened(self, places: Int, pieces: Pieces, extractor: Extractor) -> OpenImages:
        return extractor.open_records(
            pieces.buffers,
            pieces.number,
            pieces.offset,
            self._nbytes[places].astype(np.int64),
            trusted=self._checked[places],
            names=lambda i: self.keys[int(places[i])],
        )

    def _own_extractor(self) -> Extractor:
        if self._extractor is None:
            self._extractor = Extractor()
        return self._extractor

    def _numbers(self, name: str) -> Any:
        """A column without gaps, as a view of the mapped file."""
        return self.column(name).to_numpy(zero_copy_only=True)


def open_set(
    path_or_url: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_size: int | str = "50GiB",
    shuffle_window: int | None = None,
) -> ShardSet:
    """Opens a shard set; a million images take a fraction of a second.

    Args:
        path_or_url: Its folder, or any URL that fsspec reads.
        cache_dir: For URLs: a folder that keeps the index, and shards that were fetched, whole. Processes and sets may share
            it. None: the index is held in memory, and records are read by their ranges, batch by batch.
        cache_size: Bytes of shards that it may hold, about: those that were not used for the longest time go first.
        shuffle_window: How a `DCTLoader` with `shuffle=True` shuffles: the order of the shards, and then samples within so
            many consecutive ones of them, so that each shard is fetched about once an epoch if the cache holds two windows;
            0: all samples. None: 0 for folders, 16 for URLs. A state of the loader can be resumed with the same window only.

    Raises:
        FileNotFoundError: There is nothing at that place.
        ValueError: What is there is no shard set, was not finished, or its index is damaged.
        ImportError: pyarrow is not installed; or, for URLs, fsspec.
    """
    return ShardSet(path_or_url, cache_dir=cache_dir, cache_size=cache_size, shuffle_window=shuffle_window)


def is_set(location: object) -> bool:
    """Whether a path or URL stands for a shard set: it ends in `.dct`, or is a folder that holds one, finished or not."""
    if not isinstance(location, (str, os.PathLike)):
        return False
    text = os.fsdecode(location).rstrip("/")
    if text.endswith(".dct"):
        return True
    if is_url(text):
        return False
    return _holds_set(Path(text))


def _holds_set(folder: Path) -> bool:
    return (folder / PLAN).is_file() or ((folder / MANIFEST).is_file() and (folder / INDEX).is_file())


def images_to_extract(given: Any) -> Source:
    """The source of what `extract` takes; a set, which is what it makes, is told apart from a folder without images.

    Raises:
        ValueError: It is a shard set.
        OSError, TypeError: As `open_source`.
    """
    where = given.where if isinstance(given, ShardSet) else os.fsdecode(given) if is_set(given) else None
    if where is not None and (is_url(where) or _holds_set(Path(where))):
        raise ValueError(
            f"{where} is a shard set, made already: train on it with DCTLoader, which takes fewer channels of it too; for "
            "another set give the files that it was made from, or those that dctload export makes of it"
        )
    return open_source(given, unlabelled=True)


class Texts(Sequence[str]):
    """A column of texts, each made when it is asked for."""

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return str(self._column[range(len(self))[i]].as_py())

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _LISTED):
            yield from self._column[first : first + _LISTED].to_pylist()

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self[:3]))
        return f"[{first}, ...] ({len(self):,})" if len(self) > 3 else f"[{first}]"


def store_at(location: str | os.PathLike[str]) -> LocalStore | RemoteStore:
    """The files at a path or URL, whether there are any or not."""
    text = os.fsdecode(location)
    return RemoteStore(text) if is_url(text) else LocalStore(Path(text))


def manifest_bytes(store: LocalStore | RemoteStore) -> bytes:
    """The manifest of a finished set.

    Raises:
        FileNotFoundError: There is nothing at that place.
        ValueError: What is there is no set, or is not finished; the message says what to do.
    """
    try:
        return store.read(MANIFEST)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise ValueError(f"{store.where} is a file; a shard set is a folder that dctload extract makes") from None
    try:
        store.read(PLAN)
    except FileNotFoundError:
        if isinstance(store, LocalStore) and Path(store.where).is_dir():
            raise ValueError(f"{store.where} is no shard set: it holds no {MANIFEST}; dctload extract makes one") from None
        raise FileNotFoundError(f"there is no shard set at {store.where}: {MANIFEST} is missing") from None
    raise ValueError(
        f"{store.where} was not finished: run dctload extract with the same arguments and --resume, or dctload merge where all "
        "its parts are made"
    )


def _opened(location: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None, size: int) -> tuple[Store, Manifest]:
    store = store_at(location)
    data = manifest_bytes(store)
    manifest = Manifest.from_json(data.decode("utf-8", "replace"), f"{store.where}/{MANIFEST}")
    if cache_dir is not None and isinstance(store, RemoteStore):
        return CachedStore(store.where, Path(cache_dir), size, data, manifest.shards), manifest
    return store, manifest


def _reopened(
    location: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None, cache_size: int | str, window: int | None
) -> ShardSet:
    return ShardSet(location, cache_dir=cache_dir, cache_size=cache_size, shuffle_window=window)
