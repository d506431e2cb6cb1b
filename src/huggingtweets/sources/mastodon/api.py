"""A Mastodon account as a source, asked of its home server without a login; Pleroma, Akkoma and others too.

In: `user@server`. Out: the account, then pages of public and unlisted posts, newest first.

- The account's own server is asked: another one would give only what it has seen.
- Pages follow the `Link` header while it stays on the server; without one, the last id leads on.
- 300 pages a quarter of an hour are allowed, and the headers may hide it: from page 250 on one page every 3 s.
- Ids have no order that can be relied on, and those known may be another account's; so an update reads from the newest
  page on until one brings nothing new.
- Boosts are not asked for: they are other people's words.
- An account that turns out to be suspended or deleted, on the way too, is handed over as such. An empty page where more
  was promised is how a suspension looks, so the account is looked up once more.

Not covered: finding the server and what it says (see `mastodon.servers`), what a status means (see `mastodon.posts`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urljoin, urlsplit

from huggingtweets.config import ImportSettings
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.mastodon.posts import (
    LONGEST_ADDRESS,
    PRIVATE,
    Record,
    account_from_api,
    id_of,
    post_from_status,
)
from huggingtweets.sources.mastodon.servers import (
    Gone,
    Home,
    check_still_there,
    home_of,
    record_of,
    refusal,
    server_in,
    signals_of,
)
from huggingtweets.sources.net.http import Answer, Client, server_url
from huggingtweets.sources.net.paging import (
    SAME_PAGE,
    MakeClient,
    Patience,
    fetch_avatar,
    plain_client,
    read_cursor,
    with_signal,
    write_cursor,
)
from huggingtweets.sources.tally import Tally

READER = 1  # raised when the same account would give other posts than before
PAGE_POSTS = 40  # Mastodon's largest
QUICK_PAGES = 250
PACE_S = 3.0

SENT_TWICE = "posts that the server sent twice"

_ACCT = re.compile(r"(?:acct:)?@?([\w.-]+)@([\w-]+(?:\.[\w-]+)*(?::\d{1,5})?)", re.IGNORECASE)
_PROFILE = re.compile(
    r"https?://([^/\s@?#]+)/(?:web/)?(?:@|users/)([\w.-]+)(?:@([\w.-]+))?/?(?:[/?#].*)?", re.IGNORECASE
)


def acct_from(typed: str) -> str | None:
    """
    >>> acct_from("@bob@social.example"), acct_from("https://social.example/@bob"), acct_from("bob")
    ('bob@social.example', 'bob@social.example', None)
    """
    typed = typed.strip()
    if found := _PROFILE.fullmatch(typed):
        return f"{found[2]}@{(found[3] or found[1]).lower()}"
    found = _ACCT.fullmatch(typed)
    return f"{found[1]}@{found[2].lower()}" if found else None


@dataclass(frozen=True)
class _Place:
    """Where a download is: everything that going on takes."""

    server: str
    id: str  # of the account, on this server
    handle: str
    next: str  # the address of the page to be read
    posts: int = 0
    page: int = 1

    def write(self) -> str:
        return write_cursor(**dataclasses.asdict(self))


def _read_place(cursor: str | None) -> _Place | None:
    state = read_cursor(cursor, "server", "id", "handle", "next")
    if state is None or not all(state[name] for name in ("server", "id", "handle")):
        return None
    server, following = server_in(state["server"]), server_in(state["next"])
    if server != state["server"] or following != server:
        return None
    posts, page = (
        int(text) if re.fullmatch(r"[0-9]{1,12}", text := state.get(name, "")) else 0 for name in ("posts", "page")
    )
    return _Place(server, state["id"], state["handle"], state["next"], posts, max(1, page))


@dataclass
class MastodonSource:
    """The public posts of one account; a `Source`."""

    acct: str
    settings: ImportSettings
    client: MakeClient = plain_client

    @property
    def spec(self) -> str:
        return f"mastodon:{self.acct}"

    @property
    def handle(self) -> str:
        return safe_handle(self.settings.handle or "") or self.acct

    @property
    def origin(self) -> Origin:
        return Origin("network")

    def fingerprint(self) -> str:
        settings = self.settings
        chosen = (self.handle, settings.display_name, settings.avatar, settings.max_posts)
        return hashlib.sha256(repr((READER, self.spec, chosen)).encode("utf-8", "replace")).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then its posts, newest first; raises NoSuchAccount, NetworkTrouble and ConsentRefused."""
        tally, place, account = Tally(), _read_place(cursor), None
        with self.client(server_url(self.acct.split("@")[1]), tell) as client:
            if place is None:
                home = home_of(client, self.acct)
                try:
                    record = record_of(client, home.server, self.acct)
                except Gone as gone:
                    account = Account(self.handle, "mastodon", id=home.actor, signals={gone.signal: gone.where})
                    yield Page(account=account)
                    return
                account = self._account(record, home)
                if "suspended" in account.signals:
                    yield Page(account=account)
                    return
                signals = {**account.signals, **signals_of(client, home.server, tell)}
                account = dataclasses.replace(account, signals=signals)
                yield Page(account=account, avatar=self._avatar(client, record, tally), losses=tally.take())
                place = _first_place(home.server, id_of(record.get("id")) or "", account.handle)
            yield from self._posts(client, place, account, known, tally)

    def _account(self, record: Record, home: Home) -> Account:
        user, domain = self.acct.split("@")
        name = record.get("username")
        if isinstance(name, str) and name.casefold() == user.casefold():
            user = name  # as its owner writes it
        account = account_from_api(record, safe_handle(self.settings.handle or "") or f"{user}@{domain}")
        page = account.url if account.url and server_in(account.url) else f"{home.server}/@{user}"
        own = account.id or home.actor or f"{home.server}/api/v1/accounts/{id_of(record.get('id'))}"
        name = self.settings.display_name or account.display_name
        return dataclasses.replace(account, id=own, url=page, display_name=name)

    def _avatar(self, client: Client, record: Record, tally: Tally) -> bytes | None:
        """Not the picture that a server shows of everybody who has none."""
        if self.settings.avatar:
            return read_avatar(self.settings.avatar)
        named = (record.get("avatar_static"), record.get("avatar"))
        addresses = dict.fromkeys(name for name in named if isinstance(name, str) and server_in(name))
        return fetch_avatar(client, [name for name in addresses if not name.endswith("/missing.png")], tally)

    def _posts(
        self, client: Client, place: _Place, account: Account | None, known: Collection[str], tally: Tally
    ) -> Iterator[Page]:
        patience, reading = Patience(tally), _Reading(place, known, tally)
        while True:
            answer = client.get_json(place.next, pace_s=PACE_S if place.page > QUICK_PAGES else 0.0)
            try:
                statuses = self._statuses(client, place, answer)
            except Gone as gone:
                account = account or Account(place.handle, "mastodon")
                yield Page(account=with_signal(account, gone.signal, gone.where), losses=tally.take())
                return
            posts, goes_on = reading.page(statuses)
            if self.settings.max_posts is not None:
                posts = posts[: max(0, self.settings.max_posts - place.posts)]
            following = _next_page(answer, place)
            place = dataclasses.replace(
                place, next=following or "", posts=place.posts + len(posts), page=place.page + 1
            )
            is_enough = self.settings.max_posts is not None and place.posts >= self.settings.max_posts
            goes_on = goes_on and not is_enough and patience.goes_on(following, len(statuses))
            yield Page(tuple(posts), losses=tally.take(), cursor=place.write() if goes_on else None)
            if not goes_on:
                return

    def _statuses(self, client: Client, place: _Place, answer: Answer) -> list[object]:
        """Raises Gone, and what `refusal` makes of other answers."""
        statuses = answer.value if answer.ok and isinstance(answer.value, list) else None
        if answer.status in (404, 410) or (statuses == [] and place.page > 1):
            check_still_there(client, place.server, self.acct)
        if statuses is None:
            raise refusal(answer, place.server)
        return statuses


