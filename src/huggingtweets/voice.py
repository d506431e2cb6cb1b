"""A model folder that writes posts: what a pipeline of transformers would draw from it, as tidy texts.

In: a folder as `save_bot` or the original huggingtweets wrote it, and how the posts begin. Out: the posts, whole or
piece by piece while they are written; the pieces of a seed joined are the posts of that seed.

- The sampling defaults are the folder's own: `generation_config.json`, and under it the `task_specific_params` that
  the original's bots carry alone.
- On a CPU the fast writer draws where it can, and torch is never imported; else transformers does (see `writers`).
- What else a folder knows of its bot, such as that its posts have lines, stands under `huggingtweets` in its
  `config.json`, or an adapter's `generation_config.json`, which transformers reads over.
- An adapter writes in one batch with others over the same base (`writers.mixed`).
- A post begins with the prompt, holds no separator, and ends where the post ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

from huggingtweets.adapters import is_adapter
from huggingtweets.botdir import key_of, read_json
from huggingtweets.config import HABITS, DatasetSettings, SamplingSettings, check_seed, check_threads
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.privacy import neutral_mentions
from huggingtweets.writers.base import Order

if TYPE_CHECKING:
    from huggingtweets.writers.base import Writer
    from huggingtweets.writers.plain import PlainWriter

MIN_NEW_TOKENS = 40  # left to a prompt that is itself near max_length: about one post

_GROWING_MENTION = re.compile(r"[@＠]\S*\Z")  # only white space is sure to end one


class Piece(NamedTuple):
    """What was added to one of several posts."""

    post: int
    text: str


def texts_of(pieces: Iterable[Piece], n: int) -> list[str]:
    """
    >>> texts_of([Piece(0, "My"), Piece(1, "Our"), Piece(0, " dream")], 2)
    ['My dream', 'Our']
    """
    texts = [""] * n
    for post, text in pieces:
        texts[post] += text
    return texts


class Drawing(TypedDict, total=False):
    """What `stream` may be told besides, as keywords; its signature has the defaults."""

    seed: int | None
    sampling: SamplingSettings | None
    device: str | None
    threads: int | None
    say: Callable[[str], None]


@dataclass(frozen=True)
class Voice:
    """A model that writes posts."""

    folder: Path
    name: str = ""  # what a person calls it; the folder's own name where there is none
    keeps_newlines: bool = False
    names_nobody: bool = False  # no text mentions a real account, whatever the base model has read
    fast: Path | None = None  # where the fast writer keeps its copy of the weights; None: transformers writes

    def generate(self, prompt: str = "", n: int = 1, **drawing: Unpack[Drawing]) -> list[str]:
        """`n` posts that begin with `prompt`, of the distribution that transformers' pipeline draws from.

        The same seed gives the same texts. `say` is told when something slow begins. Raises SettingsError when the
        prompt leaves no room for a post, and BaseModelError when the folder holds no model that can be loaded.
        """
        return texts_of(self.stream(prompt, n, **drawing), n)

    def stream(
        self,
        prompt: str = "",
        n: int = 1,
        *,
        seed: int | None = None,
        sampling: SamplingSettings | None = None,
        device: str | None = None,
        threads: int | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Piece]:
        """What `generate` returns, piece by piece, all posts growing at once; nothing is ever taken back."""
        if n < 1:
            raise SettingsError(f"-n must be at least 1, not {n}.")
        check_seed(seed)
        check_threads(threads)
        prompt = prompt.encode("utf-8", "replace").decode()  # a terminal in another encoding hands over surrogates
        writer = self._writer(device, say)
        ids = [writer.start, *writer.encode(prompt)]
        order = Order(ids, n, _lengthened(sampling or self.sampling, len(ids), writer), seed, device, threads)
        return self._pieces(writer, order, prompt)

    def _pieces(self, writer: Writer, order: Order, prompt: str) -> Iterator[Piece]:
        posts = [_Growing(self, writer, prompt, order.prompt) for _ in range(order.n)]
        for index, token in writer.draw(order):
            if text := posts[index].add(token):
                yield Piece(index, text)
        for index, post in enumerate(posts):
            if text := post.end():
                yield Piece(index, text)

    def _writer(self, device: str | None, say: Callable[[str], None]) -> Writer:
        """The fast one on a CPU wherever it can; asked for every time, since the model may have changed."""
        if is_adapter(self.folder):
            from huggingtweets.writers.mixed import mixed_writer

            return mixed_writer(self.folder, self.name, device) or self._plain_writer
        if self.fast is not None and device in (None, "cpu"):
            from huggingtweets.writers.fast import fast_writer, has_gpu

            if device == "cpu" or not has_gpu():
                return fast_writer(self.folder, self.fast, self.name, say) or self._plain_writer
        return self._plain_writer

    @cached_property
    def _plain_writer(self) -> PlainWriter:
        from huggingtweets.writers.plain import PlainWriter

        return PlainWriter(self.folder, self.name)

    @cached_property
    def sampling(self) -> SamplingSettings:
        """The defaults that the model was saved with; ours where they are none that we could draw by."""
        params = _mapping(_mapping(self.folder / "config.json").get("task_specific_params"))
        saved = {**_mapping(params.get("text-generation")), **_mapping(self.folder / "generation_config.json")}
        kinds = {field.name: (int, type(field.default)) for field in fields(SamplingSettings)}
        known = {name: saved[name] for name, kind in kinds.items() if isinstance(saved.get(name), kind)}
        try:
            return SamplingSettings(**known)
        except SettingsError:
            return SamplingSettings()


def voice_in(folder: Path, name: str = "") -> Voice:
    """The voice of a model folder, as it was saved; what makes it fast is kept in the user's cache."""
    from huggingtweets.bases import cache_folder

    config = _mapping(folder / ("generation_config.json" if is_adapter(folder) else "config.json"))
    habits = _mapping(config.get(HABITS))
    fast = cache_folder() / "fast" / key_of(folder.resolve().as_posix())
    return Voice(folder, name, habits.get("keep_newlines") is True, habits.get("mentions") == "neutral", fast)


