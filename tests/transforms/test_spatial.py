"""Resize, crop, flip, turn, pad and blur against the same on pixels, and the drawing rules of torchvision.transforms.v2."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import dctload
from dctload import ops
from dctload import transforms as T
from dctload.headers import Headers
from support import pixels as px
from support.real_files import DATA, names, needs_real_files

F = torch.nn.functional
SIZES = [(40, 56), (33, 47), (101, 64)]
MODES = ("constant", "edge", "reflect", "symmetric")


def shown(file, *steps, seed=0, **options):
    """`[192, rows, cols]`, or pixels."""
    return T.Compose(steps)(px.batch(file), seed, **options)[0]


def padded(picture, left, top, right, bottom, mode="constant", fill=0.0):
    """numpy's padding; constant holds the gray level `fill`."""
    sides = ((0, 0), (top, bottom), (left, right))
    if mode == "constant":
        out = np.pad(picture.numpy(), sides)
        out[0] = np.pad(picture[0].numpy(), sides[1:], constant_values=fill - 128)
        return torch.from_numpy(out)
    return torch.from_numpy(np.pad(picture.numpy(), sides, mode=mode))


def headers(height, width, count=1):
    """Of images of that size, without subsampling."""
    one = Headers.of([dctload.read_header(px.built(16, 16))] * count)
    return replace(one, height=np.full(count, height), width=np.full(count, width))


# ------------------------------------------------------------------------------------------------------------- resize


@pytest.mark.parametrize("height,width", SIZES)
@pytest.mark.parametrize("size", [(16, 24), (64, 96), (40, 56), (8, 8), (128, 16)])
def test_resize_equals_interpolate(height, width, size):
    file = px.built(width, height)
    assert px.difference(shown(file, T.Resize(size)), px.coefficients(px.resized(px.planes(file), size))) < 2e-3


@needs_real_files
def test_resize_of_photographs_equals_interpolate():
    chosen = [n for n in names("imagenet-sample", "ok") if dctload.read_header(DATA / n).color_space in ("ycbcr", "gray")][:3]
    assert chosen
    for name in chosen:
        file = DATA / name
        want = px.coefficients(px.resized(px.component(file)[None], (224, 160)))
        assert px.difference(shown(file, T.Resize((224, 160)))[:64], want) < 5e-3, name


@pytest.mark.parametrize(
    "height,width,size,want",
    [
        (333, 500, 256, (256, 384)),  # int(256 * 500 / 333)
        (500, 333, 256, (384, 256)),
        (3, 7, 5, (5, 11)),
        (100, 100, 64, (64, 64)),
        (1, 1000, 8, (8, 8000)),
    ],
)
def test_the_short_side_is_the_size_and_the_long_one_is_cut_to_a_whole_number(height, width, size, want):
    assert T.Compose([T.Resize(size)]).plan_batch(headers(height, width)).geometry.size == want


def test_max_size_bounds_the_long_side():
    # torchvision: long = int(256 * 500 / 333) = 384 > 300, so short = int(300 * 256 / 384)
    assert T.Compose([T.Resize(256, max_size=300)]).plan_batch(headers(333, 500)).geometry.size == (200, 300)
    assert T.Compose([T.Resize(256, max_size=500)]).plan_batch(headers(333, 500)).geometry.size == (256, 384)
    with pytest.raises(ValueError, match="max_size"):
        T.Resize(256, max_size=256)
    with pytest.raises(ValueError, match="max_size"):
        T.Resize((256, 300), max_size=400)


