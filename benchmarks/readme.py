"""Rewrites the tables between `<!-- bench:NAME -->` and `<!-- /bench -->` in README.md and docs/ from the results that are kept.

python -m benchmarks.readme            rewrite the tables
python -m benchmarks.readme --check    only say whether they are up to date (exit status 1 where not)

NAME is the beginning of a file in `benchmarks/results/`, such as `bandwidth-imagenet-sample-rrc` or `decode-imagenet-sample`; of
several machines the newest result is taken, or the one whose whole name is given (`decode-imagenet-sample-epyc-2core`).
`NAME:bars` and `NAME:packing` are further tables of `decode`, `NAME:targets` one of `loader` and of `shards`, `NAME:limits`
another of `shards`, `NAME:transfer` one of `bandwidth`, with its transfer modes; `NAME:losses` says where there is no gain. Where
no such result is kept, the block says so in one line.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _bars, _bytes, _container_report, _harness, _loader_tables, _machine, _shard_report, resized
from benchmarks._harness import kilobytes, ratio
from benchmarks._markdown import bold, table

REPOSITORY = _machine.REPOSITORY
BLOCK = re.compile(r"(<!-- bench:([\w.:-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
BANDWIDTH_DENSE = ("dense 56x56x24 int16", "dense 56x56x64 int16")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description="Rewrite the documents' benchmark tables.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 where a table is not up to date")
    parser.add_argument("--file", metavar="F", nargs="+", help="other Markdown files with such marks (default: README.md, docs/)")
    options = parser.parse_args(arguments)
    pages = [Path(name) for name in options.file or ()] or [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]
    stale = [page.name for page in pages if not _is_current(page, options.check, must_have_blocks=bool(options.file))]
    if stale:
        listed = ", ".join(stale)
        print(f"{listed}: tables differ from benchmarks/results; run: python -m benchmarks.readme", file=sys.stderr)
        raise SystemExit(1)


def _is_current(page: Path, check: bool, must_have_blocks: bool) -> bool:
    """False where a page's tables are out of date and stay so (`check`)."""
    try:
        before = page.read_text(encoding="utf-8")
    except OSError as error:
        _harness.fail(f"{page.name}: {error.strerror}")
    if not BLOCK.search(before):
        if must_have_blocks:
            _harness.fail(f"{page.name}: no block between <!-- bench:NAME --> and <!-- /bench -->")
        return True
    after = BLOCK.sub(lambda found: f"{found[1]}{block(found[2])}\n{found[3]}", before)
    if after == before:
        print(f"{page.name}: tables are up to date")
    elif check:
        return False
    else:
        page.write_text(after, encoding="utf-8")
        print(f"{page.name}: tables rewritten")
    return True


def block(name: str) -> str:
    """The Markdown of one block: a table and the line that says where it comes from, or a line that there is no result."""
    stem, _, table = name.partition(":")
    benchmark = stem.split("-")[0]
    render = RENDERERS.get(table or benchmark)
    if render is None:
        _harness.fail(f"bench:{name}: no table is known for it; known: {', '.join(RENDERERS)}")
    content = result(stem)
    if content is None:
        print(f"bench:{name}: benchmarks/results/ has no {stem}-MACHINE.json yet; the block says so", file=sys.stderr)
        device = " --device cuda" if stem.endswith("-cuda") else ""
        command = f"python -m benchmarks.{benchmark} --data DIR{device} --save"
        return f"\nNot measured yet: `benchmarks/results/` has no `{stem}`. `{command}` makes it.\n"
    source = f"(`{content['command']}`)" if render is losses else _source(content)
    return f"\n{render(content)}\n\n{source}\n"


def result(name: str) -> dict[str, Any] | None:
    """The newest kept result of that name, or None."""
    found = [path for path in _harness.RESULTS.glob("*.json") if path.stem == name or path.stem.startswith(f"{name}-")]
    contents: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(found)]
    return max(contents, key=lambda content: str(content["date"]), default=None)


def bandwidth_table(content: dict[str, Any]) -> str:
    """Pixels, the file, two dense rows and every packed one, with their ratios."""
    rows = [row for row in content["rows"] if row.get("kind") in ("pixels", "file", "packed")]
    rows += [row for row in content["rows"] if row["name"] in BANDWIDTH_DENSE]
    order = {"pixels": 0, "file": 1, "dense": 2, "packed": 3}
    rows.sort(key=lambda row: order[row["kind"]])
    cells = []
    for row in rows:
        sizes = [kilobytes(row[key]) for key in ("mean", "median", "p99")]
        ratios = [ratio(row["ratio"][key]) for key in (_bytes.RGB224_NAME, _bytes.RGB448_NAME, _bytes.JPEG_NAME)]
        cells.append((bold(row["name"], row["kind"] == "packed"), *sizes, *ratios))
    return table(["kB an image", "mean", "median", "p99", "/ RGB u8 224", "/ RGB u8 448", "/ JPEG file"], cells)