def habits_of(settings: DatasetSettings) -> dict[str, Any]:
    """What a model folder has to know of how its bot's posts were cleaned, to write like them.

    >>> habits_of(DatasetSettings(mentions="neutral"))
    {'mentions': 'neutral'}
    """
    chosen = {"keep_newlines": settings.keep_newlines, "mentions": settings.mentions}
    return {name: value for name, value in chosen.items() if value != getattr(DatasetSettings, name)}


def _mapping(value: object) -> dict[str, Any]:
    """Of a JSON file, or of what stands in one; empty where there is no such thing."""
    if isinstance(value, Path):
        with contextlib.suppress(BotError):  # missing or damaged; who loads the model will say so
            value = read_json(value)
    return value if isinstance(value, dict) else {}


class _Growing:
    """A post as it is written; what it hands out can't be changed by the tokens to come."""

    def __init__(self, voice: Voice, writer: Writer, prompt: str, ids: Sequence[int]) -> None:
        self.voice, self.writer, self.prompt, self.ids = voice, writer, prompt, list(ids)
        self.shown = len(writer.decode(ids))  # characters of the prompt
        self.told = 0

    def add(self, token: int) -> str:
        self.ids.append(token)
        return self._untold(_GROWING_MENTION.sub("", self._text()) if self.voice.names_nobody else self._text())

    def end(self) -> str:
        return self._untold(self._text())

    def _text(self) -> str:
        return self.prompt + tidy(self.writer.decode(self.ids)[self.shown :], self.voice.keeps_newlines)

    def _untold(self, text: str) -> str:
        if self.voice.names_nobody:
            text = neutral_mentions(text)
        new, self.told = text[self.told :], max(self.told, len(text))
        return new


def _lengthened(sampling: SamplingSettings, prompt_tokens: int, writer: Writer) -> SamplingSettings:
    """With the prefix that a pipeline counts on top, and with room for a post after a long prompt."""
    prefix = int(writer.has_prefix)
    longest = max(sampling.max_length + prefix, prompt_tokens + MIN_NEW_TOKENS)
    if writer.context is not None and longest > writer.context:
        if prompt_tokens >= writer.context:
            raise SettingsError(
                f"The start is {prompt_tokens} tokens long, and this bot reads at most {writer.context}.",
                next="use a shorter one",
            )
        longest = writer.context
    return dataclasses.replace(sampling, min_length=min(sampling.min_length + prefix, longest), max_length=longest)


def tidy(text: str, keep_newlines: bool) -> str:
    """What was generated after the prompt, ended where the post ends.

    >>> tidy(" to fly.\\n\\nAnd then", keep_newlines=False)
    ' to fly.'
    """
    if not keep_newlines:
        text = text.lstrip("\n").split("\n", 1)[0]  # original: cut at the first newline
    return text.rstrip("\ufffd").rstrip()  # half a character, where the length limit cut one