@dataclass
class _Reading:
    """Statuses to posts, as far as they are new."""

    place: _Place
    known: Collection[str]
    tally: Tally
    _sent: set[str] = field(default_factory=set)

    def page(self, statuses: list[object]) -> tuple[list[Post], bool]:
        """The new posts, and whether there may be more behind them."""
        fresh = [status for status in statuses if self._is_fresh(status)]
        if again := len(statuses) - len(fresh):
            self.tally.add(SENT_TWICE, count=again)
        if again and not fresh:
            self.tally.add(SAME_PAGE)
            return [], False
        posts = [post for status in fresh if (post := self._post(status))]
        new = [post for post in posts if post.id is None or post.id not in self.known]
        return new, bool(new) or not posts

    def _is_fresh(self, status: object) -> bool:
        """Whether this download has not had it yet."""
        post_id = id_of(status.get("id")) if isinstance(status, dict) else None
        if post_id is None:
            return True
        is_fresh = post_id not in self._sent
        self._sent.add(post_id)
        return is_fresh

    def _post(self, status: object) -> Post | None:
        post = post_from_status(status, self.place.handle, self.place.id)
        if not isinstance(post, str):
            return post
        post_id = id_of(status.get("id")) if isinstance(status, dict) else None
        self.tally.add(post, post_id or "" if post != PRIVATE else "")
        return None


def _first_place(server: str, account_id: str, handle: str) -> _Place:
    return _Place(server, account_id, handle, _first_page(server, account_id))


def _first_page(server: str, account_id: str) -> str:
    return f"{server}/api/v1/accounts/{quote(account_id, safe='')}/statuses?limit={PAGE_POSTS}&exclude_reblogs=true"


def _next_page(answer: Answer, place: _Place) -> str | None:
    """By the `Link` header, while it stays where we are; else by the last id."""
    statuses = answer.value if isinstance(answer.value, list) else []
    link = _joined(place.next, answer.next_link)
    if link is not None:
        return link
    if "prev" in (said := answer.headers.get("link", "").lower()) and "next" not in said:
        return None
    ids = (id_of(status.get("id")) for status in reversed(statuses) if isinstance(status, dict))
    last = next(filter(None, ids), None)
    if last is None or parse_qs(urlsplit(place.next).query).get("max_id") == [last]:
        return None
    return f"{_first_page(place.server, place.id)}&max_id={quote(last, safe='')}"


def _joined(here: str, link: str | None) -> str | None:
    if link is None or not link or len(link) > LONGEST_ADDRESS:
        return None
    try:
        address = urljoin(here, link)
        there, now = urlsplit(address), urlsplit(here)
    except ValueError:
        return None
    same = (there.scheme, there.netloc, there.path) == (now.scheme, now.netloc, now.path)
    return address if same and server_in(address) else None
