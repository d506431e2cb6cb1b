"""The bot's model, writing several posts side by side; what was written so far is handed out again and again.

The settings it samples with are the ones that the model was saved with.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteriaList

SHOW_EVERY_S = 0.25
ROOM_TOKENS = 40  # left to a start that is itself long: about one post


class TooLong(Exception):
    """The start fills all that the model reads."""


@dataclass(frozen=True)
class Voice:
    model: str  # its name on the Hub, or a folder
    keeps_newlines: bool = False
    replaced: Mapping[str, str] = field(default_factory=dict)  # patterns, such as names that nobody wants called

    @cached_property
    def loaded(self) -> tuple[Any, Any]:
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        model = AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32).eval()
        model.generation_config = GenerationConfig.from_pretrained(self.model)  # an adapter has its base's otherwise
        return model, tokenizer

    def write(
        self, start: str, n: int, temperature: float | None = None, seed: int | None = None
    ) -> Iterator[list[str]]:
        """`n` posts that begin with `start`, as far as they have come, until they are done."""
        model, tokenizer = self.loaded
        pieces = tokenizer(start, add_special_tokens=False, split_special_tokens=True).input_ids if start else []
        ids = torch.tensor([[model.generation_config.bos_token_id, *pieces]])  # (1, T)
        settings: dict[str, Any] = self._lengths(model.config, model.generation_config, len(pieces) + 1)
        if temperature is not None:
            settings["temperature"] = temperature
        shown = len(tokenizer.decode(ids[0], skip_special_tokens=True))
        for rows in _growing(model, ids, n, seed, settings):
            texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
            yield [self._without_names(start + self._tidy(text[shown:])) for text in texts]

    def _without_names(self, text: str) -> str:
        for pattern, instead in self.replaced.items():
            text = re.sub(pattern, instead, text)
        return text

    def _lengths(self, config: Any, saved: Any, used: int) -> dict[str, int]:
        """Room for a post behind every start that the model can read."""
        ours = getattr(saved, "huggingtweets", None) or {}  # of an adapter, which has no config of its own
        prefix = 1 if getattr(config, "prefix", None) or ours.get("prefix") else 0  # the lengths are meant without it
        longest = max(saved.max_length + prefix, used + ROOM_TOKENS)
        context = getattr(config, "max_position_embeddings", None) or longest
        if used >= context:
            raise TooLong
        return {"min_length": saved.min_length + prefix, "max_length": min(longest, context)}

    def _tidy(self, text: str) -> str:
        """Ended where the post ends."""
        if not self.keeps_newlines:
            text = text.lstrip("\n").split("\n", 1)[0]
        return text.rstrip("\ufffd").rstrip()


def _growing(
    model: Any, ids: torch.Tensor, n: int, seed: int | None, settings: dict[str, int]
) -> Iterator[torch.Tensor]:
    """The rows (n, T) now and then while they grow, and at their end; nobody listening any more stops them."""
    states: queue.Queue[torch.Tensor | BaseException | None] = queue.Queue()
    left = threading.Event()
    cores = torch.get_num_threads()  # which every thread would choose anew

    def watch(rows: torch.Tensor, scores: Any, **more: Any) -> torch.Tensor:
        states.put(rows.clone())
        return torch.full((rows.shape[0],), left.is_set(), dtype=torch.bool)

    def work() -> None:
        try:
            torch.set_num_threads(cores)
            if seed is not None:
                torch.manual_seed(seed)
            with torch.no_grad():
                rows = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    num_return_sequences=n,
                    do_sample=True,
                    stopping_criteria=StoppingCriteriaList([watch]),
                    **settings,
                )
            states.put(rows)
            states.put(None)
        except BaseException as error:
            states.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        last, told = None, time.monotonic()
        while (state := states.get()) is not None:
            if isinstance(state, BaseException):
                raise state
            last = state
            if states.empty() and time.monotonic() - told >= SHOW_EVERY_S:
                told = time.monotonic()
                yield last
        if last is not None:
            yield last
    finally:
        left.set()
