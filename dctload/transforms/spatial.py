"""Where the picture comes from: resize, crop, flip, turn, pad. Nothing here touches a coefficient: all of it is one resampling.

Names, arguments and drawing rules are those of torchvision.transforms.v2.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform, height_and_width, probability

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.view import View

Fill = float | Sequence[float]


class Resize(Transform):
    """The whole picture in another size, with the antialiased triangle of torch's and Pillow's bilinear resize.

    Args:
        size: An int: the shorter side, and the longer one in proportion (`int(size * long / short)`); or (height, width).
        max_size: With an int: the longer side is at most this; the shorter one shrinks with it.
    """

    def __init__(self, size: int | Sequence[int], *, max_size: int | None = None) -> None:
        self.size: int | tuple[int, int] = height_and_width(size, "size")
        if isinstance(size, int) or len(size) == 1:
            self.size = self.size[0]
        if max_size is not None and (not isinstance(self.size, int) or max_size <= self.size):
            raise ValueError(f"max_size goes with one number as size, and is larger; not {max_size!r} with {size!r}")
        self.max_size = max_size

    def plan(self, view: View, draws: Draws) -> None:
        if not isinstance(self.size, int):
            return view.resize(*self.size)
        height, width = view.height, view.width
        short, long = np.minimum(height, width), np.maximum(height, width)
        new_short = np.full_like(short, self.size)
        new_long = (self.size * long / np.maximum(short, 1)).astype(np.int64)
        if self.max_size is not None:
            over = new_long > self.max_size
            shrunk = (self.max_size * self.size / np.maximum(new_long, 1)).astype(np.int64)
            new_short, new_long = np.where(over, shrunk, new_short), np.where(over, self.max_size, new_long)
        new_short, new_long = np.maximum(new_short, 1), np.maximum(new_long, 1)
        tall = height > width
        return view.resize(np.where(tall, new_long, new_short), np.where(tall, new_short, new_long))


class CenterCrop(Transform):
    """The middle of the picture; where the picture is smaller, black around it.

    Args:
        size: Height and width in pixels; one number for both.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = height_and_width(size, "size")

    def plan(self, view: View, draws: Draws) -> None:
        height, width = self.size
        if (view.height < height).any() or (view.width < width).any():
            view.pad_with("constant", (0.0, 0.0, 0.0))
        view.crop(_centred(view.height, height), _centred(view.width, width), height, width)


