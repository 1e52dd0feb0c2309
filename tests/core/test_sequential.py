"""Sequential Huffman files (T.81 F.2): every way to write the same coefficients reads the same."""

from __future__ import annotations

import numpy as np
import pytest

import dctload
import oracle
from support import jpeg_builder as jb
from support.compare import assert_equal_to_oracle, assert_same_planes

STYLES = ("natural", "dense", "sparse", "extreme", "flat", "zero")


def assert_reads_back(content: jb.Content, data: bytes, note: str = "") -> dctload.JPEGCoefficients:
    """Oracle, planes as written and the package's answer agree."""
    got = assert_equal_to_oracle(data, note)
    assert_same_planes(got.planes, content.planes, note)
    return got


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("layout", list(jb.LAYOUTS))
def test_interleaved_scan_equals_the_oracle(layout: str, style: str) -> None:
    content = jb.content(75, 53, layout, style, seed=len(layout) + len(style))
    assert_reads_back(content, jb.encode(content, process="extended").to_bytes())


@pytest.mark.parametrize("layout", list(jb.LAYOUTS))
def test_one_scan_a_component_has_no_padding_blocks(layout: str) -> None:
    content = jb.content(75, 53, layout, seed=2)
    assert_reads_back(content, jb.encode(content, jb.scan_a_component(content)).to_bytes())


@pytest.mark.parametrize("groups", [
    ((0,), (1, 2)), ((0, 1), (2,)), ((1, 2), (0,)), ((2,), (1,), (0,)), ((0, 2), (1,)), ((1,), (0, 2)),
])  # fmt: skip
@pytest.mark.parametrize("layout", ["4:2:0", "4:4:4", "3x1", "luma smaller"])
def test_any_partition_of_components_in_scans_equals_the_oracle(layout: str, groups: tuple[tuple[int, ...], ...]) -> None:
    content = jb.content(67, 49, layout, seed=5)
    assert_reads_back(content, jb.encode(content, [jb.Scan(g) for g in groups]).to_bytes())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("tables", ["deep", "full"])
def test_codes_of_sixteen_bits_and_tables_of_256_symbols(style: str, tables: str) -> None:
    content = jb.content(64, 40, "4:2:0", style, seed=9)
    stream = jb.encode(content, process="extended", tables=tables)
    assert tables == "full" or any(segment[4 + 1 + 15] for segment in [stream.get("DHT")])
    assert_reads_back(content, stream.to_bytes())


