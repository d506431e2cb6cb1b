"""Who answers for a Bluesky account: the public server, the directory of identities, the account's own server.

In: an address, a DID. Out: an object of the protocol, or why there is none: gone (`Gone`) or NetworkTrouble.

- The directory names the account's own server, as a stranger would: the `Client` sees to it that it is a public one.
- What an account says about AI is asked of its own server. Only "no such record" means that nothing was said; any
  other failure ends the run, because a no must not be missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from huggingtweets.errors import NetworkTrouble, SettingsError, SourceError
from huggingtweets.sources.bluesky.posts import (
    AI_PREFERENCES,
    INTENTS,
    Record,
    signals_of_intents,
    signals_of_preferences,
)
from huggingtweets.sources.net.hosts import server_in
from huggingtweets.sources.net.http import Answer, Client, server_url
from huggingtweets.sources.net.paging import Gone
from huggingtweets.sources.tally import Tally, shorten
from huggingtweets.sources.values import items, mapping

PAGE_RECORDS = 100  # the largest
MOST_PREFERENCE_PAGES = 10
LONGEST_CURSOR = 10_000

BAD_CURSOR = "next pages that the server did not name (the download ends there)"

_SUSPENDED = frozenset(("AccountTakedown", "AccountSuspended", "RepoTakendown", "RepoSuspended"))
_DELETED = frozenset(("AccountDeactivated", "AccountDeleted", "RepoDeactivated", "RepoDeleted", "RepoNotFound"))
_NOT_FOUND = re.compile(r"(?:profile|actor|account|user|repo) not found|could not find (?:repo|account|user)", re.I)
_NO_RECORD = re.compile(r"could not locate record|record not found", re.I)
_WEB_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?")


@dataclass(frozen=True)
class Addresses:
    """Where the network is."""

    api: str  # the public AppView
    plc: str  # the directory of DID documents


def addresses(env: Mapping[str, str]) -> Addresses:
    """
    >>> addresses({"HUGGINGTWEETS_PLC": "http://127.0.0.1:8080/"})
    Addresses(api='https://public.api.bsky.app', plc='http://127.0.0.1:8080')
    """
    defaults = {
        "HUGGINGTWEETS_BLUESKY_API": "https://public.api.bsky.app",
        "HUGGINGTWEETS_PLC": "https://plc.directory",
    }
    found = []
    for name, default in defaults.items():
        address = server_in(env.get(name) or default)
        if address is None:
            raise SettingsError(f"{name} must be a web address, not {shorten(env[name])}.", next=f"unset {name}")
        found.append(address)
    return Addresses(*found)


def cursor_in(value: Record, tally: Tally) -> str | None:
    cursor = value.get("cursor")
    if cursor is None or cursor == "":
        return None
    if isinstance(cursor, str) and len(cursor) <= LONGEST_CURSOR:
        return cursor
    tally.add(BAD_CURSOR)
    return None


def own_server(client: Client, where: Addresses, did: str) -> str:
    """The address in the account's DID document; raises NetworkTrouble and Gone."""
    address = _document_address(where, did)
    answer = client.get_json(address)
    if answer.status == 410:
        raise Gone("deleted", "the directory says so")
    if answer.status == 404:
        raise trouble(address, f"knows no {shorten(did)}")
    for service in map(mapping, items(checked(answer, address).get("service"))):
        name, kind, endpoint = service.get("id"), service.get("type"), service.get("serviceEndpoint")
        is_repository = isinstance(name, str) and name.endswith("#atproto_pds") and kind == "AtprotoPersonalDataServer"
        if is_repository and isinstance(endpoint, str) and (server := server_in(endpoint)):
            return server
    raise trouble(address, f"does not say on which server {shorten(did)} keeps its posts")


def _document_address(where: Addresses, did: str) -> str:
    if did.startswith("did:plc:"):
        return f"{where.plc}/{did}"
    host = unquote(did.removeprefix("did:web:"))
    if not did.startswith("did:web:") or not _WEB_HOST.fullmatch(host):
        raise SourceError(
            f"{shorten(did)} is an identity of a kind that Bluesky does not use.",
            next="ask the account's owner for the repository that the app exports, and pass that file",
        )
    return f"{server_url(host)}/.well-known/did.json"


def said_of_ai(client: Client, server: str, did: str) -> dict[str, str]:
    """The signals in the records that were made to say it; raises NetworkTrouble and Gone."""
    signals: dict[str, str] = {}
    for collection in INTENTS:
        address = f"{server}/xrpc/com.atproto.repo.getRecord"
        answer = client.get_json(address, {"repo": did, "collection": collection, "rkey": "self"})
        if not _says_no_record(answer):
            signals = signals_of_intents(checked(answer, address).get("value"), collection) | signals
    for record in _preferences(client, server, did):
        signals = signals_of_preferences(record, did) | signals
    return signals


def _preferences(client: Client, server: str, did: str) -> Iterator[object]:
    address = f"{server}/xrpc/com.atproto.repo.listRecords"
    params: dict[str, str | int] = {"repo": did, "collection": AI_PREFERENCES, "limit": PAGE_RECORDS}
    for _ in range(MOST_PREFERENCE_PAGES):
        answer = client.get_json(address, params)
        if _says_no_record(answer):
            return
        value = checked(answer, address)
        yield from (mapping(entry).get("value") for entry in items(value.get("records")))
        if not (cursor := cursor_in(value, Tally())):
            return
        params["cursor"] = cursor


def error_in(answer: Answer) -> tuple[str, str]:
    """Name and message, safe to show."""
    value = mapping(answer.value)
    name, message = value.get("error"), value.get("message")
    return (name if isinstance(name, str) else "", shorten(message) if isinstance(message, str) else "")


def is_about_nobody(message: str) -> bool:
    return _NOT_FOUND.search(message) is not None


def _says_no_record(answer: Answer) -> bool:
    name, message = error_in(answer)
    return not answer.ok and (name == "RecordNotFound" or bool(_NO_RECORD.search(message)))


def checked(answer: Answer, address: str) -> Record:
    """The object that was answered; raises Gone, or NetworkTrouble with the server's own words."""
    if answer.ok and isinstance(answer.value, dict):
        return answer.value
    if answer.ok:
        raise trouble(address, "answered with something that the network's protocol does not know")
    name, message = error_in(answer)
    if name in _SUSPENDED:
        raise Gone("suspended", f"{urlsplit(address).netloc} says {name}")
    if name in _DELETED or (name == "InvalidRequest" and is_about_nobody(message)):
        raise Gone("deleted", f"{urlsplit(address).netloc} says {name if name in _DELETED else message}")
    said = ": ".join(filter(None, (shorten(name), message)))
    raise trouble(address, f"answered {answer.status}{f' ({said})' if said else ''}")


def trouble(address: str, what: str) -> NetworkTrouble:
    return NetworkTrouble(
        f"{urlsplit(address).netloc} {what}.",
        why="What was downloaded so far is kept.",
        next="run the same command again later, or pass the repository that the app exports (Settings, Account)",
    )
