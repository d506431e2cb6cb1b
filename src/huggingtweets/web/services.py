"""What every page and endpoint works with, made once per server and handed over by the request."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from huggingtweets.web.jobs import Queue
from huggingtweets.web.limiting import Limits
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.speaking import Speaker
from huggingtweets.web.store import Store


@dataclass(frozen=True)
class Web:
    """One server's parts."""

    settings: WebSettings
    store: Store
    queue: Queue
    speaker: Speaker
    limits: Limits

    @classmethod
    def of(cls, settings: WebSettings, store: Store) -> Web:
        return cls(settings, store, Queue(settings, store), Speaker(settings, store), Limits.of(settings))


def web_of(request: HTTPConnection) -> Web:
    web = request.app.state.web
    assert isinstance(web, Web)
    return web
