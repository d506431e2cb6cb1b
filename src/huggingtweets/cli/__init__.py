"""The command line: parse, call the pipeline, print. Data goes to stdout, talk and progress to stderr.

Exit codes: 0 done, 1 an expected failure, said in a sentence with the next command, 2 wrong usage, 130 stopped by a
person.
Nothing heavy is imported here; each command imports what it needs.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from typing import NoReturn

import typer

from huggingtweets.cli import fleets, making, serving, sharing, showing
from huggingtweets.cli.app import app
from huggingtweets.errors import HuggingtweetsError, SettingsError

__all__ = ["app", "fleets", "main", "making", "serving", "sharing", "showing"]


class Stopped(BaseException):
    """Ctrl-C, under a name that typer lets pass."""


def _stop(number: int, frame: object) -> NoReturn:
    raise Stopped


def _give_up_stdout() -> None:
    """What is still in the buffer would fail again when Python closes the stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """The entry point: runs a command and turns our own errors into a message and an exit code."""
    # Read when torch loads: threads that wait without spinning lose far less to other busy programs (docs/log.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGINT, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show an emoji shows a question mark
    try:
        app()
    except HuggingtweetsError as error:
        typer.secho(error.what, fg="red", err=True)
        if error.why:
            typer.echo(error.why, err=True)
        if error.next:
            typer.secho(f"Next: {error.next}", bold=True, err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        typer.echo("The output could not be written: the disk is full.", err=True)
        _give_up_stdout()
        sys.exit(1)
    except Stopped:
        typer.echo("Stopped. The same command continues from here.", err=True)
        sys.exit(130)
    sys.exit(0)
