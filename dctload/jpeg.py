"""One JPEG file: what its header says, and its quantised DCT coefficients."""

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.channels import ChannelSelection, frequencies_of
from dctload.errors import JPEGError, code_number, error_from_code, warning_texts

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload._core import Buffer

    # A path, or the bytes of a file in any contiguous buffer.
    Source: TypeAlias = str | os.PathLike[str] | Buffer

_T = TypeVar("_T")
PROCESSES = ("baseline", "extended", "progressive")
COLOR_SPACES = ("unknown", "gray", "ycbcr", "rgb", "cmyk", "ycck")
WITHOUT_YCBCR = frozenset(COLOR_SPACES.index(name) for name in ("cmyk", "ycck", "unknown"))  # no training step can use them
MAX_COMPONENTS = 4
STATUSES = ("ok", "truncated", "failed", "damaged")  # of the wire format
_RATIOS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}
_PIPE_CHUNK = 1 << 20


def whole_number(value: Any, what: str) -> int:
    """The value as an int; TypeError, with the argument's name, if it is no whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what} is a whole number, not {value!r}") from None


class Box(NamedTuple):
    """A rectangle in pixels as coded, before EXIF orientation; torchvision's order."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Limits:
    """Bounds against hostile input; what is beyond raises `LimitExceeded` before memory is taken.

    Attributes:
        pixels: Width x height. The default, 2^28, lets 100 megapixels pass.
        components: Colour components, at most 4.
        scans: Scans of a file.
        bytes: Size of a file.
    """

    pixels: int = 2**28
    components: int = 4
    scans: int = 1000
    bytes: int = 2**31

    def __post_init__(self) -> None:
        for name in ("pixels", "components", "scans", "bytes"):
            if whole_number(getattr(self, name), f"Limits({name}=...)") < 0:
                raise ValueError(f"Limits({name}=...) is a count, not {getattr(self, name)}")

    @cached_property
    def bounds(self) -> tuple[int, int, int, int]:
        """Pixels, components, scans and bytes in the core's integers; more than they hold is as good as no bound."""
        wide, narrow = 2**64 - 1, 2**32 - 1
        return min(self.pixels, wide), min(self.components, narrow), min(self.scans, narrow), min(self.bytes, wide)


_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class Component:
    """One colour component of a frame.

    Attributes:
        id: As the file numbers it, 0..255.
        h: Horizontal sampling factor, 1..4.
        v: Vertical sampling factor, 1..4.
        block_rows: `ceil(ceil(height * v / v_max) / 8)`: its own blocks, without the padding to whole MCUs.
        block_cols: Likewise, across.
        quantization: uint16 `[64]`, row-major `8 * v + u`, read-only.
    """

    id: int
    h: int
    v: int
    block_rows: int
    block_cols: int
    quantization: NDArray[np.uint16] = field(repr=False)

    def __post_init__(self) -> None:
        self.quantization.flags.writeable = False

    def _key(self) -> tuple[Any, ...]:
        return self.id, self.h, self.v, self.block_rows, self.block_cols, self.quantization.tobytes()

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Component) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True)
class Header:
    """What a JPEG file says about its image.

    Attributes:
        width: Pixels as coded, before EXIF orientation, 1..65535.
        height: Likewise.
        precision: Bits a sample: 8.
        orientation: EXIF orientation, 1..8; 1 where EXIF says nothing.
        process: `"baseline"`, `"extended"` or `"progressive"`.
        color_space: `"gray"`, `"ycbcr"`, `"rgb"`, `"cmyk"`, `"ycck"` or `"unknown"`.
        restart_interval: MCUs between restart markers; 0 without them.
        num_mcus: MCUs of a one-scan file; of a single component, its own blocks (ITU-T T.81, A.2.2).
        components: In the frame's order.
    """

    width: int
    height: int
    precision: int
    orientation: int
    process: str
    color_space: str
    restart_interval: int
    num_mcus: int
    components: tuple[Component, ...]

    if not TYPE_CHECKING:  # what the fields are stands above

        def __getattr__(self, name: str) -> Any:
            """`components` of a header from the core, made when they are first asked for: few callers want them."""
            facts = self.__dict__.get("_component_facts")
            if name != "components" or facts is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            components = self.__dict__["components"] = tuple(Component(*c) for c in facts)
            return components

    @property
    def h_max(self) -> int:
        """The largest horizontal sampling factor; a region is a multiple of `8 * h_max` pixels wide."""
        return max(c.h for c in self.components)

    @property
    def v_max(self) -> int:
        """The largest vertical sampling factor."""
        return max(c.v for c in self.components)

    @property
    def subsampling(self) -> str:
        """How chroma is sampled.

        `"4:4:4"`, `"4:2:2"`, `"4:2:0"`, `"4:4:0"`, `"4:1:1"` or `"4:1:0"` for three components, by the ratio of their
        factors; `"gray"` for one; else the factors by component, `"1x2,1x1,..."`.
        """
        factors = [(c.h, c.v) for c in self.components]
        if len(factors) == 1:
            return "gray"
        (h, v), (chroma_h, chroma_v) = factors[:2]
        if len(factors) == 3 and factors[1] == factors[2] and h % chroma_h == 0 and v % chroma_v == 0:
            ratio = h // chroma_h, v // chroma_v
            if ratio in _RATIOS:
                return _RATIOS[ratio]
        return ",".join(f"{h}x{v}" for h, v in factors)

    def __repr__(self) -> str:
        turned = f", orientation {self.orientation}" if self.orientation != 1 else ""
        return f"Header({self.width} x {self.height} pixels, {self.process}, {self.color_space} {self.subsampling}{turned})"


