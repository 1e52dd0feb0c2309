"""Limits against hostile input: named errors, before memory or time is spent."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import dctload
from support import jpeg_builder as jb
from support.compare import assert_same_planes

CONTENT = jb.content(40, 30, "4:2:0", seed=1)
STREAM = jb.encode(CONTENT)


def bomb(width: int, height: int, process: str = "baseline", data: bytes = b"\x00" * 20) -> bytes:
    """A frame header of that size over a few bytes of entropy-coded data."""
    small = jb.content(8, 8, "4:4:4", seed=1)
    stream = jb.encode(small, jb.spectral_progression(small) if process == "progressive" else None, process=process)
    header = bytearray(stream.get("SOF"))
    header[5:9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return stream.put("SOF", bytes(header)).put("ECS", data).to_bytes()


@pytest.mark.parametrize("limits, code", [
    (dctload.Limits(pixels=40 * 30 - 1), "limit_pixels"),
    (dctload.Limits(components=2), "limit_components"),
    (dctload.Limits(scans=2), "limit_scans"),
    (dctload.Limits(bytes=200), "limit_bytes"),
])  # fmt: skip
def test_each_limit_has_its_error(limits: dctload.Limits, code: str) -> None:
    data = jb.encode(CONTENT, jb.scan_a_component(CONTENT)).to_bytes()
    for call in (
        lambda: dctload.read_coefficients(data, limits=limits),
        lambda: dctload.extract([data], limits=limits, num_threads=1),
    ):
        with pytest.raises(dctload.LimitExceeded) as caught:
            call()
        assert caught.value.code == code
    marked = dctload.extract([data, STREAM.to_bytes()], limits=limits, num_threads=1, on_error="mark")
    assert marked.status[0] == code


def test_limits_are_inclusive() -> None:
    data = jb.encode(CONTENT, jb.scan_a_component(CONTENT)).to_bytes()
    limits = dctload.Limits(pixels=40 * 30, components=3, scans=3, bytes=len(data))
    assert_same_planes(dctload.read_coefficients(data, limits=limits).planes, CONTENT.planes)
    assert dctload.read_header(data, limits=limits).width == 40


def test_limits_of_pixels_hold_for_headers_too() -> None:
    with pytest.raises(dctload.LimitExceeded):
        dctload.read_header(STREAM.to_bytes(), limits=dctload.Limits(pixels=100))


def test_more_than_four_components_are_over_the_limit() -> None:
    body = bytes([8, 0, 8, 0, 8, 5]) + b"".join(bytes([k, 0x11, 0]) for k in range(1, 6))
    data = STREAM.put("SOF", jb.segment(0xC0, body)).to_bytes()
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data, limits=dctload.Limits(components=10))
    assert caught.value.code == "limit_components"


def test_defaults_are_those_of_the_documentation() -> None:
    limits = dctload.Limits()
    assert (limits.pixels, limits.components, limits.scans, limits.bytes) == (2**28, 4, 1000, 2**31)


@pytest.mark.parametrize("width, height", [(65535, 65535), (65500, 65500), (16385, 16384)])
@pytest.mark.parametrize("process", ["baseline", "progressive"])
def test_a_declared_size_of_gigapixels_is_refused_at_once(process: str, width: int, height: int) -> None:
    start = time.perf_counter()
    for policy in ("error", "keep"):
        with pytest.raises(dctload.LimitExceeded):
            dctload.read_coefficients(bomb(width, height, process), truncated=policy)
    assert time.perf_counter() - start < 1.0


WITHIN_LIMITS = """
import resource, sys, time
import dctload
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
for call in (dctload.read_coefficients, lambda d: dctload.extract([d], channels="24s", num_threads=1)):
    try:
        call(data)
    except dctload.JPEGError as error:
        print(error.code)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown // 1024, round(time.perf_counter() - start))
"""


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("process", ["baseline", "progressive"])
def test_a_size_that_the_data_cannot_hold_costs_no_memory(process: str) -> None:
    """16000 x 16000 is within the limit of pixels; 20 bytes cannot hold 12 million blocks."""
    data = bomb(16000, 16000, process)
    ran = subprocess.run([sys.executable, "-c", WITHIN_LIMITS], input=data, capture_output=True, timeout=60, check=True)
    *codes, last = ran.stdout.decode().splitlines()
    megabytes, seconds = map(int, last.split())
    assert codes == ["data_truncated"] * 2
    assert megabytes < 64 and seconds < 5


def test_a_size_that_the_data_cannot_hold_is_still_kept_when_asked() -> None:
    got = dctload.read_coefficients(bomb(800, 800), truncated="keep")
    assert got.status == "truncated"
    assert got.planes[0].shape == (64, 100, 100)
    assert not any(p[:, 90:].any() for p in got.planes)


def test_many_scans_over_few_bytes_end_in_bounded_time() -> None:
    """1,000 refinement scans of a wide image, each of no data at all."""
    content = jb.content(4000, 4000, "gray", "zero")
    first = jb.encode(content, [jb.Scan((0,), 0, 0)], process="progressive")
    again = jb.sos(content, jb.Scan((0,), 1, 63), {0: 0}, {0: 0}) + b"\x00"
    table = jb.dht({(1, 0): jb.optimal_table({0: 1, 1: 1})})
    data = first.insert_before("EOI", table + again * 990).to_bytes()
    start = time.perf_counter()
    with pytest.raises(dctload.JPEGError):
        dctload.read_coefficients(data)
    assert time.perf_counter() - start < 2.0
    start = time.perf_counter()
    dctload.read_coefficients(data, truncated="keep")
    assert time.perf_counter() - start < 20.0


def test_one_more_scan_than_the_limit() -> None:
    content = jb.content(8, 8, "gray", "natural")
    scans = [jb.Scan((0,), 0, 0), *[jb.Scan((0,), k, k) for k in range(1, 64)]]
    data = jb.encode(content, scans, process="progressive").to_bytes()
    assert_same_planes(dctload.read_coefficients(data, limits=dctload.Limits(scans=64)).planes, content.planes)
    with pytest.raises(dctload.LimitExceeded):
        dctload.read_coefficients(data, limits=dctload.Limits(scans=63))


@pytest.mark.parametrize("wrong", [{"pixels": -1}, {"scans": 1.5}, {"colours": 3}])
def test_limits_that_are_no_numbers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        dctload.read_header(STREAM.to_bytes(), limits=dctload.Limits(**wrong))  # type: ignore[arg-type]


def test_a_header_that_promises_more_than_the_file_holds_gets_no_memory() -> None:
    """16384 x 16384 pixels, a component coded twice, and no data: planes of it would take 4 GB."""
    frame = b"\xff\xc0\0\x11\x08\x40\0\x40\0\x03" + b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
    start = b"\xff\xd8\xff\xdb\0\x43\0" + bytes([1]) * 64 + frame
    data = start + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" * 2 + b"\xff\xd9"
    began = time.perf_counter()
    for read in (dctload.read_coefficients, lambda source: dctload.extract([source])):
        with pytest.raises(dctload.JPEGError) as caught:
            read(data)
        assert caught.value.code == "data_truncated"
    assert time.perf_counter() - began < 1


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero, a file without an end")
def test_a_file_without_an_end_is_read_up_to_the_limit() -> None:
    batch = dctload.extract(["/dev/zero"], on_error="mark", limits=dctload.Limits(bytes=1 << 20))
    assert batch.status == ("limit_bytes",)
