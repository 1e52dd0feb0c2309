"""`python -m benchmarks.registers`: what the CUDA kernels need of a GPU, found out without one.

The kernels are compiled for an architecture with the compiler that comes with Triton, and its assembler says how many registers a
thread takes, what is spilled to memory, and how much shared memory a program has. It says nothing of speed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _harness
from benchmarks._harness import Row

MODULE = "benchmarks.registers"
EXAMPLES = """examples:
  python -m benchmarks.registers                 Hopper (sm_90)
  python -m benchmarks.registers --arch 80       Ampere
"""
_WIDTHS = {"u8": "*u8", "i16": "*i16", "i32": "*i32", "i64": "*i64", "f32": "*fp32", "f16": "*bf16"}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    try:
        kernels = _kernels()
    except ModuleNotFoundError as error:
        _harness.fail(f"this benchmark needs {error.name}; run: pip install torch triton")
    rows = [_row(name, _compiled(options.arch, *kernel)) for name, kernel in kernels.items()]
    content = _harness.result(MODULE, arguments, {"name": f"sm_{options.arch}", "count": 0, "bytes": 0}, rows)
    made = _harness.table(f"Compiled for sm_{options.arch}", ("kernel", "warps", "registers", "spilled bytes", "shared bytes"))
    for row in rows:
        made.add_row(row.name, *(str(row.extra[key]) for key in ("warps", "registers", "spilled_bytes", "shared_bytes")))
    _harness.console().print(made)
    if options.json:
        _harness.write_result(content, Path(options.json))
    if options.save:
        path = _harness.RESULTS / f"registers-sm{options.arch}.json"
        _harness.write_result(content, path)
        print(f"saved {path.name}", file=sys.stderr)


def _kernels() -> dict[str, tuple[Any, dict[str, str], dict[str, Any], int]]:
    """Name -> kernel, types of its arguments, constants, warps: the forms that a loader of 24 channels launches, and pixels."""
    from dctload.ops import _triton_resample as resampling
    from dctload.ops import _triton_unpack as unpacking

    launch = unpacking.Launch()
    pointers = {"packed": "u8", "packed16": "i16", "packed32": "i32", "packed64": "i64", "channel_of": "i32"}
    dense = {"mean": "f32", "gain": "f32", "flip": "u8"}
    numbers = ("num_components", "num_images", "rows", "cols", "stride_image", "stride_channel", "stride_row", "stride_col")
    made = {}
    for name, out, given in (
        ("unpack, int16", "i16", {}),
        ("unpack, bfloat16", "f16", {"DEQUANTIZE": True}),
        ("unpack, dense bfloat16", "f16", {"DEQUANTIZE": True, "DENSE": True, "NORMALIZE": True, "WIDE": True}),
        ("unpack, dense bfloat16, flips", "f16", {"DEQUANTIZE": True, "DENSE": True, "NORMALIZE": True, "HAS_FLIP": True}),
        ("unpack, dense, channels last", "f16", {"DEQUANTIZE": True, "DENSE": True, "NORMALIZE": True, "CHANNELS_LAST": True}),
    ):
        constants = dict.fromkeys(("DEQUANTIZE", "DENSE", "NORMALIZE", "HAS_FLIP", "CHANNELS_LAST", "WIDE", "PORTABLE"), False)
        constants |= {"COMPONENT_ROUNDS": 2, "IMAGE_ROUNDS": 2, "CHUNK": launch.channels, **given}
        if constants["DENSE"]:
            constants["stride_channel" if constants["CHANNELS_LAST"] else "stride_col"] = 1
        types = _types({**pointers, "out": out, **dense}, numbers)
        made[name] = (unpacking._unpack_kernel, types, constants, launch.warps)
    stored = {"facts": "i64", "operator": "f32", "first": "i32"}
    coefficients = {"values": "i16", "ranks": "i32", "steps": "f32", "coarse": "f32", "rows_out": "f32"}
    first = _types({**coefficients, **stored}, ("columns", "taps"))
    places = ("columns", "taps", "height", "width", "stride_place", "stride_channel", "stride_row", "stride_col")
    floats = ("rows_in", "fill", "ones_y", "inside_y", "ones_x", "inside_x", "off", "gain")
    second = _types({"channel_of": "i32", "out": "f16", **dict.fromkeys(floats, "f32"), **stored}, places)
    for kept, requantizes in ((2, False), (4, False), (8, False), (8, True)):
        block = 16 if kept == 8 else 32
        constants = {"BAND_V": 8, "BAND_U": 8, "OUT_U": kept, "WIDE_U": kept, "BLOCK": block, "REQUANTIZE": requantizes}
        words = f"resample, stage 1, {kept} frequencies out" + (", requantised" if requantizes else "")
        made[words] = (resampling._rows_kernel, first, constants, resampling._warps(8 * kept * block, 32))
    for kept, pixels in ((2, False), (4, False), (8, False), (8, True)):
        block = 16 if kept == 8 else 32
        constants = {"BAND_V": 8, "OUT_V": kept, "OUT_U": kept, "WIDE_V": kept, "WIDE_U": kept, "BLOCK": block, "stride_col": 1}
        constants |= {"PIXELS": pixels, "FILL": False, "NORMALIZE": True, "CHANNELS_LAST": False}
        words = f"resample, stage 2, {kept} frequencies out" if not pixels else "resample, stage 2, pixels out"
        made[words] = (resampling._columns_kernel, second, constants, resampling._warps(kept * kept * block, 16))
    return made


def _types(pointers: Mapping[str, str], numbers: Sequence[str]) -> dict[str, str]:
    return {name: _WIDTHS[kind] for name, kind in pointers.items()} | dict.fromkeys(numbers, "i32")


def _compiled(arch: int, kernel: Any, types: Mapping[str, str], constants: Mapping[str, Any], warps: int) -> dict[str, int]:
    """What the assembler says of one kernel."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = kernel.arg_names
    source = ASTSource(
        fn=kernel,
        signature={name: "constexpr" if name in constants else types[name] for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in names if types.get(name, "").startswith("*")},
    )
    made = triton.compile(source, target=GPUTarget("cuda", arch, 32), options={"num_warps": warps})
    assembler = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "kernel.ptx"
        text.write_text(made.asm["ptx"], encoding="utf-8")
        target = re.search(r"\.target (\w+)", made.asm["ptx"])
        command = [
            str(assembler),
            "-v",
            f"--gpu-name={target[1] if target else f'sm_{arch}'}",
            str(text),
            "-o",
            f"{folder}/kernel",
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    used = re.search(r"Used (\d+) registers", said)
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", said))
    if used is None:
        _harness.fail(f"ptxas did not name the registers: {said.strip()}")
    return {"warps": warps, "registers": int(used[1]), "spilled_bytes": spilled, "shared_bytes": int(made.metadata.shared)}


def _row(name: str, found: Mapping[str, int]) -> Row:
    return Row(name, "registers a thread", found["registers"], 0, 1, extra=dict(found))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description="Registers, spills and shared memory of the CUDA kernels, compiled without a GPU.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arch", type=int, default=90, metavar="N", help="compute capability times ten (default: 90)")
    parser.add_argument("--json", metavar="F", help="write the result as JSON")
    parser.add_argument("--save", action="store_true", help="keep the result in benchmarks/results/")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
