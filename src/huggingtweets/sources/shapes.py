"""Records to posts, whichever export they come from.

In: one parsed value (a row, a tweet, a page of tweets). Out: `Found` posts, with what the file says of their author.

- Rows of tables, flat JSON, both Trump Twitter Archives, X's v1.1 objects, and v2 objects in both of X's vocabularies
  (`note_tweet` and `note_post`, ...) differ in their names only; one reader that knows all names reads them all.
- Pages (`data` with `includes`), objects that hold an array of posts, and `{"tweet": {...}}` are opened first.
- Bluesky's and Mastodon's JSON is recognised, so that it is refused rather than read as something else.

Not covered: deciding whose posts to take, and what an unmarked `RT @name:` is; both need the whole file (see `files`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from huggingtweets.posts import Kind
from huggingtweets.sources import columns
from huggingtweets.sources.authors import SURROGATE, Author, author_of, plain
from huggingtweets.sources.columns import Record, first_of
from huggingtweets.sources.kinds import kind_of
from huggingtweets.sources.tally import (
    NO_TEXT,
    NOT_POSTS,
    NOTICES,
    NULS,
    RUINED_IDS,
    SURROGATES,
    UNREAD_TIMES,
    shorten,
)
from huggingtweets.sources.values import (
    is_blank,
    parse_id,
    parse_language,
    parse_time,
)

DEEPEST_ARRAY = 3  # arrays of posts inside objects inside arrays: no export nests further

_NOTICES = frozenset(
    (
        "delete",
        "limit",
        "scrub_geo",
        "status_withheld",
        "user_withheld",
        "disconnect",
        "warning",
        "errors",
        "error",
        "meta",
    )
)
_PAGE_KEYS = frozenset(("includes", "meta", "__twarc", "errors"))


@dataclass(frozen=True, slots=True)
class Found:
    """A post, before it is known whose posts are wanted."""

    text: str
    id: str | None
    created_at: datetime | None
    kind: Kind
    lang: str | None
    author: Author | None
    tells_reposts: bool  # whether the record has a field that would say if it were one
    details_lost: tuple[tuple[str, str], ...]  # what and an example, as for a Tally


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that is no post: why, an example, and the keys it has."""

    what: str
    example: str
    keys: tuple[str, ...] = ()


def foreign_network(value: object) -> str | None:
    """Whose JSON this is, when it is not X's or a plain table's.

    >>> foreign_network({"content": "<p>hi</p>", "visibility": "public"})
    'Mastodon'
    """
    if not isinstance(value, dict):
        return None
    if {"@context", "orderedItems"} & value.keys() or {"content", "visibility"} <= value.keys():
        return "Mastodon"
    kind = value.get("$type")
    is_record = isinstance(kind, str) and kind.startswith("app.bsky.")
    is_view = isinstance(value.get("record"), dict) and "uri" in value
    holds_views = any(_begins_with_view(value.get(name)) for name in ("feed", "records"))
    is_profile = {"did", "handle"} <= value.keys()
    return "Bluesky" if is_record or is_view or holds_views or is_profile else None


def _begins_with_view(items: object) -> bool:
    first = items[0] if isinstance(items, list) and items else None
    return isinstance(first, dict) and bool({"post", "uri", "cid"} & first.keys())


def posts_in(value: object, text_column: str | None = None) -> Iterator[Found | Unusable]:
    """Every post in one value of a file.

    >>> [found.text for found in posts_in({"data": [{"id": "1", "text": "hi"}], "meta": {}})]
    ['hi']
    """
    for record, users in _open(value, text_column):
        yield read_record(record, users, text_column) if isinstance(record, dict) else _not_a_post(record)


def _open(value: object, text_column: str | None, depth: int = 0) -> Iterator[tuple[object, Record]]:
    """The records in a value, each with the users that its page names by id."""
    if isinstance(value, str):
        yield {"text": value}, {}
    elif not isinstance(value, dict):
        yield value, {}
    elif isinstance(value.get("tweet"), dict):  # as in X's archive
        yield value["tweet"], {}
    elif isinstance(value.get("data"), (list, dict)) and (_PAGE_KEYS & value.keys() or len(value) == 1):
        data = value["data"]
        users = _users_of(value.get("includes"))
        for item in data if isinstance(data, list) else [data]:
            yield item, users
    elif depth < DEEPEST_ARRAY and (held := _held_array(value, text_column)) is not None:
        for item in held:
            yield from _open(item, text_column, depth + 1)
    else:
        yield value, {}


