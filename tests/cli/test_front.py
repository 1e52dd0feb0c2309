"""The command's front: help, errors in a line, exit statuses, what goes to stdout and what to stderr, completion, speed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")

from dctload.cli import main
from dctload.cli.app import in_options
from dctload.cli.completion import complete_benchmarks

VERBS = ("extract", "inspect", "verify", "stats", "channels", "export", "merge", "bench")


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    words = capsys.readouterr().out
    assert "Examples" in words and words.count(f"dctload {verb}") >= 2


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    words = capsys.readouterr().out
    assert all(verb in words for verb in VERBS)


@pytest.mark.parametrize(
    "words, said",
    [
        (["nonsense"], "No such command 'nonsense'; see dctload --help"),
        (["extract"], "Missing argument 'SRC'; see dctload extract --help"),
        (["extract", "a", "b", "--workrs", "2"], "--workers"),
        (["extract", "a", "b", "--on-error", "ignore"], "'ignore' is not one of"),
        (["extract", "absent", "b"], "the folder absent does not exist"),
        (["verify", "absent.dct"], "absent.dct"),
        (["inspect", "absent.jpg"], "absent.jpg does not exist; give a JPEG file, or the folder of a shard set"),
        (["inspect", "absent.jpg", "--channels", "24q"], "did you mean 24"),
        (["stats", "absent"], "the folder absent does not exist"),
        (["stats", ".", "--output", "."], ". is a folder; give the name of a file in it"),
        (["channels", "24q"], "did you mean 24"),
        (["channels", "--keep", "3"], "--from-scores and --keep go together"),
        (["channels", "24s", "--from-scores", "a", "--keep", "3"], "not both"),
        (["merge", "absent.dct"], "absent.dct does not exist"),
        (
            ["extract", "absent", "s3://b/x.dct"],
            "s3://b/x.dct is a URL; files are written to a local folder only",
        ),
        (["merge", "s3://b/x.dct"], "aws s3 cp --recursive FOLDER s3://b/x.dct"),
        (["bench", "nothing"], "'nothing'"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if words[0] in ("extract", "verify", "merge"):
        pytest.importorskip("pyarrow")
    if words[0] == "stats" and "absent" in words:
        pytest.importorskip("torch")
    if words[0] == "bench" and not (Path(__file__).resolve().parents[2] / "benchmarks").is_dir():
        pytest.skip("the benchmarks are part of a clone")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and err.startswith("dctload: ") and said in err


def test_a_package_that_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["channels"]) == 2
    assert capsys.readouterr().err == "dctload: the command needs typer and rich: pip install 'dctload[cli]'\n"


def test_without_pyarrow_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "src" / "a").mkdir(parents=True)
    assert main(["extract", str(tmp_path / "src"), str(tmp_path / "x.dct")]) == 2
    assert capsys.readouterr().err == "dctload: shards need pyarrow: pip install 'dctload[shards]'\n"


@pytest.mark.parametrize(
    "python, words",
    [
        ("pass resume=True to go on", "pass --resume to go on"),
        ('or pass on_error="skip" to go on', "or pass --on-error skip to go on"),
        ('pass on_error="mark"', "pass --on-error skip"),
        ("extract them first, with part=", "extract them first, with --shard"),
        ('read with fallback="transcode"', "read with --fallback transcode"),
        ('or with to="webdataset" also "dct"', 'or with --to webdataset also "dct"'),
        ("x = 3 of 5, size=7", "x = 3 of 5, size=7"),
    ],
)
def test_arguments_of_python_are_told_as_options(python: str, words: str) -> None:
    assert in_options(python) == words


@pytest.mark.parametrize(
    "words, said",
    [
        (["inspect", "a.jpg"], ""),
        (["verify", "extract"], ""),  # the name of a set
        (["extract", "src", "a.dct"], "; shards that are whole stay, and --resume goes on with them"),
        (["merge", "a.dct"], "; the parts stay as they are: merge again"),
        (["export", "a.dct", "out"], "; files that are whole stay: export again into an empty folder"),
    ],
)
def test_ctrl_c_ends_with_a_line(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dctload.{'inspection' if words[0] == 'inspect' else 'shards'}.{words[0]}", interrupted)
    assert main(words) == 130
    assert capsys.readouterr().err == f"dctload: stopped{said}\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dctload.inspection.inspect", broken)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "a.jpg"])


class Refused(Exception):
    """What a storage client raises."""


@pytest.mark.parametrize(
    "error, words",
    [
        (FileNotFoundError("http://a.b/x.tar"), "http://a.b/x.tar does not exist, or cannot be reached"),  # so fsspec
        (OSError(28, "No space left on device"), "No space left on device"),
        (OverflowError("Python int too large"), "Python int too large"),
        (Refused("no credentials"), "Refused: no credentials"),
    ],
)
def test_errors_from_below_are_told_in_one_line(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dctload.inspection.inspect", fails)
    assert main(["inspect", "a.jpg"]) == 2
    assert capsys.readouterr() == ("", f"dctload: {words}\n")


@pytest.mark.no_sanitizer
def test_help_comes_at_once_and_without_torch() -> None:
    words = "import sys; from dctload.cli import main; main(['extract', '--help']); sys.exit('torch' in sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # whatever else runs on the machine
    assert seconds < 1.0, seconds


def test_a_package_that_is_missing_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("dctload.inspection", "dctload.ops", "dctload.transforms"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["stats", "absent"]) == 2
    assert capsys.readouterr().err == "dctload: this needs torch, which is not installed: pip install torch\n"


@pytest.mark.no_sanitizer
def test_the_shell_is_offered_presets() -> None:
    """As the function that --show-completion prints asks for them."""
    offered = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'dctload'; from dctload.cli import main; main()"],
        capture_output=True,
        text=True,
        env={**os.environ, "_DCTLOAD_COMPLETE": "complete_bash", "COMP_WORDS": "dctload channels 64", "COMP_CWORD": "2"},
        check=False,
    )
    assert {"64s", "64t"} <= set(offered.stdout.split()), offered


def test_what_is_said_of_a_benchmark_stays_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """typer breaks the line at 80 columns, and a shell offers what comes behind the break as a word."""
    known = {"short": "Says it.", "long": "Says a great deal of what it measures, " * 4}
    monkeypatch.setattr("dctload.cli.bench.clone", lambda: Path())
    monkeypatch.setattr("dctload.cli.bench.benchmarks", lambda _: known)
    (short,), (long,) = complete_benchmarks("s"), complete_benchmarks("l")
    assert short == ("short", "Says it.") and len(long[1]) <= 60 and long[1].endswith("...")


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("verb", [["channels"], ["channels", "--json"], ["channels", "24s", "--text"]])
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(verb: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "dctload.cli", *verb]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.no_sanitizer
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "dctload.cli", "channels", "--json"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "dctload: No space left on device\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dctload ")


def test_json_is_all_that_stdout_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["channels", "24s", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["count"] == 24 and not err
