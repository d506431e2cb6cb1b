"""A Mastodon account as a source, asked of its home server without a login; Pleroma, Akkoma and GoToSocial too.

In: `user@server`. Out: the account, then pages of public and unlisted posts, newest first.

- The handle's domain need not be the server's: webfinger tells. Another server would give only what it has seen.
- Pages follow the `Link` header while it stays on the server; without one, the last id leads on.
- 300 pages a quarter of an hour are allowed, and the headers may hide it: from page 250 on one page every 3 s.
- Boosts are not asked for: they are other people's words.
- What the account and its server say about AI is reported with the account: flags, robots.txt, terms of service.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

from huggingtweets.config import ImportSettings
from huggingtweets.errors import NetworkTrouble, NoSuchAccount, SourceError
from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.fediverse_text import html_to_text
from huggingtweets.sources.http import Answer, Client, server_url
from huggingtweets.sources.identity import read_avatar
from huggingtweets.sources.mastodon_posts import account_from_api, post_from_status
from huggingtweets.sources.paging import (
    MakeClient,
    Patience,
    fetch_avatar,
    plain_client,
    read_cursor,
    with_signal,
    write_cursor,
)
from huggingtweets.sources.tally import Tally, shorten

READER = 1
PAGE_POSTS = 40  # Mastodon's largest
QUICK_PAGES = 250
PACE_S = 3.0

_ACCT = re.compile(r"@?([\w.-]+)@([\w-]+(?:\.[\w-]+)*(?::\d+)?)")
_PROFILE = re.compile(r"https?://([^/\s@]+)/(?:@|users/)([\w.-]+)/?")
_TERMS_AGAINST = re.compile(
    r"\b(?:scrap(?:e|ing)|data[- ]?mining|(?:train|training)\b.{0,80}\b(?:models?|ai|llms?|intelligence))", re.I | re.S
)
_AI_CRAWLERS = ("GPTBot", "ClaudeBot", "CCBot", "Google-Extended", "Applebot-Extended", "Bytespider", "anthropic-ai")
_AI_TRAIN_NO = re.compile(r"^\s*content-signal\s*:.*\bai-train\s*=\s*no\b", re.I | re.M)


def acct_from(typed: str) -> str | None:
    """
    >>> acct_from("@bob@social.example"), acct_from("https://social.example/@bob"), acct_from("bob")
    ('bob@social.example', 'bob@social.example', None)
    """
    typed = typed.strip()
    if found := _PROFILE.fullmatch(typed):
        return f"{found[2]}@{found[1].lower()}"
    found = _ACCT.fullmatch(typed)
    return f"{found[1]}@{found[2].lower()}" if found else None


@dataclass
class MastodonSource:
    """The public posts of one account; a `Source`."""

    acct: str
    settings: ImportSettings
    client: MakeClient = plain_client
    _face: list[object] = field(default_factory=list, init=False, repr=False)

    @property
    def spec(self) -> str:
        return f"mastodon:{self.acct}"

    @property
    def handle(self) -> str:
        return self.settings.handle or self.acct

    @property
    def origin(self) -> Origin:
        return Origin("network")

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((READER, self.spec, self.handle, self.settings.max_posts)).encode()).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then its posts, newest first; raises NoSuchAccount and NetworkTrouble."""
        tally = Tally()
        state = read_cursor(cursor, "server", "id", "next")
        with self.client(server_url(self.acct.split("@")[1]), tell) as client:
            if state is None:
                server = self._home_server(client)
                account = self._account(client, server, tell)
                avatar = self._avatar(client, tally)
                yield Page(account=account, avatar=avatar, losses=tally.take())
                if not {"suspended", "deleted"}.isdisjoint(account.signals):
                    return
                start = _first_page(server, account.id or "", known)
                state = {"server": server, "id": account.id or "", "next": start}
            yield from self._posts(client, state, known, tally)

    def _home_server(self, client: Client) -> str:
        """Where the account lives, by its domain's word, else the domain itself."""
        domain = self.acct.split("@")[1]
        address = f"{server_url(domain)}/.well-known/webfinger?resource=acct:{quote(self.acct)}"
        try:
            value = client.get_json(address).value
        except NetworkTrouble as trouble:
            if "not JSON" not in trouble.what:
                raise
            value = None
        links = value.get("links") if isinstance(value, dict) else None
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
                parts = urlsplit(link["href"])
                if parts.scheme in ("http", "https") and parts.netloc:
                    return server_url(parts.netloc)
        return server_url(domain)

    def _account(self, client: Client, server: str, tell: Tell) -> Account:
        answer = client.get_json(f"{server}/api/v1/accounts/lookup", {"acct": self.acct.split("@")[0]})
        record = answer.value
        if answer.status == 404:
            raise NoSuchAccount(
                f"{urlsplit(server).netloc} knows no account {shorten(self.acct)}.",
                next="check the spelling on the account's own page",
            )
        if answer.status == 410:
            return Account(self.handle, "mastodon", signals={"deleted": "its server says so"})
        if not answer.ok or not isinstance(record, dict) or not record.get("id"):
            raise _refusal(answer, server)
        account = dataclasses.replace(account_from_api(record, self.handle), url=_page(record, server, self.acct))
        if self.settings.display_name:
            account = dataclasses.replace(account, display_name=self.settings.display_name)
        self._face = [record.get("avatar_static"), record.get("avatar")]
        for name, where in self._server_signals(client, server, tell):
            account = with_signal(account, name, where)
        return account

    def _avatar(self, client: Client, tally: Tally) -> bytes | None:
        if self.settings.avatar:
            return read_avatar(self.settings.avatar)
        return fetch_avatar(client, self._face, tally)

    @staticmethod
    def _server_signals(client: Client, server: str, tell: Tell) -> Iterator[tuple[str, str]]:
        """What the server says about machines that learn."""
        robots = client.robots_text(server)
        if _AI_TRAIN_NO.search(robots):
            yield "server_no_ai", "its robots.txt says ai-train=no"
        named = [agent for agent in _AI_CRAWLERS if not client.may_ask(server, agent)]
        if named:
            yield "server_ai_crawlers", f"its robots.txt names {', '.join(named)}"
        terms = client.get_json(f"{server}/api/v1/instance/terms_of_service", lenient=True).value
        content = terms.get("content") if isinstance(terms, dict) else None
        if isinstance(content, str) and (found := _TERMS_AGAINST.search(html_to_text(content))):
            yield "server_terms", f"{server}/terms-of-service speaks of “{shorten(found[0])}”"
        else:
            tell(f"The rules of {urlsplit(server).netloc}: {server}/about")

    def _posts(self, client: Client, state: Mapping[str, str], known: Collection[str], tally: Tally) -> Iterator[Page]:
        server, account_id, url = state["server"], state["id"], state["next"]
        fetched, number = int(state.get("posts", 0)), int(state.get("page", 0))
        patience = Patience(tally)
        while True:
            number += 1
            answer = client.get_json(url, pace_s=PACE_S if number > QUICK_PAGES else 0.0)
            if answer.status in (404, 410):
                gone = Account(
                    self.handle, "mastodon", id=account_id, signals={"deleted": "half-way its server said so"}
                )
                yield Page(account=gone)
                return
            if not answer.ok or not isinstance(answer.value, list):
                raise _refusal(answer, server)
            posts, was_known = self._read(answer.value, account_id, known, tally)
            if self.settings.max_posts is not None:
                posts = posts[: self.settings.max_posts - fetched]
            fetched += len(posts)
            following = None if was_known else _next_page(answer, url, server)
            enough = self.settings.max_posts is not None and fetched >= self.settings.max_posts
            goes_on = not enough and patience.goes_on(following, len(answer.value))
            place = write_cursor(server=server, id=account_id, next=following, posts=fetched, page=number)
            yield Page(tuple(posts), losses=tally.take(), cursor=place if goes_on else None)
            if not goes_on or following is None:
                return
            url = following

    def _read(
        self, statuses: list[object], account_id: str, known: Collection[str], tally: Tally
    ) -> tuple[list[Post], bool]:
        """The new posts of a page, and whether all of it was known already."""
        posts, seen = [], 0
        for status in statuses:
            post = post_from_status(status, self.handle, account_id)
            if isinstance(post, str):
                tally.add(post, str(status.get("id", "")) if isinstance(status, dict) else "")
            elif post.id in known:
                seen += 1
            else:
                posts.append(post)
        return posts, seen > 0 and not posts


