"""What may be done to coefficients before they are stored: a resize, or coarser steps. Never by default.

`extract(resize=512)` makes what the papers' models read: the shorter side 512, chroma on luma's grid, so that training crops and
flips whole blocks and resizes nothing. The picture goes through `dctload.ops.resample`, frequencies to frequencies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dctload import _core
from dctload.channels import ChannelSelection
from dctload.errors import JPEGError, code_number, error_from_code, install_line
from dctload.jpeg import (
    COLOR_SPACES,
    WITHOUT_YCBCR,
    Component,
    Header,
    header_from_facts,
    status_name,
    whole_number,
)
from dctload.packed import PackedBatch, pack, unpack_reference

if TYPE_CHECKING:
    from dctload.ops import DCTBatch

# python -m benchmarks.resized, 180 ImageNet files, 24s at 512: steps 1, 2, 4, 8 make 108, 90, 73, 56 kB an image (JPEG: 109),
# with luma at 66, 59, 53, 48 dB and the normalised channels at 36, 30, 25, 19 dB. 4 is the coarsest above 50 dB.
DEFAULT_STEP = 4
_MULTIPLE = 16  # of the longer side: the middle of any multiple of 16 then begins at a whole block
_MOST_SIDE = 65535  # as a record's header holds it
_MOST_VALUES = 1 << 24  # float32 of resampled pictures at a time
_TEXT = re.compile(r"source|requantize (?P<coarsest>\d+)|resize (?P<size>\d+) step (?P<step>\d+)")

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Quantization:
    """What was done to the coefficients of a set; its text is the manifest's `quantization`.

    Attributes:
        resize: Pixels of the shorter side, or 0: the files' own size.
        step: Quantisation step of resized pictures, of all frequencies, 1..255; 0 without a resize.
        requantize: The least step, to which finer ones were coarsened; 0: none.
    """

    resize: int = 0
    step: int = 0
    requantize: int = 0

    @classmethod
    def asked(cls, resize: int | None, step: int | None, requantize: int | None) -> Quantization:
        """Of `extract`'s arguments.

        Raises:
            ValueError: One is out of its range, or they do not go together.
            TypeError: One is no whole number.
        """
        if resize is not None and (not 8 <= whole_number(resize, "resize") <= _MOST_SIDE or resize % 8):
            raise ValueError(
                f"resize is the shorter side in pixels, a multiple of 8 (blocks are 8 x 8) from 8 to {_MOST_SIDE // 8 * 8}, "
                f"not {resize}"
            )
        if step is not None and resize is None:
            raise ValueError("step goes with resize; to coarsen the files' own coefficients pass requantize")
        if requantize is not None and resize is not None:
            raise ValueError("requantize does not go with resize, whose coefficients have one step: pass step")
        for name, value in (("step", step), ("requantize", requantize)):
            if value is not None and not 1 <= whole_number(value, name) <= 255:
                raise ValueError(f"{name} is a quantisation step, 1..255, not {value}")
        if resize is not None:
            return cls(resize=resize, step=DEFAULT_STEP if step is None else step)
        return cls(requantize=requantize or 0)

    @classmethod
    def parse(cls, text: str) -> Quantization:
        """Of the text form.

        Raises:
            ValueError: It is of another form, perhaps of a newer release.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"quantization {text!r} is unknown to this release of dctload")
        return cls(*(int(found[name] or 0) for name in ("size", "step", "coarsest")))

    def __str__(self) -> str:
        if self.resize:
            return f"resize {self.resize} step {self.step}"
        return f"requantize {self.requantize}" if self.requantize else "source"

    @property
    def options(self) -> dict[str, int]:
        """The arguments of `extract` that ask for it."""
        names = ("resize", "step", "requantize")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def resized_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a resized picture, for arguments `height, width`.

    The shorter side becomes `size`, the longer one keeps the proportion and is rounded to a multiple of 16, at least `size`: 375
    x 500 pixels become 512 x 688 for 512 (exact: 682.7). So all blocks are whole, flips in blocks exact, and what `CenterCrop`
    takes (a multiple of 16) begins at a block.
    """
    short, long = min(height, width), max(height, width)
    longer = max(size, (long * size * 2 + short * _MULTIPLE) // (2 * short * _MULTIPLE) * _MULTIPLE)
    return (longer, size) if height > width else (size, longer)


class Changer:
    """Makes changed records of records. One thread at a time may use it.

    Args:
        quantization: What to do.
        selection: What is kept of the result.
        num_threads: That resample.

    Raises:
        ImportError: A resize is wanted, and torch is not installed.
    """

    def __init__(self, quantization: Quantization, selection: ChannelSelection, num_threads: int) -> None:
        self._quantization, self._selection = quantization, selection
        self._resampler: Any = None
        if quantization.resize:
            try:
                import torch  # noqa: F401 - what follows needs it; said here, before anything is decoded
            except ImportError as error:
                raise ImportError(install_line("resize needs torch", "torch")) from error
            self._resampler = _core.Resampler(num_threads)

    @property
    def source_selection(self) -> ChannelSelection:
        """What is to be decoded: a resize blends all frequencies into each that is kept."""
        return ChannelSelection.parse("all") if self._quantization.resize else self._selection

    def changed(self, records: Sequence[memoryview]) -> tuple[PackedBatch, dict[int, JPEGError]]:
        """Records of the changed pictures, in order, and by place why there is none; those are not in the batch."""
        batch = PackedBatch.join(records)
        made, errors = self._resized(batch) if self._quantization.resize else (self._requantized(batch), {})
        return PackedBatch.join([record for record in made if record]).select(self._selection), errors

    # --------------------------------------------------------------------------------------------------- coarser steps

    def _requantized(self, batch: PackedBatch) -> list[bytes]:
        made: list[bytes] = []
        for image in unpack_reference(batch):
            assert image is not None  # failed images have no record
            planes, tables = [], []
            for plane, kept, part in zip(image.planes, image.frequencies, image.header.components, strict=True):
                steps = np.maximum(part.quantization, self._quantization.requantize)
                whole = np.zeros((64, part.block_rows, part.block_cols), np.int16)
                # Whole numbers below 2^31 over whole numbers: float64 gives the same on every machine; halves go to even.
                old, new = (table.astype(np.float64)[list(kept), None, None] for table in (part.quantization, steps))
                whole[list(kept)] = np.rint(plane * old / new)
                planes.append(whole)
                tables.append(steps)
            came = _came(batch.image_bytes(len(made)), image.header.num_mcus)
            made.append(pack(planes, tables, image.header, **came))
        return made

    # --------------------------------------------------------------------------------------------------------- a resize

    def _resized(self, batch: PackedBatch) -> tuple[list[bytes], dict[int, JPEGError]]:
        from dctload.ops import unpack

        made, errors = [b""] * len(batch), {}
        groups: dict[tuple[int, int], list[int]] = {}
        headers = [batch.header(i) for i in range(len(batch))]
        for i, header in enumerate(headers):
            assert header is not None  # failed images have no record
            size = resized_size(header.height, header.width, self._quantization.resize)
            error = _refusal(header, size)
            if error is not None:
                errors[i] = error
            else:
                groups.setdefault(size, []).append(i)
        images = unpack(batch, checked=True)
        for size, places in groups.items():
            most = max(1, _MOST_VALUES // (len(self._selection) * size[0] * size[1] // 64))
            for first in range(0, len(places), most):
                some = places[first : first + most]
                for i, values in zip(some, self._resample(images, size, some), strict=True):
                    header = headers[i]
                    assert header is not None
                    made[i] = self._record(values, size, header, batch.image_bytes(i))
        return made, errors

    def _resample(self, images: DCTBatch, size: tuple[int, int], places: list[int]) -> Values:
        """float32 `[N, channels, rows, cols]`, in quantisation steps."""
        from dctload.ops import Geometry, resample

        sizes = np.stack([images.images.height[places], images.images.width[places]], axis=1).astype(np.float64)
        whole = np.stack([np.zeros_like(sizes), sizes], axis=2)
        geometry = Geometry(whole, whole, np.zeros(len(places), np.bool_), size)
        out = resample(images, geometry, self._selection, images=places, resampler=self._resampler)
        values: Values = out.numpy()
        values /= self._quantization.step
        return np.rint(values, out=values)

    def _record(self, values: Values, size: tuple[int, int], header: Header, source: memoryview) -> bytes:
        rows, cols = size[0] // 8, size[1] // 8
        is_gray = len(header.components) == 1
        steps = np.full(64, self._quantization.step, np.uint16)
        planes, at = [], 0
        for kept in (self._selection.y, self._selection.cb, self._selection.cr)[: 1 if is_gray else 3]:
            plane = np.zeros((64, rows, cols), np.int16)
            plane[list(kept)] = np.clip(values[at : at + len(kept)], -32767, 32767)
            planes.append(plane)
            at += len(kept)
        components = tuple(Component(k + 1, 1, 1, rows, cols, steps) for k in range(len(planes)))
        color = "gray" if is_gray else "ycbcr"
        changed = Header(size[1], size[0], 8, header.orientation, "baseline", color, 0, rows * cols, components)
        return pack(planes, [steps] * len(planes), changed, **_came(source, changed.num_mcus))


def _came(source: memoryview, num_mcus: int) -> dict[str, Any]:
    """Status and MCUs of a record of `num_mcus` that is made of another one, as `pack` takes them.

    Of the MCUs the same share came as of the source's: on another grid that is the nearest to be said.
    """
    described = _core.describe(source)
    assert described is not None  # failed images have no record
    facts, _, _, status, valid = described
    name = status_name(status)
    return {} if name == "ok" else {"status": name, "valid_mcus": valid * num_mcus // header_from_facts(facts).num_mcus}


def _refusal(header: Header, size: tuple[int, int]) -> JPEGError | None:
    color = COLOR_SPACES.index(header.color_space)
    if color in WITHOUT_YCBCR or len(header.components) not in (1, 3):
        return error_from_code(code_number("color_space"), offset=0, detail=color)
    if max(size) > _MOST_SIDE:
        fact = f"resized, the image would have {size[1]} x {size[0]} pixels; a record holds up to {_MOST_SIDE} a side"
        return error_from_code(code_number("limit_record"), offset=0, fact=fact, remedy="take a smaller resize")
    return None
