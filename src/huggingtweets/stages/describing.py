"""Every report in; `README.md`, the card, and `predictions.png`, the picture, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, read_lines_as, write_atomically, write_text
from huggingtweets.config import BotSettings, SamplingSettings
from huggingtweets.errors import StageMissing
from huggingtweets.posts import Account
from huggingtweets.reports import DatasetReport, EvalReport, Listener, Sample, StageDone, StageStarted, TrainReport
from huggingtweets.stages.inputs import need, versions


def describe(bot: BotDir, settings: BotSettings, listen: Listener) -> None:
    """Every report in; the card and the picture out."""
    stage_of = {bot.accounts: "download", bot.dataset_report: "build", bot.train_report: "train"}
    for file in (*stage_of, bot.eval_report, bot.samples):
        need(bot, file, stage_of.get(file, "evaluate"))
    if (bot.stage("evaluate") or {}).get("weights") != (bot.stage("train") or {}).get("weights"):
        raise StageMissing(
            f"{bot.name} was trained again after its scores were taken.", next=f"huggingtweets evaluate {bot.name}"
        )
    read = (bot.accounts, bot.dataset_report, bot.train_report, bot.eval_report, bot.samples)
    repo_id, preview = _repo_id(bot), bot.read_record().get("preview")
    key = key_of(versions()["huggingtweets"], *map(file_digest, read), *filter(None, [repo_id, preview]))
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
    best = _pictured(shown, preview)
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
        repo_id=repo_id,
    )
    write_text(bot.card, render_card(facts))
    bot.mark_done("card", key)
    listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}"))


def _repo_id(bot: BotDir) -> str | None:
    """Where the bot is published, or about to be."""
    return read_as(bot.published, lambda record: str(record["repo_id"])) if bot.published.exists() else None


def _pictured(shown: Sequence[Sample], preview: object) -> Sample:
    """The prediction that was chosen, from 1, else the first that copies nothing."""
    if isinstance(preview, int) and 1 <= preview <= len(shown):
        return shown[preview - 1]
    return next((sample for sample in shown if sample.copied_from is None), shown[0])


def _accounts(records: Any) -> list[Account]:
    return [Account.from_json(record) for record in records]
