"""Bytes to text, whatever program wrote them.

In: the unpacked bytes of a file, in pieces. Out: which encoding it is, and the text in pieces.

The order: a byte order mark; UTF-8; UTF-8 with a few stray bytes; text that went twice through a Mac; Windows-1252;
Mac Roman. Everything but clean UTF-8 and UTF-16 is reported, because it is a guess.

- Latin-1 is never chosen: where it differs from Windows-1252 it has control characters, which nobody wrote.
- Other 8-bit encodings (Cyrillic, Japanese, ...) cannot be told apart from these: such a file must be saved as UTF-8.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from huggingtweets.sources.base import Loss

_MARKS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)
_UNDEFINED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
# Lower-case letters, quotation marks and dashes: what Western text has beyond ASCII, in either encoding.
_USUAL_IN_CP1252 = frozenset(range(0xE0, 0x100)) | frozenset(range(0x91, 0x98)) | {0x85}
_USUAL_IN_MAC_ROMAN = frozenset(range(0x87, 0xA0)) | frozenset(range(0xD0, 0xD6)) | {0xC9}
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_DAMAGED_RUN = re.compile(rb"_?(?:[\x80-\xff]+_?)+")


@dataclass(frozen=True)
class Encoding:
    """A name `decode` knows, and what the user should hear about it."""

    name: str
    losses: tuple[Loss, ...] = ()


def detect(head: bytes, chunks: Iterable[bytes]) -> Encoding:
    """Reads everything once, unless the head says it already."""
    if marked := _by_mark(head):
        return marked
    evidence = _Evidence()
    for chunk in whole_characters(chunks):
        evidence.add(chunk)
    return evidence.verdict()


def _by_mark(head: bytes) -> Encoding | None:
    name = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    head = head[: len(head) // 2 * 2]
    if name is None and len(head) >= 16:  # without a mark, every second byte of mostly Western UTF-16 is NUL
        if head[1::2].count(0) > 0.4 * len(head) and head[0::2].count(0) == 0:
            name = "utf-16-le"
        elif head[0::2].count(0) > 0.4 * len(head) and head[1::2].count(0) == 0:
            name = "utf-16-be"
    return None if name in (None, "utf-8") else Encoding(str(name))


class _Evidence:
    """What speaks for each encoding."""

    def __init__(self) -> None:
        self.characters = 0  # beyond ASCII, that are UTF-8
        self.strays = 0  # bytes that are not UTF-8
        self.high_bytes: Counter[int] = Counter()
        self.repaired = self.unrepaired = 0

    def add(self, chunk: bytes) -> None:
        if chunk.isascii():
            return
        text = chunk.decode("utf-8", "surrogateescape")
        strays = len(_ESCAPED_BYTES.findall(text))
        self.strays += strays
        self.characters += len(_BEYOND_ASCII.findall(text)) - strays
        self.high_bytes.update(byte for byte in chunk if byte >= 0x80)
        if strays:
            for run in _DAMAGED_RUN.findall(chunk):
                if _undo_two_macs(run) is None:
                    self.unrepaired += 1
                else:
                    self.repaired += 1

    def verdict(self) -> Encoding:
        if self.strays == 0:
            return Encoding("utf-8")
        if self.characters > self.strays:
            what = "stray bytes in a UTF-8 file (read as Windows-1252)"
            return Encoding("utf-8", (Loss(what, self.strays),))
        if self.repaired > self.unrepaired:
            return Encoding("two-macs", self._repairs())
        return self._single_byte()

    def _repairs(self) -> tuple[Loss, ...]:
        repaired = Loss("characters garbled by Mac software (repaired)", self.repaired, "‰Ûª for ’")
        lost = Loss("characters garbled beyond repair (left as they are)", self.unrepaired)
        return (repaired, lost) if lost.count else (repaired,)

    def _single_byte(self) -> Encoding:
        total = sum(self.high_bytes.values())
        as_mac = sum(self.high_bytes[byte] for byte in _USUAL_IN_MAC_ROMAN)
        as_windows = sum(self.high_bytes[byte] for byte in _USUAL_IN_CP1252)
        undefined = sum(self.high_bytes[byte] for byte in _UNDEFINED_IN_CP1252)
        if undefined and as_mac >= as_windows:
            return Encoding("mac_roman", (Loss("characters read as Mac Roman (the file is not UTF-8)", total),))
        read = Loss("characters read as Windows-1252 (the file is not UTF-8)", total - undefined)
        lost = Loss("bytes that are no character in Windows-1252 (replaced by �)", undefined)
        return Encoding("cp1252", (read, lost) if undefined else (read,))


def decode(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """The text, without its byte order mark; never raises."""
    pieces = _decode_pieces(chunks, encoding.name)
    first = next(pieces, "")
    yield first.removeprefix("\ufeff")
    yield from pieces


def _decode_pieces(chunks: Iterable[bytes], name: str) -> Iterator[str]:
    readers: dict[str, Callable[[bytes], str]] = {
        "utf-8": _decode_utf8,
        "two-macs": _decode_two_macs,
        "cp1252": lambda chunk: chunk.decode("cp1252", "replace"),
        "mac_roman": lambda chunk: chunk.decode("mac_roman"),
    }
    if name in readers:
        yield from map(readers[name], whole_characters(chunks))
        return
    decoder = codecs.getincrementaldecoder(name)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _decode_utf8(chunk: bytes) -> str:
    """
    >>> _decode_utf8("naïve ".encode() + b"caf\\xe9")
    'naïve café'
    """
    text = chunk.decode("utf-8", "surrogateescape")
    return _ESCAPED_BYTES.sub(_read_stray_byte, text)


def _read_stray_byte(found: re.Match[str]) -> str:
    return bytes([ord(found[0]) - 0xDC00]).decode("cp1252", "replace")


def _decode_two_macs(chunk: bytes) -> str:
    """
    >>> _decode_two_macs(b"they\\xe4\\xf3\\xbbve done nothing\\xe4\\xf3_")
    'they’ve done nothing…'
    """
    parts, end = [], 0
    for run in _DAMAGED_RUN.finditer(chunk):
        repaired = _undo_two_macs(run[0])
        parts += [
            chunk[end : run.start()].decode("ascii"),
            run[0].decode("mac_roman") if repaired is None else repaired,
        ]
        end = run.end()
    return "".join([*parts, chunk[end:].decode("ascii")])


def _undo_two_macs(run: bytes) -> str | None:
    """UTF-8 that was twice read as Windows-1252 and saved as Mac Roman; None when it is not that.

    FiveThirtyEight's published timelines are such files: ’ is E2 80 99 in UTF-8, those bytes went through both programs
    twice and are now E4 F3 BB. No plain encoding makes them readable (`‰Ûª` in Mac Roman, `äó»` in Latin-1), undoing
    both trips does. A byte whose character Mac Roman lacks had become `_`; three such cases are certain enough.

    >>> _undo_two_macs(b"_\\xf4\\xee\\xef"), _undo_two_macs(b"\\xe9")
    ('🔑', None)
    """
    table = _two_macs()
    if not all(byte in table for byte in run):
        return None
    original = bytes(table[byte] for byte in run)
    for damaged, intact in ((b"\xe2\x80_", b"\xe2\x80\xa6"), (b"_\x9f", b"\xf0\x9f"), (b"\xc3_", b"\xc3\xad")):
        original = original.replace(damaged, intact)
    try:
        return original.decode("utf-8")
    except UnicodeDecodeError:
        return None


@functools.cache
def _two_macs() -> dict[int, int]:
    """Each byte after both trips, and the byte it was before."""
    once = {byte: _through_a_mac(byte) for byte in range(256)}
    twice = {byte: once[middle] for byte, middle in once.items() if middle is not None}
    # Five results have two origins; the one undefined in Windows-1252 ends punctuation and emoji, the other begins
    # rare letters, so the former, which sorts first, stays.
    table: dict[int, int] = {}
    for before, after in sorted(twice.items()):
        if after is not None:
            table.setdefault(after, before)
    return table


def _through_a_mac(byte: int) -> int | None:
    try:
        return bytes([byte]).decode("cp1252").encode("mac_roman")[0]
    except UnicodeDecodeError:
        return byte  # undefined in Windows-1252: both programs passed it on
    except UnicodeEncodeError:
        return None  # became "_"


def whole_characters(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut only between characters, and after white space where there is some."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        cut = max(data.rfind(b"\n"), data.rfind(b" ")) + 1 or _last_character(data)
        rest = data[cut:]
        if cut:
            yield data[:cut]
    if rest:
        yield rest


def _last_character(data: bytes) -> int:
    """Where the last UTF-8 character begins; the end, when the last four bytes begin none."""
    for index in range(len(data) - 1, max(len(data) - 5, -1), -1):
        if data[index] < 0x80 or data[index] >= 0xC0:
            return index
    return len(data)
