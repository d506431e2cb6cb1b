"""The fast writer beside transformers: the same probabilities, the same sampling, the same texts however they come."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from ctranslate2.specs.model_spec import LanguageModelSpec, Variable, visit_spec
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from huggingtweets.bases import load_folder
from huggingtweets.bot import Bot, save_bot
from huggingtweets.botdir import BotDir
from huggingtweets.config import LARGEST_SEED, SamplingSettings, usable_cores
from huggingtweets.errors import BotError
from huggingtweets.privacy import neutral_mentions
from huggingtweets.voice import Voice, _Growing, tidy, voice_in
from huggingtweets.writers import fast, files, outliers
from huggingtweets.writers.base import Order
from huggingtweets.writers.fast import FastWriter, fast_writer
from huggingtweets.writers.outliers import spread_outliers
from huggingtweets.writers.plain import PlainWriter

SHARPER = 10  # a random model finds all tokens alike; this one prefers some


@pytest.fixture(scope="module")
def sharp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bot of each family that has opinions."""
    bots = {}
    for family in ("gpt2", "llama"):
        model, tokenizer = load_folder(request.getfixturevalue(f"tiny_{family}"))
        last_norm = model.transformer.ln_f if family == "gpt2" else model.model.norm
        last_norm.weight.data *= SHARPER
        bots[family] = tmp_path_factory.mktemp("bots") / family
        save_bot(model, tokenizer, bots[family] / "model")
        BotDir(bots[family]).write_record()
    return bots


@pytest.fixture(params=["gpt2", "llama"])
def bot(request: pytest.FixtureRequest, sharp: dict[str, Path]) -> Bot:
    return Bot(sharp[request.param])


@pytest.fixture
def own_bot(sharp: dict[str, Path], tmp_path: Path) -> Bot:
    """One that a test may damage."""
    shutil.copytree(sharp["gpt2"] / "model", tmp_path / "bot" / "model")
    return Bot(tmp_path / "bot")


def writer_of(bot: Bot) -> FastWriter:
    found = fast_writer(bot.dir.model, bot.dir.fast, bot.name, lambda text: None)
    assert found is not None
    return found


def log_probabilities(folder: Path, ids: Sequence[int], kind: str) -> torch.Tensor:
    generator = ctranslate2.Generator(str(folder), compute_type=kind)
    return torch.from_numpy(np.array(generator.forward_batch([list(ids)], return_log_probs=True)))[0]  # (T, V)


# --- probabilities -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "bound"), [("float32", 1e-3), ("int8", 0.5)])
def test_log_probabilities_are_those_of_transformers(
    bot: Bot, kind: str, bound: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "QUANTIZATION", kind)
    writer = fast_writer(bot.dir.model, tmp_path / "fast", "", lambda text: None)
    assert writer is not None
    model, _ = load_folder(bot.dir.model)
    ids = [writer.start, *writer.encode("The rover photographed Saturn's rings, and it was beautiful. 🚀")]
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    assert expected.std() > 1  # else anything would agree
    found = log_probabilities(tmp_path / "fast", ids, kind)
    assert (found - expected).abs().max() < bound
    assert (expected.exp() * (expected - found)).sum(-1).mean() < bound / 20


def test_a_seed_gives_the_same_tokens_with_any_number_of_threads(bot: Bot) -> None:
    drawn = []
    for threads in (1, 2, 3):
        writer = writer_of(bot)
        writer.copy = dataclasses.replace(writer.copy, threads=threads)
        order = Order([writer.start], 5, SamplingSettings(min_length=30, max_length=60), seed=7, threads=3)
        rows: dict[int, list[int]] = {}
        for row, token in writer.draw(order):
            rows.setdefault(row, []).append(token)
        drawn.append(rows)
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({tuple(row) for row in drawn[0].values()}) == 5


def test_a_copy_knows_with_how_many_threads_it_writes_fastest(bot: Bot) -> None:
    assert 1 <= writer_of(bot).copy.threads <= usable_cores()


def test_no_two_weights_of_a_copy_exceed_sixteen_bits_where_a_cpu_adds_their_products(bot: Bot, tmp_path: Path) -> None:
    """`vpmaddubsw`: 255 a + 255 b must fit into 16 bits, for weights a and b."""
    model, tokenizer = load_folder(bot.dir.model)
    seen: dict[str, int] = {}

    def look(layer: object, name: str, value: object) -> None:
        if isinstance(value, Variable) and value.dtype == "int8" and not value.is_scalar():
            seen[name] = int(np.abs(value.numpy().astype(int)).max())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModelSpec, "save", lambda spec, folder: visit_spec(spec, look))
        fast.convert(model, tokenizer, bot.dir.model, tmp_path / "copy", "int8")
    assert len(seen) > 8
    assert 2 * 255 * max(seen.values()) < 2**15
    assert set(seen.values()) == {fast.LARGEST_WEIGHT}, seen  # and no step is given away


