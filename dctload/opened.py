"""Images whose headers are known and whose coefficients are not decoded yet: the first of two phases."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dctload import _core
from dctload._arguments import Names, checked_boxes, checked_masks, checked_places
from dctload.errors import JPEGError, code_name, error_from_code
from dctload.headers import Headers
from dctload.jpeg import Limits, header_from_facts, keeps_truncated, outside_error, read_header

if TYPE_CHECKING:
    from dctload._core import Buffer
    from dctload.channels import ChannelSelection
    from dctload.packed import Extractor, PackedBatch


class OpenImages:
    """Images with their headers, from `Extractor.open` or `Extractor.open_records`: look at `headers`, then `extract`.

    The files stay in memory until `close`, the end of a with statement, or the end of the object; the extractor's next
    batch uses the memory again. Several may be open at a time. Calls of one extractor wait for one another, from whatever
    thread they come.

    Attributes:
        headers: One row an image; `headers.code` is not 0 where an image has no header.
        trusted: bool `[B]`, of stored records: whose tiles are known to be those of their checksum. `extract` sets it for
            what it has checked, and does not check that again. None where the images are files.
    """

    headers: Headers
    trusted: NDArray[np.bool_] | None

    def __init__(
        self,
        extractor: Extractor,
        opened: _core.OpenBatch,
        names: Sequence[str | None],
        limits: Limits | None,
        trusted: NDArray[np.bool_] | None = None,
    ) -> None:
        """Of what the core has opened; use `Extractor.open` or `Extractor.open_records`."""
        self._facts, factors = opened.headers()
        self.headers = Headers(*self._facts[:7], *factors)
        self._extractor = extractor
        self._core: _core.OpenBatch | None = opened
        self._names = names
        self._limits = limits
        self.trusted = trusted

    @property
    def nbytes(self) -> int:
        """Of all the files, or records."""
        return int(self._facts[9].sum())

    def __len__(self) -> int:
        return len(self._names)

    @property
    def errors(self) -> dict[int, JPEGError]:
        """By place, why an image has no header; `.source` and `.index` are set."""
        return {i: self._error(i) for i in np.flatnonzero(self.headers.code).tolist()}

    def bytes(self, i: int) -> bytes:
        """A copy of file (or record) `i`, whatever is wrong with it; empty where it could not be read."""
        place = operator.index(i)
        if not -len(self) <= place < len(self):
            raise IndexError(f"image {i} of {len(self)}")
        return self._opened().bytes(place % len(self))

    def extract(
        self,
        masks: ArrayLike,
        boxes: ArrayLike | None = None,
        *,
        places: ArrayLike | None = None,
        on_error: str = "raise",
        truncated: str = "error",
        out: Buffer | Callable[[int], Buffer | None] | None = None,
        channels: ChannelSelection | list[ChannelSelection] | None = None,
        extractor: Extractor | None = None,
    ) -> PackedBatch:
        """Packed coefficients: the bytes that `extract` gives for the same selections and regions.

        It may be called any number of times, for other places or with other masks.

        Args:
            masks: uint64 `[B, 3]`, kept frequencies of Y, Cb and Cr as `ChannelSelection.masks`; one row for each image that
                was opened, whether it is in `places` or not.
            boxes: int64 `[B, 4]`, likewise: (top, left, height, width) in pixels as coded, snapped out to whole MCUs; a
                height of 0 stands for the whole image. None: all of them whole.
            places: int `[n]`, 0 to B - 1: which images go into the batch, in this order. None: all.
            on_error: As for `extract`. An image without a header fails as the header did.
            truncated: As for `extract`.
            out: As for `extract`, or a function of the bytes needed that gives such a buffer, or None: fresh memory.
            channels: What `PackedBatch.channels` says of the batch, by place in it; the masks decide what is kept.
            extractor: Whose threads decode; None: of the one that opened the images, which then cannot open others meanwhile.

        Raises:
            JPEGError: An image failed and `on_error` is `"raise"`; `.index` is its place in the batch. OSError where its
                file cannot be opened.
            ValueError: An argument is wrong, `out` is too small, or the files are closed.
        """
        rows = checked_places(places, len(self))
        kept, wanted = checked_masks(masks, len(self))[rows], checked_boxes(boxes, len(self))
        wanted = None if wanted is None else wanted[rows]
        keep = keeps_truncated(truncated)

        def decode() -> _core.Decoded:
            known = None if self.trusted is None else self.trusted[rows]
            return decoder._core.decode_open(self._opened(), rows, kept, wanted, keep, known)

        def error(i: int, outcome: _core.Result) -> Exception:
            box, place = None if wanted is None else wanted[i], int(rows[i])
            if self.trusted is not None:
                return _record_error(self._opened().bytes(place), self._names[place], box, outcome, i)
            return batch_error(self._opened().bytes(place), self._names[place], box, self._limits, outcome, i)

        decoder, names = extractor if extractor is not None else self._extractor, self._names
        if places is not None:
            names = Names(names.__getitem__, rows)
        if isinstance(channels, list) and len(channels) != len(rows):
            raise ValueError(f"channels has {len(channels)} entries for {len(rows)} images")
        batch = decoder._packed(decode, error, names, channels, on_error, out)
        if self.trusted is not None:
            self.trusted[rows[~batch.failures]] = True
        return batch

    def close(self) -> None:
        """Lets the files go, when a call that is reading them has returned. `headers` and `errors` stay."""
        with self._extractor._turn():
            self._core = None

    def __enter__(self) -> OpenImages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        bad = int(np.count_nonzero(self.headers.code))
        closed = ", closed" if self._core is None else ""
        return f"OpenImages({len(self)} images{f', {bad} without a header' if bad else ''}{closed})"

    def _opened(self) -> _core.OpenBatch:
        if self._core is None:
            raise ValueError("the images are closed; extract before close(), or open them again")
        return self._core

    def _error(self, i: int) -> JPEGError:
        code, detail, offset = (int(self._facts[row, i]) for row in (0, 7, 8))
        return error_from_code(code, offset=offset, detail=detail, index=i, source=self._names[i])


def batch_error(
    source: Buffer | str,
    name: str | None,
    box: NDArray[np.int64] | None,
    limits: Limits | None,
    outcome: _core.Result,
    index: int,
) -> Exception:
    """What to raise for an image of a batch that is a file; more is found out here than the batch's marks can hold."""
    number, detail, offset = outcome
    code = code_name(number)
    if code == "io_error" and name is not None:
        try:
            with open(name, "rb"):  # noqa: PTH123 - the system's own error says why
                pass
        except OSError as error:
            return error
    if code == "region_outside" and box is not None:
        top, left, height, width = box.tolist()
        header = read_header(source, limits=limits)
        return outside_error((top, left, height, width), header, index=index, source=name)
    return error_from_code(number, offset=offset, detail=detail, index=index, source=name, in_batch=True)


def _record_error(record: bytes, name: str | None, box: NDArray[np.int64] | None, outcome: _core.Result, index: int) -> JPEGError:
    """The same for a stored record. Its name may be no path here, whatever its code is."""
    number, detail, offset = outcome
    described = _core.describe(record) if box is not None and code_name(number) == "region_outside" else None
    if box is None or described is None:
        return error_from_code(number, offset=offset, detail=detail, index=index, source=name, in_batch=True)
    top, left, height, width = box.tolist()
    header, own = header_from_facts(described[0]), described[1]
    if own == (0, 0, header.height, header.width):
        return outside_error((top, left, height, width), header, index=index, source=name)
    fact = (
        f"the region (top, left, height, width) = {(top, left, height, width)} does not touch {own}, which is what is stored of "
        f"the image of {header.width} x {header.height} pixels"
    )
    return error_from_code(number, offset=offset, index=index, source=name, fact=fact)
