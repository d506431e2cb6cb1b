"""What a visitor asks for becomes a job, and what they say later moves it on.

In: accounts as typed, uploads by id, a word on whose they are. Out: the job, in line; or a refusal in words.

- What is typed here names accounts on networks and nothing else: it never opens a file of the server's.
- A job belongs to who asked for it. A bot of that name that is somebody else's, or being made by them, is left alone:
  a number is added.
- Only the steps that `Job` draws are possible; two at once, and the later one is told so.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from huggingtweets.botdir import BotDir, bot_name
from huggingtweets.config import MAX_ACCOUNTS, ImportSettings, TrainingSettings
from huggingtweets.consent import Word
from huggingtweets.errors import SettingsError
from huggingtweets.sources import recognise, recognise_account
from huggingtweets.sources.base import Source
from huggingtweets.web.answers import Refusal
from huggingtweets.web.records import OVER, BotRow, Job, JobState, Visitor
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from huggingtweets.web.uploads import uploaded

DAY_S = 24 * 3600.0
LONGEST_ACCOUNT = 300  # characters; a DID or a page's address has fewer
LONGEST_REASON = 500
MOST_MINUTES = 24 * 60.0


def order(
    settings: WebSettings,
    store: Store,
    visitor: Visitor,
    *,
    accounts: Sequence[str] = (),
    uploads: Sequence[str] = (),
    name: str | None = None,
    base: str | None = None,
    minutes: float | None = None,
    straight: bool = False,
    word: Mapping[str, Any] | None = None,
) -> Job:
    """A new job, in line. Raises SettingsError, SourceError and Refusal; nothing is fetched yet."""
    _check_quota(settings, store, visitor)
    files = [uploaded(settings, id) for id in uploads]
    sources = [*map(_account, accounts), *(recognise(str(file), ImportSettings()) for file in files)]
    if not 1 <= len(sources) <= MAX_ACCOUNTS:
        raise SettingsError(f"A bot is made of one to {MAX_ACCOUNTS} voices, not {len(sources) or 'none'}.")
    job = Job(
        owner=visitor.id,
        specs=(*(source.spec for source in sources[: len(accounts)]), *map(str, files)),
        titles=(*(account.strip() for account in accounts), *(file.name for file in files)),
        bot=_free_name(settings, store, visitor, bot_name([name] if name else [one.handle for one in sources])),
        base=_base(settings, base),
        minutes=_minutes(settings, minutes),
        straight=straight,
        word=asdict(_word(word or {})),
    )
    return store.add_job(job)


def answer_word(store: Store, job: Job, word: Mapping[str, Any]) -> Job:
    """What the consent gate asked for was said; what had been said before counts on."""
    said, before = _word(word), _word(job.word)
    said = replace(said.over(before), price=said.price or before.price)  # `over` asks for it anew with each command
    return _moved(store.change_job(job.id, expect={"word"}, state="queued", word=asdict(said), error=None))


def train(
    settings: WebSettings, store: Store, job: Job, *, minutes: float | None = None, base: str | None = None
) -> Job:
    """The posts were looked at, and are fine."""
    chosen = {"minutes": _minutes(settings, minutes, job.minutes), "base": _base(settings, base, job.base)}
    return _moved(store.change_job(job.id, expect={"ready"}, state="waiting", **chosen))


def cancel(store: Store, job: Job) -> Job:
    """At once where nobody works on it; else its worker stops at its next breath."""
    ended = store.change_job(job.id, expect={"queued", "word", "ready", "waiting"}, state="cancelled", cancel=True)
    return ended or _moved(store.change_job(job.id, expect={"reading", "training"}, cancel=True))


def retry(settings: WebSettings, store: Store, job: Job) -> Job:
    """From where it was: stages that are done are skipped."""
    has_posts = BotDir(settings.bots_dir / job.bot).dataset_report.exists()
    state: JobState = "waiting" if has_posts and job.progress.get("lane") == "train" else "queued"
    afresh = {"state": state, "error": None, "cancel": False, "attempts": 0}
    return _moved(store.change_job(job.id, expect={"failed", "cancelled"}, **afresh))


def _moved(job: Job | None) -> Job:
    if job is None:
        raise Refusal(
            "not_allowed", "That is not possible any more: the job has moved on.", next="Load the page again."
        )
    return job


def _check_quota(settings: WebSettings, store: Store, visitor: Visitor) -> None:
    if visitor.has_quota and store.jobs_since(visitor.id, time.time() - DAY_S) >= settings.bots_a_day:
        raise Refusal(
            "too_many", f"One person may make {settings.bots_a_day} bots a day here.", next="Come back tomorrow."
        )


def _account(typed: str) -> Source:
    if len(typed) > LONGEST_ACCOUNT:
        raise SettingsError(f"An account's name has at most {LONGEST_ACCOUNT} characters.")
    return recognise_account(typed, ImportSettings())


def _base(settings: WebSettings, chosen: str | None, before: str | None = None) -> str:
    base = chosen or before or settings.base
    if base not in settings.bases:
        raise SettingsError(f"There is no base {base[:80]!r} here.", next=f"choose {' or '.join(settings.bases)}")
    return base


def _minutes(settings: WebSettings, chosen: float | None, before: float | None = None) -> float | None:
    minutes = next((value for value in (chosen, before) if value is not None), settings.minutes)
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        raise SettingsError(f"A training here takes up to {MOST_MINUTES:g} minutes, not {minutes:g}.")
    return TrainingSettings(minutes=minutes).minutes


def _word(said: Mapping[str, Any]) -> Word:
    """Of what a browser sent; a choice that contradicts itself is a SettingsError."""
    permission = str(said.get("permission") or "").strip()[:LONGEST_REASON] or None
    flags = {name: said.get(name) is True for name in ("mine", "terms", "price")}
    return Word(permission=permission, **flags)


def _free_name(settings: WebSettings, store: Store, visitor: Visitor, name: str) -> str:
    """The name, or the first with a number that is nobody else's."""
    for number in itertools.count(1):
        tried = name if number == 1 else f"{name[:90]}-{number}"
        if _is_theirs(settings, store, visitor, tried):
            return tried
    raise AssertionError("unreachable")


def _is_theirs(settings: WebSettings, store: Store, visitor: Visitor, name: str) -> bool:
    """Free, or the same visitor's; what was made at the machine itself belongs to its owner."""
    owners = {job.owner for job in store.jobs_of(name) if job.state not in OVER}
    folder = BotDir(settings.bots_dir / name)
    if folder.record.exists() or (folder.path.exists() and not folder.partial.exists()):  # a download is nobody's yet
        owners.add((store.bot(name) or BotRow(name)).owner)
    return owners <= {visitor.id}
