"""A bot made again from its own record: the same posts, settings and seeds give the same bytes.

In: a `lineage.json`, and the posts it speaks of. Out: another bot, and whether it became the same.

- The posts beside the record are used when they are the recorded ones, else the sources that are named.
- A training that was planned by the clock is repeated in as many steps as it had come to.
- The dataset is the same everywhere; weights are the same to the last bit on the same machine with the same packages.

Not covered: a bot that `update` has trained on: its model comes of several trainings, and only the last is recorded.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from huggingtweets import lineage, stages
from huggingtweets.bot import Bot
from huggingtweets.botdir import BotDir, bot_name, file_digest, make_folder, read_as, storage_errors
from huggingtweets.config import BOTS_DIR, BotSettings, TrainingSettings
from huggingtweets.consent import Word, refuse_forgotten
from huggingtweets.errors import BotError, SettingsError
from huggingtweets.lineage import DATASET, MODEL, RAW, Lineage
from huggingtweets.pipeline import at_work, finish, make, sources_of
from huggingtweets.posts import Account
from huggingtweets.reports import Listener, Notice, silent


def rebuild(
    record: str | PathLike[str],
    *specs: str | PathLike[str],
    name: str | None = None,
    bots_dir: str | PathLike[str] = BOTS_DIR,
    word: Word = Word(),  # noqa: B008 (frozen)
    listen: Listener = silent,
) -> Bot:
    """The bot that a `lineage.json` describes, made anew; `listen` is told what came out the same.

    Raises BotError for a record that can't be followed, and whatever `create` raises.
    """
    file = Path(record)
    recorded = lineage.read(file)
    settings = settings_from(recorded)
    bot = BotDir(Path(bots_dir) / bot_name([name or recorded.bot]))
    if bot.path.resolve() == file.parent.resolve():
        raise SettingsError(
            f"{file} is the record of {bot.path} itself.", next="choose another --name or --bots-dir for the new bot"
        )
    done = _from_beside(file.parent, recorded, bot, settings, listen) if not specs else None
    if done is None:
        sources = sources_of(specs or _recorded_sources(recorded, file), settings.imports)
        done = make(bot, sources, settings, listen, word)
    for sentence in differences(recorded, lineage.derive(bot)):
        listen(Notice(sentence, warning=" not " in sentence))
    return done


def settings_from(recorded: Lineage) -> BotSettings:
    """The settings that give the same bot; raises BotError where the record doesn't hold them."""
    try:
        settings = BotSettings.from_json(recorded.settings)
        model = recorded.find(MODEL)
        if model is None:
            raise BotError(f"The record of {recorded.bot} holds no trained model.", next="train that bot first")
        if settings.base not in model.made_from:
            raise BotError(
                f"{recorded.bot} was trained on by an update, and its record holds the last training only.",
                next="make it anew from its posts: huggingtweets create",
            )
        names = {field.name for field in dataclasses.fields(TrainingSettings)}
        trained = {name: value for name, value in model.made_by["settings"].items() if name in names}
        how = {name: model.made_by[name] for name in ("steps", "threads", "device")}
        plans = tuple((int(step), int(total)) for step, total in model.made_by.get("plans") or ())
        return dataclasses.replace(settings, training=TrainingSettings(**{**trained, **how, "plans": plans}))
    except (KeyError, TypeError, AttributeError) as error:
        raise BotError(
            f"The record of {recorded.bot} is damaged: {error!r}.", next="use a whole lineage.json"
        ) from error


def _recorded_sources(recorded: Lineage, file: Path) -> Sequence[str]:
    raw = recorded.find(RAW)
    sources = raw.made_by.get("sources") if raw else None
    if not isinstance(sources, list) or not sources:
        raise BotError(
            f"{file} does not say where its posts are from, and they are not beside it.",
            next=f"huggingtweets create --from-lineage {file} POSTS",
        )
    return [str(source) for source in sources]


def _from_beside(folder: Path, recorded: Lineage, bot: BotDir, settings: BotSettings, listen: Listener) -> Bot | None:
    """From the posts in the record's own folder, where they are still the recorded ones."""
    old, raw = BotDir(folder), recorded.find(RAW)
    fact = raw.files.get(old.posts.name) if raw else None
    if fact is None or not old.posts.exists() or not old.accounts.exists() or file_digest(old.posts) != fact.sha256:
        return None
    for account in read_as(old.accounts, lambda records: [Account.from_json(record) for record in records]):
        refuse_forgotten(account, bot.path.parent)
    with at_work(bot, settings, listen) as heard:
        for file in (old.posts, old.accounts, *sorted(old.avatars.glob("[!.]*"))):
            target = bot.path / file.relative_to(folder)
            make_folder(target.parent)
            with storage_errors(target):
                shutil.copyfile(file, target)
        stages.adopt(bot, settings, [str(source) for source in raw.made_by.get("sources", [])] if raw else [], heard)
        finish(bot, settings, heard)
    return Bot(bot.path)


def differences(recorded: Lineage, made: Lineage) -> Iterator[str]:
    """What came out the same, and what did not, in a sentence each."""
    for type_, what, ending in ((DATASET, "dataset", ".jsonl"), (MODEL, "weights", ".safetensors")):
        before, now = recorded.find(type_), made.find(type_)
        if before is None or now is None:
            continue
        digests = [
            {name: fact.sha256 for name, fact in artifact.files.items() if name.endswith(ending)}
            for artifact in (before, now)
        ]
        same = digests[0] == digests[1]
        verb = "is" if what == "dataset" else "are"
        yield f"The {what} {verb} {'the same' if same else 'not the same'} as in the record."
