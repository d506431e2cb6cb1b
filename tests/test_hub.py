"""The Hub client against a Hub on this machine that drops, stalls, refuses and lies at every route."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, get_token
from huggingface_hub.utils import get_session

from hub_server import Fault, HubServer, Person, Repository, connect, serve_hub
from huggingtweets.errors import PublishError
from huggingtweets.hub import Hub, Item, Repo, check_name, is_at_home

REPO = Repo("alice/bot")
WEIGHTS = bytes(range(256)) * 8
UPLOADING = ("validate", "preupload", "batch", "put", "verify", "commit")
LOST_OR_LATE = {
    "a dropped connection": Fault(drop=True),
    "a lost answer": Fault(drop_after=True),
    "half an answer": Fault(cut_after=3),
    "a 503": Fault(status=503),
    "a 500 of a proxy": Fault(status=500, body=b"<html>oh</html>", headers={"Content-Type": "text/html"}),
    "a 504": Fault(status=504, error="Gateway time-out"),
    "a 429": Fault(status=429, headers={"Retry-After": "1"}),
    "a silence": Fault(delay_s=0.6),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve_hub() as server:
        connect(monkeypatch, server)
        yield server


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def hub(told: list[str]) -> Hub:
    return Hub(sleep=lambda seconds: None, tell=told.append)


def patient(hub: Hub, fault: Fault) -> Hub:
    """Waits for a silence to end no longer than needs be, and for a slow machine as long as it takes."""
    return dataclasses.replace(hub, answer_s=0.3) if fault.delay_s else hub


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    (tmp_path / "weights").write_bytes(WEIGHTS)
    return [Item("model.safetensors", tmp_path / "weights"), Item("README.md", b"---\nlicense: mit\n---\n# Bot\n")]


def publish(hub: Hub, items: list[Item]) -> None:
    hub.owner()
    hub.make(REPO, private=True)
    hub.look(REPO)
    hub.upload(REPO, items, [], "Publish")


def test_a_repository_is_made_filled_shown_and_taken_down(server: HubServer, hub: Hub, items: list[Item]) -> None:
    assert hub.owner() == "alice"
    assert hub.look(REPO) is None
    assert hub.make(REPO, private=True)
    assert not hub.make(REPO, private=True)
    standing = hub.look(REPO)
    assert standing is not None
    assert standing.private
    assert standing.is_empty
    commit = hub.upload(REPO, items, [], "Publish")
    there = server.model(REPO.id)
    assert there.files["model.safetensors"] == WEIGHTS
    assert there.large == {"model.safetensors"}
    assert there.commits == ["initial commit", "Publish"]
    standing = hub.look(REPO)
    assert standing is not None
    assert standing.commit == commit == there.head
    assert not standing.is_empty
    hub.show(REPO)
    assert not there.private
    assert hub.remove(REPO)
    assert not hub.remove(REPO)


def test_what_the_hub_has_is_not_sent_again(server: HubServer, hub: Hub, items: list[Item]) -> None:
    hub.make(REPO, private=True)
    first = hub.upload(REPO, items, [], "Publish")
    server.log.clear()
    assert hub.upload(REPO, items, [], "Publish") == first
    assert server.asked("put", "commit") == []
    changed = [items[0], Item("README.md", b"# Another\n")]
    assert hub.upload(REPO, changed, [], "Update") != first
    assert server.asked("put", "commit") == ["commit"]


def test_what_is_gone_here_goes_there_and_what_was_never_there_is_no_trouble(
    server: HubServer, hub: Hub, items: list[Item]
) -> None:
    hub.make(REPO, private=True)
    hub.upload(REPO, items, [], "Publish")
    hub.upload(REPO, items[1:], ["model.safetensors", "never.txt"], "Update")
    assert set(server.model(REPO.id).files) == {".gitattributes", "README.md"}


def test_a_large_file_goes_in_parts_where_the_hub_says_so(server: HubServer, hub: Hub, items: list[Item]) -> None:
    server.part_bytes = 700
    hub.make(REPO, private=True)
    server.fail("part", Fault(status=500), Fault(drop_at=100))
    server.fail("complete", Fault(drop_after=True))
    hub.upload(REPO, items, [], "Publish")
    assert server.model(REPO.id).files["model.safetensors"] == WEIGHTS
    assert server.model(REPO.id).commits[1:] == ["Publish"]


@pytest.mark.parametrize("fault", LOST_OR_LATE.values(), ids=LOST_OR_LATE)
@pytest.mark.parametrize("route", UPLOADING)
def test_an_upload_survives(server: HubServer, hub: Hub, items: list[Item], route: str, fault: Fault) -> None:
    hub.make(REPO, private=True)
    server.fail(route, fault)
    patient(hub, fault).upload(REPO, items, [], "Publish")
    assert not server.faults[route]
    assert server.model(REPO.id).files["model.safetensors"] == WEIGHTS
    assert server.model(REPO.id).commits[1:] == ["Publish"]  # once, even if the first answer was lost


@pytest.mark.parametrize("route", ["whoami", "create", "info", "validate", "preupload", "batch", "commit"])
def test_an_answer_that_is_no_json_is_asked_for_again(
    server: HubServer, hub: Hub, items: list[Item], route: str
) -> None:
    server.fail(route, Fault(body=b"{"))
    assert hub.owner() == "alice"
    hub.make(REPO, private=True)
    assert hub.look(REPO) is not None
    hub.upload(REPO, items, [], "Publish")
    assert server.model(REPO.id).commits[1:] == ["Publish"]


@pytest.mark.parametrize("fault", LOST_OR_LATE.values(), ids=LOST_OR_LATE)
def test_every_other_request_survives(server: HubServer, hub: Hub, items: list[Item], fault: Fault) -> None:
    for route in ("whoami", "create", "info", "settings", "delete"):
        server.fail(route, fault)
    hub = patient(hub, fault)
    assert hub.owner() == "alice"
    hub.make(REPO, private=True)
    assert hub.look(REPO) is not None
    hub.show(REPO)
    hub.remove(REPO)
    assert not any(server.faults.values())
    assert not server.repos


def test_an_upload_that_breaks_off_in_a_large_file_begins_that_file_again(
    server: HubServer, hub: Hub, items: list[Item], told: list[str]
) -> None:
    hub.make(REPO, private=True)
    server.fail("put", Fault(drop_at=100), Fault(status=503))
    hub.upload(REPO, items, [], "Publish")
    assert server.asked("put") == ["put"] * 3
    assert set(told) == {"The Hub did not answer as it should; trying again."}


@pytest.mark.parametrize("route", [route for route in UPLOADING if route != "verify"])  # after it, it is stored
def test_an_upload_that_never_comes_through_ends_in_a_sentence_and_goes_on_later(
    server: HubServer, hub: Hub, items: list[Item], route: str
) -> None:
    hub.make(REPO, private=True)
    server.fail(route, *[Fault(status=503, error="Down for repairs")] * 60)
    with pytest.raises(PublishError, match="503 again and again: Down for repairs") as said:
        hub.upload(REPO, items, [], "Publish")
    assert "run the same command again" in said.value.next
    sent = len(server.stored)
    server.faults[route].clear()
    server.log.clear()
    hub.upload(REPO, items, [], "Publish")
    assert len(server.asked("put")) == 1 - sent
    assert server.model(REPO.id).commits[1:] == ["Publish"]


def test_a_wait_that_the_hub_names_is_kept_and_a_very_long_one_is_said(
    monkeypatch: pytest.MonkeyPatch, server: HubServer, items: list[Item]
) -> None:
    waits = connect(monkeypatch, server)
    hub = Hub(sleep=waits.append)
    server.fail("create", Fault(status=429, headers={"Retry-After": "70"}))
    hub.make(REPO, private=True)
    server.fail("preupload", Fault(status=429, headers={"RateLimit": '"api";r=0;t=55'}))
    hub.upload(REPO, items, [], "Publish")
    assert waits == [70, 56]
    server.fail("put", Fault(status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(PublishError, match="wait 1,440 minutes"):
        hub.upload(REPO, [Item("other.safetensors", WEIGHTS[::-1])], [], "Publish")
    assert waits == [70, 56]


REFUSALS = {
    ("create", 403, "no rights under the namespace"): "may not do that to alice/bot: no rights under the namespace",
    ("commit", 403, "Forbidden: you must use a write token"): "may not do that to alice/bot: Forbidden",
    ("batch", 403, "Private repository storage limit reached"): "no room for alice/bot on the Hub: Private repository",
    ("put", 413, "Entity too big"): "no room for alice/bot",
    ("put", 507, "disk"): "no room for alice/bot",
    ("create", 402, "Spaces of this kind need PRO"): "asks for payment for alice/bot: Spaces of this kind need PRO",
    ("commit", 401, "User access token is expired"): "does not accept your token",
    ("preupload", 404, "Repository not found"): "knows no alice/bot",
    ("commit", 400, "Bad branch"): "refuses alice/bot: Bad branch",
    ("verify", 422, "size differs"): "refuses alice/bot: size differs",
}


@pytest.mark.parametrize(("what", "sentence"), REFUSALS.items(), ids=lambda what: str(what)[:40])
def test_a_refusal_is_one_sentence_at_once(
    server: HubServer, hub: Hub, items: list[Item], what: tuple[str, int, str], sentence: str
) -> None:
    route, status, error = what
    server.fail(route, *[Fault(status=status, error=error)] * 2)
    with pytest.raises(PublishError, match=sentence) as said:
        publish(hub, items)
    assert said.value.next
    assert len(server.asked(route)) == 1
    assert not re.search(r"/api/|/lfs/|signature|Request ID", str(said.value))


def test_a_server_that_answers_with_the_token_does_not_get_it_shown(server: HubServer, hub: Hub) -> None:
    server.fail("info", Fault(status=403, error="hf_write may not look"))
    with pytest.raises(PublishError, match=r"to alice/bot: \(token\) may not look"):
        hub.look(REPO)


@pytest.mark.parametrize("body", [b"{", b"<html>a proxy's own page</html>", b"\xff"])
def test_a_server_that_is_no_hub_is_said(server: HubServer, hub: Hub, body: bytes) -> None:
    server.fail("whoami", *[Fault(body=body)] * 9)
    with pytest.raises(PublishError, match=f"The Hub at {server.url} does not answer as a Hub does") as said:
        hub.owner()
    assert said.value.next == "check HF_ENDPOINT, if it is set"


def test_a_card_that_the_hub_does_not_take_is_said_in_its_words(server: HubServer, hub: Hub) -> None:
    hub.make(REPO, private=True)
    with pytest.raises(PublishError, match=r"did not take alice/bot: Invalid metadata.*must be an ISO code"):
        hub.upload(REPO, [Item("README.md", b"---\nlanguage: [english]\n---\n")], [], "Publish")


def test_a_large_file_that_the_hub_refuses_by_name_is_said(server: HubServer, hub: Hub, items: list[Item]) -> None:
    hub.make(REPO, private=True)
    oid = items[0].sha256
    error = f'{{"objects": [{{"oid": "{oid}", "size": 1, "error": {{"code": 422, "message": "quota exceeded"}}}}]}}'
    server.fail("batch", Fault(body=error.encode()))
    with pytest.raises(PublishError, match="no room"):
        hub.upload(REPO, items, [], "Publish")


@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"hf"', b"{}", b'{"name": 3}', b'{"files": 1}'])
@pytest.mark.parametrize("route", ["whoami", "create", "info", *UPLOADING])
def test_an_answer_of_another_shape_never_shows_a_traceback(
    server: HubServer, hub: Hub, items: list[Item], route: str, body: bytes
) -> None:
    server.fail(route, *[Fault(body=body)] * 60)
    try:
        publish(hub, items)
    except PublishError:
        return
    assert server.asked(route)


class TestLogins:
    def test_no_login(self, monkeypatch: pytest.MonkeyPatch, server: HubServer, hub: Hub) -> None:
        connect(monkeypatch, server, token=None)
        with pytest.raises(PublishError, match="not logged in") as said:
            hub.owner()
        assert said.value.next.startswith("hf auth login")
        assert server.log == []

    def test_a_token_that_the_hub_does_not_know(
        self, monkeypatch: pytest.MonkeyPatch, server: HubServer, hub: Hub
    ) -> None:
        connect(monkeypatch, server, token="hf_gone")
        with pytest.raises(PublishError, match="does not accept your token") as said:
            hub.owner()
        assert "HF_TOKEN" in said.value.why

    def test_a_token_that_may_only_read(self, server: HubServer, hub: Hub) -> None:
        server.people["hf_write"] = Person("alice", role="read")
        with pytest.raises(PublishError, match="token of alice may only read"):
            hub.owner()

    def test_somebody_elses_name(self, server: HubServer, hub: Hub) -> None:
        with pytest.raises(PublishError, match='rights to do that under the namespace "bob"') as said:
            hub.make(Repo("bob/bot"), private=True)
        assert "may not write for bob" in said.value.why

    @pytest.mark.parametrize("token", ["hf_two words", "hf_ünïcode", "hf_line\nbreak", "hf_\x00"])
    def test_what_is_no_token_is_neither_sent_nor_told(
        self, monkeypatch: pytest.MonkeyPatch, server: HubServer, hub: Hub, token: str
    ) -> None:
        monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
        with pytest.raises(PublishError, match="characters that no token has") as said:
            hub.owner()
        assert token[3:] not in f"{said.value}{said.value.__cause__}"
        assert server.log == []

    def test_a_login_that_was_taken_away_is_not_taken_for_a_repository_that_is_gone(
        self, server: HubServer, hub: Hub
    ) -> None:
        hub.make(REPO, private=True)
        del server.people["hf_write"]
        for ask in (hub.look, hub.remove):
            with pytest.raises(PublishError, match="does not accept your token"):
                ask(REPO)


def test_without_a_network_the_sentence_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_hub() as server:
        waits = connect(monkeypatch, server)
    with pytest.raises(PublishError, match="can't be reached"):
        Hub(sleep=waits.append).owner()
    assert len(waits) == 2
    assert sum(waits) < 6


def test_a_hub_that_is_switched_off_is_said(monkeypatch: pytest.MonkeyPatch, server: HubServer, hub: Hub) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PublishError, match="HF_HUB_OFFLINE"):
        hub.owner()
    assert server.log == []


@pytest.mark.parametrize("name", ["a b/c", "a/b/c", "alice/-x", "alice/x--y", "alice/x.git", "alice/" + "x" * 97])
def test_a_name_that_no_hub_allows_is_said(name: str) -> None:
    with pytest.raises(PublishError, match="no name that the Hub allows"):
        check_name(name)


def test_xet_is_for_the_hub_itself_only(monkeypatch: pytest.MonkeyPatch, server: HubServer) -> None:
    from huggingface_hub.utils._runtime import is_xet_available

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.delenv("HF_HUB_DISABLE_XET", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://huggingface.co/")
    assert Hub().api.endpoint == "https://huggingface.co"
    assert is_xet_available()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    assert Hub().api.endpoint == server.url
    assert not is_xet_available()


def test_the_endpoint_counts_even_when_it_is_set_late(server: HubServer, hub: Hub) -> None:
    assert server.url != constants.ENDPOINT
    assert REPO.url == f"{server.url}/alice/bot"
    assert is_at_home(REPO.url)
    assert not is_at_home("https://huggingface.co/alice/bot")
    assert hub.owner() == "alice"


@pytest.mark.parametrize("address", ["nonsense", "ftp://hub.example", "http://", "https:// x"])
def test_an_endpoint_that_is_no_address_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, hub: Hub, address: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(PublishError, match="HF_ENDPOINT is no web address"):
        hub.owner()


def test_addresses_are_shown_without_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://alice:planted@hub.example/")
    assert Repo("a/b", "space").url == "https://hub.example/spaces/a/b"


def test_the_hub_clients_own_session_and_log_get_back_what_was_theirs(
    server: HubServer, hub: Hub, items: list[Item], capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    session, log = get_session(), logging.getLogger("huggingface_hub")
    before = session.timeout, session.event_hooks, log.handlers
    hub.make(REPO, private=True)
    server.fail("preupload", Fault(status=503))
    hub.upload(REPO, items, [], "Publish")
    assert (session.timeout, session.event_hooks, log.handlers) == before
    assert capfd.readouterr() == ("", "")


def test_the_token_is_in_no_error_and_no_description(
    monkeypatch: pytest.MonkeyPatch, server: HubServer, hub: Hub, items: list[Item]
) -> None:
    assert get_token() == "hf_write"
    hub.make(REPO, private=True)
    server.fail("put", Fault(status=403, error="SignatureDoesNotMatch"))
    with pytest.raises(PublishError) as said:
        hub.upload(REPO, items, [], "Publish")
    shown = f"{said.value} {hub!r} {items!r} {said.value!r}"
    assert "hf_write" not in shown
    assert "signature=" not in shown


def test_an_item_is_described_by_name_size_and_digest(items: list[Item]) -> None:
    assert items[0].size_bytes == len(WEIGHTS)
    assert items[0].sha256 == Item("x", WEIGHTS).sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_two_publishers_at_once_both_come_through(server: HubServer, items: list[Item]) -> None:
    def publish(name: str) -> None:
        hub = Hub(sleep=lambda seconds: None)
        hub.make(Repo(f"alice/{name}"), private=True)
        hub.upload(Repo(f"alice/{name}"), items, [], "Publish")

    threads = [threading.Thread(target=publish, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {repo.files["model.safetensors"] for repo in server.repos.values()} == {WEIGHTS}


def test_a_repository_of_another_kind_is_another_repository(server: HubServer, hub: Hub) -> None:
    server.repos["dataset", REPO.id] = Repository(REPO.id, "dataset", True)
    assert hub.make(REPO, private=True)
    assert hub.make(Repo(REPO.id, "space"), private=False)
    assert server.repos["space", REPO.id].sdk == "gradio"
    assert hub.remove(REPO)
    assert set(server.repos) == {("dataset", REPO.id), ("space", REPO.id)}
    assert os.environ["HF_ENDPOINT"] == server.url
