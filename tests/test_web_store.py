"""The web app's database: the same behaviour on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from conftest import full_disk
from huggingtweets.errors import SettingsError, StorageError
from huggingtweets.web.database import open_database
from huggingtweets.web.records import OWNER, BotRow, Complaint, Job, Prediction, User
from huggingtweets.web.store import Store
from huggingtweets.web.tables import KEPT_IN, metadata
from postgres import running_postgres

HOSTILE = "'; DROP TABLE jobs; -- \" \\ \u202e <script> \N{ROCKET} " + "x" * 100_000


@pytest.fixture(scope="module")
def new_postgres() -> Iterator[Callable[[], str]]:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, running_postgres(Path(folder)) as new_database:
        yield new_database  # a short path: a socket's name has at most 107 bytes


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'web.sqlite3'}"
    new_database: Callable[[], str] = request.getfixturevalue("new_postgres")
    return new_database()


class Clock:
    """Time that passes when told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    store = Store.open(url, clock)
    yield store
    store.close()


def a_job(bot: str = "rover", owner: str = OWNER, **more: Any) -> Job:
    return Job(owner, (f"@{bot}",), (f"@{bot}",), bot, "gpt2", **more)


def a_prediction(number: int = 0, draw: str = "d", bot: str = "rover", **more: Any) -> Prediction:
    return Prediction(bot, "My", "My dream", draw, number, 7, 1.0, 0.95, 160, **more)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's locks")
def test_a_database_that_is_opened_twice_keeps_its_locks(tmp_path: Path) -> None:
    """Else whoever closes it last, in any process, takes the journal from those who still read."""
    first = Store.open(f"sqlite:///{tmp_path / 'web.sqlite3'}")
    first.users()
    second = Store.open(f"sqlite:///{tmp_path / 'web.sqlite3'}")
    look = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    other = [sys.executable, "-c", look, str(tmp_path / "web.sqlite3")]  # SQLite's shared bytes
    assert "BlockingIOError" in subprocess.run(other, capture_output=True, text=True).stderr
    second.close()
    assert "BlockingIOError" in subprocess.run(other, capture_output=True, text=True).stderr
    first.close()
    assert subprocess.run(other, capture_output=True).returncode == 0


# --- jobs ---------------------------------------------------------------------------------------------------------


def test_a_job_comes_back_as_it_was_put_in(store: Store, clock: Clock) -> None:
    put = store.add_job(a_job(minutes=2.5, word={"mine": True}, progress={"loss": [[1, 2.5]]}, error={"code": "x"}))
    assert store.job(put.id) == put
    assert put.created == put.changed == clock.now
    assert store.job("unknown") is None


def test_the_oldest_waiting_job_of_a_lane_is_claimed_first(store: Store) -> None:
    first, second = store.add_job(a_job("a")), store.add_job(a_job("b"))
    store.add_job(a_job("c", state="waiting"))
    claimed = [store.claim("read", "host:1"), store.claim("read", "host:2"), store.claim("read", "host:3")]
    assert [job and job.id for job in claimed] == [first.id, second.id, None]
    assert claimed[0]
    assert (claimed[0].state, claimed[0].worker, claimed[0].attempts) == ("reading", "host:1", 1)


def test_a_job_is_claimed_once_however_many_ask(store: Store, url: str) -> None:
    for number in range(20):
        store.add_job(a_job(f"bot{number}"))
    other = Store.open(url)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda i: (store, other)[i % 2].claim("read", f"w:{i}"), range(40)))
    other.close()
    ids = [job.id for job in claims if job is not None]
    assert len(ids) == len(set(ids)) == 20


def test_a_change_is_made_only_in_a_state_that_was_expected(store: Store) -> None:
    job = store.add_job(a_job())
    assert store.change_job(job.id, expect={"ready"}, state="waiting") is None
    changed = store.change_job(job.id, expect={"queued", "ready"}, state="cancelled")
    assert changed is not None
    assert changed.state == "cancelled"
    assert store.change_job("unknown", state="done") is None


