"""Making bots, and the small pages: home, a job, login, reports, about. In: requests. Out: whole pages, or the way on.

- Every page is whole without a script: forms post, a job's page asks for itself anew. Scripts only make it livelier.
- A mistake in a form gives the form back as it was filled, with what is wrong, in the status of the error.
- What a form does is what the API does; only the shape differs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from huggingtweets.errors import HuggingtweetsError, SettingsError
from huggingtweets.web import orders, sharing
from huggingtweets.web.answers import error_json, not_found, status_of
from huggingtweets.web.api import TheJob, base_of, chunks_of
from huggingtweets.web.curve import curve_of
from huggingtweets.web.guard import SESSION, cookie, is_https, visitor_of
from huggingtweets.web.html import render, static
from huggingtweets.web.keys import SESSION_S, digest_of, log_in
from huggingtweets.web.records import Job, Visitor
from huggingtweets.web.services import Web, web_of
from huggingtweets.web.uploads import most_bytes, save_upload

RECENT = 6  # bots on the first page
MINUTES = (1, 3, 5, 10, 30, 60)
BASES = {"gpt2": "GPT-2 (needs the Hub once)", "smollm2": "SmolLM2 135M (already here)"}
STEPS = {"read": "Read", "look": "Look", "train": "Learn", "done": "Speak"}
MOVES = {"queued", "reading", "waiting", "training"}
STEP_OF = {"queued": 0, "reading": 0, "word": 0, "ready": 1, "waiting": 2, "training": 2, "done": 3}
TITLES = {
    "queued": "Waiting to read",
    "word": "One question first",
    "ready": "Read. Shall it learn?",
    "waiting": "Waiting to learn",
    "done": "Ready to speak",
    "failed": "That did not work",
    "cancelled": "Stopped",
}
PHASES = {
    "download": "Fetching the posts",
    "build": "Sorting the posts",
    "train": "Learning",
    "evaluate": "Taking the exam",
    "card": "Writing its card",
}
DROPPED = {"short": "too short", "joined": "joined to a thread"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Services = Annotated[Web, Depends(web_of)]
Who = Annotated[Visitor, Depends(visitor_of)]
Text = Annotated[str, Form()]


@router.get("/")
def home(request: Request, web: Services, visitor: Who) -> Response:
    return _home(request, web, visitor, {"base": sharing.base_name(web.settings.base)})


def _home(
    request: Request, web: Web, visitor: Visitor, typed: Mapping[str, str], error: Exception | None = None
) -> Response:
    recent = sharing.bot_views(web.store, sharing.newest_bots(web.settings)[:RECENT])
    known = {"accounts": "", "consent": "", "who": "", "name": "", "base": "", "minutes": ""}
    return render(
        request,
        "home.html",
        status_of(error) if error else 200,
        typed={**known, "minutes": _minutes_text(web.settings.minutes), **typed},
        upload_bytes=most_bytes(web.settings, visitor),
        bases=_bases(web),
        minutes=_minutes(web.settings.minutes),
        recent=[view for view in recent if view["trained"]],
        error=error_json(error) if error else None,
    )


@router.post("/make")
async def make(
    request: Request,
    web: Services,
    visitor: Who,
    accounts: Text = "",
    consent: Text = "",
    who: Text = "",
    name: Text = "",
    base: Text = "",
    minutes: Text = "",
) -> Response:
    """The form of the first page, where no script sends it."""
    typed = {"accounts": accounts, "consent": consent, "who": who, "name": name, "base": base, "minutes": minutes}
    try:
        uploads = [
            await save_upload(web.settings, visitor, file.filename or "", chunks_of(file))
            async for file in _files(request)
        ]

        def ordered() -> str:
            job = orders.order(
                web.settings,
                web.store,
                visitor,
                accounts=accounts.replace(",", " ").split(),
                uploads=[upload.id for upload in uploads],
                name=name.strip() or None,
                base=base_of(web, base or None),
                minutes=_number(minutes),
                word=_word(consent, who),
            )
            return job.id

        return RedirectResponse(f"/make/{await anyio.to_thread.run_sync(ordered)}", 303)
    except HuggingtweetsError as error:
        return await anyio.to_thread.run_sync(_home, request, web, visitor, typed, error)


async def _files(request: Request) -> AsyncIterator[UploadFile]:
    for file in (await request.form()).getlist("files"):
        if not isinstance(file, str) and file.filename:
            yield file  # type: ignore[misc]


# --- one bot being made -------------------------------------------------------------------------------------------


@router.get("/make/{id}")
def job_page(request: Request, job: TheJob, web: Services) -> Response:
    return _job_page(request, web, sharing.job_view(web.store, job))


def _job_page(request: Request, web: Web, job: dict[str, Any], error: Exception | None = None) -> Response:
    unknown: dict[str, Any] = {"warnings": [], "notices": [], "samples": [], "language": None, "copied": None}
    progress = {**unknown, **job["progress"]}
    bits = (progress.get("base_bits"), progress.get("bot_bits"))
    wrong = error_json(error) if error else job["error"]
    return render(
        request,
        "make.html",
        status_of(error) if error else 200,
        job={**job, "progress": progress},
        status=status_view(job),
        error=wrong if error or job["state"] in ("failed", "word") else None,
        needs=(job["error"] or {}).get("needs", ()),
        typed={"consent": "", "who": "", "minutes": _minutes_text(job["minutes"])},
        minutes=_minutes(job["minutes"]),
        curve=curve_of(progress.get("loss") or [], progress.get("steps")),
        scores=[
            {"who": who, "label": label, "bits": value}
            for who, label, value in zip(("base", "bot"), ("The base", "Your bot"), bits, strict=True)
        ]
        if None not in bits
        else [],
        gain=1 - bits[1] / bits[0] if bits[0] and bits[1] is not None else 0.0,
        table=counts_table(progress.get("counts") or {}),
    )


def status_view(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a job is at, in words: title, words, moves, steps.

    >>> progress = {"phase": "train", "seconds_left": 61.0, "step": 5, "steps": 90}
    >>> job = {"state": "training", "ahead": None, "progress": progress}
    >>> status_view(job)["title"], status_view(job)["words"]
    ('Learning', 'About 1 minute left in this phase. Step 5 of 90.')
    """
    state, progress = job["state"], job["progress"]
    at = STEP_OF.get(state, 2 if progress.get("lane") == "train" else 0)
    when = ["past" if place < at else "now" if place == at else "next" for place in range(len(STEPS))]
    return {
        "title": TITLES.get(state) or PHASES.get(progress.get("phase"), "Starting"),
        "words": _words(job),
        "moves": state in MOVES,
        "steps": [{"label": label, "when": one} for label, one in zip(STEPS.values(), when, strict=True)],
    }


