"""What one image is: header, tables, quality, and what each of its frequencies holds and costs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dctload.channels import ChannelSelection
from dctload.errors import JPEGError
from dctload.inspection.costs import Float, channel_bytes
from dctload.inspection.quality import Quality, estimated_quality
from dctload.jpeg import Component, Header, JPEGCoefficients, read_coefficients
from dctload.packed import PackedBatch, extract, unpack_reference

_COMPONENTS = {
    "gray": ("Y",),
    "ycbcr": ("Y", "Cb", "Cr"),
    "rgb": ("R", "G", "B"),
    "cmyk": ("C", "M", "Y", "K"),
    "ycck": ("Y", "Cb", "Cr", "K"),
}
_SIZED = ("24s", "64s", "all")  # selections whose packed size is told where the image holds them


@dataclass(frozen=True, eq=False)
class ComponentFacts:
    """One colour component.

    Attributes:
        name: `"Y"`, `"Cb"` and so on by the image's colour space.
        component: As the header has it: sampling factors, blocks, quantisation table.
        quality: The setting that its table comes from.
        frequencies: That are held, `8 * v + u`, ascending.
        nbytes: float64 `[64]`, bytes of each frequency in the packed format (`channel_bytes`).
        energy: float64 `[64]`, mean square of each frequency's dequantised coefficients.
    """

    name: str
    component: Component
    quality: Quality
    frequencies: tuple[int, ...]
    nbytes: Float
    energy: Float


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """One image, out of a file or a shard set.

    Attributes:
        name: Path, or key in its set.
        source_bytes: Size of the file; None of an image out of a set.
        coefficients: All that is held of it; `.header`, `.status` and `.warnings` too.
        components: In the frame's order.
        packed_bytes: Size of the image's packed record, by the name of a selection that it holds.
    """

    name: str
    source_bytes: int | None
    coefficients: JPEGCoefficients
    components: tuple[ComponentFacts, ...]
    packed_bytes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The facts in plain types, for JSON; lists of 64 numbers are row-major."""
        header = self.coefficients.header
        return {
            "name": self.name,
            "width": header.width,
            "height": header.height,
            "precision": header.precision,
            "orientation": header.orientation,
            "process": header.process,
            "color_space": header.color_space,
            "subsampling": header.subsampling,
            "restart_interval": header.restart_interval,
            "num_mcus": header.num_mcus,
            "status": self.coefficients.status,
            "warnings": list(self.coefficients.warnings),
            "source_bytes": self.source_bytes,
            "packed_bytes": self.packed_bytes,
            "components": [
                {
                    "name": facts.name,
                    "id": facts.component.id,
                    "h": facts.component.h,
                    "v": facts.component.v,
                    "block_rows": facts.component.block_rows,
                    "block_cols": facts.component.block_cols,
                    "quality": facts.quality.value,
                    "quality_is_exact": facts.quality.is_exact,
                    "quantization": facts.component.quantization.tolist(),
                    "channels": list(facts.frequencies),
                    "bytes": facts.nbytes.tolist(),
                    "energy": facts.energy.tolist(),
                }
                for facts in self.components
            ],
        }


def inspect_image(path: str | os.PathLike[str]) -> ImageFacts:
    """The facts of a JPEG file; of a file that breaks off, what came (`coefficients.status` says so).

    Raises:
        JPEGError: It cannot be decoded, or not be packed; `.source` is its path.
        OSError: It cannot be opened.

    Example:
        >>> facts = inspect_image("a.jpg")  # doctest: +SKIP
        >>> facts.components[0].quality  # doctest: +SKIP
        Quality(value=90, is_exact=True)
    """
    name, data = os.fspath(path), Path(path).read_bytes()
    try:
        coefficients = read_coefficients(data, truncated="keep")
        batch = extract([data], "all", on_error="mark", truncated="keep")
        fault = batch.error(0)  # no record can hold it
        if fault is not None:
            raise fault
    except JPEGError as error:
        error.source, error.index = name, None
        error.args = (f"{name}: {str(error).removeprefix('image 0: ')}",)
        raise
    return _facts(name, len(data), coefficients, batch)


def inspect_record(batch: PackedBatch, name: str) -> ImageFacts:
    """The facts of the one image of a batch, as `ShardSet.read` gives it.

    Raises:
        ValueError: It holds no coefficients.
    """
    image = unpack_reference(batch)[0]
    if image is None:
        raise batch.error(0) or ValueError(f"{name} holds no coefficients")
    return _facts(name, None, image, batch)


def colors_of(header: Header) -> str:
    """Colour space and subsampling in words, such as `"ycbcr 4:2:0"`, or `"gray"`."""
    space = header.color_space
    return space if space == header.subsampling else f"{space} {header.subsampling}"


def _component_names(color_space: str, count: int) -> tuple[str, ...]:
    """What the components of an image are called."""
    names = _COMPONENTS.get(color_space, ())
    return names if len(names) == count else tuple(f"#{k}" for k in range(count))


def _mean_square(image: JPEGCoefficients, k: int) -> Float:
    """float64 `[64]`: mean square of the dequantised coefficients of component `k`, 0 where a frequency is not held."""
    energy = np.zeros(64)
    values = image.dequantized(k).astype(np.float64)
    if values.size:
        energy[list(image.frequencies[k])] = (values**2).mean(axis=(1, 2))
    return energy


def _facts(name: str, source_bytes: int | None, image: JPEGCoefficients, batch: PackedBatch) -> ImageFacts:
    header = image.header
    names = _component_names(header.color_space, len(header.components))
    is_chroma = [part in ("Cb", "Cr") for part in names]
    components = tuple(
        ComponentFacts(
            name=part,
            component=component,
            quality=estimated_quality(component.quantization, is_chroma=chroma),
            frequencies=image.frequencies[k],
            nbytes=cost,
            energy=_mean_square(image, k),
        )
        for k, (part, component, chroma, cost) in enumerate(
            zip(names, header.components, is_chroma, channel_bytes(image), strict=True)
        )
    )
    return ImageFacts(name, source_bytes, image, components, dict(_packed_sizes(batch)))


def _packed_sizes(batch: PackedBatch) -> Iterable[tuple[str, int]]:
    for name in _SIZED:
        try:
            yield name, len(batch.select(ChannelSelection.parse(name)).image_bytes(0))
        except ValueError:  # the record holds fewer frequencies
            continue
