"""stub"""

from pathlib import Path


def is_mastodon_archive(path: Path) -> bool:
    return False


class MastodonArchive: ...
