"""`sync`: what was recorded in a bot's folder goes to W&B.

In: a bot with runs that wait. Out: the same runs at W&B, their artifacts tied together as they would have been online.

- W&B's own `wandb sync` uploads; which artifact a run made or used stands in the run's log already (see `client`).
- What is not recorded yet is recorded first, from the bot's folder: a recording may have been cut off, or not wanted
  at the time.
- Safe to repeat: what has arrived is left alone, and what is sent twice is taken once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingtweets.botdir import BotDir
from huggingtweets.errors import BotError, PublishError
from huggingtweets.reports import Event, Listener, Notice, StageDone, StageStarted, silent
from huggingtweets.tracking.journal import PARTS, Journal, Recorded, arrived, part_keys
from huggingtweets.tracking.listening import child_environment, tracker
from huggingtweets.tracking.reach import Knock, answers, base_url, wish

UPLOAD_S = 60.0  # a server that takes longer has stopped answering, which W&B's tool would wait hours for
BYTES_PER_S = 50_000  # more time for what is large, over a slow line


def sync(bot: BotDir, listen: Listener = silent, *, knock: Knock = answers) -> list[str]:
    """Uploads what waits; returns the addresses of all runs that are there, as far as W&B says them.

    Raises PublishError when there is nothing yet, nobody is logged in, nobody answers, or not everything was taken.
    """
    journal, again = Journal(bot), f"huggingtweets sync {bot.name}"
    if not part_keys(bot):
        raise PublishError(f"There is nothing of {bot.name} to record yet.", next=f"huggingtweets build {bot.name}")
    try:
        wish("online", os.environ, Path.home())
    except PublishError as error:
        raise PublishError(error.what, next=f"wandb login, then {again}") from error
    url = base_url(os.environ, Path.home())
    if not knock(url):
        raise PublishError(f"{url} does not answer.", next=f"{again}, once there is a network")
    listen(StageStarted("sync", "Sending to Weights & Biases"))
    _record_rest(bot, listen)
    with journal.locked():
        waiting = [run for run in journal.read() if run.waiting]
        for run in waiting:  # one after the other: what a run used has to be there before it
            said = _upload(bot, run.waiting)
            if _note_arrivals(journal, run, said):
                raise PublishError(
                    f"Weights & Biases did not take everything: {_reason(said)}",
                    next=f"wait a while, or wandb login --relogin, then {again}",
                )
        shutil.rmtree(journal.folder / "artifacts", ignore_errors=True)  # copies for the upload
    listen(StageDone("sync", run_url(bot) or "all runs are there", skipped=not waiting))
    return [run.url for run in journal.read() if run.url]


def run_url(bot: BotDir) -> str | None:
    """Where the run of this very training is at W&B, as soon as it is there and says so."""
    try:
        run, key = Journal(bot).latest("train"), part_keys(bot).get("train")
    except BotError:  # a damaged record, which is no reason to fail for whoever asks
        return None
    return run.url if run is not None and run.done.get("train", key) == key else None


def _record_rest(bot: BotDir, listen: Listener) -> None:
    stage = next((part for part in reversed(PARTS) if part in part_keys(bot)), None)
    if stage is not None and Journal(bot).missing(stage):
        with tracker(bot, "offline", lambda event: _warn(event, listen)) as hear:
            hear(StageDone(stage, "", skipped=True))


def _warn(event: Event, listen: Listener) -> None:
    if isinstance(event, Notice) and event.warning:
        listen(event)


def _upload(bot: BotDir, folders: Sequence[str]) -> str:
    """Returns what W&B's tool said; which folders have arrived is seen by its marks."""
    for folder in folders:
        for mark in (bot.path / folder).glob("*.synced"):
            mark.unlink()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "wandb", "sync", "--include-online", *folders],
            cwd=bot.path,
            env=child_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=UPLOAD_S + _size(bot.path / "wandb") / BYTES_PER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it took too long"
    finally:
        _tidy(bot.path / "wandb")
    return done.stdout


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _tidy(folder: Path) -> None:
    """What the tool leaves behind for its makers, with the user's name in it."""
    for name in ("cache", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for log in folder.glob("debug-cli.*"):
        log.unlink(missing_ok=True)


def _note_arrivals(journal: Journal, run: Recorded, said: str) -> list[str]:
    """Returns what of the run has not arrived."""
    found = re.search(rf"https?://\S+/runs/{re.escape(run.id)}\b", said)
    for folder in run.waiting:
        if any((journal.bot.path / folder).glob("*.synced")):
            run = arrived(run, folder, found[0] if found else None)
    journal.put(run)
    return run.waiting


def _reason(said: str) -> str:
    """W&B's last word, without its own name in front.

    >>> _reason("wandb: Syncing 1 run(s):\\nwandb: ERROR [a/b] Failed: no.\\n")
    '[a/b] Failed: no.'
    """
    lines = [re.sub(r"^wandb: (?:ERROR |WARNING )?", "", line).strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if line), "it gave no reason")
