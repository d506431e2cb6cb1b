"""Posts that are in place already, because another bot's were copied: only noted, not downloaded."""

from __future__ import annotations

from collections.abc import Sequence

from huggingtweets.botdir import BotDir, file_digest
from huggingtweets.config import BotSettings
from huggingtweets.reports import Listener, StageDone
from huggingtweets.stages.inputs import need


def adopt(bot: BotDir, settings: BotSettings, sources: Sequence[str], listen: Listener) -> None:
    """`posts.jsonl` and `accounts.json` count as downloaded; `sources` is where an update would look."""
    for file in (bot.posts, bot.accounts):
        need(bot, file, "download")
    with bot.posts.open("rb") as lines:
        count = sum(1 for _ in lines)
    bot.write_record(settings=settings.to_json(), sources=list(sources))
    bot.mark_done("download", f"adopted-{file_digest(bot.posts)[:16]}", posts=count, losses=[])
    listen(StageDone("download", f"{count:,} posts, those of the record"))