@dataclass(frozen=True, eq=False)
class JPEGCoefficients:
    """Quantised DCT coefficients of an image or of a region of it, as the file holds them.

    Attributes:
        planes: By component, int16 `[kept channels, block rows, block cols]`; blocks that never came are zero.
        channels: What was asked for (of unpacked bytes: what they hold).
        header: The file's header.
        region: What `planes` cover, in pixels as coded: the box asked for, snapped out to whole MCUs.
        status: `"ok"`, `"truncated"` (the data ends early) or `"damaged"` (restart intervals lost inside).
        warnings: Oddities of the file, in words.
        valid_mcus: MCUs that came, in the order of a scan of all components; all of them where status is ok. With several
            scans: the MCU rows that are complete in all of them, times MCUs a row.
        frequencies: By component, the kept frequencies `8 * v + u`, ascending, as `planes` have them.
    """

    planes: tuple[NDArray[np.int16], ...]
    channels: ChannelSelection
    header: Header
    region: Box
    status: str
    warnings: tuple[str, ...]
    valid_mcus: int
    frequencies: tuple[tuple[int, ...], ...]

    def dequantized(self, k: int) -> NDArray[np.float32]:
        """float32 `[kept channels, block rows, block cols]` of component `k`: planes times quantisation table (T.81, A.3.4)."""
        if not 0 <= operator.index(k) < len(self.planes):
            raise IndexError(f"component {k} of an image with {len(self.planes)}")
        steps = self.header.components[k].quantization[list(self.frequencies[k])].astype(np.float32)
        return self.planes[k] * steps[:, None, None]

    def __repr__(self) -> str:
        planes = ", ".join("x".join(map(str, p.shape)) for p in self.planes)
        return f"JPEGCoefficients({planes}; {self.header!r}, {self.status})"


def read_header(source: Source, *, limits: Limits | None = None) -> Header:
    """The header of a JPEG file, with the quantisation tables that its scans use.

    Args:
        source: A path, or the file's bytes in any contiguous buffer.
        limits: Bounds on what is accepted.

    Raises:
        JPEGError: The file is damaged; `UnsupportedJPEG`: it is of another kind; `LimitExceeded`: it is too large.
        OSError: The file cannot be opened.
    """
    limits = _checked_limits(limits)
    data, name = _load(source, limits)
    result, facts, _ = _core.read_header(data, limits_tuple(limits))
    if facts is None:
        raise _error(result, name)
    return header_from_facts(facts)


