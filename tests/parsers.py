"""Every parser of foreign input, as a function of bytes, with seeds to change: for the fuzzer and the property tests.

A target takes any bytes and a folder to work in. It may return or raise one of our own errors, nothing else.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archives import Archive, edited, note, script, tweet
from cars import repository
from huggingtweets import wishes
from huggingtweets.config import ImportSettings
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.privacy import neutral_mentions, scrub
from huggingtweets.sources import account_named, recognise
from huggingtweets.sources.bluesky.posts import Owner, account_from_profile, post_from_record, post_from_view
from huggingtweets.sources.mastodon.posts import (
    account_from_actor,
    account_from_api,
    post_from_activity,
    post_from_status,
)
from huggingtweets.sources.mastodon.text import html_to_text
from huggingtweets.sources.net.http import Answer
from huggingtweets.sources.tally import Tally
from huggingtweets.sources.x.posts import account_from_user, post_from_tweet, post_from_v2

NASA = Path(__file__).parent.parent / "examples/nasa.csv"
MOST_PAGES = 100
DID = "did:plc:inventedinventedinvente"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Target = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Parser:
    """One target, and inputs of the right shape to begin with."""

    name: str
    run: Target
    seeds: tuple[bytes, ...]


def read_source(path: Path) -> int:
    """Everything that a path holds, through the door that a user's path takes."""
    settings = ImportSettings(handle="bakery", skip_bad_lines=True)
    source = recognise(str(path), settings)
    posts = 0
    for number, page in enumerate(source.pages()):
        posts += len(page.posts)
        if number >= MOST_PAGES:
            break
    return posts


def a_file(name: str) -> Target:
    def run(data: bytes, folder: Path) -> int:
        path = folder / name
        path.write_bytes(data)
        return read_source(path)

    return run


def in_zip(member: str, **others: bytes) -> Target:
    def run(data: bytes, folder: Path) -> int:
        path = folder / "archive.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, data)
            for name, content in others.items():
                archive.writestr(name, content)
        return read_source(path)

    return run


def objects(*readers: Callable[[Any], object]) -> Target:
    """The value in some JSON, handed to functions that take what nobody has checked."""

    def run(data: bytes, folder: Path) -> None:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return
        for reader in readers:
            reader(value if isinstance(value, dict) else {"text": value})

    return run


def text(*readers: Callable[[str], object]) -> Target:
    def run(data: bytes, folder: Path) -> None:
        for reader in readers:
            reader(data.decode("utf-8", "surrogateescape"))

    return run


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def nasa_texts(count: int) -> list[str]:
    with NASA.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row, _ in zip(csv.DictReader(file), range(count), strict=False)]


def status(number: int, content: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "created_at": "2025-02-03T08:15:00.000Z",
        "visibility": "public",
        "content": f"<p>{content}</p>",
        "account": {"id": "1", "acct": "bakery", "username": "bakery", "url": "https://social.example/@bakery"},
        "emojis": [{"shortcode": "bread"}],
        "language": "en",
        "favourites_count": 3,
    }


def activity(number: int, content: str) -> dict[str, Any]:
    public = ["https://www.w3.org/ns/activitystreams#Public"]
    actor = "https://social.example/users/bakery"
    held = {"id": f"{actor}/statuses/{number}", "type": "Note", "to": public, "content": f"<p>{content}</p>"}
    return {"type": "Create", "actor": actor, "published": "2025-02-03T08:15:00Z", "to": public, "object": held}


def view(number: int, words: str) -> dict[str, Any]:
    link = {"$type": "app.bsky.richtext.facet#link", "uri": "https://bake.example/loaves"}
    facet = {"index": {"byteStart": 0, "byteEnd": 4}, "features": [link]}
    record = {"$type": "app.bsky.feed.post", "text": words, "createdAt": "2025-02-03T08:15:00Z", "facets": [facet]}
    return {"post": {"uri": f"at://{DID}/app.bsky.feed.post/{number}", "author": {"did": DID}, "record": record}}


