"""The packed form: laws of pack, unpack, select and join, and refusal of whatever is not the wire format."""

from __future__ import annotations

import pickle
import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dctload
from dctload import ChannelSelection, PackedBatch
from support import jpeg_builder as jb
from support import wire_reader as wire
from support.compare import assert_same_planes

LAYOUTS = ("gray", "gray 2x2", "two components", "4:4:4", "4:2:0", "luma smaller", "3x1", "four")
selections = st.builds(
    lambda *lists: ";".join(f"{n}:{','.join(map(str, sorted(kept)))}" for n, kept in zip(("y", "cb", "cr"), lists, strict=True)),
    st.sets(st.integers(0, 63), min_size=1),
    st.sets(st.integers(0, 63)),
    st.sets(st.integers(0, 63)),
)


def lists_of(selection: ChannelSelection, count: int, color: str) -> list[tuple[int, ...]]:
    """Kept frequencies by component: luma's list serves all but Cb and Cr (rulings, 10)."""
    chroma = color in ("ycbcr", "ycck")
    return [{1: selection.cb, 2: selection.cr}.get(k, selection.y) if chroma else selection.y for k in range(count)]


@cache
def header_of(layout: str, width: int, height: int) -> dctload.Header:
    return dctload.read_header(jb.encode(jb.content(width, height, layout, "zero")).to_bytes())


@cache
def batch_of(channels: str) -> PackedBatch:
    """A small mixed batch."""
    sources = [
        jb.encode(jb.content(75, 53, "4:2:0", "natural", seed=1)).to_bytes(),
        jb.encode(jb.content(40, 99, "gray", "dense", seed=2)).to_bytes(),
        jb.encode(jb.content(17, 17, "4:4:4", "extreme", seed=3), process="extended").to_bytes(),
        b"GIF89a",
        jb.encode(jb.content(90, 30, "four", "sparse", seed=4)).to_bytes()[:-60],
    ]
    return dctload.extract(sources, channels=channels, on_error="mark", truncated="keep", num_threads=1)


@st.composite
def images(draw: st.DrawFn) -> tuple[dctload.Header, list[np.ndarray], list[np.ndarray]]:
    """A header, planes over the full int16 range, tables."""
    layout = draw(st.sampled_from(LAYOUTS))
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    header = header_of(layout, width, height)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    planes = []
    for c in header.components:
        shape = (64, c.block_rows, c.block_cols)
        bits = draw(st.integers(0, 16))
        values = rng.integers(-(1 << bits >> 1), max(1, 1 << bits >> 1), shape)
        values *= rng.random(shape) < draw(st.sampled_from([0.02, 0.3, 1.0]))
        planes.append(values.astype(np.int16))
    tables = [rng.integers(1, 65536, 64).astype(np.uint16) for _ in header.components]
    return header, planes, tables


@settings(max_examples=120, deadline=None)
@given(images())
def test_unpacking_what_was_packed_is_the_identity(
    image: tuple[dctload.Header, list[np.ndarray], list[np.ndarray]],
) -> None:
    header, planes, tables = image
    record = bytes(dctload.pack(planes, tables, header))
    got = dctload.unpack_reference(PackedBatch.join([record]))[0]
    assert got is not None
    assert_same_planes(got.planes, planes)
    assert [c.quantization.tolist() for c in got.header.components] == [t.tolist() for t in tables]
    assert (got.header.width, got.header.height, got.header.color_space) == (header.width, header.height, header.color_space)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int16, (64, 2, 3), elements=st.integers(-32768, 32767)))
def test_any_int16_value_survives(plane: np.ndarray) -> None:
    header = header_of("gray", 24, 16)
    record = bytes(dctload.pack([plane], [np.ones(64, np.uint16)], header))
    assert_same_planes(wire.read_record(record).planes, [plane])
    got = dctload.unpack_reference(PackedBatch.join([record]))[0]
    assert got is not None
    assert_same_planes(got.planes, [plane])


