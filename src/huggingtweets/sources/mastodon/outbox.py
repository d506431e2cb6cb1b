"""The entries of an outbox: whose they are, and which version of a post counts.

In: the entries, read twice. Out: posts, and what was left out, counted.

- The first reading learns who wrote the posts, which posts are there more than once, and which were deleted later. It
  keeps a number for each post and no text.
- Of a post that was edited only the newest version counts, whatever order they stand in; of one that was deleted, none.
- Posts by others than the outbox's owner are left out. An outbox by many is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from huggingtweets.errors import UnreadableFile
from huggingtweets.posts import Post
from huggingtweets.sources.mastodon.posts import (
    PRIVATE,
    Record,
    address_of,
    author_in,
    note_in,
    post_from_activity,
    text_in,
)
from huggingtweets.sources.tally import OTHERS, Tally
from huggingtweets.sources.values import parse_time

OWNERS_SHARE = 0.9  # of the posts are the owner's, where nothing else says who that is
MOST_AUTHORS = 10_000  # told apart

OLDER_VERSIONS = "earlier versions of posts (only the newest is used)"
DELETED = "posts that were deleted later (never used)"

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Rank = tuple[datetime, bool, int]  # when, whether it says that it is an update, place in the file


@dataclass
class Survey:
    """What the first reading learns."""

    authors: Counter[str] = field(default_factory=Counter)
    _seen: set[int] = field(default_factory=set)  # hashes of addresses; a few wrong ones cost a moment
    _repeated: set[int] = field(default_factory=set)
    _deleted: set[int] = field(default_factory=set)

    def note(self, activity: object) -> None:
        if not isinstance(activity, dict):
            return
        if text_in(activity, "type") == "Delete":
            self._deleted.add(hash(address_of(activity.get("object"))))
        elif (note := note_in(activity)) is not None:
            author, place = author_in(activity, note), hash(address_of(note.get("id")))
            if author is not None and (author in self.authors or len(self.authors) < MOST_AUTHORS):
                self.authors[author] += 1
            (self._repeated if place in self._seen else self._seen).add(place)

    def is_own(self, address: str) -> bool:
        return hash(address) in self._seen

    def is_repeated(self, address: str) -> bool:
        return hash(address) in self._repeated

    def is_deleted(self, address: str) -> bool:
        return hash(address) in self._deleted

    def owner(self, actor_id: str | None, name: str) -> str | None:
        """Whose outbox `name` is; raises UnreadableFile where nobody can tell."""
        if not self.authors or (actor_id is not None and actor_id in self.authors):
            return actor_id
        ((author, posts),) = self.authors.most_common(1)
        if posts < OWNERS_SHARE * self.authors.total():
            raise UnreadableFile(
                f"{name} holds posts by {len(self.authors)} accounts.",
                why="A bot speaks with one voice, and an outbox holds one account's posts.",
                next="pass the archive as the server made it",
            )
        return author


@dataclass
class Reading:
    """The second reading."""

    survey: Survey
    account: str
    owner: str | None
    tally: Tally
    _newest: dict[str, tuple[Rank, Post | str]] = field(default_factory=dict)  # of posts that are there repeatedly

    def posts(self, entries: Iterable[object]) -> Iterator[Post]:
        places = count()
        for entry in entries:
            note = note_in(entry) if isinstance(entry, dict) else None
            address = address_of(note.get("id")) if note else None
            found = self._read(entry, note, address)
            if address is not None and note is not None and self.survey.is_repeated(address):
                self._keep_newest(address, (_rank(entry, note, next(places))), found)
            elif (post := self._counted(found, address)) is not None:
                yield post
        for address, (_, found) in self._newest.items():
            if (post := self._counted(found, address)) is not None:
                yield post

    def _read(self, entry: object, note: Record | None, address: str | None) -> Post | str:
        if isinstance(entry, dict) and note is not None:
            author = author_in(entry, note)
            if author is not None and self.owner is not None and author != self.owner:
                return OTHERS
            if address is not None and self.survey.is_deleted(address):
                return DELETED
        return post_from_activity(entry, self.account, self.owner, self.survey.is_own)

    def _keep_newest(self, address: str, rank: Rank, found: Post | str) -> None:
        other = self._newest.get(address)
        if other is not None:
            self.tally.add(OLDER_VERSIONS, address)
        if other is None or rank >= other[0]:
            self._newest[address] = (rank, found)

    def _counted(self, found: Post | str, address: str | None) -> Post | None:
        if isinstance(found, str):
            self.tally.add(found, address or "" if found != PRIVATE else "")
            return None
        return found


def _rank(activity: object, note: Record, place: int) -> Rank:
    envelope = activity if isinstance(activity, dict) else {}
    is_update = text_in(envelope, "type") == "Update"
    times = [note.get("updated"), envelope.get("published") if is_update else None, note.get("published")]
    written = next(filter(None, map(parse_time, times)), _LONG_AGO)
    return written, is_update, place
