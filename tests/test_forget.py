"""Forgetting: everything of an account goes, whatever state it is in, and it is not made again by accident."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from huggingtweets import stages
from huggingtweets.botdir import BotDir, write_json
from huggingtweets.cli import app
from huggingtweets.config import BotSettings, ImportSettings
from huggingtweets.consent import Word, judge
from huggingtweets.errors import BotError, ConsentRefused, SettingsError, StorageError
from huggingtweets.forgotten import FILE, is_forgotten
from huggingtweets.pipeline import sources_of
from huggingtweets.posts import Account, Post, dump_posts
from huggingtweets.rebuilding import rebuild
from huggingtweets.reports import silent
from huggingtweets.sources.base import Origin
from huggingtweets.upkeep import forget, remember

BAKERY = Account("bakery.example", "bluesky", id="did:plc:bakery", url="https://bsky.app/profile/bakery.example")
BOB = Account("bob@social.example", "mastodon", id="1", url="https://social.example/@bob")
NASA = Account("NASA", "x", id="42", url="https://x.com/NASA")


def a_bot(bots: Path, name: str, *accounts: Account, sources: tuple[str, ...] = ()) -> BotDir:
    """A downloaded bot, as the stage leaves it."""
    bot = BotDir(bots / name)
    posts = [Post(f"{number} loaves", account.handle) for account in accounts for number in range(3)]
    bot.path.mkdir(parents=True)
    bot.posts.write_text("".join(dump_posts(posts)))
    write_json(bot.accounts, [dataclasses.asdict(account) for account in accounts])
    bot.write_record(sources=list(sources) or [f"file:/{name}.csv"])
    bot.mark_done("download", "key", posts=len(posts))
    return bot


@pytest.fixture
def bots(tmp_path: Path) -> Path:
    folder = tmp_path / "bots"
    a_bot(folder, "bakery", BAKERY)
    a_bot(folder, "bob", BOB)
    a_bot(folder, "nasa", NASA)
    a_bot(folder, "cyborg", BAKERY, BOB)
    return folder


def names(bots: Path) -> list[str]:
    return sorted(path.name for path in bots.iterdir() if not path.name.startswith(FILE))


@pytest.mark.parametrize(
    "typed",
    [
        "bakery.example",
        "@Bakery.Example",
        " bakery.example ",
        "bluesky:bakery.example",
        "bluesky:@bakery.example",
        "https://bsky.app/profile/bakery.example",
        "https://bsky.app/profile/bakery.example/post/3k",
        "did:plc:bakery",
        "at://did:plc:bakery/app.bsky.feed.post/3k",
    ],
)
def test_every_spelling_finds_the_bots_and_the_cyborg_goes_too(bots: Path, typed: str) -> None:
    gone = forget(typed, bots_dir=bots)
    assert gone.bots == (str(bots / "bakery"), str(bots / "cyborg"))
    assert names(bots) == ["bob", "nasa"]


@pytest.mark.parametrize("typed", ["@bob@social.example", "mastodon:bob@Social.Example", "https://social.example/@bob"])
def test_an_account_of_mastodon_is_found(bots: Path, typed: str) -> None:
    assert forget(typed, bots_dir=bots).bots == (str(bots / "bob"), str(bots / "cyborg"))


@pytest.mark.parametrize("typed", ["@nasa", "NASA", "x:nasa", "42", "https://twitter.com/NASA/status/1", "x.com/nasa"])
def test_an_account_of_x_is_found(bots: Path, typed: str) -> None:
    assert forget(typed, bots_dir=bots).bots == (str(bots / "nasa"),)


@pytest.mark.parametrize("typed", ["bakery", "cyborg", "bob", "nas", "@someone", "1"])
def test_nobody_else_s_bot_is_touched(bots: Path, typed: str) -> None:
    assert forget(typed, bots_dir=bots).bots == ()
    assert names(bots) == ["bakery", "bob", "cyborg", "nasa"]


@pytest.mark.parametrize("typed", ["", " ", "@", "x:"])
def test_somebody_has_to_be_named(bots: Path, typed: str) -> None:
    with pytest.raises(SettingsError, match="Whom"):
        forget(typed, bots_dir=bots)


def test_a_file_names_the_account_that_is_in_it(bots: Path, tmp_path: Path) -> None:
    (tmp_path / "nasa.csv").write_text("text\nhello world\n")
    assert forget(str(tmp_path / "nasa.csv"), bots_dir=bots).bots == (str(bots / "nasa"),)


def test_a_dry_run_only_says_what_would_go(bots: Path) -> None:
    assert forget("@bakery.example", bots_dir=bots, dry_run=True) == forget(
        "@bakery.example", bots_dir=bots, dry_run=True
    )
    assert names(bots) == ["bakery", "bob", "cyborg", "nasa"]
    assert not is_forgotten(bots, ["bakery.example"])


def test_it_is_not_made_again_under_either_name(bots: Path) -> None:
    forget("bakery.example", bots_dir=bots)
    for same in (Account("renamed.example", "bluesky", id="did:plc:bakery"), Account("Bakery.example", "file")):
        with pytest.raises(ConsentRefused, match="was forgotten"):
            judge(same, Origin("network"), Word(mine=True), bots)
    assert judge(BOB, Origin("network"), Word(mine=True), bots) == [], "the other half of the cyborg is not forgotten"


def test_a_bot_s_name_is_answered_with_its_accounts(bots: Path) -> None:
    for typed in ("cyborg", str(bots / "cyborg")):
        assert forget(typed, bots_dir=bots, dry_run=True).meant == ("bakery.example", "bob@social.example")
    assert forget("@bakery.example", bots_dir=bots, dry_run=True).meant == ()
    shown = CliRunner().invoke(app, ["forget", "bob", "--bots-dir", str(bots), "--dry-run"], env={"COLUMNS": "200"})
    assert "Did you mean: huggingtweets forget @bob@social.example" in shown.stdout


def test_a_second_time_finds_nothing_and_is_no_error(bots: Path) -> None:
    forget("bakery.example", bots_dir=bots)
    assert forget("bakery.example", bots_dir=bots).bots == ()
    assert forget("bakery.example", bots_dir=bots / "nowhere" / "yet").bots == ()


def test_undo_lets_it_be_made_again(bots: Path) -> None:
    forget("bakery.example", bots_dir=bots)
    assert remember("did:plc:bakery", bots_dir=bots)
    assert judge(BAKERY, Origin("network"), Word(mine=True), bots) == []
    assert not remember("bakery.example", bots_dir=bots)


def test_what_is_published_is_listed(bots: Path) -> None:
    hub = "https://huggingface.co"
    place = {"repo_id": "me/bakery", "url": f"{hub}/me/bakery", "others": [{"repo_id": "a/b", "url": f"{hub}/a/b"}]}
    write_json(bots / "bakery" / "published.json", place)
    (bots / "cyborg" / "published.json").write_text("{")
    first, second, third = forget("bakery.example", bots_dir=bots).published
    assert (first, second) == (f"{hub}/me/bakery", f"{hub}/a/b")
    assert third.startswith("cyborg, somewhere")


# --- bots in every state -----------------------------------------------------------------------------------------


def test_a_download_that_was_cut_off_goes(tmp_path: Path) -> None:
    bot = BotDir(tmp_path / "something")
    bot.partial.mkdir(parents=True)
    (bot.partial / "0.jsonl").write_text("".join(dump_posts([Post("a loaf", "bakery.example")])))
    assert forget("bakery.example", bots_dir=tmp_path, dry_run=True).bots == (str(bot.path),)
    write_json(bot.partial / "0.json", {"account": dataclasses.asdict(BAKERY)})
    (bot.partial / "0.jsonl").write_text("")
    assert forget("did:plc:bakery", bots_dir=tmp_path).bots == (str(bot.path),)
    assert names(tmp_path) == []


def removed(file: Path) -> None:
    file.unlink()


def emptied(file: Path) -> None:
    file.write_text("")


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def reshaped(file: Path) -> None:
    file.write_text("[[1], 2, null]")


@pytest.mark.parametrize("harm", [removed, emptied, torn, reshaped])
@pytest.mark.parametrize("harmed", [["accounts.json"], ["bot.json"], ["accounts.json", "bot.json"], ["posts.jsonl"]])
def test_a_damaged_bot_is_found_by_what_is_left(bots: Path, harm: Callable[[Path], None], harmed: list[str]) -> None:
    for name in harmed:
        harm(bots / "cyborg" / name)
    assert str(bots / "cyborg") in forget("@bakery.example", bots_dir=bots).bots
    assert names(bots) == ["bob", "nasa"]


def test_a_bot_that_tells_nothing_is_left_alone_and_named(bots: Path) -> None:
    for file in (bots / "cyborg").iterdir():
        file.write_text("{")
    gone = forget("bakery.example", bots_dir=bots)
    assert gone.bots == (str(bots / "bakery"),)
    assert gone.unclear == (str(bots / "cyborg"),)
    assert (bots / "cyborg").exists()


def test_a_name_inside_a_post_is_not_whose_post_it_is(tmp_path: Path) -> None:
    bot = a_bot(tmp_path, "nasa", NASA)
    bot.accounts.unlink()
    bot.posts.write_text("".join(dump_posts([Post('see "account":"bakery.example"', "NASA")])))
    assert forget("bakery.example", bots_dir=tmp_path).bots == ()
    assert forget("nasa", bots_dir=tmp_path).bots == (str(bot.path),)


def test_a_renamed_account_is_found_by_the_name_that_was_typed(tmp_path: Path) -> None:
    a_bot(tmp_path, "bot", dataclasses.replace(BAKERY, url=None), sources=("bluesky:old.example",))
    assert len(forget("@old.example", bots_dir=tmp_path).bots) == 1
    assert is_forgotten(tmp_path, ["did:plc:other"]) is False


def test_a_bot_that_is_being_worked_on_keeps_all_until_it_is_free(bots: Path) -> None:
    with BotDir(bots / "cyborg").locked(), pytest.raises(BotError, match="another process"):
        forget("bakery.example", bots_dir=bots)
    assert names(bots) == ["bakery", "bob", "cyborg", "nasa"], "so that a list of what was published is not lost"
    assert is_forgotten(bots, ["bakery.example"]), "so that a run beside it can't make it again"
    assert len(forget("bakery.example", bots_dir=bots).bots) == 2


def test_what_an_earlier_run_did_not_come_to_remove_goes(bots: Path) -> None:
    (bots / "bakery").rename(bots / ".bakery.forgotten")
    gone = forget("bakery.example", bots_dir=bots)
    assert gone.bots == (str(bots / "cyborg"),)
    assert names(bots) == ["bob", "nasa"]


def test_a_bot_elsewhere_that_is_linked_here_goes_there(bots: Path, tmp_path: Path) -> None:
    shutil.move(bots / "bakery", tmp_path / "elsewhere")
    (bots / "bakery").symlink_to(tmp_path / "elsewhere")
    forget("bakery.example", bots_dir=bots)
    assert not (tmp_path / "elsewhere").exists()
    assert names(bots) == ["bob", "nasa"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove everything")
def test_what_may_not_be_removed_is_named(bots: Path) -> None:
    bots.chmod(0o500)
    try:
        with pytest.raises(StorageError):
            forget("bakery.example", bots_dir=bots)
    finally:
        bots.chmod(0o700)


def test_other_folders_beside_the_bots_are_not_looked_into(bots: Path) -> None:
    (bots / "notes").mkdir()
    (bots / "notes" / "bakery.txt").write_text("bakery.example")
    (bots / "README.md").write_text("bakery.example")
    forget("bakery.example", bots_dir=bots)
    assert names(bots) == ["README.md", "bob", "nasa", "notes"]


# --- every way back in -------------------------------------------------------------------------------------------


def test_no_file_of_its_posts_makes_it_again(tmp_path: Path) -> None:
    posts = tmp_path / "nasa.csv"
    posts.write_text("text\n" + "hello wide world\n" * 3)
    bots = tmp_path / "bots"
    forget("@NASA", bots_dir=bots)
    bot = BotDir(bots / "nasa")
    with bot.locked(), pytest.raises(ConsentRefused, match="huggingtweets forget @nasa --undo"):
        stages.fetch(bot, sources_of([posts], ImportSettings()), BotSettings(), silent, Word(mine=True))
    assert not bot.path.exists()


def test_no_record_makes_it_again(bots: Path, tmp_path: Path) -> None:
    from huggingtweets import lineage

    kept = a_bot(tmp_path / "elsewhere", "nasa", NASA)
    lineage.record(kept)
    record = json.loads(kept.lineage.read_text())
    model = {"name": "nasa", "type": "finetuned-model", "files": {}, "made_from": ["gpt2"]}
    by = {"settings": {}, "steps": 1, "threads": 1, "device": "cpu"}
    write_json(kept.lineage, {**record, "artifacts": [*record["artifacts"], {**model, "made_by": by}]})
    forget("@NASA", bots_dir=bots)
    with pytest.raises(ConsentRefused, match="was forgotten"):
        rebuild(kept.lineage, bots_dir=bots)
    assert names(bots) == ["bakery", "bob", "cyborg"]


def test_the_command_line_forgets_and_takes_back(bots: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["forget", *arguments, "--bots-dir", str(bots)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    gone = {"bots": [str(bots / "nasa")], "published": [], "unclear": [], "meant": []}
    assert json.loads(run("@nasa", "--json")) == gone
    assert "0 bots of @nasa removed." in run("@nasa")
    assert "@nasa may be made again." in run("@nasa", "--undo")
