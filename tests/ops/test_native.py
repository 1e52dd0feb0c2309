"""The C++ kernels behind `dctload.ops` give what a dense float64 reference on pixels gives, and unpack to the bit."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dctload
from dctload import _core
from dctload.channels import ChannelSelection
from support import jpeg_builder as jb
from support.real_files import DATA, names, needs_real_files

Float = NDArray[np.float64]

CONSTANT, EDGE, REFLECT, SYMMETRIC = range(4)
PAD_NAMES = {EDGE: "edge", REFLECT: "reflect", SYMMETRIC: "symmetric"}
LAYOUTS = ("4:4:4", "4:2:0", "4:2:2", "4:4:0", "4:1:1", "gray", "luma smaller", "3x1")
# Level-shifted R, G, B to Y, Cb, Cr (JFIF 1.02, page 4).
RGB_TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def dct_matrix() -> Float:
    """ITU-T T.81, A.3.3, as an orthonormal matrix."""
    u, x = np.mgrid[:8, :8]
    return np.where(u == 0, math.sqrt(1 / 8), 0.5) * np.cos((2 * x + 1) * u * math.pi / 16)


D = dct_matrix()


# --------------------------------------------------------------------------------------------------- what is asked for


@dataclass(frozen=True)
class Ask:
    """One image's geometry, in the words of `dctload.ops.Geometry`."""

    box: Float  # [2, 2]
    valid: Float
    size: tuple[int, int]
    transposed: bool = False
    padding: int = CONSTANT
    fill: tuple[float, float, float] | None = None
    blur: tuple[Float, Float] | None = None
    requantize: NDArray[np.uint16] | None = None
    present: Float | None = None  # [2, 2]


