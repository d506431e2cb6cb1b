"""A file as a source: CSV and its relatives, JSON, JSONL, Parquet or plain text, gzipped or not.

In: a path and the `ImportSettings`. Out: pages of posts by one author, and everything that could not be used, counted.

- A file is read twice: once to learn whose posts it holds and whether it marks reposts, once for the posts. So memory
  does not grow with the file, and a wrong file is refused before the first post.
- `RT @name: ` makes a repost only where nothing in the whole file marks reposts; where something does, an unmarked one
  was typed by hand, and cleaning decides.
- Posts plus the losses in `tally.WHOLE_POSTS` are the rows of the file. Duplicates are kept here; `dataset` drops them.

Not covered: archives and other networks' exports, which are recognised and refused (see `opening` and `shapes`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import html
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources.authors import Author
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.formats import Format, find_format, no_text_column
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.opening import FileBytes, translated_errors
from huggingtweets.sources.shapes import Found, Unusable, foreign_network, posts_in
from huggingtweets.sources.tally import CUT_SHORT, OTHERS, Tally

READER = 1  # raised when the same file would give other posts than before
PAGE_POSTS = 1_000
MOST_AUTHORS = 10_000  # told apart; a file with more is no one's timeline
MOST_KEYS = 100  # shown when none of them holds text

_REPOST_PREFIX = re.compile(r"RT @\w+:")
_FILE_ENDINGS = frozenset(
    (".csv", ".tsv", ".tab", ".psv", ".json", ".jsonl", ".ndjson", ".txt", ".text", ".parquet", ".pq", ".gz")
)


@dataclass
class _AuthorSeen:
    author: Author
    posts: int = 0


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

    format: Format
    account: Account
    author: str | None  # key of the one whose posts are taken; None when the file names nobody
    takes_unnamed: bool  # whether posts without an author are theirs
    tells_reposts: bool


class FileSource:
    """The posts of one account in a file; a `Source`."""

    def __init__(self, path: Path, settings: ImportSettings) -> None:
        self._path = path
        self._settings = settings
        self._file = FileBytes(path)

    @property
    def spec(self) -> str:
        return f"file:{self._path.absolute()}"

    @property
    def handle(self) -> str:
        """`--handle`, else the one author whom the file names, else the file's name; what is wrong, `pages` says."""
        if handle := safe_handle(self._settings.handle or ""):
            return handle
        try:
            return self._plan.account.handle
        except SourceError:
            return safe_handle(self._settings.author or "") or handle_from(self._path)

    def fingerprint(self) -> str:
        """SHA-256 over the content, the settings, and the avatar's content rather than its path."""
        settings = dataclasses.asdict(self._settings) | {"avatar": None, "handle": self.handle}
        digest = hashlib.sha256(repr((READER, sorted(settings.items()))).encode("utf-8", "replace"))
        for path in [self._path] + ([Path(self._settings.avatar)] if self._settings.avatar else []):
            with translated_errors(path), path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @property
    def origin(self) -> Origin:
        return Origin("file")

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """All posts, in the file's order, up to a thousand a page; always from the beginning."""
        avatar = read_avatar(self._settings.avatar) if self._settings.avatar else None
        plan = self._plan
        tally = Tally()
        for loss in plan.format.encoding.losses:
            tally.add(loss.what, loss.example, loss.count)
        page = Page(account=plan.account, avatar=avatar)
        batch: list[Post] = []
        for post in self._posts(plan, tally):
            batch.append(post)
            if len(batch) == PAGE_POSTS:
                fraction = plan.format.fraction
                yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=fraction)
                page, batch = Page(), []
        if self._file.cut_short:
            tally.add(CUT_SHORT)
        yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=1.0)

    def _posts(self, plan: _Plan, tally: Tally) -> Iterator[Post]:
        for found in self._found(plan.format, tally):
            if isinstance(found, Unusable):
                tally.add(found.what, found.example)
            elif not _is_wanted(found, plan):
                tally.add(OTHERS, found.author.handle or found.author.key if found.author else "")
            else:
                for what, example in found.details_lost:
                    tally.add(what, example)
                yield _post(found, plan)

    def _found(self, format: Format, tally: Tally) -> Iterator[Found | Unusable]:
        is_json = format.kind in ("json", "json lines")
        for value in format.values(self._settings, tally):
            if is_json and (network := foreign_network(value)):
                raise UnreadableFile(
                    f"{self._path} is an export from {network}, which this version does not read.",
                    next="save the posts as a CSV with a column named text, and pass that",
                )
            yield from posts_in(value, self._settings.text_column)

    @cached_property
    def _plan(self) -> _Plan:
        format = find_format(self._file, self._settings)
        survey = self._survey(format)
        if not survey.posts:
            raise self._no_posts(format, survey)
        chosen = _choose_author(survey, self._settings, self._path)
        return _Plan(
            format,
            account=self._account(chosen.author if chosen else None),
            author=chosen.author.key if chosen else None,
            takes_unnamed=len(survey.authors) <= 1,
            tells_reposts=survey.tells_reposts,
        )

    def _survey(self, format: Format) -> _Survey:
        survey = _Survey()
        wanted = _name_key(self._settings.author)
        for found in self._found(format, survey.losses):
            if isinstance(found, Unusable):
                survey.losses.add(found.what, found.example)
                if len(survey.keys) < MOST_KEYS:
                    survey.keys.update(dict.fromkeys(found.keys))
                continue
            survey.posts += 1
            survey.tells_reposts |= found.tells_reposts
            author = found.author
            if author and (len(survey.authors) < MOST_AUTHORS or _is_called(author, wanted)):
                seen = survey.authors.setdefault(author.key, _AuthorSeen(author))
                seen.posts += 1
                if author.handle:  # the last page's profile is the newest
                    seen.author = author
        return survey

    def _no_posts(self, format: Format, survey: _Survey) -> UnreadableFile:
        losses = survey.losses.take()
        if survey.keys and not format.columns:
            return no_text_column(self._file, survey.keys, self._settings)
        if format.columns and not losses:
            return UnreadableFile(
                f"{self._path} has a header and no rows.",
                why=f"Columns seen: {', '.join(format.columns[:30])}.",
                next="export the posts again",
            )
        return UnreadableFile(
            f"There are no posts in {self._path}.",
            why=f"It holds {', '.join(map(str, losses))}." if losses else "",
            next="check that it is the file you meant",
        )

    def _account(self, author: Author | None) -> Account:
        """What the user says goes before what the file says, and that before the file's name."""
        settings = self._settings
        written = (author.handle if author else None) or ""
        handle = safe_handle(settings.handle or written or settings.author or "") or handle_from(self._path)
        name = author.display_name if author else None
        if not name and written and safe_handle(written) != written:
            name = written  # a column of full names
        return Account(
            handle=handle,
            platform="file",
            display_name=settings.display_name or (html.unescape(name) if name else None),
            bio=html.unescape(author.bio) if author and author.bio else None,
            protected=author.protected if author else False,
        )


