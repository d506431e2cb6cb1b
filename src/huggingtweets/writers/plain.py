"""transformers draws: any model, any device, exactly as its own text-generation pipeline does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from huggingtweets.bases import load_folder
from huggingtweets.batches import Separators, max_tokens_of, separators
from huggingtweets.config import SamplingSettings
from huggingtweets.devices import choose_device
from huggingtweets.writers.base import Order

_DRAWING = threading.Lock()  # one batch at a time: torch has one generator of chance for all threads


class PlainWriter:
    """Rows are handed out when their whole batch is drawn."""

    def __init__(self, model: Path, name: str = "") -> None:
        """Raises BaseModelError when the folder holds no model that can be loaded."""
        loaded, self.tokenizer = load_folder(model, name)
        self.model: Any = loaded.eval()  # transformers types `generate` for its own mixin only

    @property
    def start(self) -> int:
        return self._marks.start

    @property
    def has_prefix(self) -> bool:
        return self._marks.prefix is not None

    @property
    def context(self) -> int | None:
        return max_tokens_of(self.model)

    @cached_property
    def _marks(self) -> Separators:
        return separators(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
        return ids if text else []

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def draw(self, order: Order) -> Iterator[tuple[int, int]]:
        self.model.to(choose_device(order.device, order.threads).name)
        ids = torch.tensor([order.prompt], device=self.model.device)  # (1, T)
        for batch in order.batches:
            with _DRAWING, torch.no_grad():
                if order.seed is not None and not batch.start:
                    set_seed(order.seed)
                rows = self.model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    num_return_sequences=len(batch),
                    **sampling_options(order.sampling),
                )  # (n, T)
            for number, row in zip(batch, rows.tolist(), strict=True):
                yield from ((number, token) for token in row[len(order.prompt) :])


def sampling_options(sampling: SamplingSettings) -> dict[str, Any]:
    """As transformers names them."""
    return {
        "do_sample": True,
        "min_length": sampling.min_length,
        "max_length": sampling.max_length,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
