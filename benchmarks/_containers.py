"""Containers of `benchmarks.containers` that are read at absolute offsets of mapped files; see `Container` for what each does.

All hold the same samples, a record and an integer target each, without compression.
"""

from __future__ import annotations

import importlib.metadata
import json
import struct
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks._records import Bytes, Records, mapped

ROWS = 64  # of an Arrow record batch
Place = tuple[str, int, int]  # file, offset and bytes of a record


class Container(Protocol):
    """One way to store records, through the library that its users have.

    Attributes:
        label: Name and version.
        note: How it was used.
        stability: What its makers promise of the format, and who else can read it (quoted).
        remote: How records come out of it over a network, where `places` tells nothing.
    """

    label: str
    note: str
    stability: str
    remote: str

    def write(self, folder: Path, records: Records, files: int) -> None:
        """All records and targets into an empty folder, dealt to so many files."""

    def open(self, folder: Path) -> None:
        """Make ready for reading."""

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        """Copies records into a ready buffer, one behind the other; how many bytes that were. Any thread may call it."""

    def places(self) -> list[Place] | None:
        """Where each record lies in its file; None where only the library can know."""

    def saved(self, folder: Path) -> int | None:
        """How many records can still be had of a file that was cut, by the library's own means; None: no such means."""


class _Mapped:
    """What all containers share whose records are slices of mapped files."""

    label, note, stability, remote = "", "", "", ""
    suffix = ""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._maps: list[Bytes] = []
        self._file: list[int] = []
        self._begin: list[int] = []
        self._size: list[int] = []

    def open(self, folder: Path) -> None:
        self.__init__()  # type: ignore[misc]  # opened anew
        for path in sorted(folder.glob(f"*{self.suffix}")):
            data = mapped(path)
            begin, size = self._index(path, data)
            self._file += [len(self._maps)] * len(begin)
            self._begin += np.asarray(begin).tolist()
            self._size += np.asarray(size).tolist()
            self._maps.append(data)
            self._names.append(path.name)

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        maps, file, begin, size, at = self._maps, self._file, self._begin, self._size, 0
        for i in indices:
            first, count = begin[i], size[i]
            out[at : at + count] = maps[file[i]][first : first + count]
            at += count
        return at

    def places(self) -> list[Place] | None:
        return [(self._names[f], b, n) for f, b, n in zip(self._file, self._begin, self._size, strict=True)]

    def saved(self, folder: Path) -> int | None:
        return None

    def _index(self, path: Path, data: Bytes) -> tuple[Any, Any]:
        """Offsets and sizes of the records of one file."""
        raise NotImplementedError


class RawFile(_Mapped):
    """Records back to back, then their offsets, targets and number: the least that a format can be."""

    label, note = "raw file, offsets at its end", "home-made, mapped; the yardstick"
    stability = "our own: nobody else reads it"
    suffix = ".raw"

    def write(self, folder: Path, records: Records, files: int) -> None:
        for number, part in enumerate(records.parts(files)):
            first, last = records.offsets[part.start], records.offsets[part.stop]
            with (folder / f"{number:05d}.raw").open("wb") as file:
                file.write(records.data[first:last].data)
                file.write((records.offsets[part.start : part.stop + 1] - first).tobytes())
                file.write(records.targets()[part.start : part.stop].tobytes())
                file.write(struct.pack("<q", len(part)))

    def _index(self, path: Path, data: Bytes) -> tuple[Any, Any]:
        (count,) = struct.unpack("<q", data[-8:].tobytes())
        end = len(data) - 8 - 8 * count
        offsets = np.frombuffer(data[end - 8 * (count + 1) : end].tobytes(), np.int64)
        if offsets[0] or len(offsets) != count + 1 or 8 * (2 * count + 2) + offsets[-1] != len(data):
            raise ValueError("no offsets at the end of the file")
        return offsets[:-1], np.diff(offsets)


