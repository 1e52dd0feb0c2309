"""Restart intervals (T.81 E.1.4, E.2.4): of any length, and with markers lost, doubled, wrong or left over."""

from __future__ import annotations

import numpy as np
import pytest

import dctload
import oracle
from support import jpeg_builder as jb
from support.compare import assert_equal_to_oracle, assert_same_planes

SCRIPTS = ("one scan", "scan a component", "progressive")


def stream_of(content: jb.Content, script: str, interval: int) -> jb.Stream:
    if script == "one scan":
        return jb.encode(content, restart_interval=interval)
    if script == "scan a component":
        return jb.encode(content, jb.scan_a_component(content), restart_interval=interval)
    return jb.encode(content, jb.standard_progression(content), process="progressive", restart_interval=interval)


def block_rows_cols(content: jb.Content, component: int, mcu: int) -> tuple[slice, slice]:
    """Blocks of a component that an MCU of a scan of all components holds."""
    if len(content.planes) == 1:
        row, col = divmod(mcu, content.planes[0].shape[2])
        return slice(row, row + 1), slice(col, col + 1)
    h, v = content.factors[component]
    row, col = divmod(mcu, content.mcus_across)
    return slice(row * v, (row + 1) * v), slice(col * h, (col + 1) * h)


def without_mcus(content: jb.Content, lost: range) -> list[np.ndarray]:
    planes = [p.copy() for p in content.planes]
    for mcu in lost:
        for k, plane in enumerate(planes):
            rows, cols = block_rows_cols(content, k, mcu)
            plane[:, rows, cols] = 0
    return planes


def assert_damage_is_told(data: bytes, want: list[np.ndarray], valid: int) -> None:
    """An error by default; kept, exactly these planes and a status, packed or not."""
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    assert caught.value.code == "restart_lost"
    got = dctload.read_coefficients(data, truncated="keep")
    assert got.status == "damaged"
    assert_same_planes(got.planes, want)
    assert got.valid_mcus == valid
    batch = dctload.extract([data], channels="all", truncated="keep", num_threads=1)
    assert batch.status[0] == "damaged"
    assert dctload.PackedBatch.from_buffer(bytes(batch.buffer)).status == batch.status
    packed = dctload.unpack_reference(batch)[0]
    assert packed is not None and packed.valid_mcus == valid
    assert_same_planes(packed.planes, want, "packed")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("layout", ["gray", "4:2:0", "4:4:4", "four"])
def test_every_interval_length_equals_the_oracle(layout: str, script: str) -> None:
    content = jb.content(53, 37, layout, seed=3)
    total = content.mcus_across * content.mcus_down
    for interval in [*range(1, min(total, 12) + 2), total - 1, total, total + 1, 65535]:
        got = assert_equal_to_oracle(stream_of(content, script, interval).to_bytes(), f"interval {interval}")
        assert_same_planes(got.planes, content.planes, f"interval {interval}")
        assert got.header.restart_interval == interval
        assert not got.warnings


def test_interval_set_back_to_none_between_scans() -> None:
    content = jb.content(53, 37, "4:2:0", seed=3)
    scans = [jb.Scan((0,), restart_interval=4), jb.Scan((1,), restart_interval=0), jb.Scan((2,), restart_interval=3)]
    got = assert_equal_to_oracle(jb.encode(content, scans).to_bytes())
    assert_same_planes(got.planes, content.planes)
    assert got.header.restart_interval == 4


@pytest.mark.parametrize("first", [0, 3, 7, 8])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layout", ["gray", "4:2:0"])
def test_lost_interval_is_zero_and_decoding_goes_on_at_the_right_mcu(layout: str, first: int, count: int) -> None:
    """Marker and data of `count` intervals are cut out: the number jumps, what follows keeps its place."""
    content = jb.content(160, 96, layout, seed=7)
    interval = 5
    stream = jb.encode(content, restart_interval=interval)
    for _ in range(count):
        stream = stream.drop("RST", first).drop("ECS", first + 1)
    lost = range((first + 1) * interval, (first + 1 + count) * interval)
    want = without_mcus(content, lost)
    assert_same_planes(oracle.decode(stream.to_bytes()).planes, want, "oracle")
    total = content.mcus_across * content.mcus_down
    assert_damage_is_told(stream.to_bytes(), want, total - len(lost))


