"""MixUp and CutMix: samples, and soft targets that say what is in them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.channels import ChannelSelection
from support import pixels as px

COUNT = 24
FILES = [px.built(64, 48, seed=k) for k in range(COUNT)]
TARGETS = torch.arange(COUNT) % 5
ALL = ChannelSelection.parse("all")


def applied(*steps: T.Transform, channels: ChannelSelection | None = ALL, targets: object = TARGETS, seed: int = 1):
    d, compose = px.batch(*FILES), T.Compose(steps)
    return compose.apply(d, compose.plan_batch(d.headers, seed), targets, channels=channels)


@pytest.mark.parametrize("channels", [ALL, None], ids=["dct", "rgb"])
def test_mixup_blends_each_sample_with_the_one_before(channels: ChannelSelection | None) -> None:
    plain, _ = applied(channels=channels)
    plain = plain.double()
    x, soft = applied(T.MixUp(num_classes=5, alpha=0.8), channels=channels)
    draws = T.Draws.of(1, 0, np.arange(COUNT)).child(0)
    share = torch.from_numpy(draws.child(1).beta(0.8))
    weight = share[:, None, None, None]
    if channels is not None:  # pixels are mixed before they are clamped
        assert px.difference(x, weight * plain + (1 - weight) * plain.roll(1, 0)) < 2e-3
    else:
        inside = ((plain > 0) & (plain < 1)).logical_and((plain.roll(1, 0) > 0) & (plain.roll(1, 0) < 1))
        assert float((x - (weight * plain + (1 - weight) * plain.roll(1, 0))).abs()[inside].max()) < 1e-5
    one_hot = torch.nn.functional.one_hot(TARGETS, 5).double()
    want = share[:, None] * one_hot + (1 - share[:, None]) * one_hot.roll(1, 0)
    assert px.difference(soft, want) < 1e-6 and soft.dtype == torch.float32
    assert (soft.sum(1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("channels", [ALL, None], ids=["dct", "rgb"])
def test_cutmix_weighs_targets_by_the_area_that_came_over(channels: ChannelSelection | None) -> None:
    plain, _ = applied(channels=channels)
    x, soft = applied(T.CutMix(num_classes=COUNT), channels=channels, targets=torch.arange(COUNT))
    size = 1 if channels is not None else 8
    other, areas = plain.roll(1, 0), []
    for i in range(COUNT):
        came = (x[i] != plain[i]).any(0)[::size, ::size]
        area = 0.0
        if came.any():
            rows, cols = np.nonzero(came.numpy())
            box = np.s_[:, size * rows.min() : size * (rows.max() + 1), size * cols.min() : size * (cols.max() + 1)]
            assert torch.equal(x[i][box], other[i][box])
            outside = torch.ones(x.shape[2:], dtype=torch.bool)
            outside[box[1:]] = False
            assert torch.equal(x[i][:, outside], plain[i][:, outside])
            area = (np.ptp(rows) + 1) * (np.ptp(cols) + 1) / came.numel()
        areas.append(area)
        assert abs(float(soft[i, i]) - (1 - area)) < 1e-6 and abs(float(soft[i, i - 1]) - area) < 1e-6
    assert len(set(areas)) > 8


def test_cutmix_cuts_the_same_rectangles_from_pixels_as_from_coefficients() -> None:
    step = T.CutMix(num_classes=5, p=0.8)
    assert torch.equal(applied(step)[1], applied(step, channels=None)[1])


def test_shares_do_not_depend_on_the_batch() -> None:
    compose = T.Compose([T.MixUp(num_classes=COUNT)])
    whole = applied(*compose.transforms, targets=torch.arange(COUNT))[1]
    index = np.array([5, 9, 2])
    d = px.batch(*(FILES[i] for i in index))
    some = compose.apply(d, compose.plan_batch(d.headers, 1, 0, index), torch.from_numpy(index), channels=ALL)[1]
    assert some is not None
    for row, i in enumerate(index.tolist()):
        assert abs(float(some[row, i] - whole[i, i])) < 1e-6


def test_one_after_the_other_mixes_soft_targets() -> None:
    _, soft = applied(T.MixUp(num_classes=5), T.CutMix(num_classes=5))
    assert soft.shape == (COUNT, 5) and (soft.sum(1) - 1).abs().max() < 1e-6
    _, untouched = applied(T.MixUp(num_classes=5, p=0.0))
    assert torch.equal(untouched, torch.nn.functional.one_hot(TARGETS, 5).float())
    assert applied(T.MixUp(num_classes=5), targets=None)[1] is None


def test_mixing_is_said_where_targets_would_be_lost_or_cannot_be_mixed() -> None:
    assert T.Compose([T.MixUp(num_classes=5)]).changes_targets and not T.Compose([T.Grayscale()]).changes_targets
    with pytest.raises(ValueError, match="targets too"):
        T.Compose([T.MixUp(num_classes=5)])(px.batch(*FILES[:2]))
    with pytest.raises(ValueError, match="num_classes="):
        applied(T.CutMix(num_classes=4))
    with pytest.raises(ValueError, match="class numbers"):
        applied(T.CutMix(num_classes=4), targets=TARGETS.float())
    with pytest.raises(ValueError, match="alpha"):
        T.MixUp(num_classes=5, alpha=0.0)
