"""The one HTTP client of all networks: user agent, robots.txt, retries, rate limits and bounds in one place.

In: an address. Out: an `Answer`, or NetworkTrouble once patience is at its end.

- Time-outs, broken connections, half answers and 5xx are tried again, later each time (tenacity).
- 429 waits for the reset that the server names, by the server's own clock; a reset more than 15 minutes ahead, or six
  refusals in a row, end the run. What was downloaded is kept, so the same command goes on later.
- Every wait lasts at least a second and is told.
- robots.txt is read once a server and honoured (Protego), but where an API's contract takes its place.
- Addresses that a server names (redirects, links, another server) are https and public, unless the first address was
  on this machine already: a stranger can't send us into a local network.
- Answers have a largest size, and a slowest pace.

Not covered: what an answer means (each network's module).
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from huggingtweets.errors import ConsentRefused, NetworkTrouble
from huggingtweets.sources.base import Tell, tell_nobody

if TYPE_CHECKING:
    import httpx2
    from protego import Protego
    from tenacity import RetryCallState

AGENT = "huggingtweets"
TIMEOUT_S = 30.0
TRIES = 6
LONGEST_WAIT_S = 900.0  # X's own window; whoever asks for more is asked again another day
LARGEST_JSON_BYTES = 1 << 26
LARGEST_ROBOTS_BYTES = 500 * 1024  # RFC 9309
SLOWEST_BYTES_PER_S = 1_000.0
PATIENCE_S = 60.0  # before an answer is called slow
MOST_REDIRECTS = 5

_REMAINING = ("x-rate-limit-remaining", "x-ratelimit-remaining", "ratelimit-remaining")
_RESET = ("x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset")
_LINK_NEXT = re.compile(r'<([^<>]*)>\s*(?:;[^,<]*?)?;\s*rel="?next"?', re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer whose body was read to its end."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    url: str  # the one that answered, after redirects

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def value(self) -> object:
        """The body as JSON; None when it is not JSON."""
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.body)
        return None

    @property
    def next_link(self) -> str | None:
        """Where the `Link` header says that the next page is."""
        found = _LINK_NEXT.search(self.headers.get("link", ""))
        return found[1] if found else None


class _Again(Exception):
    """A failure that may pass: why, and how long to wait where the server says so."""

    def __init__(self, why: str, wait_s: float | None = None, limited: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.wait_s = wait_s
        self.limited = limited


def _never(answer: Answer) -> bool:
    return False


def _any(answer: Answer) -> None:
    """No check at all."""


def _checked_json(answer: Answer) -> None:
    if answer.value is None and answer.body.strip() != b"null":
        raise _Again("answered with something that is not JSON")


@dataclass
class Client:
    """Asks one network; a context manager that closes its connections."""

    home: str  # the first address, which the person or the settings named
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold a secret
    robots: bool = True
    tell: Tell = tell_nobody
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    _http: httpx2.Client | None = field(default=None, init=False, repr=False)
    _robots: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _rules: dict[str, Protego] = field(default_factory=dict, init=False, repr=False)
    _last_asked: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def get_json(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        pace_s: float = 0.0,
        final: Callable[[Answer], bool] = _never,
        lenient: bool = False,
    ) -> Answer:
        """An answer of 2xx that is JSON (or anything, if `lenient`), or of 4xx other than 429, whatever its body.

        `pace_s` is the least time since this server was last asked. `final` picks out answers of 429 or 5xx which
        more patience would not change; they are returned. Raises NetworkTrouble and ConsentRefused.
        """
        return self._ask(url, params, LARGEST_JSON_BYTES, pace_s, final, _any if lenient else _checked_json)

    def get_bytes(self, url: str, params: Mapping[str, str | int] | None = None, *, limit_bytes: int) -> Answer:
        """As `get_json`, with a body of any kind."""
        return self._ask(url, params, limit_bytes, 0.0, _never, _any)

    def may_ask(self, url: str, agent: str = AGENT) -> bool:
        """Whether the server's robots.txt lets us, or another agent; it is asked for once."""
        server = _server(url)
        if server not in self._rules:
            from protego import Protego

            self._rules[server] = Protego.parse(self.robots_text(url))
        return self._rules[server].can_fetch(url, agent)

    def robots_text(self, url: str) -> str:
        """The server's robots.txt; empty where there is none."""
        server = _server(url)
        if server not in self._robots:
            answer = self._retried(f"{server}/robots.txt", None, LARGEST_ROBOTS_BYTES, _never)
            self._robots[server] = answer.body.decode("utf-8", "replace") if answer.ok else ""
        return self._robots[server]

    def _ask(
        self,
        url: str,
        params: Mapping[str, str | int] | None,
        limit_bytes: int,
        pace_s: float,
        final: Callable[[Answer], bool],
        check: Callable[[Answer], None],
    ) -> Answer:
        if self.robots and not self.may_ask(url):
            raise ConsentRefused(
                f"{urlsplit(url).netloc} asks programs like this one to stay away (robots.txt).",
                next="ask the account's owner for the export that the network gives them, and pass that file",
            )
        self._keep_pace(urlsplit(url).netloc, pace_s)
        return self._retried(url, params, limit_bytes, final, check)

    def _keep_pace(self, server: str, pace_s: float) -> None:
        wait_s = self._last_asked.get(server, -pace_s) + pace_s - self.now()
        if 0 < wait_s <= pace_s:
            self.sleep(wait_s)

    def _retried(
        self,
        url: str,
        params: Mapping[str, str | int] | None,
        limit_bytes: int,
        final: Callable[[Answer], bool],
        check: Callable[[Answer], None] = _any,
    ) -> Answer:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(TRIES),
            wait=_wait_s,
            sleep=self.sleep,
            before_sleep=self._tell_wait,
            reraise=True,
        )
        try:
            return retrying(self._once, url, params, limit_bytes, final, check)
        except _Again as error:
            raise NetworkTrouble(
                f"{urlsplit(url).netloc} {error.why}, {TRIES} times in a row.",
                why="What was downloaded so far is kept.",
                next="wait a while, then run the same command again: it goes on from there",
            ) from error

    def _tell_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Again) and state.next_action:
            self.tell(f"The server {error.why}; trying again in {state.next_action.sleep:.0f} s.")

    def _once(
        self,
        url: str,
        params: Mapping[str, str | int] | None,
        limit_bytes: int,
        final: Callable[[Answer], bool],
        check: Callable[[Answer], None],
    ) -> Answer:
        answer = self._read(url, params, limit_bytes)
        self._last_asked[urlsplit(url).netloc] = self.now()
        if (answer.status == 429 or answer.status >= 500) and final(answer):
            return answer
        if answer.status == 429:
            raise _Again("says that it is asked too often", self._reset_wait_s(answer, url), limited=True)
        if answer.status >= 500:
            raise _Again(f"answered {answer.status}", self._retry_after_s(answer))
        if answer.ok:
            check(answer)
            self._rest_if_used_up(answer, url)
        return answer

    def _read(self, url: str, params: Mapping[str, str | int] | None, limit_bytes: int) -> Answer:
        import httpx2

        try:
            with self._opened().stream("GET", url, params=dict(params) if params else None) as response:
                body = self._body(response, limit_bytes)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, headers, body, str(response.url))
        except httpx2.TooManyRedirects as error:
            raise NetworkTrouble(
                f"{urlsplit(url).netloc} sends us from address to address without end.", next="check the name"
            ) from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, UnicodeError) as error:
            raise NetworkTrouble(f"{url} is no web address we can ask.", next="check the name") from error
        except httpx2.TimeoutException as error:
            raise _Again(f"did not answer within {TIMEOUT_S:.0f} s") from error
        except httpx2.ConnectError as error:
            raise _Again("could not be reached") from error
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.StreamError) as error:
            raise _Again("broke off in the middle of its answer") from error

    def _body(self, response: httpx2.Response, limit_bytes: int) -> bytes:
        begun = time.monotonic()
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit_bytes:
                raise NetworkTrouble(
                    f"{response.url.host} answered with more than {limit_bytes >> 20} MB.",
                    why="No page of posts is that long.",
                    next="check the name",
                )
            elapsed_s = time.monotonic() - begun
            if elapsed_s > PATIENCE_S and len(body) < SLOWEST_BYTES_PER_S * elapsed_s:
                raise _Again(f"answers too slowly ({len(body) / elapsed_s:.0f} bytes a second)")
        return bytes(body)

    def _opened(self) -> httpx2.Client:
        if self._http is None:
            import httpx2

            self._http = httpx2.Client(
                headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip, deflate", **self.headers},
                timeout=TIMEOUT_S,
                follow_redirects=True,
                max_redirects=MOST_REDIRECTS,
                event_hooks={"request": [self._check_address]},
            )
        return self._http

    def _check_address(self, request: httpx2.Request) -> None:
        """Called for the first address and for each that a redirect leads to."""
        host, at_home = request.url.host, is_local(self.home)
        if is_local_host(host) and at_home:
            return
        if request.url.scheme != "https":
            raise NetworkTrouble(f"{request.url} is not an encrypted address.", next="check the name")
        if host != urlsplit(self.home).hostname and not at_home and _is_private(host):
            raise NetworkTrouble(f"{host} is not on the public internet.", next="check the name")

    def _rest_if_used_up(self, answer: Answer, url: str) -> None:
        """Waits now, when the server says that the next request would be refused."""
        if _header(answer, _REMAINING).strip() != "0":
            return
        if wait_s := self._reset_wait_s(answer, url):
            self.tell(f"The server's rate limit is used up; going on in {wait_s:.0f} s.")
            self.sleep(wait_s)

    def _reset_wait_s(self, answer: Answer, url: str) -> float | None:
        """Until the server's limit is lifted, at least a second; None where it does not say.

        Raises NetworkTrouble for a wait that nobody would sit through.
        """
        wait_s = self._retry_after_s(answer)
        if wait_s is None and (reset := _moment(_header(answer, _RESET))) is not None:
            wait_s = reset - _server_clock(answer, self.now()) + 1
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            raise NetworkTrouble(
                f"{urlsplit(url).netloc} asks us to wait {wait_s / 60:,.0f} minutes.",
                why="What was downloaded so far is kept.",
                next="run the same command again then: it goes on from there",
            )
        return None if wait_s is None else max(1.0, wait_s)

    @staticmethod
    def _retry_after_s(answer: Answer) -> float | None:
        text = answer.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}", text):
            return float(text)
        moment = _http_date(text)
        return None if moment is None else moment - _server_clock(answer, moment)


