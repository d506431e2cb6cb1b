"""One shape for every error: in the API's answers, in a job's record, on a page.

In: any exception. Out: `{"error": {"code", "what", "why", "next", "needs"}}`'s inner part, and an HTTP status.

- The code of an error of ours is its class in snake case; a `Refusal` brings its own; everything else is a bug, of
  which a visitor learns nothing but `internal`.
- The command line's next commands mean nothing in a browser: `next` is in words of the web, options lose their dashes.
- No path of this machine leaves it: of each, the last name stays.
"""

from __future__ import annotations

import re
from typing import Any

from huggingtweets.errors import HuggingtweetsError

INTERNAL: dict[str, Any] = {
    "code": "internal",
    "what": "Something went wrong here, and it was not you.",
    "why": "What happened is in the server's log.",
    "next": "Try again; if it happens again, tell whoever runs this server.",
    "needs": [],
}

STATUS = {  # by code; what is ours and not listed is a request that can't be done
    "not_found": 404,
    "gone": 410,
    "not_allowed": 403,
    "login_needed": 401,
    "too_many": 429,
    "too_large": 413,
    "bad_request": 422,
    "internal": 500,
    "no_such_account": 404,
    "network_trouble": 502,
    "consent_missing": 409,
    "consent_refused": 403,
    "hub_unreachable": 503,
    "publish_error": 502,
    "bot_error": 404,
    "stage_missing": 409,
    "storage_error": 507,
}

NEXT = {  # what to do about it in a browser
    "login_needed": "Log in, then try again.",
    "too_many": "Wait a little, then try again.",
    "unknown_source": "Type an account such as name.bsky.social or @name@server, or drop a file of posts.",
    "unreadable_file": "Export the archive again, or try a .csv, .jsonl or .txt file of posts.",
    "no_such_account": "Check how the name is written.",
    "network_trouble": "Try again in a few minutes; what was downloaded is kept.",
    "consent_missing": "Say whose account it is, and go on.",
    "consent_refused": "If the account is yours, change that there first.",
    "too_little_text": "Try an account with more posts, or drop an archive of it.",
    "base_model_error": "Choose another base model.",
    "hub_unreachable": "Try again once this server reaches the Hugging Face Hub.",
    "stage_missing": "Train the bot first.",
    "storage_error": "Make room on the server's disk, then try again.",
}

_PATH = re.compile(
    r"(?<![\w/:.~@-])(?:(?:file|(?:mastodon-)?archive|bluesky-repo):)?(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\"“”,;:()]+){2,}"
)
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")
_COMMAND = re.compile(r"[^.\n]*\bhuggingtweets [a-z]+ [^\n]*|[^.\n]*\bpip install [^\n]*")


class Refusal(HuggingtweetsError):
    """What the web app itself won't do: `code` is one of STATUS."""

    def __init__(
        self, code: str, what: str, *, why: str = "", next: str = "", retry_after_s: int | None = None
    ) -> None:
        super().__init__(what, why=why, next=next or NEXT.get(code, ""))
        self.code = code
        self.retry_after_s = retry_after_s


def not_found(what: str = "There is no such page.") -> Refusal:
    return Refusal("not_found", what)


def code_of(error: Exception) -> str:
    """
    >>> from huggingtweets.errors import ConsentMissing
    >>> code_of(ConsentMissing("Whose is it?")), code_of(KeyError())
    ('consent_missing', 'internal')
    """
    if isinstance(error, Refusal):
        return error.code
    if not isinstance(error, HuggingtweetsError):
        return "internal"
    return re.sub(r"(?<=.)(?=[A-Z])", "_", type(error).__name__).lower()


def status_of(error: Exception) -> int:
    """The HTTP status.

    >>> status_of(not_found()), status_of(KeyError())
    (404, 500)
    """
    return STATUS.get(code_of(error), 400)


def error_json(error: Exception) -> dict[str, Any]:
    """What a browser is told; the answer wraps it as `{"error": …}`.

    >>> from huggingtweets.errors import SettingsError
    >>> error_json(SettingsError("--seed must be 0 to 9, not 10.", next="huggingtweets generate nasa --seed 9"))["what"]
    'Seed must be 0 to 9, not 10.'
    """
    if not isinstance(error, HuggingtweetsError):
        return dict(INTERNAL)
    code = code_of(error)
    return {
        "code": code,
        "what": in_words(error.what),
        "why": in_words(error.why),
        "next": error.next if isinstance(error, Refusal) else NEXT.get(code, ""),
        "needs": list(getattr(error, "needs", ())),
    }


def in_words(text: str) -> str:
    """Without what only a terminal understands.

    >>> in_words("--max-posts must be at least 1. See /home/alice/bots/nasa/bot.json.")
    'Max posts must be at least 1. See bot.json.'
    >>> in_words("Two sources are of one account, a: file:/srv/1/a.csv and file:/srv/2/a.csv.")
    'Two sources are of one account, a: a.csv and a.csv.'
    """
    lines = [_COMMAND.sub("", line).strip() for line in text.splitlines()]
    text = "\n".join(line for line in lines if line)
    begins_with_option = text.startswith("--")
    text = _OPTION.sub(lambda found: found[1].replace("-", " "), text)
    text = _PATH.sub(lambda found: re.split(r"[/\\]", found[0])[-1], text)
    return text[:1].upper() + text[1:] if begins_with_option else text
