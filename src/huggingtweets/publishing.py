"""A bot goes to the Hugging Face Hub, is brought up to date there, and comes down again.

In: a finished bot. Out: its repository, and `published.json`, which says where it is and what lies there.

- The repository is `model/`, the card, the picture and the faces, flat. Posts, samples and settings never go.
- Private unless `public` is said; what is public already stays so.
- What would leave is listed first, with sizes; a dry run ends there and asks the Hub nothing.
- `published.json` is written before the repository is made, so that a run that is killed knows it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from huggingtweets import lineage, stages
from huggingtweets.bot import Bot
from huggingtweets.botdir import BotDir, file_digest, read_as, write_json
from huggingtweets.errors import PublishError, SettingsError
from huggingtweets.hub import Hub, Item, Repo
from huggingtweets.pipeline import settings_of
from huggingtweets.reports import Listener, Notice, StageDone, StageStarted, silent
from huggingtweets.stages.inputs import need

_NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Published:
    """Where a bot is on the Hub, or would be."""

    repo_id: str  # without an owner in a dry run that nobody named one for
    url: str
    private: bool
    files: dict[str, int]  # size in bytes by path in the repository
    commit: str | None = None  # None in a dry run


def publish(
    bot: BotDir,
    to: str | None = None,
    *,
    public: bool = False,
    dry_run: bool = False,
    card_only: bool = False,
    preview: int | None = None,
    hub: Hub | None = None,
    listen: Listener = silent,
) -> Published:
    """Sends what changed, in one commit.

    `to` is `owner/name` or a name; else where it went before, else its own name under your login. `card_only` sends
    card, faces and picture; `preview` draws the picture of that prediction, from 1, and sends just that and the card.
    Raises PublishError, and StageMissing for a bot that is not finished.
    """
    with bot.locked():
        _check_finished(bot)
        if preview is not None:
            choose_preview(bot, preview)
        before = _record(bot)
        repo_id = _repo_id(bot, to, before)
        hub = hub or Hub(tell=lambda sentence: listen(Notice(sentence)))
        if dry_run:
            return _dry(repo_id, _chosen(bot, card_only, preview), private=not public)
        listen(StageStarted("publish", "Publishing"))
        repo = Repo(repo_id if "/" in repo_id else f"{hub.owner()}/{repo_id}")
        done = _send(bot, repo, before, hub, listen, public=public, card_only=card_only, preview=preview)
        listen(StageDone("publish", f"{done.url} ({'private' if done.private else 'public'})"))
        return done


def _check_finished(bot: BotDir) -> None:
    for file, stage in ((bot.train_report, "train"), (bot.eval_report, "evaluate"), (bot.card, "card")):
        need(bot, file, stage)


def choose_preview(bot: BotDir, number: int) -> None:
    """Prediction `number`, from 1, becomes the bot's picture; raises SettingsError when there is none of it."""
    shown = [sample for sample in Bot(bot.path).samples if sample.prompt]
    if not 1 <= number <= len(shown):
        raise SettingsError(
            f"--preview must be 1 to {len(shown)}, not {number}.", next=f"huggingtweets show {bot.name}"
        )
    bot.write_record(preview=number)


def _repo_id(bot: BotDir, to: str | None, before: dict[str, Any]) -> str:
    chosen = to or before.get("repo_id") or bot.name
    if not _NAME.fullmatch(chosen):
        raise PublishError(
            f"{chosen} is no name that the Hub allows.", next=f"huggingtweets publish {bot.name} owner/name"
        )
    return str(chosen)


def _record(bot: BotDir) -> dict[str, Any]:
    if not bot.published.exists():
        return {}
    return read_as(bot.published, lambda record: {"files": {}, **record, "repo_id": str(record["repo_id"])})


def _chosen(bot: BotDir, card_only: bool, preview: int | None) -> list[Item]:
    told = [Item("README.md", bot.card), Item("predictions.png", bot.picture)]
    if preview is not None and not card_only:
        return told
    faces = [Item(f"avatars/{face.name}", face) for face in sorted(bot.avatars.glob("[!.]*"))]
    model = [] if card_only else [Item(file.name, file) for file in sorted(bot.model.glob("[!.]*"))]
    return [*model, *told, *faces]


def _dry(repo_id: str, items: Sequence[Item], *, private: bool) -> Published:
    return Published(repo_id, Repo(repo_id).url, private, {item.path: item.size_bytes for item in items})


def _send(
    bot: BotDir,
    repo: Repo,
    before: dict[str, Any],
    hub: Hub,
    listen: Listener,
    *,
    public: bool,
    card_only: bool,
    preview: int | None,
) -> Published:
    is_ours = before.get("repo_id") == repo.id
    is_part = (card_only or preview is not None) and bool(before.get("commit")) and is_ours
    begun: dict[str, Any] = before if is_ours else {"repo_id": repo.id, "files": {}}
    write_json(bot.published, {**begun, "url": repo.url})
    try:
        made = hub.make(repo, private=not public, is_ours=is_ours)
    except PublishError:
        _restore(bot, before)
        raise
    private = not public if made else hub.is_private(repo)
    if public and private:
        hub.show(repo)
        private = False
    stages.describe(bot, settings_of(bot), listen)  # the card speaks of its repository from now on
    lineage.record(bot)
    items = _chosen(bot, card_only and is_part, preview if is_part else None)
    for item in items:
        listen(Notice(f"{item.path}  {size_words(item.size_bytes)}"))
    digests = {item.path: file_digest(item.file) for item in items}
    gone = [] if is_part else [path for path in begun["files"] if path not in digests]
    commit = hub.upload(repo, items, gone, f"{'Update' if before.get('commit') else 'Publish'} {bot.name}")
    files = {**begun["files"], **digests} if is_part else digests
    now = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"repo_id": repo.id, "url": repo.url, "private": private, "commit": commit, "at": now, "files": files}
    write_json(bot.published, {**begun, **facts})
    return Published(repo.id, repo.url, private, {item.path: item.size_bytes for item in items}, commit)


def _restore(bot: BotDir, before: dict[str, Any]) -> None:
    if before:
        write_json(bot.published, before)
    else:
        bot.published.unlink(missing_ok=True)


def size_words(size_bytes: int) -> str:
    """
    >>> size_words(532), size_words(48_200), size_words(538_000_000)
    ('532 bytes', '48 kB', '538 MB')
    """
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= bytes_:
            return f"{size_bytes / bytes_:.0f} {unit}"
    return f"{size_bytes} bytes"


def unpublish(bot: BotDir, *, hub: Hub | None = None) -> list[str]:
    """Takes down everything that was published from a bot; returns what was there. Raises PublishError."""
    with bot.locked():
        record = _record(bot)
        if not record:
            raise PublishError(f"{bot.name} is not published.", next=f"huggingtweets publish {bot.name}")
        hub = hub or Hub()
        repos = [Repo(record["repo_id"])]
        if space := record.get("space"):
            repos.append(Repo(str(space), "space"))
        removed = [repo.url for repo in repos if hub.remove(repo)]
        bot.published.unlink(missing_ok=True)
        if bot.card.exists():
            stages.describe(bot, settings_of(bot), silent)
            lineage.record(bot)
        return removed
