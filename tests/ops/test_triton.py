"""Triton's kernels against the reference unpacker, to the bit, and against the operator in float64.

On a CUDA device they run there. Elsewhere one test starts them all in Triton's interpreter, in a process of its own: the
interpreter must be chosen before triton is imported. Without a device they are compiled for one, for their registers.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dctload
from dctload import ChannelSelection, PackedBatch
from support import jpeg_builder as jb
from support import real_files
from support.real_files import needs_real_files

torch = pytest.importorskip("torch")
triton = pytest.importorskip("triton")

from dctload import ops
from dctload.ops import _torch_unpack, _triton_resample, _triton_unpack, dense
from dctload.ops.facts import BatchFacts
from dctload.ops.geometry import Geometry
from dctload.ops.operators import block_operator, resampling_matrix
from dctload.ops.samples import Samples

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
runs_kernels = pytest.mark.skipif(
    not INTERPRETED and DEVICE == "cpu", reason="no CUDA device; test_kernels_in_the_interpreter runs it"
)
ODD = (
    "baseline__jpeg-decoder__restarts.jpg",
    "cmyk-ycck__jpegsuite__32x32x8_cmyk_interleaved~2.jpg",
    "fuzz-ok__lepton_jpeg_rust__6f6690eba3eb.jpg",
    "junk-trailing-fill__TwelveMonkeys__jfif-padded-segments.jpg",
    "mpf__Pillow__ignore_frame_size.mpo",
    "non-interleaved__jpegsuite__32x32x8_rgb.jpg",
    "sampling__jpegsuite__32x32x8_ycbcr_2x2_2x1_1x~2.jpg",
    "sampling__wuffs__peacock.s-very-weird.jpeg",
    "sampling__wuffs__peacock.s1x3.jpeg",
    "sampling__zune-image__weird_sampling_2.jpeg",
)

if INTERPRETED:
    from triton.runtime import interpreter

    _patch = interpreter._patch_lang_tensor

    def _with_index(tensor, scope):
        """Triton 3.6 makes ints of arrays of one element, which NumPy 2.4 refuses."""
        _patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = _with_index


@pytest.mark.no_sanitizer
@pytest.mark.skipif(INTERPRETED, reason="is the interpreter's own process")
@pytest.mark.slow
def test_kernels_in_the_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", __file__]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout, done.stdout


# --------------------------------------------------------------------------------------------------------------- unpack


def tensor_of(batch: PackedBatch):
    return torch.from_numpy(np.array(batch.buffer)).to(DEVICE)


def aligned(batch: PackedBatch):
    """The bytes as a tensor at a multiple of 16, as a batch is on a device."""
    place = torch.empty(batch.nbytes + 16, dtype=torch.uint8, device=DEVICE)
    start = -place.data_ptr() % 16
    return place[start : start + batch.nbytes].copy_(tensor_of(batch))


def values_of(batch: PackedBatch) -> np.ndarray:
    planes = [plane for image in dctload.unpack_reference(batch) if image is not None for plane in image.planes]
    return np.concatenate([plane.reshape(-1) for plane in planes])


def assert_unpacks(batch: PackedBatch) -> None:
    """Equal values, from kernels that write where they are told and nowhere else."""
    packed, facts, want = aligned(batch), BatchFacts.read(batch.buffer), values_of(batch)
    out = torch.full((len(want) + 64,), 12345, dtype=torch.int16, device=DEVICE)
    _triton_unpack.unpack_into(packed, facts, out[32:-32])
    np.testing.assert_array_equal(out[32:-32].cpu().numpy(), want)
    assert (out[:32] == 12345).all() and (out[-32:] == 12345).all()


def jpeg(size: tuple[int, int], mode: str = "RGB", subsampling: str = "4:2:0", seed: int = 0) -> bytes:
    """A small picture with something at all frequencies, `size` is width and height."""
    image = pytest.importorskip("PIL.Image")
    noise = np.random.default_rng(seed).integers(0, 90, (size[1], size[0], 3))
    slope = np.linspace(0, 160, size[0])[None, :, None] * np.array([1.0, 0.4, 0.8])
    out = io.BytesIO()
    options = {} if mode == "L" else {"subsampling": subsampling}
    image.fromarray((noise + slope).astype(np.uint8)).convert(mode).save(out, "JPEG", quality=85, **options)
    return out.getvalue()


@runs_kernels
@needs_real_files
@pytest.mark.parametrize("channels", ["6s", "24s", "64s", "all"])
def test_real_files_unpack_to_the_reference(channels):
    names = real_files.names("imagenet-sample", "ok")[:40:20]
    regions = [(0, 0, 100, 90), (31, 50, 60, 70)]
    assert_unpacks(dctload.extract([real_files.DATA / n for n in names], channels, regions))


@runs_kernels
@needs_real_files
def test_odd_files_unpack_to_the_reference():
    names = [real_files.DATA / "jpeg-corpus" / name for name in ODD]
    kinds = ["24s", "all", "y:1,9,63;cb:7;cr:0", "6s", "12s"]
    assert_unpacks(dctload.extract(names, [kinds[i % len(kinds)] for i in range(len(names))]))


@runs_kernels
def test_cuts_within_tiles_unpack_to_the_reference():
    whole = dctload.extract([jpeg((150, 90)), jpeg((90, 150), subsampling="4:4:4", seed=1)], "24s")
    batch = whole.cut([(40, 24, 40, 110), (24, 8, 100, 64)])
    facts = BatchFacts.read(batch.buffer).components
    assert facts.skip_x.any() and facts.skip_y.any()
    assert_unpacks(batch)


@runs_kernels
def test_values_over_the_whole_range_unpack_to_the_reference():
    header = dctload.read_header(jpeg((70, 60)))
    rng = np.random.default_rng(7)
    planes = []
    for component in header.components:
        shape = (64, component.block_rows, component.block_cols)
        plane = rng.integers(-32768, 32768, shape) >> rng.integers(0, 16, (64, 1, 1))  # every number of planes
        planes.append(plane.astype(np.int16))
    tables = [rng.integers(1, 65536, 64) for _ in planes]
    assert_unpacks(PackedBatch.join([dctload.pack(planes, tables, header)]))


@runs_kernels
def test_many_images_some_of_them_bad_and_without_chroma():
    sources = [jpeg((8 + i % 3, 8), mode="L" if i % 5 == 0 else "RGB", seed=i) for i in range(14)]
    sources[3] = b"no JPEG"
    batch = dctload.extract(sources, ["y:0,1;cb:0;cr:0"] * 7 + ["cb:3;cr:4;y:2"] * 7, on_error="mark")
    assert len(BatchFacts.read(batch.buffer).components) > 32  # more than one round of the search
    assert_unpacks(batch)


@runs_kernels
def test_hostile_payloads_stay_inside_and_equal_the_other_unpackers():
    batch = dctload.extract([jpeg((70, 50)), jpeg((33, 40), subsampling="4:4:4", seed=1)], "24s")
    facts, rng = BatchFacts.read(batch.buffer), np.random.default_rng(3)
    ends = np.append(facts.images.record[1:], len(batch.buffer))  # an image's last payload ends with its record
    for fill in (0xFF, 0xF0, None):
        bad = np.array(batch.buffer)
        for image, payload in zip(facts.components.image, facts.components.payload, strict=True):
            bad[payload : ends[image]] = rng.integers(0, 256, ends[image] - payload) if fill is None else fill
        place = torch.empty(len(bad) + 16, dtype=torch.uint8, device=DEVICE)
        packed = place[-place.data_ptr() % 16 :][: len(bad)].copy_(torch.from_numpy(bad))
        out = torch.full((facts.num_values + 64,), 7, dtype=torch.int16, device=DEVICE)
        _triton_unpack.unpack_into(packed, facts, out[32:-32])
        np.testing.assert_array_equal(out[32:-32].cpu(), _torch_unpack.unpack_tiles(torch.from_numpy(bad), facts))
        assert (out[:32] == 7).all() and (out[-32:] == 7).all()


@runs_kernels
@pytest.mark.parametrize("launch", [_triton_unpack.Launch(8, 1), _triton_unpack.Launch(16, 4)], ids=str)
def test_dequantised_in_each_type_whatever_the_launch(launch):
    batch = dctload.extract([jpeg((40, 30))], "24s")
    facts, d = BatchFacts.read(batch.buffer), ops.unpack(batch, backend="torch")
    want = torch.cat([plane.flatten() for plane in d.planes(0)])
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        out = torch.empty(len(want), dtype=kind, device=DEVICE)
        _triton_unpack.unpack_into(aligned(batch), facts, out, launch)
        if INTERPRETED and kind == torch.bfloat16:  # the interpreter cuts off where the device rounds
            want_bits = (want.view(torch.int32) >> 16 << 16).view(torch.float32)
            assert torch.equal(out.float(), want_bits)
        else:
            assert torch.equal(out.cpu(), want.to(kind))


@runs_kernels
@pytest.mark.parametrize("size", [(64, 24), (52, 30)], ids=["whole tiles", "ragged"])
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
def test_one_tensor_equals_the_torch_road(size, last):
    sources = [
        jpeg(size),
        jpeg(size, subsampling="4:4:4", seed=1),
        jpeg(size, "L", seed=2),
        jpeg(size, subsampling="4:2:2"),
        b"?",
    ]
    batch = dctload.extract(sources, "24s", on_error="mark")
    d, facts, selection = ops.unpack(batch, backend="torch"), BatchFacts.read(batch.buffer), ChannelSelection.parse("24s")
    packed = aligned(batch)
    generator = torch.Generator().manual_seed(1)
    mean, std = torch.randn(24, generator=generator) * 40, torch.rand(24, generator=generator) * 60 + 4
    flip = torch.tensor([True, False, True, False, False]) if size[0] % 8 == 0 else None
    shape = dense.to_dense(d).shape
    layout = torch.channels_last if last else torch.contiguous_format

    def filled(**options):
        out = torch.full(shape, 9.0, device=DEVICE).to(memory_format=layout)
        _triton_unpack.unpack_dense(packed, facts, selection, out, **options)
        return out.cpu()

    def apart(numbers):
        """The same, every other one in memory."""
        return None if numbers is None else torch.stack([numbers, ~numbers if numbers.dtype == torch.bool else -numbers], 1)[:, 0]

    assert torch.equal(filled(), dense.to_dense(d))
    options = {"mean": mean, "std": std, "flip": flip}
    options = {name: apart(numbers if numbers is None else numbers.to(DEVICE)) for name, numbers in options.items()}
    want = dense.to_dense(d, mean=mean, std=std, flip=None if flip is None else flip.numpy())
    torch.testing.assert_close(filled(**options), want, rtol=1e-5, atol=1e-5)
    half = torch.empty(shape, dtype=torch.float16, device=DEVICE).to(memory_format=layout)
    _triton_unpack.unpack_dense(packed, facts, selection, half, **options)
    torch.testing.assert_close(half.cpu().float(), want, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("what", ["type", "size", "alignment"])
def test_wrong_tensors_are_refused(what):
    batch = dctload.extract([jpeg((16, 16))], "6s")
    packed, facts = aligned(batch), BatchFacts.read(batch.buffer)
    out = torch.empty(facts.num_values, dtype=torch.int16, device=DEVICE)
    if what == "type":
        out = out.to(torch.int32)
    elif what == "size":
        out = out[:-1]
    else:
        packed = torch.empty(batch.nbytes + 32, dtype=torch.uint8, device=DEVICE)[-packed.data_ptr() % 16 + 1 :][: batch.nbytes]
    with pytest.raises(ValueError, match=r"out is|multiple of 16"):
        _triton_unpack.unpack_into(packed, facts, out)


# ------------------------------------------------------------------------------------------------------------- resample


def resampled(d, geometry: Geometry, channels: ChannelSelection | None) -> np.ndarray:
    """The operator in float64, image by image: dense matrices of the reference, and planes as they are in the batch."""
    n, (height, width) = len(d), geometry.size
    lists = [range(64)] * 3 if channels is None else [channels.y, channels.cb, channels.cr]
    grid = (height, width) if channels is None else geometry.grid
    out = np.zeros((n, 3 if channels is None else len(channels), *grid))
    for i in range(n):
        samples = Samples.of(d, geometry, np.arange(n), np.array([i]), turned=bool(geometry.transposed[i]))
        for s in range(len(samples)):
            part, plane = int(samples.part[s]), d.planes(i)[int(samples.part[s])].double().cpu().numpy()
            rows, cols = plane.shape[1:]
            full = np.zeros((64, rows, cols))
            full[list(d.frequencies(i)[part])] = plane
            blocks = full.reshape(8, 8, rows, cols).transpose(2, 0, 3, 1).reshape(8 * rows, 8 * cols)
            down, across = (
                block_operator(resampling_matrix(axis, s)[0], pixels=channels is None) for axis in (samples.down, samples.across)
            )
            result = down @ blocks @ across.T
            if samples.turned:
                result = result.T
            if channels is None:
                out[i, part] = result[:height, :width]
                continue
            first = sum(len(lists[k]) for k in range(part))
            by_frequency = result.reshape(grid[0], 8, grid[1], 8).transpose(1, 3, 0, 2).reshape(64, *grid)
            out[i, first : first + len(lists[part])] = by_frequency[list(lists[part])]
    return out


def pictures(channels: str = "all"):
    """4:2:0, 4:4:4 and gray, of sizes that are no multiples of 8."""
    sources = [jpeg((50, 61)), jpeg((70, 40), subsampling="4:4:4", seed=1), jpeg((47, 33), "L", seed=2)]
    packed = dctload.extract(sources, channels)
    return ops.unpack(packed, backend="torch").to(DEVICE)


def boxes(d, *, size: tuple[int, int], turned: tuple[bool, ...] = (False, False, False), **options) -> Geometry:
    """Crops at fractions of pixels, the second image mirrored."""
    height, width = d.images.height, d.images.width
    box = np.stack([np.stack([0 * height + 2.3, height - 1.7], 1), np.stack([0 * width + 3.1, width - 4.6], 1)], 1)
    box[1, 1] = box[1, 1, ::-1]
    valid = np.stack([np.stack([0 * height, height], 1), np.stack([0 * width, width], 1)], 1).astype(float)
    return Geometry(box, valid, np.array(turned), size, **options)


def by_kernels(d, geometry, channels, like, kind=torch.float32, layout=torch.contiguous_format, **options):
    out = torch.full(like.shape, 9.0, dtype=kind, device=DEVICE).to(memory_format=layout)
    _triton_resample.resample_into(d, geometry, channels, np.arange(len(d)), out, **options)
    return out.cpu().float().numpy()


@runs_kernels
@pytest.mark.parametrize(
    "size, channels, turned",
    [
        ((40, 24), "24s", (False, False, False)),  # near the native size
        ((16, 16), "24t", (True, False, True)),  # shrinking; frequencies that are no rectangle; two images turned
        ((24, 40), "all", (False, True, False)),
        ((20, 30), None, (False, True, False)),  # pixels, the last blocks not whole
    ],
    ids=["24s", "24t turned", "all", "pixels"],
)
def test_resampling_equals_the_operator_in_float64(size, channels, turned):
    d = pictures()
    geometry = boxes(d, size=size, turned=turned)
    selection = None if channels is None else ChannelSelection.parse(channels)
    want = resampled(d, geometry, selection)
    got = by_kernels(d, geometry, selection, want)
    assert np.abs(got - want).max() < 5e-6 * np.abs(want).max()


@runs_kernels
def test_padding_blur_and_requantisation_equal_the_torch_road():
    d = pictures("12s")
    n, selection = len(d), ChannelSelection.parse("6s")
    out_of_it = boxes(d, size=(16, 16))
    box = out_of_it.box + np.array([[-12.0, -5.0], [6.0, 21.0]])
    valid = out_of_it.valid + np.array([[-20, 0], [0, 30]])
    kernel = np.array([[0.25, 0.5, 0.25]] * n)
    for geometry in (
        Geometry(box, valid, out_of_it.transposed, (16, 16), fill=np.array([[10.0, 20, -30]] * n, np.float32)),
        Geometry(box, valid, out_of_it.transposed, (16, 16), "reflect"),
        boxes(d, size=(16, 16), blur=(kernel, kernel), requantize=np.full((n, 2, 64), 17, np.uint16)),
    ):
        want = ops.resample(d, geometry, selection, backend="torch").cpu().numpy()
        assert np.abs(by_kernels(d, geometry, selection, want) - want).max() < 2e-3


@runs_kernels
def test_files_in_rgb_equal_the_torch_road():
    image = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    pixels = np.random.default_rng(5).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    image.fromarray(pixels).save(out, "JPEG", quality=90, keep_rgb=True)
    d = ops.unpack(dctload.extract([out.getvalue(), jpeg((32, 24))], "all"), backend="torch").to(DEVICE)
    assert d.headers.color.tolist() == [3, 2]
    for selection in (ChannelSelection.parse("6s"), None):
        geometry = boxes_of_two(d)
        shape = (2, 3 if selection is None else 6)
        options = {"scale": torch.rand(shape, device=DEVICE) + 0.5, "bias": torch.randn(shape, device=DEVICE)}
        want = ops.resample(d, geometry, selection, backend="torch", **options).cpu().numpy()
        assert np.abs(by_kernels(d, geometry, selection, want, **options) - want).max() < 2e-3


def boxes_of_two(d) -> Geometry:
    box = np.array([[[1.5, 22.0], [2.0, 30.5]]] * 2)
    return Geometry(box, np.array([[[0.0, 24], [0, 32]]] * 2), np.zeros(2, bool), (16, 24))


@runs_kernels
@pytest.mark.parametrize(
    "kind, layout", [(torch.float32, torch.channels_last), (torch.float16, torch.contiguous_format)], ids=str
)
def test_scaled_shifted_and_cast_in_one_go(kind, layout):
    d, selection = pictures("24s"), ChannelSelection.parse("24s")
    geometry = boxes(d, size=(24, 32), turned=(True, False, False))
    scale, bias = torch.rand(24, 3).t() / 20 + 0.01, torch.randn(24, 3).t()  # by image and channel, not contiguous
    plain = resampled(d, geometry, selection)
    options = {"scale": scale.to(DEVICE), "bias": bias.to(DEVICE)}
    for given in (options, {"scale": options["scale"]}, {"bias": options["bias"]}):
        want = plain * (scale[..., None, None].numpy() if "scale" in given else 1)
        want = want + (bias[..., None, None].numpy() if "bias" in given else 0)
        got = by_kernels(d, geometry, selection, want, kind, layout, **given)
        assert np.abs(got - want).max() < (5e-6 if kind == torch.float32 else 1e-3) * np.abs(want).max()


@runs_kernels
def test_the_kernels_are_a_backend_of_unpack_and_resample():
    batch = dctload.extract([jpeg((30, 20)), b"no JPEG", jpeg((24, 33), "L")], "6s", on_error="mark")
    d, other = ops.unpack(batch, DEVICE, backend="triton"), ops.unpack(batch, backend="torch")
    assert torch.equal(d.coefficients.cpu(), other.coefficients)
    box = np.array([[[0.0, 20], [0, 20]]] * 3)
    geometry, selection = Geometry(box, box.copy(), np.zeros(3, bool), (16, 16)), ChannelSelection.parse("6s")
    for options in ({}, {"scale": torch.rand(3, 6), "bias": torch.randn(3, 6)}):
        got = ops.resample(d, geometry, selection, backend="triton", **{name: x.to(DEVICE) for name, x in options.items()})
        want = ops.resample(other, geometry, selection, backend="torch", **options)
        torch.testing.assert_close(got.cpu(), want, rtol=0, atol=2e-3)


@runs_kernels
def test_the_kernels_are_a_backend_of_to_dense():
    odd = jb.encode(jb.content(24, 17, "luma smaller", "natural", seed=1)).to_bytes()  # not for the kernel
    for sources, fits in (([jpeg((24, 17)), b"?", jpeg((24, 17), "L")], True), ([b"?"], False), ([odd], False)):
        d = ops.unpack(dctload.extract(sources, "6s", on_error="mark"))
        assert bool(dense._repeats_whole(d, np.flatnonzero(~d.images.failed)).all() and not d.images.failed.all()) == fits
        flip = [True] * len(d) if fits else None
        options = {"mean": [3.0] * 6, "std": torch.arange(1.0, 7), "flip": flip}
        got = ops.to_dense(d.to(DEVICE), torch.float16, torch.channels_last, backend="triton", **options)
        want = ops.to_dense(d, torch.float16, torch.channels_last, backend="torch", **options)
        assert got.shape == want.shape and got.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(got.cpu(), want, rtol=2e-3, atol=2e-3)


# ----------------------------------------------------------------------------------------- what launches do without a GPU


class _Launches:
    """In a kernel's place: keeps whether each launch came while the tensors' device was the current one."""

    def __init__(self, current: list[object]) -> None:
        self.current, self.within = current, []

    def __getitem__(self, grid):
        return lambda *tensors, **constants: self.within.append(bool(self.current))


@pytest.fixture
def launches(monkeypatch):
    """Stands in for the kernels, and for torch's choice of a device, which nothing without two GPUs could show."""
    current: list[object] = []

    @contextlib.contextmanager
    def device_of(tensor):
        current.append(tensor.device)
        yield
        current.pop()

    fake = _Launches(current)
    monkeypatch.setattr(torch.cuda, "device_of", device_of)
    monkeypatch.setattr(_triton_unpack, "_unpack_kernel", fake)
    monkeypatch.setattr(_triton_resample, "_rows_kernel", fake)
    monkeypatch.setattr(_triton_resample, "_columns_kernel", fake)
    return fake


