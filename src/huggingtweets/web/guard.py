"""Who may do what, and what a browser may load. In: every request, before anything else sees it. Out: the request with
its visitor, or a refusal; and each answer with the headers that keep a page to itself.

- *Host*: only names this server is known by, else a foreign page could reach it under its own name (DNS rebinding).
- *Origin*: what changes something must come from our own pages or from no page at all, such as curl: by
  `Sec-Fetch-Site`, else by `Origin` (OWASP's fetch metadata policy). A cookie without either is refused. So no form
  needs a token, on loopback neither.
- *Visitor*: on loopback the owner. Else a user, by a session's cookie or a token (`Authorization: Bearer`); where the
  server is open, a guest, by a cookie that only tells one guest from another.
- Without a login one may see what was shared: a prediction's page and picture, and what these load. Nothing else.
- Bodies are counted as they arrive, files too: a form is read to its end before anybody may look at one file of it.

A pure ASGI layer, since Starlette's own base class holds streams back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huggingtweets.config import MAX_ACCOUNTS
from huggingtweets.web.answers import Refusal
from huggingtweets.web.keys import digest_of
from huggingtweets.web.limiting import Deed, Limits, household
from huggingtweets.web.records import Visitor, new_id
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from huggingtweets.web.uploads import most_bytes

SESSION, GUEST = "session", "guest"  # cookies
GUEST_S = 365 * 24 * 3600
BODY_BYTES = 64_000  # of everything but an upload
UPLOADS = {"/api/v1/uploads", "/make"}  # where files arrive
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
SAFE = {"GET", "HEAD", "OPTIONS"}

CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}

_ID = "[0-9A-Za-z]{10}"
_SHARED = re.compile(rf"/[^/]+/{_ID}(?:\.png|/report)?|/static/.*|/login|/about|/robots\.txt|/favicon\.ico")
_PICTURE = re.compile(rf"/[^/]+/{_ID}\.png")
_GUEST_ID = re.compile(r"[0-9A-Za-z]{12}")

DEEDS: tuple[tuple[str, re.Pattern[str], Deed], ...] = (
    ("POST", re.compile(r"/api/v1/bots/[^/]+/predictions"), "draw"),
    ("POST", re.compile(r"/gradio/gradio_api/(?:queue/join|call/\w+)/?"), "draw"),
    ("POST", re.compile(r"/(?!make$|login$|logout$)[^/]+"), "draw"),  # a bot's own page
    ("POST", re.compile(r"/login"), "login"),
    ("POST", re.compile(r"/api/v1/uploads"), "upload"),
    ("POST", re.compile(r"/api/v1/jobs|/make"), "order"),
    ("POST", re.compile(r"/api/v1/predictions/[^/]+/report|/[^/]+/[^/]+/report"), "report"),
)

Refuse = Callable[[Request, Refusal], Awaitable[Response]]


def visitor_of(request: HTTPConnection) -> Visitor:
    """Whom the guard let in."""
    visitor = request.state.visitor
    assert isinstance(visitor, Visitor)
    return visitor


@dataclass(frozen=True)
class Guard:
    """The outermost layer of the app; `refuse` makes an answer of a refusal."""

    app: ASGIApp
    settings: WebSettings
    store: Store
    limits: Limits
    refuse: Refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # no page of ours opens a WebSocket
            return await send({"type": "websocket.close", "code": 1008})
        request = Request(scope, receive)
        new_guest, most = "", BODY_BYTES
        try:
            self._check_host(request.headers)
            self._check_origin(request)
            visitor = await self._visitor(request)
            if visitor is None:
                new_guest = new_id()
                visitor = Visitor(f"guest:{new_guest}", admin=False)
            request.state.visitor = visitor
            self._check_login(request.url.path, visitor)
            await self._count(request, visitor)
            most = self._most_bytes(request.url.path, visitor)
        except Refusal as refusal:
            app: ASGIApp = await self.refuse(request, refusal)
        else:
            app = self.app
        await app(scope, self._counted(most, receive), self._with_headers(request, new_guest, send))

    # who it is

    async def _visitor(self, request: Request) -> Visitor | None:
        """None: somebody new, where guests are welcome."""
        if self.settings.is_loopback:
            return Visitor()
        if (key := _key_of(request)) is not None:
            user = await anyio.to_thread.run_sync(self.store.user_of_key, digest_of(key), time.time())
            if user is not None:
                return Visitor(f"user:{user.name}", user.admin, user.name)
        if self.settings.needs_login:
            return Visitor("guest:", admin=False)
        guest = request.cookies.get(GUEST, "")
        return Visitor(f"guest:{guest}", admin=False) if _GUEST_ID.fullmatch(guest) else None

    def _check_login(self, path: str, visitor: Visitor) -> None:
        if self.settings.needs_login and visitor.is_guest and not _SHARED.fullmatch(path):
            raise Refusal("login_needed", "This needs a login.")

    async def _count(self, request: Request, visitor: Visitor) -> None:
        if self.settings.is_loopback:
            return
        for method, pattern, deed in DEEDS:
            if request.method == method and pattern.fullmatch(request.url.path):
                by_name = not visitor.is_guest and deed != "login"
                await self.limits.count(deed, visitor.id if by_name else household(self._address(request)))

    def _address(self, request: Request) -> str:
        """Of whoever asks; a proxy that is known is believed, as far as its own hop."""
        address = request.client.host if request.client else ""
        told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return told if told and address in self.settings.proxies else address

    # where it comes from

    def _check_host(self, headers: Headers) -> None:
        host = _host_of(headers.get("host", ""))
        if self.settings.host in ("0.0.0.0", "::", "") and not self.settings.public_url:
            return  # whoever binds to every address is known by names we can't know; a login stands before all of it
        named = urlsplit(self.settings.public_url or "").hostname
        if host not in {*LOOPBACK_NAMES, self.settings.host.lower(), named}:
            raise Refusal("not_allowed", "This server is not known by that name.", next="Use the address it told.")

    def _check_origin(self, request: Request) -> None:
        if request.method in SAFE:
            return
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is not None:
            is_ours = site in ("same-origin", "none")
        elif origin is not None:
            ours = {request.headers.get("host", "").lower(), urlsplit(self.settings.public_url or "").netloc.lower()}
            is_ours = urlsplit(origin).netloc.lower() in ours - {""}
        else:  # no browser; but whoever brings a browser's cookie is one
            is_ours = SESSION not in request.cookies
        if not is_ours:
            raise Refusal("not_allowed", "That came from a page of another site.", next="Do it from our own pages.")

    # what goes through

    def _most_bytes(self, path: str, visitor: Visitor) -> int:
        files = MAX_ACCOUNTS * most_bytes(self.settings, visitor) if path in UPLOADS else 0
        return files + BODY_BYTES

    def _counted(self, most: int, receive: Receive) -> Receive:
        seen = 0

        async def count() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise Refusal("too_large", f"A request may have at most {most:,} bytes here.")
            return message

        return count

    def _with_headers(self, request: Request, new_guest: str, send: Send) -> Send:
        path, encrypted = request.url.path, is_https(self.settings, request)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                _set(headers, HEADERS.items())
                embeddable = _PICTURE.fullmatch(path)  # by whoever shares it
                headers["Cross-Origin-Resource-Policy"] = "cross-origin" if embeddable else "same-origin"
                if encrypted:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if new_guest:
                    headers.append("Set-Cookie", cookie(GUEST, new_guest, GUEST_S, encrypted))
            await send(message)

        return tell


def is_https(settings: WebSettings, request: Request) -> bool:
    """Whether the visitor's own connection is encrypted, as far as this server can know."""
    return (settings.public_url or str(request.url)).startswith("https://")


def cookie(name: str, value: str, seconds: int, is_https: bool) -> str:
    """One that no script reads and no other site sends along.

    >>> cookie("guest", "abc", 60, is_https=True)
    'guest=abc; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure'
    """
    return f"{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if is_https else ''}"


def _set(headers: MutableHeaders, values: Iterable[tuple[str, str]]) -> None:
    for name, value in values:
        headers[name] = value


def _key_of(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.cookies.get(SESSION)


def _host_of(header: str) -> str:
    """
    >>> _host_of("LOCALHOST:7860"), _host_of("[::1]:7860"), _host_of("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
