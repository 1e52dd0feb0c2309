"""Reading what has a URL, through fsspec, which is imported on first use."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dctload.errors import install_line

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]*://")
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # of the disk that is written to, not of what is read
_log = logging.getLogger(__name__)


def is_url(text: str) -> bool:
    """Whether a string is a URL such as `"s3://bucket/key"`, or a chain such as `"simplecache::https://..."`."""
    return _URL.match(text) is not None


def storage_error(error: Exception, where: str) -> OSError:
    """What a storage client's own exception becomes: an OSError that names what was asked for, with the client's as its cause.

    Each kind of file system has its own exceptions (botocore's, aiohttp's, google.auth's), which are no OSError as a rule.
    What is missing, and what may not be read, stays what it is, and so does what is the local disk's fault.

    Args:
        error: As the client raised it.
        where: The URL.
    """
    is_told = isinstance(error, (FileNotFoundError, PermissionError)) or getattr(error, "errno", None) in _DISK
    if isinstance(error, OSError) and is_told:
        return error
    words = " ".join(str(error).split())
    told = OSError(f"{where} cannot be read: {type(error).__name__}{': ' if words else ''}{words}")
    told.errno = getattr(error, "errno", None)
    told.__cause__ = error
    return told


@contextmanager
def told_storage_errors(where: str) -> Iterator[None]:
    """While it is entered, whatever a storage client raises is raised as `storage_error` has it.

    Only calls of the client belong in it: errors of ours, or a package that is missing, would be told as the client's.
    """
    try:
        yield
    except Exception as error:
        told = storage_error(error, where)
        if told is error:
            raise
        raise told from error


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, as fsspec has it, and the path in it.

    Raises:
        ImportError: fsspec, or the package that it needs for this kind of URL, is not installed; the message names it.
        ValueError: fsspec does not know the kind of URL.
        OSError: Its client cannot begin: there are no credentials, and the like.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(install_line(f"reading {url} needs fsspec", "loader")) from error
    try:
        system, path = url_to_fs(url)
    except ValueError as error:
        raise ValueError(f"{url}: {error}; expected a local path, or a URL that fsspec reads") from None
    except ImportError:  # fsspec's own names the package
        raise
    except Exception as error:
        raise storage_error(error, url) from error
    return system, path


def read_ranges(
    system: Any, paths: Sequence[str], starts: Sequence[int | None], ends: Sequence[int | None]
) -> list[bytes | None]:
    """Bytes `starts[i]` up to `ends[i]` of each path, all asked for at once where the file system can; None for the whole.

    Returns:
        By path its bytes, or None where they cannot be read; why is logged.
    """
    out: list[bytes | None] = []
    with told_storage_errors(f"{paths[0]} and others" if len(paths) > 1 else "".join(paths)):
        found = system.cat_ranges(list(paths), list(starts), list(ends), on_error="return")
    for path, data in zip(paths, found, strict=True):
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
