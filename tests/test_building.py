"""The build keeps the texts on disk: the same dataset as in memory, little memory a post, and nothing left behind."""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import full_disk, invented_posts
from huggingtweets.botdir import BotDir, read_json
from huggingtweets.bulk import FileList
from huggingtweets.config import BotSettings, DatasetSettings
from huggingtweets.corpus import epoch
from huggingtweets.dataset import Dataset, Text, build_dataset, divide, mark, read_texts
from huggingtweets.errors import BotError, StorageError, TooLittleText
from huggingtweets.posts import Post, dump_posts
from huggingtweets.reports import Advanced, Event, silent
from huggingtweets.stages import build
from test_dataset import post, rules

SENTENCES = st.sampled_from(invented_posts(40))
some_posts = st.lists(post | post.flatmap(lambda p: SENTENCES.map(lambda text: dataclasses.replace(p, text=text))))


@pytest.fixture
def small_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingtweets.dataset.MIN_CHARACTERS", 0)


@pytest.mark.usefixtures("small_is_enough")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(some_posts, rules, st.sampled_from([0, 0.3, 0.5]), st.booleans())
def test_on_disk_as_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    some: list[Post],
    rules: DatasetSettings,
    fraction: float,
    is_update: bool,
) -> None:
    chosen = dataclasses.replace(rules, holdout_fraction=fraction)
    trained = marks_of(some, chosen) if is_update else frozenset[str]()
    on_disk = functools.partial(FileList, tmp_path_factory.getbasetemp())

    def from_disk() -> Dataset:
        parts, report = divide(some, chosen, trained, on_disk)
        assert len(parts.train) == report.train_posts
        return Dataset(list(parts.train), parts.holdout, report)

    assert outcome(from_disk) == outcome(lambda: build_dataset(some, chosen, trained))


def outcome(run: Callable[[], Dataset]) -> Dataset | str:
    try:
        return run()
    except TooLittleText as error:
        return str(error)


def marks_of(some: list[Post], chosen: DatasetSettings) -> frozenset[str]:
    """Of half of what a first training would learn."""
    data = outcome(lambda: build_dataset(some, chosen))
    return frozenset(mark(text) for text in data.train[::2]) if isinstance(data, Dataset) else frozenset()


GROWTH = """
import functools, json, random, sys, tracemalloc
from pathlib import Path
from huggingtweets.bulk import FileList
from huggingtweets.config import DatasetSettings
from huggingtweets.dataset import divide
from huggingtweets.posts import Post

def rovers(count):  # every third post answers the one before it, every third somebody else
    rng = random.Random(0)
    for number in range(count):
        text = f"{' '.join(str(rng.random()) for _ in range(8))} is what the rover measured"
        answered = (None, str(number - 1), "elsewhere")[number % 3]
        yield Post(text, "rover", str(number), kind="reply" if answered else "original", reply_to=answered)

def peak(count):
    tracemalloc.start()
    divide(rovers(count), rules, (), functools.partial(FileList, Path(sys.argv[1])))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most

for chosen in json.loads(sys.argv[2]):
    rules = DatasetSettings(scrub=False, holdout_fraction=0, **chosen)
    peak(1_200)  # what is loaded once
    print((peak(4_800) - peak(1_200)) / 3_600)
"""


def test_memory_grows_by_a_few_bytes_a_post(tmp_path: Path) -> None:
    """Half of what a list takes: there it is 400 bytes, 700 with threads joined, 630 without replies.

    In a process of its own, for what the threads of other tests allocate is traced too.
    """
    chosen = json.dumps([{}, {"join_threads": True}, {"replies": "drop"}])
    alone = [sys.executable, "-c", GROWTH, str(tmp_path), chosen]
    grown = subprocess.run(alone, capture_output=True, text=True, check=True).stdout
    assert max(map(float, grown.split())) < 210


@pytest.mark.parametrize("accounts", ["aaaa", "abab", "aaab", "abca"])
def test_the_order_of_an_epoch_is_what_it_has_always_been(accounts: str) -> None:
    """Written down from the first version, which shuffled the texts themselves: a bot made then is made so again."""
    texts = [Text(account, text) for account, text in zip(accounts * 10, invented_posts(40), strict=True)]
    for number in range(2):
        rng = random.Random(f"5-{number}")
        of_account = defaultdict(list)
        for text in texts:
            of_account[text.account].append(text.text)
        longest = max(sum(map(len, own)) for own in of_account.values())
        order: list[str] = []
        for own in of_account.values():
            length = 0
            while length < longest:
                for text_ in rng.sample(own, len(own)):
                    if length < longest:
                        order.append(text_)
                        length += len(text_)
        rng.shuffle(order)
        assert epoch(texts, number, seed=5) == order


class Killed(BaseException):
    """A process that ends here."""


@pytest.fixture
def bot(tmp_path: Path) -> BotDir:
    """A bot of 3,000 posts that is to be built."""
    bot = BotDir(tmp_path / "rover")
    bot.path.mkdir()
    posts = [Post(text, "rover", str(number)) for number, text in enumerate(invented_posts(3_000))]
    bot.posts.write_text("".join(dump_posts(posts)), encoding="utf-8")
    bot.mark_done("download", "key", posts=3_000)
    return bot


def shares(events: list[Event]) -> list[float]:
    return [event.done / event.total for event in events if isinstance(event, Advanced) and event.total]


def test_the_build_tells_how_far_it_is(bot: BotDir) -> None:
    events: list[Event] = []
    report = build(bot, BotSettings(), events.append)
    assert len(shares(events)) == 3 + report.counts["rover"].kept // 1_000
    assert shares(events) == sorted(shares(events))
    assert 0 < shares(events)[0] < shares(events)[-1] <= 1


@pytest.mark.parametrize("at", range(5))
def test_a_killed_build_leaves_nothing_and_can_be_repeated(bot: BotDir, at: int) -> None:
    before, events = sorted(bot.path.rglob("*")), list[Event]()

    def kill(event: Event) -> None:
        events.append(event)
        if len(shares(events)) > at:
            raise Killed

    with pytest.raises(Killed):
        build(bot, BotSettings(), kill)
    assert sorted(bot.path.rglob("*")) == before
    report = build(bot, BotSettings(), silent)
    expected = build_dataset(Post(text, "rover") for text in invented_posts(3_000))
    assert list(read_texts(bot.train_posts)) == expected.train
    assert list(read_texts(bot.holdout_posts)) == expected.holdout
    assert read_json(bot.dataset_report) == report.to_json()


def test_a_full_disk_is_said_before_anything_is_in_place(bot: BotDir) -> None:
    with full_disk(after_bytes=50_000), pytest.raises(StorageError, match="disk is full"):
        build(bot, BotSettings(), silent)
    assert not bot.train_posts.exists()


def test_a_damaged_text_is_said_where_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"account": "a", "text": "fine"}\n{"account": "a"}\n', encoding="utf-8")
    texts = read_texts(file)
    assert next(texts) == Text("a", "fine")
    with pytest.raises(BotError, match=r"train\.jsonl is damaged: it has no 'text'"):
        next(texts)
