"""A bot goes to the Hugging Face Hub, is brought up to date there, and comes down again.

In: a finished bot. Out: its repository, its Space if asked for, and `published.json`, which says what lies where.

- The repository is `model/`, the card, the picture and the faces, flat, each file by name: what else may lie in those
  folders stays. Posts, samples and settings never go.
- Private unless `public` is said; what is public already stays so.
- What would leave is listed first, with sizes. A dry run ends there: it asks the Hub nothing and changes nothing.
- The card and the picture are sent as they will be, and written here once they are there.

Not covered: one repository brought up to date (see `sending`), what stands in the card and the Space (`card`, `space`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huggingtweets import lineage, stages
from huggingtweets.adapters import base_named_in, is_adapter
from huggingtweets.bot import Bot, dir_of
from huggingtweets.botdir import BotDir
from huggingtweets.errors import BotError, PublishError, SettingsError, StageMissing
from huggingtweets.hub import Hub, Item, Repo, check_name, is_at_home
from huggingtweets.pipeline import at_work, settings_of
from huggingtweets.places import Place, read_places, write_places
from huggingtweets.reports import Listener, Notice, Sample, StageDone, StageStarted, silent
from huggingtweets.sending import Published, Sending, size_words, sizes
from huggingtweets.space import SpaceFacts, render_space, space_name
from huggingtweets.stages.describing import (
    Description,
    check_scored,
    choose_preview,
    chosen_preview,
    description,
    keep,
    read_accounts,
)

__all__ = ["Published", "publish", "size_words", "unpublish", "where"]


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
    bot: Bot | BotDir,
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
    bot = dir_of(bot)
    with at_work(bot, settings_of(bot), listen) as heard:
        part = _Part(public, card_only, preview, space)
        shown = check_scored(bot)
        _check_whole(bot)
        _check_base(bot)
        chosen = _preview(bot, shown, preview, heard)
        repo_id = to or _before(bot) or bot.name
        check_name(repo_id)
        if dry_run:
            return _would_be(bot, repo_id, part, chosen)
        hub = hub or Hub(tell=lambda sentence: heard(Notice(sentence)))
        heard(StageStarted("publish", "Publishing"))
        owner = hub.owner()
        done = _publish(bot, Repo(repo_id if "/" in repo_id else f"{owner}/{repo_id}"), part, chosen, hub, heard)
        idle = not done.changed and not (done.space and done.space.changed)
        heard(StageDone("publish", _summary(done), skipped=idle))
        return done


def _before(bot: BotDir) -> str | None:
    now = read_places(bot).now
    return now.repo_id if now else None


def _check_whole(bot: BotDir) -> None:
    """Raises BotError for a model with a file missing or cut short, or with other weights than were trained."""
    sizes = {name: (bot.model / name).stat().st_size for name in _model_files(bot) if (bot.model / name).is_file()}
    trained = (bot.stage("train") or {}).get("weights")
    if sizes != _model_files(bot) or stages.weights_digest(bot.model) != trained:
        raise BotError(f"The model of {bot.name} is damaged.", next=f"huggingtweets train {bot.name} --again")


def _check_base(bot: BotDir) -> None:
    """Raises PublishError for an adapter over a base that only this machine has, whose path would be published too."""
    if is_adapter(bot.model) and Path(base_named_in(bot.model)).is_absolute():
        raise PublishError(
            f"{bot.name} is an adapter over a base that is only here, so nobody else could load it.",
            next=f"huggingtweets train {bot.name} --recipe default   (a whole model)",
        )


def _model_files(bot: BotDir) -> dict[str, int]:
    """What the training saved, by name."""
    files: dict[str, int] = (bot.stage("train") or {}).get("files") or {}
    if not files:
        raise StageMissing(f"{bot.name} is not trained yet.", next=f"huggingtweets train {bot.name}")
    return files


def _preview(bot: BotDir, shown: Sequence[Sample], number: int | None, listen: Listener) -> Sample | None:
    """The prediction that is, or was, chosen for the picture."""
    if number is None:
        return chosen_preview(bot)
    if not 1 <= number <= len(shown):
        raise SettingsError(
            f"--preview must be 1 to {len(shown)}, not {number}.", next=f"huggingtweets show {bot.name}"
        )
    if shown[number - 1].copied_from is not None:
        listen(Notice(f"Prediction {number} copies a post of the account, and would be its picture.", warning=True))
    return shown[number - 1]


def _would_be(bot: BotDir, repo_id: str, part: _Part, chosen: Sample | None) -> Published:
    repo = Repo(repo_id)
    place = read_places(bot).find(repo.url) or Place(repo.id, repo.url)
    part = _checked(bot, place, part)
    private = place.private and not part.public
    items, space = _items(bot, _told(bot, place, chosen), part), None
    if part.space:
        beside = Repo(space_name(repo.id), "space")
        files = _space_items(bot, replace(place, private=private))
        space = Published(beside.id, beside.url, not part.public, sizes(files))
    return Published(repo.id, repo.url, private, sizes(items), space=space)


def _told(bot: BotDir, place: Place, chosen: Sample | None) -> Description:
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


def _publish(bot: BotDir, repo: Repo, part: _Part, chosen: Sample | None, hub: Hub, listen: Listener) -> Published:
    known = read_places(bot).find(repo.url)
    place = known or Place(repo.id, repo.url)
    part, told = _checked(bot, place, part), _told(bot, place, chosen)

    def note(place: Place) -> None:
        write_places(bot, read_places(bot).with_now(place))

    sending = Sending(
        hub,
        repo,
        note,
        listen,
        command=f"huggingtweets publish {bot.name}",
        is_ours=known is not None,
        public=part.public,
        is_all=part.is_all,
    )
    title = f"{'Update' if place.commit else 'Publish'} {bot.name}"
    place, done = sending.run(place, _items(bot, told, part), title)
    if chosen is not None and chosen != chosen_preview(bot):
        choose_preview(bot, chosen)
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


def _publish_space(bot: BotDir, model: Place, part: _Part, hub: Hub, listen: Listener) -> Published:
    repo = Repo(space_name(model.repo_id), "space")
    items = _space_items(bot, model)

    def note(place: Place) -> None:
        write_places(bot, read_places(bot).with_now(replace(model, space=place)))

    sending = Sending(
        hub,
        repo,
        note,
        listen,
        command=f"huggingtweets publish {bot.name}",
        is_ours=model.space is not None,
        public=part.public,
        into="Space: ",
    )
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
    voice = Bot(bot.path).voice
    facts = SpaceFacts(
        model.repo_id,
        model.url,
        model.commit or "",
        model.private,
        read_accounts(bot),
        keeps_newlines=voice.keeps_newlines,
        names_nobody=voice.names_nobody,
        is_adapter=is_adapter(bot.model),
    )
    return [*(Item(name, content) for name, content in render_space(facts).items()), *_faces(bot)]


def _summary(done: Published) -> str:
    places = [done, *([done.space] if done.space else [])]
    return ", ".join(f"{place.url} ({'private' if place.private else 'public'})" for place in places)


def where(bot: BotDir) -> list[str]:
    """The addresses of everything that was published from a bot, and was not taken down from here."""
    return read_places(bot).urls


def unpublish(bot: Bot | BotDir, *, hub: Hub | None = None, listen: Listener = silent) -> list[str]:
    """Takes down everything that was published from a bot; returns what was there. Raises PublishError."""
    bot = dir_of(bot)
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
