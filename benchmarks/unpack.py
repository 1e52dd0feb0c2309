"""How fast packed batches become tensors on a device: unpacking and resampling, beside a copy of as many bytes.

python -m benchmarks.unpack --help
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import _bytes, _data, _harness
from benchmarks._harness import Row, Spread

MODULE = "benchmarks.unpack"
SIDE = 448  # pixels of the resampled output
TARGET = 0.7  # of the copy's bandwidth: unpacking 256 whole images to bfloat16
BATCH = {"cuda": 256, "cpu": 32}
ROUNDS = {"cuda": 30, "cpu": 5}
QUEUE = 1 << 30  # bytes copied ahead of each round, so that launches wait for the device and not the device for launches
SWEPT = ((4, 1), (8, 1), (8, 2), (16, 2), (16, 4), (32, 4))  # channels a chunk, warps a program
EXAMPLES = """examples:
  python -m benchmarks.unpack --data DIR                    on a CUDA device where there is one
  python -m benchmarks.unpack --data DIR --crop rrc --channels 24s 64s all
  python -m benchmarks.unpack --data DIR --sweep --save     other launch sizes too
  python -m benchmarks.unpack --device cpu --batch 16
"""


@dataclass(frozen=True)
class Work:
    """One row to be measured: `call(turn)` does it once, with the turn's own buffers."""

    name: str
    nbytes: int  # read and written
    call: Callable[[int], object]
    note: str = ""
    by_events: bool = True  # by the device's clock; else by the host's, until the device is done


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch(options.device or "cpu")
    import torch

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    count = options.batch or BATCH[device]
    files, skipped = _bytes.usable(_data.file_set(options.data))
    rows: list[Row] = []
    for channels in options.channels:
        work = _work(torch, _packed(files, options.crop, channels, count), channels, device, sweep=options.sweep)
        times = _measure(torch, work, device)
        rows += [_row(item, times[item.name], times, device, count, channels) for item in work]

    content = _harness.result(MODULE, arguments, files.as_json(), rows)
    content |= {"crop": options.crop, "device": device, "batch": count, "target": _verdict(rows, device, count, options.crop)}
    if options.json != _harness.STDOUT:
        _print_report(rows, files, skipped, device, count, str(content["target"]))
    _harness.keep(options, content, "unpack", options.crop)


def _packed(files: _data.FileSet, crop: _data.Crop, channels: str, count: int) -> Any:
    """A batch of `count` images, the files over and over where there are fewer."""
    import dctload

    data = files.sources
    sources = [data[i % len(data)] for i in range(count)]
    headers = [dctload.read_header(source) for source in sources]
    regions = _data.regions([(h.height, h.width) for h in headers], crop)
    return dctload.extract(sources, channels, regions)


