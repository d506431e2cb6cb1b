"""`posts.jsonl` in; `dataset/` out.

However many posts there are, their texts stay on disk: on the way in files without a name, which are gone with the
process, then in `dataset/`. What grows in memory is some 100 bytes a post, 200 where replies are dropped (see `bulk`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, storage_errors, write_json, write_jsonl
from huggingtweets.bulk import FileList
from huggingtweets.config import BotSettings
from huggingtweets.dataset import PROGRESS_POSTS, divide
from huggingtweets.posts import Post, read_posts
from huggingtweets.reports import Advanced, DatasetReport, Listener, Notice, StageDone, StageStarted
from huggingtweets.stages.continuing import leave_outdated, trained_marks
from huggingtweets.stages.inputs import need

CLEANING_SHARE = 0.3  # of the stage's time; measured. The rest goes into comparing with what is held out.
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
    report = _build(bot, settings, listen)
    bot.mark_done("build", _key(bot, settings), settings=dataclasses.asdict(settings.dataset))
    listen(StageDone("build", _split_summary(report)))
    return report


def _build(bot: BotDir, settings: BotSettings, listen: Listener) -> DatasetReport:
    total = (bot.stage("download") or {}).get("posts")
    with storage_errors(bot.train_posts), contextlib.ExitStack() as stores:

        def new_store() -> FileList[Any]:
            return stores.enter_context(contextlib.closing(FileList(bot.path)))

        def compared(done: int, kept: int) -> None:
            listen(Advanced("build", CLEANING_SHARE + (1 - CLEANING_SHARE) * done / kept, 1.0))

        posts = _watched(read_posts(bot.posts), total, listen)
        parts, report = divide(posts, settings.dataset, trained_marks(bot), new_store, compared)
        for warning in report.warnings:
            listen(Notice(warning, warning=True))
        write_jsonl(bot.train_posts, (text.to_json() for text in parts.train))
    write_jsonl(bot.holdout_posts, (text.to_json() for text in parts.holdout))
    write_json(bot.dataset_report, report.to_json())
    return report


def _watched(posts: Iterator[Post], total: int | None, listen: Listener) -> Iterator[Post]:
    for number, post in enumerate(posts, start=1):
        yield post
        if number % PROGRESS_POSTS == 0:
            done = number if total is None else CLEANING_SHARE * number / total
            listen(Advanced("build", done, None if total is None else 1.0, {"posts": float(number)}))


def is_built(bot: BotDir, settings: BotSettings) -> bool:
    """Whether the dataset is there, of these posts and settings."""
    return bot.is_done("build", _key(bot, settings), [bot.train_posts, bot.holdout_posts, bot.dataset_report])


def _key(bot: BotDir, settings: BotSettings) -> str:
    return key_of(dataclasses.asdict(settings.dataset), file_digest(bot.posts), *sorted(trained_marks(bot)))


def _split_summary(report: DatasetReport) -> str:
    return f"{report.train_posts:,} posts to train on, {report.holdout_posts:,} held out"