def resampled(
    batch: dctload.PackedBatch,
    asks: list[Ask],
    channels: str | ChannelSelection | None,
    *,
    images: list[int] | None = None,
    affine: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    threads: int = 1,
    resampler: _core.Resampler | None = None,
) -> NDArray[np.float32]:
    """What the module makes of them; sizes, padding and which arrays there are come from the first."""
    ask = asks[0]
    selection = None if channels is None else ChannelSelection.parse(channels)
    rows, cols = ask.size if selection is None else (-(-ask.size[0] // 8), -(-ask.size[1] // 8))
    out = np.full((len(asks), 3 if selection is None else len(selection), rows, cols), np.nan, np.float32)
    (resampler or _core.Resampler(threads)).resample(
        batch.buffer,
        None if images is None else np.array(images, np.int64),
        np.stack([a.box for a in asks]),
        np.stack([a.valid for a in asks]),
        None if ask.present is None else np.stack([a.present for a in asks if a.present is not None]),
        np.array([a.transposed for a in asks], np.uint8),
        ask.size,
        ask.padding,
        None if ask.fill is None else np.array([a.fill for a in asks], np.float32),
        *((None, None) if ask.blur is None else (np.stack([a.blur[i] for a in asks if a.blur]) for i in range(2))),
        None if ask.requantize is None else np.stack([a.requantize for a in asks if a.requantize is not None]),
        None if selection is None else selection.masks,
        *(affine or (None, None)),
        out,
    )
    assert not np.isnan(out).any(), "a value was not written"
    return out


# --------------------------------------------------------------------------------------------------- the slow judge


def pixels_of(coefficients: NDArray[np.int16], table: NDArray[np.uint16], steps: NDArray[np.uint16] | None) -> Float:
    """Level-shifted samples `[8 rows, 8 cols]` of quantised `[64, rows, cols]`, requantised on the way."""
    values = coefficients.astype(np.float64) * table.reshape(64, 1, 1)
    if steps is not None:
        values = np.round(values / steps.reshape(64, 1, 1)) * steps.reshape(64, 1, 1)
    blocks = values.reshape(8, 8, *coefficients.shape[1:])
    samples = np.einsum("vp,uq,vuyx->ypxq", D, D, blocks)
    return samples.reshape(8 * coefficients.shape[1], 8 * coefficients.shape[2])


def axis_matrix(ask: Ask, coded: int, size: int, factors: tuple[int, int]) -> tuple[Float, Float, float]:
    """R `[n, true component pixels]` of the stored axis `coded`, the row sums left inside, and what each would be whole."""
    shown = 1 - coded if ask.transposed else coded  # the output's axis along which the stored one runs
    box, valid, n, padding = ask.box[coded], ask.valid[coded], ask.size[shown], ask.padding
    blur = None if ask.blur is None else ask.blur[shown]
    factor, most = factors
    own = -(-size * factor // most)
    begin, end = 0, own
    if ask.present is not None:
        begin = max(0, math.floor(ask.present[coded, 0] * factor / most))
        end = min(own, math.ceil(ask.present[coded, 1] * factor / most))
    a, b = box * factor / most
    lo, hi = math.floor(valid[0] * factor / most), math.ceil(valid[1] * factor / most)
    step = (b - a) / n
    centre = np.clip(a + (np.arange(n) + 0.5) * step, lo, hi)
    j = np.arange(lo, hi)
    weights = np.maximum(0, 1 - np.abs(j + 0.5 - centre[:, None]) / max(abs(step), 1))
    weights /= weights.sum(1, keepdims=True)
    if padding != CONSTANT:
        far = max(0, begin - lo, hi - end)
        source = np.pad(np.arange(begin, end), far, mode=PAD_NAMES[padding])[j - begin + far]  # type: ignore[call-overload]
    else:
        source = np.where((j >= begin) & (j < end), j, own)
    out = np.zeros((n, own + 1))
    np.add.at(out.T, source, weights.T)
    if blur is not None:
        half = len(blur) // 2
        mirrored = np.pad(np.arange(n), half, mode="reflect") if n > 1 else np.zeros(n + 2 * half, int)
        out = sum(g * out[mirrored[k : k + n]] for k, g in enumerate(blur))
    return out[:, :own], out[:, :own].sum(1), 1.0 if blur is None else float(blur.sum())


def component_pixels(image: dctload.JPEGCoefficients, k: int, ask: Ask, fill: float, steps: NDArray[np.uint16] | None) -> Float:
    """Output pixels of one component, before the turn undone: as displayed."""
    header, component = image.header, image.header.components[k]
    most = max(c.h for c in header.components), max(c.v for c in header.components)
    samples = pixels_of(image.planes[k], component.quantization, steps)
    down, left_y, whole_y = axis_matrix(ask, 0, header.height, (component.v, most[1]))
    across, left_x, whole_x = axis_matrix(ask, 1, header.width, (component.h, most[0]))
    out = down @ samples[: down.shape[1], : across.shape[1]] @ across.T
    if ask.padding == CONSTANT:
        out = out + fill * (whole_y * whole_x - np.outer(left_y, left_x))
    return out.T if ask.transposed else out


def expected(image: dctload.JPEGCoefficients, ask: Ask, channels: str | ChannelSelection | None) -> Float:
    """What `resampled` should hold for this image, from pixels."""
    fill = np.array(ask.fill or (0, 0, 0), np.float64)
    is_rgb = image.header.color_space == "rgb"
    if is_rgb:
        fill = np.linalg.inv(RGB_TO_YCBCR) @ fill
    planes = np.zeros((3, *ask.size))
    for k in range(min(3, len(image.planes))):
        steps = None if ask.requantize is None else ask.requantize[int(k > 0 and not is_rgb)]
        planes[k] = component_pixels(image, k, ask, float(fill[k]), steps)
    if is_rgb:
        planes = np.einsum("kc,chw->khw", RGB_TO_YCBCR, planes)
    if channels is None:
        return planes
    height, width = ask.size
    padded = np.pad(planes, ((0, 0), (0, -height % 8), (0, -width % 8)), mode="edge")
    blocks = padded.reshape(3, padded.shape[1] // 8, 8, padded.shape[2] // 8, 8)
    spectrum = np.einsum("vp,uq,cypxq->cvuyx", D, D, blocks)
    selection = ChannelSelection.parse(channels)
    lists = selection.y, selection.cb, selection.cr
    return np.concatenate([spectrum[c].reshape(64, *spectrum.shape[3:])[list(lists[c])] for c in range(3)])


# --------------------------------------------------------------------------------------------------- draws


def random_ask(rng: np.random.Generator, header: dctload.Header, size: tuple[int, int], kind: str) -> Ask:
    """A random box: "crop" (whole pixels, valid is the crop), "inside" (fractional, valid is the image), "padded" (leaves it)."""
    box, valid = np.zeros((2, 2)), np.zeros((2, 2))
    for axis, length in enumerate((header.height, header.width)):
        if kind == "crop":
            a = int(rng.integers(0, length))
            b = int(rng.integers(a + 1, length + 1))
            box[axis] = valid[axis] = a, b
        elif kind == "inside":
            a, b = np.sort(rng.uniform(0, length, 2))
            box[axis] = a, max(b, a + 0.3)
            valid[axis] = 0, length
        else:
            a = rng.uniform(-0.7 * length - 9, 0.8 * length)
            box[axis] = a, a + rng.uniform(0.2, 1.5) * length
            valid[axis] = math.floor(a), math.ceil(box[axis, 1])
        if rng.random() < 0.5:
            box[axis] = box[axis, ::-1]
    return Ask(box, valid, size, transposed=bool(rng.random() < 0.5))


def random_present(rng: np.random.Generator, header: dctload.Header) -> Float:
    """A part of the image, `[2, 2]`; its far side may lie beyond the image's."""
    lows = [int(rng.integers(0, length)) for length in (header.height, header.width)]
    highs = [low + int(rng.integers(1, length + 9)) for low, length in zip(lows, (header.height, header.width), strict=True)]
    return np.array([lows, highs], np.float64).T.copy()


def random_extras(rng: np.random.Generator, ask: Ask, header: dctload.Header) -> Ask:
    """What there may be beside a box: each or none."""
    if rng.random() < 0.4:
        ask = replace(ask, present=random_present(rng, header))
    if rng.random() < 0.6:
        ask = replace(ask, fill=tuple(float(f) for f in rng.uniform(-128, 127, 3)))
    if rng.random() < 0.4:
        y, x = (rng.random((1, 1 + 2 * int(rng.integers(0, 6)))) + 0.1 for _ in range(2))
        y, x = (g + g[:, ::-1] for g in (y, x))
        gain_y, gain_x = rng.uniform(0.5, 1.5, 2)
        ask = replace(ask, blur=((gain_y * y / y.sum())[0], (gain_x * x / x.sum())[0]))
    if rng.random() < 0.3:
        ask = replace(ask, requantize=rng.integers(1, 60, (2, 64)).astype(np.uint16))
    return ask


def built(width: int, height: int, layout: str, seed: int = 0, style: str = "natural") -> bytes:
    """A small file with coefficients of a photograph's size."""
    content = jb.content(width, height, layout, style, seed=seed)
    tables = {t: tuple(1 + q % 8 for q in table) for t, table in content.quantization.items()}
    return jb.encode(replace(content, quantization=tables)).to_bytes()


def agree(got: NDArray[np.float32], want: Float, what: object) -> None:
    """Within 2e-3, or 2e-6 of what is largest."""
    bound = max(2e-3, 2e-6 * float(np.abs(want).max(initial=0)))
    error = float(np.abs(got - want).max(initial=0))
    assert error < bound, f"{what}: {error} of {bound}"


SIZES = ((64, 64), (24, 40), (13, 30), (8, 8), (1, 1), (100, 9), (80, 72))


# --------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("channels", ["24s", "all", "24t", "y:;cb:9,63;cr:0", "y:5,40;cb:;cr:", None])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_boxes_agree_with_pixels(layout: str, channels: str | None) -> None:
    rng = np.random.default_rng([LAYOUTS.index(layout), len(str(channels))])
    for trial in range(14):
        width, height = (int(n) for n in rng.integers(1, 150, 2))
        data = built(width, height, layout, seed=trial)
        image = dctload.read_coefficients(data)
        kind = ("crop", "inside", "padded")[trial % 3]
        ask = random_ask(rng, image.header, SIZES[trial % len(SIZES)], kind)
        ask = random_extras(rng, replace(ask, padding=int(rng.integers(0, 4))), image.header)
        got = resampled(dctload.extract([data], "all"), [ask], channels)
        agree(got[0], expected(image, ask, channels), (layout, width, height, ask))


def test_rgb_files_become_ycbcr() -> None:
    rng = np.random.default_rng(8)
    content = jb.content(90, 70, "4:4:4", seed=3)
    data = jb.encode(content, extras=(jb.adobe(0),)).to_bytes()
    image = dctload.read_coefficients(data)
    assert image.header.color_space == "rgb"
    batch = dctload.extract([data], "all")
    for channels in ("24s", "y:0-9;cb:;cr:63", None):
        for threads in (1, 4):
            affine = rng.uniform(0.5, 2, (2, 1, 3 if channels is None else len(ChannelSelection.parse(channels)))).astype(
                np.float32
            )
            ask = random_extras(rng, random_ask(rng, image.header, (40, 32), "padded"), image.header)
            want = expected(image, ask, channels)
            got = resampled(batch, [ask], channels, affine=(affine[0], affine[1]), threads=threads)
            agree(got[0], want * affine[0, 0][:, None, None] + affine[1, 0][:, None, None], (channels, threads))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (8, 8), (17, 3)])
def test_tiny_images_and_boxes_outside_agree_with_pixels(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    data = built(*size, "4:2:0", seed=5)
    image = dctload.read_coefficients(data)
    batch = dctload.extract([data], "all")
    for padding in range(4):
        for _ in range(6):
            a, length = rng.uniform(-90, 90, 2), rng.uniform(0.5, 60, 2)
            box = np.stack([a, a + length], 1)
            ask = Ask(box, np.stack([np.floor(box[:, 0]), np.ceil(box[:, 1])], 1), (16, 24), padding=padding, fill=(50, -20, 3))
            for channels in ("24s", None):
                agree(resampled(batch, [ask], channels)[0], expected(image, ask, channels), (size, padding, ask))


def test_the_whole_image_at_its_own_scale_is_itself() -> None:
    data = built(64, 48, "4:4:4")
    image = dctload.read_coefficients(data)
    whole = np.array([[0, 48], [0, 64]], np.float64)
    got = resampled(dctload.extract([data], "all"), [Ask(whole, whole, (48, 64))], "all")[0]
    want = np.concatenate(
        [p * c.quantization.reshape(64, 1, 1) for p, c in zip(image.planes, image.header.components, strict=True)]
    )
    agree(got, want.astype(np.float64), "identity")


def test_a_region_or_a_cut_gives_what_the_whole_image_gives() -> None:
    rng = np.random.default_rng(3)
    for layout in ("4:4:4", "4:2:0", "4:1:1"):
        data = built(300, 260, layout)
        whole = dctload.extract([data], "all")
        for transposed in (False, True):
            a = rng.integers(20, 120, 2)
            box = np.stack([a, a + rng.integers(30, 120, 2)], 1).astype(np.float64)
            ask = Ask(box, box, (56, 40), transposed=transposed)
            region = (int(a[0]), int(a[1]), *(int(n) for n in box[:, 1] - box[:, 0]))
            want = resampled(whole, [ask], "24s")
            fresh, cut = dctload.extract([data], "all", [region]), whole.cut([region])
            assert fresh.nbytes < whole.nbytes and cut.nbytes < whole.nbytes
            assert np.array_equal(resampled(cut, [ask], "24s"), want)
            agree(resampled(fresh, [ask], "24s"), want.astype(np.float64), layout)


def test_frequencies_that_were_not_sent_count_as_zero() -> None:
    data = built(120, 90, "4:2:0")
    image = dctload.read_coefficients(data)
    selection = ChannelSelection.parse("y:0-3,9,17,63;cb:;cr:8")
    kept = tuple(
        np.where(np.isin(np.arange(64), f)[:, None, None], p, 0).astype(np.int16)
        for p, f in zip(image.planes, (selection.y, selection.cb, selection.cr), strict=True)
    )
    ask = random_ask(np.random.default_rng(1), image.header, (48, 48), "inside")
    got = resampled(dctload.extract([data], selection), [ask], "24s")
    agree(got[0], expected(replace(image, planes=kept), ask, "24s"), "pruned")


def mixed_batch() -> tuple[dctload.PackedBatch, list[dctload.JPEGCoefficients], list[Ask]]:
    rng = np.random.default_rng(11)
    files = [built(40 + 17 * i, 150 - 9 * i, layout, seed=i) for i, layout in enumerate(LAYOUTS[:6])]
    images = [dctload.read_coefficients(f) for f in files]
    asks = [
        random_ask(rng, image.header, (56, 64), kind)
        for image, kind in zip(images, ("crop", "inside", "padded") * 2, strict=True)
    ]
    return dctload.extract(files, "all"), images, [replace(a, fill=(9.0, -3.0, 2.0)) for a in asks]


def test_any_order_and_any_number_of_threads_give_the_same() -> None:
    batch, _, asks = mixed_batch()
    order = [5, 0, 3, 3, 1]
    kept = _core.Resampler(3)
    alone = np.concatenate([resampled(batch, [asks[i]], "24s", images=[i]) for i in order])
    for threads in (1, 2, 4, 9):
        assert np.array_equal(resampled(batch, [asks[i] for i in order], "24s", images=order, threads=threads), alone)
    for _ in range(3):
        assert np.array_equal(resampled(batch, [asks[i] for i in order], "24s", images=order, resampler=kept), alone)
        assert resampled(batch, asks[:2], None, images=[0, 1], resampler=kept).shape == (2, 3, 56, 64)


@pytest.mark.parametrize("padding", range(4))
def test_what_is_not_present_is_padding_as_on_the_torch_road(padding: int) -> None:
    torch = pytest.importorskip("torch")
    from dctload import ops

    rng = np.random.default_rng([12, padding])
    for trial, size in enumerate(((64, 64), (24, 40), (13, 30))):
        files = [built(*(int(n) for n in rng.integers(1, 100, 2)), layout, seed=trial) for layout in LAYOUTS[:5]]
        rgb = jb.encode(jb.content(50, 40, "4:4:4", seed=trial), extras=(jb.adobe(0),)).to_bytes()
        packed = dctload.extract([*files, rgb, b"no JPEG"], "all" if trial % 2 else "24s", on_error="mark")
        headers = [dctload.read_coefficients(data).header for data in (*files, rgb, rgb)]
        asks = [random_ask(rng, header, size, ("crop", "inside", "padded")[int(rng.integers(3))]) for header in headers]
        count = len(asks)
        blur = tuple(np.tile([[0.1, 0.2, 0.4, 0.2, 0.1]], (count, 1)) for _ in range(2)) if trial % 3 == 0 else None
        geometry = ops.Geometry(
            np.stack([a.box for a in asks]),
            np.stack([a.valid for a in asks]),
            np.array([a.transposed for a in asks]),
            size,
            ops.geometry.PADDING_MODES[padding],
            rng.uniform(-128, 127, (count, 3)).astype(np.float32) if trial % 2 else None,
            blur,  # type: ignore[arg-type]
            rng.integers(1, 60, (count, 2, 64)).astype(np.uint16) if trial == 1 else None,
            np.stack([random_present(rng, header) for header in headers]),
        )
        batch = ops.unpack(packed)
        for channels in (ChannelSelection.parse("24s"), None):
            native, plain = (ops.resample(batch, geometry, channels, backend=backend) for backend in ("native", "torch"))
            whole = ops.resample(batch, replace(geometry, present=None), channels, backend="native")
            torch.testing.assert_close(native, plain, rtol=0, atol=max(2e-3, 5e-6 * float(plain.abs().max())))
            assert (native - whole).abs().max() > 1, "present makes no difference: nothing was tested"


def test_of_a_component_without_frequencies_nothing_is_seen_not_even_its_padding() -> None:
    pytest.importorskip("torch")
    from dctload import ops

    box = np.array([[[-20.0, 40.0], [-9.0, 60.0]]] * 2)
    fill = np.full((2, 3), 50, np.float32)
    geometry = ops.Geometry(box, box, np.zeros(2, bool), (32, 32), fill=fill)
    rgb = jb.encode(jb.content(50, 40, "4:4:4", seed=2), extras=(jb.adobe(0),)).to_bytes()
    batch = ops.unpack(dctload.extract([built(50, 40, "4:2:0"), rgb], "y:0-9;cb:;cr:3"))
    for channels in (ChannelSelection.parse("24s"), None):
        native, plain = (ops.resample(batch, geometry, channels, backend=backend) for backend in ("native", "torch"))
        assert (native - plain).abs().max() < 2e-3


def test_scale_and_bias_come_last_and_reach_missing_chroma() -> None:
    batch, images, asks = mixed_batch()
    rng = np.random.default_rng(2)
    scale, bias = rng.uniform(0.1, 2, (2, 6, 24)).astype(np.float32)
    got = resampled(batch, asks, "24s", affine=(scale, bias))
    for i, (image, ask) in enumerate(zip(images, asks, strict=True)):
        agree(got[i], expected(image, ask, "24s") * scale[i, :, None, None] + bias[i, :, None, None], i)


def test_an_image_that_failed_is_zero() -> None:
    batch = dctload.extract([b"no JPEG", built(30, 30, "4:2:0")], "all", on_error="mark")
    whole = np.array([[0, 30], [0, 30]], np.float64)
    got = resampled(batch, [Ask(whole, whole, (16, 16))] * 2, "24s")
    assert not got[0].any() and got[1].any()


def test_an_empty_batch_has_nothing_to_unpack_or_resample() -> None:
    batch, none = dctload.extract([], "all"), np.zeros((0, 2, 2))
    _core.Unpacker(3).unpack(batch.buffer, False, np.zeros(0, np.int16))
    _core.Unpacker(3).unpack(batch.buffer, True, np.zeros(0, np.float32))
    arguments = (np.zeros(0, np.uint8), (16, 16), CONSTANT, *[None] * 7)
    _core.Resampler(3).resample(batch.buffer, None, none, none, None, *arguments, np.zeros((0, 3, 16, 16), np.float32))
    for unpacked in (np.zeros(1, np.int16), np.zeros((0, 1), np.int16)):
        with pytest.raises(ValueError, match="out"):
            _core.Unpacker(3).unpack(batch.buffer, False, unpacked)


@needs_real_files
@pytest.mark.parametrize("channels", ["24s", None])
def test_photographs_agree_with_pixels(channels: str | None) -> None:
    rng = np.random.default_rng(4)
    for name in names("imagenet-sample", "ok")[::12]:
        data = (DATA / name).read_bytes()
        image = dctload.read_coefficients(data)
        ask = random_ask(rng, image.header, (224, 160), ("crop", "inside")[int(rng.integers(2))])
        want = expected(image, ask, channels)
        error = float(np.abs(resampled(dctload.extract([data], "all"), [ask], channels)[0] - want).max())
        assert error < 2e-3, (name, error)


@pytest.mark.parametrize("style", ["natural", "dense", "sparse", "extreme", "flat", "zero"])
def test_unpacked_integers_are_those_of_the_judge(style: str) -> None:
    files = [built(30 + 41 * i, 140 - 11 * i, layout, seed=i, style=style) for i, layout in enumerate(jb.LAYOUTS)]
    for channels in ("all", "24s", "y:1,63;cb:5;cr:"):
        batch = dctload.extract([*files, b""], channels, on_error="mark")
        whole = batch.cut([(9, 7, 100, 20)] * len(batch)) if channels == "24s" and style != "zero" else batch
        for packed in (batch, whole):
            fault, judged = _core.unpack(packed.buffer)
            assert fault is None
            planes = [p for image in judged if image is not None for p in image[3]]
            steps = [c[5][_bits(m)] for image in judged if image is not None for m, c in zip(image[2], image[0][8], strict=True)]
            flat = np.concatenate([p.ravel() for p in planes])
            scaled = np.concatenate(
                [(p.astype(np.float32) * s.astype(np.float32)[:, None, None]).ravel() for p, s in zip(planes, steps, strict=True)]
            )
            for threads in (1, 3):
                unpacker = _core.Unpacker(threads)
                integers, floats = np.full(len(flat), 77, np.int16), np.full(len(flat), np.nan, np.float32)
                unpacker.unpack(packed.buffer, False, integers)
                unpacker.unpack(packed.buffer, True, floats)
                assert np.array_equal(integers, flat) and np.array_equal(floats, scaled)


def _bits(mask: int) -> list[int]:
    return [f for f in range(64) if mask >> f & 1]


def test_wrong_arguments_are_refused_by_name() -> None:
    batch, _, asks = mixed_batch()
    box, valid = np.stack([a.box for a in asks]), np.stack([a.valid for a in asks])
    good: dict[str, Any] = {
        "batch": batch.buffer,
        "images": None,
        "box": box,
        "valid": valid,
        "present": None,
        "transposed": np.zeros(6, np.uint8),
        "size": (16, 16),
        "padding_mode": 0,
        "fill": None,
        "blur_y": None,
        "blur_x": None,
        "requantize": None,
        "masks": (1, 0, 0),
        "scale": None,
        "bias": None,
        "out": np.zeros((6, 1, 2, 2), np.float32),
    }
    _core.Resampler(1).resample(**good)
    frozen = np.zeros((6, 1, 2, 2), np.float32)
    frozen.flags.writeable = False
    wrong: list[tuple[str, object]] = [
        ("images", np.zeros(6, np.int32)),
        ("box", box.astype(np.float32)),
        ("box", np.full_like(box, np.nan)),
        ("box", np.full_like(box, 1e9)),
        ("valid", valid[:, ::-1]),
        ("valid", valid + 0.5),
        ("valid", valid[:3]),
        ("present", valid[:3]),
        ("present", valid + 0.5),
        ("present", np.full_like(valid, 2.0**23)),
        ("transposed", np.zeros(6, bool)),
        ("size", (0, 16)),
        ("padding_mode", 4),
        ("fill", np.zeros((6, 3))),
        ("blur_y", np.ones((6, 4))),
        ("requantize", np.zeros((6, 2, 64), np.uint16)),
        ("masks", (0, 0, 0)),
        ("scale", np.ones((6, 2), np.float32)),
        ("bias", np.ones(6, np.float32)),
        ("out", np.zeros((6, 1, 2, 3), np.float32)),
        ("out", frozen),
        ("images", np.full(6, 6, np.int64)),
        ("images", np.full(6, -1, np.int64)),
        ("batch", batch.buffer[:64].copy()),
        ("batch", np.zeros(100, np.uint8)),
    ]
    for name, value in wrong:
        with pytest.raises(ValueError, match=r"batch|image" if name in ("batch", "images") else name):
            _core.Resampler(1).resample(**{**good, name: value})
    values = sum(plane.size for image in dctload.unpack_reference(batch) if image is not None for plane in image.planes)
    integers, floats, frozen = np.zeros(values, np.int16), np.zeros(values, np.float32), np.zeros(values, np.int16)
    frozen.flags.writeable = False
    _core.Unpacker(1).unpack(batch.buffer, False, integers)
    for dequantize, out in ((False, integers[1:]), (False, floats), (True, integers), (False, frozen)):
        with pytest.raises(ValueError, match="out"):
            _core.Unpacker(1).unpack(batch.buffer, dequantize, out)
    with pytest.raises(ValueError, match="batch"):
        _core.Unpacker(1).unpack(np.zeros(100, np.uint8), False, integers)


def test_damaged_bytes_are_never_read_past() -> None:
    """Without checksums: refused, or nonsense, but every value is written and nothing is torn down."""
    batch, _, asks = mixed_batch()
    rng = np.random.default_rng(7)
    resampler, refused = _core.Resampler(1), 0
    for _ in range(300):
        damaged = batch.buffer.copy()
        at = rng.integers(0, len(damaged), 40)
        damaged[at] = rng.integers(0, 256, 40)
        out = np.full((6, 24, 7, 8), np.nan, np.float32)
        box, valid = np.stack([a.box for a in asks]), np.stack([a.valid for a in asks])
        masks = ChannelSelection.parse("24s").masks
        arguments = (np.zeros(6, np.uint8), (56, 64), 0, None, None, None, None, masks, None, None, out)
        try:
            resampler.resample(damaged, None, box, valid, None, *arguments)
        except ValueError:
            refused += 1
            continue
        assert np.isfinite(out).all()
    assert 0 < refused < 300


def _in_child(resampler: _core.Resampler, queue: multiprocessing.Queue[NDArray[np.float32]]) -> None:
    batch, _, asks = mixed_batch()
    queue.put(resampled(batch, asks, "24s", resampler=resampler))


@pytest.mark.no_sanitizer
def test_a_forked_child_starts_threads_of_its_own() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    batch, _, asks = mixed_batch()
    resampler = _core.Resampler(3)
    want = resampled(batch, asks, "24s", resampler=resampler)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(resampler, queue))
    child.start()
    got = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0 and np.array_equal(got, want)


def test_the_portable_level_agrees_too() -> None:
    """This file's own tests once more, on the level without AVX2."""
    if dctload.cpu_level() == "portable":
        pytest.skip("this machine has the portable level alone, which all other tests have used")
    picked = "agree or become or itself or judge or region or threads"
    which = ["-k", f"({picked}) and not level", "-m", "not no_sanitizer"]  # a sanitizer may be what runs this test
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *which, __file__]
    environment = {**os.environ, "DCTLOAD_FORCE_ISA": "portable"}
    ran = subprocess.run(command, capture_output=True, timeout=600, check=False, env=environment, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0 and b"passed" in ran.stdout, ran.stdout.decode()[-3000:]
