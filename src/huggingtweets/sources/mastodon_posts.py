"""Mastodon's objects to posts: statuses of its API, activities of an archive, and accounts in both forms.

In: parsed JSON of which nothing is certain. Out: a `Post`, or why there is none.

- Only public and unlisted posts are ever handed over. What says nothing of its visibility is not public.
- A boost is another person's words: it is a repost, and counts as such where it has a text at all.
- Pleroma, Akkoma and GoToSocial leave keys out, use other ids and other names for quotes; all are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from huggingtweets.posts import Account, Kind, Post
from huggingtweets.sources.authors import plain
from huggingtweets.sources.fediverse_text import html_to_text
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS
from huggingtweets.sources.values import is_true, parse_language, parse_time
from huggingtweets.sources.x_posts import count

Record = Mapping[str, object]

PRIVATE = "posts that are not public (never used)"
BOOSTS = "boosts, whose words are not in the archive"
NOT_NOTES = "activities that are not posts"

_PUBLIC = frozenset(("https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"))
_OPEN = frozenset(("public", "unlisted"))
_POST_TYPES = frozenset(("Note", "Question", "Article", "Page"))
_OWN_ID = re.compile(r"/status(?:es)?/([A-Za-z0-9]+)/?$")


def post_from_status(status: object, account: str, account_id: str | None) -> Post | str:
    """A status of the API, or why it is no post."""
    if not isinstance(status, dict):
        return NOT_POSTS
    if status.get("visibility") not in _OPEN:
        return PRIVATE
    reblog = status.get("reblog")
    source = reblog if isinstance(reblog, dict) else status
    text = _text(source.get("content"), source.get("emojis"))
    if not text:
        return NO_TEXT
    reply_to = _id(status.get("in_reply_to_id"))
    answered = _id(status.get("in_reply_to_account_id"))
    pleroma = status.get("pleroma")
    quotes = any(status.get(name) for name in ("quote", "quote_id", "quote_url")) or (
        isinstance(pleroma, dict) and any(pleroma.get(name) for name in ("quote", "quote_id", "quote_url"))
    )
    return Post(
        text=text,
        account=account,
        id=_id(status.get("id")),
        created_at=parse_time(status.get("created_at")),
        kind=_kind(isinstance(reblog, dict), reply_to is not None or answered is not None, quotes),
        lang=parse_language(status.get("language")),
        html_escaped=False,
        likes=count(status.get("favourites_count")),
        reply_to=reply_to,
        self_reply=answered is not None and answered == account_id,
        sensitive=is_true(status.get("sensitive")),
        warning=_words(status.get("spoiler_text")),
    )


def post_from_activity(activity: object, account: str, actor_id: str | None) -> Post | str:
    """An activity of an outbox, or a bare note, or why it is no post."""
    if not isinstance(activity, dict):
        return NOT_POSTS
    held = activity.get("object")
    if activity.get("type") == "Announce":
        return BOOSTS
    note = held if isinstance(held, dict) else activity
    if note.get("type") not in _POST_TYPES or activity.get("type") not in {"Create", "Update", *_POST_TYPES}:
        return NOT_NOTES
    if not (is_public(note) or is_public(activity)) or _is_narrower(note):
        return PRIVATE
    text = _text(_content(note), note.get("tag"))
    if not text:
        return NO_TEXT
    reply_to = _address(note.get("inReplyTo"))
    quotes = any(note.get(name) for name in ("quote", "quoteUri", "quoteUrl", "_misskey_quote"))
    return Post(
        text=text,
        account=account,
        id=_activity_id(_address(note.get("id")) or _address(activity.get("id"))),
        created_at=parse_time(note.get("published") or activity.get("published")),
        kind=_kind(False, reply_to is not None, quotes),
        lang=_language_of(note),
        html_escaped=False,
        reply_to=_activity_id(reply_to),
        self_reply=_is_below(reply_to, actor_id),
        sensitive=is_true(note.get("sensitive")),
        warning=_words(_plain_summary(note.get("summary"))),
    )


def is_public(thing: Record) -> bool:
    """Whether an object or activity is addressed to everyone, in whichever of two places."""
    return any(target in _PUBLIC for name in ("to", "cc") for target in _targets(thing.get(name)))


def _is_narrower(note: Record) -> bool:
    """Whether the note itself names its readers and everyone is not among them: its word counts, not the envelope's."""
    return any(True for name in ("to", "cc") for _ in _targets(note.get(name))) and not is_public(note)


def _targets(value: object) -> Iterator[str]:
    for target in value if isinstance(value, list) else [value]:
        if isinstance(target, str):
            yield target


def _is_below(address: str | None, actor_id: str | None) -> bool:
    return bool(address and actor_id) and str(address).startswith((f"{actor_id}/statuses/", f"{actor_id}/"))


