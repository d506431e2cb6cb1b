"""A Mastodon archive as a source: the same posts as the API gives, in every packing, and nothing that is not public."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import tracemalloc
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damage import nearly
from fediverse import (
    ACCOUNT,
    ACCOUNT_ID,
    ACTOR,
    ACTOR_FILE,
    EVERYTHING,
    OTHER,
    PUBLIC,
    SERVER,
    Writing,
    outbox_of,
    shaped,
)
from huggingtweets.config import ImportSettings
from huggingtweets.consent import signals_of
from huggingtweets.errors import HuggingtweetsError, SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources import recognise, tally
from huggingtweets.sources.base import Page
from huggingtweets.sources.mastodon.archive import CUT_SHORT, NO_PROFILE, MastodonArchive, is_mastodon_archive
from huggingtweets.sources.mastodon.outbox import DELETED, OLDER_VERSIONS
from huggingtweets.sources.mastodon.posts import (
    BOOSTS,
    ELSEWHERE,
    NOT_NOTES,
    PRIVATE,
    account_from_actor,
    account_from_api,
    post_from_activity,
    post_from_status,
)
from results import Result

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
FACES = {"avatar.png": PICTURE, "header.png": PICTURE}
LIKES = {
    "likes.json": json.dumps({"type": "OrderedCollection", "orderedItems": [Writing(900).activity()]}).encode(),
    "bookmarks.json": b"{not even JSON",
}

Files = dict[str, bytes]


def files_of(entries: list[Any], actor: dict[str, Any] | None = ACTOR_FILE, **more: bytes) -> Files:
    outbox = {**outbox_of([]), "totalItems": len(entries), "orderedItems": entries}
    files = {"outbox.json": json.dumps(outbox).encode()}
    if actor is not None:
        files["actor.json"] = json.dumps(actor).encode()
    return {**files, **LIKES, **FACES, **more}


def activities(*writings: Writing) -> list[Any]:
    return [writing.activity() for writing in writings]


def zipped(files: Files, folder: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(folder + name, data)
    return packed.getvalue()


def tarred(files: Files, folder: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


class Reader(Result):
    """Writes an archive and reads it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: list[Page] = []

    def write(self, content: bytes | Files, name: str) -> Path:
        path = self.folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
            return path
        for member, data in content.items():
            (path / member).parent.mkdir(parents=True, exist_ok=True)
            (path / member).write_bytes(data)
        return path

    def __call__(self, content: bytes | Files, name: str = "archive.zip", **options: Any) -> list[Post]:
        self.path = self.write(content, name)
        assert is_mastodon_archive(self.path)
        self.pages = list(MastodonArchive(self.path, ImportSettings(**options)).pages())
        return self.posts

    def entries(self, *entries: Any, **options: Any) -> list[Post]:
        return self(zipped(files_of(list(entries))), **options)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


# --- the same posts as the API's ---------------------------------------------------------------------------------


def posts_of_the_api(writings: tuple[Writing, ...]) -> tuple[list[Post], Counter[str]]:
    read = [post_from_status(writing.status(), "bakery@social.example", ACCOUNT_ID) for writing in writings]
    return [post for post in read if isinstance(post, Post)], Counter(post for post in read if isinstance(post, str))


def test_an_archive_gives_the_very_posts_that_the_api_gives(read: Reader) -> None:
    posts, losses = posts_of_the_api(EVERYTHING)
    found = read(zipped(files_of(activities(*EVERYTHING))))
    # Of an answer to another server's post the API says its own id, the archive the address.
    assert [post for post in found if post.id != Writing(2).id] == [post for post in posts if post.id != Writing(2).id]
    assert [(post.id, post.text, post.kind) for post in found] == [(post.id, post.text, post.kind) for post in posts]
    assert read.losses == losses
    assert {"original", "reply", "quote"} == {post.kind for post in found}
    assert len(found) + sum(read.losses.values()) == len(EVERYTHING)


def test_both_forms_of_an_account_say_the_same() -> None:
    assert account_from_actor(ACTOR_FILE, "x") == account_from_api(ACCOUNT, "x")


TEXTS = st.text(st.characters(exclude_characters="<>&", exclude_categories=["Cs", "Cc"]), max_size=30)


