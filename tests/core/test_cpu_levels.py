"""Every CPU level gives the same bytes; DCTLOAD_FORCE_ISA chooses one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import dctload
from support import jpeg_builder as jb

DIGEST = """
import hashlib, sys
import dctload
files = []
while head := sys.stdin.buffer.read(4):
    files.append(sys.stdin.buffer.read(int.from_bytes(head, "little")))
print(dctload.cpu_level())
for channels in ("all", "24s", "6s", "y:0;cb:0;cr:0", "y:63,1,8;cb:;cr:5"):
    batch = dctload.extract(files, channels=channels, truncated="keep", num_threads=1)
    digest = hashlib.sha256(bytes(batch.buffer))
    for data in files:
        got = dctload.read_coefficients(data, channels=channels, truncated="keep")
        digest.update(b"".join(p.tobytes() for p in got.planes) + got.status.encode() + got.valid_mcus.to_bytes(8, "little"))
    print(digest.hexdigest())
"""


def files() -> list[bytes]:
    """Streams of every kind: odd layouts, long codes, restarts, progressive, cut and damaged."""
    out: list[bytes] = []
    for n, layout in enumerate(jb.LAYOUTS):
        for style in ("natural", "dense", "sparse", "extreme"):
            content = jb.content(75 + n, 53, layout, style, seed=n)
            tables = "deep" if n % 2 else "optimal"
            stream = jb.encode(content, process="extended", tables=tables, restart_interval=n % 4)
            last = stream.count("ECS") // 2
            out += [stream.to_bytes(), stream.to_bytes()[: stream.offset("ECS", last) + len(stream.get("ECS", last)) // 2]]
            if style != "extreme":
                scans = jb.random_progression(content, n)
                out.append(jb.encode(content, scans, process="progressive", restart_interval=5 * (n % 2)).to_bytes())
    lost = jb.encode(jb.content(99, 80, "4:2:0", seed=4), restart_interval=4).drop("RST", 2).to_bytes()
    return [*out, lost]


def ask(level: str | None) -> list[str]:
    """The level that ran, then digests of all that it read and packed."""
    environment = {k: v for k, v in os.environ.items() if k != "DCTLOAD_FORCE_ISA"}
    if level is not None:
        environment["DCTLOAD_FORCE_ISA"] = level
    request = b"".join(len(data).to_bytes(4, "little") + data for data in files())
    ran = subprocess.run(
        [sys.executable, "-c", DIGEST], input=request, capture_output=True, timeout=120, check=True, env=environment
    )
    return ran.stdout.decode().split()


def test_portable_gives_the_bytes_of_the_best_level() -> None:
    portable, best = ask("portable"), ask(None)
    assert portable[0] == "portable"
    assert portable[1:] == best[1:] and len(best) == 6


def test_avx2_gives_the_bytes_of_the_portable_level() -> None:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("AVX2 is a level of x86-64 alone")
    with Path("/proc/cpuinfo").open() as facts:
        flags = facts.read()
    if " avx2" not in flags or " bmi2" not in flags:
        pytest.skip("this CPU has no AVX2 and BMI2")
    avx2 = ask("avx2")
    assert avx2[0] == "avx2" and avx2[1:] == ask("portable")[1:]


def test_an_unknown_level_is_refused_by_name() -> None:
    environment = {**os.environ, "DCTLOAD_FORCE_ISA": "abacus"}
    code = "import dctload; dctload.extract([b''], on_error='mark')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False, env=environment)
    assert ran.returncode != 0 and b"abacus" in ran.stderr


def test_the_level_has_a_name() -> None:
    assert dctload.cpu_level() in ("portable", "avx2")