def test_a_worker_that_lost_its_job_learns_it_at_its_next_beat(store: Store, clock: Clock) -> None:
    job = store.add_job(a_job())
    store.claim("read", "host:1")
    clock.now += 60
    (given_back,) = store.give_back_stale(30)
    assert (given_back.id, given_back.state) == (job.id, "queued")
    assert store.beat(job.id, "host:1", {"phase": "build"}) is None
    store.claim("read", "host:2")
    beaten = store.beat(job.id, "host:2", {"phase": "build"})
    assert beaten is not None
    assert beaten.progress == {"phase": "build"}
    assert store.beat(job.id, "host:1") is None


def test_a_job_that_beats_is_not_given_back_and_a_cancelled_one_ends(store: Store, clock: Clock) -> None:
    alive, cancelled = store.add_job(a_job("a")), store.add_job(a_job("b", cancel=True))
    for worker in ("w:1", "w:2"):
        store.claim("read", worker)
    clock.now += 60
    store.beat(alive.id, "w:1")
    assert [(job.id, job.state) for job in store.give_back_stale(30)] == [(cancelled.id, "cancelled")]


def test_the_place_in_line_counts_whom_one_waits_for(store: Store) -> None:
    jobs = [store.add_job(a_job(name)) for name in "abc"]
    assert [store.place_in_line(job) for job in jobs] == [0, 1, 2]
    store.claim("read", "w:1")
    assert store.place_in_line(jobs[2]) == 2
    assert store.place_in_line(dataclasses.replace(jobs[0], state="done")) == 0


def test_jobs_are_listed_newest_first_by_owner_and_state(store: Store, clock: Clock) -> None:
    ids = []
    for number in range(3):
        clock.now += 1
        ids.append(store.add_job(a_job(f"b{number}", owner=f"user:{number % 2}")).id)
    assert [job.id for job in store.jobs()] == ids[::-1]
    assert [job.id for job in store.jobs(owner="user:0", states={"queued"})] == [ids[2], ids[0]]
    assert store.jobs(states={"done"}) == []
    assert store.jobs_since("user:0", clock.now) == 1


# --- predictions, bots, complaints --------------------------------------------------------------------------------


def test_predictions_come_newest_draw_first_and_in_pages_that_neither_split_nor_repeat(
    store: Store, clock: Clock
) -> None:
    for draw in "abc":
        clock.now += 1
        store.add_predictions([a_prediction(number, draw) for number in range(3)])
    page = store.predictions("rover", limit=4)
    rest = store.predictions("rover", before=page[-1].created)
    shown = [(one.draw, one.number) for one in [*page, *rest]]
    assert shown == [(draw, number) for draw in "cba" for number in range(3)]


def test_a_hidden_prediction_is_listed_no_more(store: Store) -> None:
    (kept,) = store.add_predictions([a_prediction(copied_from="My dream")])
    assert store.prediction(kept.id) == kept
    store.hide_prediction(kept.id)
    assert store.predictions("rover") == []
    assert [one.hidden for one in store.predictions("rover", hidden=True)] == [True]


def test_nothing_of_a_forgotten_bot_stays(store: Store) -> None:
    for bot in ("rover", "other"):
        store.add_job(a_job(bot))
        store.add_predictions([a_prediction(bot=bot)])
        store.put_bot(BotRow(bot))
        store.add_complaint(Complaint(bot, "", "please"))
    store.forget_bot("rover")
    assert [job.bot for job in store.jobs()] == ["other"]
    assert [one.bot for one in store.predictions()] == ["other"]
    assert list(store.bots()) == ["other"]
    assert [one.bot for one in store.complaints()] == ["other"]


def test_what_was_forgotten_is_not_in_the_file_either(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'web.sqlite3'}")
    secret = "a very particular sentence"
    store.add_predictions([dataclasses.replace(a_prediction(number), text=secret) for number in range(50)])
    assert any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir())
    store.forget_bot("rover")
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir())
    store.close()


def test_a_bot_s_row_is_replaced(store: Store) -> None:
    store.put_bot(BotRow("rover", "user:ann"))
    store.put_bot(BotRow("rover", "user:ann", published=True))
    assert store.bot("rover") == BotRow("rover", "user:ann", published=True)
    assert store.bot("nobody") is None


