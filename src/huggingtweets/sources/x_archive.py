"""A person's own X archive as a source: a zip or a folder, of any era, in one part or several.

In: the paths of one archive. Out: pages of posts, name, bio and face from inside, and what is missing, counted.

- Eras: `Grailbird.data.tweets_2014_03 = [...]` up to 2018; `tweet.js` in the root in 2019; elements wrapped in
  `{"tweet": ...}` from 2020; `data/tweets.js`, `data/tweets-part1.js`, ... since late 2022.
- Only the files named in `_WANTED` are ever opened: posts, community posts, notes, account, profile, manifest, avatar.
  Direct messages, deleted and circle posts are not among them.
- Posts are read one at a time, so memory does not grow with the archive. Which posts were edited is found by a quick
  search of the bytes first; of an edited post only the last version counts.
- What the manifest promises and the archive does not hold is said; the rest is used.

Not covered: posts longer than 280 letters (see `x_notes`), links (see `x_text`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.identity import is_picture, read_avatar, safe_handle
from huggingtweets.sources.members import Members, has_member, open_members
from huggingtweets.sources.streams import Elements
from huggingtweets.sources.tally import NO_TEXT, NOT_POSTS, UNREAD_REST, Tally
from huggingtweets.sources.values import parse_id, parse_time
from huggingtweets.sources.x_notes import Notes
from huggingtweets.sources.x_posts import post_from_tweet, words

READER = 1  # raised when the same archive would give other posts than before
PAGE_POSTS = 1_000
SMALL_BYTES = 1 << 24  # account, profile, manifest, avatar

OLDER_VERSIONS = "earlier versions of edited posts"
MISSING = "posts that the archive promises and does not hold"
MISSING_FILES = "files that the archive promises and does not hold"
OTHER_PARTS = "parts of this archive are missing (it was split into several: pass them all)"
CUT_SHORT = "archive cut short (what could be read is used)"

_POSTS = re.compile(r"(?:^|/)(?:data/)?(tweets?|community-tweet)(?:-part\d+)?\.js$")
_GRAILBIRD = re.compile(r"(?:^|/)data/js/tweets/\d{4}_\d{2}\.js$")
_NOTES = re.compile(r"(?:^|/)(?:data/)?note-tweet(?:-part\d+)?\.js$")
_FACTS = re.compile(r"(?:^|/)(?:data/)?(account|profile|manifest)\.js$|(?:^|/)data/js/(user_details)\.js$")
_AVATAR = re.compile(r"(?:^|/)profile_media/[^/]+$")
_WANTED = (_POSTS, _GRAILBIRD, _NOTES, _FACTS, _AVATAR)
_MARK = re.compile(r"(?:^|/)data/(?:account|manifest)\.js$")  # in every part of an archive
_ASSETS = re.compile(r"(?:^|/)assets/")
_PART = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(?:window\.(?:YTD\b|__THAR_CONFIG)|Grailbird\.data)")

_EDITS = re.compile(rb'"editTweetIds"\s*:\s*\[([^\]]{20,4000})\]')
_ID = re.compile(rb'"(\d{1,25})"')


def _is_wanted(name: str) -> bool:
    return not _ASSETS.search(name) and any(pattern.search(name) for pattern in _WANTED)


def _holds_posts(name: str) -> bool:
    return not _ASSETS.search(name) and bool(_POSTS.search(name) or _GRAILBIRD.search(name))


def is_x_archive(path: Path) -> bool:
    """Whether this is an archive, a folder of one or of its parts, or one of the files in it."""
    if path.is_file() and path.suffix == ".js":
        with path.open("rb") as file:
            return bool(_PART.match(file.read(256)))
    return has_member(path, _marks_archive) or bool(_parts_in(path))


def _marks_archive(name: str) -> bool:
    return _holds_posts(name) or bool(_MARK.search(name))


def _parts_in(path: Path) -> list[Path]:
    """The zips of a folder that holds nothing but an archive's parts."""
    if not path.is_dir():
        return []
    zips = sorted(path.glob("*.zip"))
    return zips if zips and all(has_member(part, _marks_archive) for part in zips) else []


