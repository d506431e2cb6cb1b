"""The wanted members of a tar, gzipped or not, copied to a temporary folder: a tar can only be read forward.

In: a path. Out: `Members`, of files that go when it is closed.

- Headers may not be longer than headers are, so that a tar cannot fill the memory with one.
- What was cut short gives what comes before; the end of a tar is a block of zeros.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from huggingtweets.botdir import storage_errors
from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files.opening import GZIP, FileBytes
from huggingtweets.sources.packed.members import (
    CHUNK_BYTES,
    LARGEST_TOTAL_BYTES,
    Members,
    Wanted,
    bomb,
    no_archive,
    outside,
)
from huggingtweets.sources.packed.names import is_noise, leads_out, safe_name

HEADER_BYTES = 1 << 20  # of one member, with all its extensions
_END_BYTES = 1024
_DAMAGES = (tarfile.TarError, EOFError, ValueError, OverflowError)


def is_tar(path: Path) -> bool:
    """Whether it may be one: any gzip file may."""
    with path.open("rb") as file:
        head = file.read(512)
    return head.startswith(GZIP) or head[257:262] == b"ustar"


def tar_names(path: Path) -> Iterator[str]:
    with contextlib.suppress(*_DAMAGES, UnreadableFile):
        for info, _ in _entries(_Unpacked(path)):
            yield info.name


def open_tar(path: Path, wanted: Wanted, noticed: Wanted) -> Members:
    """Raises UnreadableFile for what is no tar, or not safe to read."""
    members = Members(path, copies=tempfile.TemporaryDirectory(prefix="huggingtweets-"))
    unpacked = _Unpacked(path)
    try:
        seen = _copy_all(members, wanted, noticed, unpacked)
    except BaseException:
        members.close()
        raise
    if not seen:
        members.close()
        raise no_archive(path)
    members.cut_short = unpacked.is_cut_short
    return members


def _copy_all(members: Members, wanted: Wanted, noticed: Wanted, unpacked: _Unpacked) -> int:
    seen = copied_bytes = 0
    with contextlib.suppress(*_DAMAGES):  # what was read is used; whether it is all, its end says
        for info, data in _entries(unpacked):
            seen += 1
            name = safe_name(info.name)
            if leads_out(name):
                raise outside(members.path, name)
            if data is None or is_noise(name):
                continue
            if wanted(name):
                copied_bytes += _copy(members, name, data, seen)
                if copied_bytes > LARGEST_TOTAL_BYTES:
                    raise bomb(members.path, "the whole")
            elif noticed(name):
                members.noticed[name] = info.size
    return seen


def _entries(unpacked: _Unpacked) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with tarfile.open(fileobj=io.BufferedReader(unpacked, CHUNK_BYTES), mode="r|") as archive:
        for info in archive:
            unpacked.allow(info.size)
            yield info, archive.extractfile(info) if info.isreg() and not info.issparse() else None
    unpacked.drain()


def _copy(members: Members, name: str, data: IO[bytes], number: int) -> int:
    assert members.copies is not None
    copy = Path(members.copies.name) / str(number)
    members.sources[name] = copy
    packed_bytes, digest = members.path.stat().st_size, hashlib.sha256()
    with storage_errors(copy), copy.open("wb") as out:
        while chunk := data.read(CHUNK_BYTES):
            out.write(chunk)
            digest.update(chunk)
            members.count(chunk, name, packed_bytes, out.tell())
    members.stamps.append(f"{name} {digest.hexdigest()}")
    return copy.stat().st_size


class _Unpacked(io.RawIOBase):
    """A file's bytes, unpacked, as tarfile reads them; never more than its members so far account for."""

    def __init__(self, path: Path) -> None:
        self._file = FileBytes(path)
        self._chunks = self._file.chunks()
        self._rest = b""
        self._end = b""
        self._read_bytes, self._allowed_bytes = 0, HEADER_BYTES

    @property
    def is_cut_short(self) -> bool:
        return self._file.cut_short or self._end.count(0) < _END_BYTES

    def allow(self, member_bytes: int) -> None:
        self._allowed_bytes = self._read_bytes + member_bytes + HEADER_BYTES

    def drain(self) -> None:
        """To the end, which says whether all is there."""
        for chunk in self._chunks:
            self._note(chunk)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._note(chunk)
            if self._read_bytes > self._allowed_bytes:
                raise tarfile.ReadError("a header is longer than headers are")
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _note(self, chunk: bytes) -> None:
        self._end = chunk[-_END_BYTES:] if len(chunk) >= _END_BYTES else (self._end + chunk)[-_END_BYTES:]
        self._read_bytes += len(chunk)
