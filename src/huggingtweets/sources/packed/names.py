"""Names of members, as archives write them: which are safe, and which are noise."""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def safe_name(name: str) -> str:
    """The name with "/" between its parts.

    >>> safe_name("./data\\\\tweets.js")
    'data/tweets.js'
    """
    return name.replace("\\", "/").removeprefix("./")


def leads_out(name: str) -> bool:
    """
    >>> [leads_out(name) for name in ("data/tweets.js", "../tweets.js", "/etc/passwd", "C:/tweets.js", "a..b/c")]
    [False, True, True, True, False]
    """
    return name.startswith("/") or re.match(r"[A-Za-z]:", name) is not None or ".." in PurePosixPath(name).parts


def is_noise(name: str) -> bool:
    """What macOS adds when it packs."""
    return name.startswith("__MACOSX/") or "/__MACOSX/" in name or PurePosixPath(name).name.startswith("._")
