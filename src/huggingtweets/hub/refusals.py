"""Every way in which the Hub says no, as one sentence with the next command.

In: whatever the Hub client raises. Out: PublishError. What the server says is passed on in its own words, but without
addresses, which may be signed, and without line breaks.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

from huggingtweets.errors import PublishError
from huggingtweets.escaping import plain
from huggingtweets.hub.addresses import HOME, endpoint, shown
from huggingtweets.hub.patience import FULL, PASSING, AsksTooMuch, root_of, status_of

LOGIN = f"hf auth login   (with a token that may write, from {HOME}/settings/tokens)"
AGAIN = "run the same command again: what was sent already is not sent twice"
SAID_LETTERS = 200

_NO_ROOM = re.compile(r"quota|storage limit|exceed|too large|out of space|no space", re.IGNORECASE)
_NOISE = re.compile(r"\s*\([^()]*Request ID:[^()]*\)|\s*\(Amzn Trace ID:[^()]*\)|\S*https?://\S*")


@contextlib.contextmanager
def translated(repo_id: str = "") -> Iterator[None]:
    """Raises PublishError for what the Hub client raises."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        yield
    except (OSError, ValueError, RuntimeError, httpx.HTTPError, AsksTooMuch, *_WRONG_WORDS) as error:
        raise _sentence(root_of(error), repo_id) from error


_WRONG_WORDS = (KeyError, TypeError, AttributeError, IndexError)  # an answer of another shape than the Hub's


def _sentence(error: BaseException, repo_id: str) -> PublishError:
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    if isinstance(error, LocalTokenNotFoundError):
        return PublishError("You are not logged in to the Hugging Face Hub.", next=LOGIN)
    if isinstance(error, HFValidationError):
        return PublishError(f"{repo_id} is no name that the Hub allows.", next="name it owner/name, as alice/my-bot")
    if isinstance(error, OfflineModeIsEnabled):
        return PublishError("The Hub client is switched off by HF_HUB_OFFLINE.", next="unset HF_HUB_OFFLINE")
    if isinstance(error, AsksTooMuch):
        return PublishError(f"The Hub asks us to wait {error.wait_s / 60:,.0f} minutes.", next=f"wait, then {AGAIN}")
    if status_of(error) is not None:
        return _refusal(error, status_of(error) or 0, repo_id)
    if isinstance(error, httpx.LocalProtocolError):  # its text may hold the token
        return PublishError("The Hub token is not one: it holds characters that no token has.", next=LOGIN)
    if isinstance(error, (httpx.HTTPError, ConnectionError, TimeoutError)):
        return PublishError(f"{_server()} can't be reached, or breaks off.", next=f"once there is a network, {AGAIN}")
    return _unexpected(error, repo_id)


def _unexpected(error: BaseException, repo_id: str) -> PublishError:
    """What has no status: an error inside an answer, Xet, or a server that is no Hub."""
    said = _said(error)
    if isinstance(error, (*_WRONG_WORDS, json.JSONDecodeError, UnicodeError)):
        return PublishError(
            f"{_server()} does not answer as a Hub does ({type(error).__name__}).",
            next="check HF_ENDPOINT, if it is set",
        )
    if _NO_ROOM.search(said):
        return _no_room(repo_id, said)
    next = LOGIN if isinstance(error, PermissionError) else AGAIN  # the former is how Xet says it
    return PublishError(f"{_server()} did not take {repo_id or 'that'}: {said}.", next=next)


def _refusal(error: BaseException, status: int, repo_id: str) -> PublishError:
    said, named = _said(error), repo_id or "it"
    if status in (413, FULL) or (status in (400, 402, 403, 422) and _NO_ROOM.search(said)):
        return _no_room(repo_id, said)
    if status == 402:
        return PublishError(
            f"The Hub asks for payment for {named}: {said}.", next=f"see {HOME}/settings/billing, then {AGAIN}"
        )
    if status == 401:
        return PublishError(f"{_server()} does not accept your token.", why=f"{said}.", next=LOGIN)
    if status == 403:
        return PublishError(
            f"Your Hub token may not do that to {named}: {said}.",
            why=f"It is a read-only token, or may not write for {repo_id.partition('/')[0] or 'that owner'}.",
            next=LOGIN,
        )
    if status == 404:
        return PublishError(f"{_server()} knows no {repo_id or 'such repository'}.", next="check the name")
    if status < 500 and status not in PASSING:
        return PublishError(f"{_server()} refuses {named}: {said}.", next="check the name, then run the command again")
    return PublishError(f"{_server()} answered {status} again and again: {said}.", next=f"wait a while, then {AGAIN}")


def _no_room(repo_id: str, said: str) -> PublishError:
    return PublishError(
        f"There is no room for {repo_id or 'it'} on the Hub: {said}.",
        next=f"free some at {HOME}/settings/billing, then {AGAIN}",
    )


def _server() -> str:
    return "The Hugging Face Hub" if endpoint() == HOME else f"The Hub at {shown(endpoint())}"


def _said(error: BaseException) -> str:
    """In one line.

    >>> _said(ValueError("Forbidden: no rights. (Request ID: abc) https://hub.example/x?signature=1"))
    'Forbidden: no rights'
    """
    message = getattr(error, "server_message", None) or str(error) or type(error).__name__
    said = plain(_NOISE.sub("", without_token(str(message))), SAID_LETTERS)
    return said.rstrip(" .:") or "it says no more"


def without_token(text: str) -> str:
    """A server may answer with what it was sent."""
    from huggingface_hub import get_token

    token = get_token()
    return text.replace(token, "(token)") if token else text
