"""What can go wrong, as exceptions that a program can act on: a code, a place, an image, a file.

The codes, their texts and what to do about each come from the core (csrc/core/errors.h); docs/errors.md lists them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from dctload import _core

_E = TypeVar("_E", bound=BaseException)


class _Code(NamedTuple):
    name: str
    text: str
    remedy: str
    is_unsupported: bool
    is_limit: bool


_CODES = tuple(_Code(*row) for row in _core.CODES)
_NUMBERS = {code.name: number for number, code in enumerate(_CODES)}
_PROCESSES = {"arithmetic": "arithmetic", "lossless": "lossless", "hierarchical": "hierarchical", "jpeg_ls": "JPEG-LS"}
_COLORS = {4: "CMYK", 5: "YCCK"}  # by the core's number
# Codes that are about the whole file, or about no byte of it at all.
_WITHOUT_PLACE = frozenset(
    {"io_error", "limit_bytes", "limit_record", "region_outside", "no_memory", "color_space", "channels_missing"}
)


def install_line(what: str, extra: str) -> str:
    """What to say where a package is not installed that only part of dctload uses.

    Args:
        what: What needs which package: `"shards need pyarrow"`.
        extra: The extra of dctload that brings it.

    Example:
        >>> install_line("shards need pyarrow", "shards")
        "shards need pyarrow: pip install 'dctload[shards]'"
    """
    return f"{what}: pip install 'dctload[{extra}]'"


class JPEGError(ValueError):
    """An image that cannot be decoded, or not wholly.

    Attributes:
        code: The kind of fault, e.g. `"data_truncated"`; `docs/errors.md` lists them all.
        offset: Byte in the file where it was found, or None where the fault has no place.
        index: Place of the image in its batch, or None outside a batch.
        source: The file's name, or None where the image came as bytes.
    """

    def __init__(
        self, message: str, *, code: str, offset: int | None = None, index: int | None = None, source: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.offset = offset
        self.index = index
        self.source = source

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self), dict(self.__dict__))


class UnsupportedJPEG(JPEGError):
    """A file that is sound, but not of a kind that has 8-bit Huffman-coded DCT coefficients.

    Attributes:
        process: What it is instead: `"arithmetic"`, `"lossless"`, `"hierarchical"`, `"12-bit"`, `"JPEG-LS"`, or
            `"not a JPEG: PNG"` (`"not a JPEG"` where the format is not recognised).
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        process: str,
        offset: int | None = None,
        index: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(message, code=code, offset=offset, index=index, source=source)
        self.process = process


class LimitExceeded(JPEGError):
    """An image beyond one of the bounds of `Limits`, or too large for the packed format."""


class WireError(ValueError):
    """Packed bytes that break the format of docs/wire-format.md.

    Attributes:
        offset: Byte in the buffer (in the image's record, for `PackedBatch.join`) where it was found.
        index: Image in the batch; None where the fault lies in the batch's own header or directory.
    """

    def __init__(self, message: str, *, offset: int, index: int | None) -> None:
        super().__init__(message)
        self.offset = offset
        self.index = index

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self), dict(self.__dict__))


def _restored(cls: type[_E], message: str, facts: dict[str, Any]) -> _E:
    return cls(message, **facts)


def code_name(number: int) -> str:
    """The name of a code's number in a packed record; a newer writer's codes have names like `"code_77"`."""
    return _CODES[number].name if number < len(_CODES) else f"code_{number}"


def code_number(name: str) -> int:
    """The number of a code by its name, as `error_from_code` takes it; `KeyError` where no code has that name."""
    return _NUMBERS[name]


def error_from_code(
    number: int,
    *,
    offset: int,
    detail: int | None = None,
    index: int | None = None,
    source: str | None = None,
    fact: str | None = None,
    remedy: str | None = None,
    in_batch: bool = False,
) -> JPEGError:
    """The exception for a code of the core.

    Args:
        number: The code's number, as packed records hold it.
        offset: Byte in the file; kept only for codes that have a place.
        detail: What the core adds to a code (a table, a marker, a format); None or -1 where it is not known any more.
        index: Place of the image in its batch.
        source: The file's name.
        fact: Words that replace the code's own text, where the caller knows more.
        remedy: Likewise, in place of what the code says is to be done.
        in_batch: Whether the message should say that a batch can mark such images instead.
    """
    name = code_name(number)
    detail = None if detail is None or detail < 0 else detail
    code = _CODES[number] if number < len(_CODES) else _Code(name, f"code {number} of a newer version", "", False, False)
    place = None if name in _WITHOUT_PLACE else offset
    who = source if source is not None else None if index is None else f"image {index}"
    what = fact if fact is not None else code.text + _detail_words(name, detail)
    if remedy is None:
        remedy = "get it again from its source, or take it out of the list" if _is_empty(name, detail) else code.remedy
    remedies = [words for words in (remedy, 'pass on_error="mark" to go on without this image' if in_batch else "") if words]
    message = ": ".join(words for words in (who, f"byte {place}" if place else None, what) if words)
    if remedies:
        message += "; " + ", or ".join(remedies)
    if code.is_unsupported:
        process = _process(name, detail)
        return UnsupportedJPEG(message, code=name, process=process, offset=place, index=index, source=source)
    kind = LimitExceeded if code.is_limit else JPEGError
    return kind(message, code=name, offset=place, index=index, source=source)


def wire_error(fault: tuple[str, int, int], what: str) -> WireError:
    """The exception for a fault (what, offset, image or -1) that the core found in `what`, e.g. `"packed batch"`."""
    text, offset, image = fault
    who = f"{what}: image {image}" if image >= 0 else what
    message = f"{who}: byte {offset}: wrong {text}; the bytes are damaged or of another writer, make them again"
    return WireError(message, offset=offset, index=image if image >= 0 else None)


def warning_texts(bits: int) -> tuple[str, ...]:
    """The texts of a set of warning bits."""
    return tuple(text for bit, text in enumerate(_core.WARNINGS) if bits >> bit & 1)


def _process(name: str, detail: int | None) -> str:
    if name == "not_jpeg":
        return f"not a JPEG: {_core.FORMATS[detail]}" if detail else "not a JPEG"
    if name == "precision":
        return f"{detail}-bit" if detail else "not 8-bit"
    if name == "color_space":
        return _COLORS.get(detail or 0, "unknown colours")
    return _PROCESSES[name]


def _is_empty(name: str, detail: int | None) -> bool:
    return name == "not_jpeg" and detail is not None and _core.FORMATS[detail] == "empty"


def _detail_words(name: str, detail: int | None) -> str:
    if detail is None:
        return ""
    if name == "not_jpeg":
        if not detail:
            return ""
        return ": it is empty" if _is_empty(name, detail) else f": it looks like {_core.FORMATS[detail]}"
    if name == "precision":
        return f" ({detail} bits)"
    if name == "color_space":
        return f" ({_COLORS.get(detail, 'unknown')})"
    if name in ("bad_marker", "bad_length", "duplicate_marker"):
        return f" (marker FF {detail:02X})"
    if name == "missing_quantization":
        return f" (table {detail})"
    if name == "channels_missing":
        return f" (component {detail})"
    if name in ("limit_pixels", "limit_components", "limit_scans"):
        return f" ({detail:,})"
    if name == "missing_huffman":
        return f" ({'AC' if detail >= 16 else 'DC'} {detail % 16})"
    return ""
