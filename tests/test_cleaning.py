"""The original's rules, and the documented ways in which ours differ."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huggingtweets.cleaning import clean, is_retweet, is_short, plain_words
from huggingtweets.config import DatasetSettings
from huggingtweets.posts import Post

OURS, ORIGINAL = DatasetSettings(), DatasetSettings.original()
LINES = DatasetSettings(keep_newlines=True)

ANY_TEXT = st.text() | st.lists(
    st.sampled_from(
        [
            "http://t.co/x",
            "https:",
            "https://a.b/c",
            " ",
            "\n",
            "&amp;",
            "&lt;",
            "&#39;",
            "@bob",
            "#tag",
            "word",
            "RT @bob: ",
        ]
    )
).map("".join)


def cleaned(text: str, settings: DatasetSettings = OURS) -> str:
    return clean(Post(text, "a"), settings)


def dropped(text: str, settings: DatasetSettings = OURS, **facts: object) -> str | None:
    post = Post(text, "a", **facts)  # type: ignore[arg-type]
    if is_retweet(post, settings):
        return "retweet"
    return "short" if is_short(clean(post, settings)) else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://t.co/a now", "see now"),
        ("https://t.co/a first", "first"),
        ("last http://t.co/b", "last"),
        ("two http://t.co/b https://t.co/c gone", "two gone"),
        ("no space:https://t.co/c after", "no space:after"),  # the space behind goes when none stands before
        ("line\nhttps://t.co/a\nline", "line line"),
        ("https: alone stays", "https: alone stays"),  # a link needs something after the colon
        ("many   spaces\t and\n\nlines ", "many spaces and lines"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("an emoji 👩‍🚀 stays whole", "an emoji 👩‍🚀 stays whole"),
    ],
)
def test_cleaning_follows_the_original(text: str, expected: str) -> None:
    assert cleaned(text, OURS) == expected
    assert cleaned(text, ORIGINAL) == expected


def test_every_entity_is_unescaped_once_and_the_original_knew_three() -> None:
    assert cleaned("it&#39;s &quot;new&quot; &amp;lt;") == """it's "new" &lt;"""
    assert cleaned("it&#39;s &quot;new&quot; &amp;lt;", ORIGINAL) == "it&#39;s &quot;new&quot; <"


def test_text_that_was_never_escaped_is_left_alone() -> None:
    assert clean(Post("write &amp; to get &", "a", html_escaped=False), OURS) == "write &amp; to get &"


def test_newlines_are_kept_on_request() -> None:
    assert cleaned("a  b \n\n\n\n c\r\nd https://t.co/x", LINES) == "a b\n\nc\nd"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one two three", None),
        ("one two", "short"),
        ("@bob @eve one two #tag", "short"),
        ("@bob one two three", None),
        ("one two http", "short"),  # a word that merely holds "http" counts as a link
        ("one two THREE#X", "short"),
        ("one two e@x.org", "short"),
        ("one two https://t.co/three", "short"),  # removed before the words are counted
        ("", "short"),
    ],
)
def test_a_post_needs_three_plain_words(text: str, reason: str | None) -> None:
    assert dropped(text) == dropped(text, ORIGINAL) == reason


def test_a_repost_is_a_retweet_however_short() -> None:
    assert dropped("RT", kind="repost") == dropped("RT", ORIGINAL, kind="repost") == "retweet"


@pytest.mark.parametrize(
    "text", ["RT @bob: so very true indeed", '"@fan: so very true" Thanks!', "“@fan so very true” yes"]
)
def test_handmade_retweets_are_other_peoples_words_and_the_original_kept_them(text: str) -> None:
    assert dropped(text) == "retweet"
    assert dropped(text, ORIGINAL) is None


@pytest.mark.parametrize("text", ["@bob: so very true indeed", "ART @bob: so very true", '"so true" said @bob to me'])
def test_a_mention_is_no_retweet(text: str) -> None:
    assert dropped(text) is None


WORDS = st.lists(st.sampled_from(["word", "https://t.co/x", "http://a.b", "#tag", "@bob", "👩‍🚀", "日本語"]))


@given(WORDS, st.sampled_from([" ", "  ", "\n", " \n"]))
def test_links_between_spaces_vanish_and_nothing_else_does(words: list[str], gap: str) -> None:
    expected = " ".join(word for word in words if not word.startswith("http"))
    assert cleaned(gap.join(words)) == expected


@given(ANY_TEXT)
def test_clean_text_is_one_line_of_single_spaces(text: str) -> None:
    once = cleaned(text)
    assert once == " ".join(once.split())


@given(st.text())
def test_escaped_and_plain_sources_give_the_same_text(text: str) -> None:
    plain = clean(Post(text, "a", html_escaped=False), OURS)
    assert cleaned(html.escape(text)) == plain


@given(ANY_TEXT, st.sampled_from([OURS, ORIGINAL, LINES]))
def test_a_post_is_kept_exactly_when_it_has_three_plain_words(text: str, settings: DatasetSettings) -> None:
    reason = dropped(text, settings)
    if reason != "retweet":
        assert (reason is None) == (plain_words(cleaned(text, settings)) >= 3)


def test_an_escape_of_thousands_of_digits_is_one_unknown_character() -> None:
    assert clean(Post(f"so many &#{'9' * 5_000}; here", "a"), DatasetSettings()) == "so many � here"
