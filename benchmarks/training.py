"""How soon each recipe is as good as the original huggingtweets was: `make bench`.

    python benchmarks/training.py examples/nasa.csv more.csv --seeds 0 1 2

Every recipe of `recipes.py` trains on the same posts, split, base, threads and machine, each in a process of its own.
The table (see `tables.py` for what its rows mean) is printed and lies in results/training.json; a file's account is
compared by itself.

A training is a line in results/training.jsonl, under a key of all that decides it: posts, settings, versions, machine
and, for ours, the code that trains. The same command again does only what is missing, so it may be stopped at any time;
a training that is stopped begins anew. All of it takes hours: the reference alone about half of one for each seed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from huggingtweets.bases import find_base, load_base
from huggingtweets.batches import encode, max_tokens_of
from huggingtweets.bot import save_bot
from huggingtweets.botdir import file_digest, key_of, make_folder, read_jsonl, write_json, write_jsonl
from huggingtweets.config import CPU_MINUTES, DatasetSettings, ImportSettings, TrainingSettings
from huggingtweets.copies import find_copies
from huggingtweets.corpus import epoch
from huggingtweets.dataset import Text, build_dataset
from huggingtweets.devices import Device, choose_device
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.evaluation import score_held_out
from huggingtweets.sources import recognise
from huggingtweets.voice import voice_in
from measuring import CPU_PRODUCT, FIRST_MARK_S, Meter, flops_per_token, machine, peak_flops
from recipes import RECIPES, Lesson
from tables import REFERENCE, Mark, Run, table

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PREDICTIONS = 32  # to look for copies in: one batch
HELD_OUT_SHARE = 10  # a held-out post for so many training posts
QUICK_POSTS = 300
MINUTES = (1.0, 2.0, CPU_MINUTES)


@dataclass(frozen=True)
class Training:
    """One training, before it is done."""

    file: str
    recipe: str
    seed: int
    minutes: float | None  # that ours plans for; None: another recipe
    base: str
    posts: int
    threads: int

    @property
    def account(self) -> str:
        return Path(self.file).stem

    @property
    def name(self) -> str:
        return self.recipe if self.minutes is None else f"{self.recipe}, {self.minutes:g} min"

    def key(self, facts: dict[str, Any], code: str) -> str:
        """What decides the numbers; `code` is what trains ours."""
        settings = {**asdict(self), "file": posts_of(self)}
        return key_of(settings, facts, code if self.recipe == "ours" else None)


def main(options: list[str] | None, run: Callable[[Training], Run]) -> None:
    arguments = _arguments(options)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, and for every recipe
    facts, code = machine(), code_that_trains()
    wanted = {training.key(facts, code): training for training in trainings(arguments)}
    records = done_or_new(wanted, facts, arguments.results / "training.jsonl", run)
    report(arguments, records)


def _arguments(options: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=[str(HERE.parent / "examples" / "nasa.csv")])
    peers = [name for name in RECIPES if name != REFERENCE]
    parser.add_argument("--recipes", nargs="+", choices=peers, default=peers, help="beside the reference")
    parser.add_argument("--seeds", type=int, nargs="+", help="0 1 2 where nothing is said")
    parser.add_argument("--posts", type=int, help="to train on, 1,500 where nothing is said; a tenth more is held out")
    parser.add_argument(
        "--minutes", type=float, nargs="+", help="that ours plans for, a column each; 1, 2 and 5 where nothing is said"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of what was measured")
    parser.add_argument("--quick", action="store_true", help="some twenty minutes: the shape of the table, no result")
    arguments = parser.parse_args(options)
    quick = arguments.quick
    arguments.seeds = arguments.seeds or ([0] if quick else [0, 1, 2])
    arguments.posts = arguments.posts or (QUICK_POSTS if quick else 1500)
    arguments.minutes = arguments.minutes or (MINUTES[:1] if quick else MINUTES)
    arguments.threads = choose_device("cpu", arguments.threads).threads
    return arguments


def trainings(arguments: argparse.Namespace) -> list[Training]:
    """Every one of the table; all recipes of a seed before the next seed, so that an early stop leaves a comparison."""
    return [
        Training(file, recipe, seed, minutes, arguments.base, arguments.posts, arguments.threads)
        for file, seed, recipe in itertools.product(arguments.files, arguments.seeds, [REFERENCE, *arguments.recipes])
        for minutes in (arguments.minutes if recipe == "ours" else [None])
    ]


def done_or_new(
    wanted: dict[str, Training],
    facts: dict[str, Any],
    path: Path,
    run: Callable[[Training], Run],
) -> list[dict[str, Any]]:
    """The record of each training, by its key; made by `run` where it is missing."""
    make_folder(path.parent)
    records = {record["key"]: record for record in read_jsonl(path)} if path.exists() else {}
    print(f"{len(wanted)} trainings, {len(wanted.keys() & records.keys())} of them done before", flush=True)
    for key, training in wanted.items():
        if key not in records:
            print(f"{training.account} · {training.name} · seed {training.seed}", flush=True)
            about = {**asdict(training), "file": Path(training.file).name}
            records[key] = {"key": key, "training": about, "machine": facts, "run": asdict(run(training))}
            write_jsonl(path, records.values())
    return [records[key] for key in wanted]


@cache
def code_that_trains() -> str:
    """A digest of `huggingtweets.training` and of all of ours that it imports."""
    listing = (
        "import sys, huggingtweets.training;"
        "print(*(m.__file__ for name, m in sorted(sys.modules.items()) if name.startswith('huggingtweets')), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return key_of([file_digest(Path(file)) for file in done.stdout.splitlines()])


def in_own_process(training: Training) -> Run:
    """What one recipe leaves behind, in memory or in torch, is not the next one's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, training).result()


