"""Writes the seed corpus of the decoding fuzzers: small odd files, named by what is odd about them.

PYTHONPATH=tests python -m support.make_fuzz_corpus csrc/fuzz/corpus/fuzz_decode
"""

from __future__ import annotations

import sys
from pathlib import Path

from support import jpeg_builder as jb


def seeds() -> dict[str, bytes]:
    """File name -> bytes, all from fixed seeds."""
    out: dict[str, jb.Stream | bytes] = {}
    for layout in jb.LAYOUTS:
        content = jb.content(35, 27, layout, "natural", seed=1)
        name = layout.replace(":", "").replace(" ", "-")
        out[f"layout-{name}"] = jb.encode(content)
        out[f"layout-{name}-progressive"] = jb.encode(content, jb.random_progression(content, 2), process="progressive")
    small = jb.content(40, 27, "4:2:0", "natural", seed=1)
    gray = jb.content(40, 27, "gray", "dense", seed=1)
    plain, scans = jb.encode(small), jb.encode(small, jb.scan_a_component(small))
    restarts = jb.encode(small, restart_interval=1)
    standard = jb.standard_progression(small)
    progressive = jb.encode(small, standard, process="progressive")
    extreme = jb.content(16, 16, "4:4:4", "extreme", seed=1)
    out |= {
        "scan-a-component": scans,
        "restart-every-mcu": restarts,
        "restart-progressive": jb.encode(small, standard, process="progressive", restart_interval=2),
        "restart-marker-lost": restarts.drop("RST", 2),
        "restart-interval-lost": restarts.drop("RST", 2).drop("ECS", 3),
        "restart-marker-doubled": restarts.insert_before("RST", b"\xff\xd1", 1),
        "restart-wrong-number": restarts.put("RST", b"\xff\xd6", 1),
        "restart-without-interval": plain.put("ECS", plain.get("ECS")[:90] + b"\xff\xd0" + plain.get("ECS")[90:]),
        "codes-of-16-bits": jb.encode(extreme, process="extended", tables="deep"),
        "table-of-256-symbols": jb.encode(extreme, process="extended", tables="full"),
        "no-eob-in-any-block": jb.encode(gray),
        "zrl-before-eob": jb.encode(jb.content(24, 24, "gray", "sparse", seed=1), trailing_zrl=True),
        "no-huffman-tables": jb.encode(small, tables="standard", dht="none"),
        "quantisation-of-16-bits": jb.encode(jb.content(16, 16, wide_quantization=True), wide_dqt=True),
        "quantisation-redefined": jb.encode(small, jb.scan_a_component(small), requantize={1: {1: tuple(range(1, 65))}}),
        "fill-bytes": jb.encode(small, fill=3, restart_interval=2),
        "junk-between-segments": plain.insert_before("SOF", b"junk"),
        "no-eoi": plain.drop("EOI"),
        "bytes-after-eoi": plain.append(plain.to_bytes()),
        "comment-of-length-0": plain.insert_before("DQT", b"\xff\xfe\0\0"),
        "exif-orientation": jb.encode(small, extras=(jb.exif(6, "little", before=2), jb.JFIF, jb.adobe(1))),
        "cut-in-data": plain.to_bytes()[: plain.offset("ECS") + 60],
        "cut-in-second-scan": scans.to_bytes()[: scans.offset("ECS", 1) + 20],
        "cut-in-refinement": progressive.to_bytes()[: progressive.offset("ECS", 9) + 3],
        "successive-approximation-from-bit-13": jb.encode(extreme, jb.deep_approximation(extreme, 13), process="progressive"),
        "bands-of-one-coefficient": jb.encode(gray, jb.spectral_progression(gray, range(1, 65)), process="progressive"),
        "dc-only": jb.encode(small, [jb.Scan((0, 1, 2), 0, 0)], process="progressive"),
        "ac-before-dc": jb.encode(small, [jb.Scan((0,), 1, 63), jb.Scan((0, 1, 2), 0, 0)], process="progressive"),
        "eob-runs": jb.encode(
            jb.content(200, 160, "gray", "sparse", seed=1), jb.deep_approximation(gray, 2), process="progressive"
        ),
        "huffman-table-of-one-code": plain.put("DHT", jb.dht({(0, 0): jb.Table(bytes([1] + [0] * 15), b"\0")})),
        "size-65535": plain.put("SOF", plain.get("SOF")[:5] + b"\xff\xff\xff\xff" + plain.get("SOF")[9:]),
        "one-pixel": jb.encode(jb.content(1, 1, "4:1:0", "natural")),
        "duplicate-component-ids": jb.encode(jb.content(16, 16, "4:4:4", ids=(1, 1, 1))),
    }
    return {f"{name}.jpg": s if isinstance(s, bytes) else s.to_bytes() for name, s in out.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (folder / name).write_bytes(data)
    print(f"{len(seeds())} files, {sum(map(len, seeds().values()))} bytes")
