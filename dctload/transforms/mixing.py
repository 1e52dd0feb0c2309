"""Steps that mix samples of a batch, and their targets with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dctload.transforms.base import Transform, probability

if TYPE_CHECKING:
    from torch import Tensor

    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture

Float = NDArray[np.float64]


class _Mixing(Transform):
    """Each sample with the one before it in the batch, as torchvision's `roll(1)` pairs them."""

    changes_targets = True

    def __init__(self, *, num_classes: int, alpha: float = 1.0, p: float = 1.0) -> None:
        if num_classes < 1 or alpha <= 0:
            raise ValueError(f"num_classes is 1 or more and alpha greater than 0, not {num_classes!r} and {alpha!r}")
        self.num_classes, self.alpha, self.p = int(num_classes), float(alpha), probability(p)

    def _own_share(self, draws: Draws) -> Float:
        """`[B]`: how much of itself each sample keeps."""
        return np.where(draws.child(0).happens(self.p), draws.child(1).beta(self.alpha), 1.0)

    def _mix_targets(self, picture: Picture, share: Float) -> None:
        """Targets become `[B, num_classes]`: shares that sum to 1."""
        import torch

        targets = picture.targets
        if targets is None:
            return
        if targets.ndim == 1:
            if targets.is_floating_point():
                raise ValueError(f"{type(self).__name__} mixes class numbers; these targets are {targets.dtype}")
            on_host = targets.device.type == "cpu"  # elsewhere a look would wait for the device, which checks by itself
            if on_host and len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < self.num_classes:
                raise ValueError(f"a target lies outside 0..{self.num_classes - 1}; pass num_classes= as many as there are")
            targets = soft_targets(targets, self.num_classes)
        picture.targets = torch.lerp(targets.roll(1, 0), targets, picture.device_array(share).to(targets)[:, None])


class MixUp(_Mixing):
    """`share * x + (1 - share) * other`, share from Beta(alpha, alpha), one draw a sample (Zhang et al., 2018).

    Linear, so the same on coefficients as on pixels. Targets become `[B, num_classes]`.

    Args:
        num_classes: Length of a soft target.
        alpha: Of the Beta distribution.
        p: Share of the samples that are mixed.
    """

    def apply(self, picture: Picture, draws: Draws) -> None:
        import torch

        share = self._own_share(draws)
        x = picture.tensor
        weight = picture.device_array(share)[:, None, None, None]
        torch.lerp(x.roll(1, 0), x, weight, out=x)
        self._mix_targets(picture, share)


class CutMix(_Mixing):
    """A rectangle from another sample (Yun et al., 2019): of area `1 - share`, share from Beta(alpha, alpha), snapped to blocks.

    Targets become `[B, num_classes]`, weighted by the area of the snapped rectangle.

    Args:
        num_classes: Length of a soft target.
        alpha: Of the Beta distribution.
        p: Share of the samples that are mixed.
    """

    def apply(self, picture: Picture, draws: Draws) -> None:
        import torch

        x = picture.tensor
        rows, cols = x.shape[2:]
        share = self._own_share(draws)
        step = 8 if picture.is_pixels else 1  # the same rectangle on pixels as on coefficients
        boxes = cut_boxes(share, draws.child(2), -(-rows // step), -(-cols // step)) * step
        y = torch.arange(rows, device=x.device)[None, :, None]
        z = torch.arange(cols, device=x.device)[None, None, :]
        top, bottom, left, right = picture.device_array(boxes, torch.int64).T[:, :, None, None]
        inside = (y >= top) & (y < bottom) & (z >= left) & (z < right)
        torch.where(inside[:, None], x.roll(1, 0), x, out=x)
        limit = np.minimum(boxes, [rows, rows, cols, cols])
        area = (limit[:, 1] - limit[:, 0]) * (limit[:, 3] - limit[:, 2])
        self._mix_targets(picture, 1.0 - area / (rows * cols))


def cut_boxes(share: Float, draws: Draws, rows: int, cols: int) -> NDArray[np.int64]:
    """int64 `[B, 4]`: (top, bottom, left, right) in blocks; the centre is drawn evenly, what leaves the grid is cut off."""
    side = np.sqrt(1.0 - share)
    centre = draws.uniform(2) * np.array([rows, cols])
    half = np.stack((side * rows, side * cols), axis=1) / 2
    begin = np.clip(np.rint(centre - half), 0, [rows, cols])
    end = np.clip(np.rint(centre + half), 0, [rows, cols])
    return np.stack((begin[:, 0], end[:, 0], begin[:, 1], end[:, 1]), axis=1).astype(np.int64)


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """Class numbers `[B]` as `[B, num_classes]` of zeros and ones."""
    import torch

    soft = torch.zeros(len(targets), num_classes, device=targets.device)
    return soft.scatter_(1, targets.long()[:, None], 1.0)
