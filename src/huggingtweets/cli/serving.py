"""The commands of the web app: the server, and who may log in."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huggingtweets.cli.app import app
from huggingtweets.config import BOTS_DIR, DEFAULT_BASE
from huggingtweets.errors import SettingsError
from huggingtweets.options import BotsDir, given

if TYPE_CHECKING:
    from huggingtweets.web.settings import WebSettings
    from huggingtweets.web.store import Store

NAME = re.compile(r"[\w.@-]{1,64}")

Database = Annotated[
    str | None,
    typer.Option(
        envvar="HUGGINGTWEETS_DATABASE",
        show_envvar=True,
        help="sqlite:///FILE or postgresql://USER@HOST/NAME; a file beside the bots by default. "
        "One with a password belongs into the environment.",
        show_default=False,
    ),
]


@app.command(
    epilog="huggingtweets serve\n\n"
    "huggingtweets serve --host 0.0.0.0 --public-url https://bots.example.org   (people log in: huggingtweets user)"
)
def serve(
    host: Annotated[str, typer.Option(help="127.0.0.1: this machine alone; 0.0.0.0: whoever reaches it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 7860,
    bots_dir: BotsDir = BOTS_DIR,
    database: Database = None,
    public_url: Annotated[str | None, typer.Option(help="What people type, where a proxy stands before it.")] = None,
    proxy: Annotated[
        list[str] | None, typer.Option(help="Address of a proxy whose X-Forwarded-For is believed; may be repeated.")
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Everybody may use it, without a login.")] = False,
    base: Annotated[str, typer.Option(help="Of bots made here, unless another is chosen.")] = DEFAULT_BASE,
    minutes: Annotated[float | None, typer.Option(help="Of training; 5 by default on a CPU.")] = None,
    trainings: Annotated[int, typer.Option(help="At a time.")] = 1,
    browser: Annotated[
        bool | None, typer.Option("--browser/--no-browser", help="Open it; by default where a person sits at it.")
    ] = None,
) -> None:
    """Make bots, let them write and share what they wrote: in a browser, or over HTTP."""
    with _web():
        from huggingtweets.web.running import serve as run
        from huggingtweets.web.settings import WebSettings
    settings = WebSettings(host=host, port=port, open=open, base=base, trainings_at_once=trainings).over(
        **given(bots_dir=bots_dir, database=database, public_url=public_url, minutes=minutes),
        proxies=tuple(proxy or ()),
    )

    def tell(url: str) -> None:
        typer.echo(url)
        sys.stdout.flush()
        typer.echo("Ctrl-C stops it. What is being made goes on the next time.", err=True)
        if browser if browser is not None else _has_person(settings):
            typer.launch(url)

    run(settings, tell)


def _has_person(settings: WebSettings) -> bool:
    return settings.is_loopback and sys.stdin.isatty() and sys.stderr.isatty()


@app.command(
    epilog="huggingtweets user alice --admin   (asks for a password)\n\n"
    "huggingtweets user alice --token   (for programs)\n\nhuggingtweets user alice --remove"
)
def user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="How they log in.")],
    admin: Annotated[
        bool | None, typer.Option("--admin/--no-admin", help="Sees all jobs, and takes down what was reported.")
    ] = None,
    token: Annotated[bool, typer.Option("--token", help="Print a key for programs, once.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Never lets them in again; their bots stay.")] = False,
    bots_dir: BotsDir = BOTS_DIR,
    database: Database = None,
) -> None:
    """Let somebody log in where others reach the server: a password, from the keyboard or standard input."""
    if token and remove:
        raise SettingsError("--token and --remove exclude each other.")
    with _store(bots_dir, database) as store:
        if remove:
            _remove(store, name)
        elif token:
            _print_token(store, name)
        else:
            _set_password(store, name, admin)


def _set_password(store: Store, name: str, admin: bool | None) -> None:
    from huggingtweets.web.keys import hash_password
    from huggingtweets.web.records import User

    if not NAME.fullmatch(name):
        raise SettingsError(f"A user's name has 1 to 64 letters, digits and . _ - @, not {name!r}.")
    known = store.user(name)
    is_admin = admin if admin is not None else known is not None and known.admin
    store.put_user(User(name, hash_password(_ask_password()), is_admin))
    said = "has a new password" if known else "may log in"
    typer.echo(f"{name} {said}{', as an admin' if is_admin else ''}.", err=True)


def _print_token(store: Store, name: str) -> None:
    from huggingtweets.web.keys import new_token

    if store.user(name) is None:
        raise SettingsError(f"There is no user {name!r}.", next=f"huggingtweets user {name}")
    typer.echo(new_token(store, name))
    typer.echo("It is not shown again. Send it as: Authorization: Bearer TOKEN", err=True)


def _remove(store: Store, name: str) -> None:
    if not store.remove_user(name):
        raise SettingsError(f"There is no user {name!r}.")
    typer.echo(f"{name} may not log in any more.", err=True)


def _ask_password() -> str:
    if sys.stdin.isatty():
        asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    return sys.stdin.readline().rstrip("\r\n")


@contextmanager
def _store(bots_dir: Path, database: str | None) -> Iterator[Store]:
    with _web():
        from huggingtweets.web.settings import WebSettings
        from huggingtweets.web.store import Store
    store = Store.open(WebSettings(bots_dir=bots_dir, database=database).database_url)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _web() -> Iterator[None]:
    """What the web app is made of comes with an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("huggingtweets"):
            raise
        raise SettingsError(
            f"The web app needs {error.name}, which is not installed.", next="pip install 'huggingtweets[web]'"
        ) from error
