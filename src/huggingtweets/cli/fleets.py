"""The command that makes many bots."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from huggingtweets.cli.app import app, print_json
from huggingtweets.config import BOTS_DIR, BotSettings
from huggingtweets.errors import SettingsError
from huggingtweets.options import (
    Cleanings,
    Consents,
    Imports,
    Json,
    Machine,
    Quiet,
    Trackings,
    Trainings,
    chosen_over,
    grouped,
)
from huggingtweets.reports import FLEET_FILE

if TYPE_CHECKING:
    from huggingtweets.fleet.accounts import Entry
    from huggingtweets.fleet.ledger import Ledger
    from huggingtweets.fleet.members import Member

GROUPS: dict[str, Any] = {
    "training": Trainings,
    "consents": Consents,
    "imports": Imports,
    "cleaning": Cleanings,
    "machine": Machine,
    "trackings": Trackings,
}
NOT_IN_A_LINE = ("bots_dir", "as_json", "quiet", "from_lineage", "threads", "device")
PRINTED_FAILURES = 20
GROUP = "WANDB_RUN_GROUP"
_PANEL = "Fleet"


@app.command(
    epilog="huggingtweets fleet accounts.txt --base smollm2\n\n"
    "huggingtweets fleet archives/ --out s3://bucket/bots --address 10.0.0.1:6379\n\n"
    "A line of the list is what stands behind huggingtweets create: alice.bsky.social --mine --minutes 2"
)
@grouped
def fleet(
    accounts: Annotated[
        Path, typer.Argument(metavar="LIST", help="A .txt, .csv or .jsonl file with an account a line, or a folder.")
    ],
    training: Trainings,
    consents: Consents,
    imports: Imports,
    cleaning: Cleanings,
    machine: Machine,
    trackings: Trackings,
    out: Annotated[
        str,
        typer.Option(
            envvar="HUGGINGTWEETS_BOTS",
            help="Where the bots live: a folder that all nodes see, or a URL such as s3://bucket/bots.",
            rich_help_panel=_PANEL,
        ),
    ] = str(BOTS_DIR),
    address: Annotated[
        str | None,
        typer.Option(
            help="Of a Ray cluster: host:port or ray://host:port; this machine by default.", rich_help_panel=_PANEL
        ),
    ] = None,
    gpus_per_bot: Annotated[
        float | None,
        typer.Option(
            help="How much of a GPU a training gets; as little as its memory needs by default.", rich_help_panel=_PANEL
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Each one to the Hugging Face Hub, private.", rich_help_panel=_PANEL)
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="What was set aside after three failures, too.", rich_help_panel=_PANEL)
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make many bots: on the cores and GPUs of this machine, or of a Ray cluster.

    Safe to repeat, and to stop: what is done is skipped, and what was interrupted goes on from where it was. The
    options below hold for every bot whose line doesn't say otherwise.
    """
    from huggingtweets.cli.board import Board
    from huggingtweets.fleet.accounts import read_accounts
    from huggingtweets.fleet.driving import run
    from huggingtweets.fleet.ledger import Ledger
    from huggingtweets.fleet.shared import Storage

    machine = dataclasses.replace(machine, threads=machine.threads or 1)
    common = {
        "training": training,
        "consents": consents,
        "imports": imports,
        "cleaning": cleaning,
        "machine": machine,
        "trackings": trackings,
    }
    storage = Storage.at(out)
    orders = [_ordered(entry, common) for entry in read_accounts(accounts)]
    ledger = Ledger([member for member, _ in orders], accounts.name, str(storage))
    for entry, (_, wrong) in zip(ledger.entries, orders, strict=True):
        if wrong:
            entry.refuse(wrong)
    with Board(quiet=quiet) as board:
        run(
            ledger,
            storage,
            address=address,
            threads=machine.threads or 1,
            gpus_per_bot=gpus_per_bot,
            publish=publish,
            retry=retry,
            environment={GROUP: os.environ.get(GROUP) or f"fleet {accounts.stem}"},
            listen=board,
        )
    print_json(ledger.to_json()) if as_json else _print_summary(ledger)
    if ledger.counts.failed:
        raise typer.Exit(1)


