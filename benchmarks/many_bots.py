"""One server and a thousand bots: what a bot costs that is not being asked, and how soon any of them answers.

    python benchmarks/many_bots.py [BOT_FOLDER] [--bots 1000] [--asked 200]

The bots are hard links to one: a tiny one of invented posts, or the one named. So their weights are read from the
system's cache of files, as those of bots asked again are; a disk's own time is not measured. Then one person after
another has five posts written by a bot that nobody has asked before, and pages are asked for: the first page, the
gallery, a page in its middle, a bot's own. Of each: how long, and the memory of the server, which must not grow with
the bots it has heard of. Prints a table and writes benchmarks/results/many_bots.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil

from huggingtweets.botdir import read_json, write_json
from measuring import machine
from web import API, put_bot, serving, spread, tiny_base

RESULTS = Path(__file__).parent / "results" / "many_bots.json"
POSTS = 5
ROUNDS = 20
PAGES = {"first page": "/", "gallery": "/bots", "gallery, middle": "/bots?page=20", "list": f"{API}/bots?limit=100"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bot", nargs="?", default="", help="a finished bot's folder")
    parser.add_argument("--bots", type=int, default=1_000)
    parser.add_argument("--asked", type=int, default=200, help="different ones")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path(options.bot).parent if options.bot else None) as temporary:
        folder = Path(temporary)
        tiny = str(tiny_base(folder / "tiny"))
        if not options.bot:
            put_bot("", folder / "one" / "bot", tiny)
        record = {}
        for count in (1, options.bots):
            bots = folder / f"bots{count}"
            for number in range(count):
                source = options.bot or folder / "one" / "bot"
                shutil.copytree(source, bots / f"bot{number:05}", copy_function=os.link)
            with serving(bots, tiny) as url:
                record[str(count)] = measure(url, min(count, options.asked))
    show(record)
    name = Path(options.bot).name or "a tiny bot"
    RESULTS.parent.mkdir(exist_ok=True)
    found = read_json(RESULTS) if RESULTS.exists() else {}
    write_json(RESULTS, {**found, name: {**record, "machine": machine()}})


def measure(url: str, asked: int) -> dict[str, Any]:
    server = server_at(url)
    with httpx2.Client(base_url=url, timeout=600) as client:
        draw(client, 0)  # what a first drawing loads, and the fast copy, where there is none
        before = server.memory_info().rss
        drawn, most = [], before
        for number in range(asked):
            drawn.append(draw(client, number))
            most = max(most, server.memory_info().rss)
        pages = {name: spread([ask(client, path) for _ in range(ROUNDS)]) for name, path in PAGES.items()}
        pages["a bot's own"] = spread([ask(client, "/bot00000") for _ in range(ROUNDS)])
    return {
        "drawing, s": spread(drawn),
        "pages, s": pages,
        "memory, MB": {"before": before / 1e6, "most": most / 1e6, "after": server.memory_info().rss / 1e6},
        "asked": asked,
    }


def server_at(url: str) -> psutil.Process:
    port = int(url.rpartition(":")[2])
    return next(
        process
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    )


def draw(client: httpx2.Client, number: int) -> float:
    begin = time.perf_counter()
    asked = {"start": "My dream is", "n": POSTS, "seed": number, "max_length": 40}
    client.post(f"{API}/bots/bot{number:05}/predictions", json=asked).raise_for_status()
    return time.perf_counter() - begin


def ask(client: httpx2.Client, path: str) -> float:
    begin = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - begin


def show(record: dict[str, Any]) -> None:
    for count, found in record.items():
        memory = found["memory, MB"]
        drawing = found["drawing, s"]
        print(f"{count} bots, {found['asked']} of them asked one after another:")
        print(f"  {POSTS} posts: median {drawing['p50']:.2f} s, 95 % {drawing['p95']:.2f} s")
        print(f"  memory: {memory['before']:.0f} MB before, {memory['most']:.0f} at most, {memory['after']:.0f} after")
        for name, seconds in found["pages, s"].items():
            print(f"  {name}: median {1000 * seconds['p50']:.0f} ms, 95 % {1000 * seconds['p95']:.0f} ms")


if __name__ == "__main__":
    main()
