"""The JSON that the API takes and gives, as types: what OpenAPI documents and what is checked on the way in.

Answers are typed as far as somebody builds on them; `progress` and `scores` are described in `progress` and `views`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from huggingtweets.web.speaking import LONGEST_START

LONGEST_REPORT, LONGEST_CONTACT = 2000, 300  # characters


class Body(BaseModel):
    """What is sent; a field nobody knows is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid")


class Said(Body):
    """On whose account it is, for networks that ask."""

    mine: bool = False
    permission: str | None = Field(default=None, description="Who gave it, and when.")
    terms: bool = Field(default=False, description="The network's terms are known.")
    price: bool = Field(default=False, description="The price that was shown is fine.")


class Ordered(Body):
    """A bot to be made of one to three accounts and uploads."""

    accounts: list[str] = Field(default=[], examples=[["alice.bsky.social", "@bob@mastodon.social"]])
    uploads: list[str] = Field(default=[], description="Ids that POST /uploads gave.")
    name: str | None = Field(default=None, max_length=100)
    base: str | None = None
    minutes: float | None = None
    straight: bool = Field(default=False, description="Train at once, without waiting for a look at the posts.")
    word: Said = Field(default_factory=Said)


class Trained(Body):
    minutes: float | None = None
    base: str | None = None


class Asked(Body):
    """What a bot shall write."""

    start: str = Field(default="", max_length=LONGEST_START, examples=["My dream is"])
    n: int = 10
    seed: int | None = Field(default=None, description="The same seed, the same posts.")
    temperature: float | None = None
    top_p: float | None = None
    max_length: int | None = Field(default=None, description="In tokens, the start included.")


class Hidden(Body):
    hidden: bool


class Listed(Body):
    published: bool = Field(description="Whether search engines may list its pages.")


class Reported(Body):
    reason: str = Field(min_length=1, max_length=LONGEST_REPORT)
    contact: str = Field(default="", max_length=LONGEST_CONTACT)


class Settled(Body):
    action: Literal["hide", "forget", "dismiss"]


class Account(Body):
    account: str = Field(min_length=1, max_length=300)


class Problem(BaseModel):
    code: str = Field(examples=["consent_missing"])
    what: str
    why: str
    next: str
    needs: list[str] = Field(description="Of a consent that is missing: word, terms, price.")


class Trouble(BaseModel):
    """The one shape of every error."""

    error: Problem


class PredictionView(BaseModel):
    id: str
    bot: str
    url: str
    picture: str
    start: str
    text: str
    number: int
    seed: int
    temperature: float
    top_p: float
    max_length: int
    copied: bool
    copied_from: str | None
    created: float
    play_url: str
    is_preview: bool
    ai_generated: bool


class Drawn(BaseModel):
    draw: str
    seed: int
    predictions: list[PredictionView]


class JobView(BaseModel):
    id: str
    state: str
    titles: list[str]
    bot: str
    base: str
    minutes: float | None
    straight: bool
    ahead: int | None
    progress: dict[str, Any]
    error: Problem | None
    created: float
    changed: float
    url: str
    bot_url: str | None


class FleetView(BaseModel):
    counts: dict[str, int]  # done, running, failed, waiting, was_there and all
    bots_an_hour: float | None
    seconds_left: float | None
    at_work: bool  # false: it was stopped; the same command goes on
    words: str  # all of it, in a line


class BotView(BaseModel):
    name: str
    url: str
    accounts: list[dict[str, Any]]
    picture: str | None
    base: str | None
    parameters: int | None
    kept: int | None
    language: str | None
    scores: dict[str, float | None] | None
    trained: bool
    published: bool
    samples: list[str]
    predictions: int


class Bots(BaseModel):
    bots: list[BotView]
    total: int  # that were found; more than these where limit or offset cut them
