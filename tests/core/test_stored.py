"""Stored records on the road of files: the same headers, the same bytes, and nothing of a damaged one."""

from __future__ import annotations

import mmap
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dctload
from dctload import ChannelSelection, Extractor, OpenImages, PackedBatch, _core
from support import jpeg_builder as jb
from support.real_files import DATA, names, needs_real_files

FILES = [jb.encode(jb.content(40 + 13 * n, 99 - 7 * n, layout, seed=n)).to_bytes() for n, layout in enumerate(jb.LAYOUTS)]
CUT = jb.encode(jb.content(120, 90, "4:2:0", "dense", seed=3)).to_bytes()[:-900]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def masks_of(channels: str, count: int) -> np.ndarray:
    return np.tile(np.array(ChannelSelection.parse(channels).masks, np.uint64), (count, 1))


def store(batch: PackedBatch, shards: int = 2) -> tuple[list[bytes], np.ndarray, np.ndarray, np.ndarray]:
    """The batch's records dealt out to buffers, with junk between them: buffers, shard, offset, nbytes."""
    buffers = [bytearray(b"junk" * k) for k in range(shards)]
    shard, offset, nbytes = [], [], []
    for i in range(len(batch)):
        buffer, record = buffers[i % shards], batch.image_bytes(i)
        shard.append(i % shards)
        offset.append(len(buffer))
        nbytes.append(len(record))
        buffer += bytes(record) + b"!" * (i % 5)
    return [bytes(b) for b in buffers], np.array(shard), np.array(offset), np.array(nbytes)


def opened(batch: PackedBatch, extractor: Extractor | None = None, **options: Any) -> OpenImages:
    return (extractor or Extractor(1)).open_records(*store(batch), **options)


def one(record: bytes, **options: Any) -> OpenImages:
    return Extractor(1).open_records([record], [0], [0], [len(record)], **options)


def same_batches(got: PackedBatch, want: PackedBatch) -> None:
    assert got.status == want.status
    assert bytes(got.buffer) == bytes(want.buffer)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("held", "wanted"), [("all", "all"), ("24s", "24s"), ("64s", "24s"), ("all", "6s")])
def test_bytes_equal_those_of_the_files(threads: int, held: str, wanted: str) -> None:
    images = opened(dctload.extract(FILES * 3, held), Extractor(threads))
    for _ in range(2):
        same_batches(images.extract(masks_of(wanted, len(images))), dctload.extract(FILES * 3, wanted))


def test_headers_are_those_of_the_files() -> None:
    files, images = Extractor(1).open(FILES), opened(dctload.extract(FILES, "24s"))
    assert len(images) == len(FILES) and not images.errors
    for name in ("code", "width", "height", "orientation", "process", "color", "num_components", "h", "v"):
        assert np.array_equal(getattr(images.headers, name), getattr(files.headers, name)), name
    assert images.nbytes == sum(len(images.bytes(i)) for i in range(len(images)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_parts_equal_those_of_cut_and_select(data: st.DataObject) -> None:
    held, wanted = data.draw(st.sampled_from([("all", "all"), ("64s", "24s"), ("24s", "6s"), ("24s", "24s")]))
    batch = dctload.extract(FILES, held, num_threads=1)
    box = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 90), st.integers(1, 90))
    boxes = [data.draw(st.none() | box) for _ in FILES]
    table = np.array([b or (0, 0, 0, 0) for b in boxes], np.int64)
    got = opened(batch).extract(masks_of(wanted, len(FILES)), table)
    want = batch.cut(boxes).select(wanted)
    same_batches(got, want)
    same_batches(batch.select(wanted).cut(boxes), want)
    fresh = dctload.extract(FILES, wanted, boxes, num_threads=1)
    for mine, other in zip(dctload.unpack_reference(got), dctload.unpack_reference(fresh), strict=True):
        assert mine is not None and other is not None and mine.region == other.region
        for a, b in zip(mine.planes, other.planes, strict=True):
            assert np.array_equal(a, b)


