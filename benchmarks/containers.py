"""Ways to store image records, held against each other: random reads, writing, overhead, faults, ranges.

python -m benchmarks.containers --help
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _arguments, _bytes, _container_race, _container_report, _data, _harness, _race, _records

MODULE = "benchmarks.containers"
CHANNELS = "24s"
RECORDS, QUICK_RECORDS = 4000, 400
FEW, QUICK_FEW = 400, 100  # records of the containers that are damaged
ROUNDS = (5, 2)  # the latter with --quick
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
    variants = _race.chosen(_container_race.CONTESTANTS, options.only, options.quick, "container")
    files, skipped = _bytes.usable(_data.file_set(options.data))
    stored = image_records(files)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        records = _records.write(folder / "records", stored, QUICK_RECORDS if options.quick else RECORDS)
        few = _records.write(folder / "few-records", stored, QUICK_FEW if options.quick else FEW)
        race = _container_race.Race(records, few, folder)
        with _harness.progress("containers", len(variants) + options.rounds) as step:
            _container_race.line_up(race, variants, options.rivals_python, step)
            with race.held("container"):
                _container_race.run(race, options.rounds, step)
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


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    text = "Random reads a second, write speed, overhead, faults and ranged reads of containers that hold the same records."
    parser = _harness.parser(MODULE, text, EXAMPLES)
    _arguments.add_places(parser, "containers")
    only = "containers whose names hold one of these parts; all: every one"
    quick = f"{QUICK_RECORDS} records, fewer rounds, the main containers"
    return _arguments.parsed(parser, arguments, ROUNDS, only=only, quick=quick)


if __name__ == "__main__":
    main()
