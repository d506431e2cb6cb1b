"""X's API over the network: a server on this machine plays it page by page, with its bill, its limits and its lies."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damage import nearly
from huggingtweets.cleaning import clean
from huggingtweets.config import DatasetSettings, ImportSettings
from huggingtweets.consent import Word, ask_first, judge
from huggingtweets.errors import (
    ConsentMissing,
    ConsentRefused,
    HuggingtweetsError,
    NetworkTrouble,
    NoSuchAccount,
    SettingsError,
    SourceError,
    UnknownSource,
)
from huggingtweets.posts import Account, Post
from huggingtweets.sources import recognise, tally
from huggingtweets.sources.base import Page, Tell
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.net.paging import NO_AVATAR, ONLY_EMPTY, SAME_PAGE
from huggingtweets.sources.x.api import XSource, name_from, price_of
from huggingtweets.sources.x.api_pages import BAD_TOKEN, OTHER_VERSIONS, WITHOUT_DETAILS, read_place, size_of_page
from huggingtweets.sources.x.posts import post_from_v2
from loopback import Reply, Request, Server, serve
from results import Result

TOKEN = "AAAAAAAAsecret%2Fbearer%3Dtoken"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
FIRST_ID = 1_890_000_000_000_000_000
PROBLEMS = "https://api.twitter.com/2/problems/"


def a_post(number: int, text: str = "", **changes: Any) -> dict[str, Any]:
    """In the `tweet` vocabulary; a higher number is a newer post."""
    post_id = str(FIRST_ID + number)
    return {
        "id": post_id,
        "text": text or f"post number {number}",
        "created_at": (datetime(2025, 2, 1, tzinfo=UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "lang": "en",
        "author_id": "42",
        "edit_history_tweet_ids": [post_id],
        **changes,
    }


def refers(kind: str, number: int) -> dict[str, Any]:
    return {"referenced_tweets": [{"type": kind, "id": str(FIRST_ID + number)}]}


def problem(kind: str, title: str, detail: str, status: int, **more: Any) -> Reply:
    return Reply({"title": title, "detail": detail, "type": PROBLEMS + kind, "status": status, **more}, status)


def user_problem(kind: str, title: str, detail: str, value: str = "42", **more: Any) -> Reply:
    parameter = "id" if value.isdigit() else "username"
    about = {"value": value, "resource_id": value, "parameter": parameter, "resource_type": "user"}
    return Reply({"errors": [{**about, "title": title, "detail": detail, "type": PROBLEMS + kind, **more}]})


UNAUTHORIZED = Reply({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)
SUSPENDED = user_problem("resource-not-found", "Forbidden", "User has been suspended: [42].")
PROTECTED = user_problem(
    "not-authorized-for-resource", "Authorization Error", "Sorry, you are not authorized to see the user with id: [42]."
)
DELETED = user_problem("resource-not-found", "Not Found Error", "Could not find user with id: [42].")
LIMIT = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
CAP = {
    "account_id": 1,
    "product_name": "pay-per-use",
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "scope": "Product",
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": PROBLEMS + "usage-capped",
}


def bad_parameter(name: str, value: str, message: str = "") -> Reply:
    message = message or f"The `{name}` query parameter value [{value}] is not valid"
    whole = {"title": "Invalid Request", "detail": "One or more parameters to your request was invalid."}
    errors = [{"parameters": {name: [value]}, "message": message}]
    return Reply({"errors": errors, **whole, "type": PROBLEMS + "invalid-request"}, 400)


_POST_WORDS = {
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
}
_EXPANDED = {"author_id", "referenced_posts", "edit_history_post_ids"}


@dataclass
class X:
    """What X knows, and what it has charged for; `instead` answers before everything else does."""

    posts: list[dict[str, Any]] = field(default_factory=list)  # newest first
    user: dict[str, Any] = field(default_factory=dict)
    takes: tuple[str, ...] = ("tweet", "post")
    refuses: bool = False  # a vocabulary that it does not take; else it is silently left out
    full_pages: bool = True
    dead_tokens: set[str] = field(default_factory=set)
    instead: Callable[[Request], Reply | None] = lambda request: None
    charged: Counter[str] = field(default_factory=Counter)  # ids of posts and users
    url: str = ""

    def play(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return UNAUTHORIZED
        if (reply := self.instead(request)) is not None:
            return reply
        if request.path.startswith("/2/users/by/username/"):
            return self._lookup(request)
        return self._page(request) if request.path == "/2/users/42/tweets" else Reply(status=404)

    def _lookup(self, request: Request) -> Reply:
        name = request.path.rsplit("/", 1)[-1]
        if name.lower() != "bakery":
            return user_problem(
                "resource-not-found", "Not Found Error", f"Could not find user with username: [{name}].", name
            )
        self.charged["user 42"] += 1
        user = {"id": "42", "name": "The Bakery 🥐", "username": "Bakery", "protected": False, **self.user}
        return Reply({"data": user})

    def _page(self, request: Request) -> Reply:
        query = request.query
        size, token = int(query["max_results"]), query.get("pagination_token")
        if not 5 <= size <= 100:
            return bad_parameter("max_results", str(size), f"`max_results` [{size}] is not between 5 and 100")
        if token in self.dead_tokens:
            return bad_parameter("pagination_token", token)
        for dialect in ("tweet", "post"):
            if self.refuses and f"{dialect}.fields" in query and dialect not in self.takes:
                known = "[max_results,pagination_token,expansions]"
                message = f"The query parameter [{dialect}.fields] is not one of {known}"
                return bad_parameter(f"{dialect}.fields", query[f"{dialect}.fields"], message)
        newest, oldest = int(query.get("until_id", 10**30)), int(query.get("since_id", 0))
        newest = min(newest, int(token)) if token else newest
        left = [post for post in self.posts[:3_200] if oldest < int(post["id"]) < newest]
        seen = [post for post in left[:size] if self.full_pages or int(post["id"]) % 3]
        page = [post for post in seen if "retweets" not in query.get("exclude", "") or not _is_retweet(post)]
        meta = {"result_count": len(page), **({"next_token": left[size - 1]["id"]} if len(left) > size else {})}
        self.charged.update(post["id"] for post in page)
        data = [self._written(post, query) for post in page]
        return Reply({**({"data": data} if data else {}), **self._includes(page, query), "meta": meta})

    def _written(self, post: dict[str, Any], query: Any) -> dict[str, Any]:
        """With the fields that were asked for in a vocabulary that is taken; the others are silently left out."""
        if "tweet" in self.takes and "tweet.fields" in query:
            asked = set(query["tweet.fields"].split(","))
            return {name: value for name, value in post.items() if name in asked | {"id", "text"}}
        renamed = {_POST_WORDS.get(name, name): value for name, value in post.items()}
        asked = {"id", "text"}
        if "post" in self.takes and "post.fields" in query:
            asked |= set(query["post.fields"].split(",")) - _EXPANDED - {"in_reply_to_user_id"}
            asked |= set(query.get("expansions", "").split(",")) & _EXPANDED
        return {name: value for name, value in renamed.items() if name in asked}

    def _includes(self, page: list[dict[str, Any]], query: Any) -> dict[str, Any]:
        if "post" not in self.takes or "referenced_posts" not in query.get("expansions", ""):
            return {}
        ids = {item["id"] for post in page for item in post.get("referenced_tweets", [])}
        own = {post["id"] for post in self.posts}
        included = [{"id": found, "text": "…", "author_id": "42" if found in own else "77"} for found in sorted(ids)]
        self.charged.update(post["id"] for post in included)
        return {"includes": {"posts": included, "users": [{"id": "42", "username": "Bakery"}]}}


def _is_retweet(post: dict[str, Any]) -> bool:
    return any(item["type"] == "retweeted" for item in post.get("referenced_tweets", []))


@dataclass
class World:
    x: X
    server: Server
    told: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    def source(self, name: str = "bakery", **options: Any) -> XSource:
        def client(home: str, tell: Tell) -> Client:
            return Client(home, tell=tell, sleep=self.waits.append)

        env = {"HUGGINGTWEETS_X_API": self.server.url, "X_BEARER_TOKEN": TOKEN, **self.env}
        return XSource(name, ImportSettings(**options), client, env)

    def read(
        self,
        name: str = "bakery",
        cursor: str | None = None,
        known: frozenset[str] = frozenset(),
        **options: Any,
    ) -> Result:
        return Result(list(self.source(name, **options).pages(cursor, known=known, tell=self.told.append)))

    def read_until_it_fails(self) -> tuple[list[Page], SourceError]:
        pages: list[Page] = []
        try:
            for page in self.source().pages(tell=self.told.append):
                pages.append(page)
        except SourceError as error:
            return pages, error
        raise AssertionError("it did not fail")

    @property
    def asked(self) -> list[dict[str, str]]:
        """The queries of all pages."""
        return [dict(request.query) for request in self.server.log if request.path.endswith("/tweets")]

    @property
    def sizes(self) -> list[int]:
        return [int(query["max_results"]) for query in self.asked]

    @property
    def lookups(self) -> int:
        return sum("/by/username/" in path for path in self.server.paths)

    def answer(self, part: str, reply: Reply, first: int = 0) -> None:
        """Answers whatever has `part` in its path so, from the request of that number on."""
        count = iter(range(1_000))
        self.x.instead = lambda request: reply if part in request.path and next(count) >= first else None


@contextlib.contextmanager
def a_world() -> Iterator[World]:
    x = X()
    with serve(lambda request: x.play(request)) as server:
        x.url = server.url
        yield World(x, server)


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


def fill(world: World, count: int) -> None:
    world.x.posts = [a_post(number) for number in reversed(range(count))]


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        *("@NASA", "NASA", " NASA\n", "https://x.com/NASA/status/1", "twitter.com/NASA", "http://www.x.com/@NASA/"),
        *("HTTPS://MOBILE.TWITTER.COM/NASA?lang=en", "\u202a@NASA\u202c", "x.com/NASA#top"),
    ],
)
def test_an_account_is_found_in_whatever_was_typed(typed: str) -> None:
    assert name_from(typed) == "NASA"


@pytest.mark.parametrize(
    "typed",
    [
        *("", "@", "a b", "ä", "a" * 16, "../etc", "na-sa", "x.com/", "https://x.com/i/status/1", "x.com/home"),
        *("https://example.org/NASA", "٣", "a\x1b[31m", "x" * 100_000),
    ],
)
def test_a_name_that_x_cannot_have_is_refused(typed: str) -> None:
    with pytest.raises(UnknownSource) as caught:
        name_from(typed)
    assert len(str(caught.value)) < 300
    assert caught.value.what.isprintable()


def test_what_is_typed_leads_here() -> None:
    for typed in ("@nasa", "x:nasa", "https://x.com/nasa", "X:@NASA"):
        source = recognise(typed, ImportSettings())
        assert (type(source).__name__, source.spec) == ("XSource", "x:nasa")


# --- what is said before anything is asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_posts", "dialect", "expected"),
    [
        (None, "tweet", "at most $16.01 (3,200 posts at $0.005, and $0.010 for the account; see X's price list)"),
        (9_999, "tweet", "at most $16.01 (3,200 posts at $0.005, and $0.010 for the account; see X's price list)"),
        (
            100,
            "tweet",
            "at most $0.53 (100 posts, up to 4 more because X hands over no fewer than 5 at once, at $0.005",
        ),
        (3, "tweet", "at most $0.05 (3 posts, up to 4 more because"),
        (3_199, "tweet", "at most $16.01 (3,199 posts, up to 1 more because"),
        (None, "post", "at most $48.01 (3,200 posts, up to two that each of them answers or quotes, at $0.005"),
    ],
)
def test_the_price_is_written_out(world: World, max_posts: int | None, dialect: Any, expected: str) -> None:
    price = world.source(max_posts=max_posts, x_dialect=dialect).origin.price
    assert price is not None
    assert price.startswith(expected)
    assert world.server.paths == []


def test_terms_and_price_are_asked_about_first(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConsentMissing) as caught:
        ask_first(world.source(), Word(mine=True), tmp_path)
    said = str(caught.value)
    assert "It costs at most $16.01 (3,200 posts" in said
    assert "grey area" in said
    assert "archive that X makes for you" in said
    assert "--accept-x-terms, --yes" in said
    ask_first(world.source(), Word(mine=True, terms=True, price=True), tmp_path)
    assert world.server.paths == []


@pytest.mark.parametrize("full_pages", [True, False])
@pytest.mark.parametrize("wanted", [1, 3, 5, 7, 99, 100, 101, 103, 104, 105, 199, 204, 250])
def test_the_price_is_never_exceeded_and_what_is_wanted_comes(world: World, wanted: int, full_pages: bool) -> None:
    fill(world, 600)
    world.x.full_pages = full_pages
    result = world.read(max_posts=wanted)
    assert len(result.posts) == wanted
    posts = sum(count for what, count in world.x.charged.items() if what.isdigit())
    price = price_of(wanted, "tweet")
    assert posts * 0.005 + 0.010 <= float(price.split("$")[1].split(" ")[0])
    assert posts == max(5, wanted) or not full_pages
    assert all(5 <= size <= 100 for size in world.sizes)


@given(left=st.integers(5, 5_000))
def test_the_sizes_of_pages_add_up(left: int) -> None:
    total = 0
    while total < left:
        total += size_of_page(left - total)
    assert total == left


# --- the account ---------------------------------------------------------------------------------------------------


def test_the_account_comes_first_and_with_all_it_says(world: World) -> None:
    bio_links = [{"start": 18, "end": 33, "url": "https://t.co/e1", "expanded_url": "https://example.org"}]
    world.x.user = {
        "description": "Bread &amp; more. https://t.co/e1",
        "entities": {"description": {"urls": bio_links}},
        "public_metrics": {"tweet_count": 2},
    }
    fill(world, 2)
    first = world.read().pages[0]
    assert first.account == Account(
        "Bakery",
        "x",
        display_name="The Bakery 🥐",
        bio="Bread & more. https://example.org",
        id="42",
        url="https://x.com/Bakery",
    )
    assert first.posts == ()
    assert first.cursor is not None
    assert {post.account for post in world.read().posts} == {"Bakery"}


def test_a_person_may_call_the_account_otherwise(world: World) -> None:
    fill(world, 2)
    result = world.read(handle="loaf", display_name="Loaf")
    assert (result.account.handle, result.account.name, result.account.url) == ("loaf", "Loaf", "https://x.com/Bakery")
    assert {post.account for post in result.posts} == {"loaf"}
    resumed = world.read(cursor=result.pages[0].cursor, handle="loaf")
    assert {post.account for post in resumed.posts} == {"loaf"}


@pytest.mark.parametrize("username", ["../../etc", "", None, 3, "a b", "x" * 50])
def test_a_name_from_the_server_is_not_believed_blindly(world: World, username: Any) -> None:
    world.x.user = {"username": username}
    assert world.read().account.handle == "bakery"


@pytest.mark.parametrize(
    ("reply", "signal"),
    [
        (user_problem("resource-not-found", "Forbidden", "User has been suspended: [bakery].", "bakery"), "suspended"),
        (
            Reply({"title": "Forbidden", "detail": "User has been suspended: [bakery].", "status": 403}, 403),
            "suspended",
        ),
        (Reply({"data": {"id": "42", "username": "Bakery", "protected": True}}), "protected"),
    ],
)
def test_who_is_suspended_or_protected_is_handed_over_as_such_and_refused(
    world: World, tmp_path: Path, reply: Reply, signal: str
) -> None:
    world.x.instead = lambda request: reply
    source = world.source()
    pages = list(source.pages())
    assert [page.posts for page in pages] == [()]
    account = pages[0].account
    assert account is not None
    assert (set(account.signals), pages[0].cursor) == ({signal}, None)
    assert len(world.server.paths) == 1
    with pytest.raises(ConsentRefused):
        judge(account, source.origin, Word(mine=True, terms=True, price=True), tmp_path)


@pytest.mark.parametrize(
    ("reply", "signal"),
    [
        (SUSPENDED, "suspended"),
        (PROTECTED, "protected"),
        (Reply(PROTECTED.body, 403), "protected"),
        (problem("not-authorized-for-resource", "Forbidden", "Not authorized.", 403), "protected"),
        (Reply({**PROTECTED.body, "data": [], "meta": {"result_count": 0}}), "protected"),  # type: ignore[dict-item]
        (DELETED, "deleted"),
        (Reply(DELETED.body, 404), "deleted"),
        (
            user_problem(
                "x",
                "Forbidden",
                "User has been suspended: [42].",
                type="https://api.x.com/2/problems/resource-not-found",
            ),
            "suspended",
        ),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_who_goes_on_the_way_is_handed_over_as_gone(world: World, reply: Reply, signal: str, first: int) -> None:
    fill(world, 250)
    world.answer("/tweets", reply, first)
    result = world.read()
    last = result.pages[-1].account
    assert last is not None
    assert (last.handle, last.id, last.name, set(last.signals)) == ("Bakery", "42", "The Bakery 🥐", {signal})
    assert len(result.posts) == 100 * first
    resumed = world.read(cursor=result.pages[0].cursor).account
    assert (resumed.handle, resumed.id, set(resumed.signals)) == ("Bakery", "42", {signal})


def test_an_unknown_account_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(NoSuchAccount, match="X knows no account @nobody"):
        world.read("nobody")
    with pytest.raises(NoSuchAccount):
        world.read("no/body?x=1")
    assert world.lookups == 1


def test_a_rename_on_the_way_does_not_matter(world: World) -> None:
    fill(world, 250)
    result = world.read()
    world.x.user = {"username": "Patisserie"}
    world.answer("/by/username/", DELETED)
    resumed = world.read(cursor=result.pages[1].cursor)
    assert result.texts[100:] == resumed.texts
    assert {post.account for post in resumed.posts} == {"Bakery"}


# --- posts, in both vocabularies -----------------------------------------------------------------------------------

LONG = "A very long story about sourdough starters " * 10 + "&amp; it ends with https://t.co/n1"
NOTE = {
    "text": LONG,
    "entities": {
        "urls": [
            {
                "start": len(LONG) - 15,
                "end": len(LONG),
                "url": "https://t.co/n1",
                "expanded_url": "https://a.example/?x=1&y=2",
            }
        ]
    },
}


def link(short: str, start: int, expanded: str, **more: Any) -> dict[str, Any]:
    return {
        "entities": {
            "urls": [{"start": start, "end": start + len(short), "url": short, "expanded_url": expanded, **more}]
        }
    }


def of_all_kinds() -> list[dict[str, Any]]:
    own = "https://twitter.com/bakery/status/1890000000000000001"
    return [
        a_post(20, "🍞 &amp; https://t.co/a1 ok", **link("https://t.co/a1", 8, "https://example.org/map")),
        a_post(19, LONG[:200] + "… https://t.co/x", note_tweet=NOTE),
        a_post(18, "RT @someone: bakeries are…", **refers("retweeted", 900)),
        a_post(17, "bakeries are the best place", **refers("retweeted", 901)),
        a_post(16, "RT @someone: typed by hand"),
        a_post(15, "This, exactly https://t.co/q1", **refers("quoted", 902), **link("https://t.co/q1", 14, own)),
        a_post(14, "@someone yes, until noon", in_reply_to_user_id="77", **refers("replied_to", 903)),
        a_post(13, "and another thing", in_reply_to_user_id="42", **refers("replied_to", 12)),
        a_post(12, "one thing https://t.co/p1", **link("https://t.co/p1", 10, f"{own}/photo/1", media_key="3_1")),
        a_post(11, "edited", edit_history_tweet_ids=[str(FIRST_ID + 10), str(FIRST_ID + 11)]),
        a_post(10, "edted", edit_history_tweet_ids=[str(FIRST_ID + 10), str(FIRST_ID + 11)]),
        a_post(9, "", lang="zxx", possibly_sensitive=True, public_metrics={"like_count": 7}),
    ]


EXPECTED = [
    ("🍞 & https://example.org/map ok", "original", False),
    (LONG.replace("&amp;", "&").replace("https://t.co/n1", "https://a.example/?x=1&y=2"), "original", False),
    ("RT @someone: typed by hand", "repost", False),
    ("This, exactly", "quote", False),
    ("@someone yes, until noon", "reply", False),
    ("and another thing", "reply", True),
    ("one thing", "original", False),
    ("edited", "original", False),
    ("post number 9", "original", False),
]
KEEP_LINKS = DatasetSettings(unescape_all_html=False)


def told_apart(result: Result) -> list[tuple[str, str, bool]]:
    import html

    return [(html.unescape(post.text), post.kind, post.self_reply) for post in result.posts]


@pytest.mark.parametrize("asked", ["tweet", "post"])
@pytest.mark.parametrize("takes", [("tweet", "post"), ("tweet",), ("post",)])
@pytest.mark.parametrize("refuses", [True, False])
def test_both_vocabularies_give_the_same_posts(world: World, asked: Any, takes: tuple[str, ...], refuses: bool) -> None:
    world.x.posts, world.x.takes, world.x.refuses = of_all_kinds(), takes, refuses
    result = world.read(x_dialect=asked)
    assert told_apart(result) == EXPECTED
    assert result.losses == {OTHER_VERSIONS: 1}
    assert {post.created_at is None for post in result.posts} == {False}
    assert (result.posts[-1].likes, result.posts[-1].lang, result.posts[-1].sensitive) == (7, None, True)
    assert len(world.asked) == (1 if asked in takes else 2)
    switched = [sentence for sentence in world.told if "no longer takes" in sentence]
    assert len(switched) == (asked not in takes)


def test_retweets_are_not_asked_for_and_told_by_their_reference_where_they_come_all_the_same(world: World) -> None:
    world.x.posts = of_all_kinds()
    world.read()
    assert {query["exclude"] for query in world.asked} == {"retweets"}
    post = post_from_v2(a_post(1, "no prefix", **refers("retweeted", 2)), "bakery", "42")
    assert post is not None
    assert post.kind == "repost"


@pytest.mark.parametrize("refuses", [True, False])
def test_a_server_that_takes_neither_vocabulary_still_gives_its_posts_or_a_sentence(
    world: World, refuses: bool
) -> None:
    world.x.posts, world.x.takes, world.x.refuses = of_all_kinds()[:1], (), refuses
    if refuses:
        with pytest.raises(SourceError, match="does not accept what it is asked for"):
            world.read()
        assert len(world.asked) == 2
        return
    result = world.read()
    assert result.losses == {WITHOUT_DETAILS: 1}
    assert result.posts[0].created_at is not None  # its id tells
    assert len(world.asked) == 2


def test_the_vocabulary_that_works_is_kept_for_the_pages_after(world: World) -> None:
    fill(world, 350)
    world.x.takes, world.x.refuses = ("post",), True
    result = world.read()
    assert len(result.posts) == 350
    assert ["tweet.fields" in query for query in world.asked] == [True] + [False] * 4
    before = len(world.asked)
    world.read(cursor=result.pages[2].cursor)
    assert ["tweet.fields" in query for query in world.asked[before:]] == [False, False]


def test_a_page_in_words_that_were_not_asked_for_is_read_all_the_same(world: World) -> None:
    post = {
        "id": "9",
        "text": "short…",
        "created_at": "2025-02-10T18:00:00.000Z",
        "note_post": {"text": "long and whole"},
    }
    retweet = {
        "id": "8",
        "text": "x",
        "created_at": "2025-02-10T18:00:00Z",
        "referenced_posts": [{"type": "retweeted", "id": "1"}],
    }
    world.answer("/tweets", Reply({"data": [post, retweet], "meta": {"result_count": 2}}))
    assert [(post.text, post.kind) for post in world.read().posts] == [("long and whole", "original"), ("x", "repost")]


@pytest.mark.parametrize(
    ("entry", "loss"),
    [
        (None, tally.NOT_POSTS),
        ([1], tally.NOT_POSTS),
        ({}, tally.NOT_POSTS),
        (a_post(1, author_id="77"), tally.OTHERS),
        ({**a_post(1), "text": ""}, tally.NO_TEXT),
        ({**a_post(1), "text": None}, tally.NO_TEXT),
    ],
)
def test_what_is_no_post_of_the_account_is_counted(world: World, entry: Any, loss: str) -> None:
    world.answer("/tweets", Reply({"data": [entry, a_post(0)], "meta": {"result_count": 2}}))
    result = world.read()
    assert result.losses == {loss: 1}
    assert result.texts == ["post number 0"]


def test_a_page_of_the_longest_posts_there_are_is_no_trouble(world: World) -> None:
    longest = {"text": "🍞" * 25_000}
    page = {"data": [a_post(number, note_tweet=longest) for number in range(100)], "meta": {"result_count": 100}}
    world.answer("/tweets", Reply(json.dumps(page).encode()))
    assert {len(post.text) for post in world.read().posts} == {25_000}


def test_a_short_form_that_links_to_its_own_post_is_no_quote(world: World) -> None:
    own = f"https://twitter.com/i/web/status/{FIRST_ID + 1}"
    world.x.posts = [a_post(1, "Some of it… https://t.co/o1", **link("https://t.co/o1", 12, own))]
    (post,) = world.read().posts
    assert (post.text, post.kind) == ("Some of it…", "original")


def test_text_is_clean_after_cleaning(world: World) -> None:
    world.x.posts = [a_post(1, "Tom &amp; Jerry &lt;3 half \ud83d")]
    (post,) = world.read().posts
    assert clean(post, DatasetSettings()) == "Tom & Jerry <3 half �"


# --- pages ---------------------------------------------------------------------------------------------------------


def test_all_posts_come_once_and_are_charged_once(world: World) -> None:
    fill(world, 3_500)
    world.x.user = {"public_metrics": {"tweet_count": 3_500}}
    result = world.read()
    assert result.texts == [f"post number {number}" for number in reversed(range(300, 3_500))]
    assert set(world.x.charged.values()) == {1}
    assert world.sizes == [100] * 32
    assert any("newest 3,200 posts of 3,500, retweets included" in sentence for sentence in world.told)
    assert "By X's price list that was $16.01: 3,200 posts at $0.005, $0.010 for the account." in world.told
    assert result.pages[-1].cursor is None


def test_the_limit_is_told_though_retweets_hide_it(world: World) -> None:
    fill(world, 20)
    world.x.user = {"public_metrics": {"tweet_count": 9_000}}
    world.read()
    assert any("newest 3,200 posts of 9,000" in sentence for sentence in world.told)
    world.told.clear()
    world.read(max_posts=10)
    assert not any("newest" in sentence for sentence in world.told)


def test_pages_may_be_short_or_empty_and_not_the_last(world: World) -> None:
    pages = {None: ([], "a"), "a": ([a_post(3)], "b"), "b": ([], "c"), "c": ([a_post(2)], None)}

    def play(request: Request) -> Reply | None:
        if not request.path.endswith("/tweets"):
            return None
        entries, token = pages[request.query.get("pagination_token")]
        meta = {"result_count": len(entries), **({"next_token": token} if token else {})}
        return Reply({**({"data": entries} if entries else {}), "meta": meta})

    world.x.instead = play
    assert world.read().texts == ["post number 3", "post number 2"]


def test_an_account_without_posts_has_none(world: World) -> None:
    result = world.read()
    assert (result.posts, result.losses, len(world.asked)) == ([], {}, 1)


def test_errors_beside_data_are_of_others(world: World) -> None:
    gone = {**SUSPENDED.body["errors"][0], "section": "includes", "value": "77", "resource_id": "77"}  # type: ignore[index]
    world.answer("/tweets", Reply({"data": [a_post(1)], "errors": [gone], "meta": {"result_count": 1}}))
    assert world.read().texts == ["post number 1"]
    world.answer("/tweets", Reply({"errors": [gone], "meta": {"result_count": 0}}))
    assert [page.account is None for page in world.read().pages] == [False, True]


@pytest.mark.parametrize("page", [0, 1, 2])
def test_going_on_pays_for_nothing_again(world: World, page: int) -> None:
    fill(world, 350)
    whole = world.read()
    world.x.charged.clear()
    resumed = world.read(cursor=whole.pages[page].cursor)
    assert resumed.texts == whole.texts[100 * page :]
    assert set(world.x.charged) == {post.id for post in resumed.posts}
    assert world.lookups == 1


def test_going_on_counts_what_is_here_already(world: World) -> None:
    fill(world, 350)
    whole = world.read(max_posts=203)
    assert len(whole.posts) == 203
    assert whole.texts[100:] == world.read(cursor=whole.pages[1].cursor, max_posts=203).texts
    assert world.told[-1] == "By X's price list that was $1.03: 203 posts at $0.005, $0.010 for the account."


@pytest.mark.parametrize("named", [True, False])
def test_a_token_that_died_is_replaced_by_the_oldest_post(world: World, named: bool) -> None:
    fill(world, 350)
    whole = world.read()
    cursor = whole.pages[1].cursor
    place = read_place(cursor)
    assert place is not None
    world.x.dead_tokens = {place.next}
    if not named:
        plain = problem(
            "invalid-request", "Invalid Request", "One or more parameters to your request was invalid.", 400
        )
        world.x.instead = lambda request: plain if request.query.get("pagination_token") == place.next else None
    world.x.charged.clear()
    before = len(world.asked)
    resumed = world.read(cursor=cursor)
    assert resumed.texts == whole.texts[100:]
    assert [query.get("until_id") for query in world.asked[before:]] == [None] + [place.oldest] * 3
    assert set(world.x.charged.values()) == {1}


def test_an_update_asks_for_newer_posts_only(world: World) -> None:
    fill(world, 200)
    known = frozenset(post.id or "" for post in world.read().posts) | {"at://did:plc:a/b/c"}
    world.x.charged.clear()
    before = len(world.asked)
    assert world.read(known=known).posts == []
    assert world.asked[before]["since_id"] == str(FIRST_ID + 199)
    assert set(world.x.charged) == {"user 42"}
    fill(world, 350)
    result = world.read(known=known)
    assert result.texts == [f"post number {number}" for number in reversed(range(200, 350))]
    resumed = world.read(cursor=result.pages[1].cursor, known=known)
    assert resumed.texts == result.texts[100:]
    assert {query.get("since_id") for query in world.asked[before:]} == {str(FIRST_ID + 199)}


def test_a_server_that_ignores_what_is_known_is_asked_for_one_page(world: World) -> None:
    page = {"data": [a_post(number) for number in (5, 4, 3)], "meta": {"next_token": "x"}}
    world.answer("/tweets", Reply(page))
    result = world.read(known=frozenset((str(FIRST_ID + 4), str(FIRST_ID + 3))))
    assert (result.texts, len(world.asked)) == (["post number 5"], 1)


def test_a_known_post_that_was_edited_since_is_not_taken_twice(world: World) -> None:
    world.x.posts = [a_post(5, "edited", edit_history_tweet_ids=[str(FIRST_ID + 4), str(FIRST_ID + 5)])]
    result = world.read(known=frozenset([str(FIRST_ID + 4)]))
    assert (result.posts, result.losses) == ([], {OTHER_VERSIONS: 1})


@pytest.mark.parametrize(
    ("answer", "loss"),
    [
        (lambda token: {"data": [a_post(1)], "meta": {"next_token": "same"}}, SAME_PAGE),
        (lambda token: {"meta": {"next_token": str(int(token or "0") + 1)}}, ONLY_EMPTY),
        (lambda token: {"data": [a_post(1)], "meta": {"next_token": {"a": 1}}}, BAD_TOKEN),
        (lambda token: {"data": [a_post(1)], "meta": {"next_token": "x" * 20_000}}, BAD_TOKEN),
        (lambda token: {"data": {"a": 1}, "meta": {}}, tally.NOT_POSTS),
        (lambda token: {"data": [None] * 100, "meta": {"next_token": str(int(token or "0") + 1)}}, tally.NOT_POSTS),
    ],
)
def test_a_lying_server_ends_the_download_with_a_loss(world: World, answer: Any, loss: str) -> None:
    world.x.instead = lambda request: (
        Reply(answer(request.query.get("pagination_token"))) if request.path.endswith("/tweets") else None
    )
    assert loss in world.read().losses
    assert len(world.asked) < 210


# --- failures ------------------------------------------------------------------------------------------------------

CREDITS = problem(
    "credits", "CreditsDepleted", "Your enrolled account [1] does not have any credits to fulfill this request.", 402
)
NOT_ENROLLED = problem(
    "client-forbidden", "Client Forbidden", "When authenticating requests …", 403, reason="client-not-enrolled"
)
WRONG_KIND = problem(
    "unsupported-authentication",
    "Unsupported Authentication",
    "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.",
    403,
)


@pytest.mark.parametrize("part", ["/by/username/", "/tweets"])
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (UNAUTHORIZED, SourceError, "does not accept the bearer token"),
        (Reply(b"", 401), SourceError, "does not accept the bearer token"),
        (CREDITS, SourceError, "has no credits left"),
        (Reply({"title": "CreditsDepleted"}, 402), SourceError, "has no credits left"),
        (NOT_ENROLLED, SourceError, "may not use X's API"),
        (WRONG_KIND, SourceError, "does not take this kind of token"),
        (Reply(CAP, 429), SourceError, "usage cap"),
        (Reply(CAP, 429, {"x-rate-limit-reset": "9999999999"}), SourceError, "usage cap"),
        (Reply(CAP, 402), SourceError, "usage cap"),
        (Reply(CAP, 403), SourceError, "usage cap"),
        (Reply({**CAP, "type": "https://api.x.com/2/problems/usage-capped"}, 429), SourceError, "usage cap"),
        (Reply(LIMIT, 429), NetworkTrouble, "does not say until when"),
        (Reply(b"", 429), NetworkTrouble, "does not say until when"),
        (Reply(LIMIT, 429, {"x-rate-limit-reset": "soon"}), NetworkTrouble, "does not say until when"),
        (bad_parameter("max_results", "3"), SourceError, "does not accept what it is asked for"),
        (Reply(b"<html>", 404), NetworkTrouble, "answered 404, which is not what X's API answers"),
        (problem("x", "Forbidden", "Your developer account is suspended.", 403), SourceError, "may not use X's API"),
        (Reply(b"<html>", 403), NetworkTrouble, "answered 403"),
        (Reply(b"<html>", 400), NetworkTrouble, "answered 400"),
        (
            Reply({"errors": [{"code": 453, "message": "You have access to a subset."}]}, 403),
            SourceError,
            "may not use",
        ),
        (Reply({"errors": [{"code": 89, "message": "Invalid or expired token."}]}, 401), SourceError, "bearer token"),
        (Reply([]), NetworkTrouble, "answered without what it was asked for"),
        (
            Reply({"errors": [{"detail": "Odd \x1b[31m" + "x " * 500}]}),
            NetworkTrouble,
            "answered without what it was asked for",
        ),
    ],
)
def test_every_refusal_is_one_clear_sentence(world: World, part: str, reply: Reply, kind: Any, said: str) -> None:
    fill(world, 250)
    world.answer(part, reply, first=1 if part == "/tweets" else 0)
    pages, error = world.read_until_it_fails()
    assert said in error.what
    assert type(error) is kind
    assert [len(page.posts) for page in pages] == ([0, 100] if part == "/tweets" else [])
    assert world.waits == []
    assert error.next
    assert len(str(error)) < 800
    assert error.what.isprintable()


def test_what_was_paid_for_is_handed_over_before_a_failure(world: World) -> None:
    fill(world, 250)
    world.answer("/tweets", CREDITS, first=2)
    pages, _ = world.read_until_it_fails()
    assert [len(page.posts) for page in pages] == [0, 100, 100]
    world.x.instead = lambda request: None
    world.x.charged.clear()
    assert len(world.read(cursor=pages[-1].cursor).posts) == 50
    assert sum(world.x.charged.values()) == 50


def test_a_limit_that_ends_soon_is_waited_for(world: World) -> None:
    fill(world, 250)
    soon = str(int(datetime.now(UTC).timestamp()) + 60)
    reply = Reply(LIMIT, 429, {"x-rate-limit-reset": soon})
    world.server.faults.extend([None, reply, None, reply, None])
    assert len(world.read().posts) == 250
    assert len(world.waits) == 2
    assert all(55 < wait < 70 for wait in world.waits)
    assert set(world.x.charged.values()) == {1}


def test_a_limit_that_ends_late_or_never_is_not_waited_for(world: World) -> None:
    late = str(int(datetime.now(UTC).timestamp()) + 5_000)
    world.answer("/tweets", Reply(LIMIT, 429, {"x-rate-limit-reset": late}))
    with pytest.raises(NetworkTrouble, match="wait"):
        world.read()
    assert world.waits == []
    again = str(int(datetime.now(UTC).timestamp()))
    world.answer("/tweets", Reply(LIMIT, 429, {"x-rate-limit-reset": again}))
    with pytest.raises(NetworkTrouble, match="in a row"):
        world.read()
    assert len(world.asked) < 10


def test_a_used_up_limit_does_not_hold_back_a_paid_page(world: World) -> None:
    fill(world, 150)
    late = str(int(datetime.now(UTC).timestamp()) + 5_000)
    page = {"data": [a_post(1)], "meta": {"next_token": "x"}}
    world.answer("/tweets", Reply(page, headers={"x-rate-limit-remaining": "0", "x-rate-limit-reset": late}))
    pages, error = world.read_until_it_fails()
    assert type(error) is NetworkTrouble
    assert len(pages[-1].posts) == 1
    assert pages[-1].cursor is not None


def test_failures_that_pass_are_waited_out(world: World) -> None:
    fill(world, 250)
    broken = {0: Reply(status=503), 2: Reply(drop=True), 4: Reply({"data": []}, cut_after=3), 6: Reply(b"<html>")}
    world.server.faults.extend(broken.get(number) for number in range(8))
    result = world.read()
    assert len(result.posts) == len({post.id for post in result.posts}) == 250
    assert len(world.waits) == len(broken)


# --- the token -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def another_server(reply: Reply) -> Iterator[Server]:
    with serve(lambda request: reply) as server:
        yield server


def test_the_token_goes_to_the_api_and_to_nobody_else(world: World) -> None:
    with another_server(Reply(PICTURE)) as faces:
        world.x.user = {"profile_image_url": f"{faces.url}/profile_images/1/AbC_normal.jpg"}
        result = world.read()
        assert result.pages[0].avatar == PICTURE
        assert faces.paths == ["/profile_images/1/AbC_400x400.jpg"]
        assert not any(TOKEN in value for request in faces.log for value in request.headers.values())
        assert "authorization" not in faces.log[0].headers
    assert {request.headers["authorization"] for request in world.server.log} == {f"Bearer {TOKEN}"}


def test_a_picture_on_the_apis_own_address_is_asked_for_without_the_token(world: World) -> None:
    world.x.user = {"profile_image_url": f"{world.server.url}/face_normal.png"}
    world.read()
    (face,) = {request.path: request for request in world.server.log if "face_400" in request.path}.values()
    assert "authorization" not in face.headers


def test_a_redirect_takes_the_token_nowhere(world: World) -> None:
    with another_server(Reply({"data": {"id": "42", "username": "Bakery"}})) as thief:
        for status in (301, 302, 307, 308):
            world.answer("/by/username/", Reply(status=status, headers={"Location": f"{thief.url}/steal"}))
            with contextlib.suppress(HuggingtweetsError):
                world.read()
        assert len(thief.log) == 4
        assert not any(TOKEN in f"{request.headers} {request.query} {request.path}" for request in thief.log)


def test_the_token_is_in_nothing_that_is_kept_or_shown(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    fill(world, 150)
    echo = f"You sent Bearer {TOKEN}"
    world.x.user = {"name": echo, "description": echo}
    world.x.posts[0]["text"] = echo
    source = world.source()
    result = world.read()
    shown = [
        repr(source),
        source.spec,
        source.fingerprint(),
        repr(source.origin),
        *map(repr, result.pages),
        *world.told,
    ]
    for reply in (problem("x", echo, echo, 403), problem("invalid-request", "x", echo, 400), Reply(echo.encode(), 404)):
        world.answer("/tweets", reply)
        with pytest.raises(SourceError) as caught:
            world.read()
        shown += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    out, err = capfd.readouterr()
    for text in (*shown, caplog.text, out, err):
        assert TOKEN not in text
        assert "secret" not in text
    assert "(token)" in result.posts[0].text


@pytest.mark.parametrize("name", ["X_BEARER_TOKEN", "BEARER_TOKEN", "TWITTER_BEARER_TOKEN"])
@pytest.mark.parametrize("written", [TOKEN, f" {TOKEN}\n", f'"{TOKEN}"', f"Bearer {TOKEN}"])
def test_the_token_is_found_as_people_keep_it(world: World, name: str, written: str) -> None:
    world.env = {"X_BEARER_TOKEN": "", name: written}
    assert world.read().account.handle == "Bakery"


def test_a_missing_token_is_one_clear_sentence(world: World) -> None:
    world.env = {"X_BEARER_TOKEN": " "}
    with pytest.raises(SourceError, match="X_BEARER_TOKEN is not set") as caught:
        world.read()
    assert "archive" in caught.value.next
    assert world.server.paths == []


@pytest.mark.parametrize("written", ["two words", "line\nbreak", "pässword", "a\r\nX-Evil: 1", "x" * 5_000])
def test_what_cannot_be_a_token_is_not_sent_and_not_shown(world: World, written: str) -> None:
    world.env = {"X_BEARER_TOKEN": written}
    with pytest.raises(SourceError, match="can't be a bearer token") as caught:
        world.read()
    assert written not in str(caught.value)
    assert world.server.paths == []


# --- faces ---------------------------------------------------------------------------------------------------------


def test_the_given_picture_stands_in_for_a_larger_one_that_is_not_there(world: World) -> None:
    with serve(lambda request: Reply(PICTURE) if "_normal." in request.path else Reply(status=404)) as faces:
        world.x.user = {"profile_image_url": f"{faces.url}/a_normal_normal.jpg"}
        assert world.read().pages[0].avatar == PICTURE
        assert faces.paths == ["/a_normal_400x400.jpg", "/a_normal_normal.jpg"]


def test_a_picture_that_cannot_be_had_is_a_loss_and_no_failure(world: World) -> None:
    with another_server(Reply(b"<html>")) as faces:
        world.x.user = {"profile_image_url": f"{faces.url}/a_normal.jpg"}
        result = world.read()
        assert (result.pages[0].avatar, result.losses) == (None, {NO_AVATAR: 1})


@pytest.mark.parametrize(
    "address", ["/sticky/default_profile_images/default_profile_normal.png", None, 3, "ftp://x", "http://["]
)
def test_no_picture_is_asked_for_where_there_is_none(world: World, address: Any) -> None:
    at_home = isinstance(address, str) and address.startswith("/")
    world.x.user = {"profile_image_url": f"{world.server.url}{address}" if at_home else address}
    assert world.read().losses == {}
    assert len(world.server.paths) == 2


def test_a_picture_of_ones_own_is_read_before_anything_is_paid_for(world: World, tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    with pytest.raises(SourceError):
        world.read(avatar=str(path))
    assert world.server.paths == []
    path.write_bytes(PICTURE)
    assert world.read(avatar=str(path)).pages[0].avatar == PICTURE


# --- the source ----------------------------------------------------------------------------------------------------


def test_the_fingerprint_follows_what_matters_and_asks_nobody(world: World) -> None:
    one = world.source().fingerprint()
    for options in ({"x_dialect": "post"}, {"max_posts": 3_200}, {"max_posts": 9_999}):
        assert world.source(**options).fingerprint() == one
    for options in ({"max_posts": 3}, {"handle": "x"}, {"display_name": "x"}):
        assert world.source(**options).fingerprint() != one
    assert world.source("BAKERY").fingerprint() == one
    assert world.source("other").fingerprint() != one
    assert (world.source("BAKERY").spec, world.source().handle, world.source().origin.kind) == (
        "x:bakery",
        "bakery",
        "network",
    )
    assert world.server.paths == []


def test_robots_are_not_asked(world: World) -> None:
    world.server.robots = Reply(b"User-agent: *\nDisallow: /")
    fill(world, 3)
    assert len(world.read().posts) == 3


@pytest.mark.parametrize("typed", ["api.x.com", "ftp://api.x.com", "https://u:p@api.x.com", "http://["])
def test_a_wrong_address_in_the_environment_is_named(typed: str) -> None:
    source = XSource("a", ImportSettings(), env={"HUGGINGTWEETS_X_API": typed, "X_BEARER_TOKEN": TOKEN})
    with pytest.raises(SettingsError, match="HUGGINGTWEETS_X_API"):
        list(source.pages())


def test_an_address_that_is_not_encrypted_gets_no_token() -> None:
    env = {"HUGGINGTWEETS_X_API": "http://api.example.org", "X_BEARER_TOKEN": TOKEN}
    with pytest.raises(NetworkTrouble, match="not an encrypted address"):
        list(XSource("a", ImportSettings(), env=env).pages())


# --- properties ----------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NAMES = [
    *("data", "errors", "meta", "includes", "tweets", "posts", "next_token", "id", "text", "created_at", "author_id"),
    *(
        "note_tweet",
        "note_post",
        "entities",
        "urls",
        "url",
        "start",
        "end",
        "expanded_url",
        "referenced_tweets",
        "type",
    ),
    *("referenced_posts", "edit_history_tweet_ids", "public_metrics", "like_count", "tweet_count", "username", "name"),
    *("description", "protected", "profile_image_url", "title", "detail", "parameters", "value", "resource_id"),
]
SHAPED = st.recursive(
    st.sampled_from(["42", "retweeted", "replied_to", str(FIRST_ID), "https://t.co/a", "\ud800", "x" * 300]) | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=25,
)
WHOLE = {
    "data": [a_post(2, "see https://t.co/a", **link("https://t.co/a", 4, "https://a.example"), **refers("quoted", 1))],
    "includes": {"posts": [{"id": "1", "author_id": "42"}]},
    "errors": [{"title": "x", "detail": "y", "type": PROBLEMS + "z", "parameters": {"expansions": ["x"]}}],
    "meta": {"result_count": 1, "next_token": "abc"},
}
USER = {
    "data": {"id": "42", "username": "Bakery", "name": "x", "description": "y", "public_metrics": {"tweet_count": 3}},
}


def ends_well(read: Callable[[], Result]) -> None:
    """Posts and an account that a bot folder could hold, or an error of ours."""
    try:
        result = read()
    except HuggingtweetsError as error:
        str(error).encode("utf-8")
        return
    for post in result.posts:
        post.text.encode("utf-8")
        Post.from_json(json.loads(json.dumps(post.to_json())))
    for page in result.pages:
        if page.account is not None:
            (repr(page.account) + page.account.name + (page.account.bio or "")).encode("utf-8")


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with a_world() as world:
        yield world


@settings(LIGHT, max_examples=50)
@given(data=st.data())
def test_no_answer_does_worse_than_an_error(shared_world: World, data: st.DataObject) -> None:
    world = shared_world
    good = {"/by/username/": USER, "/tweets": WHOLE}
    hit = data.draw(st.sampled_from([*good]))
    answer = data.draw(nearly(good[hit], SHAPED) | SHAPED)
    status = data.draw(st.sampled_from([200, 200, 200, 400, 401, 402, 403, 404, 429]))

    def play(request: Request) -> Reply | None:
        if "pagination_token" in request.query:
            return Reply({"meta": {}})
        name = next((name for name in good if name in request.path), "")
        return Reply(answer, status) if name == hit else Reply(good.get(name))

    world.x.instead = play
    ends_well(lambda: world.read(max_posts=data.draw(st.none() | st.integers(1, 200))))


@settings(LIGHT, max_examples=30)
@given(
    cursor=st.text()
    | st.dictionaries(
        st.sampled_from(["id", "name", "next", "until", "since", "oldest", "refused", "posts", "charged"]),
        st.sampled_from(["42", "x", "", "tweet", "post", "-1", "1" * 30, 7, -3, None, "\ud800"]),
    ).map(json.dumps)
)
def test_no_cursor_does_worse_than_an_error(shared_world: World, cursor: str) -> None:
    shared_world.x.instead = lambda request: None
    ends_well(lambda: shared_world.read(cursor=cursor))


@LIGHT
@given(entry=nearly(WHOLE["data"][0], SHAPED) | st.dictionaries(st.sampled_from(NAMES), SHAPED))  # type: ignore[index]
def test_no_object_does_worse_than_no_post(entry: Any) -> None:
    if isinstance(entry, dict):
        post = post_from_v2(entry, "bakery", "42")
        ends_well(lambda: Result([Page((post,) if post else ())]))
