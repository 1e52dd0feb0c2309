"""An extraction that was stopped at any point, by whatever, goes on to the same bytes as one that never was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import dctload
from dctload.shards.extraction import extract
from dctload.shards.merging import merge
from dctload.shards.reader import open_set
from support.shard_sets import files_of, image_folder, picture

SMALL = "8KiB"
# Extracts, and is killed in front of the n-th call that changes a file's name or takes bytes to the disk; prints how many
# there were if it is not.
KILLED = """
import os, signal, sys
calls = 0

def counted(name):
    real = getattr(os, name)
    def call(*args, **options):
        global calls
        calls += 1
        if calls == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    setattr(os, name, call)

for name in ("fsync", "link", "replace", "unlink"):
    counted(name)
from dctload.shards.extraction import extract
extract(sys.argv[1], sys.argv[2], workers=1, shard_size="8KiB", resume=True)
print(calls)
"""


def run(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], int]:
    """A source, the files of its set, and how many calls can be the last of a run."""
    folder = tmp_path_factory.mktemp("resume")
    root = image_folder(folder / "src")
    done = run(KILLED, root, folder / "whole.dct", 0)
    assert done.returncode == 0, done.stderr
    return root, files_of(folder / "whole.dct"), int(done.stdout)


SOME = {0, 7, 12, 20}


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("twentieth", [pytest.param(k, marks=() if k in SOME else pytest.mark.slow) for k in range(21)])
def test_a_run_killed_at_any_step_goes_on_to_the_same_bytes(
    tmp_path: Path, whole: tuple[Path, dict[str, bytes], int], twentieth: int
) -> None:
    root, want, calls = whole
    assert calls > 20
    done = run(KILLED, root, tmp_path / "a.dct", 1 + twentieth * (calls - 1) // 20)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = files_of(tmp_path / "a.dct")
    assert all(left[name] == want[name] for name in left if name in want)
    extract(root, tmp_path / "a.dct", shard_size=SMALL, resume=True, workers=3)
    assert files_of(tmp_path / "a.dct") == want


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_a_run_killed_again_and_again_comes_to_its_end(tmp_path: Path, whole: tuple[Path, dict[str, bytes], int]) -> None:
    root, want, _ = whole
    for attempt in range(20):
        done = run(KILLED, root, tmp_path / "a.dct", 12)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL and attempt < 19, done.stderr
    assert attempt > 1 and files_of(tmp_path / "a.dct") == want


@pytest.mark.slow
@pytest.mark.no_sanitizer
@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05])
def test_threads_killed_in_the_middle_leave_nothing_behind(tmp_path: Path, delay: float) -> None:
    """Whatever the moment: the clock starts with the first file."""
    source = [(picture(i % 9), 0) for i in range(600)]
    for i, (data, _) in enumerate(source):
        path = tmp_path / "src" / "c" / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    code = "import sys; from dctload.shards.extraction import extract; extract(sys.argv[1], sys.argv[2], 'all', 4, '64KiB')"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "src"), str(tmp_path / "a.dct")])
    while child.poll() is None and not list((tmp_path / "a.dct").glob("shard-*")):
        time.sleep(0.001)
    time.sleep(delay)
    child.kill()
    child.wait()
    extract(tmp_path / "src", tmp_path / "a.dct", "all", 4, "64KiB", resume=True)
    extract(tmp_path / "src", tmp_path / "b.dct", "all", 1, "64KiB")
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")


def half_done(root: Path, out: Path, **options: Any) -> Path:
    """A set of which two shards are there."""
    extract(root, out, shard_size=SMALL, part="1/2", **options)
    assert len(list(out.glob("shard-*.arrow"))) == 2 and (out / "plan.json").exists()
    return out


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize(
    "options, words",
    [
        ({"channels": "24s"}, "channels was"),
        ({"shard_size": "9KiB"}, "shard_size was 8192 and is 9216"),
        ({"fallback": "transcode"}, "fallback was None and is transcode"),
        ({"truncated": "keep"}, "truncated was error and is keep"),
        ({"limits": dctload.Limits(scans=5)}, "limits was"),
    ],
)
def test_other_arguments_are_refused_by_name(tmp_path: Path, is_whole: bool, options: dict[str, Any], words: str) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    if is_whole:
        extract(root, out, shard_size=SMALL, resume=True)
    before = files_of(out)
    with pytest.raises(ValueError, match=rf"a\.dct was begun with other settings: {words}.*; go on with the same ones"):
        extract(root, out, **{"shard_size": SMALL, "resume": True, **options})
    assert files_of(out) == before


@pytest.mark.parametrize("is_whole", [False, True])
def test_another_source_is_refused(tmp_path: Path, is_whole: bool) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    if is_whole:
        extract(root, out, shard_size=SMALL, resume=True)
    (root / "a" / "000.jpg").rename(root / "a" / "001.jpg")
    with pytest.raises(ValueError, match="the names or targets of the samples of the source have changed"):
        extract(root, out, shard_size=SMALL, resume=True)
    (root / "b" / "013.jpg").write_bytes(picture(0))
    with pytest.raises(ValueError, match="samples was 12 and is 13"):
        extract(root, out, shard_size=SMALL, resume=True)


def test_other_targets_are_another_source(tmp_path: Path) -> None:
    extract([(picture(0), 0), (picture(1), "x")], tmp_path / "a.dct")
    for targets in ((1, "x"), (0, "y"), (0, 0)):
        with pytest.raises(ValueError, match="names or targets"):
            extract([(picture(k), t) for k, t in enumerate(targets)], tmp_path / "a.dct", resume=True)


def test_a_source_that_moved_is_gone_on_with(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    extract(root.rename(tmp_path / "moved"), out, shard_size=SMALL, resume=True)
    assert (out / "manifest.json").exists()


def test_whole_shards_are_kept_and_counted_as_done(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*")}
    calls: list[tuple[int, ...]] = []
    summary = extract(root, out, shard_size=SMALL, resume=True, progress=lambda *numbers: calls.append(numbers))
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert [images for images, *_ in calls] == sorted({images for images, *_ in calls}) and calls[-1][:2] == (12, 12)
    assert calls[0][2:] == (0, 0) and calls[-1][3] < summary.nbytes == extract(root, tmp_path / "b.dct", shard_size=SMALL).nbytes


def test_a_whole_set_is_returned_at_once(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    (root / "a" / "bad.jpg").write_bytes(b"junk")
    first = extract(root, out, shard_size=SMALL, on_error="skip")
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = extract(root, out, shard_size=SMALL, on_error="skip", resume=True)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert (again.images, again.failed, again.nbytes, again.source_bytes, again.shards, again.notes) == (
        (first.images, first.failed, first.nbytes, first.source_bytes, first.shards, first.notes)
    )
    assert len(again.failed) == 1


def test_the_manifest_of_a_resumed_run_lists_the_same_failures(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    for name in ("a/bad.jpg", "b/000.jpg", "b/bad.jpg"):
        (root / name).write_bytes(b"junk")
    whole = extract(root, out, shard_size=SMALL, on_error="skip")
    want = files_of(out)
    with pytest.raises(dctload.JPEGError, match=r"bad\.jpg"):
        extract(root, tmp_path / "b.dct", shard_size=SMALL, part="2/2")
    again = extract(root, tmp_path / "b.dct", shard_size=SMALL, on_error="skip", resume=True)
    assert files_of(tmp_path / "b.dct") == want and again.failed == whole.failed
    listed = json.loads(want["manifest.json"])["failures"]
    assert [row["key"] for row in listed] == ["a/bad.jpg", "b/000.jpg", "b/bad.jpg"]
    assert [(row["key"], row["code"], row["message"]) for row in listed] == whole.failed


@pytest.mark.parametrize("damage", ["cut", "emptied", "of another set"])
def test_a_file_that_is_no_whole_shard_is_made_again(tmp_path: Path, damage: str) -> None:
    """A file system that loses power may leave such files even where names come after bytes."""
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    path = out / "shard-00001.arrow"
    if damage == "of another set":
        extract([(picture(0), 0)], tmp_path / "other.dct")
        shutil.copy(tmp_path / "other.dct" / "shard-00000.arrow", path)
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "emptied" else -100])
    extract(root, out, shard_size=SMALL, resume=True)
    extract(root, tmp_path / "b.dct", shard_size=SMALL)
    assert files_of(out) == files_of(tmp_path / "b.dct")


def test_a_plan_or_manifest_that_is_damaged_is_named(tmp_path: Path) -> None:
    root, out = image_folder(tmp_path / "src"), tmp_path / "a.dct"
    half_done(root, out)
    text = (out / "plan.json").read_text()
    for wrong in (text[:-20], "{}", "[]", text.replace('"samples"', '"sample"')):
        (out / "plan.json").write_text(wrong)
        with pytest.raises(ValueError, match=r"plan\.json is (no JSON|not the plan)"):
            extract(root, out, shard_size=SMALL, resume=True)
    (out / "plan.json").write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(ValueError, match=r"plan\.json is of version 2"):
        extract(root, out, shard_size=SMALL, resume=True)
    (out / "plan.json").write_bytes(text.encode().replace(b'"source"', b'"sou\xf2ce"'))  # a bit that flipped: no UTF-8
    with pytest.raises(ValueError, match=r"plan\.json is not the plan"):
        extract(root, out, shard_size=SMALL, resume=True)
    (out / "plan.json").write_text(text)
    extract(root, out, shard_size=SMALL, resume=True)
    manifest = (out / "manifest.json").read_text()
    for wrong in (
        manifest.replace('"images": 12', '"images": 13').encode(),
        manifest.encode().replace(b"DST", b"\xc4ST"),  # no UTF-8
        manifest.replace("DST", r"\ud83d").encode(),  # half of a pair
    ):
        (out / "manifest.json").write_bytes(wrong)
        for again in (lambda: extract(root, out, shard_size=SMALL, resume=True), lambda: merge(out), lambda: open_set(out)):
            with pytest.raises(ValueError, match=r"manifest\.json was changed since it was written"):
                again()
