"""From coefficients to a JPEG file that decodes to the same pixels as the file that they came from.

jpeglib (libjpeg behind a Python face) does the Huffman coding; the headers are written here. Its own would not do: it writes RGB
as YCbCr, never writes a fourth component, and numbers components from 0. What it is asked for depends on no header: one component
alone, or three in one scan, with their sampling factors.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.errors import install_line
from dctload.jpeg import Component, Header, read_coefficients

Plane = NDArray[np.int16]

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_APP0, _APP1, _APP14, _DQT, _SOF0, _SOF1, _DHT, _SOS = 0xE0, 0xE1, 0xEE, 0xDB, 0xC0, 0xC1, 0xC4, 0xDA
_ADOBE_TRANSFORMS = {"rgb": 0, "cmyk": 0, "ycck": 2}
_MOST_BLOCKS = 10  # of an MCU (ITU-T T.81, B.2.3)
_MOST_AC = 1023  # 10 bits: what the Huffman codes of 8-bit samples hold (ITU-T T.81, F.1.2.2)
_MOST_DC = 2047  # 11 bits, of the difference between two (likewise)
_MOST_SIDE = 65500  # libjpeg's own bound, a little below the format's


def require_jpeglib() -> Any:
    """The jpeglib package.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import jpeglib
    except ImportError as error:
        raise ImportError(install_line("writing JPEG files needs jpeglib", "export")) from error
    return jpeglib


def write_jpeg(planes: Sequence[Plane], header: Header) -> bytes:
    """A sequential JPEG file of quantised coefficients, without loss; it is read back and compared before it is handed out.

    Kept are size, colours, sampling factors, quantisation tables and the EXIF orientation; comments, colour profiles, thumbnails
    and other metadata are in no record. The file has no restart intervals. One or three components lie in one scan; two or four,
    or more than 10 blocks an MCU, in a scan each.

    Args:
        planes: By component, int16 `[64, block rows, block cols]`, row-major frequencies.
        header: Size, colours and components, of which the tables are written.

    Raises:
        ValueError: The planes do not fit the header, or hold what no 8-bit JPEG can.
        OSError: The folder for temporary files cannot be written to.
        ImportError: jpeglib is not installed.
    """
    _check(planes, header)
    parts = header.components
    ids = [part.id for part in parts]
    if len(set(ids)) < len(ids):  # some encoders number all components alike; a scan must be able to name them
        ids = list(range(1, len(ids) + 1))
    scans = []
    if len(parts) == 1 or (len(parts) == 3 and sum(part.h * part.v for part in parts) <= _MOST_BLOCKS):
        scans.append(_scan(planes, parts, ids, header.width, header.height))
    else:
        for plane, part, number in zip(planes, parts, ids, strict=True):
            scans.append(_scan([plane], [part], [number], 8 * part.block_cols, 8 * part.block_rows))
    data = b"".join([_SOI, *_application_segments(header), *_frame(header, ids), *scans, _EOI])
    _compare(data, planes, header)
    return data


def _check(planes: Sequence[Plane], header: Header) -> None:
    if max(header.width, header.height) > _MOST_SIDE:
        raise ValueError(f"{header.width} x {header.height} pixels: the JPEG writer takes up to {_MOST_SIDE} a side")
    if not 1 <= len(header.components) <= 4 or len(planes) != len(header.components):
        raise ValueError(f"{len(planes)} planes for the {len(header.components)} components of the header")
    for k, (plane, part) in enumerate(zip(planes, header.components, strict=True)):
        if plane.dtype != np.int16 or plane.shape != (64, part.block_rows, part.block_cols):
            raise ValueError(
                f"planes[{k}] is int16 [64, {part.block_rows}, {part.block_cols}], not {plane.dtype} {list(plane.shape)}"
            )
        most = int(np.abs(plane[1:].astype(np.int32)).max(initial=0))
        if most > _MOST_AC:
            raise ValueError(f"component {k} has an AC coefficient of {most}; the Huffman codes of a JPEG hold up to {_MOST_AC}")


def _application_segments(header: Header) -> list[bytes]:
    """JFIF says gray or YCbCr, Adobe's marker the others; EXIF how to turn the picture."""
    segments = []
    if header.color_space in ("gray", "ycbcr"):
        segments.append(_segment(_APP0, struct.pack(">5sHBHHBB", b"JFIF\0", 0x0101, 0, 1, 1, 0, 0)))
    elif header.color_space in _ADOBE_TRANSFORMS:
        segments.append(_segment(_APP14, struct.pack(">5sHHHB", b"Adobe", 100, 0, 0, _ADOBE_TRANSFORMS[header.color_space])))
    if header.orientation != 1:
        # A TIFF header, one directory of one entry (tag 0x0112, one SHORT), and no next directory.
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, header.orientation, 0)
        tiff = struct.pack(">2sHIH", b"MM", 42, 8, 1) + entry + struct.pack(">I", 0)
        segments.append(_segment(_APP1, b"Exif\0\0" + tiff))
    return segments


