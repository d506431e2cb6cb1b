"""The Hugging Face Hub: a bot's repositories made, brought up to date, and taken down.

In: a repository's name and the files that belong in it. Out: where they are now, or PublishError with the next command.

- One commit, of which only what changed is sent; large files that an interrupted upload had sent already are not sent
  again. Both are the Hub client's own doing, by digest.
- What may pass (a dropped connection, 5xx, 429) is tried again, later each time (see `patience`); everything else is
  one sentence (see `refusals`).
- The login is the Hub client's own, or HF_TOKEN. It is handed to no file, message or record.
- Files go by Xet to the Hub itself, and by plain HTTP to any other server.

Not covered: what belongs in a repository (see `publishing`), models that are downloaded (see `bases`).
"""

from __future__ import annotations

from huggingtweets.hub.addresses import is_at_home
from huggingtweets.hub.client import Hub, Item, Repo, Standing, check_name
from huggingtweets.hub.patience import AsksTooMuch, patiently
from huggingtweets.hub.refusals import without_token

__all__ = ["AsksTooMuch", "Hub", "Item", "Repo", "Standing", "check_name", "is_at_home", "patiently", "without_token"]
