"""Images a second from shard sets to packed batches in memory, beside decoding, plain copies and other containers.

python -m benchmarks.shards --help
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import _bytes, _data, _harness, _machine, _records, _shard_race, _shard_report, containers
from benchmarks._shard_pipelines import ShardJob
from benchmarks._worker import WorkerError

MODULE = "benchmarks.shards"
IMAGES, QUICK_IMAGES = 4000, 800
SHARE = 8  # the small set, whose memory is held against the large one's, has one image in so many
OPENED, QUICK_OPENED = 1_000_000, 100_000
BATCH = 64
ROUNDS, QUICK_ROUNDS = 7, 3
SHARD_SIZE = "64MiB"
EXAMPLES = """examples:
  python -m benchmarks.shards --quick                        a few embedded photographs, ours beside Pillow, half a minute
  python -m benchmarks.shards --data DIR                     your files, repeated to 4,000 images
  python -m benchmarks.shards --data DIR --only 24s mds      pipelines by a part of their names; Pillow's stays
  python -m benchmarks.shards --data DIR --rivals-python build/shard-rivals/bin/python

Rivals: see python -m benchmarks.containers --help.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch()
    variants = chosen(options.only, options.quick)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    files, skipped = _bytes.usable(_data.file_set(options.data))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        with _harness.progress("shards", len(variants) + rounds + 2) as step:
            step(0, "extracting")
            job = _job(files, options, folder)
            step(1)
            race = _shard_race.line_up(variants, job, options.rivals_python, step)
            try:
                if not race.entries:
                    first = next(iter(race.absent.items()))
                    _harness.fail(f"no pipeline can be run; {first[0]}: {first[1]}")
                _shard_race.run(race, rounds, step)
            except WorkerError as error:  # after its warm-up
                _harness.fail(f"a pipeline has stopped: {error}")
            finally:
                race.close()
            step(0, "opening")
            more = _limits(job, folder, options.quick)
            step(1)

    bars = _shard_report.bars(race)
    content = _harness.result(MODULE, arguments, files.as_json(), [*_shard_report.rows(race), *more])
    content |= {"images": len(job), "batch_size": job.batch_size, "threads": job.threads, "bars": bars}
    content |= {"quoted": _shard_report.quoted(), "absent": race.absent, "notes": _shard_report.losses(race)}
    if options.json != _harness.STDOUT:
        _shard_report.show(race, more, bars)
        _harness.left_out(_harness.console(), skipped)
    _harness.keep(options, content, "shards")


def chosen(only: Sequence[str], quick: bool) -> list[_shard_race.Variant]:
    """Those whose key holds one of the parts (Pillow's always stays); without parts all, or the quick ones."""
    everyone = _shard_race.CONTESTANTS
    if not only:
        return [variant for variant in everyone if variant.quick or not quick]
    found = [v for v in everyone if "all" in only or any(part.lower() in v.key for part in only)]
    if not found:
        _harness.fail(f"--only {' '.join(only)}: no such pipeline; there are: {', '.join(v.key for v in everyone)}")
    return [variant for variant in everyone if variant in found or variant.key == _shard_report.PILLOW]


def _job(files: _data.FileSet, options: argparse.Namespace, folder: Path) -> ShardJob:
    """The files, repeated; shard sets of them with 24s and 64s; and the records of the first for other containers."""
    from dctload import shards

    count = QUICK_IMAGES if options.quick else IMAGES
    paths = _written(files, folder / "files")
    paths = [paths[i % len(paths)] for i in range(count)]
    sets = {"24s": folder / "24s.dct", "64s": folder / "64s.dct", "24s, few": folder / "few.dct"}
    for name, path in sets.items():
        some = paths[: count // SHARE] if "few" in name else paths
        shards.extract([(one, i % 1000) for i, one in enumerate(some)], path, name.split(",")[0], shard_size=SHARD_SIZE)
    stored = containers.image_records(files)
    records = _records.write(folder / "records", stored, count)
    return ShardJob(
        paths=tuple(paths),
        size=448,
        batch_size=BATCH,
        threads=options.threads or _machine.usable_cores(),
        seed=_data.SEED,
        device="cpu",
        sets={name: str(path) for name, path in sets.items()},
        containers={key: str(folder / f"container-{key}") for key in ("mds", "array-record", "litdata", "tar")},
        records=str(records.folder),
    )


def _written(files: _data.FileSet, folder: Path) -> list[str]:
    """The files in a folder of this run: its disk and page cache hold files and shards alike."""
    folder.mkdir()
    paths = [folder / f"{number:05d}.jpg" for number in range(len(files))]
    for path, file in zip(paths, files.files, strict=True):
        path.write_bytes(file.data)
    return [str(path) for path in paths]


def _limits(job: ShardJob, folder: Path, quick: bool) -> list[_harness.Row]:
    """Opening a large set; memory after reading a small set and a large one."""
    images = QUICK_OPENED if quick else OPENED
    _shard_race.write_index(folder / "synthetic.dct", images)
    found = _shard_race.openings(folder / "synthetic.dct", 3 if quick else 5)
    few = len(job) // SHARE
    held = {
        few: _shard_race.memory(replace(job, paths=job.paths[:few]), "24s, few"),
        len(job): _shard_race.memory(job, "24s"),
    }
    return _shard_report.opening_rows(images, found, held)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Images a second from shard sets in the page cache to packed batches in memory, and how long opening a set takes."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    add = parser.add_argument
    add("--threads", metavar="N", type=_harness.count, help="cores that each pipeline may use (default: all)")
    add("--rounds", metavar="N", type=_harness.count, help=f"rounds (default: {ROUNDS}, {QUICK_ROUNDS} with --quick)")
    add("--only", metavar="PART", nargs="+", default=[], help="pipelines whose names hold one of these parts; all: every one")
    add("--rivals-python", metavar="F", help=containers.RIVALS)
    add("--folder", metavar="DIR", help="where the sets are written, and removed (default: the system's place for such)")
    add("--quick", action="store_true", help=f"{QUICK_IMAGES} images, fewer rounds, the main pipelines")
    options = containers.checked(parser, _harness.parsed(parser, arguments, "quick", "only"))
    if options.threads and options.threads > _machine.usable_cores():
        parser.error(f"--threads {options.threads}: there are {_machine.usable_cores()} cores")
    return options


if __name__ == "__main__":
    main()
