"""What the stages share: is an input there, what is in it, and what is it made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingtweets.botdir import BotDir, file_digest, key_of
from huggingtweets.errors import StageMissing

VERSIONS_OF = ("huggingtweets", "torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "typst")


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide what a bot becomes."""
    found = {"python": platform.python_version()}
    for package in VERSIONS_OF:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def need(bot: BotDir, file: Path, stage: str) -> None:
    """Raises StageMissing, with the command that makes it, when a file of an earlier stage is not there."""
    if not file.exists():
        again = {"download": "create FILE", "card": f"card {bot.name}"}.get(stage, f"{stage} {bot.name}")
        raise StageMissing(f"{bot.name} has no {file.name} yet.", next=f"huggingtweets {again}")


def data_digest(bot: BotDir) -> str:
    """Of the split: a model must never be scored on posts that it was trained on."""
    return key_of(file_digest(bot.train_posts), file_digest(bot.holdout_posts))
