"""What the rooms of a fleet hand to one another: an order for a bot, and what came of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from huggingtweets.botdir import key_of
from huggingtweets.config import BotSettings
from huggingtweets.consent import Word
from huggingtweets.errors import (
    BotBusy,
    HubUnreachable,
    HuggingtweetsError,
    NetworkTrouble,
    PublishError,
    StorageError,
)

MAY_PASS = (NetworkTrouble, HubUnreachable, PublishError)  # what another try may not meet again


@dataclass(frozen=True)
class Member:
    """One bot of the fleet, as it was ordered: what `create` would be given."""

    where: str  # of the list: "line 7", or a file's name
    specs: tuple[str, ...]
    name: str | None = None
    settings: BotSettings = BotSettings()  # noqa: RUF009 (frozen)
    word: Word = Word()  # noqa: RUF009 (frozen)

    @cached_property
    def key(self) -> str:
        """Equal for equal orders, wherever they stand in the list."""
        return key_of(self.specs, self.name, self.settings.to_json(), dataclasses.asdict(self.word))


@dataclass(frozen=True)
class Opened:
    """A bot whose sources were recognised."""

    name: str
    lanes: frozenset[str]  # the networks it will be downloaded from; one download at a time each
    is_complete: bool = False  # on the shared storage already


@dataclass(frozen=True)
class Made:
    """A bot is done, or read and ready to be trained."""

    is_finished: bool
    facts: dict[str, Any]  # what the report shows: posts, bits, steps, seconds


@dataclass(frozen=True)
class Failed:
    """What went wrong, in words that survive the way between processes."""

    kind: str  # of the error
    what: str
    why: str = ""
    next: str = ""
    trace: str = ""  # of a bug

    @classmethod
    def of(cls, error: HuggingtweetsError) -> Failed:
        kind = next((name for name, kinds in _KINDS.items() if isinstance(error, kinds)), "lasting")
        return cls(kind, error.what, error.why, error.next)

    @property
    def text(self) -> str:
        return " ".join(filter(None, [self.what, self.why]))


_KINDS: dict[str, tuple[type[HuggingtweetsError], ...]] = {
    "busy": (BotBusy,),
    "network": MAY_PASS,
    "storage": (StorageError,),
}


@dataclass(frozen=True)
class Progress:
    """How far a process is with what it does."""

    key: str = ""  # of the order that is being worked on
    stage: str = ""
    done: float = 0.0
    total: float | None = None
    events: int = 0  # so far, of the process; changes as long as it lives and works

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0


Answer = Opened | Made | Failed
