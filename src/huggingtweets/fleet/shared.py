"""Where the bots of a fleet live: a folder that all its processes see, or any storage that fsspec knows by URL.

- In a folder nothing is copied: the bots' own files and locks say all there is to know.
- Behind a URL (`s3://bucket/bots`, `hf://buckets/owner/bots`, ...) a process fetches a bot into a folder of its own,
  works there, and puts back what has changed: after every stage that it was given, and every minute of a training. So
  a node that is lost costs a minute.
- `complete.json` is written last, with every file's length: a bot with it is whole. It goes before anything changes.
- Storage of this kind has no locks. Two fleets at a time on one URL make bots twice, and the last one stays.

Not covered: credentials, which each storage's own client finds where it always does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from huggingtweets.botdir import BotDir, key_of, make_folder, storage_errors, write_atomically
from huggingtweets.errors import HuggingtweetsError, NetworkTrouble, SettingsError
from huggingtweets.forgotten import FILE as FORGOTTEN

SCRATCH = "HUGGINGTWEETS_SCRATCH"  # where a process works on bots that live behind a URL
COMPLETE = "complete.json"
LEFT_OUT = ("fast", "wandb/cache")  # of this machine only

Save = Callable[[bool], None]  # puts back what has changed; with True, the bot is whole


@dataclass(frozen=True)
class Storage:
    """One place for bots; goes to every process of the fleet."""

    out: str  # an absolute path, or a URL

    @classmethod
    def at(cls, out: str) -> Storage:
        """From what a person typed; raises SettingsError for a URL of a kind that nothing here can open."""
        if "://" not in out:
            return cls(str(Path(out).expanduser().absolute()))
        if out.startswith("file://"):
            return cls(urlsplit(out).path)
        storage = cls(out.rstrip("/"))
        storage._files()
        return storage

    @property
    def is_url(self) -> bool:
        return "://" in self.out

    def __str__(self) -> str:
        """Without what a URL may hold of a password."""
        if not self.is_url:
            return self.out
        parts = urlsplit(self.out)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def bots_dir(self) -> Path:
        """Where this process works on bots."""
        if not self.is_url:
            return Path(self.out)
        chosen = os.environ.get(SCRATCH) or Path(tempfile.gettempdir()) / "huggingtweets-fleet"
        return Path(chosen) / f"{key_of(self.out)}-{os.getpid()}"

    def read(self, name: str) -> bytes | None:
        """A file beside the bots, if it is there."""
        if not self.is_url:
            path = Path(self.out) / name
            return path.read_bytes() if path.is_file() else None
        with self._errors():
            try:
                content: bytes = self._files()[0].cat_file(self._path(name))
                return content
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """All of it, or nothing."""
        if not self.is_url:
            write_atomically(Path(self.out) / name, [content])
            return
        with self._errors():
            self._files()[0].pipe_file(self._path(name), content)

    def is_complete(self, name: str, key: str) -> bool:
        """Whether the bot is whole behind the URL, made as this order wants it; a folder's bots are looked at."""
        return self.is_url and self._mark(name).get("key") == key

    def sweep(self) -> None:
        """Removes what processes of this machine left that were killed."""
        if not self.is_url:
            return
        for left in self.bots_dir.parent.glob("*-*"):
            if not _lives(left.name.rpartition("-")[2]):
                shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def kept(self, bot: BotDir, key: str) -> Iterator[Save]:
        """The bot is here in the block, and what `save` is called for is there afterwards."""
        if not self.is_url:
            yield lambda whole: None
            return
        with _Copy(self, bot, key) as copy:
            yield copy.save

    def _mark(self, name: str) -> dict[str, Any]:
        try:
            mark = json.loads(self.read(f"{name}/{COMPLETE}") or b"{}")
        except ValueError:
            return {}
        return mark if isinstance(mark, dict) else {}

    def _files(self) -> tuple[Any, str]:
        """fsspec's file system and the path in it."""
        import fsspec

        try:
            files, path = fsspec.core.url_to_fs(self.out)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"{self} can't be opened: {error}", next="pip install the package it names; for S3: pip install s3fs"
            ) from error
        return files, str(path)

    def _path(self, name: str) -> str:
        return f"{self._files()[1]}/{name}"

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Every storage's client raises errors of its own."""
        try:
            yield
        except HuggingtweetsError:
            raise
        except Exception as error:
            line = next(iter(str(error).splitlines()), "")
            raise NetworkTrouble(
                f"{self} does not do what it was asked.",
                why=f"{type(error).__name__}: {line}",
                next="look at its address and your credentials, then run the same command again",
            ) from error