@needs_real_files
def test_real_files_of_every_kind() -> None:
    paths = [DATA / name for folder in ("jpeg-corpus", "imagenet-sample") for name in names(folder, "ok", below=100_000)][:150]
    options: dict[str, Any] = {"on_error": "mark", "truncated": "keep"}
    whole = dctload.extract(paths, "64s", **options)
    images = opened(whole, Extractor(2))
    assert len(paths) > 100
    for channels in ("64s", "24s", "6s"):
        same_batches(images.extract(masks_of(channels, len(paths)), on_error="mark"), dctload.extract(paths, channels, **options))


def test_places_out_and_channels_work_as_for_files() -> None:
    batch = dctload.extract(FILES, "24s")
    images = opened(batch, names=lambda i: f"n{i}")
    asked: list[int] = []

    def room(nbytes: int) -> np.ndarray:
        asked.append(nbytes)
        return _core.aligned_empty(nbytes + 100)

    places = [5, 0, 5]
    got = images.extract(
        masks_of("24s", len(FILES)), places=places, out=room, channels=ChannelSelection.parse("24s"), extractor=Extractor(2)
    )
    want = PackedBatch.join([batch.image_bytes(i) for i in places])
    assert bytes(got.buffer) == bytes(want.buffer) and asked == [got.nbytes]
    assert got.channels == ChannelSelection.parse("24s")


def flipped(record: bytes, bit: int) -> bytes:
    data = bytearray(record)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def test_every_flipped_bit_is_found() -> None:
    record = bytes(dctload.extract([jb.encode(jb.content(24, 16, "4:2:0", "dense", seed=1)).to_bytes()], "6s").image_bytes(0))
    damaged = [flipped(record, bit) for bit in range(8 * len(record))]
    sizes = np.full(len(damaged), len(record))
    images = Extractor(2).open_records(damaged, np.arange(len(damaged)), np.zeros(len(damaged), int), sizes)
    found = set(np.flatnonzero(images.headers.code).tolist())
    assert all(error.code == "record_damaged" for error in images.errors.values())
    for box in (None, np.tile([0, 0, 16, 16], (len(damaged), 1))):
        for channels in ("6s", "y:0;cb:0;cr:0"):
            batch = images.extract(masks_of(channels, len(damaged)), box, on_error="mark")
            assert set(batch.status) == {"record_damaged"} and batch.nbytes == 64 + 80 * len(damaged)
    assert images.trusted is not None and not images.trusted.any()
    assert 0 < len(found) < len(damaged)  # the tiles are not looked at before they are wanted


def test_damage_in_the_tiles_raises_or_marks_and_spares_the_others() -> None:
    batch = dctload.extract(FILES, "24s")
    buffers, shard, offset, nbytes = store(batch, 1)
    data = bytearray(buffers[0])
    bad = [1, 4]
    for i in bad:
        data[offset[i] + nbytes[i] - 20] ^= 4
    images = Extractor(2).open_records([data], shard, offset, nbytes, names=lambda i: f"key{i}")
    assert not images.errors
    with pytest.raises(dctload.JPEGError, match="key1: byte 48: the stored record is damaged") as caught:
        images.extract(masks_of("24s", len(FILES)))
    assert (caught.value.code, caught.value.index, caught.value.source) == ("record_damaged", 1, "key1")
    assert images.trusted is not None and not images.trusted.any()
    got = images.extract(masks_of("24s", len(FILES)), on_error="mark")
    assert [i for i, s in enumerate(got.status) if s != "ok"] == bad and got.status[1] == "record_damaged"
    error = got.error(4)
    assert error is not None and error.source == "key4" and error.offset == 48
    for i in range(len(FILES)):
        if i not in bad:
            assert got.image_bytes(i) == batch.image_bytes(i)
    assert bytes(PackedBatch.from_buffer(got.buffer, deep=True).buffer) == bytes(got.buffer)
    assert np.flatnonzero(~images.trusted).tolist() == bad
    assert np.flatnonzero(images.extract(masks_of("24s", len(FILES)), on_error="mark").failures).tolist() == bad


