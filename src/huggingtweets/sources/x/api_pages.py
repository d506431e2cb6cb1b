"""An account's timeline on X, page by page, with every post paid for once.

In: the account's id and where the last run ended. Out: pages of posts and where the next run goes on.

- There are two vocabularies ("dialects"). One is asked for; where X refuses it, or takes it and leaves out all that was
  asked for, the other. What is answered is read in both.
- Retweets are not asked for: they are other people's words, and each would be charged.
- A page has 5 to 100 posts. The sizes are chosen so that they add up to what is wanted; only where X's pages are short
  can a last one of 5 bring up to 4 more than that, which are dropped.
- A page's token may have died since. The id of the oldest post that is here then leads on.
- Known posts end an update: behind them are only older ones.

Not covered: what a problem means (`x.api_answers`), what a post means (`x.posts`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from huggingtweets.posts import Post
from huggingtweets.sources.base import Tell
from huggingtweets.sources.net.http import Answer, Client
from huggingtweets.sources.net.paging import read_cursor, write_cursor
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS, OTHERS, Tally
from huggingtweets.sources.values import items, mapping, parse_id
from huggingtweets.sources.x.api_answers import Refused, is_final, page_in
from huggingtweets.sources.x.posts import Record, post_from_v2

FEWEST, MOST = 5, 100  # posts on a page
MOST_POSTS = 3_200  # of an account, retweets included, whatever one pays
LONGEST_TOKEN = 4_000  # characters; X's have some 30
SHORTEST_SECRET = 8  # characters; X's have over 100, and a shorter one may be in a word

BAD_TOKEN = "next pages that X did not name (the download ends there)"
OTHER_VERSIONS = "other versions of edited posts"
WITHOUT_DETAILS = "posts that X sent without their details (long ones are cut short)"

Dialect = Literal["tweet", "post"]

_FIELDS: dict[Dialect, dict[str, str]] = {  # `post` has as expansions what `tweet` has as fields
    "tweet": {
        "tweet.fields": "author_id,created_at,edit_history_tweet_ids,entities,in_reply_to_user_id,lang,note_tweet,"
        "possibly_sensitive,public_metrics,referenced_tweets"
    },
    "post": {
        "post.fields": "created_at,entities,lang,note_post,possibly_sensitive,public_metrics",
        "expansions": "author_id,edit_history_post_ids,referenced_posts",
    },
}
_OTHER: dict[Dialect, Dialect] = {"tweet": "post", "post": "tweet"}
_UNASKED = frozenset(("id", "text", "edit_history_tweet_ids", "edit_history_post_ids"))
_WORDS = frozenset(("tweet.fields", "post.fields", "expansions"))
_TOKENS = frozenset(("pagination_token", "next_token"))


@dataclass
class Api:
    """X's API, asked with one token."""

    client: Client
    address: str
    secret: bytes = field(repr=False)  # what no answer may bring back

    def get(self, path: str, params: Mapping[str, str | int]) -> Answer:
        answer = self.client.get_json(f"{self.address}/2/{path}", params, final=is_final)
        if len(self.secret) >= SHORTEST_SECRET and self.secret in answer.body:
            return dataclasses.replace(answer, body=answer.body.replace(self.secret, b"(token)"))
        return answer


@dataclass(frozen=True)
class Place:
    """Where a download is: everything that going on takes, the account's lookup included."""

    id: str  # of the account: it stays when the account is renamed
    name: str
    next: str = ""  # X's token for the page; "": none
    until: str = ""  # only posts older than this id
    since: str = ""  # only posts newer than this id
    oldest: str = ""  # id of the oldest post so far
    refused: str = ""  # the dialect that X does not take
    posts: int = 0  # handed over
    charged: int = 0  # posts of the account that came
    along: int = 0  # posts that came along with them
    total: int = 0  # posts that the account has

    def write(self) -> str:
        return write_cursor(**dataclasses.asdict(self))

    def dialect(self, chosen: Dialect) -> Dialect:
        return _OTHER[chosen] if chosen == self.refused else chosen


def read_place(cursor: str | None) -> Place | None:
    """
    >>> read_place(Place("42", "nasa", posts=7).write()) == Place("42", "nasa", posts=7)
    True
    """
    state = read_cursor(cursor, "id", "name")
    if state is None or not _is_id(state["id"]) or not state["name"]:
        return None
    ids = [state.get(name, "") for name in ("until", "since", "oldest")]
    if not all(_is_id(found) for found in ids if found):
        return None
    until, since, oldest = ids
    posts, charged, along, total = (_number(state.get(name, "")) for name in ("posts", "charged", "along", "total"))
    token, refused = state.get("next", ""), state.get("refused", "")
    refused = refused if refused in _FIELDS else ""
    return Place(state["id"], state["name"], token, until, since, oldest, refused, posts, charged, along, total)


