"""What a user may name as a source on the command line: more than a path can say to `open_source`."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

LISTS = (".txt", ".tsv", ".csv")


def source_of(text: str) -> Any:
    """What `dctload.sources.open_source` takes for the word SRC.

    Args:
        text: A folder of class folders or of images alone, WebDataset tars (path, pattern, URL), or a list: a file .txt, .tsv
            or .csv with a path and a target a line, by a tab (.txt, .tsv) or a comma (.csv) between them. A target that is no
            whole number is the name of a class, and classes are numbered in the order of their names. Paths are relative to the
            list's folder.

    Raises:
        FileNotFoundError: The list is absent.
        ValueError: A line of a list has no path.
    """
    path = Path(text)
    if path.suffix.lower() not in LISTS or path.is_dir():
        return text
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file, delimiter="," if path.suffix.lower() == ".csv" else "\t") if row]
    for number, row in enumerate(rows, 1):
        if not row[0].strip():
            raise ValueError(f"{text}: entry {number} has no path; write a path and a target a line")
    words = [row[1].strip() if len(row) > 1 else "0" for row in rows]
    return [(os.path.join(path.parent, row[0].strip()), target) for row, target in zip(rows, _numbers(words), strict=True)]  # noqa: PTH118


def _numbers(words: list[str]) -> list[int]:
    if all(word.removeprefix("-").isdigit() for word in words):
        return [int(word) for word in words]
    place = {name: number for number, name in enumerate(sorted(set(words)))}
    return [place[word] for word in words]
