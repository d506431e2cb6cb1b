"""An update: only what is new is fetched and learned, on from the bot as it is; held out is what it never saw."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import huggingtweets as ht
from conftest import invented_posts
from huggingtweets import upkeep
from huggingtweets.botdir import BotDir, file_digest, read_json, read_lines_as
from huggingtweets.config import BotSettings, DatasetSettings, TrainingSettings
from huggingtweets.consent import Word
from huggingtweets.dataset import Text, mark
from huggingtweets.errors import BotError, ConsentRefused, SourceError, StageMissing
from huggingtweets.pipeline import run
from huggingtweets.reports import Event, Notice, StageDone, StageStarted
from huggingtweets.stages.continuing import REPLAYED, lesson, trained_marks

QUICK = TrainingSettings(epochs=1, tokens_per_step=400, learning_rate=5e-3, warmup_steps=2, threads=1, device="cpu")
POSTS = invented_posts(200, seed=7)
OLD, NEW = POSTS[:160], POSTS[160:]


@pytest.fixture(scope="module")
def finished(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot of the old posts, and the file they are from."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder / "rover.txt", OLD)
    ht.create(folder / "rover.txt", bots_dir=folder / "bots", settings=BotSettings(base=str(tiny_gpt2), training=QUICK))
    return folder


@pytest.fixture
def world(finished: Path, tmp_path: Path) -> World:
    """A copy of its own, so that every test begins with the same bot."""
    shutil.copytree(finished, tmp_path / "copy")
    bot = BotDir(tmp_path / "copy" / "bots" / "rover")
    bot.write_record(sources=[f"file:{tmp_path / 'copy' / 'rover.txt'}"])
    return World(bot, tmp_path / "copy" / "rover.txt", tmp_path / "copy")


def write(file: Path, posts: list[str]) -> None:
    file.write_text("".join(f"{post}\n" for post in posts), encoding="utf-8")


class Killed(BaseException):
    """A process that ends here."""


def at_scores(event: Event) -> bool:
    """Scoring takes the longest; most tests look at what comes before it."""
    return isinstance(event, StageStarted) and event.stage == "evaluate"


@dataclasses.dataclass
class World:
    bot: BotDir
    file: Path
    folder: Path
    events: list[Event] = dataclasses.field(default_factory=list)

    def update(self, until: Callable[[Event], bool] = at_scores) -> None:
        with contextlib.suppress(Killed):
            upkeep.update(self.bot, listen=self._listener(until))

    def create(self, until: Callable[[Event], bool] = at_scores, **changes: object) -> None:
        settings = dataclasses.replace(BotSettings.from_json(self.record["settings"]), **changes)  # type: ignore[arg-type]
        with contextlib.suppress(Killed):
            ht.create(self.file, bots_dir=self.bot.path.parent, settings=settings, listen=self._listener(until))

    def _listener(self, until: Callable[[Event], bool]) -> Callable[[Event], None]:
        self.events = []

        def listen(event: Event) -> None:
            self.events.append(event)
            if until(event):
                raise Killed

        return listen

    @property
    def record(self) -> dict[str, object]:
        return self.bot.read_record()  # type: ignore[return-value]

    @property
    def skipped(self) -> dict[str, bool]:
        return {event.stage: event.skipped for event in self.events if isinstance(event, StageDone)}

    @property
    def told(self) -> str:
        return "\n".join(
            event.text if isinstance(event, Notice) else event.label
            for event in self.events
            if isinstance(event, Notice | StageStarted)
        )

    @property
    def weights(self) -> str:
        return file_digest(self.bot.model / "model.safetensors")

    @property
    def train(self) -> set[str]:
        return {text.text for text in read_lines_as(self.bot.train_posts, Text.from_json)}

    @property
    def holdout(self) -> set[str]:
        return {text.text for text in read_lines_as(self.bot.holdout_posts, Text.from_json)}

    @property
    def steps(self) -> int:
        return int(read_json(self.bot.train_report)["steps"])


def to_its_end(event: Event) -> bool:
    return False


def test_an_update_teaches_the_bot_what_is_new_and_is_then_done(world: World) -> None:
    before, steps, seen, held_out = world.weights, world.steps, world.train, world.holdout
    write(world.file, [*NEW, *OLD])
    world.update(to_its_end)
    assert world.skipped == {"download": False, "build": False, "train": False, "evaluate": False, "card": False}
    assert world.weights != before
    assert len(read_lines_as(world.bot.posts, dict)) == len(POSTS)
    assert not world.holdout & seen, "what the model was trained on is never held out"
    assert held_out <= world.holdout, "later posts change the choice as little as possible"
    assert world.holdout & set(NEW)
    assert world.steps < steps, "the new posts and some of the old are fewer than all"
    assert "Training rover" in world.told
    assert read_json(world.bot.train_report)["plan"].startswith("on from the bot as it was")
    assert not world.bot.previous.exists()
    assert not world.bot.partial.exists()
    after = world.weights
    world.create(to_its_end)
    assert set(world.skipped.values()) == {True}
    world.update(to_its_end)
    assert set(world.skipped.values()) == {True}
    assert world.weights == after


def test_nothing_new_trains_nothing_and_changes_nothing(world: World) -> None:
    files = [path for path in world.bot.path.rglob("*") if path.is_file() and path.name != "bot.json"]
    before = {path: file_digest(path) for path in files}
    assert upkeep.update(world.bot, listen=world.events.append) == 0
    assert set(world.skipped.values()) == {True}
    assert {path: file_digest(path) for path in before} == before


def test_new_posts_without_anything_to_teach_leave_the_model_as_it_is(world: World) -> None:
    before, report = world.weights, world.bot.train_report.read_bytes()
    write(world.file, [*OLD, "hi", "RT @someone: a long post by somebody else entirely"])
    world.update()
    assert len(read_lines_as(world.bot.posts, dict)) == len(OLD) + 2
    assert world.weights == before
    assert world.bot.train_report.read_bytes() == report
    assert "None of the new posts has anything to teach" in world.told
    assert not world.bot.previous.exists()


def test_a_second_update_goes_on_from_the_first(world: World) -> None:
    write(world.file, [*OLD, *NEW[:20]])
    world.update()
    first, seen = world.weights, world.train
    write(world.file, [*OLD, *NEW])
    world.update()
    assert world.weights != first
    assert "Training rover" in world.told
    assert not world.holdout & seen
    assert {mark(Text("rover", text)) for text in seen} <= trained_marks(world.bot)


PLACES = {
    "when posts are found": lambda event: isinstance(event, StageDone) and event.stage == "download",
    "before the training": lambda event: isinstance(event, StageStarted) and event.stage == "train",
    "in the training": lambda event: isinstance(event, Notice) and event.text.startswith("Computing"),
    "after the training": lambda event: isinstance(event, StageDone) and event.stage == "train",
}


@pytest.fixture(scope="module")
def untouched(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of an update that nobody interrupted."""
    folder = tmp_path_factory.mktemp("untouched") / "copy"
    shutil.copytree(finished, folder)
    bot = BotDir(folder / "bots" / "rover")
    bot.write_record(sources=[f"file:{folder / 'rover.txt'}"])
    write(folder / "rover.txt", [*OLD, *NEW])
    other = World(bot, folder / "rover.txt", folder)
    other.update()
    return other.weights


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_update_ends_where_an_uninterrupted_one_does(world: World, untouched: str, place: str) -> None:
    write(world.file, [*OLD, *NEW])
    world.update(PLACES[place])
    assert world.bot.previous.exists() == (place != "after the training")
    world.update()
    assert world.weights == untouched
    assert len(read_lines_as(world.bot.posts, dict)) == len(POSTS)
    assert not world.bot.previous.exists()


