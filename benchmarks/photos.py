"""Writes the benchmarks' default photographs into a folder, as JPEG files to try dctload on.

python -m benchmarks.photos DIR
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _data, _harness


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photos",
        description="Write the photographs out of the scikit-image and scikit-learn wheels as JPEG files, encoded by Pillow.",
    )
    parser.add_argument("folder", metavar="DIR", help="where to; made if it is not there")
    folder = Path(parser.parse_args(arguments).folder)
    photos = _data.embedded_photos()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in photos.files:
            (folder / file.name).write_bytes(file.data)
    except OSError as error:
        _harness.fail(f"cannot write to {folder}: {error.strerror}")
    print(f"{len(photos)} JPEG files are in {folder}")


if __name__ == "__main__":
    main()
