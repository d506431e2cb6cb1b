"""What every network's paging shares: the patience with pages that bring nothing, and reading a cursor back.

Not covered: how a page is asked for (each network's).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from huggingtweets.errors import ConsentRefused, NetworkTrouble
from huggingtweets.posts import Account
from huggingtweets.sources.base import Tell
from huggingtweets.sources.identity import LARGEST_AVATAR_BYTES, is_picture
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.tally import Tally

MOST_EMPTY_PAGES = 200  # in a row, before a server is not believed any more
MOST_PAGES = 100_000

SAME_PAGE = "pages that led back to themselves (the download ends there)"
ONLY_EMPTY = "pages in a row without a post (the download ends there)"
TOO_MANY = f"pages beyond the {MOST_PAGES:,}th (the download ends there)"
NO_AVATAR = "pictures that could not be had (one is drawn instead)"


class Gone(Exception):
    """The account is suspended or deleted."""

    def __init__(self, signal: str, where: str) -> None:
        super().__init__(where)
        self.signal = signal
        self.where = where


MakeClient = Callable[[str, Tell], Client]  # of a first address and who is told


def plain_client(home: str, tell: Tell) -> Client:
    return Client(home, tell=tell)


@dataclass
class Patience:
    """Ends a download that a server would let run for ever."""

    tally: Tally
    _seen: set[bytes] = field(default_factory=set)  # digests: a cursor may be long
    _empty: int = 0

    def goes_on(self, cursor: str | None, posts: int) -> bool:
        """Whether to ask for the page behind `cursor`, after one with so many entries."""
        if cursor is None:
            return False
        digest = hashlib.sha256(cursor.encode("utf-8", "replace")).digest()
        if digest in self._seen:
            self.tally.add(SAME_PAGE)
            return False
        self._seen.add(digest)
        self._empty = 0 if posts else self._empty + 1
        if self._empty > MOST_EMPTY_PAGES:
            self.tally.add(ONLY_EMPTY, count=self._empty)
            return False
        if len(self._seen) >= MOST_PAGES:
            self.tally.add(TOO_MANY)
            return False
        return True


def write_cursor(**state: str | int | bool | None) -> str:
    return json.dumps(state, separators=(",", ":"))


def read_cursor(cursor: str | None, *needed: str) -> Mapping[str, str] | None:
    """The texts in a cursor; None when it is none of ours."""
    try:
        state = json.loads(cursor or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(state, dict) or not all(isinstance(state.get(name), str) for name in needed):
        return None
    return {name: value if isinstance(value, str) else str(value) for name, value in state.items() if value is not None}


def fetch_avatar(client: Client, addresses: list[object], tally: Tally) -> bytes | None:
    """The first that is a picture; a face is worth no failed download."""
    tried = [address for address in addresses if isinstance(address, str) and address.startswith("http")]
    for address in tried:
        try:
            answer = client.get_bytes(address, limit_bytes=LARGEST_AVATAR_BYTES, tries=2)
        except (NetworkTrouble, ConsentRefused):
            continue
        if answer.ok and is_picture(answer.body):
            return answer.body
    if tried:
        tally.add(NO_AVATAR, tried[0])
    return None


def with_signal(account: Account, name: str, where: str) -> Account:
    return dataclasses.replace(account, signals={**account.signals, name: where})
