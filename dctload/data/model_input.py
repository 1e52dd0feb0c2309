"""What a model's configuration says of its input: channels, and the pictures that it is evaluated on."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from typing import Any

from dctload.transforms.compose import Compose
from dctload.transforms.normalize import Normalize
from dctload.transforms.spatial import CenterCrop, Resize

_CROP = 0.875  # of the shorter side, as ImageNet models are evaluated: 224 of 256, 448 of 512
_BLOCK = 8


def channels_of(cfg: Any) -> Any:
    """`cfg.channels`, as `ChannelSelection.parse` takes it.

    Raises:
        ValueError: It has none.
    """
    return _fact(cfg, "channels", "channels=")


def evaluation_transform(cfg: Any) -> Compose:
    """Resize, centre crop and normalisation by `cfg.input_size` and `cfg.normalization`.

    The shorter side becomes the input's divided by 0.875, rounded to whole blocks: 512 for 448, 256 for 224.

    Args:
        cfg: An object with these attributes, or a mapping with these keys: `input_size`, pixels a side; `normalization`, what
            `Normalize` takes: a preset's name, a statistics file, or (mean, std).

    Raises:
        ValueError: One of the two is missing or of another kind.
    """
    given, statistics = (_fact(cfg, name, "transform=") for name in ("input_size", "normalization"))
    try:
        size = operator.index(given)
    except TypeError:
        size = 0
    if size < 1:
        raise ValueError(f"cfg.input_size is a whole number of pixels, not {given!r}; pass transform= instead")
    return Compose([Resize(_BLOCK * round(size / _CROP / _BLOCK)), CenterCrop(size), _normalize(statistics)])


def _normalize(statistics: Any) -> Normalize:
    if isinstance(statistics, (str, os.PathLike)):
        return Normalize(statistics)
    if isinstance(statistics, (tuple, list)) and len(statistics) == 2:
        return Normalize(*statistics)
    raise ValueError(f"cfg.normalization is a preset's name, a file or (mean, std), not {statistics!r}; pass transform= instead")


def _fact(cfg: Any, name: str, instead: str) -> Any:
    value = cfg.get(name) if isinstance(cfg, Mapping) else getattr(cfg, name, None)
    if value is None:
        raise ValueError(
            f"cfg has no {name}: it is a model's cfg, with channels, input_size and normalization; or pass {instead}"
        )
    return value
