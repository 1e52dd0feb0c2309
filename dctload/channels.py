"""Which frequencies of each colour component are kept."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from dctload import _core

_FREQUENCIES = 64
_PARTS = ("y", "cb", "cr")

# Name -> luma, chroma (Cb and Cr alike), row-major. What is a number here is a count of the lowest in zigzag order.
_PRESETS: dict[str, tuple[str | int, str | int]] = {
    "6s": ("0,1,8,9", "0"),
    "12s": ("0-2,8-10,16,17", "0,1"),
    "24s": ("0-3,8-11,16-19,24-27", "0,1,8,9"),
    "24d": ("0-5,8-10,16-18,24,32", "0,1,3,8,24"),
    "24t": (14, 5),
    "32s": ("0-4,8-12,16-20,24-27,32-34", "0-2,8,9"),
    "48s": ("0-5,8-13,16-21,24-29,32-35,40-43", "0-2,8-10,16,17"),
    "48t": (32, 8),
    "64s": ("0-6,8-14,16-21,24-29,32-37,40-45,48-53", "0-2,8-10,16,17,24,25"),
    "64t": (44, 10),
    "88": (64, 12),
    "all": (64, 64),
}


@dataclass(frozen=True)
class ChannelSelection:
    """The kept frequencies of Y, Cb and Cr.

    A frequency is numbered row by row, `8 * v + u`: `u` counts horizontal, `v` vertical half waves, 0 is DC. Channels
    come in ascending number, Y then Cb then Cr. Luma's list also serves gray, RGB and CMYK files, every component of
    them, and the K of YCCK; a gray file has no chroma, whatever is asked for.

    Presets (Y + Cb + Cr):

    * `"6s"` 4+1+1, `"24s"` 16+4+4, `"32s"` 22+5+5, `"48s"` 32+8+8, `"64s"` 44+10+10: the static selections of Xu et al.,
      *Learning in the Frequency Domain* (CVPR 2020), number by number as in the authors' published code.
    * `"24d"` 14+5+5: their dynamic selection, in the same code, commented out there.
    * `"24t"` 14+5+5, `"48t"` 32+8+8, `"64t"` 44+10+10: the paper's triangles. No list was published; these are the lowest
      in zigzag order, after the paper's "close to upper-left triangles".
    * `"12s"` 8+2+2: inferred, unpublished. The paper reports it without a list.
    * `"88"` 64+12+12: a count of Goldberg et al., *Rethinking FUN: Frequency-Domain Utilization Networks* (2020, Table 7:
      64/12/12), lowest in zigzag order.
    * `"all"` 64+64+64: every frequency.

    Attributes:
        y: Kept frequencies of luma, 0..63, ascending.
        cb: Of the blue difference.
        cr: Of the red difference.

    Raises:
        ValueError: A number outside 0..63, a number twice, or nothing kept at all.

    Example:
        >>> s = ChannelSelection.parse("y:0-3,8;cb:0,1;cr:0,1")
        >>> s.y, len(s), str(s)
        ((0, 1, 2, 3, 8), 9, 'y:0-3,8;cb:0,1;cr:0,1')
    """

    y: tuple[int, ...]
    cb: tuple[int, ...]
    cr: tuple[int, ...]

    def __post_init__(self) -> None:
        for part in _PARTS:
            object.__setattr__(self, part, _sorted(getattr(self, part), part))
        if not len(self):
            raise ValueError("a selection keeps at least one frequency; write e.g. y:0;cb:0;cr:0")

    @classmethod
    def parse(cls, text: str | ChannelSelection) -> ChannelSelection:
        """A selection from a preset's name or a text like `"y:0-3,8;cb:0,1;cr:0,1"`.

        Args:
            text: Parts in any order, separated by semicolons; a part that is left out or empty keeps nothing. A
                `ChannelSelection` is returned as it is.

        Raises:
            ValueError: No such preset, or a text of another form; the message says what is allowed.
        """
        if isinstance(text, ChannelSelection):
            return text
        if not isinstance(text, str):
            raise TypeError(f'channels are a text such as "24s" or a ChannelSelection, not {type(text).__name__}')
        return _parsed(text)

    @classmethod
    def lowest(cls, y: int, cb: int, cr: int) -> ChannelSelection:
        """The `y`, `cb` and `cr` lowest frequencies (0..64 each) in zigzag order (ITU-T T.81, Figure A.6)."""
        return cls(*(_lowest(count, part) for count, part in zip((y, cb, cr), _PARTS, strict=True)))

    @classmethod
    def from_scores(cls, scores: ArrayLike, k: int) -> ChannelSelection:
        """The `k` frequencies with the highest scores, over all three components.

        Args:
            scores: Numbers `[192]` or `[3, 64]`: Y, Cb, Cr, row-major in each; e.g. how often a gate was open.
            k: How many to keep, 1..192. Of equal scores the earlier one is taken.

        Raises:
            ValueError: Another shape, a score that is not a number, or `k` outside 1..192.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.shape not in ((3 * _FREQUENCIES,), (3, _FREQUENCIES)):
            raise ValueError(f"scores have the shape [192] or [3, 64], not {list(values.shape)}")
        if np.isnan(values).any():
            raise ValueError("a score is not a number (NaN)")
        if not 1 <= operator.index(k) <= values.size:
            raise ValueError(f"k is 1..192, not {k}")
        best = np.argsort(-values.reshape(-1), kind="stable")[:k].tolist()
        parts = [[n % _FREQUENCIES for n in best if n // _FREQUENCIES == part] for part in range(3)]
        return cls(*(tuple(part) for part in parts))

    @classmethod
    def presets(cls) -> Mapping[str, ChannelSelection]:
        """All presets by name."""
        return _presets()

    @property
    def name(self) -> str | None:
        """The preset that this is, or None."""
        return next((name for name, preset in _presets().items() if preset == self), None)

    @cached_property
    def masks(self) -> tuple[int, int, int]:
        """Y, Cb, Cr as 64-bit masks: bit `8 * v + u`."""
        y, cb, cr = (sum(1 << n for n in part) for part in (self.y, self.cb, self.cr))
        return y, cb, cr

    def __len__(self) -> int:
        return len(self.y) + len(self.cb) + len(self.cr)

    def __str__(self) -> str:
        return ";".join(f"{part}:{_ranges(getattr(self, part))}" for part in _PARTS)

    def __repr__(self) -> str:
        return f"ChannelSelection({self.name or str(self)!r}, {len(self.y)}+{len(self.cb)}+{len(self.cr)})"


@lru_cache(maxsize=256)  # a handful of masks serves millions of images
def frequencies_of(mask: int) -> tuple[int, ...]:
    """The set bits of a mask, ascending."""
    return tuple(n for n in range(_FREQUENCIES) if mask >> n & 1)


@lru_cache(maxsize=1)
def _presets() -> Mapping[str, ChannelSelection]:
    made = {}
    for name, (luma, chroma) in _PRESETS.items():
        y, c = (_lowest(p, "") if isinstance(p, int) else _numbers(p, "") for p in (luma, chroma))
        made[name] = ChannelSelection(y, c, c)
    return MappingProxyType(made)


@lru_cache(maxsize=256)
def _parsed(text: str) -> ChannelSelection:
    if ":" not in text:
        return _preset(text.strip())
    parts: dict[str, tuple[int, ...]] = {}
    for piece in text.split(";"):
        if not piece.strip():
            continue
        part, colon, numbers = piece.partition(":")
        part = part.strip().lower()
        if not colon or part not in _PARTS:
            raise ValueError(f"channels {text!r}: {piece!r} is none of y:..., cb:..., cr:...; write e.g. y:0-3,8;cb:0,1;cr:0,1")
        if part in parts:
            raise ValueError(f"channels {text!r}: {part} stands twice; write all its frequencies in one list")
        try:
            parts[part] = _numbers(numbers, part)
        except ValueError as error:
            raise ValueError(f"channels {text!r}: {error}") from None
    try:
        return ChannelSelection(*(parts.get(part, ()) for part in _PARTS))
    except ValueError as error:
        raise ValueError(f"channels {text!r}: {error}") from None


def _preset(name: str) -> ChannelSelection:
    presets = _presets()
    if name in presets:
        return presets[name]
    lower = name.lower()
    near = [lower] if lower in presets else difflib.get_close_matches(lower, presets, n=3, cutoff=0.5)
    hint = f", did you mean {' or '.join(near)}?" if near else "."
    raise ValueError(
        f"no preset is called {name!r}{hint} The presets are {', '.join(presets)}; your own list is written y:0-3,8;cb:0,1;cr:0,1"
    )


def _numbers(text: str, part: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for piece in text.split(","):
        words = piece.strip()
        if not words and not numbers and "," not in text:
            return ()
        first, dash, last = words.partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise ValueError(f"{part}: {words!r} is no frequency and no range; write e.g. 0-3,8") from None
        if low > high:
            raise ValueError(f"{part}: the range {words!r} runs backwards")
        if not 0 <= low <= high < _FREQUENCIES:
            raise ValueError(f"{part}: frequencies are 0..63 (8 * v + u, not the zigzag place), not {words}")
        numbers.extend(range(low, high + 1))
    return tuple(numbers)


def _sorted(numbers: Iterable[int], part: str) -> tuple[int, ...]:
    kept = tuple(sorted(operator.index(n) for n in numbers))
    if kept and not (kept[0] >= 0 and kept[-1] < _FREQUENCIES):
        raise ValueError(f"{part}: frequencies are 0..63 (8 * v + u), not {kept[0] if kept[0] < 0 else kept[-1]}")
    for a, b in zip(kept, kept[1:], strict=False):
        if a == b:
            raise ValueError(f"{part}: frequency {a} stands twice")
    return kept


def _lowest(count: int, part: str) -> tuple[int, ...]:
    if not 0 <= operator.index(count) <= _FREQUENCIES:
        raise ValueError(f"{part}: a component has 0..64 frequencies to keep, not {count}")
    return tuple(sorted(_core.ZIGZAG[:count]))


def _ranges(numbers: tuple[int, ...]) -> str:
    """Runs of three and more as `a-b`: (0, 1, 2, 3, 8, 9) -> "0-3,8,9"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ",".join(f"{r[0]}-{r[-1]}" if len(r) > 2 else ",".join(map(str, r)) for r in runs)
