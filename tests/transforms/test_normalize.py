"""Normalize, and the statistics that it reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dctload import transforms as T
from dctload.transforms.statistics import ChannelStatistics, measure
from support import pixels as px
from support.real_files import DATA, SHARED, needs_real_files

FILE = px.built(56, 40, seed=3)


def test_the_preset_is_the_measured_one() -> None:
    plain = T.Compose([])(px.batch(FILE))
    x = T.Compose([T.Normalize("imagenet")])(px.batch(FILE))
    # DC of Y: mean -80.9, std 502; Y(0,1): std 78
    assert abs(float((plain[0, 0] - x[0, 0] * 502).mean()) + 80.9) < 2
    assert 77 < float((plain[0, 1] / x[0, 1]).median()) < 79
    assert "imagenet" in T.Normalize.presets()


@needs_real_files
def test_the_preset_holds_the_numbers_of_the_design_page() -> None:
    page = json.loads((SHARED / "design" / "normalize-sample.json").read_text())
    step = T.Normalize("imagenet")
    for mine, name in ((step._mean, "mean"), (step._std, "std")):
        assert np.array_equal(mine, np.concatenate([page[name][part] for part in ("Y", "Cb", "Cr")]))


# Of calmevtime/DCTNet, classification/datasets/__init__.py, train_upscaled_static_mean and _std, by place in their lists of 192.
PUBLISHED_MEAN = {0: -8.8397e01, 1: 1.4242e-02, 8: 4.4380e-01, 63: 2.3114e-03, 64: -5.8709e01, 72: 1.3488e-01, 128: 3.2116e01}
PUBLISHED_STD = {0: 259.96, 1: 2.7776, 8: 3.9907, 9: 0.5662, 63: 0.22195, 64: 81.161, 72: 0.78728, 128: 75.848, 137: 0.094832}
# The places that their NormalizeDCT picks for 24 channels: subset_channel_index["24"], Cb 64 and Cr 128 further on.
PUBLISHED_24 = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27, 64, 65, 72, 73, 128, 129, 136, 137]


def test_dctnets_preset_holds_the_published_figures_in_the_published_order() -> None:
    step = T.Normalize("dctnet")
    assert step._mean.shape == step._std.shape == (192,)
    for figures, mine in ((PUBLISHED_MEAN, step._mean), (PUBLISHED_STD, step._std)):
        for place, figure in figures.items():
            assert mine[place] == pytest.approx(figure, rel=1e-9), place
    # As the design says of them: means of the coefficients, but the spread of each image's mean, far below the pooled one.
    pooled = T.Normalize("imagenet")
    dc = [0, 64, 128]
    assert (np.sign(step._mean[dc]) == np.sign(pooled._mean[dc])).all()
    assert (step._std[dc] / pooled._std[dc] > 0.4).all() and (step._std[dc] / pooled._std[dc] < 0.8).all()
    gain = (pooled._std / step._std).reshape(3, 64)
    assert 12 < gain[0, 1] / gain[0, 0] < 18 and 30 < gain[0, 9] / gain[0, 0] < 40


def test_dctnets_preset_gives_24_channels_the_entries_that_their_code_picks() -> None:
    d, step = px.batch(FILE), T.Normalize("dctnet")
    plain = T.Compose([])(d, channels="24s").double()
    got = T.Compose([step])(d, channels="24s")
    for channel, place in enumerate(PUBLISHED_24):
        want = (plain[:, channel] - step._mean[place]) / step._std[place]
        torch.testing.assert_close(got[:, channel].double(), want, rtol=1e-5, atol=1e-3)
    first = (plain[:, [0, 16, 20]] - torch.tensor([-88.397, -58.709, 32.116])[:, None, None].double()) / torch.tensor(
        [259.96, 81.161, 75.848], dtype=torch.float64
    )[:, None, None]
    torch.testing.assert_close(got[:, [0, 16, 20]].double(), first, rtol=1e-5, atol=1e-4)
    with pytest.raises(ValueError, match="RGB pixels"):
        T.Compose([step])(d, output="rgb")


def test_numbers_by_frequency_by_channel_and_of_pixels() -> None:
    d, plain = px.batch(FILE), T.Compose([])(px.batch(FILE), channels="24s")
    s = px.dctload.ChannelSelection.parse("24s")
    places = [*s.y, *(64 + f for f in s.cb), *(128 + f for f in s.cr)]
    mean, std = np.arange(192.0), np.arange(1.0, 193.0)
    want = (plain - torch.tensor(mean[places])[:, None, None]) / torch.tensor(std[places])[:, None, None]
    for step in (T.Normalize(mean, std), T.Normalize(mean[places].tolist(), std[places].tolist())):
        torch.testing.assert_close(T.Compose([step])(d, channels="24s"), want.float(), rtol=1e-5, atol=1e-4)
    pixels = T.Compose([])(d, output="rgb")
    got = T.Compose([T.Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])])(d, output="rgb")
    for k in range(3):
        torch.testing.assert_close(got[:, k], (pixels[:, k] - 0.1 * (k + 1)) / (0.5 + 0.1 * k), rtol=1e-4, atol=1e-5)
    twice = T.Compose([T.Normalize(mean, std), T.Normalize(mean, std)])(d)
    once = T.Compose([T.Normalize(mean, std)])(d)
    want = (once - torch.tensor(mean).float()[:, None, None]) / torch.tensor(std).float()[:, None, None]
    torch.testing.assert_close(twice, want, rtol=1e-4, atol=1e-4)


def test_pixels_are_clamped_before_they_are_normalised() -> None:
    steps = [T.ColorJitter(contrast=(9.0, 9.0)), T.Normalize("imagenet")]
    got = T.Compose(steps)(px.batch(FILE), output="rgb")[0]
    for k, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        assert abs(float(got[k].max()) - (1 - mean) / std) < 1e-5 and abs(float(got[k].min()) + mean / std) < 1e-5


def test_a_gray_image_is_normalised_from_zero_chroma() -> None:
    step = T.Normalize("imagenet")
    got = T.Compose([step])(px.batch(px.built(32, 32, "gray")))
    want = torch.tensor(-step._mean[64:] / step._std[64:]).float()[:, None, None]
    torch.testing.assert_close(got[0, 64:], want.expand(128, 4, 4))


@pytest.mark.parametrize(
    "arguments,error,words",
    [
        (("imagenette",), ValueError, "no preset and no file"),
        (("imagenet", [1.0]), TypeError, "alone"),
        (([1.0, 2.0],), TypeError, "mean and std"),
        (([1.0, 2.0], [1.0]), ValueError, "equal length"),
        (([1.0], [0.0]), ValueError, "greater than 0"),
        (([float("nan")], [1.0]), ValueError, "finite"),
    ],
)
def test_wrong_arguments_are_refused_in_words(arguments, error, words) -> None:
    with pytest.raises(error, match=words):
        T.Normalize(*arguments)


def test_numbers_that_fit_nothing_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass 24, or 192"):
        T.Compose([T.Normalize([0.0] * 5, [1.0] * 5)])(px.batch(FILE), channels="24s")
    with pytest.raises(ValueError, match="pixels have 3 channels"):
        T.Compose([T.Normalize([0.0] * 192, [1.0] * 192)])(px.batch(FILE), output="rgb")
    few = {part: [1.0] * 8 for part in ("Y", "Cb", "Cr")}  # 24 numbers must not pass for those of 24 channels
    for text in ('{"mean": {}}', "no JSON", "[]", json.dumps({"mean": few, "std": few})):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(ValueError, match="no statistics file"):
            T.Normalize(tmp_path / "odd.json")


def test_any_path_names_a_statistics_file(tmp_path: Path) -> None:
    class Named:
        def __fspath__(self) -> str:
            return str(tmp_path / "s.json")

    statistics = ChannelStatistics()
    statistics.update(torch.randn(2, 192, 3, 3))
    statistics.save(Named(), "noise")
    np.testing.assert_array_equal(T.Normalize(Named())._std, statistics.std)


# ---------------------------------------------------------------------------------------------------------- statistics


def test_statistics_are_those_of_all_blocks_together_in_any_order(tmp_path: Path) -> None:
    x = torch.randn(7, 192, 3, 5, dtype=torch.float64) * torch.arange(1, 193)[:, None, None] + 1000
    whole, parts = ChannelStatistics(), [ChannelStatistics() for _ in range(3)]
    whole.update(x)
    for part, where in zip(parts, (slice(0, 1), slice(1, 5), slice(5, 7)), strict=True):
        part.update(x[where])
    for part in reversed(parts[1:]):
        parts[0].merge(part)
    pooled = x.permute(1, 0, 2, 3).flatten(1)
    for got in (whole, parts[0]):
        np.testing.assert_allclose(got.mean, pooled.mean(1), rtol=1e-12)
        np.testing.assert_allclose(got.std, pooled.std(1, correction=0), rtol=1e-10)
        assert got.images == 7 and got.count == 105
    whole.save(tmp_path / "s.json", "seven images of noise")
    step = T.Normalize(tmp_path / "s.json")
    np.testing.assert_array_equal(step._mean, whole.mean)
    np.testing.assert_array_equal(step._std, whole.std)
    assert json.loads((tmp_path / "s.json").read_text())["how"] == "seven images of noise"
    with pytest.raises(ValueError, match="RGB pixels"):
        T.Compose([step])(px.batch(FILE), output="rgb")


def test_statistics_refuse_what_they_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="all 192 channels"):
        ChannelStatistics().update(torch.zeros(1, 24, 2, 2))
    with pytest.raises(ValueError, match="no image"):
        ChannelStatistics().save(tmp_path / "s.json", "nothing")
    gray = ChannelStatistics()
    gray.update(T.Compose([])(px.batch(px.built(64, 64, "gray"))))
    with pytest.raises(ValueError, match="same in every block"):
        gray.save(tmp_path / "s.json", "gray")


def test_files_that_cannot_be_used_are_left_out_by_name(tmp_path: Path) -> None:
    for name, data in (("0", px.built(56, 40, seed=0)), ("bad", b"no picture"), ("four", px.built(40, 40, "four"))):
        (tmp_path / f"{name}.jpg").write_bytes(data)
    files, seen = [tmp_path / f"{name}.jpg" for name in ("bad", "0", "four")], []
    steps = T.Compose([T.Resize(40), T.CenterCrop(32)])
    statistics, left_out = measure(files, steps, batch_size=2, num_threads=1, advance=seen.append)
    assert seen == [2, 1] and statistics.images == 1
    assert [line.split(": ")[0] for line in left_out] == [str(files[0]), str(files[2])] and "4 components" in left_out[1]
    pooled = steps(px.batch(px.built(56, 40, seed=0))).double()
    np.testing.assert_allclose(statistics.mean, pooled.mean(dim=(0, 2, 3)), rtol=1e-6, atol=1e-6)


@needs_real_files
@pytest.mark.slow
def test_statistics_of_imagenet_sample_are_those_of_the_design_page() -> None:
    page = json.loads((SHARED / "design" / "normalize-sample.json").read_text())["subset_180"]
    files = sorted((DATA / "imagenet-sample").rglob("*.JPEG"))
    assert len(files) == page["files"]
    statistics, left_out = measure(files, T.Compose([T.Resize(512), T.CenterCrop(448)]))
    assert not left_out and statistics.count == page["blocks_per_component"]
    mean, std = (np.concatenate([page[name][part] for part in ("Y", "Cb", "Cr")]) for name in ("mean", "std"))
    np.testing.assert_allclose(statistics.std, std, rtol=1e-4)
    np.testing.assert_allclose(statistics.mean, mean, rtol=0, atol=1e-3)
