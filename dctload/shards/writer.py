"""One shard file: written under a name of its own, seen under its final one when all of it is on the disk."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dctload.errors import install_line
from dctload.shards.layout import put_in_place, shard_name, shard_schema
from dctload.shards.plan import file_in_the_way, temporary_name

if TYPE_CHECKING:
    from dctload.errors import JPEGError
    from dctload.shards.plan import Plan
    from dctload.shards.recording import Recorder, Rows

RESUME = "go on with resume=True"  # what to do after an extraction that could not write
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG}


class Stopped(Exception):
    """The run is over before this shard is whole."""


def write_shard(
    folder: Path,
    plan: Plan,
    number: int,
    recorder: Recorder,
    *,
    on_error: str = "raise",
    is_stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[Rows], object] = lambda rows: None,
) -> None:
    """Makes one shard of a set.

    Args:
        folder: Of the set.
        plan: Of the set.
        number: Of the shard.
        recorder: Makes the rows.
        on_error: `"raise"`: the first sample without a record raises; `"skip"`: it becomes a row without one.
        is_stopped: Asked between batches; True ends the work.
        progress: Called with each batch that was written.

    Raises:
        JPEGError: A sample failed, and errors are raised.
        OSError: The file cannot be written; the message says how much is missing. Nothing of it is left.
        Stopped: `is_stopped` said so.
    """
    samples = plan.samples_of(number)
    file = _File(folder / shard_name(number), len(samples), plan.shard_size)
    try:
        for rows in recorder.rows(samples):
            if is_stopped():
                raise Stopped
            if rows.error is not None and on_error == "raise":
                raise _stopping(rows.error)
            file.write(rows)
            progress(rows)
        file.finish()
    finally:
        file.abandon()


class _File:
    """A shard on its way to the disk. Only its own errors are told as such: a source may raise OSError too."""

    def __init__(self, path: Path, rows: int, nbytes: int) -> None:
        self._path, self._rows, self._expected = path, rows, nbytes
        self._temporary = temporary_name(path)
        self._written = self._done = 0
        self._sink: Any = None
        self._writer: Any = None
        pa = require_pyarrow()
        try:
            with self._told():
                self._sink = pa.OSFile(str(self._temporary), "wb")
                self._writer = pa.ipc.new_file(self._sink, shard_schema())
        except BaseException:
            self.abandon()
            raise

    def write(self, rows: Rows) -> None:
        """Appends rows as one record batch."""
        with self._told():
            self._writer.write_batch(rows.batch)
        self._written += rows.nbytes
        self._done += len(rows.batch)

    def finish(self) -> None:
        """Gives the file its name."""
        with self._told():
            self._writer.close()
            self._sink.close()
            put_in_place(self._temporary, self._path)

    def abandon(self) -> None:
        """Leaves nothing behind of a file that was not finished."""
        if self._sink is not None:
            with suppress(OSError):  # what could not be written once cannot be written at closing either
                self._sink.close()
        with suppress(OSError):  # a read-only file system says no whether there is a file or not
            self._temporary.unlink()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            needed = self._written * (self._rows - self._done) // self._done if self._done else self._expected
            raise write_error(error, self._path, self._written, needed, remedy=RESUME) from error


def _stopping(error: JPEGError) -> JPEGError:
    error.args = (f'{error}, or pass on_error="skip" to go on without such images',)
    return error


def write_error(error: OSError, path: Path, written: int | None = None, needed: int | None = None, *, remedy: str) -> OSError:
    """What to raise where a file could not be written: one line with the file, what is missing and what to do.

    Args:
        error: The system's.
        path: The file.
        written: Bytes of it that were, where that is known.
        needed: Bytes that were to come, about.
        remedy: What to do once it can be: each verb goes on in its own way.
    """
    code = error.errno
    reason = os.strerror(code) if code else str(error).split("\n")[0]
    if code == errno.ENOTDIR and (file := file_in_the_way(path)) is not None:
        reason = f"{file} is a file"
    facts = [] if written is None else [f"{_mib(written)} written"]
    if code in _REFUSED:
        reason += "; give a folder that can be written to"
    elif code == errno.ENOENT:
        reason += f"; was it removed, by another run in this folder perhaps? when none is at work any more, {remedy}"
    elif code in _FULL:
        free = shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists())).free
        facts += [] if needed is None else [f"about {_mib(needed)} to go"]
        reason += f": {', '.join([*facts, f'{_mib(free)} free'])}; make room and {remedy}, or take another disk"
    else:
        reason += "".join(f": {fact}" for fact in facts) + f"; see to the disk, then {remedy}"
    told = type(error)(f"{path}: {reason}")  # one argument: two or more would be shown as "[Errno ...]"
    told.errno = code
    return told


def is_whole(path: Path, rows: int) -> bool:
    """Whether a file is a shard of so many rows: its footer and columns are looked at, its records are not."""
    pa = require_pyarrow()
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            if not reader.schema.equals(shard_schema()):
                return False
            found: int = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
            return found == rows
    except (OSError, pa.ArrowException):
        return False


def require_pyarrow() -> Any:
    """The pyarrow package.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError as error:
        raise ImportError(install_line("shards need pyarrow", "shards")) from error
    return pa


def _mib(nbytes: int) -> str:
    return f"{nbytes / (1 << 20):,.1f} MiB"
