"""The yardstick: its arithmetic by hand, and every recipe trained for real on a tiny model."""

from __future__ import annotations

import dataclasses
import doctest
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import GPT2Config, GPT2LMHeadModel

import gpu
import recipes
import tables
import training
import variations
from conftest import invented_posts
from huggingtweets.bases import load_folder
from huggingtweets.batches import encode
from huggingtweets.botdir import read_json
from huggingtweets.config import TrainingSettings
from huggingtweets.corpus import epoch
from huggingtweets.devices import Device
from huggingtweets.training import train
from measuring import Meter, flops_per_token, peak_flops
from recipes import RECIPES
from tables import Mark, Run, Spread, bits_at, spread, table, time_to
from training import Training

CPU = Device("cpu", "float32", 1)
CURVE = [Mark(0, 0, 0, 2.0), Mark(10, 30, 100, 1.6), Mark(20, 50, 200, 1.2), Mark(30, 80, 300, 1.3)]


def run(recipe: str, marks: list[Mark], seed: int = 0) -> Run:
    return Run(recipe, seed, marks, 3_000_000, 1_000, {"float32": 50_000.0}, 0.25)


@pytest.mark.parametrize(
    ("bits", "seconds", "cpu_seconds"), [(1.5, 12.5, 35), (1.2, 20, 50), (1.6, 10, 30), (2.5, 0, 0), (1.1, None, None)]
)
def test_the_time_to_a_score_is_where_a_straight_line_first_meets_it(
    bits: float, seconds: float | None, cpu_seconds: float | None
) -> None:
    assert time_to(CURVE, bits) == pytest.approx(seconds)
    assert time_to(CURVE, bits, "cpu_seconds") == pytest.approx(cpu_seconds)


@pytest.mark.parametrize(("seconds", "bits"), [(0, 2.0), (5, 1.8), (10, 1.6), (25, 1.25), (30, 1.3), (999, 1.3)])
def test_the_score_at_a_time_is_interpolated_and_stays_after_the_end(seconds: float, bits: float) -> None:
    assert bits_at(CURVE, seconds) == pytest.approx(bits)


