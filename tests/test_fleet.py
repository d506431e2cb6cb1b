"""Fleets on a real Ray: what they make, and what they survive."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import huggingtweets as ht
from browser import free_port
from conftest import invented_posts
from hub_server import serve_hub
from huggingtweets.botdir import BotDir
from huggingtweets.config import BotSettings, TrainingSettings
from loopback import Reply, Request, serve
from s3_server import s3_server
from test_pipeline import digests

COMMAND = [sys.executable, "-c", "from huggingtweets.cli import main; main()", "fleet"]
PATIENCE_S = float(os.environ.get("PATIENCE", 240))
OBJECT_STORE_BYTES = 80_000_000

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Ray's clusters")]


def posts_of(folder: Path, count: int, posts: int = 250) -> list[str]:
    """Files of posts, one an account."""
    names = [f"rover{number}.txt" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_text("\n".join(invented_posts(posts, seed=number)) + "\n", encoding="utf-8")
    return names


@contextlib.contextmanager
def fleet(folder: Path, *words: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


def report_in(bots: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        record: dict[str, Any] = json.loads((bots / "fleet.json").read_text())
        return record
    return {"bots": [], "counts": {}}


def wait_for(is_so: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def made_by_create(folder: Path, file: str, base: Path, epochs: float) -> dict[str, str]:
    """What one `create` after another makes of it, in a folder of its own."""
    settings = BotSettings(str(base), training=TrainingSettings(epochs=epochs, threads=1))
    return digests(ht.create(str(folder / file), bots_dir=folder / "one-by-one", settings=settings))


ODD = """
import os, sys, time
def hear(event, words):
    if event == "open" and str(words[0]).endswith("/poison/.lock"):
        os._exit(1)  # as whatever makes a process end without a word
    if event == "open" and str(words[0]).endswith("rover0.txt") and not os.path.exists("opened"):
        open("opened", "x").close()
        time.sleep(4)  # the first line is slow to open, so others are before it
if any("default_worker" in word for word in sys.orig_argv):
    sys.addaudithook(hear)
"""


def test_a_fleet_makes_what_create_makes_and_tells_what_it_could_not_make(tmp_path: Path, tiny_gpt2: Path) -> None:
    """Good ones, broken ones and accounts of a network, of which there are never two downloads at a time."""
    arrived: list[float] = []

    def play(request: Request) -> Reply:
        arrived.append(time.monotonic())
        return Reply({"title": "Not Found Error"}, status=404, delay_s=0.4)

    names = posts_of(tmp_path, 3)
    lines = [*names, "nobody.txt", "rover0.txt --epochs 2", "rover1.txt --nonsense", "'"]
    lines += [f"@nobody{number} --mine --accept-x-terms --yes" for number in range(4)]
    lines += ["rover1.txt --name other --epochs 2", "poison.txt"]
    (tmp_path / "poison.txt").write_text("\n".join(invented_posts(250)))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "sitecustomize.py").write_text(ODD)
    (tmp_path / "accounts.txt").write_text("\n".join(lines))
    words = ("accounts.txt", "--base", tiny_gpt2, "--epochs", 1)
    with serve(play) as x:
        known = {"HUGGINGTWEETS_X_API": x.url, "X_BEARER_TOKEN": "a-secret-token", "PYTHONPATH": str(tmp_path / "odd")}
        with fleet(tmp_path, *words, **known) as process:
            code, out, err = ended(process)
    assert code == 1, err
    assert "4 made, 9 set aside" in out
    assert "There is no file nobody.txt" in out
    assert "Traceback" not in out + err
    record = report_in(tmp_path / "bots")
    assert record["is_over"]
    assert record["counts"] == {"done": 4, "running": 0, "failed": 9, "waiting": 0, "was_there": 0}
    assert "a-secret-token" not in json.dumps(record)
    done = {bot["where"] for bot in record["bots"] if bot["state"] == "done"}
    assert done == {"line 1", "line 2", "line 3", "line 12"}
    assert all(bot["reason"] for bot in record["bots"] if bot["state"] == "failed")
    reasons = {bot["where"]: bot["reason"] for bot in record["bots"] if bot["state"] == "failed"}
    assert "the same bot as line 1" in reasons["line 5"]
    assert "No such option" in reasons["line 6"]
    assert "ended without a word" in reasons["line 13"]
    assert record["bots"][-1]["tries"] == 3
    assert len(arrived) >= 4
    assert min(after - before for before, after in itertools.pairwise(arrived)) >= 0.39
    for name, file, epochs in (("rover0", "rover0.txt", 1), ("rover2", "rover2.txt", 1)):
        assert digests(ht.Bot(tmp_path / "bots" / name)) == made_by_create(tmp_path, file, tiny_gpt2, epochs)
    assert BotDir(tmp_path / "bots" / "other").stage("card")

    weights = tmp_path / "bots" / "rover0" / "model" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    (tmp_path / "accounts.txt").write_text("\n".join(names))
    with serve_hub() as hub:
        known = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_write",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "hub"),
        }
        with fleet(tmp_path, *words, "--json", "--publish", **known) as process:
            code, out, err = ended(process)
        assert code == 0, err
        assert json.loads(out)["counts"] == {"done": 3, "running": 0, "failed": 0, "waiting": 0, "was_there": 3}
        assert weights.stat().st_mtime_ns == before
        for name in ("rover0", "rover1", "rover2"):
            assert hub.model(f"alice/{name}").private
            assert (
                hub.model(f"alice/{name}").files["model.safetensors"]
                == (tmp_path / "bots" / name / "model" / "model.safetensors").read_bytes()
            )


@contextlib.contextmanager
def cluster(client_port: int | None = None) -> Iterator[Any]:
    """A head that works on nothing; nodes are added by `node_of`."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "120")  # for a crowded machine
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    found = Cluster(initialize_head=True, head_node_args={**head, "ray_client_server_port": client_port})
    try:
        yield found
    finally:
        found.shutdown()


