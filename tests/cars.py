"""Builds Bluesky repositories as CAR files: DAG-CBOR, a Merkle search tree of as many levels as it takes, blocks."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DID = "did:plc:inventedinventedinvente"


class Link(bytes):
    """A CID as it stands in a file: version 1, DAG-CBOR, SHA-256."""


def link_to(data: bytes) -> Link:
    return Link(b"\x01\x71\x12\x20" + hashlib.sha256(data).digest())


def varint(number: int) -> bytes:
    """
    >>> varint(300)
    b'\\xac\\x02'
    """
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def encode(value: object) -> bytes:
    """DAG-CBOR, of the types that repositories use.

    >>> encode({"b": 1, "a": [None, True]}).hex()
    'a2616182f6f5616201'
    """
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, Link):
        return b"\xd8\x2a" + _head(2, len(value) + 1) + b"\0" + value
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return _head(5, len(value)) + b"".join(encode(key) + encode(value[key]) for key in keys)
    raise TypeError(type(value))


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for code, form, limit in ((24, ">B", 8), (25, ">H", 16), (26, ">I", 32), (27, ">Q", 64)):
        if number < 1 << limit:
            return bytes([major << 5 | code]) + struct.pack(form, number)
    raise ValueError(number)


@dataclass
class Car:
    """A CAR file to be; blocks in the order of the file."""

    root: Link | None = None
    blocks: dict[Link, bytes] = field(default_factory=dict)

    def put(self, value: object) -> Link:
        data = encode(value)
        self.blocks[link_to(data)] = data
        return link_to(data)

    def to_bytes(self) -> bytes:
        header = encode({"roots": [self.root] if self.root else [], "version": 1})
        framed = (varint(len(cid) + len(data)) + cid + data for cid, data in self.blocks.items())
        return varint(len(header)) + header + b"".join(framed)

    def put_node(self, entries: Iterable[tuple[str, Link, Link | None]], left: Link | None = None) -> Link:
        """A node of the tree: name, record and the subtree behind it."""
        parts: list[dict[str, object]] = []
        before = b""
        for name, record, behind in entries:
            key = name.encode()
            shared = next((n for n, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), len(before))
            shared = min(shared, len(key))
            parts.append({"p": shared, "k": key[shared:], "v": record, "t": behind})
            before = key
        return self.put({"l": left, "e": parts})

    def commit(self, tree: object, did: str = DID) -> None:
        """The commit goes to the beginning of the file, as servers write it."""
        self.root = self.put(
            {"did": did, "version": 3, "data": tree, "rev": "3linventedrev", "prev": None, "sig": b"\0" * 64}
        )
        self.blocks = {self.root: self.blocks.pop(self.root), **self.blocks}


def level_of(name: str) -> int:
    """Pairs of zero bits at the beginning of the name's digest: how far up its entry stands."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest())
    return (256 - digest.bit_length()) // 2


def repository(records: Mapping[str, object], did: str = DID, orphans: Iterable[object] = ()) -> Car:
    """Each node before what it points to, as servers write it; `orphans` are blocks that nothing points to."""
    car = Car()
    names = sorted(records, key=str.encode)
    entries = [(name, car.put(records[name])) for name in names]
    order = _tree(car, entries, max(map(level_of, names), default=0)) or [car.put_node([])]
    car.blocks = {cid: car.blocks[cid] for cid in order}
    for orphan in orphans:
        car.put(orphan)
    car.commit(order[0], did)
    return car


def _tree(car: Car, entries: list[tuple[str, Link]], level: int) -> list[Link]:
    """The blocks of a subtree, its own node first."""
    if not entries:
        return []
    at = [number for number, (name, _) in enumerate(entries) if level_of(name) == level]
    left = _tree(car, entries[: at[0] if at else len(entries)], level - 1)
    parts, order = [], left
    for start, end in zip(at, [*at[1:], len(entries)], strict=False):
        behind = _tree(car, entries[start + 1 : end], level - 1)
        parts.append((*entries[start], behind[0] if behind else None))
        order = [*order, entries[start][1], *behind]
    return [car.put_node(parts, left[0] if left else None), *order]
