"""Rewrites the tables of README.md between `<!-- bench:NAME -->` and `<!-- /bench -->` from the results that are kept.

python -m benchmarks.readme            rewrite the tables
python -m benchmarks.readme --check    only say whether they are up to date (exit status 1 where not)

NAME is the beginning of a file in `benchmarks/results/`, such as `bandwidth-rrc` or `decode`; of several machines the newest
result is taken, or the one whose whole name is given (`bandwidth-rrc-epyc-2core`). `decode:bars` is the second table of `decode`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _bytes, _harness, _machine
from benchmarks._harness import kilobytes, ratio

README = _machine.REPOSITORY / "README.md"
BLOCK = re.compile(r"(<!-- bench:([\w.:-]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
BANDWIDTH_DENSE = ("dense 56x56x24 int16", "dense 56x56x64 int16")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description="Rewrite README.md's benchmark tables.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 where a table is not up to date")
    parser.add_argument("--file", metavar="F", default=str(README), help="another Markdown file with such marks")
    options = parser.parse_args(arguments)
    path = Path(options.file)
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        _harness.fail(f"{path.name}: {error.strerror}")
    if not BLOCK.search(before):
        _harness.fail(f"{path.name}: no block between <!-- bench:NAME --> and <!-- /bench -->")
    after = BLOCK.sub(lambda found: f"{found[1]}{block(found[2])}\n{found[3]}", before)
    if after == before:
        print(f"{path.name}: tables are up to date")
    elif options.check:
        print(f"{path.name}: tables differ from benchmarks/results; run: python -m benchmarks.readme", file=sys.stderr)
        raise SystemExit(1)
    else:
        path.write_text(after, encoding="utf-8")
        print(f"{path.name}: tables rewritten")


def block(name: str) -> str:
    """The Markdown of one block: a table and the line that says where it comes from."""
    stem, _, table = name.partition(":")
    render = RENDERERS.get(table or stem.split("-")[0])
    if render is None:
        _harness.fail(f"bench:{name}: no table is known for it; known: {', '.join(RENDERERS)}")
    content = result(stem)
    return f"\n{render(content)}\n\n{_source(content)}\n"


def result(name: str) -> dict[str, Any]:
    """The newest kept result of that name."""
    found = [path for path in _harness.RESULTS.glob("*.json") if path.stem == name or path.stem.startswith(f"{name}-")]
    contents: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    if not contents:
        _harness.fail(
            f"bench:{name}: no benchmarks/results/{name}-MACHINE.json; run: python -m benchmarks.{name.split('-')[0]} --save"
        )
    return max(contents, key=lambda content: str(content["date"]))


def bandwidth_table(content: dict[str, Any]) -> str:
    """Pixels, the file, two dense rows and every packed one, with their ratios."""
    rows = [row for row in content["rows"] if row.get("kind") in ("pixels", "file", "packed")]
    rows += [row for row in content["rows"] if row["name"] in BANDWIDTH_DENSE]
    order = {"pixels": 0, "file": 1, "dense": 2, "packed": 3}
    rows.sort(key=lambda row: order[row["kind"]])
    lines = ["| kB an image | mean | median | p99 | / RGB u8 224 | / RGB u8 448 | / JPEG file |", "|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        sizes = [kilobytes(row[key]) for key in ("mean", "median", "p99")]
        ratios = [ratio(row["ratio"][key]) for key in (_bytes.RGB224_NAME, _bytes.RGB448_NAME, _bytes.JPEG_NAME)]
        name = f"**{row['name']}**" if row["kind"] == "packed" else row["name"]
        lines.append(_line(name, *sizes, *ratios))
    losses = "\n".join(f"* {note}" for note in content.get("notes", []))
    return "\n".join(lines) + f"\n\nWhere the saving is not there:\n\n{losses}"


def decode_table(content: dict[str, Any]) -> str:
    """One thread on the main set, at the CPU's best level."""
    rows = [row for row in content["rows"] if row.get("set") == "main" and "us_per_file" in row and "[" not in row["key"]]
    references = {key: label for key, label in _references(content).items() if any(key in row["ratio"] for row in rows)}
    heads = ["one thread", "images/s", "MB/s", *(f"/ {label}" for label in references.values())]
    lines = [_line(*heads), "|---|" + "--:|" * (len(heads) - 1)]
    for row in rows:
        ratios = [ratio(row["ratio"][key]) if key in row["ratio"] else "" for key in references]
        label = row["name"].removesuffix(", main")
        label = f"**{label}**" if label.startswith("dctload") else label
        lines.append(_line(label, f"{row['median']:,.0f}", f"{row['mb_per_s']:,.0f}", *ratios))
    return "\n".join(lines)


def bars_table(content: dict[str, Any]) -> str:
    """Each promised ratio beside what was measured."""
    lines = ["| ratio | to | files | measured | bar |", "|---|---|---|--:|--:|"]
    for bar in content["bars"]:
        measured = "not run" if bar["ratio"] is None else f"{bar['ratio']:.2f}"
        lines.append(_line(bar["ours"], bar["other"], bar["set"], measured, f"{bar['bar']:g}"))
    return "\n".join(lines)


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
    files = f"{data['count']} files, {data['bytes'] / 1e6:.1f} MB"
    return f"`{content['command']}` ({data['name']}: {files}), {where}, {content['date']}, commit {content['commit']}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "bandwidth": bandwidth_table,
    "decode": decode_table,
    "bars": bars_table,
}


if __name__ == "__main__":
    main()
