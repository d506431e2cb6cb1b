"""A dataset on the Hugging Face Hub as a source, by the library `datasets` (an optional extra).

In: a `DatasetName`. Out: the account, then pages of its posts, and everything that could not be used, counted.

- Rows are read as those of files are, by the same columns and forms (`shapes`, `timeline`).
- The Hub's own cache holds the files, and the library's the rows, as Arrow on disk: both readings are local, memory
  stays small, an interrupted download goes on, and HF_HUB_OFFLINE works with what is there.
- The token is the Hub's own login, and never seen here. HF_ENDPOINT is the libraries' matter too.
- Who published a dataset need not have written it, and who wrote it need not know: for consent it counts as a network,
  which asks for the owner's word before the first request.

Not covered: datasets that need code of their own, which never runs; `--max-posts`, since rows have no order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from huggingtweets.config import ImportSettings
from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.sources.base import Origin, Page, Tell, tell_nobody
from huggingtweets.sources.columns import TEXT, normal
from huggingtweets.sources.hub_errors import hub_errors
from huggingtweets.sources.hub_names import DatasetName
from huggingtweets.sources.identity import read_avatar, safe_handle
from huggingtweets.sources.parquet import cells
from huggingtweets.sources.shapes import HOLDERS
from huggingtweets.sources.tally import Tally
from huggingtweets.sources.timeline import Timeline, no_text_column

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, DatasetBuilder

READER = 1  # raised when the same dataset would give other posts than before
BATCH_ROWS = 1_000
TIMEOUT_S = 10.0
LARGEST_BYTES = 1 << 34  # packed; the most diligent account's posts have a hundredth of it


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
        _need_library()
        with hub_errors(self.dataset), _quiet():
            found = _found(self.dataset)
        tell(found.told)
        with hub_errors(self.dataset), _quiet():
            rows = _Rows(found.fetched(), self.dataset, self.settings)
        timeline = Timeline(rows, self.settings, safe_handle(self.dataset.name), platform="hub")
        yield Page(account=timeline.account, avatar=avatar)
        yield from timeline.pages(Page(), Tally())


@dataclass
class _Rows:
    """The rows of a dataset as `timeline.Rows`."""

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
        names = [field.name for field in schema if not _is_heavy(field.type)]
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


def _need_library() -> None:
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise SourceError(
            "Datasets on the Hugging Face Hub are read by the package datasets, which is not installed.",
            next="pip install 'huggingtweets[datasets]'",
        ) from error


@dataclass(frozen=True)
class _Place:
    """Where a dataset is read from."""

    address: str  # as the library takes it
    sizes: Mapping[str, int]  # of its files, by their paths
    is_here: bool = False  # in the Hub's cache, and the Hub is not asked


def _place_of(name: DatasetName) -> _Place:
    """The Hub, or under HF_HUB_OFFLINE its cache, at the revision that was meant."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        info = HfApi().dataset_info(name.repo, revision=name.revision, timeout=TIMEOUT_S, files_metadata=True)
    except OfflineModeIsEnabled:
        folder = snapshot_download(name.repo, repo_type="dataset", revision=name.revision, local_files_only=True)
        return _Place(str(folder), {}, is_here=True)
    # Said outright, because a folder of the same name here is not what was meant.
    return _Place(f"hf://datasets/{name.repo}", {file.rfilename: file.size or 0 for file in info.siblings or ()})


@dataclass
class _Found:
    """What of a dataset was meant."""

    builder: DatasetBuilder
    split: str
    told: str

    def fetched(self) -> Dataset:
        """On this disk, as Arrow."""
        self.builder.download_and_prepare()
        rows: Dataset = self.builder.as_dataset(split=self.split)
        return rows


def _found(name: DatasetName) -> _Found:
    place = _place_of(name)
    builder = _builder(name, place)
    files = {str(split): list(found) for split, found in (builder.config.data_files or {}).items()}
    split = _split(name, list(files))
    if place.is_here:
        return _Found(builder, split, f"The Hub is not asked: reading {name.repo} as it was when it was read last.")
    paths = (file.partition("@")[2].partition("/")[2] for found in files.values() for file in found)
    size_bytes = sum(place.sizes.get(path, 0) for path in paths)
    if size_bytes > LARGEST_BYTES:
        raise UnreadableFile(
            f"hub:{name} has {size_bytes / 1e9:,.0f} GB.",
            why="No account's posts are that much.",
            next=f"choose a part of it, such as hub:{name.repo}/CONFIG, or download one file and pass that",
        )
    return _Found(builder, split, f"Reading {name.repo} from the Hugging Face Hub ({size_bytes / 1e6:,.1f} MB).")


def _builder(name: DatasetName, place: _Place) -> DatasetBuilder:
    """The library's own reader of one configuration; raises UnreadableFile where there are several."""
    from datasets import get_dataset_config_names, load_dataset_builder

    revision = None if place.is_here else name.revision
    try:
        return load_dataset_builder(place.address, name.config, revision=revision)
    except ValueError as error:
        known = get_dataset_config_names(place.address, revision=revision)
        if name.config in known or (name.config is None and len(known) < 2):
            raise
        what = f"no configuration {name.config!r}" if name.config else f"{len(known)} configurations"
        raise UnreadableFile(
            f"hub:{name} has {what}.",
            why=f"There are: {', '.join(known[:30])}.",
            next=f"pass one of them, such as hub:{dataclasses.replace(name, config=known[0])}",
        ) from error


def _split(name: DatasetName, known: list[str]) -> str:
    if name.splits and all(split in known for split in name.splits):
        return "+".join(name.splits)
    if not name.splits and len(known) == 1:
        return known[0]
    missing = next((split for split in name.splits if split not in known), None)
    one, every = (dataclasses.replace(name, split=split) for split in (known[0] if known else None, "+".join(known)))
    raise UnreadableFile(
        f"hub:{name} has no split {missing!r}." if missing else f"hub:{name} has {len(known)} splits.",
        why=f"There are: {', '.join(known[:30])}." if known else "",
        next=f"pass hub:{one}" + (f", or hub:{every} for all" if len(known) > 1 else ""),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and warnings of the libraries: only the command line talks. And no question to anybody but the
    Hub: the library would tell others which dataset was read, to count downloads and to look for a copy as Parquet.
    """
    import datasets
    from datasets import config
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    switched_off = datasets.are_progress_bars_disabled(), are_progress_bars_disabled()
    asks, level = (config.HF_UPDATE_DOWNLOAD_COUNTS, config.USE_PARQUET_EXPORT), logging.root.manager.disable
    datasets.disable_progress_bars()
    disable_progress_bars()
    config.HF_UPDATE_DOWNLOAD_COUNTS = config.USE_PARQUET_EXPORT = False
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)
        config.HF_UPDATE_DOWNLOAD_COUNTS, config.USE_PARQUET_EXPORT = asks
        for was_off, enable in zip(switched_off, (datasets.enable_progress_bars, enable_progress_bars), strict=True):
            if not was_off:
                enable()
