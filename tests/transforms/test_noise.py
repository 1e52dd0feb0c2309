"""Sharpness, erasing, dropout, noise and requantising against the same on pixels, or on planes by hand."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import dctload
from dctload import transforms as T
from dctload.transforms.noise import _CHROMA, _LUMA, quality_table
from support import jpeg_builder as jb
from support import pixels as px
from support.real_files import DATA, names, needs_real_files

FILE = px.built(56, 40, seed=3)
_SHARPEN = T.RandomAdjustSharpness(2.0, 1.0)


def sharpened(picture: torch.Tensor, factor: float) -> torch.Tensor:
    """torchvision's adjust_sharpness, without rounding and clamping."""
    kernel = torch.ones(3, 3, dtype=torch.float64)
    kernel[1, 1] = 5
    smooth = picture.clone()
    smooth[:, 1:-1, 1:-1] = torch.nn.functional.conv2d(picture[:, None], (kernel / kernel.sum())[None, None])[:, 0]
    return factor * picture + (1 - factor) * smooth


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_sharpness_is_torchvisions_formula(factor: float) -> None:
    want = sharpened(px.planes(FILE), factor)
    step = T.RandomAdjustSharpness(factor, 1.0)
    assert px.difference(T.Compose([step])(px.batch(FILE))[0], px.coefficients(want)) < 2e-3
    pixels = T.Compose([step])(px.batch(FILE), output="rgb")[0]
    assert px.difference(pixels, (px.rgb(want) / 255).clamp(0, 1)) < 2e-5
    odd = T.Compose([T.CenterCrop((39, 53)), step])(px.batch(FILE), output="rgb")[0]
    crop = px.planes(FILE)[:, round(0.5) : round(0.5) + 39, round(1.5) : round(1.5) + 53]
    assert px.difference(odd, (px.rgb(sharpened(crop, factor)) / 255).clamp(0, 1)) < 2e-5


@pytest.mark.parametrize("width,height", [(8, 8), (16, 8), (8, 40), (24, 16)])
def test_sharpness_leaves_the_border_alone_however_few_blocks_there_are(width: int, height: int) -> None:
    file = px.built(width, height, seed=7)
    want, step = sharpened(px.planes(file), 3.0), T.RandomAdjustSharpness(3.0, 1.0)
    assert px.difference(T.Compose([step])(px.batch(file))[0], px.coefficients(want)) < 2e-3
    pixels = T.Compose([step])(px.batch(file), output="rgb")[0]
    assert px.difference(pixels, (px.rgb(want) / 255).clamp(0, 1)) < 2e-5


@needs_real_files
def test_sharpness_of_a_photograph_is_torchvisions_formula() -> None:
    name = next(n for n in names("imagenet-sample", "ok") if dctload.read_header(DATA / n).subsampling == "4:4:4")
    picture = px.resized(px.planes(DATA / name), (144, 208))
    for factor in (0.0, 2.0):
        got = T.Compose([T.Resize((144, 208)), T.RandomAdjustSharpness(factor, 1.0)])(px.batch(DATA / name))[0]
        assert px.difference(got, px.coefficients(sharpened(picture, factor))) < 5e-3


def test_a_picture_without_inner_pixels_is_never_sharpened() -> None:
    for size in ((2, 30), (30, 1)):
        plain, got = (T.Compose([T.CenterCrop(size), *s])(px.batch(FILE), output="rgb") for s in ([], [_SHARPEN]))
        assert torch.equal(plain, got)
    plain, got = (T.Compose([T.CenterCrop(3), *s])(px.batch(FILE), output="rgb") for s in ([], [_SHARPEN]))
    assert (plain != got).any(1).nonzero().tolist() == [[0, 1, 1]], "the one pixel that has eight neighbours"


def test_sharpness_works_on_whole_blocks_and_gives_the_channels_asked_for() -> None:
    s = dctload.ChannelSelection.parse("24s")
    kept = [*s.y, *(64 + f for f in s.cb), *(128 + f for f in s.cr)]
    want = px.coefficients(sharpened(px.planes(FILE), 2.0))[kept]
    numbers = np.arange(24.0), np.arange(1.0, 25.0)
    for steps, expected in (
        ([T.RandomAdjustSharpness(2.0, 1.0)], want),
        (
            [T.RandomAdjustSharpness(2.0, 1.0), T.Normalize(*numbers)],
            (want - torch.from_numpy(numbers[0])[:, None, None]) / torch.from_numpy(numbers[1])[:, None, None],
        ),
    ):
        assert px.difference(T.Compose(steps)(px.batch(FILE), channels="24s")[0], expected) < 2e-3
    with pytest.raises(ValueError, match="before Normalize"):
        T.Compose([T.Normalize("imagenet"), T.RandomAdjustSharpness(2.0, 1.0)])(px.batch(FILE))


