"""A Bluesky account as a source, read without a login: the public feed, or the account's own server.

In: a handle or a DID. Out: the account, then pages of posts, newest first.

- The public feed holds reposts too. With `--own-server` the records are read where they lie, which are only the
  account's own.
- Posts are asked for by DID, so that a change of handle on the way does not matter.
- What the account says about AI lies on its own server, which the DID document names. While that can't be asked
  nothing is fetched: a no must not be missed because a server was down.
- An account that turns out to be suspended or gone, on the way too, is handed over as such, without posts.

Not covered: what a record means (see `bluesky.posts`), the file that the app exports (see `bluesky.car`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote

from huggingtweets.config import ImportSettings
from huggingtweets.errors import NoSuchAccount
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.bluesky.posts import (
    POST,
    Owner,
    Record,
    account_from_profile,
    handle_in,
    is_did,
    is_handle,
    is_pinned,
    post_from_record,
    post_from_view,
    uri_in,
)
from huggingtweets.sources.bluesky.servers import (
    Addresses,
    addresses,
    checked,
    cursor_in,
    error_in,
    is_about_nobody,
    own_server,
    said_of_ai,
    trouble,
)
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.net.hosts import server_in
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.net.paging import (
    Gone,
    MakeClient,
    Patience,
    fetch_avatar,
    plain_client,
    read_cursor,
    with_signal,
    write_cursor,
)
from huggingtweets.sources.tally import NOT_POSTS, OTHERS, Tally, shorten
from huggingtweets.sources.values import items, mapping

READER = 1  # raised when the same account would give other posts than before
PAGE_POSTS = 100  # the largest
MOST_PINNED = 100

PINNED = "pinned copies of posts that are there in their place too"

_PROFILE_PAGE = re.compile(r"(?:https?://)?(?:www\.)?bsky\.app/profile/([^/?#\s]+).*|at://([^/?#\s]+).*", re.IGNORECASE)


def actor_from(typed: str) -> str:
    """The handle or DID in whatever a person typed or pasted.

    >>> actor_from("@Alice.bsky.social"), actor_from("https://bsky.app/profile/did:plc:abc/post/3k")
    ('alice.bsky.social', 'did:plc:abc')
    """
    name = "".join(char for char in typed if char.isprintable()).strip()  # the app's own copies hold invisible marks
    if found := _PROFILE_PAGE.fullmatch(name):
        name = unquote(found[1] or found[2])
    return name.removeprefix("@").rstrip(".").lower()


@dataclass(frozen=True)
class _Place:
    """Where a download is: everything that going on takes."""

    owner: Owner
    server: str = ""  # the account's own; "": the public feed
    next: str = ""  # the server's cursor; "": from the newest
    posts: int = 0

    def write(self) -> str:
        return write_cursor(
            did=self.owner.did, handle=self.owner.handle, server=self.server, next=self.next, posts=self.posts
        )


def _read_place(cursor: str | None) -> _Place | None:
    state = read_cursor(cursor, "did", "handle", "server", "next")
    if state is None or not is_did(state["did"]) or not state["handle"]:
        return None
    if state["server"] and server_in(state["server"]) is None:
        return None
    posts = state.get("posts", "")
    number = int(posts) if posts.isascii() and posts.isdigit() and len(posts) < 16 else 0
    return _Place(Owner(state["did"], state["handle"]), state["server"], state["next"], number)


@dataclass
class BlueskySource:
    """The posts of one account; a `Source`."""

    actor: str  # as `addresses` gives it
    settings: ImportSettings
    client: MakeClient = plain_client
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def spec(self) -> str:
        return f"bluesky:{self.actor}"

    @property
    def handle(self) -> str:
        return safe_handle(self.settings.handle or "") or self.actor

    @property
    def origin(self) -> Origin:
        return Origin("network")

    def fingerprint(self) -> str:
        settings = self.settings
        chosen = (self.handle, settings.display_name, settings.avatar, settings.max_posts, settings.own_server)
        return hashlib.sha256(repr((READER, self.spec, chosen)).encode("utf-8", "replace")).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then its posts, newest first; raises NoSuchAccount and NetworkTrouble."""
        if not (is_did(self.actor) or is_handle(self.actor)):
            raise self._no_such_account()
        where, tally = addresses(self.env), Tally()
        place = _read_place(cursor)
        with self.client(where.api, tell) as client:
            account = None
            if place is None:
                try:
                    profile = self._profile(client, where)
                except Gone as gone:
                    did = self.actor if is_did(self.actor) else None
                    yield Page(account=Account(self.handle, "bluesky", id=did, signals={gone.signal: gone.where}))
                    return
                account, server = self._account(client, where, profile)
                if server is None:
                    yield Page(account=account)
                    return
                yield Page(account=account, avatar=self._avatar(client, profile, tally), losses=tally.take())
                owner = Owner(account.id or "", account.handle)
                place = _Place(owner, server if self.settings.own_server else "")
            yield from self._posts(client, where, place, account, known, tally)

    def _no_such_account(self, said: str = "") -> NoSuchAccount:
        typed = shorten(self.actor)
        is_short = bool(re.fullmatch(r"[a-z0-9-]+", self.actor))
        return NoSuchAccount(
            f"Bluesky knows no account {typed}.",
            why=f"Did you mean {typed}.bsky.social?" if is_short else said,
            next=f"pass @{typed}.bsky.social" if is_short else "check the spelling on the account's own page",
        )

    def _profile(self, client: Client, where: Addresses) -> Record:
        address = f"{where.api}/xrpc/app.bsky.actor.getProfile"
        answer = client.get_json(address, {"actor": self.actor})
        name, message = error_in(answer)
        if answer.status == 400 and name in ("InvalidRequest", "ActorNotFound"):
            raise self._no_such_account("" if is_about_nobody(message) or not message else f"It says: {message}.")
        profile = checked(answer, address)
        did = profile.get("did")
        if not (isinstance(did, str) and is_did(did)):
            raise trouble(address, "described the account without its DID")
        return profile

    def _account(self, client: Client, where: Addresses, profile: Record) -> tuple[Account, str | None]:
        """The account with all it says of itself, and its own server; None where that one says it is gone."""
        did = str(profile["did"])
        handle = safe_handle(self.settings.handle or "") or handle_in(profile) or self.actor
        account = account_from_profile(profile, did, handle)
        if self.settings.display_name:
            account = dataclasses.replace(account, display_name=self.settings.display_name)
        try:
            server = own_server(client, where, did)
            said = said_of_ai(client, server, did)
        except Gone as gone:
            return with_signal(account, gone.signal, gone.where), None
        return dataclasses.replace(account, signals={**account.signals, **said}), server

    def _avatar(self, client: Client, profile: Record, tally: Tally) -> bytes | None:
        if self.settings.avatar:
            return read_avatar(self.settings.avatar)
        address = profile.get("avatar")
        return fetch_avatar(client, [address] if isinstance(address, str) and server_in(address) else [], tally)

    def _posts(
        self,
        client: Client,
        where: Addresses,
        place: _Place,
        account: Account | None,
        known: Collection[str],
        tally: Tally,
    ) -> Iterator[Page]:
        patience, reading = Patience(tally), _Reading(place.owner, self.now(), known, tally)
        while True:
            try:
                value = _feed_page(client, where, place)
            except Gone as gone:
                account = account or Account(place.owner.handle, "bluesky", id=place.owner.did)
                yield Page(account=with_signal(account, gone.signal, gone.where), losses=tally.take())
                return
            entries = value.get("records" if place.server else "feed")
            posts, all_known = reading.page(entries, is_feed=not place.server)
            if self.settings.max_posts is not None:
                posts = posts[: max(0, self.settings.max_posts - place.posts)]
            place = dataclasses.replace(place, next=cursor_in(value, tally) or "", posts=place.posts + len(posts))
            is_enough = self.settings.max_posts is not None and place.posts >= self.settings.max_posts
            goes_on = not is_enough and not all_known and patience.goes_on(place.next or None, len(items(entries)))
            yield Page(tuple(posts), losses=tally.take(), cursor=place.write() if goes_on else None)
            if not goes_on:
                return


