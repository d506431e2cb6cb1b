"""What a low-rank adapter costs and loses beside a whole model, and ten bots writing in one batch beside one by one.

    python benchmarks/adapters.py examples/nasa.csv --steps 160

Trained are the same steps from the same base: the whole model, then an adapter at each learning rate and rank. The last
adapter's folder, ten times, then writes one post for each of ten bots: in one batch, and one after another.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path

import huggingtweets as ht
from huggingtweets.adapters import add_adapter
from huggingtweets.bases import find_base, load_base
from huggingtweets.bot import save_bot
from huggingtweets.botdir import BotDir
from huggingtweets.config import BotSettings, SamplingSettings, TrainingSettings
from huggingtweets.corpus import Corpus
from huggingtweets.dataset import read_texts
from huggingtweets.devices import choose_device
from huggingtweets.evaluation import score_held_out
from huggingtweets.training import train
from huggingtweets.voice import voice_in

BOTS = 10
SAMPLING = SamplingSettings(min_length=60, max_length=60)  # the same number of tokens for everyone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--ranks", type=int, nargs="+", default=[8])
    parser.add_argument("--rates", type=float, nargs="+", default=[4e-3])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        settings = BotSettings(base=arguments.base)
        made = ht.create(arguments.file, bots_dir=place, name="account", settings=settings, through="build")
        print("| | learns | bits/byte | CPU seconds | megabytes |\n|---|---|---|---|---|")
        learn(made.dir, arguments, Path(place) / "whole", None, TrainingSettings().learning_rate)
        for rank in arguments.ranks:
            for rate in arguments.rates:
                learn(made.dir, arguments, Path(place) / "bot0", rank, rate)
        write(Path(place), arguments.threads)


def learn(bot: BotDir, arguments: argparse.Namespace, folder: Path, rank: int | None, rate: float) -> None:
    base = find_base(arguments.base)
    model, tokenizer = load_base(base)
    if rank is not None:
        add_adapter(model, rank, seed=0)
    device = choose_device("cpu", arguments.threads)
    settings = TrainingSettings(steps=arguments.steps, learning_rate=rate)
    corpus = Corpus(read_texts(bot.train_posts), tokenizer, settings.max_post_tokens, 0, bot.path)
    begun = time.process_time()
    train(model, corpus.posts_of_epoch, settings, device)
    cost_s = time.process_time() - begun
    held_out = [text.text for text in read_texts(bot.holdout_posts)]
    bits = score_held_out(model, tokenizer, held_out, device).bits_per_byte
    learned = model.num_parameters(only_trainable=True)
    save_bot(model, tokenizer, folder, base=base)
    size = sum(file.stat().st_size for file in folder.iterdir())
    name = "whole model" if rank is None else f"rank {rank}, rate {rate:g}"
    print(f"| {name} | {learned / 1e6:.1f}M | {bits:.3f} | {cost_s:.0f} | {size / 1e6:.1f} |", flush=True)


def write(place: Path, threads: int) -> None:
    folders = [place / f"bot{number}" for number in range(BOTS)]
    for folder in folders[1:]:
        shutil.copytree(folders[0], folder, dirs_exist_ok=True)
    voices = [voice_in(folder) for folder in folders]
    voices[0].generate("", sampling=SAMPLING, threads=threads)  # loads the base
    begun = time.perf_counter()
    for voice in voices:
        voice.generate("", sampling=SAMPLING, seed=0, threads=threads)
    one_by_one_s = time.perf_counter() - begun
    company = [
        threading.Thread(
            target=voice.generate, args=("",), kwargs={"sampling": SAMPLING, "seed": 0, "threads": threads}
        )
        for voice in voices
    ]
    begun = time.perf_counter()
    for thread in company:
        thread.start()
    for thread in company:
        thread.join()
    together_s = time.perf_counter() - begun
    print(f"\n{BOTS} bots, a post each: in one batch {one_by_one_s / together_s:.2f} times as fast as one by one")


if __name__ == "__main__":
    main()