def test_chroma_comes_to_the_luma_grid_by_centred_siting():
    for layout, (width, height) in (("4:2:0", (45, 39)), ("4:2:2", (64, 33)), ("4:4:0", (37, 50)), ("4:1:1", (70, 24))):
        file = px.built(width, height, layout)
        header = dctload.read_header(file)
        got = shown(file, T.Resize((56, 40)))
        for k in (1, 2):
            samples, part = px.component(file, k), header.components[k]
            sides = []
            for n, count, image, own, most in (
                (56, samples.shape[0], height, part.v, header.v_max),
                (40, samples.shape[1], width, part.h, header.h_max),
            ):
                sides.append(px.axis_matrix(count, (0.0, image * own / most), n, (0, count), (0, count))[0])
            want = px.coefficients((sides[0] @ samples @ sides[1].T)[None])
            assert px.difference(got[64 * k : 64 * k + 64], want) < 2e-3, (layout, k)


# --------------------------------------------------------------------------------------------------------------- crops


@pytest.mark.parametrize("height,width", SIZES)
def test_center_crop_begins_where_torchvisions_does(height, width):
    file = px.built(width, height)
    size = (24, 32)
    top, left = round((height - size[0]) / 2.0), round((width - size[1]) / 2.0)  # halves to even, as Python rounds
    want = px.planes(file)[:, top : top + size[0], left : left + size[1]]
    assert px.difference(shown(file, T.CenterCrop(size)), px.coefficients(want)) < 1e-3


