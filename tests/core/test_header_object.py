"""A header behaves as the plain dataclass that it is, although its components are made when they are first asked for."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb

DATA = jb.encode(jb.content(40, 27, "4:2:0", seed=1)).to_bytes()
OTHER = jb.encode(jb.content(40, 27, "4:4:4", seed=1)).to_bytes()


def plain(header: dctload.Header) -> dctload.Header:
    """The same header by way of the constructor."""
    return dctload.Header(*(getattr(header, field.name) for field in dataclasses.fields(header)))


def test_components_are_made_once() -> None:
    header = dctload.read_header(DATA)
    assert [(c.h, c.v) for c in header.components] == [(2, 2), (1, 1), (1, 1)]
    assert header.components is header.components
    assert not header.components[0].quantization.flags.writeable


def test_it_equals_and_hashes_as_one_from_the_constructor() -> None:
    assert dctload.read_header(DATA) == plain(dctload.read_header(DATA))
    assert hash(dctload.read_header(DATA)) == hash(plain(dctload.read_header(DATA)))
    assert dctload.read_header(DATA) != dctload.read_header(OTHER)


@pytest.mark.parametrize("looked_at", [False, True])
def test_copies_and_pickles_are_equal(looked_at: bool) -> None:
    header = dctload.read_header(DATA)
    if looked_at:
        assert len(header.components) == 3
    for again in (copy.copy(header), copy.deepcopy(header), pickle.loads(pickle.dumps(header)), dataclasses.replace(header)):
        assert again == plain(header) and again.subsampling == "4:2:0"


def test_it_cannot_be_changed_and_has_no_other_names() -> None:
    header = dctload.read_header(DATA)
    with pytest.raises(dataclasses.FrozenInstanceError):
        header.width = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        header.colour  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(plain(header), "colour")


def test_planes_of_one_image_do_not_overlap() -> None:
    c = dctload.read_coefficients(DATA, channels="24s")
    before = [plane.copy() for plane in c.planes]
    for k, plane in enumerate(c.planes):
        plane[:] = -1000 - k
        for other in range(k + 1, len(c.planes)):
            assert np.array_equal(c.planes[other], before[other])
    for k, plane in enumerate(c.planes):
        assert (plane == -1000 - k).all() and plane.flags.c_contiguous


def test_limits_beyond_the_cores_integers_bound_nothing() -> None:
    wide = dctload.Limits(pixels=2**80, components=2**40, scans=2**40, bytes=2**80)
    assert dctload.read_header(DATA, limits=wide) == dctload.read_header(DATA)
    assert dctload.extract([DATA], limits=wide).status == ("ok",)
