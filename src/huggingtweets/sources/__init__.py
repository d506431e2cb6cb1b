"""What a person typed becomes a source.

In: `nasa.csv`, `file:nasa.csv`, `@nasa`, ... Out: a `Source`, or UnknownSource with what to type instead.

- An existing path wins; a prefix (`file:`, `x:`, ...) says outright what is meant.
- `KINDS` is the whole table: one row a kind of source. A row that opens nothing yet is still recognised, so that the
  answer is "not in this version" and never "no such file".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import UnknownSource
from huggingtweets.sources.base import Loss, Page, Source
from huggingtweets.sources.files import FileSource

__all__ = ["KINDS", "Kind", "Loss", "Page", "Source", "recognise"]


@dataclass(frozen=True)
class Kind:
    """One row of the table; the pattern's first group is what `open` gets."""

    name: str
    pattern: re.Pattern[str]
    open: Callable[[str, ImportSettings], Source] | None = None
    instead: str = "pass a file of the posts, such as posts.csv"


def _open_file(path: str, settings: ImportSettings) -> Source:
    return FileSource(_existing(path), settings)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_X_FILE = "pass a file of the posts, such as a CSV or twarc's JSONL"

KINDS = (  # in this order: what is said outright, then what can be told by its form
    Kind("a file", _pattern(r"file:(.*)"), _open_file),
    Kind("standard input", _pattern(r"(-)"), instead="save it as a file and pass that"),
    Kind("an X account", _pattern(r"x:(.*)"), instead=_X_FILE),
    Kind("a Bluesky account", _pattern(r"bluesky:(.*)")),
    Kind("a Mastodon account", _pattern(r"mastodon:(.*)")),
    Kind(
        "a dataset on the Hugging Face Hub", _pattern(r"hub:(.*)"), instead="download one of its files, and pass that"
    ),
    Kind("a web address", _pattern(r"(https?://.*)"), instead="download the posts as a file, and pass that"),
    Kind("a Bluesky account", _pattern(r"@?(did:[a-z]+:\S+|[\w-]+\.bsky\.social)")),
    Kind("a Mastodon account", _pattern(r"@?([\w.-]+@[\w-]+(?:\.[\w-]+)+)")),
    Kind("an X account", _pattern(r"@(\w+)"), instead=_X_FILE),
)


def recognise(spec: str, settings: ImportSettings) -> Source:
    """The source that was meant; raises UnknownSource or UnreadableFile."""
    if spec.strip() and _exists(Path(spec)):
        return _open_file(spec, settings)
    for kind in KINDS:
        if found := kind.pattern.fullmatch(spec.strip()):
            return _open(kind, found[1], spec, settings)
    return _open_file(spec, settings)


def _open(kind: Kind, name: str, spec: str, settings: ImportSettings) -> Source:
    if kind.open is None:
        raise UnknownSource(f"{spec} means {kind.name}, and this version reads files only.", next=kind.instead)
    return kind.open(name, settings)


def _existing(typed: str) -> Path:
    path = Path(typed)
    if not _exists(path) and typed.startswith("~"):
        path = _at_home(path)
    if _exists(path) and typed.strip():
        return path
    similar = _similar_names(path)
    raise UnknownSource(
        f"There is no file {typed}." if typed.strip() else "No source was named.",
        why=f"Did you mean {' or '.join(similar)}?" if similar else "",
        next=f"pass {similar[0]}" if similar else "check the name and the folder",
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or not allowed to look
        return False


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def _similar_names(path: Path) -> list[str]:
    """Files of the same folder with a name like this one, best first."""
    try:
        entries = sorted(path.parent.iterdir())
    except (OSError, ValueError):
        return []
    stems: dict[str, list[str]] = {}  # without the ending, which files that have nothing else in common share
    for entry in entries:
        stems.setdefault(entry.stem.casefold(), []).append(str(entry))
    close = difflib.get_close_matches(path.stem.casefold(), stems, n=3, cutoff=0.6)
    return [name for stem in close for name in stems[stem]][:3]


def joined(one: Source, other: Source) -> Source | None:
    return None


def account_named(typed: str) -> str:
    name = re.sub(r"^(?:x|bluesky|mastodon|file):", "", typed.strip(), flags=re.IGNORECASE)
    return name.removeprefix("@").casefold()
