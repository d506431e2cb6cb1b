"""Mastodon over the network: one server on this machine plays the handle's domain and the account's home."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damage import nearly
from fediverse import ACCOUNT, ACCOUNT_ID, ACTOR, EVERYTHING, LINK, MENTION, SERVER, Writing, shaped
from huggingtweets.config import ImportSettings
from huggingtweets.consent import signals_of
from huggingtweets.errors import ConsentRefused, HuggingtweetsError, NetworkTrouble, NoSuchAccount, SourceError
from huggingtweets.posts import Account, Post
from huggingtweets.sources import tally
from huggingtweets.sources.base import Page, Tell
from huggingtweets.sources.mastodon.api import PACE_S, QUICK_PAGES, SENT_TWICE, MastodonSource, acct_from
from huggingtweets.sources.mastodon.posts import BOOSTS, PRIVATE, account_from_api, post_from_status
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.net.paging import NO_AVATAR, ONLY_EMPTY, SAME_PAGE
from loopback import Reply, Request, Server, serve
from results import Result

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
LOOKUP, STATUSES = "/api/v1/accounts/lookup", f"/api/v1/accounts/{ACCOUNT_ID}/statuses"
TERMS, INSTANCE = "/api/v1/instance/terms_of_service", "/api/v2/instance"


def statuses(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Newest first, as the API gives them."""
    return [Writing(number).status() for number in range(start + count - 1, start - 1, -1)]


def error(text: str, status: int) -> Reply:
    return Reply({"error": text}, status)


@dataclass
class Mastodon:
    """What the server knows; `instead` answers before everything else does."""

    posts: list[Any] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)
    terms: str | None = None
    rules: list[Any] = field(default_factory=list)
    self_links: list[Any] | None = None  # of the webfinger answer
    has_link_header: bool = True
    instead: Callable[[Request], Reply | None] = lambda request: None
    url: str = ""

    def play(self, request: Request) -> Reply:
        if (reply := self.instead(request)) is not None:
            return reply
        if request.path == "/.well-known/webfinger":
            return Reply({"subject": request.query["resource"], "links": self._links()})
        if request.path == LOOKUP and request.query["acct"].lower() == "bakery":
            return Reply({**ACCOUNT, "avatar": f"{self.url}/a.png", **self.account})
        if request.path == "/a.png":
            return Reply(PICTURE)
        if request.path == TERMS and self.terms is not None:
            return Reply({"effective_date": "2025-07-01", "content": self.terms})
        if request.path == INSTANCE:
            return Reply({"domain": "social.example", "rules": self.rules})
        if request.path == STATUSES:
            return self._page(request)
        return error("Record not found", 404)

    def _links(self) -> list[Any]:
        page = {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": f"{self.url}/@bakery"}
        own = {"rel": "self", "type": "application/activity+json", "href": f"{self.url}/users/bakery"}
        return [page, own] if self.self_links is None else self.self_links

    def _page(self, request: Request) -> Reply:
        below = request.query.get("max_id")
        found = [post for post in self.posts if below is None or int(post["id"]) < int(below)]
        page = found[: int(request.query["limit"])]
        rest = f"limit={request.query['limit']}&exclude_reblogs=true"
        links = [f'<{self.url}{STATUSES}?{rest}&min_id={page[0]["id"]}>; rel="prev"'] if page else []
        if len(page) == int(request.query["limit"]):
            links.insert(0, f'<{self.url}{STATUSES}?{rest}&max_id={page[-1]["id"]}>; rel="next"')
        return Reply(page, headers={"Link": ", ".join(links)} if links and self.has_link_header else {})


@dataclass
class World:
    mastodon: Mastodon
    server: Server
    told: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    clock: float = 1_739_433_600.0

    @property
    def acct(self) -> str:
        return f"bakery@{self.server.url.removeprefix('http://')}"

    def client(self, home: str, tell: Tell) -> Client:
        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.clock += seconds

        return Client(home, tell=tell, sleep=sleep, now=lambda: self.clock)

    def source(self, acct: str = "", **options: Any) -> MastodonSource:
        return MastodonSource(acct or self.acct, ImportSettings(**options), self.client)

    def read(
        self, acct: str = "", cursor: str | None = None, known: frozenset[str] = frozenset(), **options: Any
    ) -> Result:
        return Result(list(self.source(acct, **options).pages(cursor, known=known, tell=self.told.append)))

    def pages_asked(self) -> list[str | None]:
        return [request.query.get("max_id") for request in self.server.log if request.path == STATUSES]


@contextlib.contextmanager
def a_world() -> Iterator[World]:
    mastodon = Mastodon()
    with serve(lambda request: mastodon.play(request)) as server:
        mastodon.url = server.url
        yield World(mastodon, server)


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


# --- posts -------------------------------------------------------------------------------------------------------


def a_post(status: object) -> Post | str:
    return post_from_status(status, "bakery@social.example", ACCOUNT_ID)


def a_kept(writing: Writing, **changes: Any) -> Post:
    post = a_post({**writing.status(), **changes})
    assert isinstance(post, Post), post
    return post


def test_a_status_becomes_a_post() -> None:
    content = f"<p>Bread &amp; butter with {MENTION}<br />today</p><p>More: {LINK}</p>"
    assert a_kept(Writing(61, content, warning="food", likes=2)) == Post(
        "Bread & butter with @someone\ntoday\n\nMore: https://example.org/a/rather/long/path/to/a/recipe",
        account="bakery@social.example",
        id="113900000000000061",
        created_at=datetime(2025, 2, 1, 1, 1, 7, tzinfo=UTC),
        lang="en",
        html_escaped=False,
        likes=2,
        sensitive=True,
        warning="food",
    )


@pytest.mark.parametrize(
    ("changes", "kind", "reply_to", "self_reply"),
    [
        ({}, "original", None, False),
        ({"in_reply_to_id": "5", "in_reply_to_account_id": "7"}, "reply", "5", False),
        ({"in_reply_to_id": "5", "in_reply_to_account_id": ACCOUNT_ID}, "reply", "5", True),
        ({"in_reply_to_id": None, "in_reply_to_account_id": "7"}, "reply", None, False),  # what it answers was deleted
        ({"in_reply_to_id": 5, "in_reply_to_account_id": 109}, "reply", "5", True),
        ({"quote": {"state": "accepted", "quoted_status": {"id": "1"}}}, "quote", None, False),
        ({"quote": {"state": "revoked", "quoted_status": None}}, "quote", None, False),
        ({"quote_id": "3"}, "quote", None, False),
        ({"pleroma": {"quote_url": "https://a.example/1"}}, "quote", None, False),
        ({"content": '<p>a<span class="quote-inline">RE: x</span></p>'}, "quote", None, False),
        ({"quote": None, "quote_id": None, "pleroma": {"quote": None}}, "original", None, False),
        ({"quote_id": "3", "in_reply_to_id": "5"}, "reply", "5", False),
    ],
)
def test_replies_and_quotes_are_told_apart(
    changes: dict[str, Any], kind: str, reply_to: str | None, self_reply: bool
) -> None:
    post = a_kept(Writing(1), **changes)
    assert (post.kind, post.reply_to, post.self_reply) == (kind, reply_to, self_reply)


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"visibility": "private"}, PRIVATE),
        ({"visibility": "direct"}, PRIVATE),
        ({"visibility": "local"}, PRIVATE),  # Pleroma and Akkoma
        ({"visibility": "list"}, PRIVATE),
        ({"visibility": "mutuals_only"}, PRIVATE),  # GoToSocial
        ({"visibility": None}, PRIVATE),
        ({"visibility": ["public"]}, "kept"),
        ({"visibility": {"public": 1}}, PRIVATE),
        ({"visibility": "unlisted", "local_only": True}, PRIVATE),  # glitch-soc, Hometown
        ({"visibility": "unlisted", "local_only": False}, "kept"),
        ({"reblog": {"id": "9", "content": "<p>others' words</p>"}}, BOOSTS),
        ({"reblog": "9"}, BOOSTS),
        ({"content": ""}, tally.NO_TEXT),
        ({"content": "<p> &nbsp; </p>"}, tally.NO_TEXT),
        ({"content": None}, tally.NO_TEXT),
        ({"content": 3}, tally.NO_TEXT),
        ({"content": '<p class="quote-inline">RE: <a href="https://a.example">x</a></p>'}, tally.NO_TEXT),
        ({"account": {"id": "110"}}, tally.OTHERS),
        ({"account": {"id": 109}}, "kept"),
        ({"account": None}, "kept"),
    ],
)
def test_what_is_not_public_or_not_theirs_is_left_out_and_counted(changes: dict[str, Any], loss: str) -> None:
    post = a_post({**Writing(1).status(), **changes})
    assert post == loss if isinstance(post, str) else loss == "kept"


