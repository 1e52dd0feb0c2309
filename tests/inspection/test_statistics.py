"""`measure_source` gives what `T.Normalize` needs, with energy and bits, from files and from shards alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.shard_sets import image_folder, images_of

pytest.importorskip("torch")

import dctload
from dctload import transforms as T
from dctload.inspection import channel_bytes, measure_source
from dctload.ops import unpack
from dctload.transforms.statistics import measure


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_folder(tmp_path_factory.mktemp("statistics"), 20)


def test_mean_and_std_are_those_of_all_blocks_at_once(folder: Path) -> None:
    found = measure_source(folder, resize=64, crop=32)
    packed = dctload.extract(images_of(folder), "all")
    x = T.Compose([T.Resize(64), T.CenterCrop(32)])(unpack(packed), channels="all")
    blocks = x.permute(1, 0, 2, 3).flatten(1).double().numpy()
    np.testing.assert_allclose(found.channels.mean, blocks.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(found.channels.std, blocks.std(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.energy, (blocks**2).mean(axis=1), rtol=1e-9)


def test_bits_are_bytes_of_the_channels_over_their_coefficients(folder: Path) -> None:
    found = measure_source(folder, resize=64, crop=32)
    images = [dctload.read_coefficients(path) for path in images_of(folder)]
    nbytes = sum(channel_bytes(image)[0] for image in images)
    values = sum(image.planes[0][0].size for image in images)
    np.testing.assert_allclose(found.bits[:64], 8 * nbytes / values)


def test_the_file_is_the_one_of_the_statistics_module_with_two_numbers_more(folder: Path, tmp_path: Path) -> None:
    found = measure_source(folder, resize=64, crop=32)
    found.save(tmp_path / "a.json")
    plain, _ = measure(images_of(folder), T.Compose([T.Resize(64), T.CenterCrop(32)]))
    plain.save(tmp_path / "b.json", found.how)
    ours, theirs = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert set(ours) - set(theirs) == {"energy", "bits"}
    assert {name: ours[name] for name in theirs} == theirs
    found.save(tmp_path / "sub" / "a.json")
    assert (tmp_path / "sub" / "a.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    step = T.Normalize(str(tmp_path / "a.json"))
    np.testing.assert_array_equal(step._mean, found.channels.mean)


def test_shards_give_what_their_files_give(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from dctload import shards

    shards.extract(folder, tmp_path / "all.dct", channels="all", workers=1)
    a, b = (measure_source(source, resize=64, crop=32, limit=7) for source in (folder, tmp_path / "all.dct"))
    assert a.channels.images == b.channels.images == 7
    np.testing.assert_array_equal(a.channels.std, b.channels.std)
    np.testing.assert_array_equal(a.bits, b.bits)
    shards.extract(folder, tmp_path / "few.dct", channels="24s", workers=1)
    with pytest.raises(ValueError, match="all 192 channels, this shard set holds 24s"):
        measure_source(tmp_path / "few.dct")


def test_bad_files_are_listed_and_the_others_counted(folder: Path) -> None:
    items = [(path, 0) for path in images_of(folder)[:5]]
    seen: list[tuple[int, int]] = []
    found = measure_source(
        [*items, (b"nonsense", 0)], resize=64, crop=32, progress=lambda done, total: seen.append((done, total))
    )
    assert found.channels.images == 5 and seen == [(6, 6)]
    ((_, reason),) = found.left_out
    assert "not a JPEG" in reason


def test_gray_images_have_no_cost_of_chroma(folder: Path) -> None:
    gray = [(path, 0) for path in images_of(folder) if dctload.read_header(path).color_space == "gray"]
    found = measure_source(gray, resize=64, crop=32)
    assert np.isnan(found.bits[64:]).all() and np.isfinite(found.bits[:64]).all()
    assert found.as_dict()["bits"][64] is None


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"limit": 0}, "limit is 1 or more"),
        ({"limit": -1}, "limit is 1 or more"),
        ({"crop": 30}, "crop is .* multiples of 8 pixels"),
        ({"crop": 0}, "crop is"),
        ({"resize": 0}, "resize is"),
        ({"resize": 10**20}, "resize is"),
        ({"workers": -1}, "workers is 0"),
    ],
)
def test_wrong_arguments_are_refused(folder: Path, wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        measure_source(folder, **wrong)
