"""Posts in, training and held-out texts out, with a report whose counts add up.

- In this order: retweets, what the user wants left out, threads joined, personal data removed, short texts dropped,
  duplicates of the same account dropped (same id, or same clean text).
- Held out are the posts whose digest (of seed and text) ranks lowest: no matter in which order the posts came,
  and later posts change the choice as little as possible.
- A training post that nearly repeats a held-out one is set aside, so that the score measures the voice and not
  memory. Nearly means: the sets of five-letter pieces of the two overlap by half or more (Jaccard, Broder 1997).
- What a model was trained on already is never held out for it, nor what nearly repeats that.

Not covered: tokens (see `batches`), and the order of training (see `corpus`).
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from huggingtweets.botdir import lines_as
from huggingtweets.bulk import NewStore, Places, Store
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
PROGRESS_POSTS = 1_000
MIN_LANGUAGE_SHARE = 0.05  # below this it is mostly the detector's error on short posts


class Text(NamedTuple):
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


def read_texts(path: Path) -> Iterator[Text]:
    """The texts of a `train.jsonl` or `holdout.jsonl`, one at a time; raises BotError when a line is damaged."""
    return lines_as(path, Text.from_json)


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
    parts, report = divide(posts, settings or DatasetSettings(), trained)
    return Dataset(list(parts.train), parts.holdout, report)


def divide(
    posts: Iterable[Post],
    settings: DatasetSettings,
    trained: Collection[str] = (),
    new_store: NewStore = list,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Split, DatasetReport]:
    """What `build_dataset` does, with the kept texts in stores of the caller's choice.

    `on_progress` hears how many of the kept posts have been compared with the held-out ones.
    """
    curated = curate(posts, settings, new_store)
    characters = {account: joined_length(texts) for account, texts in curated.kept.items()}
    warnings = check_size(curated.counts, characters) + curated.warnings
    parts = split(curated.kept, settings, trained, on_progress)
    if parts.set_aside > len(parts.train):
        warnings.append(
            f"The posts are much alike: {parts.set_aside} nearly repeat a held-out post and are left out of training. "
            "--holdout 0 trains on all of them, but then nothing can be measured."
        )
    languages = detect_languages(parts.train, settings.seed)
    report = DatasetReport(
        counts=curated.counts,
        characters=characters,
        train_posts=len(parts.train),
        holdout_posts=len(parts.holdout),
        set_aside_posts=parts.set_aside,
        language=next(iter(languages), None),
        languages=languages,
        warnings=warnings,
        scrubbed_posts=curated.scrubbed_posts,
    )
    return parts, report


@dataclass(frozen=True)
class Curated:
    """The kept texts of each account, and what became of every post."""

    kept: dict[str, Store[Text]]
    counts: dict[str, Counts]
    scrubbed_posts: int  # of the kept
    warnings: list[str]


def curate(posts: Iterable[Post], settings: DatasetSettings, new_store: NewStore = list) -> Curated:
    """Everything but the split; every post is counted exactly once."""
    kept: dict[str, Store[Text]] = defaultdict(new_store)
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    seen = Places()
    parts = _wanted(posts, settings, tallies, new_store)
    if settings.join_threads:
        parts = join_threads(parts, "\n" if settings.keep_newlines else " ", new_store)
    for number, part in enumerate(parts):
        text, scrubbed = finished(part, settings)
        reason = _why_dropped(part, text, settings, seen, number)
        tally = tallies[part.account]
        tally[reason or _KEPT] += 1
        if part.joined:
            tally[_JOINED] += len(part.joined)
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


def _wanted(
    posts: Iterable[Post], settings: DatasetSettings, tallies: dict[str, Counter[str]], new_store: NewStore
) -> Iterator[Part]:
    drops_replies = settings.replies == "drop"
    for post, is_talk in conversations(posts, new_store) if drops_replies else ((post, False) for post in posts):
        tally = tallies[post.account]
        if is_retweet(post, settings):
            tally[_RETWEET] += 1
            continue
        part = part_of(post, settings)
        reason = why_left_out(post, part.text, settings, is_talk=is_talk)
        if reason is not None:
            tally[reason] += 1
            continue
        if settings.min_likes is not None and post.likes is None:
            tally[_UNRATED] += 1
        yield part


def _why_dropped(part: Part, text: str, settings: DatasetSettings, seen: Places, number: int) -> str | None:
    if is_short(without_placeholders(text) if settings.scrub else text):
        return _SHORT
    return _DUPLICATE if settings.drop_duplicates and _seen_before(part, text, seen, number) else None


def _seen_before(part: Part, text: str, seen: Places, number: int) -> bool:
    """Whether an earlier number's part had the text or one of the ids; keeps in `seen` what this one has."""
    first = [seen.setdefault((part.account, "text", text), number)]
    first += [seen.setdefault((part.account, "id", known), number) for known in part.ids]
    return min(first) < number


def _counts(tally: Counter[str]) -> Counts:
    left_out = {reason: tally[reason] for reason in LEFT_OUT if tally[reason]}
    return Counts(tally[_RETWEET], tally[_SHORT], tally[_DUPLICATE], tally[_KEPT], tally[_JOINED], left_out)


