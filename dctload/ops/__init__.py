"""From packed bytes to tensors: unpacking, dequantising, resampling, colour."""

from __future__ import annotations

from dctload.ops.batch import DCTBatch
from dctload.ops.color import rgb_to_ycbcr, ycbcr_to_rgb
from dctload.ops.dense import to_dense
from dctload.ops.geometry import Geometry
from dctload.ops.pictures import to_rgb
from dctload.ops.resample import resample
from dctload.ops.unpack import unpack

__all__ = ["DCTBatch", "Geometry", "resample", "rgb_to_ycbcr", "to_dense", "to_rgb", "unpack", "ycbcr_to_rgb"]
