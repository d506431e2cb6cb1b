"""All of it together. In: settings. Out: the app, guarded, with its queue at work while it runs.

Every error, whoever raised it, leaves in the one shape of `answers`; a bug is `internal` to a browser, and a traceback
in the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

import huggingtweets
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.web import api, bot_pages, manual, pages
from huggingtweets.web.answers import INTERNAL, Refusal, code_of, error_json, not_found, status_of
from huggingtweets.web.gradio_door import Door
from huggingtweets.web.guard import Guard
from huggingtweets.web.html import Static, render
from huggingtweets.web.services import Web
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store

_STATUS_CODES = {404: "not_found", 405: "bad_request", 403: "not_allowed", 413: "too_large"}


@dataclass(frozen=True)
class Server:
    """The app, and what stands before it."""

    web: Web
    pages: FastAPI
    guarded: ASGIApp


def build(settings: WebSettings, store: Store | None = None) -> Server:
    """Raises StorageError and SettingsError. The store is closed when the app ends, if it was opened here."""
    web = Web.of(settings, store or Store.open(settings.database_url))

    door = Door(web)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        web.queue.start()
        yield
        await door.close()
        web.queue.stop()
        await web.speaker.close()
        if store is None:
            web.store.close()

    app = FastAPI(
        title="huggingtweets",
        version=huggingtweets.__version__,
        description="Make a bot of an account's posts, let it write, share what it wrote.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # these load their looks from elsewhere
        redoc_url=None,
        lifespan=running,
    )
    app.state.web = web
    app.include_router(api.router)
    app.include_router(manual.router)
    app.include_router(pages.router)
    app.router.routes.append(door.mount())
    app.mount("/static", GZipMiddleware(Static(), minimum_size=500))
    app.include_router(bot_pages.router)  # last: any first segment may be a bot's name
    _answer_errors(app)

    async def refuse(request: Request, refusal: Exception) -> Response:
        request.scope.setdefault("app", app)  # the guard stands before it
        return await answer(request, refusal)

    return Server(web, app, Guard(app, settings, web.store, web.limits, refuse))


async def answer(request: Request, error: Exception) -> Response:
    """An error of ours, in its shape; to a person as a page, or as the way to the login."""
    wait_s = error.retry_after_s if isinstance(error, Refusal) else None
    headers = {"Retry-After": str(wait_s)} if wait_s is not None else {}
    if code_of(error) == "login_needed":
        if _wants_page(request) and request.method == "GET":
            asked = f"{request.url.path}?{request.url.query}".rstrip("?")
            return RedirectResponse(f"/login?{urlencode({'next': asked})}", 303)
        headers["WWW-Authenticate"] = "Bearer"
    return _told(request, error_json(error), status_of(error), headers)


def _told(
    request: Request, error: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    if not _wants_page(request):
        return JSONResponse({"error": error}, status, headers)
    page = render(request, "error.html", status, error=error, status=status)
    page.headers.update(headers or {})
    return page


def _wants_page(request: Request) -> bool:
    is_api = request.url.path.startswith(("/api/", "/gradio"))
    return not is_api and "text/html" in request.headers.get("accept", "")


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an address nobody serves, a method."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, HuggingtweetsError):  # of ours, wrapped where the body was read
        return await answer(request, error.__cause__)
    told = (
        not_found()
        if error.status_code == 404
        else Refusal(_STATUS_CODES.get(error.status_code, "bad_request"), str(error.detail))
    )
    return _told(request, error_json(told), error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """What was sent has another shape than is documented; says where, and repeats nothing of it."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return await answer(request, Refusal("bad_request", f"{where or 'The request'}: {first['msg']}."))


async def _bug(request: Request, error: Exception) -> Response:
    return _told(request, INTERNAL, 500)


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(HuggingtweetsError, answer)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)
