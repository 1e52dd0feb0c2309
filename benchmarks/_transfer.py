"""What the loader's `transfer=` modes send of an image, and what leaving frequencies out does to the picture.

Each crop is drawn and planned as `DCTLoader` does it, then extracted once a mode: the boxes are the same, the frequencies are
not. What the mode's coefficients become on the output grid is held against what all of them become.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import _bytes, _data
from benchmarks._harness import Row, Spread, percentile

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 448
RANDOM, CENTRE = "RandomResizedCrop(448)", "Resize(512) + CenterCrop(448)"
RECIPES = (RANDOM, CENTRE)
SHORT, EVERY = "24s", "all"  # the outputs: 24 and all 192 channels
PRESET = "imagenet"  # of T.Normalize
CAP = 60.0  # dB an image: beyond, rounding decides, and one exact image would carry the mean
TARGET = 40.0  # dB normalised, 24 channels, mean over the images: what the default margin promises on ImageNet's files
SEED = 0
GROUP_IMAGES, GROUP_PIXELS = 16, 1 << 26  # files decoded at once


@dataclass(frozen=True)
class Mode:
    """One way of sending, and the channels of the picture that is made of it."""

    transfer: str  # as DCTLoader takes it
    output: str
    margin: int | None = None  # of "auto"

    @property
    def label(self) -> str:
        return self.transfer if self.margin is None else f"{self.transfer} (c = {self.margin})"


@dataclass
class Sent:
    """What one mode sent under one recipe, by image."""

    recipe: str
    mode: Mode
    sizes: list[float] = field(default_factory=list)  # bytes, headers counted
    nonzeros: list[int] = field(default_factory=list)  # coefficients that are not 0
    positions: list[int] = field(default_factory=list)  # coefficients, zero or not
    raw: list[float] = field(default_factory=list)  # dB against everything sent; none for that itself
    normalised: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return sum(self.sizes) / len(self.sizes)

    @property
    def channels(self) -> int:
        """Of the output: 24, or 192."""
        return 24 if self.mode.output == SHORT else 192

    @property
    def is_promised(self) -> bool:
        """Whether `TARGET` is meant for it, on ImageNet's files."""
        from dctload.transforms.plan import MARGIN

        return self.mode.margin == MARGIN and self.mode.output == SHORT


@dataclass
class Transfer:
    """All modes under all recipes on one file set, or the reason why there are none."""

    files: _data.FileSet
    sent: list[Sent] = field(default_factory=list)
    scales: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # by recipe: luma's, down and across, by image
    skipped: list[str] = field(default_factory=list)  # "name: reason"
    reason: str = ""

    def everything(self, recipe: str) -> Sent:
        """What `transfer="all"` sent."""
        return next(one for one in self.sent if one.recipe == recipe and one.mode.transfer == "all")

    def of(self, recipe: str) -> list[Sent]:
        return [one for one in self.sent if one.recipe == recipe]

    def shares(self, one: Sent) -> tuple[float, float, float]:
        """Of what "all" sends, over all images: the positions, the non-zeros; and the share of images sent whole."""
        base = self.everything(one.recipe)
        whole = sum(a == b for a, b in zip(one.positions, base.positions, strict=True)) / len(base.positions)
        return sum(one.positions) / sum(base.positions), sum(one.nonzeros) / max(sum(base.nonzeros), 1), whole

    def of_cut(self, one: Sent) -> list[float]:
        """dB normalised of the images of which something was left out: the others are at the cap and say nothing."""
        base = self.everything(one.recipe)
        places = zip(one.normalised, one.positions, base.positions, strict=True)
        return [value for value, sent, whole in places if sent < whole]

    def rows(self) -> list[Row]:
        """One row a recipe and mode."""
        return [self._row(one) for one in self.sent]

    def _row(self, one: Sent) -> Row:
        positions, nonzeros, whole = self.shares(one)
        jpeg = self.files.nbytes / len(self.files)
        bases = {_bytes.RGB224_NAME: _bytes.RGB224, _bytes.RGB448_NAME: _bytes.RGB448, _bytes.JPEG_NAME: jpeg}
        bases['transfer="all"'] = self.everything(one.recipe).mean
        exact = one.mode.transfer == "all"
        extra: dict[str, Any] = {
            "kind": "transfer",
            "recipe": one.recipe,
            "transfer": one.mode.transfer,
            "margin": one.mode.margin,
            "output_channels": None if exact else one.channels,
            "mean": round(one.mean, 1),
            "p99": round(percentile(one.sizes, 99), 1),
            "ratio": {name: round(one.mean / base, 4) for name, base in bases.items()},
            "positions": round(positions, 4),
            "nonzeros": round(nonzeros, 4),
            "sent_whole": round(whole, 4),
            "snr_db": None if exact else {"raw": decibels(one.raw), "normalised": decibels(one.normalised)},
        }
        cut = [] if exact else self.of_cut(one)
        if cut:
            extra |= {"cut_images": len(cut), "cut_snr_db": {"normalised": decibels(cut)}}
        if one.is_promised:
            extra |= {"target_db": TARGET, "met": extra["snr_db"]["normalised"]["mean"] > TARGET}
        spread = Spread.of(one.sizes)
        name = f"{one.recipe}, transfer {one.mode.label}, {'any output' if exact else f'{one.channels} channels out'}"
        return Row(name, "bytes/image", *spread.rounded(1), extra=extra)


