"""WebDataset tar files: samples are members with the same key, read at random by an index of offsets."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload.sources.protocol import IMAGE_EXTENSIONS
from dctload.sources.tar_members import TarSample, tar_samples
from dctload.sources.urls import file_system, is_url, read_ranges, told_storage_errors

if TYPE_CHECKING:
    from dctload.sources.protocol import Data

_BRACES = re.compile(r"\{([^{}]*)\}")
_STEPS = re.compile(r"(\d+)\.\.(\d+)")
_BLOCK = 8 << 20  # headers lie between the images: a remote tar is read through once, in large pieces
_INDEX_VERSION = 1
_log = logging.getLogger(__name__)


def is_tar(text: str) -> bool:
    """Whether a path, pattern or URL names tar files."""
    return text.split("?")[0].endswith((".tar", ".tar}"))


def expand_braces(pattern: str) -> list[str]:
    """All that a pattern such as `"train-{000..146}.tar"` or `"{a,b}.tar"` stands for; leading zeros are kept."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    inside, steps = found[1], _STEPS.fullmatch(found[1])
    if steps is not None:
        first, last = int(steps[1]), int(steps[2])
        width = len(steps[1]) if steps[1].startswith("0") else 0
        parts = [f"{n:0{width}}" for n in range(first, last + 1)] or [f"{n:0{width}}" for n in range(first, last - 1, -1)]
    else:
        parts = inside.split(",")
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [whole for part in parts for whole in expand_braces(before + part + after)]


class TarSource:
    """Samples of WebDataset tars: an image (`.jpg`, `.jpeg`, ...) and a `.cls` member of the same key each.

    On opening, an index of the members is made; a sample is then one read at its offset, in any order. A remote tar is read
    through once for its index, which is kept in `cache_dir` for the next time.

    Args:
        tars: Paths, with `*` and `{000..146}` expanded, or URLs that fsspec reads, uncompressed.
        cache_dir: Folder for indexes of remote tars; None: `dctload` in the user's cache folder. One that cannot be written
            to is done without.

    Attributes:
        classes: Where `.cls` holds words instead of numbers: the words, sorted; a target is a place in this list. Else None.

    Raises:
        FileNotFoundError: A tar is absent, or a pattern fits none.
        OSError: A URL cannot be read.
        ValueError: A file is no uncompressed tar, or a sample has no `.cls`; the message names it.
    """

    classes: list[str] | None

    def __init__(
        self, tars: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, cache_dir: str | os.PathLike[str] | None = None
    ) -> None:
        given = [tars] if isinstance(tars, (str, os.PathLike)) else list(tars)
        self.tars = [tar for pattern in given for tar in _expand(os.fspath(pattern))]
        cache = Path(cache_dir) if cache_dir is not None else _default_cache()
        samples: list[TarSample] = []
        places: list[int] = []
        for place, tar in enumerate(self.tars):
            found = _remote_samples(tar, cache) if is_url(tar) else _local_samples(tar)
            samples += found
            places += [place] * len(found)
        if not samples:
            raise ValueError(
                f"{self._what()} holds no samples; expected members such as 0001.jpg and 0001.cls ({', '.join(IMAGE_EXTENSIONS)})"
            )
        self._names = [sample.name for sample in samples]
        self._tar = np.array(places, np.int32)
        self._offsets = np.array([sample.offset for sample in samples], np.int64)
        self._sizes = np.array([sample.size for sample in samples], np.int64)
        self.classes, self._targets = _targets([sample.label for sample in samples])

    def __len__(self) -> int:
        return len(self._names)

    def target(self, i: int) -> int:
        """What the `.cls` member of sample `i` says."""
        return int(self._targets[i])

    def name(self, i: int) -> str:
        """The tar and the member of sample `i`: `"train-000.tar:n01440764_1.jpg"`."""
        return f"{self.tars[self._tar[i]]}:{self._names[i]}"

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """The bytes of these samples, or the name of one that cannot be read."""
        by_tar: dict[int, list[int]] = {}
        for k, i in enumerate(indices):
            by_tar.setdefault(int(self._tar[i]), []).append(k)
        out: list[Data] = [b""] * len(indices)
        remote: list[int] = []
        for place, slots in by_tar.items():
            if is_url(self.tars[place]):
                remote += slots
            else:
                data = _read_local(self.tars[place], [self._extent(indices[k]) for k in slots])
                for k, piece in zip(slots, data, strict=True):
                    out[k] = self.name(indices[k]) if piece is None else piece
        if remote:
            for k, piece in zip(remote, self._read_remote([indices[k] for k in remote]), strict=True):
                out[k] = self.name(indices[k]) if piece is None else piece
        return out

    def __repr__(self) -> str:
        return f"TarSource({self._what()}: {len(self)} images)"

    def _what(self) -> str:
        return self.tars[0] if len(self.tars) == 1 else f"{len(self.tars)} tars, {self.tars[0]} ..."

    def _extent(self, i: int) -> tuple[int, int]:
        return int(self._offsets[i]), int(self._sizes[i])

    def _read_remote(self, indices: list[int]) -> list[bytes | None]:
        """All of a batch at once: the file system asks for the ranges side by side."""
        out: list[bytes | None] = [None] * len(indices)
        groups: dict[int, tuple[Any, list[int], list[str]]] = {}
        for k, i in enumerate(indices):
            system, path = file_system(self.tars[self._tar[i]])
            _, slots, paths = groups.setdefault(id(system), (system, [], []))
            slots.append(k)
            paths.append(path)
        for system, slots, paths in groups.values():
            extents = [self._extent(indices[k]) for k in slots]
            starts, ends = [start for start, _ in extents], [start + size for start, size in extents]
            for k, data in zip(slots, read_ranges(system, paths, starts, ends), strict=True):
                out[k] = data
        return out


