"""What a source handed over, as the tests look at it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from huggingtweets.posts import Account, Post
from huggingtweets.sources.base import Page
from huggingtweets.sources.tally import WHOLE_POSTS


@dataclass
class Result:
    """All pages of one reading."""

    pages: list[Page]

    @property
    def posts(self) -> list[Post]:
        return [post for page in self.pages for post in page.posts]

    @property
    def texts(self) -> list[str]:
        return [post.text for post in self.posts]

    @property
    def ids(self) -> list[str | None]:
        return [post.id for post in self.posts]

    @property
    def kinds(self) -> list[str]:
        return [post.kind for post in self.posts]

    @property
    def account(self) -> Account:
        found = self.pages[0].account
        assert found is not None
        return found

    @property
    def losses(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for page in self.pages:
            for loss in page.losses:
                counts[loss.what] += loss.count
        return dict(counts)

    @property
    def rows(self) -> int:
        """Posts and whole rows lost: what the source held."""
        return len(self.posts) + sum(self.losses.get(what, 0) for what in WHOLE_POSTS)
