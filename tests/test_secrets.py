"""Secrets in the environment reach no file, no message and no repository, whatever a person does or goes wrong."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from conftest import invented_posts
from hub_server import Fault, HubServer, Person, serve_hub
from loopback import Reply, Request, Server, serve

SECRETS = {
    "HF_TOKEN": "hf_plantedQm7/+=%token0001",
    "HUGGING_FACE_HUB_TOKEN": "hf_plantedOlder+/=name0002",
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdefplanted3",
    "X_BEARER_TOKEN": "AAAAplanted%2Fbearer%3D+x0004",
    "BEARER_TOKEN": "AAAAplanted%2Fbearer%3D+b0005",
    "TWITTER_BEARER_TOKEN": "AAAAplanted%2Fbearer%3D+t0006",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/planted/bPxRfiCY0007",
}
WRONG = "hf_plantedWrong+/=%token0008"
FIRST_ID = 1_890_000_000_000_000_000
SEVERAL = """
import json, sys
from huggingtweets.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = ["huggingtweets", *command]
    try:
        main()
    except SystemExit as end:
        print("exit", end.code, flush=True)
"""


def forms_of(secret: str) -> set[bytes]:
    """As it may stand in a file: plain, escaped, encoded, alone or behind something else."""
    plain = secret.encode()
    forms = {plain, json.dumps(secret).encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    forms |= {quote(secret).encode(), plain.hex().encode(), plain.hex().upper().encode(), secret.encode("utf-16-le")}
    for shift, cut in ((0, 0), (1, 2), (2, 3)):  # where it stands in its group of three bytes
        encoded = base64.b64encode(bytes(shift) + plain)[cut:-4]
        forms |= {encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


FORMS = {form: name for name, secret in {**SECRETS, "a wrong token": WRONG}.items() for form in forms_of(secret)}


def secrets_in(content: bytes) -> set[str]:
    return {name for form, name in FORMS.items() if form in content}


@pytest.mark.parametrize("name", SECRETS)
def test_the_search_finds_what_it_looks_for(name: str) -> None:
    secret = SECRETS[name]
    basic = base64.b64encode(f"api:{secret}".encode())
    for content in (secret.encode(), basic, quote(secret, safe="").encode(), secret.encode().hex().encode()):
        assert secrets_in(b"before " + content + b" after") == {name}
    assert secrets_in(secret[:-4].encode()) == set()


@dataclass
class X:
    """X's API with one account, which has posted ten times more whenever it is looked up."""

    count: int = 240

    def play(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {SECRETS['X_BEARER_TOKEN']}":
            said = f"{request.headers.get('authorization')} is not valid"  # a server that echoes
            return Reply({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": said}, 401)
        if request.path == "/2/users/by/username/bakery":
            self.count += 10
            return Reply({"data": {"id": "42", "name": "The Bakery", "username": "bakery", "protected": False}})
        query = request.query
        newest, oldest = int(query.get("pagination_token", 10**30)), int(query.get("since_id", 0))
        posts = [(FIRST_ID + number, text) for number, text in enumerate(invented_posts(self.count))]
        left = [(post, text) for post, text in reversed(posts) if oldest < post < newest]
        page, more = left[: int(query["max_results"])], left[int(query["max_results"]) :]
        data = [{"id": str(post), "text": text, "edit_history_tweet_ids": [str(post)], **_SAME} for post, text in page]
        meta = {"result_count": len(page), **({"next_token": str(page[-1][0])} if more else {})}
        return Reply({"data": data, "meta": meta} if data else {"meta": meta})


_SAME = {"author_id": "42", "lang": "en", "created_at": "2025-02-01T00:00:00.000Z"}


@dataclass
class World:
    """One person's machine, all in one folder, and the servers around it."""

    root: Path
    x_server: Server
    hub: HubServer

    def __post_init__(self) -> None:
        for folder in ("home", "tmp", "work"):
            (self.root / folder).mkdir()

    def run(self, *commands: str, **changes: str) -> str:
        """What some commands have said and how they ended; all in one process, since torch is slow to load."""
        own = ("HF_", "WANDB", "HUGGING", "XDG_", "HOME", "TMP", "TEMP")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        environment |= {**SECRETS, "HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        environment |= {"HF_ENDPOINT": self.hub.url, "HUGGINGTWEETS_X_API": self.x_server.url}
        environment |= {"WANDB_BASE_URL": "http://127.0.0.1:9", "HF_HUB_DISABLE_XET": "1", **changes}
        split = json.dumps([command.split() for command in commands])
        done = subprocess.run(
            [sys.executable, "-c", SEVERAL, split],
            env=environment,
            cwd=self.root / "work",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        talk = done.stdout.decode()
        (self.root / f"said-{len(list(self.root.glob('said-*')))}").write_text(talk)
        return talk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serve(X().play) as x_server, serve_hub() as hub:
        hub.people = {SECRETS["HF_TOKEN"]: Person("alice")}
        yield World(tmp_path_factory.mktemp("machine"), x_server, hub)


@pytest.fixture(scope="module")
def lived(world: World, tiny_gpt2: Path) -> World:
    """A bot's whole life, and what goes wrong in it."""
    assert "exit 1" in world.run("create @bakery --mine --accept-x-terms --yes", X_BEARER_TOKEN=WRONG)
    world.x_server.faults.extend([None, None, Reply(drop=True)])
    world.hub.fail("put", Fault(drop_at=1000))
    talk = world.run(
        f"create @bakery --mine --accept-x-terms --yes --base {tiny_gpt2} --epochs 0.1 --threads 1 --track offline",
        "update bakery --yes",
        "publish bakery --space --public",
        "generate alice/bakery start --seed 1 --threads 1",
        "show bakery --lineage",
        "verify bakery",
        "sync bakery",
    )
    assert talk.count("exit 0") == 6, talk
    assert talk.count("exit 1") == 1, talk  # W&B can't be reached
    world.hub.fail("whoami", *[Fault(status=401, error=f"{WRONG} is no token of ours")] * 9)
    world.hub.fail("info", *[Fault(status=401, error=f"Invalid credentials: {WRONG}")] * 9)
    talk = world.run("publish bakery", "generate alice/nobody", HF_TOKEN=WRONG)
    assert talk.count("exit 1") == 2, talk
    world.hub.faults.clear()
    assert "exit 1" in world.run("unpublish bakery --yes", HF_ENDPOINT="http://127.0.0.1:9")
    return world


def test_no_secret_is_in_any_file_or_message(lived: World) -> None:
    files = [path for path in lived.root.rglob("*") if path.is_file()]
    names = {path.relative_to(lived.root).as_posix() for path in files}
    for written in ("work/bots/bakery/published.json", "work/bots/bakery/lineage.json", "said-0"):
        assert written in names
    for kind in (".wandb", "model.safetensors", "train.jsonl", "README.md"):
        assert [name for name in names if name.endswith(kind)], f"no {kind} was written"
    assert [name for name in names if name.startswith("home/.cache/huggingface/hub/")]
    leaks = {str(path.relative_to(lived.root)): found for path in files if (found := secrets_in(path.read_bytes()))}
    leaks |= {name: found for name in names if (found := secrets_in(name.encode()))}
    assert leaks == {}


def test_no_secret_is_in_what_the_hub_has_stored(lived: World) -> None:
    repos = lived.hub.repos.values()
    assert {repo.id for repo in repos} == {"alice/bakery", "alice/bakery-space"}
    stored = [content for repo in repos for content in repo.files.values()]
    told = [summary.encode() for repo in repos for summary in repo.commits]
    assert [found for content in (*stored, *told, *lived.hub.stored.values()) if (found := secrets_in(content))] == []


def test_every_secret_went_where_it_belongs_and_nowhere_else(lived: World) -> None:
    """The tokens did work: so they were there to be leaked."""
    assert lived.hub.model("alice/bakery").commits == ["initial commit", "Publish bakery"]
    assert not lived.hub.model("alice/bakery").private
    bearers = {request.headers.get("authorization") for request in lived.x_server.log}
    assert bearers == {f"Bearer {SECRETS['X_BEARER_TOKEN']}", f"Bearer {WRONG}"}
