"""Compares training recipes on the same posts, split, base and machine: held-out bits per byte against trained tokens.

    python benchmarks/recipes.py examples/nasa.csv --recipes default original --posts 1500

Prints a table and appends one JSON line a measurement to benchmarks/results/recipes.jsonl. Time is given in CPU seconds
and only compares within one run; tokens compare across machines.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path

from huggingtweets.bases import find_base, load_base
from huggingtweets.batches import encode, max_tokens_of
from huggingtweets.bot import Bot, save_bot
from huggingtweets.config import DatasetSettings, ImportSettings, TrainingSettings
from huggingtweets.dataset import build_dataset, epoch
from huggingtweets.devices import choose_device
from huggingtweets.evaluation import find_copies, score_held_out
from huggingtweets.sources import recognise
from huggingtweets.training import train

RECIPES = {
    "default": TrainingSettings(epochs=1),
    "half an epoch": TrainingSettings(epochs=0.5),
    "2 epochs": TrainingSettings(epochs=2),
    "3e-4": TrainingSettings(epochs=1, learning_rate=3e-4),
    "3e-4, half an epoch": TrainingSettings(epochs=0.5, learning_rate=3e-4),
    "original": TrainingSettings.original(),
}
RESULTS = Path(__file__).parent / "results" / "recipes.jsonl"
MEASURED_AT = (0.25, 0.5, 0.75, 1.0)  # of the steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["default", "original"])
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--posts", type=int, default=1500, help="training posts; the held-out ones are a tenth of it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--copies", type=int, default=0, help="unprompted predictions to check for copying")
    arguments = parser.parse_args()
    for name in arguments.recipes:
        for seed in arguments.seeds:
            measure(name, dataclasses.replace(RECIPES[name], seed=seed), arguments)


def measure(name: str, settings: TrainingSettings, arguments: argparse.Namespace) -> None:
    device = choose_device(None, arguments.threads)
    posts = [post for page in recognise(arguments.file, ImportSettings()).pages() for post in page.posts]
    data = build_dataset(posts, DatasetSettings(holdout_max_posts=max(1, arguments.posts // 10)))
    texts = data.train[: arguments.posts]
    held_out = [text.text for text in data.holdout]
    model, tokenizer = load_base(find_base(arguments.base))
    limit = min(settings.max_post_tokens, max_tokens_of(model) or settings.max_post_tokens)
    log: list[Mapping[str, float]] = []
    begin = time.process_time()
    spent_scoring = 0.0

    def report(step: int, values: Mapping[str, float]) -> None:
        nonlocal spent_scoring
        log.append(values)
        marks = [round(share * values["total_steps"]) for share in MEASURED_AT]
        if step not in marks:
            return
        cpu_s = time.process_time() - begin - spent_scoring
        scores = score_held_out(model, tokenizer, held_out, device)
        model.train()
        spent_scoring = time.process_time() - begin - cpu_s
        write(
            {
                "recipe": name,
                "seed": settings.seed,
                "file": Path(arguments.file).name,
                "base": arguments.base,
                "posts": len(texts),
                "held_out": len(held_out),
                "threads": device.threads,
                "step": step,
                "tokens": values["tokens"],
                "cpu_s": round(cpu_s),
                "train_loss": round(sum(v["loss"] for v in log[-20:]) / len(log[-20:]), 4),
                "bits_per_byte": round(scores.bits_per_byte, 4),
                "nats_per_token": round(scores.nats_per_token, 4),
                "nats_per_end": round(scores.nats_per_end, 4),
            }
        )

    train(
        model,
        lambda number: encode(epoch(texts, number, settings.seed), tokenizer, limit),
        settings,
        device,
        on_step=report,
    )
    if arguments.copies:
        folder = RESULTS.parent / "model"
        save_bot(model, tokenizer, folder / "model")
        predictions = Bot(folder).generate(n=arguments.copies, seed=settings.seed, threads=device.threads)
        copied = sum(source is not None for source in find_copies(predictions, [text.text for text in texts]))
        write({"recipe": name, "seed": settings.seed, "copied": copied, "predictions": len(predictions)})


def write(record: dict[str, object]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as lines:
        lines.write(json.dumps(record) + "\n")
    print("  ".join(f"{name} {value}" for name, value in record.items()), flush=True)


if __name__ == "__main__":
    main()
