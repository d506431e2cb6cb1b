"""Jobs of the web app: real worker processes on a tiny base, killed, cancelled and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import invented_posts
from huggingtweets.bot import Bot
from huggingtweets.errors import HuggingtweetsError, SettingsError, SourceError
from huggingtweets.web import orders, uploads
from huggingtweets.web.answers import Refusal
from huggingtweets.web.jobs import MOST_ATTEMPTS, Queue
from huggingtweets.web.records import OWNER, BotRow, Job, Visitor
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store

OURS = Visitor()
ANN = Visitor("user:ann", admin=False, name="ann")
PATIENCE_S = 250.0  # a crowded machine starts a worker in a minute
LONG = 8_000  # posts: many times more steps of training than a test looks at


@pytest.fixture
def settings(tmp_path: Path, tiny_gpt2: Path) -> WebSettings:
    return WebSettings(bots_dir=tmp_path / "bots", base=str(tiny_gpt2), minutes=0.05)


@pytest.fixture
def store(settings: WebSettings) -> Iterator[Store]:
    store = Store.open(settings.database_url)
    yield store
    store.close()


@pytest.fixture
def queue(settings: WebSettings, store: Store) -> Iterator[Queue]:
    queue = Queue(settings, store)
    queue.start()
    yield queue
    queue.stop()


def upload(settings: WebSettings, posts: int = 200, name: str = "rover.csv", visitor: Visitor = OURS) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"text\n"
        for post in invented_posts(posts):
            yield f'"{post}"\n'.encode()

    return asyncio.run(uploads.save_upload(settings, visitor, name, chunks())).id


def reached(store: Store, job: Job, is_so: Callable[[Job], bool]) -> Job:
    """The job, as soon as it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        now = store.job(job.id)
        assert now is not None
        if is_so(now):
            return now
        assert now.state != "failed", now.error
        time.sleep(0.05)
    raise AssertionError(f"still {now.state}: {now.progress}")


def in_state(*states: str) -> Callable[[Job], bool]:
    return lambda job: job.state in states


def at_step(step: int) -> Callable[[Job], bool]:
    return lambda job: job.progress.get("step", 0) >= step