@pytest.mark.parametrize("thing", [None, 3, "text", [], [{}]])
def test_what_is_no_object_is_no_post(thing: object) -> None:
    assert a_post(thing) == tally.NOT_POSTS
    assert a_post({}) == PRIVATE


@pytest.mark.parametrize(
    ("said", "warning"),
    [
        ("", None),
        ("  ", None),
        (None, None),
        (3, None),
        ("food", "food"),
        ("I <3 :bread: &amp; AT&T", "I <3 &amp; AT&T"),
        ("<p>food &amp; drink</p>", "food & drink"),
    ],
)
def test_a_warning_is_plain_text(said: Any, warning: str | None) -> None:
    assert a_kept(Writing(1, emoji=("bread",)), spoiler_text=said).warning == warning


def test_ids_are_opaque() -> None:
    flake, ulid = "9hCCsjKt2n3JzbbBcG", "01FW9XGXV3NQVR3Z3ZJ9TZ5F1M"
    assert [a_kept(Writing(1), id=post_id).id for post_id in (7, "7", flake, ulid, None, True, [], "x" * 999)] == [
        *("7", "7", flake, ulid, None, None, None, "x" * 200)
    ]


def test_the_account_says_what_it_says_of_itself() -> None:
    record = {
        **ACCOUNT,
        "display_name": ":bread: Bob's \x00Bakery :wheat:",
        "note": "<p>Bread &amp; more :bread:</p><p>no <a href='#' class='mention hashtag'>#<span>NoAI</span></a></p>",
        "emojis": [{"shortcode": "bread"}],
        "fields": [{"name": "Shop", "value": LINK}, {"name": "AI", "value": ""}, {"value": "x"}, 3],
        "moved": {"acct": "bakery@new.example"},
        **{"noindex": True, "indexable": False, "locked": True, "limited": True, "bot": True},
    }
    account = account_from_api(record, "bakery@social.example")
    assert account == Account(
        "bakery@social.example",
        "mastodon",
        "Bob's Bakery",
        "Bread & more\n\nno #NoAI",
        id=ACTOR,
        url=f"{SERVER}/@bakery",
        fields=("Shop: https://example.org/a/rather/long/path/to/a/recipe", "AI"),
        signals=account.signals,
    )
    assert set(account.signals) == {"noindex", "not_indexable", "locked", "limited", "bot", "moved"}
    assert account.signals["moved"] == "to @bakery@new.example"
    assert "no_ai" in signals_of(account)


