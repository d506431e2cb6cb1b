"""A CAR file's blocks, and the index of a Bluesky repository that is made of them.

In: a path. Out: records by the digest that names them (CID), and the index (a Merkle search tree) entry by entry.

- The file is a header, then blocks, each with its length and its CID in front (CAR version 1).
- Places are noted in one reading; a block is read when it is asked for, and counts only if it has its digest.
- The index is walked with a list of our own, each node once: neither its depth nor a circle in it does harm.
- Only what a repository is made of is read: DAG-CBOR named by SHA-256, of at most 2 MiB a block.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files.opening import FileBytes, translated_errors
from huggingtweets.sources.tally import CUT_SHORT, UNREAD_REST, Tally

Record = Mapping[str, object]

LARGEST_FILE_BYTES = 1 << 30  # a repository of ten years of daily use is some 100 MB
LARGEST_BLOCK_BYTES = 1 << 21  # the protocol's limit for a record is 1 MiB
LARGEST_HEADER_BYTES = 1 << 16
MOST_BLOCKS = 5_000_000
LONGEST_KEY = 1_024  # bytes: a collection has at most 317, a record's key 512

BAD_KEYS = "entries of the index whose name is none"
LOST_INDEX = "parts of the index that are missing or damaged (the posts below them are lost)"

_HEAD = re.compile(rb"[\x80-\xff]{0,2}[\x00-\x7f]\xa2eroots|\x0a\xa1gversion\x02", re.DOTALL)
_CID_HEAD = b"\x01\x71\x12\x20"  # version 1, DAG-CBOR, SHA-256, of 32 bytes
_CID_BYTES = 36
_KEY = re.compile(rb"([A-Za-z0-9.-]+)/([A-Za-z0-9._:~-]+)")
_AGAIN = "export the repository again (Settings, Account, Export my data), and pass that file"


def is_repo(path: Path) -> bool:
    """Whether the first bytes are those of a CAR file."""
    try:
        with path.open("rb") as file:
            return _HEAD.match(file.read(64)) is not None
    except (OSError, ValueError):
        return False


class Blocks:
    """The blocks of an open file."""

    def __init__(self, path: Path, file: BinaryIO, size_bytes: int, tally: Tally) -> None:
        self.path = path
        self._file = file
        self._size_bytes = size_bytes
        header, begin = self._header()
        self.root = _root(path, header)
        self._places = self._find(begin, tally)  # CID to where its length stands

    def __len__(self) -> int:
        return len(self._places)

    def record(self, cid: object) -> Record | None:
        """The map in a block; None where there is no such block, or it is damaged."""
        place = self._places.get(cid) if isinstance(cid, bytes) else None
        if place is None:
            return None
        length, width = varint(self._bytes(place, 10))
        if length > LARGEST_BLOCK_BYTES:
            return None
        data = self._bytes(place + width, length)[_CID_BYTES:]
        if not isinstance(cid, bytes) or hashlib.sha256(data).digest() != cid[len(_CID_HEAD) :]:
            return None
        value = _decoded(data)
        return value if isinstance(value, dict) else None

    def _header(self) -> tuple[object, int]:
        length, width = varint(self._bytes(0, 10))
        data = self._bytes(width, length) if 0 < length <= LARGEST_HEADER_BYTES else b""
        return _decoded(data), width + length

    def _find(self, begin: int, tally: Tally) -> dict[bytes, int]:
        places: dict[bytes, int] = {}
        while begin < self._size_bytes:
            head = self._bytes(begin, 10 + _CID_BYTES)
            length, width = varint(head)
            end = begin + width + length
            if length < 1 or width == 0:
                tally.add(CUT_SHORT if len(head) < 10 else UNREAD_REST, f"byte {begin}")
                break
            if end > self._size_bytes:
                tally.add(CUT_SHORT, f"byte {begin}")
                break
            cid = head[width : width + min(length, _CID_BYTES)]
            if cid.startswith(_CID_HEAD) and len(cid) == _CID_BYTES:
                places.setdefault(cid, begin)
            if len(places) > MOST_BLOCKS:
                raise UnreadableFile(f"{self.path} holds more than {MOST_BLOCKS:,} blocks.", next=_AGAIN)
            begin = end
        return places

    def _bytes(self, place: int, length: int) -> bytes:
        with translated_errors(self.path):
            self._file.seek(place)
            return self._file.read(length)


def checked_size(path: Path) -> int:
    """Raises SourceError for what is no file, or too large."""
    size_bytes = FileBytes(path).size_bytes  # refuses folders and pipes
    if size_bytes > LARGEST_FILE_BYTES:
        raise UnreadableFile(
            f"{path} has {size_bytes / (1 << 30):.1f} GiB.",
            why="No repository of one account is larger than 1 GiB.",
            next="check that it is the file you meant",
        )
    return size_bytes


@contextlib.contextmanager
def open_blocks(path: Path, tally: Tally) -> Iterator[Blocks]:
    """Raises SourceError for what is no repository, or too large."""
    size_bytes = checked_size(path)
    with contextlib.ExitStack() as stack:
        with translated_errors(path):
            file = stack.enter_context(path.open("rb"))
        yield Blocks(path, file, size_bytes, tally)


def varint(data: bytes) -> tuple[int, int]:
    """An unsigned LEB128 number and its width; (0, 0) where none begins.

    >>> varint(b"\\x05"), varint(b"\\xac\\x02..."), varint(b"\\x80")
    ((5, 1), (300, 2), (0, 0))
    """
    number = 0
    for index, byte in enumerate(data[:9]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, index + 1
    return 0, 0


def _decoded(data: bytes) -> object:
    """The DAG-CBOR value; None where it is none. Links come out as the bytes of their CID."""
    import libipld

    with contextlib.suppress(ValueError, RecursionError):
        value: object = libipld.decode_dag_cbor(data)
        return value
    return None


def _root(path: Path, header: object) -> bytes:
    fields = header if isinstance(header, dict) else {}
    roots = fields.get("roots")
    if fields.get("version") == 2:
        raise UnreadableFile(f"{path} is a CAR file of version 2; Bluesky exports version 1.", next=_AGAIN)
    if not isinstance(roots, list) or not roots or not isinstance(roots[0], bytes):
        raise UnreadableFile(
            f"{path} is not a Bluesky repository (a CAR file), or its beginning is damaged.", next=_AGAIN
        )
    return roots[0]


def commit_of(blocks: Blocks) -> tuple[str, object]:
    """The account's DID, and the CID of its index; raises UnreadableFile."""
    commit = blocks.record(blocks.root)
    if commit is None:
        raise UnreadableFile(
            f"The commit of the repository in {blocks.path} is missing or damaged.",
            why="Without it nothing tells which posts are there and which were deleted.",
            next=_AGAIN,
        )
    did = commit.get("did")
    if not isinstance(did, str) or not isinstance(commit.get("data"), bytes):
        raise UnreadableFile(f"{blocks.path} is a CAR file, but not of a Bluesky repository.", next=_AGAIN)
    return did, commit["data"]


