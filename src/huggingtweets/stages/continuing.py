"""What an update starts from: the model as it is, and what that model has learned already.

- The model is copied to `previous/` before the first new post is added, so that a killed update starts from it again
  and never from a half of itself.
- What it was trained on is marked in `dataset/trained.txt`: such a text is never held out any more, because a score on
  it would measure memory.
- It learns the new texts and half as many of the old ones, so that the old are not forgotten.
- When base or cleaning change, the marks are of other texts and the model is of another base: then nothing is gone on
  from, and all is trained anew.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator

from huggingtweets.botdir import BotDir, key_of, new_folder, storage_errors, write_text
from huggingtweets.config import BotSettings
from huggingtweets.dataset import Text, mark, read_texts

REPLAYED = 0.5  # old texts for each new one; measured, see docs/log.md


def keep_previous(bot: BotDir, settings: BotSettings) -> None:
    """Before posts are added, of a bot whose model was trained on its dataset."""
    marks = trained_marks(bot) | {mark(text) for text in read_texts(bot.train_posts)}
    with new_folder(bot.previous) as folder:
        for file in bot.model.iterdir():
            with storage_errors(bot.previous):
                shutil.copyfile(file, folder / file.name)
    write_text(bot.trained_marks, "".join(f"{known}\n" for known in sorted(marks)))
    bot.write_record(continues=(bot.stage("train") or {}).get("weights"), continues_with=_lasting(settings))


def is_pending(bot: BotDir) -> bool:
    """Whether an update has begun whose training isn't finished."""
    pending = bot.read_record().get("continues")
    return bot.previous.exists() and pending is not None and (bot.stage("train") or {}).get("continues") != pending


def leave_outdated(bot: BotDir, settings: BotSettings) -> None:
    """Where base or cleaning have changed since an update began, all is trained anew from the base."""
    if continued_from(bot) is not None and bot.read_record().get("continues_with") != _lasting(settings):
        start_afresh(bot)


def start_afresh(bot: BotDir) -> None:
    """The next training begins with the base, and nothing counts as learned."""
    bot.write_record(continues=None, continues_with=None)
    bot.trained_marks.unlink(missing_ok=True)
    shutil.rmtree(bot.previous, ignore_errors=True)


def _lasting(settings: BotSettings) -> str:
    """What an update can't change: the marks are of clean texts, and a model stays of its base."""
    adapter = filter(None, [settings.training.adapter_rank])  # bots from before there were any keep their keys
    return key_of(settings.base, dataclasses.asdict(settings.dataset), *adapter)


def trained_marks(bot: BotDir) -> frozenset[str]:
    """Of every text that the model learned from before its last update."""
    if not bot.trained_marks.exists():
        return frozenset()
    return frozenset(bot.trained_marks.read_text(encoding="utf-8").split())


def continued_from(bot: BotDir) -> str | None:
    """Which weights the training goes on from; None: from the base, as always but in an update."""
    found = bot.read_record().get("continues")
    return found if isinstance(found, str) else None


def has_new_texts(bot: BotDir) -> bool:
    marks = trained_marks(bot)
    return any(mark(text) not in marks for text in read_texts(bot.train_posts))


def lesson(
    read: Callable[[], Iterable[Text]], marks: frozenset[str], seed: int, replayed: float = REPLAYED
) -> Iterator[Text]:
    """The new texts and `replayed` old ones for each, chosen by the seed; nothing where nothing is new.

    `read` gives all texts, and is called twice: in memory are their places alone.
    """
    chosen = bytearray(mark(text) not in marks for text in read())  # the new ones; below some old ones too
    old = array("I", itertools.compress(itertools.count(), (not new for new in chosen)))
    for place in random.Random(f"{seed}-replay").sample(old, min(len(old), round(replayed * sum(chosen)))):
        chosen[place] = True
    yield from itertools.compress(read(), chosen)
