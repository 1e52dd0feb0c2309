"""Colour as linear maps of co-located Y, Cb and Cr: exact, and unclamped.

torchvision clamps after each step; here nothing is clamped before the end (pixels) or at all (coefficients). Brightness, contrast
and saturation equal torchvision's until it would clamp. Hue is another operation: the chroma plane is rotated and luma stays,
where torchvision keeps the largest of R, G and B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.ops.color import RGB_TO_YCBCR, YCBCR_TO_RGB
from dctload.transforms.base import Transform, low_and_high, probability

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture

Float = NDArray[np.float64]
Change = tuple[Float, Float | None, Float | None]  # matrix [B, 3, 3], offset [B, 3], contrast [B]; see Picture.linear


def brightness(factor: Float) -> Change:
    """RGB times `factor` (`[B]`)."""
    offset = np.zeros((len(factor), 3))
    offset[:, 0] = 128 * (factor - 1)
    return _diagonal(factor, factor), offset, None


def contrast(factor: Float) -> Change:
    """Blended with the mean gray of the picture: `factor * x + (1 - factor) * mean`."""
    return _diagonal(factor, factor), None, 1 - factor


def saturation(factor: Float) -> Change:
    """Chroma times `factor`."""
    return _diagonal(np.ones_like(factor), factor), None, None


def hue(turn: Float) -> Change:
    """(Cb, Cr) rotated by `turn` (`[B]`) of a circle."""
    angle = 2 * np.pi * turn
    matrix = _diagonal(np.ones_like(turn), np.cos(angle))
    matrix[:, 1, 2], matrix[:, 2, 1] = -np.sin(angle), np.sin(angle)
    return matrix, None, None


def inversion(which: NDArray[np.bool_]) -> Change:
    """255 - RGB where `which`."""
    sign = np.where(which, -1.0, 1.0)
    offset = np.zeros((len(sign), 3))
    offset[:, 0] = np.where(which, -1.0, 0.0)  # 255 - (y + 128) - 128 = -y - 1
    return _diagonal(sign, sign), offset, None


def rgb_map(matrix: Float) -> Change:
    """Any linear map of RGB, `[B, 3, 3]`, offsets of RGB included by `matrix @ 128 - 128`."""
    inside = RGB_TO_YCBCR @ matrix @ YCBCR_TO_RGB
    shift = matrix.sum(axis=2) * 128 - 128
    return inside, shift @ RGB_TO_YCBCR.T, None


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue by random amounts, in random order, one draw a sample.

    Args:
        brightness: `[max(0, 1 - x), 1 + x]` for a number x, or (low, high).
        contrast: Likewise.
        saturation: Likewise.
        hue: `[-x, x]` for a number x up to 0.5, or (low, high) within -0.5..0.5; a rotation of the chroma plane.
    """

    def __init__(
        self,
        brightness: float | Sequence[float] | None = None,
        contrast: float | Sequence[float] | None = None,
        saturation: float | Sequence[float] | None = None,
        hue: float | Sequence[float] | None = None,
    ) -> None:
        self.brightness = low_and_high(brightness, "brightness")
        self.contrast = low_and_high(contrast, "contrast")
        self.saturation = low_and_high(saturation, "saturation")
        self.hue = low_and_high(hue, "hue", centre=0.0, least=-0.5)
        if self.hue is not None and self.hue[1] > 0.5:
            raise ValueError(f"hue lies within -0.5..0.5, not {hue!r}")

    def apply(self, picture: Picture, draws: Draws) -> None:
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        amounts = [
            draws.child(i).between(*r) if r is not None else np.full(len(draws), 1.0 if i < 3 else 0.0)
            for i, r in enumerate(ranges)
        ]
        changes = [make(amount) for make, amount in zip((brightness, contrast, saturation, hue), amounts, strict=True)]
        if sum(r is not None for r in ranges) == 1:
            chosen = next(i for i, r in enumerate(ranges) if r is not None)
            return picture.linear(*changes[chosen])
        order = draws.child(4).orders(4)
        for place in range(4):
            picture.linear(*mixture(changes, order[:, place]))
        return None


class RandomGrayscale(Transform):
    """Chroma removed, with the probability `p`."""

    def __init__(self, p: float = 0.1) -> None:
        self.p = probability(p)

    def apply(self, picture: Picture, draws: Draws) -> None:
        picture.linear(*saturation(np.where(draws.happens(self.p), 0.0, 1.0)))


class Grayscale(RandomGrayscale):
    """Chroma removed; the channels stay."""

    def __init__(self) -> None:
        super().__init__(1.0)


class RandomInvert(Transform):
    """255 - RGB, with the probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p)

    def apply(self, picture: Picture, draws: Draws) -> None:
        picture.linear(*inversion(draws.happens(self.p)))


class RandomChannelPermutation(Transform):
    """R, G and B in random order."""

    def apply(self, picture: Picture, draws: Draws) -> None:
        picture.linear(*rgb_map(np.eye(3)[draws.orders(3)]))


class PCALighting(Transform):
    """AlexNet's lighting noise: along the principal components of ImageNet's RGB (Krizhevsky et al. 2012, section 4.1).

    Args:
        std: Standard deviation of the random weights.
    """

    _VALUES = np.array([0.2175, 0.0188, 0.0045])
    _VECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])

    def __init__(self, std: float = 0.1) -> None:
        if std < 0:
            raise ValueError(f"std is not negative; {std!r} is")
        self.std = float(std)

    def apply(self, picture: Picture, draws: Draws) -> None:
        shift = 255 * (draws.normal(3) * self.std * self._VALUES) @ self._VECTORS.T  # RGB
        unchanged = np.broadcast_to(np.eye(3), (len(draws), 3, 3))
        picture.linear(unchanged, shift @ RGB_TO_YCBCR.T)


def mixture(changes: Sequence[Change], choice: NDArray[np.int64]) -> Change:
    """For each sample one of several changes; a choice past the last means none."""
    count = len(choice)
    matrix = np.broadcast_to(np.eye(3), (count, 3, 3)).copy()
    offset, weight = np.zeros((count, 3)), np.zeros(count)
    for number, (m, o, c) in enumerate(changes):
        which = choice == number
        matrix[which] = m[which]
        if o is not None:
            offset[which] = o[which]
        if c is not None:
            weight[which] = c[which]
    return matrix, offset, weight


def _diagonal(luma: Float, chroma: Float) -> Float:
    matrix = np.zeros((len(luma), 3, 3))
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 2, 2] = luma, chroma, chroma
    return matrix
