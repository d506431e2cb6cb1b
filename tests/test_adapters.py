"""Low-rank bots: trained, saved for anybody's transformers, gone on from, and writing side by side in one batch."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    pipeline,
)
from typer.testing import CliRunner

import huggingtweets as ht
from conftest import invented_posts
from huggingtweets import adapters, upkeep
from huggingtweets.bases import load_folder
from huggingtweets.bot import Bot
from huggingtweets.botdir import read_json, write_json
from huggingtweets.cli import app
from huggingtweets.config import BotSettings, SamplingSettings, TrainingSettings
from huggingtweets.errors import BotError, PublishError, SettingsError
from huggingtweets.publishing import publish
from huggingtweets.reports import Advanced, Event
from huggingtweets.templates.space import voice as space_voice
from huggingtweets.voice import voice_in
from huggingtweets.web.settings import WebSettings
from huggingtweets.writers import mixed
from huggingtweets.writers.base import Order
from huggingtweets.writers.lowrank import Adapted, read_adapter
from huggingtweets.writers.mixed import MixedWriter, Row, choose, mixed_writer
from huggingtweets.writers.plain import PlainWriter
from test_web_api import serving

LOUD = 30  # a random base finds all tokens alike, and a few steps change little; these adapters have opinions
POSTS = invented_posts(220, seed=3)


def learning(**more: Any) -> TrainingSettings:
    return TrainingSettings.adapter(epochs=1, tokens_per_step=400, warmup_steps=2, threads=1, device="cpu", **more)


def write(file: Path, posts: list[str]) -> Path:
    file.write_text("".join(f"{post}\n" for post in posts), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def finished(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    settings = BotSettings(base=str(tiny_gpt2), training=learning())
    return ht.create(write(folder / "rover.txt", POSTS[:180]), bots_dir=folder / "bots", settings=settings).path


@pytest.fixture
def bot(finished: Path, tmp_path: Path) -> Bot:
    return Bot(shutil.copytree(finished, tmp_path / "bots" / "rover"))


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def choir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three adapters over one base, of different ranks and opinions."""
    base: Path = request.getfixturevalue(f"tiny_{request.param}")
    from huggingtweets.bases import find_base
    from huggingtweets.bot import save_bot

    folder = tmp_path_factory.mktemp("choir")
    for number, rank in enumerate((4, 8, 8)):
        model, tokenizer = load_folder(base)
        adapters.add_adapter(model, rank, seed=number)
        torch.manual_seed(number)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data = torch.randn_like(parameter) / LOUD**0.5
        save_bot(model, tokenizer, folder / str(number), base=find_base(str(base)))
    return [folder / str(number) for number in range(3)]


def writer_of(folder: Path) -> MixedWriter:
    found = mixed_writer(folder, "", None)
    assert found is not None
    return found


def greedy(writer: MixedWriter | PlainWriter, prompt: str, n: int = 1) -> Order:
    sampling = SamplingSettings(min_length=2, max_length=40, temperature=1e-5)
    return Order([writer.start, *writer.encode(prompt)], n, sampling, seed=0, threads=1)


def rows_of(drawn: list[tuple[int, int]], n: int) -> list[list[int]]:
    return [[token for row, token in drawn if row == number] for number in range(n)]


# --- training and saving -------------------------------------------------------------------------------------------


def test_a_bot_is_a_small_folder_over_a_base_that_stays_as_it_is(bot: Bot, tiny_gpt2: Path) -> None:
    files = {file.name for file in bot.dir.model.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "generation_config.json", "tokenizer.json"} <= files
    assert "config.json" not in files
    assert not bot.dir.fast.exists()
    base, _ = load_folder(tiny_gpt2)
    mine, _ = load_folder(bot.dir.model)
    changed = {name for name, weights in mine.state_dict().items() if not torch.equal(weights, base.state_dict()[name])}
    assert changed  # it learned something,
    assert all("attn" in name or "mlp" in name for name in changed)  # in its matrices only
    training, scores = bot.training, bot.scores
    assert training is not None
    assert training.adapter_parameters is not None
    assert training.adapter_parameters < training.parameters
    assert training.final_loss < training.first_loss
    assert scores is not None
    assert (scores.gain or 0) > 0


