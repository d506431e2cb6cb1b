"""Accounts that must not be made into bots again by accident: `.forgotten.json` beside the bots.

In: handles and ids. Out: whether one of them was forgotten.

- Kept are salted hashes (scrypt, RFC 7914), because a list of the people who asked to be forgotten would remember them.
- A hash slow enough that trying every known handle takes long, and fast enough not to be noticed once.
- The names of one account stay together, so that one of them is enough to take all of it back.

Not covered: removing what was made (see `upkeep`), which names an account has (see `consent`).
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingtweets.botdir import make_folder, read_as, storage_errors, write_json
from huggingtweets.errors import BotError

FILE = ".forgotten.json"
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # RFC 7914's numbers for interactive use: 16 MB and some 50 ms
FORMAT = 1


@dataclass(frozen=True)
class _List:
    salt: str  # in hexadecimal
    accounts: tuple[frozenset[str], ...] = ()  # the hashes of each one's names

    def hashes(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(_hash(name, self.salt) for name in keys_of(names))

    def write(self, bots_dir: Path) -> None:
        accounts = [sorted(hashes) for hashes in self.accounts]
        write_json(bots_dir / FILE, {"format": FORMAT, "salt": self.salt, "accounts": accounts})


def is_forgotten(bots_dir: Path, names: Iterable[str]) -> bool:
    """Whether an account with one of these handles or ids was forgotten here; raises BotError for a damaged list."""
    if not (bots_dir / FILE).exists():
        return False
    known = _read(bots_dir)
    hashes = known.hashes(names)
    return any(hashes & account for account in known.accounts)


def note_forgotten(bots_dir: Path, names: Iterable[str]) -> None:
    """From now on the account with these names is refused."""
    with _alone(bots_dir):
        known = _read(bots_dir)
        hashes = known.hashes(names)
        same = [account for account in known.accounts if account & hashes]
        others = tuple(account for account in known.accounts if not account & hashes)
        _List(known.salt, (*others, hashes.union(*same))).write(bots_dir)


def note_allowed(bots_dir: Path, names: Iterable[str]) -> bool:
    """Takes the account with one of these names off the list; whether it was on it."""
    if not (bots_dir / FILE).exists():
        return False
    with _alone(bots_dir):
        known = _read(bots_dir)
        hashes = known.hashes(names)
        left = tuple(account for account in known.accounts if not account & hashes)
        if len(left) == len(known.accounts):
            return False
        _List(known.salt, left).write(bots_dir)
    return True


def keys_of(names: Iterable[str]) -> set[str]:
    """Case, "@" in front and the prefix of a source make no other account.

    >>> keys_of(["@NASA", "x:nasa", ""])
    {'nasa'}
    """
    keys = {name.strip().casefold() for name in names}
    for prefix in ("x:", "bluesky:", "mastodon:"):
        keys = {key.removeprefix(prefix) for key in keys}
    return {key.removeprefix("@") for key in keys} - {""}


@contextlib.contextmanager
def _alone(bots_dir: Path) -> Iterator[None]:
    """One process at a time: what it adds is read, changed and written."""
    from filelock import FileLock, Timeout

    make_folder(bots_dir)
    lock = FileLock(bots_dir / f"{FILE}.lock", timeout=10)
    try:
        with storage_errors(bots_dir):
            lock.acquire()
    except Timeout:
        raise BotError(f"{bots_dir / FILE} is in use.", next="run the same command again") from None
    try:
        yield
    finally:
        lock.release()


def _read(bots_dir: Path) -> _List:
    if not (bots_dir / FILE).exists():
        return _List(secrets.token_hex(16))
    try:
        return read_as(bots_dir / FILE, _checked)
    except BotError as error:
        raise BotError(
            f"The list of forgotten accounts can't be read: {error.what}",
            why="Without it a bot could be made of somebody who asked for the opposite.",
            next=f"restore {bots_dir / FILE}, or delete it if nobody is to be on it",
        ) from error


def _checked(record: Any) -> _List:
    bytes.fromhex(record["salt"])
    if not all(isinstance(known, str) for account in record["accounts"] for known in account):
        raise TypeError("a hash is not text")
    return _List(record["salt"], tuple(frozenset(account) for account in record["accounts"]))


def _hash(key: str, salt: str) -> str:
    digest = hashlib.scrypt(key.encode("utf-8", "replace"), salt=bytes.fromhex(salt), dklen=16, **SCRYPT)
    return digest.hex()
