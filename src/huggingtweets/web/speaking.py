"""Bots that write for many people at once. In: a bot and what is asked of it. Out: its posts, piece by piece.

- So many drawings run at a time as the settings allow, each in a thread of its own and with its share of the cores;
  the others wait and are told how many are before them. Nobody waits for all that another asked for.
  Waiting takes no thread, so that pages answer however many people wait.
- The seed is settled before the first piece and told, so that whoever shares a drawing can share what repeats it.
- Texts that copy a training post are marked as they are kept (see `copies`); of a bot with more than 100,000 posts,
  the first so many are looked at.
- Whoever leaves before the end stops the drawing.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from huggingtweets.bot import Bot
from huggingtweets.config import LARGEST_SEED, SamplingSettings, check_seed, usable_cores
from huggingtweets.copies import find_copies
from huggingtweets.dataset import read_texts
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.voice import Drawing, Piece
from huggingtweets.web.answers import Refusal
from huggingtweets.web.records import Prediction, new_id
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.store import Store
from huggingtweets.web.tables import plain

LONGEST_START = 500  # characters
MOST_TOKENS = 400  # of a post; the original's own limit is 160
MOST_WAITING = 200  # drawings; who comes later is told to come again
MOST_COMPARED = 100_000  # posts that a text is compared with: two seconds (docs/log.md)

T = TypeVar("T")


@dataclass(frozen=True)
class DrawRequest:
    """What is asked of a bot; None leaves it to the bot's own defaults."""

    start: str = ""
    n: int = 10
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", plain(self.start))
        check_seed(self.seed)
        if len(self.start) > LONGEST_START:
            raise SettingsError(f"A start has at most {LONGEST_START} characters, not {len(self.start):,}.")
        if self.max_length is not None and self.max_length > MOST_TOKENS:
            raise SettingsError(f"A post has at most {MOST_TOKENS} tokens here, not {self.max_length:,}.")

    def sampling(self, default: SamplingSettings) -> SamplingSettings:
        """Raises SettingsError."""
        max_length = default.max_length if self.max_length is None else self.max_length
        return SamplingSettings(
            min_length=min(default.min_length, max_length),
            max_length=max_length,
            temperature=default.temperature if self.temperature is None else self.temperature,
            top_p=default.top_p if self.top_p is None else self.top_p,
        )


@dataclass(frozen=True)
class Queued:
    """So many drawings come before this one."""

    ahead: int


@dataclass(frozen=True)
class Started:
    draw: str
    seed: int
    n: int


@dataclass(frozen=True)
class Done:
    """What was written, as it is kept."""

    predictions: tuple[Prediction, ...]


Spoken = Queued | Started | Piece | Done


class _Standing:
    """Somebody in line."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.ahead = 0  # others who wait and come before
        self.moved = asyncio.Event()  # set when that is another number, or it is their turn


class Line:
    """A fair line for a few places, as networks share a wire among talkers (start-time fair queueing).

    Each visitor's drawings have turns one after another, the first of them the turn that the line is at; the lowest
    turn goes first, and of equal ones whoever came first. So nobody waits for all that another has asked for.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[_Standing] = []  # in the order in which they go
        self._turn = 0  # that of the last one who went
        self._next: dict[str, int] = {}  # the turn of a visitor's next drawing, where it is a later one

    async def places(self, visitor: str) -> AsyncGenerator[int]:
        """How many come before, each time that changes, until it is one's turn; `leave` ends the turn."""
        if len(self._waiting) >= MOST_WAITING:
            raise Refusal("too_many", "Too many people are waiting for this bot to write.", retry_after_s=30)
        one = _Standing(max(self._turn, self._next.get(visitor, 0)))
        self._next[visitor] = one.turn + 1
        bisect.insort(self._waiting, one, key=lambda other: other.turn)
        self._move()
        try:
            while one.ahead or not self._free:
                one.moved.clear()
                yield one.ahead + 1
                await one.moved.wait()
            self._go(one)
        finally:
            self._waiting.remove(one)
            self._move()

    def leave(self) -> None:
        self._free += 1
        self._move()

    def _go(self, one: _Standing) -> None:
        self._free -= 1
        self._turn = max(self._turn, one.turn)
        self._next = {visitor: turn for visitor, turn in self._next.items() if turn > self._turn}

    def _move(self) -> None:
        for ahead, one in enumerate(self._waiting):
            if ahead != one.ahead or not ahead:
                one.ahead = ahead
                one.moved.set()


