"""libjpeg as an independent reader: a small C program, compiled on first use, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("libjpeg_reader.c")
TIME_LIMIT = 60.0


@dataclass(frozen=True)
class Reading:
    """What libjpeg made of a file: verdict "ok", "warning" or "error", and its planes unless "error"."""

    verdict: str
    warnings: int = 0
    message: str = ""
    width: int = 0
    height: int = 0
    progressive: bool = False
    factors: list[tuple[int, int]] = field(default_factory=list)
    planes: list[np.ndarray] = field(default_factory=list)  # int16 [64, rows, cols]
    tables: list[np.ndarray] = field(default_factory=list)  # uint16 [64]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="libjpeg-reader-")


@cache
def reader() -> Path | None:
    """The compiled reader, or None where there is no compiler or no libjpeg to link."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    target = Path(_folder().name) / "libjpeg_reader"
    command = [compiler, "-O2", str(SOURCE), "-o", str(target), "-ljpeg"]
    built = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT, check=False)
    return target if built.returncode == 0 else None


WHY_ABSENT = "libjpeg's headers or a C compiler are not here"


def read(data: bytes) -> Reading:
    """One file through jpeg_read_coefficients; RuntimeError where `reader()` is None."""
    program = reader()
    if program is None:
        raise RuntimeError(WHY_ABSENT)
    request = len(data).to_bytes(4, "little") + data
    answer = subprocess.run([str(program)], input=request, capture_output=True, timeout=TIME_LIMIT, check=False).stdout
    head, _, rest = answer.partition(b"\n")
    verdict, warnings, width, height, components, progressive, message = head.decode("latin-1").split(" ", 6)
    reading = Reading(verdict, int(warnings), message, int(width), int(height), progressive == "1")
    for _ in range(int(components)):
        line, _, rest = rest.partition(b"\n")
        h, v, rows, cols = map(int, line.split())
        reading.factors.append((h, v))
        reading.tables.append(np.frombuffer(rest, "<u2", 64).copy())
        values = np.frombuffer(rest, "<i2", 64 * rows * cols, 128).reshape(rows, cols, 64)
        reading.planes.append(np.ascontiguousarray(values.transpose(2, 0, 1)))
        rest = rest[128 * (1 + rows * cols) :]
    return reading