def read_coefficients(
    source: Source,
    channels: str | ChannelSelection = "all",
    region: Sequence[int] | None = None,
    truncated: str = "error",
    *,
    limits: Limits | None = None,
) -> JPEGCoefficients:
    """The quantised DCT coefficients of a JPEG file, equal to those of libjpeg's `jpeg_read_coefficients`.

    Args:
        source: A path, or the file's bytes in any contiguous buffer.
        channels: Kept frequencies; the others are parsed past.
        region: (top, left, height, width) in pixels as coded; None for the whole image. It is snapped out to whole MCUs,
            and nothing below its last row of MCUs is read.
        truncated: `"error"`: lost data raises. `"keep"`: what came is returned, and `status` and `valid_mcus` say so.
        limits: Bounds on what is accepted.

    Raises:
        JPEGError: `code` says what is wrong, `offset` where; its kinds are those of `read_header`.
        OSError: The file cannot be opened.
        ValueError: The region does not touch the image, or an argument is none of those above.

    Example:
        >>> c = read_coefficients("photo.jpg", channels="24s")  # doctest: +SKIP
        >>> c.planes[0].shape  # [channels, block rows, block cols]  # doctest: +SKIP
        (16, 60, 80)
    """
    selection = ChannelSelection.parse(channels)
    limits = _checked_limits(limits)
    box = box_tuple(region)
    data, name = _load(source, limits)
    result, image = _core.decode(data, selection.masks, box, limits_tuple(limits), keeps_truncated(truncated))
    if image is None:
        if box is not None and result[0] == code_number("region_outside"):
            raise outside_error(box, read_header(data, limits=limits), source=name)
        raise _error(result, name)
    facts, covered, masks, planes, status, loss, valid_mcus, warnings = image
    texts = warning_texts(warnings) if warnings else ()
    if loss[0]:
        texts = (f"byte {loss[2]}: {_core.CODES[loss[0]][1]}", *texts)
    return _made(
        JPEGCoefficients,
        planes=planes,
        channels=selection,
        header=header_from_facts(facts),
        region=Box._make(covered),
        status=STATUSES[status],
        warnings=texts,
        valid_mcus=valid_mcus,
        frequencies=tuple([frequencies_of(mask) for mask in masks]),
    )


def cpu_level() -> str:
    """The code path that runs on this machine: `"avx2"` or `"portable"`; all give the same bits.

    The environment's `DCTLOAD_FORCE_ISA`, read when dctload is imported, forces one of them.
    """
    return _core.cpu_level()


def coefficients_from_record(record: _core.UnpackedImage, asked: ChannelSelection | None) -> JPEGCoefficients:
    """The coefficients of an unpacked record; `asked` is the selection that it was made with, where that is known."""
    facts, covered, masks, planes, status, valid_mcus = record
    header = header_from_facts(facts)
    frequencies = tuple(frequencies_of(mask) for mask in masks)
    if asked is None:
        has_chroma = header.color_space in ("ycbcr", "ycck") and len(frequencies) >= 3
        y, cb, cr = (frequencies[0], *(frequencies[1:3] if has_chroma else ((), ())))
        asked = ChannelSelection(y, cb, cr) if y or cb or cr else ChannelSelection.parse("all")
    valid = header.num_mcus if STATUSES[status] == "ok" else valid_mcus
    return JPEGCoefficients(planes, asked, header, Box(*covered), STATUSES[status], (), valid, frequencies)


def status_name(number: int) -> str:
    """The name of a record's status: `"ok"`, `"truncated"`, `"failed"`, `"damaged"`."""
    return STATUSES[number]


def header_from_facts(facts: _core.HeaderFacts) -> Header:
    """A Header of the core's plain facts."""
    width, height, precision, orientation, process, color, restart_interval, num_mcus, components = facts
    return _made(
        Header,
        width=width,
        height=height,
        precision=precision,
        orientation=orientation,
        process=PROCESSES[process],
        color_space=COLOR_SPACES[color],
        restart_interval=restart_interval,
        num_mcus=num_mcus,
        _component_facts=components,
    )


def facts_from_header(header: Header) -> _core.HeaderFacts:
    """The core's plain facts of a Header."""
    return (
        header.width,
        header.height,
        header.precision,
        header.orientation,
        PROCESSES.index(header.process),
        COLOR_SPACES.index(header.color_space),
        header.restart_interval,
        header.num_mcus,
        tuple((c.id, c.h, c.v, c.block_rows, c.block_cols, c.quantization) for c in header.components),
    )


