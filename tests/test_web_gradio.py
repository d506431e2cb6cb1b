"""The door for gradio_client: a real server, the real client, a tiny bot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from huggingtweets.web import keys
from huggingtweets.web.gradio_door import PATH
from huggingtweets.web.records import User
from huggingtweets.web.server import Server
from huggingtweets.web.settings import WebSettings
from test_web_api import serving


@pytest.fixture(scope="module")
def settings(rover: Path, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> WebSettings:
    folder = tmp_path_factory.mktemp("door")
    shutil.copytree(rover, folder / "bots" / "rover")
    return WebSettings(bots_dir=folder / "bots", base=str(tiny_gpt2), drawings_at_once=1)


@pytest.fixture(scope="module")
def site(settings: WebSettings) -> Iterator[tuple[httpx2.Client, Server]]:
    with serving(settings) as served:
        yield served


@pytest.fixture
def http(site: tuple[httpx2.Client, Server]) -> httpx2.Client:
    return site[0]


@pytest.fixture(scope="module")
def client(site: tuple[httpx2.Client, Server]) -> Client:
    return client_of(site[0])


def client_of(http: httpx2.Client, **options: object) -> Client:
    return Client(f"{http.base_url}{PATH}/", verbose=False, analytics_enabled=False, **options)  # type: ignore[arg-type]


def test_gradio_is_not_loaded_before_somebody_knocks() -> None:
    code = "import sys, huggingtweets.web.server; sys.exit('gradio' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_client_sees_four_calls_and_no_folder_of_this_machine(
    client: Client, http: httpx2.Client, settings: WebSettings
) -> None:
    told = client.view_api(return_format="dict", print_info=False)
    assert set(told["named_endpoints"]) == {"/bots", "/generate", "/make", "/job"}
    assert not told["unnamed_endpoints"]
    parameters = [one["parameter_name"] for one in told["named_endpoints"]["/job"]["parameters"]]
    assert parameters == ["id"]
    for folder in (settings.bots_dir.resolve().parent, Path(sys.prefix), Path.home()):
        assert str(folder) not in http.get(f"{PATH}/config").text


def test_the_bots_are_the_ones_of_the_api(client: Client, http: httpx2.Client) -> None:
    assert client.predict(api_name="/bots") == http.get("/api/v1/bots").json()["bots"]


def test_posts_grow_and_the_last_are_those_that_are_kept(client: Client, site: tuple[httpx2.Client, Server]) -> None:
    shown = list(client.submit("rover", "My dream is", 2, api_name="/generate"))
    assert all(text[:11] in ("", "My dream is") for texts in shown for text in texts)  # "" until it begins
    lengths = [sum(map(len, texts)) for texts in shown]
    assert lengths == sorted(lengths)
    kept = site[1].web.store.predictions("rover", limit=2)
    assert [text.replace("\0", "") for text in shown[-1]] == [prediction.text for prediction in kept]
    assert {prediction.owner for prediction in kept} == {"owner"}


def test_the_same_seed_writes_what_the_api_writes(client: Client, http: httpx2.Client) -> None:
    texts = client.predict("rover", "We", 2, 7, api_name="/generate")
    asked = {"start": "We", "n": 2, "seed": 7}
    drawn = http.post("/api/v1/bots/rover/predictions", json=asked).json()["predictions"]
    assert texts == [prediction["text"] for prediction in drawn]


def test_a_job_is_made_and_looked_at(client: Client, site: tuple[httpx2.Client, Server]) -> None:
    job = client.predict(["alice.bsky.social"], api_name="/make")
    assert client.predict(job["id"], api_name="/job")["titles"] == ["alice.bsky.social"]
    kept = site[1].web.store.job(job["id"])
    assert kept is not None
    assert kept.straight


@pytest.mark.parametrize(
    ("call", "arguments", "said"),
    [
        ("/generate", ["nobody"], "no bot 'nobody'"),
        ("/generate", ["../rover"], "no bot"),
        ("/generate", ["rover", "a", 1000], "1 to 20 posts"),
        ("/generate", ["rover", "a", "two"], "n: Input should be a valid integer"),
        ("/generate", ["rover", 5], "start: Input should be a valid string"),
        ("/make", [["/etc/passwd"]], "no account"),
        ("/make", [[]], "one to 3 voices"),
        ("/job", ["nothing"], "no such job"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(client: Client, call: str, arguments: list[object], said: str) -> None:
    with pytest.raises(AppError, match=said):
        client.predict(*arguments, api_name=call)


def test_whoever_leaves_makes_room_for_the_next(client: Client) -> None:
    long = client.submit("rover", "My dream is", 20, None, None, None, 200, api_name="/generate")
    next(iter(long))
    long.cancel()
    assert len(client.predict("rover", "We", 1, api_name="/generate")) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=https://example.org/"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/run/generate"),
        ("GET", "/gradio_api/monitoring"),
        ("POST", "/login"),
        ("GET", "/config/..%2ffile=/etc/passwd"),
        ("GET", "/openapi.json"),
    ],
)
def test_nothing_passes_but_what_a_client_needs(http: httpx2.Client, method: str, path: str) -> None:
    answer = http.request(method, PATH + path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_a_foreign_page_cannot_call(http: httpx2.Client) -> None:
    call = {"data": ["rover", "We", 1]}
    answer = http.post(f"{PATH}/gradio_api/call/generate", json=call, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_where_people_log_in_a_client_brings_a_token(settings: WebSettings) -> None:
    team = settings.over(host="0.0.0.0", drawings_a_minute=2)
    with serving(team) as (http, built):
        built.web.store.put_user(User("ann", keys.hash_password("correct horse")))
        assert http.get(f"{PATH}/config").status_code == 401
        token = keys.new_token(built.web.store, "ann")
        ann = client_of(http, headers={"Authorization": f"Bearer {token}"})
        assert len(ann.predict("rover", "We", 1, api_name="/generate")) == 1
        assert built.web.store.predictions("rover", limit=1)[0].owner == "user:ann"


def test_guests_write_but_make_no_bots(settings: WebSettings) -> None:
    with serving(settings.over(host="0.0.0.0", open=True)) as (http, _):
        guest = client_of(http)
        assert len(guest.predict("rover", "We", 1, api_name="/generate")) == 1
        with pytest.raises(AppError, match="on this server's own page"):
            guest.predict(["alice.bsky.social"], api_name="/make")
        codes = {http.post(f"{PATH}/gradio_api/call/bots", json={"data": []}).status_code for _ in range(40)}
        assert codes == {200, 429}
