"""What must be decoded and sent so that a picture can be made: the region and the frequencies of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.channels import ChannelSelection
from dctload.headers import Headers
from dctload.jpeg import COLOR_SPACES
from dctload.ops.geometry import Geometry
from dctload.ops.operators import Axis as ComponentAxis

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws

Float = NDArray[np.float64]

MARGIN = 3  # native frequencies kept beyond those that the output band needs (see `band`)
_RGB = COLOR_SPACES.index("rgb")
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, eq=False)
class Plan:
    """A batch of pictures, drawn and not yet decoded.

    Attributes:
        geometry: What each picture shows of its image.
        draws: The samples' random numbers.
    """

    geometry: Geometry
    draws: Draws

    def __len__(self) -> int:
        return len(self.geometry)


@dataclass(frozen=True)
class SamplePlan:
    """What was drawn for one image.

    Attributes:
        box: (top, left, height, width) that the picture shows, in pixels as coded; may be fractional.
        flipped: Whether the picture runs against the image's (vertical, horizontal) axis.
        transposed: Whether rows become columns.
        size: Height and width of the picture.
        region: (top, left, height, width) that is decoded, before it is snapped out to whole MCUs; None: everything.
        band: The frequencies that are decoded.
    """

    box: tuple[float, float, float, float]
    flipped: tuple[bool, bool]
    transposed: bool
    size: tuple[int, int]
    region: tuple[int, int, int, int] | None
    band: ChannelSelection


def sample_plan(plan: Plan, i: int, boxes: NDArray[np.int64], masks: NDArray[np.uint64]) -> SamplePlan:
    """The plan of one image of a batch, in words."""
    g = plan.geometry
    (top, bottom), (left, right) = g.box[i].tolist()
    kept = [[f for f in range(64) if int(mask) >> f & 1] for mask in masks[i]]
    region = tuple(boxes[i].tolist())
    return SamplePlan(
        box=(min(top, bottom), min(left, right), abs(bottom - top), abs(right - left)),
        flipped=(bottom < top, right < left),
        transposed=bool(g.transposed[i]),
        size=g.size,
        region=region if region[2] else None,
        band=ChannelSelection(*map(tuple, kept)),
    )


def needed_region(geometry: Geometry, headers: Headers) -> NDArray[np.int64]:
    """int64 `[B, 4]`: the pixels as coded that have a weight in any component; height 0: the whole image.

    What the resampler asks for, component by component, and brought back to luma pixels.
    """
    sizes, edges = _stored_sizes(geometry), []
    alive = headers.code == 0
    for axis, (size, factors, most) in enumerate(
        ((headers.height, headers.v, headers.v_max), (headers.width, headers.h, headers.h_max))
    ):
        counts = (factors > 0) & alive[:, None]
        counts[:, 1:] &= factors[:, 1:] != factors[:, :-1]  # Cr is as Cb
        begin, end = np.broadcast_to(size[:, None], factors.shape).copy(), np.zeros_like(factors)
        for n in np.unique(sizes[:, axis]):
            i, k = np.nonzero(counts & (sizes[:, axis] == n)[:, None])
            own, whole = factors[i, k], most[i]
            component = ComponentAxis.of_component(
                geometry.box[i, axis],
                geometry.valid[i, axis],
                (own, whole),
                size[i],
                int(n),
                mode=geometry.padding_mode,
                present=None if geometry.present is None else geometry.present[i, axis],
            )
            low, high = component.needed()
            begin[i, k], end[i, k] = low * whole // own, -(-high * whole // own)
        edges.append((begin.min(axis=1), np.minimum(end.max(axis=1), size)))
    (top, bottom), (left, right) = edges
    boxes = np.stack((top, left, bottom - top, right - left), axis=1).astype(np.int64)
    boxes[(boxes[:, 2] >= headers.height) & (boxes[:, 3] >= headers.width) | ~alive] = 0
    return boxes


def band(
    geometry: Geometry, headers: Headers, selection: ChannelSelection | None, margin: int | None = MARGIN
) -> NDArray[np.uint64]:
    """uint64 `[B, 3]`: the native frequencies of Y, Cb and Cr that matter, bit `8 * v + u`.

    An axis whose box is shrunk by `s` needs of the native frequencies those below `Ko / s`, where `Ko` are the output's, and
    a margin, as blocks cut cosines off: `K = min(8, ceil(Ko / s) + margin)`. Where any axis of a component is enlarged, all
    64 are kept. Where the native grid is kept (s = 1, whole blocks), a picture's frequencies are the image's own.

    Args:
        geometry: Of the batch.
        headers: Of the images.
        selection: The output's channels; None: pixels, which need all.
        margin: None: exact, all frequencies unless the native grid is kept.
    """
    wanted = [range(64)] * 3 if selection is None else [selection.y, selection.cb, selection.cr]
    masks = np.zeros((len(headers), 3), np.uint64)
    for role in range(3):
        if role == 2 and wanted[1] == wanted[2] and all((f[:, 1] == f[:, 2]).all() for f in (headers.v, headers.h)):
            masks[:, 2] = masks[:, 1]
        elif len(wanted[role]):
            masks[:, role] = _band_of(geometry, headers, role, wanted[role], margin, keeps_grid=selection is not None)
    masks[headers.color == _RGB] = _ALL  # Y, Cb and Cr are mixed of all three
    return masks


def _band_of(
    geometry: Geometry, headers: Headers, role: int, wanted: Sequence[int], margin: int | None, *, keeps_grid: bool
) -> NDArray[np.uint64]:
    """uint64 `[B]`: of one component."""
    ko = np.array([1 + max(f // 8 for f in wanted), 1 + max(f % 8 for f in wanted)])
    ko_stored = np.where(geometry.transposed[:, None], ko[::-1], ko)
    own = np.stack((headers.v[:, role], headers.h[:, role]), axis=1)
    most = np.stack((headers.v_max, headers.h_max), axis=1)
    factor = np.where(own > 0, own, most) / most  # [B, 2], vertical and horizontal
    box = geometry.box * factor[:, :, None]
    low, high = box.min(axis=2), box.max(axis=2)
    scale = (high - low) / np.maximum(_stored_sizes(geometry), 1)
    first, end = (
        (0.0, np.stack((headers.height, headers.width), axis=1))
        if geometry.present is None
        else (geometry.present[..., 0], geometry.present[..., 1])
    )
    k = np.full((len(headers), 2), 8)
    if margin is not None:
        k = np.minimum(8, np.ceil(ko_stored / np.maximum(scale, 1e-9) - 1e-9).astype(np.int64) + margin)
        k[(scale < 1).any(axis=1)] = 8
    masks = rectangle_masks(k)
    if keeps_grid and geometry.blur is None:
        inside = (low >= first * factor) & (high <= end * factor)
        native = (inside & (low % 8 == 0) & (high % 8 == 0) & (scale == 1)).all(axis=1)
        turned = [8 * (f % 8) + f // 8 for f in wanted]
        masks = np.where(native, np.where(geometry.transposed, _mask(turned), _mask(wanted)), masks)
    return np.asarray(masks, np.uint64)


def rectangle_masks(k: NDArray[np.int64]) -> NDArray[np.uint64]:
    """uint64 `[B]`: the lowest `k[:, 0]` vertical times `k[:, 1]` horizontal frequencies (1..8)."""
    rows = (np.uint64(1) << k[:, 1].astype(np.uint64)) - np.uint64(1)  # one row of 8 bits
    repeated = rows * np.uint64(0x0101010101010101)
    high = np.where(k[:, 0] >= 8, _ALL, (np.uint64(1) << (8 * np.minimum(k[:, 0], 7)).astype(np.uint64)) - np.uint64(1))
    return np.asarray(repeated & high, np.uint64)


def _mask(frequencies: Sequence[int]) -> np.uint64:
    bits: np.uint64 = np.uint64(sum(1 << f for f in frequencies))
    return bits


def _stored_sizes(geometry: Geometry) -> NDArray[np.int64]:
    """`[B, 2]`: output pixels along the image's vertical and horizontal axis."""
    size = np.array(geometry.size)
    return np.where(geometry.transposed[:, None], size[::-1], size)
