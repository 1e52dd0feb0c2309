"""Runs the pipelines of `benchmarks.shards` side by side: one process each, their turns interleaved, several rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import _race
from benchmarks._container_race import interpreter
from benchmarks._harness import Spread
from benchmarks._shard_pipelines import ShardJob
from benchmarks._worker import Worker, WorkerError

MODULE = "benchmarks._shard_session"
TURN = 0.5  # seconds of a turn, about; a slow pipeline's epoch takes longer
CLASSES = 1000
PILLOW = "pillow"
LARGE = 256  # images of a large batch


@dataclass(frozen=True)
class Variant(_race.Variant):
    """One contestant; what is None is as the run has it."""

    maker: str
    options: tuple[Any, ...] = ()
    threads: int | None = None  # 1: by one core even where there are more
    batch: int | None = None  # images

    @property
    def ours(self) -> bool:
        return self.maker in ("stored", "loader")

    @property
    def rival(self) -> bool:
        return self.maker in ("library", "webdataset")


CONTESTANTS = (
    Variant("shards 24s", "stored", ("24s", "24s", True, False), quick=True),
    Variant("shards 24s, later epochs", "stored", ("24s", "24s", False, False), quick=True),
    Variant("shards 64s", "stored", ("64s", "64s", True, False), quick=True),
    Variant("shards 64s, later epochs", "stored", ("64s", "64s", False, False)),
    Variant("shards 64s as 24s", "stored", ("64s", "24s", True, False), quick=True),
    Variant("shards 24s, crops", "stored", ("24s", "24s", True, True), quick=True),
    Variant("shards 64s as 24s, crops", "stored", ("64s", "24s", True, True)),
    Variant("loader 24s", "loader", ("24s",), quick=True),
    Variant("loader 64s", "loader", ("64s",)),
    Variant(f"shards 24s, batches of {LARGE}", "stored", ("24s", "24s", True, False), batch=LARGE, quick=True),
    Variant(f"shards 64s, batches of {LARGE}", "stored", ("64s", "64s", True, False), batch=LARGE),
    Variant(f"loader 24s, batches of {LARGE}", "loader", ("24s",), batch=LARGE, quick=True),
    Variant(f"loader 64s, batches of {LARGE}", "loader", ("64s",), batch=LARGE),
    Variant("memcpy 24s", "copied", ("24s", False), quick=True),
    Variant("memcpy 64s", "copied", ("64s", False), quick=True),
    Variant(f"memcpy 24s, batches of {LARGE}", "copied", ("24s", False), batch=LARGE, quick=True),
    Variant(f"memcpy 64s, batches of {LARGE}", "copied", ("64s", False), batch=LARGE),
    Variant("memcpy 24s, records", "copied", ("24s", True)),
    Variant("decoded 24s", "decoded", ("24s",), quick=True),
    Variant("decoded 64s", "decoded", ("64s",), quick=True),
    Variant(PILLOW, "pillow", quick=True),
    Variant("shards 24s, 1 thread", "stored", ("24s", "24s", True, False), threads=1),
    Variant("memcpy 24s, 1 thread", "copied", ("24s", False), threads=1),
    Variant("mds", "library", ("mds",)),
    Variant("array-record", "library", ("array-record",)),
    Variant("litdata", "library", ("litdata",), threads=1),  # two threads break it
    Variant("webdataset", "webdataset", ("tar",), threads=1),
)


@dataclass
class Entry(_race.Pipeline[Variant]):
    """A pipeline that takes part, and what was measured: images, bytes of their batches, and seconds of each turn."""

    threads: int
    epochs: int  # a turn
    memory: int | None = None  # bytes

    def bandwidth(self) -> Spread:
        """MB/s of batches; 0 where the pipeline does not tell their size."""
        return Spread.of(turn["bytes"] / turn["seconds"] / 1e6 for turn in self.turns)


Race = _race.PipelineRace[Entry]


def line_up(variants: Sequence[Variant], job: ShardJob, rivals: str | None, step: Callable[..., None]) -> Race:
    """Start a process for each pipeline and let it go through two epochs, which do not count."""
    race = Race(job)

    def enter(variant: Variant, worker: Worker) -> Entry:
        own = replace(job, threads=variant.threads or job.threads, batch_size=variant.batch or job.batch_size)
        opened = worker.ask("open", variant.maker, variant.options, own)
        worker.ask("epochs", 0, 1)
        seen = worker.ask("epochs", 1, 1)
        epochs = max(1, round(TURN / seen["seconds"]))
        label = opened["label"] + (f", batches of {variant.batch}" if variant.batch else "")
        return Entry(variant, worker, label, opened["note"], own.threads, epochs, worker.ask("memory"))

    def start(variant: Variant) -> Worker:
        return Worker({"OMP_NUM_THREADS": str(job.threads)}, MODULE, interpreter(not variant.rival, rivals))

    race.line_up(variants, start, enter, step)
    return race


def run(race: Race, rounds: int, step: Callable[..., None]) -> None:
    """Every round: a turn of each."""
    for turn, entry in race.rounds(rounds, step):
        entry.turns.append(entry.worker.ask("epochs", 2 + turn, entry.epochs))


def memory(job: ShardJob, stored: str) -> int:
    """Bytes that a process holds that has read all of a set, mapped files left out."""
    worker = Worker(module=MODULE)
    try:
        worker.ask("open", "stored", (stored, "24s", True, False), job)
        worker.ask("epochs", 0, 1)
        held = worker.ask("memory")
    finally:
        worker.close()
    if held is None:
        raise WorkerError("the system does not tell a process's memory")
    return int(held)


def openings(folder: Path, count: int) -> list[dict[str, float]]:
    """Opening a set: each time in a process of its own, that has everything imported."""
    found = []
    for _ in range(count):
        worker = Worker(module=MODULE)
        try:
            worker.ask("opening", str(folder))  # imports, and brings the files into the page cache
            found.append(worker.ask("opening", str(folder)))
        finally:
            worker.close()
    return found


def write_index(folder: Path, images: int) -> None:
    """A set of so many images that has an index and a manifest, but no shards: enough to be opened."""
    import numpy as np
    import pyarrow as pa

    from dctload import _core
    from dctload.shards import layout

    nbytes, a_shard = 40_000, 6_700
    number = np.arange(images)
    keys = [f"n{i % CLASSES:08d}/n{i % CLASSES:08d}_{i}.JPEG" for i in range(images)]
    columns = {
        "shard": number // a_shard,
        "offset": number % a_shard * nbytes,
        "nbytes": np.full(images, nbytes),
        "crc32c": number,
        "target": number % CLASSES,
        "width": np.full(images, 500),
        "height": np.full(images, 375),
        "orientation": np.ones(images, np.uint8),
        "sample": number,
        "key": keys,
        "label": [None] * images,
        "status": ["ok"] * images,
    }
    schema = layout.index_schema()
    table = pa.table({name: pa.array(column, schema.field(name).type) for name, column in columns.items()}, schema)
    folder.mkdir(parents=True)
    with pa.OSFile(str(folder / layout.INDEX), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table, max_chunksize=images)
    counts = np.bincount(number // a_shard).tolist()
    files = [layout.ShardFile(layout.shard_name(k), count, 0, count * nbytes, 0) for k, count in enumerate(counts)]
    manifest = layout.Manifest(
        channels="24s",
        quantization="source",
        images=images,
        failed=0,
        nbytes=images * nbytes,
        source_bytes=images * 110_000,
        classes=[f"n{i:08d}" for i in range(CLASSES)],
        shards=files,
        index_crc32c=_core.crc32c((folder / layout.INDEX).read_bytes()),
        command="none: a synthetic index",
    )
    (folder / layout.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