def _frame(header: Header, ids: Sequence[int]) -> list[bytes]:
    """Quantisation tables, each once, and the frame header."""
    tables: list[bytes] = []
    chosen = []
    for part in header.components:
        steps = part.quantization[list(_core.ZIGZAG)]
        table = (b"\x01" + steps.astype(">u2").tobytes()) if steps.max() > 255 else (b"\x00" + steps.astype(np.uint8).tobytes())
        if table not in tables:
            tables.append(table)
        chosen.append(tables.index(table))
    segments = [_segment(_DQT, bytes([table[0] << 4 | number]) + table[1:]) for number, table in enumerate(tables)]
    facts = struct.pack(">BHHB", 8, header.height, header.width, len(ids))
    for part, number, table_number in zip(header.components, ids, chosen, strict=True):
        facts += bytes([number, part.h << 4 | part.v, table_number])
    # Tables of 16 bits make the process "extended" (B.2.4.1).
    return [*segments, _segment(_SOF1 if any(table[0] for table in tables) else _SOF0, facts)]


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _scan(planes: Sequence[Plane], parts: Sequence[Component], ids: Sequence[int], width: int, height: int) -> bytes:
    """Huffman tables, scan header and entropy-coded data of components that lie in one scan."""
    coded = _coded_file(planes, parts, width, height)
    tables, at = [], 2
    while True:
        marker, (length,) = coded[at + 1], struct.unpack_from(">H", coded, at + 2)
        if marker == _SOS:
            break
        if marker == _DHT:
            tables.append(coded[at : at + 2 + length])
        at += 2 + length
    selectors = [coded[at + 6 + 2 * k] for k in range(len(parts))]
    names = b"".join(bytes([number, selector]) for number, selector in zip(ids, selectors, strict=True))
    scan = _segment(_SOS, bytes([len(parts)]) + names + b"\x00\x3f\x00")
    return b"".join([*tables, scan, coded[at + 2 + length : -len(_EOI)]])


def _coded_file(planes: Sequence[Plane], parts: Sequence[Component], width: int, height: int) -> bytes:
    """What jpeglib makes of one or three components; its tables and colours mean nothing."""
    jpeglib = require_jpeglib()
    blocks = [np.ascontiguousarray(plane.transpose(1, 2, 0)).reshape(*plane.shape[1:], 8, 8) for plane in planes]
    luma, cb, cr = blocks if len(blocks) == 3 else (blocks[0], None, None)
    is_gray = len(blocks) == 1
    image = jpeglib.DCTJPEG(
        path=None,
        content=None,
        height=height,
        width=width,
        block_dims=np.array([[part.block_rows, part.block_cols] for part in parts]),
        samp_factor=np.array([[1, 1]] if is_gray else [[part.v, part.h] for part in parts]),
        markers=None,
        huffmans=None,
        jpeg_color_space=jpeglib.JCS_GRAYSCALE if is_gray else jpeglib.JCS_YCbCr,
        progressive_mode=False,
        num_scans=1,
        Y=luma,
        Cb=cb,
        Cr=cr,
        K=None,
        qt=np.ones((1, 8, 8), np.uint16),
        quant_tbl_no=[0] * len(blocks),
    )
    with tempfile.TemporaryDirectory(prefix="dctload-") as folder:  # jpeglib writes to paths alone
        path = Path(folder) / "scan.jpg"
        try:
            image.write_dct(str(path), flags=["+OPTIMIZE_CODING"])
            return path.read_bytes()
        except OSError as error:
            differences = [np.ptp(np.append(plane[0].astype(np.int32), 0)) for plane in planes]  # the first is one from 0
            if max(differences) > _MOST_DC:
                raise ValueError("two DC coefficients differ by more than the Huffman codes of a JPEG hold") from None
            raise OSError(
                f"the JPEG writer cannot write to {folder} ({error}); make room there, or name another folder in TMPDIR"
            ) from error


def _compare(data: bytes, planes: Sequence[Plane], header: Header) -> None:
    """Reads the file back with this package's own reader."""
    back = read_coefficients(data)
    facts = ("width", "height", "orientation", "color_space")
    same = all(getattr(back.header, name) == getattr(header, name) for name in facts) and len(back.planes) == len(planes)
    same = same and all(
        np.array_equal(mine, own)
        and np.array_equal(part.quantization, given.quantization)
        and (part.h, part.v) == (given.h, given.v)
        for mine, own, part, given in zip(back.planes, planes, back.header.components, header.components, strict=True)
    )
    if not same:
        raise ValueError("the JPEG file that was written does not hold the same coefficients; its writer is at fault")
