"""Images a second from JPEG files to augmented batches, at equal cores: `DCTLoader` beside the usual loaders of pixels.

python -m benchmarks.loader --help
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _arguments, _bytes, _data, _harness, _loader_race, _loader_report, _race
from benchmarks._crops import Job

MODULE = "benchmarks.loader"
ROUNDS = (7, 3)  # the latter with --quick
QUICK_FILES = 24
BATCH, QUICK_BATCH = 32, 16
BATCHES_A_CORE, QUICK_BATCHES_A_CORE = 24, 4  # the same number for every worker process, so that none ends early
EXAMPLES = """examples:
  python -m benchmarks.loader --quick                        a few embedded photographs, ours beside Pillow, half a minute
  python -m benchmarks.loader --data DIR                     your files
  python -m benchmarks.loader --data DIR --only spdl rgb     pipelines by a part of their names; Pillow's stays
  python -m benchmarks.loader --quick --only all             a short run of every pipeline
  python -m benchmarks.loader --data DIR --device cuda       with copies and device work, and a model that wants data

Rivals are measured where they are installed: pip install -e ".[bench,rivals]", and for SPDL FFmpeg's libraries.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch(options.device)
    everyone = _loader_race.available(options.device)
    variants = _race.chosen(everyone, options.only, options.quick, "pipeline", always=_loader_race.PILLOW)
    rounds = options.rounds
    files, skipped = _bytes.usable(_data.file_set(options.data))  # reading them brings them into the page cache
    if options.quick:
        files = files.first(QUICK_FILES)

    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            paths=_order(_paths(files, options.data, Path(folder)), _count(options)),
            size=options.size,
            batch_size=QUICK_BATCH if options.quick else BATCH,
            threads=options.threads,
            seed=_data.SEED,
            device=options.device,
        )
        turns = rounds if options.device == "cpu" else 2 * rounds + 1  # then a model is fed as well, once before it counts
        with _harness.progress("loader", len(variants) + turns) as step:
            race = _loader_race.line_up(variants, job, step)
            with race.held("pipeline"):
                _loader_race.run(race, rounds, step)
                if options.device != "cpu":
                    _loader_race.run_steps(race, rounds, step)

    bars = _loader_report.bars(race)
    content = _harness.result(MODULE, arguments, files.as_json(), _loader_report.rows(race))
    content |= {"images": len(job), "size": job.size, "batch_size": job.batch_size, "threads": job.threads, "device": job.device}
    content |= {"bars": bars, "absent": race.absent, "notes": _loader_report.losses(race)}
    if options.json != _harness.STDOUT:
        _loader_report.show(race, bars)
        _harness.left_out(_harness.console(), skipped)
    _harness.keep(options, content, "loader", *([] if options.device == "cpu" else ["cuda"]))


def _paths(files: _data.FileSet, data: str | None, folder: Path) -> list[str]:
    """Where the files lie; the embedded photographs are written to a folder first."""
    return files.written(folder) if data is None else [str(Path(data, file.name).resolve()) for file in files.files]


def _order(paths: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` samples: all files in random order, again and again."""
    rng, samples = random.Random(_data.SEED), list[str]()
    while len(samples) < count:
        samples += rng.sample(paths, len(paths))
    return tuple(samples[:count])


def _count(options: argparse.Namespace) -> int:
    """Samples an epoch: whole batches, equally many for each core."""
    each = QUICK_BATCHES_A_CORE * QUICK_BATCH if options.quick else BATCHES_A_CORE * BATCH
    return int(options.threads) * each


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Images a second end to end: RandomResizedCrop, flip and normalisation, from files in the page cache."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    add = parser.add_argument
    add("--size", metavar="N", type=_harness.count, default=448, help="side of the crops, in pixels (default: %(default)s)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where batches are to be (default: %(default)s)")
    _arguments.add_threads(parser)
    only = "pipelines whose names hold one of these parts; all: every one"
    quick = f"at most {QUICK_FILES} files, fewer rounds, the main pipelines"
    options = _arguments.parsed(parser, arguments, ROUNDS, only=only, quick=quick)
    if options.size % 8:
        parser.error("--size is a multiple of 8: blocks are 8 x 8")
    return options


if __name__ == "__main__":
    main()
