"""The C++ core beside libjpeg-turbo, both called and timed from C: what is left when Python is out of the way.

The core's sources and a small harness are compiled once into `build/benchmarks/`, with the flags that the package is built with.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import _libjpeg, _machine
from benchmarks._calls import DC
from benchmarks._libjpeg import CACHE, AbsentError

SOURCE = Path(__file__).with_name("harness.cc")
CORE = Path(__file__).resolve().parents[2] / "csrc" / "core"
AVX2_FLAGS = CORE.parent / "avx2.flags"
FLAGS = ("-std=c++20", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra")
SECONDS = 600  # the most that one file may take to compile

_LIBJPEG, _PLANES, _PACKED, _TILES = range(4)  # the harness's kinds
# Variant -> kind, channels; in the order of a round.
CONTESTANTS = {
    "libjpeg": (_LIBJPEG, "all"),
    "planes all": (_PLANES, "all"),
    "packed all": (_PACKED, "all"),
    "packed 64s": (_PACKED, "64s"),
    "packed 24s": (_PACKED, "24s"),
    "packed DC": (_PACKED, DC),
    "tiles all": (_TILES, "all"),  # decoded as for packing, which is left out
    "tiles 64s": (_TILES, "64s"),
    "tiles 24s": (_TILES, "24s"),
}


class Contest:
    """The contestants in this process, with the files that they read.

    Args:
        origin: Which libjpeg-turbo, as for `_libjpeg.library`.

    Raises:
        AbsentError: no compiler, no sources, or no such library."""

    def __init__(self, origin: str) -> None:
        self.library = _libjpeg.library(origin)
        self._harness = _load(_built())
        self.level = self._harness.contest_level().decode()
        self._opened = self._harness.contest_open()
        self._read = ctypes.cast(self.library.harness.coefficients, ctypes.c_void_p)
        self._files: dict[str, list[bytes]] = {}

    def files(self, name: str, sources: list[bytes]) -> None:
        """Hand over a set, and let every contestant read each file once."""
        self._files[name] = sources
        for key in CONTESTANTS:
            self.turn(key, name)

    def turn(self, key: str, name: str) -> list[int]:
        """All files of a set through one contestant: CPU nanoseconds of the thread, file by file."""
        import dctload

        kind, channels = CONTESTANTS[key]
        sources = self._files[name]
        count = len(sources)
        masks = (ctypes.c_uint64 * 3)(*dctload.ChannelSelection.parse(channels).masks)
        nanoseconds = (ctypes.c_int64 * count)()
        pointers, sizes = (ctypes.c_char_p * count)(*sources), (ctypes.c_size_t * count)(*map(len, sources))
        failed = self._harness.contest_turn(self._opened, kind, masks, self._read, pointers, sizes, count, nanoseconds)
        if failed >= 0:
            raise ValueError(f"{key} cannot read file {failed} of {name}")
        return list(nanoseconds)


def _built() -> Path:
    """The compiled harness, from the cache where neither it nor the core has changed."""
    if not CORE.is_dir():
        raise AbsentError("the core's sources (csrc/core) are not beside the benchmarks")
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        raise AbsentError("no C++ compiler found (apt-get install g++)")
    sources = [*sorted(CORE.glob("*.cc")), SOURCE]
    base = [*compiler.split(), *FLAGS, "-iquote", str(CORE)]
    digest = hashlib.sha256(" ".join(base).encode())
    for path in [*sources, *sorted(CORE.glob("*.h")), AVX2_FLAGS]:
        digest.update(path.name.encode() + path.read_bytes())
    target = CACHE / f"core-harness-{digest.hexdigest()[:12]}.so"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # so that two runs at once never load half a file
        objects = [Path(folder, f"{source.stem}.o") for source in sources]
        pairs = zip(sources, objects, strict=True)
        commands = [[*base, *_level_flags(source), "-c", str(source), "-o", str(made)] for source, made in pairs]
        with ThreadPoolExecutor(_machine.usable_cores()) as pool:
            list(pool.map(_compile, commands))
        linked = Path(folder, target.name)
        _compile([*compiler.split(), "-shared", "-pthread", *map(str, objects), "-o", str(linked)])
        linked.replace(target)
    return target


def _level_flags(source: Path) -> list[str]:
    """As setup.py: the flags of one CPU level for the files that are named after it."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return [f"@{AVX2_FLAGS}"] if is_x86 and source.stem.endswith("_avx2") else []


def _compile(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AbsentError(f"the core's harness does not compile: {type(error).__name__}") from None
    if done.returncode:
        first = (done.stderr.strip().splitlines() or ["compiler failed"])[0]
        raise AbsentError("the core's harness does not compile: " + " ".join(word.rsplit("/", 1)[-1] for word in first.split()))


def _load(path: Path) -> Any:
    harness = ctypes.CDLL(str(path))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    harness.contest_open.restype = pointer
    harness.contest_level.restype = ctypes.c_char_p
    harness.contest_turn.argtypes = (pointer, ctypes.c_int, pointer, pointer, pointer, pointer, size, pointer)
    harness.contest_turn.restype = ctypes.c_int64
    return harness
