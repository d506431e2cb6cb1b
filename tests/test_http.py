"""The one HTTP client against servers that are slow, lie, limit, drop and send us elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import logging
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huggingtweets.errors import ConsentRefused, HuggingtweetsError, NetworkTrouble, SettingsError
from huggingtweets.sources.net import http
from huggingtweets.sources.net.exchange import MOST_REDIRECTS
from huggingtweets.sources.net.hosts import is_local, name_of, refusal, server_of
from huggingtweets.sources.net.http import Client, server_url, user_agent
from huggingtweets.sources.net.waits import LONGEST_WAIT_S, TRIES, named_wait_s
from loopback import Reply, Request, Server, serve

SECRET = "s3cr3t-bearer"
NOW = 1_739_433_600.0  # 2025-02-13 08:00 UTC


def date(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


@dataclass
class World:
    """A server, and a client whose clock stands still and whose waits are written down."""

    server: Server
    client: Client
    waits: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def answers(request: Request) -> Reply:
    return Reply({"path": request.path})


@contextlib.contextmanager
def a_world(play: Callable[[Request], Reply] = answers, **options: object) -> Iterator[World]:
    with serve(play) as server:
        waits: list[float] = []
        told: list[str] = []
        clock = {"sleep": waits.append, "tell": told.append, "now": lambda: NOW}
        with Client(server.url, **{**clock, **options}) as client:  # type: ignore[arg-type]
            yield World(server, client, waits, told)


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


@contextlib.contextmanager
def raw_server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each connection is `speak`'s, once a question has come in; robots.txt is asked for like anything else."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(1 << 16)
            speak(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve_one, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def trouble_with(speak: Callable[[socket.socket], None], **options: object) -> tuple[NetworkTrouble, list[float]]:
    """How a question to such a server ends, and the waits on the way."""
    waits: list[float] = []
    with raw_server(speak) as url:
        client = Client(url, robots=False, sleep=waits.append, **options)  # type: ignore[arg-type]
        with client, pytest.raises(NetworkTrouble) as caught:
            client.get_json(f"{url}/page")
    return caught.value, waits


# --- what is sent, and to whom -----------------------------------------------------------------------------------


def test_it_says_who_it_is(world: World) -> None:
    world.client.get_json(f"{world.server.url}/page")
    agent = world.server.log[0].headers["user-agent"]
    assert agent == user_agent()
    assert re.fullmatch(r"huggingtweets/\d[\w.]* \(.+\)", agent)


def test_headers_go_home_and_nowhere_else() -> None:
    with serve(answers) as elsewhere, a_world(headers={"Authorization": SECRET, "X-Key": SECRET}) as world:
        home = world.server.url
        world.server.faults.extend([None, Reply(status=302, headers={"Location": f"{elsewhere.url}/a"})])
        elsewhere.faults.extend([None, Reply(status=307, headers={"Location": f"{home}/back"}), None])
        world.client.get_json(f"{home}/first")
        world.client.get_json(f"{home}/away")
        world.client.get_json(f"{elsewhere.url}/and-back")
        world.client.get_bytes(f"{elsewhere.url}/avatar.png", limit_bytes=100)
    assert world.server.paths == ["/first", "/away", "/back"]
    assert elsewhere.paths == ["/a", "/and-back", "/avatar.png"]
    for request in world.server.log:
        assert request.headers["authorization"] == request.headers["x-key"] == SECRET
    for request in elsewhere.log:
        assert SECRET not in str(request.headers)


def test_a_secret_is_in_no_error_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with a_world(lambda request: Reply(status=500), headers={"Authorization": SECRET}) as world:
        assert SECRET not in repr(world.client)
        with pytest.raises(NetworkTrouble) as caught:
            world.client.get_json(f"{world.server.url}/page")
    assert SECRET not in f"{caught.value} {caught.value!r} {world.told}"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("secret", [f"{SECRET}\n", f"{SECRET}é", f"a\r\nHost: {SECRET}"])
def test_a_secret_that_can_not_be_a_header_is_refused_without_saying_it(secret: str) -> None:
    with pytest.raises(SettingsError, match="Authorization") as caught:
        Client("https://api.example", headers={"Authorization": secret})
    assert SECRET not in str(caught.value)


def test_a_password_in_an_address_is_not_told() -> None:
    assert name_of("https://me:pass@a.example/x") == "a.example"
    assert server_of("https://me:pass@a.example/x") == "https://a.example"


# --- trying again ------------------------------------------------------------------------------------------------

BROKEN = [
    Reply(status=500),
    Reply(status=503),
    Reply(status=599),
    Reply(drop=True),
    Reply({"a": 1}, cut_after=3),
    Reply(b"<html>we will be back</html>"),
    Reply(b""),
    Reply(b"[" * 100_000),
    Reply(status=429),
    Reply(status=302),
    Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: f"{fault.status} {str(fault.body)[:9]}")
def test_what_may_pass_is_tried_again_and_told(world: World, fault: Reply) -> None:
    world.server.faults.extend([fault] * 3)
    assert world.client.get_json(f"{world.server.url}/page").value == {"path": "/page"}
    assert len(world.waits) == len(world.told) == 3
    assert [1 <= wait_s <= 5 for wait_s in world.waits] == [True] * 3
    assert world.waits == sorted(world.waits)


def test_patience_ends() -> None:
    with a_world(lambda request: Reply(status=502)) as world:
        with pytest.raises(NetworkTrouble, match="answered 502, 6 times in a row") as caught:
            world.client.get_json(f"{world.server.url}/page")
        assert len(world.server.log) == TRIES
        assert len(world.waits) == TRIES - 1
        assert "run the same command again" in caught.value.next


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 451])
def test_a_refusal_is_an_answer(world: World, status: int) -> None:
    world.server.faults.append(Reply(b"<html>", status=status))
    answer = world.client.get_json(f"{world.server.url}/page")
    assert (answer.status, answer.ok, answer.value, world.waits) == (status, False, None, [])


def test_what_no_patience_would_change_is_handed_over(world: World) -> None:
    world.server.faults.append(Reply({"title": "UsageCapExceeded"}, status=429))
    answer = world.client.get_json(f"{world.server.url}/page", final=lambda answer: b"Cap" in answer.body)
    assert (answer.status, world.waits) == (429, [])


def test_a_lenient_question_takes_any_body(world: World) -> None:
    world.server.faults.append(Reply(b"<html>"))
    assert world.client.get_json(f"{world.server.url}/page", lenient=True).value is None


def test_json_null_is_json(world: World) -> None:
    world.server.faults.append(Reply(b" null "))
    assert world.client.get_json(f"{world.server.url}/page").value is None


def test_a_server_that_is_not_there_is_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    waits: list[float] = []
    with Client(url, sleep=waits.append) as client, pytest.raises(NetworkTrouble, match="could not be reached"):
        client.get_json(f"{url}/page")
    assert len(waits) == TRIES - 1


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "https://[", "https://", "", "https://a\x00b.example", "https://é" * 99]
)
def test_what_is_no_web_address_is_named(url: str) -> None:
    with Client("https://a.example", robots=False, sleep=[].append) as client, pytest.raises(NetworkTrouble):
        client.get_json(url)


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": date(NOW + 40), "Date": date(NOW)}, 41),
        ({"Retry-After": date(NOW + 40), "Date": ""}, 41),
        ({"x-rate-limit-reset": str(int(NOW + 100)), "Date": date(NOW)}, 101),
        ({"X-RateLimit-Reset": "2025-02-13T08:01:40.000Z", "Date": date(NOW)}, 101),
        ({"X-RateLimit-Reset": "2025-02-13T08:01:40", "Date": ""}, 101),
        ({"ratelimit-reset": "100"}, 101),
        # one of the clocks is hours off
        ({"x-rate-limit-reset": str(int(NOW + 7300)), "Date": date(NOW + 7200)}, 101),
        ({"x-rate-limit-reset": str(int(NOW - 7100)), "Date": date(NOW - 7200)}, 101),
        ({"x-rate-limit-reset": str(int(NOW + 100)), "Date": date(NOW + 7200)}, 101),
        ({"x-rate-limit-reset": str(int(NOW + 100)), "Date": date(NOW - 7200)}, 101),
        # a little: the longer wait
        ({"x-rate-limit-reset": str(int(NOW + 100)), "Date": date(NOW - 20)}, 121),
        ({"x-rate-limit-reset": str(int(NOW + 100)), "Date": date(NOW + 20)}, 101),
    ],
)
def test_a_limit_is_waited_for_as_the_server_says(world: World, headers: dict[str, str], wait_s: float) -> None:
    world.server.faults.append(Reply(status=429, headers=headers))
    assert world.client.get_json(f"{world.server.url}/page").ok
    assert world.waits == [wait_s]
    assert f"asked too often; trying again in {wait_s:.0f} s" in world.told[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "0"},
        {"Retry-After": "-5"},
        {"Retry-After": "soon"},
        {"Retry-After": date(NOW - 999), "Date": date(NOW)},
        {"x-rate-limit-reset": str(int(NOW - 100)), "Date": date(NOW)},
        {"x-rate-limit-reset": "nan"},
        {"x-rate-limit-reset": "9" * 400},
        {"X-RateLimit-Reset": "0001-01-01T00:00:00"},
    ],
)
def test_a_reset_that_is_past_or_missing_makes_no_sleepless_loop(world: World, headers: dict[str, str]) -> None:
    world.server.faults.extend([Reply(status=429, headers=headers)] * 99)
    with pytest.raises(NetworkTrouble, match="asked too often, 6 times"):
        world.client.get_json(f"{world.server.url}/page")
    assert len(world.server.log) == TRIES
    assert all(wait_s >= 2**number for number, wait_s in enumerate(world.waits))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers", [{"Retry-After": "7200"}, {"Retry-After": "9" * 400}, {"Retry-After": date(NOW + 7200)}]
)
def test_a_wait_that_nobody_would_sit_through_ends_the_run_at_once(
    world: World, status: int, headers: dict[str, str]
) -> None:
    world.server.faults.append(Reply(status=status, headers={"Date": date(NOW), **headers}))
    with pytest.raises(NetworkTrouble, match=r"asks us to wait .* hours"):
        world.client.get_json(f"{world.server.url}/page")
    assert (len(world.server.log), world.waits) == (1, [])


def used_up(reset: float) -> Reply:
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(reset)), "Date": date(NOW)}
    return Reply({"last": True}, headers=headers)


def test_a_used_up_limit_is_waited_for_before_the_next_request_only(world: World) -> None:
    world.server.faults.append(used_up(NOW + 100))
    assert world.client.get_json(f"{world.server.url}/page").value == {"last": True}
    assert world.client.get_json(f"{world.server.url}/other").ok
    assert world.waits == []
    assert world.client.get_json(f"{world.server.url}/page", {"cursor": "2"}).ok
    assert world.waits == [101]
    assert world.told == ["The server's rate limit is used up; going on in 101 s."]


def test_a_limit_used_up_for_hours_costs_no_page_that_is_here(world: World) -> None:
    world.server.faults.append(used_up(NOW + 7200))
    assert world.client.get_json(f"{world.server.url}/page").ok
    with pytest.raises(NetworkTrouble, match="used up for another"):
        world.client.get_json(f"{world.server.url}/page")
    assert (len(world.server.log), world.waits) == (1, [])


def test_all_waits_together_have_an_end() -> None:
    limited = Reply(status=429, headers={"Retry-After": str(int(LONGEST_WAIT_S))})
    with a_world() as world:
        for _ in range(int(http.MOST_WAITING_S / LONGEST_WAIT_S)):
            world.server.faults.extend([limited, None])
            world.client.get_json(f"{world.server.url}/page")
        world.server.faults.extend([limited, None])
        with pytest.raises(NetworkTrouble, match=r"has made us wait 6\.0 hours"):
            world.client.get_json(f"{world.server.url}/page")
    assert sum(world.waits) <= http.MOST_WAITING_S


def test_pace_is_kept_for_each_server() -> None:
    moment = [NOW]
    with a_world(robots=False, now=lambda: moment[0]) as world, serve(answers) as other:
        for seconds in (0, 1, 9):
            moment[0] = NOW + seconds
            world.client.get_json(f"{world.server.url}/page", pace_s=3.0)
            world.client.get_json(f"{other.url}/page", pace_s=0.5)
    assert world.waits == [2.0]


def test_a_clock_that_is_set_back_makes_no_endless_wait() -> None:
    moment = [NOW]
    with a_world(robots=False, now=lambda: moment[0]) as world:
        world.client.get_json(f"{world.server.url}/page", pace_s=3.0)
        moment[0] = NOW - 86_400
        world.client.get_json(f"{world.server.url}/page", pace_s=3.0)
    assert world.waits == [3.0]


# --- slow, endless and lying answers -----------------------------------------------------------------------------


def drip(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """An answer that never stands still and never ends."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(1000):
            connection.sendall(drop)
            time.sleep(0.02)

    return speak


