"""Sources in; `posts.jsonl`, `accounts.json` and `avatars/` out.

- The gate comes first: what a person has to say is asked before the first request, what the account says of itself is
  judged before its first post is fetched. A refusal leaves nothing of the account behind.
- Posts go to `download/` page by page and into place at the end, so that a network is never asked twice for a page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from huggingtweets import consent
from huggingtweets.botdir import (
    BotDir,
    bot_name,
    file_digest,
    key_of,
    make_folder,
    put_in_place,
    read_as,
    write_atomically,
    write_json,
)
from huggingtweets.config import BotSettings
from huggingtweets.consent import Word
from huggingtweets.errors import ConsentError, SourceError
from huggingtweets.posts import Account, Post, read_posts
from huggingtweets.reports import Advanced, Listener, Notice, StageDone, StageStarted
from huggingtweets.sources.base import Page, Source
from huggingtweets.stages.partial import Partial, discard, in_order

Accept = Callable[[Post], bool]


def fetch(
    bot: BotDir,
    sources: Sequence[Source],
    settings: BotSettings,
    listen: Listener,
    word: Word = Word(),  # noqa: B008 (frozen)
    *,
    again: bool = False,
) -> None:
    """Every post of the sources; `again` fetches even what is here already. Raises SourceError and ConsentError."""
    made_of = _made_of(sources, settings, word)
    key = _key(sources)
    if not again and bot.is_done("download", key, [bot.posts, bot.accounts]):
        bot.write_record(**{**made_of, "word": bot.read_record().get("word", made_of["word"])})
        listen(StageDone("download", f"{_thousands(bot.stage('download'), 'posts')} posts", skipped=True))
        return
    listen(StageStarted("download", "Reading posts"))
    partials = _download(bot, sources, word, listen, key)
    _refuse_nothing(bot, sources, partials)
    write_atomically(bot.posts, in_order(partial.posts_file for partial in partials))
    bot.write_record(**made_of)
    count = _finish(bot, partials, key, listen)
    listen(StageDone("download", f"{count:,} posts"))


def renew(bot: BotDir, sources: Sequence[Source], settings: BotSettings, listen: Listener, word: Word) -> int:
    """Fetches the posts that are new since the last time, into `download/`; returns how many there are."""
    listen(StageStarted("download", "Looking for new posts"))
    ids, texts = _known(bot)
    key = f"{_key(sources)}+{file_digest(bot.posts)}"

    def is_new(post: Post) -> bool:
        return post.id not in ids if post.id is not None else key_of(post.account, post.text) not in texts

    partials = _download(bot, sources, word, listen, key, known=ids, accept=is_new)
    return sum(partial.posts for partial in partials)


def add_new(bot: BotDir, sources: Sequence[Source], settings: BotSettings, listen: Listener, word: Word) -> None:
    """Puts what `renew` found into place."""
    key = f"{_key(sources)}+{file_digest(bot.posts)}"
    partials = [Partial(bot.partial, number, key) for number in range(len(sources))]
    write_atomically(bot.posts, in_order([bot.posts, *(partial.posts_file for partial in partials)]))
    bot.write_record(**_made_of(sources, settings, word))
    new = sum(partial.posts for partial in partials)
    count = _finish(bot, partials, _key(sources), listen)
    listen(StageDone("download", f"{new:,} new posts, {count:,} in all"))


def word_of(bot: BotDir) -> Word:
    """What was said when the bot was made; a price is agreed to anew each time."""
    said = bot.read_record().get("word") or {}
    permission = said.get("permission")
    return Word(mine=said.get("mine") is True, permission=permission or None, terms=said.get("terms") is True)


def _made_of(sources: Sequence[Source], settings: BotSettings, word: Word) -> dict[str, Any]:
    said = {"mine": word.mine, "permission": word.permission, "terms": word.terms}
    return {"settings": settings.to_json(), "sources": [source.spec for source in sources], "word": said}


def _key(sources: Iterable[Source]) -> str:
    return key_of(sorted(source.fingerprint() for source in sources))


def _known(bot: BotDir) -> tuple[frozenset[str], frozenset[str]]:
    """Ids of the posts that are here, and digests of those without an id."""
    ids, texts = set(), set()
    for post in read_posts(bot.posts):
        if post.id is not None:
            ids.add(post.id)
        else:
            texts.add(key_of(post.account, post.text))
    return frozenset(ids), frozenset(texts)


def _download(
    bot: BotDir,
    sources: Sequence[Source],
    word: Word,
    listen: Listener,
    key: str,
    known: Collection[str] = (),
    accept: Accept = lambda post: True,
) -> list[Partial]:
    """All sources into `download/`; what is there already of this very download is not fetched again."""
    for source in sources:
        consent.ask_first(source, word, bot.path.parent)
    partials = []
    for number, source in enumerate(sources):
        partial = Partial(bot.partial, number, key)
        partials.append(partial)
        if partial.done:
            continue
        one = _One(bot, source, word, listen, partial, number / len(sources), 1 / len(sources))
        try:
            one.read(known, accept)
        except ConsentError:
            discard(bot)
            raise
        except SourceError:
            if number == 0 and partial.cursor is None:  # nothing that a later run could go on from
                discard(bot)
            raise
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


@dataclass
class _One:
    """One source on its way to disk."""

    bot: BotDir
    source: Source
    word: Word
    listen: Listener
    partial: Partial
    before: float  # share of the whole download that the sources before it are
    share: float

    def read(self, known: Collection[str], accept: Accept) -> None:
        if self.partial.cursor is None:
            self.partial.start_over()
        else:
            self._tell(f"Going on after {self.partial.posts:,} posts that are here already.")
        for page in self.source.pages(self.partial.cursor, known=known, tell=self._tell):
            self._take(page, accept)
        self.partial.finish()

    def _take(self, page: Page, accept: Accept) -> None:
        if page.account is not None:
            self._meet(page.account, page.avatar)
        self.partial.add_losses(page.losses)
        self.partial.add(self._ours(filter(accept, page.posts)), page.cursor)
        values = {"posts": float(self.partial.posts)}
        if page.fraction is None:
            self.listen(Advanced("download", self.partial.posts, None, values))
        else:
            self.listen(Advanced("download", self.before + page.fraction * self.share, 1.0, values))

    def _meet(self, account: Account, avatar: bytes | None) -> None:
        """The gate, then the account as it is kept; raises ConsentRefused."""
        for note in consent.judge(account, self.source.origin, self.word, self.bot.path.parent):
            self._tell(note)
        seen = consent.signals_of(account)
        is_network = self.source.origin.kind == "network"
        said = self.word.consent(_now() if is_network else None) if is_network or self.word.is_given else None
        kept = dataclasses.replace(account, handle=self._known_handle(account), signals=seen, consent=said)
        self.partial.account = _with_avatar(self.bot, kept, avatar)

    def _known_handle(self, account: Account) -> str:
        """An account that was renamed since keeps the name that its bot knows it by."""
        for earlier in _accounts(self.bot):
            if account.id is not None and earlier.id == account.id and earlier.handle != account.handle:
                self._tell(f"@{earlier.handle} is called @{account.handle} now; the bot keeps the older name.")
                return earlier.handle
        return account.handle

    def _ours(self, posts: Iterable[Post]) -> Iterable[Post]:
        handle = self.partial.account.handle if self.partial.account else self.source.handle
        return (post if post.account == handle else dataclasses.replace(post, account=handle) for post in posts)

    def _tell(self, sentence: str) -> None:
        self.listen(Notice(sentence))


def _finish(bot: BotDir, partials: Sequence[Partial], key: str, listen: Listener) -> int:
    """Accounts and the record into place, `download/` away; returns how many posts there are."""
    for avatar in (bot.partial / bot.avatars.name).glob("*"):
        make_folder(bot.avatars)
        put_in_place(avatar, bot.avatars / avatar.name)
    accounts = {partial.account.handle: partial.account for partial in partials if partial.account}
    write_json(bot.accounts, [dataclasses.asdict(account) for account in accounts.values()])
    losses = [str(loss) for partial in partials for loss in partial.losses]
    for loss in losses:
        listen(Notice(f"{loss}.", warning=True))
    with bot.posts.open("rb") as lines:
        count = sum(1 for _ in lines)
    bot.mark_done("download", key, posts=count, losses=losses)
    discard(bot)
    return count


def _accounts(bot: BotDir) -> list[Account]:
    if not bot.accounts.exists():
        return []
    return read_as(bot.accounts, lambda records: [Account.from_json(record) for record in records])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_avatar(bot: BotDir, account: Account, avatar: bytes | None) -> Account:
    """Keeps the face that came with the account, or one drawn for it."""
    from huggingtweets.picture import draw_avatar

    picture = avatar or draw_avatar(account.name, account.handle)
    name = f"{bot_name([account.handle])}.{_image_ending(picture)}"
    write_atomically(bot.partial / bot.avatars.name / name, [picture])
    return dataclasses.replace(account, avatar=name)


def _image_ending(picture: bytes) -> str:
    endings = {b"\xff\xd8": "jpg", b"GIF8": "gif", b"RIFF": "webp"}
    return next((ending for magic, ending in endings.items() if picture.startswith(magic)), "png")


def _thousands(facts: dict[str, Any] | None, name: str) -> str:
    return f"{(facts or {}).get(name, 0):,}"
