"""Bluesky's objects to posts: views of the public feed, and records as they lie in an account's own repository.

In: parsed JSON or DAG-CBOR of which nothing is certain. Out: a `Post`, an `Account`, or what the account says of AI.

- A text is plain and escapes nothing. Its links are facets, whose places are bytes of UTF-8.
- A link that is shown shortened becomes the whole address; words that a link hangs on stay, as the author's own.
- `createdAt` is what the author's program says; where that can't be, the time at which the server saw the post counts.
- A repost holds another person's words: it is of kind repost, dated when it was made.
- Only an explicit "allow: false" is a no. What is left out says nothing.

Not covered: fetching (see `bluesky.api`), the repository's file (see `bluesky.car`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from huggingtweets.posts import Account, Kind, Post
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS, OTHERS, UNREAD_TIMES, Tally
from huggingtweets.sources.values import count, items, mapping, parse_language, parse_time, plain

Record = Mapping[str, object]

POST, REPOST, PROFILE = "app.bsky.feed.post", "app.bsky.feed.repost", "app.bsky.actor.profile"
INTENTS = ("org.user-intents.declaration", "org.user-intents.demo.declaration")
AI_PREFERENCES = "community.lexicon.preference.ai"
NO_UNAUTHENTICATED = "!no-unauthenticated"
ADULT = frozenset(("porn", "sexual", "nudity", "graphic-media"))
CLOCK_ERROR = timedelta(minutes=5)  # between the author's, the server's and ours
LONGEST_URI = 1_000  # characters
LONGEST_SHOWN = 3_000  # bytes: the longest post
INVALID_HANDLE = "handle.invalid"  # what Bluesky shows for a handle that leads nowhere

_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{0,250}[A-Za-z0-9._-]")
_HANDLE = re.compile(r"(?=.{3,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URI = re.compile(r"at://([^\s/]+)/[^\s/]+/[^\s/]+")
_QUOTED_POST = re.compile(r"at://[^\s/]+/app\.bsky\.feed\.post/.")
_WEB_ADDRESS = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_SHOWN_ADDRESS = re.compile(r"https?://\S*|[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:[/?#]\S*|…|\.{2,})?", re.IGNORECASE)


@dataclass(frozen=True)
class Owner:
    """Whose posts are read, and what they are called here."""

    did: str
    handle: str


def is_did(name: str) -> bool:
    return _DID.fullmatch(name) is not None


def is_handle(name: str) -> bool:
    """
    >>> is_handle("alice.bsky.social"), is_handle("alice"), is_handle("1.2")
    (True, False, False)
    """
    return _HANDLE.fullmatch(name) is not None


def words(value: object) -> str | None:
    return plain(value).strip() or None if isinstance(value, str) else None


def uri_in(value: object) -> str | None:
    """An address of a record, `at://did/collection/key`."""
    is_uri = isinstance(value, str) and len(value) <= LONGEST_URI and value.isprintable() and _URI.fullmatch(value)
    return str(value) if is_uri else None


def is_pinned(item: object) -> bool:
    """Whether an entry of a feed is the copy of a post that its author pinned on top."""
    return _type_of(mapping(item).get("reason")).endswith("#reasonPin")


def post_from_view(item: object, owner: Owner, now: datetime, tally: Tally) -> Post | None:
    """An entry of the public feed; what is none of the owner's is counted."""
    view, reason = mapping(mapping(item).get("post")), mapping(mapping(item).get("reason"))
    record, uri = mapping(view.get("record")), uri_in(view.get("uri"))
    if not record:
        tally.add(NOT_POSTS, uri or "")
        return None
    if _type_of(reason).endswith("#reasonRepost"):
        return _repost(view, record, reason, owner, now, tally)
    if mapping(view.get("author")).get("did") != owner.did:
        tally.add(OTHERS, uri or "")
        return None
    post = post_from_record(record, uri, owner, now, tally, seen=view.get("indexedAt"))
    return dataclasses.replace(post, likes=count(view.get("likeCount"))) if post else None


