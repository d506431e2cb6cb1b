"""What a setting of the recipe is worth: the same training with it and without.

    python benchmarks/variations.py examples/nasa.csv more.csv --seeds 0 1 --steps 42 --vary beta1=0.9 schedule=cosine
    python benchmarks/variations.py --vary beta1=0.9,learning_rate=2e-4

The first row is the recipe as it is; every further one changes what its `--vary` says, several at once with commas. All
train as many steps on the same posts in the same order. A cell is the held-out bits per byte at the end; the last
column is how many percent more that is than in the first row, on average. Single runs differ by a percent or two by
chance, so believe a difference that every column shows.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import itertools
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from huggingtweets.bases import find_base, load_base
from huggingtweets.batches import encode, max_tokens_of
from huggingtweets.config import TrainingSettings
from huggingtweets.corpus import epoch
from huggingtweets.devices import choose_device
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.training import train
from training import Training, bits_per_byte, posts_of

NASA = Path(__file__).parent.parent / "examples" / "nasa.csv"
QUARTER = 42  # steps: of an epoch of 1,500 posts


def main(options: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=[str(NASA)])
    parser.add_argument("--vary", nargs="+", type=changes, required=True, metavar="SETTING=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=QUARTER)
    parser.add_argument("--posts", type=int, default=1500, help="to train on; a tenth more is held out")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--base", default="smollm2")
    arguments = parser.parse_args(options)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    runs = list(itertools.product(arguments.files, arguments.seeds))
    print("| | " + " | ".join(f"{Path(file).stem}, seed {seed}" for file, seed in runs) + " | more bits, % |")
    print("|---" * (len(runs) + 2) + "|")
    as_it_is: list[float] = []
    for varied in ({}, *arguments.vary):
        scores = [trained(file, seed, varied, arguments) for file, seed in runs]
        as_it_is = as_it_is or scores
        more = statistics.fmean(score / before - 1 for score, before in zip(scores, as_it_is, strict=True))
        name = ", ".join(f"{setting} {value}" for setting, value in varied.items()) or "as it is"
        print(f"| {name} | " + " | ".join(f"{score:.4f}" for score in scores) + f" | {100 * more:+.1f} |", flush=True)


def changes(text: str) -> dict[str, Any]:
    """
    >>> changes("beta1=0.9,schedule=cosine")
    {'beta1': 0.9, 'schedule': 'cosine'}
    """
    known = {field.name for field in dataclasses.fields(TrainingSettings)}
    varied: dict[str, Any] = {}
    for part in text.split(","):
        setting, is_given, value = part.partition("=")
        if not is_given or setting not in known:
            raise argparse.ArgumentTypeError(f"{part!r} is no SETTING=VALUE; settings are {', '.join(sorted(known))}")
        varied[setting] = _value(value)
    return varied


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def trained(file: str, seed: int, varied: dict[str, Any], arguments: argparse.Namespace) -> float:
    """Held-out bits per byte after so many steps."""
    device = choose_device("cpu", arguments.threads)
    of = Training(file, "ours", seed, None, arguments.base, arguments.posts, device.threads)
    texts, held_out = posts_of(of)
    model, tokenizer = load_base(find_base(arguments.base))
    settings = dataclasses.replace(TrainingSettings(seed=seed, steps=arguments.steps), **varied)
    limit = min(settings.max_post_tokens, max_tokens_of(model) or settings.max_post_tokens)
    train(model, lambda number: encode(epoch(texts, number, seed), tokenizer, limit), settings, device)
    return bits_per_byte(model, tokenizer, held_out, device)


if __name__ == "__main__":
    try:
        main()
    except HuggingtweetsError as error:
        sys.exit(str(error))