@pytest.mark.parametrize("height,width", [(20, 61), (61, 21), (19, 23), (33, 40)])
def test_center_crop_of_a_smaller_picture_pads_with_black(height, width):
    file = px.built(width, height)
    size = (40, 48)
    lack_y, lack_x = max(size[0] - height, 0), max(size[1] - width, 0)
    picture = padded(px.planes(file), lack_x // 2, lack_y // 2, (lack_x + 1) // 2, (lack_y + 1) // 2)
    top, left = round((picture.shape[1] - size[0]) / 2.0), round((picture.shape[2] - size[1]) / 2.0)
    want = picture[:, top : top + size[0], left : left + size[1]]
    assert px.difference(shown(file, T.CenterCrop(size)), px.coefficients(want)) < 1e-3


def test_resize_then_crop_looks_beyond_the_crop_and_crop_then_resize_does_not():
    file = px.built(61, 77)
    picture = px.planes(file)
    big = px.resized(picture, (80, int(61 * 80 / 77)))
    left = round((big.shape[2] - 48) / 2.0)
    got = shown(file, T.Resize((80, big.shape[2])), T.CenterCrop(48))
    assert px.difference(got, px.coefficients(big[:, 16:64, left : left + 48])) < 2e-3
    got = shown(file, T.CenterCrop(40), T.Resize((64, 24)))
    top, left = round((77 - 40) / 2.0), round((61 - 40) / 2.0)
    want = px.resized(picture[:, top : top + 40, left : left + 40], (64, 24))
    assert px.difference(got, px.coefficients(want)) < 2e-3


@pytest.mark.parametrize("seed", range(6))
def test_random_resized_crop_shows_the_box_that_its_plan_says(seed):
    file = px.built(90, 70, seed=seed)
    compose = T.Compose([T.RandomResizedCrop((40, 56)), T.RandomHorizontalFlip(), T.RandomVerticalFlip()])
    plan = compose.plan(dctload.read_header(file), seed=seed)
    top, left, height, width = (int(n) for n in plan.box)
    assert (top, left, height, width) == plan.box
    want = px.resized(px.planes(file)[:, top : top + height, left : left + width], (40, 56))
    want = want.flip([d for d, flipped in zip((1, 2), plan.flipped, strict=True) if flipped])
    assert px.difference(compose(px.batch(file), seed)[0], px.coefficients(want)) < 2e-3


def reference_boxes(height, width, scale, ratio, rng, count):
    """torchvision's RandomResizedCrop.get_params, word for word, with another generator."""
    out = []
    for _ in range(count):
        area = height * width
        low, high = math.log(ratio[0]), math.log(ratio[1])
        for _ in range(10):
            target = area * rng.uniform(*scale)
            aspect = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
            if 0 < w <= width and 0 < h <= height:
                out.append((rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w))
                break
        else:
            shape = width / height
            if shape < ratio[0]:
                w, h = width, round(width / ratio[0])
            elif shape > ratio[1]:
                w, h = round(height * ratio[1]), height
            else:
                w, h = width, height
            out.append(((height - h) // 2, (width - w) // 2, h, w))
    return np.array(out)


@pytest.mark.parametrize(
    "height,width,scale,ratio",
    [
        (333, 500, (0.08, 1.0), (3 / 4, 4 / 3)),
        (500, 120, (0.5, 1.0), (3 / 4, 4 / 3)),  # the fallback is common
        (64, 64, (0.2, 0.4), (0.5, 0.6)),
    ],
)
def test_random_resized_crop_draws_as_torchvision_does(height, width, scale, ratio):
    count = 20000
    step = T.RandomResizedCrop(8, scale, ratio)
    got = np.stack(step.boxes(np.full(count, height), np.full(count, width), T.Draws.of(3, 1, np.arange(count))), axis=1)
    want = reference_boxes(height, width, scale, ratio, np.random.default_rng(5), count)
    assert (got[:, :2] >= 0).all() and (got[:, 0] + got[:, 2] <= height).all() and (got[:, 1] + got[:, 3] <= width).all()
    for column in range(4):  # two-sample Kolmogorov-Smirnov: 1.95 * sqrt(2 / n) is exceeded once in a thousand
        values = np.arange(max(height, width) + 1)
        a, b = (np.searchsorted(np.sort(x[:, column]), values, side="right") / count for x in (got, want))
        assert np.abs(a - b).max() < 1.95 * math.sqrt(2 / count), column
    whole = T.RandomResizedCrop(8, (1.0, 1.0), (100.0, 100.0)).boxes(
        *(np.array([n]) for n in (height, width)), T.Draws.of(0, 0, 0)
    )
    assert [int(n[0]) for n in whole] == reference_boxes(height, width, (1.0, 1.0), (100.0, 100.0), np.random.default_rng(0), 1)[
        0
    ].tolist()


def test_random_crop_places_are_even():
    plan = T.Compose([T.RandomCrop(24)]).plan_batch(headers(30, 24, 7000), seed=1)
    tops = np.bincount(plan.geometry.box[:, 0, 0].astype(int), minlength=7)
    assert len(tops) == 7 and (plan.geometry.box[:, 1, 0] == 0).all()
    assert ((tops - 1000) ** 2 / 1000).sum() < 22.5  # chi square, 6 degrees of freedom, one in a thousand


def test_random_crop_of_a_multiple_lies_between_blocks() -> None:
    """Every such place comes, the last one too, and no other."""
    plan = T.Compose([T.RandomCrop(24, multiple=8)]).plan_batch(headers(47, 39, 2000), seed=1)
    top, left = plan.geometry.box[:, 0, 0], plan.geometry.box[:, 1, 0]
    assert set(top.tolist()) == {0, 8, 16}
    assert set(left.tolist()) == {0, 8}
    with pytest.raises(ValueError, match="multiple is 1 or more"):
        T.RandomCrop(24, multiple=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("height,width", [(32, 40), (29, 35)])
def test_random_crop_with_padding_equals_numpys_padding(mode, height, width):
    file = px.built(width, height)
    step = T.RandomCrop((32, 24), padding=(3, 5, 7, 6), fill=77, padding_mode=mode)
    picture = padded(px.planes(file), 3, 5, 7, 6, mode, 77)
    for seed in range(4):
        plan = T.Compose([step]).plan(dctload.read_header(file), seed=seed)
        top, left = int(plan.box[0]) + 5, int(plan.box[1]) + 3
        want = picture[:, top : top + 32, left : left + 24]
        assert px.difference(shown(file, step, seed=seed), px.coefficients(want)) < 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_pad_before_a_resize_equals_pixels(mode):
    file = px.built(35, 29)
    want = px.resized(padded(px.planes(file), 6, 3, 6, 3, mode, 200), (48, 64))
    assert px.difference(shown(file, T.Pad((6, 3), 200, mode), T.Resize((48, 64))), px.coefficients(want)) < 2e-3


def test_padding_by_torchs_reflection():
    file = px.built(40, 32)
    want = F.pad(px.planes(file)[None], (8, 8, 4, 4), mode="reflect")[0]
    assert px.difference(shown(file, T.Pad((8, 4), padding_mode="reflect")), px.coefficients(want)) < 1e-3


def test_random_crop_pads_what_is_too_small_only_where_asked():
    file = px.built(20, 50)
    picture = padded(px.planes(file), 12, 0, 12, 0)  # 32 - 20 on both sides, as torchvision pads
    step = T.RandomCrop(32, pad_if_needed=True)
    plan = T.Compose([step]).plan(dctload.read_header(file), seed=2)
    top, left = int(plan.box[0]), int(plan.box[1]) + 12
    assert px.difference(shown(file, step, seed=2), px.coefficients(picture[:, top : top + 32, left : left + 32])) < 1e-3
    with pytest.raises(ValueError, match="pad_if_needed=True"):
        shown(file, T.RandomCrop(32))


def test_a_fill_in_colour():
    file = px.built(24, 24)
    got = px.rgb(px.pixels(shown(file, T.Pad(8, fill=(255, 16, 40)))))
    for y, x in ((0, 0), (7, 20), (39, 39), (20, 4)):
        assert torch.allclose(got[:, y, x], torch.tensor([255.0, 16.0, 40.0], dtype=torch.float64), atol=1e-2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", ["crop", "resized crop"])
def test_padding_behind_a_crop_does_not_show_what_was_cut_off(mode, before):
    file = px.built(80, 72)
    steps = [T.CenterCrop(32)] if before == "crop" else [T.CenterCrop(32), T.Resize(32)]
    compose = T.Compose([*steps, T.RandomCrop(32, padding=6, fill=30, padding_mode=mode)])
    picture = px.planes(file)[:, 20:52, 24:56]
    whole = padded(picture, 6, 6, 6, 6, mode, 30)
    d = px.batch(file)
    for seed in range(3):
        plan = compose.plan_batch(d.headers, seed)
        assert plan.geometry.present.tolist() == [[[20, 52], [24, 56]]]
        top, left = (int(n) for n in plan.geometry.box[0, :, 0] - [14, 18])
        want = px.coefficients(whole[:, top : top + 32, left : left + 32])
        for backend in ("native", "torch"):
            got = ops.resample(d, plan.geometry, dctload.ChannelSelection.parse("all"), backend=backend)[0]
            assert px.difference(got, want) < 1e-3, backend


def test_padding_twice_shows_both():
    file = px.built(24, 24)
    steps = [T.Pad(8, 50), T.CenterCrop(32), T.Pad(8, 50)]
    want = padded(padded(px.planes(file), 4, 4, 4, 4, "constant", 50), 8, 8, 8, 8, "constant", 50)
    d = px.batch(file)
    plan = T.Compose(steps).plan_batch(d.headers)
    assert plan.geometry.present is None
    assert px.difference(shown(file, *steps), px.coefficients(want)) < 1e-3


# --------------------------------------------------------------------------------------------------- flips and turns


@pytest.mark.parametrize("height,width", [(32, 48), (37, 43)])
def test_flips_and_turns_equal_pixels(height, width):
    file = px.built(width, height)
    crop = T.CenterCrop((32, 40))
    top, left = round((height - 32) / 2.0), round((width - 40) / 2.0)
    picture = px.planes(file)[:, top : top + 32, left : left + 40]
    for step, want in (
        (T.RandomHorizontalFlip(1.0), picture.flip(2)),
        (T.RandomVerticalFlip(1.0), picture.flip(1)),
        (T.RandomTranspose(1.0), picture.transpose(1, 2)),
        *((T.RandomRotation90((k,)), torch.rot90(picture, k, (1, 2))) for k in range(4)),
    ):
        assert px.difference(shown(file, crop, step), px.coefficients(want)) < 1e-3, step
        assert px.difference(shown(file, crop, step, T.RandomHorizontalFlip(1.0)), px.coefficients(want.flip(2))) < 1e-3, step
    unequal = shown(px.built(48, 32), T.Resize((24, 40)), T.RandomRotation90((1,)))
    want = torch.rot90(px.resized(px.planes(px.built(48, 32)), (24, 40)), 1, (1, 2))
    assert px.difference(unequal, px.coefficients(want)) < 2e-3


def test_a_quarter_turn_before_padding_pads_the_turned_picture():
    file = px.built(24, 40)
    want = padded(torch.rot90(px.planes(file), 1, (1, 2)), 1, 2, 7, 6, "constant", 10)
    got = shown(file, T.RandomRotation90((1,)), T.Pad((1, 2, 7, 6), 10))
    assert px.difference(got, px.coefficients(want)) < 1e-3


def test_each_turn_is_as_likely():
    plan = T.Compose([T.RandomRotation90()]).plan_batch(headers(32, 32, 4000), seed=4)
    flips = plan.geometry.box[:, :, 0] > plan.geometry.box[:, :, 1]
    counts = np.unique(np.stack([plan.geometry.transposed, *flips.T]), axis=1, return_counts=True)[1]
    assert len(counts) == 4 and ((counts - 1000) ** 2 / 1000).sum() < 16.3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_exif_orientation_equals_pillows(orientation, flip):
    pil = pytest.importorskip("PIL.Image")
    from PIL import ImageOps

    file = px.built(45, 31, orientation=orientation)
    picture = px.planes(file)
    numbered = np.arange(31 * 45).reshape(31, 45)
    planes = []
    for part in (numbered % 251, numbered // 251):  # which pixel comes where, in two images of 8 bits
        stream = io.BytesIO()
        marked = pil.fromarray(part.astype(np.uint8))
        exif = pil.Exif()
        exif[0x0112] = orientation
        marked.save(stream, "PNG", exif=exif)
        planes.append(np.asarray(ImageOps.exif_transpose(pil.open(stream))).astype(int))
    places = planes[1] * 251 + planes[0]
    turned = picture.reshape(3, -1)[:, torch.from_numpy(places)]
    want = px.resized(turned[:, 3:27, 2:30], (32, 24))
    if flip:
        want = want.flip(2)
    compose = T.Compose([T.ExifTranspose(), _Cut(3, 2, 24, 28), T.Resize((32, 24)), T.RandomHorizontalFlip(flip)])
    assert px.difference(compose(px.batch(file))[0], px.coefficients(want)) < 2e-3


class _Cut(T.Transform):
    """A rectangle that is not in the middle."""

    def __init__(self, *box):
        self.box = box

    def plan(self, view, draws):
        view.crop(*self.box)


def test_exif_is_ignored_unless_asked_and_stands_first():
    file = px.built(40, 24, orientation=6)
    assert px.difference(shown(file), px.coefficients(px.planes(file))) < 1e-3
    with pytest.raises(ValueError, match="ExifTranspose stands before"):
        shown(file, T.CenterCrop(24), T.ExifTranspose())


# ---------------------------------------------------------------------------------------------------------------- blur


def blurred(picture, taps_x, taps_y, sigma):
    """torchvision's gaussian_blur: kernels of floor-centred taps, reflected at the edges."""

    def kernel(taps):
        x = torch.linspace(-(taps - 1) / 2, (taps - 1) / 2, taps, dtype=torch.float64)
        k = torch.exp(-0.5 * (x / sigma) ** 2)
        return k / k.sum()

    weights = torch.outer(kernel(taps_y), kernel(taps_x))[None, None]
    full = F.pad(picture[:, None], (taps_x // 2, taps_x // 2, taps_y // 2, taps_y // 2), mode="reflect")
    return F.conv2d(full, weights)[:, 0]


@pytest.mark.parametrize("kernel,sigma", [(3, 0.5), (5, 1.0), (9, 2.0), ((7, 3), 1.3), (23, 4.0)])
def test_blur_equals_the_convolution_of_the_resampled_pixels(kernel, sigma):
    file = px.built(61, 50)
    across, down = (kernel, kernel) if isinstance(kernel, int) else kernel
    want = px.coefficients(blurred(px.resized(px.planes(file), (40, 64)), across, down, sigma))
    assert px.difference(shown(file, T.Resize((40, 64)), T.GaussianBlur(kernel, sigma)), want) < 2e-3
    assert (
        px.difference(
            shown(file, T.Resize((40, 64)), T.GaussianBlur(kernel, sigma), T.RandomVerticalFlip(1.0)),
            px.coefficients(px.pixels(want).flip(1)),
        )
        < 2e-3
    )


def test_blur_behind_a_turn_follows_the_turned_axes():
    file = px.built(40, 32)
    turned = px.planes(file).transpose(1, 2)
    got = shown(file, T.RandomTranspose(1.0), T.GaussianBlur((9, 3), 1.5))
    assert px.difference(got, px.coefficients(blurred(turned, 9, 3, 1.5))) < 1e-3


def test_blur_stands_behind_crops_and_once():
    with pytest.raises(ValueError, match="GaussianBlur stands behind"):
        shown(px.built(32, 32), T.GaussianBlur(3), T.CenterCrop(24))
    with pytest.raises(ValueError, match="two blurs"):
        shown(px.built(32, 32), T.GaussianBlur(3), T.GaussianBlur(3))
    with pytest.raises(ValueError, match="odd"):
        T.GaussianBlur(4)


# --------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    "make,words",
    [
        (lambda: T.Resize(0), "whole number of pixels"),
        (lambda: T.CenterCrop((8, 8, 8)), "height, width"),
        (lambda: T.Pad((1, 2, 3)), "1, 2 or 4"),
        (lambda: T.Pad(-1), "whole numbers of pixels"),
        (lambda: T.Pad(1, fill=300), "0..255"),
        (lambda: T.RandomResizedCrop(8, scale=(0.0, 1.0)), "0 < low <= high"),
        (lambda: T.RandomRotation90((4,)), "quarter turns"),
        (lambda: T.RandomHorizontalFlip(1.5), "probability"),
        (lambda: T.GaussianBlur(3, (2.0, 1.0)), "sigma"),
    ],
)
def test_wrong_arguments_are_refused_in_words(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_steps_that_do_not_go_together_are_refused_in_words():
    file = px.built(32, 32)
    with pytest.raises(ValueError, match="second resize"):
        shown(file, T.Resize(24), T.RandomResizedCrop(16))
    with pytest.raises(ValueError, match="two kinds of padding"):
        shown(file, T.Pad(4, padding_mode="edge"), T.CenterCrop(48))
    with pytest.raises(ValueError, match="padding_mode is one of"):
        shown(file, T.Pad(4, padding_mode="wrap"))
    with pytest.raises(ValueError, match="in one batch"):
        T.Compose([])(px.batch(file, px.built(24, 24)))
    with pytest.raises(ValueError, match='output="rgb"'):
        shown(file, T.CenterCrop(20))
    assert shown(file, T.CenterCrop(20), output="rgb").shape == (3, 20, 20)


def test_a_crop_that_fits_goes_with_any_padding():
    file = px.built(48, 48)
    picture = px.planes(file)[:, 8:40, 8:40]
    got = shown(
        file, T.CenterCrop(32), T.Pad(4, padding_mode="edge"), T.RandomCrop(40, pad_if_needed=True, padding_mode="constant")
    )
    assert got.shape == (192, 5, 5) and px.difference(px.pixels(got)[:, 4:36, 4:36], picture) < 1e-3
