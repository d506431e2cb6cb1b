"""Values that are nearly right, for property tests of what reads strangers' JSON."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st


def nearly(value: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The value with some of its parts left away or replaced."""
    return st.builds(_damaged, st.just(value), st.integers(0, 1 << 32).map(random.Random), st.lists(others, max_size=4))


def _damaged(value: Any, rng: random.Random, others: list[Any]) -> Any:
    chance = rng.randrange(14)
    if chance == 0:
        return rng.choice(others) if others else None
    if isinstance(value, dict):
        return {name: _damaged(part, rng, others) for name, part in value.items() if chance != 1 or rng.random() < 0.5}
    return [_damaged(part, rng, others) for part in value] if isinstance(value, list) else value
