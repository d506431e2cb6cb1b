"""Which run gets what, and when: a bot's stages in, W&B runs out.

- The dataset's run is open while the dataset is built, the training's from its first step to the card, so that
  duration and load are theirs.
- Everything is read from the bot's folder, the losses too, from `train.jsonl` as it grows: a stage that was done
  earlier, or by a run that was not recorded, is recorded in the same way afterwards.
- A training that goes on after a kill goes on in its run, where W&B has it already; W&B skips the steps that it knows.
  Offline it gets a new run with all steps, and what was recorded of it goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from huggingtweets import lineage
from huggingtweets.botdir import BotDir
from huggingtweets.tracking import facts
from huggingtweets.tracking.client import Run, Surroundings, leave_service
from huggingtweets.tracking.journal import PARTS, WITH_POSTS, Job, Journal, Recorded, arrived, part_keys

Tell = Callable[[str], None]


class Recorder:
    """Records one bot; its methods are called in the order in which things happen."""

    def __init__(
        self,
        bot: BotDir,
        *,
        online: bool,
        posts: bool,
        around: Surroundings,
        tell: Tell,
    ) -> None:
        self._bot = bot
        self._journal = Journal(bot)
        self._online = online
        self._posts = posts
        self._around = around
        self._tell = tell
        self._run: Run | None = None
        self._entry: Recorded | None = None
        self._steps: _Steps | None = None

    def started(self, stage: str) -> None:
        if stage == "build":
            self._open("preprocess", key_of_build(self._bot), facts.preprocess_config(self._bot))
        elif stage == "train":
            self._record(self._journal.missing("build", posts=self._posts))
            self._open("train", facts.identity(self._bot), facts.train_config(self._bot))

    def training(self) -> None:
        """The first step is done, so that `train.jsonl` is of this training from now on."""
        self._steps = _Steps(self._bot.train_log)
        self.look()

    def look(self) -> None:
        """Records the steps that have come since the last look."""
        if self._steps is not None and self._run is not None:
            for step, values in self._steps.new():
                self._run.row(values, step)

    def done(self, stage: str) -> None:
        self.look()
        missing = self._journal.missing(stage, posts=self._posts)
        is_open = self._entry is not None and self._entry.job == PARTS.get(stage) and not self._entry.done
        if is_open and stage not in missing:  # done again with the same outcome, which is a run of its own
            missing.append(stage)
        self._record(missing)

    def close(self, *, failed: bool = False) -> None:
        self._finish(1 if failed else 0)
        if not any(run.waiting for run in self._journal.read()):
            shutil.rmtree(self._journal.folder / "artifacts", ignore_errors=True)  # copies for the upload
        shutil.rmtree(self._journal.folder / "cache", ignore_errors=True)

    def _record(self, parts: list[str]) -> None:
        keys = part_keys(self._bot)
        for part in parts:
            entry = self._entry_of(part)
            getattr(self, f"_{part}")()
            suffix = WITH_POSTS if part == "build" and self._posts else ""
            self._note(done={**entry.done, part: keys[part] + suffix})
            if part == "build":
                self._finish()

    def _entry_of(self, part: str) -> Recorded:
        """Opens the run that the part belongs to: the one that is open, an earlier one again, or a new one."""
        job = PARTS[part]
        if self._entry is not None and self._entry.job == job:
            return self._entry
        if job == "preprocess":
            return self._open(job, key_of_build(self._bot), facts.preprocess_config(self._bot))
        if part == "train":
            return self._open(job, facts.identity(self._bot), facts.train_config(self._bot))
        return self._open_again()

    def _open(self, job: Job, of: str, config: dict[str, Any]) -> Recorded:
        self._finish()
        id, resume = token_hex(4), False
        torn = self._journal.latest(job)
        if torn is not None and not torn.done and torn.of == of:
            if torn.online and self._online:
                id, resume = torn.id, True
            self._forget(torn)
        return self._begin(Recorded(id, job, of, self._online), config, resume=resume)

    def _forget(self, run: Recorded) -> None:
        for folder in run.folders:
            shutil.rmtree(self._bot.path / folder, ignore_errors=True)
        self._journal.drop(run)

    def _open_again(self) -> Recorded:
        """Goes on where W&B has what came before; else beside what waits for the upload already."""
        self._finish()
        entry = self._journal.home("train", part_keys(self._bot))
        assert entry is not None
        online = self._online and not entry.waiting
        config = {**facts.train_config(self._bot), **facts.trained_config(self._bot, lineage.derive(self._bot))}
        begun = self._begin(replace(entry, online=online), config, resume=True)
        self._now.summary(self._numbers())
        return begun

    def _begin(self, entry: Recorded, config: dict[str, Any], *, resume: bool) -> Recorded:
        name = facts.run_name(self._bot, entry.job)
        try:
            run = Run(name, entry.job, entry.id, config, online=entry.online, resume=resume, around=self._around)
        except Exception as error:
            if not entry.online:
                raise
            self._online = False
            later = f"recorded here; later: huggingtweets sync {self._bot.name}"
            self._tell(f"Weights & Biases did not take the run ({brief(error)}), so it is {later}")
            leave_service(self._journal.folder, entry.id, entry.folders, self._around.patience_s)
            entry = replace(entry, online=False)
            run = Run(name, entry.job, entry.id, config, online=False, resume=resume, around=self._around)
        self._run, self._entry = run, entry
        if run.url is not None and entry.job == "train":
            self._tell(f"Weights & Biases: {run.url}")
        return self._note(url=run.url or entry.url, folders={**entry.folders, run.folder.as_posix(): False})

    def _note(self, **changes: Any) -> Recorded:
        assert self._entry is not None
        self._entry = replace(self._entry, **changes)
        self._journal.put(self._entry)
        return self._entry

    def _finish(self, exit_code: int = 0) -> None:
        if self._run is None or self._entry is None:
            return
        run, entry = self._run, self._entry
        self._run = self._entry = self._steps = None
        if run.finish(exit_code):
            self._journal.put(arrived(entry, run.folder.as_posix(), run.url))
        elif run.online:
            self._online = False
            self._tell(f"Weights & Biases has not taken everything yet; later: huggingtweets sync {self._bot.name}")

    @property
    def _now(self) -> Run:
        assert self._run is not None
        return self._run

    def _build(self) -> None:
        made = lineage.derive(self._bot)
        self._now.config(facts.preprocess_config(self._bot))
        self._now.use(facts.raw_dataset(self._bot, made, posts=self._posts))
        self._now.make(facts.train_dataset(self._bot, made, posts=self._posts))
        self._now.summary(facts.counts(self._bot))
        self._now.notes(facts.notes(self._bot, "preprocess"))

    def _train(self) -> None:
        if self._steps is None:
            self.training()
        made = lineage.derive(self._bot)
        self._now.config(facts.trained_config(self._bot, made))
        self._now.use(facts.train_dataset(self._bot, made, posts=self._posts))
        self._now.use(facts.base_model(self._bot, made))
        self._now.make(facts.finetuned_model(self._bot, made))
        self._now.summary({**facts.last_step(self._bot), **facts.training_numbers(self._bot)})

    def _evaluate(self) -> None:
        self._now.table(facts.examples(self._bot, posts=self._posts), facts.scores(self._bot))

    def _card(self) -> None:
        self._now.picture(self._bot.picture)
        self._now.notes(facts.notes(self._bot, "train"))

    def _publish(self) -> None:
        made = lineage.derive(self._bot)
        draft = facts.finetuned_model(self._bot, made)
        if draft.references:
            self._now.make(draft)

    def _numbers(self) -> dict[str, Any]:
        """Everything known, because going on with a run replaces its summary."""
        found = {**facts.last_step(self._bot), **facts.training_numbers(self._bot)}
        return {**found, **facts.scores(self._bot)} if self._bot.eval_report.exists() else found


def key_of_build(bot: BotDir) -> str:
    """Of the posts that a dataset is built from."""
    return str((bot.stage("download") or {}).get("key"))


def brief(error: BaseException) -> str:
    """Without addresses and the history of its causes.

    >>> brief(RuntimeError("Timed out initializing run: POST http://127.0.0.1/graphql giving up"))
    'Timed out initializing run'
    """
    return str(error).splitlines()[0].split(":")[0].strip() if str(error).strip() else type(error).__name__


class _Steps:
    """The lines of `train.jsonl`, as they come; a line that is still being written comes next time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new(self) -> Iterator[tuple[int, dict[str, float]]]:
        if not self._file.exists():
            return
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                values = json.loads(line)
                yield int(values.pop("step")), values
