"""The resampling operator of one axis: a float64 reference that is plain, and the banded form that a device multiplies with.

Both are what `dctload.ops.geometry.Geometry` says: a triangle over the valid pixels, folded where the range leaves the image,
blurred, between two bases of block DCTs. The banded form keeps, for each block of output, the `T` blocks of input it touches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dctload.ops.facts import Int
from dctload.ops.geometry import Float

# The orthonormal DCT of T.81, A.3.3: row v is the frequency, column p the sample of a block.
DCT: Float = np.array(
    [[np.sqrt((1 if v == 0 else 2) / 8) * np.cos((2 * p + 1) * v * np.pi / 16) for p in range(8)] for v in range(8)]
)
DCT.flags.writeable = False

# What is beyond this share of a pixel counts as touched: less is rounding.
_SLACK = 1e-6


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of resampled components, `[S]` unless said, in the components' own samples.

    Attributes:
        a: Box, where output begins.
        b: Where it ends; below `a`: mirrored.
        lo: First valid sample, may lie before the image.
        hi: One past the last.
        size: Samples of the component, without its padding to blocks.
        n: Output pixels, of all.
        padding_mode: One of `PADDING_MODES`.
        kernel: float64 `[S, taps]`, the blur; None: none.
        begin: First sample that exists: what lies before is padding; None: 0.
        end: One past the last that exists; None: `size`.
    """

    a: Float
    b: Float
    lo: Int
    hi: Int
    size: Int
    n: int
    padding_mode: str = "constant"
    kernel: Float | None = None
    begin: Int | None = None
    end: Int | None = None

    @classmethod
    def of_component(
        cls,
        box: Float,
        valid: Float,
        factors: tuple[Int, Int],
        image_size: Int,
        n: int,
        *,
        mode: str = "constant",
        kernel: Float | None = None,
        present: Float | None = None,
    ) -> Axis:
        """Of luma's box, valid and present ranges, `[S, 2]`, for a component with `factors` (own, largest), `[S]` each."""
        own, most = factors
        whole, size = valid.astype(np.int64), -(-image_size * own // most)
        existing = None if present is None else present.astype(np.int64)
        return cls(
            a=box[:, 0] * own / most,
            b=box[:, 1] * own / most,
            lo=whole[:, 0] * own // most,
            hi=-(-whole[:, 1] * own // most),
            size=size,
            n=n,
            padding_mode=mode,
            kernel=kernel,
            begin=None if existing is None else np.maximum(existing[:, 0] * own // most, 0),
            end=None if existing is None else np.minimum(-(-existing[:, 1] * own // most), size),
        )

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, places: Int) -> Axis:
        """The axes at `places`."""
        return replace(
            self,
            a=self.a[places],
            b=self.b[places],
            lo=self.lo[places],
            hi=self.hi[places],
            size=self.size[places],
            kernel=None if self.kernel is None else self.kernel[places],
            begin=None if self.begin is None else self.begin[places],
            end=None if self.end is None else self.end[places],
        )

    @property
    def extent(self) -> tuple[Int, Int]:
        """First sample that exists, and one past the last."""
        return np.zeros_like(self.size) if self.begin is None else self.begin, self.size if self.end is None else self.end

    @property
    def scale(self) -> Float:
        """Samples an output pixel; negative where mirrored."""
        return (self.b - self.a) / self.n

    @property
    def reach(self) -> Float:
        """Half the width of the triangle, in samples."""
        return np.maximum(np.abs(self.scale), 1.0)

    @property
    def radius(self) -> int:
        """Output pixels that the blur reaches to either side."""
        return 0 if self.kernel is None else self.kernel.shape[1] // 2

    @property
    def num_blocks(self) -> int:
        """Blocks of output, `ceil(n / 8)`."""
        return -(-self.n // 8)

    @property
    def leaves(self) -> bool:
        """Whether any valid range leaves what exists of its image."""
        begin, end = self.extent
        return bool(((self.lo < begin) | (self.hi > end)).any())

    @property
    def folds(self) -> bool:
        """Whether weights outside the image are added to samples inside."""
        return self.padding_mode != "constant" and self.leaves

    def taps(self) -> Int:
        """`[S]`: blocks that one block of output can touch, at most."""
        return taps(self.scale, self.radius)

    def needed(self) -> tuple[Int, Int]:
        """First sample that has weight, and one past the last, inside the image."""
        ends = self.a[:, None] + np.array([0.5, self.n - 0.5]) * self.scale[:, None]
        ends = np.sort(np.clip(ends, self.lo[:, None], self.hi[:, None]), axis=1)
        first = np.maximum(np.floor(ends[:, 0] - self.reach + 0.5 + _SLACK).astype(np.int64), self.lo)
        last = np.minimum(np.ceil(ends[:, 1] + self.reach - 0.5 - _SLACK).astype(np.int64) - 1, self.hi - 1)
        least, past = self.extent
        low, high = np.clip(first, least, past - 1), np.clip(last, least, past - 1)
        if self.folds:  # what is folded may lie deeper inside than what is not
            length = torch.from_numpy(past - least)
            begin, end = (least + fold(torch.from_numpy(x - least), length, self.padding_mode).numpy() for x in (first, last))
            before, behind = least - first, last - (past - 1)  # so far it reaches over either edge
            low = np.minimum(low, np.where(behind > 0, np.where(behind < past - least, end, least), low))
            high = np.maximum(high, np.where(before > 0, np.where(before < past - least, begin, past - 1), high))
        return low, high + 1


def taps(scale: Float, radius: int = 0) -> Int:
    """T(s): how many blocks of input one block of output touches at most, `[S]`; `radius` is the blur's, in output pixels.

    Eight pixels and the blur beside them span `(7 + 2 * radius) * |s| + 2 * max(|s|, 1)` samples, open at both ends.
    """
    s = np.abs(np.asarray(scale, np.float64))
    samples = np.ceil((7 + 2 * radius) * s + 2 * np.maximum(s, 1.0)).astype(np.int64)
    return np.asarray((samples - 2) // 8 + 2, np.int64)


def fold(sample: Tensor, size: Tensor, mode: str) -> Tensor:
    """The sample inside the image whose value an outside one has: `"edge"`, `"reflect"` or `"symmetric"`."""
    if mode == "edge":
        return torch.minimum(sample.clamp(min=0), size - 1)
    if mode == "symmetric":
        period = 2 * size
        place = torch.remainder(sample, period)
        return torch.minimum(place, period - 1 - place)
    period = (2 * size - 2).clamp(min=1)
    place = torch.remainder(sample, period)
    return torch.where(size == 1, 0, torch.minimum(place, period - place))


def reflected(place: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Output pixels `0..n - 1` that stand for places outside: mirrored at the edge pixels, which are not repeated."""
    if n == 1:
        return np.zeros_like(place)
    inside = np.mod(place, 2 * n - 2)
    return np.asarray(np.minimum(inside, 2 * n - 2 - inside), np.int64)


def resampling_matrix(axis: Axis, s: int) -> tuple[Float, Float]:
    """The reference: R of sample `s` of `axis`, float64, weight by weight as `Geometry` defines it.

    Returns:
        R `[8 * num_blocks, size]`, and by row the weight that constant padding takes, `[8 * num_blocks]`.
    """
    a, b, lo, hi, size, n = axis.a[s], axis.b[s], int(axis.lo[s]), int(axis.hi[s]), int(axis.size[s]), axis.n
    begin, end = (int(x[s]) for x in axis.extent)
    scale = (b - a) / n
    centre = np.clip(a + (np.arange(n) + 0.5) * scale, lo, hi)
    samples = np.arange(lo, hi)
    weights = np.maximum(0.0, 1.0 - np.abs(samples + 0.5 - centre[:, None]) / max(abs(scale), 1.0))
    weights /= weights.sum(axis=1, keepdims=True)
    matrix, outside = np.zeros((n, size)), np.zeros(n)
    for j, column in zip(samples.tolist(), weights.T, strict=True):
        if begin <= j < end:
            matrix[:, j] += column
        elif axis.padding_mode == "constant":
            outside += column
        else:
            matrix[:, begin + int(fold(torch.tensor(j - begin), torch.tensor(end - begin), axis.padding_mode))] += column
    if axis.kernel is not None:
        kernel = axis.kernel[s]
        places = reflected(np.arange(n)[:, None] + np.arange(-axis.radius, axis.radius + 1), n)
        matrix = np.einsum("k,ikj->ij", kernel, matrix[places])
        outside = outside[places] @ kernel
    rows = np.minimum(np.arange(8 * axis.num_blocks), n - 1)
    return matrix[rows], outside[rows]


def block_operator(matrix: Float, *, pixels: bool = False) -> Float:
    """`M = D_out R D_in^T` of a reference matrix, float64 `[rows, 8 * blocks]`: between block DCTs, or from them to pixels.

    Args:
        matrix: R `[rows, size]`, a multiple of 8 rows; samples between `size` and the edge of the last block have no weight.
        pixels: Leave the rows as pixels.
    """
    blocks = -(-matrix.shape[1] // 8)
    full = np.zeros((matrix.shape[0], 8 * blocks))
    full[:, : matrix.shape[1]] = matrix
    right: Float = np.einsum("iqp,vp->iqv", full.reshape(-1, blocks, 8), DCT).reshape(-1, 8 * blocks)
    if pixels:
        return right
    out: Float = np.einsum("vp,opj->ovj", DCT, right.reshape(-1, 8, 8 * blocks)).reshape(-1, 8 * blocks)
    return out


@dataclass(frozen=True, eq=False)
class Bands:
    """Banded operators of one axis, on a device.

    Attributes:
        first: int32 `[S, num_blocks]`: first block of input of each block of output. Blocks outside the image have no weight:
            clamp the place when reading.
        matrix: float32 `[S, num_blocks, T, Ko, K]`.
        ones: float32 `[S, num_blocks, Ko]`: what a plane of ones becomes.
        inside: float32 `[S, num_blocks, Ko]`: what an image of ones becomes, where constant padding around it is 0.
    """

    first: Tensor
    matrix: Tensor
    ones: Tensor
    inside: Tensor


def banded(axis: Axis, *, out: int, band: int, device: torch.device, pixels: bool = False) -> Bands:
    """The banded form of `axis`, one call for many components: coordinates in float64, the rest in float32.

    Float32 coordinates would cost a factor of 25 in exactness (500 +- 3e-5 changes every weight), float32 weights cost nothing.

    Args:
        axis: Of S components; `T` is the most that any of them needs.
        out: Ko, frequencies of output that are computed, 1..8; 8 where `pixels`.
        band: K, frequencies of input that are read, 1..8.
        device: Where to compute.
        pixels: Pixels instead of frequencies come out.
    """
    taps_, radius, n = int(axis.taps().max()), axis.radius, axis.n
    a, b = (torch.from_numpy(x).to(device)[:, None] for x in (axis.a, axis.b))
    lo, hi, begin, end = (torch.from_numpy(x).to(device)[:, None] for x in (axis.lo, axis.hi, *axis.extent))
    window = np.arange(axis.num_blocks)[:, None] * 8 + np.arange(-radius, 8 + radius)
    place = torch.from_numpy(reflected(window, n) if radius else np.minimum(window, n - 1)).to(device)
    scale = (b - a) / n
    reach = scale.abs().clamp(min=1.0)
    centre = (a + (place.flatten() + 0.5) * scale).clamp(lo, hi).view(len(axis), *place.shape)
    # the rows that count: a place beyond the last pixel is there for the shape alone
    used = torch.from_numpy(np.clip(window, 0, n - 1)).to(device)
    ends = (a + (used[:, [0, -1]].flatten() + 0.5) * scale).clamp(lo, hi).view(len(axis), -1, 2)
    first = torch.maximum((ends.amin(2) - reach + 0.5).floor().to(torch.int64), lo).div(8, rounding_mode="floor")

    sample = 8 * first[..., None] + torch.arange(8 * taps_, device=device)  # [S, blocks, 8T]
    rel = (centre - 8 * first[..., None]).to(torch.float32)
    steps = torch.arange(8 * taps_, device=device, dtype=torch.float32) + 0.5
    weights = (1 - (steps - rel[..., None]).abs() / reach[..., None, None].to(torch.float32)).clamp(min=0)
    valid = (sample >= lo[..., None]) & (sample < hi[..., None])
    weights = weights * valid[:, :, None]
    weights = weights / weights.sum(3, keepdim=True).clamp(min=1e-30)
    if axis.folds:
        first, weights = _folded(weights, sample, begin[..., None], end[..., None], axis.padding_mode)
    elif axis.leaves:
        weights = weights * ((sample >= begin[..., None]) & (sample < end[..., None]))[:, :, None]
    if axis.kernel is not None:
        kernel = torch.from_numpy(axis.kernel).to(device, torch.float32)
        parts = weights.unfold(2, kernel.shape[1], 1)  # [S, blocks, 8, 8T, taps]
        weights = torch.einsum("sopjk,sk->sopj", parts, kernel)
        total = kernel.sum(1)[:, None, None].expand(-1, axis.num_blocks, 8)
        last = n - 8 * (axis.num_blocks - 1)
        if last < 8:
            weights = torch.cat([weights[:, :-1], weights[:, -1:, torch.arange(8).clamp(max=last - 1)]], 1)
    else:
        total = torch.ones((len(axis), axis.num_blocks, 8), device=device)

    right = torch.tensor(DCT, dtype=torch.float32, device=device)
    left = torch.eye(8, device=device) if pixels else right
    left, right = left[:out], right[:band]
    matrix = torch.einsum("vp,soptq,wq->sotvw", left, weights.reshape(*weights.shape[:3], taps_, 8), right)
    return Bands(first.to(torch.int32), matrix, total @ left.T, weights.sum(3) @ left.T)


def _folded(weights: Tensor, sample: Tensor, begin: Tensor, end: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Weights of samples that do not exist added to those that do; a sum over one sample is one product: no order of addition."""
    touched = (weights > 0).any(2)
    inside = begin + fold(sample - begin, end - begin, mode)
    first = torch.where(touched, inside, torch.iinfo(torch.int64).max).amin(2).div(8, rounding_mode="floor")
    place = inside - 8 * first[..., None]
    one = (place[..., None] == torch.arange(sample.shape[2], device=sample.device)).to(weights.dtype)
    return first, weights @ one
