"""Sources in; `posts.jsonl`, `accounts.json` and `avatars/` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from huggingtweets.botdir import BotDir, bot_name, key_of, write_atomically, write_json
from huggingtweets.config import BotSettings
from huggingtweets.posts import Account, Post, dump_posts
from huggingtweets.reports import Advanced, Listener, Notice, StageDone, StageStarted
from huggingtweets.sources.base import Source


def fetch(bot: BotDir, sources: Sequence[Source], settings: BotSettings, listen: Listener) -> None:
    """Sources in; posts.jsonl, accounts.json and avatars/ out."""
    made_of = {"settings": settings.to_json(), "sources": [source.spec for source in sources]}
    key = key_of(sorted(source.fingerprint() for source in sources))
    if bot.is_done("download", key, [bot.posts, bot.accounts]):
        bot.write_record(**made_of)
        listen(StageDone("download", f"{_thousands(bot.stage('download'), 'posts')} posts", skipped=True))
        return
    listen(StageStarted("download", "Reading posts"))
    posts: list[Post] = []
    accounts: dict[str, tuple[Account, bytes | None]] = {}
    losses: list[str] = []
    for number, source in enumerate(sources):
        for page in source.pages():
            posts += page.posts
            losses += map(str, page.losses)
            if page.account is not None:
                accounts.setdefault(page.account.handle, (page.account, page.avatar))
            done = (number + (page.fraction or 0)) / len(sources)
            listen(Advanced("download", done, 1.0, {"posts": len(posts)}))
    for loss in losses:
        listen(Notice(f"{loss}.", warning=True))
    if all(post.created_at is not None for post in posts):
        posts.sort(key=lambda post: (post.created_at, post.id or ""))
    write_atomically(bot.posts, (line.encode() for line in dump_posts(posts)))
    write_json(bot.accounts, [dataclasses.asdict(_with_avatar(bot, *known)) for known in accounts.values()])
    bot.write_record(**made_of)
    bot.mark_done("download", key, posts=len(posts), losses=losses)
    listen(StageDone("download", f"{len(posts):,} posts"))


def _with_avatar(bot: BotDir, account: Account, avatar: bytes | None) -> Account:
    """Puts the face that came with the account, or one drawn for it, into avatars/."""
    from huggingtweets.picture import draw_avatar

    picture = avatar or draw_avatar(account.name, account.handle)
    name = f"{bot_name([account.handle])}.{_image_ending(picture)}"
    write_atomically(bot.avatars / name, [picture])
    return dataclasses.replace(account, avatar=name)


def _image_ending(picture: bytes) -> str:
    endings = {b"\xff\xd8": "jpg", b"GIF8": "gif", b"RIFF": "webp"}
    return next((ending for magic, ending in endings.items() if picture.startswith(magic)), "png")


def _thousands(facts: dict[str, Any] | None, name: str) -> str:
    return f"{(facts or {}).get(name, 0):,}"
