"""One function a stage: it reads the files of the stage before and writes its own.

Before a stage works it compares the key it would have now, made of its settings and of what it reads, with the one in
`bot.json`; equal keys mean that it is done already. Each returns once its files are complete.
"""

from __future__ import annotations

from huggingtweets.stages.adopting import adopt
from huggingtweets.stages.building import build, is_built
from huggingtweets.stages.continuing import is_pending, keep_previous, leave_outdated, start_afresh
from huggingtweets.stages.describing import describe, is_described
from huggingtweets.stages.downloading import add_new, fetch, renew, word_of
from huggingtweets.stages.scoring import evaluate, is_scored
from huggingtweets.stages.training import is_trained, train, weights_digest

__all__ = [
    "add_new",
    "adopt",
    "build",
    "describe",
    "evaluate",
    "fetch",
    "is_built",
    "is_described",
    "is_pending",
    "is_scored",
    "is_trained",
    "keep_previous",
    "leave_outdated",
    "renew",
    "start_afresh",
    "train",
    "weights_digest",
    "word_of",
]
