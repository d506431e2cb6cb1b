"""Mastodon's objects to posts: statuses of its API, activities of an archive, and accounts in both forms.

In: parsed JSON of which nothing is certain. Out: a `Post`, or why there is none; an `Account`.

- Only public and unlisted posts are ever handed over. What says nothing of its readers is not public, and where post
  and envelope differ the narrower counts.
- A boost is another person's words: it is counted, in both forms alike, and never read.
- One post has one id and one time in both forms: an address that ends in the server's own id is read as that id.
- Pleroma, Akkoma and GoToSocial leave keys out, use other ids and other names for quotes; all are read. Archives of the
  first two don't hold the API's ids, so there a post's id is its address.

Not covered: fetching (see `mastodon.api`), archives (see `mastodon.archive`), HTML (see `mastodon.text`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from huggingtweets.posts import Account, Kind, Post
from huggingtweets.sources.mastodon.text import html_to_text, without_emoji
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS, OTHERS
from huggingtweets.sources.values import count, is_true, parse_language, parse_time, plain

Record = Mapping[str, object]

PRIVATE = "posts that are not public (never used)"
BOOSTS = "boosts (others' words)"
NOT_NOTES = "activities that are not posts"
ELSEWHERE = "posts whose text is not in the file"
LONGEST_ADDRESS = 2_000  # characters
LONGEST_ID = 200
MOST_FIELDS = 20

_PUBLIC = frozenset(("https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"))
_OPEN = frozenset(("public", "unlisted"))
_POST_TYPES = frozenset(("Note", "Question", "Article", "Page"))
_ENVELOPES = frozenset(("Create", "Update"))
_QUOTES = ("quote", "quote_id", "quote_url", "quoteUri", "quoteUrl", "_misskey_quote")
_STATUS_PATH = re.compile(r"/status(?:es)?/([A-Za-z0-9]{1,64})(?:/activity)?/?$")
_NAME_PATH = re.compile(r"^/(?:@|users/|u/|author/|profile/)([\w.-]{1,100})/?$")
_ACCT = re.compile(r"@?([\w.-]{1,100}@[\w.-]{1,250}(?::\d{1,5})?)")
_ANY_EMOJI = re.compile(r"\s*(?<!\w):\w{2,50}:(?!\w)")


def post_from_status(status: object, account: str, account_id: str | None) -> Post | str:
    """A status of the API, or why it is no post."""
    if not isinstance(status, dict):
        return NOT_POSTS
    if text_in(status, "visibility") not in _OPEN or status.get("local_only") is True:
        return PRIVATE
    if status.get("reblog") is not None:
        return BOOSTS
    author = _first(status.get("account")).get("id")
    if account_id is not None and author is not None and id_of(author) != account_id:
        return OTHERS
    emoji = _emoji(status.get("emojis"))
    text = _text(status.get("content"), emoji)
    if not text:
        return NO_TEXT
    reply_to = id_of(status.get("in_reply_to_id"))
    answered = id_of(status.get("in_reply_to_account_id"))
    is_reply = reply_to is not None or answered is not None
    return Post(
        text=text,
        account=account,
        id=id_of(status.get("id")),
        created_at=_to_the_second(parse_time(status.get("created_at"))),
        kind="reply" if is_reply else _kind(status, status.get("pleroma"), status.get("content")),
        lang=parse_language(status.get("language")),
        html_escaped=False,
        likes=count(status.get("favourites_count")),
        reply_to=reply_to,
        self_reply=answered is not None and answered == account_id,
        sensitive=is_true(status.get("sensitive")),
        warning=_warning(status.get("spoiler_text"), emoji),
    )


def post_from_activity(
    activity: object, account: str, actor_id: str | None, is_own: Callable[[str], bool] = lambda address: False
) -> Post | str:
    """An activity of an outbox, or a bare note, or why it is no post; `is_own` tells addresses of posts beside it."""
    if not isinstance(activity, dict):
        return ELSEWHERE if address_of(activity) else NOT_POSTS
    note = note_in(activity)
    if note is None:
        return _why_no_note(activity)
    if not is_public(activity, note):
        return PRIVATE
    emoji = _emoji(note.get("tag"))
    language, content = _content(note)
    text = _text(content, emoji)
    if not text:
        return NO_TEXT
    reply_to = address_of(note.get("inReplyTo")) or address_of(note.get("inReplyToAtomUri"))
    post_id = address_of(note.get("id"))
    return Post(
        text=text,
        account=account,
        id=id_in(post_id),
        created_at=_to_the_second(parse_time(note.get("published") or activity.get("published"))),
        kind="reply" if reply_to is not None else _kind(note, None, content),
        lang=language,
        html_escaped=False,
        likes=_likes(note),
        reply_to=id_in(reply_to) if _server(reply_to) == _server(actor_id or post_id) else reply_to,
        self_reply=reply_to is not None and (_is_below(reply_to, actor_id) or is_own(reply_to)),
        sensitive=is_true(note.get("sensitive")),
        # Of an article it is the abstract, which warns of nothing.
        warning=_warning(note.get("summary"), emoji) if text_in(note, "type") in ("Note", "Question") else None,
    )


def note_in(activity: Record) -> Record | None:
    """The post that an activity creates or updates, or that it is itself.

    >>> note_in({"type": "Create", "object": {"type": "Note", "content": "hi"}})
    {'type': 'Note', 'content': 'hi'}
    """
    note = _first(activity.get("object")) if text_in(activity, "type") in _ENVELOPES else activity
    return note if text_in(note, "type") in _POST_TYPES else None


def author_in(activity: Record, note: Record) -> str | None:
    """Who wrote it, which the post knows better than its envelope."""
    return _first_address(note.get("attributedTo")) or _first_address(activity.get("actor"))


def _why_no_note(activity: Record) -> str:
    kind = text_in(activity, "type")
    if kind == "Announce":
        return BOOSTS
    return ELSEWHERE if kind in _ENVELOPES and isinstance(activity.get("object"), str) else NOT_NOTES


def is_public(activity: Record, note: Record) -> bool:
    """Whether everyone is among the readers whom post and envelope name; one of them must name some.

    >>> is_public({"to": ["as:Public"]}, {}), is_public({"to": ["as:Public"]}, {"to": ["https://a.example/followers"]})
    (True, False)
    """
    if any(thing.get("directMessage") is True for thing in (activity, note)):
        return False
    readers = [set(_readers(thing)) for thing in (activity, note)]
    return any(readers) and all(not _PUBLIC.isdisjoint(named) for named in readers if named)


def _readers(thing: Record) -> Iterator[str]:
    for name in ("to", "cc"):
        value = thing.get(name)
        for target in value if isinstance(value, list) else [value]:
            if (address := address_of(target)) is not None:
                yield address


def _kind(thing: Record, more: object, content: object) -> Kind:
    places = [thing, more] if isinstance(more, dict) else [thing]
    quotes = any(place.get(name) for place in places for name in _QUOTES)
    return "quote" if quotes or (isinstance(content, str) and "quote-inline" in content) else "original"


def _content(note: Record) -> tuple[str | None, object]:
    """Language and HTML; where several languages are there, those of `content`."""
    content, by_language = note.get("content"), note.get("contentMap")
    has_content = isinstance(content, str) and bool(content)
    for language, html in by_language.items() if isinstance(by_language, dict) else ():
        if isinstance(html, str) and (html == content or not has_content):
            return parse_language(language), html
    return parse_language(note.get("language")), content


def _text(content: object, emoji: frozenset[str]) -> str | None:
    return plain(html_to_text(content, emoji)) or None if isinstance(content, str) else None


def _emoji(items: object) -> frozenset[str]:
    """Names, of `[{"shortcode": "a"}]` or of tags `[{"type": "Emoji", "name": ":a:"}]`."""
    names = set()
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, dict):
            name = text_in(item, "shortcode") or (text_in(item, "name") if text_in(item, "type") == "Emoji" else "")
            names.add(name.strip(":"))
    return frozenset(names)


def _warning(value: object, emoji: frozenset[str]) -> str | None:
    """Plain text, but for servers that write HTML here too."""
    if not isinstance(value, str):
        return None
    text = html_to_text(value) if re.search(r"</?[a-z]+[\s/>]", value) else value
    return " ".join(plain(without_emoji(text, emoji)).split()) or None


def _likes(note: Record) -> int | None:
    likes = note.get("likes")
    return count(likes.get("totalItems")) if isinstance(likes, dict) else None


def _to_the_second(moment: datetime | None) -> datetime | None:
    """The API knows milliseconds, an archive doesn't; the same post has the same time."""
    return moment.replace(microsecond=0) if moment else None


