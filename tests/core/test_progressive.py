"""Progressive Huffman files (T.81 G.2): any legal script reads as the oracle reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dctload
import oracle
from support import jpeg_builder as jb
from support import libjpeg
from support.compare import assert_equal_to_oracle, assert_same_planes

STYLES = ("natural", "dense", "sparse", "extreme", "flat", "zero")


def assert_script_reads_back(
    content: jb.Content, scans: tuple[jb.Scan, ...] | list[jb.Scan], note: str = "", **options: Any
) -> None:
    data = jb.encode(content, scans, process="progressive", **options).to_bytes()
    got = assert_equal_to_oracle(data, note)
    assert_same_planes(got.planes, jb.expected_planes(content, scans, progressive=True), note)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("layout", ["gray", "4:4:4", "4:2:0", "4:4:0", "luma smaller", "four", "two components"])
def test_standard_script_equals_the_oracle(layout: str, style: str) -> None:
    content = jb.content(75, 53, layout, style, seed=len(layout))
    assert_script_reads_back(content, jb.standard_progression(content))


@pytest.mark.parametrize("style", STYLES)
def test_progressive_refinement_equals_the_oracle(style: str) -> None:
    content = jb.content(50, 43, "4:2:0", style, seed=31)
    for top in (1, 4, 13):
        assert_script_reads_back(content, jb.deep_approximation(content, top), f"from bit {top}")


@pytest.mark.parametrize("seed", range(24))
def test_random_script_equals_the_oracle(seed: int) -> None:
    layouts, rng = list(jb.LAYOUTS), np.random.default_rng(seed)
    width, height = (int(n) for n in rng.integers(1, 90, 2))
    content = jb.content(width, height, layouts[seed % len(layouts)], STYLES[seed % len(STYLES)], seed=seed)
    options = {
        "restart_interval": int(rng.choice([0, 0, 1, 3, 50])),
        "tables": str(rng.choice(["optimal", "deep"])),
        "dht": str(rng.choice(["joined", "split", "upfront"])),
        "eob_run_limit": int(rng.choice([1, 2, 7, 32767])),
    }
    assert_script_reads_back(content, jb.random_progression(content, seed), f"{options}", **options)


def test_bands_of_one_coefficient() -> None:
    content = jb.content(40, 40, "4:2:0", "natural", seed=1)
    assert_script_reads_back(content, jb.spectral_progression(content, range(1, 65)))


@pytest.mark.parametrize("k", [1, 31, 63])
def test_a_band_of_one_coefficient_with_refinements(k: int) -> None:
    content = jb.content(64, 64, "gray", "extreme", seed=k)
    scans = [jb.Scan((0,), 0, 0), *jb.refined((0,), k, k, 5)]
    assert_script_reads_back(content, scans)


def test_scans_that_never_came_leave_zeros() -> None:
    content = jb.content(61, 37, "4:2:0", "dense", seed=4)
    dc_only = [jb.Scan((0, 1, 2), 0, 0)]
    coarse = [jb.Scan((0, 1, 2), 0, 0, 0, 2), jb.Scan((0,), 1, 5, 0, 1)]
    gap = [jb.Scan((0, 1, 2), 0, 0), jb.Scan((2,), 20, 40, 0, 1)]
    for scans in (dc_only, coarse, gap):
        assert_script_reads_back(content, scans)


def test_dc_scans_of_single_components_and_of_groups() -> None:
    content = jb.content(61, 37, "4:2:0", "natural", seed=4)
    scans = [jb.Scan((1,), 0, 0), jb.Scan((0, 2), 0, 0, 0, 1), jb.Scan((0,), 0, 0, 1, 0), jb.Scan((2,), 0, 0, 1, 0)]
    assert_script_reads_back(content, scans)


@pytest.mark.parametrize("limit", [1, 2, 3, 100, 32767])
def test_end_of_band_runs_across_rows_of_blocks(limit: int) -> None:
    plane = np.zeros((64, 30, 30), np.int16)
    plane[5, ::7, ::11] = 3
    plane[9, 29, 29] = -1
    content = jb.with_planes(jb.content(240, 240, "gray", "zero"), [plane])
    for scans in (jb.spectral_progression(content), jb.deep_approximation(content, 2)):
        assert_script_reads_back(content, scans, eob_run_limit=limit)


def test_end_of_band_run_of_32767_blocks() -> None:
    plane = np.zeros((64, 5, 8187), np.int16)
    plane[1, 0, 0] = plane[1, 4, 8186] = plane[1, 4, 100] = 5
    content = jb.with_planes(jb.content(65496, 40, "gray", "zero"), [plane])
    scans = [jb.Scan((0,), 0, 0), jb.Scan((0,), 1, 63, 0, 1), jb.Scan((0,), 1, 63, 1, 0)]
    data = jb.encode(content, scans, process="progressive").to_bytes()
    got = dctload.read_coefficients(data)
    assert_same_planes(got.planes, [plane])


def test_end_of_band_run_with_correction_bits_of_many_blocks() -> None:
    """Refinement of blocks without new coefficients: one run, hundreds of correction bits behind it."""
    rng = np.random.default_rng(5)
    plane = np.zeros((64, 20, 20), np.int16)
    plane[1:40] = rng.choice([-3, -2, 2, 3], (39, 20, 20))
    content = jb.with_planes(jb.content(160, 160, "gray", "zero"), [plane])
    assert_script_reads_back(content, jb.deep_approximation(content, 1))


def test_runs_of_sixteen_zeros_in_a_refinement() -> None:
    plane = np.zeros((64, 6, 6), np.int16)
    plane[oracle.ZIGZAG[63]] = np.arange(36).reshape(6, 6) % 3 - 1
    plane[oracle.ZIGZAG[40], ::2] = 1
    plane[oracle.ZIGZAG[3], :, ::3] = 6
    content = jb.with_planes(jb.content(48, 48, "gray", "zero"), [plane])
    assert_script_reads_back(content, jb.deep_approximation(content, 2))


@pytest.mark.parametrize("interval", [1, 2, 3, 5, 8, 17, 1000])
def test_restart_intervals_count_the_mcus_of_each_scan(interval: int) -> None:
    content = jb.content(75, 53, "4:2:0", "natural", seed=6)
    assert_script_reads_back(content, jb.standard_progression(content), restart_interval=interval)


def test_restart_interval_changes_between_scans() -> None:
    content = jb.content(75, 53, "4:2:0", "natural", seed=6)
    scans = [
        jb.Scan((0, 1, 2), 0, 0, 0, 1, 4),
        jb.Scan((0,), 1, 63, 0, 1, 0),
        jb.Scan((1,), 1, 63, 0, 0, 7),
        jb.Scan((2,), 1, 63),
        jb.Scan((0,), 1, 63, 1, 0, 1),
        jb.Scan((0, 1, 2), 0, 0, 1, 0, 0),
    ]
    assert_script_reads_back(content, scans)


@pytest.mark.parametrize("channels", ["6s", "24s", "48t", "y:0;cb:0;cr:0", "y:63,1,8;cb:;cr:5", "y:;cb:7;cr:", "y:35;cb:;cr:"])
@pytest.mark.parametrize("script", ["standard", "deep", "random 3", "random 4", "bands"])
def test_kept_channels_are_a_slice_of_all(script: str, channels: str) -> None:
    content = jb.content(60, 50, "4:2:0", "dense" if "4" in script else "natural", seed=8)
    scans = {
        "standard": jb.standard_progression(content),
        "deep": jb.deep_approximation(content, 5),
        "bands": jb.spectral_progression(content, (1, 2, 3, 10, 11, 40, 64)),
    }.get(script) or jb.random_progression(content, int(script[-1]))
    kept = dctload.ChannelSelection.parse(channels)
    want = [p[list(f)] for p, f in zip(content.planes, (kept.y, kept.cb, kept.cr), strict=True)]
    for interval in (0, 3):
        data = jb.encode(content, scans, process="progressive", restart_interval=interval).to_bytes()
        assert_same_planes(dctload.read_coefficients(data, channels=channels).planes, want)
        packed = dctload.unpack_reference(dctload.extract([data], channels=channels, num_threads=1))[0]
        assert packed is not None
        assert_same_planes(packed.planes, want, "packed")


@pytest.mark.skipif(libjpeg.reader() is None, reason=libjpeg.WHY_ABSENT)
def test_scripts_out_of_order_give_libjpeg_s_coefficients_and_a_warning() -> None:
    """AC before DC, a refinement that skips a bit, a band sent twice: libjpeg warns and goes on."""
    content = jb.content(48, 48, "gray", "natural", seed=9)
    dc, ac = jb.Scan((0,), 0, 0), jb.Scan((0,), 1, 63, 0, 2)
    for scans in ([ac, dc], [dc, ac, jb.Scan((0,), 1, 63, 1, 0)], [dc, ac, ac], [dc, jb.Scan((0,), 1, 63, 2, 1)]):
        data = jb.encode(content, scans, process="progressive").to_bytes()
        reading = libjpeg.read(data)
        assert reading.verdict == "warning"
        got = dctload.read_coefficients(data)
        assert got.status == "ok" and got.warnings
        assert_same_planes(got.planes, reading.planes)


def test_a_new_coefficient_of_another_size_in_a_refinement_counts_as_one_and_is_told() -> None:
    content = jb.content(8, 8, "gray", "zero")
    scans = [jb.Scan((0,), 0, 0), jb.Scan((0,), 1, 63, 0, 1), jb.Scan((0,), 1, 63, 1, 0)]
    stream = jb.encode(content, scans, process="progressive")
    tokens: list[jb.Token] = [(((1, 0), 0x23), 1, 1), (((1, 0), 0), 0, 0)]
    tables = jb.choose_tables(tokens, "optimal")
    data = jb.pack_bits(tokens, {key: table.codes() for key, table in tables.items()})
    stream = stream.put("DHT", jb.dht(tables), 2).put("ECS", data, 2)
    want = oracle.decode(stream.to_bytes()).planes
    assert want[0][oracle.ZIGZAG[3], 0, 0] == 1
    got = dctload.read_coefficients(stream.to_bytes())
    assert_same_planes(got.planes, want)
    assert got.status == "ok" and got.warnings


@pytest.mark.skipif(libjpeg.reader() is None, reason=libjpeg.WHY_ABSENT)
def test_dc_sent_twice_lies_over_the_first_as_in_libjpeg() -> None:
    first, second = (jb.content(48, 48, "gray", "flat", seed=n) for n in (1, 2))
    scan = [jb.Scan((0,), 0, 0)]
    stream, again = (jb.encode(c, scan, process="progressive") for c in (first, second))
    data = stream.insert_before("EOI", again.get("DHT") + again.get("SOS") + again.get("ECS")).to_bytes()
    reading = libjpeg.read(data)
    assert reading.verdict == "ok"
    assert_same_planes(dctload.read_coefficients(data).planes, reading.planes)