def measure(files: _data.FileSet, margins: Sequence[int] = (), step: Callable[..., None] | None = None) -> Transfer:
    """Send every file in every mode under both recipes, and compare.

    Args:
        files: Files that decode to their end (`_bytes.readable`); those without Y, Cb, Cr are left out and listed.
        margins: Of `transfer="auto"`; if none is given, the loader's own.
        step: `step(n, text)` hears of progress, in images times recipes.
    """
    tell: Callable[..., Any] = step or (lambda *_, **__: None)
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return Transfer(files, reason="Transfer modes: not run: torch is not installed (pip install torch)")
    from dctload import Extractor
    from dctload.transforms.plan import MARGIN

    kept, skipped = _bytes.with_colour(files)
    modes = [Mode("all", SHORT)]
    modes += [Mode("auto", output, margin) for margin in margins or (MARGIN,) for output in (SHORT, EVERY)]
    modes.append(Mode(SHORT, SHORT))
    made = Transfer(kept, skipped=skipped)
    extractor = Extractor()
    for recipe in RECIPES:
        sent = [Sent(recipe, mode) for mode in modes]
        scales: list[tuple[float, float]] = []
        for places in _groups(kept):
            tell(0, text=recipe)
            scales += _send(extractor, recipe, [kept.files[i].data for i in places], places, sent)
            tell(len(places))
        made.sent += sent
        made.scales[recipe] = scales
    return made


def signal_to_noise(got: Tensor, want: Tensor) -> list[float]:
    """dB by image of `[B, C, rows, cols]`: energy of `want` to that of the difference, over all channels, at most `CAP`."""
    signal = want.double().square().flatten(1).sum(1).tolist()
    noise = (got.double() - want.double()).square().flatten(1).sum(1).tolist()
    return [_capped(s, n) for s, n in zip(signal, noise, strict=True)]


def _capped(signal: float, noise: float) -> float:
    if noise == 0:
        return CAP
    return min(CAP, 10 * math.log10(signal / noise)) if signal > 0 else -CAP


def decibels(values: Sequence[float]) -> dict[str, float]:
    """Mean and lowest tenth over the images."""
    return {"mean": round(sum(values) / len(values), 2), "p10": round(percentile(values, 10), 2)}


def _send(
    extractor: Any, recipe: str, sources: Sequence[bytes], places: Sequence[int], sent: Sequence[Sent]
) -> list[tuple[float, float]]:
    """Adds a group of files to each mode; returns the native pixels an output pixel, down and across."""
    from dctload import ChannelSelection, transforms
    from dctload.ops import unpack

    centre = [transforms.Resize(512), transforms.CenterCrop(SIZE)]
    compose = transforms.Compose([transforms.RandomResizedCrop(SIZE)] if recipe == RANDOM else centre)
    outputs = {name: ChannelSelection.parse(name) for name in (SHORT, EVERY)}
    exact: dict[str, Tensor] = {}
    with extractor.open(sources) as opened:
        headers = opened.headers
        plan = compose.plan_batch(headers, SEED, 0, places)
        for one in sent:  # the first sends everything
            mode, output = one.mode, outputs[one.mode.output]
            boxes, masks = compose.needs(plan, headers, output, mode.transfer, mode.margin)
            packed = opened.extract(masks, boxes)
            batch = unpack(packed)
            one.sizes += _bytes.image_sizes(packed, headers.num_components.tolist())
            for planes in batch.to_coefficients():
                one.nonzeros.append(sum(int(plane.count_nonzero()) for plane in planes or ()))
                one.positions.append(sum(plane.numel() for plane in planes or ()))
            if mode.transfer == "all":
                exact = {name: compose.apply(batch, plan, channels=chosen)[0] for name, chosen in outputs.items()}
                continue
            got, want = compose.apply(batch, plan, channels=output)[0], exact[mode.output]
            one.raw += signal_to_noise(got, want)
            one.normalised += signal_to_noise(_normalised(got, output), _normalised(want, output))
    sides = abs(plan.geometry.box[:, :, 1] - plan.geometry.box[:, :, 0]) / SIZE  # a square output: turning changes nothing
    return [(down, across) for down, across in sides.tolist()]


def _normalised(x: Tensor, channels: Any) -> Tensor:
    """What the model gets: each channel less its mean and divided by its standard deviation, as `T.Normalize` does it."""
    from dctload.transforms import Draws, Normalize
    from dctload.transforms.picture import Picture

    def make(scale: Tensor | None, bias: Tensor | None) -> Tensor:
        made = x if scale is None else x * scale[:, :, None, None]
        return made if bias is None else made + bias[:, :, None, None]

    rows, cols = x.shape[2:]
    picture = Picture(make, channels, len(x), (rows, cols), x.device)
    Normalize(PRESET).apply(picture, Draws.of(SEED, 0, range(len(x))))
    return picture.finished()


def _groups(files: _data.FileSet) -> Iterator[list[int]]:
    """Places of files that are decoded together: so many, or so many pixels."""
    import dctload

    group: list[int] = []
    pixels = 0
    for place, file in enumerate(files.files):
        header = dctload.read_header(file.data)
        if group and (len(group) == GROUP_IMAGES or pixels + header.height * header.width > GROUP_PIXELS):
            yield group
            group, pixels = [], 0
        group.append(place)
        pixels += header.height * header.width
    if group:
        yield group
