"""A bot goes to a Hub on this machine, changes there, survives kills and refusals, and comes down again."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import huggingtweets as ht
from conftest import invented_posts
from hub_server import Fault, HubServer, Person, Repository, connect, connect_downloads, serve_hub
from huggingtweets import stages
from huggingtweets.botdir import BotDir, read_json, write_json
from huggingtweets.config import BotSettings, TrainingSettings
from huggingtweets.errors import BotError, PublishError, SettingsError, StageMissing
from huggingtweets.hub import Hub
from huggingtweets.places import read_places
from huggingtweets.publishing import Published, publish, unpublish, where
from huggingtweets.reports import Event, Notice, StageDone

SENDING = ("batch", "put", "commit")


@pytest.fixture(scope="module")
def finished(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot of 250 posts, trained for a moment."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "rover.txt").write_text("\n".join(invented_posts(250)) + "\n", encoding="utf-8")
    training = TrainingSettings(epochs=0.2, tokens_per_step=400, learning_rate=5e-3, threads=1, device="cpu")
    settings = BotSettings(base=str(tiny_gpt2), training=training)
    return ht.create(folder / "rover.txt", bots_dir=folder / "bots", settings=settings).path


@pytest.fixture
def bot(finished: Path, tmp_path: Path) -> BotDir:
    return BotDir(shutil.copytree(finished, tmp_path / "bots" / "rover"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve_hub() as server:
        connect(monkeypatch, server)
        yield server


@pytest.fixture
def hub() -> Hub:
    return Hub(sleep=lambda seconds: None)


@pytest.fixture
def send(bot: BotDir, hub: Hub, server: HubServer) -> Callable[..., Published]:
    def send(to: str | None = None, **options: object) -> Published:
        server.log.clear()
        return publish(bot, to, hub=hub, **options)  # type: ignore[arg-type]

    return send


Send = Callable[..., Published]


def local_files(bot: BotDir) -> dict[str, bytes]:
    """What belongs in the repository, from the bot's folder as it is now."""
    model = {file.name: file.read_bytes() for file in bot.model.iterdir()}
    told = {"README.md": bot.card.read_bytes(), "predictions.png": bot.picture.read_bytes()}
    return {**model, **told, "avatars/rover.png": (bot.avatars / "rover.png").read_bytes()}


def there(server: HubServer, repo_id: str = "alice/rover") -> dict[str, bytes]:
    return {path: content for path, content in server.model(repo_id).files.items() if path != ".gitattributes"}


def header(card: bytes) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", card.decode(), re.DOTALL)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


# --- what goes up -------------------------------------------------------------------------------------------------


def test_the_repository_is_the_model_the_card_the_picture_and_the_faces(
    send: Send, bot: BotDir, server: HubServer
) -> None:
    done = send()
    assert there(server) == local_files(bot)
    assert done.files == {path: len(content) for path, content in local_files(bot).items()}
    assert done.repo_id == "alice/rover"
    assert done.url == f"{server.url}/alice/rover"
    assert done.private
    assert server.model("alice/rover").private
    assert server.model("alice/rover").commits == ["initial commit", "Publish rover"]
    assert done.commit == server.model("alice/rover").head


def test_posts_never_go_up_nor_does_anything_else_that_lies_around(send: Send, bot: BotDir, server: HubServer) -> None:
    shutil.copyfile(bot.posts, bot.model / "posts.jsonl")
    shutil.copyfile(bot.samples, bot.avatars / "samples.jsonl")
    (bot.avatars / "stranger.png").write_bytes(b"of an account that is no longer of this bot")
    (bot.model / ".cache").mkdir()
    send(space=True)
    sent = b"".join([*server.stored.values(), *(f for repo in server.repos.values() for f in repo.files.values())])
    posts = [json.loads(line)["text"] for line in bot.posts.read_text().splitlines()]
    assert len(posts) == 250
    assert not [post for post in posts if post.encode() in sent]
    assert {path.split("/")[0] for path in there(server)} >= {"model.safetensors", "config.json", "README.md"}
    assert not [path for repo in server.repos.values() for path in repo.files if "jsonl" in path or "stranger" in path]


