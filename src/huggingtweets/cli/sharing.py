"""The commands about what leaves this machine, and what must not come back."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from huggingtweets.cli.app import app, print_json
from huggingtweets.config import BOTS_DIR
from huggingtweets.options import BotName, BotsDir, Json, Quiet, Yes


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
        print_json(dataclasses.asdict(gone))
    else:
        print_forgotten(account, gone.bots, gone.published, gone.unclear, gone.meant, dry_run)


@app.command(
    epilog="huggingtweets publish nasa --dry-run\n\nhuggingtweets publish nasa alice/nasa --public\n\n"
    "huggingtweets publish nasa --preview 3"
)
def publish(
    bot: BotName,
    to: Annotated[
        str | None, typer.Argument(metavar="[OWNER/NAME]", help="Where; the bot's name under your login by default.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Everyone may see it; else only you.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be sent.")] = False,
    card_only: Annotated[bool, typer.Option("--card-only", help="Only card, picture and faces.")] = False,
    preview: Annotated[
        int | None, typer.Option(help="Make prediction N the picture, and send just that and the card.")
    ] = None,
    space: Annotated[bool, typer.Option("--space", help="Make or update a Space that runs the bot, too.")] = False,
    bots_dir: BotsDir = BOTS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send a bot to the Hugging Face Hub, or what has changed of it since."""
    from huggingtweets import publishing
    from huggingtweets.bot import open_bot
    from huggingtweets.terminal import Narrator, out, published_table

    found = open_bot(bot, bots_dir)
    with Narrator(quiet=quiet) as listen:
        done = publishing.publish(
            found.dir,
            to,
            public=public,
            dry_run=dry_run,
            card_only=card_only,
            preview=preview,
            space=space,
            listen=listen,
        )
    print_json(dataclasses.asdict(done)) if as_json else out.print(published_table(done))


@app.command(epilog="huggingtweets unpublish nasa")
def unpublish(bot: BotName, yes: Yes = False, bots_dir: BotsDir = BOTS_DIR) -> None:
    """Take a bot down from the Hugging Face Hub, after asking."""
    from huggingtweets import publishing
    from huggingtweets.bot import open_bot

    found = open_bot(bot, bots_dir)
    there = publishing.where(found.dir)
    if there and not yes:
        for url in there:
            typer.echo(url, err=True)
        typer.confirm("Take this down from the Hub? It can be published again.", abort=True, err=True)
    for url in publishing.unpublish(found.dir):
        typer.echo(url)


@app.command(epilog="huggingtweets sync nasa")
def sync(bot: BotName, bots_dir: BotsDir = BOTS_DIR, quiet: Quiet = False) -> None:
    """Upload to Weights & Biases what was recorded without a network."""
    from huggingtweets import tracking
    from huggingtweets.bot import open_bot
    from huggingtweets.terminal import Narrator

    with Narrator(quiet=quiet) as listen:
        for url in tracking.sync(open_bot(bot, bots_dir).dir, listen):
            typer.echo(url)
