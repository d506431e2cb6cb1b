"""`huggingtweets serve` and `huggingtweets user`, as processes: what is printed, what answers, how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from huggingtweets.cli import app
from huggingtweets.errors import SettingsError
from huggingtweets.web import running
from huggingtweets.web.settings import WebSettings

COMMAND = [sys.executable, "-c", "from huggingtweets.cli import main; main()"]
PASSWORD = "correct horse"


def run(folder: Path, *arguments: str, code: str = COMMAND[2]) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND[:2], code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Its address, as it prints it, and the process."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--no-browser", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def test_it_prints_its_address_once_it_answers_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with served(tmp_path) as (url, process):
        assert url.startswith("http://127.0.0.1:")
        told = httpx2.get(f"{url}/api/v1/me").json()
        assert told["visitor"]["admin"]
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "The same command continues from here." in talk
        assert "Traceback" not in talk


def test_a_stream_that_is_watched_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with served(tmp_path) as (url, process), httpx2.Client(base_url=url, timeout=120) as client:
        order = {"accounts": ["@nobody@fediverse.example"]}
        job = client.post("/api/v1/jobs", json=order).json()
        with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as events:
            assert next(events.iter_lines()) == "event: job"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)


def test_a_port_that_is_taken_is_said_with_the_next_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "serve", "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    assert "Next: huggingtweets serve --port" in done.stderr


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"host": "0.0.0.0"}, "huggingtweets user alice --admin"),
        ({"public_url": "https://bots.example.org"}, "huggingtweets user alice --admin"),
        ({"proxies": ("10.0.0.1",)}, "huggingtweets user alice --admin"),
        ({"host": "203.0.113.7", "open": True}, "no address '203.0.113.7'"),
        ({"host": "no.such.host.invalid", "open": True}, "no address 'no.such.host.invalid'"),
        ({"public_url": "bots.example.org"}, "must begin with http"),
        ({"port": 70000}, "--port must be 0 to 65535"),
        ({"trainings_at_once": 0}, "--trainings must be at least 1"),
        ({"database": "mysql://ann:secret@db/x"}, "sqlite or postgresql"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_starts(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        running.serve(WebSettings(**{"bots_dir": tmp_path / "bots", "port": 0, **told}))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def user(folder: Path, *arguments: str, typed: str = "") -> Result:
    result = CliRunner().invoke(app, ["user", *arguments, "--bots-dir", str(folder / "bots")], input=typed)
    assert result.exit_code == 0 or isinstance(result.exception, SettingsError)
    return result


def test_a_user_comes_in_by_token_until_they_are_removed(tmp_path: Path) -> None:
    assert "no user 'alice'" in str(user(tmp_path, "alice", "--token").exception)
    assert "alice may log in, as an admin." in user(tmp_path, "alice", "--admin", typed=f"{PASSWORD}\n").stderr
    known = {"Authorization": f"Bearer {user(tmp_path, 'alice', '--token').stdout.strip()}"}
    with served(tmp_path, "--proxy", "127.0.0.9") as (url, _):
        assert httpx2.get(f"{url}/api/v1/me").status_code == 401
        assert httpx2.get(f"{url}/api/v1/me", headers=known).json()["visitor"]["name"] == "alice"
        user(tmp_path, "alice", "--remove")
        assert httpx2.get(f"{url}/api/v1/me", headers=known).status_code == 401
    assert "no user 'alice'" in str(user(tmp_path, "alice", "--remove").exception)


def test_a_new_password_leaves_an_admin_one(tmp_path: Path) -> None:
    user(tmp_path, "alice", "--admin", typed=f"{PASSWORD}\n")
    assert user(tmp_path, "alice", typed=f"{PASSWORD}!\n").stderr == "alice has a new password, as an admin.\n"
    assert user(tmp_path, "alice", "--no-admin", typed=PASSWORD).stderr == "alice has a new password.\n"


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [("alice", "short\n", "8 to 1,024 characters"), ("alice", "", "8 to 1,024"), ("a b", PASSWORD, "1 to 64 letters")],
)
def test_a_name_or_password_that_cannot_be_is_refused(tmp_path: Path, name: str, typed: str, said: str) -> None:
    assert said in str(user(tmp_path, name, typed=typed).exception)


def test_the_address_that_is_told_is_the_one_that_people_type() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert running.address_of(WebSettings(), listening) == f"http://127.0.0.1:{port}"
        assert running.address_of(WebSettings(host="::1"), listening) == f"http://[::1]:{port}"
        assert running.address_of(WebSettings(host="0.0.0.0"), listening) == f"http://{socket.gethostname()}:{port}"
        assert running.address_of(WebSettings(public_url="https://b.example"), listening) == "https://b.example"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; from huggingtweets.cli import main; main()"
    done = run(tmp_path, "serve", code=code)
    assert done.returncode == 2
    assert "Next: pip install 'huggingtweets[web]'" in done.stderr


def test_the_database_may_stand_in_the_environment(tmp_path: Path) -> None:
    with served(tmp_path, HUGGINGTWEETS_DATABASE=f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"):
        assert (tmp_path / "elsewhere.sqlite3").exists()


def test_an_answer_does_not_wait_for_its_head_to_be_acknowledged(tmp_path: Path) -> None:
    listening = running._listening(WebSettings(bots_dir=tmp_path, port=0))
    with listening, socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