@pytest.mark.parametrize("first", [0, 5, 9])
def test_lost_marker_alone_costs_one_interval(first: int) -> None:
    """The data stay, the marker goes: the interval behind it is lost, and no other block changes."""
    content = jb.content(160, 96, "4:2:0", seed=7)
    stream = jb.encode(content, restart_interval=5).drop("RST", first)
    lost = range((first + 1) * 5, (first + 2) * 5)
    assert_damage_is_told(stream.to_bytes(), without_mcus(content, lost), 60 - len(lost))


def assert_nothing_is_invented(content: jb.Content, data: bytes, interval: int, *, at_most: int) -> None:
    """Each interval is whole or zero, and no more than `at_most` are zero."""
    got = dctload.read_coefficients(data, truncated="keep")
    total = content.mcus_across * content.mcus_down
    missing = 0
    for start in range(0, total, interval):
        mcus = range(start, min(start + interval, total))
        pieces = [(k, *block_rows_cols(content, k, m)) for m in mcus for k in range(len(content.planes))]
        same = all(np.array_equal(got.planes[k][:, r, c], content.planes[k][:, r, c]) for k, r, c in pieces)
        empty = not any(got.planes[k][:, r, c].any() for k, r, c in pieces)
        assert same or empty, f"interval {start // interval} is neither whole nor zero"
        missing += not same
    assert missing <= at_most
    assert got.valid_mcus == total - missing * interval
    assert got.warnings
    assert got.status == "damaged" or (got.status == "ok" and not missing)
    if got.status == "damaged":
        with pytest.raises(dctload.JPEGError) as caught:
            dctload.read_coefficients(data)
        assert caught.value.code == "restart_lost"


@pytest.mark.parametrize("n", [0, 4, 8])
def test_doubled_marker_costs_at_most_the_interval_behind_it(n: int) -> None:
    content = jb.content(160, 96, "4:2:0", "dense", seed=7)
    stream = jb.encode(content, restart_interval=5)
    data = stream.insert_before("RST", stream.get("RST", n), n).to_bytes()
    assert_nothing_is_invented(content, data, 5, at_most=1)


@pytest.mark.parametrize("n", [0, 4, 8])
def test_doubled_interval_costs_at_most_the_interval_behind_it(n: int) -> None:
    content = jb.content(160, 96, "4:2:0", "dense", seed=7)
    stream = jb.encode(content, restart_interval=5)
    again = stream.get("RST", n) + stream.get("ECS", n + 1)
    data = stream.insert_before("RST", again, n).to_bytes()
    assert_nothing_is_invented(content, data, 5, at_most=1)


@pytest.mark.parametrize("jump", range(1, 8))
def test_wrong_number_never_gives_a_wrong_coefficient(jump: int) -> None:
    content = jb.content(160, 96, "4:2:0", "dense", seed=7)
    stream = jb.encode(content, restart_interval=5)
    wrong = bytes((0xFF, 0xD0 + (3 + jump) % 8))
    data = stream.put("RST", wrong, 3).to_bytes()
    got = dctload.read_coefficients(data, truncated="keep")
    assert got.status == "damaged"
    rows = 2  # intervals 0 to 3 hold MCU rows 0 and 1 of ten MCUs each
    for plane, want, (_, v) in zip(got.planes, content.planes, content.factors, strict=True):
        np.testing.assert_array_equal(plane[:, : rows * v], want[:, : rows * v])
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    assert caught.value.code == "restart_lost"


