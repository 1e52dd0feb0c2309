"""Where bytes come from: folders, lists, tar files, URLs and other libraries' datasets, all behind `Source`.

`open_source` makes one of whatever a user passes. fsspec is imported when a URL is read, and nothing else is.
"""

from __future__ import annotations

from dctload.sources.datasets import HuggingFaceSource, ItemSource, SubsetSource
from dctload.sources.folders import FolderSource
from dctload.sources.lists import ListSource
from dctload.sources.opening import open_source
from dctload.sources.protocol import IMAGE_EXTENSIONS, Source
from dctload.sources.tars import TarSource

__all__ = [
    "IMAGE_EXTENSIONS",
    "FolderSource",
    "HuggingFaceSource",
    "ItemSource",
    "ListSource",
    "Source",
    "SubsetSource",
    "TarSource",
    "open_source",
]
