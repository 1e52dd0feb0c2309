"""Reading shards: the bytes that decoding the files gives, in any order, from any thread or process; and what is refused."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import threading
import time
import tracemalloc
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import dctload
from dctload import JPEGError, _core, shards, unpack_reference
from dctload.shards.layout import Manifest, ShardFile, index_schema
from dctload.shards.store import MappedShards
from support.shard_sets import images_of, set_fixtures

COUNT = 12

source, stored = set_fixtures(COUNT, least=3, channels="64s", shard_size="8KiB")


@pytest.fixture
def copy(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "copy.dct"))


def place_of(folder: Path, image: int) -> tuple[Path, int, int]:
    """The file of an image's record, and where its bytes are."""
    row = pa.ipc.open_file((folder / "index.arrow").read_bytes()).read_all().slice(image, 1).to_pylist()[0]
    return folder / f"shard-{row['shard']:05d}.arrow", row["offset"], row["nbytes"]


def flip(path: Path, at: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


# ---------------------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("channels", [None, "64s", "24s", "y:0,9;cb:;cr:1"])
def test_whole_images_come_as_from_their_files(source: Path, stored: Path, channels: str | None) -> None:
    s, paths, indices = shards.open(stored), images_of(source), [7, 0, 7, COUNT - 1, 3]
    got = s.read(indices, channels=channels)
    want = dctload.extract([paths[i] for i in indices], channels=channels or "64s")
    assert bytes(got.buffer) == bytes(want.buffer) and got.channels == want.channels and got.status == ("ok",) * 5


def test_channels_may_differ_by_image(source: Path, stored: Path) -> None:
    got = shards.open(stored).read([1, 2], channels=["24s", "6s"])
    assert bytes(got.buffer) == bytes(dctload.extract(images_of(source)[1:3], channels=["24s", "6s"]).buffer)


def test_regions_unpack_as_from_their_files(source: Path, stored: Path) -> None:
    boxes = [(8, 16, 24, 20), None, (0, 0, 1, 1)]
    got = shards.open(stored).read([0, 3, 5], channels="24s", regions=boxes)
    want = dctload.extract([images_of(source)[i] for i in (0, 3, 5)], channels="24s", regions=boxes)
    assert [got.region(i) for i in range(3)] == [want.region(i) for i in range(3)]
    for a, b in zip(unpack_reference(got), unpack_reference(want), strict=True):
        assert a is not None and b is not None
        for plane, expected in zip(a.planes, b.planes, strict=True):
            np.testing.assert_array_equal(plane, expected)


def test_a_batch_goes_into_the_buffer_that_is_given(stored: Path) -> None:
    s = shards.open(stored)
    want = s.read([2, 4])
    out = _core.aligned_empty(want.nbytes + 100)
    got = s.read([2, 4], out=out)
    assert got.buffer.ctypes.data == out.ctypes.data and bytes(got.buffer) == bytes(want.buffer)
    with pytest.raises(ValueError, match=str(want.nbytes)):
        s.read([2, 4], out=_core.aligned_empty(want.nbytes - 16))


def test_keys_targets_and_classes_are_those_of_the_source(source: Path, stored: Path) -> None:
    s = shards.open(stored)
    names = [f"{path.parent.name}/{path.name}" for path in images_of(source)]
    assert len(s) == COUNT and list(s.keys) == names and s.keys[3] == names[3] and s.keys[-1] == names[-1]
    assert s.keys[2:5] == names[2:5] and s.classes == ["a", "b"]
    assert s.targets.dtype == np.int64 and s.targets.tolist() == [0] * 6 + [1] * 6 and s.target(7) == 1
    assert s.name(7) == names[7] and str(s.channels) == s.manifest.channels
    with pytest.raises(IndexError):
        s.keys[COUNT]


def test_targets_that_are_no_whole_numbers_come_back_as_they_were(source: Path, tmp_path: Path) -> None:
    targets = [{"boxes": [[1.5, 2, 3, 4]]}, "a word", None, 3]
    shards.extract(list(zip(images_of(source)[:4], targets, strict=True)), tmp_path / "a.dct")
    s = shards.open(tmp_path / "a.dct")
    assert s.targets == targets and s.target(0) == targets[0] and s.targets_of(np.array([3, 1])) == [3, "a word"]


def test_samples_that_failed_are_no_images(source: Path, tmp_path: Path) -> None:
    paths = [images_of(source)[0], tmp_path / "bad.jpg", images_of(source)[1]]
    paths[1].write_bytes(b"nonsense")
    shards.extract([(path, i) for i, path in enumerate(paths)], tmp_path / "a.dct", on_error="skip")
    s = shards.open(tmp_path / "a.dct")
    assert len(s) == 2 and s.targets.tolist() == [0, 2] and s.manifest.failed == 1
    assert bytes(s.read([0, 1]).buffer) == bytes(dctload.extract([paths[0], paths[2]], channels="64s").buffer)


def test_no_images_are_an_empty_batch(stored: Path, tmp_path: Path) -> None:
    assert len(shards.open(stored).read([])) == 0
    shards.extract([(b"nonsense", 0)], tmp_path / "a.dct", on_error="skip")
    s = shards.open(tmp_path / "a.dct")
    assert (len(s), list(s.keys), len(s.targets), len(s.read([]))) == (0, [], 0, 0) and shards.verify(tmp_path / "a.dct").ok


# -------------------------------------------------------------------------------------------------------- what is refused


def test_channels_that_are_not_stored_are_refused(stored: Path) -> None:
    with pytest.raises(ValueError, match=r"channels all are not all in .*a\.dct, which holds 64s"):
        shards.open(stored).read([0], channels="all")


@pytest.mark.parametrize("indices", [[COUNT], [-1], np.array([0, 99])])
def test_images_that_there_are_not_are_refused(stored: Path, indices: Any) -> None:
    with pytest.raises(IndexError, match=rf"0\.\.{COUNT - 1}"):
        shards.open(stored).read(indices)


@pytest.mark.parametrize("indices", [3, [0.5], [[1, 2]], [True, False]])
def test_indices_are_a_list_of_whole_numbers(stored: Path, indices: Any) -> None:
    with pytest.raises(TypeError, match="indices"):
        shards.open(stored).read(indices)


def test_a_region_outside_its_image_is_refused(stored: Path) -> None:
    with pytest.raises(ValueError, match=r"a/000\.jpg.*region"):
        shards.open(stored).read([0], regions=[(4000, 4000, 8, 8)])


def test_what_is_no_finished_set_is_told_apart(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no shard set at"):
        shards.open(tmp_path / "none.dct")
    with pytest.raises(ValueError, match="is a file"):
        shards.open(copy / "index.arrow")
    (copy / "manifest.json").unlink()
    with pytest.raises(ValueError, match="is no shard set"):
        shards.open(copy)
    (copy / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match=r"was not finished: run dctload extract .* --resume, or dctload merge"):
        shards.open(copy)


def test_a_damaged_index_or_manifest_is_refused(copy: Path) -> None:
    flip(copy / "index.arrow", 2000, 3)
    with pytest.raises(ValueError, match=r"index\.arrow is damaged"):
        shards.open(copy)
    facts = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**facts, "images": 3}))
    with pytest.raises(ValueError, match="was changed since it was written"):
        shards.open(copy)


