"""What a user may name as a source on the command line: more than a path can say to `open_source`."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from dctload.sources import ListSource
from dctload.sources.tars import is_tar
from dctload.sources.urls import is_url

LISTS = (".txt", ".tsv", ".csv")


def source_of(text: str) -> Any:
    """What `dctload.sources.open_source` takes for the word SRC.

    Args:
        text: A folder of class folders or of images alone, WebDataset tars (path, pattern, URL), or a list: a UTF-8 file .txt,
            .tsv or .csv with a path (or URL) and a target a line, by a tab (.txt, .tsv) or a comma (.csv) between them. Targets
            of which one is no whole number are names of classes, numbered in their order; where no line has a target, each is
            None. Paths are relative to the list's folder.

    Raises:
        FileNotFoundError: The list is absent.
        ValueError: A list is empty or no text, a line of it lacks its path or, unlike others, its target; or it is a file of
            another kind.
    """
    path = Path(text)
    if is_url(text) or path.is_dir():
        return text
    if path.suffix.lower() not in LISTS:
        if path.is_file() and not is_tar(text):
            raise ValueError(
                f"{text} is one file; give a folder, WebDataset tars (.tar), or a list ({', '.join(LISTS)}) of files"
            )
        return text
    rows = _rows(path)
    paths = [row[0] if is_url(row[0]) else os.path.join(path.parent, row[0]) for row in rows]  # noqa: PTH118
    words = [row[1] if len(row) > 1 else "" for row in rows]
    if not any(words):
        return [(name, None) for name in paths]
    if "" in words:
        raise ValueError(f"{text}: entry {words.index('') + 1} has no target; write a path and a target a line")
    if all(word.removeprefix("-").isdecimal() for word in words):
        return [(name, int(word)) for name, word in zip(paths, words, strict=True)]
    classes = sorted(set(words))
    place = {word: number for number, word in enumerate(classes)}
    return ListSource([(name, place[word]) for name, word in zip(paths, words, strict=True)], classes)


def _rows(path: Path) -> list[list[str]]:
    """The lines of a list that are not empty, in fields without spaces around them; the first is never empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter="," if path.suffix.lower() == ".csv" else "\t")
            rows = [[field.strip() for field in line] for line in lines if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a list ({error}); write UTF-8 text, a path and a target a line") from None
    if not rows:
        raise ValueError(f"{path} is empty; write a path and a target a line")
    for number, row in enumerate(rows, 1):
        if not row[0]:
            raise ValueError(f"{path}: entry {number} has no path; write a path and a target a line")
    return rows
