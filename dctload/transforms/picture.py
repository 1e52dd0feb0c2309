"""The picture on the device, between resampling and what the model gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dctload.channels import ChannelSelection
from dctload.ops.color import YCBCR_TO_RGB

Float = NDArray[np.float64]

# Resamples; scale and bias `[B, C]` are multiplied and added on the way, None for 1 and 0.
Make = Callable[[Tensor | None, Tensor | None], Tensor]


class Picture:
    """A batch of pictures: coefficients `[B, C, rows, cols]`, or pixels `[B, 3, H, W]`, and linear changes still to be made.

    Colour operations are affine maps of (Y, Cb, Cr), so a chain of them is one 3 x 4 matrix a sample; an offset may hang on
    the picture's own mean (contrast). They are gathered and applied once, with the normalisation, and where nothing else stands
    between, by the resampling itself.

    Args:
        make: Resamples the batch.
        channels: Of the coefficients; None: `make` gives level-shifted Y, Cb, Cr pixels, and the picture becomes RGB in 0..1.
        count: Samples.
        grid: Rows and columns of blocks, or of pixels.
        device: Where the tensors lie.
    """

    _matrix: Float
    _offset: Float
    _mean: Float
    _scale: Float | None
    _bias: Float | None
    _clamps: bool

    def __init__(
        self, make: Make, channels: ChannelSelection | None, count: int, grid: tuple[int, int], device: torch.device
    ) -> None:
        self._make = make
        self._tensor: Tensor | None = None
        self.channels, self.count, self.grid, self.device = channels, count, grid, device
        self.is_rgb = False
        self.is_normalized = False
        self.targets: Tensor | None = None
        self._reset()

    # ---------------------------------------------------------------------------------------------- linear changes

    def linear(self, matrix: Float, offset: Float | None = None, contrast: Float | None = None) -> None:
        """Changes colours by an affine map a sample, in level-shifted (Y, Cb, Cr) of 0..255 scale.

        Args:
            matrix: `[B, 3, 3]`.
            offset: `[B, 3]`, added in pixel units (of a block's DC, eight times that).
            contrast: `[B]`, times the picture's mean Y before this change, added to Y.
        """
        if self.is_normalized:
            raise ValueError("a colour step behind Normalize; colours are changed before")
        mean = np.zeros((self.count, 3, 3))
        if contrast is not None:
            mean[:, 0] = contrast[:, None] * (self._matrix[:, 0] + self._mean[:, 0])
        extra = np.zeros((self.count, 3))
        if contrast is not None:
            extra[:, 0] = contrast * self._offset[:, 0]
        self._mean = matrix @ self._mean + mean
        self._offset = np.einsum("bij,bj->bi", matrix, self._offset) + extra + (0 if offset is None else offset)
        self._matrix = matrix @ self._matrix

    def normalize(self, mean: Float, std: Float) -> None:
        """`(x - mean) / std` by channel, `[C]` each."""
        if self.is_pixels and not self.is_rgb:
            self._to_rgb()
        if self.is_normalized:
            self._flush()
        self._scale, self._bias, self.is_normalized = 1.0 / std, -mean / std, True

    @property
    def tensor(self) -> Tensor:
        """The picture with all changes made; may be changed in place, and set.

        Coefficients; or level-shifted Y, Cb, Cr pixels, and after `normalize` RGB. Contiguous.
        """
        return self._flush()

    @tensor.setter
    def tensor(self, value: Tensor) -> None:
        self._tensor = value

    def finished(self) -> Tensor:
        """What the model gets: coefficients, or RGB pixels."""
        if self.is_pixels and not self.is_rgb:
            self._to_rgb()
        return self._flush()

    def select(self, channels: ChannelSelection) -> None:
        """Keeps some of the coefficients, as the steps that need whole blocks are done."""
        x, places = self._flush(), 64 * self.components + self.frequencies
        kept = [64 * k + f for k, part in enumerate((channels.y, channels.cb, channels.cr)) for f in part]
        self._tensor = x.index_select(1, self.device_array(np.searchsorted(places, kept), torch.int64))
        self.channels = channels
        for name in ("components", "frequencies", "_spread"):
            vars(self).pop(name, None)

    @property
    def is_pixels(self) -> bool:
        """Whether these are pixels."""
        return self.channels is None

    # ------------------------------------------------------------------------------------------- what a channel is

    @cached_property
    def components(self) -> NDArray[np.int64]:
        """`[C]`: 0, 1, 2 for Y, Cb, Cr of each channel."""
        if self.channels is None:
            return np.arange(3)
        return np.repeat(np.arange(3), [len(part) for part in self._parts])

    @cached_property
    def frequencies(self) -> NDArray[np.int64]:
        """`[C]`: `8 * v + u` of each channel; of pixels 0."""
        if self.channels is None:
            return np.zeros(3, np.int64)
        return np.concatenate([np.array(part, np.int64) for part in self._parts])

    def device_array(self, values: NDArray[np.generic], dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers as a tensor on the picture's device, without waiting for it."""
        tensor = torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor

    # -------------------------------------------------------------------------------------------------- inside

    @property
    def _parts(self) -> tuple[tuple[int, ...], ...]:
        assert self.channels is not None
        return self.channels.y, self.channels.cb, self.channels.cr

    def _reset(self) -> None:
        self._matrix = np.broadcast_to(np.eye(3), (self.count, 3, 3)).copy()
        self._offset = np.zeros((self.count, 3))
        self._mean = np.zeros((self.count, 3, 3))  # times the means of Y, Cb, Cr
        self._scale = self._bias = None
        self._clamps = False
        self._identity = self._matrix

    def _to_rgb(self) -> None:
        """Pixels in 0..1; the one place where they are clamped, when the changes are made."""
        every = (self.count, 3, 3)
        self.linear(np.broadcast_to(YCBCR_TO_RGB / 255, every), np.full(every[:2], 128 / 255))
        self.is_rgb = self._clamps = True

    def _materialized(self) -> Tensor:
        if self._tensor is None:
            self._tensor = self._make(None, None)
        return self._tensor

    def _flush(self) -> Tensor:
        """Makes the gathered changes, in place."""
        matrix, offset, mean, scale, bias, clamps = self._matrix, self._offset, self._mean, self._scale, self._bias, self._clamps
        changed = matrix is not self._identity
        self._reset()
        if not changed and scale is None:
            return self._materialized()
        components, is_dc = self.components, self.frequencies == 0
        gain = np.ones(len(components)) if scale is None else scale
        # A block's DC is eight times its mean.
        dc = gain * (is_dc * 8.0 if self.channels is not None else 1.0)
        additions = offset[:, components] * dc + (0.0 if bias is None else bias)
        factors = matrix[:, components, components] * gain
        mixed = (matrix * (1 - np.eye(3)) != 0).any(axis=0)
        if self._tensor is None and not (mixed.any() or mean.any() or clamps):
            self._tensor = self._make(self.device_array(factors), self.device_array(additions))
            return self._tensor
        late: list[int] = []
        if self._tensor is None and self.channels is not None and not (mixed.any() or clamps):
            # The mean is known behind the resampling only, and touches no more than the DC: the other channels change on the way.
            late = np.flatnonzero(is_dc).tolist()
            now, then = factors.copy(), additions.copy()
            now[:, late], then[:, late] = 1.0, 0.0
            self._tensor = self._make(self.device_array(now), self.device_array(then))
        x, total = self._materialized(), self.device_array(additions)
        if mean.any():
            shift = torch.einsum("bij,bj->bi", self.device_array(mean), self._means(x, np.asarray(mean.any(axis=(0, 1)))))
            total = total + shift[:, self._spread] * self.device_array(dc)
        if self.channels is None and (mixed.any() or clamps):
            low = np.zeros(3) if bias is None else bias
            bounds = (low, low + gain) if clamps else None
            _map_pixels(x, self.device_array(matrix * gain[:, None]), total, bounds, self.device_array)
            return x
        if late:
            each = self.device_array(factors)
            for place in late:
                x[:, place].mul_(each[:, place, None, None]).add_(total[:, place, None, None])
            return x
        sources = {int(j): x[:, self._span(int(j))].clone() for j in np.flatnonzero(mixed.any(axis=0))}
        x.mul_(self.device_array(factors)[:, :, None, None])
        if bias is not None:
            x.add_(total[:, :, None, None])
        else:  # colours shift the DC alone
            for place in np.flatnonzero(is_dc).tolist():
                x[:, place].add_(total[:, place, None, None])
        for i, j in zip(*(n.tolist() for n in np.nonzero(mixed)), strict=True):
            self._mix(x, i, sources[j], j, matrix[:, i, j], gain)
        return x

    def _mix(self, x: Tensor, i: int, source: Tensor, j: int, weight: Float, gain: Float) -> None:
        """Adds `weight` times component j, before the change, to component i; what only one of them has is not mixed."""
        to, of = self._span(i), self._span(j)
        mine, other = self.frequencies[to], self.frequencies[of]
        factors = self.device_array(weight[:, None] * gain[to])[:, :, None, None]
        if np.array_equal(mine, other):
            x[:, to].addcmul_(source, factors)
            return
        shared = np.intersect1d(mine, other)
        if not len(shared):
            return
        here, there = (self.device_array(np.searchsorted(part, shared), torch.int64) for part in (mine, other))
        x.index_add_(1, here + to.start, source[:, there] * factors[:, here])

    def _means(self, x: Tensor, wanted: NDArray[np.bool_]) -> Tensor:
        """`[B, 3]`: mean of Y, Cb, Cr, level-shifted, 0..255 scale; of those that are wanted."""
        means = torch.zeros(self.count, 3, device=x.device, dtype=x.dtype)
        for component in np.flatnonzero(wanted).tolist():
            place = np.flatnonzero((self.components == component) & (self.frequencies == 0))
            if len(place):
                means[:, component] = x[:, int(place[0])].mean(dim=(1, 2)) / (1 if self.channels is None else 8)
            elif component == 0:
                raise ValueError("contrast needs the mean of Y: keep frequency 0 of y among the channels")
        return means

    def _span(self, component: int) -> slice:
        """Channels of a component."""
        first, end = np.searchsorted(self.components, [component, component + 1])
        return slice(int(first), int(end))

    @cached_property
    def _spread(self) -> Tensor:
        """int64 `[C]` on the device: the component of each channel."""
        return self.device_array(self.components, torch.int64)


def _map_pixels(
    x: Tensor, matrix: Tensor, offset: Tensor, bounds: tuple[Float, Float] | None, put: Callable[[Float], Tensor]
) -> None:
    """`matrix @ x + offset` of pixels `[B, 3, H, W]`, and clamped to `bounds` by plane; in place.

    On the CPU image by image through a buffer that stays in the cache: a second tensor of the whole batch would cost three times
    as much, in pages that are touched for the first time.
    """
    flat = x.flatten(2)
    if x.device.type != "cpu":
        torch.baddbmm(offset[:, :, None], matrix, flat.clone(), out=flat)
        if bounds is not None:
            low, high = (put(side)[:, None, None] for side in bounds)
            torch.clamp(x, low, high, out=x)
        return
    buffer = torch.empty_like(flat[0]) if len(flat) else flat
    for i in range(len(flat)):
        torch.addmm(offset[i, :, None], matrix[i], flat[i], out=buffer)
        if bounds is not None:
            for plane, low, high in zip(buffer, bounds[0].tolist(), bounds[1].tolist(), strict=True):
                plane.clamp_(low, high)
        flat[i].copy_(buffer)