def test_a_spread_is_mean_and_sample_deviation_of_the_seeds_that_have_the_number() -> None:
    assert spread([1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3, 3)
    assert spread([4.0]) == Spread(4.0, None, 1, 1)
    assert spread([1.0, None, 3.0]) == Spread(2.0, pytest.approx(2**0.5), 2, 3)
    assert spread([None, None]) is None
    assert Spread(1234.5, 0.25, 3, 3).text(1) == "1,234.5 ± 0.2"
    assert Spread(7.0, None, 1, 1).text(0) == "7"


def test_the_table_holds_every_seed_against_its_own_reference() -> None:
    quick = [Mark(0, 0, 0, 2.0), Mark(4, 8, 40, 1.0)]  # as good as 1.3 after 2.8 s, as 1.5 after 2 s
    slow = [Mark(0, 0, 0, 2.0), Mark(40, 80, 400, 1.5)]
    runs = [run("reference", CURVE), run("ours", quick), run("reference", slow, 1), run("ours", quick, 1)]
    rows = table(runs, equal_s=2.0)
    cells = {name: {recipe: found and found.mean for recipe, (found, _) in row.items()} for name, row in rows.items()}
    assert cells["to the reference's quality, s"] == pytest.approx({"reference": (17.5 + 40) / 2, "ours": 2.4})
    sooner = {"reference": (30 / 17.5 + 1) / 2, "ours": (30 / 2.8 + 40 / 2) / 2}
    assert cells["sooner than the reference's end, times"] == pytest.approx(sooner)
    assert cells["the same in CPU-s, times"]["ours"] == pytest.approx((80 / 5.6 + 80 / 4) / 2)
    assert cells["bits/byte after 0.0333333 min"]["ours"] == pytest.approx(1.5)
    fewer = cells["fewer bits after 0.0333333 min than the reference's end, %"]["ours"]
    assert fewer == pytest.approx(100 * (1 - 1.5 / 1.3 + 1 - 1.5 / 1.5) / 2)
    assert cells["bits/byte when the reference ends"]["ours"] == 1.0
    assert cells["tokens a second"]["ours"] == 10
    assert cells["share of the float32 peak, %"]["ours"] == pytest.approx(100 * 10 * 1_000 / 50_000)
    assert cells["peak memory, MB"]["ours"] == 3
    assert cells["predictions that copy a post, %"]["ours"] == 25


def test_a_score_that_is_never_reached_is_a_dash() -> None:
    rows = table([run("reference", CURVE), run("trl", CURVE[:2])], equal_s=60)
    lines = training.markdown(rows).splitlines()
    assert lines[0] == "| | reference | trl |"
    assert lines[2] == "| to the reference's quality, s | 18 | – |"


def test_the_clock_stands_still_while_scoring_and_marks_grow_rarer() -> None:
    clock = [0.0, 0.0]

    def score() -> float:
        clock[0] += 1_000
        clock[1] += 1_000
        return 1.0

    def train() -> None:
        for step in range(1, 201):
            clock[0] += 1
            clock[1] += 2
            meter.step(step * 7)

    meter = Meter(score, first_mark_s=10, clock=lambda: (clock[0], clock[1]))
    meter.run(train)
    seconds = [mark.seconds for mark in meter.marks]
    assert seconds == [0, 10, 20, 30, 40, 50, 60, 70, 81, 94, 109, 126, 145, 167, 193, 200]
    assert [mark.cpu_seconds for mark in meter.marks] == [2 * second for second in seconds]
    assert [mark.tokens for mark in meter.marks] == [7 * second for second in seconds]
    assert meter.memory.peak_bytes > 10_000_000  # torch alone is more


def test_flops_are_six_for_each_weight_in_a_matrix_product() -> None:
    with torch.device("meta"):
        gpt2 = GPT2LMHeadModel(GPT2Config())
    block = 768 * 3 * 768 + 768 * 768 + 2 * 768 * 4 * 768
    assert flops_per_token(gpt2) == 6 * (12 * block + 768 * 50_257)


def test_the_peak_is_measured_for_each_number_type_of_the_hardware() -> None:
    peaks = peak_flops(CPU, (64, 64, 64))
    assert all(flops > 1e6 for flops in peaks.values())
    assert ("bfloat16" in peaks) == any(v for k, v in torch.cpu.get_capabilities().items() if "bf16" in k)


@pytest.fixture
def tiny_training(posts_file: Path, tiny_gpt2: Path) -> Training:
    return Training(str(posts_file), "reference", 0, None, str(tiny_gpt2), posts=40, threads=1)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_recipe_trains_the_tokens_it_says_and_is_scored(tiny_training: Training, recipe: str) -> None:
    minutes = 0.02 if recipe == "ours" else None
    done = training.measure(
        dataclasses.replace(tiny_training, recipe=recipe, minutes=minutes), first_mark_s=0.0, product=(64, 64, 64)
    )
    _, tokenizer = load_folder(Path(tiny_training.base))
    texts, held_out = training.posts_of(tiny_training)
    assert (len(texts), len(held_out)) == (40, 4)
    predicted = sum(len(post) - 1 for post in encode(epoch(texts, 0, 0), tokenizer, 256))  # in one epoch
    expected = {
        "reference": (4 * (predicted + 1)) // 256 * 255,  # blocks of the tiny model's context; the first token is given
        "trl": 3 * predicted,
        "lines": 3 * predicted,
    }
    if recipe in expected:
        assert done.end.tokens == expected[recipe]
    assert done.end.tokens > 0
    assert done.end.bits_per_byte < done.marks[0].bits_per_byte
    assert done.end.seconds > 0
    assert 0 <= done.copied <= 1
    assert Run.from_json(dataclasses.asdict(done)) == done


def test_the_reference_learns_at_the_originals_rate(tiny_training: Training) -> None:
    rates: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *step: object) -> None:
        assert all(group["betas"] == (0.9, 0.999) for group in optimizer.param_groups)
        assert all(group["weight_decay"] == 0 for group in optimizer.param_groups)
        rates.append(optimizer.param_groups[0]["lr"])

    hook = register_optimizer_step_pre_hook(note)
    try:
        training.measure(tiny_training, first_mark_s=1e9, product=(64, 64, 64))
    finally:
        hook.remove()
    cosine = [1.372e-4 * 0.5 * (1 + math.cos(math.pi * step / len(rates))) for step in range(len(rates))]
    assert rates == pytest.approx(cosine)
    assert len(rates) > 10


