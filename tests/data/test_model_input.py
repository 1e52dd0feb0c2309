"""A model's cfg: its channels, and the transform that it is evaluated with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the loader needs torch")

from dctload import DCTLoader
from dctload import transforms as T
from support import jpeg_builder as jb

PAIRS = [(jb.encode(jb.content(96, 80, "4:2:0", "natural", seed=i)).to_bytes(), i) for i in range(2)]


@pytest.mark.parametrize("kind", [dict, SimpleNamespace])
@pytest.mark.parametrize(("size", "resized"), [(448, 512), (224, 256), (8, 8), (104, 120)])
def test_a_models_cfg_gives_channels_and_the_evaluations_transform(kind: Any, size: int, resized: int) -> None:
    cfg = kind(channels="6s", input_size=size, normalization="imagenet")
    x, _ = next(iter(DCTLoader(PAIRS, 2, cfg=cfg)))
    steps = T.Compose([T.Resize(resized), T.CenterCrop(size), T.Normalize("imagenet")])
    want, _ = next(iter(DCTLoader(PAIRS, 2, channels="6s", transform=steps)))
    assert x.shape == (2, 6, size // 8, size // 8) and torch.equal(x, want)


def test_a_cfgs_normalization_may_be_numbers() -> None:
    cfg = SimpleNamespace(channels="6s", input_size=32, normalization=([1.0] * 6, [2.0] * 6))
    x, _ = next(iter(DCTLoader(PAIRS, 2, cfg=cfg)))
    plain, _ = next(iter(DCTLoader(PAIRS, 2, channels="6s", transform=[T.Resize(40), T.CenterCrop(32)])))
    assert torch.allclose(x, (plain - 1) / 2, atol=1e-4)


def test_what_is_given_goes_before_the_cfg() -> None:
    only_channels = SimpleNamespace(channels="6s")
    x, _ = next(iter(DCTLoader(PAIRS, 2, cfg=only_channels, transform=T.CenterCrop(16))))
    assert x.shape == (2, 6, 2, 2)
    no_channels = {"input_size": 32, "normalization": "imagenet"}
    x, _ = next(iter(DCTLoader(PAIRS, 2, cfg=no_channels, channels="12s")))
    assert x.shape == (2, 12, 4, 4)


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ({"input_size": 32, "normalization": "imagenet"}, "cfg has no channels.*pass channels="),
        (SimpleNamespace(channels="6s", normalization="imagenet"), "cfg has no input_size.*pass transform="),
        ({"channels": "6s", "input_size": 32}, "cfg has no normalization.*pass transform="),
        ({"channels": "6s", "input_size": 32.5, "normalization": "imagenet"}, "cfg.input_size is a whole number"),
        ({"channels": "6s", "input_size": 0, "normalization": "imagenet"}, "cfg.input_size is a whole number"),
        ({"channels": "6s", "input_size": 32, "normalization": [1.0]}, "cfg.normalization is a preset's name"),
        ({"channels": "6s", "input_size": 32, "normalization": "nowhere"}, "no preset and no file"),
        ("dct_resnet50", "cfg has no channels: it is a model's cfg"),
    ],
)
def test_a_cfg_that_lacks_something_says_what(cfg: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DCTLoader(PAIRS, 2, cfg=cfg)