class RandomCrop(Transform):
    """A rectangle at a random place.

    Args:
        size: Height and width in pixels; one number for both.
        padding: Pixels around the picture before the crop: one number, (left and right, top and bottom), or (left, top, right,
            bottom).
        pad_if_needed: Also pad pictures that are smaller than the crop; without it they are a ValueError.
        fill: What constant padding holds, 0..255: one number or RGB.
        padding_mode: `"constant"`, `"edge"`, `"reflect"` or `"symmetric"`.
        multiple: The corner lies at multiples of so many pixels. With 8 a picture that is not resized is cut between its blocks,
            so that no frequency is needed but those of the output: for shards that hold few of them (`dctload extract --resize`).

    Raises:
        ValueError: `multiple` is less than 1; a picture is smaller than the crop.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: str = "constant",
        *,
        multiple: int = 1,
    ) -> None:
        self.size = height_and_width(size, "size")
        if operator.index(multiple) < 1:
            raise ValueError(f"multiple is 1 or more, not {multiple}")
        self.multiple = multiple
        self.pad = None if padding is None else Pad(padding, fill, padding_mode)
        self.pad_if_needed, self.fill, self.padding_mode = pad_if_needed, _rgb(fill), padding_mode

    def plan(self, view: View, draws: Draws) -> None:
        if self.pad is not None:
            self.pad.plan(view, draws)
        height, width = self.size
        lacking = np.maximum(height - view.height, 0), np.maximum(width - view.width, 0)
        if self.pad_if_needed and (lacking[0] + lacking[1]).any():
            view.pad_with(self.padding_mode, self.fill)
            view.crop(-lacking[0], -lacking[1], view.height + 2 * lacking[0], view.width + 2 * lacking[1])
        elif (lacking[0] + lacking[1]).any():
            i = int(np.argmax(lacking[0] + lacking[1]))
            raise ValueError(
                f"RandomCrop of {height} x {width} from a picture of {view.height[i]} x {view.width[i]} pixels; resize first, or "
                "pass pad_if_needed=True"
            )
        places = np.stack((view.height - height, view.width - width), axis=1) // self.multiple + 1
        corner = self.multiple * draws.integers(2, places)
        view.crop(corner[:, 0], corner[:, 1], height, width)


class RandomResizedCrop(Transform):
    """A rectangle of random size, shape and place, resized; pixels beyond it have no weight.

    Args:
        size: Height and width in pixels; one number for both.
        scale: Share of the picture's area, low and high.
        ratio: Width / height of the rectangle, low and high, drawn evenly in its logarithm.
    """

    _TRIES = 10

    def __init__(
        self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3)
    ) -> None:
        self.size = height_and_width(size, "size")
        self.scale, self.ratio = (float(scale[0]), float(scale[1])), (float(ratio[0]), float(ratio[1]))
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if not 0 < low <= high:
                raise ValueError(f"{name} is (low, high) with 0 < low <= high, not {(low, high)}")

    def plan(self, view: View, draws: Draws) -> None:
        view.crop(*self.boxes(view.height, view.width, draws))
        view.resize(*self.size)

    def boxes(self, height: NDArray[np.int64], width: NDArray[np.int64], draws: Draws) -> tuple[NDArray[np.int64], ...]:
        """(top, left, height, width), each `[B]`, for pictures of these sizes: the first try of ten that fits, else a middle."""
        drawn = draws.uniform(2 * self._TRIES + 2)
        area = (height * width)[:, None] * (self.scale[0] + (self.scale[1] - self.scale[0]) * drawn[:, : self._TRIES])
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = np.exp(low + (high - low) * drawn[:, self._TRIES : 2 * self._TRIES])
        w, h = np.rint(np.sqrt(area * ratio)).astype(np.int64), np.rint(np.sqrt(area / ratio)).astype(np.int64)
        fits = (w > 0) & (w <= width[:, None]) & (h > 0) & (h <= height[:, None])
        first, rows = np.argmax(fits, axis=1), np.arange(len(height))
        w, h = w[rows, first], h[rows, first]
        # None fits: the largest rectangle in the middle whose shape is allowed.
        shape = width / np.maximum(height, 1)
        full_w = np.where(shape > self.ratio[1], np.rint(height * self.ratio[1]), width).astype(np.int64)
        full_h = np.where(shape < self.ratio[0], np.rint(width / self.ratio[0]), height).astype(np.int64)
        found = fits.any(axis=1)
        w, h = np.where(found, w, np.clip(full_w, 1, width)), np.where(found, h, np.clip(full_h, 1, height))
        place = drawn[:, -2:]
        top = np.where(found, (place[:, 0] * (height - h + 1)).astype(np.int64), (height - h) // 2)
        left = np.where(found, (place[:, 1] * (width - w + 1)).astype(np.int64), (width - w) // 2)
        return top, left, h, w


class Pad(Transform):
    """More picture on each side.

    Args:
        padding: Pixels: one number, (left and right, top and bottom), or (left, top, right, bottom).
        fill: What constant padding holds, 0..255: one number or RGB.
        padding_mode: `"constant"`, `"edge"`, `"reflect"` (edge pixel not repeated) or `"symmetric"` (repeated). Behind a resize
            the edge between picture and padding is as soft as the resize.
    """

    def __init__(self, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant") -> None:
        sides = [padding] * 4 if isinstance(padding, int) else list(padding)
        sides = sides * (4 // len(sides)) if len(sides) in (1, 2) else sides
        if len(sides) != 4 or any(int(n) != n or n < 0 for n in sides):
            raise ValueError(f"padding is 1, 2 or 4 whole numbers of pixels, not {padding!r}")
        self.padding = tuple(int(n) for n in sides)
        self.fill, self.padding_mode = _rgb(fill), padding_mode

    def plan(self, view: View, draws: Draws) -> None:
        left, top, right, bottom = self.padding
        view.pad_with(self.padding_mode, self.fill)
        size = view.size
        view.crop(-top, -left, view.height + top + bottom, view.width + left + right)
        view.size = None if size is None else (size[0] + top + bottom, size[1] + left + right)


class RandomHorizontalFlip(Transform):
    """Left and right exchanged, with the probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p)

    def plan(self, view: View, draws: Draws) -> None:
        view.flip(horizontal=draws.happens(self.p))


