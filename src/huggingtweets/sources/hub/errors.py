"""What the Hub's two libraries raise, as one sentence with the next command.

In: a block that calls `huggingface_hub` or `datasets`. Out: our own errors only, of which NetworkTrouble where the Hub
or the way to it is the matter.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from huggingtweets.botdir import storage_errors
from huggingtweets.errors import HuggingtweetsError, NetworkTrouble, SourceError, UnreadableFile
from huggingtweets.sources.hub.names import DatasetName
from huggingtweets.sources.tally import shorten

LOGIN = "hf auth login"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def hub_errors(name: DatasetName) -> Iterator[None]:
    """Nothing but our own errors leaves the block."""
    try:
        yield
    except HuggingtweetsError:
        raise
    # The libraries raise whatever the parser of the day raises, on files that strangers wrote: no list would be whole.
    except Exception as error:
        causes = list(_causes(error))
        full = next((cause for cause in causes if isinstance(cause, OSError) and cause.errno in _DISK), None)
        if full is not None:
            with storage_errors(_cache()):
                raise full from error
        raise _access(name, causes) or _network(name, causes) or _files(name, causes) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from; few enough to look at, whatever their chain."""
    found: BaseException | None = error
    for _ in range(20):
        if found is None:
            return
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _cache() -> Path:
    from datasets import config

    return Path(config.HF_DATASETS_CACHE)


def _access(name: DatasetName, causes: list[BaseException]) -> SourceError | None:
    """Where the Hub answered, and said no."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/datasets/{name.repo}"
    said = str(causes[0])
    if _is(causes, errors.GatedRepoError) or "is a gated dataset" in said:
        what, next = f"hub:{name} is gated: its owners want to be asked first.", f"ask at {page}, then: {LOGIN}"
    elif _is(causes, errors.DisabledRepoError):
        what, next = f"The Hub has disabled the dataset {name.repo}.", "choose another"
    elif _is(causes, errors.RevisionNotFoundError):
        what, next = f"The dataset {name.repo} has no revision {name.revision}.", f"choose one that {page} lists"
    elif _is(causes, errors.RepositoryNotFoundError) or "doesn't exist on the Hub or cannot" in said:
        what = f"There is no dataset {name.repo} on the Hugging Face Hub, or it is private."
        next = f"check the name, or log in with an account that may see it: {LOGIN}"
    elif _is(causes, errors.HFValidationError):
        what, next = f"{name.repo} can't be the name of a dataset on the Hugging Face Hub.", "check the name"
    else:
        return None
    return SourceError(what, next=next)


def _network(name: DatasetName, causes: list[BaseException]) -> SourceError | None:
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    if HF_HUB_OFFLINE and _is(causes, FileNotFoundError, ConnectionError):
        return NetworkTrouble(
            f"hub:{name} is not, or not wholly, in the cache, and HF_HUB_OFFLINE forbids to ask the Hugging Face Hub.",
            next="unset HF_HUB_OFFLINE, or pass the posts as a file",
        )
    if not _is(causes, HfHubHTTPError, httpx.HTTPError, ConnectionError):
        return None
    return NetworkTrouble(
        f"The Hugging Face Hub did not hand out {name.repo}.",
        why=_reason(causes[0]),
        next="run the same command again later, or with HF_HUB_OFFLINE=1 if the dataset was read here before",
    )


def _files(name: DatasetName, causes: list[BaseException]) -> SourceError:
    """What the dataset itself is to blame for."""
    from datasets.exceptions import DatasetsError

    if "scripts are no longer supported" in str(causes[0]):
        what, why = f"hub:{name} needs code of its own.", "Code out of a dataset never runs here."
    elif _is(causes, FileNotFoundError):
        what, why = f"hub:{name} holds no table of posts.", "CSV, JSON, JSONL, Parquet and plain text are read."
    else:
        # The library's own errors say that something failed, and the first cause says what.
        told = next((cause for cause in causes[1:] if isinstance(causes[0], DatasetsError)), causes[0])
        what, why = f"hub:{name} could not be read.", _reason(told)
    return UnreadableFile(what, why=why, next="choose another dataset, or download the posts as a file and pass that")


def _is(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _reason(error: BaseException) -> str:
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {shorten(line, 200) or 'no reason given'}"
