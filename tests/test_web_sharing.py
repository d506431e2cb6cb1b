"""What was written is shown, chosen and taken down: with a real bot, a real database and real pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from huggingtweets.bot import Bot
from huggingtweets.botdir import read_json, write_json
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.picture import HEIGHT_PX, WIDTH_PX
from huggingtweets.web import sharing
from huggingtweets.web.records import Complaint, Job, Prediction
from huggingtweets.web.settings import WebSettings
from huggingtweets.web.sharing import bot_named, make_preview, picture_of, settle, url_of
from huggingtweets.web.store import Store
from huggingtweets.web.views import avatar_of, bot_view, bot_views, bots_found, job_view, prediction_view


@pytest.fixture
def bot(rover: Path, tmp_path: Path) -> Bot:
    return Bot(shutil.copytree(rover, tmp_path / "bots" / "rover"))


@pytest.fixture
def settings(bot: Bot, tmp_path: Path) -> WebSettings:
    return WebSettings(bots_dir=bot.path.parent)


@pytest.fixture
def store(settings: WebSettings) -> Iterator[Store]:
    store = Store.open(settings.database_url)
    yield store
    store.close()


@pytest.fixture
def said(bot: Bot, store: Store) -> Prediction:
    """What the bot wrote for somebody."""
    weights = (bot.dir.stage("train") or {})["weights"]
    written = Prediction("rover", "Our crew", "Our crew will visit a planet made of tea.", "d", 3, 7, 1.0, 0.95, 160)
    (kept,) = store.add_predictions([Prediction(**{**vars(written), "weights": weights})])
    return kept


def complaint_of(store: Store, prediction: str) -> Complaint:
    return store.add_complaint(Complaint("rover", prediction, "It is about me.", "ann@example.org"))


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_finished_bot_is_told_whole_and_without_a_folder(bot: Bot, settings: WebSettings, store: Store) -> None:
    view = bot_view(store, bot)
    assert {name: view[name] for name in ("name", "url", "picture", "base", "trained", "published", "predictions")} == {
        "name": "rover",
        "url": "/rover",
        "picture": "/rover/preview.png",
        "base": "tiny-gpt2",
        "trained": True,
        "published": False,
        "predictions": 0,
    }
    account = {"name": "rover", "handle": "rover", "avatar": "/rover/avatars/rover.png", "url": None}
    assert view["accounts"] == [account]
    assert view["kept"] == 150
    assert set(view["scores"]) == {"base_bits", "bot_bits", "gain", "copied", "own_copied"}
    assert 0 < len(view["samples"]) <= 6
    assert str(bot.path.parent.parent) not in json.dumps(view)


def test_a_bot_that_has_only_begun_is_told_too(settings: WebSettings, store: Store, bot: Bot) -> None:
    begun = Bot(settings.bots_dir / "begun")
    begun.dir.write_record()
    view = bot_view(store, begun)
    assert (view["trained"], view["scores"], view["picture"], view["accounts"]) == (False, None, None, [])


def test_a_damaged_bot_hides_no_other(settings: WebSettings, store: Store, bot: Bot) -> None:
    (settings.bots_dir / "broken").mkdir()
    (settings.bots_dir / "broken" / "bot.json").write_text("{")
    (settings.bots_dir / "broken" / "train.json").write_text("{")
    assert [view["name"] for view in bot_views(store, bots_found(settings))] == ["rover"]


def test_a_profile_that_is_no_web_page_is_not_linked(settings: WebSettings, store: Store, bot: Bot) -> None:
    (account,) = read_json(bot.dir.accounts)
    write_json(bot.dir.accounts, [{**account, "url": "javascript:alert(1)"}])
    assert bot_view(store, bot)["accounts"][0]["url"] is None


def test_a_prediction_is_told_with_all_that_repeats_it(bot: Bot, said: Prediction) -> None:
    view = prediction_view(bot, said)
    assert view["url"] == f"/rover/{said.id}"
    assert view["picture"] == f"/rover/{said.id}.png"
    assert view["play_url"] == "/rover?start=Our+crew&seed=7&temperature=1.0&top_p=0.95&max_length=160"
    assert (view["copied"], view["copied_from"], view["is_preview"]) == (False, None, False)
    assert view["ai_generated"] is True
    assert {"weights", "owner", "draw", "hidden"}.isdisjoint(view)


def test_a_job_is_told_with_its_place_in_line(store: Store) -> None:
    first, second = (
        store.add_job(Job("user:ann", ("/srv/secret/a.zip",), ("a.zip",), "rover", "/srv/models/tiny"))
        for _ in range(2)
    )
    view = job_view(store, second)
    assert (view["state"], view["ahead"], view["url"], view["bot_url"]) == ("queued", 1, f"/make/{second.id}", None)
    assert "srv" not in json.dumps(view)
    done = store.change_job(first.id, state="done")
    assert done is not None
    assert (job_view(store, done)["ahead"], job_view(store, done)["bot_url"]) == (None, "/rover")


@pytest.mark.parametrize(("name", "url"), [("nasa", "/nasa"), ("make", "/~make"), ("a-b.c", "/a-b.c")])
def test_a_bot_that_is_called_like_a_page_is_elsewhere(name: str, url: str, settings: WebSettings) -> None:
    Bot(settings.bots_dir / name).dir.write_record()
    assert url_of(name) == url
    assert bot_named(settings, url[1:]).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".web", "../rover", "rover/../rover", "/etc", "rover\0", "~", "a" * 5000, "rover\n", "C:\\x", "no"],
)
def test_a_bot_is_meant_by_its_name_alone(name: str, settings: WebSettings) -> None:
    (settings.state_dir).mkdir(exist_ok=True)
    (settings.state_dir / "bot.json").write_text("{}")
    with pytest.raises(BotError, match="There is no bot"):
        bot_named(settings, name)


@pytest.mark.parametrize("file", ["../bot.json", "bot.json", "", ".", "..", "other.png", "rover.png/..", "rover.png\0"])
def test_nothing_but_a_face_is_given_out_as_one(file: str, bot: Bot) -> None:
    (bot.dir.avatars / "other.png").write_bytes(b"of somebody who left")
    assert avatar_of(bot, "rover.png") == bot.dir.avatars / "rover.png"
    with pytest.raises(BotError):
        avatar_of(bot, file)


# --- pictures and previews ------------------------------------------------------------------------------------------


def test_a_picture_is_drawn_once_however_many_ask(settings: WebSettings, bot: Bot, said: Prediction) -> None:
    with ThreadPoolExecutor(6) as pool:
        (path,) = set(pool.map(lambda _: picture_of(settings, bot, said), range(6)))
    assert size_of(path.read_bytes()) == (WIDTH_PX, HEIGHT_PX)
    drawn = path.stat().st_mtime_ns
    assert picture_of(settings, bot, said).stat().st_mtime_ns == drawn
    assert [file.name for file in path.parent.iterdir()] == [f"{said.id}.png"]


def test_a_chosen_prediction_is_on_the_card_and_the_picture(bot: Bot, said: Prediction) -> None:
    before = bot.dir.picture.read_bytes()
    make_preview(bot, said)
    assert bot.dir.picture.read_bytes() != before
    assert "a planet made of tea" in bot.dir.card.read_text()
    assert prediction_view(bot, said)["is_preview"]


def test_a_bot_at_work_is_left_alone(bot: Bot, said: Prediction) -> None:
    with bot.dir.locked(), pytest.raises(BotError, match="worked on"):
        make_preview(bot, said)
    assert not prediction_view(bot, said)["is_preview"]


def test_what_an_earlier_model_wrote_is_not_the_preview_of_this_one(bot: Bot, said: Prediction) -> None:
    stages = bot.dir.read_record()["stages"]
    bot.dir.write_record(stages={**stages, "train": {**stages["train"], "weights": "others"}})
    with pytest.raises(BotError, match="trained again"):
        make_preview(bot, said)


# --- complaints -----------------------------------------------------------------------------------------------------


def test_what_is_hidden_is_nowhere_any_more(settings: WebSettings, store: Store, bot: Bot, said: Prediction) -> None:
    picture = picture_of(settings, bot, said)
    make_preview(bot, said)
    closed = settle(settings, store, complaint_of(store, said.id), "hide")
    assert closed.outcome == "hidden"
    assert store.complaints() == []
    assert store.predictions("rover") == []
    assert not picture.exists()
    assert "made of tea" not in bot.dir.card.read_text()
    assert not prediction_view(bot, said)["is_preview"]


def test_a_bot_as_a_whole_is_not_hidden(settings: WebSettings, store: Store) -> None:
    with pytest.raises(SettingsError, match="whole bot"):
        settle(settings, store, complaint_of(store, ""), "hide")
    with pytest.raises(SettingsError, match="hide, forget, dismiss"):
        settle(settings, store, complaint_of(store, ""), "explode")
    assert len(store.complaints()) == 2


def test_a_dismissed_report_changes_nothing(settings: WebSettings, store: Store, said: Prediction) -> None:
    assert settle(settings, store, complaint_of(store, said.id), "dismiss").outcome == "dismissed"
    assert store.predictions("rover") == [said]


def job_with_upload(settings: WebSettings, store: Store, **changes: Any) -> tuple[Job, Path]:
    upload = settings.state_dir.resolve() / "uploads" / "k3xk3xk3xk3x" / "a.zip"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"posts")
    job = store.add_job(Job("user:ann", (str(upload),), ("a.zip",), "rover", "gpt2"))
    changed = store.change_job(job.id, **changes)
    assert changed is not None
    return changed, upload


def test_a_forgotten_bot_leaves_nothing_behind(settings: WebSettings, store: Store, bot: Bot, said: Prediction) -> None:
    picture = picture_of(settings, bot, said)
    job, upload = job_with_upload(settings, store, state="failed")
    assert settle(settings, store, complaint_of(store, ""), "forget").outcome == "forgotten"
    assert not bot.path.exists()
    assert not picture.parent.exists()
    assert not upload.parent.exists()
    assert store.prediction(said.id) is None
    assert store.job(job.id) is None
    assert store.complaints(open_only=False) == []
    assert settle(settings, store, Complaint("rover", "", "again"), "forget").outcome == "forgotten"


def test_a_bot_that_is_being_made_is_stopped_first(settings: WebSettings, store: Store, bot: Bot) -> None:
    job, upload = job_with_upload(settings, store, state="training")
    complaint = complaint_of(store, "")
    with pytest.raises(BotError, match="being made"):
        settle(settings, store, complaint, "forget")
    asked = store.job(job.id)
    assert asked is not None
    assert asked.cancel
    assert bot.path.exists()
    store.change_job(job.id, state="cancelled")
    settle(settings, store, complaint, "forget")
    assert not bot.path.exists()
    assert not upload.exists()


def test_an_account_is_forgotten_by_its_name(settings: WebSettings, store: Store, bot: Bot, said: Prediction) -> None:
    done = sharing.forget_account(settings, store, "@Rover")
    assert [Path(path).name for path in done.bots] == ["rover"]
    assert store.prediction(said.id) is None
    assert sharing.forget_account(settings, store, "@Rover").bots == ()
