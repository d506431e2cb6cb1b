"""One gate for all sources: refuse, ask, or note.

In: where posts come from, what the account says of itself, and the word of the person at the keyboard.
Out: what should be known, or ConsentMissing (say it, and the same command goes on) or ConsentRefused.

- *Refused*, whatever anyone says: protected, suspended and deleted accounts; an explicit no to AI, in a record made for
  it or in the profile's own words; a server that says no for all its accounts; whoever was forgotten here.
- *Asked*: everything fetched from a network, and files whose account would rather not be found. `mine` or a
  `permission` with its reason answers. X's terms and price have an answer of their own.
- *Noted*: the rest. An export is handed to an account's owner alone, so it needs no word.
- Asked before the first request, judged before the first post is fetched. What was said and seen is kept with the
  account, and told in the card.

Not covered: reading the signals (each source's), private posts (no source hands them over).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingtweets.errors import ConsentMissing, ConsentRefused, SettingsError
from huggingtweets.forgotten import is_forgotten
from huggingtweets.posts import Account, Consent
from huggingtweets.sources.base import Origin, Source

Verdict = Literal["refuse", "ask", "note"]

# What each signal weighs. A source says where it saw one; this table alone says what follows.
SIGNALS: dict[str, tuple[Verdict, str]] = {
    "protected": ("refuse", "shows its posts to approved followers only"),
    "suspended": ("refuse", "is suspended"),
    "deleted": ("refuse", "is deleted or deactivated"),
    "no_ai": ("refuse", "says no to AI"),
    "server_no_ai": ("refuse", "lives on a server that says no to AI training"),
    "server_terms": ("ask", "lives on a server whose terms restrict such use"),
    "server_ai_crawlers": ("ask", "lives on a server that turns AI crawlers away"),
    "no_unauthenticated": ("ask", "asks not to be shown to people who are not signed in"),
    "noindex": ("ask", "asks not to be collected or found by search engines"),
    "not_indexable": ("ask", "has not agreed that its posts may be searched"),
    "no_bots": ("ask", "asks bots to stay away"),
    "locked": ("ask", "approves its followers one by one"),
    "limited": ("ask", "is limited by its server"),
    "moved": ("note", "has moved"),
    "bot": ("note", "is a bot itself"),
    "unknown_protection": ("note", "may be protected: if it is, keep the bot to yourself"),
}

# What people write into their profiles. The first group is an explicit no.
_WRITTEN = {
    "no_ai": re.compile(
        r"#no[-_]?ai\b|\bno[\s-]?ai\b|\bno (?:llms?|machine learning)\b|\bno (?:training|scraping) (?:on|of) my\b"
        r"|\bdo(?: not|n['’]t) (?:train|feed) (?:\w+ )?(?:on|with|to|ai)\b|\bkeine? ki\b|#keineki\b|\bpas d['’]ia\b",
        re.IGNORECASE,
    ),
    "no_bots": re.compile(r"#no[-_]?bots?\b", re.IGNORECASE),
    "noindex": re.compile(r"#no[-_]?(?:index|archive)\b", re.IGNORECASE),
}


@dataclass(frozen=True)
class Word:
    """What the person at the keyboard says."""

    mine: bool = False  # the account is theirs
    permission: str | None = None  # else: who gave it, and when
    terms: bool = False  # the network's terms are known
    price: bool = False  # the price is fine

    def __post_init__(self) -> None:
        if self.permission is not None and not self.permission.strip():
            raise SettingsError(
                "--permission needs a reason: who gave it, and when.",
                next='add, for instance, --permission "Alice said so by mail, May 2026"',
            )
        if self.mine and self.permission is not None:
            raise SettingsError("--mine and --permission exclude each other: one's own account needs no permission.")

    @property
    def is_given(self) -> bool:
        return self.mine or self.permission is not None

    def consent(self, fetched_at: str | None) -> Consent:
        said: Literal["mine", "permission"] | None = "mine" if self.mine else "permission" if self.is_given else None
        return Consent(said, self.permission, fetched_at)


def ask_first(source: Source, word: Word, bots_dir: Path) -> None:
    """What can be settled before the first request; raises ConsentMissing with everything that is missing."""
    _refuse_forgotten(bots_dir, source.handle, [source.handle])
    origin = source.origin
    missing = list(_missing(origin, word))
    if not missing:
        return
    reasons = ["A bot of a person's posts needs that person's word."] if not word.is_given else []
    reasons += [origin.terms] if origin.terms and not word.terms else []
    reasons += [f"It costs {origin.price}."] if origin.price and not word.price else []
    raise ConsentMissing(
        f"Before anything of {source.handle} is fetched, something has to be said.",
        why="\n".join(reasons),
        next=f"the same command with {', '.join(missing)}",
    )


def _missing(origin: Origin, word: Word) -> Iterator[str]:
    if origin.kind == "network" and not word.is_given:
        yield '--mine if the account is yours, else --permission "who gave it, and when"'
    if origin.terms and not word.terms:
        yield "--accept-x-terms"
    if origin.price and not word.price:
        yield "--yes"


def judge(account: Account, origin: Origin, word: Word, bots_dir: Path) -> list[str]:
    """Notes to tell; raises ConsentRefused or ConsentMissing."""
    _refuse_forgotten(bots_dir, account.handle, [account.handle, account.id or ""])
    seen = signals_of(account)
    by_verdict: dict[Verdict, list[str]] = {"refuse": [], "ask": [], "note": []}
    for name, where in seen.items():
        verdict, meaning = SIGNALS.get(name, ("ask", name.replace("_", " ")))
        by_verdict[verdict].append(f"{meaning} ({where})" if where else meaning)
    if by_verdict["refuse"]:
        raise ConsentRefused(
            f"No bot is made of @{account.handle}: it {_listed(by_verdict['refuse'])}.",
            why="Nobody's word overrides that here. Nothing of it is kept.",
            next="if the account is yours, change that there first, then run the same command again",
        )
    if by_verdict["ask"] and origin.kind == "file" and not word.is_given:
        raise ConsentMissing(
            f"@{account.handle} {_listed(by_verdict['ask'])}.",
            why="That is not a no, but not a yes either.",
            next='the same command with --mine if the account is yours, else --permission "who gave it, and when"',
        )
    noted = by_verdict["ask"] + by_verdict["note"]
    return [f"@{account.handle} {_listed(noted)}."] if noted else []


def signals_of(account: Account) -> dict[str, str]:
    """Every signal with where it was seen: what the source reports, and what the profile's own words say.

    >>> signals_of(Account("bob", "mastodon", bio="Baker. #NoAI please"))
    {'no_ai': 'its profile says “#NoAI”'}
    """
    seen = dict(account.signals)
    if account.protected:
        seen.setdefault("protected", "")
    for text in (account.display_name, account.bio, *account.fields):
        for name, pattern in _WRITTEN.items():
            if found := pattern.search(text or ""):
                seen.setdefault(name, f"its profile says “{found[0]}”")
    return seen


def _refuse_forgotten(bots_dir: Path, handle: str, names: Iterable[str]) -> None:
    if is_forgotten(bots_dir, names):
        raise ConsentRefused(
            f"@{handle} was forgotten here, so that no bot is made of it by accident.",
            next=f"huggingtweets forget @{handle} --undo, if it should be made after all",
        )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