def _is_wanted(found: Found, plan: _Plan) -> bool:
    if plan.author is None:
        return True
    return found.author.key == plan.author if found.author else plan.takes_unnamed


def _post(found: Found, plan: _Plan) -> Post:
    is_unmarked_repost = not plan.tells_reposts and _REPOST_PREFIX.match(found.text)
    return Post(
        text=found.text,
        account=plan.account.handle,
        id=found.id,
        created_at=found.created_at,
        kind="repost" if is_unmarked_repost else found.kind,
        lang=found.lang,
        html_escaped=True,  # exports write what X's API gave them, and that escapes & < >
    )


def _choose_author(survey: _Survey, settings: ImportSettings, path: Path) -> _AuthorSeen | None:
    """The one that was asked for, or the only one; raises UnreadableFile when that is not clear."""
    authors = sorted(survey.authors.values(), key=lambda seen: -seen.posts)
    if settings.author is None:
        if len(authors) > 1:
            raise UnreadableFile(
                f"{path} holds posts by {len(authors)} accounts: {_listed(authors)}.",
                why="A bot speaks with one voice.",
                next=f"choose one, for instance --author {_called(authors[0].author)}",
            )
        return authors[0] if authors else None
    chosen = [seen for seen in authors if _is_called(seen.author, _name_key(settings.author))]
    if len(chosen) == 1:
        return chosen[0]
    raise UnreadableFile(
        f"{path} holds {len(chosen) or 'no'} accounts called {settings.author}.",
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
    return wanted is not None and wanted in (author.key.casefold(), _name_key(author.handle))


def _name_key(name: str | None) -> str | None:
    return name.strip().removeprefix("@").casefold() if name else None


def handle_from(path: Path) -> str:
    """
    >>> handle_from(Path("exports/My posts.csv.gz"))
    'My_posts'
    """
    name = path.name
    while Path(name).suffix.lower() in _FILE_ENDINGS:
        name = Path(name).stem
    return safe_handle(name) or "posts"