# --- outliers ------------------------------------------------------------------------------------------------------

SHAPE = {"vocab_size": 60, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = {"num_key_value_heads": 2, "head_dim": 6}


def random_model(family: str, **settings: object) -> PreTrainedModel:
    """Nothing in it is one or zero, as norms and biases of new models are."""
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SHAPE, **settings)).eval()
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) / 4
    return model


def log_softmax(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.arange(30)[None]).logits  # (1, T, V)
    return logits.log_softmax(-1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gpt2", {}),
        ("llama", GROUPED),
        ("llama", {**GROUPED, "attention_bias": True, "mlp_bias": True}),
        *((family, GROUPED) for family in ("mistral", "qwen2", "qwen3")),
    ],
)
def test_a_model_without_outliers_computes_the_same(family: str, settings: dict[str, object], tied: bool) -> None:
    model = random_model(family, tie_word_embeddings=tied, **settings)
    expected = log_softmax(model)
    hidden = model.get_input_embeddings().weight.clone()
    spread_outliers(model, [[1, 2, 3], [4]])
    assert (model.get_input_embeddings().weight - hidden).abs().max() > 0.1
    assert expected.std() > 1  # else anything would agree
    assert (log_softmax(model) - expected).abs().max() < 1e-4


def test_a_model_of_another_family_is_left_alone() -> None:
    model = random_model("gpt_neox")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    spread_outliers(model, [[1, 2, 3], [4]])
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_int8_loses_less_without_outliers(bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = load_folder(bot.dir.model)
    last_norm = model.transformer.ln_f if bot.name == "gpt2" else model.model.norm
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    last_norm.weight.data[3] *= 300
    model.lm_head.weight.data[:, 3] /= 300
    save_bot(model, tokenizer, tmp_path / "model")
    monkeypatch.setattr(fast, "LARGEST_DIVERGENCE", 100)
    ids = [3, *range(5, 60)]
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    losses = []
    for folder, rewrite in (("spread", spread_outliers), ("plain", lambda model, probes: None)):
        monkeypatch.setattr(outliers, "spread_outliers", rewrite)
        assert fast_writer(tmp_path / "model", tmp_path / folder, "", lambda text: None)
        found = log_probabilities(tmp_path / folder, ids, "int8")
        losses.append(float((expected.exp() * (expected - found)).sum(-1).mean()))
    assert losses[0] < losses[1] / 4


# --- sampling ------------------------------------------------------------------------------------------------------


def nucleus(log_probs: torch.Tensor, sampling: SamplingSettings, forbidden: Sequence[int]) -> dict[int, float]:
    """What transformers would draw by, worked out: temperature, the 50 likeliest, top p of these."""
    log_probs[list(forbidden)] = -torch.inf
    chances, tokens = (log_probs / sampling.temperature).softmax(-1).topk(50)
    chances /= chances.sum()
    kept = int((chances.cumsum(0) < sampling.top_p).sum()) + 1
    return dict(zip(tokens[:kept].tolist(), (chances[:kept] / chances[:kept].sum()).tolist(), strict=True))


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 0.95), (1.5, 0.7), (2.5, 0.9)])
def test_tokens_are_drawn_as_often_as_the_probabilities_say(bot: Bot, temperature: float, top_p: float) -> None:
    writer, count = writer_of(bot), 12_800
    prompt = [writer.start, *writer.encode("My dream")]
    sampling = SamplingSettings(0, len(prompt) + 1, temperature, top_p)
    expected = nucleus(log_probabilities(bot.dir.fast, prompt, "int8")[-1], sampling, writer.copy.suppressed)
    drawn = Counter(token for _, token in writer.draw(Order(prompt, count, sampling, seed=0)))
    assert set(drawn) <= set(expected)
    assert 5 < len(expected) < 50  # so that both limits are at work
    distance = sum(abs(drawn[token] / count - chance) for token, chance in expected.items()) / 2
    assert distance < 0.03  # 50 tokens drawn 12,800 times are some 0.015 away; a forgotten setting 0.05 and more


