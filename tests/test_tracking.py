"""Recorded by W&B's real client, read back by W&B's own tool, and uploaded to a server on loopback."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from conftest import invented_posts
from huggingtweets import lineage
from huggingtweets.botdir import BotDir, file_digest, read_json, read_jsonl, write_json, write_jsonl
from huggingtweets.config import BotSettings, ImportSettings, TrainingSettings
from huggingtweets.errors import PublishError, SettingsError
from huggingtweets.pipeline import make, prepare
from huggingtweets.reports import Event, Listener, Notice, StageDone, StageStarted
from huggingtweets.steplog import StepLog
from huggingtweets.tracking import facts, run_url, sync, tracker
from huggingtweets.tracking.journal import Journal, Recorded, part_keys
from huggingtweets.tracking.reach import ALSO_HOME, HOME, KNOCK_S, Reach, answers, reached, wish
from wandb_server import WandbServer, serve_wandb

QUICK = TrainingSettings(epochs=1, tokens_per_step=400, learning_rate=5e-3, warmup_steps=2, threads=1, device="cpu")
SECRETS = {
    "HF_TOKEN": "hf_plantedplantedplanted",
    "X_BEARER_TOKEN": "planted-bearer-token",
    "WANDB_API_KEY": "planted0" * 5,
    "WANDB_USERNAME": "planted-user",
    "WANDB_USER_EMAIL": "planted@example.com",
    "AWS_SECRET_ACCESS_KEY": "planted-secret",
}
WANDB = Path(str(distribution("wandb").locate_file("wandb")))
READER = WANDB / "bin" / "wandb-core"  # what `wandb leet` calls


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user without any login, whose home must be found nowhere."""
    folder = tmp_path_factory.mktemp("home-of-somebody")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB")]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))
        yield folder


@dataclass(frozen=True)
class Read:
    """A run folder, as `wandb leet inspect` tells it."""

    folder: Path

    def _tell(self, *options: str) -> str:
        (log,) = self.folder.glob("*.wandb")
        command = [READER, "leet", "inspect", "--no-observability", *options, "--json", "--run-file", log, self.folder]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    @cached_property
    def summed_up(self) -> dict[str, Any]:
        return dict(json.loads(self._tell("--summary")))

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._tell().splitlines()]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [record[type] for record in self.records if record["type"] == type]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [record["item"] for record in self.of("history")]

    @property
    def losses(self) -> list[dict[str, Any]]:
        """The rows of the training, as `train.jsonl` has them."""
        rows = [row for row in self.history if "loss" in row]
        return [
            {"step" if name == "_step" else name: row[name] for name in row if name[0] != "_" or name == "_step"}
            for row in rows
        ]

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        return {artifact["name"]: artifact for artifact in self.of("artifact")}

    def metadata(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.artifacts[name]["metadata"]))

    def contents(self, name: str) -> dict[str, dict[str, Any]]:
        return {entry["path"]: entry for entry in self.artifacts[name]["manifest"]["contents"]}

    @property
    def used(self) -> set[str]:
        return {name for name, artifact in self.artifacts.items() if artifact.get("use_after_commit")}


def runs(bot: BotDir, job: str) -> list[Recorded]:
    return [run for run in Journal(bot).read() if run.job == job]


def read(bot: BotDir, job: str) -> Read:
    (run,) = runs(bot, job)
    return Read(bot.path / list(run.folders)[-1])


@dataclass(frozen=True)
class Made:
    bot: BotDir
    events: list[Event]

    def copy(self, to: Path, *, recorded: bool) -> BotDir:
        """A bot like it, to do things to."""
        ignore = None if recorded else shutil.ignore_patterns("wandb")
        return BotDir(Path(shutil.copytree(self.bot.path, to / "bots" / self.bot.name, ignore=ignore)))


