"""The commands that let a bot speak, show bots, and check this machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huggingtweets.cli.app import app, print_bot, print_json
from huggingtweets.config import BOTS_DIR, SamplingSettings
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.options import BotName, BotsDir, Json, Machine, complete_bot, given, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from huggingtweets.bot import Bot
    from huggingtweets.voice import Piece


@app.command(
    epilog='huggingtweets generate nasa "My dream is" -n 10 --seed 1\n\n'
    "huggingtweets generate nasa   (no start at all)\n\n"
    'huggingtweets generate huggingtweets/nasa "My dream is"   (any bot on the Hugging Face Hub)'
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
    from huggingtweets.bot import open_voice
    from huggingtweets.voice import texts_of

    chosen = given(temperature=temperature, top_p=top_p, max_length=max_length)
    sampling = SamplingSettings(**chosen) if chosen else None
    device, threads = machine.device, machine.threads

    def say(text: str) -> None:
        typer.echo(text, err=True)

    voice = open_voice(bot, bots_dir, say)
    pieces = voice.stream(start, n, seed=seed, sampling=sampling, device=device, threads=threads, say=say)
    if as_json:
        print_json(texts_of(pieces, n))
    else:
        write_posts(pieces, n)


def write_posts(pieces: Iterable[Piece], n: int) -> None:
    """One a line: the first as it grows, so that nobody looks at an empty screen; the others follow."""
    texts = [""] * n
    try:
        for post, text in pieces:
            texts[post] += text
            if post == 0:
                typer.echo(text, nl=False)  # which flushes
    except BaseException:
        if texts[0]:
            typer.echo()  # no message begins in the middle of a post
        raise
    typer.echo()
    for text in texts[1:]:
        typer.echo(text)


@app.command(epilog="huggingtweets show\n\nhuggingtweets show nasa --json\n\nhuggingtweets show nasa --lineage")
def show(
    bot: Annotated[str | None, typer.Argument(metavar="[BOT]", autocompletion=complete_bot)] = None,
    lineage: Annotated[bool, typer.Option("--lineage", help="What it was made from, as a tree.")] = False,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
) -> None:
    """Show a bot, or all bots."""
    from huggingtweets.bot import list_bots, open_bot

    if lineage:
        _show_lineage(bot, bots_dir, as_json)
        return
    if bot is not None:
        print_bot(open_bot(bot, bots_dir), as_json)
        return
    bots = list_bots(bots_dir)
    if as_json:
        print_json([_known_of(found) for found in bots])
    elif not bots:
        typer.echo(f"No bots in {bots_dir} yet. A first one: huggingtweets create FILE", err=True)
    else:
        from huggingtweets.terminal import bots_table, out

        out.print(bots_table(bots))


def _show_lineage(bot: str | None, bots_dir: Path, as_json: bool) -> None:
    from huggingtweets import lineage
    from huggingtweets.bot import open_bot
    from huggingtweets.terminal import lineage_tree, out

    if bot is None:
        raise SettingsError("Whose lineage?", next="huggingtweets show BOT --lineage")
    recorded = lineage.read(open_bot(bot, bots_dir).dir.lineage)
    print_json(recorded.to_json()) if as_json else out.print(lineage_tree(recorded), soft_wrap=False)


@app.command(epilog="huggingtweets verify nasa")
def verify(bot: BotName, bots_dir: BotsDir = BOTS_DIR, as_json: Json = False) -> None:
    """Recompute every digest, and say whether a bot's files are still the recorded ones."""
    from huggingtweets import lineage
    from huggingtweets.bot import open_bot
    from huggingtweets.terminal import checks_table, out

    found = open_bot(bot, bots_dir)
    checks = lineage.verify(found.dir)
    print_json([check.to_json() for check in checks]) if as_json else out.print(checks_table(checks))
    if odd := sum(check.state != "ok" for check in checks):
        raise BotError(
            f"{odd} of {len(checks)} files of {found.name} {'is' if odd == 1 else 'are'} not as recorded.",
            next=f"put them back, or make them anew: huggingtweets train {found.name} --again, and evaluate, and card",
        )


@app.command(epilog="huggingtweets doctor")
def doctor(as_json: Json = False) -> None:
    """Check what this machine has for making bots."""
    from huggingtweets.doctor import examine
    from huggingtweets.terminal import findings_table, out

    findings = examine()
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        out.print(findings_table(findings))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


def _known_of(bot: Bot) -> dict[str, Any]:
    """One damaged bot does not hide the others."""
    try:
        return bot.to_json()
    except BotError as error:
        return {"name": bot.name, "path": str(bot.path), "damaged": error.what}
