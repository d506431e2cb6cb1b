"""Which Hub is meant, and the addresses of its repositories."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

HOME = "https://huggingface.co"


def endpoint() -> str:
    """HF_ENDPOINT as it is now: the Hub client reads it only once, when it is imported."""
    return (os.environ.get("HF_ENDPOINT") or HOME).rstrip("/")


def shown(address: str) -> str:
    """Without the name and password that an address may carry.

    >>> shown("https://alice:secret@hub.example:8443/a")
    'https://hub.example:8443/a'
    """
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_at_home(address: str) -> bool:
    """Whether an address is one of the Hub that is meant now."""
    return address.startswith(f"{shown(endpoint())}/")