@pytest.fixture(scope="module")
def made(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory, home: Path) -> Made:
    """A bot that was recorded as it was made, with secrets all around it."""
    folder = tmp_path_factory.mktemp("made")
    posts = folder / "rover.txt"
    posts.write_text("\n".join(invented_posts(250)) + "\n", encoding="utf-8")
    sources, bot = prepare([posts], bots_dir=folder / "bots", imports=ImportSettings())
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, secret in SECRETS.items():
            if name != "WANDB_API_KEY":  # with which it would be online
                patch.setenv(name, secret)
        patch.delenv("HUGGINGTWEETS_TRACK", raising=False)  # as for everybody else
        make(bot, sources, BotSettings(base=str(tiny_gpt2), training=QUICK), events.append)
    return Made(bot, events)


@pytest.fixture(scope="module")
def preprocess(made: Made) -> Read:
    return read(made.bot, "preprocess")


@pytest.fixture(scope="module")
def train(made: Made) -> Read:
    return read(made.bot, "train")


def notices(events: list[Event]) -> list[Notice]:
    return [event for event in events if isinstance(event, Notice)]


def test_a_bot_has_the_two_runs_of_the_original(preprocess: Read, train: Read) -> None:
    told = [(run.of("run")[-1], run.summed_up) for run in (preprocess, train)]
    assert [(run["display_name"], run["job_type"], run["project"]) for run, _ in told] == [
        ("@rover-preprocess", "preprocess", "huggingtweets"),
        ("@rover-train", "train", "huggingtweets"),
    ]
    assert [(summary["state"], summary["exit_code"]) for _, summary in told] == [("finished", 0)] * 2


def test_without_a_login_it_is_recorded_here_and_said_in_one_line(made: Made) -> None:
    (said,) = [notice.text for notice in notices(made.events) if "Weights & Biases" in notice.text]
    assert said == (
        "Recorded here and not at Weights & Biases, because you are not logged in (wandb login);"
        " later: huggingtweets sync rover"
    )
    assert not any(run.online for run in Journal(made.bot).read())
    assert run_url(made.bot) is None


def test_every_logged_step_is_in_the_history(made: Made, train: Read) -> None:
    lines = read_jsonl(made.bot.train_log)
    assert [line["step"] for line in lines] == [5, 10, 15, 16]
    assert train.losses == lines


def test_the_settings_are_the_config(made: Made, preprocess: Read, train: Read) -> None:
    settings = made.bot.read_record()["settings"]
    told = train.summed_up["config"]
    dtype = read_json(made.bot.train_report)["dtype"]
    expected = {**settings["training"], "device": "cpu", "dtype": dtype, "threads": 1}
    assert {name: told[name] for name in expected} == expected
    assert told["dataset"] == settings["dataset"]
    assert (told["handles"], told["base"], told["prediction_seed"]) == (["rover"], "tiny-gpt2", 0)
    assert told["versions"] == made.bot.read_record()["stages"]["train"]["versions"]
    assert preprocess.summed_up["config"].items() >= {**settings["dataset"], "handles": ["rover"]}.items()


def test_counts_and_scores_are_in_the_summaries(made: Made, preprocess: Read, train: Read) -> None:
    counts, scores = read_json(made.bot.dataset_report), read_json(made.bot.eval_report)
    training = read_json(made.bot.train_report)
    told = preprocess.summed_up["summary"]
    assert told["counts"]["rover"].items() >= {"downloaded": 250, **counts["counts"]["rover"]}.items()
    assert [told[name] for name in ("train_posts", "holdout_posts")] == [counts["train_posts"], counts["holdout_posts"]]
    told = train.summed_up["summary"]
    assert told.items() >= {name: training[name] for name in ("first_loss", "final_loss", "steps", "tokens")}.items()
    assert told["eval/bits_per_byte"] == scores["bot"]["bits_per_byte"]
    assert told["eval/bits_per_byte_base"] == scores["base"]["bits_per_byte"]
    assert told["eval/copied_share"] == scores["copying"]["share"]
    assert (told["eval/distinct_1"], told["eval/distinct_2"]) == (scores["distinct_1"], scores["distinct_2"])