def test_the_same_settings_make_the_same_bytes_even_after_an_interruption(
    bot: Bot, tiny_gpt2: Path, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def stop(event: Event) -> None:
        if isinstance(event, Advanced) and event.stage == "train" and event.done >= 4:
            raise Killed

    settings = BotSettings(base=str(tiny_gpt2), training=learning(checkpoint_every_s=0))
    file = write(tmp_path / "rover.txt", POSTS[:180])
    with pytest.raises(Killed):
        ht.create(file, bots_dir=tmp_path / "again", settings=settings, listen=stop, through="train")
    (checkpoint,) = (tmp_path / "again" / "rover" / "checkpoint").iterdir()
    whole = (tiny_gpt2 / "model.safetensors").stat().st_size
    assert checkpoint.stat().st_size < whole  # of the adapter and its moments alone
    again = ht.create(file, bots_dir=tmp_path / "again", settings=settings, through="train")
    for name in (adapters.WEIGHTS, adapters.CONFIG, "generation_config.json"):
        assert (again.dir.model / name).read_bytes() == (bot.dir.model / name).read_bytes(), name


def test_anybodys_transformers_loads_it_and_the_example_of_the_card_runs(bot: Bot) -> None:
    ours, _ = load_folder(bot.dir.model)
    theirs = AutoModelForCausalLM.from_pretrained(bot.dir.model).eval()
    ids = torch.tensor([[0, 5, 9, 30, 7]])
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours.eval()(ids).logits, atol=1e-4, rtol=1e-4)

    card = bot.dir.card.read_text()
    assert "library_name: peft" in card
    assert "pip install peft" in card
    assert '"<|endoftext|>My dream is"' in card
    place = str(bot.dir.model)
    generator = pipeline("text-generation", model=place, tokenizer=place)
    texts = generator(
        "<|endoftext|>My dream is",
        num_return_sequences=3,
        generation_config=GenerationConfig.from_pretrained(place),
    )
    assert len(texts) == 3
    assert all(text["generated_text"].startswith("<|endoftext|>My dream is") for text in texts)


def test_an_update_goes_on_from_the_adapter(bot: Bot, tmp_path: Path) -> None:
    file = write(tmp_path / "rover.txt", POSTS)
    bot.dir.write_record(sources=[f"file:{file}"])
    before = read_adapter(bot.dir.model)
    assert upkeep.update(bot) == 40
    after = read_adapter(bot.dir.model)
    assert before.keys() == after.keys()
    name = next(iter(before))
    alike = torch.cosine_similarity(before[name][0].flatten(), after[name][0].flatten(), dim=0)
    assert 0.5 < alike < 1 - 1e-7  # another start would have nothing in common with it
    assert bot.scores is not None


def test_an_adapter_over_an_adapter_is_refused_and_a_whole_model_over_one_is_not(bot: Bot, tmp_path: Path) -> None:
    file = write(tmp_path / "other.txt", POSTS)
    over = BotSettings(base=str(bot.dir.model), training=learning())
    with pytest.raises(SettingsError, match="itself an adapter"):
        ht.create(file, bots_dir=tmp_path / "over", settings=over, through="train")
    whole = BotSettings(base=str(bot.dir.model), training=TrainingSettings(steps=2, threads=1, device="cpu"))
    made = ht.create(file, bots_dir=tmp_path / "over", settings=whole, through="train")
    assert (made.dir.model / "config.json").exists()


def test_what_only_this_machine_has_is_not_published(bot: Bot) -> None:
    with pytest.raises(PublishError, match="nobody else could load"):
        publish(bot, "me/rover", dry_run=True)


def test_it_is_a_recipe_of_its_own(tmp_path: Path) -> None:
    file = write(tmp_path / "rover.txt", POSTS)
    told = CliRunner().invoke(app, ["create", str(file), "--adapter", "--recipe", "original"])
    assert "a recipe of its own" in str(told.exception)


# --- writing -------------------------------------------------------------------------------------------------------


def test_rows_of_different_adapters_in_one_batch_get_what_their_models_say(choir: list[Path]) -> None:
    """Each greedily, beside transformers drawing from the merged model alone."""
    prompts = ["My dream is", "The", "Saturn's rings and the long mission"]
    expected, found = [], []
    writers = [writer_of(folder) for folder in choir]
    for folder, prompt in zip(choir, prompts, strict=True):
        plain = PlainWriter(folder)
        expected.append([token for _, token in plain.draw(greedy(plain, prompt))])
    assert len({tuple(tokens) for tokens in expected}) == 3  # else anything would agree
    drawings = [writer.draw(greedy(writer, prompt)) for writer, prompt in zip(writers, prompts, strict=True)]
    found = [[next(drawing)[1]] for drawing in drawings]  # so that all are at it
    for tokens, drawing in zip(found, drawings, strict=True):
        tokens += [token for _, token in drawing]
    assert found == expected


