"""The named members of an archive, read without ever unpacking it: a zip, a tar (gzipped or not), or a folder.

In: a path, and which members are wanted. Out: `Members`, whose `open` gives a member's bytes.

- Only wanted members are opened. Absolute paths, drive letters and `..` anywhere, and encrypted members that are
  wanted, are refused; links and devices are passed over.
- No member may unpack to more than 4 GiB, or to 300 times its packed size, and all together to no more than 8 GiB; it
  is counted while reading, whatever the archive says of itself.
- A tar can only be read forward, and so can a zip that lost its end, where its directory is (stream-unzip): their
  wanted members are copied to a temporary folder first.
- What was cut short or damaged gives what comes before the damage, and `cut_short` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol

from huggingtweets.botdir import storage_errors
from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.opening import translated_errors
from huggingtweets.sources.tally import shorten

LARGEST_MEMBER_BYTES = 1 << 32
LARGEST_TOTAL_BYTES = 1 << 33
BOMB_BYTES = 1 << 26  # below this, even the densest member does no harm
BOMB_RATIO = 300  # posts pack about 1 : 8; deflate's limit is 1 : 1032
CHUNK_BYTES = 1 << 18

MOST_NAMES = 1_000_000
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)

Wanted = Callable[[str], bool]


class Readable(Protocol):
    """What of a file is used here."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class Members:
    """The wanted members; a context manager that removes what was copied."""

    path: Path
    names: tuple[str, ...] = ()
    cut_short: bool = False
    stamps: tuple[str, ...] = ()  # change when the members do; cheap
    _sources: dict[str, zipfile.ZipInfo | Path] = field(default_factory=dict, repr=False)
    _archive: zipfile.ZipFile | None = field(default=None, repr=False)
    _copies: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    _opened_bytes: int = field(default=0, repr=False)

    def __enter__(self) -> Members:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._archive is not None:
            self._archive.close()
        if self._copies is not None:
            self._copies.cleanup()

    def size(self, name: str) -> int:
        found = self._sources[name]
        return found.stat().st_size if isinstance(found, Path) else found.file_size

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Readable]:
        """The member's bytes, as far as they can be read; raises UnreadableFile."""
        found = self._sources[name]
        with contextlib.ExitStack() as stack:
            if isinstance(found, Path):
                with translated_errors(found):
                    yield Counted(stack.enter_context(found.open("rb")), self, name, self.size(name))
                return
            assert self._archive is not None
            try:
                raw = stack.enter_context(self._archive.open(found))
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
                raise UnreadableFile(
                    f"{shorten(name)} in {self.path} cannot be opened: {error}.", next="get the archive again"
                ) from error
            yield Counted(raw, self, name, found.compress_size)

    def read(self, name: str, limit_bytes: int) -> bytes:
        """A small member as a whole; raises UnreadableFile when it is not small."""
        with self.open(name) as file:
            data = b"".join(iter(lambda: file.read(min(CHUNK_BYTES, limit_bytes + 1)), b""))
        if len(data) > limit_bytes:
            raise UnreadableFile(f"{shorten(name)} in {self.path} is larger than it can be.", next="get it again")
        return data

    def count(self, read_bytes: int, name: str, packed_bytes: int, member_bytes: int) -> None:
        """Raises UnreadableFile when there is more than an archive of posts can hold."""
        self._opened_bytes += read_bytes
        if (
            member_bytes > LARGEST_MEMBER_BYTES
            or member_bytes > max(BOMB_BYTES, BOMB_RATIO * packed_bytes)
            or self._opened_bytes > 4 * LARGEST_TOTAL_BYTES  # members are read more than once
        ):
            raise _bomb(self.path, name)