def test_the_examples_are_a_table_of_input_and_prediction(made: Made, train: Read) -> None:
    shown = [[sample["prompt"], sample["text"]] for sample in read_jsonl(made.bot.samples) if sample["prompt"]]
    (row,) = [row for row in train.history if "examples.path" in row]
    table = read_json(train.folder / "files" / row["examples.path"])
    assert table == {"columns": ["input", "prediction"], "data": shown}
    assert len(shown) == row["examples.nrows"] == 10
    (entry,) = train.contents(f"run-{runs(made.bot, 'train')[0].id}-examples").values()
    assert read_json(made.bot.path / entry["local_path"])["data"] == shown


def test_the_picture_is_the_bots(made: Made, train: Read) -> None:
    (row,) = [row for row in train.history if "picture.path" in row]
    assert (train.folder / "files" / row["picture.path"]).read_bytes() == made.bot.picture.read_bytes()


def test_notes_say_what_it_is(preprocess: Read, train: Read) -> None:
    assert "downloaded 250 = retweets 0 + short 0 + duplicates 0 + kept 250" in preprocess.summed_up["notes"]
    assert "bits per byte by the bot" not in preprocess.summed_up["notes"]
    assert "16 steps: 1 epochs of 16" in train.summed_up["notes"]
    assert "by the bot" in train.summed_up["notes"]


def test_the_load_of_the_machine_is_recorded(train: Read) -> None:
    assert train.of("stats")
    assert {"proc.memory.rssMB", "memory_percent"} <= train.of("stats")[0]["item"].keys()


def test_artifacts_have_the_originals_names_types_and_metadata(made: Made, preprocess: Read, train: Read) -> None:
    found = lineage.derive(made.bot)
    digests = {artifact.type: artifact.digest for artifact in found.artifacts}
    types = {name: artifact["type"] for run in (preprocess, train) for name, artifact in run.artifacts.items()}
    table = f"run-{runs(made.bot, 'train')[0].id}-examples"
    assert types == {
        "tweets-rover": "raw-dataset",
        "dataset-rover": "train-dataset",
        "tiny-gpt2": "pretrained-model",
        "rover": "finetuned-model",
        table: "run_table",
    }
    raw, dataset = preprocess.metadata("tweets-rover"), preprocess.metadata("dataset-rover")
    assert (raw["handles"], raw["posts"], raw["digest"]) == (["rover"], 250, digests["raw-dataset"])
    assert dataset["handles"] == ["rover"]
    assert (dataset["seed"], dataset["epochs"], dataset["version"]) == (0, 1, "0.1.0")
    assert dataset["digest"] == digests["train-dataset"]
    assert dataset["made_from"] == [f"tweets-rover@{digests['raw-dataset']}"]
    base, model = train.metadata("tiny-gpt2"), train.metadata("rover")
    assert (base["id"], base["digest"]) == ("tiny-gpt2", digests["pretrained-model"])
    assert (model["url"], model["seed"], model["digest"]) == (None, 0, digests["finetuned-model"])
    assert model["made_from"] == [
        f"dataset-rover@{digests['train-dataset']}",
        f"tiny-gpt2@{digests['pretrained-model']}",
    ]
    assert model["files"]["model.safetensors"]["sha256"] == file_digest(made.bot.model / "model.safetensors")


def test_the_lineage_is_in_the_log_as_wandb_itself_would_write_it(preprocess: Read, train: Read) -> None:
    assert preprocess.used == {"tweets-rover"}
    assert train.used == {"dataset-rover", "tiny-gpt2"}
    one, other = (run.artifacts["dataset-rover"]["digest"] for run in (preprocess, train))
    assert one == other  # by which W&B knows it again
    assert train.summed_up["config"]["used"] == train.metadata("rover")["made_from"]


def test_artifacts_hold_small_files_and_no_weights(made: Made, preprocess: Read, train: Read) -> None:
    assert set(preprocess.contents("tweets-rover")) == {"counts.json", "digests.json"}
    assert set(preprocess.contents("dataset-rover")) == {"report.json", "digests.json"}
    small = {"config.json", "generation_config.json", "tokenizer_config.json", "digests.json"}
    assert set(train.contents("rover")) == small
    for entry in train.contents("rover").values():
        assert not Path(entry["local_path"]).is_absolute()
        assert (made.bot.path / entry["local_path"]).stat().st_size == int(entry["size"])


