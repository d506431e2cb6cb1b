"""What kind of post a record is, by everything its fields say of it.

In: the fields of a record, keys in normal form. Out: original, reply, quote or repost, and whether the record has a
field that would tell a repost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from huggingtweets.posts import Kind
from huggingtweets.sources.files import columns
from huggingtweets.sources.files.columns import Record
from huggingtweets.sources.values import is_reference, is_true

_TYPES: dict[str, Kind] = {
    "rt": "repost",
    "retweet": "repost",
    "retweeted": "repost",
    "repost": "repost",
    "reblog": "repost",
    "r": "reply",
    "reply": "reply",
    "replied_to": "reply",
    "quote": "quote",
    "quoted": "quote",
}
_REFERENCES = ("referenced_tweets", "referenced_posts")
_KINDS_BY_WEIGHT: tuple[Kind, ...] = ("repost", "reply", "quote")  # a post that quotes in a reply is a reply


def _signs() -> dict[str, tuple[Kind, Callable[[object], bool]]]:
    """Column to what it says when its value passes the test."""
    table: tuple[tuple[Kind, tuple[str, ...], Callable[[object], bool]], ...] = (
        ("repost", columns.REPOST_FLAGS + columns.REPOST_IF_TRUE, is_true),
        ("repost", columns.REPOST_REFERENCES, is_reference),
        ("reply", columns.REPLY_FLAGS, is_true),
        ("reply", columns.REPLY_REFERENCES, is_reference),
        ("quote", columns.QUOTE_FLAGS, is_true),
        ("quote", columns.QUOTE_REFERENCES, is_reference),
    )
    return {name: (kind, test) for kind, names, test in table for name in names}


_SIGNS = _signs()


def kind_of(fields: Record) -> tuple[Kind, bool]:
    """What the fields say the post is, and whether they would say so of a repost.

    >>> kind_of({"type": "rt:676167616394752000"}), kind_of({"retweeted": False})
    (('repost', True), ('original', False))
    """
    said = {_kind_by_type(fields), *_kinds_by_reference(fields)}
    for name, value in fields.items():
        sign = _SIGNS.get(name)
        if sign is not None and sign[1](value) and not (name in columns.REPOST_IF_TRUE and _tells_the_reader(fields)):
            said.add(sign[0])
    kind: Kind = next((kind for kind in _KINDS_BY_WEIGHT if kind in said), "original")
    tells_reposts = any(name in fields for name in (*columns.REPOST_FLAGS, *_REFERENCES))
    return kind, tells_reposts or kind == "repost"


def _tells_the_reader(fields: Record) -> bool:
    """Whether this is X's own object, where `retweeted` says that whoever downloaded it has retweeted the post.

    >>> _tells_the_reader({"retweeted": True, "favorited": False}), _tells_the_reader({"retweeted": True})
    (True, False)
    """
    return "favorited" in fields or isinstance(fields.get("user"), dict)


def _kind_by_type(fields: Record) -> Kind | None:
    """`rt:<id>` and `r:<user id>` in one archive, whole words in others."""
    value = fields.get(columns.TYPE)
    if not isinstance(value, str):
        return None
    word = value.strip().casefold().partition(":")[0]
    return _TYPES.get(word) or ("repost" if word.startswith(("rt", "retweet")) else None)


def _kinds_by_reference(fields: Record) -> Iterator[Kind | None]:
    for reference in references(fields):
        kind = reference.get("type")
        yield _TYPES.get(kind) if isinstance(kind, str) else None


def references(fields: Record) -> Iterator[Record]:
    """The posts that v2's `referenced_tweets` names, or in its later vocabulary `referenced_posts`."""
    for name in _REFERENCES:
        named = fields.get(name)
        yield from (item for item in (named if isinstance(named, list) else []) if isinstance(item, dict))
