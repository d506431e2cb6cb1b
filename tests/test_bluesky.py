"""Bluesky over the network: one server on this machine plays feed, directory and the account's own server."""

from __future__ import annotations

import contextlib
import json
import socketserver
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damage import nearly
from huggingtweets.cleaning import clean
from huggingtweets.config import DatasetSettings, ImportSettings
from huggingtweets.errors import HuggingtweetsError, NetworkTrouble, NoSuchAccount, SettingsError, SourceError
from huggingtweets.posts import Account, Post
from huggingtweets.sources import tally
from huggingtweets.sources.base import Page, Tell
from huggingtweets.sources.bluesky.api import PINNED, BlueskySource, actor_from
from huggingtweets.sources.bluesky.posts import Owner, expand_links, post_from_record, post_from_view
from huggingtweets.sources.bluesky.servers import BAD_CURSOR
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.net.paging import NO_AVATAR, ONLY_EMPTY, SAME_PAGE
from huggingtweets.sources.tally import Tally
from loopback import Reply, Request, Server, serve
from results import Result

DID = "did:plc:inventedinventedinvente"
OTHER = "did:plc:someoneelse"
POST = "app.bsky.feed.post"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)


def uri_of(number: int, did: str = DID) -> str:
    return f"at://{did}/{POST}/3l{number:011}"


def record(text: str, **changes: Any) -> dict[str, Any]:
    return {"$type": POST, "text": text, "createdAt": "2025-02-03T08:15:00.000Z", "langs": ["en"], **changes}


def view(number: int, text: str = "", did: str = DID, **changes: Any) -> dict[str, Any]:
    post = {
        "uri": uri_of(number, did),
        "cid": "bafy",
        "author": {"did": did, "handle": "someone.example"},
        "record": record(text or f"post number {number}", **changes),
        "likeCount": 3,
        "indexedAt": "2025-02-03T08:15:01.123Z",
    }
    return {"post": post}


def link(start: int, end: int, uri: Any = "https://bake.example/loaves") -> dict[str, Any]:
    feature = {"$type": "app.bsky.richtext.facet#link", "uri": uri}
    return {"index": {"byteStart": start, "byteEnd": end}, "features": [feature]}


def error(name: str, message: str = "", status: int = 400) -> Reply:
    return Reply({"error": name, "message": message}, status)


@dataclass
class Bluesky:
    """What the network knows; `instead` answers before everything else does."""

    feed: list[Any] = field(default_factory=list)
    records: list[Any] = field(default_factory=list)  # of posts, on the account's own server
    said: dict[str, list[Any]] = field(default_factory=dict)  # collection to records
    profile: dict[str, Any] = field(default_factory=dict)
    page_posts: int = 100
    instead: Callable[[Request], Reply | None] = lambda request: None
    url: str = ""

    def play(self, request: Request) -> Reply:
        if (reply := self.instead(request)) is not None:
            return reply
        call = request.path.removeprefix("/xrpc/")
        known = request.query.get("actor") in (DID, "bakery.example") or request.query.get("repo") == DID
        if request.path in (f"/{DID}", "/.well-known/did.json"):
            return Reply(self.document)
        if request.path == "/avatar.png":
            return Reply(PICTURE)
        if not known:
            return error("InvalidRequest", "Profile not found")
        if call == "app.bsky.actor.getProfile":
            return Reply({"did": DID, "handle": "bakery.example", **self.profile})
        if call == "com.atproto.repo.getRecord":
            found = self.said.get(request.query["collection"])
            return (
                Reply({"uri": "x", "value": found[0]}) if found else error("RecordNotFound", "Could not locate record")
            )
        if call == "app.bsky.feed.getAuthorFeed":
            return self._page("feed", self.feed, request)
        mine = request.query["collection"] == POST
        records = (
            self.records if mine else [{"value": value} for value in self.said.get(request.query["collection"], [])]
        )
        return self._page("records", records, request)

    def _page(self, name: str, entries: list[Any], request: Request) -> Reply:
        start = int(request.query.get("cursor", "0"))
        end = start + min(self.page_posts, int(request.query["limit"]))
        more = {"cursor": str(end)} if end < len(entries) else {}
        return Reply({name: entries[start:end], **more})

    @property
    def document(self) -> dict[str, Any]:
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.url}
        return {"id": DID, "service": [{"id": "#other", "type": "Other", "serviceEndpoint": 3}, service]}


