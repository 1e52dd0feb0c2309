"""What a DCTBatch says of its images is what their headers say, and its planes are the files' own."""

from __future__ import annotations

import numpy as np
import pytest

import dctload
from dctload.headers import Headers
from support import jpeg_builder as jb

torch = pytest.importorskip("torch")
from dctload import ops

LAYOUTS = ("gray", "4:2:0", "4:4:4", "luma smaller", "3x1", "four", "two components")


def file_of(layout: str, width: int = 75, height: int = 53, **options: object) -> bytes:
    return jb.encode(jb.content(width, height, layout, "natural", seed=7), **options).to_bytes()


def mixed(channels: str = "24s", **options: object) -> dctload.PackedBatch:
    sources = [*(file_of(layout, extras=(jb.exif(k % 8 + 1),)) for k, layout in enumerate(LAYOUTS)), b"GIF89a"]
    sources.append(file_of("4:2:0", 90, 90)[:-200])
    return dctload.extract(sources, channels=channels, on_error="mark", truncated="keep", num_threads=1, **options)


def test_facts_of_images_are_those_of_their_headers() -> None:
    packed = mixed()
    d = ops.unpack(packed)
    assert len(d) == len(packed) == 9 and d.status == packed.status
    for i in range(len(d)):
        header, region = packed.header(i), packed.region(i)
        if header is None:
            assert d.images.failed[i] and d.images.num_components[i] == 0 and list(d.facts.rows_of(i)) == []
            continue
        facts = d.images
        assert (facts.width[i], facts.height[i], facts.orientation[i]) == (header.width, header.height, header.orientation)
        assert tuple(facts.region[i]) == tuple(region or ())
        for m, component in zip(d.facts.rows_of(i), header.components, strict=True):
            parts = d.components
            assert (parts.id[m], parts.h[m], parts.v[m]) == (component.id, component.h, component.v)
            assert (parts.block_rows[m], parts.block_cols[m]) == (component.block_rows, component.block_cols)
            np.testing.assert_array_equal(parts.quantization[m], component.quantization)


def test_headers_of_a_batch_equal_headers_of_the_files() -> None:
    packed = mixed()
    good = [i for i in range(len(packed)) if packed.header(i) is not None]
    got, want = ops.unpack(packed).headers, Headers.of([header for i in good if (header := packed.header(i)) is not None])
    for name in ("code", "width", "height", "orientation", "process", "color", "num_components", "h", "v"):
        np.testing.assert_array_equal(getattr(got[good], name), getattr(want, name), err_msg=name)
    failed = got[[7]]
    assert failed.code[0] > 0 and failed.width[0] == failed.num_components[0] == failed.h.max() == 0


@pytest.mark.parametrize("channels", ["all", "24s", "y:63,1,8;cb:;cr:5", "y:;cb:0;cr:"])
def test_planes_are_integers_times_steps(channels: str) -> None:
    packed = mixed(channels)
    d = ops.unpack(packed)
    for i, want in enumerate(dctload.unpack_reference(packed)):
        if want is None:
            assert d.planes(i) == [] and d.to_coefficients()[i] is None
            continue
        assert d.frequencies(i) == list(want.frequencies)
        for k, plane in enumerate(d.planes(i)):
            assert plane.dtype == torch.float32
            np.testing.assert_array_equal(plane.numpy(), want.dequantized(k))


def test_large_values_are_rounded_as_numpy_rounds_them() -> None:
    header = dctload.read_header(file_of("gray", 16, 8))
    rng = np.random.default_rng(0)
    plane = rng.integers(-32768, 32768, (64, 1, 2)).astype(np.int16)
    packed = dctload.PackedBatch.join([dctload.pack([plane], [rng.integers(60000, 65536, 64)], header)])
    want = dctload.unpack_reference(packed)[0]
    assert want is not None and np.abs(want.dequantized(0)).max() > 2**24
    np.testing.assert_array_equal(ops.unpack(packed).planes(0)[0].numpy(), want.dequantized(0))


def test_rectangles_of_regions_and_cuts() -> None:
    packed = mixed("all").cut([(20, 30, 20, 30)] * 9)
    d = ops.unpack(packed)
    for m in range(len(d.components)):
        i = d.components.image[m]
        image = dctload.unpack_reference(packed)[i]
        assert image is not None
        assert (d.components.rows[m], d.components.cols[m]) == image.planes[d.components.index[m]].shape[1:]
    assert d.components.skip_x.max() > 0 and d.components.x0.max() > 0


def test_an_index_outside_is_refused() -> None:
    d = ops.unpack(mixed())
    empty = ops.unpack(dctload.extract([], num_threads=1))
    for of_image in (d.planes, d.frequencies):
        for i in (9, -10):
            with pytest.raises(IndexError, match=f"image {i} of a batch of 9"):
                of_image(i)
    with pytest.raises(IndexError, match="image 0 of a batch of 0"):
        empty.frequencies(0)
    assert d.planes(-1)[0].shape == d.planes(8)[0].shape and d.frequencies(-1) == d.frequencies(8)


def test_a_batch_keeps_its_selection_and_targets_on_the_way() -> None:
    d = ops.unpack(mixed())
    d.targets = [1, 2]
    assert d.channels == dctload.ChannelSelection.parse("24s") and d.to("cpu") is d
    moved = d.to("meta")
    assert moved.device.type == "meta" and moved.targets == [1, 2] and moved.channels == d.channels and len(moved) == len(d)
    assert "9 images" in repr(d) and "24s" in repr(d) and "1 without coefficients" in repr(d)


def test_an_empty_batch() -> None:
    d = ops.unpack(dctload.extract([], num_threads=1))
    assert len(d) == 0 and d.coefficients.numel() == 0 and d.to_coefficients() == [] and d.status == ()