def test_every_file_is_listed_with_its_size_before_it_leaves(bot: BotDir, hub: Hub, server: HubServer) -> None:
    timeline: list[str] = []
    server.on_request = timeline.append

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            timeline.append(event.text)

    publish(bot, hub=hub, listen=listen)
    listed = timeline[: timeline.index("preupload")]
    for path, content in local_files(bot).items():
        unit = f"{len(content) / 1000:.0f} kB" if len(content) >= 1000 else f"{len(content)} bytes"
        assert f"{path}  {unit}" in listed


def test_the_card_is_what_the_hub_sorts_by(send: Send, bot: BotDir, server: HubServer) -> None:
    report = read_json(bot.train_report)
    write_json(bot.train_report, {**report, "base_id": "openai-community/gpt2", "base_license": "mit"})
    send()
    card = header(there(server)["README.md"])
    assert card["base_model"] == "openai-community/gpt2"
    assert card["language"] == ["en"]
    assert "huggingtweets" in card["tags"]  # type: ignore[operator]
    assert card["widget"] == [{"text": "My dream is"}]
    assert card["pipeline_tag"] == "text-generation"
    metrics = card["model-index"][0]["results"]  # type: ignore[index]
    assert {metric["type"] for result in metrics for metric in result["metrics"]} >= {"bits_per_byte", "copied_share"}
    request = urllib.request.Request(str(card["thumbnail"]), headers={"Authorization": "Bearer hf_write"})
    with urllib.request.urlopen(request) as picture:
        assert picture.read() == bot.picture.read_bytes()
    assert 'model="alice/rover"' in there(server)["README.md"].decode()


def test_a_dry_run_asks_nothing_changes_nothing_and_tells_the_truth(send: Send, bot: BotDir, server: HubServer) -> None:
    before = {file: file.read_bytes() for file in bot.path.rglob("*") if file.is_file()}
    would = send("alice/rover", dry_run=True, preview=3, space=True)
    assert set(would.files) == set(local_files(bot))
    assert server.log == []
    assert {file: file.read_bytes() for file in bot.path.rglob("*") if file.is_file()} == before
    assert would.commit is None
    assert would.private
    assert would.space is not None
    assert would.space.repo_id == "alice/rover-space"
    whole = send("alice/rover", dry_run=True)
    assert whole.files == send("alice/rover").files
    assert send(dry_run=True).private
    send(public=True)
    assert not send(dry_run=True).private


def test_it_stays_private_until_public_is_said_and_public_after(send: Send, server: HubServer) -> None:
    assert send().private
    assert send().private
    assert not send(public=True).private
    assert not server.model("alice/rover").private
    assert not send().private
    assert not server.model("alice/rover").private


def test_a_bot_that_is_public_from_the_start_needs_no_more_requests(send: Send, server: HubServer) -> None:
    assert not send(public=True).private
    assert not server.model("alice/rover").private
    assert "settings" not in server.asked()


@pytest.mark.parametrize("to", ["the-lab/other", "other"])
def test_it_goes_where_it_is_told(send: Send, server: HubServer, to: str) -> None:
    done = send(to)
    assert done.repo_id == (to if "/" in to else f"alice/{to}")
    assert send().repo_id == done.repo_id
    assert len(server.repos) == 1


# --- again --------------------------------------------------------------------------------------------------------


def test_a_second_publish_sends_nothing(send: Send, bot: BotDir, hub: Hub, server: HubServer) -> None:
    first = send()
    record = bot.published.read_bytes()
    events: list[Event] = []
    second = send(listen=events.append)
    assert server.asked() == ["whoami", "info"]
    assert second.commit == first.commit
    assert not second.changed
    assert bot.published.read_bytes() == record
    assert not [event for event in events if isinstance(event, Notice)]
    assert [event.skipped for event in events if isinstance(event, StageDone)] == [True]


def test_what_somebody_else_committed_stays_and_what_they_changed_is_ours_again(
    send: Send, bot: BotDir, server: HubServer
) -> None:
    send()
    model = server.model("alice/rover")
    model.files |= {"LICENSE": b"theirs", "README.md": b"theirs"}
    model.commits.append("by hand")
    send()
    assert server.asked(*SENDING) == ["batch", "commit"]
    assert there(server) == {**local_files(bot), "LICENSE": b"theirs"}


def note_as_trained(bot: BotDir) -> None:
    """The record as a training and an evaluation of the weights that lie there now would leave it."""
    weights = stages.weights_digest(bot.model)
    sizes = {file.name: file.stat().st_size for file in bot.model.iterdir()}
    bot.mark_done("train", **{**(bot.stage("train") or {}), "files": sizes, "weights": weights})
    bot.mark_done("evaluate", **{**(bot.stage("evaluate") or {}), "weights": weights})


