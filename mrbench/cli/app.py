"""Puts the commands together and turns every known error into one line and exit code 2."""

from __future__ import annotations

import itertools
import re
import signal
import sys
import traceback
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from mrbench.cli import (
    audit,
    build,
    cache,
    demo,
    evaluate,
    grade,
    grains,
    judge,
    leaderboard,
    models,
    rescore,
    show,
    validate,
)
from mrbench.errors import InputError, MRBenchError

# typer carries click inside in newer versions and beside it in older ones: reach its classes through typer's own names.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]

_INTERRUPTED = 130

app = typer.Typer(
    name="mrbench",
    help="Find out which grain of a query an embedding model is blind to.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mrbench {version('mrbench')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find out which grain of a query an embedding model is blind to."""
    context.find_root().obj = debug


app.add_typer(build.app, name="build")
app.command("validate")(validate.validate)
app.command("audit")(audit.audit)
app.command("show")(show.show)
app.add_typer(models.app, name="models")
app.command("grains")(grains.grains)
app.command("grade")(grade.grade)
app.add_typer(judge.app, name="judge")
app.command("evaluate")(evaluate.evaluate)
app.command("rescore")(rescore.rescore)
app.add_typer(cache.app, name="cache")
app.command("leaderboard")(leaderboard.leaderboard)
app.command("demo")(demo.demo)
for _point in sorted(entry_points(group="mrbench.commands"), key=lambda point: point.name):
    app.add_typer(_point.load(), name=_point.name)  # a plugin's typer app becomes a command of its name


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input or output, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in ("SIGTERM", "SIGHUP"):  # clean up after these as after Ctrl-C
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:  # as under nohup
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        _check_words(arguments)
        code = app(arguments, prog_name="mrbench", standalone_mode=False)
    except (MRBenchError, OSError, MemoryError, _ClickException) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        sys.stderr.write(f"{_line(error)}\n")
        sys.exit(2)
    except RuntimeError as error:  # as torch says that memory ran out
        from mrbench.models.common import out_of_memory

        if "--debug" in arguments or not out_of_memory(error):
            raise
        sys.stderr.write(f"{_line(MemoryError())}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # newer versions of typer answer Ctrl-C with this code, older ones raise
        sys.stderr.write("error: interrupted; nothing was left half-written\n")
    sys.exit(code if isinstance(code, int) else 0)


def _check_words(arguments: list[str]) -> None:
    """Refuse an empty word and one that is not UTF-8.

    An unset variable of a shell gives the first, and as a path it would be the current folder. Not every library that
    writes our files takes the second for a path.
    """
    for before, word in itertools.pairwise(["mrbench", *arguments]):
        if not word or re.fullmatch("--[^=]+=", word):
            raise InputError("an empty value", where=f"after {word or before}", accepted="a value")
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise InputError("a value that is not UTF-8", where=f"after {before}", got=word, accepted="UTF-8")


def _line(error: BaseException) -> str:
    """Say an error in one line; a call without arguments gets the help instead."""
    if isinstance(error, _ClickException):
        message: str = error.format_message()  # type: ignore[attr-defined]
        if type(error).__name__ == "NoArgsIsHelpError":
            return message
        context = getattr(error, "ctx", None)
        return f"error: {message.rstrip('.')}; next: {context.command_path if context else 'mrbench'} --help"
    if isinstance(error, MemoryError):
        return "error: out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"error: {MRBenchError(error.strerror, where=error.filename)}"
    return "error: " + (" ".join(str(error).split()) or type(error).__name__)
