"""How a source is dealt to shards: which samples each holds, and all that decides the bytes of a set.

A plan is made before any shard and lies in the set's folder as `plan.json` until the set is whole. Shard k holds the samples
[k * m, (k + 1) * m) of the source, so that shards may be made in any order, by any number of processes, and have the same bytes.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from dctload.channels import ChannelSelection
from dctload.jpeg import Limits
from dctload.shards.layout import FORMAT, INDEX, MANIFEST, PLAN, TEMPORARY, VERSION, put_in_place, shard_name
from dctload.shards.resized import Quantization
from dctload.sources.urls import is_url

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_MOST_SIZE = 2**63 - 1
_UNITS = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))
_MEASURED = 32  # samples whose mean size fixes how many a shard holds
_UNKNOWN_RECORD = 1 << 16  # bytes taken for a record where none of these samples can be decoded
_TEMPORARY_NAME = re.compile(
    rf"(shard-\d{{5,}}\.arrow|{'|'.join(map(re.escape, (INDEX, MANIFEST, PLAN)))})\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}"
)
_NOT_COMPARED = ("source", "samples_per_shard")  # one text of many for the same files; follows from the others


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a shard set; two runs with equal plans make equal files.

    Attributes:
        source: Text that names the source; where the set is made, not what is in it.
        samples: Number of samples of the source.
        fingerprint: CRC32C of the names and targets of its samples.
        classes: Names by target, or None.
        channels: The selection's text form.
        quantization: What was done to the coefficients; `"source"` for nothing.
        shard_size: Bytes that a shard should have.
        samples_per_shard: What follows from it, by the mean record of some samples.
        fallback: `"transcode"` or None.
        truncated: `"error"` or `"keep"`.
        limits: Pixels, components, scans and bytes of `Limits`.
        versions: Of dctload and of the wire format.
    """

    source: str
    samples: int
    fingerprint: int
    classes: list[str] | None
    channels: str
    quantization: str
    shard_size: int
    samples_per_shard: int
    fallback: str | None
    truncated: str
    limits: list[int]
    versions: dict[str, str]

    @property
    def shards(self) -> int:
        """How many shards the set has."""
        return -(-self.samples // self.samples_per_shard)

    @property
    def selection(self) -> ChannelSelection:
        """The kept frequencies."""
        return ChannelSelection.parse(self.channels)

    @property
    def bounds(self) -> Limits:
        """The limits as an object."""
        return Limits(*self.limits)

    def samples_of(self, shard: int) -> range:
        """Numbers of the samples that a shard holds."""
        return range(shard * self.samples_per_shard, min(self.samples, (shard + 1) * self.samples_per_shard))

    def part(self, text: str) -> range:
        """The shards of one of n jobs, as `part_of` reads it: runs of neighbours, as even as can be."""
        i, n = part_of(text)
        return range((i - 1) * self.shards // n, i * self.shards // n)

    def facts(self) -> dict[str, Any]:
        """What the manifest keeps of the plan: all of it that the manifest does not say itself."""
        own = ("source", "classes", "channels", "quantization", "versions")
        return {name: value for name, value in asdict(self).items() if name not in own}

    def command(self, has_failed: bool) -> str:
        """The command, or the call, that makes the same set."""
        size = self.shard_size
        size_text = next((f"{size >> bits}{unit}" for bits, unit in _UNITS if size and not size % (1 << bits)), str(size))
        limits = tuple(self.limits) != Limits().bounds
        channels = self.selection.name or self.channels
        changes = Quantization.parse(self.quantization).options
        if self.source.startswith("<") or limits:
            facts = [f"channels={channels!r}, shard_size={size_text!r}"]
            facts += [f"fallback={self.fallback!r}"] if self.fallback else []
            facts += [f"truncated={self.truncated!r}"] if self.truncated != "error" else []
            facts += [f"{name}={value}" for name, value in changes.items()]
            facts += [f"limits={self.bounds!r}"] if limits else []
            facts += ['on_error="skip"'] if has_failed else []
            source = self.source if self.source.startswith("<") else repr(self.source)
            return f"shards.extract({source}, DST, {', '.join(facts)})"
        words = ["dctload", "extract", self.source, "DST", "--channels", channels, "--shard-size", size_text]
        words += ["--fallback", self.fallback] if self.fallback else []
        words += ["--truncated", self.truncated] if self.truncated != "error" else []
        words += [word for name, value in changes.items() for word in (f"--{name}", str(value))]
        words += ["--on-error", "skip"] if has_failed else []
        return shlex.join(words)

    def to_json(self) -> str:
        """The text of `plan.json`."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Plan:
        """The plan of a file's text.

        Raises:
            ValueError: It is none, or of another version; the message names `where`.
        """
        try:
            facts = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{where} is no JSON ({error}); remove the folder and extract again") from None
        known = {field.name for field in fields(cls)}
        if not isinstance(facts, dict) or facts.get("format") != FORMAT or set(facts) - {"format", "version"} != known:
            raise ValueError(f"{where} is not the plan of a shard set; remove the folder and extract again")
        if facts["version"] != VERSION:
            raise ValueError(f"{where} is of version {facts['version']}; this release of dctload writes version {VERSION}")
        return cls(**{name: facts[name] for name in known})


def part_of(text: str) -> tuple[int, int]:
    """The numbers of `"i/n"`, the i-th of n jobs, i from 1 to n.

    Raises:
        ValueError: The text is of another form.
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    i, n = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= i <= n:
        raise ValueError(f'part is "i/n" with i from 1 to n, such as "1/8", not {text!r}')
    return i, n


def parse_size(size: int | str) -> int:
    """Bytes of a size such as `"256MiB"` (1024s), `"100MB"` (1000s) or a whole number.

    Raises:
        ValueError: The text is of another form, or the size is below 1 or above 2^63 - 1.
    """
    if isinstance(size, str):
        found = _SIZE.fullmatch(size)
        if found is None:
            raise ValueError(f'a size is a number with a unit, such as "256MiB" or "100MB", not {size!r}')
        power = "KMGT".index(found[2].upper()) + 1 if found[2] else 0
        nbytes = math.floor(Fraction(found[1]) * Fraction(1024 if found[3] else 1000) ** power)
    else:
        nbytes = int(size)
    if not 1 <= nbytes <= _MOST_SIZE:
        raise ValueError(f"a size is 1 byte to 2^63 - 1 bytes, not {size!r}")
    return nbytes


def measured_places(samples: int) -> list[int]:
    """The samples, evenly spaced, whose records are measured."""
    count = min(samples, _MEASURED)
    return [i * samples // count for i in range(count)]


def samples_in_a_shard(shard_size: int, record_bytes: Sequence[int]) -> int:
    """How many records of such sizes come to about `shard_size` bytes; at least 1."""
    mean = sum(record_bytes) / len(record_bytes) if record_bytes else _UNKNOWN_RECORD
    return max(1, round(shard_size / mean))


# ------------------------------------------------------------------------------------------------- a set's folder on the disk


def local_folder(given: str | os.PathLike[str]) -> Path:
    """The folder that something is to be written to.

    Raises:
        ValueError: It is a URL, of which a path would make a folder such as `s3:`.
    """
    text = os.fsdecode(given)
    if is_url(text):
        how = f" (aws s3 cp --recursive FOLDER {text})" if text.startswith("s3://") else ""
        raise ValueError(f"{text} is a URL; files are written to a local folder only: give one, then copy it there{how}")
    return Path(given)


def file_in_the_way(path: Path) -> Path | None:
    """The file that stands where a path has a folder, at its end or above; None where there is none."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    return None if there is None or there.is_dir() else there


def check_folder(folder: Path, *, goes_on: bool) -> None:
    """Refuses what a set must not be mixed with.

    Args:
        folder: Where a set is to be made.
        goes_on: Whether one that is there, finished or not, is to be gone on with.

    Raises:
        FileExistsError: It is a file, or something is in it that is no set, or that is not to be gone on with.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - one call says what it is
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise FileExistsError(f"{file_in_the_way(folder)} is a file; a shard set is a folder: give another name") from None
    if not names:
        return
    if not goes_on:
        raise FileExistsError(f"{folder} is not empty; pass resume=True to go on with it, or give another folder")
    if MANIFEST not in names and PLAN not in names and not all(map(is_temporary, names)):
        raise FileExistsError(f"{folder} holds other files and no {PLAN}: it is no shard set; give another folder")


def read_plan(folder: Path) -> Plan | None:
    """The plan that lies in a folder, or None."""
    path = folder / PLAN
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    return Plan.from_json(text, str(path))


def settle(folder: Path, plan: Plan) -> Plan:
    """Puts a plan in a folder unless one is there; gives the one that is there then.

    Any number of jobs may do this at once: one of them wins, and all go by its plan.
    """
    temporary = temporary_name(folder / PLAN)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(plan.to_json())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, folder / PLAN)  # unlike a rename, it fails where another job was faster
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not (folder / PLAN).exists():
                temporary.replace(folder / PLAN)
    finally:
        temporary.unlink(missing_ok=True)
    there = read_plan(folder)
    if there is None:
        raise ValueError(f"{folder / PLAN} was removed while the set was being made; extract again")
    check_same(there, plan, str(folder), exactly=True)
    return there


def check_same(there: Plan, wanted: Plan, where: str, *, exactly: bool = False) -> None:
    """Holds two plans against each other.

    Args:
        there: The plan of the set at `where`.
        wanted: What is asked for.
        where: For the message.
        exactly: Whether the samples a shard must be the same too; where they were not measured, False.

    Raises:
        ValueError: They differ; the message names what differs.
    """
    wanted = wanted if exactly else replace(wanted, samples_per_shard=there.samples_per_shard)
    have, want = asdict(there), asdict(wanted)
    for name in _NOT_COMPARED[: 1 if exactly else 2]:
        del have[name], want[name]
    differences = [name for name in have if have[name] != want[name]]
    if not differences:
        return
    words = ", ".join(_difference(name, have[name], want[name]) for name in differences)
    raise ValueError(f"{where} was begun with other settings: {words}; go on with the same ones, or extract to another folder")


def _difference(name: str, have: Any, want: Any) -> str:
    if name in ("classes", "fingerprint"):
        return f"the {'classes' if name == 'classes' else 'names or targets of the samples'} of the source have changed"
    return f"{name} was {have} and is {want}"


def temporary_name(path: Path) -> Path:
    """A name beside `path`, for it while it is written; nobody else has it.

    A task that was thought lost may still be writing the same shard: with one name for both, one would give the other's half of
    a file its final name.
    """
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file that is seen under its name only when all of it is on the disk.

    It gets its name when the block ends; of a block that raises nothing is left.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file is one that `temporary_name` named for a set: nobody else's may be removed."""
    return _TEMPORARY_NAME.fullmatch(name) is not None


def remove_temporaries(folder: Path, shards: Sequence[int] | None = None) -> None:
    """Removes what killed runs left behind: all of it, or that of some shards."""
    names = None if shards is None else {shard_name(k) for k in shards}
    for path in folder.glob(f"*{TEMPORARY}"):
        if is_temporary(path.name) and (names is None or path.name.rsplit(".", 2)[0] in names):
            path.unlink(missing_ok=True)