@pytest.mark.parametrize("field", [{"name": "AI", "value": "no thanks #noai"}, {"name": "No AI please", "value": None}])
def test_a_no_in_a_field_is_heard(field: dict[str, Any]) -> None:
    assert "no_ai" in signals_of(account_from_api({**ACCOUNT, "fields": [field]}, "x"))


def test_an_account_is_told_by_an_address_that_no_other_has() -> None:
    pleroma = {**ACCOUNT, "uri": None, "pleroma": {"ap_id": "https://p.example/users/bakery"}}
    assert account_from_api(pleroma, "x").id == "https://p.example/users/bakery"
    assert account_from_api({"id": "1"}, "x").id is None


# --- finding the account -----------------------------------------------------------------------------------------


def test_the_account_comes_first_and_alone(world: World) -> None:
    world.mastodon.posts = statuses(1)
    first, second = world.read().pages
    assert first.account is not None
    assert (first.account.handle, first.account.name) == (world.acct, "Invented Bakery")
    assert (first.account.id, first.account.signals) == (ACTOR, {})
    assert (first.avatar, first.posts, first.cursor) == (PICTURE, (), None)
    assert second.account is None
    assert len(second.posts) == 1
    assert world.server.paths[:2] == ["/.well-known/webfinger", LOOKUP]
    assert world.server.log[0].query == {"resource": f"acct:{world.acct}"}
    assert world.server.log[1].query == {"acct": "bakery"}


def test_the_home_server_is_the_one_that_webfinger_names(world: World) -> None:
    home = Mastodon(posts=statuses(3))
    with serve(lambda request: home.play(request)) as server:
        home.url = server.url
        own = {"rel": "self", "type": "application/activity+json", "href": f"{server.url}/users/bakery"}
        world.mastodon.self_links = [{"rel": "self", "type": "text/html", "href": "https://x.example"}, "x", own]
        assert len(world.read().posts) == 3
    assert set(world.server.paths) == {"/.well-known/webfinger", "/a.png"} - {"/a.png"}
    assert server.paths.count(STATUSES) == 1


def test_a_redirected_webfinger_is_followed(world: World) -> None:
    home = Mastodon(posts=statuses(3))
    with serve(lambda request: home.play(request)) as server:
        home.url = server.url
        there = f"{server.url}/.well-known/webfinger?resource=acct:x"
        world.mastodon.instead = lambda request: Reply(status=301, headers={"Location": there})
        assert len(world.read().posts) == 3


@pytest.mark.parametrize(
    "answer",
    [
        error("Not found", 404),
        Reply(b"<html>hello</html>"),
        Reply(b"", 204),
        Reply(None),
        Reply([]),
        Reply({"links": 3}),
        Reply({"links": [3, {"rel": "self"}, {"rel": "self", "href": 3}, {"rel": "self", "href": "http://["}]}),
        Reply(
            {"links": [{"rel": "self", "href": "acct:x"}, {"rel": "self", "href": f"https://a.example/{'x' * 9999}"}]}
        ),
        Reply(
            {"links": [{"rel": "self", "href": "https://a b.example/"}, {"rel": "self", "href": "https://a:99999/"}]}
        ),
    ],
)
def test_without_a_usable_webfinger_the_domain_is_asked_itself(world: World, answer: Reply) -> None:
    world.mastodon.posts = statuses(1)
    world.mastodon.instead = lambda request: answer if "webfinger" in request.path else None
    assert len(world.read().posts) == 1
    assert world.waits == []


def test_a_webfinger_can_send_nobody_into_a_private_network(world: World) -> None:
    """With a home on the public internet, nothing on this machine is asked, whoever names it."""
    client = Client("https://social.example", sleep=world.waits.append)
    for address in (
        world.server.url,
        "https://127.0.0.1:1",
        "https://[::1]",
        "https://10.0.0.5",
        "https://192.168.1.1",
    ):
        source = MastodonSource(f"bakery@{address.split('//')[1]}", ImportSettings(), lambda home, tell: client)
        with pytest.raises(NetworkTrouble, match=r"not (on the public internet|an encrypted address)"):
            list(source.pages())
    assert world.server.log == []


def test_the_first_address_is_the_handles_own_domain() -> None:
    homes = []

    def client(home: str, tell: Tell) -> Client:
        homes.append(home)
        raise NetworkTrouble("no network here")

    with pytest.raises(NetworkTrouble):
        list(MastodonSource("bob@social.example", ImportSettings(), client).pages())
    assert homes == ["https://social.example"]


def test_an_unknown_account_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(NoSuchAccount, match="knows no account nobody@"):
        world.read(world.acct.replace("bakery", "nobody"))
    assert STATUSES not in world.server.paths


def test_a_server_without_the_api_is_said_to_be_none(world: World) -> None:
    world.mastodon.instead = lambda request: Reply(b"<h1>Not Found</h1>", 404)
    with pytest.raises(NoSuchAccount, match="may not be a server that has Mastodon's API"):
        world.read()


@pytest.mark.parametrize("way", ["/api/v1/accounts/bakery", "/api/v1/accounts/search"])
def test_servers_that_cannot_look_up_are_asked_in_their_own_ways(world: World, way: str) -> None:
    """Older Pleroma takes a name for an id, and finds names by searching."""
    other = {**ACCOUNT, "id": "110", "acct": "bakery@other.example"}
    found = ACCOUNT if way.endswith("bakery") else [other, 3, ACCOUNT]
    world.mastodon.posts = statuses(1)
    answers = {way: Reply(found), LOOKUP: error("Can't find user", 404)}
    world.mastodon.instead = lambda request: answers.get(request.path)
    assert len(world.read().posts) == 1


