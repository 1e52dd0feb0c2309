"""From the shards of a set to the whole set: its index, its manifest, and what a run has to say of it.

Finishing is a function of `plan.json` and the shard files alone: after a crash at any point it is done again and gives the same
bytes. It is whole with the manifest's appearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.shards.layout import (
    INDEX,
    MANIFEST,
    PLAN,
    Failure,
    Manifest,
    ShardFile,
    index_schema,
    read_manifest,
    shard_name,
    shard_schema,
)
from dctload.shards.plan import Plan, remove_temporaries, whole_file
from dctload.shards.writer import is_whole, require_pyarrow, write_error

if TYPE_CHECKING:
    import pyarrow as pa

_FREQUENCIES = 3 * 64
_MADE_AGAIN = "remove the file and extract again, with resume=True or the part that makes it"
_NAMED = 5  # ranges of missing shards that a message lists


@dataclass(frozen=True)
class Summary:
    """What an extraction or a merge did.

    Attributes:
        images: Images with a record, in the shards that this run was about.
        failed: (key, code, message) of the samples without one.
        nbytes: Bytes of all records.
        source_bytes: Bytes of the files that they were made from.
        seconds: That it took; 0 where nothing was left to do.
        shards: Files that hold them.
        is_complete: Whether the set is whole; False for one part of several.
        notes: What a user should know about such a set.
    """

    images: int
    failed: list[tuple[str, str, str]]
    nbytes: int
    source_bytes: int
    seconds: float
    shards: int
    is_complete: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _ShardFacts:
    """One shard's file as the manifest needs it, and its rows of the index."""

    file: ShardFile
    index: pa.Table | None
    failed: list[tuple[str, str, str]]
    nbytes: int
    source_bytes: int


def finalise(folder: Path, plan: Plan, threads: int, *, remedy: str) -> Summary:
    """Makes a set whole whose shards are all there: writes the index and the manifest, removes the plan.

    Args:
        folder: Of the set.
        plan: That lies in it.
        threads: That read the shards.
        remedy: What to do once there is room again: each verb goes on in its own way.

    Returns:
        What the set holds; also where another process made it whole at the same time.

    Raises:
        ValueError: Shards are missing, or a file is none of this plan's; the message says which.
        OSError: The index or the manifest cannot be written.
    """
    try:
        return _finalised(folder, plan, threads, remedy)
    except FileNotFoundError:
        manifest = read_manifest(folder)  # who was faster has cleared up, our unfinished files too
        if manifest is None:
            raise
        return summary_of_whole(manifest)


def _finalised(folder: Path, plan: Plan, threads: int, remedy: str) -> Summary:
    pa = require_pyarrow()
    missing = [k for k in range(plan.shards) if not (folder / shard_name(k)).exists()]
    if missing:
        raise ValueError(
            f"{folder}: of {plan.shards} shards, numbered from 0, {named_ranges(missing)} missing; run the jobs that make them "
            "again, or name their folders"
        )
    facts = list(_read_all(folder, plan, range(plan.shards), threads, is_whole_set=True))
    tables = [shard.index for shard in facts if shard.index is not None]
    table = pa.concat_tables(tables).combine_chunks()
    with (
        _written(folder / INDEX, table.nbytes, remedy) as name,
        pa.OSFile(str(name), "wb") as file,
        pa.ipc.new_file(file, index_schema()) as writer,
    ):
        writer.write_table(table)
    manifest = Manifest(
        channels=plan.channels,
        quantization=plan.quantization,
        images=sum(shard.file.images for shard in facts),
        failed=sum(shard.file.failed for shard in facts),
        nbytes=sum(shard.nbytes for shard in facts),
        source_bytes=sum(shard.source_bytes for shard in facts),
        classes=plan.classes,
        shards=[shard.file for shard in facts],
        index_crc32c=_core.crc32c(_mapped(folder / INDEX)),
        command=plan.command(any(shard.failed for shard in facts)),
        versions=plan.versions,
        plan=plan.facts(),
        failures=[Failure(*row) for shard in facts for row in shard.failed],
    )
    text = manifest.to_json().encode()
    with _written(folder / MANIFEST, len(text), remedy) as name:
        name.write_bytes(text)
    tidy(folder)
    return _summary(facts, plan, is_complete=True)


def tidy(folder: Path) -> None:
    """Removes what a whole set has no use for."""
    if (folder / PLAN).exists():  # else a set that cannot be written to would be an error
        (folder / PLAN).unlink(missing_ok=True)
    remove_temporaries(folder)


def summary_of_part(folder: Path, plan: Plan, shards: Sequence[int], threads: int) -> Summary:
    """What lies in some shards of a set that is not whole yet."""
    return _summary(list(_read_all(folder, plan, shards, threads, is_whole_set=False)), plan, is_complete=False)


def summary_of_whole(manifest: Manifest) -> Summary:
    """What a whole set's manifest says."""
    return Summary(
        manifest.images,
        [(failure.key, failure.code, failure.message) for failure in manifest.failures],
        manifest.nbytes,
        manifest.source_bytes,
        0.0,
        len(manifest.shards),
        notes=_notes(manifest.channels, manifest.quantization),
    )


def plan_of_whole(manifest: Manifest) -> Plan:
    """The plan by which a whole set was made.

    Raises:
        ValueError: The manifest does not say.
    """
    try:
        return Plan(
            source="",
            classes=manifest.classes,
            channels=manifest.channels,
            quantization=manifest.quantization,
            versions=manifest.versions,
            **manifest.plan,
        )
    except TypeError:
        raise ValueError(f"the {MANIFEST} does not say how the set was made; extract to another folder") from None


