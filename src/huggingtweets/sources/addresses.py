"""Web addresses and endings of names that tell which network is meant.

In: what was typed. Out: an account's name on Mastodon, or an error for networks and mail hosts that we can't ask.

- Any server may run Mastodon, so its addresses are told by their form (`/@name`), and the networks that use the same
  form and answer nobody are told by their host first.
- A name with a dot is a Bluesky handle only if it ends as domains do; no list of endings is whole, and `bluesky:` says
  it outright.
"""

from __future__ import annotations

import re

from huggingtweets.errors import UnknownSource
from huggingtweets.sources.files.endings import ENDINGS
from huggingtweets.sources.tally import shorten

# host: what it is called, and where it hands an account's owner a copy
STRANGERS = {
    "threads.net": ("Threads", "Settings, Your information"),
    "threads.com": ("Threads", "Settings, Your information"),
    "instagram.com": ("Instagram", "Accounts Centre, Your information and permissions"),
    "facebook.com": ("Facebook", "Accounts Centre, Your information and permissions"),
    "fb.com": ("Facebook", "Accounts Centre, Your information and permissions"),
    "linkedin.com": ("LinkedIn", "Settings, Data privacy, Get a copy of your data"),
    "reddit.com": ("Reddit", "reddit.com/settings/data-request"),
    "tiktok.com": ("TikTok", "Settings, Account, Download your data"),
    "youtube.com": ("YouTube", "takeout.google.com"),
    "youtu.be": ("YouTube", "takeout.google.com"),
    "tumblr.com": ("Tumblr", "Blog settings, Export"),
    "medium.com": ("Medium", "Settings, Security and apps, Download your information"),
    "substack.com": ("Substack", "Settings, Exports"),
    "t.me": ("Telegram", "the desktop app, Export chat history"),
    "vk.com": ("VK", "the settings of your account"),
    "weibo.com": ("Weibo", "the settings of your account"),
}

_HOSTS = "|".join(map(re.escape, STRANGERS))
STRANGER = rf"((?:https?://)?(?:[\w-]+\.)*(?:{_HOSTS})(?:/.*)?|@?[\w.-]+@(?:www\.)?(?:{_HOSTS})|[ur]/[\w-]+/?)"

_MAIL_HOSTS = (
    r"gmail\.com|googlemail\.com|(?:outlook|hotmail|live|yahoo|ymail)\.\w+(?:\.\w+)?|msn\.com|aol\.com|icloud\.com|me\.com"
    r"|mac\.com|gmx\.\w+|web\.de|t-online\.de|freenet\.de|posteo\.\w+|mailbox\.org|proton(?:mail)?\.\w+|pm\.me|tutanota\.\w+"
    r"|tuta\.\w+|fastmail\.\w+|hey\.com|zoho\.\w+|mail\.(?:com|ru)|yandex\.\w+|qq\.com|163\.com|126\.com|naver\.com"
    r"|orange\.fr|free\.fr|laposte\.net|libero\.it|comcast\.net|verizon\.net|att\.net"
)
MAIL = rf"(?:mailto:)?(@?[\w.+-]+@(?:{_MAIL_HOSTS}))"

DOMAIN = rf"(?:[\w-]+\.)+(?:[a-z]{{2}}|xn--[\w-]+|{'|'.join(ENDINGS.split())})"

MASTODON_PAGE = r"(https?://[^/\s]+/(?:web/)?(?:@|users/)\S+|[\w-]+(?:\.[\w-]+)+(?::\d+)?/@\S+)"
_MASTODON_NAME = re.compile(
    r"(?:https?://)?([^/\s@]+)/(?:web/)?(?:@|users/)([\w.-]+?)(?:@([\w-]+(?:\.[\w-]+)+))?(?:\.(?:rss|atom|json))?"
    r"(?:[/?#].*)?",
    re.IGNORECASE,
)


def acct_in(address: str) -> str | None:
    """Whose page on Mastodon this is: theirs, one of their posts, or another server's view of it.

    >>> acct_in("https://social.example/@bob/1139"), acct_in("https://social.example/@bob@other.example")
    ('bob@social.example', 'bob@other.example')
    """
    found = _MASTODON_NAME.fullmatch(address)
    return f"{found[2]}@{(found[3] or found[1]).lower()}" if found else None


def stranger(typed: str) -> UnknownSource:
    """For an account on a network that answers only its own apps."""
    host = re.search(rf"(?:^|[/.@])({_HOSTS})(?:/|$)", typed, re.IGNORECASE)
    name, where = STRANGERS[host[1].lower() if host else "reddit.com"]
    return UnknownSource(
        f"{shorten(typed)} is on {name}, which answers no programs like this one.",
        why=f"It hands its accounts' owners a copy, though: {where}.",
        next="take the posts out of that copy as CSV, JSONL or plain text, one post a line, and pass that file",
    )


def mail(typed: str) -> UnknownSource:
    """For what looks like an account on Mastodon, on a server that is known to carry mail."""
    name, _, host = typed.removeprefix("@").partition("@")
    return UnknownSource(
        f"{shorten(typed)} is an e-mail address, not an account.",
        why="Accounts on Mastodon look the same, but this server carries mail.",
        next=f"pass the account's name, such as @{name} (on X) or @{name}@SERVER (on Mastodon); "
        f"if it is one on Mastodon, mastodon:{name}@{host}",
    )
