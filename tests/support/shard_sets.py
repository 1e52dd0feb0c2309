"""Sources to make shard sets of, and what lies in a set's folder."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support import jpeg_builder as jb

LAYOUTS = ("4:2:0", "4:4:4", "gray", "4:2:2")


@cache
def picture(number: int) -> bytes:
    """A JPEG file unlike every other number's, in size too."""
    content = jb.content(64 + 8 * (number % 5), 48 + 8 * (number % 3), LAYOUTS[number % len(LAYOUTS)], seed=number)
    return jb.encode(content).to_bytes()


def image_folder(root: Path, count: int = 12) -> Path:
    """Classes a and b in turn: a/0.jpg, b/1.jpg, a/2.jpg, ... sort by class, then by name."""
    for i in range(count):
        path = root / "ab"[i % 2] / f"{i:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
    return root


def images_of(root: Path) -> list[Path]:
    """The files of a folder of class folders, in its order."""
    return [path for folder in sorted(root.iterdir()) for path in sorted(folder.iterdir())]


def image_tar(path: Path, numbers: range) -> Path:
    """A WebDataset tar: members 0000.jpg and 0000.cls and so on; targets are the numbers modulo 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for i in numbers:
            for name, data in ((f"{i:04d}.jpg", picture(i)), (f"{i:04d}.cls", str(i % 3).encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def set_fixtures(count: int, least: int, *, name: str = "stored", bad: Sequence[str] = (), **options: Any) -> tuple[Any, Any]:
    """Two fixtures of a test module, `source` and `stored`: a folder of images, and the set that is made of it.

    Args:
        count: Images.
        least: Shards that the set must have, so that the module's tests cross from one to another.
        name: Of the second fixture.
        bad: Files of the folder that are no images.
        options: Of `shards.extract`.
    """

    @pytest.fixture(scope="module", name="source")
    def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
        root = image_folder(tmp_path_factory.mktemp("source") / "src", count)
        for path in bad:
            (root / path).write_bytes(b"nonsense")
        return root

    @pytest.fixture(scope="module", name=name)
    def stored(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        from dctload import shards

        out = tmp_path_factory.mktemp(name) / "a.dct"
        shards.extract(source, out, **options)
        assert len(list(out.glob("shard-*"))) >= least
        return out

    return source, stored


def files_of(folder: Path) -> dict[str, bytes]:
    """All files of a folder by name: two sets are the same if these are."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class SlowSource:
    """Pictures that take their time once the folder `seen` is there, and leave in it who read them.

    The names there are `SAMPLE-NODE-PROCESS`, as Ray's workers have them. Stands here so that these can import it.
    """

    classes = None

    def __init__(self, count: int, seen: Path) -> None:
        self._count, self._seen = count, seen

    def __len__(self) -> int:
        return self._count

    def target(self, i: int) -> int:
        return i

    def name(self, i: int) -> str:
        return f"slow {i}"

    def fetch(self, indices: Sequence[int]) -> list[bytes]:
        import ray

        if self._seen.exists():
            (self._seen / f"{indices[0]}-{ray.get_runtime_context().get_node_id()}-{os.getpid()}").touch()
            time.sleep(0.5)
        return [picture(i) for i in indices]
