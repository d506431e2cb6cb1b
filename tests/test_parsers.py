"""No input makes a parser raise anything but our own errors: seeds of every shape, changed at random.

`make fuzz` does the same for longer, guided by coverage.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsers import Parser, parsers, try_on

NAMES = (
    "file",
    "zip",
    "tar",
    "tweets.js",
    "outbox.json",
    "actor.json",
    "car",
    "objects of networks",
    "texts",
)
PIECES = (
    b"",
    b"\0",
    b"\xff",
    b'"',
    b"{",
    b"[",
    b"}",
    b"]]",
    b"null",
    b"-1",
    b"1e999",
    b"\\ud800",
    b"<",
    b"@",
    b"\n",
    b"9" * 40,
)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parser]:
    return {parser.name: parser for parser in parsers(tmp_path_factory.mktemp("seeds"))}


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[float, int, bytes]]:
    """Where (a share of the length), how many bytes go, and what comes instead."""
    piece = st.one_of(st.sampled_from(PIECES), st.binary(max_size=8))
    return draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), piece), min_size=1, max_size=6))


def changed(seed: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for share, gone, piece in edits:
        place = int(share * len(seed))
        seed = seed[:place] + piece + seed[place + gone :]
    return seed


def test_every_parser_is_tried(every: dict[str, Parser]) -> None:
    assert tuple(every) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_are_read(name: str, every: dict[str, Parser], tmp_path: Path) -> None:
    """Else the changes to them would try nothing but the first check."""
    for seed in every[name].seeds:
        posts = every[name].run(seed, tmp_path)
        assert posts is None or posts >= 4


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_input_is_read_or_refused(
    name: str, every: dict[str, Parser], tmp_path: Path, data: st.DataObject
) -> None:
    parser = every[name]
    seed = data.draw(st.sampled_from(parser.seeds))
    try_on(parser, changed(seed, data.draw(changes())), tmp_path)
