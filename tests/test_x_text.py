"""The text of a post on X: links as they should be, whatever shape and places their entities have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huggingtweets.sources.x.posts import post_from_tweet
from huggingtweets.sources.x.text import MOST_LINKS, apply_links, links_of

LINK, SECOND, PHOTO = "https://t.co/aaaaaaaaaa", "https://t.co/bbbbbbbbbb", "https://t.co/cccccccccc"
PAGE = "https://example.org/map"
STATUS = "https://twitter.com/someone_else/status/1887000000000000008"
OWN = "1890000000000000003"


def entity(text: str, short: str, long: str | None, shape: str = "indices", numbers: type = str) -> dict[str, Any]:
    """One link in each of X's three shapes."""
    start, end = numbers(text.index(short)), numbers(text.index(short) + len(short))
    if shape == "indices":
        return {"url": short, "expanded_url": long, "indices": [start, end]}
    if shape == "start":
        return {"url": short, "expanded_url": long, "start": start, "end": end}
    return {"shortUrl": short, "expandedUrl": long, "fromIndex": start, "toIndex": end}


def applied(text: str, *urls: dict[str, Any], media: list[Any] | None = None, **changes: Any) -> tuple[str, bool]:
    return apply_links(text, links_of({"urls": list(urls)}, {"media": media or []}), **{"escaped": True, **changes})


@pytest.mark.parametrize("shape", ["indices", "start", "fromIndex"])
@pytest.mark.parametrize("numbers", [str, int])
def test_links_are_written_out_in_every_shape(shape: str, numbers: type) -> None:
    text = f"Bread 🥐 &amp; {LINK} and {SECOND}, too"
    links = [entity(text, LINK, PAGE, shape, numbers), entity(text, SECOND, f"{PAGE}?a=1&b=2", shape, numbers)]
    assert applied(text, *links) == (f"Bread 🥐 &amp; {PAGE} and {PAGE}?a=1&amp;b=2, too", False)
    assert applied(text, *reversed(links), escaped=False)[0].endswith(f"{PAGE}?a=1&b=2, too")


def test_the_address_behind_a_shortener_goes_first() -> None:
    link = entity(LINK, LINK, "https://bit.ly/x") | {"unwound_url": PAGE}
    assert applied(LINK, link) == (PAGE, False)


@pytest.mark.parametrize("places", [["0", "5"], ["90", "113"], ["-1", "x"], [], None, "0", [None, {}], [0], [1.5, 2]])
def test_a_place_that_does_not_hold_the_link_is_not_believed(places: object) -> None:
    assert (
        applied(f"Map: {LINK} here", {"url": LINK, "expanded_url": PAGE, "indices": places})[0] == f"Map: {PAGE} here"
    )


def test_a_link_that_was_cut_off_changes_nothing() -> None:
    assert applied("Map: https://t.co/aaa…", entity(LINK, LINK, PAGE)) == ("Map: https://t.co/aaa…", False)


def test_the_same_link_twice_is_written_out_twice() -> None:
    text = f"{LINK} again {LINK}"
    second = {"url": LINK, "expanded_url": PAGE, "indices": [text.rindex(LINK), len(text)]}
    assert applied(text, entity(text, LINK, PAGE), second)[0] == f"{PAGE} again {PAGE}"


@pytest.mark.parametrize(
    "address",
    [
        "https://twitter.com/a/status/1/photo/1",
        "https://x.com/a/status/1/video/2",
        "http://www.twitter.com/a/status/12/photo/4",
    ],
)
def test_pictures_and_films_go_and_leave_no_gap(address: str) -> None:
    for text, left in ((f"Look {PHOTO}", "Look"), (PHOTO, ""), (f"Look {PHOTO} here", "Look here")):
        assert applied(text, entity(text, PHOTO, address)) == (left, False)
        assert applied(text, media=[entity(text, PHOTO, None)]) == (left, False)
        assert applied(text, entity(text, PHOTO, None) | {"media_key": "3_1"}) == (left, False)


def test_several_pictures_share_one_link() -> None:
    text = f"Look {PHOTO}"
    photo = entity(text, PHOTO, None)
    assert applied(text, media=[photo, {**photo, "id_str": "2"}]) == ("Look", False)


@pytest.mark.parametrize(
    "address",
    [
        STATUS,
        "http://twitter.com/a/statuses/5",
        "https://mobile.twitter.com/a/status/5?s=20",
        "https://x.com/a/status/5/",
        "https://x.com/i/web/status/5",
    ],
)
def test_a_link_to_a_post_that_stands_last_is_a_quote(address: str) -> None:
    text = f"This, exactly {LINK}"
    assert applied(text, entity(text, LINK, address)) == ("This, exactly", True)
    with_photo = f"{text} {PHOTO}"
    photo = entity(with_photo, PHOTO, None)
    assert applied(with_photo, entity(with_photo, LINK, address), media=[photo]) == ("This, exactly", True)


def test_a_link_to_a_post_amid_the_words_is_a_link() -> None:
    text = f"See {LINK} for more"
    assert applied(text, entity(text, LINK, STATUS)) == (f"See {STATUS} for more", False)


