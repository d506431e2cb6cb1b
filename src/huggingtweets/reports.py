"""The plain numbers that stages hand on, and the events they send while they work.

Everything here is JSON in the bot folder; nothing here knows how it was computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


class Report:
    """Dataclass to and from JSON; nested reports are rebuilt by the class that holds them."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        return cls(**{f.name: record[f.name] for f in fields if f.name in record})


@dataclass(frozen=True)
class Counts(Report):
    """What became of one account's posts.

    >>> print(Counts(retweets=770, short=41, duplicates=0, kept=2389))
    downloaded 3200 = retweets 770 + short 41 + duplicates 0 + kept 2389
    """

    retweets: int = 0
    short: int = 0
    duplicates: int = 0
    kept: int = 0
    joined: int = 0  # to the post before them in a thread
    left_out: Mapping[str, int] = field(default_factory=dict)  # on request, by reason

    @property
    def dropped(self) -> dict[str, int]:
        """All but the kept by reason; what is optional only where it happened."""
        optional = {reason: posts for reason, posts in {**self.left_out, "joined": self.joined}.items() if posts}
        return {"retweets": self.retweets, **optional, "short": self.short, "duplicates": self.duplicates}

    @property
    def downloaded(self) -> int:
        """A sum by definition, so that the table always adds up."""
        return sum(self.dropped.values()) + self.kept

    def __str__(self) -> str:
        dropped = " + ".join(f"{reason} {posts}" for reason, posts in self.dropped.items())
        return f"downloaded {self.downloaded} = {dropped} + kept {self.kept}"


def reasons(counts: Iterable[Counts]) -> list[str]:
    """The rows of a table of several accounts, in the order in which posts are dropped."""
    always = list(Counts().dropped)
    optional = dict.fromkeys(reason for each in counts for reason in each.dropped if reason not in always)
    return [always[0], *optional, *always[1:]]


@dataclass(frozen=True)
class DatasetReport(Report):
    """`dataset/report.json`: what was kept, what was dropped and why, and how it was split."""

    counts: dict[str, Counts]  # by handle
    characters: dict[str, int]  # by handle: the kept posts joined by the original's separator
    train_posts: int
    holdout_posts: int
    set_aside_posts: int  # near-duplicates of held-out posts: in neither part
    language: str | None  # ISO 639-1 of the main language
    languages: dict[str, float]  # share of posts by language, largest first
    warnings: list[str] = field(default_factory=list)
    scrubbed_posts: int = 0  # of the kept: personal data was taken out of them

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        counts = {handle: Counts.from_json(c) for handle, c in record["counts"].items()}
        return super().from_json({**record, "counts": counts})

    def __str__(self) -> str:
        return "\n".join(f"@{handle}: {counts}" for handle, counts in self.counts.items())


@dataclass(frozen=True)
class TrainReport(Report):
    """`train.json`: what the training was, what it cost and what it reached."""

    base: str  # what the user chose: "gpt2", "smollm2", a Hub id or a folder
    base_id: str  # where it is at home: the Hub id that a card may link to, or the folder's name
    base_license: str | None  # SPDX identifier in lower case, where known
    parameters: int
    recipe: str
    settings: dict[str, Any]
    steps: int
    epochs: float  # passes over the training posts, fractions included
    tokens: int  # trained tokens, separators included
    seconds: float  # wall clock of the training loop, over all resumed runs
    device: str
    dtype: str
    threads: int
    first_loss: float  # nats per token, mean of the first logged steps
    final_loss: float  # nats per token, mean of the last logged steps
    plan: str  # one sentence: why this many steps
    plans: list[list[int]] = field(default_factory=list)  # [step, total steps] of each plan that the clock made
    adapter_parameters: int | None = None  # of the parameters, those of an adapter, which alone learned; None: all did
    prefix: str | None = None  # of an adapter: what a pipeline has to be given in front of the first words


@dataclass(frozen=True)
class HeldOut(Report):
    """Scores of one model on the held-out posts, every post alone after one separator."""

    bits_per_byte: float  # of the posts' text; separators count neither as bits nor as bytes
    nats_per_token: float  # the same bits, over the model's own tokens
    nats_per_end: float  # what it costs to say that the post ends here
    posts: int
    bytes: int
    tokens: int


@dataclass(frozen=True)
class Sample(Report):
    """One prediction, with the training post it copies, if it does."""

    prompt: str
    text: str
    copied_from: str | None = None


@dataclass(frozen=True)
class Copying(Report):
    """How much of what the bot writes it took word for word; see `copies` for the measure."""

    share: float  # of the predictions
    predictions: int
    own_share: float  # of the account's own posts that repeat another of its posts by the same measure
    own_posts: int


@dataclass(frozen=True)
class EvalReport(Report):
    """`eval.json`: the scorecard."""

    base: HeldOut | None  # None where no post was held out
    bot: HeldOut | None
    copying: Copying
    distinct_1: float  # different words / all words, over the unprompted predictions
    distinct_2: float  # the same for pairs of words

    @property
    def gain(self) -> float | None:
        """Share of the base's bits per byte that the bot no longer needs."""
        if self.base is None or self.bot is None:
            return None
        return 1 - self.bot.bits_per_byte / self.base.bits_per_byte

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        scores = {name: HeldOut.from_json(record[name]) if record[name] else None for name in ("base", "bot")}
        return super().from_json({**record, **scores, "copying": Copying.from_json(record["copying"])})


FLEET_FILE = "fleet.json"  # beside the bots
FLEET_FORMAT = 1


@dataclass(frozen=True)
class FleetCounts(Report):
    """How many bots of a fleet are where."""

    done: int
    running: int
    failed: int  # set aside, with their reasons
    waiting: int
    was_there: int = 0  # of the done: finished before this run

    @property
    def all(self) -> int:
        return self.done + self.running + self.failed + self.waiting


@dataclass(frozen=True)
class StageStarted:
    """A stage begins; `label` says in a few words what it does."""

    stage: str
    label: str


@dataclass(frozen=True)
class Advanced:
    """How far the stage is: `done` of `total` (None where the end is not known), with what to show beside it."""

    stage: str
    done: float
    total: float | None
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageDone:
    """A stage ends; `skipped` when its output was there already."""

    stage: str
    summary: str
    skipped: bool = False


@dataclass(frozen=True)
class Notice:
    """Something a person should know: a choice that was made, or a warning."""

    text: str
    warning: bool = False


Event = StageStarted | Advanced | StageDone | Notice
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener that listens to nothing."""
