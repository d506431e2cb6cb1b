"""What the page shows of a job at work. In: the pipeline's events. Out: the JSON that `Job.progress` holds.

    {"lane", "phase", "label", "fraction", "seconds_left", "step", "steps", "loss": [[step, loss], ...], "notices",
     "counts", "samples", "accounts", "warnings", "language", "base_bits", "bot_bits", "copied"}

- `fraction` is of the lane: reading up to the sample posts, or training up to the finished card. A stage's share of it
  is fixed, so the bar never runs back.
- The loss curve has at most 240 points, thinned evenly; after a restart it begins with what the bot's log holds.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Any

from huggingtweets.bot import Bot
from huggingtweets.botdir import BotDir, read_jsonl
from huggingtweets.dataset import read_texts
from huggingtweets.errors import BotError
from huggingtweets.reports import Advanced, Event, Notice, StageDone, StageStarted
from huggingtweets.stages.describing import read_accounts
from huggingtweets.web.records import Lane

SHARES: dict[Lane, dict[str, tuple[float, float]]] = {  # of the lane's whole: where a stage begins and ends
    "read": {"download": (0.0, 0.8), "build": (0.8, 1.0)},
    "train": {"train": (0.0, 0.85), "evaluate": (0.85, 0.97), "card": (0.97, 1.0)},
}
CURVE_POINTS = 240
SHOWN_NOTICES = 20
SHOWN_SAMPLES = 6


class Progress:
    """Grows with every event; `facts` is the JSON."""

    def __init__(self, lane: Lane, bot: BotDir, before: dict[str, Any], clock: Callable[[], float] = time.monotonic):
        self._lane, self._bot, self._clock = lane, bot, clock
        self._begun = clock()
        self._curve = Curve()
        self.facts: dict[str, Any] = {**before, "lane": lane, "fraction": 0.0, "seconds_left": None, "notices": []}

    def hear(self, event: Event) -> None:
        match event:
            case StageStarted(stage, label):
                self._begin(stage, label)
            case Advanced():
                self._advance(event)
            case StageDone(stage):
                self._end(stage)
            case Notice(text, warning):
                self.facts["notices"] = [*self.facts["notices"], {"text": text, "warning": warning}][-SHOWN_NOTICES:]

    def _begin(self, stage: str, label: str) -> None:
        self._begun = self._clock()
        self.facts |= {"phase": stage, "label": label, "seconds_left": None}
        if stage == "train":
            self._curve = Curve()
            for step, loss in _logged(self._bot):
                self._curve.add(step, loss)

    def _advance(self, event: Advanced) -> None:
        start, end = SHARES[self._lane].get(event.stage, (0.0, 1.0))
        if event.total:
            self.facts["fraction"] = round(start + (end - start) * min(1.0, event.done / event.total), 4)
        self.facts["seconds_left"] = self._seconds_left(event)
        if event.stage == "train":
            self.facts |= {"step": int(event.done), "steps": int(event.total) if event.total else None}
            self._curve.add(int(event.done), event.values["loss"])
            self.facts["loss"] = self._curve.points

    def _seconds_left(self, event: Advanced) -> float | None:
        """Of this stage, as fast as it went so far; a resumed training brings its own clock."""
        if not event.total or not event.done:
            return None
        spent_s = event.values.get("seconds", self._clock() - self._begun)
        return round(spent_s / event.done * (event.total - event.done), 1)

    def _end(self, stage: str) -> None:
        self.facts["fraction"] = SHARES[self._lane].get(stage, (0.0, 1.0))[1]
        self.facts["seconds_left"] = None
        if stage == "build":
            self.facts |= read_facts(self._bot)
        elif stage == "evaluate":
            self.facts |= scored_facts(self._bot)


def read_facts(bot: BotDir) -> dict[str, Any]:
    """What the posts are, once they are cleaned."""
    report = Bot(bot.path).dataset
    if report is None:
        return {}
    counts = {
        handle: {"downloaded": one.downloaded, "kept": one.kept, "dropped": one.dropped}
        for handle, one in report.counts.items()
    }
    texts = itertools.islice(read_texts(bot.train_posts), SHOWN_SAMPLES)
    faces = [{"name": one.name, "handle": one.handle, "avatar": one.avatar} for one in read_accounts(bot)]
    return {
        "counts": counts,
        "samples": [text.text for text in texts],
        "accounts": faces,
        "warnings": list(report.warnings),
        "language": report.language,
    }


def scored_facts(bot: BotDir) -> dict[str, Any]:
    """How good it is, once that is known."""
    scores = Bot(bot.path).scores
    if scores is None:
        return {}
    bits = {name: held.bits_per_byte if held else None for name, held in (("base", scores.base), ("bot", scores.bot))}
    return {"base_bits": bits["base"], "bot_bits": bits["bot"], "copied": scores.copying.share}


class Curve:
    """At most so many points of a curve that goes on and on, evenly; the first and the last are always among them.

    >>> curve = Curve(4)
    >>> for step in range(1, 11):
    ...     curve.add(step, 10 - step)
    >>> curve.points
    [[1, 9], [5, 5], [9, 1], [10, 0]]
    """

    def __init__(self, most: int = CURVE_POINTS) -> None:
        self._most = most
        self._kept: list[list[float]] = []
        self._gap = 1  # steps between two points that are kept
        self._last: list[float] = []

    def add(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            return
        while self._kept and self._kept[-1][0] >= step:  # training goes on from before the log's last line
            self._kept.pop()
        self._last = [step, round(loss, 4)]
        if self._kept and step < self._kept[-1][0] + self._gap:
            return
        self._kept.append(self._last)
        if len(self._kept) >= self._most:
            self._kept, self._gap = self._kept[::2], 2 * self._gap

    @property
    def points(self) -> list[list[float]]:
        return [*self._kept, *([self._last] if self._kept and self._last is not self._kept[-1] else [])]


def _logged(bot: BotDir) -> list[tuple[int, float]]:
    """The curve up to where an interrupted training goes on from; none where it begins anew."""
    if not any(bot.checkpoint.glob("*")):
        return []
    try:
        return [(int(line["step"]), float(line["loss"])) for line in read_jsonl(bot.train_log)]
    except (BotError, KeyError, TypeError, ValueError):  # a line that was being written when it was stopped
        return []
