"""`dataset/train.jsonl` in; `model/`, `train.jsonl` and `train.json` out."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.bot import save_bot
from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, storage_errors, write_json
from huggingtweets.config import ONCE_FIXED, BotSettings, TrainingSettings
from huggingtweets.dataset import Text, read_texts
from huggingtweets.errors import SettingsError
from huggingtweets.lineage import fact_of
from huggingtweets.reports import Listener, Notice, StageDone, StageStarted, TrainReport
from huggingtweets.stages.continuing import continued_from, has_new_texts, lesson, trained_marks
from huggingtweets.stages.inputs import data_digest, need, versions
from huggingtweets.steplog import StepLog
from huggingtweets.voice import habits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from huggingtweets.bases import Base
    from huggingtweets.planning import Progress


def train(bot: BotDir, settings: BotSettings, listen: Listener) -> TrainReport:
    """dataset/train.jsonl in; model/, train.jsonl and train.json out."""
    need(bot, bot.train_posts, "build")
    need(bot, bot.holdout_posts, "build")
    continues, key = continued_from(bot), _key(bot, settings)
    if is_trained(bot, settings):
        shutil.rmtree(bot.previous, ignore_errors=True)
        report = read_as(bot.train_report, TrainReport.from_json)
        listen(StageDone("train", _train_summary(report), skipped=True))
        return report
    if continues is not None and not bot.previous.exists():  # the update is over, and settings have changed since
        bot.write_record(continues=None)
        return train(bot, settings, listen)
    if continues is not None and not has_new_texts(bot):
        listen(Notice("None of the new posts has anything to teach, so the model stays as it is."))
        return _keep_model(bot, key, listen)
    listen(StageStarted("train", f"Training {settings.base if continues is None else bot.name}"))
    from huggingtweets.bases import find_base

    base = find_base(settings.base, lambda text: listen(Notice(text)))
    checkpoint = _checkpoint_for(bot, key)
    report = _train_and_save(bot, base, settings, checkpoint, listen)
    if continues is not None:
        plan = f"on from the bot as it was, with its new posts and some of the old, {report.plan}"
        report = dataclasses.replace(report, plan=plan)
    write_json(bot.train_report, report.to_json())
    _finish(bot, key, base)
    listen(StageDone("train", _train_summary(report)))
    return report


def is_trained(bot: BotDir, settings: BotSettings) -> bool:
    """Whether the model is there whole, of this dataset and these settings."""
    return bot.is_done("train", _key(bot, settings), [bot.train_report]) and _is_whole(bot)


def _key(bot: BotDir, settings: BotSettings) -> str:
    more = filter(None, [continued_from(bot), habits_of(settings.dataset)])
    return key_of(settings.base, settings.training.identity, data_digest(bot), *more)


def _finish(bot: BotDir, key: str, base: Base | None) -> None:
    """`base`: what was trained from now; None where the model stays as it is."""
    facts = {"files": _file_sizes(bot.model), "weights": weights_digest(bot.model), "data": data_digest(bot)}
    origin = (bot.stage("train") or {}).get("base_files") if base is None else _base_files(bot, base)
    bot.mark_done("train", key, **facts, base_files=origin, versions=versions(), continues=continued_from(bot))
    for finished in (bot.checkpoint, bot.previous):
        shutil.rmtree(finished, ignore_errors=True)


def _base_files(bot: BotDir, base: Base) -> dict[str, Any]:
    """What the training began with, by digest: the base, or in an update the bot as it was."""
    folder = base.folder if continued_from(bot) is None else bot.previous
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix in (".json", ".safetensors"))
    return {file.name: fact_of(file).to_json() for file in files}


def _keep_model(bot: BotDir, key: str, listen: Listener) -> TrainReport:
    """After an update that brought nothing to learn from."""
    report = read_as(bot.train_report, TrainReport.from_json)
    _finish(bot, key, None)
    listen(StageDone("train", _train_summary(report), skipped=True))
    return report


def _train_and_save(bot: BotDir, base: Base, settings: BotSettings, checkpoint: Path, listen: Listener) -> TrainReport:
    from huggingtweets import batches, training
    from huggingtweets.corpus import Corpus
    from huggingtweets.devices import choose_device

    device = choose_device(settings.training.device, settings.training.threads)
    texts: Iterable[Text] = read_texts(bot.train_posts)
    if continued_from(bot) is not None:
        texts = lesson(lambda: read_texts(bot.train_posts), trained_marks(bot), settings.training.seed)
    model, tokenizer = _beginning(bot, base, settings.training)
    listen(Notice(f"Computing on {device}"))
    chosen = settings.training.for_device(device.name)
    limit = min(chosen.max_post_tokens, batches.max_tokens_of(model) or chosen.max_post_tokens)
    with storage_errors(bot.path):
        corpus = Corpus(texts, tokenizer, limit, chosen.seed, bot.path)
    with StepLog(bot.train_log, chosen.log_every_steps, listen) as log:
        done = training.train(
            model,
            corpus.posts_of_epoch,
            chosen,
            device,
            checkpoint=checkpoint,
            on_step=log.step,
            on_plan=lambda plan: listen(Notice(plan)),
        )
    save_bot(model.cpu(), tokenizer, bot.model, cleaning=settings.dataset, base=base)
    passes = done.tokens / max(1, sum(length - 1 for length in corpus.lengths_of_epoch(0)))
    once_fixed = {name: getattr(chosen, name) for name in ONCE_FIXED}  # which `identity` may lack
    shown = {**chosen.identity, **once_fixed, "device": device.name, "threads": device.threads}
    report = _train_report(base, done, chosen.log_every_steps, passes, shown, model.num_parameters(), device.dtype)
    if chosen.adapter_rank is None:
        return report
    learned = model.num_parameters(only_trainable=True)
    return dataclasses.replace(report, adapter_parameters=learned, prefix=batches.separators(tokenizer).prefix)


def _beginning(bot: BotDir, base: Base, settings: TrainingSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """What learns: the base or, in an update, the bot as it was; or an adapter over the base."""
    from huggingtweets.adapters import add_adapter, go_on_with, is_adapter
    from huggingtweets.bases import load_base, load_folder

    continues = continued_from(bot) is not None
    if settings.adapter_rank is None:
        return load_folder(bot.previous) if continues else load_base(base)
    if is_adapter(base.folder):
        raise SettingsError(
            f"{base.name} is itself an adapter, and one over another is nothing that others could load.",
            next="choose the --base that it was trained over, or train without --adapter",
        )
    model, tokenizer = load_base(base)
    if continues:
        go_on_with(model, bot.previous)
    else:
        add_adapter(model, settings.adapter_rank, settings.seed)
    return model, tokenizer


def _train_report(
    base: Base, done: Progress, window: int, epochs: float, settings: dict[str, Any], parameters: int, dtype: str
) -> TrainReport:
    first, last = done.losses[:window], done.losses[-window:]
    return TrainReport(
        base=base.name,
        base_id=base.id,
        base_license=base.license,
        parameters=parameters,
        recipe=settings["recipe"],
        settings=settings,
        steps=done.step,
        epochs=round(epochs, 3),
        tokens=done.tokens,
        seconds=round(done.seconds, 1),
        device=settings["device"],
        dtype=dtype,
        threads=settings["threads"],
        first_loss=sum(first) / len(first),
        final_loss=sum(last) / len(last),
        plan=done.plan,
        plans=done.plans,
    )


def _checkpoint_for(bot: BotDir, key: str) -> Path:
    """The checkpoint of exactly these settings and posts; one of other settings is of no use and goes."""
    checkpoint = bot.checkpoint / f"{key}.safetensors"
    for other in bot.checkpoint.glob("*"):
        if other != checkpoint:
            other.unlink()
    return checkpoint


def _file_sizes(model: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(model.glob("*"))}


def _is_whole(bot: BotDir) -> bool:
    """Whether every file of the model is there in its full length; cheap, so that it can be asked every time."""
    saved = (bot.stage("train") or {}).get("files") or {}
    there = _file_sizes(bot.model)
    return bool(saved) and all(there.get(name) == size for name, size in saved.items())


def weights_digest(model: Path) -> str:
    """Of all weights in a folder; what the record of a training keeps as `weights`."""
    return key_of(*(file_digest(file) for file in sorted(model.glob("*.safetensors"))))


def _train_summary(report: TrainReport) -> str:
    return f"{report.steps} steps, {report.tokens:,} tokens, loss {report.first_loss:.2f} to {report.final_loss:.2f}"
