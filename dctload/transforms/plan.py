"""What must be decoded and sent so that a picture can be made: the region and the frequencies of each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.channels import ChannelSelection
from dctload.headers import Headers
from dctload.jpeg import COLOR_SPACES
from dctload.ops.geometry import Geometry

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

    Along an axis the triangle of an output pixel reaches `max(|s|, 1)` component pixels from its centre.
    """
    edges = []
    for axis, (size, factors, most) in enumerate(
        ((headers.height, headers.v, headers.v_max), (headers.width, headers.h, headers.h_max))
    ):
        n = _stored_sizes(geometry)[:, axis]
        a, b = geometry.box[:, axis].T
        lo, hi = geometry.valid[:, axis].T
        s = np.abs(b - a) / np.maximum(n, 1)
        ratio = np.where(factors > 0, factors / most[:, None], 1.0)  # component pixels a luma pixel
        reach = (np.maximum(s[:, None] * ratio, 1.0) + 0.5) / ratio  # in luma pixels
        margin = reach.max(axis=1) + _blur_reach(geometry, axis) * s
        first, last = np.minimum(a, b) - margin, np.maximum(a, b) + margin
        first, last = np.maximum(first, lo), np.minimum(last, hi)
        # Padding by reflection reads as far inside as it leaves the image.
        inside_first = np.minimum(np.where(last > size, 2 * size - last - 1, size), np.maximum(first, 0))
        inside_last = np.maximum(np.where(first < 0, 1 - first, 0), np.minimum(last, size))
        grain = (most[:, None] / np.maximum(factors, 1)).max(
            axis=1, where=factors > 0, initial=1
        )  # whole pixels of every component
        begin = np.clip(np.floor(inside_first / grain) * grain, 0, size - 1)
        end = np.clip(np.ceil(inside_last / grain) * grain, begin + 1, size)
        edges.append((begin, end))
    (top, bottom), (left, right) = edges
    boxes = np.stack((top, left, bottom - top, right - left), axis=1).astype(np.int64)
    boxes[(boxes[:, 2] >= headers.height) & (boxes[:, 3] >= headers.width)] = 0
    boxes[headers.code != 0] = 0
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
    count = len(headers)
    masks = np.full((count, 3), _ALL, np.uint64)
    sizes = _stored_sizes(geometry)
    for role in range(3):
        place = min(role, 2)
        wanted = range(64) if selection is None else (selection.y, selection.cb, selection.cr)[role]
        if len(wanted) == 0:
            masks[:, role] = 0
            continue
        ko = np.array([1 + max(f // 8 for f in wanted), 1 + max(f % 8 for f in wanted)])
        ko_stored = np.where(geometry.transposed[:, None], ko[::-1], ko)
        scale, aligned = np.ones((count, 2)), np.ones((count, 2), bool)
        for axis, (factors, most) in enumerate(((headers.v, headers.v_max), (headers.h, headers.h_max))):
            factor = np.where(factors[:, place] > 0, factors[:, place], most) / most
            a, b = (geometry.box[:, axis] * factor[:, None]).T
            lo, hi = geometry.valid[:, axis].T * factor
            scale[:, axis] = np.abs(b - a) / np.maximum(sizes[:, axis], 1)
            inside = (np.minimum(a, b) >= lo) & (np.maximum(a, b) <= hi) & (lo >= 0)
            size = (headers.height if axis == 0 else headers.width) * factor
            aligned[:, axis] = inside & (a % 8 == 0) & (b % 8 == 0) & (np.maximum(a, b) <= size)
        native = aligned.all(axis=1) & (scale == 1).all(axis=1) & (geometry.blur is None) & (selection is not None)
        k = np.full((count, 2), 8)
        if margin is not None:
            k = np.minimum(8, np.ceil(ko_stored / np.maximum(scale, 1e-9) - 1e-9).astype(np.int64) + margin)
            k[(scale < 1).any(axis=1)] = 8
        square = rectangle_masks(k)
        own, turned = _mask(wanted), _mask([8 * (f % 8) + f // 8 for f in wanted])
        masks[:, role] = np.where(native, np.where(geometry.transposed, turned, own), square)
    masks[headers.color == _RGB] = _ALL  # Y, Cb and Cr are mixed of all three
    return masks


def rectangle_masks(k: NDArray[np.int64]) -> NDArray[np.uint64]:
    """uint64 `[B]`: the lowest `k[:, 0]` vertical times `k[:, 1]` horizontal frequencies (1..8)."""
    rows = (np.uint64(1) << k[:, 1].astype(np.uint64)) - np.uint64(1)  # one row of 8 bits
    repeated = rows * np.uint64(0x0101010101010101)
    high = np.where(k[:, 0] >= 8, _ALL, (np.uint64(1) << (8 * np.minimum(k[:, 0], 7)).astype(np.uint64)) - np.uint64(1))
    return repeated & high


def _mask(frequencies: range | tuple[int, ...] | list[int]) -> np.uint64:
    return np.uint64(sum(1 << f for f in frequencies))


def _stored_sizes(geometry: Geometry) -> NDArray[np.int64]:
    """`[B, 2]`: output pixels along the image's vertical and horizontal axis."""
    size = np.array(geometry.size)
    return np.where(geometry.transposed[:, None], size[::-1], size)


def _blur_reach(geometry: Geometry, axis: int) -> Float:
    """`[B]`: output pixels that a blur reaches along an axis of the image."""
    if geometry.blur is None:
        return np.zeros(len(geometry))
    vertical, horizontal = (kernel.shape[1] // 2 for kernel in geometry.blur)
    pair = np.array([vertical, horizontal], np.float64)
    return np.where(geometry.transposed, pair[1 - axis], pair[axis])
