"""The command line: ``minicnn train``, ``evaluate`` and the others. One file a command, no logic of its own.

What the commands do is in :mod:`minicnn.training`. They import it when they run, so that ``minicnn --help`` is quick.
A mistake of the user's ends in ``error: ...`` with the remedy, one line if it can be said in one, and exit code 1 (2
for wrong options); a traceback means a mistake of ours. Ctrl-C ends with 130.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from .classify import classify
from .errors import check_environment, explain
from .evaluate import evaluate
from .finetune import finetune
from .info import info
from .inspect import inspect
from .predict import predict
from .profile import profile
from .train import train
from .warmup import warmup

app = typer.Typer(
    name="minicnn",
    help="Train convolutional networks with a framework written from scratch on NumPy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(finetune)
app.command()(classify)
app.command()(inspect)
app.command()(info)
app.command()(warmup)
app.command()(profile)

# Click's own class, wherever this version of typer keeps click.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"minicnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    check_environment()


def main() -> None:
    """Run the command line on ``sys.argv``, and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A class or a file may have a name that the terminal cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        return app(prog_name="minicnn", standalone_mode=False) or 0
    except typer.Abort:
        return _fail("interrupted", 130)
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "minicnn"
        message = error.format_message()  # type: ignore[attr-defined]
        return _fail(f"{message} (`{command} --help` lists the options)" if message else "", 2)
    except BrokenPipeError:  # `minicnn ... | head` has seen enough
        _drop_output()
        return 1
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            _drop_output()
        return _fail(message, 1)


def _drop_output() -> None:
    """Send what standard output still holds nowhere: Python would fail on it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    if message:
        print(f"error: {message.strip()}", file=sys.stderr)
    return code
