"""What the headers of many images say, as arrays: what a plan for a whole batch is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dctload.jpeg import COLOR_SPACES, MAX_COMPONENTS, PROCESSES, Header

Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Headers:
    """Headers of a batch, one row an image; where `code` is not 0 the other numbers of the row are 0.

    Attributes:
        code: `[B]`, 0, or the number of the error that says why an image has no header.
        width: `[B]`, pixels as coded.
        height: `[B]`, likewise.
        orientation: `[B]`, EXIF orientation, 1..8.
        process: `[B]`, place in `PROCESSES`.
        color: `[B]`, place in `COLOR_SPACES`.
        num_components: `[B]`.
        h: `[B, 4]`, horizontal sampling factors; 0 where there is no such component.
        v: `[B, 4]`, vertical sampling factors.
    """

    code: Int
    width: Int
    height: Int
    orientation: Int
    process: Int
    color: Int
    num_components: Int
    h: Int
    v: Int

    @classmethod
    def of(cls, headers: Sequence[Header]) -> Headers:
        """Of headers, as `read_header` gives them."""
        rows = [
            (
                0,
                x.width,
                x.height,
                x.orientation,
                PROCESSES.index(x.process),
                COLOR_SPACES.index(x.color_space),
                len(x.components),
            )
            for x in headers
        ]
        columns = np.array(rows, np.int64).reshape(len(rows), 7).T
        factors = np.zeros((2, len(rows), MAX_COMPONENTS), np.int64)
        for i, header in enumerate(headers):
            for k, component in enumerate(header.components):
                factors[:, i, k] = component.h, component.v
        return cls(*columns, *factors)

    def __len__(self) -> int:
        return len(self.width)

    def __getitem__(self, places: Any) -> Headers:
        """The rows at `places`: a slice, a list of numbers, or a mask."""
        return Headers(*(getattr(self, field.name)[places] for field in fields(self)))

    @cached_property
    def h_max(self) -> Int:
        """`[B]`, the largest horizontal sampling factor; 1 where there is no header."""
        largest: Int = np.maximum(self.h.max(axis=1, initial=0), 1)
        return largest

    @cached_property
    def v_max(self) -> Int:
        """`[B]`, likewise, vertical."""
        largest: Int = np.maximum(self.v.max(axis=1, initial=0), 1)
        return largest
