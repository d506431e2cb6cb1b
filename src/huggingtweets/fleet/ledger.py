"""How far each bot of a fleet is, and the whole: what `fleet.json`, the terminal and the gallery show.

waiting → opening → opened → reading → read → training → made → publishing → done, and from anywhere to failed, which
is what being set aside is. States that begin with what is over lose nothing when everything is killed: the folders
know.

Not covered: deciding what is next (`driving`).
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from huggingtweets.fleet.members import Failed, Member, Opened, Progress
from huggingtweets.reports import FLEET_FORMAT, FleetCounts

State = Literal["waiting", "opening", "opened", "reading", "read", "training", "made", "publishing", "done", "failed"]
RUNNING: frozenset[State] = frozenset({"opening", "reading", "training", "publishing"})
OVER: frozenset[State] = frozenset({"done", "failed"})

MOST_TRIES = 3
STAGES = ("download", "build", "train", "evaluate", "card", "publish")
FARTHER = 0.05  # of a stage: a try that got so much further than any before it is no failure
RATE_OF = 200  # the last so many bots tell how many an hour


@dataclass
class Entry:
    """One bot of the fleet."""

    member: Member
    state: State = "waiting"
    name: str = ""
    opened: Opened | None = None
    tries: int = 0  # that failed, since it last got farther
    farthest: float = 0.0  # stages, and a fraction of one
    progress: Progress = field(default_factory=Progress)
    moved: float = field(default_factory=time.monotonic)  # when that last changed
    node: str = ""
    failure: Failed | None = None  # the last one
    facts: dict[str, Any] = field(default_factory=dict)
    was_there: bool = False  # finished before this run

    @property
    def shown(self) -> str:
        return self.name or " ".join(self.member.specs) or self.member.where

    @property
    def lanes(self) -> frozenset[str]:
        return self.opened.lanes if self.opened else frozenset()

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def refuse(self, what: str) -> None:
        """What was ordered makes no sense."""
        self.state, self.failure = "failed", Failed("lasting", what)

    def advance(self, progress: Progress) -> None:
        if progress != self.progress:
            self.progress, self.moved = progress, time.monotonic()
        if progress.stage not in STAGES:
            return
        reached = STAGES.index(progress.stage) + progress.fraction
        if reached >= self.farthest + FARTHER:
            self.farthest, self.tries = reached, 0

    def to_json(self) -> dict[str, Any]:
        record: dict[str, Any] = {
            "where": self.member.where,
            "key": self.member.key,
            "specs": list(self.member.specs),
            "name": self.name,
            "state": self.state,
            **self.facts,
        }
        if self.state in RUNNING:
            record |= {"stage": self.progress.stage, "fraction": round(self.progress.fraction, 3), "node": self.node}
        if self.tries:
            record |= {"tries": self.tries, "farthest": round(self.farthest, 3)}
        if self.failure is not None and self.state != "done":
            record |= {"kind": self.failure.kind, "reason": self.failure.text, "next": self.failure.next}
            if self.failure.trace:
                record["trace"] = self.failure.trace
        if self.was_there:
            record["was_there"] = True
        return record


class Ledger:
    """All bots of a fleet, by the order of the list."""

    def __init__(self, members: Iterable[Member], title: str, out: str) -> None:
        self.entries = [Entry(member) for member in members]
        self.title, self.out = title, out
        self.notices: list[str] = []  # what a person should know
        self.begun = time.time()
        self._made: deque[float] = deque(maxlen=RATE_OF)  # when
        self._work_begun = 0.0  # of the first training in this run

    def remember(self, before: bytes | None, *, retry: bool) -> None:
        """From an earlier run's `fleet.json`: what was set aside after three tries stays so, unless it is retried."""
        try:
            record = json.loads(before or b"{}")
            known = {bot["key"]: bot for bot in record.get("bots", [])}
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # a damaged report costs nothing but the count of tries
        for entry in self.entries:
            bot = known.get(entry.member.key)
            if bot is None or retry or not isinstance(bot.get("tries"), int):
                continue
            entry.tries, entry.farthest = bot["tries"], float(bot.get("farthest") or 0.0)
            if bot.get("state") == "failed" and entry.tries >= MOST_TRIES:
                entry.state, entry.name = "failed", str(bot.get("name") or "")
                entry.failure = Failed(
                    str(bot.get("kind")), str(bot.get("reason")), next=str(bot.get("next")), trace=bot.get("trace", "")
                )

    @property
    def is_over(self) -> bool:
        return all(entry.is_over for entry in self.entries)

    @property
    def counts(self) -> FleetCounts:
        states = Counter(entry.state for entry in self.entries)
        running = sum(states[state] for state in RUNNING)
        over = states["done"] + states["failed"]
        return FleetCounts(
            done=states["done"],
            running=running,
            failed=states["failed"],
            waiting=len(self.entries) - running - over,
            was_there=sum(entry.was_there for entry in self.entries),
        )

    def note_training(self) -> None:
        self._work_begun = self._work_begun or time.time()

    def note_made(self) -> None:
        self._made.append(time.time())

    @property
    def bots_an_hour(self) -> float | None:
        """Of the last ones made in this run; None before the second."""
        if len(self._made) < 2:
            return None
        first = self._work_begun if len(self._made) < RATE_OF else self._made[0]
        made = len(self._made) - (len(self._made) == RATE_OF)
        return 3600 * made / max(1e-3, self._made[-1] - first)

    @property
    def seconds_left(self) -> float | None:
        rate = self.bots_an_hour
        left = sum(not entry.is_over for entry in self.entries)
        return 3600 * left / rate if rate else None

    def to_json(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "format": FLEET_FORMAT,
            "list": self.title,
            "out": self.out,
            "begun": _iso(self.begun),
            "updated": _iso(time.time()),
            "is_over": self.is_over,
            "counts": counts.to_json(),
            "bots_an_hour": _rounded(self.bots_an_hour),
            "seconds_left": _rounded(self.seconds_left),
            "bots": [entry.to_json() for entry in self.entries],
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def file_of(record: Mapping[str, Any]) -> bytes:
    """A report as it stands in `fleet.json`."""
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")
