"""Markers and segments (T.81 Annex B): what may stand where, and which facts a header takes from them."""

from __future__ import annotations

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb
from support.compare import assert_equal_to_oracle, assert_same_planes

CONTENT = jb.content(40, 27, "4:2:0", seed=1)
STREAM = jb.encode(CONTENT)
COMMENT = jb.segment(0xFE, b"some words \xff\xd8\xff\xda\x00")


def assert_unchanged(stream: jb.Stream | bytes) -> dctload.JPEGCoefficients:
    """Status ok and the coefficients of STREAM."""
    got = dctload.read_coefficients(stream if isinstance(stream, bytes) else stream.to_bytes())
    assert got.status == "ok"
    assert_same_planes(got.planes, CONTENT.planes)
    return got


@pytest.mark.parametrize("before", ["DQT", "SOF", "DHT", "SOS", "EOI"])
@pytest.mark.parametrize("marker", [0xFE, *range(0xE0, 0xF0)])
def test_comment_and_application_segments_may_stand_anywhere(marker: int, before: str) -> None:
    extra = jb.segment(marker, b"anything at all, \xff\xd9 too")
    assert not assert_unchanged(STREAM.insert_before(before, extra)).warnings


@pytest.mark.parametrize("fill", [1, 2, 50])
def test_fill_bytes_before_markers_are_no_oddity(fill: int) -> None:
    got = assert_equal_to_oracle(jb.encode(CONTENT, fill=fill, restart_interval=2).to_bytes())
    assert_same_planes(got.planes, CONTENT.planes)
    assert not got.warnings


def test_tables_may_stand_in_any_order_around_the_frame_header() -> None:
    names = [name for name, _ in STREAM.parts]
    assert names == ["SOI", "DQT", "SOF", "DHT", "SOS", "ECS", "EOI"]
    parts = dict(STREAM.parts)
    for order in (("DHT", "SOF", "DQT"), ("SOF", "DQT", "DHT"), ("DHT", "DQT", "SOF")):
        data = b"".join(parts[n] for n in ("SOI", *order, "SOS", "ECS", "EOI"))
        assert not assert_unchanged(data).warnings


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_comes_from_exif_of_either_byte_order(orientation: int, order: str) -> None:
    for before in (0, 5):
        data = jb.encode(CONTENT, extras=(jb.exif(orientation, order, before=before),)).to_bytes()
        header = dctload.read_header(data)
        assert header.orientation == orientation
        assert (header.width, header.height) == (40, 27)
        packed = dctload.unpack_reference(dctload.extract([data], num_threads=1))[0]
        assert packed is not None and packed.header.orientation == orientation


@pytest.mark.parametrize("extra", [
    jb.exif(0), jb.exif(9), jb.exif(3)[:20], jb.segment(0xE1, b"Exif\0\0"), jb.segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    jb.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), jb.segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"),
])  # fmt: skip
def test_exif_without_a_sound_orientation_means_one(extra: bytes) -> None:
    if len(extra) == 20:  # cut inside the directory: give the segment its true length again
        extra = jb.segment(0xE1, extra[4:])
    assert dctload.read_header(jb.encode(CONTENT, extras=(extra,)).to_bytes()).orientation == 1


@pytest.mark.parametrize("layout, ids, extras, want", [
    ("gray", (1,), (), "gray"),
    ("gray", (7,), (jb.adobe(0),), "gray"),
    ("4:4:4", (1, 2, 3), (), "ycbcr"),
    ("4:4:4", (1, 2, 3), (jb.JFIF,), "ycbcr"),
    ("4:4:4", (82, 71, 66), (), "rgb"),
    ("4:4:4", (82, 71, 66), (jb.JFIF,), "ycbcr"),
    ("4:4:4", (1, 2, 3), (jb.adobe(0),), "rgb"),
    ("4:4:4", (82, 71, 66), (jb.adobe(1),), "ycbcr"),
    ("4:2:0", (0, 1, 2), (), "ycbcr"),
    ("4:2:0", (9, 200, 34), (), "ycbcr"),
    ("four", (1, 2, 3, 4), (), "cmyk"),
    ("four", (67, 77, 89, 75), (jb.adobe(0),), "cmyk"),
    ("four", (1, 2, 3, 4), (jb.adobe(2),), "ycck"),
    ("two components", (1, 2), (), "unknown"),
])  # fmt: skip
def test_colour_space_by_jfif_adobe_and_identifiers(
    layout: str, ids: tuple[int, ...], extras: tuple[bytes, ...], want: str
) -> None:
    content = jb.content(33, 18, layout, seed=2, ids=ids)
    got = assert_equal_to_oracle(jb.encode(content, extras=extras).to_bytes())
    assert got.header.color_space == want


@pytest.mark.parametrize("ids", [(0, 255, 128), (3, 2, 1), (77, 1, 0)])
def test_component_identifiers_are_names_only(ids: tuple[int, ...]) -> None:
    for scans in (jb.one_scan, jb.scan_a_component):
        content = jb.content(40, 40, "4:2:0", seed=2, ids=ids)
        got = assert_equal_to_oracle(jb.encode(content, scans(content)).to_bytes())
        assert tuple(c.id for c in got.header.components) == ids


