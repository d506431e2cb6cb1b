"""Whose a bot is, what was said of it, and what a worker does when it waits, is stopped or finds a folder taken."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from conftest import invented_posts
from huggingtweets.botdir import BotDir, write_jsonl
from huggingtweets.reports import Advanced, StageStarted
from huggingtweets.web import orders, uploads, worker
from huggingtweets.web.jobs import Queue
from huggingtweets.web.progress import CURVE_POINTS, Progress
from huggingtweets.web.records import BotRow, Job, Visitor
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from loopback import Reply, serve
from test_web_jobs import reached

OURS = Visitor()
ANN = Visitor("user:ann", admin=False, name="ann")
BOB = Visitor("user:bob", admin=False, name="bob")


@pytest.fixture
def settings(tmp_path: Path) -> WebSettings:
    return WebSettings(bots_dir=tmp_path / "bots")


@pytest.fixture
def store(settings: WebSettings) -> Iterator[Store]:
    store = Store.open(settings.database_url)
    yield store
    store.close()


def upload(settings: WebSettings, name: str = "rover.csv", posts: int = 200) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield "\n".join(["text", *(f'"{post}"' for post in invented_posts(posts))]).encode()

    return asyncio.run(uploads.save_upload(settings, OURS, name, chunks())).id


def read(settings: WebSettings, store: Store) -> Job:
    """What comes of the oldest job when it is read."""
    claimed = store.claim("read", "here")
    assert claimed is not None
    bots_dir = settings.bots_dir.resolve()
    worker.do(worker.Work(store, claimed, "here", Progress("read", BotDir(bots_dir / claimed.bot), {})), bots_dir)
    job = store.job(claimed.id)
    assert job is not None
    return job


# --- whose it is --------------------------------------------------------------------------------------------------


def test_a_name_is_free_again_when_nothing_came_of_its_job(settings: WebSettings, store: Store) -> None:
    job = orders.order(settings, store, ANN, accounts=["@nasa"])
    assert orders.order(settings, store, BOB, accounts=["@nasa"]).bot == "nasa-2"
    orders.cancel(store, job)
    assert orders.order(settings, store, BOB, accounts=["@nasa"]).bot == "nasa"


def test_a_cancelled_job_gives_nobody_what_is_made_under_its_name_later(settings: WebSettings, store: Store) -> None:
    orders.cancel(store, orders.order(settings, store, ANN, accounts=["@nasa"]))
    BotDir(settings.bots_dir / "nasa").write_record()  # at the machine itself, with the command line
    assert orders.order(settings, store, ANN, accounts=["@nasa"]).bot == "nasa-2"
    assert orders.order(settings, store, OURS, accounts=["@nasa"]).bot == "nasa"


def test_a_folder_is_its_owner_s_once_the_posts_lie_there(settings: WebSettings, store: Store) -> None:
    orders.order(settings, store, ANN, uploads=[upload(settings)])
    assert read(settings, store).state == "ready"
    assert store.bot("rover") == BotRow("rover", ANN.id)
    assert orders.order(settings, store, BOB, uploads=[upload(settings)]).bot == "rover-2"


def test_a_bot_that_somebody_else_made_meanwhile_is_left_alone(settings: WebSettings, store: Store) -> None:
    orders.order(settings, store, ANN, uploads=[upload(settings)])
    theirs = BotDir(settings.bots_dir / "rover")
    theirs.write_record(sources=["file:mine.csv"])
    failed = read(settings, store)
    assert failed.error is not None
    assert (failed.state, failed.error["code"]) == ("failed", "bot_error")
    assert theirs.read_record()["sources"] == ["file:mine.csv"]
    assert not theirs.posts.exists()


# --- what was said ------------------------------------------------------------------------------------------------


def test_a_later_word_on_whose_it_is_takes_the_place_of_an_earlier_one(settings: WebSettings, store: Store) -> None:
    job = orders.order(settings, store, OURS, accounts=["@nasa"], word={"permission": "by mail", "price": True})
    asked = store.change_job(job.id, state="word")
    assert asked is not None
    said = orders.answer_word(store, asked, {"mine": True}).word
    assert said == {"mine": True, "permission": None, "terms": False, "price": True}


def test_asking_for_a_word_is_no_failed_attempt(settings: WebSettings, store: Store) -> None:
    orders.order(settings, store, OURS, accounts=["@nasa"])
    asked = read(settings, store)
    assert (asked.state, asked.attempts) == ("word", 0)


def test_what_went_wrong_with_uploads_names_no_path_of_the_server(settings: WebSettings, store: Store) -> None:
    orders.order(settings, store, OURS, uploads=[upload(settings), upload(settings)])
    failed = read(settings, store)
    assert failed.error is not None
    assert "rover.csv and rover.csv" in failed.error["what"]
    assert str(settings.bots_dir.parent) not in str(failed.error)


# --- a worker that waits ------------------------------------------------------------------------------------------


@pytest.fixture
def limited(settings: WebSettings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A job whose worker waits for a network's rate limit, for ten minutes."""
    with serve(lambda request: Reply(status=429, headers={"Retry-After": "600"})) as x:
        monkeypatch.setenv("HUGGINGTWEETS_X_API", x.url)
        monkeypatch.setenv("X_BEARER_TOKEN", "token")
        queue = Queue(settings, store)
        queue.start()
        try:
            word = {"mine": True, "terms": True, "price": True}
            job = orders.order(settings, store, OURS, accounts=["@nasa"], word=word)
            yield reached(store, job, lambda now: bool(now.progress.get("notices")))
        finally:
            queue.stop()


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """As a script starts it there: with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_background")
def test_a_cancelled_worker_wakes_from_a_network_s_rate_limit(store: Store, limited: Job) -> None:
    orders.cancel(store, limited)
    reached(store, limited, lambda now: now.state == "cancelled")
    deadline = time.monotonic() + worker.STOP_AGAIN_S
    while _is_at_work(limited) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_at_work(limited)


def test_a_worker_that_hangs_loses_its_job_and_is_ended(
    store: Store, limited: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingtweets.web.jobs.SILENT_S", 8.0)
    os.kill(_pids(limited)[0], signal.SIGSTOP)
    reached(store, limited, lambda now: now.worker not in ("", limited.worker))
    assert not _is_at_work(limited)


def _is_at_work(job: Job) -> bool:
    return bool(_pids(job))


def _pids(job: Job) -> list[int]:
    """Of the worker that this job had, by its command line; none once it has ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if job.worker.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


