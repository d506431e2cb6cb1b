"""The named members of an archive, read without ever unpacking it: a zip, a tar (gzipped or not), or a folder.

In: a path, and which members are wanted. Out: `Members`, whose `open` gives a member's bytes. Of members that are only
noticed the size is told; they are never opened.

- Only wanted members are opened. A name that leads out of the archive is refused wherever it stands, an encrypted
  member when it is opened; links and devices are passed over, and so is what macOS adds. Of two members with one name
  the later counts, as with every unpacker.
- No member may unpack to more than 4 GiB, or to 300 times its packed size, and all together to no more than 8 GiB; it
  is counted while reading, whatever the archive says of itself. What lies unpacked in a folder has no limit.
- What was cut short or damaged gives what comes before the damage, and `cut_short` says so. A zip that lost its end,
  where its directory is, is searched for its members (see `packed.salvage`).
- A tar can only be read forward: its wanted members are copied to a temporary folder first (see `packed.tars`).
"""

from __future__ import annotations

import contextlib
import copy
import lzma
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files.opening import translated_errors
from huggingtweets.sources.packed.names import is_noise, leads_out, safe_name
from huggingtweets.sources.packed.salvage import Stray, StrayFile, strays
from huggingtweets.sources.tally import shorten

LARGEST_MEMBER_BYTES = 1 << 32
LARGEST_TOTAL_BYTES = 1 << 33
MOST_READINGS = 4  # of the same member, by one reader
BOMB_BYTES = 1 << 26  # below this, even the densest member does no harm
BOMB_RATIO = 300  # posts pack 1 : 14, one and the same post again and again 1 : 230; deflate's limit is 1 : 1032
LARGEST_DIRECTORY_BYTES = 1 << 26  # of half a million media files; Python takes six times this to read it
CHUNK_BYTES = 1 << 16  # where a piece is damaged, the whole piece is lost
DEEPEST_FOLDER = 4

_ENCRYPTED = 1  # the flag of a zip's member
_ZIP = b"PK\x03\x04"
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"

_DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, struct.error)
_NO_DIRECTORY = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError, struct.error)

Wanted = Callable[[str], bool]


class Readable(Protocol):
    """What of a file is used here."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class Members:
    """The wanted members; a context manager that closes the archive and removes what was copied."""

    path: Path
    sources: dict[str, zipfile.ZipInfo | Stray | Path] = field(default_factory=dict, repr=False)
    stamps: list[str] = field(default_factory=list, repr=False)  # change when the members do; cheap
    noticed: dict[str, int] = field(default_factory=dict, repr=False)  # name to bytes, unpacked
    cut_short: bool = False
    archive: zipfile.ZipFile | None = field(default=None, repr=False)
    copies: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _read_bytes: int = field(default=0, repr=False)

    def __enter__(self) -> Members:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self.archive is not None:
            self.archive.close()
        if self.copies is not None:
            self.copies.cleanup()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sources)

    def size(self, name: str) -> int:
        """Bytes unpacked, as far as that is known without reading."""
        found = self.sources[name]
        if isinstance(found, Stray):
            return found.packed_bytes or 0
        return found.stat().st_size if isinstance(found, Path) else found.file_size

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Readable]:
        """The member's bytes, as far as they can be read; raises UnreadableFile."""
        found = self.sources[name]
        with contextlib.ExitStack() as stack:
            if isinstance(found, zipfile.ZipInfo):
                yield _Counted(self._unpacked(found, name, stack), self, name, lambda: found.compress_size, found.CRC)
            elif isinstance(found, Stray):
                stray = StrayFile(self._readable(found, name, stack), found)
                yield _Counted(stray, self, name, lambda: stray.packed_bytes)
            else:
                with translated_errors(found):
                    file = stack.enter_context(found.open("rb"))
                yield _Counted(file, self, name, None)

    def _unpacked(self, info: zipfile.ZipInfo, name: str, stack: contextlib.ExitStack) -> Readable:
        if info.flag_bits & _ENCRYPTED:
            raise _encrypted(self.path, name)
        assert self.archive is not None
        unchecked = copy.copy(info)
        del unchecked.CRC  # with it, a wrong one costs the last piece: `_Counted` looks at it
        try:
            return stack.enter_context(self.archive.open(unchecked))
        except (*_DAMAGES, NotImplementedError, RuntimeError) as error:
            raise _closed(self.path, name, str(error)) from error

    def _readable(self, stray: Stray, name: str, stack: contextlib.ExitStack) -> BinaryIO:
        if stray.is_encrypted:
            raise _encrypted(self.path, name)
        if not stray.is_readable:
            raise _closed(self.path, name, "the archive's end, where its directory is, is missing")
        with translated_errors(self.path):
            return stack.enter_context(self.path.open("rb"))

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A small member as a whole; raises UnreadableFile when it is not small."""
        parts, size = [], 0
        with self.open(name) as file:
            while size <= limit_bytes and (data := file.read(CHUNK_BYTES)):
                parts.append(data)
                size += len(data)
        if size > limit_bytes:
            raise UnreadableFile(f"{shorten(name)} in {self.path} is larger than it can be.", next="get it again")
        return b"".join(parts)

    def count(self, data: bytes, name: str, packed_bytes: int, unpacked_bytes: int) -> None:
        """Raises UnreadableFile when there is more than an archive of posts can hold."""
        self._read_bytes += len(data)
        if (
            unpacked_bytes > min(LARGEST_MEMBER_BYTES, max(BOMB_BYTES, BOMB_RATIO * packed_bytes))
            or self._read_bytes > MOST_READINGS * LARGEST_TOTAL_BYTES
        ):
            raise bomb(self.path, name)


class _Counted:
    """A member's bytes, counted while they are read; what is damaged ends them early."""

    def __init__(
        self,
        raw: Readable,
        members: Members,
        name: str,
        packed_bytes: Callable[[], int] | None,  # None: not packed
        checksum: int | None = None,
    ) -> None:
        self._raw = raw
        self._members = members
        self._name = name
        self._packed_bytes = packed_bytes
        self._expected = checksum
        self._checksum = 0
        self._bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._raw.read(min(size, CHUNK_BYTES) if size >= 0 else CHUNK_BYTES)
        except _DAMAGES:
            self._members.cut_short = True
            return b""
        self._bytes += len(data)
        if self._packed_bytes is not None:
            self._members.count(data, self._name, self._packed_bytes(), self._bytes)
        if self._expected is not None:
            self._checksum = zlib.crc32(data, self._checksum)
            self._members.cut_short |= not data and size != 0 and self._checksum != self._expected
        return data