class _Copy:
    """A bot of the storage, in this process's own folder for a while."""

    def __init__(self, storage: Storage, bot: BotDir, key: str) -> None:
        self._storage, self._bot, self._key = storage, bot, key
        self._there: dict[str, tuple[int, int]] = {}  # what was put, by its length and time here
        self._lock = threading.Lock()

    def __enter__(self) -> _Copy:
        there = set(self._list())
        if COMPLETE in there and self._storage._mark(self._bot.name).get("key") != self._key:
            with self._storage._errors():
                self._files.rm_file(self._at(COMPLETE))
        shutil.rmtree(self._bot.path, ignore_errors=True)
        forgotten = self._storage.read(FORGOTTEN)  # the gate looks for it beside the bot
        if forgotten is not None:
            write_atomically(self._bot.path.parent / FORGOTTEN, [forgotten])
        with self._storage._errors(), storage_errors(self._bot.path):
            for name in sorted(there - {COMPLETE}):
                target = self._bot.path / name
                make_folder(target.parent)
                self._files.get_file(self._at(name), str(target))
                self._there[name] = _facts(target)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is not None:
                with contextlib.suppress(HuggingtweetsError):  # what was raised says more
                    self.save(False)
        finally:
            shutil.rmtree(self._bot.path, ignore_errors=True)

    def save(self, whole: bool) -> None:
        """Puts what has changed: `bot.json`, which says what is done, after what it speaks of."""
        with self._lock, self._storage._errors():
            now = {name: path for path in self._bot.path.rglob("*") if (name := self._name(path))}
            for name in sorted(now, key=lambda name: (name == self._bot.record.name, name)):
                with contextlib.suppress(FileNotFoundError):  # replaced or removed this moment: the next time
                    facts = _facts(now[name])
                    if self._there.get(name) != facts:
                        self._files.put_file(str(now[name]), self._at(name))
                        self._there[name] = facts
            for name in self._there.keys() - now.keys():
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(self._at(name))
                del self._there[name]
            if whole:
                mark = {"key": self._key, "files": {name: size for name, (size, _) in sorted(self._there.items())}}
                self._files.pipe_file(self._at(COMPLETE), json.dumps(mark, indent=1).encode())

    @cached_property
    def _files(self) -> Any:
        return self._storage._files()[0]

    def _at(self, name: str) -> str:
        return self._storage._path(f"{self._bot.name}/{name}")

    def _list(self) -> list[str]:
        root = self._storage._path(self._bot.name)
        with self._storage._errors():
            self._files.invalidate_cache()
            try:
                found = self._files.find(root)
            except FileNotFoundError:
                return []
        names = [path[len(root) + 1 :] for path in map(str, found)]
        return [name for name in names if not {"", ".", ".."} & set(name.split("/"))]  # a key may be any text

    def _name(self, path: Path) -> str | None:
        """Of a file that goes there; None for one that stays."""
        name = path.relative_to(self._bot.path).as_posix()
        parts = PurePosixPath(name).parts
        hidden = any(part.startswith(".") for part in parts)
        left = any(name == other or name.startswith(f"{other}/") for other in LEFT_OUT)
        return None if hidden or left or not path.is_file() or path.is_symlink() else name


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _facts(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
