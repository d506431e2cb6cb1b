"""How the web app bears a crowd: many people who let a bot write at once, while another bot is being made.

    python benchmarks/web.py [BOT_FOLDER | smollm2] [--clients 50]

Starts `huggingtweets serve` in a folder of its own, with a copy of the bot; or with the embedded base as a bot that was
never trained, which draws as fast as one that was; or, without either, with a tiny bot of invented posts, whose drawing
costs next to nothing, so that what is left is the server. Then:

- *alone*: one person has ten predictions written, with nobody else there.
- *crowd*: so many clients ask for ten predictions each, at the same moment, as a stream of events, while a job trains,
  on a tiny base unless another is named.
  Of each: when the first piece came, and when the last; of all: predictions a second, and what went wrong.
- *pages*: somebody asks for the front page and the list of bots every 100 ms, before the crowd and beside it.

Clients and server share the machine's cores, and the training has them too, at a lower priority. Prints a table, and
writes it to benchmarks/results/web.json, under the bot's name.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from huggingtweets import create
from huggingtweets.bases import find_base, load_base
from huggingtweets.bot import save_bot
from huggingtweets.botdir import BotDir, read_json, write_json
from huggingtweets.config import BotSettings, TrainingSettings
from measuring import machine

RESULTS = Path(__file__).parent / "results" / "web.json"
SERVE = "from huggingtweets.cli import main; main()"
API = "/api/v1"
POSTS = 10
TOKENS = 60  # at most, of a post; one has about 40, but a base that was never trained does not end it
EVERY_S = 0.1  # a page
QUIET_S = 5.0  # of pages with nobody else there
START_S = 120.0  # until the server answers, or the job trains
BOT, JOB = "crowd", "beside"
EMBEDDED_BASE = "smollm2"
END = "<|endoftext|>"
PAGES = ("/", "/bots")
VERBS = ("watched", "measured", "orbits", "visits", "photographed", "just passed", "studies", "will see")
THINGS = ("the rover", "our crew", "a comet", "Saturn", "Europa", "the red planet", "a distant galaxy", "the lander")


@dataclass(frozen=True)
class Visit:
    """One client's drawing; seconds since it asked."""

    first_s: float | None = None
    done_s: float | None = None
    predictions: int = 0
    most_ahead: int = 0
    error: str = ""