@pytest.mark.skipif(INTERPRETED, reason="needs no kernel")
def test_kernels_are_launched_on_the_device_of_their_tensors(launches):
    batch = dctload.extract([jpeg((30, 20))], "6s")
    facts = BatchFacts.read(batch.buffer)
    _triton_unpack.unpack_into(aligned(batch), facts, torch.empty(facts.num_values, dtype=torch.int16, device=DEVICE))
    d = ops.unpack(batch, DEVICE, backend="torch")
    box = np.array([[[0.0, 20], [0, 30]]])
    out = torch.empty((1, 6, 2, 2), device=DEVICE)
    geometry = Geometry(box, box.copy(), np.zeros(1, bool), (16, 16))
    _triton_resample.resample_into(d, geometry, ChannelSelection.parse("6s"), np.arange(1), out)
    assert launches.within == [True] * 5  # one to unpack, two each for luma and for chroma


@pytest.mark.skipif(INTERPRETED, reason="needs no kernel")
def test_an_output_beyond_offsets_of_32_bits_is_refused():
    d = ops.unpack(dctload.extract([jpeg((30, 20))], "all"))
    box = np.array([[[0.0, 20], [0, 30]]])
    geometry = Geometry(box, box.copy(), np.zeros(1, bool), (8 * 3400, 8 * 3400))
    out = torch.empty((1, 192, *geometry.grid), device="meta")
    with pytest.raises(ValueError, match="fewer than 2\\^31 values"):
        _triton_resample.resample_into(d, geometry, ChannelSelection.parse("all"), np.arange(1), out)


