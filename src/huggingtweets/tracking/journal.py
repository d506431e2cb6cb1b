"""`wandb/runs.json`: what was recorded of a bot, and what of that has arrived.

In: the bot's folder. Out: the runs, and which parts of the bot are not recorded yet as they are now.

- A part is a stage whose outcome belongs into a run. It is recorded under the stage's key, so that nothing is recorded
  twice and whatever changed is recorded again, by whichever command comes next.
- Only the recording process and `sync` write here, one of them at a time; `bot.json` stays with the pipeline.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from huggingtweets.botdir import BotDir, file_digest, key_of, make_folder, read_as, write_json
from huggingtweets.errors import BotError
from huggingtweets.places import read_places
from huggingtweets.reports import Report

Job = Literal["preprocess", "train"]

PARTS: dict[str, Job] = {
    "build": "preprocess",
    "train": "train",
    "evaluate": "train",
    "card": "train",
    "publish": "train",
}  # in the order in which they are recorded, each with the run it belongs to
WITH_POSTS = "+posts"  # in the key of what was recorded with the posts themselves
LOCK_S = 30.0  # longer than an earlier recorder takes to finish


@dataclass(frozen=True)
class Recorded(Report):
    """One run of W&B's, as far as it is known here."""

    id: str
    job: Job
    of: str  # digest of what it works on: a training that goes on is of the same
    online: bool
    url: str | None = None
    done: dict[str, str] = field(default_factory=dict)  # key by part
    folders: dict[str, bool] = field(default_factory=dict)  # of the run, inside the bot's; whether W&B has all of it

    @property
    def waiting(self) -> list[str]:
        """What still has to be uploaded, oldest first."""
        return [folder for folder, arrived in self.folders.items() if not arrived]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Recorded:
        return super().from_json({**record, "done": dict(record["done"]), "folders": dict(record["folders"])})


@dataclass(frozen=True)
class Journal:
    """All runs of a bot, oldest first."""

    bot: BotDir

    @property
    def folder(self) -> Path:
        return self.bot.path / "wandb"

    @property
    def path(self) -> Path:
        return self.folder / "runs.json"

    def read(self) -> list[Recorded]:
        """Raises BotError when it is damaged."""
        return read_as(self.path, _runs) if self.path.exists() else []

    def put(self, run: Recorded) -> None:
        """Adds a run, or what is new of one."""
        others = self.read()
        places = {other.id: number for number, other in enumerate(others)}
        if run.id in places:
            others[places[run.id]] = run
        else:
            others.append(run)
        self._write(others)

    def drop(self, run: Recorded) -> None:
        self._write([other for other in self.read() if other.id != run.id])

    def _write(self, runs: list[Recorded]) -> None:
        write_json(self.path, {"format": 1, "runs": [run.to_json() for run in runs]})

    def latest(self, job: Job) -> Recorded | None:
        return next((run for run in reversed(self.read()) if run.job == job), None)

    def home(self, part: str, keys: Mapping[str, str]) -> Recorded | None:
        """The run that holds what the part belongs to, as it is now: this dataset's, or this training's."""
        first = "build" if part == "build" else "train"
        return next((run for run in reversed(self.read()) if _is_of(run, first, keys.get(first))), None)

    def missing(self, stage: str, *, posts: bool = False) -> list[str]:
        """Parts up to a stage that are not recorded as they are now; with the card, where the bot is published."""
        order = list(PARTS)
        if stage not in PARTS:
            return []
        keys = part_keys(self.bot)
        up_to = order if stage == "card" else order[: order.index(stage) + 1]
        return [part for part in up_to if part in keys and not self._has(part, keys, posts)]

    def _has(self, part: str, keys: Mapping[str, str], posts: bool) -> bool:
        run = self.home(part, keys)
        if run is None or not _is_of(run, part, keys[part]):
            return False
        return not (posts and part == "build") or run.done[part].endswith(WITH_POSTS)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other recorders away; raises BotError when one doesn't end."""
        from filelock import FileLock, Timeout

        make_folder(self.folder)
        try:
            with FileLock(self.folder / ".lock", timeout=LOCK_S):
                yield
        except Timeout:
            raise BotError(
                f"Another process is recording {self.bot.name}.", next="wait for it, then run the same command again"
            ) from None


def _runs(record: Mapping[str, Any]) -> list[Recorded]:
    return [Recorded.from_json(run) for run in record["runs"]]


def _is_of(run: Recorded, part: str, key: str | None) -> bool:
    return key is not None and run.done.get(part, "").removesuffix(WITH_POSTS) == key


def part_keys(bot: BotDir) -> dict[str, str]:
    """The key of every part that is there and fits what is before it; of what is published, the commit."""
    stages = bot.read_record()["stages"]
    train, evaluate = stages.get("train", {}), stages.get("evaluate", {})
    fitting = {"build"}
    if train.get("data") == _data_digest(bot):
        fitting.add("train")
        if evaluate.get("weights") == train.get("weights"):
            fitting |= {"evaluate", "card"}
    keys = {part: str(stages[part]["key"]) for part in PARTS if part in stages and part in fitting}
    if "evaluate" not in keys:
        keys.pop("card", None)
    place = read_places(bot).now
    if place is not None and place.commit is not None and "train" in keys:
        keys["publish"] = place.commit
    return keys


def _data_digest(bot: BotDir) -> str | None:
    """As `stages` computes it for a training."""
    files = (bot.train_posts, bot.holdout_posts)
    return key_of(*map(file_digest, files)) if all(file.exists() for file in files) else None


def arrived(run: Recorded, folder: str, url: str | None) -> Recorded:
    """
    >>> run = Recorded("a1", "train", "", False, folders={"wandb/offline-run-1": False})
    >>> arrived(run, "wandb/offline-run-1", "https://wandb.example/a1").waiting
    []
    """
    return replace(run, url=url or run.url, folders={**run.folders, folder: True})
