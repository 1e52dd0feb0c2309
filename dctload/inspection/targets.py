"""Where results are written."""

from __future__ import annotations

import os
from pathlib import Path


def target_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is going to be written; its folder is made where it is absent.

    Raises:
        OSError: It is a folder itself, or the folder around it cannot be made.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file in it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{target}: {target.parent} is no folder; give the name of a file in a folder") from None
    return target