def _words(job: Mapping[str, Any]) -> str:
    progress = job["progress"]
    if job["state"] in ("queued", "waiting"):
        ahead = job["ahead"] or 0
        return f"{ahead} {'other comes' if ahead == 1 else 'others come'} first." if ahead else "It is next."
    if job["state"] == "ready":
        return "Have a look at what it read. Training begins when you say so."
    if job["state"] not in MOVES:
        return ""
    left, steps = progress.get("seconds_left"), progress.get("steps")
    words = [f"About {spoken(left)} left in this phase."] if left is not None else []
    if steps and progress.get("phase") == "train":
        words.append(f"Step {progress.get('step', 0):,} of {steps:,}.")
    return " ".join(words)


def spoken(seconds: float) -> str:
    """
    >>> spoken(4), spoken(61), spoken(200), spoken(8000)
    ('5 seconds', '1 minute', '3 minutes', '2 hours')
    """
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(5, round(seconds / 5) * 5)} seconds"


def counts_table(counts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Rows that add up, a column for each account.

    >>> table = counts_table({"a": {"downloaded": 5, "kept": 3, "dropped": {"retweets": 2, "short": 0}}})
    >>> [(row["label"], row["sign"], row["values"]) for row in table["rows"]]
    [('downloaded', '', [5]), ('retweets', '−', [2]), ('kept', '', [3])]
    """
    if not counts:
        return None
    reasons = dict.fromkeys(reason for one in counts.values() for reason in one["dropped"])
    rows = [("total", "downloaded", "", [one["downloaded"] for one in counts.values()])]
    for reason in reasons:
        values = [one["dropped"].get(reason, 0) for one in counts.values()]
        if any(values):
            rows.append(("", DROPPED.get(reason, reason), "\N{MINUS SIGN}", values))
    rows.append(("kept", "kept", "", [one["kept"] for one in counts.values()]))
    names = ("kind", "label", "sign", "values")
    return {"handles": [*counts], "rows": [dict(zip(names, row, strict=True)) for row in rows]}


@router.post("/make/{id}/word")
def word(
    request: Request, job: TheJob, web: Services, consent: Text = "", who: Text = "", terms: Text = "", price: Text = ""
) -> Response:
    said = {**_word(consent, who), "terms": bool(terms), "price": bool(price)}
    return _moved(request, web, job, lambda: orders.answer_word(web.store, job, said))


@router.post("/make/{id}/train")
def train(request: Request, job: TheJob, web: Services, minutes: Text = "") -> Response:
    return _moved(request, web, job, lambda: orders.train(web.settings, web.store, job, minutes=_number(minutes)))


@router.post("/make/{id}/cancel")
def cancel(request: Request, job: TheJob, web: Services) -> Response:
    return _moved(request, web, job, lambda: orders.cancel(web.store, job))


@router.post("/make/{id}/retry")
def retry(request: Request, job: TheJob, web: Services) -> Response:
    return _moved(request, web, job, lambda: orders.retry(web.settings, web.store, job))


def _moved(request: Request, web: Web, job: Job, move: Callable[[], Job]) -> Response:
    """The page again: of the job as it is then, or with what is wrong."""
    try:
        move()
    except HuggingtweetsError as error:
        return _job_page(request, web, sharing.job_view(web.store, web.store.job(job.id) or job), error)
    return RedirectResponse(f"/make/{job.id}", 303)


def _word(consent: str, who: str) -> dict[str, Any]:
    return {"mine": consent == "mine", "permission": who.strip() or None if consent == "permission" else None}


def _number(typed: str) -> float | None:
    try:
        return float(typed) if typed.strip() else None
    except ValueError:
        raise SettingsError(f"{typed[:20]!r} is no number of minutes.") from None


def _bases(web: Web) -> list[dict[str, str]]:
    names = [sharing.base_name(base) for base in web.settings.bases]
    return [{"value": name, "label": BASES.get(name, name)} for name in names]


def _minutes(chosen: float | None) -> list[dict[str, str]]:
    """The usual ones, and the one that was chosen."""
    values: Sequence[float] = sorted({*MINUTES, *([chosen] if chosen else [])})
    choices = [{"value": f"{value:g}", "label": f"{value:g} minute{'' if value == 1 else 's'}"} for value in values]
    return [{"value": "", "label": "As long as it needs"}, *choices]


def _minutes_text(minutes: float | None) -> str:
    return "" if minutes is None else f"{minutes:g}"


# --- login --------------------------------------------------------------------------------------------------------


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    return render(request, "login.html", next=own_path(next), name="", error=None)


@router.post("/login")
async def login(request: Request, web: Services, name: Text = "", password: Text = "", next: Text = "/") -> Response:
    key = await log_in(web.store, name.strip(), password)
    if key is None:
        error = {"what": "Name or password is wrong.", "why": "", "next": ""}
        return render(request, "login.html", 401, next=own_path(next), name=name[:100], error=error)
    answer = RedirectResponse(own_path(next), 303)
    answer.headers.append("Set-Cookie", cookie(SESSION, key, SESSION_S, is_https(web.settings, request)))
    return answer


@router.post("/logout")
def logout(request: Request, web: Services) -> Response:
    if key := request.cookies.get(SESSION):
        web.store.remove_key(digest_of(key))
    answer = RedirectResponse("/", 303)
    answer.headers.append("Set-Cookie", cookie(SESSION, "", 0, is_https(web.settings, request)))
    return answer


def own_path(path: str) -> str:
    r"""Where to go on here, never elsewhere.

    >>> own_path("/nasa?seed=1"), own_path("//evil.example"), own_path("/\\evil.example"), own_path("https://evil.example")
    ('/nasa?seed=1', '/', '/', '/')
    """
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else "/"


# --- the rest -----------------------------------------------------------------------------------------------------


@router.get("/about")
def about(request: Request) -> Response:
    return render(request, "about.html")


@router.get("/reports")
def reports(request: Request, web: Services, visitor: Who) -> Response:
    return _reports(request, web, visitor)


def _reports(request: Request, web: Web, visitor: Visitor, error: Exception | None = None) -> Response:
    if not visitor.admin:
        raise not_found()
    found = [
        {"complaint": complaint, "text": one.text if (one := web.store.prediction(complaint.prediction)) else None}
        for complaint in web.store.complaints()
    ]
    wrong = error_json(error) if error else None
    return render(request, "reports.html", status_of(error) if error else 200, reports=found, error=wrong)


@router.post("/reports/{id}")
def settle(request: Request, id: str, web: Services, visitor: Who, action: Text = "") -> Response:
    complaint = web.store.complaint(id) if visitor.admin else None
    if complaint is None:
        raise not_found()
    try:
        sharing.settle(web.settings, web.store, complaint, action)
    except HuggingtweetsError as error:
        return _reports(request, web, visitor, error)
    return RedirectResponse("/reports", 303)


@router.get("/robots.txt")
def robots() -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /api/\nDisallow: /gradio/\nDisallow: /make/\n")


@router.get("/favicon.ico")
def favicon() -> Response:
    return RedirectResponse(static("favicon.svg"), 308)
