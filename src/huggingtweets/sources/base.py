"""What a source is: something that hands over pages of posts, oldest knowledge first, and can be interrupted.

A network's page is one HTTP answer; a file's page is a thousand rows. The pipeline writes each page to disk before
it asks for the next, together with the page's cursor, so that an interrupted download goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from huggingtweets.posts import Account, Post


@dataclass(frozen=True)
class Loss:
    """Something a source could not use, counted, with one example to look at.

    >>> str(Loss("lines that are not JSON", 3, "line 17"))
    '3 lines that are not JSON (for instance line 17)'
    """

    what: str
    count: int
    example: str = ""

    def __str__(self) -> str:
        return f"{self.count} {self.what}" + (f" (for instance {self.example})" if self.example else "")


@dataclass(frozen=True)
class Page:
    """Some posts, and where to go on from."""

    posts: tuple[Post, ...] = ()
    account: Account | None = None  # on the first page on which it is known
    avatar: bytes | None = None  # the image file, with the account
    losses: tuple[Loss, ...] = ()  # since the page before
    cursor: str | None = None  # opaque: where `pages` goes on after this page; None: only from the beginning
    fraction: float | None = None  # how much of the whole has been read, 0 to 1, where known


Tell = Callable[[str], None]  # one sentence for the person who waits


def tell_nobody(sentence: str) -> None:
    """The listener of whoever does not want to know."""


@dataclass(frozen=True)
class Origin:
    """Where posts come from, as far as consent depends on it."""

    kind: Literal["file", "export", "network"]  # export: what a network hands to the owner of an account alone
    terms: str | None = None  # what the network's terms say about this use, where they must be acknowledged
    price: str | None = None  # what fetching costs at most, where it costs anything


class Source(Protocol):
    """One account's posts, wherever they are."""

    @property
    def spec(self) -> str:
        """The canonical spelling of what the person typed, such as `file:/home/a/posts.csv`."""

    @property
    def handle(self) -> str:
        """What the account is called; may look into the source, but leaves it to `pages` to say what is wrong."""

    @property
    def origin(self) -> Origin:
        """Where the posts come from."""

    def fingerprint(self) -> str:
        """Changes when the posts behind it must be read again; cheap, and never a request to a network."""

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The posts, in any order; raises SourceError.

        A network's first page holds the account and no posts, so that consent is settled before any post is fetched.
        With `known`, the ids of posts that are here already, a network is asked for newer ones only.
        """
