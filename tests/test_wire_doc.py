"""The example of docs/wire-format.md is what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dctload

PAGE = Path(__file__).resolve().parent.parent / "docs" / "wire-format.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside these tests")


def example() -> dctload.PackedBatch:
    """Two blocks of a gray image, two channels."""
    table = np.full(64, 16, np.uint16)
    header = dctload.Header(16, 8, 8, 1, "baseline", "gray", 0, 2, (dctload.Component(1, 1, 1, 1, 2, table),))
    planes = np.zeros((64, 1, 2), np.int16)
    planes[0, 0] = (20, 26)
    planes[1, 0] = (-3, 0)
    return dctload.PackedBatch.join([dctload.pack([planes], [table], header)]).select("y:0,1")


def test_the_worked_example_is_what_the_code_writes() -> None:
    written = bytes(example().buffer)
    lines = re.findall(r"^ *(\d+)  ((?:[0-9a-f]{2} ){15}[0-9a-f]{2})", PAGE.read_text(), re.MULTILINE)
    assert len(lines) > 15
    for at, text in lines:
        assert written[int(at) : int(at) + 16] == bytes.fromhex(text), at
    assert len(written) == int(lines[-1][0]) + 16
    assert written[224:352] == bytes.fromhex("1000") * 64


def test_the_worked_example_reads_back() -> None:
    got = dctload.unpack_reference(example())[0]
    assert got is not None
    assert got.planes[0].tolist() == [[[20, 26]], [[-3, 0]]]
