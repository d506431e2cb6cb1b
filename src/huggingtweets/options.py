"""What can be typed behind a command, and the settings it makes.

An option left out is None, which means: as the bot has it, else the default.
"""

from __future__ import annotations

import dataclasses
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from huggingtweets.bot import BOTS_DIR, list_bots
from huggingtweets.config import RECIPES, BotSettings, DatasetSettings


class Cleaning(StrEnum):
    OURS = "ours"
    ORIGINAL = "original"


class Recipe(StrEnum):
    DEFAULT = "default"
    ORIGINAL = "original"


def complete_bot(incomplete: str) -> list[str]:
    """Shell completion of bot names."""
    bots_dir = Path(os.environ.get("HUGGINGTWEETS_BOTS", BOTS_DIR))
    return [bot.name for bot in list_bots(bots_dir) if bot.name.startswith(incomplete)]


Specs = Annotated[
    list[str],
    typer.Argument(metavar="SOURCE...", help="One to three files of posts, one an account.", show_default=False),
]
BotName = Annotated[
    str, typer.Argument(metavar="BOT", help="A bot's name, or its folder.", autocompletion=complete_bot)
]
BotsDir = Annotated[
    Path, typer.Option("--bots-dir", envvar="HUGGINGTWEETS_BOTS", help="Where bots live.", file_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Again = Annotated[bool, typer.Option("--again", help="Do it again even if it is done.")]
Base = Annotated[
    str | None,
    typer.Option(
        help="gpt2 (default), smollm2 (needs no Hub), a Hub id, a model folder, or a .gguf file.",
        rich_help_panel="Training",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Fit training into so many minutes; 5 by default on a CPU.", rich_help_panel="Training"),
]
Epochs = Annotated[
    float | None, typer.Option(help="Passes over the posts, instead of a time.", rich_help_panel="Training")
]
RecipeOption = Annotated[
    Recipe | None,
    typer.Option(
        help="original: the original's recipe, four epochs in blocks of 1,024 tokens.", rich_help_panel="Training"
    ),
]
Seed = Annotated[int | None, typer.Option(help="Of split, training and predictions.", rich_help_panel="Training")]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda or mps; the best there is by default.", rich_help_panel="Training")
]
Threads = Annotated[int | None, typer.Option(help="CPU threads; all cores by default.", rich_help_panel="Training")]
CleaningOption = Annotated[
    Cleaning | None,
    typer.Option(help="original: exactly the original's rules; see docs/cleaning.md.", rich_help_panel="Cleaning"),
]
Newlines = Annotated[
    bool | None,
    typer.Option("--keep-newlines/--no-newlines", help="Posts of several lines.", rich_help_panel="Cleaning"),
]
Holdout = Annotated[
    float | None, typer.Option(help="Share of posts kept back to score on; 0 for none.", rich_help_panel="Cleaning")
]
Name = Annotated[str | None, typer.Option(help="The bot's name; the handles by default.")]
Handle = Annotated[
    str | None, typer.Option(help="Whose posts a file holds, when it doesn't say.", rich_help_panel="Whose posts")
]
DisplayName = Annotated[
    str | None, typer.Option(help="Their name for card and picture.", rich_help_panel="Whose posts")
]
Avatar = Annotated[
    str | None,
    typer.Option(help="Their picture, an image file; one is drawn by default.", rich_help_panel="Whose posts"),
]
TextColumn = Annotated[
    str | None,
    typer.Option(help="The column that holds the text, when it isn't found.", rich_help_panel="Reading files"),
]
Author = Annotated[
    str | None,
    typer.Option(help="Whose posts to take from a file that holds several people's.", rich_help_panel="Whose posts"),
]
SkipBad = Annotated[
    bool | None,
    typer.Option("--skip-bad-lines", help="Go on past damaged lines, and count them.", rich_help_panel="Reading files"),
]


def given(**options: Any) -> dict[str, Any]:
    """The options that were typed."""
    return {name: value for name, value in options.items() if value is not None}


def with_imports(
    settings: BotSettings,
    handle: str | None,
    display_name: str | None,
    avatar: str | None,
    text_column: str | None,
    author: str | None,
    skip_bad_lines: bool | None,
) -> BotSettings:
    chosen = given(
        handle=handle,
        display_name=display_name,
        avatar=avatar,
        text_column=text_column,
        author=author,
        skip_bad_lines=skip_bad_lines,
    )
    return dataclasses.replace(settings, imports=dataclasses.replace(settings.imports, **chosen))


def with_dataset(
    settings: BotSettings,
    cleaning: Cleaning | None,
    keep_newlines: bool | None,
    holdout: float | None,
    seed: int | None,
) -> BotSettings:
    """A chosen set of cleaning rules replaces the rules, and leaves the split alone."""
    chosen = given(keep_newlines=keep_newlines, holdout_fraction=holdout, seed=seed)
    if cleaning is not None:
        rules = DatasetSettings.original() if cleaning is Cleaning.ORIGINAL else DatasetSettings()
        names = ("unescape_all_html", "drop_duplicates", "drop_handmade_retweets")
        chosen |= {name: getattr(rules, name) for name in names}
    return dataclasses.replace(settings, dataset=dataclasses.replace(settings.dataset, **chosen))


def with_training(
    settings: BotSettings,
    base: str | None,
    minutes: float | None,
    epochs: float | None,
    recipe: Recipe | None,
    seed: int | None,
    device: str | None,
    threads: int | None,
) -> BotSettings:
    """A newly chosen recipe starts from its own numbers; minutes and epochs replace one another."""
    start = settings.training if recipe is None else RECIPES[recipe]()
    if minutes is not None or epochs is not None:
        start = dataclasses.replace(start, minutes=None, epochs=None if recipe is None else start.epochs)
    chosen = given(minutes=minutes, epochs=epochs, seed=seed, device=device, threads=threads)
    training = dataclasses.replace(start, **chosen)
    return dataclasses.replace(settings, training=training, **given(base=base, seed=seed))
