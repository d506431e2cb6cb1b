"""The members of a zip whose end is missing, where its directory is: a download that broke off.

In: the path. Out: each member as the header in front of it tells, and its bytes as far as they go.

- Headers are searched for in the bytes, so that media are passed over without unpacking them, whatever they are.
- Deflated and stored members are read; a stored one whose length is told only behind it cannot be.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 18
PACKED_BYTES = 1 << 14  # unpacked at once; where one of them is damaged, the others are not lost
LONGEST_NAME_BYTES = 1_000

_HEADER = re.compile(rb"PK\x03\x04..(..)(..).{8}(....)....(..)(..)", re.DOTALL)
_HEADER_BYTES = 30
_ENCRYPTED, _TOLD_BEHIND = 1, 8  # flags
STORED, DEFLATED = 0, 8


@dataclass(frozen=True)
class Stray:
    """A member without a directory."""

    name: str
    offset: int  # where its data begin
    method: int
    packed_bytes: int | None  # None: told behind the data only
    is_encrypted: bool

    @property
    def is_readable(self) -> bool:
        return self.method == DEFLATED or (self.method == STORED and self.packed_bytes is not None)


def strays(path: Path) -> Iterator[Stray]:
    """Every member whose header and name are there; raises OSError."""
    rest, before = b"", 0
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            data = rest + data
            for found in _HEADER.finditer(data):
                if stray := _stray(found, data, before):
                    yield stray
            rest = data[-(_HEADER_BYTES + LONGEST_NAME_BYTES) :]
            before += len(data) - len(rest)


def _stray(found: re.Match[bytes], data: bytes, before: int) -> Stray | None:
    flags, method, packed, name_bytes, extra_bytes = (int.from_bytes(part, "little") for part in found.groups())
    name = data[found.end() : found.end() + name_bytes]
    if not 0 < len(name) == name_bytes <= LONGEST_NAME_BYTES:  # goes on in the next piece, where it is found again
        return None
    return Stray(
        name=name.decode("utf-8", "replace"),
        offset=before + found.end() + name_bytes + extra_bytes,
        method=method,
        packed_bytes=None if flags & _TOLD_BEHIND and packed == 0 else packed,
        is_encrypted=bool(flags & _ENCRYPTED),
    )


class StrayFile:
    """The bytes of a member, unpacked; what is missing ends them."""

    def __init__(self, file: BinaryIO, stray: Stray) -> None:
        self._file = file
        self._file.seek(stray.offset)
        self._left = stray.packed_bytes if stray.method == STORED else None
        self._unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS) if stray.method == DEFLATED else None
        self.packed_bytes = 0  # read so far

    def read(self, size: int = -1, /) -> bytes:
        """Raises zlib.error and OSError."""
        size = CHUNK_BYTES if size < 0 else size
        return self._stored(size) if self._unpacker is None else self._inflated(self._unpacker, size)

    def _stored(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left or 0))
        self._left = (self._left or 0) - len(data)
        self.packed_bytes += len(data)
        return data

    def _inflated(self, unpacker: zlib._Decompress, size: int) -> bytes:
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or self._file.read(PACKED_BYTES)
            self.packed_bytes += 0 if unpacker.unconsumed_tail else len(packed)
            data = unpacker.decompress(packed, size) if packed else unpacker.flush()
            if data or not packed:
                return data
        return b""
