"""`lineage.json`: which file of a bot was made from which, by digest, and how it would be made again.

In: a bot's folder and its record. Out: the record of everything in it; whether it is all still as it was.

- Everything is derived from the folder and `bot.json`: nothing has to be noted on the way, so nothing can be forgotten.
- An artifact is a few files. Its digest is the SHA-256 over their names and digests, so equal bytes are equal
  artifacts, whenever and wherever they were made.
- Names and types are the ones that the original used in Weights & Biases.
- What stands here stays on this machine: sources may be paths, and a permission may name somebody.

Not covered: telling it to others (see `tracking` and `hub`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingtweets.botdir import BotDir, file_digest, read_as, read_json, write_json
from huggingtweets.errors import BotError
from huggingtweets.reports import Report

FORMAT = 1

RAW, ACCOUNTS, DATASET, BASE, MODEL, SCORES, CARD = (
    "raw-dataset",
    "accounts",
    "train-dataset",
    "pretrained-model",
    "finetuned-model",
    "evaluation",
    "model-card",
)

State = Literal["ok", "changed", "missing"]


@dataclass(frozen=True)
class FileFact(Report):
    """One file of an artifact."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Artifact(Report):
    """A few files that were made together."""

    name: str
    type: str
    files: dict[str, FileFact]  # by path in the bot's folder; of a base, by name
    made_from: tuple[str, ...]  # names of other artifacts
    made_by: dict[str, Any]  # stage, settings, seed, versions

    @property
    def digest(self) -> str:
        """
        >>> one, other = (Artifact(name, RAW, {"posts.jsonl": FileFact("00", 1)}, (), {}) for name in "ab")
        >>> one.digest == other.digest
        True
        """
        listing = "".join(f"{name}\0{fact.sha256}\n" for name, fact in sorted(self.files.items()))
        return hashlib.sha256(listing.encode("utf-8", "replace")).hexdigest()

    @property
    def is_here(self) -> bool:
        """Whether its files lie in the bot's folder; a base's lie elsewhere."""
        return self.type != BASE

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "digest": self.digest}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Artifact:
        files = {name: FileFact.from_json(fact) for name, fact in record["files"].items()}
        return super().from_json({**record, "files": files, "made_from": tuple(record["made_from"])})


@dataclass(frozen=True)
class Lineage:
    """All artifacts of a bot, each after those it was made from."""

    bot: str
    settings: dict[str, Any]  # `BotSettings.to_json`
    artifacts: tuple[Artifact, ...]

    def find(self, type: str) -> Artifact | None:
        return next((artifact for artifact in self.artifacts if artifact.type == type), None)

    def named(self, name: str) -> Artifact | None:
        return next((artifact for artifact in self.artifacts if artifact.name == name), None)

    def to_json(self) -> dict[str, Any]:
        artifacts = [artifact.to_json() for artifact in self.artifacts]
        return {"format": FORMAT, "bot": self.bot, "settings": self.settings, "artifacts": artifacts}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Lineage:
        if record["format"] > FORMAT:
            raise ValueError("it is of a later version of huggingtweets")
        return cls(record["bot"], dict(record["settings"]), tuple(map(Artifact.from_json, record["artifacts"])))


def derive(bot: BotDir) -> Lineage:
    """What the folder holds now; raises BotError for a damaged record."""
    record = bot.read_record()
    return Lineage(bot.name, record.get("settings", {}), tuple(_artifacts(bot, record)))


def _artifacts(bot: BotDir, record: Mapping[str, Any]) -> Iterator[Artifact]:
    name, stages, settings = bot.name, record["stages"], record.get("settings", {})
    raw, accounts, dataset, model, scores = (
        f"tweets-{name}",
        f"accounts-{name}",
        f"dataset-{name}",
        name,
        f"scores-{name}",
    )
    train = stages.get("train", {})
    base = settings.get("base", "base")
    if "download" in stages:
        by = {"stage": "download", "sources": record.get("sources", []), "settings": settings.get("imports", {})}
        yield Artifact(raw, RAW, _files(bot, [bot.posts]), (), by)
        yield Artifact(accounts, ACCOUNTS, _files(bot, [bot.accounts, *_inside(bot.avatars)]), (), by)
    if "build" in stages:
        by = {"stage": "build", "settings": stages["build"].get("settings", {})}
        yield Artifact(dataset, DATASET, _files(bot, _inside(bot.train_posts.parent)), (raw,), by)
    if "train" in stages:
        origin = train.get("continues") or base
        yield Artifact(str(origin), BASE, _base_files(train), (), {"id": train.get("base_id", base)})
        by = {"stage": "train", **_training(bot), "versions": train.get("versions", {})}
        yield Artifact(model, MODEL, _files(bot, _inside(bot.model)), (dataset, str(origin)), by)
    if "evaluate" in stages:
        by = {"stage": "evaluate", "seed": settings.get("seed", 0)}
        files = _files(bot, [bot.eval_report, bot.samples])
        yield Artifact(scores, SCORES, files, (model, dataset, str(train.get("continues") or base)), by)
    if "card" in stages:
        files = _files(bot, [bot.card, bot.picture])
        yield Artifact(f"card-{name}", CARD, files, (scores, model, dataset, accounts), {"stage": "card"})


def _training(bot: BotDir) -> dict[str, Any]:
    """How the training went, as far as doing it again depends on it."""
    report = read_json(bot.train_report) if bot.train_report.exists() else {}
    return {name: report.get(name) for name in ("settings", "steps", "plans", "tokens", "device", "dtype", "threads")}


def _base_files(train: Mapping[str, Any]) -> dict[str, FileFact]:
    facts = train.get("base_files") or {}
    return {name: FileFact.from_json(fact) for name, fact in facts.items()}


def _inside(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def _files(bot: BotDir, files: Iterable[Path]) -> dict[str, FileFact]:
    return {file.relative_to(bot.path).as_posix(): fact_of(file) for file in files if file.exists()}


def fact_of(file: Path) -> FileFact:
    return FileFact(file_digest(file), file.stat().st_size)


def record(bot: BotDir) -> None:
    """Brings `lineage.json` up to date; digests are computed only where a stage has worked since."""
    done = {name: facts["key"] for name, facts in bot.read_record()["stages"].items()}
    try:
        known = read_json(bot.lineage).get("stages") if bot.lineage.exists() else None
    except (BotError, AttributeError):  # damaged: it is derived, so it can be written anew
        known = None
    if done != known:
        write_json(bot.lineage, {**derive(bot).to_json(), "stages": done})


def read(path: Path) -> Lineage:
    """Of a `lineage.json`; raises BotError when it is missing or damaged."""
    return read_as(path, Lineage.from_json)


@dataclass(frozen=True)
class Check(Report):
    """One file beside what is recorded of it."""

    artifact: str
    file: str
    state: State


def verify(bot: BotDir) -> list[Check]:
    """Recomputes every digest; raises BotError where there is no lineage to hold the files to."""
    if not bot.lineage.exists():
        raise BotError(
            f"{bot.name} has no {bot.lineage.name}.",
            why="It was made by an earlier version, or is not finished.",
            next="run the create command again, which writes it",
        )
    return [
        Check(artifact.name, name, _state(bot.path / name, fact))
        for artifact in read(bot.lineage).artifacts
        if artifact.is_here
        for name, fact in artifact.files.items()
    ]


def _state(file: Path, fact: FileFact) -> State:
    if not file.is_file():
        return "missing"
    return "ok" if file.stat().st_size == fact.size_bytes and file_digest(file) == fact.sha256 else "changed"
