"""Pictures are written, and show what they say: kept channels, numbers, colour and gray."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from support.shard_sets import image_folder, picture

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

import dctload
from dctload.inspection import inspect_image, measure_source, plot_image, plot_statistics
from dctload.inspection.plots import _pixels, _short


@pytest.fixture(params=[0, 2], ids=["4:2:0", "gray"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "a.jpg"
    file.write_bytes(picture(request.param))
    return file


def test_a_picture_of_an_image_is_written(path: Path, tmp_path: Path) -> None:
    plot_image(inspect_image(path), tmp_path / "sub" / "a.png", channels="6s")
    shown = np.asarray(Image.open(tmp_path / "sub" / "a.png").convert("RGB"))
    assert min(shown.shape[:2]) > 500 and len(np.unique(shown.reshape(-1, 3), axis=0)) > 50


def test_the_kept_channels_alone_make_the_second_picture(path: Path) -> None:
    image = dctload.read_coefficients(path)
    dc = dctload.ChannelSelection.parse("y:0")
    whole, few = _pixels(image, None), _pixels(image, dc)
    assert np.ptp(few[:8, :8], axis=(0, 1)).max() < 1e-5 < np.ptp(whole[:8, :8], axis=(0, 1)).max()
    assert np.ptp(few, axis=2).max() < 1e-5  # without chroma nothing has a colour


def test_with_all_channels_a_picture_shows_the_image(tmp_path: Path) -> None:
    y, x = np.mgrid[:60, :90]
    smooth = np.stack([2 * x, 3 * y, 200 - x - y], axis=2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    pixels = _pixels(dctload.read_coefficients(tmp_path / "a.jpg"), None)
    assert np.abs(pixels - np.asarray(Image.open(tmp_path / "a.jpg")) / 255).mean() < 0.006


def test_a_picture_of_statistics_is_written(tmp_path: Path) -> None:
    found = measure_source(image_folder(tmp_path / "src", 6), resize=64, crop=32)
    plot_statistics(found, tmp_path / "s.svg")
    assert (tmp_path / "s.svg").stat().st_size > 10000


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [b"$1_$.jpg", "日本.jpg".encode(), b"b\xe4r.jpg"], ids=["no formula", "no glyph", "no text"])
def test_any_name_of_a_file_can_be_a_title(name: bytes, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(name)
    file.write_bytes(picture(2))
    for target in ("a.png", "a.svg"):
        plot_image(inspect_image(file), tmp_path / target)
        assert (tmp_path / target).stat().st_size > 10000


def test_a_picture_has_the_name_that_was_asked_for(path: Path, tmp_path: Path) -> None:
    for name in ("picture", "picture.PNG"):
        plot_image(inspect_image(path), tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3


def test_where_no_picture_can_be_written_it_is_told(path: Path, tmp_path: Path) -> None:
    facts = inspect_image(path)
    with pytest.raises(ValueError, match=r"a\.xyz: there are no pictures that end in \.xyz"):
        plot_image(facts, tmp_path / "a.xyz")
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        plot_image(facts, tmp_path)
    for target in (path / "a.png", path / "b" / "a.png"):
        with pytest.raises(NotADirectoryError, match="is no folder"):
            plot_image(facts, target)


@pytest.mark.parametrize(
    "value, words",
    [(3.1e6, "3.1M"), (175000, "175k"), (9999, "9999"), (12.3, "12"), (3.44, "3.4"), (0.34, "0.34"), (0.012, ".012")],
)
def test_numbers_fit_their_cells(value: float, words: str) -> None:
    assert _short(value) == words


def test_four_components_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cmyk.jpg"
    Image.new("CMYK", (16, 16)).save(path)
    with pytest.raises(ValueError, match="4 components"):
        plot_image(inspect_image(path), tmp_path / "x.png")
