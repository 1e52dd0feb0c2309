"""Ways to store image records, held against each other: random reads, writing, overhead, faults, ranges.

python -m benchmarks.containers --help
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _bytes, _container_race, _container_report, _data, _harness, _records
from benchmarks._worker import WorkerError

MODULE = "benchmarks.containers"
CHANNELS = "24s"
RECORDS, QUICK_RECORDS = 4000, 400
FEW, QUICK_FEW = 400, 100  # records of the containers that are damaged
ROUNDS, QUICK_ROUNDS = 5, 2
RIVALS = "interpreter of an environment that has the rivals (their pins are old); default: this one"
EXAMPLES = """examples:
  python -m benchmarks.containers --quick                          embedded photographs, a few containers, a minute
  python -m benchmarks.containers --data DIR                       your files, all containers that are installed
  python -m benchmarks.containers --data DIR --rivals-python build/shard-rivals/bin/python
  python -m benchmarks.containers --data DIR --only arrow mds      containers by a part of their names

Rivals are measured where they are installed. Some of them want an older numpy, so give them an environment of their own:
  python -m venv build/shard-rivals
  build/shard-rivals/bin/pip install torch rich pyarrow pylance webdataset array-record litdata "mosaicml-streaming>=0.13"
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    variants = chosen(options.only, options.quick)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    files, skipped = _bytes.usable(_data.file_set(options.data))
    stored = image_records(files)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        records = _records.write(folder / "records", stored, QUICK_RECORDS if options.quick else RECORDS)
        few = _records.write(folder / "few-records", stored, QUICK_FEW if options.quick else FEW)
        race = _container_race.Race(records, few, folder)
        with _harness.progress("containers", len(variants) + rounds) as step:
            try:
                _container_race.line_up(race, variants, options.rivals_python, step)
                if not race.entries:
                    first = next(iter(race.absent.items()))
                    _harness.fail(f"no container can be used; {first[0]}: {first[1]}")
                _container_race.run(race, rounds, step)
            except WorkerError as error:  # after its warm-up
                _harness.fail(f"a container has stopped: {error}")
            finally:
                race.close()
        rows = _container_report.rows(race)
        content = _harness.result(MODULE, arguments, files.as_json(), rows)
        content |= {"records": len(records), "record_bytes": round(race.mean), "channels": CHANNELS, "absent": race.absent}
        if options.json != _harness.STDOUT:
            _container_report.show(race, rows)
            _harness.left_out(_harness.console(), skipped)
    _harness.keep(options, content, "containers")


def image_records(files: _data.FileSet, channels: str = CHANNELS) -> list[bytes]:
    """The record of each file, as shards store it."""
    import dctload

    batch = dctload.extract(files.sources, channels)
    return [bytes(batch.image_bytes(i)) for i in range(len(batch))]


def chosen(only: Sequence[str], quick: bool) -> list[_container_race.Variant]:
    """Those whose key holds one of the parts; without parts all, or the quick ones."""
    if not only:
        return [variant for variant in _container_race.CONTESTANTS if variant.quick or not quick]
    found = [v for v in _container_race.CONTESTANTS if "all" in only or any(part.lower() in v.key for part in only)]
    if not found:
        keys = ", ".join(variant.key for variant in _container_race.CONTESTANTS)
        _harness.fail(f"--only {' '.join(only)}: no such container; there are: {keys}")
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Random reads a second, write speed, overhead, faults and ranged reads of containers that hold the same records."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    add = parser.add_argument
    add("--rounds", metavar="N", type=_harness.count, help=f"rounds (default: {ROUNDS}, {QUICK_ROUNDS} with --quick)")
    add("--only", metavar="PART", nargs="+", default=[], help="containers whose names hold one of these parts; all: every one")
    add("--rivals-python", metavar="F", help=RIVALS)
    add("--folder", metavar="DIR", help="where the containers are written, and removed (default: the system's place for such)")
    add("--quick", action="store_true", help=f"{QUICK_RECORDS} records, fewer rounds, the main containers")
    return checked(parser, _harness.parsed(parser, arguments, "quick", "only"))


def checked(parser: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.Namespace:
    """The options; ends with one line where a path that they name is not there."""
    if options.rivals_python and not Path(options.rivals_python).is_file():
        parser.error(f"--rivals-python {options.rivals_python}: no such file")
    if options.rivals_python:
        options.rivals_python = str(Path(options.rivals_python).absolute())  # workers start in the clone
    if options.folder and not Path(options.folder).is_dir():
        parser.error(f"--folder {options.folder}: no such folder")
    return options


if __name__ == "__main__":
    main()