@settings(max_examples=100, deadline=None)
@given(
    writing=st.builds(
        Writing,
        number=st.integers(1, 999),
        content=TEXTS.map(lambda text: f"<p>{text}</p>"),
        visibility=st.sampled_from(["public", "unlisted", "private", "direct"]),
        language=st.sampled_from([None, "en", "pt-BR", "zh-Hant"]),
        answers=st.none() | st.integers(1, 999),
        warning=TEXTS,
        emoji=st.sampled_from([(), ("bread",)]),
        likes=st.integers(0, 10**6),
        quotes=st.sampled_from([None, OTHER]),
        options=st.sampled_from([(), ("a", "b")]),
        edited=st.booleans(),
        boost=st.booleans(),
    )
)
def test_both_forms_of_any_post_give_the_same(writing: Writing) -> None:
    handle = "bakery@social.example"
    of_the_api = post_from_status(writing.status(), handle, ACCOUNT_ID)
    of_the_archive = post_from_activity(writing.activity(), handle, ACTOR)
    is_hidden_boost = {of_the_api, of_the_archive} == {PRIVATE, BOOSTS}
    assert of_the_api == of_the_archive or is_hidden_boost


# --- packings ----------------------------------------------------------------------------------------------------

FILES = files_of(activities(*EVERYTHING))


MEDIA = {f"media_attachments/files/{number:03}/a.png": PICTURE for number in range(20)}
PACKINGS: dict[str, bytes | Files] = {
    "archive-20250214-abc.zip": zipped({**MEDIA, **FILES}),
    "outer.zip": zipped(FILES, "archive-20250214-abc/"),
    "outermost.zip": zipped({**FILES, "._outbox.json": b"x"}, "a/b/"),
    "stored.tar": tarred({**MEDIA, **FILES}),
    "old.tar.gz": gzip.compress(tarred({**MEDIA, **FILES}, "./")),
    "outer.tgz": gzip.compress(tarred(FILES, "archive/")),
    "folder": {**FILES, **MEDIA},
    "outer-folder": {f"archive/{name}": data for name, data in FILES.items()},
}


@pytest.mark.parametrize("name", PACKINGS)
def test_every_packing_gives_the_same(read: Reader, name: str) -> None:
    posts, losses = posts_of_the_api(EVERYTHING)
    assert [post.id for post in read(PACKINGS[name], name)] == [post.id for post in posts]
    assert read.account == Account(
        "bakery@social.example",
        "mastodon",
        "Invented Bakery",
        "Made-up bio",
        id=ACTOR,
        url=f"{SERVER}/@bakery",
        fields=("Shop: https://example.org/a/rather/long/path/to/a/recipe",),
    )
    assert read.pages[0].avatar == PICTURE
    assert read.losses == losses
    source = recognise(str(read.path), ImportSettings())
    assert (type(source), source.handle, source.origin.kind) == (MastodonArchive, "bakery@social.example", "export")
    assert recognise(source.spec, ImportSettings()).spec == f"mastodon-archive:{read.path}"


def test_an_outbox_beside_its_actor_is_the_archive_that_it_lies_in(read: Reader) -> None:
    folder = read.write(FILES, "unpacked")
    outbox = MastodonArchive(folder / "outbox.json", ImportSettings())
    (page,) = outbox.pages()
    assert page.account is not None
    assert (page.account.name, page.avatar, len(page.posts)) == ("Invented Bakery", PICTURE, len(EVERYTHING) - 4)


ENTRIES = activities(*EVERYTHING)
NOTES = [entry["object"] for entry in ENTRIES if entry["type"] == "Create"]


def page_of(entries: list[Any], number: int) -> dict[str, Any]:
    about = {"@context": ["https://www.w3.org/ns/activitystreams", {"toot": "http://joinmastodon.org/ns#"}]}
    return {**about, "id": f"{ACTOR}/outbox?page={number}", "type": "OrderedCollectionPage", "orderedItems": entries}


