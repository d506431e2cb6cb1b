"""The same for gradio_client, at /gradio. In: calls of `bots`, `generate`, `make` and `job`. Out: what the API gives.

    from gradio_client import Client
    Client("http://127.0.0.1:7860/gradio/").predict("nasa", "My dream is", api_name="/generate")

- Gradio takes seconds and 170 MB to load, so it is loaded by whoever knocks first, in a thread.
- Of its many addresses only those pass that a client needs: no uploads, files, proxies, pages or monitoring of its own.
- Login, limits and origin are the guard's, as everywhere; Gradio's own are off, and so are its statistics.

Not covered: guests making bots. A guest is known by a cookie, and gradio_client keeps none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from huggingtweets.config import DEFAULT_PROMPT
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.voice import Piece
from huggingtweets.web import bodies, orders, sharing
from huggingtweets.web.answers import Refusal, error_json, not_found
from huggingtweets.web.api import MOST_BOTS
from huggingtweets.web.records import Visitor
from huggingtweets.web.services import Web
from huggingtweets.web.speaking import Done, DrawRequest

PATH = "/gradio"
SIGN_S = 1.0
SHOW_EVERY_S = 0.2  # Gradio sends all texts each time
AT_ONCE = 64  # calls that Gradio lets in; the speaker's own line makes them wait

_API = "/gradio_api"
_ALLOWED = (
    ("GET", re.compile(r"/config/?")),
    ("GET", re.compile(rf"{_API}/info/?")),
    ("GET", re.compile(rf"{_API}/(?:queue/data|heartbeat/[\w-]+)")),
    ("POST", re.compile(rf"{_API}/(?:queue/join|cancel|reset)/?")),
    ("POST", re.compile(rf"{_API}/call/\w+/?")),
    ("GET", re.compile(rf"{_API}/call/\w+/[\w-]+")),
)


class Door:
    """An ASGI app that becomes Gradio when it is first needed."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._app: asyncio.Future[FastAPI] | None = None
        self._life: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def mount(self) -> Mount:
        return Mount(PATH, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_allowed(scope["method"], scope["path"].removeprefix(PATH)):
            raise not_found()
        if self._app is None:
            self._app = asyncio.get_running_loop().create_future()
            self._life = asyncio.create_task(self._live(self._app))
        if scope["path"].rstrip("/") == f"{PATH}/config" and not self._app.done():
            scope, send = await _kept_waiting(self._app, scope, send)
        app = await asyncio.shield(self._app)
        # Gradio stands in an app of its own, which must not think that it is mounted twice.
        await app({**scope, "root_path": scope.get("app_root_path", "")}, receive, send)

    async def close(self) -> None:
        self._over.set()
        if self._life is not None:
            await self._life

    async def _live(self, opened: asyncio.Future[FastAPI]) -> None:
        """One task from its start to its end, as Gradio's own life asks."""
        try:
            app = await anyio.to_thread.run_sync(_load, self._web)
            async with app.router.lifespan_context(app):
                opened.set_result(app)
                await self._over.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)


async def _kept_waiting(opened: asyncio.Future[FastAPI], scope: Scope, send: Send) -> tuple[Scope, Send]:
    """Says the first of the answer, white space, while Gradio loads: gradio_client waits 5 seconds for a sign of life.

    What is left to say can be said through the `send` that comes back.
    """
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    while not (await asyncio.wait({opened}, timeout=SIGN_S))[0]:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})

    async def send_rest(message: Message) -> None:
        if message["type"] == "http.response.body":
            await send(message)

    as_is = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
    return {**scope, "headers": as_is}, send_rest


def is_allowed(method: str, path: str) -> bool:
    """
    >>> is_allowed("GET", "/config"), is_allowed("POST", "/gradio_api/call/generate"), is_allowed("GET", "/config/../x")
    (True, True, False)
    >>> is_allowed("GET", "/gradio_api/file=/etc/passwd"), is_allowed("POST", "/gradio_api/upload")
    (False, False)
    """
    return any(method == known and pattern.fullmatch(path) for known, pattern in _ALLOWED)


def _load(web: Web) -> FastAPI:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read at import
    from gradio import mount_gradio_app

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    off: dict[str, Any] = dict.fromkeys(("ssr_mode", "mcp_server", "enable_monitoring", "run_history"), False)
    mount_gradio_app(app, _blocks(web), PATH, show_error=False, **off)  # a gr.Error is shown all the same
    return app


