"""Whether a text copies a post: run by run of words, without a model and without torch.

A text copies when a run of more than 15 of its words in a row, or of more than 70 % of them where it is shorter, stands
in one post (markovify's measure, which rejects such sentences). Case, punctuation and spacing don't count.

- The runs of the few texts are kept, the posts are read once and one at a time: a million posts take no memory.
- A post that shares not even the beginning of a run is passed over at once, which nearly all are.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from huggingtweets.config import COPIED_SHARE, COPIED_WORDS

# Scripts that put no space between words: each sign counts as a word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_]+")


def words_of(text: str) -> list[str]:
    """
    >>> words_of("Don't panic, 東京!")
    ['don', 't', 'panic', '東', '京']
    """
    return _WORD.findall(text.casefold())


def copied_run(words: int) -> int:
    """How many words in a row make a text of so many words a copy.

    >>> copied_run(10), copied_run(100)
    (8, 16)
    """
    return min(COPIED_WORDS, round(COPIED_SHARE * words)) + 1


def find_copies(texts: Sequence[str], posts: Iterable[str], own: Sequence[int] | None = None) -> list[str | None]:
    """For each text the post it copies from, or None; of several posts the one it shares most runs with.

    With `own`, text i is post number `own[i]` itself, which doesn't count. Reads the posts once, one at a time.
    """
    texts_with = _wanted_runs(texts)
    shortest = min(texts_with, default=1)
    beginnings = {run[:shortest] for wanted in texts_with.values() for run in wanted}
    best = [(0, "")] * len(texts)
    for number, post in enumerate(posts):
        words = words_of(post)
        if beginnings.isdisjoint(runs_of(words, shortest)):
            continue  # nearly every post
        shared = Counter(
            text
            for length, wanted in texts_with.items()
            for run in runs_of(words, length)
            for text in wanted.get(run, ())
            if own is None or own[text] != number
        )
        for text, runs in shared.items():
            best[text] = max(best[text], (runs, post), key=lambda found: found[0])
    return [post if runs else None for runs, post in best]


def _wanted_runs(texts: Sequence[str]) -> dict[int, dict[tuple[str, ...], set[int]]]:
    """By length, each run of words to look for and the texts that have it."""
    wanted: dict[int, dict[tuple[str, ...], set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, text in enumerate(texts):
        words = words_of(text)
        length = copied_run(len(words))
        for run in runs_of(words, length):
            wanted[length][run].add(number)
    return wanted


def runs_of(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    """Every run of so many words in a row."""
    return (tuple(words[i : i + length]) for i in range(len(words) - length + 1))