def limits_tuple(limits: Limits | None) -> tuple[int, int, int, int]:
    """The core's form of limits, of the default ones for None."""
    return _checked_limits(limits).bounds


def keeps_truncated(truncated: str) -> bool:
    """Whether `truncated=` says "keep"; ValueError if it is neither of the two words."""
    if truncated not in ("error", "keep"):
        raise ValueError(f'truncated is "error" or "keep", not {truncated!r}')
    return truncated == "keep"


def box_tuple(region: Sequence[int] | None) -> tuple[int, int, int, int] | None:
    """A checked region: non-negative corner, positive size. What passes the format's 65535 pixels is cut to 32 bits."""
    if region is None:
        return None
    try:
        top, left, height, width = (operator.index(number) for number in region)
    except (TypeError, ValueError):
        raise ValueError(f"a region is (top, left, height, width) in whole pixels, not {region!r}") from None
    if top < 0 or left < 0 or height < 1 or width < 1:
        raise ValueError(f"a region begins at 0 or more and is at least 1 pixel high and wide, not {(top, left, height, width)}")
    most = 2**32 - 1
    return min(top, most), min(left, most), min(height, most), min(width, most)


def outside_error(
    box: tuple[int, int, int, int], header: Header, *, source: str | None = None, index: int | None = None
) -> JPEGError:
    """The error of a region that does not touch its image."""
    return error_from_code(
        code_number("region_outside"),
        offset=0,
        index=index,
        source=source,
        fact=f"the region (top, left, height, width) = {box} does not touch the image of {header.width} x {header.height} pixels",
    )


def checked_buffer(source: Buffer, what: str) -> Buffer:
    """The same object; TypeError or ValueError if it is no contiguous buffer."""
    try:
        with memoryview(cast("bytes", source)) as view:
            contiguous, itemsize = view.c_contiguous, view.itemsize
    except TypeError:
        hint = "; pass what its read() gives" if hasattr(source, "read") else ""
        raise TypeError(f"{what} is a path or the bytes of a file, not {type(source).__name__}{hint}") from None
    if not contiguous:
        raise ValueError(f"{what} is not contiguous; pass bytes, or a contiguous copy")
    if itemsize != 1:
        raise TypeError(f"{what} holds items of {itemsize} bytes; pass the bytes of a JPEG file, as bytes or uint8")
    return source


def source_name(source: Source) -> str | None:
    """The path of a source, or None where it is a buffer."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else None


def _checked_limits(limits: Limits | None) -> Limits:
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(f"limits is a Limits, such as Limits(pixels=10**9), not {limits!r}")
    return limits or _DEFAULT_LIMITS


def _made(cls: type[_T], **facts: Any) -> _T:
    """A frozen dataclass of fields that the core has made: its own `__init__` sets them one by one, in twice the time."""
    made = object.__new__(cls)
    made.__dict__.update(facts)
    return made


def _error(result: _core.Result, name: str | None) -> JPEGError:
    code, detail, offset = result
    return error_from_code(code, offset=offset, detail=detail, source=name)


def _load(source: Source, limits: Limits) -> tuple[Buffer, str | None]:
    """The bytes of a source and its name. A file beyond `limits.bytes` is not read."""
    if isinstance(source, bytes):
        return source, None
    if not isinstance(source, (str, os.PathLike)):
        return checked_buffer(source, "source"), None
    name = os.fspath(source)
    with open(name, "rb") as file:  # noqa: PTH123 - a path is taken as it comes, bytes paths too
        facts = os.fstat(file.fileno())
        if stat.S_ISREG(facts.st_mode):
            if facts.st_size <= limits.bytes:
                return file.read(), name
        else:  # a pipe or a device may never end
            pieces: list[bytes] = []
            while sum(map(len, pieces)) <= limits.bytes:
                piece = file.read(_PIPE_CHUNK)
                if not piece:
                    return b"".join(pieces), name
                pieces.append(piece)
    raise error_from_code(code_number("limit_bytes"), offset=0, source=name)
