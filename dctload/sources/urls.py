"""Reading what has a URL, through fsspec, which is imported on first use."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from dctload.errors import install_line

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*://")
_log = logging.getLogger(__name__)


def is_url(text: str) -> bool:
    """Whether a string is a URL such as `"s3://bucket/key"`, or a chain such as `"simplecache::https://..."`."""
    return _URL.match(text) is not None


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, as fsspec has it, and the path in it.

    Raises:
        ImportError: fsspec, or the package that it needs for this kind of URL, is not installed; the message names it.
        ValueError: fsspec does not know the kind of URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(install_line(f"reading {url} needs fsspec", "loader")) from error
    try:
        system, path = url_to_fs(url)
    except ValueError as error:
        raise ValueError(f"{url}: {error}; expected a local path, or a URL that fsspec reads") from None
    return system, path


def read_ranges(
    system: Any, paths: Sequence[str], starts: Sequence[int | None], ends: Sequence[int | None]
) -> list[bytes | None]:
    """Bytes `starts[i]` up to `ends[i]` of each path, all asked for at once where the file system can; None for the whole.

    Returns:
        By path its bytes, or None where they cannot be read; why is logged.
    """
    out: list[bytes | None] = []
    for path, data in zip(paths, system.cat_ranges(list(paths), list(starts), list(ends), on_error="return"), strict=True):
        if isinstance(data, Exception):
            _log.warning("%s cannot be read: %s: %s", path, type(data).__name__, data)
        out.append(None if isinstance(data, Exception) else bytes(data))
    return out


def read_urls(urls: Sequence[str]) -> list[bytes | None]:
    """The bytes of each URL, or None where they cannot be read; why is logged."""
    out: list[bytes | None] = [None] * len(urls)
    groups: dict[int, tuple[Any, list[int], list[str]]] = {}
    for i, url in enumerate(urls):
        system, path = file_system(url)  # fsspec keeps its file systems: the same object for the same place
        _, places, paths = groups.setdefault(id(system), (system, [], []))
        places.append(i)
        paths.append(path)
    for system, places, paths in groups.values():
        nothing = [None] * len(paths)
        for i, data in zip(places, read_ranges(system, paths, nothing, nothing), strict=True):
            out[i] = data
    return out