def _unrated_words(account: str, posts: int) -> str:
    if posts == 1:
        return f"@{account}: 1 post doesn't say how many likes it has; --min-likes does not leave it out."
    return f"@{account}: {posts:,} posts don't say how many likes they have; --min-likes does not leave them out."


def joined_length(texts: Store[Text]) -> int:
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


@dataclass(frozen=True)
class Chosen(Collection[Text]):
    """Some of the kept texts, account after account, read from their stores each time anew."""

    kept: Mapping[str, Store[Text]]
    marks: bytearray  # for each of them 1 or 0

    def __iter__(self) -> Iterator[Text]:
        return itertools.compress(itertools.chain.from_iterable(self.kept.values()), self.marks)

    def __len__(self) -> int:
        return self.marks.count(1)

    def __contains__(self, text: object) -> bool:
        return any(text == other for other in self)


@dataclass(frozen=True)
class Split:
    """What is trained on, what is held out, and how many near-duplicates of the held-out are in neither."""

    train: Chosen
    holdout: list[Text]
    set_aside: int


def split(
    kept: Mapping[str, Store[Text]],
    settings: DatasetSettings,
    trained: Collection[str] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Split:
    """Divides the kept texts; raises TooLittleText where nothing would be left to train on."""
    held_out = _held_out(kept, settings, trained)
    holdout = [kept[account][place] for account, places in held_out.items() for place in sorted(places)]
    repeats = NearDuplicates(text.text for text in holdout)
    marks, total = bytearray(), sum(map(len, kept.values()))
    for account, texts in kept.items():
        for place, text in enumerate(texts):
            marks.append(place not in held_out[account] and not repeats.has(text.text))
            if len(marks) % PROGRESS_POSTS == 0:
                on_progress(len(marks), total)
    train = Chosen(kept, marks)
    if not len(train):
        raise TooLittleText(
            "Every post nearly repeats a held-out one, so nothing is left to train on.",
            why="The account posts the same few sentences again and again.",
            next="add --holdout 0 to train on all of them, without scores",
        )
    return Split(train, holdout, total - len(holdout) - len(train))


def _held_out(
    kept: Mapping[str, Store[Text]], settings: DatasetSettings, trained: Collection[str]
) -> dict[str, set[int]]:
    """The places of each account's held-out texts."""
    share = settings.holdout_max_posts // len(kept)
    sizes = {account: min(share, round(settings.holdout_fraction * len(texts))) for account, texts in kept.items()}
    candidates = {account: _ranked(texts, sizes[account], settings.seed, trained) for account, texts in kept.items()}
    spoiled = _spoiled(kept, candidates, trained)
    return {
        account: set([place for place in places if (account, place) not in spoiled][: sizes[account]])
        for account, places in candidates.items()
    }


def _ranked(texts: Store[Text], size: int, seed: int, trained: Collection[str]) -> list[int]:
    """The places of the texts that may be held out, first choice first; some to spare where a model exists already."""
    ranked = (
        (_rank(text, seed), place) for place, text in enumerate(texts) if not trained or mark(text) not in trained
    )
    return [place for _, place in heapq.nsmallest(SPARE * size if trained else size, ranked)]


def _spoiled(
    kept: Mapping[str, Store[Text]], candidates: dict[str, list[int]], trained: Collection[str]
) -> set[tuple[str, int]]:
    """Which candidates nearly repeat a text that the model was trained on: a score on them would measure memory."""
    if not trained:
        return set()
    places = [(account, place) for account, those in candidates.items() for place in those]
    repeats = NearDuplicates(kept[account][place].text for account, place in places)
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
        known = self._texts_with.keys() & pieces
        if len(known) < NEAR_DUPLICATE * len(pieces):  # of which any one text has no more
            return
        shared = Counter(itertools.chain.from_iterable(self._texts_with[piece] for piece in known))
        for number, both in shared.items():
            if both >= NEAR_DUPLICATE * (len(pieces) + self._sizes[number] - both):
                yield number


def _pieces(text: str) -> set[str]:
    letters = "".join(filter(str.isalnum, text.casefold())) or text
    return {letters[i : i + PIECE_LETTERS] for i in range(max(1, len(letters) - PIECE_LETTERS + 1))}


def detect_languages(texts: Collection[Text], seed: int) -> dict[str, float]:
    """ISO 639-1 codes with their share of the posts, largest first; from a seeded sample of the posts."""
    sample = random.Random(seed).sample(range(len(texts)), min(len(texts), LANGUAGE_SAMPLE_POSTS))
    wanted = set(sample)
    found = {place: likeliest(text.text) for place, text in enumerate(texts) if place in wanted}
    tally = Counter(found[place] for place in sample)
    shares = {language: round(count / len(sample), 3) for language, count in tally.most_common()}
    main = dict(list(shares.items())[:1])
    return main | {language: share for language, share in shares.items() if share >= MIN_LANGUAGE_SHARE}
