"""An account on X as a source, read through the API that X charges for.

In: a name, and a bearer token from the environment. Out: the account, then pages of posts, newest first.

- What it costs at most is said before anything is asked. The account is looked up once, and every page is asked for
  once: the cursor holds what going on takes.
- X hands over the newest 3,200 posts, retweets included; retweets are not asked for.
- Posts are asked for by id, so that a change of name on the way does not matter.
- A protected or suspended account is handed over as such, without posts, on the way too.
- The token goes to the API's own address and nowhere else: faces are fetched by a client that doesn't have it, and it
  is taken out of every answer. It is in no cursor, spec or fingerprint.
- robots.txt is not asked for: the agreement that comes with a token says what may be read.

Not covered: the archive that X makes for an account's owner (see `x.archive`): it is free and whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from huggingtweets.config import ImportSettings
from huggingtweets.errors import NetworkTrouble, NoSuchAccount, SettingsError, SourceError, UnknownSource
from huggingtweets.posts import Account
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.net.hosts import server_in
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.net.paging import Gone, MakeClient, Patience, fetch_avatar, plain_client, with_signal
from huggingtweets.sources.tally import Tally, shorten
from huggingtweets.sources.values import count, parse_id
from huggingtweets.sources.x.api_answers import user_in
from huggingtweets.sources.x.api_pages import (
    FEWEST,
    MOST_POSTS,
    Api,
    Dialect,
    Pager,
    Place,
    Reading,
    after,
    newest_of,
    read_place,
    size_of_page,
)
from huggingtweets.sources.x.posts import Record, account_from_user

READER = 1  # raised when the same account would give other posts than before
API = "https://api.x.com"
TOKENS = ("X_BEARER_TOKEN", "BEARER_TOKEN", "TWITTER_BEARER_TOKEN")  # the first that is set
POST_PRICE, ACCOUNT_PRICE = 5, 10  # thousandths of a dollar: X's price list, August 2026

TERMS = (
    "X's developer agreement forbids training a foundation or frontier model on what its API hands out, and X's "
    "guidelines forbid training any model on it: a small bot is a grey area by the one, and not allowed by the other.\n"
    "For an account of your own, better take the archive that X makes for you (Settings, Your account, Download an "
    "archive of your data): it is free and whole, and those terms are not about it, as far as we can see."
)

_USER_FIELDS = "description,entities,name,profile_image_url,protected,public_metrics,username"
_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.|mobile\.|m\.)?(?:x|twitter)\.com/@?([^/?#\s]*).*", re.IGNORECASE | re.DOTALL
)
_NO_ACCOUNTS = frozenset(
    ("compose", "explore", "hashtag", "home", "i", "intent", "login", "search", "settings", "share")
)
_TOKEN = re.compile(r"[\x21-\x7e]{1,2000}")
_FACE = re.compile(r"_normal(\.\w{1,5})?$")
_NO_FACE = "/default_profile_images/"


def name_from(typed: str) -> str:
    """The account's name in whatever a person typed or pasted; raises UnknownSource.

    >>> name_from("@NASA"), name_from("https://x.com/NASA/status/1"), name_from("twitter.com/NASA")
    ('NASA', 'NASA', 'NASA')
    """
    name = "".join(char for char in typed if char.isprintable()).strip()
    page = _PAGE.fullmatch(name)
    name = (page[1] if page else name).removeprefix("@")
    if not _NAME.fullmatch(name) or (page and name.lower() in _NO_ACCOUNTS):
        raise UnknownSource(
            f"{shorten(typed) or 'Nothing'} names no account on X.",
            why="A name there has 1 to 15 letters of a to z, digits and underscores.",
            next="pass it as @name, such as @nasa",
        )
    return name


def most_charged(wanted: int) -> int:
    """How many posts X may charge for when so many are wanted: no page has fewer than five.

    >>> most_charged(3_200), most_charged(1)
    (3200, 5)
    """
    return min(wanted + FEWEST - 1, MOST_POSTS)


def price_of(wanted: int, dialect: Dialect) -> str:
    """
    >>> price_of(3_200, "tweet")
    "at most $16.01 (3,200 posts at $0.005, and $0.010 for the account; see X's price list)"
    """
    posts = most_charged(wanted)
    what = f"{wanted:,} posts"
    if posts > wanted:
        what += f", up to {posts - wanted} more because X hands over no fewer than {FEWEST} at once,"
    if dialect == "post":
        posts *= 3
        what += ", up to two that each of them answers or quotes,"
    total = _dollars(posts * POST_PRICE + ACCOUNT_PRICE)
    return f"at most {total} ({what} at $0.005, and $0.010 for the account; see X's price list)"


def _dollars(thousandths: int) -> str:
    """Rounded up to the cent.

    >>> _dollars(16_010), _dollars(35)
    ('$16.01', '$0.04')
    """
    cents = -(-thousandths // 10)
    return f"${cents // 100:,}.{cents % 100:02}"


@dataclass
class XSource:
    """The posts of one account; a `Source`."""

    name: str  # as `name_from` gives it
    settings: ImportSettings
    client: MakeClient = plain_client
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def spec(self) -> str:
        return f"x:{self.name.lower()}"  # names on X have no case

    @property
    def handle(self) -> str:
        return safe_handle(self.settings.handle or "") or self.name

    @property
    def origin(self) -> Origin:
        return Origin("network", terms=TERMS, price=price_of(self._wanted, self.settings.x_dialect))

    @property
    def _wanted(self) -> int:
        return min(self.settings.max_posts or MOST_POSTS, MOST_POSTS)

    def fingerprint(self) -> str:
        settings = self.settings
        chosen = (self.handle.lower(), settings.display_name, settings.avatar, self._wanted)
        return hashlib.sha256(repr((READER, self.spec, chosen)).encode("utf-8", "replace")).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then its posts, newest first; raises NoSuchAccount, SourceError and NetworkTrouble."""
        if not _NAME.fullmatch(self.name):
            raise self._no_such_account()
        address, token = _address(self.env), _token(self.env)
        face = read_avatar(self.settings.avatar) if self.settings.avatar else None  # before anything is paid for
        place, account = read_place(cursor), None
        plain = dataclasses.replace(self.client(address, tell), robots=False)
        with plain, dataclasses.replace(plain, headers={"Authorization": f"Bearer {token}"}) as client:
            api = Api(client, address, token.encode())
            if place is None:
                first, place = self._meet(api, plain, face, known)
                account = first.account
                yield first
            if place is not None:
                account = account or Account(self._known_as(place.name), "x", id=place.id)
                yield from self._posts(Pager(api, self.settings.x_dialect, tell), place, account, known)

    def _meet(self, api: Api, plain: Client, face: bytes | None, known: Collection[str]) -> tuple[Page, Place | None]:
        """The account, and where its posts begin; None where nobody may have them."""
        try:
            user = self._user(api)
        except Gone as gone:
            return Page(account=Account(self.handle, "x", signals={gone.signal: gone.where})), None
        account, place, tally = self._account(user), self._place(user, known), Tally()
        if account.signals:
            return Page(account=account), None
        face = face or fetch_avatar(plain, _faces(user), tally)
        return Page(account=account, avatar=face, losses=tally.take(), cursor=place.write()), place

    def _no_such_account(self) -> NoSuchAccount:
        return NoSuchAccount(
            f"X knows no account @{shorten(self.name)}.", next="check the spelling on the account's own page"
        )

    def _user(self, api: Api) -> Record:
        try:
            user = user_in(api.get(f"users/by/username/{self.name}", {"user.fields": _USER_FIELDS}), self.name)
        except Gone as gone:
            if gone.signal == "deleted":
                raise self._no_such_account() from gone
            raise
        if not re.fullmatch("[0-9]{1,25}", parse_id(user.get("id")) or ""):
            raise NetworkTrouble("X described the account without its id.", next="run the same command again later")
        return user

    def _known_as(self, name: str) -> str:
        return safe_handle(self.settings.handle or "") or name

    def _account(self, user: Record) -> Account:
        account = account_from_user(user, self.name)
        name = self.settings.display_name or account.display_name
        return dataclasses.replace(account, handle=self._known_as(account.handle), display_name=name)

    def _place(self, user: Record, known: Collection[str]) -> Place:
        metrics = user.get("public_metrics")
        counts = metrics if isinstance(metrics, dict) else {}
        return Place(
            id=parse_id(user.get("id")) or "",
            name=account_from_user(user, self.name).handle,
            since=newest_of(known),
            total=count(counts.get("tweet_count")) or count(counts.get("post_count")) or 0,
        )

    def _posts(self, pager: Pager, place: Place, account: Account, known: Collection[str]) -> Iterator[Page]:
        tally = Tally()
        patience, reading = Patience(tally), Reading(account.handle, place.id, known, tally)
        goes_on = place.posts < self._wanted
        while goes_on:
            try:
                fetched = pager.fetch(place, size_of_page(self._wanted - place.posts))
            except Gone as gone:
                yield Page(account=with_signal(account, gone.signal, gone.where), losses=tally.take())
                return
            posts, reached = reading.page(fetched)
            posts = posts[: self._wanted - place.posts]
            place = after(fetched, len(posts), tally)
            is_enough = place.posts >= self._wanted or place.charged >= most_charged(self._wanted)
            goes_on = not is_enough and not reached and patience.goes_on(place.next or None, len(fetched.entries))
            yield Page(tuple(posts), losses=tally.take(), cursor=place.write() if goes_on else None)
        self._tell_end(place, pager.tell)

    def _tell_end(self, place: Place, tell: Tell) -> None:
        is_as_wanted = self._wanted < MOST_POSTS and place.posts >= self._wanted
        if not is_as_wanted and not place.since and max(place.charged, place.total) >= MOST_POSTS:
            whole = f" of {place.total:,}" if place.total > MOST_POSTS else ""
            tell(
                f"X hands over the newest {MOST_POSTS:,} posts{whole}, retweets included. "
                "The archive that it makes for the account's owner holds all of them."
            )
        cost = _dollars((place.charged + place.along) * POST_PRICE + ACCOUNT_PRICE)
        along = f" and {place.along:,} that came along" if place.along else ""
        tell(f"By X's price list that was {cost}: {place.charged:,} posts{along} at $0.005, $0.010 for the account.")