@dataclass
class World:
    bluesky: Bluesky
    server: Server
    told: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def source(self, actor: str = "bakery.example", **options: Any) -> BlueskySource:
        def client(home: str, tell: Tell) -> Client:
            return Client(home, tell=tell, sleep=self.waits.append)

        env = {"HUGGINGTWEETS_BLUESKY_API": self.server.url, "HUGGINGTWEETS_PLC": f"{self.server.url}/"}
        return BlueskySource(actor, ImportSettings(**options), client, env, now=lambda: NOW)

    def read(
        self,
        actor: str = "bakery.example",
        cursor: str | None = None,
        known: frozenset[str] = frozenset(),
        **options: Any,
    ) -> Result:
        return Result(list(self.source(actor, **options).pages(cursor, known=known, tell=self.told.append)))

    def calls(self) -> list[str]:
        return [path.rsplit(".", 1)[-1] for path in self.server.paths]


@contextlib.contextmanager
def a_world() -> Iterator[World]:
    bluesky = Bluesky()
    with serve(lambda request: bluesky.play(request)) as server:
        bluesky.url = server.url
        yield World(bluesky, server)


@pytest.fixture(scope="module", autouse=True)
def _no_delay() -> Iterator[None]:
    """Head and body of an answer go out separately; without this each pair waits 40 ms for the other side's word."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socketserver.StreamRequestHandler, "disable_nagle_algorithm", True)
        yield


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


# --- posts -------------------------------------------------------------------------------------------------------


def a_post(entry: Any, losses: Tally | None = None) -> Post | None:
    return post_from_view(entry, Owner(DID, "bakery.example"), NOW, losses or Tally())


def test_an_entry_of_the_feed_becomes_a_post() -> None:
    text = "Bread is rising 🍞 see example.com/loaf-recip..."
    entry = view(1, text, facets=[link(25, 50, "https://example.com/loaf-recipe-long")])
    assert a_post(entry) == Post(
        "Bread is rising 🍞 see https://example.com/loaf-recipe-long",
        account="bakery.example",
        id=uri_of(1),
        created_at=datetime(2025, 2, 3, 8, 15, tzinfo=UTC),
        lang="en",
        html_escaped=False,
        likes=3,
    )


def ref(number: int, did: str = OTHER, collection: str = POST) -> dict[str, str]:
    return {"uri": f"at://{did}/{collection}/3k{number}", "cid": "b"}


@pytest.mark.parametrize(
    ("changes", "kind", "reply_to", "self_reply"),
    [
        ({}, "original", None, False),
        ({"reply": {"parent": ref(1), "root": ref(1)}}, "reply", ref(1)["uri"], False),
        ({"reply": {"parent": ref(1, DID), "root": ref(2)}}, "reply", ref(1, DID)["uri"], True),
        ({"embed": {"$type": "app.bsky.embed.record", "record": ref(1)}}, "quote", None, False),
        ({"embed": {"$type": "app.bsky.embed.recordWithMedia", "record": {"record": ref(1)}}}, "quote", None, False),
        (
            {"embed": {"$type": "app.bsky.embed.record", "record": ref(1, collection="app.bsky.graph.list")}},
            "original",
            None,
            False,
        ),
        (
            {"embed": {"$type": "app.bsky.embed.external", "external": {"uri": "https://a.example"}}},
            "original",
            None,
            False,
        ),
        (
            {"reply": {"parent": ref(1)}, "embed": {"$type": "app.bsky.embed.record", "record": ref(2)}},
            "reply",
            ref(1)["uri"],
            False,
        ),
    ],
)
def test_replies_and_quotes_are_told_apart(
    changes: dict[str, Any], kind: str, reply_to: str | None, self_reply: bool
) -> None:
    post = a_post(view(1, **changes))
    assert post is not None
    assert (post.kind, post.reply_to, post.self_reply) == (kind, reply_to, self_reply)


@pytest.mark.parametrize(
    ("created", "seen", "expected"),
    [
        ("2025-02-04T09:00:00+01:00", None, datetime(2025, 2, 4, 8, tzinfo=UTC)),
        ("2031-01-01T00:00:00Z", "2025-02-03T08:15:01.123456789Z", datetime(2025, 2, 3, 8, 15, 1, 123456, UTC)),
        ("yesterday", "2025-02-03T08:15:01Z", datetime(2025, 2, 3, 8, 15, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", "2025-02-03T08:15:01Z", datetime(2025, 2, 3, 8, 15, 1, tzinfo=UTC)),
        (None, None, None),
        (1738571300, {}, None),
        ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z", None),
    ],
)
def test_a_time_that_cannot_be_is_replaced_by_the_servers(created: Any, seen: Any, expected: datetime | None) -> None:
    losses = Tally()
    entry = view(1, createdAt=created)
    entry["post"]["indexedAt"] = seen
    post = a_post(entry, losses)
    assert post is not None
    assert post.created_at == expected
    assert [loss.what for loss in losses.take()] == ([tally.UNREAD_TIMES] if expected is None else [])


@pytest.mark.parametrize("label", ["porn", "sexual", "nudity", "graphic-media"])
def test_self_labels_make_a_post_sensitive(label: str) -> None:
    labels = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": label}]}
    assert (a_post(view(1, labels=labels)) or Post("", "")).sensitive
    assert not (a_post(view(1, labels={"values": [{"val": "spoiler"}, 3]})) or Post("", "")).sensitive


def test_nothing_is_unescaped() -> None:
    post = a_post(view(1, "a &amp; b <3"))
    assert post is not None
    assert clean(post, DatasetSettings()) == "a &amp; b <3"


@pytest.mark.parametrize(
    ("text", "facets", "expected"),
    [
        ("🍞🍞 a.example/x… 🍞", [link(9, 23)], "🍞🍞 https://bake.example/loaves 🍞"),
        (
            "a.example b.example",
            [link(10, 19), link(0, 9, "http://x.example")],
            "http://x.example https://bake.example/loaves",
        ),
        ("詳細はa.example/x...を", [link(9, 23)], "詳細はhttps://bake.example/loaves を"),
        ("I wrote about my bread here", [link(14, 22)], "I wrote about my bread here"),
        ("see a.example/x", [link(5, 99)], "see a.example/x"),
        ("see a.example/x", [link(8, 8)], "see a.example/x"),
        ("see a.example/x", [link(-3, 15)], "see a.example/x"),
        ("see a.example/x", [link(True, 15)], "see a.example/x"),
        ("see a.example/x", [link(4, 15, "at://x"), link(4, 15, 7)], "see a.example/x"),
        ("🍞a.example", [link(2, 13)], "🍞a.example"),
        ("a.example/xyz", [link(0, 13), link(2, 9, "https://b.example")], "https://bake.example/loaves"),
        ("a.example", [link(0, 9, "https://b.example/a b\nc")], "https://b.example/a%20b%20c"),
        (
            "@bob #bread",
            [{"index": {"byteStart": 0, "byteEnd": 4}, "features": [{"$type": "app.bsky.richtext.facet#mention"}]}],
            "@bob #bread",
        ),
        ("a.example", {"0": 1}, "a.example"),
        ("half \ud83d a.example", [link(9, 18)], "half \ud83d https://bake.example/loaves"),
    ],
)
def test_links_are_written_out_where_their_place_is_one(text: str, facets: Any, expected: str) -> None:
    assert expand_links(text, facets) == expected


def test_what_no_file_may_hold_is_replaced() -> None:
    post = a_post(view(1, "half \ud83d and nul\0"))
    assert post is not None
    assert post.text == "half � and nul"


@pytest.mark.parametrize(
    ("entry", "loss"),
    [
        (view(1, "hello", did=OTHER), tally.OTHERS),
        (view(1, " \n"), tally.NO_TEXT),
        (view(1, text=3), tally.NOT_POSTS),  # type: ignore[arg-type]
        ({"post": {"author": {"did": DID}, "record": None}}, tally.NOT_POSTS),
        ({"post": 3}, tally.NOT_POSTS),
        (None, tally.NOT_POSTS),
        (view(1, **{"$type": "app.bsky.feed.generator"}), tally.NOT_POSTS),
    ],
)
def test_what_is_no_post_is_counted(entry: Any, loss: str) -> None:
    losses = Tally()
    assert a_post(entry, losses) is None
    assert [found.what for found in losses.take()] == [loss]


def test_a_repost_keeps_its_words_and_is_marked(world: World) -> None:
    reason = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": {"did": DID},
        "uri": f"at://{DID}/app.bsky.feed.repost/3l9",
        "indexedAt": "2025-02-05T10:00:00.000Z",
    }
    world.bluesky.feed = [
        {**view(1, "others' words", did=OTHER, reply={"parent": ref(1, DID)}), "reason": reason},
        {**view(2, "my own, again"), "reason": {**reason, "uri": None}},
        {**view(3, "not ours at all", did=OTHER), "reason": {**reason, "by": {"did": OTHER}}},
    ]
    result = world.read()
    assert result.posts[0] == Post(
        "others' words",
        account="bakery.example",
        id=f"at://{DID}/app.bsky.feed.repost/3l9",
        created_at=datetime(2025, 2, 5, 10, tzinfo=UTC),
        kind="repost",
        lang="en",
        html_escaped=False,
    )
    assert [(post.kind, post.id, post.account) for post in result.posts[1:]] == [("repost", None, "bakery.example")]
    assert result.losses == {tally.OTHERS: 1}


# --- the feed ----------------------------------------------------------------------------------------------------


def test_the_account_comes_first_and_alone(world: World) -> None:
    world.bluesky.feed = [view(1)]
    world.bluesky.profile = {
        "displayName": "Invented Bakery",
        "description": "Bread &amp; more\n#noai",
        "avatar": f"{world.server.url}/avatar.png",
        "website": "https://bake.example",
    }
    first, second = world.read().pages
    assert first.account == Account(
        "bakery.example",
        "bluesky",
        "Invented Bakery",
        "Bread &amp; more\n#noai",
        id=DID,
        url="https://bsky.app/profile/bakery.example",
        fields=("website: https://bake.example",),
    )
    assert (first.avatar, first.posts, first.cursor) == (PICTURE, (), None)
    assert second.account is None
    assert len(second.posts) == 1


def test_every_page_is_asked_for_by_did(world: World) -> None:
    world.bluesky.feed = [view(number) for number in range(250)]
    result = world.read("bakery.example")
    assert [len(page.posts) for page in result.pages] == [0, 100, 100, 50]
    asked = [request.query for request in world.server.log if request.path.endswith("getAuthorFeed")]
    assert [query["actor"] for query in asked] == [DID] * 3
    assert [query.get("cursor") for query in asked] == [None, "100", "200"]
    assert {(query["limit"], query["filter"]) for query in asked} == {("100", "posts_with_replies")}
    assert result.losses == {}
    assert result.pages[-1].cursor is None


@pytest.mark.parametrize("own_server", [False, True])
@pytest.mark.parametrize("pages", [2, 3, 4])
def test_a_resumed_download_equals_an_uninterrupted_one(world: World, own_server: bool, pages: int) -> None:
    world.bluesky.feed = [view(number) for number in range(450)]
    world.bluesky.records = [{"uri": uri_of(n), "cid": "b", "value": record(f"post {n}")} for n in range(450)]
    whole = world.read(own_server=own_server, max_posts=420)
    begun = Result(whole.pages[:pages])
    world.server.log.clear()
    rest = world.read(cursor=begun.pages[-1].cursor, own_server=own_server, max_posts=420)
    assert begun.posts + rest.posts == whole.posts
    assert len(whole.posts) == 420
    assert rest.pages[0].account is None
    assert set(world.calls()) == {"listRecords" if own_server else "getAuthorFeed"}


@pytest.mark.parametrize(
    "cursor", ["", "{", "[1]", '{"did": "x"}', '{"did":"did:plc:a","handle":"","server":"","next":""}']
)
def test_a_cursor_that_is_none_of_ours_begins_anew(world: World, cursor: str) -> None:
    world.bluesky.feed = [view(1)]
    result = world.read(cursor=cursor)
    assert result.account.id == DID
    assert len(result.posts) == 1


def test_the_own_server_gives_records_without_reposts(world: World) -> None:
    reply = record("a reply", reply={"parent": ref(1, DID)})
    world.bluesky.records = [
        {"uri": uri_of(2), "cid": "b", "value": reply},
        {"uri": uri_of(1), "cid": "b", "value": record("first")},
        {"uri": uri_of(3, OTHER), "cid": "b", "value": record("not theirs")},
        {"uri": 3, "value": record("without a name")},
        "nonsense",
    ]
    result = world.read(own_server=True)
    assert [(post.text, post.kind, post.id) for post in result.posts] == [
        ("a reply", "reply", uri_of(2)),
        ("first", "original", uri_of(1)),
        ("without a name", "original", None),
    ]
    assert result.losses == {tally.OTHERS: 1, tally.NOT_POSTS: 1}


def test_a_web_identity_is_looked_up_on_its_own_host(world: World) -> None:
    did = f"did:web:{world.server.url.removeprefix('http://').replace(':', '%3A')}"
    answers = {"getProfile": {"did": did}, "getAuthorFeed": {"feed": []}, "getRecord": {}, "listRecords": {}}
    world.bluesky.instead = lambda request: (
        Reply(answers[call]) if (call := request.path.rsplit(".", 1)[-1]) in answers else None
    )
    result = world.read(did)
    assert "/.well-known/did.json" in world.server.paths
    assert result.account.id == did


def test_a_pinned_copy_is_kept_once(world: World) -> None:
    pinned = {**view(2), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}}
    world.bluesky.feed = [pinned, view(3), view(2), view(1)]
    result = world.read()
    assert [post.id for post in result.posts] == [uri_of(2), uri_of(3), uri_of(1)]
    assert result.losses == {PINNED: 1}


def test_only_new_posts_are_fetched_where_some_are_known(world: World) -> None:
    world.bluesky.feed = [view(number) for number in range(500, 0, -1)]
    known = frozenset(uri_of(number) for number in range(470))
    result = world.read(known=known)
    assert [post.id for post in result.posts] == [uri_of(number) for number in range(500, 469, -1)]
    assert world.calls().count("getAuthorFeed") == 2


def test_the_newest_are_fetched_where_not_all_are_wanted(world: World) -> None:
    world.bluesky.feed = [view(number) for number in range(500)]
    result = world.read(max_posts=130)
    assert len(result.posts) == 130
    assert world.calls().count("getAuthorFeed") == 2
    assert result.pages[-1].cursor is None


def test_what_the_person_says_goes_before_what_the_profile_says(world: World, tmp_path: Any) -> None:
    face = tmp_path / "face.png"
    face.write_bytes(PICTURE + b"mine")
    world.bluesky.feed = [view(1)]
    result = world.read(handle="@me", display_name="Me", avatar=str(face))
    assert (result.account.handle, result.account.name, result.posts[0].account) == ("me", "Me", "me")
    assert result.pages[0].avatar == PICTURE + b"mine"


def test_an_invalid_handle_is_replaced_by_what_was_asked_for(world: World) -> None:
    for said in ("handle.invalid", "../../x", None, 3):
        world.bluesky.profile = {"handle": said}
        assert world.read(DID).account.handle == DID


@pytest.mark.parametrize(
    "address", ["/nowhere.png", "/.well-known/x", "http://[", "ftp://x", "http://127.0.0.1:1/a.png"]
)
def test_a_picture_that_cannot_be_had_is_no_error(world: World, address: str) -> None:
    world.bluesky.feed = [view(1)]
    world.bluesky.profile = {"avatar": world.server.url + address if address.startswith("/") else address}
    result = world.read()
    assert len(result.posts) == 1
    assert result.pages[0].avatar is None
    assert result.losses in ({}, {NO_AVATAR: 1})


# --- what the account says ---------------------------------------------------------------------------------------

INTENT, DEMO, LEXICON = (
    "org.user-intents.declaration",
    "org.user-intents.demo.declaration",
    "community.lexicon.preference.ai",
)
NO = {"allow": False, "updatedAt": "2025-02-20T21:37:20.362Z"}
YES = {"allow": True}


@pytest.mark.parametrize(
    ("collection", "said", "signals"),
    [
        (INTENT, {"syntheticContentGeneration": NO}, {"no_ai"}),
        (DEMO, {"syntheticContentGeneration": NO}, {"no_ai"}),
        (INTENT, {"syntheticContentGeneration": YES, "bulkDataset": NO}, {"noindex"}),
        (INTENT, {"syntheticContentGeneration": NO, "bulkDataset": NO}, {"noindex", "no_ai"}),
        (INTENT, {"publicAccessArchive": NO, "protocolBridging": NO}, set()),
        (INTENT, {"syntheticContentGeneration": {"allow": "false"}}, set()),
        (INTENT, None, set()),
        (LEXICON, {"preferences": {"training": NO}}, {"no_ai"}),
        (LEXICON, {"preferences": {"syntheticContent": NO, "training": YES}}, {"no_ai"}),
        (LEXICON, {"preferences": {"inference": NO, "embedding": NO}}, set()),
        (LEXICON, {"preferences": {"training": NO}, "scope": {"$type": f"{LEXICON}#globalScope"}}, {"no_ai"}),
        (LEXICON, {"preferences": {"training": NO}, "scope": {"$type": "#c", "collection": "app.bsky.*"}}, {"no_ai"}),
        (LEXICON, {"preferences": {"training": NO}, "scope": {"$type": "#c", "collections": [POST]}}, {"no_ai"}),
        (
            LEXICON,
            {"preferences": {"training": NO}, "scope": {"$type": "#c", "collection": "app.bsky.feed.like"}},
            set(),
        ),
        (LEXICON, {"preferences": {"training": NO}, "scope": {"$type": "#e", "entity": "did:plc:someai"}}, set()),
        (LEXICON, {"preferences": {"training": NO}, "scope": {"$type": "#r", "repo": f"at://{DID}"}}, {"no_ai"}),
        (LEXICON, {"preferences": [NO]}, set()),
    ],
)
def test_what_the_account_says_of_ai_is_reported(world: World, collection: str, said: Any, signals: set[str]) -> None:
    world.bluesky.said = {collection: [said]}
    account = world.read().account
    assert set(account.signals) == signals
    assert all(collection in where for where in account.signals.values())


def test_a_no_among_many_preferences_is_found(world: World) -> None:
    yes = {"preferences": {"training": YES}}
    world.bluesky.said = {LEXICON: [*[yes] * 130, {"preferences": {"training": NO}}]}
    assert set(world.read().account.signals) == {"no_ai"}


@pytest.mark.parametrize(
    ("label", "is_shown"),
    [
        ({"src": DID, "val": "!no-unauthenticated"}, False),
        ({"src": OTHER, "val": "!no-unauthenticated"}, True),
        ({"src": DID, "val": "!no-unauthenticated", "neg": True}, True),
        ({"src": DID, "val": "other"}, True),
        (None, True),
    ],
)
def test_the_wish_not_to_be_shown_is_reported(world: World, label: Any, is_shown: bool) -> None:
    world.bluesky.profile = {"labels": [label]}
    assert set(world.read().account.signals) == (set() if is_shown else {"no_unauthenticated"})


@pytest.mark.parametrize("broken", ["/did:", "getRecord", "listRecords"])
def test_a_no_is_not_missed_because_a_server_is_down(world: World, broken: str) -> None:
    world.bluesky.instead = lambda request: Reply(status=503) if broken in request.path else None
    with pytest.raises(NetworkTrouble, match="503"):
        world.read()
    assert "getAuthorFeed" not in world.calls()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"message": "DID not registered"}, 404), "knows no did:plc"),
        (Reply({"id": DID, "service": []}), "on which server"),
        (Reply({"id": DID, "service": {"a": 1}}), "on which server"),
        (Reply([]), "protocol does not know"),
        (
            Reply(
                {
                    "service": [
                        {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "file:///etc"}
                    ]
                }
            ),
            "on which server",
        ),
        (
            Reply(
                {
                    "service": [
                        {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "http://["}
                    ]
                }
            ),
            "on which server",
        ),
        (
            Reply(
                {
                    "service": [
                        {
                            "id": "#atproto_pds",
                            "type": "AtprotoPersonalDataServer",
                            "serviceEndpoint": "http://pds.example",
                        }
                    ]
                }
            ),
            "not an encrypted",
        ),
    ],
)
def test_a_directory_that_does_not_help_is_an_error(world: World, reply: Reply, said: str) -> None:
    world.bluesky.instead = lambda request: reply if request.path.startswith("/did:") else None
    with pytest.raises(NetworkTrouble, match=said):
        world.read()


def test_an_unknown_kind_of_identity_is_an_error(world: World) -> None:
    world.bluesky.instead = lambda request: Reply({"did": "did:key:z6Mk"}) if "getProfile" in request.path else None
    with pytest.raises(SourceError, match="does not use"):
        world.read()


# --- accounts that are not there ---------------------------------------------------------------------------------


def test_an_unknown_account_is_said_to_be_unknown(world: World) -> None:
    with pytest.raises(NoSuchAccount, match=r"no account nobody\.example"):
        world.read("nobody.example")


def test_a_name_without_a_dot_gets_a_hint(world: World) -> None:
    with pytest.raises(NoSuchAccount, match=r"Did you mean alice\.bsky\.social"):
        world.read("alice")
    for nonsense in ("", "a b", "\x1b[31m", "did:", "x" * 5_000, "ä.example\0"):
        with pytest.raises(NoSuchAccount):
            world.read(nonsense)
    assert world.server.paths == []


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("AccountTakedown", "suspended"),
        ("RepoTakendown", "suspended"),
        ("RepoSuspended", "suspended"),
        ("AccountDeactivated", "deleted"),
        ("RepoDeactivated", "deleted"),
    ],
)
@pytest.mark.parametrize("call", ["getProfile", "getRecord", "listRecords", "getAuthorFeed"])
def test_a_suspended_or_deleted_account_is_handed_over_as_such(world: World, name: str, signal: str, call: str) -> None:
    world.bluesky.feed = [view(1)]
    world.bluesky.instead = lambda request: error(name, "gone") if request.path.endswith(call) else None
    result = world.read()
    last = result.pages[-1]
    assert last.account is not None
    assert (last.account.handle, set(last.account.signals)) == ("bakery.example", {signal})
    assert result.posts == []


@pytest.mark.parametrize("gone", [error("AccountTakedown"), error("InvalidRequest", "Profile not found")])
def test_an_account_that_goes_on_the_way_is_handed_over_as_gone(world: World, gone: Reply) -> None:
    world.bluesky.feed = [view(number) for number in range(300)]
    world.bluesky.profile = {"displayName": "Bakery"}
    world.bluesky.instead = lambda request: gone if request.query.get("cursor") == "100" else None
    result = world.read()
    assert len(result.posts) == 100
    last = result.pages[-1].account
    assert last is not None
    assert (last.handle, last.name, len(last.signals)) == ("bakery.example", "Bakery", 1)
    resumed = world.read(cursor=result.pages[1].cursor).account
    assert (resumed.handle, resumed.id, set(resumed.signals)) == ("bakery.example", DID, set(last.signals))


def test_a_tombstone_in_the_directory_is_a_deleted_account(world: World) -> None:
    world.bluesky.instead = lambda request: Reply({}, 410) if request.path.startswith("/did:") else None
    account = world.read().account
    assert (account.id, set(account.signals)) == (DID, {"deleted"})


def test_other_refusals_are_one_clear_sentence(world: World) -> None:
    world.bluesky.instead = lambda request: (
        error("AuthMissing", "Sign \x1b[31min " + "x" * 500, 401) if "getAuthorFeed" in request.path else None
    )
    with pytest.raises(NetworkTrouble) as caught:
        world.read()
    assert "answered 401 (AuthMissing: Sign [31min xxx" in caught.value.what
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 200


# --- servers that fail or lie --------------------------------------------------------------------------------------


def test_limits_and_failures_are_waited_out(world: World) -> None:
    world.bluesky.feed = [view(number) for number in range(250)]
    broken = {
        2: error("RateLimitExceeded", status=429),
        4: Reply(status=502),
        6: Reply({"feed": []}, cut_after=3),
        7: Reply(drop=True),
        9: Reply(b"<html>"),
    }
    world.server.faults.extend(broken.get(number) for number in range(10))
    assert len(world.read().posts) == 250
    assert len(world.waits) == len(world.told) == 5


def test_a_page_may_be_empty_and_not_the_last(world: World) -> None:
    pages = {None: ([], "a"), "a": ([view(1)], "b"), "b": ([], "c"), "c": ([view(2)], None)}

    def play(request: Request) -> Reply | None:
        if not request.path.endswith("getAuthorFeed"):
            return None
        entries, cursor = pages[request.query.get("cursor")]
        return Reply({"feed": entries, "cursor": cursor})

    world.bluesky.instead = play
    assert world.read().texts == ["post number 1", "post number 2"]


@pytest.mark.parametrize(
    ("answer", "loss"),
    [
        (lambda asked: {"feed": [view(1)], "cursor": "same"}, SAME_PAGE),
        (lambda asked: {"feed": [], "cursor": str(int(asked or "0") + 1)}, ONLY_EMPTY),
        (lambda asked: {"feed": [view(1)], "cursor": {"a": 1}}, BAD_CURSOR),
        (lambda asked: {"feed": [view(1)], "cursor": "x" * 20_000}, BAD_CURSOR),
        (lambda asked: {"feed": {"a": 1}}, tally.NOT_POSTS),
        (lambda asked: {"error": "x"}, tally.NOT_POSTS),
    ],
)
def test_a_lying_server_ends_the_download_with_a_loss(world: World, answer: Any, loss: str) -> None:
    world.bluesky.instead = lambda request: (
        Reply(answer(request.query.get("cursor"))) if request.path.endswith("getAuthorFeed") else None
    )
    assert loss in world.read().losses


def test_a_huge_text_is_no_trouble() -> None:
    text = "bread " * 2_000_000
    facets = [link(0, len(text)) for _ in range(2_000)] + [link(n, n + 2_900) for n in range(0, 500_000, 7)]
    assert a_post(view(1, text, facets=facets)) is not None


# --- the source --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "actor"),
    [
        ("@Alice.bsky.social", "alice.bsky.social"),
        (" alice.bsky.social. ", "alice.bsky.social"),
        ("\u202aalice.bsky.social\u202c", "alice.bsky.social"),
        ("https://bsky.app/profile/alice.bsky.social", "alice.bsky.social"),
        ("https://bsky.app/profile/did:plc:abc/post/3kabc?x=1#y", "did:plc:abc"),
        ("bsky.app/profile/did%3Aplc%3Aabc", "did:plc:abc"),
        ("at://did:plc:abc/app.bsky.feed.post/3k", "did:plc:abc"),
        ("did:plc:ABC", "did:plc:abc"),
        ("alice", "alice"),
        ("", ""),
    ],
)
def test_an_account_is_found_in_whatever_was_typed(typed: str, actor: str) -> None:
    assert actor_from(typed) == actor


def test_the_fingerprint_follows_what_matters_and_asks_nobody(world: World) -> None:
    one = world.source().fingerprint()
    assert one == world.source().fingerprint()
    for options in ({"max_posts": 3}, {"own_server": True}, {"handle": "x"}, {"display_name": "x"}):
        assert world.source(**options).fingerprint() != one
    assert world.source("other.example").fingerprint() != one
    source = world.source()
    assert (source.spec, source.handle, source.origin.kind) == ("bluesky:bakery.example", "bakery.example", "network")
    assert world.server.paths == []


def test_a_wrong_address_in_the_environment_is_named() -> None:
    source = BlueskySource("a.example", ImportSettings(), env={"HUGGINGTWEETS_PLC": "plc.directory"})
    with pytest.raises(SettingsError, match="HUGGINGTWEETS_PLC"):
        list(source.pages())


# --- properties --------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.text(st.sampled_from("bread🍞ß詳é "), max_size=8).map(lambda text: f" {text} ")
PIECES = st.lists(
    st.tuples(WORDS, st.sampled_from(["bake.example/loaf-recip...", "x.example", "https://ü.example/ü…"]))
)


@LIGHT
@given(pieces=PIECES, end=WORDS)
def test_facets_put_every_shown_link_back(pieces: list[tuple[str, str]], end: str) -> None:
    text, expected, facets = "", "", []
    for number, (words, shown) in enumerate(pieces):
        text, expected = text + words, expected + words + f"https://bake.example/{number}"
        place = len(text.encode())
        text += shown
        facets.insert(0, link(place, len(text.encode()), f"https://bake.example/{number}"))
    assert expand_links(text + end, facets) == expected + end


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NAMES = [
    *(
        "post",
        "feed",
        "records",
        "cursor",
        "uri",
        "author",
        "did",
        "handle",
        "record",
        "value",
        "reason",
        "by",
        "reply",
    ),
    *("parent", "embed", "labels", "values", "val", "facets", "index", "byteStart", "byteEnd", "features", "$type"),
    *("text", "createdAt", "langs", "likeCount", "indexedAt", "displayName", "avatar", "description", "preferences"),
    *("training", "allow", "scope", "service", "id", "type", "serviceEndpoint", "src", "error", "message"),
]
SHAPED = st.recursive(
    st.sampled_from([DID, OTHER, uri_of(1), POST, "app.bsky.richtext.facet#link", "app.bsky.feed.defs#reasonRepost"])
    | st.sampled_from(
        ["#atproto_pds", "AtprotoPersonalDataServer", "app.bsky.embed.record", "#reasonPin", "\ud800", "1"]
    )
    | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=25,
)


ENTRY = {
    **view(
        1, "see 🍞 a.example/x", facets=[link(9, 20)], labels={"values": [{"val": "porn"}]}, reply={"parent": ref(1)}
    ),
    "reason": {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": DID}, "uri": uri_of(1), "indexedAt": "2025"},
}
PROFILE = {"did": DID, "handle": "bakery.example", "displayName": "x", "labels": [{"src": DID, "val": "x"}]}


def ends_well(read: Callable[[], Result]) -> None:
    """Posts and an account that a bot folder could hold, or an error of ours."""
    try:
        result = read()
    except HuggingtweetsError:
        return
    for post in result.posts:
        post.text.encode("utf-8")
        Post.from_json(json.loads(json.dumps(post.to_json())))
    for page in result.pages:
        if page.account is not None:
            f"{page.account!r}".encode()
            (page.account.name + (page.account.bio or "")).encode("utf-8")


@settings(LIGHT, max_examples=300)
@given(entry=nearly(ENTRY, SHAPED) | SHAPED, value=SHAPED)
def test_no_entry_does_worse_than_a_loss(entry: Any, value: Any) -> None:
    owner = Owner(DID, "bakery.example")
    posts = [post_from_view(entry, owner, NOW, Tally()), post_from_record(value, uri_of(1), owner, NOW, Tally())]
    ends_well(lambda: Result([Page(tuple(post for post in posts if post))]))


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with a_world() as world:
        yield world


@settings(LIGHT, max_examples=120)
@given(data=st.data())
def test_no_answer_does_worse_than_an_error(shared_world: World, data: st.DataObject) -> None:
    world = shared_world
    good = {
        "getProfile": PROFILE,
        "getAuthorFeed": {"feed": [ENTRY, view(2)]},
        "getRecord": {"value": {"syntheticContentGeneration": YES}},
        "listRecords": {"records": [{"uri": uri_of(1), "value": record("x")}]},
        "did:": {"id": DID, "service": world.bluesky.document["service"]},
    }
    hit = data.draw(st.sampled_from([*good]))
    answer = data.draw(nearly(good[hit], SHAPED))
    status = data.draw(st.sampled_from([200, 200, 200, 400, 401, 404, 410]))

    def play(request: Request) -> Reply | None:
        name = next(name for name in good if name in request.path)
        return Reply(answer, status) if name == hit and "cursor" not in request.query else Reply(good[name])

    world.bluesky.instead = play
    ends_well(lambda: world.read(own_server=data.draw(st.booleans())))


@LIGHT
@given(cursor=st.text() | JSON.map(json.dumps), actor=st.text())
def test_no_cursor_and_no_name_do_worse_than_an_error(shared_world: World, cursor: str, actor: str) -> None:
    shared_world.bluesky.instead = lambda request: None
    ends_well(lambda: shared_world.read(actor_from(actor)))
    ends_well(lambda: shared_world.read(cursor=cursor))
