"""What a picture shows while spatial steps are gathered, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload.headers import Headers
from dctload.ops.geometry import PADDING_MODES, Geometry

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

_STAND_IN = 1 << 12  # pixels a side where no image of a batch has a header: more than crops ask for


class Axis:
    """One side of the picture: `n` pixels that show `a` to `b` of an axis of the image as coded; `b < a` mirrored.

    `lo` and `hi` bound the pixels that a resize has blended; None before a resize. `first` and `end` bound those that exist: at
    the image's edges, or where a crop cut off what later padding must not show. All are arrays over the batch.
    """

    def __init__(self, size: Int) -> None:
        self.a: Float = np.zeros(len(size))
        self.b: Float = size.astype(np.float64)
        self.n: Int = size.copy()
        self.lo: Float | None = None
        self.hi: Float | None = None
        self.first: Float = np.zeros(len(size))
        self.end: Float = size.astype(np.float64)

    def crop(self, start: Int, length: Int) -> None:
        scale, leaves = (self.b - self.a) / self.n, (start < 0) | (start + length > self.n)
        if leaves.any():  # behind a resize the edge lies between pixels; the nearest whole one stands for it
            low, high = np.rint(np.minimum(self.a, self.b)), np.rint(np.maximum(self.a, self.b))
            self.first = np.where(leaves, np.minimum(np.maximum(self.first, low), self.end - 1), self.first)
            self.end = np.where(leaves, np.maximum(np.minimum(self.end, high), self.first + 1), self.end)
        self.a, self.b = self.a + scale * start, self.a + scale * (start + length)
        self.n = length
        if self.lo is not None and self.hi is not None:  # what lies beyond a resized picture is its padding
            self.lo = np.where(leaves, np.minimum(self.lo, np.floor(np.minimum(self.a, self.b))), self.lo)
            self.hi = np.where(leaves, np.maximum(self.hi, np.ceil(np.maximum(self.a, self.b))), self.hi)

    def resize(self, n: Int) -> None:
        low, high = np.minimum(self.a, self.b), np.maximum(self.a, self.b)
        self.lo, self.hi = np.floor(low), np.ceil(high)
        self.n = n

    def flip(self, which: Bool) -> None:
        self.a, self.b = np.where(which, self.b, self.a), np.where(which, self.a, self.b)

    @property
    def bounds(self) -> tuple[Float, Float]:
        """`lo` and `hi`; of a picture that was only cropped, its own edges."""
        if self.lo is None or self.hi is None:
            return np.floor(np.minimum(self.a, self.b)), np.ceil(np.maximum(self.a, self.b))
        return self.lo, self.hi


def _exchanged(which: Bool, first: Axis, second: Axis) -> None:
    for name in ("a", "b", "n", "lo", "hi", "first", "end"):
        x, y = getattr(first, name), getattr(second, name)
        if x is not None:
            setattr(first, name, np.where(which, y, x))
            setattr(second, name, np.where(which, x, y))


def _sides(headers: Headers) -> tuple[Int, Int]:
    """Heights and widths; an image without a header stands in the size of one that has one, so that every step can take it."""
    failed = headers.code != 0
    if not failed.any():
        return headers.height, headers.width
    good = np.flatnonzero(~failed)
    height, width = (headers.height[good[0]], headers.width[good[0]]) if len(good) else (_STAND_IN, _STAND_IN)
    return np.where(failed, height, headers.height), np.where(failed, width, headers.width)


@dataclass
class View:
    """The picture that each sample shows so far: begins as the whole image as coded.

    `vertical` and `horizontal` are the picture's own sides; where `swapped`, the vertical one runs along the image's width.
    """

    headers: Headers
    vertical: Axis = field(init=False)
    horizontal: Axis = field(init=False)
    swapped: Bool = field(init=False)
    resized: bool = False
    size: tuple[int, int] | None = None  # height and width where they are the same for every image, whatever it is
    padding_mode: str | None = None
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)  # RGB, 0..255
    blur: tuple[Float, Float] | None = None
    requantize: NDArray[np.uint16] | None = None

    def __post_init__(self) -> None:
        self.vertical, self.horizontal = (Axis(n) for n in _sides(self.headers))
        self.swapped = np.zeros(len(self.headers), bool)

    def __len__(self) -> int:
        return len(self.headers)

    @property
    def height(self) -> Int:
        """`[B]`, of the picture, in pixels."""
        return self.vertical.n

    @property
    def width(self) -> Int:
        """`[B]`, likewise."""
        return self.horizontal.n

    def crop(self, top: ArrayLike, left: ArrayLike, height: ArrayLike, width: ArrayLike) -> None:
        """The rectangle, which may leave the picture: what lies beyond is padding."""
        self._blur_comes_last()
        box = [np.broadcast_to(np.asarray(x, np.int64), (len(self),)) for x in (top, left, height, width)]
        self.vertical.crop(box[0], box[2])
        self.horizontal.crop(box[1], box[3])
        self._set_size(height, width)

    def resize(self, height: ArrayLike, width: ArrayLike) -> None:
        """The picture, resampled to another size."""
        if self.resized:
            raise ValueError(
                "a second resize of the same picture: one Compose resamples once. Leave one of Resize and RandomResizedCrop out "
                "(RandomResizedCrop resizes by itself)"
            )
        self._blur_comes_last()
        self.resized = True
        self.vertical.resize(np.broadcast_to(np.asarray(height, np.int64), (len(self),)).copy())
        self.horizontal.resize(np.broadcast_to(np.asarray(width, np.int64), (len(self),)).copy())
        self._set_size(height, width)

    def flip(self, *, vertical: Bool | None = None, horizontal: Bool | None = None) -> None:
        """The pictures that the masks name, upside down or mirrored."""
        if vertical is not None:
            self.vertical.flip(vertical)
        if horizontal is not None:
            self.horizontal.flip(horizontal)

    def transpose(self, which: Bool) -> None:
        """Rows become columns."""
        self._blur_comes_last()
        _exchanged(which, self.vertical, self.horizontal)
        self.swapped = self.swapped ^ which
        if self.size is not None and self.size[0] != self.size[1]:
            self.size = None

    def pad_with(self, mode: str, fill: tuple[float, float, float]) -> None:
        """What lies beyond the image: one rule for the whole picture."""
        if mode not in PADDING_MODES:
            raise ValueError(f"padding_mode is one of {', '.join(PADDING_MODES)}, not {mode!r}")
        if self.padding_mode is not None and (self.padding_mode, self.fill) != (mode, fill):
            raise ValueError(f"two kinds of padding in one Compose: {self.padding_mode} {self.fill} and {mode} {fill}")
        self.padding_mode, self.fill = mode, fill

    def geometry(self) -> Geometry:
        """The numbers of the resampling operator.

        Raises:
            ValueError: The pictures of the batch are not all of one size.
        """
        sides = np.stack((self.height, self.width), axis=1)
        if len(sides) and (sides != sides[0]).any():
            other = sides[(sides != sides[0]).any(axis=1)][0]
            raise ValueError(
                f"pictures of {sides[0][0]} x {sides[0][1]} and {other[0]} x {other[1]} pixels in one batch; add a step that "
                "makes them alike: T.RandomResizedCrop(448), or T.Resize(512) and T.CenterCrop(448)"
            )
        if not len(sides) and self.size is None:
            raise ValueError("an empty batch whose size no step sets; add T.CenterCrop or T.RandomResizedCrop")
        height, width = (int(n) for n in sides[0]) if len(sides) else self.size or (0, 0)
        axes = (self.vertical, self.horizontal)
        pair = np.array([[axis.a, axis.b, *axis.bounds, axis.first, axis.end] for axis in axes]).transpose(2, 0, 1)
        numbers = np.where(self.swapped[:, None, None], pair[:, ::-1], pair)
        present = np.ascontiguousarray(numbers[:, :, 4:])
        whole = (present[..., 0] == 0).all() and (present[..., 1] == np.stack(_sides(self.headers), axis=1)).all()
        r, g, b = self.fill
        y = 0.299 * r + 0.587 * g + 0.114 * b
        fill = np.array([y - 128, (b - y) / 1.772, (r - y) / 1.402], np.float32)
        return Geometry(
            box=np.ascontiguousarray(numbers[:, :, :2]),
            valid=np.ascontiguousarray(numbers[:, :, 2:4]),
            transposed=self.swapped,
            size=(height, width),
            padding_mode=self.padding_mode or "constant",
            fill=np.broadcast_to(fill, (len(self), 3)).copy(),
            blur=self.blur,
            requantize=self.requantize,
            present=None if whole else present,
        )

    def _blur_comes_last(self) -> None:
        if self.blur is not None:
            raise ValueError(
                "GaussianBlur stands behind the steps that crop, resize and turn: it blurs the picture that they give"
            )

    def _set_size(self, height: ArrayLike, width: ArrayLike) -> None:
        same = np.ndim(height) == 0 and np.ndim(width) == 0
        self.size = (int(np.asarray(height)), int(np.asarray(width))) if same else None
