"""One function a stage: it reads the files of the stage before and writes its own.

Before a stage works it compares the key it would have now, made of its settings and of what it reads, with the one in
`bot.json`; equal keys mean that it is done already. Each returns once its files are complete.
"""

from __future__ import annotations

import dataclasses
import platform
import random
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.bot import Bot, save_bot
from huggingtweets.botdir import (
    BotDir,
    bot_name,
    file_digest,
    key_of,
    read_as,
    read_lines_as,
    write_atomically,
    write_json,
    write_jsonl,
    write_text,
)
from huggingtweets.config import DEFAULT_PROMPT, BotSettings, SamplingSettings
from huggingtweets.dataset import Text, build_dataset, epoch
from huggingtweets.errors import StageMissing
from huggingtweets.posts import Account, Post, dump_posts, read_posts
from huggingtweets.reports import (
    Advanced,
    DatasetReport,
    EvalReport,
    Listener,
    Notice,
    Sample,
    StageDone,
    StageStarted,
    TrainReport,
)
from huggingtweets.sources.base import Source
from huggingtweets.steplog import StepLog

if TYPE_CHECKING:
    from huggingtweets.bases import Base
    from huggingtweets.training import Progress

SHOWN_PREDICTIONS = 10  # original
UNPROMPTED_PREDICTIONS = 50  # enough to see copying of a few percent; half a minute on two cores
PREDICTION_WORK = 7  # for the progress bar: writing one post takes as long as scoring so many; measured
OWN_POSTS = 300  # of the account, held to the same copy measure
VERSIONS_OF = ("huggingtweets", "torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "typst")


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide what a bot becomes."""
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


# ---------------------------------------------------------------------------------------------- posts


def fetch(bot: BotDir, sources: Sequence[Source], settings: BotSettings, listen: Listener) -> None:
    """Sources in; posts.jsonl, accounts.json and avatars/ out."""
    made_of = {"settings": settings.to_json(), "sources": [source.spec for source in sources]}
    key = key_of(sorted(source.fingerprint() for source in sources))
    if bot.is_done("download", key, [bot.posts, bot.accounts]):
        bot.write_record(**made_of)
        listen(StageDone("download", f"{_thousands(bot.stage('download'), 'posts')} posts", skipped=True))
        return
    listen(StageStarted("download", "Reading posts"))
    posts: list[Post] = []
    accounts: dict[str, tuple[Account, bytes | None]] = {}
    losses: list[str] = []
    for number, source in enumerate(sources):
        for page in source.pages():
            posts += page.posts
            losses += map(str, page.losses)
            if page.account is not None:
                accounts.setdefault(page.account.handle, (page.account, page.avatar))
            done = (number + (page.fraction or 0)) / len(sources)
            listen(Advanced("download", done, 1.0, {"posts": len(posts)}))
    for loss in losses:
        listen(Notice(f"{loss}.", warning=True))
    if all(post.created_at is not None for post in posts):
        posts.sort(key=lambda post: (post.created_at, post.id or ""))
    write_atomically(bot.posts, (line.encode() for line in dump_posts(posts)))
    write_json(bot.accounts, [dataclasses.asdict(_with_avatar(bot, *known)) for known in accounts.values()])
    bot.write_record(**made_of)
    bot.mark_done("download", key, posts=len(posts), losses=losses)
    listen(StageDone("download", f"{len(posts):,} posts"))


def _with_avatar(bot: BotDir, account: Account, avatar: bytes | None) -> Account:
    """Puts the face that came with the account, or one drawn for it, into avatars/."""
    from huggingtweets.picture import draw_avatar

    picture = avatar or draw_avatar(account.name, account.handle)
    name = f"{bot_name([account.handle])}.{_image_ending(picture)}"
    write_atomically(bot.avatars / name, [picture])
    return dataclasses.replace(account, avatar=name)


def _image_ending(picture: bytes) -> str:
    endings = {b"\xff\xd8": "jpg", b"GIF8": "gif", b"RIFF": "webp"}
    return next((ending for magic, ending in endings.items() if picture.startswith(magic)), "png")


def _accounts(records: Any) -> list[Account]:
    return [Account.from_json(record) for record in records]


def _thousands(facts: dict[str, Any] | None, name: str) -> str:
    return f"{(facts or {}).get(name, 0):,}"


# ---------------------------------------------------------------------------------------------- dataset


def build(bot: BotDir, settings: BotSettings, listen: Listener) -> DatasetReport:
    """posts.jsonl in; dataset/ out. Raises TooLittleText."""
    _need(bot, bot.posts, "download")
    key = key_of(dataclasses.asdict(settings.dataset), file_digest(bot.posts))
    if bot.is_done("build", key, [bot.train_posts, bot.holdout_posts, bot.dataset_report]):
        report = read_as(bot.dataset_report, DatasetReport.from_json)
        listen(StageDone("build", _split_summary(report), skipped=True))
        return report
    listen(StageStarted("build", "Cleaning and splitting"))
    data = build_dataset(read_posts(bot.posts), settings.dataset)
    for warning in data.report.warnings:
        listen(Notice(warning, warning=True))
    write_jsonl(bot.train_posts, (text.to_json() for text in data.train))
    write_jsonl(bot.holdout_posts, (text.to_json() for text in data.holdout))
    write_json(bot.dataset_report, data.report.to_json())
    bot.mark_done("build", key, settings=dataclasses.asdict(settings.dataset))
    listen(StageDone("build", _split_summary(data.report)))
    return data.report


def _split_summary(report: DatasetReport) -> str:
    return f"{report.train_posts:,} posts to train on, {report.holdout_posts:,} held out"


def _need(bot: BotDir, file: Path, stage: str) -> None:
    if not file.exists():
        again = {"download": "create FILE", "card": f"card {bot.name}"}.get(stage, f"{stage} {bot.name}")
        raise StageMissing(f"{bot.name} has no {file.name} yet.", next=f"huggingtweets {again}")


# ---------------------------------------------------------------------------------------------- training


def train(bot: BotDir, settings: BotSettings, listen: Listener) -> TrainReport:
    """dataset/train.jsonl in; model/, train.jsonl and train.json out."""
    _need(bot, bot.train_posts, "build")
    _need(bot, bot.holdout_posts, "build")
    key = key_of(settings.base, settings.training.identity, _data_digest(bot))
    if bot.is_done("train", key, [bot.train_report]) and _is_whole(bot):
        report = read_as(bot.train_report, TrainReport.from_json)
        listen(StageDone("train", _train_summary(report), skipped=True))
        return report
    listen(StageStarted("train", f"Training {settings.base}"))
    from huggingtweets.bases import find_base

    base = find_base(settings.base, lambda text: listen(Notice(text)))
    checkpoint = _checkpoint_for(bot, key)
    report = _train_and_save(bot, base, settings, checkpoint, listen)
    write_json(bot.train_report, report.to_json())
    facts = {"files": _file_sizes(bot.model), "weights": _weights_digest(bot.model), "data": _data_digest(bot)}
    bot.mark_done("train", key, **facts, versions=versions())
    shutil.rmtree(bot.checkpoint, ignore_errors=True)
    listen(StageDone("train", _train_summary(report)))
    return report


def _train_and_save(bot: BotDir, base: Base, settings: BotSettings, checkpoint: Path, listen: Listener) -> TrainReport:
    from huggingtweets import batches, training
    from huggingtweets.bases import load_base
    from huggingtweets.devices import choose_device

    device = choose_device(settings.training.device, settings.training.threads)
    model, tokenizer = load_base(base)
    listen(Notice(f"Computing on {device}"))
    texts = read_lines_as(bot.train_posts, Text.from_json)
    chosen = settings.training.for_device(device.name)
    limit = min(chosen.max_post_tokens, batches.max_tokens_of(model) or chosen.max_post_tokens)

    def posts_of_epoch(number: int) -> list[list[int]]:
        return batches.encode(epoch(texts, number, chosen.seed), tokenizer, limit)

    with StepLog(bot.train_log, chosen.log_every_steps, listen) as log:
        done = training.train(
            model,
            posts_of_epoch,
            chosen,
            device,
            checkpoint=checkpoint,
            on_step=log.step,
            on_plan=lambda plan: listen(Notice(plan)),
        )
    save_bot(model.cpu(), tokenizer, bot.model)
    passes = done.tokens / max(1, sum(len(post) - 1 for post in posts_of_epoch(0)))
    shown = {**chosen.identity, "device": device.name, "threads": device.threads}
    return _train_report(base, done, chosen.log_every_steps, passes, shown, model.num_parameters(), device.dtype)


def _train_report(
    base: Base,
    done: Progress,
    window: int,
    epochs: float,
    settings: dict[str, Any],
    parameters: int,
    dtype: str,
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
    )


def _checkpoint_for(bot: BotDir, key: str) -> Path:
    """The checkpoint of exactly these settings and posts; one of other settings is of no use and goes."""
    checkpoint = bot.checkpoint / f"{key}.safetensors"
    for other in bot.checkpoint.glob("*"):
        if other != checkpoint:
            other.unlink()
    return checkpoint


def _data_digest(bot: BotDir) -> str:
    return key_of(file_digest(bot.train_posts), file_digest(bot.holdout_posts))


def _file_sizes(model: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(model.glob("*"))}


def _is_whole(bot: BotDir) -> bool:
    """Whether every file of the model is there in its full length; cheap, so that it can be asked every time."""
    saved = (bot.stage("train") or {}).get("files") or {}
    there = _file_sizes(bot.model)
    return bool(saved) and all(there.get(name) == size for name, size in saved.items())


def _weights_digest(model: Path) -> str:
    return key_of(*(file_digest(file) for file in sorted(model.glob("*.safetensors"))))


def _train_summary(report: TrainReport) -> str:
    return f"{report.steps} steps, {report.tokens:,} tokens, loss {report.first_loss:.2f} to {report.final_loss:.2f}"


# ---------------------------------------------------------------------------------------------- scores


def evaluate(bot: BotDir, settings: BotSettings, listen: Listener) -> EvalReport:
    """model/ and dataset/ in; eval.json and samples.jsonl out."""
    _need(bot, bot.train_report, "train")
    for file in (bot.train_posts, bot.holdout_posts):
        _need(bot, file, "build")
    trained = bot.stage("train") or {}
    if trained.get("data") != _data_digest(bot):
        raise StageMissing(
            f"The dataset of {bot.name} has changed since its training.",
            why="Posts that are held out now may have been trained on, so a score would be worth nothing.",
            next=f"huggingtweets train {bot.name} --again",
        )
    key = key_of(trained.get("weights"), settings.seed, file_digest(bot.holdout_posts), file_digest(bot.train_posts))
    if bot.is_done("evaluate", key, [bot.eval_report, bot.samples]):
        report = read_as(bot.eval_report, EvalReport.from_json)
        listen(StageDone("evaluate", _eval_summary(report), skipped=True))
        return report
    listen(StageStarted("evaluate", "Scoring and predicting"))
    report, samples = _score(bot, settings, listen)
    write_json(bot.eval_report, report.to_json())
    write_jsonl(bot.samples, (sample.to_json() for sample in samples))
    bot.mark_done("evaluate", key, weights=trained.get("weights"))
    listen(StageDone("evaluate", _eval_summary(report)))
    return report


def _score(bot: BotDir, settings: BotSettings, listen: Listener) -> tuple[EvalReport, list[Sample]]:
    from huggingtweets import evaluation
    from huggingtweets.bases import find_base, load_folder
    from huggingtweets.devices import choose_device

    device = choose_device(settings.training.device, settings.training.threads)
    posts = [text.text for text in read_lines_as(bot.train_posts, Text.from_json)]
    held_out = [text.text for text in read_lines_as(bot.holdout_posts, Text.from_json)]
    predicting = PREDICTION_WORK * (SHOWN_PREDICTIONS + UNPROMPTED_PREDICTIONS)
    total = predicting + 2 * len(held_out)

    def advance(before: int, work: int = 1) -> Callable[[int], None]:
        return lambda done: listen(Advanced("evaluate", before + work * done, total))

    samples = _predict(Bot(bot.path), settings, posts, advance(0, PREDICTION_WORK))
    scores = {}
    for number, folder in enumerate((bot.model, find_base(settings.base).folder)):
        if held_out:
            model, tokenizer = load_folder(folder)
            progress = advance(predicting + number * len(held_out))
            scores[number] = evaluation.score_held_out(model, tokenizer, held_out, device, progress)
    unprompted = [sample for sample in samples if not sample.prompt]
    own = random.Random(settings.seed).sample(range(len(posts)), min(OWN_POSTS, len(posts)))
    report = EvalReport(
        bot=scores.get(0),
        base=scores.get(1),
        copying=evaluation.copying([sample.copied_from for sample in unprompted], posts, own),
        distinct_1=evaluation.distinct([sample.text for sample in unprompted], 1),
        distinct_2=evaluation.distinct([sample.text for sample in unprompted], 2),
    )
    return report, samples


def _predict(bot: Bot, settings: BotSettings, posts: Sequence[str], on_progress: Callable[[int], None]) -> list[Sample]:
    """The predictions to show, then the unprompted ones that are scored, each with the post it copies."""
    from huggingtweets.evaluation import find_copies

    texts: list[tuple[str, str]] = []
    for number, (prompt, n) in enumerate(((DEFAULT_PROMPT, SHOWN_PREDICTIONS), ("", UNPROMPTED_PREDICTIONS))):
        some = bot.generate(
            prompt,
            n,
            seed=settings.seed + number,
            device=settings.training.device,
            threads=settings.training.threads,
        )
        texts += [(prompt, text) for text in some]
        on_progress(len(texts))
    copies = find_copies([text for _, text in texts], posts)
    return [Sample(prompt, text, copy) for (prompt, text), copy in zip(texts, copies, strict=True)]


def _eval_summary(report: EvalReport) -> str:
    copied = f"{report.copying.share:.0%} of predictions copy a post"
    if report.base is None or report.bot is None:
        return f"nothing held out, {copied}"
    return f"{report.base.bits_per_byte:.3f} to {report.bot.bits_per_byte:.3f} bits per byte, {copied}"


# ---------------------------------------------------------------------------------------------- card and picture


def describe(bot: BotDir, settings: BotSettings, listen: Listener) -> None:
    """Every report in; the card and the picture out."""
    stage_of = {bot.accounts: "download", bot.dataset_report: "build", bot.train_report: "train"}
    for file in (*stage_of, bot.eval_report, bot.samples):
        _need(bot, file, stage_of.get(file, "evaluate"))
    if (bot.stage("evaluate") or {}).get("weights") != (bot.stage("train") or {}).get("weights"):
        raise StageMissing(
            f"{bot.name} was trained again after its scores were taken.", next=f"huggingtweets evaluate {bot.name}"
        )
    read = (bot.accounts, bot.dataset_report, bot.train_report, bot.eval_report, bot.samples)
    key = key_of(versions()["huggingtweets"], *map(file_digest, read))
    if bot.is_done("card", key, [bot.card, bot.picture]):
        listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}", skipped=True))
        return
    listen(StageStarted("card", "Writing the card, drawing the picture"))
    from huggingtweets.card import render_card
    from huggingtweets.card_header import CardFacts
    from huggingtweets.picture import Face, draw_picture

    accounts = read_as(bot.accounts, _accounts)
    samples = read_lines_as(bot.samples, Sample.from_json)
    shown = [sample for sample in samples if sample.prompt]
    if not shown:
        raise StageMissing(f"{bot.name} has no predictions to show.", next=f"huggingtweets evaluate {bot.name} --again")
    best = next((sample for sample in shown if sample.copied_from is None), shown[0])
    faces = [Face(account.name, account.handle, bot.avatars / (account.avatar or "")) for account in accounts]
    write_atomically(bot.picture, [draw_picture(faces, best.prompt, best.text)])
    facts = CardFacts(
        name=bot.name,
        accounts=accounts,
        dataset=read_as(bot.dataset_report, DatasetReport.from_json),
        training=read_as(bot.train_report, TrainReport.from_json),
        evaluation=read_as(bot.eval_report, EvalReport.from_json),
        samples=shown,
        sampling=SamplingSettings(),
        cleaning=settings.dataset,
        versions=(bot.stage("train") or {}).get("versions", {}),
    )
    write_text(bot.card, render_card(facts))
    bot.mark_done("card", key)
    listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}"))
