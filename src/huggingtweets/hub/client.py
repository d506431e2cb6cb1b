"""The few things that publishing does on the Hub."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from huggingtweets.botdir import file_digest
from huggingtweets.errors import PublishError
from huggingtweets.hub.addresses import HOME, endpoint, shown
from huggingtweets.hub.patience import ANSWER_S, SHORT_ANSWER_S, patiently, status_of
from huggingtweets.hub.refusals import LOGIN, translated

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo, SpaceInfo

T = TypeVar("T")

RepoType = Literal["model", "space"]
SDK = "gradio"  # of every Space

_MADE_BY_THE_HUB = {"model": {".gitattributes"}, "space": {".gitattributes", "README.md"}}


@dataclass(frozen=True)
class Item:
    """One file, and where it goes."""

    path: str  # in the repository
    content: Path | bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def sha256(self) -> str:
        whole = self.content
        return hashlib.sha256(whole).hexdigest() if isinstance(whole, bytes) else file_digest(whole)


@dataclass(frozen=True)
class Repo:
    """Where a bot goes, or the Space that runs it."""

    id: str  # owner/name
    type: RepoType = "model"

    @property
    def url(self) -> str:
        return f"{shown(endpoint())}/{'spaces/' if self.type == 'space' else ''}{self.id}"


@dataclass(frozen=True)
class Standing:
    """What the Hub has of a repository now."""

    private: bool
    commit: str | None
    files: frozenset[str]
    is_empty: bool  # but for what the Hub puts in by itself


@dataclass
class Hub:
    """The Hub, with the login of this machine. Every method raises PublishError."""

    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda sentence: None
    answer_s: float = ANSWER_S  # at most so long for an upload's
    _api: HfApi | None = field(default=None, init=False, repr=False)
    _was_reached: bool = field(default=False, init=False, repr=False)

    @property
    def api(self) -> HfApi:
        if self._api is None:
            from huggingface_hub import HfApi

            if not re.match(r"https?://[^/\s]", endpoint()):
                raise PublishError("HF_ENDPOINT is no web address.", next="unset HF_ENDPOINT")
            _without_xet_elsewhere()
            self._api = HfApi(endpoint=endpoint(), library_name="huggingtweets")
        return self._api

    def owner(self) -> str:
        """Whose login this is; refuses one that may not write, or that is none."""
        _check_token()
        who = self._ask("", lambda: self.api.whoami())
        with translated():
            name, role = str(who["name"]), who.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise PublishError(f"The Hub token of {name} may only read, and publishing writes.", next=LOGIN)
        return name

    def make(self, repo: Repo, *, private: bool) -> bool:
        """Whether it was made now; False where it is there already."""
        from huggingface_hub.errors import HfHubHTTPError

        def create() -> bool:
            try:
                sdk = SDK if repo.type == "space" else None
                self.api.create_repo(repo.id, repo_type=repo.type, private=private, space_sdk=sdk)
            except HfHubHTTPError as error:
                if status_of(error) == 409:
                    return False
                raise
            return True

        return self._ask(repo.id, create)

    def look(self, repo: Repo) -> Standing | None:
        """None where there is no such repository, or none that this login may see."""
        from huggingface_hub.errors import HfHubHTTPError

        def look() -> Standing | None:
            try:
                found = self._info(repo)
            except HfHubHTTPError as error:
                if status_of(error) == 404:
                    return None
                raise
            files = frozenset(file.rfilename for file in found.siblings or ())
            is_empty = found.siblings is not None and files <= _MADE_BY_THE_HUB[repo.type]
            return Standing(bool(found.private), found.sha, files, is_empty)

        return self._ask(repo.id, look)

    def show(self, repo: Repo) -> None:
        """To everyone, from now on."""
        self._ask(repo.id, lambda: self.api.update_repo_settings(repo.id, private=False, repo_type=repo.type))

    def upload(self, repo: Repo, items: Sequence[Item], gone: Iterable[str], message: str) -> str:
        """All of it in one commit, whose id is returned; no commit when the Hub has it all."""
        leaving = frozenset(gone)

        def commit() -> str:
            from huggingface_hub import CommitOperationAdd, CommitOperationDelete

            operations: list[CommitOperationAdd | CommitOperationDelete] = [
                CommitOperationAdd(item.path, item.content) for item in items
            ]
            if leaving:  # of what is not there the Hub would say so, and take nothing
                there = {file.rfilename for file in self._info(repo).siblings or ()}
                operations += [CommitOperationDelete(path) for path in sorted(leaving & there)]
            done = self.api.create_commit(repo.id, operations, commit_message=message, repo_type=repo.type)
            return str(done.oid)

        return self._ask(repo.id, commit, self.answer_s)

    def remove(self, repo: Repo) -> bool:
        """Whether it was there."""
        from huggingface_hub.errors import HfHubHTTPError

        def delete() -> bool:
            try:
                self.api.delete_repo(repo.id, repo_type=repo.type)
            except HfHubHTTPError as error:
                if status_of(error) == 404:
                    return False
                raise
            return True

        return self._ask(repo.id, delete)

    def _info(self, repo: Repo) -> ModelInfo | SpaceInfo:
        if repo.type == "space":
            return self.api.space_info(repo.id, timeout=self._short_s)
        return self.api.model_info(repo.id, timeout=self._short_s)

    @property
    def _short_s(self) -> float:
        """For all but uploads."""
        return min(SHORT_ANSWER_S, self.answer_s)

    def _ask(self, repo_id: str, call: Callable[[], T], answer_s: float | None = None) -> T:
        answer_s = self._short_s if answer_s is None else answer_s
        with translated(repo_id):
            answer = patiently(call, sleep=self.sleep, tell=self.tell, answer_s=answer_s, was_reached=self._was_reached)
        self._was_reached = True
        return answer


def check_name(repo_id: str) -> None:
    """Raises PublishError for a name that the Hub would not allow."""
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    with translated(repo_id):
        validate_repo_id(repo_id)


def _check_token() -> None:
    """What is no token is not sent: the HTTP client would quote it in its refusal."""
    from huggingface_hub import get_token

    if not re.fullmatch(r"[\x21-\x7e]*", get_token() or ""):
        raise PublishError("The Hub token is not one: it holds characters that no token has.", next=LOGIN)


def _without_xet_elsewhere() -> None:
    """Only the Hub itself speaks Xet; another server is asked for it in vain, for over a minute.

    The Hub client looks at this switch again for every upload.
    """
    if endpoint() != HOME and "HF_HUB_DISABLE_XET" not in os.environ:
        from huggingface_hub import constants

        constants.HF_HUB_DISABLE_XET = True
