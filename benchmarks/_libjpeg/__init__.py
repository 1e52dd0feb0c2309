"""libjpeg-turbo's `jpeg_read_coefficients` through a small C harness: the yardstick, and an independent source of coefficients.

The harness is compiled once into `build/benchmarks/` where a C compiler and libjpeg's headers are found. It then opens the
system's library, or the one that Pillow's wheel carries (libjpeg-turbo 3, same ABI): one library a process.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("harness.c")
CACHE = Path(__file__).resolve().parents[2] / "build" / "benchmarks"
SYSTEM = "system"
PILLOW = "pillow"
# One gray 8 x 8 file: does the library that was opened accept the structures that the harness was compiled with?
PROBE = bytes.fromhex(
    "ffd8ffdb004300" + "01" * 64 + "ffc0000b080008000801011100ffc4001400010000000000000000000000000000000000"
    "ffc4001410010000000000000000000000000000000000ffda0008010100003f003fffd9"
)


class AbsentError(Exception):
    """The harness or the library is not there; the text says why and what helps."""


@dataclass(frozen=True)
class Library:
    """One opened libjpeg-turbo."""

    version: str
    origin: str  # "system" or "Pillow's wheel"
    harness: Any

    @property
    def name(self) -> str:
        return f"libjpeg-turbo {self.version} ({self.origin})"

    def coefficients(self, data: bytes) -> int:
        """Read all coefficients of a file in memory and drop them; the number of warnings, -1 after an error."""
        return int(self.harness.coefficients(data, len(data)))

    def dump(self, data: bytes) -> list[Any]:
        """int16 arrays `[block_rows, block_cols, 64]`, one a component, without the padding to whole MCUs."""
        import numpy as np

        shape = np.zeros(8, np.int32)
        capacity = 1 << 20
        while True:
            values = np.empty(capacity, np.int16)
            count = self.harness.dump(data, len(data), values.ctypes.data, capacity, shape.ctypes.data)
            if count != -2:
                break
            capacity *= 4
        if count < 0:
            raise ValueError("libjpeg reads no coefficients from this file")
        planes, start = [], 0
        for rows, columns in shape[: 2 * count].reshape(-1, 2).tolist():
            size = rows * columns * 64
            planes.append(values[start : start + size].reshape(rows, columns, 64).copy())
            start += size
        return planes

    def progressive(self, data: bytes) -> bytes | None:
        """The same coefficients as a progressive file; None where libjpeg cannot read or write it."""
        out = ctypes.create_string_buffer(2 * len(data) + 65536)
        written = self.harness.progressive(data, len(data), out, len(out))
        return out.raw[:written] if written else None


@lru_cache(maxsize=2)
def library(origin: str = SYSTEM) -> Library:
    """The system's libjpeg-turbo or the one of Pillow's wheel.

    Raises:
        AbsentError: no compiler, no headers, no such library, or one of another ABI."""
    harness = _load(_built())
    header_version = harness.harness_header_version().decode()
    abi = int(harness.harness_abi()) // 10 if harness.harness_abi() >= 70 else 62
    if origin == SYSTEM:
        if header_version == "not libjpeg-turbo":
            raise AbsentError("the system's libjpeg headers are not libjpeg-turbo's")
        version, where, path = header_version, "system", f"libjpeg.so.{abi}"
    else:
        version, where, path = *_pillow_version(), str(_pillow_library(abi))
    reason = ctypes.create_string_buffer(512)
    if harness.harness_open(path.encode(), reason, len(reason)) != 0:
        raise AbsentError(f"cannot be opened: {_plain(reason.value.decode(errors='replace'))}")
    opened = Library(version, where, harness)
    if opened.coefficients(PROBE) < 0:
        raise AbsentError(f"its ABI differs from the headers' (compiled with {header_version})")
    return opened


def _pillow_version() -> tuple[str, str]:
    from PIL import features

    version = features.version("libjpeg_turbo")
    if not version:
        raise AbsentError("this Pillow was built without libjpeg-turbo")
    return version, "Pillow's wheel"


def _pillow_library(abi: int) -> Path:
    """The shared library beside the installed wheel; a Pillow that was built from source has none."""
    import PIL

    folder = Path(PIL.__file__).resolve().parent.parent / "pillow.libs"
    found = sorted(folder.glob(f"libjpeg-*.so.{abi}*"))
    if not found:
        raise AbsentError(f"this Pillow brings no libjpeg of ABI {abi} with it")
    return found[0]


@lru_cache(maxsize=1)
def _built() -> Path:
    """The compiled harness, from the cache where its source has not changed."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise AbsentError("no C compiler found (apt-get install gcc)")
    command = [*compiler.split(), "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", str(SOURCE)]
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(command[:-1]).encode()).hexdigest()[:12]
    target = CACHE / f"libjpeg-harness-{digest}.so"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # so that two runs at once never load half a file
        made = Path(folder) / target.name
        errors = _compile([*command, "-o", str(made), "-ldl"])
        if errors:
            if "jpeglib.h" in errors:
                raise AbsentError(
                    "libjpeg's headers are not installed (apt-get install libjpeg62-turbo-dev or libjpeg-turbo8-dev)"
                )
            raise AbsentError(f"the harness does not compile: {_plain(errors.splitlines()[0])}")
        made.replace(target)
    return target


def _compile(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr or "compiler failed" if done.returncode else ""


def _load(path: Path) -> Any:
    """The harness by ctypes; its calls let other threads run."""
    harness = ctypes.CDLL(str(path))
    size, text, pointer = ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p
    harness.harness_header_version.restype = text
    harness.harness_open.argtypes = (text, pointer, size)
    harness.coefficients.argtypes = (text, size)
    harness.dump.argtypes = (text, size, pointer, size, pointer)
    harness.progressive.argtypes = (text, size, pointer, size)
    harness.progressive.restype = size
    return harness


def _plain(text: str) -> str:
    """A message without folder names: only the last part of each path stays."""
    return " ".join(word.rsplit("/", 1)[-1] for word in text.split())
