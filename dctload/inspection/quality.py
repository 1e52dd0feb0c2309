"""The quality setting that a quantisation table was made with, as the Independent JPEG Group's software counts it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# ITU-T T.81, Tables K.1 and K.2, row by row.
_LUMINANCE = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)
_CHROMINANCE = (
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99 "
    "99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"
)


@dataclass(frozen=True)
class Quality:
    """A quality setting.

    Attributes:
        value: 1..100.
        is_exact: Whether the table is the one that this setting gives; else it is the nearest.
    """

    value: int
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.value}" if self.is_exact else f"about {self.value}"


def estimated_quality(table: ArrayLike, *, is_chroma: bool = False) -> Quality:
    """The setting of libjpeg's `jpeg_set_quality` whose table is nearest to this one.

    Nearest by the mean of `|log(step / step of that setting)|`, so that coarse steps do not outweigh fine ones. Encoders with
    tables of their own (cameras, Photoshop, mozjpeg) have no such setting; for them the number is a hint.

    Args:
        table: `[64]`, steps 1..65535, row-major.
        is_chroma: Whether it is compared to the table for colour differences.

    Raises:
        ValueError: Not 64 steps of at least 1.

    Source: ITU-T T.81, Annex K.1; libjpeg, jcparam.c, jpeg_quality_scaling.
    """
    steps = np.asarray(table, np.float64).reshape(-1)
    if steps.shape != (64,) or (steps < 1).any():
        raise ValueError("a quantisation table has 64 steps of 1 and more")
    candidates = _tables(_CHROMINANCE if is_chroma else _LUMINANCE)
    distance = np.abs(np.log(steps) - np.log(candidates)).mean(axis=1)
    # Of settings with equal tables (the best for chroma) the highest is named: that is what a user is likely to have asked for.
    best = 99 - int(np.argmin(distance[::-1]))
    return Quality(best + 1, bool(distance[best] == 0))


def _tables(text: str) -> NDArray[np.float64]:
    """`[100, 64]`: the tables of settings 1 to 100, steps kept to 1..255 as baseline files have them."""
    basic = np.array(text.split(), np.int64)
    settings = np.arange(1, 101)
    scale = np.where(settings < 50, 5000 // settings, 200 - 2 * settings)
    return np.clip((basic * scale[:, None] + 50) // 100, 1, 255).astype(np.float64)