def _first_page(server: str, account_id: str, known: Collection[str]) -> str:
    address = f"{server}/api/v1/accounts/{quote(account_id, safe='')}/statuses"
    newest = max(known, key=lambda post_id: (len(post_id), post_id), default=None)
    since = f"&since_id={quote(newest, safe='')}" if newest else ""
    return f"{address}?limit={PAGE_POSTS}&exclude_reblogs=true{since}"


def _next_page(answer: Answer, url: str, server: str) -> str | None:
    """By the `Link` header, while it stays where we are; else by the last id."""
    link = answer.next_link
    here, there = urlsplit(url), urlsplit(link or "")
    if link and (there.scheme, there.netloc, there.path) == (here.scheme, here.netloc, here.path):
        return link
    statuses = answer.value if isinstance(answer.value, list) else []
    ids = [status.get("id") for status in statuses if isinstance(status, dict)]
    last = next((found for found in reversed(ids) if isinstance(found, str) and found), None)
    if last is None or ("link" in answer.headers and link is None and "next" not in answer.headers["link"]):
        return None
    base = re.sub(r"&max_id=[^&]*", "", url)
    return f"{base}&max_id={quote(last, safe='')}" if parse_qs(here.query).get("max_id") != [last] else None


def _page(record: dict[str, object], server: str, acct: str) -> str:
    url = record.get("url")
    return url if isinstance(url, str) and url.startswith("http") else f"{server}/@{acct.split('@')[0]}"


def _refusal(answer: Answer, server: str) -> SourceError:
    said = answer.value.get("error") if isinstance(answer.value, dict) else None
    words = f": {shorten(said)}" if isinstance(said, str) else ""
    name = urlsplit(server).netloc
    if answer.status in (401, 403):
        return SourceError(
            f"{name} shows posts to people who are signed in only{words}.",
            next="ask for the archive (Settings, Import and export, Data export), and pass that file",
        )
    return NetworkTrouble(
        f"{name} answered {answer.status}{words}, which is not what Mastodon's API answers.",
        why="It may not be a Mastodon server, or one that keeps its API closed.",
        next="check the server's name, or pass the archive that it exports",
    )
