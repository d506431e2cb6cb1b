"""A file's bytes, unpacked, with an eye on what does not belong here.

In: a path. Out: pieces of bytes, how much of the file they came from, and whether the file was cut short.

- What the file is, is decided by its first bytes and never by its name.
- gzip is unpacked on the way; a damaged one gives what could be read before the damage.
- Archives, pictures, documents and other binary files are refused with a sentence about what they are.
"""

from __future__ import annotations

import contextlib
import re
import stat
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from huggingtweets.errors import SourceError, UnreadableFile

CHUNK_BYTES = 1 << 18
BOMB_BYTES = 1 << 26  # below this, even the densest gzip does no harm
BOMB_RATIO = 200  # posts pack about 1 : 5, the most repetitive JSON about 1 : 30; deflate's limit is 1 : 1032

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
_AS_FILE = "save the posts as CSV, JSON or plain text, and pass that file"
_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a picture, sound or film"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"ARROW1", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
    (GZIP, "a gzip file inside a gzip file"),
    (PARQUET, "a Parquet file inside a gzip file"),
)
_X_ARCHIVE_MEMBER = re.compile(r"(?:^|/)(?:data/)?(?:tweets?|account|manifest)\.js$|(?:^|/)data/js/tweets/")


class FileBytes:
    """One reading of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_bytes = 0
        self.cut_short = False
        with translated_errors(path):
            _refuse_folders(path)
            self.size_bytes = path.stat().st_size

    @property
    def fraction(self) -> float:
        return min(1.0, self.read_bytes / self.size_bytes) if self.size_bytes else 1.0

    def head(self) -> bytes:
        with translated_errors(self.path), self.path.open("rb") as file:
            return file.read(1024)

    def chunks(self) -> Generator[bytes, None, None]:
        """The unpacked bytes, in pieces; raises SourceError."""
        self.read_bytes, self.cut_short = 0, False
        packed = self.head().startswith(GZIP)
        yield from self._unpacked() if packed else self._stored()

    def _stored(self) -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            with translated_errors(self.path):
                file = stack.enter_context(self.path.open("rb"))
            while True:
                with translated_errors(self.path):
                    chunk = file.read(CHUNK_BYTES)
                if not chunk:
                    return
                self.read_bytes += len(chunk)
                yield chunk

    def _unpacked(self) -> Iterator[bytes]:
        unpacked_bytes = 0
        for chunk in self._members():
            unpacked_bytes += len(chunk)
            if unpacked_bytes > max(BOMB_BYTES, BOMB_RATIO * self.read_bytes):
                raise UnreadableFile(
                    f"{self.path} unpacks to more than {BOMB_RATIO} times its size.",
                    why="No text does that; it is probably a decompression bomb.",
                    next="unpack it yourself if you trust it, and pass the unpacked file",
                )
            yield chunk

    def _members(self) -> Iterator[bytes]:
        """A gzip file is one or more members, perhaps padded with zeros."""
        unpacker = zlib.decompressobj(wbits=31)
        for data in self._stored():
            while data:
                if unpacker.eof:
                    if not (data := data.lstrip(b"\0")):
                        break
                    unpacker = zlib.decompressobj(wbits=31)
                before = unpacker.copy()
                try:
                    yield unpacker.decompress(data, CHUNK_BYTES)
                except zlib.error:
                    self.cut_short = True
                    yield from _salvage(before, data)
                    return
                data = unpacker.unconsumed_tail or unpacker.unused_data
        if not unpacker.eof:
            self.cut_short = True
            yield unpacker.flush()


def _salvage(unpacker: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What comes out before the damage: zlib throws the whole piece away, so feed it byte by byte."""
    for index in range(len(data)):
        try:
            yield unpacker.decompress(data[index : index + 1], CHUNK_BYTES)
        except zlib.error:
            return


def as_path(typed: str) -> Path | None:
    """The path that was typed, "~" written out, where something is there."""
    path = Path(typed)
    if not typed.strip():
        return None
    if not _exists(path) and typed.startswith("~"):
        with contextlib.suppress(RuntimeError):  # no such user
            path = path.expanduser()
    return path if _exists(path) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or not allowed to look
        return False


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turns the system's errors into a SourceError that says which file."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{path} could not be read: {error.strerror or error}.",
            next="check that the file is there and that you may read it",
        ) from error


def _refuse_folders(path: Path) -> None:
    if path.is_dir():
        _refuse_folder(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableFile(f"{path} is a device or a pipe.", next="save the posts as a file, and pass that")


def _refuse_folder(path: Path) -> None:
    if any((path / name).exists() for name in ("data/tweets.js", "data/tweet.js", "tweet.js", "data/js/tweets")):
        raise _not_yet(path, "an unpacked X archive")
    if (path / "outbox.json").exists():
        raise _not_yet(path, "an unpacked Mastodon archive")
    raise UnreadableFile(f"{path} is a folder.", next="pass one of the files in it")


def _not_yet(path: Path, what: str) -> UnreadableFile:
    return UnreadableFile(f"{path} is {what}, which this version does not read.", next=_AS_FILE)


def refuse_other_kinds(path: Path, head: bytes) -> None:
    """Raises UnreadableFile for what is plainly no file of posts; `head` is unpacked."""
    if head.startswith(b"PK") and head[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        raise _not_yet(path, _what_zip(path))
    if head[257:262] == b"ustar":
        raise _not_yet(path, "a tar archive")
    if b"eroots" in head[:64] and b"gversion" in head[:128]:
        raise _not_yet(path, "a Bluesky repository (CAR)")
    if re.match(rb"\s*(?:\xef\xbb\xbf)?\s*(?:window\.|Grailbird\.data)", head):
        raise _not_yet(path, "a part of an X archive")
    name = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if name is not None and (b"\0" in head or not head.isascii() or name.startswith("a PDF")):
        raise UnreadableFile(f"{path} is {name}, not a file of posts.", next=_AS_FILE)


def _what_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return "a damaged zip archive"
    if "xl/workbook.xml" in names:
        return "an Excel workbook"
    if any(_X_ARCHIVE_MEMBER.search(name) for name in names):
        return "an X archive"
    return "a Mastodon archive" if any(name.endswith("outbox.json") for name in names) else "a zip archive"


def refuse_binary(path: Path, text: str) -> None:
    """Raises UnreadableFile when the beginning, decoded, is mostly not text.

    NUL characters are forgiven up to a fifth: damaged exports have them, and they are removed.
    """
    controls = sum(char < " " and char not in "\0\t\n\v\f\r\x1b" for char in text)
    if controls > 0.02 * len(text) + 8 or text.count("\0") > 0.2 * len(text):
        raise UnreadableFile(
            f"{path} is a binary file, not a file of posts.",
            why="Its beginning is not text in any encoding we know.",
            next=_AS_FILE,
        )
