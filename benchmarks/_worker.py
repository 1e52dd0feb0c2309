"""One variant in one process of its own: its CPU level, its allocator's state and its peak memory belong to nobody else.

The process (`python -m benchmarks._worker`) reads pickled requests from stdin and answers on stdout; `Worker` is the parent's
end of it. All workers of a run live side by side, so that their turns can be interleaved.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks import _machine

# The same for every variant. Without the first two, libjpeg-turbo and all who allocate an image at a time pay page faults
# for memory that they have just given back; 32 MiB is the most that glibc accepts.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


class WorkerError(RuntimeError):
    """The process died or raised; the text is its last line."""


class Worker:
    """The parent's end: `start` a request, `finish` it for the answer, or `ask` for both.

    `module` is what runs in the process: one that ends in `serve(session)`; `python` is its interpreter, by default this one:
    rivals that want other versions of common packages live in an environment of their own."""

    def __init__(
        self, environment: Mapping[str, str] | None = None, module: str = "benchmarks._worker", python: str = sys.executable
    ) -> None:
        merged = {**os.environ, **ENVIRONMENT, **(environment or {})}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [python, "-m", module],
            cwd=_machine.REPOSITORY,
            env=merged,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def start(self, verb: str, *arguments: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump((verb, arguments), self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None

    def finish(self) -> Any:
        assert self._process.stdout is not None
        try:
            status, answer = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise WorkerError(self._last_words()) from None
        if status != "ok":
            raise WorkerError(str(answer))
        return answer

    def ask(self, verb: str, *arguments: Any) -> Any:
        self.start(verb, *arguments)
        return self.finish()

    def kill(self) -> None:
        """End the process whatever it does: who waits for its answer gets a `WorkerError`."""
        self._process.kill()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"process ended with status {self._process.returncode}"


class _Session:
    """The child's state: one call, its file sets, and memory before its first use."""

    def __init__(self) -> None:
        self.call: Any = None
        self.contest: Any = None
        self.sources: dict[str, list[bytes]] = {}
        self.items: dict[str, list[Any]] = {}
        self.baseline = 0

    def open(self, maker: str, options: tuple[Any, ...]) -> dict[str, Any]:
        """Make the call; answers with its label and version note."""
        from benchmarks import _calls, _rivals

        self.call = {**_calls.MAKERS, **_rivals.MAKERS}[maker](*options)
        return {"label": self.call.label, "note": self.call.note}

    def files(self, name: str, sources: list[bytes]) -> None:
        self.sources[name] = sources
        self.items[name] = self.call.prepare(sources)
        self.baseline = _resident_bytes()
        _reset_peak()

    def warm(self, name: str) -> dict[int, str]:
        """Each file once; answers with the files that this call cannot read."""
        failed = {}
        for index, item in enumerate(self.items[name]):
            try:
                self.call.one([item] if self.call.many > 1 else item)
            except Exception as error:  # whatever a library raises for a file is a fact about it
                failed[index] = f"{type(error).__name__}: {error}"[:200]
        return failed

    def turn(self, name: str, indices: Sequence[int]) -> list[int]:
        """Each file once, one call after the other: CPU nanoseconds of the whole process, call by call."""
        items, one, many, clock = self.items[name], self.call.one, self.call.many, time.process_time_ns
        picked = [items[index] for index in indices]
        groups = picked if many == 1 else [picked[start : start + many] for start in range(0, len(picked), many)]
        gc.collect()
        gc.disable()
        times = []
        for group in groups:
            begin = clock()
            one(group)
            times.append(clock() - begin)
        gc.enable()
        return times

    def batch(self, name: str, indices: Sequence[int]) -> int:
        """All files through the call's own batches and threads, else one after the other: wall nanoseconds."""
        if self.call.batch is None:
            begin = time.perf_counter_ns()
            self.turn(name, indices)
            return time.perf_counter_ns() - begin
        picked = [self.sources[name][index] for index in indices]
        begin = time.perf_counter_ns()
        self.call.batch(picked)
        return time.perf_counter_ns() - begin

    def peak(self) -> int | None:
        """Bytes of resident memory at the highest, above that before the first call; None where this is not told."""
        highest = _peak_bytes()
        return None if highest is None else max(0, highest - self.baseline)

    def core_open(self, origin: str) -> dict[str, str]:
        """The core alone and a libjpeg-turbo, for `core_files` and `core_turn`; answers with their names."""
        from benchmarks import _core

        self.contest = _core.Contest(origin)
        return {"library": self.contest.library.name, "level": self.contest.level}

    def core_files(self, name: str, sources: list[bytes]) -> None:
        self.contest.files(name, sources)

    def core_turn(self, key: str, name: str) -> list[int]:
        """Each file once, one call after the other, in C: CPU nanoseconds of the thread, file by file."""
        times: list[int] = self.contest.turn(key, name)
        return times

    def large(self, path: str) -> dict[str, Any]:
        """One large file, once, in a fresh process: seconds, bytes of output, and peak memory beyond file and output."""
        source = Path(path).read_bytes()
        self.baseline = _resident_bytes()
        _reset_peak()
        begin = time.perf_counter_ns()
        output = self.call.one(source)
        seconds = (time.perf_counter_ns() - begin) / 1e9
        nbytes = int(getattr(output, "nbytes", 0))
        peak = self.peak()
        return {"seconds": seconds, "output": nbytes, "beyond": None if peak is None else max(0, peak - nbytes)}


def _status_kilobytes(key: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _resident_bytes() -> int:
    return _status_kilobytes("VmRSS:") or 0


def _peak_bytes() -> int | None:
    return _status_kilobytes("VmHWM:")


def _reset_peak() -> None:
    """Linux forgets the highest resident size when 5 is written here; elsewhere the peak is since the process began."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def serve(session: object) -> None:
    """Answer requests by the session's methods until stdin ends; meant for a module run as a process."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # libraries that print must not print into the answers
        _serve(session, sys.stdin.buffer, answers)


def _serve(session: object, requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            verb, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = ("ok", getattr(session, verb)(*arguments))
        except Exception as error:
            message = str(error) or type(error).__name__
            if isinstance(error, ModuleNotFoundError):
                message = f"not installed ({message})"
            answer = ("failed", message)
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    serve(_Session())