def _is_id(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 25


def _number(text: str) -> int:
    return int(text) if _is_id(text) and len(text) < 16 else 0


def newest_of(known: Collection[str]) -> str:
    """The id to ask for newer posts than.

    >>> newest_of({"99", "1890000000000000003", "at://did:plc:abc/app.bsky.feed.post/3k"})
    '1890000000000000003'
    """
    return max(filter(_is_id, known), key=int, default="")


def size_of_page(left: int) -> int:
    """How many posts to ask for so that the pages add up to `left`, where X's are full.

    >>> size_of_page(3_200), size_of_page(103), size_of_page(5), size_of_page(2)
    (100, 98, 5, 5)
    """
    return max(FEWEST, left) if left <= MOST else min(MOST, left - FEWEST)


@dataclass(frozen=True)
class Fetched:
    """One page, and the place that it was asked from (which changes where X refuses something)."""

    value: Record
    place: Place

    @property
    def entries(self) -> list[object]:
        return items(self.value.get("data"))

    @property
    def is_bare(self) -> bool:
        """Whether there are posts, and none has anything that was asked for: only what comes in any case."""
        posts = [mapping(entry) for entry in self.entries]
        return any(posts) and all(post.keys() <= _UNASKED for post in posts)

    @property
    def along(self) -> list[Record]:
        """Posts that came along because one of the account's answers or quotes them."""
        includes = mapping(self.value.get("includes"))
        return [mapping(post) for post in items(includes.get("tweets") or includes.get("posts"))]


@dataclass
class Pager:
    """Asks for pages."""

    api: Api
    chosen: Dialect
    tell: Tell

    def fetch(self, place: Place, size: int) -> Fetched:
        """The page at a place; raises `Gone` and SourceError."""
        fetched = self._fetch(place, size)
        if not fetched.is_bare or place.refused or place.charged:
            return fetched
        try:  # the same posts on the same day are charged once, by X's price list
            other = self._ask(dataclasses.replace(place, refused=place.dialect(self.chosen)), size)
        except Refused:
            return fetched
        if other.is_bare:
            return fetched
        self._tell_switched(other.place)
        return other

    def _fetch(self, place: Place, size: int) -> Fetched:
        while True:  # each refusal changes the place for good, at most twice
            try:
                return self._ask(place, size)
            except Refused as refused:
                place = self._otherwise(place, refused)

    def _otherwise(self, place: Place, refused: Refused) -> Place:
        """What else can be asked; raises SourceError where that is nothing."""
        if refused.parameters & _WORDS and not place.refused:
            place = dataclasses.replace(place, refused=place.dialect(self.chosen))
            self._tell_switched(place)
            return place
        if place.next and place.oldest and (refused.parameters & _TOKENS or not refused.parameters):
            self.tell("X no longer knows where the last run ended; going on below the oldest post that is here.")
            return dataclasses.replace(place, next="", until=place.oldest)
        raise refused.trouble from refused

    def _tell_switched(self, place: Place) -> None:
        now: Dialect = place.dialect(self.chosen)
        more = " In it, posts that were answered or quoted come along, and X may charge for them too."
        self.tell(
            f"X no longer takes the words of {self.chosen}; asking in those of {now}.{more if now == 'post' else ''}"
        )

    def _ask(self, place: Place, size: int) -> Fetched:
        params: dict[str, str | int] = {"max_results": size, "exclude": "retweets"}
        params |= _FIELDS[place.dialect(self.chosen)]
        named = {"pagination_token": place.next, "until_id": place.until, "since_id": place.since}
        params |= {name: value for name, value in named.items() if value}
        return Fetched(page_in(self.api.get(f"users/{place.id}/tweets", params), place.id), place)


@dataclass
class Reading:
    """Pages to posts, each once."""

    account: str
    account_id: str
    known: Collection[str]
    tally: Tally
    _seen: set[str] = field(default_factory=set)

    def page(self, fetched: Fetched) -> tuple[list[Post], bool]:
        """The new posts, and whether known ones were reached."""
        if not isinstance(fetched.value.get("data") or [], list):
            self.tally.add(NOT_POSTS)
        authors = dict(self._authors(fetched))
        posts, reached = [], False
        for entry in fetched.entries:
            record = mapping(entry)
            if not record:
                self.tally.add(NOT_POSTS)
            elif parse_id(record.get("id")) in self.known:
                reached = True
            elif post := self._post(record, authors):
                posts.append(post)
        if fetched.is_bare:
            self.tally.add(WITHOUT_DETAILS, count=len(posts))
        return posts, reached

    def _post(self, record: Record, authors: Mapping[str, str]) -> Post | None:
        post_id = parse_id(record.get("id")) or ""
        if (parse_id(record.get("author_id")) or self.account_id) != self.account_id:
            self.tally.add(OTHERS, post_id)
            return None
        versions = set(_versions(record))
        if not versions.isdisjoint(self._seen) or not versions.isdisjoint(self.known):
            self.tally.add(OTHER_VERSIONS, post_id)
            return None
        self._seen |= versions
        post = post_from_v2(record, self.account, self.account_id, authors)
        if post is None:
            self.tally.add(NO_TEXT, post_id)
        return post

    def _authors(self, fetched: Fetched) -> Iterator[tuple[str, str]]:
        """Who wrote which post, as far as the page tells."""
        for record, otherwise in (
            *((record, None) for record in fetched.along),
            *((mapping(entry), self.account_id) for entry in fetched.entries),
        ):
            post_id, author = parse_id(record.get("id")), parse_id(record.get("author_id")) or otherwise
            if post_id and author:
                yield post_id, author


def _versions(record: Record) -> Iterator[str]:
    """The ids of a post and of its other versions, where it was edited."""
    history = record.get("edit_history_tweet_ids") or record.get("edit_history_post_ids")
    for value in (record.get("id"), *items(history)):
        if found := parse_id(value):
            yield found


def after(fetched: Fetched, posts: int, tally: Tally) -> Place:
    """The place behind a page of which so many posts were handed over."""
    place, meta = fetched.place, mapping(fetched.value.get("meta"))
    ids = [parse_id(mapping(entry).get("id")) for entry in fetched.entries]
    known = [found for found in (*ids, place.oldest) if found and _is_id(found)]
    token = meta.get("next_token") or ""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        tally.add(BAD_TOKEN)
        token = ""
    return dataclasses.replace(
        place,
        next=token,
        oldest=min(known, key=int, default=""),
        posts=place.posts + posts,
        charged=place.charged + len(fetched.entries),
        along=place.along + len(fetched.along),
    )
