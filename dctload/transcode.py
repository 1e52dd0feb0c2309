"""Images that are no 8-bit Huffman-coded JPEG, by their pixels: PNG, WebP, CMYK, arithmetic coding and whatever Pillow reads.

The pixels are taken to YCbCr and through the forward DCT; they are never coded as JPEG again. With all quantisation steps
1 the only loss is the rounding of the coefficients, and the record is one like any other. Pillow is imported on first use.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dctload.errors import JPEGError, code_number, error_from_code, install_line
from dctload.jpeg import Component, Header, Limits, checked_buffer, read_coefficients
from dctload.packed import pack

if TYPE_CHECKING:
    from PIL.Image import Image

    from dctload.jpeg import Source

_MOST_SIDE = 65535  # as a record's header holds it
_ORIENTATION_TAG = 0x0112
_GRAY_MODES = ("1", "L", "LA", "La", "F", "I")  # beside the 16-bit ones, "I;16..."
_STRIP_BLOCKS = 1 << 14  # 8 x 8 blocks at a time: 4 MiB of floats a component, whatever the image's size

# JFIF, section 7 (ITU-R BT.601): rows Y, Cb, Cr; columns R, G, B. The level shift of 128 is left out on both sides, as it
# takes Y to -128..127 and adds nothing to the differences.
_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.299 / 1.772, -0.587 / 1.772, 0.5], [0.5, -0.587 / 1.402, -0.114 / 1.402]], np.float32
)


def _dct_matrix() -> NDArray[np.float32]:
    """`[64, 64]`: frequency 8 * v + u by pixel 8 * y + x of a block (ITU-T T.81, A.3.3)."""
    k, n = np.mgrid[:8, :8]
    one_axis = np.cos((2 * n + 1) * k * np.pi / 16) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    return np.kron(one_axis, one_axis).astype(np.float32)


_DCT = _dct_matrix()


def transcode(source: Source, *, limits: Limits | None = None, name: str | None = None, index: int | None = None) -> bytes:
    """The record of an image by way of its pixels: all 64 frequencies, 4:4:4, every quantisation step 1.

    Pillow decodes the first frame. Transparency is dropped, as `Image.convert("RGB")` does; gray images get one component;
    16-bit gray is scaled to 0..255 (Pillow's own conversion would clip it). CMYK and YCCK go through Pillow's conversion,
    colour profiles are ignored, both as in torchvision's `ImageFolder`. The orientation that Pillow's `getexif` finds is noted
    in the record's header and not applied.

    Args:
        source: A path, or the file's bytes in any contiguous buffer.
        limits: Bounds on the file's bytes and on the pixels, checked before anything is decoded. Pillow has a bound of its
            own, `PIL.Image.MAX_IMAGE_PIXELS`, at twice which it refuses.
        name: The file's name for messages, where `source` is bytes.
        index: Place of the image in its batch, for messages.

    Returns:
        Image bytes as `PackedBatch.join` takes them, of a baseline header of the same size: `"ycbcr"` or `"gray"`.

    Raises:
        JPEGError: Pillow cannot read it either. `.code` says what kept it from being read as a JPEG; `UnsupportedJPEG` where
            it is none. `LimitExceeded`: it is too large.
        OSError: The file cannot be opened.
        ImportError: Pillow is not installed.

    Example:
        >>> record = transcode("drawing.png")  # doctest: +SKIP
        >>> PackedBatch.join([record]).select("24s")  # doctest: +SKIP
    """
    image_module = _pillow()
    limits = limits if limits is not None else Limits()
    name = name if name is not None else os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    data = _load(source, limits, name, index)
    bombs = (image_module.DecompressionBombError, image_module.DecompressionBombWarning)
    try:
        with image_module.open(io.BytesIO(data)) as image:
            _check_size(image.width, image.height, limits, name, index)
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
            pixels = _pixels(image)
    except bombs as error:
        fact = f"Pillow refuses it by PIL.Image.MAX_IMAGE_PIXELS: {str(error).rstrip('.')}"
        raise error_from_code(code_number("limit_pixels"), offset=0, index=index, source=name, fact=fact) from None
    except MemoryError:
        raise error_from_code(code_number("no_memory"), offset=0, index=index, source=name) from None
    except JPEGError:
        raise
    # Pillow's decoders raise whatever their libraries do (OSError, SyntaxError, struct.error, zlib.error, ...).
    except Exception as error:
        raise _unreadable(data, limits, str(error), name, index) from error
    try:
        orientation = int(orientation)
    except (TypeError, ValueError):  # Pillow hands on what a damaged tag holds: text, several numbers
        orientation = 1
    return _record(pixels, orientation if 1 <= orientation <= 8 else 1)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        what = "transcoding files that are no 8-bit Huffman-coded JPEG needs Pillow"
        raise ImportError(f"{install_line(what, 'loader')}, or leave fallback off") from error
    return Image


def _load(source: Source, limits: Limits, name: str | None, index: int | None) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            facts = os.fstat(file.fileno())
            data = file.read(limits.bytes + 1) if not stat.S_ISREG(facts.st_mode) or facts.st_size <= limits.bytes else None
    else:
        view = memoryview(cast("bytes", checked_buffer(source, "source")))
        data = view.tobytes() if view.nbytes <= limits.bytes else None
    if data is None or len(data) > limits.bytes:
        raise error_from_code(code_number("limit_bytes"), offset=0, index=index, source=name)
    return data


def _check_size(width: int, height: int, limits: Limits, name: str | None, index: int | None) -> None:
    if width * height > limits.pixels:
        detail = width * height
        raise error_from_code(code_number("limit_pixels"), offset=0, detail=detail, index=index, source=name)
    if max(width, height) > _MOST_SIDE:
        fact = f"the image of {width} x {height} pixels passes the {_MOST_SIDE} pixels of a JPEG's side"
        raise error_from_code(code_number("bad_frame"), offset=0, index=index, source=name, fact=fact)
    if min(width, height) < 1:
        fact = f"the image has {width} x {height} pixels"
        raise error_from_code(code_number("no_image"), offset=0, index=index, source=name, fact=fact)


def _pixels(image: Image) -> NDArray[np.uint8] | NDArray[np.float32]:
    """uint8 `[height, width, 3]`, or `[height, width]` of a gray image: uint8, or float32 0..255 where it has 16 bits."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        wide = np.clip(np.asarray(image, dtype=np.int32), 0, 65535)
        return np.divide(wide, 257, dtype=np.float32)
    return np.asarray(image.convert("L" if mode in _GRAY_MODES else "RGB"))


def _record(pixels: NDArray[Any], orientation: int) -> bytes:
    """The record of pixels as `_pixels` gives them."""
    height, width = pixels.shape[:2]
    count = 1 if pixels.ndim == 2 else 3
    rows, cols = -(-height // 8), -(-width // 8)
    planes = [np.empty((64, rows, cols), np.int16) for _ in range(count)]
    step = max(1, _STRIP_BLOCKS // cols)
    for top in range(0, rows, step):
        strip = pixels[8 * top : 8 * (top + step)]
        here = -(-strip.shape[0] // 8)
        edges = ((0, 8 * here - strip.shape[0]), (0, 8 * cols - width), (0, 0))[: strip.ndim]
        strip = np.pad(strip, edges, mode="edge")
        for plane, channel in zip(planes, _channels(strip), strict=True):
            blocks = channel.reshape(here, 8, cols, 8).transpose(1, 3, 0, 2).reshape(64, here * cols)
            coefficients = np.rint(_DCT @ blocks)  # within 1024.5 of zero: it fits int16 by far
            plane[:, top : top + here] = coefficients.astype(np.int16).reshape(64, here, cols)
    steps = np.ones(64, np.uint16)
    components = tuple(Component(k + 1, 1, 1, rows, cols, steps.copy()) for k in range(count))
    color = "gray" if count == 1 else "ycbcr"
    header = Header(width, height, 8, orientation, "baseline", color, 0, rows * cols, components)
    return pack(planes, [steps] * count, header)


def _channels(strip: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """float32 `[height, width]` by component: luma -128..127, chroma -127.5..127.5."""
    if strip.ndim == 2:
        return (strip.astype(np.float32) - np.float32(128),)
    mixed = np.tensordot(_YCBCR, strip.astype(np.float32), axes=(1, 2))
    mixed[0] -= 128
    return tuple(mixed)


def _unreadable(data: bytes, limits: Limits, why: str, name: str | None, index: int | None) -> JPEGError:
    """The error of a file that Pillow does not read: what our own reader has against it, and Pillow's words."""
    known = "cannot identify" not in why
    also = f"Pillow cannot read it either ({why})" if known else "Pillow does not know it either"
    try:
        header = read_coefficients(data, "y:0", limits=limits).header
    except JPEGError as error:
        fact = str(error).split(";")[0] + ", and " + also
        code, offset = code_number(error.code), error.offset or 0
        fact = fact.removeprefix(f"byte {offset}: ")
        return error_from_code(code, offset=offset, index=index, source=name, fact=fact)
    fact = f"a JPEG of {len(header.components)} components ({header.color_space}) that Pillow cannot read" + (
        f" ({why})" if known else ""
    )
    return error_from_code(code_number("bad_frame"), offset=0, index=index, source=name, fact=fact)
