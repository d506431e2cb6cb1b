"""The live view of a fleet: how many bots are where, how fast it goes, and what each process does.

On a terminal a table that renews itself; into a pipe or a log file a line now and then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from huggingtweets.terminal import duration, talk

if TYPE_CHECKING:
    from huggingtweets.fleet.ledger import Entry, Ledger

LINE_EVERY_S = 15.0
MOST_ROWS = 16  # of what is being worked on
BAR_WIDTH = 28


class Board:
    """A context manager, and the listener that the fleet calls."""

    def __init__(self, console: Console = talk, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._live = Live(console=console, refresh_per_second=2, transient=True) if console.is_terminal else None
        self._told = -LINE_EVERY_S
        self._failed: set[int] = set()
        self._noticed = 0

    def __enter__(self) -> Board:
        if self._live is not None and not self._quiet:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, ledger: Ledger) -> None:
        if self._quiet:
            return
        for notice in ledger.notices[self._noticed :]:
            self._console.print(Text(f"! {notice}", style="yellow"))
        self._noticed = len(ledger.notices)
        for number, entry in enumerate(ledger.entries):
            if entry.state == "failed" and number not in self._failed:
                self._failed.add(number)
                reason = entry.failure.what if entry.failure else ""
                self._console.print(Text(f"! {entry.member.where}, {entry.shown}: {reason}", style="yellow"))
        if self._live is not None:
            self._live.update(_view(ledger))
        elif time.monotonic() - self._told >= LINE_EVERY_S:
            self._told = time.monotonic()
            self._console.print(headline(ledger))


def headline(ledger: Ledger) -> str:
    """One line: where all bots are, and how fast it goes."""
    counts = ledger.counts
    parts = [f"{counts.done:,} of {counts.all:,} bots done"]
    parts += [f"{counts.running:,} at work", f"{counts.waiting:,} waiting"]
    if counts.failed:
        parts.append(f"{counts.failed:,} set aside")
    rate, left_s = ledger.bots_an_hour, ledger.seconds_left
    if rate is not None:
        parts.append(f"{rate:,.0f} an hour")
    if left_s:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)


def _view(ledger: Ledger) -> RenderableType:
    counts = ledger.counts
    bar = ProgressBar(total=max(1, counts.all), completed=counts.done + counts.failed, width=BAR_WIDTH * 2)
    at_work = [entry for entry in ledger.entries if entry.progress.stage and entry.node and not entry.is_over]
    at_work = [entry for entry in at_work if entry.state in ("reading", "training", "publishing")]
    rows = Table.grid(padding=(0, 2))
    for entry in at_work[:MOST_ROWS]:
        rows.add_row(*_row(entry))
    whole = Table.grid()  # which ends every line, and folds those that are too long
    for part in (Text(headline(ledger), style="bold"), bar, rows):
        whole.add_row(part)
    if len(at_work) > MOST_ROWS:
        whole.add_row(Text(f"… and {len(at_work) - MOST_ROWS:,} more", style="dim"))
    return whole


def _row(entry: Entry) -> tuple[RenderableType, ...]:
    progress = entry.progress
    bar = ProgressBar(total=1.0, completed=progress.fraction, width=BAR_WIDTH, pulse=progress.total is None)
    return Text(entry.shown, overflow="ellipsis"), Text(progress.stage), bar, Text(entry.node, style="dim")
