"""X's objects to posts: the archive's and v1.1's tweets, v2's in both vocabularies, notes, and users.

In: parsed JSON of which nothing is certain. Out: a `Post`, or None where there is no text.

- v2 names everything twice: `note_tweet` or `note_post`, `referenced_tweets` or `referenced_posts`. Both are read.
- A retweet is told by a reference first, by `RT @name: ` second.
- The long form of a post goes before the short one, with its own entities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from huggingtweets.escaping import unescaped
from huggingtweets.posts import Account, Kind, Post
from huggingtweets.sources.values import count, is_reference, is_true, parse_id, parse_language, parse_time, plain
from huggingtweets.sources.x.text import apply_links, links_of

Record = Mapping[str, object]

FIRST_SNOWFLAKE = 29_700_859_247  # ids before November 2010 were counted one by one
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657

_NAME = re.compile(r"[A-Za-z0-9_]{1,20}")  # 15 today, more in the early days
_RETWEET = re.compile(r"RT @\w{1,20}:")
_UNTOLD_LANGUAGES = frozenset(("und", "zxx", "qme", "qst", "qht", "qam", "qct", "art"))


def post_from_tweet(tweet: Record, account: str, account_id: str | None, own_name: str | None = None) -> Post | None:
    """Of an archive's or v1.1's tweet; `own_name`: what X calls the account, where it is not `account`.

    >>> tweet = {"id_str": "20", "full_text": "just &amp; so", "favorite_count": "8", "in_reply_to_screen_name": "a"}
    >>> post = post_from_tweet(tweet, "a", None)
    >>> post.text, post.likes, post.kind, post.self_reply
    ('just &amp; so', 8, 'reply', True)
    """
    extended = tweet.get("extended_tweet")
    holder = extended if isinstance(extended, dict) and isinstance(extended.get("full_text"), str) else tweet
    raw = next((text for name in ("full_text", "text") if isinstance(text := holder.get(name), str) and text), None)
    if raw is None:
        return None
    post_id = parse_id(tweet.get("id_str") or tweet.get("id"))
    links = links_of(holder.get("entities"), holder.get("extended_entities"))
    text, quotes = apply_links(plain(raw), links, escaped=True, own_id=post_id)
    reply_to = parse_id(tweet.get("in_reply_to_status_id_str") or tweet.get("in_reply_to_status_id"))
    answered = parse_id(tweet.get("in_reply_to_user_id_str") or tweet.get("in_reply_to_user_id"))
    answered_name = tweet.get("in_reply_to_screen_name")
    is_reply = any(is_reference(value) for value in (reply_to, answered, answered_name))
    is_retweet = isinstance(tweet.get("retweeted_status"), dict) or bool(_RETWEET.match(raw))
    answers_itself = _is_called(answered_name, own_name or account) or (
        account_id is not None and answered == account_id
    )
    return Post(
        text=text,
        account=account,
        id=post_id,
        created_at=parse_time(tweet.get("created_at")) or time_of_id(post_id),
        kind=_kind(is_retweet, is_reply, quotes or is_true(tweet.get("is_quote_status"))),
        lang=language(tweet.get("lang")),
        html_escaped=True,
        likes=count(tweet.get("favorite_count")),
        reply_to=reply_to if is_reference(reply_to) else None,
        self_reply=is_reply and answers_itself,
        sensitive=is_true(tweet.get("possibly_sensitive")),
    )


def _is_called(found: object, name: str) -> bool:
    return isinstance(found, str) and found.casefold() == name.casefold()


def post_from_v2(
    tweet: Record, account: str, account_id: str | None, authors: Mapping[str, str] | None = None
) -> Post | None:
    """Of an object of X's API v2, in either vocabulary; `authors`: who wrote the posts that it may answer, by id."""
    note = tweet.get("note_tweet") or tweet.get("note_post")
    is_note = isinstance(note, dict) and isinstance(note.get("text"), str) and bool(note["text"])
    holder: Record = note if is_note and isinstance(note, dict) else tweet
    raw = holder.get("text")
    if not isinstance(raw, str) or not raw:
        return None
    references, post_id = _references(tweet), parse_id(tweet.get("id"))
    links = links_of(holder.get("entities"))
    text, links_quote = apply_links(plain(raw), links, escaped=True, own_id=post_id)
    reply_to = references.get("replied_to")
    answered = parse_id(tweet.get("in_reply_to_user_id")) or (authors or {}).get(reply_to or "")
    is_reply = "replied_to" in references or answered is not None
    is_retweet = "retweeted" in references or bool(_RETWEET.match(raw))
    metrics = tweet.get("public_metrics")
    return Post(
        text=text,
        account=account,
        id=post_id,
        created_at=parse_time(tweet.get("created_at")) or time_of_id(post_id),
        kind=_kind(is_retweet, is_reply, links_quote or "quoted" in references),
        lang=language(tweet.get("lang")),
        html_escaped=True,
        likes=count(metrics.get("like_count")) if isinstance(metrics, dict) else None,
        reply_to=reply_to,
        self_reply=account_id is not None and answered == account_id,
        sensitive=is_true(tweet.get("possibly_sensitive")),
    )


def time_of_id(post_id: str | None) -> datetime | None:
    """When a post was written, which its id tells since November 2010.

    >>> time_of_id("1890000000000000003").isoformat(), time_of_id("20")
    ('2025-02-13T11:28:09.158000+00:00', None)
    """
    if post_id is None or not re.fullmatch(r"[0-9]{11,19}", post_id) or int(post_id) < FIRST_SNOWFLAKE:
        return None
    return parse_time(((int(post_id) >> 22) + SNOWFLAKE_EPOCH_MS) / 1000)


def _references(tweet: Record) -> dict[str, str | None]:
    """The posts that this one answers, quotes or repeats, by what it does."""
    items = tweet.get("referenced_tweets") or tweet.get("referenced_posts")
    found: dict[str, str | None] = {}
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and isinstance(kind := item.get("type"), str):
            found[kind] = parse_id(item.get("id"))
    return found


def _kind(is_retweet: bool, is_reply: bool, quotes: bool) -> Kind:
    return "repost" if is_retweet else "reply" if is_reply else "quote" if quotes else "original"


def language(value: object) -> str | None:
    """
    >>> language("en"), language("zxx"), language("in")
    ('en', None, 'id')
    """
    found = parse_language(value)
    if found is None or found in _UNTOLD_LANGUAGES:
        return None
    return {"in": "id", "iw": "he", "ji": "yi"}.get(found, found)  # X writes three languages by codes of before 1989


def account_from_user(user: Record, handle: str) -> Account:
    """Of a user object of v2 or v1.1; `handle` stands in where it has none that can be one."""
    found = user.get("username") or user.get("screen_name")
    name = found if isinstance(found, str) and _NAME.fullmatch(found) else handle
    is_protected = user.get("protected") is True
    return Account(
        handle=name,
        platform="x",
        display_name=words(user.get("name")),
        bio=words(_bio(user)),
        protected=is_protected,
        id=parse_id(user.get("id_str") or user.get("id")),
        url=f"https://x.com/{name}",
        signals={"protected": "X says so"} if is_protected else {},
    )


def _bio(user: Record) -> object:
    bio, entities = user.get("description"), user.get("entities")
    if not isinstance(bio, str):
        return None
    places = entities.get("description") if isinstance(entities, dict) else None
    return apply_links(bio, links_of(places), escaped=True)[0]


def words(value: object) -> str | None:
    """Plain text of a profile, or nothing."""
    return plain(unescaped(value)).strip() or None if isinstance(value, str) else None
