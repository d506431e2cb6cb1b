"""What a person typed becomes a source.

In: `archive.zip`, `@alice@social.example`, `alice.bsky.social`, `@nasa`, `-`, ... Out: a `Source`, or UnknownSource
with what it could have meant.

- An existing path wins, but over `-`; a prefix (`file:`, `x:`, ...) says outright what is meant.
- `KINDS` is the whole table, one row a kind of source, and the first row whose pattern fits opens it.
- What a path holds is found by looking into it (`open_path`), never by its name.
- Every source's `spec` is recognised again: a bot keeps them, and `update` opens them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingtweets.config import ImportSettings
from huggingtweets.errors import UnknownSource
from huggingtweets.sources import addresses
from huggingtweets.sources.base import Loss, Page, Source
from huggingtweets.sources.files.opening import as_path, refuse_devices, translated_errors
from huggingtweets.sources.guesses import missing_file, unknown
from huggingtweets.sources.tally import shorten

__all__ = ["KINDS", "Kind", "Loss", "Page", "Source", "account_named", "join_parts", "recognise"]


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
    from huggingtweets.sources.bluesky.car import BlueskyRepo, is_repo
    from huggingtweets.sources.files.file import FileSource
    from huggingtweets.sources.mastodon.archive import MastodonArchive, is_mastodon_archive
    from huggingtweets.sources.x.archive import XArchive, is_x_archive

    path = as_path(typed)
    if path is None:
        raise missing_file(typed)
    refuse_devices(path)
    with translated_errors(path):
        if is_x_archive(path):
            return XArchive([path], settings)
        if is_mastodon_archive(path):
            return MastodonArchive(path, settings)
        return BlueskyRepo(path, settings) if is_repo(path) else FileSource(path, settings)


def _open_file(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.files.file import FileSource

    path = as_path(typed)
    if path is None:
        raise missing_file(typed)
    return FileSource(path, settings)


def _open_x_archive(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.x.archive import XArchive

    return XArchive(_paths_in(typed), settings)


def _paths_in(typed: str) -> list[Path]:
    """The paths between the bars, of which a path itself may hold some; raises UnknownSource."""
    paths: list[Path] = []
    parts = typed.split("|")
    while parts:
        tried = ("|".join(parts[:length]) for length in range(1, len(parts) + 1))
        found = next(((text, path) for text in tried if (path := as_path(text)) is not None), None)
        if found is None:
            raise missing_file(parts[0])
        paths.append(found[1])
        del parts[: found[0].count("|") + 1]
    return paths


def _open_stdin(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.files.stdin import StandardInput

    return StandardInput(settings, open_path)


def _open_x(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.x.api import XSource, name_from

    return XSource(name_from(typed), settings)


def _open_bluesky(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.bluesky.api import BlueskySource, actor_from
    from huggingtweets.sources.bluesky.posts import is_did, is_handle

    actor = actor_from(typed)
    if not (is_did(actor) or is_handle(actor)):
        raise UnknownSource(
            f"{shorten(actor) or 'Nothing'} is no whole name on Bluesky.",
            why="A handle there ends in .bsky.social, or is a domain of the account's own.",
            next=f"pass bluesky:{shorten(re.sub(r'[^a-z0-9-]', '', actor)) or 'alice'}.bsky.social",
        )
    return BlueskySource(actor, settings)


def _open_mastodon(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.mastodon.api import MastodonSource, acct_from

    acct = acct_from(addresses.acct_in(typed) or typed)
    if acct is None:
        raise UnknownSource(
            f"{shorten(typed) or 'Nothing'} is no account on Mastodon.",
            why="An account there has its server in its name.",
            next="pass it as @name@server, such as @Mastodon@mastodon.social",
        )
    return MastodonSource(acct, settings)


def _refuse_stranger(typed: str, settings: ImportSettings) -> Source:
    raise addresses.stranger(typed)


def _refuse_mail(typed: str, settings: ImportSettings) -> Source:
    raise addresses.mail(typed)


def _open_hub(typed: str, settings: ImportSettings) -> Source:
    from huggingtweets.sources.hub.dataset import HubDataset
    from huggingtweets.sources.hub.names import dataset_named

    return HubDataset(dataset_named(typed), settings)


_BLUESKY_PAGE = r"((?:https?://)?(?:www\.)?bsky\.app/profile/.+|at://.+)"
_BLUESKY_NAME = rf"(?:https?://)?(@?did:[a-z]+:\S+|@?[\w-]+\.bsky\.social|@{addresses.DOMAIN})/?"
_HUB_PAGE = r"((?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/.+)"

_NETWORKS = (_open_x, _open_bluesky, _open_mastodon, _refuse_stranger, _refuse_mail)

KINDS = (  # in this order: what is said outright, then addresses, then what can be told by its form
    _kind("a file", r"file:(.*)", _open_file),
    _kind("an X archive", r"archive:(.*)", _open_x_archive),
    _kind("a Mastodon archive", r"mastodon-archive:(.*)", open_path),
    _kind("a Bluesky repository", r"bluesky-repo:(.*)", open_path),
    _kind("standard input", r"(-)", _open_stdin),
    _kind("an X account", r"x:(.*)", _open_x),
    _kind("a Bluesky account", r"bluesky:(.*)", _open_bluesky),
    _kind("a Mastodon account", r"mastodon:(.*)", _open_mastodon),
    _kind("a dataset on the Hugging Face Hub", r"(?:hub:|hf://datasets/)(.*)", _open_hub),
    _kind("an account elsewhere", addresses.STRANGER, _refuse_stranger),
    _kind("an X account", r"((?:https?://)?(?:www\.|mobile\.|m\.)?(?:x|twitter)\.com/.+)", _open_x),
    _kind("a Bluesky account", _BLUESKY_PAGE, _open_bluesky),
    _kind("a dataset on the Hugging Face Hub", _HUB_PAGE, _open_hub),
    _kind("a Mastodon account", addresses.MASTODON_PAGE, _open_mastodon),
    _kind("a Bluesky account", _BLUESKY_NAME, _open_bluesky),
    _kind("an e-mail address", addresses.MAIL, _refuse_mail),
    _kind("a Mastodon account", r"(?:acct:)?(@?[\w.-]+@[\w-]+(?:\.[\w-]+)+(?::\d+)?)", _open_mastodon),
    _kind("an X account", r"(@[A-Za-z0-9_]{1,15})", _open_x),
)


def recognise(spec: str, settings: ImportSettings) -> Source:
    """The source that was meant; raises SourceError."""
    if spec.strip() != "-" and as_path(spec) is not None:
        return open_path(spec, settings)
    for kind in KINDS:
        if found := kind.pattern.fullmatch(spec) or kind.pattern.fullmatch(spec.strip()):
            return kind.open(found[1], settings)
    raise unknown(spec)


def recognise_account(spec: str, settings: ImportSettings) -> Source:
    """The account on a network that was meant, by somebody whose words may open no file here; raises SourceError."""
    for kind in KINDS:
        if kind.open in _NETWORKS and (found := kind.pattern.fullmatch(spec.strip())):
            return kind.open(found[1], settings)
    raise UnknownSource(
        f"{shorten(spec)!r} is no account on a network that is known here.",
        next="pass it as @name (X), name.bsky.social (Bluesky) or @name@server (Mastodon)",
    )


def join_parts(sources: Sequence[Source]) -> list[Source]:
    """The same, parts of one archive as one source."""
    from huggingtweets.sources.x import archive as x_archive

    return x_archive.join_parts(sources)


def account_named(typed: str) -> str:
    """The handle in whatever spelling of an account a person typed, in lower case.

    >>> account_named("@NASA"), account_named("https://social.example/@bob"), account_named("x:nasa")
    ('nasa', 'bob@social.example', 'nasa')
    """
    from huggingtweets.sources.bluesky.api import actor_from
    from huggingtweets.sources.mastodon.api import acct_from

    name = re.sub(r"^(?:x|bluesky|mastodon|file|hub):", "", typed.strip(), flags=re.IGNORECASE)
    if found := re.fullmatch(r"(?:https?://)?(?:www\.|mobile\.)?(?:x|twitter)\.com/(\w+).*", name, re.IGNORECASE):
        name = found[1]
    acct = acct_from(addresses.acct_in(name) or name)
    return (acct or actor_from(name)).removeprefix("@").casefold()