def test_a_new_model_replaces_the_old_one_and_files_of_the_old_one_go(
    send: Send, bot: BotDir, server: HubServer
) -> None:
    send()
    weights = bot.model / "model.safetensors"
    changed = bytes([*weights.read_bytes()[:-1], 7])
    weights.unlink()
    (bot.model / "model-00001-of-00001.safetensors").write_bytes(changed)
    note_as_trained(bot)
    send()
    assert server.asked("put") == ["put"]
    assert there(server) == local_files(bot)
    assert "model.safetensors" not in there(server)
    assert server.model("alice/rover").commits[1:] == ["Publish rover", "Update rover"]


def test_card_only_sends_the_card_the_picture_and_the_faces(send: Send, bot: BotDir, server: HubServer) -> None:
    send()
    weights = there(server)["model.safetensors"]
    (account,) = read_json(bot.accounts)
    write_json(bot.accounts, [{**account, "display_name": "Perseverance"}])
    done = send(card_only=True)
    assert set(done.files) == {"README.md", "predictions.png", "avatars/rover.png"}
    assert server.asked("put") == ["put"]  # the picture
    assert b"Perseverance" in there(server)["README.md"]
    assert there(server) == local_files(bot)
    assert there(server)["model.safetensors"] == weights
    send()
    assert server.asked(*SENDING) == []


def test_a_preview_that_was_chosen_becomes_the_picture_here_and_there(
    send: Send, bot: BotDir, server: HubServer
) -> None:
    send()
    before = bot.picture.read_bytes()
    done = send(preview=4)
    assert set(done.files) == {"README.md", "predictions.png"}
    assert bot.picture.read_bytes() != before
    assert there(server) == local_files(bot)
    assert server.asked("put") == ["put"]
    send()
    assert server.asked(*SENDING) == []
    ht.run(bot, ["card"])
    assert there(server) == local_files(bot)


def test_a_preview_lapses_with_the_predictions_it_was_chosen_from(send: Send, bot: BotDir) -> None:
    first = bot.picture.read_bytes()
    send()
    send(preview=2)
    samples = [json.loads(line) for line in bot.samples.read_text().splitlines()]
    samples[1]["text"] = "My dream is another."
    bot.samples.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    ht.run(bot, ["card"])
    assert bot.picture.read_bytes() == first


@pytest.mark.parametrize("number", [0, 11, -1])
def test_a_preview_that_is_not_there_is_said(send: Send, server: HubServer, number: int) -> None:
    with pytest.raises(SettingsError, match="--preview must be 1 to 10"):
        send(preview=number)
    assert server.log == []


def test_a_preview_that_copies_a_post_is_warned_about(send: Send, bot: BotDir) -> None:
    samples = [json.loads(line) for line in bot.samples.read_text().splitlines()]
    samples[2]["copied_from"] = "a post"
    bot.samples.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    events: list[Event] = []
    send(preview=3, listen=events.append)
    assert any(isinstance(event, Notice) and event.warning and "copies a post" in event.text for event in events)


def test_a_card_alone_goes_nowhere_first(send: Send, server: HubServer) -> None:
    with pytest.raises(PublishError, match="is not published at alice/rover yet") as said:
        send(card_only=True)
    assert said.value.next == "huggingtweets publish rover alice/rover"
    assert not server.repos


def test_with_the_first_picture_goes_everything(send: Send, bot: BotDir, server: HubServer) -> None:
    send(preview=6)
    assert there(server) == local_files(bot)
    send()
    assert server.asked(*SENDING) == []


def test_a_card_that_was_edited_by_hand_goes_as_it_is(send: Send, bot: BotDir, server: HubServer) -> None:
    send()
    with bot.card.open("a") as card:
        card.write("\n## Thanks\n")
    send(card_only=True)
    assert there(server)["README.md"].endswith(b"\n## Thanks\n")
    assert there(server) == local_files(bot)


@pytest.mark.parametrize("options", [{"card_only": True}, {"preview": 1}])
def test_a_part_alone_goes_only_beside_its_own_model(
    send: Send, bot: BotDir, server: HubServer, options: dict[str, object]
) -> None:
    send()
    weights = bot.model / "model.safetensors"
    weights.write_bytes(bytes([*weights.read_bytes()[:-1], 7]))
    note_as_trained(bot)
    with pytest.raises(PublishError, match="has changed since it was published"):
        send(**options)
    assert server.asked(*SENDING) == []


