"""What a person could have meant by a name that names nothing.

In: what was typed. Out: UnknownSource with every reading of it that makes sense, the likeliest first.

- A file's name with a slip in it is told from an account's by its ending and by what lies in the folder.
- A bare word could be a name on any network, and is never guessed at: each reading fetches somebody's posts.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from huggingtweets.errors import UnknownSource

_WORD = re.compile(r"@?[\w-]{1,64}")
_DOMAIN = re.compile(r"@?(?:[\w-]+\.)+[a-z][a-z-]+", re.IGNORECASE)
_FILE_ENDING = re.compile(
    r".+\.(?:csv|tsv|tab|psv|jsonl?|ndjson|txt|text|parquet|pq|gz|tgz|tar|zip|car|js|xlsx?|html?|md)", re.IGNORECASE
)


def unknown(spec: str) -> UnknownSource:
    """For what fits no row of the table and is no path."""
    typed = spec.strip()
    if not typed:
        return UnknownSource("No source was named.", next="pass an account, an archive or a file of posts")
    if re.match(r"https?://", typed, re.IGNORECASE):
        return UnknownSource(
            f"{typed} is no address of an account that we know.",
            why="Addresses of profiles on X, Bluesky and Mastodon and of datasets on the Hugging Face Hub are known.",
            next="pass such an address, or download the posts as a file and pass that",
        )
    similar = similar_names(Path(typed))
    readings = [*similar, *_readings(typed)]
    if not readings:
        return missing_file(spec)
    what = (
        f"{typed} is no file here, and could be several things." if _readings(typed) else f"There is no file {typed}."
    )
    return UnknownSource(what, why=f"Did you mean {' or '.join(readings)}?", next=f"pass {readings[0].split(' (')[0]}")


def _readings(typed: str) -> list[str]:
    """The accounts that a word or a domain could be, each as it is typed."""
    name = typed.removeprefix("@")
    if _FILE_ENDING.fullmatch(typed):
        return []
    if _DOMAIN.fullmatch(typed):
        return [f"@{name} (on Bluesky)"]
    if _WORD.fullmatch(typed):
        names = [f"{name.lower()}.bsky.social (on Bluesky)"] if re.fullmatch(r"[A-Za-z0-9-]+", name) else []
        return [
            *([f"@{name} (on X)"] if re.fullmatch(r"\w{1,15}", name) else []),
            *names,
            f"@{name}@SERVER (on Mastodon)",
        ]
    if found := re.fullmatch(r"([\w.-]+)/([\w.-]+)", typed):
        return [f"hub:{found[0]} (a dataset on the Hugging Face Hub)"]
    return []


def missing_file(typed: str) -> UnknownSource:
    """For a path that leads nowhere."""
    if not typed.strip():
        return UnknownSource("No source was named.", next="pass an account, an archive or a file of posts")
    similar = similar_names(Path(typed))
    return UnknownSource(
        f"There is no file {typed}.",
        why=f"Did you mean {' or '.join(similar)}?" if similar else "",
        next=f"pass {similar[0]}" if similar else "check the name and the folder",
    )


def similar_names(path: Path) -> list[str]:
    """Files of the same folder with a name like this one, best first."""
    try:
        entries = sorted(path.parent.iterdir())
    except (OSError, ValueError):
        return []
    stems: dict[str, list[str]] = {}  # without the ending, which files that have nothing else in common share
    for entry in entries:
        stems.setdefault(entry.stem.casefold(), []).append(str(entry))
    close = difflib.get_close_matches(path.stem.casefold(), stems, n=3, cutoff=0.6)
    return [name for stem in close for name in stems[stem]][:3]
