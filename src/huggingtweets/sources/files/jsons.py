"""JSON in all the ways exports write it, one value at a time.

In: decoded text in pieces. Out: the values in it, and what was bad.

- A value a line (JSONL), or an array, a document, or several documents one after the other (`stream`).
- An array is read element by element, so memory is bounded by the largest element and not by the file.
- A bad line is an error that names the line; with `--skip-bad-lines` it is counted and passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files.lines import lines
from huggingtweets.sources.files.opening import FileBytes
from huggingtweets.sources.tally import NOT_JSON, UNREAD_REST, Tally

LONGEST_VALUE_CHARACTERS = 1 << 27  # an object that holds a whole account's posts has a tenth of this

_BETWEEN_VALUES = re.compile(r"[\s,\[\]]*")
_OBJECT = re.compile(r'\s*\{\s*(?:"|\}|\Z)')
_ARRAY = re.compile(r'\s*\[\s*(?:\{|\[|\]\s*\Z|"(?:[^"\\]|\\.)*"\s*[,\]]|\Z)')


def is_json(head: str) -> bool:
    """Whether a file begins like JSON rather than like a sentence in brackets.

    >>> is_json('[{"text": "hi"}]'), is_json("[NASA] says hi"), is_json("{sigh} Mondays")
    (True, False, False)
    """
    return bool(head.strip()) and bool(_OBJECT.match(head) or _ARRAY.match(head))


def is_one_value_a_line(head: str) -> bool:
    """Whether the first lines stand alone, or at least look as if they were meant to."""
    first, *others = [line.strip() for line in head.split("\n") if line.strip()][:3]
    if not first.startswith("{") or _parses(first):
        return first.startswith("{")
    # A document goes on after its first line; what looks whole and is not is a bad line among good ones.
    return not first.endswith(("{", "[", ",")) and any(line.startswith("{") for line in others)


def _parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def values_by_line(chunks: Iterable[str], file: FileBytes, skip_bad_lines: bool, tally: Tally) -> Iterator[object]:
    for number, line in lines(chunks, limit=LONGEST_VALUE_CHARACTERS):
        if line is not None and not line.strip():
            continue
        try:
            value = json.loads(line or "", strict=False)  # raw tabs and the like in strings are fine
        except (ValueError, RecursionError) as error:
            # The last line of a file that was cut short cannot be whole; that is reported already.
            if not skip_bad_lines and not file.cut_short:
                raise _bad_line(file, number, error) from error
            tally.add(NOT_JSON, f"line {number}")
            continue
        yield value


def values_in_stream(chunks: Iterable[str], file: FileBytes, skip_bad_lines: bool, tally: Tally) -> Iterator[object]:
    """Every value of an array, or every document of a file; nested arrays are opened as well."""
    text = Window(chunks, LONGEST_VALUE_CHARACTERS)
    depth = 0
    while True:
        depth += text.pass_over(_BETWEEN_VALUES)
        if text.is_at_end():
            break
        try:
            yield text.next_value()
        except (ValueError, RecursionError) as error:
            if not skip_bad_lines and not file.cut_short:
                raise _bad_line(file, text.line_of(error), error) from error
            tally.add(UNREAD_REST, f"line {text.line_of(error)}")
            return
    if depth > 0 and not file.cut_short:
        if not skip_bad_lines:
            raise _bad_line(file, text.line, ValueError("the closing ] is missing"))
        tally.add(UNREAD_REST, f"line {text.line}")


class Window:
    """The part of the text that is being parsed; a value longer than `longest` characters is damaged."""

    def __init__(self, chunks: Iterable[str], longest: int = LONGEST_VALUE_CHARACTERS) -> None:
        self._chunks = iter(chunks)
        self._longest = longest
        self._text = ""
        self._at = 0
        self._ended = False
        self._decoder = json.JSONDecoder(strict=False)
        self.line = 1

    def pass_over(self, between: re.Pattern[str]) -> int:
        """Skips what stands between values; returns how many brackets were opened less those closed."""
        opened = 0
        while True:
            found = between.match(self._text, self._at)
            skipped = found[0] if found else ""
            opened += skipped.count("[") - skipped.count("]")
            self._move(self._at + len(skipped))
            if self._at < len(self._text) or not self._fill():
                return opened

    def pass_to(self, wanted: re.Pattern[str], overlap: int = 0) -> str | None:
        """Goes behind the next match, which is returned; none is longer than `overlap` and a character."""
        while True:
            if found := wanted.search(self._text, self._at):
                self._move(found.end())
                return found[0]
            self._move(max(self._at, len(self._text) - overlap))
            if not self._fill():
                return None

    def is_at_end(self) -> bool:
        return self._at >= len(self._text) and self._ended

    def next_value(self) -> object:
        """Raises ValueError or RecursionError, the position being where parsing stopped."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if not self._fill():
                    raise
                continue
            # A number at the very end of the window may go on after it.
            if end == len(self._text) and not isinstance(value, (dict, str)) and self._fill():
                continue
            self._move(end)
            return value

    def line_of(self, error: Exception) -> int:
        position = error.pos if isinstance(error, json.JSONDecodeError) else self._at
        return self.line + self._text.count("\n", self._at, position)

    def _move(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _fill(self) -> bool:
        """At least doubles what lies ahead, so that a long value is not parsed again for every piece."""
        if self._ended or len(self._text) - self._at > self._longest:
            return False
        ahead = self._text[self._at :]
        parts, size = [ahead], len(ahead)
        while size <= 2 * len(ahead):
            piece = next(self._chunks, None)
            if piece is None:
                self._ended = True
                break
            parts.append(piece)
            size += len(piece)
        self._text, self._at = "".join(parts), 0
        return size > len(ahead)


def _bad_line(file: FileBytes, number: int, error: Exception) -> UnreadableFile:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    return UnreadableFile(
        f"{file.path} is damaged at line {number}: it is not JSON ({reason}).",
        why="The file was probably cut short or edited by hand.",
        next="add --skip-bad-lines to use the rest",
    )
