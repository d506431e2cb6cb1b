"""What is told of a bot: everything that leaves for W&B is put together here, and nowhere else.

In: a bot's folder. Out: settings, numbers, artifacts, a few words, as plain values; W&B is not known here.

- Of posts only digests and counts are told, unless their owner's words were asked for (`posts`). That holds for a
  prediction that copies one, too: that there are such is in the scores.
- No path, no source, no permission, no name of a machine or its user: what is not listed here does not leave.
- An artifact is made of small files. W&B takes equal contents for the same version of it, wherever they are sent
  from, which is what ties the runs together; so the digests are one of the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from huggingtweets import __version__
from huggingtweets.bases import home_of
from huggingtweets.botdir import BotDir, bot_name, key_of, read_as, read_json, read_jsonl, read_lines_as
from huggingtweets.config import BotSettings
from huggingtweets.lineage import BASE, DATASET, MODEL, RAW, Artifact, Lineage
from huggingtweets.places import Place, read_places
from huggingtweets.reports import DatasetReport, EvalReport, HeldOut, Sample, TrainReport

SMALL_FILES = ("config.json", "generation_config.json", "tokenizer_config.json")
TABLE = ("input", "prediction")  # original
PICTURE_KEY, TABLE_KEY = "picture", "examples"
COUNTED = ("first_loss", "final_loss", "steps", "epochs", "tokens", "seconds", "parameters")


@dataclass(frozen=True)
class Draft:
    """An artifact as W&B will have it."""

    name: str
    type: str
    metadata: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)  # small files by name
    copies: dict[str, Path] = field(default_factory=dict)  # files of the bot by name
    references: dict[str, str] = field(default_factory=dict)  # addresses by name


def run_name(bot: BotDir, job: str) -> str:
    """
    >>> run_name(BotDir(Path("bots/alice-bob")), "train")
    '@alice-bob-train'
    """
    return f"@{bot_name([bot.name])}-{job}"


def handles(bot: BotDir) -> list[str]:
    return [str(account["handle"]) for account in read_json(bot.accounts)]


def identity(bot: BotDir) -> str:
    """Of what a training works on: a training that was interrupted goes on only where this is the same."""
    record = bot.read_record()
    build = (record["stages"].get("build") or {}).get("key")
    settings = _settings(bot)
    return key_of(build, settings.base, settings.training.identity, record.get("continues"))


def _settings(bot: BotDir) -> BotSettings:
    return BotSettings.from_json(bot.read_record().get("settings", {}))


def preprocess_config(bot: BotDir) -> dict[str, Any]:
    settings = _settings(bot).to_json()
    return {"handles": handles(bot), "version": __version__, **settings["dataset"]}


def train_config(bot: BotDir) -> dict[str, Any]:
    """The settings before the training; what the machine added to them, once it is done."""
    settings = _settings(bot)
    chosen = settings.to_json()
    return {
        "handles": handles(bot),
        "version": __version__,
        "base": Path(settings.base).name,  # it may be a path; the whole Hub id follows
        **chosen["training"],
        "prediction_seed": settings.seed,
        "dataset": chosen["dataset"],
    }


def trained_config(bot: BotDir, made: Lineage) -> dict[str, Any]:
    report, stage = _training(bot), bot.stage("train") or {}
    about = {"base": report.base_id, "base_license": report.base_license, "plan": report.plan, "dtype": report.dtype}
    origin = {"continues": stage.get("continues"), "used": made_from(bot, made)}
    return {**report.settings, **about, **origin, "versions": stage.get("versions", {})}


def _training(bot: BotDir) -> TrainReport:
    return read_as(bot.train_report, TrainReport.from_json)


def _dataset(bot: BotDir) -> DatasetReport:
    return read_as(bot.dataset_report, DatasetReport.from_json)


def counts(bot: BotDir) -> dict[str, Any]:
    """What became of the posts, in all and by account."""
    report = _dataset(bot)
    by_handle = {handle: {"downloaded": each.downloaded, **each.to_json()} for handle, each in report.counts.items()}
    totals = {
        "downloaded": sum(each.downloaded for each in report.counts.values()),
        "kept": sum(each.kept for each in report.counts.values()),
        "train_posts": report.train_posts,
        "holdout_posts": report.holdout_posts,
        "characters": sum(report.characters.values()),
    }
    return {**totals, "counts": by_handle, "language": report.language}


def training_numbers(bot: BotDir) -> dict[str, Any]:
    report = _training(bot).to_json()
    return {name: report[name] for name in COUNTED}


def scores(bot: BotDir) -> dict[str, float]:
    """Under the names that the model card gives them."""
    report = read_as(bot.eval_report, EvalReport.from_json)
    found: dict[str, float] = {}
    for held_out, suffix in ((report.bot, ""), (report.base, "_base")):
        found |= _held_out(held_out, suffix)
    if report.gain is not None:
        found["gain"] = report.gain
    found |= {"copied_share": report.copying.share, "own_copied_share": report.copying.own_share}
    found |= {"distinct_1": report.distinct_1, "distinct_2": report.distinct_2}
    return {f"eval/{name}": value for name, value in found.items()}


def _held_out(scores: HeldOut | None, suffix: str) -> dict[str, float]:
    names = ("bits_per_byte", "nats_per_token", "nats_per_end")
    return {} if scores is None else {f"{name}{suffix}": getattr(scores, name) for name in names}


def examples(bot: BotDir, *, posts: bool) -> list[list[str]]:
    """Input and prediction, of those that the card shows; one that copies a post only where posts are told."""
    shown = [sample for sample in read_lines_as(bot.samples, Sample.from_json) if sample.prompt]
    return [[sample.prompt, sample.text] for sample in shown if posts or sample.copied_from is None]


def last_step(bot: BotDir) -> dict[str, float]:
    """Loss and learning rate as the training ended."""
    lines = read_jsonl(bot.train_log) if bot.train_log.exists() else []
    return {name: lines[-1][name] for name in ("loss", "learning_rate") if name in lines[-1]} if lines else {}


def notes(bot: BotDir, job: str) -> str:
    """A few lines for the head of a run, in Markdown; the model card has the whole story."""
    report = _dataset(bot)
    lines = [f"An AI bot that writes like {' & '.join(f'`@{handle}`' for handle in handles(bot))}."]
    lines += [f"- `@{handle}`: {each}" for handle, each in report.counts.items()]
    lines.append(f"- {report.train_posts:,} posts to train on, {report.holdout_posts:,} held out")
    if job == "train":
        training = _training(bot)
        lines.append(f"- {training.plan}; loss {training.first_loss:.2f} to {training.final_loss:.2f}")
        found = scores(bot) if bot.eval_report.exists() else {}
        if "eval/gain" in found:
            base, own = found["eval/bits_per_byte_base"], found["eval/bits_per_byte"]
            lines.append(f"- held out: {base:.3f} bits per byte by the base, {own:.3f} by the bot")
        if found:
            lines.append(f"- {found['eval/copied_share']:.0%} of the predictions copy a post")
    lines.append(f"\nMade with huggingtweets {__version__}.")
    return "\n".join(lines)


def raw_dataset(bot: BotDir, made: Lineage, *, posts: bool) -> Draft:
    found = _need(made, RAW)
    told = {name: counts(bot)[name] for name in ("downloaded", "counts")}
    told = {"downloaded": told["downloaded"], "by_handle": {h: c["downloaded"] for h, c in told["counts"].items()}}
    copies = {bot.posts.name: bot.posts} if posts else {}
    return Draft(
        safe(found.name),
        RAW,
        {"handles": handles(bot), "posts": told["downloaded"], "by_handle": told["by_handle"], "digest": found.digest},
        {"digests.json": _digests(found), "counts.json": _json(told)},
        copies,
    )


def train_dataset(bot: BotDir, made: Lineage, *, posts: bool) -> Draft:
    found, settings = _need(made, DATASET), _settings(bot)
    metadata = {
        "handles": handles(bot),
        "seed": settings.dataset.seed,
        "epochs": settings.training.most_epochs,
        "version": __version__,
        **counts(bot),
        "digest": found.digest,
        "made_from": [f"{safe(name)}@{_digest_of(made, name)}" for name in found.made_from],
    }
    copies = {"report.json": bot.dataset_report}
    if posts:
        copies |= {file.name: file for file in (bot.train_posts, bot.holdout_posts)}
    return Draft(safe(found.name), DATASET, metadata, {"digests.json": _digests(found)}, copies)


def base_model(bot: BotDir, made: Lineage) -> Draft:
    """What the training began with: a base, or in an update the bot as it was before."""
    found, report = _need(made, BASE), _training(bot)
    continues = (bot.stage("train") or {}).get("continues")
    metadata: dict[str, Any] = {"id": report.base_id, "license": report.base_license, "digest": found.digest}
    if continues:
        metadata |= {"weights": continues}
    return Draft(_base_name(bot, report, continues), BASE, metadata, {"digests.json": _digests(found)})


def _base_name(bot: BotDir, report: TrainReport, continues: str | None) -> str:
    """The original's `gpt2`; a folder goes by its name."""
    if continues:
        return safe(f"{bot_name([bot.name])}-previous")
    name = safe(report.base if home_of(report.base) == report.base_id and "/" not in report.base else report.base_id)
    return name if name != bot_name([bot.name]) else f"{name}-base"


