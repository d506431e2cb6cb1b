"""Files that visitors send. In: a name and its bytes as they arrive. Out: a file in a folder of its own, or nothing.

- The folder's name is random, the file's is made of the visitor's by letters, digits, dot, dash and underscore alone.
- Bytes are counted as they come, so that nobody fills the disk by lying about a length.
- What a file is, its reader finds out by looking into it, guarded as ever (see `sources`); its ending is only a name.
- An upload goes when its job has ended, or after a day in which no job took it.
"""

from __future__ import annotations

import re
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

from huggingtweets.botdir import make_folder, storage_errors
from huggingtweets.web.answers import Refusal
from huggingtweets.web.records import Visitor, new_id
from huggingtweets.web.settings import WebSettings

KEPT_S = 24 * 3600.0
LONGEST_NAME = 80

_ID = re.compile(r"[0-9A-Za-z]{12}")


@dataclass(frozen=True)
class Upload:
    """A file that has arrived whole."""

    id: str
    name: str
    size_bytes: int


def most_bytes(settings: WebSettings, visitor: Visitor) -> int:
    """Of one file."""
    return settings.guest_upload_bytes if visitor.is_guest else settings.upload_bytes


async def save_upload(settings: WebSettings, visitor: Visitor, name: str, chunks: AsyncIterator[bytes]) -> Upload:
    """Raises a Refusal when it is too large or empty, and StorageError; nothing of it stays then."""
    upload, most = new_id(), most_bytes(settings, visitor)
    folder = _folder(settings) / upload
    path = folder / safe_name(name)
    make_folder(folder)
    size_bytes = 0
    try:
        with storage_errors(path), path.open("xb") as out:
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > most:
                    raise Refusal("too_large", f"A file may have at most {most // 1_000_000:,} MB here.")
                out.write(chunk)
        if not size_bytes:
            raise Refusal("bad_request", f"{path.name} is empty.")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Upload(upload, path.name, size_bytes)


def uploaded(settings: WebSettings, id: str) -> Path:
    """The file of an upload; raises a Refusal where there is none (any more)."""
    folder = _folder(settings) / id
    files = [path for path in folder.glob("*") if path.is_file()] if _ID.fullmatch(id) else []
    if len(files) != 1:
        raise Refusal("not_found", "That upload is not here any more.", next="Send the file again.")
    return files[0].resolve()


def remove_upload(settings: WebSettings, path: str) -> None:
    """Removes it if it is one: a job's other sources are nobody's to remove."""
    folder = Path(path).parent
    if folder.parent == _folder(settings).resolve():
        shutil.rmtree(folder, ignore_errors=True)


def sweep(settings: WebSettings, in_use: Collection[str], now: float | None = None) -> None:
    """Removes what nobody came back for; `in_use` are the sources of the jobs that are not over."""
    used = {Path(path).parent for path in in_use}
    old = (time.time() if now is None else now) - KEPT_S
    for folder in _folder(settings).glob("*"):
        if folder.resolve() not in used and folder.stat().st_mtime < old:
            shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """
    >>> safe_name("../../etc/Mein Archiv.zip"), safe_name("con"), safe_name("..")
    ('Mein-Archiv.zip', 'upload-con', 'upload')
    """
    last = unicodedata.normalize("NFKD", name.replace("\\", "/").rpartition("/")[2])
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip(".-")
    stem, dot, ending = plain.rpartition(".")
    short = f"{stem[: LONGEST_NAME - len(ending) - 1]}{dot}{ending}" if dot and len(ending) <= 10 else plain
    if re.fullmatch(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", short, re.IGNORECASE):
        return f"upload-{short}"  # names that Windows keeps for devices
    return short[:LONGEST_NAME] or "upload"


def _folder(settings: WebSettings) -> Path:
    return settings.state_dir / "uploads"
