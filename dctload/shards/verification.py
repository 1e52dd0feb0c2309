"""Whether a shard set is what it was when it was made: `verify`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dctload import _core
from dctload._arguments import thread_count
from dctload.errors import WireError
from dctload.packed import PackedBatch, unpack_reference
from dctload.shards.finishing import extents, failures, plan_of_whole
from dctload.shards.layout import INDEX, MANIFEST, Failure, Manifest, ShardFile, index_schema, shard_schema
from dctload.shards.plan import Plan
from dctload.shards.reader import images_to_extract, manifest_bytes, store_at
from dctload.shards.recording import Recorder
from dctload.shards.resized import Quantization
from dctload.shards.writer import require_pyarrow

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload.shards.store import Bytes, Store

    # Called with images done and images in all; with `against` each counts twice.
    Progress: TypeAlias = Callable[[int, int], object]

_COMPARED = ("record", "key", "target", "label", "status")
_SAME = ("key", "target", "label", "width", "height", "orientation", "status", "crc32c")  # in a shard and in the index


@dataclass(frozen=True)
class Report:
    """What `verify` found.

    Attributes:
        images: Images of the set by its manifest.
        damaged: (key, reason) of images that are not what they were.
        problems: What is wrong with files, in words.
        notes: What could not be looked at, or could not be told.
        failed: (key, code, message) of the samples that failed when the set was made, by its manifest: no fault of the set.
    """

    images: int
    damaged: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged and not self.problems


def verify(dst: str | os.PathLike[str], against: Any = None, progress: Progress | None = None, *, workers: int = 0) -> Report:
    """Checks every byte of a shard set.

    The manifest has a checksum of itself, of the index and of every shard; the index has one of every record, and records are
    walked tile by tile: a flipped bit anywhere is found, and the images that it hit are named.

    Args:
        dst: Its folder or URL.
        against: The source that it was made from: its images are extracted again, as the manifest says (resized, with coarser
            steps), and compared to the byte. A resize is exact only between CPUs that round float32 alike: where a resized
            image differs by one quantisation step at most, a note counts it; by more, it is damaged.
        progress: Called from the caller's thread as `progress(images done, images in all)`.
        workers: Threads; 0: one a core.

    Raises:
        FileNotFoundError: There is nothing at that place.
        ValueError: What is there is no shard set, or was not finished.

    Example:
        >>> report = verify("train.dct", against="imagenet/train")  # doctest: +SKIP
        >>> report.ok, report.damaged  # doctest: +SKIP
        (False, [('cat/12.jpg', 'its checksum is wrong')])
    """
    require_pyarrow()
    threads = thread_count(workers)
    store = store_at(dst)
    data = manifest_bytes(store)
    try:
        manifest = Manifest.from_json(data.decode("utf-8", "replace"), f"{store.where}/{MANIFEST}")
    except ValueError as error:
        return Report(0, problems=[str(error)])
    report = Report(manifest.images, failed=[(failure.key, failure.code, failure.message) for failure in manifest.failures])
    if manifest.to_json().encode() != data:
        report.problems.append(f"{MANIFEST} says what it said, in other words: it was written anew by another program")
    source = None if against is None else images_to_extract(against)
    total = manifest.images + manifest.failed
    told = _Told(progress, total * (1 if source is None else 2))
    index = _index(store, manifest, report)
    good: list[int] = []
    with ThreadPoolExecutor(threads) as pool:
        listed = _listed(manifest, report)
        jobs = [(store, *facts) for facts in zip(manifest.shards, _rows(index, len(manifest.shards)), listed, strict=True)]
        for number, found in enumerate(pool.map(lambda job: _shard(*job), jobs)):
            report.damaged.extend(found.damaged)
            report.problems.extend(found.problems)
            if found.is_right:
                good.append(number)
            told.add(manifest.shards[number].images + manifest.shards[number].failed)
    if source is not None:
        _compare(store, manifest, source, good, threads, report, told)
    return report


class _Told:
    """Counts images for the user's function."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.count, self._progress, self._total = 0, progress, total

    def add(self, images: int) -> None:
        self.count += images
        if self._progress is not None:
            self._progress(self.count, self._total)


