"""A chain of transforms: planned before decoding, applied on the device."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload.channels import ChannelSelection
from dctload.headers import Headers
from dctload.jpeg import COLOR_SPACES
from dctload.transforms.base import Transform
from dctload.transforms.draws import Draws
from dctload.transforms.plan import MARGIN, Plan, SamplePlan, band, needed_region, sample_plan
from dctload.transforms.view import View

if TYPE_CHECKING:
    from torch import Tensor

    from dctload.jpeg import Header
    from dctload.ops import DCTBatch

ALL = ChannelSelection.parse("all")
OUTPUTS = ("dct", "rgb")


class Compose:
    """Transforms one after the other.

    All steps that say where the picture comes from (resize, crop, flip, turn, pad, blur) are gathered, in their order, into one
    resampling; the others follow on the resampled picture, in theirs. Random numbers come from (seed, epoch, sample index) alone.

    Args:
        transforms: Steps.

    Example:
        >>> from dctload import transforms as T
        >>> T.Compose([T.RandomResizedCrop(448), T.RandomHorizontalFlip(), T.Normalize("imagenet")])
        Compose([RandomResizedCrop(size=(448, 448), scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333)), ...])
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms = list(transforms)
        for step in self.transforms:
            if not isinstance(step, Transform):
                raise TypeError(f"a step of Compose is a transform of dctload.transforms, not {step!r}")

    @classmethod
    def of(cls, transform: Compose | Transform | Iterable[Transform] | None) -> Compose:
        """A Compose of whatever stands where one is accepted; None is the whole picture."""
        if isinstance(transform, Compose):
            return transform
        if transform is None:
            return cls([])
        if isinstance(transform, Transform):
            return cls([transform])
        if not isinstance(transform, Iterable):
            raise TypeError(f"transform is a Compose of dctload.transforms, a step of one, or a list of them, not {transform!r}")
        return cls(transform)

    @property
    def changes_targets(self) -> bool:
        """Whether a step mixes samples, so that targets become soft."""
        return any(step.changes_targets for step in self.transforms)

    @property
    def needs_whole_blocks(self) -> bool:
        """Whether a step needs all 64 frequencies of each block, whatever is kept in the end."""
        return any(step.needs_whole_blocks for step in self.transforms)

    def plan(
        self,
        header: Header,
        seed: int = 0,
        epoch: int = 0,
        index: int = 0,
        *,
        channels: str | ChannelSelection = "24s",
        output: str = "dct",
        transfer: str | ChannelSelection = "auto",
    ) -> SamplePlan:
        """What is drawn for one image: its box, flip, region and band."""
        plan = self.plan_batch(Headers.of([header]), seed, epoch, [index])
        selection = None if checked_output(output) == "rgb" else ChannelSelection.parse(channels)
        boxes, masks = self.needs(plan, Headers.of([header]), selection, transfer)
        return sample_plan(plan, 0, boxes, masks)

    def plan_batch(self, headers: Headers, seed: int = 0, epoch: int = 0, index: ArrayLike | None = None) -> Plan:
        """Draws and gathers the spatial steps for images with these headers.

        Args:
            headers: Of the images.
            seed: Of the random numbers.
            epoch: Likewise.
            index: `[B]`, numbers of the samples; by default their places.

        Raises:
            ValueError: The pictures are not all of one size.
        """
        draws = Draws.of(seed, epoch, np.arange(len(headers)) if index is None else index)
        if len(draws) != len(headers):
            raise ValueError(f"{len(draws)} indices for {len(headers)} images")
        view = View(headers)
        for number, step in enumerate(self.transforms):
            step.plan(view, draws.child(number))
        return Plan(view.geometry(), draws)

    def needs(
        self,
        plan: Plan,
        headers: Headers,
        selection: ChannelSelection | None,
        transfer: str | ChannelSelection = "auto",
        margin: int | None = MARGIN,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Regions `[B, 4]` and masks `[B, 3]` to decode; see `plan.needed_region` and `plan.band`.

        Args:
            plan: Of the batch.
            headers: Of the images.
            selection: The output's channels; None for pixels.
            transfer: `"auto"`: frequencies that can matter; `"all"`; or a selection, whatever the picture needs.
            margin: Of `band`; None: exact.
        """
        boxes = needed_region(plan.geometry, headers)
        if isinstance(transfer, str) and transfer == "auto":
            wanted = ALL if selection is not None and self.needs_whole_blocks else selection
            return boxes, band(plan.geometry, headers, wanted, margin)
        chosen = ALL if isinstance(transfer, str) and transfer == "all" else ChannelSelection.parse(transfer)
        masks = np.broadcast_to(np.array(chosen.masks, np.uint64), (len(headers), 3)).copy()
        masks[headers.color == COLOR_SPACES.index("rgb")] = ALL.masks  # Y, Cb and Cr are mixed of all three
        return boxes, masks

    def apply(
        self,
        batch: DCTBatch,
        plan: Plan,
        targets: Tensor | None = None,
        *,
        channels: ChannelSelection | None = None,
        resampler: Any = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The pictures of a planned batch, and its targets.

        Args:
            batch: Coefficients of at least the planned regions.
            plan: From `plan_batch`, for the same images.
            targets: `[B]`, or what MixUp makes of them.
            channels: Of the output; None: RGB pixels.
            resampler: The native kernel's threads, if they are kept.

        Returns:
            float32 `[B, C, rows, cols]`, or `[B, 3, H, W]`; and the targets.
        """
        import torch

        from dctload.ops import resample
        from dctload.transforms.picture import Picture

        geometry = plan.geometry
        inside = ALL if channels is not None and self.needs_whole_blocks else channels

        def make(scale: Tensor | None, bias: Tensor | None) -> Tensor:
            return resample(batch, geometry, inside, scale=scale, bias=bias, resampler=resampler)

        grid = geometry.size if inside is None else geometry.grid
        picture = Picture(make, inside, len(batch), grid, torch.device(batch.device))
        picture.targets = targets
        for number, step in enumerate(self.transforms):
            step.apply(picture, plan.draws.child(number))
            whole = any(later.needs_whole_blocks for later in self.transforms[number + 1 :])
            if channels is not None and picture.channels != channels and not whole:
                picture.select(channels)
        return picture.finished(), picture.targets

    def __call__(
        self,
        batch: DCTBatch,
        seed: int = 0,
        epoch: int = 0,
        index: ArrayLike | None = None,
        *,
        channels: str | ChannelSelection | None = None,
        output: str = "dct",
    ) -> Tensor:
        """The pictures of a batch.

        Args:
            batch: From `ops.unpack`.
            seed: Of the random numbers.
            epoch: Likewise.
            index: `[B]`, numbers of the samples; by default their places in the batch.
            channels: Of the output; by default the batch's own.
            output: `"dct"`, or `"rgb"`: pixels in 0..1 (before Normalize).

        Returns:
            float32 `[B, C, rows, cols]` on the batch's device.
        """
        if self.changes_targets:
            raise ValueError("MixUp and CutMix change targets too: use Compose.apply, or DCTLoader, which hands both on")
        selection = None
        if checked_output(output) == "dct":
            chosen = channels if channels is not None else batch.channels
            if not isinstance(chosen, (str, ChannelSelection)):
                raise ValueError("the batch does not say which channels it was made with; pass channels=")
            selection = ChannelSelection.parse(chosen)
        headers = batch.headers
        plan = self.plan_batch(headers, seed, epoch, index)
        check_size(plan, output)
        _, needed = self.needs(plan, headers, selection)
        warn_of_missing(needed, present_masks(batch), headers)
        return self.apply(batch, plan, channels=selection)[0]

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


def checked_output(output: str) -> str:
    """The word, if it is one of the two."""
    if output not in OUTPUTS:
        raise ValueError(f'output is "dct" or "rgb", not {output!r}')
    return output


def check_size(plan: Plan, output: str) -> None:
    """ValueError where coefficients are asked for of a size that blocks do not fill."""
    height, width = plan.geometry.size
    if output == "dct" and (height % 8 or width % 8):
        raise ValueError(
            f"coefficients of {height} x {width} pixels: blocks are 8 x 8, so take multiples of 8 (T.CenterCrop, "
            'T.RandomResizedCrop), or output="rgb"'
        )


def present_masks(batch: DCTBatch) -> NDArray[np.uint64]:
    """uint64 `[B, 3]`: the frequencies that a batch holds of its images' first three components."""
    masks, parts = np.zeros((len(batch), 3), np.uint64), batch.components
    first = parts.index < 3
    masks[parts.image[first], parts.index[first]] = parts.mask[first]
    return masks


def warn_of_missing(needed: NDArray[np.uint64], present: NDArray[np.uint64], headers: Headers) -> bool:
    """Warns where a picture needs native frequencies that were not sent: it is another one then. Whether it did."""
    roles = np.arange(3) < headers.num_components[:, None]
    lacking = ((needed & ~present) != 0) & roles
    if not lacking.any():
        return False
    i, k = np.argwhere(lacking)[0]
    warnings.warn(
        f"image {i} needs {int(needed[i, k]).bit_count()} native frequencies of component {k} for this picture and has "
        f"{int(present[i, k]).bit_count()}: a resampled picture of fewer is another one (6 dB where it is enlarged, 25 dB where "
        'it is shrunk by two; docs/transforms.md). Send more: transfer="auto", or channels="all" when extracting',
        stacklevel=3,
    )
    return True
