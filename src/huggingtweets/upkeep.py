"""Bots that live on: `update` teaches one what its account wrote since, `forget` unmakes an account's bots.

- Both may be repeated at will: an update that was interrupted goes on, and an account that is gone stays gone.
- An update only sees what is new: posts that were edited or deleted since are still in the bot. `download --again`
  and `create` make it anew of what is there now.
- Forgetting goes by everything an account can be told by (see `consent`). A folder that can't be read any more is
  searched for its names; one that tells nothing at all is named, so that a person can look.

Not covered: what is not on this disk, such as a published bot, which is listed only.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from huggingtweets import stages
from huggingtweets.bot import Bot, dir_of
from huggingtweets.botdir import BotDir, read_as, storage_errors
from huggingtweets.config import BOTS_DIR, BotSettings, ImportSettings
from huggingtweets.consent import Word, names_of
from huggingtweets.errors import BotError, ConsentRefused, SettingsError, SourceError
from huggingtweets.forgotten import keys_of, note_allowed, note_forgotten
from huggingtweets.pipeline import at_work, finish, settings_of, sources_of
from huggingtweets.places import read_places
from huggingtweets.posts import Account
from huggingtweets.reports import Listener, Notice, silent
from huggingtweets.sources import account_named, recognise
from huggingtweets.sources.files.opening import as_path
from huggingtweets.stages.inputs import need
from huggingtweets.tracking import run_url

_LEAVING = ".forgotten"  # how a folder's name ends while it is being removed


def update(bot: Bot | BotDir, *, word: Word = Word(), listen: Listener = silent) -> int:  # noqa: B008 (frozen)
    """Fetches only what is new since, and trains on from the bot as it is; returns how many posts were added.

    What was said of consent when the bot was made counts on; a price is agreed to each time.
    Raises HuggingtweetsError.
    """
    bot = dir_of(bot)
    need(bot, bot.posts, "download")
    need(bot, bot.train_report, "train")
    settings = settings_of(bot)
    with at_work(bot, settings, listen) as heard:
        sources = sources_of(_specs_of(bot), settings.imports)
        said = word.over(stages.word_of(bot))
        try:
            news = stages.renew(bot, sources, heard, said)
        except ConsentRefused as error:
            raise ConsentRefused(
                error.what,
                why=f"Nothing new was kept. The bot of its earlier posts is still in {bot.path}.",
                next=f"huggingtweets forget ACCOUNT, if that bot is to go too. Else: {error.next}",
            ) from error
        if news.posts:
            _go_on_from_here(bot, settings, heard)
        stages.add_new(bot, news, sources, settings, heard, said)
        finish(bot, settings, heard)
    return news.posts


def _specs_of(bot: BotDir) -> list[str]:
    specs = bot.read_record().get("sources")
    if not isinstance(specs, list) or not specs or not all(isinstance(spec, str) for spec in specs):
        raise BotError(f"{bot.name} does not know where its posts are from.", next="run the create command again")
    if "-" in specs:
        raise BotError(
            f"{bot.name} was made of what a pipe brought, so there is nowhere to look for more.",
            next=f"huggingtweets create FILE --name {bot.name}, with all its posts",
        )
    return specs


def _go_on_from_here(bot: BotDir, settings: BotSettings, listen: Listener) -> None:
    """Keeps the model that the training goes on from, where it is one of these settings."""
    stages.leave_outdated(bot, settings)
    if stages.is_pending(bot):
        return
    if stages.is_built(bot, settings) and stages.is_trained(bot, settings):
        stages.keep_previous(bot, settings)
    else:
        listen(Notice("The bot's settings have changed since its training, so it is trained anew, from the base."))
        stages.start_afresh(bot)


@dataclass(frozen=True)
class Forgotten:
    """What `forget` removed, or would remove."""

    bots: tuple[str, ...]  # folders
    published: tuple[str, ...]  # where such a bot is still to be found
    unclear: tuple[str, ...] = ()  # folders too damaged to tell whose they are; left alone
    meant: tuple[str, ...] = ()  # the accounts of a bot that is called so, where no account is


def forget(name: str, *, bots_dir: str | PathLike[str] = BOTS_DIR, dry_run: bool = False) -> Forgotten:
    """Removes an account's posts and every bot made of them from disk, and keeps it from being made again by accident.

    `name` is a handle in any of the spellings that `create` takes, the account's id, or a file of its posts. What was
    published is listed, not taken down. Raises BotError when a bot is being worked on, StorageError when it may not be
    removed.
    """
    folder = Path(bots_dir)
    names = _spellings(name)
    whose = {bot: _whose(bot) for bot in _bots_in(folder)}
    found = [bot for bot, accounts in whose.items() if any(names & account for account in accounts)]
    unclear = tuple(str(bot.path) for bot, accounts in whose.items() if not accounts)
    published = tuple(where for bot in found for where in _where_published(bot))
    if not dry_run:
        same = [account for bot in found for account in whose[bot] if names & account]
        note_forgotten(folder, names.union(*same))  # first, so that a run beside this one can't make it again
        _remove_all(found, folder)
    meant = () if found else tuple(_handles_of(bot for bot in whose if name in (bot.name, str(bot.path))))
    return Forgotten(tuple(str(bot.path) for bot in found), published, unclear, meant)


def _handles_of(bots: Iterable[BotDir]) -> Iterator[str]:
    for bot in bots:
        for names in _told(bot.accounts, lambda records: [{Account.from_json(record).handle} for record in records]):
            yield from names


def remember(name: str, *, bots_dir: str | PathLike[str] = BOTS_DIR) -> bool:
    """Takes `forget` back, as far as that goes: the account may be made into a bot again."""
    return note_allowed(Path(bots_dir), _spellings(name))


def _spellings(name: str) -> set[str]:
    names = {name, account_named(name)}
    if name.strip().isdecimal():
        names.add(f"x#{name.strip()}")  # as `consent.identity_of` spells it
    if as_path(name) is not None:
        with contextlib.suppress(SourceError):
            names.add(recognise(name, ImportSettings()).handle)
    if not keys_of(names):
        raise SettingsError("Whom?", next="huggingtweets forget @name")
    return keys_of(names)


def _bots_in(folder: Path) -> list[BotDir]:
    """Finished, begun or damaged; not what an earlier `forget` was about to remove."""
    bots = [BotDir(path) for path in sorted(folder.glob("*")) if path.is_dir() and not _is_leaving(path)]
    return [bot for bot in bots if any(file.exists() for file in (bot.record, bot.posts, bot.accounts, bot.partial))]


def _is_leaving(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_LEAVING)


def _whose(bot: BotDir) -> list[set[str]]:
    """The names of each account that something in the folder is of."""
    told = _told(bot.accounts, lambda records: [names_of(Account.from_json(record)) for record in records])
    if not told:
        told = [{name} for name in sorted(_names_in_lines(bot))]
    for state in sorted(bot.partial.glob("*.json")):
        told += _told(state, _names_in_state)
    if told:  # a source alone may be a path, which names nobody
        told += _told(bot.record, lambda record: [keys_of([account_named(spec)]) for spec in record.get("sources", [])])
    return told


def _names_in_state(record: dict[str, Any]) -> list[set[str]]:
    return [names_of(Account.from_json(record["account"]))] if record["account"] else []


def _told(file: Path, names_in: Callable[[Any], list[set[str]]]) -> list[set[str]]:
    """Nothing, where a file is missing or damaged."""
    try:
        return read_as(file, names_in)
    except (BotError, OSError):
        return []


def _names_in_lines(bot: BotDir) -> set[str]:
    """The accounts that posts and texts are of, damaged lines passed over."""
    names: set[str] = set()
    for file in (bot.posts, bot.train_posts, bot.holdout_posts, *sorted(bot.partial.glob("*.jsonl"))):
        with contextlib.suppress(OSError), file.open("rb") as lines:
            names |= {name for line in lines if (name := _name_in(line))}
    return names


def _name_in(line: bytes) -> str | None:
    found = re.search(rb'"account": ?("(?:[^"\\]|\\.)*")', line)
    with contextlib.suppress(ValueError):
        return str(json.loads(found[1])).casefold() if found else None
    return None


def _where_published(bot: BotDir) -> list[str]:
    try:
        return [*read_places(bot).urls, *filter(None, [run_url(bot)])]
    except BotError:
        return [f"{bot.name}, somewhere: its {bot.published.name} is damaged"]


def _remove_all(bots: Iterable[BotDir], folder: Path) -> None:
    """Under other names first, so that all are gone at once even if removing takes long or is cut off."""
    with contextlib.ExitStack() as held:
        for bot in bots:
            held.enter_context(bot.locked())
        for bot in bots:
            _set_aside(bot)
    for leaving in sorted(folder.glob(f".*{_LEAVING}")):  # an earlier run's too
        with storage_errors(leaving):
            shutil.rmtree(leaving)


def _set_aside(bot: BotDir) -> None:
    target = bot.path.resolve()
    leaving = bot.path.with_name(f".{bot.name}{_LEAVING}")
    with storage_errors(bot.path):
        if leaving.exists():
            shutil.rmtree(leaving)
        if bot.path.is_symlink():
            bot.path.unlink()
            shutil.move(target, leaving)
        else:
            bot.path.rename(leaving)
