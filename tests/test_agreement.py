"""The same posts through every source give the same texts, and counts that differ only where a source has no reposts.

NASA's 3,200 posts are written as a file, as X archives, as X's API, as Bluesky's feed, server and repository, and as
Mastodon's API and archive; then curated with the default settings.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archives import Archive, tweets_of
from cars import repository
from huggingtweets.config import DatasetSettings, ImportSettings
from huggingtweets.dataset import curate
from huggingtweets.posts import Post
from huggingtweets.sources import recognise
from huggingtweets.sources.base import Source, Tell
from huggingtweets.sources.bluesky.api import BlueskySource
from huggingtweets.sources.files.file import FileSource
from huggingtweets.sources.mastodon.api import MastodonSource
from huggingtweets.sources.net.http import Client
from huggingtweets.sources.x.api import XSource
from loopback import Reply, Request, serve

NASA = Path(__file__).parent.parent / "examples/nasa.csv"
DID = "did:plc:inventedinventedinvente"
HANDLE = ImportSettings(handle="nasa")
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"


@dataclass(frozen=True)
class Outcome:
    """What curation makes of a source's posts."""

    texts: tuple[str, ...]
    retweets: int
    short: int
    duplicates: int


def outcome(source: Source) -> Outcome:
    posts = [post for page in source.pages() for post in page.posts]
    curated = curate(posts, DatasetSettings())
    ((_, counts),) = curated.counts.items()
    texts = sorted(text.text for texts in curated.kept.values() for text in texts)
    return Outcome(tuple(texts), counts.retweets, counts.short, counts.duplicates)


@pytest.fixture(scope="module")
def nasa() -> list[Post]:
    """Newest first, as networks hand them out."""
    posts = [post for page in FileSource(NASA, HANDLE).pages() for post in page.posts]
    return sorted(posts, key=lambda post: post.created_at or datetime.min.replace(tzinfo=UTC), reverse=True)


@pytest.fixture(scope="module")
def expected() -> Outcome:
    found = outcome(FileSource(NASA, HANDLE))
    assert found.retweets + found.short + found.duplicates + len(found.texts) == 3_200
    assert found.retweets == 770
    return found


def without_reposts(outcome: Outcome) -> Outcome:
    return Outcome(outcome.texts, 0, outcome.short, outcome.duplicates)


def client(home: str, tell: Tell) -> Client:
    return Client(home, tell=tell, sleep=lambda seconds: None)


def time_of(post: Post) -> str:
    assert post.created_at is not None
    return post.created_at.isoformat().replace("+00:00", "Z")


# --- files ---------------------------------------------------------------------------------------------------------


def test_standard_input_agrees(expected: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NASA.read_bytes())))
    assert outcome(recognise("-", HANDLE)) == expected


def test_json_lines_agree(expected: Outcome, tmp_path: Path) -> None:
    with NASA.open(encoding="utf-8", newline="") as file:
        lines = [json.dumps(row) for row in csv.DictReader(file)]
    (tmp_path / "nasa.jsonl").write_text("\n".join(lines))
    assert outcome(recognise(str(tmp_path / "nasa.jsonl"), HANDLE)) == expected


# --- X -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["grailbird", "2019", "2020", "2022"])
def test_archives_of_all_eras_agree(era: str, nasa: list[Post], expected: Outcome, tmp_path: Path) -> None:
    path = Archive(tweets_of(nasa), era=era, handle="nasa").zip(tmp_path / "nasa.zip")
    assert outcome(recognise(str(path), ImportSettings())) == expected


def as_v2(post: Post, dialect: str) -> dict[str, Any]:
    kinds = {"repost": "retweeted", "reply": "replied_to", "quote": "quoted"}
    named = [{"type": kinds[post.kind], "id": "1"}] if post.kind in kinds else []
    return {
        "id": post.id,
        "text": post.text,
        "created_at": time_of(post),
        "author_id": "42",
        f"referenced_{dialect}s": named,
        f"edit_history_{dialect}_ids": [post.id],
    }


@pytest.mark.parametrize("dialect", ["tweet", "post"])
@pytest.mark.parametrize("excludes", [True, False])
def test_the_api_agrees_in_both_vocabularies(dialect: str, excludes: bool, nasa: list[Post], expected: Outcome) -> None:
    posts = [post for post in nasa if not (excludes and post.kind == "repost")]

    def play(request: Request) -> Reply:
        if request.path.startswith("/2/users/by"):
            return Reply({"data": {"id": "42", "name": "NASA", "username": "nasa"}})
        start = int(request.query.get("pagination_token", "0"))
        end = start + int(request.query["max_results"])
        more = {"next_token": str(end)} if end < len(posts) else {}
        data = [as_v2(post, dialect) for post in posts[start:end]]
        return Reply({"data": data, "meta": {"result_count": len(data), **more}})

    with serve(play) as server:
        env = {"X_BEARER_TOKEN": "invented", "HUGGINGTWEETS_X_API": server.url}
        settings = ImportSettings(x_dialect="tweet" if dialect == "tweet" else "post")
        found = outcome(XSource("nasa", settings, client, env))
    assert found == (without_reposts(expected) if excludes else expected)


# --- Bluesky -------------------------------------------------------------------------------------------------------


def as_record(post: Post) -> dict[str, Any]:
    reply = {"parent": {"uri": f"at://did:plc:other/app.bsky.feed.post/{post.reply_to or 1}"}}
    return {
        "$type": "app.bsky.feed.post",
        "text": html.unescape(post.text),
        "createdAt": time_of(post),
        **({"reply": reply} if post.kind == "reply" else {}),
    }


