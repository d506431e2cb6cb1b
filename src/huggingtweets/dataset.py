"""Posts in, training and held-out texts out, with a report whose counts add up.

- Cleaned, then duplicates of the same account dropped: same id, or same clean text.
- Held out are the posts whose digest (of seed and text) ranks lowest: no matter in which order the posts came,
  and later posts change the choice as little as possible.
- A training post that nearly repeats a held-out one is set aside, so that the score measures the voice and not
  memory. Nearly means: the sets of five-letter pieces of the two overlap by half or more (Jaccard, Broder 1997).
- Several accounts weigh the same: in every epoch each is repeated until it is as long as the longest, as in the
  original.

Not covered: tokens (see `batches`).
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from huggingtweets.cleaning import clean, why_dropped
from huggingtweets.config import FEW_CHARACTERS, MIN_CHARACTERS, DatasetSettings
from huggingtweets.errors import TooLittleText
from huggingtweets.posts import Post
from huggingtweets.reports import Counts, DatasetReport

NEAR_DUPLICATE = 0.5  # Jaccard of five-letter pieces; measured, see docs/log.md
PIECE_LETTERS = 5
SEPARATOR_CHARACTERS = len("<|endoftext|>")  # original: its thresholds count the joined text
LANGUAGE_SAMPLE_POSTS = 1_000  # detection takes 0.3 ms a post
MIN_LANGUAGE_SHARE = 0.05  # below this it is mostly the detector's error on short posts


@dataclass(frozen=True, slots=True)
class Text:
    """One clean post."""

    account: str
    text: str

    def to_json(self) -> dict[str, str]:
        return {"account": self.account, "text": self.text}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Text:
        """The inverse of `to_json`; raises KeyError or TypeError on a damaged record."""
        account, text = record["account"], record["text"]
        if not (isinstance(account, str) and isinstance(text, str)):
            raise TypeError("account and text must be strings")
        return cls(account, text)


@dataclass(frozen=True)
class Dataset:
    """What `dataset/` holds."""

    train: list[Text]
    holdout: list[Text]
    report: DatasetReport


def build_dataset(
    posts: Iterable[Post], settings: DatasetSettings | None = None, trained: Collection[str] = ()
) -> Dataset:
    """Cleans, dedupes and splits; what bears one of the marks in `trained` is never held out.

    Raises TooLittleText when an account has fewer than 6,000 characters left, the original's threshold.
    """
    settings = settings or DatasetSettings()
    kept, counts = curate(posts, settings)
    characters = {account: joined_length(texts) for account, texts in kept.items()}
    warnings = check_size(counts, characters)
    train, holdout, set_aside = split(kept, settings, trained)
    if set_aside > len(train):
        warnings.append(
            f"The posts are much alike: {set_aside} nearly repeat a held-out post and are left out of training. "
            "--holdout 0 trains on all of them, but then nothing can be measured."
        )
    languages = detect_languages([text.text for text in train], settings.seed)
    report = DatasetReport(
        counts=counts,
        characters=characters,
        train_posts=len(train),
        holdout_posts=len(holdout),
        set_aside_posts=set_aside,
        language=next(iter(languages), None),
        languages=languages,
        warnings=warnings,
    )
    return Dataset(train, holdout, report)


def curate(posts: Iterable[Post], settings: DatasetSettings) -> tuple[dict[str, list[Text]], dict[str, Counts]]:
    """The kept texts of each account in the order they came, and what became of every post."""
    kept: dict[str, list[Text]] = defaultdict(list)
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    seen: set[tuple[str, str, str]] = set()
    for post in posts:
        text = clean(post, settings)
        reason: str | None = why_dropped(post, text, settings)
        if reason is None and settings.drop_duplicates and _seen_before(post, text, seen):
            reason = "duplicate"
        tallies[post.account][reason or "kept"] += 1
        if reason is None:
            kept[post.account].append(Text(post.account, text))
    counts = {
        account: Counts(tally["retweet"], tally["short"], tally["duplicate"], tally["kept"])
        for account, tally in tallies.items()
    }
    return {account: kept[account] for account in counts}, counts


def _seen_before(post: Post, text: str, seen: set[tuple[str, str, str]]) -> bool:
    marks = {(post.account, "text", text)}
    if post.id is not None:
        marks.add((post.account, "id", post.id))
    known = not marks.isdisjoint(seen)
    seen |= marks
    return known


def joined_length(texts: Sequence[Text]) -> int:
    """Characters of the posts joined by the original's separator, which its thresholds count."""
    return sum(len(text.text) for text in texts) + SEPARATOR_CHARACTERS * max(0, len(texts) - 1)


