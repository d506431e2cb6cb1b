"""How many steps a run takes and how fast each learns: settings and timings in, totals and shares of the peak rate out.

- A time limit becomes a number of steps once the first steps have been timed, and another one whenever the machine has
  become faster or slower since. The learning rate falls on from where it is.
- Every plan is recorded, so that a run made by the clock can be repeated step for step without one.

Not covered: whose clock it is (see `training`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from huggingtweets.config import TrainingSettings

TIMED_STEPS = 6  # before the first plan
FEWEST_TIMES = 10  # of steps, by which those to come are judged
REPLAN_SHARE = 0.04  # of the time limit: how far a plan may be off before it is made anew


@dataclass
class Progress:
    """Where a run is. With the weights, the optimizer's moments and the random state, this is the whole checkpoint."""

    step: int = 0  # optimizer steps done
    tokens: int = 0  # trained tokens
    seconds: float = 0.0  # of training, over all resumed runs
    total_steps: int | None = None  # None until a time limit has been turned into steps
    plans: list[list[int]] = field(default_factory=list)  # [step, total_steps] of every plan that the clock made
    plan: str = ""  # the first one, in a sentence
    decayed: float = 0.0  # how far the learning rate is on its way down, 0 to 1
    losses: list[float] = field(default_factory=list)  # mean nats per token of every step


def share_of_peak(progress: Progress, settings: TrainingSettings) -> float:
    """Share of the peak learning rate for the next step: linear warm-up, then down to 0 by the schedule.

    While the first steps are still being timed the end is unknown, and the peak is used after the warm-up.

    >>> progress, rates = Progress(total_steps=10), []
    >>> while progress.step < 10:
    ...     rates.append(round(share_of_peak(progress, TrainingSettings(warmup_steps=2)), 2))
    ...     advance(progress, TrainingSettings(warmup_steps=2))
    >>> rates
    [0.5, 1.0, 1.0, 0.88, 0.75, 0.62, 0.5, 0.38, 0.25, 0.12]
    """
    warmup = _warmup(progress, settings)
    if progress.step < warmup:
        return (progress.step + 1) / warmup
    return 1 - progress.decayed if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress.decayed))


def advance(progress: Progress, settings: TrainingSettings) -> None:
    """One step done; each step after the warm-up takes an equal part of the way down that is left."""
    if progress.total_steps is not None and progress.step >= _warmup(progress, settings):
        progress.decayed += (1 - progress.decayed) / (progress.total_steps - progress.step)
    progress.step += 1


def _warmup(progress: Progress, settings: TrainingSettings) -> int:
    return (
        settings.warmup_steps if progress.total_steps is None else min(settings.warmup_steps, progress.total_steps // 5)
    )


def planned(
    progress: Progress, settings: TrainingSettings, most_steps: int, seconds_per_step: float | None
) -> int | None:
    """A new total of steps where one is due: the first plan, or the present one is off; never less than are done.

    `seconds_per_step` is None while nothing has been timed. A run that is repeated follows its recorded plans instead.
    """
    assert settings.minutes is not None
    if settings.steps is not None:
        recorded = settings.plans or ((min(TIMED_STEPS, settings.steps), settings.steps),)
        return dict(recorded).get(progress.step)
    if progress.total_steps is None and progress.step >= most_steps:
        return most_steps
    if seconds_per_step is None or (progress.total_steps is None and progress.step < TIMED_STEPS):
        return None
    limit_s = settings.minutes * 60
    affordable = progress.step + int((limit_s - progress.seconds) / seconds_per_step)
    wanted = max(progress.step, min(most_steps, affordable))
    is_off = progress.total_steps is None or (
        abs(wanted - progress.total_steps) * seconds_per_step > REPLAN_SHARE * limit_s
    )
    return wanted if is_off else None


def expected_seconds(ends: Sequence[float], to_come: int) -> float | None:
    """Of each of so many steps to come: the mean of as many before them; None before any has been timed.

    `ends` is the time at the begin of the first timed step and at the end of every one. Far from the end a busy moment
    of the machine decides little; near it, what the machine does now is all.

    >>> ends = [*range(31), *range(32, 51, 2)]  # thirty steps of a second, ten of two
    >>> expected_seconds(ends, to_come=40), expected_seconds(ends, to_come=3), expected_seconds(ends[:1], to_come=3)
    (1.25, 2.0, None)
    """
    latest = min(len(ends) - 1, max(FEWEST_TIMES, to_come))
    return max((ends[-1] - ends[-1 - latest]) / latest, 1e-6) if latest else None


def plan_in_words(
    total_steps: int, settings: TrainingSettings, steps_per_epoch: int, most_steps: int, seconds_per_step: float | None
) -> str:
    """The first plan, in one sentence."""
    whole = f"all of {settings.most_epochs:g} epochs"
    reason = whole if total_steps == most_steps else f"what {settings.minutes:g} minutes allow"
    reason = reason if settings.steps is None else "as many as the first time"
    each = "" if seconds_per_step is None else f" of {seconds_per_step:.2g} s"
    return f"{total_steps} steps{each}: {reason}, {total_steps / steps_per_epoch:.2g} epochs"
