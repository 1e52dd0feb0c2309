"""What the records of a packed batch say, as arrays: one row an image, one row a component. NumPy alone, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.channels import frequencies_of
from dctload.errors import code_name
from dctload.headers import Headers
from dctload.jpeg import MAX_COMPONENTS, status_name

Int = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """Facts of the images of a batch, int64, `[B]` unless said; 0 where an image failed.

    Attributes:
        record: Byte of the batch at which the image's record begins.
        width: Pixels as coded.
        height: Likewise.
        orientation: EXIF orientation, 1..8.
        color: Place in `dctload.jpeg.COLOR_SPACES`.
        process: Place in `dctload.jpeg.PROCESSES`.
        status: 0 ok, 1 truncated, 2 failed, 3 damaged.
        code: Number of the error of a failed image.
        region: `[B, 4]`, top, left, height, width in pixels as coded: what the record covers.
        num_components: 0 where an image failed.
        first_component: Row of the image's first component in `ComponentFacts`.
    """

    record: Int
    width: Int
    height: Int
    orientation: Int
    color: Int
    process: Int
    status: Int
    code: Int
    region: Int
    num_components: Int
    first_component: Int

    def __len__(self) -> int:
        return len(self.record)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """`[B]`, whether an image has no coefficients."""
        return np.asarray(self.num_components == 0)


@dataclass(frozen=True, eq=False)
class ComponentFacts:
    """Facts of all components of a batch, in the images' order, int64 `[M]` unless said.

    Attributes:
        image: Which image it belongs to.
        index: Its place among the image's components.
        id: As the file numbers it.
        h: Horizontal sampling factor.
        v: Vertical sampling factor.
        block_rows: Blocks of the whole component, down.
        block_cols: Likewise, across.
        x0: First column of blocks that the record delivers.
        y0: First row.
        cols: Columns of blocks that the record delivers.
        rows: Rows.
        skip_x: 0..7, column of the first tile in which the rectangle begins.
        skip_y: Likewise, row.
        tiles_x: Tiles across; 0 if no frequency is kept.
        tiles_y: Tiles down.
        channels: Kept frequencies, K.
        mask: uint64, bit `8 * v + u`.
        quantization: uint16 `[M, 64]`, row-major.
        table: Byte of the batch at which the tile table (u32, units of 16 bytes) begins.
        payload: Byte of the batch at which the tiles begin.
        first_tile: Tiles of the components before it.
        first_value: Values of the components before it: its place in the ragged storage of coefficients.
    """

    image: Int
    index: Int
    id: Int
    h: Int
    v: Int
    block_rows: Int
    block_cols: Int
    x0: Int
    y0: Int
    cols: Int
    rows: Int
    skip_x: Int
    skip_y: Int
    tiles_x: Int
    tiles_y: Int
    channels: Int
    mask: NDArray[np.uint64]
    quantization: NDArray[np.uint16]
    table: Int
    payload: Int
    first_tile: Int
    first_value: Int

    def __len__(self) -> int:
        return len(self.image)

    @property
    def tiles(self) -> Int:
        """`[M]`, tiles of the component."""
        return self.tiles_x * self.tiles_y

    @property
    def values(self) -> Int:
        """`[M]`, coefficients of the component, `K * rows * cols`."""
        return self.channels * self.rows * self.cols

    @cached_property
    def ranks(self) -> Int:
        """`[M, 64]`: which channel of the component a frequency is; -1 where it is not kept."""
        kept = (self.mask[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).astype(np.int64)
        return np.where(kept > 0, np.cumsum(kept, axis=1) - 1, -1)

    @cached_property
    def band(self) -> Int:
        """`[M, 2]`: vertical and horizontal frequencies below which all that is kept lies; 0 where nothing is."""
        kept = (self.ranks >= 0).reshape(-1, 8, 8)
        places = np.arange(1, 9)
        return np.stack([(kept.any(axis=2) * places).max(axis=1), (kept.any(axis=1) * places).max(axis=1)], axis=1)

    def frequencies(self, m: int) -> tuple[int, ...]:
        """Kept frequencies of row `m`, ascending: the channels of its plane."""
        return frequencies_of(int(self.mask[m]))


@dataclass(frozen=True, eq=False)
class BatchFacts:
    """All that the records of a batch say besides the coefficients."""

    images: ImageFacts
    components: ComponentFacts

    @classmethod
    def read(cls, batch: Bytes) -> BatchFacts:
        """Facts of a batch that `_core.records` has checked, read without a loop over the images.

        Args:
            batch: uint8 `[nbytes]` in host memory.
        """
        header = _rows(batch, np.zeros(1, np.int64), _BATCH)
        num_images, num_components = int(header["images"][0]), int(header["components"][0])
        at = _core.HEADER_BYTES + _core.ENTRY_BYTES * np.arange(num_images + num_components, dtype=np.int64)
        entries = _rows(batch, at[:num_images], _IMAGE_ENTRY)
        places = _rows(batch, at[num_images:], _COMPONENT_ENTRY)
        records = _whole(entries["record_offset"])
        images = _images(_rows(batch, records, _RECORD), records, entries)
        return cls(images, _components(batch, images, places))

    @property
    def num_tiles(self) -> int:
        """Tiles of the whole batch."""
        return int(self.components.tiles.sum())

    @property
    def num_values(self) -> int:
        """Coefficients of the whole batch."""
        return int(self.components.values.sum())

    @cached_property
    def status(self) -> tuple[str, ...]:
        """By image `"ok"`, `"truncated"`, `"damaged"`, or the code of the error that left it without coefficients."""
        images = self.images
        return tuple(
            code_name(code) if status == _core.STATUS_FAILED else status_name(status)
            for status, code in zip(images.status.tolist(), images.code.tolist(), strict=True)
        )

    @cached_property
    def headers(self) -> Headers:
        """The same facts in the form from which plans are made."""
        images, parts = self.images, self.components
        h, v = np.zeros((2, len(images), MAX_COMPONENTS), np.int64)
        h[parts.image, parts.index] = parts.h
        v[parts.image, parts.index] = parts.v
        return Headers(
            images.code,
            images.width,
            images.height,
            images.orientation,
            images.process,
            images.color,
            images.num_components,
            h,
            v,
        )

    def rows_of(self, image: int) -> range:
        """Rows of an image's components in `components`."""
        first = int(self.images.first_component[image])
        return range(first, first + int(self.images.num_components[image]))


