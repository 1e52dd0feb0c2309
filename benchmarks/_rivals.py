"""Other ways from JPEG bytes to a tensor, each as its users call it. A library that is not installed raises ImportError."""

from __future__ import annotations

import importlib.metadata
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _data
from benchmarks._calls import Call

# Luma and chroma frequencies of DCTNet's 24 channels, row-major.
DCTNET_LUMA = (0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 24, 32)
DCTNET_CHROMA = (0, 1, 3, 8, 24)


def pillow() -> Call:
    """Open and convert to RGB."""
    from PIL import Image

    def one(data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")

    return Call(f"Pillow {_version('pillow')} RGB", one)


def pillow_pipeline(size: int) -> Call:
    """The usual loader's work: open, RGB, RandomResizedCrop (bilinear), float tensor 0..1."""
    from PIL import Image

    to_tensor, maker = _tensor_maker()
    bilinear = Image.Resampling.BILINEAR

    def prepare(sources: Sequence[bytes]) -> list[Any]:
        return list(zip(sources, _boxes(sources), strict=True))

    def one(item: tuple[bytes, tuple[int, int, int, int]]) -> Any:
        data, box = item
        with Image.open(io.BytesIO(data)) as image:
            cropped = image.convert("RGB").crop(box).resize((size, size), bilinear)
        return to_tensor(cropped)

    return Call(f"Pillow + RandomResizedCrop({size}) + tensor", one, prepare, note=f"tensor by {maker}")


def simplejpeg() -> Call:
    import simplejpeg as library

    decode = library.decode_jpeg
    return Call(f"simplejpeg {_version('simplejpeg')} RGB", lambda data: decode(data, colorspace="RGB"))


def pyturbojpeg() -> Call:
    import turbojpeg

    decode = turbojpeg.TurboJPEG().decode
    label = f"PyTurboJPEG {_version('PyTurboJPEG')} RGB"
    return Call(label, lambda data: decode(data, pixel_format=turbojpeg.TJPF_RGB), note="the system's libturbojpeg")


def opencv() -> Call:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)

    def one(data: bytes) -> Any:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("imdecode returns nothing")
        return image

    return Call(f"OpenCV {cv2.__version__} BGR", one)


def jpeglib() -> Call:
    """Coefficients by jpeglib, which takes paths only: the files lie in a temporary folder, in the page cache."""
    import jpeglib as library

    folder = tempfile.TemporaryDirectory()

    def prepare(sources: Sequence[bytes]) -> list[str]:
        paths = []
        start = len(list(Path(folder.name).iterdir()))
        for index, source in enumerate(sources, start):
            path = Path(folder.name, f"{index:06d}.jpg")
            path.write_bytes(source)
            paths.append(str(path))
        return paths

    def one(path: str) -> Any:
        read = library.read_dct(path)
        return read.Y, folder  # the first look at a plane reads all of them

    return Call(f"jpeglib {_version('jpeglib')} read_dct", one, prepare, note="from files in the page cache")


def jpeg2dct() -> Call:
    from jpeg2dct.numpy import loads

    return Call(f"jpeg2dct {_version('jpeg2dct')} loads", loads, note="files that are not 4:2:0 are re-encoded by it")


def dctnet() -> Call:
    """DCTNet's published input pipeline (evaluation, ResNet-50, 24 channels), after its repository's description.

    Pixels are decoded, resized to 512, cropped to 448 and encoded to JPEG again: once for luma and once, enlarged twice, for
    chroma (coded 4:2:0, so that chroma comes out at luma's size); jpeg2dct reads both. The normalisation's figures are
    placeholders: they cost the same. It goes through numpy where the original goes through torch."""
    import cv2
    import numpy as np
    import turbojpeg
    from jpeg2dct.numpy import loads

    cv2.setNumThreads(1)
    encode = turbojpeg.TurboJPEG().encode
    mean, std = np.zeros((24, 1, 1), np.float32), np.ones((24, 1, 1), np.float32)

    def coefficients(pixels: Any) -> Any:
        return loads(encode(np.ascontiguousarray(pixels), quality=100, jpeg_subsample=turbojpeg.TJSAMP_420))

    def one(data: bytes) -> Any:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        scale = 512 / min(height, width)
        size = (max(512, int(width * scale)), max(512, int(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        top, left = round((size[1] - 448) / 2), round((size[0] - 448) / 2)
        image = image[top : top + 448, left : left + 448]
        larger = cv2.resize(image, (896, 896), interpolation=cv2.INTER_LINEAR)
        luma, _, _ = coefficients(image)
        _, cb, cr = coefficients(larger)
        kept = [luma[..., list(DCTNET_LUMA)], cb[..., list(DCTNET_CHROMA)], cr[..., list(DCTNET_CHROMA)]]
        tensor = np.concatenate([np.ascontiguousarray(part.transpose(2, 0, 1), np.float32) for part in kept])
        return (tensor - mean) / std

    note = "approximated: cv2 decode, resize 512, crop 448, encode twice with TurboJPEG, jpeg2dct, normalise"
    return Call("DCTNet's pipeline, 24 channels", one, note=note)


def _boxes(sources: Sequence[bytes]) -> list[tuple[int, int, int, int]]:
    """Pillow's (left, top, right, bottom) of each file's seeded RandomResizedCrop; sizes are read outside the timing."""
    from PIL import Image

    sizes = []
    for source in sources:
        with Image.open(io.BytesIO(source)) as image:
            sizes.append((image.height, image.width))
    drawn = [region for region in _data.regions(sizes, "rrc") if region is not None]
    return [(left, top, left + width, top + height) for top, left, height, width in drawn]


def _tensor_maker() -> tuple[Callable[[Any], Any], str]:
    """What torchvision's ToTensor does: [3, H, W] float 0..1, by torch where it is installed, else by numpy."""
    import numpy as np

    try:
        import torch
    except ImportError:

        def by_numpy(image: Any) -> Any:
            planes = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
            return planes.astype(np.float32) / np.float32(255)

        return by_numpy, "numpy (torch is not installed)"

    torch.set_num_threads(1)

    def by_torch(image: Any) -> Any:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)

    return by_torch, "torch"


def _version(package: str) -> str:
    return importlib.metadata.version(package)


MAKERS: dict[str, Callable[..., Call]] = {
    "pillow": pillow,
    "pillow_pipeline": pillow_pipeline,
    "simplejpeg": simplejpeg,
    "pyturbojpeg": pyturbojpeg,
    "opencv": opencv,
    "jpeglib": jpeglib,
    "jpeg2dct": jpeg2dct,
    "dctnet": dctnet,
}