def test_ours_is_not_charged_for_being_scored(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring_s = 0.0
    monotonic, perf_counter = time.monotonic, time.perf_counter
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + scoring_s)
    monkeypatch.setattr(time, "perf_counter", lambda: perf_counter() + scoring_s)

    def score(step: int, values: Mapping[str, float]) -> None:
        nonlocal scoring_s
        scoring_s += 1_000

    model, tokenizer = load_folder(tiny_gpt2)
    posts = encode(invented_posts(120), tokenizer, 256)
    settings = TrainingSettings(minutes=1, epochs=1)
    done = train(model, lambda number: posts, settings, CPU, on_step=score)
    assert scoring_s > 10_000  # so more steps than those that the plan was made after
    assert done.seconds < 60


def test_scoring_goes_around_what_a_trainer_wrapped_and_puts_it_back(tiny_gpt2: Path) -> None:
    model, tokenizer = load_folder(tiny_gpt2)
    plain = training.bits_per_byte(model, tokenizer, ["The rover landed."], CPU)

    def half_as_exact(*arguments: object, **options: object) -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return type(model).forward(model, *arguments, **options)

    model.forward = half_as_exact
    assert training.bits_per_byte(model, tokenizer, ["The rover landed."], CPU) == plain
    assert model.forward is half_as_exact
    assert model.training


def test_what_was_done_is_not_done_again(tiny_training: Training, tmp_path: Path) -> None:
    wanted = {"a": tiny_training, "b": dataclasses.replace(tiny_training, recipe="trl")}
    ran: list[str] = []

    def interrupted(some: Training) -> Run:
        if some.recipe == "trl" and not ran.count("trl"):
            ran.append("trl")
            raise KeyboardInterrupt
        ran.append(some.recipe)
        return run(some.name, CURVE)

    with pytest.raises(KeyboardInterrupt):
        training.done_or_new(wanted, {}, tmp_path / "training.jsonl", interrupted)
    records = training.done_or_new(wanted, {}, tmp_path / "training.jsonl", interrupted)
    assert ran == ["reference", "trl", "trl"]
    assert [Run.from_json(record["run"]).recipe for record in records] == ["reference", "trl"]
    assert training.done_or_new(wanted, {}, tmp_path / "training.jsonl", interrupted) == records
    assert ran == ["reference", "trl", "trl"]


