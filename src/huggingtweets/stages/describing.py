"""Every report in; `README.md`, the card, and `predictions.png`, the picture, out.

- A card that was edited by hand stays, until what it tells of changes.
- The card speaks of the repository that the bot is published in, and of its own folder before that.
- The picture shows the prediction that somebody chose, else the first that copies no post.
- What was chosen of the bot's samples is kept as its text, anything else that it wrote whole and with the weights that
  wrote it: so it lapses with them, and a bot that was trained again never shows one that nobody chose.
"""

from __future__ import annotations

import contextlib
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
    if is_described(bot):
        listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}", skipped=True))
        return
    listen(StageStarted("card", "Writing the card, drawing the picture"))
    keep(bot, description(bot, settings, place, preview), place, preview)
    listen(StageDone("card", f"{bot.card.name}, {bot.picture.name}"))


def is_described(bot: BotDir) -> bool:
    """Whether card and picture tell what the bot is now; raises StageMissing for one that has no scores."""
    return _is_described(bot, read_places(bot).now, chosen_preview(bot))


def description(bot: BotDir, settings: BotSettings, place: Place | None, preview: Sample | None) -> Description:
    """The card and the picture as they are with the bot at this place; those in its folder, if it is there already."""
    if _is_described(bot, place, preview):
        return Description(bot.card.read_bytes(), bot.picture.read_bytes())
    return _drawn(bot, settings, place, preview)


def keep(bot: BotDir, told: Description, place: Place | None, preview: Sample | None) -> None:
    """Into the bot's folder."""
    write_atomically(bot.picture, [told.picture])
    write_atomically(bot.card, [told.card])
    bot.mark_done("card", _key(bot, place, preview))


def _is_described(bot: BotDir, place: Place | None, preview: Sample | None) -> bool:
    return bot.is_done("card", _key(bot, place, preview), [bot.card, bot.picture])


def _key(bot: BotDir, place: Place | None, preview: Sample | None) -> str:
    check_scored(bot)
    chosen = _kept(bot, preview) if preview else None
    read = (bot.accounts, bot.dataset_report, bot.train_report, bot.eval_report, bot.samples)
    told = filter(None, [place.url if place else None, chosen, run_url(bot)])
    return key_of(versions()["huggingtweets"], *map(file_digest, read), *told)


def check_scored(bot: BotDir) -> list[Sample]:
    """The predictions that can be shown; raises StageMissing where there is nothing to describe yet, or no more."""
    stage_of = {bot.accounts: "download", bot.dataset_report: "build", bot.train_report: "train"}
    for file in (*stage_of, bot.eval_report, bot.samples):
        need(bot, file, stage_of.get(file, "evaluate"))
    if (bot.stage("evaluate") or {}).get("weights") != _weights(bot):
        raise StageMissing(
            f"{bot.name} was trained again after its scores were taken.", next=f"huggingtweets evaluate {bot.name}"
        )
    shown = _samples(bot)
    if not shown:
        raise StageMissing(f"{bot.name} has no predictions to show.", next=f"huggingtweets evaluate {bot.name} --again")
    return shown


def choose_preview(bot: BotDir, chosen: Sample | None) -> None:
    """The card and the picture show this from now on, or, with None, what they show where nobody chose.

    To be called with the bot's lock held.
    """
    bot.write_record(preview=_kept(bot, chosen) if chosen else None)


def unchoose_preview(bot: BotDir) -> None:
    """They show the first sample that copies nothing again; to be called with the bot's lock held."""
    bot.write_record(preview=None)


def _kept(bot: BotDir, chosen: Sample) -> str | dict[str, Any]:
    """A sample by its text; what else the bot wrote whole."""
    if chosen in check_scored(bot):
        return chosen.text
    return {**chosen.to_json(), "weights": _weights(bot)}


def chosen_preview(bot: BotDir) -> Sample | None:
    """The prediction that somebody chose for the picture; None where it has lapsed."""
    found = bot.read_record().get("preview")
    if isinstance(found, str) and bot.samples.exists():
        return next((sample for sample in _samples(bot) if sample.text == found), None)
    if isinstance(found, dict) and found.get("weights") == _weights(bot):
        with contextlib.suppress(KeyError):
            return Sample(str(found["prompt"]), str(found["text"]), found.get("copied_from"))
    return None


def _weights(bot: BotDir) -> str | None:
    weights: str | None = (bot.stage("train") or {}).get("weights")
    return weights


def _samples(bot: BotDir) -> list[Sample]:
    """Those with a prompt, which are made to be shown."""
    return [sample for sample in read_lines_as(bot.samples, Sample.from_json) if sample.prompt]


def _drawn(bot: BotDir, settings: BotSettings, place: Place | None, preview: Sample | None) -> Description:
    from huggingtweets.card import render_card
    from huggingtweets.card_header import CardFacts
    from huggingtweets.picture import Face, draw_picture

    accounts = read_accounts(bot)
    shown = check_scored(bot)
    best = preview or next((sample for sample in shown if sample.copied_from is None), shown[0])
    faces = [Face(account.name, account.handle, bot.avatars / (account.avatar or "")) for account in accounts]
    facts = CardFacts(
        name=bot.name,
        accounts=accounts,
        dataset=read_as(bot.dataset_report, DatasetReport.from_json),
        training=read_as(bot.train_report, TrainReport.from_json),
        evaluation=read_as(bot.eval_report, EvalReport.from_json),
        samples=shown,
        chosen=preview if preview not in shown else None,
        sampling=SamplingSettings(),
        cleaning=settings.dataset,
        versions=(bot.stage("train") or {}).get("versions", {}),
        repo_id=place.repo_id if place else None,
        repo_url=place.url if place else None,
        run_url=run_url(bot),
    )
    card = render_card(facts).encode("utf-8", "replace")
    return Description(card, draw_picture(faces, best.prompt, best.text))


def read_accounts(bot: BotDir) -> list[Account]:
    """Whose bot it is."""
    return read_as(bot.accounts, _accounts)


def _accounts(records: Any) -> list[Account]:
    return [Account.from_json(record) for record in records]
