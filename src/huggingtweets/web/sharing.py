"""What was written is shown, chosen, and taken down again.

In: a prediction, or somebody's complaint. Out: its picture; the bot's card with it; or nothing of it any more.

- A prediction's picture is drawn when it is first asked for and kept, in a folder for each bot, which goes with it.
- A prediction that a visitor chooses becomes the bot's own preview (see `stages.describing`): on its card, its picture,
  and wherever it is published next.
- Whoever forgets a bot here forgets its accounts: every bot made of them goes, with predictions, pictures, uploads and
  jobs, and they can't be made again by accident.

What a browser is told of all this is in `views`.
"""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from huggingtweets import lineage, stages
from huggingtweets.bot import Bot
from huggingtweets.botdir import write_atomically
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.photos import read_photo
from huggingtweets.pipeline import settings_of
from huggingtweets.reports import Sample, silent
from huggingtweets.stages.describing import choose_preview, read_accounts
from huggingtweets.upkeep import Forgotten, forget
from huggingtweets.web.orders import cancel
from huggingtweets.web.records import OVER, Complaint, Job, Prediction
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from huggingtweets.web.uploads import remove_upload
from huggingtweets.web.views import (
    RESERVED,
    avatar_of,
    base_name,
    bot_named,
    bot_view,
    bot_views,
    bots_found,
    fleet_view,
    job_view,
    newest_bots,
    prediction_view,
    prediction_views,
    preview_of,
    url_of,
)

__all__ = [
    "OUTCOMES",
    "RESERVED",
    "avatar_of",
    "base_name",
    "bot_named",
    "bot_view",
    "bot_views",
    "bots_found",
    "face_of",
    "fleet_view",
    "forget_account",
    "hide",
    "job_view",
    "make_preview",
    "newest_bots",
    "picture_of",
    "prediction_view",
    "prediction_views",
    "settle",
    "url_of",
]

OUTCOMES = {"hide": "hidden", "forget": "forgotten", "dismiss": "dismissed"}  # by action

FACE_PIXELS = 144  # the largest a page shows, on a dense screen

_drawing = threading.Lock()  # one picture at a time: a tenth of a second each, and no page is worth all cores


def picture_of(settings: WebSettings, bot: Bot, prediction: Prediction) -> Path:
    """The file of its picture."""
    path = _pictures(settings, bot.name) / f"{prediction.id}.png"
    if not path.exists():
        with _drawing:
            if not path.exists():
                write_atomically(path, [_drawn(bot, prediction)])
    return path


def _drawn(bot: Bot, prediction: Prediction) -> bytes:
    from huggingtweets.picture import Face, draw_picture

    faces = [
        Face(account.name, account.handle, bot.dir.avatars / Path(account.avatar).name if account.avatar else None)
        for account in read_accounts(bot.dir)
    ]
    return draw_picture(faces or [Face(bot.name, "", None)], prediction.start, prediction.text)


def _pictures(settings: WebSettings, bot: str) -> Path:
    return settings.state_dir / "pictures" / bot


def face_of(settings: WebSettings, bot: Bot, file: str) -> Path:
    """A small copy of one of a bot's faces, made once; raises BotError where there is none that can be shown."""
    from PIL import Image, ImageOps

    source = avatar_of(bot, file)
    path = _pictures(settings, bot.name) / "faces" / f"{file}-{source.stat().st_mtime_ns}.webp"
    if not path.exists():
        photo = read_photo(source)
        if photo is None:
            raise BotError("There is no such picture.")
        small = io.BytesIO()
        try:
            with Image.open(io.BytesIO(photo)) as image:
                face = ImageOps.fit(image.convert("RGBA"), (FACE_PIXELS, FACE_PIXELS))
            face.save(small, "WEBP", quality=85)
        except (OSError, ValueError) as error:  # what Pillow makes of a damaged picture
            raise BotError("There is no such picture.") from error
        write_atomically(path, [small.getvalue()])
    return path


