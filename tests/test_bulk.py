"""A list in a file is a list, and a table of places is a dict."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huggingtweets import bulk
from huggingtweets.bulk import NOWHERE, FileList, Places

VALUES = [("a", "\ud800 🚀\n\0"), None, "x" * 10_000, *range(50)]


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_a_list_in_a_file_is_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(bulk, "READ_AT_ONCE", at_once)
    values: FileList[object] = FileList(tmp_path)
    assert list(values) == []
    for number, value in enumerate(VALUES, start=1):  # reading and writing in turn
        values.append(value)
        assert (len(values), values[number - 1], values[0]) == (number, value, VALUES[0])
    assert [(value, values[0]) for value in values] == [(value, VALUES[0]) for value in VALUES]
    assert [list(values), list(values)] == [VALUES, VALUES]
    assert list(tmp_path.iterdir()) == []
    values.close()


@given(st.lists(st.tuples(st.text(max_size=2), st.integers(0, 1_000))))
def test_places_are_a_dict(pairs: list[tuple[str, int]]) -> None:
    places, expected = Places(), dict[str, int]()
    for key, number in pairs:
        assert places.get(key) == expected.get(key, NOWHERE)
        assert (key in places) == (key in expected)
        assert places.setdefault(key, number) == expected.setdefault(key, number)
        assert len(places) == len(expected)


def test_places_grow_and_keep_what_they_have() -> None:
    places = Places()
    for number in range(10_000):
        assert places.setdefault(("id", number), number) == number
    assert [places.get(("id", number)) for number in range(10_000)] == list(range(10_000))
    assert ("id", 10_000) not in places
    assert places.get(("other", 1)) == NOWHERE


def test_keys_that_want_the_same_slot_stay_apart() -> None:
    """A whole number is its own hash, so these collide on purpose; 0 is what free slots hold."""
    places, keys = Places(), [0, *(1024 * number for number in range(1, 300))]
    for number, key in enumerate(keys):
        assert places.setdefault(key, number) == number
    assert [places.get(key) for key in keys] == list(range(len(keys)))