def test_a_post_does_not_quote_itself() -> None:
    text = f"A long story… {LINK}"
    link = entity(text, LINK, f"https://twitter.com/i/web/status/{OWN}")
    assert applied(text, link, own_id=OWN) == ("A long story…", False)
    assert applied(text, link) == ("A long story…", True)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "not an address", "", None, 7, "https://x.y/" + "a" * 5000])
def test_what_is_no_address_is_not_written_out(address: Any) -> None:
    assert applied(f"Map {LINK}", entity(f"Map {LINK}", LINK, address)) == (f"Map {LINK}", False)


@pytest.mark.parametrize(
    "entities", [None, 7, [], {}, {"urls": 3}, {"urls": [7, {}, {"url": 3}], "media": {"url": LINK}}]
)
def test_entities_of_another_shape_are_passed_over(entities: object) -> None:
    assert links_of(entities) == []


def test_more_links_than_a_post_can_hold_are_not_looked_for() -> None:
    assert len(links_of({"urls": [{"url": f"https://t.co/{number}"} for number in range(100_000)]})) == MOST_LINKS


@given(
    st.text(max_size=60), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9), st.integers(-3, 70)), max_size=5)
)
def test_no_entities_break_a_text(text: str, links: list[tuple[str, str, int]]) -> None:
    urls = [{"url": short, "expanded_url": long, "indices": [at, at + len(short)]} for short, long, at in links]
    applied(text, *urls)


# --- tweets of v1.1, as twarc and archives have them ---


def post(**tweet: Any) -> Any:
    return post_from_tweet({"id_str": OWN, "full_text": "words", **tweet}, "invented_bakery", "42")


def test_the_extended_text_goes_before_the_cut_one() -> None:
    long = f"all of the words {LINK}"
    extended = {"full_text": long, "entities": {"urls": [entity(long, LINK, PAGE)]}}
    found = post(full_text=None, text="all of the wo…", truncated=True, extended_tweet=extended)
    assert found.text == f"all of the words {PAGE}"


@pytest.mark.parametrize(
    ("tweet", "kind", "self_reply"),
    [
        ({}, "original", False),
        (
            {"in_reply_to_status_id": None, "in_reply_to_user_id": None, "in_reply_to_screen_name": None},
            "original",
            False,
        ),
        ({"in_reply_to_screen_name": ""}, "original", False),
        ({"in_reply_to_user_id": 77}, "reply", False),
        ({"in_reply_to_user_id_str": "42"}, "reply", True),
        ({"in_reply_to_screen_name": "Invented_Bakery"}, "reply", True),
        ({"in_reply_to_status_id_str": "5"}, "reply", False),
        ({"is_quote_status": True}, "quote", False),
        ({"is_quote_status": True, "in_reply_to_user_id": 77}, "reply", False),
        ({"retweeted_status": {"id": 1}}, "repost", False),
        ({"retweeted": True}, "original", False),
        ({"full_text": "RT @someone_else: bakeries are"}, "repost", False),
        ({"full_text": "RT if you like bread"}, "original", False),
        ({"full_text": "As they say, RT @someone: yes"}, "original", False),
    ],
)
def test_what_kind_of_post_it_is(tweet: dict[str, Any], kind: str, self_reply: bool) -> None:
    found = post(**tweet)
    assert (found.kind, found.self_reply) == (kind, self_reply)


def test_the_name_that_x_has_for_the_account_tells_its_threads() -> None:
    tweet = {"id_str": "1", "full_text": "words", "in_reply_to_screen_name": "invented_bakery"}
    for own_name, self_reply in (("invented_bakery", True), (None, False)):
        found = post_from_tweet(tweet, "bread", None, own_name)
        assert found is not None
        assert found.self_reply is self_reply


def test_values_written_as_words_are_read() -> None:
    found = post(favorite_count="8", possibly_sensitive="true", lang="in", created_at="Thu Feb 13 07:30:00 +0000 2025")
    assert (found.likes, found.sensitive, found.lang) == (8, True, "id")
    assert found.created_at.isoformat() == "2025-02-13T07:30:00+00:00"
    assert post(favorite_count="many", lang="und").likes is None
    assert post(lang="zxx").lang is None


def test_a_post_without_a_time_has_the_one_its_id_tells() -> None:
    assert post(created_at="yesterday").created_at.year == 2025
    assert post(id_str="20", id=20).created_at is None


def test_mentions_at_the_beginning_stay_for_cleaning_to_decide() -> None:
    found = post(full_text="@a @b yes &lt;3", display_text_range=["6", "15"], in_reply_to_user_id="77")
    assert found.text == "@a @b yes &lt;3"
    assert found.html_escaped


def test_a_picture_alone_is_a_post_without_words() -> None:
    """Other ways to the same posts have it too, so the counts agree; cleaning drops it as short."""
    assert post(full_text=PHOTO, entities={"media": [entity(PHOTO, PHOTO, None)]}).text == ""


def test_half_an_emoji_and_nul_are_no_text() -> None:
    assert post(full_text="a\ud83d\0b").text == "a�b"
