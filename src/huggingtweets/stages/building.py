"""`posts.jsonl` in; `dataset/` out."""

from __future__ import annotations

import dataclasses

from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, write_json, write_jsonl
from huggingtweets.config import BotSettings
from huggingtweets.dataset import build_dataset
from huggingtweets.posts import read_posts
from huggingtweets.reports import DatasetReport, Listener, Notice, StageDone, StageStarted
from huggingtweets.stages.continuing import leave_outdated, trained_marks
from huggingtweets.stages.inputs import need

RULES = 1  # raised when the same posts and settings would give other texts than before


def build(bot: BotDir, settings: BotSettings, listen: Listener) -> DatasetReport:
    """posts.jsonl in; dataset/ out. Raises TooLittleText."""
    need(bot, bot.posts, "download")
    leave_outdated(bot, settings)
    if is_built(bot, settings):
        report = read_as(bot.dataset_report, DatasetReport.from_json)
        listen(StageDone("build", _split_summary(report), skipped=True))
        return report
    listen(StageStarted("build", "Cleaning and splitting"))
    data = build_dataset(read_posts(bot.posts), settings.dataset, trained_marks(bot))
    for warning in data.report.warnings:
        listen(Notice(warning, warning=True))
    write_jsonl(bot.train_posts, (text.to_json() for text in data.train))
    write_jsonl(bot.holdout_posts, (text.to_json() for text in data.holdout))
    write_json(bot.dataset_report, data.report.to_json())
    bot.mark_done("build", _key(bot, settings), settings=dataclasses.asdict(settings.dataset))
    listen(StageDone("build", _split_summary(data.report)))
    return data.report


def is_built(bot: BotDir, settings: BotSettings) -> bool:
    """Whether the dataset is there, of these posts and settings."""
    return bot.is_done("build", _key(bot, settings), [bot.train_posts, bot.holdout_posts, bot.dataset_report])


def _key(bot: BotDir, settings: BotSettings) -> str:
    return key_of(dataclasses.asdict(settings.dataset), file_digest(bot.posts), *sorted(trained_marks(bot)))


def _split_summary(report: DatasetReport) -> str:
    return f"{report.train_posts:,} posts to train on, {report.holdout_posts:,} held out"
