"""Bots an hour: a fleet against `create` in a shell loop, and one process against two. Same bots, same machine.

    python benchmarks/fleet.py [--base smollm2] [--bots 6] [--posts 400] [--epochs 1]

The accounts are parts of the NASA example. Every bot is made whole: posts, training by so many epochs (so that all do
the same work), scores, card, picture. In this order, each in a folder of its own:

- *loop*: `huggingtweets create` for one after another, as a shell would, with all cores each.
- *fleet, 1*, *fleet, 2*, ...: one command, with so many trainings at a time, one core each; `--address` of a cluster
  that is begun for it. Its own start and end count.

At the end the weights are compared, of the fleets with one another: they must be the same bytes. The loop's may differ
in the last bits where it has several threads. Prints a table and writes benchmarks/results/fleet.json.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from huggingtweets.botdir import BotDir, file_digest, read_json, write_json
from measuring import machine
from web import tiny_base

RESULTS = Path(__file__).parent / "results" / "fleet.json"
EXAMPLE = Path(__file__).parent.parent / "examples" / "nasa.csv"
COMMAND = [sys.executable, "-c", "from huggingtweets.cli import main; main()"]
OBJECT_STORE_BYTES = 80_000_000
TINY = "tiny"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default=TINY, help="tiny, a random one: all else is measured")
    parser.add_argument("--bots", type=int, default=6)
    parser.add_argument("--posts", type=int, default=400, help="of each account")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = str(tiny_base(folder / "base")) if options.base == TINY else options.base
        files = write_accounts(folder, options.bots, options.posts)
        how = ["--base", base, "--epochs", str(options.epochs), "--track", "none"]
        warm_up(folder, files[0], how)
        seconds = {"loop": loop(folder / "loop", files, how)}
        for workers in options.workers:
            seconds[f"fleet, {workers}"] = fleet(folder / f"fleet{workers}", files, how, workers)
        same = {name: weights_in(folder / name) for name in ("loop", *(f"fleet{number}" for number in options.workers))}
    rates = {name: 3600 * options.bots / value for name, value in seconds.items()}
    record = {
        "bots": options.bots,
        "posts": options.posts,
        "epochs": options.epochs,
        "seconds": seconds,
        "bots_an_hour": rates,
        "fleets_equal": len({tuple(same[f"fleet{number}"]) for number in options.workers}) == 1,
        "equal_to_the_loop": same["loop"] == same[f"fleet{options.workers[0]}"],
        "machine": machine(),
    }
    show(record)
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, {**(read_json(RESULTS) if RESULTS.exists() else {}), options.base: record})


def write_accounts(folder: Path, bots: int, posts: int) -> list[Path]:
    """Parts of the example, one an account."""
    with EXAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = []
    for number in range(bots):
        part = [rows[(number * posts + place) % len(rows)] for place in range(posts)]
        files.append(folder / f"nasa{number}.csv")
        with files[-1].open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(part)
    return files


def warm_up(folder: Path, file: Path, how: Sequence[str]) -> None:
    """The base is converted, and everything that is read was read once."""
    subprocess.run(
        [*COMMAND, "create", str(file), *how, "--epochs", "0.01", "--name", "warm", "-q"], cwd=folder, check=True
    )


def loop(folder: Path, files: Sequence[Path], how: Sequence[str]) -> float:
    folder.mkdir()
    begin = time.monotonic()
    for file in files:
        subprocess.run(
            [*COMMAND, "create", str(file), *how, "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
    return time.monotonic() - begin


def fleet(folder: Path, files: Sequence[Path], how: Sequence[str], workers: int) -> float:
    folder.mkdir()
    (folder / "accounts.txt").write_text("".join(f"'{file}'\n" for file in files))
    with cluster(workers) as address:
        begin = time.monotonic()
        words = ["fleet", "accounts.txt", *how, "--address", address, "--quiet"]
        subprocess.run([*COMMAND, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begin


@contextlib.contextmanager
def cluster(cores: int) -> Iterator[str]:
    """One node, of which a fleet thinks that it has so many cores."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    found = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield found.address
    finally:
        found.shutdown()


def weights_in(folder: Path) -> list[str]:
    bots = sorted(path for path in (folder / "bots").iterdir() if (path / "bot.json").exists())
    return [file_digest(BotDir(path).model / "model.safetensors") for path in bots]


def show(record: dict[str, Any]) -> None:
    table = Table("", "seconds", "bots an hour", "against the loop")
    for name, seconds in record["seconds"].items():
        rate = record["bots_an_hour"][name]
        table.add_row(name, f"{seconds:.0f}", f"{rate:.0f}", f"{rate / record['bots_an_hour']['loop']:.2f}")
    Console().print(table)
    print(f"The fleets' weights are {'the same' if record['fleets_equal'] else 'NOT the same'} bytes.")
    print(f"The loop's are {'the same' if record['equal_to_the_loop'] else 'others'} (it has several threads).")


if __name__ == "__main__":
    main()
