"""How a dataset on the Hugging Face Hub is named: OWNER/NAME[/CONFIG][@REVISION][:SPLIT].

In: what was typed, with or without `hub:`, or an address of the Hub's pages. Out: a `DatasetName`.

- "@" and ":" are where the Hub's own tools and other trainers have them; several splits are joined by "+".
- A revision may hold "/" (`refs/convert/parquet`), and none of the others can hold ":".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from huggingtweets.errors import UnknownSource
from huggingtweets.sources.tally import shorten

_NAME = re.compile(
    r"(?:datasets/)?(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*)"
    r"(?:/(?P<config>[^/@:\s]+))?(?:@(?P<revision>[^:\s]+))?(?::(?P<split>[\w.]+(?:\+[\w.]+)*))?"
)
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/datasets/(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*)"
    r"(?:/(?P<page>viewer|tree|blob|resolve|raw)(?:/(?P<rest>[^?#]*))?|/(?:discussions|commits|settings)\b.*|/)?(?:[?#].*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DatasetName:
    """
    >>> str(DatasetName("alice", "posts", revision="v1.0", split="train"))
    'alice/posts@v1.0:train'
    """

    owner: str
    name: str
    config: str | None = None
    revision: str | None = None
    split: str | None = None

    @property
    def repo(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def splits(self) -> list[str]:
        return self.split.split("+") if self.split else []

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        revision = f"@{self.revision}" if self.revision else ""
        return self.repo + config + revision + (f":{self.split}" if self.split else "")


def dataset_named(typed: str) -> DatasetName:
    """The dataset that was meant; raises UnknownSource.

    >>> dataset_named("alice/posts/default@main:train+test").splits
    ['train', 'test']
    >>> str(dataset_named("https://huggingface.co/datasets/alice/posts/viewer/default/train"))
    'alice/posts/default:train'
    """
    typed = typed.strip()
    if found := _PAGE.fullmatch(typed):
        return _of_page(found)
    if found := _NAME.fullmatch(typed):
        return DatasetName(**found.groupdict())
    word = typed if re.fullmatch(r"\w[\w.-]*", typed) else "NAME"
    raise UnknownSource(
        f"hub:{shorten(typed)} names no dataset on the Hugging Face Hub.",
        why="A dataset is named by its owner too, and perhaps by its configuration, revision and split: "
        "hub:OWNER/NAME/CONFIG@REVISION:SPLIT.",
        next=f"pass hub:OWNER/{word}",
    )


def _of_page(found: re.Match[str]) -> DatasetName:
    owner, name, page = found["owner"], found["name"], (found["page"] or "").lower()
    parts = [unquote(part) for part in (found["rest"] or "").split("/") if part]
    if page == "viewer":
        config, split = [*parts, None, None][:2]
        return DatasetName(owner, name, config=config, split=split)
    if page in ("blob", "resolve", "raw"):
        raise UnknownSource(
            f"{shorten(found[0])} is one file of a dataset.",
            next=f"pass the dataset, hub:{owner}/{name}, or download the file and pass that",
        )
    return DatasetName(owner, name, revision=parts[0] if page == "tree" and parts else None)
