"""Which code unpacks: the C++ core on the CPU, Triton on CUDA, torch anywhere. All give the same integers."""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import Tensor

from dctload import _core
from dctload.ops.facts import BatchFacts

BACKENDS = ("auto", "native", "torch", "triton")


def checked_backend(backend: str) -> str:
    """The same word; ValueError if it is none of `BACKENDS`."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    return backend


def has_triton() -> bool:
    """Whether Triton can be imported; it comes with torch where there is CUDA."""
    return importlib.util.find_spec("triton") is not None


def interprets_triton() -> bool:
    """Whether Triton's kernels run in its interpreter, on CPU tensors: slow, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def unpacked_values(packed: Tensor, facts: BatchFacts, backend: str = "auto") -> Tensor:
    """The coefficients of a checked batch, int16 `[values]` on its device, by image, component and `[K, rows, cols]`.

    Args:
        packed: uint8 `[nbytes]`.
        facts: What its records say.
        backend: `"native"` (CPU), `"torch"`, `"triton"` (CUDA, or its interpreter), or `"auto"`: the quickest there is.

    Raises:
        ValueError: The backend cannot work where `packed` lies.
    """
    on_cpu = packed.device.type == "cpu"
    if backend == "auto":
        backend = "native" if on_cpu else "triton" if packed.device.type == "cuda" and has_triton() else "torch"
    if backend == "torch":
        from dctload.ops._torch_unpack import unpack_tiles as by_torch

        return by_torch(packed, facts)
    if backend == "native":
        if not on_cpu:
            raise ValueError(f"backend native is the CPU's; the batch is on {packed.device}")
        out = torch.empty(facts.num_values, dtype=torch.int16)
        _core.Unpacker(0).unpack(packed.numpy(), False, out.numpy())
        return out
    if on_cpu and not interprets_triton():
        raise ValueError("backend triton needs a batch on a CUDA device (or TRITON_INTERPRET=1, to test)")
    from dctload.ops._triton_unpack import unpack_tiles

    return unpack_tiles(packed, facts)
