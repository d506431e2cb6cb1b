"""A step does the same however it is computed, and a GPU is asked nothing on the way."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from transformers import PreTrainedModel

from huggingtweets.bases import load_folder
from huggingtweets.batches import pack, pad
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import Device, choose_device
from huggingtweets.steps import STEPS_BEFORE_RECORDING, Compute, RecordedStep, Step, step_of

CPU = Device("cpu", "float32", 1)
SETTINGS = TrainingSettings(tokens_per_step=24, learning_rate=1e-2)
POSTS = [[0, *range(first, first + length), 0] for first, length in ((3, 4), (20, 7), (40, 2), (9, 12), (60, 9))]
BATCHES = [
    *(pack([POSTS[number % 5], POSTS[(number + 2) % 5]]) for number in range(STEPS_BEFORE_RECORDING + 6)),
    pack(POSTS),  # longer than the row
    pack(POSTS[:1]),
    pad(POSTS[:2]),
    pack(POSTS[3:4]),
]


class Computed:
    """Computes where a GPU would play back what it recorded: from the same memory, into the same memory."""

    def __init__(self) -> None:
        self.recorded = self.played = self.computed_aside = 0

    def record(self, compute: Compute) -> Compute:
        self.recorded += 1

        def replay() -> torch.Tensor:
            self.played += 1
            return compute()

        return replay

    @contextlib.contextmanager
    def aside(self):  # type: ignore[no-untyped-def]
        self.computed_aside += 1
        yield


class Unable(Computed):
    def record(self, compute: Compute) -> Compute:
        self.recorded += 1
        raise RuntimeError("operation not permitted when stream is capturing")


def models(base: Path) -> tuple[PreTrainedModel, PreTrainedModel]:
    model, _ = load_folder(base)
    model.eval()  # without dropout, which draws another number for every position there is
    return model, copy.deepcopy(model)


def trained(step: Step) -> list[float]:
    """At a rate that falls, so that a step at the rate of the one before would be noticed."""
    return [step(batch, 1e-2 / (1 + number)).item() for number, batch in enumerate(BATCHES)]


def test_a_recorded_step_teaches_what_a_computed_one_does(tiny_base: Path) -> None:
    plain, other = models(tiny_base)
    recorder = Computed()
    losses = trained(Step(plain, SETTINGS, CPU))
    assert trained(RecordedStep(other, SETTINGS, CPU, recorder)) == pytest.approx(losses, rel=1e-4)
    for expected, found in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-4)
    assert (recorder.recorded, recorder.played, recorder.computed_aside) == (1, 8, STEPS_BEFORE_RECORDING + 2)


def test_a_model_that_cannot_be_recorded_is_trained_all_the_same(tiny_base: Path) -> None:
    plain, other = models(tiny_base)
    recorder = Unable()
    assert trained(RecordedStep(other, SETTINGS, CPU, recorder)) == trained(Step(plain, SETTINGS, CPU))
    assert all(map(torch.equal, plain.parameters(), other.parameters()))
    assert recorder.recorded == 1


def test_nothing_in_a_step_asks_the_device_for_a_number(tiny_base: Path) -> None:
    """Which would end the recording. Fake tensors have no numbers to give."""
    model, _ = load_folder(tiny_base)
    model.train()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for module in model.modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(mode.from_tensor(parameter.detach()))
            for name, buffer in list(module._buffers.items()):
                if buffer is not None:
                    module._buffers[name] = mode.from_tensor(buffer)
        model.tie_weights()
        step = RecordedStep(model, SETTINGS, CPU, Computed())
        assert step._compute_row().shape == ()
        with pytest.raises(DataDependentOutputException):  # so it would be noticed
            step._compute_row().item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_plays_back_what_it_would_compute(tiny_base: Path) -> None:
    device = choose_device("cuda")
    plain, other = (model.to("cuda") for model in models(tiny_base))
    recorded = step_of(other, SETTINGS, device)
    losses = trained(Step(plain, SETTINGS, device))
    assert trained(recorded) == pytest.approx(losses, rel=2e-2)
    assert isinstance(recorded, RecordedStep)
    assert recorded.is_recorded
