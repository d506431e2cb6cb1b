"""One run at Weights & Biases: the only place that speaks to W&B's client, in a process of its own.

In: settings, rows, artifacts as `facts` made them. Out: a run's folder, and whether everything in it has arrived.

- Nothing here waits for the network but the beginning and the end of a run, and these not for long. An artifact goes
  through the run's log, online as well as offline: W&B's own `log_artifact` and `use_artifact` first ask the server,
  which takes half a minute when it is silent and then loses the artifact; and offline `use_artifact` does not work at
  all. What is written to the log is what they would have written, so that W&B uploads it, now or at a later sync, as
  an artifact that the run made or used.
- Paths are relative to the bot's folder, where this process lives: W&B sends them along, and an absolute one would
  tell the user's name. So a bot's folder can be moved before it is uploaded, too.
- Nothing of the machine is recorded but its load: no host, user, program, command line, environment, packages, code
  or repository.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb
from wandb.sdk.artifacts._internal_artifact import InternalArtifact

from huggingtweets.tracking.facts import PICTURE_KEY, TABLE, TABLE_KEY, Draft

PROJECT = "huggingtweets"  # original
INIT_S = 6.0  # a server that takes longer to take a run is as good as none
FLUSH_S = 1.0  # so that a kill loses little of the log
SEND_S = 3.0  # how late a step may be seen; W&B's own 15 are long for a training of five minutes
SAMPLE_S = 5.0  # between system metrics; as above
LEFT_BEHIND = "wandb sync"  # in what the client prints when it gave up uploading


@dataclass(frozen=True)
class Surroundings:
    """What a run has to know of the processes around it."""

    watched_pid: int  # whose load is measured
    stop: Callable[[], None]  # what the button on the run's page does
    printed: Callable[[], str]  # all that W&B's client has printed so far
    patience_s: float  # for W&B at the end of a run


class Run:
    """A run that is open."""

    def __init__(
        self,
        name: str,
        job: str,
        id: str,
        config: Mapping[str, Any],
        *,
        online: bool,
        resume: bool,
        around: Surroundings,
    ) -> None:
        """Raises wandb.Error when it is online and the server doesn't take it."""
        self._printed = around.printed
        self._patience_s = around.patience_s
        self._before = len(around.printed())
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            dir=".",
            id=id,
            name=name,
            job_type=job,
            config=dict(config),
            mode="online" if online else "offline",
            resume="allow" if resume else None,
            reinit="create_new",
            settings=_settings(around),
        )
        self.online = online
        self.folder = Path(self._run.dir).parent
        self.url = self._run.url if online else None

    def row(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """A line of the run's history; W&B leaves out steps that it has already."""
        self._run.log(dict(values), step=step, commit=True)

    def config(self, values: Mapping[str, Any]) -> None:
        self._run.config.update(dict(values), allow_val_change=True)

    def summary(self, values: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(values))

    def notes(self, text: str) -> None:
        self._run.notes = text

    def picture(self, file: Path) -> None:
        self.row({PICTURE_KEY: wandb.Image(str(file))})

    def table(self, rows: Sequence[Sequence[str]], values: Mapping[str, Any]) -> None:
        """As a table in a history row, with `values` beside it, and as the artifact that W&B makes of a table."""
        table = wandb.Table(columns=list(TABLE), data=[list(row) for row in rows])
        artifact = InternalArtifact(f"run-{self._run.id}-{TABLE_KEY}", "run_table")
        artifact.add(table, TABLE_KEY)
        self._send(artifact, used=False)
        table.bind_to_run(self._run, TABLE_KEY, self._run.step)
        self.row({**values, TABLE_KEY: table})

    def use(self, draft: Draft) -> None:
        """The run works on it; where W&B has one with the same contents already, on that one."""
        self._send(_artifact(draft), used=True)

    def make(self, draft: Draft) -> None:
        """The run has made it."""
        self._send(_artifact(draft), used=False)

    def _send(self, artifact: wandb.Artifact, *, used: bool) -> None:
        for entry in artifact.manifest.entries.values():
            if entry.local_path:
                entry.local_path = os.path.relpath(entry.local_path)
        artifact.finalize()
        interface = self._run._interface
        assert interface is not None
        interface.publish_artifact(
            self._run, artifact, [] if used else ["latest"], is_user_created=used, use_after_commit=used
        )

    def finish(self, exit_code: int = 0) -> bool:
        """Whether W&B has all of it now; takes no longer than `patience_s`."""
        failed: list[BaseException] = []

        def finish() -> None:
            try:
                self._run.finish(exit_code)
            except Exception as error:
                failed.append(error)

        # In a thread, because W&B's own limit does not hold where a server keeps a connection and says nothing.
        thread = threading.Thread(target=finish, daemon=True)
        thread.start()
        thread.join(self._patience_s)
        for leftover in ("logs", "tmp"):
            shutil.rmtree(self.folder / leftover, ignore_errors=True)
        gave_up = LEFT_BEHIND in self._printed()[self._before :]
        return self.online and not thread.is_alive() and not failed and not gave_up


def leave_service(folder: Path, id: str, known: Container[str], within_s: float) -> None:
    """After a beginning that failed: W&B's service holds on to the run's id, and the folder it made is of no use."""
    thread = threading.Thread(target=wandb.teardown, daemon=True)
    thread.start()
    thread.join(within_s)
    for made in folder.glob(f"*run-*-{id}"):
        if f"{folder.name}/{made.name}" not in known:
            shutil.rmtree(made, ignore_errors=True)


def _settings(around: Surroundings) -> wandb.Settings:
    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        finish_timeout=0.8 * around.patience_s,
        finish_timeout_raises=True,
        host="",
        init_timeout=min(INIT_S, around.patience_s),
        label_disable=True,
        program="huggingtweets",
        quiet=True,
        save_code=False,
        show_info=False,
        stop_fn=around.stop,
        symlink=False,
        x_disable_meta=True,
        x_file_stream_transmit_interval=SEND_S,
        x_save_requirements=False,
        x_stats_pid=around.watched_pid,
        x_stats_sampling_interval=SAMPLE_S,
        x_transaction_log_flush_interval=FLUSH_S,
    )


def _artifact(draft: Draft) -> wandb.Artifact:
    artifact = wandb.Artifact(draft.name, draft.type, metadata=draft.metadata)
    for name, text in draft.texts.items():
        with artifact.new_file(name, encoding="utf-8") as file:
            file.write(text)
    for name, path in draft.copies.items():
        artifact.add_file(str(path), name, skip_cache=True)
    for name, address in draft.references.items():
        artifact.add_reference(address, name, checksum=False)  # with one, the server would be asked
    return artifact
