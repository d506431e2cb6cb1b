"""The training posts as token ids, in the order of any epoch, in 16 bytes of memory a post.

In: clean texts, one at a time. Out: `[start] tokens [end]` of every post of an epoch, one post at a time.

- Several accounts weigh the same: in every epoch each is repeated until it is as long as the longest, as in the
  original.
- Every post is encoded once. The ids lie in a file without a name, which is gone with the process.
- `lengths_of_epoch` tells how long an epoch's posts are without reading them, so that steps can be counted beforehand.

Not covered: which posts make a step (see `batches`).
"""

from __future__ import annotations

import itertools
import mmap
import random
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from huggingtweets.batches import encode
from huggingtweets.dataset import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ENCODED_AT_ONCE = 1_000  # posts


class Corpus:
    """The token ids of at least one text.

    `seed` decides the order of the posts; `folder` is where the file lies, as big as four bytes a token.
    """

    def __init__(
        self, texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, max_tokens: int, seed: int, folder: Path
    ) -> None:
        self._seed = seed
        self._accounts, self._characters = array("I"), array("I")  # of every post
        self._ends = array("Q", [0])  # where post i begins in the file and the one before it ends, in tokens
        numbers: dict[str, int] = {}
        remaining = iter(texts)
        with tempfile.TemporaryFile(dir=folder) as file:
            while some := list(itertools.islice(remaining, ENCODED_AT_ONCE)):
                self._accounts.extend(numbers.setdefault(text.account, len(numbers)) for text in some)
                self._characters.extend(len(text.text) for text in some)
                posts = encode([text.text for text in some], tokenizer, max_tokens)
                self._ends.extend(itertools.accumulate(map(len, posts), initial=self._ends.pop()))
                array("I", itertools.chain.from_iterable(posts)).tofile(file)
            file.flush()
            self._tokens = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("I")

    def __len__(self) -> int:
        return len(self._accounts)

    def __getitem__(self, place: int) -> list[int]:
        return self._tokens[self._ends[place] : self._ends[place + 1]].tolist()

    def posts_of_epoch(self, number: int) -> Iterator[list[int]]:
        """In training order; several accounts weigh the same."""
        return map(self.__getitem__, self._order(number))

    def lengths_of_epoch(self, number: int) -> Iterator[int]:
        """Of the posts that `posts_of_epoch` gives: their tokens, separators included."""
        return (self._ends[place + 1] - self._ends[place] for place in self._order(number))

    def _order(self, number: int) -> array[int]:
        return epoch_order(self._accounts, self._characters, number, self._seed)


def epoch(train: Sequence[Text], number: int, seed: int) -> list[str]:
    """The texts of one epoch in training order."""
    accounts, characters = [text.account for text in train], [len(text.text) for text in train]
    return [train[place].text for place in epoch_order(accounts, characters, number, seed)]


def epoch_order(accounts: Iterable[Hashable], characters: Sequence[int], number: int, seed: int) -> array[int]:
    """The places of one epoch's texts: accounts balanced by characters, shuffled anew each epoch.

    >>> sorted(epoch_order("aab", [10, 10, 20], number=0, seed=0))
    [0, 1, 2]
    """
    rng = random.Random(f"{seed}-{number}")
    places_of: dict[Hashable, array[int]] = defaultdict(lambda: array("I"))
    for place, account in enumerate(accounts):
        places_of[account].append(place)
    longest = max(sum(characters[place] for place in places) for places in places_of.values())
    order = array("I")
    for places in places_of.values():
        order.extend(_repeated(places, characters, longest, rng))
    rng.shuffle(order)
    return order


def _repeated(places: array[int], characters: Sequence[int], longest: int, rng: random.Random) -> Iterator[int]:
    """The places over and over, each round in another order, until their texts are that long; the longest just once."""
    length = 0
    while length < longest:
        for place in rng.sample(places, len(places)):
            if length >= longest:
                break
            yield place
            length += characters[place]