def _users_of(includes: object) -> Record:
    users = includes.get("users") if isinstance(includes, dict) else None
    if not isinstance(users, list):
        return {}
    return {str(user["id"]): user for user in users if isinstance(user, dict) and "id" in user}


def _held_array(value: Record, text_column: str | None) -> list[object] | None:
    """The longest array of posts or pages, in an object that is no post itself."""
    if _NOTICES & value.keys() or _has_text(value, text_column):
        return None
    arrays = [array for array in value.values() if isinstance(array, list) and _begins_with_post(array, text_column)]
    return max(arrays, key=len, default=None)


def _begins_with_post(array: list[object], text_column: str | None) -> bool:
    first = array[0] if array else None
    return isinstance(first, dict) and ("data" in first or "tweet" in first or _has_text(first, text_column))


def _has_text(value: Record, text_column: str | None) -> bool:
    keys = {columns.normal(key) for key in value}
    return not keys.isdisjoint(columns.TEXT) or (text_column is not None and columns.normal(text_column) in keys)


def _not_a_post(value: object) -> Unusable:
    return Unusable(NOT_POSTS, _shown(value))


def _shown(value: object) -> str:
    """Short, whatever it is: the repr of a value nested a thousand deep would not even end well."""
    return shorten(repr(value)[:200]) if isinstance(value, (str, int, float)) else type(value).__name__


def read_record(record: Record, users: Record, text_column: str | None) -> Found | Unusable:
    """One post from one record.

    >>> read_record({"Tweet": "RT @a: hi", "isRetweet": "t"}, {}, None).kind
    'repost'
    """
    fields = {columns.normal(key): value for key, value in reversed(record.items())}
    raw = _raw_text(fields, text_column)
    if raw is None or not raw.strip("\0 \t\r\n"):
        return _without_text(record, fields)
    text = plain(raw)
    kind, tells_reposts = kind_of(fields)
    raw_id, raw_time = first_of(fields, columns.ID), first_of(fields, columns.TIME)
    post_id, created_at = parse_id(raw_id), parse_time(raw_time)
    lost = (
        (SURROGATES, text if SURROGATE.search(raw) else None),
        (NULS, text if "\0" in raw else None),
        (RUINED_IDS, None if post_id or is_blank(raw_id) else _shown(raw_id)),
        (UNREAD_TIMES, None if created_at or is_blank(raw_time) else _shown(raw_time)),
    )
    return Found(
        text=text,
        id=post_id,
        created_at=created_at,
        kind=kind,
        lang=parse_language(first_of(fields, columns.LANGUAGE)),
        author=author_of(fields, users),
        tells_reposts=tells_reposts,
        details_lost=tuple((what, example) for what, example in lost if example is not None),
    )


def _without_text(record: Record, fields: Record) -> Unusable:
    keys = tuple(str(key) for key in record)[:100]
    notice = next((key for key in fields if key in _NOTICES), None)
    if notice is not None and "id" not in fields:
        return Unusable(NOTICES, f"{notice}: {_detail(fields[notice])}")
    example = ", ".join(f"{key}={value}" for key, value in record.items() if isinstance(value, (str, int)))
    return Unusable(NO_TEXT, shorten(example[:400]), keys)


def _detail(notice: object) -> str:
    """X's own words, where the notice has some."""
    first = notice[0] if isinstance(notice, list) and notice else notice
    detail = first.get("detail") or first.get("message") if isinstance(first, dict) else first
    return detail[:200] if isinstance(detail, str) else _shown(detail)


def _raw_text(fields: Record, text_column: str | None) -> str | None:
    """The longest form of the text: the note, then the extended tweet, then the columns in their order."""
    if text_column is not None:
        return _as_text(fields.get(columns.normal(text_column)))
    for outer, inner in (("note_tweet", "text"), ("note_post", "text"), ("extended_tweet", "full_text")):
        holder = fields.get(outer)
        if isinstance(holder, dict) and isinstance(holder.get(inner), str) and holder[inner]:
            return str(holder[inner])
    texts = (_as_text(fields.get(name)) for name in columns.TEXT)
    return next((text for text in texts if text is not None and text.strip()), None)


def _as_text(value: object) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_blank(value):
        return repr(value) if isinstance(value, float) or value.bit_length() <= 256 else None
    return value if isinstance(value, str) else None