def test_the_logits_of_a_mixed_batch_are_those_of_the_merged_models(choir: list[Path], request: Any) -> None:
    base = Path(adapters.base_named_in(choir[0]))
    model = load_folder(base)[0].eval()
    ids = torch.randint(0, model.config.vocab_size, (3, 9), generator=torch.Generator().manual_seed(0))
    adapted = Adapted(model)
    with torch.no_grad():
        adapted.set([adapted.fitting(read_adapter(folder)) for folder in choir])
        together = model(ids).logits
        for row, folder in enumerate(choir):
            alone = load_folder(folder)[0].eval()(ids[row : row + 1]).logits[0]
            torch.testing.assert_close(together[row], alone, atol=2e-3, rtol=1e-3)
        assert (together[0] - model_without(base, ids[:1])).abs().max() > 0.1


def model_without(base: Path, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = load_folder(base)[0].eval()(ids).logits[0]
    return logits


def test_a_seed_gives_the_same_posts_alone_and_in_company(choir: list[Path]) -> None:
    first, second, third = (voice_in(folder) for folder in choir)
    alone = first.generate("My dream is", 3, seed=5, threads=1)
    assert alone == first.generate("My dream is", 3, seed=5, threads=1)
    assert alone != second.generate("My dream is", 3, seed=5, threads=1)
    assert len(set(alone)) == 3
    company = [
        threading.Thread(target=voice.generate, args=("The", 6), kwargs={"seed": 1, "threads": 1})
        for voice in (second, third)
    ]
    for other in company:
        other.start()
    together = first.generate("My dream is", 3, seed=5, threads=1)
    for other in company:
        other.join()
    assert together == alone


def test_whoever_stops_listening_stops_the_drawing(choir: list[Path]) -> None:
    writer = writer_of(choir[0])
    long = Order([writer.start], 100, SamplingSettings(min_length=200, max_length=200), seed=0, threads=1)
    drawing = writer.draw(long)
    next(drawing)
    drawing.close()
    deadline = time.monotonic() + 60
    while any(thread.name == "mixed" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "it still draws"
        time.sleep(0.01)


def test_more_rows_than_a_batch_holds_are_all_drawn(choir: list[Path]) -> None:
    writer = writer_of(choir[1])
    order = Order([writer.start], 40, SamplingSettings(min_length=2, max_length=6), seed=0, threads=1)
    rows = rows_of(list(writer.draw(order)), 40)
    assert all(1 <= len(row) <= 5 for row in rows)


@pytest.mark.parametrize(
    ("top_k", "top_p", "temperature"), [(0, 0.9, 1.0), (5, 1.0, 0.7), (20, 0.6, 1.8), (0, 1.0, 1.0)]
)
def test_sampling_is_transformers(top_k: int, top_p: float, temperature: float) -> None:
    logits = torch.randn(1, 60, generator=torch.Generator().manual_seed(1)) * 3
    scores = TemperatureLogitsWarper(temperature)(None, logits.clone())  # type: ignore[arg-type]
    scores = TopKLogitsWarper(top_k)(None, scores) if top_k else scores  # type: ignore[arg-type]
    expected = TopPLogitsWarper(float(top_p))(None, scores).softmax(-1)[0]  # type: ignore[arg-type]
    order = Order([0], 1, SamplingSettings(min_length=0, temperature=temperature, top_p=top_p))
    request = mixed.Request({}, order, 0, mixed._Sampling(0, (0,), (), top_k), 1)
    draws = 4_000
    rows = [Row(request, number) for number in range(draws)]
    tokens = choose(logits.expand(draws, -1).clone(), rows)
    found = tokens.bincount(minlength=60) / draws
    assert set(found.nonzero().flatten().tolist()) <= set(expected.nonzero().flatten().tolist())
    assert (found - expected).abs().sum() < 4 * (expected * (1 - expected) / draws).sqrt().sum()


def test_what_may_not_come_does_not(choir: list[Path]) -> None:
    request = mixed.Request(
        {}, Order([0], 1, SamplingSettings(min_length=10)), 0, mixed._Sampling(0, (3,), (1, 2), 0), 1
    )
    logits = torch.zeros(200, 5)
    tokens = set(choose(logits, [Row(request, number) for number in range(200)]).tolist())
    assert tokens == {0, 4}


def test_a_failure_reaches_whoever_waits_and_the_next_one_is_served(
    choir: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(choir[0])

    def full(*arguments: object) -> torch.Tensor:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(mixed, "_read", full)
        with pytest.raises(MemoryError):
            list(writer.draw(greedy(writer, "The")))
    assert list(writer.draw(greedy(writer, "The")))


def test_other_adapters_are_written_with_by_transformers(bot: Bot) -> None:
    settings = read_json(bot.dir.model / adapters.CONFIG)
    write_json(bot.dir.model / adapters.CONFIG, {**settings, "use_rslora": True})
    assert mixed_writer(bot.dir.model, "", None) is None
    assert len(bot.generate("The", 2, seed=0, threads=1)) == 2


def test_a_model_that_can_not_be_batched_is_told() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, state_size=4, num_hidden_layers=1))
    assert not mixed.can_mix(model.eval())


def test_the_web_app_shows_it_as_trained_and_draws(bot: Bot) -> None:
    with serving(WebSettings(bots_dir=bot.path.parent)) as (client, _):
        assert client.get("/api/v1/bots/rover").json()["trained"] is True
        assert "Not trained yet" not in client.get("/rover").text
        drawn = [
            client.post("/api/v1/bots/rover/predictions", json={"n": 2, "max_length": 30, "seed": 4}).json()
            for _ in range(2)
        ]
    texts = [[one["text"] for one in answer["predictions"]] for answer in drawn]
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]


