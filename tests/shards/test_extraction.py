"""What `extract` stores: the records that decoding gives, under keys and targets, whatever the threads; and what it refuses."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import dctload
from dctload.shards import recording
from dctload.shards.extraction import extract
from dctload.shards.layout import Manifest
from dctload.shards.plan import parse_size
from dctload.shards.reader import open_set
from dctload.shards.verification import verify
from dctload.shards.writer import RESUME, write_error
from support.shard_sets import LAYOUTS, files_of, image_folder, image_tar, images_of, picture

SMALL = "8KiB"  # some images a shard


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("shard-*")) for row in pa.ipc.open_file(path.read_bytes()).read_all().to_pylist()]


def index(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.ipc.open_file((folder / "index.arrow").read_bytes()).read_all().to_pylist()
    return found


def manifest(folder: Path) -> Manifest:
    return Manifest.from_json((folder / "manifest.json").read_text(), "manifest")


def records(sources: list[Any], channels: str = "64s") -> list[bytes]:
    packed = dctload.extract(sources, channels=channels)
    return [bytes(packed.image_bytes(i)) for i in range(len(packed))]


# ---------------------------------------------------------------------------------------------------------- what is stored


@pytest.mark.parametrize("channels", ["24s", "64s", "all", "y:0,1;cb:0;cr:"])
def test_records_are_those_of_decoding(tmp_path: Path, channels: str) -> None:
    root = image_folder(tmp_path / "src")
    summary = extract(root, tmp_path / "a.dct", channels, shard_size=SMALL)
    found, paths = rows(tmp_path / "a.dct"), images_of(root)
    assert [row["record"] for row in found] == records(list(paths), channels)
    assert [row["key"] for row in found] == [f"{path.parent.name}/{path.name}" for path in paths]
    assert [row["target"] for row in found] == [0] * 6 + [1] * 6
    headers = [dctload.read_header(path) for path in paths]
    assert [(row["width"], row["height"], row["orientation"]) for row in found] == [(h.width, h.height, 1) for h in headers]
    assert [row["source_bytes"] for row in found] == [path.stat().st_size for path in paths]
    assert {row["status"] for row in found} == {"ok"} and {row["error"] for row in found} == {None}
    assert summary.images == 12 and summary.failed == [] and summary.is_complete and summary.seconds > 0
    assert summary.nbytes == sum(map(len, records(list(paths), channels)))
    assert summary.source_bytes == sum(path.stat().st_size for path in paths)


def test_the_index_points_at_the_records(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL)
    found, want = index(out), records(list(images_of(root)))
    assert len({row["shard"] for row in found}) > 2 and [row["sample"] for row in found] == list(range(12))
    for row, record, stored in zip(found, want, rows(out), strict=True):
        data = (out / f"shard-{row['shard']:05d}.arrow").read_bytes()
        assert data[row["offset"] : row["offset"] + row["nbytes"]] == record
        assert {name: row[name] for name in ("key", "target", "label", "width", "height", "orientation", "status")} == {
            name: stored[name] for name in ("key", "target", "label", "width", "height", "orientation", "status")
        }


def test_the_manifest_says_what_the_set_is(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    extract(root, out, "24s", shard_size=SMALL, fallback="transcode")
    facts = manifest(out)
    assert dctload.ChannelSelection.parse(facts.channels).name == "24s" and facts.classes == ["a", "b"]
    assert (facts.images, facts.failed, facts.quantization) == (12, 0, "source")
    assert facts.command == f"dctload extract {root} DST --channels 24s --shard-size 8KiB --fallback transcode"
    for shard in facts.shards:
        data = (out / shard.name).read_bytes()
        assert (shard.nbytes, shard.crc32c) == (len(data), dctload._core.crc32c(data))
    assert sum(shard.images for shard in facts.shards) == 12
    assert facts.index_crc32c == dctload._core.crc32c((out / "index.arrow").read_bytes())
    assert sorted(path.name for path in out.iterdir()) == ["index.arrow", "manifest.json", *(s.name for s in facts.shards)]


def test_plain_arrow_reads_a_set_without_dctload(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL)
    code = """
import json, sys
import pyarrow as pa
out = sys.argv[1]
rows = [row for shard in json.load(open(out + "/manifest.json"))["shards"]
        for row in pa.ipc.open_file(pa.memory_map(out + "/" + shard["name"])).read_all().to_pylist()]
