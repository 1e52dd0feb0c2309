"""The functional forms against the same on pixels."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.transforms import functional as F
from support import pixels as px

FILES = [px.built(56, 40, seed=3), px.built(56, 40, seed=4)]
PLANES = torch.stack([px.planes(f) for f in FILES])
X = px.coefficients(PLANES).float()
GRAY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def test_spatial_functions_resample_once() -> None:
    d = px.batch(*FILES)
    assert px.difference(F.resize(d, (24, 48)), px.coefficients(px.resized(PLANES, (24, 48)))) < 2e-3
    assert F.resize(d, 20, output="rgb").shape == (2, 3, 20, 28)
    assert px.difference(F.center_crop(d, (24, 32)), px.coefficients(PLANES[:, :, 8:32, 12:44])) < 1e-3
    assert px.difference(F.crop(d, 3, 5, 16, 24), px.coefficients(PLANES[:, :, 3:19, 5:29])) < 1e-3
    want = torch.stack([px.resized(p[:, y : y + 20, 2:34], (16, 16)) for p, y in zip(PLANES, (0, 7), strict=True)])
    assert px.difference(F.resized_crop(d, [0, 7], 2, 20, 32, 16), px.coefficients(want)) < 2e-3
    got = F.pad(d, 4, padding_mode="reflect")
    assert px.difference(px.pixels(got)[:, :, 4:-4, 4:-4], PLANES) < 1e-3 and got.shape[2:] == (6, 8)
    torch.testing.assert_close(F.gaussian_blur(d, 5, 1.0), T.Compose([T.GaussianBlur(5, 1.0)])(d))
    torch.testing.assert_close(F.requantize(d, 20), T.Compose([T.Requantize(20)])(d))
    left, right = (px.pixels(F.crop(d, 0, start, 8, 8, channels="all")) for start in (-8, 56))
    assert (left[:, 0] + 128).abs().max() < 1e-3 and (right[:, 0] + 128).abs().max() < 1e-3, "black beyond the image"
    with pytest.raises(ValueError, match="multiples of 8"):
        F.resize(d, 20)


def test_spatial_functions_warn_where_frequencies_are_missing() -> None:
    few = px.batch(*FILES, channels="24s")
    for call in (lambda: F.resize(few, (24, 48)), lambda: F.resized_crop(few, 0, 0, 20, 32, 16)):
        with pytest.warns(UserWarning, match="native frequencies"):
            call()


def test_exif_transpose_shows_the_picture_as_it_is_to_be_seen() -> None:
    turned = px.built(56, 40, seed=3, orientation=6)  # to be turned clockwise
    want = torch.rot90(PLANES[0], -1, (1, 2))
    assert px.difference(F.exif_transpose(px.batch(turned))[0], px.coefficients(want)) < 1e-3
    assert F.exif_transpose(px.batch(turned), output="rgb").shape == (1, 3, 56, 40)


@pytest.mark.parametrize("pixels", [False, True])
def test_flips_and_turns_are_exact(pixels: bool) -> None:
    x, channels = (PLANES.float(), None) if pixels else (X, "all")

    def same(got: torch.Tensor, want: torch.Tensor) -> None:
        assert px.difference(got, want if pixels else px.coefficients(want)) < 1e-3

    before = x.clone()
    same(F.horizontal_flip(x, channels), PLANES.flip(3))
    same(F.vertical_flip(x, channels), PLANES.flip(2))
    same(F.transpose(x, channels), PLANES.transpose(2, 3))
    for k in range(-1, 5):
        same(F.rotate90(x, channels, k), torch.rot90(PLANES, k, (2, 3)))
    assert torch.equal(F.horizontal_flip(F.horizontal_flip(x, channels), channels), x)
    assert torch.equal(x, before)


def test_a_selection_turns_where_it_is_symmetric() -> None:
    d = px.batch(*FILES)
    x = T.Compose([])(d, channels="24s")
    torch.testing.assert_close(
        F.transpose(x, "24s"), T.Compose([T.RandomTranspose(1.0)])(d, channels="24s"), rtol=1e-4, atol=1e-3
    )
    with pytest.raises(ValueError, match="not symmetric"):
        F.transpose(x[:, :4], "y:0,1,2;cb:;cr:0")


@pytest.mark.parametrize("pixels", [False, True])
def test_colour_functions_are_their_rgb_formulas(pixels: bool) -> None:
    x, channels = (PLANES.float(), None) if pixels else (X, "all")
    before, level = x.clone(), px.rgb(PLANES)
    gray = torch.einsum("c,bchw->bhw", GRAY, level)[:, None].expand_as(level)
    mean = gray.mean(dim=(1, 2, 3), keepdim=True)
    each = torch.tensor([0.5, 1.5], dtype=torch.float64)[:, None, None, None]
    for got, want in (
        (F.adjust_brightness(x, [0.5, 1.5], channels), each * level),
        (F.adjust_contrast(x, [0.5, 1.5], channels), each * level + (1 - each) * mean),
        (F.adjust_saturation(x, 1.5, channels), 1.5 * level - 0.5 * gray),
        (F.rgb_to_grayscale(x, channels), gray),
        (F.invert(x, channels), 255 - level),
        (F.permute_channels(x, (2, 0, 1), channels), level[:, [2, 0, 1]]),
        (F.lighting(x, [10.0, -4.0, 3.0], channels), level + torch.tensor([10.0, -4.0, 3.0])[:, None, None]),
    ):
        assert px.difference(got, px.ycbcr(want) if pixels else px.coefficients(px.ycbcr(want))) < 5e-3
    torch.testing.assert_close(F.adjust_hue(F.adjust_hue(x, 0.2, channels), -0.2, channels), x, rtol=1e-4, atol=1e-3)
    assert torch.equal(x, before), "the argument is left alone"
    with pytest.raises(ValueError, match="order of 0, 1, 2"):
        F.permute_channels(x, (0, 0, 1), channels)


def test_sharpness_erasing_mixing_dropping_and_noise() -> None:
    d = px.batch(*FILES)
    torch.testing.assert_close(
        F.adjust_sharpness(X, 2.0, "all"), T.Compose([T.RandomAdjustSharpness(2.0, 1.0)])(d), rtol=1e-4, atol=1e-3
    )
    with pytest.raises(ValueError, match="all 64 frequencies"):
        F.adjust_sharpness(X[:, :24], 2.0, "24s")
    gone = px.pixels(F.erase(X, 1, 2, 3, 2, 200.0, "all"))
    assert (gone[:, 0, 8:32, 16:32] - 72).abs().max() < 1e-3 and gone[:, 1:, 8:32, 16:32].abs().max() < 1e-3
    assert px.difference(gone[:, :, 32:], PLANES[:, :, 32:]) < 1e-3
    assert (F.erase(PLANES.float(), 3, 5, 4, 6, 200.0, None)[:, 0, 3:7, 5:11] == 72).all()
    share = torch.tensor([0.25, 1.0])[:, None, None, None]
    torch.testing.assert_close(F.mixup(X, [0.25, 1.0]), share * X + (1 - share) * X.roll(1, 0))
    cut = F.cutmix(X, 1, 1, 2, 3)
    assert torch.equal(cut[:, :, 1:3, 1:4], X.roll(1, 0)[:, :, 1:3, 1:4]) and torch.equal(cut[:, :, 3:], X[:, :, 3:])
    dropped = F.drop_frequencies(X, (5, 64 + 9), "all")
    assert (dropped[:, [5, 73]] == 0).all() and torch.equal(dropped[:, 74:], X[:, 74:])
    assert px.difference(F.drop_frequencies(PLANES.float(), (5, 64 + 9), None), px.pixels(dropped)) < 1e-3
    noise = F.gaussian_noise(X, [2.0, 5.0], "all", seed=4) - X
    assert abs(float(noise[0].std()) / 2 - 1) < 0.1 and abs(float(noise[1].std()) / 5 - 1) < 0.1
    torch.testing.assert_close(F.gaussian_noise(X[1:], 5.0, "all", seed=4, index=[1]) - X[1:], noise[1:], rtol=0, atol=1e-3)


def test_normalize_takes_numbers_by_frequency_or_by_channel() -> None:
    mean, std = np.arange(192.0), np.arange(1.0, 193.0)
    want = (X - torch.from_numpy(mean).float()[:, None, None]) / torch.from_numpy(std).float()[:, None, None]
    torch.testing.assert_close(F.normalize(X, mean.tolist(), std.tolist(), "all"), want)
    some = "y:0,3;cb:1;cr:2"
    kept = [0, 3, 65, 130]
    torch.testing.assert_close(F.normalize(X[:, kept], mean.tolist(), std.tolist(), some), want[:, kept])
    torch.testing.assert_close(F.normalize(X[:, kept], mean[kept].tolist(), std[kept].tolist()), want[:, kept])
    with pytest.raises(ValueError, match="means for"):
        F.normalize(X, [0.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="1 standard deviations"):
        F.normalize(PLANES, [0.0] * 3, [1.0])


def test_shapes_and_channels_must_agree() -> None:
    with pytest.raises(ValueError, match="is expected"):
        F.adjust_brightness(X, 1.1, "24s")
    with pytest.raises(ValueError, match="is expected"):
        F.invert(X, None)
