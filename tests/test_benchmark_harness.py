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

from benchmarks import _bytes, _data, _markdown, _processes, _race, readme, resized
from benchmarks._crops import Job
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


def test_who_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    everyone = [_race.Variant("ours 24s", quick=True), _race.Variant("ours 64s"), _race.Variant("pillow", quick=True)]

    def keys(only: list[str], quick: bool = False) -> list[str]:
        return [variant.key for variant in _race.chosen(everyone, only, quick, "pipeline", always="pillow")]

    assert keys([]) == keys(["all"], quick=True) == ["ours 24s", "ours 64s", "pillow"]
    assert keys([], quick=True) == ["ours 24s", "pillow"] and keys(["64S"], quick=True) == ["ours 64s", "pillow"]
    with pytest.raises(SystemExit):
        keys(["none"])
    assert "--only none: no such pipeline; there are: ours 24s, ours 64s, pillow" in capsys.readouterr().err


def test_a_race_goes_round_and_compares_neighbours_in_time() -> None:
    race = _race.PipelineRace(Job((), 8, 1, 1, 0, "cpu"))
    for key in ("a", "b"):
        race.entries[key] = _race.Pipeline(_race.Variant(key), None, key.upper(), "")
    assert race.ratio("a", "b") is None
    for turn, entry in race.rounds(4, lambda *_: None):
        seconds = (turn + 1) * (1 if entry.label == "A" else 2)  # a machine that gets slower
        entry.turns.append({"images": 8, "seconds": seconds})
    ratio = race.ratio("a", "b")
    assert ratio is not None and ratio.rounded() == (2, 0, 4)
    assert race.ratio("a", "c") is None
    assert race.slower(["a", "b"], ["a", "b", "c"]) == ["B is 0.50 x as fast as A."]


def test_a_stopped_race_says_who_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    race = _race.Race(absent={"a": "not installed"})
    with pytest.raises(SystemExit), race.held("pipeline"):
        raise AssertionError("nobody takes part")
    assert capsys.readouterr().err == "benchmarks: no pipeline can be run; a: not installed\n"


def test_threads_work_together_and_tell_their_first_error() -> None:
    done = set()
    _processes.together(3, done.add)
    assert done == {0, 1, 2}
    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError: "):
        _processes.together(2, lambda number: 1 / (1 - number))


def test_markdown_tells_text_from_figures() -> None:
    assert _markdown.table(["", "n", "!what"], [("a", "1", "b")]) == "| | n | what |\n|---|--:|---|\n| a | 1 | b |"


def test_the_table_of_steps_has_the_results_figures() -> None:
    row = {"step": 16, "mean": 41331, "of_file": 0.379, "luma_db": 42.5, "normalised_db": 14.78}
    table = resized.markdown({"data": {"bytes": 1000000, "count": 10}, "rows": [{"step": 0, "mean": 1, "of_file": 0}, row]})
    assert table.splitlines()[2:] == ["| 16 | 41.3 | 0.41 | 43 dB | 15 dB |"]
