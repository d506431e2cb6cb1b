"""An X archive as a source: every era gives the same posts, each once, and nothing private is ever opened."""

from __future__ import annotations

import codecs
import dataclasses
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import (
    ERAS,
    PNG,
    TRIPWIRE,
    Archive,
    edited,
    id_at,
    mark_encrypted,
    note,
    script,
    time_at,
    tweet,
    write_folder,
    write_zip,
)
from conftest import invented_posts
from huggingtweets import stages
from huggingtweets.botdir import BotDir
from huggingtweets.config import BotSettings, ImportSettings
from huggingtweets.errors import HuggingtweetsError, SettingsError, UnreadableFile
from huggingtweets.pipeline import sources_of
from huggingtweets.posts import Account, Post, read_posts
from huggingtweets.reports import silent
from huggingtweets.sources import recognise
from huggingtweets.sources.base import Source
from huggingtweets.sources.x import notes as x_notes
from huggingtweets.sources.x.archive import CUT_SHORT, MISSING, MISSING_FILES, OTHER_PARTS, XArchive, is_x_archive
from huggingtweets.sources.x.reading import (
    COMMUNITY,
    DAMAGED,
    DELETED,
    LONELY_NOTES,
    OLDER_VERSIONS,
    SAME_POSTS,
    UNREAD_NOTES,
    WHOLE_POSTS,
)

MAP, PHOTO, QUOTE = "https://t.co/aaaaaaaaaa", "https://t.co/bbbbbbbbbb", "https://t.co/cccccccccc"
SOMEONE = "https://twitter.com/someone_else/status/1887000000000000008"


class Result:
    """Everything that one reading of a source gave."""

    def __init__(self, source: Source) -> None:
        pages = list(source.pages())
        (self.account,) = [page.account for page in pages if page.account is not None]
        self.avatar = pages[0].avatar
        self.posts = sorted(
            (post for page in pages for post in page.posts), key=lambda post: (post.created_at, post.id)
        )
        self.losses = Counter({loss.what: 0 for page in pages for loss in page.losses})
        for page in pages:
            self.losses.update({loss.what: loss.count for loss in page.losses})
        self.fractions = [page.fraction for page in pages]

    @property
    def texts(self) -> list[str]:
        return [post.text for post in self.posts]


def read(path: Path | str, **changes: Any) -> Result:
    return Result(recognise(str(path), ImportSettings(**changes)))


def read_together(*paths: Path, **changes: Any) -> Result:
    (source,) = sources_of(paths, ImportSettings(**changes))
    return Result(source)


EVERYTHING = [
    tweet(1, "Loaves &amp; coffee at 8! #bread", likes=8),
    tweet(2, f"Map: {MAP} {PHOTO}", links={MAP: "https://example.org/map?a=1&b=2"}, media=PHOTO),
    tweet(3, "@someone_else yes, until noon", reply_to=("77", "someone_else"), reply_to_id="1887399000000000001"),
    tweet(4, "RT @someone_else: bakeries are the best pla…"),
    tweet(5, f"This, exactly {QUOTE}", links={QUOTE: SOMEONE}),
    tweet(6, "and one more thing", reply_to=("42", "invented_bakery"), reply_to_id=id_at(5)),
    tweet(45_000, "next month 🥐\nnew line", possibly_sensitive=True),
]
EXPECTED = [
    Post("Loaves &amp; coffee at 8! #bread", "invented_bakery", likes=8),
    Post("Map: https://example.org/map?a=1&amp;b=2", "invented_bakery"),
    Post("@someone_else yes, until noon", "invented_bakery", kind="reply", reply_to="1887399000000000001"),
    Post("RT @someone_else: bakeries are the best pla…", "invented_bakery", kind="repost"),
    Post("This, exactly", "invented_bakery", kind="quote"),
    Post("and one more thing", "invented_bakery", kind="reply", reply_to=id_at(5), self_reply=True),
    Post("next month 🥐\nnew line", "invented_bakery", sensitive=True),
]
MINUTES = (1, 2, 3, 4, 5, 6, 45_000)


def expected(era: str = "2022") -> list[Post]:
    """Grailbird knows neither likes nor languages."""
    known: dict[str, Any] = {"likes": None} if era == "grailbird" else {"lang": "en"}
    return [
        dataclasses.replace(post, id=id_at(at), created_at=time_at(at), **({"likes": post.likes or 0} | known))
        for post, at in zip(EXPECTED, MINUTES, strict=True)
    ]


def pack_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    folder = write_folder(path.with_suffix(".d"), members)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, "twitter-2025")
    return path


# --- every era, however it is packed ---


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("files", [1, 3])
def test_every_era_gives_the_same_posts(tmp_path: Path, era: str, files: int) -> None:
    archive = Archive(EVERYTHING, era=era, files=files)
    for path in (archive.zip(tmp_path / "a.zip"), archive.folder(tmp_path / "a")):
        result = read(path)
        assert result.posts == expected(era)
        assert not result.losses
        assert (result.account.handle, result.account.name) == ("invented_bakery", "Invented Bakery 🥐")
        assert result.account.bio == "Bread & more."


