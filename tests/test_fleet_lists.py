"""What a fleet is ordered to make: lists in every form, options of a line over those of the command, and the ledger."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huggingtweets.cli.fleets import GROUPS, _ordered
from huggingtweets.config import BotSettings
from huggingtweets.consent import Word
from huggingtweets.errors import SettingsError, UnreadableFile
from huggingtweets.fleet.accounts import Entry, read_accounts
from huggingtweets.fleet.ledger import Ledger, file_of
from huggingtweets.fleet.members import Failed, Member, Progress
from huggingtweets.options import Consents, Trainings

NOTHING: dict[str, Any] = {name: kind() for name, kind in GROUPS.items()}


def words_in(folder: Path, name: str, text: str) -> list[tuple[str, ...]]:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return [entry.words for entry in read_accounts(file)]


def test_a_line_of_text_is_what_stands_behind_create(tmp_path: Path) -> None:
    text = (
        "\ufeff# whom we asked\n\n"
        "alice.bsky.social --mine\r\n"
        "'my posts.csv' bob.csv --name 'two of us'  # a cyborg\n"
        "@carol@social.example --permission 'she said so, May 2026'\n"
        "posts#1.csv\n"
        "alice.bsky.social --mine\n"
    )
    assert words_in(tmp_path, "accounts.txt", text) == [
        ("alice.bsky.social", "--mine"),
        ("my posts.csv", "bob.csv", "--name", "two of us"),
        ("@carol@social.example", "--permission", "she said so, May 2026"),
        ("posts#1.csv",),
    ]


def test_columns_are_options_by_their_names(tmp_path: Path) -> None:
    text = "Account,minutes,mine,max_posts,since\nalice.bsky.social,2,yes,,\n@bob,,no,100,-1\n,,,,\n"
    file = tmp_path / "accounts.csv"
    file.write_text(text)
    alice, bob, nobody = read_accounts(file)
    assert alice.words == ("alice.bsky.social", "--minutes", "2", "--mine")
    assert bob.words == ("@bob", "--max-posts", "100", "--since=-1")
    assert (nobody.where, nobody.trouble) == ("line 4", "It names no account.")


def test_json_lines_hold_texts_or_objects(tmp_path: Path) -> None:
    records: list[Any] = [
        "alice.bsky.social",
        {"sources": ["a.csv", "-b.csv"], "name": "two", "mine": True, "languages": ["en", "de"], "epochs": 1.5},
        7,
    ]
    file = tmp_path / "accounts.jsonl"
    file.write_text("\n".join(map(json.dumps, records)) + "\n{\n")
    alice, two, seven, broken = read_accounts(file)
    assert alice.words == ("alice.bsky.social",)
    assert two.words == ("a.csv", "./-b.csv", "--name", "two", "--mine", "--languages=en,de", "--epochs", "1.5")
    assert "neither a text nor an object" in seven.trouble
    assert "not JSON" in broken.trouble


def test_everything_in_a_folder_is_an_account(tmp_path: Path) -> None:
    for name in ("b.csv", "a.zip", ".DS_Store", "it's -- odd.txt"):
        (tmp_path / name).touch()
    assert [entry.words for entry in read_accounts(tmp_path)] == [
        (str(tmp_path / name),) for name in ("a.zip", "b.csv", "it's -- odd.txt")
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# nobody\n"])
def test_a_list_of_nobody_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="names no account"):
        words_in(tmp_path, "accounts.txt", text)


def test_a_list_of_another_kind_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no list"):
        read_accounts(tmp_path / "nowhere.txt")
    (tmp_path / "accounts.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile, match="UTF-8"):
        read_accounts(tmp_path / "accounts.txt")
    with pytest.raises(UnreadableFile, match="no column with accounts"):
        words_in(tmp_path, "accounts.csv", "text,likes\nhello,3\n")


@given(st.text(max_size=200), st.sampled_from(["txt", "csv", "jsonl"]))
def test_no_list_does_worse_than_an_error(tmp_path_factory: pytest.TempPathFactory, text: str, kind: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"any.{kind}"
    file.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        entries = read_accounts(file)
    except (SettingsError, UnreadableFile):
        return
    for entry in entries:
        assert bool(entry.words) != bool(entry.trouble)
        member, wrong = _ordered(entry, NOTHING)
        assert bool(wrong) or member.specs == tuple(word for word in member.specs if word in entry.words)


# --- a line over the command --------------------------------------------------------------------------------------


def ordered(*words: str, **common: Any) -> Member:
    member, wrong = _ordered(Entry("line 1", words), {**NOTHING, **common})
    assert wrong == ""
    return member


def test_a_line_s_options_come_before_the_command_s() -> None:
    common = {"training": Trainings(base="smollm2", minutes=3), "consents": Consents(mine=True)}
    plain = ordered("a.csv", **common)
    assert (plain.settings.base, plain.settings.training.minutes, plain.word) == ("smollm2", 3, Word(mine=True))
    own = ordered("a.csv", "--base", "gpt2", "--epochs", "2", "--permission", "she said so", "--seed", "7", **common)
    assert (own.settings.base, own.settings.training.minutes, own.settings.training.epochs) == ("gpt2", None, 2)
    assert own.word == Word(permission="she said so")
    assert own.settings.seed == own.settings.dataset.seed == own.settings.training.seed == 7


def test_an_order_without_options_is_what_create_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUGGINGTWEETS_TRACK", "none")
    assert ordered("a.csv").settings == BotSettings()


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("a.csv", "--nonsense"), "No such option"),
        (("a.csv", "--epochs", "many"), "a valid number"),
        (("a.csv", "--minutes", "-3"), "--minutes must be more than 0"),
        (("a.csv", "--bots-dir", "/"), "whole fleet's"),
        (("a.csv", "--quiet"), "whole fleet's"),
        (("a.csv", "--threads", "8"), "whole fleet's"),
        (("a.csv", "--device", "cuda"), "whole fleet's"),
        (("-",), "Standard input"),
        (("a.csv", "--mine", "--permission", "x"), "exclude each other"),
        (("--help",), "ask for help"),
        (("a.csv", "--permission", " "), "needs a reason"),
    ],
)
def test_a_line_that_makes_no_sense_is_told_and_stops_nobody(
    words: tuple[str, ...], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    member, said = _ordered(Entry("line 3", words), NOTHING)
    assert wrong in said
    assert member.where == "line 3"
    assert capsys.readouterr().out == ""


def test_equal_orders_have_equal_keys_wherever_they_stand() -> None:
    one = Member("line 1", ("a.csv",))
    assert one.key == Member("line 9", ("a.csv",)).key
    assert one.key != Member("line 1", ("a.csv",), name="b").key
    assert one.key != Member("line 1", ("a.csv",), word=Word(mine=True)).key


# --- the ledger ---------------------------------------------------------------------------------------------------


def test_what_was_set_aside_after_three_failures_stays_so_until_it_is_retried() -> None:
    members = [Member("line 1", ("a.csv",)), Member("line 2", ("b.csv",)), Member("line 3", ("c.csv",))]
    first = Ledger(members, "accounts.txt", "bots")
    worn, wrong, worked = first.entries
    worn.state, worn.tries, worn.failure = "failed", 3, Failed("process", "It ended.", trace="Traceback")
    wrong.state, wrong.failure = "failed", Failed("lasting", "No such file.")
    worked.state, worked.tries, worked.farthest = "training", 2, 2.5
    report = file_of(first.to_json())

    again = Ledger(members, "accounts.txt", "bots")
    again.remember(report, retry=False)
    assert [(entry.state, entry.tries) for entry in again.entries] == [("failed", 3), ("waiting", 0), ("waiting", 2)]
    assert again.entries[0].failure == Failed("process", "It ended.", next="", trace="Traceback")
    assert again.entries[2].farthest == 2.5

    retried = Ledger(members, "accounts.txt", "bots")
    retried.remember(report, retry=True)
    assert {entry.state for entry in retried.entries} == {"waiting"}


@pytest.mark.parametrize("before", [None, b"", b"{", b"[]", b'{"bots": 3}', b'{"bots": [{}]}', b'{"bots": [1]}'])
def test_a_damaged_report_is_no_hindrance(before: bytes | None) -> None:
    ledger = Ledger([Member("line 1", ("a.csv",))], "accounts.txt", "bots")
    ledger.remember(before, retry=False)
    assert ledger.entries[0].state == "waiting"


def test_a_try_that_gets_farther_than_any_before_is_no_failure() -> None:
    (entry,) = Ledger([Member("line 1", ("a.csv",))], "", "").entries
    entry.tries = 2
    entry.advance(Progress("", "train", done=3, total=100))
    assert entry.tries == 0  # the first try that got to the training
    for done, tries in ((2, 2), (5, 2), (30, 0)):
        entry.tries = 2
        entry.advance(Progress("", "train", done=done, total=100))
        assert entry.tries == tries


def test_the_report_counts_everybody_and_tells_the_rate() -> None:
    ledger = Ledger([Member(f"line {n}", (f"{n}.csv",)) for n in range(6)], "accounts.txt", "bots")
    for entry, state in zip(ledger.entries, ("done", "done", "training", "failed", "opened"), strict=False):
        entry.state = state  # type: ignore[assignment]
    assert ledger.bots_an_hour is None
    ledger.note_training()
    ledger._work_begun = time.time() - 60
    for _ in range(2):
        ledger.note_made()
    counts = ledger.counts
    assert (counts.done, counts.running, counts.failed, counts.waiting, counts.all) == (2, 1, 1, 2, 6)
    assert ledger.bots_an_hour == pytest.approx(120, rel=0.01)
    assert ledger.seconds_left == pytest.approx(90, rel=0.01)
