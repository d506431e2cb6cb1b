"""The commands as they are typed: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from huggingtweets.cli import app
from huggingtweets.cli.showing import write_posts
from huggingtweets.errors import BotError
from huggingtweets.voice import Piece

COMMAND = [sys.executable, "-c", "from huggingtweets.cli import main; main()"]


def huggingtweets(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, cwd=cwd, timeout=240)
    stdout, stderr = done.stdout.decode(), done.stderr.decode()  # as written: Python's text mode changes line ends
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def home(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of posts and the bot made of it."""
    from conftest import invented_posts

    folder = tmp_path_factory.mktemp("home")
    (folder / "rover.csv").write_text("text\n" + "\n".join(f'"{post}"' for post in invented_posts(250)))
    done = create(folder, tiny_gpt2)
    assert done.returncode == 0, done.stderr
    return folder


def create(folder: Path, base: Path, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--base", str(base), "--epochs", "1", "--threads", "1", *more]
    return huggingtweets("create", "rover.csv", *options, cwd=folder)


def test_create_again_says_that_all_is_done_and_shows_the_bot(home: Path, tiny_gpt2: Path) -> None:
    done = create(home, tiny_gpt2)
    assert done.stderr.count("already done") == 5
    for shown in ("= kept", "bits per byte", "My dream is", "README.md", "predictions.png"):
        assert shown in done.stdout
    assert done.stdout.count(" My dream is") == 5
    assert "already done" not in done.stdout


def test_options_left_out_are_the_ones_the_bot_was_made_with(home: Path) -> None:
    done = huggingtweets("create", "rover.csv", cwd=home)
    assert done.stderr.count("already done") == 5


def test_how_a_file_is_read_stays_with_the_bot_too(home: Path) -> None:
    (home / "odd.csv").write_text(
        (home / "rover.csv").read_text().replace("text", "body_of_it,n", 1).replace('"\n', '",1\n')
    )
    first = huggingtweets("download", "odd.csv", "--text-column", "body_of_it", "--display-name", "Odd One", cwd=home)
    assert first.returncode == 0, first.stderr
    assert "already done" in huggingtweets("download", "odd.csv", cwd=home).stderr


def test_show_knows_one_bot_and_all(home: Path) -> None:
    record = json.loads(huggingtweets("show", "rover", "--json", cwd=home).stdout)
    assert record["dataset"]["counts"]["rover"]["kept"] + record["dataset"]["counts"]["rover"]["duplicates"] == 250
    assert record["scores"]["bot"]["bits_per_byte"] < record["scores"]["base"]["bits_per_byte"]
    assert len(record["predictions"]) == 10
    assert "rover" in huggingtweets("show", cwd=home).stdout
    assert "rover" in [bot["name"] for bot in json.loads(huggingtweets("show", "--json", cwd=home).stdout)]


def test_the_first_post_is_shown_while_it_grows_and_the_others_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []

    def pieces() -> Iterator[Piece]:
        for piece in (Piece(0, "My"), Piece(1, "Our"), Piece(0, " dream"), Piece(1, " dreams")):
            yield piece
            shown.append(capsys.readouterr().out)

    write_posts(pieces(), 3)
    assert shown == ["My", "", " dream", ""]
    assert capsys.readouterr().out == "\nOur dreams\n\n"


def test_an_error_does_not_begin_in_the_middle_of_a_post(capsys: pytest.CaptureFixture[str]) -> None:
    def pieces(first: str) -> Iterator[Piece]:
        yield Piece(0, first)
        raise BotError("damaged")

    for first, out in (("My", "My\n"), ("", "")):
        with pytest.raises(BotError):
            write_posts(pieces(first), 1)
        assert capsys.readouterr().out == out


def test_generate_writes_posts_to_stdout_and_nothing_else(home: Path) -> None:
    done = huggingtweets("generate", "rover", "My dream is", "-n", 3, "--seed", 0, "--threads", 1, cwd=home)
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == 3
    assert all(line.startswith("My dream is") for line in lines)
    assert done.stderr == ""
    same = huggingtweets(
        "generate", "bots/rover", "My dream is", "-n", 3, "--seed", 0, "--threads", 1, "--json", cwd=home
    )
    assert json.loads(same.stdout) == lines


def test_the_stages_run_alone_and_again(home: Path) -> None:
    for stage in ("build", "evaluate", "card"):
        assert "already done" in huggingtweets(stage, "rover", cwd=home).stderr
    again = huggingtweets("card", "rover", "--again", cwd=home)
    assert "already done" not in again.stderr
    assert again.stdout.count("bots/rover/") == 2
    report = json.loads(huggingtweets("build", "rover", "--json", "--quiet", cwd=home).stdout)
    assert report["counts"]["rover"]["retweets"] == 0
    assert json.loads(huggingtweets("train", "rover", "--json", "-q", cwd=home).stdout)["recipe"] == "default"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "rovr.csv"], 1, "Did you mean rover.csv?"),
        (["create", "rover.cvs"], 1, "Did you mean rover.csv?"),
        (["create", "@nasa"], 1, "Before anything of nasa is fetched"),
        (["create"], 2, "Whose posts?"),
        (["create", "rover.csv", "--epochs", "0"], 2, "--epochs must be more than 0"),
        (["create", "rover.csv", "--minutes", "soon"], 2, "Invalid value"),
        (["create", "rover.csv", "--holdout", "0.9"], 2, "--holdout must be 0 to 0.5"),
        (["create", "rover.csv", "--text-column", "body"], 1, "text"),
        (["show", "nobody"], 1, "rover"),
        (["generate", "nobody"], 1, "There is no bot 'nobody'"),
        (["generate", "rover", "-n", "0"], 2, "-n must be at least 1"),
        (["generate", "rover", "--temperature", "0"], 2, "--temperature must be more than 0"),
        (["create", "rover.csv", "--epochs", "inf"], 2, "--epochs must be at most"),
        (["create", "rover.csv", "--minutes", "nan"], 2, "--minutes must be more than 0"),
        (["create", "rover.csv", "--seed", "-1"], 2, "--seed must be 0 to"),
        (["create", "rover.csv", "--threads", "100000"], 2, "--threads must be 1 to"),
        (["train", "rover", "--device", "meta", "--again"], 2, "There is no device 'meta' here"),
        (["generate", "rover", "--temperature", "inf"], 2, "--temperature must be at most"),
        (["generate", "rover", "--seed", str(2**64)], 2, "--seed must be 0 to"),
        (["generate", "rover", "--threads", "0"], 2, "--threads must be 1 to"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_what_goes_wrong_is_one_clear_message(home: Path, arguments: list[str], code: int, message: str) -> None:
    done = huggingtweets(*arguments, cwd=home)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_and_version_are_there(home: Path) -> None:
    assert "create" in huggingtweets("--help", cwd=home).stdout
    assert "--minutes" in huggingtweets("create", "--help", cwd=home).stdout
    assert huggingtweets("--version", cwd=home).stdout.startswith("huggingtweets ")


def test_a_terminal_of_another_encoding_gets_what_it_can_show(home: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    for arguments in (["show", "rover"], ["generate", "rover", os.fsdecode(b"caf\xe9 \xf0\x9f\x9a\x80")]):
        done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, cwd=home)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run([*COMMAND, "show", "rover", "--json"], env=environment, capture_output=True, cwd=home)
    assert json.loads(shown.stdout.decode("ascii"))["name"] == "rover"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["show", "rover"], ["show", "rover", "--json"], ["--help"]])
