"""The curve of a training's loss, as numbers for an SVG.

In: [[step, loss], ...] and the step at which training ends. Out: paths and labelled ticks in the units of the viewBox,
or None where there is nothing to draw yet. The drawing is the template's; so it is there without scripts too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40  # room for the labels


@dataclass(frozen=True)
class Tick:
    at: float  # where along its axis
    label: str


@dataclass(frozen=True)
class Curve:
    line: str  # the d of a path
    area: str
    x: float  # where the line ends
    y: float
    steps: list[Tick]
    losses: list[Tick]
    words: str  # the same for who can't see it

    width, height, left, right, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM


def curve_of(points: Sequence[Sequence[float]], steps: int | None) -> Curve | None:
    """
    >>> curve = curve_of([[0, 4.0], [50, 3.0]], steps=100)
    >>> curve.line, curve.words
    ('M44 49.3 L316 182.7', 'After 50 of 100 steps the loss is 3.00; it began at 4.00.')
    """
    points = [point for point in points if math.isfinite(point[1])]
    if len(points) < 2:
        return None
    (first, begun), (last, loss) = points[0], points[-1]
    low, high = min(y for _, y in points), max(y for _, y in points)
    margin = max(high - low, 0.1) * 0.28
    low, high = max(0.0, low - margin), high + margin
    end = max(steps or 0, last, first + 1)

    def place(step: float, value: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * step / end
        return round(across, 1), round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    spots = [place(step, value) for step, value in points]
    line = "M" + " L".join(f"{x:g} {y:g}" for x, y in spots)
    floor = HEIGHT - BOTTOM
    return Curve(
        line=line,
        area=f"{line} L{spots[-1][0]:g} {floor} L{spots[0][0]:g} {floor} Z",
        x=spots[-1][0],
        y=spots[-1][1],
        steps=[Tick(place(step, high)[0], f"{step:g}") for step in _round_numbers(0, end, 4)],
        losses=[Tick(place(0, value)[1], f"{value:g}") for value in _round_numbers(low, high, 3)],
        words=f"After {last:g} of {end:g} steps the loss is {loss:.2f}; it began at {begun:.2f}.",
    )


def _round_numbers(low: float, high: float, about: int) -> Iterator[float]:
    """
    >>> list(_round_numbers(2.3, 4.1, 3)), list(_round_numbers(0, 300, 4))
    ([2.5, 3.0, 3.5, 4.0], [0, 100, 200, 300])
    """
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    gap = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.8)
    for count in range(math.ceil(low / gap), math.floor(high / gap) + 1):
        value = round(count * gap, 6)
        yield int(value) if gap >= 1 else value