@pytest.mark.parametrize(
    "change",
    [
        lambda data: codecs.BOM_UTF8 + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data + b" ;\n\n" + b" " * 500,
        lambda data: b"  \n" + data,
        lambda data: data.replace(b".part0 = [", b".part0=["),
        lambda data: data.partition(b"=")[0] + b"=" + json.dumps(json.loads(data.partition(b"=")[2])).encode(),
        lambda data: data.partition(b"=")[2],
        lambda data: data.replace(b' : "', b':"'),
    ],
)
def test_the_way_the_scripts_are_written_does_not_matter(tmp_path: Path, change: Any) -> None:
    members = {
        name: change(data) if name.endswith(".js") and "assets" not in name else data
        for name, data in Archive(EVERYTHING, notes=[note(900, "a note " * 50)]).members().items()
    }
    result = read(write_zip(tmp_path / "a.zip", members))
    assert result.posts[:6] == expected()[:6]
    assert result.texts[6] == "a note " * 50
    assert not result.losses
    assert result.account.name == "Invented Bakery 🥐"


def test_every_way_to_pass_an_archive_gives_the_same_posts(tmp_path: Path) -> None:
    archive = Archive(EVERYTHING, files=2)
    folder = archive.folder(tmp_path / "a")
    nested = {f"backup/twitter-2025/{name}": data for name, data in archive.members().items()}
    ways = [
        archive.zip(tmp_path / "a.zip"),
        archive.zip(tmp_path / "windows.zip", prefix="twitter-2025\\"),
        archive.zip(tmp_path / "dot.zip", prefix="./"),
        archive.zip(tmp_path / "no ending", prefix="outer/"),
        write_folder(tmp_path / "b", nested),
        folder / "data",
        folder / "data" / "tweets.js",
        folder / "data" / "tweets-part1.js",
        folder / "data" / "account.js",
        pack_tar(tmp_path / "a.tar.gz", archive.members()),
        pack_tar(tmp_path / "a.tar", archive.members(), "w:"),
    ]
    for way in ways:
        result = read(way)
        assert result.posts == expected(), way
        assert not result.losses, way
        assert result.account.handle == "invented_bakery"
        assert result.avatar == PNG


@pytest.mark.parametrize("passed", ["data", "data/js/tweets/2023_03.js"])
def test_the_oldest_archive_is_found_from_within(tmp_path: Path, passed: str) -> None:
    folder = Archive(EVERYTHING, era="grailbird").folder(tmp_path / "a")
    assert read(folder / passed).posts == expected("grailbird")


def test_a_file_of_posts_with_another_name_is_read_alone(tmp_path: Path) -> None:
    folder = Archive(EVERYTHING).folder(tmp_path / "alice")
    other = Archive(EVERYTHING[:2]).members()["data/tweets.js"]
    (folder / "data" / "tweets (1).js").write_bytes(other)
    result = read(folder / "data" / "tweets (1).js", handle="alice")
    assert len(result.posts) == 2
    assert len(read(folder).posts) == len(EVERYTHING)
    source = XArchive([folder / "data" / "tweets (1).js"], ImportSettings())
    assert source.fingerprint() == source.fingerprint()


def test_a_file_beside_a_script_that_is_not_an_archives_stays_unread(tmp_path: Path) -> None:
    """Downloads lie in one folder, and in its subfolders somebody else's."""
    Archive([tweet(1, "somebody else's words")], handle="other").folder(tmp_path / "other")
    (tmp_path / "tweets.js").write_bytes(Archive(EVERYTHING).members()["data/tweets.js"])
    assert len(read(tmp_path / "tweets.js").posts) == len(EVERYTHING)


def test_what_macs_and_viewers_add_is_no_part(tmp_path: Path) -> None:
    more = {
        "__MACOSX/data/._tweets.js": b"\0\5\26\7",
        "__MACOSX/data/tweets.js": b"window.YTD.tweets.part0 = [ 1 ]",
        "data/._tweets.js": b"\0\5\26\7",
        "assets/data/tweets.js": b"window.YTD.tweets.part0 = [ 2 ]",
        "assets/js/account.js": b"window.YTD.account.part0 = [ 3 ]",
    }
    for path in (
        write_zip(tmp_path / "a.zip", Archive(EVERYTHING).members() | more),
        write_folder(tmp_path / "a", Archive(EVERYTHING).members() | more),
    ):
        result = read(path)
        assert result.posts == expected()
        assert not result.losses


