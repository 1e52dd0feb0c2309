"""WebDataset tars: the index equals tarfile's, samples are read at random, local and by URL."""

from __future__ import annotations

import io
import logging
import tarfile
from pathlib import Path
from typing import Any

import pytest

import dctload
from dctload.sources import TarSource, open_source
from dctload.sources.tar_members import tar_files
from dctload.sources.tars import expand_braces
from support import jpeg_builder as jb

PICTURES = [jb.encode(jb.content(24 + i, 17, "4:2:0", "natural", seed=i)).to_bytes() for i in range(5)]
FORMATS = {"pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT}


def write(path: Path, members: list[tuple[str, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1700000000.25 if kind == tarfile.PAX_FORMAT else 1700000000
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(first: int, count: int) -> list[tuple[str, bytes]]:
    """Members of WebDataset samples: an image and a class."""
    numbers = range(first, first + count)
    return [m for i in numbers for m in ((f"{i:04}.jpg", PICTURES[i % 5]), (f"{i:04}.cls", b"%d\n" % (i % 3)))]


@pytest.mark.parametrize("kind", FORMATS)
def test_members_are_those_that_tarfile_finds(tmp_path: Path, kind: str) -> None:
    names = ["a.jpg", "deep/" * 25 + "b.jpg", "ü/é.cls", "c.json", "empty.txt", "n" * 90 + ".jpg"]
    if kind != "ustar":
        names += ["l" * 300 + ".jpg", "x/" * 200 + "y.jpg"]
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=FORMATS[kind], pax_headers={"comment": "all"} if kind == "pax" else None) as archive:
        for k, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = 0 if name == "empty.txt" else 500 * k + 13
            archive.addfile(info, io.BytesIO(bytes(info.size)))
            folder, link = tarfile.TarInfo(f"folder{k}"), tarfile.TarInfo("k" * 150 * (kind != "ustar") + f"link{k}")
            folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "l" * (170 if kind != "ustar" else 70)
            archive.addfile(folder)
            archive.addfile(link)
    data = path.read_bytes()
    got = list(tar_files(lambda offset, size: data[offset : offset + size], len(data)))
    with tarfile.open(path) as archive:
        want = [(m.name, m.offset_data, m.size) for m in archive if m.isreg()]
    assert got == want
    assert len(got) == len(names)


def test_samples_are_read_at_random(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "a.tar", samples(0, 9))))
    assert len(source) == 9
    assert [source.target(i) for i in range(9)] == [0, 1, 2] * 3
    assert source.fetch([7, 0, 7, 3]) == [PICTURES[2], PICTURES[0], PICTURES[2], PICTURES[3]]
    assert source.name(7) == f"{tmp_path}/a.tar:0007.jpg"
    assert source.classes is None
    assert dctload.extract(source.fetch([1, 2]), "6s").status == ("ok", "ok")


@pytest.mark.parametrize("form", ["braces", "stars", "list", "comma"])
def test_several_tars_are_one_source(tmp_path: Path, form: str) -> None:
    tars = [write(tmp_path / f"t-{i:02}.tar", samples(10 * i, 3)) for i in range(3)]
    given = {
        "braces": str(tmp_path / "t-{00..02}.tar"),
        "stars": str(tmp_path / "t-*.tar"),
        "list": tars,
        "comma": str(tmp_path / "{t-00.tar,t-01.tar,t-02.tar}"),
    }
    source: Any = open_source(given[form])
    assert source.tars == [str(tar) for tar in tars]
    assert [source.name(i)[-8:-4] for i in range(9)] == [f"{10 * i + k:04}" for i in range(3) for k in range(3)]
    assert source.fetch([8, 0, 4]) == [PICTURES[22 % 5], PICTURES[0], PICTURES[11 % 5]]


def test_braces_keep_leading_zeros() -> None:
    assert expand_braces("a-{008..011}-{x,y}.tar")[:3] == ["a-008-x.tar", "a-008-y.tar", "a-009-x.tar"]
    assert expand_braces("{8..10}") == ["8", "9", "10"]
    assert expand_braces("{10..8}") == ["10", "9", "8"]
    assert expand_braces("plain.tar") == ["plain.tar"]


def test_members_of_a_sample_may_come_in_any_order_and_others_are_left(tmp_path: Path) -> None:
    members = [
        ("n/1.cls", b"7"),
        ("n/1.json", b"{}"),
        ("n/1.seg.png", b"no picture of the sample"),
        ("n/1.JPG", PICTURES[0]),
        ("n/2.png", b"png"),
        ("n/2.jpeg", PICTURES[1]),
        ("n/2.cls", b" 8 "),
        ("n/3.cls", b"9"),
        ("._4.jpg", b"left behind by an archiver"),
    ]
    source = TarSource(write(tmp_path / "a.tar", members))
    assert [(source.name(i).split(":")[1], source.target(i)) for i in range(len(source))] == [("n/1.JPG", 7), ("n/2.jpeg", 8)]


def test_words_for_classes_are_numbered(tmp_path: Path) -> None:
    words = ["dog", "cat", "dog"]
    members = [m for i, word in enumerate(words) for m in ((f"{i}.jpg", PICTURES[i]), (f"{i}.cls", word.encode()))]
    source = TarSource(write(tmp_path / "a.tar", members))
    assert source.classes == ["cat", "dog"]
    assert [source.target(i) for i in range(3)] == [1, 0, 1]


def test_numbers_too_large_for_a_target_are_words(tmp_path: Path) -> None:
    source = TarSource(write(tmp_path / "a.tar", [("0.jpg", PICTURES[0]), ("0.cls", b"99999999999999999999")]))
    assert source.classes == ["99999999999999999999"] and source.target(0) == 0


def test_a_tar_that_went_away_gives_bad_files_and_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = TarSource([write(tmp_path / "a.tar", samples(0, 2)), write(tmp_path / "b.tar", samples(2, 2))])
    (tmp_path / "b.tar").unlink()
    with caplog.at_level(logging.WARNING):
        batch = dctload.extract(source.fetch([0, 3, 1]), on_error="mark")
    assert batch.status == ("ok", "io_error", "ok")
    error = batch.error(1)
    assert error is not None
    assert error.source == f"{tmp_path}/b.tar:0003.jpg"
    assert "b.tar cannot be read" in caplog.text


def test_a_tar_that_was_cut_gives_what_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(0, 2))
    source = TarSource(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(PICTURES[1]) + 100])
    assert source.fetch([0, 1]) == [PICTURES[0], PICTURES[1][:100]]


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("gz", None, "there is no header at byte 0.*decompress it"),
        ("empty", b"", "it is empty"),
        ("text", b"words " * 200, "there is no header at byte 0"),
        ("short", b"words", "it ends inside the header at byte 0"),
    ],
)
def test_what_is_no_tar_says_so(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    path = tmp_path / f"{name}.tar"
    if data is None:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(Path(__file__), "a.jpg")
    else:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}.tar cannot be read as an uncompressed tar file: {message}"):
        open_source(path)


