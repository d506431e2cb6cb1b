"""X's long posts (`note-tweet.js`), joined to the short ones that stand for them.

In: notes, then tweets one by one. Out: the note that a tweet is the beginning of; at the end, the notes nobody took.

- A note's id is not its tweet's id. Some exports name the tweet; else the tweet's text, without its `…`, is the
  beginning of the note's, and the two are written within an hour; of several such notes the nearest in time is taken.
- A note is taken once. One that no tweet begins is a post of its own.
- Notes are few even in large archives, so they are kept in memory.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from huggingtweets.posts import Post
from huggingtweets.sources.authors import plain
from huggingtweets.sources.values import parse_id, parse_time
from huggingtweets.sources.x_text import apply_links, links_of

KEY_LETTERS = 30  # truncated posts have some 275
NEAR = timedelta(hours=1)

_CUT = re.compile(r"\s*…?(?:\s*https://t\.co/\w+)?\s*$")
_LEADING_MENTIONS = re.compile(r"(?:@\w+\s+)+")


@dataclass(frozen=True)
class Note:
    """One long post."""

    id: str | None
    tweet_id: str | None
    raw: str
    text: str  # links written out
    created_at: datetime | None

    def as_post(self, account: str) -> Post:
        return Post(self.text, account, id=self.id, created_at=self.created_at, html_escaped=False)


class Notes:
    """All notes of an archive."""

    def __init__(self, elements: Iterable[object]) -> None:
        self._left: dict[int, Note] = dict(enumerate(filter(None, map(_note, elements))))
        self._by_tweet = {note.tweet_id: number for number, note in self._left.items() if note.tweet_id}
        self._by_key: dict[str, list[int]] = defaultdict(list)
        for number, note in self._left.items():
            self._by_key[note.raw[:KEY_LETTERS]].append(number)

    def take(self, tweet_id: str | None, escaped_text: str, created_at: datetime | None) -> Note | None:
        """The note that this tweet is the beginning of."""
        if not self._left:
            return None
        number = self._by_tweet.get(tweet_id) if tweet_id else None
        if number is None:
            short = _CUT.sub("", html.unescape(escaped_text))
            number = self._beginning_with(short, created_at)
            if number is None and (mentions := _LEADING_MENTIONS.match(short)):
                number = self._beginning_with(short[mentions.end() :], created_at)
        return self._left.pop(number, None) if number is not None else None

    def _beginning_with(self, short: str, created_at: datetime | None) -> int | None:
        if not short:
            return None
        near = [
            (_distance(note.created_at, created_at), number)
            for number in self._by_key.get(short[:KEY_LETTERS], ())
            if (note := self._left.get(number)) and note.raw.startswith(short)
        ]
        distance, number = min(near, default=(NEAR + NEAR, None))
        return number if distance <= NEAR else None

    def left(self) -> Iterator[Note]:
        """The notes that no tweet begins."""
        yield from self._left.values()


def _distance(one: datetime | None, other: datetime | None) -> timedelta:
    return abs(one - other) if one is not None and other is not None else NEAR


def _note(element: object) -> Note | None:
    holder = element.get("noteTweet", element) if isinstance(element, dict) else None
    if not isinstance(holder, dict):
        return None
    core, results = _dict(holder.get("core")), _dict(holder.get("noteTweetResults"))
    raw = core.get("text") or results.get("text") or holder.get("text")
    if not isinstance(raw, str) or not raw.strip():
        return None
    raw = plain(raw)
    lifecycle = _dict(holder.get("lifecycle"))
    return Note(
        id=parse_id(holder.get("noteTweetId")),
        tweet_id=parse_id(holder.get("tweetId") or lifecycle.get("initialTweetId")),
        raw=raw,
        text=apply_links(raw, links_of(core, results), escaped=False)[0],
        created_at=parse_time(holder.get("createdAt")),
    )


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
