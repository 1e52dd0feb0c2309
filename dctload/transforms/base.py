"""What a transform is: a step that plans before decoding, acts after it, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dctload.transforms.draws import Draws
    from dctload.transforms.picture import Picture
    from dctload.transforms.view import View


class Transform:
    """A step of a `Compose`.

    `plan` moves the view, before anything is decoded; `apply` changes the picture, on the device. Both get the same stream of
    random numbers, one a sample, so that what was drawn need not be kept. A step that stands alone can be called like a
    `Compose` of itself.

    Attributes:
        needs_whole_blocks: The step mixes frequencies of a block, so that all 64 must be there before it.
        changes_targets: The step mixes samples, so that targets become soft.
    """

    needs_whole_blocks = False
    changes_targets = False

    def plan(self, view: View, draws: Draws) -> None:
        """Moves the view: what part of the image the picture shows."""

    def apply(self, picture: Picture, draws: Draws) -> None:
        """Changes the picture."""

    def __call__(self, batch: Any, **options: Any) -> Any:
        """The step alone; see `Compose.__call__`."""
        from dctload.transforms.compose import Compose

        return Compose([self])(batch, **options)

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({facts})"


def height_and_width(size: int | Sequence[int], what: str) -> tuple[int, int]:
    """A size as torchvision takes it: one number is a square."""
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) == 1:
        pair *= 2
    if len(pair) != 2 or any(isinstance(n, bool) or int(n) != n or n < 1 for n in pair):
        raise ValueError(f"{what} is a whole number of pixels, or (height, width), not {size!r}")
    return int(pair[0]), int(pair[1])


def low_and_high(
    value: float | Sequence[float] | None, what: str, *, centre: float = 1.0, least: float = 0.0
) -> tuple[float, float] | None:
    """A range as torchvision's ColorJitter takes it: a number `x` is `[centre - x, centre + x]`; None where nothing changes."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{what} is not negative; {value!r} is")
        pair = [max(least, centre - value), centre + value]
    else:
        pair = [float(x) for x in value]
    if len(pair) != 2 or not least <= pair[0] <= pair[1]:
        raise ValueError(f"{what} is a number, or (low, high) with {least} <= low <= high, not {value!r}")
    low, high = pair
    return None if low == high == centre else (float(low), float(high))


def probability(p: float) -> float:
    """A checked probability."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p is a probability, 0..1, not {p!r}")
    return float(p)