@dataclass(eq=False)
class _Found:
    """What is wrong with one shard."""

    is_right: bool = False  # its bytes and rows are what the manifest says
    damaged: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _index(store: Store, manifest: Manifest, report: Report) -> Any:
    """The index as a table, or None where it is damaged."""
    pa = require_pyarrow()
    try:
        data = store.whole(INDEX, manifest.index_crc32c)
    except OSError as error:
        report.problems.append(f"{INDEX} cannot be read: {error}")
        return None
    if _core.crc32c(data) != manifest.index_crc32c:
        report.problems.append(f"{INDEX} is damaged: its checksum is wrong")
        return None
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    if not table.schema.equals(index_schema()) or len(table) != manifest.images:
        report.problems.append(f"{INDEX} has {len(table)} rows or other columns; {MANIFEST} counts {manifest.images} images")
        return None
    return table


def _rows(index: Any, shards: int) -> list[Any]:
    """The index's rows of each shard: they lie together."""
    if index is None:
        return [None] * shards
    bounds = np.searchsorted(index["shard"].to_numpy(), np.arange(shards + 1)).tolist()
    return [index.slice(first, end - first) for first, end in pairwise(bounds)]


def _listed(manifest: Manifest, report: Report) -> list[list[Failure]]:
    """The failures that the manifest lists, by shard."""
    ends = np.cumsum([0, *(file.failed for file in manifest.shards)]).tolist()
    if ends[-1] != len(manifest.failures):
        report.problems.append(f"{MANIFEST} lists {len(manifest.failures)} failed samples and counts {ends[-1]} in the shards")
    return [manifest.failures[first:end] for first, end in pairwise(ends)]


def _shard(store: Store, file: ShardFile, index: Any, listed: list[Failure]) -> _Found:
    found = _Found()
    try:
        data = store.whole(file.name, file.crc32c)
    except OSError as error:
        found.problems.append(f"{file.name} cannot be read: {error}")
        return found
    if data.nbytes != file.nbytes:
        found.problems.append(f"{file.name} has {data.nbytes} bytes; {MANIFEST} says {file.nbytes}")
    elif _core.crc32c(data) != file.crc32c:
        found.problems.append(f"{file.name} is damaged: its checksum is wrong")
    else:
        found.is_right = True
    if found.is_right:  # what is damaged is not handed to Arrow, which trusts what it reads
        _check_rows(file, data, index, listed, found)
    if index is not None:
        places = zip(*(index[name].to_numpy().tolist() for name in ("offset", "nbytes", "crc32c")), strict=True)
        for row, (offset, nbytes, crc) in enumerate(places):
            reason = _fault(data[offset : offset + nbytes], nbytes, crc)
            if reason is not None:
                found.damaged.append((index["key"][row].as_py(), reason))
    return found


def _fault(record: Bytes, nbytes: int, crc: int) -> str | None:
    """What is wrong with a record, or None."""
    if record.nbytes != nbytes:
        return "its shard breaks off before its end"
    if _core.crc32c(record) != crc:
        return "its checksum is wrong"
    fault = _core.check_record(record, deep=True)
    return None if fault is None else f"byte {fault[1]} of its record: wrong {fault[0]}"


def _check_rows(file: ShardFile, data: Bytes, index: Any, listed: list[Failure], found: _Found) -> None:
    """Holds a shard's own columns against the index."""
    pa = require_pyarrow()
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    if not table.schema.equals(shard_schema()) or len(table) != file.images + file.failed:
        found.is_right = False
        found.problems.append(
            f"{file.name} has {len(table)} rows or other columns; {MANIFEST} counts {file.images + file.failed}"
        )
        return
    if failures(table) != [(failure.key, failure.code, failure.message) for failure in listed]:
        found.problems.append(f"{MANIFEST} lists other failed samples than {file.name} has")
    if index is None:
        return
    rows = table.select(_SAME).filter(table["record"].is_valid())  # the records themselves are not copied
    if len(rows) != len(index):
        found.problems.append(f"{file.name} holds {len(rows)} records; {INDEX} has {len(index)} of it")
        return
    lying = [name for name in _SAME if not rows[name].cast(index[name].type).equals(index[name])]
    sizes, offsets = extents(table, data)
    lying += [
        name for name, values in (("offset", offsets), ("nbytes", sizes)) if not np.array_equal(index[name].to_numpy(), values)
    ]
    if lying:
        found.problems.append(f"{INDEX} and {file.name} differ in {', '.join(lying)}")