def test_last_intervals_gone_is_truncation() -> None:
    content = jb.content(160, 96, "4:2:0", seed=7)
    stream = jb.encode(content, restart_interval=5)
    for _ in range(3):
        stream = stream.drop("RST", stream.count("RST") - 1).drop("ECS", stream.count("ECS") - 1)
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(stream.to_bytes())
    assert caught.value.code == "data_truncated"
    got = dctload.read_coefficients(stream.to_bytes(), truncated="keep")
    assert got.status == "truncated" and got.valid_mcus == 45
    assert_same_planes(got.planes, without_mcus(content, range(45, 60)))


def test_data_missing_inside_an_interval_leaves_the_others_whole() -> None:
    content = jb.content(160, 96, "4:2:0", "dense", seed=7)
    stream = jb.encode(content, restart_interval=5)
    data = stream.put("ECS", stream.get("ECS", 4)[:20], 4).to_bytes()
    want = oracle.decode(data)
    assert not want.complete
    with pytest.raises(dctload.JPEGError):
        dctload.read_coefficients(data)
    got = dctload.read_coefficients(data, truncated="keep")
    assert got.status == "damaged"
    assert_same_planes(got.planes, want.planes)
    assert got.valid_mcus == want.valid_mcus


@pytest.mark.parametrize("script", SCRIPTS)
def test_extra_marker_before_the_end_of_image_is_harmless(script: str) -> None:
    content = jb.content(53, 37, "4:2:0", seed=3)
    stream = stream_of(content, script, 2)
    data = stream.insert_before("EOI", b"\xff\xd3").to_bytes()
    got = dctload.read_coefficients(data)
    assert got.status == "ok"
    assert_same_planes(got.planes, content.planes)


def test_data_behind_a_marker_after_the_last_mcu_are_told() -> None:
    """A start of scan whose marker turned into a restart marker must not vanish in silence."""
    content = jb.content(53, 37, "4:2:0", seed=3)
    data = jb.encode(content, restart_interval=2).insert_before("EOI", b"\xff\xd2" + bytes(range(40))).to_bytes()
    got = dctload.read_coefficients(data)
    assert got.status == "ok" and got.warnings
    assert_same_planes(got.planes, content.planes)


def test_marker_without_an_interval_is_damage() -> None:
    content = jb.content(160, 96, "4:2:0", "dense", seed=7)
    stream = jb.encode(content)
    body = stream.get("ECS")
    data = stream.put("ECS", body[:2000] + b"\xff\xd0" + body[2000:]).to_bytes()
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    assert caught.value.code in ("restart_lost", "data_truncated")
    got = dctload.read_coefficients(data, truncated="keep")
    want = oracle.decode(data)
    assert got.status in ("damaged", "truncated")
    assert got.valid_mcus == want.valid_mcus
    assert_same_planes(got.planes, want.planes)


def test_fill_bytes_before_restart_markers_are_no_oddity() -> None:
    content = jb.content(53, 37, "4:2:0", seed=3)
    got = assert_equal_to_oracle(jb.encode(content, restart_interval=1, fill=3).to_bytes())
    assert_same_planes(got.planes, content.planes)
    assert not got.warnings


def test_bytes_left_over_in_an_interval_are_told_and_change_nothing() -> None:
    content = jb.content(53, 37, "4:2:0", seed=3)
    stream = jb.encode(content, restart_interval=2)
    got = dctload.read_coefficients(stream.put("ECS", stream.get("ECS", 2) + bytes(9), 2).to_bytes())
    assert got.status == "ok" and got.warnings
    assert_same_planes(got.planes, content.planes)


@pytest.mark.parametrize("channels", ["6s", "y:0;cb:0;cr:0", "y:63;cb:;cr:1"])
def test_lost_interval_under_a_selection_is_a_slice_of_the_whole(channels: str) -> None:
    content = jb.content(160, 96, "4:2:0", seed=7)
    stream = jb.encode(content, restart_interval=5).drop("RST", 2).drop("ECS", 3)
    kept = dctload.ChannelSelection.parse(channels)
    want = without_mcus(content, range(15, 20))
    got = dctload.read_coefficients(stream.to_bytes(), channels=channels, truncated="keep")
    assert_same_planes(got.planes, [p[list(f)] for p, f in zip(want, (kept.y, kept.cb, kept.cr), strict=True)])
