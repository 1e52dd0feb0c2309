"""What all benchmarks share: options, tables that fit their terminal, turns, and which files take part."""

from __future__ import annotations

import argparse
import importlib
import io
import json

import pytest

pytest.importorskip("rich", reason="benchmarks need rich (make demo installs it)")
_harness = pytest.importorskip("benchmarks._harness", reason="the benchmarks are not beside these tests")

from rich.console import Console

from benchmarks import _bytes, _data, readme
from benchmarks._data import FileSet, JPEGFile
from support import pixels as px


def test_every_variant_is_the_first_of_a_round_before_one_is_it_twice_as_often() -> None:
    for count in range(1, 41):
        starts = [_harness.rotated(range(count), turn)[0] for turn in range(count)]
        assert max(starts.count(place) for place in starts) <= 2, count
        assert len(set(starts)) > count // 2


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_narrow_terminal_loses_spare_columns_and_no_words(width: int) -> None:
    def make(left_out):
        made = _harness.table("title", _harness.without(("", *(f"column {n}" for n in range(1, 9))), left_out))
        made.add_row(*_harness.without(("a rather long name of something", *(str(1000 + n) for n in range(1, 9))), left_out))
        return made

    out = Console(file=io.StringIO(), width=width)
    out.print(_harness.fitted(out, make, spare=(2, 4, 6, 8, 7, 5)))
    shown = out.file.getvalue()
    assert "a rather long name of something" in shown and "1001" in shown and "1003" in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ("1002" in shown) == (width >= 160)


def test_a_median_that_is_not_there_is_null_in_json() -> None:
    row = _harness.Row("name", "MB", float("nan"), 0.0, 1)
    assert json.loads(json.dumps(row.as_json(), allow_nan=False))["median"] is None


@pytest.mark.parametrize("name", ["bandwidth", "containers", "decode", "loader", "shards", "transforms"])
def test_a_shortened_run_is_not_kept(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert module._options(["--quick"]).quick and module._options(["--save"]).save
    with pytest.raises(SystemExit):
        module._options(["--quick", "--save"])
    assert "--save keeps whole runs only" in capsys.readouterr().err


def test_json_goes_to_a_file_or_to_stdout(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"rows": [1], "data": {"name": "é"}}
    _harness.write_json(argparse.Namespace(json=str(tmp_path / "new" / "f.json")), content)
    assert json.loads((tmp_path / "new" / "f.json").read_text(encoding="utf-8")) == content
    assert capsys.readouterr().out == ""
    _harness.write_json(argparse.Namespace(json="-"), content)
    assert json.loads(capsys.readouterr().out) == content


def test_a_folder_that_is_not_there_is_told_by_its_option(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _data.folder_photos(tmp_path / "none", "--small")
    assert capsys.readouterr().err.startswith(f"benchmarks: --small {tmp_path / 'none'}: no such folder")


def test_damaged_files_and_those_without_colour_planes_take_no_part() -> None:
    whole = px.built(96, 120, "4:2:0")
    files = FileSet("made", (JPEGFile("whole", whole), JPEGFile("cut", whole[: len(whole) // 2]), JPEGFile("text", b"no JPEG")))
    kept, skipped = _bytes.usable(files)
    assert [file.name for file in kept.files] == ["whole"]
    assert [line.split(":")[0] for line in skipped] == ["cut", "text"]
    with pytest.raises(SystemExit):
        _bytes.usable(FileSet("made", files.files[1:]))


def test_training_says_that_there_are_too_few_files(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="the small network is torch's")
    training = importlib.import_module("benchmarks.training")
    for part in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.jpg").write_bytes(px.built(96, 120, "4:2:0"))
    with pytest.raises(SystemExit):
        training.main(["--data", str(tmp_path), "--epochs", "1", "--seeds", "1", "--output", "dct"])
    assert f"fewer than {training.BATCH} files" in capsys.readouterr().err


def test_a_missing_table_names_the_command_that_makes_it() -> None:
    assert "python -m benchmarks.loader --data DIR --device cuda --save" in readme.block("loader-nothing-cuda")
    assert "python -m benchmarks.unpack --data DIR --save" in readme.block("unpack-nothing")
