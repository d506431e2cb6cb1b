"""Base models from folders, pickles and a Hub on loopback; nothing foreign ever runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from conftest import full_disk
from huggingtweets.bases import Base, cache_folder, find_base, load_base, load_folder
from huggingtweets.errors import BaseModelError, StorageError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUGGINGTWEETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pickled(folder: Path, target: Path) -> Path:
    """The same model as it was saved before safetensors."""
    shutil.copytree(folder, target)
    weights = dict(load_folder(folder)[0].state_dict())
    torch.save(weights, target / "pytorch_model.bin")
    (target / "model.safetensors").unlink()
    return target


def test_a_folder_is_used_as_it_is(tiny_base: Path) -> None:
    base = find_base(str(tiny_base))
    assert (base.folder, base.id) == (tiny_base.resolve(), tiny_base.name)
    model, tokenizer = load_base(base)
    assert model.dtype == torch.float32
    assert tokenizer.decode(tokenizer("My dream is", add_special_tokens=False).input_ids) == "My dream is"


def test_pickled_weights_are_converted_once(tiny_base: Path, tmp_path: Path) -> None:
    said: list[str] = []
    old = pickled(tiny_base, tmp_path / "old")
    base = find_base(str(old), said.append)
    assert base.folder.is_relative_to(cache_folder())
    assert find_base(str(old), said.append).folder == base.folder
    assert len(said) == 1
    new, _ = load_base(base)
    for name, tensor in load_folder(tiny_base)[0].state_dict().items():
        assert torch.equal(tensor, new.state_dict()[name])
    assert not list(old.glob("*.safetensors"))


def test_who_comes_while_a_base_is_being_converted_waits_for_it(tiny_gpt2: Path, tmp_path: Path) -> None:
    old, said, others = pickled(tiny_gpt2, tmp_path / "old"), list[str](), list[Future[Base]]()
    with ThreadPoolExecutor() as beside:

        def say(text: str) -> None:
            said.append(text)
            others.append(beside.submit(find_base, str(old), said.append))

        first = find_base(str(old), say)
        assert [other.result().folder for other in others] == [first.folder]
    assert len(said) == 1


def test_changed_weights_are_converted_again(tiny_gpt2: Path, tmp_path: Path) -> None:
    old = pickled(tiny_gpt2, tmp_path / "old")
    first = find_base(str(old)).folder
    os.utime(old / "pytorch_model.bin", ns=(1, 1))
    assert find_base(str(old)).folder != first


def test_a_disk_that_fills_up_while_converting_leaves_no_half_model(tiny_gpt2: Path, tmp_path: Path) -> None:
    old = pickled(tiny_gpt2, tmp_path / "old")
    with full_disk(after_bytes=100_000), pytest.raises(StorageError, match="disk is full"):
        find_base(str(old))
    assert not any((tmp_path / "cache" / "bases").glob("old-*/*"))
    load_base(find_base(str(old)))


class Bomb:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_runs_a_command_never_does(tiny_gpt2: Path, tmp_path: Path) -> None:
    old = pickled(tiny_gpt2, tmp_path / "old")
    torch.save({"transformer.wte.weight": Bomb(tmp_path / "ran")}, old / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match="can't be loaded"):
        find_base(str(old))
    (old / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(BaseModelError, match="can't be loaded"):
        find_base(str(old))
    assert not (tmp_path / "ran").exists()
    assert not any((tmp_path / "cache" / "bases").glob("*/config.json"))


def test_code_of_a_model_repository_never_runs(tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own-code"
    shutil.copytree(tiny_gpt2, folder)
    config = json.loads((folder / "config.json").read_text())
    auto_map = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": auto_map}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BaseModelError, match="code of their own, which never runs"):
        load_base(find_base(str(folder)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_damaged_weights_are_said(tiny_gpt2: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_gpt2, folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes({"truncated": whole[: len(whole) // 2], "garbage": b"\xff" * 1000, "empty": b""}[damage])
    with pytest.raises(BaseModelError, match="can't be loaded"):
        load_base(find_base(str(folder)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "no config.json"),
        (lambda path: (path.mkdir(), (path / "config.json").write_text("{}")), "no weights"),
        (lambda path: path.write_text("hello"), "not a base model"),
        (lambda path: None, "neither a folder nor a Hub id"),
    ],
)
def test_what_is_no_model_is_said(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(BaseModelError, match=message):
        find_base(str(path))


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as downloading a model needs, out of one folder."""

    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        if "/resolve/" in self.path:
            file = self.folder / self.path.split("/resolve/", 1)[1].split("/", 1)[1]
            content = file.read_bytes() if file.is_file() else None
        elif self.path.startswith("/api/models/me/tiny/tree"):
            content = json.dumps(
                [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40}
                    for f in self.folder.iterdir()
                ]
            ).encode()
        elif self.path.startswith("/api/models/me/tiny"):
            siblings = [{"rfilename": file.name} for file in self.folder.iterdir()]
            content = json.dumps({"id": "me/tiny", "sha": "a" * 40, "siblings": siblings}).encode()
        else:
            content = None
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "RepoNotFound" if "/api/" in self.path else "EntryNotFound")
        content = content or b""
        self.send_header("ETag", f'"{hash(self.path) & 0xFFFFFFFF:x}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def in_a_new_process(code: str, endpoint: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The Hub client reads its settings when it is imported."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HUGGINGTWEETS_CACHE": str(tmp_path / "cache"),
    }
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