@dataclass
class Pages:
    """Answers to somebody who only looks."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bot", nargs="?", default="", help="a finished bot's folder, or smollm2")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--base", help="of the bot that is made beside; a tiny one unless told otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tiny = str(tiny_base(folder / "tiny"))
        put_bot(options.bot, folder / "bots" / BOT, tiny)
        with serving(folder / "bots", options.base or tiny) as url:
            found = asyncio.run(measure(url, options.clients, write_posts(folder / f"{JOB}.txt", 100_000)))
    record = {"clients": options.clients, **found, "machine": machine()}
    show(record)
    name = Path(options.bot).name or "a tiny bot"
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {**(read_json(RESULTS) if RESULTS.exists() else {}), name: record})


# --- what is served -------------------------------------------------------------------------------------------------


def put_bot(what: str, path: Path, tiny: str) -> None:
    if what == EMBEDDED_BASE:
        model, tokenizer = load_base(find_base(what))
        save_bot(model, tokenizer, BotDir(path).model)
        BotDir(path).write_record()
    elif what:
        shutil.copytree(what, path)
    else:
        training = TrainingSettings(steps=50)
        posts = write_posts(path.parent.with_suffix(".txt"), 1_000)
        create(posts, bots_dir=path.parent, settings=BotSettings(base=tiny, training=training), name=path.name)


def write_posts(path: Path, count: int) -> Path:
    rng = random.Random(0)
    posts = (
        f"{rng.choice(THINGS)} {rng.choice(VERBS)} {rng.choice(THINGS)}, {rng.randrange(10**6)} km"
        for _ in range(count)
    )
    path.write_text("\n".join(posts) + "\n", encoding="utf-8")
    return path


def tiny_base(folder: Path) -> Path:
    """A random GPT-2 of two layers, with a token for each byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokens = Tokenizer(models.BPE(vocab={**letters, END: len(letters)}, merges=[]))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token=END, eos_token=END, unk_token=END)
    tokenizer.save_pretrained(folder)
    end = len(letters)
    config = GPT2Config(
        vocab_size=end + 1, n_positions=256, n_embd=48, n_layer=2, n_head=2, bos_token_id=end, eos_token_id=end
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@contextlib.contextmanager
def serving(bots: Path, base: str) -> Iterator[str]:
    """The address of a server of these bots, that runs meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bots-dir", str(bots), "--base", base, "--no-browser"]
    environment = {**os.environ, "HUGGINGTWEETS_TRACK": "none"}
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", *options], env=environment, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, server)
            yield url
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            server.terminate()
            server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}{API}/me").is_success:
                return
        time.sleep(EVERY_S)
    raise RuntimeError("The server does not answer.")


# --- what is measured -----------------------------------------------------------------------------------------------


async def measure(url: str, clients: int, posts: Path) -> dict[str, Any]:
    limits = httpx2.Limits(max_connections=clients + 10)
    async with httpx2.AsyncClient(base_url=url, timeout=600, limits=limits) as client:
        alone = [await visit(client, 0) for _ in range(3)][-1]  # the first makes the fast copy, where there is none
        async with looking(client) as quiet:
            await asyncio.sleep(QUIET_S)
        job = await begin_job(client, posts)
        async with looking(client) as busy:
            begin = time.perf_counter()
            visits = await asyncio.gather(*(visit(client, number) for number in range(clients)))
            seconds = time.perf_counter() - begin
        state = (await client.get(f"{API}/jobs/{job}")).json()["state"]
        await client.post(f"{API}/jobs/{job}/cancel")
    return {
        "alone": asdict(alone),
        "crowd": {
            "first piece, s": spread([one.first_s for one in visits if one.first_s is not None]),
            "done, s": spread([one.done_s for one in visits if one.done_s is not None]),
            "predictions a second": sum(one.predictions for one in visits) / seconds,
            "most ahead": max(one.most_ahead for one in visits),
            "errors": [one.error for one in visits if one.error],
            "job at the end": state,
        },
        "pages, alone": told(quiet),
        "pages, beside the crowd": told(busy),
    }


async def visit(client: httpx2.AsyncClient, seed: int) -> Visit:
    """Ten predictions as events; what goes wrong is kept, not raised."""
    begin, first_s, most_ahead = time.perf_counter(), None, 0
    asked = {"start": "My dream is", "n": POSTS, "seed": seed, "max_length": TOKENS}
    try:
        async for name, value in events(client, f"{API}/bots/{BOT}/predictions?stream=1", asked):
            if name == "queued":
                most_ahead = max(most_ahead, value["ahead"])
            elif name == "piece":
                first_s = first_s or time.perf_counter() - begin
            elif name == "done":
                return Visit(first_s, time.perf_counter() - begin, len(value["predictions"]), most_ahead)
            elif name == "error":
                return Visit(error=value["error"]["what"])
    except httpx2.HTTPError as error:
        return Visit(error=repr(error))
    return Visit(error="The stream ended before its end.")


async def events(client: httpx2.AsyncClient, path: str, asked: dict[str, Any]) -> AsyncIterator[tuple[str, Any]]:
    async with client.stream("POST", path, json=asked) as answer:
        answer.raise_for_status()
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


@contextlib.asynccontextmanager
async def looking(client: httpx2.AsyncClient) -> AsyncIterator[Pages]:
    """Asks for pages until the block ends."""
    pages = Pages()
    task = asyncio.create_task(look(client, pages))
    try:
        yield pages
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def look(client: httpx2.AsyncClient, pages: Pages) -> None:
    while True:
        for path in PAGES:
            begin = time.perf_counter()
            try:
                answer = await client.get(path)
                answer.raise_for_status()
                pages.seconds.append(time.perf_counter() - begin)
            except httpx2.HTTPError as error:
                pages.errors.append(f"{path}: {error!r}")
            await asyncio.sleep(EVERY_S)


async def begin_job(client: httpx2.AsyncClient, posts: Path) -> str:
    """A bot that is in training when this returns."""
    upload = await client.post(f"{API}/uploads", files={"file": (posts.name, posts.read_bytes())})
    asked = {"uploads": [upload.raise_for_status().json()["upload"]], "name": JOB, "minutes": 30, "straight": True}
    job = (await client.post(f"{API}/jobs", json=asked)).raise_for_status().json()
    deadline = time.monotonic() + START_S
    while not (job["state"] == "training" and job["progress"].get("step")):
        if job["error"] or time.monotonic() > deadline:
            raise RuntimeError(f"The job does not train: {job['state']} {job['error']}")
        await asyncio.sleep(EVERY_S)
        job = (await client.get(f"{API}/jobs/{job['id']}")).json()
    return str(job["id"])


def spread(values: list[float]) -> dict[str, float]:
    """
    >>> spread([3.0, 1.0, 2.0])
    {'p50': 2.0, 'p95': 3.0, 'most': 3.0}
    """
    if not values:
        return {}
    ranked = sorted(values)
    p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
    return {"p50": statistics.median(ranked), "p95": p95, "most": ranked[-1]}


def told(pages: Pages) -> dict[str, Any]:
    return {"answers": len(pages.seconds), "s": spread(pages.seconds), "errors": pages.errors}


def show(record: dict[str, Any]) -> None:
    crowd = record["crowd"]
    print(f"alone: first piece {record['alone']['first_s']:.2f} s, done {record['alone']['done_s']:.2f} s")
    print(f"{record['clients']} at once, beside a job that is {crowd['job at the end']} at the end:")
    for name in ("first piece, s", "done, s"):
        print(f"  {name:<16} {'  '.join(f'{which} {value:.2f}' for which, value in crowd[name].items())}")
    print(f"  {crowd['predictions a second']:.1f} predictions a second, {len(crowd['errors'])} errors")
    for name in ("pages, alone", "pages, beside the crowd"):
        ms = "  ".join(f"{which} {1000 * value:.0f}" for which, value in record[name]["s"].items())
        print(f"{name}, ms: {ms}; {record[name]['answers']} answers, {len(record[name]['errors'])} errors")


if __name__ == "__main__":
    main()
