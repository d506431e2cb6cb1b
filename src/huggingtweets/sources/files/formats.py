"""Which format a file is in, found by looking, and the values it holds.

In: a file. Out: a `Format`, whose `values` can be read more than once: one value a row, line or JSON value.

The order: Parquet by its first bytes; what is refused by its first bytes; JSON by how it begins; a table by its first
rows; else plain text, one post a line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from huggingtweets.config import ImportSettings
from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files import columns, jsons, parquet, tables
from huggingtweets.sources.files.decoding import Encoding, decode, detect, whole_characters
from huggingtweets.sources.files.lines import ending_of, lines
from huggingtweets.sources.files.opening import PARQUET, FileBytes, refuse_binary, refuse_other_kinds
from huggingtweets.sources.files.timeline import no_text_column
from huggingtweets.sources.tally import NULS, TOO_LONG, Tally

HEAD_BYTES = 1 << 16  # a hundred rows or more

FormatKind = Literal["parquet", "json lines", "json", "table", "text"]
_UTF8 = Encoding("utf-8")


@dataclass
class Format:
    """How one file is read."""

    file: FileBytes
    kind: FormatKind
    encoding: Encoding = _UTF8
    ending: str = "\n"
    layout: tables.Layout | None = None
    columns: tuple[str, ...] = ()  # of a table, as they stand in the file
    fraction: float | None = None  # of the file, read so far

    def values(self, settings: ImportSettings, tally: Tally) -> Iterator[object]:
        """Everything in the file, from its beginning; raises SourceError."""
        if self.kind == "parquet":
            yield from parquet.records(self.file.path, settings.text_column, self._note_progress)
            return
        with contextlib.closing(self.file.chunks()) as chunks:
            for value in self._decoded_values(self._text(chunks, tally), settings, tally):
                self.fraction = self.file.fraction
                yield value

    def _decoded_values(self, text: Iterator[str], settings: ImportSettings, tally: Tally) -> Iterator[object]:
        if self.kind == "json lines":
            yield from jsons.values_by_line(text, self.file, settings.skip_bad_lines, tally)
        elif self.kind == "json":
            yield from jsons.values_in_stream(text, self.file, settings.skip_bad_lines, tally)
        elif self.layout is not None:
            yield from tables.records(lines(text, self.ending), self.layout, settings.text_column, tally)
        else:
            yield from _posts_by_line(lines(text, self.ending), tally)

    def _text(self, chunks: Iterable[bytes], tally: Tally) -> Iterator[str]:
        for piece in decode(chunks, self.encoding):
            if nuls := piece.count("\0"):
                tally.add(NULS, count=nuls)
            yield piece.replace("\0", "")

    def _note_progress(self, fraction: float) -> None:
        self.fraction = fraction


def _posts_by_line(numbered: Iterable[tuple[int, str | None]], tally: Tally) -> Iterator[object]:
    for number, line in numbered:
        if line is None:
            tally.add(TOO_LONG, f"line {number}")
        elif line.strip():
            yield {"text": line.rstrip("\r").replace("\r", "\n")}


def find_format(file: FileBytes, settings: ImportSettings) -> Format:
    """Looks at the whole file once, for its encoding; raises UnreadableFile for what holds no posts."""
    if file.head().startswith(PARQUET):
        found = Format(file, "parquet", columns=tuple(parquet.column_names(file.path)))
    else:
        found = _find_text_format(file, settings)
    _check_text_column(found, settings)
    return found


def _find_text_format(file: FileBytes, settings: ImportSettings) -> Format:
    head, is_whole = _head(file)
    refuse_other_kinds(file.path, head)
    refuse_binary(file.path, "".join(decode([head], detect(head, [head]))))
    with contextlib.closing(file.chunks()) as chunks:
        encoding = detect(head, chunks)
    text = "".join(decode([head], encoding)).replace("\0", "")
    if is_whole and not text.strip():
        raise UnreadableFile(f"{file.path} is empty.", next="pass a file with posts in it")
    ending = ending_of(text)
    if not is_whole and ending in text:
        text = text[: text.rindex(ending) + 1]
    if jsons.is_json(text):
        return Format(file, "json lines" if jsons.is_one_value_a_line(text) else "json", encoding)
    layout = tables.find_layout(text.replace(ending, "\n"), settings.text_column)
    names = layout.names if layout else ()
    return Format(file, "table" if layout else "text", encoding, ending, layout, names)


def _head(file: FileBytes) -> tuple[bytes, bool]:
    """The first unpacked bytes, and whether they are all there are."""
    head = b""
    with contextlib.closing(file.chunks()) as chunks:
        for chunk in chunks:
            head += chunk
            if len(head) > HEAD_BYTES:
                break
    whole = next(whole_characters([head[:HEAD_BYTES]]), b"") if len(head) > HEAD_BYTES else head
    return whole, len(head) <= HEAD_BYTES


def _check_text_column(found: Format, settings: ImportSettings) -> None:
    """JSON has no columns to check before it is read; see `files`."""
    if found.kind in ("json", "json lines"):
        return
    if found.kind == "text":
        if settings.text_column is not None:
            raise UnreadableFile(
                f"{found.file.path} has no column {settings.text_column!r}: it reads as plain text, one post a line.",
                why="A table's first line names its columns.",
                next="leave --text-column away, or add a first line with the columns' names",
            )
        return
    names = {columns.normal(name) for name in found.columns}
    known = {columns.normal(settings.text_column)} if settings.text_column else set(columns.TEXT)
    if names.isdisjoint(known):
        raise no_text_column(str(found.file.path), found.columns, settings)
