"""Automatic augmentation from the operations that exist on coefficients.

Not torchvision's sets: solarize, posterize, equalize, autocontrast, rotation and shear have no linear form and are not here;
requantising and frequency dropout are. The names say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform
from dctload.transforms.blocks import sharpen
from dctload.transforms.color import brightness, contrast, inversion, mixture, saturation
from dctload.transforms.noise import requantizing_tables, scale_frequencies

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture
    from dctload.transforms.view import View

Float = NDArray[np.float64]

# Name -> (magnitude 0, magnitude 1), and whether the sign is drawn. Translations are shares of the side; Requantize takes 95 and
# less as quality; FrequencyDropout's is the share of the frequencies. The others' are torchvision's.
OPERATIONS: dict[str, tuple[float, float, bool]] = {
    "Identity": (0.0, 0.0, False),
    "TranslateX": (0.0, 150 / 331, True),
    "TranslateY": (0.0, 150 / 331, True),
    "Brightness": (0.0, 0.9, True),
    "Color": (0.0, 0.9, True),
    "Contrast": (0.0, 0.9, True),
    "Sharpness": (0.0, 0.9, True),
    "Invert": (0.0, 0.0, False),
    "Requantize": (0.0, 80.0, False),
    "FrequencyDropout": (0.0, 0.5, False),
}
_BEST_QUALITY = 95
_NAMES = list(OPERATIONS)


class _Policy(Transform):
    """Operations drawn for each sample: rounds of (operation, magnitude).

    Translations and requantising come first, as all that is planned does; the rest follows in the order drawn. What a translation
    leaves empty is black, or as the padding of the steps before says. With pixels out the size is a multiple of 8.
    """

    needs_whole_blocks = True  # Sharpness

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def _magnitudes(self, draws: Draws) -> Float:
        """`[B]`, 0..1."""
        raise NotImplementedError

    def _drawn(self, draws: Draws) -> list[tuple[NDArray[np.int64], Float]]:
        """By round: number of the operation and signed strength, `[B]` each."""
        low = np.array([OPERATIONS[name][0] for name in _NAMES])
        high = np.array([OPERATIONS[name][1] for name in _NAMES])
        signed = np.array([OPERATIONS[name][2] for name in _NAMES])
        out = []
        for number in range(self._rounds):
            stream = draws.child(number)
            chosen = stream.child(0).integers(1, len(_NAMES))[:, 0]
            strength = low[chosen] + (high - low)[chosen] * self._magnitudes(stream.child(1))
            sign = np.where(signed[chosen] & stream.child(2).happens(0.5), -1.0, 1.0)
            out.append((chosen, sign * strength))
        return out

    def plan(self, view: View, draws: Draws) -> None:
        size, height, width = view.size, view.height, view.width
        for chosen, strength in self._drawn(draws):
            down, right = (
                np.trunc(np.where(_is(chosen, name), strength, 0.0) * side).astype(np.int64)
                for name, side in (("TranslateY", height), ("TranslateX", width))
            )
            if down.any() or right.any():
                if view.padding_mode is None:
                    view.pad_with("constant", view.fill)
                view.crop(-down, -right, height, width)
                view.size = size
            if _is(chosen, "Requantize").any():
                quality = np.rint(_BEST_QUALITY - np.where(_is(chosen, "Requantize"), strength, 0.0)).astype(np.int64)
                tables = requantizing_tables(quality, _is(chosen, "Requantize"))
                view.requantize = tables if view.requantize is None else np.maximum(tables, view.requantize)

    def apply(self, picture: Picture, draws: Draws) -> None:
        for number, (chosen, strength) in enumerate(self._drawn(draws)):
            makers = {"Brightness": brightness, "Color": saturation, "Contrast": contrast}
            changes, place = [], np.full(len(chosen), len(makers) + 1)
            for which, (name, make) in enumerate(makers.items()):
                changes.append(make(1.0 + strength))
                place = np.where(_is(chosen, name), which, place)
            changes.append(inversion(np.ones(len(chosen), bool)))
            place = np.where(_is(chosen, "Invert"), len(makers), place)
            if (place <= len(makers)).any():
                picture.linear(*mixture(changes, place))
            sharpen(picture, np.where(_is(chosen, "Sharpness"), 1.0 + strength, 1.0))
            dropped = np.where(_is(chosen, "FrequencyDropout"), strength, 0.0)
            if dropped.any():
                gone = draws.child(number).child(3).uniform(192) < dropped[:, None]
                gone[:, ::64] = False
                scale_frequencies(picture, np.where(gone, 0.0, 1.0))


def _is(chosen: NDArray[np.int64], name: str) -> NDArray[np.bool_]:
    return np.asarray(chosen == _NAMES.index(name))


class DCTRandAugment(_Policy):
    """RandAugment's scheme (Cubuk et al., 2020) over the operations of coefficients: `num_ops` rounds at one magnitude.

    Args:
        num_ops: Rounds.
        magnitude: Bin of the strength.
        num_magnitude_bins: How many bins there are.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31) -> None:
        if num_ops < 1 or not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(
                f"num_ops is 1 or more and magnitude in 0..{num_magnitude_bins - 1}, not {num_ops!r} and {magnitude!r}"
            )
        super().__init__(num_ops)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def _magnitudes(self, draws: Draws) -> Float:
        return np.full(len(draws), self.magnitude / (self.num_magnitude_bins - 1) if self.num_magnitude_bins > 1 else 0.0)


class DCTTrivialAugment(_Policy):
    """TrivialAugment's scheme (Mueller and Hutter, 2021) over the operations of coefficients: one round, magnitude drawn evenly.

    Args:
        num_magnitude_bins: How many strengths there are.
    """

    def __init__(self, num_magnitude_bins: int = 31) -> None:
        if num_magnitude_bins < 2:
            raise ValueError(f"num_magnitude_bins is 2 or more, not {num_magnitude_bins!r}")
        super().__init__(1)
        self.num_magnitude_bins = num_magnitude_bins

    def _magnitudes(self, draws: Draws) -> Float:
        return draws.integers(1, self.num_magnitude_bins)[:, 0] / (self.num_magnitude_bins - 1)
