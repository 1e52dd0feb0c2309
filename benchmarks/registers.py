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
_SIDE = 448 // 8  # blocks of the resampled output, each way
# Pointers of the three kernels by the names of their arguments; whatever else is not compiled in is a number.
_POINTERS = {
    **dict.fromkeys(("packed", "flip"), "*u8"),
    **dict.fromkeys(("packed16", "values"), "*i16"),
    **dict.fromkeys(("packed32", "channel_of", "ranks", "first"), "*i32"),
    **dict.fromkeys(("packed64", "facts"), "*i64"),
    **dict.fromkeys(("mean", "gain", "steps", "coarse", "operator", "rows_out", "rows_in", "fill", "scale", "bias"), "*fp32"),
    **dict.fromkeys(("ones_y", "inside_y", "ones_x", "inside_x"), "*fp32"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _harness.need_dctload()
    try:
        kernels = _kernels()
    except ModuleNotFoundError as error:
        _harness.fail(f"this benchmark needs {error.name}; run: pip install torch triton")
    rows = [_row(name, compiled(options.arch, *kernel)) for name, kernel in kernels.items()]
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


def _kernels() -> dict[str, tuple[Any, dict[str, Any], int, str]]:
    """Name -> kernel, constants, warps, output: the forms that a loader of 24 channels launches, and pixels."""
    from dctload.ops import _triton_resample as resampling
    from dctload.ops import _triton_unpack as unpacking

    made: dict[str, tuple[Any, dict[str, Any], int, str]] = {}
    dense = {"DEQUANTIZE": True, "DENSE": True, "NORMALIZE": True}
    launch = unpacking.Launch()
    for name, out, given in (
        ("unpack, int16", "*i16", {}),
        ("unpack, bfloat16", "*bf16", {"DEQUANTIZE": True}),
        ("unpack, dense bfloat16", "*bf16", {**dense, "WIDE": True, "stride_col": 1}),
        ("unpack, dense bfloat16, flips", "*bf16", {**dense, "HAS_FLIP": True, "stride_col": 1}),
        ("unpack, dense, channels last", "*bf16", {**dense, "CHANNELS_LAST": True, "stride_channel": 1}),
    ):
        names = ("DEQUANTIZE", "DENSE", "NORMALIZE", "HAS_FLIP", "CHANNELS_LAST", "WIDE", "PORTABLE")
        sizes = {"COMPONENT_ROUNDS": 2, "IMAGE_ROUNDS": 2, "CHUNK": launch.channels}
        made[name] = (unpacking._unpack_kernel, {**dict.fromkeys(names, False), **sizes, **given}, launch.warps, out)
    for kept, requantizes in ((2, False), (4, False), (8, False), (8, True)):
        constants, warps = stage_1(kept, requantizes=requantizes)
        words = f"resample, stage 1, {kept} frequencies out" + (", requantised" if requantizes else "")
        made[words] = (resampling._rows_kernel, constants, warps, "")
    for kept, pixels in ((2, False), (4, False), (8, False), (8, True)):
        constants, warps = stage_2(kept, pixels=pixels)
        words = f"resample, stage 2, {kept} frequencies out" if not pixels else "resample, stage 2, pixels out"
        made[words] = (resampling._columns_kernel, {**constants, "stride_col": 1}, warps, "*bf16")
    return made


def stage_1(kept: int, *, columns: int = _SIDE, requantizes: bool = False) -> tuple[dict[str, Any], int]:
    """Constants and warps of the first resampling kernel, as it is launched for `columns` of blocks of `kept` x `kept`."""
    from dctload.ops import _triton_resample as resampling

    sizes = resampling._sizes(8, kept, columns)
    return {**sizes, "BAND_U": 8, "REQUANTIZE": requantizes}, resampling._warps(8 * sizes["WIDE_U"] * sizes["BLOCK"], 32)


def stage_2(kept: int, *, columns: int = _SIDE, pixels: bool = False) -> tuple[dict[str, Any], int]:
    """Likewise of the second, with scale and bias."""
    from dctload.ops import _triton_resample as resampling

    sizes = resampling._sizes(8, kept, columns)
    forms = {"OUT_V": kept, "WIDE_V": sizes["WIDE_U"], "PIXELS": pixels, "FILL": False, "AFFINE": True, "CHANNELS_LAST": False}
    return {**sizes, **forms}, resampling._warps(sizes["WIDE_U"] ** 2 * sizes["BLOCK"], 16)


def compiled(arch: int, kernel: Any, constants: Mapping[str, Any], warps: int, out: str = "") -> dict[str, int]:
    """What the assembler says of one kernel, compiled for an architecture; `out` is the type of the pointer of that name."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names, pointers = kernel.arg_names, {**_POINTERS, "out": out}
    source = ASTSource(
        fn=kernel,
        signature={name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in names if name in pointers},
    )
    made = triton.compile(source, target=GPUTarget("cuda", arch, 32), options={"num_warps": warps})
    assembler = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    target = re.search(r"\.target (\w+)", made.asm["ptx"])
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "kernel.ptx"
        text.write_text(made.asm["ptx"], encoding="utf-8")
        name = target[1] if target else f"sm_{arch}"
        command = [str(assembler), "-v", f"--gpu-name={name}", str(text), "-o", f"{folder}/kernel"]
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
