"""Images a second from shard sets to packed batches in memory, beside decoding, plain copies and other containers.

python -m benchmarks.shards --help
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import _arguments, _bytes, _data, _harness, _race, _records, _shard_race, _shard_report, containers
from benchmarks._shard_pipelines import ShardJob

MODULE = "benchmarks.shards"
IMAGES, QUICK_IMAGES = 4000, 800
SHARE = 8  # the small set, whose memory is held against the large one's, has one image in so many
OPENED, QUICK_OPENED = 1_000_000, 100_000
BATCH = 64
ROUNDS = (7, 3)  # the latter with --quick
SHARD_SIZE = "64MiB"
EXAMPLES = """examples:
  python -m benchmarks.shards --quick                        a few embedded photographs, ours beside Pillow, a minute
  python -m benchmarks.shards --data DIR                     your files, repeated to 4,000 images
  python -m benchmarks.shards --data DIR --only 24s mds      pipelines by a part of their names; Pillow's stays
  python -m benchmarks.shards --data DIR --rivals-python build/shard-rivals/bin/python

Rivals: see python -m benchmarks.containers --help.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch()
    variants = _race.chosen(_shard_race.CONTESTANTS, options.only, options.quick, "pipeline", always=_shard_race.PILLOW)
    files, skipped = _bytes.usable(_data.file_set(options.data))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        with _harness.progress("shards", len(variants) + options.rounds + 2) as step:
            step(0, "extracting")
            job = _job(files, options, folder)
            step(1)
            race = _shard_race.line_up(variants, job, options.rivals_python, step)
            with race.held("pipeline"):
                _shard_race.run(race, options.rounds, step)
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


def _job(files: _data.FileSet, options: argparse.Namespace, folder: Path) -> ShardJob:
    """The files, repeated; shard sets of them with 24s and 64s; and the records of the first for other containers."""
    from dctload import shards

    count = QUICK_IMAGES if options.quick else IMAGES
    paths = files.written(folder / "files")
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
        batch_size=options.batch,
        threads=options.threads,
        seed=_data.SEED,
        device="cpu",
        sets={name: str(path) for name, path in sets.items()},
        containers={key: str(folder / f"container-{key}") for key in ("mds", "array-record", "litdata", "tar")},
        records=str(records.folder),
    )


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
    text = f"images a batch (default: %(default)s), but for the pipelines that say {_shard_race.LARGE}"
    parser.add_argument("--batch", metavar="N", type=_harness.count, default=BATCH, help=text)
    _arguments.add_threads(parser)
    _arguments.add_places(parser, "sets")
    only = "pipelines whose names hold one of these parts; all: every one"
    quick = f"{QUICK_IMAGES} images, fewer rounds, the main pipelines"
    return _arguments.parsed(parser, arguments, ROUNDS, only=only, quick=quick)


if __name__ == "__main__":
    main()
