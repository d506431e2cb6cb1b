"""Bots and what they wrote, as pages: a gallery, a bot's own page, a prediction's, its picture, a report of it.

In: names and ids out of addresses. Out: pages that say what is AI-generated, and which search engines pass by until the
bot's owner lists it.

- A prediction's page needs neither a script nor a login; what was taken down is 410 Gone, and its picture with it.
- A bot's page shows its card, which Markdown makes: HTML in it is left out, since a card may have come from elsewhere.
- Links to one's own server are made with the address that people use (`--public-url`).
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from huggingtweets.bot import Bot
from huggingtweets.config import DEFAULT_PROMPT
from huggingtweets.errors import BotError
from huggingtweets.web import sharing
from huggingtweets.web.answers import Refusal, not_found
from huggingtweets.web.bodies import LONGEST_CONTACT, LONGEST_REPORT
from huggingtweets.web.guard import visitor_of
from huggingtweets.web.html import render
from huggingtweets.web.records import BotRow, Complaint, Prediction, Visitor
from huggingtweets.web.services import Web, web_of
from huggingtweets.web.speaking import DrawRequest, Started

SHOWN = 20  # predictions of a bot on its page
BOTS_A_PAGE = 24
STARTS = (DEFAULT_PROMPT, "Today I", "The best thing about", "I never understood why", "Breaking:")
TITLE_LETTERS = 70

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Services = Annotated[Web, Depends(web_of)]
Who = Annotated[Visitor, Depends(visitor_of)]
Text = Annotated[str, Form()]


def _bot(name: str, web: Services) -> Bot:
    try:
        return sharing.bot_named(web.settings, name)
    except BotError:
        raise not_found("There is no such page, and no bot of that name.") from None


TheBot = Annotated[Bot, Depends(_bot)]


def _prediction(id: str, name: str, web: Services) -> Prediction:
    """It was taken down: 410; it never was, or of another bot: 404."""
    found = web.store.prediction(id)
    if found is None or found.bot != name.removeprefix("~"):
        raise not_found("There is no such post here.")
    if found.hidden:
        raise Refusal("gone", "This post was taken down.", why="Somebody asked for it.")
    return found


ThePrediction = Annotated[Prediction, Depends(_prediction)]


@router.get("/bots")
def gallery(
    request: Request,
    web: Services,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    found = sharing.bots_found(web.settings, q)
    last = max(1, -(-len(found) // BOTS_A_PAGE))
    page = min(page, last)
    shown = sharing.bot_views(web.store, found[(page - 1) * BOTS_A_PAGE : page * BOTS_A_PAGE])
    around = {"number": page, "last": last, "search": q, "total": len(found)}
    return render(request, "bots.html", bots=shown, around=around, fleet=sharing.fleet_view(web.settings))


@router.get("/{name}/preview.png")
def preview(bot: TheBot) -> Response:
    if not bot.dir.picture.is_file():
        raise not_found("There is no such picture.")
    return FileResponse(bot.dir.picture, media_type="image/png", headers={"Cache-Control": "no-cache"})


@router.get("/{name}/avatars/{file}")
def avatar(bot: TheBot, file: str, web: Services) -> Response:
    try:
        face = sharing.face_of(web.settings, bot, file)
        return FileResponse(face, media_type="image/webp", headers={"Cache-Control": "no-cache"})
    except BotError:
        raise not_found("There is no such picture.") from None


@router.get("/{name}/{id}.png")
def picture(bot: TheBot, found: ThePrediction, web: Services) -> Response:
    headers = {"Cache-Control": "public, max-age=3600"}  # not for ever: it may be taken down
    if not _row(web, bot).published:
        headers["X-Robots-Tag"] = "noindex"
    return FileResponse(sharing.picture_of(web.settings, bot, found), media_type="image/png", headers=headers)


@router.get("/{name}/{id}/report")
def report_page(request: Request, bot: TheBot, found: ThePrediction) -> Response:
    return render(request, "report.html", post=sharing.prediction_view(bot, found), sent=False, error=None)


@router.post("/{name}/{id}/report")
def report(
    request: Request,
    bot: TheBot,
    found: ThePrediction,
    web: Services,
    reason: Text = "",
    contact: Text = "",
) -> Response:
    post = sharing.prediction_view(bot, found)
    if not reason.strip():
        error = {"what": "Say in a few words what is wrong with it.", "why": "", "next": ""}
        return render(request, "report.html", 422, post=post, sent=False, error=error)
    web.store.add_complaint(
        Complaint(bot.name, found.id, reason.strip()[:LONGEST_REPORT], contact.strip()[:LONGEST_CONTACT])
    )
    return render(request, "report.html", 201, post=post, sent=True, error=None)


@router.get("/{name}/{id}")
def shared(request: Request, bot: TheBot, found: ThePrediction, web: Services) -> Response:
    view, post = sharing.bot_view(web.store, bot), sharing.prediction_view(bot, found)
    return render(
        request,
        "shared.html",
        bot=view,
        post=post,
        voice=voice_of(view),
        title=short(post["text"]),
        base_url=address(web, request),
        share=share_links(post, address(web, request)),
        manages=_manages(web, bot, request),
    )


@router.get("/{name}")
def bot_page(request: Request, bot: TheBot, web: Services, draw: str = "") -> Response:
    """With `draw`, of what it wrote only that drawing."""
    view, base = sharing.bot_view(web.store, bot), address(web, request)
    posts = sharing.prediction_views(bot, web.store.predictions(bot.name, draw=draw or None, limit=SHOWN))
    return render(
        request,
        "bot.html",
        bot=view,
        voice=voice_of(view),
        starts=STARTS,
        start=posts[0]["start"] if draw and posts else STARTS[0],
        posts=[{**post, "share": share_links(post, base)} for post in posts],
        card=card_html(bot),
        base_url=base,
        manages=_manages(web, bot, request),
    )


@router.post("/{name}")
async def write(
    bot: TheBot,
    web: Services,
    visitor: Who,
    start: Text = "",
    seed: Text = "",
    temperature: Text = "",
    max_length: Text = "",
) -> Response:
    """The form of a bot's page, where no script sends it: the page of what was written."""
    numbers = {"seed": (int, seed), "temperature": (float, temperature), "max_length": (int, max_length)}
    try:
        chosen = {name: kind(typed) for name, (kind, typed) in numbers.items() if typed.strip()}
    except ValueError:
        raise Refusal("bad_request", "Seed, temperature and length are numbers.") from None
    asked = DrawRequest(start, **chosen)
    draw = ""
    async for event in web.speaker.draw(bot, asked, visitor.id):
        if isinstance(event, Started):
            draw = event.draw
    return RedirectResponse(f"{sharing.url_of(bot.name)}?draw={draw}", 303)