def with_field(path: Path, at: int, field: bytes) -> Path:
    """The tar with other bytes in its first header, and a checksum to match."""
    data = bytearray(path.read_bytes())
    data[at : at + len(field)] = field
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "at, field, message",
    [
        (124, b"-0000001000\0", "the size in the header at byte 0 is no number"),
        (124, b"\x80" + bytes(7) + b"\xff" * 4, "it ends inside the member at byte 512"),
        (156, b"S", "there is a sparse file at byte 0"),
        (156, b"x", "the extended header at byte 0 is damaged"),
        (156, b"x\0", "the extended header at byte 0 is damaged"),
    ],
)
def test_a_damaged_header_is_found(tmp_path: Path, at: int, field: bytes, message: str) -> None:
    path = with_field(write(tmp_path / "a.tar", samples(0, 2), tarfile.USTAR_FORMAT), at, field)
    with pytest.raises(ValueError, match=message):
        open_source(path)


def test_a_header_without_magic_is_held_to_its_checksum(tmp_path: Path) -> None:
    path = with_field(write(tmp_path / "a.tar", samples(0, 2), tarfile.USTAR_FORMAT), 257, bytes(8))
    assert len(open_source(path)) == 2
    data = path.read_bytes()
    path.write_bytes(b"1" + data[1:])
    with pytest.raises(ValueError, match="there is no header at byte 0"):
        open_source(path)


def test_a_tar_that_ends_early_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(0, 3))
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(PICTURES[2]) + 9])
    with pytest.raises(ValueError, match=r"a\.tar cannot be read.*ends inside the member"):
        open_source(path)


def test_a_sample_without_a_class_and_a_tar_without_samples_say_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.tar: the sample 1 has 1.jpg but no 1.cls"):
        open_source(write(tmp_path / "a.tar", [("1.jpg", b"")]))
    with pytest.raises(ValueError, match=r"b\.tar holds no samples; expected members such as 0001.jpg and 0001.cls"):
        open_source(write(tmp_path / "b.tar", [("1.txt", b"")]))
    with pytest.raises(FileNotFoundError, match=r"c\.tar does not exist"):
        open_source(tmp_path / "c.tar")
    with pytest.raises(FileNotFoundError, match=r"no tar file fits .*d-\*\.tar"):
        open_source(str(tmp_path / "d-*.tar"))