# --- damage --------------------------------------------------------------------------------------------------------


def test_a_damaged_adapter_is_told(bot: Bot) -> None:
    (bot.dir.model / adapters.WEIGHTS).write_bytes(b"\0" * 40)
    with pytest.raises(BotError, match="damaged"):
        bot.generate("The", 1)


def test_a_base_that_is_gone_is_named(bot: Bot, tmp_path: Path) -> None:
    settings = read_json(bot.dir.model / adapters.CONFIG)
    write_json(bot.dir.model / adapters.CONFIG, {**settings, "base_model_name_or_path": str(tmp_path / "gone")})
    with pytest.raises(BotError, match=r"base of .* is not to be had"):
        bot.generate("The", 1)


def test_an_adapter_of_another_base_is_told(choir: list[Path], bot: Bot, tiny_llama: Path) -> None:
    settings = read_json(bot.dir.model / adapters.CONFIG)
    write_json(bot.dir.model / adapters.CONFIG, {**settings, "base_model_name_or_path": str(tiny_llama)})
    with pytest.raises(BotError, match="another base"):
        bot.generate("The", 1)


def test_an_adapter_that_names_itself_as_its_base_is_told(bot: Bot) -> None:
    settings = read_json(bot.dir.model / adapters.CONFIG)
    write_json(bot.dir.model / adapters.CONFIG, {**settings, "base_model_name_or_path": str(bot.dir.model)})
    with pytest.raises(BotError, match="is an adapter too"):
        bot.generate("The", 1)


def test_anothers_adapter_may_be_nothing_but_the_adapter(bot: Bot, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    for name in (adapters.CONFIG, adapters.WEIGHTS):
        shutil.copyfile(bot.dir.model / name, tmp_path / "theirs" / name)
    assert mixed_writer(tmp_path / "theirs", "", None) is None
    assert len(voice_in(tmp_path / "theirs").generate("The", 2, seed=0, threads=1)) == 2


# --- the Space -----------------------------------------------------------------------------------------------------


def test_the_space_writes_with_an_adapter(bot: Bot) -> None:
    voice = space_voice.Voice(str(bot.dir.model))
    *_, texts = voice.write("My dream is", 2, 1.0, seed=0)
    assert len(texts) == 2
    assert all(text.startswith("My dream is") for text in texts)
    model, _ = voice.loaded
    saved = json.loads((bot.dir.model / "generation_config.json").read_text())
    assert model.generation_config.max_length == saved["max_length"]