@settings(max_examples=25, deadline=None)
@given(images())
def test_packed_bytes_are_the_wire_format_s_one_right_form(
    image: tuple[dctload.Header, list[np.ndarray], list[np.ndarray]],
) -> None:
    header, planes, tables = image
    record = wire.read_record(bytes(dctload.pack(planes, tables, header)))
    assert_same_planes(record.planes, planes)
    assert (record.width, record.height, record.color) == (header.width, header.height, header.color_space)
    assert (record.status, record.process, record.restart_interval) == ("ok", header.process, header.restart_interval)
    assert record.region == (0, 0, header.height, header.width)
    for a, b, table in zip(record.components, header.components, tables, strict=True):
        assert (a.id, a.h, a.v, a.block_rows, a.block_cols) == (b.id, b.h, b.v, b.block_rows, b.block_cols)
        np.testing.assert_array_equal(a.quantization, table)


@pytest.mark.parametrize("channels", ["all", "64s", "24s", "6s", "y:63,1,8;cb:;cr:5", "y:;cb:0;cr:"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_extracted_bytes_are_the_wire_format_s_one_right_form(layout: str, channels: str) -> None:
    content = jb.content(75, 53, layout, "natural", seed=4)
    data = jb.encode(content, extras=(jb.exif(6),), restart_interval=3).to_bytes()
    batch = dctload.extract([data, data], channels=channels, num_threads=1)
    records = wire.read_batch(bytes(batch.buffer))
    assert len(records) == len(batch) == 2 and batch.nbytes == len(bytes(batch.buffer))
    header = dctload.read_header(data)
    lists = lists_of(ChannelSelection.parse(channels), len(content.planes), header.color_space)
    for record in records:
        assert [c.frequencies for c in record.components] == lists
        assert_same_planes(record.planes, [p[list(f)] for p, f in zip(content.planes, lists, strict=True)])
        assert (record.orientation, record.restart_interval, record.status) == (6, 3, "ok")


@pytest.mark.parametrize("box", [(0, 0, 8, 8), (20, 30, 17, 25), (40, 60, 90, 90)])
def test_a_region_of_a_file_packs_to_the_wire_format_s_one_right_form(box: tuple[int, int, int, int]) -> None:
    content = jb.content(75, 53, "4:2:0", "natural", seed=4)
    data = jb.encode(content).to_bytes()
    want = dctload.read_coefficients(data, region=box, channels="24s")
    record = wire.read_batch(bytes(dctload.extract([data], channels="24s", regions=[box], num_threads=1).buffer))[0]
    assert record.region == tuple(want.region)
    assert_same_planes(record.planes, want.planes)


def test_packing_planes_gives_the_bytes_of_extraction() -> None:
    for layout in LAYOUTS:
        data = jb.encode(jb.content(75, 53, layout, "natural", seed=4), restart_interval=2).to_bytes()
        got = dctload.read_coefficients(data)
        record = dctload.pack(got.planes, [c.quantization for c in got.header.components], got.header)
        assert bytes(record) == bytes(dctload.extract([data], channels="all", num_threads=1).image_bytes(0))


@pytest.mark.parametrize("wrong", ["planes", "shape", "type", "table"])
def test_packing_refuses_what_does_not_fit_the_header(wrong: str) -> None:
    header = header_of("4:2:0", 40, 40)
    planes = [np.zeros((64, c.block_rows, c.block_cols), np.int16) for c in header.components]
    tables = [np.ones(64, np.uint16) for _ in header.components]
    if wrong == "planes":
        planes = planes[:2]
    elif wrong == "shape":
        planes[1] = planes[1][:, :-1]
    elif wrong == "type":
        planes[0] = planes[0].astype(np.float32)
    else:
        tables[2] = np.ones(63, np.uint16)
    with pytest.raises((ValueError, TypeError)):
        dctload.pack(planes, tables, header)


@settings(max_examples=60, deadline=None)
@given(selections, st.data())
def test_selecting_twice_is_selecting_once(outer: str, data: st.DataObject) -> None:
    wide = ChannelSelection.parse(outer)
    lists = []
    for name, kept in zip(("y", "cb", "cr"), (wide.y, wide.cb, wide.cr), strict=True):
        chosen = data.draw(st.sets(st.sampled_from(kept))) if kept else set()
        lists.append(f"{name}:{','.join(map(str, sorted(chosen)))}")
    inner = ";".join(lists)
    if inner == "y:;cb:;cr:":
        return
    batch = batch_of("all")
    assert bytes(batch.select(outer).select(inner).buffer) == bytes(batch.select(inner).buffer)


@settings(max_examples=40, deadline=None)
@given(selections)
def test_selecting_gives_the_bytes_of_extracting_less(channels: str) -> None:
    assert bytes(batch_of("all").select(channels).buffer) == bytes(batch_of.__wrapped__(channels).buffer)


def test_selecting_what_was_not_kept_is_an_error() -> None:
    for wanted in ("all", "24s", "y:0,1,8,9,10;cb:0;cr:0", "y:0;cb:1;cr:0"):
        with pytest.raises(ValueError):
            batch_of("6s").select(wanted)


def test_selected_batches_are_the_wire_format_s_one_right_form() -> None:
    records = wire.read_batch(bytes(batch_of("64s").select("24s").buffer))
    assert [r.status for r in records] == ["ok", "ok", "ok", "failed", "truncated"]


boxes = st.tuples(st.integers(0, 70), st.integers(0, 95), st.integers(1, 90), st.integers(1, 120))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["all", "24s", "y:63,1;cb:;cr:5"]), boxes, boxes,
    st.sampled_from(["4:2:0", "gray", "gray 2x2", "3x1", "luma smaller", "4:4:4"]),
)  # fmt: skip
def test_cutting_a_batch_gives_the_planes_of_decoding_the_region(
    channels: str, outer: tuple[int, int, int, int], inner: tuple[int, int, int, int], layout: str
) -> None:
    data = jb.encode(jb.content(96, 71, layout, "natural", seed=5)).to_bytes()
    cut = dctload.extract([data], channels=channels, num_threads=1).cut([outer])
    want = dctload.read_coefficients(data, channels=channels, region=outer)
    got = dctload.unpack_reference(PackedBatch.from_buffer(bytes(cut.buffer)))[0]
    assert got is not None and tuple(got.region) == tuple(want.region)
    assert_same_planes(got.planes, want.planes)
    assert_same_planes(wire.read_batch(bytes(cut.buffer), fresh=False)[0].planes, want.planes)
    try:
        again = dctload.unpack_reference(cut.cut([inner]))[0]
    except ValueError:
        return
    assert again is not None
    part = dctload.read_coefficients(data, channels=channels, region=again.region)
    assert tuple(part.region) == tuple(again.region)
    assert_same_planes(again.planes, part.planes)


