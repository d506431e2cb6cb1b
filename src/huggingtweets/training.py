"""Fine-tuning: token ids in, a trained model out. A plain PyTorch loop that reads from top to bottom.

- One step is a handful of whole posts, packed; the loss is the mean over their tokens, so padding can't blur it.
- Everything that decides the next step is in the checkpoint, so a run that was killed and continued ends with the
  same weights, bit for bit on a CPU, as one that was left alone.
- How many steps there will be, and how fast each learns, is `planning`'s.

The loop knows no tracker and no disk layout: `on_step` hears what happened, `checkpoint` is a path.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel

from huggingtweets.batches import group, honours_packing, pack, pad
from huggingtweets.botdir import make_folder, put_in_place, storage_errors
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import Device, reused_memory
from huggingtweets.errors import BotError
from huggingtweets.planning import Progress, advance, expected_seconds, plan_in_words, planned, share_of_peak
from huggingtweets.steps import learning, step_of

UNTIMED_STEPS = 2  # the first ones are slow: memory is allocated, kernels are chosen
CHECKPOINT_SHARE = 0.02  # of the time at most goes into writing checkpoints

Posts = list[list[int]]  # each `[start] tokens [end]`, see `batches`
OnStep = Callable[[int, Mapping[str, float]], None]


@reused_memory()
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
    step = step_of(model, settings, device)
    torch.manual_seed(settings.seed)  # dropout
    progress = Progress()
    if checkpoint is not None and checkpoint.exists():
        progress = load_checkpoint(checkpoint, model, step.optimizer)
    steps_per_epoch = sum(1 for _ in group(posts_of_epoch(0), settings.tokens_per_step))
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
        batch = layout(posts)
        learning_rate = settings.learning_rate * share_of_peak(progress, settings)
        loss = step(batch, learning_rate)

        advance(progress, settings)
        progress.tokens += batch.tokens
        progress.losses.append(loss.item())
        progress.seconds = clock.tick()
        each_s = expected_seconds(clock.ends, (progress.total_steps or 0) - progress.step)
        if settings.minutes is not None and (total := planned(progress, settings, most_steps, each_s)):
            progress.total_steps = total
            progress.plans.append([progress.step, total])
            if not progress.plan:
                progress.plan = plan_in_words(total, settings, steps_per_epoch, most_steps, each_s)
                on_plan(progress.plan)
        on_step(progress.step, _values(progress, learning_rate))
        if saver.is_due():
            saver.save(model, step.optimizer, progress)
        clock.skip()  # neither listening nor saving is training
    if saver.path is not None and progress.step > saver.last_step:
        saver.save(model, step.optimizer, progress)
    return progress


def _steps(posts_of_epoch: Callable[[int], Iterable[list[int]]], tokens_per_step: int) -> Iterator[Posts]:
    """The posts of every step, epoch after epoch without end; a step never spans two epochs."""
    for number in itertools.count():
        yield from group(posts_of_epoch(number), tokens_per_step)


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
        self.ends = [0.0]  # timed seconds after every step since, but the first ones

    def tick(self) -> float:
        now = time.monotonic()
        self._steps += 1
        if self._steps > UNTIMED_STEPS:
            self.ends.append(self.ends[-1] + now - self._mark)
        self._total += now - self._mark
        self._mark = now
        return self._total

    def skip(self) -> None:
        self._mark = time.monotonic()


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
    """One safetensors file: weights that learn, moments, random state, and `Progress` as its metadata. No pickle."""
    tensors = {f"model.{name}": parameter.detach() for name, parameter in learning(model).items()}
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
        for name, parameter in learning(model).items():
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
