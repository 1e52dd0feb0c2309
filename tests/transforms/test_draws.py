"""Random numbers depend on (seed, epoch, sample index) alone, for every transform: whatever the batch, and its order."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.channels import ChannelSelection
from dctload.transforms.draws import Draws
from support import pixels as px

FILES = [
    px.built(60, 44, seed=k, layout=layout) for k, layout in enumerate(("4:4:4", "4:2:0", "gray", "4:2:2", "4:4:4", "4:2:0"))
]
INDEX = np.array([7, 3, 1000, 8, 0, 4])

# Those that draw, with what makes pictures of one size; True: also with pixels out.
DRAWING = {
    "RandomCrop": [T.RandomCrop(24)],
    "RandomCrop padding": [T.RandomCrop(40, padding=5, pad_if_needed=True, padding_mode="reflect")],
    "RandomResizedCrop": [T.RandomResizedCrop(32)],
    "RandomHorizontalFlip": [T.Resize((32, 40)), T.RandomHorizontalFlip()],
    "RandomVerticalFlip": [T.Resize((32, 40)), T.RandomVerticalFlip()],
    "RandomTranspose": [T.Resize((32, 32)), T.RandomTranspose()],
    "RandomRotation90": [T.Resize((32, 32)), T.RandomRotation90()],
    "GaussianBlur": [T.Resize((32, 40)), T.GaussianBlur(5)],
    "ColorJitter": [T.Resize((32, 40)), T.ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "RandomGrayscale": [T.Resize((32, 40)), T.RandomGrayscale(0.5)],
    "RandomInvert": [T.Resize((32, 40)), T.RandomInvert()],
    "RandomChannelPermutation": [T.Resize((32, 40)), T.RandomChannelPermutation()],
    "PCALighting": [T.Resize((32, 40)), T.PCALighting()],
    "RandomErasing": [T.Resize((64, 80)), T.RandomErasing()],
    "FrequencyDropout": [T.Resize((32, 40)), T.FrequencyDropout(0.3)],
    "GaussianNoise": [T.Resize((32, 40)), T.GaussianNoise((1, 9))],
    "Requantize": [T.Requantize((5, 95), p=0.7), T.Resize((32, 40))],
    "RandomAdjustSharpness": [T.Resize((32, 40)), T.RandomAdjustSharpness((0, 3))],
    "DCTRandAugment": [T.Resize((32, 40)), T.DCTRandAugment(3)],
    "DCTTrivialAugment": [T.Resize((32, 40)), T.DCTTrivialAugment()],
}
MIXING = {"MixUp", "CutMix"}  # their partner is the sample before: see test_mixing.py
FIXED = {"Resize", "CenterCrop", "Pad", "ExifTranspose", "Grayscale", "Normalize"}
NO_TRANSFORMS = {"Transform", "Compose", "Draws", "Plan", "SamplePlan", "functional"}


def test_every_transform_is_here() -> None:
    assert set(T.__all__) == {name.split()[0] for name in DRAWING} | MIXING | FIXED | NO_TRANSFORMS


@pytest.mark.parametrize("output", ["dct", "rgb"])
@pytest.mark.parametrize("name", DRAWING)
def test_a_batch_is_what_its_samples_are_alone(name: str, output: str) -> None:
    compose = T.Compose(DRAWING[name])
    whole = px.batch(*FILES)
    got = compose(whole, 5, 2, INDEX, output=output)
    alone = torch.cat([compose(px.batch(f), 5, 2, [i], output=output) for f, i in zip(FILES, INDEX.tolist(), strict=True)])
    torch.testing.assert_close(got, alone, rtol=1e-5, atol=1e-5 if output == "rgb" else 1e-3)
    order = [4, 2, 0, 5]
    turned = compose(px.batch(*(FILES[i] for i in order)), 5, 2, INDEX[order], output=output)
    torch.testing.assert_close(turned, got[order], rtol=1e-5, atol=1e-5 if output == "rgb" else 1e-3)
    assert torch.equal(compose(whole, 5, 2, INDEX, output=output), got)
    assert not torch.equal(compose(whole, 5, 3, INDEX, output=output), got), "another epoch"
    assert not torch.equal(compose(whole, 6, 2, INDEX, output=output), got), "another seed"
    assert not torch.equal(compose(whole, 5, 2, INDEX + 1, output=output), got), "other samples"


def test_two_steps_of_one_kind_draw_each_for_itself() -> None:
    one = T.Compose([T.RandomHorizontalFlip()])
    plan = T.Compose([T.RandomHorizontalFlip(), T.RandomHorizontalFlip()]).plan_batch(px.batch(*FILES[:1] * 64).headers)
    flips = plan.geometry.box[:, 1, 1] < plan.geometry.box[:, 1, 0]
    single = one.plan_batch(px.batch(*FILES[:1] * 64).headers).geometry.box
    assert 16 < flips.sum() < 48, "the second undid the first, or did nothing"
    assert (flips != (single[:, 1, 1] < single[:, 1, 0])).any()


def test_the_selection_does_not_change_what_is_drawn() -> None:
    compose = T.Compose([T.RandomResizedCrop(64), T.RandomErasing(1.0), T.FrequencyDropout(0.3), T.GaussianNoise(4.0)])
    d, s = px.batch(*FILES), ChannelSelection.parse("24s")
    kept = [*s.y, *(64 + f for f in s.cb), *(128 + f for f in s.cr)]
    torch.testing.assert_close(compose(d, 1, channels="24s"), compose(d, 1)[:, kept], rtol=1e-5, atol=1e-3)


def test_streams_have_no_history_and_do_not_meet() -> None:
    draws = Draws.of(1, 2, np.arange(5))
    assert np.array_equal(draws.uniform(3), draws.uniform(7)[:, :3])
    assert np.array_equal(draws[np.array([3])].uniform(4), draws.uniform(4)[3:4])
    keys = [Draws.of(s, e, i).child(c).key[0].item() for s in range(4) for e in range(4) for i in range(4) for c in range(4)]
    assert len(set(keys)) == 4**4
    assert not np.array_equal(Draws.of(0, 3, [5]).key, Draws.of(0, 5, [3]).key)
    assert Draws.of(-1, 0, [2**63 - 1]).uniform(1).shape == (1, 1)


def test_uniform_normal_beta_and_orders_have_their_distributions() -> None:
    n = 40000
    draws = Draws.of(9, 0, np.arange(n))
    u = draws.uniform(2)
    assert u.min() >= 0 and u.max() < 1
    assert np.abs(np.sort(u[:, 0]) - (np.arange(n) + 0.5) / n).max() < 1.95 / math.sqrt(n)  # Kolmogorov-Smirnov
    assert abs(np.corrcoef(u.T)[0, 1]) < 4 / math.sqrt(n)
    assert abs(np.corrcoef(u[:, 0], draws.child(0).uniform(1)[:, 0])[0, 1]) < 4 / math.sqrt(n)
    x = draws.normal(2)
    assert abs(x.mean()) < 4 / math.sqrt(2 * n) and abs(x.std() - 1) < 4 / math.sqrt(4 * n)
    for alpha in (0.2, 1.0, 2.5):
        share, variance = draws.beta(alpha), 1 / (4 * (2 * alpha + 1))
        assert share.min() >= 0 and share.max() <= 1
        assert abs(share.mean() - 0.5) < 4 * math.sqrt(variance / n) and abs(share.var() / variance - 1) < 0.03
        assert np.array_equal(draws[np.array([11, 5])].beta(alpha), share[[11, 5]])
    counts = np.unique(draws.orders(3), axis=0, return_counts=True)[1]
    assert len(counts) == 6 and ((counts - n / 6) ** 2 / (n / 6)).sum() < 20.5
    assert set(draws.integers(1, 3)[:, 0].tolist()) == {0, 1, 2}
