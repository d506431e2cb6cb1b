"""Millions of things in little memory: a list that lies in a file, and a table from keys to whole numbers.

- `FileList` holds what a list would, at 8 bytes of memory a value; the values are in a file without a name, which is
  gone with its process however that ends.
- `Places` holds what `dict[Hashable, int]` would, at 24 to 48 bytes of memory a key, half more while it grows, where
  the dict takes 100 beside its keys and numbers. It keeps 64 bits of each key's hash only: of two million keys, two
  are taken for one with a chance of one in nine million.

Not covered: anything that must outlive the process (see `botdir`).
"""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")

READ_AT_ONCE = 1_000  # values
NOWHERE = 0xFFFF_FFFF  # no place in a table, and no number of a value


class Store(Protocol[T]):
    """What a list and a `FileList` have in common."""

    def append(self, value: T, /) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T]: ...
    def __getitem__(self, place: int, /) -> T: ...


NewStore = Callable[[], Store[Any]]  # `list`, where memory is no matter


class FileList(Generic[T]):
    """Values of any kind that pickle knows, in the order in which they were appended."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`)
        self._ends = array("Q", [0])  # where value i begins and the one before it ends

    def append(self, value: T) -> None:
        self._ends.append(self._ends[-1] + self._file.write(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> T:
        (value,) = self._read(place, place + 1)
        return value

    def __iter__(self) -> Iterator[T]:
        for first in range(0, len(self), READ_AT_ONCE):
            yield from self._read(first, min(first + READ_AT_ONCE, len(self)))

    def _read(self, first: int, last: int) -> Iterator[T]:
        start = self._ends[first]
        self._file.seek(start)
        data = self._file.read(self._ends[last] - start)
        self._file.seek(0, os.SEEK_END)  # where the next value goes
        for place in range(first, last):
            yield pickle.loads(data[self._ends[place] - start : self._ends[place + 1] - start])

    def close(self) -> None:
        self._file.close()


class Places:
    """Whole numbers by key: open addressing, half of the slots free.

    >>> places = Places()
    >>> places.setdefault(("a", "1"), 7), places.setdefault(("a", "1"), 8), ("a", "2") in places
    (7, 7, False)
    """

    def __init__(self) -> None:
        self._size = 0
        self._make_slots(1 << 10)

    def _make_slots(self, slots: int) -> None:
        self._mask = slots - 1
        self._keys = array("Q", bytes(8 * slots))  # 0 is a free slot
        self._numbers = array("I", bytes(4 * slots))

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: Hashable) -> bool:
        return self.get(key) != NOWHERE

    def get(self, key: Hashable) -> int:
        """NOWHERE for an unknown key."""
        mark = _mark(key)
        slot = self._slot_of(mark)
        return self._numbers[slot] if self._keys[slot] == mark else NOWHERE

    def setdefault(self, key: Hashable, number: int) -> int:
        """The number that the key has, which is this one if it had none."""
        mark = _mark(key)
        slot = self._slot_of(mark)
        if self._keys[slot] == mark:
            return self._numbers[slot]
        self._keys[slot], self._numbers[slot] = mark, number
        self._size += 1
        if 2 * self._size > self._mask:
            self._grow()
        return number

    def _slot_of(self, mark: int) -> int:
        """Where the mark is, or else where it belongs."""
        keys, mask = self._keys, self._mask
        slot = mark & mask
        while (found := keys[slot]) != mark and found:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._make_slots(2 * len(keys))
        for mark, number in zip(keys, numbers, strict=True):
            if mark:
                slot = self._slot_of(mark)
                self._keys[slot], self._numbers[slot] = mark, number


def _mark(key: Hashable) -> int:
    return hash(key) & 0xFFFF_FFFF_FFFF_FFFF or 1
