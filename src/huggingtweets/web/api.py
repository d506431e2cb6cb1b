"""The HTTP API, under /api/v1: everything the pages do. In: JSON. Out: JSON, events, or an error of one shape.

- A job is its owner's and an admin's; to everybody else it is not there.
- What waits (drawings, jobs' changes) is async and takes no thread; what asks the database or a folder runs in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Query, Request, Response, UploadFile

from huggingtweets.web import bodies, orders, sharing
from huggingtweets.web.answers import not_found
from huggingtweets.web.guard import visitor_of
from huggingtweets.web.records import OVER, BotRow, Complaint, Job, Prediction, Visitor
from huggingtweets.web.services import Web, web_of
from huggingtweets.web.speaking import Done, DrawRequest, Queued, Started
from huggingtweets.web.streams import Named, stream
from huggingtweets.web.uploads import save_upload

LOOK_S = 0.5  # how often a job is looked at while somebody watches
CHUNK_BYTES = 1 << 20
MOST_BOTS = 500  # at once
RESTS = {*OVER, "word", "ready"}  # states in which nothing happens by itself

router = APIRouter(
    prefix="/api/v1", responses={"default": {"model": bodies.Trouble, "description": "What went wrong."}}
)

Services = Annotated[Web, Depends(web_of)]
Who = Annotated[Visitor, Depends(visitor_of)]


def _admin(visitor: Who) -> Visitor:
    if not visitor.admin:
        raise not_found()
    return visitor


Admin = Annotated[Visitor, Depends(_admin)]


def _job(id: str, web: Services, visitor: Who) -> Job:
    job = web.store.job(id)
    if job is None or not (visitor.admin or job.owner == visitor.id):
        raise not_found("There is no such job.")
    return job


def _prediction(id: str, web: Services) -> Prediction:
    found = web.store.prediction(id)
    if found is None or found.hidden:
        raise not_found("There is no such prediction.")
    return found


TheJob = Annotated[Job, Depends(_job)]
ThePrediction = Annotated[Prediction, Depends(_prediction)]


@router.get("/me")
def me(web: Services, visitor: Who) -> dict[str, Any]:
    """Who you are here, and what there is to choose from."""
    settings = web.settings
    offered = {name: getattr(settings, name) for name in ("minutes", "upload_bytes", "most_posts")}
    bases = [sharing.base_name(base) for base in settings.bases]
    told = {"id": visitor.id, "name": visitor.name, "admin": visitor.admin, "login": settings.needs_login}
    return {"visitor": told, "settings": {**offered, "bases": bases, "base": sharing.base_name(settings.base)}}


# --- bots and what they write -------------------------------------------------------------------------------------


@router.get("/bots", response_model=bodies.Bots)
def bots(
    web: Services,
    q: Annotated[str, Query(max_length=100, description="Part of a name.")] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_BOTS)] = 100,
) -> dict[str, Any]:
    """By name."""
    found = sharing.bots_found(web.settings, q)
    return {"bots": sharing.bot_views(web.store, found[offset : offset + limit]), "total": len(found)}


@router.get("/fleet")
def fleet(web: Services) -> dict[str, bodies.FleetView | None]:
    """The fleet that makes bots here at the moment (`huggingtweets fleet`)."""
    view = sharing.fleet_view(web.settings)
    return {"fleet": None if view is None else bodies.FleetView(**view)}


@router.get("/bots/{name}", response_model=bodies.BotView)
def bot(name: str, web: Services) -> dict[str, Any]:
    return sharing.bot_view(web.store, sharing.bot_named(web.settings, name))


@router.patch("/bots/{name}", response_model=bodies.BotView)
def change_bot(name: str, body: bodies.Listed, web: Services, visitor: Who) -> dict[str, Any]:
    """Only for whoever made it, and admins."""
    found = sharing.bot_named(web.settings, name)
    row = _manage(web, visitor, found.name)
    web.store.put_bot(BotRow(row.bot, row.owner, body.published))
    return sharing.bot_view(web.store, found)


def _manage(web: Web, visitor: Visitor, bot: str) -> BotRow:
    row = web.store.bot(bot) or BotRow(bot)
    if not (visitor.admin or row.owner == visitor.id):
        raise not_found("There is no such bot of yours.")
    return row


@router.post("/bots/{name}/predictions", status_code=201, response_model=bodies.Drawn)
async def draw(
    name: str,
    body: bodies.Asked,
    request: Request,
    web: Services,
    visitor: Who,
    as_stream: Annotated[bool, Query(alias="stream")] = False,
) -> Any:
    """Ten new posts. With `Accept: text/event-stream` piece by piece: queued, start, piece, then done or error."""
    found = await anyio.to_thread.run_sync(sharing.bot_named, web.settings, name)
    events = _drawing(web, found, DrawRequest(**body.model_dump()), visitor)
    if as_stream or "text/event-stream" in request.headers.get("accept", ""):
        return stream(events)
    return [value async for _, value in events][-1]


async def _drawing(web: Web, bot: Any, asked: DrawRequest, visitor: Visitor) -> AsyncGenerator[Named]:
    seed = 0
    async for event in web.speaker.draw(bot, asked, visitor.id):
        if isinstance(event, Queued):
            yield "queued", {"ahead": event.ahead}
        elif isinstance(event, Started):
            seed = event.seed
            yield "start", {"draw": event.draw, "seed": event.seed, "n": event.n}
        elif isinstance(event, Done):
            views = await anyio.to_thread.run_sync(sharing.prediction_views, bot, event.predictions)
            yield "done", {"draw": event.predictions[0].draw, "seed": seed, "predictions": views}
        else:
            yield "piece", {"post": event.post, "text": event.text}


@router.get("/bots/{name}/predictions")
def predictions(
    name: str, web: Services, limit: Annotated[int, Query(ge=1, le=200)] = 50, before: float | None = None
) -> dict[str, list[bodies.PredictionView]]:
    """The newest first; `before` is the `created` of the last one seen."""
    found = sharing.bot_named(web.settings, name)
    rows = web.store.predictions(found.name, limit=limit, before=before)
    return {"predictions": [bodies.PredictionView(**view) for view in sharing.prediction_views(found, rows)]}


@router.get("/predictions/{id}", response_model=bodies.PredictionView)
def prediction(found: ThePrediction, web: Services) -> dict[str, Any]:
    return sharing.prediction_view(sharing.bot_named(web.settings, found.bot), found)


@router.post("/predictions/{id}/preview", response_model=bodies.BotView)
def make_preview(found: ThePrediction, web: Services, visitor: Who) -> dict[str, Any]:
    """It becomes the bot's picture."""
    _manage(web, visitor, found.bot)
    bot = sharing.bot_named(web.settings, found.bot)
    sharing.make_preview(bot, found)
    return sharing.bot_view(web.store, bot)