class Counted:
    """A member's bytes, counted while they are read; what is damaged ends them early."""

    def __init__(self, raw: Readable, members: Members, name: str, packed_bytes: int) -> None:
        self._raw = raw
        self._members = members
        self._name = name
        self._packed_bytes = packed_bytes
        self._bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._raw.read(CHUNK_BYTES if size < 0 else size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
            self._members.cut_short = True
            return b""
        self._bytes += len(data)
        self._members.count(len(data), self._name, self._packed_bytes, self._bytes)
        return data


def open_members(path: Path, wanted: Wanted) -> Members:
    """The members of an archive or a folder; raises UnreadableFile for what is neither, or not safe to read."""
    with translated_errors(path):
        if path.is_dir():
            return _of_folder(path, wanted)
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith(b"PK"):
            return _of_zip(path, wanted)
        return _of_tar(path, wanted)


def has_member(path: Path, wanted: Wanted) -> bool:
    """Whether an archive or a folder has such a member; cheap, and False for what is neither."""
    try:
        if path.is_dir():
            return any(wanted(file.relative_to(path).as_posix()) for file in _files_in(path))
        return any(wanted(name.replace("\\", "/")) for name in itertools.islice(_names(path), MOST_NAMES))
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _names(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile:  # its end, where the directory is, is missing
            names = list(_local_names(path))
        yield from names
    elif head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        with tarfile.open(path, "r|*") as tar:
            for info in tar:
                yield info.name


def _local_names(path: Path) -> Iterator[str]:
    """The names that stand before each member's data."""
    rest = b""
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            data = rest + data
            for found in _LOCAL_HEADER.finditer(data):
                length = int.from_bytes(found[1], "little")
                yield data[found.end() : found.end() + length].decode("utf-8", "replace")
            rest = data[-300:]


def _of_folder(path: Path, wanted: Wanted) -> Members:
    root = path.resolve()
    sources: dict[str, zipfile.ZipInfo | Path] = {}
    stamps = []
    for file in sorted(_files_in(path)):
        name = file.relative_to(path).as_posix()
        if _is_noise(name) or not wanted(name) or not file.resolve().is_relative_to(root):
            continue
        sources[name] = file
        stamps.append(f"{name} {file.stat().st_size} {file.stat().st_mtime_ns}")
    return Members(path, tuple(sources), stamps=tuple(stamps), _sources=sources)


def _files_in(folder: Path, depth: int = 4) -> Iterator[Path]:
    """Media folders hold hundreds of thousands of files; no member that is wanted lies that deep."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            if (depth and not entry.name.endswith("_media")) or entry.name == "profile_media":
                yield from _files_in(entry, depth - 1)
        elif entry.is_file():
            yield entry


def _of_zip(path: Path, wanted: Wanted) -> Members:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError):
        return _salvaged(path, wanted)
    sources: dict[str, zipfile.ZipInfo | Path] = {}
    stamps = []
    try:
        for info in archive.infolist():
            name = _safe(path, info.filename)
            if info.is_dir() or _is_noise(name) or not wanted(name):
                continue
            if info.flag_bits & 1:
                raise _encrypted(path, name)
            if (
                info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size)
                or info.file_size > LARGEST_MEMBER_BYTES
            ):
                raise _bomb(path, name)
            sources[name] = info
            stamps.append(f"{name} {info.file_size} {info.CRC}")
        if sum(info.file_size for info in sources.values() if isinstance(info, zipfile.ZipInfo)) > LARGEST_TOTAL_BYTES:
            raise _bomb(path, "the whole")
    except UnreadableFile:
        archive.close()
        raise
    return Members(path, tuple(sources), stamps=tuple(stamps), _sources=sources, _archive=archive)


def _of_tar(path: Path, wanted: Wanted) -> Members:
    def entries() -> Iterator[tuple[str, Iterable[bytes]]]:
        with tarfile.open(path, "r|*") as archive:
            for info in archive:
                name = _safe(path, info.name)
                if info.isfile() and (data := archive.extractfile(info)) is not None:
                    yield name, iter(lambda data=data: data.read(CHUNK_BYTES), b"")  # type: ignore[misc]

    return _copied(path, wanted, entries(), (tarfile.TarError, EOFError, zlib.error, OSError), found_by="a tar archive")


def _salvaged(path: Path, wanted: Wanted) -> Members:
    """Of a zip without its directory, as far as it goes."""
    from stream_unzip import PasswordError, UnzipError, stream_unzip

    def entries() -> Iterator[tuple[str, Iterable[bytes]]]:
        with path.open("rb") as file:
            try:
                for raw_name, _, chunks in stream_unzip(iter(lambda: file.read(CHUNK_BYTES), b"")):
                    name = _safe(path, raw_name.decode("utf-8", "replace"))
                    yield name, chunks
                    for _ in chunks:  # must be read to its end, wanted or not
                        pass
            except PasswordError as error:
                raise _encrypted(path, "a member") from error

    members = _copied(path, wanted, entries(), (UnzipError, zlib.error, EOFError), found_by="a zip archive")
    members.cut_short = True
    return members


def _copied(
    path: Path,
    wanted: Wanted,
    entries: Iterator[tuple[str, Iterable[bytes]]],
    damages: tuple[type[Exception], ...],
    found_by: str,
) -> Members:
    copies = tempfile.TemporaryDirectory(prefix="huggingtweets-")
    members = Members(path, _copies=copies)
    seen = 0
    try:
        for name, chunks in entries:
            seen += 1
            if not (name.endswith("/") or _is_noise(name)) and wanted(name):
                copy = Path(copies.name) / str(len(members._sources))
                members._sources[name] = copy
                _copy(members, name, chunks, copy)
    except damages as error:
        if not seen:
            copies.cleanup()
            raise UnreadableFile(f"{path} is not {found_by}, or too damaged to read.", next="get it again") from error
        members.cut_short = True
    except BaseException:
        copies.cleanup()
        raise
    members.names = tuple(members._sources)
    members._opened_bytes = 0
    return members


def _copy(members: Members, name: str, chunks: Iterable[bytes], copy: Path) -> None:
    digest = hashlib.sha256()
    packed_bytes = members.path.stat().st_size
    with storage_errors(copy), copy.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)
            digest.update(chunk)
            members.count(len(chunk), name, packed_bytes, out.tell())
    members.stamps += (f"{name} {copy.stat().st_size} {digest.hexdigest()}",)


def _safe(path: Path, name: str) -> str:
    """The name with "/" between its parts; raises UnreadableFile for one that leads out of the archive."""
    name = name.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in PurePosixPath(name).parts:
        raise UnreadableFile(
            f"{path} holds a member that leads out of it: {shorten(name)}.",
            why="No export does that; somebody built it to do harm.",
            next="get the archive again from where it should come from",
        )
    return name.removeprefix("./")


def _is_noise(name: str) -> bool:
    """What macOS adds when it packs."""
    return name.startswith("__MACOSX/") or "/__MACOSX/" in name or PurePosixPath(name).name.startswith("._")


def _encrypted(path: Path, name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{shorten(name)} in {path} is encrypted.", next="unpack it with its password, and pass the unpacked folder"
    )


def _bomb(path: Path, name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{shorten(name)} in {path} unpacks to more than posts can be.",
        why=f"More than {BOMB_RATIO} times its size, or more than 4 GiB; it is probably a decompression bomb.",
        next="unpack it yourself if you trust it, and pass the unpacked folder",
    )
