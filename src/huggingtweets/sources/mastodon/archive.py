"""A Mastodon archive as a source: the zip or tar that a server makes of an account, unpacked or not, or its outbox.

In: a path. Out: pages of posts, name, bio and face from inside, and what was left out, counted.

- Only `outbox.json`, `actor.json` and the avatar are ever opened; likes and bookmarks are other people's posts.
- An outbox is one collection, a list of its pages, or a plain list of activities or notes. It is read entry by entry,
  twice, so memory does not grow with its texts.
- Pleroma's and Akkoma's archives have the same form. GoToSocial makes none, but its outbox can be saved and read.
- What is missing or cut short is said, and the rest used.

Not covered: what an entry means (see `mastodon.posts`), whose it is and which version counts (see `mastodon.outbox`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.files.opening import translated_errors
from huggingtweets.sources.identity import is_picture, read_avatar, safe_handle
from huggingtweets.sources.mastodon.outbox import Reading, Survey
from huggingtweets.sources.mastodon.posts import (
    Record,
    account_from_actor,
    address_of,
    author_in,
    handle_in,
    handle_of_actor,
    note_in,
)
from huggingtweets.sources.packed.members import Members, has_member, open_members
from huggingtweets.sources.packed.streams import Elements
from huggingtweets.sources.tally import UNREAD_REST, Tally

READER = 1  # raised when the same archive would give other posts than before
PAGE_POSTS = 1_000
SMALL_BYTES = 1 << 24  # the actor, the avatar
HEAD_BYTES = 1 << 16
FIRST_ENTRIES = 100  # one of which will say whose outbox it is

CUT_SHORT = "archive cut short (what could be read is used)"
NO_PROFILE = "profiles missing or damaged (name, face and what the account says of AI are not known)"

_OUTBOX = re.compile(r"(?:[^/]+/){0,2}outbox\.json", re.IGNORECASE)  # whoever packs again adds an outer folder
_ACTOR = re.compile(r"(?:[^/]+/){0,2}actor\.json", re.IGNORECASE)
_AVATAR = re.compile(r"(?:[^/]+/){0,2}avatar\.\w{2,5}", re.IGNORECASE)
_COLLECTION = re.compile(rb'"type"\s*:\s*"OrderedCollection(?:Page)?"')
_ENTRY = re.compile(rb'"type"\s*:\s*"(?:Create|Announce|Update|Note|Question|Article)"')
_OWNER = re.compile(rb'"(?:actor|attributedTo)"\s*:')
_KEY = re.compile(rb'"(orderedItems|items|actor|object|attributedTo|content)"\s*:')
# How Mastodon begins every entry, and nothing inside of one.
_BEGINS = re.compile(
    r'\{\s{0,9}"id"\s{0,9}:\s{0,9}"[^"]{1,180}"\s{0,9},\s{0,9}"type"\s{0,9}:\s{0,9}"(?:Create|Announce)"'
)
_POST_PAGE = re.compile(r"(https?://[^/]+/@[^/@]+)/")


def is_mastodon_archive(path: Path) -> bool:
    """Whether this is an archive, the folder of one, or an outbox alone."""
    return _is_outbox(_head(path)) if _is_json(path) else has_member(path, _marks_archive)


def _marks_archive(name: str) -> bool:
    return bool(_OUTBOX.fullmatch(name) or _ACTOR.fullmatch(name))


def _is_json(path: Path) -> bool:
    return path.is_file() and _first_character(_head(path)) in (b"{", b"[")


def _is_outbox(head: bytes) -> bool:
    """A collection, or a list of its pages or entries; a single entry is the first line of a file of posts.

    >>> _is_outbox(b'{"type": "OrderedCollection", "first": "https:'), _is_outbox(b'{"type": "Note", "attributedTo": "')
    (True, False)
    """
    is_collection = _prefix(head) == "orderedItems.item" and b'"orderedItems"' in head
    has_entries = bool(_ENTRY.search(head) and _OWNER.search(head))
    if _first_character(head) == b"[":
        return is_collection or has_entries
    is_plain = _prefix(head) == "items.item" and has_entries
    return is_collection or is_plain or (_KEY.search(head) is None and bool(_COLLECTION.search(head)))


def _first_character(head: bytes) -> bytes:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _head(path: Path) -> bytes:
    with translated_errors(path), path.open("rb") as file:
        return file.read(HEAD_BYTES)


@dataclass(frozen=True)
class _Facts:
    """What an archive says of itself."""

    actor: Record | None
    handle: str
    stamps: tuple[str, ...]  # change when it does


class MastodonArchive:
    """The posts of one account in its own archive; a `Source`."""

    def __init__(self, path: Path, settings: ImportSettings) -> None:
        self._path = path
        self._settings = settings

    @property
    def spec(self) -> str:
        return f"mastodon-archive:{self._path.absolute()}"

    @property
    def origin(self) -> Origin:
        return Origin("export")

    @property
    def handle(self) -> str:
        """`--handle`, else what the archive says, else its file's name; what is wrong, `pages` says."""
        found = safe_handle(self._settings.handle or "")
        with contextlib.suppress(SourceError):
            found = found or self._facts.handle
        return found or safe_handle(self._path.name.partition(".")[0]) or "archive"

    def fingerprint(self) -> str:
        """Over the names, sizes and checksums of what is read; media may be gigabytes and do not matter."""
        chosen = (self.handle, self._settings.display_name, self._settings.avatar)
        read = "\n".join((repr((READER, chosen)), *self._facts.stamps))
        return hashlib.sha256(read.encode("utf-8", "replace")).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """All posts in the order of the outbox, up to a thousand a page; always from the beginning."""
        tally = Tally()
        with self._open() as members:
            name = self._the_outbox(members)
            outbox = _Outbox(members, name)
            survey = Survey()
            for entry in outbox.entries():
                survey.note(entry)
            outbox.check()
            actor = self._facts.actor
            if actor is None:
                tally.add(NO_PROFILE)
            owner = survey.owner(address_of(actor.get("id")) if actor else None, str(self._path))
            page = Page(account=self._account(actor, owner), avatar=self._avatar(members, name, actor))
            batch: list[Post] = []
            for post in Reading(survey, self.handle, owner, tally).posts(outbox.entries()):
                batch.append(post)
                if len(batch) == PAGE_POSTS:
                    yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=outbox.fraction)
                    page, batch = Page(), []
            outbox.count_damage(tally)
            yield dataclasses.replace(page, posts=tuple(batch), losses=tally.take(), fraction=1.0)

    def _open(self) -> Members:
        """A lone outbox is a member by itself, or beside its actor where it lies in an unpacked archive."""
        if not _is_json(self._path):
            return open_members(self._path, _is_wanted)
        if _OUTBOX.fullmatch(self._path.name):
            return open_members(self._path.parent, _is_wanted, depth=0)
        with translated_errors(self._path):
            state = self._path.stat()
        stamps = [f"{self._path.name} {state.st_size} {state.st_mtime_ns}"]
        return Members(self._path, {self._path.name: self._path}, stamps)

    def _the_outbox(self, members: Members) -> str:
        if _is_json(self._path):
            return self._path.name
        names = [name for name in members.names if _OUTBOX.fullmatch(name)]
        if len(names) > 1:
            raise UnreadableFile(f"{self._path} holds {len(names)} archives.", next="pass one of them")
        if not names:
            raise UnreadableFile(
                f"{self._path} holds no outbox.json, which is where an archive keeps the posts.",
                why="It is cut short, and the outbox is lost with the rest." if members.cut_short else "",
                next="ask your server for the archive again (Settings, Import and export)",
            )
        return names[0]

    @cached_property
    def _facts(self) -> _Facts:
        with self._open() as members:
            name = self._the_outbox(members)
            actor = _actor(members, name)
            handle = safe_handle((handle_of_actor(actor) if actor else None) or "")
            if not handle:
                outbox = _Outbox(members, name)
                handle = safe_handle(next(filter(None, map(_handle_in, outbox.first_entries())), ""))
            return _Facts(actor, handle, (*members.stamps, str(members.cut_short)))

    def _account(self, actor: Record | None, owner: str | None) -> Account:
        account = account_from_actor(actor or {}, self.handle)
        name = self._settings.display_name or account.display_name
        return dataclasses.replace(account, display_name=name, id=account.id or owner, url=account.url or owner)

    def _avatar(self, members: Members, outbox: str, actor: Record | None) -> bytes | None:
        """The file that the actor names, else the one that is called so."""
        if self._settings.avatar:
            return read_avatar(self._settings.avatar)
        icon = (actor or {}).get("icon")
        address = icon.get("url") if isinstance(icon, dict) else None
        named = PurePosixPath(address).name if isinstance(address, str) else ""
        names = [name for name in _beside(outbox, members, _AVATAR) if members.size(name) <= SMALL_BYTES]
        names.sort(key=lambda name: PurePosixPath(name).name != named)
        picture = members.read(names[0], SMALL_BYTES) if names else b""
        return picture if is_picture(picture) else None


