"""The page of the command line holds: its commands run as written, and it names every option."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("pyarrow")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("jpeglib")
Image = pytest.importorskip("PIL.Image")

from dctload.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
VERBS = ("extract", "inspect", "verify", "stats", "channels", "export", "merge", "bench")

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="docs/ is not beside these tests")


def commands() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for line in block.splitlines()]


def photo(number: int) -> Image.Image:
    y, x = np.mgrid[: 80 + 8 * (number % 3), :120]
    planes = [127 + 100 * np.sin((number + 3) * (x * a + y * b) / 900) for a, b in ((1, 2), (2, 1), (1, 1))]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page names."""
    for number in range(10):
        for root in ("imagenet/train", "damaged"):
            folder = tmp_path / root / ("cat", "dog")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            photo(number).save(folder / f"{number}.jpg", quality=90)
    (tmp_path / "damaged" / "dog" / "0.jpg").write_bytes(b"nonsense")
    (tmp_path / "heatmap.json").write_text(json.dumps([1 / (1 + k) for k in range(192)]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page_run_in_their_order(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(commands()) > 20
    for line in commands():
        words, _, remark = line.partition("  # ")
        want = int(found[1]) if (found := re.match(r"ends with (\d)", remark)) else 0
        assert main(shlex.split(words)[1:]) == want, (line, capsys.readouterr())
    for name in ("statistics.json", "statistics.png", "cat.png", "photos/cat/0.jpg"):
        assert (data / name).stat().st_size > 0


def test_the_grid_on_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main(["channels", "24s"])
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = re.search(r"^```\n(y:0-3.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert shown is not None and printed[: len(shown[1].splitlines())] == shown[1].splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_names_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([verb, "--help"])
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    said = set(re.findall(r"--[a-z][a-z-]+", PAGE.read_text(encoding="utf-8")))
    assert options <= said
