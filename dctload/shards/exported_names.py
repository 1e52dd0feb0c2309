"""What exported images are called: names made of keys that stay inside of a folder, each once."""

from __future__ import annotations

from dctload.sources.protocol import IMAGE_EXTENSIONS

_JPEG_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")
_MOST_BYTES = 255  # of a part, as most file systems have it


class ExportedNames:
    """Names for keys, asked for once each and in one order.

    Slashes divide folders. Empty parts, "." and ".." are left out, so that `/data/a.jpg` becomes `data/a.jpg` and nothing is
    written beside the folder. Parts are cut to what file systems hold. A name that was given before gets a number.

    Args:
        with_extension: Names of JPEG files: an extension of JPEG stays, another image's becomes `.jpg`. Else names of
            WebDataset samples: without extension, other dots of the last part as "_".
    """

    def __init__(self, *, with_extension: bool) -> None:
        self._with_extension = with_extension
        self._given: dict[str, int] = {}  # and the number that the last equal one got

    def name(self, key: str, number: int) -> str:
        """The name for a key.

        Args:
            key: Of an image.
            number: Of the image, which names it where nothing is left of the key.
        """
        parts = [part.replace("\0", "_") for part in key.split("/") if part not in ("", ".", "..")]
        *folders, last = parts or [f"image-{number}"]
        stem, extension = _divided(last)
        if not self._with_extension:
            stem, extension = stem.replace(".", "_"), ""
        elif extension.lower() not in _JPEG_EXTENSIONS:
            extension = ".jpg"
        # A folder that is called like a file of ours would keep that from being written.
        folders = [f"{part}_" if part.lower().endswith(_JPEG_EXTENSIONS) else part for part in folders]
        folder = "".join(_cut(part, _MOST_BYTES) + "/" for part in folders)
        name = first = folder + _cut(stem, _MOST_BYTES - len(extension)) + extension
        again = self._given.get(first, 1)
        while name in self._given:
            again += 1
            end = f"-{again}{extension}"
            name = folder + _cut(stem, _MOST_BYTES - len(end)) + end
        self._given[name] = 1
        self._given[first] = again
        return name


def _cut(part: str, most: int) -> str:
    return part.encode()[:most].decode(errors="ignore")


def _divided(name: str) -> tuple[str, str]:
    """Stem and extension, if it is an image's; `.jpg` alone is a stem."""
    stem, dot, extension = name.rpartition(".")
    if stem and dot + extension.lower() in (*IMAGE_EXTENSIONS, *_JPEG_EXTENSIONS):
        return stem, dot + extension
    return name, ""
