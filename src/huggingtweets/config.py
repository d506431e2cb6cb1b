"""Every setting, frozen, with its default and where the default comes from.

A setting checks itself when it is made and names the option a person would type. What the user leaves
open (None) is derived later from the machine or the data, and printed.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from huggingtweets.errors import SettingsError

MIN_WORDS = 3  # original: a post with fewer plain words is too short to teach anything
MIN_CHARACTERS = 6_000  # original: below this, training is refused
FEW_CHARACTERS = 40_000  # original: below this, a warning
COPIED_WORDS = 15  # markovify's max_overlap_total: more words in a row than this are a copy
COPIED_SHARE = 0.7  # markovify's max_overlap_ratio: as is a larger share of a shorter text
LARGEST_SEED = 2**32 - 1  # what numpy takes, less the one that the unprompted predictions add
MAX_ACCOUNTS = 3  # original: up to three faces fit on a card
MAX_THREADS = 256  # some way above this, torch's thread pool takes the process down
LONGEST_MINUTES = 60 * 24 * 30.0  # a month
MOST_EPOCHS = 10_000.0
MOST_STEPS = 100_000_000
LARGEST_RANK = 1024
CPU_MINUTES = 5.0  # original: "in about five minutes", then on a GPU
HOTTEST = 100.0  # temperature: far below it every token is as likely as any other
BOTS_DIR = Path("bots")  # where bots live unless told otherwise
DEFAULT_BASE = "gpt2"  # original
EMBEDDED = "smollm2"  # the base that needs no Hub
DEFAULT_PROMPT = "My dream is"  # original
ADAM_BETA1 = 0.9  # AdamW's own default
ONCE_FIXED = {"beta1": ADAM_BETA1, "schedule": "cosine"}  # of trainings from before these were settings
HABITS = "huggingtweets"  # under this name a model folder keeps what nobody but we read


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise SettingsError(message)


def _check_up_to(option: str, value: float | None, most: float) -> None:
    """Refuses nan and infinity too, which compare as no number does."""
    _check(value is None or value > 0, f"{option} must be more than 0, not {value}.")
    _check(value is None or value <= most, f"{option} must be at most {most:g}, not {value}.")


def check_seed(seed: int | None) -> None:
    """Raises SettingsError for a seed that torch and numpy would not both take."""
    _check(seed is None or 0 <= seed < LARGEST_SEED, f"--seed must be 0 to {LARGEST_SEED - 1}, not {seed}.")


def usable_cores() -> int:
    """Those this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int | None) -> None:
    """Raises SettingsError for a number of CPU threads that cannot be."""
    _check(threads is None or 1 <= threads <= MAX_THREADS, f"--threads must be 1 to {MAX_THREADS}, not {threads}.")


@dataclass(frozen=True)
class ImportSettings:
    """How sources are read; None means: find out by looking."""

    text_column: str | None = None
    author: str | None = None  # whose posts to take from a file that holds several people's
    handle: str | None = None
    display_name: str | None = None
    avatar: str | None = None  # path of an image file
    skip_bad_lines: bool = False
    max_posts: int | None = None  # from a network: the newest so many
    own_server: bool = False  # Bluesky: everything from the account's own server, instead of the public feed
    community_posts: bool = True  # X archive: what was posted into communities
    x_dialect: Literal["tweet", "post"] = "tweet"  # which of X's two vocabularies is asked for

    def __post_init__(self) -> None:
        _check(self.max_posts is None or self.max_posts >= 1, f"--max-posts must be at least 1, not {self.max_posts}.")
        _check(self.x_dialect in ("tweet", "post"), f"--x-dialect must be tweet or post, not {self.x_dialect}.")