def text_in(thing: Record, name: str) -> str:
    """A text under this name, or the first in a list of them, as linked data may write it; else none.

    >>> text_in({"type": ["Note", "Thing"]}, "type"), text_in({"type": 3}, "type")
    ('Note', '')
    """
    value = thing.get(name)
    if isinstance(value, str):
        return value
    return next((item for item in value if isinstance(item, str)), "") if isinstance(value, list) else ""


def id_of(value: object) -> str | None:
    """Numbers, flakes and ULIDs alike are opaque text."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 128:
        return str(value)
    return plain(value)[:LONGEST_ID] or None if isinstance(value, str) else None


def id_in(address: str | None) -> str | None:
    """The id that the server's API uses too, where the address ends in it; else the address.

    >>> id_in("https://social.example/users/bakery/statuses/1139"), id_in("https://a.example/objects/9b-1")
    ('1139', 'https://a.example/objects/9b-1')
    """
    found = _STATUS_PATH.search(address or "")
    return found[1] if found else address


def address_of(value: object) -> str | None:
    """An address, bare or of an object."""
    if isinstance(value, dict):
        value = value.get("id")
    return plain(value)[:LONGEST_ADDRESS] or None if isinstance(value, str) else None


def _first(value: object) -> Record:
    """An object, or the first in a list of them."""
    items = value if isinstance(value, list) else [value]
    return next((item for item in items if isinstance(item, dict)), {})


def _first_address(value: object) -> str | None:
    items = value if isinstance(value, list) else [value]
    return next(filter(None, map(address_of, items)), None)


def _is_below(address: str, actor_id: str | None) -> bool:
    return actor_id is not None and address.startswith(f"{actor_id.rstrip('/')}/")


def _server(address: str | None) -> str:
    try:
        return urlsplit(address or "").netloc.lower()
    except ValueError:
        return ""


def _path(address: str | None) -> str:
    try:
        return urlsplit(address or "").path
    except ValueError:
        return ""


def account_from_api(record: Record, handle: str) -> Account:
    """An account of the API, with everything it says about being found.

    Its id is the address that no other account anywhere has; the API's own ids are a server's.
    """
    moved = record.get("moved")
    moved_to = moved.get("acct") if isinstance(moved, dict) else None
    seen = {
        "suspended": (record.get("suspended") is True, "its server says so"),
        "limited": (record.get("limited") is True, "its server says so"),
        "noindex": (record.get("noindex") is True, "noindex is set"),
        "not_indexable": (record.get("indexable") is False, "indexable is off"),
        "locked": (record.get("locked") is True, "locked is set"),
        "bot": (record.get("bot") is True, "bot is set"),
        "moved": (
            isinstance(moved, dict),
            f"to @{plain(moved_to)[:300]}" if isinstance(moved_to, str) else "it says so",
        ),
    }
    emoji = _emoji(record.get("emojis"))
    pleroma = record.get("pleroma")
    return Account(
        handle=handle,
        platform="mastodon",
        display_name=_name(record.get("display_name"), emoji),
        bio=_text(record.get("note"), emoji),
        id=address_of(record.get("uri")) or (address_of(pleroma.get("ap_id")) if isinstance(pleroma, dict) else None),
        url=address_of(record.get("url")),
        fields=_fields(record.get("fields")),
        signals={name: where for name, (holds, where) in seen.items() if holds},
    )


def account_from_actor(actor: Record, handle: str) -> Account:
    """The `actor.json` of an archive."""
    moved_to = address_of(actor.get("movedTo"))
    seen = {
        "suspended": (actor.get("suspended") is True, "its actor says so"),
        "not_indexable": (actor.get("indexable") is False, "indexable is off"),
        "locked": (actor.get("manuallyApprovesFollowers") is True, "it approves followers by hand"),
        "bot": (text_in(actor, "type") in ("Service", "Application"), "its type says so"),
        "moved": (moved_to is not None, f"to {moved_to}"),
    }
    emoji = _emoji(actor.get("tag"))
    return Account(
        handle=handle,
        platform="mastodon",
        display_name=_name(actor.get("name"), emoji),
        bio=_text(actor.get("summary"), emoji),
        id=address_of(actor.get("id")),
        url=address_of(actor.get("url")),
        fields=_fields(actor.get("attachment")),
        signals={name: where for name, (holds, where) in seen.items() if holds},
    )


def handle_of_actor(actor: Record) -> str | None:
    """`user@server`, as far as the actor says.

    >>> handle_of_actor({"preferredUsername": "bob", "id": "https://social.example/users/bob"})
    'bob@social.example'
    """
    said = actor.get("webfinger")
    if isinstance(said, str) and (found := _ACCT.fullmatch(said.removeprefix("acct:"))):
        return found[1]
    name, server = actor.get("preferredUsername"), _server(address_of(actor.get("id")) or address_of(actor.get("url")))
    if not isinstance(name, str) or not name:
        return None
    return f"{name}@{server}" if server else name


def handle_in(address: str | None) -> str | None:
    """The handle in the address of an account.

    >>> handle_in("https://social.example/@bob"), handle_in("https://social.example/ap/users/109")
    ('bob@social.example', None)
    """
    found, server = _NAME_PATH.match(_path(address)), _server(address)
    return f"{found[1]}@{server}" if found and server else None


def _name(value: object, emoji: frozenset[str]) -> str | None:
    """A display name is plain text, but for the server's own emoji, which are often not listed."""
    if not isinstance(value, str):
        return None
    return " ".join(_ANY_EMOJI.sub("", without_emoji(plain(value), emoji)).split()) or None


def _fields(items: object) -> tuple[str, ...]:
    lines = []
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, dict) and isinstance(name := item.get("name"), str):
            value = _text(item.get("value"), frozenset())
            lines.append(plain(f"{name}: {value}" if value else name)[:500])
    return tuple(lines[:MOST_FIELDS])
