"""Measured time of the copy from CPU to GPU, from page-locked and from pageable memory.

Needs torch with a CUDA device; the counters of the PCIe link need pynvml and a driver that lets them be read.
Without them `measure` says why nothing was run.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._harness import Row, Spread

IMAGES = 256  # images in the copied batch
ROUNDS = 30
COUNTER_SECONDS = 0.6  # how long one size is copied while the link's counter is read; the driver averages over 20 ms


@dataclass(frozen=True)
class Copies:
    """Rows of measured copies, or the reason why there are none."""

    rows: list[Row]
    reason: str = ""


def measure(bytes_per_image: Mapping[str, float]) -> Copies:
    """Milliseconds to copy 256 images of each representation to the GPU, interleaved over the representations."""
    try:
        import torch
    except ModuleNotFoundError:
        return Copies([], "GPU copies: not run: no GPU (torch is not installed)")
    if not torch.cuda.is_available():
        return Copies([], "GPU copies: not run: no GPU (torch finds no CUDA device)")

    sizes = {name: round(mean * IMAGES) for name, mean in bytes_per_image.items()}
    largest = max(sizes.values())
    target = torch.empty(largest, dtype=torch.uint8, device="cuda")
    sources = {
        "pinned": torch.zeros(largest, dtype=torch.uint8).pin_memory(),
        "pageable": torch.zeros(largest, dtype=torch.uint8),
    }
    times: dict[tuple[str, str], list[float]] = {(name, memory): [] for name in sizes for memory in sources}
    for turn in range(ROUNDS + 3):
        for (name, memory), kept in times.items():
            milliseconds = _copy_time(torch, target[: sizes[name]], sources[memory][: sizes[name]])
            if turn >= 3:  # the first rounds warm the driver up
                kept.append(milliseconds)

    rows = []
    for (name, memory), measured in times.items():
        spread = Spread.of(measured)
        extra: dict[str, Any] = {
            "bytes": sizes[name],
            "gigabytes_per_second": round(sizes[name] / spread.median / 1e6, 2),
            "kind": "copy",
        }
        if memory == "pinned":
            extra.update(_link_counter(torch, target[: sizes[name]], sources[memory][: sizes[name]]))
        note = f"{memory} memory, {IMAGES} images"
        rows.append(Row(f"copy {name}, {memory}", "ms", *spread.rounded(4), note=note, extra=extra))
    return Copies(rows)


def _copy_time(torch: Any, target: Any, source: Any) -> float:
    """Milliseconds of one copy by the device's own clock."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    target.copy_(source, non_blocking=True)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def _link_counter(torch: Any, target: Any, source: Any) -> dict[str, Any]:
    """What the PCIe link itself counted while this copy was repeated, as a share of the bytes that were copied.

    A share somewhat above 1 is right: the counter includes packet headers. Where it cannot be read, the reason."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(torch.cuda.current_device())
        pynvml.nvmlDeviceGetPcieThroughput(handle, pynvml.NVML_PCIE_UTIL_RX_BYTES)
    except Exception as error:  # pynvml is absent, or this driver or virtual machine keeps the counters back
        return {"link_counter": f"not read: {type(error).__name__}"}

    copied = 0
    stop = threading.Event()

    def copy_until_stopped() -> None:
        nonlocal copied
        while not stop.is_set():
            target.copy_(source, non_blocking=True)
            torch.cuda.synchronize()
            copied += source.numel()

    worker = threading.Thread(target=copy_until_stopped, daemon=True)
    counted = []
    start = time.perf_counter()
    worker.start()
    try:
        while time.perf_counter() - start < COUNTER_SECONDS:
            kilobytes = pynvml.nvmlDeviceGetPcieThroughput(handle, pynvml.NVML_PCIE_UTIL_RX_BYTES)
            counted.append(kilobytes * 1024)
    finally:
        stop.set()
        worker.join()
    rate = copied / (time.perf_counter() - start)
    seen = statistics.median(counted)
    return {"link_counter": round(seen / rate, 3), "link_counter_bytes_per_second": round(seen)}
