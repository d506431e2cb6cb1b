"""One function a stage: it reads the files of the stage before and writes its own.

Before a stage works it compares the key it would have now, made of its settings and of what it reads, with the one in
`bot.json`; equal keys mean that it is done already. Each returns once its files are complete.
"""

from __future__ import annotations

from huggingtweets.stages.building import build
from huggingtweets.stages.describing import describe
from huggingtweets.stages.downloading import fetch
from huggingtweets.stages.scoring import evaluate
from huggingtweets.stages.training import train

__all__ = ["build", "describe", "evaluate", "fetch", "train"]
