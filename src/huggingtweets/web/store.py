"""The database as the other rooms see it: rows in, rows out, each method one short transaction.

In: a URL, a clock. Out: the dataclasses of `records`, never a row or a cursor.

- A job changes hands by compare-and-set: whoever names the state it should be in, and is late, gets None. So several
  servers share one queue without talking to each other.
- A claim takes the oldest job nobody else is taking. PostgreSQL skips what another has locked; SQLite has one writer.
- A draw's predictions are stamped a microsecond apart, so that "older than this one" never splits or repeats a draw.
- Threads may share a store; processes and servers each open their own.

Not covered: files of bots and pictures (see `sharing`), and what PostgreSQL keeps of deleted rows until it vacuums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from huggingtweets.web.database import empty_journal, open_database, reading, writing
from huggingtweets.web.records import WAITS_IN, WORKS_IN, BotRow, Complaint, Job, JobState, Lane, Prediction, User
from huggingtweets.web.tables import bots, complaints, jobs, keys, predictions, users

MICROSECOND = 1e-6


class _Record(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=_Record)


class Store:
    """One open database."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    @classmethod
    def open(cls, url: str, clock: Callable[[], float] = time.time) -> Store:
        """Makes the database if there is none, and brings it up to date if it is older than this version."""
        return cls(open_database(url), clock)

    def close(self) -> None:
        self._engine.dispose()

    # jobs

    def add_job(self, job: Job) -> Job:
        now = self._clock()
        job = replace(job, created=now, changed=now)
        with writing(self._engine) as connection:
            connection.execute(jobs.insert().values(_values(job)))
        return job

    def job(self, id: str) -> Job | None:
        return self._one(Job, jobs, jobs.c.id == id)

    def jobs(self, owner: str | None = None, states: Collection[JobState] | None = None, limit: int = 100) -> list[Job]:
        """Newest first."""
        query = select(jobs).order_by(jobs.c.number.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if states is not None:
            query = query.where(jobs.c.state.in_(list(states)))
        with reading(self._engine) as connection:
            return [_record(Job, row) for row in connection.execute(query)]

    def change_job(self, id: str, expect: Collection[JobState] | None = None, **changes: Any) -> Job | None:
        """None where there is no such job, or it is in none of the expected states."""
        of_job = jobs.c.id == id
        if expect is not None:
            of_job = and_(of_job, jobs.c.state.in_(list(expect)))
        return self._change(of_job, changes)

    def claim(self, lane: Lane, worker: str) -> Job | None:
        """The oldest job that waits in the lane, now this worker's."""
        waits = jobs.c.state == WAITS_IN[lane]
        oldest = select(jobs.c.number).where(waits).order_by(jobs.c.number).limit(1).with_for_update(skip_locked=True)
        changes = {
            "state": WORKS_IN[lane],
            "worker": worker,
            "beat": self._clock(),
            "attempts": jobs.c.attempts + 1,
        }
        return self._change(and_(jobs.c.number == oldest.scalar_subquery(), waits), changes)

    def beat(self, id: str, worker: str, progress: Mapping[str, Any] | None = None) -> Job | None:
        """A sign of life. None: the job is no longer this worker's, who should stop."""
        changes: dict[str, Any] = {"beat": self._clock()}
        if progress is not None:
            changes["progress"] = progress
        at_work = jobs.c.state.in_(list(WORKS_IN.values()))
        return self._change(and_(jobs.c.id == id, jobs.c.worker == worker, at_work), changes)

    def give_back_stale(self, silent_for_s: float) -> list[Job]:
        """Jobs whose worker fell silent stand in line again, at their old place; where someone cancelled, they end."""
        last = self._clock() - silent_for_s
        given_back = []
        for lane in WORKS_IN:
            changes = {"state": case((jobs.c.cancel, "cancelled"), else_=WAITS_IN[lane]), "worker": ""}
            silent = and_(jobs.c.state == WORKS_IN[lane], jobs.c.beat < last)
            given_back += self._change_all(silent, changes)
        return given_back

    def place_in_line(self, job: Job) -> int:
        """How many of its lane come before it: those at work, and those that waited longer. 0 when it does not wait."""
        lane = next((lane for lane, state in WAITS_IN.items() if state == job.state), None)
        if lane is None:
            return 0
        number = select(jobs.c.number).where(jobs.c.id == job.id).scalar_subquery()
        before = or_(jobs.c.state == WORKS_IN[lane], and_(jobs.c.state == WAITS_IN[lane], jobs.c.number < number))
        return self._count(jobs, before)

    def jobs_since(self, owner: str, when: float) -> int:
        return self._count(jobs, and_(jobs.c.owner == owner, jobs.c.created >= when))

    def jobs_of(self, bot: str) -> list[Job]:
        """Newest first."""
        with reading(self._engine) as connection:
            query = select(jobs).where(jobs.c.bot == bot).order_by(jobs.c.number.desc())
            return [_record(Job, row) for row in connection.execute(query)]

    def delete_jobs_of(self, bot: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(delete(jobs).where(jobs.c.bot == bot))

    # predictions

    def add_predictions(self, drawn: Sequence[Prediction]) -> list[Prediction]:
        """Returned as they are kept: stamped so that they sort as they were drawn."""
        now = self._clock()
        kept = [replace(one, created=(one.created or now) - one.number * MICROSECOND) for one in drawn]
        if kept:
            with writing(self._engine) as connection:
                connection.execute(predictions.insert(), [_values(one) for one in kept])
        return kept

    def prediction(self, id: str) -> Prediction | None:
        return self._one(Prediction, predictions, predictions.c.id == id)

    def predictions(
        self,
        bot: str | None = None,
        draw: str | None = None,
        limit: int = 50,
        before: float | None = None,
        hidden: bool = False,
    ) -> list[Prediction]:
        """The newest draw first, by number within one; `before` is the `created` of the last one seen."""
        column = predictions.c
        query = select(predictions).order_by(column.created.desc(), column.draw, column.number).limit(limit)
        if bot is not None:
            query = query.where(column.bot == bot)
        if draw is not None:
            query = query.where(column.draw == draw)
        if before is not None:
            query = query.where(column.created < before)
        if not hidden:
            query = query.where(column.hidden.is_(False))
        with reading(self._engine) as connection:
            return [_record(Prediction, row) for row in connection.execute(query)]

    def count_predictions(self, bots: Sequence[str]) -> dict[str, int]:
        """Those that are shown, by bot; one without any is left out."""
        column = predictions.c
        query = select(column.bot, func.count()).where(column.hidden.is_(False)).group_by(column.bot)
        with reading(self._engine) as connection:
            found = connection.execute(query.where(column.bot.in_(bots)))
            return {str(bot): int(number) for bot, number in found}

    def hide_prediction(self, id: str, hidden: bool = True) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(predictions).where(predictions.c.id == id).values(hidden=hidden))

    # bots

    def bot(self, bot: str) -> BotRow | None:
        return self._one(BotRow, bots, bots.c.bot == bot)

    def bots(self) -> dict[str, BotRow]:
        with reading(self._engine) as connection:
            return {row.bot: _record(BotRow, row) for row in connection.execute(select(bots).order_by(bots.c.bot))}

    def put_bot(self, row: BotRow) -> None:
        with writing(self._engine) as connection:
            _put(connection, bots, "bot", _values(row))

    def forget_bot(self, bot: str) -> None:
        """Its predictions, complaints, jobs and row, all of it; on SQLite out of the journal too."""
        with writing(self._engine) as connection:
            for table in (predictions, complaints, jobs, bots):
                connection.execute(delete(table).where(table.c.bot == bot))
        empty_journal(self._engine)

    # complaints

    def add_complaint(self, c: Complaint) -> Complaint:
        c = replace(c, created=self._clock())
        with writing(self._engine) as connection:
            connection.execute(complaints.insert().values(_values(c)))
        return c

    def complaint(self, id: str) -> Complaint | None:
        return self._one(Complaint, complaints, complaints.c.id == id)

    def complaints(self, open_only: bool = True) -> list[Complaint]:
        """Newest first."""
        query = select(complaints).order_by(complaints.c.created.desc(), complaints.c.id)
        if open_only:
            query = query.where(complaints.c.outcome == "")
        with reading(self._engine) as connection:
            return [_record(Complaint, row) for row in connection.execute(query)]

    def close_complaint(self, id: str, outcome: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(complaints).where(complaints.c.id == id).values(outcome=outcome))

    # people

    def put_user(self, user: User) -> None:
        """A changed password ends the user's sessions: whoever else knew the old one may hold one. Tokens stay."""
        known = replace(user, created=user.created or self._clock())
        with writing(self._engine) as connection:
            old = connection.execute(select(users).where(users.c.name == user.name)).first()
            if old is not None and old.password != user.password:
                connection.execute(delete(keys).where(keys.c.user == user.name, keys.c.kind == "session"))
            created = known.created if old is None else old.created
            _put(connection, users, "name", {**_values(known), "created": created})

    def user(self, name: str) -> User | None:
        return self._one(User, users, users.c.name == name)

    def users(self) -> list[User]:
        with reading(self._engine) as connection:
            return [_record(User, row) for row in connection.execute(select(users).order_by(users.c.name))]

    def remove_user(self, name: str) -> bool:
        """Whether there was one. Their sessions and tokens go with them."""
        with writing(self._engine) as connection:
            return connection.execute(delete(users).where(users.c.name == name)).rowcount > 0

    def add_key(self, digest: str, user: str, kind: str, expires: float | None) -> None:
        """A session or token, of a user who is still there. What has expired meanwhile is swept away."""
        with writing(self._engine) as connection:
            connection.execute(delete(keys).where(keys.c.expires <= self._clock()))
            if connection.execute(select(users.c.name).where(users.c.name == user).with_for_update()).first():
                connection.execute(keys.insert().values(digest=digest, user=user, kind=kind, expires=expires))

    def user_of_key(self, digest: str, now: float) -> User | None:
        valid = and_(keys.c.digest == digest, or_(keys.c.expires.is_(None), keys.c.expires > now))
        with reading(self._engine) as connection:
            row = connection.execute(select(users).join(keys).where(valid)).first()
        return _record(User, row) if row else None

    def remove_key(self, digest: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(delete(keys).where(keys.c.digest == digest))

    # what they share

    def _one(self, kind: type[R], table: Table, which: ColumnElement[bool]) -> R | None:
        with reading(self._engine) as connection:
            row = connection.execute(select(table).where(which)).first()
        return _record(kind, row) if row else None

    def _count(self, table: Table, which: ColumnElement[bool]) -> int:
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()

    def _change(self, which: ColumnElement[bool], changes: Mapping[str, Any]) -> Job | None:
        return next(iter(self._change_all(which, changes)), None)

    def _change_all(self, which: ColumnElement[bool], changes: Mapping[str, Any]) -> list[Job]:
        change = update(jobs).where(which).values({**changes, "changed": self._clock()}).returning(jobs)
        with writing(self._engine) as connection:
            return [_record(Job, row) for row in connection.execute(change).all()]


def _record(kind: type[R], row: Row[Any]) -> R:
    return kind(**{field.name: row._mapping[field.name] for field in fields(kind)})


def _values(record: _Record) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _put(connection: Connection, table: Table, key: str, values: Mapping[str, Any]) -> None:
    """Insert, or replace the row of that key, in one statement: two at once do not collide."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    change = {name: value for name, value in values.items() if name != key}
    connection.execute(dialect.insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=change))
