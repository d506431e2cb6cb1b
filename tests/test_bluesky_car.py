"""A Bluesky repository as a source: the index decides what is there, and no file does worse than an error."""

from __future__ import annotations

import json
import random
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cars import DID, Car, encode, level_of, link_to, repository, varint
from huggingtweets.config import ImportSettings
from huggingtweets.errors import HuggingtweetsError, SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources import tally
from huggingtweets.sources.base import Page
from huggingtweets.sources.bluesky import blocks as bluesky_blocks
from huggingtweets.sources.bluesky.blocks import BAD_KEYS, LOST_INDEX
from huggingtweets.sources.bluesky.car import LOST_RECORDS, REPOSTS, SAME_RECORDS, BlueskyRepo, is_repo
from results import Result

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POST = "app.bsky.feed.post"


def record(text: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    minutes = f"2025-02-{1 + number // 1440 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00.000Z"
    return {"$type": POST, "text": text, "createdAt": minutes, "langs": ["en"], **changes}


def posts_of(count: int) -> dict[str, object]:
    return {f"{POST}/3l{number:011}": record(f"post number {number}", number) for number in range(count)}


PROFILE = {
    "app.bsky.actor.profile/self": {
        "$type": "app.bsky.actor.profile",
        "displayName": "Bakery",
        "description": "Bread & more",
    }
}
LIKES = {
    f"app.bsky.feed.like/3l{n:011}": {"$type": "app.bsky.feed.like", "subject": {"uri": "at://x/y/z"}}
    for n in range(50)
}


class Reader(Result):
    """Writes a repository and reads it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: list[Page] = []

    def __call__(self, car: Car | bytes, name: str = "repo.car", **options: Any) -> list[Post]:
        path = self.folder / name
        path.write_bytes(car if isinstance(car, bytes) else car.to_bytes())
        self.pages = list(BlueskyRepo(path, ImportSettings(**options), now=lambda: NOW).pages())
        return self.posts


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


# --- what is there -----------------------------------------------------------------------------------------------


def test_every_post_of_a_tree_of_several_levels_comes_out_oldest_first(read: Reader) -> None:
    records = {**posts_of(2_500), **LIKES, **PROFILE}
    assert max(map(level_of, records)) >= 3
    posts = read(repository(records))
    assert [post.text for post in posts] == [f"post number {number}" for number in range(2_500)]
    assert posts[7].id == f"at://{DID}/{POST}/3l00000000007"
    assert [len(page.posts) for page in read.pages] == [1000, 1000, 500]
    assert [page.fraction for page in read.pages] == [0.4, 0.8, 1.0]
    assert [page.account is None for page in read.pages] == [False, True, True]
    assert read.losses == {}


def test_a_record_becomes_a_post(read: Reader) -> None:
    reply = {
        "parent": {"uri": f"at://{DID}/{POST}/3k", "cid": "b"},
        "root": {"uri": f"at://{DID}/{POST}/3k", "cid": "b"},
    }
    (post,) = read(repository({f"{POST}/3laaaaaaaaaaa": record("agreed & done", 61, reply=reply, langs=["de", "en"])}))
    assert post == Post(
        "agreed & done",
        account=DID,
        id=f"at://{DID}/{POST}/3laaaaaaaaaaa",
        created_at=datetime(2025, 2, 1, 1, 1, tzinfo=UTC),
        kind="reply",
        lang="de",
        html_escaped=False,
        reply_to=f"at://{DID}/{POST}/3k",
        self_reply=True,
    )


def test_deleted_posts_that_still_lie_in_the_file_stay_deleted(read: Reader) -> None:
    car = repository(posts_of(5), orphans=[record("deleted, must not appear")])
    assert b"must not appear" in car.to_bytes()
    assert len(read(car)) == 5


def test_the_profile_and_the_file_name_make_the_account(read: Reader) -> None:
    read(repository({**posts_of(1), **PROFILE}), "bakery.example (2).car")
    assert read.account == Account(
        "bakery.example",
        "bluesky",
        "Bakery",
        "Bread & more",
        id=DID,
        url=f"https://bsky.app/profile/{DID}",
    )
    posts = read(repository(posts_of(1)), "repo.car", handle="@me.example", display_name="Me")
    assert (read.account.handle, read.account.name, posts[0].account) == ("me.example", "Me", "me.example")
    assert read(repository(posts_of(1)))[0].account == DID


def test_the_newest_are_kept_where_not_all_are_wanted(read: Reader) -> None:
    assert [post.text for post in read(repository(posts_of(30)), max_posts=2)] == ["post number 28", "post number 29"]


def test_reposts_have_no_words_here_and_are_counted(read: Reader) -> None:
    repost = {"$type": "app.bsky.feed.repost", "subject": {"uri": "at://did:plc:b/app.bsky.feed.post/1"}}
    read(repository({**posts_of(1), "app.bsky.feed.repost/3la": repost, "app.bsky.feed.repost/3lb": repost}))
    assert read.losses == {REPOSTS: 2}


def test_an_empty_repository_is_an_account_without_posts(read: Reader) -> None:
    assert read(repository({})) == []
    assert read(repository(PROFILE)) == []
    assert read.account.name == "Bakery"


@pytest.mark.parametrize(
    ("name", "said", "signals"),
    [
        ("org.user-intents.declaration/self", {"syntheticContentGeneration": {"allow": False}}, {"no_ai"}),
        ("org.user-intents.demo.declaration/self", {"syntheticContentGeneration": {"allow": False}}, {"no_ai"}),
        ("org.user-intents.declaration/self", {"bulkDataset": {"allow": False}}, {"noindex"}),
        ("org.user-intents.declaration/self", {"syntheticContentGeneration": {"allow": True}}, set()),
        ("org.user-intents.declaration/3labc", {"syntheticContentGeneration": {"allow": False}}, set()),
        ("community.lexicon.preference.ai/self", {"preferences": {"training": {"allow": False}}}, {"no_ai"}),
        ("community.lexicon.preference.ai/3l", {"preferences": {"syntheticContent": {"allow": False}}}, {"no_ai"}),
        ("community.lexicon.preference.ai/self", {"preferences": {"inference": {"allow": False}}}, set()),
    ],
)
def test_what_the_account_says_of_ai_is_reported(
    read: Reader, name: str, said: dict[str, Any], signals: set[str]
) -> None:
    read(repository({**posts_of(3), name: said}))
    assert set(read.account.signals) == signals


def test_the_wish_not_to_be_shown_is_reported(read: Reader) -> None:
    profile = {"labels": {"values": [{"val": "!no-unauthenticated"}]}}
    read(repository({**posts_of(3), "app.bsky.actor.profile/self": profile}))
    assert set(read.account.signals) == {"no_unauthenticated"}


# --- damage ------------------------------------------------------------------------------------------------------


def without(car: Car, text: bytes) -> Car:
    return Car(car.root, {cid: data for cid, data in car.blocks.items() if text not in data})


def test_a_missing_record_costs_itself(read: Reader) -> None:
    assert len(read(without(repository(posts_of(20)), b"post number 7"))) == 19
    assert read.losses == {LOST_RECORDS: 1}


def test_a_record_that_was_changed_is_not_believed(read: Reader) -> None:
    content = repository(posts_of(20)).to_bytes().replace(b"post number 7", b"POST NUMBER 7")
    assert "POST NUMBER 7" not in [post.text for post in read(content)]
    assert read.losses == {LOST_RECORDS: 1}


def test_a_missing_node_costs_what_is_below_it(read: Reader) -> None:
    car = repository(posts_of(200))
    nodes = [cid for cid, data in car.blocks.items() if b"akk" not in data and data[:1] == b"\xa2"]
    del car.blocks[nodes[-1]]
    posts = read(car)
    assert 0 < len(posts) < 200
    assert read.losses == {LOST_INDEX: 1}


def test_a_lost_record_about_ai_ends_the_run(read: Reader) -> None:
    said = {"org.user-intents.declaration/self": {"syntheticContentGeneration": {"allow": True}}}
    with pytest.raises(UnreadableFile, match=r"org\.user-intents\.declaration(.|\n)*export"):
        read(without(repository({**posts_of(3), **said}), b"syntheticContent"))


def test_without_the_commit_nothing_is_believed(read: Reader) -> None:
    with pytest.raises(UnreadableFile, match="commit"):
        read(without(repository(posts_of(3)), b"3linventedrev"))


def test_a_file_that_was_cut_gives_what_can_be_reached(read: Reader) -> None:
    content = repository(posts_of(300)).to_bytes()
    counts = []
    for share in (0.999, 0.9, 0.6, 0.3):
        counts.append(len(read(content[: int(len(content) * share)] + b"\xff")))
        assert read.losses[tally.CUT_SHORT] == 1
        assert read.losses.get(LOST_RECORDS, 0) + read.losses.get(LOST_INDEX, 0) > 0
    assert counts == sorted(counts, reverse=True)
    assert counts[0] >= 298
    assert 50 < counts[-1] < 100


def test_a_subtree_is_walked_once_however_often_it_is_named(read: Reader) -> None:
    car = Car()
    below = car.put_node([(f"{POST}/3la", car.put(record("below")), None)])
    above = car.put_node(
        [(f"{POST}/3lb", car.put(record("above")), below), (f"{POST}/3lc", car.put(record("c")), below)]
    )
    car.commit(above)
    assert [post.text for post in read(car)] == ["above", "below", "c"]
    assert read.losses == {LOST_INDEX: 1}


def test_one_record_under_many_names_is_one_post(read: Reader) -> None:
    car = Car()
    same = car.put(record("again"))
    car.commit(car.put_node([(f"{POST}/3l{n}", same, None) for n in range(10)]))
    assert len(read(car)) == 1
    assert read.losses == {SAME_RECORDS: 9}


def test_a_very_deep_tree_is_walked(read: Reader) -> None:
    car = Car()
    node = None
    for number in range(5_000):
        node = car.put_node([(f"{POST}/3l{number:05}", car.put(record(f"at depth {number}")), None)], node)
    car.commit(node)
    assert len(read(car)) == 5_000


@pytest.mark.parametrize(
    "part",
    [
        {"p": 99, "k": b"a", "t": None},
        {"p": -1, "k": b"a", "t": None},
        {"p": 0, "k": "text", "t": None},
        {"p": 0, "k": b"no slash", "t": None},
        {"p": 0, "k": b"app.bsky.feed.post/\xff", "t": None},
        {"p": 0, "k": b"app.bsky.feed.post/" + b"a" * 5_000, "t": None},
        {"k": b"app.bsky.feed.post/a"},
        [],
        None,
    ],
)
def test_a_name_that_is_none_costs_its_entry(read: Reader, part: Any) -> None:
    car = Car()
    good = car.put(record("good"))
    part = {**part, "v": car.put(record("bad"))} if isinstance(part, dict) else part
    car.commit(car.put({"l": None, "e": [part, {"p": 0, "k": f"{POST}/3lb".encode(), "v": good, "t": None}]}))
    assert [post.text for post in read(car)] == ["good"]
    assert read.losses == {BAD_KEYS: 1}


def test_what_is_no_subtree_is_counted(read: Reader) -> None:
    car = Car()
    entry = {"p": 0, "k": f"{POST}/3lb".encode(), "v": car.put(record("good")), "t": {"a": [1]}}
    car.commit(car.put({"l": [[]], "e": [entry]}))
    assert len(read(car)) == 1
    assert read.losses == {LOST_INDEX: 2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a Bluesky repository"),
        (b"hello, world", "not a Bluesky repository"),
        (b"\x0a\xa1gversion\x02" + bytes(40), "version 2"),
        (varint(17) + encode({"roots": [], "version": 1}), "not a Bluesky repository"),
        (b"\xff" * 100, "not a Bluesky repository"),
    ],
)
def test_what_is_no_repository_is_refused(read: Reader, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        read(content)


@pytest.mark.parametrize(
    "commit", [{"data": 1}, {"did": "nobody", "data": b"x"}, {"did": DID}, {"did": DID, "data": None}]
)
def test_a_commit_must_name_account_and_index(read: Reader, commit: dict[str, object]) -> None:
    car = Car()
    car.root = car.put(commit)
    with pytest.raises(UnreadableFile):
        read(car)


def test_too_large_a_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "repo.car"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # sparse
    source = BlueskyRepo(path, ImportSettings())
    with pytest.raises(UnreadableFile, match="1 GiB"):
        list(source.pages())
    with pytest.raises(UnreadableFile, match="1 GiB"):
        source.fingerprint()
    assert source.handle == "repo"


def test_too_many_blocks_are_refused(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluesky_blocks, "MOST_BLOCKS", 10)
    with pytest.raises(UnreadableFile, match="more than 10 blocks"):
        read(repository(posts_of(20)))


def test_memory_stays_below_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "repo.car"
    many = {f"{POST}/3l{n:011}": record(f"{n} " + "bread " * 400, n) for n in range(3_000)}
    path.write_bytes(repository(many).to_bytes())
    tracemalloc.start()
    count = sum(len(page.posts) for page in BlueskyRepo(path, ImportSettings()).pages())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3_000
    assert peak < path.stat().st_size


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "no.car", tmp_path):
        source = BlueskyRepo(path, ImportSettings())
        assert isinstance(source.handle, str)
        with pytest.raises(SourceError):
            list(source.pages())
        with pytest.raises(SourceError):
            source.fingerprint()


# --- the source --------------------------------------------------------------------------------------------------


def test_a_repository_is_recognised_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content, is_one in ((repository({}).to_bytes(), True), (b"eroots gversion", False), (b"", False)):
        path.write_bytes(content)
        assert is_repo(path) is is_one
    assert not is_repo(tmp_path)
    assert not is_repo(tmp_path / "none")


def test_the_fingerprint_follows_the_content_and_the_settings(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("a.car", "b.car", "c.car"))
    one.write_bytes(repository(posts_of(3)).to_bytes())
    same.write_bytes(one.read_bytes())
    other.write_bytes(repository(posts_of(4)).to_bytes())
    prints = [BlueskyRepo(path, ImportSettings()).fingerprint() for path in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
    assert BlueskyRepo(one, ImportSettings(max_posts=2)).fingerprint() != prints[0]
    assert BlueskyRepo(one, ImportSettings()).spec == f"bluesky-repo:{one}"
    assert BlueskyRepo(one, ImportSettings()).origin.kind == "file"


# --- properties --------------------------------------------------------------------------------------------------

LIGHT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"), min_size=1, max_size=13)


@LIGHT
@given(texts=st.dictionaries(KEYS, st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1), max_size=40))
def test_a_repository_comes_back_as_it_was_written(read: Reader, texts: dict[str, str]) -> None:
    texts = {key: f"{key} {text}" for key, text in texts.items()}
    posts = read(repository({f"{POST}/{key}": record(text) for key, text in texts.items()}))
    assert [(post.id, post.text) for post in posts] == [
        (f"at://{DID}/{POST}/{key}", texts[key]) for key in sorted(texts)
    ]
    assert read.losses == {}


def ends_well(read: Reader, content: bytes) -> None:
    """Posts that a bot folder could hold, or an error of ours."""
    try:
        posts = read(content)
    except HuggingtweetsError:
        return
    for post in posts:
        post.text.encode("utf-8")
        Post.from_json(json.loads(json.dumps(post.to_json())))


SAID = {"org.user-intents.declaration/self": {"bulkDataset": {"allow": False}}}
VALID = repository({**posts_of(40), **LIKES, **PROFILE, **SAID}).to_bytes()


@settings(LIGHT, max_examples=300)
@given(data=st.data())
def test_no_damage_to_a_repository_does_worse_than_an_error(read: Reader, data: st.DataObject) -> None:
    content = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=50))
    ends_well(read, bytes(content))


@settings(LIGHT, max_examples=150)
@given(end=st.integers(0, len(VALID)))
def test_no_cut_does_worse_than_an_error(read: Reader, end: int) -> None:
    ends_well(read, VALID[:end])


@LIGHT
@given(content=st.binary(max_size=500), follows=st.booleans())
def test_no_bytes_do_worse_than_an_error(read: Reader, content: bytes, follows: bool) -> None:
    ends_well(read, VALID[:60] + content if follows else content)


CBOR = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = (
    "text",
    "createdAt",
    "langs",
    "facets",
    "reply",
    "embed",
    "labels",
    "$type",
    "displayName",
    "preferences",
    "scope",
)


@settings(LIGHT, max_examples=200)
@given(
    records=st.lists(st.dictionaries(st.sampled_from(FIELDS), CBOR) | CBOR, max_size=5),
    node=st.dictionaries(st.sampled_from(("l", "e")), CBOR) | CBOR,
    use_node=st.booleans(),
)
def test_well_made_blocks_with_any_content_do_no_worse_than_an_error(
    read: Reader, records: list[Any], node: Any, use_node: bool
) -> None:
    names = (f"{POST}/a", f"{POST}/b", "app.bsky.actor.profile/self", "org.user-intents.declaration/self")
    car = Car()
    entries = [(name, car.put(value), None) for name, value in zip(sorted(names), records, strict=False)]
    car.commit(car.put(node) if use_node else car.put_node(entries))
    ends_well(read, car.to_bytes())


def test_a_block_of_nothing_but_brackets_is_no_crash(read: Reader) -> None:
    car = repository(posts_of(2))
    deep = b"\x81" * 200_000 + b"\xf6"
    car.blocks[link_to(deep)] = deep
    car.commit(link_to(deep))
    assert read(car) == []
    assert read.losses == {LOST_INDEX: 1}


def test_random_files_end_well(read: Reader) -> None:
    rng = random.Random(0)
    for _ in range(200):
        ends_well(read, bytes(rng.randrange(256) for _ in range(rng.randrange(300))))
