"""X's long posts (`note-tweet.js`), joined to the short ones that stand for them.

In: notes, then tweets one by one. Out: the note that a tweet is the beginning of; at the end, the notes nobody took.

- A note's id is not its tweet's id. Where an export names the tweet, that counts. Else the tweet's text, without the
  `…` and the links at its end, begins the note's, and both are of the same second; or of the same hour, if the tweet
  was cut or says all that the note says. Of several such notes the nearest in time is taken.
- A note is taken once. One that no tweet begins may be a post of its own, under its own id.
- Notes are few even in large archives, so they are kept in memory; what is beyond `MOST_CHARACTERS` is counted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from huggingtweets.escaping import unescaped
from huggingtweets.posts import Kind, Post
from huggingtweets.sources.values import parse_id, parse_time, plain
from huggingtweets.sources.x.posts import time_of_id
from huggingtweets.sources.x.text import apply_links, links_of

KEY_LETTERS = 30  # truncated posts have some 275
SAME = timedelta(seconds=2)  # the two are written in one second, or on both sides of its end
NEAR = timedelta(hours=1)  # within which a post may be edited
MOST_CHARACTERS = 1 << 27  # of all notes together, with what it takes to keep one
NOTE_CHARACTERS = 300

_LINK = re.compile(r"https?://t\.co/\w+")
_LEADING_MENTIONS = re.compile(r"(?:@\w+ )+")


@dataclass(frozen=True, slots=True)
class Note:
    """One long post."""

    id: str | None
    tweet_id: str | None
    words: str  # the text, white space collapsed: what tweets are compared with
    text: str  # links written out
    quotes: bool
    created_at: datetime | None

    def as_post(self, account: str) -> Post:
        kind: Kind = "quote" if self.quotes else "original"
        return Post(self.text, account, id=self.id, created_at=self.created_at, kind=kind, html_escaped=False)


class Notes:
    """All notes of an archive."""

    def __init__(self, elements: Iterable[object]) -> None:
        self.unread = 0  # notes beyond what is kept in memory
        self._left: dict[int, Note] = {}
        self._by_tweet: dict[str, list[int]] = defaultdict(list)
        self._by_key: dict[str, list[int]] = defaultdict(list)
        characters, ids = 0, set()
        for note in filter(None, map(_note, elements)):
            if note.id is not None and note.id in ids:  # in two parts of the archive
                continue
            ids.add(note.id)
            characters += len(note.text) + NOTE_CHARACTERS
            if characters > MOST_CHARACTERS:
                self.unread += 1
                continue
            self._add(note)

    def _add(self, note: Note) -> None:
        number = len(self._left)
        self._left[number] = note
        if note.tweet_id is not None:
            self._by_tweet[note.tweet_id].append(number)
        else:
            self._by_key[_beginning(note.words)[0][:KEY_LETTERS]].append(number)

    def take(self, tweet_ids: Iterable[str | None], escaped_text: str, created_at: datetime | None) -> Note | None:
        """The note that a tweet is the beginning of; the ids are its own and that of its first version."""
        if not self._left:
            return None
        short, is_cut = _beginning(unescaped(escaped_text))
        named = [number for id in tweet_ids for number in self._by_tweet.get(id or "", ()) if number in self._left]
        number = self._nearest(named, short, created_at) if named else self._beginning_with(short, is_cut, created_at)
        if number is None and (mentions := _LEADING_MENTIONS.match(short)):
            number = self._beginning_with(short[mentions.end() :], is_cut, created_at)
        return self._left.pop(number) if number is not None else None

    def _nearest(self, numbers: Iterable[int], short: str, created_at: datetime | None) -> int:
        """Of the notes that name the tweet, one for each of its versions."""

        def rank(number: int) -> tuple[bool, timedelta]:
            note = self._left[number]
            return not note.words.startswith(short), _distance(note.created_at, created_at)

        return min(numbers, key=rank)

    def _beginning_with(self, short: str, is_cut: bool, created_at: datetime | None) -> int | None:
        near = []
        for number in self._by_key.get(short[:KEY_LETTERS], ()) if short else ():
            note = self._left.get(number)
            if note is None or not note.words.startswith(short):
                continue
            distance = _distance(note.created_at, created_at)
            says_all = _beginning(note.words)[0] == short
            if distance <= (NEAR if is_cut or says_all else SAME):
                near.append((distance, number))
        return min(near)[1] if near else None

    def left(self) -> Iterator[Note]:
        """The notes that no tweet begins."""
        yield from self._left.values()


def _beginning(text: str) -> tuple[str, bool]:
    """Without the links and the … at its end, white space collapsed; and whether there was a ….

    >>> _beginning("Flour, water and…\\n https://t.co/a https://t.co/b")
    ('Flour, water and', True)
    """
    words = text.split()
    while words and _LINK.fullmatch(words[-1]):
        words.pop()
    joined = " ".join(words)
    before, mark, after = joined.rpartition("…")
    return (before.rstrip(), True) if mark and (not after or _LINK.fullmatch(after)) else (joined, False)


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
    note_id = parse_id(holder.get("noteTweetId"))
    tweet_id = parse_id(holder.get("tweetId") or _dict(holder.get("lifecycle")).get("initialTweetId"))
    raw = plain(raw)
    text, quotes = apply_links(raw, links_of(core, results), escaped=False, own_id=tweet_id)
    created_at = parse_time(holder.get("createdAt")) or time_of_id(note_id)
    return Note(note_id, tweet_id, " ".join(raw.split()), text, quotes, created_at)


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
