"""The guard of the web app, asked by a real HTTP client over ASGI: who gets in, from where, with how much."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from huggingtweets.web import keys
from huggingtweets.web.answers import Refusal, error_json, status_of
from huggingtweets.web.guard import BODY_BYTES, Guard, visitor_of
from huggingtweets.web.limiting import LOGINS_A_MINUTE, Limits
from huggingtweets.web.records import User
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store

DRAW = "/api/v1/bots/rover/predictions"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'web.sqlite3'}")
    yield store
    store.close()


async def _who(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"visitor": dataclasses.asdict(visitor_of(request)), "bytes": len(body)})


async def _refuse(request: Request, refusal: Exception) -> Response:
    return JSONResponse({"error": error_json(refusal)}, status_of(refusal))


class Site:
    """A guarded app whose every page says whom it sees."""

    def __init__(self, store: Store, settings: WebSettings) -> None:
        pages = Starlette(
            routes=[Route("/{path:path}", _who, methods=["GET", "POST"])], exception_handlers={Refusal: _refuse}
        )
        self.app = Guard(pages, settings, store, Limits.of(settings), _refuse)
        self.host = settings.host if settings.host != "0.0.0.0" else "bots.example.org"

    def ask(self, method: str, path: str, address: str = "203.0.113.9", **request: Any) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app, client=(address, 1234))
            async with httpx2.AsyncClient(transport=transport, base_url=f"http://{self.host}") as client:
                return await client.request(method, path, **request)

        return asyncio.run(send())

    def code(self, method: str, path: str, **request: Any) -> str:
        answer = self.ask(method, path, **request).json()
        return str(answer["error"]["code"]) if "error" in answer else "ok"


@pytest.fixture
def ours(store: Store) -> Site:
    return Site(store, WebSettings())


@pytest.fixture
def team(store: Store) -> Site:
    return Site(store, WebSettings(host="0.0.0.0"))


@pytest.fixture
def open_to_all(store: Store) -> Site:
    return Site(store, WebSettings(host="0.0.0.0", open=True, drawings_a_minute=3))


def test_who_sits_at_the_machine_owns_it(ours: Site) -> None:
    assert ours.ask("GET", "/").json()["visitor"] == {"id": "owner", "admin": True, "name": ""}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "[", "0.0.0.0"]
)
def test_a_foreign_name_for_this_machine_opens_nothing(ours: Site, host: str) -> None:
    assert ours.code("GET", "/", headers={"Host": host}) == "not_allowed"


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:1", "[::1]:7860", "LOCALHOST"])
def test_its_own_names_do(ours: Site, host: str) -> None:
    assert ours.code("GET", "/", headers={"Host": host}) == "ok"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, "ok"),
        ({"Sec-Fetch-Site": "none"}, "ok"),
        ({"Sec-Fetch-Site": "cross-site"}, "not_allowed"),
        ({"Sec-Fetch-Site": "same-site"}, "not_allowed"),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"}, "not_allowed"),
        ({"Origin": "http://127.0.0.1"}, "ok"),
        ({"Origin": "http://127.0.0.1.evil.example"}, "not_allowed"),
        ({"Origin": "http://127.0.0.1:8000"}, "not_allowed"),
        ({"Origin": "null"}, "not_allowed"),
        ({}, "ok"),
        ({"Cookie": "session=x"}, "not_allowed"),
    ],
)
def test_only_our_own_pages_and_no_page_at_all_change_something(ours: Site, headers: dict[str, str], code: str) -> None:
    assert ours.code("POST", DRAW, headers=headers) == code
    assert ours.code("GET", "/", headers=headers) == "ok"


def test_pages_behind_a_proxy_come_from_the_address_that_people_type(store: Store) -> None:
    """Whatever the proxy makes of the Host: nginx leaves out the port, others write their own."""
    site = Site(store, WebSettings(public_url="https://bots.example.org:8443", open=True))
    for origin, code in (("https://bots.example.org:8443", "ok"), ("https://bots.example.org:9", "not_allowed")):
        headers = {"Host": "bots.example.org", "Origin": origin}
        assert site.code("POST", DRAW, headers=headers) == code


def test_without_a_login_a_team_s_server_shows_what_was_shared_alone(team: Site) -> None:
    for path in ("/", "/bots", "/rover", "/api/v1/bots", "/make/abc", "/api/v1/me", "/rover/preview.png", "/reports"):
        assert team.code("GET", path) == "login_needed", path
    for path in ("/rover/abcdefghij", "/rover/abcdefghij.png", "/rover/abcdefghij/report", "/login", "/static/x.css"):
        assert team.code("GET", path) == "ok", path


def test_a_session_and_a_token_are_their_user_s(team: Site, store: Store) -> None:
    store.put_user(User("ann", keys.hash_password("correct horse"), admin=True))
    session = asyncio.run(keys.log_in(store, "ann", "correct horse"))
    token = keys.new_token(store, "ann")
    for headers in ({"Cookie": f"session={session}"}, {"Authorization": f"Bearer {token}"}):
        visitor = team.ask("GET", "/", headers=headers).json()["visitor"]
        assert visitor == {"id": "user:ann", "admin": True, "name": "ann"}
    assert team.code("GET", "/", headers={"Cookie": "session=guessed"}) == "login_needed"
    assert asyncio.run(keys.log_in(store, "ann", "wrong horse")) is None
    assert asyncio.run(keys.log_in(store, "nobody", "correct horse")) is None


def test_an_open_server_tells_guests_apart_and_gives_none_of_them_power(open_to_all: Site) -> None:
    answer = open_to_all.ask("GET", "/")
    guest = answer.json()["visitor"]
    assert guest["id"].startswith("guest:")
    assert not guest["admin"]
    told = answer.headers["set-cookie"]
    assert "HttpOnly" in told
    assert "SameSite=Lax" in told
    again = open_to_all.ask("GET", "/", headers={"Cookie": told.partition(";")[0]})
    assert again.json()["visitor"] == guest
    assert "set-cookie" not in again.headers
    forged = open_to_all.ask("GET", "/", headers={"Cookie": "guest=user:ann"}).json()["visitor"]
    assert forged["id"] not in ("guest:user:ann", "user:ann")


def test_a_guest_is_counted_by_address_whatever_their_cookies(open_to_all: Site) -> None:
    codes = [open_to_all.code("POST", DRAW) for _ in range(4)]
    assert codes == ["ok", "ok", "ok", "too_many"]
    assert open_to_all.code("POST", DRAW, address="198.51.100.1") == "ok"
    assert open_to_all.code("POST", DRAW, headers={"X-Forwarded-For": "192.0.2.1"}) == "too_many"


def test_a_known_proxy_is_believed(store: Store) -> None:
    site = Site(store, WebSettings(host="0.0.0.0", open=True, drawings_a_minute=1, proxies=("10.0.0.1",)))
    for client in ("192.0.2.1", "192.0.2.2"):
        headers = {"X-Forwarded-For": f"6.6.6.6, {client}"}
        assert site.code("POST", DRAW, address="10.0.0.1", headers=headers) == "ok"
        assert site.code("POST", DRAW, address="10.0.0.1", headers=headers) == "too_many"


def test_passwords_are_not_to_be_guessed_in_a_row(team: Site) -> None:
    codes = [team.code("POST", "/login") for _ in range(LOGINS_A_MINUTE + 1)]
    assert codes == ["ok"] * LOGINS_A_MINUTE + ["too_many"]


def test_a_body_that_is_too_large_is_not_read_to_its_end(ours: Site) -> None:
    assert ours.ask("POST", DRAW, content=b"x" * BODY_BYTES).json()["bytes"] == BODY_BYTES
    assert ours.code("POST", DRAW, content=b"x" * (BODY_BYTES + 1)) == "too_large"
    assert ours.ask("POST", "/api/v1/uploads", content=b"x" * 1_000_000).json()["bytes"] == 1_000_000


def test_an_upload_is_cut_off_where_no_file_may_be_as_large(store: Store) -> None:
    small = Site(store, WebSettings(host="0.0.0.0", open=True, guest_upload_bytes=10_000))
    assert small.code("POST", "/api/v1/uploads", content=b"x" * 3 * 10_000) == "ok"
    assert small.code("POST", "/api/v1/uploads", content=b"x" * (3 * 10_000 + BODY_BYTES + 1)) == "too_large"


def test_every_answer_keeps_its_page_to_itself(ours: Site) -> None:
    for path, policy in (("/", "same-origin"), ("/rover/abcdefghij.png", "cross-origin")):
        headers = ours.ask("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == policy
    refused = ours.ask("GET", "/", headers={"Host": "evil.example"}).headers
    assert "default-src 'none'" in refused["content-security-policy"]


def test_cookies_stay_on_https_where_the_server_is_known_by_it(store: Store) -> None:
    settings = WebSettings(host="127.0.0.1", public_url="https://bots.example.org", open=True)
    answer = Site(store, settings).ask("GET", "/", headers={"Host": "bots.example.org"})
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert "strict-transport-security" in answer.headers
