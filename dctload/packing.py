"""From planes to a packed record, and how large a batch can become: what needs headers, but no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload._arguments import box_list, listed, selection_list
from dctload.errors import error_from_code
from dctload.jpeg import STATUSES, Header, facts_from_header, outside_error

if TYPE_CHECKING:
    from dctload._arguments import Channels, Region


def packed_bound(
    headers: Sequence[Header],
    channels: Channels | Sequence[Channels] = "24s",
    regions: Region | Sequence[Region | None] | None = None,
) -> int:
    """Bytes that a batch of these images cannot pass, whatever is in them.

    Args:
        headers: Of the images, from `read_header`.
        channels: As for `extract`.
        regions: As for `extract`.

    Raises:
        ValueError: A region does not touch its image.
    """
    items = [_checked_header(item, f"headers[{i}]") for i, item in enumerate(listed(headers, "headers"))]
    selections, _ = selection_list(channels, len(items))
    boxes = box_list(regions, len(items))
    outside, nbytes = _core.bound([facts_from_header(h) for h in items], [s.masks for s in selections], boxes)
    box = boxes[outside] if outside is not None else None
    if outside is not None and box is not None:
        raise outside_error(box, items[outside], index=outside)
    return nbytes


def pack(
    planes: Sequence[NDArray[np.int16]],
    tables: Sequence[ArrayLike],
    header: Header,
    *,
    status: str = "ok",
    valid_mcus: int | None = None,
) -> bytes:
    """The record of one image from whole planes: what `image_bytes` would give for a file that holds them.

    Args:
        planes: By component, int16 `[64, block_rows, block_cols]`, quantised, row-major frequency order.
        tables: By component, its quantisation table `[64]`, row-major, 1..65535.
        header: Size, sampling, colour and orientation of the image.
        status: `"ok"`, or `"truncated"` or `"damaged"` where not all of the image came.
        valid_mcus: MCUs that came; None: all of them.

    Raises:
        ValueError: A shape or a table is not what the header asks for; another status, or more MCUs than there are.
        TypeError: Planes that are not int16.
        LimitExceeded: The record would pass 2^32 - 16 bytes.
    """
    components = _checked_header(header, "header").components
    if status not in STATUSES or status == "failed":
        raise ValueError(f'status is "ok", "truncated" or "damaged", not {status!r}')
    came = header.num_mcus if valid_mcus is None else valid_mcus
    if not 0 <= came <= header.num_mcus or (status == "ok" and came < header.num_mcus):
        raise ValueError(f"valid_mcus is 0 to {header.num_mcus}, all of them where the status is ok, not {came}")
    if len(planes) != len(components) or len(tables) != len(components):
        raise ValueError(f"the header has {len(components)} components, not {len(planes)} planes and {len(tables)} tables")
    facts, arrays = [], []
    for k, (component, plane, table) in enumerate(zip(components, planes, tables, strict=True)):
        array, shape = np.asarray(plane), (64, component.block_rows, component.block_cols)
        if array.dtype != np.int16:
            raise TypeError(f"planes[{k}] is int16, not {array.dtype}")
        if array.shape != shape:
            raise ValueError(f"planes[{k}] has the shape {shape} by the header, not {array.shape}")
        steps = np.asarray(table)
        if steps.shape != (64,) or steps.dtype.kind not in "iu" or steps.min() < 1 or steps.max() > 65535:
            raise ValueError(f"tables[{k}] is 64 integers of 1..65535")
        arrays.append(np.ascontiguousarray(array))
        facts.append(
            (component.id, component.h, component.v, component.block_rows, component.block_cols, steps.astype(np.uint16))
        )
    (code, detail, offset), record = _core.pack(
        arrays, (*facts_from_header(header)[:8], tuple(facts)), STATUSES.index(status), came
    )
    if code:
        raise error_from_code(code, offset=offset, detail=detail)
    return record


def _checked_header(header: Header, what: str) -> Header:
    if not isinstance(header, Header):
        raise TypeError(f"{what} is a Header, as read_header gives it, not {type(header).__name__}")
    return header
