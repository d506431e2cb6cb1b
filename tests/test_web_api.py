"""The HTTP API as curl meets it: a real server on loopback, a real client, a tiny bot."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from huggingtweets.web import server as web_server
from huggingtweets.web.records import Job
from huggingtweets.web.settings import WebSettings

API = "/api/v1"


@contextlib.contextmanager
def serving(settings: WebSettings) -> Iterator[tuple[httpx2.Client, web_server.Server]]:
    built = web_server.build(settings)
    server = uvicorn.Server(uvicorn.Config(built.guarded, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            yield client, built
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def place(rover: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(rover, folder / "bots" / "rover")
    shutil.copy(rover.parents[1] / "rover.csv", folder)
    return folder


@pytest.fixture(scope="module")
def site(place: Path, tiny_gpt2: Path) -> Iterator[tuple[httpx2.Client, web_server.Server]]:
    with serving(WebSettings(bots_dir=place / "bots", base=str(tiny_gpt2), minutes=0.05)) as served:
        yield served


@pytest.fixture
def client(site: tuple[httpx2.Client, web_server.Server]) -> httpx2.Client:
    return site[0]


def events_of(answer: httpx2.Response) -> list[tuple[str, Any]]:
    """What an EventSource would hand out."""
    found, name = [], ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            found.append((name, json.loads(line[6:])))
    return found


def drawn(client: httpx2.Client, **asked: Any) -> Any:
    answer = client.post(f"{API}/bots/rover/predictions", json={"n": 2, "max_length": 30, **asked})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_bots_and_who_one_is(client: httpx2.Client, tiny_gpt2: Path) -> None:
    (bot,) = client.get(f"{API}/bots").json()["bots"]
    assert (bot["name"], bot["trained"]) == ("rover", True)
    assert client.get(f"{API}/bots/rover").json() == bot
    me = client.get(f"{API}/me").json()
    assert me["visitor"] == {"id": "owner", "name": "", "admin": True, "login": False}
    assert me["settings"]["base"] == tiny_gpt2.name
    assert str(tiny_gpt2) not in json.dumps([bot, me])


def test_predictions_come_whole_or_piece_by_piece(client: httpx2.Client) -> None:
    whole = drawn(client, start="The rover", seed=3)
    asked = {"n": 2, "max_length": 30, "start": "The rover", "seed": 3}
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", f"{API}/bots/rover/predictions", json=asked, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = events_of(answer)
    assert [name for name, _ in events if name != "piece"] == ["start", "done"]
    texts = ["", ""]
    for name, value in events:
        if name == "piece":
            texts[value["post"]] += value["text"]
    assert texts == [one["text"] for one in events[-1][1]["predictions"]]
    assert texts == [one["text"] for one in whole["predictions"]]
    one = whole["predictions"][0]
    assert client.get(f"{API}/predictions/{one['id']}").json() == one
    assert one["ai_generated"]


def test_a_prediction_becomes_the_picture_and_is_taken_down(client: httpx2.Client) -> None:
    one = drawn(client, start="Our crew")["predictions"][0]
    assert client.post(f"{API}/predictions/{one['id']}/preview").json()["name"] == "rover"
    assert client.get(f"{API}/predictions/{one['id']}").json()["is_preview"]
    report = client.post(f"{API}/predictions/{one['id']}/report", json={"reason": "it is about me"}).json()["report"]
    assert [one["id"] for one in client.get(f"{API}/reports").json()["reports"]] == [report]
    settled = client.post(f"{API}/reports/{report}", json={"action": "hide"}).json()
    assert settled["report"]["outcome"] == "hidden"
    assert client.get(f"{API}/predictions/{one['id']}").status_code == 404
    assert client.patch(f"{API}/predictions/{one['id']}", json={"hidden": False}).json()["id"] == one["id"]


def test_a_file_becomes_a_bot_that_is_watched_on_the_way(client: httpx2.Client, place: Path) -> None:
    with (place / "rover.csv").open("rb") as file:
        sent = client.post(f"{API}/uploads", files={"file": ("../lander.csv", file)}).json()
    assert sent["name"] == "lander.csv"
    job = client.post(f"{API}/jobs", json={"uploads": [sent["upload"]]}).json()
    with client.stream("GET", f"{API}/jobs/{job['id']}/events") as answer:
        events = events_of(answer)
    assert events[-1][1]["state"] == "ready"
    assert len(events[-1][1]["progress"]["samples"]) == 6
    client.post(f"{API}/jobs/{job['id']}/train", json={"minutes": 0.05})
    with client.stream("GET", f"{API}/jobs/{job['id']}/events") as answer:
        events = events_of(answer)
    assert events[-1][1]["state"] == "done", events[-1]
    assert events[-1][1]["bot_url"] == "/lander"
    assert {job["id"] for job in client.get(f"{API}/jobs").json()["jobs"]} >= {job["id"]}
    assert client.post(f"{API}/jobs/{job['id']}/cancel").json()["error"]["code"] == "not_allowed"
    assert client.post(f"{API}/forget", json={"account": "lander"}).json()["bots"] == ["lander"]
    assert client.get(f"{API}/bots/lander").status_code == 404


def test_an_account_is_asked_about(client: httpx2.Client) -> None:
    job = client.post(f"{API}/jobs", json={"accounts": ["@nasa"]}).json()
    with client.stream("GET", f"{API}/jobs/{job['id']}/events") as answer:
        last = events_of(answer)[-1][1]
    assert last["state"] == "word"
    assert "word" in last["error"]["needs"]
    assert client.post(f"{API}/jobs/{job['id']}/cancel").json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/bots/nobody", None, 404, "bot_error"),
        ("GET", "/bots/..%2f..%2fetc", None, 404, None),
        ("GET", "/nonsense", None, 404, "not_found"),
        ("DELETE", "/bots", None, 405, "bad_request"),
        ("GET", "/predictions/abcdefghij", None, 404, "not_found"),
        ("GET", "/jobs/abc/events", None, 404, "not_found"),
        ("POST", "/bots/rover/predictions", {"n": 0}, 400, "settings_error"),
        ("POST", "/bots/rover/predictions", {"n": "many"}, 422, "bad_request"),
        ("POST", "/bots/rover/predictions", {"temperature": 0}, 400, "settings_error"),
        ("POST", "/bots/rover/predictions", {"unknown": 1}, 422, "bad_request"),
        ("POST", "/jobs", {"accounts": ["/etc/passwd"]}, 400, "unknown_source"),
        ("POST", "/jobs", {"uploads": ["../../etc"]}, 404, "not_found"),
        ("POST", "/jobs", {}, 400, "settings_error"),
        ("POST", "/jobs", {"name": "x" * 64_000}, 413, "too_large"),
        ("POST", "/jobs", {"accounts": ["@nasa"], "base": "/etc"}, 400, "settings_error"),
    ],
)
def test_every_error_has_one_shape(
    client: httpx2.Client, method: str, path: str, body: Any, status: int, code: str | None
) -> None:
    answer = client.request(method, f"{API}{path}", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "what", "why", "next", "needs"}
    assert code is None or error["code"] == code
    assert "huggingtweets " not in str(error)


def test_the_api_is_documented_with_its_errors(client: httpx2.Client) -> None:
    told = client.get(f"{API}/openapi.json").json()
    assert f"{API}/bots/{{name}}/predictions" in told["paths"]
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    assert all("Trouble" in json.dumps(operation["responses"]["default"]) for operation in operations)


def test_another_one_s_job_is_not_there(place: Path, site: tuple[httpx2.Client, web_server.Server]) -> None:
    _, built = site
    job = built.web.store.add_job(Job("user:bob", ("x:bob",), ("@bob",), "bob", "gpt2", state="ready"))
    settings = WebSettings(bots_dir=place / "bots", public_url="http://127.0.0.1", proxies=("10.0.0.1",), open=True)
    with serving(settings) as (guest, _):
        assert guest.get(f"{API}/me").json()["visitor"]["id"].startswith("guest:")
        assert guest.get(f"{API}/jobs/{job.id}").status_code == 404
        assert guest.post(f"{API}/jobs/{job.id}/train", json={}).status_code == 404
        assert guest.get(f"{API}/jobs").json() == {"jobs": []}
        assert guest.get(f"{API}/reports").status_code == 404
        assert guest.post(f"{API}/forget", json={"account": "rover"}).status_code == 404
        assert guest.patch(f"{API}/bots/rover", json={"published": True}).status_code == 404


def test_a_bug_tells_nothing_of_itself(site: tuple[httpx2.Client, web_server.Server], place: Path) -> None:
    client, _ = site
    shutil.copytree(place / "bots" / "rover", place / "bots" / "strange")
    (place / "bots" / "strange" / "accounts.json").unlink()
    (place / "bots" / "strange" / "accounts.json").mkdir()
    try:
        answer = client.get(f"{API}/bots/strange")
        assert str(place) not in answer.text
        assert "Traceback" not in answer.text
    finally:
        shutil.rmtree(place / "bots" / "strange")