@dataclass(frozen=True)
class DatasetSettings:
    """How posts are chosen, cleaned and split."""

    unescape_all_html: bool = True  # False: only &amp; &lt; &gt;, as the original
    drop_duplicates: bool = True  # False: as the original
    drop_handmade_retweets: bool = True  # 'RT @x: …' and '"@x: …' typed by hand; False: as the original
    keep_newlines: bool = False  # original: white space, newlines included, becomes one space
    replies: Literal["keep", "strip", "drop"] = "keep"  # strip: of the mentions they begin with; original: keep
    join_threads: bool = False  # an account's answers to itself become one text with what they answer
    since: str | None = None  # ISO date, in UTC: the first day
    until: str | None = None  # ISO date, in UTC: the day after the last
    min_likes: int | None = None
    languages: tuple[str, ...] | None = None  # ISO 639-1, or 639-3 where there is no other
    content_warnings: Literal["skip", "prepend", "omit"] = "skip"  # posts behind one; original: no such posts, omit
    scrub: bool = True  # e-mail addresses and phone numbers; False: as the original
    mentions: Literal["keep", "neutral"] = "keep"  # neutral: nobody is called by name; original: keep
    holdout_fraction: float = 0.1  # original sweep: 90/10
    holdout_max_posts: int = 300  # scoring 300 posts takes under a minute on two cores
    seed: int = 0

    def __post_init__(self) -> None:
        _check(0 <= self.holdout_fraction <= 0.5, f"--holdout must be 0 to 0.5, not {self.holdout_fraction}.")
        check_seed(self.seed)
        _check(self.holdout_max_posts >= 1, "--holdout-max must be at least 1 post.")
        self._check_choices()
        _check(self.min_likes is None or self.min_likes >= 0, f"--min-likes must be at least 0, not {self.min_likes}.")
        object.__setattr__(self, "min_likes", self.min_likes or None)
        for name in ("since", "until"):
            object.__setattr__(self, name, _day(f"--{name}", getattr(self, name)))
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise SettingsError(
                f"--since {self.since} must be before --until {self.until}.",
                next="take one of them back: --since none, or --until none",
            )
        if self.languages is not None:
            object.__setattr__(self, "languages", _languages(self.languages))

    def _check_choices(self) -> None:
        for option, value, choices in (
            ("--replies", self.replies, ("keep", "strip", "drop")),
            ("--warnings", self.content_warnings, ("skip", "prepend", "omit")),
            ("--mentions", self.mentions, ("keep", "neutral")),
        ):
            _check(value in choices, f"{option} must be {', '.join(choices[:-1])} or {choices[-1]}, not {value}.")

    @classmethod
    def original(cls, **changes: Any) -> DatasetSettings:
        """Cleaning exactly as the original huggingtweets did it."""
        faithful = cls(
            unescape_all_html=False,
            drop_duplicates=False,
            drop_handmade_retweets=False,
            content_warnings="omit",
            scrub=False,
        )
        return dataclasses.replace(faithful, **changes)


_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en"
    " eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in io is it iu iw"
    " ja ji jv jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mo mr ms mt"
    " my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm"
    " sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)


def _day(option: str, value: str | None) -> str | None:
    try:
        return None if value is None else date.fromisoformat(value).isoformat()
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{option} must be a day such as 2020-12-31, not {value!r}.") from error


def _languages(codes: Iterable[str]) -> tuple[str, ...]:
    """As a tuple in lower case; JSON brings a list."""
    if isinstance(codes, str):
        codes = codes.split(",")
    named = tuple(dict.fromkeys(str(code).strip().lower() for code in codes))
    ok = bool(named) and all(len(code) in (2, 3) and code.isascii() and code.isalpha() for code in named)
    _check(ok, f"--languages must be codes such as en or pt, separated by commas, not {', '.join(named) or 'nothing'}.")
    unknown = [code for code in named if len(code) == 2 and code not in _ISO_639_1.split()]
    _check(not unknown, f"No language has the code {', '.join(unknown)}: --languages takes ja, not jp, and uk, not ua.")
    return named


