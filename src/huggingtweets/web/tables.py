"""The tables of the database, and how Python's values lie in them. In: nothing. Out: the tables, for `store`.

- A text is stored as any program may read it: NUL, which PostgreSQL refuses, and halves of surrogate pairs, which are
  no text in UTF-8, become U+FFFD, as HTML reads them. So both databases answer alike, and a lookup of such a text
  finds what was stored.
- What has no fixed shape (progress, errors) is one text of JSON; no query looks inside. Numbers that JSON lacks (a loss
  of nan) become null.
- `number` is the order of arrival: two jobs of one moment keep their order, and no clock set back lets anyone pass.
- A user's keys go with the user in the database itself, so that no session outlives an account, whoever was first.

A change here needs a new file in `migrations/versions` and `HEAD` set to it; a test compares the two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Float, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

HEAD = "0001"  # the newest file of migrations/versions
KEPT_IN = (
    "huggingtweets_version"  # the table that says how new a database is; Alembic's own name may be another program's
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)


def plain(text: str) -> str:
    r"""
    >>> plain("a\x00b"), plain("\ud83d"), plain("🚀")
    ('a\ufffdb', '\ufffd', '🚀')
    """
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def plain_json(value: Any) -> Any:
    r"""
    >>> plain_json({"loss": [[1, float("nan")]], "text": ("a\x00", None)})
    {'loss': [[1, None]], 'text': ['a\ufffd', None]}
    """
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Plain(TypeDecorator[str]):
    """A text, with `plain`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else plain(value)


class Json(TypeDecorator[Any]):
    """Anything that JSON holds, with `plain_json`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(plain_json(value), ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Texts(Json):
    """A tuple of texts."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return tuple(super().process_result_value(value, dialect) or ())


def _text(name: str, **more: Any) -> Column[str]:
    return Column(name, Plain, nullable=False, **more)


def _real(name: str) -> Column[float]:
    return Column(name, Float(53), nullable=False)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _number() -> Column[int]:
    # SQLite counts up by itself only in a column of its own word INTEGER
    return Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


jobs = Table(
    "jobs",
    metadata,
    _number(),
    _text("id", unique=True),
    _text("owner"),
    Column("specs", Texts, nullable=False),
    Column("titles", Texts, nullable=False),
    _text("bot", index=True),
    _text("base"),
    Column("minutes", Float(53)),
    _flag("straight"),
    Column("word", Json, nullable=False),
    _text("state"),
    Column("progress", Json, nullable=False),
    Column("error", Json),
    _flag("cancel"),
    _whole("attempts"),
    _text("worker"),
    _real("beat"),
    _real("created"),
    _real("changed"),
    Index(None, "state", "number"),
    Index(None, "owner", "created"),
    sqlite_autoincrement=True,  # a number is never given twice, even after the newest job is deleted
)

predictions = Table(
    "predictions",
    metadata,
    _text("id", primary_key=True),
    _text("bot"),
    _text("start"),
    _text("text"),
    _text("draw", index=True),
    _whole("number"),
    _whole("seed"),
    _real("temperature"),
    _real("top_p"),
    _whole("max_length"),
    Column("copied_from", Plain),
    _text("owner"),
    _text("weights"),
    _real("created"),
    _flag("hidden"),
    Index(None, "bot", "created"),
    Index(None, "created"),
)

bots = Table("bots", metadata, _text("bot", primary_key=True), _text("owner"), _flag("published"))

complaints = Table(
    "complaints",
    metadata,
    _text("id", primary_key=True),
    _text("bot", index=True),
    _text("prediction"),
    _text("reason"),
    _text("contact"),
    _real("created"),
    _text("outcome"),
)

users = Table("users", metadata, _text("name", primary_key=True), _text("password"), _flag("admin"), _real("created"))

keys = Table(
    "keys",
    metadata,
    _text("digest", primary_key=True),  # SHA-256 of what the browser or the program holds
    Column("user", Plain, ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    _text("kind"),
    Column("expires", Float(53)),
)