def test_coefficients_of_all_sizes_up_to_fifteen() -> None:
    plane = np.zeros((64, 2, 32), np.int16)
    for col in range(32):
        size = col % 16
        sign = -1 if col >= 16 else 1
        plane[oracle.ZIGZAG[1 + col % 60], 0, col] = sign * ((1 << size) - 1)
        plane[oracle.ZIGZAG[63], 1, col] = sign * (1 << size >> 1)
        plane[0, 1, col] = sign * ((1 << size >> 1) // 2)
    content = jb.with_planes(jb.content(256, 16, "gray", "zero"), [plane])
    for tables in ("optimal", "deep"):
        assert_reads_back(content, jb.encode(content, process="extended", tables=tables).to_bytes())


@pytest.mark.parametrize("position", [1, 15, 16, 17, 18, 32, 33, 34, 48, 49, 50, 62, 63])
def test_runs_of_zeros_of_every_length_before_one_coefficient(position: int) -> None:
    plane = np.zeros((64, 3, 5), np.int16)
    plane[oracle.ZIGZAG[position]] = np.arange(-7, 8).reshape(3, 5)
    content = jb.with_planes(jb.content(40, 24, "gray", "zero"), [plane])
    for trailing in (False, True):
        assert_reads_back(content, jb.encode(content, trailing_zrl=trailing).to_bytes(), f"trailing {trailing}")


def test_blocks_without_end_of_block_run_into_the_next() -> None:
    content = jb.content(80, 80, "4:4:4", "dense", seed=3)
    assert all(p[63].all() for p in content.planes)
    assert_reads_back(content, jb.encode(content).to_bytes())


@pytest.mark.parametrize("dht", ["joined", "split", "upfront"])
def test_tables_in_one_segment_in_many_or_redefined_between_scans(dht: str) -> None:
    content = jb.content(60, 60, "4:2:0", seed=12)
    stream = jb.encode(content, jb.scan_a_component(content), dht=dht)
    assert stream.count("DHT") == {"joined": 3, "split": 6, "upfront": 1}[dht]
    assert_reads_back(content, stream.to_bytes())


@pytest.mark.parametrize("numbers", [(0, 0, 0), (1, 0, 0), (0, 1, 2), (3, 2, 1), (3, 3, 3)])
def test_huffman_tables_of_any_identifier(numbers: tuple[int, ...]) -> None:
    content = jb.content(50, 30, "4:2:0", seed=13)
    stream = jb.encode(content, process="extended", tables_by_component=numbers)
    assert_reads_back(content, stream.to_bytes())


@pytest.mark.parametrize("layout", ["gray", "4:2:0", "4:4:4"])
def test_missing_tables_are_the_typical_ones_of_annex_k(layout: str) -> None:
    content = jb.content(90, 70, layout, seed=4)
    stream = jb.encode(content, tables="standard", dht="none")
    assert stream.count("DHT") == 0
    got = assert_reads_back(content, stream.to_bytes())
    assert got.warnings


def test_one_missing_table_of_two_is_the_typical_one() -> None:
    content = jb.content(90, 70, "4:2:0", seed=4)
    stream = jb.encode(content, tables="standard", dht="split")
    assert_reads_back(content, stream.drop("DHT", 1).to_bytes())


@pytest.mark.parametrize("pad_bit", [0, 1])
def test_padding_bits_may_be_zeros_or_ones(pad_bit: int) -> None:
    for seed in range(8):
        content = jb.content(24, 24, "gray", seed=seed)
        got = assert_reads_back(content, jb.encode(content, pad_bit=pad_bit, restart_interval=2).to_bytes())
        assert not got.warnings


def test_stuffed_bytes_in_a_row() -> None:
    """Values whose additional bits are all ones give runs of FF 00."""
    plane = np.full((64, 4, 4), 1023, np.int16)
    plane[0] = 0
    content = jb.with_planes(jb.content(32, 32, "gray", "zero"), [plane])
    data = jb.encode(content, tables="full", process="extended").to_bytes()
    assert data.count(b"\xff\x00") > 300
    assert_reads_back(content, data)


def test_scan_parameters_other_than_0_63_0_are_read_as_such_with_a_warning() -> None:
    content = jb.content(40, 40, "4:2:0", seed=6)
    stream = jb.encode(content)
    header = bytearray(stream.get("SOS"))
    for ss, se, approximation in ((1, 63, 0), (0, 62, 0), (0, 63, 0x10)):
        header[-3:] = bytes((ss, se, approximation))
        got = dctload.read_coefficients(stream.put("SOS", bytes(header)).to_bytes())
        assert_same_planes(got.planes, content.planes)
        assert got.status == "ok" and got.warnings


def test_run_past_the_last_coefficient_stores_there_and_ends_the_block() -> None:
    """libjpeg's rule; three coefficients at 1, 17, 33, then a run of 15 and a value twice: the second lands past 63."""
    content = jb.content(8, 8, "gray", "zero")
    ac = (1, 0)
    tokens: list[jb.Token] = [(((0, 0), 0), 0, 0)]
    tokens += [((ac, 0xF1), 1, 1)] * 4 + [((ac, 0), 0, 0)] * 2
    tables = jb.choose_tables(tokens, "optimal")
    data = jb.pack_bits(tokens, {key: table.codes() for key, table in tables.items()})
    stream = jb.encode(content).put("DHT", jb.dht(tables)).put("ECS", data)
    want = oracle.decode(stream.to_bytes()).planes
    assert want[0][63, 0, 0] == 1
    assert_same_planes(dctload.read_coefficients(stream.to_bytes()).planes, want)


def test_code_of_more_than_sixteen_bits_counts_seventeen_and_means_zero() -> None:
    content = jb.content(8 * 40, 8, "gray", "flat", seed=1)
    stream = jb.encode(content, process="extended")
    data = stream.get("ECS")
    damaged = data[:6] + b"\xfe\xff\x00\xff\x00\xff\x00\xfd" + data[6:] + bytes(64)
    stream = stream.put("ECS", damaged)
    want = oracle.decode(stream.to_bytes())
    assert want.bad_codes > 0
    got = dctload.read_coefficients(stream.to_bytes(), truncated="keep")
    assert_same_planes(got.planes, want.planes)
    assert got.warnings


@pytest.mark.parametrize("channels", ["6s", "24s", "64t", "y:0;cb:0;cr:0", "y:63,1,8;cb:;cr:5", "y:;cb:7;cr:"])
@pytest.mark.parametrize("style", ["natural", "dense", "extreme"])
def test_kept_channels_are_a_slice_of_all(style: str, channels: str) -> None:
    content = jb.content(75, 53, "4:2:0", style, seed=21)
    kept = dctload.ChannelSelection.parse(channels)
    for scans in (jb.one_scan(content), jb.scan_a_component(content)):
        data = jb.encode(content, scans, process="extended", tables="deep").to_bytes()
        want = [p[list(f)] for p, f in zip(content.planes, (kept.y, kept.cb, kept.cr), strict=True)]
        assert_same_planes(dctload.read_coefficients(data, channels=channels).planes, want)
        packed = dctload.unpack_reference(dctload.extract([data], channels=channels, num_threads=1))[0]
        assert packed is not None
        assert_same_planes(packed.planes, want, "packed")
