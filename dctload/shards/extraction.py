"""From a source of images to a shard set: `extract`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dctload import _core
from dctload._arguments import thread_count
from dctload.channels import ChannelSelection
from dctload.jpeg import Limits, keeps_truncated
from dctload.shards.finishing import (
    Summary,
    finalise,
    plan_of_whole,
    summary_of_part,
    summary_of_whole,
    tidy,
)
from dctload.shards.layout import PLAN, read_manifest, shard_name
from dctload.shards.local_engine import Job, Tally, run_here
from dctload.shards.naming import fingerprint, printable
from dctload.shards.plan import (
    Plan,
    check_folder,
    check_same,
    local_folder,
    measured_places,
    parse_size,
    part_of,
    read_plan,
    remove_temporaries,
    samples_in_a_shard,
    settle,
)
from dctload.shards.reader import images_to_extract
from dctload.shards.recording import Recorder
from dctload.shards.resized import Quantization
from dctload.shards.writer import RESUME, is_whole, require_pyarrow, write_error

if TYPE_CHECKING:
    from dctload.shards.local_engine import Progress
    from dctload.sources import Source


def extract(
    src: Any,
    dst: str | os.PathLike[str],
    channels: str | ChannelSelection = "64s",
    workers: int = 0,
    shard_size: int | str = "256MiB",
    on_error: str = "raise",
    resume: bool = False,
    fallback: str | None = None,
    engine: str = "local",
    *,
    part: str | None = None,
    truncated: str = "error",
    limits: Limits | None = None,
    resize: int | None = None,
    step: int | None = None,
    requantize: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """A shard set of a source: entropy decoding done once, so that training reads batches at the speed of memory.

    The bytes of the set depend on the source, `channels`, `shard_size`, `fallback`, `truncated`, `limits` and what is done to the
    coefficients (`resize`, `step`, `requantize`) alone: not on threads, machines, engines, nor on how often the work was
    interrupted. With `resize`, which computes in float32, the machines must have CPUs of one kind: others may round a few
    coefficients to the neighbouring step. A file appears under its name only when it is whole.

    Args:
        src: Whatever `dctload.sources.open_source` takes: a folder of class folders (or of images alone, targets None), a
            list of `(path or bytes, target)` pairs, WebDataset tars, a dataset, or a `Source`.
        dst: Folder of the set, on a local or shared file system; made where it is absent.
        channels: Kept frequencies. `"all"` is lossless; what is left out here no training step can bring back.
        workers: Threads in all; 0: one a core. With `engine="ray"`: tasks at a time; 0: as many as the cluster has cores.
        shard_size: Bytes of a shard, about: a number, or a text such as `"256MiB"`. More is written at a time, and lost by a
            crash, with larger shards.
        on_error: `"raise"`: the first sample that cannot be decoded raises; whole shards stay, and a run with `resume` goes
            on. `"skip"`: it becomes a row without a record; the summary lists it.
        resume: Go on with a folder that an earlier run with the same arguments left, from its last whole shard.
        fallback: `"transcode"`: images that are no 8-bit Huffman-coded JPEG, and JPEGs in CMYK, go by their pixels
            (`dctload.transcode`) instead of failing.
        engine: `"local"`: threads of this process. `"ray"`: a task a shard on the Ray cluster that this process is connected
            to; `dst`, and paths in `src`, must then be seen by all its nodes.
        part: `"i/n"`: make only the i-th of n parts of the shards, 1 to n, as one job of an array. Jobs may share `dst`, which
            is gone on with if an earlier job left it, or have one each; `merge` makes the set whole.
        truncated: `"error"`, or `"keep"`: of a file that breaks off, what came is stored, with status `"truncated"` or
            `"damaged"`.
        limits: Bounds on what is accepted of a file.
        resize: Store pictures resized to this shorter side (a multiple of 8, such as 512), chroma on luma's grid: the papers' own
            input. The longer side keeps the proportion and is rounded to a multiple of 16. It needs torch.
        step: With `resize`: the quantisation step of what is stored; None: 4.
        requantize: Coarsen the files' own quantisation steps to at least this one. It loses what was there; never the default.
        progress: Called, from the caller's thread, as `progress(images done, images in all, bytes read, bytes written)`. Images
            of shards that an earlier run made count as done, and no bytes are counted for them.

    Returns:
        What was stored and what was not; of the whole set, or of one part.

    Raises:
        JPEGError: A sample failed and `on_error` is `"raise"`; `.source` and `.index` say which.
        FileExistsError: `dst` holds something, and `resume` is off.
        ValueError: An argument is wrong, `src` is a shard set, `dst` is a URL, or was begun with other arguments: the message
            says what differs.
        OSError: `dst` cannot be written to: the disk is full, and the like.
        ImportError: pyarrow is not installed; or Ray, or Pillow, where they are needed.

    Example:
        >>> summary = extract("imagenet/train", "train.dct", channels="all", on_error="skip")  # doctest: +SKIP
        >>> print(summary.images, summary.failed)  # doctest: +SKIP
    """
    began = time.perf_counter()
    require_pyarrow()
    _check(on_error, fallback, engine, part)
    threads = thread_count(workers)
    run = _engine(engine)
    folder = local_folder(dst)
    check_folder(folder, goes_on=resume or part is not None)
    source = images_to_extract(src)
    wanted = _wanted(src, source, ChannelSelection.parse(channels), parse_size(shard_size), fallback, truncated, limits)
    wanted = replace(wanted, quantization=str(Quantization.asked(resize, step, requantize)))
    done = _already_whole(folder, wanted)
    if done is not None:
        return done
    there = read_plan(folder)
    if there is not None:
        check_same(there, wanted, str(folder))
    else:
        wanted = _measured(source, wanted, threads)
        _make(folder)
        try:
            there = settle(folder, wanted)
        except OSError as error:
            raise write_error(error, folder / PLAN, remedy=RESUME) from error
    shards = range(there.shards) if part is None else there.part(part)
    remove_temporaries(folder, None if part is None else shards)
    tally = Tally(sum(len(there.samples_of(k)) for k in shards), progress)
    todo = []
    for number in shards:
        path, rows = folder / shard_name(number), len(there.samples_of(number))
        if path.exists() and is_whole(path, rows):
            tally.add(rows, 0, 0)
        else:
            todo.append(number)
    if todo:
        run(Job(source, src, folder, there, todo, workers, on_error), tally)
    summary = finalise(folder, there, threads, remedy=RESUME) if part is None else summary_of_part(folder, there, shards, threads)
    return replace(summary, seconds=time.perf_counter() - began)


def _engine(name: str) -> Callable[[Job, Tally], None]:
    if name == "local":
        return run_here
    from dctload.shards.ray_engine import connected_engine

    return connected_engine()


# ------------------------------------------------------------------------------------------------- before the first shard


def _check(on_error: str, fallback: str | None, engine: str, part: str | None) -> None:
    if on_error not in ("raise", "skip"):
        raise ValueError(f'on_error is "raise" or "skip", not {on_error!r}')
    if fallback not in (None, "transcode"):
        raise ValueError(f'fallback is None or "transcode", not {fallback!r}')
    if engine not in ("local", "ray"):
        raise ValueError(f'engine is "local" or "ray", not {engine!r}')
    if part is not None:
        part_of(part)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, folder, remedy=RESUME) from error


def _wanted(
    src: Any,
    source: Source,
    channels: ChannelSelection,
    shard_size: int,
    fallback: str | None,
    truncated: str,
    limits: Limits | None,
) -> Plan:
    """The plan by the arguments, before records were measured."""
    import dctload

    keeps_truncated(truncated)
    if not len(source):
        raise ValueError(f"{source!r} holds no samples")
    text = (
        printable(os.fsdecode(src)) if isinstance(src, (str, os.PathLike)) else f"<{type(src).__name__}: {len(source)} samples>"
    )
    return Plan(
        source=text,
        samples=len(source),
        fingerprint=fingerprint(source),
        classes=None if source.classes is None else [printable(str(name)) for name in source.classes],
        channels=str(channels),
        quantization="source",
        shard_size=shard_size,
        samples_per_shard=1,
        fallback=fallback,
        truncated=truncated,
        limits=list((limits if limits is not None else Limits()).bounds),
        versions={"dctload": dctload.__version__, "wire": f"{_core.WIRE_MAJOR}.{_core.WIRE_MINOR}"},
    )


def _measured(source: Source, plan: Plan, threads: int) -> Plan:
    """The plan with the number of samples a shard, by the records of some."""
    nbytes = Recorder(source, plan, threads).record_bytes(measured_places(plan.samples))
    return replace(plan, samples_per_shard=samples_in_a_shard(plan.shard_size, nbytes))


def _already_whole(folder: Path, wanted: Plan) -> Summary | None:
    """The summary of a set that is there already; None where there is still something to do."""
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    check_same(plan_of_whole(manifest), wanted, str(folder))
    tidy(folder)  # the run before may have been killed in between
    return summary_of_whole(manifest)
