"""Tiny random models that are trained for real, and posts to train them on."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that needs the Hub brings its own
os.environ.setdefault("HUGGINGTWEETS_TRACK", "none")  # nor does a test record unless it is about recording

import contextlib
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

VOICE = {
    "subject": ["The rover", "Our crew", "The telescope", "A new satellite", "This comet", "The lander"],
    "verb": ["watched", "photographed", "orbits", "studies", "will visit", "just passed", "measured"],
    "object": ["the red planet", "a distant galaxy", "Saturn's rings", "the dark side of the Moon", "icy Europa"],
    "end": ["today.", "last night!", "at 3pm ET.", "and it was beautiful.", "for science.", "🚀 wow", "— join us?"],
}


def invented_posts(count: int, seed: int = 0) -> list[str]:
    """Different sentences in one voice."""
    rng = random.Random(seed)
    posts: dict[str, None] = {}
    while len(posts) < count:
        sentence = " ".join(rng.choice(words) for words in VOICE.values())
        posts[f"{sentence} Day {rng.randrange(10_000)} of the {rng.choice(['long', 'first', 'new'])} mission."] = None
    return list(posts)


@contextlib.contextmanager
def full_disk(after_bytes: int) -> Iterator[None]:
    """No file may grow past this size: what a full disk or a quota does to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random GPT-2 of 2 layers and a byte-level tokenizer, as the Hub serves them."""
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("bases") / "tiny-gpt2"
    tokenizer = GPT2TokenizerFast(tokenizer_object=_byte_level_bpe(["<|endoftext|>"]))
    tokenizer.save_pretrained(folder)
    set_seed(0)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=256, n_embd=48, n_layer=2, n_head=2, bos_token_id=end, eos_token_id=end
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rover(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bot that learned 150 invented posts a little, to be copied."""
    from huggingtweets import create
    from huggingtweets.config import BotSettings, TrainingSettings

    folder = tmp_path_factory.mktemp("rover")
    (folder / "rover.csv").write_text("text\n" + "\n".join(f'"{post}"' for post in invented_posts(150)))
    settings = BotSettings(base=str(tiny_gpt2), training=TrainingSettings(steps=4, threads=1))
    return create(folder / "rover.csv", bots_dir=folder / "bots", settings=settings).path


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of 2 layers, whose tokenizer puts its own `<s>` in front of a text."""
    from tokenizers.processors import TemplateProcessing
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("bases") / "tiny-llama"
    tokens = _byte_level_bpe(["<unk>", "<s>", "</s>"])
    tokens.post_processor = TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.save_pretrained(folder)
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _byte_level_bpe(specials: list[str]):  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokens.train_from_iterator([*invented_posts(200), "My dream is to fly."], trainer)
    return tokens


@pytest.fixture(params=["gpt2", "llama"])
def tiny_base(request: pytest.FixtureRequest) -> Path:
    """Each of the two families in turn."""
    folder: Path = request.getfixturevalue(f"tiny_{request.param}")
    return folder


@pytest.fixture
def posts_file(tmp_path: Path) -> Path:
    """A plain text file of 250 posts, about 16,000 characters."""
    path = tmp_path / "rover.txt"
    path.write_text("\n".join(invented_posts(250)) + "\n", encoding="utf-8")
    return path
