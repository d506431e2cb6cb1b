"""How fast and how true the fast writer is, beside transformers' pipeline on the same folder.

    python benchmarks/generation.py [BOT_FOLDER] [--threads 2]

Without a bot, the embedded base is saved as one. Prints a table, and writes it to benchmarks/results/generation.json:

- ten predictions, warm: seconds by the pipeline, by ours, and by ours in float32, for the same number of tokens,
  alternating; the median.
- ten predictions, cold: a new process each, from its start to its end.
- copies beside float32 transformers on held-out posts: in float32, in int8, and in int8 without outliers, which is
  ours: divergence, largest difference of a probability, same likeliest token, and bits per byte.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import ctranslate2
import numpy as np
import torch
from transformers import pipeline

from huggingtweets.bases import find_base, load_base, load_folder, quiet
from huggingtweets.batches import encode
from huggingtweets.bot import save_bot
from huggingtweets.botdir import read_jsonl, write_json
from huggingtweets.config import DEFAULT_PROMPT, ImportSettings, SamplingSettings
from huggingtweets.dataset import build_dataset
from huggingtweets.sources import recognise
from huggingtweets.writers import fast
from huggingtweets.writers.base import Order
from huggingtweets.writers.outliers import spread_outliers

HERE = Path(__file__).parent
PREDICTIONS = 10
NEW_TOKENS = 40  # what a post has
POSTS = 60
PIPELINE = """
import sys, torch
from transformers import pipeline
torch.set_num_threads(int(sys.argv[2]))
generator = pipeline("text-generation", model=sys.argv[1])
for output in generator(sys.argv[3], num_return_sequences=int(sys.argv[4]), max_length=int(sys.argv[5])):
    print(output["generated_text"])
