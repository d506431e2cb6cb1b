"""What is left out or joined because the user asked for it. The defaults leave out posts behind a warning, no others.

In: posts that are the account's own words. Out: their clean texts, or a reason; threads joined into one text.

- What a post does not say can't be held against it: unknown likes and an unknown language stay. Only a span of time
  leaves out what has no time, because otherwise the whole of an undated file would pass for any year.
- Answers to oneself are the account's own threads and no replies, unless the thread began as an answer to another.
  An export that names only the post that was answered tells so too, if that post is in it.
- A thread is a post and the earliest answer that the account gave to it, and so on; a second answer to the same post
  begins a text of its own. What joins loses the mentions it begins with.
- Filters come before joining: a thread whose middle is left out is two.

Joining threads and dropping replies must see all posts before the first text; they wait in a store of the caller's.

Not covered: posts that the source itself never handed on (private ones, lists).
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import NamedTuple

from huggingtweets.bulk import NOWHERE, NewStore, Places, Store
from huggingtweets.cleaning import clean, remove_links
from huggingtweets.config import DatasetSettings
from huggingtweets.languages import code_of, language_of
from huggingtweets.posts import Post
from huggingtweets.privacy import neutral_mentions, scrub, without_leading_mentions

WARNED, REPLIES, DATES, UNDATED, LIKES, LANGUAGES = LEFT_OUT = (
    "behind a warning",
    "replies",
    "outside the dates",
    "undated",
    "too few likes",
    "other languages",
)
Place = tuple[str, str | None]  # a post's account and id

LONGEST_THREAD = 3_000  # bytes; about the 1,024 tokens of GPT-2's context, beyond which training cuts a text


class Part(NamedTuple):
    """The clean text of a post, or of a thread, and what is still to be known of it."""

    account: str
    text: str
    id: str | None = None
    reply_to: str | None = None
    created_at: datetime | None = None
    lang: str | None = None
    warning: str | None = None  # to stand in front of the text
    joined: tuple[str | None, ...] = ()  # the ids of the posts that were joined to it

    @property
    def ids(self) -> list[str]:
        return [known for known in (self.id, *self.joined) if known is not None]


def part_of(post: Post, settings: DatasetSettings) -> Part:
    """
    >>> part_of(Post("@bob so true", "a", kind="reply"), DatasetSettings(replies="strip")).text
    'so true'
    """
    text = clean(post, settings)
    if settings.replies == "strip" and post.kind == "reply":
        text = without_leading_mentions(text)
    warning = _warning_of(post) if settings.content_warnings == "prepend" else None
    return Part(post.account, text, post.id, post.reply_to, _time_of(post), post.lang, warning)


def _warning_of(post: Post) -> str | None:
    return " ".join(remove_links(post.warning).split()) or None if post.warning else None


def conversations(posts: Iterable[Post], new_store: NewStore = list) -> Iterator[tuple[Post, bool]]:
    """Each post, and whether it is part of a talk with others; answers come last, when all is known.

    >>> answer = Post("@bob No", "a", "1", kind="reply")
    >>> more = Post("Never", "a", "2", kind="reply", reply_to="1", self_reply=True)
    >>> [is_talk for _, is_talk in conversations([answer, more])]
    [True, True]
    """
    known = Places()
    answers: Store[Post] = new_store()
    for post in posts:
        known.setdefault((post.account, post.id), 0)
        if post.kind == "reply":
            answers.append(post)
        else:
            yield post, False
    talks = _Talks()
    for post in answers:
        if post.id is not None:
            talks.add((post.account, post.id), (post.account, post.reply_to) if _is_own(post, known) else None)
    for post in answers:
        yield post, not _is_own(post, known) or talks.has((post.account, post.reply_to))


def _is_own(answer: Post, known: Places) -> bool:
    return answer.self_reply or (answer.reply_to is not None and (answer.account, answer.reply_to) in known)


class _Talks:
    """Which of an account's answers go on a talk with others, however long the thread."""

    _UNKNOWN, _NO, _YES = range(3)

    def __init__(self) -> None:
        self._numbers = Places()
        self._parents = array("I")  # NOWHERE where a post answers none of its account's
        self._verdicts = bytearray()

    def add(self, answer: Place, parent: Place | None) -> None:
        """`parent`: what it answers, where that is the account's own; None where it is someone else's."""
        number = self._number_of(answer)
        if parent is None:
            self._verdicts[number] = self._YES
        else:
            self._parents[number] = self._number_of(parent)

    def has(self, place: Place) -> bool:
        number, path = self._numbers.get(place), []
        while number != NOWHERE and self._verdicts[number] == self._UNKNOWN:
            self._verdicts[number] = self._NO  # for now, so that a ring ends
            path.append(number)
            number = self._parents[number]
        verdict = self._NO if number == NOWHERE else self._verdicts[number]
        for number in path:
            self._verdicts[number] = verdict
        return verdict == self._YES

    def _number_of(self, place: Place) -> int:
        number = self._numbers.setdefault(place, len(self._numbers))
        if number == len(self._parents):
            self._parents.append(NOWHERE)
            self._verdicts.append(self._UNKNOWN)
        return number