def node_of(nodes: Any, **environment: str) -> Any:
    return nodes.add_node(
        num_cpus=1, object_store_memory=OBJECT_STORE_BYTES, wait=False, env_vars={"OMP_NUM_THREADS": "1", **environment}
    )


def trainers(home: Path) -> list[int]:
    """Processes of this fleet that train at the moment, by the title that Ray gives them and where they work."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(b"ray::Worker.train") and (folder / "cwd").samefile(home):
                found.append(int(folder.name))
    return found


@pytest.mark.timeout(900)
def test_a_fleet_survives_its_processes_its_nodes_and_its_driver(tmp_path: Path, tiny_gpt2: Path) -> None:
    """A process is killed, then a node, then the driver; the next one ends it, and all is as if nothing had been."""
    names = posts_of(tmp_path, 4, posts=400)
    (tmp_path / "accounts.txt").write_text("\n".join(names))
    bots = tmp_path / "bots"

    def trains_on(after: int) -> Callable[[], bool]:
        """One is well into its training, and so many are done."""

        def is_so() -> bool:
            known = report_in(bots)["bots"]
            at_work = [bot for bot in known if bot.get("stage") == "train" and bot.get("fraction", 0) > 0.2]
            return bool(at_work) and sum(bot["state"] == "done" for bot in known) >= after

        return is_so

    with cluster() as nodes:
        first, _ = node_of(nodes), node_of(nodes)
        words = ("accounts.txt", "--base", tiny_gpt2, "--epochs", 8, "--address", nodes.address)
        with fleet(tmp_path, *words) as process:
            wait_for(trains_on(0), process)
            os.kill(wait_for(lambda: trainers(tmp_path), process)[0], signal.SIGKILL)
            wait_for(trains_on(0), process)
            nodes.remove_node(first, allow_graceful=False)
            node_of(nodes)
            wait_for(trains_on(1), process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with fleet(tmp_path, *words) as process:
            code, out, err = ended(process)
        assert code == 0, out + err
        assert "set aside" not in out
    record = report_in(bots)
    assert {bot["state"] for bot in record["bots"]} == {"done"}
    for name in names:
        bot = ht.Bot(bots / name.removesuffix(".txt"))
        assert digests(bot) == made_by_create(tmp_path, name, tiny_gpt2, 8)


SMALL_FILES = """
import resource, sys, threading, time
def limit():  # from when a training begins, for Ray needs some room itself
    while "huggingtweets.training" not in sys.modules:
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
if any("default_worker" in word for word in sys.orig_argv):
    threading.Thread(target=limit, daemon=True).start()
