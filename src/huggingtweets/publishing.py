"""A bot goes to the Hugging Face Hub, is brought up to date there, and comes down again.

In: a finished bot. Out: its repository, its Space if asked for, and `published.json`, which says what lies where.

- The repository is `model/`, the card, the picture and the faces, flat, each file by name: what else may lie in those
  folders stays. Posts, samples and settings never go.
- Private unless `public` is said; what is public already stays so.
- What would leave is listed first, with sizes. A dry run ends there: it asks the Hub nothing and changes nothing.
- A repository that exists is written to only when it was published from here, or is still empty.
- The card and the picture are sent as they will be, and written here once they are there.

Not covered: how the Hub is spoken to (see `hub`), what stands in the card and in the Space (`card`, `space`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from huggingtweets import lineage, stages
from huggingtweets.botdir import BotDir
from huggingtweets.errors import BotError, PublishError, SettingsError, StageMissing
from huggingtweets.hub import Hub, Item, Repo, Standing, check_name, is_at_home
from huggingtweets.pipeline import settings_of
from huggingtweets.places import Place, read_places, write_places
from huggingtweets.reports import Listener, Notice, StageDone, StageStarted, silent
from huggingtweets.space import SpaceFacts, render_space, space_name
from huggingtweets.stages.describing import (
    Description,
    check_scored,
    chosen_preview,
    description,
    keep,
    read_accounts,
)


@dataclass(frozen=True)
class Published:
    """Where a bot is on the Hub, or would be."""

    repo_id: str  # without an owner in a dry run that nobody named one for
    url: str
    private: bool
    files: dict[str, int]  # size in bytes by path in the repository
    commit: str | None = None  # None in a dry run
    changed: bool = False  # whether anything had to be done
    space: Published | None = None


@dataclass(frozen=True)
class _Part:
    """What was asked for."""

    public: bool
    card_only: bool
    preview: int | None
    space: bool

    @property
    def is_all(self) -> bool:
        return not self.card_only and self.preview is None


def publish(
    bot: BotDir,
    to: str | None = None,
    *,
    public: bool = False,
    dry_run: bool = False,
    card_only: bool = False,
    preview: int | None = None,
    space: bool = False,
    hub: Hub | None = None,
    listen: Listener = silent,
) -> Published:
    """Sends what changed, in one commit.

    `to` is `owner/name` or a name; else where it went before, else its own name under your login. `card_only` sends
    card, picture and faces; `preview` draws the picture of that prediction, from 1, and sends just that and the card
    once the bot is there; `space` also makes or updates the Space that runs it. Raises PublishError, and StageMissing
    for a bot that is not finished.
    """
    with bot.locked():
        part = _Part(public, card_only, preview, space)
        texts = [sample.text for sample in check_scored(bot)]
        _check_whole(bot)
        chosen = _preview(bot, texts, preview, listen)
        repo_id = to or _before(bot) or bot.name
        check_name(repo_id)
        if dry_run:
            return _would_be(bot, repo_id, part, chosen)
        hub = hub or Hub(tell=lambda sentence: listen(Notice(sentence)))
        listen(StageStarted("publish", "Publishing"))
        owner = hub.owner()
        done = _publish(bot, Repo(repo_id if "/" in repo_id else f"{owner}/{repo_id}"), part, chosen, hub, listen)
        idle = not done.changed and not (done.space and done.space.changed)
        listen(StageDone("publish", _summary(done), skipped=idle))
        return done


def _before(bot: BotDir) -> str | None:
    now = read_places(bot).now
    return now.repo_id if now else None


def _check_whole(bot: BotDir) -> None:
    """Raises BotError for a model with a file missing or cut short."""
    for name, size in _model_files(bot).items():
        file = bot.model / name
        if not file.is_file() or file.stat().st_size != size:
            raise BotError(f"The model of {bot.name} is damaged.", next=f"huggingtweets train {bot.name} --again")


def _model_files(bot: BotDir) -> dict[str, int]:
    """What the training saved, by name."""
    files: dict[str, int] = (bot.stage("train") or {}).get("files") or {}
    if not files:
        raise StageMissing(f"{bot.name} is not trained yet.", next=f"huggingtweets train {bot.name}")
    return files


def _preview(bot: BotDir, texts: Sequence[str], number: int | None, listen: Listener) -> str | None:
    """The text of the prediction that is, or was, chosen for the picture."""
    if number is None:
        return chosen_preview(bot)
    if not 1 <= number <= len(texts):
        raise SettingsError(
            f"--preview must be 1 to {len(texts)}, not {number}.", next=f"huggingtweets show {bot.name}"
        )
    copied = [sample.copied_from is not None for sample in check_scored(bot)]
    if copied[number - 1]:
        listen(Notice(f"Prediction {number} copies a post of the account, and would be its picture.", warning=True))
    return texts[number - 1]


def _would_be(bot: BotDir, repo_id: str, part: _Part, chosen: str | None) -> Published:
    repo = Repo(repo_id)
    place = read_places(bot).find(repo.url) or Place(repo.id, repo.url)
    part = _checked(bot, place, part)
    private = place.private and not part.public
    items, space = _items(bot, _told(bot, place, chosen), part), None
    if part.space:
        beside = Repo(space_name(repo.id), "space")
        files = _space_items(bot, replace(place, private=private))
        space = Published(beside.id, beside.url, not part.public, _sizes(files))
    return Published(repo.id, repo.url, private, _sizes(items), space=space)


def _sizes(items: Iterable[Item]) -> dict[str, int]:
    return {item.path: item.size_bytes for item in items}


def _told(bot: BotDir, place: Place, chosen: str | None) -> Description:
    return description(bot, settings_of(bot), place, chosen)


def _items(bot: BotDir, told: Description, part: _Part) -> list[Item]:
    """What belongs into the repository, or into this part of it."""
    items = [Item("README.md", told.card), Item("predictions.png", told.picture)]
    if part.is_all:
        items = [*(Item(name, bot.model / name) for name in sorted(_model_files(bot))), *items]
    return items if part.preview is not None and not part.card_only else [*items, *_faces(bot)]


def _faces(bot: BotDir) -> list[Item]:
    """Of the accounts that the bot is of now."""
    names = dict.fromkeys(account.avatar for account in read_accounts(bot) if account.avatar)
    faces = [bot.avatars / Path(name).name for name in names]
    return [Item(f"avatars/{face.name}", face) for face in faces if face.is_file()]


def _publish(bot: BotDir, repo: Repo, part: _Part, chosen: str | None, hub: Hub, listen: Listener) -> Published:
    known = read_places(bot).find(repo.url)
    place = known or Place(repo.id, repo.url)
    part, told = _checked(bot, place, part), _told(bot, place, chosen)

    def note(place: Place) -> None:
        write_places(bot, read_places(bot).with_now(place))

    command = f"huggingtweets publish {bot.name}"
    sending = _Sending(hub, repo, part, note, listen, is_ours=known is not None, command=command)
    title = f"{'Update' if place.commit else 'Publish'} {bot.name}"
    place, done = sending.run(place, _items(bot, told, part), title)
    if chosen != chosen_preview(bot):
        bot.write_record(preview=chosen)
    keep(bot, told, place, chosen)
    lineage.record(bot)
    if not part.space:
        return done
    return replace(done, space=_publish_space(bot, place, part, hub, listen))


def _checked(bot: BotDir, place: Place, part: _Part) -> _Part:
    """A card alone only goes beside the weights that it speaks of; with the first picture goes all the rest."""
    if part.is_all:
        return part
    if place.commit is None and not part.card_only:
        return replace(part, preview=None)
    again = f"huggingtweets publish {bot.name} {place.repo_id}"
    if place.commit is None:
        raise PublishError(f"{bot.name} is not published at {place.repo_id} yet.", next=again)
    for name in _model_files(bot):
        if place.files.get(name) != Item(name, bot.model / name).sha256:
            raise PublishError(
                f"The model of {bot.name} has changed since it was published, and the card speaks of the new one.",
                next=again,
            )
    return part


@dataclass(frozen=True)
class _Sending:
    """A repository with certain files in it, made if need be; what is known of it is noted as soon as it is so."""

    hub: Hub
    repo: Repo
    part: _Part
    note: Callable[[Place], None]
    listen: Listener
    is_ours: bool
    command: str  # that a person would type

    def run(self, place: Place, items: Sequence[Item], title: str) -> tuple[Place, Published]:
        standing = self._standing()
        place = replace(place, private=standing.private)
        self.note(place)
        digests = {item.path: item.sha256 for item in items}
        is_as_left = standing.commit is not None and standing.commit == place.commit
        sent = [item for item in items if not is_as_left or place.files.get(item.path) != digests[item.path]]
        gone = set(place.files) - set(digests) if self._is_all else set()
        for item in sent:
            self.listen(Notice(f"{self._into}{item.path}  {size_words(item.size_bytes)}"))
        commit = self.hub.upload(self.repo, sent, gone, title) if sent or gone else standing.commit
        changed = commit != standing.commit
        now = datetime.now(UTC).isoformat(timespec="seconds")
        files = {path: digest for path, digest in {**place.files, **digests}.items() if path not in gone}
        place = replace(place, commit=commit, files=files, at=now if changed or place.at is None else place.at)
        self.note(place)
        if self.part.public and place.private:
            self.hub.show(self.repo)
            place, changed = replace(place, private=False), True
            self.note(place)
        return place, Published(self.repo.id, self.repo.url, place.private, _sizes(items), commit, changed)

    @property
    def _into(self) -> str:
        return "Space: " if self.repo.type == "space" else ""

    @property
    def _is_all(self) -> bool:
        return self.part.is_all or self.repo.type == "space"

    def _standing(self) -> Standing:
        """What the Hub has of it; raises PublishError for a repository that is not ours."""
        found = self.hub.look(self.repo) if self.is_ours else None
        if found is not None:
            return found
        if not self._is_all:
            raise PublishError(f"{self.repo.id} is no longer on the Hub.", next=f"{self.command} {self.repo.id}")
        made = self.hub.make(self.repo, private=not self.part.public)
        found = self.hub.look(self.repo)
        if found is None or not (made or self.is_ours or found.is_empty):
            raise PublishError(
                f"{self.repo.id} is there already, and was not published from this bot. Nothing of it was touched.",
                next=f"{self.command} {self.repo.id}-2   (or any other name)",
            )
        return found


def _publish_space(bot: BotDir, model: Place, part: _Part, hub: Hub, listen: Listener) -> Published:
    repo = Repo(space_name(model.repo_id), "space")
    items = _space_items(bot, model)

    def note(place: Place) -> None:
        write_places(bot, read_places(bot).with_now(replace(model, space=place)))

    command = f"huggingtweets publish {bot.name}"
    sending = _Sending(hub, repo, part, note, listen, is_ours=model.space is not None, command=command)
    _, done = sending.run(model.space or Place(repo.id, repo.url), items, f"Run {model.repo_id}")
    if model.private:
        listen(
            Notice(
                f"The bot is private: its Space needs a token that may read it, as the secret HF_TOKEN in "
                f"{done.url}/settings.",
                warning=True,
            )
        )
    return done


def _space_items(bot: BotDir, model: Place) -> list[Item]:
    keeps_newlines = bool((bot.stage("build") or {}).get("settings", {}).get("keep_newlines", False))
    accounts = read_accounts(bot)
    facts = SpaceFacts(model.repo_id, model.url, model.commit or "", model.private, accounts, keeps_newlines)
    return [*(Item(name, content) for name, content in render_space(facts).items()), *_faces(bot)]


def _summary(done: Published) -> str:
    places = [done, *([done.space] if done.space else [])]
    return ", ".join(f"{place.url} ({'private' if place.private else 'public'})" for place in places)


def size_words(size_bytes: int) -> str:
    """
    >>> size_words(532), size_words(48_200), size_words(538_000_000)
    ('532 bytes', '48 kB', '538 MB')
    """
    for unit, bytes_ in (("MB", 1_000_000), ("kB", 1_000)):
        if size_bytes >= bytes_:
            return f"{size_bytes / bytes_:.0f} {unit}"
    return f"{size_bytes} bytes"


def where(bot: BotDir) -> list[str]:
    """The addresses of everything that was published from a bot, and was not taken down from here."""
    return read_places(bot).urls


def unpublish(bot: BotDir, *, hub: Hub | None = None, listen: Listener = silent) -> list[str]:
    """Takes down everything that was published from a bot; returns what was there. Raises PublishError."""
    with bot.locked():
        places = read_places(bot)
        if not places.all:
            raise PublishError(f"{bot.name} is not published.", next=f"huggingtweets publish {bot.name}")
        hub = hub or Hub(tell=lambda sentence: listen(Notice(sentence)))
        hub.owner()
        removed: list[str] = []
        for place in places.all:
            if is_at_home(place.url):
                removed += _take_down(bot, place, hub)
        _restore_card(bot)
        for place in places.all:
            if not is_at_home(place.url):
                home = place.url.removesuffix(f"/{place.repo_id}")
                raise PublishError(
                    f"{place.url} is still there: it is on another Hub than the one that is meant now.",
                    next=f"HF_ENDPOINT={home} huggingtweets unpublish {bot.name}",
                )
        return removed


def _take_down(bot: BotDir, place: Place, hub: Hub) -> list[str]:
    """Noted one by one, so that what was interrupted goes on."""
    repos = [*([Repo(place.space.repo_id, "space")] if place.space else []), Repo(place.repo_id)]
    removed = []
    for repo in repos:
        if hub.remove(repo):
            removed.append(repo.url)
        write_places(bot, read_places(bot).without(repo.url))
    return removed


def _restore_card(bot: BotDir) -> None:
    """The card speaks of the bot's folder again; one that can't be drawn any more stays as it is."""
    with contextlib.suppress(BotError):
        stages.describe(bot, settings_of(bot), silent)
        lineage.record(bot)
