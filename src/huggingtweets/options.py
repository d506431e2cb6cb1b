"""What can be typed behind a command, and the settings it makes.

- An option left out is None, which means: as the bot has it, else the default.
- Options that belong together are a dataclass, and a command takes the groups it needs (`grouped`).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from huggingtweets.config import BOTS_DIR, RECIPES, BotSettings, DatasetSettings, ImportSettings
from huggingtweets.errors import SettingsError

if TYPE_CHECKING:
    from huggingtweets.consent import Word

SPLIT = ("holdout_fraction", "holdout_max_posts", "seed")  # what `--cleaning` leaves alone
TAKEN_BACK = "none"  # typed to take a limit back that the bot has


class Cleaning(StrEnum):
    OURS = "ours"
    ORIGINAL = "original"


class Recipe(StrEnum):
    DEFAULT = "default"
    ORIGINAL = "original"
    ADAPTER = "adapter"


class Replies(StrEnum):
    KEEP = "keep"
    STRIP = "strip"
    DROP = "drop"


class Mentions(StrEnum):
    KEEP = "keep"
    NEUTRAL = "neutral"


class Warnings(StrEnum):
    SKIP = "skip"
    PREPEND = "prepend"
    OMIT = "omit"


class Dialect(StrEnum):
    TWEET = "tweet"
    POST = "post"


class Track(StrEnum):
    AUTO = "auto"
    ONLINE = "online"
    OFFLINE = "offline"
    NONE = "none"


def complete_bot(incomplete: str) -> list[str]:
    """Shell completion of bot names."""
    from huggingtweets.bot import list_bots

    bots_dir = Path(os.environ.get("HUGGINGTWEETS_BOTS", BOTS_DIR))
    return [bot.name for bot in list_bots(bots_dir) if bot.name.startswith(incomplete)]


_SPECS = typer.Argument(
    metavar="SOURCE...",
    help="One to three accounts, archives or files: @name@server, name.bsky.social, archive.zip, posts.csv, ...",
    show_default=False,
)
Specs = Annotated[list[str], _SPECS]
OptionalSpecs = Annotated[list[str] | None, _SPECS]
FromLineage = Annotated[
    Path | None,
    typer.Option(help="A bot's lineage.json: make that bot again, with its settings, seeds and steps.", exists=True),
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Name = Annotated[str | None, typer.Option(help="The bot's name; the handles by default.")]


def _option(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


_WHOSE, _READING, _CLEANING, _TRAINING = "Whose posts", "Reading posts", "Cleaning", "Training"
_TRACKING = "Weights & Biases"


Seed = Annotated[int | None, _option(panel=_TRAINING, help="Of split, training and predictions.")]


@dataclass(frozen=True)
class Consents:
    """What a person says before posts are fetched."""

    mine: Annotated[bool, _option("--mine", panel=_WHOSE, help="The account is mine.")] = False
    permission: Annotated[
        str | None,
        _option(panel=_WHOSE, help="Its owner agreed: who gave the permission, and when; the card tells it."),
    ] = None
    accept_x_terms: Annotated[
        bool, _option("--accept-x-terms", panel=_WHOSE, help="I know what X's terms say about such use of its API.")
    ] = False
    yes: Annotated[bool, _option("--yes", "-y", panel=_WHOSE, help="The price that was shown is fine.")] = False

    @property
    def word(self) -> Word:
        from huggingtweets.consent import Word

        return Word(mine=self.mine, permission=self.permission, terms=self.accept_x_terms, price=self.yes)


@dataclass(frozen=True)
class Imports:
    """Whose posts, and how they are read."""

    handle: Annotated[str | None, _option(panel=_WHOSE, help="Whose posts a file holds, when it doesn't say.")] = None
    display_name: Annotated[str | None, _option(panel=_WHOSE, help="Their name for card and picture.")] = None
    avatar: Annotated[
        str | None, _option(panel=_WHOSE, help="Their picture, an image file; else the network's, or one is drawn.")
    ] = None
    author: Annotated[
        str | None, _option(panel=_WHOSE, help="Whose posts to take from a file that holds several people's.")
    ] = None
    text_column: Annotated[
        str | None, _option(panel=_READING, help="The column that holds the text, when it isn't found.")
    ] = None
    skip_bad_lines: Annotated[
        bool | None, _option("--skip-bad-lines", panel=_READING, help="Go on past damaged lines, and count them.")
    ] = None
    max_posts: Annotated[
        int | None, _option(panel=_READING, help="From a network, the newest so many.", show_default=False)
    ] = None
    own_server: Annotated[
        bool | None,
        _option(
            "--own-server/--public-feed", panel=_READING, help="Bluesky: everything from the account's own server."
        ),
    ] = None
    community_posts: Annotated[
        bool | None,
        _option("--community-posts/--no-community-posts", panel=_READING, help="X archive: posts into communities."),
    ] = None
    x_dialect: Annotated[
        Dialect | None, _option(panel=_READING, help="Which of X's two vocabularies is asked for; tweet by default.")
    ] = None

    def over(self, settings: BotSettings) -> BotSettings:
        return dataclasses.replace(settings, imports=dataclasses.replace(settings.imports, **_given(self)))

    @property
    def settings(self) -> ImportSettings:
        return self.over(BotSettings()).imports


@dataclass(frozen=True)
class Cleanings:
    """What becomes of the posts before they are trained on."""

    cleaning: Annotated[
        Cleaning | None,
        _option(
            panel=_CLEANING,
            help="original: exactly the original's rules; ours: the defaults. Takes back what was chosen before.",
        ),
    ] = None
    keep_newlines: Annotated[
        bool | None, _option("--keep-newlines/--no-newlines", panel=_CLEANING, help="Posts of several lines.")
    ] = None
    replies: Annotated[
        Replies | None, _option(panel=_CLEANING, help="Keep them, strip them of the mentions in front, or drop them.")
    ] = None
    stitch: Annotated[
        bool | None,
        _option(
            "--stitch/--no-stitch", panel=_CLEANING, help="What the account answers to itself becomes one text with it."
        ),
    ] = None
    mentions: Annotated[
        Mentions | None, _option(panel=_CLEANING, help="neutral: every mention becomes @[name], which pings nobody.")
    ] = None
    warnings: Annotated[
        Warnings | None,
        _option(panel=_CLEANING, help="Posts behind a content warning: skip them, put it in front, or leave it out."),
    ] = None
    scrub: Annotated[
        bool | None,
        _option("--scrub/--no-scrub", panel=_CLEANING, help="Take out e-mail addresses and phone numbers; on."),
    ] = None
    since: Annotated[
        str | None,
        _option(panel=_CLEANING, help="Only posts from this day on (UTC), such as 2024-01-31; none takes it back."),
    ] = None
    until: Annotated[
        str | None, _option(panel=_CLEANING, help="Only posts before this day (UTC); none takes it back.")
    ] = None
    min_likes: Annotated[
        int | None, _option(panel=_CLEANING, help="Only posts with at least so many likes; 0 for all.")
    ] = None
    languages: Annotated[
        str | None, _option(panel=_CLEANING, help="Only posts in these languages, such as en,de; none takes it back.")
    ] = None
    holdout: Annotated[
        float | None, _option(panel=_CLEANING, help="Share of posts kept back to score on; 0 for none.")
    ] = None

    def over(self, settings: BotSettings, seed: int | None) -> BotSettings:
        """A set of rules chosen with `--cleaning` replaces all that was chosen before, and leaves the split alone."""
        chosen = self._chosen() | given(seed=seed)
        start = settings.dataset
        if self.cleaning is not None:
            rules = DatasetSettings.original() if self.cleaning is Cleaning.ORIGINAL else DatasetSettings()
            start = dataclasses.replace(rules, **{name: getattr(start, name) for name in SPLIT})
        return dataclasses.replace(settings, dataset=dataclasses.replace(start, **chosen))

    def _chosen(self) -> dict[str, Any]:
        """The options that were typed, as settings."""
        spelled = {"holdout": "holdout_fraction", "stitch": "join_threads", "warnings": "content_warnings"}
        chosen = {spelled.get(name, name): value for name, value in _given(self).items() if name != "cleaning"}
        for name in ("since", "until", "languages"):
            if name in chosen and chosen[name].strip().casefold() == TAKEN_BACK:
                chosen[name] = None
        if chosen.get("languages") is not None:
            chosen["languages"] = tuple(filter(None, re.split(r"[\s,]+", chosen["languages"])))
        return chosen


@dataclass(frozen=True)
class Machine:
    """What computes."""

    device: Annotated[str | None, _option(panel=_TRAINING, help="cpu, cuda or mps; the best there is by default.")] = (
        None
    )
    threads: Annotated[int | None, _option(panel=_TRAINING, help="CPU threads, at most; all cores by default.")] = None


@dataclass(frozen=True)
class Trainings:
    """How the base is fine-tuned."""

    base: Annotated[
        str | None,
        _option(
            panel=_TRAINING, help="gpt2 (default), smollm2 (needs no Hub), a Hub id, a model folder, or a .gguf file."
        ),
    ] = None
    minutes: Annotated[
        float | None, _option(panel=_TRAINING, help="Fit training into so many minutes; 5 by default on a CPU.")
    ] = None
    epochs: Annotated[float | None, _option(panel=_TRAINING, help="Passes over the posts, instead of a time.")] = None
    recipe: Annotated[
        Recipe | None,
        _option(panel=_TRAINING, help="original: the original's recipe, four epochs in blocks of 1,024 tokens."),
    ] = None
    adapter: Annotated[
        bool,
        _option(
            "--adapter",
            panel=_TRAINING,
            help="A few megabytes a bot over one shared base (LoRA), instead of a whole model: --recipe adapter.",
        ),
    ] = False
    seed: Seed = None

    def over(self, settings: BotSettings, machine: Machine) -> BotSettings:
        """A newly chosen recipe starts from its own numbers; minutes and epochs replace one another."""
        if self.adapter and self.recipe not in (None, Recipe.ADAPTER):
            raise SettingsError(f"--adapter is a recipe of its own, and so is --recipe {self.recipe}.")
        recipe = Recipe.ADAPTER if self.adapter else self.recipe
        start = settings.training if recipe is None else RECIPES[recipe]()
        if self.minutes is not None or self.epochs is not None:
            start = dataclasses.replace(start, minutes=None, epochs=None if recipe is None else start.epochs)
        chosen = given(
            minutes=self.minutes, epochs=self.epochs, seed=self.seed, device=machine.device, threads=machine.threads
        )
        training = dataclasses.replace(start, **chosen)
        return dataclasses.replace(settings, training=training, **given(base=self.base, seed=self.seed))


@dataclass(frozen=True)
class Trackings:
    """What is told to Weights & Biases."""

    track: Annotated[
        Track | None,
        _option(
            panel=_TRACKING,
            envvar="HUGGINGTWEETS_TRACK",
            help="auto (default): at W&B with a login and a network, else here, for huggingtweets sync.",
        ),
    ] = None
    track_posts: Annotated[
        bool | None, _option("--track-posts/--no-track-posts", panel=_TRACKING, help="The posts too; else a digest.")
    ] = None

    def over(self, settings: BotSettings) -> BotSettings:
        chosen = given(mode=self.track and str(self.track), posts=self.track_posts)
        return dataclasses.replace(settings, tracking=dataclasses.replace(settings.tracking, **chosen))


def chosen_over(
    settings: BotSettings,
    training: Trainings,
    imports: Imports,
    cleaning: Cleanings,
    machine: Machine,
    trackings: Trackings,
) -> BotSettings:
    """Everything that was typed to make a bot, over the settings that it had."""
    settings = cleaning.over(imports.over(settings), training.seed)
    return trackings.over(training.over(settings, machine))


def given(**options: Any) -> dict[str, Any]:
    """The options that were typed."""
    return {name: value for name, value in options.items() if value is not None}


def _given(group: Any) -> dict[str, Any]:
    values = given(**{field.name: getattr(group, field.name) for field in dataclasses.fields(group)})
    return {
        name: str(value) if isinstance(value, StrEnum) and name != "cleaning" else value
        for name, value in values.items()
    }


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: each parameter that is a group becomes the options in it."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        kind = groups[parameter.name]
        types = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=types[field.name])
            for field in dataclasses.fields(kind)
        ]

    @functools.wraps(command)
    def flat(**options: Any) -> None:
        built = {
            name: kind(**{field.name: options.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        command(**options, **built)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del flat.__wrapped__
    return flat
