"""What a resampled batch shows: the numbers of the one operator behind resize, crop, flip, turn, chroma and pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


@dataclass(frozen=True, eq=False)
class Geometry:
    """Which part of each image becomes the output grid, axis by axis, in luma pixels **as coded** (before any turn).

    Along an axis, pixel `j` covers `[j, j + 1)`. Output pixel `i` of `n` has its centre at `c = a + (i + 0.5) * s`,
    `s = (b - a) / n`, and weighs pixel `j` with `max(0, 1 - |j + 0.5 - c| / max(|s|, 1))`, for `lo <= j < hi` and divided by the
    sum: the antialiased triangle of torch's `interpolate` and of Pillow. `c` is clamped to `[lo, hi]`.

    A component with the sampling factor `h` of `h_max` has the box `(a, b) * h / h_max` (JPEG's centred siting), pixels
    `floor(lo * h / h_max)` up to `ceil(hi * h / h_max)`, where `hi` is inside the image also bounded by the component's own size,
    `ceil(size * h / h_max)`. Samples between that size and the edge of its blocks have no weight.

    Attributes:
        box: `[B, 2, 2]`: image; vertical, horizontal; a, b. `b < a`: mirrored.
        valid: `[B, 2, 2]`: lo, hi, whole numbers. Where the range leaves the image, the pixels outside it are what
            `padding_mode` says, and count in the sums.
        present: `[B, 2, 2]`: lo, hi, whole numbers: pixels outside do not exist, as if the image ended there: what they hold is
            what `padding_mode` says. A component has those from `floor(lo * h / h_max)` up to `ceil(hi * h / h_max)`, within
            its own size. None: the whole image.
        transposed: bool `[B]`: after resampling, rows become columns: the output's height runs along the image's width.
        size: Height and width of the output, in pixels; of the whole batch. Blocks: `ceil(size / 8)`; pixels of the last
            blocks beyond the size repeat the last row and column.
        padding_mode: `"constant"`, `"edge"`, `"reflect"` (edge pixel not repeated) or `"symmetric"` (repeated).
        fill: `[B, 3]`, what constant padding holds: Y, Cb, Cr, level-shifted (-128..127).
        blur: Symmetric kernels of odd length for the output's vertical and horizontal axis (after the turn), `[B, taps]`
            each, which are applied to the resampled pixels, reflected at the output's edges (edge pixel not repeated);
            None: none.
        requantize: uint16 `[B, 2, 64]`: quantisation steps of luma and of chroma, row-major, to which coefficients are rounded
            (`round(x / step) * step`, halves to even) before anything else; None: none.
    """

    box: Float
    valid: Float
    transposed: NDArray[np.bool_]
    size: tuple[int, int]
    padding_mode: str = "constant"
    fill: NDArray[np.float32] | None = None
    blur: tuple[Float, Float] | None = None
    requantize: NDArray[np.uint16] | None = None
    present: Float | None = None

    def __len__(self) -> int:
        return len(self.box)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of output blocks."""
        height, width = self.size
        return -(-height // 8), -(-width // 8)