@pytest.mark.parametrize(
    ("outbox", "boosts"),
    [
        (outbox_of(EVERYTHING), 1),
        ({"@context": "x", "type": "OrderedCollection", "totalItems": 3, "first": page_of(ENTRIES, 1)}, 1),
        ({"@context": "x", "type": "Collection", "items": ENTRIES}, 1),
        (page_of(ENTRIES, 1), 1),
        ([page_of(ENTRIES[:60], 1), page_of([], 2), page_of(ENTRIES[60:], 3)], 1),
        (ENTRIES, 1),
        (NOTES, 0),
    ],
)
@pytest.mark.parametrize("written", [lambda value: json.dumps(value).encode(), lambda value: _pretty(value)])
def test_an_outbox_alone_is_read_in_all_its_forms(read: Reader, outbox: Any, boosts: int, written: Any) -> None:
    posts, losses = posts_of_the_api(EVERYTHING)
    assert [post.id for post in read(written(outbox), "My posts.json")] == [post.id for post in posts]
    assert read.losses == losses - Counter([BOOSTS] * (1 - boosts)) + Counter([NO_PROFILE])
    assert (read.account.handle, read.account.id, read.account.name) == (
        "bakery@social.example",
        ACTOR,
        "bakery@social.example",
    )


def _pretty(value: Any) -> bytes:
    return b"\xef\xbb\xbf\n" + json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"text": "hi"}',
        b'[{"text": "hi", "type": "Note"}]',
        json.dumps(Writing(1).activity()).encode(),  # the first line of a file of posts
        json.dumps([Writing(1).status()]).encode(),
        json.dumps(ACTOR_FILE).encode(),
        b'{"type": "Collection", "items": [{"text": "hi"}]}',
        b"text,id\nhi,1",
        zipped({"data/tweets.js": b"window.YTD.tweets.part0 = []"}),
        zipped({"a/b/c/outbox.json": b"{}"}),
        gzip.compress(b"text", mtime=0),
        b"PK\x03\x04",
        PICTURE,
    ],
)
def test_other_files_are_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.file"
    path.write_bytes(content)
    assert not is_mastodon_archive(path)
    assert not is_mastodon_archive(tmp_path)
    assert not is_mastodon_archive(tmp_path / "nothing")


# --- who may read it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activity", "note", "is_kept"),
    [
        ({"to": [PUBLIC]}, {"to": [PUBLIC]}, True),
        ({"to": [PUBLIC]}, {}, True),
        ({}, {"to": [PUBLIC]}, True),
        ({"to": ["x"], "cc": [PUBLIC]}, {"to": ["x"], "cc": [PUBLIC]}, True),
        ({"to": PUBLIC}, {"to": PUBLIC, "cc": "x"}, True),  # GoToSocial writes one reader without a list
        ({"to": ["as:Public"]}, {"to": "Public"}, True),
        ({"to": [{"id": PUBLIC}]}, {}, True),
        ({}, {}, False),
        ({"to": [], "cc": []}, {"to": None}, False),
        ({"to": ["x/followers"]}, {"to": ["x/followers"]}, False),
        ({"to": [PUBLIC]}, {"to": ["x/followers"]}, False),
        ({"to": ["x/followers"]}, {"to": [PUBLIC]}, False),
        ({"to": [PUBLIC]}, {"to": [], "cc": ["x/followers"]}, False),
        ({"to": [OTHER]}, {"to": [OTHER]}, False),
        ({"to": [f"{SERVER}/#Public"]}, {"to": [f"{SERVER}/#Public"]}, False),  # Pleroma: this server only
        ({"to": ["https://evil.example/#Public"]}, {}, False),
        ({"bto": [PUBLIC], "audience": [PUBLIC]}, {}, False),
        ({"to": [PUBLIC]}, {"to": [PUBLIC], "directMessage": True}, False),  # Pleroma
        ({"to": [3, None, []]}, {"to": {"a": 1}}, False),
    ],
)
@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_only_what_everyone_may_read_is_read(
    read: Reader, activity: dict[str, Any], note: dict[str, Any], is_kept: bool, kind: str
) -> None:
    entry = {**Writing(1).activity(), "type": kind}
    for thing, readers in ((entry, activity), (entry["object"], note)):
        for name in ("to", "cc"):
            del thing[name]
        thing.update(readers)
    assert len(read.entries(entry)) == is_kept
    assert read.losses == ({} if is_kept else {PRIVATE: 1})


def test_likes_and_bookmarks_are_never_opened(read: Reader) -> None:
    """They are damaged or hold public posts, and neither shows."""
    assert len(read.entries(*activities(Writing(1)))) == 1
    assert read.losses == {}