# -------------------------------------------------------------------------------------------------------------- compile


@pytest.fixture(scope="module")
def registers():
    """The benchmark that compiles the kernels, where it is beside these tests."""
    pytest.importorskip("rich", reason="benchmarks need rich")
    module = pytest.importorskip("benchmarks.registers", reason="the benchmarks are not beside these tests")
    if not (Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas").exists():
        pytest.skip("this triton brings no ptxas")
    return module


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.no_sanitizer
def test_the_launched_kernels_compile_for_hopper_without_spilling(registers):
    for name, kernel in registers._kernels().items():
        found = registers.compiled(90, *kernel)
        assert found["spilled_bytes"] == 0 and found["registers"] <= 128, (name, found)  # 16 programs an SM and more


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.no_sanitizer
@pytest.mark.parametrize("out", [2, 4, 8])
def test_each_layout_of_the_output_compiles_for_hopper_without_spilling(out, registers):
    one_block = {"columns": 1, "height": 1, "width": 1}  # numbers that are 1 are compiled in
    for pixels in (False, True):
        for ones in ({"stride_row": 1}, {"stride_channel": 1}, one_block):
            constants, warps = registers.stage_2(out, columns=ones.get("columns", 56), pixels=pixels)
            found = registers.compiled(90, _triton_resample._columns_kernel, {**constants, **ones}, warps, "*bf16")
            assert found["spilled_bytes"] == 0 and found["registers"] <= 96, (pixels, ones, found)
    constants, warps = registers.stage_1(out, columns=1)
    assert registers.compiled(90, _triton_resample._rows_kernel, {**constants, "columns": 1}, warps)["spilled_bytes"] == 0
