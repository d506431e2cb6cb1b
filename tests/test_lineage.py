"""What was made from what: the record, holding the files to it, and making a bot again from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

import huggingtweets as ht
from huggingtweets import lineage
from huggingtweets.bot import Bot
from huggingtweets.config import BotSettings, TrainingSettings
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.lineage import BASE, CARD, DATASET, MODEL, RAW, SCORES
from huggingtweets.pipeline import run, settings_of
from huggingtweets.rebuilding import rebuild
from huggingtweets.reports import Event, Notice

QUICK = TrainingSettings(epochs=1, tokens_per_step=400, learning_rate=5e-3, warmup_steps=20, threads=1, device="cpu")


@pytest.fixture(scope="module")
def bot(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Bot:
    """Planned by the clock, as bots on a CPU are by default."""
    from conftest import invented_posts

    folder = tmp_path_factory.mktemp("lineage")
    (folder / "rover.txt").write_text("\n".join(invented_posts(250)))
    timed = dataclasses.replace(QUICK, epochs=None, minutes=0.02)
    settings = BotSettings(base=str(tiny_gpt2), training=timed)
    return ht.create(folder / "rover.txt", bots_dir=folder / "bots", settings=settings)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_that_matters_is_in_it_with_its_digest(bot: Bot) -> None:
    recorded = lineage.read(bot.dir.lineage)
    files = {name: fact for artifact in recorded.artifacts if artifact.is_here for name, fact in artifact.files.items()}
    assert set(files) >= {
        "posts.jsonl",
        "accounts.json",
        "avatars/rover.png",
        "dataset/train.jsonl",
        "dataset/holdout.jsonl",
        "model/model.safetensors",
        "model/tokenizer.json",
        "eval.json",
        "README.md",
        "predictions.png",
    }
    for name, fact in files.items():
        assert fact.sha256 == sha256(bot.path / name)
        assert fact.size_bytes == (bot.path / name).stat().st_size


def test_each_artifact_names_what_it_was_made_from(bot: Bot, tiny_gpt2: Path) -> None:
    recorded = lineage.read(bot.dir.lineage)
    names = {artifact.name for artifact in recorded.artifacts}
    assert all(origin in names for artifact in recorded.artifacts for origin in artifact.made_from)
    made_from = {artifact.type: set(artifact.made_from) for artifact in recorded.artifacts}
    assert made_from[DATASET] == {"tweets-rover"}
    assert made_from[MODEL] == {"dataset-rover", str(tiny_gpt2)}
    assert made_from[SCORES] >= {"rover", "dataset-rover"}
    assert "rover" in made_from[CARD]
    base = recorded.find(BASE)
    assert base is not None
    assert base.files["model.safetensors"].sha256 == sha256(tiny_gpt2 / "model.safetensors")


def test_the_model_says_with_which_settings_seed_and_versions_it_was_made(bot: Bot) -> None:
    model = lineage.read(bot.dir.lineage).find(MODEL)
    assert model is not None
    assert model.made_by["settings"]["seed"] == 0
    assert model.made_by["settings"]["learning_rate"] == 5e-3
    assert bot.training is not None
    assert model.made_by["steps"] == bot.training.steps
    assert model.made_by["versions"].keys() >= {"huggingtweets", "torch", "transformers", "python"}


def test_a_bot_as_it_was_made_is_verified_and_a_changed_one_is_not(bot: Bot, tmp_path: Path) -> None:
    copy = Bot(tmp_path / "rover")
    shutil.copytree(bot.path, copy.path)
    assert {check.state for check in lineage.verify(copy.dir)} == {"ok"}
    weights = copy.dir.model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    copy.dir.samples.unlink()
    states = {check.file: check.state for check in lineage.verify(copy.dir)}
    assert states.pop("model/model.safetensors") == "changed"
    assert states.pop("samples.jsonl") == "missing"
    assert set(states.values()) == {"ok"}


def test_without_a_record_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(BotError, match=r"has no lineage\.json"):
        lineage.verify(Bot(tmp_path).dir)


def test_the_record_follows_a_stage_that_is_run_alone(bot: Bot, tmp_path: Path) -> None:
    copy = Bot(tmp_path / "rover")
    shutil.copytree(bot.path, copy.path)
    before = lineage.read(copy.dir.lineage)
    settings = dataclasses.replace(settings_of(copy.dir), dataset=ht.DatasetSettings(seed=7))
    run(copy.dir, ["build"], settings)
    after = lineage.read(copy.dir.lineage)
    assert after.find(RAW) == before.find(RAW)
    dataset, earlier = after.find(DATASET), before.find(DATASET)
    assert dataset is not None
    assert earlier is not None
    assert dataset.digest != earlier.digest
    assert {check.state for check in lineage.verify(copy.dir)} == {"ok"}


def test_a_damaged_record_is_written_anew_and_reading_it_says_so(bot: Bot, tmp_path: Path) -> None:
    copy = Bot(tmp_path / "rover")
    shutil.copytree(bot.path, copy.path)
    copy.dir.lineage.write_text("[1]")
    with pytest.raises(BotError, match="damaged"):
        lineage.read(copy.dir.lineage)
    lineage.record(copy.dir)
    assert copy.dir.lineage.read_bytes() == bot.dir.lineage.read_bytes()


def test_a_rebuilt_bot_has_the_same_dataset_and_the_same_weights(bot: Bot, tmp_path: Path) -> None:
    events: list[Event] = []
    again = rebuild(bot.dir.lineage, bots_dir=tmp_path / "bots", listen=events.append)
    for name in ("dataset/train.jsonl", "dataset/holdout.jsonl", "model/model.safetensors", "samples.jsonl"):
        assert (again.path / name).read_bytes() == (bot.path / name).read_bytes(), name
    said = {event.text for event in events if isinstance(event, Notice)}
    assert {"The dataset is the same as in the record.", "The weights are the same as in the record."} <= said


def test_a_bot_is_rebuilt_from_a_source_of_the_same_posts_too(bot: Bot, tmp_path: Path) -> None:
    (tmp_path / "rover.txt").write_bytes((bot.path.parent.parent / "rover.txt").read_bytes())
    (tmp_path / "lineage.json").write_bytes(bot.dir.lineage.read_bytes())
    again = rebuild(tmp_path / "lineage.json", tmp_path / "rover.txt", bots_dir=tmp_path / "bots")
    assert again.dir.train_posts.read_bytes() == bot.dir.train_posts.read_bytes()
    assert sha256(again.dir.model / "model.safetensors") == sha256(bot.dir.model / "model.safetensors")


def test_other_posts_are_said_to_give_another_bot(bot: Bot, tmp_path: Path) -> None:
    from conftest import invented_posts

    (tmp_path / "rover.txt").write_text("\n".join(invented_posts(250, seed=1)))
    events: list[Event] = []
    rebuild(bot.dir.lineage, tmp_path / "rover.txt", bots_dir=tmp_path / "bots", listen=events.append)
    warned = {event.text for event in events if isinstance(event, Notice) and event.warning}
    assert {
        "The dataset is not the same as in the record.",
        "The weights are not the same as in the record.",
    } <= warned


def test_a_bot_is_not_rebuilt_over_itself(bot: Bot) -> None:
    with pytest.raises(SettingsError, match="record of"):
        rebuild(bot.dir.lineage, bots_dir=bot.path.parent)


@pytest.mark.parametrize(
    "broken", ["{}", '{"format": 99}', '{"format": 1, "bot": "x", "settings": {}, "artifacts": [{}]}']
)
def test_a_record_that_cannot_be_followed_is_refused(broken: str, tmp_path: Path) -> None:
    (tmp_path / "lineage.json").write_text(broken)
    with pytest.raises(BotError):
        rebuild(tmp_path / "lineage.json", bots_dir=tmp_path / "bots")


def test_a_record_without_posts_beside_it_asks_for_them(bot: Bot, tmp_path: Path) -> None:
    record = json.loads(bot.dir.lineage.read_text())
    record["artifacts"][0]["made_by"]["sources"] = []
    (tmp_path / "lineage.json").write_text(json.dumps(record))
    with pytest.raises(BotError, match="does not say where its posts are from"):
        rebuild(tmp_path / "lineage.json", bots_dir=tmp_path / "bots")
