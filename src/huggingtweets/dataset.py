"""Posts in, training and held-out texts out, with a report whose counts add up.

- In this order: retweets, what the user wants left out, threads joined, personal data removed, short texts dropped,
  duplicates of the same account dropped (same id, or same clean text).
- Held out are the posts whose digest (of seed and text) ranks lowest: no matter in which order the posts came,
  and later posts change the choice as little as possible.
- A training post that nearly repeats a held-out one is set aside, so that the score measures the voice and not
  memory. Nearly means: the sets of five-letter pieces of the two overlap by half or more (Jaccard, Broder 1997).
- What a model was trained on already is never held out for it, nor what nearly repeats that.
- Several accounts weigh the same: in every epoch each is repeated until it is as long as the longest, as in the
  original.

Not covered: tokens (see `batches`).
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from huggingtweets.cleaning import is_retweet, is_short
from huggingtweets.config import FEW_CHARACTERS, MIN_CHARACTERS, DatasetSettings
from huggingtweets.curation import LEFT_OUT, Part, conversations, finished, join_threads, part_of, why_left_out
from huggingtweets.errors import TooLittleText
from huggingtweets.languages import likeliest
from huggingtweets.posts import Post
from huggingtweets.privacy import without_placeholders
from huggingtweets.reports import Counts, DatasetReport

NEAR_DUPLICATE = 0.5  # Jaccard of five-letter pieces; measured, see docs/log.md
PIECE_LETTERS = 5
SEPARATOR_CHARACTERS = len("<|endoftext|>")  # original: its thresholds count the joined text
SPARE = 4  # candidates for each post that an update holds out; some of them repeat what was trained on
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
    curated = curate(posts, settings)
    kept, counts = curated.kept, curated.counts
    characters = {account: joined_length(texts) for account, texts in kept.items()}
    warnings = check_size(counts, characters) + curated.warnings
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
        scrubbed_posts=curated.scrubbed_posts,
    )
    return Dataset(train, holdout, report)


@dataclass(frozen=True)
class Curated:
    """The kept texts of each account, and what became of every post."""

    kept: dict[str, list[Text]]
    counts: dict[str, Counts]
    scrubbed_posts: int  # of the kept
    warnings: list[str]


def curate(posts: Iterable[Post], settings: DatasetSettings) -> Curated:
    """Everything but the split; every post is counted exactly once."""
    kept: dict[str, list[Text]] = defaultdict(list)
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    seen: set[bytes] = set()
    parts = _wanted(posts, settings, tallies)
    for part in join_threads(parts, "\n" if settings.keep_newlines else " ") if settings.join_threads else parts:
        text, scrubbed = finished(part, settings)
        reason = _why_dropped(part, text, settings, seen)
        tally = tallies[part.account]
        tally[_JOINED] += len(part.joined)
        tally[reason or _KEPT] += 1
        if reason is None:
            kept[part.account].append(Text(part.account, text))
            tally[_SCRUBBED] += scrubbed
    return Curated(
        {account: kept[account] for account in tallies},
        {account: _counts(tally) for account, tally in tallies.items()},
        sum(tally[_SCRUBBED] for tally in tallies.values()),
        [_unrated_words(account, tally[_UNRATED]) for account, tally in tallies.items() if tally[_UNRATED]],
    )


_RETWEET, _SHORT, _DUPLICATE, _KEPT = "retweet", "short", "duplicate", "kept"
_JOINED, _SCRUBBED, _UNRATED = "joined", "scrubbed", "unrated"


def _wanted(posts: Iterable[Post], settings: DatasetSettings, tallies: dict[str, Counter[str]]) -> Iterator[Part]:
    drops_replies = settings.replies == "drop"
    for post, is_talk in conversations(posts) if drops_replies else ((post, False) for post in posts):
        tally = tallies[post.account]
        if is_retweet(post, settings):
            tally[_RETWEET] += 1
            continue
        part = part_of(post, settings)
        reason = why_left_out(post, part.text, settings, is_talk=is_talk)
        if reason is not None:
            tally[reason] += 1
            continue
        tally[_UNRATED] += settings.min_likes is not None and post.likes is None
        yield part


def _why_dropped(part: Part, text: str, settings: DatasetSettings, seen: set[bytes]) -> str | None:
    if is_short(without_placeholders(text) if settings.scrub else text):
        return _SHORT
    return _DUPLICATE if settings.drop_duplicates and _seen_before(part, text, seen) else None


def _seen_before(part: Part, text: str, seen: set[bytes]) -> bool:
    """An account may have millions of posts, so what was seen is kept as digests."""
    marks = {_digest(part.account, "text", text), *(_digest(part.account, "id", known) for known in part.ids)}
    known = not marks.isdisjoint(seen)
    seen |= marks
    return known


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()


def _counts(tally: Counter[str]) -> Counts:
    left_out = {reason: tally[reason] for reason in LEFT_OUT if tally[reason]}
    return Counts(tally[_RETWEET], tally[_SHORT], tally[_DUPLICATE], tally[_KEPT], tally[_JOINED], left_out)


def _unrated_words(account: str, posts: int) -> str:
    if posts == 1:
        return f"@{account}: 1 post doesn't say how many likes it has; --min-likes does not leave it out."
    return f"@{account}: {posts:,} posts don't say how many likes they have; --min-likes does not leave them out."


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
                next="pass a longer export of the account's posts"
                + (", or leave fewer of them out: --cleaning ours begins anew" if counts[account].left_out else ""),
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
    sizes = {account: min(share, round(settings.holdout_fraction * len(texts))) for account, texts in kept.items()}
    candidates = {account: _ranked(texts, sizes[account], settings.seed, trained) for account, texts in kept.items()}
    spoiled = _spoiled(kept, candidates, trained)
    holdout: list[Text] = []
    rest: list[Text] = []
    for account, texts in kept.items():
        chosen = set([i for i in candidates[account] if (account, i) not in spoiled][: sizes[account]])
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


def _ranked(texts: list[Text], size: int, seed: int, trained: Collection[str]) -> list[int]:
    """The places of the texts that may be held out, first choice first; some to spare where a model exists already."""
    if not trained:
        return heapq.nsmallest(size, range(len(texts)), key=lambda i: _rank(texts[i], seed))
    free = (i for i, text in enumerate(texts) if mark(text) not in trained)
    return heapq.nsmallest(SPARE * size, free, key=lambda i: _rank(texts[i], seed))


def _spoiled(
    kept: dict[str, list[Text]], candidates: dict[str, list[int]], trained: Collection[str]
) -> set[tuple[str, int]]:
    """Which candidates nearly repeat a text that the model was trained on: a score on them would measure memory."""
    if not trained:
        return set()
    places = [(account, i) for account, those in candidates.items() for i in those]
    repeats = NearDuplicates(kept[account][i].text for account, i in places)
    known = (text for texts in kept.values() for text in texts if mark(text) in trained)
    return {places[number] for text in known for number in repeats.of(text.text)}


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
        return any(True for _ in self.of(text))

    def of(self, text: str) -> Iterator[int]:
        """The places of those that the text nearly repeats."""
        pieces = _pieces(text)
        shared: Counter[int] = Counter()
        for piece in pieces:
            shared.update(self._texts_with.get(piece, ()))
        for number, both in shared.items():
            if both >= NEAR_DUPLICATE * (len(pieces) + self._sizes[number] - both):
                yield number


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
    sample = random.Random(seed).sample(texts, min(len(texts), LANGUAGE_SAMPLE_POSTS))
    tally = Counter(likeliest(text) for text in sample)
    shares = {language: round(count / len(sample), 3) for language, count in tally.most_common()}
    main = dict(list(shares.items())[:1])
    return main | {language: share for language, share in shares.items() if share >= MIN_LANGUAGE_SHARE}
