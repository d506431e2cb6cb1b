"""Counting what could not be used, so that no row goes missing without a word.

In: one call for each thing lost. Out: the `Loss` records of a page.

- What is in `WHOLE_POSTS` cost a post each: posts and those add up to the rows of the file.
- Everything else names a detail that was lost or repaired while the post itself was kept.
"""

from __future__ import annotations

from huggingtweets.sources.base import Loss

NO_TEXT = "rows without text"
NOT_JSON = "lines that are not JSON"
NOT_POSTS = "entries that are not posts"
NOTICES = "notices of deletions, limits or errors"
OTHERS = "posts by other accounts"
TOO_LONG = "lines too long to be a post"
UNREAD_REST = "damaged places after which the file could not be read"

WHOLE_POSTS = frozenset({NO_TEXT, NOT_JSON, NOT_POSTS, NOTICES, OTHERS, TOO_LONG, UNREAD_REST})

RUINED_IDS = "ids ruined by a spreadsheet (posts kept without id)"
UNREAD_TIMES = "times that could not be read (posts kept without time)"
TOO_FEW_CELLS = "rows with too few cells (used as far as they go)"
TOO_MANY_CELLS = "rows with too many cells (joined in the text)"
OPEN_QUOTES = "quotes that are never closed (read as far as their line)"
NULS = "NUL characters removed"
SURROGATES = "broken characters replaced by �"
CUT_SHORT = "file cut short (what could be read is used)"

EXAMPLE_LENGTH = 60  # characters: enough to find the place, short enough for one line


class Tally:
    """
    >>> tally = Tally()
    >>> tally.add(NO_TEXT, "line 3"), tally.add(NO_TEXT, "line 9")
    (None, None)
    >>> [str(loss) for loss in tally.take()]
    ['2 rows without text (for instance line 3)']
    >>> tally.take()
    ()
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}

    def add(self, what: str, example: str = "", count: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + count
        if example and what not in self._examples:
            self._examples[what] = shorten(example)

    def take(self) -> tuple[Loss, ...]:
        """Everything since the last call."""
        losses = tuple(Loss(what, count, self._examples.get(what, "")) for what, count in self._counts.items())
        self._counts.clear()
        self._examples.clear()
        return losses


def shorten(text: str, length: int = EXAMPLE_LENGTH) -> str:
    """One printable line of at most so many characters.

    >>> shorten("two\\nlines")
    'two lines'
    """
    # A terminal acts on control characters; an example must not.
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * length])
    line = " ".join(line.split())
    return line if len(line) <= length else line[: length - 1] + "…"
