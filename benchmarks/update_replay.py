"""How many old posts an update should go over again: held-out bits per byte of old and new posts, for several numbers.

    python benchmarks/update_replay.py examples/nasa.csv --posts 213 --held-out 40

The posts are put in order of time. The first three quarters are old, the rest is new. A bot is trained on the old ones,
then updated with the new ones and so many of the old. Held out are posts of both times, which no training saw.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import random
import time

from huggingtweets.bases import find_base, load_base
from huggingtweets.batches import encode, max_tokens_of
from huggingtweets.config import DatasetSettings, ImportSettings, TrainingSettings
from huggingtweets.corpus import epoch
from huggingtweets.dataset import NearDuplicates, Text, curate, mark
from huggingtweets.devices import choose_device
from huggingtweets.evaluation import score_held_out
from huggingtweets.sources import recognise
from huggingtweets.stages.continuing import lesson
from huggingtweets.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--posts", type=int, default=213, help="training posts, a quarter of them new")
    parser.add_argument("--held-out", type=int, default=40, help="of each time")
    parser.add_argument("--replayed", type=float, nargs="+", default=[0, 0.5, 1, 2], help="old posts for each new one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    old, new, held_old, held_new = parts(arguments.file, arguments.posts, arguments.held_out, arguments.seed)
    print(f"{len(old)} old and {len(new)} new posts, {len(held_old)} and {len(held_new)} held out")
    device = choose_device("cpu", arguments.threads)
    settings = TrainingSettings(epochs=1, seed=arguments.seed, threads=arguments.threads)
    model, tokenizer = load_base(find_base(arguments.base))
    limit = min(settings.max_post_tokens, max_tokens_of(model) or settings.max_post_tokens)

    def taught(pupil, texts: list[Text]):  # type: ignore[no-untyped-def]
        done = train(pupil, lambda n: encode(epoch(texts, n, settings.seed), tokenizer, limit), settings, device)
        return pupil, done

    def tell(name: str, pupil, steps: int, begun: float) -> None:  # type: ignore[no-untyped-def]
        scores = [score_held_out(pupil, tokenizer, held, device).bits_per_byte for held in (held_old, held_new)]
        took_s = time.perf_counter() - begun
        print(f"| {name} | {steps} | {scores[0]:.3f} | {scores[1]:.3f} | {took_s:.0f} s |", flush=True)

    print("| | steps | old, held out | new, held out | time |\n|---|---|---|---|---|")
    begun = time.perf_counter()
    model, done = taught(model, old)
    tell("before the update", model, done.step, begun)
    marks = frozenset(map(mark, old))
    for replayed in arguments.replayed:
        begun = time.perf_counter()
        pupil, done = taught(copy.deepcopy(model), list(lesson(lambda: [*old, *new], marks, arguments.seed, replayed)))
        tell(f"{replayed:g} old for each new", pupil, done.step, begun)


def parts(file: str, posts: int, held_out: int, seed: int) -> tuple[list[Text], list[Text], list[str], list[str]]:
    """Old and new texts to train on, and to hold out; none nearly repeats a held-out one."""
    read = [post for page in recognise(file, ImportSettings()).pages() for post in page.posts]
    in_order = sorted(read, key=lambda post: (post.created_at is None, post.created_at))
    settings = DatasetSettings()
    (texts,) = curate(in_order, dataclasses.replace(settings, seed=seed)).kept.values()
    border = len(texts) * 3 // 4
    rng = random.Random(seed)
    times = [rng.sample(part, len(part)) for part in (texts[:border], texts[border:])]
    held = [[text.text for text in part[:held_out]] for part in times]
    repeats = NearDuplicates([*held[0], *held[1]])
    rest = [[text for text in part[held_out:] if not repeats.has(text.text)] for part in times]
    return rest[0][: posts * 3 // 4], rest[1][: posts - posts * 3 // 4], held[0], held[1]


if __name__ == "__main__":
    main()