def finetuned_model(bot: BotDir, made: Lineage) -> Draft:
    """Digests and small files; the weights themselves only as references to the Hub, once they are there."""
    found, report = _need(made, MODEL), _training(bot)
    place = published_model(bot, found)
    metadata = {
        "url": place.url if place else None,
        "seed": report.settings.get("seed"),
        "weights": (bot.stage("train") or {}).get("weights"),
        "parameters": report.parameters,
        "files": {Path(name).name: fact.to_json() for name, fact in found.files.items()},
        "digest": found.digest,
        "made_from": made_from(bot, made),
        "version": __version__,
    }
    small = {name: bot.model / name for name in SMALL_FILES if (bot.model / name).exists()}
    return Draft(
        safe(found.name),
        MODEL,
        metadata,
        {"digests.json": _digests(found)},
        small,
        _references(place, found, set(small)) if place else {},
    )


def made_from(bot: BotDir, made: Lineage) -> list[str]:
    """What the model was made from, each as `name@digest`."""
    dataset = _need(made, DATASET)
    base = base_model(bot, made)
    return [f"{safe(dataset.name)}@{dataset.digest}", f"{base.name}@{base.metadata['digest']}"]


def published_model(bot: BotDir, found: Artifact) -> Place | None:
    """Where exactly this model lies on the Hub."""
    place = read_places(bot).now
    if place is None or place.commit is None:
        return None
    same = all(place.files.get(Path(name).name) == fact.sha256 for name, fact in found.files.items())
    return place if same else None


def _references(place: Place, found: Artifact, there: set[str]) -> dict[str, str]:
    """By commit, so that each stays what it is."""
    names = [Path(name).name for name in found.files]
    return {name: f"{place.url}/resolve/{place.commit}/{quote(name)}" for name in names if name not in there}


def _need(made: Lineage, type: str) -> Artifact:
    found = made.find(type)
    if found is None:
        raise LookupError(f"{made.bot} has no {type}")
    return found


def _digest_of(made: Lineage, name: str) -> str:
    found = made.named(name)
    return found.digest if found else ""


def _digests(found: Artifact) -> str:
    """Of the files by name, without their folders."""
    return _json({Path(name).name: fact.to_json() for name, fact in sorted(found.files.items())})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def safe(name: str) -> str:
    """A name that W&B takes for an artifact: at most 128 plain letters, digits and `-_.`

    >>> safe("openai-community/gpt2"), safe("猫")
    ('openai-community-gpt2', 'f76fb2ba')
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:120] or key_of(name)[:8]