def _content(note: Record) -> object:
    content, by_language = note.get("content"), note.get("contentMap")
    if isinstance(content, str) and content:
        return content
    values = by_language.values() if isinstance(by_language, dict) else ()
    return next((value for value in values if isinstance(value, str)), note.get("name"))


def _language_of(note: Record) -> str | None:
    by_language = note.get("contentMap")
    if isinstance(by_language, dict) and by_language:
        same = (name for name, content in by_language.items() if content == note.get("content"))
        return parse_language(next(same, next(iter(by_language))))
    return parse_language(note.get("language"))


def _text(content: object, emoji: object) -> str | None:
    """`emoji` in either form: `[{"shortcode": "a"}]` or tags `[{"type": "Emoji", "name": ":a:"}]`."""
    if not isinstance(content, str):
        return None
    names = set()
    for item in emoji if isinstance(emoji, list) else []:
        if isinstance(item, dict):
            name = item.get("shortcode") or (item.get("name") if item.get("type") == "Emoji" else None)
            names |= {name.strip(":")} if isinstance(name, str) else set()
    return plain(html_to_text(content, names)) or None


def _kind(is_boost: bool, is_reply: bool, quotes: bool) -> Kind:
    return "repost" if is_boost else "reply" if is_reply else "quote" if quotes else "original"


def _id(value: object) -> str | None:
    """Numbers, flakes and ULIDs alike are opaque text."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 128:
        return str(value)
    return value[:200] if isinstance(value, str) and value else None


def _address(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
    return value[:2_000] if isinstance(value, str) and value else None


def _activity_id(address: str | None) -> str | None:
    """The id that the server's API uses too, where it is part of the address.

    >>> _activity_id("https://social.example/users/bakery/statuses/1139")
    '1139'
    """
    found = _OWN_ID.search(address or "")
    return found[1] if found else address


def _plain_summary(value: object) -> object:
    return html_to_text(value) if isinstance(value, str) and "<" in value else value


def _words(value: object) -> str | None:
    return plain(value).strip() or None if isinstance(value, str) else None


def account_from_api(record: Record, handle: str) -> Account:
    """An account of the API, with everything it says about being found."""
    moved = record.get("moved")
    moved_to = moved.get("acct") if isinstance(moved, dict) else None
    seen = {
        "suspended": (record.get("suspended") is True, "its server says so"),
        "limited": (record.get("limited") is True, "its server says so"),
        "noindex": (record.get("noindex") is True, "noindex is set"),
        "not_indexable": (record.get("indexable") is False, "indexable is off"),
        "locked": (record.get("locked") is True, "locked is set"),
        "bot": (record.get("bot") is True, "bot is set"),
        "moved": (isinstance(moved, dict), f"to @{moved_to}" if isinstance(moved_to, str) else "it says so"),
    }
    return Account(
        handle=handle,
        platform="mastodon",
        display_name=_name(record.get("display_name"), record.get("emojis")),
        bio=_text(record.get("note"), record.get("emojis")),
        id=_id(record.get("id")),
        url=_address(record.get("url")),
        fields=_fields(record.get("fields")),
        signals={name: where for name, (holds, where) in seen.items() if holds},
    )


def account_from_actor(actor: Record, handle: str) -> Account:
    """The `actor.json` of an archive."""
    seen = {
        "suspended": (actor.get("suspended") is True, "its actor says so"),
        "not_indexable": (actor.get("indexable") is False, "indexable is off"),
        "locked": (actor.get("manuallyApprovesFollowers") is True, "it approves followers by hand"),
        "bot": (actor.get("type") in ("Service", "Application"), "its type says so"),
        "moved": (isinstance(actor.get("movedTo"), str), "it says so"),
    }
    return Account(
        handle=handle,
        platform="mastodon",
        display_name=_name(actor.get("name"), actor.get("tag")),
        bio=_text(actor.get("summary"), actor.get("tag")),
        id=_address(actor.get("id")),
        url=_address(actor.get("url")),
        fields=_fields(actor.get("attachment")),
        signals={name: where for name, (holds, where) in seen.items() if holds},
    )


def handle_of_actor(actor: Record) -> str | None:
    """`user@server`, as far as the actor says."""
    name, address = actor.get("preferredUsername"), _address(actor.get("id")) or _address(actor.get("url"))
    if not isinstance(name, str) or not name:
        return None
    try:
        server = urlsplit(address or "").netloc
    except ValueError:
        server = ""
    return f"{name}@{server}" if server else name


def _name(value: object, emoji: object) -> str | None:
    """A display name is plain text, but for the server's own emoji."""
    text = _words(value)
    return re.sub(r"\s*:[A-Za-z0-9_]{2,50}:", "", text).strip() or None if text else None


def _fields(items: object) -> tuple[str, ...]:
    lines = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and isinstance(name := item.get("name"), str):
            value = _text(item.get("value"), None)
            lines.append(plain(f"{name}: {value}" if value else name)[:500])
    return tuple(lines[:20])