def make_preview(bot: Bot, prediction: Prediction) -> None:
    """The bot's card and picture show it from now on; raises BotError while the bot is at work."""
    with bot.dir.locked():
        if prediction.weights != (bot.dir.stage("train") or {}).get("weights"):
            raise BotError(f"{bot.name} was trained again since it wrote this.", next="choose one that it wrote since")
        choose_preview(bot.dir, Sample(prediction.start, prediction.text, prediction.copied_from))
        _describe(bot)


def _describe(bot: Bot) -> None:
    stages.describe(bot.dir, settings_of(bot.dir), silent)
    lineage.record(bot.dir)


def hide(settings: WebSettings, store: Store, prediction: Prediction, hidden: bool = True) -> None:
    """Takes a prediction down, from the bot's card too, or shows it again; raises BotError while the bot is at work."""
    store.hide_prediction(prediction.id, hidden)  # first: whatever happens next, its page is gone
    if not hidden:
        return
    (_pictures(settings, prediction.bot) / f"{prediction.id}.png").unlink(missing_ok=True)
    bot = Bot(settings.bots_dir / prediction.bot)
    preview = preview_of(bot)
    if preview is not None and (preview.prompt, preview.text) == (prediction.start, prediction.text):
        with bot.dir.locked():
            choose_preview(bot.dir, None)
            _describe(bot)


def settle(settings: WebSettings, store: Store, complaint: Complaint, action: str) -> Complaint:
    """Does what a complaint asks for, or dismisses it; returns it closed. Safe to repeat.

    Raises SettingsError for an action that can't be meant, BotError while the bot is at work.
    """
    if action not in OUTCOMES:
        raise SettingsError(f"A report can be settled by {', '.join(OUTCOMES)}, not {action[:20]!r}.")
    if action == "hide":
        prediction = store.prediction(complaint.prediction)
        if prediction is None:
            raise SettingsError("This report is of the whole bot: it can be forgotten, or the report dismissed.")
        hide(settings, store, prediction)
    elif action == "forget":
        _forget_accounts_of(settings, store, complaint.bot)
    store.close_complaint(complaint.id, OUTCOMES[action])
    return replace(complaint, outcome=OUTCOMES[action])


def _forget_accounts_of(settings: WebSettings, store: Store, name: str) -> None:
    bot = Bot(settings.bots_dir / name)
    accounts = [account.handle for account in read_accounts(bot.dir)] if bot.dir.accounts.exists() else []
    _stop_jobs_of(store, [name])
    for account in accounts:
        forget_account(settings, store, account)
    _remove(settings, store, name)  # where its folder was gone before


def forget_account(settings: WebSettings, store: Store, account: str) -> Forgotten:
    """Every bot of an account goes, here and on disk; raises BotError while one of them is at work."""
    names = [Path(path).name for path in forget(account, bots_dir=settings.bots_dir, dry_run=True).bots]
    _stop_jobs_of(store, names)
    done = forget(account, bots_dir=settings.bots_dir)
    for name in dict.fromkeys([*names, *(Path(path).name for path in done.bots)]):
        _remove(settings, store, name)
    return done


def _stop_jobs_of(store: Store, bots: Sequence[str]) -> None:
    """What waits is cancelled; what works is told to stop, which takes it a moment."""
    stopped = [cancel(store, job) for job in _unfinished(store, bots)]
    if any(job.state not in OVER for job in stopped):
        raise BotError("A bot of this account is being made.", why="It was told to stop.", next="try again in a moment")


def _unfinished(store: Store, bots: Sequence[str]) -> list[Job]:
    return [job for bot in bots for job in store.jobs_of(bot) if job.state not in OVER]


def _remove(settings: WebSettings, store: Store, bot: str) -> None:
    for job in store.jobs_of(bot):
        for spec in job.specs:
            remove_upload(settings, spec)
    store.forget_bot(bot)
    shutil.rmtree(_pictures(settings, bot), ignore_errors=True)
