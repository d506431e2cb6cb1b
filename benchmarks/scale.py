"""What every stage costs against the number of posts: CPU seconds and peak memory, as a table and a picture.

    python benchmarks/scale.py --posts 10000 100000 1000000 --picture docs/pictures/scale.svg

Invents as many posts as asked for, of the words of examples/nasa.csv and as long and short as people's: threads,
answers to others, links and retweets among them. Each measurement is a process of its own. `download` and `build` are
the commands, under a limit on their address space (RLIMIT_AS); of what is inside other stages, the part that grows with
the posts is measured:

- cleaning: everything but the split, posts being read not counted;
- packing: the training posts encoded, and one epoch of them laid into steps;
- copying: sixty predictions looked for in all training posts.

Appends one JSON line a measurement to benchmarks/results/scale.jsonl. A million posts take five minutes.
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from huggingtweets.botdir import BotDir
from huggingtweets.bulk import FileList
from huggingtweets.config import DatasetSettings, TrainingSettings
from huggingtweets.dataset import curate, read_texts
from huggingtweets.posts import Post, read_posts

RESULTS = Path(__file__).parent / "results" / "scale.jsonl"
NASA = Path(__file__).parent.parent / "examples" / "nasa.csv"
COMMAND = "from huggingtweets.cli import main; main()"
PREDICTIONS = 60
READ_AT_ONCE = 1_000
COLORS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#475569")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[10_000, 30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--limit-mb", type=int, default=500, help="address space of download and build")
    parser.add_argument(
        "--options", nargs="*", default=["--stitch", "--replies drop"], help="builds beside the plain one"
    )
    parser.add_argument("--folder", type=Path, help="where the posts lie; else a temporary folder")
    parser.add_argument("--picture", type=Path, help="the SVG file to draw")
    parser.add_argument("--only", choices=list(PARTS), help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if arguments.only:
        return print(PARTS[arguments.only](BotDir(arguments.folder)))
    print(f"{'posts':>9} {'measured':<22} {'CPU s':>7} {'µs a post':>9} {'peak, MB':>8}")
    seconds: dict[str, list[tuple[int, float]]] = {}
    for posts in arguments.posts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for name, cpu_s in measure(posts, Path(folder), arguments.limit_mb, arguments.options):
                seconds.setdefault(name, []).append((posts, cpu_s))
    if arguments.picture:
        arguments.picture.write_text(picture(seconds), encoding="utf-8")
    return None


def measure(posts: int, folder: Path, limit_mb: int, options: list[str]) -> Iterator[tuple[str, float]]:
    """Each measurement's name and CPU seconds."""
    file, bots = folder / "invented.csv", folder / "bots"
    write_posts(file, posts)
    where = ["--bots-dir", str(bots), "--quiet"]
    builds = [("build", []), *((f"build {option}", option.split()) for option in options)]
    commands = [("download", ["download", str(file)]), *((name, ["build", "invented", *more]) for name, more in builds)]
    commands.append(("", ["build", "invented", "--cleaning", "ours"]))  # for what follows: the plain one again
    for name, command in commands:
        _, cpu_s, peak = run([sys.executable, "-c", COMMAND, *command, *where], limit_mb)
        if name:
            yield report(posts, name, cpu_s, peak, limit_mb)
    for part in PARTS:
        told, _, peak = run([sys.executable, __file__, "--only", part, "--folder", str(bots / "invented")])
        yield report(posts, part, float(told), peak, None)