"""


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def warm(model: Path, threads: int, repeats: int) -> dict[str, float]:
    """All draw exactly as many tokens."""
    torch.set_num_threads(threads)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        generator = pipeline("text-generation", model=str(model))
        writer = writer_in(model, Path(folder), fast.QUANTIZATION)
        prompt = [writer.start, *writer.encode(DEFAULT_PROMPT)]
        length = len(prompt) + NEW_TOKENS
        order = Order(prompt, PREDICTIONS, SamplingSettings(length, length), threads=threads)
        lengths = {"min_length": length - writer.has_prefix, "max_length": length - writer.has_prefix}

        def ours(quantization: str) -> None:
            with mock.patch.object(fast, "QUANTIZATION", quantization):
                list(writer_in(model, Path(folder), quantization).draw(order))

        works: dict[str, Callable[[], object]] = {
            "pipeline": lambda: generator(DEFAULT_PROMPT, num_return_sequences=PREDICTIONS, **lengths),
            "ours": lambda: ours(fast.QUANTIZATION),
            "ours in float32": lambda: ours("float32"),
        }
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(1 + repeats):
            for name, work in works.items():
                taken[name].append(seconds(work))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}  # the first one warms up


def writer_in(model: Path, folder: Path, quantization: str) -> fast.FastWriter:
    writer = fast.fast_writer(model, folder / quantization, model.name, print)
    if writer is None:
        raise SystemExit(f"CTranslate2 can't draw from {model}.")
    return writer


def cold(model: Path, threads: int, repeats: int) -> dict[str, float]:
    """Commands as a person would give them, but that no post is longer than most posts are."""
    numbers = [str(number) for number in (PREDICTIONS, NEW_TOKENS)]
    commands = {
        "pipeline": [sys.executable, "-c", PIPELINE, str(model), str(threads), DEFAULT_PROMPT, *numbers],
        "ours": [
            *(str(Path(sys.executable).with_name("huggingtweets")), "generate", str(model), DEFAULT_PROMPT),
            *("-n", numbers[0], "--max-length", numbers[1], "--threads", str(threads)),
        ],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            taken[name].append(seconds(functools.partial(subprocess.run, command, check=True, capture_output=True)))
    return {name: statistics.median(times) for name, times in taken.items()}


def truth(folder: Path, posts: list[str]) -> dict[str, dict[str, float]]:
    """Every copy beside float32 transformers, on the same tokens."""
    model, tokenizer = load_folder(folder)
    model.eval()
    texts = encode(posts, tokenizer, 256)
    size = sum(len(post.encode()) for post in posts)
    with torch.no_grad():
        expected = [model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1) for ids in texts]
    tokens = sum(map(len, expected))
    scores = {"transformers float32": {"bits_per_byte": _bits(expected, texts) / size}}
    for name, quantization, without_outliers in (
        ("CTranslate2 float32", "float32", False),
        ("CTranslate2 int8", "int8", False),
        ("int8 without outliers", "int8", True),
    ):
        found = list(_log_probabilities(folder, quantization, without_outliers, texts))
        pairs = [(one, other[:, : one.shape[1]]) for one, other in zip(expected, found, strict=True)]
        scores[name] = {
            "bits_per_byte": _bits(found, texts) / size,
            "divergence_nats": sum(float((one.exp() * (one - other)).sum()) for one, other in pairs) / tokens,
            "largest_difference": max(float((one.exp() - other.exp()).abs().max()) for one, other in pairs),
            "same_likeliest": sum(int((one.argmax(-1) == other.argmax(-1)).sum()) for one, other in pairs) / tokens,
        }
    return scores


def _log_probabilities(
    folder: Path, quantization: str, without_outliers: bool, texts: list[list[int]]
) -> Iterator[torch.Tensor]:
    """(T, V) of every text, by a copy."""
    model, tokenizer = load_folder(folder)
    if without_outliers:
        spread_outliers(model, encode(fast.CALIBRATION, tokenizer, fast.CALIBRATION_TOKENS))
    with tempfile.TemporaryDirectory() as copy:
        fast.convert(model, tokenizer, folder, Path(copy), quantization)
        generator = ctranslate2.Generator(copy, compute_type=quantization)
        for ids in texts:
            yield torch.from_numpy(np.array(generator.forward_batch([ids[:-1]], return_log_probs=True)))[0]


def _bits(log_probs: list[torch.Tensor], texts: list[list[int]]) -> float:
    """Of all tokens behind the first."""
    rows = zip(log_probs, texts, strict=True)
    nats = sum(-float(row.gather(1, torch.tensor(ids[1:])[:, None]).sum()) for row, ids in rows)
    return nats / math.log(2)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bot", type=Path, nargs="?", help="a bot's folder; the embedded base by default")
    arguments.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments.add_argument("--repeats", type=int, default=2)
    arguments.add_argument("--posts", type=int, default=POSTS, help="how many posts the probabilities are compared on")
    chosen = arguments.parse_args()
    model = HERE / "results" / "smollm2" / "model" if chosen.bot is None else chosen.bot / "model"
    if chosen.bot is None and not model.exists():
        save_bot(*load_base(find_base("smollm2", print)), model)
    report: dict[str, Any] = {
        "folder": str(model),
        "threads": chosen.threads,
        "warm_s": warm(model, chosen.threads, chosen.repeats),
        "cold_s": cold(model, chosen.threads, chosen.repeats),
        "probabilities": truth(model, _posts(chosen.bot, chosen.posts)),
    }
    _print(report)
    write_json(HERE / "results" / "generation.json", report)


def _posts(bot: Path | None, count: int) -> list[str]:
    """A bot's own held-out posts; for the base, those that NASA's bot would have."""
    if bot is not None:
        return [record["text"] for record in read_jsonl(bot / "dataset" / "holdout.jsonl")][:count]
    pages = recognise(str(HERE.parent / "examples" / "nasa.csv"), ImportSettings()).pages()
    return [text.text for text in build_dataset(post for page in pages for post in page.posts).holdout][:count]


def _print(report: dict[str, Any]) -> None:
    for name, what in (("warm_s", f"{PREDICTIONS} × {NEW_TOKENS} tokens, warm"), ("cold_s", "a command, cold")):
        slowest = report[name]["pipeline"]
        for way, taken in report[name].items():
            print(f"{what:28} {way:16} {taken:6.2f} s   {slowest / taken:.1f} times as fast as the pipeline")
    for name, scores in report["probabilities"].items():
        print(f"{name:28} " + "   ".join(f"{score.replace('_', ' ')} {value:.5f}" for score, value in scores.items()))


if __name__ == "__main__":
    main()
