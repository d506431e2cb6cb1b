"""What a person may say of an account, made safe: its handle and its picture."""

from __future__ import annotations

import re
from pathlib import Path

from huggingtweets.errors import SourceError
from huggingtweets.sources.files.opening import FileBytes, translated_errors

LARGEST_AVATAR_BYTES = 1 << 25

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def safe_handle(name: str) -> str:
    """Safe in a folder's name and a card; underscores at the ends are part of many handles.

    >>> safe_handle("@_bob_"), safe_handle("../Jane Doe")
    ('_bob_', 'Jane_Doe')
    """
    return re.sub(r"[^\w.@-]+", " ", name).strip(" .-@").replace(" ", "_")[:100]


def read_avatar(name: str) -> bytes:
    path = Path(name).expanduser()
    FileBytes(path)  # refuses folders and pipes
    with translated_errors(path), path.open("rb") as file:
        picture = file.read(LARGEST_AVATAR_BYTES + 1)
    if not is_picture(picture):
        raise SourceError(f"{path} is not a picture we can use.", next="pass a PNG, JPEG, GIF or WebP file as --avatar")
    if len(picture) > LARGEST_AVATAR_BYTES:
        raise SourceError(f"{path} is larger than 32 MB.", next="pass a smaller picture as --avatar")
    return picture


def is_picture(data: bytes) -> bool:
    """Whether these are the first bytes of a PNG, JPEG, GIF or WebP file."""
    return data.startswith(_PICTURES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")
