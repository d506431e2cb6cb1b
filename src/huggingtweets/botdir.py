"""A bot is a folder: every file name in it, and writes that a crash cannot tear.

- A file that exists is complete: all writing goes to a temporary name beside it and is renamed.
- Whether a stage is done is derived: `bot.json` keeps, for each stage, a key made of its settings and of
  what it read. The stage is done when the key it would have now is the one written there and its files exist.
- One process works on a bot at a time; a lock that dies with its process sees to it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huggingtweets.errors import BotBusy, BotError, StorageError

T = TypeVar("T")

FORMAT = 1  # of bot.json; raised when an older version could no longer read it


@dataclass(frozen=True)
class BotDir:
    """The paths of one bot."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def record(self) -> Path:
        return self.path / "bot.json"

    @property
    def posts(self) -> Path:
        return self.path / "posts.jsonl"

    @property
    def accounts(self) -> Path:
        return self.path / "accounts.json"

    @property
    def partial(self) -> Path:
        """Where an unfinished download continues from; gone once posts.jsonl is whole."""
        return self.path / "download"

    @property
    def avatars(self) -> Path:
        return self.path / "avatars"

    @property
    def train_posts(self) -> Path:
        return self.path / "dataset" / "train.jsonl"

    @property
    def holdout_posts(self) -> Path:
        return self.path / "dataset" / "holdout.jsonl"

    @property
    def trained_marks(self) -> Path:
        """Marks of the texts that the model before the last update had learned from: never held out any more."""
        return self.path / "dataset" / "trained.txt"

    @property
    def dataset_report(self) -> Path:
        return self.path / "dataset" / "report.json"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def fast(self) -> Path:
        """The model's copy that generates without torch; of this machine, never published, made anew at will."""
        return self.path / "fast"

    @property
    def previous(self) -> Path:
        """The model that an update starts from; gone once the update is trained."""
        return self.path / "previous"

    @property
    def published(self) -> Path:
        """Where the bot went, once it went anywhere."""
        return self.path / "published.json"

    @property
    def lineage(self) -> Path:
        return self.path / "lineage.json"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training continues from; gone once the model is saved."""
        return self.path / "checkpoint"

    @property
    def train_log(self) -> Path:
        return self.path / "train.jsonl"

    @property
    def train_report(self) -> Path:
        return self.path / "train.json"

    @property
    def eval_report(self) -> Path:
        return self.path / "eval.json"

    @property
    def samples(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    @property
    def picture(self) -> Path:
        return self.path / "predictions.png"

    def read_record(self) -> dict[str, Any]:
        """`bot.json`, or an empty record for a bot that is only about to be.

        Raises BotError when the file is damaged or from a later version.
        """
        if not self.record.exists():
            return {"format": FORMAT, "name": self.name, "stages": {}}
        record: dict[str, Any] = read_as(self.record, _checked_record)
        if record["format"] > FORMAT:
            raise BotError(
                f"{self.path} was made by a later version of huggingtweets.",
                next="pip install --upgrade huggingtweets",
            )
        return record

    def write_record(self, **changes: Any) -> None:
        write_json(self.record, {**self.read_record(), **changes})

    def is_done(self, stage: str, key: str, files: Iterable[Path]) -> bool:
        """Whether the stage was finished with exactly this key and its files are still there."""
        done = self.read_record()["stages"].get(stage)
        return done is not None and done["key"] == key and all(file.exists() for file in files)

    def stage(self, name: str) -> dict[str, Any] | None:
        """What `bot.json` says of a finished stage."""
        found: dict[str, Any] | None = self.read_record()["stages"].get(name)
        return found

    def mark_done(self, stage: str, key: str, **facts: Any) -> None:
        stages = self.read_record()["stages"]
        self.write_record(stages={**stages, stage: {"key": key, **facts}})

    def forget(self, stages: Iterable[str]) -> None:
        """The stages count as not done, and run again."""
        done = self.read_record()["stages"]
        self.write_record(stages={name: facts for name, facts in done.items() if name not in set(stages)})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the bot for this process; raises BotBusy when another has it."""
        from filelock import FileLock, Timeout

        make_folder(self.path)
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            with storage_errors(self.path):
                lock.acquire()
        except Timeout:
            raise BotBusy(
                f"{self.path} is being worked on by another process.",
                next="wait for it, or stop it, and run the same command again",
            ) from None
        try:
            yield
        finally:
            lock.release()
            self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        """A bot that never got a record leaves no folder behind."""
        if self.path.exists() and {file.name for file in self.path.iterdir()} <= {".lock"}:
            with contextlib.suppress(OSError):
                (self.path / ".lock").unlink(missing_ok=True)
                self.path.rmdir()