assert not any(name.startswith("dctload") for name in sys.modules)
print(json.dumps([[row["key"], row["target"], row["record"].hex()] for row in rows]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True)
    want = [[row["key"], row["target"], row["record"].hex()] for row in rows(out)]
    assert json.loads(done.stdout) == want and len(want) == 12


@pytest.mark.parametrize("workers", [2, 5])
def test_threads_do_not_change_a_byte(tmp_path: Path, workers: int) -> None:
    root = image_folder(tmp_path / "src", 30)
    extract(root, tmp_path / "one.dct", workers=1, shard_size=SMALL)
    extract(root, tmp_path / "many.dct", workers=workers, shard_size=SMALL)
    assert len(manifest(tmp_path / "one.dct").shards) > workers
    assert files_of(tmp_path / "one.dct") == files_of(tmp_path / "many.dct")


def test_a_source_that_moved_gives_the_same_shards(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src")
    (root / "a" / "bad.jpg").write_bytes(b"junk")
    shutil.copytree(root, tmp_path / "elsewhere" / "moved")
    for name, source in (("a.dct", root), ("b.dct", tmp_path / "elsewhere" / "moved")):
        extract(source, tmp_path / name, shard_size=SMALL, on_error="skip")
    a, b = files_of(tmp_path / "a.dct"), files_of(tmp_path / "b.dct")
    assert {name for name in a if a[name] != b[name]} == {"manifest.json"}  # the command names the source


@pytest.mark.parametrize("nbytes, shards", [(1, 12), (1 << 30, 1)])
def test_a_shard_holds_one_image_at_least_and_all_at_most(tmp_path: Path, nbytes: int, shards: int) -> None:
    assert extract(image_folder(tmp_path / "src"), tmp_path / "a.dct", shard_size=nbytes).shards == shards


def test_shards_have_about_the_size_that_was_asked_for(tmp_path: Path) -> None:
    extract([(picture(i % 7), 0) for i in range(400)], tmp_path / "a.dct", shard_size="128KiB")
    sizes = [shard.nbytes for shard in manifest(tmp_path / "a.dct").shards[:-1]]
    assert len(sizes) > 3 and all(0.8 < size / (128 << 10) < 1.3 for size in sizes)


@pytest.mark.parametrize(
    "text, nbytes",
    [("256MiB", 256 << 20), ("1.5 KiB", 1536), ("100MB", 10**8), ("2g", 2 * 10**9), ("77", 77), (12, 12), ("1TiB", 1 << 40)],
)
def test_sizes_are_read_with_their_units(text: int | str, nbytes: int) -> None:
    assert parse_size(text) == nbytes


@pytest.mark.parametrize("text", ["", "MiB", "-1MiB", "0", 0, "1XB", "1e9", "9" * 400 + "T", 2**63])
def test_what_is_no_size_is_refused(text: int | str) -> None:
    with pytest.raises(ValueError, match="size is"):
        parse_size(text)


# --------------------------------------------------------------------------------------------------------- other sources


def test_bytes_paths_and_targets_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(picture(1))
    targets: list[Any] = [7, "word", [1, 2], None, 0.5, np.int64(-3), np.array([1.0, 2.0]), True, 2**70]
    items: list[Any] = [(picture(k), target) for k, target in enumerate(targets)] + [(tmp_path / "x.jpg", 1)]
    extract(items, tmp_path / "a.dct")
    found = rows(tmp_path / "a.dct")
    assert [row["key"] for row in found] == [f"sample {k}" for k in range(9)] + [str(tmp_path / "x.jpg")]
    assert [row["target"] for row in found] == [7, None, None, None, None, -3, None, None, None, 1]
    labels = [None if row["label"] is None else json.loads(row["label"]) for row in found]
    assert labels == [None, "word", [1, 2], None, 0.5, None, [1.0, 2.0], True, 2**70, None]
    assert found[3]["label"] == "null" and found[0]["label"] is None
    assert [row["record"] for row in found] == records([item for item, _ in items])
    assert manifest(tmp_path / "a.dct").classes is None


def test_a_target_with_half_a_surrogate_pair_comes_back(tmp_path: Path) -> None:
    """As in names of files that are no UTF-8."""
    targets = ["caf\udce9", {"name": "\ud83d"}]
    extract([(picture(k), target) for k, target in enumerate(targets)], tmp_path / "a.dct")
    assert [json.loads(row["label"]) for row in rows(tmp_path / "a.dct")] == targets


def test_a_target_that_cannot_be_stored_names_its_sample(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"sample 1: the target, of type object, cannot be stored"):
        extract([(picture(0), 0), (picture(1), object())], tmp_path / "a.dct")
    assert not (tmp_path / "a.dct").exists()


def test_tars_have_their_members_as_keys(tmp_path: Path) -> None:
    tars = [image_tar(tmp_path / "t" / f"train-{k}.tar", range(5 * k, 5 * k + 5)) for k in range(2)]
    extract([str(tar) for tar in tars], tmp_path / "a.dct", shard_size=SMALL)
    found = rows(tmp_path / "a.dct")
    assert [row["key"] for row in found] == [f"train-{i // 5}.tar/{i:04d}.jpg" for i in range(10)]
    assert [row["target"] for row in found] == [i % 3 for i in range(10)]
    assert [row["record"] for row in found] == records([picture(i) for i in range(10)])


def test_tars_of_the_same_name_in_two_folders_keep_apart(tmp_path: Path) -> None:
    tars = [image_tar(tmp_path / folder / "0.tar", range(2)) for folder in ("x", "y")]
    extract([str(tar) for tar in tars], tmp_path / "a.dct")
    assert [row["key"] for row in rows(tmp_path / "a.dct")] == [f"{f}/0.tar/{i:04d}.jpg" for f in "xy" for i in range(2)]


def test_a_dataset_is_read_item_by_item(tmp_path: Path) -> None:
    class Dataset:
        classes = ("n", "m")

        def __len__(self) -> int:
            return 70

        def __getitem__(self, i: int) -> dict[str, Any]:
            return {"image": {"bytes": picture(i % 9), "path": f"p{i}"}, "label": i % 2}

    extract(Dataset(), tmp_path / "a.dct", shard_size=SMALL)
    found = rows(tmp_path / "a.dct")
    assert [(row["key"], row["target"]) for row in found] == [(f"p{i}", i % 2) for i in range(70)]
    assert [row["record"] for row in found] == records([picture(i % 9) for i in range(70)])


def test_a_name_that_is_no_unicode_is_spelt_out(tmp_path: Path) -> None:
    path = tmp_path / "bad\udce9.jpg"
    try:
        path.write_bytes(picture(0))
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    extract([(path, 0)], tmp_path / "a.dct")
    assert rows(tmp_path / "a.dct")[0]["key"].endswith(r"bad\udce9.jpg") and index(tmp_path / "a.dct")[0]["status"] == "ok"


# -------------------------------------------------------------------------------------------------- files that are bad


def with_bad_files(root: Path) -> Path:
    image_folder(root)
    (root / "a" / "002.jpg").write_bytes(b"nonsense, and more of it")
    (root / "b" / "005.jpg").write_bytes(picture(5)[:-200])
    (root / "b" / "zz.jpg").symlink_to("nowhere.jpg")
    return root


def test_bad_files_are_skipped_and_listed(tmp_path: Path) -> None:
    root, out = with_bad_files(tmp_path / "src"), tmp_path / "a.dct"
    summary = extract(root, out, shard_size=SMALL, on_error="skip")
    codes = {"a/002.jpg": "not_jpeg", "b/005.jpg": "data_truncated", "b/zz.jpg": "io_error"}
    assert {key: code for key, code, _ in summary.failed} == codes
    assert all(message.startswith(f"{key}: ") and str(tmp_path) not in message for key, _, message in summary.failed)
    found = rows(out)
    assert {row["key"]: row["status"] for row in found if row["record"] is None} == codes
    assert all(row["error"] and row["crc32c"] is None and row["width"] is None for row in found if row["record"] is None)
    good = [path for path in images_of(root) if f"{path.parent.name}/{path.name}" not in codes]
    assert [row["record"] for row in found if row["record"] is not None] == records(list(good))
    assert [row["key"] for row in index(out)] == [f"{path.parent.name}/{path.name}" for path in good]
    assert (manifest(out).images, manifest(out).failed) == (10, 3) and summary.images == 10
    listed = [(failure.key, failure.code, failure.message) for failure in manifest(out).failures]
    assert listed == summary.failed and [key for key, _, _ in listed] == list(codes)  # in the source's order
    assert "--on-error skip" in manifest(out).command


def test_the_first_bad_file_raises_and_whole_shards_stay(tmp_path: Path) -> None:
    root, out = with_bad_files(tmp_path / "src"), tmp_path / "a.dct"
    with pytest.raises(dctload.UnsupportedJPEG, match=r"a/002\.jpg: .*, or pass on_error=\"skip\"") as caught:
        extract(root, out, shard_size=1, workers=1)
    assert caught.value.source == str(root / "a" / "002.jpg") and caught.value.index == 1
    assert sorted(path.name for path in out.iterdir()) == ["plan.json", "shard-00000.arrow"]
    extract(root, out, shard_size=1, on_error="skip", resume=True)
    extract(root, tmp_path / "b.dct", shard_size=1, on_error="skip")
    assert files_of(out) == files_of(tmp_path / "b.dct")


def test_a_source_without_one_good_image_makes_an_empty_set(tmp_path: Path) -> None:
    summary = extract([(b"junk", 0), (b"", 1)], tmp_path / "a.dct", on_error="skip")
    assert summary.images == 0 and [key for key, _, _ in summary.failed] == ["sample 0", "sample 1"]
    assert index(tmp_path / "a.dct") == [] and manifest(tmp_path / "a.dct").images == 0


def test_what_came_of_a_truncated_file_is_kept_when_asked(tmp_path: Path) -> None:
    cut = picture(5)[:-200]
    extract([(picture(4), 0), (cut, 0)], tmp_path / "a.dct", truncated="keep")
    found = rows(tmp_path / "a.dct")
    assert [row["status"] for row in found] == ["ok", "truncated"]
    assert found[1]["record"] == bytes(dctload.extract([cut], "64s", truncated="keep").image_bytes(0))


def test_limits_hold(tmp_path: Path) -> None:
    summary = extract([(picture(0), 0)], tmp_path / "a.dct", limits=dctload.Limits(pixels=100), on_error="skip")
    assert [code for _, code, _ in summary.failed] == ["limit_pixels"]


def test_a_record_that_the_index_cannot_count_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(record) for record in records([picture(0), picture(1)])]
    monkeypatch.setattr(recording, "_MOST_RECORD", min(sizes))
    items = [(picture(0), 0), (picture(1), 1)]
    summary = extract(items, tmp_path / "a.dct", on_error="skip")
    larger = sizes.index(max(sizes))
    ((key, code, message),) = summary.failed
    assert (key, code) == (f"sample {larger}", "limit_record") and f"of {max(sizes)} bytes passes" in message
    assert message.endswith("; keep fewer channels")  # an extraction has no regions
    assert [row["target"] for row in index(tmp_path / "a.dct")] == [1 - larger]
    with pytest.raises(dctload.LimitExceeded):
        extract(items, tmp_path / "b.dct")


def test_other_formats_go_by_their_pixels(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from dctload.transcode import transcode

    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    files = []
    for kind, mode in (("PNG", "RGB"), ("JPEG", "CMYK"), ("PNG", "L")):
        out = io.BytesIO()
        image.fromarray(pixels).convert(mode).save(out, kind)
        files.append(out.getvalue())
    items = [(picture(0), 0), *((data, k) for k, data in enumerate(files)), (b"no image", 9), (picture(1), 0)]
    summary = extract(items, tmp_path / "a.dct", "24s", fallback="transcode", on_error="skip")
    found = rows(tmp_path / "a.dct")
    assert [code for _, code, _ in summary.failed] == ["not_jpeg"] and found[4]["record"] is None
    for row, data in zip(found[1:4], files, strict=True):
        want = dctload.PackedBatch.join([transcode(data)]).select("24s")
        assert row["record"] == bytes(want.image_bytes(0)) and (row["width"], row["height"]) == (56, 40)
    assert [found[0]["record"], found[5]["record"]] == records([picture(0), picture(1)], "24s")
    native = extract(items, tmp_path / "b.dct", "24s", on_error="skip")
    assert [key for key, _, _ in native.failed] == ["sample 1", "sample 3", "sample 4"]
    assert rows(tmp_path / "b.dct")[2]["record"] == records([files[1]], "24s")[0]  # CMYK as it is


# ------------------------------------------------------------------------------------------------------- what is refused


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for resume, why in ((False, "is not empty"), (True, "holds other files")):
        with pytest.raises(FileExistsError, match=why):
            extract(root, out, resume=resume)
    for name in ("notes.txt", "notes.txt/a.dct"):
        with pytest.raises(FileExistsError, match=r"notes\.txt is a file"):
            extract(root, out / name, resume=True)
    assert files_of(out) == {"notes.txt": b"mine"}


def test_temporary_files_of_others_are_left_alone(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tmp").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files"):
        extract(root, out, resume=True)
    assert files_of(out) == {"thesis.tmp": b"mine"}
    (out / "thesis.tmp").rename(out / "plan.json.0123abcd.tmp")  # a run that was killed in its first moment
    extract(root, out, resume=True)
    assert sorted(files_of(out)) == ["index.arrow", "manifest.json", "shard-00000.arrow"]


@pytest.mark.parametrize(
    "code, words",
    [
        (errno.EACCES, "Permission denied; give a folder that can be written to"),
        (errno.EROFS, "Read-only file system; give a folder that can be written to"),
        (errno.ENOENT, "No such file or directory; was it removed, by another run in this folder"),
        (errno.ENOSPC, "No space left on device: about 1.0 MiB to go, "),
        (errno.EIO, "Input/output error; see to the disk, then go on with resume=True"),
    ],
)
def test_what_cannot_be_written_says_what_to_do(tmp_path: Path, code: int, words: str) -> None:
    path = tmp_path / "not" / "there" / "a.dct"
    told = write_error(OSError(code, os.strerror(code)), path, needed=1 << 20, remedy=RESUME)
    assert str(told).startswith(f"{path}: {words}") and told.errno == code and "\n" not in str(told)


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    error = OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    told = write_error(error, tmp_path / "notes" / "a.dct" / "x", remedy="merge again")
    assert str(told).endswith(f"a.dct/x: {tmp_path / 'notes'} is a file; give a folder that can be written to")
    assert isinstance(told, NotADirectoryError)


def test_a_whole_set_that_cannot_be_written_to_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    first = extract(root, out)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("unlink", "mkdir", "open"):
        monkeypatch.setattr(os, name, refused)
    assert extract(root, out, resume=True).nbytes == first.nbytes


def test_half_a_set_that_cannot_be_written_to_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL, part="1/2")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "unlink", refused)
    monkeypatch.setattr(pa, "OSFile", refused)
    with pytest.raises(OSError, match=r"shard-0000\d\.arrow: Read-only file system; give a folder that can be written to"):
        extract(root, out, shard_size=SMALL, resume=True)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"on_error": "mark"}, 'on_error is "raise" or "skip"'),
        ({"fallback": "pillow"}, 'fallback is None or "transcode"'),
        ({"engine": "spark"}, 'engine is "local" or "ray"'),
        ({"workers": -1}, "workers is 0"),
        ({"channels": "24q"}, "no preset is called '24q'"),
        ({"shard_size": "much"}, "a size is a number"),
        ({"truncated": "maybe"}, "truncated is"),
        ({"part": "0/3"}, "part is"),
        ({"part": "4/3"}, "part is"),
        ({"part": "half"}, "part is"),
    ],
)
def test_wrong_arguments_say_what_is_right(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract([(picture(0), 0)], tmp_path / "a.dct", **options)
    assert not (tmp_path / "a.dct").exists()


def test_a_url_is_told_to_be_copied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"s3://b/x is a URL; .* local folder only: .* copy it there \(aws s3 cp --recursive"):
        extract([(picture(0), 0)], "s3://b/x")
    assert not list(tmp_path.iterdir())


