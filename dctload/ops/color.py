"""Colour: JFIF's full-range BT.601 between YCbCr and RGB."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dctload.ops.geometry import Float

# R, G, B (0..255) of Y, Cb, Cr with 128 taken off all three, before 128 is added again (JFIF 1.02, page 4).
YCBCR_TO_RGB: Float = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
# Level-shifted Y, Cb, Cr of level-shifted R, G, B.
RGB_TO_YCBCR: Float = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
YCBCR_TO_RGB.flags.writeable = RGB_TO_YCBCR.flags.writeable = False


def ycbcr_to_rgb(planes: Tensor) -> Tensor:
    """RGB `[..., 3, H, W]`, 0..1, clamped, of level-shifted Y, Cb, Cr planes (-128..127) of the same shape.

    This is the one place where values are cut off.
    """
    return ((_mixed(planes, YCBCR_TO_RGB) + 128) / 255).clamp(0, 1)


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """Level-shifted Y, Cb, Cr planes `[..., 3, H, W]` (-128..127) of RGB, 0..1."""
    return _mixed(rgb * 255 - 128, RGB_TO_YCBCR)


def _mixed(planes: Tensor, matrix: Float) -> Tensor:
    if planes.dim() < 3 or planes.shape[-3] != 3 or not planes.is_floating_point():
        raise ValueError(f"planes are floating point [..., 3, H, W], not {planes.dtype} {list(planes.shape)}")
    return torch.einsum("dc,...chw->...dhw", torch.tensor(matrix, dtype=planes.dtype, device=planes.device), planes)