def as_view(post: Post) -> dict[str, Any]:
    by = {"did": DID, "handle": "nasa.example"}
    other = {"did": "did:plc:other", "handle": "other.example"}
    is_repost = post.kind == "repost"
    author = other if is_repost else by
    reason = {"$type": "app.bsky.feed.defs#reasonRepost", "by": by, "indexedAt": time_of(post)}
    record = {"uri": f"at://{author['did']}/app.bsky.feed.post/{post.id}", "author": author, "record": as_record(post)}
    return {"post": record, **({"reason": reason} if is_repost else {})}


@pytest.mark.parametrize("own_server", [False, True])
def test_bluesky_agrees(own_server: bool, nasa: list[Post], expected: Outcome) -> None:
    own = [post for post in nasa if post.kind != "repost"]
    records = [{"uri": f"at://{DID}/app.bsky.feed.post/{post.id}", "value": as_record(post)} for post in own]
    pages = {"feed": list(map(as_view, nasa)), "records": records}

    def play(request: Request) -> Reply:
        call = request.path.rsplit(".", 1)[-1]
        if call == "getProfile":
            return Reply({"did": DID, "handle": "nasa.example"})
        if request.path == f"/{DID}":
            service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": server.url}
            return Reply({"service": [service]})
        if call == "getRecord":
            return Reply({"error": "RecordNotFound", "message": ""}, 400)
        name = "feed" if call == "getAuthorFeed" else "records"
        if request.query.get("collection", "app.bsky.feed.post") != "app.bsky.feed.post":
            return Reply({"records": []})
        start = int(request.query.get("cursor", "0"))
        end = start + int(request.query["limit"])
        return Reply({name: pages[name][start:end], **({"cursor": str(end)} if end < len(pages[name]) else {})})

    with serve(play) as server:
        env = {"HUGGINGTWEETS_BLUESKY_API": server.url, "HUGGINGTWEETS_PLC": server.url}
        settings = ImportSettings(own_server=own_server)
        found = outcome(BlueskySource("nasa.example", settings, client, env))
    assert found == (without_reposts(expected) if own_server else expected)


def test_a_bluesky_repository_agrees(nasa: list[Post], expected: Outcome, tmp_path: Path) -> None:
    records = {f"app.bsky.feed.post/{post.id}": as_record(post) for post in nasa if post.kind != "repost"}
    (tmp_path / "nasa.example.car").write_bytes(repository(records, DID).to_bytes())
    found = outcome(recognise(str(tmp_path / "nasa.example.car"), ImportSettings()))
    assert found == without_reposts(expected)


# --- Mastodon ------------------------------------------------------------------------------------------------------


def as_html(post: Post) -> str:
    """As the server makes it: links and line breaks are elements."""
    words = html.escape(html.unescape(post.text), quote=False)
    linked = re.sub(r"https?://\S+", lambda found: f'<a href="{found[0]}"><span>{found[0]}</span></a>', words)
    return f"<p>{linked}</p>".replace("\n", "<br />")


def test_mastodon_agrees(nasa: list[Post], expected: Outcome) -> None:
    own = [post for post in nasa if post.kind != "repost"]

    def status(post: Post) -> dict[str, Any]:
        return {
            "id": post.id,
            "content": as_html(post),
            "visibility": "public",
            "created_at": time_of(post),
            "in_reply_to_id": "1" if post.kind == "reply" else None,
            "in_reply_to_account_id": "77" if post.kind == "reply" else None,
            "account": {"id": "1"},
        }

    statuses = list(map(status, own))

    def play(request: Request) -> Reply:
        if request.path == "/.well-known/webfinger":
            return Reply({"links": [{"rel": "self", "href": f"{server.url}/users/nasa"}]})
        if request.path == "/api/v1/accounts/lookup":
            return Reply({"id": "1", "username": "nasa", "acct": "nasa"})
        if request.path != "/api/v1/accounts/1/statuses":
            return Reply({"error": "Record not found"}, 404)
        start = int(request.query.get("page", "0"))
        end = start + int(request.query["limit"])
        link = {"Link": f'<{server.url}{request.path}?limit=40&page={end}&max_id=x>; rel="next"'}
        return Reply(statuses[start:end], headers=link if end < len(statuses) else {"Link": "<x>; rel=prev"})

    with serve(play) as server:
        found = outcome(MastodonSource(f"nasa@{server.url.removeprefix('http://')}", ImportSettings(), client))
    assert found == without_reposts(expected)


def test_a_mastodon_archive_agrees(nasa: list[Post], expected: Outcome, tmp_path: Path) -> None:
    actor = "https://social.example/users/nasa"

    def activities() -> Iterator[dict[str, Any]]:
        for post in nasa:
            place = {"id": f"{actor}/statuses/{post.id}", "published": time_of(post), "to": [PUBLIC]}
            if post.kind == "repost":
                yield {**place, "type": "Announce", "actor": actor, "object": "https://other.example/1"}
            else:
                reply = "https://other.example/1" if post.kind == "reply" else None
                note = {**place, "type": "Note", "content": as_html(post), "inReplyTo": reply}
                yield {**place, "type": "Create", "actor": actor, "object": note}

    outbox = {"type": "OrderedCollection", "orderedItems": list(activities())}
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("outbox.json", json.dumps(outbox))
        archive.writestr("actor.json", json.dumps({"id": actor, "preferredUsername": "nasa"}))
    found = outcome(recognise(str(tmp_path / "archive.zip"), ImportSettings()))
    assert found == without_reposts(expected)
