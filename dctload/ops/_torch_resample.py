"""The resampling operator in torch: the portable road, and what the kernels are held against. Banded, in buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dctload.channels import ChannelSelection
from dctload.ops.batch import DCTBatch
from dctload.ops.color import RGB_TO_YCBCR
from dctload.ops.facts import Int
from dctload.ops.geometry import Geometry
from dctload.ops.operators import Bands, banded
from dctload.ops.samples import RGB, Samples

# Coefficients of one bucket, padded to its largest rectangle.
_BUCKET = 1 << 21
_BUCKET_ON_DEVICE = 1 << 26


# Colour planes that share an operator's numbers: luma, both chromas; all three of an RGB file.
_FAMILIES: dict[bool, tuple[tuple[int, ...], ...]] = {False: ((0,), (1, 2)), True: ((0, 1, 2),)}


def resample_into(d: DCTBatch, geometry: Geometry, channels: ChannelSelection | None, images: Int, out: Tensor) -> None:
    """Adds the resampled images to `out`, which is zero: `[N, C, rows, cols]`, or without `channels` pixels `[N, 3, H, W]`."""
    lists = [range(64)] * 3 if channels is None else [channels.y, channels.cb, channels.cr]
    colors = d.images.color[images] == RGB
    for samples in Samples.by_turn(d, geometry, images):
        for is_rgb, families in _FAMILIES.items():
            for family in families:
                wanted = [f for part in family for f in lists[part]]
                chosen = samples[np.flatnonzero((colors[samples.place] == is_rgb) & np.isin(samples.part, family))]
                if not wanted or not len(chosen):
                    continue
                ko = 1 + max(f // 8 for f in wanted), 1 + max(f % 8 for f in wanted)
                for part, blocks in _resampled(d, chosen, ko, pixels=channels is None):
                    _add(part, blocks, channels, out, is_rgb=is_rgb)


def _add(part: Samples, blocks: Tensor, channels: ChannelSelection | None, out: Tensor, *, is_rgb: bool) -> None:
    """Picks the output's channels of `[S, Ko_v, Ko_u, rows, cols]`; an RGB file's components each add their share to all."""
    for number in np.unique(part.part).tolist():
        chosen = torch.from_numpy(np.flatnonzero(part.part == number)).to(out.device)
        place = torch.from_numpy(part.place).to(out.device)[chosen]
        shares = RGB_TO_YCBCR[:, number].tolist() if is_rgb else [float(k == number) for k in range(3)]
        mine = blocks[chosen]
        if channels is None:
            height, width = out.shape[2:]
            pixels = mine.permute(0, 3, 1, 4, 2).flatten(3, 4).flatten(1, 2)[:, :height, :width]
            for target, share in enumerate(shares):
                if share:
                    out[place, target] += share * pixels
            continue
        first, width = 0, mine.shape[2]
        for share, frequencies in zip(shares, (channels.y, channels.cb, channels.cr), strict=True):
            if share and frequencies:
                index = torch.tensor([f // 8 * width + f % 8 for f in frequencies], device=out.device)
                out[place, first : first + len(frequencies)] += share * mine.flatten(1, 2)[:, index]
            first += len(frequencies)


def _resampled(d: DCTBatch, samples: Samples, ko: tuple[int, int], *, pixels: bool) -> Iterator[tuple[Samples, Tensor]]:
    """Bucket by bucket: which components, and float32 `[S, Ko_v, Ko_u, rows, cols]` of the output (for pixels: within blocks)."""
    stored = ko[::-1] if samples.turned else ko
    device = d.device
    for places in _buckets(samples, device):
        part = samples[places]
        band_v, band_u = (int(n) for n in part.band.max(axis=0))
        down = banded(part.down, out=stored[0], band=band_v, device=device, pixels=pixels)
        across = banded(part.across, out=stored[1], band=band_u, device=device, pixels=pixels)
        planes = _planes(part, d.coefficients, d.quantization, band_v, band_u)
        result = _with_fill(_apply(planes, down, across, part), down, across, part)
        # [S, stored block col, u, stored block row, v]; turned, the output's rows run along the stored columns
        yield part, result.permute(0, 2, 4, 1, 3) if samples.turned else result.permute(0, 4, 2, 3, 1)


def _buckets(samples: Samples, device: torch.device) -> Iterator[Int]:
    """Components with as many taps and sizes alike, as many at a time as memory should hold."""
    most = _BUCKET if device.type == "cpu" else _BUCKET_ON_DEVICE
    taps = np.stack([samples.down.taps(), samples.across.taps()])
    order = np.lexsort((samples.cols, samples.rows, taps[1], taps[0]))
    start, largest = 0, np.zeros(3, np.int64)
    for end, s in enumerate(order.tolist()):
        sizes = np.array([samples.rows[s], samples.cols[s], samples.band[s].prod()])
        grown = np.maximum(largest, sizes)
        if end > start and ((taps[:, s] != taps[:, order[start]]).any() or (end - start + 1) * int(grown.prod()) > most):
            yield order[start:end]
            start, grown = end, sizes
        largest = grown
    if len(order):
        yield order[start:]


def _planes(part: Samples, values: Tensor, steps: Tensor, band_v: int, band_u: int) -> Tensor:
    """float32 `[S, rows, band_v, band_u, cols]`: dequantised, zero beyond a component's own rectangle and kept frequencies."""
    device = values.device

    def put(numbers: NDArray[np.generic], *shape: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(device).view(len(part), *shape)

    rows, cols = put(part.rows, 1, 1, 1, 1), put(part.cols, 1, 1, 1, 1)
    rank = put(part.ranks.reshape(-1, 8, 8)[:, :band_v, :band_u], 1, band_v, band_u, 1)
    row = torch.arange(int(part.rows.max()), device=device).view(1, -1, 1, 1, 1)
    col = torch.arange(int(part.cols.max()), device=device).view(1, 1, 1, 1, -1)
    place = put(part.first_value, 1, 1, 1, 1) + rank * (rows * cols) + row * cols + col
    inside = (rank >= 0) & (row < rows) & (col < cols)
    kept = torch.where(inside, values[torch.where(inside, place, 0)], 0).to(torch.float32)
    step = steps[torch.from_numpy(part.component).to(device)].view(-1, 1, 8, 8, 1)[:, :, :band_v, :band_u]
    planes = kept * step
    if part.requantize is not None:
        coarse = put(part.requantize.astype(np.float32).reshape(-1, 8, 8)[:, :band_v, :band_u], 1, band_v, band_u, 1)
        planes = (planes / coarse).round() * coarse
    return planes


@dataclass(frozen=True)
class _Reading:
    """One stage: blocks gathered along an axis, and the product with its operator."""

    bands: Bands
    start: Int  # first block that the record delivers
    count: Int  # blocks that it delivers

    def apply(self, blocks: Tensor) -> Tensor:
        """`[S, blocks, K, rest]` -> `[S, num_blocks, Ko, rest]`."""
        matrix = self.bands.matrix
        s, n, taps, out, band = matrix.shape
        device = blocks.device
        start, count = (torch.from_numpy(x).to(device)[:, None, None] for x in (self.start, self.count))
        place = self.bands.first.to(torch.int64)[..., None] + torch.arange(taps, device=device) - start
        place = torch.minimum(place.clamp(min=0), count - 1)  # blocks that are not there have no weight
        read = blocks[torch.arange(s, device=device)[:, None], place.flatten(1)]
        left = matrix.permute(0, 1, 3, 2, 4).reshape(s * n, out, taps * band)
        return torch.bmm(left, read.reshape(s * n, taps * band, -1)).view(s, n, out, -1)


def _apply(planes: Tensor, down: Bands, across: Bands, part: Samples) -> Tensor:
    """float32 `[S, n_across, Ko_u, n_down, Ko_v]` of `[S, rows, K_v, K_u, cols]`."""
    s, _, _, band_u, cols = planes.shape
    first = _Reading(down, part.y0, part.rows).apply(planes.flatten(3))
    n, out = first.shape[1:3]
    turned = first.view(s, n * out, band_u, cols).permute(0, 3, 2, 1)
    second = _Reading(across, part.x0, part.cols).apply(turned)
    return second.view(*second.shape[:3], n, out)


def _with_fill(result: Tensor, down: Bands, across: Bands, part: Samples) -> Tensor:
    """What constant padding adds: `f * (D 1 (x) D 1 - D s_y (x) D s_x)`, s the weight that is left inside the image."""
    if part.fill is None or not (part.down.leaves or part.across.leaves) or part.down.padding_mode != "constant":
        return result
    fill = torch.from_numpy(part.fill).to(result.device, torch.float32)

    def product(x: Tensor, y: Tensor) -> Tensor:
        return torch.einsum("sxu,syv->sxuyv", x, y)

    missing = product(across.ones, down.ones) - product(across.inside, down.inside)
    return result + fill.view(-1, 1, 1, 1, 1) * missing
