"""Bots that write for many at once: fair, repeatable, and stopped by whoever leaves."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huggingtweets.bot import Bot
from huggingtweets.errors import HuggingtweetsError, SettingsError, StageMissing
from huggingtweets.voice import Piece
from huggingtweets.web.answers import Refusal
from huggingtweets.web.records import Prediction
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.speaking import MOST_WAITING, Done, DrawRequest, Line, Queued, Speaker, Spoken, Started
from huggingtweets.web.store import Store
from huggingtweets.web.tables import plain


@pytest.fixture(scope="module")
def bot(rover: Path, tmp_path_factory: pytest.TempPathFactory) -> Bot:
    return Bot(shutil.copytree(rover, tmp_path_factory.mktemp("speaking") / "rover"))


@pytest.fixture
def settings(bot: Bot, tmp_path: Path) -> WebSettings:
    return WebSettings(bots_dir=bot.path.parent, database=f"sqlite:///{tmp_path / 'web.sqlite3'}")


@pytest.fixture
def store(settings: WebSettings) -> Iterator[Store]:
    store = Store.open(settings.database_url)
    yield store
    store.close()


def said(settings: WebSettings, store: Store, bot: Bot, **request: Any) -> list[Spoken]:
    async def listen() -> list[Spoken]:
        speaker = Speaker(settings, store)
        try:
            return [event async for event in speaker.draw(bot, DrawRequest(**request), "user:ann")]
        finally:
            await speaker.close()

    return asyncio.run(listen())


def predictions_of(events: list[Spoken]) -> tuple[Prediction, ...]:
    assert isinstance(events[-1], Done)
    return events[-1].predictions


def test_the_pieces_are_the_predictions_and_these_are_kept(settings: WebSettings, store: Store, bot: Bot) -> None:
    started, *pieces, done = said(settings, store, bot, start="The rover", n=3, seed=5)
    assert isinstance(started, Started)
    assert (started.seed, started.n) == (5, 3)
    texts = [""] * 3
    for piece in pieces:
        assert isinstance(piece, Piece)
        texts[piece.post] += piece.text
    kept = predictions_of([done])
    assert texts == bot.generate("The rover", 3, seed=5)
    assert [one.text for one in kept] == [plain(text) for text in texts]  # a tiny model writes control characters
    assert store.predictions("rover", draw=started.draw) == list(kept)
    assert {(one.owner, one.start, one.seed, one.temperature, one.max_length) for one in kept} == {
        ("user:ann", "The rover", 5, 1.0, 160)
    }


def test_a_drawing_without_a_seed_tells_the_one_that_repeats_it(settings: WebSettings, store: Store, bot: Bot) -> None:
    first = said(settings, store, bot, start="Our crew", n=2)
    assert isinstance(first[0], Started)
    again = said(settings, store, bot, start="Our crew", n=2, seed=first[0].seed)
    assert [one.text for one in predictions_of(first)] == [one.text for one in predictions_of(again)]


def test_what_copies_a_post_is_marked_with_it(settings: WebSettings, store: Store, bot: Bot) -> None:
    post = (bot.dir.train_posts.read_text().splitlines()[0].split('"text": "')[1]).split('"')[0]
    kept = predictions_of(said(settings, store, bot, start=post, n=2, max_length=200))
    assert [one.copied_from for one in kept] == [post, post]


def test_everybody_is_answered_in_their_order_and_told_how_many_are_before(
    settings: WebSettings, store: Store, bot: Bot
) -> None:
    ends: list[int] = []

    async def one(speaker: Speaker, number: int) -> list[Spoken]:
        events = [event async for event in speaker.draw(bot, DrawRequest(n=1, seed=number, max_length=20), "guest:x")]
        ends.append(number)
        return events

    async def all_of_them() -> list[list[Spoken]]:
        speaker = Speaker(settings.over(drawings_at_once=1), store)
        try:
            return await asyncio.gather(*(one(speaker, number) for number in range(8)))
        finally:
            await speaker.close()

    everything = asyncio.run(all_of_them())
    assert ends == list(range(8))
    assert all(len(predictions_of(events)) == 1 for events in everything)
    ahead = [event.ahead for event in everything[5] if isinstance(event, Queued)]
    assert ahead == sorted(ahead, reverse=True)
    assert ahead[0] == 5


def test_who_leaves_makes_room_for_the_next(settings: WebSettings, store: Store, bot: Bot) -> None:
    async def leave_and_come_back() -> list[Spoken]:
        speaker = Speaker(settings.over(drawings_at_once=1), store)
        try:
            async with contextlib.aclosing(speaker.draw(bot, DrawRequest(n=10, seed=1), "guest:x")) as leaving:
                async for event in leaving:
                    if isinstance(event, Piece):
                        break
            return [event async for event in speaker.draw(bot, DrawRequest(n=1, max_length=20), "guest:y")]
        finally:
            await speaker.close()

    events = asyncio.run(leave_and_come_back())
    assert len(predictions_of(events)) == 1
    assert {one.owner for one in store.predictions("rover")} == {"guest:y"}


def test_who_leaves_the_line_is_in_nobody_s_way() -> None:
    async def stand() -> list[int]:
        line = Line(1)
        assert [ahead async for ahead in line.places("ann")] == []
        second, third = line.places("bob"), line.places("cem")
        seen = [await anext(second), await anext(third)]
        await second.aclose()
        seen.append(await anext(third))
        line.leave()
        assert [ahead async for ahead in third] == []
        return seen

    assert asyncio.run(stand()) == [1, 2, 1]


def test_nobody_waits_for_all_that_another_asked_for() -> None:
    async def served() -> list[str]:
        line, order = Line(1), []

        async def one(visitor: str) -> None:
            async for _ in line.places(visitor):
                pass
            order.append(visitor)
            await asyncio.sleep(0)
            line.leave()

        assert [ahead async for ahead in line.places("ann")] == []
        standing = [asyncio.create_task(one(who)) for who in [*["ann"] * 5, "bob", "cem", "bob"]]
        await asyncio.sleep(0)
        line.leave()
        await asyncio.gather(*standing)
        return order

    assert asyncio.run(served()) == ["bob", "cem", "ann", "bob", *["ann"] * 4]


def test_a_line_has_an_end() -> None:
    async def stand() -> None:
        line = Line(1)
        assert [ahead async for ahead in line.places("ann")] == []
        waiting = [line.places(f"guest:{number}") for number in range(MOST_WAITING)]
        assert [await anext(turn) for turn in waiting] == [*range(1, MOST_WAITING + 1)]
        with pytest.raises(Refusal, match="Too many people"):
            await anext(line.places("late"))

    asyncio.run(stand())


def test_a_start_that_is_no_text_is_made_one(settings: WebSettings, store: Store, bot: Bot) -> None:
    (one,) = predictions_of(said(settings, store, bot, start="a\0\ud800", n=1, max_length=20))
    assert one.start == "a\ufffd\ufffd"
    assert one.text.startswith(one.start)
    assert store.prediction(one.id) == one


def test_a_prediction_tells_the_model_that_began_it(settings: WebSettings, store: Store, bot: Bot) -> None:
    (one,) = predictions_of(said(settings, store, bot, n=1, max_length=20))
    assert one.weights == (bot.dir.stage("train") or {})["weights"]


@pytest.mark.parametrize(
    "request_",
    [
        {"n": 0},
        {"n": 21},
        {"start": "x" * 501},
        {"seed": -1},
        {"temperature": 0.0},
        {"top_p": 2.0},
        {"max_length": 10**9},
    ],
)
def test_what_nobody_could_mean_is_refused(
    request_: dict[str, Any], settings: WebSettings, store: Store, bot: Bot
) -> None:
    with pytest.raises(SettingsError):
        said(settings, store, bot, **request_)
    assert store.predictions() == []


def test_a_bot_that_can_t_speak_yet_says_so_and_blocks_nobody(
    settings: WebSettings, store: Store, bot: Bot, tmp_path: Path
) -> None:
    (tmp_path / "mute").mkdir()

    async def try_then_speak() -> list[Spoken]:
        speaker = Speaker(settings.over(drawings_at_once=1), store)
        try:
            with pytest.raises(StageMissing):
                await anext(speaker.draw(Bot(tmp_path / "mute"), DrawRequest(), "owner"))
            return [event async for event in speaker.draw(bot, DrawRequest(n=1, max_length=20), "owner")]
        finally:
            await speaker.close()

    assert predictions_of(asyncio.run(try_then_speak()))


def test_a_model_that_breaks_while_it_writes_is_told_and_leaves_the_line(
    settings: WebSettings, store: Store, bot: Bot, tmp_path: Path
) -> None:
    import shutil

    broken = Bot(tmp_path / "broken")
    shutil.copytree(bot.path, broken.path)
    (broken.dir.model / "model.safetensors").write_bytes(b"no weights")
    shutil.rmtree(broken.dir.fast, ignore_errors=True)

    async def try_then_speak() -> list[Spoken]:
        speaker = Speaker(settings.over(drawings_at_once=1), store)
        try:
            with pytest.raises(HuggingtweetsError):
                async for _ in speaker.draw(broken, DrawRequest(n=1), "owner"):
                    pass
            return [event async for event in speaker.draw(bot, DrawRequest(n=1, max_length=20), "owner")]
        finally:
            await speaker.close()

    assert predictions_of(asyncio.run(try_then_speak()))
