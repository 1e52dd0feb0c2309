"""Which components of a batch a geometry asks for, and where each has its box: numbers on the host, one row a component."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dctload.jpeg import COLOR_SPACES
from dctload.ops.batch import DCTBatch
from dctload.ops.color import YCBCR_TO_RGB
from dctload.ops.facts import Int
from dctload.ops.geometry import PADDING_MODES, Float, Geometry
from dctload.ops.operators import Axis

RGB = COLOR_SPACES.index("rgb")


@dataclass(frozen=True, eq=False)
class Samples:
    """Components to be resampled, `[S]` unless said.

    Attributes:
        place: Row of the output.
        part: 0, 1, 2: Y, Cb, Cr, or R, G, B.
        component: Row of the batch's components.
        down: The stored vertical axis.
        across: The stored horizontal axis.
        y0: First row of blocks that the record delivers.
        x0: First column.
        rows: Rows of blocks.
        cols: Columns.
        first_value: Place in the ragged coefficients.
        ranks: `[S, 64]`: channel of a frequency, or -1.
        band: `[S, 2]`: vertical and horizontal frequencies that hold all that is kept.
        fill: What constant padding holds in this component, level-shifted; None: 0.
        requantize: `[S, 64]`; None: none.
        turned: Whether the output's rows run along the stored columns; of all.
    """

    place: Int
    part: Int
    component: Int
    down: Axis
    across: Axis
    y0: Int
    x0: Int
    rows: Int
    cols: Int
    first_value: Int
    ranks: Int
    band: Int
    fill: Float | None
    requantize: Int | None
    turned: bool

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, places: Int) -> Samples:
        """The rows at `places`."""
        names = [f.name for f in fields(self) if f.name != "turned"]
        picked = {name: value[places] for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **picked)

    @classmethod
    def by_turn(cls, d: DCTBatch, geometry: Geometry, images: Int) -> tuple[Samples, Samples]:
        """All components with frequencies: of the images that are not turned, and of those that are."""
        turned = np.asarray(geometry.transposed, np.bool_)
        upright, aside = (cls.of(d, geometry, images, np.flatnonzero(turned == x), turned=x) for x in (False, True))
        return upright, aside

    @classmethod
    def of(cls, d: DCTBatch, geometry: Geometry, images: Int, places: Int, *, turned: bool) -> Samples:
        """All components with frequencies of the images at `places` (rows of `geometry` and `images`), turned alike."""
        facts, parts = d.facts, d.components
        counts = facts.images.num_components[images[places]]
        place = np.repeat(places, counts)
        number = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        component = facts.images.first_component[images[place]] + number
        held = parts.values[component] > 0
        place, number, component = place[held], number[held], component[held]
        image = images[place]
        down = _axis(d, geometry, place, image, component, 0, turned=turned)
        across = _axis(d, geometry, place, image, component, 1, turned=turned)
        return cls(
            place=place,
            part=number,
            component=component,
            down=down,
            across=across,
            y0=parts.y0[component],
            x0=parts.x0[component],
            rows=parts.rows[component],
            cols=parts.cols[component],
            first_value=parts.first_value[component],
            ranks=parts.ranks[component],
            band=parts.band[component],
            fill=_fill(geometry, place, number, facts.images.color[image] == RGB),
            requantize=_steps(geometry, place, number, facts.images.color[image] == RGB),
            turned=turned,
        )


def _axis(d: DCTBatch, geometry: Geometry, place: Int, image: Int, component: Int, which: int, *, turned: bool) -> Axis:
    headers, parts = d.headers, d.components
    across = which == 1
    own, most, size = (
        (parts.h[component], headers.h_max[image], headers.width[image])
        if across
        else (parts.v[component], headers.v_max[image], headers.height[image])
    )
    shown = 1 - which if turned else which  # the output's axis along which this one runs
    return Axis.of_component(
        geometry.box[place, which],
        geometry.valid[place, which],
        (own, most),
        size,
        geometry.size[shown],
        mode=geometry.padding_mode,
        kernel=None if geometry.blur is None else np.asarray(geometry.blur[shown], np.float64)[place],
        present=None if geometry.present is None else geometry.present[place, which],
    )


def _fill(geometry: Geometry, place: Int, part: Int, is_rgb: NDArray[np.bool_]) -> Float | None:
    """By component; those of an RGB file hold what makes the fill after the change of colours."""
    if geometry.fill is None:
        return None
    fill = geometry.fill[place].astype(np.float64)
    as_rgb = fill @ YCBCR_TO_RGB.T
    rows = np.arange(len(place))
    return np.where(is_rgb, as_rgb[rows, part], fill[rows, part])


def _steps(geometry: Geometry, place: Int, part: Int, is_rgb: NDArray[np.bool_]) -> Int | None:
    """Luma's table serves every component of an RGB file, as its frequencies do."""
    if geometry.requantize is None:
        return None
    return geometry.requantize[place, np.where((part > 0) & ~is_rgb, 1, 0)].astype(np.int64)


