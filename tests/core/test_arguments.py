"""Wrong arguments: the message names the argument and says what it should be."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dctload
from support import jpeg_builder as jb

FILE = jb.encode(jb.content(40, 30, "4:2:0", seed=1)).to_bytes()
HEADER = dctload.read_header(FILE)
NONE: Any = None  # where None is wrong; the type checker need not know


@pytest.mark.parametrize("call, kind, words", [
    (lambda none: dctload.extract(none), TypeError, "sources is a list"),
    (lambda none: dctload.extract("a.jpg"), TypeError, "sources is a list of images, not one path"),
    (lambda none: dctload.extract(FILE), TypeError, "sources is a list of images, not the bytes of one"),
    (lambda none: dctload.extract([FILE, none]), TypeError, "sources[1] is a path or the bytes of a file"),
    (lambda none: dctload.read_header(none), TypeError, "source is a path or the bytes of a file, not NoneType"),
    (lambda none: dctload.read_header(io.BytesIO(FILE)), TypeError, "pass what its read() gives"),
    (lambda none: dctload.read_header(np.zeros(9)), TypeError, "source holds items of 8 bytes"),
    (lambda none: dctload.extract([FILE], channels=24), TypeError, "channels are a text"),
    (lambda none: dctload.extract([FILE], channels=["6s", "24s"]), ValueError, "channels has 2 entries for 1 images; give one"),
    (lambda none: dctload.extract([FILE], channels="24x"), ValueError, "did you mean 24"),
    (lambda none: dctload.read_coefficients(FILE, "y:0-80"), ValueError, "channels 'y:0-80': y: frequencies are 0..63"),
    (lambda none: dctload.extract([FILE], regions=5), TypeError, "regions is a box (top, left, height, width)"),
    (lambda none: dctload.read_coefficients(FILE, region=(0, 0, 9)), ValueError, "a region is (top, left, height, width)"),
    (lambda none: dctload.extract([FILE], out=[0]), TypeError, "out is a buffer of bytes"),
    (lambda none: dctload.extract([FILE], out=np.zeros(99, np.float32)), ValueError, "pass a uint8 buffer"),
    (lambda none: dctload.extract([FILE], num_threads="4"), TypeError, "num_threads is a whole number"),
    (lambda none: dctload.extract([FILE], limits=5), TypeError, "limits is a Limits"),
    (lambda none: dctload.Limits(pixels=1e6), TypeError, "Limits(pixels=...) is a whole number"),
    (lambda none: dctload.PackedBatch.from_buffer("x"), TypeError, "buffer is a buffer of bytes"),
    (lambda none: dctload.PackedBatch.join(none), TypeError, "images is a list"),
    (lambda none: dctload.PackedBatch.join(["x"]), TypeError, "images[0] is a buffer of bytes"),
    (lambda none: dctload.unpack_reference(b"x"), TypeError, "PackedBatch.from_buffer"),
    (lambda none: dctload.packed_bound(HEADER), TypeError, "headers is a list"),
    (lambda none: dctload.packed_bound(["a.jpg"]), TypeError, "headers[0] is a Header"),
    (lambda none: dctload.pack([], [], none), TypeError, "header is a Header"),
    (lambda none: dctload.read_coefficients(FILE).dequantized(3), IndexError, "component 3 of an image with 3"),
])  # fmt: skip
def test_a_wrong_argument_is_named(call: Callable[[Any], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        call(NONE)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_not_to_be_converted() -> None:
    with pytest.raises(dctload.UnsupportedJPEG, match="it is empty; get it again"):
        dctload.read_header(b"")


def test_a_folder_that_was_not_compiled_says_so(tmp_path: Path) -> None:
    package = Path(str(dctload.__file__)).parent
    copied = shutil.copytree(package, tmp_path / "dctload", ignore=shutil.ignore_patterns("_core*", "__pycache__"))
    # -S: without the installed package, which an editable install would find here too.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", "import dctload"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stderr.splitlines()[-1].startswith(f"ImportError: dctload is not compiled for this Python in {copied}")
