"""The elements of a long JSON array in a member of an archive, one at a time (ijson).

In: a member's bytes. Out: its elements, and whether it was read to its end.

- What stands before the array (`window.YTD.tweets.part0 =`) and after it (`;`) is passed over.
- Bytes that are not UTF-8 become "�"; damage ends the elements, and those before it are used.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from huggingtweets.sources.members import CHUNK_BYTES, Readable

LONGEST_PREFIX_BYTES = 1 << 12


class Elements:
    """The elements under `prefix` (ijson's spelling), to be read once."""

    def __init__(self, file: Readable, prefix: str = "item", *, assigned: bool = False) -> None:
        self._bytes = _Clean(file, assigned)
        self._prefix = prefix
        self.damage: str | None = None  # why it could not be read to its end
        self.count = 0

    @property
    def read_bytes(self) -> int:
        return self._bytes.read_bytes

    def __iter__(self) -> Iterator[object]:
        import ijson

        try:
            for element in ijson.items(self._bytes, self._prefix, use_float=True):
                self.count += 1
                yield element
        except (ijson.JSONError, ValueError, RecursionError, OverflowError) as error:
            self.damage = str(error).splitlines()[0] if str(error) else type(error).__name__


class _Clean:
    """UTF-8 throughout, without what JavaScript writes around the value."""

    def __init__(self, file: Readable, assigned: bool) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._held = ""  # the end of what was read, in case it is the end of all
        self._before = assigned
        self._ended = False
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        while not self._ended:
            data = self._file.read(CHUNK_BYTES)
            self.read_bytes += len(data)
            self._ended = not data
            text = self._held + self._decoder.decode(data, final=not data)
            if self._before:
                text = self._without_assignment(text)
            if self._ended:
                return text.rstrip().rstrip(";").encode()
            text, self._held = text[:-64], text[-64:]
            if text and not self._before:
                return text.encode()
            self._held = text + self._held
        return b""

    def _without_assignment(self, text: str) -> str:
        name, sign, value = text.partition("=")
        if sign and len(name) < LONGEST_PREFIX_BYTES and not name.lstrip().startswith(("[", "{")):
            self._before = False
            return value
        if sign or len(text) >= LONGEST_PREFIX_BYTES or self._ended:
            self._before = False
        return text
