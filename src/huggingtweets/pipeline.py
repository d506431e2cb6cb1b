"""From what a person typed to a finished bot: `create` runs every stage, `run` some of them.

Both hold the bot's lock while they work, and may be repeated at will: a stage that is done is skipped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from huggingtweets import lineage, stages
from huggingtweets.bot import Bot, dir_of
from huggingtweets.botdir import BotDir, bot_name
from huggingtweets.config import BOTS_DIR, MAX_ACCOUNTS, BotSettings, ImportSettings, TrackingSettings
from huggingtweets.consent import Word, ask_first, judge
from huggingtweets.errors import BotError, SettingsError, TooLittleText, UnknownSource
from huggingtweets.posts import Post
from huggingtweets.reports import Listener, silent
from huggingtweets.sources import join_parts, recognise
from huggingtweets.sources.base import Source

TRACK = "HUGGINGTWEETS_TRACK"  # what "auto" means where nobody says otherwise

STAGES: dict[str, Callable[[BotDir, BotSettings, Listener], object]] = {
    "build": stages.build,
    "train": stages.train,
    "evaluate": stages.evaluate,
    "card": stages.describe,
}


def create(
    *specs: str | PathLike[str],
    base: str | PathLike[str] | None = None,
    name: str | None = None,
    bots_dir: str | PathLike[str] = BOTS_DIR,
    settings: BotSettings | None = None,
    word: Word = Word(),  # noqa: B008 (frozen)
    through: str = "card",
    listen: Listener = silent,
) -> Bot:
    """The whole way from one to three sources to a bot with scores, card and picture, or to the stage `through`.

    Safe to repeat: what is done is skipped, what was interrupted continues. Settings left out are the ones the bot was
    made with, else the defaults. `word` says whose account it is, which networks ask for. Raises HuggingtweetsError.
    """
    imports = settings.imports if settings else ImportSettings()
    sources, bot = prepare(specs, name=name, bots_dir=bots_dir, imports=imports)
    if settings is None:
        settings = settings_of(bot)
    if base is not None:
        settings = dataclasses.replace(settings, base=os.fspath(base))
    if settings.imports != imports:
        sources = sources_of(specs, settings.imports)
    return make(bot, sources, settings, listen, word, through=through)


def make(
    bot: BotDir,
    sources: Sequence[Source],
    settings: BotSettings,
    listen: Listener = silent,
    word: Word = Word(),  # noqa: B008 (frozen)
    *,
    through: str = "card",
) -> Bot:
    """Every stage up to `through`, from sources that are open already."""
    if through not in STAGES:
        raise SettingsError(f"There is no stage {through}.", next=f"choose one of {', '.join(STAGES)}")
    with at_work(bot, settings, listen) as heard:
        stages.fetch(bot, sources, settings, heard, word)
        finish(bot, settings, heard, through)
    return Bot(bot.path)


@contextlib.contextmanager
def at_work(bot: BotDir, settings: BotSettings, listen: Listener) -> Iterator[Listener]:
    """The bot's lock, and a listener that records what is done under it (see `tracking`)."""
    from huggingtweets.tracking import tracker

    mode = settings.tracking.mode
    if mode == "auto":
        mode = TrackingSettings(os.environ.get(TRACK) or "auto").mode  # type: ignore[arg-type]  # checked there
    with bot.locked(), tracker(bot, mode, listen, posts=settings.tracking.posts) as heard:
        yield heard


def finish(bot: BotDir, settings: BotSettings, listen: Listener = silent, through: str = "card") -> None:
    """Every stage after the download, up to `through`, of a bot whose lock is held."""
    for name, stage in STAGES.items():
        stage(bot, settings, listen)
        if name == through:
            break
    lineage.record(bot)


def is_finished(bot: BotDir, settings: BotSettings) -> bool:
    """Whether `finish` would find everything done, for a bot whose dataset is built."""
    return stages.is_trained(bot, settings) and stages.is_scored(bot, settings) and stages.is_described(bot)


