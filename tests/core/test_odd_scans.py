"""Scans that few encoders write: components in another order, coded twice, or never; what they leave is libjpeg's."""

import pytest

import dctload
import oracle
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
    """Zero-fed or wrong bits are never stored: a block is as the scans before left it."""
    content = jb.content(24, 8, "gray", "dense", seed=3)
    stream = jb.encode(content, jb.random_progression(content, 3), process="progressive", tables="deep")
    data = stream.to_bytes()
    for k in range(stream.count("ECS")):
        body = stream.get("ECS", k)
        for at in range(0, len(body), 5):
            broken = stream.put("ECS", body[:at] + b"\xff\0" * 4 + body[at:], k).to_bytes()
            got = dctload.read_coefficients(broken, truncated="keep")
            assert got.status in ("ok", "damaged", "truncated")
            if got.status == "ok":
                assert_same_planes(got.planes, oracle.decode(broken).planes)
    assert_same_planes(dctload.read_coefficients(data).planes, content.planes)
