"""Bots that live on: `update` teaches one what its account wrote since, `forget` unmakes an account's bots.

Both may be repeated at will: an update that was interrupted goes on, and an account that is gone stays gone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from huggingtweets import stages
from huggingtweets.bot import BOTS_DIR, list_bots
from huggingtweets.botdir import BotDir, read_as, read_json, storage_errors
from huggingtweets.consent import Word
from huggingtweets.errors import BotError
from huggingtweets.forgotten import note_allowed, note_forgotten
from huggingtweets.pipeline import finish, settings_of, sources_of
from huggingtweets.posts import Account
from huggingtweets.reports import Listener, StageDone, silent
from huggingtweets.sources import account_named
from huggingtweets.stages.inputs import need
from huggingtweets.stages.partial import discard


def update(bot: BotDir, *, word: Word = Word(), listen: Listener = silent) -> int:  # noqa: B008
    """Fetches only what is new since, and trains on from the bot as it is; returns how many posts were added.

    What was said of consent when the bot was made counts on; a price is agreed to each time.
    Raises HuggingtweetsError.
    """
    specs = bot.read_record().get("sources")
    need(bot, bot.posts, "download")
    need(bot, bot.train_report, "train")
    if not isinstance(specs, list) or not specs:
        raise BotError(f"{bot.name} does not know where its posts are from.", next="run the create command again")
    settings = settings_of(bot)
    sources = sources_of(specs, settings.imports)
    with bot.locked():
        said = _together(word, stages.word_of(bot))
        new = stages.renew(bot, sources, settings, listen, said)
        if new:
            stages.keep_previous(bot)
            stages.add_new(bot, sources, settings, listen, said)
        else:
            discard(bot)
            listen(StageDone("download", "nothing new", skipped=True))
        finish(bot, settings, listen)
    return new


def _together(now: Word, then: Word) -> Word:
    """What is said now, over what was said when the bot was made."""
    who = now if now.is_given else then
    return Word(mine=who.mine, permission=who.permission, terms=now.terms or then.terms, price=now.price)


@dataclass(frozen=True)
class Forgotten:
    """What `forget` removed, or would remove."""

    bots: tuple[str, ...]  # folders
    published: tuple[str, ...]  # where such a bot is still to be found


def forget(name: str, *, bots_dir: str | PathLike[str] = BOTS_DIR, dry_run: bool = False) -> Forgotten:
    """Removes an account's posts and every bot made of them from disk, and keeps it from being made again by accident.

    `name` is a handle in any of the spellings that `create` takes, or the account's id. What was published is listed,
    not taken down. Raises BotError when a bot is being worked on, StorageError when it may not be removed.
    """
    folder = Path(bots_dir)
    names = {name.strip(), account_named(name)}
    found = [bot for bot in list_bots(folder) if not names.isdisjoint(_names_of(bot.dir))]
    also = {other for bot in found for other in _other_names(bot.dir, names)}
    published = tuple(where for bot in found if (where := _where_published(bot.dir)))
    if not dry_run:
        note_forgotten(folder, names | also)  # first, so that a run beside this one can't make it again
        for bot in found:
            _remove(bot.dir)
    return Forgotten(tuple(str(bot.path) for bot in found), published)


def remember(name: str, *, bots_dir: str | PathLike[str] = BOTS_DIR) -> bool:
    """Takes `forget` back, as far as that goes: the account may be made into a bot again."""
    return note_allowed(Path(bots_dir), {name.strip(), account_named(name)})


def _accounts_of(bot: BotDir) -> list[Account]:
    """Of a finished download, or of one that was cut off; a damaged bot has none that can be told."""
    accounts: list[Account] = []
    try:
        if bot.accounts.exists():
            accounts += read_as(bot.accounts, lambda records: [Account.from_json(record) for record in records])
        for state in sorted(bot.partial.glob("*.json")):
            accounts += read_as(
                state, lambda record: [Account.from_json(record["account"])] if record["account"] else []
            )
    except BotError:
        pass
    return accounts


def _keys(account: Account) -> set[str]:
    return {name.casefold() for name in (account.handle, account.id) if name}


def _names_of(bot: BotDir) -> set[str]:
    return {key for account in _accounts_of(bot) for key in _keys(account)}


def _other_names(bot: BotDir, names: set[str]) -> set[str]:
    """The id beside a handle and the handle beside an id, so that the account is known under both."""
    return {key for account in _accounts_of(bot) if _keys(account) & names for key in _keys(account)}


def _where_published(bot: BotDir) -> str | None:
    if not bot.published.exists():
        return None
    record = read_json(bot.published)
    where = record.get("url") or record.get("repo_id") if isinstance(record, dict) else None
    return where if isinstance(where, str) else f"see {bot.published}"


def _remove(bot: BotDir) -> None:
    """Under another name first, so that it is gone at once even if removing takes long or is cut off."""
    with bot.locked():
        leaving = bot.path.with_name(f".{bot.name}.forgotten")
        with storage_errors(bot.path):
            shutil.rmtree(leaving, ignore_errors=True)
            bot.path.rename(leaving)
    with storage_errors(leaving):
        shutil.rmtree(leaving)