@dataclass
class _Facts:
    """What an archive says of itself."""

    account: dict[str, object] = field(default_factory=dict)
    profile: dict[str, object] = field(default_factory=dict)
    details: dict[str, object] = field(default_factory=dict)  # of the Grailbird era
    user: dict[str, object] = field(default_factory=dict)  # of the manifest
    promised: dict[str, int] = field(default_factory=dict)  # file name to posts
    is_partial: bool = False

    @property
    def handle(self) -> str:
        names = (self.account.get("username"), self.user.get("userName"), self.details.get("screen_name"))
        return safe_handle(next((name for name in names if isinstance(name, str)), ""))

    @property
    def id(self) -> str | None:
        return parse_id(self.account.get("accountId") or self.user.get("accountId") or self.details.get("id"))


class XArchive:
    """The posts of one account in its own archive; a `Source`."""

    def __init__(self, paths: Sequence[Path], settings: ImportSettings) -> None:
        self._paths = [part for path in paths for part in _parts_in(path) or [_root(path)]]
        self._settings = settings

    @property
    def spec(self) -> str:
        return f"archive:{'|'.join(str(path.absolute()) for path in self._paths)}"

    @property
    def origin(self) -> Origin:
        return Origin("export")

    @property
    def handle(self) -> str:
        """`--handle`, else what the archive says, else its file's name; what is wrong, `pages` says."""
        try:
            found = safe_handle(self._settings.handle or "") or self._facts.handle
        except SourceError:
            found = ""
        return found or safe_handle(self._paths[0].stem) or "archive"

    def joined(self, other: XArchive) -> XArchive:
        """Both as one archive: they are of one account."""
        return XArchive([*self._paths, *(path for path in other._paths if path not in self._paths)], self._settings)

    def fingerprint(self) -> str:
        """Over the names, sizes and checksums of what is read; media may be gigabytes and do not matter."""
        settings = {"handle": self.handle, "community": self._settings.community_posts, "reader": READER}
        settings |= {"name": self._settings.display_name, "avatar": self._settings.avatar}
        digest = hashlib.sha256(repr(sorted(settings.items(), key=str)).encode("utf-8", "replace"))
        for path in self._paths:
            with open_members(path, _is_wanted) as members:
                digest.update("\n".join((*members.stamps, str(members.cut_short))).encode("utf-8", "replace"))
        return digest.hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """All posts in the order of the files, up to a thousand a page; always from the beginning."""
        tally = Tally()
        chosen = self._settings.avatar
        avatar = read_avatar(chosen) if chosen else self._avatar()
        page = Page(account=self._account(), avatar=avatar)
        reading = _Reading(self.handle, self._facts.id, tally, self._settings.community_posts)
        batch: list[Post] = []
        for post in reading.posts(self._paths):
            batch.append(post)
            if len(batch) == PAGE_POSTS:
                yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=reading.fraction)
                page, batch = Page(), []
        if not reading.files:
            raise UnreadableFile(
                f"{self._paths[0]} is an X archive without posts: no tweets.js is in it.",
                why="An archive that was split into several zips has it in one of them.",
                next="pass every part, or ask X for the archive again",
            )
        self._check(reading, tally)
        yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=1.0)

    def _check(self, reading: _Reading, tally: Tally) -> None:
        """What the manifest promises, against what was there."""
        if reading.cut_short:
            tally.add(CUT_SHORT)
        for name, promised in self._facts.promised.items():
            if not self._settings.community_posts and "community" in name:
                continue
            if name not in reading.files:
                tally.add(MISSING_FILES, name)
            if (lacking := promised - reading.files.get(name, 0)) > 0:
                tally.add(MISSING, name, lacking)
        if self._facts.is_partial and len(self._paths) == 1:
            tally.add(OTHER_PARTS)
        if not any(reading.files.values()):
            raise UnreadableFile(
                f"There are no posts in {self._paths[0]}.",
                why="Its files of posts are empty, or too damaged to read.",
                next="ask X for the archive again",
            )

    @cached_property
    def _facts(self) -> _Facts:
        facts = _Facts()
        for path in self._paths:
            with open_members(path, lambda name: bool(_FACTS.search(name)) and _is_wanted(name)) as members:
                for name in members.names:
                    _note_fact(facts, name, _assigned(members.read(name, SMALL_BYTES)))
        return facts

    def _account(self) -> Account:
        facts, settings = self._facts, self._settings
        description = facts.profile.get("description")
        bio = description.get("bio") if isinstance(description, dict) else facts.details.get("bio")
        names = (facts.account.get("accountDisplayName"), facts.user.get("displayName"), facts.details.get("full_name"))
        return Account(
            handle=self.handle,
            platform="x",
            display_name=settings.display_name or next(filter(None, map(words, names)), None),
            bio=words(bio),
            id=facts.id,
            url=f"https://x.com/{facts.handle}" if facts.handle else None,
            signals={"unknown_protection": "an archive does not say"},
        )

    def _avatar(self) -> bytes | None:
        """The file named after the account, or after the address of its picture."""
        address = self._facts.profile.get("avatarMediaUrl")
        ending = address.rsplit("/", 1)[-1] if isinstance(address, str) else ""
        if not ending:
            return None
        for path in self._paths:
            with open_members(path, lambda name: bool(_AVATAR.search(name))) as members:
                for name in members.names:
                    if name.endswith((f"/{ending}", f"-{ending}")) and members.size(name) <= SMALL_BYTES:
                        picture = members.read(name, SMALL_BYTES)
                        return picture if is_picture(picture) else None
        return None


