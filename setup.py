"""Builds the extension `dctload._core` from csrc/; all that is not code stands in pyproject.toml.

DCTLOAD_SANITIZE=address,undefined (or thread) builds it with sanitizers, DCTLOAD_BUILD_JOBS=N limits the compilers at work.
"""

import os
import sys
import sysconfig
from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext

if os.name == "nt":
    sys.exit("dctload does not build on Windows yet: the core is written for gcc and clang. WSL works.")

SANITIZE = os.environ.get("DCTLOAD_SANITIZE", "")
SOURCES = sorted(glob("csrc/core/*.cc") + glob("csrc/ops/*.cc") + glob("csrc/python/*.cc"))
HEADERS = [*sorted(glob("csrc/**/*.h", recursive=True)), "csrc/avx2.flags", "setup.py"]
X86_64 = sysconfig.get_platform().endswith("x86_64")

# Not -I: a header of ours must never stand in for a system header of the same name.
compile_args = ["-O3", "-Wall", "-Wextra", "-pthread", "-iquote", "csrc/core", "-iquote", "csrc/ops"]
link_args = ["-pthread"]
if SANITIZE:
    compile_args += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-O1", "-g"]
    link_args += [f"-fsanitize={SANITIZE}"]


def needs_recompile(obj: str, src: str) -> bool:
    """True where the source, any header or the flags are younger than the object."""
    return any(os.path.getmtime(path) > os.path.getmtime(obj) for path in [src, *HEADERS])


class BuildExt(build_ext):
    """Adds the flags of one CPU level to the files named after it."""

    def finalize_options(self):
        super().finalize_options()
        self.force = True  # needs_recompile decides file by file; setuptools would skip the extension as a whole
        if self.editable_mode:  # setuptools would compile in a new folder each time
            self.build_temp = f"build/temp.{self.plat_name}-{sys.implementation.cache_tag}"
        if SANITIZE:
            self.build_temp += "-" + SANITIZE.replace(",", "-")

    def build_extensions(self):
        compile_one = self.compiler._compile

        def compile_with_level(obj, src, ext, cc_args, extra_postargs, pp_opts):
            level = ["@csrc/avx2.flags"] if X86_64 and src.endswith("_avx2.cc") else []
            compile_one(obj, src, ext, cc_args, [*extra_postargs, *level], pp_opts)

        self.compiler._compile = compile_with_level
        super().build_extensions()


core = Pybind11Extension(
    "dctload._core",
    SOURCES,
    depends=HEADERS,
    cxx_std=20,
    extra_compile_args=compile_args,
    extra_link_args=link_args,
)

with ParallelCompile("DCTLOAD_BUILD_JOBS", max=os.cpu_count() or 1, needs_recompile=needs_recompile):
    setup(
        packages=find_packages(include=["dctload", "dctload.*"]),
        package_data={"": ["py.typed", "*.pyi", "presets/*.json"]},
        ext_modules=[core],
        cmdclass={"build_ext": BuildExt},
    )
