"""Models of the Hugging Face Hub on this machine: a name in, a folder in the Hub client's own cache out.

What is cached is used as it is, unless the newest is asked for; the Hub is asked only for what is missing, and given up
on within seconds.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from huggingtweets.botdir import read_json
from huggingtweets.config import EMBEDDED
from huggingtweets.errors import BaseModelError, HubUnreachable

HUB_TIMEOUT_S = 5.0

_ANY = "openai-community/gpt2"  # which every Hub has
_IS_WEIGHTS = re.compile(r".*\.safetensors|pytorch_model.*\.bin")
_WANTED_FILES = [
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "*token*",
    "vocab*",
    "merges.txt",
    "*.model",
    "README.md",
]


def snapshot_of(repo: str, say: Callable[[str], None], *, newest: bool = False) -> Path:
    """The folder of a model, downloaded where it is not there or, with `newest`, is not the Hub's latest.

    Raises BaseModelError, of which HubUnreachable when only the network is missing.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise BaseModelError(
            f"No model {repo!r}: it is neither a folder nor a Hub id.", next="name one as gpt2 or owner/name"
        ) from error
    cached = _cached(repo)
    if cached is not None and not newest:
        return cached
    try:
        with _hub_errors(repo):
            return _download(repo, cached, say)
    except HubUnreachable:
        if cached is None:
            raise
        say(f"The Hugging Face Hub can't be reached; {repo} is taken as it was last downloaded")
        return cached


def _download(repo: str, cached: Path | None, say: Callable[[str], None]) -> Path:
    """The newest snapshot; a Hub that stumbles is asked again where there is no other."""
    from huggingface_hub import HfApi, snapshot_download

    from huggingtweets.hub import patiently

    def download() -> Path:
        info = HfApi().model_info(repo, timeout=HUB_TIMEOUT_S)
        if cached is not None and cached.name == info.sha:
            return cached
        files = [file.rfilename for file in info.siblings or []]
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in files) else "pytorch_model*"
        is_model = "config.json" in files or "adapter_config.json" in files
        if not is_model or not any(map(_IS_WEIGHTS.fullmatch, files)):
            raise BaseModelError(
                f"{repo} on the Hub holds no model that transformers could load.",
                why="There is no config.json with model.safetensors or pytorch_model.bin beside it.",
                next="check the name",
            )
        say(f"Downloading {repo} from the Hugging Face Hub")
        return Path(snapshot_download(repo, allow_patterns=[*_WANTED_FILES, weights, f"{weights}.index.json"]))

    if cached is not None:
        return download()
    return patiently(download, sleep=time.sleep, tell=say, was_reached=False, quiet=False)


def _cached(repo: str) -> Path | None:
    """The snapshot that is here already, where it is whole; files that are not wanted may be missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        snapshot = Path(snapshot_download(repo, local_files_only=True, allow_patterns=_WANTED_FILES))
        if _is_complete(snapshot):
            return snapshot
    return None


def _is_complete(snapshot: Path) -> bool:
    """Whether every weight file that the snapshot speaks of is there, and a tokenizer."""
    indexes = list(snapshot.glob("*.index.json"))
    named = {name for index in indexes for name in read_json(index)["weight_map"].values()}
    weights = named or {file.name for file in snapshot.iterdir() if _IS_WEIGHTS.fullmatch(file.name)}
    tokenizer = any(snapshot.glob("*token*")) or any(snapshot.glob("vocab*"))
    return bool(weights) and all((snapshot / name).exists() for name in weights) and tokenizer


def hub_answers() -> bool:
    """Whether the Hugging Face Hub can be reached, within seconds."""
    from huggingface_hub import HfApi

    try:
        with _hub_errors(_ANY):
            HfApi().model_info(_ANY, timeout=HUB_TIMEOUT_S)
    except HubUnreachable:
        return False
    return True


@contextlib.contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """Translates what the Hub client raises into one sentence with the next command."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    from huggingtweets.hub import AsksTooMuch, without_token

    try:
        yield
    except GatedRepoError as error:
        raise BaseModelError(
            f"{repo} is gated.", why="Its authors want to be asked first.", next="hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise BaseModelError(
            f"There is no model {repo} on the Hub, or it is private.",
            why="It is not a folder here either.",
            next="check the name, or log in with: hf auth login",
        ) from error
    except (httpx.LocalProtocolError, UnicodeError) as error:  # their text may hold the token
        raise BaseModelError(
            "The Hub token is not one: it holds characters that no token has.", next="hf auth login"
        ) from error
    except (httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError, AsksTooMuch, *_WRONG_WORDS) as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 401:
            raise BaseModelError("The Hugging Face Hub does not accept your token.", next="hf auth login") from error
        raise HubUnreachable(
            f"The Hugging Face Hub can't be reached, and {repo} is not cached here.",
            why=f"{type(error).__name__}: {next(iter(without_token(str(error)).splitlines()), 'no answer')}",
            next=f"huggingtweets create … --base {EMBEDDED}   (needs no Hub)",
        ) from error


_WRONG_WORDS = (ValueError, KeyError, TypeError, AttributeError)  # an answer of another shape than the Hub's