def nothing(name: str) -> bool:
    return False


def open_members(path: Path, wanted: Wanted, noticed: Wanted = nothing, *, depth: int = DEEPEST_FOLDER) -> Members:
    """The members of an archive or a folder; raises UnreadableFile for what is neither, or not safe to read."""
    from huggingtweets.sources.packed.tars import open_tar  # which is made of what is here

    with translated_errors(path):
        if path.is_dir():
            return _of_folder(path, wanted, noticed, depth)
        if not _is_zip(path):
            return open_tar(path, wanted, noticed)
        archive = _open_zip(path)
        return _salvaged(path, wanted, noticed) if archive is None else _of_zip(path, archive, wanted, noticed)


def has_member(path: Path, wanted: Wanted) -> bool:
    """Whether an archive or a folder has such a member; cheap, and False for what is neither."""
    return next(member_names(path, wanted), None) is not None


def member_names(path: Path, wanted: Wanted) -> Iterator[str]:
    """The names of the wanted members, as far as they can be read; raises UnreadableFile for what is not safe."""
    try:
        yield from (name for name in map(safe_name, _names(path)) if wanted(name) and not is_noise(name))
    except OSError:
        return


def _names(path: Path) -> Iterator[str]:
    from huggingtweets.sources.packed.tars import is_tar, tar_names

    if path.is_dir():
        yield from (file.relative_to(path).as_posix() for file in _files_in(path))
    elif not path.is_file():
        return
    elif _is_zip(path):
        archive = _open_zip(path)
        if archive is None:
            yield from (stray.name for stray in strays(path))
            return
        with archive:
            yield from archive.namelist()
    elif is_tar(path):
        yield from tar_names(path)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _ZIP


def _of_folder(path: Path, wanted: Wanted, noticed: Wanted, depth: int) -> Members:
    root, members = path.resolve(), Members(path)
    names = (file.relative_to(path).as_posix() for file in _files_in(path, depth))
    for name in sorted(name for name in names if (wanted(name) or noticed(name)) and not is_noise(name)):
        file, state = path / name, (path / name).stat()
        if not file.resolve().is_relative_to(root):
            continue
        if wanted(name):
            members.sources[name] = file
            members.stamps.append(f"{name} {state.st_size} {state.st_mtime_ns}")
        else:
            members.noticed[name] = state.st_size
    return members


