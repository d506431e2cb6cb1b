"""One exchange with a server, bounded in size and time, whatever the server does.

In: an address. Out: an `Answer` of any status; `Again` for a failure that may pass; NetworkTrouble for one that won't.

- A body has a largest size; it is counted as it is unpacked, so a small answer can't become a huge one.
- An answer has a longest time from the first byte of the question to the last of the answer. Where it is over, the
  connection is shut, because the library bounds each read and not all of them together.
- Redirects are followed one by one, so that each address is checked and no body on the way is read.
- `headers` go to the first address of the run alone: a secret in them follows no redirect and no link elsewhere.

Not covered: what a status means, and trying again (`net.http`).
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from huggingtweets.errors import NetworkTrouble, SettingsError
from huggingtweets.sources.net.hosts import is_local, name_of, refusal
from huggingtweets.sources.net.waits import TRIES, Again

if TYPE_CHECKING:
    import httpx2

MOST_REDIRECTS = 5
TIMEOUT_S = 30.0  # of each read and write
LONGEST_ANSWER_S = 300.0

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r';\s?rel\s?=\s?"?([^";,]*)', re.IGNORECASE)


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

    @cached_property
    def value(self) -> object:
        """The body as JSON; None when it is not JSON."""
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(self.body)
        return None

    @property
    def next_link(self) -> str | None:
        """Where the `Link` header says that the next page is.

        >>> link = '<https://a.example/1>; rel="prev", <https://a.example/3>; rel="next"'
        >>> Answer(200, {"link": link}, b"", "https://a.example/2").next_link
        'https://a.example/3'
        """
        for link in _LINK.finditer(self.headers.get("link", "")):
            rel = _REL.search(link[2])
            if rel and "next" in rel[1].lower().split():
                return link[1]
        return None


@dataclass
class Exchange:
    """Connections that are kept open between exchanges."""

    home: str
    headers: Mapping[str, str] = field(repr=False)
    agent: str
    timeout_s: float
    longest_s: float
    _alarm: _Alarm = field(default_factory=lambda: _Alarm(), init=False, repr=False)
    _http: httpx2.Client | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not (value.isascii() and value.isprintable()):
                raise SettingsError(
                    f"What should be sent to {name_of(self.home)} as {name} holds characters that can't be sent.",
                    next="copy the token again, without spaces or line breaks around it",
                )

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def ask(self, url: str, params: Mapping[str, str | int] | None, limit_bytes: int, *, cut: bool = False) -> Answer:
        """What came, after redirects; a body beyond the limit is an error, or `cut` there."""
        with self._translated(url), self._alarm.set(self.longest_s):
            client = self._opened()
            request: httpx2.Request | None = client.build_request(
                "GET", url, params=dict(params) if params else None, extensions={"trace": self._alarm.note}
            )
            for _ in range(MOST_REDIRECTS + 1):
                assert request is not None
                self._dress(request)
                answer, request = self._one(client, request, limit_bytes, cut)
                if request is None:
                    return answer
        raise NetworkTrouble(f"{name_of(url)} sends us from address to address without end.", next="check the name")

    def _one(
        self, client: httpx2.Client, request: httpx2.Request, limit_bytes: int, cut: bool
    ) -> tuple[Answer, httpx2.Request | None]:
        """The answer, and the question that it leads to."""
        response = client.send(request, stream=True)
        try:
            leads_on = response.next_request
            body = b"" if leads_on else _body(response, limit_bytes, cut)
        finally:
            response.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body, str(response.url)), leads_on

    def _opened(self) -> httpx2.Client:
        if self._http is None:
            import httpx2

            trusts = not is_local(self.home)  # no proxy leads to this machine
            self._http = httpx2.Client(
                headers={"User-Agent": self.agent, "Accept-Encoding": "gzip, deflate"},
                timeout=self.timeout_s,
                verify=_certificates(trusts),
                trust_env=trusts,
            )
        return self._http

    def _dress(self, request: httpx2.Request) -> None:
        """Each address is checked, and only the first one gets to see the headers."""
        import httpx2

        if wrong := refusal(self.home, str(request.url)):
            raise NetworkTrouble(f"{name_of(str(request.url))} {wrong}, so it is not asked.", next="check the name")
        at_home = request.url.origin == httpx2.URL(self.home).origin
        for name, value in self.headers.items():
            if at_home:
                request.headers[name] = value
            else:
                request.headers.pop(name, None)

    @contextlib.contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, UnicodeError) as error:
            raise NetworkTrouble(
                f"{url[:200]!r} is no web address that can be asked.", next="check the name"
            ) from error
        except httpx2.ConnectError as error:
            raise _unconnected(url, error) from error
        except httpx2.TimeoutException as error:
            raise Again(f"did not answer within {self.timeout_s:g} s") from error
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.StreamError) as error:
            if self._alarm.rang:
                raise Again(f"did not come to the end of its answer within {self.longest_s:g} s") from error
            raise Again("broke off in the middle of its answer") from error


@cache
def _certificates(trust_env: bool) -> ssl.SSLContext:
    """Those that prove who a server is; reading them takes longer than most answers."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=trust_env)


def _body(response: httpx2.Response, limit_bytes: int, cut: bool) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > limit_bytes and cut:
            return bytes(body[:limit_bytes])
        if len(body) > limit_bytes:
            raise NetworkTrouble(
                f"{name_of(str(response.url))} answered with more than {limit_bytes / 1e6:.1f} MB.",
                why="Nothing that we ask for is that long.",
                next="check the name",
            )
    return bytes(body)


def _unconnected(url: str, error: BaseException) -> Exception:
    """A wrong certificate stays wrong; an unknown name may be a network that is down for a moment."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NetworkTrouble(
                f"{name_of(url)} can't prove that it is that server: {cause.verify_message}.",
                next="check the name, and the clock of this machine",
            )
        if isinstance(cause, socket.gaierror):
            is_unknown = cause.errno == socket.EAI_NONAME  # a name server that is down says something else
            return Again(
                "can't be found (is the name right, and this machine online?)", tries=3 if is_unknown else TRIES
            )
        cause = cause.__cause__ or cause.__context__
    return Again("could not be reached")


class _Alarm:
    """Shuts all connections when an answer has taken too long."""

    def __init__(self) -> None:
        self.rang = False
        self._sockets: list[socket.socket] = []

    def note(self, event: str, info: Mapping[str, object]) -> None:
        """Called by the library at every step; remembers the connections it makes."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            found = getattr(info.get("return_value"), "get_extra_info", lambda name: None)("socket")
            self._sockets = [known for known in self._sockets if known.fileno() != -1]
            if isinstance(found, socket.socket):
                self._sockets.append(found)
            if self.rang:  # while the connection was still being made
                self._ring()

    @contextlib.contextmanager
    def set(self, seconds: float) -> Iterator[None]:
        self.rang = False
        timer = threading.Timer(seconds, self._ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if self.rang:  # an answer whose end is the end of its connection looks whole
            raise Again(f"did not come to the end of its answer within {seconds:g} s")

    def _ring(self) -> None:
        self.rang = True
        for known in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(known, socket.SHUT_RDWR)  # not the TLS one's own, which would drop its state