def test_a_name_of_digits_is_not_taken_for_an_id(world: World) -> None:
    world.mastodon.instead = lambda request: Reply(ACCOUNT) if request.path == "/api/v1/accounts/109" else None
    with pytest.raises(NoSuchAccount):
        world.read(world.acct.replace("bakery", "109"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error("Unauthorized: token not supplied", 401), "signed in only: Unauthorized: token not supplied"),
        (error("This method requires an authenticated user", 401), "signed in only: This method"),
        (error("This action is not allowed", 403), "signed in only: This action"),
        (Reply(b"<html>are you human?", 403), r"signed in only\."),
    ],
)
@pytest.mark.parametrize("path", [LOOKUP, STATUSES])
def test_a_server_that_wants_a_login_is_said_to_want_one(world: World, answer: Reply, said: str, path: str) -> None:
    world.mastodon.instead = lambda request: answer if request.path == path else None
    with pytest.raises(SourceError, match=said) as caught:
        world.read()
    assert "archive" in caught.value.next


@pytest.mark.parametrize(
    "answer", [Reply({"hello": 1}), Reply([]), Reply(3), error("x\x1b[31m" * 99, 422), Reply({}, 400)]
)
def test_other_answers_are_one_clear_sentence(world: World, answer: Reply) -> None:
    world.mastodon.instead = lambda request: answer if request.path == LOOKUP else None
    with pytest.raises(NetworkTrouble, match="not what Mastodon's API answers") as caught:
        world.read()
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 250


def test_a_suspended_account_is_handed_over_as_such(world: World) -> None:
    world.mastodon.account = {"suspended": True, "note": "", "avatar": "", "display_name": ""}
    result = world.read()
    assert len(result.pages) == 1
    assert set(result.account.signals) == {"suspended"}
    assert STATUSES not in world.server.paths


def test_a_deleted_account_is_handed_over_as_such(world: World) -> None:
    world.mastodon.instead = lambda request: error("Gone", 410) if request.path == LOOKUP else None
    result = world.read()
    assert (result.posts, set(result.account.signals), result.account.handle) == ([], {"deleted"}, world.acct)


def test_the_owner_may_write_the_name_otherwise_than_was_typed(world: World) -> None:
    world.mastodon.account = {"username": "Bakery"}
    assert world.read().account.handle == world.acct.replace("bakery", "Bakery")
    world.mastodon.account = {"username": "somebody"}
    assert world.read().account.handle == world.acct


def test_what_the_person_says_goes_before_what_the_profile_says(world: World, tmp_path: Path) -> None:
    face = tmp_path / "face.png"
    face.write_bytes(PICTURE + b"mine")
    world.mastodon.posts = statuses(1)
    result = world.read(handle="@me", display_name="Me", avatar=str(face))
    assert (result.account.handle, result.account.name, result.posts[0].account) == ("me", "Me", "me")
    assert result.pages[0].avatar == PICTURE + b"mine"


@pytest.mark.parametrize(
    ("address", "losses"),
    [
        ("/nowhere.png", {NO_AVATAR: 1}),
        ("/avatars/original/missing.png", {}),
        ("http://[", {}),
        ("ftp://x", {}),
        (3, {}),
    ],
)
def test_a_picture_that_cannot_be_had_is_no_error(world: World, address: Any, losses: dict[str, int]) -> None:
    is_path = isinstance(address, str) and address.startswith("/")
    world.mastodon.account = {"avatar": world.server.url + address if is_path else address}
    world.mastodon.posts = statuses(1)
    result = world.read()
    assert (len(result.posts), result.pages[0].avatar, result.losses) == (1, None, losses)


# --- what the server says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "rules", "is_against"),
    [
        ("<p>You may not use our data for <b>data mining</b>.</p>", [], True),
        ("<p>Training of large language models is forbidden.</p>", [], True),
        ("<p>Be kind. Our training courses are in May.</p>", [], False),
        (None, [{"id": "1", "text": "No scraping", "hint": ""}], True),
        (None, [{"id": "1", "text": "Be nice", "hint": "Never train an AI on what others write"}], True),
        (None, [{"id": "1", "text": "No AI-generated pictures"}, 3, {"text": 3}], False),
        (None, [], False),
    ],
)
def test_terms_and_rules_that_speak_of_it_are_reported(
    world: World, terms: str | None, rules: list[Any], is_against: bool
) -> None:
    world.mastodon.terms, world.mastodon.rules = terms, rules
    assert ("server_terms" in world.read().account.signals) == is_against
    assert any("The rules of" in sentence for sentence in world.told) == (not is_against)


@pytest.mark.parametrize("path", [TERMS, INSTANCE])
@pytest.mark.parametrize(
    "answer", [Reply(status=500), Reply(status=429), Reply(b"<html>"), Reply([3]), Reply({"rules": 3})]
)
def test_terms_that_cannot_be_read_stop_nothing(world: World, path: str, answer: Reply) -> None:
    world.mastodon.posts = statuses(1)
    world.mastodon.instead = lambda request: answer if request.path == path else None
    assert len(world.read().posts) == 1
    assert world.waits == []


