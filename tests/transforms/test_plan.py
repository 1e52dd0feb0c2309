"""What is planned before decoding suffices, and is hardly more than that: regions and bands, on real files and built ones."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import dctload
from dctload import ops
from dctload import transforms as T
from dctload.channels import ChannelSelection
from dctload.headers import Headers
from dctload.transforms.functional import normalize
from dctload.transforms.plan import band, rectangle_masks
from support import pixels as px
from support.real_files import DATA, names, needs_real_files

LAYOUTS = ("4:4:4", "4:2:0", "4:2:2", "4:4:0", "4:1:1", "gray", "luma smaller", "3x1")
SIZES = ((97, 131), (64, 64), (200, 90), (30, 33))
PIPELINES = {
    "crop and resize": [T.RandomResizedCrop((48, 40)), T.RandomHorizontalFlip()],
    "small crop": [T.RandomResizedCrop(64, scale=(0.02, 0.1)), T.RandomTranspose()],
    "resize and crop": [T.Resize(72), T.CenterCrop(48), T.RandomRotation90()],
    "padding": [T.Resize(40), T.RandomCrop(40, padding=8, padding_mode="reflect"), T.RandomVerticalFlip()],
    "symmetric": [T.RandomCrop(32, padding=20, pad_if_needed=True, padding_mode="symmetric")],
    "cut": [T.CenterCrop(16)],
    "blur": [T.RandomResizedCrop(32, scale=(0.1, 0.4)), T.GaussianBlur(9, 2.0)],
    "requantised": [T.Requantize((10, 60)), T.RandomResizedCrop(24)],
    "constant": [T.Resize(24), T.CenterCrop(40)],
}


def opened_and_whole(files, compose, *, channels, seed, transfer="auto", margin=None):
    """The same batch from what was planned, and from everything; and how large the planned regions are."""
    selection = None if channels is None else ChannelSelection.parse(channels)
    extractor = dctload.Extractor(1)
    with extractor.open(files) as opened:
        plan = compose.plan_batch(opened.headers, seed)
        boxes, masks = compose.needs(plan, opened.headers, selection, transfer, margin)
        planned = compose.apply(ops.unpack(opened.extract(masks, boxes)), plan, channels=selection)[0]
        whole = compose.apply(px.batch(*files), plan, channels=selection)[0]
        return planned, whole, boxes, opened.headers, plan


@pytest.mark.parametrize("channels", ["24s", "all", None])
@pytest.mark.parametrize("name", PIPELINES)
def test_the_planned_region_is_enough(name, channels):
    files = [px.built(w, h, layout, seed=k) for k, layout in enumerate(LAYOUTS) for w, h in SIZES[k % 2 :: 2]]
    for seed in range(2):
        planned, whole, *_ = opened_and_whole(files, T.Compose(PIPELINES[name]), channels=channels, seed=seed)
        assert px.difference(planned, whole.double()) < 1e-3


@pytest.mark.parametrize("name", PIPELINES)
def test_no_smaller_region_would_do(name):
    """The pixels at each side of a region have a weight: where they are changed, so is the picture (to within one MCU)."""
    for k, layout in enumerate(("4:4:4", "gray")):
        file = px.built(131, 97, layout, seed=k)
        compose = T.Compose([s for s in PIPELINES[name] if not isinstance(s, T.Requantize)])
        d = px.batch(file)
        plan = compose.plan_batch(d.headers, 3)
        top, left, height, width = compose.needs(plan, d.headers, None)[0][0].tolist()
        if height == 0:
            top, left, height, width = 0, 0, 97, 131
        planes = [p.copy() for p in dctload.read_coefficients(file).planes]
        first, last = (top // 8, left // 8), ((top + height - 1) // 8, (left + width - 1) // 8)
        c = dctload.read_coefficients(file)
        tables = [part.quantization for part in c.header.components]
        before = compose.apply(d, plan, channels=None)[0]
        for row, col in (
            (first[0], slice(first[1], last[1] + 1)),
            (last[0], slice(first[1], last[1] + 1)),
            (slice(first[0], last[0] + 1), first[1]),
            (slice(first[0], last[0] + 1), last[1]),
        ):
            changed = [p.copy() for p in planes]
            changed[0][0, row, col] += 40
            record = dctload.PackedBatch.join([dctload.pack(changed, tables, c.header)])
            after = compose.apply(ops.unpack(record), plan, channels=None)[0]
            assert (after - before).abs().max() > 1e-5, (row, col)


def test_a_region_is_the_box_and_the_triangles_reach():
    header = Headers.of([dctload.read_header(px.built(400, 300, "4:4:4"))])
    compose = T.Compose([T.CenterCrop((64, 80))])
    assert compose.needs(compose.plan_batch(header), header, None)[0].tolist() == [[118, 160, 64, 80]]
    compose = T.Compose([T.Resize((150, 200)), T.CenterCrop((50, 40))])  # s = 2: two pixels beyond, less the half of one
    assert compose.needs(compose.plan_batch(header), header, None)[0].tolist() == [[99, 159, 102, 82]]
    chroma = Headers.of([dctload.read_header(px.built(400, 300, "4:2:0"))])
    top, left, height, width = compose.needs(compose.plan_batch(chroma), chroma, None)[0][0].tolist()
    assert 96 <= top <= 99 and 156 <= left <= 159 and height <= 106 and width <= 86
    assert T.Compose([]).needs(T.Compose([]).plan_batch(header), header, None)[0].tolist() == [[0, 0, 0, 0]]


def test_blur_asks_for_no_more_than_the_picture_itself():
    header = Headers.of([dctload.read_header(px.built(400, 300, "4:4:4"))])
    plain, blurred = T.Compose([T.CenterCrop(64)]), T.Compose([T.CenterCrop(64), T.GaussianBlur(23, 4.0)])
    assert np.array_equal(*(c.needs(c.plan_batch(header), header, None)[0] for c in (plain, blurred)))


def test_bands_follow_the_rule():
    header = Headers.of([dctload.read_header(px.built(400, 400, "4:2:0"))])
    uneven = Headers.of([dctload.read_header(px.built(396, 396, "4:2:0"))])
    s24, every = ChannelSelection.parse("24s"), ChannelSelection.parse("all")

    def kept(compose, selection, header=header, **options):
        return band(compose.plan_batch(header).geometry, header, selection, **options)[0].tolist()

    def square(v, u):
        return int(rectangle_masks(np.array([[v, u]]))[0])

    # luma s = 2: ceil(4 / 2) + 3; chroma s = 1: ceil(2 / 1) + 3
    assert kept(T.Compose([T.Resize(198)]), s24, uneven) == [square(5, 5), square(5, 5), square(5, 5)]
    assert kept(T.Compose([T.Resize(200)]), s24) == [square(5, 5), s24.masks[1], s24.masks[2]], "chroma stays as it is"
    assert kept(T.Compose([T.Resize((200, 100))]), s24) == [square(5, 4), square(5, 4), square(5, 4)]
    assert kept(T.Compose([T.Resize((200, 100)), T.RandomTranspose(1.0)]), s24)[0] == square(5, 4)
    assert kept(T.Compose([T.Resize(80)]), every) == [square(5, 5), square(7, 7), square(7, 7)]
    assert kept(T.Compose([T.Resize(200)]), s24, margin=1)[0] == square(3, 3)
    assert kept(T.Compose([T.Resize(198)]), s24, uneven, margin=None) == [2**64 - 1] * 3
    assert kept(T.Compose([T.Resize((200, 401))]), s24)[0] == 2**64 - 1, "enlarged along one axis: exact"
    assert kept(T.Compose([T.Resize(200)]), ChannelSelection.parse("y:0;cb:;cr:")) == [square(4, 4), 0, 0]
    # the native grid: the output's own frequencies, and no more
    assert kept(T.Compose([]), s24)[0] == s24.masks[0] and kept(T.Compose([]), s24)[1] == 2**64 - 1
    assert kept(T.Compose([T.Pad(8)]), s24)[0] == square(7, 7)
    assert kept(T.Compose([T.GaussianBlur(3)]), s24)[0] == square(7, 7)
    odd = ChannelSelection.parse("y:0,1,2;cb:0;cr:0")
    turned = T.Compose([T.RandomTranspose(1.0)])
    assert kept(turned, odd)[0] == 1 | 1 << 8 | 1 << 16


def test_sharpening_asks_for_whole_blocks():
    file = px.built(400, 400)
    plan = T.Compose([T.Resize(200), T.RandomAdjustSharpness(2.0)]).plan(dctload.read_header(file))
    assert plan.band.y == tuple(8 * v + u for v in range(7) for u in range(7))


def test_rgb_files_send_all_frequencies():
    from support import jpeg_builder as jb

    content = jb.content(200, 200, "4:4:4")
    file = jb.encode(content, extras=(jb.adobe(0),)).to_bytes()
    assert dctload.read_header(file).color_space == "rgb"
    assert T.Compose([T.Resize(64)]).plan(dctload.read_header(file)).band == ChannelSelection.parse("all")


def test_transfer_says_what_is_sent():
    header = dctload.read_header(px.built(400, 400))
    compose = T.Compose([T.Resize(200)])
    assert compose.plan(header, transfer="all").band == ChannelSelection.parse("all")
    assert compose.plan(header, transfer="24s").band == ChannelSelection.parse("24s")
    assert compose.plan(header, output="rgb").band.y == tuple(8 * v + u for v in range(7) for u in range(7))


def test_a_plan_in_words():
    header = dctload.read_header(px.built(100, 80))
    plan = T.Compose([T.RandomResizedCrop((48, 40)), T.RandomHorizontalFlip(1.0)]).plan(header, seed=3, index=9)
    assert plan.flipped == (False, True) and not plan.transposed and plan.size == (48, 40)
    assert plan.region is not None and plan.region[:2] == plan.box[:2] and plan.region[2:] == plan.box[2:]
    assert T.Compose([]).plan(header).region is None


def test_images_without_a_header_do_not_disturb_the_others():
    files = [b"no picture", px.built(60, 44), b"", px.built(40, 70, seed=1)]
    for steps in ([T.RandomCrop(32), T.RandomHorizontalFlip()], [T.Resize(40), T.CenterCrop(32), T.DCTRandAugment()]):
        compose = T.Compose(steps)
        d = ops.unpack(dctload.extract(files, channels="all", on_error="mark"))
        got = compose(d, 2)
        alone = compose(px.batch(files[1], files[3]), 2, index=[1, 3])
        torch.testing.assert_close(got[[1, 3]], alone, rtol=1e-5, atol=1e-3)
    nothing = ops.unpack(dctload.extract([b"x"], channels="all", on_error="mark"))
    assert T.Compose([T.RandomCrop(32)])(nothing).shape == (1, 192, 4, 4)


def decibels(got, want, cap=60):
    """Signal to noise of each image, capped."""
    noise = (got - want).double().square().flatten(1).sum(1)
    signal = want.double().square().flatten(1).sum(1)
    return (10 * torch.log10(signal / noise.clamp(min=1e-30))).clamp(max=cap)


@needs_real_files
@pytest.mark.parametrize("steps", [[T.RandomResizedCrop(448)], [T.Resize(512), T.CenterCrop(448)]], ids=["random", "centre"])
def test_the_default_transfer_keeps_forty_decibels_on_imagenet_sample(steps):
    files = [DATA / n for n in names("imagenet-sample", "ok")[::12]]
    compose, got = T.Compose([*steps, T.Normalize("imagenet")]), []
    for first in range(0, len(files), 5):
        planned, whole, *_ = opened_and_whole(files[first : first + 5], compose, channels="24s", seed=1, margin=3)
        got.append(decibels(planned, whole))
    assert len(torch.cat(got)) >= 10 and float(torch.cat(got).mean()) > 40


@needs_real_files
@pytest.mark.parametrize("channels,least", [("24s", 45), ("all", 40)])
def test_the_default_transfer_keeps_photos_and_sends_a_third(channels, least):
    files = [DATA / n for n in names("photos", "ok")]
    compose, step = T.Compose([T.Resize(512), T.CenterCrop(448)]), T.Normalize("imagenet")
    for file in files:
        planned, whole, _, headers, plan = opened_and_whole([file], compose, channels=channels, seed=0, margin=3)
        assert decibels(planned, whole, cap=99).min() > 60, file
        model = [normalize(x, step._mean, step._std, channels) for x in (planned, whole)]
        assert decibels(*model).min() > least, file
        if channels == "24s":
            masks = band(plan.geometry, headers, ChannelSelection.parse(channels))
            assert int(masks[0, 0]).bit_count() <= 25
    assert len(files) >= 3


@needs_real_files
def test_planned_crops_of_real_files_are_exact():
    files = [DATA / n for n in names("imagenet-sample", "ok")[:8]]
    compose = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip()])
    planned, whole, boxes, headers, _ = opened_and_whole(files, compose, channels="24s", seed=6)
    assert px.difference(planned, whole.double()) < 2e-3
    share = (boxes[:, 2] * boxes[:, 3])[boxes[:, 2] > 0].sum() / (headers.width * headers.height)[boxes[:, 2] > 0].sum()
    assert share < 0.75
