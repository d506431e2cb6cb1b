"""Photos from strangers: read only when their header says that decoding them is safe.

Four formats by their signature, never SVG; a limit in bytes and one in pixels, because a 200 KB PNG can ask for
gigabytes. Whether the rest of the file is whole shows when it is decoded.
"""

from __future__ import annotations

import struct
from pathlib import Path

MAX_PHOTO_BYTES = 16 * 2**20
MAX_PHOTO_PIXELS = 4096 * 4096  # 64 MiB decoded


def read_photo(path: Path) -> bytes | None:
    """The bytes of a picture that is safe to decode; None for anything else."""
    try:
        if path.stat().st_size > MAX_PHOTO_BYTES:
            return None
        photo = path.read_bytes()
    except OSError:
        return None
    size = photo_size(photo)
    return photo if size and 0 < size[0] * size[1] <= MAX_PHOTO_PIXELS else None


def photo_size(photo: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as the header says; None for what is not PNG, GIF, WebP or JPEG."""
    try:
        if photo.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">16xII", photo[:24])
        if photo.startswith((b"GIF87a", b"GIF89a")):
            return struct.unpack("<6xHH", photo[:10])
        if photo.startswith(b"RIFF") and photo[8:12] == b"WEBP":
            return _webp_size(photo)
        return _jpeg_size(photo) if photo.startswith(b"\xff\xd8") else None
    except (struct.error, IndexError):
        return None


def _webp_size(photo: bytes) -> tuple[int, int] | None:
    kind = photo[12:16]
    if kind == b"VP8X":
        return int.from_bytes(photo[24:27], "little") + 1, int.from_bytes(photo[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack("<21xI", photo[:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<26xHH", photo[:30])
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_size(photo: bytes) -> tuple[int, int] | None:
    """Walks the segments to the first frame header."""
    position = 2
    while photo[position] == 0xFF:
        marker = photo[position + 1]
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", photo, position + 5)
            return width, height
        is_padding = marker == 0xFF
        position += 1 if is_padding else 2 + struct.unpack_from(">H", photo, position + 2)[0]
    return None
