"""The same job on a Ray cluster: a task a shard. Scheduling, retries of lost workers and their logs are Ray's."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dctload.errors import install_line
from dctload.shards.local_engine import Job, make_shard
from dctload.sources import FolderSource, ListSource, TarSource, open_source

if TYPE_CHECKING:
    from dctload.shards.local_engine import Tally
    from dctload.shards.plan import Plan

_RETRIES = 10  # of a task whose worker or node was lost; then the shard itself is at fault
_SENT = (FolderSource, ListSource, TarSource)  # what they know travels faster than it is found out again


def connected_engine() -> Callable[[Job, Tally], None]:
    """What runs a job on the cluster that this process is connected to, or on a local one that Ray starts.

    Raises:
        ImportError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError(install_line('engine="ray" needs Ray', "ray")) from error

    def run(job: Job, tally: Tally) -> None:
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        _run(ray, job, tally)

    return run


def _run(ray: Any, job: Job, tally: Tally) -> None:
    # A source of another kind may hold what cannot be sent (locks, open files): each task opens it from what the user gave.
    source = ray.put(job.source if isinstance(job.source, _SENT) else job.given)
    plan = ray.put(job.plan)
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_make)
    at_a_time = job.workers or len(job.shards)
    waiting: list[int] = list(reversed(job.shards))
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                running.append(task.remote(source, plan, str(job.folder), waiting.pop(), job.on_error, os.getcwd()))  # noqa: PTH109
            finished, running = ray.wait(running, num_returns=1)
            for reference in finished:
                tally.add(*_result(ray, reference))
    finally:
        for reference in running:
            ray.cancel(reference)


def _result(ray: Any, reference: Any) -> tuple[int, int, int]:
    try:
        counts: tuple[int, int, int] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # what the task itself raised, as a thread here would have
    return counts


def _make(given: Any, plan: Plan, folder: str, number: int, on_error: str, working_folder: str) -> tuple[int, int, int]:
    """The task: one shard, by one thread, in a process of its own."""
    with suppress(OSError):  # relative paths are the driver's; a node without that folder can do with absolute ones
        os.chdir(working_folder)
    return make_shard(open_source(given, unlabelled=True), Path(folder), plan, number, on_error)