def test_posts_by_others_are_left_out(read: Reader) -> None:
    foreign = Writing(2).activity()
    foreign["object"]["attributedTo"] = OTHER
    assert [post.id for post in read.entries(Writing(1).activity(), foreign)] == [Writing(1).id]
    assert read.losses == {tally.OTHERS: 1}


def test_an_outbox_by_many_is_none(read: Reader) -> None:
    entries = []
    for number in range(20):
        note = Writing(number).activity()["object"]
        entries.append({**note, "attributedTo": f"https://other.example/users/{number % 3}"})
    with pytest.raises(UnreadableFile, match="posts by 3 accounts"):
        read(json.dumps(entries).encode(), "bookmarks.json")


def test_whose_address_changed_is_still_the_owner(read: Reader) -> None:
    entries = json.loads(json.dumps(ENTRIES).replace("https://social.example", "https://old.example"))
    assert len(read.entries(*entries)) == len(EVERYTHING) - 4
    assert [post.id for post in read.pages[0].posts if post.self_reply] == [Writing(3).id, Writing(14).id]


# --- versions ----------------------------------------------------------------------------------------------------


def version(text: str, minute: int = 0, kind: str = "Create", number: int = 1, **changes: Any) -> dict[str, Any]:
    entry = Writing(number, f"<p>{text}</p>").activity()
    note = {**entry["object"], **({"updated": f"2025-02-03T09:{minute:02}:00Z"} if minute else {}), **changes}
    return {**entry, "type": kind, "object": note}


def test_of_an_edited_post_the_newest_version_counts(read: Reader) -> None:
    versions = [version("first"), version("second", 5, "Update"), version("third", 9, "Update")]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        posts = read.entries(Writing(7).activity(), *(versions[place] for place in order), Writing(8).activity())
        assert sorted(post.text for post in posts) == ["post number 7", "post number 8", "third"]
        assert read.losses == {OLDER_VERSIONS: 2}


def test_where_versions_have_no_time_an_update_comes_after(read: Reader) -> None:
    for versions in (
        [version("a", published=None), version("b", kind="Update", published=None)],
        [version("a"), version("b")],
    ):
        assert [post.text for post in read.entries(*versions)] == ["b"]


def test_an_edit_that_hides_a_post_hides_it(read: Reader) -> None:
    hidden = version("hidden", 5, "Update", to=[OTHER], cc=[])
    assert read.entries(version("shown"), hidden) == []
    assert read.losses == {OLDER_VERSIONS: 1, PRIVATE: 1}


@pytest.mark.parametrize("gone", [Writing(1).address, {"id": Writing(1).address, "type": "Tombstone"}])
def test_what_was_deleted_later_is_not_used(read: Reader, gone: Any) -> None:
    delete = {"type": "Delete", "actor": ACTOR, "object": gone, "to": [PUBLIC]}
    assert [post.id for post in read.entries(*activities(Writing(1), Writing(2)), delete)] == [Writing(2).id]
    assert read.losses == {DELETED: 1, NOT_NOTES: 1}


# --- entries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "loss"),
    [
        ({"type": "Announce", "object": "https://a.example/1"}, BOOSTS),
        ({"type": "Announce", "object": Writing(1).activity()["object"]}, BOOSTS),  # of an own post
        ({"type": "Create", "actor": ACTOR, "object": Writing(1).address, "to": [PUBLIC]}, ELSEWHERE),  # GoToSocial
        (Writing(1).address, ELSEWHERE),
        ({"type": "Like", "object": Writing(1).activity()["object"]}, NOT_NOTES),
        ({"type": "Update", "object": ACTOR_FILE}, NOT_NOTES),
        ({"type": "Create", "object": {"type": "ChatMessage", "content": "psst", "to": [PUBLIC]}}, NOT_NOTES),
        ({"type": "Create", "object": None}, NOT_NOTES),
        ({"type": ["x"], "object": {}}, NOT_NOTES),
        ({}, NOT_NOTES),
        (3, tally.NOT_POSTS),
        (None, tally.NOT_POSTS),
        ([[]], tally.NOT_POSTS),
    ],
)
def test_what_is_no_post_is_counted(read: Reader, entry: Any, loss: str) -> None:
    assert [post.id for post in read.entries(entry, Writing(9).activity())] == [Writing(9).id]
    assert read.losses == {loss: 1}