def run(command: list[str], limit_mb: int | None = None) -> tuple[str, float, int]:
    """What a process prints, its seconds of CPU, and the most memory it had in bytes."""

    def limit() -> None:
        if limit_mb is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit_mb * 10**6, limit_mb * 10**6))

    with tempfile.TemporaryFile("w+") as out:
        environment = {**os.environ, "HUGGINGTWEETS_TRACK": "none"}
        process = subprocess.Popen(command, preexec_fn=limit, stdout=out, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if (code := os.waitstatus_to_exitcode(status)) != 0:
            raise SystemExit(f"{' '.join(command)} failed with {code}.")
        out.seek(0)
        return out.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def report(posts: int, name: str, cpu_s: float, peak_bytes: int, limit_mb: int | None) -> tuple[str, float]:
    print(f"{posts:>9,} {name:<22} {cpu_s:>7.1f} {cpu_s / posts * 1e6:>9.1f} {peak_bytes / 1e6:>8,.0f}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as lines:
        record = {"posts": posts, "measured": name, "cpu_s": cpu_s, "peak_bytes": peak_bytes, "limit_mb": limit_mb}
        lines.write(json.dumps(record) + "\n")
    return name, cpu_s


def cleaning(bot: BotDir) -> float:
    """CPU seconds of cleaning alone: what reading the posts takes is taken off."""
    reading_s = 0.0

    def posts() -> Iterator[Post]:
        nonlocal reading_s
        every = read_posts(bot.posts)
        while True:
            begin = time.process_time()
            some = list(itertools.islice(every, READ_AT_ONCE))
            reading_s += time.process_time() - begin
            if not some:
                return
            yield from some

    begin = time.process_time()
    curate(posts(), DatasetSettings(), functools.partial(FileList, bot.path))
    return time.process_time() - begin - reading_s


def packing(bot: BotDir) -> float:
    """CPU seconds, without loading the tokenizer."""
    from transformers import AutoTokenizer

    from huggingtweets.bases import find_base
    from huggingtweets.batches import group, pack
    from huggingtweets.corpus import Corpus

    settings = TrainingSettings()
    tokenizer = AutoTokenizer.from_pretrained(find_base("smollm2").folder)
    begin = time.process_time()
    corpus = Corpus(read_texts(bot.train_posts), tokenizer, settings.max_post_tokens, settings.seed, bot.path)
    for posts in group(corpus.posts_of_epoch(0), settings.tokens_per_step):
        pack(posts)
    return time.process_time() - begin


def copying(bot: BotDir) -> float:
    """CPU seconds; every prediction copies a post, the worst case."""
    from huggingtweets.copies import find_copies

    predictions = [text.text for text in itertools.islice(read_texts(bot.train_posts), PREDICTIONS)]
    begin = time.process_time()
    copies = find_copies(predictions, (text.text for text in read_texts(bot.train_posts)))
    assert None not in copies
    return time.process_time() - begin


PARTS: dict[str, Callable[[BotDir], float]] = {"cleaning": cleaning, "packing": packing, "copying": copying}


def write_posts(file: Path, count: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["id", "created_at", "text", "in_reply_to_status_id"])
        rows.writerows(itertools.islice(invented(random.Random(0)), count))


def invented(rng: random.Random) -> Iterator[tuple[int, str, str, int | str]]:
    """Id, time, text and what is answered: one post in ten answers the author's last, one in ten somebody else."""
    with NASA.open(encoding="utf-8", newline="") as lines:
        words = [word for row in csv.DictReader(lines) for word in row["text"].split() if "://" not in word]
    moment = datetime(2015, 1, 1, tzinfo=UTC)
    for number in itertools.count(10**12):
        text = " ".join(rng.choices(words, k=min(60, 3 + int(rng.expovariate(1 / 14)))))
        kind, answered = rng.random(), ""
        if kind < 0.05:
            text = f"RT @somebody: {text}"
        elif kind < 0.15:
            answered = number - 1
        elif kind < 0.25:
            text, answered = f"@somebody {text}", rng.randrange(10**9)
        elif kind < 0.5:
            text = f"{text} https://t.co/{rng.getrandbits(50):x}"
        moment += timedelta(minutes=rng.randrange(1, 9))
        yield number, moment.isoformat(), text, answered


def picture(seconds: dict[str, list[tuple[int, float]]]) -> str:
    """Seconds against posts, both logarithmic: what grows with the posts lies along the dashed lines."""
    width, height, left, top = 640, 400, 60, 20
    points = [point for line in seconds.values() for point in line]
    first_x, last_x = min(x for x, _ in points), max(x for x, _ in points)
    decades = [math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(max(y for _, y in points)))]

    def at(x: float, y: float) -> str:
        across = math.log10(x / first_x) / math.log10(last_x / first_x)
        up = (math.log10(y) - decades[0]) / (decades[1] - decades[0])
        return f"{left + across * (width - 210):.1f},{top + (1 - up) * (height - 70):.1f}"

    def text(place: str, words: str, more: str = "") -> str:
        x, y = place.split(",")
        return f'<text x="{x}" y="{y}" {more}>{words}</text>'

    def line(places: list[str], more: str) -> str:
        return f'<polyline points="{" ".join(places)}" fill="none" {more}/>'

    labels: dict[str, float] = {}  # from the top down, never on one another
    for name, measured in sorted(seconds.items(), key=lambda item: -item[1][-1][1]):
        y = float(at(*measured[-1]).split(",")[1])
        labels[name] = max([y, *(above + 16 for above in labels.values())])

    shapes = []
    for decade in range(decades[0], decades[1] + 1):
        shapes.append(line([at(first_x, 10**decade), at(last_x, 10**decade)], 'stroke="#e5e7eb"'))
        shapes.append(text(at(first_x, 10**decade), f"{10**decade:g} s", 'dx="-8" dy="4" text-anchor="end"'))
        end = min(last_x, first_x * 10 ** (decades[1] - decade))  # as steep as what is linear
        shapes.append(
            line(
                [at(first_x, 10**decade), at(end, 10**decade * end / first_x)],
                'stroke="#9ca3af" stroke-dasharray="3 4"',
            )
        )
    for x in sorted({x for x, _ in points}):
        shapes.append(text(at(x, 10 ** decades[0]), f"{x:,}", 'dy="20" text-anchor="middle"'))
    shapes.append(text(at(math.sqrt(first_x * last_x), 10 ** decades[0]), "posts", 'dy="42" text-anchor="middle"'))
    for color, (name, measured) in zip(itertools.cycle(COLORS), seconds.items(), strict=False):
        shapes.append(line([at(*point) for point in measured], f'stroke="{color}" stroke-width="2"'))
        shapes.append(text(f"{left + width - 210},{labels[name]:.1f}", name, f'dx="8" dy="4" fill="{color}"'))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
    return "\n".join(
        [f'{head}font-size="13" fill="#374151">', '<rect width="100%" height="100%" fill="#fff"/>', *shapes, "</svg>\n"]
    )


if __name__ == "__main__":
    main()