def _address(env: Mapping[str, str]) -> str:
    address = server_in(env.get("HUGGINGTWEETS_X_API") or API)
    if address is None:  # not shown: there may be a password in it
        raise SettingsError(f"HUGGINGTWEETS_X_API must be a web address like {API}.", next="unset HUGGINGTWEETS_X_API")
    return address


def _token(env: Mapping[str, str]) -> str:
    """Raises SourceError, which never shows what the environment holds."""
    name = next((name for name in TOKENS if env.get(name, "").strip()), None)
    if name is None:
        raise SourceError(
            f"X's API needs a bearer token, and {TOKENS[0]} is not set.",
            why="X gives one to each app at console.x.com, and charges for what is read with it.",
            next=f"set {TOKENS[0]}, or pass the free archive of your account: huggingtweets create archive.zip",
        )
    token = env[name].strip().strip("\"'").removeprefix("Bearer ").strip()
    if not _TOKEN.fullmatch(token):
        raise SourceError(
            f"What {name} holds can't be a bearer token: that is one long word.",
            next=f"copy the app's bearer token from console.x.com into {name}",
        )
    return token


def _faces(user: Record) -> list[object]:
    """Addresses of the picture, the larger one first; none where X shows its own.

    >>> _faces({"profile_image_url": "https://pbs.twimg.com/profile_images/1/a_normal.jpg"})[0]
    'https://pbs.twimg.com/profile_images/1/a_400x400.jpg'
    """
    address = user.get("profile_image_url")
    if not isinstance(address, str) or server_in(address) is None or _NO_FACE in address:
        return []
    return list(dict.fromkeys((_FACE.sub(r"_400x400\1", address), address)))