def test_the_command_prints_a_table_for_each_file_and_writes_the_same_numbers(
    posts_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = posts_file.with_name("lander.txt")
    other.write_text("\n".join(invented_posts(250, seed=1)))
    options = [str(posts_file), str(other), "--seeds", "0", "1", "--minutes", "1", "5", "--recipes", "ours", "lines"]
    training.main([*options, "--results", str(tmp_path)], lambda some: run(some.name, CURVE, some.seed))
    printed = capsys.readouterr().out
    assert "16 trainings, 0 of them done before" in printed
    for file in ("rover.txt", "lander.txt"):
        assert f"\n{file}, 1500 posts, smollm2, untrained 2.000 bits/byte\n" in printed
    assert printed.count("| | reference | ours, 1 min | ours, 5 min | lines |") == 2
    assert printed.count("| tokens a second | 10 ± 0 | 10 ± 0 | 10 ± 0 | 10 ± 0 |") == 2
    assert "no result" not in printed
    written = read_json(tmp_path / "training.json")
    assert list(written["tables"]) == ["rover.txt", "lander.txt"]
    speed = {"mean": 10, "deviation": 0, "seeds": 2, "of": 2}
    assert written["tables"]["rover.txt"]["tokens a second"]["lines"] == speed
    training.main([*options, "--results", str(tmp_path)], lambda some: pytest.fail("done already"))


def test_a_variation_is_held_against_the_recipe_as_it_is(
    posts_file: Path, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--seeds", "0", "1", "--steps", "6", "--posts", "40", "--threads", "1", "--base", str(tiny_gpt2)]
    variations.main([str(posts_file), *small, "--vary", "learning_rate=1e-9", "beta1=0.5,schedule=linear"])
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if "---" not in line]
    head, as_it_is, hardly_learning, same = table
    assert head[-3:] == ["rover, seed 0", "rover, seed 1", "more bits, %"]
    assert as_it_is[0] == "as it is"
    assert as_it_is[-1] == "+0.0"
    assert hardly_learning[0] == "learning_rate 1e-09"
    assert float(hardly_learning[-1]) > 0
    assert same[1:] == as_it_is[1:]


@pytest.mark.parametrize("wrong", ["beta1", "nothing=1", "beta1=0.5,x=2"])
def test_a_variation_of_no_setting_is_said(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        variations.main(["--vary", wrong])
    assert "is no SETTING=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("script", [recipes, tables, variations])
def test_the_examples_in_docstrings_are_true(script: ModuleType) -> None:
    done = doctest.testmod(script)
    assert done.attempted
    assert not done.failed


def changed(some: Training) -> Iterator[Training]:
    yield dataclasses.replace(some, seed=1)
    yield dataclasses.replace(some, posts=41)
    yield dataclasses.replace(some, threads=2)
    yield dataclasses.replace(some, recipe="lines")


def test_a_record_is_only_taken_for_the_same_training_on_the_same_machine(tiny_training: Training) -> None:
    key = tiny_training.key({"cores": 2}, "code")
    assert tiny_training.key({"cores": 2}, "other code") == key  # it is only ours that our code changes
    assert all(other.key({"cores": 2}, "code") != key for other in changed(tiny_training))
    assert tiny_training.key({"cores": 4}, "code") != key
    of_ours = dataclasses.replace(tiny_training, recipe="ours")
    assert of_ours.key({}, "code") != of_ours.key({}, "other code")
    Path(tiny_training.file).write_text("\n".join(invented_posts(250, seed=1)))
    assert tiny_training.key({"cores": 2}, "code") != key


@pytest.mark.parametrize("recipe", list(gpu.RECIPES))
def test_the_gpu_script_trains_each_recipe_on_random_posts(recipe: str) -> None:
    record = gpu.measure(recipe, "cpu", tiny=True)
    posts = gpu.random_posts(40, gpu.TINY["vocab_size"])
    an_epoch = sum(len(post) - 1 for post in posts)
    blocks = (4 * an_epoch + 4) // 64 * 63
    expected = {"the reference's work": 4 * an_epoch, "ours, four epochs": 4 * an_epoch, "ours": an_epoch}
    assert record["tokens"] == expected.get(recipe, blocks)
    assert record["bots an hour"] == pytest.approx(3600 / record["seconds"], rel=0.05)


def test_the_gpu_script_compares_recorded_steps_with_computed_ones() -> None:
    assert gpu.recorded("cpu", tiny=True) == {"steps are recorded": False, "largest difference of a loss": 0.0}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_gpu_script_says_that_there_is_no_gpu() -> None:
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])
