"""The quality estimate names the setting that an encoder was given."""

from __future__ import annotations

import io

import numpy as np
import pytest

import dctload
from dctload.inspection import Quality, estimated_quality

Image = pytest.importorskip("PIL.Image")


def saved(**options: object) -> dctload.Header:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 90)).save(file, "jpeg", **options)
    return dctload.read_header(file.getvalue())


@pytest.mark.parametrize("quality", [1, 10, 25, 50, 75, 90, 95, 99, 100])
def test_the_setting_of_libjpeg_is_found(quality: int) -> None:
    luma, cb, _ = saved(quality=quality).components
    assert estimated_quality(luma.quantization) == Quality(quality, True)
    found = estimated_quality(cb.quantization, is_chroma=True)
    assert found.is_exact
    # Neighbouring settings may have one table: then both make the file's.
    assert (saved(quality=found.value).components[1].quantization == cb.quantization).all()


def test_another_table_is_near_a_setting() -> None:
    table = saved(quality=80).components[0].quantization.astype(np.int64)
    table[40:] += 1
    found = estimated_quality(table)
    assert not found.is_exact and 75 <= found.value <= 80 and str(found).startswith("about ")


@pytest.mark.parametrize("table", [np.ones(63), np.zeros(64)])
def test_no_table_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="64 steps"):
        estimated_quality(table)
