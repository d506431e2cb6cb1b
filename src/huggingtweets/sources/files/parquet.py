"""Parquet files: the columns that are known, a batch of rows at a time.

In: a path. Out: one record (column to value) a row; nested columns are left out.

pyarrow is imported here only, and only when a Parquet file is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from huggingtweets.errors import UnreadableFile
from huggingtweets.sources.files import columns
from huggingtweets.sources.files.opening import translated_errors
from huggingtweets.sources.values import EPOCH

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 1_000


def column_names(path: Path) -> list[str]:
    with _opened(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def records(path: Path, text_column: str | None, on_progress: Callable[[float], None]) -> Iterator[dict[str, object]]:
    """Keys in normal form; `on_progress` hears the fraction of rows read."""
    with _opened(path) as file:
        wanted = _wanted(file.schema_arrow, text_column)
        total, seen = file.metadata.num_rows, 0
        batches = file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted.values()))
        while (batch := _next(batches, path)) is not None:
            with _translated_damage(path):
                values = {name: cells(batch.column(column)) for name, column in wanted.items()}
            seen += batch.num_rows
            on_progress(seen / max(1, total))
            for index in range(batch.num_rows):
                yield {name: column[index] for name, column in values.items()}


def _wanted(schema: pa.Schema, text_column: str | None) -> dict[str, str]:
    """Normal name to name in the file, for the columns to read."""
    import pyarrow as pa

    text = columns.normal(text_column) if text_column else None
    wanted: dict[str, str] = {}
    for field in schema:
        name = columns.normal(field.name)
        if (name in columns.READ or name == text) and not pa.types.is_nested(field.type):
            wanted.setdefault(name, field.name)
    return wanted


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    import pyarrow.parquet as pq

    with translated_errors(path), path.open("rb") as handle:
        with _translated_damage(path):
            # Checked on opening: a damaged length would otherwise ask for gigabytes.
            file = pq.ParquetFile(handle, thrift_string_size_limit=1 << 28, thrift_container_size_limit=1 << 24)
        yield file


@contextlib.contextmanager
def _translated_damage(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        first_line = (str(error).splitlines() or ["no reason given"])[0]
        raise UnreadableFile(
            f"{path} is a damaged Parquet file: {first_line}",
            why="It was probably cut short while it was copied or downloaded.",
            next="copy or export it again",
        ) from error


def _next(batches: Iterator[pa.RecordBatch], path: Path) -> pa.RecordBatch | None:
    with _translated_damage(path):
        return next(batches, None)


def cells(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """The values of a column as Python has them, times with a zone; raises what pyarrow raises."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        return [_moment(value) for value in _microseconds(column).to_pylist()]
    values: list[object] = column.to_pylist()
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def _microseconds(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Nanoseconds would be refused by Python's datetime; a timestamp's own number is in UTC, zone or none."""
    import pyarrow as pa

    return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64())


def _moment(microseconds: int | None) -> datetime | str | None:
    if microseconds is None:
        return None
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return str(microseconds)  # no time that can be read, and counted as such
