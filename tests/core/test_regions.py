"""A region is the smallest rectangle of whole MCUs around a box, and equals that part of the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dctload
from support import jpeg_builder as jb
from support.compare import assert_same_planes

WIDTH, HEIGHT = 101, 83
FILES: dict[str, tuple[jb.Content, bytes]] = {}


def file_of(kind: str) -> tuple[jb.Content, bytes]:
    """Content and bytes of one of KINDS, made once."""
    if kind not in FILES:
        layout, _, how = kind.partition(" / ")
        content = jb.content(WIDTH, HEIGHT, layout, seed=len(kind))
        options: dict[str, Any] = {"restart_interval": 4} if "restart" in how else {}
        scans = jb.scan_a_component(content) if "scans" in how else None
        if "progressive" in how:
            scans, options["process"] = jb.standard_progression(content), "progressive"
        FILES[kind] = content, jb.encode(content, scans, **options).to_bytes()
    return FILES[kind]


KINDS = (
    "gray", "gray 2x2", "4:4:4", "4:2:0", "4:2:2", "4:1:1", "3x1", "luma smaller", "four", "4:2:0 / restart",
    "4:2:0 / scans", "4:2:0 / progressive", "4:4:4 / progressive restart", "gray / progressive", "4:2:0 / scans restart",
)  # fmt: skip


def snapped(content: jb.Content, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box out to whole MCUs, clipped to the image: units of 8 h_max by 8 v_max pixels (wire-format.md, 3)."""
    down, across = 8 * content.v_max, 8 * content.h_max
    top, left = box[0] // down * down, box[1] // across * across
    bottom = min(-(-min(box[0] + box[2], content.height) // down) * down, content.height)
    right = min(-(-min(box[1] + box[3], content.width) // across) * across, content.width)
    return top, left, bottom - top, right - left


def part_of(content: jb.Content, region: tuple[int, int, int, int]) -> list[np.ndarray]:
    out = []
    for plane, (h, v) in zip(content.planes, content.factors, strict=True):
        down, across = 8 * content.v_max, 8 * content.h_max
        row, col = region[0] // down * v, region[1] // across * h
        rows, cols = -(-region[2] // down) * v, -(-region[3] // across) * h
        out.append(plane[:, row : row + rows, col : col + cols])
    return out


boxes = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(1, 2 * HEIGHT), st.integers(1, 2 * WIDTH))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), box=boxes, channels=st.sampled_from(["all", "24s", "6s", "y:63,0;cb:;cr:5"]))
def test_region_is_that_part_of_the_whole(kind: str, box: tuple[int, int, int, int], channels: str) -> None:
    content, data = file_of(kind)
    kept = dctload.ChannelSelection.parse(channels)
    lists = (kept.y, kept.cb, kept.cr) if len(content.planes) == 3 else (kept.y,) * len(content.planes)
    region = snapped(content, box)
    want = [p[list(f)] for p, f in zip(part_of(content, region), lists, strict=True)]
    got = dctload.read_coefficients(data, channels=channels, region=box)
    assert tuple(got.region) == region
    assert got.status == "ok" and (got.header.width, got.header.height) == (WIDTH, HEIGHT)
    assert_same_planes(got.planes, want)
    packed = dctload.unpack_reference(dctload.extract([data], channels=channels, regions=[box], num_threads=1))[0]
    assert packed is not None and tuple(packed.region) == region
    assert_same_planes(packed.planes, want, "packed")


@pytest.mark.parametrize("kind", KINDS)
def test_no_region_is_the_whole_image(kind: str) -> None:
    content, data = file_of(kind)
    assert tuple(dctload.read_coefficients(data).region) == (0, 0, HEIGHT, WIDTH)
    assert_same_planes(dctload.read_coefficients(data, region=(0, 0, HEIGHT, WIDTH)).planes, content.planes)


@pytest.mark.parametrize("box", [(HEIGHT, 0, 5, 5), (0, WIDTH, 5, 5), (500, 500, 1, 1)])
def test_region_outside_the_image_is_a_value_error_with_both_sizes(box: tuple[int, int, int, int]) -> None:
    _, data = file_of("4:2:0")
    for call in (
        lambda: dctload.read_coefficients(data, region=box),
        lambda: dctload.extract([data], regions=[box], num_threads=1),
    ):
        with pytest.raises(ValueError, match=str(WIDTH)) as caught:
            call()
        assert str(HEIGHT) in str(caught.value)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 5), (0, 0, 5, 0), (3, 3, -1, 5), (-20, 0, 10, 10), (0, -9, 8, 8), (0, 0, 5), (0, 0, 5, 5, 5), "whole", 7]
)
def test_region_that_is_no_box_is_refused(box: object) -> None:
    _, data = file_of("4:2:0")
    with pytest.raises((ValueError, TypeError)):
        dctload.read_coefficients(data, region=box)  # type: ignore[arg-type]


def test_nothing_below_the_region_is_read() -> None:
    content, data = file_of("4:2:0")
    cut = data[: len(data) * 3 // 5]
    box = (0, 30, 16, 40)
    got = dctload.read_coefficients(cut, region=box)
    assert got.status == "ok"
    assert_same_planes(got.planes, part_of(content, snapped(content, box)))
    with pytest.raises(dctload.JPEGError):
        dctload.read_coefficients(cut, region=(HEIGHT - 1, 0, 1, 1))


def test_none_among_regions_means_the_whole() -> None:
    _, data = file_of("4:4:4")
    batch = dctload.extract([data, data], regions=[None, (0, 0, 8, 8)], num_threads=1)
    first, second = dctload.unpack_reference(batch)
    assert first is not None and second is not None
    assert tuple(first.region) == (0, 0, HEIGHT, WIDTH) and tuple(second.region) == (0, 0, 8, 8)


def test_as_many_regions_as_sources_or_an_error() -> None:
    _, data = file_of("4:4:4")
    with pytest.raises(ValueError):
        dctload.extract([data, data], regions=[(0, 0, 8, 8)], num_threads=1)
