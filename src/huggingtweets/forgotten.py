"""Accounts that must not be made into bots again by accident: `.forgotten.json` beside the bots.

In: handles and ids. Out: whether one of them was forgotten.

- Kept are salted hashes (scrypt, RFC 7914), because a list of the people who asked to be forgotten would remember them.
- A hash slow enough that trying every known handle takes long, and fast enough not to be noticed once.

Not covered: removing what was made (see `pipeline`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingtweets.botdir import read_as, write_json

FILE = ".forgotten.json"
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # RFC 7914's numbers for interactive use: 16 MB and some 50 ms
FORMAT = 1


def is_forgotten(bots_dir: Path, names: Iterable[str]) -> bool:
    """Whether an account with one of these handles or ids was forgotten here; raises BotError for a damaged list."""
    if not (bots_dir / FILE).exists():
        return False
    record = _read(bots_dir)
    return any(_hash(name, record["salt"]) in record["hashes"] for name in _keys(names))


def note_forgotten(bots_dir: Path, names: Iterable[str]) -> None:
    """From now on these are refused."""
    record = _read(bots_dir)
    hashes = {_hash(name, record["salt"]) for name in _keys(names)}
    write_json(bots_dir / FILE, {**record, "hashes": sorted(hashes | set(record["hashes"]))})


def note_allowed(bots_dir: Path, names: Iterable[str]) -> bool:
    """Takes these off the list; whether any was on it."""
    record = _read(bots_dir)
    left = set(record["hashes"]) - {_hash(name, record["salt"]) for name in _keys(names)}
    if len(left) == len(record["hashes"]):
        return False
    write_json(bots_dir / FILE, {**record, "hashes": sorted(left)})
    return True


def _read(bots_dir: Path) -> dict[str, Any]:
    if not (bots_dir / FILE).exists():
        return {"format": FORMAT, "salt": secrets.token_hex(16), "hashes": []}
    return read_as(bots_dir / FILE, _checked)


def _checked(record: Any) -> dict[str, Any]:
    bytes.fromhex(record["salt"])
    if not all(isinstance(known, str) for known in record["hashes"]):
        raise TypeError("a hash is not text")
    return dict(record)


def _keys(names: Iterable[str]) -> set[str]:
    """Case, "@" in front and the prefix of a source make no other account.

    >>> _keys(["@NASA", "x:nasa"])
    {'nasa'}
    """
    keys = {name.strip().casefold() for name in names}
    for prefix in ("x:", "bluesky:", "mastodon:"):
        keys = {key.removeprefix(prefix) for key in keys}
    return {key.removeprefix("@") for key in keys} - {""}


def _hash(key: str, salt: str) -> str:
    digest = hashlib.scrypt(key.encode("utf-8", "replace"), salt=bytes.fromhex(salt), dklen=16, **SCRYPT)
    return digest.hex()