def _wait_s(state: RetryCallState) -> float:
    """What the server named, else 1, 2, 4, ... seconds, a little more each, so that many don't come back at once."""
    from tenacity import wait_exponential_jitter

    error = state.outcome.exception() if state.outcome else None
    named = error.wait_s if isinstance(error, _Again) else None
    backing_off = float(wait_exponential_jitter(initial=1, max=60)(state))
    # A reset that has passed and a refusal all the same: the clocks are wrong, so back off as well.
    return backing_off if named is None else min(LONGEST_WAIT_S, max(named, backing_off))


def _header(answer: Answer, names: tuple[str, ...]) -> str:
    return next((answer.headers[name] for name in names if name in answer.headers), "")


def _moment(text: str) -> float | None:
    """Unix seconds of a reset, which X and Bluesky write as such and Mastodon in ISO 8601.

    >>> _moment("1739433600"), _moment("2025-02-13T08:00:00.123456Z"), _moment("soon")
    (1739433600.0, 1739433600.123456, None)
    """
    text = text.split(",")[0].strip()
    if re.fullmatch(r"\d{1,12}(?:\.\d+)?", text):
        return float(text)
    with contextlib.suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).timestamp()
    return None


def _http_date(text: str) -> float | None:
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError):
        return email.utils.parsedate_to_datetime(text).timestamp()
    return None


