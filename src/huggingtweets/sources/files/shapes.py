"""Records to posts, whichever export they come from.

In: one parsed value (a row, a tweet, a page of tweets). Out: `Found` posts, with what the file says of their author.

- Rows of tables, flat JSON, both Trump Twitter Archives, X's v1.1 objects, and v2 objects in both of X's vocabularies
  (`note_tweet` and `note_post`, ...) differ in their names only; one reader that knows all names reads them all.
- Pages (`data` with `includes`), objects that hold an array of posts, and `{"tweet": {...}}` are opened first.
- What Bluesky's and Mastodon's APIs answered is told by its form, and read by `files.answers`.
- A row that says it was not public is never a post, in whatever table it stands.

Not covered: deciding whose posts to take, and what an unmarked `RT @name:` is; both need all rows (see
`files.timeline`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from huggingtweets.posts import Post
from huggingtweets.sources.files import answers, columns
from huggingtweets.sources.files.authors import Author, author_of
from huggingtweets.sources.files.columns import Record, first_of
from huggingtweets.sources.files.found import Found, Read, Unusable
from huggingtweets.sources.files.kinds import kind_of, references
from huggingtweets.sources.mastodon.posts import PRIVATE
from huggingtweets.sources.mastodon.text import html_to_text
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
    LATEST,
    SURROGATE,
    count,
    is_blank,
    is_reference,
    is_true,
    parse_id,
    parse_language,
    parse_time,
    plain,
)

HOLDERS = frozenset(  # keys that hold a post without being a column of text
    ("data", "tweet", "note_tweet", "note_post", "record", "value", "object", "feed", "records", "posts", "statuses")
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
_ERROR_KEYS = frozenset(("error", "error_description", "message", "status", "code"))
_NOT_PUBLIC = frozenset(
    ("private", "direct", "followers", "followers_only", "mutuals_only", "specified", "limited", "list", "circle")
)
_PAGE_KEYS = frozenset(("includes", "meta", "__twarc", "errors"))


def posts_in(value: object, text_column: str | None = None, now: datetime = LATEST) -> Iterator[Read]:
    """Every post in one value of a file; no post is younger than `now`.

    >>> [found.post.text for found in posts_in({"data": [{"id": "1", "text": "hi"}], "meta": {}})]
    ['hi']
    """
    for record, users in _open(value, text_column):
        if not isinstance(record, dict):
            yield Unusable(NOT_POSTS, _shown(record))
        elif answers.is_answer(record):
            yield answers.read(record, now)
        else:
            yield read_record(record, users, text_column)


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
    elif answers.is_empty_page(value):
        return
    elif answers.is_answer(value):
        yield value, {}
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
    first = next((item for item in array[:5] if isinstance(item, dict)), None)
    if first is None:
        return False
    return "data" in first or "tweet" in first or answers.is_answer(first) or _has_text(first, text_column)


def _has_text(value: Record, text_column: str | None) -> bool:
    keys = {columns.normal(key) for key in value}
    return not keys.isdisjoint(columns.TEXT) or (text_column is not None and columns.normal(text_column) in keys)


def _shown(value: object) -> str:
    """Short, whatever it is: the repr of a value nested a thousand deep would not even end well."""
    return shorten(repr(value)[:200]) if isinstance(value, (str, int, float)) else type(value).__name__


def read_record(record: Record, users: Record, text_column: str | None) -> Found | Unusable:
    """One post from one record.

    >>> read_record({"Tweet": "RT @a: hi", "isRetweet": "t"}, {}, None).post.kind
    'repost'
    """
    fields = {columns.normal(key): value for key, value in reversed(record.items())}
    raw = _raw_text(fields, text_column)
    if raw is None or not raw.strip("\0 \t\r\n") or fields.keys() <= _ERROR_KEYS:
        return _without_text(record, fields)
    visibility = fields.get(columns.VISIBILITY)
    if isinstance(visibility, str) and visibility.strip().casefold() in _NOT_PUBLIC:
        return Unusable(PRIVATE, visibility)
    is_html = visibility is not None and "<" in raw and raw == fields.get("content")  # a table of Mastodon's posts
    text = plain(html_to_text(raw) if is_html else raw)
    kind, tells_reposts = kind_of(fields)
    raw_id, raw_time = first_of(fields, columns.ID), first_of(fields, columns.TIME)
    post_id, created_at = parse_id(raw_id), parse_time(raw_time)
    author = author_of(fields, users)
    lost = (
        (SURROGATES, text if SURROGATE.search(raw) else None),
        (NULS, text if "\0" in raw else None),
        (RUINED_IDS, None if post_id or is_blank(raw_id) else _shown(raw_id)),
        (UNREAD_TIMES, None if created_at or is_blank(raw_time) else _shown(raw_time)),
    )
    post = Post(
        text=text,
        account="",
        id=post_id,
        created_at=created_at,
        kind=kind,
        lang=parse_language(first_of(fields, columns.LANGUAGE)),
        html_escaped=not is_html,  # other exports write what X's API gave them, and that escapes & < >
        likes=_likes(fields),
        reply_to=_answered_post(fields),
        self_reply=kind == "reply" and author is not None and _answers(fields, author),
        sensitive=is_true(first_of(fields, columns.SENSITIVE)),
        warning=_warning(fields),
    )
    details = tuple((what, example) for what, example in lost if example is not None)
    return Found(post, author, tells_reposts, details)


def _likes(fields: Record) -> int | None:
    metrics = fields.get("public_metrics")
    said = metrics.get("like_count") if isinstance(metrics, dict) else first_of(fields, columns.LIKES)
    return count(parse_id(said))


def _answered_post(fields: Record) -> str | None:
    if (written := parse_id(first_of(fields, columns.REPLY_TO))) is not None:
        return written if is_reference(written) else None
    return next((parse_id(item.get("id")) for item in references(fields) if item.get("type") == "replied_to"), None)


def _answers(fields: Record, author: Author) -> bool:
    """Whether the account that a reply answers is its own author."""
    name = first_of(fields, columns.ANSWERED_NAME)
    by_name = isinstance(name, str) and author.handle is not None and name.casefold() == author.handle.casefold()
    return by_name or parse_id(first_of(fields, columns.ANSWERED)) == author.key


def _warning(fields: Record) -> str | None:
    said = first_of(fields, columns.WARNING)
    return plain(said).strip() or None if isinstance(said, str) and not is_blank(said) else None


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
