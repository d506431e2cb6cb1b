"""One account's posts out of rows of any origin: a file's, a dataset's, or standard input's.

In: rows that can be read more than once, and the `ImportSettings`. Out: the account, then pages of its posts, and
everything that could not be used, counted.

- The rows are read twice: once to learn whose posts they are and whether they mark reposts, once for the posts. So
  memory does not grow with them, and wrong rows are refused before the first post.
- `RT @name: ` makes a repost only where nothing in all the rows marks reposts; where something does, an unmarked one
  was typed by hand, and cleaning decides.
- Posts plus the losses in `tally.WHOLE_POSTS` and posts that are not public are the rows. Duplicates are kept here;
  `dataset` drops them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

from huggingtweets.config import ImportSettings
from huggingtweets.errors import UnreadableFile
from huggingtweets.escaping import unescaped
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Page
from huggingtweets.sources.files.answers import account_of
from huggingtweets.sources.files.authors import Author
from huggingtweets.sources.files.found import Found, Read, Unusable
from huggingtweets.sources.files.shapes import posts_in
from huggingtweets.sources.identity import safe_handle
from huggingtweets.sources.tally import OTHERS, Tally

PAGE_POSTS = 1_000
MOST_AUTHORS = 10_000  # told apart; rows by more are no one's timeline
MOST_KEYS = 100  # shown when none of them holds text

_REPOST_PREFIX = re.compile(r"RT @\w+:")


class Rows(Protocol):
    """What a timeline is read from."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a table, as they stand there; none where every row has its own."""

    @property
    def fraction(self) -> float | None:
        """How much has been read, 0 to 1, where known."""

    def values(self, tally: Tally) -> Iterator[object]:
        """Everything, from the beginning each time; raises SourceError."""


@dataclass
class _AuthorSeen:
    author: Author
    posts: int = 0

    def meet(self, author: Author) -> None:
        """The last page's profile is the newest; what it leaves out an earlier one may have said."""
        if author.profile is not None and author.profile != self.author.profile:
            author = dataclasses.replace(author, profile={**(self.author.profile or {}), **author.profile})
        if author.handle or not self.author.handle:
            self.author = author


@dataclass
class _Survey:
    """What the first reading learns."""

    posts: int = 0
    authors: dict[str, _AuthorSeen] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)  # of the records without text, in order
    tells_reposts: bool = False
    losses: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class _Plan:
    """What the second reading follows."""

    account: Account
    author: str | None  # key of the one whose posts are taken; None when the rows name nobody
    takes_unnamed: bool  # whether posts without an author are theirs
    tells_reposts: bool


@dataclass
class Timeline:
    """The posts of one account in some rows."""

    rows: Rows
    settings: ImportSettings
    fallback: str  # the handle where nobody says one
    platform: str = "file"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def account(self) -> Account:
        """Whose posts these are; reads all rows once. Raises SourceError."""
        return self._plan.account

    def pages(self, first: Page, tally: Tally) -> Iterator[Page]:
        """All posts in the order of the rows, up to a thousand a page; `first` is what the first page holds besides."""
        page, batch = first, list[Post]()
        for post in self._posts(self._plan, tally):
            batch.append(post)
            if len(batch) == PAGE_POSTS:
                yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=self.rows.fraction)
                page, batch = Page(), []
        yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=1.0)

    def _posts(self, plan: _Plan, tally: Tally) -> Iterator[Post]:
        for found in self._read(tally):
            if isinstance(found, Unusable):
                tally.add(found.what, found.example)
            elif isinstance(found, Found) and not _is_wanted(found, plan):
                tally.add(OTHERS, found.author.handle or found.author.key if found.author else "")
            elif isinstance(found, Found):
                for what, example in found.details_lost:
                    tally.add(what, example)
                yield _post(found, plan)

    def _read(self, tally: Tally) -> Iterator[Read]:
        now = self.now()
        for value in self.rows.values(tally):
            yield from posts_in(value, self.settings.text_column, now)

    @cached_property
    def _plan(self) -> _Plan:
        survey = self._survey()
        if not survey.posts:
            raise self._no_posts(survey)
        chosen = _choose_author(survey, self.settings, self.rows.name)
        return _Plan(
            account=self._account(chosen.author if chosen else None),
            author=chosen.author.key if chosen else None,
            takes_unnamed=sum(seen.posts > 0 for seen in survey.authors.values()) <= 1,
            tells_reposts=survey.tells_reposts,
        )

    def _survey(self) -> _Survey:
        survey = _Survey()
        wanted = _name_key(self.settings.author)
        for found in self._read(survey.losses):
            if isinstance(found, Unusable):
                survey.losses.add(found.what, found.example)
                if len(survey.keys) < MOST_KEYS:
                    survey.keys.update(dict.fromkeys(found.keys))
                continue
            author = found.author
            if author and (len(survey.authors) < MOST_AUTHORS or _is_called(author, wanted)):
                seen = survey.authors.setdefault(author.key, _AuthorSeen(author))
                seen.meet(author)
                seen.posts += isinstance(found, Found)
            if isinstance(found, Found):
                survey.posts += 1
                survey.tells_reposts |= found.tells_reposts
        return survey

    def _no_posts(self, survey: _Survey) -> UnreadableFile:
        losses = survey.losses.take()
        if survey.keys and not self.rows.columns:
            return no_text_column(self.rows.name, survey.keys, self.settings)
        if self.rows.columns and not losses:
            return UnreadableFile(
                f"{self.rows.name} has a header and no rows.",
                why=f"Columns seen: {', '.join(self.rows.columns[:30])}.",
                next="export the posts again",
            )
        return UnreadableFile(
            f"There are no posts in {self.rows.name}.",
            why=f"It holds {', '.join(map(str, losses))}." if losses else "",
            next="check that it is what you meant",
        )

    def _account(self, author: Author | None) -> Account:
        """What the user says goes before what the rows say, and that before their name."""
        settings = self.settings
        written = (author.handle if author else None) or ""
        handle = safe_handle(settings.handle or written or settings.author or "") or self.fallback
        if author is not None and author.network is not None:
            account = account_of(author, handle)
            return dataclasses.replace(account, display_name=settings.display_name or account.display_name)
        name = author.display_name if author else None
        if not name and written and safe_handle(written) != written:
            name = written  # a column of full names
        return Account(
            handle=handle,
            platform=self.platform,
            display_name=settings.display_name or (unescaped(name) if name else None),
            bio=unescaped(author.bio) if author and author.bio else None,
            protected=author.protected if author else False,
        )


