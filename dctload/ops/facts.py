"""What the records of a packed batch say, as arrays: one row an image, one row a component. NumPy alone, no tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
        region: `[B, 4]`, top, left, height, width in pixels as coded: what the record covers.
        record: Byte of the batch at which the image's record begins.
        width: Pixels as coded.
        height: Likewise.
        orientation: EXIF orientation, 1..8.
        color: Place in `dctload.jpeg.COLOR_SPACES`.
        process: Place in `dctload.jpeg.PROCESSES`.
        status: 0 ok, 1 truncated, 2 failed, 3 damaged.
        code: Number of the error of a failed image.
        num_components: 0 where an image failed.
        first_component: Row of the image's first component in `ComponentFacts`.
    """

    region: Int
    record: Int
    width: Int
    height: Int
    orientation: Int
    color: Int
    process: Int
    status: Int
    code: Int
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
        mask: uint64, bit `8 * v + u`.
        quantization: uint16 `[M, 64]`, row-major.
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
        table: Byte of the batch at which the tile table (u32, units of 16 bytes) begins.
        payload: Byte of the batch at which the tiles begin.
        first_tile: Tiles of the components before it.
        first_value: Values of the components before it: its place in the ragged storage of coefficients.
    """

    mask: NDArray[np.uint64]
    quantization: NDArray[np.uint16]
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
        """Facts of a batch that `_core.records` has checked, read in one pass.

        Args:
            batch: uint8 `[nbytes]` in host memory.
        """
        images, regions, parts, masks, quantization = _core.batch_facts(batch)
        return cls(ImageFacts(regions, *images), ComponentFacts(masks, quantization, *parts))

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
