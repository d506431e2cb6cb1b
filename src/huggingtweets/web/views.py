"""What a browser is told of a bot, a prediction and a job. In: folders and rows. Out: plain JSON, and addresses.

- A bot is meant by its name alone, never by a path; so is a face.
- What is damaged or not there yet is null, so that a page can show the rest; a list passes a damaged bot over.
- Nothing here holds a folder of this machine: a base that is one goes by its last name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote, urlencode

from huggingtweets.bot import Bot, is_model, list_bots
from huggingtweets.botdir import read_json
from huggingtweets.errors import BotError, HuggingtweetsError
from huggingtweets.posts import Account
from huggingtweets.reports import FLEET_FILE, EvalReport, FleetCounts, Sample
from huggingtweets.stages.describing import chosen_preview, read_accounts
from huggingtweets.web.records import WAITS_IN, BotRow, Job, Prediction
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store

SAMPLES = 6  # of a bot, beside its name
FLEET_SILENT_S = 120.0  # a fleet that has said nothing for so long is not at work

RESERVED = frozenset(  # first segments that are pages of ours; a bot of that name is at /~NAME
    (
        *("about", "api", "bots", "forget", "gradio", "gradio_api", "health", "jobs", "login", "logout", "make", "me"),
        *("reports", "static", "uploads", "favicon.ico", "openapi.json", "robots.txt", "sitemap.xml"),
    )
)

_NAME = re.compile(r"[\w-][\w.-]{0,127}")


def url_of(bot: str, id: str = "") -> str:
    """
    >>> url_of("nasa"), url_of("nasa", "k3x"), url_of("bots")
    ('/nasa', '/nasa/k3x', '/~bots')
    """
    name = f"~{quote(bot, safe='')}" if bot in RESERVED else quote(bot, safe="")
    return f"/{name}/{id}" if id else f"/{name}"


def bot_named(settings: WebSettings, name: str) -> Bot:
    """The bot of a name, as it stands in a URL too; raises BotError, which names no other bot."""
    plain = name.removeprefix("~")
    if _NAME.fullmatch(plain):
        bot = Bot(settings.bots_dir / plain)
        if bot.dir.record.is_file():
            return bot
    raise BotError(f"There is no bot {plain[:80]!r} here.")


def avatar_of(bot: Bot, file: str) -> Path:
    """The file of a face; raises BotError for what is none of this bot's faces."""
    if file in {Path(account.avatar).name for account in _accounts(bot) if account.avatar}:
        path = bot.dir.avatars / file
        if path.is_file():
            return path
    raise BotError("There is no such picture.")


def bot_view(store: Store, bot: Bot) -> dict[str, Any]:
    """Raises BotError for a damaged bot."""
    return _bot_view(bot, store.bot(bot.name) or BotRow(bot.name), store.count_predictions([bot.name]))


def bots_found(settings: WebSettings, search: str = "") -> list[Bot]:
    """Those whose name holds this, by name; none of them is looked into."""
    return [bot for bot in list_bots(settings.bots_dir) if search.strip().lower() in bot.name]


def newest_bots(settings: WebSettings) -> list[Bot]:
    """Those that have a model, the last one made first."""
    found = []
    for bot in list_bots(settings.bots_dir):
        with contextlib.suppress(OSError):  # no model yet, or no more
            found.append((bot.dir.model.stat().st_mtime, bot))
    return [bot for _, bot in sorted(found, key=lambda one: -one[0])]


def bot_views(store: Store, bots: Sequence[Bot]) -> list[dict[str, Any]]:
    """Of those that can be read; each costs some milliseconds, so ask for as many as are shown."""
    rows, counts, views = store.bots(), store.count_predictions([bot.name for bot in bots]), []
    for bot in bots:
        try:
            views.append(_bot_view(bot, rows.get(bot.name) or BotRow(bot.name), counts))
        except (HuggingtweetsError, OSError):  # damaged, being made or being removed
            continue
    return views


def _bot_view(bot: Bot, row: BotRow, predictions: Mapping[str, int]) -> dict[str, Any]:
    dataset, training, scores = bot.dataset, bot.training, bot.scores
    return {
        "name": bot.name,
        "url": url_of(bot.name),
        "accounts": [_account_view(bot, account) for account in _accounts(bot)],
        "picture": f"{url_of(bot.name)}/preview.png" if bot.dir.picture.is_file() else None,
        "base": base_name(training.base, training.base_id) if training else None,
        "parameters": training.parameters if training else None,
        "kept": sum(counts.kept for counts in dataset.counts.values()) if dataset else None,
        "language": dataset.language if dataset else None,
        "scores": _scores_view(scores) if scores else None,
        "trained": training is not None and is_model(bot.dir.model),
        "published": row.published,
        "samples": [one.text for one in bot.samples if one.prompt and one.copied_from is None][:SAMPLES],
        "predictions": predictions.get(bot.name, 0),
    }