def workers_pid(settings: WebSettings, job: Job) -> int:
    """Of the process that works on the job, by its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if job.id.encode() in command and job.worker.encode() in command:
            return int(folder.name)
    raise AssertionError("nobody works on it")


def test_an_upload_is_read_and_becomes_a_bot_although_it_was_cancelled_on_the_way(
    settings: WebSettings, store: Store, queue: Queue
) -> None:
    job = orders.order(settings, store, OURS, uploads=[upload(settings, LONG)])
    ready = reached(store, job, in_state("ready"))
    (counts,) = ready.progress["counts"].values()
    assert counts["downloaded"] == LONG == counts["kept"] + sum(counts["dropped"].values())
    assert len(ready.progress["samples"]) == 6
    assert (ready.titles, ready.bot) == (("rover.csv",), "rover")

    orders.train(settings, store, ready, minutes=5)
    orders.cancel(store, reached(store, job, at_step(2)))
    cancelled = reached(store, job, in_state("cancelled"))
    with pytest.raises(Refusal):
        orders.cancel(store, cancelled)
    store.change_job(job.id, minutes=0.05)
    assert orders.retry(settings, store, cancelled).state == "waiting"

    done = reached(store, job, in_state("done"))
    assert done.progress["bot_bits"] > 0
    assert done.progress["loss"][-1][0] == done.progress["step"]
    assert done.progress["fraction"] == 1.0
    bot = Bot(settings.bots_dir / "rover")
    assert bot.scores is not None
    assert bot.dir.card.exists()
    assert store.bot("rover") == BotRow("rover", OWNER)


def test_nothing_that_kills_a_worker_or_a_server_ends_a_training(settings: WebSettings, store: Store) -> None:
    """The worker is killed; then the server is stopped; then the next server is killed, and its worker lives on."""
    first = Queue(settings, store)
    first.start()
    job = orders.order(settings, store, OURS, uploads=[upload(settings, LONG)], straight=True, minutes=5)
    training = reached(store, job, at_step(5))
    os.kill(workers_pid(settings, training), signal.SIGKILL)
    again = reached(store, job, lambda now: now.attempts == 2 and now.state == "training")
    reached(store, job, lambda now: now.progress.get("phase") == "train" and now.worker == again.worker)
    first.stop()
    stopped = store.job(job.id)
    assert stopped is not None
    assert (stopped.state, stopped.worker) == ("waiting", "")
    store.change_job(job.id, minutes=0.05)

    killed = Queue(settings, store)
    killed.start()
    orphan = reached(store, job, in_state("training"))
    killed._over.set()  # its thread is gone, its worker is not: what a SIGKILL leaves
    killed._thread.join()  # type: ignore[union-attr]
    queue = Queue(settings, store)
    queue.start()
    done = reached(store, job, in_state("done"))
    queue.stop()
    assert (done.worker, done.attempts) == (orphan.worker, orphan.attempts)
    for _, process in killed._workers.values():
        process.wait()
    assert Bot(settings.bots_dir / "rover").training is not None


def test_an_account_is_asked_about_before_anything_is_fetched(
    settings: WebSettings, store: Store, queue: Queue
) -> None:
    job = orders.order(settings, store, OURS, accounts=["@nasa"])
    asked = reached(store, job, in_state("word"))
    assert asked.error is not None
    assert set(asked.error["needs"]) >= {"terms", "word"}
    assert "huggingtweets" not in str(asked.error)
    assert orders.answer_word(store, asked, {"mine": True}).word["mine"] is True
    again = reached(store, job, in_state("word"))
    assert again.error is not None
    assert "word" not in again.error["needs"]
    assert "terms" in again.error["needs"]


def test_too_little_text_is_a_failure_in_words(settings: WebSettings, store: Store, queue: Queue) -> None:
    job = orders.order(settings, store, OURS, uploads=[upload(settings, posts=3)])
    deadline = time.monotonic() + PATIENCE_S
    while (now := store.job(job.id)) and now.state != "failed" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert now is not None
    assert now.error is not None
    assert now.error["code"] == "too_little_text"


def test_a_job_that_takes_its_workers_down_is_set_aside(settings: WebSettings, store: Store, queue: Queue) -> None:
    job = orders.order(settings, store, OURS, uploads=[upload(settings)])
    reached(store, job, in_state("ready"))
    store.change_job(job.id, attempts=MOST_ATTEMPTS, state="waiting")
    deadline = time.monotonic() + PATIENCE_S
    while (now := store.job(job.id)) and now.state != "failed" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert now is not None
    assert now.error is not None
    assert now.error["code"] == "internal"


# --- orders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "/etc/passwd",
        "file:/etc/passwd",
        "../../x",
        "-",
        "archive:/etc/passwd",
        "hub:a/b",
        "hf://datasets/a/b",
        "mastodon-archive:/etc",
        "bluesky-repo:/etc/passwd",
        "bluesky:../../x",
        "x:../../x",
        "a\nb",
        "",
        "@" + "a" * 10_000,
        "posts.csv",
        "<script>alert(1)</script>",
    ],
)
def test_what_is_typed_opens_no_file(
    typed: str, settings: WebSettings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posts.csv").write_text("text\nhello there everyone\n")
    with pytest.raises((SourceError, SettingsError)) as raised:
        orders.order(settings, store, OURS, accounts=[typed])
    assert "root:" not in str(raised.value)
    assert store.jobs() == []


@pytest.mark.parametrize(
    ("accounts", "specs"),
    [
        (["@nasa"], ("x:nasa",)),
        (["alice.bsky.social", "@bob@social.example"], ("bluesky:alice.bsky.social", "mastodon:bob@social.example")),
    ],
)
def test_accounts_are_kept_as_what_they_are(
    accounts: list[str], specs: tuple[str, ...], settings: WebSettings, store: Store
) -> None:
    job = orders.order(settings, store, OURS, accounts=accounts)
    assert job.specs == specs
    assert job.titles == tuple(accounts)


def test_a_bot_has_one_to_three_voices(settings: WebSettings, store: Store) -> None:
    for accounts in ([], ["@a", "@b", "@c", "@d"]):
        with pytest.raises(SettingsError, match="one to 3 voices"):
            orders.order(settings, store, OURS, accounts=accounts)


@pytest.mark.parametrize("chosen", [{"base": "/etc"}, {"minutes": -1.0}, {"minutes": float("nan")}, {"minutes": 1e9}])
def test_only_what_is_offered_can_be_chosen(chosen: dict[str, Any], settings: WebSettings, store: Store) -> None:
    with pytest.raises(HuggingtweetsError):
        orders.order(settings, store, OURS, accounts=["@nasa"], **chosen)


def test_a_user_has_a_quota_and_the_owner_has_none(settings: WebSettings, store: Store) -> None:
    for number in range(settings.bots_a_day):
        orders.order(settings, store, ANN, accounts=[f"@a{number}"])
        orders.order(settings, store, OURS, accounts=[f"@b{number}"])
    with pytest.raises(Refusal) as raised:
        orders.order(settings, store, ANN, accounts=["@more"])
    assert raised.value.code == "too_many"
    orders.order(settings, store, OURS, accounts=["@more"])


def test_nobody_gets_another_one_s_bot(settings: WebSettings, store: Store) -> None:
    assert orders.order(settings, store, ANN, accounts=["@nasa"]).bot == "nasa"
    assert orders.order(settings, store, ANN, accounts=["@nasa"]).bot == "nasa"
    assert orders.order(settings, store, replace(ANN, id="user:bob"), accounts=["@nasa"]).bot == "nasa-2"


# --- uploads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../../x.zip", "a/b\\c.csv", "", "con", "." * 300, "x" * 300 + ".csv", "\u202egpj.zip", "a\0b.csv", "🚀.csv"],
)
def test_an_upload_lies_in_its_own_folder_whatever_it_is_called(name: str, settings: WebSettings) -> None:
    path = uploads.uploaded(settings, upload(settings, posts=1, name=name))
    assert path.parent.parent == (settings.state_dir / "uploads").resolve()
    assert path.name.isascii()
    assert len(path.name) <= uploads.LONGEST_NAME


def test_a_file_that_is_too_large_leaves_nothing(settings: WebSettings) -> None:
    with pytest.raises(Refusal) as raised:
        upload(replace(settings, upload_bytes=1000))
    assert raised.value.code == "too_large"
    assert list((settings.state_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize("id", ["", "..", "../../etc", "a" * 12, "x" * 5000, "*"])
def test_only_an_upload_s_own_id_finds_it(id: str, settings: WebSettings) -> None:
    upload(settings, posts=1)
    with pytest.raises(Refusal, match="not here any more"):
        uploads.uploaded(settings, id)


def test_what_nobody_came_back_for_is_swept_away(settings: WebSettings) -> None:
    used, left = (uploads.uploaded(settings, upload(settings, posts=1)) for _ in range(2))
    uploads.sweep(settings, [str(used)], now=time.time() + uploads.KEPT_S + 60)
    assert used.exists()
    assert not left.exists()
    uploads.remove_upload(settings, "x:nasa")
    uploads.remove_upload(settings, str(used))
    assert not used.exists()
