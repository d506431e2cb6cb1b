"""A file's bytes, unpacked, with an eye on what does not belong here.

In: a path. Out: pieces of bytes, how much of the file they came from, and whether the file was cut short.

- What the file is, is decided by its first bytes and never by its name.
- gzip is unpacked on the way; a damaged one gives what could be read before the damage.
- Archives, pictures, documents and other binary files are refused with a sentence about what they are and what would
  be read instead.
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
from huggingtweets.sources.tally import shorten

CHUNK_BYTES = 1 << 18
BOMB_BYTES = 1 << 26  # below this, even the densest gzip does no harm
BOMB_RATIO = 200  # posts pack about 1 : 5, the most repetitive JSON about 1 : 30; deflate's limit is 1 : 1032

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
_AS_FILE = "save the posts as CSV, JSON or plain text, and pass that file"
_ARCHIVES = "Read are X archives (tweets.js in them), Mastodon archives (outbox.json) and Bluesky repositories (.car)."
_MOST_SHOWN = 5  # names of files
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
_POSTS_FILE = re.compile(r".+\.(?:csv|tsv|jsonl?|ndjson|txt|parquet|car)(?:\.gz)?", re.IGNORECASE)
_OFFICE = {  # a member or the beginning of one
    "xl/": ("an Excel workbook", "in Excel, choose Save As, CSV UTF-8, and pass that file"),
    "word/": ("a Word document", _AS_FILE),
    "ppt/": ("a PowerPoint presentation", _AS_FILE),
    "content.xml": ("an OpenDocument file", "choose Save As, Text CSV, and pass that file"),
    "Index/Document.iwa": ("a Numbers or Pages document", "export it as CSV, and pass that file"),
}
_MARKUP = (
    (re.compile(rb"<!doctype html|<html", re.IGNORECASE), "a web page"),
    (re.compile(rb"<\?xml|<rss|<feed", re.IGNORECASE), "an XML document"),
    (re.compile(rb"\{\\rtf"), "a rich text document"),
)


class FileBytes:
    """One reading of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_bytes = 0
        self.cut_short = False
        with translated_errors(path):
            if path.is_dir():
                raise _folder(path)
            refuse_devices(path)
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


def refuse_devices(path: Path) -> None:
    """Raises UnreadableFile for what may never end, or can be read only once."""
    with translated_errors(path):
        mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnreadableFile(
            f"{path} is a device or a pipe.",
            why="A file is read more than once.",
            next=f"pass it through standard input: huggingtweets create - < {path}",
        )


def _folder(path: Path) -> UnreadableFile:
    """What a folder holds that could have been meant; archives in it have been looked for."""
    if (path / "bot.json").exists():
        return UnreadableFile(
            f"{path} is a bot, not a source of posts.", next=f"huggingtweets update {path.name}, to add what is new"
        )
    files = [str(file) for file in sorted(path.iterdir()) if _POSTS_FILE.fullmatch(file.name)]
    return UnreadableFile(
        f"{path} is a folder without an archive in it.",
        why=_ARCHIVES,
        next=f"pass {_one_of(files)}" if files else "pass an archive, or a file of posts",
    )


def _one_of(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN]) + (
        f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    )
    return names[0] if len(names) == 1 else f"one of these: {shown}"


def refuse_other_kinds(path: Path, head: bytes) -> None:
    """Raises UnreadableFile for what is plainly no file of posts; `head` is unpacked."""
    if head.startswith(b"PK") and head[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        raise _zip(path)
    if head[257:262] == b"ustar":
        raise _packed(path, "a tar archive", [])
    if b"eroots" in head[:64] and b"gversion" in head[:128]:
        raise _not_a_file(path, "a Bluesky repository (CAR)")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"window.YTD", b"window.__THAR", b"Grailbird.data")):
        raise _not_a_file(path, "a part of an X archive")
    for pattern, name in _MARKUP:
        if pattern.match(start):
            raise UnreadableFile(
                f"{path} is {name}, not a file of posts.",
                why="If it came with an archive, the archive is what holds the posts.",
                next="pass the archive, as a zip or unpacked, or a file of posts",
            )
    kind = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if kind is not None and (b"\0" in head or not head.isascii() or kind.startswith("a PDF")):
        raise UnreadableFile(f"{path} is {kind}, not a file of posts.", next=_AS_FILE)


def _not_a_file(path: Path, what: str) -> UnreadableFile:
    """For what is read, but as something else; it comes here as `file:` or packed once more."""
    is_gzipped = path.suffix.lower() == ".gz"
    return UnreadableFile(
        f"{path} is {what}, not a plain file of posts.",
        next=f"unpack it, and pass {path.with_suffix('')}" if is_gzipped else f"pass it without file:, as {path}",
    )


def _zip(path: Path) -> UnreadableFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        return UnreadableFile(
            f"{path} is a damaged zip archive.",
            why=f"No posts are found in what is left of it. {_ARCHIVES}",
            next="copy or download it again",
        )
    for member, (what, next) in _OFFICE.items():
        if any(name.startswith(member) for name in names):
            return UnreadableFile(f"{path} is {what}, not a file of posts.", next=next)
    if any(_X_ARCHIVE_MEMBER.search(name) for name in names):
        return _not_a_file(path, "an X archive")
    if any(name.endswith("outbox.json") for name in names):
        return _not_a_file(path, "a Mastodon archive")
    return _packed(path, "a zip archive", names)


def _packed(path: Path, what: str, names: list[str]) -> UnreadableFile:
    """For an archive that we can't tell from any other, with what in it could be posts."""
    files = [shorten(name) for name in names if _POSTS_FILE.fullmatch(name)]
    return UnreadableFile(
        f"{path} is {what} that no network we know hands out.",
        why=_ARCHIVES,
        next=f"unpack it, and pass {_one_of(files) if files else 'the file with the posts'}",
    )


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