def measure(training: Training, first_mark_s: float = FIRST_MARK_S, product: tuple[int, int, int] = CPU_PRODUCT) -> Run:
    """Trains once."""
    device = choose_device("cpu", training.threads)
    texts, held_out = posts_of(training)
    model, tokenizer = load_base(find_base(training.base))
    settings = TrainingSettings(seed=training.seed, minutes=training.minutes, threads=training.threads)
    limit = min(settings.max_post_tokens, max_tokens_of(model) or settings.max_post_tokens)
    peaks = peak_flops(device, product)
    meter = Meter(lambda: bits_per_byte(model, tokenizer, held_out, device), first_mark_s, say)
    with TemporaryDirectory() as folder:
        lesson = Lesson(
            model,
            tokenizer,
            lambda number: encode(epoch(texts, number, settings.seed), tokenizer, limit),
            settings,
            device,
            Path(folder),
            meter.step,
        )
        meter.run(RECIPES[training.recipe](lesson))
        save_bot(model, tokenizer, Path(folder) / "model")
        predictions = voice_in(Path(folder) / "model").generate(
            n=PREDICTIONS, seed=training.seed, device="cpu", threads=training.threads
        )
    copies = find_copies(predictions, [text.text for text in texts])
    return Run(
        recipe=training.name,
        seed=training.seed,
        marks=meter.marks,
        peak_bytes=meter.memory.peak_bytes,
        flops_per_token=flops_per_token(model),
        peak_flops=peaks,
        copied=sum(source is not None for source in copies) / PREDICTIONS,
    )


def posts_of(training: Training) -> tuple[list[Text], list[str]]:
    """To train on, and held out; the same for every recipe and seed."""
    posts = [post for page in recognise(training.file, ImportSettings()).pages() for post in page.posts]
    data = build_dataset(posts, DatasetSettings(holdout_max_posts=max(1, training.posts // HELD_OUT_SHARE)))
    return data.train[: training.posts], [text.text for text in data.holdout]


def bits_per_byte(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str], device: Device
) -> float:
    """In the middle of a training, which it leaves as it was."""
    with own_forward(model):
        scores = score_held_out(model, tokenizer, texts, device)
    model.train()
    return scores.bits_per_byte


@contextmanager
def own_forward(model: PreTrainedModel) -> Iterator[None]:
    """The model without what a trainer wraps around its `forward`, such as bfloat16: scores are of float32."""
    wrapped = vars(model).pop("forward", None)
    try:
        yield
    finally:
        if wrapped is not None:
            model.forward = wrapped


def say(mark: Mark) -> None:
    print(f"  {mark.seconds:7,.0f} s  {mark.tokens:9,} tokens  {mark.bits_per_byte:.4f} bits/byte", flush=True)


def report(arguments: argparse.Namespace, records: list[dict[str, Any]]) -> None:
    """The tables in Markdown, and the same numbers as JSON."""
    facts = records[0]["machine"]
    print("\n" + ", ".join(f"{name} {value}" for name, value in facts.items()) + f", threads {arguments.threads}")
    if arguments.quick:
        print("Quick: this shows the shape of the table, and is no result.")
    tables = {}
    for file in dict.fromkeys(record["training"]["file"] for record in records):
        runs = [Run.from_json(record["run"]) for record in records if record["training"]["file"] == file]
        rows = table(runs, equal_s=60 * max(arguments.minutes))
        untrained = runs[0].marks[0].bits_per_byte
        print(f"\n{file}, {arguments.posts} posts, {arguments.base}, untrained {untrained:.3f} bits/byte\n")
        print(markdown(rows))
        tables[file] = {
            measure: {recipe: spread and asdict(spread) for recipe, (spread, _) in cells.items()}
            for measure, cells in rows.items()
        }
    made_of = [record["training"] for record in records]
    shown = {"quick": arguments.quick, "machine": facts, "trainings": made_of, "tables": tables}
    write_json(arguments.results / "training.json", shown)


def markdown(rows: dict[str, dict[str, Any]]) -> str:
    recipes = next(iter(rows.values()))
    lines = ["| | " + " | ".join(recipes) + " |", "|---" * (len(recipes) + 1) + "|"]
    for measure, cells in rows.items():
        texts = ["–" if spread is None else spread.text(digits) for spread, digits in cells.values()]
        lines.append(f"| {measure} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main(None, in_own_process)
    except HuggingtweetsError as error:
        sys.exit(str(error))
