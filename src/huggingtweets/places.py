"""`published.json`: where a bot is on the Hub, now and from earlier times, and what lies there.

- A place is noted as soon as it is ours, before anything is sent there, so that an interrupted upload knows it again.
- A bot that is published somewhere else is still where it was: both are kept, until they are taken down.
- Digests of what was sent tell what has changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from huggingtweets.botdir import BotDir, read_as, write_json
from huggingtweets.reports import Report


@dataclass(frozen=True)
class Place(Report):
    """A repository of the bot's own, and the Space that runs it from there."""

    repo_id: str  # owner/name
    url: str
    private: bool = True
    commit: str | None = None  # the last of ours; None: nothing was sent yet
    at: str | None = None  # ISO time of that commit
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 by path, of all that was sent
    space: Place | None = None

    @property
    def urls(self) -> list[str]:
        """The Space first: it is nothing without the model."""
        return [*([self.space.url] if self.space else []), self.url]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Place:
        space = cls.from_json(record["space"]) if record.get("space") else None
        commit = record.get("commit")
        return super().from_json(
            {
                **record,
                "repo_id": str(record["repo_id"]),
                "url": str(record["url"]),
                "commit": None if commit is None else str(commit),
                "files": {str(path): str(digest) for path, digest in dict(record.get("files") or {}).items()},
                "space": space,
            }
        )


@dataclass(frozen=True)
class Places:
    """All repositories of a bot."""

    now: Place | None = None  # where it is published to, unless another is named
    others: tuple[Place, ...] = ()  # where it was published before

    @property
    def all(self) -> list[Place]:
        return [*([self.now] if self.now else []), *self.others]

    @property
    def urls(self) -> list[str]:
        return [url for place in self.all for url in place.urls]

    def find(self, url: str) -> Place | None:
        return next((place for place in self.all if place.url == url), None)

    def with_now(self, place: Place) -> Places:
        """
        >>> old, new = Place("alice/old", "https://hub.example/alice/old"), Place("alice/new", "https://hub.example/alice/new")
        >>> Places(old).with_now(new).urls
        ['https://hub.example/alice/new', 'https://hub.example/alice/old']
        """
        return Places(place, tuple(other for other in self.all if other.url != place.url))

    def without(self, url: str) -> Places:
        """What was taken down, a repository or a Space."""
        left = [
            replace(place, space=None) if place.space and place.space.url == url else place
            for place in self.all
            if place.url != url
        ]
        return Places(left[0], tuple(left[1:])) if left else Places()


def read_places(bot: BotDir) -> Places:
    """Raises BotError for a damaged record."""
    return read_as(bot.published, _places) if bot.published.exists() else Places()


def _places(record: Mapping[str, Any]) -> Places:
    return Places(Place.from_json(record), tuple(map(Place.from_json, record.get("others") or ())))


def write_places(bot: BotDir, places: Places) -> None:
    """The place of now in front, as the record itself; no file where there is none."""
    if places.now is None:
        bot.published.unlink(missing_ok=True)
    else:
        others = [place.to_json() for place in places.others]
        write_json(bot.published, {**places.now.to_json(), "others": others})
