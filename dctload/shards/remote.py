"""Shard sets behind URLs, through fsspec: records by ranged reads, or whole shards in a local cache."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload import _core
from dctload.shards.layout import MANIFEST, TEMPORARY, ShardFile, put_in_place, shard_name
from dctload.shards.plan import temporary_name
from dctload.shards.prefetching import Prefetcher
from dctload.shards.store import Bytes, DiskAhead, Int, MappedShards, Pieces, mapped
from dctload.sources.urls import file_system, storage_error, told_storage_errors

if TYPE_CHECKING:
    from dctload._core import Buffer

_TOUCHED = 60.0  # seconds after which a shard's use is noted again
_AHEAD = 32  # shards fetched ahead of the reader, at most: the next windows of a shuffled epoch
_TRIES = 2  # downloads of a file whose checksum comes out wrong
_log = logging.getLogger(__name__)


class RemoteStore:
    """A set behind a URL, without a cache: the records of a batch are asked for at once, each by its range."""

    is_remote, stays = True, False

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")

    def read(self, name: str) -> bytes:
        """The bytes of a small file."""
        system, path = self._system()
        try:
            with told_storage_errors(f"{self.where}/{name}"):
                return bytes(system.cat_file(f"{path}/{name}"))
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.where}/{name} does not exist") from None

    def whole(self, name: str, crc32c: int) -> Bytes:
        """The file, in memory."""
        return np.frombuffer(self.read(name), np.uint8)

    def pieces(self, shard: Int, offset: Int, nbytes: Int) -> Pieces:
        """The records' own bytes. One that cannot be read is empty."""
        system, root = self._system()
        names = [shard_name(number) for number in shard.tolist()]
        paths = [f"{root}/{name}" for name in names]
        with told_storage_errors(self.where):
            found = system.cat_ranges(paths, offset.tolist(), (offset + nbytes).tolist(), on_error="return") if paths else []
        buffers: list[Buffer] = []
        lost: dict[int, OSError] = {}
        for k, data in enumerate(found):
            if isinstance(data, Exception):
                _log.warning("%s cannot be read: %s: %s", paths[k], type(data).__name__, data)
                lost[k] = storage_error(data, f"{self.where}/{names[k]}")
            buffers.append(b"" if isinstance(data, Exception) else data)
        return Pieces(buffers, np.arange(len(paths), dtype=np.int64), np.zeros(len(paths), np.int64), lost)

    def ahead_of(self, batches: Iterable[Int]) -> AbstractContextManager[object]:
        """Nothing: there is no place to keep what was fetched."""
        return nullcontext()

    def _system(self) -> tuple[Any, str]:
        # Asked for each time: fsspec keeps its file systems, and makes new ones in a forked child, where the old ones are dead.
        system, path = file_system(self.where)
        return system, path.rstrip("/")


