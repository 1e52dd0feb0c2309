"""The word SRC: which files are lists, and what is said of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("typer")

from dctload.cli.source import source_of
from dctload.sources import ListSource


def test_what_is_no_list_is_left_to_the_sources(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "a.tar").write_bytes(b"")
    for text in (str(tmp_path / "folder.txt"), str(tmp_path / "a.tar"), "s3://bucket/list.txt", "train-{000..146}.tar", "absent"):
        assert source_of(text) == text
    with pytest.raises(FileNotFoundError):
        source_of(str(tmp_path / "absent.txt"))


@pytest.mark.parametrize("name, mark", [("list.txt", "\t"), ("list.TSV", "\t"), ("list.csv", ",")])
@pytest.mark.parametrize("start", ["", "\ufeff"])  # as spreadsheets begin a file
def test_paths_are_relative_to_the_list(name: str, mark: str, start: str, tmp_path: Path) -> None:
    rows = [("a/1.jpg", "3"), (" b c.jpg ", " -1"), ("/data/2.jpg", "0"), ("https://a.b/3.jpg", "7")]
    text = start + "\r\n".join(mark.join(row) for row in rows) + "\r\n\r\n"
    (tmp_path / name).write_bytes(text.encode())
    assert source_of(str(tmp_path / name)) == [
        (str(tmp_path / "a/1.jpg"), 3),
        (str(tmp_path / "b c.jpg"), -1),
        ("/data/2.jpg", 0),
        ("https://a.b/3.jpg", 7),
    ]


def test_names_of_classes_are_numbered_and_kept(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("1.jpg,dog\n2.jpg,7\n3.jpg,cat\n4.jpg,²\n")
    source = source_of(str(tmp_path / "list.csv"))
    assert isinstance(source, ListSource) and source.classes == ["7", "cat", "dog", "²"]
    assert [source.target(i) for i in range(4)] == [2, 0, 1, 3] and source.name(2) == str(tmp_path / "3.jpg")


def test_without_targets_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1.jpg\n2.jpg\t\n")
    assert source_of(str(tmp_path / "list.txt")) == [(str(tmp_path / name), None) for name in ("1.jpg", "2.jpg")]


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("list.txt", b"", "list.txt is empty"),
        ("list.txt", b"1.jpg\tcat\n\tdog\n", "entry 2 has no path"),
        ("list.csv", b"1.jpg,3\n2.jpg\n", "entry 2 has no target"),
        ("list.txt", b"\xff\xfe1\0.\0j\0p\0g\0", "list.txt cannot be read as a list .*write UTF-8"),
        ("list.csv", b'"' + 200_000 * b"a", "list.csv cannot be read as a list"),
        ("one.jpg", b"", "one.jpg is one file; give a folder"),
    ],
)
def test_a_list_that_cannot_be_read_is_named(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        source_of(str(tmp_path / name))
