"""The saved folder in anybody's hands: transformers' own pipeline, and ours, must agree."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, pipeline, set_seed

from conftest import invented_posts
from huggingtweets.bases import load_folder
from huggingtweets.batches import encode, honours_packing, losses_by_post
from huggingtweets.bot import Bot, save_bot
from huggingtweets.config import SamplingSettings, TrainingSettings
from huggingtweets.devices import Device
from huggingtweets.errors import BotError, SettingsError, StageMissing
from huggingtweets.training import train
from huggingtweets.voice import Voice, tidy

CPU = Device("cpu", "float32", 1)


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bot of each family that has learned to write posts, and to end them."""
    bots = {}
    for family in ("gpt2", "llama"):
        model, tokenizer = load_folder(request.getfixturevalue(f"tiny_{family}"))
        posts = encode(invented_posts(150), tokenizer, 128)
        train(model, lambda number, posts=posts: posts, TrainingSettings(epochs=6, learning_rate=5e-3), CPU)  # type: ignore[misc]
        bots[family] = tmp_path_factory.mktemp("bots") / family
        save_bot(model, tokenizer, bots[family] / "model")
    return bots


@pytest.fixture(params=["gpt2", "llama"])
def bot(request: pytest.FixtureRequest, trained: dict[str, Path]) -> Bot:
    return Bot(trained[request.param])


def test_a_pipeline_given_nothing_but_the_folder_samples_as_the_original(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = pipeline("text-generation", model=str(bot.path / "model"))
    seen = {}
    sample = type(generator.model)._sample

    def spy(self, input_ids, *arguments, **options):  # type: ignore[no-untyped-def]
        seen.update(options, input_ids=input_ids)
        return sample(self, input_ids, *arguments, **options)

    monkeypatch.setattr(type(generator.model), "_sample", spy)
    outputs = generator("My dream is", num_return_sequences=5)
    config = seen["generation_config"]
    assert (config.do_sample, config.temperature, config.top_p) == (True, 1.0, 0.95)
    prefix = 1 if "gpt2" in str(bot.path) else 0  # which the pipeline counts on top
    assert (config.min_length, config.max_length) == (10 + prefix, 160 + prefix)
    tokenizer = AutoTokenizer.from_pretrained(bot.path / "model")
    start = tokenizer.convert_ids_to_tokens(seen["input_ids"][0].tolist())
    assert start[0] == ("<|endoftext|>" if "gpt2" in str(bot.path) else "<s>")
    assert start.count(start[0]) == 1
    assert len(outputs) == 5
    assert all(output["generated_text"].startswith("My dream is") for output in outputs)
    assert not any(special in output["generated_text"] for output in outputs for special in ("<|", "<s>", "</s>"))


def test_what_transformers_writes_for_us_agrees_with_the_pipeline(bot: Bot) -> None:
    generator = pipeline("text-generation", model=str(bot.path / "model"))
    set_seed(7)
    theirs = generator("My dream is", num_return_sequences=4)
    ours = dataclasses.replace(bot.voice, fast=None).generate("My dream is", 4, seed=7, threads=1)
    assert ours == ["My dream is" + tidy(output["generated_text"][11:], keep_newlines=False) for output in theirs]


def test_posts_end_before_the_length_limit(bot: Bot) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bot.path / "model")
    lengths = [len(tokenizer(text).input_ids) for text in bot.generate("", 20, seed=0, threads=1)]
    assert sum(length < 140 for length in lengths) >= 15


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_is_a_seed_and_zero_is_one(bot: Bot, seed: int) -> None:
    assert bot.generate("The", 3, seed=seed, threads=1) == bot.generate("The", 3, seed=seed, threads=1)


def test_without_a_seed_texts_differ(bot: Bot) -> None:
    assert bot.generate("", 4, threads=1) != bot.generate("", 4, threads=1)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_as_many_posts_as_asked_for(bot: Bot, n: int) -> None:
    assert len(bot.generate("Our", n, seed=0, threads=1)) == n


@pytest.mark.parametrize(
    "start",
    [
        "",
        "My dream is",
        "日本の宇宙",
        "أحلم بأن",
        "मेरा सपना",
        "👩‍🚀🏳️‍🌈",
        "<|endoftext|>",
        "</s>",
        "tab\there",
        "trailing ",
    ],
)
def test_a_start_in_any_script_is_kept_as_it_is(bot: Bot, start: str) -> None:
    for text in bot.generate(start, 3, seed=0, threads=1):
        assert text.startswith(start)
        rest = text.removeprefix(start)
        assert not any(special in rest for special in ("<|endoftext|>", "<s>", "</s>", "<unk>", "\n"))


def test_a_start_near_the_limit_still_gets_a_post_and_one_past_the_context_is_refused(bot: Bot) -> None:
    long = "mission " * 25
    assert all(text.startswith(long) and len(text) > len(long) for text in bot.generate(long, 2, seed=0, threads=1))
    with pytest.raises(SettingsError, match="reads at most 256"):
        bot.generate("mission " * 300)