def test_sharpness_happens_to_its_share_of_the_samples() -> None:
    d = px.batch(*[px.built(16, 16)] * 400)
    changed = (T.Compose([T.RandomAdjustSharpness(2.0, 0.3)])(d) != T.Compose([])(d)).flatten(1).any(1).double().mean()
    assert abs(float(changed) - 0.3) < 0.09


# -------------------------------------------------------------------------------------------------------------- erasing


@pytest.mark.parametrize("output", ["dct", "rgb"])
def test_erasing_fills_a_rectangle_of_whole_blocks(output: str) -> None:
    d = px.batch(*[px.built(80, 64)] * 64)
    step = T.RandomErasing(0.6, (0.1, 0.4), value=90.0)
    plain, got = (T.Compose(s)(d, output=output) for s in ([], [step]))
    size = 1 if output == "dct" else 8
    areas, rows, cols = [], 64 // 8, 80 // 8
    for before, after in zip(plain, got, strict=True):
        gone = (before != after).any(0)[::size, ::size]
        if not gone.any():
            continue
        y, x = np.nonzero(gone.numpy())
        box = np.s_[:, size * y.min() : size * (y.max() + 1), size * x.min() : size * (x.max() + 1)]
        areas.append((np.ptp(y) + 1) * (np.ptp(x) + 1) / (rows * cols))
        inside = after[box]
        if output == "rgb":
            assert (inside - 90 / 255).abs().max() < 1e-5
        else:
            assert (inside[0] - 8 * (90 - 128)).abs().max() < 1e-3 and inside[1:].abs().max() < 1e-3
        outside = torch.ones(before.shape[1:], dtype=torch.bool)
        outside[box[1:]] = False
        assert torch.equal(before[:, outside], after[:, outside])
    assert abs(len(areas) / 64 - 0.6) < 0.2
    assert min(areas) > 0.05 and max(areas) < 0.5 and abs(np.mean(areas) - 0.25) < 0.06


def test_erasing_behind_normalize_holds_the_mean() -> None:
    steps = [T.Resize((64, 64)), T.Normalize("imagenet"), T.RandomErasing(1.0, (0.2, 0.3))]
    for output in ("dct", "rgb"):
        got = T.Compose(steps)(px.batch(FILE), output=output)[0]
        assert (got == 0).all(0).double().mean() > 0.15


# --------------------------------------------------------------------------------------------------- dropout and noise


def test_dropout_takes_whole_frequencies_and_leaves_dc() -> None:
    d = px.batch(*[FILE] * 100)
    plain = T.Compose([])(d)
    got = T.Compose([T.FrequencyDropout(0.25)])(d)
    gone = (got == 0).all(dim=(2, 3)) & (plain != 0).any(dim=(2, 3))
    assert torch.equal(torch.where(gone[:, :, None, None], 0, plain), got)
    assert not gone[:, ::64].any() and abs(float(gone.double().mean()) - 0.25 * 63 / 64) < 0.02
    scaled = T.Compose([T.FrequencyDropout(0.25, keep_dc=False, rescale=True)])(d)
    kept = (scaled != 0).any(dim=(2, 3))
    torch.testing.assert_close(scaled, torch.where(kept[:, :, None, None], plain / 0.75, 0), rtol=1e-5, atol=1e-4)
    assert (~kept[:, 0]).any()


def test_dropout_of_pixels_is_that_of_their_blocks() -> None:
    step = T.FrequencyDropout(0.5)
    want = px.rgb(px.pixels(T.Compose([step])(px.batch(FILE), 4)[0]))
    assert px.difference(T.Compose([step])(px.batch(FILE), 4, output="rgb")[0], (want / 255).clamp(0, 1)) < 2e-5
    with pytest.raises(ValueError, match="multiple of 8"):
        T.Compose([T.CenterCrop(36), step])(px.batch(FILE), output="rgb")
    with pytest.raises(ValueError, match="before Normalize"):
        T.Compose([T.Normalize("imagenet"), step])(px.batch(FILE), output="rgb")


def test_noise_is_white_and_of_the_strength_asked_for() -> None:
    d = px.batch(px.built(256, 256, "gray"), px.built(256, 256, "gray", seed=1))
    noise = (T.Compose([T.GaussianNoise(6.0)])(d) - T.Compose([])(d)).double()
    n = noise[0, 0].numel()
    assert (noise.mean(dim=(2, 3)) / 6).abs().max() < 5 / n**0.5
    assert ((noise.var(dim=(2, 3)) / 36) - 1).abs().max() < 5 * (2 / n) ** 0.5
    for shift in ((0, 1), (1, 0), (1, 1)):
        assert float((noise * noise.roll(shift, (2, 3))).mean() / 36) < 5 / noise.numel() ** 0.5
    assert abs(float((noise[0] * noise[1]).mean()) / 36) < 5 / noise[0].numel() ** 0.5
    assert abs(float((noise[:, :64] * noise[:, 64:128]).mean()) / 36) < 5 / noise[:, :64].numel() ** 0.5
    assert abs(float((noise / 6).pow(4).mean()) - 3) < 0.05, "normal tails"