def _row(web: Web, bot: Bot) -> BotRow:
    return web.store.bot(bot.name) or BotRow(bot.name)


def _manages(web: Web, bot: Bot, request: Request) -> bool:
    visitor = visitor_of(request)
    return visitor.admin or _row(web, bot).owner == visitor.id


def address(web: Web, request: Request) -> str:
    """What this server's pages begin with, for links that leave it."""
    return (web.settings.public_url or str(request.base_url)).rstrip("/")


def voice_of(view: dict[str, Any]) -> str:
    """Whose voice it is.

    >>> voice_of({"name": "ada-bob", "accounts": [{"name": "Ada"}, {"name": "Bob"}]})
    'Ada & Bob'
    """
    return " & ".join(account["name"] for account in view["accounts"]) or str(view["name"])


def short(text: str) -> str:
    """The beginning of a text on one line.

    >>> short("a\\nb"), len(short("word " * 99)) <= TITLE_LETTERS + 1
    ('a b', True)
    """
    line = " ".join(text.split())
    if len(line) <= TITLE_LETTERS:
        return line
    return (line[:TITLE_LETTERS].rpartition(" ")[0] or line[:TITLE_LETTERS]) + "…"


def share_links(post: dict[str, Any], base_url: str) -> dict[str, str]:
    """Where networks take a post to be sent by whoever clicks; nothing is sent before."""
    url = f"{base_url}{post['url']}"
    text = f"{post['text']}\n\n(AI-generated)"
    return {
        "x": f"https://x.com/intent/post?{urlencode({'text': text, 'url': url})}",
        "bluesky": f"https://bsky.app/intent/compose?{urlencode({'text': f'{text} {url}'})}",
    }


def card_html(bot: Bot) -> Markup:
    """The card without its header, its HTML and its pictures; headings one level lower. Empty where there is none."""
    try:
        card = bot.dir.card.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return Markup()
    body = re.sub(r"\A---\n.*?\n---\n", "", card, count=1, flags=re.DOTALL)
    tokens = _markdown().parse(body)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        token.attrs.pop("style", None)  # of aligned columns; the page allows none
    # What is safe in it is markdown-it's to know: text is escaped, links are http(s) or relative, HTML is left out.
    return Markup(_markdown().renderer.render(tokens, _markdown().options, {}))


@functools.cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    for kind in ("html_block", "html_inline", "image"):
        markdown.add_render_rule(kind, lambda *arguments: "")
    return markdown