# ------------------------------------------------------------------------------------------------------------------ damage


def test_a_damaged_record_is_named_and_the_others_are_read(copy: Path) -> None:
    path, offset, nbytes = place_of(copy, 5)
    flip(path, offset + nbytes - 3, 6)
    s = shards.open(copy)
    with pytest.raises(JPEGError, match=r"a/010\.jpg") as caught:
        s.read([1, 5])
    assert (caught.value.code, caught.value.source, caught.value.index) == ("record_damaged", "a/010.jpg", 1)
    with pytest.raises(JPEGError):
        s.read([5], regions=[(0, 0, 8, 8)])  # whatever is asked for of it
    assert len(s.read([i for i in range(COUNT) if i != 5])) == COUNT - 1


def test_a_checksum_is_computed_once_in_a_process(copy: Path) -> None:
    s = shards.open(copy)
    s.read([5])
    path, offset, nbytes = place_of(copy, 5)
    flip(path, offset + nbytes - 3, 6)  # the same pages are mapped
    assert len(s.read([5])) == 1
    with pytest.raises(JPEGError):
        shards.open(copy).read([5])


def test_a_shard_that_breaks_off_loses_its_last_images_only(copy: Path) -> None:
    path, offset, nbytes = place_of(copy, 1)
    os.truncate(path, offset + nbytes)
    s = shards.open(copy)
    assert len(s.read([0, 1])) == 2
    last = int(np.flatnonzero(s.shards == s.shards[1])[-1])
    assert last > 1
    with pytest.raises(JPEGError) as caught:
        s.read([last])
    assert caught.value.code == "record_damaged"


