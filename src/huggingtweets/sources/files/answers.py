"""Saved answers of Bluesky's and Mastodon's APIs, one object at a time: whose it is, and the post in it.

In: a JSON object. Out: whether it is of these networks at all; then a post, a profile, or why it is neither.

- Bluesky: entries of a feed, views of posts, records with their address or bare, profiles.
- Mastodon and its relatives: statuses, accounts, and the activities of an outbox.
- Authors are told apart by what stays when a handle changes: a DID, an account's id, an actor's address.
- The same functions as for the networks themselves make the posts, so that a saved answer gives what the live one does.

Not covered: pages, which `files.shapes` opens; an archive's other files (see `mastodon.archive`).
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from urllib.parse import urlsplit

from huggingtweets.posts import Account, Post
from huggingtweets.sources.bluesky.posts import (
    Owner,
    Record,
    account_from_profile,
    handle_in,
    is_did,
    post_from_record,
    post_from_view,
    uri_in,
    words,
)
from huggingtweets.sources.files.authors import Author
from huggingtweets.sources.files.columns import TEXT, normal
from huggingtweets.sources.files.found import Found, Profile, Read, Unusable
from huggingtweets.sources.mastodon.posts import (
    account_from_api,
    address_of,
    author_in,
    id_of,
    note_in,
    post_from_activity,
    post_from_status,
    text_in,
)
from huggingtweets.sources.mastodon.posts import (
    handle_in as handle_at,
)
from huggingtweets.sources.tally import Tally
from huggingtweets.sources.values import mapping

_PAGES = frozenset(("feed", "posts", "records", "statuses", "orderedItems"))
_ABOUT_PAGES = frozenset(("cursor", "hitsTotal", "accounts", "hashtags", "@context", "id", "type", "totalItems"))
_ACTIVITIES = frozenset(("Create", "Update", "Announce", "Delete", "Undo", "Like", "Move", "Add", "Remove", "Flag"))
_NOTES = frozenset(("Note", "Question", "Article", "Page"))


def is_answer(record: Record) -> bool:
    """
    >>> is_answer({"content": "<p>hi</p>", "visibility": "public", "account": {"id": "1"}}), is_answer({"text": "hi"})
    (True, False)
    """
    return _is_bluesky(record) or _is_status(record) or _is_account(record) or _is_activity(record)


def is_empty_page(value: Record) -> bool:
    """Whether this is a page without posts, as the last of an account is.

    >>> is_empty_page({"feed": []}), is_empty_page({"feed": [], "text": "hi"})
    (True, False)
    """
    pages = _PAGES & value.keys()
    return bool(pages) and value.keys() <= _PAGES | _ABOUT_PAGES and all(value[name] == [] for name in pages)


def read(record: Record, now: datetime) -> Read:
    """What an answer holds; a time after `now` is not believed."""
    if _is_bluesky(record):
        return _of_bluesky(record, now)
    if _is_status(record):
        return _of_mastodon(record)
    if _is_account(record) and (author := _author_of_account(record)) is not None:
        return Profile(author)
    return _of_outbox(record)


def account_of(author: Author, handle: str) -> Account:
    """The account of somebody whom one of these APIs described, or named at least."""
    if author.network == "bluesky":
        return account_from_profile(author.profile or {}, author.key, handle)
    account = account_from_api(author.profile or {}, handle)
    address = author.key if "://" in author.key else None  # the API's own ids are one server's
    return dataclasses.replace(account, id=account.id or address)


def _is_bluesky(record: Record) -> bool:
    if "uri" in record and (isinstance(record.get("record"), dict) or isinstance(record.get("value"), dict)):
        return uri_in(record["uri"]) is not None
    if isinstance(post := record.get("post"), dict):
        return isinstance(post.get("record"), dict) or uri_in(post.get("uri")) is not None
    kind = record.get("$type")
    return (isinstance(kind, str) and kind.startswith("app.bsky.")) or _is_profile(record)


def _is_profile(record: Record) -> bool:
    did = record.get("did")
    return isinstance(did, str) and isinstance(record.get("handle"), str) and is_did(did) and not _has_text(record)


def _has_text(record: Record) -> bool:
    """Whether this is rather a row of a table that names its author."""
    return not set(TEXT).isdisjoint(map(normal, record))


def _of_bluesky(record: Record, now: datetime) -> Read:
    if _is_profile(record):
        return Profile(_author_of_view(record) or Author(str(record["did"])))
    if "post" not in record and not isinstance(record.get("record"), dict):
        return _of_repository(record, now)
    item = record if "post" in record else {"post": record}
    reposter = mapping(mapping(item.get("reason")).get("by"))
    author = _author_of_view(reposter or mapping(mapping(item.get("post")).get("author")))
    tally = Tally()
    owner = Owner(author.key if author else "", "")
    return _read_post(post_from_view(item, owner, now, tally), author, tally, mapping(item.get("post")).get("uri"))


def _of_repository(record: Record, now: datetime) -> Read:
    """A record as it lies in a repository, with its address or without."""
    uri = uri_in(record.get("uri"))
    did = uri.removeprefix("at://").split("/")[0] if uri else ""
    author = Author(did, network="bluesky") if is_did(did) else None
    tally = Tally()
    post = post_from_record(record.get("value", record), uri, Owner(did, ""), now, tally)
    return _read_post(post, author, tally, uri)


def _read_post(post: Post | None, author: Author | None, tally: Tally, example: object) -> Found | Unusable:
    losses = tally.take()
    if post is None:
        return Unusable(losses[0].what, losses[0].example or str(uri_in(example) or ""))
    return Found(post, author, tells_reposts=True, details_lost=tuple((loss.what, loss.example) for loss in losses))


def _author_of_view(view: Record) -> Author | None:
    did = view.get("did")
    if not isinstance(did, str) or not is_did(did):
        return None
    name = words(view.get("displayName"))
    return Author(did, handle_in(view), name, words(view.get("description")), network="bluesky", profile=view)


def _is_status(record: Record) -> bool:
    return "content" in record and "visibility" in record and isinstance(record.get("account"), dict)


def _is_account(record: Record) -> bool:
    return isinstance(record.get("acct"), str) and isinstance(record.get("username"), str) and not _has_text(record)


def _of_mastodon(status: Record) -> Found | Unusable:
    author = _author_of_account(mapping(status.get("account")))
    post = post_from_status(status, "", id_of(mapping(status.get("account")).get("id")))
    if isinstance(post, str):
        return Unusable(post, id_of(status.get("id")) or "")
    return Found(post, author, tells_reposts=True)


def _author_of_account(account: Record) -> Author | None:
    """By the address that no other account has, else by an id, which tells apart what one server answered."""
    handle = words(account.get("acct"))
    if handle is not None and "@" not in handle and (server := _host(account.get("url"))):
        handle = f"{handle}@{server}"
    key = address_of(account.get("uri")) or id_of(account.get("id")) or handle
    return Author(key, handle, network="mastodon", profile=account) if key else None


def _is_activity(record: Record) -> bool:
    kind = text_in(record, "type")
    is_envelope = kind in _ACTIVITIES and "object" in record and "actor" in record
    return is_envelope or (kind in _NOTES and "content" in record and "attributedTo" in record)


def _of_outbox(activity: Record) -> Found | Unusable:
    note = note_in(activity)
    address = author_in(activity, note) if note is not None else None
    post = post_from_activity(activity, "", address)
    if isinstance(post, str):
        return Unusable(post, address_of(activity.get("id")) or "")
    author = Author(address, handle_at(address), network="mastodon") if address else None
    return Found(post, author, tells_reposts=True)


def _host(address: object) -> str:
    try:
        return urlsplit(address).netloc.lower() if isinstance(address, str) else ""
    except ValueError:  # no address at all
        return ""
