"""What a process of the fleet does: the pipeline's stages, one bot after another.

In: an order (`Member`). Out: an answer; never an exception for what can go wrong with posts, models or disks.
Between bots a process keeps the libraries and the base model, which take longer to load than a short training lasts.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from huggingtweets import pipeline
from huggingtweets.bot import Bot
from huggingtweets.botdir import BotDir, key_of
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.fleet.members import Answer, Failed, Made, Member, Opened, Progress
from huggingtweets.fleet.shared import Save, Storage
from huggingtweets.reports import Advanced, Event, StageStarted
from huggingtweets.sources.base import Source

SAVE_EVERY_S = 60.0  # how much of a training a lost node costs where bots live on shared storage


def _answered(do: Callable[[Worker, Member], Answer]) -> Callable[[Worker, Member], Answer]:
    """What it raises becomes its answer."""

    @functools.wraps(do)
    def answered(worker: Worker, member: Member) -> Answer:
        worker.begin(member)
        try:
            return do(worker, member)
        except HuggingtweetsError as error:
            return Failed.of(error)
        except MemoryError:
            return Failed("memory", "The memory was full.")
        except Exception as error:  # a bug: this bot's, not the fleet's
            line = next(iter(str(error).splitlines()), "")
            return Failed("bug", f"{type(error).__name__}: {line}", trace=traceback.format_exc())

    return answered


class Worker:
    """One process. Its methods are called one at a time, but for `progress`."""

    def __init__(self, storage: Storage, folder: str, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        with contextlib.suppress(OSError):  # a node that has other folders than the machine of the driver
            os.chdir(folder)
        self._storage = storage
        self._progress = Progress()
        storage.sweep()

    def hello(self) -> int:
        """The process, once it is there."""
        return os.getpid()

    def progress(self) -> Progress:
        return self._progress

    def begin(self, member: Member) -> None:
        self._progress = Progress(member.key, events=self._progress.events + 1)

    @_answered
    def open(self, member: Member) -> Answer:
        """What the bot will be called, and which networks it comes from; asks nobody."""
        sources, bot = self._prepared(member)
        return Opened(bot.name, lanes_of(sources), self._storage.is_complete(bot.name, _key(member, sources)))

    @_answered
    def read(self, member: Member) -> Answer:
        """The download and the dataset; all of it, where a bot is finished already."""
        sources, bot = self._prepared(member)
        with self._storage.kept(bot, _key(member, sources)) as save:
            pipeline.make(bot, sources, member.settings, self._hear, member.word, through="build")
            finished = pipeline.is_finished(bot, member.settings)
            if finished:
                pipeline.finish(bot, member.settings)  # which finds everything done
            save(finished)
            return Made(finished, _facts(bot))

    @_answered
    def train(self, member: Member) -> Answer:
        """Everything from the dataset to the card."""
        from huggingtweets.bases import keep_base

        keep_base()
        sources, bot = self._prepared(member)
        with self._storage.kept(bot, _key(member, sources)) as save, _every(SAVE_EVERY_S, save):
            with pipeline.at_work(bot, member.settings, self._hear) as heard:
                bot.write_record(settings=member.settings.to_json())
                pipeline.finish(bot, member.settings, heard)
            save(True)
            return Made(True, _facts(bot))

    @_answered
    def publish(self, member: Member) -> Answer:
        """To the Hub, as `huggingtweets publish` does it: private, unless it is public there already."""
        from huggingtweets.publishing import publish

        sources, bot = self._prepared(member)
        with self._storage.kept(bot, _key(member, sources)) as save:
            done = publish(bot, listen=self._hear)
            save(True)
            return Made(True, {"url": done.url})

    def _prepared(self, member: Member) -> tuple[list[Source], BotDir]:
        return pipeline.prepare(
            member.specs, name=member.name, bots_dir=self._storage.bots_dir, imports=member.settings.imports
        )

    def _hear(self, event: Event) -> None:
        known = replace(self._progress, events=self._progress.events + 1)
        match event:
            case StageStarted():
                known = replace(known, stage=event.stage, done=0.0, total=None)
            case Advanced():
                known = replace(known, stage=event.stage, done=event.done, total=event.total)
        self._progress = known


@contextlib.contextmanager
def _every(seconds: float, save: Save) -> Iterator[None]:
    """Saves again and again in a thread of its own, until the block ends."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            with contextlib.suppress(HuggingtweetsError, OSError):  # the next time will do
                save(False)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _key(member: Member, sources: list[Source]) -> str:
    """Of what is ordered and what there is to read, as far as that can be seen without asking a network."""
    return key_of(member.key, *(source.fingerprint() for source in sources))


def lanes_of(sources: list[Source]) -> frozenset[str]:
    """What limits its downloads: a network, or on Mastodon a server. Files have no limit.

    One download at a time for each keeps a fleet within what the network allows one client, however many processes
    and nodes it has: the client that waits for a limit is the only one there is.
    """
    return frozenset(_lane(source.spec) for source in sources if source.origin.kind == "network")


def _lane(spec: str) -> str:
    """
    >>> _lane("x:nasa"), _lane("mastodon:alice@social.example")
    ('x', 'mastodon social.example')
    """
    network, _, rest = spec.partition(":")
    return f"mastodon {rest.rpartition('@')[2].lower()}" if network == "mastodon" else network


def _facts(bot: BotDir) -> dict[str, object]:
    found = Bot(bot.path)
    facts: dict[str, object] = {}
    if found.dataset is not None:
        facts["posts"] = found.dataset.train_posts + found.dataset.holdout_posts
    if found.training is not None:
        facts |= {"steps": found.training.steps, "seconds": found.training.seconds}
    if found.scores is not None:
        facts["copied"] = found.scores.copying.share
        if found.scores.bot is not None and found.scores.base is not None:
            facts |= {"bits": found.scores.bot.bits_per_byte, "base_bits": found.scores.base.bits_per_byte}
    return facts


def parameters_of(base: str) -> int:
    """How many numbers the base has, from the heads of its files; 0 where it can't be had."""
    from huggingtweets.bases import find_base

    try:
        files = find_base(base).folder.glob("*.safetensors")
        return sum(_parameters_in(file) for file in files)
    except (HuggingtweetsError, OSError, ValueError, KeyError):
        return 0


def _parameters_in(file: Path) -> int:
    """The format: the head's length in eight bytes, then the head as JSON."""
    with file.open("rb") as handle:
        head = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    return sum(math.prod(facts["shape"]) for name, facts in head.items() if name != "__metadata__")


def gpu_bytes() -> int:
    """The memory of the device that this process was given."""
    from huggingtweets.devices import memory_of

    return memory_of("cuda")