def _files_in(folder: Path, depth: int = DEEPEST_FOLDER) -> Iterator[Path]:
    """Media folders hold hundreds of thousands of files; no member that is wanted lies that deep."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if (depth and not entry.name.endswith(("_media", "media_attachments"))) or entry.name == "profile_media":
                yield from _files_in(entry, max(0, depth - 1))
        elif entry.is_file():
            yield entry


def _open_zip(path: Path) -> zipfile.ZipFile | None:
    """None where the end, with the directory, is missing or damaged; raises UnreadableFile for one too long."""
    with path.open("rb") as file:
        if _directory_bytes(file) > LARGEST_DIRECTORY_BYTES:
            raise UnreadableFile(
                f"{path} has more members than can be listed safely.", next="unpack it, and pass the unpacked folder"
            )
    try:
        return zipfile.ZipFile(path)
    except _NO_DIRECTORY:
        return None


def _directory_bytes(file: BinaryIO) -> int:
    """How long the directory says it is, before anybody reads it into memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16) - 98))  # the longest comment, and the ends of a zip and a zip64
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0:
        return 0
    if end >= 76 and tail[end - 20 : end - 16] == _END_64:
        return int.from_bytes(tail[end - 36 : end - 28], "little")
    return int.from_bytes(tail[end + 12 : end + 16], "little")


def _of_zip(path: Path, archive: zipfile.ZipFile, wanted: Wanted, noticed: Wanted) -> Members:
    members, total_bytes = Members(path, archive=archive), 0
    with contextlib.ExitStack() as stack:
        stack.callback(archive.close)
        for info in archive.infolist():
            name = _checked_name(path, info.filename)
            if not name or name.endswith("/") or _is_link(info) or is_noise(name):  # is_dir() fails without a name
                continue
            if wanted(name):
                total_bytes += _checked_bytes(path, info, name)
                members.sources[name] = info
                members.stamps.append(f"{name} {info.file_size} {info.CRC}")
            elif noticed(name):
                members.noticed[name] = info.file_size
        if total_bytes > LARGEST_TOTAL_BYTES:
            raise bomb(path, "the whole")
        stack.pop_all()
    archive.filelist.clear()  # media are hundreds of thousands, and what is wanted has been chosen
    archive.NameToInfo.clear()
    return members


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


def _checked_bytes(path: Path, info: zipfile.ZipInfo, name: str) -> int:
    """How much it says it unpacks to; raises UnreadableFile when that is too much."""
    if info.file_size > min(LARGEST_MEMBER_BYTES, max(BOMB_BYTES, BOMB_RATIO * info.compress_size)):
        raise bomb(path, name)
    return info.file_size


def _salvaged(path: Path, wanted: Wanted, noticed: Wanted) -> Members:
    members, state, seen = Members(path, cut_short=True), path.stat(), False
    for stray in strays(path):
        seen = True
        name = _checked_name(path, stray.name)
        if name.endswith("/") or is_noise(name):
            continue
        if wanted(name):
            members.sources[name] = stray
            members.stamps.append(f"{name} {stray.offset} {state.st_size} {state.st_mtime_ns}")
        elif noticed(name):
            members.noticed[name] = state.st_size if stray.packed_bytes is None else stray.packed_bytes
    if not seen:
        raise no_archive(path)
    return members


def _checked_name(path: Path, name: str) -> str:
    """Raises UnreadableFile for one that leads out of the archive."""
    name = safe_name(name)
    if leads_out(name):
        raise outside(path, name)
    return name


def no_archive(path: Path) -> UnreadableFile:
    return UnreadableFile(f"{path} is no archive, or too damaged to read.", next="get it again")


def outside(path: Path, name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{path} holds a member that leads out of it: {shorten(name)}.",
        why="No export does that; somebody built it to do harm.",
        next="get the archive again from where it should come from",
    )


def _encrypted(path: Path, name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{shorten(name)} in {path} is encrypted.", next="unpack it with its password, and pass the unpacked folder"
    )


def _closed(path: Path, name: str, reason: str) -> UnreadableFile:
    return UnreadableFile(
        f"{shorten(name)} in {path} cannot be read: {reason.rstrip('.')[:200]}.",
        why="It is damaged, or packed in a way that is not read here.",
        next="unpack it with the program that packed it, and pass the unpacked folder",
    )


def bomb(path: Path, name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{shorten(name)} in {path} unpacks to more than posts can be.",
        why=f"More than {BOMB_RATIO} times its size, or more than 4 GiB; it is probably a decompression bomb.",
        next="unpack it yourself if you trust it, and pass the unpacked folder",
    )
