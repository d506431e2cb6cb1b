"""The loop learns, resumes exactly, and keeps to its plan."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import torch

from conftest import full_disk, invented_posts
from huggingtweets.bases import load_folder
from huggingtweets.batches import encode, group
from huggingtweets.config import TrainingSettings
from huggingtweets.corpus import epoch
from huggingtweets.dataset import Text
from huggingtweets.devices import Device
from huggingtweets.errors import BotError, StorageError
from huggingtweets.planning import Progress, advance, expected_seconds, planned, share_of_peak
from huggingtweets.training import train

CPU = Device("cpu", "float32", 1)
TEXTS = [Text("rover", text) for text in invented_posts(60)]
FAST = TrainingSettings(epochs=2, tokens_per_step=200, learning_rate=3e-3, warmup_steps=3, checkpoint_every_s=1e9)


class Interrupted(Exception):
    """Stands for whatever stops a run from outside."""


def run(base: Path, settings: TrainingSettings = FAST, **options):  # type: ignore[no-untyped-def]
    model, tokenizer = load_folder(base)

    def posts_of_epoch(number: int) -> list[list[int]]:
        return encode(epoch(TEXTS, number, settings.seed), tokenizer, 128)

    return model, train(model, posts_of_epoch, settings, CPU, **options)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def test_training_learns_the_voice(tiny_base: Path) -> None:
    _, done = run(tiny_base)
    assert sum(done.losses[-3:]) / 3 < 0.8 * sum(done.losses[:3]) / 3


def test_two_runs_with_one_seed_end_with_the_same_weights_and_another_seed_does_not(tiny_base: Path) -> None:
    first, _ = run(tiny_base)
    second, _ = run(tiny_base)
    other, _ = run(tiny_base, TrainingSettings(**{**FAST.__dict__, "seed": 1}))
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(second).values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(other).values(), strict=True))


@pytest.mark.parametrize("stop_at", [1, 7])
def test_resume_equals_an_uninterrupted_run(tiny_base: Path, tmp_path: Path, stop_at: int) -> None:
    checkpoint = tmp_path / "run.safetensors"
    often = TrainingSettings(**{**FAST.__dict__, "checkpoint_every_s": 0.0})
    steps: list[int] = []

    def stop(step: int, values: Mapping[str, float]) -> None:
        steps.append(step)
        if step == stop_at + 1:
            raise Interrupted

    undisturbed, whole = run(tiny_base)
    with pytest.raises(Interrupted):
        run(tiny_base, often, checkpoint=checkpoint, on_step=stop)
    torch.manual_seed(12345)  # whatever happened in between
    resumed_at: list[int] = []
    resumed, rest = run(tiny_base, often, checkpoint=checkpoint, on_step=lambda step, _: resumed_at.append(step))
    assert resumed_at == list(range(resumed_at[0], whole.step + 1))
    assert 1 < resumed_at[0] <= stop_at + 2  # only the steps since the last checkpoint ran again
    assert rest.losses == whole.losses
    for name, tensor in weights(undisturbed).items():
        assert torch.equal(tensor, weights(resumed)[name]), name


def test_a_finished_run_does_nothing_more(tiny_gpt2: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    first, done = run(tiny_gpt2, checkpoint=checkpoint)
    ran: list[int] = []
    again, same = run(tiny_gpt2, checkpoint=checkpoint, on_step=lambda step, _: ran.append(step))
    assert ran == []
    assert same.step == done.step
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(again).values(), strict=True))


def test_every_post_is_trained_once_an_epoch(tiny_gpt2: Path) -> None:
    _, tokenizer = load_folder(tiny_gpt2)
    posts = encode([text.text for text in TEXTS], tokenizer, 128)
    _, done = run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "epochs": 1}))
    assert done.tokens == sum(len(post) - 1 for post in posts)
    assert done.step == len(list(group(encode(epoch(TEXTS, 0, 0), tokenizer, 128), FAST.tokens_per_step)))


def rates_of(
    settings: TrainingSettings, total_steps: int, plans: Mapping[int, int] = MappingProxyType({})
) -> list[float]:
    """The share of the peak at every step, where `plans` says at which step the total changes to what."""
    progress, rates = Progress(total_steps=total_steps), []
    while progress.step < (progress.total_steps or 0):
        rates.append(share_of_peak(progress, settings))
        advance(progress, settings)
        progress.total_steps = plans.get(progress.step, progress.total_steps)
    return rates


def test_the_schedule_warms_up_and_falls_to_zero() -> None:
    rates = rates_of(TrainingSettings(warmup_steps=10), 100)
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:] == pytest.approx([1 - step / 90 for step in range(90)])


def test_the_originals_schedule_is_a_plain_cosine() -> None:
    rates = rates_of(TrainingSettings.original(), 50)
    assert rates == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 50)) for step in range(50)])


def test_a_short_run_still_spends_most_steps_after_the_warmup() -> None:
    assert rates_of(TrainingSettings(warmup_steps=100), 10)[3] < 1.0
    assert rates_of(TrainingSettings(), 1) == [1.0]


@pytest.mark.parametrize("total", [60, 200])  # the machine became slower, or faster
def test_a_new_plan_takes_the_rate_on_to_zero_without_a_jump(total: int) -> None:
    rates = rates_of(TrainingSettings(warmup_steps=10), 100, {40: total})
    assert len(rates) == total
    assert all(0 <= earlier - later < 0.09 for earlier, later in itertools.pairwise(rates[9:]))
    left = 1 - 30 / 90  # of the way down, when the plan changes
    assert rates[40:] == pytest.approx([left * (1 - step / (total - 40)) for step in range(total - 40)])


@pytest.mark.parametrize(
    ("minutes", "seconds_per_step", "steps"),
    [(1, 1.0, 60), (1, 0.01, 200), (0.01, 10.0, 6)],  # what the time allows; all of 2 epochs; what is done already
)
def test_minutes_become_steps(minutes: float, seconds_per_step: float, steps: int) -> None:
    progress = Progress(step=6, seconds=6 * seconds_per_step)
    assert planned(progress, TrainingSettings(minutes=minutes, epochs=2), 200, seconds_per_step) == steps


@pytest.mark.parametrize("seconds_per_step", [0.3, 1.0, 2.5])  # from the middle of the run on; one before
def test_the_time_limit_is_kept_when_the_machine_changes_its_speed(seconds_per_step: float) -> None:
    settings = TrainingSettings(minutes=5, epochs=1_000)
    progress = Progress()
    while progress.total_steps is None or progress.step < progress.total_steps:
        advance(progress, settings)
        now = 1.0 if progress.seconds < 150 else seconds_per_step
        progress.seconds += now
        if total := planned(progress, settings, 100_000, now):
            progress.total_steps = total
            progress.plans.append([progress.step, total])
    assert progress.seconds == pytest.approx(300, rel=0.05)
    assert len(progress.plans) <= 3


@pytest.mark.parametrize(
    ("slow_from", "slow_until", "by"), [(0, 0, 1.0), (150, 300, 1.8), (0, 100, 1.8), (100, 130, 3.0), (270, 300, 1.8)]
)
def test_the_time_limit_is_kept_on_a_restless_machine_and_seldom_planned_anew(
    slow_from: float, slow_until: float, by: float
) -> None:
    settings = TrainingSettings(minutes=5, epochs=1_000)
    plans = 0
    for seed in range(20):
        chance, load = random.Random(seed), 0.0
        progress, ends = Progress(), [0.0]
        while progress.total_steps is None or progress.step < progress.total_steps:
            load = 0.97 * load + chance.gauss(0, 0.06)  # what neighbours do lasts for some thirty steps
            took_s = 1.3 * math.exp(load + chance.gauss(0, 0.12))
            ends.append(ends[-1] + took_s * (by if slow_from <= ends[-1] < slow_until else 1))
            advance(progress, settings)
            progress.seconds = ends[-1]
            to_come = (progress.total_steps or 0) - progress.step
            if total := planned(progress, settings, 100_000, expected_seconds(ends, to_come)):
                progress.total_steps = total
                plans += 1
        assert progress.seconds == pytest.approx(300, rel=0.07)
    assert plans / 20 < 20  # of some two hundred steps


def test_a_machine_that_keeps_its_speed_keeps_its_plan() -> None:
    settings = TrainingSettings(minutes=5, epochs=1_000)
    progress = Progress(step=50, seconds=50.0, total_steps=300)
    assert planned(progress, settings, 100_000, 1.03) is None
    assert planned(progress, settings, 100_000, 1.2) == 258


def test_recorded_plans_are_followed_to_the_step(tiny_gpt2: Path) -> None:
    recorded = ((6, 30), (11, 14))
    settings = {**FAST.__dict__, "minutes": 0.001, "steps": 14, "plans": recorded}
    first, done = run(tiny_gpt2, TrainingSettings(**settings))
    assert done.step == 14
    assert done.plans == [list(plan) for plan in recorded]
    again, _ = run(tiny_gpt2, TrainingSettings(**{**settings, "minutes": 9.0}))
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(again).values(), strict=True))
    other, _ = run(tiny_gpt2, TrainingSettings(**{**settings, "plans": ()}))
    assert not all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(other).values(), strict=True))


def test_a_time_limit_is_planned_after_the_first_steps_and_said(tiny_gpt2: Path) -> None:
    plans: list[str] = []
    _, done = run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "minutes": 0.001}), on_plan=plans.append)
    assert done.step == done.total_steps
    assert plans == [done.plan]
    assert "0.001 minutes allow" in done.plan


def test_more_time_than_the_recipe_needs_trains_the_whole_recipe(tiny_gpt2: Path) -> None:
    _, done = run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "minutes": 9.0, "epochs": None}))
    assert done.plan.endswith(f"all of {FAST.recipe_epochs:g} epochs, {FAST.recipe_epochs:g} epochs")


def test_a_time_limit_never_trains_more_than_the_epochs_asked_for(tiny_gpt2: Path) -> None:
    _, done = run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "minutes": 9.0, "epochs": 0.1}))
    assert done.step == done.total_steps == 1
    assert "all of 0.1 epochs" in done.plan


def test_a_full_disk_is_said_and_the_older_checkpoint_stands(tiny_gpt2: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "epochs": 0.1}), checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    with full_disk(after_bytes=50_000), pytest.raises(StorageError, match="disk is full"):
        run(tiny_gpt2, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_said_with_the_way_out(tiny_gpt2: Path, tmp_path: Path, damage: bytes | None) -> None:
    checkpoint = tmp_path / "run.safetensors"
    run(tiny_gpt2, TrainingSettings(**{**FAST.__dict__, "epochs": 0.1}), checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000] if damage is None else damage)
    with pytest.raises(BotError, match="train from the start"):
        run(tiny_gpt2, checkpoint=checkpoint)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu_learns_too(tiny_gpt2: Path) -> None:
    model, tokenizer = load_folder(tiny_gpt2)
    posts = encode([text.text for text in TEXTS], tokenizer, 128)
    done = train(model, lambda number: posts, FAST, Device("cuda", "bfloat16", 1))
    assert done.losses[-1] < done.losses[0]
