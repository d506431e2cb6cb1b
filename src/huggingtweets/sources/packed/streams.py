"""The elements of a long JSON array in a member of an archive, one at a time.

In: a member's bytes. Out: its elements, and what was damaged.

- What stands before the array (`window.YTD.tweets.part0 =`) and after it (`;`) is passed over, so several arrays in a
  row are read as one.
- Memory is bounded by the longest element and that by `LONGEST_CHARACTERS`: a string of gigabytes is damage.
- Bytes that are not UTF-8 become "�". Damage costs the element that it is in, where the next one can be told by its
  beginning; else it ends the elements. Those before it are used either way.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterator

from huggingtweets.sources.files.jsons import Window
from huggingtweets.sources.packed.members import CHUNK_BYTES, Readable

LONGEST_CHARACTERS = 1 << 22  # the longest post has 25,000, and as many again in its links
MOST_DAMAGES = 100  # after which a file is not believed any more

_OPENING = re.compile(r"[\[{]")
_BETWEEN = re.compile(r"[\s,]*\]?")


class Elements:
    """The elements under `prefix`, `item` or `<key>.item`, to be read once."""

    def __init__(self, file: Readable, prefix: str = "item", *, begins: re.Pattern[str] | None = None) -> None:
        self._file = file
        self._key = prefix.removesuffix("item").removesuffix(".")
        self._begins = begins  # how every element begins, if elements begin alike and nothing else does
        self.count = 0
        self.read_bytes = 0
        self.damages = 0
        self.damage: str | None = None  # what is wrong at the first damage

    def __iter__(self) -> Iterator[object]:
        window = Window(self._pieces(), LONGEST_CHARACTERS)
        if not self._enters(window):
            self._note("no list is in it")
            return
        while (yield from self._elements(window)) and self._enters(window):
            pass

    def _pieces(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        while data := self._file.read(CHUNK_BYTES):
            self.read_bytes += len(data)
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    def _enters(self, window: Window) -> bool:
        """Whether there is another array, the window then being behind its bracket."""
        if not self._key:
            return window.pass_to(_OPENING) == "["
        return window.pass_to(re.compile(rf'"{re.escape(self._key)}"\s{{0,99}}:\s{{0,99}}\['), 256) is not None

    def _elements(self, window: Window) -> Generator[object, None, bool]:
        """Those of one array; whether its end was reached."""
        while window.pass_over(_BETWEEN) == 0:  # until a bracket was closed
            if window.is_at_end():
                self._note("its end is missing")
                return False
            try:
                element = window.next_value()
            except (ValueError, RecursionError) as error:
                self._note(error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply")
                if not self._finds_next(window):
                    return False
                continue
            self.count += 1
            yield element
        return True

    def _finds_next(self, window: Window) -> bool:
        if self._begins is None or self.damages > MOST_DAMAGES:
            return False
        after_a_character = re.compile(rf"(?s:.)(?={self._begins.pattern})")
        return window.pass_to(after_a_character, 256) is not None

    def _note(self, damage: str) -> None:
        self.damages += 1
        self.damage = self.damage or damage
