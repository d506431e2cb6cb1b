"""The posts in the files of an X archive, each once.

In: the opened parts. Out: posts one by one, and in the tally whatever in the files is no post.

- Elements are read one at a time, so memory does not grow with the archive, but for the ids: a post that is in two
  parts is taken once. Posts and the losses in `WHOLE_POSTS` add up to the elements of the files.
- Which posts were edited is found by a quick search of the bytes first, in all parts; of an edited post only the last
  version counts, and it comes at the end.
- Of the notes that no post begins, each is a post of its own. Where the archive holds posts to a circle, or is cut
  short and doesn't say, they are left out: one of them may be such a post's.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from huggingtweets.posts import Post
from huggingtweets.sources.packed.members import Members
from huggingtweets.sources.packed.streams import Elements
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS, Tally
from huggingtweets.sources.values import parse_id
from huggingtweets.sources.x.notes import Note, Notes
from huggingtweets.sources.x.parts import holds_community_posts, holds_notes, holds_posts
from huggingtweets.sources.x.posts import Record, post_from_tweet

OLDER_VERSIONS = "earlier versions of edited posts"
SAME_POSTS = "posts that are in the archive twice (taken once)"
COMMUNITY = "posts into communities (left out as you wish)"
DELETED = "deleted posts (left out)"
DAMAGED = "damaged places in the archive's files"
LONELY_NOTES = "long posts without their beginnings (left out: some may be of a circle)"
UNREAD_NOTES = "long posts beyond what fits into memory (only their beginnings are used)"
WHOLE_POSTS = frozenset((OLDER_VERSIONS, SAME_POSTS, COMMUNITY, DELETED, NO_TEXT, NOT_POSTS))

EMPTY_BYTES = 100  # `window.YTD.twitter_circle_tweet.part0 = [ ]` has half of this, a post three times as many

MOST_IDS = 20_000_000  # remembered; more posts than that do not fit into what is read of an archive
MOST_EDITED = 1_000_000

_EDITS = re.compile(rb'"editTweetIds"\s{0,99}:\s{0,99}\[([^\]]{1,1000},[^\]]{1,1000})\]')
_FIRST = re.compile(rb'"initialTweetId"\s{0,99}:\s{0,99}"(\d{1,25})"')
_ID = re.compile(rb'"(\d{1,25})"')
_OVERLAP_BYTES = 1 << 12  # longer than any match
_BEGINS = re.compile(r'\{\s{0,99}"(?:tweet|noteTweet)"\s{0,99}:')
_READ_BYTES = 1 << 20


@dataclass
class Reading:
    """One reading of all parts."""

    account: str
    account_id: str | None
    own_name: str | None  # what X calls the account
    tally: Tally
    community: bool
    files: dict[str, int] = field(default_factory=dict)  # read so far: name to elements
    fraction: float = 0.0
    damage: str | None = None
    _seen: set[int] = field(default_factory=set)
    _edited: dict[str, str] = field(default_factory=dict)  # id of a version to the group that it is of
    _last: dict[str, Post] = field(default_factory=dict)  # the last version of each group so far

    def posts(self, parts: Sequence[Members], circle_posts: int | None) -> Iterator[Post]:
        """All of them; `circle_posts`: how many the manifest tells of."""
        notes = Notes(self._notes(parts))
        if notes.unread:
            self.tally.add(UNREAD_NOTES, count=notes.unread)
        for part in parts:
            self._find_edits(part)
        yield from self._tweets(parts, notes)
        yield from self._last.values()
        lonely = list(notes.left())
        if lonely and (circle_posts or (circle_posts is None and any(map(_may_have_circle, parts)))):
            self.tally.add(LONELY_NOTES, lonely[0].text, len(lonely))
        else:
            yield from (note.as_post(self.account) for note in lonely)

    def _names(self, part: Members) -> list[str]:
        return [
            name for name in part.names if holds_posts(name) and (self.community or not holds_community_posts(name))
        ]

    def _notes(self, parts: Sequence[Members]) -> Iterator[object]:
        for part in parts:
            for name in filter(holds_notes, part.names):
                with part.open(name) as file:
                    elements = Elements(file, begins=_BEGINS)
                    yield from elements
                    self._finish(name, elements)

    def _find_edits(self, part: Members) -> None:
        """Every id that is a version among several; text can't look like this, its quotes are escaped."""
        for name in self._names(part):
            with part.open(name) as file:
                rest = b""
                while data := file.read(_READ_BYTES):
                    data = rest + data
                    for found in _EDITS.finditer(data):
                        self._note_versions([match.decode() for match in _ID.findall(found[1])])
                    for found in _FIRST.finditer(data):
                        self._note_versions([found[1].decode()])
                    rest = data[-_OVERLAP_BYTES:]

    def _note_versions(self, ids: list[str]) -> None:
        if not ids:  # damaged: no version has an id that could be one
            return
        group = next((self._edited[version] for version in ids if version in self._edited), ids[0])
        for version in ids if len(self._edited) < MOST_EDITED else ():
            self._edited.setdefault(version, group)

    def _tweets(self, parts: Sequence[Members], notes: Notes) -> Iterator[Post]:
        total = sum(part.size(name) for part in parts for name in self._names(part)) or 1
        before = 0
        for part in parts:
            for name in self._names(part):
                with part.open(name) as file:
                    elements = Elements(file, begins=_BEGINS)
                    for element in elements:
                        self.fraction = min(1.0, (before + elements.read_bytes) / total)
                        post = self._post(element, notes)
                        if post is not None:
                            yield post
                    self._finish(name, elements)
                before += part.size(name)

    def _finish(self, name: str, elements: Elements) -> None:
        short = PurePosixPath(name).name
        self.files[short] = self.files.get(short, 0) + elements.count
        if elements.damage is not None:
            self.damage = self.damage or f"{short}: {elements.damage}"
            self.tally.add(DAMAGED, f"{short}, after {elements.count:,} entries: {elements.damage}", elements.damages)

    def _post(self, element: object, notes: Notes) -> Post | None:
        """None for what is none, comes at the end, or was there before."""
        tweet = element.get("tweet", element) if isinstance(element, dict) else None
        if not isinstance(tweet, dict):
            self.tally.add(NOT_POSTS, type(element).__name__)
            return None
        if not self._is_public(tweet):
            return None
        post = post_from_tweet(tweet, self.account, self.account_id, self.own_name)
        if post is None:
            self.tally.add(NO_TEXT, str(parse_id(tweet.get("id_str")) or ""))
            return None
        if not self._is_new(post):
            return None
        group = self._group(tweet, post.id)
        whole = _with_note(post, tweet, notes, group)
        if group is None:
            return whole
        self._keep_last(group, whole)
        return None

    def _is_public(self, tweet: Record) -> bool:
        if "deleted_at" in tweet:
            self.tally.add(DELETED)
            return False
        if not self.community and (tweet.get("community_id_str") or tweet.get("community_id")):
            self.tally.add(COMMUNITY)
            return False
        return True

    def _is_new(self, post: Post) -> bool:
        number = int(post.id) if post.id and post.id.isascii() and post.id.isdigit() else None
        if number is not None and number in self._seen:
            self.tally.add(SAME_POSTS, post.text)
            return False
        if number is not None and len(self._seen) < MOST_IDS:
            self._seen.add(number)
        return True

    def _group(self, tweet: Record, post_id: str | None) -> str | None:
        """What the versions of an edited post have in common; None for a post that was never edited."""
        if len(self._last) >= MOST_EDITED:
            return None
        found = self._edited.get(post_id or "")
        info = tweet.get("edit_info")
        edit = info.get("edit") if isinstance(info, dict) else None
        first = parse_id(edit.get("initialTweetId")) if isinstance(edit, dict) else None
        return found if found is not None or first is None else self._edited.get(first, first)

    def _keep_last(self, group: str, post: Post) -> None:
        other = self._last.setdefault(group, post)
        if other is not post:
            older, newer = sorted((other, post), key=lambda version: (len(version.id or ""), version.id or ""))
            self.tally.add(OLDER_VERSIONS, older.text)
            self._last[group] = newer


def _may_have_circle(part: Members) -> bool:
    """Of one that is cut short nobody knows."""
    return part.cut_short or any(size > EMPTY_BYTES for size in part.noticed.values())


def _with_note(post: Post, tweet: Record, notes: Notes, group: str | None) -> Post:
    raw = tweet.get("full_text")
    if post.kind == "repost" or not isinstance(raw, str):
        return post
    note: Note | None = notes.take((post.id, group), raw, post.created_at)
    if note is None:
        return post
    kind = "quote" if note.quotes and post.kind == "original" else post.kind
    return dataclasses.replace(post, text=note.text, html_escaped=False, kind=kind)