def a_note(**changes: Any) -> Post:
    entry = Writing(61).activity()
    entry["object"] = {**entry["object"], **changes}
    post = post_from_activity(entry, "bakery@social.example", ACTOR)
    assert isinstance(post, Post), post
    return post


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "Article", "summary": "an abstract"}, {"warning": None}),
        ({"type": ["Note"], "summary": "food"}, {"warning": "food"}),
        ({"type": "Question", "summary": "<p>a &amp; b</p>"}, {"warning": "a & b"}),
        ({"content": "<p>b</p>", "contentMap": {"de": "<p>a</p>", "en": "<p>b</p>"}}, {"text": "b", "lang": "en"}),
        ({"content": None, "contentMap": {"x!": 3, "de": "<p>a</p>"}}, {"text": "a", "lang": "de"}),
        ({"contentMap": None, "language": "fr"}, {"lang": "fr"}),
        ({"contentMap": {"de": "other"}}, {"lang": None}),
        ({"contentMap": ["de"]}, {"lang": None}),
        ({"inReplyTo": f"{ACTOR}/statuses/7"}, {"kind": "reply", "reply_to": "7", "self_reply": True}),
        ({"inReplyTo": {"id": f"{ACTOR}/statuses/7"}}, {"kind": "reply", "reply_to": "7", "self_reply": True}),
        ({"inReplyTo": f"{SERVER}/users/bob/statuses/7"}, {"reply_to": "7", "self_reply": False}),
        ({"inReplyTo": f"{SERVER}/users/bakeryman/statuses/7"}, {"reply_to": "7", "self_reply": False}),
        ({"inReplyTo": f"{OTHER}/statuses/7"}, {"reply_to": f"{OTHER}/statuses/7", "self_reply": False}),
        ({"inReplyTo": None, "inReplyToAtomUri": f"{ACTOR}/statuses/7"}, {"reply_to": "7", "self_reply": True}),
        ({"quoteUri": OTHER}, {"kind": "quote"}),
        ({"_misskey_quote": OTHER, "inReplyTo": OTHER}, {"kind": "reply"}),
        ({"id": f"{SERVER}/ap/users/109/statuses/1139"}, {"id": "1139"}),
        ({"id": "https://g.example/users/b/statuses/01FW9XGXV3NQVR3Z3ZJ9TZ5F1M"}, {"id": "01FW9XGXV3NQVR3Z3ZJ9TZ5F1M"}),
        ({"id": "https://p.example/objects/9b-1"}, {"id": "https://p.example/objects/9b-1"}),
        ({"id": None}, {"id": None}),
        ({"published": None}, {"created_at": datetime(2025, 2, 1, 1, 1, 7, tzinfo=UTC)}),  # the activity's
        ({"published": "2025-02-03T08:15:00.789+01:00"}, {"created_at": datetime(2025, 2, 3, 7, 15, tzinfo=UTC)}),
        ({"likes": {"totalItems": 7}}, {"likes": 7}),
        ({"likes": ["https://a.example/x"]}, {"likes": None}),
        ({"tag": {"type": "Emoji", "name": ":b:"}, "content": "a :b:"}, {"text": "a"}),  # GoToSocial
        ({"tag": [{"type": "Mention", "name": ":b:"}], "content": "a :b:"}, {"text": "a :b:"}),
        ({"sensitive": True}, {"sensitive": True}),
    ],
)  # fmt: skip
def test_what_a_note_says_becomes_what_a_post_says(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    post = a_note(**changes)
    assert {name: getattr(post, name) for name in expected} == expected


def test_pleroma_threads_are_told_by_the_posts_beside_them(read: Reader) -> None:
    """The addresses there do not say whose a post is."""
    one, two = Writing(1).activity(), Writing(2, answers=1).activity()
    one["object"]["id"], two["object"]["id"] = "https://p.example/objects/9b-1", "https://p.example/objects/9b-2"
    two["object"]["inReplyTo"] = "https://p.example/objects/9b-1"
    first, second = read.entries(one, two)
    assert (second.reply_to, second.self_reply) == (first.id, True)


# --- the account -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {
            "attachment": [
                {"type": "PropertyValue", "name": "AI", "value": "no thanks <a href='#'>#<span>noai</span></a>"}
            ]
        },
        {"attachment": {"type": "PropertyValue", "name": "No AI", "value": ""}},
        {"summary": "<p>Bread. <b>No AI</b> please</p>"},
        {"name": "Bakery #NoAI"},
    ],
)
def test_a_no_in_the_profile_is_heard(read: Reader, changes: dict[str, Any]) -> None:
    read(zipped(files_of(ENTRIES, {**ACTOR_FILE, **changes})))
    assert "no_ai" in signals_of(read.account)


