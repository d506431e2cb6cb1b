"""Reads X archives of growing size under a limit on memory: peak memory and posts per second against size.

    python benchmarks/archive_memory.py --gigabytes 3 --limit-mb 1000

Builds archives whose files of posts unpack to a hundredth, a tenth and the whole of that size, beside five gigabytes
of film that take no room on the disk, and direct messages. Each is read by `huggingtweets download` in a process of its
own, whose address space is limited (RLIMIT_AS). Prints a table and appends one JSON line a measurement to
benchmarks/results/archive_memory.jsonl. 3 GB need about 2 GB of disk and five minutes. Posts per second are per
second of CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

RESULTS = Path(__file__).parent / "results" / "archive_memory.jsonl"
BLOCK_POSTS = 1_000
PART_BYTES = 1 << 30  # of one file of posts
FILM_BYTES = 5 << 30
SHARES = (0.01, 0.1, 1.0)
COMMAND = "from huggingtweets.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0, help="of posts, unpacked")
    parser.add_argument("--limit-mb", type=int, default=1_000, help="address space of the process that reads")
    parser.add_argument("--folder", type=Path, help="where the archives are built; else a temporary one")
    arguments = parser.parse_args()
    print(f"{'posts, MB':>10} {'zip, MB':>8} {'posts':>10} {'seconds':>8} {'of CPU':>8} {'posts/s':>8} {'peak, MB':>9}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for share in SHARES:
            measure(Path(folder) / "archive.zip", int(share * arguments.gigabytes * 1e9), arguments.limit_mb)


def measure(path: Path, size_bytes: int, limit_mb: int) -> None:
    build(path, size_bytes)
    begin = time.perf_counter()
    posts, cpu_seconds, peak_bytes = download(path, limit_mb)
    seconds = time.perf_counter() - begin
    packed = sum(info.compress_size for info in zipfile.ZipFile(path).infolist() if info.filename.endswith(".js"))
    print(
        f"{size_bytes / 1e6:>10,.0f} {packed / 1e6:>8,.0f} {posts:>10,} {seconds:>8.1f}"
        f" {cpu_seconds:>8.1f} {posts / cpu_seconds:>8,.0f} {peak_bytes / 1e6:>9,.0f}"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as lines:
        record = {"bytes": size_bytes, "packed_bytes": packed, "posts": posts, "seconds": seconds}
        record |= {"cpu_seconds": cpu_seconds}
        lines.write(json.dumps({**record, "peak_bytes": peak_bytes, "limit_mb": limit_mb}) + "\n")


def download(path: Path, limit_mb: int) -> tuple[int, float, int]:
    """How many posts there were, and the seconds of CPU and the most memory that it took."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit_mb * 10**6, limit_mb * 10**6))

    bots = path.with_name("bots")
    arguments = ["download", str(path), "--bots-dir", str(bots), "--quiet", "--again"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    process = subprocess.Popen(command, preexec_fn=limit, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"The download failed with {os.waitstatus_to_exitcode(status)}.")
    record = json.loads((bots / "invented" / "bot.json").read_text())
    posts = record["stages"]["download"]["posts"]
    return posts, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def build(path: Path, size_bytes: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        leave_hole(archive, "data/tweets_media/film.mp4", FILM_BYTES)
        archive.writestr("data/direct-messages.js", "window.YTD.direct_messages.part0 = [ ]" + " " * 10**7)
        archive.writestr(
            "data/account.js",
            'window.YTD.account.part0 = [ {"account" : {"username" : "invented", "accountId" : "42"}} ]',
        )
        blocks, written, part = post_blocks(random.Random(0)), 0, 0
        while written < size_bytes:
            name = "tweets.js" if part == 0 else f"tweets-part{part}.js"
            with archive.open(f"data/{name}", "w", force_zip64=True) as file:
                written += write_part(file, blocks, part, min(PART_BYTES, size_bytes - written))
            part += 1


def write_part(file: IO[bytes], blocks: Iterator[str], part: int, size_bytes: int) -> int:
    written = file.write(f"window.YTD.tweets.part{part} = [\n".encode())
    while True:
        written += file.write(next(blocks).encode())
        if written >= size_bytes:
            return written + file.write(b"\n]")
        written += file.write(b",\n")


def post_blocks(rng: random.Random) -> Iterator[str]:
    """A thousand posts at a time, newest first as in an archive, of some 1,700 bytes each."""
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 10))) for _ in range(20_000)]
    template = json.dumps({"tweet": example()}, indent=2, separators=(",", " : "))
    newest_id, newest = 1_890_000_000_000_000_000, datetime(2025, 2, 13, 7, 30, tzinfo=UTC)
    for number in itertools.count(0, BLOCK_POSTS):
        posts = []
        for older in range(number, number + BLOCK_POSTS):
            created_at = newest - timedelta(minutes=4 * older)
            post = template.replace("ID", str(newest_id - older * 10**12))
            post = post.replace("TIME", f"{created_at:%a %b %d %H:%M:%S +0000 %Y}")
            posts.append(post.replace("TEXT", " ".join(rng.choices(words, k=25))))
        yield ",\n".join(posts)


def example() -> dict[str, object]:
    """A post whose id, time and text are to be filled in."""
    link = {"url": "https://t.co/aaaaaaaaaa", "expanded_url": "https://example.org/map", "indices": ["0", "23"]}
    mention = {"name": "Someone", "screen_name": "someone_else", "indices": ["24", "37"], "id_str": "77", "id": "77"}
    return {
        "edit_info": {"initial": {"editTweetIds": ["ID"], "editsRemaining": "5", "isEditEligible": True}},
        "retweeted": False,
        "source": '<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>',
        "entities": {"hashtags": [], "symbols": [], "user_mentions": [mention], "urls": [link]},
        "display_text_range": ["0", "200"],
        "favorite_count": "8",
        "in_reply_to_status_id_str": "1",
        "id_str": "ID",
        "in_reply_to_user_id": "77",
        "truncated": False,
        "retweet_count": "1",
        "id": "ID",
        "possibly_sensitive": False,
        "created_at": "TIME",
        "favorited": False,
        "full_text": "https://t.co/aaaaaaaaaa @someone_else TEXT",
        "lang": "en",
    }


def leave_hole(archive: zipfile.ZipFile, name: str, size_bytes: int) -> None:
    """A stored member of zeros that were never written."""
    info, file = zipfile.ZipInfo(name), archive.fp
    assert file is not None
    info.header_offset, info.CRC = file.tell(), 0
    info.file_size = info.compress_size = size_bytes
    file.write(info.FileHeader(zip64=True))
    archive.start_dir = file.seek(size_bytes, os.SEEK_CUR)
    archive.filelist.append(info)
    archive.NameToInfo[name] = info


if __name__ == "__main__":
    main()
