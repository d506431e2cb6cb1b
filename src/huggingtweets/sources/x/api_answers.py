"""What X's API answers: a user, a page of posts, or why there is neither.

In: an `Answer`. Out: the object that was asked for; `Gone` for an account that is protected, suspended or deleted;
`Refused` for parameters that X does not take; else a SourceError of one sentence.

- A problem is told by the last part of its `type`, on whichever host, else by its title; most come with status 200.
- Problems beside data are of others (a mentioned account that is gone): the data counts.
- Asking again where that can't help would cost requests and perhaps money: a usage cap, and a limit without an end, are
  final.

Not covered: time-outs, broken answers, 5xx and limits that end soon (the `Client` waits for those).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from huggingtweets.errors import NetworkTrouble, SourceError
from huggingtweets.sources.net.hosts import name_of
from huggingtweets.sources.net.http import Answer
from huggingtweets.sources.net.paging import Gone
from huggingtweets.sources.net.waits import named_wait_s
from huggingtweets.sources.tally import shorten
from huggingtweets.sources.values import items, mapping
from huggingtweets.sources.x.posts import Record

KEPT = "What was downloaded so far is kept."
AGAIN = "then run the same command again: it goes on from there"

LONGEST_WORDS = 240  # characters: X's own longest sentence

_UNKNOWN, _HIDDEN = "resource-not-found", "not-authorized-for-resource"
_BY_TITLE = {  # where the type is missing, or "about:blank"
    "creditsdepleted": "credits",
    "usagecapexceeded": "usage-capped",
    "notfounderror": _UNKNOWN,
    "authorizationerror": _HIDDEN,
    "clientforbidden": "client-forbidden",
    "unsupportedauthentication": "unsupported-authentication",
    "invalidrequest": "invalid-request",
}
_BY_STATUS = {401: "unauthorized", 402: "credits", 429: "too-many-requests"}
_BY_STATUS_AND_WORDS = {**_BY_STATUS, 400: "invalid-request", 403: "client-forbidden"}  # where X itself says something
_PARAMETER = re.compile(r"`([a-z_.]+)`|\[([a-z_.]+)\]|parameter '?([a-z_.]+)")


_SENTENCES: dict[str, tuple[type[SourceError], str, str, str]] = {  # kind: class, what, why, next
    "unauthorized": (
        SourceError,
        "X does not accept the bearer token.",
        "It was mistyped or revoked.",
        "copy the app's bearer token from console.x.com into X_BEARER_TOKEN, and run the same command again",
    ),
    "credits": (
        SourceError,
        "The X developer account behind the token has no credits left.",
        KEPT,
        f"add some at console.x.com, {AGAIN}",
    ),
    "client-forbidden": (
        SourceError,
        "The app behind the token may not use X's API.",
        "Most often its developer account is not enrolled for it, or the app is in no project.",
        "see to it at console.x.com, and run the same command again",
    ),
    "unsupported-authentication": (
        SourceError,
        "X does not take this kind of token for reading posts.",
        "",
        "use the app's own bearer token from console.x.com as X_BEARER_TOKEN, or if that is what it was, a user's",
    ),
    "usage-capped": (
        SourceError,
        "The X developer account behind the token has reached its usage cap.",
        f"{KEPT} Asking again would change nothing.",
        f"raise the cap at console.x.com or wait for its next period, {AGAIN}",
    ),
    "too-many-requests": (
        NetworkTrouble,
        "X refuses more requests for now, and does not say until when.",
        KEPT,
        f"wait a quarter of an hour, {AGAIN}",
    ),
    "invalid-request": (
        SourceError,
        "X does not accept what it is asked for.",
        f"Its API may have changed. {KEPT}",
        "look for a newer version of huggingtweets, or pass the archive that X makes for the account's owner",
    ),
}


@dataclass(frozen=True)
class Problem:
    """One of X's problem objects."""

    kind: str
    said: str  # title and detail, safe to show
    parameters: frozenset[str] = frozenset()  # the ones it is about
    subjects: frozenset[str] = frozenset()  # names and ids that it is about, in lower case
    is_of_user: bool = True


class Refused(Exception):
    """X does not take these parameters; `trouble` is what to raise where nothing else can be asked for."""

    def __init__(self, parameters: frozenset[str], trouble: SourceError) -> None:
        super().__init__(trouble.what)
        self.parameters = parameters
        self.trouble = trouble


def is_final(answer: Answer) -> bool:
    """Whether a refusal won't pass by waiting: for `Client.get_json`."""
    if answer.status != 429:
        return False
    return named_wait_s(answer.headers, now=0.0) is None or any(one.kind == "usage-capped" for one in problems(answer))


