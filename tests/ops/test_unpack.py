"""Every unpacker gives the judge's integers; damaged bytes are refused, and where they are not looked at they do no harm."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dctload
from dctload import PackedBatch, WireError, _core
from support import jpeg_builder as jb
from support.real_files import DATA, names, needs_real_files

torch = pytest.importorskip("torch")
from dctload import ops

BACKENDS = ("native", "torch")


def file_of(layout: str, style: str = "natural", width: int = 75, height: int = 53, seed: int = 3) -> bytes:
    return jb.encode(jb.content(width, height, layout, style, seed=seed)).to_bytes()


def mixed(channels: str = "24s") -> PackedBatch:
    sources = [
        file_of("4:2:0"),
        file_of("gray", "dense"),
        b"GIF89a",
        file_of("four", "sparse"),
        file_of("3x1", "extreme", 90, 40),
    ]
    return dctload.extract(sources, channels=channels, on_error="mark", num_threads=1)


def assert_equals_judge(packed: PackedBatch, backend: str) -> None:
    got = ops.unpack(packed, backend=backend).to_coefficients()
    for i, want in enumerate(dctload.unpack_reference(packed)):
        mine = got[i]
        assert (want is None) == (mine is None), i
        for a, b in zip(mine or (), want.planes if want is not None else (), strict=True):
            assert a.dtype == torch.int16
            np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", ["all", "24s", "y:63,1,8;cb:;cr:5", "y:;cb:0;cr:"])
def test_unpacked_integers_are_the_judges(channels: str, backend: str) -> None:
    assert_equals_judge(mixed(channels), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_regions_cut_in_the_middle_of_tiles(backend: str) -> None:
    packed = dctload.extract([file_of("4:2:0", "dense", 200, 190), file_of("4:4:4", "dense", 150, 170)], "all", num_threads=1)
    for box in ((0, 0, 8, 8), (70, 90, 75, 60), (33, 65, 110, 200)):
        cut = packed.cut(box)
        assert cut.nbytes < packed.nbytes
        assert_equals_judge(cut, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bits", [0, 1, 7, 8, 9, 14, 15, 16])
def test_values_of_every_width(bits: int, backend: str) -> None:
    header = dctload.read_header(file_of("4:2:0", "zero", 90, 70))
    rng = np.random.default_rng(bits)
    planes = []
    for c in header.components:
        values = rng.integers(-(1 << bits >> 1), max(1, 1 << bits >> 1), (64, c.block_rows, c.block_cols))
        planes.append((values * (rng.random(values.shape) < 0.3)).astype(np.int16))
    record = dctload.pack(planes, [np.ones(64, np.uint16)] * 3, header)
    assert_equals_judge(PackedBatch.join([record, record]), backend)


@needs_real_files
@pytest.mark.parametrize(("channels", "below"), [("all", 30_000), ("24s", None)])
def test_real_files_unpack_alike_in_torch_and_in_the_core(channels: str, below: int | None) -> None:
    good = names("jpeg-corpus", "ok", below=below)
    assert len(good) > 100
    for first in range(0, len(good), 16):
        sources = [DATA / name for name in good[first : first + 16]]
        packed = dctload.extract(sources, channels=channels, on_error="mark", truncated="keep", num_threads=1)
        for backend in BACKENDS:
            assert_equals_judge(packed, backend)


def test_bytes_in_a_tensor_are_taken_too() -> None:
    packed = mixed()
    d = ops.unpack(torch.from_numpy(packed.buffer.copy()), channels="24s")
    assert d.channels == packed.channels and d.status == packed.status
    assert torch.equal(d.coefficients, ops.unpack(packed).coefficients)


def test_read_only_bytes_are_neither_copied_nor_warned_about() -> None:
    packed = PackedBatch.from_buffer(bytes(mixed().buffer))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = ops.unpack(packed)
    assert d.packed.data_ptr() == packed.buffer.ctypes.data
    assert torch.equal(d.coefficients, ops.unpack(mixed()).coefficients)


@pytest.mark.parametrize("place", ["magic", "directory", "header", "quantisation", "payload", "last byte"])
def test_a_damaged_batch_is_refused(place: str) -> None:
    packed = mixed()
    first = int(np.frombuffer(packed.buffer[28:32].tobytes(), "<u4")[0])
    at = {"magic": 0, "directory": 70, "header": first + 16, "quantisation": first + 64 + 70, "payload": -200, "last byte": -1}[
        place
    ]
    damaged = packed.buffer.copy()
    damaged[at] ^= 0x10
    with pytest.raises(WireError):
        ops.unpack(torch.from_numpy(damaged))
    packed.buffer[at] ^= 0x10  # a batch that was sound when it was made
    with pytest.raises(WireError):
        ops.unpack(packed)


@pytest.mark.parametrize("nbytes", [0, 1, 16, 63, 64, 4000])
def test_a_batch_cut_short_is_refused(nbytes: int) -> None:
    with pytest.raises(WireError):
        ops.unpack(torch.from_numpy(mixed().buffer[:nbytes].copy()))


def test_what_is_no_batch_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"PackedBatch\.from_buffer"):
        ops.unpack(bytes(mixed().buffer))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="uint8"):
        ops.unpack(torch.zeros(64))


def test_wrong_arguments_are_named() -> None:
    packed = mixed()
    with pytest.raises(ValueError, match="backend"):
        ops.unpack(packed, backend="cuda")
    for device, backend in (("meta", "triton"), ("meta", "native")):
        with pytest.raises(ValueError, match=f"backend {backend} .* on meta"):
            ops.unpack(packed, device, backend=backend).coefficients  # noqa: B018
    with pytest.raises(ValueError, match="2 entries for 5 images"):
        ops.unpack(packed, channels=["24s", "6s"])
    assert [len(s) for s in ops.unpack(packed, channels=["24s"] * 4 + ["6s"]).channels] == [24, 24, 24, 24, 6]  # type: ignore[union-attr]


def test_hostile_payloads_mean_the_same_to_both_and_lead_nowhere() -> None:
    packed = dctload.extract([file_of("4:2:0"), file_of("gray", "dense")], "64s", num_threads=1)
    rng = np.random.default_rng(5)
    facts = ops.unpack(packed).components
    differing = 0
    for _ in range(40):
        hostile = packed.buffer.copy()
        for m in rng.choice(len(facts), 3):
            tiles = int(facts.payload[m])
            hostile[tiles : tiles + 40] = rng.integers(0, 256, 40)
        a, b = (ops.unpack(torch.from_numpy(hostile), backend=name, checked=True).coefficients for name in BACKENDS)
        assert torch.equal(a, b)
        differing += not torch.equal(a, ops.unpack(packed).coefficients)
    assert differing == 40


def test_facts_of_bytes_that_end_too_early_are_refused() -> None:
    buffer = mixed().buffer
    first = int(ops.unpack(mixed()).images.record[-1])
    for size in (0, 63, 64, 200, first, first + 64, first + 200):
        with pytest.raises(ValueError, match="not a batch"):
            _core.batch_facts(buffer[:size])
    promising = buffer.copy()
    promising[first + 20] = 4  # components of the last image, which the directory does not list
    with pytest.raises(ValueError, match="not a batch"):
        _core.batch_facts(promising)


# ------------------------------------------------------------------------------------------------------- one dense tensor


def uniform(
    channels: str = "24s", *, layouts: tuple[str, ...] = ("4:2:0", "4:4:4", "gray", "4:2:2"), width: int = 88
) -> PackedBatch:
    return dctload.extract([file_of(name, seed=k, width=width) for k, name in enumerate(layouts)], channels, num_threads=1)


def test_dense_is_planes_with_chroma_repeated() -> None:
    packed = uniform()
    d = ops.unpack(packed)
    x = ops.to_dense(d)
    assert x.shape == (4, 24, 7, 11) and x.dtype == torch.float32
    for i, (down, across) in enumerate([(2, 2), (1, 1), (1, 1), (1, 2)]):
        planes = d.planes(i)
        assert torch.equal(x[i, :16], planes[0])
        for k, plane in enumerate(planes[1:]):
            wide = plane.repeat_interleave(down, 1).repeat_interleave(across, 2)[:, :7, :11]
            assert torch.equal(x[i, 16 + 4 * k : 20 + 4 * k], wide)
    assert not x[2, 16:].any()


def test_dense_mirrors_pictures() -> None:
    d = ops.unpack(uniform("all", layouts=("4:4:4", "4:4:4")))
    straight, mirrored = ops.to_dense(d), ops.to_dense(d, flip=[False, True])
    assert torch.equal(straight[0], mirrored[0])
    basis = torch.from_numpy(ops.operators.DCT.copy()).float()

    def pixels(x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("vy,vurc,ux->rycx", basis, x.reshape(8, 8, *x.shape[1:]), basis).flatten(2).flatten(0, 1)

    for part in range(3):
        a, b = pixels(straight[1, 64 * part : 64 * part + 64]), pixels(mirrored[1, 64 * part : 64 * part + 64])
        torch.testing.assert_close(a.flip(1), b, rtol=0, atol=1e-3)


def test_dense_normalises_and_rounds_last() -> None:
    packed = dctload.extract([file_of("4:2:0"), b"GIF89a", file_of("gray")], "24s", on_error="mark", num_threads=1)
    d = ops.unpack(packed)
    mean, std = torch.arange(24.0) - 7, torch.arange(24.0) / 3 + 1
    want = (ops.to_dense(d) - mean[:, None, None]) / std[:, None, None]
    want[1] = 0
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        got = ops.to_dense(d, dtype, torch.channels_last, mean=mean, std=std)
        assert got.dtype == dtype and got.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(got, want.to(dtype), rtol=2e-6 if dtype == torch.float32 else 1e-2, atol=1e-4)


def test_dense_refuses_what_it_cannot_show() -> None:
    two_sizes = dctload.extract([file_of("4:4:4"), file_of("4:4:4", width=90)], "24s", num_threads=1)
    with pytest.raises(ValueError, match="image 1 has a grid"):
        ops.to_dense(ops.unpack(two_sizes))
    with pytest.raises(ValueError, match="image 0 is 75 pixels wide"):
        ops.to_dense(ops.unpack(uniform(width=75)), flip=[True] * 4)
    with pytest.raises(ValueError, match="does not hold frequency"):
        ops.to_dense(ops.unpack(uniform("6s"), channels="24s"))
    with pytest.raises(ValueError, match="replicate_chroma"):
        ops.to_dense(ops.unpack(uniform()), replicate_chroma=False)
    with pytest.raises(ValueError, match="neither YCbCr nor gray"):
        ops.to_dense(ops.unpack(dctload.extract([file_of("four")], "24s", num_threads=1)))
    with pytest.raises(ValueError, match=r"shape \[23\] for 24 channels"):
        ops.to_dense(ops.unpack(uniform()), mean=[0.0] * 23)
