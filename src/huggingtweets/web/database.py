"""A URL becomes an open database of the newest shape. In: an SQLAlchemy URL. Out: an `Engine`, and two kinds of
transaction. `store` builds on it; nothing else does.

- SQLite for one machine, PostgreSQL for several; both behave the same, and every test of `store` runs on both.
- On SQLite a writer says so when it begins (BEGIN IMMEDIATE). Reading first and writing later in one transaction is
  what ends in "database is locked", at once and whatever the timeout.
- SQLite writes ahead (WAL), so readers never wait for a writer; where the file system cannot, it keeps its older way.
- What is deleted is overwritten on SQLite (`secure_delete`): what a person asked to be forgotten is not in the file.
- The database is brought to `tables.HEAD` in one transaction, so that two servers started at once do it once.
- A failure of the database is a StorageError. Neither message nor log holds a password or a stored value.

Not covered: databases in memory, since workers are processes of their own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from huggingtweets.errors import SettingsError, StorageError
from huggingtweets.web.tables import HEAD, KEPT_IN

PATIENCE_S = 30.0  # for another writer on SQLite: longer than any of our transactions, on any disk
CONNECT_S = 10  # for a PostgreSQL server that does not answer
MIGRATION_LOCK = 0x68_75_67_67  # "hugg": any number, the same in every server
WRITING = "BEGIN IMMEDIATE"  # on SQLite: waits for another writer now, not in the middle
EXAMPLES = "--database sqlite:////srv/bots/web.sqlite3, or postgresql://name:password@host/database"

_migrating = threading.Lock()  # Alembic keeps the migration at work in a module's global


def open_database(url: str) -> Engine:
    """Raises SettingsError for a URL that cannot be one of ours, StorageError where the database says no."""
    address = read_url(url)
    if address.get_backend_name() == "sqlite":
        _make_file(address)
    engine = _engine(address)
    try:
        with translated(address, opening=True):
            if engine.dialect.name == "sqlite":
                _write_ahead(engine)
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def read_url(url: str) -> URL:
    """
    >>> read_url("postgres://ann:secret@db.example/bots").drivername
    'postgresql+psycopg'
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # their words may quote the URL, and so the password
        raise SettingsError(
            "--database is not the address of a database.",
            why="Letters like @ : / in a password are written %40 %3A %2F.",
            next=EXAMPLES,
        ) from None
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(f"--database may be sqlite or postgresql, not {address.drivername!r}.", next=EXAMPLES)
    if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
        raise SettingsError(
            "--database needs a file: what lies in memory, the processes that train cannot read.", next=EXAMPLES
        )
    return address


