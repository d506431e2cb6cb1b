"""The Hugging Face Hub: a bot's repository made, brought up to date, and taken down.

In: a repository's name and the files that belong in it. Out: where they are now, or PublishError with the next command.

- One commit, of which only what changed is sent; large files that an interrupted upload had sent already are not sent
  again. Both are the Hub client's own doing, by digest.
- What may pass (a dropped connection, 5xx, 429) is tried again, later each time; the rest is one sentence.
- A repository that exists already is written to only when it was published from here, or is still empty.
- The token is the Hub's own login or HF_TOKEN; it is never read here.

Not covered: what belongs in the repository (see `publishing`), models that are downloaded (see `bases`).
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from huggingtweets.errors import PublishError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

TRIES = 5
LONGEST_WAIT_S = 30.0
HOME = "https://huggingface.co"

RepoType = Literal["model", "space"]

_LOGIN = "hf auth login   (with a token that may write, from https://huggingface.co/settings/tokens)"
_QUOTA = re.compile(r"quota|storage limit|exceeded|payment|too large|out of space", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One file, and where it goes."""

    path: str  # in the repository
    file: Path

    @property
    def size_bytes(self) -> int:
        return self.file.stat().st_size


@dataclass(frozen=True)
class Repo:
    """Where a bot goes."""

    id: str  # owner/name
    type: RepoType = "model"

    @property
    def url(self) -> str:
        return f"{endpoint()}/{'spaces/' if self.type == 'space' else ''}{self.id}"


@dataclass
class Hub:
    """The Hub with the login of this machine."""

    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda sentence: None
    _api: HfApi | None = field(default=None, init=False, repr=False)

    @property
    def api(self) -> HfApi:
        if self._api is None:
            _without_xet_elsewhere()
            from huggingface_hub import HfApi

            self._api = HfApi(library_name="huggingtweets")
        return self._api

    def owner(self) -> str:
        """Whose login this is; raises PublishError where there is none, or one that may not write."""
        who = self._patiently("", lambda: self.api.whoami())
        role = who.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise PublishError(f"The Hub token of {who['name']} may only read.", why="Publishing writes.", next=_LOGIN)
        return str(who["name"])

    def make(self, repo: Repo, *, private: bool, is_ours: bool) -> bool:
        """The repository, unless it is there; whether it was made now. Raises PublishError when it is another's."""
        from huggingface_hub.errors import HfHubHTTPError

        def create() -> bool:
            try:
                sdk = "gradio" if repo.type == "space" else None
                self.api.create_repo(repo.id, repo_type=repo.type, private=private, space_sdk=sdk)
            except HfHubHTTPError as error:
                if error.response is not None and error.response.status_code == 409:
                    return False
                raise
            return True

        made = self._patiently(repo.id, create)
        if not made and not is_ours and not self._is_empty(repo):
            raise PublishError(
                f"{repo.id} is there already, and was not published from this bot.",
                why="Nothing of it was touched.",
                next=f"choose another name: huggingtweets publish BOT {repo.id}-2   (or take that one down first)",
            )
        return made

    def _is_empty(self, repo: Repo) -> bool:
        """But for what the Hub puts in by itself."""
        files = self._patiently(repo.id, lambda: self.api.list_repo_files(repo.id, repo_type=repo.type))
        return set(files) <= {".gitattributes", "README.md"} and "config.json" not in files

    def is_private(self, repo: Repo) -> bool:
        return bool(self._patiently(repo.id, lambda: self.api.repo_info(repo.id, repo_type=repo.type)).private)

    def show(self, repo: Repo) -> None:
        """To everyone, from now on."""
        self._patiently(repo.id, lambda: self.api.update_repo_settings(repo.id, private=False, repo_type=repo.type))

    def upload(self, repo: Repo, items: Sequence[Item], gone: Sequence[str], message: str) -> str:
        """All of it in one commit, whose id is returned."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def commit() -> str:
            there = set(self.api.list_repo_files(repo.id, repo_type=repo.type))
            operations = [CommitOperationAdd(item.path, item.file) for item in items]
            leaving = [CommitOperationDelete(path) for path in gone if path in there]
            return str(
                self.api.create_commit(
                    repo.id, [*operations, *leaving], commit_message=message, repo_type=repo.type
                ).oid
            )

        with _quiet():
            return self._patiently(repo.id, commit)

    def remove(self, repo: Repo) -> bool:
        """Takes it down; whether it was there."""
        from huggingface_hub.errors import RepositoryNotFoundError

        def delete() -> bool:
            try:
                self.api.delete_repo(repo.id, repo_type=repo.type)
            except RepositoryNotFoundError:
                return False
            return True

        return self._patiently(repo.id, delete)

    def _patiently(self, repo_id: str, call: Callable[[], T]) -> T:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential_jitter(initial=1, max=LONGEST_WAIT_S),
            sleep=self.sleep,
            before_sleep=lambda state: self.tell("The Hub did not answer as it should; trying again."),
            reraise=True,
        )
        with translated(repo_id):
            return retrying(call)


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", HOME).rstrip("/")


def _without_xet_elsewhere() -> None:
    """Only the Hub itself speaks Xet; a server of one's own is waited for in vain for over a minute."""
    if endpoint() == HOME or "HF_HUB_DISABLE_XET" in os.environ:
        return
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_XET = True


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _may_pass(error: BaseException) -> bool:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    if isinstance(error, OfflineModeIsEnabled):
        return False
    if isinstance(error, HfHubHTTPError) and _status(error) is not None:
        status = _status(error) or 0
        return status >= 500 or status in (408, 429)
    return isinstance(error, (httpx.TransportError, ConnectionError))