def test_a_shard_set_is_no_source_of_images(tmp_path: Path) -> None:
    extract([(picture(0), 0)], tmp_path / "a.dct")
    extract([(picture(0), 0)], tmp_path / "part.dct", part="1/1")
    for given in (tmp_path / "a.dct", str(tmp_path / "part.dct"), open_set(tmp_path / "a.dct"), "s3://bucket/a.dct"):
        with pytest.raises(ValueError, match=r"(a|part)\.dct is a shard set, made already: .* DCTLoader.* dctload export"):
            extract(given, tmp_path / "b.dct")
    with pytest.raises(ValueError, match="is a shard set, made already"):
        verify(tmp_path / "a.dct", against=tmp_path / "a.dct")
    named = image_folder(tmp_path / "folder.dct", 2)  # is none by its name alone
    assert extract(named, tmp_path / "b.dct").images == 2


def test_threads_beyond_the_images_of_a_batch_are_not_made(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src")
    extract(root, tmp_path / "a.dct")
    assert extract(root, tmp_path / "b.dct", workers=100_000_000).images == 12
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")
    assert verify(tmp_path / "a.dct", against=root, workers=100_000_000).ok


def test_an_empty_class_and_an_absent_source_leave_nothing_behind(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src")
    (root / "c").mkdir()
    with pytest.raises(FileNotFoundError, match="classes without images: c"):
        extract(root, tmp_path / "a.dct")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        extract(tmp_path / "nowhere", tmp_path / "a.dct")
    assert not (tmp_path / "a.dct").exists()


def test_without_pyarrow_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"shards need pyarrow: pip install 'dctload\[shards\]'"):
        extract([(picture(0), 0)], tmp_path / "a.dct")


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"needs Ray: pip install 'dctload\[ray\]'"):
        extract([(picture(0), 0)], tmp_path / "a.dct", engine="ray")