def _is_wanted(found: Found, plan: _Plan) -> bool:
    if plan.author is None:
        return True
    return found.author.key == plan.author if found.author else plan.takes_unnamed


def _post(found: Found, plan: _Plan) -> Post:
    is_unmarked_repost = not plan.tells_reposts and _REPOST_PREFIX.match(found.post.text)
    kind = "repost" if is_unmarked_repost else found.post.kind
    return dataclasses.replace(found.post, account=plan.account.handle, kind=kind)


def _choose_author(survey: _Survey, settings: ImportSettings, name: str) -> _AuthorSeen | None:
    """The one that was asked for, or the only one; raises UnreadableFile when that is not clear."""
    authors = sorted((seen for seen in survey.authors.values() if seen.posts), key=lambda seen: -seen.posts)
    if settings.author is None:
        if len(authors) > 1:
            raise UnreadableFile(
                f"{name} holds posts by {len(authors)} accounts: {_listed(authors)}.",
                why="A bot speaks with one voice.",
                next=f"choose one, for instance --author {_called(authors[0].author)}",
            )
        return authors[0] if authors else None
    chosen = [seen for seen in authors if _is_called(seen.author, _name_key(settings.author))]
    if len(chosen) == 1:
        return chosen[0]
    raise UnreadableFile(
        f"{name} holds {len(chosen) or 'no'} accounts called {settings.author}.",
        why=f"It holds posts by {_listed(authors)}." if authors else "It does not say who wrote its posts.",
        next="choose one of these with --author" if authors else "leave --author away, or use --handle",
    )


def _listed(authors: list[_AuthorSeen]) -> str:
    """
    >>> _listed([_AuthorSeen(Author("nasa", "NASA"), 12)])
    'NASA (12)'
    """
    shown = ", ".join(f"{_called(seen.author)} ({seen.posts})" for seen in authors[:10])
    return shown + (f" and {len(authors) - 10} more" if len(authors) > 10 else "")


def _called(author: Author) -> str:
    return author.handle or author.key


def _is_called(author: Author, wanted: str | None) -> bool:
    """By key, handle, or a handle without its server."""
    handle = _name_key(author.handle)
    return wanted is not None and wanted in (author.key.casefold(), handle, (handle or "").partition("@")[0] or None)


def _name_key(name: str | None) -> str | None:
    return name.strip().removeprefix("@").casefold() if name else None


def no_text_column(name: str, columns: Iterable[str], settings: ImportSettings) -> UnreadableFile:
    """For rows of which none has a text in a column we know."""
    seen = list(columns)
    shown = ", ".join(seen[:30]) + (f" and {len(seen) - 30} more" if len(seen) > 30 else "")
    what = (
        f"{name} has no column {settings.text_column!r}."
        if settings.text_column
        else f"No column of {name} is known to hold the posts."
    )
    return UnreadableFile(
        what,
        why=f"Columns seen: {shown or 'none'}. If these are not names, the file lacks a first line that names them.",
        next="name the column with --text-column",
    )
