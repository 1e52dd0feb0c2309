"""From a packed batch to coefficients on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.errors import wire_error
from dctload.ops.batch import DCTBatch
from dctload.ops.facts import BatchFacts
from dctload.packed import PackedBatch


def unpack(
    packed: PackedBatch | Tensor,
    device: torch.device | str | None = None,
    channels: str | ChannelSelection | Sequence[str | ChannelSelection] | None = None,
    *,
    backend: str = "auto",
    checked: bool = False,
) -> DCTBatch:
    """A batch of coefficients from packed bytes; they are checked, copied to `device` if they are not there, and unpacked there.

    Args:
        packed: A `PackedBatch`, or uint8 `[nbytes]` with a whole batch, on any device. On the CPU without a copy: leave it
            unchanged while the result lives.
        device: Where the coefficients are to be; None: where the bytes are.
        channels: The selection that the output is to have, or one an image; None: the batch's own, where it knows one.
        backend: What unpacks: `"native"` (C++, CPU), `"torch"` (any device), `"triton"` (CUDA) or `"auto"`. All give the same
            integers.
        checked: The caller has just made these bytes with `extract` or read them through `PackedBatch`; they are not checked
            a second time. Bytes from elsewhere need the check: without it a damaged batch may raise anything.

    Raises:
        WireError: The bytes are no batch, or were changed since they were packed.
        TypeError: `packed` is neither of the two.
        ValueError: `channels` is one an image, but not as many as images; or an unknown backend.

    Example:
        >>> d = unpack(dctload.extract(["a.jpg"]), device="cuda")  # doctest: +SKIP
        >>> d.planes(0)[0].shape  # doctest: +SKIP
        torch.Size([16, 60, 80])
    """
    if isinstance(packed, PackedBatch):
        host, tensor, asked = packed.buffer, None, packed.channels
    elif isinstance(packed, Tensor):
        if packed.dtype != torch.uint8 or packed.dim() != 1:
            raise TypeError(f"packed is uint8 [nbytes], not {packed.dtype} {list(packed.shape)}")
        tensor = packed.detach().contiguous()
        host, asked = tensor.cpu().numpy(), None
    else:
        raise TypeError(
            f"packed is a PackedBatch or a uint8 tensor, not {type(packed).__name__}; PackedBatch.from_buffer makes one of bytes"
        )
    if not checked:
        fault, _ = _core.records(host)
        if fault is not None:
            raise wire_error(fault, "packed batch")
    facts = BatchFacts.read(host)
    if channels is not None:
        asked = _parsed(channels, len(facts.images))
    if tensor is None:
        tensor = _tensor_of(host)
    return DCTBatch(tensor if device is None else tensor.to(device), facts, channels=asked, backend=backend)


def _parsed(
    channels: str | ChannelSelection | Sequence[str | ChannelSelection], count: int
) -> ChannelSelection | list[ChannelSelection]:
    if isinstance(channels, (str, ChannelSelection)):
        return ChannelSelection.parse(channels)
    if len(channels) != count:
        raise ValueError(f"channels has {len(channels)} entries for {count} images; give one for all, or as many as images")
    return [ChannelSelection.parse(item) for item in channels]


class _Memory:
    """The memory of an array under the name of a writable one: torch warns of others, and nothing here writes to it."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = array  # kept alive by whatever is made of this
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def _tensor_of(host: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(host if host.flags.writeable else np.asarray(_Memory(host)))