def _ordered(entry: Entry, common: dict[str, Any]) -> tuple[Member, str]:
    """What a line of the list orders, over what the command says for all; and what is wrong with the line."""
    from huggingtweets.fleet.members import Member

    try:
        if entry.trouble:
            raise SettingsError(entry.trouble)
        params = _parsed(entry.words)
        groups = {name: _over(common[name], kind, params) for name, kind in GROUPS.items()}
        word = groups.pop("consents").word
        settings = chosen_over(BotSettings(), **groups)
        specs = tuple(params.get("sources") or ())
        if "-" in specs:
            raise SettingsError("Standard input is one account's, not a list's.")
        return Member(entry.where, specs, params.get("name"), settings, word), ""
    except SettingsError as error:
        return Member(entry.where, entry.words), str(error)


def _parsed(words: tuple[str, ...]) -> dict[str, Any]:
    """What is typed, by the parser of `create`; raises SettingsError with what it says."""
    try:
        if set(words) & {"--help", "-h"}:
            raise SettingsError("A line can't ask for help.")
        context = _create_command().make_context("create", list(words))
    except SettingsError:
        raise
    except Exception as error:  # typer's click has its own copy of the class
        said = getattr(error, "format_message", None)
        raise SettingsError(said() if said else f"It can't be read: {type(error).__name__}.") from error
    typed = {name: value for name, value in context.params.items() if _is_typed(context, name)}
    if odd := typed.keys() & NOT_IN_A_LINE:
        options = ", ".join(f"--{name.removeprefix('as_').replace('_', '-')}" for name in sorted(odd))
        raise SettingsError(f"A line can't say {options}: that is the whole fleet's.")
    return typed


def _is_typed(context: Any, name: str) -> bool:
    """On the line itself, not in the environment."""
    return bool(context.get_parameter_source(name).name == "COMMANDLINE")


@functools.cache
def _create_command() -> Any:
    return typer.main.get_command(app).commands["create"]  # type: ignore[attr-defined]


EXCLUDING = ({"mine", "permission"}, {"minutes", "epochs"}, {"recipe", "adapter"})


def _over(common: Any, kind: Any, params: dict[str, Any]) -> Any:
    """What the line says, and for the rest what is said for all."""
    fields = dataclasses.fields(kind)
    said = {field.name: params[field.name] for field in fields if field.name in params}
    for names in EXCLUDING:
        if names & said.keys():
            said = {**{field.name: field.default for field in fields if field.name in names}, **said}
    return dataclasses.replace(common, **said)


def _print_summary(ledger: Ledger) -> None:
    from huggingtweets.terminal import out, print_paths

    counts = ledger.counts
    made = counts.done - counts.was_there
    parts = [f"{made:,} made"] if made or not counts.was_there else []
    parts += [f"{counts.was_there:,} there already"] * bool(counts.was_there)
    parts += [f"{counts.failed:,} set aside"] * bool(counts.failed)
    rate = ledger.bots_an_hour
    out.print(", ".join(parts) + (f"; {rate:,.0f} bots an hour" if rate else ""))
    failed = [entry for entry in ledger.entries if entry.state == "failed" and entry.failure]
    for entry in failed[:PRINTED_FAILURES]:
        assert entry.failure is not None
        out.print(f"  {entry.member.where}  {entry.shown}: {entry.failure.text}")
        if entry.failure.next:
            out.print(f"      Next: {entry.failure.next}")
    if len(failed) > PRINTED_FAILURES:
        out.print(f"  … and {len(failed) - PRINTED_FAILURES:,} more")
    print_paths({"report": f"{ledger.out.rstrip('/')}/{FLEET_FILE}", "bots": ledger.out})
