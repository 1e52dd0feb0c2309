"""Cut files: an error by default; kept, what came is exact and what never came is zero."""

from __future__ import annotations

from typing import Any

import pytest

import dctload
import oracle
from support import jpeg_builder as jb
from support.compare import assert_same_planes

KINDS = ("one scan", "restart", "scan a component", "gray", "progressive", "progressive restart", "spectral")


def stream_of(kind: str) -> tuple[jb.Content, jb.Stream]:
    content = jb.content(72, 50, "gray" if kind == "gray" else "4:2:0", seed=len(kind))
    if kind in ("one scan", "gray"):
        return content, jb.encode(content)
    if kind == "restart":
        return content, jb.encode(content, restart_interval=3)
    if kind == "scan a component":
        return content, jb.encode(content, jb.scan_a_component(content))
    if kind == "spectral":
        return content, jb.encode(content, jb.spectral_progression(content), process="progressive")
    interval = 3 if "restart" in kind else 0
    scans = jb.standard_progression(content)
    return content, jb.encode(content, scans, process="progressive", restart_interval=interval)


def cuts(stream: jb.Stream, step: int) -> list[int]:
    """Lengths that end inside entropy-coded data."""
    out: list[int] = []
    for n in range(stream.count("ECS")):
        start = stream.offset("ECS", n)
        out += range(start, start + len(stream.get("ECS", n)), step)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_is_exact_and_what_never_came_is_zero(kind: str) -> None:
    """Equal to the oracle at every cut: planes, number of valid MCUs, status, in planes and packed."""
    content, stream = stream_of(kind)
    data = stream.to_bytes()
    for length in cuts(stream, 1 + len(data) // 150):
        cut, note = data[:length], f"{length} of {len(data)} bytes"
        want = oracle.decode(cut)
        if want.complete and len(want.scans) == stream.count("SOS"):
            continue  # only padding bits are gone
        got = dctload.read_coefficients(cut, truncated="keep")
        assert got.status == "truncated", note
        assert got.valid_mcus == want.valid_mcus, note
        assert_same_planes(got.planes, want.planes, note)
        batch = dctload.extract([cut], channels="all", truncated="keep", num_threads=1)
        assert batch.status[0] == "truncated" and batch.error(0) is None, note
        packed = dctload.unpack_reference(batch)[0]
        assert packed is not None and packed.valid_mcus == want.valid_mcus, note
        assert packed.status == "truncated"
        assert dctload.PackedBatch.from_buffer(bytes(batch.buffer)).status == batch.status, note
        assert_same_planes(packed.planes, want.planes, note)
        assert content.planes[0].shape == got.planes[0].shape


@pytest.mark.parametrize("seed", range(16))
def test_cut_files_of_random_scripts_equal_the_oracle(seed: int) -> None:
    """An MCU whose data ran out is as the scans before left it: no bit of zero-fed data stays behind."""
    layouts = list(jb.LAYOUTS)
    content = jb.content(60, 41, layouts[seed % len(layouts)], ("extreme", "dense", "natural")[seed % 3], seed=seed)
    options: dict[str, Any] = {"tables": ("deep", "optimal")[seed % 2], "restart_interval": (0, 0, 7)[seed % 3]}
    stream = jb.encode(content, jb.random_progression(content, seed), process="progressive", **options)
    lengths = cuts(stream, 1)
    for length in lengths[seed :: 1 + len(lengths) // 40]:
        cut = stream.to_bytes()[:length]
        want = oracle.decode(cut)
        got = dctload.read_coefficients(cut, truncated="keep")
        assert_same_planes(got.planes, want.planes, f"{length} bytes")
        if not want.complete:
            assert (got.status, got.valid_mcus) == ("truncated", want.valid_mcus), f"{length} bytes"


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_in_the_data_is_an_error_that_says_where(kind: str) -> None:
    _, stream = stream_of(kind)
    data = stream.to_bytes()
    for length in cuts(stream, 1 + len(data) // 60):
        want = oracle.decode(data[:length])
        if want.complete:
            continue
        with pytest.raises(dctload.JPEGError) as caught:
            dctload.read_coefficients(data[:length])
        assert caught.value.code == "data_truncated"
        assert caught.value.offset is not None and caught.value.offset <= length
        with pytest.raises(dctload.JPEGError):
            dctload.extract([data[:length]], channels="all", num_threads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_anywhere_never_passes_in_silence(kind: str) -> None:
    content, stream = stream_of(kind)
    data = stream.to_bytes()
    for length in range(0, len(data) - 1, 1 + len(data) // 200):
        try:
            got = dctload.read_coefficients(data[:length])
        except dctload.JPEGError as error:
            assert error.offset is None or error.offset <= length
        else:
            assert got.warnings, f"{length} of {len(data)} bytes"
            if len(oracle.decode(data[:length]).scans) == stream.count("SOS"):
                assert_same_planes(got.planes, content.planes)


@pytest.mark.parametrize("channels", ["6s", "y:0;cb:0;cr:0", "y:63;cb:;cr:1"])
@pytest.mark.parametrize("kind", ["one scan", "restart", "scan a component", "progressive"])
def test_a_cut_file_under_a_selection_is_a_slice_of_the_whole_cut(kind: str, channels: str) -> None:
    _, stream = stream_of(kind)
    kept = dctload.ChannelSelection.parse(channels)
    data = stream.to_bytes()
    first = stream.offset("ECS") + len(stream.get("ECS")) // 2
    cut = data[:first]
    want = oracle.decode(cut).planes
    got = dctload.read_coefficients(cut, channels=channels, truncated="keep")
    assert got.status == "truncated"
    assert_same_planes(got.planes, [p[list(f)] for p, f in zip(want, (kept.y, kept.cb, kept.cr), strict=True)])


def test_dc_of_lost_blocks_is_zero_not_the_last_one() -> None:
    content = jb.content(160, 160, "4:4:4", "flat", seed=2)
    stream = jb.encode(content)
    data = stream.to_bytes()[: stream.offset("ECS") + len(stream.get("ECS")) // 2]
    got = dctload.read_coefficients(data, truncated="keep")
    rows = got.valid_mcus // 20
    assert 0 < rows < 19
    for plane in got.planes:
        assert plane[0, :rows].any() and not plane[:, rows + 1 :].any()


def test_a_file_without_any_entropy_coded_byte_is_all_zero_when_kept() -> None:
    content = jb.content(64, 64, "4:2:0", seed=2)
    stream = jb.encode(content)
    data = stream.to_bytes()[: stream.offset("ECS")]
    got = dctload.read_coefficients(data, truncated="keep")
    assert got.status == "truncated" and got.valid_mcus == 0
    assert not any(p.any() for p in got.planes)


def test_marker_inside_the_data_ends_it() -> None:
    content = jb.content(160, 160, "4:2:0", "dense", seed=2)
    stream = jb.encode(content)
    body = stream.get("ECS")
    data = stream.put("ECS", body[: len(body) // 2]).to_bytes()  # EOI follows at once
    want = oracle.decode(data)
    with pytest.raises(dctload.JPEGError) as caught:
        dctload.read_coefficients(data)
    assert caught.value.code == "data_truncated"
    got = dctload.read_coefficients(data, truncated="keep")
    assert got.status == "truncated" and got.valid_mcus == want.valid_mcus
    assert_same_planes(got.planes, want.planes)


@pytest.mark.parametrize("policy", ["", "Keep", "ignore", None, 1])
def test_unknown_policy_is_refused(policy: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        dctload.read_coefficients(jb.encode(jb.content(8, 8)).to_bytes(), truncated=policy)  # type: ignore[arg-type]
