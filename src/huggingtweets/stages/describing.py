"""Every report in; `README.md`, the card, and `predictions.png`, the picture, out.

- A card that was edited by hand stays, until what it tells of changes.
- The card speaks of the repository that the bot is published in, and of its own folder before that.
- The picture shows the prediction that somebody chose, else the first that copies no post. What was chosen is kept as
  its text, so a bot that was trained again never shows one that nobody chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, read_lines_as, write_atomically
from huggingtweets.config import BotSettings, SamplingSettings
from huggingtweets.errors import StageMissing
from huggingtweets.places import Place, read_places
from huggingtweets.posts import Account
from huggingtweets.reports import DatasetReport, EvalReport, Listener, Sample, StageDone, StageStarted, TrainReport
from huggingtweets.stages.inputs import need, versions
from huggingtweets.tracking import run_url


@dataclass(frozen=True)
class Description:
    """A card and its picture."""

    card: bytes
    picture: bytes


def describe(bot: BotDir, settings: BotSettings, listen: Listener) -> None:
    """Every report in; the card and the picture out. Raises StageMissing."""
    place, preview = read_places(bot).now, chosen_preview(bot)
    if _is_described(bot, place, preview):
        listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}", skipped=True))
        return
    listen(StageStarted("card", "Writing the card, drawing the picture"))
    keep(bot, description(bot, settings, place, preview), place, preview)
    listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}"))


def description(bot: BotDir, settings: BotSettings, place: Place | None, preview: str | None) -> Description:
    """The card and the picture as they are with the bot at this place; those in its folder, if it is there already."""
    if _is_described(bot, place, preview):
        return Description(bot.card.read_bytes(), bot.picture.read_bytes())
    return _drawn(bot, settings, place, preview)


def keep(bot: BotDir, told: Description, place: Place | None, preview: str | None) -> None:
    """Into the bot's folder."""
    write_atomically(bot.picture, [told.picture])
    write_atomically(bot.card, [told.card])
    bot.mark_done("card", _key(bot, place, preview))


def _is_described(bot: BotDir, place: Place | None, preview: str | None) -> bool:
    return bot.is_done("card", _key(bot, place, preview), [bot.card, bot.picture])


def _key(bot: BotDir, place: Place | None, preview: str | None) -> str:
    chosen = preview if any(sample.text == preview for sample in check_scored(bot)) else None
    read = (bot.accounts, bot.dataset_report, bot.train_report, bot.eval_report, bot.samples)
    told = filter(None, [place.url if place else None, chosen, run_url(bot)])
    return key_of(versions()["huggingtweets"], *map(file_digest, read), *told)


def check_scored(bot: BotDir) -> list[Sample]:
    """The predictions that can be shown; raises StageMissing where there is nothing to describe yet, or no more."""
    stage_of = {bot.accounts: "download", bot.dataset_report: "build", bot.train_report: "train"}
    for file in (*stage_of, bot.eval_report, bot.samples):
        need(bot, file, stage_of.get(file, "evaluate"))
    if (bot.stage("evaluate") or {}).get("weights") != (bot.stage("train") or {}).get("weights"):
        raise StageMissing(
            f"{bot.name} was trained again after its scores were taken.", next=f"huggingtweets evaluate {bot.name}"
        )
    shown = [sample for sample in read_lines_as(bot.samples, Sample.from_json) if sample.prompt]
    if not shown:
        raise StageMissing(f"{bot.name} has no predictions to show.", next=f"huggingtweets evaluate {bot.name} --again")
    return shown


def chosen_preview(bot: BotDir) -> str | None:
    """The text that somebody chose for the picture."""
    found = bot.read_record().get("preview")
    return found if isinstance(found, str) else None


def _drawn(bot: BotDir, settings: BotSettings, place: Place | None, preview: str | None) -> Description:
    from huggingtweets.card import render_card
    from huggingtweets.card_header import CardFacts
    from huggingtweets.picture import Face, draw_picture

    accounts = read_accounts(bot)
    shown = check_scored(bot)
    best = _pictured(shown, preview)
    faces = [Face(account.name, account.handle, bot.avatars / (account.avatar or "")) for account in accounts]
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
        repo_id=place.repo_id if place else None,
        repo_url=place.url if place else None,
        run_url=run_url(bot),
    )
    card = render_card(facts).encode("utf-8", "replace")
    return Description(card, draw_picture(faces, best.prompt, best.text))


def _pictured(shown: Sequence[Sample], preview: str | None) -> Sample:
    """The prediction that was chosen, else the first that copies nothing."""
    chosen = next((sample for sample in shown if sample.text == preview), None)
    return chosen or next((sample for sample in shown if sample.copied_from is None), shown[0])


def read_accounts(bot: BotDir) -> list[Account]:
    """Whose bot it is."""
    return read_as(bot.accounts, _accounts)


def _accounts(records: Any) -> list[Account]:
    return [Account.from_json(record) for record in records]
