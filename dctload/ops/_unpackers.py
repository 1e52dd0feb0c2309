"""Which code works where, and unpacking by it. All of them give the same integers."""

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


def chosen_backend(backend: str, device: torch.device) -> str:
    """`"native"`, `"torch"` or `"triton"`: what works on `device`, of `"auto"` the quickest.

    Raises:
        ValueError: The backend cannot work there.
    """
    on_cpu = device.type == "cpu"
    if backend == "auto":
        return "native" if on_cpu else "triton" if device.type == "cuda" and has_triton() else "torch"
    if backend == "native" and not on_cpu:
        raise ValueError(f"backend native is the CPU's; the batch is on {device}")
    if backend == "triton" and device.type != "cuda" and not (on_cpu and interprets_triton()):
        raise ValueError(f"backend triton needs a batch on a CUDA device (or TRITON_INTERPRET=1, to test); it is on {device}")
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
    backend = chosen_backend(backend, packed.device)
    if backend == "native":
        out = torch.empty(facts.num_values, dtype=torch.int16)
        # One a call: starting its threads costs some 25 us, and nothing is kept that a fork could see half-made.
        _core.Unpacker(0).unpack(packed.numpy(), False, out.numpy())
        return out
    if backend == "triton":
        from dctload.ops._triton_unpack import unpack_tiles as by_triton

        return by_triton(packed, facts)
    from dctload.ops._torch_unpack import unpack_tiles as by_torch

    return by_torch(packed, facts)