def test_noise_of_pixels_has_the_same_strength() -> None:
    d, flat = px.batch(px.built(64, 64)), T.ColorJitter(contrast=(0.0, 0.0), saturation=(0.0, 0.0))  # one gray level
    got, clean = (T.Compose(steps)(d, output="rgb")[0].double() * 255 for steps in ([flat, T.GaussianNoise(3.0)], [flat]))
    assert clean.std() < 1e-3 and 30 < clean.mean() < 225
    y = torch.einsum("c,chw->hw", torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64), got - clean)
    assert abs(float(y.std()) / 3 - 1) < 0.1


def test_noise_draws_its_strength_and_stands_before_normalize() -> None:
    d = px.batch(*[px.built(32, 32)] * 200)
    strength = (T.Compose([T.GaussianNoise((2.0, 8.0))])(d) - T.Compose([])(d)).std(dim=(1, 2, 3))
    assert 1.9 < strength.min() < 2.5 and 7.5 < strength.max() < 8.1
    with pytest.raises(ValueError, match="before Normalize"):
        T.Compose([T.Normalize("imagenet"), T.GaussianNoise()])(d)


# ---------------------------------------------------------------------------------------------------------- requantise


def test_quality_tables_are_libjpegs() -> None:
    pil = pytest.importorskip("PIL.Image")
    for quality in (1, 10, 49, 50, 75, 90, 100):
        stream = io.BytesIO()
        pil.new("RGB", (16, 16)).save(stream, "JPEG", quality=quality)
        want = dctload.read_coefficients(stream.getvalue()).header.components
        for base, part in ((_LUMA, want[0]), (_CHROMA, want[1])):
            assert np.array_equal(quality_table(base, np.array([quality]))[0], part.quantization), quality


@pytest.mark.parametrize("layout", ["4:4:4", "4:2:0", "gray"])
def test_requantising_rounds_the_stored_coefficients(layout: str) -> None:
    content = jb.content(50, 42, layout, seed=5)
    content = replace(content, quantization={t: tuple(range(1, 65)) for t in content.quantization})
    file = jb.encode(content).to_bytes()
    planes = []
    for k, plane in enumerate(content.planes):
        coarse = quality_table(_LUMA if k == 0 else _CHROMA, np.array([20]))[0].astype(np.float64).reshape(64, 1, 1)
        values = plane.astype(np.float64) * np.arange(1.0, 65.0).reshape(64, 1, 1)
        planes.append((np.rint(values / coarse) * coarse).astype(np.int16))
    by_hand = replace(content, planes=tuple(planes), quantization=dict.fromkeys(content.quantization, (1,) * 64))
    steps = [T.Resize((32, 40))]
    got = T.Compose([T.Requantize(20), *steps])(px.batch(file))
    want = T.Compose(steps)(px.batch(jb.encode(by_hand).to_bytes()))
    assert px.difference(got, want.double()) < 2e-2
    assert px.difference(got, T.Compose(steps)(px.batch(file)).double()) > 1
    fine = T.Compose([T.Requantize(20, p=0.0), *steps])(px.batch(file))
    assert torch.equal(fine, T.Compose(steps)(px.batch(file)))


@needs_real_files
def test_requantising_is_nearly_what_pillow_writes() -> None:
    pil = pytest.importorskip("PIL.Image")
    equal = total = 0
    for name in [n for n in names("imagenet-sample", "ok") if dctload.read_header(DATA / n).color_space == "gray"][:4]:
        stream = io.BytesIO()
        pil.open(DATA / name).save(stream, "JPEG", quality=30)
        want = dctload.read_coefficients(stream.getvalue()).dequantized(0)
        c = dctload.read_coefficients(DATA / name)
        steps = quality_table(_LUMA, np.array([30]))[0].reshape(64, 1, 1)
        mine = np.rint(c.dequantized(0) / steps) * steps
        inner = np.s_[:, : c.header.height // 8, : c.header.width // 8]  # libjpeg pads the last blocks in its own way
        kept = want[inner] != 0
        equal, total = equal + int((mine[inner] == want[inner])[kept].sum()), total + int(kept.sum())
    assert total > 1000 and equal / total > 0.95


def test_wrong_arguments_are_refused_in_words() -> None:
    for make, words in (
        (lambda: T.Requantize(0), "quality is 1..100"),
        (lambda: T.Requantize((50, 20)), "quality is 1..100"),
        (lambda: T.RandomErasing(scale=(0.5, 0.2)), "scale is"),
        (lambda: T.FrequencyDropout(1.0, rescale=True), "less than 1"),
        (lambda: T.GaussianNoise(-1.0), "sigma"),
        (lambda: T.RandomAdjustSharpness(-1.0), "sharpness_factor"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(ValueError, match="requantised twice"):
        T.Compose([T.Requantize(50), T.Requantize(20)])(px.batch(FILE))
