"""Counts that add up, splits that don't leak, voices of equal weight."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import invented_posts
from huggingtweets.config import DatasetSettings
from huggingtweets.dataset import (
    NearDuplicates,
    Text,
    build_dataset,
    curate,
    detect_languages,
    epoch,
    joined_length,
    split,
)
from huggingtweets.errors import TooLittleText
from huggingtweets.posts import Post


def posts(count: int = 300, account: str = "rover", seed: int = 0) -> list[Post]:
    return [Post(text, account, id=str(number)) for number, text in enumerate(invented_posts(count, seed))]


post = st.builds(
    Post,
    text=st.sampled_from(["one two three", "one two", "RT @bob: one two three", "one two three four", "a b c"])
    | st.text(),
    account=st.sampled_from(["a", "b"]),
    id=st.none() | st.sampled_from(["1", "2", "3"]),
    kind=st.sampled_from(["original", "reply", "repost"]),
)


@given(st.lists(post), st.sampled_from([DatasetSettings(), DatasetSettings.original()]))
def test_every_post_is_counted_exactly_once(some: list[Post], rules: DatasetSettings) -> None:
    curated = curate(some, rules)
    kept, counts = curated.kept, curated.counts
    for account, downloaded in Counter(p.account for p in some).items():
        assert counts[account].downloaded == downloaded
        assert counts[account].kept == len(kept[account])


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


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
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
    train, holdout, set_aside = split(kept, DatasetSettings())
    assert len(train) + len(holdout) + set_aside == len(kept["rover"])
    assert not {t.text for t in train} & {t.text for t in holdout}


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
    assert next(iter(detect_languages([f"{sentence} {n}" for n in range(20)], seed=0))) == language
