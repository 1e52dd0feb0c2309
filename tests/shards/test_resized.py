"""What is stored in another size or with coarser steps: float pixels resized and transformed, to within half a step."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")
torch = pytest.importorskip("torch")

import dctload
from dctload import DCTLoader, ops, shards
from dctload import transforms as T
from dctload.shards.resized import DEFAULT_STEP, Changer, Quantization, resized_size
from dctload.transforms.base import Transform
from support import jpeg_builder as jb
from support.real_files import DATA, needs_real_files
from support.shard_sets import files_of, image_folder, images_of

KEPT = dctload.ChannelSelection.parse("24s")
SMALL = 96  # stands for 512: the pictures of these tests are small


def planes_of(data: bytes) -> list[np.ndarray]:
    """float64 pixels of each component, level-shifted, in the file's own sampling: dequantised, inverse DCT, cut to size."""
    image = dctload.read_coefficients(data)
    k, n = np.mgrid[:8, :8]
    matrix = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    header, found = image.header, []
    for number, part in enumerate(header.components):
        blocks = image.dequantized(number).astype(np.float64).reshape(8, 8, part.block_rows, part.block_cols)
        pixels = np.einsum("vy,vurc,ux->rycx", matrix, blocks, matrix).reshape(8 * part.block_rows, 8 * part.block_cols)
        found.append(pixels[: -(-header.height * part.v // header.v_max), : -(-header.width * part.h // header.h_max)])
    return found


def by_pixels(data: bytes, size: int) -> np.ndarray:
    """float64 `[24, rows, cols]`: each component resized from its own samples with torch's antialiased triangle, then the DCT."""
    header = dctload.read_header(data)
    height, width = resized_size(header.height, header.width, size)
    k, n = np.mgrid[:8, :8]
    matrix = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    parts = []
    for plane, kept in zip(planes_of(data), (KEPT.y, KEPT.cb, KEPT.cr), strict=False):
        whole = torch.from_numpy(plane)[None, None]
        pixels = torch.nn.functional.interpolate(whole, (height, width), mode="bilinear", antialias=True)[0, 0].numpy()
        blocks = pixels.reshape(height // 8, 8, width // 8, 8)
        parts.append(np.einsum("vy,rycx,ux->vurc", matrix, blocks, matrix).reshape(64, height // 8, width // 8)[list(kept)])
    return np.concatenate(parts)


def stored_values(folder: Path, image: int) -> np.ndarray:
    planes = ops.unpack(shards.open(folder).read([image])).planes(0)
    return np.concatenate([plane.numpy() for plane in planes])


# --------------------------------------------------------------------------------------------------------------- resize


@pytest.mark.parametrize("step", [1, DEFAULT_STEP, 16])
def test_stored_coefficients_are_resized_pixels_to_half_a_step(tmp_path: Path, step: int) -> None:
    root = image_folder(tmp_path / "src", 8)  # 4:2:0, 4:4:4, gray, 4:2:2; sizes that 96 enlarges
    shards.extract(root, tmp_path / "a.dct", "24s", resize=SMALL, step=step)
    for i, path in enumerate(images_of(root)):
        got, want = stored_values(tmp_path / "a.dct", i), by_pixels(path.read_bytes(), SMALL)
        assert got.shape == want.shape
        rounding = 1e-6 * np.abs(want).max()  # float32: drawn coefficients go to 20,000, those of pictures to 1,000
        assert np.abs(got - want).max() <= step / 2 + 1e-3 + rounding, path.name
        assert np.abs(got - want).max() > step / 4  # the steps are as large as they are said to be


@needs_real_files
def test_real_photographs_are_resized_to_half_a_step(tmp_path: Path) -> None:
    paths = sorted((DATA / "imagenet-sample").glob("*.JPEG"))[::15]
    headers = {path: dctload.read_header(path) for path in paths}
    # The reference resizes whole planes; where chroma has half a sample more than luma, the picture is a little less than that.
    paths = [path for path, h in headers.items() if h.height % h.v_max == 0 and h.width % h.h_max == 0]
    assert {headers[path].subsampling for path in paths} >= {"4:4:4", "4:2:0"}
    shards.extract([(str(path), 0) for path in paths], tmp_path / "a.dct", "24s", resize=512)
    for i, path in enumerate(paths):
        got, want = stored_values(tmp_path / "a.dct", i), by_pixels(path.read_bytes(), 512)
        assert np.abs(got - want).max() <= DEFAULT_STEP / 2 + 1e-3, path.name


@pytest.mark.parametrize(
    "height, width, want",
    [(375, 500, (512, 688)), (500, 375, (688, 512)), (512, 512, (512, 512)), (100, 101, (512, 512)), (1, 3, (512, 1536))],
)
def test_sizes_are_whole_blocks_and_their_middle_begins_at_one(height: int, width: int, want: tuple[int, int]) -> None:
    assert resized_size(height, width, 512) == want
    assert all(side % 16 == 0 and (side - 448) // 2 % 8 == 0 for side in want)


def test_records_have_one_step_one_grid_and_the_orientation(tmp_path: Path) -> None:
    content = jb.content(64, 48, "4:2:0", seed=3)
    data = jb.encode(content).to_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    shards.extract([(data, 0)], tmp_path / "a.dct", "24s", resize=SMALL, step=2)
    header = shards.open(tmp_path / "a.dct").read([0]).header(0)
    assert header is not None and dctload.read_header(data).orientation == header.orientation == 6
    assert (header.height, header.width) == resized_size(
        *(dctload.read_header(data).height, dctload.read_header(data).width), SMALL
    )
    assert header.subsampling == "4:4:4" and {(c.block_rows, c.block_cols) for c in header.components} == {
        (header.height // 8, header.width // 8)
    }
    assert {int(step) for part in header.components for step in part.quantization} == {2}


def crops(source: Any, steps: list[Transform], **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a picture that needed other frequencies than are stored would warn
        loader = DCTLoader(source, batch_size=4, channels="24s", transform=T.Compose(steps), seed=5, **arguments)
        return torch.cat([x for x, _ in loader])


@pytest.mark.parametrize("crop", [T.RandomCrop(64, multiple=8), T.CenterCrop(64)])
def test_training_crops_and_flips_without_a_resize(tmp_path: Path, crop: Transform) -> None:
    """Of 24 stored channels, what the same draws give from the float pictures: rounding by half a step is all."""
    root = image_folder(tmp_path / "src", 8)
    shards.extract(root, tmp_path / "a.dct", "24s", resize=SMALL)
    shards.extract(root, tmp_path / "fine.dct", "all", resize=SMALL, step=1)
    flip = T.RandomHorizontalFlip()
    got, fine = crops(str(tmp_path / "a.dct"), [crop, flip]), crops(str(tmp_path / "fine.dct"), [crop, flip])
    assert got.shape == (8, 24, 8, 8)
    assert (got - fine).abs().max() <= DEFAULT_STEP / 2 + 0.5 + 1e-2
    set_, plan = shards.open(tmp_path / "a.dct"), T.Compose([crop, flip])
    flips = set()
    for i, path in enumerate(images_of(root)):
        header = set_.read([i]).header(0)
        assert header is not None
        drawn = plan.plan(header, 5, 0, i)
        flips.add(drawn.flipped[1])
        want = cropped(by_pixels(path.read_bytes(), SMALL), drawn.box, mirrored=drawn.flipped[1])
        rounding = 1e-6 * np.abs(want).max()
        assert np.abs(got[i, : len(want)].numpy() - want).max() <= DEFAULT_STEP / 2 + 1e-3 + rounding
    assert flips == {True, False}


def cropped(values: np.ndarray, box: tuple[float, float, float, float], *, mirrored: bool) -> np.ndarray:
    """The blocks of a box that begins at one; mirrored left to right."""
    top, left, height, width = (int(number) // 8 for number in box)
    out = values[:, top : top + height, left : left + width]
    odd = [1 - 2 * (frequency % 2) for kept in (KEPT.y, KEPT.cb, KEPT.cr) for frequency in kept]
    return out[:, :, ::-1] * np.array(odd[: len(out)])[:, None, None] if mirrored else out


def test_random_crops_at_any_pixel_need_all_frequencies(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 4)
    shards.extract(root, tmp_path / "a.dct", "24s", resize=SMALL)
    shards.extract(root, tmp_path / "all.dct", "all", resize=SMALL, step=1)
    steps = [T.RandomCrop(64), T.RandomHorizontalFlip()]
    with pytest.raises(UserWarning, match="native frequencies"):
        crops(str(tmp_path / "a.dct"), steps)
    got = crops(str(tmp_path / "all.dct"), steps)
    shards.extract(root, tmp_path / "coarse.dct", "all", resize=SMALL, step=4)
    coarse = crops(str(tmp_path / "coarse.dct"), steps)
    assert float((got - coarse).square().mean().sqrt()) <= 4 / np.sqrt(12) + 0.5  # moved pixels keep the energy of the rounding


# ----------------------------------------------------------------------------------------------------- as a shard set


def test_the_manifest_says_what_was_done_and_how_to_do_it_again(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 4)
    for name, arguments, words in (
        ("a", {"resize": SMALL}, f"resize {SMALL} step {DEFAULT_STEP}"),
        ("b", {"resize": SMALL, "step": 8}, f"resize {SMALL} step 8"),
        ("c", {"requantize": 4}, "requantize 4"),
        ("d", {}, "source"),
    ):
        summary = shards.extract(root, tmp_path / name, "24s", **arguments)  # type: ignore[arg-type]
        manifest = shards.open(tmp_path / name).manifest
        assert manifest.quantization == words and str(Quantization.parse(words)) == words
        options = Quantization.parse(words).options
        assert all(f"--{option} {value}" in manifest.command for option, value in options.items())
        assert ("--" + "resize" in manifest.command) == ("resize" in arguments)
        assert bool(summary.notes) == ("resize" not in arguments)
        assert shards.verify(tmp_path / name).ok


def test_bytes_do_not_depend_on_threads_or_interruption(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src")
    for workers in (1, 3):
        shards.extract(root, tmp_path / f"{workers}.dct", "24s", workers, "8KiB", resize=SMALL)
    for part in ("2/2", "1/2"):
        shards.extract(root, tmp_path / "parts.dct", "24s", shard_size="8KiB", part=part, resize=SMALL)
    shards.merge(tmp_path / "parts.dct")
    assert files_of(tmp_path / "1.dct") == files_of(tmp_path / "3.dct") == files_of(tmp_path / "parts.dct")


def test_going_on_with_another_step_is_refused(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 4)
    shards.extract(root, tmp_path / "a.dct", "24s", resize=SMALL)
    with pytest.raises(ValueError, match=f"quantization was resize {SMALL} step {DEFAULT_STEP} and is resize {SMALL} step 2"):
        shards.extract(root, tmp_path / "a.dct", "24s", resume=True, resize=SMALL, step=2)


def test_images_that_cannot_be_resized_fail_by_name_and_others_stay(tmp_path: Path) -> None:
    cmyk = jb.encode(jb.content(32, 32, ((1, 1),) * 4, seed=1)).to_bytes()
    good = [path.read_bytes() for path in images_of(image_folder(tmp_path / "src", 2))]
    sources = [(good[0], 0), (cmyk, 1), (b"no image", 2), (good[1], 3)]
    with pytest.raises(dctload.JPEGError, match="CMYK"):
        shards.extract(sources, tmp_path / "a.dct", "24s", resize=SMALL)
    summary = shards.extract(sources, tmp_path / "b.dct", "24s", on_error="skip", resize=SMALL)
    assert [code for _, code, _ in summary.failed] == ["color_space", "not_jpeg"]
    assert shards.open(tmp_path / "b.dct").targets.tolist() == [0, 3] and shards.verify(tmp_path / "b.dct").ok
    for i, data in enumerate(good):
        assert np.abs(stored_values(tmp_path / "b.dct", i) - by_pixels(data, SMALL)).max() <= DEFAULT_STEP / 2 + 1e-3


@pytest.mark.parametrize("change", [{"resize": SMALL}, {"requantize": 16}])
@pytest.mark.parametrize("status", ["truncated", "damaged"])
def test_a_picture_that_came_in_part_says_so_in_its_record(tmp_path: Path, change: dict[str, int], status: str) -> None:
    whole = jb.encode(jb.content(64, 48, "4:2:0", seed=3), restart_interval=2).to_bytes()
    end = {"truncated": b"", "damaged": whole[whole.index(b"\xff\xd3") :]}[status]
    sources = [(whole, 0), (whole[: whole.index(b"\xff\xd1")] + end, 0)]
    shards.extract(sources, tmp_path / "a.dct", "24s", truncated="keep", **change)  # type: ignore[arg-type]
    s = shards.open(tmp_path / "a.dct")
    before = dctload.read_coefficients(sources[1][0], truncated="keep")
    assert 0 < before.valid_mcus < before.header.num_mcus and before.status == status
    packed = s.read([0, 1])
    assert packed.status == ("ok", status) and s.column("status").to_pylist() == ["ok", status]
    image = dctload.unpack_reference(packed)[1]
    assert image is not None
    assert image.valid_mcus == before.valid_mcus * image.header.num_mcus // before.header.num_mcus
    assert shards.verify(tmp_path / "a.dct").ok  # its checksums are those of what it says


def test_an_image_too_long_to_be_resized_says_what_helps(tmp_path: Path) -> None:
    long = jb.encode(jb.content(1400, 8, "gray", seed=1)).to_bytes()
    with pytest.raises(dctload.LimitExceeded, match=r"holds up to 65535 a side; take a smaller resize, or pass on_error"):
        shards.extract([(long, 0)], tmp_path / "a.dct", "24s", resize=512)


def test_images_that_went_by_their_pixels_are_resized_too(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    drawing = io.BytesIO()
    image_module.fromarray(np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)).save(drawing, "PNG")
    for count in (1, 2):  # one alone is a batch of its own
        folder = tmp_path / f"{count}.dct"
        shards.extract([(drawing.getvalue(), 0)] * count, folder, "24s", fallback="transcode", resize=SMALL)
        header = shards.open(folder).read([count - 1]).header(0)
        assert header is not None and (header.height, header.width) == resized_size(40, 56, SMALL)
        assert shards.verify(folder).ok


# ---------------------------------------------------------------------------------------------------------- requantize


def test_requantized_coefficients_are_nearest_multiples_of_the_coarser_step(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 4)
    shards.extract(root, tmp_path / "a.dct", "all", requantize=24)
    batch = dctload.unpack_reference(shards.open(tmp_path / "a.dct").read(range(4)))
    coarsened = kept = 0
    for image, path in zip(batch, images_of(root), strict=True):
        source = dctload.read_coefficients(path)
        assert image is not None
        for k, (part, old) in enumerate(zip(image.header.components, source.header.components, strict=True)):
            np.testing.assert_array_equal(part.quantization, np.maximum(old.quantization, 24))
            same = old.quantization >= 24
            np.testing.assert_array_equal(image.planes[k][same], source.planes[k][same])
            error = np.abs(image.dequantized(k) - source.dequantized(k))
            assert (error <= part.quantization[:, None, None] / 2).all()
            coarsened, kept = coarsened + int((~same).sum()), kept + int(same.sum())
        assert (image.header.subsampling, image.header.width) == (source.header.subsampling, source.header.width)
    assert coarsened and kept


def test_a_requantized_subset_holds_the_same_values(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 4)
    for channels in ("24s", "all"):
        shards.extract(root, tmp_path / channels, channels, requantize=16)
    few, all_ = (shards.open(tmp_path / channels).read(range(4)) for channels in ("24s", "all"))
    assert bytes(all_.select("24s").buffer) == bytes(few.buffer)


# ------------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    "wrong",
    [
        {"resize": 500},
        {"resize": 0},
        {"step": 4},
        {"resize": 512, "step": 0},
        {"resize": 512, "requantize": 4},
        {"requantize": 256},
        {"resize": 65536},
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        shards.extract(image_folder(tmp_path / "src", 2), tmp_path / "a.dct", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "a.dct").exists()


def test_words_of_a_newer_release_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown to this release"):
        Quantization.parse("resize 512 step 2 dither 1")


def test_nothing_to_change_is_an_empty_batch() -> None:
    packed, errors = Changer(Quantization(requantize=4), KEPT, 1).changed([])
    assert len(packed) == 0 and errors == {}


def test_default_is_the_files_own(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "src", 2)
    shards.extract(root, tmp_path / "a.dct", "all")
    assert json.loads((tmp_path / "a.dct" / "manifest.json").read_text())["quantization"] == "source"
    want = dctload.extract(images_of(root), "all")
    assert bytes(shards.open(tmp_path / "a.dct").read([0, 1]).buffer) == bytes(want.buffer)