@dataclass(frozen=True)
class TrainingSettings:
    """How the base is fine-tuned. A step is an optimizer step, always."""

    recipe: str = "default"
    tokens_per_step: int = 256  # measured, see docs/log.md
    learning_rate: float = 3e-4  # measured, see docs/log.md
    schedule: Literal["linear", "cosine"] = "linear"  # how the rate falls to 0; measured, see docs/log.md
    warmup_steps: int = 20  # measured, see docs/log.md; never more than a fifth of the run
    beta1: float = 0.5  # measured, see docs/log.md: in a run of a hundred steps, ten are too long a memory
    beta2: float = 0.95  # measured, see docs/log.md
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: float | None = None  # passes over the posts; None: at most `recipe_epochs`
    minutes: float | None = None  # fit the steps into this time; None and no epochs: five on a CPU
    steps: int | None = None  # exactly so many, whatever epochs and minutes say
    plans: tuple[tuple[int, int], ...] = ()  # with `steps`: (step, total steps) of each plan that the clock made then
    recipe_epochs: float = 1.0  # measured, see docs/log.md
    adapter_rank: int | None = None  # of a low-rank adapter, which then learns alone; None: the whole model learns
    max_post_tokens: int = 1024  # longer posts are cut; GPT-2's context
    seed: int = 0
    device: str | None = None  # "cpu", "cuda", "mps"
    threads: int | None = None  # CPU threads
    log_every_steps: int = 5  # original
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _check(self.tokens_per_step >= 1, "--tokens-per-step must be at least 1.")
        _check(0 < self.learning_rate < 1, f"--learning-rate must be between 0 and 1, not {self.learning_rate}.")
        _check_up_to("--epochs", self.epochs, MOST_EPOCHS)
        _check_up_to("--minutes", self.minutes, LONGEST_MINUTES)
        _check_up_to("--steps", self.steps, MOST_STEPS)
        _check_up_to("adapter_rank", self.adapter_rank, LARGEST_RANK)
        object.__setattr__(self, "plans", tuple((step, total) for step, total in self.plans))  # JSON gives lists
        check_threads(self.threads)

    @property
    def most_epochs(self) -> float:
        return self.epochs if self.epochs is not None else self.recipe_epochs

    def for_device(self, name: str) -> TrainingSettings:
        """With the time limit that this device gets when the user chose neither minutes nor epochs."""
        if self.minutes is None and self.epochs is None and self.steps is None and name == "cpu":
            return dataclasses.replace(self, minutes=CPU_MINUTES)
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the trained weights; leaves out where and how often it is logged."""
        record = dataclasses.asdict(self)
        left_out = {*_NOT_IDENTITY}
        if self.steps is None:  # older bots lack them, and are not to be trained again for that
            left_out |= {"steps", "plans"}
        if self.adapter_rank is None:
            left_out |= {"adapter_rank"}
        left_out |= {name for name, value in ONCE_FIXED.items() if record[name] == value}
        return {name: value for name, value in record.items() if name not in left_out}

    @classmethod
    def original(cls, **changes: Any) -> TrainingSettings:
        """The original's recipe: 1,024 tokens a step, AdamW 1.372e-4, cosine to 0, four epochs."""
        settings = cls(
            recipe="original",
            tokens_per_step=1024,
            learning_rate=1.372e-4,  # original sweep
            schedule="cosine",  # original sweep
            warmup_steps=0,  # original sweep
            beta1=ADAM_BETA1,  # as the original left it
            beta2=0.999,  # AdamW's own default, which the original left alone
            max_grad_norm=1.0,  # the default of the Trainer that the original used
            epochs=4.0,  # original sweep
        )
        return dataclasses.replace(settings, **changes)

    @classmethod
    def adapter(cls, **changes: Any) -> TrainingSettings:
        """A low-rank adapter over a base that stays as it is."""
        settings = cls(
            recipe="adapter",
            adapter_rank=8,  # measured, see docs/log.md
            learning_rate=4e-3,  # measured, see docs/log.md, with the two below
            schedule="cosine",
            beta1=ADAM_BETA1,
        )
        return dataclasses.replace(settings, **changes)


_NOT_IDENTITY = ("device", "threads", "log_every_steps", "checkpoint_every_s")

RECIPES: dict[str, Callable[[], TrainingSettings]] = {
    "default": TrainingSettings,
    "original": TrainingSettings.original,
    "adapter": TrainingSettings.adapter,
}


@dataclass(frozen=True)
class SamplingSettings:
    """How predictions are drawn. The original's numbers, written into every saved bot."""

    min_length: int = 10  # tokens, separator and start included
    max_length: int = 160  # tokens, separator and start included
    temperature: float = 1.0
    top_p: float = 0.95

    def __post_init__(self) -> None:
        _check_up_to("--temperature", self.temperature, HOTTEST)
        _check(0 < self.top_p <= 1, f"--top-p must be more than 0 and at most 1, not {self.top_p}.")
        _check(self.max_length >= 2, f"--max-length must be at least 2, not {self.max_length}.")
        _check(0 <= self.min_length <= self.max_length, "--min-length must be 0 to --max-length.")


TRACK_MODES = ("auto", "online", "offline", "none")


@dataclass(frozen=True)
class TrackingSettings:
    """What is told to Weights & Biases."""

    mode: Literal["auto", "online", "offline", "none"] = "auto"  # auto: online with a login and a network
    posts: bool = False  # the posts too: they are other people's words

    def __post_init__(self) -> None:
        _check(self.mode in TRACK_MODES, f"--track must be auto, online, offline or none, not {self.mode}.")


@dataclass(frozen=True)
class BotSettings:
    """Everything a bot is made with; kept in its `bot.json`, so that a later command starts from it."""

    base: str = DEFAULT_BASE
    imports: ImportSettings = ImportSettings()
    dataset: DatasetSettings = DatasetSettings()
    training: TrainingSettings = TrainingSettings()
    tracking: TrackingSettings = TrackingSettings()
    seed: int = 0  # of the predictions

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> BotSettings:
        """Reads what an earlier version wrote: unknown settings are left out, missing ones get their default.

        What once was fixed in a training, and is a setting now, keeps its value of then.
        """
        if "training" in record:
            record = {**record, "training": {**ONCE_FIXED, **record["training"]}}
        parts = {
            "imports": ImportSettings,
            "dataset": DatasetSettings,
            "training": TrainingSettings,
            "tracking": TrackingSettings,
        }
        rebuilt = {name: _known(part, record.get(name, {})) for name, part in parts.items()}
        plain = {name: record[name] for name in ("base", "seed") if name in record}
        return cls(**plain, **rebuilt)


def _known(settings: Any, record: dict[str, Any]) -> Any:
    names = {field.name for field in dataclasses.fields(settings)}
    return settings(**{name: value for name, value in record.items() if name in names})