# ------------------------------------------------------------------------------------------- what a run says of itself


def test_left_out_frequencies_are_spoken_of(tmp_path: Path) -> None:
    (note,) = extract([(picture(0), 0)], tmp_path / "a.dct", "24s").notes
    assert "24 of 192 frequencies (24s)" in note and "sees another picture" in note
    assert extract([(picture(0), 0)], tmp_path / "b.dct", "all").notes == ()


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_is_told_from_the_callers_thread(tmp_path: Path, workers: int) -> None:
    calls: list[tuple[int, ...]] = []

    def progress(*numbers: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append(numbers)

    summary = extract([(picture(i % 9), 0) for i in range(200)], tmp_path / "a.dct", "24s", workers, "64KiB", progress=progress)
    assert calls == sorted(calls) and len(calls) >= 3
    assert calls[-1] == (200, 200, summary.source_bytes, summary.nbytes)


def test_a_progress_function_that_raises_ends_the_run_and_leaves_whole_files(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src", 30), tmp_path / "a.dct"

    def interrupt(done: int, *_: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(root, out, workers=2, shard_size=SMALL, progress=interrupt)
    assert threading.active_count() == 1 or not any(t.name.startswith("dctload-shard") for t in threading.enumerate())
    assert "plan.json" in files_of(out) and not list(out.glob("*.tmp"))
    extract(root, out, shard_size=SMALL, resume=True)
    extract(root, tmp_path / "b.dct", shard_size=SMALL)
    assert files_of(out) == files_of(tmp_path / "b.dct")


def test_threads_that_the_system_refuses_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, started = threading.Thread.start, []

    def start(self: threading.Thread) -> None:
        if self.name.startswith("dctload-shard") and started:
            raise RuntimeError("can't start new thread")
        started.append(self)
        real(self)

    root, out = image_folder(tmp_path / "src", 30), tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL, part="9/9")  # the plan
    monkeypatch.setattr(threading.Thread, "start", start)
    started.clear()
    with pytest.raises(RuntimeError, match="can't start"):
        extract(root, out, workers=3, shard_size=SMALL, resume=True)
    assert len(started) == 1 and not started[0].is_alive() and not list(out.glob("*.tmp"))


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("room", [100, 5_000, 8_000])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, room: int) -> None:
    """The bound on a file's size stands for the disk's: the system refuses the write in the middle of a file."""
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    code = """
import resource, sys
from dctload.shards.extraction import extract
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    extract(sys.argv[1], sys.argv[2], workers=2, shard_size="8KiB")
except OSError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), str(out), str(room)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{out}/") and done.stdout.count("\n") == 1, done
    assert "MiB free; make room and go on with resume=True" in done.stdout
    left = files_of(out)
    assert not [name for name in left if name.endswith(".tmp") or name in ("index.arrow", "manifest.json")]
    extract(root, tmp_path / "b.dct", shard_size=SMALL)
    whole = files_of(tmp_path / "b.dct")
    assert all(left[name] == whole[name] for name in left if name != "plan.json")
    extract(root, out, shard_size=SMALL, resume=True)
    assert files_of(out) == whole


@pytest.mark.parametrize("name", ["index.arrow", "manifest.json"])
def test_a_disk_that_is_full_at_the_end_leaves_the_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    real = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name.startswith(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=rf"{name}: No space left on device: .* free; make room") as caught:
        extract(root, out, shard_size=SMALL)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert sorted(files_of(out)) == sorted(
        ["plan.json", *(["index.arrow"] if name == "manifest.json" else []), *(path.name for path in out.glob("shard-*.arrow"))]
    )
    extract(root, out, shard_size=SMALL, resume=True)
    extract(root, tmp_path / "b.dct", shard_size=SMALL)
    assert files_of(out) == files_of(tmp_path / "b.dct")


def test_pictures_differ() -> None:
    assert len({picture(i) for i in range(30)}) == 30
    subsampling = {dctload.read_header(picture(i)).subsampling for i in range(4)}
    assert subsampling == set(LAYOUTS)
