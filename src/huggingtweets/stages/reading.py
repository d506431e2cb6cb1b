"""One source on its way to disk: past the gate, under the name its bot knows it by, without what is here already.

In: a source, and what was said. Out: its `Partial`, whole.

- The gate is asked for every account that a page brings, and again when another run goes on: somebody may have been
  forgotten since, or somebody else be sitting at the keyboard.
- A renamed account keeps its older name: the posts of a bot are told apart by it.

Not covered: how a partial download lies on disk (`partial`), and putting it in place (`downloading`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from huggingtweets import consent
from huggingtweets.botdir import BotDir, bot_name, key_of, read_as, write_atomically
from huggingtweets.consent import Word
from huggingtweets.errors import SettingsError
from huggingtweets.posts import Account, Consent, Post, read_posts
from huggingtweets.reports import Advanced, Listener, Notice
from huggingtweets.sources import account_named
from huggingtweets.sources.base import Page, Source
from huggingtweets.stages.partial import Partial


@dataclass(frozen=True)
class Known:
    """The posts that are here: by id, which tells apart the posts of one account only, else by digest."""

    accounts: Sequence[Account] = ()
    ids: Mapping[str, Set[str]] = field(default_factory=dict)  # by handle
    texts: Set[str] = frozenset()

    @classmethod
    def of(cls, bot: BotDir) -> Known:
        ids: dict[str, set[str]] = {}
        texts: set[str] = set()
        for post in read_posts(bot.posts):
            if post.id is not None:
                ids.setdefault(post.account, set()).add(post.id)
            else:
                texts.add(key_of(post.account, post.text))
        return cls(accounts_of(bot), ids, texts)

    def ids_for(self, source: Source, number: int, sources: int) -> Set[str]:
        """Of the account behind a source: the one of its name, else the one in its place."""
        wanted = {source.handle.casefold(), account_named(source.spec)}
        named = [account for account in self.accounts if not wanted.isdisjoint(consent.names_of(account))]
        if not named and len(self.accounts) == sources:
            named = [self.accounts[number]]
        return self.ids.get(named[0].handle, frozenset()) if named else frozenset()

    def has(self, post: Post) -> bool:
        if post.id is not None:
            return post.id in self.ids.get(post.account, ())
        return bool(self.texts) and key_of(post.account, post.text) in self.texts


NOTHING_KNOWN = Known()


@dataclass
class Reading:
    """One source on its way to disk."""

    bot: BotDir
    source: Source
    word: Word
    listen: Listener
    partial: Partial
    others: Sequence[Partial]  # of the sources before it
    known: Known
    before: float  # share of the whole download that the sources before it are
    share: float

    def read(self, ids: Set[str]) -> None:
        if self.partial.account is not None and (self.partial.done or self.partial.cursor is not None):
            self._meet_again(self.partial.account)
        if self.partial.done:
            return
        if self.partial.cursor is None:
            self.partial.start_over()
        else:
            self._tell(f"Going on after {self.partial.posts:,} posts that are here already.")
        for page in self.source.pages(self.partial.cursor, known=ids, tell=self._tell):
            self._take(page)
        self.partial.finish()

    def _take(self, page: Page) -> None:
        if page.account is not None:
            self._meet(page.account, page.avatar)
        self.partial.add_losses(page.losses)
        self.partial.add((post for post in self._ours(page.posts) if not self.known.has(post)), page.cursor)
        values = {"posts": float(self.partial.posts)}
        if page.fraction is None:
            self.listen(Advanced("download", self.partial.posts, None, values))
        else:
            self.listen(Advanced("download", self.before + page.fraction * self.share, 1.0, values))

    def _meet(self, account: Account, avatar: bytes | None) -> None:
        """The gate, then the account as it is kept; raises ConsentRefused."""
        for note in self._judged(account):
            self._tell(note)
        handle, seen = self._known_handle(account), consent.signals_of(account)
        kept = dataclasses.replace(account, handle=handle, signals=seen, consent=self._said(_now()))
        self._refuse_twice(kept)
        self.partial.account = _with_avatar(self.bot, kept, avatar)

    def _meet_again(self, account: Account) -> None:
        """In a later run: somebody may have been forgotten since, or somebody else be sitting at the keyboard."""
        self._judged(account)
        fetched_at = account.consent.fetched_at if account.consent else None
        self.partial.account = dataclasses.replace(account, consent=self._said(fetched_at))

    def _judged(self, account: Account) -> list[str]:
        return consent.judge(account, self.source.origin, self.word, self.bot.path.parent)

    def _said(self, moment: str | None) -> Consent | None:
        is_network = self.source.origin.kind == "network"
        return self.word.consent(moment if is_network else None) if is_network or self.word.is_given else None

    def _refuse_twice(self, account: Account) -> None:
        """Two names of one account may only turn out to be that on the way."""
        same = (other.account for other in self.others if other.account)
        if any(not consent.names_of(account).isdisjoint(consent.names_of(other)) for other in same):
            raise SettingsError(f"Two of the sources are of one account, @{account.handle}.", next="name it once")

    def _known_handle(self, account: Account) -> str:
        """An account that was renamed since keeps the name that its bot knows it by."""
        identity = consent.identity_of(account)
        for earlier in accounts_of(self.bot) if identity is not None else ():
            if consent.identity_of(earlier) == identity and earlier.handle != account.handle:
                self._tell(f"@{earlier.handle} is called @{account.handle} now; the bot keeps the older name.")
                return earlier.handle
        return account.handle

    def _ours(self, posts: Iterable[Post]) -> Iterator[Post]:
        handle = self.partial.account.handle if self.partial.account else self.source.handle
        return (post if post.account == handle else dataclasses.replace(post, account=handle) for post in posts)

    def _tell(self, sentence: str) -> None:
        self.listen(Notice(sentence))


def accounts_of(bot: BotDir) -> list[Account]:
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