def entries(blocks: Blocks, root: object, tally: Tally) -> Iterator[tuple[str, str, bytes]]:
    """Collection, key and CID of every record, in the order of their names, as far as the index can be followed."""
    todo: list[object] = [root]
    seen: set[bytes] = set()
    while todo:
        next_one = todo.pop()
        if isinstance(next_one, tuple):
            yield next_one
            continue
        node = None
        if isinstance(next_one, bytes) and next_one not in seen:
            seen.add(next_one)
            node = blocks.record(next_one)
        parts = node.get("e") if node else None
        if node is None or not isinstance(parts, list):
            tally.add(LOST_INDEX, next_one.hex() if isinstance(next_one, bytes) else "")
            continue
        todo += reversed(list(_children(node.get("l"), parts, tally)))


def _children(left: object, parts: list[object], tally: Tally) -> Iterator[object]:
    """Subtrees and entries of a node, in order. A name is the first `p` bytes of the one before and `k`."""
    if left is not None:
        yield left
    before: bytes | None = b""
    for part in parts:
        entry = part if isinstance(part, dict) else {}
        before = _name(before, entry.get("p"), entry.get("k"))
        name, cid = _KEY.fullmatch(before or b""), entry.get("v")
        if name is not None and isinstance(cid, bytes):
            yield name[1].decode("ascii"), name[2].decode("ascii"), cid
        else:
            tally.add(BAD_KEYS, repr(before) if before else "")
        if entry.get("t") is not None:
            yield entry["t"]


def _name(before: bytes | None, shared: object, rest: object) -> bytes | None:
    """
    >>> _name(b"app.bsky/a", 9, b"b"), _name(b"app.bsky/a", 99, b"b"), _name(None, 3, b"b")
    (b'app.bsky/b', None, None)
    """
    if not isinstance(shared, int) or not isinstance(rest, bytes):
        return None
    if shared and (before is None or not 0 < shared <= len(before)):
        return None  # what is shared is not known
    name = (before or b"")[:shared] + rest
    return name if len(name) <= LONGEST_KEY else None
