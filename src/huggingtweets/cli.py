"""The command line: parse, call the pipeline, print. Data goes to stdout, talk and progress to stderr.

Exit codes: 0 done, 1 an expected failure, said in a sentence with the next command, 2 wrong usage, 130 stopped by a
person.
Nothing heavy is imported here; each command imports what it needs.
"""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from huggingtweets import __version__
from huggingtweets.bot import BOTS_DIR, Bot, list_bots, open_bot
from huggingtweets.config import DEFAULT_PROMPT, BotSettings, SamplingSettings
from huggingtweets.errors import BotError, HuggingtweetsError, SettingsError
from huggingtweets.options import (
    Again,
    BotName,
    BotsDir,
    Cleanings,
    Consents,
    Imports,
    Json,
    Machine,
    Name,
    Quiet,
    Seed,
    Specs,
    Trainings,
    complete_bot,
    given,
    grouped,
)
from huggingtweets.pipeline import make, prepare, run, settings_of, sources_of
from huggingtweets.reports import Report

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from huggingtweets.botdir import BotDir
    from huggingtweets.sources.base import Source

R = TypeVar("R", bound=Report)

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


@app.command(
    epilog="huggingtweets create archive.zip --base smollm2          (your own X archive)\n\n"
    "huggingtweets create alice.bsky.social --mine\n\n"
    "huggingtweets create alice.jsonl bob.csv               (a cyborg: two voices in one bot)"
)
@grouped
def create(
    sources: Specs,
    training: Trainings,
    consents: Consents,
    imports: Imports,
    cleaning: Cleanings,
    machine: Machine,
    name: Name = None,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a bot: posts in, model, scores, card and picture out.

    Safe to repeat: what is done is skipped, and what was interrupted goes on from where it was.
    """
    from huggingtweets.terminal import Narrator

    found, folder = _prepared(sources, name, bots_dir, imports)
    settings = cleaning.over(imports.over(settings_of(folder)), training.seed)
    settings = training.over(settings, machine)
    with Narrator(quiet=quiet) as listen:
        bot = make(folder, found, settings, listen, consents.word)
    _print_bot(bot, as_json)


@app.command(epilog="huggingtweets download @alice@social.example --mine")
@grouped
def download(
    sources: Specs,
    consents: Consents,
    imports: Imports,
    name: Name = None,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    quiet: Quiet = False,
) -> None:
    """Only get the posts, into a bot's folder."""
    from huggingtweets.stages import fetch
    from huggingtweets.terminal import Narrator

    found, folder = _prepared(sources, name, bots_dir, imports)
    settings = imports.over(settings_of(folder))
    with Narrator(quiet=quiet) as listen, folder.locked():
        fetch(folder, found, settings, listen, consents.word, again=again)
    typer.echo(folder.path)


@app.command(epilog="huggingtweets update nasa")
@grouped
def update(
    bot: BotName,
    consents: Consents,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch what is new since, and train on from the bot as it is."""
    from huggingtweets import upkeep
    from huggingtweets.terminal import Narrator

    found = open_bot(bot, bots_dir)
    with Narrator(quiet=quiet) as listen:
        upkeep.update(found.dir, word=consents.word, listen=listen)
    _print_bot(found, as_json)


@app.command(epilog="huggingtweets forget @alice --dry-run\n\nhuggingtweets forget @alice")
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="@name, @name@server, name.bsky.social, ...")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let it be made again; what is gone stays gone.")] = False,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
) -> None:
    """Remove an account's posts and every bot made of them, and don't make it again by accident."""
    from huggingtweets import upkeep
    from huggingtweets.terminal import print_forgotten

    if undo:
        known = upkeep.remember(account, bots_dir=bots_dir)
        typer.echo(f"{account} may be made again." if known else f"{account} was not forgotten.", err=True)
        return
    gone = upkeep.forget(account, bots_dir=bots_dir, dry_run=dry_run)
    if as_json:
        _print_json(dataclasses.asdict(gone))
    else:
        print_forgotten(account, gone.bots, gone.published, dry_run)


@app.command(epilog="huggingtweets build nasa --cleaning original")
@grouped
def build(
    bot: BotName,
    cleaning: Cleanings,
    seed: Seed = None,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Clean a bot's posts, drop what teaches nothing, and split."""
    from huggingtweets.terminal import counts_table

    found = open_bot(bot, bots_dir)
    _run(found, "build", cleaning.over(settings_of(found.dir), seed), again, quiet)
    _print_report(found.dataset, counts_table, as_json)


@app.command(epilog="huggingtweets train nasa --minutes 10")
@grouped
def train(
    bot: BotName,
    training: Trainings,
    machine: Machine,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune the base on a bot's posts."""
    from huggingtweets.terminal import training_table

    found = open_bot(bot, bots_dir)
    _run(found, "train", training.over(settings_of(found.dir), machine), again, quiet)
    _print_report(found.training, training_table, as_json)


@app.command(epilog="huggingtweets evaluate nasa")
def evaluate(
    bot: BotName,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a bot against its base on posts that neither has seen, and check it for copying."""
    from huggingtweets.terminal import scores_table

    found = open_bot(bot, bots_dir)
    _run(found, "evaluate", settings_of(found.dir), again, quiet)
    _print_report(found.scores, scores_table, as_json)


@app.command(epilog="huggingtweets card nasa")
def card(bot: BotName, bots_dir: BotsDir = BOTS_DIR, again: Again = False, quiet: Quiet = False) -> None:
    """Write a bot's model card and draw its picture."""
    from huggingtweets.terminal import print_paths

    found = open_bot(bot, bots_dir)
    _run(found, "card", settings_of(found.dir), again, quiet)
    print_paths({"card": found.dir.card, "picture": found.dir.picture})


@app.command(
    epilog='huggingtweets generate nasa "My dream is" -n 10 --seed 1\n\nhuggingtweets generate nasa   (no start at all)'
)
@grouped
def generate(
    bot: BotName,
    machine: Machine,
    start: Annotated[str, typer.Argument(help="How the posts begin.", show_default=False)] = "",
    n: Annotated[int, typer.Option("-n", help="How many posts.")] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same posts.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Higher is wilder; 1.0 by default.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Share of likely words to draw from; 0.95 by default.")] = None,
    max_length: Annotated[int | None, typer.Option(help="In tokens; 160 by default.")] = None,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
) -> None:
    """Write new posts, one a line."""
    chosen = given(temperature=temperature, top_p=top_p, max_length=max_length)
    sampling = SamplingSettings(**chosen) if chosen else None
    device, threads = machine.device, machine.threads
    texts = open_bot(bot, bots_dir).generate(start, n, seed=seed, sampling=sampling, device=device, threads=threads)
    if as_json:
        _print_json(texts)
    else:
        for text in texts:
            typer.echo(text)


@app.command(epilog="huggingtweets show\n\nhuggingtweets show nasa --json")
def show(
    bot: Annotated[str | None, typer.Argument(metavar="[BOT]", autocompletion=complete_bot)] = None,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
) -> None:
    """Show a bot, or all bots."""
    if bot is not None:
        _print_bot(open_bot(bot, bots_dir), as_json)
        return
    bots = list_bots(bots_dir)
    if as_json:
        _print_json([_known_of(found) for found in bots])
    elif not bots:
        typer.echo(f"No bots in {bots_dir} yet. A first one: huggingtweets create FILE", err=True)
    else:
        from huggingtweets.terminal import bots_table, out

        out.print(bots_table(bots))


@app.command(epilog="huggingtweets doctor")
def doctor(as_json: Json = False) -> None:
    """Check what this machine has for making bots."""
    from huggingtweets.doctor import examine
    from huggingtweets.terminal import findings_table, out

    findings = examine()
    if as_json:
        _print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        out.print(findings_table(findings))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


def _prepared(specs: list[str], name: str | None, bots_dir: Path, imports: Imports) -> tuple[list[Source], BotDir]:
    """The sources, read as was typed and else as their bot was made, and the bot's folder."""
    typed = imports.settings
    sources, folder = prepare(specs, name=name, bots_dir=bots_dir, imports=typed)
    chosen = imports.over(settings_of(folder)).imports
    return (sources if chosen == typed else sources_of(specs, chosen)), folder


def _run(bot: Bot, stage: str, settings: BotSettings, again: bool, quiet: bool) -> None:
    from huggingtweets.terminal import Narrator

    with Narrator(quiet=quiet) as listen:
        run(bot.dir, [stage], settings, again=again, listen=listen)


def _known_of(bot: Bot) -> dict[str, Any]:
    """One damaged bot does not hide the others."""
    try:
        return bot.to_json()
    except BotError as error:
        return {"name": bot.name, "path": str(bot.path), "damaged": error.what}


def _print_report(report: R | None, table: Callable[[R], Table], as_json: bool) -> None:
    from huggingtweets.terminal import out

    if report is not None:
        _print_json(report.to_json()) if as_json else out.print(table(report))


def _print_bot(bot: Bot, as_json: bool) -> None:
    """What a bot is, as far as it has come."""
    if as_json:
        _print_json(bot.to_json())
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


def _print_json(value: Any) -> None:
    """Letters of all scripts as they are, where stdout can carry them."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(value, ensure_ascii=not is_utf8, indent=2))


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