@pytest.mark.parametrize(
    ("robots", "signals"),
    [
        ("User-agent: GPTBot\nDisallow: /\n\nUser-agent: *\nDisallow: /media_proxy/\n", {"server_ai_crawlers"}),
        ("User-agent: CCBot\nUser-agent: ClaudeBot\nDisallow: /api/\n", {"server_ai_crawlers"}),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n", {"server_no_ai"}),
        ("User-agent: *\nContent-Signal: ai-train=yes\nAllow: /\n", set()),
        ("User-agent: *\nDisallow: /interact/\n", set()),
        ("", set()),
    ],
)
def test_what_robots_txt_says_of_ai_is_reported(world: World, robots: str, signals: set[str]) -> None:
    world.server.robots = Reply(robots.encode())
    account = world.read().account
    assert set(account.signals) == signals
    if "server_ai_crawlers" in signals:
        assert ("GPTBot" in account.signals["server_ai_crawlers"]) == ("GPTBot" in robots)


@pytest.mark.parametrize(
    ("robots", "asked"),
    [
        ("User-agent: *\nDisallow: /", []),
        ("User-agent: huggingtweets\nDisallow: /api/", ["/.well-known/webfinger"]),
        (f"User-agent: *\nDisallow: {STATUSES[:-9]}", ["/.well-known/webfinger", LOOKUP]),
    ],
)
def test_a_rule_against_us_ends_the_download_where_it_begins(world: World, robots: str, asked: list[str]) -> None:
    world.mastodon.posts = statuses(1)
    world.server.robots = Reply(robots.encode())
    with pytest.raises(ConsentRefused, match=r"robots\.txt"):
        world.read()
    assert world.server.paths[: len(asked)] == asked
    assert STATUSES not in world.server.paths


# --- paging ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_link_header", [True, False])
@pytest.mark.parametrize("count", [0, 1, 39, 40, 41, 250])
def test_every_post_comes_once_newest_first(world: World, has_link_header: bool, count: int) -> None:
    world.mastodon.has_link_header = has_link_header
    world.mastodon.posts = statuses(count)
    result = world.read()
    assert result.ids == [status["id"] for status in world.mastodon.posts]
    assert result.losses == {}
    assert result.pages[-1].cursor is None
    queries = [request.query for request in world.server.log if request.path == STATUSES]
    assert {(query["limit"], query["exclude_reblogs"]) for query in queries} == {("40", "true")}


def test_everything_that_is_public_is_kept_and_the_rest_counted(world: World) -> None:
    world.mastodon.posts = [writing.status() for writing in reversed(EVERYTHING)]
    result = world.read()
    assert len(result.posts) == len(EVERYTHING) - 4
    assert result.losses == {PRIVATE: 2, BOOSTS: 1, tally.NO_TEXT: 1}
    assert not any("others' words" in post.text or "for " in post.text for post in result.posts)


NEXT = f"{STATUSES}?limit=40&exclude_reblogs=true&max_id=113900000000000060"


@pytest.mark.parametrize(
    "link",
    [
        '<{here}{next}>; rel="next"',
        "<{here}{next}>; rel=next",
        '<{here}{next}>; title="a"; rel="next"',
        '<{here}{next}>;rel="next";title="a"',
        '<{here}{next}>; rel="last next"',
        '<{here}/prev>; rel="prev", <{here}{next}>; rel="next"',
        '<{here}{next}>; rel="next", <{here}/prev>; rel="prev"',
        '<{next}>; rel="next"',
        '<?limit=40&exclude_reblogs=true&max_id=113900000000000060>; rel="next"',
        # what leads elsewhere, or nowhere, is made up for by the last id
        '<https://elsewhere.example{next}>; rel="next"',
        '<http://[/>; rel="next"',
        '<{here}/api/v1/timelines/public?max_id=3>; rel="next"',
        "<{here}{next}>; rel='next'",
        '<>; rel="next"',
        "next",
        "<https://cdn.example/style.css>; rel=preload",
        "",
    ],
)
def test_the_next_page_is_found_however_it_is_written(world: World, link: str) -> None:
    """The server's own pages go on below 60 after 40 posts from 99 on."""
    world.mastodon.posts = statuses(100)
    header = link.format(here=world.server.url, next=NEXT)
    first = Reply(world.mastodon.posts[:40], headers={"Link": header} if header else {})
    world.mastodon.instead = lambda request: (
        first if request.path == STATUSES and "max_id" not in request.query else None
    )
    result = world.read()
    assert result.ids == [status["id"] for status in world.mastodon.posts]
    assert set(result.losses) == set()


def test_a_header_with_nothing_but_the_way_back_is_the_end(world: World) -> None:
    world.mastodon.posts = statuses(10)
    world.read()
    assert world.pages_asked() == [None]


def test_ids_that_are_numbers_lead_on_too(world: World) -> None:
    world.mastodon.has_link_header = False
    world.mastodon.posts = [{**status, "id": int(status["id"])} for status in statuses(90)]
    assert len(world.read().posts) == 90


def test_a_page_may_be_empty_and_not_the_last(world: World) -> None:
    pages: dict[str | None, tuple[list[Any], str | None]] = {
        None: ([], "9"),
        "9": (statuses(1, start=8), "8"),
        "8": ([], "7"),
        "7": (statuses(1, start=2), None),
    }

    def play(request: Request) -> Reply | None:
        if request.path != STATUSES:
            return None
        page, following = pages[request.query.get("max_id")]
        link = f'<{world.server.url}{STATUSES}?max_id={following}>; rel="next"' if following else '<x>; rel="prev"'
        return Reply(page, headers={"Link": link})

    world.mastodon.instead = play
    assert [post.text for post in world.read().posts] == ["post number 8", "post number 2"]


