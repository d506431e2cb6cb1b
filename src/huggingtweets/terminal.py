"""What the command line shows: progress on stderr while the stages work, and results on stdout.

On a terminal, and in a notebook that has ipywidgets, a live bar a stage; into a pipe or a log file, a line now and
then. Whatever comes from posts or models is printed as it is, never read as markup.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from huggingtweets.errors import BotError
from huggingtweets.reports import (
    Advanced,
    DatasetReport,
    EvalReport,
    Event,
    Notice,
    Sample,
    StageDone,
    StageStarted,
    TrainReport,
    reasons,
)

if TYPE_CHECKING:
    from huggingtweets.bot import Bot
    from huggingtweets.doctor import Finding
    from huggingtweets.lineage import Artifact, Check, Lineage
    from huggingtweets.publishing import Published

QUIET_LINE_EVERY_S = 15.0

out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
talk = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Narrator:
    """Tells a person what the pipeline is doing. A context manager, and the listener that the pipeline calls."""

    def __init__(self, console: Console = talk, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._live = not quiet and (console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None))
        self._bars = Progress(
            SpinnerColumn("dots"),
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[facts]}", markup=False),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._label = ""
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Narrator:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        if self._quiet and not (isinstance(event, Notice) and event.warning):
            return
        match event:
            case StageStarted():
                self._begin(event)
            case Advanced():
                self._advance(event)
            case StageDone():
                self._end(event)
            case Notice():
                mark, style = ("! ", "yellow") if event.warning else ("  ", "dim")
                self._console.print(Text(mark + event.text, style=style))

    def _begin(self, event: StageStarted) -> None:
        self._label = event.label
        self._begun = self._told = time.monotonic()
        if self._live:
            self._task = self._bars.add_task(event.label, total=None, facts="")
        else:
            self._console.print(f"… {event.label}")

    def _advance(self, event: Advanced) -> None:
        facts = _facts(event, time.monotonic() - self._begun)
        if self._task is not None:
            self._bars.update(self._task, completed=event.done, total=event.total, facts=facts)
        elif time.monotonic() - self._told >= QUIET_LINE_EVERY_S:
            self._told = time.monotonic()
            share = f"{event.done / event.total:.0%}" if event.total else ""
            self._console.print(f"  {self._label}: " + "  ".join(filter(None, [share, facts])))

    def _end(self, event: StageDone) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        took = "already done" if event.skipped else duration(time.monotonic() - self._begun)
        line = Text("✓ ", style="green") + Text(f"{event.stage:<9}", style="bold") + Text(event.summary)
        self._console.print(line + Text(f"  ({took})", style="dim"))


def _facts(event: Advanced, elapsed_s: float) -> str:
    """Loss so far and time left, whichever are known."""
    parts = []
    if "posts" in event.values:
        parts.append(f"{event.values['posts']:,.0f} posts")
    if "loss" in event.values:
        parts.append(f"loss {event.values['loss']:.2f}")
    if event.stage == "train":
        parts.append(f"step {event.done:g}" + (f" of {event.total:g}" if event.total else ""))
    left_s = _seconds_left(event, elapsed_s)
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)


def _seconds_left(event: Advanced, elapsed_s: float) -> float | None:
    if not event.total or not event.done:
        return None
    spent_s = event.values.get("seconds", elapsed_s)  # a resumed training brings its own clock
    return spent_s / event.done * (event.total - event.done)


def duration(seconds: float) -> str:
    """
    >>> duration(75.2), duration(3.21), duration(65_000)
    ('1:15', '3.2 s', '18 h')
    """
    if seconds >= 7200:
        return f"{seconds / 3600:,.0f} h"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def counts_table(report: DatasetReport) -> Table:
    """The original's table: it adds up, a column an account."""
    table = Table(title="Posts", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for handle in report.counts:
        table.add_column(Text(f"@{handle}"), justify="right")
    every = list(report.counts.values())
    table.add_row("downloaded", *(f"{counts.downloaded:,}" for counts in every))
    for reason in reasons(every):
        table.add_row(Text(f"− {reason}"), *(f"{counts.dropped.get(reason, 0):,}" for counts in every))
    table.add_row("= kept", *(f"{counts.kept:,}" for counts in every))
    if report.scrubbed_posts:
        table.caption = f"personal data removed from {report.scrubbed_posts:,} of the kept posts"
        table.caption_justify = "left"
    return table


def scores_table(report: EvalReport) -> Table:
    """Base beside bot, and how far the bot copies."""
    table = Table(title="Scores", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("", "base", "bot", ""):
        table.add_column(column, justify="left" if not column else "right")
    if report.base is not None and report.bot is not None and report.gain is not None:
        base, bot = report.base, report.bot
        note = f"{report.gain:.0%} fewer for unseen posts" if report.gain > 0 else "no better than the base"
        table.add_row("bits per byte, held out", f"{base.bits_per_byte:.3f}", f"{bot.bits_per_byte:.3f}", note)
        table.add_row("loss per token, held out", f"{base.nats_per_token:.3f}", f"{bot.nats_per_token:.3f}", "nats")
    copying = report.copying
    own = f"{copying.own_share:.0%} of the real posts do"
    table.add_row("predictions that copy", "", f"{copying.share:.0%}", own)
    table.add_row("different words", "", f"{report.distinct_1:.0%}", f"pairs {report.distinct_2:.0%}")
    return table


def print_samples(samples: Iterable[Sample]) -> None:
    """Predictions, each with its number for `publish --preview` and the post it copies, if it does."""
    out.print(Text("Predictions", style="bold"))
    for number, sample in enumerate(samples, start=1):
        out.print(Text(f"{number:>2} ", style="dim") + Text(sample.text))
        if sample.copied_from is not None:
            out.print(Text(f"    copies: {sample.copied_from}", style="yellow"))


def print_paths(paths: Mapping[str, object]) -> None:
    width = max(map(len, paths))
    for name, path in paths.items():
        out.print(Text(f"{name:<{width}}  ", style="bold") + Text(str(path)))


def training_table(report: TrainReport) -> Table:
    """What the training was, in a few lines."""
    table = Table(
        title="Training", title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False
    )
    table.add_row("base", f"{report.base}, {report.parameters / 1e6:.0f}M parameters")
    table.add_row("plan", report.plan)
    table.add_row("trained", f"{report.tokens:,} tokens in {duration(report.seconds)} on {report.device}")
    table.add_row("loss", f"{report.first_loss:.2f} to {report.final_loss:.2f} nats per token")
    return table


def bots_table(bots: Iterable[Bot]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("bot", "base", "posts", "bits per byte", "done"):
        table.add_column(column)
    for bot in bots:
        try:
            table.add_row(*_row_of(bot))
        except BotError as error:  # one damaged bot does not hide the others
            table.add_row(Text(bot.name), "", "", "", Text(error.what, style="red"))
    return table


def _row_of(bot: Bot) -> list[Text]:
    scores = bot.scores.bot if bot.scores else None
    cells = [
        bot.name,
        bot.training.base if bot.training else "",
        f"{sum(counts.kept for counts in bot.dataset.counts.values()):,}" if bot.dataset else "",
        f"{scores.bits_per_byte:.3f}" if scores else "",
        ", ".join(bot.dir.read_record()["stages"]),
    ]
    return [Text(cell) for cell in cells]


def findings_table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    marks = {True: Text("✓", style="green"), False: Text("✗", style="red"), None: Text("·", style="dim")}
    for finding in findings:
        table.add_row(marks[finding.ok], Text(finding.name), Text(finding.found), Text(finding.next, style="dim"))
    return table


def print_forgotten(
    account: str,
    bots: Iterable[str],
    published: Iterable[str],
    unclear: Iterable[str],
    meant: Iterable[str],
    dry_run: bool,
) -> None:
    """What `forget` removed, and what it cannot remove."""
    gone = list(bots)
    said = "would be removed" if dry_run else "removed"
    out.print(f"{len(gone)} {'bot' if len(gone) == 1 else 'bots'} of {account} {said}.")
    for bot in gone:
        out.print(f"  {bot}")
    for where in published:
        out.print(f"Published, and not taken down by this: {where}")
    for bot in unclear:
        out.print(f"Too damaged to tell whose it is, so look yourself: {bot}")
    for handle in meant:
        out.print(
            f"A bot is called {account}, and accounts are forgotten. Did you mean: huggingtweets forget @{handle}"
        )
    if not dry_run:
        out.print("It will not be made again here by accident.")


def size_words(size_bytes: int) -> str:
    """
    >>> size_words(532), size_words(48_200), size_words(538_000_000)
    ('532 bytes', '48 kB', '538 MB')
    """
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= bytes_:
            return f"{size_bytes / bytes_:.0f} {unit}"
    return f"{size_bytes} bytes"


def lineage_tree(recorded: Lineage) -> Tree:
    """Each artifact under what was made from it; one that stands there already is not opened again."""
    tree, shown = Tree(Text(recorded.bot, style="bold")), set[str]()
    wanted = {origin for artifact in recorded.artifacts for origin in artifact.made_from}
    for artifact in reversed(recorded.artifacts):
        if artifact.name not in wanted:
            _branch(tree, artifact, recorded, shown)
    return tree


def _branch(tree: Tree, artifact: Artifact, recorded: Lineage, shown: set[str]) -> None:
    is_new = artifact.name not in shown
    shown.add(artifact.name)
    line = Text(artifact.name) + Text(f"  {artifact.type}  ", style="dim") + Text(artifact.digest[:12], style="cyan")
    branch = tree.add(line if is_new or not artifact.made_from else line + Text("  (see above)", style="dim"))
    for name in artifact.made_from if is_new else ():
        if (origin := recorded.named(name)) is not None:
            _branch(branch, origin, recorded, shown)


def checks_table(checks: Iterable[Check]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    styles = {"ok": "green", "changed": "red", "missing": "red"}
    for check in checks:
        table.add_row(Text(check.state, style=styles[check.state]), Text(check.file), Text(check.artifact, style="dim"))
    return table


def published_table(done: Published) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for path, size_bytes in done.files.items():
        table.add_row(Text(size_words(size_bytes), justify="right"), Text(path))
    table.add_row(Text(size_words(sum(done.files.values())), style="bold"), Text("in all", style="bold"))
    sent = "would go to" if done.commit is None else "went to" if done.changed else "is there already:"
    lines = [f"{sent} {done.url} ({'private' if done.private else 'public'})"]
    if done.space is not None:
        lines.append(f"with a Space that runs it: {done.space.url}")
    table.caption = Text("\n".join(lines))
    table.caption_justify = "left"
    return table