class _Outbox:
    """The entries of one outbox, which can be read again."""

    def __init__(self, members: Members, name: str) -> None:
        self._members = members
        self._name = name
        self._elements: Elements | None = None

    def entries(self) -> Iterator[object]:
        with self._members.open(self._name) as file:
            prefix = _prefix(file.read(HEAD_BYTES))
        with self._members.open(self._name) as file:
            self._elements = Elements(file, prefix, begins=_BEGINS)
            yield from self._elements

    def first_entries(self) -> Iterator[object]:
        return islice(self.entries(), FIRST_ENTRIES)

    @property
    def fraction(self) -> float:
        size = self._members.size(self._name)
        return min(1.0, self._elements.read_bytes / size) if self._elements and size else 0.0

    def check(self) -> None:
        """Raises UnreadableFile where nothing at all could be read."""
        if self._elements and self._elements.damage and not self._elements.count and not self._members.cut_short:
            raise UnreadableFile(
                f"{self._name} in {self._members.path} holds no posts: {self._elements.damage}.",
                why="It is damaged, or only names the addresses at which the posts can be fetched.",
                next="ask your server for the archive again (Settings, Import and export)",
            )

    def count_damage(self, tally: Tally) -> None:
        if self._members.cut_short:
            tally.add(CUT_SHORT)
        if self._elements and self._elements.damage:
            tally.add(UNREAD_REST, f"{self._name}, {self._elements.damage}", self._elements.damages)


