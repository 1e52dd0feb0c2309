"""How fast JPEG files become coefficients, beside libjpeg-turbo's coefficient read and the usual ways to pixels.

python -m benchmarks.decode --help
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import _arguments, _core_race, _data, _decode_race, _filesets, _harness, _machine, _report, _variants
from benchmarks._variants import MAIN, Variant
from benchmarks._worker import Worker, WorkerError

MODULE = "benchmarks.decode"
ROUNDS = (7, 3)  # the latter with --quick
QUICK_FILES = 24
SMALL_SIDE = 320  # long side of the embedded photographs that stand for small files
EXAMPLES = """examples:
  python -m benchmarks.decode --quick                           a few embedded photographs, about a minute
  python -m benchmarks.decode --data DIR --small DIR2           your files, and a folder of small ones
  python -m benchmarks.decode --data DIR --only packed pillow   variants by a part of their names; libjpeg-turbo stays
  python -m benchmarks.decode --data DIR --only core            the C++ core alone, timed without Python
  python -m benchmarks.decode --data DIR --rounds 15 --save     more rounds, result kept in benchmarks/results/

Rivals are measured where they are installed: pip install -e ".[bench,rivals]"
libjpeg-turbo's coefficient read needs a C compiler and libjpeg's headers; the rows of the core alone need a C++ compiler too,
and a minute to compile it the first time.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    main_files = _data.file_set(options.data)
    small = _data.embedded_photos(SMALL_SIDE) if options.small is None else _data.folder_photos(Path(options.small), "--small")
    sets, absent = _filesets.derived_sets(main_files, small)
    if options.quick:
        sets = _filesets.shortened(sets, QUICK_FILES)

    every, level_notes = _all_variants()
    absent |= level_notes
    variants = _variants.chosen(every, options.only)
    if not variants and _core_race.wanted(options.only):
        variants = _variants.chosen(every, ["libjpeg"])
    if not variants:
        keys = ", ".join(variant.key for variant in every)
        _harness.fail(f"--only {' '.join(options.only)}: no such variant; there are: {keys}")

    threads, rounds = _machine.usable_cores(), options.rounds
    with _harness.progress("decode", len(variants) + 3 * rounds + len(_filesets.LARGE_SAMPLINGS)) as step:
        race = _decode_race.line_up(variants, sets, step)
        with race.held("variant"):
            _decode_race.run(race, rounds, step)
            threaded = _decode_race.run_threaded(race, MAIN, threads, rounds, step)
            core, reason = _core_alone(race, options.only, rounds, step)
        large, reasons = ([], {}) if options.quick or options.only else _large_rows(main_files, step)

    core_rows = [] if core is None else _core_race.rows(core)
    rows = [*core_rows, *_report.rows(race), *_report.threaded_rows(race, threaded, threads), *large]
    bars = [*_core_race.bars(core), *_report.bars(race)]
    absent |= reasons | ({"the core alone": reason} if reason else {})
    content = _harness.result(MODULE, arguments, sets[MAIN].as_json(), rows)
    content["sets"] = {name: files.as_json() for name, files in sets.items()}
    content["bars"] = bars
    content["packing"] = _core_race.packing(core)
    content["absent"] = {**absent, **race.absent}
    content["left_out"] = race.left_out
    content["notes"] = _report.losses(race)
    if options.json != _harness.STDOUT:
        _report.show(race, core_rows, threaded, threads, large, bars, content["packing"], content["absent"])
    _harness.keep(options, content, "decode")


def _all_variants() -> tuple[list[Variant], dict[str, str]]:
    """Every variant, with ours at each CPU level that this machine has beside its best one."""
    variants = _variants.contestants()
    best, absent = _level_of({}), {}
    for level in _variants.CPU_LEVELS:
        if level == best:
            continue
        found = _level_of({"DCTLOAD_FORCE_ISA": level})
        if found == level:
            ours = sum(variant.ours for variant in variants)
            variants[ours:ours] = _variants.at_level(variants, level)
        else:
            absent[f"CPU level {level}"] = found
    return variants, absent


def _level_of(environment: dict[str, str]) -> str:
    """The CPU level that a process of this environment runs at, or why it does not run."""
    worker = Worker(environment)
    try:
        return str(worker.ask("open", "planes", ("all",))["note"])
    except WorkerError as error:
        return str(error)
    finally:
        worker.close()


def _core_alone(
    race: _decode_race.Race, only: Sequence[str], rounds: int, step: Any
) -> tuple[_core_race.CoreRace | None, str | None]:
    """The core without Python, or why it is not measured; neither where other variants were asked for."""
    if not _core_race.wanted(only):
        return None, None
    yardstick = _report.yardstick(race)
    if yardstick is None:
        return None, "there is no libjpeg-turbo to hold it against"
    origin = str(race.entries[yardstick].variant.options[0])
    try:
        return _core_race.run(race, yardstick, origin, rounds, step), None
    except WorkerError as error:
        return None, str(error)


def _large_rows(photo: _data.FileSet, step: Any) -> tuple[list[_harness.Row], dict[str, str]]:
    """Seconds and peak memory of 100-megapixel files, packed to 24s (under 64 MB beyond file and output is promised).

    Also the reason for each that could not be measured."""
    rows, absent = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for sampling in _filesets.LARGE_SAMPLINGS:
            name = f"100 megapixels, {sampling}"
            step(0, name)
            path = Path(folder, f"large-{sampling.replace(':', '')}.jpg")
            maker = multiprocessing.get_context("spawn").Process(target=_filesets.write_large_file, args=(photo, sampling, path))
            maker.start()
            maker.join()
            if maker.exitcode == 0:
                try:
                    rows.append(_report.large_row(sampling, path.stat().st_size, _decode_race.run_large(str(path), "24s")))
                except WorkerError as error:
                    absent[name] = str(error)
            else:
                absent[name] = f"Pillow did not make the file (exit status {maker.exitcode})"
            path.unlink(missing_ok=True)
            step(1)
    return rows, absent


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Images a second from JPEG bytes in memory to coefficients, in one thread and in all, beside others."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    text = "folder of small files (about 20 kB); default: the photographs, shrunk"
    parser.add_argument("--small", metavar="DIR", help=text)
    only = "variants whose names hold one of these parts"
    quick = f"at most {QUICK_FILES} files a set, fewer rounds, no 100-megapixel file"
    return _arguments.parsed(parser, arguments, ROUNDS, only=only, quick=quick)


if __name__ == "__main__":
    main()
