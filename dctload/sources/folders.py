"""A folder of class folders, by the rules of torchvision's `ImageFolder`."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dctload.sources.protocol import IMAGE_EXTENSIONS, has_image_extension

if TYPE_CHECKING:
    from dctload.sources.protocol import Data

_EXPECTED = f"expected class folders with images in them, such as {{}}/cat/1.jpg ({', '.join(IMAGE_EXTENSIONS)})"
_NAMED = 5  # empty classes that a message lists


class FolderSource:
    """The images below a folder: classes are its folders, sorted; files come sorted, folder by folder.

    Links to folders are followed. No file is opened or asked for its size, so listing costs what reading the folders costs.

    Args:
        root: The folder.
        unlabelled: Take also a folder that holds images and no folders: then there are no classes, and targets are None.

    Attributes:
        classes: Names of the class folders, sorted; a target is a place in this list. None without class folders.

    Raises:
        FileNotFoundError: The folder is absent, or a class folder holds no image.
        NotADirectoryError: It is a file.
        ValueError: It holds no class folder.
    """

    classes: list[str] | None

    def __init__(self, root: str | os.PathLike[str], *, unlabelled: bool = False) -> None:
        self.root = os.fspath(root)
        expected = _EXPECTED.format(self.root.rstrip(os.sep))
        try:
            with os.scandir(self.root) as entries:
                classes = sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            raise FileNotFoundError(f"the folder {self.root} does not exist; {expected}") from None
        self._paths: list[str] = []
        self._targets = array("i")
        self.classes = classes or None
        if not classes and unlabelled:
            self._paths = _images_below(self.root)
        if not classes and not self._paths:
            raise ValueError(
                f"the folder {self.root} holds no class folders; {expected}; for files without classes give a list of "
                "(path, target) pairs"
            )
        empty = []
        for target, name in enumerate(classes):
            found = _images_below(os.path.join(self.root, name))  # noqa: PTH118 - 1.3 million paths: str is 10 times as quick
            self._paths += found
            self._targets.extend([target] * len(found))
            if not found:
                empty.append(name)
        if empty:
            names = ", ".join(empty[:_NAMED]) + (f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else "")
            raise FileNotFoundError(f"the folder {self.root} has classes without images: {names}; {expected}")

    def __len__(self) -> int:
        return len(self._paths)

    def target(self, i: int) -> int | None:
        """The place in `classes` of the folder that sample `i` lies in; None without class folders."""
        return self._targets[i] if self._targets else None

    def name(self, i: int) -> str:
        """The path of sample `i`."""
        return self._paths[i]

    def fetch(self, indices: Sequence[int]) -> list[Data]:
        """The paths of these samples."""
        return [self._paths[i] for i in indices]

    def __repr__(self) -> str:
        return f"FolderSource({self.root!r}: {len(self)} images, {len(self.classes or ())} classes)"


def _images_below(folder: str) -> list[str]:
    """Paths of the images below a folder, in torchvision's order: folders by path, in each its files by name."""
    levels = sorted(os.walk(folder, followlinks=True))
    return [os.path.join(level, name) for level, _, names in levels for name in sorted(names) if has_image_extension(name)]  # noqa: PTH118
