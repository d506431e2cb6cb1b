"""Records of single trainings in, a table for each account out. No torch here, only arithmetic.

- *To the reference's quality*: training time until the held-out score first is as good as the reference's at its end,
  with the same seed; between two marks the curve is taken for a straight line, which, curves being convex, is late.
- *Sooner*: the whole of the reference's training time over that time.
- *After so many minutes*, and *when the reference ends*: the score at that training time; a training that has ended
  keeps its last.
- Every number is the mean over the seeds, ± their standard deviation.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

REFERENCE = "reference"  # what every other recipe is held against
Clock = Literal["seconds", "cpu_seconds"]


@dataclass(frozen=True)
class Mark:
    """A training, looked at once."""

    seconds: float  # of training
    cpu_seconds: float  # of training, all threads added: a busy neighbour costs these less
    tokens: int  # trained, padding not counted
    bits_per_byte: float  # held out


@dataclass(frozen=True)
class Run:
    """One training, as it was recorded."""

    recipe: str
    seed: int
    marks: list[Mark]  # the untrained base first, the end last
    peak_bytes: int
    flops_per_token: int
    peak_flops: dict[str, float]  # by number type
    copied: float  # share of the unprompted predictions

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Run:
        return cls(**{**record, "marks": [Mark(**mark) for mark in record["marks"]]})

    @property
    def end(self) -> Mark:
        return self.marks[-1]


@dataclass(frozen=True)
class Spread:
    """A number over several seeds."""

    mean: float
    deviation: float | None  # None: of one seed
    seeds: int  # that have the number
    of: int

    def text(self, digits: int) -> str:
        """
        >>> Spread(61.2, 3.4, seeds=2, of=3).text(0)
        '61 ± 3 (2 of 3)'
        """
        spread = "" if self.deviation is None else f" ± {self.deviation:,.{digits}f}"
        return f"{self.mean:,.{digits}f}{spread}" + ("" if self.seeds == self.of else f" ({self.seeds} of {self.of})")


def spread(values: Iterable[float | None]) -> Spread | None:
    """None where no seed has the number."""
    given = list(values)
    known = [value for value in given if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return Spread(statistics.fmean(known), deviation, len(known), len(given))


def time_to(marks: Sequence[Mark], bits_per_byte: float, clock: Clock = "seconds") -> float | None:
    """When the curve first is at or under a score; None: never."""
    if marks[0].bits_per_byte <= bits_per_byte:
        return getattr(marks[0], clock)
    for before, after in pairwise(marks):
        if after.bits_per_byte <= bits_per_byte:
            share = (before.bits_per_byte - bits_per_byte) / (before.bits_per_byte - after.bits_per_byte)
            return getattr(before, clock) + share * (getattr(after, clock) - getattr(before, clock))
    return None


def bits_at(marks: Sequence[Mark], seconds: float) -> float:
    """The score at a training time."""
    for before, after in pairwise(marks):
        if before.seconds <= seconds < after.seconds:
            share = (seconds - before.seconds) / (after.seconds - before.seconds)
            return before.bits_per_byte + share * (after.bits_per_byte - before.bits_per_byte)
    return marks[-1].bits_per_byte


@dataclass(frozen=True)
class Measure:
    """A row of the table: what it is called, how it is printed, and what it is for one run beside its reference."""

    name: str
    digits: int
    value: Callable[[Run, Run], float | None]
    per: float = 1.0  # the unit


def measures(equal_s: float, peaks: dict[str, float]) -> list[Measure]:
    """`peaks` are the machine's, in FLOP/s."""

    def sooner(run: Run, to: Run, clock: Clock) -> float | None:
        needed = time_to(run.marks, to.end.bits_per_byte, clock)
        return getattr(to.end, clock) / needed if needed else None

    def share_of(peak: float) -> Callable[[Run, Run], float]:
        return lambda run, to: run.end.tokens * run.flops_per_token / run.end.seconds / peak

    def fewer(run: Run, to: Run) -> float:
        return 1 - bits_at(run.marks, equal_s) / to.end.bits_per_byte

    after = f"after {equal_s / 60:g} min"
    return [
        Measure("to the reference's quality, s", 0, lambda run, to: time_to(run.marks, to.end.bits_per_byte)),
        Measure("the same, CPU-s", 0, lambda run, to: time_to(run.marks, to.end.bits_per_byte, "cpu_seconds")),
        Measure("sooner than the reference's end, times", 1, lambda run, to: sooner(run, to, "seconds")),
        Measure("the same in CPU-s, times", 1, lambda run, to: sooner(run, to, "cpu_seconds")),
        Measure(f"bits/byte {after}", 3, lambda run, to: bits_at(run.marks, equal_s)),
        Measure(f"fewer bits {after} than the reference's end, %", 1, fewer, 0.01),
        Measure("bits/byte when the reference ends", 3, lambda run, to: bits_at(run.marks, to.end.seconds)),
        Measure("bits/byte at its own end", 3, lambda run, to: run.end.bits_per_byte),
        Measure("whole training, s", 0, lambda run, to: run.end.seconds),
        Measure("whole training, CPU-s", 0, lambda run, to: run.end.cpu_seconds),
        Measure("trained tokens", 0, lambda run, to: run.end.tokens),
        Measure("tokens a second", 0, lambda run, to: run.end.tokens / run.end.seconds),
        Measure("peak memory, MB", 0, lambda run, to: run.peak_bytes, 1e6),
        *(Measure(f"share of the {name} peak, %", 0, share_of(peak), 0.01) for name, peak in peaks.items()),
        Measure("predictions that copy a post, %", 0, lambda run, to: run.copied, 0.01),
    ]


def table(runs: Sequence[Run], equal_s: float) -> dict[str, dict[str, tuple[Spread | None, int]]]:
    """For each measure and recipe its spread, and the digits that it is printed with."""
    references = {run.seed: run for run in runs if run.recipe == REFERENCE}
    recipes = list(dict.fromkeys(run.recipe for run in runs))

    def cell(measure: Measure, recipe: str) -> tuple[Spread | None, int]:
        values = [measure.value(run, references[run.seed]) for run in runs if run.recipe == recipe]
        return spread(value if value is None else value / measure.per for value in values), measure.digits

    return {
        measure.name: {recipe: cell(measure, recipe) for recipe in recipes}
        for measure in measures(equal_s, machine_peaks(runs))
    }


def machine_peaks(runs: Iterable[Run]) -> dict[str, float]:
    """The best that any of the runs saw: a neighbour only ever makes it less."""
    peaks: dict[str, float] = {}
    for run in runs:
        for name, flops in run.peak_flops.items():
            peaks[name] = max(flops, peaks.get(name, 0.0))
    return peaks
