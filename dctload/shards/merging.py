"""One set of the shards that several jobs made: `merge`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dctload._arguments import thread_count
from dctload.shards.finishing import Summary, finalise, plan_of_whole, summary_of_whole, tidy
from dctload.shards.layout import read_manifest, shard_name
from dctload.shards.plan import (
    Plan,
    check_folder,
    check_same,
    file_in_the_way,
    local_folder,
    read_plan,
    settle,
    whole_file,
)
from dctload.shards.writer import is_whole, require_pyarrow, write_error
from dctload.sources.urls import is_url

_AGAIN = "merge again"


def merge(dst: str | os.PathLike[str], parts: Iterable[str | os.PathLike[str]] = (), *, workers: int = 1) -> Summary:
    """Makes a set whole after `extract(..., part="i/n")` has made all its parts.

    Args:
        dst: Folder of the set. Where all jobs wrote to it, nothing else is needed.
        parts: Folders of other jobs' parts, made with the same arguments. Their shards are linked into `dst`, or copied where
            it lies on another disk; the folders stay as they are.
        workers: Threads that read the shards for the index and the checksums; 0: one a core.

    Returns:
        What the whole set holds.

    Raises:
        FileNotFoundError: A folder is absent.
        NotADirectoryError: It is a file.
        FileExistsError: `dst` is a file, or holds something that is no set.
        ValueError: A folder is a URL, holds no part of a set, or of another set; or shards are missing: the message says which.
        OSError: `dst` cannot be written to.

    Example:
        >>> merge("train.dct").images  # doctest: +SKIP
        1281167
        >>> merge("train.dct", ["job1.dct", "job2.dct", "job3.dct"])  # doctest: +SKIP
    """
    began = time.perf_counter()
    require_pyarrow()
    threads = thread_count(workers)
    folder, others = local_folder(dst), [_part(part) for part in parts]
    plans = [_plan_of(other) for other in others or [folder]]
    check_folder(folder, goes_on=True)
    whole = read_manifest(folder)
    if whole is not None:
        for other, plan in zip(others or [folder], plans, strict=True):
            check_same(plan, plan_of_whole(whole), str(other), exactly=True)
        tidy(folder)  # the run before may have been killed in between
        return summary_of_whole(whole)
    plan = plans[0]
    if others:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            plan = settle(folder, plan)
        except OSError as error:
            raise write_error(error, folder, remedy=_AGAIN) from error
    for other, theirs in zip(others or [folder], plans, strict=True):
        check_same(theirs, plan, str(other), exactly=True)
    for other in others:
        _take_over(other, folder, plan)
    return replace(finalise(folder, plan, threads, remedy=_AGAIN), seconds=time.perf_counter() - began)


def _part(given: str | os.PathLike[str]) -> Path:
    if isinstance(given, str) and is_url(given):
        raise ValueError(f"{given} is a URL; parts are read from local folders: copy it to one first")
    return Path(given)


def _plan_of(folder: Path) -> Plan:
    if not folder.is_dir():
        file = file_in_the_way(folder)
        if file is not None:
            raise NotADirectoryError(f"{file} is a file; give the folder that extract wrote to")
        raise FileNotFoundError(f"{folder} does not exist; give the folder that extract wrote to")
    plan = read_plan(folder)
    if plan is not None:
        return plan
    manifest = read_manifest(folder)
    if manifest is None:
        raise ValueError(f"{folder} holds no part of a shard set; give the folder that extract wrote to")
    return plan_of_whole(manifest)


def _take_over(part: Path, folder: Path, plan: Plan) -> None:
    """Gives the folder the shards of a part that it lacks."""
    for number in range(plan.shards):
        theirs, ours = part / shard_name(number), folder / shard_name(number)
        if ours.exists() or not theirs.exists():
            continue
        if not is_whole(theirs, len(plan.samples_of(number))):
            raise ValueError(f"{theirs} is damaged; make this part again")
        try:
            os.link(theirs, ours)
        except OSError:  # another disk, or a file system without links
            _copy(theirs, ours)


def _copy(theirs: Path, ours: Path) -> None:
    nbytes = theirs.stat().st_size
    try:
        with whole_file(ours) as name:
            shutil.copyfile(theirs, name)
    except OSError as error:
        raise write_error(error, ours, needed=nbytes, remedy=_AGAIN) from error