def fleet_view(settings: WebSettings) -> dict[str, Any] | None:
    """Of the fleet that makes bots in this folder (see `fleet`); None where there is none, or it has ended."""
    try:
        record = read_json(settings.bots_dir / FLEET_FILE)
        counts = FleetCounts.from_json(record["counts"])
        told = datetime.fromisoformat(record["updated"])
        if record["is_over"] or not counts.all:
            return None
        rate, left_s = record["bots_an_hour"], record["seconds_left"]
        return {
            "counts": {**counts.to_json(), "all": counts.all},
            "bots_an_hour": None if rate is None else float(rate),
            "seconds_left": None if left_s is None else float(left_s),
            "at_work": (datetime.now(UTC) - told).total_seconds() < FLEET_SILENT_S,
            "words": _fleet_words(counts, rate, left_s),
        }
    except (BotError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _fleet_words(counts: FleetCounts, rate: float | None, left_s: float | None) -> str:
    """
    >>> _fleet_words(FleetCounts(done=412, running=2, failed=3, waiting=583), 31.4, 65_000)
    '412 of 1,000 done, 3 set aside, 31 an hour, about 18 hours left'
    """
    parts = [f"{counts.done:,} of {counts.all:,} done"]
    parts += [f"{counts.failed:,} set aside"] if counts.failed else []
    parts += [f"{rate:,.0f} an hour"] if rate else []
    if left_s:
        hours, minutes = left_s / 3600, max(1, round(left_s / 60))
        parts.append(f"about {hours:,.0f} hours left" if hours >= 1.5 else f"about {minutes} min left")
    return ", ".join(parts)


def _accounts(bot: Bot) -> list[Account]:
    return read_accounts(bot.dir) if bot.dir.accounts.is_file() else []


def _account_view(bot: Bot, account: Account) -> dict[str, Any]:
    face = Path(account.avatar).name if account.avatar else ""
    profile = account.url or ""
    return {
        "name": account.name,
        "handle": account.handle,
        "avatar": f"{url_of(bot.name)}/avatars/{quote(face)}" if face and (bot.dir.avatars / face).is_file() else None,
        "url": profile if profile.startswith(("https://", "http://")) else None,
    }


def _scores_view(scores: EvalReport) -> dict[str, Any]:
    return {
        "base_bits": scores.base.bits_per_byte if scores.base else None,
        "bot_bits": scores.bot.bits_per_byte if scores.bot else None,
        "gain": scores.gain,
        "copied": scores.copying.share,
        "own_copied": scores.copying.own_share,
    }


def base_name(base: str, base_id: str = "") -> str:
    """What a base is called.

    >>> base_name("smollm2"), base_name("owner/model", "owner/model"), base_name("/srv/models/tiny", "tiny")
    ('smollm2', 'owner/model', 'tiny')
    """
    if "/" not in base and "\\" not in base:
        return base
    return base_id or (base if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", base) else PurePath(base).name)


def prediction_view(bot: Bot, prediction: Prediction) -> dict[str, Any]:
    return prediction_views(bot, [prediction])[0]


def prediction_views(bot: Bot, predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    preview = preview_of(bot)
    return [_prediction_view(one, preview) for one in predictions]


def preview_of(bot: Bot) -> Sample | None:
    """What was chosen for the bot's picture; None for nothing, and for a record that can't be read."""
    try:
        return chosen_preview(bot.dir)
    except BotError:
        return None


def _prediction_view(one: Prediction, preview: Sample | None) -> dict[str, Any]:
    told = ("id", "bot", "start", "text", "number", "seed", "temperature", "top_p", "max_length")
    url = url_of(one.bot, one.id)
    again = ("start", "seed", "temperature", "top_p", "max_length")
    return {name: getattr(one, name) for name in told} | {
        "url": url,
        "picture": f"{url}.png",
        "copied": one.copied_from is not None,
        "copied_from": one.copied_from,
        "created": one.created,
        "play_url": f"{url_of(one.bot)}?{urlencode({name: getattr(one, name) for name in again})}",
        "is_preview": preview is not None and (preview.prompt, preview.text) == (one.start, one.text),
        "ai_generated": True,
    }


def job_view(store: Store, job: Job) -> dict[str, Any]:
    told = ("id", "state", "bot", "minutes", "straight", "error", "created", "changed")
    return {name: getattr(job, name) for name in told} | {
        "titles": list(job.titles),
        "base": base_name(job.base),
        "ahead": store.place_in_line(job) if job.state in WAITS_IN.values() else None,
        "progress": dict(job.progress),
        "url": f"/make/{job.id}",
        "bot_url": url_of(job.bot) if job.state == "done" else None,
    }