def transfer_table(content: dict[str, Any]) -> str:
    """What the loader's transfer modes send, and the error: one row a crop and mode."""
    heads = ["kB an image", "!`transfer=`", "channels out", "mean", "median", "p99", "/ RGB u8 224", "/ RGB u8 448", '/ `"all"`']
    cells = []
    for row in content["rows"]:
        sizes = [kilobytes(row[key]) for key in ("mean", "median", "p99")]
        ratios = [ratio(row["ratio"][key]) for key in (_bytes.RGB224_NAME, _bytes.RGB448_NAME, 'transfer="all"')]
        errors = row["snr_db"] or {}
        shown = [f"{errors[key]['mean']:.1f} ({errors[key]['p10']:.1f})" if errors else "exact" for key in ("raw", "normalised")]
        mode = f'`"{row["transfer"]}"`' + ("" if row["margin"] is None else f", c = {row['margin']}")
        mode = bold(mode, row["transfer"] == "auto")
        channels = "any" if row["output_channels"] is None else str(row["output_channels"])
        cells.append((row["recipe"], mode, channels, *sizes, *ratios, f"{row['nonzeros']:.0%}", *shown))
    return table([*heads, "non-zeros sent", "raw dB", "normalised dB"], cells)


def losses(content: dict[str, Any]) -> str:
    """Where the saving is not there, as `benchmarks.bandwidth` said it."""
    return "\n".join(f"* {note}" for note in content["notes"])


def decode_table(content: dict[str, Any]) -> str:
    """One thread on the main set, at the CPU's best level."""
    rows = [row for row in content["rows"] if row.get("set") == "main" and "us_per_file" in row and "[" not in row["key"]]
    references = {key: label for key, label in _references(content).items() if any(key in row["ratio"] for row in rows)}
    heads = ["one thread", "images/s", "MB/s", *(f"/ {label}" for label in references.values())]
    cells = []
    for row in rows:
        ratios = [ratio(row["ratio"][key]) if key in row["ratio"] else "" for key in references]
        label = row["name"].removesuffix(", main")
        figures = (f"{row['median']:,.0f}", f"{row['mb_per_s']:,.0f}", *ratios)
        cells.append((bold(label, label.startswith("dctload")), *figures))
    return table(heads, cells)


def bars_table(content: dict[str, Any]) -> str:
    """Each promised ratio beside what was measured."""
    cells = []
    for bar in content["bars"]:
        promised = f"{bar['bar']:g}" if bar["promised"] else f"({bar['wish']})"
        measured, verdict = _bars.in_words(bar)
        cells.append((f"dctload {bar['ours']}", bar["other"], bar["set"], measured, promised, verdict))
    return table(["one thread", "!times as fast as", "!files", "measured", "promised", "!"], cells)


def packing_table(content: dict[str, Any]) -> str:
    """What packing takes beside decoding, and what it may take."""
    cells = []
    for one in content.get("packing", ()):
        share = "not run" if one["share"] is None else f"{one['share']:.1%} (iqr {one['iqr']:.1%})"
        cells.append((one["channels"], share, f"{one['most']:.0%}", _bars.EMPHASIZED[one["met"]]))
    return table(["channels", "packing / decoding", "at most", "!"], cells)


def _references(content: dict[str, Any]) -> dict[str, str]:
    """Short names of the yardsticks, from their own rows."""
    names = {"pillow 448": "Pillow + RRC(448) + tensor"}
    for row in content["rows"]:
        if str(row.get("key", "")).startswith("libjpeg"):
            names[row["key"]] = " ".join(row["name"].split()[:2])
    return {key: names[key] for key in ("libjpeg system", "libjpeg pillow", "pillow 448") if key in names}


def _source(content: dict[str, Any]) -> str:
    machine, data = content["machine"], content["data"]
    where = f"{machine['cpu']}, {machine['cores']} cores" + (f", {machine['gpu']}" if machine["gpu"] else "")
    files = f": {data['count']} files, {data['bytes'] / 1e6:.1f} MB" if data["count"] else ""
    return f"`{content['command']}` ({data['name']}{files}), {where}, {content['date']}, commit {content['commit']}"


RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "bandwidth": bandwidth_table,
    "transfer": transfer_table,
    "losses": losses,
    "decode": decode_table,
    "bars": bars_table,
    "packing": packing_table,
    "loader": _loader_tables.loader_table,
    "targets": _loader_tables.targets_table,
    "transforms": _loader_tables.transforms_table,
    "unpack": _loader_tables.unpack_table,
    "registers": _loader_tables.registers_table,
    "training": _loader_tables.training_table,
    "containers": _container_report.markdown,
    "shards": _shard_report.markdown,
    "limits": _shard_report.markdown_limits,
    "resized": resized.markdown,
}


if __name__ == "__main__":
    main()
