"""docs/errors.md says of every code what the core says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dctload import _core
from dctload.errors import error_from_code

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"
HEADER = ROOT / "csrc" / "core" / "errors.h"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside these tests")


def rows() -> list[list[str]]:
    """The table's cells: number, code, exception, meaning, remedy."""
    table = PAGE.read_text().split("## All codes")[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if re.match(r"\| \d", line)]


def test_the_page_lists_every_code_with_the_cores_words() -> None:
    want = [
        [str(number), f"`{name}`", f"`{type(error_from_code(number, offset=0)).__name__}`", text, remedy]
        for number, (name, text, remedy, _, _) in enumerate(_core.CODES)
        if number > 0
    ]
    assert rows() == want


@pytest.mark.skipif(not HEADER.exists(), reason="csrc/ is not beside these tests")
def test_the_page_has_as_many_codes_as_the_header() -> None:
    numbers = re.findall(r"^  k\w+ = (\d+),", HEADER.read_text().split("enum class Code")[1].split("};")[0], re.MULTILINE)
    assert [row[0] for row in rows()] == numbers[1:]


def test_every_code_says_what_happened_and_what_to_do() -> None:
    for number, (name, text, remedy, _, _) in enumerate(_core.CODES):
        if number > 0:
            assert re.fullmatch(r"[a-z_]+", name)
            assert text
            assert remedy
            assert "\n" not in text + remedy
