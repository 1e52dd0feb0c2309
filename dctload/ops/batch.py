"""A batch of coefficients on its device: the type that transforms, pictures and models take."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dctload.channels import ChannelSelection
from dctload.headers import Headers
from dctload.ops._unpackers import checked_backend, unpacked_values
from dctload.ops.facts import BatchFacts, ComponentFacts, ImageFacts


class DCTBatch:
    """Quantised DCT coefficients of several images of any size: packed bytes on a device, and the facts on the host.

    `dctload.ops.unpack` makes one. Coefficients are unpacked when they are first asked for, once; what reads the packed
    bytes itself (the resampling kernels) never needs them. The bytes must not change while the batch lives.

    Attributes:
        packed: uint8 `[nbytes]`, the packed batch (docs/wire-format.md).
        facts: What the records say, as arrays on the host.
        channels: The selection, or one an image, that the output is to have; None where that is not known.
        targets: Whatever belongs to the images (labels, boxes); None if nothing does.
        backend: What unpacks: `"auto"`, `"native"`, `"torch"` or `"triton"`.
    """

    def __init__(
        self,
        packed: Tensor,
        facts: BatchFacts,
        *,
        channels: ChannelSelection | list[ChannelSelection] | None = None,
        targets: Any = None,
        backend: str = "auto",
    ) -> None:
        """Of bytes that have been checked; use `unpack`."""
        self.packed = packed
        self.facts = facts
        self.channels = channels
        self.targets = targets
        self.backend = checked_backend(backend)

    def __len__(self) -> int:
        return len(self.facts.images)

    @property
    def device(self) -> torch.device:
        """Where the packed bytes and the coefficients are."""
        return self.packed.device

    @property
    def images(self) -> ImageFacts:
        """Size, colour, orientation, status and region by image."""
        return self.facts.images

    @property
    def components(self) -> ComponentFacts:
        """Grid, rectangle, kept frequencies and quantisation table by component, all images' one after the other."""
        return self.facts.components

    @property
    def headers(self) -> Headers:
        """The images' headers as arrays."""
        return self.facts.headers

    @property
    def status(self) -> tuple[str, ...]:
        """By image `"ok"`, `"truncated"`, `"damaged"`, or the code of the error that left it without coefficients."""
        return self.facts.status

    @cached_property
    def coefficients(self) -> Tensor:
        """int16 `[values]` on the device: quantised, by image, component and `[K, rows, cols]`, without gaps."""
        return unpacked_values(self.packed, self.facts, self.backend)

    @cached_property
    def quantization(self) -> Tensor:
        """float32 `[components, 64]` on the device: quantisation steps, row-major."""
        return torch.from_numpy(self.components.quantization.astype(np.float32)).to(self.device)

    def to_coefficients(self) -> list[list[Tensor] | None]:
        """By image a list of int16 `[K, rows, cols]`, one a component, views of `coefficients`; None where an image failed."""
        failed = self.images.failed.tolist()
        return [None if failed[i] else [self._plane(m) for m in self.facts.rows_of(i)] for i in range(len(self))]

    def planes(self, i: int) -> list[Tensor]:
        """Dequantised coefficients of image `i`: float32 `[K, rows, cols]` a component; none where the image failed.

        Integers times steps, in float32 (T.81, A.3.4): exact below 2^24, and rounded as NumPy rounds beyond.
        """
        return [self._plane(m).float() * self._steps(m)[:, None, None] for m in self._rows_of(i)]

    def frequencies(self, i: int) -> list[tuple[int, ...]]:
        """Kept frequencies `8 * v + u` of image `i` by component, as its planes have them."""
        return [self.components.frequencies(m) for m in self._rows_of(i)]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> DCTBatch:
        """The batch on another device: the packed bytes are copied, and unpacked there. The same batch if it is there already.

        Args:
            device: As torch takes it.
            non_blocking: Do not wait for the copy; the source must be page-locked and stay unchanged until it is done.
        """
        packed = self.packed.to(device, non_blocking=non_blocking)
        return self if packed is self.packed else self._with(packed)

    def pin_memory(self) -> DCTBatch:
        """The batch in page-locked memory, from which a copy to a CUDA device does not wait. It needs CUDA."""
        return self if self.packed.is_pinned() else self._with(self.packed.pin_memory())

    def _with(self, packed: Tensor) -> DCTBatch:
        return DCTBatch(packed, self.facts, channels=self.channels, targets=self.targets, backend=self.backend)

    def _rows_of(self, i: int) -> range:
        """Rows of image `i`'s components; a negative `i` counts from the end."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"image {i} of a batch of {len(self)}")
        return self.facts.rows_of(i % len(self))

    def _plane(self, m: int) -> Tensor:
        parts = self.components
        first, shape = int(parts.first_value[m]), (int(parts.channels[m]), int(parts.rows[m]), int(parts.cols[m]))
        return self.coefficients[first : first + shape[0] * shape[1] * shape[2]].view(shape)

    def _steps(self, m: int) -> Tensor:
        return self.quantization[m, list(self.components.frequencies(m))]

    def __repr__(self) -> str:
        failed = int(self.images.failed.sum())
        kept = "" if self.channels is None else f", channels {_channel_words(self.channels)}"
        marks = f", {failed} without coefficients" if failed else ""
        return f"DCTBatch({len(self)} images, {self.packed.numel()} bytes packed, on {self.device}{kept}{marks})"


def _channel_words(channels: ChannelSelection | list[ChannelSelection]) -> str:
    return "of their own" if isinstance(channels, list) else channels.name or str(channels)
