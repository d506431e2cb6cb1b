"""What every writer is: prompt ids in, tokens of `n` rows out, as they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from huggingtweets.config import SamplingSettings

TOP_K = 50  # what transformers samples with where a folder doesn't say
BATCH_SEQUENCES = 32  # drawn side by side; bounds memory


@dataclass(frozen=True)
class Order:
    """What is to be drawn."""

    prompt: Sequence[int]  # the separator first
    n: int
    sampling: SamplingSettings  # its lengths count the whole prompt
    seed: int | None = None
    device: str | None = None
    threads: int | None = None

    @property
    def batches(self) -> list[range]:
        """
        >>> Order([0], 40, SamplingSettings()).batches
        [range(0, 32), range(32, 40)]
        """
        return [range(first, min(first + BATCH_SEQUENCES, self.n)) for first in range(0, self.n, BATCH_SEQUENCES)]


class Writer(Protocol):
    """A model that draws, and the tokenizer it understands."""

    @property
    def start(self) -> int:
        """The token in front of every post."""

    @property
    def has_prefix(self) -> bool:
        """Whether a pipeline of transformers puts `start` there as text, and counts it on top of the lengths."""

    @property
    def context(self) -> int | None:
        """The longest text the model can read, in tokens; None where there is no limit."""

    def encode(self, text: str) -> list[int]:
        """A text's tokens alone; one that spells out a special token stays text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Without the special tokens."""

    def draw(self, order: Order) -> Iterator[tuple[int, int]]:
        """(row, token) in the order they are drawn, the tokens that end a row perhaps among them."""
