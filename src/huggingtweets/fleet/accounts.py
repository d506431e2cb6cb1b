"""The list of accounts. In: a .txt, .csv or .jsonl file, or a folder. Out: for each bot, what would be typed behind
`huggingtweets create`.

- Text: a line is one to three sources, with any options of `create` behind them; `#` begins a comment.
- CSV and JSON lines: `source` (or `sources`, `account`, `handle`) and, by their names, options of `create`; an empty
  value is none, a yes or a no switches an option that takes none.
- A folder: everything in it is an account's archive, export or file.
- What stands twice is made once.

Not covered: what the words mean (the command line's own parser), whether a source is there (the work's first step).
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingtweets.errors import SettingsError, UnreadableFile

SOURCES = ("source", "sources", "account", "accounts", "handle", "spec")
LARGEST_LIST_BYTES = 1 << 28  # a million accounts with their options; more is some other file


@dataclass(frozen=True)
class Entry:
    """What the list says of one bot; `trouble` where it can't be read."""

    where: str
    words: tuple[str, ...] = ()
    trouble: str = ""


def read_accounts(path: Path) -> list[Entry]:
    """Raises SettingsError for a list that is not there or holds nobody, UnreadableFile for one of another kind."""
    if path.is_dir():
        entries: Iterable[Entry] = _of_folder(path)
    elif path.is_file():
        entries = _of_file(path)
    else:
        raise SettingsError(
            f"There is no list {path}.", next="write a file with an account a line, such as: alice.bsky.social --mine"
        )
    once: dict[object, Entry] = {}
    for entry in entries:
        once.setdefault(entry.words or entry.where, entry)
    if not once:
        raise SettingsError(f"{path} names no account.", next="write one a line, such as: alice.bsky.social --mine")
    return list(once.values())


def _of_folder(path: Path) -> Iterator[Entry]:
    for file in sorted(path.iterdir()):
        if not file.name.startswith("."):
            yield Entry(file.name, (str(file),))


def _of_file(path: Path) -> Iterator[Entry]:
    if path.stat().st_size > LARGEST_LIST_BYTES:
        raise UnreadableFile(f"{path} is too large for a list of accounts.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path} is not a text in UTF-8.", next="save it as UTF-8") from error
    kinds = {".csv": _of_csv, ".tsv": _of_csv, ".jsonl": _of_jsonl, ".ndjson": _of_jsonl}
    return kinds.get(path.suffix.lower(), _of_text)(text)


def _of_text(text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = tuple(shlex.split(line, comments=line.lstrip().startswith("#") or " #" in line))
        except ValueError as error:
            yield Entry(f"line {number}", trouble=f"{str(error).rstrip('.')}: quotes come in pairs.")
            continue
        if words:
            yield Entry(f"line {number}", words)


def _of_csv(text: str) -> Iterator[Entry]:
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in head else ",")
    names = [name.strip().lower() for name in rows.fieldnames or []]
    if not set(names) & set(SOURCES):
        raise UnreadableFile(
            "The list has no column with accounts.", why=f"Its columns are: {', '.join(names)}.", next="call it source"
        )
    rows.fieldnames = names
    try:
        for row in rows:
            yield _entry(f"line {rows.line_num}", {name: value for name, value in row.items() if name is not None})
    except csv.Error as error:
        yield Entry(f"line {rows.line_num}", trouble=f"It is not CSV: {error}.")


def _of_jsonl(text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Entry(f"line {number}", trouble=f"It is not JSON: {error}.")
            continue
        if isinstance(record, str):
            record = {"source": record}
        if isinstance(record, dict):
            yield _entry(f"line {number}", record)
        else:
            yield Entry(f"line {number}", trouble="It is neither a text nor an object.")


def _entry(where: str, record: Mapping[str, Any]) -> Entry:
    """
    >>> _entry("line 1", {"source": "posts.csv", "max_posts": 100, "mine": True, "name": ""}).words
    ('posts.csv', '--max-posts', '100', '--mine')
    """
    sources: list[str] = []
    options: list[str] = []
    for name, value in record.items():
        if name.strip().lower() in SOURCES:
            sources += [str(one) for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]
        else:
            options += _option(name, value)
    if not sources:
        return Entry(where, trouble="It names no account.")
    return Entry(where, tuple(_as_source(one) for one in sources) + tuple(options))


def _as_source(text: str) -> str:
    """What begins with a dash is no option where an account is named."""
    return f"./{text}" if text.startswith("-") else text


def _option(name: str, value: Any) -> list[str]:
    option = "--" + name.strip().lower().replace("_", "-")
    if value is None or value == "" or value == []:
        return []
    if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("yes", "no", "true", "false")):
        said = value if isinstance(value, bool) else value.strip().lower() in ("yes", "true")
        return [option] if said else []
    if isinstance(value, list):
        return [f"{option}={','.join(map(str, value))}"]
    text = str(value)
    return [f"{option}={text}"] if text.startswith("-") else [option, text]
