"""From a file to a bot; again; and after a kill in every stage."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

import huggingtweets as ht
from conftest import full_disk, invented_posts
from huggingtweets.botdir import BotDir, bot_name, file_digest
from huggingtweets.config import BotSettings, DatasetSettings, ImportSettings, TrainingSettings
from huggingtweets.errors import BotError, SettingsError, SourceError, StageMissing, StorageError, TooLittleText
from huggingtweets.pipeline import prepare
from huggingtweets.reports import Event, Notice, StageDone

QUICK = TrainingSettings(epochs=1, tokens_per_step=400, learning_rate=5e-3, warmup_steps=2, threads=1, device="cpu")


def settings(base: Path, **training: object) -> BotSettings:
    return BotSettings(base=str(base), training=dataclasses.replace(QUICK, **training))  # type: ignore[arg-type]


def skipped(events: list[Event]) -> dict[str, bool]:
    return {event.stage: event.skipped for event in events if isinstance(event, StageDone)}


@pytest.fixture(scope="module")
def made(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bot, for all tests that need one."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "rover.txt").write_text("\n".join(invented_posts(250)) + "\n", encoding="utf-8")
    return ht.create(str(folder / "rover.txt"), bots_dir=folder / "bots", settings=settings(tiny_gpt2)).path


@pytest.fixture
def bot(made: Path, posts_file: Path, tmp_path: Path) -> ht.Bot:
    """A copy of it, as if it had been made of this test's own file."""
    bot = ht.Bot(shutil.copytree(made, tmp_path / "bots" / "rover"))
    record = bot.dir.record.read_text(encoding="utf-8")
    bot.dir.record.write_text(record.replace(str(made.parents[1]), str(posts_file.parent)), encoding="utf-8")
    return bot


def test_one_call_makes_the_whole_bot(bot: ht.Bot) -> None:
    there = {str(path.relative_to(bot.path)) for path in bot.path.rglob("*") if path.is_file()}
    assert there >= {
        "bot.json",
        "posts.jsonl",
        "accounts.json",
        "avatars/rover.png",
        "dataset/train.jsonl",
        "dataset/holdout.jsonl",
        "dataset/report.json",
        "model/config.json",
        "model/model.safetensors",
        "train.jsonl",
        "train.json",
        "eval.json",
        "samples.jsonl",
        "README.md",
        "predictions.png",
    }
    assert not [path for path in there if path.endswith(".tmp") or "checkpoint" in path]
    assert bot.name == "rover"
    assert bot.scores is not None
    assert bot.scores.gain is not None
    assert bot.scores.gain > 0.1
    assert bot.generate("My dream is", 2, seed=0, threads=1)[0].startswith("My dream is")


def test_a_second_call_finds_everything_done_and_loads_no_torch(bot: ht.Bot, posts_file: Path, tiny_gpt2: Path) -> None:
    code = (
        "import sys, huggingtweets as ht; from pathlib import Path\n"
        f"ht.create({str(posts_file)!r}, bots_dir=Path({str(bot.path.parent)!r}), listen=print)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped=True") == 5


def test_a_changed_setting_repeats_just_what_it_touches(bot: ht.Bot, posts_file: Path, tiny_gpt2: Path) -> None:
    events: list[Event] = []
    changed = settings(tiny_gpt2, learning_rate=1e-3)
    ht.create(str(posts_file), bots_dir=bot.path.parent, settings=changed, listen=events.append)
    assert skipped(events) == {"download": True, "build": True, "train": False, "evaluate": False, "card": False}


def test_new_posts_in_the_file_are_read(bot: ht.Bot, posts_file: Path) -> None:
    with posts_file.open("a", encoding="utf-8") as file:
        file.write("\n".join(invented_posts(20, seed=9)) + "\n")
    events: list[Event] = []
    ht.create(str(posts_file), bots_dir=bot.path.parent, listen=events.append)
    assert not any(skipped(events).values())
    assert ht.open_bot("rover", bot.path.parent).dataset.counts["rover"].downloaded == 270  # type: ignore[union-attr]


def test_a_file_that_vanished_from_the_bot_is_made_again(bot: ht.Bot, posts_file: Path) -> None:
    bot.dir.picture.unlink()
    events: list[Event] = []
    ht.create(str(posts_file), bots_dir=bot.path.parent, listen=events.append)
    assert [stage for stage, was_skipped in skipped(events).items() if not was_skipped] == ["card"]


def test_the_same_posts_and_seed_give_the_same_bytes(bot: ht.Bot, posts_file: Path, tmp_path: Path) -> None:
    again = ht.create(str(posts_file), bots_dir=tmp_path / "again", settings=bot_settings(bot))
    for name in (
        "posts.jsonl",
        "dataset/train.jsonl",
        "dataset/holdout.jsonl",
        "model/model.safetensors",
        "samples.jsonl",
    ):
        assert (again.path / name).read_bytes() == (bot.path / name).read_bytes(), name


