"""The process that does one job: `python -m huggingtweets.web.worker JOB NAME`, started by `jobs`.

In: a claimed job. Out: its bot, further by a lane, and the job in its next state. The lanes are the pipeline's own
stages: reading ends with the dataset, training with the card. Every stage skips what is done and goes on from where it
was stopped, so a job may be worked on as often as it takes.

- A thread of its own gives signs of life and tells how far it is. It also stops the work, by the signal that wakes even
  a wait for a network's rate limit: when somebody cancelled, and when the job is another worker's by now.
- The folder is the job's owner's from the moment its posts lie there. One that somebody else made meanwhile is left
  alone.
- SIGTERM: the job goes back in line and doesn't count as tried.
- What is ours to say becomes the job's error; a bug is `internal` there, and a traceback in the server's log.
- It yields the processor to everybody else (nice), so that pages and predictions come first.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from huggingtweets import pipeline
from huggingtweets.botdir import BotDir
from huggingtweets.config import BotSettings, ImportSettings, TrackingSettings, TrainingSettings
from huggingtweets.consent import Word
from huggingtweets.errors import BotError, ConsentMissing, HuggingtweetsError, StageMissing
from huggingtweets.reports import Event, StageDone
from huggingtweets.web.answers import INTERNAL, error_json
from huggingtweets.web.progress import Progress
from huggingtweets.web.records import WAITS_IN, WORKS_IN, BotRow, Job, Lane
from huggingtweets.web.store import Store

DATABASE, BOTS = "HUGGINGTWEETS_DATABASE", "HUGGINGTWEETS_BOTS"  # what a worker is told by its environment
BEAT_S = 0.5  # twice a second, which is also how often a page can change
STOP_AGAIN_S = 5.0  # a stop may be lost, where Python calls what ignores exceptions
NICENESS = 10


class _Stopped(BaseException):
    """SIGTERM, under a name that nothing catches on the way."""


@dataclass
class Work:
    """A job in this process's hands."""

    store: Store
    job: Job
    name: str  # this worker's
    progress: Progress
    cancelled: bool = False
    lost: bool = False  # another worker's by now

    @property
    def lane(self) -> Lane:
        return lane_of(self.job)

    def hear(self, event: Event) -> None:
        if isinstance(event, StageDone) and event.stage == "download" and self.store.bot(self.job.bot) is None:
            self.store.put_bot(BotRow(self.job.bot, self.job.owner))
        self.progress.hear(event)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Signs of life until the block ends."""
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _beat(self, over: threading.Event) -> None:
        stopped_at = -STOP_AGAIN_S
        while not over.wait(BEAT_S):
            try:
                job = self.store.beat(self.job.id, self.name, dict(self.progress.facts))
            except HuggingtweetsError:  # a database that is away for a moment
                continue
            self.lost, self.cancelled = job is None, job is not None and job.cancel
            if (self.lost or self.cancelled) and time.monotonic() - stopped_at >= STOP_AGAIN_S:
                stopped_at = time.monotonic()
                _stop_main_thread()

    def end(self, **changes: Any) -> None:
        """Into the next state, if the job is still this worker's."""
        facts = dict(self.progress.facts)
        if self.store.beat(self.job.id, self.name, facts) is not None:
            self.store.change_job(self.job.id, expect={WORKS_IN[self.lane]}, **changes)


def lane_of(job: Job) -> Lane:
    return "train" if job.state in ("waiting", "training") else "read"


def do(work: Work, bots_dir: Path) -> None:
    """Does it, and says what came of it. Never raises for what can go wrong with posts, models or disks."""
    try:
        with work.beating():
            (_train if work.lane == "train" else _read)(work, bots_dir)
    except _Stopped:
        if work.cancelled:
            work.end(state="cancelled")
        elif not work.lost:
            work.end(state=WAITS_IN[work.lane], worker="", attempts=work.job.attempts - 1)
    except ConsentMissing as error:
        work.end(state="word", error=error_json(error), attempts=0)
    except HuggingtweetsError as error:
        work.end(state="failed", error=error_json(error))
    except Exception:
        work.end(state="failed", error=INTERNAL)
        with contextlib.suppress(OSError):  # the log of a server that is gone
            traceback.print_exc()
    else:
        _done(work)


def _done(work: Work) -> None:
    if work.lane == "read":
        work.end(state="waiting" if work.job.straight else "ready", error=None, attempts=0)
        return
    work.end(state="done", error=None)


def _read(work: Work, bots_dir: Path) -> None:
    job = work.job
    sources, bot = pipeline.prepare(job.specs, name=job.bot, bots_dir=bots_dir, imports=ImportSettings())
    if bot.record.exists() and (work.store.bot(bot.name) or BotRow(bot.name)).owner != job.owner:
        raise BotError(f"Somebody else has made a bot called {bot.name} meanwhile.", next="choose another name")
    pipeline.make(bot, sources, _settings(job, BotSettings()), work.hear, Word(**job.word), through="build")


def _train(work: Work, bots_dir: Path) -> None:
    job, bot = work.job, BotDir(bots_dir / work.job.bot)
    if not bot.record.exists():
        raise StageMissing(f"The posts of {job.bot} are gone.")
    settings = _settings(job, pipeline.settings_of(bot))
    with pipeline.at_work(bot, settings, work.hear) as heard:
        bot.write_record(settings=settings.to_json())
        pipeline.finish(bot, settings, heard)


def _settings(job: Job, before: BotSettings) -> BotSettings:
    tracked = TrackingSettings("auto" if os.environ.get(pipeline.TRACK) else "none")  # only where the owner asked
    training = TrainingSettings(minutes=job.minutes) if job.minutes is not None else TrainingSettings()
    return replace(before, base=job.base, training=training, tracking=tracked)


def _stop(number: int, frame: object) -> NoReturn:
    raise _Stopped


def _stop_main_thread() -> None:
    if sys.platform == "win32":  # which waits to its end whatever it waits for
        _thread.interrupt_main(signal.SIGTERM)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def main() -> None:
    """One job, from its claim to its next state."""
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(OSError, AttributeError):  # Windows has none
        os.nice(NICENESS)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cli` does: threads that wait leave the processor
    id, name = sys.argv[1:]
    bots_dir = Path(os.environ[BOTS])
    store = Store.open(os.environ.pop(DATABASE))
    job = store.beat(id, name)
    if job is not None:
        lane = lane_of(job)
        do(Work(store, job, name, Progress(lane, BotDir(bots_dir / job.bot), dict(job.progress))), bots_dir)
    store.close()


if __name__ == "__main__":
    main()
