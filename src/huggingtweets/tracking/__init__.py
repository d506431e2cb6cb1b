"""Weights & Biases: what was made of a bot, as it is made, with the original's runs and artifacts.

In: the pipeline's events and the bot's folder. Out: two runs, `@name-preprocess` and `@name-train`, there or here.

- `tracker` is a listener; with a login the runs are at W&B while they go on, else in the bot's folder until `sync`.
- The recording is a process of its own (see `process`); wandb is imported there and in no other.
- What is told is in `facts`; no posts, unless they are asked for.
"""

from __future__ import annotations

from huggingtweets.tracking.listening import tracker
from huggingtweets.tracking.reach import Mode
from huggingtweets.tracking.uploading import run_url, sync

__all__ = ["Mode", "run_url", "sync", "tracker"]
