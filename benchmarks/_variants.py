"""Who takes part in `benchmarks.decode`, on which files, and which ratios are held against a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks._bars import Bar
from benchmarks._calls import DC
from benchmarks._libjpeg import PILLOW, SYSTEM

# File sets. "main" is --data; the others are made of it or of --small.
MAIN, PROGRESSIVE, ONLY_420, SMALL = "main", "progressive", "4:2:0", "small"
CPU_LEVELS = ("portable", "avx2")


@dataclass(frozen=True)
class Variant:
    """One contestant: how a worker makes its call, and which file sets it runs on."""

    key: str
    maker: str
    options: tuple[Any, ...] = ()
    sets: tuple[str, ...] = (MAIN,)
    environment: Mapping[str, str] = field(default_factory=dict)
    all_threads: bool = False  # takes part in the run with all threads, too
    slow: bool = False  # runs in every third round only

    @property
    def ours(self) -> bool:
        return self.maker in ("planes", "packed")


EVERY = (MAIN, PROGRESSIVE, ONLY_420, SMALL)
OURS = {"all": "all", "64s": "64s", "24s": "24s", "6s": "6s", "DC": DC}  # what is kept, by name


def contestants() -> list[Variant]:
    """All variants at the CPU's best level, ours first."""
    return [
        *(
            Variant(f"{maker} {name}", maker, (channels,), EVERY, all_threads=True)
            for maker in ("planes", "packed")
            for name, channels in OURS.items()
        ),
        Variant("packed 24s rrc", "packed", ("24s", "rrc"), (MAIN,)),
        Variant("libjpeg system", "libjpeg", (SYSTEM,), EVERY, all_threads=True),
        Variant("libjpeg pillow", "libjpeg", (PILLOW,), EVERY, all_threads=True),
        Variant("simplejpeg", "simplejpeg", all_threads=True),
        Variant("pyturbojpeg", "pyturbojpeg"),
        Variant("opencv", "opencv"),
        Variant("pillow", "pillow"),
        Variant("pillow 224", "pillow_pipeline", (224,), (MAIN, SMALL)),
        Variant("pillow 448", "pillow_pipeline", (448,), (MAIN, SMALL), all_threads=True),
        Variant("jpeglib", "jpeglib", slow=True),
        Variant("jpeg2dct", "jpeg2dct", slow=True),
        Variant("dctnet", "dctnet", slow=True),
    ]


def at_level(variants: Sequence[Variant], level: str) -> list[Variant]:
    """Ours once more, forced to a CPU level: what the choice of a level at run time is worth."""
    environment = {"DCTLOAD_FORCE_ISA": level}
    return [
        Variant(f"{variant.key} [{level}]", variant.maker, variant.options, (MAIN, PROGRESSIVE), environment)
        for variant in variants
        if variant.ours and variant.options in {(channels,) for channels in OURS.values()} and not variant.environment
    ]


def chosen(variants: Sequence[Variant], patterns: Sequence[str]) -> list[Variant]:
    """Variants whose key holds one of the patterns; the yardsticks always stay. All where there is no pattern."""
    if not patterns:
        return list(variants)
    wanted = [variant for variant in variants if any(pattern.lower() in variant.key.lower() for pattern in patterns)]
    return [variant for variant in variants if variant in wanted or variant.maker == "libjpeg"] if wanted else []


# On one file set, in one thread. The other is a key, or "libjpeg" for libjpeg-turbo 3 where it is there, else the system's.
BARS = (
    Bar("planes all", "libjpeg", 1.85, MAIN, "2.0"),
    Bar("packed 24s", "libjpeg", 1.9, MAIN, "2.0"),
    Bar("packed DC", "libjpeg", 2.9, MAIN),
    Bar("planes all", "libjpeg", 2.4, PROGRESSIVE),
    Bar("packed DC", "libjpeg", 14.0, PROGRESSIVE),
    Bar("planes all", "libjpeg", 1.85, SMALL),
    Bar("packed 24s", "libjpeg", 1.75, SMALL),
    Bar("packed 24s", "pillow 448", 6.0, MAIN),
    Bar("packed 24s", "pillow 224", 4.5, MAIN, "expected 4.5 to 5", promised=False),
)
