"""RandAugment and TrivialAugment over what coefficients can do: every operation is reached, and is what it says."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.transforms.policies import OPERATIONS
from support import pixels as px

FILE = px.built(64, 48, seed=2)
NAMES = list(OPERATIONS)


def drawn(step, count, seed=0, number=0):
    draws = T.Draws.of(seed, 0, np.arange(count)).child(number)
    return [([NAMES[i] for i in chosen], strength) for chosen, strength in step._drawn(draws)]


@pytest.mark.parametrize("step", [T.DCTRandAugment(2, 9), T.DCTTrivialAugment()])
def test_every_operation_is_as_likely_and_signs_are_even(step):
    for chosen, strength in drawn(step, 10000):
        counts = np.array([chosen.count(name) for name in NAMES])
        assert ((counts - 1000) ** 2 / 1000).sum() < 27.9
        for name, (low, high, signed) in OPERATIONS.items():
            mine = strength[np.array(chosen) == name]
            assert np.abs(mine).max() <= max(abs(low), abs(high)) + 1e-12
            if signed:
                assert 0.4 < (mine > 0).mean() / max((mine != 0).mean(), 1e-9) < 0.6
            else:
                assert (mine >= 0).all()


def test_magnitudes_are_the_bin_asked_for_or_even_over_the_bins():
    (chosen, strength), *_ = drawn(T.DCTRandAugment(1, 15), 2000)
    assert set(np.round(np.abs(strength[np.array(chosen) == "Brightness"]), 12)) == {0.45}
    (chosen, strength), *_ = drawn(T.DCTTrivialAugment(4), 4000)
    assert set(np.round(np.abs(strength[np.array(chosen) == "Color"]), 12)) == {0.0, 0.3, 0.6, 0.9}


def one_operation(name, x, strength, file):
    """What an operation makes of a picture, on pixels."""
    picture = px.rgb(x)
    gray = torch.einsum("c,chw->hw", torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64), picture).expand_as(picture)
    if name in ("Brightness", "Color", "Contrast"):
        other = {"Brightness": torch.zeros_like(gray), "Color": gray, "Contrast": gray.mean().expand_as(gray)}[name]
        return px.ycbcr((1 + strength) * picture - strength * other)
    if name == "Invert":
        return px.ycbcr(255 - picture)
    if name == "Sharpness":
        return px.pixels(T.Compose([T.RandomAdjustSharpness(1 + strength, 1.0)])(px.batch(file))[0])
    if name.startswith("Translate"):
        axis = 2 if name.endswith("X") else 1
        shift = int(strength * x.shape[axis])
        out = torch.zeros_like(picture)
        n = picture.shape[axis]
        to, of = (slice(max(shift, 0), n + min(shift, 0)), slice(max(-shift, 0), n - max(shift, 0)))
        out[(slice(None),) * axis + (to,)] = picture[(slice(None),) * axis + (of,)]
        return px.ycbcr(out)
    if name == "Requantize":
        return px.pixels(T.Compose([T.Requantize(round(95 - strength))])(px.batch(file))[0])
    return x


def test_a_round_is_its_operation_on_pixels():
    step = T.DCTTrivialAugment()
    (chosen, strength), *_ = drawn(step, 60)
    got = T.Compose([step])(px.batch(*[FILE] * 60))
    seen = set()
    for i, (name, amount) in enumerate(zip(chosen, strength, strict=True)):
        if name == "FrequencyDropout":
            plain = px.coefficients(px.planes(FILE))
            gone = (got[i] == 0).all(dim=(1, 2)) & (plain != 0).any(dim=2).any(dim=1)
            assert px.difference(got[i], torch.where(gone[:, None, None], 0.0, plain)) < 2e-3
            assert abs(float(gone.double().mean()) - amount) < 0.15 and not gone[::64].any()
        else:
            want = px.coefficients(one_operation(name, px.planes(FILE), float(amount), FILE))
            assert px.difference(got[i], want) < 1e-2, (name, amount)
        seen.add(name)
    assert seen == set(NAMES)


def test_two_translations_keep_what_the_first_pushed_out_hidden():
    step, d = T.DCTRandAugment(2, 20), px.batch(*[FILE] * 900)
    first, second = drawn(step, 900)
    plan = T.Compose([step]).plan_batch(d.headers)
    pairs = [
        i for i in range(900) if first[0][i] == second[0][i] == "TranslateX" and np.sign(first[1][i]) != np.sign(second[1][i])
    ]
    assert pairs and plan.geometry.present is not None
    for i in pairs:
        shift = int(first[1][i] * 64)
        assert plan.geometry.box[i, 1].tolist() == [0, 64]
        assert plan.geometry.present[i, 1].tolist() == ([0, 64 - shift] if shift > 0 else [-shift, 64])


def test_a_policy_goes_with_any_padding_and_output():
    steps = [
        T.RandomResizedCrop(32),
        T.RandomCrop(32, padding=4, padding_mode="edge"),
        T.DCTRandAugment(),
        T.Normalize("imagenet"),
    ]
    d = px.batch(*[FILE] * 40)
    assert T.Compose(steps)(d).isfinite().all() and T.Compose(steps)(d, output="rgb").shape == (40, 3, 32, 32)


def test_wrong_arguments_are_refused_in_words():
    for make in (lambda: T.DCTRandAugment(0), lambda: T.DCTRandAugment(2, 31)):
        with pytest.raises(ValueError, match="num_ops is 1 or more"):
            make()
    with pytest.raises(ValueError, match="num_magnitude_bins"):
        T.DCTTrivialAugment(1)
