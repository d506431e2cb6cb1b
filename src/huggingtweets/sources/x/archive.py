"""A person's own X archive as a source: a zip, a tar or a folder, of any era, in one part or several.

In: the paths of one archive. Out: pages of posts, name, bio and face from inside, and what is missing, counted.

- Eras: `Grailbird.data.tweets_2014_03 = [...]` up to 2018; `tweet.js` in the root in 2019; elements wrapped in
  `{"tweet": ...}` from 2020; `data/tweets.js`, `data/tweets-part1.js`, ... since late 2022.
- Only what `x.parts.is_wanted` names is ever opened: posts, community posts, notes, account, profile, manifest, avatar.
- What the manifest promises and the archive does not hold is said; the rest is used.

Not covered: which files are whose (`x.parts`, `x.facts`), edits and parts that overlap (`x.reading`), posts of more
than 280 letters (`x.notes`), links (`x.text`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Post
from huggingtweets.sources.base import Origin, Page, Source, Tell, tell_nobody
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.packed.members import Members
from huggingtweets.sources.tally import Tally
from huggingtweets.sources.x.facts import Facts, facts_of, together
from huggingtweets.sources.x.parts import (
    fact_in,
    handle_from,
    is_wanted,
    is_x_archive,
    open_part,
    parts_of,
    post_files,
)
from huggingtweets.sources.x.reading import Reading

__all__ = ["XArchive", "is_x_archive", "join_parts"]

READER = 1  # raised when the same archive would give other posts than before
PAGE_POSTS = 1_000

MISSING = "posts that the archive promises and does not hold"
MISSING_FILES = "files that the archive promises and does not hold"
OTHER_PARTS = "split archive that is not here in full (pass all its parts)"
CUT_SHORT = "archive cut short or damaged (what could be read is used)"


class XArchive:
    """The posts of one account in its own archive; a `Source`."""

    def __init__(self, paths: Iterable[Path], settings: ImportSettings) -> None:
        self._paths = [part for path in paths for part in parts_of(path)]
        self._settings = settings

    @property
    def spec(self) -> str:
        return f"archive:{'|'.join(str(path.absolute()) for path in self._paths)}"

    @property
    def origin(self) -> Origin:
        return Origin("export")

    @property
    def handle(self) -> str:
        """`--handle`, else what the archive says, else its file's name; what is wrong, `pages` says."""
        return safe_handle(self._settings.handle or "") or self.told.handle or handle_from(self._paths[0])

    @property
    def is_called(self) -> bool:
        """Whether the person said whose it is."""
        return bool(safe_handle(self._settings.handle or ""))

    @property
    def told(self) -> Facts:
        """What the archive says of itself; nothing, where something is wrong with it."""
        try:
            return self._facts
        except SourceError:
            return Facts()

    @property
    def post_files(self) -> frozenset[str]:
        return frozenset(name for path in self._paths for name in post_files(path))

    def joined(self, other: XArchive) -> XArchive:
        """Both as one archive: they are of one account."""
        paths = {path.absolute(): path for path in (*self._paths, *other._paths)}
        return XArchive(paths.values(), self._settings)

    def fingerprint(self) -> str:
        """Over the names, sizes and checksums of what is read; media may be gigabytes and do not matter."""
        settings = (READER, self.handle, self._settings.display_name, self._settings.avatar)
        digest = hashlib.sha256(repr((*settings, self._settings.community_posts)).encode("utf-8", "replace"))
        for path in self._paths:
            with open_part(path, is_wanted) as members:
                digest.update("\n".join((*members.stamps, str(members.cut_short))).encode("utf-8", "replace"))
        return digest.hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then all posts in the order of the files, a thousand a page; always from the beginning."""
        facts, chosen, tally = self._facts, self._settings.avatar, Tally()
        reading = Reading(self.handle, facts.id, facts.handle or None, tally, self._settings.community_posts)
        with contextlib.ExitStack() as stack:
            parts = [stack.enter_context(open_part(path, is_wanted)) for path in self._paths]
            avatar = read_avatar(chosen) if chosen else facts.avatar_in(parts)
            yield Page(account=facts.account_as(self.handle, self._settings.display_name), avatar=avatar, fraction=0.0)
            for batch in _batches(reading.posts(parts, facts.circle_posts)):
                yield Page(posts=tuple(batch), losses=tally.take(), fraction=reading.fraction)
            self._check(reading, parts)
            yield Page(losses=tally.take(), fraction=1.0)

    def _check(self, reading: Reading, parts: Sequence[Members]) -> None:
        """What the archive promises, against what was there; raises UnreadableFile when there is nothing."""
        cut_short = any(part.cut_short for part in parts)
        if not any(reading.files.values()):
            raise self._nothing(reading, cut_short)
        if cut_short:
            reading.tally.add(CUT_SHORT)
        promised = self._facts.promised
        is_whole = bool(promised)
        for name, elements in promised.items():
            if not self._settings.community_posts and "community" in name:
                continue
            if elements and name not in reading.files:
                reading.tally.add(MISSING_FILES, name)
            if (lacking := elements - reading.files.get(name, 0)) > 0:
                reading.tally.add(MISSING, name, lacking)
                is_whole = False
        if self._facts.is_partial and not is_whole:
            reading.tally.add(OTHER_PARTS)

    def _nothing(self, reading: Reading, cut_short: bool) -> UnreadableFile:
        if reading.damage:
            why = f"What should hold them is not the JSON that X writes ({reading.damage})."
        elif reading.files:
            why = "Its files of posts are empty."
        else:
            why = "No tweets.js is in it. An archive that was split into several zips has it in one of them."
        return UnreadableFile(
            f"There are no posts in {self._paths[0]}.",
            why=f"{why} The archive is cut short or damaged." if cut_short else why,
            next="pass the archive as it was downloaded, in all its parts, or ask X for it again",
        )

    @cached_property
    def _facts(self) -> Facts:
        found = []
        for path in self._paths:
            with open_part(path, lambda name: fact_in(name) is not None) as part:
                found += facts_of(part)
        return together(found, str(self._paths[0] if len(self._paths) == 1 else self._paths[0].parent))


def _batches(posts: Iterable[Post]) -> Iterator[list[Post]]:
    batch: list[Post] = []
    for post in posts:
        batch.append(post)
        if len(batch) == PAGE_POSTS:
            yield batch
            batch = []
    if batch:
        yield batch


def join_parts(sources: Sequence[Source]) -> list[Source]:
    """Parts of one X archive as one source, other sources as they are.

    Parts belong together when they name the same account, or `--handle` names it for all. One that names nobody
    belongs to the only archive that does, unless both hold a file of the same name: then it is one of its own.
    """
    found: list[Source] = []
    for source in sorted(sources, key=lambda one: isinstance(one, XArchive) and not one.told.is_named):
        home = _home_of(source, found) if isinstance(source, XArchive) else None
        if isinstance(source, XArchive) and home is not None:
            found[found.index(home)] = home.joined(source)
        else:
            found.append(source)
    return found


def _home_of(part: XArchive, found: Sequence[Source]) -> XArchive | None:
    archives = [other for other in found if isinstance(other, XArchive)]
    if part.is_called:
        return archives[0] if archives else None
    named = [other for other in archives if other.told.is_named]
    if part.told.is_named:
        return next((other for other in named if other.told.is_of(part.told)), None)
    is_part = len(named) == 1 and named[0].post_files.isdisjoint(part.post_files)
    return named[0] if is_part else None