def v2(number: int, words: str) -> dict[str, Any]:
    url = {"start": 0, "end": 4, "url": "https://t.co/a", "expanded_url": "https://example.org"}
    return {"id": str(number), "text": words, "entities": {"urls": [url]}, "note_tweet": {"text": words * 2}}


def tar_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def parsers(folder: Path) -> Iterator[Parser]:
    """All of them; `folder` is for building the seeds."""
    texts = nasa_texts(4)
    tweets = [*(tweet(number, words) for number, words in enumerate(texts)), *edited(9, "A tpyo", "A typo")]
    rows = "id,created_at,text\n" + "\n".join(f'{n},"Thu Feb 13 07:30:00 +0000 2025","{n} loaves"' for n in range(5))
    zipped = Archive(tweets, notes=[note(0, texts[0] * 3)]).zip(folder / "seed.zip").read_bytes()
    outbox = {"type": "OrderedCollection", "orderedItems": [activity(n, words) for n, words in enumerate(texts)]}
    actor = {"id": "https://social.example/users/bakery", "preferredUsername": "bakery", "attachment": [{"name": "AI"}]}
    records = {f"app.bsky.feed.post/3l{n}": view(n, words)["post"]["record"] for n, words in enumerate(texts)}
    owner, losses = Owner(DID, "bakery.example"), Tally()
    yield Parser(
        "file",
        a_file("posts"),
        (
            rows.encode(),
            "\n".join(texts).encode(),
            _json([v2(n, words) for n, words in enumerate(texts)]),
            _json({"feed": [view(n, words) for n, words in enumerate(texts)]}),
            b"\n".join(_json(status(n, words)) for n, words in enumerate(texts)),
            gzip.compress(rows.encode(), mtime=0),
        ),
    )
    yield Parser("zip", a_file("archive.zip"), (zipped,))
    yield Parser("tar", a_file("archive.tar.gz"), (tar_of({"outbox.json": _json(outbox), "actor.json": _json(actor)}),))
    yield Parser(
        "tweets.js", in_zip("data/tweets.js"), (script("YTD.tweets.part0", [{"tweet": one} for one in tweets]),)
    )
    yield Parser("outbox.json", in_zip("outbox.json", **{"actor.json": _json(actor)}), (_json(outbox),))
    yield Parser("actor.json", in_zip("actor.json", **{"outbox.json": _json(outbox)}), (_json(actor),))
    yield Parser("car", a_file("repo.car"), (repository(records).to_bytes(),))
    yield Parser(
        "objects of networks",
        objects(
            lambda value: post_from_status(value, "bakery", "1"),
            lambda value: post_from_activity(value, "bakery", actor["id"]),
            lambda value: post_from_view(value, owner, NOW, losses),
            lambda value: post_from_record(value, None, owner, NOW, losses),
            lambda value: post_from_tweet(value, "bakery", "42"),
            lambda value: post_from_v2(value, "bakery", "42"),
            lambda value: account_from_api(value, "bakery"),
            lambda value: account_from_actor(value, "bakery"),
            lambda value: account_from_profile(value, DID, "bakery.example"),
            lambda value: account_from_user(value, "bakery"),
        ),
        tuple(map(_json, (status(1, texts[0]), activity(1, texts[1]), view(1, texts[2]), v2(1, texts[3]), tweets[0]))),
    )
    yield Parser(
        "texts",
        text(
            html_to_text,
            scrub,
            neutral_mentions,
            account_named,
            lambda line: wishes.wishes_in([line]),
            lambda line: Answer(200, {"link": line}, b"", "https://social.example").next_link,
        ),
        (
            b'<p>Bread &amp; <a href="https://a.example">b</a></p><ul><li>c',
            b"@alice@social.example call +1 (321) 867-2121 or bob@example.org",
            b'<https://social.example/api?max_id=1>; rel="next", <https://social.example>; rel="prev"',
            b"Baker. No AI training, please. KI verboten #noai",
        ),
    )


def try_on(parser: Parser, data: bytes, folder: Path) -> None:
    """One input; raises whatever is not our own error."""
    with contextlib.suppress(HuggingtweetsError):
        parser.run(data, folder)
