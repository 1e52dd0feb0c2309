"""What a result says about the machine, the versions and the commit: names and numbers, never paths or host names."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# What could change a figure; those that are not installed are left out.
PACKAGES = (
    "dctload",
    "numpy",
    "pillow",
    "torch",
    "triton",
    "simplejpeg",
    "PyTurboJPEG",
    "jpeglib",
    "jpeg2dct",
    "opencv-python-headless",
    "opencv-python",
    "spdl-io",
    "nvidia-dali-cuda130",
    "torchvision",
    "pyarrow",
    "safetensors",
    "scikit-image",
    "scikit-learn",
)


@dataclass(frozen=True)
class Machine:
    """CPU model, usable cores, GPU model (None where there is none) and operating system."""

    cpu: str
    cores: int
    gpu: str | None
    os: str

    @property
    def short_name(self) -> str:
        """A file name's part, such as `epyc-2core` or `epyc-16core-h200`."""
        name = f"{_short_cpu(self.cpu)}-{self.cores}core"
        if self.gpu:
            name += "-" + slug(re.sub(r"(?i)nvidia|geforce|tesla|graphics|device", " ", self.gpu))
        return name

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    """The machine that runs this, from the operating system's own files."""
    return Machine(cpu=_cpu_model(), cores=usable_cores(), gpu=_gpu_model(), os=_os_name())


def usable_cores() -> int:
    """Cores that this process may run on (affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Version of Python and of each installed package that could change a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def today() -> str:
    """Date in UTC, `YYYY-MM-DD`."""
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def commit() -> str:
    """Short commit id of the clone, with `+changes` where tracked files differ from it; `unknown` outside a clone."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def command_line(module: str, arguments: Sequence[str] | None = None) -> str:
    """The command as it can be typed again; absolute paths are cut to their last part."""
    typed = sys.argv[1:] if arguments is None else arguments
    words = [Path(word).name if Path(word).is_absolute() else word for word in typed]
    return shlex.join(["python", "-m", module, *words])


def _output(*command: str) -> str:
    """A command's output, stripped; empty where it is absent, fails or hangs."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _git(*arguments: str) -> str:
    return _output("git", "-C", str(REPOSITORY), *arguments)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if model := _output("sysctl", "-n", "machdep.cpu.brand_string"):
        return model
    return platform.processor() or platform.machine() or "unknown"


def _gpu_model() -> str | None:
    """First GPU's name, asked of the driver's own tool so that torch is not loaded just for a name."""
    lines = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    return lines[0].strip() if lines else None


def _os_name() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({platform.machine()})"
    except (OSError, KeyError, AttributeError):
        return f"{platform.system()} {platform.release()} ({platform.machine()})"


def _short_cpu(model: str) -> str:
    known = re.search(r"epyc|threadripper|ryzen|xeon|graviton|neoverse|apple m\d|i[3579]-\w+", model.lower())
    return slug(known.group(0)) if known else slug(model)[:24].strip("-") or "cpu"


def slug(text: str) -> str:
    """A file name's part: small letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
