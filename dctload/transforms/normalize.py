"""Normalisation: by statistics of coefficients, or of RGB pixels."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture

Float = NDArray[np.float64]
Numbers = Sequence[float] | NDArray[np.floating]

# A folder of JSON files: "how" in words, "mean" and "std" with 64 numbers for each of "Y", "Cb", "Cr", "rgb_mean", "rgb_std".
_PRESETS = "presets"


class Normalize(Transform):
    """`(x - mean) / std` by channel; the last step of most pipelines.

    Args:
        mean: A preset's name, a statistics file (JSON, as `dctload stats` writes it), or numbers: 192 by
            frequency (Y, Cb, Cr x 64, row-major), one a kept channel, or three for pixels. `"imagenet"` are coefficients after
            Resize(512) and CenterCrop(448), pooled over 1000 images, and of pixels the usual RGB mean and std; `"dctnet"` are
            the figures published with the code of Xu et al. (CVPR 2020), for their weights.
        std: Numbers, as many as `mean`.
    """

    def __init__(self, mean: str | os.PathLike[str] | Numbers, std: Numbers | None = None) -> None:
        self._name: str | None = None
        self._pixel: tuple[Float, Float] | None = None
        if isinstance(mean, (str, os.PathLike)):
            if std is not None:
                raise TypeError("Normalize takes a preset or a file alone, or mean and std")
            self._name = os.fspath(mean)
            self._mean, self._std, self._pixel = _read(self._name)
        else:
            if std is None:
                raise TypeError('Normalize takes a preset ("imagenet"), a statistics file, or mean and std')
            self._mean, self._std = np.array(mean, np.float64), np.array(std, np.float64)
        if self._mean.shape != self._std.shape or self._mean.ndim != 1:
            raise ValueError(f"mean and std are lists of equal length, not of shape {self._mean.shape} and {self._std.shape}")
        if not (np.isfinite(self._mean).all() and (self._std > 0).all() and np.isfinite(self._std).all()):
            raise ValueError("mean is finite and std is greater than 0; one of them is not")

    @staticmethod
    def presets() -> list[str]:
        """Names of the presets."""
        folder = resources.files(__package__) / _PRESETS
        return sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))

    def apply(self, picture: Picture, draws: Draws) -> None:
        picture.normalize(*self._of(picture))

    def _of(self, picture: Picture) -> tuple[Float, Float]:
        if picture.is_pixels:
            if self._name is not None:
                if self._pixel is None:
                    raise ValueError(f"{self._name} has no statistics of RGB pixels; pass mean and std of three numbers")
                return self._pixel
            if len(self._mean) != 3:
                raise ValueError(f"pixels have 3 channels, Normalize has {len(self._mean)}")
            return self._mean, self._std
        count = len(picture.components)
        if len(self._mean) == 192:
            places = 64 * picture.components + picture.frequencies
            return self._mean[places], self._std[places]
        if len(self._mean) == count:
            return self._mean, self._std
        raise ValueError(
            f"Normalize has {len(self._mean)} numbers, the picture {count} channels; pass {count}, or 192 by frequency"
        )

    def __repr__(self) -> str:
        return f"Normalize({self._name!r})" if self._name is not None else f"Normalize({len(self._mean)} channels)"


def _read(name: str) -> tuple[Float, Float, tuple[Float, Float] | None]:
    if name in Normalize.presets():
        text = (resources.files(__package__) / _PRESETS / f"{name}.json").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise ValueError(f"no preset and no file is called {name!r}; the presets are {', '.join(Normalize.presets())}")
    try:
        data = json.loads(text)
        mean, std = (np.array([data[key][part] for part in ("Y", "Cb", "Cr")], np.float64) for key in ("mean", "std"))
        pixel = (np.array(data["rgb_mean"]), np.array(data["rgb_std"])) if "rgb_mean" in data else None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is no statistics file: {error!r}; dctload stats writes one") from None
    if mean.shape != (3, 64) or std.shape != (3, 64):
        raise ValueError(f"{name} is no statistics file: mean and std are 64 numbers for each of Y, Cb and Cr")
    return mean.reshape(192), std.reshape(192), pixel
