"""Folders of class folders: torchvision's order and classes, and messages that say what was expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import dctload
from dctload.sources import FolderSource, open_source
from support.real_files import DATA, needs_real_files


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def torchvisions(root: Path) -> list[tuple[str, int]]:
    """`make_dataset` of torchvision.datasets.folder 0.20, in short."""
    found = []
    for target, name in enumerate(sorted(entry.name for entry in os.scandir(root) if entry.is_dir())):
        for level, _, files in sorted(os.walk(root / name, followlinks=True)):
            for file in sorted(files):
                path = str(Path(level) / file)
                if path.lower().endswith((".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")):
                    found.append((path, target))
    return found


def test_classes_and_files_come_in_torchvisions_order(tmp_path: Path) -> None:
    make(
        tmp_path,
        "dog/2.jpg",
        "dog/10.JPEG",
        "Cat/b/1.png",
        "Cat/b-c/0.jpg",
        "Cat/z.webp",
        "Cat/b/d/3.jpg",
        "Cat/notes.txt",
        "top.jpg",
    )
    source = FolderSource(tmp_path)
    names = [source.name(i).removeprefix(f"{tmp_path}/") for i in range(len(source))]
    assert names == ["Cat/z.webp", "Cat/b/1.png", "Cat/b-c/0.jpg", "Cat/b/d/3.jpg", "dog/10.JPEG", "dog/2.jpg"]
    assert [(source.name(i), source.target(i)) for i in range(len(source))] == torchvisions(tmp_path)
    assert source.classes == ["Cat", "dog"]


@needs_real_files
def test_real_files_come_in_torchvisions_order() -> None:
    root = DATA / "cats-dogs" / "train"
    source = open_source(root)
    assert [(source.name(i), source.target(i)) for i in range(len(source))] == torchvisions(root)
    batch = dctload.extract(source.fetch([0, len(source) - 1]), "6s")
    assert batch.status == ("ok", "ok")


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    make(tmp_path / "far", "1.jpg")
    make(tmp_path / "near" / "a", "2.jpg")
    (tmp_path / "near" / "b").symlink_to(tmp_path / "far")
    (tmp_path / "near" / "a" / "more").symlink_to(tmp_path / "far")
    source = FolderSource(tmp_path / "near")
    assert [source.name(i).removeprefix(f"{tmp_path}/near/") for i in range(3)] == ["a/2.jpg", "a/more/1.jpg", "b/1.jpg"]


def test_no_file_is_opened_or_asked_for_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *(f"a/{i}.jpg" for i in range(5)))
    asked: list[object] = []
    monkeypatch.setattr(os, "stat", lambda *args, **_: asked.append(args))
    monkeypatch.setattr(os, "open", lambda *args, **_: asked.append(args))
    assert len(FolderSource(str(tmp_path))) == 5
    assert asked == []


def test_what_is_fetched_are_paths(tmp_path: Path) -> None:
    make(tmp_path, "a/0.jpg", "b/1.jpg")
    assert FolderSource(tmp_path).fetch([1, 0, 1]) == [str(tmp_path / n) for n in ("b/1.jpg", "a/0.jpg", "b/1.jpg")]


def test_a_file_that_went_away_is_a_bad_file(tmp_path: Path) -> None:
    source = FolderSource(make(tmp_path, "a/0.jpg"))
    (tmp_path / "a" / "0.jpg").unlink()
    assert dctload.extract(source.fetch([0]), on_error="mark").status == ("io_error",)


def test_images_without_class_folders_are_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "2.jpg", "1.png", "notes.txt"), unlabelled=True)
    assert [Path(source.name(i)).name for i in range(len(source))] == ["1.png", "2.jpg"]
    assert source.classes is None and [source.target(i) for i in range(2)] == [None, None]
    make(tmp_path, "cat/3.jpg")  # with class folders the rules are ImageFolder's
    source = open_source(tmp_path, unlabelled=True)
    assert (len(source), source.classes, source.target(0)) == (1, ["cat"], 0)


@pytest.mark.parametrize(
    "files, error, message",
    [
        (None, FileNotFoundError, "set does not exist; expected class folders"),
        ([], ValueError, "set holds no class folders; expected class folders"),
        (["1.jpg"], ValueError, r"set holds no class folders.*list of \(path, target\) pairs"),
        (["a/1.jpg", "b/1.txt", "c/d/e.md"], FileNotFoundError, "set has classes without images: b, c;"),
        ([f"{i}/1.txt" for i in range(9)], FileNotFoundError, "images: 0, 1, 2, 3, 4 and 4 more;"),
    ],
)
def test_an_empty_or_wrong_folder_says_what_was_expected(
    tmp_path: Path, files: list[str] | None, error: type[Exception], message: str
) -> None:
    if files is not None:
        (tmp_path / "set").mkdir()
        make(tmp_path / "set", *files)
    with pytest.raises(error, match=message):
        open_source(tmp_path / "set")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "one.jpg")
    with pytest.raises(ValueError, match=r"one.jpg is a file; expected a folder of class folders.*write \[\("):
        open_source(tmp_path / "one.jpg")