def named_ranges(numbers: Iterable[int]) -> str:
    """Numbers in words with their verb: "0, 3-7 and 9 are"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1][1:] = [n]
        else:
            runs.append([n])
    texts = ["-".join(map(str, run)) for run in runs[:_NAMED]]
    if len(runs) > _NAMED:
        texts.append(f"{len(runs) - _NAMED} more ranges")
    joined = " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
    return f"{joined} {'is' if len(runs) == 1 and len(runs[0]) == 1 else 'are'}"


def _summary(facts: list[_ShardFacts], plan: Plan, *, is_complete: bool) -> Summary:
    return Summary(
        images=sum(shard.file.images for shard in facts),
        failed=[row for shard in facts for row in shard.failed],
        nbytes=sum(shard.nbytes for shard in facts),
        source_bytes=sum(shard.source_bytes for shard in facts),
        seconds=0.0,
        shards=len(facts),
        is_complete=is_complete,
        notes=_notes(plan.channels, plan.quantization),
    )


def _notes(channels: str, quantization: str) -> tuple[str, ...]:
    selection = ChannelSelection.parse(channels)
    if len(selection) == _FREQUENCIES or quantization.startswith("resize"):
        return ()
    name = selection.name or channels
    note = (
        f"these shards hold {len(selection)} of {_FREQUENCIES} frequencies ({name}) of the files' own blocks: training that "
        "resizes prunes before it resizes and sees another picture than the papers', which resize first (docs/transforms.md, "
        'What is sent); channels "all" keeps every augmentation exact, a resize at extraction makes the papers\' input'
    )
    return (note,)


# ------------------------------------------------------------------------------------------------------ reading shards


def _read_all(folder: Path, plan: Plan, shards: Sequence[int], threads: int, *, is_whole_set: bool) -> Iterator[_ShardFacts]:
    def read(number: int) -> _ShardFacts:
        return _read(folder / shard_name(number), number, plan, is_whole_set)

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(read, shards)


def _read(path: Path, number: int, plan: Plan, is_whole_set: bool) -> _ShardFacts:
    samples = plan.samples_of(number)
    if not is_whole(path, len(samples)):
        raise ValueError(f"{path} is no shard of {len(samples)} rows, as the plan has it; {_MADE_AGAIN}")
    data = _mapped(path)
    table = _table(data)
    sizes, offsets = extents(table, data)
    _check_records(path, table, data, sizes, offsets)
    has_record = table["record"].is_valid()
    images = int(np.count_nonzero(has_record.to_numpy()))
    kept = table.select(["target", "width", "height", "orientation", "key", "label", "status", "crc32c", "source_bytes"])
    kept = kept.append_column("sample", [np.arange(samples.start, samples.stop, dtype=np.int64)]).filter(has_record)
    index = None
    if is_whole_set:
        kept = kept.append_column("shard", [np.full(images, number, np.int32)])
        kept = kept.append_column("offset", [offsets]).append_column("nbytes", [sizes])
        schema = index_schema()
        index = kept.select(schema.names).cast(schema)
    checksum = _core.crc32c(data) if is_whole_set else 0
    file = ShardFile(path.name, images, len(samples) - images, int(data.nbytes), checksum)
    source_bytes = int(kept["source_bytes"].to_numpy().sum())
    return _ShardFacts(file, index, failures(table), int(sizes.sum()), source_bytes)


def extents(table: Any, data: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes, and place in the mapped file, of all records that there are."""
    sizes, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    base = data.ctypes.data
    for chunk in table["record"].chunks:
        _, ends, values = chunk.buffers()
        bounds = np.frombuffer(ends, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        valid = chunk.is_valid().to_numpy(zero_copy_only=False)
        sizes.append(np.diff(bounds)[valid])
        places.append((bounds[:-1] + (values.address - base if values is not None else 0))[valid])
    return np.concatenate(sizes), np.concatenate(places)


def _check_records(path: Path, table: Any, data: NDArray[np.uint8], sizes: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
    """Holds the records to their checksums: the manifest's is not to vouch for a file that was damaged since it was made."""
    rows = np.flatnonzero(table["record"].is_valid().to_numpy())
    checksums = table["crc32c"].take(rows).to_pylist()
    for row, start, nbytes, checksum in zip(rows.tolist(), offsets.tolist(), sizes.tolist(), checksums, strict=True):
        if start < 0 or nbytes < 0 or _core.crc32c(data[start : start + nbytes]) != checksum:
            raise ValueError(
                f"{path} is damaged: the record of {table['key'][row].as_py()} is not what was written; {_MADE_AGAIN}"
            )


def failures(table: Any) -> list[tuple[str, str, str]]:
    """(key, code, message) of the rows of a shard that have no record."""
    rows = table.select(["key", "status", "error"]).filter(table["record"].is_null())
    return [(row["key"], row["status"], f"{row['key']}: {row['error']}") for row in rows.to_pylist()]


def _mapped(path: Path) -> NDArray[np.uint8]:
    """A file's bytes, mapped."""
    with require_pyarrow().memory_map(str(path)) as file:
        return np.frombuffer(file.read_buffer(), np.uint8)


def _table(data: NDArray[np.uint8]) -> Any:
    pa = require_pyarrow()
    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    assert table.schema.equals(shard_schema())
    return table


@contextmanager
def _written(path: Path, nbytes: int, remedy: str) -> Iterator[Path]:
    """Where to write a file of so many bytes, about; errors say what to do."""
    try:
        with whole_file(path) as name:
            yield name
    except OSError as error:
        raise write_error(error, path, needed=nbytes, remedy=remedy) from error
