"""The application that every command is added to, and what commands share: printing a bot, a report, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from huggingtweets import __version__
from huggingtweets.config import DEFAULT_PROMPT, BotSettings

if TYPE_CHECKING:
    from rich.table import Table

    from huggingtweets.bot import Bot
    from huggingtweets.reports import Report

R = TypeVar("R", bound="Report")

PRINTED_PREDICTIONS = 5

app = typer.Typer(
    name="huggingtweets",
    help="Turn an account's posts into a small language model that writes new posts in that voice.",
    epilog="A first bot: huggingtweets create posts.csv --base smollm2",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"huggingtweets {__version__}")
        raise typer.Exit


def run_stage(bot: Bot, stage: str, settings: BotSettings, again: bool, quiet: bool) -> None:
    from huggingtweets.pipeline import run
    from huggingtweets.terminal import Narrator

    with Narrator(quiet=quiet) as listen:
        run(bot.dir, [stage], settings, again=again, listen=listen)


def print_report(report: R | None, table: Callable[[R], Table], as_json: bool) -> None:
    from huggingtweets.terminal import out

    if report is not None:
        print_json(report.to_json()) if as_json else out.print(table(report))


def print_bot(bot: Bot, as_json: bool) -> None:
    """What a bot is, as far as it has come."""
    if as_json:
        print_json(bot.to_json())
        return
    from huggingtweets.terminal import counts_table, out, print_paths, print_samples, scores_table

    if bot.dataset is not None:
        out.print(counts_table(bot.dataset), "")
    if bot.scores is not None:
        out.print(scores_table(bot.scores), "")
    if bot.samples:
        print_samples([sample for sample in bot.samples if sample.prompt][:PRINTED_PREDICTIONS])
        out.print("")
    files = {"model": bot.dir.model, "card": bot.dir.card, "picture": bot.dir.picture}
    paths: dict[str, object] = {name: file for name, file in files.items() if file.exists()}
    if bot.dir.model.exists():
        print_paths({**paths, "more": f'huggingtweets generate {bot.name} "{DEFAULT_PROMPT}" -n 10'})
    else:
        print_paths({**paths, "next": f"huggingtweets train {bot.name}"})


def print_json(value: Any) -> None:
    """Letters of all scripts as they are, where stdout can carry them."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(value, ensure_ascii=not is_utf8, indent=2))
