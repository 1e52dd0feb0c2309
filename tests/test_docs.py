"""README and docs hold: their Python runs as written, their links lead somewhere, and they name what there is.

Every block marked as Python is run, page by page, in a folder with small pictures under the names that the pages use. A block
that needs what is not here says so in the line before it: `<!-- not run: why -->`; it is compiled all the same.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

from dctload import DCTLoader
from dctload import transforms as T
from dctload.data.statistics import LoaderStatistics

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")] + sorted(DOCS.glob("*.md"))

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="README and docs/ are not beside these tests")

# What the pages write for a real data set, and what stands for it here. A figure that is not found is an error: see `code`.
SMALLER = {"batch_size=256": "batch_size=4", "range(90)": "range(2)"}
FENCE = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of Python on a page."""

    page: Path
    line: int
    code: str
    why_not: str | None

    def compiled(self, smaller: bool) -> Any:
        """The code as written, or for small pictures, with the page's lines in tracebacks."""
        code = self.code
        if smaller:
            for words, instead in SMALLER.items():
                code = code.replace(words, instead)
            if not torch.cuda.is_available():
                code = code.replace('device="cuda"', 'device="cpu"')
        return compile("\n" * (self.line - 1) + code, str(self.page), "exec")


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(page, text.count("\n", 0, f.start("code")) + 1, f["code"], f["why"]) for f in FENCE.finditer(text)]


WITH_CODE = [page for page in PAGES if page.exists() and blocks(page)]


def picture(number: int, width: int, height: int) -> Any:
    y, x = np.mgrid[:height, :width]
    planes = [127 + 100 * np.sin((number + 3) * (x * a + y * b) / 900) for a, b in ((1, 2), (2, 1), (1, 1))]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what pages name: a data set in class folders, and photographs of make demo."""
    photos = tmp_path / "build" / "photos"
    photos.mkdir(parents=True)
    for number, name in enumerate(("astronaut-q90-420", "coffee-q75-420", "rocket-q90-444")):
        quality, sampling = int(name.split("-")[1][1:]), {"420": 2, "444": 0}[name.split("-")[2]]
        picture(number, 512, 512 if number == 0 else 400).save(photos / f"{name}.jpg", quality=quality, subsampling=sampling)
    for split, count in (("train", 10), ("val", 4)):
        for number in range(count):
            folder = tmp_path / "imagenet" / split / ("cat", "dog")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            picture(number, 200 + 8 * number, 160).save(folder / f"{number}.jpg", quality=90)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --------------------------------------------------------------------------------------------------------------- Python


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, pictures: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.why_not is None:
            exec(block.compiled(smaller=True), names)
    for loader in [value for value in names.values() if isinstance(value, DCTLoader)]:
        loader.close()


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_python_of_a_page_compiles_as_written(page: Path) -> None:
    for block in blocks(page):
        block.compiled(smaller=False)


def test_every_fence_is_seen() -> None:
    """A block whose fence is indented or has other words behind it would be passed over."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("```py") == len(blocks(page)), page.name


def test_the_readme_shows_the_loader_as_it_is_used(pictures: Path) -> None:
    """The first block of Python is the one line that a user changes; what its comment promises is what comes out."""
    first = blocks(ROOT / "README.md")[0]
    assert "x: [256, 24, 56, 56]" in first.code
    names: dict[str, Any] = {}
    exec(first.compiled(smaller=True), names)
    x, target = next(iter(names["loader"]))
    assert tuple(x.shape) == (4, 24, 56, 56) and target.shape == (4,) and x.isfinite().all()


# ---------------------------------------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, by GitHub's rule."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


def test_the_index_lists_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


# --------------------------------------------------------------------------------------------------------- what there is


def code_words(page: str) -> set[str]:
    """All names in backticks on a page, tables and prose alike."""
    spans = re.findall(r"`([^`\n]+)`", (DOCS / page).read_text(encoding="utf-8"))
    return {word for span in spans for word in re.findall(r"\w+", span)}


def test_the_transforms_page_names_every_transform() -> None:
    steps = {name for name in T.__all__ if inspect.isclass(getattr(T, name)) and issubclass(getattr(T, name), T.Transform)}
    assert steps - {"Transform"} <= code_words("transforms.md")
    for preset in T.Normalize.presets():
        assert preset in code_words("transforms.md")


def test_the_loader_pages_name_every_argument_and_figure() -> None:
    said = code_words("loader.md") | code_words("resume-and-ranks.md") | code_words("bad-files.md")
    with_names = set(inspect.signature(DCTLoader).parameters)
    assert with_names <= said
    assert set(LoaderStatistics().as_dict()) <= code_words("loader.md")