def test_settings_are_honoured(bot: Bot) -> None:
    cold = SamplingSettings(temperature=0.01, top_p=0.1)
    assert len(set(bot.generate("The", 5, sampling=cold, threads=1))) == 1
    tokenizer = AutoTokenizer.from_pretrained(bot.path / "model")
    short = bot.generate("The", 5, seed=0, sampling=SamplingSettings(max_length=12), threads=1)
    assert all(len(tokenizer(text).input_ids) <= 44 for text in short)


@pytest.mark.parametrize("n", [0, -1])
def test_no_posts_are_not_a_number_of_posts(bot: Bot, n: int) -> None:
    with pytest.raises(SettingsError, match="-n"):
        bot.generate("", n)


def test_the_folder_holds_what_a_pipeline_reads_and_nothing_else(bot: Bot) -> None:
    names = {file.name for file in (bot.path / "model").iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".py", ".jinja")) for name in names)


def test_the_defaults_stand_where_each_version_of_transformers_looks(bot: Bot) -> None:
    config = json.loads((bot.path / "model" / "config.json").read_text())
    generation = json.loads((bot.path / "model" / "generation_config.json").read_text())
    wanted = {"do_sample": True, "min_length": 10, "max_length": 160, "temperature": 1.0, "top_p": 0.95}
    assert generation.items() >= wanted.items()
    assert config["task_specific_params"]["text-generation"].items() >= wanted.items()
    if "llama" in str(bot.path):
        assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
        assert "prefix" not in config
    else:
        assert config["prefix"] == config["task_specific_params"]["text-generation"]["prefix"] == "<|endoftext|>"


def test_loading_and_saving_again_keeps_the_defaults(bot: Bot, tmp_path: Path) -> None:
    model, tokenizer = load_folder(bot.path / "model")
    save_bot(model, tokenizer, tmp_path / "again")
    for name in ("config.json", "generation_config.json"):
        assert (tmp_path / "again" / name).read_text() == (bot.path / "model" / name).read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" to fly.\nNext", " to fly."), ("\nfirst\nsecond", "first"), (" half \ufffd\ufffd", " half"), ("", "")],
)
def test_a_post_ends_at_the_first_newline_and_at_a_whole_letter(text: str, expected: str) -> None:
    assert tidy(text, keep_newlines=False) == expected


def test_newlines_stay_where_posts_have_them() -> None:
    assert tidy(" one\ntwo ", keep_newlines=True) == " one\ntwo"


def test_a_bot_that_is_not_there_or_not_trained_says_so(tmp_path: Path) -> None:
    with pytest.raises(BotError, match="no bot"):
        Bot(tmp_path / "nobody").generate()
    (tmp_path / "half").mkdir()
    with pytest.raises(StageMissing, match="huggingtweets train half"):
        Bot(tmp_path / "half").generate()


ARCHITECTURES = {
    "opt": {"hidden_size": 32, "ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 128},
    "gpt_neox": {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 128},
    "bloom": {"hidden_size": 32},
    "qwen2": {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 1},
    "mistral": {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 1, "sliding_window": 16},
    "mamba": {"hidden_size": 32, "state_size": 4},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_causal_language_model_becomes_a_bot(architecture: str, tiny_gpt2: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": len(tokenizer), "pad_token_id": 0}
    set_seed(0)
    config = AutoConfig.for_model(architecture, **small, **ARCHITECTURES[architecture], bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")

    model, tokenizer = load_folder(tmp_path / "base")
    posts = encode(invented_posts(20), tokenizer, 128)
    model.eval()
    with torch.no_grad():
        together = losses_by_post(model, posts, packed=honours_packing(model))
        alone = [losses_by_post(model, [post], packed=False)[0] for post in posts]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)

    done = train(model, lambda number: posts, TrainingSettings(epochs=3, learning_rate=5e-3), CPU)
    assert done.losses[-1] < done.losses[0]
    save_bot(model, tokenizer, tmp_path / "bot" / "model")
    generator = pipeline("text-generation", model=str(tmp_path / "bot" / "model"))
    set_seed(3)
    theirs = [output["generated_text"] for output in generator("My dream is", num_return_sequences=2)]
    bot = Bot(tmp_path / "bot")
    ours = dataclasses.replace(bot.voice, fast=None).generate("My dream is", 2, seed=3, threads=1)
    assert ours == ["My dream is" + tidy(text[11:], keep_newlines=False) for text in theirs]
    quick = bot.generate("My dream is", 2, seed=3, threads=1)  # by whichever writer can
    assert all(text.startswith("My dream is") for text in quick)


def test_a_bot_that_names_nobody_never_writes_a_handle(tiny_gpt2: Path) -> None:
    voice = Voice(tiny_gpt2, names_nobody=True)
    (text,) = voice.generate("Thanks @alice and @bob@social.example:", seed=0, threads=1)
    assert text.startswith("Thanks @[name] and @[name]:")
