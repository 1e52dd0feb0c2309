"""What `benchmarks.transforms` goes through: each transform, as it is timed, and as it is held against pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import _pixels
from dctload import transforms as T  # noqa: N812 - as users write it

SIDE = 224  # of the pictures that are held against pixels
SEED = 7


@dataclass(frozen=True)
class Sample:
    """A file that is held against pixels, and what was drawn for it."""

    data: bytes
    coefficients: Any
    pixels: Tensor  # [3, H, W]
    plan: T.SamplePlan
    draws: T.Draws  # of the sample; `child(k)` belongs to step k
    others: tuple[Tensor, ...]  # pixels of the batch's samples, in order
    index: int


# The wanted picture in float64: pixels [3, h, w], or where a pixel has no part in it, blocks [192, rows, cols].
Reference = Callable[[Sample], Tensor]


@dataclass(frozen=True)
class Case:
    """One transform.

    Attributes:
        name: As it is written in a Compose.
        timed: The steps whose time is taken, on crops of 448.
        checked: The steps that are held against pixels; None: nothing to hold it against, `note` says why.
        reference: The pixels' way to the same picture.
        spatial: Part of the resampling, so that the portable resampler's time is told, too.
        alone: Pictures of different sizes come out, so images go one by one.
        orientation: EXIF orientation that the files are given.
        note: What is not held against pixels, and why.
    """

    name: str
    timed: Callable[[int], list[T.Transform]]
    checked: Callable[[Sample | None], list[T.Transform]] | None = None
    reference: Reference | None = None
    spatial: bool = False
    alone: bool = False
    orientation: int = 0
    note: str = ""


def _base(sample: Sample) -> Tensor:
    return _pixels.resized(sample.pixels, SIDE, SIDE)


def _behind_resize(step: Callable[[], T.Transform], reference: Callable[[Tensor], Tensor], name: str = "", **facts: Any) -> Case:
    """A step behind a crop where it is timed, behind a plain resize where it is held against pixels."""
    return Case(
        name or repr(step()),
        lambda size: [T.RandomResizedCrop(size), step()],
        lambda _: [T.Resize((SIDE, SIDE)), step()],
        lambda sample: reference(_base(sample)),
        **facts,
    )


def _drawn(step: Callable[[], T.Transform], reference: Reference, name: str = "", **facts: Any) -> Case:
    """The same where the reference needs the draws of the step, which is number 1."""
    return Case(
        name or repr(step()),
        lambda size: [T.RandomResizedCrop(size), step()],
        lambda _: [T.Resize((SIDE, SIDE)), step()],
        reference,
        **facts,
    )


def _unchecked(step: Callable[[], T.Transform], note: str, name: str = "") -> Case:
    return Case(name or repr(step()), lambda size: [T.RandomResizedCrop(size), step()], note=note)


def _box(sample: Sample) -> tuple[int, int, int, int]:
    top, left, height, width = (round(value) for value in sample.plan.box)
    return top, left, height, width


def _centre(sample: Sample) -> Tensor:
    height, width = sample.pixels.shape[1:]
    return _pixels.cut(sample.pixels, round((height - SIDE) / 2), round((width - SIDE) / 2), SIDE, SIDE)


def _random_crop(sample: Sample) -> Tensor:
    top, left, height, width = _box(sample)
    return _pixels.cut(_pixels.framed(sample.pixels, 16, 16, 16, 16), top + 16, left + 16, height, width)


def _sides(sample: Sample | None) -> tuple[int, int, int, int]:
    """Left, top, right, bottom: 8 and as much as whole blocks need."""
    if sample is None:
        return 8, 8, 8, 8
    height, width = sample.pixels.shape[1:]
    return 8, 8, 8 + -width % 8, 8 + -height % 8


def _exif(sample: Sample) -> Tensor:
    return _pixels.resized(torch.rot90(sample.pixels, -1, (1, 2)), SIDE, SIDE)


def _permuted(sample: Sample) -> Tensor:
    order = sample.draws.child(1).orders(3)[0].tolist()
    return _pixels.ycbcr(_pixels.rgb(_base(sample))[order])


_LIGHT = T.PCALighting(0.1)


def _lighting(sample: Sample) -> Tensor:
    weights = sample.draws.child(1).normal(3)[0] * 0.1 * _LIGHT._VALUES
    shift = 255 * torch.from_numpy(_LIGHT._VECTORS @ weights)
    return _pixels.ycbcr(_pixels.rgb(_base(sample)) + shift[:, None, None])


_ERASE = T.RandomErasing(1.0, value=100.0)


def _erased(sample: Sample) -> Tensor:
    top, bottom, left, right = (8 * _ERASE._boxes(sample.draws.child(1), SIDE // 8, SIDE // 8)[0]).tolist()
    x = _base(sample).clone()
    x[:, top:bottom, left:right] = torch.tensor([100.0 - 128, 0.0, 0.0], dtype=torch.float64)[:, None, None]
    return x


def _mixed(sample: Sample) -> Tensor:
    share = float(sample.draws.child(1).child(1).beta(0.4)[0])
    other = _pixels.resized(sample.others[sample.index - 1], SIDE, SIDE)
    return share * _base(sample) + (1 - share) * other


def _pasted(sample: Sample) -> Tensor:
    from dctload.transforms.mixing import cut_boxes

    step = sample.draws.child(1)
    box = cut_boxes(step.child(1).beta(1.0), step.child(2), SIDE // 8, SIDE // 8)
    top, bottom, left, right = (8 * box[0]).tolist()
    x = _base(sample).clone()
    other = _pixels.resized(sample.others[sample.index - 1], SIDE, SIDE)
    x[:, top:bottom, left:right] = other[:, top:bottom, left:right]
    return x


def _dropped(sample: Sample) -> Tensor:
    gone = sample.draws.child(1).uniform(192)[0] < 0.3
    gone[[0, 64, 128]] = False
    x = _pixels.blocks(_base(sample))
    x[torch.from_numpy(gone)] = 0
    return x


def _requantized(sample: Sample) -> Tensor:
    return _pixels.resized(_pixels.picture(sample.coefficients, _pixels.quality_tables(30)), SIDE, SIDE)


_MEAN, _STD = np.linspace(-50, 50, 192), np.linspace(1, 20, 192)


def _normalized(sample: Sample) -> Tensor:
    mean, std = (torch.from_numpy(values)[:, None, None] for values in (_MEAN, _STD))
    return (_pixels.blocks(_base(sample)) - mean) / std


def cases(count: int) -> list[Case]:
    """Every public transform; `count` is how many classes MixUp and CutMix are told of."""
    spatial = {"spatial": True}
    return [
        Case(
            "RandomResizedCrop(448)",
            lambda size: [T.RandomResizedCrop(size)],
            lambda _: [T.RandomResizedCrop(SIDE)],
            lambda sample: _pixels.resized(_pixels.cut(sample.pixels, *_box(sample)), SIDE, SIDE),
            spatial=True,
        ),
        Case(
            "Resize((448, 448))",
            lambda size: [T.Resize((size, size))],
            lambda _: [T.Resize((SIDE, SIDE))],
            _base,
            spatial=True,
        ),
        Case(
            "Resize(512), CenterCrop(448)",
            lambda size: [T.Resize(size * 8 // 7), T.CenterCrop(size)],
            lambda _: [T.CenterCrop(SIDE)],
            _centre,
            spatial=True,
            note="pixels: CenterCrop alone",
        ),
        Case(
            "RandomCrop(448, padding=16)",
            lambda size: [T.RandomCrop(size, padding=16, pad_if_needed=True)],
            lambda _: [T.RandomCrop(SIDE, padding=16)],
            _random_crop,
            spatial=True,
        ),
        Case(
            "Pad(8, reflect)",
            lambda size: [T.Resize((size - 16, size - 16)), T.Pad(8, padding_mode="reflect")],
            lambda sample: [T.Pad(_sides(sample), padding_mode="reflect")],
            lambda sample: _pixels.framed(sample.pixels, *_sides(sample), mode="reflect"),
            spatial=True,
            alone=True,
        ),
        _behind_resize(lambda: T.RandomHorizontalFlip(1.0), lambda x: x.flip(2), **spatial),
        _behind_resize(lambda: T.RandomVerticalFlip(1.0), lambda x: x.flip(1), **spatial),
        _behind_resize(lambda: T.RandomTranspose(1.0), lambda x: x.transpose(1, 2), **spatial),
        _behind_resize(lambda: T.RandomRotation90((1,)), lambda x: torch.rot90(x, 1, (1, 2)), **spatial),
        Case(
            "ExifTranspose(), orientation 6",
            lambda size: [T.ExifTranspose(), T.RandomResizedCrop(size)],
            lambda _: [T.ExifTranspose(), T.Resize((SIDE, SIDE))],
            _exif,
            spatial=True,
            orientation=6,
        ),
        _behind_resize(lambda: T.GaussianBlur(9, 1.5), lambda x: _pixels.blurred(x, 9, 1.5), **spatial),
        _drawn(lambda: T.Requantize(30), _requantized, **spatial),
        _behind_resize(
            lambda: T.ColorJitter(brightness=(1.3, 1.3)), lambda x: _pixels.brighter(x, 1.3), "ColorJitter(brightness)"
        ),
        _behind_resize(lambda: T.ColorJitter(contrast=(1.4, 1.4)), lambda x: _pixels.contrasted(x, 1.4), "ColorJitter(contrast)"),
        _behind_resize(
            lambda: T.ColorJitter(saturation=(0.5, 0.5)), lambda x: _pixels.saturated(x, 0.5), "ColorJitter(saturation)"
        ),
        _behind_resize(
            lambda: T.ColorJitter(hue=(0.1, 0.1)),
            lambda x: _pixels.turned_hue(x, 0.1),
            "ColorJitter(hue)",
            note="pixels: the rotation of (Cb, Cr) that it is documented as, not torchvision's hue",
        ),
        _unchecked(
            lambda: T.ColorJitter(0.4, 0.4, 0.4),
            "brightness, contrast and saturation in random order",
            "ColorJitter(0.4, 0.4, 0.4)",
        ),
        _behind_resize(T.Grayscale, lambda x: _pixels.saturated(x, 0.0), "Grayscale()"),
        _behind_resize(lambda: T.RandomGrayscale(1.0), lambda x: _pixels.saturated(x, 0.0)),
        _behind_resize(lambda: T.RandomInvert(1.0), lambda x: _pixels.ycbcr(255 - _pixels.rgb(x))),
        _drawn(T.RandomChannelPermutation, _permuted),
        _drawn(lambda: T.PCALighting(0.1), _lighting),
        _behind_resize(lambda: T.RandomAdjustSharpness(2.0, 1.0), lambda x: _pixels.sharpened(x, 2.0)),
        _drawn(lambda: T.RandomErasing(1.0, value=100.0), _erased, "RandomErasing(1.0)"),
        _drawn(lambda: T.FrequencyDropout(0.3), _dropped),
        _unchecked(lambda: T.GaussianNoise(5.0), "random; the tests hold its spread against sigma"),
        _drawn(lambda: T.MixUp(num_classes=count, alpha=0.4), _mixed, "MixUp(alpha=0.4)"),
        _drawn(lambda: T.CutMix(num_classes=count), _pasted, "CutMix()"),
        _unchecked(T.DCTRandAugment, "made of the above", "DCTRandAugment()"),
        _unchecked(T.DCTTrivialAugment, "made of the above", "DCTTrivialAugment()"),
        Case(
            "Normalize",
            lambda size: [T.RandomResizedCrop(size), T.Normalize("imagenet")],
            lambda _: [T.Resize((SIDE, SIDE)), T.Normalize(_MEAN, _STD)],
            _normalized,
            note="error in units of its own scale, 1..20 levels",
        ),
    ]
