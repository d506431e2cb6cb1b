"""One gate for all sources: refuse, ask, or note.

In: where posts come from, what the account says of itself, and the word of the person at the keyboard.
Out: what should be known, or ConsentMissing (say it, and the same command goes on) or ConsentRefused.

- *Refused*, whatever anyone says: protected, suspended and deleted accounts; an explicit no to AI, in a record made for
  it or in the profile's own words; a server that says no for all its accounts; whoever was forgotten here.
- *Asked*: everything fetched from a network, and files whose account would rather not be found. `mine` or a
  `permission` with its reason answers. X's terms and price have an answer of their own.
- *Noted*: the rest. An export is handed to an account's owner alone, so it needs no word; a Bluesky repository, which
  anyone may fetch, counts as a file.
- Asked before the first request, judged before the first post is fetched. What was said and seen is kept with the
  account, and told in the card.

Not covered: reading the signals (each source's, and `wishes`), private posts (no source hands them over).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from huggingtweets.errors import ConsentMissing, ConsentRefused, SettingsError
from huggingtweets.forgotten import is_forgotten
from huggingtweets.posts import Account, Consent
from huggingtweets.sources import account_named
from huggingtweets.sources.base import Origin, Source
from huggingtweets.wishes import wishes_in

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
    "perhaps_no_ai": ("ask", "has something to say about AI"),
    "bot": ("note", "is a bot itself"),
    "unknown_protection": ("note", "may be protected: if it is, keep the bot to yourself"),
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

    def over(self, then: Word) -> Word:
        """What is said now, over what was said when the bot was made; a price is agreed to each time.

        >>> Word().over(Word(mine=True, price=True))
        Word(mine=True, permission=None, terms=False, price=False)
        """
        who = self if self.is_given else then
        return Word(mine=who.mine, permission=who.permission, terms=self.terms or then.terms, price=self.price)

    def consent(self, fetched_at: str | None) -> Consent:
        said: Literal["mine", "permission"] | None = "mine" if self.mine else "permission" if self.is_given else None
        return Consent(said, self.permission, fetched_at)


def ask_first(source: Source, word: Word, bots_dir: Path) -> None:
    """What can be settled before the first request; raises ConsentMissing with everything that is missing."""
    _refuse_forgotten(bots_dir, source.handle, [source.handle, account_named(source.spec)])
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
        next=f"the same command with {', '.join(_OPTIONS[need] for need in missing)}",
        needs=tuple(missing),
    )


_OPTIONS = {
    "terms": "--accept-x-terms",
    "price": "--yes",
    "word": '--mine if the account is yours, else --permission "who gave it, and when"',
}


def _missing(origin: Origin, word: Word) -> Iterator[str]:
    """The plain options first: the last one is a choice."""
    if origin.terms and not word.terms:
        yield "terms"
    if origin.price and not word.price:
        yield "price"
    if origin.kind == "network" and not word.is_given:
        yield "word"


def refuse_forgotten(account: Account, bots_dir: Path) -> None:
    """For posts that are on this disk already; raises ConsentRefused."""
    _refuse_forgotten(bots_dir, account.handle, names_of(account))


def judge(account: Account, origin: Origin, word: Word, bots_dir: Path) -> list[str]:
    """Notes to tell; raises ConsentRefused or ConsentMissing."""
    refuse_forgotten(account, bots_dir)
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
            next=f"the same command with {_OPTIONS['word']}",
            needs=("word",),
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
    for name, words in wishes_in([account.display_name, account.bio, *account.fields]).items():
        seen.setdefault(name, f"its profile says “{words}”")
    return seen


def names_of(account: Account) -> set[str]:
    """Everything the account can be told by, in lower case: its handle, the name on its page, and what stays.

    >>> sorted(names_of(Account("Bob", "x", id="42", url="https://x.com/bob_bakes")))
    ['bob', 'bob_bakes', 'x#42']
    """
    names = {account.handle, account_named(account.url or ""), identity_of(account) or ""}
    return {name.casefold() for name in names} - {""}


def identity_of(account: Account) -> str | None:
    """What stays when the handle changes, told apart from other networks' and servers' numbers.

    >>> identity_of(Account("alice.example", "bluesky", id="did:plc:abc"))
    'did:plc:abc'
    >>> identity_of(Account("bob@b.example", "mastodon", id="7"))
    'mastodon#b.example#7'
    """
    if not account.id or ":" in account.id:  # a DID, or an address of ActivityPub
        return account.id or None
    server = _server_of(account) if account.platform == "mastodon" else ""
    return f"{account.platform}#{server and server + '#'}{account.id}"


def _server_of(account: Account) -> str:
    try:
        return urlsplit(account.url or "").netloc or account.handle.rpartition("@")[2]
    except ValueError:
        return account.handle.rpartition("@")[2]


def _refuse_forgotten(bots_dir: Path, handle: str, names: Iterable[str]) -> None:
    names = [handle, *sorted(names)]
    if is_forgotten(bots_dir, names):
        known = next(name for name in names if is_forgotten(bots_dir, [name]))  # an export may be called anything
        raise ConsentRefused(
            f"@{handle} was forgotten here, so that no bot is made of it by accident.",
            why=f"It is the account that is known as {known}." if known.casefold() != handle.casefold() else "",
            next=f"huggingtweets forget @{known} --undo, if it should be made after all",
        )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
