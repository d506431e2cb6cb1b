"""What one GPU makes of the reference recipe and of ours: one call from a fresh checkout.

    python benchmarks/gpu.py

Nothing but torch, transformers and accelerate is needed, older versions than this project's will do, and no weights:
GPT-2 124M begins with random ones, and the posts are random tokens of NASA's lengths, 1,500 of them.

- `reference`: four epochs as `Trainer` comes, in float32; and with its switch to bfloat16 on.
- `the reference's work`: the same four epochs in steps as large, by our loop (`--recipe original`).
- `ours, four epochs`: in steps of our size, of which there are four times as many.
- `ours`: what `create` does, one epoch.

The first line says whether a step is recorded as a CUDA graph here, and how far its losses are from a computed one's.

Each training has a process of its own, with the model on the GPU and the GPU awake; whatever a recipe compiles or
captures is in its time. Bots an hour are trainings one after another, without reading posts and saving bots.
`--device cpu --tiny` goes the same way with a tiny model where there is no GPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, SupportsInt

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))  # nothing is installed there

import torch
from transformers import GPT2Config, GPT2LMHeadModel, set_seed

from huggingtweets.batches import group, pack
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import choose_device
from huggingtweets.steps import RecordedStep, Step, step_of
from measuring import flops_per_token, peak_flops, wait_for
from recipes import REFERENCE_EPOCHS, Lesson, Train, ours, reference

POSTS = 1500
POST_TOKENS = (14, 38)  # without separators; NASA's are 26 on average, 95 of 100 of them 17 to 38
PRODUCT = (8192, 8192, 8192)  # large enough to fill a GPU
CHECKED_STEPS = 20
TINY = {
    "vocab_size": 300,
    "bos_token_id": 299,
    "eos_token_id": 299,
    "n_positions": 64,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
}


def by_our_loop(lesson: Lesson, settings: TrainingSettings) -> Train:
    return ours(replace(lesson, settings=settings))


RECIPES: dict[str, Callable[[Lesson], Train]] = {
    "reference": reference,
    "reference, bfloat16": partial(reference, bf16=True),
    "the reference's work": partial(by_our_loop, settings=TrainingSettings.original()),
    "ours, four epochs": partial(by_our_loop, settings=TrainingSettings(epochs=REFERENCE_EPOCHS)),
    "ours": partial(by_our_loop, settings=TrainingSettings(epochs=TrainingSettings.recipe_epochs)),
}


def main(options: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and 40 posts")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args(options)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device here; --device cpu --tiny shows the shape of the answer.")
    print(json.dumps(in_own_process(recorded, arguments.device, arguments.tiny)), flush=True)
    records = [in_own_process(measure, name, arguments.device, arguments.tiny) for name in arguments.recipes]
    for record in records:
        record["times faster than the reference"] = round(records[0]["seconds"] / record["seconds"], 2)
        print(json.dumps(record), flush=True)
    return records


def in_own_process(do: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(do, *arguments).result()


def recorded(device_name: str, tiny: bool) -> dict[str, Any]:
    """Whether steps are played back, and by how much their losses differ from computed ones', dropout aside."""
    device = choose_device(device_name)
    settings = TrainingSettings(tokens_per_step=64 if tiny else TrainingSettings.tokens_per_step)
    set_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**TINY) if tiny else GPT2Config()).to(device.name).eval()
    posts = random_posts(POSTS, model.config.vocab_size)
    batches = [pack(posts) for posts in islice(group(posts, settings.tokens_per_step), CHECKED_STEPS)]
    usual = Step(copy.deepcopy(model), settings, device)
    expected = [usual(batch, settings.learning_rate).item() for batch in batches]
    fast = step_of(model, settings, device)
    losses = [fast(batch, settings.learning_rate).item() for batch in batches]
    return {
        "steps are recorded": isinstance(fast, RecordedStep) and fast.is_recorded,
        "largest difference of a loss": max(abs(one - other) for one, other in zip(expected, losses, strict=True)),
    }


def measure(recipe: str, device_name: str, tiny: bool) -> dict[str, Any]:
    """Trains once, on random posts."""
    device = choose_device(device_name)
    set_seed(0)
    config = GPT2Config(**TINY) if tiny else GPT2Config()
    model = GPT2LMHeadModel(config).to(device.name)
    posts = random_posts(40 if tiny else POSTS, config.vocab_size)
    peaks = peak_flops(device, (64, 64, 64) if tiny else PRODUCT)  # wakes the GPU, too
    tokens: SupportsInt = 0

    def count(so_far: SupportsInt) -> None:
        nonlocal tokens
        tokens = so_far

    with TemporaryDirectory() as folder:
        lesson = Lesson(
            model,
            None,
            lambda number: random.Random(number).sample(posts, len(posts)),
            TrainingSettings(),
            device,
            Path(folder),
            count,
        )
        train = RECIPES[recipe](lesson)
        wait_for(device)
        begun = time.perf_counter()
        train()
        wait_for(device)
        seconds = time.perf_counter() - begun
    flops = int(tokens) * flops_per_token(model) / seconds
    return {
        "recipe": recipe,
        "seconds": round(seconds, 3),
        "tokens": int(tokens),
        "tokens a second": round(int(tokens) / seconds),
        **{f"share of the {name} peak": round(flops / peak, 4) for name, peak in peaks.items()},
        "peak memory, MB": round(torch.cuda.max_memory_allocated() / 1e6) if device.name == "cuda" else None,
        "bots an hour": round(3600 / seconds),
        "device": torch.cuda.get_device_name() if device.name == "cuda" else device.name,
        "torch": torch.__version__,
    }


def random_posts(count: int, vocabulary: int) -> list[list[int]]:
    """`[separator] tokens [separator]`, each of another length; the last token of the vocabulary separates."""
    rng = random.Random(0)
    separator = vocabulary - 1
    lengths = (rng.randint(*POST_TOKENS) for _ in range(count))
    return [[separator, *(rng.randrange(separator) for _ in range(length)), separator] for length in lengths]


if __name__ == "__main__":
    main()