def test_the_lengths_are_counted_as_transformers_counts_them(own_bot: Bot) -> None:
    model, tokenizer = load_folder(own_bot.dir.model)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    towards = model.lm_head.weight[end]
    model.transformer.ln_f.bias.data += 30 * towards / towards.square().sum()  # would end everywhere
    save_bot(model, tokenizer, own_bot.dir.model)
    prompt = [end, *writer_of(own_bot).encode("My dream is")]
    for shortest in (len(prompt) + 5, 3):
        order = Order(prompt, 8, SamplingSettings(shortest, 40), seed=0)
        lengths = []
        for writer in (writer_of(own_bot), PlainWriter(own_bot.dir.model)):
            rows: dict[int, list[int]] = {row: [] for row in range(8)}
            for row, token in writer.draw(order):
                rows[row].append(token)
            lengths.append({len([token for token in row if token != end]) for row in rows.values()})
        assert lengths[0] == lengths[1] == {max(0, shortest - len(prompt))}


@pytest.mark.parametrize("text", ["", "My dream is", " a  b ", "日本 👩‍🚀", "<|endoftext|> and </s>", "tab\there\n"])
def test_the_token_ids_are_those_of_transformers(bot: Bot, text: str) -> None:
    quick, plain = writer_of(bot), PlainWriter(bot.dir.model)
    ids = [plain.start, *plain.encode(text)]
    assert [quick.start, *quick.encode(text)] == ids
    assert quick.decode(ids) == plain.decode(ids)
    assert (quick.context, quick.has_prefix) == (plain.context, plain.has_prefix)


# --- seeds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, LARGEST_SEED - 1])
def test_a_seed_gives_the_same_posts_whatever_is_drawn_before_and_meanwhile(bot: Bot, seed: int) -> None:
    alone = bot.generate("The", 3, seed=seed)
    bot.generate("Another", 2)
    together: dict[int, list[str]] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: together.update({seed: bot.generate("The", 3, seed=seed)}))  # type: ignore[misc]
        for seed in (seed, 7, 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together[seed] == alone
    assert len({tuple(texts) for texts in together.values()}) == 3


# --- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
def test_the_pieces_of_a_stream_are_the_posts(bot: Bot, quick: bool) -> None:
    voice = bot.voice if quick else dataclasses.replace(bot.voice, fast=None)
    pieces = list(voice.stream("My dream is", 40, seed=3, threads=1))
    joined = ["".join(piece.text for piece in pieces if piece.post == post) for post in range(40)]
    assert joined == voice.generate("My dream is", 40, seed=3, threads=1)
    assert all(piece.text for piece in pieces)


def test_posts_grow_side_by_side(bot: Bot) -> None:
    pieces = [piece.post for piece in bot.stream("My dream is", 4, seed=0)]
    assert set(pieces[:4]) == {0, 1, 2, 3}
    assert len(pieces) > 20


def test_who_stops_listening_stops_the_writing(bot: Bot) -> None:
    stream = bot.stream("My dream is", 32, seed=0)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


class Bytes:
    """A writer whose tokens are bytes, so that every letter beyond ASCII comes in parts."""

    start, has_prefix, context = 0, False, None

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    def draw(self, order: Order):  # type: ignore[no-untyped-def]
        raise NotImplementedError


LETTERS = st.text(st.sampled_from("ab.@＠ _-\n \t,é🚀日RT1"), max_size=20)


@given(LETTERS, LETTERS, st.booleans(), st.booleans(), st.binary(max_size=2))
def test_nothing_that_was_handed_out_is_taken_back(
    prompt: str, written: str, names_nobody: bool, keeps_newlines: bool, rubbish: bytes
) -> None:
    voice = Voice(Path(), names_nobody=names_nobody, keeps_newlines=keeps_newlines)
    post = _Growing(voice, Bytes(), prompt, Bytes().encode(prompt))
    drawn = [*written.encode(), *rubbish]
    told = "".join([*map(post.add, drawn), post.end()])
    whole = prompt + tidy(bytes(drawn).decode("utf-8", "replace"), keeps_newlines)
    assert told == (neutral_mentions(whole) if names_nobody else whole)


def test_a_handle_is_never_shown_by_halves() -> None:
    post = _Growing(Voice(Path(), names_nobody=True), Bytes(), "Hi ", Bytes().encode("Hi "))
    pieces = [post.add(letter) for letter in b"@alice@server.example, yes"]
    assert "".join([*pieces, post.end()]) == "Hi @[name], yes"
    assert pieces[1:22] == [""] * 21


# --- the copy ------------------------------------------------------------------------------------------------------


def test_the_copy_is_made_once_and_said_once(own_bot: Bot) -> None:
    said: list[str] = []
    for _ in range(2):
        own_bot.generate(say=said.append)
    assert said == ["Preparing bot to write fast, once"]
    assert not list(own_bot.path.glob(".*.tmp"))


def test_a_model_that_has_changed_is_copied_anew(own_bot: Bot, sharp: dict[str, Path]) -> None:
    before = own_bot.generate("The", 2, seed=0)
    model, tokenizer = load_folder(own_bot.dir.model)
    model.get_output_embeddings().weight.data *= -1  # type: ignore[operator]
    save_bot(model, tokenizer, own_bot.dir.model)
    after = own_bot.generate("The", 2, seed=0)
    assert after != before
    shutil.rmtree(own_bot.dir.fast)
    assert own_bot.generate("The", 2, seed=0) == after


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "vocabulary.json", "copy.json", "config.json"])
@pytest.mark.parametrize("damage", ["shorter", "zeros", "gone"])
def test_a_damaged_copy_is_made_anew(own_bot: Bot, file: str, damage: str) -> None:
    expected = own_bot.generate("The", 2, seed=0)
    files.speller_of.cache_clear()  # as in a new process
    path = own_bot.dir.fast / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(path.stat().st_size // (1 if damage == "zeros" else 2)))
    assert own_bot.generate("The", 2, seed=0) == expected


def test_what_a_kill_left_half_done_is_not_taken_for_whole(own_bot: Bot) -> None:
    expected = own_bot.generate("The", 2, seed=0)
    own_bot.dir.fast.rename(own_bot.path / ".fast.tmp")
    (own_bot.path / ".fast.tmp" / "model.bin").write_bytes(b"half")
    assert own_bot.generate("The", 2, seed=0) == expected


def test_a_folder_that_samples_in_a_way_of_its_own_is_left_to_transformers(own_bot: Bot) -> None:
    config = own_bot.dir.model / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "repetition_penalty": 1.5}))
    said: list[str] = []
    texts = [own_bot.generate("The", 2, seed=0, say=said.append) for _ in range(2)]
    plain = dataclasses.replace(own_bot.voice, fast=None)
    assert texts == [plain.generate("The", 2, seed=0)] * 2
    assert len(said) == 1
    assert json.loads((own_bot.dir.fast / "copy.json").read_text())["unfit"] == "it samples by repetition_penalty"


