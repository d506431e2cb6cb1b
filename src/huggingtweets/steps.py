"""One optimizer step: a batch and a learning rate in, the loss out.

- `Step` is what every device does: forward, backward, clipped gradients, AdamW.
- On a GPU such a step is over a thousand small kernels, which take longer to launch one by one than to run. There
  `RecordedStep` records them once, as a CUDA graph, and launches them together (torch's notes on CUDA semantics,
  "Whole-network capture"). A graph reads the same memory every time, so every batch is copied into one place and filled
  up to one length.

Not covered: which batch comes when, and at what rate (`training`, `planning`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from huggingtweets.batches import IGNORED, Batch, filled, token_losses
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import Device

STEPS_BEFORE_RECORDING = 3  # in which libraries choose their kernels, and AdamW makes its moments

Compute = Callable[[], Tensor]


def learning(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """By name, the weights that a training changes: all, or those of an adapter."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def step_of(model: PreTrainedModel, settings: TrainingSettings, device: Device) -> Step:
    """The fastest there is on this device."""
    kind = RecordedStep if device.name == "cuda" else Step
    return kind(model, settings, device)


class Step:
    """Changes `model` in place."""

    def __init__(self, model: PreTrainedModel, settings: TrainingSettings, device: Device) -> None:
        self._model = model
        self._device = device
        self._learning = list(learning(model).values())
        self._max_norm = settings.max_grad_norm
        on_gpu = device.name == "cuda"  # where a graph reads the rate from memory
        rate = settings.learning_rate
        self.optimizer = torch.optim.AdamW(
            self._learning,
            lr=torch.tensor(rate, device=device.name) if on_gpu else rate,
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=device.name != "mps",
            capturable=on_gpu,
        )

    def __call__(self, batch: Batch, learning_rate: float) -> Tensor:
        """The mean loss before the step, nats a token; on a GPU it may still be on its way."""
        self._set_rate(learning_rate)
        return self._compute(batch, batch.tokens)

    def _set_rate(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(learning_rate)
            else:
                group["lr"] = learning_rate

    def _compute(self, batch: Batch, tokens: int | Tensor) -> Tensor:
        with self._device.autocast():
            loss = token_losses(self._model, batch).sum() / tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learning, self._max_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


class RecordedStep(Step):
    """The same, recorded for posts packed into a row of the usual length. What is longer or padded is computed as ever,
    and so is everything of a model that can't be recorded, because it asks the GPU for a number on the way."""

    def __init__(
        self, model: PreTrainedModel, settings: TrainingSettings, device: Device, recorder: Recorder | None = None
    ) -> None:
        super().__init__(model, settings, device)
        self._recorder = recorder or CudaGraphs()
        self._replay: Compute | None = None
        self._computed_first = STEPS_BEFORE_RECORDING
        self._can_record = True
        self._length = settings.tokens_per_step
        self._row = torch.zeros(3, 1, self._length, dtype=torch.long, device=device.name)  # ids, targets, positions

    def __call__(self, batch: Batch, learning_rate: float) -> Tensor:
        fits = batch.positions is not None and batch.ids.shape[1] <= self._length
        if fits and self._computed_first == 0 and self._can_record:
            row = filled(batch, self._length)
            self._row.copy_(torch.stack([row.ids, row.targets, row.positions]))  # type: ignore[list-item]
            self._set_rate(learning_rate)
            if replay := self._recorded():
                return replay()
        self._computed_first = max(0, self._computed_first - 1)
        with self._recorder.aside():
            return super().__call__(batch, learning_rate)

    @property
    def is_recorded(self) -> bool:
        return self._replay is not None

    def _recorded(self) -> Compute | None:
        if self._replay is None:
            try:
                self._replay = self._recorder.record(self._compute_row)
            except RuntimeError:
                self._can_record = False
                self.optimizer.zero_grad()
        return self._replay

    def _compute_row(self) -> Tensor:
        ids, targets, positions = self._row
        return self._compute(Batch(ids, targets, positions, None), (targets != IGNORED).sum())


class Recorder(Protocol):
    """What `RecordedStep` needs of a GPU."""

    def record(self, compute: Compute) -> Compute:
        """The same, for less; raises RuntimeError where that can't be."""

    def aside(self) -> AbstractContextManager[None]:
        """Where to compute without a record, so that no later record waits for it."""


class CudaGraphs:
    """A `Recorder` for NVIDIA's GPUs, and AMD's."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def record(self, compute: Compute) -> Compute:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads do as they please
            loss = compute()

        def replay() -> Tensor:
            graph.replay()
            return loss

        return replay

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        usual = torch.cuda.current_stream()
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            yield
        usual.wait_stream(self._stream)
