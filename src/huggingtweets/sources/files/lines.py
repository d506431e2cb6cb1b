"""Text in pieces to lines, in bounded memory.

A line ends at a line feed and nowhere else: posts contain U+2028, form feeds and bare carriage returns. Only a file
that has no line feed at all is from the days when a carriage return ended the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

TOO_LONG_CHARACTERS = 1 << 20  # of a line of text or a row of a table; the longest posts have 25,000


def ending_of(head: str) -> str:
    """
    >>> ending_of("a\\r\\nb"), ending_of("a\\rb")
    ('\\n', '\\r')
    """
    return "\r" if "\r" in head.rstrip("\r\n") and "\n" not in head else "\n"


def lines(
    chunks: Iterable[str], ending: str = "\n", limit: int = TOO_LONG_CHARACTERS
) -> Iterator[tuple[int, str | None]]:
    """Number and text of each line, without its ending; None for one longer than `limit` characters."""
    rest, number, skipping = "", 1, False
    for chunk in chunks:
        parts = (rest + chunk).split(ending)
        rest = parts.pop()
        for part in parts:
            yield number, None if skipping or len(part) > limit else part
            number, skipping = number + 1, False
        if len(rest) > limit:
            rest, skipping = "", True
    if rest or skipping:
        yield number, None if skipping else rest
