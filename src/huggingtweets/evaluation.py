"""The scorecard: held-out bits per byte of base and bot, copying, variety.

- *Bits per byte* of the held-out posts' text, every post alone after one separator; the separators count neither as
  bits nor as bytes (nanochat's measure), so a base isn't blamed for not knowing where posts end. Comparable between
  bases with different tokens.
- *Copying*: the share of predictions that copy a training post (see `copies`). The account's own posts are held to the
  same measure against its other posts: people repeat themselves too.
- *distinct-n*: different runs of n words over all runs (Li et al. 2016), of the unprompted predictions.

Not covered: whether the predictions are true, funny or kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from huggingtweets.batches import encode, group, honours_packing, losses_by_post, max_tokens_of
from huggingtweets.copies import find_copies, runs_of, words_of
from huggingtweets.devices import Device
from huggingtweets.reports import Copying, HeldOut

TOKENS_PER_PASS = 1024


@torch.no_grad()
def score_held_out(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    device: Device,
    on_progress: Callable[[int], None] = lambda posts_done: None,
) -> HeldOut:
    """Scores `model` on at least one text, in evaluation mode, in float32 and with the full softmax."""
    model.to(device.name).eval()  # type: ignore[arg-type]
    limit = max_tokens_of(model) or TOKENS_PER_PASS
    posts = encode(texts, tokenizer, limit)
    size_bytes = sum(_size_bytes(text, ids, tokenizer, limit) for text, ids in zip(texts, posts, strict=True))
    packed = honours_packing(model)
    text_nats = end_nats = 0.0
    done = 0
    for some in group(posts, TOKENS_PER_PASS):
        losses = losses_by_post(model, some, packed=packed)
        text_nats += sum(post[:-1].double().sum().item() for post in losses)
        end_nats += sum(post[-1].item() for post in losses)
        done += len(some)
        on_progress(done)
    tokens = sum(len(post) - 2 for post in posts)
    return HeldOut(
        bits_per_byte=text_nats / math.log(2) / size_bytes,
        nats_per_token=text_nats / tokens,
        nats_per_end=end_nats / len(posts),
        posts=len(posts),
        bytes=size_bytes,
        tokens=tokens,
    )


def _size_bytes(text: str, ids: list[int], tokenizer: PreTrainedTokenizerBase, limit: int) -> int:
    """UTF-8 bytes of what was scored: the text, or the part of it that fits into the model's context."""
    if len(ids) < limit:
        return len(text.encode("utf-8", "replace"))
    return max(1, len(str(tokenizer.decode(ids[1:-1])).encode("utf-8", "replace")))


def copying(copies: Sequence[str | None], own_posts: Iterable[str], own_sample: Mapping[int, str]) -> Copying:
    """The share of predictions that copy, beside how often the account's own posts repeat one another.

    `own_sample` are some of the posts, under their places among them.
    """
    repeats = find_copies(list(own_sample.values()), own_posts, own=list(own_sample))
    return Copying(share=_share(copies), predictions=len(copies), own_share=_share(repeats), own_posts=len(own_sample))


def _share(found: Sequence[str | None]) -> float:
    return sum(source is not None for source in found) / max(1, len(found))


def distinct(texts: Sequence[str], n: int) -> float:
    """
    >>> distinct(["a b a b"], 2)
    0.6666666666666666
    """
    runs = [run for text in texts for run in runs_of(words_of(text), n)]
    return len(set(runs)) / max(1, len(runs))