@dataclass
class _Reading:
    """One reading of all parts."""

    account: str
    account_id: str | None
    tally: Tally
    community: bool
    files: dict[str, int] = field(default_factory=dict)  # read so far: name to elements
    cut_short: bool = False
    fraction: float = 0.0
    _edited: dict[str, str] = field(default_factory=dict)  # id of a version to the group that it is of
    _last: dict[str, Post] = field(default_factory=dict)  # the last version of each group so far

    def posts(self, paths: Sequence[Path]) -> Iterator[Post]:
        notes = self._notes(paths)
        for path in paths:
            self._find_edits(path)
        for number, path in enumerate(paths):
            with open_members(path, self._is_read) as members:
                total = sum(map(members.size, members.names)) or 1
                before = 0
                for name in members.names:
                    for post, read_bytes in self._of(members, name, notes):
                        self.fraction = min(1.0, (number + (before + read_bytes) / total) / len(paths))
                        yield post
                    before += members.size(name)
                self.cut_short |= members.cut_short
        yield from self._last.values()
        yield from (note.as_post(self.account) for note in notes.left())

    def _is_read(self, name: str) -> bool:
        return _holds_posts(name) and (self.community or "community-tweet" not in name)

    def _notes(self, paths: Sequence[Path]) -> Notes:
        elements: list[object] = []
        for path in paths:
            with open_members(path, lambda name: bool(_NOTES.search(name)) and _is_wanted(name)) as members:
                for name in members.names:
                    with members.open(name) as file:
                        reading = Elements(file, assigned=True)
                        elements += reading
                        self._finish(name, reading)
        return Notes(elements)

    def _find_edits(self, path: Path) -> None:
        """Every id that is a version among several; text can't look like this, its quotes are escaped."""
        with open_members(path, self._is_read) as members:
            for name in members.names:
                with members.open(name) as file:
                    rest = b""
                    while data := file.read(1 << 20):
                        data = rest + data
                        for found in _EDITS.finditer(data):
                            ids = [match.decode() for match in _ID.findall(found[1])]
                            if len(ids) > 1:
                                self._note_versions(ids)
                        rest = data[-4096:]

    def _note_versions(self, ids: list[str]) -> None:
        group = next((self._edited[version] for version in ids if version in self._edited), min(ids, key=int))
        for version in ids:
            self._edited[version] = group

    def _of(self, members: Members, name: str, notes: Notes) -> Iterator[tuple[Post, int]]:
        with members.open(name) as file:
            elements = Elements(file, assigned=True)
            for element in elements:
                post = self._post(element, notes)
                if post is None:
                    continue
                group = self._edited.get(post.id or "")
                if group is None:
                    yield post, elements.read_bytes
                else:
                    self._keep_last(group, post)
        self._finish(name, elements)
        if elements.damage and not elements.count and not members.cut_short:
            raise UnreadableFile(
                f"{name} in {members.path} is not the JSON that X writes ({elements.damage}).",
                why="It was probably reformatted or edited.",
                next="pass the archive as it was downloaded",
            )

    def _keep_last(self, group: str, post: Post) -> None:
        other = self._last.get(group)
        if other is not None and other.id != post.id:
            self.tally.add(OLDER_VERSIONS, other.text)
        if other is None or int(post.id or 0) >= int(other.id or 0):
            self._last[group] = post

    def _finish(self, name: str, elements: Elements) -> None:
        short = PurePosixPath(name).name
        self.files[short] = self.files.get(short, 0) + elements.count
        if elements.damage:
            self.tally.add(UNREAD_REST, f"{short}, after {elements.count} entries")

    def _post(self, element: object, notes: Notes) -> Post | None:
        tweet = element.get("tweet", element) if isinstance(element, dict) else None
        if not isinstance(tweet, dict):
            self.tally.add(NOT_POSTS, str(type(element).__name__))
            return None
        post = post_from_tweet(tweet, self.account, self.account_id)
        if post is None:
            self.tally.add(NO_TEXT, str(parse_id(tweet.get("id_str")) or ""))
            return None
        raw = tweet.get("full_text")
        if post.kind == "repost" or not isinstance(raw, str):
            return post
        note = notes.take(post.id, raw, parse_time(tweet.get("created_at")))
        return post if note is None else dataclasses.replace(post, text=note.text, html_escaped=False)


