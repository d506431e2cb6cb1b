"""CSV, TSV and their relatives: which separator, whether it is a table at all, and its rows.

In: the beginning of a text; then its lines. Out: a `Layout`; then one record (column to cell) a row.

What is a table: a first line that names a known column (or the one `--text-column` names), or rows that all have the
same number of cells with a column of nothing but numbers or dates. Sentences with commas in them are neither, and come
out as plain text, one post a line.

- Rows with too many cells: a separator stood unquoted in the text, so the surplus is joined there again.
- Rows with too few: used as far as they go. A quote that is never closed ends with its line. All are counted.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from huggingtweets.sources.files import columns
from huggingtweets.sources.files.lines import TOO_LONG_CHARACTERS
from huggingtweets.sources.tally import OPEN_QUOTES, TOO_FEW_CELLS, TOO_LONG, TOO_MANY_CELLS, Tally
from huggingtweets.sources.values import parse_time

SEPARATORS = (",", "\t", ";", "|")
NO_SEPARATOR = "\x1f"  # ASCII's own unit separator: a table of one column, which no comma splits
HEAD_ROWS = 100
LONGEST_ROW_LINES = 500  # a quoted post of more lines is an unclosed quote
LONGEST_NAME = 60  # characters of a column's name
SAME_ROWS = 5  # that many rows with equally many cells are no coincidence, if one column is all numbers

_RETURN = "\0"  # stands for a bare carriage return inside a row; real NULs are gone by then
_BARE_WORD = re.compile(r"[^\W\d][\w.-]*")
_QUOTED_CELL = re.compile(r'"(?:[^"]|"")*"')
_NUMBER_CELL = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """How the rows are to be read."""

    separator: str
    names: tuple[str, ...]  # as they stand in the file
    has_header: bool = True


def find_layout(head: str, text_column: str | None) -> Layout | None:
    """None when it is plain text.

    >>> find_layout("id;text\\n1;Hello, world\\n", None)
    Layout(separator=';', names=('id', 'text'), has_header=True)
    >>> find_layout("Hello, world\\nIt rains, alas\\n", None) is None
    True
    """
    lines = [line for line in head.split("\n") if line.strip()][:HEAD_ROWS]
    if not lines:
        return None
    wanted = columns.normal(text_column) if text_column else None
    tables = [(separator, _parse(lines, separator)) for separator in SEPARATORS]
    by_header = [(_header_score(rows, wanted), separator, rows[0]) for separator, rows in tables if rows]
    score, separator, names = max(by_header, key=lambda found: found[0], default=(0, "", []))
    if score:
        return Layout(separator if len(names) > 1 else NO_SEPARATOR, tuple(name.strip() for name in names))
    for separator, rows in tables:
        if _is_regular(rows, separator) or _has_bare_header(rows):
            return Layout(separator, tuple(name.strip() for name in rows[0]))
    return Layout(NO_SEPARATOR, ("text",), has_header=False) if _is_quoted_column(lines) else None


def _parse(lines: list[str], separator: str) -> list[list[str]]:
    throwaway = Tally()
    return [cells for cells, _ in _rows(enumerate(lines, start=1), separator, 0, throwaway)]


def _header_score(rows: list[list[str]], wanted: str | None) -> int:
    """How many columns the first row names that we know; 0 when it is not a header."""
    names = [columns.normal(cell) for cell in rows[0]]
    if any(len(name) > LONGEST_NAME for name in names) or not any(names):
        return 0
    known = [name for name in names if name in columns.KNOWN or name == wanted]
    kinds = {"text" if name in columns.TEXT else name for name in known}
    holds_text = wanted in names if wanted else "text" in kinds
    if not (holds_text or "text" in kinds or len(kinds) >= 2):
        return 0
    # One known word may begin a sentence ("Text, please"); then the rows must have as many cells as the header.
    fitting = sum(len(row) == len(names) for row in rows[1:])
    is_sure = holds_text and len(kinds) >= 2
    return len(known) + 100 * holds_text if is_sure or len(names) == 1 or 2 * fitting >= len(rows) - 1 else 0


def _is_regular(rows: list[list[str]], separator: str) -> bool:
    """Rows of equally many cells with a column of nothing but numbers or dates, or anything in tabs."""
    width = len(rows[0]) if rows else 0
    if width < 2 or len(rows) < SAME_ROWS or any(len(row) != width for row in rows[:-1]):
        return False
    body = [row for row in rows[1:] if len(row) == width]
    return separator == "\t" or any(all(_is_machine_made(row[index]) for row in body) for index in range(width))


def _has_bare_header(rows: list[list[str]]) -> bool:
    """A first row of bare words over rows just as wide, with no space behind a separator, as sentences have it."""
    width = len(rows[0]) if rows else 0
    if width < 2 or len(rows) < 2 or not all(_BARE_WORD.fullmatch(cell) for cell in rows[0]):
        return False
    return all(len(row) == width and not any(cell[:1].isspace() for cell in row) for row in rows)


def _is_machine_made(cell: str) -> bool:
    return bool(_NUMBER_CELL.fullmatch(cell.strip())) or parse_time(cell) is not None


def _is_quoted_column(lines: list[str]) -> bool:
    """One column without a header as a CSV writer leaves it: every line one quoted cell."""
    return len(lines) > 1 and all(_QUOTED_CELL.fullmatch(line.rstrip("\r")) for line in lines)


def records(
    lines: Iterable[tuple[int, str | None]], layout: Layout, text_column: str | None, tally: Tally
) -> Iterator[dict[str, object]]:
    """One record a row, keys in normal form; where a name occurs twice, the first column has it."""
    names = [columns.normal(name) for name in layout.names]
    text_at = _text_position(names, text_column)
    rows = _rows(_without_long_lines(lines, tally), layout.separator, len(names), tally)
    if layout.has_header:
        next(rows, None)
    for cells, number in rows:
        fitted = _fit(cells, number, len(names), text_at, layout.separator, tally)
        record: dict[str, object] = {}
        for name, cell in zip(names, fitted, strict=False):
            record.setdefault(name, cell)
        yield record


def _text_position(names: list[str], text_column: str | None) -> int:
    order = (columns.normal(text_column),) if text_column else columns.TEXT
    return next((names.index(name) for name in order if name in names), len(names) - 1)


def _fit(cells: list[str], number: int, width: int, text_at: int, separator: str, tally: Tally) -> list[str]:
    """
    >>> _fit(["1", "Hello", " world", "en"], 7, 3, 1, ",", Tally())
    ['1', 'Hello, world', 'en']
    """
    surplus = len(cells) - width
    if surplus < 0:
        tally.add(TOO_FEW_CELLS, f"line {number}")
        return cells
    if surplus == 0 or not any(cell.strip() for cell in cells[width:]):  # spreadsheets pad rows
        return cells[:width]
    tally.add(TOO_MANY_CELLS, f"line {number}")
    end = text_at + surplus + 1
    return [*cells[:text_at], separator.join(cells[text_at:end]), *cells[end:]]


def _without_long_lines(lines: Iterable[tuple[int, str | None]], tally: Tally) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if line is None:
            tally.add(TOO_LONG, f"line {number}")
        else:
            yield number, line


def _rows(
    lines: Iterable[tuple[int, str]], separator: str, width: int, tally: Tally
) -> Iterator[tuple[list[str], int]]:
    """Cells and line number of each row that is not blank."""
    csv.field_size_limit(2 * TOO_LONG_CHARACTERS)  # `_Feed` stops a row long before
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=separator)
    while True:
        feed.start_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_Runaway, csv.Error):
            tally.add(OPEN_QUOTES, f"line {feed.row[0][0]}")
            cells = _read_runaway(feed, separator, width)
            reader = csv.reader(feed, delimiter=separator)
        if any(cell.strip(" \t\0") for cell in cells):
            yield [_restore(cell) for cell in cells], feed.row[0][0]


def _read_runaway(feed: _Feed, separator: str, width: int) -> list[str]:
    """The cells of a row whose quote is never closed; gives back the lines that are rows of their own."""
    (_, first), *others = feed.row
    if feed.is_at_end and all(line.count(separator) < width - 1 for _, line in others):
        # Nothing after it looks like a row: the file ends inside its last text.
        text = "".join(line for _, line in feed.row).rstrip("\r\n")
        return next(csv.reader([text.replace("\n", _RETURN)], delimiter=separator), [])
    feed.give_back(others)
    return [cell.removeprefix('"').rstrip("\r\n") for cell in first.split(separator)]


def _restore(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace(_RETURN, "\n")


class _Runaway(Exception):
    """A row has not ended after `LONGEST_ROW_LINES`, or before the file did."""


class _Feed:
    """Hands lines to csv.reader, remembering those of the row at hand, so that they can be read again."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self._lines = iter(lines)
        self._again: deque[tuple[int, str]] = deque()
        self.row: list[tuple[int, str]] = []
        self._size = 0  # characters of the row
        self.is_at_end = False

    def start_row(self) -> None:
        self.row = []
        self._size = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        # csv.reader asks for a further line only inside a quoted cell.
        if self._size > TOO_LONG_CHARACTERS or len(self.row) >= LONGEST_ROW_LINES:
            raise _Runaway
        found = self._again.popleft() if self._again else self._next_line()
        if found is None:
            self.is_at_end = True
            if self.row:
                raise _Runaway
            raise StopIteration
        self.row.append(found)
        self._size += len(found[1])
        return found[1]

    def _next_line(self) -> tuple[int, str] | None:
        found = next(self._lines, None)
        if found is None:
            return None
        number, line = found
        body, end = (line[:-1], "\r\n") if line.endswith("\r") else (line, "\n")
        return number, body.replace("\r", _RETURN) + end

    def give_back(self, lines: list[tuple[int, str]]) -> None:
        self._again.extendleft(reversed(lines))
