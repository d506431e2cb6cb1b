"""Which columns and keys are known, by what they hold, the better name first.

Names are compared without case, and with "_" for spaces and hyphens: `Tweet Text` is `tweet_text`.
"""

from __future__ import annotations

import functools
import re

from huggingtweets.sources.values import is_blank

Record = dict[str, object]  # keys in normal form

TEXT = (
    "full_text",
    "text",
    "tweet",
    "tweet_text",
    "tweet_full_text",
    "content",
    "rawcontent",
    "body",
    "post",
    "post_text",
    "message",
)
ID = ("id_str", "id", "tweet_id", "tweetid", "status_id", "post_id", "uri")
TIME = ("created_at", "createdat", "date", "time", "timestamp", "datetime", "created")
LANGUAGE = ("lang", "language")
AUTHOR = (
    "screen_name",
    "user_screen_name",
    "user.screen_name",
    "username",
    "user_username",
    "author_username",
    "author.username",
    "user.username",
    "handle",
    "author",
    "user",
    "user_name",
    "account",
    "author_id",
    "user_id",
)

REPOST_FLAGS = ("is_retweet", "isretweet", "is_repost", "isrepost")
# X's own `retweeted` tells whether the *reader* reposted, and is false throughout an archive: true means something,
# false does not.
REPOST_IF_TRUE = ("retweeted",)
REPOST_REFERENCES = (
    "retweeted_status",
    "retweeted_status_id",
    "retweeted_status_id_str",
    "referenced_tweets.retweeted.id",
    "retweetedtweet",  # snscrape
    "reblog",
    "reblog_id",
)
QUOTE_FLAGS = ("is_quote_status", "is_quote", "isquote")
QUOTE_REFERENCES = ("quoted_status_id_str", "quoted_status_id", "referenced_tweets.quoted.id", "quotedtweet")
REPLY_FLAGS = ("is_reply", "isreply")
REPLY_TO = (  # the post
    "in_reply_to_status_id_str",
    "in_reply_to_status_id",
    "in_reply_to_id",
    "inreplytotweetid",
    "referenced_tweets.replied_to.id",
)
ANSWERED = ("in_reply_to_user_id_str", "in_reply_to_user_id", "in_reply_to_account_id")  # the account
ANSWERED_NAME = ("in_reply_to_screen_name",)
REPLY_REFERENCES = (*REPLY_TO, *ANSWERED, *ANSWERED_NAME, "reply_to", "inreplytouser")
TYPE = "type"

LIKES = (
    "favorite_count",
    "favourites_count",
    "like_count",
    "likes_count",
    "likecount",
    "favorites",
    "favourites",
    "likes",
    "faves",
    "public_metrics.like_count",
)
SENSITIVE = ("possibly_sensitive", "sensitive")
WARNING = ("spoiler_text",)
VISIBILITY = "visibility"

READ = (
    frozenset(TEXT + ID + TIME + LANGUAGE + AUTHOR + REPOST_FLAGS + REPOST_IF_TRUE + REPOST_REFERENCES + QUOTE_FLAGS)
    | frozenset(QUOTE_REFERENCES + REPLY_FLAGS + REPLY_REFERENCES + LIKES + SENSITIVE + WARNING)
    | {TYPE, VISIBILITY}
)

# Not read, but their presence in a first line shows that it is a header.
_SEEN_IN_EXPORTS = frozenset(
    ("retweets", "retweet_count", "replies", "reply_count", "url", "link", "source", "device", "hashtags", "mentions")
) | {"media", "isdeleted", "name"}
KNOWN = READ | _SEEN_IN_EXPORTS


@functools.lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """
    >>> normal(" Tweet Text"), normal("isRetweet")
    ('tweet_text', 'isretweet')
    """
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff").casefold())


def first_of(fields: Record, names: tuple[str, ...]) -> object:
    """The first that says something, else the first there is."""
    first_seen = None
    for name in names:  # a plain loop: this is called a dozen times a row, mostly for names that are not there
        if name in fields:
            value = fields[name]
            if not is_blank(value):
                return value
            first_seen = value if first_seen is None else first_seen
    return first_seen