@router.patch("/predictions/{id}", response_model=bodies.PredictionView)
def change_prediction(id: str, body: bodies.Hidden, web: Services, visitor: Who) -> dict[str, Any]:
    """Takes it down, or shows it again."""
    found = web.store.prediction(id)
    if found is None:
        raise not_found("There is no such prediction.")
    _manage(web, visitor, found.bot)
    sharing.hide(web.settings, web.store, found, body.hidden)
    return sharing.prediction_view(sharing.bot_named(web.settings, found.bot), found)


@router.post("/predictions/{id}/report", status_code=201)
def report(found: ThePrediction, body: bodies.Reported, web: Services) -> dict[str, str]:
    """Whoever runs the server is asked to take it down."""
    kept = web.store.add_complaint(Complaint(found.bot, found.id, body.reason, body.contact))
    return {"report": kept.id}


# --- making bots --------------------------------------------------------------------------------------------------


@router.post("/uploads", status_code=201)
async def upload(file: UploadFile, web: Services, visitor: Who) -> dict[str, Any]:
    """An archive, an export or a file of posts."""
    kept = await save_upload(web.settings, visitor, file.filename or "", chunks_of(file))
    return {"upload": kept.id, "name": kept.name, "size_bytes": kept.size_bytes}


async def chunks_of(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


@router.post("/jobs", status_code=201, response_model=bodies.JobView)
def order(body: bodies.Ordered, web: Services, visitor: Who) -> dict[str, Any]:
    """A bot to be made; it is read first, and trained once you have seen its posts."""
    asked = {**body.model_dump(), "base": base_of(web, body.base)}
    return sharing.job_view(web.store, orders.order(web.settings, web.store, visitor, **asked))


def base_of(web: Web, name: str | None) -> str | None:
    """A base that is a folder of the server's goes by its last name outside."""
    return next((base for base in web.settings.bases if name in (base, sharing.base_name(base))), name)


@router.get("/jobs")
def jobs(web: Services, visitor: Who) -> dict[str, list[bodies.JobView]]:
    """Your own; an admin sees all."""
    found = web.store.jobs(owner=None if visitor.admin else visitor.id)
    return {"jobs": [bodies.JobView(**sharing.job_view(web.store, job)) for job in found]}


@router.get("/jobs/{id}", response_model=bodies.JobView)
def job(found: TheJob, web: Services) -> dict[str, Any]:
    return sharing.job_view(web.store, found)


@router.get("/jobs/{id}/events")
async def watch(found: TheJob, web: Services) -> Response:
    """The job, at once and whenever it changes, until nothing more happens by itself."""
    return stream(_changes(web, found.id))


async def _changes(web: Web, id: str) -> AsyncGenerator[Named]:
    seen: dict[str, Any] | None = None
    while (job := await anyio.to_thread.run_sync(web.store.job, id)) is not None:
        view = await anyio.to_thread.run_sync(sharing.job_view, web.store, job)
        if view != seen:
            yield "job", view
        if job.state in RESTS:
            return
        seen = view
        await asyncio.sleep(LOOK_S)


@router.post("/jobs/{id}/word", response_model=bodies.JobView)
def say(found: TheJob, body: bodies.Said, web: Services) -> dict[str, Any]:
    """Answers what the consent gate asked."""
    return sharing.job_view(web.store, orders.answer_word(web.store, found, body.model_dump()))


@router.post("/jobs/{id}/train", response_model=bodies.JobView)
def train(found: TheJob, body: bodies.Trained, web: Services) -> dict[str, Any]:
    moved = orders.train(web.settings, web.store, found, minutes=body.minutes, base=base_of(web, body.base))
    return sharing.job_view(web.store, moved)


@router.post("/jobs/{id}/cancel", response_model=bodies.JobView)
def cancel(found: TheJob, web: Services) -> dict[str, Any]:
    return sharing.job_view(web.store, orders.cancel(web.store, found))


@router.post("/jobs/{id}/retry", response_model=bodies.JobView)
def retry(found: TheJob, web: Services) -> dict[str, Any]:
    return sharing.job_view(web.store, orders.retry(web.settings, web.store, found))


# --- for admins ---------------------------------------------------------------------------------------------------


@router.get("/reports")
def reports(web: Services, admin: Admin) -> dict[str, Any]:
    return {"reports": web.store.complaints()}


@router.post("/reports/{id}")
def settle(id: str, body: bodies.Settled, web: Services, admin: Admin) -> dict[str, Any]:
    """hide: the prediction. forget: every bot of the account. dismiss: nothing."""
    complaint = web.store.complaint(id)
    if complaint is None:
        raise not_found("There is no such report.")
    return {"report": sharing.settle(web.settings, web.store, complaint, body.action)}


@router.post("/forget")
def forget(body: bodies.Account, web: Services, admin: Admin) -> dict[str, list[str]]:
    """Every bot of an account goes, and it can't be made again by accident."""
    done = sharing.forget_account(web.settings, web.store, body.account)
    return {"bots": [path.replace("\\", "/").rpartition("/")[2] for path in done.bots], "published": [*done.published]}