@contextlib.contextmanager
def translated(repo_id: str) -> Iterator[None]:
    """Every way in which the Hub says no, as one sentence with the next command."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise PublishError("You are not logged in to the Hugging Face Hub.", next=_LOGIN) from error
    except HFValidationError as error:
        raise PublishError(
            f"{repo_id} is no name that the Hub allows.", next="publish it as owner/name, such as alice/my-bot"
        ) from error
    except OfflineModeIsEnabled as error:
        raise PublishError("The Hub client is switched off (HF_HUB_OFFLINE).", next="unset HF_HUB_OFFLINE") from error
    except HfHubHTTPError as error:
        raise _refusal(error, repo_id) from error
    except (httpx.HTTPError, ConnectionError, TimeoutError) as error:
        raise PublishError(
            "The Hugging Face Hub can't be reached.",
            why="What has been sent already is kept there.",
            next="run the same command again once there is a network: it goes on from there",
        ) from error


def _refusal(error: Exception, repo_id: str) -> PublishError:
    status, said = _status(error), _said(error)
    named = f" {repo_id}" if repo_id else ""
    if status in (402, 413, 507) or (status in (400, 403) and _QUOTA.search(said)):
        return PublishError(
            f"There is no room for{named or ' it'} on the Hub: {said}.",
            next="free some space at https://huggingface.co/settings/billing, then run the same command again",
        )
    if status == 401:
        return PublishError("The Hub does not accept your token.", why=said, next=_LOGIN)
    if status == 403:
        return PublishError(
            f"Your Hub token may not write{' to' if named else ''}{named}.",
            why=f"{said}. It may be a read-only token, or {repo_id.partition('/')[0] or 'the owner'} somebody else.",
            next=_LOGIN,
        )
    if status == 404:
        return PublishError(f"The Hub knows no{named or ' such repository'}.", next="check the name")
    if status is not None and status < 500 and status != 429:
        return PublishError(f"The Hub refuses{named}: {said}.", next="check the name, then run the same command again")
    return PublishError(
        f"The Hub answered {status or 'nothing'}, {TRIES} times in a row.",
        why="What has been sent already is kept there.",
        next="wait a while, then run the same command again: it goes on from there",
    )


def _said(error: Exception) -> str:
    """The server's own words, without addresses and request ids."""
    message = getattr(error, "server_message", None) or _first_line(error)
    return re.sub(r"\s*\(Request ID:.*?\)|https?://\S+", "", str(message)).strip().rstrip(".:") or "it says no more"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no warnings of the Hub client: only the command line talks."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown, verbosity = not are_progress_bars_disabled(), logging.get_verbosity()
    disable_progress_bars()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            enable_progress_bars()
