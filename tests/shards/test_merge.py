"""Parts that jobs of an array made, in one folder or in one each, come to the set that one run makes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from dctload.shards.extraction import extract
from dctload.shards.finishing import named_ranges
from dctload.shards.merging import merge
from support.shard_sets import files_of, image_folder

SMALL = "8KiB"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = image_folder(tmp_path / "src", 20)
    (folder / "b" / "bad.jpg").write_bytes(b"junk")
    return folder


@pytest.fixture
def want(tmp_path: Path, root: Path) -> dict[str, bytes]:
    """The files of the set that one run makes."""
    extract(root, tmp_path / "one.dct", shard_size=SMALL, on_error="skip")
    return files_of(tmp_path / "one.dct")


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_parts_in_one_folder_make_the_set_of_one_run(
    tmp_path: Path, root: Path, want: dict[str, bytes], order: tuple[int, ...]
) -> None:
    out = tmp_path / "a.dct"
    parts = [extract(root, out, shard_size=SMALL, on_error="skip", part=f"{i}/3") for i in order]
    assert not any(part.is_complete for part in parts) and (out / "plan.json").exists()
    whole = merge(out)
    assert files_of(out) == want and whole.is_complete
    for name in ("images", "nbytes", "source_bytes", "shards"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)
    assert [row for part in parts for row in part.failed] == whole.failed and len(whole.failed) == 1


def test_failures_of_all_parts_are_listed_in_the_sources_order(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src", 20), tmp_path / "a.dct"
    names = ["a/bad.jpg", "b/000.jpg", "b/bad.jpg"]
    for name in names:
        (root / name).write_bytes(b"junk")
    one = extract(root, tmp_path / "one.dct", shard_size=SMALL, on_error="skip")
    parts = [extract(root, out, shard_size=SMALL, on_error="skip", part=f"{i}/3") for i in (3, 1, 2)]
    assert sum(len(part.failed) > 0 for part in parts) > 1
    whole = merge(out)
    assert files_of(out) == files_of(tmp_path / "one.dct")
    listed = json.loads((out / "manifest.json").read_text())["failures"]
    assert [row["key"] for row in listed] == names
    assert [(row["key"], row["code"], row["message"]) for row in listed] == whole.failed == one.failed


@pytest.mark.parametrize("can_link", [True, False])
def test_parts_in_folders_of_their_own_make_the_set_of_one_run(
    tmp_path: Path, root: Path, want: dict[str, bytes], can_link: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [tmp_path / f"part{i}.dct" for i in range(3)]
    for i, part in enumerate(parts):
        extract(root, part, shard_size=SMALL, on_error="skip", part=f"{i + 1}/3")
    before = [files_of(part) for part in parts]
    if not can_link:

        def link(*_: object, **__: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", link)
    merge(tmp_path / "a.dct", parts, workers=2)
    assert files_of(tmp_path / "a.dct") == want and [files_of(part) for part in parts] == before


def test_more_jobs_than_shards_do_no_harm(tmp_path: Path, root: Path, want: dict[str, bytes]) -> None:
    jobs = len(want) + 3
    summaries = [
        extract(root, tmp_path / "a.dct", shard_size=SMALL, on_error="skip", part=f"{i}/{jobs}") for i in range(1, jobs + 1)
    ]
    assert 0 in [summary.shards for summary in summaries]
    merge(tmp_path / "a.dct")
    assert files_of(tmp_path / "a.dct") == want


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_jobs_at_the_same_time_do_not_disturb_each_other(tmp_path: Path, root: Path, want: dict[str, bytes]) -> None:
    code = (
        "import sys; from dctload.shards.extraction import extract; "
        "extract(sys.argv[1], sys.argv[2], shard_size='8KiB', on_error='skip', part=sys.argv[3])"
    )
    out = tmp_path / "a.dct"
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(root), str(out), f"{i}/3"]) for i in (1, 2, 3)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    merge(out)
    assert files_of(out) == want


def test_a_job_that_is_run_again_keeps_what_it_has(tmp_path: Path, root: Path) -> None:
    out = tmp_path / "a.dct"
    first = extract(root, out, shard_size=SMALL, on_error="skip", part="1/3")
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = extract(root, out, shard_size=SMALL, on_error="skip", part="1/3")
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert (again.images, again.nbytes, again.shards) == (first.images, first.nbytes, first.shards)


def test_shards_that_are_missing_are_listed(tmp_path: Path, root: Path) -> None:
    out = tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL, on_error="skip", part="2/3")
    shards = sorted(int(path.stem[6:]) for path in out.glob("shard-*"))
    assert shards == [2, 3]
    with pytest.raises(ValueError, match=r"of 7 shards, numbered from 0, 0-1 and 4-6 are missing; run the jobs"):
        merge(out)
    extract(root, out, shard_size=SMALL, on_error="skip", part="1/3")
    extract(root, out, shard_size=SMALL, on_error="skip", part="3/3")
    (out / "shard-00005.arrow").unlink()
    with pytest.raises(ValueError, match=r"numbered from 0, 5 is missing"):
        merge(out)
    assert not (out / "manifest.json").exists()


@pytest.mark.parametrize(
    "numbers, words",
    [([4], "4 is"), ([1, 2, 3, 9], "1-3 and 9 are"), ([0, 2, 4, 6, 8, 10, 12], "0, 2, 4, 6, 8 and 2 more ranges are")],
)
def test_ranges_are_put_in_words(numbers: list[int], words: str) -> None:
    assert named_ranges(numbers) == words


def test_a_part_of_another_set_is_refused(tmp_path: Path, root: Path) -> None:
    extract(root, tmp_path / "p1.dct", shard_size=SMALL, on_error="skip", part="1/2")
    extract(root, tmp_path / "p2.dct", "24s", shard_size=SMALL, on_error="skip", part="2/2")
    with pytest.raises(ValueError, match=r"p2\.dct was begun with other settings: channels was"):
        merge(tmp_path / "a.dct", [tmp_path / "p1.dct", tmp_path / "p2.dct"])
    with pytest.raises(ValueError, match=r"begun with other settings"):
        extract(root, tmp_path / "p1.dct", "24s", shard_size=SMALL, on_error="skip", part="2/2")


def test_merging_again_changes_nothing(tmp_path: Path, root: Path, want: dict[str, bytes]) -> None:
    for i in (1, 2):
        extract(root, tmp_path / f"p{i}.dct", shard_size=SMALL, on_error="skip", part=f"{i}/2")
    parts = [tmp_path / "p1.dct", tmp_path / "p2.dct"]
    first, again = merge(tmp_path / "a.dct", parts), merge(tmp_path / "a.dct", parts)
    assert files_of(tmp_path / "a.dct") == want and (first.images, first.failed) == (again.images, again.failed)
    assert merge(tmp_path / "one.dct").nbytes == first.nbytes


def test_what_is_no_part_says_so(tmp_path: Path, root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dct does not exist"):
        merge(tmp_path / "nowhere.dct")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.dct does not exist"):
        merge(tmp_path / "a.dct", [tmp_path / "nowhere.dct"])
    with pytest.raises(ValueError, match="src holds no part of a shard set"):
        merge(root)
    assert not (tmp_path / "a.dct").exists()


def test_a_set_is_not_mixed_with_other_files(tmp_path: Path, root: Path, want: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files"):
        merge(out, [tmp_path / "one.dct"])
    for name in ("notes.txt", "notes.txt/a.dct"):
        with pytest.raises(FileExistsError, match=r"notes\.txt is a file"):
            merge(out / name, [tmp_path / "one.dct"])
    for name in ("notes.txt", "notes.txt/a.dct"):
        with pytest.raises(NotADirectoryError, match=r"/notes\.txt is a file; give the folder"):
            merge(out / name)
    assert files_of(out) == {"notes.txt": b"mine"} and want


def test_urls_are_told_to_be_copied(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"s3://b/a\.dct is a URL; files are written to a local folder only: .* \(aws s3 cp"):
        merge("s3://b/a.dct", [root])
    with pytest.raises(ValueError, match="s3://b/part is a URL; parts are read from local folders: copy it"):
        merge("a.dct", ["s3://b/part"])
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


def test_a_merge_that_was_killed_at_its_very_end_is_tidied(tmp_path: Path, root: Path, want: dict[str, bytes]) -> None:
    out = tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL, on_error="skip", part="1/1")
    plan = (out / "plan.json").read_bytes()
    merge(out)
    (out / "plan.json").write_bytes(plan)
    merge(out)
    assert files_of(out) == want


@pytest.mark.parametrize("name", ["index.arrow", "manifest.json"])
def test_two_merges_at_once_make_the_same_set(
    tmp_path: Path, root: Path, want: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The second comes while the first has a file half written, and is done before it."""
    out, real, second = tmp_path / "a.dct", os.fsync, []
    extract(root, out, shard_size=SMALL, on_error="skip", part="1/1")

    def fsync(descriptor: int) -> None:
        if not second and Path(f"/proc/self/fd/{descriptor}").readlink().name.startswith(name):
            second.append(None)
            second[0] = merge(out)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    first = merge(out)
    assert files_of(out) == want and (first.images, first.failed) == (second[0].images, second[0].failed)