def test_a_settled_complaint_is_open_no_more(store: Store, clock: Clock) -> None:
    put = store.add_complaint(Complaint("rover", "p1", "it is about me", "ann@example.org"))
    assert put.created == clock.now
    store.close_complaint(put.id, "hidden")
    assert store.complaints() == []
    assert store.complaints(open_only=False) == [dataclasses.replace(put, outcome="hidden")]
    assert store.complaint(put.id) == dataclasses.replace(put, outcome="hidden")


# --- people -------------------------------------------------------------------------------------------------------


def test_a_key_opens_until_it_expires_or_its_user_is_gone(store: Store, clock: Clock) -> None:
    store.put_user(User("ann", "hash", admin=True))
    store.add_key("d1", "ann", "session", clock.now + 10)
    store.add_key("d2", "ann", "token", None)
    found = store.user_of_key("d1", clock.now)
    assert found is not None
    assert (found.name, found.admin, found.created) == ("ann", True, clock.now)
    assert store.user_of_key("d1", clock.now + 10) is None
    assert store.user_of_key("d2", clock.now + 1e9) is not None
    assert store.remove_user("ann")
    assert store.user_of_key("d2", clock.now) is None
    assert not store.remove_user("ann")


def test_a_new_password_ends_sessions_and_keeps_tokens(store: Store, clock: Clock) -> None:
    store.put_user(User("ann", "old"))
    store.add_key("session", "ann", "session", clock.now + 10)
    store.add_key("token", "ann", "token", None)
    clock.now += 5
    store.put_user(User("ann", "new"))
    assert store.user_of_key("session", clock.now) is None
    assert store.user_of_key("token", clock.now) == User("ann", "new", created=clock.now - 5)


def test_nobody_gets_a_key_who_is_no_user(store: Store) -> None:
    store.add_key("d", "ghost", "token", None)
    assert store.user_of_key("d", 0) is None
    assert store.users() == []


# --- hostile and crowded ------------------------------------------------------------------------------------------


def test_hostile_text_is_kept_as_text(store: Store) -> None:
    store.add_job(a_job(HOSTILE, owner=HOSTILE))
    (job,) = store.jobs(owner=HOSTILE)
    assert job.bot == HOSTILE


def test_a_nul_and_half_a_character_are_shown_as_what_they_are_on_both_databases(store: Store) -> None:
    kept = store.add_complaint(Complaint("rover", "", "a\x00b\ud83d"))
    assert store.complaints()[0].reason == "a\ufffdb\ufffd"
    store.put_user(User("a\x00", "hash"))
    assert store.user("a\x00") is not None
    assert store.complaint(kept.id) is not None


def test_a_loss_that_is_no_number_breaks_no_progress(store: Store) -> None:
    job = store.add_job(a_job())
    store.claim("read", "w:1")
    beaten = store.beat(job.id, "w:1", {"loss": [[1, float("nan")]]})
    assert beaten is not None
    assert beaten.progress == {"loss": [[1, None]]}


def test_many_threads_write_at_once(store: Store) -> None:
    def write(number: int) -> None:
        job = store.add_job(a_job(f"b{number}"))
        store.add_predictions([a_prediction(0, f"d{number}")])
        assert store.change_job(job.id, expect={"queued"}, state="done")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(64)))
    assert len(store.jobs(states={"done"})) == 64


# --- opening ------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_of_the_code(store: Store, url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_database(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": KEPT_IN, "compare_type": True})
        differences = [one for one in compare_metadata(context, metadata) if "sqlite_sequence" not in str(one)]
    engine.dispose()
    assert differences == []


def test_two_servers_may_make_the_database_at_once(url: str) -> None:
    together = threading.Barrier(4)

    def start(number: int) -> Store:
        together.wait()
        return Store.open(url)

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(start, range(4)))
    stores[0].put_bot(BotRow("rover"))
    assert stores[3].bot("rover")
    for store in stores:
        store.close()


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    Store.open(url).close()
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {KEPT_IN} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match="made by a newer huggingtweets") as raised:
        Store.open(url)
    assert "pip install --upgrade" in raised.value.next


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("nonsense", "not the address"),
        ("mysql://host/db", "sqlite or postgresql"),
        ("sqlite://", "needs a file"),
        ("postgresql://ann:s3cret@:x/y", "not the address"),
    ],
)
def test_an_address_that_is_none_is_said_so(url: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what) as raised:
        Store.open(url)
    assert "s3cret" not in str(raised.value)


