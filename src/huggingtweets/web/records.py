"""The rows of the database as plain dataclasses: what every room of the web app speaks in.

Times are seconds since 1970, UTC. Ids are random and safe in a URL; who knows a prediction's id may see it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JobState = Literal["queued", "reading", "word", "ready", "waiting", "training", "done", "failed", "cancelled"]
Lane = Literal["read", "train"]

WAITS_IN: dict[Lane, JobState] = {"read": "queued", "train": "waiting"}
WORKS_IN: dict[Lane, JobState] = {"read": "reading", "train": "training"}
OVER: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})  # nothing happens until somebody asks again

OWNER = "owner"  # who sits at the machine; users are "user:NAME", guests "guest:ID"

_LETTERS = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"  # none that look alike


def new_id(length: int = 12) -> str:
    """
    >>> len(new_id()), new_id() == new_id()
    (12, False)
    """
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass(frozen=True)
class Visitor:
    """Who asks. The default sits at the machine itself."""

    id: str = OWNER
    admin: bool = True
    name: str = ""

    @property
    def has_quota(self) -> bool:
        return not self.admin

    @property
    def is_guest(self) -> bool:
        return self.id.startswith("guest:")


@dataclass(frozen=True)
class Job:
    """One bot being made: read, perhaps asked for a word, then trained.

    queued → reading → ready → waiting → training → done, and from anywhere to failed or cancelled; `word` waits for
    what the consent gate asks, then is queued again. With `straight`, ready is passed over.
    """

    owner: str
    specs: tuple[str, ...]  # what `pipeline.prepare` gets: accounts as `x:nasa`, uploads as their path
    titles: tuple[str, ...]  # what a person sees of them: "@nasa", "archive.zip"
    bot: str  # the folder's name, settled before the job is made
    base: str
    minutes: float | None = None
    straight: bool = False
    word: Mapping[str, Any] = field(default_factory=dict)  # the fields of `consent.Word`
    id: str = field(default_factory=new_id)
    state: JobState = "queued"
    progress: Mapping[str, Any] = field(default_factory=dict)  # see `worker`: phase, fraction, loss curve, counts
    error: Mapping[str, Any] | None = None  # see `answers.error_json`
    cancel: bool = False  # asked for; the worker stops at its next breath
    attempts: int = 0
    worker: str = ""  # "host:pid" of the one at work
    beat: float = 0.0  # when it last gave a sign of life
    created: float = 0.0
    changed: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """One text that a bot wrote for somebody; its page is /BOT/ID."""

    bot: str
    start: str  # how the text begins, as typed
    text: str  # all of it, the start included
    draw: str  # the same for all of one drawing
    number: int  # within its drawing, from 0
    seed: int
    temperature: float
    top_p: float
    max_length: int
    copied_from: str | None = None  # the training post it copies, by `copies.find_copies`
    owner: str = OWNER
    weights: str = ""  # digest of the model that wrote it
    id: str = field(default_factory=lambda: new_id(10))
    created: float = 0.0
    hidden: bool = False  # taken down; the page says so


@dataclass(frozen=True)
class BotRow:
    """What the web app knows of a bot besides its folder."""

    bot: str
    owner: str = OWNER
    published: bool = False  # search engines may list its pages


@dataclass(frozen=True)
class Complaint:
    """Somebody wants a prediction gone, or everything of an account."""

    bot: str
    prediction: str  # its id; empty: the bot as a whole
    reason: str
    contact: str = ""  # shown to the owner alone
    id: str = field(default_factory=lambda: new_id(10))
    created: float = 0.0
    outcome: str = ""  # "": open; else "hidden", "forgotten" or "dismissed"


@dataclass(frozen=True)
class User:
    """Somebody who may log in."""

    name: str
    password: str = field(repr=False)  # argon2id hash
    admin: bool = False
    created: float = 0.0
