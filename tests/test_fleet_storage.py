"""Bots on shared storage: a real S3-compatible server on loopback, its real client, real stages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import huggingtweets as ht
from conftest import full_disk
from huggingtweets.botdir import BotDir
from huggingtweets.config import BotSettings, DatasetSettings, TrainingSettings
from huggingtweets.errors import NetworkTrouble, SettingsError
from huggingtweets.fleet import work
from huggingtweets.fleet.members import Failed, Made, Member, Opened
from huggingtweets.fleet.shared import COMPLETE, SCRATCH, Storage
from huggingtweets.fleet.work import Worker
from huggingtweets.forgotten import FILE, note_forgotten
from huggingtweets.reports import Advanced
from s3_server import s3_server
from test_pipeline import digests


@pytest.fixture(scope="module")
def files() -> Iterator[Any]:
    """fsspec's view of the server, which is also what the storage has: one client a process."""
    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        yield fsspec.filesystem("s3")


@pytest.fixture
def storage(files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv(SCRATCH, str(tmp_path / "scratch"))
    bucket = "b" + "".join(filter(str.isalnum, tmp_path.name.lower()))[-40:]
    files.mkdir(bucket)
    return Storage.at(f"s3://{bucket}/bots/")


@pytest.fixture
def member(posts_file: Path, tiny_gpt2: Path) -> Member:
    training = TrainingSettings(epochs=1, threads=1, checkpoint_every_s=0.0)
    return Member("line 1", (str(posts_file),), settings=BotSettings(str(tiny_gpt2), training=training))


def is_complete(storage: Storage, member: Member) -> bool:
    opened = worker_of(storage).open(member)
    assert isinstance(opened, Opened)
    return opened.is_complete


def worker_of(storage: Storage) -> Worker:
    return Worker(storage, ".", {})


def fetched(files: Any, storage: Storage, folder: Path, name: str = "rover") -> BotDir:
    files.get(f"{storage.out}/{name}/", str(folder), recursive=True)
    return BotDir(folder)


def test_a_bot_behind_a_url_is_the_one_that_create_makes(
    storage: Storage, member: Member, files: Any, tmp_path: Path
) -> None:
    worker = worker_of(storage)
    assert worker.open(member) == Opened("rover", frozenset())
    read = worker.read(member)
    assert isinstance(read, Made)
    assert not read.is_finished
    assert not is_complete(storage, member)
    assert list(storage.bots_dir.iterdir()) == []
    made = worker_of(storage).train(member)  # another process, perhaps on another node
    assert isinstance(made, Made)
    assert made.is_finished
    bot = fetched(files, storage, tmp_path / "fetched" / "rover")
    here = ht.create(*member.specs, bots_dir=tmp_path / "bots", settings=member.settings)
    assert digests(ht.Bot(bot.path)) == digests(here)
    mark = json.loads((bot.path / COMPLETE).read_text())
    assert {name: (bot.path / name).stat().st_size for name in mark["files"]} == mark["files"]
    assert not [name for name in mark["files"] if name.startswith(("fast/", ".", "checkpoint/", "download/"))]
    assert worker.open(member) == Opened("rover", frozenset(), is_complete=True)
    with Path(member.specs[0]).open("a") as file:
        file.write("One more post that nobody has read yet.\n")
    assert worker.open(member) == Opened("rover", frozenset())


def test_a_training_on_a_node_that_is_lost_goes_on_from_what_was_put(
    storage: Storage, member: Member, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is lost in the middle: nothing of its folder is left but what was put every moment until then."""
    monkeypatch.setattr(work, "SAVE_EVERY_S", 0.02)
    assert isinstance(worker_of(storage).read(member), Made)
    lost = worker_of(storage)

    def until_lost(event: Any) -> None:
        if getattr(event, "stage", "") == "train" and getattr(event, "done", 0) >= 9:
            while not files.find(f"{storage.out}/rover/checkpoint"):
                files.invalidate_cache()
            raise KeyboardInterrupt

    lost._hear = until_lost  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        lost.train(member)
    assert not is_complete(storage, member)
    resumed = worker_of(storage)
    ran: list[Any] = []
    resumed._hear = ran.append  # type: ignore[method-assign]
    assert isinstance(resumed.train(member), Made)
    steps = [event.done for event in ran if isinstance(event, Advanced) and event.stage == "train"]
    assert min(steps) > 1  # the first ones were not made again
    here = ht.create(*member.specs, bots_dir=tmp_path / "bots", settings=member.settings)
    assert digests(ht.Bot(fetched(files, storage, tmp_path / "fetched" / "rover").path)) == digests(here)
    assert not files.exists(f"{storage.out}/rover/checkpoint")
    assert is_complete(storage, member)


def test_the_mark_goes_before_anything_changes(storage: Storage, member: Member, files: Any, tmp_path: Path) -> None:
    worker = worker_of(storage)
    worker.read(member)
    worker.train(member)
    other = Member("line 1", member.specs, settings=BotSettings(member.settings.base, dataset=DatasetSettings(seed=3)))
    assert worker.open(other) == Opened("rover", frozenset())
    worker.read(other)
    assert not files.exists(f"{storage.out}/rover/{COMPLETE}")


def test_a_key_that_leads_out_of_the_bot_is_left_where_it_is(
    storage: Storage, member: Member, files: Any, tmp_path: Path
) -> None:
    bucket, _, folder = storage.out.removeprefix("s3://").partition("/")
    for key in ("../evil.txt", "a/../../../evil.txt", "/etc/evil.txt"):
        files.call_s3("put_object", Bucket=bucket, Key=f"{folder}/rover/{key}", Body=b"evil")
    assert isinstance(worker_of(storage).read(member), Made)
    assert not list(tmp_path.rglob("evil.txt"))
    assert not Path("/etc/evil.txt").exists()


def test_who_was_forgotten_there_is_refused_here(storage: Storage, member: Member, tmp_path: Path) -> None:
    note_forgotten(tmp_path, ["rover"])
    storage.write(FILE, (tmp_path / FILE).read_bytes())
    answer = worker_of(storage).read(member)
    assert isinstance(answer, Failed)
    assert answer.kind == "lasting"
    assert "forgotten" in answer.text


def test_a_full_disk_is_the_node_s_and_not_the_bot_s(storage: Storage, member: Member) -> None:
    worker_of(storage).read(member)
    with full_disk(after_bytes=4_000):
        answer = worker_of(storage).train(member)
    assert isinstance(answer, Failed)
    assert answer.kind == "storage"
    assert isinstance(worker_of(storage).train(member), Made)


def test_a_storage_that_is_not_there_is_said(storage: Storage, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Storage.at("s3://no-such-bucket-at-all/bots")
    with pytest.raises(NetworkTrouble, match="no-such-bucket"):
        nowhere.write("fleet.json", b"{}")
    answer = worker_of(nowhere).train(member)
    assert isinstance(answer, Failed)
    assert answer.kind in ("network", "lasting")


def test_a_url_of_no_known_kind_is_said_and_never_with_a_password() -> None:
    with pytest.raises(SettingsError, match="nonsense") as raised:
        Storage.at("nonsense://user:secret@host/bots")
    assert "secret" not in str(raised.value)
    assert str(Storage("s3://key:secret@bucket/bots")) == "s3://bucket/bots"


def test_a_folder_is_a_folder_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for typed in ("bots", f"{tmp_path}/bots", f"file://{tmp_path}/bots"):
        storage = Storage.at(typed)
        assert (storage.out, storage.is_url, storage.bots_dir) == (str(tmp_path / "bots"), False, tmp_path / "bots")


def test_a_bug_is_one_bot_s_and_keeps_its_trace(
    member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(work.pipeline.STAGES, "build", lambda *_: 1 / 0)
    answer = Worker(Storage.at(str(tmp_path / "bots")), ".", {}).read(member)
    assert isinstance(answer, Failed)
    assert (answer.kind, answer.what) == ("bug", "ZeroDivisionError: division by zero")
    assert "Traceback" in answer.trace


def test_what_killed_processes_left_is_swept_away(storage: Storage) -> None:
    left = storage.bots_dir.parent / "0123456789abcdef-4194999"
    (left / "rover").mkdir(parents=True)
    storage.bots_dir.mkdir(parents=True)
    worker_of(storage)
    assert not left.exists()
    assert storage.bots_dir.exists()
