"""Writes the seeds of the other fuzzers, made of those of fuzz_decode.

PYTHONPATH=tests python -m support.make_derived_corpus csrc/fuzz/corpus

fuzz_levels: some of the same files, half of them with the bytes behind EOI that ask for a region, for channels or for
truncated data to be kept (csrc/fuzz/fuzz_input.h), and one whose data is longer than the decoder's buffer.
fuzz_unpack: image records and batches of them, with the bytes behind them that say what to select and to cut.
fuzz_ops: image records with the bytes behind them that say what they are resampled to (csrc/fuzz/fuzz_ops.cc).
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


def ops_seeds() -> dict[str, bytes]:
    """File name -> record and geometry."""
    files = decode_seeds()

    def record(name: str, channels: str = "all", cut: tuple[int, int, int, int] | None = None) -> bytes:
        packed = dctload.extract([files[f"{name}.jpg"]], channels=channels, on_error="mark")
        return bytes((packed if cut is None else packed.cut(cut)).image_bytes(0))

    def geometry(
        flags: int, kind: int, size: tuple[int, int], box: tuple[float, ...], rest: tuple[int, ...], mask: int = LOW_16
    ) -> bytes:
        """`kind`: padding mode + 4 * half the taps; `rest`: first and number of the valid, then of the present pixels."""
        ranges = [16 * n if i % 2 == 0 else 16 * (n - 1) for i, n in enumerate(rest)]
        return struct.pack("<4B4hhHhHhHhHQH10x", flags, kind, *size, *(round(16 * x) for x in box), *ranges, mask, 40503)

    whole = (0, 27, 0, 35, 0, 27, 0, 35)
    turned, pixels, present, blurred, requantised, filled, affine = (1 << i for i in range(7))
    everything = present | blurred | requantised | filled | affine
    out = {
        "whole-420": record("layout-420") + geometry(0, 0, (23, 31), (0, 27, 0, 35), whole),
        "pixels-of-444": record("layout-444", "24s") + geometry(pixels, 0, (30, 21), (26.5, 1, 2.25, 34), whole),
        "turned-411": record("layout-411") + geometry(turned | affine, 4, (15, 63), (3, 20, 30, 4), (3, 17, 4, 26, 0, 9, 0, 9)),
        "constant-padding": record("layout-422")
        + geometry(filled | present, 0, (31, 31), (-9, 40, -20, 50), (-9, 49, -20, 70, 5, 11, 3, 17)),
        "edge-padding": record("layout-luma-smaller")
        + geometry(present, 1, (9, 40), (-60, 90, 50, 80), (-60, 150, 50, 31, 20, 90, 1, 2)),
        "reflect-padding": record("one-pixel")
        + geometry(turned, 2, (16, 16), (-30, 30, -30, 30), (-30, 60, -30, 60, 0, 1, 0, 1)),
        "symmetric-padding": record("layout-3x1")
        + geometry(everything, 3 + 8, (24, 24), (-90, 200, 99, -70), (-90, 290, -70, 169, 1, 25, 2, 30), ~0 & (1 << 64) - 1),
        "all-of-a-cut": record("layout-420", cut=(16, 16, 11, 24))
        + geometry(everything | turned, 12, (40, 33), (17, 27, 17, 35), (16, 11, 16, 19, 16, 11, 16, 19)),
        "planes-of-16-bits": record("codes-of-16-bits") + geometry(requantised | pixels, 0, (8, 8), (0, 16, 0, 16), whole),
        "failed": record("size-65535") + geometry(filled | affine, 0, (8, 8), (0, 8, 0, 8), whole),
    }
    return {f"{name}.dct": data for name, data in out.items()}


if __name__ == "__main__":
    for target, made in {"fuzz_levels": level_seeds(), "fuzz_unpack": record_seeds(), "fuzz_ops": ops_seeds()}.items():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in made.items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(made)} files, {sum(map(len, made.values()))} bytes")
