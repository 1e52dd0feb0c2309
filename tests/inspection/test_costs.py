"""What a channel costs is what the packed format spends on it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import dctload
from dctload.inspection import channel_bytes
from dctload.inspection.costs import _planes_and_bytes
from support import jpeg_builder as jb
from support.shard_sets import LAYOUTS, picture


def tile_bytes(record: bytes, k: int) -> np.ndarray:
    """Sizes of the tiles of component `k`, by the tile table of its record (docs/wire-format.md)."""
    at = 64 + 192 * k
    across, down = struct.unpack_from("<HH", record, at + 20)
    (table,) = struct.unpack_from("<I", record, at + 24)
    return np.diff(np.frombuffer(record, np.uint32, across * down + 1, table).astype(np.int64)) * 16


@pytest.mark.parametrize("channels", ["all", "24d", "y:1,5;cb:2;cr:3"])
@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_channels_base_and_padding_make_up_every_tile(number: int, channels: str) -> None:
    batch = dctload.extract([picture(number)], channels)
    image, record = dctload.unpack_reference(batch)[0], bytes(batch.image_bytes(0))
    assert image is not None
    for k, plane in enumerate(image.planes):
        if not len(plane):
            continue
        planes, stored = _planes_and_bytes(plane, image.frequencies[k])
        used = 2 + (len(plane) + 1) // 2 + planes.sum(axis=0) + stored.sum(axis=0)
        np.testing.assert_array_equal(tile_bytes(record, k), -(-used // 16) * 16)


def test_a_channel_costs_its_half_byte_its_masks_and_its_bytes() -> None:
    image = dctload.read_coefficients(picture(0))
    for k, cost in enumerate(channel_bytes(image)):
        planes, stored = _planes_and_bytes(image.planes[k], image.frequencies[k])
        np.testing.assert_array_equal(cost, (0.5 + planes + stored).sum(axis=1))


def test_what_was_not_kept_costs_nothing() -> None:
    image = dctload.read_coefficients(picture(0), channels="24s")
    luma, cb, _ = channel_bytes(image)
    selection = dctload.ChannelSelection.parse("24s")
    assert np.flatnonzero(luma).tolist() == list(selection.y) and np.flatnonzero(cb).tolist() == list(selection.cb)


def test_a_flat_image_costs_half_a_byte_a_channel() -> None:
    content = jb.content(64, 64, "gray", seed=0)
    for plane in content.planes:
        plane[:] = 0
    (cost,) = channel_bytes(dctload.read_coefficients(jb.encode(content).to_bytes()))
    assert (cost == 0.5).all()