def _server_clock(answer: Answer, otherwise: float) -> float:
    """The server's own time, so that a wrong clock here (or there) shortens no wait."""
    moment = _http_date(answer.headers.get("date", ""))
    return otherwise if moment is None else moment


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_local(url: str) -> bool:
    return is_local_host(urlsplit(url).hostname or "")


def is_local_host(host: str) -> bool:
    """
    >>> is_local_host("127.0.0.1"), is_local_host("localhost"), is_local_host("example.org")
    (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def _is_private(host: str) -> bool:
    """Whether a name leads into this machine's own network; a name that can't be looked up is left to the request."""
    return any(not address.is_global for address in _addresses(host))


def _addresses(host: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    with contextlib.suppress(ValueError):
        yield ipaddress.ip_address(host.strip("[]"))
        return
    with contextlib.suppress(OSError, UnicodeError):
        for *_, address in socket.getaddrinfo(host, None):
            with contextlib.suppress(ValueError):
                yield ipaddress.ip_address(str(address[0]).partition("%")[0])


def user_agent() -> str:
    return f"{AGENT}/{version(AGENT)} (makes a bot of an account's posts, with its owner's word)"


def server_url(name: str) -> str:
    """The address of a server that a person named: encrypted, unless it is on this machine.

    >>> server_url("social.example"), server_url("127.0.0.1:8080")
    ('https://social.example', 'http://127.0.0.1:8080')
    """
    scheme = "http" if is_local(f"//{name}") else "https"
    return f"{scheme}://{name}"