# --- the loss curve -----------------------------------------------------------------------------------------------


def trained(steps: range, progress: Progress) -> list[list[float]]:
    for step in steps:
        progress.hear(Advanced("train", step, 10_000, {"loss": 4.0, "seconds": step}))
    curve: list[list[float]] = progress.facts["loss"]
    return curve


def test_a_long_curve_is_thinned_evenly(tmp_path: Path) -> None:
    steps = [step for step, _ in trained(range(1, 10_001), Progress("train", BotDir(tmp_path), {}))]
    gaps = {after - before for before, after in itertools.pairwise(steps[:-1])}
    assert (steps[0], steps[-1], len(gaps)) == (1, 10_000, 1)
    assert CURVE_POINTS / 2 <= len(steps) <= CURVE_POINTS


def test_a_curve_goes_on_from_the_checkpoint_and_not_from_the_log_s_last_line(tmp_path: Path) -> None:
    bot = BotDir(tmp_path)
    write_jsonl(bot.train_log, ({"step": step, "loss": 5.0} for step in range(5, 105, 5)))
    bot.checkpoint.mkdir()
    (bot.checkpoint / "key.safetensors").touch()
    progress = Progress("train", bot, {})
    progress.hear(StageStarted("train", "Training"))
    curve = trained(range(51, 61), progress)
    assert curve == [[step, 5.0] for step in range(5, 55, 5)] + [[step, 4.0] for step in range(51, 61)]


def test_a_loss_that_is_no_number_is_left_out_of_the_curve(tmp_path: Path) -> None:
    progress = Progress("train", BotDir(tmp_path), {})
    for step, loss in ((1, 4.0), (2, float("nan")), (3, 3.0)):
        progress.hear(Advanced("train", step, 3, {"loss": loss}))
    assert progress.facts["loss"] == [[1, 4.0], [3, 3.0]]