@pytest.mark.parametrize("pages", [2, 3, 5])
def test_a_resumed_download_equals_an_uninterrupted_one(world: World, pages: int) -> None:
    world.mastodon.posts = statuses(250)
    whole = world.read(max_posts=220)
    begun = Result(whole.pages[:pages])
    world.server.log.clear()
    rest = world.read(cursor=begun.pages[-1].cursor, max_posts=220)
    assert begun.posts + rest.posts == whole.posts
    assert len(whole.posts) == 220
    assert rest.pages[0].account is None
    assert set(world.server.paths) == {STATUSES}


def test_a_dropped_connection_costs_no_page(world: World) -> None:
    world.mastodon.posts = statuses(250)
    download = world.source().pages()
    begun = Result([next(download) for _ in range(4)])
    world.server.faults.extend([Reply(drop=True), Reply([], cut_after=1)] * 3)
    with pytest.raises(NetworkTrouble, match="6 times in a row"):
        next(download)
    rest = world.read(cursor=begun.pages[-1].cursor)
    assert begun.ids + rest.ids == [status["id"] for status in world.mastodon.posts]


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "{", "[1]", '{"server": "x"}', "null", '"x"'),
        json.dumps({"server": "https://a.example", "id": "1", "handle": "x", "next": "https://b.example/"}),
        json.dumps({"server": "http://[", "id": "1", "handle": "x", "next": "http://["}),
        json.dumps({"server": "https://a.example", "id": "", "handle": "x", "next": "https://a.example/"}),
        json.dumps({"server": "https://a.example", "id": 3, "handle": [], "next": None}),
    ],
)
def test_a_cursor_that_is_none_of_ours_begins_anew(world: World, cursor: str) -> None:
    world.mastodon.posts = statuses(1)
    result = world.read(cursor=cursor)
    assert result.account.id == ACTOR
    assert len(result.posts) == 1


@pytest.mark.parametrize(("most", "pages"), [(1, 1), (39, 1), (40, 1), (41, 2), (130, 4), (999, 4)])
def test_exactly_as_many_as_are_wanted_are_fetched(world: World, most: int, pages: int) -> None:
    world.mastodon.posts = statuses(150)
    result = world.read(max_posts=most)
    assert result.ids == [status["id"] for status in world.mastodon.posts[:most]]
    assert len(world.pages_asked()) == pages
    assert result.pages[-1].cursor is None


def test_what_is_no_post_is_not_among_those_wanted(world: World) -> None:
    world.mastodon.posts = [{**status, "content": ""} if int(status["id"]) % 2 else status for status in statuses(200)]
    assert len(world.read(max_posts=50).posts) == 50


# --- updates -----------------------------------------------------------------------------------------------------


def test_only_new_posts_are_fetched_where_some_are_known(world: World) -> None:
    world.mastodon.posts = statuses(500)
    known = frozenset(Writing(number).id for number in range(470))
    result = world.read(known=known)
    assert result.ids == [Writing(number).id for number in range(499, 469, -1)]
    assert len(world.pages_asked()) == 2


def test_nothing_new_is_one_page(world: World) -> None:
    world.mastodon.posts = statuses(500)
    assert world.read(known=frozenset(Writing(number).id for number in range(500))).posts == []
    assert len(world.pages_asked()) == 1


@pytest.mark.parametrize(
    "others",
    [
        {"1890000000000000003"},  # an X post, whose number is higher than any of Mastodon's
        {"at://did:plc:inventedinventedinvente/app.bsky.feed.post/3l000000aaa2a"},
        {"01FW9XGXV3NQVR3Z3ZJ9TZ5F1M", "9hCCsjKt2n3JzbbBcG"},
    ],
)
def test_posts_of_other_accounts_that_are_known_hide_nothing(world: World, others: set[str]) -> None:
    world.mastodon.posts = statuses(100)
    known = frozenset(others | {Writing(number).id for number in range(95)})
    assert world.read(known=known).ids == [Writing(number).id for number in range(99, 94, -1)]


def test_posts_without_a_text_do_not_end_an_update(world: World) -> None:
    world.mastodon.posts = [*({**status, "content": ""} for status in statuses(40, start=60)), *statuses(60)]
    known = frozenset(Writing(number).id for number in range(55))
    assert len(world.read(known=known).posts) == 5


# --- limits ------------------------------------------------------------------------------------------------------


