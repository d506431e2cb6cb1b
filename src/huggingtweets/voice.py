"""A model folder that writes posts: what a pipeline of transformers would draw from it, as tidy texts.

In: a folder as `save_bot` or the original huggingtweets wrote it, and how the posts begin. Out: the posts.

- The sampling defaults are the folder's own: `generation_config.json`, and under it the `task_specific_params` that
  the original's bots carry alone.
- torch is imported when the first text is generated, so that a bot can be shown without it.
- What else a folder knows of its bot, such as that its posts have lines, stands under `huggingtweets` in its
  `config.json`, which transformers reads over.
- What `generate` returns begins with the prompt, holds no separator, and ends where the post ends.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.botdir import read_json
from huggingtweets.config import DatasetSettings, SamplingSettings, check_seed
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.privacy import neutral_mentions

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HABITS = "huggingtweets"  # in config.json
BATCH_SEQUENCES = 32  # generated side by side; bounds memory
MIN_NEW_TOKENS = 40  # left to a prompt that is itself near max_length: about one post


@dataclass(frozen=True)
class Voice:
    """A model that writes posts."""

    folder: Path
    name: str = ""  # what a person calls it; the folder's own name where there is none
    keeps_newlines: bool = False
    names_nobody: bool = False  # no text mentions a real account, whatever the base model has read

    def generate(
        self,
        prompt: str = "",
        n: int = 1,
        *,
        seed: int | None = None,
        sampling: SamplingSettings | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> list[str]:
        """`n` posts that begin with `prompt`, drawn like transformers' pipeline draws them from the same folder.

        The same seed gives the same texts. Raises SettingsError when the prompt leaves no room for a post, and
        BaseModelError when the folder holds no model that can be loaded.
        """
        if n < 1:
            raise SettingsError(f"-n must be at least 1, not {n}.")
        check_seed(seed)
        prompt = prompt.encode("utf-8", "replace").decode()  # a terminal in another encoding hands over surrogates
        from transformers import set_seed

        from huggingtweets.devices import choose_device

        model, tokenizer = self._loaded
        model.to(choose_device(device, threads).name)  # type: ignore[arg-type]
        if seed is not None:
            set_seed(seed)
        texts: list[str] = []
        while len(texts) < n:
            texts += self._sample(model, tokenizer, prompt, min(BATCH_SEQUENCES, n - len(texts)), sampling)
        return texts

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        from huggingtweets.bases import load_folder

        model, tokenizer = load_folder(self.folder, self.name)
        return model.eval(), tokenizer

    def _sample(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompt: str,
        n: int,
        sampling: SamplingSettings | None,
    ) -> list[str]:
        import torch

        from huggingtweets.batches import separators

        ids = _prompt_ids(tokenizer, prompt).to(model.device)  # (1, T)
        settings = sampling_defaults(sampling or self.sampling)
        if separators(tokenizer).prefix is not None:  # the pipeline counts the prefix on top
            settings["min_length"] += 1
            settings["max_length"] += 1
        settings["max_length"] = _room_for(ids.shape[1], settings["max_length"], model)
        generate: Any = model.generate  # transformers types it for its own mixin only
        with torch.no_grad():
            rows = generate(ids, attention_mask=torch.ones_like(ids), num_return_sequences=n, **settings)  # (n, T)
        shown = len(tokenizer.decode(ids[0], skip_special_tokens=True))
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
        written = [prompt + tidy(text[shown:], self.keeps_newlines) for text in texts]
        return list(map(neutral_mentions, written)) if self.names_nobody else written

    @cached_property
    def sampling(self) -> SamplingSettings:
        """The defaults that the model was saved with; ours where they are none that we could draw by."""
        params = _mapping(_mapping(self.folder / "config.json").get("task_specific_params"))
        saved = {**_mapping(params.get("text-generation")), **_mapping(self.folder / "generation_config.json")}
        kinds = {field.name: (int, type(field.default)) for field in fields(SamplingSettings)}
        known = {name: saved[name] for name, kind in kinds.items() if isinstance(saved.get(name), kind)}
        try:
            return SamplingSettings(**known)
        except SettingsError:
            return SamplingSettings()


def voice_in(folder: Path, name: str = "") -> Voice:
    """The voice of a model folder, as it was saved."""
    habits = _mapping(_mapping(folder / "config.json").get(HABITS))
    return Voice(folder, name, habits.get("keep_newlines") is True, habits.get("mentions") == "neutral")


def habits_of(settings: DatasetSettings) -> dict[str, Any]:
    """What a model folder has to know of how its bot's posts were cleaned, to write like them.

    >>> habits_of(DatasetSettings(mentions="neutral"))
    {'mentions': 'neutral'}
    """
    chosen = {"keep_newlines": settings.keep_newlines, "mentions": settings.mentions}
    return {name: value for name, value in chosen.items() if value != getattr(DatasetSettings, name)}


def _mapping(value: object) -> dict[str, Any]:
    """Of a JSON file, or of what stands in one; empty where there is no such thing."""
    if isinstance(value, Path):
        with contextlib.suppress(BotError):  # missing or damaged; who loads the model will say so
            value = read_json(value)
    return value if isinstance(value, dict) else {}


def sampling_defaults(sampling: SamplingSettings) -> dict[str, Any]:
    """As transformers names them."""
    return {
        "do_sample": True,
        "min_length": sampling.min_length,
        "max_length": sampling.max_length,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> Tensor:
    """`[start] prompt` as (1, T) int64; a prompt that spells out a special token stays text."""
    import torch

    from huggingtweets.batches import separators

    marks = separators(tokenizer)
    pieces = tokenizer(prompt, add_special_tokens=False, split_special_tokens=True).input_ids if prompt else []
    return torch.tensor([[marks.start, *pieces]])


def _room_for(prompt_tokens: int, max_length: int, model: PreTrainedModel) -> int:
    """`max_length`, or more where a long prompt would leave no room for a post."""
    from huggingtweets.batches import max_tokens_of

    wanted = max(max_length, prompt_tokens + MIN_NEW_TOKENS)
    context = max_tokens_of(model)
    if context is None or wanted <= context:
        return wanted
    if prompt_tokens >= context:
        raise SettingsError(
            f"The start is {prompt_tokens} tokens long, and this bot reads at most {context}.", next="use a shorter one"
        )
    return context


def tidy(text: str, keep_newlines: bool) -> str:
    """What was generated after the prompt, ended where the post ends.

    >>> tidy(" to fly.\\n\\nAnd then", keep_newlines=False)
    ' to fly.'
    """
    if not keep_newlines:
        text = text.lstrip("\n").split("\n", 1)[0]  # original: cut at the first newline
    return text.rstrip("\ufffd").rstrip()  # half a character, where the length limit cut one
