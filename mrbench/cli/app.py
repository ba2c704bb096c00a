"""Puts the commands together and turns every known error into one line and exit code 2."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
import traceback
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.main import get_group

from mrbench.cli import (
    audit,
    build,
    cache,
    compare,
    convert,
    datasets,
    demo,
    evaluate,
    export,
    grade,
    grains,
    judge,
    leaderboard,
    models,
    rescore,
    review,
    show,
    validate,
    worst,
)
from mrbench.cli.streams import finish, note, prepare, say
from mrbench.errors import InputError, MRBenchError
from mrbench.registry import plugins
from mrbench.workers import cores

# typer carries click inside in newer versions and beside it in older ones: reach its classes through typer's own names.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]

_INTERRUPTED = 130
_NO_ROOM = "failed to map segment"  # as the loader of Linux says it
_THREADS = cores() + 16  # BLAS takes a thread for each core, and Arrow eight more to read
_NO_THREAD = InputError(
    "no further thread or process can be started here",
    where="limits of the system",
    hint="raise ulimit -u, or the limit of the container on processes",
)

app = typer.Typer(
    name="mrbench",
    help="Find out which grain of a query an embedding model is blind to.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"mrbench {version('mrbench')}")
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
app.add_typer(review.app, name="review")
app.command("validate")(validate.validate)
app.command("audit")(audit.audit)
app.command("show")(show.show)
app.add_typer(datasets.app, name="datasets")
app.command("convert")(convert.convert)
app.add_typer(export.app, name="export")
app.add_typer(models.app, name="models")
app.command("grains")(grains.grains)
app.command("grade")(grade.grade)
app.add_typer(judge.app, name="judge")
app.command("evaluate")(evaluate.evaluate)
app.command("rescore")(rescore.rescore)
app.command("compare")(compare.compare)
app.command("worst")(worst.worst)
app.add_typer(cache.app, name="cache")
app.add_typer(leaderboard.app, name="leaderboard")
app.command("demo")(demo.demo)


def _add_plugin(name: str, loaded: Any) -> None:
    """Make a plugin's typer app a command of its name.

    Raises:
        InputError: It is no typer app, or there is a command of this name.
    """
    if not isinstance(loaded, typer.Typer):
        raise InputError("not a typer app", got=type(loaded).__name__, accepted="typer.Typer")
    if name in {made.name for made in app.registered_commands} | {made.name for made in app.registered_groups}:
        raise InputError("two commands have one name", got=name, hint="uninstall one of the two plugins")
    get_group(loaded)  # raises where a command is malformed; the whole command line would
    app.add_typer(loaded, name=name)


plugins("mrbench.commands", _add_plugin)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input or output, 130 interrupted."""
    prepare()
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in ("SIGTERM", "SIGHUP"):  # clean up after these as after Ctrl-C
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:  # as under nohup
            signal.signal(getattr(signal, name), signal.default_int_handler)
    half_loaded = False
    try:
        _check_words(arguments)
        _check_threads()
        code = app(arguments, prog_name="mrbench", standalone_mode=False)
    except (MRBenchError, OSError, MemoryError, ImportError, _ClickException) as error:
        code = _refuse(error, arguments)
        half_loaded = isinstance(error, ImportError) and _NO_ROOM in str(error)
    except RuntimeError as error:
        if "start new thread" in str(error):
            code = _refuse(_NO_THREAD, arguments)
        elif "--debug" in arguments or not _memory_ran_out(error):
            raise
        else:
            code = _refuse(MemoryError(), arguments)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # newer versions of typer answer Ctrl-C with this code, older ones raise
        note("error: interrupted; nothing was left half-written")
    unwritten = finish()
    if unwritten and not code:
        code = _refuse(MRBenchError(unwritten, where="stdout"), [])
    if half_loaded:  # the ends of libraries, of which a part is there, can crash
        os._exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _memory_ran_out(error: RuntimeError) -> bool:
    from mrbench.errors import out_of_memory  # as torch says it

    return out_of_memory(error)


def _refuse(error: BaseException, arguments: list[str]) -> int:
    """Print an error, with its traceback where that was asked for, and return the exit code."""
    if "--debug" in arguments:
        traceback.print_exc()
    note(_line(error))
    return 2


def _check_words(arguments: list[str]) -> None:
    """Refuse an empty word and one that is not UTF-8.

    An unset variable of a shell gives the first, and as a path it would be the current folder. Not every library that
    writes our files takes the second for a path.
    """
    for before, word in itertools.pairwise(["mrbench", *arguments]):
        if not word or re.fullmatch("--[^=]+=", word):
            raise InputError(
                "an empty value",
                where=f"after {word or before}",
                accepted="a value",
                hint="check the variable of the shell",
            )
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise InputError("a value that is not UTF-8", where=f"after {before}", got=word, accepted="UTF-8")


def _check_threads() -> None:
    """Refuse to begin where the libraries could not start their threads: they would hang, or interrupt us.

    Raises:
        RuntimeError: A thread cannot be started.
    """
    done, size = threading.Event(), threading.stack_size(1 << 16)
    try:
        for _ in range(_THREADS):
            threading.Thread(target=done.wait, daemon=True).start()
    finally:
        done.set()
        threading.stack_size(size)


def _line(error: BaseException) -> str:
    """Return an error as one line; a call without arguments gets the help instead."""
    if isinstance(error, _ClickException):
        message: str = error.format_message()  # type: ignore[attr-defined]
        if type(error).__name__ == "NoArgsIsHelpError":
            return message
        context = getattr(error, "ctx", None)
        return f"error: {message.rstrip('.')}; next: {context.command_path if context else 'mrbench'} --help"
    if isinstance(error, MemoryError):
        return "error: out of memory"
    if isinstance(error, ImportError):
        said = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
        what, hint = "a library cannot be loaded", None
        if _NO_ROOM in str(error):
            what, hint = f"out of memory: {what}", "raise ulimit -v, or the memory of the container"
        return f"error: {MRBenchError(what, got=said, hint=hint)}"
    if isinstance(error, OSError) and error.strerror:
        return f"error: {MRBenchError(error.strerror, where=error.filename)}"
    return "error: " + (" ".join(str(error).split()) or type(error).__name__)
