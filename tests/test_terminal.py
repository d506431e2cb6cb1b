"""What a person sees while the stages work, on a terminal and in a log file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from huggingtweets.reports import Advanced, Counts, DatasetReport, Notice, Sample, StageDone, StageStarted
from huggingtweets.terminal import Narrator, counts_table, print_samples

STORY = [
    StageStarted("train", "Training gpt2"),
    Notice("Computing on cpu"),
    Notice("little text", warning=True),
    Advanced("train", 10, 40, {"loss": 3.456, "seconds": 20.0}),
    StageDone("train", "40 steps"),
]


def told(*, terminal: bool, quiet: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=110, color_system=None, markup=False, highlight=False)
    with Narrator(console, quiet=quiet) as narrator:
        for event in STORY:
            narrator(event)
            narrator._bars.refresh() if terminal else None
    return out.getvalue()


def test_a_terminal_shows_stage_share_loss_and_time_left() -> None:
    text = told(terminal=True)
    for shown in ("Training gpt2", "25%", "loss 3.46", "step 10 of 40", "1:00 left", "40 steps"):
        assert shown in text


def test_a_log_file_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingtweets.terminal.QUIET_LINE_EVERY_S", 0.0)
    lines = told(terminal=False).splitlines()
    assert lines[0] == "… Training gpt2"
    assert "  Training gpt2: 25%  loss 3.46, step 10 of 40, 1:00 left" in lines
    assert not any("\x1b" in line for line in lines)


def test_quiet_leaves_warnings_only() -> None:
    assert told(terminal=False, quiet=True).strip() == "! little text"


def test_what_people_wrote_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_samples([Sample("", "[bold red]not bold[/] :smile: https://x.y", copied_from="[link=evil]a post[/link]")])
    shown = capsys.readouterr().out
    assert "[bold red]not bold[/] :smile: https://x.y" in shown
    assert "copies: [link=evil]a post[/link]" in shown


def test_the_table_of_counts_adds_up_in_front_of_the_reader() -> None:
    report = DatasetReport({"a[b]": Counts(770, 41, 0, 2389)}, {"a[b]": 1}, 1, 1, 0, None, {})
    out = io.StringIO()
    Console(file=out, width=80).print(counts_table(report))
    words = out.getvalue().split()
    assert [words[words.index(name) + 1] for name in ("downloaded", "retweets", "short", "kept")] == [
        "3,200",
        "770",
        "41",
        "2,389",
    ]
    assert "@a[b]" in words
