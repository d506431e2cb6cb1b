"""What a person could have meant by a name that names nothing.

In: what was typed. Out: UnknownSource with every reading of it that makes sense, the likeliest first.

- A file's name with a slip in it is told from an account's by its ending and by what lies in the folder.
- A bare word could be a name on any network, and is never guessed at: each reading fetches somebody's posts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from huggingtweets.errors import UnknownSource
from huggingtweets.sources.addresses import DOMAIN
from huggingtweets.sources.tally import shorten

PREFIXES = ("x", "bluesky", "mastodon", "hub", "file", "archive", "mastodon-archive", "bluesky-repo")
_OTHER_PREFIXES = {
    "twitter": "x",
    "tweets": "x",
    "bsky": "bluesky",
    "at": "bluesky",
    "masto": "mastodon",
    "fediverse": "mastodon",
    "acct": "mastodon",
    "hf": "hub",
    "huggingface": "hub",
    "dataset": "hub",
    "datasets": "hub",
    "zip": "file",
    "csv": "file",
    "path": "file",
}
_LONGEST_X_NAME = 15
_FILE_ENDING = re.compile(
    r".+\.(?:csv|tsv|tab|psv|jsonl?|ndjson|txt|text|parquet|pq|gz|tgz|tar|zip|car|js|xlsx?|html?|md)", re.IGNORECASE
)


def unknown(spec: str) -> UnknownSource:
    """For what fits no row of the table and is no path."""
    typed = spec.strip()
    if not typed:
        return _nothing()
    special = _address(typed) or _prefixed(typed) or _incomplete(typed)
    if special is not None:
        return special
    similar = similar_names(Path(typed))
    readings = [] if _FILE_ENDING.fullmatch(typed) else list(_readings(typed))
    if not readings:
        is_path = similar or _FILE_ENDING.fullmatch(typed) or not _is_names(typed)
        return missing_file(spec) if is_path else _several(typed)
    meant = [*similar, *readings]
    return UnknownSource(
        f"{shorten(typed)} is no file here, and could be several things."
        if len(meant) > 1
        else f"{shorten(typed)} is no file here.",
        why=f"Did you mean {' or '.join(meant)}?",
        next=f"pass {meant[0].split(' (')[0]}",
    )


def _nothing() -> UnknownSource:
    return UnknownSource("No source was named.", next="pass an account, an archive or a file of posts")


def _address(typed: str) -> UnknownSource | None:
    if not re.match(r"[a-z][a-z0-9+.-]*://", typed, re.IGNORECASE):
        return None
    return UnknownSource(
        f"{shorten(typed)} is no address of an account that we know.",
        why="Addresses of profiles on X, Bluesky and Mastodon and of datasets on the Hugging Face Hub are known.",
        next="pass such an address, or download the posts as a file and pass that",
    )


def _prefixed(typed: str) -> UnknownSource | None:
    """`twitter:nasa`: a prefix that is none of ours; a drive's letter is none at all."""
    found = re.fullmatch(r"([A-Za-z][\w-]+):(.*)", typed, re.DOTALL)
    if found is None:
        return None
    close = difflib.get_close_matches(found[1].lower(), PREFIXES, n=1, cutoff=0.6)
    meant = _OTHER_PREFIXES.get(found[1].lower()) or next(iter(close), None)
    return UnknownSource(
        f"{shorten(typed)} begins with {shorten(found[1])}:, which says no kind of source.",
        why=f"These do: {', '.join(f'{prefix}:' for prefix in PREFIXES)}.",
        next=f"pass {meant}:{shorten(found[2])}" if meant else "pass an account, an archive or a file of posts",
    )


def _incomplete(typed: str) -> UnknownSource | None:
    """`@name@`, `name@server`: half of a name on Mastodon."""
    found = re.fullmatch(r"@?([\w.-]+)@([\w-]*)", typed)
    if found is None:
        return None
    server = found[2] or "SERVER"
    what = f"lacks its server: {found[2]} is no whole name of one" if found[2] else "lacks its server"
    return UnknownSource(
        f"{shorten(typed)} {what}.",
        why="An account on Mastodon is called @name@server, and the server's name has a dot in it.",
        next=f"pass @{found[1]}@{server}{'.social, or wherever it is' if found[2] else ''}, "
        f"or @{found[1]} for the one on X",
    )


def _is_names(typed: str) -> bool:
    """Whether this reads like people's names or several sources in one, rather than like a path."""
    return bool(re.search(r"[\s,;]", typed)) and not re.search(r"[/\\]", typed)


def _several(typed: str) -> UnknownSource:
    parts = re.split(r"[\s,;]+", typed)
    if all(re.fullmatch(r"@.+|.+\..+", part) for part in parts):
        return UnknownSource(
            f"{shorten(typed)} is no file here, and no one source.",
            why="Several sources are passed one by one.",
            next=f"pass {' '.join(parts)} without quotes and commas",
        )
    name = re.sub(r"\W+", "", typed).lower()
    return UnknownSource(
        f"There is no file {shorten(typed)}, and no account's name has spaces or commas.",
        why="Accounts are found by their handle, not by what they are called.",
        next=f"pass the handle as the account's page shows it, such as @{name[:_LONGEST_X_NAME] or 'name'} (on X)",
    )


def _readings(typed: str) -> Iterator[str]:
    """What a word, a domain or a pair could be, each as it is typed."""
    name = typed.removeprefix("@").removeprefix("www.")
    if re.fullmatch(r"[\w-]{1,64}", name):
        yield from _readings_of_word(name)
    elif re.fullmatch(DOMAIN, name, re.IGNORECASE):
        yield f"@{name.lower()} (on Bluesky)"
    elif typed.startswith("@") and re.fullmatch(r"[\w-]+(?:\.[\w-]+)+\.?", name):
        yield from _readings_with_dots(name.rstrip("."))
    elif found := re.fullmatch(r"([A-Za-z0-9][\w.-]*)/([\w.-]+)", typed):
        yield f"hub:{found[0]} (a dataset on the Hugging Face Hub)"


def _readings_of_word(name: str) -> Iterator[str]:
    if re.fullmatch(rf"[A-Za-z0-9_]{{1,{_LONGEST_X_NAME}}}", name):
        yield f"@{name} (on X)"
    if re.fullmatch(r"[A-Za-z0-9-]+", name):
        yield f"{name.lower()}.bsky.social (on Bluesky)"
    yield f"@{name}@SERVER (on Mastodon)"


def _readings_with_dots(name: str) -> Iterator[str]:
    """Names on X hold no dots; a domain of one's own on Bluesky may end in what we took for none."""
    yield f"@{name}@SERVER (on Mastodon)"
    for without in (name.replace(".", "_"), name.replace(".", "")):
        if len(without) <= _LONGEST_X_NAME and without.isascii() and "-" not in without:
            yield f"@{without} (on X)"
    yield f"bluesky:{name.lower()} (on Bluesky, if that is a domain)"


def missing_file(typed: str) -> UnknownSource:
    """For a path that leads nowhere."""
    if not typed.strip():
        return _nothing()
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