def search(folder: Path, *words: str) -> list[tuple[str, str]]:
    """Where any of the words stands, in files and their names; in what is written as base64 too."""
    needles = {word: [word.encode(), base64.b64encode(word.encode())[:-4]] for word in words}
    return [
        (word, file.name)
        for file in folder.rglob("*")
        for word, forms in needles.items()
        if word in file.name or (file.is_file() and any(form in file.read_bytes() for form in forms))
    ]


def test_nothing_secret_and_nobodys_paths_are_recorded(made: Made, home: Path, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text(SECRETS["HF_TOKEN"])
    assert search(tmp_path, *SECRETS.values())  # the search does find
    assert search(made.bot.path / "wandb", *SECRETS.values(), str(home), str(made.bot.path.parent), sys.prefix) == []
    assert list(home.iterdir()) == []  # all that W&B writes is in the bot's folder


def test_no_words_of_the_account_are_recorded(made: Made) -> None:
    posts = [post["text"] for post in read_jsonl(made.bot.posts)]
    assert search(made.bot.path / "wandb", *posts) == []


def test_a_prediction_that_copies_a_post_is_told_only_with_the_posts(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    samples = read_jsonl(bot.samples)
    post = read_jsonl(bot.posts)[0]["text"]
    copied = {"prompt": "The", "text": post, "copied_from": post}
    write_jsonl(bot.samples, [copied, *samples])
    assert ["The", post] in facts.examples(bot, posts=True)
    assert facts.examples(bot, posts=False) == facts.examples(made.bot, posts=False)


def hear(bot: BotDir, stage: str, mode: str = "auto", **options: Any) -> list[Event]:
    """As when a command finds the stage done."""
    events: list[Event] = []
    with tracker(bot, mode, events.append, **options) as listen:  # type: ignore[arg-type]
        listen(StageDone(stage, "", skipped=True))
    return events


def test_nothing_is_recorded_twice(made: Made) -> None:
    before = sorted((made.bot.path / "wandb").rglob("*"))
    assert hear(made.bot, "card") == [StageDone("card", "", skipped=True)]
    assert sorted((made.bot.path / "wandb").rglob("*")) == before


def test_a_bot_can_be_recorded_afterwards(made: Made, train: Read, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    assert hear(bot, "card", "none") == [StageDone("card", "", skipped=True)]
    assert not (bot.path / "wandb").exists()
    hear(bot, "card", "offline", posts=True)
    late = read(bot, "train")
    assert late.losses == train.losses
    assert late.summed_up["config"] == train.summed_up["config"]
    assert late.summed_up["notes"] == train.summed_up["notes"]
    told = [name for name in train.summed_up["summary"] if name.startswith("eval/")]
    assert [late.summed_up["summary"][name] for name in told] == [train.summed_up["summary"][name] for name in told]
    assert late.metadata("rover") == train.metadata("rover")
    entry = read(bot, "preprocess").contents("tweets-rover")["posts.jsonl"]  # this time they were asked for
    assert (bot.path / entry["local_path"]).read_bytes() == bot.posts.read_bytes()
    assert {"train.jsonl", "holdout.jsonl"} <= set(read(bot, "preprocess").contents("dataset-rover"))


def evaluate_again(bot: BotDir) -> None:
    """To another outcome, as another version of this project might."""
    record = bot.read_record()
    record["stages"]["evaluate"]["key"] = "another"
    write_json(bot.record, record)
    write_json(bot.eval_report, {**read_json(bot.eval_report), "distinct_1": 0.125})


def wait_for(seen: Callable[[], bool]) -> None:
    """Until another process has written something down, of which nobody hears."""
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def logged_in(server: WandbServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", server.url)
        patch.setenv("WANDB_API_KEY", SECRETS["WANDB_API_KEY"])
        yield


LEARN = """
import os, signal, sys
from pathlib import Path
from huggingtweets.botdir import BotDir
from huggingtweets.reports import StageStarted
from huggingtweets.steplog import StepLog
from huggingtweets.tracking import tracker

bot = BotDir(Path(sys.argv[1]))
values = {"learning_rate": 1e-3, "tokens": 1, "seconds": 0, "total_steps": 50}
with tracker(bot, "auto", lambda event: None) as listen, StepLog(bot.train_log, 5, listen) as log:
    listen(StageStarted("train", "Training"))
    for step in range(1, 39):
        log.step(step, {"loss": 5 - step / 20, **values})
    assert "wandb" not in sys.modules and "torch" not in sys.modules
    input("until it is time to go")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def learn(bot: BotDir, first: int, last: int, listen: Listener, total: int = 50) -> None:
    """The steps of a training that learns nothing."""
    values = {"learning_rate": 1e-3, "tokens": 1, "seconds": 0, "total_steps": total}
    with StepLog(bot.train_log, 5, listen) as log:
        for step in range(first, last + 1):
            log.step(step, {"loss": 5 - step / 20, **values})


EVERY_FIFTH = list(range(5, 51, 5))


def test_offline_a_training_that_was_stopped_starts_its_run_again(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=True)
    with contextlib.suppress(KeyboardInterrupt), tracker(bot, "auto", lambda event: None) as listen:
        listen(StageStarted("train", "Training"))
        learn(bot, 1, 38, listen)
        wait_for(lambda: len(runs(bot, "train")) == 2)
        raise KeyboardInterrupt
    with Journal(bot).locked():  # once the recorder has ended
        torn = runs(bot, "train")[-1]
    assert torn.done == {}
    assert Read(bot.path / next(iter(torn.folders))).summed_up["exit_code"] == 1
    with tracker(bot, "auto", lambda event: None) as listen:
        listen(StageStarted("train", "Training"))
        learn(bot, 31, 50, listen)  # the checkpoint was of step 30
        listen(StageDone("train", ""))
    _, whole = runs(bot, "train")  # besides that of the bot as it was
    assert [row["step"] for row in Read(bot.path / next(iter(whole.folders))).losses] == EVERY_FIFTH
    assert not (bot.path / next(iter(torn.folders))).exists()


def test_online_it_is_there_as_it_goes_on_and_after_a_kill_too(made: Made, home: Path, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    events: list[Event] = []
    with serve_wandb() as server, logged_in(server):
        with subprocess.Popen([sys.executable, "-c", LEARN, bot.path], stdin=subprocess.PIPE) as learning:
            server.wait_for(lambda: any(len(run.history) >= 7 for run in server.runs.values()))
            learning.communicate(b"\n")
        assert learning.returncode == -signal.SIGKILL
        server.wait_for(lambda: any(run.exit_code == 1 for run in server.runs.values()))
        with tracker(bot, "auto", events.append) as listen:
            listen(StageStarted("train", "Training"))
            learn(bot, 31, 50, listen)
            for stage in ("train", "evaluate", "card"):
                listen(StageDone(stage, ""))
        kept = server.run("train")
        check_lineage(server)
        check_privacy(server, bot, home)
    assert [row["_step"] for row in kept.history] == [*EVERY_FIFTH, 51, 52]
    assert [row["loss"] for row in kept.history[:10]] == [line["loss"] for line in read_jsonl(bot.train_log)]
    assert kept.exit_code == 0
    assert kept.summary["eval/bits_per_byte"] == read_json(bot.eval_report)["bot"]["bits_per_byte"]
    assert kept.config["used"] == read(made.bot, "train").summed_up["config"]["used"]
    assert bot.picture.read_bytes() in kept.files.values()
    assert run_url(bot) in [notice.text.removeprefix("Weights & Biases: ") for notice in notices(events)]
    assert not any(run.waiting for run in Journal(bot).read())
    assert not (bot.path / "wandb" / "artifacts").exists()


def check_lineage(server: WandbServer) -> None:
    """The original's picture: raw-dataset -> preprocess -> train-dataset -> train (with base) -> finetuned-model."""
    ids = {run.name: id for id, run in server.runs.items()}
    edges = {artifact.name: (artifact.made_by, artifact.used_by) for artifact in server.artifacts}
    assert all(artifact.committed for artifact in server.artifacts)
    assert edges == {
        "tweets-rover": (None, {ids["@rover-preprocess"]}),
        "dataset-rover": (ids["@rover-preprocess"], {ids["@rover-train"]}),
        "tiny-gpt2": (None, {ids["@rover-train"]}),
        "rover": (ids["@rover-train"], set()),
        f"run-{ids['@rover-train']}-examples": (ids["@rover-train"], set()),  # W&B's own, for every table
    }


def check_privacy(server: WandbServer, bot: BotDir, home: Path) -> None:
    """The key is sent as a login and nowhere else, and nothing at all that is a secret or another's words."""
    sent = b"\n".join(server.bodies).decode("utf-8", "replace")
    posts = [post["text"] for post in read_jsonl(bot.posts)]
    for word in (*SECRETS.values(), str(home), str(bot.path.parent), sys.prefix, *posts):
        assert word not in sent
    for upsert in (upsert for run in server.runs.values() for upsert in run.upserts):
        assert upsert["program"] in (None, "huggingtweets")
        assert [upsert[name] for name in ("host", "repo", "commit")] == [None] * 3
    assert list(home.iterdir()) == []


def test_a_server_that_falls_silent_slows_and_fails_nothing(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    events: list[Event] = []
    with serve_wandb() as server, logged_in(server):
        server.breaks_at = "CreateArtifact"
        slowest_s = 0.0
        begun = time.monotonic()
        with tracker(bot, "auto", events.append, patience_s=2.0) as listen:

            def timed(event: Event) -> None:
                nonlocal slowest_s
                start = time.monotonic()
                listen(event)
                slowest_s = max(slowest_s, time.monotonic() - start)

            timed(StageStarted("train", "Training"))
            learn(bot, 1, 16, timed, total=16)
            for stage in ("train", "evaluate", "card"):
                timed(StageDone(stage, ""))
        assert slowest_s < 1.5
        assert time.monotonic() - begun < 40
        assert not any(notice.warning for notice in notices(events))
        assert any("later: huggingtweets sync rover" in notice.text for notice in notices(events))
        assert all(run.waiting for run in Journal(bot).read())
        server.breaks_at = server.broken = None
        sync(bot)
        check_lineage(server)
        kept = server.run("train")
    assert [row["_step"] for row in kept.history] == [5, 10, 15, 16, 17, 18]


def test_sync_uploads_what_was_recorded_offline(made: Made, train: Read, home: Path, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=True)  # which has moved since
    evaluate_again(bot)
    with serve_wandb() as server, logged_in(server):
        hear(bot, "evaluate")  # with a login now, yet what came before is not at W&B
        (run,) = runs(bot, "train")
        assert [folder.split("/")[1][:12] for folder in run.folders] == ["offline-run-"] * 2
        assert server.runs == {}
        urls = sync(bot)
        assert urls == [f"{server.url}/alice/huggingtweets/runs/{run.id}" for run in Journal(bot).read()]
        assert run_url(bot) == urls[-1]
        check_privacy(server, bot, home)
        check_upload(server, bot, train)
        asked = len(server.operations)
        events: list[Event] = []
        assert sync(bot, events.append) == urls
        assert [event.skipped for event in events if isinstance(event, StageDone)] == [True]
        assert len(server.operations) == asked
    assert search(bot.path / "wandb", *SECRETS.values(), str(home), str(tmp_path)) == []


def check_upload(server: WandbServer, bot: BotDir, recorded: Read) -> None:
    kept = server.run("train")
    assert [row["_step"] for row in kept.history] == [5, 10, 15, 16, 17, 18, 19]  # the last: evaluated again
    assert [row["loss"] for row in kept.history if "loss" in row] == [row["loss"] for row in recorded.losses]
    assert kept.summary["eval/distinct_1"] == 0.125
    assert kept.summary["final_loss"] == read_json(bot.train_report)["final_loss"]
    assert kept.config.items() >= recorded.summed_up["config"].items()
    assert kept.notes == recorded.summed_up["notes"]
    assert kept.exit_code == 0
    assert server.artifact("dataset-rover").files["report.json"] == bot.dataset_report.read_bytes()
    check_lineage(server)


def test_sync_says_what_keeps_it(made: Made, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="not logged in") as said:
        sync(made.bot)
    assert said.value.next == "wandb login, then huggingtweets sync rover"
    with serve_wandb() as server:
        pass
    with logged_in(server), pytest.raises(PublishError, match="does not answer") as said:
        sync(made.bot)
    assert said.value.next == "huggingtweets sync rover, once there is a network"
    with pytest.raises(PublishError, match="nothing of nobody") as said:
        sync(BotDir(tmp_path / "nobody"))


def test_sync_says_what_was_refused(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=True)
    with serve_wandb() as server, logged_in(server):
        server.refuses = True
        with pytest.raises(PublishError, match="did not take everything: no such key") as said:
            sync(bot)
    assert said.value.next == "wait a while, or wandb login --relogin, then huggingtweets sync rover"
    assert all(run.waiting for run in Journal(bot).read())


def test_where_it_is_published_the_model_refers_to_the_hub(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    digests = {file.name: file_digest(file) for file in bot.model.iterdir()}
    url = "https://huggingface.co/alice/rover"
    write_json(bot.published, {"repo_id": "alice/rover", "url": url, "commit": "c0ffee", "files": digests})
    draft = facts.finetuned_model(bot, lineage.derive(bot))
    assert draft.metadata["url"] == url
    assert draft.references == {
        name: f"{url}/resolve/c0ffee/{name}" for name in ("model.safetensors", "tokenizer.json")
    }
    write_json(bot.published, {"repo_id": "alice/rover", "url": url, "commit": "c0ffee", "files": {}})
    assert facts.finetuned_model(bot, lineage.derive(bot)).references == {}  # what lies there is another model


def test_only_parts_that_fit_each_other_are_recorded(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    assert list(part_keys(bot)) == ["build", "train", "evaluate", "card"]
    bot.forget(["evaluate"])  # as `evaluate --again` does before it begins
    assert list(part_keys(bot)) == ["build", "train"]
    bot.record.write_bytes(made.bot.record.read_bytes())
    bot.forget(["train"])
    assert list(part_keys(bot)) == ["build"]
    bot.record.write_bytes(made.bot.record.read_bytes())
    bot.holdout_posts.write_text("")  # built again, and not trained since
    assert list(part_keys(bot)) == ["build"]
    assert part_keys(BotDir(tmp_path / "nobody")) == {}


def test_what_an_update_begins_with_is_the_bot_before_it(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    record = bot.read_record()
    record["stages"]["train"]["continues"] = "22a1bf0a"
    write_json(bot.record, record)
    draft = facts.base_model(bot, lineage.derive(bot))
    assert (draft.name, draft.type) == ("rover-previous", "pretrained-model")
    assert draft.metadata["weights"] == "22a1bf0a"


def test_a_bot_that_is_called_like_its_base_is_another_artifact(made: Made, tmp_path: Path) -> None:
    bot = BotDir(made.copy(tmp_path, recorded=False).path.rename(tmp_path / "tiny-gpt2"))
    made_of = lineage.derive(bot)
    assert facts.finetuned_model(bot, made_of).name == "tiny-gpt2"
    assert facts.base_model(bot, made_of).name == "tiny-gpt2-base"


def test_what_goes_wrong_is_one_warning(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=False)
    (bot.path / "wandb").write_text("in the way")
    events: list[Event] = []
    with tracker(bot, "offline", events.append) as listen:
        listen(StageStarted("train", "Training"))
        learn(bot, 1, 16, listen, total=16)
        listen(StageDone("train", ""))
    (warning,) = [notice.text for notice in notices(events) if notice.warning]
    assert warning.startswith("Tracking stopped, and all else goes on: ")
    assert StageDone("train", "") in events


def test_a_damaged_journal_is_a_warning_too(made: Made, tmp_path: Path) -> None:
    bot = made.copy(tmp_path, recorded=True)
    (bot.path / "wandb" / "runs.json").write_text("{")
    warnings = [notice.text for notice in notices(hear(bot, "card")) if notice.warning]
    assert len(warnings) == 1
    assert "runs.json is damaged" in warnings[0]
    assert run_url(bot) is None


LOGIN = {"WANDB_API_KEY": "k"}


@pytest.mark.parametrize(
    ("mode", "env", "expected"),
    [
        ("none", LOGIN, None),
        ("auto", {"WANDB_MODE": "disabled", **LOGIN}, None),
        ("auto", LOGIN, Reach(True)),
        ("auto", {"WANDB_IDENTITY_TOKEN_FILE": "f"}, Reach(True)),
        ("auto", {"WANDB_MODE": "offline", **LOGIN}, Reach(False, "it is set to offline (wandb online)")),
        ("online", {"WANDB_MODE": "offline", **LOGIN}, Reach(True)),
        ("offline", LOGIN, Reach(False, "you asked for that")),
        ("offline", {"WANDB_MODE": "disabled"}, Reach(False, "you asked for that")),
    ],
)
def test_what_is_asked_for(mode: str, env: dict[str, str], expected: Reach | None, tmp_path: Path) -> None:
    assert wish(mode, env, tmp_path) == expected  # type: ignore[arg-type]


def test_online_needs_a_login(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="not logged in") as said:
        wish("online", {}, tmp_path)
    assert said.value.next == "wandb login   (or --track offline)"
    with pytest.raises(SettingsError, match="--track must be"):
        wish("sometimes", {}, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "env", "is_login"),
    [
        ("machine api.wandb.ai login user password k", {}, True),  # the service's older address
        ("machine api.forge.coreweave.com login user password k", {}, True),
        ("machine example.com login user password k", {}, False),
        ("machine example.com login user password k", {"WANDB_BASE_URL": "https://example.com/"}, True),
        ("machine api.wandb.ai login user password k", {"WANDB_BASE_URL": "https://example.com"}, False),
        ("machine \0 'broken", {}, False),
    ],
)
def test_a_login_kept_in_netrc(content: str, env: dict[str, str], is_login: bool, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(content)
    (tmp_path / ".netrc").chmod(0o600)
    found = wish("auto", env, tmp_path)
    assert found is not None
    assert found.online is is_login


def test_what_wandb_keeps_for_the_user_counts(tmp_path: Path) -> None:
    (tmp_path / ".config" / "wandb").mkdir(parents=True)
    (tmp_path / ".config" / "wandb" / "settings").write_text("[default]\nmode = offline\n")
    assert wish("auto", LOGIN, tmp_path) == Reach(False, "it is set to offline (wandb online)")
    (tmp_path / "settings").write_text("[default]\napi_key = 100%\n")
    assert wish("auto", {"WANDB_CONFIG_DIR": str(tmp_path)}, tmp_path) == Reach(True)


def test_the_service_is_at_wandbs_own_address() -> None:
    urls = runpy.run_path(str(WANDB / "sdk" / "lib" / "urls.py"))
    assert (urls["DEFAULT_BASE_URL"], next(iter(urls["FORGE_HOSTS"].values()))) == (HOME, ALSO_HOME)


def test_a_host_is_found_out_about_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_wandb() as server:
        assert answers(server.url)
        monkeypatch.setenv("http_proxy", server.url)
        assert answers("http://wandb.invalid")  # through the proxy
    monkeypatch.delenv("http_proxy")
    assert not answers(server.url)
    with socket.socket() as full:  # which accepts nobody
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address), contextlib.suppress(OSError):
            begun = time.monotonic()
            answers("http://{}:{}".format(*address))
            assert time.monotonic() - begun < KNOCK_S + 0.5
    assert reached(Reach(True), "https://api.example", lambda url: False).why == "api.example does not answer"


@pytest.mark.parametrize("name", ["alice@example.social", "наса", "a/b:c", "." * 3, "x" * 300])
def test_any_name_becomes_one_that_wandb_takes(name: str) -> None:
    safe = facts.safe(name)
    assert 0 < len(safe) <= 128
    assert set(safe) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
