"""What of a dataset was meant, from the Hugging Face Hub to this disk, by the library `datasets`.

In: a `DatasetName`. Out: its rows, as Arrow in the library's cache.

- The Hub's own cache holds the files and the library's the rows, where other programs look for them too: an interrupted
  download goes on, and HF_HUB_OFFLINE works with what is there.
- The token is the Hub's own login, and never seen here. HF_ENDPOINT is the libraries' matter too.
- Nobody but the Hub is asked, and no code out of a dataset runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huggingtweets.errors import SourceError, UnreadableFile
from huggingtweets.sources.base import Tell
from huggingtweets.sources.hub.errors import hub_errors
from huggingtweets.sources.hub.names import DatasetName

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

TIMEOUT_S = 10.0
LARGEST_BYTES = 1 << 34  # packed; the most diligent account's posts have a hundredth of it


def fetched(name: DatasetName, tell: Tell) -> Dataset:
    """The rows that were meant, on this disk; raises SourceError."""
    _need_library()
    with hub_errors(name), _quiet():
        found = _found(name)
    tell(found.told)
    with hub_errors(name), _quiet():
        found.builder.download_and_prepare()
        rows: Dataset = found.builder.as_dataset(split=found.split)
        return rows


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
