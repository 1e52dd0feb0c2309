"""Real files: what libjpeg-turbo reads without a warning has equal coefficients; the rest is refused or flagged."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb
from support import libjpeg
from support.compare import assert_same_planes
from support.real_files import DATA, digest, expected, names, needs_real_files

FOLDERS = ("imagenet-sample", "jpeg-corpus", "photos")
SECONDS_A_FILE = 10.0

# Declared sizes of 4e9 pixels in a few hundred bytes: libjpeg would allocate all of it.
HEADER_BOMBS = ("extreme-size__gdk-pixbuf__issue205.jpg", "extreme-size__jpeg-decoder__max_size.jpg")

needs_libjpeg = pytest.mark.skipif(libjpeg.reader() is None, reason=libjpeg.WHY_ABSENT)


def of_verdict(verdict: str) -> list[str]:
    return [n for n in sorted(expected()) if expected()[n].verdict == verdict] or [""]


def skip_without_files(name: str) -> None:
    if not name:
        pytest.skip("the real files (shared/) are not beside this checkout")


@needs_real_files
def test_the_expected_digests_cover_every_file() -> None:
    for folder in FOLDERS:
        here = {f"{folder}/{path.name}" for path in (DATA / folder).iterdir() if path.name != "MANIFEST.tsv"}
        assert here == set(names(folder))


@pytest.mark.parametrize("name", of_verdict("ok"))
def test_coefficients_equal_libjpeg_turbo(name: str) -> None:
    skip_without_files(name)
    row = expected()[name]
    if row.process == "arithmetic":
        with pytest.raises(dctload.UnsupportedJPEG) as caught:
            dctload.read_coefficients(DATA / name)
        assert caught.value.process == "arithmetic"
        return
    got = dctload.read_coefficients(DATA / name)
    assert got.status == "ok"
    assert (got.header.width, got.header.height) == (row.width, row.height)
    facts = tuple(
        (f"{c.h}x{c.v}", f"{c.block_rows}x{c.block_cols}", digest(plane))
        for c, plane in zip(got.header.components, got.planes, strict=True)
    )
    assert facts == row.components


@pytest.mark.parametrize("name", of_verdict("warn") + of_verdict("error"))
def test_damaged_and_foreign_files_end_in_a_typed_error_or_a_status(name: str) -> None:
    skip_without_files(name)
    data, row = (DATA / name).read_bytes(), expected()[name]
    start = time.perf_counter()
    try:
        strict = dctload.read_coefficients(data)
    except dctload.JPEGError as error:
        assert error.code
        assert error.offset is None or 0 <= error.offset <= len(data)
        if isinstance(error, dctload.UnsupportedJPEG):
            assert error.process
    else:
        assert row.verdict == "warn", f"libjpeg-turbo refuses it: {row.message}"
        assert strict.status == "ok"
    try:
        kept = dctload.read_coefficients(data, truncated="keep")
    except dctload.JPEGError as error:
        assert error.code not in ("data_truncated", "restart_lost"), "truncated='keep' must keep"
    else:
        assert kept.status in ("ok", "truncated", "damaged")
        assert kept.valid_mcus >= 0
    assert time.perf_counter() - start < SECONDS_A_FILE


@needs_real_files
def test_complete_but_odd_files_say_so_and_have_libjpeg_s_coefficients() -> None:
    read = 0
    for name in of_verdict("warn"):
        try:
            got = dctload.read_coefficients(DATA / name)
        except dctload.JPEGError:
            continue
        read += 1
        assert got.status == "ok" and got.warnings, name
        assert [digest(p) for p in got.planes] == [wanted for _, _, wanted in expected()[name].components], name
    assert read >= 10


@needs_libjpeg
@needs_real_files
@pytest.mark.parametrize("folder", FOLDERS)
def test_coefficients_and_tables_equal_the_libjpeg_of_this_machine(folder: str) -> None:
    compared = 0
    for name in names(folder):
        if name.endswith(HEADER_BOMBS):
            continue
        data = (DATA / name).read_bytes()
        reading = libjpeg.read(data)
        if reading.verdict != "ok":
            continue
        try:
            got = dctload.read_coefficients(data)
        except dctload.UnsupportedJPEG as error:
            assert error.process in ("arithmetic", "12-bit"), name
            continue
        assert_same_planes(got.planes, reading.planes, name)
        for component, table in zip(got.header.components, reading.tables, strict=True):
            np.testing.assert_array_equal(component.quantization, table, name)
        compared += 1
    assert compared >= {"imagenet-sample": 180, "jpeg-corpus": 130, "photos": 5}[folder]


JPEGLIB_WORKER = """
import hashlib, json, sys
import jpeglib, numpy as np
jpeglib.version.set("turbo210")
for path in json.loads(sys.stdin.read()):
    image = jpeglib.read_dct(path)
    found = [image.Y] + [p for p in (image.Cb, image.Cr) if p is not None]
    print(json.dumps([hashlib.sha256(np.ascontiguousarray(p).astype("<i2").tobytes()).hexdigest()[:32] for p in found]))
"""


@needs_real_files
def test_every_imagenet_file_equals_jpeglib() -> None:
    pytest.importorskip("jpeglib", reason="jpeglib is not installed")
    paths = [DATA / n for n in names("imagenet-sample")]
    ran = subprocess.run(
        [sys.executable, "-c", JPEGLIB_WORKER],
        input=json.dumps([str(p) for p in paths]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(paths)
    for path, want in zip(paths, answers, strict=True):
        assert [digest(p) for p in dctload.read_coefficients(path).planes] == want, path.name


@needs_libjpeg
@pytest.mark.parametrize("layout, options", [
    ("4:4:4", {}),
    ("4:2:0", {"restart_interval": 7}),
    ("4:2:2", {"tables": "deep", "process": "extended"}),
    ("gray", {"tables": "standard", "dht": "none"}),
])  # fmt: skip
def test_damage_that_libjpeg_does_not_notice_gives_its_coefficients(layout: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    good = jb.encode(jb.content(160, 120, layout, "natural", seed=8), **options).to_bytes()
    start = good.index(b"\xff\xda") + 14
    silent = 0
    for _ in range(80):
        data = bytearray(good)
        at = int(rng.integers(start, len(data) - 2))
        data[at] ^= 1 << int(rng.integers(8))
        if b"\xff\xff\x00" in data:
            continue  # libjpeg-turbo leaves wrong values there
        reading = libjpeg.read(bytes(data))
        if reading.verdict != "ok":
            continue
        silent += 1
        got = dctload.read_coefficients(bytes(data))
        assert_same_planes(got.planes, reading.planes, f"byte {at}")
    assert silent >= 5
