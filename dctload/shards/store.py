"""Where the files of a shard set lie, as a reader sees them: bytes of records by shard and offset. Here: a local folder."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dctload.shards.layout import shard_name
from dctload.shards.writer import require_pyarrow

if TYPE_CHECKING:
    from dctload._core import Buffer

_ADVISED = 4, 256  # batches for which the system is told what will be read, after it had to wait for the disk: first, at most
_RARE = 16  # records to a page that was waited for: what a process does beside reading has such, too
_MOST_MAPS = 8192  # shards mapped at a time; a process may have some 65,000 maps, and sets of 100,000 shards exist
_log = logging.getLogger(__name__)

Bytes = NDArray[np.uint8]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Records in memory: record i is bytes `[offset[i], offset[i] + nbytes[i])` of `buffers[number[i]]`.

    Attributes:
        buffers: Mapped shards, or the records themselves.
        number: int64 `[B]`.
        offset: int64 `[B]`.
        lost: Why a buffer is empty that should not be, by its number.
    """

    buffers: list[Buffer]
    number: Int
    offset: Int
    lost: dict[int, OSError] = field(default_factory=dict)


class Store(Protocol):
    """The files of one set. Any number of threads may use it; it is of use in a forked child too.

    Attributes:
        where: The folder or URL, as the user gave it.
        is_remote: Whether samples that lie together should be read together.
        stays: Whether a record that was read is in the same memory, or the same file, when it is read again.
    """

    where: str
    is_remote: bool
    stays: bool

    def read(self, name: str) -> bytes:
        """A small file; FileNotFoundError where there is none."""

    def whole(self, name: str, crc32c: int) -> Bytes:
        """A large file, mapped where it can be. A file that is fetched to be kept must have this checksum."""

    def pieces(self, shard: Int, offset: Int, nbytes: Int) -> Pieces:
        """Records by their places; int64 `[B]` each. Shards that cannot be had are logged and in `lost`."""

    def ahead_of(self, batches: Iterable[Int]) -> AbstractContextManager[object]:
        """While it is entered, shards that these batches (of shard numbers) need may be fetched before they are asked for."""


class MappedShards:
    """Maps of shards' files by number, made on first use.

    There are no locks, so that a fork cannot leave one held: two threads may map the same file, and one map is let go.
    """

    def __init__(self) -> None:
        self._maps: dict[int, Bytes] = {}
        self._told: set[int] = set()

    def get(self, number: int) -> Bytes | None:
        """The map, if there is one."""
        return self._maps.get(number)

    def add(self, number: int, path: Path) -> Bytes:
        """Maps a file. Whoever has an older map of it keeps that alive."""
        while len(self._maps) >= _MOST_MAPS:
            self._maps.pop(next(iter(self._maps), -1), None)
        return self._maps.setdefault(number, mapped(path))

    def drop(self, number: int) -> None:
        """Forgets one map."""
        self._maps.pop(number, None)

    @property
    def numbers(self) -> list[int]:
        """Shards that are mapped now."""
        return list(self._maps)

    def pieces(self, shard: Int, offset: Int, get: Callable[[int], Bytes]) -> Pieces:
        """Records as parts of mapped shards. `get` maps one, or raises OSError, which is logged the first time."""
        numbers = np.unique(shard)
        buffers: list[Buffer] = []
        lost: dict[int, OSError] = {}
        for k, number in enumerate(numbers.tolist()):
            try:
                buffers.append(get(number))
            except OSError as error:
                if number not in self._told:
                    _log.warning("%s cannot be read: %s", shard_name(number), error)
                    self._told.add(number)
                lost[k] = error
                buffers.append(b"")
        return Pieces(buffers, numbers.searchsorted(shard), offset, lost)


class DiskAhead:
    """Tells the system which parts of mapped files a batch will read, so that the disk has all of them to do at once.

    Measured, 256 records of 100 kB in random order from a cold disk: 0.68 s without, 0.08 s with. Where the pages are in memory
    it would cost a third of the speed, so it is done for some batches after one that had to wait for the disk; for twice as many
    where the next one that is not told of waits again.
    """

    def __init__(self) -> None:
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        self._advised, self._left, self._told = 0, 0, False

    def advise(self, folder: Path, shard: Int, offset: Int, nbytes: Int) -> None:
        """These records are read next. A file that is not there is left to who reads it."""
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        waited, self._faults = faults - self._faults > len(shard) // _RARE, faults
        if not self._told:  # of the last batch: whether that waited says what the next ones need
            self._advised = min(max(2 * self._advised, _ADVISED[0]), _ADVISED[1]) if waited else 0
            self._left = self._advised
        self._told = self._left > 0
        if not self._told:
            return
        self._left -= 1
        for number in np.unique(shard).tolist():
            with suppress(OSError):
                file = os.open(folder / shard_name(number), os.O_RDONLY)
                try:
                    for k in np.flatnonzero(shard == number).tolist():
                        os.posix_fadvise(file, int(offset[k]), int(nbytes[k]), os.POSIX_FADV_WILLNEED)
                finally:
                    os.close(file)


class LocalStore:
    """A set in a local folder. Its shards are mapped: the page cache is the only copy, and it is the system's to give up."""

    is_remote, stays = False, True

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._folder = folder
        self._maps, self._ahead = MappedShards(), DiskAhead()

    def read(self, name: str) -> bytes:
        """The bytes of a small file."""
        return (self._folder / name).read_bytes()

    def whole(self, name: str, crc32c: int) -> Bytes:
        """The file, mapped."""
        return mapped(self._folder / name)

    def pieces(self, shard: Int, offset: Int, nbytes: Int) -> Pieces:
        """The shards, mapped, that these records lie in."""
        self._ahead.advise(self._folder, shard, offset, nbytes)
        return self._maps.pieces(shard, offset, self._map)

    def ahead_of(self, batches: Iterable[Int]) -> AbstractContextManager[object]:
        """Nothing: the system reads ahead of who reads a mapped file."""
        return nullcontext()

    def _map(self, number: int) -> Bytes:
        found = self._maps.get(number)
        return found if found is not None else self._maps.add(number, self._folder / shard_name(number))


def mapped(path: Path) -> Bytes:
    """uint8 `[bytes]`, read-only: a file's bytes, mapped. No descriptor stays open, whatever the number of maps."""
    if not path.stat().st_size:
        return np.empty(0, np.uint8)  # which no system maps
    with require_pyarrow().memory_map(str(path)) as file:
        return np.frombuffer(file.read_buffer(), np.uint8)