def _expand(pattern: str) -> list[str]:
    """The tars that a path, a URL or a pattern stands for, in its order; what `*` fits is sorted."""
    out: list[str] = []
    for one in expand_braces(pattern):
        if "*" not in one:
            found = [one]
        elif is_url(one):
            system, path = file_system(one)
            with told_storage_errors(one):
                found = [str(system.unstrip_protocol(name)) for name in sorted(system.glob(path))]
        else:
            found = sorted(glob.glob(one, recursive=True))  # noqa: PTH207 - takes a whole pattern, absolute ones too
        if not found:
            raise FileNotFoundError(f"no tar file fits {one}")
        out += found
    return out


def _local_samples(tar: str) -> list[TarSample]:
    try:
        file = os.open(tar, os.O_RDONLY)
    except FileNotFoundError:
        raise FileNotFoundError(f"the tar file {tar} does not exist") from None
    try:
        return tar_samples(lambda offset, size: os.pread(file, size, offset), os.fstat(file).st_size, tar)
    finally:
        os.close(file)


def _remote_samples(url: str, cache: Path) -> list[TarSample]:
    system, path = file_system(url)
    with told_storage_errors(url):
        facts = system.info(path)
    # What tells a changed file from the one that was indexed; each kind of file system has some of them.
    version = [str(facts.get(key)) for key in ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "created")]
    digest = hashlib.sha256(json.dumps([_INDEX_VERSION, url, *version]).encode()).hexdigest()
    kept = cache / f"{digest}.json"
    try:
        return [TarSample(*row) for row in json.loads(kept.read_bytes())]
    except (OSError, ValueError, TypeError):  # none yet, or one that was damaged
        pass
    with told_storage_errors(url):
        opened = system.open(path, "rb", block_size=_BLOCK, cache_type="readahead")
    with opened as file:

        def read_at(offset: int, size: int) -> bytes:
            with told_storage_errors(url):
                file.seek(offset)
                return bytes(file.read(size))

        samples = tar_samples(read_at, facts.get("size"), url)
    _keep(kept, json.dumps(samples))
    return samples


def _keep(file: Path, text: str) -> None:
    """Write as a whole or not at all: several ranks may do it at once, on a folder that they share."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".") as folder:
            part = Path(folder) / file.name
            part.write_text(text)
            part.replace(file)
    except OSError:  # a read-only home, a full disk: the index is made again next time
        return


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dctload" / "tar-indexes"


def _targets(labels: Sequence[str]) -> tuple[list[str] | None, np.ndarray[Any, np.dtype[np.int64]]]:
    """Class names, where the labels are no numbers, and the targets."""
    try:
        return None, np.array([int(label) for label in labels], np.int64)
    except (ValueError, OverflowError):
        classes, targets = np.unique(np.array(labels), return_inverse=True)
        return [str(name) for name in classes], targets.astype(np.int64)


def _read_local(tar: str, extents: Sequence[tuple[int, int]]) -> list[bytes | None]:
    """Bytes at (offset, size), or None where they cannot be read.

    The tar is opened each time: no file stays open, and any number of threads and forked children may read.
    """
    try:
        file = os.open(tar, os.O_RDONLY)
    except OSError as error:
        _log.warning("%s cannot be read: %s", tar, error)
        return [None] * len(extents)
    try:
        return [_read_at(file, tar, offset, size) for offset, size in extents]
    finally:
        os.close(file)


def _read_at(file: int, tar: str, offset: int, size: int) -> bytes | None:
    pieces: list[bytes] = []
    try:
        while size > 0 and (piece := os.pread(file, size, offset)):  # one call as a rule; a signal may cut it short
            pieces.append(piece)
            offset, size = offset + len(piece), size - len(piece)
    except OSError as error:
        _log.warning("%s cannot be read: %s", tar, error)
        return None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
