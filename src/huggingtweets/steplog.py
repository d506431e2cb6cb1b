"""`train.jsonl`: a line every few steps, from a loop that may have been interrupted and continued."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from huggingtweets.botdir import storage_errors, write_jsonl
from huggingtweets.reports import Advanced, Listener


class StepLog:
    """Writes a line of train.jsonl every few steps, and tells the listener of every step."""

    def __init__(self, path: Path, every_steps: int, listen: Listener) -> None:
        self._path = path
        self._every = every_steps
        self._listen = listen
        self._losses: list[float] = []
        self._lines: TextIO | None = None

    def __enter__(self) -> StepLog:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lines is not None:
            self._lines.close()

    def step(self, step: int, values: Mapping[str, float]) -> None:
        if self._lines is None:
            self._lines = self._open_after(step - 1)
        self._losses = [*self._losses, values["loss"]][-self._every :]
        averaged = {**values, "loss": sum(self._losses) / len(self._losses)}
        if step % self._every == 0 or step == values.get("total_steps"):
            with storage_errors(self._path):
                self._lines.write(json.dumps({"step": step, **averaged}) + "\n")
                self._lines.flush()
        self._listen(Advanced("train", step, values.get("total_steps"), averaged))

    def _open_after(self, last_step: int) -> TextIO:
        """The log up to the step that training continues from; later lines were lost with their steps."""
        kept = []
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the line that was being written when the power went
                    kept.append(json.loads(line))
        write_jsonl(self._path, (record for record in kept if record["step"] <= last_step))
        return self._path.open("a", encoding="utf-8")