def check_held(samples: Samples, images: Int) -> None:
    """ValueError if a record does not hold the blocks that its box needs: `resample` would take its edge for the image's."""
    for axis, start, count, word in (
        (samples.down, samples.y0, samples.rows, "rows"),
        (samples.across, samples.x0, samples.cols, "columns"),
    ):
        low, high = axis.needed()
        bad = np.flatnonzero((low // 8 < start) | (-(-high // 8) > start + count))
        if len(bad):
            s = int(bad[0])
            raise ValueError(
                f"image {int(images[samples.place[s]])}: its box needs {word} {low[s] // 8}..{(high[s] - 1) // 8} of the blocks "
                f"of component {samples.part[s]}, the batch holds {start[s]}..{start[s] + count[s] - 1}; extract the region "
                "that the plan asks for, or the whole image"
            )


def checked_geometry(d: DCTBatch, geometry: Geometry, images: Int) -> None:
    """ValueError if a geometry does not fit the images, or an image has colours that no operator here knows."""
    n = len(images)
    shapes = (
        ("box", geometry.box, (n, 2, 2)),
        ("valid", geometry.valid, (n, 2, 2)),
        ("present", geometry.present, (n, 2, 2)),
        ("transposed", geometry.transposed, (n,)),
        ("fill", geometry.fill, (n, 3)),
        ("requantize", geometry.requantize, (n, 2, 64)),
    )
    for name, array, shape in shapes:
        if array is not None and np.shape(array) != shape:
            raise ValueError(f"geometry.{name} has the shape {list(np.shape(array))}, not {list(shape)}: one row an image")
    for kernel in geometry.blur or ():
        if np.ndim(kernel) != 2 or len(kernel) != n or np.shape(kernel)[1] % 2 == 0:
            raise ValueError(f"geometry.blur has kernels [{n}, odd number of taps], not {list(np.shape(kernel))}")
    if geometry.padding_mode not in PADDING_MODES:
        raise ValueError(f"padding_mode is one of {', '.join(PADDING_MODES)}, not {geometry.padding_mode!r}")
    if min(geometry.size) < 1:
        raise ValueError(f"the output is at least 1 pixel high and wide, not {geometry.size}")
    if len(images) and (images.min() < 0 or images.max() >= len(d)):
        raise ValueError(f"images are places in the batch, 0..{len(d) - 1}")
    if geometry.requantize is not None and np.min(geometry.requantize, initial=1) < 1:
        raise ValueError("geometry.requantize holds steps of 1 and more")
    _check_numbers(geometry)
    _check_present(d, geometry, images)
    _check_colors(d, images)


def _check_numbers(geometry: Geometry) -> None:
    box, valid = geometry.box, geometry.valid
    if not np.isfinite(box).all() or not np.isfinite(valid).all():
        raise ValueError("geometry.box and geometry.valid are finite numbers")
    if (valid[..., 1] <= valid[..., 0]).any() or (valid != np.floor(valid)).any():
        raise ValueError("geometry.valid is lo < hi in whole pixels")
    if (box[..., 0] == box[..., 1]).any():
        raise ValueError("geometry.box is empty: a and b are equal")


def _check_present(d: DCTBatch, geometry: Geometry, images: Int) -> None:
    present = geometry.present
    if present is None:
        return
    if not ((present[..., 1] > present[..., 0]).all() and (present == np.floor(present)).all()):
        raise ValueError("geometry.present is lo < hi in whole pixels")
    size = np.stack([d.images.height, d.images.width], axis=1)[images]
    outside = (present[..., 1] <= 0) | (present[..., 0] >= size)
    bad = np.flatnonzero(outside.any(axis=1) & ~d.images.failed[images])
    if len(bad):
        raise ValueError(f"image {images[bad[0]]}: geometry.present lies outside of the image, so that nothing of it exists")


def _check_colors(d: DCTBatch, images: Int) -> None:
    facts = d.images
    odd = np.isin(facts.num_components[images], (2, 4))
    if odd.any():
        i = int(images[np.flatnonzero(odd)[0]])
        count, color = int(facts.num_components[i]), COLOR_SPACES[int(facts.color[i])]
        raise ValueError(
            f'image {i}: {count} components ({color}) have no YCbCr by a linear map; pass fallback="transcode" to the loader, or '
            "leave the file out"
        )