def test_a_killed_update_may_be_finished_by_the_create_command(world: World, untouched: str) -> None:
    write(world.file, [*OLD, *NEW])
    world.update(PLACES["in the training"])
    world.create()
    assert world.weights == untouched


# --- settings that changed ---------------------------------------------------------------------------------------


OTHER = DatasetSettings(seed=3)


def test_after_a_change_of_cleaning_all_is_trained_anew(world: World) -> None:
    settings = dataclasses.replace(BotSettings.from_json(world.record["settings"]), dataset=OTHER)  # type: ignore[arg-type]
    world.bot.write_record(settings=settings.to_json())
    write(world.file, [*OLD, *NEW])
    world.update()
    assert "trained anew, from the base" in world.told
    assert not trained_marks(world.bot)
    updated = world.weights
    shutil.rmtree(world.bot.path)
    world.bot.write_record(settings=settings.to_json())
    world.create()
    assert world.weights == updated


def test_a_change_after_an_update_trains_anew_too(world: World) -> None:
    write(world.file, [*OLD, *NEW])
    world.update()
    world.create(dataset=OTHER)
    assert not trained_marks(world.bot)
    assert "Training rover" not in world.told
    after = world.weights
    world.create()
    assert world.skipped == {"download": True, "build": True, "train": True}
    assert world.weights == after