def bot_settings(bot: ht.Bot) -> BotSettings:
    return BotSettings.from_json(bot.dir.read_record()["settings"])


def test_two_accounts_make_a_cyborg(tiny_gpt2: Path, tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("alice", "Bob")):
        files.append(tmp_path / f"{name}.txt")
        files[-1].write_text("\n".join(invented_posts(200, seed=number)), encoding="utf-8")
    cyborg = ht.create(*map(str, files), bots_dir=tmp_path / "bots", settings=settings(tiny_gpt2))
    assert cyborg.name == "alice-bob"
    assert cyborg.dataset is not None
    assert set(cyborg.dataset.counts) == {"alice", "Bob"}
    assert "AI CYBORG" in cyborg.dir.card.read_text()
    assert len(list(cyborg.dir.avatars.iterdir())) == 2


def test_more_accounts_than_fit_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.txt" for name in "abcd"]
    for file in files:
        file.write_text("\n".join(invented_posts(10)))
    with pytest.raises(SettingsError, match="at most 3"):
        ht.create(*map(str, files), bots_dir=tmp_path / "bots")


def test_two_sources_of_one_account_are_refused_rather_than_mixed(tmp_path: Path) -> None:
    files = [tmp_path / folder / "tweets.csv" for folder in "ab"]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.write_text("text\n" + "\n".join(invented_posts(200, seed=number)))
    for pair in (files, [files[0], files[0]]):
        with pytest.raises(SettingsError, match=r"of one account, tweets: .*tweets\.csv and "):
            ht.create(*pair, bots_dir=tmp_path / "bots")
    assert not (tmp_path / "bots").exists()


def test_the_author_whom_a_file_names_names_the_bot(tmp_path: Path) -> None:
    files = [tmp_path / folder / "tweets.csv" for folder in ("a", "b")]
    for number, (file, author) in enumerate(zip(files, ("Rover", "Lander"), strict=True)):
        file.parent.mkdir()
        posts = invented_posts(200, seed=number)
        file.write_text("text,username\n" + "\n".join(f'"{post}",{author}' for post in posts))
    sources, folder = prepare(files, bots_dir=tmp_path / "bots", imports=ImportSettings())
    assert [source.handle for source in sources] == ["Rover", "Lander"]
    assert folder.name == "lander-rover"


def test_nothing_held_out_means_no_scores_and_says_so(posts_file: Path, tiny_gpt2: Path, tmp_path: Path) -> None:
    chosen = dataclasses.replace(settings(tiny_gpt2), dataset=DatasetSettings(holdout_fraction=0))
    bot = ht.create(str(posts_file), bots_dir=tmp_path / "bots", settings=chosen)
    assert bot.scores is not None
    assert bot.scores.bot is bot.scores.base is bot.scores.gain is None
    assert "not measured" in bot.dir.card.read_text()


def test_too_little_text_leaves_the_posts_and_no_model(tiny_gpt2: Path, tmp_path: Path) -> None:
    file = tmp_path / "shy.txt"
    file.write_text("\n".join(invented_posts(20)))
    with pytest.raises(TooLittleText):
        ht.create(str(file), bots_dir=tmp_path / "bots", settings=settings(tiny_gpt2))
    shy = BotDir(tmp_path / "bots" / "shy")
    assert shy.posts.exists()
    assert not shy.model.exists()


def test_a_file_without_posts_leaves_no_bot_behind(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SourceError, match="empty"):
        ht.create(str(tmp_path / "empty.csv"), bots_dir=tmp_path / "bots")
    assert list((tmp_path / "bots").iterdir()) == []