class RandomVerticalFlip(Transform):
    """Top and bottom exchanged, with the probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p)

    def plan(self, view: View, draws: Draws) -> None:
        view.flip(vertical=draws.happens(self.p))


class RandomTranspose(Transform):
    """Rows and columns exchanged, with the probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(p)

    def plan(self, view: View, draws: Draws) -> None:
        view.transpose(draws.happens(self.p))


class RandomRotation90(Transform):
    """Turned by 0, 90, 180 or 270 degrees, each as likely, unless `turns` names others.

    Args:
        turns: Quarter turns counter-clockwise to draw from, 0..3.
    """

    def __init__(self, turns: Sequence[int] = (0, 1, 2, 3)) -> None:
        if not turns or any(t not in (0, 1, 2, 3) for t in turns):
            raise ValueError(f"turns are quarter turns of 0, 1, 2, 3, not {turns!r}")
        self.turns = tuple(turns)

    def plan(self, view: View, draws: Draws) -> None:
        turn = np.array(self.turns)[draws.integers(1, len(self.turns))[:, 0]]
        view.transpose(turn % 2 == 1)
        view.flip(vertical=(turn == 1) | (turn == 2), horizontal=(turn == 3) | (turn == 2))


class ExifTranspose(Transform):
    """The picture as its EXIF orientation says that it is to be seen; without this step EXIF is ignored, as ImageFolder does.

    Stands first among the spatial steps.
    """

    def plan(self, view: View, draws: Draws) -> None:
        if view.resized or view.size is not None:
            raise ValueError("ExifTranspose stands before the steps that crop and resize")
        turn = np.maximum(view.headers.orientation, 1)
        view.transpose(turn >= 5)
        view.flip(horizontal=np.isin(turn, (2, 3, 6, 7)), vertical=np.isin(turn, (3, 4, 7, 8)))


class GaussianBlur(Transform):
    """Blur by a Gaussian of random width, equal to torchvision's on pixels; folded into the resampling.

    Args:
        kernel_size: Taps, odd: one number or (horizontal, vertical), torchvision's order.
        sigma: Standard deviation in pixels: one number or (low, high).
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        self.kernel_size = height_and_width(kernel_size, "kernel_size")
        if any(n % 2 == 0 for n in self.kernel_size):
            raise ValueError(f"kernel_size is odd, not {kernel_size!r}")
        low, high = (sigma, sigma) if isinstance(sigma, (int, float)) else (float(sigma[0]), float(sigma[1]))
        if not 0 < low <= high:
            raise ValueError(f"sigma is a number, or (low, high) with 0 < low <= high, not {sigma!r}")
        self.sigma = (float(low), float(high))

    def plan(self, view: View, draws: Draws) -> None:
        if view.blur is not None:
            raise ValueError("two blurs in one Compose; one of the width sqrt(a * a + b * b) is the same")
        sigma = draws.between(*self.sigma)
        horizontal, vertical = (_gaussian(taps, sigma) for taps in self.kernel_size)
        view.blur = (vertical, horizontal)


def _gaussian(taps: int, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.arange(taps) - (taps - 1) / 2
    kernel = np.exp(-0.5 * (x / sigma[:, None]) ** 2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def _centred(sizes: NDArray[np.int64], crop: int) -> NDArray[np.int64]:
    """Where a crop in the middle begins: `int(round((size - crop) / 2))`; of a smaller picture, torchvision's padding."""
    lacking = crop - sizes
    return np.where(lacking > 0, -(lacking // 2), np.rint((sizes - crop) / 2.0).astype(np.int64))


def _rgb(fill: Fill) -> tuple[float, float, float]:
    values = [float(fill)] * 3 if isinstance(fill, (int, float)) else [float(x) for x in fill]
    if len(values) != 3 or not all(0 <= x <= 255 for x in values):
        raise ValueError(f"fill is a number of 0..255, or three (RGB), not {fill!r}")
    return values[0], values[1], values[2]