def _work(torch: Any, packed: Any, channels: str, device: str, *, sweep: bool) -> list[Work]:
    from dctload import ChannelSelection, ops

    d = ops.unpack(packed, device=device, checked=True)
    selection, geometry = ChannelSelection.parse(channels), _geometry(d)
    resampled = packed.nbytes + len(d) * len(selection) * (SIDE // 8) ** 2 * (2 if device == "cuda" else 4)
    if device == "cuda":
        return _device_work(torch, d, selection, geometry, resampled, sweep=sweep)

    def unpack(backend: str, turn: int) -> Any:
        return ops.DCTBatch(d.packed, d.facts, backend=backend).coefficients

    def resample(backend: str, turn: int) -> Any:
        return ops.resample(ops.DCTBatch(d.packed, d.facts, backend=backend), geometry, selection, backend=backend)

    source = torch.zeros(d.facts.num_values, dtype=torch.int16)
    copy = torch.empty_like(source)
    made = [Work("copy", 2 * source.nbytes, lambda turn: copy.copy_(source))]
    for backend in ("native", "torch"):
        made.append(Work(f"unpack int16, {backend}", packed.nbytes + source.nbytes, partial(unpack, backend)))
    for backend in ("native", "torch"):
        note = f"from packed to float32 {SIDE}; bytes of both ends alone"
        made.append(Work(f"resample, {backend}", resampled, partial(resample, backend), note))
    return made


def _device_work(torch: Any, d: Any, selection: Any, geometry: Any, resampled: int, *, sweep: bool) -> list[Work]:
    """On CUDA. Each turn has buffers of its own, together larger than any cache, so that bytes come from memory."""
    import numpy as np

    from dctload import ops
    from dctload.ops import _triton_resample, _triton_unpack

    facts, values = d.facts, d.facts.num_values
    turns = max(2, -(-(1 << 29) // (d.packed.nbytes + 2 * values)))
    packed = [d.packed.clone() for _ in range(turns)]
    made = []
    whole = torch.empty(QUEUE, dtype=torch.uint8, device="cuda"), torch.empty(QUEUE, dtype=torch.uint8, device="cuda")
    made.append(Work("copy", 2 * QUEUE, lambda turn: whole[0].copy_(whole[1]), "1 GiB, device to device"))
    size = (d.packed.nbytes + 2 * values) // 2
    ends = [[torch.empty(size, dtype=torch.uint8, device="cuda") for _ in range(turns)] for _ in range(2)]
    made.append(Work("copy of as many bytes", 2 * size, lambda turn: ends[0][turn % turns].copy_(ends[1][turn % turns])))

    def unpack(outs: Sequence[Any], launch: Any, turn: int) -> None:
        _triton_unpack.unpack_into(packed[turn % turns], facts, outs[turn % turns], launch)

    for kind in (torch.bfloat16, torch.int16, torch.float32):
        outs = [torch.empty(values, dtype=kind, device="cuda") for _ in range(turns)]
        name = str(kind).removeprefix("torch.")
        nbytes = d.packed.nbytes + outs[0].nbytes
        made.append(Work(f"unpack {name}, triton", nbytes, partial(unpack, outs, None)))
        if sweep and kind == torch.bfloat16:
            for chunk, warps in SWEPT:
                launch = _triton_unpack.Launch(chunk, warps)
                made.append(Work(f"unpack {name}, {chunk} channels, {warps} warps", nbytes, partial(unpack, outs, launch)))

    def by_torch(turn: int) -> Any:
        return ops.DCTBatch(packed[turn % turns], facts, backend="torch").coefficients

    made.append(Work("unpack int16, torch", d.packed.nbytes + 2 * values, by_torch, by_events=False))
    shape = (len(d), len(selection), *geometry.grid)
    out = torch.empty(shape, dtype=torch.bfloat16, device="cuda")
    scale, bias = torch.ones(shape[:2], device="cuda"), torch.zeros(shape[:2], device="cuda")

    def resample(turn: int) -> None:
        batch = ops.DCTBatch(packed[turn % turns], facts, backend="triton")
        _triton_resample.resample_into(batch, geometry, selection, np.arange(len(d)), out, scale=scale, bias=bias)

    def resample_by_torch(turn: int) -> Any:
        return ops.resample(ops.DCTBatch(packed[turn % turns], facts, backend="triton"), geometry, selection, backend="torch")

    note = f"from packed to {SIDE}, operators included; bytes of both ends alone"
    made.append(Work("resample bfloat16, triton", resampled, resample, note, by_events=False))
    made.append(Work("resample float32, torch", resampled + out.nbytes, resample_by_torch, note, by_events=False))
    return made


def _geometry(d: Any) -> Any:
    """All of each image's region to 448 x 448."""
    import numpy as np

    from dctload.ops import Geometry

    top, left, height, width = d.images.region.T.astype(np.float64)
    box = np.stack([np.stack([top, top + height], 1), np.stack([left, left + width], 1)], 1)
    return Geometry(box, box.copy(), np.zeros(len(d), np.bool_), (SIDE, SIDE))


def _measure(torch: Any, work: Sequence[Work], device: str) -> dict[str, list[float]]:
    """Seconds of each call, interleaved, the first two rounds left out: they compile and warm up."""
    times: dict[str, list[float]] = {item.name: [] for item in work}
    queue = [torch.empty(QUEUE, dtype=torch.uint8, device=device) for _ in range(2)] if device == "cuda" else []
    with _harness.progress("measuring", (ROUNDS[device] + 2) * len(work)) as step:
        for turn in range(ROUNDS[device] + 2):
            for item in _harness.rotated(work, turn):
                seconds = _seconds(torch, item, turn, device, queue)
                if turn >= 2:
                    times[item.name].append(seconds)
                step(1, item.name)
    return times


def _seconds(torch: Any, item: Work, turn: int, device: str, queue: Sequence[Any]) -> float:
    if device == "cpu":
        begin = time.perf_counter()
        item.call(turn)
        return time.perf_counter() - begin
    torch.cuda.synchronize()
    if not item.by_events:
        begin = time.perf_counter()
        item.call(turn)
        torch.cuda.synchronize()
        return time.perf_counter() - begin
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(4):  # some 2 ms: the launch below is queued before the device comes to it
        queue[0].copy_(queue[1])
    start.record()
    item.call(turn)
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _row(item: Work, mine: Sequence[float], times: dict[str, list[float]], device: str, count: int, channels: str) -> Row:
    import torch

    spread = Spread.of(seconds * 1e3 for seconds in mine)
    rate = item.nbytes / spread.median / 1e6
    extra: dict[str, Any] = {
        "channels": channels,
        "bytes": item.nbytes,
        "gigabytes_per_second": round(rate, 2),
        "images_per_second": round(count / spread.median * 1e3, 1) if not item.name.startswith("copy") else None,
        "share_of_copy": round(rate / _copy_rate(times), 3) if device == "cuda" else None,
        "clock": "device" if device == "cuda" and item.by_events else "host",
    }
    threads = torch.get_num_threads() if device == "cpu" else 1
    name = f"{item.name}, {channels}, {device}"
    return Row(name, "ms", *spread.rounded(4), threads, item.note, extra)


def _copy_rate(times: dict[str, list[float]]) -> float:
    """GB/s read and written by the large copy of the same run."""
    return 2 * QUEUE / statistics.median(times["copy"]) / 1e9


def _verdict(rows: Sequence[Row], device: str, count: int, crop: str) -> str:
    """What became of the one promise."""
    promise = f"unpack of 256 whole images to bfloat16 at {TARGET:.0%} of the copy's bandwidth"
    if device != "cuda":
        return f"{promise}: not run, no CUDA device"
    if count != BATCH["cuda"] or crop != "none":
        return f"{promise}: not run, this is a batch of {count}, crop {crop}"
    found = {row.extra["channels"]: row.extra["share_of_copy"] for row in rows if row.name.startswith("unpack bfloat16, triton")}
    said = ", ".join(f"{channels} {share:.0%} {'met' if share >= TARGET else 'missed'}" for channels, share in found.items())
    return f"{promise}: {said}"


def _print_report(
    rows: Sequence[Row], files: _data.FileSet, skipped: Sequence[str], device: str, count: int, verdict: str
) -> None:
    out = _harness.console()
    out.print(f"[bold]Data[/bold]  {files.describe()}; batch of {count} on {device}\n")
    _harness.left_out(out, skipped)
    columns = ("work", "ms", "iqr", "MB read + written", "GB/s", "of the copy", "images/s", "!clock")
    made = _harness.table("From packed bytes to tensors", columns)
    for row in rows:
        rate, share, images = (row.extra[key] for key in ("gigabytes_per_second", "share_of_copy", "images_per_second"))
        shown = ("" if share is None else f"{share:.0%}", "" if images is None else f"{images:,.0f}", row.extra["clock"])
        made.add_row(row.name, f"{row.median:.3f}", f"{row.iqr:.3f}", f"{row.extra['bytes'] / 1e6:,.1f}", f"{rate:,.1f}", *shown)
    out.print(made)
    out.print(verdict, soft_wrap=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    description = "Unpacking and resampling of packed batches on a device, beside a copy of as many bytes."
    parser = _harness.parser(MODULE, description, EXAMPLES)
    add = parser.add_argument
    add("--channels", metavar="NAME", nargs="+", default=["24s"], help="presets or selections (default: 24s)")
    add("--crop", choices=tuple(_data.CROPS), default="none", help="what is taken of each image (default: %(default)s)")
    add("--batch", type=_harness.count, metavar="N", help="images a batch (default: 256 on CUDA, 32 on the CPU)")
    add("--device", choices=("cuda", "cpu"), help="default: CUDA where there is a device")
    add("--sweep", action="store_true", help="on CUDA: other sizes of the unpacking kernel's programs too")
    return _harness.parsed(parser, arguments)


if __name__ == "__main__":
    main()
