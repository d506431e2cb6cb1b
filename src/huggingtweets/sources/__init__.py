"""What a person typed becomes a source.

In: `archive.zip`, `@alice@social.example`, `alice.bsky.social`, `@nasa`, `-`, ... Out: a `Source`, or UnknownSource
with what it could have meant.

- An existing path wins; a prefix (`file:`, `x:`, ...) says outright what is meant.
- `KINDS` is the whole table, one row a kind of source, and the first row whose pattern fits opens it.
- What a path holds is found by looking into it (`open_path`), never by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from huggingtweets.config import ImportSettings
from huggingtweets.errors import UnknownSource
from huggingtweets.sources.base import Loss, Page, Source
from huggingtweets.sources.guesses import missing_file, unknown
from huggingtweets.sources.opening import as_path

__all__ = ["KINDS", "Kind", "Loss", "Page", "Source", "account_named", "joined", "recognise"]


@dataclass(frozen=True)
class Kind:
    """One row of the table; the pattern's first group is what `open` gets."""

    name: str
    pattern: re.Pattern[str]
    open: Callable[[str, ImportSettings], Source]


def _kind(name: str, pattern: str, open: Callable[[str, ImportSettings], Source]) -> Kind:
    return Kind(name, re.compile(pattern, re.IGNORECASE | re.DOTALL), open)


def open_path(typed: str, settings: ImportSettings) -> Source:
    """An archive, an export or a file of posts, whichever the path holds; raises SourceError."""
    from huggingtweets.sources.bluesky_car import BlueskyRepo, is_repo
    from huggingtweets.sources.files import FileSource
    from huggingtweets.sources.mastodon_archive import MastodonArchive, is_mastodon_archive
    from huggingtweets.sources.x_archive import XArchive, is_x_archive

    path = as_path(typed)
    if path is None:
        raise missing_file(typed)
    if is_x_archive(path):
        return XArchive([path], settings)
    if is_mastodon_archive(path):
        return MastodonArchive(path, settings)
    return BlueskyRepo(path, settings) if is_repo(path) else FileSource(path, settings)


def _open_file(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.files import FileSource

    path = as_path(typed)
    if path is None:
        raise missing_file(typed)
    return FileSource(path, settings)


def _open_x_archive(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.x_archive import XArchive

    paths = [as_path(part) for part in typed.split("|")]
    if None in paths:
        raise missing_file(typed.split("|")[paths.index(None)])
    return XArchive([path for path in paths if path is not None], settings)


def _open_stdin(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.stdin import StandardInput

    return StandardInput(settings)


def _open_x(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.x_api import XSource, name_from

    return XSource(name_from(typed), settings)


def _open_bluesky(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.bluesky import BlueskySource, actor_from

    return BlueskySource(actor_from(typed), settings)


def _open_mastodon(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.mastodon import MastodonSource, acct_from

    acct = acct_from(typed)
    if acct is None:
        raise UnknownSource(
            f"{typed} is no account on Mastodon.",
            why="An account there has its server in its name.",
            next="pass it as @name@server, such as @Mastodon@mastodon.social",
        )
    return MastodonSource(acct, settings)


def _open_hub(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.hub import HubDataset

    return HubDataset(typed, settings)


KINDS = (  # in this order: what is said outright, then addresses, then what can be told by its form
    _kind("a file", r"file:(.*)", _open_file),
    _kind("an X archive", r"archive:(.*)", _open_x_archive),
    _kind("a Mastodon archive", r"mastodon-archive:(.*)", open_path),
    _kind("a Bluesky repository", r"bluesky-repo:(.*)", open_path),
    _kind("standard input", r"(-)", _open_stdin),
    _kind("an X account", r"x:(.*)", _open_x),
    _kind("a Bluesky account", r"bluesky:(.*)", _open_bluesky),
    _kind("a Mastodon account", r"mastodon:(.*)", _open_mastodon),
    _kind("a dataset on the Hugging Face Hub", r"hub:(.*)", _open_hub),
    _kind("an X account", r"((?:https?://)?(?:www\.|mobile\.)?(?:x|twitter)\.com/.+)", _open_x),
    _kind("a Bluesky account", r"((?:https?://)?(?:www\.)?bsky\.app/profile/.+|at://.+)", _open_bluesky),
    _kind("a dataset on the Hugging Face Hub", r"(?:https?://)?(?:www\.)?huggingface\.co/datasets/(.+)", _open_hub),
    _kind("a Mastodon account", r"(https?://[^/\s]+/(?:@|users/)[^/\s]+/?(?:\?.*)?)", _open_mastodon),
    _kind("a Bluesky account", r"(@?did:[a-z]+:\S+|@?[\w-]+\.bsky\.social|@(?:[\w-]+\.)+[a-z][\w-]+)", _open_bluesky),
    _kind("a Mastodon account", r"(@?[\w.-]+@[\w-]+(?:\.[\w-]+)+(?::\d+)?)", _open_mastodon),
    _kind("an X account", r"(@\w+)", _open_x),
)


def recognise(spec: str, settings: ImportSettings) -> Source:
    """The source that was meant; raises SourceError."""
    if as_path(spec) is not None:
        return open_path(spec, settings)
    for kind in KINDS:
        if found := kind.pattern.fullmatch(spec.strip()):
            return kind.open(found[1], settings)
    raise unknown(spec)


def joined(one: Source, other: Source) -> Source | None:
    """Both as one source, where they are parts of one archive."""
    from huggingtweets.sources.x_archive import XArchive

    return one.joined(other) if isinstance(one, XArchive) and isinstance(other, XArchive) else None


def account_named(typed: str) -> str:
    """The handle in whatever spelling of an account a person typed, in lower case.

    >>> account_named("@NASA"), account_named("https://social.example/@bob"), account_named("x:nasa")
    ('nasa', 'bob@social.example', 'nasa')
    """
    from huggingtweets.sources.bluesky import actor_from
    from huggingtweets.sources.mastodon import acct_from

    name = re.sub(r"^(?:x|bluesky|mastodon|file|hub):", "", typed.strip(), flags=re.IGNORECASE)
    if found := re.fullmatch(r"(?:https?://)?(?:www\.|mobile\.)?(?:x|twitter)\.com/(\w+).*", name, re.IGNORECASE):
        name = found[1]
    return (acct_from(name) or actor_from(name)).removeprefix("@").casefold()