def test_name_bio_and_picture_come_from_inside_and_what_is_said_goes_first(tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    picture.write_bytes(PNG + b"another")
    path = Archive(EVERYTHING).zip(tmp_path / "a.zip")
    found = read(path)
    said = read(path, handle="bread", display_name="Bread", avatar=str(picture))
    account = Account("invented_bakery", "x", "Invented Bakery 🥐", "Bread & more.", id="42")
    assert dataclasses.replace(found.account, url=None, signals={}) == account
    assert found.account.url == "https://x.com/invented_bakery"
    assert "unknown_protection" in found.account.signals
    assert found.avatar == PNG
    assert (said.account.handle, said.account.name, said.avatar) == ("bread", "Bread", PNG + b"another")
    assert said.account.url == found.account.url
    assert [post.self_reply for post in said.posts] == [post.self_reply for post in found.posts]


@pytest.mark.parametrize("avatar", [None, b"<html>not a picture</html>"])
def test_an_archive_without_a_usable_picture_is_one_without(tmp_path: Path, avatar: bytes | None) -> None:
    assert read(Archive(EVERYTHING, avatar=avatar).zip(tmp_path / "a.zip")).avatar is None


def test_an_archive_that_does_not_say_whose_it_is_is_called_by_its_file(tmp_path: Path) -> None:
    folder = Archive(EVERYTHING, handle=None).folder(tmp_path / "alice")
    path = Archive(EVERYTHING, handle=None).zip(tmp_path / "bob.zip")
    assert [read(way).account.handle for way in (folder, folder / "data", path)] == ["alice", "alice", "bob"]
    assert read(folder / "data" / "tweets.js").account.handle == "alice"


def test_the_account_comes_before_the_posts(tmp_path: Path) -> None:
    first = next(recognise(str(Archive(EVERYTHING).zip(tmp_path / "a.zip")), ImportSettings()).pages())
    assert first.account is not None
    assert not first.posts


def test_damaged_facts_cost_the_facts_only(tmp_path: Path) -> None:
    for damage in (
        b"",
        b"window.YTD.account.part0 = [",
        b"\xff\xfe\0",
        b"x = " + b"[" * 100_000,
        b"x = [[[]]]",
        b"x = 7",
    ):
        members = Archive(EVERYTHING).members()
        members |= {f"data/{name}.js": damage for name in ("account", "profile", "manifest")}
        result = read(write_zip(tmp_path / "alice.zip", members))
        assert len(result.posts) == len(EVERYTHING)
        assert result.account.handle == "alice"


# --- nothing private ---


@pytest.mark.parametrize("era", ERAS)
def test_direct_messages_likes_and_deleted_posts_are_never_opened(tmp_path: Path, era: str) -> None:
    archive = Archive(EVERYTHING, era=era, circle=[tweet(9, TRIPWIRE)])
    private = [name for name, data in archive.members().items() if TRIPWIRE.encode() in data]
    path = mark_encrypted(archive.zip(tmp_path / "a.zip"), *private)  # whoever opens one, fails
    assert len(private) >= (1 if era == "grailbird" else 3)
    assert read(path).posts == expected(era)


WATCH = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
from huggingtweets.config import ImportSettings
from huggingtweets.sources.x import notes as x_notes
from huggingtweets.sources import recognise
source = recognise(sys.argv[1], ImportSettings())
source.fingerprint(), list(source.pages())
print(*(path for path in opened if path.startswith(sys.argv[1])), sep="\\n")
"""


def test_of_a_folder_only_the_files_that_are_needed_are_opened(tmp_path: Path) -> None:
    folder = Archive(EVERYTHING, circle=[tweet(9, TRIPWIRE)]).folder(tmp_path / "a")
    done = subprocess.run([sys.executable, "-c", WATCH, str(folder)], capture_output=True, text=True, check=True)
    wanted = {"tweets.js", "community-tweet.js", "note-tweet.js", "account.js", "profile.js", "manifest.js"}
    assert {Path(path).name for path in done.stdout.splitlines()} == wanted | {"42-AbCdEf.jpg"}


def test_posts_to_a_circle_are_left_out_and_so_are_the_notes_that_may_be_theirs(tmp_path: Path) -> None:
    long = "Only for my circle, and too long for a short post. " * 8
    notes = [note(9, long), note(1, "Loaves & coffee at 8! #bread")]
    circle = [tweet(9, long[:270] + "…")]
    without = Archive(EVERYTHING, notes=notes).members()
    for manifest in (True, False):
        archive = Archive(EVERYTHING, notes=notes, circle=circle, manifest=manifest)
        for path in (archive.zip(tmp_path / "a.zip"), pack_tar(tmp_path / "a.tar.gz", archive.members())):
            result = read(path)
            assert len(result.posts) == len(EVERYTHING)
            assert result.losses == {LONELY_NOTES: 1}
    assert len(read(write_zip(tmp_path / "b.zip", without)).posts) == len(EVERYTHING) + 1


def test_of_an_archive_cut_short_nobody_knows_whether_it_holds_posts_to_a_circle(tmp_path: Path) -> None:
    long = "Perhaps for my circle, and too long for a short post. " * 8
    members = Archive(EVERYTHING, notes=[note(9, long)], manifest=False).members()
    whole = write_zip(tmp_path / "a.zip", members)
    assert len(read(whole).posts) == len(EVERYTHING) + 1
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[: -22 - 46 * len(members)])  # without its directory
    result = read(cut)
    assert len(result.posts) == len(EVERYTHING)
    assert result.losses == {LONELY_NOTES: 1, CUT_SHORT: 1}


def test_posts_into_communities_are_an_option(tmp_path: Path) -> None:
    inside = tweet(8, "Hello fellow bakers ;)", community_id_str="1611")
    path = Archive([*EVERYTHING, tweet(9, "in among the others", community_id="5")], community=[inside]).zip(
        tmp_path / "a.zip"
    )
    assert {"Hello fellow bakers ;)", "in among the others"} <= set(read(path).texts)
    without = read(path, community_posts=False)
    assert without.posts == expected()
    assert without.losses == {COMMUNITY: 1}
    prints = {XArchive([path], ImportSettings(community_posts=choice)).fingerprint() for choice in (True, False)}
    assert len(prints) == 2


def test_a_deleted_post_among_the_others_is_left_out(tmp_path: Path) -> None:
    result = read(Archive([*EVERYTHING, tweet(9, "oops", deleted_at="Wed Feb 12 07:31:00")]).zip(tmp_path / "a.zip"))
    assert result.posts == expected()
    assert result.losses == {DELETED: 1}


# --- edits ---


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("files", [1, 3])
def test_of_an_edited_post_only_the_last_version_counts(tmp_path: Path, order: int, files: int) -> None:
    versions = edited(100, "A very lnog story", "A very long story", "A very long story, told well")
    result = read(Archive([*EVERYTHING, *versions][::order], files=files).zip(tmp_path / "a.zip"))
    assert result.texts == [post.text for post in expected()[:-1]] + ["A very long story, told well", result.texts[-1]]
    assert result.losses == {OLDER_VERSIONS: 2}


def test_a_first_version_that_does_not_know_of_the_later_ones_is_still_a_version(tmp_path: Path) -> None:
    first, *later = edited(100, "A very lnog story", "A very long story")
    first["edit_info"] = {"initial": {"editTweetIds": [first["id"]]}}
    later[0]["edit_info"] = {"edit": {"initialTweetId": first["id"]}}
    for order in (1, -1):
        result = read(Archive([first, *later][::order]).zip(tmp_path / "a.zip"))
        assert result.texts == ["A very long story"]


def test_an_edit_in_another_zip_counts(tmp_path: Path) -> None:
    versions = edited(100, "A very lnog story", "A very long story")
    old = tweet(100, "A very lnog story")
    before = Archive([old, *EVERYTHING[:3]]).zip(tmp_path / "before.zip")
    after = Archive([*versions, *EVERYTHING]).zip(tmp_path / "after.zip")
    for order in ((before, after), (after, before)):
        result = read_together(*order)
        assert len(result.posts) == len(EVERYTHING) + 1
        assert result.losses == {OLDER_VERSIONS: 1, SAME_POSTS: 4}


def test_text_that_looks_like_a_list_of_versions_changes_nothing(tmp_path: Path) -> None:
    text = f'"editTweetIds" : [ "{id_at(1)}", "{id_at(2)}" ] "initialTweetId" : "{id_at(3)}"'
    assert len(read(Archive([*EVERYTHING, tweet(50, text)]).zip(tmp_path / "a.zip")).posts) == len(EVERYTHING) + 1


# --- notes ---

STORY = (
    "A very long story about sourdough & starters that does not fit in two hundred and eighty characters, so that "
    "the short field stops somewhere, while the note goes on: flour >> water, then wait, fold, wait and fold again, "
    "shape it, let it prove in a cool place, and bake it hot. Recipe at "
)
LINKED = f"{STORY}{QUOTE}"


def short(text: str, letters: int = 240) -> str:
    return text[:letters].rstrip().replace("&", "&amp;").replace(">", "&gt;") + "… https://t.co/zzzzzzzzzz"


def test_a_note_stands_for_the_short_post_that_begins_it(tmp_path: Path) -> None:
    archive = Archive(
        [tweet(10, short(LINKED), likes=2), *EVERYTHING],
        notes=[note(10.01, LINKED, {QUOTE: "https://example.org/starter"})],
    )
    result = read(archive.zip(tmp_path / "a.zip"))
    (long,) = [post for post in result.posts if post.id == id_at(10)]
    assert long.text == f"{STORY}https://example.org/starter"
    assert not long.html_escaped
    assert (long.likes, long.lang, long.created_at) == (2, "en", time_at(10))
    assert len(result.posts) == len(EVERYTHING) + 1


def test_several_notes_in_one_second_find_their_posts(tmp_path: Path) -> None:
    """A thread that was posted at once."""
    rng = random.Random(0)
    stories = [f"{text} {STORY}" for text in invented_posts(6)]
    tweets = [tweet(10 + n / 1000, short(text)) for n, text in enumerate(stories)]
    notes = [note(10 + n / 1000, text) for n, text in enumerate(stories)]
    rng.shuffle(notes)
    result = read(Archive(tweets, notes=notes).zip(tmp_path / "a.zip"))
    assert {post.id: post.text for post in result.posts} == {
        id_at(10 + n / 1000): text for n, text in enumerate(stories)
    }


def test_the_nearest_of_two_notes_that_begin_alike_is_taken(tmp_path: Path) -> None:
    tweets = [tweet(10, short(STORY)), tweet(30, short(STORY))]
    notes = [note(30, f"{STORY} second"), note(10, f"{STORY} first")]
    assert read(Archive(tweets, notes=notes).zip(tmp_path / "a.zip")).texts == [f"{STORY} first", f"{STORY} second"]


@pytest.mark.parametrize(
    ("minute", "text"),
    [(10, "Quite another beginning. " + STORY), (10 + 61, STORY), (10 + 60 * 24, STORY)],
)
def test_a_note_with_another_beginning_or_of_another_time_is_a_post_of_its_own(
    tmp_path: Path, minute: float, text: str
) -> None:
    result = read(Archive([tweet(10, short(STORY))], notes=[note(minute, text)]).zip(tmp_path / "a.zip"))
    assert sorted(result.texts) == sorted([short(STORY), text])
    (own,) = [post for post in result.posts if post.text == text]
    assert own.id == str(int(id_at(minute)) - 4_000_000)
    assert not own.html_escaped


def test_a_short_post_that_a_later_note_happens_to_begin_with_keeps_its_words(tmp_path: Path) -> None:
    daily = "This is my daily reminder to drink water"
    tweets = [tweet(10, daily), tweet(20, short(f"{daily}, because {STORY}"))]
    result = read(Archive(tweets, notes=[note(20, f"{daily}, because {STORY}")]).zip(tmp_path / "a.zip"))
    assert result.texts == [daily, f"{daily}, because {STORY}"]


@pytest.mark.parametrize("ending", ["", f" {PHOTO}"])
def test_bold_words_make_a_note_of_a_short_post(tmp_path: Path, ending: str) -> None:
    path = Archive([tweet(10, f"fresh &amp; hot{ending}")], notes=[note(10, "fresh & hot")]).zip(tmp_path / "a.zip")
    assert [(post.id, post.text) for post in read(path).posts] == [(id_at(10), "fresh & hot")]


def test_a_note_of_a_reply_is_found_with_and_without_the_names_it_begins_with(tmp_path: Path) -> None:
    for text in (STORY, f"@someone_else {STORY}"):
        reply = tweet(10, short(f"@someone_else {STORY}"), reply_to=("77", "someone_else"))
        (post,) = read(Archive([reply], notes=[note(10, text)]).zip(tmp_path / "a.zip")).posts
        assert (post.text, post.kind) == (text, "reply")


@pytest.mark.parametrize("where", ["tweetId", "lifecycle"])
def test_a_note_that_names_its_post_is_believed(tmp_path: Path, where: str) -> None:
    named = note(500, f"other words entirely. {STORY}")
    named |= {"tweetId": id_at(10)} if where == "tweetId" else {"lifecycle": {"initialTweetId": id_at(10)}}
    named |= {"noteTweetResults": {"text": named["core"]["text"]}, "core": {}}
    (post,) = read(Archive([tweet(10, short(STORY))], notes=[named]).zip(tmp_path / "a.zip")).posts
    assert (post.id, post.text) == (id_at(10), f"other words entirely. {STORY}")


def test_each_version_of_an_edited_long_post_has_its_note_and_none_is_left(tmp_path: Path) -> None:
    versions = edited(10, short(f"{STORY} frist"), short(f"{STORY} first"))
    for changes in ({}, {"lifecycle": {"initialTweetId": id_at(10)}}):
        notes = [note(10, f"{STORY} frist", **changes), note(11, f"{STORY} first", **changes)]
        result = read(Archive(versions, notes=notes).zip(tmp_path / "a.zip"))
        assert [(post.id, post.text) for post in result.posts] == [(id_at(11), f"{STORY} first")]


def test_a_note_in_two_parts_of_an_archive_is_one(tmp_path: Path) -> None:
    archive = Archive([tweet(10, short(STORY))], notes=[note(10, STORY), note(70, f"Alone. {STORY}")])
    one, two = archive.zip(tmp_path / "one.zip"), archive.zip(tmp_path / "two.zip")
    assert read_together(one, two).texts == [STORY, f"Alone. {STORY}"]


def test_a_link_to_the_long_post_itself_makes_no_quote(tmp_path: Path) -> None:
    own = "https://t.co/zzzzzzzzzz"
    for address in (
        f"https://twitter.com/i/web/status/{id_at(10)}",
        f"https://x.com/invented_bakery/status/{id_at(10)}",
    ):
        path = Archive([tweet(10, short(STORY), links={own: address})], notes=[note(10, STORY)]).zip(tmp_path / "a.zip")
        (post,) = read(path).posts
        assert (post.text, post.kind) == (STORY, "original")


def test_notes_beyond_what_fits_into_memory_leave_the_short_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x_notes, "MOST_CHARACTERS", 3 * (len(STORY) + x_notes.NOTE_CHARACTERS))
    tweets = [tweet(minute, short(f"{minute} {STORY}")) for minute in range(9)]
    notes = [note(minute, f"{minute} {STORY}"[: len(STORY)]) for minute in range(9)]
    result = read(Archive(tweets, notes=notes).zip(tmp_path / "a.zip"))
    assert [post.html_escaped for post in result.posts] == [False] * 3 + [True] * 6
    assert result.losses == {UNREAD_NOTES: 6}


@pytest.mark.parametrize(
    "damaged", [{}, [], 7, None, {"noteTweet": 3}, {"noteTweet": {"core": {"text": 9}}}, {"noteTweet": {"core": []}}]
)
def test_notes_of_another_shape_are_passed_over(tmp_path: Path, damaged: object) -> None:
    members = Archive(EVERYTHING).members() | {"data/note-tweet.js": script("YTD.note_tweet.part0", [damaged])}
    assert read(write_zip(tmp_path / "a.zip", members)).posts == expected()


# --- several parts ---


def test_several_zips_of_one_archive_are_one(tmp_path: Path) -> None:
    for files, count in ((3, 3), (2, 2), (4, 2)):
        folder = tmp_path / f"{files}-{count}"
        zips = Archive(EVERYTHING, files=files).zips(folder, count)
        (folder / "notes.txt").write_text("not a part")
        for result in (read_together(*zips), read_together(*reversed(zips)), read(folder)):
            assert result.posts == expected()
            assert not result.losses
            assert result.account.handle == "invented_bakery"


def test_a_bot_of_several_zips_can_be_updated_from_what_it_keeps(tmp_path: Path) -> None:
    zips = Archive(EVERYTHING, files=2).zips(tmp_path / "parts", 2)
    (source,) = sources_of(zips, ImportSettings())
    again = recognise(source.spec, ImportSettings())
    assert again.fingerprint() == source.fingerprint()
    assert Result(again).posts == expected()


def test_the_same_posts_twice_are_taken_once_and_counted(tmp_path: Path) -> None:
    one = Archive(EVERYTHING).zip(tmp_path / "one.zip")
    two = Archive([*EVERYTHING[2:], tweet(50, "new since then")], community=EVERYTHING[:1]).zip(tmp_path / "two.zip")
    result = read_together(one, two)
    assert [post for post in result.posts if post.text != "new since then"] == expected()
    assert len(result.posts) == len(EVERYTHING) + 1
    assert result.losses == {SAME_POSTS: 6}


def test_an_account_that_was_renamed_between_two_exports_is_one(tmp_path: Path) -> None:
    later = {"archiveInfo": {"generationDate": "2026-01-01T00:00:00.000Z", "isPartialArchive": False}}
    old = Archive(EVERYTHING[:3]).zip(tmp_path / "old.zip")
    new = Archive(EVERYTHING, handle="bread", name="Bread", manifest_changes=later).zip(tmp_path / "new.zip")
    for order in ((old, new), (new, old)):
        result = read_together(*order)
        assert (result.account.handle, result.account.name) == ("bread", "Bread")
        assert len(result.posts) == len(EVERYTHING)


def test_two_accounts_are_never_mixed(tmp_path: Path) -> None:
    mine = Archive(EVERYTHING)
    yours = Archive([tweet(1.5, "somebody else's words")], handle="other", account_id="43")
    assert len(sources_of([mine.zip(tmp_path / "a.zip"), yours.zip(tmp_path / "b.zip")], ImportSettings())) == 2
    mixed = tmp_path / "mixed"
    mine.folder(mixed / "mine")
    yours.folder(mixed / "yours")
    for path in (tmp_path, mixed):
        with pytest.raises(UnreadableFile, match=r"several accounts: @invented_bakery, @other"):
            read(path)


def test_a_nameless_archive_with_files_of_the_same_names_is_not_a_part(tmp_path: Path) -> None:
    named = Archive(EVERYTHING).zip(tmp_path / "a.zip")
    nameless = Archive([tweet(1.5, "somebody else's words")], handle=None).zip(tmp_path / "carol.zip")
    handles = [source.handle for source in sources_of([nameless, named], ImportSettings())]
    assert sorted(handles) == ["carol", "invented_bakery"]


def test_a_name_given_for_all_parts_joins_those_that_have_none(tmp_path: Path) -> None:
    zips = Archive(EVERYTHING, files=2, handle=None).zips(tmp_path / "parts", 2)
    result = read_together(*zips, handle="invented_bakery")
    assert result.posts == expected()
    with pytest.raises(SettingsError, match="who one account is"):
        sources_of(zips, ImportSettings(display_name="Bakery"))


def test_a_part_that_holds_only_media_is_a_part(tmp_path: Path) -> None:
    path = Archive(EVERYTHING).zip(tmp_path / "a.zip")
    media = write_zip(tmp_path / "media.zip", {"data/tweets_media/1-a.jpg": b"\xff\xd8\xff"})
    assert read_together(path, media).posts == expected()
    assert read(tmp_path).posts == expected()
    with pytest.raises(UnreadableFile, match="split into several zips"):
        read(media)


# --- what is missing ---


def test_parts_that_are_missing_are_said(tmp_path: Path) -> None:
    partial = {"archiveInfo": {"isPartialArchive": True}}
    zips = Archive(EVERYTHING, files=3, manifest_changes=partial).zips(tmp_path / "parts", 3)
    assert not read_together(*zips).losses
    result = read_together(*zips[:2])
    assert len(result.posts) == len(EVERYTHING) - 2
    assert result.losses == {MISSING_FILES: 1, MISSING: 2, OTHER_PARTS: 1}


def test_fewer_posts_than_promised_are_said(tmp_path: Path) -> None:
    for era, name in (("2022", "data/tweets.js"), ("grailbird", "data/js/tweets/2023_03.js")):
        members = Archive(EVERYTHING, era=era).members()
        fewer = Archive(EVERYTHING[:2], era=era).members()
        result = read(write_zip(tmp_path / "a.zip", members | {name: fewer[name]}))
        assert result.losses == {MISSING: 5 if era == "2022" else 4}


def cut(path: Path, fraction: float) -> Path:
    shorter = path.with_name(f"{path.stem}-{fraction}{path.suffix}")
    shorter.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    return shorter


def test_files_that_were_empty_anyway_are_not_missed(tmp_path: Path) -> None:
    members = Archive(EVERYTHING).members()
    repacked = {name: members[name] for name in ("data/tweets.js", "data/manifest.js")}
    result = read(write_zip(tmp_path / "a.zip", repacked))
    assert result.posts == expected()
    assert not result.losses


MANY = [tweet(minute, text) for minute, text in enumerate(invented_posts(3000))]


@pytest.mark.parametrize("kind", ["deflated", "stored", "tar.gz", "tar", "folder"])
def test_a_download_that_broke_off_gives_what_is_there(tmp_path: Path, kind: str) -> None:
    members = dict(reversed(Archive(MANY, files=2).members().items()))  # the account comes before the posts
    if kind == "folder":
        whole = write_folder(tmp_path / "a", members)
        for name in ("tweets.js", "tweets-part1.js"):
            path = whole / "data" / name
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind.startswith("tar"):
        whole = cut(pack_tar(tmp_path / f"a.{kind}", members, "w:gz" if kind.endswith("gz") else "w:"), 0.9)
    else:
        compression = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        whole = cut(write_zip(tmp_path / "a.zip", members, compression), 0.7)
    result = read(whole)
    assert 300 < len(result.posts) < len(MANY)
    assert {post.id for post in result.posts} <= {one["id"] for one in MANY}
    assert result.losses[DAMAGED] >= 1
    assert (result.losses[CUT_SHORT] == 1) == (kind != "folder")


def test_a_broken_download_that_never_got_to_the_posts_says_so(tmp_path: Path) -> None:
    members = dict(reversed(Archive(EVERYTHING).members().items()))
    at = list(members).index("data/tweets.js")
    path = write_zip(tmp_path / "a.zip", dict(list(members.items())[:at]))
    with pytest.raises(UnreadableFile, match="cut short"):
        read(cut(path, 0.99))


def test_encrypted_media_do_not_matter_in_a_broken_download_either(tmp_path: Path) -> None:
    path = mark_encrypted(Archive(EVERYTHING).zip(tmp_path / "a.zip"), "data/tweets_media/1-AbCdEf.jpg")
    assert read(path).posts == expected()
    result = read(cut(path, 0.99))
    assert result.posts == expected()
    assert result.losses == {CUT_SHORT: 1}


def test_damage_inside_a_file_costs_the_post_it_is_in(tmp_path: Path) -> None:
    members = Archive(MANY[:300]).members()
    damaged = members["data/tweets.js"].replace(b'"retweeted" :', b'"retweeted" oops', 1)
    damaged = damaged.replace(MANY[150]["full_text"].encode() + b'"', b'unquoted" "', 1)
    result = read(write_zip(tmp_path / "a.zip", members | {"data/tweets.js": damaged}))
    assert len(result.posts) == 298
    assert result.losses == {DAMAGED: 2, MISSING: 2}


@pytest.mark.parametrize("era", ["2019", "grailbird"])
def test_damage_in_an_older_archive_ends_the_file_and_nothing_else_is_taken_for_posts(tmp_path: Path, era: str) -> None:
    """Elements do not begin alike there, so the next one cannot be told."""
    members = Archive(MANY[:170], era=era).members()
    (name,) = [name for name in members if "tweet.js" in name or "tweets/" in name]
    damaged = members[name].replace(MANY[150]["full_text"].encode() + b'"', b'unquoted" "', 1)
    result = read(write_zip(tmp_path / "a.zip", members | {name: damaged}))
    assert len(result.posts) == 150
    assert result.losses == {DAMAGED: 1, **({MISSING: 20} if era == "grailbird" else {})}


def test_one_file_that_is_no_json_does_not_cost_the_others(tmp_path: Path) -> None:
    members = Archive(EVERYTHING, files=2).members()
    result = read(write_zip(tmp_path / "a.zip", members | {"data/tweets-part1.js": b"window.YTD.tweets.part1 = {}"}))
    assert len(result.posts) == 4
    assert result.losses == {DAMAGED: 1, MISSING: 3}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (b"window.YTD.tweets.part0 = [ ]", "files of posts are empty"),
        (b"window.YTD.tweets.part0 = [ { tweet: { full_text: 'hi' } } ]", "double quotes"),
        (b"window.YTD.tweets.part0 = [", "end is missing"),
        (b"", "no list"),
        (b"\0" * 5000, "no list"),
        (b"window.YTD.tweets.part0 = [ " + b"[" * 200_000, "nested too deeply"),
    ],
)
def test_an_archive_without_posts_says_why(tmp_path: Path, script: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match="There are no posts") as error:
        read(write_zip(tmp_path / "a.zip", Archive([]).members() | {"data/tweets.js": script}))
    assert reason in error.value.why


def test_what_is_no_post_is_counted_and_the_counts_add_up(tmp_path: Path) -> None:
    odd: list[Any] = [7, "text", None, [], {}, {"tweet": 3}, {"tweet": {"full_text": 5}}, {"tweet": {"id_str": "1"}}]
    members = Archive(EVERYTHING).members()
    tweets = [{"tweet": one} for one in [*EVERYTHING, EVERYTHING[0], *edited(50, "lnog story", "long story")]]
    result = read(write_zip(tmp_path / "a.zip", members | {"data/tweets.js": script("YTD.tweets.part0", tweets + odd)}))
    assert len(result.posts) + sum(result.losses[what] for what in WHOLE_POSTS) == len(tweets) + len(odd)


def test_missing_keys_are_no_error(tmp_path: Path) -> None:
    bare = [{"full_text": "only words"}, {"full_text": "", "text": "older words"}, {"text": "with id", "id": 123}]
    bare += [{"full_text": "odd", "entities": 7, "created_at": [], "lang": {}, "favorite_count": "x", "edit_info": "y"}]
    bare += [{"full_text": "odder", "entities": {"urls": [7, {}, {"url": 3}], "media": {}}, "id_str": "not a number"}]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tweet.js").write_bytes(script("YTD.tweet.part0", bare))
    pages = list(recognise(str(tmp_path / "a"), ImportSettings()).pages())
    posts = [post for page in pages for post in page.posts]
    assert [post.text for post in posts] == ["only words", "older words", "with id", "odd", "odder"]
    assert [post.id for post in posts] == [None, None, "123", None, "not a number"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("full_text", "text", "id_str", "id", "created_at", "entities", "edit_info", "lang", "retweeted_status"),
    *("in_reply_to_user_id_str", "in_reply_to_screen_name", "favorite_count", "extended_tweet", "community_id"),
)
TWEETS = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(TWEETS, max_size=4), st.lists(st.dictionaries(st.sampled_from(["core", "noteTweetId"]), JSON), max_size=2)
)
def test_no_shape_of_a_post_is_worse_than_a_counted_loss(
    tmp_path_factory: pytest.TempPathFactory, tweets: list[Any], notes: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("a") / "tweets.js"
    path.write_bytes(script("YTD.tweets.part0", [{"tweet": one} for one in tweets]))
    path.with_name("note-tweet.js").write_bytes(script("YTD.note_tweet.part0", [{"noteTweet": one} for one in notes]))
    try:
        pages = list(recognise(str(path), ImportSettings()).pages())
    except UnreadableFile:
        assert not tweets
        assert not notes
        return
    losses = Counter({loss.what: loss.count for page in pages for loss in page.losses})
    posts = sum(len(page.posts) for page in pages)
    assert len(tweets) <= posts + sum(losses[what] for what in WHOLE_POSTS) <= len(tweets) + len(notes)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_damage_to_a_zip_does_worse_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("a")
    archive = Archive(EVERYTHING, notes=[note(1, "a note")]).zip(folder / "a.zip").read_bytes()
    at = data.draw(st.integers(0, len(archive) - 1))
    damaged = bytearray(archive)
    damaged[at : at + data.draw(st.integers(1, 8))] = data.draw(st.binary(min_size=0, max_size=8))
    path = folder / "b.zip"
    path.write_bytes(bytes(damaged))
    try:
        result = Result(recognise(str(path), ImportSettings()))
    except HuggingtweetsError:
        return
    assert len(result.posts) <= len(EVERYTHING) + 1 + 5


# --- as a source ---


def test_the_fingerprint_changes_with_the_posts_and_not_with_the_media(tmp_path: Path) -> None:
    members = Archive(EVERYTHING).members()

    def fingerprint(changes: dict[str, bytes], **settings: Any) -> str:
        path = write_zip(tmp_path / "a.zip", members | changes)
        return XArchive([path], ImportSettings(**settings)).fingerprint()

    first = fingerprint({})
    assert fingerprint({}) == first
    assert fingerprint({"data/tweets_media/2.mp4": b"more"}) == first
    assert fingerprint({"data/like.js": b"more"}) == first
    others = [
        fingerprint({"data/tweets.js": members["data/tweets.js"].replace(b"noon", b"nine")}),
        fingerprint({"data/tweets-part1.js": b"more"}),
        fingerprint({"data/account.js": b"more"}),
        fingerprint({}, handle="x"),
        fingerprint({}, display_name="x"),
    ]
    assert len({first, *others}) == 6


def test_the_fraction_grows_to_the_end(tmp_path: Path) -> None:
    fractions = read(Archive(MANY, files=2).zip(tmp_path / "a.zip")).fractions
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert 0.2 < fractions[1] < 0.5  # a thousand of three
    assert fractions[-1] == 1.0


def test_pages_begin_anew_each_time(tmp_path: Path) -> None:
    source = recognise(str(Archive(MANY).zip(tmp_path / "a.zip")), ImportSettings())
    next(iter(source.pages()))
    assert Result(source).posts == Result(source).posts
    assert len(Result(source).posts) == len(MANY)


@pytest.mark.parametrize("name", ["posts.csv", "posts.js", "empty.zip", "other.zip", "broken.zip", "folder"])
def test_other_things_are_no_archive(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        write_folder(path, {"src/tweet.ts": b"", "a.csv": b"text\nhi"})
    elif name == "other.zip":
        write_zip(
            path, {"tweets.csv": b"text\nhi", "data/tweet.json": b"[]", "my-tweets.js": b"", "tweets.js.bak": b""}
        )
    else:
        path.write_bytes(
            {"posts.csv": b"text\nhi", "posts.js": b"let x = 1", "empty.zip": b"PK\5\6" + bytes(18)}.get(
                name, b"PK\3\4"
            )
        )
    assert not is_x_archive(path)


def test_a_bot_has_its_posts_oldest_first_and_those_of_one_second_by_id(tmp_path: Path) -> None:
    thread = [tweet(7 + part / 1000, f"part {part} of a thread that was posted at once") for part in range(9)]
    random.Random(0).shuffle(thread)
    zips = Archive([*reversed(EVERYTHING), *thread], files=2).zips(tmp_path / "parts", 2)
    bot = BotDir(tmp_path / "bot")
    stages.fetch(bot, sources_of(zips, ImportSettings()), BotSettings(), silent)
    posts = list(read_posts(bot.posts))
    assert [post for post in posts if "thread" not in post.text] == expected()
    assert [post.text for post in posts[6:-1]] == sorted(one["full_text"] for one in thread)
    (account,) = json.loads(bot.accounts.read_text())
    assert (account["display_name"], account["bio"]) == ("Invented Bakery 🥐", "Bread & more.")
    assert (bot.avatars / account["avatar"]).read_bytes() == PNG


# --- memory ---

READ = """
import resource, sys
from huggingtweets.config import ImportSettings
from huggingtweets.sources.x import notes as x_notes
from huggingtweets.sources import recognise
posts = sum(len(page.posts) for page in recognise(sys.argv[1], ImportSettings()).pages())
print(posts, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    texts = invented_posts(400)

    def peak_kib(thousands: int) -> int:
        element = ",\n".join(
            json.dumps({"tweet": tweet(n, text)}).replace(id_at(n), f"{{}}{n:03}") for n, text in enumerate(texts)
        )
        parts = {}
        for part in range(2):
            blocks = (element.replace("{}", f"{1_000_000_000_000 + part * 500 + block}") for block in range(thousands))
            parts[f"data/tweets-part{part}.js"] = f"window.YTD.tweets.part{part} = [{','.join(blocks)}]".encode()
        path = write_zip(tmp_path / f"{thousands}.zip", parts)
        done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
        posts, kib = map(int, done.stdout.split())
        assert posts == 2 * 400 * thousands
        return kib

    assert peak_kib(20) < peak_kib(2) + 6_000


def test_edits_whose_ids_are_damaged_are_passed_over(tmp_path: Path) -> None:
    damaged = tweet(0, "A tpyo", edit_info={"initial": {"editTweetIds": ["no id", "of any kind, and long"]}})
    path = Archive([damaged, tweet(1, "Another")]).zip(tmp_path / "alice.zip")
    posts = [post for page in XArchive([path], ImportSettings()).pages() for post in page.posts]
    assert [post.text for post in posts] == ["A tpyo", "Another"]