def test_a_cut_selected_equals_a_selection_cut() -> None:
    batch, box = batch_of("64s"), (8, 8, 30, 30)
    regions = [box, box, None, None, box]
    assert bytes(batch.cut(regions).select("24s").buffer) == bytes(batch.select("24s").cut(regions).buffer)


def test_batches_survive_pickling() -> None:
    batch = batch_of("24s")
    copy = pickle.loads(pickle.dumps(batch))
    assert bytes(copy.buffer) == bytes(batch.buffer) and copy.status == batch.status and copy.channels == batch.channels
    for i in range(len(batch)):
        assert str(copy.error(i)) == str(batch.error(i))


def test_the_deep_check_finds_tiles_that_no_writer_makes() -> None:
    """Bytes of the payload changed and sealed again: refused by the deep check, or read without a crash."""
    good = bytes(dctload.extract([jb.encode(jb.content(33, 20, "4:2:0", seed=1)).to_bytes()], channels="6s").image_bytes(0))
    meta = struct.unpack_from("<I", good, 12)[0]
    found = 0
    for at in range(meta, len(good)):
        changed = bytearray(good)
        changed[at] ^= 0x10
        data = wire.join_records([wire.seal_record(bytes(changed))])
        try:
            wire.read_batch(data, fresh=False)
        except (AssertionError, IndexError):
            found += 1
            with pytest.raises(dctload.WireError):
                PackedBatch.from_buffer(data, deep=True)
            dctload.unpack_reference(PackedBatch.from_buffer(data))
        else:
            dctload.unpack_reference(PackedBatch.from_buffer(data, deep=True))
    assert found > 20


