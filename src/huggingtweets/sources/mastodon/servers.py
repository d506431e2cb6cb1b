"""Who answers for an account of the fediverse: its handle's domain, its home server, and what that one says.

In: `user@domain`. Out: the server that has the API, the account's record there, and the server's own signals.

- The domain need not be the server: webfinger names it, as a stranger would; the `Client` sees to it that it is public.
- Servers that can't look a name up (older Pleroma) know the account by its name as an id, or find it by searching.
- Terms and rules of a server only raise a question that is asked anyway, so they are read once and not waited for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from huggingtweets.errors import NetworkTrouble, NoSuchAccount, SourceError
from huggingtweets.sources.base import Tell
from huggingtweets.sources.mastodon.posts import LONGEST_ADDRESS, Record, id_of
from huggingtweets.sources.mastodon.text import html_to_text
from huggingtweets.sources.net.hosts import name_of
from huggingtweets.sources.net.http import Answer, Client, server_url
from huggingtweets.sources.tally import shorten

MOST_SIGNS = 100_000  # characters of a server's terms that are read

_AI_CRAWLERS = (
    *("GPTBot", "ChatGPT-User", "ClaudeBot", "anthropic-ai", "CCBot", "Google-Extended", "Applebot-Extended"),
    *("Bytespider", "Amazonbot", "meta-externalagent", "PerplexityBot", "cohere-ai", "Diffbot", "AI2Bot"),
)
_AI_TRAIN_NO = re.compile(r"^\s*content-signal\s*:.*\bai-train\s*=\s*no\b", re.IGNORECASE | re.MULTILINE)
_TERMS_AGAINST = re.compile(
    r"\b(?:scrap(?:e|ing)|data[- ]?mining|(?:train|training)\b.{0,80}\b(?:models?|ai|llms?|intelligence))\b",
    re.IGNORECASE | re.DOTALL,
)


class Gone(Exception):
    """The account is suspended or deleted."""

    def __init__(self, signal: str, where: str) -> None:
        super().__init__(where)
        self.signal = signal
        self.where = where


@dataclass(frozen=True)
class Home:
    """Where an account lives."""

    server: str  # https://social.example
    actor: str | None = None  # the account's own address, which no other has


def home_of(client: Client, acct: str) -> Home:
    """By the domain's word, else the domain itself. Raises NetworkTrouble and ConsentRefused."""
    domain = server_url(acct.split("@")[1])
    answer = client.get_json(f"{domain}/.well-known/webfinger", {"resource": f"acct:{acct}"}, lenient=True)
    for address in _addresses_in(answer.value if answer.ok else None):
        if server := server_in(address):
            return Home(server, address)
    return Home(domain)


def _addresses_in(webfinger: object) -> list[str]:
    """Those of the account itself; first the one that speaks the fediverse's language."""
    links = webfinger.get("links") if isinstance(webfinger, dict) else None
    found = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    own = [link for link in found if link.get("rel") == "self" and isinstance(link.get("href"), str)]
    return [link["href"] for link in sorted(own, key=lambda link: "json" not in str(link.get("type")))]


def server_in(address: str) -> str | None:
    """
    >>> server_in("https://social.example/users/bob"), server_in("http://["), server_in("acct:bob@social.example")
    ('https://social.example', None, None)
    """
    if len(address) > LONGEST_ADDRESS or not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return server_url(parts.netloc.rpartition("@")[2]) if valid else None


def record_of(client: Client, server: str, acct: str) -> Record:
    """The account as its server knows it; raises NoSuchAccount, NetworkTrouble and Gone."""
    answer = client.get_json(f"{server}/api/v1/accounts/lookup", {"acct": acct.split("@")[0]})
    if (record := _account_in(answer.value)) is not None and answer.ok:
        return record
    if answer.status == 410:
        raise Gone("deleted", f"{name_of(server)} says so")
    if answer.status != 404:
        raise refusal(answer, server)
    for record in _other_ways(client, server, acct):
        if _is_called(record, acct):
            return record
    speaks = isinstance(answer.value, dict) and "error" in answer.value
    raise NoSuchAccount(
        f"{name_of(server)} knows no account {shorten(acct)}.",
        why="" if speaks else "It may not be a server that has Mastodon's API.",
        next="check the spelling on the account's own page",
    )


