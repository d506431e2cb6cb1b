"""A post never sees another post, and no layout changes its loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import invented_posts
from huggingtweets.bases import load_folder
from huggingtweets.batches import (
    IGNORED,
    encode,
    group,
    honours_packing,
    losses_by_post,
    max_tokens_of,
    pack,
    pad,
    separators,
    token_losses,
)

encoded_post = st.lists(st.integers(1, 99), min_size=1, max_size=20).map(lambda ids: [0, *ids, 0])
encoded_posts = st.lists(encoded_post, min_size=1, max_size=12)


def test_gpt2_has_one_separator_and_llama_its_two(tiny_gpt2: Path, tiny_llama: Path) -> None:
    gpt2, llama = (separators(load_folder(folder)[1]) for folder in (tiny_gpt2, tiny_llama))
    assert (gpt2.start, gpt2.end, gpt2.prefix) == (0, 0, "<|endoftext|>")
    assert (llama.start, llama.end, llama.prefix) == (1, 2, None)


def test_a_post_stands_between_separators_and_reads_back(tiny_base: Path) -> None:
    _, tokenizer = load_folder(tiny_base)
    marks = separators(tokenizer)
    for text, ids in zip(TEXTS, encode(TEXTS, tokenizer, 256), strict=True):
        assert (ids[0], ids[-1]) == (marks.start, marks.end)
        assert tokenizer.decode(ids[1:-1]) == text


TEXTS = ["My dream is", "  two spaces", "日本語 👩‍🚀🏳️‍🌈 العربية", "line\nbreak", "a"]


@pytest.mark.parametrize("text", ["<|endoftext|>", "before <|endoftext|> after", "<s></s>", "</s>"])
def test_a_post_that_spells_out_a_separator_cannot_end_itself(tiny_base: Path, text: str) -> None:
    _, tokenizer = load_folder(tiny_base)
    marks = separators(tokenizer)
    (ids,) = encode([text], tokenizer, 256)
    assert not {marks.start, marks.end} & set(ids[1:-1])
    assert tokenizer.decode(ids[1:-1]) == text


def test_a_post_longer_than_the_limit_is_cut_and_still_ends(tiny_base: Path) -> None:
    _, tokenizer = load_folder(tiny_base)
    (ids,) = encode(["word " * 500], tokenizer, 64)
    assert len(ids) == 64
    assert ids[-1] == separators(tokenizer).end


@given(encoded_posts, st.integers(1, 60))
def test_grouping_keeps_every_post_in_order_and_within_the_limit(posts: list[list[int]], limit: int) -> None:
    groups = list(group(posts, limit))
    assert [post for some in groups for post in some] == posts
    for some in groups:
        assert len(some) == 1 or sum(len(post) - 1 for post in some) <= limit


@given(encoded_posts)
def test_packing_and_padding_hold_the_same_tokens(posts: list[list[int]]) -> None:
    packed, padded = pack(posts), pad(posts)
    kept = padded.targets != IGNORED
    assert packed.tokens == padded.tokens == sum(len(post) - 1 for post in posts)
    assert torch.equal(packed.ids[0], padded.ids[kept])
    assert torch.equal(packed.targets[0], padded.targets[kept])
    assert packed.positions is not None
    starts = (packed.positions[0] == 0).nonzero().flatten().tolist()
    assert len(starts) == len(posts)


@pytest.mark.parametrize("packed", [True, False])
def test_the_loss_of_a_batch_is_the_loss_of_its_posts_one_by_one(tiny_base: Path, packed: bool) -> None:
    model, tokenizer = load_folder(tiny_base)
    model.eval()
    posts = encode([*invented_posts(6), "short one here", TEXTS[2]], tokenizer, 256)
    assert len({len(post) for post in posts}) > 1
    with torch.no_grad():
        together = losses_by_post(model, posts, packed=packed)
        alone = [losses_by_post(model, [post], packed=packed)[0] for post in posts]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_both_layouts_give_the_same_gradient(tiny_base: Path) -> None:
    gradients = []
    for layout in (pack, pad):
        model, tokenizer = load_folder(tiny_base)
        model.eval()
        batch = layout(encode(invented_posts(5), tokenizer, 256))
        (token_losses(model, batch).sum() / batch.tokens).backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_loss_is_minus_the_log_probability_of_the_next_token(tiny_base: Path) -> None:
    model, tokenizer = load_folder(tiny_base)
    model.eval()
    (post,) = encode(["My dream is"], tokenizer, 256)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([post])).logits[0]
        expected = -logits.log_softmax(-1)[range(len(post) - 1), post[1:]]
        torch.testing.assert_close(losses_by_post(model, [post], packed=True)[0], expected)


def test_packing_is_used_only_where_the_model_honours_it(tiny_base: Path) -> None:
    model, _ = load_folder(tiny_base)
    assert honours_packing(model)
    model.forward = lambda input_ids, use_cache=False: None  # type: ignore[assignment,misc]
    assert not honours_packing(model)


def test_a_model_that_lets_packed_posts_see_each_other_is_found_out(tiny_gpt2: Path) -> None:
    model, _ = load_folder(tiny_gpt2)
    forward = type(model).forward

    def leaky(self, input_ids, position_ids=None, use_cache=False, **rest):  # type: ignore[no-untyped-def]
        mask = torch.ones_like(input_ids)  # the trap: an all-ones mask switches the borders off
        return forward(self, input_ids=input_ids, position_ids=position_ids, attention_mask=mask, use_cache=False)

    model.forward = leaky.__get__(model)  # type: ignore[method-assign]
    assert not honours_packing(model)


def test_the_context_of_a_model_is_known(tiny_base: Path) -> None:
    assert max_tokens_of(load_folder(tiny_base)[0]) == 256