def _blocks(web: Web) -> Any:
    from gradio import Blocks, Request
    from gradio.events import api

    calls = Calls(web)
    public: list[Any] = [calls.bots, calls.generate, calls.make, calls.job]
    with Blocks(title="huggingtweets", analytics_enabled=False) as blocks:
        for call in public:
            if "request" in call.__annotations__:  # by its type Gradio knows that no client sends it
                call.__func__.__annotations__["request"] = Request
            api(call, api_name=call.__name__, concurrency_limit=AT_ONCE)
    return blocks.queue(max_size=AT_ONCE)


@dataclass(frozen=True)
class Calls:
    """What a client may call: Gradio shows it their names, types, defaults and docstrings."""

    web: Web

    def bots(self, search: str = "", offset: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """The bots here whose name holds `search`, by name."""
        found = sharing.bots_found(self.web.settings, search)
        return sharing.bot_views(self.web.store, found[max(0, offset) :][: max(1, min(limit, MOST_BOTS))])

    async def generate(
        self,
        bot: str,
        start: str = DEFAULT_PROMPT,
        n: int = 10,
        seed: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_length: int | None = None,
        request: Any = None,
    ) -> AsyncGenerator[list[str]]:
        """Posts that begin with `start`: all of them, again and again while they grow."""
        with _told():
            asked = bodies.Asked(
                start=start, n=n, seed=seed, temperature=temperature, top_p=top_p, max_length=max_length
            )
            async with contextlib.aclosing(self._growing(bot, asked, _visitor(request))) as growing:
                async for texts in growing:
                    yield texts

    async def _growing(self, name: str, asked: bodies.Asked, visitor: Visitor) -> AsyncGenerator[list[str]]:
        found = await anyio.to_thread.run_sync(sharing.bot_named, self.web.settings, name)
        drawing = self.web.speaker.draw(found, DrawRequest(**asked.model_dump()), visitor.id)
        loop, told_at, texts = asyncio.get_running_loop(), 0.0, [""] * asked.n
        async with contextlib.aclosing(drawing) as events:
            async for event in events:
                if isinstance(event, Done):
                    yield [prediction.text for prediction in event.predictions]
                elif isinstance(event, Piece):
                    texts[event.post] += event.text
                    if loop.time() - told_at >= SHOW_EVERY_S:
                        told_at = loop.time()
                        yield list(texts)

    def make(
        self,
        accounts: list[str],
        name: str | None = None,
        base: str | None = None,
        minutes: float | None = None,
        mine: bool = False,
        permission: str | None = None,
        terms: bool = False,
        price: bool = False,
        request: Any = None,
    ) -> dict[str, Any]:
        """A bot of one to three accounts, made to its end; `job` tells how far it is."""
        with _told():
            visitor, web = _visitor(request), self.web
            if visitor.is_guest:
                raise Refusal("login_needed", "Guests make bots on this server's own page.")
            word = bodies.Said(mine=mine, permission=permission, terms=terms, price=price)
            asked = bodies.Ordered(accounts=accounts, name=name, base=base, minutes=minutes, straight=True, word=word)
            return sharing.job_view(web.store, orders.order(web.settings, web.store, visitor, **asked.model_dump()))

    def job(self, id: str, request: Any = None) -> dict[str, Any]:
        """How far a bot of yours is."""
        with _told():
            visitor, job = _visitor(request), self.web.store.job(str(id))
            if job is None or not (visitor.admin or job.owner == visitor.id):
                raise not_found("There is no such job.")
            return sharing.job_view(self.web.store, job)


def _visitor(request: Any) -> Visitor:
    """Whom the guard let in."""
    visitor = request.request.state.visitor
    assert isinstance(visitor, Visitor)
    return visitor


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is ours to say reaches the client as Gradio's error; a bug stays in the log."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        raise _sentence(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    except HuggingtweetsError as error:
        told = error_json(error)
        raise _sentence("\n".join(filter(None, (told["what"], told["why"], told["next"])))) from error


def _sentence(text: str) -> Exception:
    import gradio

    error: Exception = gradio.Error(text, print_exception=False)
    return error
