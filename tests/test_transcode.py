"""Transcoding by pixels: the record's inverse DCT gives Pillow's pixels, for every kind of file that Pillow reads."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dctload
from dctload import Limits, PackedBatch
from dctload.transcode import transcode
from support.real_files import DATA, needs_real_files

CORPUS = DATA / "jpeg-corpus"
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def picture(width: int = 61, height: int = 43, channels: int = 3) -> np.ndarray:
    """A smooth picture with an edge and some noise, uint8."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + 3 * c)) * np.cos(y / (9 - 2 * c)) for c in range(channels)]
    values = 128 + 90 * np.stack(waves, axis=-1) + rng.normal(0, 6, (height, width, channels))
    values[height // 3 :, width // 2 :] -= 60
    return np.clip(values, 0, 255).astype(np.uint8)


def saved(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def coefficients(record: bytes) -> dctload.JPEGCoefficients:
    unpacked = dctload.unpack_reference(PackedBatch.join([record]))[0]
    assert unpacked is not None
    assert unpacked.status == "ok"
    return unpacked


def decoded(record: bytes) -> np.ndarray:
    """float `[height, width]` or `[height, width, 3]`: a plain inverse DCT (T.81, A.3.3) and JFIF's colours."""
    image = coefficients(record)
    header = image.header
    k, n = np.mgrid[:8, :8]
    basis = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    planes = []
    for number in range(len(image.planes)):
        blocks = image.dequantized(number).reshape(8, 8, *image.planes[number].shape[1:])
        pixels = np.einsum("vurc,vy,ux->rycx", blocks, basis, basis)
        rows, _, cols, _ = pixels.shape
        planes.append(pixels.reshape(8 * rows, 8 * cols)[: header.height, : header.width])
    if len(planes) == 1:
        return planes[0] + 128
    y, cb, cr = planes[0] + 128, planes[1], planes[2]
    green = y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587
    return np.stack([y + 1.402 * cr, green, y + 1.772 * cb], axis=-1)


def assert_pixels(record: bytes, want: np.ndarray, *, mean: float = 0.5, most: float = 4) -> None:
    got = decoded(record)
    assert got.shape == want.shape
    error = np.abs(got - want.astype(float))
    assert error.mean() < mean
    assert error.max() < most


FILES = {
    "PNG": saved(Image.fromarray(picture()), "PNG"),
    "WebP": saved(Image.fromarray(picture()), "WEBP", quality=80),
    "lossless WebP with alpha": saved(Image.fromarray(picture(channels=4)), "WEBP", lossless=True),
    "PNG with alpha": saved(Image.fromarray(picture(channels=4)), "PNG"),
    "palette": saved(Image.fromarray(picture()).quantize(32), "PNG"),
    "palette with transparency": saved(Image.fromarray(picture()).quantize(32), "PNG", transparency=3),
    "GIF": saved(Image.fromarray(picture()).quantize(64), "GIF"),
    "BMP": saved(Image.fromarray(picture()), "BMP"),
    "TIFF": saved(Image.fromarray(picture()), "TIFF"),
    "CMYK": saved(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95),
    "RGB JPEG": saved(Image.fromarray(picture()), "JPEG", keep_rgb=True),
    "one pixel": saved(Image.fromarray(picture(1, 1)), "PNG"),
    "one row": saved(Image.fromarray(picture(300, 1)), "PNG"),
    "several strips": saved(Image.fromarray(picture(1400, 1200)), "PNG"),
}


@pytest.mark.parametrize("kind", FILES)
def test_pixels_come_back(kind: str) -> None:
    record = transcode(FILES[kind])
    assert_pixels(record, np.asarray(Image.open(io.BytesIO(FILES[kind])).convert("RGB")))
    image = coefficients(record)
    assert (image.header.color_space, image.header.subsampling, image.header.process) == ("ycbcr", "4:4:4", "baseline")
    assert all((c.quantization == 1).all() for c in image.header.components)


GRAY_FILES = {
    "gray PNG": saved(Image.fromarray(picture(channels=1)[..., 0]), "PNG"),
    "gray with alpha": saved(Image.fromarray(picture(channels=2)), "PNG"),
    "black and white": saved(Image.fromarray(picture(channels=1)[..., 0]).convert("1"), "PNG"),
}


@pytest.mark.parametrize("kind", GRAY_FILES)
def test_gray_images_have_one_component(kind: str) -> None:
    record = transcode(GRAY_FILES[kind])
    assert coefficients(record).header.color_space == "gray"
    assert_pixels(record, np.asarray(Image.open(io.BytesIO(GRAY_FILES[kind])).convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    wide = picture(channels=1)[..., 0].astype(np.uint16) * 257
    wide[:8] += 100
    assert_pixels(transcode(saved(Image.fromarray(wide), kind)), wide / 257)


@needs_real_files
@pytest.mark.parametrize(
    "name",
    [
        "arithmetic__libjpeg-turbo__testimgari.jpg",
        "arithmetic__jpegsuite__32x32x8_rgb_interleaved.jpg",
        "cmyk-ycck__jpeg-js__cmyktest.jpg",
        "cmyk-ycck__jpeg-decoder__jpg-cmyk-2.jpg",
        "cmyk-ycck__serenity__ycck-2111.jpg",
        "cmyk-ycck__jpegsuite__32x32x8_cmyk_interleaved.jpg",
        "arithmetic__jpegsuite__32x32x8_grayscale_spectral_all_reverse.jpg",
    ],
)
def test_odd_jpegs_of_the_corpus_give_pillows_pixels(name: str) -> None:
    try:
        image = Image.open(CORPUS / name)
        image.load()
    except OSError as error:
        pytest.skip(f"this Pillow does not read {name}: {error}")
    assert_pixels(transcode(CORPUS / name), np.asarray(image if image.mode == "L" else image.convert("RGB")))


def test_a_record_is_one_like_any_other() -> None:
    batch = PackedBatch.join([transcode(FILES["PNG"]), dctload.extract([FILES["RGB JPEG"]], "all").image_bytes(0)])
    assert PackedBatch.from_buffer(batch.buffer, deep=True).status == ("ok", "ok")
    fewer = dctload.unpack_reference(batch.select("24s"))[0]
    assert fewer is not None
    assert fewer.planes[0].shape == (16, 6, 8)


def test_padding_repeats_the_edge() -> None:
    flat = np.full((9, 9, 3), (200, 30, 90), np.uint8)
    for plane in coefficients(transcode(saved(Image.fromarray(flat), "PNG"))).planes:
        assert not plane[1:].any()
        assert (plane[0] == plane[0, 0, 0]).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_orientation_is_noted_and_not_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    record = transcode(saved(Image.fromarray(picture()), kind, exif=exif))
    header = coefficients(record).header
    assert (header.orientation, header.width, header.height) == (6, 61, 43)


def test_a_wrong_orientation_is_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert coefficients(transcode(saved(Image.fromarray(picture()), "PNG", exif=exif))).header.orientation == 1


def test_a_path_and_any_buffer_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(FILES["PNG"])
    want = transcode(FILES["PNG"])
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), bytearray(FILES["PNG"]), np.frombuffer(FILES["PNG"], np.uint8)):
        assert transcode(source) == want


def test_what_pillow_cannot_read_either_says_why_and_where(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(b"no picture at all" * 9)
    with pytest.raises(
        dctload.UnsupportedJPEG, match=r"notes.jpg: this is not a JPEG file.*Pillow does not know it either"
    ) as info:
        transcode(path)
    assert (info.value.code, info.value.source) == ("not_jpeg", str(path))
    with pytest.raises(dctload.JPEGError, match=r"b.png: .*Pillow cannot read it either") as cut:
        transcode(FILES["PNG"][:900], name="b.png", index=4)
    assert (cut.value.source, cut.value.index, cut.value.code) == ("b.png", 4, "not_jpeg")


def test_a_damaged_jpeg_keeps_its_own_code() -> None:
    whole = saved(Image.fromarray(picture()), "JPEG")
    with pytest.raises(dctload.JPEGError, match="ends before the image is complete, and Pillow cannot") as info:
        transcode(whole[:-60])
    assert info.value.code == "data_truncated"


def test_an_absent_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent.png"):
        transcode(tmp_path / "absent.png")


def test_limits_hold_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    path = tmp_path / "a.png"
    path.write_bytes(FILES["PNG"])
    for source in (path, FILES["PNG"]):
        with pytest.raises(dctload.LimitExceeded) as info:
            transcode(source, limits=Limits(pixels=61 * 43 - 1))
        assert info.value.code == "limit_pixels"
        with pytest.raises(dctload.LimitExceeded) as info:
            transcode(source, limits=Limits(bytes=len(FILES["PNG"]) - 1))
        assert info.value.code == "limit_bytes"


def test_pillows_own_bound_is_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 500)
    with pytest.raises(dctload.LimitExceeded, match="MAX_IMAGE_PIXELS"):
        transcode(FILES["PNG"])


def test_a_side_beyond_the_format_is_refused() -> None:
    wide = saved(Image.new("L", (65536, 1)), "PNG")
    with pytest.raises(dctload.JPEGError, match=r"65536 x 1 pixels passes the 65535"):
        transcode(wide)


def test_without_pillow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'dctload\[loader\]', or leave fallback off"):
        transcode(FILES["PNG"])