"""


def test_a_node_whose_disk_is_full_costs_no_bot(tmp_path: Path, tiny_gpt2: Path) -> None:
    names = posts_of(tmp_path, 3)
    (tmp_path / "accounts.txt").write_text("\n".join(names))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "sitecustomize.py").write_text(SMALL_FILES)
    port = free_port()
    with cluster(port) as nodes:
        words = ("accounts.txt", "--base", tiny_gpt2, "--epochs", 1, "--address", nodes.address)
        with fleet(tmp_path, *words) as process:
            assert process.stderr is not None
            told = iter(process.stderr.readline, "")
            assert any("Waiting for one that has" in line for line in told)  # no node at all so far
            node_of(nodes, PYTHONPATH=str(tmp_path / "full"))
            code, out, err = ended(process)
        assert code == 1, out + err
        assert "The disk is full" in err
        assert "run the same command again" in err
        node_of(nodes)
        from_elsewhere = (*words[:-1], f"ray://127.0.0.1:{port}")  # by Ray's own client
        with fleet(tmp_path, *from_elsewhere) as process:
            code, out, err = ended(process)
        assert code == 0, out + err
        assert "3 made" in out


def test_a_fleet_on_shared_storage_leaves_nothing_here(tmp_path: Path, tiny_gpt2: Path) -> None:
    names = posts_of(tmp_path, 2)
    (tmp_path / "accounts.jsonl").write_text("\n".join(json.dumps({"source": name}) for name in names))
    with s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        import fsspec

        fsspec.filesystem("s3").clear_instance_cache()
        files = fsspec.filesystem("s3")
        files.mkdir("shared")
        words = ("accounts.jsonl", "--base", tiny_gpt2, "--epochs", 1, "--out", "s3://shared/bots")
        with fleet(tmp_path, *words, HUGGINGTWEETS_SCRATCH=str(tmp_path / "scratch")) as process:
            code, out, err = ended(process)
        assert code == 0, out + err
        files.invalidate_cache()
        files.get("shared/bots/rover1/", str(tmp_path / "fetched"), recursive=True)
        assert json.loads(files.cat_file("shared/bots/fleet.json"))["counts"]["done"] == 2
        assert digests(ht.Bot(tmp_path / "fetched")) == made_by_create(tmp_path, "rover1.txt", tiny_gpt2, 1)
        with fleet(tmp_path, *words, "--json") as process:
            code, out, err = ended(process)
        assert json.loads(out)["counts"]["was_there"] == 2, err
    assert not list((tmp_path / "scratch").rglob("*.safetensors"))
    assert not (tmp_path / "bots").exists()


def test_one_fleet_at_a_time_works_in_a_folder(tmp_path: Path, tiny_gpt2: Path) -> None:
    posts_of(tmp_path, 1)
    (tmp_path / "accounts.txt").write_text("rover0.txt")
    words = ("accounts.txt", "--base", tiny_gpt2, "--epochs", 1)
    with fleet(tmp_path, *words) as first:
        wait_for(lambda: report_in(tmp_path / "bots")["bots"], first)
        with fleet(tmp_path, *words) as second:
            code, _, err = ended(second)
        assert code == 1
        assert "Another fleet is at work" in err
        first.send_signal(signal.SIGINT)
        code, _, err = ended(first)
    assert code == 130
    assert "The same command continues from here" in err


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path) -> None:
    posts_of(tmp_path, 1)
    (tmp_path / "accounts.txt").write_text("rover0.txt")
    with fleet(tmp_path, "accounts.txt", "--address", "127.0.0.1:1") as process:
        code, _, err = ended(process)
    assert code == 2
    assert "The cluster at 127.0.0.1:1 does not answer" in err
    assert "Traceback" not in err
