"""The normal form: one `Post` and one `Account`, whatever network they come from.

In: what a source read. Out: lines of `posts.jsonl` and the records of `accounts.json`.

- A post's text is kept as it was downloaded; cleaning happens later, so that it can be done again.
- Absent means None, never an empty stand-in: a spreadsheet that ruined its ids has no ids.
- Reading ignores keys it does not know, so that a newer bot's posts open in an older version.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from huggingtweets.errors import BotError

Kind = Literal["original", "reply", "quote", "repost"]


@dataclass(frozen=True, slots=True)
class Post:
    """One post as downloaded."""

    text: str
    account: str  # handle of the author, without "@"
    id: str | None = None
    created_at: datetime | None = None  # timezone-aware, UTC
    kind: Kind = "original"
    lang: str | None = None  # what the network said, BCP 47
    html_escaped: bool = True  # X and most exports escape & < >; Bluesky and archive notes do not
    likes: int | None = None
    reply_to: str | None = None  # id of the post it answers
    self_reply: bool = False  # it answers a post of the same account: a thread goes on
    sensitive: bool = False
    warning: str | None = None  # the content warning in front of it

    def to_json(self) -> dict[str, Any]:
        """The line of `posts.jsonl`; times as RFC 3339 in UTC.

        >>> Post("hi", "a", created_at=datetime(2015, 1, 2, tzinfo=UTC)).to_json()["created_at"]
        '2015-01-02T00:00:00Z'
        """
        record = {name: value for name in _POST_FIELDS if (value := getattr(self, name)) or name in _ALWAYS_WRITTEN}
        if self.created_at is not None:
            moment = self.created_at.astimezone(UTC)
            record["created_at"] = moment.isoformat().replace("+00:00", "Z")
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Post:
        """The inverse of `to_json`; raises KeyError, TypeError or ValueError on a damaged record."""
        known = {name: record[name] for name in _POST_FIELDS if name in record}
        if not (isinstance(known["text"], str) and isinstance(known["account"], str)):
            raise TypeError("text and account must be strings")
        if known.get("created_at") is not None:
            known["created_at"] = datetime.fromisoformat(known["created_at"])
        return cls(**known)


_POST_FIELDS = tuple(field.name for field in dataclasses.fields(Post))
_ALWAYS_WRITTEN = frozenset(("text", "account", "id", "created_at", "kind", "lang", "html_escaped", "likes"))


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said when the posts were downloaded, and when that was."""

    said: Literal["mine", "permission"] | None = None  # None: a file, where nobody is asked
    why: str | None = None  # the reason given with a permission
    fetched_at: str | None = None  # RFC 3339 in UTC; None: a file, which has no time of its own


@dataclass(frozen=True, slots=True)
class Account:
    """Who wrote the posts."""

    handle: str  # without "@"
    platform: str  # "file", "x", "bluesky", "mastodon", "hub"
    display_name: str | None = None
    bio: str | None = None
    avatar: str | None = None  # file name inside the bot's avatars/, once there is one
    protected: bool = False
    id: str | None = None  # what stays when the handle changes: a DID, a number
    url: str | None = None  # the profile's page
    fields: tuple[str, ...] = ()  # the profile's other lines, such as "AI: no thanks"
    signals: Mapping[str, str] = field(default_factory=dict)  # see `consent`: what was seen, and where
    consent: Consent | None = None

    @property
    def name(self) -> str:
        """What to call them: the display name, else the handle."""
        return self.display_name or self.handle

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Account:
        """Reads what an earlier version wrote; raises TypeError or KeyError on a damaged record."""
        known = {field.name: record[field.name] for field in dataclasses.fields(cls) if field.name in record}
        if not isinstance(known["handle"], str):
            raise TypeError("a handle must be a string")
        if known.get("consent") is not None:
            known["consent"] = Consent(**known["consent"])
        return cls(**{**known, "fields": tuple(known.get("fields", ())), "signals": dict(known.get("signals", {}))})


def dump_posts(posts: Iterable[Post]) -> Iterator[str]:
    """Each post as one line of JSON, newline included; lone surrogates become U+FFFD."""
    for post in posts:
        line = json.dumps(post.to_json(), ensure_ascii=False, separators=(",", ":"))
        yield line.encode("utf-8", "replace").decode("utf-8") + "\n"


def read_posts(path: Path) -> Iterator[Post]:
    """The posts of a `posts.jsonl`, one at a time.

    Raises BotError with the line number when a line is damaged.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield Post.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise BotError(
                    f"{path} is damaged at line {number}: {error}.",
                    why="The file was probably edited by hand or copied while it was written.",
                    next="delete the file and run the same create command again",
                ) from error