@dataclass
class _Reading:
    """Entries to posts, as far as they are new."""

    owner: Owner
    now: datetime
    known: Collection[str]
    tally: Tally
    _pinned: set[str] = field(default_factory=set)

    def page(self, entries: object, *, is_feed: bool) -> tuple[list[Post], bool]:
        """The new posts, and whether there were only known ones."""
        if not isinstance(entries, list):
            self.tally.add(NOT_POSTS)
        read = self._feed if is_feed else self._record
        posts = [post for entry in items(entries) if (post := read(entry))]
        new = [post for post in posts if post.id is None or post.id not in self.known]
        all_known = any(post.id in self.known for post in posts) and not any(post.id for post in new)
        return ([] if all_known else new), all_known

    def _feed(self, entry: object) -> Post | None:
        uri = uri_in(mapping(mapping(entry).get("post")).get("uri"))
        if uri is not None and is_pinned(entry) and len(self._pinned) < MOST_PINNED:
            self._pinned.add(uri)
        elif uri in self._pinned and not mapping(mapping(entry).get("reason")):
            self.tally.add(PINNED, uri or "")
            return None
        return post_from_view(entry, self.owner, self.now, self.tally)

    def _record(self, entry: object) -> Post | None:
        uri = uri_in(mapping(entry).get("uri"))
        if uri is not None and not uri.startswith(f"at://{self.owner.did}/{POST}/"):
            self.tally.add(OTHERS, uri)
            return None
        return post_from_record(mapping(entry).get("value"), uri, self.owner, self.now, self.tally)


def _feed_page(client: Client, where: Addresses, place: _Place) -> Record:
    params: dict[str, str | int] = {"limit": PAGE_POSTS}
    if place.server:
        address = f"{place.server}/xrpc/com.atproto.repo.listRecords"
        params |= {"repo": place.owner.did, "collection": POST}
    else:
        address = f"{where.api}/xrpc/app.bsky.feed.getAuthorFeed"
        params |= {"actor": place.owner.did, "filter": "posts_with_replies"}
    if place.next:
        params["cursor"] = place.next
    return checked(client.get_json(address, params), address)