def limit(world: World, seconds: float, remaining: int) -> dict[str, str]:
    """As Mastodon writes it, the time in ISO 8601 with microseconds."""
    reset = datetime.fromtimestamp(world.clock, UTC) + timedelta(seconds=seconds)
    return {
        "X-RateLimit-Limit": "300",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": reset.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "Date": datetime.fromtimestamp(world.clock, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }


def on_page(world: World, number: int, reply: Callable[[], Reply]) -> None:
    """The given page is answered otherwise, once."""
    world.mastodon.posts = statuses(200)
    left = [reply]

    def play(request: Request) -> Reply | None:
        is_it = request.path == STATUSES and len(world.pages_asked()) == number
        return left.pop()() if is_it and left else None

    world.mastodon.instead = play


def test_a_refusal_waits_for_the_reset_that_is_named(world: World) -> None:
    on_page(world, 3, lambda: Reply({"error": "Too many requests"}, 429, limit(world, 240.5, 0)))
    assert len(world.read().posts) == 200
    assert len(world.waits) == 1
    assert 240 < world.waits[0] < 243
    assert any("asked too often" in sentence for sentence in world.told)


def test_a_refusal_without_a_reset_is_tried_again_later(world: World) -> None:
    on_page(world, 3, lambda: Reply({"error": "Throttled"}, 429))
    assert len(world.read().posts) == 200
    assert len(world.waits) == 1
    assert 1 <= world.waits[0] <= 3


def test_a_limit_that_is_used_up_is_waited_for(world: World) -> None:
    on_page(world, 2, lambda: _used_up(world))
    assert len(world.read().posts) == 200
    assert len(world.waits) == 1
    assert 100 < world.waits[0] < 103


def _used_up(world: World) -> Reply:
    link = f'<{world.server.url}{STATUSES}?limit=40&exclude_reblogs=true&max_id={Writing(120).id}>; rel="next"'
    return Reply(world.mastodon.posts[40:80], headers={**limit(world, 100, 0), "Link": link})


def test_the_limit_that_headers_hide_is_kept_by_pace(world: World) -> None:
    """300 pages a quarter of an hour: after 250 of them, one every three seconds; also after going on."""
    world.mastodon.posts = statuses(5 * (QUICK_PAGES + 10))
    small = {"limit": "5"}
    plain = world.mastodon.play

    def play(request: Request) -> Reply | None:
        if request.path != STATUSES or request.query["limit"] == "5":
            return None
        return plain(Request(request.path, {**request.query, **small}, request.headers))

    world.mastodon.instead = play
    pages = world.read().pages
    assert len(world.pages_asked()) > QUICK_PAGES + 9
    assert world.waits == [PACE_S] * (len(world.pages_asked()) - QUICK_PAGES)
    world.waits.clear()
    rest = world.read(cursor=pages[QUICK_PAGES + 3].cursor)
    assert world.waits == [PACE_S] * len(rest.pages)


def test_failures_are_waited_out(world: World) -> None:
    world.mastodon.posts = statuses(200)
    broken = {
        0: Reply(status=502),
        3: Reply(drop=True),
        8: Reply(b"<html>"),
        10: Reply([], cut_after=1),
        12: Reply(status=503),
    }
    world.server.faults.extend(broken.get(number) for number in range(13))
    assert len(world.read().posts) == 200
    assert len(world.waits) == len([told for told in world.told if "trying again" in told]) == 5


# --- accounts and servers that change or lie ---------------------------------------------------------------------


@pytest.mark.parametrize("gone", [error("Record not found", 404), error("Gone", 410), Reply([])])
@pytest.mark.parametrize(
    ("after", "signal"),
    [
        (error("Record not found", 404), "deleted"),
        (error("Gone", 410), "deleted"),
        (Reply({**ACCOUNT, "suspended": True}), "suspended"),
    ],
)
def test_an_account_that_goes_on_the_way_is_handed_over_as_gone(
    world: World, gone: Reply, after: Reply, signal: str
) -> None:
    """A suspension looks like an end: a page without posts."""
    world.mastodon.posts = statuses(200)
    has_gone = False

    def play(request: Request) -> Reply | None:
        nonlocal has_gone
        has_gone |= request.query.get("max_id") == Writing(160).id
        return (gone if request.path == STATUSES else after if request.path == LOOKUP else None) if has_gone else None

    world.mastodon.instead = play
    result = world.read()
    last = result.pages[-1].account
    assert last is not None
    assert (last.handle, last.name, set(last.signals)) == (world.acct, "Invented Bakery", {signal})
    assert len(result.posts) == 40
    resumed = world.read(cursor=result.pages[1].cursor).account
    assert (resumed.handle, set(resumed.signals)) == (world.acct, {signal})


def test_an_account_that_is_still_there_is_not_called_deleted(world: World) -> None:
    world.mastodon.posts = statuses(80)
    world.mastodon.instead = lambda request: (
        error("Record not found", 404) if request.query.get("max_id") == Writing(40).id else None
    )
    with pytest.raises(NetworkTrouble, match="answered 404: Record not found"):
        world.read()


def test_an_empty_page_where_nothing_was_promised_is_no_reason_to_ask(world: World) -> None:
    assert world.read().posts == []
    assert world.server.paths.count(LOOKUP) == 1


@pytest.mark.parametrize(
    ("answer", "losses"),
    [
        (lambda asked: (statuses(3), f"{STATUSES}?max_id=same"), {SENT_TWICE: 3, SAME_PAGE: 1}),
        (lambda asked: ([], f"{STATUSES}?max_id={int(asked or 0) + 1}"), {ONLY_EMPTY: 201}),
        (lambda asked: (statuses(3), f"{STATUSES}?max_id={int(asked or 0) + 1}"), {SENT_TWICE: 3, SAME_PAGE: 1}),
        (lambda asked: (statuses(3), None), {SENT_TWICE: 3, SAME_PAGE: 1}),
        (lambda asked: ([{"id": None}, 3, []], None), {PRIVATE: 1, tally.NOT_POSTS: 2}),
    ],
)
def test_a_lying_server_ends_the_download_with_a_loss(world: World, answer: Any, losses: dict[str, int]) -> None:
    def play(request: Request) -> Reply | None:
        if request.path != STATUSES:
            return None
        page, following = answer(request.query.get("max_id"))
        return Reply(page, headers={"Link": f'<{following}>; rel="next"'} if following else {})

    world.mastodon.instead = play
    result = world.read()
    assert len(result.posts) in (0, 3)
    assert result.losses == losses


def test_posts_that_two_pages_share_are_kept_once(world: World) -> None:
    pages = {None: statuses(40, start=60), Writing(60).id: statuses(40, start=30), Writing(30).id: statuses(30)}
    world.mastodon.instead = lambda request: (
        Reply(pages.get(request.query.get("max_id"), [])) if request.path == STATUSES else None
    )
    result = world.read()
    assert result.ids == [Writing(number).id for number in range(99, -1, -1)]
    assert result.losses == {SENT_TWICE: 10}


@pytest.mark.parametrize("answer", [Reply({"error": "x"}), Reply({"statuses": []}), Reply(None), Reply(3)])
def test_pages_that_are_no_lists_are_an_error(world: World, answer: Reply) -> None:
    world.mastodon.instead = lambda request: answer if request.path == STATUSES else None
    with pytest.raises(NetworkTrouble, match="not what Mastodon's API answers"):
        world.read()


# --- the source --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "acct"),
    [
        ("@Bob@Social.Example", "Bob@social.example"),
        ("bob@social.example:8443", "bob@social.example:8443"),
        (" acct:bob@social.example ", "bob@social.example"),
        ("https://social.example/@bob", "bob@social.example"),
        ("https://social.example/users/bob/", "bob@social.example"),
        ("https://social.example/@bob?a=1#b", "bob@social.example"),
        ("https://social.example/@bob/113900000000000003", "bob@social.example"),
        ("https://social.example/web/@bob", "bob@social.example"),
        ("https://social.example/@bob@other.example", "bob@other.example"),
        ("HTTPS://Social.Example/@bob", "bob@social.example"),
        ("@bob@müller.example", "bob@müller.example"),
        ("@a.b-c_d@x.example", "a.b-c_d@x.example"),
        ("@bob", None),
        ("bob@", None),
        ("@bob@a@b", None),
        ("bob@-", "bob@-"),
        ("https://social.example/", None),
        ("a b@social.example", None),
        ("bob@a..b", None),
        ("bob@a/b", None),
    ],
)
def test_an_account_is_found_in_whatever_was_typed(typed: str, acct: str | None) -> None:
    assert acct_from(typed) == acct


