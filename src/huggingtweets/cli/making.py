"""The commands that make bots, whole or stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from huggingtweets.cli.app import app, print_bot, print_report, run_stage
from huggingtweets.config import BOTS_DIR
from huggingtweets.options import (
    Again,
    BotName,
    BotsDir,
    Cleanings,
    Consents,
    FromLineage,
    Imports,
    Json,
    Machine,
    Name,
    OptionalSpecs,
    Quiet,
    Seed,
    Specs,
    Trackings,
    Trainings,
    chosen_over,
    grouped,
)

if TYPE_CHECKING:
    from pathlib import Path

    from huggingtweets.botdir import BotDir
    from huggingtweets.sources.base import Source


@app.command(
    epilog="huggingtweets create archive.zip --base smollm2          (your own X archive)\n\n"
    "huggingtweets create alice.bsky.social --mine\n\n"
    "huggingtweets create alice.jsonl bob.csv               (a cyborg: two voices in one bot)"
)
@grouped
def create(
    training: Trainings,
    consents: Consents,
    imports: Imports,
    cleaning: Cleanings,
    machine: Machine,
    trackings: Trackings,
    sources: OptionalSpecs = None,
    name: Name = None,
    from_lineage: FromLineage = None,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a bot: posts in, model, scores, card and picture out.

    Safe to repeat: what is done is skipped, and what was interrupted goes on from where it was.
    """
    from huggingtweets.pipeline import make, settings_of
    from huggingtweets.terminal import Narrator

    if from_lineage is not None:
        from huggingtweets.rebuilding import rebuild

        with Narrator(quiet=quiet) as listen:
            same = rebuild(
                from_lineage, *(sources or []), name=name, bots_dir=bots_dir, word=consents.word, listen=listen
            )
        print_bot(same, as_json)
        return
    found, folder = _prepared(sources or [], name, bots_dir, imports)
    settings = chosen_over(settings_of(folder), training, imports, cleaning, machine, trackings)
    with Narrator(quiet=quiet) as listen:
        bot = make(folder, found, settings, listen, consents.word)
    print_bot(bot, as_json)


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
    from huggingtweets.pipeline import settings_of
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
    from huggingtweets.bot import open_bot
    from huggingtweets.terminal import Narrator

    found = open_bot(bot, bots_dir)
    with Narrator(quiet=quiet) as listen:
        upkeep.update(found.dir, word=consents.word, listen=listen)
    print_bot(found, as_json)


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
    from huggingtweets.bot import open_bot
    from huggingtweets.pipeline import settings_of
    from huggingtweets.terminal import counts_table

    found = open_bot(bot, bots_dir)
    run_stage(found, "build", cleaning.over(settings_of(found.dir), seed), again, quiet)
    print_report(found.dataset, counts_table, as_json)


@app.command(epilog="huggingtweets train nasa --minutes 10")
@grouped
def train(
    bot: BotName,
    training: Trainings,
    machine: Machine,
    trackings: Trackings,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune the base on a bot's posts."""
    from huggingtweets.bot import open_bot
    from huggingtweets.pipeline import settings_of
    from huggingtweets.terminal import training_table

    found = open_bot(bot, bots_dir)
    settings = trackings.over(training.over(settings_of(found.dir), machine))
    run_stage(found, "train", settings, again, quiet)
    print_report(found.training, training_table, as_json)


@app.command(epilog="huggingtweets evaluate nasa")
def evaluate(
    bot: BotName,
    bots_dir: BotsDir = BOTS_DIR,
    again: Again = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a bot against its base on posts that neither has seen, and check it for copying."""
    from huggingtweets.bot import open_bot
    from huggingtweets.pipeline import settings_of
    from huggingtweets.terminal import scores_table

    found = open_bot(bot, bots_dir)
    run_stage(found, "evaluate", settings_of(found.dir), again, quiet)
    print_report(found.scores, scores_table, as_json)


@app.command(epilog="huggingtweets card nasa")
def card(bot: BotName, bots_dir: BotsDir = BOTS_DIR, again: Again = False, quiet: Quiet = False) -> None:
    """Write a bot's model card and draw its picture."""
    from huggingtweets.bot import open_bot
    from huggingtweets.pipeline import settings_of
    from huggingtweets.terminal import print_paths

    found = open_bot(bot, bots_dir)
    run_stage(found, "card", settings_of(found.dir), again, quiet)
    print_paths({"card": found.dir.card, "picture": found.dir.picture})


def _prepared(specs: list[str], name: str | None, bots_dir: Path, imports: Imports) -> tuple[list[Source], BotDir]:
    """The sources, read as was typed and else as their bot was made, and the bot's folder."""
    from huggingtweets.pipeline import prepare, settings_of, sources_of

    typed = imports.settings
    sources, folder = prepare(specs, name=name, bots_dir=bots_dir, imports=typed)
    chosen = imports.over(settings_of(folder)).imports
    return (sources if chosen == typed else sources_of(specs, chosen)), folder
