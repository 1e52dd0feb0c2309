"""Writes the seeds of the other two fuzzers, made of those of fuzz_decode.

PYTHONPATH=tests python -m support.make_derived_corpus csrc/fuzz/corpus

fuzz_levels: some of the same files, half of them with the bytes behind EOI that ask for a region, for channels or for
truncated data to be kept (csrc/fuzz/fuzz_input.h), and one whose data is longer than the decoder's buffer.
fuzz_unpack: image records and batches of them, with the bytes behind them that say what to select and to cut.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import dctload
from support import jpeg_builder as jb
from support.make_fuzz_corpus import seeds as decode_seeds

REGION, KEEP_TRUNCATED, MASKS = 1, 2, 4
LOW_16, LOW_4, NO_DC = 0x0F0F0F0F, 0x0303, 0x0E0C
PLAIN = (
    "layout-420",
    "layout-3x1-progressive",
    "codes-of-16-bits",
    "eob-runs",
    "restart-progressive",
    "scan-a-component",
    "successive-approximation-from-bit-13",
    "zrl-before-eob",
)
WITH_OPTIONS = {
    "layout-410": (REGION | MASKS, (1, 0, 1, 3), LOW_16, LOW_4),
    "layout-422-progressive": (MASKS, (0, 0, 0, 0), LOW_16, LOW_4),
    "layout-444": (MASKS, (0, 0, 0, 0), 1, 1),
    "layout-gray-2x2-progressive": (REGION, (2, 1, 1, 1), 0, 0),
    "layout-luma-smaller": (REGION | MASKS, (0, 2, 2, 1), NO_DC, NO_DC),
    "ac-before-dc": (MASKS, (0, 0, 0, 0), NO_DC, 0),
    "cut-in-refinement": (KEEP_TRUNCATED, (0, 0, 0, 0), 0, 0),
    "restart-interval-lost": (KEEP_TRUNCATED | MASKS, (0, 0, 0, 0), LOW_16, LOW_4),
    "restart-marker-doubled": (KEEP_TRUNCATED | REGION, (1, 1, 1, 1), 0, 0),
}


def level_seeds() -> dict[str, bytes]:
    """File name -> file and options."""
    files = decode_seeds()
    out = {name: files[f"{name}.jpg"] for name in PLAIN}
    for name, (flags, box, luma, chroma) in WITH_OPTIONS.items():
        out[f"{name}-asked"] = files[f"{name}.jpg"] + struct.pack("<B3x4BQQ", flags, *box, luma, chroma)
    long = jb.encode(jb.content(256, 192, "gray", "dense", seed=1))
    out["data-of-two-pieces"] = long if isinstance(long, bytes) else long.to_bytes()
    return {f"{name}.jpg": data for name, data in out.items()}


def record_seeds() -> dict[str, bytes]:
    """File name -> record or batch and what is asked of it."""
    files = decode_seeds()

    def packed(*names: str, channels: str = "all", **kwargs: object) -> dctload.PackedBatch:
        sources = [files[f"{name}.jpg"] for name in names]
        return dctload.extract(sources, channels=channels, on_error="mark", **kwargs)

    def asked(mask: int, top: int, left: int, height: int, width: int) -> bytes:
        return struct.pack("<Q4B", mask, top, left, height, width)

    whole = packed("layout-420")
    out = {
        "whole-420": bytes(whole.image_bytes(0)) + asked(LOW_16, 0, 2, 2, 1),
        "whole-gray": bytes(packed("one-pixel").image_bytes(0)),
        "24s-444": bytes(packed("layout-444", channels="24s").image_bytes(0)) + asked(1, 1, 1, 1, 1),
        "region-410": bytes(packed("layout-410", regions=(0, 32, 16, 32)).image_bytes(0)) + asked(3, 0, 4, 1, 1),
        "cut-with-skip": bytes(whole.cut((16, 16, 11, 24)).image_bytes(0)) + asked(NO_DC, 2, 3, 1, 1),
        "planes-of-16-bits": bytes(packed("codes-of-16-bits").image_bytes(0)) + asked(~0 & (1 << 64) - 1, 0, 0, 9, 9),
        "failed": bytes(packed("size-65535").image_bytes(0)),
        "batch-of-three": packed("layout-422", "size-65535", "dc-only", channels="24s").buffer.tobytes() + asked(5, 0, 0, 1, 1),
        "batch-of-none": packed().buffer.tobytes(),
    }
    return {f"{name}.dct": data for name, data in out.items()}


if __name__ == "__main__":
    for target, made in {"fuzz_levels": level_seeds(), "fuzz_unpack": record_seeds()}.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in made.items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(made)} files, {sum(map(len, made.values()))} bytes")