def _root(path: Path) -> Path:
    """The archive's folder, for a file in it."""
    return path.parent if path.is_file() and path.suffix == ".js" else path


def _assigned(data: bytes) -> object:
    """The value in `window.x = ...;`, or None."""
    text = data.decode("utf-8-sig", "replace")
    try:
        return json.loads(text.partition("=")[2].strip().rstrip(";"), strict=False)
    except (ValueError, RecursionError):
        return None


def _note_fact(facts: _Facts, name: str, value: object) -> None:
    found = _FACTS.search(name)
    kind = (found[1] or found[2]) if found else ""
    if kind == "manifest" and isinstance(value, dict):
        _note_manifest(facts, value)
    elif kind == "user_details" and isinstance(value, dict):
        facts.details = value
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        inner = value[0].get(kind)
        setattr(facts, kind, inner if isinstance(inner, dict) else {})


def _note_manifest(facts: _Facts, manifest: dict[str, object]) -> None:
    user, info, types = (manifest.get(name) for name in ("userInfo", "archiveInfo", "dataTypes"))
    facts.user = user if isinstance(user, dict) else {}
    facts.is_partial |= isinstance(info, dict) and info.get("isPartialArchive") is True
    for name in ("tweets", "tweet", "communityTweet", "noteTweet"):
        kind = types.get(name) if isinstance(types, dict) else None
        files = kind.get("files") if isinstance(kind, dict) else None
        for file in files if isinstance(files, list) else []:
            if isinstance(file, dict) and isinstance(file.get("fileName"), str):
                count = str(file.get("count"))
                facts.promised[PurePosixPath(file["fileName"]).name] = (
                    int(count) if count.isascii() and count.isdigit() else 0
                )
