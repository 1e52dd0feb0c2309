"""Batches: order and bytes do not depend on threads; a bad image costs only itself."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb
from support.compare import assert_same_planes

CONTENTS = [
    jb.content(40 + 13 * n, 90 - 7 * n, list(jb.LAYOUTS)[n], seed=n)
    for n in range(len(jb.LAYOUTS))
    if list(jb.LAYOUTS)[n] != "four"
]
FILES = [jb.encode(c).to_bytes() for c in CONTENTS]
GOOD = FILES[4]
CUT = GOOD[: len(GOOD) * 2 // 3]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.mark.parametrize("channels", ["all", "24s", "y:0;cb:0;cr:0"])
def test_bytes_do_not_depend_on_the_number_of_threads(channels: str) -> None:
    sources = FILES * 6
    one = dctload.extract(sources, channels=channels, num_threads=1)
    for threads in (0, 2, 3, 8, 200):
        assert bytes(dctload.extract(sources, channels=channels, num_threads=threads).buffer) == bytes(one.buffer)


def test_images_come_in_the_order_of_the_sources() -> None:
    rng = np.random.default_rng(0)
    order = [int(i) for i in rng.integers(0, len(FILES), 60)]
    batch = dctload.extract([FILES[i] for i in order], channels="all", num_threads=3)
    for i, got in zip(order, dctload.unpack_reference(batch), strict=True):
        assert got is not None
        assert_same_planes(got.planes, CONTENTS[i].planes)


def test_batches_in_several_python_threads_do_not_disturb_each_other() -> None:
    want = bytes(dctload.extract(FILES, num_threads=1).buffer)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):
            if bytes(dctload.extract(FILES, num_threads=1 + number % 3).buffer) != want:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_threads_run_while_a_batch_is_made() -> None:
    """The interpreter lock is free during the work: a counting thread goes on meanwhile."""
    data = jb.encode(jb.content(1600, 1600, "4:4:4", "flat", seed=1)).to_bytes()
    counted, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1
            stop.wait(0.0005)

    thread = threading.Thread(target=count)
    thread.start()
    before = counted[0]
    dctload.extract([data] * 40, channels="all", num_threads=1)
    during = counted[0] - before
    stop.set()
    thread.join()
    assert during >= 10


def test_a_bad_image_does_not_change_its_neighbours(tmp_path: Path) -> None:
    absent = tmp_path / "absent.jpg"
    sources: list[Any] = [GOOD, PNG, CUT, absent, b"", GOOD]
    batch = dctload.extract(sources, channels="24s", on_error="mark", num_threads=2)
    assert list(batch.status) == ["ok", "not_jpeg", "data_truncated", "io_error", "not_jpeg", "ok"]
    alone = bytes(dctload.extract([GOOD], channels="24s").image_bytes(0))
    assert bytes(batch.image_bytes(0)) == bytes(batch.image_bytes(5)) == alone
    unpacked = dctload.unpack_reference(batch)
    assert [u is None for u in unpacked] == [False, True, True, True, True, False]
    for i in range(6):
        error = batch.error(i)
        assert (error is None) == (i in (0, 5))
        if error is not None:
            assert error.index == i and error.code == batch.status[i]
    missing = batch.error(3)
    assert missing is not None and missing.source is not None and missing.source.endswith("absent.jpg")
    assert len(bytes(batch.image_bytes(1))) == 64


def test_raising_names_the_first_bad_image(tmp_path: Path) -> None:
    bad = tmp_path / "wrong.jpg"
    bad.write_bytes(PNG)
    with pytest.raises(dctload.UnsupportedJPEG) as caught:
        dctload.extract([GOOD, GOOD, bad, CUT], num_threads=2)
    error = caught.value
    assert (error.index, error.code) == (2, "not_jpeg")
    assert error.source is not None and error.source.endswith("wrong.jpg")
    assert "wrong.jpg" in str(error) and "PNG" in str(error)


def test_an_absent_file_raises_at_once_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "absent.jpg"
    for call in (
        lambda: dctload.read_header(path),
        lambda: dctload.read_coefficients(path),
        lambda: dctload.extract([GOOD, path]),
    ):
        with pytest.raises((OSError, dctload.JPEGError), match=r"absent\.jpg"):
            call()
    with pytest.raises((OSError, dctload.JPEGError)):
        dctload.read_coefficients(tmp_path)


def test_unreadable_sources_are_io_errors_in_a_marked_batch(tmp_path: Path) -> None:
    batch = dctload.extract([tmp_path, tmp_path / "a\nb.jpg", GOOD], on_error="mark", num_threads=1)
    assert list(batch.status) == ["io_error", "io_error", "ok"]


def test_errors_survive_pickling_with_all_their_facts(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(CUT)
    batch = dctload.extract(
        [bad, PNG, jb.encode(CONTENTS[0]).to_bytes()], on_error="mark", limits=dctload.Limits(bytes=len(GOOD))
    )
    errors = [e for e in (batch.error(0), batch.error(1)) if e is not None]
    with pytest.raises(dctload.LimitExceeded) as caught:
        dctload.read_coefficients(GOOD, limits=dctload.Limits(pixels=1))
    errors.append(caught.value)
    assert len(errors) == 3
    for error in errors:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == str(error)
        assert (copy.code, copy.offset, copy.index, copy.source) == (error.code, error.offset, error.index, error.source)
        assert getattr(copy, "process", None) == getattr(error, "process", None)


def test_output_goes_to_the_start_of_the_caller_s_buffer() -> None:
    want = dctload.extract(FILES, channels="24s")
    out = np.full(want.nbytes + 4096, 7, np.uint8)
    got = dctload.extract(FILES, channels="24s", out=out, num_threads=2)
    assert bytes(got.buffer) == bytes(want.buffer) == out[: got.nbytes].tobytes()
    assert (out[got.nbytes + 16 :] == 7).all()
    assert np.shares_memory(np.asarray(got.buffer), out)


def test_an_exact_buffer_is_enough_and_one_byte_less_is_not() -> None:
    want = dctload.extract(FILES, channels="24s")
    store = np.zeros(want.nbytes + 16, np.uint8)
    start = -store.ctypes.data % 16
    exact = store[start : start + want.nbytes]
    assert bytes(dctload.extract(FILES, channels="24s", out=exact).buffer) == bytes(want.buffer)
    with pytest.raises(ValueError, match=str(want.nbytes)):
        dctload.extract(FILES, channels="24s", out=exact[:-16])


@pytest.mark.parametrize("wrong", ["float", "read-only", "strided", "list"])
def test_buffers_of_another_kind_are_refused(wrong: str) -> None:
    out: object = {
        "float": np.zeros(1 << 20, np.float32),
        "read-only": np.frombuffer(bytes(1 << 20), np.uint8),
        "strided": np.zeros(1 << 20, np.uint8)[::2],
        "list": [0] * 100,
    }[wrong]
    with pytest.raises((ValueError, TypeError, BufferError)):
        dctload.extract(FILES, out=out)  # type: ignore[arg-type]


def test_a_list_of_selections_gives_each_image_its_own() -> None:
    texts = ["6s", "all", "24s", "y:63;cb:0;cr:", "64s"]
    sources = [jb.encode(jb.content(50, 40, "4:2:0", seed=n)).to_bytes() for n in range(5)]
    batch = dctload.extract(sources, channels=texts, num_threads=2)
    for source, text, got in zip(sources, texts, dctload.unpack_reference(batch), strict=True):
        assert got is not None
        assert_same_planes(got.planes, dctload.read_coefficients(source, channels=text).planes)
    with pytest.raises(ValueError):
        dctload.extract(sources, channels=texts[:2])


def test_the_batch_remembers_its_selection_until_it_travels() -> None:
    batch = dctload.extract(FILES, channels="24s")
    assert batch.channels == dctload.ChannelSelection.parse("24s")
    assert dctload.PackedBatch.from_buffer(bytes(batch.buffer)).channels is None
    assert dctload.PackedBatch.join([batch.image_bytes(0)]).channels is None


def test_an_extractor_gives_the_same_bytes_batch_after_batch() -> None:
    extractor = dctload.Extractor(2)
    assert extractor.num_threads == 2
    want = {channels: bytes(dctload.extract(FILES, channels, num_threads=1).buffer) for channels in ("all", "6s", "24s")}
    for channels in ("all", "6s", "24s", "all", "24s", "6s"):
        assert bytes(extractor.extract(FILES, channels).buffer) == want[channels]
        with pytest.raises(dctload.JPEGError):
            extractor.extract([*FILES, CUT])
    small = extractor.extract([GOOD], "24s")
    assert bytes(small.buffer) == bytes(dctload.extract([GOOD], "24s").buffer)


def test_memory_is_used_again_only_where_nobody_holds_it() -> None:
    """A batch of a megabyte: small ones come from the system each time."""
    extractor, sources = dctload.Extractor(1), FILES * 60
    held = [extractor.extract(sources, channels="all") for _ in range(3)]
    want, places = bytes(held[0].buffer), {batch.buffer.ctypes.data for batch in held}
    assert len(want) > 1 << 20 and len(places) == 3 and all(place % 64 == 0 for place in places)
    view = held.pop().buffer[5:]  # keeps its batch's memory from being used again
    kept = view.ctypes.data - 5
    for _ in range(4):
        batch = extractor.extract(sources[::-1], channels="all")
        assert batch.buffer.ctypes.data not in places
        held.append(batch)
    assert all(bytes(batch.buffer) == want for batch in held[:2]) and bytes(view) == want[5:]
    given_back = {held.pop(0).buffer.ctypes.data for _ in range(2)}
    again = [extractor.extract(sources, channels="all") for _ in range(3)]
    assert given_back <= {batch.buffer.ctypes.data for batch in again} and kept not in {b.buffer.ctypes.data for b in again}
    del extractor, held
    assert all(bytes(batch.buffer) == want for batch in again) and bytes(view) == want[5:]


def test_headers_and_regions_of_packed_images_are_those_of_the_files() -> None:
    batch = dctload.extract([*FILES, PNG], on_error="mark")
    for i, data in enumerate(FILES):
        header, packed = dctload.read_header(data), batch.header(i)
        assert packed is not None
        assert (packed.width, packed.height, packed.process) == (header.width, header.height, header.process)
        assert packed.components == header.components
        assert tuple(batch.region(i) or ()) == (0, 0, header.height, header.width)
    assert batch.header(len(FILES)) is None and batch.region(len(FILES)) is None


def test_an_empty_batch() -> None:
    batch = dctload.extract([])
    assert len(batch) == 0 and list(batch.status) == [] and batch.nbytes == len(bytes(batch.buffer)) == 64


def test_indices_are_checked() -> None:
    batch = dctload.extract([GOOD])
    for i in (1, 100):
        with pytest.raises(IndexError):
            batch.image_bytes(i)
        with pytest.raises(IndexError):
            batch.error(i)


@pytest.mark.parametrize("options", [{"on_error": "skip"}, {"truncated": "drop"}, {"num_threads": -1}, {"channels": "25q"}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        dctload.extract([GOOD], **options)  # type: ignore[arg-type]


def test_a_single_source_instead_of_a_list_is_refused() -> None:
    for source in (GOOD, "name.jpg", Path("name.jpg")):
        with pytest.raises(TypeError):
            dctload.extract(source)  # type: ignore[arg-type]


def test_kept_parts_of_cut_files_have_a_status_in_the_batch() -> None:
    batch = dctload.extract([GOOD, CUT, GOOD], truncated="keep", num_threads=2)
    assert list(batch.status) == ["ok", "truncated", "ok"]
    assert all(batch.error(i) is None for i in range(3))


def test_memory_of_the_caller_is_not_kept_or_changed() -> None:
    data = bytearray(GOOD)
    batch = dctload.extract([data], channels="all")
    want = bytes(batch.buffer)
    data[:] = bytes(len(data))
    data.clear()
    assert bytes(batch.buffer) == want


@pytest.mark.no_sanitizer
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_can_extract() -> None:
    want = bytes(dctload.extract(FILES, num_threads=2).buffer)
    child = os.fork()
    if child == 0:
        same = bytes(dctload.extract(FILES, num_threads=2).buffer) == want
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