def _is_wanted(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_OUTBOX, _ACTOR, _AVATAR))


def _prefix(head: bytes) -> str:
    """Where the entries are: of a collection, of a list of its pages, or of a plain list.

    >>> _prefix(b'{"type": "OrderedCollection", "orderedItems": ['), _prefix(b'[{"type": "Create", "actor": "')
    ('orderedItems.item', 'item')
    """
    found = _KEY.search(head)
    key = found[1].decode() if found and found[1].endswith(b"tems") else ""
    return f"{key}.item" if key else "item" if _first_character(head) == b"[" else "orderedItems.item"


def _beside(name: str, members: Members, wanted: re.Pattern[str]) -> list[str]:
    """The members of this form in the same folder as another."""
    folder = PurePosixPath(name).parent
    return [other for other in members.names if wanted.fullmatch(other) and PurePosixPath(other).parent == folder]


def _actor(members: Members, outbox: str) -> Record | None:
    name = next(iter(_beside(outbox, members, _ACTOR)), None)
    if name is None:
        return None
    try:
        actor = json.loads(members.read(name, SMALL_BYTES))
    except (ValueError, RecursionError):
        return None
    return actor if isinstance(actor, dict) else None


def _handle_in(entry: object) -> str | None:
    """Of the author's address, else of the page that the post is shown on."""
    note = note_in(entry) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or note is None:
        return None
    page = _POST_PAGE.match(address_of(note.get("url")) or "")
    return handle_in(author_in(entry, note)) or (handle_in(page[1]) if page else None)
