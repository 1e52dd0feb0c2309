"""The ground: one version, a short setup.py, documented names, a stub that fits, and nothing of one machine in the files."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dctload
from dctload import _core

ROOT = Path(__file__).resolve().parents[1]
in_the_clone = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="runs in a clone only: no Makefile beside tests/")


def tracked_files() -> list[Path]:
    """What git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git does not know this folder")
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file's text; None for a binary one."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None


def test_the_package_has_the_version_of_its_distribution() -> None:
    assert dctload.__version__ == importlib.metadata.version("dctload")


@in_the_clone
def test_the_version_agrees_everywhere() -> None:
    stated = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert stated is not None
    assert dctload.__version__ == stated[1]
    changes = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert changes[0] == "Unreleased"
    assert changes[1:2] in ([], [stated[1]]), "the newest release in CHANGELOG.md is another version"


@in_the_clone
def test_setup_py_stays_under_90_lines() -> None:
    assert len((ROOT / "setup.py").read_text().splitlines()) < 90


@pytest.mark.parametrize("name", sorted(dctload.__all__))
def test_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(dctload, name)
    if not (inspect.isclass(value) or callable(value) or inspect.ismodule(value)):
        return  # a plain constant has no docstring of its own
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert own, f"dctload.{name} has no docstring"


def test_import_needs_numpy_alone() -> None:
    code = (
        "import sys, dctload; allowed = set(sys.stdlib_module_names) | {'numpy', 'dctload', '_distutils_hack'};"
        "print(*sorted({name.split('.')[0] for name in sys.modules if not name.startswith(('_', 'sitecustomize', 'pybind11'))}"
        " - allowed - BEFORE))"
    )
    before = "import sys; BEFORE = {name.split('.')[0] for name in sys.modules};"
    ran = subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_a_typing_marker_is_installed() -> None:
    assert (Path(str(dctload.__file__)).parent / "py.typed").exists()


def stub_parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    return [name for name in names if name not in ("self", "cls")]


def module_parameters(signature: str) -> list[str]:
    """Parameter names in the first line of a pybind11 docstring: `name(a: int, *, b: str = 'x') -> int`."""
    head = ast.parse(f"def {re.sub(r'<[^<>]*>|(?<= = )[^,)]*', '...', signature)}: ...").body[0]
    assert isinstance(head, ast.FunctionDef)
    return [name for name in stub_parameters(head) if not re.fullmatch(r"arg\d", name)]


def test_stub_has_the_functions_and_parameters_of_the_module() -> None:
    stub = ast.parse((Path(str(dctload.__file__)).parent / "_core.pyi").read_text())
    stubs = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    real = {name: value for name, value in vars(_core).items() if inspect.isbuiltin(value) and not name.startswith("__")}
    assert {n for n in stubs if not n.startswith("__")} == set(real)
    for name, function in real.items():
        first = (function.__doc__ or "").splitlines()[0]
        if first.startswith("Overloaded") or not first.startswith(name + "("):
            continue
        assert stub_parameters(stubs[name]) == module_parameters(first), f"{name}: the stub and the module differ"


@in_the_clone
def test_no_file_names_a_machine_or_a_registry() -> None:
    # Put together from parts, so that this file does not find itself.
    folders = [f"/{name}/" for name in ("home", "root", "work", "workspace", "Users")]
    hosts = ["files.python" + "hosted", "pypi" + r"\.org"]
    forbidden = re.compile("|".join(folders + hosts))
    found = []
    for path in tracked_files():
        text = text_of(path)
        for number, line in enumerate((text or "").splitlines(), 1):
            if forbidden.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


@in_the_clone
def test_no_large_or_built_file_is_tracked() -> None:
    large = [p.name for p in tracked_files() if p.stat().st_size > 2_000_000]
    built = [p.name for p in tracked_files() if p.suffix in {".so", ".o", ".a", ".pyc", ".whl"}]
    assert (large, built) == ([], [])


@in_the_clone
def test_documents_name_targets_that_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for page in pages if page.exists() for name in re.findall(r"`make ([a-z][a-z-]*)", page.read_text())}
    assert named
    assert named <= targets


@in_the_clone
def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert not broken


@in_the_clone
def test_the_tables_of_the_pages_are_those_of_the_results() -> None:
    pytest.importorskip("rich", reason="benchmarks need rich (make demo installs it)")
    command = [sys.executable, "-m", "benchmarks.readme", "--check"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
