"""A Bluesky repository as a source: the CAR file that the app exports and every server hands out.

In: a path. Out: pages of posts, oldest first, and everything that could not be used, counted.

- Posts are found through the index, from the commit down. The blocks are never searched: a file may still hold what
  was deleted.
- Memory holds the places of the blocks and the names of the posts, not their contents.
- A file that was cut short gives what can still be reached. Only a record about AI that is there and can't be read
  ends the run: a no must not be missed.
- The handle isn't in the file: `--handle`, else the file's name where it is one, else the DID.

Not covered: the commit's signature; pictures and likes, which are not in the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.bluesky.blocks import Blocks, checked_size, commit_of, entries, is_repo, open_blocks
from huggingtweets.sources.bluesky.posts import (
    AI_PREFERENCES,
    INTENTS,
    POST,
    PROFILE,
    REPOST,
    Owner,
    account_from_record,
    is_did,
    is_handle,
    post_from_record,
    signals_of_intents,
    signals_of_preferences,
)
from huggingtweets.sources.files.opening import translated_errors
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.net.paging import with_signal
from huggingtweets.sources.tally import Tally

__all__ = ["BlueskyRepo", "is_repo"]

READER = 1  # raised when the same file would give other posts than before
PAGE_POSTS = 1_000

REPOSTS = "reposts (others' words are not in a repository)"
LOST_RECORDS = "records that are missing or damaged"
SAME_RECORDS = "posts that are exactly the same record as another"

_COPY_NUMBER = re.compile(r"\s*\(\d+\)$")


@dataclass
class _Contents:
    """What the index lists, as far as it matters here; records by CID, so that none is read twice."""

    posts: dict[bytes, str] = field(default_factory=dict)  # CID to key
    profile: bytes | None = None
    said_of_ai: dict[bytes, str] = field(default_factory=dict)  # CID to collection

    def add(self, collection: str, key: str, cid: bytes, tally: Tally) -> None:
        if collection == POST:
            if cid in self.posts:
                tally.add(SAME_RECORDS, key)
            self.posts.setdefault(cid, key)
        elif collection == REPOST:
            tally.add(REPOSTS, key)
        elif collection == PROFILE and key == "self":
            self.profile = cid
        elif collection == AI_PREFERENCES or (collection in INTENTS and key == "self"):
            self.said_of_ai[cid] = collection


@dataclass
class BlueskyRepo:
    """The posts of one account in its exported repository; a `Source`."""

    path: Path
    settings: ImportSettings
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def spec(self) -> str:
        return f"bluesky-repo:{self.path.absolute()}"

    @property
    def origin(self) -> Origin:
        return Origin("file")  # not an export: a repository is handed to whoever asks for it

    @property
    def handle(self) -> str:
        """`--handle`, else the file's name where it is a handle, else the DID; what is wrong, `pages` says."""
        named = safe_handle(self.settings.handle or "") or _handle_in(self.path.name)
        return named or self._did or safe_handle(self.path.stem) or "repository"

    @cached_property
    def _did(self) -> str | None:
        with contextlib.suppress(SourceError), open_blocks(self.path, Tally()) as blocks:
            did, _ = commit_of(blocks)
            return did if is_did(did) else None
        return None

    def fingerprint(self) -> str:
        """SHA-256 over the content and the settings that matter."""
        settings = self.settings
        chosen = (self.handle, settings.display_name, settings.avatar, settings.max_posts)
        digest = hashlib.sha256(repr((READER, chosen)).encode("utf-8", "replace"))
        checked_size(self.path)
        with translated_errors(self.path), self.path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """All posts, oldest first, up to a thousand a page; always from the beginning. Raises SourceError."""
        avatar = read_avatar(self.settings.avatar) if self.settings.avatar else None
        tally = Tally()
        with open_blocks(self.path, tally) as blocks:
            did, root = commit_of(blocks)
            if not is_did(did):
                raise UnreadableFile(f"{self.path} does not say whose repository it is.", next="export it again")
            contents = _Contents()
            for collection, key, cid in entries(blocks, root, tally):
                contents.add(collection, key, cid, tally)
            page = Page(account=self._account(blocks, did, contents, tally), avatar=avatar)
            for posts, fraction in self._posts(blocks, Owner(did, self.handle), contents.posts, tally):
                yield dataclasses.replace(page, posts=posts, losses=tally.take(), fraction=fraction)
                page = Page()

    def _account(self, blocks: Blocks, did: str, contents: _Contents, tally: Tally) -> Account:
        profile = blocks.record(contents.profile)
        if profile is None and contents.profile is not None:
            tally.add(LOST_RECORDS, "the profile")
        account = account_from_record(profile or {}, did, self.handle)
        if self.settings.display_name:
            account = dataclasses.replace(account, display_name=self.settings.display_name)
        for cid, collection in contents.said_of_ai.items():
            for name, where in _signals(blocks, did, cid, collection).items():
                account = with_signal(account, name, where)
        return account

    def _posts(
        self, blocks: Blocks, owner: Owner, listed: dict[bytes, str], tally: Tally
    ) -> Iterator[tuple[tuple[Post, ...], float]]:
        """A page's posts, and how much has been read; with `--max-posts` the newest."""
        now = self.now()
        skipped = max(0, len(listed) - (self.settings.max_posts or len(listed)))
        chosen = islice(listed.items(), skipped, None)
        total, done = max(1, len(listed) - skipped), 0
        while True:
            batch = list(islice(chosen, PAGE_POSTS))
            done += len(batch)
            read = (_post(blocks, cid, key, owner, now, tally) for cid, key in batch)
            yield tuple(filter(None, read)), min(1.0, done / total) if batch else 1.0
            if done >= total or not batch:
                return


def _handle_in(name: str) -> str:
    """The handle that a file is named after.

    >>> _handle_in("alice.bsky.social (1).car"), _handle_in("repo.car")
    ('alice.bsky.social', '')
    """
    stem = _COPY_NUMBER.sub("", re.sub(r"\.car$", "", name, flags=re.IGNORECASE)).removeprefix("@").lower()
    return stem if is_handle(stem) else ""


def _signals(blocks: Blocks, did: str, cid: bytes, collection: str) -> dict[str, str]:
    record = blocks.record(cid)
    if record is None:
        raise UnreadableFile(
            f"The record {collection} in {blocks.path} is missing or damaged.",
            why="It says what the account's owner thinks of AI, and must be read first.",
            next="export the repository again, and pass that file",
        )
    return (
        signals_of_preferences(record, did) if collection == AI_PREFERENCES else signals_of_intents(record, collection)
    )


def _post(blocks: Blocks, cid: bytes, key: str, owner: Owner, now: datetime, tally: Tally) -> Post | None:
    record = blocks.record(cid)
    if record is None:
        tally.add(LOST_RECORDS, f"{POST}/{key}")
        return None
    return post_from_record(record, f"at://{owner.did}/{POST}/{key}", owner, now, tally)
