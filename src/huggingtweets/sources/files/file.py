"""A file as a source: CSV and its relatives, JSON, JSONL, Parquet or plain text, gzipped or not.

In: a path and the `ImportSettings`. Out: pages of posts by one author, and everything that could not be used, counted.

- The format is found by looking (`files.formats`), the posts in its values by their form (`files.shapes`), and whose
  they are by reading all of it once (`files.timeline`).
- Saved answers of X's, Bluesky's and Mastodon's APIs are files like any other.

Not covered: archives and repositories, which have sources of their own and are refused by name here (`files.opening`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.files.formats import Format, find_format
from huggingtweets.sources.files.opening import FileBytes, translated_errors
from huggingtweets.sources.files.timeline import Timeline
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.tally import CUT_SHORT, Tally

READER = 2  # raised when the same file would give other posts than before

_FILE_ENDINGS = frozenset(
    (".csv", ".tsv", ".tab", ".psv", ".json", ".jsonl", ".ndjson", ".txt", ".text", ".parquet", ".pq", ".gz")
)


class FileSource:
    """The posts of one account in a file; a `Source`."""

    def __init__(self, path: Path, settings: ImportSettings) -> None:
        self._path = path
        self._settings = settings
        self._file = FileBytes(path)

    @property
    def spec(self) -> str:
        return f"file:{self._path.absolute()}"

    @property
    def handle(self) -> str:
        """`--handle`, else the one author whom the file names, else the file's name; what is wrong, `pages` says."""
        if handle := safe_handle(self._settings.handle or ""):
            return handle
        try:
            return self._timeline.account.handle
        except SourceError:
            return safe_handle(self._settings.author or "") or handle_from(self._path)

    def fingerprint(self) -> str:
        """SHA-256 over the content, the settings, and the avatar's content rather than its path."""
        settings = dataclasses.asdict(self._settings) | {"avatar": None, "handle": self.handle}
        digest = hashlib.sha256(repr((READER, sorted(settings.items()))).encode("utf-8", "replace"))
        for path in [self._path] + ([Path(self._settings.avatar)] if self._settings.avatar else []):
            with translated_errors(path), path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @property
    def origin(self) -> Origin:
        return Origin("file")

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """All posts, in the file's order, up to a thousand a page; always from the beginning."""
        avatar = read_avatar(self._settings.avatar) if self._settings.avatar else None
        first = Page(account=self._timeline.account, avatar=avatar)
        tally = Tally()
        for loss in self._rows.format.encoding.losses:
            tally.add(loss.what, loss.example, loss.count)
        yield from self._timeline.pages(first, tally)

    @cached_property
    def _rows(self) -> _FileRows:
        return _FileRows(find_format(self._file, self._settings), self._settings)

    @cached_property
    def _timeline(self) -> Timeline:
        return Timeline(self._rows, self._settings, handle_from(self._path))


@dataclasses.dataclass
class _FileRows:
    """The values of a file as `files.timeline.Rows`."""

    format: Format
    settings: ImportSettings

    @property
    def name(self) -> str:
        return str(self.format.file.path)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.format.columns

    @property
    def fraction(self) -> float | None:
        return self.format.fraction

    def values(self, tally: Tally) -> Iterator[object]:
        yield from self.format.values(self.settings, tally)
        if self.format.file.cut_short:
            tally.add(CUT_SHORT)


def handle_from(path: Path) -> str:
    """
    >>> handle_from(Path("exports/My posts.csv.gz"))
    'My_posts'
    """
    name = path.name
    while Path(name).suffix.lower() in _FILE_ENDINGS:
        name = Path(name).stem
    return safe_handle(name) or "posts"
