"""The pipeline's side of tracking: hears its events and tells the recording process.

In: events. Out: the same events to whoever else listens, and a few notices.

- No stage knows it, and it costs a training no more than a line that is written at its beginning and its end.
- The recording process is started when there is something to record, and is waited for at the end, for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingtweets.botdir import BotDir
from huggingtweets.errors import HuggingtweetsError
from huggingtweets.reports import Advanced, Event, Listener, Notice, StageDone, StageStarted
from huggingtweets.tracking.journal import PARTS, Journal
from huggingtweets.tracking.reach import Mode, Reach, answers, base_url, reached, wish

PATIENCE_S = 10.0  # for W&B at the end of a run
WAIT_S = 20.0  # on top of that, for what is still to be read and written
WAIT_FAILED_S = 5.0  # when a person or an error has stopped the work, who wants to be back at the prompt

_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)
_OF_WANDB = frozenset(
    f"WANDB_{name}"
    for name in (
        *("API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "CONFIG_DIR", "BASE_URL", "APP_URL"),
        *("PROJECT", "ENTITY", "RUN_GROUP", "TAGS", "HTTP_PROXY", "HTTPS_PROXY", "HTTP_TIMEOUT"),
        *("INSECURE_DISABLE_SSL", "_EXTRA_HTTP_HEADERS"),
    )
)


@contextlib.contextmanager
def tracker(
    bot: BotDir, mode: Mode, listen: Listener, *, posts: bool = False, patience_s: float = PATIENCE_S
) -> Iterator[Listener]:
    """A listener that records what happens and passes everything on to `listen`.

    `posts` makes the posts themselves part of the record; without it only their digest and their counts are. W&B is
    waited for at the end of each of the two runs for `patience_s` at most; what it has not got then, `sync` sends.
    Raises PublishError when `mode` is online and nobody is logged in; whatever else goes wrong becomes a warning.
    """
    reach = wish(mode, os.environ, Path.home())
    if reach is None:
        yield listen
        return
    recording = _Recording(bot, listen, reach, posts, patience_s)
    try:
        yield recording
    except BaseException:
        recording.end(failed=True)
        raise
    recording.end()


def child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What W&B needs of the environment: how to reach its server, and nothing secret of anybody else's.

    >>> found = child_environment({"HF_TOKEN": "hf_1", "PATH": "/bin", "WANDB_NAME": "mine", "WANDB_API_KEY": "k"})
    >>> sorted(name for name in found if name in ("HF_TOKEN", "PATH", "WANDB_NAME", "WANDB_API_KEY"))
    ['PATH', 'WANDB_API_KEY']
    """
    kept = {
        name: value
        for name, value in env.items()
        if (name in _OF_WANDB if name.startswith("WANDB_") else not _SECRET.search(name))
    }
    return {
        **kept,
        "WANDB_CACHE_DIR": "wandb/cache",  # in the bot's folder, as all that it writes
        "WANDB_DATA_DIR": "wandb",
        "WANDB_ERROR_REPORTING": "false",  # nothing goes anywhere that nobody asked for
        "WANDB_PROGRAM": "huggingtweets",  # instead of a path
    }


class _Recording:
    """The listener while a recording is on; and nothing but a listener once something went wrong."""

    def __init__(self, bot: BotDir, listen: Listener, reach: Reach, posts: bool, patience_s: float) -> None:
        self._bot = bot
        self._listen = listen
        self._reach = reach
        self._posts = posts
        self._patience_s = patience_s
        self._journal = Journal(bot)
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._is_training = False
        self._is_off = False

    def __call__(self, event: Event) -> None:
        try:
            self._hear(event)
        except (HuggingtweetsError, ValueError, KeyError) as error:
            self._give_up(str(error))
        self._pass_on()
        self._listen(event)

    def _hear(self, event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage in PARTS:
            self._is_training = False
            self._order(started=event.stage)
        elif isinstance(event, Advanced) and event.stage == "train" and not self._is_training:
            self._is_training = True
            self._order(training=True)
        elif isinstance(event, StageDone) and event.stage in PARTS and self._is_news(event):
            self._order(done=event.stage)

    def _is_news(self, event: StageDone) -> bool:
        """Once the recording process runs, it knows better."""
        if self._is_off:
            return False
        is_running = self._process is not None
        return is_running or not event.skipped or bool(self._journal.missing(event.stage, posts=self._posts))

    def _order(self, **order: Any) -> None:
        if self._is_off:
            return
        try:
            if self._process is None:
                self._begin()
            self._write(order)
        except OSError as error:
            self._wait_for_answers()
            self._give_up(str(error))

    def _begin(self) -> None:
        """Decides where to, says so where it is not W&B itself, and starts the recording process."""
        self._reach = reached(self._reach, base_url(os.environ, Path.home()), answers)
        if not self._reach.online:
            later = f"later: huggingtweets sync {self._bot.name}"
            self._listen(Notice(f"Recorded here and not at Weights & Biases, because {self._reach.why}; {later}"))
        self._process = self._start()
        self._write(
            {
                "bot": str(self._bot.path.absolute()),
                "online": self._reach.online,
                "posts": self._posts,
                "patience_s": self._patience_s,
                "pid": os.getpid(),
            }
        )

    def _give_up(self, why: str) -> None:
        """Said once."""
        if not self._is_off:
            self._is_off = True
            self._listen(Notice(f"Tracking stopped, and all else goes on: {why}", warning=True))

    def _write(self, order: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "huggingtweets.tracking.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=child_environment(os.environ),
            start_new_session=True,  # so that Ctrl-C does not reach it, and that all of it can be stopped
        )

        def read() -> None:
            assert process.stdout is not None
            with process.stdout as lines:
                for line in lines:
                    self._answers.put(json.loads(line))

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        return process

    def _pass_on(self) -> None:
        while not self._answers.empty():
            answer = self._answers.get()
            self._is_off = self._is_off or answer["warning"]
            self._listen(Notice(answer["text"], warning=answer["warning"]))

    def _wait_for_answers(self) -> None:
        """Of a process that has ended."""
        if self._reader is not None:
            self._reader.join(1.0)
        self._pass_on()

    def end(self, *, failed: bool = False) -> None:
        """Waits until everything is recorded, or for as long as one wants to wait."""
        if self._process is None:
            return
        self._order(end="failed" if failed else "done")
        process = self._process
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(WAIT_FAILED_S if failed else WAIT_S + 2 * self._patience_s)
        except subprocess.TimeoutExpired:
            if not failed:  # one that failed is left to end in its own time
                _kill(process)
                self._give_up(f"it took too long to end; later: huggingtweets sync {self._bot.name}")
        self._wait_for_answers()
        if process.returncode:
            self._give_up(f"the recording process ended with {process.returncode}")


def _kill(process: subprocess.Popen[str]) -> None:
    """With the service that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