def prepare(
    specs: Sequence[str | PathLike[str]],
    *,
    name: str | None = None,
    bots_dir: str | PathLike[str] = BOTS_DIR,
    imports: ImportSettings,
) -> tuple[list[Source], BotDir]:
    """The sources behind what was typed, and the folder their bot lives in; raises as `sources_of`."""
    try:
        sources = sources_of(specs, imports)
    except UnknownSource as error:
        raise _or_a_bot(error, specs, Path(bots_dir)) from error
    return sources, BotDir(Path(bots_dir) / bot_name([name] if name else [source.handle for source in sources]))


def _or_a_bot(error: UnknownSource, specs: Sequence[str | PathLike[str]], bots_dir: Path) -> UnknownSource:
    """Where the name of a bot was typed in place of a source."""
    named = [
        name for spec in specs if (name := os.fspath(spec)) and BotDir(bots_dir / bot_name([name])).record.exists()
    ]
    if not named:
        return error
    why = " ".join(filter(None, [error.why, f"There is a bot called {named[0]}, too."]))
    return UnknownSource(
        error.what, why=why, next=f"{error.next}   (the bot's new posts: huggingtweets update {named[0]})"
    )


def run(
    bot: Bot | BotDir,
    names: Sequence[str],
    settings: BotSettings | None = None,
    *,
    again: bool = False,
    listen: Listener = silent,
) -> None:
    """Some stages of a bot that has its posts, in the order given; `again` repeats what is done already."""
    bot = dir_of(bot)
    before = settings_of(bot)
    with at_work(bot, settings or before, listen) as heard:
        if again:
            bot.forget(names)
        bot.write_record(settings=(settings or before).to_json())
        try:
            for name in names:
                STAGES[name](bot, settings or before, heard)
        except TooLittleText:  # these settings leave nothing, so the bot keeps the ones it had
            bot.write_record(settings=before.to_json())
            raise
        lineage.record(bot)


def download(
    spec: str | PathLike[str],
    settings: ImportSettings | None = None,
    *,
    word: Word = Word(),  # noqa: B008 (frozen)
    bots_dir: str | PathLike[str] = BOTS_DIR,
) -> list[Post]:
    """The posts behind one spec, in their normal form; raises SourceError and ConsentError."""
    (source,) = sources_of([spec], settings or ImportSettings())
    ask_first(source, word, Path(bots_dir))
    posts: list[Post] = []
    for page in source.pages():
        if page.account is not None:
            judge(page.account, source.origin, word, Path(bots_dir))
        posts += page.posts
    return posts


def settings_of(bot: BotDir) -> BotSettings:
    """The settings the bot was made with; the defaults for a bot that is only about to be."""
    record = bot.read_record().get("settings", {})
    try:
        return BotSettings.from_json(record)
    except (TypeError, AttributeError, SettingsError) as error:
        raise BotError(
            f"The settings in {bot.record} are damaged: {error}", next="delete it and run the create command again"
        ) from error


def sources_of(specs: Sequence[str | PathLike[str]], settings: ImportSettings) -> list[Source]:
    """The sources that were meant.

    Raises SettingsError for none, for more than three, for two of one account and for one identity given to several;
    SourceError when one is not to be found.
    """
    if not specs:
        raise SettingsError("Whose posts?", next="huggingtweets create FILE")
    sources = join_parts([recognise(os.fspath(spec), settings) for spec in specs])
    if len(sources) > 1 and (settings.handle or settings.display_name or settings.avatar):
        raise SettingsError("--handle, --display-name and --avatar say who one account is, and there are several.")
    by_handle: dict[str, Source] = {}
    for source in sources:
        same = by_handle.setdefault(source.handle.casefold(), source)
        if same is not source:
            raise SettingsError(
                f"Two sources are of one account, {source.handle}: {same.spec} and {source.spec}.",
                why="An account that is told only by its file's name is taken to be the one of that name.",
                next="put the posts of one account into one file, or give the files the names of their accounts",
            )
    if len(by_handle) > MAX_ACCOUNTS:
        raise SettingsError(f"A bot has at most {MAX_ACCOUNTS} accounts, not {len(by_handle)}.")
    return list(by_handle.values())
