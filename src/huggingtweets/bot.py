"""A saved bot: writing the folder that anybody's transformers samples from as the original did; what is known of it.

- The folder carries the sampling defaults three times (generation config, `prefix` and `task_specific_params` of the
  model config), because transformers from 4.46 to 5.x each read another of them.
- A bot can be shown, and on a CPU write, without importing torch (see `voice`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from huggingtweets.adapters import is_adapter
from huggingtweets.botdir import BotDir, new_folder, read_as, read_json, read_lines_as, write_json
from huggingtweets.config import BOTS_DIR, HABITS, DatasetSettings, SamplingSettings
from huggingtweets.errors import BaseModelError, BotError, HubUnreachable, StageMissing
from huggingtweets.reports import DatasetReport, EvalReport, Report, Sample, TrainReport
from huggingtweets.voice import Drawing, Piece, Voice, habits_of, voice_in

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from huggingtweets.bases import Base

R = TypeVar("R", bound=Report)

SHOWN_PREDICTIONS = 5  # in a notebook

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def save_bot(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    sampling: SamplingSettings | None = None,
    cleaning: DatasetSettings = DatasetSettings(),  # noqa: B008 (frozen)
    base: Base | None = None,
) -> None:
    """Writes what `pipeline("text-generation", model=folder)` needs, and nothing else; atomically.

    `cleaning` is how the posts were cleaned that it was trained on, `base` what an adapter was trained over: of a model
    that learned one, the adapter is written alone.
    """
    from transformers import GenerationConfig

    from huggingtweets.adapters import has_adapter, save_adapter
    from huggingtweets.bases import quiet
    from huggingtweets.batches import max_tokens_of, separators
    from huggingtweets.writers.plain import sampling_options

    marks = separators(tokenizer)
    defaults = sampling_options(sampling or SamplingSettings())
    context = max_tokens_of(model)
    if context is not None:  # less one, for the prefix that a pipeline counts on top
        defaults["max_length"] = min(defaults["max_length"], context - 1)
    tokenizer.chat_template = None  # a bot continues posts; it doesn't chat
    if marks.prefix is not None:
        tokenizer.bos_token = tokenizer.eos_token = marks.prefix
    tokenizer.pad_token = tokenizer.eos_token
    ids = {"bos_token_id": marks.start, "eos_token_id": marks.end, "pad_token_id": marks.end}
    prefix = {} if marks.prefix is None else {"prefix": marks.prefix}
    drawing = {**defaults, **ids}
    if suppressed := _control_tokens(tokenizer, marks.end):
        drawing["suppress_tokens"] = suppressed
    with new_folder(folder) as new, quiet():
        tokenizer.save_pretrained(new)
        if base is not None and has_adapter(model):
            ours = {} if base.source == base.reference else {"base": base.source}
            drawing[HABITS] = {**habits_of(cleaning), **prefix, **ours}
            GenerationConfig(**drawing).save_pretrained(new)
            save_adapter(model, new, base.reference)
            return
        for name, token in ids.items():
            setattr(model.config, name, token)
        params = {"text-generation": {**defaults, **prefix}}
        model.config.update({**prefix, "task_specific_params": params, HABITS: habits_of(cleaning)})
        model.generation_config = GenerationConfig(**drawing)
        model.save_pretrained(new)
        _help_older_versions(new)


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

    def generate(self, prompt: str = "", n: int = 1, **drawing: Unpack[Drawing]) -> list[str]:
        """`n` posts that begin with `prompt`, of the distribution that transformers' pipeline draws from.

        The same seed gives the same texts. `say` is told when something slow begins. Raises StageMissing when the bot
        isn't trained yet, and SettingsError when the prompt leaves no room for a post.
        """
        with self._damage():
            return self.voice.generate(prompt, n, **drawing)

    def stream(self, prompt: str = "", n: int = 1, **drawing: Unpack[Drawing]) -> Iterator[Piece]:
        """What `generate` returns, piece by piece, all posts growing at once; nothing is ever taken back."""
        with self._damage():
            pieces = self.voice.stream(prompt, n, **drawing)
        return self._damage_told(pieces)

    def _damage_told(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        with self._damage():
            yield from pieces

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except BaseModelError as error:
            raise BotError(
                f"The model of {self.name} is damaged.", why=error.what, next=f"huggingtweets train {self.name} --again"
            ) from error

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

    def _repr_html_(self) -> str:
        """What a notebook shows: the scores and some predictions."""
        scores = self.scores
        rows = [f"<b>{escape(self.name)}</b>"]
        if scores is not None and scores.base is not None and scores.bot is not None and scores.gain is not None:
            base, bot = scores.base.bits_per_byte, scores.bot.bits_per_byte
            rows.append(f"{base:.3f} to {bot:.3f} bits per byte of unseen posts, {scores.gain:.0%} fewer than its base")
        if scores is not None:
            rows.append(f"{scores.copying.share:.0%} of {scores.copying.predictions} predictions copy a post")
        rows += [f"🤖 {escape(sample.text)}" for sample in self.samples if sample.prompt][:SHOWN_PREDICTIONS]
        return "<br>".join(rows)

    @cached_property
    def voice(self) -> Voice:
        """The model that writes; raises StageMissing when there is none yet."""
        if not is_model(self.dir.model):
            if not self.path.exists():
                raise BotError(f"There is no bot at {self.path}.", next="huggingtweets create FILE")
            raise StageMissing(f"{self.name} is not trained yet.", next=f"huggingtweets train {self.name}")
        settings = (self.dir.stage("build") or {}).get("settings", {})
        return Voice(  # by the bot's record, since older models know nothing of it
            self.dir.model,
            self.name,
            keeps_newlines=bool(settings.get("keep_newlines", False)),
            names_nobody=settings.get("mentions") == "neutral",
            fast=self.dir.fast,
        )


def _read(kind: type[R], file: Path) -> R | None:
    return read_as(file, kind.from_json) if file.exists() else None


def dir_of(bot: Bot | BotDir) -> BotDir:
    """The folder behind either."""
    return bot.dir if isinstance(bot, Bot) else bot


def is_model(folder: Path) -> bool:
    """Whether it holds a model, or an adapter of one."""
    return (folder / "config.json").exists() or is_adapter(folder)


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


def open_voice(
    name: str | Path, bots_dir: Path = BOTS_DIR, say: Callable[[str], None] = lambda text: None
) -> Bot | Voice:
    """A bot of this machine by its name or path, a model folder, or a bot on the Hub as `owner/name`.

    `say` is told when something slow begins. Raises BotError and BaseModelError.
    """
    try:
        return open_bot(name, bots_dir)
    except BotError:
        is_folder = is_model(Path(name))
        if not is_folder and (not _HUB_ID.fullmatch(str(name)) or Path(name).parent == bots_dir):
            raise
    if not is_folder and Path(name).exists():
        raise BotError(
            f"{name} is here already, and is neither a bot nor a model.",
            why="What is here comes before a bot of that name on the Hub.",
            next="run the same command in another folder",
        )
    from huggingtweets.bases import find_base

    try:
        return voice_in(find_base(str(name), say, newest=True).folder, str(name))
    except HubUnreachable as error:
        raise BotError(
            f"There is no bot {name} here, and the Hugging Face Hub can't be reached.",
            why=error.why,
            next="run the same command again once there is a network",
        ) from error


def list_bots(bots_dir: Path = BOTS_DIR) -> list[Bot]:
    """Every bot of a folder, by name."""
    return [Bot(record.parent) for record in sorted(bots_dir.glob("[!.]*/bot.json"))]
