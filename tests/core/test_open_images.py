"""Two phases: headers first, then what they ask for; the bytes are those of one phase."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import dctload
from dctload.headers import Headers
from support import jpeg_builder as jb

CONTENTS = [
    jb.content(40 + 13 * n, 90 - 7 * n, layout, seed=n) for n, layout in enumerate(jb.LAYOUTS) if layout not in ("four", "3x1")
]
FILES = [jb.encode(c).to_bytes() for c in CONTENTS]
GOOD = FILES[4]
CUT = GOOD[: len(GOOD) * 2 // 3]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
S24 = dctload.ChannelSelection.parse("24s")
DC = dctload.ChannelSelection.parse("y:0;cb:0;cr:0")


def masks_of(selections: list[dctload.ChannelSelection]) -> np.ndarray:
    return np.array([s.masks for s in selections], np.uint64)


def all_masks(count: int) -> np.ndarray:
    return np.full((count, 3), 2**64 - 1, np.uint64)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    made = []
    for n, data in enumerate(FILES):
        made.append(tmp_path / f"{n}.jpg")
        made[-1].write_bytes(data)
    return made


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("by_path", [False, True])
def test_bytes_equal_those_of_extract(threads: int, by_path: bool, paths: list[Path]) -> None:
    sources = list(paths if by_path else FILES) * 3
    rng = np.random.default_rng(threads)
    selections = [(S24, DC, dctload.ChannelSelection.parse("all"))[k] for k in rng.integers(0, 3, len(sources))]
    regions = [None if n % 3 == 0 else (n % 7, n % 5, 9 + n, 11 + n) for n in range(len(sources))]
    boxes = np.array([region or (0, 0, 0, 0) for region in regions], np.int64)
    extractor = dctload.Extractor(threads)
    with extractor.open(sources) as images:
        got = images.extract(masks_of(selections), boxes)
    want = dctload.extract(sources, selections, regions, num_threads=1)
    assert bytes(got.buffer) == bytes(want.buffer)
    assert got.status == want.status and got.channels is None


def test_headers_are_those_of_read_header() -> None:
    progressive = jb.encode(CONTENTS[0], jb.standard_progression(CONTENTS[0]), process="progressive").to_bytes()
    images = dctload.Extractor(2).open([*FILES, progressive])
    want = Headers.of([dctload.read_header(images.bytes(i)) for i in range(len(images))])
    assert len(images) == len(FILES) + 1 and not images.errors
    for name in ("code", "width", "height", "orientation", "process", "color", "num_components", "h", "v"):
        got = getattr(images.headers, name)
        assert got.dtype == np.int64 and np.array_equal(got, getattr(want, name)), name
    assert images.headers.process[-1] == 2


def test_headers_that_fail_are_rows_of_zeros_with_a_code(tmp_path: Path) -> None:
    absent = tmp_path / "absent.jpg"
    images = dctload.Extractor(2).open([GOOD, absent, PNG, GOOD[:30], CUT])
    assert [images.headers.code[i] == 0 for i in range(5)] == [True, False, False, False, True]
    assert {i: e.code for i, e in images.errors.items()} == {1: "io_error", 2: "not_jpeg", 3: "no_image"}
    assert images.errors[1].source == str(absent) and images.errors[1].index == 1
    assert isinstance(images.errors[2], dctload.UnsupportedJPEG) and images.errors[2].process == "not a JPEG: PNG"
    assert not images.headers.width[1:4].any() and not images.headers.h[1:4].any()


def test_marked_failures_are_those_of_extract(tmp_path: Path) -> None:
    sources = [GOOD, tmp_path / "absent.jpg", PNG, GOOD[:30], CUT, GOOD]
    for truncated in ("error", "keep"):
        got = dctload.Extractor(3).open(sources).extract(all_masks(6), on_error="mark", truncated=truncated)
        want = dctload.extract(sources, "all", on_error="mark", truncated=truncated)
        assert bytes(got.buffer) == bytes(want.buffer)
        assert got.status == want.status
        for i in range(6):
            mine, other = got.error(i), want.error(i)
            assert (mine is None) == (other is None)
            if mine is not None and other is not None:
                assert type(mine) is type(other) and str(mine) == str(other) and vars(mine) == vars(other)
    assert got.status == ("ok", "io_error", "not_jpeg", "no_image", "truncated", "ok")


@pytest.mark.parametrize("bad", [PNG, GOOD[:30], CUT, b""])
def test_the_first_failure_raises_as_extract_does(bad: bytes) -> None:
    sources = [GOOD, bad, PNG]
    with pytest.raises(dctload.JPEGError) as want:
        dctload.extract(sources, "all")
    with pytest.raises(dctload.JPEGError) as got:
        dctload.Extractor(2).open(sources).extract(all_masks(3))
    assert type(got.value) is type(want.value) and str(got.value) == str(want.value) and vars(got.value) == vars(want.value)


def test_an_absent_file_raises_the_systems_error(tmp_path: Path) -> None:
    images = dctload.Extractor(1).open([GOOD, tmp_path / "absent.jpg"])
    with pytest.raises(FileNotFoundError) as error:
        images.extract(all_masks(2))
    assert error.value.filename == str(tmp_path / "absent.jpg")


def test_a_region_outside_raises_with_both_sizes() -> None:
    images = dctload.Extractor(1).open([GOOD, GOOD])
    boxes = np.array([[0, 0, 0, 0], [5000, 0, 8, 8]])
    with pytest.raises(ValueError, match=r"\(5000, 0, 8, 8\) does not touch the image of") as error:
        images.extract(all_masks(2), boxes)
    assert isinstance(error.value, dctload.JPEGError) and error.value.index == 1
    assert images.extract(all_masks(2), boxes, on_error="mark").status == ("ok", "region_outside")


def test_places_choose_and_order_and_repeat() -> None:
    sources: list[bytes] = [*FILES, PNG]
    places = np.array([3, 0, 3, 5])
    selections = [S24 if n % 2 else DC for n in range(len(sources))]
    boxes = np.array([(0, 0, 8 * (n % 3), 8 * (n % 3)) for n in range(len(sources))])
    with dctload.Extractor(2).open(sources) as images:
        got = images.extract(masks_of(selections), boxes, places=places)
        none = images.extract(masks_of(selections), places=[])
        last = images.extract(masks_of(selections), places=[1, len(FILES)], on_error="mark")
    regions = [None if not boxes[p, 2] else boxes[p].tolist() for p in places]
    want = dctload.extract([FILES[p] for p in places], [selections[p] for p in places], regions)
    assert bytes(got.buffer) == bytes(want.buffer)
    assert len(none) == 0
    error = last.error(1)
    assert error is not None and error.index == 1 and error.code == "not_jpeg"


def test_one_opening_serves_many_batches_of_other_masks() -> None:
    with dctload.Extractor(2).open(FILES) as images:
        for selection in (S24, DC, S24):
            batch = images.extract(masks_of([selection] * len(FILES)), channels=selection)
            assert bytes(batch.buffer) == bytes(dctload.extract(FILES, selection).buffer)
            assert batch.channels is selection


def test_out_takes_the_batch_and_must_be_large_enough() -> None:
    images = dctload.Extractor(1).open(FILES)
    want = images.extract(all_masks(len(FILES)))
    out = np.zeros(want.nbytes + 64, np.uint8)
    out = out[-out.ctypes.data % 16 :]
    got = images.extract(all_masks(len(FILES)), out=out)
    assert got.buffer.ctypes.data == out.ctypes.data and bytes(got.buffer) == bytes(want.buffer)
    with pytest.raises(ValueError, match=f"needs {want.nbytes}"):
        images.extract(all_masks(len(FILES)), out=np.zeros(16, np.uint8))


def test_bytes_are_those_of_the_file(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(PNG)
    images = dctload.Extractor(2).open([paths[0], FILES[1], tmp_path / "picture.png", tmp_path / "absent"])
    assert [images.bytes(i) for i in range(4)] == [FILES[0], FILES[1], PNG, b""]
    assert images.bytes(-2) == PNG
    assert images.nbytes == len(FILES[0]) + len(FILES[1]) + len(PNG)
    with pytest.raises(IndexError):
        images.bytes(4)


def test_closed_images_keep_their_headers_alone(paths: list[Path]) -> None:
    images = dctload.Extractor(1).open([*paths, PNG])
    copy = images.bytes(0)
    images.close()
    images.close()
    assert copy == FILES[0] and len(images) == len(FILES) + 1 and list(images.errors) == [len(FILES)]
    for call in (lambda: images.bytes(0), lambda: images.extract(all_masks(len(images)))):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(images)


def test_a_batch_opened_ahead_does_not_disturb_the_one_in_hand(paths: list[Path]) -> None:
    """Memory that goes round must not be taken while a batch still holds it."""
    extractor = dctload.Extractor(2)
    want = bytes(dctload.extract(FILES, "all").buffer)
    backwards = bytes(dctload.extract(FILES[::-1], "all").buffer)
    held = extractor.open(paths)
    for _ in range(5):
        ahead = extractor.open(paths[::-1])
        assert bytes(held.extract(all_masks(len(FILES))).buffer) == want
        assert bytes(extractor.extract(paths, "all").buffer) == want
        assert bytes(ahead.extract(all_masks(len(FILES))).buffer) == backwards
        ahead.close()
    del held
    gc.collect()
    assert bytes(extractor.open(paths).extract(all_masks(len(FILES))).buffer) == want


def test_images_outlive_the_callers_extractor(paths: list[Path]) -> None:
    images = dctload.Extractor(2).open(paths)
    gc.collect()
    assert bytes(images.extract(all_masks(len(FILES))).buffer) == bytes(dctload.extract(FILES, "all").buffer)


def test_two_threads_share_one_extractor(paths: list[Path]) -> None:
    extractor = dctload.Extractor(2)
    wrong: list[str] = []

    def work(sources: list[Path], want: bytes) -> None:
        for _ in range(20):
            with extractor.open(sources) as images:
                if bytes(images.extract(all_masks(len(FILES))).buffer) != want:
                    wrong.append("other bytes")

    orders = [paths, paths[::-1], paths[3:] + paths[:3]]
    threads = [threading.Thread(target=work, args=(o, bytes(dctload.extract(o, "all").buffer))) for o in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_on_with_open_images(paths: list[Path]) -> None:
    extractor = dctload.Extractor(2)
    images = extractor.open(paths)
    want = bytes(images.extract(all_masks(len(FILES))).buffer)
    child = os.fork()
    if child == 0:
        same = bytes(images.extract(all_masks(len(FILES))).buffer) == want
        images.close()
        with extractor.open(paths) as again:
            same = same and bytes(again.extract(all_masks(len(FILES))).buffer) == want
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(images.extract(all_masks(len(FILES))).buffer) == want


def test_limits_of_the_opening_hold_for_the_extraction(paths: list[Path]) -> None:
    biggest = max(len(data) for data in FILES)
    small = dctload.Extractor(1).open([*paths, FILES[0]], limits=dctload.Limits(bytes=biggest - 1))
    assert [e.code for e in small.errors.values()] == ["limit_bytes"] * sum(len(d) == biggest for d in [*FILES, FILES[0]])
    wide = dctload.Extractor(1).open(paths, limits=dctload.Limits(bytes=2**70))
    assert not wide.errors
    few = dctload.Extractor(1).open([GOOD], limits=dctload.Limits(pixels=10))
    assert isinstance(few.errors[0], dctload.LimitExceeded)
    with pytest.raises(dctload.LimitExceeded):
        few.extract(all_masks(1))


def test_an_endless_source_stops_at_the_limit() -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("this system has no /dev/zero")
    images = dctload.Extractor(1).open(["/dev/zero"], limits=dctload.Limits(bytes=100_000))
    assert images.errors[0].code == "limit_bytes" and len(images.bytes(0)) == 100_001


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"masks": np.zeros((2, 3), np.int64)}, TypeError, "masks is uint64"),
        ({"masks": np.zeros((3, 3), np.uint64)}, ValueError, r"masks has the shape \[2, 3\]"),
        ({"boxes": np.zeros((2, 4))}, TypeError, "boxes is int64"),
        ({"boxes": np.zeros((1, 4), np.int64)}, ValueError, r"boxes has the shape \[2, 4\]"),
        ({"boxes": np.array([[0, 0, 0, 0], [-1, 0, 8, 8]])}, ValueError, r"boxes\[1\]"),
        ({"boxes": np.array([[0, 0, 8, 0], [0, 0, 8, 8]])}, ValueError, r"boxes\[0\]"),
        ({"places": [0, 2]}, IndexError, "places are 0 to 1"),
        ({"places": [-1]}, IndexError, "places are 0 to 1"),
        ({"places": [[0]]}, ValueError, "places has the shape"),
        ({"places": [0.5]}, TypeError, "places are whole numbers"),
        ({"on_error": "skip"}, ValueError, "on_error"),
        ({"truncated": "drop"}, ValueError, "truncated"),
        ({"channels": [S24]}, ValueError, "channels has 1 entries for 2 images"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    images = dctload.Extractor(1).open([GOOD, GOOD])
    with pytest.raises(error, match=words):
        images.extract(**{"masks": all_masks(2), **arguments})  # type: ignore[arg-type]


def test_boxes_beyond_32_bits_are_those_of_extract() -> None:
    box = (0, 0, 2**40, 2**62)
    got = dctload.Extractor(1).open([GOOD]).extract(all_masks(1), np.array([box]))
    assert bytes(got.buffer) == bytes(dctload.extract([GOOD], "all", [box]).buffer)


def test_an_opening_of_nothing() -> None:
    images = dctload.Extractor(1).open([])
    assert len(images) == 0 and len(images.headers) == 0 and not images.errors
    assert len(images.extract(all_masks(0), np.zeros((0, 4), np.int64))) == 0
