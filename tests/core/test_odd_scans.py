"""Scans that few encoders write: components in another order, coded twice, or never; what they leave is libjpeg's."""

import pytest

import dctload
from support import jpeg_builder as jb
from support.compare import assert_same_planes


def scan(*components: int) -> jb.Scan:
    return jb.Scan(components=components)


def test_components_of_a_scan_may_stand_in_another_order_than_the_frames() -> None:
    """libjpeg takes the first component of an id from the scan's own place on."""
    content = jb.content(40, 27, "4:4:4", seed=5)
    data = jb.encode(content, (scan(0), scan(2, 1))).to_bytes()
    assert_same_planes(dctload.read_coefficients(data).planes, content.planes)
    batch = dctload.extract([data], channels="all")
    unpacked = dctload.unpack_reference(batch)[0]
    assert unpacked is not None
    assert_same_planes(unpacked.planes, content.planes)


def test_a_component_named_twice_in_a_scan_is_refused() -> None:
    content = jb.content(40, 27, "4:4:4", seed=5)
    stream = jb.encode(content, (scan(0), scan(1, 2)))
    header = bytearray(stream.get("SOS", 1))
    header[7] = header[5]  # the second component's id is the first's
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(stream.put("SOS", bytes(header), 1).to_bytes())
    assert caught.value.code == "bad_scan"


@pytest.mark.parametrize("packed", [False, True])
def test_a_cut_before_a_components_first_scan_is_a_loss_whatever_came_twice(packed: bool) -> None:
    content = jb.content(40, 27, "4:4:4", seed=5)
    stream = jb.encode(content, (scan(0), scan(0), scan(1), scan(2)))
    data = stream.to_bytes()
    whole = dctload.read_coefficients(data)
    assert whole.status == "ok" and whole.warnings
    assert_same_planes(whole.planes, content.planes)
    cut = data[: stream.offset("SOS", 3)]
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.extract([cut]) if packed else dctload.read_coefficients(cut)
    assert caught.value.code == "data_truncated"


def test_a_region_counts_the_mcus_that_were_lost_above_its_end() -> None:
    content = jb.content(64, 64, "4:4:4", seed=2)
    stream = jb.encode(content, restart_interval=2)
    data = stream.drop("RST", 1).drop("ECS", 1).to_bytes()
    whole = dctload.read_coefficients(data, truncated="keep")
    part = dctload.read_coefficients(data, region=(0, 0, 40, 64), truncated="keep")
    assert whole.status == part.status == "damaged"
    assert whole.valid_mcus == part.valid_mcus == 62


def test_orientation_is_what_the_headers_before_the_first_scan_say() -> None:
    content = jb.content(40, 27, "4:4:4", seed=5)
    stream = jb.encode(content, (scan(0), scan(1), scan(2)))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    data = stream.to_bytes()
    at = stream.offset("SOS", 1)
    late = data[:at] + jb.segment(0xE1, exif) + data[at:]
    early = data[:2] + jb.segment(0xE1, exif) + data[2:]
    for source, turned in ((late, 1), (early, 6)):
        assert dctload.read_header(source).orientation == dctload.read_coefficients(source).header.orientation == turned


def test_a_bad_code_in_a_refinement_leaves_nothing_of_its_block() -> None:
    """The only block of the last scan is as the scans before left it, whatever that scan had said of it by then."""
    content = jb.content(8, 8, "gray", "dense", seed=3)
    script = (jb.Scan((0,), 0, 0), jb.Scan((0,), 1, 63, 0, 1), jb.Scan((0,), 1, 63, 1, 0))
    stream = jb.encode(content, script, process="progressive", tables="deep")
    assert_same_planes(dctload.read_coefficients(stream.to_bytes()).planes, content.planes)
    before = dctload.read_coefficients(stream.drop("ECS", 2).drop("SOS", 2).to_bytes()).planes
    assert any((was != now).sum() > 4 for was, now in zip(before, content.planes, strict=True))
    body = stream.get("ECS", 2)
    bad = 0
    for at in range(len(body)):
        ones = b"\xff\0" * 16  # no code is all ones
        got = dctload.read_coefficients(stream.put("ECS", body[:at] + ones + body[at:], 2).to_bytes(), truncated="keep")
        if got.status == "damaged":
            bad += 1
            assert got.valid_mcus == 0
            assert_same_planes(got.planes, before, f"ones at byte {at}")
    assert bad >= len(body) // 2
