"""Colour: the linear map there and back, and whole pictures against a decoder's."""

from __future__ import annotations

import io

import numpy as np
import pytest

import dctload
from support.real_files import DATA, names, needs_real_files

torch = pytest.importorskip("torch")
image = pytest.importorskip("PIL.Image")
from dctload import ops

BACKENDS = ("torch", "native")


def test_rgb_survives_the_way_there_and_back() -> None:
    rgb = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(ops.ycbcr_to_rgb(ops.rgb_to_ycbcr(rgb)), rgb, rtol=0, atol=2e-6)


def test_colours_are_jfifs() -> None:
    def one(*values: float) -> torch.Tensor:
        return torch.tensor(values)[:, None, None]

    for rgb in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.2, 0.5, 0.9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)):
        pixel = image.new("RGB", (1, 1), tuple(round(255 * x) for x in rgb)).convert("YCbCr").getpixel((0, 0))
        got = ops.rgb_to_ycbcr(one(*rgb)).flatten() + 128
        np.testing.assert_allclose(got.numpy(), pixel, atol=1.0)


def test_only_the_end_is_cut_off() -> None:
    planes = torch.tensor([200.0, 0.0, 0.0])[:, None, None]
    assert ops.ycbcr_to_rgb(planes).max() == 1.0 and ops.ycbcr_to_rgb(-planes).min() == 0.0


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (torch.zeros(2, 4, 4), torch.zeros(3, 4), torch.zeros(3, 4, 4, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="planes are floating point"):
            ops.ycbcr_to_rgb(wrong)


def encoded(width: int, height: int, mode: str, subsampling: int = 0) -> bytes:
    y, x = np.mgrid[:height, :width]
    smooth = [127 + 100 * np.sin(x / 9 + k) * np.cos(y / 11 - k) for k in range(3)]
    picture = image.fromarray(np.stack(smooth, axis=2).astype(np.uint8)).convert(mode)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, subsampling=subsampling)
    return out.getvalue()


def decoded(data: bytes) -> np.ndarray:
    with image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"), np.float32).transpose(2, 0, 1) / 255


@pytest.mark.parametrize("backend", BACKENDS)
def test_pictures_of_odd_sizes_equal_a_decoders(backend: str) -> None:
    sizes = ((1, 1), (7, 3), (8, 8), (17, 33), (64, 40), (101, 75), (101, 75))
    for subsampling, mode in ((0, "RGB"), (1, "RGB"), (2, "RGB"), (0, "L")):
        files = [encoded(w, h, mode, subsampling) for w, h in sizes]
        pictures = ops.to_rgb(ops.unpack(dctload.extract(files, "all", num_threads=1)), backend=backend)
        for data, picture in zip(files, pictures, strict=True):
            want = decoded(data)
            assert picture.shape == want.shape
            assert np.abs(picture.numpy() - want).mean() < 0.9 / 255


def test_a_region_is_that_part_of_the_picture() -> None:
    data = encoded(200, 160, "RGB")
    d = ops.unpack(dctload.extract([data], "all", regions=[(40, 64, 60, 100)], num_threads=1))
    top, left, height, width = d.images.region[0].tolist()
    assert (top, left) == (40, 64) and height < 160
    whole = ops.to_rgb(ops.unpack(dctload.extract([data], "all", num_threads=1)))[0]
    torch.testing.assert_close(ops.to_rgb(d)[0], whole[:, top : top + height, left : left + width], rtol=0, atol=1e-4)


def test_a_failed_image_is_an_empty_picture() -> None:
    d = ops.unpack(dctload.extract([b"GIF89a", encoded(9, 9, "RGB")], "all", on_error="mark", num_threads=1))
    assert [tuple(picture.shape) for picture in ops.to_rgb(d)] == [(3, 0, 0), (3, 9, 9)]


@needs_real_files
@pytest.mark.parametrize("backend", BACKENDS)
def test_real_pictures_equal_a_decoders_in_the_mean(backend: str) -> None:
    chosen = [*names("imagenet-sample", "ok")[:20], *(n for n in names("jpeg-corpus", "ok") if "/rgb__" in n)]
    packed = dctload.extract([DATA / name for name in chosen], "all", on_error="mark", num_threads=1)
    sound = [i for i in range(len(packed)) if packed.status[i] == "ok"]  # libjpeg-turbo also reads arithmetic coding
    d, chosen = ops.unpack(dctload.PackedBatch.join(map(packed.image_bytes, sound))), [chosen[i] for i in sound]
    assert {"ycbcr", "gray", "rgb"} >= {dctload.jpeg.COLOR_SPACES[c] for c in d.images.color} >= {"ycbcr", "rgb"}
    for name, picture in zip(chosen, ops.to_rgb(d, backend=backend), strict=True):
        want = decoded((DATA / name).read_bytes())
        assert picture.shape == want.shape
        assert np.abs(picture.numpy() - want).mean() < 0.9 / 255, name