def test_what_is_trusted_is_not_checked_again() -> None:
    record = bytearray(dctload.extract(FILES[:1], "24s").image_bytes(0))
    record[-20] ^= 1
    masks = masks_of("24s", 1)
    assert one(bytes(record)).extract(masks, on_error="mark").status == ("record_damaged",)
    assert one(bytes(record), trusted=[True]).extract(masks).status == ("ok",)


@pytest.mark.parametrize(
    ("offset", "nbytes"), [(0, -16), (-16, 64), (0, 10**9), (10**18, 64), (16, 0), (64, 64), (1, 128), (-(2**63), 2**63 - 1)]
)
def test_a_record_outside_its_buffer_is_damaged(offset: int, nbytes: int) -> None:
    record = bytes(dctload.extract(FILES[:1], "24s").image_bytes(0))
    images = Extractor(1).open_records([record, record], [0, 1], [0, offset], [len(record), nbytes])
    assert images.headers.code.tolist() == [0, 31] and images.errors[1].code == "record_damaged"
    got = images.extract(masks_of("24s", 2), on_error="mark")
    assert got.status == ("ok", "record_damaged")
    assert got.image_bytes(0) == record


def test_a_cut_off_buffer_is_damaged_wherever_it_ends() -> None:
    record = bytes(dctload.extract(FILES[:1], "6s").image_bytes(0))
    for end in range(0, len(record), 3):
        images = Extractor(1).open_records([record[:end]], [0], [0], [len(record)])
        assert images.headers.code[0] == 31


def test_missing_channels_are_an_error_of_the_image() -> None:
    images = opened(dctload.extract(FILES, "24s"), names=[f"n{i}" for i in range(len(FILES))])
    with pytest.raises(dctload.JPEGError, match=r"n0: .*lacks channels.*component 0") as caught:
        images.extract(masks_of("64s", len(FILES)))
    assert caught.value.code == "channels_missing" and caught.value.offset is None
    masks = masks_of("24s", len(FILES))
    masks[1] = ChannelSelection.parse("64s").masks
    assert images.extract(masks, on_error="mark").status[:3] == ("ok", "channels_missing", "ok")


def test_regions_outside_say_what_is_stored() -> None:
    batch = dctload.extract(FILES[:2], "24s")
    with pytest.raises(ValueError, match=r"\(900, 0, 8, 8\) does not touch the image of"):
        opened(batch).extract(masks_of("24s", 2), np.array([[0, 0, 0, 0], [900, 0, 8, 8]]))
    part = opened(batch.cut((0, 0, 16, 16)))
    with pytest.raises(ValueError, match="which is what is stored of the image"):
        part.extract(masks_of("24s", 2), np.array([[0, 0, 0, 0], [40, 40, 8, 8]]))
    boxes = np.array([[0, 0, 0, 0], [40, 40, 8, 8]])
    assert part.extract(masks_of("24s", 2), boxes, on_error="mark").status == ("ok", "region_outside")


def test_failed_and_cut_off_images_stay_what_they_were() -> None:
    sources: Sequence[bytes] = [FILES[0], PNG, CUT, FILES[1][:30], FILES[2]]
    batch = dctload.extract(sources, "64s", on_error="mark", truncated="keep")
    images = opened(batch, names=lambda i: str(i))
    assert images.headers.code.tolist() == [0, 2, 0, 3, 0]
    assert [images.errors[i].code for i in (1, 3)] == ["not_jpeg", "no_image"]
    got = images.extract(masks_of("64s", 5), on_error="mark")
    same_batches(got, batch)
    assert got.status[2] == "truncated"
    same_batches(images.extract(masks_of("6s", 5), on_error="mark"), batch.select("6s"))
    with pytest.raises(dctload.UnsupportedJPEG, match="not a JPEG file"):
        images.extract(masks_of("64s", 5))


