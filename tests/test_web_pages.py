"""Pages as they come without a script: forms that post, mistakes that give the form back, who is let in where to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from huggingtweets.fleet.ledger import Ledger, file_of
from huggingtweets.fleet.members import Member
from huggingtweets.reports import FLEET_FILE
from huggingtweets.web import bot_pages
from huggingtweets.web.keys import hash_password
from huggingtweets.web.records import Job, Prediction, User
from huggingtweets.web.server import Server
from huggingtweets.web.settings import WebSettings
from test_web_api import serving

PAGE = {"Accept": "text/html"}
Served = tuple[httpx2.Client, Server]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    bot = folder / "bots" / "rover"
    bot.mkdir(parents=True)
    (bot / "bot.json").write_text('{"format": 1}')
    with serving(WebSettings(bots_dir=folder / "bots", base="smollm2")) as served:
        yield served


@pytest.fixture
def client(site: Served) -> httpx2.Client:
    site[0].headers["Accept"] = "text/html"
    return site[0]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that others reach, so that it asks who they are."""
    settings = WebSettings(bots_dir=tmp_path_factory.mktemp("team"), public_url="http://bots.example.org")
    with serving(settings) as served:
        served[1].web.store.put_user(User("alice", hash_password("correct horse"), admin=True))
        served[0].headers["Accept"] = "text/html"
        yield served


def test_a_mistake_gives_the_form_back_as_it_was_filled(client: httpx2.Client) -> None:
    answer = client.post("/make", data={"accounts": "nobody knows <b>this</b>", "name": "My bot"})
    assert 400 <= answer.status_code < 500
    assert "note-warn" in answer.text
    assert 'value="My bot"' in answer.text
    assert "&lt;b&gt;this" in answer.text
    assert "<b>this" not in answer.text


def test_a_file_posted_by_the_form_becomes_a_job(site: Served, client: httpx2.Client) -> None:
    files = {"files": ("alice.txt", b"Some posts.\nOf somebody.\n")}
    answer = client.post("/make", data={"minutes": "1"}, files=files)
    assert answer.status_code == 303
    (job,) = [one for one in site[1].web.store.jobs() if one.titles == ("alice.txt",)]
    assert answer.headers["Location"] == f"/make/{job.id}"
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "alice.txt" in page.text


@pytest.mark.parametrize("state", ["queued", "word", "ready", "waiting", "done", "failed", "cancelled"])
def test_every_state_of_a_job_has_a_page(site: Served, client: httpx2.Client, state: str) -> None:
    job = Job("owner", ("x:nobody",), ("@nobody",), f"of-{state}", "smollm2", state=state)  # type: ignore[arg-type]
    site[1].web.store.add_job(job)
    answer = client.get(f"/make/{job.id}")
    assert answer.status_code == 200
    assert "@nobody" in answer.text


def test_what_is_not_possible_any_more_is_said_on_the_jobs_page(site: Served, client: httpx2.Client) -> None:
    job = site[1].web.store.add_job(Job("owner", ("x:nobody",), ("@nobody",), "late", "smollm2", state="done"))
    answer = client.post(f"/make/{job.id}/train", data={"minutes": "5"})
    assert answer.status_code == 403
    assert "moved on" in answer.text
    assert client.post(f"/make/{job.id}/train", data={"minutes": "five"}).status_code == 400


def test_errors_are_pages_to_people_and_json_to_programs(client: httpx2.Client) -> None:
    page = client.get("/no-such-bot")
    assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    program = client.get("/no-such-bot", headers={"Accept": "*/*"})
    assert program.json()["error"]["code"] == "not_found"
    assert client.get("/api/v1/bots/no-such-bot").json()["error"]["code"] == "bot_error"


def test_what_was_taken_down_is_gone_and_what_never_was_is_not_found(site: Served, client: httpx2.Client) -> None:
    store = site[1].web.store
    (one,) = store.add_predictions([Prediction("rover", "", "Gone.", "d", 0, 1, 1.0, 0.95, 160)])
    assert client.get(f"/rover/{one.id}").status_code == 200
    assert client.get(f"/other/{one.id}").status_code == 404
    store.hide_prediction(one.id)
    assert {client.get(f"/rover/{one.id}{more}").status_code for more in ("", ".png", "/report")} == {410}


def test_an_empty_report_is_asked_for_again(site: Served, client: httpx2.Client) -> None:
    store = site[1].web.store
    (one,) = store.add_predictions([Prediction("rover", "", "Here.", "e", 0, 1, 1.0, 0.95, 160)])
    assert client.post(f"/rover/{one.id}/report", data={"reason": " "}).status_code == 422
    assert not store.complaints()
    assert client.post(f"/rover/{one.id}/report", data={"reason": "It is about me."}).status_code == 201
    (complaint,) = store.complaints()
    assert client.post(f"/reports/{complaint.id}", data={"action": "burn"}).status_code == 400
    assert client.post(f"/reports/{complaint.id}", data={"action": "dismiss"}).status_code == 303
    assert not store.complaints()


