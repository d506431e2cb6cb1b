"""What a person types: which source it is, that every source's spec leads back to it, and what it could have meant."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import Archive, tweet
from cars import repository
from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnknownSource, UnreadableFile
from huggingtweets.sources import KINDS, account_named, recognise
from huggingtweets.sources.base import Source


def spec_of(typed: str) -> str:
    return recognise(typed, ImportSettings()).spec


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_text(folder: Path) -> Path:
    path = folder / "alice.txt"
    path.write_text("one post\nand another\n")
    return path


def write_x_archive(folder: Path) -> Path:
    return Archive([tweet(1, "hello")]).zip(folder / "archive.zip")


def write_mastodon_archive(folder: Path) -> Path:
    path = folder / "mastodon"
    path.mkdir()
    note = {"type": "Note", "id": "https://social.example/users/bob/statuses/1", "content": "<p>hi</p>"}
    public = "https://www.w3.org/ns/activitystreams#Public"
    entry = {"type": "Create", "actor": "https://social.example/users/bob", "to": [public], "object": note}
    (path / "outbox.json").write_text(json.dumps({"type": "OrderedCollection", "orderedItems": [entry]}))
    return path


def write_repository(folder: Path) -> Path:
    path = folder / "alice.car"
    path.write_bytes(repository({"app.bsky.feed.post/3a": {"text": "hi"}}).to_bytes())
    return path


# --- which source it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "spec"),
    [
        ("@nasa", "x:nasa"),
        ("x:nasa", "x:nasa"),
        ("  @nasa\n", "x:nasa"),
        ("https://x.com/nasa/status/1", "x:nasa"),
        ("twitter.com/nasa?lang=en", "x:nasa"),
        ("https://mobile.twitter.com/nasa", "x:nasa"),
        ("nasa.bsky.social", "bluesky:nasa.bsky.social"),
        ("@NASA.bsky.social", "bluesky:nasa.bsky.social"),
        ("https://nasa.bsky.social/", "bluesky:nasa.bsky.social"),
        ("@nasa.gov", "bluesky:nasa.gov"),
        ("@bakery.example", "bluesky:bakery.example"),
        ("@alice.xn--bcher-kva.example.de", "bluesky:alice.xn--bcher-kva.example.de"),
        ("bluesky:alice.anything", "bluesky:alice.anything"),
        ("did:plc:abc123", "bluesky:did:plc:abc123"),
        ("@did:web:example.org", "bluesky:did:web:example.org"),
        ("at://did:plc:abc123/app.bsky.feed.post/3k", "bluesky:did:plc:abc123"),
        ("https://bsky.app/profile/alice.example/post/3k", "bluesky:alice.example"),
        ("@bob@social.example", "mastodon:bob@social.example"),
        ("bob@Social.Example", "mastodon:bob@social.example"),
        ("acct:bob@social.example", "mastodon:bob@social.example"),
        ("@bob@127.0.0.1:8080", "mastodon:bob@127.0.0.1:8080"),
        ("mastodon:bob@localhost:3000", "mastodon:bob@localhost:3000"),
        ("https://social.example/@bob", "mastodon:bob@social.example"),
        ("https://social.example/@bob/113900000000000003", "mastodon:bob@social.example"),
        ("https://social.example/@bob/with_replies?page=2#top", "mastodon:bob@social.example"),
        ("https://social.example/users/bob", "mastodon:bob@social.example"),
        ("https://social.example/@bob@other.example", "mastodon:bob@other.example"),
        ("https://social.example/@bob.rss", "mastodon:bob@social.example"),
        ("social.example/@bob", "mastodon:bob@social.example"),
        ("mastodon:https://social.example/@bob", "mastodon:bob@social.example"),
        ("mastodon:alice@gmail.com", "mastodon:alice@gmail.com"),
        ("hub:alice/posts", "hub:alice/posts"),
        ("hub:alice/posts/default@refs/convert/parquet:train+test", None),
        ("hf://datasets/alice/posts@v1.0", "hub:alice/posts@v1.0"),
        ("https://huggingface.co/datasets/alice/posts", "hub:alice/posts"),
        ("huggingface.co/datasets/alice/posts/viewer/default/train?row=3", "hub:alice/posts/default:train"),
        ("https://huggingface.co/datasets/alice/posts/tree/v1.0", "hub:alice/posts@v1.0"),
        ("-", "-"),
    ],
)
def test_what_is_typed_is_recognised(here: Path, typed: str, spec: str | None) -> None:
    assert spec_of(typed) == (spec or typed)


ACCOUNTS = ["x:nasa", "bluesky:alice.example", "bluesky:did:plc:abc123", "mastodon:bob@social.example:8443", "-"]
DATASETS = ["hub:alice/posts", "hub:alice/po.sts/con-fig@refs/convert/parquet:train+test", "hub:alice/posts:train"]
WRITERS = [write_text, write_x_archive, write_mastodon_archive, write_repository]


@pytest.mark.parametrize("spec", ACCOUNTS + DATASETS)
def test_the_spec_of_an_account_leads_back_to_it(here: Path, spec: str) -> None:
    source = recognise(spec, ImportSettings())
    again = recognise(source.spec, ImportSettings())
    assert source.spec == again.spec == spec
    assert type(source) is type(again)
    if spec != "-":
        assert source.fingerprint() == again.fingerprint()


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "folder", ["plain", "a | b", " spaces at the ends ", "two\nlines", "x:nasa", "@bob@social.example"]
)
def test_the_spec_of_what_lies_on_disk_leads_back_to_it(here: Path, write, folder: str) -> None:  # type: ignore[no-untyped-def]
    (here / folder).mkdir()
    path = write(here / folder)
    source = recognise(str(path), ImportSettings())
    again = recognise(source.spec, ImportSettings())
    assert (type(again), again.spec, again.fingerprint()) == (type(source), source.spec, source.fingerprint())
    assert not type(source).__name__.startswith("File") or write is write_text
    assert recognise(os.path.relpath(path), ImportSettings()).spec == source.spec


def test_the_parts_of_an_archive_are_one_spec(here: Path) -> None:
    (here / "a|b").mkdir()
    paths = [
        Archive([tweet(1, "hello")]).zip(here / "a|b" / "one.zip"),
        Archive([tweet(2, "more")]).zip(here / "two.zip"),
    ]
    source = recognise(f"archive:{'|'.join(map(str, paths))}", ImportSettings())
    assert source.spec == f"archive:{here}/a|b/one.zip|{here}/two.zip"
    with pytest.raises(UnknownSource, match=r"no file .*three\.zip"):
        recognise(f"archive:{paths[1]}|{here}/three.zip", ImportSettings())


def test_the_table_has_no_row_that_is_never_reached() -> None:
    examples = {
        "a file": "file:x",
        "an X archive": "archive:x",
        "a Mastodon archive": "mastodon-archive:x",
        "a Bluesky repository": "bluesky-repo:x",
        "standard input": "-",
        "a dataset on the Hugging Face Hub": "hub:a/b",
        "an account elsewhere": "instagram.com/x",
        "an e-mail address": "a@gmail.com",
        "an X account": "@nasa",
        "a Bluesky account": "did:plc:a",
        "a Mastodon account": "a@b.example",
    }
    reached = {
        next(kind.name for kind in KINDS if kind.pattern.fullmatch(typed)): name for name, typed in examples.items()
    }
    assert reached == {kind.name: kind.name for kind in KINDS}


# --- paths -------------------------------------------------------------------------------------------------------


def test_an_existing_path_goes_before_an_account_and_a_dash_is_always_the_pipe(here: Path) -> None:
    for name in ("@nasa", "nasa.bsky.social", "-"):
        (here / name).write_text("hello\n")
    assert spec_of("@nasa") == f"file:{here}/@nasa"
    assert spec_of("nasa.bsky.social") == f"file:{here}/nasa.bsky.social"
    assert spec_of("-") == "-"
    assert spec_of("./-") == f"file:{here}/-"


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders there")
def test_a_named_pipe_is_refused_rather_than_waited_for(here: Path) -> None:
    os.mkfifo(here / "pipe")
    with pytest.raises(UnreadableFile, match=r"device or a pipe(.|\n)*create - <"):
        recognise("pipe", ImportSettings())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error_that_says_so(here: Path) -> None:
    for name in ("a.js", "a.json", "a.csv", "a.car", "a.zip"):
        (here / name).write_text("[]")
        (here / name).chmod(0)
        with pytest.raises(SourceError, match="could not be read"):
            list(recognise(name, ImportSettings()).pages())


# --- what it could have meant ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nasa", r"@nasa \(on X\) or nasa\.bsky\.social \(on Bluesky\) or @nasa@SERVER \(on Mastodon\)"),
        ("NASA_Johnson", r"@NASA_Johnson \(on X\) or @NASA_Johnson@SERVER"),
        ("@averyveryverylongname", r"Did you mean averyveryverylongname\.bsky\.social"),
        ("nasa.gov", r"Did you mean @nasa\.gov \(on Bluesky\)"),
        ("www.nasa.gov", r"Did you mean @nasa\.gov \(on Bluesky\)"),
        (
            "@john.doe",
            r"@john\.doe@SERVER \(on Mastodon\) or @john_doe \(on X\) or @johndoe \(on X\) or bluesky:john\.doe",
        ),
        ("@bob@", r"lacks its server(.|\n)*@bob@SERVER, or @bob for the one on X"),
        ("bob@", "lacks its server"),
        ("@bob@mastodon", r"mastodon is no whole name(.|\n)*@bob@mastodon\.social"),
        ("mastodon:bob", "its server in its name"),
        ("mastodon:", "is no account on Mastodon"),
        ("bluesky:alice", r"pass bluesky:alice\.bsky\.social"),
        ("bluesky:", "is no whole name on Bluesky"),
        ("x:", "on X"),
        ("https://x.com/home", "on X"),
        ("alice@gmail.com", r"an e-mail address(.|\n)*@alice \(on X\)(.|\n)*mastodon:alice@gmail\.com"),
        ("mailto:alice@yahoo.co.uk", "an e-mail address"),
        ("Elon Musk", r"no account's name has spaces(.|\n)*@elonmusk"),
        ("@nasa @esa", "passed one by one(.|\n)*@nasa @esa without quotes"),
        ("@nasa,bob@social.example", "passed one by one"),
        ("twitter:nasa", "pass x:nasa"),
        ("bsky:alice.bsky.social", r"pass bluesky:alice\.bsky\.social"),
        ("mastdon:bob@social.example", "pass mastodon:bob@social.example"),
        ("reddit:someone", "These do: x:, bluesky:"),
        ("alice/posts", "Did you mean hub:alice/posts"),
        ("hub:posts", r"hub:OWNER/NAME(.|\n)*pass hub:OWNER/posts"),
        ("hub:../etc", "names no dataset"),
        ("https://huggingface.co/datasets/alice/posts/blob/main/a.csv", "one file of a dataset(.|\n)*hub:alice/posts"),
        ("https://huggingface.co/alice/model", "no address of an account"),
        ("https://example.org/about", "no address of an account"),
        ("https://x.com/", "no address of an account"),
        ("ftp://example.org/posts.csv", "no address of an account"),
        ("C:\\data\\posts.csv", "There is no file"),
        ("a b c.csv", "There is no file a b c.csv"),
        ("nowhere/at/all.csv", "There is no file"),
        ("", "No source was named"),
        (" ", "No source was named"),
        ("file:", "No source was named"),
        ("@", "There is no file @"),
        ("#nasa", "There is no file"),
    ],
)
def test_a_wrong_name_says_what_it_could_have_meant(here: Path, typed: str, said: str) -> None:
    with pytest.raises(UnknownSource, match=said):
        spec_of(typed)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("https://www.threads.net/@zuck", "Threads"),
        ("@zuck@threads.net", "Threads"),
        ("instagram.com/someone", "Instagram"),
        ("https://m.facebook.com/someone", "Facebook"),
        ("https://www.linkedin.com/in/someone", "LinkedIn"),
        ("https://old.reddit.com/u/someone", "Reddit"),
        ("u/someone", "Reddit"),
        ("https://www.tiktok.com/@someone", "TikTok"),
        ("https://www.youtube.com/@someone", "YouTube"),
        ("someone.tumblr.com", "Tumblr"),
    ],
)
def test_networks_that_answer_nobody_are_told_how_their_posts_come_as_a_file(here: Path, typed: str, name: str) -> None:
    with pytest.raises(UnknownSource, match=rf"is on {name}(.|\n)*a copy(.|\n)*pass that file"):
        spec_of(typed)


def test_a_slip_in_a_files_name_is_told_before_any_account(here: Path) -> None:
    (here / "rover.csv").write_text("text\nhi\n")
    for typed in ("rovr.csv", "rover.cvs", "rover", "ROVER.CSV.gz"):
        with pytest.raises(UnknownSource, match=r"Did you mean rover\.csv"):
            spec_of(typed)


@settings(max_examples=300, deadline=None)
@given(typed=st.text(max_size=40) | st.text("@.:/-|abx0 \n", max_size=20))
def test_nothing_that_is_typed_does_worse_than_an_error(typed: str) -> None:
    try:
        source: Source = recognise(typed, ImportSettings())
    except SourceError:
        return
    assert source.spec == "-" or recognise(source.spec, ImportSettings()).spec == source.spec


@pytest.mark.parametrize(
    "typed",
    [
        "@Bob@social.example",
        "https://social.example/@bob",
        "mastodon:bob@social.example",
        "https://social.example/@Bob/1",
    ],
)
def test_an_account_is_known_by_one_name_in_every_spelling(typed: str) -> None:
    assert account_named(typed) == "bob@social.example"
