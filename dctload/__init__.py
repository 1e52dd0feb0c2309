"""Batches of quantised DCT coefficients straight from JPEG files.

`read_header` and `read_coefficients` take one file, `extract` takes many and packs them for the way to a device, and
`ChannelSelection` says which frequencies are kept. Importing dctload needs NumPy alone.
"""

from __future__ import annotations

import importlib
import importlib.util

if importlib.util.find_spec("dctload._core") is None:  # without this, Python would speak of a circular import
    raise ImportError(
        f"dctload is not compiled for this Python in {__path__[0]}; run make demo, or pip install -e ., in the clone, or start "
        "Python in another folder if dctload is installed"
    )

from dctload.channels import ChannelSelection
from dctload.errors import JPEGError, LimitExceeded, UnsupportedJPEG, WireError
from dctload.jpeg import Box, Component, Header, JPEGCoefficients, Limits, cpu_level, read_coefficients, read_header
from dctload.packed import Extractor, OpenImages, PackedBatch, extract, unpack_reference
from dctload.packing import pack, packed_bound

__all__ = [
    "Box",
    "ChannelSelection",
    "Component",
    "Extractor",
    "Header",
    "JPEGCoefficients",
    "JPEGError",
    "LimitExceeded",
    "Limits",
    "OpenImages",
    "PackedBatch",
    "UnsupportedJPEG",
    "WireError",
    "cpu_level",
    "extract",
    "pack",
    "packed_bound",
    "read_coefficients",
    "read_header",
    "unpack_reference",
]

__version__: str


def __getattr__(name: str) -> object:
    if name == "DCTLoader":  # needs torch, the names above do not
        return importlib.import_module("dctload.data").DCTLoader
    if name == "__version__":  # pyproject.toml has it; looking it up costs more than the rest of the import
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("dctload")
        except PackageNotFoundError:  # run from a checkout that was built but not installed
            return "0+unknown"
    raise AttributeError(f"module 'dctload' has no attribute {name!r}")
