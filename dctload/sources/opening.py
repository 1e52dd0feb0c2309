"""One way in: whatever a user calls the data, as a `Source`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dctload.sources.datasets import (
    HuggingFaceSource,
    ItemSource,
    SubsetSource,
    folder_dataset,
    is_folder_dataset,
    is_hugging_face,
    is_subset,
)
from dctload.sources.folders import FolderSource
from dctload.sources.lists import ListSource
from dctload.sources.protocol import Source
from dctload.sources.tars import TarSource, is_tar
from dctload.sources.urls import is_url

_EXPECTED = (
    "expected a folder of class folders, a list of (path or bytes, target) pairs, WebDataset tar files (paths or URLs), or a "
    "torchvision, Hugging Face or other map-style dataset"
)


def open_source(source: Any, *, cache_dir: str | os.PathLike[str] | None = None, unlabelled: bool = False) -> Source:
    """The source that something stands for.

    Args:
        source: A folder of class folders; a list of `(path or bytes, target)` pairs; WebDataset tars as a path, a pattern
            (`"train-{000..146}.tar"`, `"*.tar"`), a URL, or a list of these; a torchvision `ImageFolder`, a Hugging Face
            `Dataset`, or any map-style dataset of encoded images; a torch `Subset` of one of them; or a `Source`.
        cache_dir: Where indexes of remote tars are kept; see `TarSource`.
        unlabelled: Take also a folder that holds images and no class folders; its targets are None.

    Raises:
        FileNotFoundError: A folder or a tar is absent, or a class folder is empty.
        ValueError: There is nothing in it.
        TypeError: It is none of the above.

    Example:
        >>> source = open_source([("a.jpg", 0), ("b.jpg", 1)])
        >>> len(source), source.target(1), source.name(0)
        (2, 1, 'a.jpg')
    """
    if isinstance(source, (str, os.PathLike)):
        return _open_path(os.fspath(source), cache_dir, unlabelled)
    if isinstance(source, (list, tuple)):
        return _open_list(source, cache_dir)
    if isinstance(source, Source):
        return source
    if isinstance(source, Mapping):
        raise TypeError(f"the source is a dict with {', '.join(map(str, source))}; pass one of its values, such as a split")
    if is_folder_dataset(source):
        return folder_dataset(source)
    if is_hugging_face(source):
        return HuggingFaceSource(source)
    if is_subset(source):
        return SubsetSource(open_source(source.dataset, cache_dir=cache_dir), source.indices)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, (bytes, bytearray, memoryview)):
        return ItemSource(source)
    hint = "; it is a stream without len(): give its files instead, or make a list of it" if hasattr(source, "__iter__") else ""
    raise TypeError(f"a source of type {type(source).__name__} is not known{hint}; {_EXPECTED}")


def _open_path(path: str, cache_dir: str | os.PathLike[str] | None, unlabelled: bool) -> Source:
    if is_tar(path) and not Path(path).is_dir():
        return TarSource(path, cache_dir=cache_dir)
    if is_url(path):
        raise ValueError(f"{path} does not end in .tar; of URLs, WebDataset tar files can be read: {_EXPECTED}")
    if Path(path).is_file():
        raise ValueError(f"{path} is a file; {_EXPECTED}; for one image write [({path!r}, 0)]")
    return FolderSource(path, unlabelled=unlabelled)


def _open_list(items: Sequence[Any], cache_dir: str | os.PathLike[str] | None) -> Source:
    if not items:
        raise ValueError(f"the list is empty; {_EXPECTED}")
    if all(isinstance(item, (str, os.PathLike)) and is_tar(os.fspath(item)) for item in items):
        return TarSource(items, cache_dir=cache_dir)
    if isinstance(items[0], Mapping):
        return ItemSource(items)
    return ListSource(items)
