"""The prediction that somebody chose for the picture: kept through everything but another model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from huggingtweets.bot import Bot
from huggingtweets.config import TrainingSettings
from huggingtweets.pipeline import run, settings_of
from huggingtweets.reports import Sample
from huggingtweets.stages.describing import choose_preview, chosen_preview

DRAWN = Sample("Our crew", "Our crew will visit a planet made of tea.")


@pytest.fixture
def bot(rover: Path, tmp_path: Path) -> Bot:
    return Bot(shutil.copytree(rover, tmp_path / "bots" / "rover"))


def test_a_text_drawn_later_can_be_chosen_and_is_told_apart_from_the_samples(bot: Bot) -> None:
    before = bot.dir.picture.read_bytes()
    choose_preview(bot.dir, DRAWN)
    run(bot, ["card"])
    assert chosen_preview(bot.dir) == DRAWN
    assert "one was chosen for the picture" in bot.dir.card.read_text()
    assert "will visit a planet made of tea" in bot.dir.card.read_text()
    assert bot.dir.picture.read_bytes() != before


def test_a_sample_is_kept_as_its_text_alone(bot: Bot) -> None:
    sample = next(sample for sample in bot.samples if sample.prompt)
    choose_preview(bot.dir, sample)
    assert json.loads(bot.dir.record.read_text())["preview"] == sample.text
    assert chosen_preview(bot.dir) == sample


def test_a_choice_lapses_with_the_model_that_wrote_it(bot: Bot) -> None:
    choose_preview(bot.dir, DRAWN)
    again = dataclasses.replace(settings_of(bot.dir), training=TrainingSettings(steps=3, threads=1))
    run(bot, ["train", "evaluate", "card"], again)
    assert chosen_preview(bot.dir) is None
    assert "made of tea" not in bot.dir.card.read_text()
