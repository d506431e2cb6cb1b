"""A download that is not finished: `download/` in the bot's folder, page by page.

In: pages. Out: the posts on disk, in the order they came, and what is known of the account.

- Each source has a file of posts and a file of what is known (cursor, account, losses, length of the posts' file).
- The posts are appended first, what is known is renamed into place after them; whatever lies beyond the length that
  was noted belongs to a page that was cut off, and goes.
- A download of other sources, or of the same at another state, begins anew.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

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
            state = read_as(self._state_file, self._checked) if self._state_file.exists() else {}
        except BotError:
            state = {}
        if state.get("key") == self._key and self._size() >= state["bytes"]:
            self.cursor, self.done = state["cursor"], state["done"]
            self.posts, self._bytes = state["posts"], state["bytes"]
            self.account = Account.from_json(state["account"]) if state["account"] else None
            self.add_losses(Loss(**loss) for loss in state["losses"])
        with storage_errors(self.posts_file), self.posts_file.open("ab") as file:
            file.truncate(self._bytes)

    @staticmethod
    def _checked(state: Any) -> dict[str, Any]:
        if not isinstance(state["bytes"], int) or not isinstance(state["posts"], int):
            raise TypeError("a length is not a number")
        if state["account"] is not None:
            Account.from_json(state["account"])
        for loss in state["losses"]:
            Loss(**loss)
        return {**state, "key": str(state["key"]), "cursor": state["cursor"], "done": bool(state["done"])}

    def _size(self) -> int:
        return self.posts_file.stat().st_size if self.posts_file.exists() else 0

    def start_over(self) -> None:
        """For a source that can't go on in the middle: what came before would come again."""
        self.posts = self._bytes = 0
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
        state = {
            "key": self._key,
            "cursor": self.cursor,
            "done": self.done,
            "posts": self.posts,
            "bytes": self._bytes,
            "account": dataclasses.asdict(self.account) if self.account else None,
            "losses": [dataclasses.asdict(loss) for loss in self.losses],
        }
        write_json(self._state_file, state)


def discard(bot: BotDir) -> None:
    shutil.rmtree(bot.partial, ignore_errors=True)


def in_order(files: Iterable[Path]) -> Iterator[bytes]:
    """The lines of several files of posts, oldest first where all have a time, else as they came.

    Only times, ids and places are kept in memory: the posts of the longest archive needn't fit.
    """
    import json
    from datetime import datetime

    paths = [path for path in files if path.exists()]
    places: list[tuple[int, int]] = []
    times: list[tuple[float, str]] = []
    for number, path in enumerate(paths):
        with path.open("rb") as lines:
            offset = 0
            for line in lines:
                record = json.loads(line)
                written = record.get("created_at")
                if written is not None:
                    times.append((datetime.fromisoformat(written).timestamp(), record.get("id") or ""))
                places.append((number, offset))
                offset += len(line)
    order: Iterable[int] = range(len(places))
    if len(times) == len(places):
        order = sorted(order, key=times.__getitem__)
    handles = [path.open("rb") for path in paths]
    try:
        for index in order:
            number, offset = places[index]
            handles[number].seek(offset)
            yield handles[number].readline()
    finally:
        for handle in handles:
            handle.close()