def test_an_error_that_was_stored_has_no_invented_detail(tmp_path: Path) -> None:
    batch = dctload.extract([tmp_path / "absent.jpg", PNG], "6s", on_error="mark")
    error = opened(batch, names=["absent.jpg", "b"]).extract(masks_of("6s", 2), on_error="mark").error(1)
    assert isinstance(error, dctload.UnsupportedJPEG) and error.process == "not a JPEG"
    with pytest.raises(dctload.JPEGError) as caught:  # the key is no path: the system is not asked about it
        opened(batch, names=["absent.jpg", "b"]).extract(masks_of("6s", 2))
    assert caught.value.code == "io_error" and caught.value.source == "absent.jpg"


def test_names_are_asked_for_when_they_are_needed() -> None:
    asked: list[int] = []

    def name(i: int) -> str:
        asked.append(i)
        return f"key{i}"

    batch = dctload.extract([FILES[0], PNG], "6s", on_error="mark")
    images = opened(batch, names=name)
    got = images.extract(masks_of("6s", 2), places=[1, 0], on_error="mark")
    assert not asked
    error = got.error(0)
    assert error is not None and error.source == "key1" and asked == [1]
    again = pickle.loads(pickle.dumps(got))
    assert again.error(0).source == "key1"


def test_mapped_files_are_held_while_they_are_open(tmp_path: Path) -> None:
    batch = dctload.extract(FILES, "24s")
    buffers, shard, offset, nbytes = store(batch, 1)
    (tmp_path / "shard").write_bytes(buffers[0])
    with (tmp_path / "shard").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with Extractor(2).open_records([mapped], shard, offset, nbytes) as images:
        with pytest.raises(BufferError):
            mapped.close()
        same_batches(images.extract(masks_of("24s", len(FILES))), batch)
    mapped.close()
    with pytest.raises(ValueError, match="closed"):
        images.extract(masks_of("24s", len(FILES)))


def test_arguments_that_cannot_be_right_are_refused() -> None:
    record = bytes(dctload.extract(FILES[:1], "6s").image_bytes(0))
    extractor, n = Extractor(1), len(record)
    for arguments in (([record], [1], [0], [n]), ([record], [-1], [0], [n]), ([], [0], [0], [n])):
        with pytest.raises(ValueError, match="shard"):
            extractor.open_records(*arguments)
    with pytest.raises(ValueError, match="offset"):
        extractor.open_records([record], [0], [0, 0], [n])
    with pytest.raises(TypeError, match="nbytes"):
        extractor.open_records([record], [0], [0], [0.5])
    with pytest.raises(TypeError, match="trusted"):
        extractor.open_records([record], [0], [0], [n], trusted=[1])
    with pytest.raises(ValueError, match="names"):
        extractor.open_records([record], [0], [0], [n], names=["a", "b"])
    with pytest.raises(TypeError, match="buffers"):
        extractor.open_records([3], [0], [0], [n])  # type: ignore[list-item]
    assert len(extractor.open_records([], [], [], [])) == 0


def test_threads_share_an_extractor() -> None:
    batch, extractor = dctload.extract(FILES, "64s"), Extractor(2)
    images, want, wrong = opened(batch, extractor), bytes(batch.select("24s").buffer), []

    def work() -> None:
        for _ in range(10):
            if bytes(images.extract(masks_of("24s", len(FILES))).buffer) != want:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_crc32c_of_known_texts() -> None:
    assert _core.crc32c(b"") == 0
    assert _core.crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C (Castagnoli)
    assert _core.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert _core.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert _core.crc32c(np.arange(32, dtype=np.uint8)) == 0x46DD794E
    data = np.random.default_rng(1).integers(0, 256, 10_000, np.uint8)
    assert _core.crc32c(data[3000:], _core.crc32c(data[:3000])) == _core.crc32c(memoryview(data))
    with pytest.raises((BufferError, ValueError)):
        _core.crc32c(data[::2])