def user_in(answer: Answer, name: str) -> Record:
    """The user object; raises `Gone` and SourceError."""
    try:
        return mapping(_object(answer, {name.casefold()}, "data")["data"])
    except Refused as refused:
        raise refused.trouble from refused


def page_in(answer: Answer, account_id: str) -> Record:
    """The whole page; raises `Gone`, `Refused` and SourceError."""
    return _object(answer, {account_id}, "meta")


def _object(answer: Answer, names: set[str], needed: str) -> Record:
    value = mapping(answer.value)
    if answer.ok and value.get("data"):
        return value
    found = problems(answer)
    for problem in found:
        _raise_if_gone(problem, names)
    if answer.ok and isinstance(value.get(needed), dict):
        return value
    raise _failure(answer, found)


def _raise_if_gone(problem: Problem, names: set[str]) -> None:
    """By kind and words: a suspended account has the kind of an unknown one, and a developer's account is another."""
    if not problem.is_of_user or (problem.subjects and problem.subjects.isdisjoint(names)):
        return
    said = problem.said.casefold()
    if "user has been suspended" in said or (problem.kind in (_UNKNOWN, _HIDDEN) and "suspended" in said):
        raise Gone("suspended", "X says so")
    if problem.kind == _HIDDEN or "not authorized to see the user" in said:
        raise Gone("protected", "X says so")
    if problem.kind == _UNKNOWN:
        raise Gone("deleted", "X says so")


def problems(answer: Answer) -> list[Problem]:
    """Every problem in an answer, the whole answer's own last."""
    value = mapping(answer.value)
    found = [_problem(mapping(entry)) for entry in items(value.get("errors")) if isinstance(entry, dict)]
    return [*found, _problem(value)] if {"title", "type", "detail"} & value.keys() else found


def _problem(entry: Record) -> Problem:
    """
    >>> _problem({"title": "x", "type": "https://api.x.com/2/problems/usage-capped", "detail": "Too much."}).kind
    'usage-capped'
    """
    title, detail, kind = (_text(entry, name) for name in ("title", "detail", "type"))
    kind = kind.rstrip("/").rpartition("/")[2].lower() if "/" in kind else ""
    detail = detail or _text(entry, "message")
    said = ": ".join(dict.fromkeys(filter(None, (title, detail))))
    named = mapping(entry.get("parameters"))
    parameters = set(named) if named else set(_parameters_in(f"{_text(entry, 'parameter')} {detail}"))
    subjects = {_text(entry, name).casefold() for name in ("value", "resource_id")}
    return Problem(
        kind=kind or _BY_TITLE.get(re.sub(r"[^a-z]", "", title.lower()), ""),
        said=shorten(said, LONGEST_WORDS),
        parameters=frozenset(parameters),
        subjects=frozenset(filter(None, subjects)),
        is_of_user=_text(entry, "resource_type") in ("", "user") and _text(entry, "section") != "includes",
    )


def _text(entry: Record, name: str) -> str:
    value = entry.get(name)
    return value[:1_000] if isinstance(value, str) else ""


def _parameters_in(text: str) -> Iterator[str]:
    """The first parameter that words name: what follows may be a list of those that would do.

    >>> list(_parameters_in("The `max_results` query parameter value [3] is not between 5 and 100"))
    ['max_results']
    """
    if found := _PARAMETER.search(text):
        yield found[found.lastindex or 0]


def _failure(answer: Answer, found: list[Problem]) -> SourceError | Refused:
    """The sentence for an answer that has nothing for us."""
    problem = next((one for one in found if one.kind in _SENTENCES), found[0] if found else None)
    by_status = _BY_STATUS_AND_WORDS if found else _BY_STATUS
    kind = problem.kind if problem and problem.kind in _SENTENCES else by_status.get(answer.status, "")
    said = found[0].said if found else ""  # the most particular
    trouble = _known(kind, said) if kind else _unexpected(answer, said)
    if answer.status != 400:
        return trouble
    return Refused(frozenset(name for one in found for name in one.parameters), trouble)


def _known(kind: str, said: str) -> SourceError:
    error, what, why, next = _SENTENCES[kind]
    return error(what, why=" ".join(filter(None, (f"It says: {said.rstrip('.')}." if said else "", why))), next=next)


def _unexpected(answer: Answer, said: str) -> SourceError:
    how = "answered without what it was asked for" if answer.ok else f"answered {answer.status}"
    words = f" ({said})" if said else ", which is not what X's API answers"
    return NetworkTrouble(
        f"{name_of(answer.url)} {how}{words}.",
        why=KEPT,
        next="run the same command again later, or pass the archive that X makes for the account's owner",
    )