# --- interrupted --------------------------------------------------------------------------------------------------

KILLED = """
import sys
from huggingtweets.botdir import BotDir
from huggingtweets.publishing import publish
from pathlib import Path

publish(BotDir(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("route", ["info", "commit"])
def test_a_kill_loses_nothing_and_no_large_file_is_sent_twice(
    send: Send, bot: BotDir, server: HubServer, route: str
) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(bot.path)], env=environment)

    def kill(asked: str) -> None:
        if asked == route and child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
            server.fail(route, Fault(drop=True))

    server.on_request = kill
    assert child.wait(timeout=240) == -signal.SIGKILL
    server.on_request = lambda asked: None
    sent = len(server.stored)
    assert sent == (3 if route == "commit" else 0)
    done = send()
    assert len(server.asked("put")) == 3 - sent
    assert there(server) == local_files(bot)
    assert len(server.model("alice/rover").commits) == 2
    assert done.commit == server.model("alice/rover").head
    assert not list(bot.path.rglob("*.tmp"))


def test_a_commit_whose_answer_was_lost_for_good_is_recognized(send: Send, bot: BotDir, server: HubServer) -> None:
    server.fail("commit", Fault(drop_after=True))
    server.fail("info", Fault(), *[Fault(drop=True)] * 9)
    with pytest.raises(PublishError, match="can't be reached, or breaks off"):
        send()
    server.faults.clear()
    send()
    assert server.asked("put", "commit") == []
    assert server.model("alice/rover").commits[1:] == ["Publish rover"]
    assert there(server) == local_files(bot)


@pytest.mark.parametrize("fault", [Fault(drop=True), Fault(status=503), Fault(drop_after=True)], ids=str)
def test_every_route_may_fail_once(send: Send, bot: BotDir, server: HubServer, fault: Fault) -> None:
    for route in ("whoami", "create", "info", "validate", "preupload", "batch", "put", "verify", "commit", "settings"):
        server.fail(route, fault)
    assert send().private
    assert there(server) == local_files(bot)
    assert server.model("alice/rover").commits[1:] == ["Publish rover"]
    send(public=True)
    assert not any(server.faults.values())


# --- refused ------------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_stays_as_it_is(send: Send, bot: BotDir, server: HubServer) -> None:
    server.repos["model", "alice/rover"] = Repository("alice/rover", "model", False, {"config.json": b"{}"})
    card = bot.card.read_bytes()
    with pytest.raises(PublishError, match="is there already, and was not published from this bot") as said:
        send(public=True)
    assert said.value.next.startswith("huggingtweets publish rover alice/rover-2")
    assert there(server) == {"config.json": b"{}"}
    assert server.asked(*SENDING) == []
    assert bot.card.read_bytes() == card
    assert where(bot) == []
    assert send("alice/rover-2").repo_id == "alice/rover-2"


def test_a_repository_that_is_still_empty_may_be_filled(send: Send, bot: BotDir, server: HubServer) -> None:
    server.repos["model", "alice/rover"] = Repository("alice/rover", "model", True, {".gitattributes": b""})
    send()
    assert there(server) == local_files(bot)


def test_a_repository_that_somebody_deleted_is_made_again_but_not_for_a_card(
    send: Send, bot: BotDir, server: HubServer
) -> None:
    send()
    server.repos.clear()
    server.stored.clear()
    with pytest.raises(PublishError, match=r"alice/rover is no longer on the Hub"):
        send(card_only=True)
    assert not server.repos
    send()
    assert there(server) == local_files(bot)


def test_logins_and_rooms(
    send: Send, bot: BotDir, hub: Hub, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.people["hf_write"] = Person("alice", role="read")
    with pytest.raises(PublishError, match="may only read"):
        send()
    server.people["hf_write"] = Person("alice")
    with pytest.raises(PublishError, match='under the namespace "bob"'):
        send("bob/rover")
    server.room_bytes = 1000
    with pytest.raises(PublishError, match="no room for alice/rover on the Hub") as said:
        send()
    assert "billing" in said.value.next
    server.room_bytes = None
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(PublishError, match="does not accept your token"):
        send()
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    assert send().changed
    assert len(server.model("alice/rover").commits) == 2


@pytest.mark.parametrize("to", ["a b", "a/b/c", "../x", "alice/x.git", "https://example.org/x"])
def test_a_name_that_no_hub_allows_is_said_even_in_a_dry_run(send: Send, server: HubServer, to: str) -> None:
    with pytest.raises(PublishError, match="no name that the Hub allows"):
        send(to, dry_run=True)
    assert server.log == []


def test_a_bot_that_is_not_finished_or_not_whole_stays_here(send: Send, bot: BotDir, server: HubServer) -> None:
    weights = bot.model / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(BotError, match="model of rover is damaged"):
        send()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # as long as before
    with pytest.raises(BotError, match="model of rover is damaged"):
        send()
    weights.write_bytes(whole)
    facts = bot.stage("train") or {}
    bot.mark_done("train", **{**facts, "weights": "others"})
    with pytest.raises(StageMissing, match="trained again after its scores were taken"):
        send()
    bot.eval_report.unlink()
    with pytest.raises(StageMissing, match="huggingtweets evaluate rover"):
        send()
    assert server.log == []


# --- elsewhere, and down again ------------------------------------------------------------------------------------


def test_a_bot_that_moves_is_known_in_both_places_and_both_come_down(
    send: Send, bot: BotDir, hub: Hub, server: HubServer
) -> None:
    card = bot.card.read_bytes()
    send(space=True)
    send("the-lab/rover")
    home, lab = f"{server.url}/alice/rover", f"{server.url}/the-lab/rover"
    space = f"{server.url}/spaces/alice/rover-space"
    assert where(bot) == [lab, space, home]
    assert read_json(bot.published)["url"] == lab
    server.log.clear()
    send("alice/rover")
    assert server.asked(*SENDING) == []
    assert there(server) == local_files(bot)
    assert where(bot) == [space, home, lab]
    assert unpublish(bot, hub=hub) == [space, home, lab]
    assert not server.repos
    assert not bot.published.exists()
    assert bot.card.read_bytes() == card
    with pytest.raises(PublishError, match="rover is not published"):
        unpublish(bot, hub=hub)


def test_a_taking_down_that_was_interrupted_goes_on(send: Send, bot: BotDir, hub: Hub, server: HubServer) -> None:
    send(space=True)
    server.fail("delete", Fault(), Fault(status=403, error="no"))
    with pytest.raises(PublishError, match="may not do that to alice/rover"):
        unpublish(bot, hub=hub)
    assert where(bot) == [f"{server.url}/alice/rover"]
    assert unpublish(bot, hub=hub) == [f"{server.url}/alice/rover"]
    assert not server.repos


def test_what_somebody_deleted_by_hand_is_forgotten(send: Send, bot: BotDir, hub: Hub, server: HubServer) -> None:
    send()
    server.repos.clear()
    assert unpublish(bot, hub=hub) == []
    assert where(bot) == []


def test_a_bot_that_was_trained_again_can_still_be_taken_down(
    send: Send, bot: BotDir, hub: Hub, server: HubServer
) -> None:
    send()
    bot.mark_done("train", **{**(bot.stage("train") or {}), "weights": "others"})
    assert unpublish(bot, hub=hub)
    assert where(bot) == []


def test_another_hub_is_never_asked_to_delete(
    send: Send, bot: BotDir, hub: Hub, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    send()
    with serve_hub() as other:
        connect(monkeypatch, other)
        other.repos["model", "alice/rover"] = Repository("alice/rover", "model", True)
        with pytest.raises(PublishError, match="on another Hub") as said:
            unpublish(bot, hub=Hub())
        assert said.value.next == f"HF_ENDPOINT={server.url} huggingtweets unpublish rover"
        assert list(other.repos) == [("model", "alice/rover")]
    assert where(bot) == [f"{server.url}/alice/rover"]


def test_a_damaged_record_is_said(send: Send, bot: BotDir) -> None:
    for content in ("[]", "{}", '{"repo_id": "a/b", "url": "u", "files": 3}', "3"):
        bot.published.write_text(content)
        with pytest.raises(BotError, match=r"published\.json is damaged"):
            send()


# --- the Space ----------------------------------------------------------------------------------------------------


def test_a_space_runs_the_bot_and_starts_again_with_a_new_model(send: Send, bot: BotDir, server: HubServer) -> None:
    events: list[Event] = []
    done = send(space=True, listen=events.append)
    assert done.space is not None
    assert done.space.url == f"{server.url}/spaces/alice/rover-space"
    space = server.repos["space", "alice/rover-space"]
    assert space.private
    assert space.sdk == "gradio"
    assert set(space.files) == {
        ".gitattributes", "README.md", "app.py", "avatars/rover.png", "requirements.txt", "space.json", "voice.py"
    }  # fmt: skip
    facts = json.loads(space.files["space.json"])
    assert facts["model"] == "alice/rover"
    assert facts["commit"] == done.commit
    assert header(space.files["README.md"])["models"] == ["alice/rover"]
    secrets = [event.text for event in events if isinstance(event, Notice) and "HF_TOKEN" in event.text]
    assert secrets == [
        "The bot is private: its Space needs a token that may read it, as the secret HF_TOKEN in "
        f"{server.url}/spaces/alice/rover-space/settings."
    ]
    send(space=True)
    assert server.asked(*SENDING) == []
    send(preview=5, space=True)
    assert len(space.commits) == 3
    assert json.loads(space.files["space.json"])["commit"] == server.model("alice/rover").head


def test_a_public_bot_has_a_public_space_that_needs_no_secret(send: Send, server: HubServer) -> None:
    events: list[Event] = []
    send(space=True, public=True, listen=events.append)
    assert not any(repo.private for repo in server.repos.values())
    assert not [event for event in events if isinstance(event, Notice) and "HF_TOKEN" in event.text]
    assert b"HF_TOKEN" not in server.repos["space", "alice/rover-space"].files["README.md"]


def test_somebody_elses_space_stays_as_it_is(send: Send, bot: BotDir, server: HubServer) -> None:
    theirs = {".gitattributes": b"", "README.md": b"", "app.py": b"theirs"}
    server.repos["space", "alice/rover-space"] = Repository("alice/rover-space", "space", True, dict(theirs))
    with pytest.raises(PublishError, match="rover-space is there already"):
        send(space=True)
    assert server.repos["space", "alice/rover-space"].files == theirs
    assert there(server) == local_files(bot)
    assert where(bot) == [f"{server.url}/alice/rover"]


# --- secrets, and the bot from there ------------------------------------------------------------------------------


def test_the_token_is_in_no_file_and_no_sentence(
    send: Send, bot: BotDir, server: HubServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = "hf_planted0123456789"
    server.people[token] = Person("alice")
    monkeypatch.setenv("HF_TOKEN", token)
    caplog.set_level("DEBUG")
    events: list[Event] = []
    said = []
    done = send(space=True, listen=events.append)
    for route, fault in (("info", Fault(status=403)), ("commit", Fault(status=500)), ("batch", Fault(drop=True))):
        server.fail(route, *[fault] * 40)
        bot.write_record(preview=None)
        with pytest.raises(PublishError) as error:
            send(preview=2 + len(said), public=True)
        said.append(f"{error.value} {error.value.__cause__}")
        server.faults.clear()
    files = [file.read_bytes() for file in bot.path.rglob("*") if file.is_file()]
    sent = [*server.stored.values(), *(content for repo in server.repos.values() for content in repo.files.values())]
    talk = "".join([caplog.text, repr(done), repr(events), *said]).encode()
    assert not any(token.encode() in content for content in [*files, *sent, talk])


def test_a_pipeline_from_the_hub_writes_what_the_folder_writes(
    send: Send, bot: BotDir, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import pipeline, set_seed

    send()
    connect_downloads(monkeypatch, server, tmp_path / "cache")

    def texts(model: str) -> list[str]:
        generator = pipeline("text-generation", model=model)
        set_seed(3)
        return [text["generated_text"] for text in generator("My dream is", num_return_sequences=3)]

    from_the_hub = texts("alice/rover")
    assert from_the_hub == texts(str(bot.model))
    assert len(set(from_the_hub)) == 3
    assert all(text.startswith("My dream is") for text in from_the_hub)
    assert "model.safetensors" in {seen.path.rpartition("/")[2] for seen in server.log if seen.route == "resolve"}
    assert list((tmp_path / "cache").glob("models--alice--rover"))


def test_places_survive_the_way_to_disk_and_back(send: Send, bot: BotDir) -> None:
    send(space=True)
    send("the-lab/rover")
    places = read_places(bot)
    assert places.now is not None
    assert [place.repo_id for place in places.all] == ["the-lab/rover", "alice/rover"]
    assert dataclasses.replace(places) == read_places(bot)
