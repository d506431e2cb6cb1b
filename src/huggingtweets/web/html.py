"""Pages out of templates, and the static files beside them.

In: a template's name and its values. Out: HTML that is escaped, or a file with the right cache header.

- Everything is escaped, and a name that a template uses but nobody gave is an error (StrictUndefined).
- Static addresses carry a digest of the whole folder as a path segment: `/static/1f3c…/style.css`. What a script or a
  style sheet names beside itself (`./base.js`, `fonts/…`) then has the same digest, with no build step. Such an address
  may be kept for ever; one without or with an old digest is served too, but asked for anew.
- Fonts for other scripts are served from the packages the picture is drawn with; `static/style.css` loads one only
  where its letters occur and the device has none of its own.
- The robot is the picture's robot (`templates/robot.svg` of the package), put into the page so that it can move.
"""

from __future__ import annotations

import functools
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import huggingtweets
from huggingtweets.emoji import package_folder

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(huggingtweets.__file__).parent / "templates"  # of the picture
DRAWINGS = ("robot.svg", "hand.svg")
FOREVER = "public, max-age=31536000, immutable"
ASK_ANEW = "no-cache"

NOTO = {  # as style.css names them: package and file
    "noto/arabic.ttf": ("manimgx_fonts", "NotoSansArabic[wght].ttf"),
    "noto/hebrew.ttf": ("manimgx_fonts", "NotoSansHebrew[wght].ttf"),
    "noto/devanagari.ttf": ("manimgx_fonts", "NotoSansDevanagari[wght].ttf"),
    "noto/thai.ttf": ("manimgx_fonts", "NotoSansThai[wght].ttf"),
    "noto/cjk.ttc": ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc"),
}


def render(request: Request, name: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """The page of a template. Beside `values` it knows page (the path), visitor and settings (None where unknown)."""
    app = request.scope.get("app")  # not there yet where the guard refuses
    web = getattr(app.state, "web", None) if app else None
    known = {
        "page": request.url.path,
        "visitor": getattr(request.state, "visitor", None),
        "settings": web and web.settings,
    }
    html = _environment().get_template(name).render(known | values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store" if status >= 400 else "no-cache"})


def static(path: str) -> str:
    """The address of a static file, with the digest that lets it be kept."""
    return f"/static/{static_version()}/{path}"


@functools.cache
def static_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class Static(StaticFiles):
    """To be mounted at /static."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        is_current = path.startswith(f"{static_version()}/")
        name = _without_version(path)
        response = _of_the_package(name) or await super().get_response(name, scope)
        response.headers["Cache-Control"] = FOREVER if is_current else ASK_ANEW
        return response


def _without_version(path: str) -> str:
    """
    >>> _without_version("0123456789ab/fonts/a.woff2"), _without_version("style.css")
    ('fonts/a.woff2', 'style.css')
    """
    first, _, rest = path.replace("\\", "/").partition("/")
    return rest if len(first) == 12 and not set(first) - set("0123456789abcdef") else path.replace("\\", "/")


def _of_the_package(name: str) -> Response | None:
    """Fonts and drawings that the picture is made with, and that lie elsewhere."""
    if name in DRAWINGS:
        return FileResponse(TEMPLATES / name, media_type="image/svg+xml")
    if name not in NOTO:
        return None
    package, file = NOTO[name]
    if (folder := package_folder(package)) is None:
        raise HTTPException(404)
    return FileResponse(folder / file, media_type="font/collection" if name.endswith(".ttc") else "font/ttf")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("huggingtweets.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"static": static, "drawing": drawing}
    environment.filters |= {"number": _number, "percent": _percent, "day": _day, "moment": _moment, "size": _size}
    return environment


@functools.cache
def drawing(name: str) -> Markup:
    """One of the picture's drawings as SVG to stand in a page; it is decoration, so screen readers pass it by."""
    svg = (TEMPLATES / f"{name}.svg").read_text("utf-8")
    return Markup(svg.strip().replace("<svg ", f'<svg class="drawing-{name}" aria-hidden="true" focusable="false" ', 1))


def _number(value: float) -> str:
    """
    >>> _number(3200)
    '3,200'
    """
    return f"{value:,}"


def _percent(share: float) -> str:
    """
    >>> _percent(0.431)
    '43\\u2009%'
    """
    return f"{round(100 * share)}\u2009%"


def _day(seconds: float) -> str:
    """
    >>> _day(0)
    '1 January 1970'
    """
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when.day} {when:%B %Y}"


def _moment(seconds: float) -> str:
    """For <time datetime>.

    >>> _moment(0)
    '1970-01-01T00:00:00Z'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _size(size_bytes: int) -> str:
    """
    >>> _size(2_000_000_000), _size(200_000_000)
    ('2 GB', '200 MB')
    """
    return f"{size_bytes / 1e9:.3g} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.3g} MB"