def _other_ways(client: Client, server: str, acct: str) -> Iterator[Record]:
    user = acct.split("@")[0]
    answer = client.get_json(f"{server}/api/v1/accounts/{quote(user, safe='')}", lenient=True)
    if answer.ok and (record := _account_in(answer.value)) is not None:
        yield record
    answer = client.get_json(f"{server}/api/v1/accounts/search", {"q": acct, "limit": 5}, lenient=True)
    for found in answer.value if answer.ok and isinstance(answer.value, list) else []:
        if (record := _account_in(found)) is not None:
            yield record


def _account_in(value: object) -> Record | None:
    return value if isinstance(value, dict) and id_of(value.get("id")) is not None else None


def _is_called(record: Record, acct: str) -> bool:
    """Whether it is the account that was asked for: an id may be another's, and a search finds more than one."""
    name = record.get("acct")
    return isinstance(name, str) and name.casefold() in (acct.casefold(), acct.split("@")[0].casefold())


def check_still_there(client: Client, server: str, acct: str) -> None:
    """Raises Gone where the account was suspended or deleted since."""
    try:
        record = record_of(client, server, acct)
    except NoSuchAccount as error:
        raise Gone("deleted", f"half-way {name_of(server)} knew it no more") from error
    if record.get("suspended") is True:
        raise Gone("suspended", f"half-way {name_of(server)} said so")


def signals_of(client: Client, server: str, tell: Tell) -> Mapping[str, str]:
    """What the server says about machines that learn."""
    signals = {}
    if _AI_TRAIN_NO.search(client.robots_text(server)):
        signals["server_no_ai"] = "its robots.txt says ai-train=no"
    places = (f"{server}/", f"{server}/api/v1/accounts/1/statuses")
    named = [agent for agent in _AI_CRAWLERS if not all(client.may_ask(place, agent) for place in places)]
    if named:
        signals["server_ai_crawlers"] = f"its robots.txt names {', '.join(named)}"
    for page, text in _terms(client, server):
        if found := _TERMS_AGAINST.search(text[:MOST_SIGNS]):
            signals.setdefault("server_terms", f"{server}{page} speaks of “{shorten(found[0])}”")
    if "server_terms" not in signals:
        tell(f"The rules of {name_of(server)}: {server}/about")
    return signals


def _terms(client: Client, server: str) -> Iterator[tuple[str, str]]:
    """Pages for people, with what they say."""
    terms = _once(client, f"{server}/api/v1/instance/terms_of_service").get("content")
    if isinstance(terms, str):
        yield "/terms-of-service", html_to_text(terms)
    rules = _once(client, f"{server}/api/v2/instance").get("rules")
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict):
            yield "/about", " ".join(text for name in ("text", "hint") if isinstance(text := rule.get(name), str))


def _once(client: Client, url: str) -> Record:
    value = client.get_json(url, final=lambda answer: True, lenient=True).value
    return value if isinstance(value, dict) else {}


def refusal(answer: Answer, server: str) -> SourceError:
    said = answer.value.get("error") if isinstance(answer.value, dict) else None
    words = f": {shorten(said)}" if isinstance(said, str) and said else ""
    if answer.status in (401, 403):
        return SourceError(
            f"{name_of(server)} shows posts to people who are signed in only{words}.",
            next="ask the account's owner for its archive (Settings, Import and export), and pass that file",
        )
    return NetworkTrouble(
        f"{name_of(server)} answered {answer.status}{words}, which is not what Mastodon's API answers.",
        why="It may not be a Mastodon server, or one that keeps its API closed.",
        next="check the server's name, or pass the archive that it exports",
    )