LOAD = "from huggingtweets.bases import *; m, t = load_base(find_base('me/tiny')); print(m.num_parameters())"


@pytest.mark.parametrize("old", [False, True])
def test_a_base_comes_from_the_hub_once_and_then_from_the_cache(
    hub: ThreadingHTTPServer, tiny_gpt2: Path, tmp_path: Path, old: bool
) -> None:
    Hub.folder = pickled(tiny_gpt2, tmp_path / "old") if old else tiny_gpt2
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    first = in_a_new_process(LOAD, endpoint, tmp_path)
    assert first.stdout.strip() == str(load_folder(tiny_gpt2)[0].num_parameters()), first.stderr
    again = in_a_new_process(LOAD, "http://127.0.0.1:9", tmp_path)
    assert again.stdout == first.stdout, again.stderr


CREATE = "import sys; from huggingtweets.cli import main; sys.argv = ['huggingtweets', *{!r}]; main()"


def test_a_model_that_is_not_on_the_hub_is_said(hub: ThreadingHTTPServer, posts_file: Path, tmp_path: Path) -> None:
    command = ["create", str(posts_file), "--base", "me/other", "--bots-dir", str(tmp_path / "bots")]
    done = in_a_new_process(CREATE.format(command), f"http://127.0.0.1:{hub.server_port}", tmp_path)
    assert done.returncode == 1
    assert "There is no model me/other on the Hub" in done.stderr


@pytest.mark.parametrize("silent", [False, True])
def test_a_hub_out_of_reach_is_said_within_seconds_with_the_base_that_needs_none(
    posts_file: Path, tmp_path: Path, silent: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts, and never answers
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}" if silent else "http://127.0.0.1:9"
        begin = time.monotonic()
        done = in_a_new_process(
            CREATE.format(["create", str(posts_file), "--bots-dir", str(tmp_path / "bots")]), endpoint, tmp_path
        )
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert "--base smollm2" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begin < 60


@pytest.mark.slow
def test_the_embedded_base_is_converted_once_and_writes_english() -> None:
    said: list[str] = []
    base = find_base("smollm2", said.append)
    assert find_base("smollm2", said.append).folder == base.folder
    assert len(said) == 1
    assert (base.id, base.license) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    model, tokenizer = load_base(base)
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    best = model(ids).logits[0, -1].argmax().item()
    assert tokenizer.decode([best]).strip() == "Paris"
