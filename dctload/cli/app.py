"""The verbs under one name, and what becomes of their errors."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from dctload.cli.console import complain
from dctload.errors import JPEGError

_VERBS = ("extract", "inspect", "verify", "stats", "channels", "export", "merge", "bench")
_FAILED, _WRONG = 1, 2
_STOPPED, _UNREAD = 128 + 2, 128 + 13  # a shell's statuses of processes that SIGINT and SIGPIPE ended
# What a run that was stopped has made, by verb; the others make nothing before they are done.
_AFTER_STOPPING = {
    "extract": "; shards that are whole stay, and --resume goes on with them",
    "merge": "; the parts stay as they are: merge again",
    "export": "; files that are whole stay: export again into an empty folder",
}
# What a Python function says of its arguments, in the words of the command line.
_KEYWORDS = [
    "resume",
    "on_error",
    "fallback",
    "lossy",
    "truncated",
    "part",
    "channels",
    "resize",
    "step",
    "requantize",
    "to",
    "payload",
    "engine",
]
_KEYWORD = re.compile(rf'\b({"|".join(_KEYWORDS)})=(?:"([\w ]+)"|(True)|(?=\W|$))')
_NAMES = {"part": "shard"}
_VALUES = {"mark": "skip"}

_PACKAGES = {"PIL": "pillow"}  # by the name that is imported, where pip has another

app = typer.Typer(
    name="dctload",
    help="Train on the DCT coefficients of JPEG files: extract them once, look at them, check them.",
    epilog="Results go to stdout, progress and errors to stderr. Exit status: 0 done, 1 some samples failed, 2 wrong use.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        import dctload

        sys.stdout.write(f"dctload {dctload.__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Shows the help where no verb is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _verb in _VERBS:
    importlib.import_module(f"dctload.cli.{_verb}").register(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; errors that a user can do something about become one line on stderr.

    Args:
        arguments: As for `dctload.cli.main`.

    Returns:
        The exit status.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":  # names of files may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = app(None if arguments is None else list(arguments), prog_name="dctload", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = _STOPPED
    except SystemExit as stop:  # of typer or rich, where the reader of our stdout has seen enough
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        return _UNREAD
    except JPEGError as error:
        complain(in_options(str(error)))
        return _FAILED
    except (ValueError, OSError, ImportError, OverflowError) as error:
        complain(in_options(_words(error)))
        return _WRONG
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: an unknown option, an argument that is missing
            complain(_wrong_use(error))
        elif type(error).__module__.partition(".")[0] not in ("builtins", "dctload"):
            # A library's own, such as Ray's word that its cluster is gone.
            complain(f"{type(error).__name__}: {_words(error)}")
        else:
            raise
        return _WRONG
    if status == _STOPPED:  # typer may have caught Ctrl-C itself
        words = sys.argv[1:] if arguments is None else arguments
        verb = next((word for word in words if word in _VERBS), "")
        complain("stopped" + _AFTER_STOPPING.get(verb, ""))
    return status if isinstance(status, int) else 0


def in_options(message: str) -> str:
    """A message of a Python function with options in the place of its arguments: `resume=True` becomes `--resume`."""

    def option(found: re.Match[str]) -> str:
        name = "--" + _NAMES.get(found[1], found[1]).replace("_", "-")
        return f"{name} {_VALUES.get(found[2], found[2])}" if found[2] else name

    return _KEYWORD.sub(option, message)


def _words(error: Exception) -> str:
    """The system's own errors without their numbers; all in one line."""
    from dctload.sources.urls import is_url

    if isinstance(error, ModuleNotFoundError) and error.name:  # Python's own; ours say what to do
        package = error.name.partition(".")[0]
        text = f"this needs {package}, which is not installed: pip install {_PACKAGES.get(package, package)}"
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, FileNotFoundError) and is_url(str(error)):  # fsspec's say only where
        text = f"{error} does not exist, or cannot be reached"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


def _wrong_use(error: Exception) -> str:
    """What typer says of wrong use, in one line that names the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "dctload"
    words = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    return f"{words.rstrip('.')}; see {path} --help"
