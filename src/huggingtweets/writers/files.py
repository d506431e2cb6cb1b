"""What two writers read of a model folder without transformers: its tokenizer, and which files it is made of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer


def facts_of(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file: they change when the model does."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


@functools.lru_cache(maxsize=64)
def speller_of(folder: Path, key: str) -> Speller:
    """Kept for the next posts; `key` tells one model's from the next one's."""
    return Speller(Tokenizer.from_file(str(folder / "tokenizer.json")))


class Speller:
    """A tokenizer that spells as transformers does with `split_special_tokens`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def spell(self, ids: Sequence[int]) -> list[str]:
        return [str(self.tokenizer.id_to_token(token)) for token in ids]
