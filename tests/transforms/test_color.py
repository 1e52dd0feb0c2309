"""Colour operations against the formulas of RGB pixels without clamping; with pixels out, clamped once at the end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.channels import ChannelSelection
from support import pixels as px
from support.real_files import DATA, names, needs_real_files

GRAY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)  # JFIF's; torchvision's .2989 differs by 0.03 levels
FILE = px.built(56, 40, seed=3)
Formula = Callable[[torch.Tensor], torch.Tensor]


def gray(x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("c,chw->hw", GRAY, x).expand_as(x)


def brightness(f: float) -> Formula:
    return lambda x: f * x


def contrast(f: float) -> Formula:
    return lambda x: f * x + (1 - f) * gray(x).mean()


def saturation(f: float) -> Formula:
    return lambda x: f * x + (1 - f) * gray(x)


def hue(turn: float) -> Formula:
    """The chroma plane rotated."""
    angle = torch.tensor(2 * np.pi * turn)
    c, s = torch.cos(angle), torch.sin(angle)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        y, cb, cr = px.ycbcr(x)
        return px.rgb(torch.stack([y, c * cb - s * cr, s * cb + c * cr]))

    return rotated


FIXED = [
    (T.ColorJitter(brightness=(1.3, 1.3)), brightness(1.3)),
    (T.ColorJitter(brightness=(0.0, 0.0)), brightness(0.0)),
    (T.ColorJitter(contrast=(1.4, 1.4)), contrast(1.4)),
    (T.ColorJitter(contrast=(0.2, 0.2)), contrast(0.2)),
    (T.ColorJitter(saturation=(1.7, 1.7)), saturation(1.7)),
    (T.ColorJitter(hue=(0.1, 0.1)), hue(0.1)),
    (T.ColorJitter(hue=(-0.5, -0.5)), hue(-0.5)),
    (T.Grayscale(), gray),
    (T.RandomGrayscale(1.0), gray),
    (T.RandomInvert(1.0), lambda x: 255 - x),
]


@pytest.mark.parametrize("step,formula", FIXED, ids=lambda x: "" if callable(x) and not isinstance(x, T.Transform) else repr(x))
def test_a_colour_step_is_its_rgb_formula(step: T.Transform, formula: Formula) -> None:
    want = formula(px.rgb(px.planes(FILE)))
    assert px.difference(T.Compose([step])(px.batch(FILE))[0], px.coefficients(px.ycbcr(want))) < 5e-3
    pixels = T.Compose([step])(px.batch(FILE), output="rgb")[0]
    assert px.difference(pixels, (want / 255).clamp(0, 1)) < 2e-5


@needs_real_files
def test_colour_of_a_photograph_is_the_rgb_formula() -> None:
    name = next(n for n in names("imagenet-sample", "ok") if px.dctload.read_header(DATA / n).subsampling == "4:4:4")
    picture = px.resized(px.planes(DATA / name), (64, 64))
    for step, formula in FIXED:
        want = px.coefficients(px.ycbcr(formula(px.rgb(picture))))
        assert px.difference(T.Compose([T.Resize((64, 64)), step])(px.batch(DATA / name))[0], want) < 5e-3, step


@pytest.mark.parametrize("seed", range(8))
def test_a_jitter_is_its_four_formulas_in_the_order_drawn(seed: int) -> None:
    step = T.ColorJitter(0.4, (0.5, 1.5), 0.4, 0.2)
    draws = T.Draws.of(seed, 0, [0]).child(0)
    ranges = ((0.6, 1.4), (0.5, 1.5), (0.6, 1.4), (-0.2, 0.2))
    amounts = [draws.child(i).between(*r)[0] for i, r in enumerate(ranges)]
    x = px.rgb(px.planes(FILE))
    for number in draws.child(4).orders(4)[0]:
        x = (brightness, contrast, saturation, hue)[number](amounts[number])(x)
    got = T.Compose([step])(px.batch(FILE), seed)[0]
    assert px.difference(got, px.coefficients(px.ycbcr(x))) < 1e-2
    normal = T.Compose([step, T.Normalize("imagenet")])(px.batch(FILE), seed, output="rgb")[0]
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert px.difference(normal, ((x / 255).clamp(0, 1) - mean) / std) < 1e-4


def test_a_jitter_draws_evenly_from_its_ranges_and_in_every_order() -> None:
    orders = T.Draws.of(0, 0, np.arange(4800)).child(0).child(4).orders(4)
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24 and ((counts - 200) ** 2 / 200).sum() < 49.7
    step = T.ColorJitter(brightness=0.4)
    d = px.batch(*[FILE] * 200)
    plain = T.Compose([])(d)[0, 0] + 1024
    factors = ((T.Compose([step])(d)[:, 0] + 1024) / plain).mean(dim=(1, 2))
    assert 0.6 <= factors.min() < 0.63 and 1.37 < factors.max() <= 1.4 and abs(float(factors.mean()) - 1) < 0.05


@pytest.mark.parametrize("channels", ["24s", "24t", "y:0,1,8;cb:0,9;cr:0,1", "y:0-5;cb:;cr:"])
def test_fewer_channels_are_a_slice_where_the_components_keep_the_same(channels: str) -> None:
    s = ChannelSelection.parse(channels)
    kept = [*s.y, *(64 + f for f in s.cb), *(128 + f for f in s.cr)]
    steps = [T.ColorJitter(0.4, 0.4, 0.4)]  # no step of these mixes Cb and Cr
    d = px.batch(FILE)
    torch.testing.assert_close(T.Compose(steps)(d, 2, channels=s), T.Compose(steps)(d, 2)[:, kept], rtol=1e-5, atol=1e-3)


def test_hue_mixes_what_both_chroma_components_keep() -> None:
    d = px.batch(FILE)
    whole = T.Compose([T.ColorJitter(hue=(0.1, 0.1))])(d)
    got = T.Compose([T.ColorJitter(hue=(0.1, 0.1))])(d, channels="y:0,1;cb:0,9;cr:0,1")
    torch.testing.assert_close(got[:, [2, 4]], whole[:, [64, 128]], rtol=1e-5, atol=1e-3)
    plain = T.Compose([])(d)
    c = float(np.cos(0.2 * np.pi))
    torch.testing.assert_close(got[:, [3, 5]], c * plain[:, [64 + 9, 128 + 1]], rtol=1e-5, atol=1e-3)


def test_channel_permutation_is_one_of_six_orders_of_rgb() -> None:
    d = px.batch(*[FILE] * 60)
    got = T.Compose([T.RandomChannelPermutation()])(d)
    x, orders = px.rgb(px.planes(FILE)), T.Draws.of(0, 0, np.arange(60)).child(0).orders(3)
    assert len(np.unique(orders, axis=0)) == 6
    for i in range(12):
        assert px.difference(got[i], px.coefficients(px.ycbcr(x[orders[i].tolist()]))) < 5e-3


def test_pca_lighting_adds_alexnets_colours() -> None:
    got = T.Compose([T.PCALighting(0.1)])(px.batch(*[FILE] * 400)) - T.Compose([])(px.batch(FILE))
    assert got[:, [1, 63, 65, 190]].abs().max() < 1e-3
    shift = torch.einsum("dc,bc->bd", px.RGB_OF_YCBCR, got[:, ::64].double().mean(dim=(2, 3)) / 8) / 255
    values = torch.tensor([0.2175, 0.0188, 0.0045], dtype=torch.float64)
    vectors = torch.tensor(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], dtype=torch.float64
    )
    along = torch.linalg.solve(vectors, shift.T).T / values  # the drawn weights
    assert along.mean(0).abs().max() < 0.02 and (along.std(0) - 0.1).abs().max() < 0.015
    assert torch.corrcoef(along.T).fill_diagonal_(0).abs().max() < 0.2


def test_a_gray_image_stays_gray() -> None:
    file = px.built(32, 32, "gray")
    got = T.Compose([T.ColorJitter(0.4, 0.4, 0.4, 0.3)])(px.batch(file), 1)
    assert got[:, 64:].abs().max() == 0 and got[:, :64].abs().max() > 0


def test_probabilities_are_kept() -> None:
    d = px.batch(*[px.built(16, 16)] * 1000)
    plain = T.Compose([])(d)
    for step, p in ((T.RandomGrayscale(0.1), 0.1), (T.RandomInvert(0.3), 0.3)):
        changed = (T.Compose([step])(d) != plain).flatten(1).any(1).double().mean()
        assert abs(float(changed) - p) < 0.05


def test_wrong_arguments_and_places_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="hue"):
        T.ColorJitter(hue=0.6)
    with pytest.raises(ValueError, match="brightness"):
        T.ColorJitter(brightness=-0.1)
    with pytest.raises(ValueError, match="behind Normalize"):
        T.Compose([T.Normalize("imagenet"), T.ColorJitter(0.4)])(px.batch(FILE))
    with pytest.raises(ValueError, match="frequency 0 of y"):
        T.Compose([T.ColorJitter(contrast=0.4)])(px.batch(FILE), channels="y:1,2;cb:0;cr:0")