def check_size(counts: dict[str, Counts], characters: dict[str, int]) -> list[str]:
    """The warnings to show; raises TooLittleText, naming the account and its counts."""
    if not counts:
        raise TooLittleText("There are no posts.", next="pass a file or account that has some")
    warnings = []
    for account, size in characters.items():
        if size < MIN_CHARACTERS:
            raise TooLittleText(
                f"Too little text to learn a voice from @{account}: {size:,} characters are left, and "
                f"{MIN_CHARACTERS:,} are needed ({counts[account]}).",
                why="Retweets, short posts and duplicates never train a bot.",
                next="pass a longer export of the account's posts",
            )
        if size < FEW_CHARACTERS:
            warnings.append(
                f"@{account} has only {size:,} characters of text; from {FEW_CHARACTERS:,} on bots sound better."
            )
    return warnings


def split(
    kept: dict[str, list[Text]], settings: DatasetSettings, trained: Collection[str] = ()
) -> tuple[list[Text], list[Text], int]:
    """Training texts, held-out texts, and how many near-duplicates were set aside."""
    share = settings.holdout_max_posts // len(kept)
    holdout: list[Text] = []
    rest: list[Text] = []
    for texts in kept.values():
        size = min(share, round(settings.holdout_fraction * len(texts)))
        free = [i for i in range(len(texts)) if not trained or mark(texts[i]) not in trained]
        ranked = sorted(free, key=lambda i: _rank(texts[i], settings.seed))
        chosen = set(ranked[:size])
        holdout += [text for i, text in enumerate(texts) if i in chosen]
        rest += [text for i, text in enumerate(texts) if i not in chosen]
    repeats = NearDuplicates(text.text for text in holdout)
    train = [text for text in rest if not repeats.has(text.text)]
    if not train:
        raise TooLittleText(
            "Every post nearly repeats a held-out one, so nothing is left to train on.",
            why="The account posts the same few sentences again and again.",
            next="add --holdout 0 to train on all of them, without scores",
        )
    return train, holdout, len(rest) - len(train)


def mark(text: Text) -> str:
    """Tells a text from others without holding its words."""
    return hashlib.sha256(f"{text.account}\0{text.text}".encode("utf-8", "replace")).hexdigest()[:32]


def _rank(text: Text, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{text.text}".encode("utf-8", "replace")).digest()


class NearDuplicates:
    """Answers whether a text nearly repeats one of a small set of texts, in time linear in the text.

    >>> NearDuplicates(["Watch live at 3 pm: the launch"]).has("Watch live at 4 pm: the launch!")
    True
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._sizes: list[int] = []
        self._texts_with: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(texts):
            pieces = _pieces(text)
            self._sizes.append(len(pieces))
            for piece in pieces:
                self._texts_with[piece].append(number)

    def has(self, text: str) -> bool:
        pieces = _pieces(text)
        shared: Counter[int] = Counter()
        for piece in pieces:
            shared.update(self._texts_with.get(piece, ()))
        return any(
            both >= NEAR_DUPLICATE * (len(pieces) + self._sizes[number] - both) for number, both in shared.items()
        )


def _pieces(text: str) -> set[str]:
    letters = "".join(filter(str.isalnum, text.casefold())) or text
    return {letters[i : i + PIECE_LETTERS] for i in range(max(1, len(letters) - PIECE_LETTERS + 1))}


def epoch(train: Sequence[Text], number: int, seed: int) -> list[str]:
    """The texts of one epoch in training order: accounts balanced by characters, shuffled anew each epoch."""
    rng = random.Random(f"{seed}-{number}")
    accounts: dict[str, list[str]] = defaultdict(list)
    for text in train:
        accounts[text.account].append(text.text)
    longest = max(sum(map(len, texts)) for texts in accounts.values())
    order = [text for texts in accounts.values() for text in _repeated(texts, longest, rng)]
    rng.shuffle(order)
    return order


def _repeated(texts: list[str], characters: int, rng: random.Random) -> list[str]:
    """The texts over and over, each round in another order, until they are that long; the longest just once."""
    repeated: list[str] = []
    length = 0
    while length < characters:
        round_ = rng.sample(texts, len(texts))
        for text in round_:
            if length >= characters:
                break
            repeated.append(text)
            length += len(text)
    return repeated


def detect_languages(texts: Sequence[str], seed: int) -> dict[str, float]:
    """ISO 639-1 codes with their share of the posts, largest first; from a seeded sample of the posts."""
    import py3langid

    sample = random.Random(seed).sample(texts, min(len(texts), LANGUAGE_SAMPLE_POSTS))
    tally = Counter(py3langid.classify(text)[0] for text in sample)
    shares = {language: round(count / len(sample), 3) for language, count in tally.most_common()}
    main = dict(list(shares.items())[:1])
    return main | {language: share for language, share in shares.items() if share >= MIN_LANGUAGE_SHARE}