class ArrowIPC(_Mapped):
    """Arrow IPC files; offsets come from the addresses of their buffers, so that reading needs no Arrow library."""

    stability = "stable since 1.0 (2020); official libraries for C++, Rust, Java, Go, JavaScript and more"
    suffix = ".arrow"

    def __init__(self) -> None:
        import pyarrow

        super().__init__()
        self.label = f"Arrow IPC (pyarrow {pyarrow.__version__})"
        self.note = f"large_binary column, {ROWS} rows a batch, mapped"

    def write(self, folder: Path, records: Records, files: int) -> None:
        import pyarrow as pa

        schema = self._schema()
        for number, part in enumerate(records.parts(files)):
            with pa.OSFile(str(folder / f"{number:05d}.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                for start in range(part.start, part.stop, ROWS):
                    stop = min(start + ROWS, part.stop)
                    targets = pa.array(records.targets()[start:stop])
                    columns = [records.column(start, stop), targets, *self._more(records, start, stop)]
                    writer.write_batch(pa.record_batch(columns, schema=schema))

    def saved(self, folder: Path) -> int | None:
        import pyarrow as pa

        count = 0
        for path in sorted(folder.glob("*.arrow")):
            with pa.memory_map(str(path)) as file:
                file.seek(8)  # behind the magic a file is a stream
                try:
                    for batch in pa.ipc.open_stream(file):
                        count += batch.num_rows
                except (pa.ArrowInvalid, OSError):
                    continue
        return count

    def _schema(self) -> Any:
        import pyarrow as pa

        return pa.schema([("record", pa.large_binary()), ("target", pa.int64())])

    def _more(self, records: Records, start: int, stop: int) -> list[Any]:
        """Further columns of some rows."""
        return []

    def _index(self, path: Path, data: Bytes) -> tuple[Any, Any]:
        import pyarrow as pa

        begin, size = list[NDArray[np.int64]](), list[NDArray[np.int64]]()
        whole = pa.py_buffer(data)
        with pa.ipc.open_file(whole) as reader:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                _, offsets, values = batch.column(0).buffers()
                inside = np.frombuffer(offsets, np.int64)[: batch.num_rows + 1]
                begin.append(values.address - whole.address + inside[:-1])
                size.append(np.diff(inside))
                self._look_at(batch)
        return np.concatenate(begin), np.concatenate(size)

    def _look_at(self, batch: Any) -> None:
        """Takes more out of a batch, while the file is opened."""


class CheckedArrowIPC(ArrowIPC):
    """The same with a CRC32C a record, looked at in every read: what shard sets do once a process."""

    def __init__(self) -> None:
        from dctload import _core

        super().__init__()
        self.label += ", CRC32C checked"
        self.note = "a column more; every read computes it"
        self._crc32c: Callable[..., int] = _core.crc32c
        self._crcs: list[int] = []

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        size, at = self._size, 0
        super().read(indices, out)
        for i in indices:
            if self._crc32c(out[at : at + size[i]]) != self._crcs[i]:
                raise ValueError(f"record {i} is damaged")
            at += size[i]
        return at

    def _schema(self) -> Any:
        import pyarrow as pa

        return super()._schema().append(pa.field("crc32c", pa.uint32()))

    def _more(self, records: Records, start: int, stop: int) -> list[Any]:
        import pyarrow as pa

        return [pa.array([self._crc32c(records[i]) for i in range(start, stop)], pa.uint32())]

    def _look_at(self, batch: Any) -> None:
        self._crcs += batch.column(2).to_pylist()


class Safetensors(_Mapped):
    """One uint8 tensor a file, and one Parquet index that says where each record lies in it."""

    stability = "stable format of 8 bytes, JSON and data; many languages; the index is our own scheme"
    suffix = ".safetensors"

    def __init__(self) -> None:
        import pyarrow.parquet
        import safetensors

        super().__init__()
        self.label = f"safetensors {safetensors.__version__} + Parquet index"
        self.note = f"mapped by hand; index by pyarrow {pyarrow.__version__}"
        self._rows: Any = None

    def write(self, folder: Path, records: Records, files: int) -> None:
        import pyarrow as pa
        from pyarrow import parquet
        from safetensors.numpy import save_file

        numbers, offsets = list[int](), list[NDArray[np.int64]]()
        for number, part in enumerate(records.parts(files)):
            first, last = records.offsets[part.start], records.offsets[part.stop]
            save_file({"records": records.data[first:last]}, folder / f"{number:05d}.safetensors")
            offsets.append(records.offsets[part.start : part.stop] - first)
            numbers += [number] * len(part)
        columns = {"file": numbers, "offset": np.concatenate(offsets), "nbytes": records.sizes, "target": records.targets()}
        parquet.write_table(pa.table(columns), folder / "index.parquet")

    def open(self, folder: Path) -> None:
        from pyarrow import parquet

        rows = parquet.read_table(folder / "index.parquet", memory_map=True)
        columns = {name: rows[name].to_numpy() for name in ("file", "offset", "nbytes")}
        super().open(folder)
        self._file, self._size = columns["file"].tolist(), columns["nbytes"].tolist()
        self._begin = (np.array(self._begin)[columns["file"]] + columns["offset"]).tolist()

    def _index(self, path: Path, data: Bytes) -> tuple[Any, Any]:
        (nbytes,) = struct.unpack("<Q", data[:8].tobytes())
        first, _ = json.loads(data[8 : 8 + nbytes].tobytes())["records"]["data_offsets"]
        return [8 + nbytes + first], [0]  # of the file; the index knows the records


class Tar(_Mapped):
    """A tar as webdataset writes it; random reads go by an index that is made by walking through it."""

    stability = "tar is POSIX; every language reads it, in sequence"
    suffix = ".tar"

    def __init__(self) -> None:
        import webdataset  # noqa: F401

        super().__init__()
        self.label = f"tar (webdataset {importlib.metadata.version('webdataset')})"
        self.note = "mapped, own index: its library reads in sequence only"

    def write(self, folder: Path, records: Records, files: int) -> None:
        import webdataset

        targets = records.targets().tolist()
        for number, part in enumerate(records.parts(files)):
            with webdataset.TarWriter(str(folder / f"{number:05d}.tar")) as sink:
                for i in part:
                    sink.write({"__key__": f"{i:08d}", "record": records[i].tobytes(), "cls": targets[i]})

    def _index(self, path: Path, data: Bytes) -> tuple[Any, Any]:
        with tarfile.open(path) as archive:
            found = [(member.offset_data, member.size) for member in archive if member.name.endswith(".record")]
        return [begin for begin, _ in found], [size for _, size in found]


MAKERS: dict[str, Callable[[], Container]] = {
    "raw": RawFile,
    "arrow": ArrowIPC,
    "arrow crc": CheckedArrowIPC,
    "safetensors": Safetensors,
    "tar": Tar,
}
