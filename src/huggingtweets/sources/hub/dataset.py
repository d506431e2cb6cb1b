"""A dataset on the Hugging Face Hub as a source, by the library `datasets` (an optional extra).

In: a `DatasetName`. Out: the account, then pages of its posts, and everything that could not be used, counted.

- Rows are read as those of files are, by the same columns and forms (`files.shapes`, `files.timeline`): in batches,
  twice, from this disk, so memory stays small and the Hub is asked once.
- Who published a dataset need not have written it, and who wrote it need not know: for consent it counts as a network,
  which asks for the owner's word before the first request.

Not covered: fetching (see `hub.library`); `--max-posts`, since rows have no order.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from huggingtweets.config import ImportSettings
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.files.columns import READ, TEXT, normal
from huggingtweets.sources.files.parquet import cells
from huggingtweets.sources.files.shapes import HOLDERS
from huggingtweets.sources.files.timeline import Timeline, no_text_column
from huggingtweets.sources.hub.errors import hub_errors
from huggingtweets.sources.hub.library import fetched
from huggingtweets.sources.hub.names import DatasetName
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

READER = 1  # raised when the same dataset would give other posts than before
BATCH_ROWS = 1_000


@dataclass
class HubDataset:
    """The posts of one account in a dataset; a `Source`."""

    dataset: DatasetName
    settings: ImportSettings

    @property
    def spec(self) -> str:
        return f"hub:{self.dataset}"

    @property
    def handle(self) -> str:
        """What the user says, else the dataset's name: nothing is asked of the Hub before a word of consent."""
        return safe_handle(self.settings.handle or self.settings.author or "") or safe_handle(self.dataset.name)

    @property
    def origin(self) -> Origin:
        return Origin("network")

    def fingerprint(self) -> str:
        settings = sorted(dataclasses.asdict(self.settings).items())
        return hashlib.sha256(repr((READER, self.spec, settings)).encode("utf-8", "replace")).hexdigest()

    def pages(
        self, cursor: str | None = None, *, known: Collection[str] = (), tell: Tell = tell_nobody
    ) -> Iterator[Page]:
        """The account, then all posts in the order of the rows; always from the beginning. Raises SourceError."""
        avatar = read_avatar(self.settings.avatar) if self.settings.avatar else None
        rows = _Rows(fetched(self.dataset, tell), self.dataset, self.settings)
        timeline = Timeline(rows, self.settings, safe_handle(self.dataset.name), platform="hub")
        yield Page(account=timeline.account, avatar=avatar)
        yield from timeline.pages(Page(), Tally())


@dataclass
class _Rows:
    """The rows of a dataset as `files.timeline.Rows`."""

    dataset: Dataset
    named: DatasetName
    settings: ImportSettings
    columns: tuple[str, ...] = ()
    fraction: float | None = None

    def __post_init__(self) -> None:
        texts = {normal(self.settings.text_column)} if self.settings.text_column else HOLDERS.union(TEXT)
        if texts.isdisjoint(map(normal, self.dataset.column_names)):
            raise no_text_column(self.name, self.dataset.column_names, self.settings)

    @property
    def name(self) -> str:
        return f"hub:{self.named}"

    def values(self, tally: Tally) -> Iterator[object]:
        total = len(self.dataset)
        for start in range(0, total, BATCH_ROWS):
            stop = min(total, start + BATCH_ROWS)
            columns = self._read(start, stop)
            self.fraction = stop / total
            for index in range(stop - start):
                yield {name: column[index] for name, column in columns.items()}

    def _read(self, start: int, stop: int) -> dict[str, list[object]]:
        with hub_errors(self.named):
            batch = self._light[start:stop]
            return {name: cells(batch.column(name)) for name in batch.column_names}

    @cached_property
    def _light(self) -> Dataset:
        schema = self.dataset.features.arrow_schema
        names = [field.name for field in schema if normal(field.name) in READ or not _is_heavy(field.type)]
        return self.dataset.select_columns(names).with_format("arrow")


def _is_heavy(kind: pa.DataType) -> bool:
    """Whether a column holds pictures, sounds or vectors rather than anything of a post."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return bool(pa.types.is_primitive(kind.value_type)) or _is_heavy(kind.value_type)
    return any(
        is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )
