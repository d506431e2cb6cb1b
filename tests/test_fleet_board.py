"""What is shown of a fleet while it works."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from huggingtweets.cli.board import Board
from huggingtweets.fleet.ledger import Ledger
from huggingtweets.fleet.members import Failed, Member, Progress


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger([Member(f"line {n}", (f"rover{n}.csv",)) for n in range(1, 31)], "accounts.txt", "bots")
    for entry in ledger.entries[:20]:
        entry.state, entry.node, entry.name = "training", "node-1", f"[bold]rover{entry.member.where[5:]}"
        entry.advance(Progress("", "train", 30, 100))
    return ledger


def shown(ledger: Ledger, width: int, *, terminal: bool) -> str:
    console = Console(
        file=io.StringIO(), width=width, height=40, force_terminal=terminal, highlight=False, markup=False
    )
    with Board(console) as board:
        board(ledger)
        board(ledger)
        if board._live is not None:
            console.print(board._live.get_renderable())
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_each_one_that_is_at_work_on_a_line_of_its_own(ledger: Ledger, width: int) -> None:
    last = shown(ledger, width, terminal=True).rpartition("0 of 30 bots done")[2]
    lines = last.splitlines()
    assert sum("train" in line for line in lines) == 16
    assert all(line.count("rover") <= 1 for line in lines)
    assert "and 4 more" in last


def test_a_log_has_a_line_now_and_then_and_every_failure_once(ledger: Ledger) -> None:
    ledger.entries[25].state, ledger.entries[25].failure = "failed", Failed("bug", "It [red]broke.", why="At length.")
    ledger.notices.append("The node vm is gone.")
    log = shown(ledger, 100, terminal=False)
    assert log.count("! The node vm is gone.") == 1
    assert log.count("! line 26, rover26.csv: It [red]broke.") == 1
    assert "At length" not in log
    assert log.count("0 of 30 bots done, 20 at work, 9 waiting, 1 set aside") == 1
    assert "\x1b" not in log
