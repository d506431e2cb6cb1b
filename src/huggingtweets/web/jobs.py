"""The queue. In: jobs in the database. Out: worker processes, as many at a time as the settings allow.

- Each job gets a process of its own (`worker`), which gives its memory back by ending. Reading and training are lanes
  that don't wait for each other.
- A worker outlives a server that is killed, and goes on; the next server sees its signs of life and leaves it alone.
  One that falls silent, or ends without a word, loses its job, which is tried again from where it was.
- After three tries a job is set aside: something about it takes workers down.
- Stopping ends the workers; their jobs stand in line for the next start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

from huggingtweets.errors import HuggingtweetsError
from huggingtweets.web import worker
from huggingtweets.web.records import WAITS_IN, WORKS_IN, Job, JobState, Lane, new_id
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from huggingtweets.web.uploads import remove_upload, sweep

LOOK_S = 0.3  # how soon a job is begun
SILENT_S = 30.0  # sixty signs of life missed
STOP_S = 20.0
SWEEP_S = 3600.0  # how often uploads are looked through that nobody came back for
MOST_ATTEMPTS = 3

WORE_OUT = {
    "code": "internal",
    "what": "Making this bot stopped without a word, three times.",
    "why": "Most likely this server has too little memory for it.",
    "next": "Try a smaller base, or fewer posts.",
    "needs": [],
}


class Queue:
    """The supervisor of one server's workers, in a thread."""

    def __init__(self, settings: WebSettings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._workers: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}  # by name
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept = -SWEEP_S

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the workers gracefully; what they did so far is kept."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for _, process in self._workers.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for _, process in self._workers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            process.kill()
            process.wait()
        self._reap()

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                self._look()
            except HuggingtweetsError as error:  # a database that is away for a moment, or a full disk
                print(f"The queue waits: {error.what}", file=sys.stderr)
            except Exception:  # the queue outlives its bugs
                traceback.print_exc()

    def _look(self) -> None:
        self._reap()
        self._sweep()
        lost = {job.id for job in self._store.give_back_stale(SILENT_S)}
        for begun, process in self._workers.values():
            if begun.id in lost:  # it hangs; two workers on one bot would be one too many
                process.kill()
        limits: dict[Lane, int] = {"read": self._settings.readings_at_once, "train": self._settings.trainings_at_once}
        for lane, limit in limits.items():
            while len(self._store.jobs(states={WORKS_IN[lane]}, limit=limit)) < limit:
                name = f"{socket.gethostname()[:60]}:{new_id(8)}"
                if (job := self._store.claim(lane, name)) is None:
                    break
                self._begin(job, name)

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < SWEEP_S:
            return
        self._swept = time.monotonic()
        in_use: set[JobState] = {*WAITS_IN.values(), *WORKS_IN.values(), "word", "ready", "failed"}
        sweep(self._settings, [spec for job in self._store.jobs(states=in_use, limit=10_000) for spec in job.specs])

    def _begin(self, job: Job, name: str) -> None:
        if job.attempts > MOST_ATTEMPTS:
            self._store.change_job(job.id, expect={job.state}, state="failed", error=WORE_OUT)
            return
        told = {worker.DATABASE: self._settings.database_url, worker.BOTS: str(Path(self._settings.bots_dir).resolve())}
        process = subprocess.Popen(
            [sys.executable, "-m", "huggingtweets.web.worker", job.id, name],
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the server's terminal is the server's to handle
        )
        self._workers[name] = (job, process)

    def _reap(self) -> None:
        """Workers that ended; one that left its job unfinished gives it back."""
        for name, (job, process) in list(self._workers.items()):
            if process.poll() is None:
                continue
            now = self._store.job(job.id)
            if now is not None and now.worker == name and now.state in WORKS_IN.values():
                lane = worker.lane_of(now)
                state = "cancelled" if now.cancel else WAITS_IN[lane]
                self._store.change_job(job.id, expect={now.state}, state=state, worker="")
            if now is None or now.state == "done":
                for spec in job.specs:
                    remove_upload(self._settings, spec)
            del self._workers[name]
