"""What each channel costs: bytes in the packed format, frequency by frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dctload.jpeg import JPEGCoefficients

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_FREQUENCIES = 64
_SIDE = 8  # a tile has 8 x 8 blocks
_BITS = np.array([n.bit_count() for n in range(1 << 16)], np.int64)
_PLANES = np.array([n.bit_length() for n in range(1 << 16)], np.int64)


def channel_bytes(image: JPEGCoefficients) -> list[Float]:
    """Bytes that each frequency of an image takes in the packed format (docs/wire-format.md, Tile).

    They are what the channel's values take alone: its masks, its bytes, and its half byte for the number of planes in every
    tile; the 2 bytes of base and the padding to 16 bytes, which a tile's channels share, are left out.

    Args:
        image: A whole image, as `read_coefficients` or `unpack_reference` give it.

    Returns:
        By component, float64 `[64]`, row-major; 0 where a frequency was not kept.

    Example:
        >>> from dctload import read_coefficients
        >>> luma, cb, cr = channel_bytes(read_coefficients("a.jpg"))  # doctest: +SKIP
    """
    costs = []
    for plane, frequencies in zip(image.planes, image.frequencies, strict=True):
        cost = np.zeros(_FREQUENCIES)
        if len(frequencies) and plane.size:
            planes, stored = _planes_and_bytes(plane, frequencies)
            cost[list(frequencies)] = 0.5 * planes.shape[1] + planes.sum(axis=1) + stored.sum(axis=1)
        costs.append(cost)
    return costs


def _planes_and_bytes(plane: NDArray[np.int16], frequencies: Sequence[int]) -> tuple[Int, Int]:
    """Bit-planes of each channel in each tile, and the bytes of them that are not zero: int64 `[channels, tiles]`, both."""
    count, rows, cols = plane.shape
    down, across = -(-rows // _SIDE), -(-cols // _SIDE)
    values = np.zeros((count, down * _SIDE, across * _SIDE), np.int32)
    values[:, :rows, :cols] = plane
    tiles = values.reshape(count, down, _SIDE, across, _SIDE)
    if frequencies[0] == 0:
        # DC is stored about the middle of its range in the tile, and repeated beyond the edge.
        values[0] = np.pad(plane[0], ((0, down * _SIDE - rows), (0, across * _SIDE - cols)), mode="edge")
        low, high = tiles[0].min(axis=(1, 3), keepdims=True), tiles[0].max(axis=(1, 3), keepdims=True)
        tiles[0] -= (low + high + 1) >> 1
    folded = ((tiles << 1) ^ (tiles >> 31)) & 0xFFFF
    # A byte of a plane is an area of 2 rows and 4 columns; it is stored if any of its 8 lanes has the bit.
    areas = np.bitwise_or.reduce(folded.reshape(count, down, 4, 2, across, 2, 4), axis=(3, 6))
    planes = _PLANES[np.bitwise_or.reduce(areas, axis=(2, 4))]
    return planes.reshape(count, -1), _BITS[areas].sum(axis=(2, 4)).reshape(count, -1)
