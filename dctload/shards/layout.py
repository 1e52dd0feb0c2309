"""What a shard set looks like on disk: names, columns, manifest. Writer, reader and checks take it from here.

A set is a folder::

    train.dct/
      manifest.json       what the set is: channels, quantisation, counts, classes, checksums of all other files
      index.arrow         one row an image: where its record lies, and what is asked for without opening it
      shard-00000.arrow   Arrow IPC files, one row a sample of the source; the records are one large_binary column
      shard-00001.arrow

Any Arrow library reads the files without dctload. The index holds absolute offsets, so that a record is one slice of a mapped
file, one `pread`, or one ranged GET, and no Arrow library is needed to read records. A set is whole once its manifest is there,
which is written last; until then the folder holds `plan.json`, which says how the source is dealt to the shards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dctload import _core

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "dctload-shards"
VERSION = 1
MANIFEST, INDEX, PLAN = "manifest.json", "index.arrow", "plan.json"
TEMPORARY = ".tmp"  # what a file's name ends in until it is whole


def shard_name(number: int) -> str:
    """Name of a shard's file in the set's folder."""
    return f"shard-{number:05d}.arrow"


def shard_schema() -> pa.Schema:
    """Columns of a shard: one row a sample of the source, in the source's order.

    `record` is null where `status` is an error's code (docs/errors.md); then `error` holds its words. `target` is a whole
    number, or null where the source's target is none; then `label` holds it as JSON.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("record", pa.large_binary()),
            pa.field("key", pa.string()),
            pa.field("target", pa.int64()),
            pa.field("label", pa.string()),
            pa.field("width", pa.uint16()),  # pixels as coded, before orientation
            pa.field("height", pa.uint16()),
            pa.field("orientation", pa.uint8()),  # EXIF, 1..8
            pa.field("status", pa.string()),  # "ok", "truncated", "damaged", or an error's code
            pa.field("error", pa.string()),
            pa.field("crc32c", pa.uint32()),  # of the whole record
            pa.field("source_bytes", pa.int64()),  # of the file that the record was made from
        ]
    )


def index_schema() -> pa.Schema:
    """Columns of the index: one row an image that has a record, over all shards, in the source's order."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("shard", pa.int32()),
            pa.field("offset", pa.int64()),  # byte in the shard's file
            pa.field("nbytes", pa.int32()),
            pa.field("crc32c", pa.uint32()),
            pa.field("target", pa.int64()),
            pa.field("width", pa.uint16()),
            pa.field("height", pa.uint16()),
            pa.field("orientation", pa.uint8()),
            pa.field("sample", pa.int64()),  # number in the source
            pa.field("key", pa.large_string()),
            pa.field("label", pa.large_string()),
            pa.field("status", pa.large_string()),
        ]
    )


@dataclass(frozen=True)
class ShardFile:
    """A file of the set as the manifest knows it."""

    name: str
    images: int  # with a record
    failed: int
    nbytes: int
    crc32c: int


@dataclass(frozen=True)
class Failure:
    """A sample of the source without a record.

    Attributes:
        key: Its name.
        code: Of the error (docs/errors.md).
        message: What went wrong; begins with the key.
    """

    key: str
    code: str
    message: str


@dataclass(frozen=True)
class Manifest:
    """What a set is; `manifest.json`.

    Attributes:
        channels: The selection's text form, as `str(ChannelSelection)`.
        quantization: `"source"`: coefficients as they stand in the files; or what was done to them, such as `"requantize 4"`,
            `"resize 512 step 2"`.
        images: Images with a record.
        failed: Samples of the source without one.
        nbytes: Bytes of all records.
        source_bytes: Bytes of the files they were made from.
        classes: Names by target, or None.
        shards: The files, in order.
        index_crc32c: Of `index.arrow`.
        command: What makes this set again.
        versions: Of dctload and of the wire format ("1.0").
        plan: What else decided the bytes of the set: samples a shard, limits and the like (`dctload.shards.plan.Plan`).
        failures: The samples without a record, in the source's order.
    """

    channels: str
    quantization: str
    images: int
    failed: int
    nbytes: int
    source_bytes: int
    classes: list[str] | None
    shards: list[ShardFile]
    index_crc32c: int
    command: str
    versions: dict[str, str] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def to_json(self) -> str:
        """The file's text; the last member is the checksum of all before it."""
        facts = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps({**facts, "crc32c": _crc_of(facts)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """The manifest of a file's text.

        Raises:
            ValueError: It is no manifest, of another version, or was changed; the message names `where`.
        """
        try:
            facts = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{where} is no JSON ({error}); extract again, or copy the set again") from None
        if not isinstance(facts, Mapping) or facts.get("format") != FORMAT:
            raise ValueError(f"{where} is not the manifest of a shard set")
        if facts.get("version") != VERSION:
            raise ValueError(f"{where} is of version {facts.get('version')}; this release of dctload reads version {VERSION}")
        facts = dict(facts)
        if facts.pop("crc32c", None) != _crc_of(facts):
            raise ValueError(f"{where} was changed since it was written (its checksum differs); copy the set again")
        del facts["format"], facts["version"]
        facts["shards"] = [ShardFile(**shard) for shard in facts["shards"]]
        facts["failures"] = [Failure(**failure) for failure in facts.get("failures", [])]
        return cls(**facts)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest that lies in a folder, or None.

    Raises:
        ValueError: As `Manifest.from_json`.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8", errors="replace")  # a flipped bit is told by the checksum
    except FileNotFoundError:
        return None
    return Manifest.from_json(text, str(path))


def put_in_place(temporary: Path, path: Path) -> None:
    """Gives a complete file its final name; both the bytes and the name outlast a power cut."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _crc_of(facts: Mapping[str, Any]) -> int:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return _core.crc32c(text.encode("utf-8", "surrogatepass"))  # a flipped bit may have made half of a pair
