"""Counts that add up, splits that don't leak, voices of equal weight."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import invented_posts
from huggingtweets.config import DatasetSettings
from huggingtweets.corpus import epoch
from huggingtweets.curation import DATES, LANGUAGES, LIKES, REPLIES, UNDATED, WARNED
from huggingtweets.dataset import (
    NearDuplicates,
    Text,
    build_dataset,
    curate,
    detect_languages,
    joined_length,
    split,
)
from huggingtweets.errors import TooLittleText
from huggingtweets.posts import Post


def posts(count: int = 300, account: str = "rover", seed: int = 0) -> list[Post]:
    return [Post(text, account, id=str(number)) for number, text in enumerate(invented_posts(count, seed))]


TEXTS = [
    "one two three",
    "one two",
    "RT @bob: one two three",
    "one two three four",
    "a b c",
    "@bob one two three",
    "ask me@example.org or +49 171 2345678 please",
    "Das Wetter ist heute herrlich und wir gehen lange spazieren",
]
IDS = st.none() | st.sampled_from(["1", "2", "3", "4"])
MOMENTS = st.none() | st.sampled_from([datetime(2020, month, 1, tzinfo=UTC) for month in (1, 6, 12)])
WARNINGS = st.sampled_from([None, None, " ", "food"])
post = st.builds(
    Post,
    text=st.sampled_from(TEXTS) | st.text(),
    account=st.sampled_from(["a", "b"]),
    id=IDS,
    created_at=MOMENTS,
    kind=st.sampled_from(["original", "reply", "quote", "repost"]),
    lang=st.sampled_from([None, "en", "de", "und"]),
    html_escaped=st.booleans(),
    likes=st.none() | st.integers(0, 3),
    reply_to=IDS,
    self_reply=st.booleans(),
    warning=WARNINGS,
)
rules = st.builds(
    DatasetSettings,
    unescape_all_html=st.booleans(),
    drop_duplicates=st.booleans(),
    drop_handmade_retweets=st.booleans(),
    keep_newlines=st.booleans(),
    replies=st.sampled_from(["keep", "strip", "drop"]),
    join_threads=st.booleans(),
    since=st.sampled_from([None, "2020-02-01"]),
    until=st.sampled_from([None, "2020-12-01"]),
    min_likes=st.none() | st.integers(0, 3),
    languages=st.sampled_from([None, ("en",), ("de", "en")]),
    content_warnings=st.sampled_from(["skip", "prepend", "omit"]),
    scrub=st.booleans(),
    mentions=st.sampled_from(["keep", "neutral"]),
)


@settings(deadline=None)  # the first example loads the languages
@given(st.lists(post), rules)
def test_every_post_is_counted_exactly_once(some: list[Post], rules: DatasetSettings) -> None:
    curated = curate(some, rules)
    kept, counts = curated.kept, curated.counts
    assert counts.keys() == kept.keys() == {p.account for p in some}
    for account, downloaded in Counter(p.account for p in some).items():
        count = counts[account]
        assert count.downloaded == downloaded == sum(count.dropped.values()) + count.kept
        assert count.kept == len(kept[account])
        assert all(posts > 0 for posts in count.left_out.values())
        assert min(count.retweets, count.short, count.duplicates, count.joined) >= 0
        assert str(count).startswith(f"downloaded {downloaded} = ")
    assert curated.scrubbed_posts <= sum(map(len, kept.values()))


@settings(deadline=None)  # the first example loads the languages
@given(st.lists(post), rules)
def test_what_is_off_leaves_no_trace(some: list[Post], rules: DatasetSettings) -> None:
    curated = curate(some, rules)
    found = {reason for count in curated.counts.values() for reason in count.left_out}
    dated = rules.since is not None or rules.until is not None
    on = {
        WARNED: rules.content_warnings == "skip",
        REPLIES: rules.replies == "drop",
        DATES: dated,
        UNDATED: dated,
        LIKES: rules.min_likes is not None,
        LANGUAGES: rules.languages is not None,
    }
    assert found <= {reason for reason, is_on in on.items() if is_on}
    assert rules.join_threads or all(count.joined == 0 for count in curated.counts.values())
    assert rules.scrub or curated.scrubbed_posts == 0
    assert rules.drop_duplicates or all(count.duplicates == 0 for count in curated.counts.values())


def as_the_original(some: Iterable[Post]) -> list[str]:
    """What the original huggingtweets kept of an account, written down from its own few lines."""
    kept = []
    for p in some:
        text = p.text
        if p.html_escaped:
            text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
        for scheme in ("http", "https"):
            for pattern in (rf" {scheme}:\S+", rf"{scheme}:\S+ ", rf"\n?{scheme}:\S+"):
                text = re.sub(pattern, "", text)
        text = " ".join(text.split())
        words = [word for word in text.lower().split() if not re.search("http|@|#", word)]
        if p.kind != "repost" and len(words) >= 3:
            kept.append(text)
    return kept


@settings(deadline=None)
@given(st.lists(post))
def test_the_original_s_settings_take_every_difference_back(some: list[Post]) -> None:
    kept = curate(some, DatasetSettings.original()).kept
    for account in {p.account for p in some}:
        expected = as_the_original(p for p in some if p.account == account)
        assert [text.text for text in kept[account]] == expected


@pytest.fixture(scope="module")
def nasa() -> list[Post]:
    from huggingtweets.pipeline import download

    return download(Path(__file__).parent.parent / "examples" / "nasa.csv")


def test_nasa_s_counts_are_the_original_s(nasa: list[Post]) -> None:
    curated = curate(nasa, DatasetSettings.original())
    assert str(curated.counts["nasa"]) == "downloaded 3200 = retweets 770 + short 3 + duplicates 0 + kept 2427"
    assert [text.text for text in curated.kept["nasa"]] == as_the_original(nasa)


def test_nasa_s_counts_by_default_and_what_each_choice_changes(nasa: list[Post]) -> None:
    def counts(**chosen: object) -> str:
        curated = curate(nasa, DatasetSettings(**chosen))  # type: ignore[arg-type]
        return f"{curated.counts['nasa']}, scrubbed {curated.scrubbed_posts}".removeprefix("downloaded 3200 = ")

    assert counts() == "retweets 770 + short 3 + duplicates 16 + kept 2411, scrubbed 1"
    assert counts(scrub=False) == "retweets 770 + short 3 + duplicates 16 + kept 2411, scrubbed 0"
    assert counts(replies="drop") == ("retweets 770 + replies 341 + short 1 + duplicates 16 + kept 2072, scrubbed 1")
    assert counts(since="2015-10-01", until="2015-11-01") == (
        "retweets 770 + outside the dates 2112 + short 0 + duplicates 1 + kept 317, scrubbed 0"
    )


def test_the_terminal_and_the_card_say_what_was_scrubbed_and_left_out() -> None:
    import dataclasses
    import io

    from rich.console import Console

    from huggingtweets.card_tables import _privacy_words
    from huggingtweets.terminal import counts_table

    some = [dataclasses.replace(p, text=f"{p.text} Ask me{n % 3}@example.org") for n, p in enumerate(posts(200))]
    report = build_dataset([*some, Post("one two three", "rover", likes=0, warning="food")]).report
    assert report.scrubbed_posts == report.counts["rover"].kept
    out = io.StringIO()
    Console(file=out, width=80).print(counts_table(report))
    assert "behind a warning" in out.getvalue()
    assert f"personal data removed from {report.scrubbed_posts} of the kept posts" in " ".join(out.getvalue().split())
    assert f"removed from {report.scrubbed_posts} of the kept posts" in _privacy_words(DatasetSettings(), 200)


@settings(deadline=None)
@given(st.lists(post))
def test_the_original_knows_no_duplicates(some: list[Post]) -> None:
    counts = curate(some, DatasetSettings.original()).counts
    assert all(count.duplicates == 0 for count in counts.values())


def test_same_text_or_same_id_is_a_duplicate_within_an_account_only() -> None:
    some = [
        Post("one two three", "a", "1"),
        Post("one  two three https://t.co/x", "a", "2"),
        Post("another one entirely", "a", "1"),
        Post("one two three", "b", "1"),
    ]
    counts = curate(some, DatasetSettings()).counts
    assert (counts["a"].kept, counts["a"].duplicates) == (1, 2)
    assert (counts["b"].kept, counts["b"].duplicates) == (1, 0)


def test_too_little_text_is_refused_with_the_counts() -> None:
    some = [*posts(20), *(Post("RT @x: words of others", "rover", kind="repost") for _ in range(5))]
    with pytest.raises(TooLittleText, match=r"@rover.*retweets 5 \+ short 0 \+ duplicates 0 \+ kept 20"):
        build_dataset(some)


@pytest.mark.parametrize(("characters", "refused"), [(5_999, True), (6_000, False)])
def test_the_thresholds_count_the_posts_joined_by_the_separator(characters: int, refused: bool) -> None:
    first = Post("a b " + "c" * 2_990, "a")
    length = len(first.text) + len("<|endoftext|>")
    second = Post("a b " + "d" * (characters - length - 4), "a")
    assert joined_length([Text("a", first.text), Text("a", second.text)]) == characters
    rules = DatasetSettings(holdout_fraction=0)
    if refused:
        with pytest.raises(TooLittleText):
            build_dataset([first, second], rules)
    else:
        assert "only 6,000 characters" in build_dataset([first, second], rules).report.warnings[0]


def test_no_posts_at_all_is_said() -> None:
    with pytest.raises(TooLittleText, match="no posts"):
        build_dataset([])


def test_a_tenth_is_held_out_and_the_rest_is_accounted_for() -> None:
    data = build_dataset(posts(500))
    report = data.report
    assert report.holdout_posts == len(data.holdout) == 50
    assert report.train_posts == len(data.train)
    assert report.train_posts + report.holdout_posts + report.set_aside_posts == report.counts["rover"].kept


def test_held_out_posts_are_bounded() -> None:
    assert len(build_dataset(posts(500), DatasetSettings(holdout_max_posts=7)).holdout) == 7


def test_nothing_held_out_is_possible() -> None:
    data = build_dataset(posts(), DatasetSettings(holdout_fraction=0))
    assert (len(data.holdout), len(data.train)) == (0, 300)


def test_neither_a_held_out_post_nor_its_near_duplicate_reaches_training() -> None:
    data = build_dataset(posts(600))
    held_out = NearDuplicates(text.text for text in data.holdout)
    assert data.report.set_aside_posts > 0
    assert not any(held_out.has(text.text) for text in data.train)


def test_near_duplicates_are_found_as_a_comparison_of_all_pairs_finds_them() -> None:
    texts = invented_posts(120)
    known, unknown = texts[:20], texts[20:]
    index = NearDuplicates(known)

    def pieces(text: str) -> set[str]:
        letters = "".join(c for c in text.casefold() if c.isalnum())
        return {letters[i : i + 5] for i in range(len(letters) - 4)}

    def similar(a: str, b: str) -> bool:
        return len(pieces(a) & pieces(b)) / len(pieces(a) | pieces(b)) >= 0.5

    found = [index.has(text) for text in unknown]
    assert found == [any(similar(text, other) for other in known) for text in unknown]
    assert 0 < sum(found) < len(found)


def test_posts_that_all_repeat_each_other_are_refused_with_a_way_out() -> None:
    some = [Post(f"Good morning to everyone out there, it is day {n}", "a", str(n)) for n in range(400)]
    with pytest.raises(TooLittleText, match="--holdout 0"):
        build_dataset(some)
    assert len(build_dataset(some, DatasetSettings(holdout_fraction=0)).train) == 400


def test_the_same_posts_in_any_order_hold_out_the_same() -> None:
    forward, backward = build_dataset(posts()), build_dataset(posts()[::-1])
    assert {t.text for t in forward.holdout} == {t.text for t in backward.holdout}


def test_another_seed_holds_out_others() -> None:
    first, second = build_dataset(posts()), build_dataset(posts(), DatasetSettings(seed=1))
    assert {t.text for t in first.holdout} != {t.text for t in second.holdout}


def test_more_posts_later_change_the_held_out_ones_little() -> None:
    before, after = build_dataset(posts(300)), build_dataset(posts(330))
    assert len({t.text for t in before.holdout} - {t.text for t in after.holdout}) <= 5


def test_several_accounts_are_each_held_out_from() -> None:
    data = build_dataset([*posts(300, "a"), *posts(200, "b", seed=1)])
    assert Counter(text.account for text in data.holdout) == {"a": 30, "b": 20}


def test_an_epoch_is_a_permutation_and_differs_from_the_next() -> None:
    train = [Text("a", text) for text in invented_posts(50)]
    first, again, second = epoch(train, 0, seed=0), epoch(train, 0, seed=0), epoch(train, 1, seed=0)
    assert sorted(first) == sorted(second) == sorted(text.text for text in train)
    assert first == again
    assert first != second


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_in_an_epoch_every_account_is_as_long_as_the_longest(first: int, second: int, seed: int) -> None:
    train = [Text("a", t) for t in invented_posts(first)] + [Text("b", t + "!") for t in invented_posts(second, 1)]
    order = epoch(train, 0, seed)
    lengths = [sum(len(t) for t in order if t.endswith("!") == is_b) for is_b in (False, True)]
    longest_text = max(len(text.text) for text in train)
    assert abs(lengths[0] - lengths[1]) < longest_text
    assert set(order) == {text.text for text in train}


def test_split_never_loses_or_doubles_a_post() -> None:
    kept = curate(posts(), DatasetSettings()).kept
    parts = split(kept, DatasetSettings())
    assert len(parts.train) + len(parts.holdout) + parts.set_aside == len(kept["rover"])
    assert not {t.text for t in parts.train} & {t.text for t in parts.holdout}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The weather is lovely today and we are going for a long walk"),
        ("fr", "Le temps est magnifique aujourd'hui et nous allons nous promener"),
        ("ja", "今日は天気がいいので散歩に行きます"),
        ("ar", "الطقس جميل اليوم وسوف نذهب في نزهة طويلة"),
        ("de", "Das Wetter ist heute herrlich und wir gehen lange spazieren"),
    ],
)
def test_the_main_language_is_found(language: str, sentence: str) -> None:
    assert next(iter(detect_languages([Text("a", f"{sentence} {n}") for n in range(20)], seed=0))) == language