def test_what_the_actor_says_of_itself_is_reported(read: Reader) -> None:
    said = {
        "indexable": False,
        "manuallyApprovesFollowers": True,
        "type": "Service",
        "suspended": True,
        "movedTo": OTHER,
    }
    read(zipped(files_of(ENTRIES, {**ACTOR_FILE, **said})))
    assert set(read.account.signals) == {"not_indexable", "locked", "bot", "suspended", "moved"}


@pytest.mark.parametrize(
    ("actor", "entries", "name", "handle"),
    [
        ({"preferredUsername": "bob", "id": "https://a.example/users/1"}, ENTRIES, "x.zip", "bob@a.example"),
        ({"preferredUsername": "bob", "webfinger": "acct:bob@b.example"}, ENTRIES, "x.zip", "bob@b.example"),
        ({"preferredUsername": "bob", "webfinger": "x", "url": f"{SERVER}/@b"}, ENTRIES, "x.zip", "bob@social.example"),
        ({"preferredUsername": "bob"}, ENTRIES, "x.zip", "bob"),
        ({"preferredUsername": 3}, ENTRIES, "x.zip", "bakery@social.example"),
        (None, ENTRIES, "x.zip", "bakery@social.example"),
        (None, [3, {"type": "Announce"}, *NOTES], "x.zip", "bakery@social.example"),
        (None, [{**NOTES[0], "attributedTo": f"{SERVER}/ap/users/109"}], "x.zip", "bakery@social.example"),
        (None, [{**NOTES[0], "attributedTo": None, "url": None}], "My archive.old.zip", "My_archive"),
        (None, [], "x.zip", "x"),
    ],
)  # fmt: skip
def test_the_handle_is_found_wherever_it_is(
    read: Reader, actor: Any, entries: list[Any], name: str, handle: str
) -> None:
    read(zipped(files_of(entries, actor)), name)
    assert read.account.handle == handle
    assert all(post.account == handle for page in read.pages for post in page.posts)


def test_what_the_person_says_goes_before_what_the_archive_says(read: Reader, tmp_path: Path) -> None:
    face = tmp_path / "face.png"
    face.write_bytes(PICTURE + b"mine")
    posts = read(zipped(FILES), handle="@me", display_name="Me", avatar=str(face))
    assert (read.account.handle, read.account.name, posts[0].account) == ("me", "Me", "me")
    assert read.pages[0].avatar == PICTURE + b"mine"


@pytest.mark.parametrize(
    ("icon", "files", "avatar"),
    [
        ({"url": "avatar.jpg"}, {"avatar.jpg": PICTURE + b"2"}, PICTURE + b"2"),
        ({"url": "https://files.example/a.png"}, {}, PICTURE),  # Pleroma
        ([{"url": "avatar.png"}], {}, PICTURE),
        (None, {}, PICTURE),
        ({"url": "../../etc/passwd"}, {"avatar.png": b"no picture"}, None),
        ({"url": "avatar.png"}, {"avatar.png": b""}, None),
        ({"url": "avatar.png"}, {"avatar.png": PICTURE + bytes(1 << 24)}, None),
    ],
)
def test_the_face_is_the_file_that_the_actor_names(read: Reader, icon: Any, files: Files, avatar: bytes | None) -> None:
    read(zipped({**files_of(ENTRIES[:3], {**ACTOR_FILE, "icon": icon}), **files}))
    assert read.pages[0].avatar == avatar


# --- damage ------------------------------------------------------------------------------------------------------


