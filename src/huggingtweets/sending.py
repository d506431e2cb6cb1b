"""One repository on the Hub brought to what it should be.

In: the files that belong in it, and what is known of it. Out: the same of now.

- A repository that exists is written to only when it is ours already, or still empty; once it is ours, that is noted
  before anything is sent.
- Where nobody else has committed since, only what has changed here is compared at all.
- What leaves is listed first, with sizes. Public comes last: nobody ever sees half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from huggingtweets.errors import PublishError
from huggingtweets.hub import Hub, Item, Repo, Standing
from huggingtweets.places import Place
from huggingtweets.reports import Listener, Notice


@dataclass(frozen=True)
class Published:
    """Where a bot is on the Hub, or would be."""

    repo_id: str  # without an owner in a dry run that nobody named one for
    url: str
    private: bool
    files: dict[str, int]  # size in bytes by path in the repository
    commit: str | None = None  # None in a dry run
    changed: bool = False  # whether anything had to be done
    space: Published | None = None


@dataclass(frozen=True)
class Sending:
    """Where to, on whose word, and who is told."""

    hub: Hub
    repo: Repo
    note: Callable[[Place], None]
    listen: Listener
    command: str  # that a person would type, but for the name
    is_ours: bool
    public: bool
    is_all: bool = True  # else the repository must be there, and what is not among the files stays
    into: str = ""  # before each name in the list

    def run(self, place: Place, items: Sequence[Item], title: str) -> tuple[Place, Published]:
        """Raises PublishError."""
        standing = self._standing()
        place = replace(place, private=standing.private)
        self.note(place)
        digests = {item.path: item.sha256 for item in items}
        is_as_left = standing.commit is not None and standing.commit == place.commit
        sent = [item for item in items if not is_as_left or place.files.get(item.path) != digests[item.path]]
        gone = set(place.files) - set(digests) if self.is_all else set()
        commit = self._upload(sent, gone, title) if sent or gone else standing.commit
        changed = commit != standing.commit
        now = datetime.now(UTC).isoformat(timespec="seconds")
        files = {path: digest for path, digest in {**place.files, **digests}.items() if path not in gone}
        place = replace(place, commit=commit, files=files, at=now if changed or place.at is None else place.at)
        self.note(place)
        if self.public and place.private:
            self.hub.show(self.repo)
            place, changed = replace(place, private=False), True
            self.note(place)
        return place, Published(self.repo.id, self.repo.url, place.private, sizes(items), commit, changed)

    def _upload(self, items: Sequence[Item], gone: Iterable[str], title: str) -> str:
        for item in items:
            self.listen(Notice(f"{self.into}{item.path}  {size_words(item.size_bytes)}"))
        return self.hub.upload(self.repo, items, gone, title)

    def _standing(self) -> Standing:
        """What the Hub has of it; raises PublishError for a repository that is not ours."""
        found = self.hub.look(self.repo) if self.is_ours else None
        if found is not None:
            return found
        if not self.is_all:
            raise PublishError(f"{self.repo.id} is no longer on the Hub.", next=f"{self.command} {self.repo.id}")
        made = self.hub.make(self.repo, private=not self.public)
        found = self.hub.look(self.repo)
        if found is None or not (made or self.is_ours or found.is_empty):
            raise PublishError(
                f"{self.repo.id} is there already, and was not published from this bot. Nothing of it was touched.",
                next=f"{self.command} {self.repo.id}-2   (or any other name)",
            )
        return found


def sizes(items: Iterable[Item]) -> dict[str, int]:
    """In bytes, by path."""
    return {item.path: item.size_bytes for item in items}


def size_words(size_bytes: int) -> str:
    """
    >>> size_words(532), size_words(48_200), size_words(538_000_000)
    ('532 bytes', '48 kB', '538 MB')
    """
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= bytes_:
            return f"{size_bytes / bytes_:.0f} {unit}"
    return f"{size_bytes} bytes"
