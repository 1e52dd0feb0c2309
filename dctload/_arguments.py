"""Arguments of the calls that take many images: checked, and in the form that the core takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.jpeg import box_tuple, checked_buffer, whole_number

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload._core import Buffer
    from dctload.jpeg import Source

    Channels: TypeAlias = str | ChannelSelection
    Region: TypeAlias = Sequence[int]

_T = TypeVar("_T")
_MOST = 2**32 - 1


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count(workers: int) -> int:
    """Threads for an argument `workers`; 0 stands for one a core.

    Raises:
        ValueError: It is below 0.
    """
    if whole_number(workers, "workers") < 0:
        raise ValueError(f"workers is 0 (one a core) or more, not {workers}")
    return workers or usable_cores()


def source_list(sources: Iterable[Source]) -> tuple[list[Buffer | str], list[str | None]]:
    """Sources as the core takes them (a str is a path, all else a buffer), and the names of those that are paths."""
    if isinstance(sources, (str, os.PathLike)):
        raise TypeError(f"sources is a list of images, not one path; write [{os.fspath(sources)!r}]")
    if isinstance(sources, (bytes, bytearray, memoryview, np.ndarray)):
        raise TypeError("sources is a list of images, not the bytes of one; write [data]")
    data: list[Buffer | str] = []
    names: list[str | None] = []
    for i, item in enumerate(listed(sources, "sources")):
        if isinstance(item, (str, os.PathLike)):
            name = os.fspath(item)
            path = os.fsdecode(name)
            if "\0" in path:
                raise ValueError(f"a path holds no zero byte: {name!r}")
            names.append(name)
            data.append(path)
        else:
            names.append(None)
            data.append(item if isinstance(item, bytes) else checked_buffer(item, f"sources[{i}]"))
    return data, names


def listed(values: Iterable[_T], what: str) -> list[_T]:
    """The values as a list; TypeError, with the argument's name, if there is nothing to go through."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} is a list, not {type(values).__name__}")
    return list(values)


def checked_bytes(buffer: Buffer, what: str) -> Buffer:
    try:
        memoryview(cast("bytes", buffer)).release()
    except TypeError:
        raise TypeError(f"{what} is a buffer of bytes (bytes, memoryview, uint8 array), not {type(buffer).__name__}") from None
    return buffer


def as_uint8(buffer: Buffer) -> NDArray[np.uint8]:
    view = memoryview(cast("bytes", buffer))
    if view.nbytes == 0:
        return np.empty(0, np.uint8)
    return np.frombuffer(view, np.uint8)


def checked_out(out: Buffer) -> NDArray[np.uint8]:
    view = memoryview(cast("bytes", checked_bytes(out, "out")))
    if view.readonly:
        raise ValueError("out is read-only; pass a writable uint8 buffer")
    if view.itemsize != 1:
        raise ValueError(f"out holds items of {view.itemsize} bytes; pass a uint8 buffer")
    if not view.c_contiguous:
        raise ValueError("out is not contiguous; pass a contiguous uint8 buffer")
    target = as_uint8(view)
    if target.nbytes and target.ctypes.data % _core.ALIGN:
        raise ValueError(
            f"out begins {target.ctypes.data % _core.ALIGN} bytes after a multiple of {_core.ALIGN}; pass a buffer whose address "
            f"is a multiple of {_core.ALIGN}"
        )
    return target


def _per_image(what: str, values: Sequence[_T], count: int) -> list[_T]:
    if len(values) != count:
        raise ValueError(f"{what} has {len(values)} entries for {count} images; give one for all, or as many as images")
    return list(values)


def selection_list(
    channels: Channels | Sequence[Channels], count: int
) -> tuple[list[ChannelSelection], ChannelSelection | list[ChannelSelection]]:
    """One selection an image, and what the batch remembers."""
    if isinstance(channels, (str, ChannelSelection)) or not isinstance(channels, Sequence):
        one = ChannelSelection.parse(channels)
        return [one] * count, one
    many = _per_image("channels", [ChannelSelection.parse(c) for c in channels], count)
    return many, many


def box_list(regions: Region | Sequence[Region | None] | None, count: int) -> list[tuple[int, int, int, int] | None]:
    if regions is None:
        return [None] * count
    if not isinstance(regions, (Sequence, np.ndarray)):
        raise TypeError(
            f"regions is a box (top, left, height, width), or a list with a box or None an image, not {type(regions).__name__}"
        )
    if len(regions) == 4 and all(isinstance(number, (int, np.integer)) for number in regions):
        return [box_tuple(cast("Sequence[int]", regions))] * count
    return _per_image("regions", [box_tuple(box) for box in cast("Sequence[Sequence[int] | None]", regions)], count)


def selection_masks(
    channels: Channels | Sequence[Channels], count: int
) -> tuple[_core.Masks | NDArray[np.uint64], ChannelSelection | list[ChannelSelection]]:
    """The masks of one selection for all, or uint64 `[count, 3]` of one an image; and what the batch remembers."""
    if isinstance(channels, (str, ChannelSelection)):
        one = ChannelSelection.parse(channels)
        return one.masks, one
    many, kept = selection_list(channels, count)
    return np.array([selection.masks for selection in many], np.uint64).reshape(-1, 3), kept


