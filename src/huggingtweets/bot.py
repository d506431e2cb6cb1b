"""A saved bot: writing the folder that anybody's transformers samples from as the original did, and generating.

- The folder carries the sampling defaults three times (generation config, `prefix` and `task_specific_params` of the
  model config), because transformers from 4.46 to 5.x each read another of them.
- torch is imported when the first text is generated, so that a bot can be shown without it.
- What `generate` returns begins with the prompt, holds no separator, and ends where the post ends.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from huggingtweets.botdir import BotDir, new_folder, read_as, read_json, read_lines_as, write_json
from huggingtweets.config import SamplingSettings, check_seed
from huggingtweets.errors import BaseModelError, BotError, SettingsError, StageMissing
from huggingtweets.reports import DatasetReport, EvalReport, Report, Sample, TrainReport

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

R = TypeVar("R", bound=Report)

BOTS_DIR = Path("bots")
BATCH_SEQUENCES = 32  # generated side by side; bounds memory
MIN_NEW_TOKENS = 40  # left to a prompt that is itself near max_length: about one post


def save_bot(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    sampling: SamplingSettings | None = None,
) -> None:
    """Writes what `pipeline("text-generation", model=folder)` needs, and nothing else; atomically."""
    from huggingtweets.bases import quiet
    from huggingtweets.batches import max_tokens_of, separators

    marks = separators(tokenizer)
    defaults = _sampling_defaults(sampling or SamplingSettings())
    context = max_tokens_of(model)
    if context is not None:  # less one, for the prefix that a pipeline counts on top
        defaults["max_length"] = min(defaults["max_length"], context - 1)
    tokenizer.chat_template = None  # a bot continues posts; it doesn't chat
    if marks.prefix is not None:
        tokenizer.bos_token = tokenizer.eos_token = marks.prefix
    tokenizer.pad_token = tokenizer.eos_token
    ids = {"bos_token_id": marks.start, "eos_token_id": marks.end, "pad_token_id": marks.end}
    for name, token in ids.items():
        setattr(model.config, name, token)
    prefix = {} if marks.prefix is None else {"prefix": marks.prefix}
    model.config.update({**prefix, "task_specific_params": {"text-generation": {**defaults, **prefix}}})
    model.generation_config = _generation_config({**defaults, **ids}, _control_tokens(tokenizer, marks.end))
    with new_folder(folder) as new, quiet():
        model.save_pretrained(new)
        tokenizer.save_pretrained(new)
        _help_older_versions(new)


def _sampling_defaults(sampling: SamplingSettings) -> dict[str, Any]:
    return {
        "do_sample": True,
        "min_length": sampling.min_length,
        "max_length": sampling.max_length,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }


def _generation_config(values: dict[str, Any], suppressed: list[int]) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(**values, **({"suppress_tokens": suppressed} if suppressed else {}))


def _control_tokens(tokenizer: PreTrainedTokenizerBase, end: int) -> list[int]:
    """Every token that is no text, such as chat and code marks; but for the one that ends a post."""
    added = tokenizer.added_tokens_decoder
    return sorted(number for number, token in added.items() if token.special and number != end)


def _help_older_versions(folder: Path) -> None:
    """Says in transformers 4's words what transformers 5 wrote only in its own.

    Version 4 knows no `rope_parameters` and would silently fall back to another base frequency, and no
    `TokenizersBackend`, which it called `PreTrainedTokenizerFast`.
    """
    config = read_json(folder / "config.json")
    rope = config.get("rope_parameters") or {}
    if "rope_theta" in rope:
        write_json(folder / "config.json", {**config, "rope_theta": rope["rope_theta"]})
    tokenizer = read_json(folder / "tokenizer_config.json")
    if tokenizer.get("tokenizer_class") == "TokenizersBackend":
        write_json(folder / "tokenizer_config.json", {**tokenizer, "tokenizer_class": "PreTrainedTokenizerFast"})


@dataclass(frozen=True)
class Bot:
    """A bot on this machine: what is known of it, and its voice."""

    path: Path

    @property
    def dir(self) -> BotDir:
        return BotDir(self.path)

    @property
    def name(self) -> str:
        return self.path.name

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

        The same seed gives the same texts. Raises StageMissing when the bot isn't trained yet, and SettingsError when
        the prompt leaves no room for a post.
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

    @property
    def dataset(self) -> DatasetReport | None:
        """What was kept and dropped; None before the posts are cleaned."""
        return _read(DatasetReport, self.dir.dataset_report)

    @property
    def training(self) -> TrainReport | None:
        """What the training cost and reached; None before it is done."""
        return _read(TrainReport, self.dir.train_report)

    @property
    def scores(self) -> EvalReport | None:
        """The scorecard; None before the bot is evaluated."""
        return _read(EvalReport, self.dir.eval_report)

    @property
    def samples(self) -> list[Sample]:
        """The predictions that the evaluation kept."""
        return read_lines_as(self.dir.samples, Sample.from_json) if self.dir.samples.exists() else []

    def to_json(self) -> dict[str, Any]:
        """Everything that is known of the bot, but for the posts."""
        reports = {"dataset": self.dataset, "training": self.training, "scores": self.scores}
        return {
            **self.dir.read_record(),
            "path": str(self.path),
            **{name: report.to_json() if report else None for name, report in reports.items()},
            "predictions": [sample.to_json() for sample in self.samples if sample.prompt],
        }

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        from huggingtweets.bases import load_folder

        if not (self.dir.model / "config.json").exists():
            if not self.path.exists():
                raise BotError(f"There is no bot at {self.path}.", next="huggingtweets create FILE")
            raise StageMissing(f"{self.name} is not trained yet.", next=f"huggingtweets train {self.name}")
        try:
            model, tokenizer = load_folder(self.dir.model)
        except BaseModelError as error:
            raise BotError(
                f"The model of {self.name} is damaged.", why=error.what, next=f"huggingtweets train {self.name} --again"
            ) from error
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
        settings = _sampling_defaults(sampling or self._sampling)
        if separators(tokenizer).prefix is not None:  # the pipeline counts the prefix on top
            settings["min_length"] += 1
            settings["max_length"] += 1
        settings["max_length"] = _room_for(ids.shape[1], settings["max_length"], model)
        generate: Any = model.generate  # transformers types it for its own mixin only
        with torch.no_grad():
            rows = generate(ids, attention_mask=torch.ones_like(ids), num_return_sequences=n, **settings)  # (n, T)
        shown = len(tokenizer.decode(ids[0], skip_special_tokens=True))
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [prompt + tidy(text[shown:], self._keeps_newlines) for text in texts]

    @cached_property
    def _sampling(self) -> SamplingSettings:
        """The defaults that the bot was saved with."""
        saved = read_json(self.dir.model / "generation_config.json")
        names = {field.name for field in fields(SamplingSettings)}
        return SamplingSettings(**{name: value for name, value in saved.items() if name in names})

    @cached_property
    def _keeps_newlines(self) -> bool:
        settings = (self.dir.stage("build") or {}).get("settings", {})
        return bool(settings.get("keep_newlines", False))


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


def _read(kind: type[R], file: Path) -> R | None:
    return read_as(file, kind.from_json) if file.exists() else None


def open_bot(name: str | Path, bots_dir: Path = BOTS_DIR) -> Bot:
    """A bot by its name, or by its path.

    Raises BotError, naming the bots that there are.
    """
    with contextlib.suppress(OSError, ValueError):  # too long for a name, or no name at all
        for path in (bots_dir / name, Path(name)):
            if (path / "bot.json").exists():
                return Bot(path)
    there = [bot.name for bot in list_bots(bots_dir)]
    raise BotError(
        f"There is no bot {str(name)!r} in {bots_dir}.",
        why=f"There are: {', '.join(there)}." if there else "There is none at all.",
        next="huggingtweets create FILE",
    )


def list_bots(bots_dir: Path = BOTS_DIR) -> list[Bot]:
    """Every bot of a folder, by name."""
    return [Bot(record.parent) for record in sorted(bots_dir.glob("*/bot.json"))]
