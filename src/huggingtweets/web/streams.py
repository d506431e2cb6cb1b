"""Server-sent events. In: names and JSON values as they come. Out: a stream that a browser's EventSource reads.

A comment every few seconds keeps proxies from closing a stream in which nothing happens. What goes wrong once it
flows is its last event, `error`, in the shape of every error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import traceback
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import StreamingResponse

from huggingtweets.errors import HuggingtweetsError
from huggingtweets.web.answers import error_json

QUIET_S = 15.0

Named = tuple[str, Any]


def stream(events: AsyncGenerator[Named]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(events), media_type="text/event-stream", headers=headers)


async def _lines(events: AsyncGenerator[Named]) -> AsyncGenerator[str]:
    async with contextlib.aclosing(events):
        try:
            async for line in _with_signs_of_life(events):
                yield line
        except HuggingtweetsError as error:
            yield _line("error", {"error": error_json(error)})
        except Exception as error:
            traceback.print_exc()
            yield _line("error", {"error": error_json(error)})


async def _with_signs_of_life(events: AsyncGenerator[Named]) -> AsyncGenerator[str]:
    coming: asyncio.Task[Named] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(events))
            done, _ = await asyncio.wait({coming}, timeout=QUIET_S)
            if not done:
                yield ": still here\n\n"
                continue
            try:
                name, value = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield _line(name, value)
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming


async def _next(events: AsyncGenerator[Named]) -> Named:
    return await anext(events)


def _line(name: str, value: Any) -> str:
    r"""
    >>> _line("piece", {"post": 0, "text": "a\nb"})
    'event: piece\ndata: {"post": 0, "text": "a\\nb"}\n\n'
    """
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
