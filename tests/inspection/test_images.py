"""`inspect` says what a file, a set and an image of a set hold."""

from __future__ import annotations

import json
import os
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


def test_a_file_that_no_record_can_hold_is_named(tmp_path: Path) -> None:
    data = bytearray(picture(0))
    data[data.index(b"\xff\xdb") + 5 + 63] = 0  # a step of the first table
    (tmp_path / "zero.jpg").write_bytes(data)
    with pytest.raises(dctload.JPEGError, match=r"^\S+zero\.jpg: a quantisation table has .* a step of 0") as caught:
        inspect(tmp_path / "zero.jpg")
    assert caught.value.source == str(tmp_path / "zero.jpg") and "on_error" not in str(caught.value)


def test_a_pipe_is_a_file(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as file:
        file.write(picture(0))
    facts = inspect(f"/dev/fd/{read}")
    os.close(read)
    assert isinstance(facts, ImageFacts) and facts.source_bytes == len(picture(0))


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
    for absent in ("nothing.jpg", "", "²"):
        with pytest.raises(ValueError, match="no image with the key"):
            inspect(path, image=absent)


def test_a_key_that_looks_like_a_number_is_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    from dctload import shards

    monkeypatch.chdir(tmp_path)
    names = ["3", "0006", "1", "7"]
    for k, name in enumerate(names):
        Path(name).write_bytes(picture(k))
    shards.extract([(name, 0) for name in names], "a.dct", workers=1)
    for image, place in (("3", 0), (3, 3), ("0006", 1), ("1", 2), (1, 1), ("2", 2), ("0", 0)):
        assert inspect("a.dct", image=image).name == f"a.dct: {names[place]}"
    with pytest.raises(ValueError, match="0 to 3, not 6"):
        inspect("a.dct", image="6")


def test_a_set_without_images_has_facts_and_no_image(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from dctload import shards

    shards.extract([(b"nonsense", 0)], tmp_path / "a.dct", on_error="skip", workers=1)
    facts = inspect(tmp_path / "a.dct")
    assert isinstance(facts, SetFacts) and (facts.looked_at, facts.widths, facts.kinds) == (0, (0, 0.0, 0), {})
    for image in (0, "a.jpg"):
        with pytest.raises(ValueError, match="holds no image"):
            inspect(tmp_path / "a.dct", image=image)