def _layout(nbytes: int, fields: Mapping[str, tuple[int, str]]) -> np.dtype[Any]:
    names, kinds, offsets = list(fields), [kind for _, kind in fields.values()], [at for at, _ in fields.values()]
    return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": nbytes})


_BATCH = _layout(_core.HEADER_BYTES, _core.BATCH_FIELDS)
_IMAGE_ENTRY = _layout(_core.ENTRY_BYTES, _core.IMAGE_ENTRY_FIELDS)
_COMPONENT_ENTRY = _layout(_core.ENTRY_BYTES, _core.COMPONENT_ENTRY_FIELDS)
_RECORD = _layout(_core.HEADER_BYTES, _core.RECORD_FIELDS)
_COMPONENT = _layout(_core.COMPONENT_BYTES, _core.COMPONENT_FIELDS)


def _rows(batch: Bytes, offsets: Int, layout: np.dtype[Any]) -> NDArray[Any]:
    """Structs at multiples of 16, as one structured array."""
    units = batch.reshape(-1, _core.ALIGN)[(offsets // _core.ALIGN)[:, None] + np.arange(layout.itemsize // _core.ALIGN)]
    rows: NDArray[Any] = np.ascontiguousarray(units).reshape(len(offsets), layout.itemsize).view(layout)[:, 0]
    return rows


def _whole(values: NDArray[Any]) -> Int:
    return values.astype(np.int64)


def _images(records: NDArray[Any], offsets: Int, entries: NDArray[Any]) -> ImageFacts:
    """What is known of a failed image is its code; the rest of its row is 0, as in `Headers`."""
    alive = records["num_components"] > 0

    def known(name: str) -> Int:
        values = _whole(records[name])
        values[~alive] = 0
        return values

    return ImageFacts(
        record=offsets,
        width=known("width"),
        height=known("height"),
        orientation=known("orientation"),
        color=known("color"),
        process=known("process"),
        status=_whole(records["status"]),
        code=np.where(alive, 0, _whole(records["error_code"])),
        region=known("region"),
        num_components=known("num_components"),
        first_component=_whole(entries["first_component"]),
    )


def _components(batch: Bytes, images: ImageFacts, places: NDArray[Any]) -> ComponentFacts:
    at = _whole(places["record_offset16"]) * _core.ALIGN
    rows = _rows(batch, at, _COMPONENT)
    image = np.repeat(np.arange(len(images)), images.num_components)
    record = images.record[image]
    return ComponentFacts(
        image=image,
        index=_whole(rows["index"]),
        id=_whole(rows["id"]),
        h=_whole(rows["h_factor"]),
        v=_whole(rows["v_factor"]),
        block_rows=_whole(rows["block_rows"]),
        block_cols=_whole(rows["block_cols"]),
        x0=_whole(rows["x0"]),
        y0=_whole(rows["y0"]),
        cols=_whole(rows["w"]),
        rows=_whole(rows["h"]),
        skip_x=_whole(rows["skip_x"]),
        skip_y=_whole(rows["skip_y"]),
        tiles_x=_whole(rows["tiles_x"]),
        tiles_y=_whole(rows["tiles_y"]),
        channels=_whole(rows["channels"]),
        mask=rows["mask"].astype(np.uint64),
        quantization=rows["quantization"].astype(np.uint16),
        table=record + _whole(rows["table_offset"]),
        payload=record + _whole(rows["payload_offset"]),
        first_tile=_whole(places["first_tile"]),
        first_value=_whole(places["first_value"]),
    )
