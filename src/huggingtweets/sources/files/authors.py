"""Who wrote a record, as far as it says.

In: the fields of a record, and the users its page names by id. Out: an `Author`, or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from huggingtweets.sources.files import columns
from huggingtweets.sources.files.columns import Record, first_of
from huggingtweets.sources.tally import shorten
from huggingtweets.sources.values import is_blank, parse_id, plain


@dataclass(frozen=True, slots=True)
class Author:
    """What a record says of who wrote it."""

    key: str  # tells authors apart: the id where there is one, else the name without case
    handle: str | None = None
    display_name: str | None = None
    bio: str | None = None
    protected: bool = False
    network: Literal["bluesky", "mastodon"] | None = None  # whose API described them, if one did
    profile: Mapping[str, object] | None = None  # in that API's own words


def author_of(fields: Record, users: Record) -> Author | None:
    for name in ("user", "author"):  # v1.1; v2 as twarc flattens it
        user = fields.get(name)
        if isinstance(user, dict) and (author := _author_of(user)):
            return author
    author_id = parse_id(fields.get("author_id"))
    if author_id is not None and isinstance(user := users.get(author_id), dict):
        return _author_of(user)
    if author_id is None and len(users) == 1:  # v2's later vocabulary leaves the author out of the post
        (only,) = users.values()
        return _author_of(only) if isinstance(only, dict) else None
    written = first_of(fields, columns.AUTHOR)
    return _author_named(written)


def _author_of(user: Record) -> Author | None:
    handle = user.get("screen_name") or user.get("username")
    key = parse_id(user.get("id_str")) or parse_id(user.get("id")) or handle
    if not isinstance(key, str) or not key:
        return None
    return Author(
        key=key,
        handle=handle if isinstance(handle, str) else None,
        display_name=_words(user.get("name")),
        bio=_words(user.get("description")),
        protected=user.get("protected") is True,
    )


def _words(value: object) -> str | None:
    return plain(value) or None if isinstance(value, str) else None


def _author_named(value: object) -> Author | None:
    """
    >>> _author_named("@NASA") == Author("nasa", handle="NASA")
    True
    """
    if is_blank(value) or isinstance(value, (bool, dict, list)):
        return None
    name = plain(shorten(str(value)[:200])).strip().removeprefix("@")
    if not name:
        return None
    is_number = name.replace(".", "").isdigit()
    return Author(key=name.casefold(), handle=None if is_number else name)