def why_left_out(post: Post, text: str, settings: DatasetSettings, *, is_talk: bool = False) -> str | None:
    """The first of the reasons that a user's settings give, or None; `text` is the clean text."""
    if settings.content_warnings == "skip" and post.warning and post.warning.strip():
        return WARNED
    if settings.replies == "drop" and is_talk:
        return REPLIES
    if (reason := _outside(_time_of(post), settings.since, settings.until)) is not None:
        return reason
    if settings.min_likes is not None and post.likes is not None and post.likes < settings.min_likes:
        return LIKES
    if settings.languages is not None and not _is_in(text, post.lang, settings.languages):
        return LANGUAGES
    return None


def _is_in(text: str, said: str | None, languages: tuple[str, ...]) -> bool:
    language = language_of(text, said)
    return language is None or language in map(code_of, languages)


def _outside(moment: datetime | None, since: str | None, until: str | None) -> str | None:
    if since is None and until is None:
        return None
    if moment is None:
        return UNDATED
    early = since is not None and moment < _midnight(since)
    late = until is not None and moment >= _midnight(until)
    return DATES if early or late else None


@functools.cache
def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)


def _time_of(post: Post) -> datetime | None:
    moment = post.created_at
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def finished(part: Part, settings: DatasetSettings) -> tuple[str, bool]:
    """The text to learn from, and whether personal data was taken out of it.

    >>> finished(Part("a", "Ask @bob or me@example.org", warning="food"), DatasetSettings(mentions="neutral"))
    ('[food] Ask @[name] or [email]', True)
    """
    whole = _warned(part)
    text = scrub(whole, part.lang) if settings.scrub else whole
    return neutral_mentions(text) if settings.mentions == "neutral" else text, text != whole


def _warned(part: Part) -> str:
    return f"[{part.warning}] {part.text}".strip() if part.warning else part.text


def join_threads(parts: Iterable[Part], joint: str, new_store: NewStore = list) -> Iterator[Part]:
    """Each thread as one part where its first post stood; repeated ids come last, so that they are the duplicates.

    >>> parts = [Part("a", "One", "1"), Part("a", "Two", "2", "1"), Part("a", "Else", "3")]
    >>> [part.text for part in join_threads(parts, " ")]
    ['One Two', 'Else']
    """
    every: Store[Part] = new_store()
    places = Places()
    roles = bytearray()
    for place, part in enumerate(parts):
        is_first = part.id is None or places.setdefault((part.account, part.id), place) == place
        roles.append(_FIRST if is_first else _REPEATED)
        every.append(part)
    next_of = _continuations(every, places, roles)
    for place, part in enumerate(every):
        if roles[place] == _FIRST:
            roles[place] = _JOINED
            yield from _joined([part, *(every[later] for later in _walk(place, next_of, roles))], joint)
    yield from (part for place, part in enumerate(every) if roles[place] == _CONTINUING)  # each other's, in a ring
    yield from (part for place, part in enumerate(every) if roles[place] == _REPEATED)


_FIRST, _CONTINUING, _REPEATED, _JOINED = range(4)  # what a part is in its thread


def _continuations(every: Store[Part], places: Places, roles: bytearray) -> array[int]:
    """From a post to the earliest answer that its account gave to it, or NOWHERE."""
    next_of = array("I", [NOWHERE]) * len(every)
    for place, part in enumerate(every):
        parent = places.get((part.account, part.reply_to)) if part.reply_to is not None else NOWHERE
        if parent in (NOWHERE, place) or roles[place] == _REPEATED:
            continue
        rival = next_of[parent]
        if rival == NOWHERE or _age(part) < _age(every[rival]):
            next_of[parent] = place
    for place in filter(lambda place: place != NOWHERE, next_of):
        roles[place] = _CONTINUING
    return next_of


def _age(part: Part) -> tuple[bool, datetime, int, str]:
    """Sorts by time and then by id, which on every network counts up: no matter in which order the posts came."""
    written, identity = part.created_at, part.id or ""
    return written is None, written or datetime.max.replace(tzinfo=UTC), len(identity), identity


def _walk(first: int, next_of: array[int], roles: bytearray) -> Iterator[int]:
    """The places of a thread behind its first post."""
    place = next_of[first]
    while place != NOWHERE:
        roles[place] = _JOINED
        yield place
        place = next_of[place]


def _joined(thread: list[Part], joint: str) -> Iterator[Part]:
    """One text, or several where the thread is longer than what training reads."""
    gathered, size = [thread[0]], _size_bytes(thread[0])
    for part in thread[1:]:
        part = part._replace(text=without_leading_mentions(part.text))
        size += _size_bytes(part)
        if size > LONGEST_THREAD:
            yield _one(gathered, joint)
            gathered, size = [], _size_bytes(part)
        gathered.append(part)
    yield _one(gathered, joint)


def _size_bytes(part: Part) -> int:
    return len(part.text.encode("utf-8", "replace"))


def _one(parts: list[Part], joint: str) -> Part:
    """A warning is not said again while it stays the same."""
    first, *rest = parts
    if not rest:
        return first
    texts = [part.text if part.warning == before.warning else _warned(part) for before, part in pairwise(parts)]
    ids = tuple(part.id for part in rest)
    return first._replace(text=joint.join(filter(None, [first.text, *texts])), joined=ids)
