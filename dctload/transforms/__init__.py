"""Transforms in the frequency domain, with torchvision.transforms.v2's names, arguments and drawing rules.

Spatial steps are planned before decoding and become one resampling on the device; the others act on its result. Every step draws
once a sample, from (seed, epoch, sample index) alone.
"""

from __future__ import annotations

from dctload.transforms import functional
from dctload.transforms.base import Transform
from dctload.transforms.blocks import RandomAdjustSharpness
from dctload.transforms.color import (
    ColorJitter,
    Grayscale,
    PCALighting,
    RandomChannelPermutation,
    RandomGrayscale,
    RandomInvert,
)
from dctload.transforms.compose import Compose
from dctload.transforms.draws import Draws
from dctload.transforms.mixing import CutMix, MixUp
from dctload.transforms.noise import FrequencyDropout, GaussianNoise, RandomErasing, Requantize
from dctload.transforms.normalize import Normalize
from dctload.transforms.plan import Plan, SamplePlan
from dctload.transforms.policies import DCTRandAugment, DCTTrivialAugment
from dctload.transforms.spatial import (
    CenterCrop,
    ExifTranspose,
    GaussianBlur,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation90,
    RandomTranspose,
    RandomVerticalFlip,
    Resize,
)

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "DCTRandAugment",
    "DCTTrivialAugment",
    "Draws",
    "ExifTranspose",
    "FrequencyDropout",
    "GaussianBlur",
    "GaussianNoise",
    "Grayscale",
    "MixUp",
    "Normalize",
    "PCALighting",
    "Pad",
    "Plan",
    "RandomAdjustSharpness",
    "RandomChannelPermutation",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomResizedCrop",
    "RandomRotation90",
    "RandomTranspose",
    "RandomVerticalFlip",
    "Requantize",
    "Resize",
    "SamplePlan",
    "Transform",
    "functional",
]