def test_a_full_disk_behind_stdout_is_said(home: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, cwd=home)
    assert done.returncode == 1
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_damaged_bot_does_not_hide_the_others(home: Path) -> None:
    broken = home / "bots" / "broken" / "bot.json"
    broken.parent.mkdir()
    broken.write_text("[]")
    try:
        for more in ([], ["--json"]):
            done = huggingtweets("show", *more, cwd=home)
            assert done.returncode == 0, done.stderr
            assert "rover" in done.stdout
            assert "damaged" in done.stdout
    finally:
        broken.unlink()
        broken.parent.rmdir()


def test_the_lineage_is_shown_whole_and_what_is_not_as_recorded_is_said(home: Path, tiny_gpt2: Path) -> None:
    tree = huggingtweets("show", "rover", "--lineage", cwd=home)
    record = json.loads(huggingtweets("show", "rover", "--lineage", "--json", cwd=home).stdout)
    for artifact in record["artifacts"]:  # a long path takes no digest's place
        assert artifact["digest"][:12] in tree.stdout
        assert artifact["type"] in tree.stdout
    checked = huggingtweets("verify", "rover", cwd=home)
    assert (checked.returncode, checked.stderr) == (0, "")
    samples, weights = home / "bots/rover/samples.jsonl", home / "bots/rover/model/model.safetensors"
    kept = {file: file.read_bytes() for file in (samples, weights)}
    try:
        samples.unlink()
        weights.write_bytes(kept[weights][:-1] + b"?")
        odd = huggingtweets("verify", "rover", cwd=home)
        assert odd.returncode == 1
        assert odd.stderr.startswith("2 of 15 files of rover are not as recorded.\nNext: ")
        assert re.findall(r"^(changed|missing) +(\S+)", odd.stdout, re.MULTILINE) == [
            ("changed", "model/model.safetensors"),
            ("missing", "samples.jsonl"),
        ]
    finally:
        for file, content in kept.items():
            file.write_bytes(content)