def test_a_change_in_the_middle_of_an_update_trains_anew(world: World) -> None:
    write(world.file, [*OLD, *NEW])
    world.update(PLACES["before the training"])
    world.create(dataset=OTHER)
    assert not world.bot.previous.exists()
    assert "Training rover" not in world.told
    assert len(world.train | world.holdout) > len(OLD)


def test_training_again_begins_with_the_base(world: World) -> None:
    write(world.file, [*OLD, *NEW])
    world.update()
    updated = world.weights
    run(world.bot, ["train"], again=True, listen=world.events.append)
    assert world.weights != updated
    assert world.record["continues"] is None


# --- what is new -------------------------------------------------------------------------------------------------


def texts(count: int, word: str) -> list[Text]:
    return [Text("rover", f"{word} {number}") for number in range(count)]


def test_a_lesson_is_what_is_new_and_some_of_what_is_old() -> None:
    old, new = texts(100, "old"), texts(10, "new")
    marks = frozenset(map(mark, old))
    taught = list(lesson(lambda: [*old, *new], marks, seed=0))
    assert [text for text in taught if text in new] == new
    assert len(taught) == 10 + round(10 * REPLAYED)
    assert len(set(taught)) == len(taught)
    assert taught == list(lesson(lambda: [*old, *new], marks, seed=0))
    assert taught != list(lesson(lambda: [*old, *new], marks, seed=1))
    assert list(lesson(lambda: old, marks, seed=0)) == []
    assert set(lesson(lambda: [*old[:3], *new], marks, seed=0)) == {*old[:3], *new}


# --- what can't be updated ---------------------------------------------------------------------------------------


def test_a_bot_that_is_not_trained_is_told_the_way(world: World) -> None:
    world.bot.train_report.unlink()
    with pytest.raises(StageMissing, match="huggingtweets train rover"):
        upkeep.update(world.bot)


@pytest.mark.parametrize("sources", [None, [], "nasa", [3]])
def test_a_bot_that_does_not_know_its_sources_says_so(world: World, sources: object) -> None:
    world.bot.write_record(sources=sources)
    with pytest.raises(BotError, match="where its posts are from"):
        upkeep.update(world.bot)


def test_a_pipe_has_nothing_more_to_give(world: World) -> None:
    world.bot.write_record(sources=["-"])
    with pytest.raises(BotError, match="what a pipe brought"):
        upkeep.update(world.bot)


def test_a_file_that_says_no_now_is_refused_and_the_bot_stays(world: World) -> None:
    line = {"text": "a new post about the rover", "user": {"screen_name": "rover", "protected": True}, "id_str": "1"}
    world.file.write_text(json.dumps(line) + "\n")
    before = world.weights
    with pytest.raises(ConsentRefused, match="huggingtweets forget"):
        upkeep.update(world.bot)
    assert world.weights == before
    assert not world.bot.partial.exists()


def test_one_process_at_a_time(world: World) -> None:
    with world.bot.locked(), pytest.raises(BotError, match="another process"):
        upkeep.update(world.bot)


def test_what_was_said_when_the_bot_was_made_counts_on() -> None:
    then = Word(permission="by mail", terms=True)
    assert Word().over(then) == Word(permission="by mail", terms=True)
    assert Word(mine=True, price=True).over(then) == Word(mine=True, terms=True, price=True)
    assert not Word().over(Word(mine=True, price=True)).price


def test_a_file_that_is_gone_is_named(world: World) -> None:
    world.file.unlink()
    with pytest.raises(SourceError, match=r"rover\.txt"):
        upkeep.update(world.bot)