def test_no_room_to_merge_says_to_merge_again(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(root, tmp_path / "p.dct", shard_size=SMALL, on_error="skip", part="1/1")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match=r"shard-00000\.arrow: No space left on device: about .* free; make room and merge again"):
        merge(tmp_path / "a.dct", [tmp_path / "p.dct"])
    assert not list((tmp_path / "a.dct").glob("*.tmp"))


def test_a_damaged_part_is_named(tmp_path: Path, root: Path) -> None:
    for i in (1, 2):
        extract(root, tmp_path / f"p{i}.dct", shard_size=SMALL, on_error="skip", part=f"{i}/2")
    path = tmp_path / "p1.dct" / "shard-00001.arrow"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"shard-00001\.arrow is damaged; make this part again"):
        merge(tmp_path / "a.dct", [tmp_path / "p1.dct", tmp_path / "p2.dct"])
    assert not (tmp_path / "a.dct" / "manifest.json").exists()


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_bit_that_flipped_before_the_set_was_whole_is_found(tmp_path: Path, root: Path, place: float) -> None:
    """The manifest's checksums are of what lies there then: they are not to vouch for it."""
    out = tmp_path / "a.dct"
    extract(root, out, shard_size=SMALL, on_error="skip", part="1/1")
    path = out / "shard-00001.arrow"
    data = bytearray(path.read_bytes())
    at = data.index(b"DCTI") + int(place * 6000)
    data[at] ^= 4
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"shard-00001\.arrow is damaged: the record of a/\d+\.jpg is not what was written"):
        merge(out)
    assert not (out / "manifest.json").exists()
    path.unlink()
    extract(root, out, shard_size=SMALL, on_error="skip", part="1/1")
    assert merge(out).is_complete