def test_joining_the_images_gives_the_batch_again_in_any_split() -> None:
    batch = batch_of("24s")
    records = [bytes(batch.image_bytes(i)) for i in range(len(batch))]
    assert bytes(PackedBatch.join(records).buffer) == bytes(batch.buffer) == wire.join_records(records)
    order = [4, 0, 3, 3, 1]
    again = PackedBatch.join([records[i] for i in order])
    assert bytes(again.buffer) == wire.join_records([records[i] for i in order])
    assert [again.status[i] for i in range(5)] == [batch.status[i] for i in order]


def test_an_empty_batch_is_a_batch() -> None:
    batch = PackedBatch.join([])
    assert len(batch) == 0 and bytes(batch.buffer) == wire.join_records([])
    assert len(PackedBatch.from_buffer(bytes(batch.buffer))) == 0
    assert dctload.unpack_reference(batch) == []


def test_from_buffer_gives_the_same_images_statuses_and_errors() -> None:
    batch = batch_of("24s")
    again = PackedBatch.from_buffer(bytes(batch.buffer))
    assert list(again.status) == list(batch.status)
    for i, (a, b) in enumerate(zip(dctload.unpack_reference(again), dctload.unpack_reference(batch), strict=True)):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert_same_planes(a.planes, b.planes)
            assert (a.status, a.valid_mcus, tuple(a.region)) == (b.status, b.valid_mcus, tuple(b.region))
        first, second = again.error(i), batch.error(i)
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            assert type(first) is type(second)
            assert (first.code, first.offset or 0, first.index) == (second.code, second.offset or 0, i)
            assert first.source is None


def test_every_flipped_byte_of_a_batch_is_refused() -> None:
    raw = bytes(batch_of("6s").buffer)
    rng = np.random.default_rng(0)
    for at in range(len(raw)):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(dctload.WireError):
            PackedBatch.from_buffer(bytes(damaged))


def test_every_shorter_or_longer_batch_is_refused() -> None:
    raw = bytes(batch_of("6s").buffer)
    for length in range(0, len(raw), 7):
        with pytest.raises(dctload.WireError):
            PackedBatch.from_buffer(raw[:length])
    for more in (1, 16, 64):
        with pytest.raises(dctload.WireError):
            PackedBatch.from_buffer(raw + bytes(more))


@pytest.mark.parametrize("join", [False, True], ids=["from_buffer", "join"])
def test_lies_with_right_checksums_are_refused_or_harmless(join: bool) -> None:
    """Any byte of the meta data changed and sealed again: WireError, or a batch that can be read without a crash."""
    good = bytes(dctload.extract([jb.encode(jb.content(33, 20, "4:2:0", seed=1)).to_bytes()], channels="6s").image_bytes(0))
    meta = struct.unpack_from("<I", good, 12)[0]
    rng = np.random.default_rng(1)
    refused = 0
    for at in [*range(48), *range(52, 60), *range(64, meta)]:
        changed = bytearray(good)
        changed[at] ^= 1 << int(rng.integers(8))
        try:
            record = wire.seal_record(bytes(changed)) if at not in range(12, 16) else bytes(changed)
            batch = PackedBatch.join([record]) if join else PackedBatch.from_buffer(wire.join_records([record]))
        except (dctload.WireError, struct.error):
            refused += 1
            continue
        dctload.unpack_reference(batch)
        wire_free_facts = (batch.nbytes, len(batch))
        assert wire_free_facts == (len(wire.join_records([record])), 1)
    assert refused > 200