@pytest.mark.parametrize(
    "speak",
    [
        drip(b"HTTP/1.1 200 OK\r\n", b"X"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["header", "until closed", "of a length", "chunks", "chunk's length"],
)
def test_an_answer_that_drips_for_ever_is_cut_off(speak: Callable[[socket.socket], None]) -> None:
    begun = time.monotonic()
    trouble, waits = trouble_with(speak, longest_answer_s=0.1)
    assert "did not come to the end of its answer" in trouble.what
    assert len(waits) == TRIES - 1
    assert time.monotonic() - begun < 3


def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    trouble, _ = trouble_with(lambda connection: threading.Event().wait(2) and None, timeout_s=0.05)
    assert "did not answer within 0.05 s" in trouble.what


def test_an_endless_body_is_not_kept() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    trouble, waits = trouble_with(speak)
    assert "answered with more than 33.6 MB" in trouble.what
    assert waits == []


def test_a_small_answer_does_not_become_a_huge_one(world: World) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    twice = gzip.compress(bomb)
    world.server.faults.extend(
        [Reply(bomb, headers={"Content-Encoding": "gzip"}), Reply(twice, headers={"Content-Encoding": "gzip, gzip"})]
    )
    for _ in range(2):
        with pytest.raises(NetworkTrouble, match=r"more than 33\.6 MB"):
            world.client.get_json(f"{world.server.url}/page")


def test_gzip_is_asked_for_and_read(world: World) -> None:
    world.server.faults.append(Reply(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"}))
    assert world.client.get_json(f"{world.server.url}/page").value == {"a": 1}
    assert "gzip" in world.server.log[0].headers["accept-encoding"]


LIES = [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 30_000,
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"{}",
    b"\x00" * 100,
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_an_answer_that_is_no_http_is_trouble(lie: bytes) -> None:
    trouble, waits = trouble_with(lambda connection: connection.sendall(lie))
    assert "6 times in a row" in trouble.what
    assert len(waits) == TRIES - 1


# --- elsewhere ---------------------------------------------------------------------------------------------------


def test_redirects_are_followed_up_to_an_end(world: World) -> None:
    world.server.faults.extend([Reply(status=301, headers={"Location": f"/{n}"}) for n in range(MOST_REDIRECTS)])
    answer = world.client.get_json(f"{world.server.url}/page", {"a": "b"})
    assert answer.value == {"path": f"/{MOST_REDIRECTS - 1}"}
    assert answer.url == f"{world.server.url}/{MOST_REDIRECTS - 1}"
    world.server.faults.extend([Reply(status=301, headers={"Location": "/page"})] * 100)
    with pytest.raises(NetworkTrouble, match="without end"):
        world.client.get_json(f"{world.server.url}/page")
    assert world.waits == []


def test_the_body_of_a_redirect_is_not_read() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /page\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    trouble, _ = trouble_with(speak)
    assert "without end" in trouble.what


@pytest.mark.parametrize(
    "target", ["http://example.org/", "https://10.0.0.1/", "file:///etc/passwd", "https://[::1/", "http://["]
)
def test_a_redirect_into_a_local_network_is_not_followed(world: World, target: str) -> None:
    world.server.faults.extend([Reply(status=302, headers={"Location": target})] * TRIES)
    with pytest.raises(NetworkTrouble):
        world.client.get_json(f"{world.server.url}/page")


@pytest.mark.parametrize(
    "url",
    [
        "http://social.example/",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.0.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://me@127.0.0.1/",
        "https://[",
        "",
    ],
)
def test_a_stranger_can_not_send_us_into_a_local_network(url: str) -> None:
    assert refusal("https://social.example", url) is not None


def test_a_server_of_one_s_own_may_be_asked() -> None:
    assert refusal("https://192.168.0.1", "https://192.168.0.1/page") is None
    assert refusal("http://localhost:1", "http://127.0.0.1:2/page") is None
    assert refusal("https://social.example", "https://8.8.8.8/page") is None
    assert (server_url("localhost:1"), server_url("a.example")) == ("http://localhost:1", "https://a.example")


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(st.sampled_from("htps:/[]@.0127%é?#")))
def test_no_address_does_worse_than_a_refusal(url: str) -> None:
    name_of(url).encode("utf-8", "replace")
    server_of(url)
    assert is_local(url) in (True, False)


# --- robots.txt --------------------------------------------------------------------------------------------------


def robots(text: str | bytes, status: int = 200, **headers: str) -> Reply:
    return Reply(text.encode() if isinstance(text, str) else text, status, headers)


@pytest.mark.parametrize(
    "reply",
    [
        robots("User-agent: *\nDisallow: /"),
        robots("User-agent: huggingtweets\nDisallow: /\n\nUser-agent: *\nAllow: /"),
        robots("user-AGENT:HuggingTweets # us\ndisallow:/page"),
        robots("User-agent: *\nDisallow: /pa*e$"),
        robots("\ufeffUser-agent: *\nDisallow: /"),
        robots("User-agent: *\r\nDisallow: /\r\n" + "# and so on\n" * 100_000),
        robots("User-agent: *\nCrawl-delay: 86400"),
    ],
)
def test_a_server_that_asks_us_to_stay_away_is_left_alone(world: World, reply: Reply) -> None:
    world.server.robots = reply
    with pytest.raises(ConsentRefused, match=r"stay away \(robots.txt\)"):
        world.client.get_json(f"{world.server.url}/page")
    assert world.server.paths == []


@pytest.mark.parametrize(
    "reply",
    [
        robots("", 404),
        robots("User-agent: *\nDisallow: /", 403),
        robots("<!doctype html><html><body>Disallow: /</body></html>"),
        robots("User-agent: *\nDisallow:"),
        robots("User-agent: GPTBot\nDisallow: /"),
        robots("User-agent: huggingtweets\nAllow: /\n\nUser-agent: *\nDisallow: /"),
        robots("User-agent: *\nDisallow: /other"),
        robots(bytes(range(256)) * 10),
        robots("User-agent: *\nCrawl-delay: soon"),
        robots("# nothing\n" * 100_000 + "User-agent: *\nDisallow: /"),
    ],
)
def test_everybody_else_is_asked_and_robots_txt_only_once(world: World, reply: Reply) -> None:
    world.server.robots = reply
    for _ in range(2):
        assert world.client.get_json(f"{world.server.url}/page").ok
    assert (world.server.paths, world.waits) == (["/page", "/page"], [])


def test_robots_txt_may_be_somewhere_else(world: World) -> None:
    with serve(lambda request: robots("User-agent: *\nDisallow: /")) as elsewhere:
        world.server.robots = robots("", 301, Location=f"{elsewhere.url}/their-robots.txt")
        with pytest.raises(ConsentRefused):
            world.client.get_json(f"{world.server.url}/page")


def test_a_robots_txt_that_can_not_be_had_is_a_no(world: World) -> None:
    world.server.robots = robots("", 503)
    with pytest.raises(NetworkTrouble, match=r"The robots\.txt of .* answered 503"):
        world.client.get_json(f"{world.server.url}/page")
    assert world.server.paths == []


def test_an_api_with_a_contract_is_asked_for_no_robots_txt() -> None:
    with a_world(robots=False) as world:
        world.server.robots = robots("User-agent: *\nDisallow: /")
        assert world.client.get_json(f"{world.server.url}/page").ok


def test_the_delay_that_robots_txt_asks_for_is_kept(world: World) -> None:
    world.server.robots = robots("User-agent: *\nCrawl-delay: 10")
    for _ in range(3):
        world.client.get_json(f"{world.server.url}/page")
    assert world.waits == [10.0] * 3  # the first is after robots.txt itself


def test_what_robots_txt_says_to_others_can_be_asked(world: World) -> None:
    world.server.robots = robots("User-agent: GPTBot\nDisallow: /\n")
    assert world.client.may_ask(world.server.url)
    assert not world.client.may_ask(world.server.url, "GPTBot")
    assert "GPTBot" in world.client.robots_text(world.server.url)


# --- headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "url"),
    [
        (
            '<https://a.example/?max_id=1>; rel="next", <https://a.example/?min_id=9>; rel="prev"',
            "https://a.example/?max_id=1",
        ),
        ("<https://a.example/?a,b>;rel=next", "https://a.example/?a,b"),
        ('<https://a.example/>; title="x"; REL="prev next"', "https://a.example/"),
        ('<https://a.example/>; rel="prev"', None),
        ('<https://a.example/>; rel="nextcloud"', None),
        ("<" * 50_000 + ";" * 50_000, None),
        ("", None),
    ],
)
def test_the_link_header_names_the_next_page(world: World, link: str, url: str | None) -> None:
    world.server.faults.append(Reply([], headers={"Link": link}))
    assert world.client.get_json(f"{world.server.url}/page").next_link == url


HEADER = st.text(st.characters(max_codepoint=255), max_size=20) | st.sampled_from(
    ["0", "9" * 20, "2025-13-45", "Thu, 99 Feb 2025 99:99:99 GMT", "9999-12-31T23:59:59+00:00", "1e999", "-1"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "date", "x-rate-limit-reset", "ratelimit-reset"]), HEADER))
def test_no_header_does_worse_than_no_wait(headers: dict[str, str]) -> None:
    wait_s = named_wait_s(headers, NOW)
    assert wait_s is None or math.isfinite(wait_s)


def test_whatever_happens_is_an_error_of_ours(world: World) -> None:
    strange = [{"Set-Cookie": "\xff" * 5000}, {"Location": "\xff"}, {"Content-Type": "text/\xff; charset=nope"}]
    for headers, status in itertools.product(strange, (200, 302, 429)):
        world.server.faults.append(Reply({}, status, headers))
        with contextlib.suppress(HuggingtweetsError):
            world.client.get_json(f"{world.server.url}/page")
