"""Each verb does what its Python function does, and says it: results on stdout, what failed on stderr, the right status."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.shard_sets import files_of, image_folder, images_of

pytest.importorskip("typer")
pytest.importorskip("pyarrow")

import dctload
from dctload import shards
from dctload.cli import main
from dctload.shards.layout import Manifest

COUNT = 12
Said = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "src", COUNT)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command: its status, stdout and stderr."""

    def call(*words: object) -> Said:
        capsys.readouterr()
        status = main([str(word) for word in words])
        return (status, *capsys.readouterr())

    return call


# ------------------------------------------------------------------------------------------------- extract, verify, merge


def test_extract_makes_the_set_of_the_python_function(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    status, out, _ = run("extract", folder, tmp_path / "a.dct", "--channels", "all", "--shard-size", "8KiB", "--workers", 2)
    shards.extract(folder, tmp_path / "b.dct", channels="all", shard_size="8KiB")
    assert status == 0 and f"{COUNT} images" in out and out.count("\n") == 1
    assert files_of(tmp_path / "a.dct") == files_of(tmp_path / "b.dct")


def test_pruned_shards_come_with_a_warning(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    assert "note:" not in run("extract", folder, tmp_path / "a.dct", "--channels", "all")[2]
    assert "note: these shards hold 24 of 192" in run("extract", folder, tmp_path / "b.dct", "--channels", "24s")[2]


def test_resize_and_step_reach_the_set(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    pytest.importorskip("torch")
    words = ("--resize", 64, "--step", 2, "--channels", "24s")
    status, _, err = run("extract", folder, tmp_path / "a.dct", *words)
    assert status == 0 and not err
    assert shards.open(tmp_path / "a.dct").manifest.quantization == "resize 64 step 2"


def test_skipped_samples_are_listed_and_end_with_1(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    for i in range(13):
        (folder / "a" / f"bad{i:02d}.jpg").write_bytes(b"nonsense")
    status, out, err = run("extract", folder, tmp_path / "a.dct", "--on-error", "skip")
    assert status == 1 and "13 skipped" in out
    assert err.count("not a JPEG") == 10 and "13 samples failed" in err and "and 3 more" in err and "a/bad00.jpg" in err
    status, out, _ = run("extract", folder, tmp_path / "a.dct", "--on-error", "skip", "--resume", "--json")
    assert status == 1 and len(json.loads(out)["failed"]) == 13
    failed = json.loads(out)["failed"]
    assert json.loads((tmp_path / "a.dct" / "manifest.json").read_text())["failures"] == failed


def test_samples_that_failed_are_shown_by_inspect_and_verify(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    for i in range(13):
        (folder / "a" / f"bad{i:02d}.jpg").write_bytes(b"nonsense")
    run("extract", folder, tmp_path / "a.dct", "--on-error", "skip")
    listed = json.loads((tmp_path / "a.dct" / "manifest.json").read_text())["failures"]
    status, out, _ = run("inspect", tmp_path / "a.dct")
    assert status == 0 and "13 samples failed" in out and out.count("(not_jpeg)") == 10 and "and 3 more; --json" in out
    assert json.loads(run("inspect", tmp_path / "a.dct", "--json")[1])["failures"] == listed
    status, out, err = run("verify", tmp_path / "a.dct", "--against", folder)
    assert status == 0 and "(13 samples failed when it was made), all right, equal to" in out and not err
    assert json.loads(run("verify", tmp_path / "a.dct", "--json")[1])["failed"] == listed


def test_verify_does_not_claim_what_it_could_not_tell(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    run("extract", folder, tmp_path / "a.dct")
    path = tmp_path / "a.dct" / "manifest.json"
    known = Manifest.from_json(path.read_text(), "manifest")
    path.write_text(dataclasses.replace(known, quantization="resize 64 step 2 dither 1").to_json())
    status, out, err = run("verify", tmp_path / "a.dct", "--against", folder)
    assert status == 0 and "all right" in out and "equal to" not in out and "note: quantization" in err


def test_a_sample_that_fails_stops_with_one_line(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    (folder / "a" / "bad.jpg").write_bytes(b"nonsense")
    status, out, err = run("extract", folder, tmp_path / "a.dct")
    assert status == 1 and not out and err.count("\n") == 1
    assert "bad.jpg" in err and "--on-error skip" in err and "on_error" not in err
    status, _, err = run("extract", folder, tmp_path / "a.dct")
    assert status == 2 and "--resume" in err


def test_parts_are_merged(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    words = ("--shard-size", "8KiB", "--channels", "all")
    for i in (1, 2):
        status, out, _ = run("extract", folder, tmp_path / "a.dct", *words, "--shard", f"{i}/2")
        assert status == 0 and "dctload merge" in out
    status, out, _ = run("merge", tmp_path / "a.dct", "--json")
    assert status == 0 and json.loads(out)["images"] == COUNT and json.loads(out)["is_complete"]
    assert run("verify", tmp_path / "a.dct", "--against", folder)[0] == 0


def test_a_list_names_files_and_classes(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    rows = [f"{path.relative_to(tmp_path)},{'dog' if i % 3 else 'cat'}" for i, path in enumerate(images_of(folder))]
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    assert run("extract", tmp_path / "list.csv", tmp_path / "a.dct")[0] == 0
    opened = shards.open(tmp_path / "a.dct")
    assert list(opened.targets) == [min(i % 3, 1) for i in range(COUNT)] and opened.classes == ["cat", "dog"]
    assert run("verify", tmp_path / "a.dct", "--against", tmp_path / "list.csv")[0] == 0


def damage_first(path: Path) -> str:
    """Flips a bit of the first record of a set; its key."""
    opened, shard = shards.open(path), path / "shard-00000.arrow"
    data = bytearray(shard.read_bytes())
    record = bytes(opened.read([0]).image_bytes(0))
    data[data.index(record) + len(record) // 2] ^= 4
    shard.write_bytes(data)
    return opened.keys[0]


def test_verify_names_what_is_damaged_and_ends_with_1(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    run("extract", folder, tmp_path / "a.dct")
    status, out, err = run("verify", tmp_path / "a.dct")
    assert status == 0 and "all right" in out and not err
    key = damage_first(tmp_path / "a.dct")
    status, out, err = run("verify", tmp_path / "a.dct")
    assert status == 1 and "1 damaged" in out and key in err
    status, out, _ = run("verify", tmp_path / "a.dct", "--json")
    report = json.loads(out)
    assert status == 1 and not report["ok"] and [row["key"] for row in report["damaged"]] == [key]


def test_export_gives_files_with_the_same_coefficients(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    pytest.importorskip("jpeglib")
    run("extract", folder, tmp_path / "all.dct", "--channels", "all")
    status, out, _ = run("export", tmp_path / "all.dct", tmp_path / "out")
    assert status == 0 and f"{COUNT} images in {COUNT} files" in out
    for path in images_of(folder):
        planes = [dctload.read_coefficients(root / path.relative_to(folder)).planes for root in (folder, tmp_path / "out")]
        assert all((a == b).all() for a, b in zip(*planes, strict=True))
    run("extract", folder, tmp_path / "few.dct", "--channels", "24s")
    status, _, err = run("export", tmp_path / "few.dct", tmp_path / "few")
    assert status == 2 and "--lossy" in err and "--channels all" in err
    status, out, _ = run("export", tmp_path / "few.dct", tmp_path / "tars", "--to", "webdataset", "--payload", "dct", "--json")
    assert status == 0 and json.loads(out)["images"] == COUNT and len(list((tmp_path / "tars").glob("*.tar"))) == 1


# ------------------------------------------------------------------------------------------- inspect, stats, channels, bench


def test_inspect_shows_a_file_and_a_set(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    path = images_of(folder)[0]
    header = dctload.read_header(path)
    status, out, _ = run("inspect", path, "--tables")
    assert status == 0 and f"{header.width} x {header.height} pixels" in out and "quantisation table" in out
    assert json.loads(run("inspect", path, "--json")[1])["width"] == header.width
    run("extract", folder, tmp_path / "a.dct", "--channels", "24s")
    status, out, _ = run("inspect", tmp_path / "a.dct")
    assert status == 0 and f"{COUNT} images" in out and "24s" in out
    assert json.loads(run("inspect", tmp_path / "a.dct", "--json")[1])["preset"] == "24s"
    assert json.loads(run("inspect", tmp_path / "a.dct", "--image", "b/001.jpg", "--json")[1])["status"] == "ok"


def test_a_damaged_record_is_named_with_what_to_do(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    """And with no option that these verbs do not have."""
    run("extract", folder, tmp_path / "a.dct", "--channels", "all")
    key = damage_first(tmp_path / "a.dct")
    for words in ([], ["--image", key]):
        status, out, err = run("inspect", tmp_path / "a.dct", *words)
        assert status == 1 and not out and err.count("\n") == 1 and key in err and "make it anew" in err and "--on" not in err
    pytest.importorskip("torch")
    status, out, err = run("stats", tmp_path / "a.dct", "--resize", 64, "--crop", 32, "--json")
    assert status == 1 and json.loads(out)["images"] == COUNT - 1 and "1 sample left out" in err
    assert [row["key"] for row in json.loads(out)["left_out"]] == [key]


@pytest.mark.no_sanitizer
def test_a_name_that_is_no_text_is_shown(folder: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/b\xe4r.jpg"
    Path(os.fsdecode(path)).write_bytes(images_of(folder)[0].read_bytes())
    for extra in ([], ["--json"]):
        words = [sys.executable, "-m", "dctload.cli", "inspect", path, *extra]
        done = subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, check=False)
        assert done.returncode == 0 and b"udce4r.jpg" in done.stdout and not done.stderr


def test_inspect_tells_a_bad_file_from_wrong_use(tmp_path: Path, run: Callable[..., Said]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nonsense")
    status, out, err = run("inspect", tmp_path / "a.jpg")
    assert status == 1 and not out and "a.jpg" in err and err.count("\n") == 1


def test_pictures_are_written(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    run("extract", folder, tmp_path / "a.dct", "--channels", "all")
    for words in (
        ("inspect", images_of(folder)[0], "--plot", tmp_path / "file.png"),
        ("inspect", tmp_path / "a.dct", "--plot", tmp_path / "set.png"),
        ("stats", folder, "--resize", 64, "--crop", 32, "--plot", tmp_path / "stats.png"),
    ):
        assert run(*words)[0] == 0
        assert Path(words[-1]).read_bytes().startswith(b"\x89PNG")


def test_stats_write_the_file_that_normalize_takes(folder: Path, tmp_path: Path, run: Callable[..., Said]) -> None:
    pytest.importorskip("torch")
    from dctload import transforms as T

    status, out, _ = run("stats", folder, "--resize", 64, "--crop", 32, "-o", tmp_path / "s.json")
    assert status == 0 and "CenterCrop(32)" in out and "Cr 0" in out
    assert repr(T.Normalize(str(tmp_path / "s.json"))).startswith("Normalize(")
    (folder / "a" / "bad.jpg").write_bytes(b"nonsense")
    status, out, err = run("stats", folder, "--resize", 64, "--crop", 32, "--json")
    assert status == 1 and json.loads(out)["images"] == COUNT and "1 sample left out" in err and "bad.jpg" in err


def test_stats_measure_a_data_set_and_say_what_they_left_out(tmp_path: Path, run: Callable[..., Said]) -> None:
    """The numbers are those of all blocks of the good images at once, at any depth of the folders."""
    np, _ = pytest.importorskip("numpy"), pytest.importorskip("torch")
    from dctload import transforms as T
    from support import pixels as px

    deep = tmp_path / "in" / "a" / "deep"
    deep.mkdir(parents=True)
    pictures = [px.built(56, 40, seed=k) for k in range(3)]
    for k, data in enumerate(pictures):
        (deep / f"{k}.JPG").write_bytes(data)
    (tmp_path / "in" / "a" / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "in" / "a" / "four.jpg").write_bytes(px.built(40, 40, "four"))
    (tmp_path / "in" / "a" / "notes.txt").write_text("no picture")
    words = ("stats", tmp_path / "in", "--resize", 40, "--workers", 1, "-o", tmp_path / "out.json")
    status, out, err = run(*words, "--crop", 32)
    assert status == 1 and "3 images" in out and "2 samples left out" in err and "bad.jpg" in err and "four.jpg" in err
    data = json.loads((tmp_path / "out.json").read_text())
    pooled = T.Compose([T.Resize(40), T.CenterCrop(32)])(px.batch(*pictures)).double().permute(1, 0, 2, 3).flatten(1)
    for k, part in enumerate(("Y", "Cb", "Cr")):
        some = pooled[64 * k : 64 * k + 64]
        np.testing.assert_allclose(data["mean"][part], some.mean(1), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(data["std"][part], some.std(1, correction=0), rtol=1e-6)
    (tmp_path / "out.json").unlink()
    for wrong, said in (
        (("--crop", 30), "multiples of 8"),
        (("--crop", 0), "multiples of 8"),
        (("--resize", 10**20), "resize is"),
        (("--crop", 32, "--workers", -1), "workers is 0"),
        (("--crop", 32, "--plot", tmp_path), "is a folder"),
    ):
        status, out, err = run(*words, *wrong)
        assert status == 2 and not out and err.count("\n") == 1 and said in err and not (tmp_path / "out.json").exists()
    status, _, err = run("stats", tmp_path / "in", "--limit", 1, "-o", tmp_path / "none.json")  # bad.jpg comes first
    assert status == 1 and "no image that can be measured" in err and not (tmp_path / "none.json").exists()


def test_channels_show_grids_and_take_scores(tmp_path: Path, run: Callable[..., Said]) -> None:
    _, out, _ = run("channels", "24d")
    assert "y:0-5,8-10,16-18,24,32;cb:0,1,3,8,24;cr:0,1,3,8,24" in out and "16 17 18  ." in out
    scores: dict[str, Any] = {name: [64.0 - freq for freq in range(64)] for name in ("Y", "Cb", "Cr")}
    scores["Y"] = [value + 100 for value in scores["Y"]]
    flat = [value for values in scores.values() for value in values]
    for form in (scores, {"scores": list(scores.values())}, flat):
        (tmp_path / "heat.json").write_text(json.dumps(form))
        assert run("channels", "--from-scores", tmp_path / "heat.json", "--keep", 66, "--text")[1] == "y:0-63;cb:0;cr:0\n"
    (tmp_path / "heat.json").write_text("[1, 2]")
    status, _, err = run("channels", "--from-scores", tmp_path / "heat.json", "--keep", 2)
    assert status == 2 and "holds 2 scores" in err
    status, out, _ = run("channels")
    assert (
        status == 0 and all(name in out for name in dctload.ChannelSelection.presets()) and "####....  ##......  ##......" in out
    )
    listed = json.loads(run("channels", "--json")[1])
    assert {name: row["text"] for name, row in listed.items()} == {
        name: str(preset) for name, preset in dctload.ChannelSelection.presets().items()
    }


def test_bench_lists_and_runs_the_benchmarks_of_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clone = tmp_path / "clone"
    (clone / "benchmarks").mkdir(parents=True)
    (clone / "dctload").mkdir()
    (clone / "benchmarks" / "_harness.py").write_text("")
    (clone / "benchmarks" / "tiny.py").write_text('"""Measures nothing."""\nimport sys\nprint(sys.argv[1:])\nsys.exit(7)\n')
    monkeypatch.chdir(clone)
    assert main(["bench"]) == 0
    out = capfd.readouterr().out
    assert "tiny" in out and "Measures nothing." in out and "_harness" not in out
    assert main(["bench", "tiny", "--json", "--help", "x"]) == 7
    assert "['--json', '--help', 'x']" in capfd.readouterr().out
    (clone / "benchmarks" / "tiny.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert main(["bench", "tiny"]) == 128 + 9


def test_bench_away_from_a_clone_says_so(run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dctload.cli.bench.clone", lambda: None)
    status, _, err = run("bench", "decode")
    assert status == 2 and "part of a clone" in err


def test_numbers_are_written_for_people() -> None:
    from dctload.cli.console import counted, duration, nbytes

    assert [nbytes(n) for n in (0, 999, 1000, 52_300_000, 1_250_000_000, 140e9)] == [
        "0 B",
        "999 B",
        "1.00 kB",
        "52.3 MB",
        "1.25 GB",
        "140 GB",
    ]
    assert [duration(s) for s in (0.42, 12, 200, 7500)] == ["0.4 s", "12 s", "3 min 20 s", "2 h 5 min"]
    assert counted(1, "image") == "1 image" and counted(1250, "image") == "1,250 images"