def test_the_fingerprint_follows_what_matters_and_asks_nobody(world: World) -> None:
    one = world.source().fingerprint()
    assert one == world.source().fingerprint()
    for options in ({"max_posts": 3}, {"handle": "x"}, {"display_name": "x"}, {"avatar": "x"}):
        assert world.source(**options).fingerprint() != one
    assert world.source("bob@other.example").fingerprint() != one
    source = world.source()
    assert (source.spec, source.handle, source.origin.kind) == (f"mastodon:{world.acct}", world.acct, "network")
    assert world.server.log == []


# --- properties --------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = sorted(
    {*Writing(1).status(), *ACCOUNT, "avatar", "links", "rel", "href", "error", "rules", "shortcode", "moved"}
)
SHAPED = shaped(NAMES, ["public", "unlisted", "self", "http://127.0.0.1:1/a", ACCOUNT_ID])

RICH = Writing(1, f"<p>:b: {LINK}</p>", warning="w", emoji=("b",), quotes="x", options=("a",), answers=3, pictures=1)


def check_usable(result: Result) -> None:
    """Posts and accounts are such as a bot's folder could hold."""
    for post in result.posts:
        f"{post.text}{post.warning}{post.id}{post.reply_to}".encode()
        assert Post.from_json(json.loads(json.dumps(post.to_json()))) == post
    for page in result.pages:
        if page.account is not None:
            f"{page.account!r}".encode()
            f"{page.account.name}{page.account.bio}{page.account.fields}{page.account.url}".encode()


@settings(LIGHT, max_examples=150)
@given(status=nearly(RICH.status(), SHAPED) | SHAPED, record=nearly(ACCOUNT, SHAPED))
def test_no_status_and_no_account_do_worse_than_a_loss(status: Any, record: Any) -> None:
    post = a_post(status)
    account = account_from_api(record if isinstance(record, dict) else {}, "x")
    check_usable(Result([Page((post,) if isinstance(post, Post) else (), account)]))


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with a_world() as world:
        yield world


@settings(LIGHT, max_examples=60)
@given(data=st.data())
def test_no_answer_does_worse_than_an_error(shared_world: World, data: st.DataObject) -> None:
    world = shared_world
    own = {"rel": "self", "type": "application/activity+json", "href": f"{world.server.url}/users/bakery"}
    good: dict[str, Any] = {
        "/.well-known/webfinger": {"links": [own]},
        LOOKUP: {**ACCOUNT, "avatar": f"{world.server.url}/a.png"},
        STATUSES: [RICH.status(), Writing(2).status()],
        TERMS: {"content": "<p>scraping</p>"},
        INSTANCE: {"rules": [{"text": "x"}]},
    }
    hit = data.draw(st.sampled_from([*good]))
    answer = data.draw(nearly(good[hit], SHAPED))
    status = data.draw(st.sampled_from([200, 200, 200, 400, 401, 404, 410]))
    link = data.draw(
        st.sampled_from(["", f'<{STATUSES}?max_id=3>; rel="next"', "<\xe9>;rel=next", '<http://[>; rel="next"'])
    )

    def play(request: Request) -> Reply | None:
        if request.path not in good:
            return None
        is_hit = request.path == hit and "max_id" not in request.query
        return Reply(
            answer if is_hit else good[request.path], status if is_hit else 200, {"Link": link} if link else {}
        )

    world.mastodon.instead = play
    with contextlib.suppress(HuggingtweetsError):
        check_usable(world.read())


@LIGHT
@given(cursor=st.text() | SHAPED.map(json.dumps), typed=st.text() | st.text().map(lambda text: f"{text}@127.0.0.1:1"))
def test_no_cursor_and_no_name_do_worse_than_an_error(shared_world: World, cursor: str, typed: str) -> None:
    shared_world.mastodon.instead = lambda request: None
    check_usable(shared_world.read(cursor=cursor))
    assert (acct := acct_from(typed)) is None or "@" in acct