@pytest.mark.parametrize("ids", [(1, 1, 1), (1, 1, 2), (5, 2, 5)])
def test_a_scan_takes_the_first_component_of_a_doubled_identifier_that_it_has_not_used(ids: tuple[int, ...]) -> None:
    content = jb.content(40, 40, "4:4:4", seed=2, ids=ids)
    got = assert_equal_to_oracle(jb.encode(content).to_bytes())
    assert_same_planes(got.planes, content.planes)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_quantisation_tables_of_8_and_16_bits(wide: bool, split: bool) -> None:
    content = jb.content(40, 40, "4:2:0", seed=2, wide_quantization=wide)
    data = jb.encode(content, wide_dqt=wide, split_dqt=split, process="extended" if wide else "baseline").to_bytes()
    got = assert_equal_to_oracle(data)
    for component, table in zip(got.header.components, content.tables(), strict=True):
        np.testing.assert_array_equal(component.quantization, table)
        assert component.quantization.max() > (255 if wide else 0)


def test_a_component_keeps_the_table_that_was_in_force_at_its_first_scan() -> None:
    content = jb.content(40, 40, "4:2:0", seed=2)
    late = tuple(range(100, 164))
    later = tuple(range(200, 136, -1))
    stream = jb.encode(content, jb.scan_a_component(content), requantize={1: {0: late}, 2: {1: later}})
    got = assert_equal_to_oracle(stream.to_bytes())
    tables = [c.quantization.tolist() for c in got.header.components]
    assert tables == [list(content.quantization[0]), list(content.quantization[1]), list(later)]
    packed = dctload.unpack_reference(dctload.extract([stream.to_bytes()], num_threads=1))[0]
    assert packed is not None
    assert [c.quantization.tolist() for c in packed.header.components] == tables
    assert [c.quantization.tolist() for c in dctload.read_header(stream.to_bytes()).components] == tables


def test_a_table_redefined_between_progressive_scans_changes_nothing() -> None:
    content = jb.content(40, 40, "4:2:0", seed=2)
    other = {0: tuple([77] * 64), 1: tuple([78] * 64)}
    scans = jb.standard_progression(content)
    data = jb.encode(content, scans, process="progressive", requantize={1: other}).to_bytes()
    got = assert_equal_to_oracle(data)
    assert [c.quantization.tolist() for c in got.header.components] == [t.tolist() for t in content.tables()]


def test_missing_end_of_image_is_told() -> None:
    got = assert_unchanged(STREAM.drop("EOI"))
    assert got.warnings


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 100, b"\xff" * 9, STREAM.to_bytes(), b"\xff\xd8\xff", b"trailing words"])
def test_bytes_after_the_end_of_image_are_not_read(tail: bytes) -> None:
    assert not assert_unchanged(STREAM.append(tail)).warnings


@pytest.mark.parametrize("before", ["DQT", "SOF", "DHT", "SOS", "EOI"])
@pytest.mark.parametrize("junk", [b"\0\0\0", b"x" * 255, b"\xff\0\x12", b"\xff\0" * 10])
def test_bytes_between_segments_are_told_and_skipped(junk: bytes, before: str) -> None:
    stream = STREAM.insert_before(before, junk * 4)
    got = assert_unchanged(stream)
    assert got.warnings


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("marker", [0xFE, 0xE3])
def test_segment_length_of_0_or_1_goes_on_behind_the_length_field(marker: int, length: int) -> None:
    got = assert_unchanged(STREAM.insert_before("DQT", bytes((0xFF, marker, 0, length))))
    assert got.warnings


def test_number_of_lines_marker_after_the_scan_is_passed_over() -> None:
    assert_unchanged(STREAM.insert_before("EOI", jb.segment(0xDC, (27).to_bytes(2, "big"))))


def test_longest_comment_and_many_segments() -> None:
    stream = STREAM
    for _ in range(300):
        stream = stream.insert_before("DQT", COMMENT)
    stream = stream.insert_before("DQT", jb.segment(0xFE, bytes(65533)))
    assert not assert_unchanged(stream).warnings


def test_tables_that_nobody_uses_are_no_oddity() -> None:
    extra = jb.dqt({2: tuple(range(1, 65)), 3: tuple(range(2, 66))})
    assert not assert_unchanged(STREAM.insert_before("SOF", extra)).warnings


@pytest.mark.parametrize("process", ["baseline", "extended", "progressive"])
def test_process_is_what_the_frame_header_says(process: str) -> None:
    scans = jb.standard_progression(CONTENT) if process == "progressive" else None
    got = assert_equal_to_oracle(jb.encode(CONTENT, scans, process=process).to_bytes())
    assert got.header.process == process


def test_sources_of_every_kind_read_the_same(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "image.jpg"
    data = STREAM.to_bytes()
    path.write_bytes(data)
    array = np.frombuffer(data, np.uint8)
    for source in (data, bytearray(data), memoryview(data), array, path, str(path)):
        assert_same_planes(dctload.read_coefficients(source).planes, CONTENT.planes, type(source).__name__)
        assert dctload.read_header(source).width == 40
    with pytest.raises((ValueError, BufferError)):
        dctload.read_coefficients(np.frombuffer(data + b"\0" * (len(data) % 2), np.uint8)[::2])
    with pytest.raises(TypeError):
        dctload.read_coefficients(7)  # type: ignore[arg-type]


def test_dequantised_planes_are_float32_products() -> None:
    got = dctload.read_coefficients(STREAM.to_bytes(), channels="24s")
    kept = dctload.ChannelSelection.parse("24s")
    for k, frequencies in enumerate((kept.y, kept.cb, kept.cr)):
        values = got.dequantized(k)
        table = CONTENT.tables()[k][list(frequencies)].astype(np.float32)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, got.planes[k].astype(np.float32) * table[:, None, None])