def _repost(view: Record, record: Record, reason: Record, owner: Owner, now: datetime, tally: Tally) -> Post | None:
    if mapping(reason.get("by")).get("did", owner.did) != owner.did:
        tally.add(OTHERS, uri_in(view.get("uri")) or "")
        return None
    dated = {**record, "createdAt": reason.get("indexedAt")}
    post = post_from_record(dated, uri_in(reason.get("uri")), owner, now, tally, seen=view.get("indexedAt"))
    return dataclasses.replace(post, kind="repost", reply_to=None, self_reply=False) if post else None


def post_from_record(
    record: object, uri: str | None, owner: Owner, now: datetime, tally: Tally, seen: object = None
) -> Post | None:
    """A record of `app.bsky.feed.post`; `seen` is when the server first saw it, where known."""
    record = mapping(record)
    text = record.get("text")
    if not isinstance(text, str) or record.get("$type", POST) != POST:
        tally.add(NOT_POSTS, uri or "")
        return None
    text = plain(expand_links(text, record.get("facets")))
    if not text.strip():
        tally.add(NO_TEXT, uri or "")
        return None
    parent = uri_in(mapping(mapping(record.get("reply")).get("parent")).get("uri"))
    return Post(
        text=text,
        account=owner.handle,
        id=uri,
        created_at=_written_at(record.get("createdAt"), seen, now, tally, uri or ""),
        kind=_kind(record, parent),
        lang=next(filter(None, map(parse_language, items(record.get("langs"))[:9])), None),
        html_escaped=False,
        reply_to=parent,
        self_reply=parent is not None and parent.startswith(f"at://{owner.did}/"),
        sensitive=not ADULT.isdisjoint(_own_labels(record)),
    )


def _kind(record: Record, parent: str | None) -> Kind:
    if parent is not None or mapping(record.get("reply")):
        return "reply"
    embed = mapping(record.get("embed"))
    quoted = mapping(embed.get("record"))
    if _type_of(embed) == "app.bsky.embed.recordWithMedia":
        quoted = mapping(quoted.get("record"))
    uri = quoted.get("uri")  # may lead to a list, a feed or a starter pack as well
    is_quote = _type_of(embed).startswith("app.bsky.embed.record") and isinstance(uri, str) and _QUOTED_POST.match(uri)
    return "quote" if is_quote else "original"


def _written_at(created: object, seen: object, now: datetime, tally: Tally, example: str) -> datetime | None:
    for value in (created, seen):
        moment = parse_time(value) if isinstance(value, str) else None
        if moment is not None and moment <= now + CLOCK_ERROR:
            return moment
    tally.add(UNREAD_TIMES, example)
    return None


def _type_of(value: object) -> str:
    kind = mapping(value).get("$type")
    return kind if isinstance(kind, str) else ""


def _own_labels(record: Record) -> Iterator[str]:
    """What authors write on their own posts and profiles."""
    for label in items(mapping(record.get("labels")).get("values")):
        if isinstance(value := mapping(label).get("val"), str):
            yield value


def expand_links(text: str, facets: object) -> str:
    """Shown addresses written out; ranges that can't be, or that lie in another, are passed over.

    >>> place = {"byteStart": 4, "byteEnd": 18}
    >>> link = {"$type": "app.bsky.richtext.facet#link", "uri": "https://bake.example/loaves"}
    >>> expand_links("See bake.example/... today", [{"index": {"byteStart": 4, "byteEnd": 20}, "features": [link]}])
    'See https://bake.example/loaves today'
    """
    data = text.encode("utf-8", "surrogatepass")
    pieces, end = [], 0
    for start, stop, address in sorted(_links(data, facets)):
        if start < end:
            continue
        shown = data[start:stop].decode("utf-8", "surrogatepass")
        if not _SHOWN_ADDRESS.fullmatch(shown.strip()):
            continue
        following = data[stop : stop + 4].decode("utf-8", "ignore")[:1]
        # Where no space is needed after a link, as in Japanese, the address would run on into the next word.
        pieces += [data[end:start], address.encode("utf-8", "surrogatepass"), b" " if following.isalnum() else b""]
        end = stop
    return b"".join([*pieces, data[end:]]).decode("utf-8", "surrogatepass")