def box_table(regions: Region | Sequence[Region | None] | None, count: int) -> NDArray[np.int64] | None:
    """int64 `[B, 4]` of checked boxes, a height of 0 for the whole image; None where all are whole."""
    if regions is None:
        return None
    return np.array([box or (0, 0, 0, 0) for box in box_list(regions, count)], np.int64).reshape(-1, 4)


def checked_masks(masks: ArrayLike, count: int) -> NDArray[np.uint64]:
    """uint64 `[count, 3]`, contiguous."""
    table = np.ascontiguousarray(masks, None if isinstance(masks, np.ndarray) else np.uint64)
    if table.dtype != np.uint64:
        raise TypeError(f"masks is uint64, not {table.dtype}")
    if table.shape != (count, 3):
        raise ValueError(f"masks has the shape [{count}, 3], Y, Cb and Cr an image, not {list(table.shape)}")
    return table


def checked_boxes(boxes: ArrayLike | None, count: int) -> NDArray[np.int64] | None:
    """int64 `[count, 4]`, contiguous, of boxes that are whole images (height 0) or at least a pixel large."""
    if boxes is None:
        return None
    table = np.ascontiguousarray(boxes)
    if table.dtype.kind not in "iu" and table.size:
        raise TypeError(f"boxes is int64, not {table.dtype}")
    if table.shape != (count, 4):
        raise ValueError(f"boxes has the shape [{count}, 4], (top, left, height, width) an image, not {list(table.shape)}")
    table = table.astype(np.int64, copy=False)
    wrong = np.flatnonzero((table < 0).any(axis=1) | ((table[:, 2] > 0) & (table[:, 3] == 0)))
    if wrong.size:
        box = tuple(table[wrong[0]].tolist())
        raise ValueError(f"boxes[{wrong[0]}] begins at 0 or more and is at least 1 pixel high and wide, or 0 high, not {box}")
    clipped: NDArray[np.int64] = np.minimum(table, _MOST)  # the core's boxes have 32 bits
    return clipped


def checked_places(places: ArrayLike | None, count: int) -> NDArray[np.int64]:
    """int64 `[n]`, each 0 to count - 1; all of them in their order where `places` is None."""
    if places is None:
        return np.arange(count, dtype=np.int64)
    table = np.ascontiguousarray(places)
    if table.dtype.kind not in "iu" and table.size:
        raise TypeError(f"places are whole numbers, not {table.dtype}")
    if table.ndim != 1:
        raise ValueError(f"places has the shape [n], not {list(table.shape)}")
    if table.size and not 0 <= table.min() <= table.max() < count:
        raise IndexError(f"places are 0 to {count - 1}, not {table.min()} to {table.max()}")
    return table.astype(np.int64, copy=False)


def checked_column(values: ArrayLike, what: str, count: int | None = None) -> NDArray[np.int64]:
    """int64 `[count]`, contiguous; of any length where `count` is None."""
    column = np.ascontiguousarray(values)
    if column.dtype.kind not in "iu" and column.size:
        raise TypeError(f"{what} holds whole numbers, not {column.dtype}")
    if column.ndim != 1 or (count is not None and len(column) != count):
        raise ValueError(f"{what} has the shape [{'B' if count is None else count}], a number an image, not {list(column.shape)}")
    return column.astype(np.int64, copy=False)


def checked_flags(values: ArrayLike | None, what: str, count: int) -> NDArray[np.bool_]:
    """A copy, bool `[count]`; all False where `values` is None."""
    if values is None:
        return np.zeros(count, np.bool_)
    flags = np.array(values)
    if flags.dtype != np.bool_:
        raise TypeError(f"{what} is bool, not {flags.dtype}")
    if flags.shape != (count,):
        raise ValueError(f"{what} has the shape [{count}], a bool an image, not {list(flags.shape)}")
    return flags


class Names(Sequence["str | None"]):
    """Names of images, asked for one by one when they are needed: most are needed for messages only.

    Pickled, it becomes a list.
    """

    def __init__(self, name: Callable[[int], str | None], places: Sequence[int] | NDArray[np.int64]) -> None:
        """Of the images at `places`; `name` is called with one of these."""
        self._name = name
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, i: int) -> str | None: ...
    @overload
    def __getitem__(self, i: slice) -> Names: ...
    def __getitem__(self, i: int | slice) -> str | Names | None:
        if isinstance(i, slice):
            return Names(self._name, self._places[i])
        return self._name(int(self._places[i]))

    def __reduce__(self) -> tuple[object, ...]:
        return list, (list(self),)


def name_list(names: Sequence[str | None] | Callable[[int], str | None] | None, count: int) -> Sequence[str | None]:
    """Names by place in whatever form they come; none at all where `names` is None."""
    if names is None:
        return Names(lambda _: None, range(count))
    if callable(names):
        return Names(names, range(count))
    if len(names) != count:
        raise ValueError(f"names has {len(names)} entries for {count} images")
    return names
