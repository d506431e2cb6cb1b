"""Scores against formulas and cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import invented_posts
from huggingtweets.bases import load_folder
from huggingtweets.batches import separators
from huggingtweets.copies import copied_run, find_copies, words_of
from huggingtweets.devices import Device
from huggingtweets.evaluation import copying, distinct, score_held_out

CPU = Device("cpu", "float32", 1)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"


def test_bits_per_byte_is_the_text_alone_after_one_separator(tiny_base: Path) -> None:
    model, tokenizer = load_folder(tiny_base)
    marks = separators(tokenizer)
    texts = [*invented_posts(5), "日本語のつぶやき 👩‍🚀"]
    scores = score_held_out(model, tokenizer, texts, CPU)
    nats, ends, tokens = 0.0, 0.0, 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        with torch.no_grad():
            logs = model(torch.tensor([[marks.start, *ids]])).logits[0].double().log_softmax(-1)
        nats -= sum(logs[place, token].item() for place, token in enumerate(ids))
        ends -= logs[len(ids), marks.end].item()
        tokens += len(ids)
    assert scores.bits_per_byte == pytest.approx(nats / math.log(2) / len("".join(texts).encode()), rel=1e-5)
    assert scores.nats_per_token == pytest.approx(nats / tokens, rel=1e-5)
    assert scores.nats_per_end == pytest.approx(ends / len(texts), rel=1e-5)
    assert (scores.posts, scores.tokens) == (len(texts), tokens)


def test_a_post_longer_than_the_context_is_scored_on_what_fits(tiny_gpt2: Path) -> None:
    model, tokenizer = load_folder(tiny_gpt2)
    scores = score_held_out(model, tokenizer, ["day " * 900], CPU)
    assert scores.tokens == 256 - 2
    assert 0 < scores.bytes < 900 * 4
    assert 0 < scores.bits_per_byte < 20


@pytest.mark.parametrize(("words", "run"), [(3, 3), (10, 8), (20, 15), (21, 16), (22, 16), (100, 16)])
def test_more_than_seventy_percent_or_fifteen_words_in_a_row_are_a_copy(words: int, run: int) -> None:
    assert copied_run(words) == run


def test_a_run_of_sixteen_words_copies_and_fifteen_do_not() -> None:
    words = LONG.split()
    rest = " and then entirely different words follow here so that the text is long enough to allow it"
    sixteen, fifteen = " ".join(words[:16]) + rest, " ".join(words[:15]) + rest
    assert find_copies([sixteen, fifteen], [LONG]) == [LONG, None]


def test_case_punctuation_and_spacing_do_not_hide_a_copy() -> None:
    assert find_copies(["MY dream, is  to fly!"], ["My dream is to fly."]) == ["My dream is to fly."]


def test_scripts_without_spaces_are_compared_sign_by_sign() -> None:
    assert words_of("今日は test") == ["今", "日", "は", "test"]
    assert find_copies(["今日は天気がいいです"], ["今日は天気がいいですね"]) == ["今日は天気がいいですね"]
    assert find_copies(["今日は天気がいいです"], ["明日は雨が降るでしょう"]) == [None]


def test_of_several_posts_the_one_with_the_most_in_common_is_shown() -> None:
    posts = ["one two three four five six seven eight or so", LONG]
    assert find_copies([LONG], posts) == [LONG]


def test_a_post_does_not_copy_itself_but_its_double() -> None:
    posts = ["a b c d e f", "g h i j k l", "a b c d e f"]
    assert find_copies(posts[:2], posts, own=[0, 1]) == ["a b c d e f", None]
    assert copying([None, "x"], posts, dict(enumerate(posts[:2]))).to_json() == {
        "share": 0.5,
        "predictions": 2,
        "own_share": 0.5,
        "own_posts": 2,
    }


@given(
    st.lists(st.text(alphabet="ab c", max_size=20), max_size=8),
    st.lists(st.text(alphabet="ab c", max_size=20), max_size=8),
)
def test_copies_are_what_a_search_of_every_run_finds(texts: list[str], posts: list[str]) -> None:
    def copies(text: str, post: str) -> bool:
        words, others = words_of(text), words_of(post)
        run = copied_run(len(words))
        runs = {tuple(others[i : i + run]) for i in range(len(others) - run + 1)}
        return any(tuple(words[i : i + run]) in runs for i in range(len(words) - run + 1))

    expected = [any(copies(text, post) for post in posts) for text in texts]
    assert [source is not None for source in find_copies(texts, posts)] == expected


@pytest.mark.parametrize(
    ("texts", "n", "share"),
    [(["a b c"], 1, 1.0), (["a a a a"], 1, 0.25), (["a b", "a b"], 2, 0.5), ([], 1, 0.0), (["a"], 2, 0.0)],
)
def test_distinct_n(texts: list[str], n: int, share: float) -> None:
    assert distinct(texts, n) == share
