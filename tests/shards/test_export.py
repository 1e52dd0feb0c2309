"""What comes out of shards: JPEG files of the same pixels, tars that other programs read, and nothing outside of the folder."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("jpeglib")
image_module = pytest.importorskip("PIL.Image")

import dctload
from dctload import shards
from dctload.shards.exported_names import ExportedNames
from dctload.shards.exporting import export
from dctload.shards.jpeg_writer import write_jpeg
from dctload.sources import open_source
from support import jpeg_builder as jb
from support.real_files import DATA, needs_real_files
from support.shard_sets import files_of, image_folder, images_of, picture

# A decoder smooths progressive files whose last scans lack; the whole file that is written has nothing to smooth.
SMOOTHED = {
    "fuzz-ok__lepton_jpeg_rust__6f6690eba3eb.jpg",
    "partial-scans__wuffs__peacock.progressive.scan000.jpeg",
    "partial-scans__wuffs__peacock.progressive.scan004.jpeg",
    "progressive__wuffs__peacock.progressive.scan003.jpeg",
}
BOMBS = {"extreme-size__gdk-pixbuf__issue205.jpg", "extreme-size__jpeg-decoder__max_size.jpg"}


def pixels(data: bytes) -> Any:
    return np.asarray(image_module.open(io.BytesIO(data)))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    shards.extract(image_folder(tmp_path / "src"), tmp_path / "a.dct", "all", shard_size="8KiB")
    return tmp_path / "a.dct"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --------------------------------------------------------------------------------------------------------- JPEG files


def test_exported_files_decode_to_the_pixels_of_their_sources(tmp_path: Path, stored: Path) -> None:
    summary = export(stored, tmp_path / "out")
    paths = images_of(tmp_path / "src")
    assert summary.images == summary.files == len(paths) == 12 and summary.failed == []
    assert set(tree(tmp_path / "out")) == {f"{p.parent.name}/{p.name}" for p in paths}
    assert summary.nbytes == sum(map(len, tree(tmp_path / "out").values()))
    for path in paths:
        new = (tmp_path / "out" / path.parent.name / path.name).read_bytes()
        np.testing.assert_array_equal(pixels(new), pixels(path.read_bytes()))


@needs_real_files
@pytest.mark.parametrize("folder, step", [("imagenet-sample", 9), ("cats-dogs/val/cat", 10)])
def test_real_photographs_keep_their_pixels_and_make_the_same_shards_again(tmp_path: Path, folder: str, step: int) -> None:
    (tmp_path / "src" / "a").mkdir(parents=True)
    for path in sorted(p for p in (DATA / folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))[::step]:
        shutil.copy(path, tmp_path / "src" / "a")
    shards.extract(tmp_path / "src", tmp_path / "a.dct", "all")
    export(tmp_path / "a.dct", tmp_path / "out")
    for name, data in tree(tmp_path / "out").items():
        np.testing.assert_array_equal(pixels(data), pixels((tmp_path / "src" / name).read_bytes()))
    again = dctload.extract(images_of(tmp_path / "out"), "all")
    first = dctload.extract(images_of(tmp_path / "src"), "all")
    for a, b in zip(dctload.unpack_reference(again), dctload.unpack_reference(first), strict=True):
        assert a is not None and b is not None
        for mine, own in zip(a.planes, b.planes, strict=True):
            np.testing.assert_array_equal(mine, own)


@needs_real_files
def test_odd_files_keep_their_pixels_whatever_their_colours_and_sampling() -> None:
    seen: set[tuple[str, str]] = set()
    for path in sorted((DATA / "jpeg-corpus").iterdir()):
        if path.name in BOMBS or path.suffix == ".tsv":
            continue
        try:
            image = dctload.read_coefficients(path)
            theirs = pixels(path.read_bytes())
        except (dctload.JPEGError, OSError, SyntaxError, image_module.DecompressionBombError):
            continue
        data = write_jpeg(image.planes, image.header)
        if path.name in SMOOTHED:
            for mine, own in zip(dctload.read_coefficients(data).planes, image.planes, strict=True):
                np.testing.assert_array_equal(mine, own, err_msg=path.name)
            continue
        np.testing.assert_array_equal(pixels(data), theirs, err_msg=path.name)
        seen.add((image.header.color_space, image.header.subsampling))
    kinds = {color for color, _ in seen}
    assert kinds == {"gray", "ycbcr", "rgb", "cmyk", "ycck"}
    assert {"4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "4:1:0"} <= {subsampling for _, subsampling in seen}


@needs_real_files
def test_orientation_is_kept(tmp_path: Path) -> None:
    paths = sorted((DATA / "jpeg-corpus").glob("orientation__*"))
    turned = [dctload.read_coefficients(path) for path in paths]
    assert {image.header.orientation for image in turned} >= {2, 3, 4, 5, 6, 7, 8}
    for image in turned:
        data = write_jpeg(image.planes, image.header)
        assert dctload.read_header(data).orientation == image.header.orientation
        assert image_module.open(io.BytesIO(data)).getexif().get(0x0112, 1) == image.header.orientation


@pytest.mark.parametrize(
    "factors, scans",
    [(((2, 2), (1, 1), (1, 1)), 1), (((1, 1), (1, 1)), 2), (((4, 2), (2, 1), (1, 1)), 3), (((1, 2), (1, 1), (2, 1), (1, 1)), 4)],
)
def test_components_that_fit_no_one_scan_have_scans_of_their_own(factors: Any, scans: int) -> None:
    rng = np.random.default_rng(4)
    width, height = 75, 45
    parts, planes = [], []
    for k, ((h, v), (rows, cols)) in enumerate(zip(factors, jb.grid(width, height, factors), strict=True)):
        parts.append(dctload.Component(7, h, v, rows, cols, np.full(64, 300 + k, np.uint16)))  # all of one number, 16-bit tables
        planes.append(rng.integers(-40, 41, (64, rows, cols)).astype(np.int16))
    color = {2: "unknown", 3: "ycbcr", 4: "cmyk"}[len(factors)]
    header = dctload.Header(width, height, 8, 1, "baseline", color, 0, 1, tuple(parts))
    data = write_jpeg(planes, header)
    back = dctload.read_coefficients(data)
    assert data.count(b"\xff\xda") == scans and back.header.process == "extended" and back.header.color_space == color
    assert [(c.h, c.v) for c in back.header.components] == list(factors)
    for mine, own in zip(back.planes, planes, strict=True):
        np.testing.assert_array_equal(mine, own)


def test_without_jpeglib_one_line_says_what_to_install(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    with pytest.raises(ImportError, match=r"writing JPEG files needs jpeglib: pip install 'dctload\[export\]'"):
        export(stored, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(stored, tmp_path / "out", "webdataset", payload="dct")


def test_coefficients_that_no_jpeg_holds_are_refused() -> None:
    image = dctload.read_coefficients(picture(0))
    planes = [plane.copy() for plane in image.planes]
    planes[0][5, 0, 0] = 1024
    with pytest.raises(ValueError, match="AC coefficient of 1024"):
        write_jpeg(planes, image.header)


@pytest.mark.parametrize("low, high, fits", [(-1024, 1023, True), (0, 2047, True), (-1024, 1024, False), (0, 2048, False)])
def test_dc_coefficients_differ_by_what_a_jpeg_holds(low: int, high: int, fits: bool) -> None:
    image = dctload.read_coefficients(picture(2))
    planes = [plane.copy() for plane in image.planes]
    planes[0][0] = low
    planes[0][0, 0, 1] = high
    if fits:
        np.testing.assert_array_equal(dctload.read_coefficients(write_jpeg(planes, image.header)).planes[0], planes[0])
    else:
        with pytest.raises(ValueError, match="two DC coefficients differ by more"):
            write_jpeg(planes, image.header)


def test_a_set_without_all_frequencies_is_refused_unless_loss_is_meant(tmp_path: Path) -> None:
    shards.extract(image_folder(tmp_path / "src", 2), tmp_path / "a.dct", "24s")
    with pytest.raises(ValueError, match=r"24 of 192 frequencies.*lossy=True"):
        export(tmp_path / "a.dct", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(tmp_path / "a.dct", tmp_path / "out", lossy=True)
    path = images_of(tmp_path / "src")[0]
    new = dctload.read_coefficients(tmp_path / "out" / "a" / path.name)
    want, kept = dctload.read_coefficients(path, "24s"), set(dctload.ChannelSelection.parse("24s").y)
    np.testing.assert_array_equal(new.planes[0][sorted(kept)], want.planes[0])
    assert not new.planes[0][sorted(set(range(64)) - kept)].any()


# -------------------------------------------------------------------------------------------------------------- names


def test_names_stay_inside_of_the_folder_and_are_given_once() -> None:
    names = ExportedNames(with_extension=True)
    keys = ["../../etc/a.jpg", "/etc/a.jpg", "etc/./a.jpg", "b.png", "b.jpg", "c", "..", "d/e.JPEG", "x.tar/d/e.JPEG"]
    assert [names.name(key, i) for i, key in enumerate(keys)] == [
        "etc/a.jpg",
        "etc/a-2.jpg",
        "etc/a-3.jpg",
        "b.jpg",
        "b-2.jpg",
        "c.jpg",
        "image-6.jpg",
        "d/e.JPEG",
        "x.tar/d/e.JPEG",
    ]


def test_equal_names_are_numbered_on_whatever_else_has_a_number() -> None:
    names = ExportedNames(with_extension=True)
    keys = ["a.jpg", "a-2.jpg", "a.jpg", "a-2.jpg", "a.jpg"]
    assert [names.name(key, i) for i, key in enumerate(keys)] == ["a.jpg", "a-2.jpg", "a-3.jpg", "a-2-2.jpg", "a-4.jpg"]


def test_names_are_what_a_file_system_holds(tmp_path: Path) -> None:
    """Datasets and tars have longer ones, and files where others have folders."""
    keys = [*["é" * 200 + ".jpeg"] * 2, "x" * 300 + "/b.jpg", "c.jpg", "c.jpg/d.jpg", "e" * 251 + ".jpg"]
    names = ExportedNames(with_extension=True)
    found = [names.name(key, i) for i, key in enumerate(keys)]
    assert len(set(found)) == len(keys) and found[5] == keys[5]
    for name in found:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")


def test_names_of_samples_have_no_dots() -> None:
    names = ExportedNames(with_extension=False)
    assert [names.name(key, 0) for key in ["v1.0/cat.1.jpg", "v1.0/cat_1.png", "dog.2"]] == [
        "v1.0/cat_1",
        "v1.0/cat_1-2",
        "dog_2",
    ]


def test_absolute_keys_land_in_the_folder(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 2)
    shards.extract([(str(path), 0) for path in images_of(root)], tmp_path / "a.dct", "all")
    export(tmp_path / "a.dct", tmp_path / "out")
    inside = [str(path.absolute()).lstrip("/") for path in images_of(root)]
    assert sorted(tree(tmp_path / "out")) == sorted(inside)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, stored: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        export(stored, tmp_path / "out")
    for name in ("mine.txt", "mine.txt/below"):
        with pytest.raises(FileExistsError, match=r"/mine\.txt is a file; give the name of a folder"):
            export(stored, tmp_path / "out" / name)
    assert tree(tmp_path / "out") == {"mine.txt": b"kept"}


def test_a_url_is_told_to_be_copied_to(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ValueError, match="gs://b/x is a URL; files are written to a local folder only"):
        export(stored, "gs://b/x")
    assert not list((tmp_path / "empty").iterdir())


def test_no_more_extractors_are_made_than_there_are_batches(
    tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    class Counted(dctload.Extractor):
        def __init__(self, num_threads: int) -> None:
            made.append(num_threads)
            assert len(made) < 10
            super().__init__(num_threads)

    monkeypatch.setattr("dctload.shards.exporting.Extractor", Counted)
    assert export(stored, tmp_path / "out", workers=100_000_000).images == len(shards.open(stored))
    assert made == [1]


# --------------------------------------------------------------------------------------------------------------- tars


def test_tars_are_a_source_of_the_same_images_and_targets(tmp_path: Path, stored: Path) -> None:
    summary = export(stored, tmp_path / "out", "webdataset", shard_size="16KiB")
    tars = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in tars] == [f"shard-{i:06d}.tar" for i in range(summary.files)] and summary.files > 2
    source, first = open_source([str(path) for path in tars]), shards.open(stored)
    assert [source.target(i) for i in range(len(source))] == first.targets.tolist()
    again = dctload.extract(source.fetch(range(len(source))), "all")
    for new, path in zip(dctload.unpack_reference(again), images_of(tmp_path / "src"), strict=True):
        assert new is not None
        for mine, own in zip(new.planes, dctload.read_coefficients(path).planes, strict=True):
            np.testing.assert_array_equal(mine, own)


def test_the_bytes_do_not_depend_on_threads_and_hold_no_times(tmp_path: Path, stored: Path) -> None:
    for workers in (1, 3):
        export(stored, tmp_path / f"tar{workers}", "webdataset", shard_size="16KiB", workers=workers)
        export(stored, tmp_path / f"jpeg{workers}", workers=workers)
    assert files_of(tmp_path / "tar1") == files_of(tmp_path / "tar3")
    assert tree(tmp_path / "jpeg1") == tree(tmp_path / "jpeg3")
    with tarfile.open(tmp_path / "tar1" / "shard-000000.tar") as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert [m.name for m in members[:4]] == ["a/000.jpg", "a/000.cls", "a/002.jpg", "a/002.cls"]


def test_tars_of_records_hold_what_is_stored(tmp_path: Path) -> None:
    shards.extract(image_folder(tmp_path / "src"), tmp_path / "a.dct", "24s")
    export(tmp_path / "a.dct", tmp_path / "out", "webdataset", payload="dct")
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        records = [tar.extractfile(m).read() for m in tar.getmembers() if m.name.endswith(".dct")]  # type: ignore[union-attr]
    assert bytes(dctload.PackedBatch.join(records).buffer) == bytes(shards.open(tmp_path / "a.dct").read(range(12)).buffer)


def test_targets_that_are_no_numbers_are_texts_or_json(tmp_path: Path) -> None:
    items = [(picture(0), "tabby"), (picture(1), {"box": [1, 2]}), (picture(2), 7)]
    shards.extract(items, tmp_path / "a.dct", "all")
    export(tmp_path / "a.dct", tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        said = [tar.extractfile(m).read() for m in tar.getmembers() if not m.name.endswith(".jpg")]  # type: ignore[union-attr]
        kinds = [m.name.rpartition(".")[2] for m in tar.getmembers() if not m.name.endswith(".jpg")]
    assert said == [b"tabby", b'{"box": [1, 2]}', b"7"] and kinds == ["cls", "json", "cls"]


def test_texts_that_are_no_unicode_are_spelt_out(tmp_path: Path) -> None:
    shards.extract([(picture(0), "n\udce9"), (picture(1), ["n\udce9"])], tmp_path / "a.dct", "all")
    export(tmp_path / "a.dct", tmp_path / "out", "webdataset")
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        said = [tar.extractfile(m).read() for m in tar.getmembers() if not m.name.endswith(".jpg")]  # type: ignore[union-attr]
    assert said == [rb"n\udce9", rb'["n\udce9"]']


# ------------------------------------------------------------------------------------------------------------- failures


def damage(folder: Path, image: int) -> None:
    """Flips a bit in the middle of a record."""
    index = shards.open(folder)
    shard, offset, nbytes = (int(index.column(name)[image].as_py()) for name in ("shard", "offset", "nbytes"))
    path = folder / f"shard-{shard:05d}.arrow"
    data = bytearray(path.read_bytes())
    data[offset + nbytes // 2] ^= 4
    path.write_bytes(data)


def test_a_damaged_record_is_named_or_left_out(tmp_path: Path, stored: Path) -> None:
    key = shards.open(stored).keys[5]
    damage(stored, 5)
    with pytest.raises(dctload.JPEGError, match=key) as caught:
        export(stored, tmp_path / "out")
    assert (caught.value.code, caught.value.source, caught.value.index) == ("record_damaged", key, 5)
    summary = export(stored, tmp_path / "second", on_error="skip")
    assert summary.images == 11 and [(k, code) for k, code, _ in summary.failed] == [(key, "record_damaged")]
    assert key not in tree(tmp_path / "second") and len(tree(tmp_path / "second")) == 11


def test_nothing_half_written_is_seen(tmp_path: Path, stored: Path) -> None:
    damage(stored, 5)
    with pytest.raises(dctload.JPEGError):
        export(stored, tmp_path / "out", "webdataset", shard_size="1GiB")
    assert tree(tmp_path / "out") == {}


FULL = """
import resource, sys
from dctload.shards.exporting import export
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    export(sys.argv[1], sys.argv[2], sys.argv[4], payload=sys.argv[5], on_error="skip", shard_size="1GiB")
except OSError as error:
    print(error)
