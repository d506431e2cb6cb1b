"""What one GPU makes of the reference recipe and of ours: one call from a fresh checkout.

    python benchmarks/gpu.py

Nothing but torch, transformers and accelerate is needed, older versions than this project's will do, and no weights:
GPT-2 124M begins with random ones, and the posts are random tokens of NASA's lengths, 1,500 of them, four epochs, for
every recipe. The reference is timed as `Trainer` comes, in float32, and with its switch to bfloat16 on.

Each training has a process of its own, with the model on the GPU and the GPU awake; whatever a recipe compiles or
captures is in its time. Bots an hour are trainings one after another, without reading posts and saving bots.
`--device cpu --tiny` goes the same way with a tiny model where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import SupportsInt

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))  # nothing is installed there

import torch
from transformers import GPT2Config, GPT2LMHeadModel, set_seed

from huggingtweets.config import TrainingSettings
from huggingtweets.devices import choose_device
from measuring import flops_per_token, peak_flops, wait_for
from recipes import REFERENCE_EPOCHS, Lesson, Train, ours, reference

POSTS = 1500
POST_TOKENS = (14, 38)  # without separators; NASA's are 26 on average, 95 of 100 of them 17 to 38
PRODUCT = (8192, 8192, 8192)  # large enough to fill a GPU
RECIPES: dict[str, Callable[[Lesson], Train]] = {
    "reference": reference,
    "reference, bfloat16": partial(reference, bf16=True),
    "ours": ours,
}
TINY = {
    "vocab_size": 300,
    "bos_token_id": 299,
    "eos_token_id": 299,
    "n_positions": 64,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
}


def main(options: list[str] | None = None) -> list[dict[str, object]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and 40 posts")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    arguments = parser.parse_args(options)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no CUDA device here; --device cpu --tiny shows the shape of the answer.")
    records = [in_own_process(name, arguments.device, arguments.tiny) for name in arguments.recipes]
    for record in records:
        record["times faster than the reference"] = round(records[0]["seconds"] / record["seconds"], 2)  # type: ignore[operator]
        print(json.dumps(record), flush=True)
    return records


def in_own_process(recipe: str, device: str, tiny: bool) -> dict[str, object]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, recipe, device, tiny).result()


def measure(recipe: str, device_name: str, tiny: bool) -> dict[str, object]:
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
        settings = TrainingSettings(epochs=REFERENCE_EPOCHS)
        lesson = Lesson(
            model,
            None,
            lambda number: random.Random(number).sample(posts, len(posts)),
            settings,
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