class TestURLs:
    """Through fsspec's memory file system: what is no local path is read by ranges."""

    @pytest.fixture
    def memory(self, tmp_path: Path) -> Any:
        fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
        system = fsspec.filesystem("memory")
        for i in range(2):
            system.pipe(f"/set/t-{i}.tar", write(tmp_path / "x.tar", samples(10 * i, 3)).read_bytes())
        yield system
        system.rm("/set", recursive=True)

    @pytest.mark.parametrize("url", ["memory://set/t-{0..1}.tar", "memory://set/t-*.tar"])
    def test_tars_are_read(self, memory: Any, tmp_path: Path, url: str) -> None:
        source = open_source(url, cache_dir=tmp_path / "cache")
        assert [source.target(i) for i in range(6)] == [0, 1, 2, 1, 2, 0]
        assert source.fetch([5, 0, 3]) == [PICTURES[12 % 5], PICTURES[0], PICTURES[10 % 5]]
        assert source.name(0).endswith("set/t-0.tar:0000.jpg")

    def test_the_index_is_kept_until_the_file_changes(self, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        url, cache = "memory://set/t-0.tar", tmp_path / "cache"
        first = open_source(url, cache_dir=cache)
        with monkeypatch.context() as patch:
            patch.setattr(type(memory), "open", lambda *_, **__: pytest.fail("read through again"))
            again = open_source(url, cache_dir=cache)
        assert [again.name(i) for i in range(len(again))] == [first.name(i) for i in range(len(first))]
        memory.pipe("/set/t-0.tar", write(tmp_path / "y.tar", samples(0, 4)).read_bytes())
        assert len(open_source(url, cache_dir=cache)) == 4

    def test_what_cannot_be_kept_leaves_no_file(self, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        assert len(open_source("memory://set/t-0.tar", cache_dir=tmp_path / "cache")) == 3
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_damaged_or_missing_cache_is_done_without(self, memory: Any, tmp_path: Path) -> None:
        url, cache = "memory://set/t-0.tar", tmp_path / "cache"
        open_source(url, cache_dir=cache)
        for kept in cache.iterdir():
            kept.write_text("[1, 2")
        assert len(open_source(url, cache_dir=cache)) == 3
        (tmp_path / "file").write_text("no folder")
        assert len(open_source(url, cache_dir=tmp_path / "file")) == 3

    def test_a_tar_that_went_away_gives_bad_files(self, memory: Any, tmp_path: Path) -> None:
        source = open_source("memory://set/t-{0..1}.tar", cache_dir=tmp_path)
        memory.rm("/set/t-1.tar")
        assert dctload.extract(source.fetch([0, 4]), on_error="mark").status == ("ok", "io_error")

    @pytest.mark.parametrize("method, url", [("info", "t-0.tar"), ("glob", "t-*.tar"), ("open", "t-0.tar")])
    def test_what_a_storage_client_raises_is_told_with_the_url(
        self, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, url: str
    ) -> None:
        cause = RuntimeError("no credentials")

        def refuse(*_: object, **__: object) -> None:
            raise cause

        monkeypatch.setattr(type(memory), method, refuse)
        with pytest.raises(OSError, match=r"^memory://set/t-.\.tar cannot be read: RuntimeError: no credentials$") as caught:
            open_source(f"memory://set/{url}", cache_dir=tmp_path)
        assert caught.value.__cause__ is cause

    def test_pairs_may_hold_urls(self, memory: Any) -> None:
        memory.pipe("/set/[a]*.jpg", PICTURES[3])
        source = open_source([("memory://set/[a]*.jpg", 4), (PICTURES[0], 5), ("memory://set/none.jpg", 6)])
        assert source.fetch([0, 1]) == [PICTURES[3], PICTURES[0]]
        assert source.name(0) == "memory://set/[a]*.jpg"
        assert dctload.extract(source.fetch([0, 1, 2]), on_error="mark").status == ("ok", "ok", "io_error")

    def test_a_url_of_something_else_says_what_can_be_read(self) -> None:
        with pytest.raises(ValueError, match=r"memory://set/ does not end in \.tar; of URLs, WebDataset tar files"):
            open_source("memory://set/")
        pytest.importorskip("fsspec", reason="fsspec is not installed")
        with pytest.raises(ValueError, match=r"nothing://a\.tar: .*expected a local path, or a URL that fsspec reads"):
            open_source("nothing://a.tar")
