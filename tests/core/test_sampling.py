"""Sampling factors 1 to 4 in all mixes, from one pixel to 65535 (T.81 A.1.1, A.2.2 to A.2.4)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb
from support.compare import assert_equal_to_oracle, assert_same_planes

FACTORS = tuple(itertools.product(range(1, 5), range(1, 5)))


def scans_of(content: jb.Content) -> tuple[jb.Scan, ...]:
    """One interleaved scan where its MCU has at most 10 blocks (B.2.3), else a scan a component."""
    everything = range(len(content.planes))
    return jb.one_scan(content) if jb.mcu_blocks(content, everything) <= 10 else jb.scan_a_component(content)


def assert_layout_reads_back(factors: jb.Factors, width: int, height: int, seed: int = 0) -> None:
    content = jb.content(width, height, factors, "natural", seed=seed)
    note = f"{factors} {width}x{height}"
    got = assert_equal_to_oracle(jb.encode(content, scans_of(content)).to_bytes(), note)
    assert_same_planes(got.planes, content.planes, note)


@pytest.mark.parametrize("luma", FACTORS, ids=lambda f: f"{f[0]}x{f[1]}")
def test_every_pair_of_factors(luma: tuple[int, int]) -> None:
    rng = np.random.default_rng(luma[0] * 4 + luma[1])
    for other in FACTORS:
        width, height = (int(n) for n in rng.integers(1, 70, 2))
        assert_layout_reads_back((luma, other), width, height)


@pytest.mark.parametrize("seed", range(40))
def test_random_factors_of_three_and_four_components(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 5))
    factors = tuple((int(h), int(v)) for h, v in rng.integers(1, 5, (count, 2)))
    width, height = (int(n) for n in rng.integers(1, 100, 2))
    assert_layout_reads_back(factors, width, height, seed)


@pytest.mark.parametrize("seed", range(12))
def test_random_factors_in_progressive_files(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    factors = tuple((int(h), int(v)) for h, v in rng.integers(1, 5, (3, 2)))
    width, height = (int(n) for n in rng.integers(1, 80, 2))
    content = jb.content(width, height, factors, "natural", seed=seed)
    scans = jb.random_progression(content, seed)
    got = assert_equal_to_oracle(jb.encode(content, scans, process="progressive").to_bytes(), str(factors))
    assert_same_planes(got.planes, content.planes, str(factors))


@pytest.mark.parametrize("layout", list(jb.LAYOUTS))
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (9, 1), (1, 17), (16, 16), (17, 33), (31, 32), (33, 15)])
def test_sizes_around_blocks_and_mcus(size: tuple[int, int], layout: str) -> None:
    assert_layout_reads_back(jb.LAYOUTS[layout], *size)


@pytest.mark.parametrize("factors", FACTORS, ids=lambda f: f"{f[0]}x{f[1]}")
def test_factors_of_a_single_component_change_nothing(factors: tuple[int, int]) -> None:
    content = jb.content(45, 29, (factors,), "natural", seed=5)
    assert content.planes[0].shape == (64, 4, 6)
    for scans, process in ((None, "baseline"), (jb.spectral_progression(content), "progressive")):
        got = assert_equal_to_oracle(jb.encode(content, scans, process=process, restart_interval=5).to_bytes())
        assert_same_planes(got.planes, content.planes)
        assert got.header.subsampling == "gray"


@pytest.mark.parametrize("layout", ["gray", "4:2:0", "4:4:0"])
@pytest.mark.parametrize("width, height", [(65535, 1), (1, 65535), (65535, 9), (9, 65535)])
def test_images_of_65535_pixels(width: int, height: int, layout: str) -> None:
    content = jb.content(width, height, layout, "flat", seed=3)
    data = jb.encode(content, restart_interval=1000).to_bytes()
    got = dctload.read_coefficients(data)
    assert_same_planes(got.planes, content.planes)
    packed = dctload.unpack_reference(dctload.extract([data], channels="6s", num_threads=1))[0]
    assert packed is not None
    kept = dctload.ChannelSelection.parse("6s")
    want = [p[list(f)] for p, f in zip(content.planes, (kept.y, kept.cb, kept.cr), strict=False)]
    assert_same_planes(packed.planes, want)


@pytest.mark.parametrize("factors, name", [
    (((1, 1),), "gray"),
    (((2, 2),), "gray"),
    (((1, 1), (1, 1), (1, 1)), "4:4:4"),
    (((2, 2), (2, 2), (2, 2)), "4:4:4"),
    (((2, 1), (1, 1), (1, 1)), "4:2:2"),
    (((2, 2), (1, 2), (1, 2)), "4:2:2"),
    (((2, 2), (1, 1), (1, 1)), "4:2:0"),
    (((1, 2), (1, 1), (1, 1)), "4:4:0"),
    (((2, 2), (2, 1), (2, 1)), "4:4:0"),
    (((4, 1), (1, 1), (1, 1)), "4:1:1"),
    (((4, 2), (1, 1), (1, 1)), "4:1:0"),
])  # fmt: skip
def test_names_of_subsamplings(factors: jb.Factors, name: str) -> None:
    content = jb.content(40, 40, factors, "flat")
    data = jb.encode(content, scans_of(content)).to_bytes()
    assert dctload.read_header(data).subsampling == name


def test_subsampling_without_a_name_lists_the_factors() -> None:
    content = jb.content(40, 40, ((1, 1), (2, 2), (1, 2)), "flat")
    assert dctload.read_header(jb.encode(content).to_bytes()).subsampling == "1x1,2x2,1x2"
