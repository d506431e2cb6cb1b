"""The corpus gives what encoding every epoch anew would give, and knows lengths without reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import invented_posts
from huggingtweets import corpus
from huggingtweets.bases import load_folder
from huggingtweets.batches import encode
from huggingtweets.corpus import Corpus, epoch
from huggingtweets.dataset import Text

MAX_TOKENS = 40  # some of the posts are longer
TEXTS = [
    *(Text("rover", text) for text in invented_posts(60)),
    *(Text("lander", f"{text} <|endoftext|></s> 🚀") for text in invented_posts(20, seed=1)),
]


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_every_epoch_is_the_one_that_is_encoded_anew(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    _, tokenizer = load_folder(tiny_base)
    monkeypatch.setattr(corpus, "ENCODED_AT_ONCE", at_once)
    posts = Corpus(iter(TEXTS), tokenizer, MAX_TOKENS, seed=3, folder=tmp_path)
    assert len(posts) == len(TEXTS)
    for number in range(3):
        expected = encode(epoch(TEXTS, number, seed=3), tokenizer, MAX_TOKENS)
        assert list(posts.posts_of_epoch(number)) == expected
        assert list(posts.lengths_of_epoch(number)) == [len(post) for post in expected]
    assert max(posts.lengths_of_epoch(0)) == MAX_TOKENS


def test_nothing_is_left_on_the_disk(tiny_gpt2: Path, tmp_path: Path) -> None:
    _, tokenizer = load_folder(tiny_gpt2)
    posts = Corpus(TEXTS, tokenizer, MAX_TOKENS, seed=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert posts[0] == encode([TEXTS[0].text], tokenizer, MAX_TOKENS)[0]
