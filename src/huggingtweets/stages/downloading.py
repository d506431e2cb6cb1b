"""Sources in; `posts.jsonl`, `accounts.json` and `avatars/` out.

- The gate comes first: what a person has to say is asked before the first request, what the account says of itself is
  judged before its first post is fetched. A refusal leaves nothing of the account behind.
- Posts go to `download/` page by page and into place at the end, so that a network is never asked twice for a page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from huggingtweets import consent
from huggingtweets.botdir import (
    BotDir,
    file_digest,
    key_of,
    make_folder,
    put_in_place,
    write_atomically,
    write_json,
)
from huggingtweets.config import BotSettings
from huggingtweets.consent import Word
from huggingtweets.errors import BotError, ConsentError, SettingsError, SourceError
from huggingtweets.posts import Account
from huggingtweets.reports import Listener, Notice, StageDone, StageStarted
from huggingtweets.sources.base import Source
from huggingtweets.stages.partial import Partial, discard, in_order
from huggingtweets.stages.reading import NOTHING_KNOWN, Known, Reading


def fetch(
    bot: BotDir,
    sources: Sequence[Source],
    settings: BotSettings,
    listen: Listener,
    word: Word = Word(),  # noqa: B008 (frozen)
    *,
    again: bool = False,
) -> None:
    """Every post of the sources; `again` fetches even what is here already. Raises SourceError and ConsentError.

    What was said when the bot was made of the same sources counts on.
    """
    if bot.read_record().get("sources") == [source.spec for source in sources]:
        word = word.over(word_of(bot))
    made_of = _made_of(sources, settings, word)
    prints = [source.fingerprint() for source in sources]
    key = _key(prints)
    if not again and bot.is_done("download", key, [bot.posts, bot.accounts]):
        bot.write_record(**{**made_of, "word": bot.read_record().get("word", made_of["word"])})
        listen(StageDone("download", f"{_thousands(bot.stage('download'), 'posts')} posts", skipped=True))
        return
    listen(StageStarted("download", "Reading posts"))
    partials = _download(bot, sources, word, listen, [key_of(key, one) for one in prints])
    _refuse_nothing(bot, sources, partials)
    write_atomically(bot.posts, in_order(partial.posts_file for partial in partials))
    bot.write_record(**made_of)
    count = _finish(bot, partials, key, listen)
    listen(StageDone("download", f"{count:,} posts"))


@dataclass(frozen=True)
class News:
    """What is new since the last download; in `download/`, not yet in place."""

    partials: Sequence[Partial]
    key: str  # of the download that it makes whole

    @property
    def posts(self) -> int:
        return sum(partial.posts for partial in self.partials)


def renew(bot: BotDir, sources: Sequence[Source], listen: Listener, word: Word) -> News:
    """Fetches the posts that are new since the last time, into `download/`."""
    listen(StageStarted("download", "Looking for new posts"))
    prints = [source.fingerprint() for source in sources]
    begun = file_digest(bot.posts)
    keys = [key_of(_key(prints), one, begun) for one in prints]
    return News(_download(bot, sources, word, listen, keys, Known.of(bot)), _key(prints))


def add_new(
    bot: BotDir, news: News, sources: Sequence[Source], settings: BotSettings, listen: Listener, word: Word
) -> None:
    """Puts what `renew` found into place, oldest first; where nothing was new, only notes that."""
    if news.posts:
        write_atomically(bot.posts, in_order([bot.posts, *(partial.posts_file for partial in news.partials)]))
        bot.write_record(**_made_of(sources, settings, word))
    count = _finish(bot, news.partials if news.posts else [], news.key, listen)
    listen(StageDone("download", f"{news.posts or 'no'} new posts, {count:,} in all", skipped=not news.posts))


def word_of(bot: BotDir) -> Word:
    """What was said when the bot was made; a price is agreed to anew each time. Raises BotError."""
    said = bot.read_record().get("word") or {}
    permission = said.get("permission") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(permission, str | None):
        raise BotError(f"What {bot.record} holds of consent is damaged.", next="run the create command again")
    return Word(mine=said.get("mine") is True, permission=permission or None, terms=said.get("terms") is True)


def _made_of(sources: Sequence[Source], settings: BotSettings, word: Word) -> dict[str, Any]:
    said = {"mine": word.mine, "permission": word.permission, "terms": word.terms}
    return {"settings": settings.to_json(), "sources": [source.spec for source in sources], "word": said}


def _key(prints: Iterable[str]) -> str:
    return key_of(sorted(prints))


def _download(
    bot: BotDir,
    sources: Sequence[Source],
    word: Word,
    listen: Listener,
    keys: Sequence[str],
    known: Known = NOTHING_KNOWN,
) -> list[Partial]:
    """All sources into `download/`; what is there already of this very download is not fetched again."""
    for source in sources:
        consent.ask_first(source, word, bot.path.parent)
    partials: list[Partial] = []
    for number, source in enumerate(sources):
        partial = Partial(bot.partial, number, keys[number])
        one = Reading(bot, source, word, listen, partial, partials, known, number / len(sources), 1 / len(sources))
        try:
            one.read(known.ids_for(source, number, len(sources)))
        except (ConsentError, SettingsError):
            discard(bot)
            raise
        except SourceError:
            if number == 0 and partial.cursor is None:  # nothing that a later run could go on from
                discard(bot)
            raise
        partials.append(partial)
    return partials


def _refuse_nothing(bot: BotDir, sources: Sequence[Source], partials: Sequence[Partial]) -> None:
    for source, partial in zip(sources, partials, strict=True):
        if partial.posts == 0:
            losses = ", ".join(map(str, partial.losses))
            discard(bot)
            raise SourceError(
                f"There are no posts to learn from in {source.spec}.",
                why=f"What there was: {losses}." if losses else "",
                next="check that it is the account you meant",
            )


def _finish(bot: BotDir, partials: Sequence[Partial], key: str, listen: Listener) -> int:
    """Accounts and the record into place, `download/` away; returns how many posts there are."""
    losses = [str(loss) for partial in partials for loss in partial.losses]
    if partials:
        _keep_accounts(bot, [partial.account for partial in partials if partial.account])
    for loss in losses:
        listen(Notice(f"{loss}.", warning=True))
    with bot.posts.open("rb") as lines:
        count = sum(1 for _ in lines)
    bot.mark_done("download", key, posts=count, losses=losses)
    discard(bot)
    return count


def _keep_accounts(bot: BotDir, accounts: Sequence[Account]) -> None:
    """Their faces, then who they are, then the faces that are nobody's any more away."""
    named = {account.avatar for account in accounts if account.avatar}
    for name in sorted(named):
        if (fetched := bot.partial / bot.avatars.name / name).exists():  # else put in place by a run that was killed
            make_folder(bot.avatars)
            put_in_place(fetched, bot.avatars / name)
    write_json(bot.accounts, [dataclasses.asdict(account) for account in accounts])
    for old in bot.avatars.glob("*"):
        if old.is_file() and old.name not in named:
            old.unlink()


def _thousands(facts: dict[str, Any] | None, name: str) -> str:
    return f"{(facts or {}).get(name, 0):,}"