@pytest.mark.parametrize(("typed", "offered"), [("r", ["rover"]), ("/tmp", []), ("**", []), ("../", [])])
def test_the_shell_completes_bots(home: Path, typed: str, offered: list[str]) -> None:
    environment = {
        **os.environ,
        "_HUGGINGTWEETS_COMPLETE": "complete_bash",
        "COMP_WORDS": f"huggingtweets show {typed}",
        "COMP_CWORD": "2",
    }
    code = "import sys; sys.argv = ['huggingtweets']; from huggingtweets.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=home)
    assert done.stdout.split() == offered
    assert "Traceback" not in done.stderr


def test_doctor_finds_what_is_needed(home: Path) -> None:
    findings = json.loads(huggingtweets("doctor", "--json", cwd=home).stdout)
    assert {finding["name"] for finding in findings} >= {"Python", "torch", "device", "free disk", "Hugging Face Hub"}
    assert not [finding for finding in findings if finding["ok"] is False]


def test_ctrl_c_stops_with_a_word_and_the_same_command_goes_on(home: Path, tiny_gpt2: Path) -> None:
    options = ["--base", str(tiny_gpt2), "--epochs", "40", "--threads", "1", "--name", "stopped"]
    process = subprocess.Popen(
        [*COMMAND, "create", "rover.csv", *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home
    )
    log = home / "bots" / "stopped" / "train.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "The same command continues" in errors
    assert "Traceback" not in errors


HOSTILE = [
    "a | b",
    "<script>alert(1)</script>",
    "two\nlines",
    "\u202eright to left",
    "👩‍🚀" * 50,
    "[bold]markup[/bold]",
    "'; --",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_display_name_breaks_nothing(
    home: Path, tiny_gpt2: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has loaded what a command loads."""
    from huggingface_hub import ModelCard

    options = ["--base", str(tiny_gpt2), "--epochs", "1", "--threads", "1", "--name", "hostile"]
    monkeypatch.chdir(home)
    done = CliRunner().invoke(app, ["create", "rover.csv", *options, "--display-name", name])
    assert done.exit_code == 0, done.output
    card = home / "bots" / "hostile" / "README.md"
    assert ModelCard.load(card).data.to_dict()["tags"][0] == "huggingtweets"
    assert "<script>" not in card.read_text()
    assert (home / "bots" / "hostile" / "predictions.png").read_bytes().startswith(b"\x89PNG")