def shown(address: URL) -> str:
    """What may be shown of it: neither name nor password, nor a folder of this machine.

    >>> shown(make_url("postgresql://ann:secret@db.example:5433/bots?password=also"))
    'postgresql://db.example:5433/bots'
    >>> shown(make_url("sqlite:////home/ann/bots/.web/web.sqlite3"))
    'web.sqlite3'
    """
    if address.get_backend_name() == "sqlite":
        return Path((address.database or "").removeprefix("file:")).name
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{address.host or ''}{port}/{address.database or ''}"


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    with translated(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    with translated(engine.url), engine.connect() as connection:
        connection = connection.execution_options(begin=WRITING)
        with connection.begin():
            yield connection


# words of the databases, and what they mean to the person who runs the server
_MEANINGS = (
    (("full", "disk i/o error", "no space"), "The disk is full, or a quota is reached.", "make room on the disk"),
    (("readonly", "read-only", "permission denied"), "It may not be written.", "let the server's account write it"),
    (("locked", "deadlock", "timeout"), "Another program holds it.", "try again in a minute"),
    (("malformed", "not a database"), "The file is damaged, or no SQLite database.", "name another with --database"),
    (("already exists",), "It holds tables of another program.", "give huggingtweets a database of its own"),
    (("unable to open",), "The file cannot be opened or made.", "name another with --database"),
)


@contextmanager
def translated(address: URL, opening: bool = False) -> Iterator[None]:
    """What the database could not do becomes a StorageError; what it was wrongly asked stays a bug.

    The server's own words may name its folders: they are told to the person who opens it, not to a later visitor.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StorageError(f"The database {shown(address)} is busy.", next="try again in a minute") from error
    except DBAPIError as error:
        if not _is_trouble(error):
            raise
        why, next_ = _meaning(" ".join(str(error.orig).split()), address, opening)
        raise StorageError(f"The database {shown(address)} does not do its work.", why=why, next=next_) from error


def _meaning(words: str, address: URL, opening: bool) -> tuple[str, str]:
    for signs, why, next_ in _MEANINGS:
        if any(sign in words.lower() for sign in signs):
            return why, next_
    return (_without_password(words, address) if opening else ""), "see whether the database is running"


def _is_trouble(error: DBAPIError) -> bool:
    """Disk, network, rights, damage: not an error in the question. By PostgreSQL's codes, also a table that is there
    and one that may not be touched."""
    if isinstance(error, OperationalError | InternalError | InterfaceError) or type(error) is DatabaseError:
        return True
    return getattr(error.orig, "sqlstate", None) in ("42501", "42P07")


def _without_password(words: str, address: URL) -> str:
    for secret in (address.password, *address.normalized_query.get("password", ())):
        words = words.replace(secret, "***") if secret else words
    return words


def _engine(address: URL) -> Engine:
    arguments: dict[str, Any] = {"timeout": PATIENCE_S}
    if address.get_backend_name() == "postgresql":
        arguments = {} if "connect_timeout" in address.query else {"connect_timeout": CONNECT_S}
    try:
        # pre-ping: a PostgreSQL server that was started again is noticed before the question, not by it
        engine = create_engine(address, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise SettingsError(
            "PostgreSQL needs its driver, psycopg.", next="pip install 'huggingtweets[postgres]'"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions begin when we say so, not when Python's module guesses
    for setting in ("foreign_keys = ON", "secure_delete = ON", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {setting}")


def _on_begin(connection: Connection) -> None:
    if (statement := connection.get_execution_options().get("begin", "BEGIN")) is not None:
        connection.exec_driver_sql(statement)


def _make_file(address: URL) -> None:
    """Readable by this user alone: it holds password hashes and how to reach people.

    A file that is there is not touched: POSIX takes all locks of a process off a file with the first descriptor of it
    that is closed, SQLite's too; whoever closes the database last then takes the journal from those who still read.
    """
    if "uri" in address.query:  # SQLite's own form, whose options say whether to make it
        return
    path = Path(address.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
    except OSError as error:
        raise StorageError(
            f"The database {shown(address)} cannot be made.",
            why=error.strerror or "",
            next="name another place with --database",
        ) from error


def _write_ahead(engine: Engine) -> None:
    """SQLite remembers it in the file. A file system without shared memory (some networks') refuses, and so be it."""
    with engine.connect() as connection:
        cursor = connection.connection.cursor()  # below SQLAlchemy, which would begin a transaction
        (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            with suppress(sqlite3.OperationalError):
                cursor.execute("PRAGMA journal_mode = WAL")


def empty_journal(engine: Engine) -> None:
    """What was deleted leaves SQLite's write-ahead file too, unless another reader is still in it."""
    if engine.dialect.name == "sqlite":
        with translated(engine.url), engine.connect() as connection:
            connection = connection.execution_options(begin=None)  # SQLite does it outside transactions only
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _migrate(engine: Engine) -> None:
    """Looks first, without Alembic: each worker opens the database, and it is nearly always new enough."""
    with engine.connect() as connection:
        if _version(connection) == HEAD:
            return
    with _migrating, engine.connect() as connection:
        connection = connection.execution_options(begin=WRITING)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            if (version := _version(connection)) != HEAD:
                _bring_to_head(connection, version)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(KEPT_IN):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {KEPT_IN}")).scalar()
    return version


def _bring_to_head(connection: Connection, version: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "huggingtweets.web:migrations")
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if version is not None and version not in known:
        raise StorageError(
            f"The database {shown(connection.engine.url)} was made by a newer huggingtweets: it has version {version}, "
            f"and this one knows up to {HEAD}.",
            next="pip install --upgrade huggingtweets, or name another database with --database",
        )
    command.upgrade(config, "head")