def test_a_copy_that_is_another_model_is_not_used(own_bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "LARGEST_DIVERGENCE", 1e-12)
    assert fast_writer(own_bot.dir.model, own_bot.dir.fast, "", lambda text: None) is None
    assert "nats a token away" in json.loads((own_bot.dir.fast / "copy.json").read_text())["unfit"]


def test_where_no_copy_may_be_written_transformers_writes(own_bot: Bot) -> None:
    own_bot.dir.fast.with_name(".fast.tmp").write_text("a file in the way")
    assert len(own_bot.generate("The", 2, seed=0)) == 2


def test_the_copy_of_a_mere_model_is_kept_in_the_cache(
    sharp: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUGGINGTWEETS_CACHE", str(tmp_path))
    before = sorted(sharp["gpt2"].rglob("*"))
    voice = voice_in(sharp["gpt2"] / "model")
    assert voice.generate("The", 2, seed=0) == Bot(sharp["gpt2"]).generate("The", 2, seed=0)
    assert [file.parent.parent.name for file in tmp_path.rglob("model.bin")] == ["fast"]
    assert sorted((sharp["gpt2"] / "model").iterdir()) == [file for file in before if file.parent.name == "model"]


def test_a_damaged_model_is_said_to_be_one(own_bot: Bot) -> None:
    (own_bot.dir.model / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BotError, match="damaged"):
        own_bot.generate()
    with pytest.raises(BotError, match="damaged"):
        own_bot.stream()


def test_a_model_that_is_damaged_while_it_draws_is_said_to_be(own_bot: Bot) -> None:
    own_bot.generate()
    pieces = own_bot.stream()
    for weights in (own_bot.dir.model / "model.safetensors", own_bot.dir.fast / "model.bin"):
        weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(BotError, match="damaged"):
        list(pieces)


# --- alone in a process ---------------------------------------------------------------------------------------------


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """In bytes, since random posts have carriage returns, which reading as text makes newlines of."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False)


def test_generate_loads_nothing_heavy(bot: Bot) -> None:
    expected = bot.generate("My dream is", 2, seed=0)
    code = (
        "import sys; from huggingtweets.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'wandb', 'gradio', 'datasets', 'huggingface_hub', 'pyarrow', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = run(code, "generate", str(bot.path), "My dream is", "-n", "2", "--seed", "0", "--bots-dir", "/nowhere")
    assert (done.stdout.decode(), done.stderr) == ("\n".join(expected) + "\n", b"[]\n")


def test_a_process_ends_cleanly_in_the_middle_of_a_stream(bot: Bot) -> None:
    bot.generate()
    code = (
        "import sys; from pathlib import Path; from huggingtweets import Bot\n"
        "stream = Bot(Path(sys.argv[1])).stream('My', 4); next(stream); print('left')"
    )
    done = run(code, str(bot.path))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"left\n", b"")
