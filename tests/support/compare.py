"""What "the same" means: planes equal to the bit, and the package's answer equal to the oracle's in every fact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import dctload
import oracle


def assert_same_planes(got: Sequence[np.ndarray], want: Sequence[np.ndarray], note: str = "") -> None:
    """Equal counts, types, shapes and values; the message names the first block that differs."""
    assert len(got) == len(want), f"{note}: {len(got)} components instead of {len(want)}"
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        assert a.dtype == np.int16, f"{note}: component {k} is {a.dtype}"
        assert a.shape == b.shape, f"{note}: component {k} is {a.shape} instead of {b.shape}"
        if not np.array_equal(a, b):
            channel, row, col = (int(n) for n in np.argwhere(a != b)[0])
            raise AssertionError(
                f"{note}: component {k}, channel {channel}, block ({row}, {col}): {a[channel, row, col]} instead of "
                f"{b[channel, row, col]}; {int((a != b).any(axis=0).sum())} blocks differ"
            )


def assert_equal_to_oracle(data: bytes, note: str = "") -> dctload.JPEGCoefficients:
    """A complete file: planes, tables and header facts equal the oracle's, read straight and through the packed form."""
    want = oracle.decode(data)
    assert want.complete, f"{note}: the oracle misses data"
    got = dctload.read_coefficients(data)
    assert got.status == "ok", note
    assert_same_planes(got.planes, want.planes, note)
    assert_same_facts(got.header, want, note)
    packed = dctload.unpack_reference(dctload.extract([data], channels="all", num_threads=1))[0]
    assert packed is not None
    assert_same_planes(packed.planes, want.planes, note + " (packed)")
    return got


def assert_same_facts(header: dctload.Header, want: oracle.Picture, note: str = "") -> None:
    """Header facts equal the oracle's."""
    facts = (header.width, header.height, header.process, header.orientation, header.color_space)
    assert facts == (want.width, want.height, want.process, want.orientation, want.color_space), note
    assert header.restart_interval == want.restart_interval, note
    assert len(header.components) == len(want.components), note
    for a, b in zip(header.components, want.components, strict=True):
        assert (a.id, a.h, a.v, a.block_rows, a.block_cols) == (b.id, b.h, b.v, b.block_rows, b.block_cols), note
        if b.quantization is not None:
            assert a.quantization.dtype == np.uint16
            assert a.quantization.tolist() == b.quantization, note
