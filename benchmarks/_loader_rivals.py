"""Other ways from JPEG files to augmented batches, as their users set them up. A library that is not there raises ImportError.

All get the crops and flips that `DCTLoader` draws, as numbers, before the clock starts: drawing costs them nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._crops import RGB_MEAN, RGB_STD, Crops, Job
from benchmarks._pipelines import Pipeline
from benchmarks._rivals import DCTNET_CHROMA, DCTNET_LUMA

Key = tuple[int, int, int, int, int, int]  # sample, left, top, width, height, mirrored


class _Keys:
    """A batch sampler: the epoch's samples in order, each with its crop."""

    def __init__(self, job: Job) -> None:
        self._crops, self._batch_size = Crops(job), job.batch_size
        self.keys: list[Key] = []

    def prepare(self, number: int) -> None:
        rows = self._crops.epoch(number).tolist()
        self.keys = [(index, *row) for index, row in enumerate(rows)]

    def __len__(self) -> int:
        return -(-len(self.keys) // self._batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, len(self.keys), self._batch_size):
            yield self.keys[start : start + self._batch_size]


class _DataLoading:
    """A torch `DataLoader` over a map-style dataset, one worker process a core, kept from epoch to epoch."""

    output = "rgb"

    def __init__(self, job: Job, dataset: Any, label: str, note: str) -> None:
        from torch.utils.data import DataLoader

        self.label, self.note = label, note
        self._device, self._keys = job.device, _Keys(job)
        self._loader: Any = DataLoader(
            dataset,
            batch_sampler=self._keys,
            num_workers=job.threads,
            persistent_workers=True,
            pin_memory=job.device != "cpu",
        )

    def prepare(self, number: int) -> None:
        self._keys.prepare(number)

    def epoch(self, number: int) -> Iterator[Any]:
        for x in self._loader:
            yield x.to(self._device, non_blocking=True)


class PillowPictures:
    """torchvision's ImageFolder with RandomResizedCrop, flip, ToTensor and Normalize, without torchvision."""

    def __init__(self, job: Job, draft: bool = False) -> None:
        self._paths, self._size, self._draft = job.paths, job.size, draft

    def __getitem__(self, key: Key) -> Any:
        from PIL import Image

        with Path(self._paths[key[0]]).open("rb") as file, Image.open(file) as image:
            box = np.array([key[1], key[2], key[1] + key[3], key[2] + key[4]], np.float64)
            if self._draft:  # libjpeg's own scaling by 1/2, 1/4, 1/8, as long as the crop stays at least as large as it will be
                native = image.size
                image.draft("RGB", tuple(-(-side * self._size // part) for side, part in zip(native, key[3:5], strict=True)))
                box *= np.array(image.size * 2) / np.array(native * 2)
            return _tensor(image.convert("RGB"), box.tolist(), key[5], self._size)


class SimplejpegPictures:
    """Pixels by simplejpeg, all else by Pillow."""

    def __init__(self, job: Job) -> None:
        import simplejpeg

        self._paths, self._size, self._decode = job.paths, job.size, simplejpeg.decode_jpeg

    def __getitem__(self, key: Key) -> Any:
        from PIL import Image

        pixels = self._decode(Path(self._paths[key[0]]).read_bytes(), colorspace="RGB")
        return _tensor(Image.fromarray(pixels), [key[1], key[2], key[1] + key[3], key[2] + key[4]], key[5], self._size)


class DCTNetCoefficients:
    """DCTNet's published training pipeline: pixels, crop, resize, flip, JPEG again (twice, for chroma), jpeg2dct, normalise."""

    def __init__(self, job: Job) -> None:
        import cv2
        import jpeg2dct.numpy  # noqa: F401 - absent is said now, not in a worker
        import turbojpeg  # noqa: F401

        cv2.setNumThreads(1)
        self._paths, self._size = job.paths, job.size
        self._encoder: Any = None

    def __getitem__(self, key: Key) -> Any:
        import cv2
        import torch
        import turbojpeg
        from jpeg2dct.numpy import loads

        if self._encoder is None:
            self._encoder = turbojpeg.TurboJPEG()
        index, left, top, width, height, mirrored = key
        image: Any = cv2.imread(self._paths[index], cv2.IMREAD_COLOR)
        image = image[top : top + height, left : left + width]
        image = cv2.resize(image, (self._size, self._size), interpolation=cv2.INTER_LINEAR)
        image = cv2.flip(image, 1) if mirrored else image
        larger = cv2.resize(image, (2 * self._size, 2 * self._size), interpolation=cv2.INTER_LINEAR)

        def coefficients(pixels: Any) -> Any:
            data = self._encoder.encode(np.ascontiguousarray(pixels), quality=100, jpeg_subsample=turbojpeg.TJSAMP_420)
            return loads(data)

        luma, _, _ = coefficients(image)
        _, cb, cr = coefficients(larger)
        kept = [luma[..., list(DCTNET_LUMA)], cb[..., list(DCTNET_CHROMA)], cr[..., list(DCTNET_CHROMA)]]
        planes = np.concatenate([np.ascontiguousarray(part.transpose(2, 0, 1), np.float32) for part in kept])
        return torch.from_numpy(planes).sub_(0.0).div_(1.0)  # the normalisation's figures do not change its cost


def _tensor(image: Any, box: Sequence[float], mirrored: int, size: int) -> Any:
    """A crop, resized and flipped, as torchvision's ToTensor and Normalize give it: float32 `[3, size, size]`."""
    import torch
    from PIL import Image

    image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().to(torch.float32).div_(255)
    return x.sub_(torch.tensor(RGB_MEAN)[:, None, None]).div_(torch.tensor(RGB_STD)[:, None, None])


class SPDL:
    """SPDL's pipeline: threads that decode, crop and resize by FFmpeg's filters, batches in one buffer, normalised by torch."""

    output = "rgb"

    def __init__(self, job: Job) -> None:
        import spdl.io
        import spdl.pipeline

        self.label = f"SPDL {importlib.metadata.version('spdl-io')}, threads"
        self.note = "FFmpeg decodes; its filters crop, resize (bilinear) and flip"
        self._io, self._job, self._keys = spdl.io, job, _Keys(job)

    def prepare(self, number: int) -> None:
        self._keys.prepare(number)

    def epoch(self, number: int) -> Iterator[Any]:
        from spdl.pipeline import PipelineBuilder

        job = self._job
        builder = PipelineBuilder().add_source(self._keys.keys).pipe(self._decoded, concurrency=job.threads, output_order="input")
        builder = builder.aggregate(job.batch_size).pipe(self._batch, concurrency=1).add_sink(2)
        pipeline = builder.build(num_threads=job.threads)
        with pipeline.auto_stop():
            for x in pipeline.get_iterator():
                yield x.to(job.device, non_blocking=True)

    def _decoded(self, key: Key) -> Any:
        index, left, top, width, height, mirrored = key
        size = self._job.size
        chain = f"crop={width}:{height}:{left}:{top}:exact=1,scale={size}:{size}:flags=bilinear"
        chain += (",hflip" if mirrored else "") + ",format=pix_fmts=rgb24"
        return self._io.decode_packets(self._io.demux_image(self._job.paths[index]), filter_desc=chain)

    def _batch(self, frames: Any) -> Any:
        import torch

        pixels = self._io.to_torch(self._io.convert_frames(frames))
        x = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        return x.sub_(torch.tensor(RGB_MEAN)[:, None, None]).div_(torch.tensor(RGB_STD)[:, None, None])


class DALI:
    """DALI's usual image pipeline; the decoder reads the crop alone. On a CUDA device its mixed decoder (nvJPEG) runs there."""

    output = "rgb"

    def __init__(self, job: Job) -> None:
        from nvidia.dali import fn, pipeline_def, types

        place = "cpu" if job.device == "cpu" else "gpu"
        version = next(d.version for d in importlib.metadata.distributions() if d.name.startswith("nvidia-dali"))
        self.label = f"DALI {version}, {'CPU' if place == 'cpu' else 'mixed'}"
        self.note = "decoders.image_slice, resize (triangle), crop_mirror_normalize"
        self._job, self._crops = job, Crops(job)
        self._boxes: Iterator[Any] = iter(())

        @pipeline_def(batch_size=job.batch_size, num_threads=job.threads, device_id=None if place == "cpu" else 0)
        def describe() -> Any:
            encoded, _ = fn.readers.file(files=list(job.paths), random_shuffle=False)
            anchor, shape, mirror = fn.external_source(source=lambda: next(self._boxes), num_outputs=3, batch=True)
            images = fn.decoders.image_slice(
                encoded, anchor, shape, axis_names="WH", device="cpu" if place == "cpu" else "mixed", output_type=types.RGB
            )
            images = fn.resize(images, size=(job.size, job.size), interp_type=types.INTERP_LINEAR, antialias=True)
            mean, std = ([255 * value for value in values] for values in (RGB_MEAN, RGB_STD))
            return fn.crop_mirror_normalize(images, mirror=mirror, mean=mean, std=std, output_layout="CHW", dtype=types.FLOAT)

        self._pipeline: Any = describe()
        self._pipeline.build()

    def prepare(self, number: int) -> None:
        self._boxes = self._batches(self._crops.epoch(number).astype(np.int32))

    def epoch(self, number: int) -> Iterator[Any]:
        import torch

        while True:
            try:
                (output,) = self._pipeline.run()
            except StopIteration:
                self._pipeline.reset()
                return
            yield torch.from_dlpack(output.as_tensor()).clone()  # DALI fills its buffers again

    def _batches(self, rows: NDArray[np.int32]) -> Iterator[tuple[Any, Any, Any]]:
        for start in range(0, len(rows), self._job.batch_size):
            part = rows[start : start + self._job.batch_size]
            yield list(part[:, :2]), list(part[:, 2:4]), list(part[:, 4])


class Nvjpeg:
    """torchvision's decode_jpeg on the GPU (nvJPEG), crops and resizes there; files are read by threads."""

    output = "rgb"

    def __init__(self, job: Job) -> None:
        from concurrent.futures import ThreadPoolExecutor

        import torchvision

        self.label, self.note = f"torchvision {torchvision.__version__} decode_jpeg, CUDA", "nvJPEG; crop and resize on the GPU"
        self._io, self._job, self._keys = torchvision.io, job, _Keys(job)
        self._pool = ThreadPoolExecutor(job.threads)

    def prepare(self, number: int) -> None:
        self._keys.prepare(number)

    def epoch(self, number: int) -> Iterator[Any]:
        import torch

        job, device = self._job, torch.device(self._job.device)
        mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (RGB_MEAN, RGB_STD))
        for keys in self._keys:
            files = list(self._pool.map(lambda key: self._io.read_file(job.paths[key[0]]), keys))
            pictures = self._io.decode_jpeg(files, mode=self._io.ImageReadMode.RGB, device=device)
            out = torch.empty((len(keys), 3, job.size, job.size), device=device)
            for place, (picture, (_, left, top, width, height, mirrored)) in enumerate(zip(pictures, keys, strict=True)):
                cut = picture[None, :, top : top + height, left : left + width].to(torch.float32).div_(255)
                x = torch.nn.functional.interpolate(cut, (job.size, job.size), mode="bilinear", antialias=True)[0]
                out[place] = x.flip(2) if mirrored else x
            yield out.sub_(mean).div_(std)


def pillow(job: Job, draft: bool = False) -> Pipeline:
    import PIL

    name = f"Pillow {PIL.__version__}" + (", draft mode" if draft else "")
    note = "ImageFolder + DataLoader" + ("; libjpeg scales large crops down" if draft else "")
    return _DataLoading(job, PillowPictures(job, draft), f"{name}, DataLoader", note)


def simplejpeg(job: Job) -> Pipeline:
    label = f"simplejpeg {importlib.metadata.version('simplejpeg')}, DataLoader"
    return _DataLoading(job, SimplejpegPictures(job), label, "decoded by simplejpeg, resized by Pillow")


def dctnet(job: Job) -> Pipeline:
    note = "cv2 decode, crop, resize, encode twice with TurboJPEG, jpeg2dct, normalise"
    made = _DataLoading(job, DCTNetCoefficients(job), "DCTNet's pipeline, DataLoader", note)
    made.output = "24s"
    return made


MAKERS: dict[str, Callable[..., Pipeline]] = {
    "pillow": pillow,
    "simplejpeg": simplejpeg,
    "spdl": SPDL,
    "dali": DALI,
    "nvjpeg": Nvjpeg,
    "dctnet": dctnet,
}