def bot_name(handles: Iterable[str]) -> str:
    """The original's naming: handles in lower case, sorted, joined by "-", safe as a folder and repository.

    A handle without a Latin letter or digit becomes a digest.

    >>> bot_name(["NASA", "borisdayma"])
    'borisdayma-nasa'
    >>> bot_name(["../../etc/passwd"])
    'etc-passwd'
    """
    safe = (re.sub(r"[^a-z0-9_.]+", "-", handle.lower()).strip("-.") or key_of(handle)[:8] for handle in handles)
    name = re.sub(r"\.{2,}|-{2,}", "-", "-".join(sorted(safe)))
    return name[:96]  # a Hub repository's name has at most 96 characters


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns a full disk or a missing permission into a StorageError that says where and what next."""
    try:
        yield
    except Exception as error:
        number = _errno_of(error)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what, next = f"The disk is full: {path} could not be written.", "free some space"
        elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
            what, next = f"{path} may not be written: {os.strerror(number)}.", "choose another folder with --bots-dir"
        else:
            raise
        raise StorageError(
            what, why="Nothing finished so far is lost.", next=f"{next}, then run the same command again"
        ) from error


def _errno_of(error: Exception) -> int | None:
    """The system's number, which libraries written in Rust, such as safetensors, put into their text only."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def make_folder(path: Path) -> None:
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Writes to a temporary name beside `path`, flushes to disk and renames: all or nothing."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        try:
            with temporary.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
            put_in_place(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    write_atomically(path, [text.encode("utf-8", "replace")])


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_atomically(path, (line.encode("utf-8", "replace") for line in lines))


def read_json(path: Path) -> Any:
    """Raises BotError when the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BotError(f"{path} is missing.", next="run the create command again") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def read_as(path: Path, build: Callable[[Any], T]) -> T:
    """What `build` makes of a file's JSON; raises BotError when it is missing, damaged or of another shape."""
    value = read_json(path)
    try:
        return build(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> BotError:
    said = f"it has no {error}" if isinstance(error, KeyError) else error
    return BotError(f"{path} is damaged: {said}.", next="delete it and run the create command again")


def _checked_record(record: Any) -> dict[str, Any]:
    """`bot.json` with everything in it that this module relies on."""
    stages = record["stages"]
    if not isinstance(record["format"], int) or not all(isinstance(facts["key"], str) for facts in stages.values()):
        raise TypeError("the format is not a number, or a stage has no key")
    settings = record.get("settings", {})
    if not all(isinstance(part, dict) for part in (record, settings)):
        raise TypeError("the settings are not an object")
    return dict(record)


def lines_as(path: Path, build: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """What `build` makes of every line of a file, one at a time; raises BotError as `read_as` does."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError("a line is not a JSON object")
                yield build(record)
    except FileNotFoundError as error:
        raise BotError(f"{path} is missing.", next="run the create command again") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error


def read_lines_as(path: Path, build: Callable[[dict[str, Any]], T]) -> list[T]:
    """All of `lines_as` at once."""
    return list(lines_as(path, build))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Raises BotError when the file is missing or a line is damaged."""
    return read_lines_as(path, dict)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears under its name only when the block has succeeded, replacing an older one."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                _flush(file)
            if path.exists():
                shutil.rmtree(path)
            put_in_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def put_in_place(temporary: Path, path: Path) -> None:
    """Gives a finished file or folder its name, so that it survives a power cut right after."""
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """From the system's memory to the disk; where a folder can't be opened (Windows), its files must do."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def key_of(*parts: Any) -> str:
    """A short digest of settings and digests: equal parts, equal key, on every machine.

    >>> key_of({"b": 1, "a": 2}) == key_of({"a": 2, "b": 1})
    True
    """
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()[:16]
