"""Standard input as a source: whatever a pipe brings, a file of posts or a whole archive.

In: bytes that can be read once. Out: what the file that they make up would give.

- The bytes go to a temporary file first, because a source is read more than once, and are looked at there like any
  other path. The file is gone when its posts are read, at the latest when the program ends.
- It may be as long as 16 GiB, and no longer than half of what is free on the disk: a pipe may never end.
- A terminal is no pipe: nobody types posts, so that is said rather than waited for.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from huggingtweets.botdir import storage_errors
from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.sources.base import Origin, Page, Source, Tell, tell_nobody
from huggingtweets.sources.files.opening import CHUNK_BYTES

LARGEST_BYTES = 1 << 34
NAME = "standard input"
HOW = "cat posts.jsonl | huggingtweets create -"

# Standard input can be read once, but is opened again when a bot's own settings are known.
_SPOOLS: weakref.WeakKeyDictionary[BinaryIO, Path] = weakref.WeakKeyDictionary()


def piped_in() -> BinaryIO | None:
    """What a pipe brings; None where nothing is connected."""
    return sys.stdin.buffer if sys.stdin is not None else None


@dataclass
class StandardInput:
    """The posts of one account out of a pipe; a `Source`."""

    settings: ImportSettings
    open: Callable[[str, ImportSettings], Source]  # of a path
    stream: BinaryIO | None = field(default_factory=piped_in, repr=False)

    @property
    def spec(self) -> str:
        return "-"

    @cached_property
    def handle(self) -> str:
        """`--handle`, else the one account that the data name, else "stdin"."""
        with _calling_it_by_name(self._path):
            return self._source.handle

    @cached_property
    def origin(self) -> Origin:
        with _calling_it_by_name(self._path):
            return self._source.origin

    def fingerprint(self) -> str:
        """Over the content and the settings that matter."""
        return self._fingerprint

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """As the file would give them; removes the file once they are read."""
        with _calling_it_by_name(self._path):
            yield from self._source.pages(known=known, tell=tell)
        _ = self.handle, self.origin, self._fingerprint  # asked for later on, when the file is gone
        shutil.rmtree(self._path.parent, ignore_errors=True)

    @cached_property
    def _fingerprint(self) -> str:
        with _calling_it_by_name(self._path):
            return self._source.fingerprint()

    @cached_property
    def _source(self) -> Source:
        return self.open(str(self._path), self.settings)

    @cached_property
    def _path(self) -> Path:
        stream = self.stream
        if stream is None or stream.closed or stream.isatty():
            raise UnreadableFile("Nothing is piped into standard input, which - stands for.", next=HOW)
        if stream not in _SPOOLS:
            _SPOOLS[stream] = _spool(stream)
        return _SPOOLS[stream]


def _spool(stream: BinaryIO) -> Path:
    """All of the stream as a file in a folder of its own, which goes with the stream."""
    folder = Path(tempfile.mkdtemp(prefix="huggingtweets-"))
    weakref.finalize(stream, shutil.rmtree, folder, ignore_errors=True)
    path = folder / "stdin"  # by which name it is known where the data name nobody
    try:
        _copy(stream, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path


def _copy(stream: BinaryIO, path: Path) -> None:
    limit_bytes = min(LARGEST_BYTES, shutil.disk_usage(path.parent).free // 2)
    with storage_errors(path), path.open("wb") as out:
        for chunk in _chunks(stream):
            if out.tell() + len(chunk) > limit_bytes:
                raise UnreadableFile(
                    f"More than {limit_bytes >> 20:,} MB came through {NAME}.",
                    why=f"They are kept in {path.parent.parent} while they are read.",
                    next="save them as a file on a disk with room, and pass that",
                )
            out.write(chunk)
        if not out.tell():
            raise UnreadableFile(f"Nothing came through {NAME}.", why="The program before it wrote nothing.", next=HOW)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(CHUNK_BYTES)
        except (OSError, ValueError) as error:
            raise SourceError(f"{NAME.capitalize()} broke off: {error}.", next=HOW) from error
        if not chunk:
            return
        yield chunk


@contextlib.contextmanager
def _calling_it_by_name(path: Path) -> Iterator[None]:
    """What is said of the temporary file is said of standard input."""
    try:
        yield
    except SourceError as error:
        said = (text.replace(str(path), NAME) for text in (error.what, error.why, error.next))
        what, why, next = said
        raise type(error)(what[:1].upper() + what[1:], why=why, next=next) from error
