"""huggingtweets turns an account's posts into a small language model that writes new posts in that voice.

>>> import huggingtweets as ht
>>> bot = ht.create("posts.csv", base="gpt2")  # doctest: +SKIP
>>> bot.generate("My dream is", n=5)           # doctest: +SKIP
"""

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
