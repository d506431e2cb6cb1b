"""The files of an X archive by their names, and the archives in what a person passed.

In: a path. Out: whether it is an archive, what to open for it, and what a file in it holds.

- People repack archives, so names count from their end: `backup/twitter-2025/data/tweets.js` holds posts.
- Passed may be a zip or a tar, the unpacked folder, its `data` folder, or a folder of zips; also one of the .js files,
  to which those beside it belong, unless it has another name than the archive gave it.
- Direct messages, deleted posts and posts to a circle have no name here and are never opened. Of the circle's files the
  size is looked at.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from huggingtweets.sources.identity import safe_handle
from huggingtweets.sources.packed.members import Members, Wanted, has_member, member_names, open_members

_POSTS = re.compile(r"(?:^|/)(tweets?|community-tweet)(?:-part\d+)?\.js$")
_MONTHS = re.compile(r"(?:^|/)js/tweets/\d{4}_\d{2}\.js$")  # up to 2018, "Grailbird"
_NOTES = re.compile(r"(?:^|/)note-tweet(?:-part\d+)?\.js$")
_CIRCLE = re.compile(r"(?:^|/)(?:twitter-)?circle-tweet(?:-part\d+)?\.js$")
_FACTS = re.compile(r"(?:^|/)(account|profile|manifest)\.js$|(?:^|/)js/(user_details|tweet_index)\.js$")
_AVATAR = re.compile(r"(?:^|/)profile_media/[^/]+$")
_MARK = re.compile(r"(?:^|/)data/(?:account|manifest)\.js$|(?:^|/)tweets?_media/")  # of parts without posts
_ASSETS = re.compile(r"(?:^|/)assets/")  # the archive's own viewer, whose files have such names too
_BESIDE = re.compile(r"[^/]+|profile_media/[^/]+|js/(?:tweets/)?[^/]+")
_ASSIGNMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:window\.(?:YTD\.(\w*)|__THAR_CONFIG)|(Grailbird\.data))")
_PACKED = re.compile(r"(?i)\.(?:zip|tar|tgz|tar\.gz)$")
_NAMES = {"tweet": "tweets.js", "tweets": "tweets.js", "community_tweet": "community-tweet.js"}  # by what is assigned


def holds_posts(name: str) -> bool:
    """
    >>> [holds_posts(name) for name in ("data/tweets-part2.js", "data/js/tweets/2014_03.js", "data/deleted-tweets.js")]
    [True, True, False]
    """
    return not _ASSETS.search(name) and bool(_POSTS.search(name) or _MONTHS.search(name))


def holds_community_posts(name: str) -> bool:
    found = _POSTS.search(name)
    return found is not None and found[1].startswith("community")


def holds_notes(name: str) -> bool:
    return not _ASSETS.search(name) and bool(_NOTES.search(name))


def holds_circle(name: str) -> bool:
    return not _ASSETS.search(name) and bool(_CIRCLE.search(name))


def holds_avatar(name: str) -> bool:
    return bool(_AVATAR.search(name))


def fact_in(name: str) -> str | None:
    """Which of the files about the account this is.

    >>> fact_in("backup/data/account.js"), fact_in("data/js/user_details.js"), fact_in("data/tweets.js")
    ('account', 'user_details', None)
    """
    found = None if _ASSETS.search(name) else _FACTS.search(name)
    return found and (found[1] or found[2])


def is_wanted(name: str) -> bool:
    """Whether a member is opened at all."""
    return holds_posts(name) or holds_notes(name) or fact_in(name) is not None or holds_avatar(name)


def _marks(name: str) -> bool:
    return holds_posts(name) or bool(_MARK.search(name))


def is_x_archive(path: Path) -> bool:
    """Whether this is an archive, a folder of one or of its parts, or one of the files in it."""
    return _assigned_to(path) is not None or has_member(path, _marks) or bool(_zips_in(path))


def _assigned_to(path: Path) -> str | None:
    """The name that a file has in an archive, by what stands in it; empty where it holds no posts."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                found = _ASSIGNMENT.match(file.read(256))
            if found:
                return f"js/tweets/{path.name}" if found[2] else _NAMES.get((found[1] or b"").decode(), "")
    return None


def parts_of(path: Path) -> list[Path]:
    """What to open for a path: itself, or the archives in a folder that has no posts of its own."""
    return [path] if not path.is_dir() or has_member(path, _marks) else _zips_in(path) or [path]


def _zips_in(path: Path) -> list[Path]:
    try:
        zips = sorted(file for file in path.iterdir() if file.suffix.lower() == ".zip") if path.is_dir() else []
    except OSError:
        return []
    return [file for file in zips if has_member(file, _marks)]


def open_part(path: Path, wanted: Wanted) -> Members:
    """The wanted members of a part, and the circle's noticed; of a file's folder only what lies beside it.

    Raises UnreadableFile.
    """
    path, name = path.absolute(), _assigned_to(path)
    if name is None:
        return open_members(path, wanted, holds_circle)
    folder = path.parents[2] if path.parts[-3:-1] == ("js", "tweets") else path.parent
    if is_wanted(path.relative_to(folder).as_posix()):
        return open_members(
            folder, lambda found: bool(_BESIDE.fullmatch(found)) and wanted(found), holds_circle, depth=2
        )
    state = path.stat()
    return Members(path, {name: path} if name and wanted(name) else {}, [f"{name} {state.st_size} {state.st_mtime_ns}"])


def post_files(path: Path) -> set[str]:
    """The names of the files of posts in a part, without their folders."""
    if _assigned_to(path) is None:
        return {name.rpartition("/")[2] for name in member_names(path, holds_posts)}
    with open_part(path, holds_posts) as members:
        return {name.rpartition("/")[2] for name in members.names}


def handle_from(path: Path) -> str:
    """What to call an account that its archive does not name.

    >>> handle_from(Path("exports/alice.zip")), handle_from(Path("/home/alice/data/tweets.js"))
    ('alice', 'alice')
    """
    for part in reversed(path.absolute().parts):
        name = safe_handle(_PACKED.sub("", part))
        if name and name not in ("data", "js", "tweets") and not part.lower().endswith(".js"):
            return name
    return "archive"