"""


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("room", [100, 5_000, 20_000])
def test_a_full_disk_leaves_no_half_of_a_tar(tmp_path: Path, stored: Path, room: int) -> None:
    """The bound on a file's size stands for the disk's: the system refuses the write in the middle of a file."""
    command = [sys.executable, "-c", FULL, str(stored), str(tmp_path / "out"), str(room), "webdataset", "dct"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path}/out/shard-000000.tar: ") and done.stdout.count("\n") == 1, done
    assert "MiB free; make room and export again into an empty folder" in done.stdout
    assert tree(tmp_path / "out") == {}


@pytest.mark.no_sanitizer
def test_no_room_for_the_jpeg_writer_is_no_fault_of_the_images(tmp_path: Path, stored: Path) -> None:
    command = [sys.executable, "-c", FULL, str(stored), str(tmp_path / "out"), "1000", "jpeg", "jpeg"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "make room there, or name another folder in TMPDIR" in done.stdout and done.stdout.count("\n") == 1, done


def test_progress_counts_every_image(tmp_path: Path, stored: Path) -> None:
    told: list[tuple[int, int, int]] = []
    summary = export(stored, tmp_path / "out", progress=lambda *numbers: told.append(numbers))
    assert [done for done, _, _ in told] == list(range(1, 13)) and {total for _, total, _ in told} == {12}
    assert told[-1][2] == summary.nbytes


@pytest.mark.parametrize("wrong", [{"to": "png"}, {"payload": "dct"}, {"on_error": "mark"}, {"workers": -1}])
def test_wrong_arguments_are_refused(tmp_path: Path, stored: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        export(stored, tmp_path / "out", **wrong)