@pytest.mark.parametrize("at, form, value", [
    (4, "B", 0), (4, "B", 2), (6, "H", 1), (20, "B", 0), (20, "B", 5), (21, "B", 6), (22, "B", 9), (23, "B", 0), (23, "B", 9),
    (24, "B", 0), (25, "B", 5), (26, "B", 3), (27, "B", 4), (28, "I", 5), (40, "I", 1), (44, "H", 1), (52, "Q", 1),
    (64, "Q", 7), (72, "H", 6), (74, "H", 9), (76, "H", 60_000), (80, "H", 0), (84, "H", 0), (86, "H", 7), (88, "I", 4096),
    (92, "I", 1 << 31), (96, "I", 0), (100, "B", 65), (102, "B", 0), (103, "B", 3), (104, "B", 1), (105, "B", 8), (107, "B", 1),
    (108, "B", 1), (128, "H", 0), (64 + 3 * 192, "I", 1), (64 + 3 * 192 + 4, "I", 1 << 30),
])  # fmt: skip
def test_a_lie_about_one_field_is_refused(at: int, form: str, value: int) -> None:
    good = bytes(dctload.extract([jb.encode(jb.content(33, 20, "4:2:0", seed=1)).to_bytes()], channels="6s").image_bytes(0))
    assert PackedBatch.from_buffer(wire.join_records([good])).status[0] == "ok"
    changed = bytearray(good)
    struct.pack_into("<" + form, changed, at, value)
    assert bytes(changed) != good
    record = wire.seal_record(bytes(changed))
    with pytest.raises(dctload.WireError):
        PackedBatch.join([record])
    with pytest.raises(dctload.WireError):
        PackedBatch.from_buffer(wire.join_records([record[:20] + good[20:21] + record[21:] if at == 20 else record]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, b"DCTB\1\0\0\0" + noise, b"DCTI\1\0\0\0" + noise):
        with pytest.raises(dctload.WireError):
            PackedBatch.from_buffer(data)
        with pytest.raises(dctload.WireError):
            PackedBatch.join([data])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LAYOUTS), st.integers(1, 120), st.integers(1, 120), selections,
    st.sampled_from(["natural", "extreme", "dense", "zero"]), st.booleans(),
)  # fmt: skip
def test_the_bound_is_a_bound(layout: str, width: int, height: int, channels: str, style: str, cut: bool) -> None:
    data = jb.encode(jb.content(width, height, layout, style), process="extended").to_bytes()
    boxes = [(height // 2, width // 3, 20, 20)] if cut else None
    header = dctload.read_header(data)
    bound = dctload.packed_bound([header], channels, boxes)
    assert dctload.extract([data], channels=channels, regions=boxes, num_threads=1).nbytes <= bound


def test_the_bound_is_not_absurd() -> None:
    header = header_of("4:2:0", 500, 375)
    blocks = sum(c.block_rows * c.block_cols for c in header.components)
    assert dctload.packed_bound([header], "all") < 4 * 128 * blocks


@pytest.mark.parametrize(("status", "valid"), [("truncated", 0), ("truncated", 3), ("damaged", 5), ("ok", None)])
def test_a_packed_record_says_how_much_of_its_image_came(status: str, valid: int | None) -> None:
    got = dctload.read_coefficients(jb.encode(jb.content(60, 44, "4:2:0")).to_bytes())
    tables = [c.quantization for c in got.header.components]
    record = dctload.pack(got.planes, tables, got.header, status=status, valid_mcus=valid)
    batch = dctload.PackedBatch.join([record])
    (back,) = dctload.unpack_reference(batch)
    assert back is not None and batch.status == (status,) and back.status == status
    assert back.valid_mcus == (got.header.num_mcus if valid is None else valid)
    for wrong in ({"status": "failed"}, {"status": "lost"}, {"valid_mcus": 1}, {"status": "damaged", "valid_mcus": 13}):
        with pytest.raises(ValueError, match=r"status is|valid_mcus is 0 to 12"):
            dctload.pack(got.planes, tables, got.header, **wrong)  # type: ignore[arg-type]


def test_unpacked_images_are_copies_that_outlive_the_batch() -> None:
    content = jb.content(40, 40, "4:2:0", seed=3)
    batch = dctload.extract([jb.encode(content).to_bytes()], channels="all", num_threads=1)
    got = dctload.unpack_reference(batch)[0]
    del batch
    assert got is not None
    assert_same_planes(got.planes, content.planes)


def test_a_quantisation_step_of_zero_is_read_but_not_packed() -> None:
    """T.81 B.2.4.1 begins at 1: planes hand out the coefficients, as libjpeg does; a record is for dequantising."""
    header = b"\xff\xd8\xff\xdb\0\x43\0" + bytes(64) + b"\xff\xc0\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0"
    data = header + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x2b\xff\xd9"
    assert dctload.read_coefficients(data).status == "ok"
    batch = dctload.extract([data], on_error="mark")
    assert batch.status == ("bad_quantization",)
    assert dctload.PackedBatch.from_buffer(bytes(batch.buffer)).status == batch.status