class CachedStore(RemoteStore):
    """A set behind a URL whose shards are fetched whole to a folder, which many processes and sets may share.

    A file has its name there only when all of it has come and its checksum is right. Of several processes that want a shard,
    one fetches it and the others wait. Where a shard would take the folder beyond its size, those go that were not used for
    the longest time; who has one mapped reads on.

    Args:
        url: Of the set.
        folder: Of the cache.
        size: Bytes of all shards in the folder, about: one shard is kept whatever its size, and so are indexes.
        manifest: The manifest's bytes: another set at the same place has other files.
        files: The shards.
    """

    stays = True

    def __init__(self, url: str, folder: Path, size: int, manifest: bytes, files: list[ShardFile]) -> None:
        super().__init__(url)
        self._cache, self._size, self._files = folder, size, files
        self._folder = folder / hashlib.sha256(self.where.encode() + b"\0" + manifest).hexdigest()[:24]
        self._maps, self._disk = MappedShards(), DiskAhead()
        self._used: dict[int, float] = {}
        self._prefetchers: list[Prefetcher] = []
        self._folder.mkdir(parents=True, exist_ok=True)

    def whole(self, name: str, crc32c: int) -> Bytes:
        """The file, fetched and mapped."""
        return mapped(self._fetched(name, crc32c))

    def pieces(self, shard: Int, offset: Int, nbytes: Int) -> Pieces:
        """The shards, mapped, that these records lie in."""
        wanted = np.unique(shard).tolist()
        for prefetcher in list(self._prefetchers):
            prefetcher.reached(wanted)
        self._disk.advise(self._folder, shard, offset, nbytes)
        return self._maps.pieces(shard, offset, self._map)

    def fetch(self, number: int) -> Path:
        """Makes sure that a shard is in the cache.

        Raises:
            OSError: It cannot be fetched, or what came is not what the manifest says.
        """
        file = self._files[number]
        return self._fetched(file.name, file.crc32c, file.nbytes)

    @contextmanager
    def ahead_of(self, batches: Iterable[Int]) -> Iterator[None]:
        """Fetches shards in the order in which these batches need them, some ahead of what is asked for."""
        largest = max((file.nbytes for file in self._files), default=1)
        ahead = min(_AHEAD, self._size // largest // 2)  # half of the cache is for what is being read
        prefetcher = Prefetcher(self._fetched_ahead, batches, len(self._files), ahead)
        self._prefetchers.append(prefetcher)
        try:
            yield
        finally:
            self._prefetchers.remove(prefetcher)
            prefetcher.close()

    def _fetched_ahead(self, number: int) -> None:
        if self._maps.get(number) is None:
            self.fetch(number)

    def _map(self, number: int) -> Bytes:
        found = self._maps.get(number)
        if found is None:
            found = self._maps.add(number, self.fetch(number))
            self._let_go()
        now = time.monotonic()
        if now - self._used.get(number, -_TOUCHED) >= _TOUCHED:
            self._used[number] = now
            with suppress(OSError):  # it may be gone from the folder; the map is as good as ever
                os.utime(self._folder / shard_name(number))
        return found

    def _let_go(self) -> None:
        """Forgets maps of files that another process, or this one, removed: they take room on the disk until then."""
        for number in self._maps.numbers:
            if not (self._folder / shard_name(number)).exists():
                self._maps.drop(number)

    def _fetched(self, name: str, crc32c: int, nbytes: int = 0) -> Path:
        path = self._folder / name
        if path.exists():
            return path
        with _locked(path.with_name(name + ".lock")):
            if path.exists():  # another process was faster
                return path
            for left in path.parent.glob(f"{name}.*{TEMPORARY}"):  # of one that was killed: nobody else has the lock
                left.unlink(missing_ok=True)
            if nbytes:
                self._make_room(nbytes)
            for attempt in range(_TRIES):
                temporary = temporary_name(path)
                try:
                    self._download(name, temporary)
                    if _core.crc32c(mapped(temporary)) == crc32c:
                        put_in_place(temporary, path)
                        return path
                finally:
                    temporary.unlink(missing_ok=True)
                _log.warning("%s/%s came with other bytes than its manifest says (try %d)", self.where, name, attempt + 1)
        raise OSError(f"{self.where}/{name} is not what its {MANIFEST} says: it is damaged, or was changed; copy the set again")

    def _download(self, name: str, to: Path) -> None:
        system, root = self._system()
        try:
            with told_storage_errors(f"{self.where}/{name}"):
                system.get_file(f"{root}/{name}", str(to))
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.where}/{name} does not exist; copy the set again") from None

    def _make_room(self, nbytes: int) -> None:
        """Removes shards, of whatever set, until so many bytes more fit."""
        found = []
        for path in self._cache.glob("*/shard-*.arrow"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in found) + nbytes
        for _, size, path in sorted(found):
            if total <= self._size:
                return
            path.unlink(missing_ok=True)
            total -= size


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that is between processes and between threads; the file goes when it is free again.

    Who waited for the file that goes finds the work done. If it failed, two may try again at once, which costs time alone.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