def test_a_page_leads_to_the_login_and_the_login_back_to_it(team: Served) -> None:
    client = team[0]
    asked = client.get("/bots?x=1")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/login?next=%2Fbots%3Fx%3D1")
    assert client.get(asked.headers["Location"]).status_code == 200
    wrong = client.post("/login", data={"name": "alice", "password": "wrong horse"})
    assert wrong.status_code == 401
    assert "Set-Cookie" not in wrong.headers
    right = client.post("/login", data={"name": "alice", "password": "correct horse", "next": "//evil.example"})
    assert (right.status_code, right.headers["Location"]) == (303, "/")
    assert "HttpOnly" in right.headers["Set-Cookie"]
    session = {"Cookie": right.headers["Set-Cookie"].partition(";")[0], "Origin": str(client.base_url).rstrip("/")}
    assert client.get("/bots", headers=session).status_code == 200
    assert client.post("/logout", headers=session).status_code == 303
    assert client.get("/bots", headers=session).status_code == 303


def test_a_card_brings_no_html_no_style_and_no_script(site: Served) -> None:
    bot = bot_pages.sharing.bot_named(site[1].web.settings, "rover")
    bot.dir.card.write_text(
        "---\nlicense: mit\n---\n# Rover\n<script>alert(1)</script>\n\n<div style='x'>away</div>\n\n"
        "Kept <b>bold</b> [a](javascript:alert(1)) ![](https://evil.example/a.png)\n\n| n |\n|--:|\n| 1 |\n"
    )
    html = bot_pages.card_html(bot)
    assert "<h2>Rover</h2>" in html
    assert "Kept bold" in html
    assert not [bad for bad in ("script>", "<div", "<b>", "href=", "<img", "style=", "license") if bad in html]


def test_a_face_is_sent_small(site: Served, tmp_path: Path) -> None:
    from PIL import Image

    bot = bot_pages.sharing.bot_named(site[1].web.settings, "rover")
    bot.dir.avatars.mkdir(exist_ok=True)
    Image.new("RGB", (900, 600), "red").save(bot.dir.avatars / "rover.png")
    bot.dir.accounts.write_text('[{"handle": "rover", "platform": "file", "avatar": "rover.png"}]')
    answer = site[0].get("/rover/avatars/rover.png")
    assert answer.status_code == 200, answer.text
    (tmp_path / "face.webp").write_bytes(answer.content)
    assert Image.open(tmp_path / "face.webp").size == (144, 144)
    (bot.dir.avatars / "rover.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    assert site[0].get("/rover/avatars/rover.png").status_code == 404


# --- many bots ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(rover: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Sixty bots, of which one is damaged."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(60):
        shutil.copytree(rover, folder / f"rover{number:02}", copy_function=os.link)
    for damaged in ("bot.json", "eval.json"):
        (folder / "rover30" / damaged).unlink()
        (folder / "rover30" / damaged).write_text("{")
    with serving(WebSettings(bots_dir=folder)) as served:
        yield served


def test_a_gallery_of_many_has_pages_and_a_search(many: Served) -> None:
    client = many[0]
    first = client.get("/bots")
    assert "Page 1 of 3, 60 bots" in first.text
    assert 'href="/rover00"' in first.text
    assert 'href="/rover24"' not in first.text
    assert 'rel="next" href="/bots?q=&amp;page=2"' in first.text
    last = client.get("/bots?page=99")
    assert "Page 3 of 3" in last.text
    assert 'href="/rover59"' in last.text
    found = client.get("/bots?q=ROVER3")
    assert 'href="/rover31"' in found.text
    assert 'href="/rover20"' not in found.text
    nobody = client.get("/bots", params={"q": "<script>"})
    assert "No bot is called that" in nobody.text
    assert "<script>" not in nobody.text.partition("</head>")[2].partition("<form")[2].partition("</form>")[0]
    assert client.get("/bots?page=0").status_code == 422


def test_programs_get_as_many_bots_as_they_ask_for(many: Served) -> None:
    client = many[0]
    told = client.get("/api/v1/bots?limit=5&offset=28").json()
    assert told["total"] == 60
    assert [bot["name"] for bot in told["bots"]] == ["rover28", "rover29", "rover31", "rover32"]
    assert len(client.get("/api/v1/bots?q=rover5").json()["bots"]) == 10
    assert client.get("/api/v1/bots?limit=100000").status_code == 422


def test_a_fleet_that_is_at_work_is_seen(many: Served) -> None:
    client, folder = many[0], many[1].web.settings.bots_dir
    members = [Member(f"line {number}", (f"{number}.csv",)) for number in range(1_200)]
    ledger = Ledger(members, "accounts.txt", str(folder))
    for entry in ledger.entries[:300]:
        entry.state = "done"
    assert client.get("/api/v1/fleet").json() == {"fleet": None}
    (folder / FLEET_FILE).write_bytes(file_of(ledger.to_json()))
    fleet = client.get("/api/v1/fleet").json()["fleet"]
    assert fleet["at_work"]
    assert fleet["counts"]["all"] == 1_200
    page = client.get("/bots").text
    assert "Many are being made" in page
    assert "300 of 1,200 done" in page
    record = ledger.to_json()
    (folder / FLEET_FILE).write_text(json.dumps({**record, "updated": "2026-01-01T00:00:00+00:00"}))
    assert "A fleet was stopped" in client.get("/bots").text
    for damaged in (b"{", b"[]", b'{"counts": 3}', file_of({**record, "is_over": True})):
        (folder / FLEET_FILE).write_bytes(damaged)
        assert client.get("/api/v1/fleet").json() == {"fleet": None}
        assert "fleet" not in client.get("/bots").text.partition("<main")[2]
