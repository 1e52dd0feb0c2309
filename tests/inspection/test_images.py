"""`inspect` says what a file, a set and an image of a set hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dctload
from dctload.inspection import ImageFacts, SetFacts, channel_bytes, inspect, inspect_image
from support.shard_sets import image_folder, images_of, picture


def test_the_facts_of_a_file_are_those_of_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(0))
    facts, header = inspect_image(path), dctload.read_header(path)
    plain = facts.as_dict()
    assert (plain["width"], plain["height"], plain["subsampling"]) == (header.width, header.height, header.subsampling)
    assert [c["name"] for c in plain["components"]] == ["Y", "Cb", "Cr"]
    assert plain["components"][0]["quantization"] == header.components[0].quantization.tolist()
    assert plain["source_bytes"] == len(picture(0)) and json.loads(json.dumps(plain)) == plain
    for name in ("24s", "64s", "all"):
        assert plain["packed_bytes"][name] == len(dctload.extract([path], name).image_bytes(0))


def test_energy_is_the_mean_square_of_dequantised_coefficients(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(1))
    facts, image = inspect_image(path), dctload.read_coefficients(path)
    for k, component in enumerate(facts.components):
        want = (image.dequantized(k).astype(np.float64) ** 2).mean(axis=(1, 2))
        np.testing.assert_allclose(component.energy, want)


def test_what_came_of_a_cut_file_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(picture(0)[:-400])
    facts = inspect_image(path)
    assert facts.coefficients.status == "truncated" and facts.as_dict()["warnings"]


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_bytes(b"nonsense")
    with pytest.raises(dctload.JPEGError, match=r"text\.jpg: this is not a JPEG") as caught:
        inspect(path)
    assert caught.value.source == str(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        inspect(tmp_path / "absent.jpg")
    with pytest.raises(ValueError, match="out of a shard set"):
        inspect(path, image=0)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("pyarrow")
    from dctload import shards

    root = tmp_path_factory.mktemp("sets")
    folder = image_folder(root / "src", 12)
    shards.extract(folder, root / "a.dct", channels="64s", shard_size="8KiB", workers=1)
    return folder, root / "a.dct"


def test_a_set_is_measured_by_its_images(stored: tuple[Path, Path]) -> None:
    folder, path = stored
    facts = inspect(path)
    assert isinstance(facts, SetFacts) and facts.looked_at == 12 and facts.selection.name == "64s"
    images = [dctload.read_coefficients(file, "64s") for file in images_of(folder)]
    widths = sorted(image.header.width for image in images)
    assert facts.widths == (widths[0], float(np.median(widths)), widths[-1])
    assert sum(facts.kinds.values()) == 12
    np.testing.assert_allclose(facts.nbytes[0], sum(channel_bytes(image)[0] for image in images) / 12)
    plain = facts.as_dict()
    assert plain["images"] == 12 and plain["shards"] == len(facts.manifest.shards) > 1
    assert json.loads(json.dumps(plain)) == plain


def test_an_image_of_a_set_by_number_and_by_key(stored: tuple[Path, Path]) -> None:
    folder, path = stored
    by_number, by_key = inspect(path, image=3), inspect(path, image="a/006.jpg")
    assert isinstance(by_number, ImageFacts) and isinstance(by_key, ImageFacts)
    want = dctload.read_coefficients(images_of(folder)[3], "64s")
    for a, b, c in zip(by_number.coefficients.planes, by_key.coefficients.planes, want.planes, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert set(by_number.packed_bytes) == {"24s", "64s"} and by_number.source_bytes is None
    with pytest.raises(ValueError, match="0 to 11"):
        inspect(path, image=12)
    with pytest.raises(ValueError, match="no image with the key"):
        inspect(path, image="nothing.jpg")