def _links(data: bytes, facets: object) -> Iterator[tuple[int, int, str]]:
    """Start, end and address of every link whose place is one."""
    for facet in map(mapping, items(facets)):
        index = mapping(facet.get("index"))
        start, stop = index.get("byteStart"), index.get("byteEnd")
        # type() rather than isinstance(): True is no place
        if type(start) is not int or type(stop) is not int or not 0 <= start < stop <= len(data):
            continue
        if stop - start > LONGEST_SHOWN:
            continue
        if not (_is_boundary(data, start) and _is_boundary(data, stop)):
            continue
        for feature in map(mapping, items(facet.get("features"))):
            address = feature.get("uri")
            if _type_of(feature).endswith("facet#link") and isinstance(address, str) and _WEB_ADDRESS.match(address):
                yield start, stop, re.sub(r"\s", "%20", address)
                break


def _is_boundary(data: bytes, place: int) -> bool:
    """Whether a character begins or the text ends here."""
    return place == len(data) or data[place] & 0xC0 != 0x80


def account_from_profile(profile: Record, did: str, handle: str) -> Account:
    """Of the view that the public feed's server gives."""
    labels = (mapping(label) for label in items(profile.get("labels")))
    is_hidden = any(
        label.get("src") == did and label.get("val") == NO_UNAUTHENTICATED and label.get("neg") is not True
        for label in labels
    )
    return _account(profile, did, handle, handle_in(profile) or did, is_hidden)


def handle_in(profile: Record) -> str | None:
    handle = profile.get("handle")
    valid = isinstance(handle, str) and is_handle(handle.lower()) and handle.lower() != INVALID_HANDLE
    return str(handle).lower() if valid else None


def account_from_record(profile: Record, did: str, handle: str) -> Account:
    """Of the profile's record in the account's repository."""
    return _account(profile, did, handle, did, NO_UNAUTHENTICATED in set(_own_labels(profile)))


def _account(profile: Record, did: str, handle: str, name: str, is_hidden: bool) -> Account:
    lines = ((field, words(profile.get(field))) for field in ("pronouns", "website"))
    return Account(
        handle=handle,
        platform="bluesky",
        display_name=words(profile.get("displayName")),
        bio=words(profile.get("description")),
        id=did,
        url=f"https://bsky.app/profile/{name}",
        fields=tuple(f"{field}: {line}" for field, line in lines if line),
        signals={"no_unauthenticated": f"its profile is labelled {NO_UNAUTHENTICATED}"} if is_hidden else {},
    )


def signals_of_intents(record: object, collection: str) -> dict[str, str]:
    """What a declaration of User Intents (Bluesky's proposal 0008) says no to.

    >>> signals_of_intents({"syntheticContentGeneration": {"allow": False}}, "org.user-intents.declaration")
    {'no_ai': 'its record org.user-intents.declaration does not allow syntheticContentGeneration'}
    """
    weights = {"no_ai": "syntheticContentGeneration", "noindex": "bulkDataset"}
    return {
        signal: f"its record {collection} does not allow {intent}"
        for signal, intent in weights.items()
        if mapping(mapping(record).get(intent)).get("allow") is False
    }


def signals_of_preferences(record: object, did: str) -> dict[str, str]:
    """What a record of `community.lexicon.preference.ai` says no to, where it is about an account's posts."""
    preferences = mapping(mapping(record).get("preferences"))
    refused = [
        name for name in ("training", "syntheticContent") if mapping(preferences.get(name)).get("allow") is False
    ]
    if not refused or not _covers_posts(mapping(record).get("scope"), did):
        return {}
    return {"no_ai": f"its record {AI_PREFERENCES} does not allow {' and '.join(refused)}"}


def _covers_posts(scope: object, did: str) -> bool:
    """A scope is global, or names collections, repositories or parties; the last are not us."""
    if not mapping(scope) or _type_of(scope).endswith("#globalScope"):
        return True
    named = [value for name, value in mapping(scope).items() if name != "$type"]
    named += [value for values in named for value in items(values)]
    return any(_names_posts(value, did) for value in named if isinstance(value, str))


def _names_posts(name: str, did: str) -> bool:
    """
    >>> [_names_posts(name, "did:plc:a") for name in ("app.bsky.*", "at://did:plc:a", "app.bsky.feed.like")]
    [True, True, False]
    """
    repository = name.removeprefix("at://")
    if repository == did:
        return True
    collection = repository.removeprefix(f"{did}/").split("/")[0]
    return collection in ("*", POST) or (collection.endswith(".*") and POST.startswith(collection[:-1]))
