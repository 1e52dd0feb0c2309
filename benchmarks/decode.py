"""How fast JPEG files become coefficients, beside libjpeg-turbo's coefficient read and the usual ways to pixels.

python -m benchmarks.decode --help
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import _core_race, _data, _filesets, _harness, _machine, _race, _report, _variants
from benchmarks._variants import MAIN, Variant
from benchmarks._worker import Worker, WorkerError

MODULE = "benchmarks.decode"
ROUNDS, QUICK_ROUNDS = 7, 3
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
    if options.json:
        _harness.writable(options.json)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    main_files = _data.file_set(options.data)
    small = _data.embedded_photos(SMALL_SIDE) if options.small is None else _data.file_set(options.small)
    sets, absent = _filesets.derived_sets(main_files, small)
    if options.quick:
        sets = _filesets.shortened(sets, QUICK_FILES)

    variants, level_notes = _all_variants()
    absent |= level_notes
    variants = _variants.chosen(variants, options.only)
    if not variants and _core_race.wanted(options.only):
        variants = _variants.chosen(_all_variants()[0], ["libjpeg"])
    if not variants:
        keys = ", ".join(variant.key for variant in _all_variants()[0])
        _harness.fail(f"--only {' '.join(options.only)}: no such variant; there are: {keys}")

    threads = _machine.usable_cores()
    with _harness.progress("decode", len(variants) + 3 * rounds + len(_filesets.LARGE_SAMPLINGS)) as step:
        race = _race.line_up(variants, sets, step)
        try:
            if not race.entries:
                first = next(iter(race.absent.items()))
                _harness.fail(f"no variant can be run; {first[0]}: {first[1]}")
            _race.run(race, rounds, step)
            threaded = _race.run_threaded(race, MAIN, threads, rounds, step)
            core, reason = _core_alone(race, options.only, rounds, step)
        finally:
            race.close()
        large = [] if options.quick or options.only else _large_rows(main_files, step)

    core_rows = [] if core is None else _core_race.rows(core)
    rows = [*core_rows, *_report.rows(race), *_report.threaded_rows(race, threaded, threads), *large]
    bars = [*_core_race.bars(core), *_report.bars(race)]
    absent |= {"the core alone": reason} if reason else {}
    content = _harness.result(MODULE, arguments, sets[MAIN].as_json(), rows)
    content["sets"] = {name: files.as_json() for name, files in sets.items()}
    content["bars"] = bars
    content["absent"] = {**absent, **race.absent}
    content["left_out"] = race.left_out
    content["notes"] = _report.losses(race)
    if core_rows:
        _harness.console().print(_core_race.table(core_rows))
    _report.show(race, threaded, threads, large, bars, content["absent"])
    if options.json:
        _harness.write_result(content, Path(options.json))
    if options.save:
        path = _harness.results_path("decode", main_files.name)
        _harness.write_result(content, path)
        print(f"saved {path.name}", file=sys.stderr)


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


def _core_alone(race: _race.Race, only: Sequence[str], rounds: int, step: Any) -> tuple[_core_race.CoreRace | None, str | None]:
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


def _large_rows(photo: _data.FileSet, step: Any) -> list[_harness.Row]:
    """Seconds and peak memory of a 100-megapixel file, packed to 24s; target: under 64 MB beyond file and output."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for sampling in _filesets.LARGE_SAMPLINGS:
            step(0, f"100 megapixels, {sampling}")
            path = Path(folder, f"large-{sampling.replace(':', '')}.jpg")
            maker = multiprocessing.get_context("spawn").Process(target=_filesets.write_large_file, args=(photo, sampling, path))
            maker.start()
            maker.join()
            if maker.exitcode == 0:
                rows.append(_report.large_row(sampling, path.stat().st_size, _race.run_large(str(path), "24s")))
            path.unlink(missing_ok=True)
            step(1)
    return rows


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description="Images a second from JPEG bytes in memory to coefficients, in one thread and in all, beside others.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of JPEG files, searched through; default: photographs out of two wheels")
    add("--small", metavar="DIR", help="folder of small files (about 20 kB); default: the photographs, shrunk")
    add("--rounds", metavar="N", type=_count, help=f"rounds (default: {ROUNDS}, {QUICK_ROUNDS} with --quick)")
    add("--only", metavar="PART", nargs="+", default=[], help="variants whose names hold one of these parts")
    add("--quick", action="store_true", help=f"at most {QUICK_FILES} files a set, fewer rounds, no 100-megapixel file")
    add("--json", metavar="F", help="write the result as JSON")
    add("--save", action="store_true", help="keep the result in benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.save and (options.quick or options.only):
        parser.error("--save keeps whole runs only; leave out --quick and --only, or write the result elsewhere with --json F")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
