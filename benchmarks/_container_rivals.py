"""Containers of `benchmarks.containers` that only their own libraries can read."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._containers import Container, Place
from benchmarks._records import Bytes, Records

_WHOLE = "whole shards, by its library"


class _Library:
    """What all of them share: the library gives bytes, which are copied into the buffer."""

    label, note, stability, remote = "", "", "", ""

    def places(self) -> list[Place] | None:
        return None

    def saved(self, folder: Path) -> int | None:
        return None


class Lance(_Library):
    """A Lance dataset; a batch of random rows is one `take`."""

    stability = "file versions change (2.0, 2.1, ...), older ones stay readable; Rust, Python, Java"
    remote = "ranges, by its library, of object stores"

    def __init__(self) -> None:
        import lance

        self.label, self.note = f"Lance {lance.__version__}", "take of a whole batch of rows, compression off"
        self._dataset: Any = None

    def write(self, folder: Path, records: Records, files: int) -> None:
        import lance
        import pyarrow as pa

        plain = {"lance-encoding:compression": "none"}  # as all others; by default it compresses
        schema = pa.schema([pa.field("record", pa.large_binary(), metadata=plain), pa.field("target", pa.int64())])
        rows = len(records.parts(files)[0])

        def batches() -> Iterable[Any]:
            targets = records.targets()
            for start in range(0, len(records), 256):
                stop = min(start + 256, len(records))
                yield pa.record_batch([records.column(start, stop), pa.array(targets[start:stop])], schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        lance.write_dataset(reader, str(folder / "set.lance"), max_rows_per_file=rows)

    def open(self, folder: Path) -> None:
        import lance

        self._dataset = lance.dataset(str(folder / "set.lance"))

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        at = 0
        for chunk in self._dataset.take(list(indices), columns=["record"])["record"].chunks:
            _, offsets, values = chunk.buffers()
            inside = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            count = int(inside[-1] - inside[0])
            out[at : at + count] = np.frombuffer(values, np.uint8)[inside[0] : inside[-1]]
            at += count
        return at


class _OneByOne(_Library):
    """A data set that gives one sample at a time."""

    _dataset: Any = None

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        at = 0
        for i in indices:
            data = np.frombuffer(self._dataset[i]["record"], np.uint8)
            out[at : at + len(data)] = data
            at += len(data)
        return at


class MDS(_OneByOne):
    """mosaicml-streaming's shards, read as a local data set."""

    stability = "Python library only; version 2 of the format since 2022"
    remote = _WHOLE

    def __init__(self) -> None:
        _let_torchvision_load()
        import streaming  # noqa: F401

        version = importlib.metadata.version("mosaicml-streaming")
        self.label, self.note = f"MDS (mosaicml-streaming {version})", "LocalDataset, one sample at a time"

    def write(self, folder: Path, records: Records, files: int) -> None:
        from streaming import MDSWriter

        size, targets = records.nbytes // files, records.targets().tolist()
        with MDSWriter(out=str(folder), columns={"record": "bytes", "target": "int"}, size_limit=size) as sink:
            for i, target in enumerate(targets):
                sink.write({"record": records[i].tobytes(), "target": target})

    def open(self, folder: Path) -> None:
        from streaming import LocalDataset

        self._dataset = LocalDataset(str(folder))


class ArrayRecord(_Library):
    """array-record files, one record a group; the target stands behind the record's bytes."""

    stability = "rests on Riegeli; C++ and Python"
    remote = "whole files, or file systems of its own"

    def __init__(self) -> None:
        from array_record.python import array_record_module

        self._module: Any = array_record_module
        self.label = f"ArrayRecord (array_record {importlib.metadata.version('array_record')})"
        self.note = "group_size:1, uncompressed; read of a batch's rows, file by file"
        self._readers: list[Any] = []
        self._first: list[int] = []

    def write(self, folder: Path, records: Records, files: int) -> None:
        targets = records.targets()
        for number, part in enumerate(records.parts(files)):
            writer = self._module.ArrayRecordWriter(str(folder / f"{number:05d}.array_record"), "group_size:1,uncompressed")
            for i in part:
                writer.write(records[i].tobytes() + targets[i].tobytes())
            writer.close()

    def open(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.array_record"))
        options = "readahead_buffer_size:0"
        self._readers = [self._module.ArrayRecordReader(str(path), options) for path in paths]
        self._first = np.cumsum([0, *(reader.num_records() for reader in self._readers)]).tolist()

    def read(self, indices: Sequence[int], out: Bytes) -> int:
        asked = np.asarray(indices)
        place = np.searchsorted(self._first, asked, side="right") - 1
        found: list[bytes] = [b""] * len(asked)
        for number, reader in enumerate(self._readers):
            mine = np.nonzero(place == number)[0]
            if len(mine):
                rows = reader.read((asked[mine] - self._first[number]).tolist())
                for k, row in zip(mine.tolist(), rows, strict=True):
                    found[k] = row
        at = 0
        for row in found:
            count = len(row) - 8
            out[at : at + count] = np.frombuffer(row, np.uint8, count)
            at += count
        return at


class LitData(_OneByOne):
    """litdata's chunks, read as a local streaming data set."""

    stability = "Python library only"
    remote = _WHOLE

    def __init__(self) -> None:
        _let_torchvision_load()
        import litdata  # noqa: F401

        version = importlib.metadata.version("litdata")
        self.label, self.note = f"litdata {version}", "StreamingDataset, one sample at a time; optimize with one worker"

    def write(self, folder: Path, records: Records, files: int) -> None:
        import litdata

        litdata.optimize(
            fn=functools.partial(_litdata_sample, str(records.folder)),
            inputs=list(range(len(records))),
            output_dir=str(folder),
            chunk_bytes=records.nbytes // files,
            num_workers=1,
            verbose=False,
        )

    def open(self, folder: Path) -> None:
        from litdata import StreamingDataset

        self._dataset = StreamingDataset(str(folder))


@functools.lru_cache(maxsize=1)
def _records(folder: str) -> Records:
    return Records(Path(folder))


def _litdata_sample(folder: str, i: int) -> dict[str, Any]:
    """A sample, in litdata's own process."""
    records = _records(folder)
    return {"record": records[i].tobytes(), "target": int(records.targets()[i])}


@functools.lru_cache(maxsize=1)
def _let_torchvision_load() -> None:
    """torchvision's wheel does not load beside a torch without CUDA, unless its operators are declared before."""
    os.environ.setdefault("DISABLE_LITDATA_VERSION_CHECK", "1")
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return  # whoever needs it will say so
    except RuntimeError:
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)


_kept: list[Any] = []  # a library that is let go takes its declarations with it

MAKERS: dict[str, Callable[[], Container]] = {"lance": Lance, "mds": MDS, "array-record": ArrayRecord, "litdata": LitData}
