"""What reading one record gives: a post of somebody, or why it is none."""

from __future__ import annotations

from dataclasses import dataclass

from huggingtweets.posts import Post
from huggingtweets.sources.files.authors import Author


@dataclass(frozen=True, slots=True)
class Found:
    """A post, before it is known whose posts are wanted: `post.account` is still empty."""

    post: Post
    author: Author | None
    tells_reposts: bool  # whether the record has a field that would say if it were one
    details_lost: tuple[tuple[str, str], ...] = ()  # what and an example, as for a Tally


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that is no post: why, an example, and the keys it has."""

    what: str
    example: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Somebody's profile among the posts: no row, but it says who they are."""

    author: Author


Read = Found | Unusable | Profile