def test_a_server_that_is_down_is_trouble_with_the_storage_and_its_password_stays_secret() -> None:
    with pytest.raises(StorageError) as raised:
        Store.open("postgresql://ann:s3cret@127.0.0.1:1/bots")
    assert "s3cret" not in str(raised.value)
    assert "127.0.0.1:1/bots" in raised.value.what


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "web.sqlite3").write_text("I am a text. " * 100)
    with pytest.raises(StorageError, match="does not do its work") as raised:
        Store.open(f"sqlite:///{tmp_path / 'web.sqlite3'}")
    assert "damaged" in raised.value.why


def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'new' / 'web.sqlite3'}").close()
    assert (tmp_path / "new" / "web.sqlite3").stat().st_mode & 0o077 == 0


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'web.sqlite3'}"
    store = Store.open(url)
    store.put_bot(BotRow("rover"))
    with full_disk(200_000), pytest.raises(StorageError) as raised:
        store.add_predictions([dataclasses.replace(a_prediction(number), text="x" * 10_000) for number in range(1000)])
    assert "disk" in raised.value.why
    store.put_bot(BotRow("other"))  # there is room again
    store.close()
    assert Store.open(url).bot("rover") == BotRow("rover")


WRITER = """
import sys
from huggingtweets.web.records import Complaint
from huggingtweets.web.store import Store
store = Store.open(sys.argv[1])
for number in range(100000):
    store.add_complaint(Complaint(f"b{number}", "", "reason"))
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_everything_it_told_of(url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    store = Store.open(url)
    assert len(store.complaints()) > last
    store.close()


def test_sqlite_writes_ahead_so_that_readers_do_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "web.sqlite3"
    store = Store.open(f"sqlite:///{path}")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.jobs() == []
        other.execute("ROLLBACK")
    store.close()


OPENER = "from huggingtweets.web.store import Store; Store.open(sys.argv[1])"


def test_where_a_file_system_cannot_write_ahead_sqlite_keeps_its_older_way(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///file:{tmp_path / 'web.sqlite3'}?vfs=unix-dotfile&uri=true")  # has no shared memory
    store.put_bot(BotRow("rover"))
    assert store.bot("rover")
    store.forget_bot("rover")
    store.close()
    with sqlite3.connect(tmp_path / "web.sqlite3") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_database_that_may_only_be_read_is_read_and_says_so_when_written(url: str) -> None:
    store = Store.open(url)
    store.put_bot(BotRow("rover"))
    store.close()
    if url.startswith("sqlite"):
        url = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        url += "&options=-c default_transaction_read_only=on"
    store = Store.open(url)
    assert store.bot("rover")
    with pytest.raises(StorageError) as raised:
        store.put_bot(BotRow("other"))
    assert "may not be written" in raised.value.why
    store.close()


def test_a_server_that_was_started_again_is_used_again(new_postgres: Callable[[], str]) -> None:
    store = Store.open(new_postgres())
    store.put_bot(BotRow("rover"))
    with store._engine.connect() as connection:
        (own,) = connection.execute(text("SELECT pg_backend_pid()")).one()
    other = open_database(store._engine.url.render_as_string())
    with other.connect() as connection:
        assert connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": own}).scalar()
    other.dispose()
    assert store.bot("rover")
    store.close()


def test_a_missing_driver_is_named_with_the_command_that_installs_it() -> None:
    program = f"import sys; sys.modules['psycopg'] = None; {OPENER}"
    ran = subprocess.run([sys.executable, "-c", program, "postgresql://h/d"], capture_output=True, text=True)
    assert "SettingsError" in ran.stderr
    assert "pip install 'huggingtweets[postgres]'" in ran.stderr


def test_a_database_that_is_new_enough_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'web.sqlite3'}"
    Store.open(url).close()
    program = f"import sys; {OPENER}; print('alembic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_a_table_of_another_program_is_not_touched(url: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (shoe_size INTEGER)"))
    with pytest.raises(StorageError) as raised:
        Store.open(url)
    assert "another program" in raised.value.why
    assert inspect(engine).get_table_names() == ["users"]
    engine.dispose()