def test_little_text_is_warned_about(posts_file: Path, tiny_gpt2: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    ht.create(str(posts_file), bots_dir=tmp_path / "bots", settings=settings(tiny_gpt2), listen=events.append)
    warnings = [event.text for event in events if isinstance(event, Notice) and event.warning]
    assert any("only" in warning and "characters" in warning for warning in warnings)


def test_a_name_is_never_a_path_out_of_the_folder(posts_file: Path, tmp_path: Path) -> None:
    from huggingtweets.pipeline import prepare

    _, bot = prepare([str(posts_file)], name="../../outside", bots_dir=tmp_path / "bots", imports=ImportSettings())
    assert bot.path.parent == tmp_path / "bots"


def test_settings_of_a_single_stage_stay_with_the_bot(bot: ht.Bot, tiny_gpt2: Path) -> None:
    chosen = settings(tiny_gpt2, epochs=0.5)
    ht.run(bot.dir, ["train"], chosen)
    assert bot_settings(bot).training.epochs == 0.5
    before = bot.training
    ht.run(bot.dir, ["train"])
    assert bot.training == before


def test_handles_in_other_scripts_get_folders_of_their_own() -> None:
    names = {bot_name([handle]) for handle in ("東京", "大阪", "Москва")}
    assert len(names) == 3
    assert all(name.isascii() and name.isalnum() for name in names)


def test_a_stage_without_the_one_before_says_which_command_is_missing(tmp_path: Path) -> None:
    bot = BotDir(tmp_path / "bots" / "new")
    with pytest.raises(StageMissing, match="huggingtweets create FILE"):
        ht.run(bot, ["build"])
    with pytest.raises(StageMissing, match="huggingtweets build new"):
        ht.run(bot, ["train"])


def test_one_process_works_on_a_bot_at_a_time(bot: ht.Bot, posts_file: Path) -> None:
    with bot.dir.locked(), pytest.raises(BotError, match="another process"):
        ht.create(str(posts_file), bots_dir=bot.path.parent)


def test_a_full_disk_loses_nothing_and_the_same_call_continues(
    posts_file: Path, tiny_gpt2: Path, tmp_path: Path
) -> None:
    with full_disk(after_bytes=100_000), pytest.raises(StorageError, match="disk is full"):
        ht.create(str(posts_file), bots_dir=tmp_path / "bots", settings=settings(tiny_gpt2))
    bot = BotDir(tmp_path / "bots" / "rover")
    assert bot.train_posts.exists()
    assert not list(bot.path.rglob("*.tmp"))
    events: list[Event] = []
    ht.create(str(posts_file), bots_dir=tmp_path / "bots", settings=settings(tiny_gpt2), listen=events.append)
    assert skipped(events)["build"]
    assert not skipped(events)["train"]


def create_until(file: str, bots: str, chosen: str, stage: str, kind: str, count: int) -> None:
    """Makes a bot, and ends as by a power cut at an event."""
    torch.set_num_threads(1)
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += getattr(event, "stage", None) == stage and type(event).__name__ == kind
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    ht.create(file, bots_dir=Path(bots), settings=BotSettings.from_json(json.loads(chosen)), listen=listen)


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """New processes that have the libraries loaded already, which takes longest."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers", "huggingtweets", "huggingtweets.training"])
    return context


@pytest.mark.parametrize(
    ("stage", "kind", "count"),
    [
        ("download", "StageStarted", 1),
        ("download", "Advanced", 1),
        ("build", "StageStarted", 1),
        ("build", "StageDone", 1),
        ("train", "StageStarted", 1),
        ("train", "Advanced", 2),
        ("train", "Advanced", 9),
        ("train", "StageDone", 1),
        ("evaluate", "Advanced", 2),
        ("evaluate", "StageDone", 1),
        ("card", "StageStarted", 1),
        ("card", "StageDone", 1),
    ],
)
def test_a_kill_in_any_stage_ends_in_the_same_bot(
    undisturbed: dict[str, str],
    processes: multiprocessing.context.ForkServerContext,
    posts_file: Path,
    tiny_gpt2: Path,
    tmp_path: Path,
    stage: str,
    kind: str,
    count: int,
) -> None:
    chosen = settings(tiny_gpt2, checkpoint_every_s=0.0)
    arguments = (str(posts_file), str(tmp_path / "bots"), json.dumps(chosen.to_json()), stage, kind, count)
    killed = processes.Process(target=create_until, args=arguments)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    ran: Counter[str] = Counter()

    def listen(event: Event) -> None:
        ran[f"{getattr(event, 'stage', '')} {type(event).__name__}"] += 1

    bot = ht.create(str(posts_file), bots_dir=tmp_path / "bots", settings=chosen, listen=listen)
    assert digests(bot) == undisturbed
    if (stage, kind, count) == ("train", "Advanced", 9):
        steps = bot.training.steps if bot.training else 0
        assert 0 < ran["train Advanced"] < steps  # only what came after the last checkpoint ran again


def digests(bot: ht.Bot) -> dict[str, str]:
    names = ("posts.jsonl", "dataset/train.jsonl", "model/model.safetensors", "samples.jsonl", "predictions.png")
    steps = [json.loads(line)["step"] for line in bot.dir.train_log.read_text().splitlines()]
    losses = [json.loads(line)["loss"] for line in bot.dir.train_log.read_text().splitlines()]
    return {name: file_digest(bot.path / name) for name in names} | {"steps": str(steps), "loss": str(losses[-1:])}


@pytest.fixture(scope="module")
def undisturbed(made: Path) -> dict[str, str]:
    return digests(ht.Bot(made))


def test_a_damaged_record_is_said(bot: ht.Bot, posts_file: Path) -> None:
    bot.dir.record.write_text("{")
    with pytest.raises(BotError, match=r"bot\.json is damaged"):
        ht.create(str(posts_file), bots_dir=bot.path.parent)


@pytest.mark.parametrize("content", ["[]", "3", "{}", '{"format": "1", "stages": {}}', '{"format": 1, "stages": [1]}'])
def test_a_record_of_another_shape_is_said_and_hides_no_other_bot(bot: ht.Bot, posts_file: Path, content: str) -> None:
    bot.dir.record.write_text(content)
    with pytest.raises(BotError, match=r"bot\.json is damaged"):
        ht.create(posts_file, bots_dir=bot.path.parent)
    assert [other.name for other in ht.list_bots(bot.path.parent)] == ["rover"]


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"bot": 3, "base": 4}', '{"counts": []}'])
@pytest.mark.parametrize("name", ["dataset_report", "train_report", "eval_report"])
def test_a_report_of_another_shape_is_said(bot: ht.Bot, name: str, content: str) -> None:
    file: Path = getattr(bot.dir, name)
    file.write_text(content)
    with pytest.raises(BotError, match=f"{file.name} is damaged"):
        bot.to_json()


@pytest.mark.parametrize("settings", [[], {"dataset": {"seed": -1}}, {"training": 3}, {"imports": []}, {"seed": "a"}])
def test_settings_of_another_shape_are_said(bot: ht.Bot, settings: object) -> None:
    bot.dir.record.write_text(json.dumps({**bot.dir.read_record(), "settings": settings}))
    with pytest.raises(BotError, match="damaged"):
        ht.run(bot.dir, ["train"])


@pytest.mark.parametrize("line", ["3", "{}", '{"text": 3, "account": "a"}', '{"text": "a", "account": null}'])
def test_a_post_of_another_shape_is_said(bot: ht.Bot, line: str) -> None:
    with bot.dir.posts.open("a") as posts:
        posts.write(line + "\n")
    with pytest.raises(BotError, match="damaged at line"):
        ht.run(bot.dir, ["build"])


def test_weights_cut_short_are_noticed_and_trained_again(bot: ht.Bot, posts_file: Path) -> None:
    weights = bot.dir.model / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BotError, match="model of rover is damaged") as said:
        ht.Bot(bot.path).generate("a")
    assert said.value.next == "huggingtweets train rover --again"
    events: list[Event] = []
    ht.create(posts_file, bots_dir=bot.path.parent, listen=events.append)
    assert not skipped(events)["train"]
    assert weights.read_bytes() == whole


def test_a_line_that_is_no_record_is_said(bot: ht.Bot) -> None:
    bot.dir.train_posts.write_text('"x"\n')
    with pytest.raises(BotError, match=r"train\.jsonl is damaged"):
        ht.run(bot.dir, ["train"])


def test_a_new_split_is_never_scored_with_the_model_of_an_old_one(bot: ht.Bot, tiny_gpt2: Path) -> None:
    ht.run(bot.dir, ["build"], dataclasses.replace(bot_settings(bot), dataset=DatasetSettings(seed=5)))
    with pytest.raises(StageMissing, match="has changed since its training"):
        ht.run(bot.dir, ["evaluate"])


def test_a_card_never_shows_the_scores_of_another_model(bot: ht.Bot, tiny_gpt2: Path) -> None:
    ht.run(bot.dir, ["train"], settings(tiny_gpt2, epochs=0.5))
    with pytest.raises(StageMissing, match="huggingtweets evaluate rover"):
        ht.run(bot.dir, ["card"])


@pytest.mark.parametrize("name", ["x" * 5000, "nobody", "../..", "nul\0"])
def test_a_name_that_is_no_bot_is_said(bot: ht.Bot, name: str) -> None:
    with pytest.raises(BotError, match="There is no bot"):
        ht.open_bot(name, bot.path.parent)


def test_nothing_in_the_bot_names_the_folder_of_the_user(bot: ht.Bot) -> None:
    published = [bot.dir.card, *bot.dir.model.glob("*.json")]
    assert not any(os.fsencode(str(Path.home())) in file.read_bytes() for file in published)
    assert not any(str(bot.path.parent.parent).encode() in file.read_bytes() for file in published)


def test_settings_that_leave_nothing_to_learn_from_do_not_stay(bot: ht.Bot, tiny_gpt2: Path) -> None:
    from huggingtweets.pipeline import run, settings_of

    before = settings_of(bot.dir)
    too_strict = dataclasses.replace(before, dataset=dataclasses.replace(before.dataset, since="2030-01-01"))
    with pytest.raises(TooLittleText):
        run(bot.dir, ["build"], too_strict)
    assert settings_of(bot.dir) == before


def test_a_bots_name_in_place_of_a_source_is_told(bot: ht.Bot) -> None:
    with pytest.raises(SourceError, match="huggingtweets update rover"):
        prepare(["rover"], bots_dir=bot.path.parent, imports=ht.ImportSettings())
