"""Fine-tuning: token ids in, a trained model out. A plain PyTorch loop that reads from top to bottom.

- One step is a handful of whole posts, packed; the loss is the mean over their tokens, so padding can't blur it.
- Everything that decides the next step is in the checkpoint, so a run that was killed and continued ends with the
  same weights, bit for bit on a CPU, as one that was left alone.
- A time limit becomes a number of steps once the first steps have been timed, and another one whenever the machine
  has become faster or slower since. The learning rate falls on from where it is, and every such plan is recorded, so
  that the run can be repeated step for step.

The loop knows no tracker and no disk layout: `on_step` hears what happened, `checkpoint` is a path.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel

from huggingtweets.batches import group, honours_packing, pack, pad, token_losses
from huggingtweets.botdir import make_folder, put_in_place, storage_errors
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import Device
from huggingtweets.errors import BotError

TIMED_STEPS = 6  # the first of them are slow: memory is allocated, kernels are chosen
UNTIMED_STEPS = 2
RECENT_STEPS = 10  # whose time is expected of those to come
REPLAN_SHARE = 0.04  # of the time limit: how far a plan may be off before it is made anew
CHECKPOINT_SHARE = 0.02  # of the time at most goes into writing checkpoints

Posts = list[list[int]]  # each `[start] tokens [end]`, see `batches`
OnStep = Callable[[int, Mapping[str, float]], None]


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


def train(
    model: PreTrainedModel,
    posts_of_epoch: Callable[[int], Iterable[list[int]]],
    settings: TrainingSettings,
    device: Device,
    *,
    checkpoint: Path | None = None,
    on_step: OnStep = lambda step, values: None,
    on_plan: Callable[[str], None] = lambda plan: None,
) -> Progress:
    """Trains `model` in place; continues from `checkpoint` when that file exists.

    `on_step(step, values)` is called after every step with loss (nats per token), learning_rate, tokens, seconds and,
    once known, total_steps; `on_plan` hears in one sentence how many steps and why, but not of later plans. Raises
    StorageError when the checkpoint can't be written; the older one then still stands.
    """
    model.to(device.name).train()  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=device.name != "mps",
    )
    torch.manual_seed(settings.seed)  # dropout
    progress = Progress()
    if checkpoint is not None and checkpoint.exists():
        progress = load_checkpoint(checkpoint, model, optimizer)
    steps_per_epoch = len(list(group(posts_of_epoch(0), settings.tokens_per_step)))
    most_steps = max(1, math.ceil(settings.most_epochs * steps_per_epoch))
    if progress.total_steps is None and settings.minutes is None:
        progress.total_steps = settings.steps or most_steps
        epochs = settings.most_epochs if settings.steps is None else settings.steps / steps_per_epoch
        progress.plan = f"{progress.total_steps} steps: {epochs:.3g} epochs of {steps_per_epoch}"
    if progress.plan:
        on_plan(progress.plan)

    layout = pack if honours_packing(model) else pad
    clock = _Clock(progress.seconds)
    saver = _Saver(checkpoint, settings.checkpoint_every_s)
    for posts in itertools.islice(_steps(posts_of_epoch, settings.tokens_per_step), progress.step, None):
        if progress.total_steps is not None and progress.step >= progress.total_steps:
            break
        learning_rate = settings.learning_rate * share_of_peak(progress, settings)
        for parameters in optimizer.param_groups:
            parameters["lr"] = learning_rate

        batch = layout(posts)
        with device.autocast():
            loss = token_losses(model, batch).sum() / batch.tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()

        advance(progress, settings)
        progress.tokens += batch.tokens
        progress.losses.append(loss.item())
        progress.seconds = clock.tick()
        if settings.minutes is not None and (total := planned(progress, settings, most_steps, clock.seconds_per_step)):
            progress.total_steps = total
            progress.plans.append([progress.step, total])
            if not progress.plan:
                progress.plan = _plan_in_words(total, settings, steps_per_epoch, most_steps, clock.seconds_per_step)
                on_plan(progress.plan)
        on_step(progress.step, _values(progress, learning_rate))
        if saver.is_due():
            saver.save(model, optimizer, progress)
        clock.skip()  # neither listening nor saving is training
    if saver.path is not None and progress.step > saver.last_step:
        saver.save(model, optimizer, progress)
    return progress


def _steps(posts_of_epoch: Callable[[int], Iterable[list[int]]], tokens_per_step: int) -> Iterator[Posts]:
    """The posts of every step, epoch after epoch without end; a step never spans two epochs."""
    for number in itertools.count():
        yield from group(posts_of_epoch(number), tokens_per_step)


def share_of_peak(progress: Progress, settings: TrainingSettings) -> float:
    """Share of the peak learning rate for the next step: linear warm-up, then a cosine to 0.

    While the first steps are still being timed the end is unknown, and the peak is used after the warm-up.

    >>> progress, rates = Progress(total_steps=10), []
    >>> while progress.step < 10:
    ...     rates.append(round(share_of_peak(progress, TrainingSettings(warmup_steps=2)), 2))
    ...     advance(progress, TrainingSettings(warmup_steps=2))
    >>> rates
    [0.5, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04]
    """
    warmup = _warmup(progress, settings)
    if progress.step < warmup:
        return (progress.step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * progress.decayed))


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


def _plan_in_words(
    total_steps: int, settings: TrainingSettings, steps_per_epoch: int, most_steps: int, seconds_per_step: float | None
) -> str:
    whole = f"all of {settings.most_epochs:g} epochs"
    reason = whole if total_steps == most_steps else f"what {settings.minutes:g} minutes allow"
    reason = reason if settings.steps is None else "as many as the first time"
    each = "" if seconds_per_step is None else f" of {seconds_per_step:.2g} s"
    return f"{total_steps} steps{each}: {reason}, {total_steps / steps_per_epoch:.2g} epochs"


def _values(progress: Progress, learning_rate: float) -> dict[str, float]:
    values = {
        "loss": progress.losses[-1],
        "learning_rate": learning_rate,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
    }
    if progress.total_steps is not None:
        values["total_steps"] = progress.total_steps
    return values


class _Clock:
    """Training time over all resumed runs, without the time that checkpoints take."""

    def __init__(self, before: float) -> None:
        self._total = before
        self._mark = time.monotonic()
        self._steps = 0
        self._timed: deque[float] = deque(maxlen=RECENT_STEPS)

    def tick(self) -> float:
        now = time.monotonic()
        self._steps += 1
        if self._steps > UNTIMED_STEPS:
            self._timed.append(now - self._mark)
        self._total += now - self._mark
        self._mark = now
        return self._total

    def skip(self) -> None:
        self._mark = time.monotonic()

    @property
    def seconds_per_step(self) -> float | None:
        """Of the last ones; None before any has been timed."""
        return max(sum(self._timed) / len(self._timed), 1e-6) if self._timed else None


class _Saver:
    """Writes the checkpoint often enough to lose little, and seldom enough to cost little."""

    def __init__(self, path: Path | None, every_s: float) -> None:
        self.path = path
        self.last_step = -1
        self._every_s = every_s
        self._last = time.monotonic()
        self._cost_s = 0.0

    def is_due(self) -> bool:
        wait_s = max(self._every_s, self._cost_s / CHECKPOINT_SHARE)
        return self.path is not None and time.monotonic() - self._last >= wait_s

    def save(self, model: PreTrainedModel, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        assert self.path is not None
        start = time.monotonic()
        save_checkpoint(self.path, model, optimizer, progress)
        self._last = time.monotonic()
        self._cost_s = self._last - start
        self.last_step = progress.step


def save_checkpoint(path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """One safetensors file: weights, moments, random state, and `Progress` as its metadata. No pickle."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in model.named_parameters()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in moments.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if model.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        try:
            contiguous = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
            save_file(contiguous, temporary, {"progress": json.dumps(progress.__dict__)})
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Puts the model, the optimizer and the random state back where they were.

    Raises BotError when the file is damaged or of another model.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        _restore(tensors, model, optimizer)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BotError(
            f"The checkpoint {path} can't be continued from: {error}.",
            why="It was damaged after it was written, or is of another model.",
            next=f"delete {path.parent}, then run the same command again to train from the start",
        ) from error
    return progress


def _restore(tensors: dict[str, torch.Tensor], model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, moment = name.split(".")
            state.setdefault(int(number), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random.cpu"])
    if model.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"])
