"""huggingtweets turns an account's posts into a small language model that writes new posts in that voice.

>>> import huggingtweets as ht
>>> bot = ht.create("posts.csv", base="gpt2")  # doctest: +SKIP
>>> bot.generate("My dream is", n=5)           # doctest: +SKIP

A name's module is imported when the name is first used, so that whoever needs little waits for little.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Bot",
    "BotSettings",
    "Dataset",
    "DatasetSettings",
    "HuggingtweetsError",
    "ImportSettings",
    "Post",
    "SamplingSettings",
    "TrackingSettings",
    "TrainingSettings",
    "Word",
    "build_dataset",
    "create",
    "download",
    "forget",
    "list_bots",
    "open_bot",
    "publish",
    "rebuild",
    "run",
    "unpublish",
    "update",
]

if TYPE_CHECKING:  # the same table once more, for type checkers and editors
    from huggingtweets.bot import Bot, list_bots, open_bot
    from huggingtweets.config import (
        BotSettings,
        DatasetSettings,
        ImportSettings,
        SamplingSettings,
        TrackingSettings,
        TrainingSettings,
    )
    from huggingtweets.consent import Word
    from huggingtweets.dataset import Dataset, build_dataset
    from huggingtweets.errors import HuggingtweetsError
    from huggingtweets.pipeline import create, download, run
    from huggingtweets.posts import Account, Post
    from huggingtweets.publishing import publish, unpublish
    from huggingtweets.rebuilding import rebuild
    from huggingtweets.upkeep import forget, update
else:
    _HOMES = {
        "bot": "Bot list_bots open_bot",
        "config": "BotSettings DatasetSettings ImportSettings SamplingSettings TrackingSettings TrainingSettings",
        "consent": "Word",
        "dataset": "Dataset build_dataset",
        "errors": "HuggingtweetsError",
        "pipeline": "create download run",
        "posts": "Account Post",
        "publishing": "publish unpublish",
        "rebuilding": "rebuild",
        "upkeep": "forget update",
    }
    _HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
