"""Passwords, sessions and tokens. In: what somebody typed or sent. Out: the user it belongs to, or none.

- Passwords are stored as argon2id hashes, by the library's defaults (RFC 9106's second recommendation); two are checked
  at a time, since each takes 64 MB. A name that nobody has takes as long as a wrong password.
- A session's or token's key is 256 random bits; the database holds its SHA-256 alone, so a stolen database opens
  nothing.

Not covered: how often somebody may try (see `limiting`).
"""

from __future__ import annotations

import functools
import hashlib
import secrets
import time
from typing import TYPE_CHECKING

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from huggingtweets.errors import SettingsError
from huggingtweets.web.records import User

if TYPE_CHECKING:
    from huggingtweets.web.store import Store

SESSION_S = 30 * 24 * 3600
SHORTEST_PASSWORD = 8  # NIST SP 800-63B's least
LONGEST_PASSWORD = 1024  # of what is hashed at all
CHECKS_AT_ONCE = 2

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Raises SettingsError for one that is too short."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise SettingsError(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters.", next="choose a longer one"
        )
    return _hasher.hash(password)


def is_right(user: User | None, password: str) -> bool:
    """Whether it is this user's password; as slow without a user."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher.verify(user.password if user else _nobodys(), password) and user is not None
    except (VerificationError, InvalidHashError):
        return False


async def log_in(store: Store, name: str, password: str) -> str | None:
    """The key of a new session, or None when name or password is wrong."""
    user = await anyio.to_thread.run_sync(store.user, name)
    if not await anyio.to_thread.run_sync(is_right, user, password, limiter=_checks()):
        return None
    key = secrets.token_urlsafe(32)
    await anyio.to_thread.run_sync(store.add_key, digest_of(key), name, "session", time.time() + SESSION_S)
    return key


def new_token(store: Store, name: str) -> str:
    """A key for programs, which stays until its user is removed; told once."""
    key = f"ht_{secrets.token_urlsafe(32)}"
    store.add_key(digest_of(key), name, "token", None)
    return key


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@functools.cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_hex())


@functools.cache
def _checks() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(CHECKS_AT_ONCE)
