"""A download that is not finished: `download/` in the bot's folder, page by page.

In: pages. Out: the posts on disk, in the order they came, and what is known of the account.

- Each source has a file of posts and a file of what is known (cursor, account, losses, length of the posts' file).
- The posts are appended first, what is known is renamed into place after them; whatever lies beyond the length that
  was noted belongs to a page that was cut off, and goes.
- A download of another source, or of the same at another state, begins anew; so does one whose files are damaged.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from huggingtweets.botdir import BotDir, make_folder, read_as, storage_errors, write_json
from huggingtweets.errors import BotError
from huggingtweets.posts import Account, Post, dump_posts
from huggingtweets.sources.base import Loss


class Partial:
    """What has been downloaded of one source."""

    def __init__(self, folder: Path, number: int, key: str) -> None:
        self.posts_file = folder / f"{number}.jsonl"
        self._state_file = folder / f"{number}.json"
        self._key = key
        self.cursor: str | None = None
        self.account: Account | None = None
        self.posts = 0
        self.done = False
        self._losses: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._bytes = 0
        make_folder(folder)
        self._take_up()

    @property
    def losses(self) -> list[Loss]:
        return [Loss(what, count, self._examples.get(what, "")) for what, count in self._losses.items()]

    def _take_up(self) -> None:
        """Goes on from what is noted, where that is of this very download."""
        try:
            state = read_as(self._state_file, _State.from_json) if self._state_file.exists() else None
        except BotError:
            state = None
        if state is not None and state.key == self._key and self._size() >= state.bytes:
            self.cursor, self.done, self.account = state.cursor, state.done, state.account
            self.posts, self._bytes = state.posts, state.bytes
            self.add_losses(state.losses)
        with storage_errors(self.posts_file), self.posts_file.open("ab") as file:
            file.truncate(self._bytes)

    def _size(self) -> int:
        return self.posts_file.stat().st_size if self.posts_file.exists() else 0

    def start_over(self) -> None:
        """For a source that can't go on in the middle: what came before would come again."""
        self.posts = self._bytes = 0
        self.account = None
        self._losses.clear()
        self._examples.clear()
        with storage_errors(self.posts_file), self.posts_file.open("wb"):
            pass

    def add(self, posts: Iterable[Post], cursor: str | None) -> None:
        """A page; on disk when this returns, and noted where the source can go on after it."""
        with storage_errors(self.posts_file), self.posts_file.open("ab") as file:
            for post in posts:
                (line,) = dump_posts([post])
                self._bytes += file.write(line.encode())
                self.posts += 1
            if cursor is not None:
                file.flush()
                os.fsync(file.fileno())
        if cursor is not None:
            self.cursor = cursor
            self.note()

    def add_losses(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            self._losses[loss.what] += loss.count
            if loss.example:
                self._examples.setdefault(loss.what, loss.example)

    def finish(self) -> None:
        self.done = True
        self.note()

    def note(self) -> None:
        state = _State(self._key, self.cursor, self.done, self.posts, self._bytes, self.account, self.losses)
        write_json(self._state_file, dataclasses.asdict(state))


@dataclass(frozen=True)
class _State:
    """What is known of a download, as its file holds it."""

    key: str
    cursor: str | None
    done: bool
    posts: int
    bytes: int
    account: Account | None
    losses: list[Loss]

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> _State:
        """The inverse of `asdict`; raises KeyError, TypeError or ValueError on a damaged record."""
        losses = [Loss(str(loss["what"]), int(loss["count"]), str(loss["example"])) for loss in record["losses"]]
        account = Account.from_json(record["account"]) if record["account"] is not None else None
        state = cls(**{**record, "account": account, "losses": losses})
        if not all(isinstance(number, int) and number >= 0 for number in (state.posts, state.bytes)):
            raise TypeError("a length is not a number")
        if not isinstance(state.cursor, str | None) or not isinstance(state.done, bool):
            raise TypeError("the cursor is not text, or it isn't said whether all is done")
        return state


def discard(bot: BotDir) -> None:
    shutil.rmtree(bot.partial, ignore_errors=True)


def in_order(files: Iterable[Path]) -> Iterator[bytes]:
    """The lines of several files of posts, oldest first where all have a time, else as they came.

    Only times and places are kept in memory, as plain numbers: the posts of the longest archive needn't fit. The ids of
    posts with one and the same time are looked up, and order these.
    """
    with contextlib.ExitStack() as stack:
        lines = _Lines([stack.enter_context(path.open("rb")) for path in files if path.exists()])
        order: Iterable[int] = range(len(lines.offsets))
        if len(lines.times) < len(lines.offsets):
            yield from map(lines.read, order)
            return
        order = sorted(order, key=lines.times.__getitem__)
        for _, same in itertools.groupby(order, key=lines.times.__getitem__):
            places = list(same)
            yield from map(lines.read, sorted(places, key=lines.id_of) if len(places) > 1 else places)


class _Lines:
    """Where each line of some files is, and its time, where it has one."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._files = files
        self._numbers = array("H")  # of the file
        self.offsets = array("Q")
        self.times = array("d")  # Unix seconds
        for number, file in enumerate(files):
            offset = 0
            for line in file:
                self._numbers.append(number)
                self.offsets.append(offset)
                offset += len(line)
                with _damage_named(file):
                    if (written := json.loads(line).get("created_at")) is not None:
                        self.times.append(datetime.fromisoformat(written).timestamp())

    def read(self, place: int) -> bytes:
        file = self._files[self._numbers[place]]
        file.seek(self.offsets[place])
        return file.readline()

    def id_of(self, place: int) -> tuple[int, str]:
        """Numbers in the order of their size."""
        known = str(json.loads(self.read(place)).get("id") or "")
        return len(known), known


@contextlib.contextmanager
def _damage_named(file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BotError(
            f"{file.name} is damaged: {error}.", next=f"delete {file.name}, then run the same command again"
        ) from error