# ---------------------------------------------------------------------------------------------------- against the source


def _compare(store: Store, manifest: Manifest, source: Any, shards: list[int], threads: int, report: Report, told: _Told) -> None:
    """Extracts the samples of these shards again."""
    try:
        is_resized = bool(Quantization.parse(manifest.quantization).resize)
    except ValueError as error:
        report.notes.append(f"{error}: the images were not compared with the source")
        return
    plan = plan_of_whole(manifest)
    if plan.samples != len(source):
        report.problems.append(f"the set was made of {plan.samples} samples; the source that was given has {len(source)}")
        return
    recorder, rounded = Recorder(source, plan, threads), 0
    for number in shards:
        table = _table(store, manifest.shards[number])
        for first, batch in _extracted(recorder, plan, number):
            stored = table.slice(first, len(batch)).combine_chunks().to_batches()[0]
            if not all(batch[name].equals(stored[name]) for name in _COMPARED):
                for key, reason, may_be_rounding in _differences(stored, batch):
                    if is_resized and may_be_rounding:
                        rounded += 1
                    else:
                        report.damaged.append((key, reason))
            told.add(len(batch))
    if rounded:
        report.notes.append(
            f"of {rounded} resized images the source gives values that differ by one quantisation step at most: another CPU that "
            "rounds otherwise explains that, so it is not taken for damage"
        )


def _extracted(recorder: Recorder, plan: Plan, number: int) -> Iterator[tuple[int, Any]]:
    """A shard's rows made again, some at a time, and the place of the first."""
    first = 0
    for rows in recorder.rows(plan.samples_of(number)):
        yield first, rows.batch
        first += len(rows.batch)


def _differences(stored: Any, made: Any) -> Iterator[tuple[str, str, bool]]:
    """(key, reason, whether rounding alone may be the cause) of the rows that differ."""
    for row in range(len(stored)):
        key, new = (batch["key"][row].as_py() for batch in (stored, made))
        if key != new:
            yield key, f"in its place the source has {new}", False
            continue
        status, now = (batch["status"][row].as_py() for batch in (stored, made))
        if status != now:
            yield key, f"it was {status} when it was stored; its source gives {now}", False
        elif any(not stored[name][row].equals(made[name][row]) for name in ("target", "label")):
            yield key, "its target is another in the source", False
        elif not stored["record"][row].equals(made["record"][row]):
            records = [batch["record"][row].as_buffer() for batch in (stored, made)]
            yield key, "its source gives other bytes", _is_one_step_apart(records)


def _is_one_step_apart(records: list[Any]) -> bool:
    """Whether two images are the same but for steps of one.

    Before it is rounded to steps, a resized value is computed in float32, whose own error is thousandths of a step: two CPUs come
    to the same step or to neighbours.
    """
    try:
        a, b = unpack_reference(PackedBatch.join(records))
    except WireError:  # the stored one is damaged, and its checksum was made to fit
        return False
    if a is None or b is None or a.header != b.header or a.frequencies != b.frequencies:
        return False
    return all(
        first.shape == second.shape and bool((np.abs(first.astype(np.int32) - second) <= 1).all())
        for first, second in zip(a.planes, b.planes, strict=True)
    )


def _table(store: Store, file: ShardFile) -> Any:
    pa = require_pyarrow()
    return pa.ipc.open_file(pa.py_buffer(store.whole(file.name, file.crc32c))).read_all()