def test_a_shard_that_is_not_there_is_an_error_of_the_system(copy: Path) -> None:
    s = shards.open(copy)
    place_of(copy, COUNT - 1)[0].unlink()
    with pytest.raises(FileNotFoundError):
        s.read([COUNT - 1])
    assert len(s.read([0])) == 1


# ------------------------------------------------------------------------------------------------- threads and processes


def test_many_threads_read_the_same(stored: Path) -> None:
    s, want = shards.open(stored), bytes(shards.open(stored).read(range(COUNT), channels="24s").buffer)
    found: list[bool] = []

    def read() -> None:
        for _ in range(20):
            found.append(bytes(s.read(range(COUNT), channels="24s").buffer) == want)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 160


def test_a_pickled_set_opens_the_same_place(stored: Path) -> None:
    s = pickle.loads(pickle.dumps(shards.open(stored, shuffle_window=3)))
    assert len(s) == COUNT and s.shuffle_window == 3 and len(s.read([0])) == 1


@pytest.mark.no_sanitizer
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_reads_on(stored: Path) -> None:
    s = shards.open(stored)
    want = bytes(s.read([0, 9]).buffer)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(bytes(s.read([0, 9]).buffer) == want))
    child.start()
    child.join(60)
    assert child.exitcode == 0 and queue.get()


def test_a_batch_outlives_the_set(stored: Path) -> None:
    batch = shards.open(stored).read([0, 1])
    gc.collect()
    assert all(image is not None for image in unpack_reference(batch))


@pytest.mark.parametrize("number", [-3, 4_000_000])
def test_a_shard_number_that_an_index_made_up_costs_no_memory(number: int) -> None:
    def get(given: int) -> np.ndarray:
        raise FileNotFoundError(given)

    zeros = np.zeros(2, np.int64)
    tracemalloc.start()
    pieces = MappedShards().pieces(np.array([number, number]), zeros, get)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert list(pieces.lost) == [0] and pieces.number.tolist() == [0, 0]


def test_the_disk_is_told_what_comes_only_while_it_is_waited_for(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited, told = [100], []
    usage = types.SimpleNamespace
    monkeypatch.setattr(resource, "getrusage", lambda _: usage(ru_majflt=waited[0]))
    monkeypatch.setattr(os, "posix_fadvise", lambda file, offset, nbytes, advice: told.append((offset, nbytes)))
    s = shards.open(stored)
    s.read([0, 11])
    waited[0] += 5
    s.read([11, 0])
    places = [(s.column("offset")[i].as_py(), s.column("nbytes")[i].as_py()) for i in (0, 11)]
    assert told == places  # of the second batch alone
    for _ in range(400):
        s.read([3])
    before = len(told)
    s.read([4])
    assert len(told) == before < 300
    stretches = [0]
    for _ in range(1000):  # a cold disk: each batch that it is not told of has to be waited for
        before = len(told)
        s.read([3])
        if len(told) > before:
            stretches[-1] += 1
        else:
            waited[0] += 5
            stretches.append(0)
    assert stretches[1:9] == [4, 8, 16, 32, 64, 128, 256, 256]


@pytest.mark.slow
@pytest.mark.no_sanitizer
def test_a_million_images_open_in_less_than_a_second(stored: Path, tmp_path: Path) -> None:
    """Its index is 100 MB; the records are never looked at."""
    one = pa.ipc.open_file((stored / "index.arrow").read_bytes()).read_all().slice(0, 1)
    count, folder = 1_000_000, tmp_path / "large.dct"
    folder.mkdir()
    table = one.take(pa.array(np.zeros(count, np.int64))).combine_chunks()
    with pa.OSFile(str(folder / "index.arrow"), "wb") as file, pa.ipc.new_file(file, index_schema()) as writer:
        writer.write_table(table)
    whole = shards.open(stored).manifest
    files = [ShardFile("shard-00000.arrow", count, 0, 1 << 40, 0)]
    facts: dict[str, Any] = {**whole.__dict__, "images": count, "shards": files}
    facts["index_crc32c"] = _core.crc32c((folder / "index.arrow").read_bytes())
    (folder / "manifest.json").write_text(Manifest(**facts).to_json())
    began = time.perf_counter()
    s = shards.open(folder)
    assert s.targets[count - 1] == 0 and s.keys[count - 1] == "a/000.jpg"
    assert time.perf_counter() - began < 1
