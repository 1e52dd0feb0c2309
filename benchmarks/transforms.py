"""Each transform: how far its coefficients are from those of the same operation on pixels, and what a batch takes.

python -m benchmarks.transforms --help
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks import _arguments, _bytes, _data, _harness, _machine
from benchmarks._harness import Spread

if TYPE_CHECKING:
    from benchmarks._transform_cases import Case, Sample

MODULE = "benchmarks.transforms"
SIZE = 448
CHANNELS = "24s"
BATCH, QUICK_BATCH = 64, 16
ROUNDS = (9, 3)  # the latter with --quick
CHECKED, QUICK_CHECKED = 6, 2  # files that are held against pixels
LEAST_SIDE = 256  # of those
RANGE = 2048.0  # of an 8-bit file's coefficients: -1024..1023
TARGET = 1e-3  # of the range
EXAMPLES = """examples:
  python -m benchmarks.transforms --quick
  python -m benchmarks.transforms --data DIR --save
  python -m benchmarks.transforms --data DIR --only Resize Color
"""


@dataclass
class Found:
    """What was found about one transform: differences in levels, milliseconds a batch by backend and round."""

    case: Case
    errors: tuple[float, float] | None = None  # the largest, the mean
    times: dict[str, list[float]] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    _harness.need_torch()
    import torch

    from benchmarks import _transform_cases

    count = options.batch or (QUICK_BATCH if options.quick else BATCH)
    chosen = [
        case
        for case in _transform_cases.cases(count)
        if not options.only or any(part.lower() in case.name.lower() for part in options.only)
    ]
    if not chosen:
        _harness.fail(f"--only {' '.join(options.only)}: no such transform; `python -m benchmarks.transforms --quick` lists all")
    files, skipped = _bytes.usable(_data.file_set(options.data))
    samples = _checkable(files, QUICK_CHECKED if options.quick else CHECKED)
    backends = ["native", "torch", *(["cuda"] if torch.cuda.is_available() else [])]
    found = [Found(case) for case in chosen]
    with _harness.progress("transforms", len(found) * (options.rounds + 1)) as step:
        for one in found:
            step(0, f"against pixels, {one.case.name}")
            one.errors = _errors(one.case, samples)
            step(1)
        calls = [(one, backend, _timed(one.case, files, count, backend)) for one in found for backend in backends]
        for _ in range(options.rounds):
            for one, backend, call in calls:
                step(0, f"{one.case.name}, {backend}")
                if call is not None:
                    one.times.setdefault(backend, []).append(call())
                step(1 if backend == backends[-1] else 0)

    content = _harness.result(MODULE, arguments, files.as_json(), [row for one in found for row in _rows(one)])
    content |= {"batch": count, "size": SIZE, "channels": CHANNELS, "checked": len(samples), "target": TARGET}
    if options.json != _harness.STDOUT:
        _show(found, backends, count, len(samples))
        _harness.left_out(_harness.console(), skipped)
    _harness.keep(options, content, "transforms")


# ------------------------------------------------------------------------------------------------- against pixels


def _checkable(files: _data.FileSet, count: int) -> list[bytes]:
    """Files in colour whose components are all of one size: a pixel operation needs no word on how chroma was sampled."""
    import dctload

    chosen = []
    for data in files.sources:
        header = dctload.read_header(data)
        fits = header.subsampling == "4:4:4" and header.color_space == "ycbcr" and header.orientation == 1
        if fits and min(header.height, header.width) >= LEAST_SIDE:
            chosen.append(data)
    if not chosen:
        _harness.fail(
            f"no file of {files.name} is 4:4:4, in colour and at least {LEAST_SIDE} pixels a side: nothing to hold against pixels"
        )
    return [chosen[place * len(chosen) // count] for place in range(min(count, len(chosen)))]


def _errors(case: Case, sources: Sequence[bytes]) -> tuple[float, float] | None:
    """The largest and the mean difference of all 192 channels, over the files; None where there is no reference."""
    import torch

    from benchmarks import _pixels
    from dctload import ChannelSelection, extract, ops, read_coefficients
    from dctload.transforms import Compose, Draws

    if case.checked is None or case.reference is None:
        return None
    if case.orientation:
        sources = [_pixels.with_orientation(data, case.orientation) for data in sources]
    read = [read_coefficients(data, channels="all") for data in sources]
    pixels = tuple(_pixels.picture(coefficients) for coefficients in read)
    every = ChannelSelection.parse("all")
    groups = [[index] for index in range(len(read))] if case.alone else [list(range(len(read)))]
    largest, total, values = 0.0, 0.0, 0
    for group in groups:
        compose = Compose(case.checked(_sample(sources, read, pixels, group[0])))
        batch = ops.unpack(extract([sources[index] for index in group], channels="all"))
        plan = compose.plan_batch(batch.headers, _seed(), 0, group)
        x, _ = compose.apply(batch, plan, torch.arange(len(group)), channels=every)
        for place, index in enumerate(group):
            sample = _sample(sources, read, pixels, index, compose, Draws.of(_seed(), 0, [index]))
            want = case.reference(sample)
            want = _pixels.blocks(want) if want.shape[0] == 3 else want
            difference = (x[place].double() - want).abs()
            largest = max(largest, float(difference.max()))
            total, values = total + float(difference.sum()), values + difference.numel()
    return largest, total / values


def _sample(sources: Any, read: Any, pixels: Any, index: int, compose: Any = None, draws: Any = None) -> Sample:
    from benchmarks._transform_cases import Sample

    plan = None if compose is None else compose.plan(read[index].header, _seed(), 0, index, channels="all")
    return Sample(sources[index], read[index], pixels[index], plan, draws, pixels, index)


def _seed() -> int:
    from benchmarks._transform_cases import SEED

    return SEED


# ------------------------------------------------------------------------------------------------------------ time


def _timed(case: Case, files: _data.FileSet, count: int, backend: str) -> Callable[[], float] | None:
    """A call that takes one batch from packed bytes to the model's input and tells milliseconds; None where it makes no sense.

    The batch holds what the loader would send: planned regions and frequencies. `torch` is the portable resampler alone."""
    import torch

    from benchmarks import _pixels
    from dctload import ChannelSelection, Extractor, _core, ops
    from dctload.transforms import Compose

    if backend == "torch" and not case.spatial:
        return None
    selection, compose = ChannelSelection.parse(CHANNELS), Compose(case.timed(SIZE))
    sources = [files.sources[place % len(files)] for place in range(count)]
    if case.orientation:
        sources = [_pixels.with_orientation(data, case.orientation) for data in sources]
    with Extractor().open(sources) as opened:
        plan = compose.plan_batch(opened.headers, _seed(), 0)
        boxes, masks = compose.needs(plan, opened.headers, selection)
        packed = opened.extract(masks, boxes, channels=selection)
    targets, threads = torch.arange(count), _core.Resampler(_machine.usable_cores())
    device = "cuda" if backend == "cuda" else "cpu"
    held = ops.unpack(packed, device, checked=True).packed  # on a GPU the copy is not part of the time

    def call() -> float:
        begin = time.perf_counter()
        batch = ops.unpack(packed if device == "cpu" else held, channels=selection, checked=True)
        if backend == "torch":
            ops.resample(batch, plan.geometry, selection, backend="torch")
        else:
            resampler = threads if device == "cpu" else None
            compose.apply(batch, plan, targets.to(device), channels=selection, resampler=resampler)
        if device == "cuda":
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - begin)

    call()
    return call


# ----------------------------------------------------------------------------------------------------- rows and table


def _rows(one: Found) -> list[_harness.Row]:
    """One row a backend."""
    made = []
    for backend, times in one.times.items():
        spread = Spread.of(times)
        extra: dict[str, Any] = {"key": one.case.name, "backend": backend}
        if one.errors is not None:
            extra |= {"max_error": one.errors[0], "mean_error": one.errors[1], "of_range": one.errors[0] / RANGE}
        threads = 1 if backend == "cuda" else _machine.usable_cores()
        figures = spread.rounded(3)
        made.append(_harness.Row(f"{one.case.name}, {backend}", "ms a batch", *figures, threads, one.case.note, extra))
    return made


def _show(found: Sequence[Found], backends: Sequence[str], count: int, checked: int) -> None:
    out = _harness.console()
    heads = {"native": "CPU native\nms", "torch": "CPU torch\nms", "cuda": "CUDA\nms"}
    columns = ("", "max error\nlevels", "mean error\nlevels", "max error\n/ range", *(heads[backend] for backend in backends))
    cores = _machine.usable_cores()
    title = f"Batches of {count}, {CHANNELS}, {SIZE} pixels a side, {cores} cores; held against pixels on {checked} files"
    caption = "Steps that are no resampling are timed behind RandomResizedCrop. Errors: all 192 channels, float64 pixels."

    def make(left_out: Collection[int]) -> _harness.Table:
        made = _harness.table(title, _harness.without(columns, left_out), caption)
        for one in found:
            errors = ("", "", "")
            if one.errors is not None:
                errors = (f"{one.errors[0]:.4f}", f"{one.errors[1]:.1e}", f"{one.errors[0] / RANGE:.1e}")
            times = [f"{Spread.of(one.times[backend]).median:,.1f}" if backend in one.times else "" for backend in backends]
            over = one.errors is not None and one.errors[0] > TARGET * RANGE
            made.add_row(*_harness.without((one.case.name, *errors, *times), left_out), style="red" if over else None)
        return made

    out.print(_harness.fitted(out, make, spare=(2, 1)))
    worst = max((one.errors[0] / RANGE for one in found if one.errors is not None), default=None)
    if worst is not None:
        verdict = "met" if worst < TARGET else "missed"
        out.print(f"The largest error is {worst:.1e} of the coefficient range ({RANGE:.0f}); target {TARGET:g}: {verdict}")
    notes = [f"{one.case.name}: {one.case.note}" for one in found if one.case.note]
    _harness.bullets(out, "Not held against pixels, or not quite", notes)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _harness.parser(MODULE, "Error of each transform against float64 pixels, and the time a batch takes.", EXAMPLES)
    text = f"images a batch (default: {BATCH}, {QUICK_BATCH} with --quick)"
    parser.add_argument("--batch", metavar="N", type=_harness.count, help=text)
    only = "transforms whose names hold one of these parts"
    quick = f"smaller batches, {QUICK_CHECKED} files against pixels, fewer rounds"
    return _arguments.parsed(parser, arguments, ROUNDS, only=only, quick=quick)


if __name__ == "__main__":
    main()