class Speaker:
    """The drawings of one server."""

    def __init__(self, settings: WebSettings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._line = Line(settings.drawings_at_once)
        self._threads = max(1, usable_cores() // settings.drawings_at_once)
        self._pool = ThreadPoolExecutor(settings.drawings_at_once, "speaking")

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def draw(self, bot: Bot, request: DrawRequest, visitor: str) -> AsyncGenerator[Spoken]:
        """Raises SettingsError, StageMissing and BotError, before or while it is written."""
        if not 1 <= request.n <= self._settings.most_posts:
            raise SettingsError(f"One may have 1 to {self._settings.most_posts} posts written, not {request.n}.")
        sampling = request.sampling(bot.voice.sampling)
        async with contextlib.aclosing(self._line.places(visitor)) as places:
            async for ahead in places:
                yield Queued(ahead)
        try:
            asked = _asked(bot, request, sampling, visitor)
            yield Started(asked.draw, asked.seed, request.n)
            drawing: Drawing = {"seed": asked.seed, "sampling": sampling, "threads": self._threads}
            texts = [""] * request.n
            speak = partial(bot.stream, request.start, request.n, **drawing)
            async with contextlib.aclosing(self._in_a_thread(speak)) as pieces:
                async for piece in pieces:
                    texts[piece.post] += piece.text
                    yield piece
            yield Done(await self._run(partial(self._keep, bot, asked, texts)))
        finally:
            self._line.leave()

    async def _in_a_thread(self, speak: Callable[[], Iterator[Piece]]) -> AsyncGenerator[Piece]:
        """The pieces as they come. Whoever stops listening stops the thread at its next piece."""
        loop, spoken, left = asyncio.get_running_loop(), asyncio.Queue[Piece | None](), False

        def work() -> None:
            try:
                for piece in speak():
                    if left:
                        return
                    loop.call_soon_threadsafe(spoken.put_nowait, piece)
            finally:
                loop.call_soon_threadsafe(spoken.put_nowait, None)

        working = asyncio.ensure_future(self._run(work))
        try:
            more = True
            while more:
                some = [await spoken.get()]
                while not spoken.empty():  # what came meanwhile, for a listener who is slow, or a server with many
                    some.append(spoken.get_nowait())
                more = some[-1] is not None
                for piece in _joined(some):
                    yield piece
        finally:
            left = True
            await asyncio.shield(working)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _keep(self, bot: Bot, asked: Prediction, texts: list[str]) -> tuple[Prediction, ...]:
        drawn = [
            replace(asked, id=new_id(10), text=text, number=number, copied_from=copy)
            for number, (text, copy) in enumerate(zip(map(plain, texts), _copies(bot, texts), strict=True))
        ]
        return tuple(self._store.add_predictions(drawn))


def _joined(pieces: Iterable[Piece | None]) -> list[Piece]:
    """Those of one post as one.

    >>> _joined([Piece(0, "My"), Piece(1, "Our"), Piece(0, " dream"), None])
    [Piece(post=0, text='My dream'), Piece(post=1, text='Our')]
    """
    texts: dict[int, str] = {}
    for piece in filter(None, pieces):
        texts[piece.post] = texts.get(piece.post, "") + piece.text
    return [Piece(post, text) for post, text in texts.items()]


def _asked(bot: Bot, request: DrawRequest, sampling: SamplingSettings, visitor: str) -> Prediction:
    """What all predictions of a drawing have in common; the weights are those of now, whatever is trained meanwhile."""
    return Prediction(
        bot=bot.name,
        start=request.start,
        text="",
        draw=new_id(10),
        number=0,
        seed=secrets.randbelow(LARGEST_SEED) if request.seed is None else request.seed,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_length=sampling.max_length,
        owner=visitor,
        weights=str((bot.dir.stage("train") or {}).get("weights", "")),
    )


def _copies(bot: Bot, texts: list[str]) -> list[str | None]:
    """A bot that came without its posts can't be told to copy."""
    if not bot.dir.train_posts.exists():
        return [None] * len(texts)
    try:
        posts = (text.text for text in read_texts(bot.dir.train_posts))
        return find_copies(texts, itertools.islice(posts, MOST_COMPARED))
    except BotError:  # damaged, or being made anew: the texts are still worth having
        return [None] * len(texts)