def test_without_a_profile_the_posts_are_used(read: Reader) -> None:
    for actor in (None, b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        files = (
            {**FILES, "actor.json": actor}
            if actor is not None
            else {k: v for k, v in FILES.items() if k != "actor.json"}
        )
        assert len(read(zipped(files))) == len(EVERYTHING) - 4
        assert read.losses[NO_PROFILE] == 1
        assert read.account.handle == "bakery@social.example"


@pytest.mark.parametrize("pack", [zipped, lambda files: gzip.compress(tarred(files)), tarred])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_of_an_archive_that_was_cut_short_the_beginning_is_used(read: Reader, pack: Any, share: float) -> None:
    rng = random.Random(0)
    writings = [Writing(number, f"<p>{rng.randbytes(40).hex()}</p>") for number in range(400)]
    outbox = files_of(activities(*writings))["outbox.json"]
    whole = pack({"outbox.json": outbox})
    posts = read(whole[: int(len(whole) * share)], "archive")
    assert [post.id for post in posts] == [writing.id for writing in writings[: len(posts)]]
    assert 0.5 * share * 400 < len(posts) < 400
    assert read.losses[CUT_SHORT] == read.losses[NO_PROFILE] == 1
    assert read.losses[tally.UNREAD_REST] == 1


def test_an_outbox_that_was_cut_short_gives_what_comes_before(read: Reader) -> None:
    outbox = FILES["outbox.json"]
    posts = read(outbox[: len(outbox) // 2], "outbox.json")
    assert 40 < len(posts) < 100
    assert read.losses[tally.UNREAD_REST] == 1


def test_a_damaged_entry_costs_itself(read: Reader) -> None:
    outbox = FILES["outbox.json"].replace(b'"post number 50"', b"").replace(b"<p>post number 60</p>", b'"', 1)
    ids = [post.id for post in read(zipped({**FILES, "outbox.json": outbox}))]
    assert Writing(60).id not in ids
    assert len(ids) == len(EVERYTHING) - 4 - 1
    assert read.losses[tally.UNREAD_REST] == 1


@pytest.mark.parametrize(
    ("outbox", "said"),
    [
        (b"", "holds no posts"),
        (b"{}", "holds no posts"),
        (b"nonsense", "holds no posts"),
        (json.dumps({"type": "OrderedCollection", "first": f"{ACTOR}/outbox?page=true"}).encode(), "only names"),
        (b'{"orderedItems": [{]}', "holds no posts"),
    ],
)
def test_an_outbox_without_anything_is_an_error(read: Reader, outbox: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=r"holds no posts") as caught:
        read(zipped({**FILES, "outbox.json": outbox}))
    assert said in str(caught.value)


def test_an_archive_without_an_outbox_is_an_error(read: Reader) -> None:
    files = {name: data for name, data in FILES.items() if name != "outbox.json"}
    for content in (zipped(files), tarred(files), files):
        with pytest.raises(UnreadableFile, match=r"holds no outbox\.json"):
            read(content, "folder" if isinstance(content, dict) else "archive")
        source = MastodonArchive(read.path, ImportSettings())
        assert source.handle in ("archive", "folder")
        with pytest.raises(UnreadableFile, match=r"holds no outbox\.json"):
            source.fingerprint()


def test_an_empty_outbox_is_an_account_without_posts(read: Reader) -> None:
    assert read.entries() == []
    assert (read.account.name, read.losses) == ("Invented Bakery", {})


def test_two_archives_in_one_are_an_error(read: Reader) -> None:
    content = {
        **{f"a/{name}": data for name, data in FILES.items()},
        **{f"b/{name}": data for name, data in FILES.items()},
    }
    with pytest.raises(UnreadableFile, match="holds 2 archives"):
        read(content, "folder")


def test_what_leads_out_of_the_archive_is_refused(read: Reader) -> None:
    for content in (zipped({**FILES, "../evil.json": b"x"}), tarred({**FILES, "../evil.json": b"x"})):
        with pytest.raises(SourceError, match="leads out of it"):
            read(content)


# --- size --------------------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_texts(read: Reader) -> None:
    long = f"<p>{'bread and butter ' * 1_000}</p>"
    private = (Writing(number, long, visibility="private").activity() for number in range(600))
    path = read.write(zipped(files_of([Writing(900).activity(), *private])), "archive.zip")
    tracemalloc.start()
    (page,) = MastodonArchive(path, ImportSettings()).pages()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [post.id for post in page.posts] == [Writing(900).id]
    assert peak < 5e6  # of 20 MB


def test_how_far_it_is_is_told(read: Reader) -> None:
    read(zipped(files_of(activities(*(Writing(number) for number in range(1_500))))))
    assert [len(page.posts) for page in read.pages] == [1000, 500]
    fractions = [page.fraction or 0.0 for page in read.pages]
    assert fractions == sorted(fractions)
    assert 0.6 < fractions[0] < 0.8
    assert fractions[-1] == 1.0
    assert [page.account is None for page in read.pages] == [False, True]


# --- the source --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [zipped, tarred, lambda files: files], ids=["zip", "tar", "folder"])
def test_the_fingerprint_follows_what_matters(read: Reader, pack: Any) -> None:
    def fingerprint(files: Files, name: str = "a", **options: Any) -> str:
        return MastodonArchive(read.write(pack(files), name), ImportSettings(**options)).fingerprint()

    one = fingerprint(FILES)
    assert fingerprint({**FILES}, "a") == one or pack({}) == {}  # a file written anew in a folder has a new time
    assert fingerprint(FILES, "a", max_posts=3) == fingerprint(FILES, "a") or pack({}) == {}
    assert fingerprint(files_of(ENTRIES[:-1])) != one
    for options in ({"handle": "x"}, {"display_name": "x"}, {"avatar": "x"}):
        assert fingerprint(FILES, "a", **options) != one


def test_an_archive_has_all_posts_whatever_a_network_would_be_asked_for(read: Reader) -> None:
    assert len(read(zipped(FILES), max_posts=3)) == len(EVERYTHING) - 4


def test_it_can_be_read_again(read: Reader) -> None:
    read(zipped(FILES))
    source = MastodonArchive(read.path, ImportSettings())
    assert list(source.pages()) == list(source.pages("a cursor", known={Writing(20).id}))


# --- properties --------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RICH = Writing(1, "<p>:b:</p>", warning="w", emoji=("b",), quotes="x", options=("a",), answers=3, pictures=1).activity()
NAMES = sorted({*RICH, *RICH["object"], *ACTOR_FILE, "orderedItems", "items", "shortcode", "totalItems"})
SHAPED = shaped(NAMES, ["Create", "Note", "Update", "Delete", PUBLIC, ACTOR])


def ends_well(path: Path) -> None:
    """Posts and accounts such as a bot's folder can hold, or an error of ours."""
    try:
        if not is_mastodon_archive(path):
            return
        source = MastodonArchive(path, ImportSettings())
        assert source.handle
        source.fingerprint()
        pages = list(source.pages())
    except HuggingtweetsError:
        return
    for page in pages:
        for post in page.posts:
            f"{post.text}{post.warning}{post.id}{post.reply_to}{post.account}".encode()
            assert Post.from_json(json.loads(json.dumps(post.to_json()))) == post
        if page.account is not None:
            f"{page.account!r}{page.account.name}{page.account.bio}{page.account.fields}".encode()


@LIGHT
@given(entries=st.lists(nearly(RICH, SHAPED) | SHAPED, max_size=4), actor=nearly(ACTOR_FILE, SHAPED))
def test_no_entry_and_no_actor_do_worse_than_a_loss(
    tmp_path_factory: pytest.TempPathFactory, entries: Any, actor: Any
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    (folder / "actor.json").write_text(json.dumps(actor))
    (folder / "outbox.json").write_text(json.dumps({"type": "OrderedCollection", "orderedItems": entries}))
    ends_well(folder)


@LIGHT
@given(
    outbox=st.binary(max_size=200)
    | nearly(outbox_of([Writing(1)]), SHAPED).map(lambda value: json.dumps(value).encode())
)
def test_no_outbox_does_worse_than_an_error(tmp_path_factory: pytest.TempPathFactory, outbox: bytes) -> None:
    path = tmp_path_factory.mktemp("archive") / "outbox.json"
    path.write_bytes(outbox)
    ends_well(path)


SMALL = files_of(activities(Writing(1), Writing(2)))


@LIGHT
@given(data=st.data())
def test_no_damage_to_an_archive_does_worse_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from([zipped(SMALL), tarred(SMALL), gzip.compress(tarred(SMALL))]))
    place = data.draw(st.integers(0, len(whole)))
    noise = data.draw(st.binary(max_size=30))
    path = tmp_path_factory.mktemp("archive") / "archive"
    path.write_bytes(whole[:place] + noise + whole[place + data.draw(st.integers(0, 40)) :])
    ends_well(path)
