"""The real files that stand beside the checkout in `shared/`, and what libjpeg-turbo made of each."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(os.environ.get("DCTLOAD_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DATA = SHARED / "data"
EXPECTED = SHARED / "checks" / "expected" / "coefficients.tsv"

needs_real_files = pytest.mark.skipif(not EXPECTED.exists(), reason="the real files (shared/) are not beside this checkout")


@dataclass(frozen=True)
class Expected:
    """One line of coefficients.tsv: verdict "ok", "warn" or "error", and a digest by component."""

    name: str
    verdict: str
    message: str
    process: str = ""
    width: int = 0
    height: int = 0
    components: tuple[tuple[str, str, str], ...] = ()  # "HxV", "rows x cols", digest


@cache
def expected() -> dict[str, Expected]:
    """File name below shared/data -> what libjpeg-turbo made of it; empty where shared/ is absent."""
    rows: dict[str, Expected] = {}
    for line in EXPECTED.read_text().splitlines() if EXPECTED.exists() else ():
        name, verdict, message, *rest = line.split("\t")
        if verdict == "error":
            rows[name] = Expected(name, verdict, message)
            continue
        width, height = map(int, rest[0].split("x"))
        parts = tuple((h, grid, digest) for h, grid, digest in (text.split(":") for text in rest[2:]))
        rows[name] = Expected(name, verdict, message, rest[1], width, height, parts)
    return rows


def names(folder: str, verdict: str | None = None, *, below: int | None = None) -> list[str]:
    """Files of one folder with that verdict, of fewer than `below` bytes."""
    found = [n for n, row in sorted(expected().items()) if n.startswith(folder + "/") and verdict in (None, row.verdict)]
    return [n for n in found if below is None or (DATA / n).stat().st_size < below]


def digest(plane: np.ndarray) -> str:
    """The digest of coefficients.tsv: blocks in raster order, each 64 int16 in row-major frequency order."""
    return hashlib.sha256(np.ascontiguousarray(plane.transpose(1, 2, 0)).astype("<i2").tobytes()).hexdigest()[:32]
