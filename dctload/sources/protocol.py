"""What a source is: samples by number, each with its encoded bytes or a path to them, a target and a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from typing import TypeAlias

    from dctload._core import Buffer

    # What `dctload.extract` takes: a path that its threads read, or the bytes of a file.
    Data: TypeAlias = str | os.PathLike[str] | Buffer

# torchvision.datasets.folder.IMG_EXTENSIONS
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@runtime_checkable
class Source(Protocol):
    """Encoded images by number, 0..len - 1. May be called from several threads at a time.

    Attributes:
        classes: Names of the classes, by target; None where nothing is known of them.
    """

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes, by target; None where nothing is known of them."""

    def __len__(self) -> int:
        """Number of samples."""

    def target(self, i: int) -> Any:
        """The target of sample `i`."""

    def name(self, i: int) -> str:
        """The path of sample `i`, or words that a reader finds it by."""

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """What `extract` takes of these samples: a path where the file is local, else the file's bytes.

        A sample that cannot be read gives its name, which is no path that can be opened: `extract` then treats it as it
        treats any absent file (`io_error`). What kept it from being read is logged.
        """


def has_image_extension(name: str) -> bool:
    """Whether a file counts as an image by its name, by torchvision's rule."""
    return name.lower().endswith(IMAGE_EXTENSIONS)
