"""What an X archive says of itself: whose it is, and what it promises to hold.

In: the small files of its parts. Out: `Facts`; whatever is missing or of another shape is passed over.

- Of several exports the latest counts. Parts of two accounts are an error: a bot must not mix their voices unasked.
- Promised are the files of posts and notes that the manifest names, or before there was one the index of months.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from huggingtweets.errors import UnreadableFile
from huggingtweets.posts import Account
from huggingtweets.sources.identity import LARGEST_AVATAR_BYTES, is_picture, safe_handle
from huggingtweets.sources.packed.members import Members
from huggingtweets.sources.values import count, parse_id
from huggingtweets.sources.x.parts import fact_in, holds_avatar, holds_circle, holds_notes, holds_posts
from huggingtweets.sources.x.posts import words

LARGEST_FACT_BYTES = 1 << 22  # a manifest has 50 kB

Record = Mapping[str, object]

_INSIDE = re.compile(r"(?:data/)?(?:js/)?[^/]+$")


@dataclass
class Facts:
    """Of one part, or of all."""

    account: Record = field(default_factory=dict)
    profile: Record = field(default_factory=dict)
    user_details: Record = field(default_factory=dict)  # up to 2018
    user: Record = field(default_factory=dict)  # of the manifest
    promised: dict[str, int] = field(default_factory=dict)  # file to elements
    circle_posts: int | None = None  # None: not said
    is_partial: bool = False
    exported_at: str = ""

    @property
    def handle(self) -> str:
        """Empty where it is not said."""
        names = (self.account.get("username"), self.user.get("userName"), self.user_details.get("screen_name"))
        return next((handle for name in names if isinstance(name, str) and (handle := safe_handle(name))), "")

    @property
    def id(self) -> str | None:
        ids = (self.account.get("accountId"), self.user.get("accountId"), self.user_details.get("id"))
        return next(filter(None, map(parse_id, ids)), None)

    @property
    def is_named(self) -> bool:
        return bool(self.handle or self.id)

    def is_of(self, other: Facts) -> bool:
        """Whether both are of one account, which keeps its id when it is renamed."""
        if self.id and other.id:
            return self.id == other.id
        return bool(self.handle) and self.handle.casefold() == other.handle.casefold()

    def account_as(self, handle: str, display_name: str | None) -> Account:
        description = self.profile.get("description")
        bio = description.get("bio") if isinstance(description, dict) else self.user_details.get("bio")
        names = (
            self.account.get("accountDisplayName"),
            self.user.get("displayName"),
            self.user_details.get("full_name"),
        )
        return Account(
            handle=handle,
            platform="x",
            display_name=display_name or next(filter(None, map(words, names)), None),
            bio=words(bio),
            id=self.id,
            url=f"https://x.com/{self.handle}" if self.handle else None,
            signals={"unknown_protection": "an archive does not say"},
        )

    def avatar_in(self, parts: Iterable[Members]) -> bytes | None:
        """The file that is named after the account and the address of its picture."""
        address = self.profile.get("avatarMediaUrl")
        name = address.rsplit("/", 1)[-1] if isinstance(address, str) else ""
        for part in parts if name else ():
            for member in filter(holds_avatar, part.names):
                if member.endswith((f"/{name}", f"-{name}")) and part.size(member) <= LARGEST_AVATAR_BYTES:
                    picture = part.read(member, LARGEST_AVATAR_BYTES)
                    return picture if is_picture(picture) else None
        return None


def facts_of(part: Members) -> list[Facts]:
    """Of each archive in it, should several lie there unpacked side by side; raises UnreadableFile."""
    found: dict[str, Facts] = defaultdict(Facts)
    for name in part.names:
        kind = fact_in(name)
        if kind is not None:
            _add(found[_INSIDE.sub("", name)], kind, _assigned(part.read(name, LARGEST_FACT_BYTES)))
    return list(found.values())


def together(parts: Iterable[Facts], where: str) -> Facts:
    """All parts' facts as one, the latest first; raises UnreadableFile for those of two accounts."""
    ordered = sorted(parts, key=lambda facts: facts.exported_at)
    named = [facts for facts in ordered if facts.is_named]
    if any(not facts.is_of(named[-1]) for facts in named):
        handles = sorted({f"@{facts.handle or facts.id}" for facts in named})
        raise UnreadableFile(
            f"{where} holds the archives of several accounts: {', '.join(handles[:5])}.",
            why="Their posts would become one voice.",
            next="pass each of them by its own path; a bot of several accounts keeps them apart",
        )
    whole = Facts()
    for facts in ordered:
        whole = Facts(
            account=facts.account or whole.account,
            profile=facts.profile or whole.profile,
            user_details=facts.user_details or whole.user_details,
            user=facts.user or whole.user,
            promised={**whole.promised, **facts.promised},
            circle_posts=_sum(whole.circle_posts, facts.circle_posts),
            is_partial=whole.is_partial or facts.is_partial,
            exported_at=facts.exported_at,
        )
    return whole


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _assigned(data: bytes) -> object:
    """The value in `window.x = ...;`, or None.

    >>> _assigned(b"window.YTD.account.part0 = [ {} ];")
    [{}]
    """
    text = data.decode("utf-8-sig", "replace").strip()
    value = text if text.startswith(("[", "{")) else text.partition("=")[2]
    try:
        return json.loads(value.rstrip("; \r\n"), strict=False)
    except (ValueError, RecursionError):
        return None


def _add(facts: Facts, kind: str, value: object) -> None:
    if kind == "manifest" and isinstance(value, dict):
        _add_manifest(facts, value)
    elif kind == "tweet_index" and isinstance(value, list):
        for month in value:
            if isinstance(month, dict):
                _promise(facts, month.get("file_name"), month.get("tweet_count"))
    elif kind == "user_details" and isinstance(value, dict):
        facts.user_details = value
    elif kind in ("account", "profile") and isinstance(value, list) and value and isinstance(value[0], dict):
        inner = value[0].get(kind, value[0])
        if isinstance(inner, dict) and inner:
            setattr(facts, kind, inner)


def _add_manifest(facts: Facts, manifest: Record) -> None:
    user, info = manifest.get("userInfo"), manifest.get("archiveInfo")
    facts.user = user if isinstance(user, dict) else {}
    if isinstance(info, dict):
        facts.is_partial = str(info.get("isPartialArchive")).casefold() == "true"
        facts.exported_at = str(info.get("generationDate") or "")
    for file in _files(manifest.get("dataTypes")):
        _promise(facts, file.get("fileName"), file.get("count"))


def _files(types: object) -> Iterator[Record]:
    for kind in types.values() if isinstance(types, dict) else ():
        files = kind.get("files") if isinstance(kind, dict) else None
        yield from (file for file in (files if isinstance(files, list) else []) if isinstance(file, dict))


def _promise(facts: Facts, name: object, elements: object) -> None:
    if not isinstance(name, str):
        return
    if holds_circle(name):
        facts.circle_posts = (facts.circle_posts or 0) + (count(elements) or 0)
    elif holds_posts(name) or holds_notes(name):
        facts.promised[PurePosixPath(name).name] = count(elements) or 0
