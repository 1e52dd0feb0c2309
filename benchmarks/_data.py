"""Which JPEG files a benchmark reads, and which rectangle of each is asked for.

Without a folder the files are photographs that the scikit-image and scikit-learn wheels carry (nothing is downloaded),
encoded by Pillow at several qualities and samplings. They are few, and most were JPEGs once: good for trying, not for
claims about a data set.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks._harness import fail

Crop = Literal["448", "rrc", "none"]
Region = tuple[int, int, int, int]  # top, left, height, width in pixels as coded

CROPS: dict[str, str] = {
    "448": "centre 448 after short side 512",
    "rrc": "RandomResizedCrop (0.08-1, 3/4-4/3), one seeded draw a file",
    "none": "whole images",
}

# Photographs inside the wheels; the gray one stands for ImageNet's 2 % without chroma.
WHEEL_PHOTOS = {
    "skimage": ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "camera.png"),
    "sklearn": ("china.jpg", "flower.jpg"),
}
WHEEL_FOLDERS = {"skimage": ("data",), "sklearn": ("datasets", "images")}
PIP_NAMES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
QUALITIES = (75, 90, 95)
SUBSAMPLINGS = ("4:4:4", "4:2:0")
SEED = 12345  # of the first file's crop
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclass(frozen=True)
class JPEGFile:
    """One file in memory."""

    name: str
    data: bytes


@dataclass(frozen=True)
class FileSet:
    """Files in memory, with what a result says of them."""

    name: str
    files: tuple[JPEGFile, ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sources(self) -> list[bytes]:
        return [file.data for file in self.files]

    @cached_property
    def nbytes(self) -> int:
        return sum(len(file.data) for file in self.files)

    def first(self, count: int) -> FileSet:
        """At most `count` files, spread evenly over the set (folders are often sorted by class or size)."""
        if len(self.files) <= count:
            return self
        picked = tuple(self.files[i * len(self.files) // count] for i in range(count))
        return replace(self, files=picked, note=f"{self.note}; {count} of {len(self.files)} files".lstrip("; "))

    def written(self, folder: Path) -> list[str]:
        """The paths of the files, written into a folder of this run: its disk and page cache then hold all that is read."""
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{number:05d}.jpg" for number in range(len(self))]
        for path, file in zip(paths, self.files, strict=True):
            path.write_bytes(file.data)
        return [str(path) for path in paths]

    def as_json(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(hashlib.sha256(file.data).digest())
        content = {"name": self.name, "count": len(self.files), "bytes": self.nbytes, "hash": digest.hexdigest()[:16]}
        return {**content, "note": self.note} if self.note else content

    def describe(self) -> str:
        mean = self.nbytes / len(self.files) / 1000
        return f"{self.name}: {len(self.files)} files, mean {mean:.1f} kB" + (f" ({self.note})" if self.note else "")


def file_set(folder: str | None) -> FileSet:
    """Every JPEG below `folder`, sorted by path, read into memory; the embedded photographs where `folder` is None."""
    return embedded_photos() if folder is None else folder_photos(Path(folder))


def folder_photos(folder: Path, option: str = "--data") -> FileSet:
    """Every file below `folder` whose name ends like a JPEG's, in any case of letters; `option` is who asked for it."""
    if not folder.exists():
        fail(f"{option} {folder}: no such folder")
    if folder.is_file():
        fail(f"{option} {folder}: is a file; give the folder that holds it")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        fail(f"{option} {folder}: no JPEG file in it or below it (looked for {', '.join(SUFFIXES)})")
    try:
        files = tuple(JPEGFile(str(path.relative_to(folder)), path.read_bytes()) for path in paths)
    except OSError as error:
        fail(f"{option} {folder}: {error.filename}: {error.strerror}")
    return FileSet(folder.resolve().name, files)


def embedded_photos(long_side: int | None = None) -> FileSet:
    """The wheels' photographs as JPEG files: each quality and sampling once; `long_side` shrinks them first."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        fail("the embedded photographs need Pillow; run: pip install pillow, or give --data DIR")
    pictures = [path for package in WHEEL_PHOTOS for path in _wheel_photos(package)]
    if not pictures:
        fail("no embedded photographs: run: pip install scikit-image scikit-learn, or give --data DIR")
    files: list[JPEGFile] = []
    for path in pictures:
        with Image.open(path) as opened:
            picture = opened.convert("L" if opened.mode == "L" else "RGB")
        if long_side:
            picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
        samplings = ("gray",) if picture.mode == "L" else SUBSAMPLINGS
        for quality in QUALITIES:
            files.extend(_encoded(picture, path.stem, quality, sampling) for sampling in samplings)
    note = f"no --data given: {len(pictures)} photographs out of the scikit-image and scikit-learn wheels, "
    note += f"encoded by Pillow at quality {', '.join(map(str, QUALITIES))}, {' and '.join(SUBSAMPLINGS)}"
    return FileSet("embedded" if long_side is None else f"embedded-{long_side}", tuple(files), note)


def regions(sizes: Sequence[tuple[int, int]], crop: Crop) -> list[Region | None]:
    """The rectangle of each file that a crop asks for; `sizes` are (height, width), None means the whole image."""
    if crop == "none":
        return [None] * len(sizes)
    if crop == "448":
        return [_centre_region(height, width) for height, width in sizes]
    return [_random_region(height, width, random.Random(SEED + index)) for index, (height, width) in enumerate(sizes)]


def _centre_region(height: int, width: int) -> Region:
    """The native square that becomes the centre 448 once the short side is 512: 0.875 x the short side."""
    side = max(1, round(min(height, width) * 448 / 512))
    return (round((height - side) / 2), round((width - side) / 2), side, side)


def _random_region(height: int, width: int, rng: random.Random) -> Region:
    """RandomResizedCrop's rectangle, drawn as torchvision draws it (ten tries, then the centre)."""
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1.0)
        aspect = (3 / 4) * (16 / 9) ** rng.random()  # log-uniform between 3/4 and 4/3
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return (rng.randint(0, height - h), rng.randint(0, width - w), h, w)
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width * 4 / 3))
    return ((height - h) // 2, (width - w) // 2, h, w)


def _wheel_photos(package: str) -> list[Path]:
    """Paths of a package's photographs, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent.joinpath(*WHEEL_FOLDERS[package])
    return [folder / name for name in WHEEL_PHOTOS[package] if (folder / name).is_file()]


def _encoded(picture: Any, stem: str, quality: int, sampling: str) -> JPEGFile:
    out = io.BytesIO()
    options = {} if sampling == "gray" else {"subsampling": sampling}
    picture.save(out, "JPEG", quality=quality, **options)
    return JPEGFile(f"{stem}-q{quality}-{sampling.replace(':', '')}.jpg", out.getvalue())
