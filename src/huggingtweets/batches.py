"""Posts to token ids to batches: the one place that knows about separators.

A post is `[start] tokens [end]`. The model reads `[start] tokens` and predicts `tokens [end]`, so every position
teaches something. Two layouts give the same loss:

- *packed*: posts side by side in one row, positions counted anew for each. transformers then keeps the posts from
  attending to each other, but only when no attention mask is passed. Nothing is wasted, so this is the choice
  wherever the model honours it, which `honours_packing` finds out by trying.
- *padded*: one post a row, padding masked and without a share in the loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from huggingtweets.errors import BaseModelError

IGNORED = -100  # torch's cross_entropy skips this target
_DOCUMENT_SEPARATOR = "<|endoftext|>"  # GPT-2's, and what SmolLM2, Qwen and Pythia saw between documents


@dataclass(frozen=True)
class Separators:
    """What stands before and after a post."""

    start: int
    end: int
    prefix: str | None  # the text a pipeline must put before a prompt; None: the tokenizer adds `start` itself


def separators(tokenizer: PreTrainedTokenizerBase) -> Separators:
    """The separator between documents that the base was pre-trained with, wherever it has one.

    Raises BaseModelError for a tokenizer without any token to end a text.
    """
    added = tokenizer("").input_ids
    if added and added[0] == tokenizer.bos_token_id and tokenizer.eos_token_id is not None:
        return Separators(added[0], tokenizer.eos_token_id, prefix=None)
    known = tokenizer.get_vocab().get(_DOCUMENT_SEPARATOR)
    if known is not None:
        return Separators(known, known, _DOCUMENT_SEPARATOR)
    if tokenizer.eos_token_id is None:
        raise BaseModelError(
            "This base's tokenizer has no token that ends a text.", next="choose another --base, such as gpt2"
        )
    return Separators(tokenizer.eos_token_id, tokenizer.eos_token_id, tokenizer.eos_token)


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[list[int]]:
    """`[start] tokens [end]` for each text; `max_tokens` counts the separators, and a longer post is cut.

    A post that spells out a special token is split into plain pieces, so that it can't end itself.
    """
    if not texts:
        return []
    marks = separators(tokenizer)
    pieces = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True).input_ids
    return [[marks.start, *ids[: max_tokens - 2], marks.end] for ids in pieces]


def group(posts: Iterable[list[int]], tokens_per_step: int) -> Iterator[list[list[int]]]:
    """Consecutive posts, as many as fit into `tokens_per_step` trained tokens, at least one.

    >>> [len(posts) for posts in group([[0, 5, 0], [0, 5, 6, 0], [0, 7, 0]], tokens_per_step=5)]
    [2, 1]
    """
    gathered: list[list[int]] = []
    size = 0
    for post in posts:
        if gathered and size + len(post) - 1 > tokens_per_step:
            yield gathered
            gathered, size = [], 0
        gathered.append(post)
        size += len(post) - 1
    if gathered:
        yield gathered


@dataclass(frozen=True)
class Batch:
    """What one forward pass reads and predicts. B is 1 when packed, the number of posts when padded."""

    ids: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64, IGNORED where there is only padding
    positions: Tensor | None  # (B, T) int64, packed only
    mask: Tensor | None  # (B, T) int64, padded only

    @property
    def tokens(self) -> int:
        """How many tokens are predicted."""
        return int((self.targets != IGNORED).sum())


def pack(posts: Sequence[list[int]]) -> Batch:
    """
    >>> pack([[0, 5, 0], [0, 7, 8, 0]]).positions.tolist()
    [[0, 1, 0, 1, 2]]
    """
    ids = torch.tensor([[token for post in posts for token in post[:-1]]])  # (1, T)
    targets = torch.tensor([[token for post in posts for token in post[1:]]])  # (1, T)
    positions = torch.tensor([[place for post in posts for place in range(len(post) - 1)]])  # (1, T)
    return Batch(ids, targets, positions, None)


def filled(batch: Batch, length: int) -> Batch:
    """A packed batch of exactly `length` positions; those added see only themselves, and predict nothing.

    >>> longer = filled(pack([[0, 5, 0]]), 4)
    >>> longer.ids.tolist(), longer.targets.tolist(), longer.positions.tolist()
    ([[0, 5, 0, 0]], [[5, 0, -100, -100]], [[0, 1, 0, 0]])
    """
    assert batch.positions is not None
    missing = (0, length - batch.ids.shape[1])
    return Batch(
        F.pad(batch.ids, missing), F.pad(batch.targets, missing, value=IGNORED), F.pad(batch.positions, missing), None
    )


def pad(posts: Sequence[list[int]]) -> Batch:
    """
    >>> pad([[0, 5, 0], [0, 7, 8, 0]]).targets.tolist()
    [[5, 0, -100], [7, 8, 0]]
    """
    longest = max(map(len, posts)) - 1
    ids = torch.zeros(len(posts), longest, dtype=torch.long)  # (B, T)
    targets = torch.full((len(posts), longest), IGNORED)  # (B, T)
    mask = torch.zeros(len(posts), longest, dtype=torch.long)  # (B, T)
    for row, post in enumerate(posts):
        length = len(post) - 1
        ids[row, :length] = torch.tensor(post[:-1])
        targets[row, :length] = torch.tensor(post[1:])
        mask[row, :length] = 1
    return Batch(ids, targets, None, mask)


def token_losses(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Nats for each target, zero for padding: (B, T) float32."""
    ids = batch.ids.to(model.device)
    if batch.positions is not None:
        logits = model(input_ids=ids, position_ids=batch.positions.to(model.device), use_cache=False).logits
    else:
        mask = None if batch.mask is None else batch.mask.to(model.device)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits  # (B, T, V)
    targets = batch.targets.to(model.device)
    flat = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view_as(targets)


def losses_by_post(model: PreTrainedModel, posts: Sequence[list[int]], *, packed: bool) -> list[Tensor]:
    """Nats for each token of each post, its end last: a (T,) float32 tensor a post."""
    losses = token_losses(model, pack(posts) if packed else pad(posts))
    lengths = [len(post) - 1 for post in posts]
    if packed:
        return list(losses[0].split(lengths))
    return [row[:length] for row, length in zip(losses, lengths, strict=True)]


@torch.no_grad()
def honours_packing(model: PreTrainedModel) -> bool:
    """Whether posts packed into one row are as good as alone: tried on two posts of two tokens.

    Models that count positions in their own way, or keep a running state, do not.
    """
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    training = model.training
    model.eval()
    last = model.config.get_text_config().vocab_size - 1
    posts = [[0, last, last // 2, 0], [0, last // 3, last, 0]]
    together = token_losses(model, pack(posts)).flatten()
    alone = torch.cat([token_losses(model, pack([post])).flatten() for post in posts])
    model.train(training)
    return bool(torch.allclose(together, alone, atol=1e-3))


def max_tokens_of(model: PreTrainedModel) -> int | None:
    """The longest text the model can read, in tokens; None where there is no limit."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None
