"""The resampling operator: the reference against torch's pixels, the banded form and both kernels against the reference."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

import dctload
from dctload import ChannelSelection
from support import jpeg_builder as jb
from support.real_files import DATA, names, needs_real_files

torch = pytest.importorskip("torch")
from dctload import ops
from dctload.ops.color import RGB_TO_YCBCR
from dctload.ops.geometry import PADDING_MODES, Geometry
from dctload.ops.operators import DCT, Axis, banded, block_operator, resampling_matrix, taps

Float = NDArray[np.float64]
ALL = ChannelSelection.parse("all")
BACKENDS = ("torch", "native")
LAYOUTS = ("4:4:4", "4:2:0", "4:2:2", "4:4:0", "4:1:1", "gray", "luma smaller", "3x1")


def axis_of(a: float, b: float, lo: int, hi: int, size: int, n: int, mode: str = "constant", kernel: Float | None = None) -> Axis:
    one = (np.array([x]) for x in (a, b))
    whole = (np.array([x], np.int64) for x in (lo, hi, size))
    return Axis(*one, *whole, n, mode, None if kernel is None else kernel[None])


# ------------------------------------------------------------------------------------------------------- the reference


def test_the_reference_equals_torchs_antialiased_resize() -> None:
    rng = np.random.default_rng(1)
    for case in range(120):
        size, n = int(rng.integers(1, 500)), 8 * int(rng.integers(1, 40))
        lo = int(rng.integers(0, size))
        hi = int(rng.integers(lo + 1, size + 1))
        matrix, outside = resampling_matrix(axis_of(lo, hi, lo, hi, size, n), 0)
        unit = torch.eye(size, dtype=torch.float64)[lo:hi]
        options = {"mode": "bilinear", "antialias": True, "align_corners": False}
        want = torch.nn.functional.interpolate(unit[None, None], size=(n, size), **options)[0, 0].numpy()
        assert np.abs(matrix - want).max() < 1e-9, (case, size, lo, hi, n)
        assert not outside.any()
        mirrored, _ = resampling_matrix(axis_of(hi, lo, lo, hi, size, n), 0)
        assert np.abs(mirrored - want[::-1]).max() < 1e-9


def test_the_reference_equals_pillows_fractional_box() -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(2)
    for _ in range(20):
        size, n = int(rng.integers(4, 90)), 8 * int(rng.integers(1, 8))
        a, b = np.sort(rng.uniform(0, size, 2)) + np.array([0, 0.01])
        b = min(b, size)
        signal = rng.normal(size=(size, 1)).astype(np.float32)
        want = image.fromarray(signal).resize((1, n), image.Resampling.BILINEAR, box=(0, a, 1, b))
        matrix, _ = resampling_matrix(axis_of(a, b, 0, size, size, n), 0)
        np.testing.assert_allclose(matrix @ signal, np.asarray(want), atol=2e-4)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_padding_is_a_larger_image(mode: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        size, n, before, after = (int(rng.integers(*r)) for r in ((1, 40), (1, 60), (0, 30), (0, 30)))
        lo, hi = -before, size + after
        signal = rng.normal(size=size)
        if mode == "reflect" and size == 1:
            padded = np.full(size + before + after, signal[0])
        else:
            padded = np.pad(signal, (before, after), mode=mode, **({"constant_values": 7.0} if mode == "constant" else {}))  # type: ignore[call-overload]
        a, b = rng.uniform(lo - 3, hi + 3, 2)
        matrix, outside = resampling_matrix(axis_of(a, b, lo, hi, size, n, mode), 0)
        larger, none = resampling_matrix(axis_of(a - lo, b - lo, 0, hi - lo, hi - lo, n), 0)
        np.testing.assert_allclose(matrix @ signal + 7.0 * outside, larger @ padded, atol=1e-9)
        assert not none.any() and (mode == "constant" or not outside.any())


def test_blur_is_a_convolution_of_the_output() -> None:
    rng = np.random.default_rng(4)
    for n, radius in ((8, 1), (24, 3), (17, 4), (64, 11), (5, 4)):
        kernel = rng.random(2 * radius + 1)
        kernel = (kernel + kernel[::-1]) / 2
        plain, _ = resampling_matrix(axis_of(1.5, 30.0, 0, 31, 31, n), 0)
        got, _ = resampling_matrix(axis_of(1.5, 30.0, 0, 31, 31, n, kernel=kernel), 0)
        padded = np.pad(plain[:n], ((radius, radius), (0, 0)), mode="reflect")
        want = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)
        np.testing.assert_allclose(got[:n], want, atol=1e-12)
        assert (got[n:] == got[n - 1]).all()


def test_rows_beyond_the_size_repeat_the_last() -> None:
    matrix, _ = resampling_matrix(axis_of(0, 50, 0, 50, 50, 21), 0)
    assert matrix.shape == (24, 50) and (matrix[21:] == matrix[20]).all() and (matrix[20] != matrix[19]).any()


@pytest.mark.parametrize("radius", [0, 1, 5])
def test_one_block_touches_at_most_t_blocks(radius: int) -> None:
    rng = np.random.default_rng(6)
    reached = 0
    cases = 4000
    scale = np.exp(rng.uniform(np.log(0.05), np.log(12), cases))
    scale[:800] = rng.choice([0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8], 800)
    start = np.where(rng.random(cases) < 0.3, np.round(rng.uniform(500, 600, cases)), rng.uniform(500, 600, cases))
    for s, a, most in zip(scale, start, taps(scale, radius), strict=True):
        centre = a + (np.arange(-radius, 8 + radius) + 0.5) * s
        pixels = np.arange(int(centre[0] - 2 * s - 10), int(centre[-1] + 2 * s + 10))
        touched = (np.abs(pixels + 0.5 - centre[:, None]) < max(s, 1) - 1e-9).any(axis=0)
        blocks = len(np.unique(pixels[touched] // 8))
        assert blocks <= most, (s, a)
        reached += blocks == most
    assert reached > 0.2 * cases
    assert [int(taps(np.array([x]))[0]) for x in (0.3, 1, 1.88, 2.77, 3, 4, 6, 8)] == [2, 2, 3, 4, 5, 6, 8, 10]


# ------------------------------------------------------------------------------------- whole pictures, dense, in float64


def dense(image: dctload.JPEGCoefficients, geometry: Geometry, row: int, *, pixels: bool = False) -> Float:
    """`[3, 64, rows, cols]`, or pixels `[3, H, W]`: the reference operators on the whole of an image that is there in full."""
    header, turned = image.header, bool(geometry.transposed[row])
    is_rgb = header.color_space == "rgb"
    gh, gw = geometry.grid
    out = np.zeros((3, 8 * gh, 8 * gw))
    fill = np.zeros(3) if geometry.fill is None else geometry.fill[row].astype(np.float64)
    if is_rgb:
        fill = np.linalg.solve(RGB_TO_YCBCR, fill)
    for k, (component, plane) in enumerate(zip(header.components, image.planes, strict=True)):
        blocks = np.zeros((64, *plane.shape[1:]))
        blocks[list(image.frequencies[k])] = plane.astype(np.float64)
        blocks *= component.quantization.astype(np.float64)[:, None, None]
        if geometry.requantize is not None:
            steps = geometry.requantize[row, 0 if is_rgb or k == 0 else 1].astype(np.float64)[:, None, None]
            blocks = np.round(blocks / steps) * steps
        rows, cols = plane.shape[1:]
        matrix = blocks.reshape(8, 8, rows, cols).transpose(2, 0, 3, 1).reshape(8 * rows, 8 * cols)
        sides = []
        for which, (own, most, size) in enumerate(
            ((component.v, header.v_max, header.height), (component.h, header.h_max, header.width))
        ):
            shown = 1 - which if turned else which
            kernel = None if geometry.blur is None else np.asarray(geometry.blur[shown])[row : row + 1]
            axis = Axis.of_component(
                geometry.box[[row], which],
                geometry.valid[[row], which],
                (np.array([own]), np.array([most])),
                np.array([size]),
                geometry.size[shown],
                mode=geometry.padding_mode,
                kernel=kernel,
                present=None if geometry.present is None else geometry.present[[row], which],
            )
            weights, outside = resampling_matrix(axis, 0)
            sides.append((block_operator(weights, pixels=True), weights.sum(axis=1), weights.sum(axis=1) + outside))
        (down, inside_y, ones_y), (across, inside_x, ones_x) = sides
        plane_out = down @ matrix @ across.T + fill[k] * (np.outer(ones_y, ones_x) - np.outer(inside_y, inside_x))
        out[k] = plane_out.T if turned else plane_out
    if is_rgb:
        out = np.einsum("dc,cyx->dyx", RGB_TO_YCBCR, out)
    if pixels:
        return out[:, : geometry.size[0], : geometry.size[1]]
    blocks = np.einsum("vy,kryCx,ux->kvurC", DCT, out.reshape(3, gh, 8, gw, 8), DCT)
    return np.asarray(blocks.reshape(3, 64, gh, gw))


def picked(whole: Float, channels: ChannelSelection) -> Float:
    return np.concatenate([whole[k][list(part)] for k, part in enumerate((channels.y, channels.cb, channels.cr))])


def random_geometry(rng: np.random.Generator, sizes: list[tuple[int, int]], kind: str, out: tuple[int, int]) -> Geometry:
    """`sizes`: height, width of each image; `kind`: what is unusual."""
    box, valid = np.zeros((2, len(sizes), 2, 2))
    for i, size in enumerate(sizes):
        for axis, length in enumerate(size):
            a, b = np.sort(rng.uniform(0, length, 2))
            b = max(b, a + 0.5)
            if kind == "crop":
                a, b = int(a), max(int(b), int(a) + 1)
                valid[i, axis] = a, b
            elif kind == "padding":
                a, b = rng.uniform(-length, 2 * length, 2)
                valid[i, axis] = -int(rng.integers(0, length + 9)), length + int(rng.integers(0, length + 9))
            else:
                valid[i, axis] = 0, length
            box[i, axis] = (b, a) if rng.random() < 0.4 else (a, b)
    return Geometry(box, valid, rng.random(len(sizes)) < 0.4, out)


def kernels(rng: np.random.Generator, count: int, radius: int) -> Float:
    half = rng.random((count, radius + 1))
    whole = np.concatenate([half[:, :0:-1], half], axis=1)
    return np.asarray(whole / whole.sum(axis=1, keepdims=True))


@cache
def source(layout: str, width: int, height: int, seed: int, **options: object) -> bytes:
    return jb.encode(jb.content(width, height, layout, "natural", seed=seed), **options).to_bytes()


def agrees(
    packed: dctload.PackedBatch, geometry: Geometry, channels: ChannelSelection | None, images: list[int] | None = None
) -> None:
    judged = dctload.unpack_reference(packed)
    d = ops.unpack(packed)
    for backend in BACKENDS:
        got = ops.resample(d, geometry, channels, images=images, backend=backend).numpy()
        for row, i in enumerate(range(len(d)) if images is None else images):
            image = judged[i]
            assert image is not None
            whole = dense(image, geometry, row, pixels=channels is None)
            want = whole if channels is None else picked(whole, channels)
            largest = max(np.abs(image.dequantized(k)).max(initial=0) for k in range(len(image.planes)))
            scale = max(largest, np.abs(want).max(), 1.0)
            assert np.abs(got[row] - want).max() < 5e-6 * scale, (backend, row, image.header, geometry)


@pytest.mark.parametrize("channels", ["all", "24t", "y:8,16;cb:5;cr:0,32", None])
@pytest.mark.parametrize("kind", ["crop", "whole", "padding"])
def test_any_box_of_any_sampling(kind: str, channels: str | None) -> None:
    rng = np.random.default_rng([1, len(kind), len(channels or "")])
    for number in range(4 if kind == "padding" else 2):
        sizes = [(int(rng.integers(1, 110)), int(rng.integers(1, 110))) for _ in LAYOUTS]
        files = [source(layout, w, h, seed=number) for layout, (h, w) in zip(LAYOUTS, sizes, strict=True)]
        out = int(rng.integers(1, 90)), 8 * int(rng.integers(1, 9))
        geometry = random_geometry(rng, sizes, kind, out)
        if kind == "padding":
            fill = rng.uniform(-128, 127, (len(sizes), 3)).astype(np.float32)
            fill[LAYOUTS.index("gray"), 1:] = 0  # a gray image has no chroma, in its padding neither
            geometry = replace(geometry, padding_mode=PADDING_MODES[number], fill=fill)
        selection = None if channels is None else ChannelSelection.parse(channels)
        agrees(dctload.extract(files, "all", num_threads=1), geometry, selection)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_what_a_crop_left_ends_the_picture_for_padding(mode: str) -> None:
    rng = np.random.default_rng([3, len(mode)])
    sizes = [(60, 44), (33, 90), (100, 100), (9, 17)]
    files = [source(layout, w, h, seed=5) for layout, (h, w) in zip(("4:2:0", "4:4:4", "gray", "4:2:2"), sizes, strict=True)]
    geometry = random_geometry(rng, sizes, "padding", (56, 40))
    present = np.array([[sorted(rng.choice(length + 1, 2, replace=False)) for length in size] for size in sizes], np.float64)
    geometry = replace(geometry, present=present, padding_mode=mode)
    packed = dctload.extract(files, "all", num_threads=1)
    for channels in (ChannelSelection.parse("24s"), None):
        agrees(packed, geometry, channels)


@pytest.mark.parametrize("channels", ["24s", None])
@pytest.mark.parametrize("radius", [1, 4, 9])
def test_blur_and_coarser_steps_with_a_turn(radius: int, channels: str | None) -> None:
    rng = np.random.default_rng([2, radius])
    sizes = [(60, 44), (33, 90), (100, 100), (9, 17)]
    files = [source(layout, w, h, seed=5) for layout, (h, w) in zip(("4:2:0", "4:4:4", "gray", "4:2:2"), sizes, strict=True)]
    for out in ((64, 40), (30, 50), (5, 8)):
        geometry = replace(
            random_geometry(rng, sizes, "padding" if radius == 4 else "crop", out),
            blur=(kernels(rng, 4, radius), kernels(rng, 4, max(radius - 1, 1))),
            requantize=rng.integers(1, 60, (4, 2, 64)).astype(np.uint16),
            padding_mode="symmetric" if radius == 4 else "constant",
        )
        selection = None if channels is None else ChannelSelection.parse(channels)
        agrees(dctload.extract(files, "all", num_threads=1), geometry, selection)


def test_files_in_rgb_become_ycbcr() -> None:
    rng = np.random.default_rng(8)
    content = jb.content(70, 50, "4:4:4", "natural", seed=1)
    packed = dctload.extract([jb.encode(content, extras=(jb.adobe(0),)).to_bytes()] * 3, "all", num_threads=1)
    assert packed.header(0).color_space == "rgb"  # type: ignore[union-attr]
    for channels in ("24s", "y:1;cb:0,9;cr:63", None):
        geometry = random_geometry(rng, [(50, 70)] * 3, "padding", (48, 40))
        geometry = replace(geometry, fill=rng.uniform(-128, 127, (3, 3)).astype(np.float32))
        agrees(packed, geometry, None if channels is None else ChannelSelection.parse(channels))


def test_a_mixed_batch_equals_its_images_one_by_one() -> None:
    rng = np.random.default_rng(9)
    sizes = [(int(rng.integers(1, 130)), int(rng.integers(1, 130))) for _ in range(12)]
    files = [source(LAYOUTS[i % 6], w, h, seed=i) for i, (h, w) in enumerate(sizes)]
    d = ops.unpack(dctload.extract(files, "all", num_threads=1))
    geometry = random_geometry(rng, sizes, "crop", (40, 48))
    for backend in BACKENDS:
        together = ops.resample(d, geometry, ALL, backend=backend)
        order = rng.permutation(12)
        shuffled = Geometry(geometry.box[order], geometry.valid[order], geometry.transposed[order], geometry.size)
        torch.testing.assert_close(
            ops.resample(d, shuffled, ALL, images=order, backend=backend), together[order], rtol=1e-5, atol=1e-3
        )
        for i in range(12):
            one = Geometry(geometry.box[[i]], geometry.valid[[i]], geometry.transposed[[i]], geometry.size)
            alone = ops.resample(d, one, ALL, images=[i], backend=backend)[0]
            torch.testing.assert_close(alone, together[i], rtol=1e-5, atol=1e-3)


def test_a_region_gives_what_the_whole_image_gives() -> None:
    data = source("4:2:0", 300, 260, seed=2)
    box = np.array([[[100.0, 180.0], [250.0, 131.0]]])
    geometry = Geometry(box, np.array([[[0.0, 260.0], [0.0, 300.0]]]), np.zeros(1, bool), (40, 56))
    whole = ops.unpack(dctload.extract([data], "all", num_threads=1))
    part = ops.unpack(dctload.extract([data], "all", regions=[(96, 112, 100, 150)], num_threads=1))
    cut = ops.unpack(dctload.extract([data], "all", num_threads=1).cut((96, 112, 100, 150)))
    want = ops.resample(whole, geometry, ALL, backend="torch")
    for d in (part, cut):
        assert d.images.region[0, 0] > 0 and d.components.rows[0] < whole.components.rows[0]
        for backend in BACKENDS:
            got = ops.resample(d, geometry, ALL, backend=backend)
            assert (got - want).abs().max() < 5e-6 * max(1000.0, float(want.abs().max()))


def test_frequencies_that_were_not_sent_count_as_zero() -> None:
    data = source("4:2:0", 90, 80, seed=2)
    rng = np.random.default_rng(10)
    for channels in ("24s", "y:0,5,40;cb:;cr:2"):
        geometry = random_geometry(rng, [(80, 90)], "whole", (48, 40))
        agrees(dctload.extract([data], channels, num_threads=1), geometry, ALL)


def test_failed_images_are_zero_and_scale_and_bias_come_last() -> None:
    packed = dctload.extract(
        [source("4:4:4", 40, 40, 1), b"GIF89a", source("gray", 50, 40, 2)], "all", on_error="mark", num_threads=1
    )
    d = ops.unpack(packed)
    geometry = Geometry(
        np.tile([[0.0, 40.0], [0.0, 40.0]], (3, 1, 1)), np.tile([[0.0, 40.0]], (3, 2, 1)), np.zeros(3, bool), (16, 24)
    )
    scale, bias = torch.rand(3, 192) + 0.5, torch.rand(3, 192)
    for backend in BACKENDS:
        plain = ops.resample(d, geometry, ALL, backend=backend)
        assert plain[0].abs().amin(dim=(1, 2)).max() > 0 and not plain[1].any() and not plain[2, 64:].any()
        got = ops.resample(d, geometry, ALL, scale=scale, bias=bias, backend=backend)
        torch.testing.assert_close(got, plain * scale[..., None, None] + bias[..., None, None], rtol=1e-5, atol=1e-3)


def test_an_empty_request_has_the_right_shape() -> None:
    d = ops.unpack(dctload.extract([source("4:4:4", 40, 40, 1)], "24s", num_threads=1))
    none = Geometry(np.zeros((0, 2, 2)), np.zeros((0, 2, 2)), np.zeros(0, bool), (16, 20))
    assert ops.resample(d, none, ALL, images=[]).shape == (0, 192, 2, 3)
    assert ops.resample(d, none, None, images=[]).shape == (0, 3, 16, 20)


def test_colours_without_a_linear_map_are_refused_by_name() -> None:
    files = [source("4:4:4", 40, 40, 1), source("four", 40, 40, 1), source("two components", 40, 40, 1)]
    d = ops.unpack(dctload.extract(files, "24s", num_threads=1))
    geometry = Geometry(np.tile([[0.0, 40.0]], (3, 2, 1)), np.tile([[0.0, 40.0]], (3, 2, 1)), np.zeros(3, bool), (16, 16))
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=r'image 1: 4 components.*fallback="transcode"'):
            ops.resample(d, geometry, ALL, backend=backend)
    one = Geometry(geometry.box[:1], geometry.valid[:1], geometry.transposed[:1], (16, 16))
    with pytest.raises(ValueError, match="image 2: 2 components"):
        ops.resample(d, one, ALL, images=[2])


def test_a_geometry_that_does_not_fit_is_refused() -> None:
    d = ops.unpack(dctload.extract([source("4:4:4", 40, 40, 1)], "24s", num_threads=1))
    good = Geometry(np.array([[[0.0, 40.0]] * 2]), np.array([[[0.0, 40.0]] * 2]), np.zeros(1, bool), (16, 16))
    for wrong, words in (
        ({"box": np.zeros((2, 2, 2))}, "box"),
        ({"box": np.zeros((1, 2, 2))}, "empty"),
        ({"box": good.box * np.nan}, "finite"),
        ({"valid": good.valid * 0}, "lo < hi"),
        ({"valid": good.valid + 0.5}, "whole pixels"),
        ({"size": (0, 16)}, "at least 1"),
        ({"padding_mode": "wrap"}, "padding_mode"),
        ({"fill": np.zeros((2, 3), np.float32)}, "fill"),
        ({"blur": (np.ones((1, 2)), np.ones((1, 3)))}, "blur"),
        ({"requantize": np.zeros((1, 2, 64), np.uint16)}, "requantize"),
        ({"present": good.valid * 0}, "present is lo < hi"),
        ({"present": good.valid + 40}, "image 0: geometry.present lies outside"),
        ({"present": good.valid - 40}, "image 0: geometry.present lies outside"),
    ):
        with pytest.raises(ValueError, match=words):
            ops.resample(d, replace(good, **wrong), ALL)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="places in the batch"):
        ops.resample(d, good, ALL, images=[1])
    with pytest.raises(ValueError, match="backend"):
        ops.resample(d, good, ALL, backend="cuda")
    with pytest.raises(ValueError, match="scale"):
        ops.resample(d, good, ALL, scale=torch.ones(1, 24))


def test_blocks_that_were_not_extracted_are_missed_by_name() -> None:
    packed = dctload.extract([source("4:4:4", 200, 200, 1)], "24s", regions=[(0, 0, 64, 64)], num_threads=1)
    geometry = Geometry(np.array([[[0.0, 100.0], [0.0, 60.0]]]), np.array([[[0.0, 200.0]] * 2]), np.zeros(1, bool), (16, 16))
    for backend in BACKENDS:
        with pytest.raises(ValueError, match=r"image 0: its box needs rows 0\.\.12 .* holds 0\.\.7"):
            ops.resample(ops.unpack(packed), geometry, ALL, backend=backend)


def test_float32_bands_are_as_exact_as_promised_far_from_the_origin() -> None:
    rng = np.random.default_rng(11)
    for _ in range(20):
        a = rng.uniform(60_000, 64_000)
        axis = axis_of(a, a + rng.uniform(20, 400), 0, 65_000, 65_000, 56)
        bands = banded(axis, out=8, band=8, device=torch.device("cpu"))
        want = block_operator(resampling_matrix(axis, 0)[0])
        for block in range(7):
            first = 8 * int(bands.first[0, block])
            part = want[8 * block : 8 * block + 8, first : first + 8 * bands.matrix.shape[2]]
            got = bands.matrix[0, block].permute(1, 0, 2).flatten(1)[:, : part.shape[1]].double().numpy()
            assert np.abs(got - part).max() < 2e-6
            assert abs(np.abs(want[8 * block : 8 * block + 8]).sum() - np.abs(part).sum()) < 1e-9


# ---------------------------------------------------------------------------------------------------------- real pictures


@needs_real_files
def test_photographs_stay_within_two_thousandths() -> None:
    chosen = [*names("imagenet-sample", "ok")[:4], *names("photos", "ok")[:1]]
    rng = np.random.default_rng(12)
    packed = dctload.extract([DATA / name for name in chosen], "all", num_threads=1)
    d = ops.unpack(packed)
    sizes = list(zip(d.images.height.tolist(), d.images.width.tolist(), strict=True))
    geometry = random_geometry(rng, sizes, "crop", (224, 224))
    results = [ops.resample(d, geometry, ALL, backend=backend).numpy() for backend in BACKENDS]
    for i, image in enumerate(dctload.unpack_reference(packed)):
        assert image is not None
        want = picked(dense(image, geometry, i), ALL)
        for got in results:
            assert np.abs(got[i] - want).max() < 2e-3, chosen[i]
