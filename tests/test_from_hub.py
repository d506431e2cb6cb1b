"""Bots that are on the Hub, ours and the original's: generated from by name, and trained on from."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import huggingtweets as ht
from conftest import invented_posts
from hub_server import Fault, HubServer, Person, Repository, connect, connect_downloads, serve_hub
from huggingtweets import lineage
from huggingtweets.bases import find_base, load_folder
from huggingtweets.bot import Bot, open_voice, save_bot
from huggingtweets.botdir import read_json, write_json
from huggingtweets.config import BotSettings, DatasetSettings, SamplingSettings, TrainingSettings
from huggingtweets.errors import BaseModelError, BotError, HuggingtweetsError, StageMissing
from huggingtweets.hub import Hub
from huggingtweets.publishing import publish
from huggingtweets.voice import Voice, voice_in

SAID_BY_ORIGINAL = {"do_sample": True, "max_length": 160, "min_length": 10, "temperature": 1.0, "top_p": 0.95}
QUICK = TrainingSettings(steps=2, tokens_per_step=400, learning_rate=5e-3, threads=1, device="cpu")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with serve_hub() as server:
        connect(monkeypatch, server)
        connect_downloads(monkeypatch, server, tmp_path / "hub-cache")
        monkeypatch.setenv("HUGGINGTWEETS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingtweets.snapshots.time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.chdir(tmp_path)
        yield server


@pytest.fixture(scope="module")
def finished(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot of 250 posts, trained for a moment, that names nobody and keeps its lines."""
    folder = tmp_path_factory.mktemp("finished")
    posts = [post.replace(" Day", "\nDay") for post in invented_posts(250)]
    (folder / "rover.jsonl").write_text("\n".join(json.dumps({"text": post}) for post in posts), encoding="utf-8")
    cleaning = DatasetSettings(keep_newlines=True, mentions="neutral")
    settings = BotSettings(base=str(tiny_gpt2), training=QUICK, dataset=cleaning)
    return ht.create(folder / "rover.jsonl", bots_dir=folder / "bots", settings=settings).path


@pytest.fixture
def bot(finished: Path, tmp_path: Path) -> Bot:
    return Bot(shutil.copytree(finished, tmp_path / "bots" / "rover"))


def put(server: HubServer, repo_id: str, files: dict[str, bytes], *, private: bool = False) -> Repository:
    """A repository with these files; with each call it is another commit."""
    known = server.repos.get(("model", repo_id))
    commits = known.commits if known else []
    server.repos["model", repo_id] = Repository(repo_id, "model", private, files, commits=[*commits, "a commit"])
    return server.model(repo_id)


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def of_the_original(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository as the original's bots lie on the Hub, by the transformers 3 and 4 of 2020 to 2022."""
    folder = tmp_path_factory.mktemp("of-2020")
    model, tokenizer = load_folder(tiny_gpt2)
    end = tokenizer.eos_token_id
    context = torch.tril(torch.ones(256, 256, dtype=torch.uint8)).view(1, 1, 256, 256)
    weights = dict(model.state_dict())
    for layer in range(2):  # buffers that were saved with the weights then
        weights |= {f"transformer.h.{layer}.attn.bias": context}
        weights |= {f"transformer.h.{layer}.attn.masked_bias": torch.tensor(-1e4)}
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    tokenizer.backend_tokenizer.model.save(str(folder))
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    write_json(folder / "special_tokens_map.json", special)
    about = {"add_prefix_space": False, "model_max_length": 1024, "special_tokens_map_file": None}
    write_json(folder / "tokenizer_config.json", {**special, **about, "tokenizer_class": "GPT2Tokenizer"})
    config = {
        "_name_or_path": "gpt2",
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "bos_token_id": end,
        "eos_token_id": end,
        "gradient_checkpointing": False,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 256,
        "n_embd": 48,
        "n_head": 2,
        "n_layer": 2,
        "n_positions": 256,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {**SAID_BY_ORIGINAL, "prefix": "<|endoftext|>"}},
        "transformers_version": "4.6.1",
        "vocab_size": model.config.vocab_size,
    }
    write_json(folder / "config.json", config)
    (folder / "training_args.bin").write_bytes(b"a pickle of a class that is not here")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\ntags:\n- huggingtweets\n---\n\nAn old bot\n")
    return {".gitattributes": b"", "optimizer.pt": b"\x80", "flax_model.msgpack": b"\x80", **files_of(folder)}


OURS = (True, True)  # a bot of ours keeps newlines and names nobody; the original's does neither


def kept(folder: Path, *habits: bool) -> Voice:
    """The voice of a folder of this machine."""
    return Voice(folder, "", *habits, fast=Path("fast"))


def texts_of(voice: Bot | Voice, prompt: str = "My dream is", n: int = 3) -> list[str]:
    return voice.generate(prompt, n, seed=3, threads=1)


# --- our own ------------------------------------------------------------------------------------------------------


def test_a_published_bot_writes_by_its_name_what_it_writes_here(bot: Bot, server: HubServer) -> None:
    publish(bot, hub=Hub(sleep=lambda seconds: None))
    said: list[str] = []
    voice = open_voice("alice/rover", Path("elsewhere"), said.append)
    assert isinstance(voice, Voice)
    assert (voice.keeps_newlines, voice.names_nobody) == (True, True)
    start = "Thanks @bob\nMy dream is"
    assert texts_of(voice, start) == texts_of(bot, start)
    assert all(text.startswith("Thanks @[name]\nMy dream is") for text in texts_of(voice, start))
    assert said == ["Downloading alice/rover from the Hugging Face Hub"]
    loaded = {seen.path.rpartition("/")[2] for seen in server.log if seen.method == "GET" and seen.route == "resolve"}
    assert "predictions.png" not in loaded
    assert "rover.png" not in loaded


def test_a_bot_here_is_never_asked_for_on_the_hub(bot: Bot, server: HubServer) -> None:
    for name in ("rover", "bots/rover", str(bot.path)):
        assert isinstance(open_voice(name), Bot)
    assert isinstance(open_voice("bots/rover/model"), Voice)
    texts_of(open_voice("bots/rover"))
    shutil.rmtree(bot.dir.model)
    with pytest.raises(StageMissing):
        open_voice("bots/rover").generate()
    for missing in ("rovr", "bots/rovr"):
        with pytest.raises(BotError, match=f"There is no bot '{missing}'"):
            open_voice(missing)
    assert server.log == []


def test_what_is_new_on_the_hub_is_used_the_next_time(bot: Bot, tiny_gpt2: Path, server: HubServer) -> None:
    put(server, "alice/rover", files_of(bot.dir.model))
    first = texts_of(open_voice("alice/rover"))
    server.log.clear()
    assert texts_of(open_voice("alice/rover")) == first
    assert server.asked() == ["info"]  # one question where nothing has changed
    save_bot(*load_folder(tiny_gpt2), bot.dir.model)
    put(server, "alice/rover", files_of(bot.dir.model))
    assert texts_of(open_voice("alice/rover")) == texts_of(kept(bot.dir.model, *OURS)) != first


def test_without_a_network_what_is_cached_is_used_and_that_is_said(
    bot: Bot, of_the_original: dict[str, bytes], server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    picture = {"predictions.png": b"not wanted", "avatars/rover.png": b"nor this"}
    for name, files in (("me/ours", files_of(bot.dir.model) | picture), ("me/old", of_the_original)):
        put(server, name, files)
        before = texts_of(open_voice(name))
        for trouble in ("no answer", "no network", "no Hub"):
            said: list[str] = []
            with monkeypatch.context() as patch:
                if trouble == "no answer":
                    server.fail("info", Fault(status=503))
                elif trouble == "no network":
                    patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
                else:
                    patch.setattr(constants, "HF_HUB_OFFLINE", True)
                assert texts_of(open_voice(name, say=said.append)) == before
                assert find_base(name).id == name  # for which nobody is asked
            assert said == [f"The Hugging Face Hub can't be reached; {name} is taken as it was last downloaded"]


def test_a_hub_that_stumbles_is_asked_again(bot: Bot, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("huggingtweets.snapshots.time", SimpleNamespace(sleep=waits.append))
    put(server, "alice/rover", files_of(bot.dir.model) | {"model-2.safetensors.txt": b""})
    server.fail("info", Fault(status=503), Fault(drop=True))
    server.fail("tree", Fault(status=500))
    server.fail("resolve", Fault(drop=True), Fault(status=502), Fault(cut_after=100))
    assert texts_of(open_voice("alice/rover")) == texts_of(kept(bot.dir.model, *OURS))
    assert 0 < sum(waits) < 60
    server.fail("info", *[Fault(status=503)] * 20)
    put(server, "alice/other", files_of(bot.dir.model))
    with pytest.raises(BotError, match="no bot alice/other here, and the Hugging Face Hub can't be reached"):
        open_voice("alice/other")


def test_an_adapter_goes_to_the_hub_and_comes_back_over_its_base(
    tiny_gpt2: Path, server: HubServer, tmp_path: Path
) -> None:
    put(server, "me/tiny", files_of(tiny_gpt2))
    (tmp_path / "rover.txt").write_text("\n".join(invented_posts(250)), encoding="utf-8")
    settings = BotSettings(base="me/tiny", training=TrainingSettings.adapter(steps=3, threads=1, device="cpu"))
    made = ht.create(tmp_path / "rover.txt", settings=settings)
    done = ht.publish(made, "alice/rover-bot", public=True, space=True)
    assert done.repo_id == "alice/rover-bot"
    published = server.model("alice/rover-bot").files
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= published.keys()
    assert "config.json" not in published
    assert str(tmp_path).encode() not in b"".join(published.values())
    assert json.loads(published["adapter_config.json"])["base_model_name_or_path"] == "me/tiny"
    assert "base_model: me/tiny" in published["README.md"].decode()
    assert b"peft==" in server.repos["space", "alice/rover-bot-space"].files["requirements.txt"]
    assert texts_of(open_voice("alice/rover-bot")) == texts_of(made)


# --- the original's -----------------------------------------------------------------------------------------------


def test_a_bot_of_the_original_writes_as_it_was_meant_to(
    of_the_original: dict[str, bytes], tiny_gpt2: Path, tmp_path: Path, server: HubServer
) -> None:
    put(server, "huggingtweets/nasa", of_the_original)
    said: list[str] = []
    voice = open_voice("huggingtweets/nasa", say=said.append)
    assert isinstance(voice, Voice)
    assert voice.sampling == SamplingSettings(10, 160, 1.0, 0.95)
    assert not voice.keeps_newlines
    save_bot(*load_folder(tiny_gpt2), tmp_path / "same")
    texts = texts_of(voice, n=20)
    assert texts == texts_of(kept(tmp_path / "same"), n=20)
    assert all(text.startswith("My dream is") and "\n" not in text and "endoftext" not in text for text in texts)
    raw = Voice(voice.folder, keeps_newlines=True)
    assert any("\n" in text for text in texts_of(raw, n=20))  # so there was something to cut
    assert said == [
        "Downloading huggingtweets/nasa from the Hugging Face Hub",
        "Converting huggingtweets/nasa to safetensors, once",
    ]
    loaded = {seen.path.rpartition("/")[2] for seen in server.log if seen.route == "resolve"}
    assert loaded == {
        "README.md", "config.json", "merges.txt", "pytorch_model.bin", "special_tokens_map.json",
        "tokenizer_config.json", "vocab.json",
    }  # fmt: skip


def test_its_own_sampling_settings_count(of_the_original: dict[str, bytes], tiny_gpt2: Path, server: HubServer) -> None:
    config = json.loads(of_the_original["config.json"])
    config["task_specific_params"]["text-generation"] |= {"max_length": 30, "temperature": 0.2, "top_p": 0.5}
    put(server, "me/cool", {**of_the_original, "config.json": json.dumps(config).encode()})
    voice = open_voice("me/cool")
    assert isinstance(voice, Voice)
    assert voice.sampling == SamplingSettings(10, 30, 0.2, 0.5)
    assert texts_of(voice) != texts_of(dataclasses.replace(voice, folder=tiny_gpt2))


class Bomb:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_nothing_in_a_repository_ever_runs(
    of_the_original: dict[str, bytes], server: HubServer, tmp_path: Path
) -> None:
    import pickle

    bomb = pickle.dumps(Bomb(tmp_path / "ran"))
    put(server, "me/bomb", {**of_the_original, "training_args.bin": bomb, "optimizer.pt": bomb})
    texts_of(open_voice("me/bomb"))
    torch.save({"transformer.wte.weight": Bomb(tmp_path / "ran")}, tmp_path / "weights")
    put(server, "me/bomb", {**of_the_original, "pytorch_model.bin": (tmp_path / "weights").read_bytes()})
    with pytest.raises(BaseModelError, match=r"^me/bomb can't be loaded"):
        open_voice("me/bomb")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "params",
    [
        {"text-generation": {"max_length": 5, "min_length": 10}},
        {"text-generation": {"temperature": "hot", "top_p": None, "max_length": 1e9}},
        {"text-generation": {"temperature": 0.0}},
        {"text-generation": [1]},
        ["text-generation"],
        None,
    ],
)
def test_settings_that_nobody_could_draw_by_are_read_over(tiny_gpt2: Path, tmp_path: Path, params: object) -> None:
    folder = shutil.copytree(tiny_gpt2, tmp_path / "odd")
    (folder / "generation_config.json").unlink()
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "task_specific_params": params})
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "huggingtweets": params})
    assert voice_in(folder).sampling == SamplingSettings()
    assert dataclasses.replace(voice_in(folder), fast=None) == Voice(folder)


# --- what can't be had --------------------------------------------------------------------------------------------


def what_is_said(name: str) -> HuggingtweetsError:
    with pytest.raises(HuggingtweetsError) as said:
        open_voice(name)
    assert "\n" not in said.value.what + said.value.why + said.value.next
    return said.value


def test_a_bot_that_is_not_to_be_had_is_one_clear_sentence(
    bot: Bot, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "bob/secret", files_of(bot.dir.model), private=True)
    missing = what_is_said("alice/nobody")
    assert missing.what == "There is no model alice/nobody on the Hub, or it is private."
    assert "hf auth login" in missing.next
    assert what_is_said("bob/secret").what == "There is no model bob/secret on the Hub, or it is private."
    put(server, "alice/empty", {"README.md": b"# Soon\n"})
    assert what_is_said("alice/empty").what == "alice/empty on the Hub holds no model that transformers could load."
    put(server, "alice/list", {"config.json": b"{}", "training_args.bin": b"", "model.gguf": b""})
    assert what_is_said("alice/list").what == "alice/list on the Hub holds no model that transformers could load."
    put(server, "alice/bert", {**files_of(bot.dir.model), "config.json": b'{"model_type": "vit"}'})
    with pytest.raises(BaseModelError, match=r"^alice/bert can't be loaded as a causal language model"):
        open_voice("alice/bert").generate()
    assert what_is_said("alice/a--b").what == "No model 'alice/a--b': it is neither a folder nor a Hub id."
    (tmp_path / "alice" / "rover").mkdir(parents=True)
    there = what_is_said("alice/rover")
    assert there.what == "alice/rover is here already, and is neither a bot nor a model."
    assert there.next == "run the same command in another folder"
    monkeypatch.delenv("HF_TOKEN")
    assert what_is_said("bob/secret").what == "There is no model bob/secret on the Hub, or it is private."


def test_a_token_that_is_none_is_said_and_not_shown(
    bot: Bot, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "bob/rover", files_of(bot.dir.model), private=True)
    for token, what in (
        ("hf_expired", "The Hugging Face Hub does not accept your token."),
        ("hf_mistüped", "The Hub token is not one: it holds characters that no token has."),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        said = what_is_said("bob/rover")
        assert said.what == what
        assert "hf auth login" in said.next
        assert token[:6] not in str(said)
        server.fail("info", *[Fault(status=500, error=f"{token} is too much for me")] * 9)
        said = what_is_said("bob/rover")
        assert token not in str(said)
        server.faults.clear()
    server.people["hf_bob"] = Person("bob")
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    assert texts_of(open_voice("bob/rover")) == texts_of(kept(bot.dir.model, *OURS))


def test_a_server_that_is_no_hub_is_said(server: HubServer) -> None:
    for answer in (b"<html>", b"[]", b"{}", b"3"):
        server.fail("info", *[Fault(body=answer)] * 9)
        assert "can't be reached" in what_is_said("me/rover").what
        server.faults.clear()
    server.fail("info", Fault(status=429, headers={"Retry-After": "99999"}))
    assert "can't be reached" in what_is_said("me/rover").what


# --- trained on from ----------------------------------------------------------------------------------------------


def test_a_bot_on_the_hub_is_a_base_and_the_card_and_the_record_name_it(
    of_the_original: dict[str, bytes], server: HubServer, posts_file: Path
) -> None:
    put(server, "huggingtweets/nasa", of_the_original)
    settings = BotSettings(base="huggingtweets/nasa", training=QUICK)
    made = ht.create(posts_file, settings=settings)
    card = made.dir.card.read_text()
    assert "base_model: huggingtweets/nasa" in card
    assert "license: mit" in card
    recorded = lineage.read(made.dir.lineage)
    base = recorded.find(lineage.BASE)
    assert base is not None
    assert (base.name, base.made_by["id"]) == ("huggingtweets/nasa", "huggingtweets/nasa")
    assert "model.safetensors" in base.files
    before, after = (load_folder(folder)[0].state_dict() for folder in (find_base(base.name).folder, made.dir.model))
    assert not torch.equal(before["transformer.wte.weight"], after["transformer.wte.weight"])
    assert (before["transformer.wte.weight"] - after["transformer.wte.weight"]).abs().max() < 0.1
    assert made.training is not None
    assert made.training.steps == 2


def test_habits_are_the_new_bots_own_and_changing_them_trains_anew(
    bot: Bot, server: HubServer, posts_file: Path
) -> None:
    put(server, "alice/rover", files_of(bot.dir.model))
    settings = BotSettings(base="alice/rover", training=QUICK)
    child = ht.create(posts_file, settings=settings, name="child", through="train")
    assert child.voice == dataclasses.replace(voice_in(child.dir.model, "child"), fast=child.dir.fast)
    neutral = dataclasses.replace(settings, dataset=DatasetSettings(mentions="neutral"))
    child = ht.create(posts_file, settings=neutral, name="child", through="train")  # whose posts mention nobody
    assert voice_in(child.dir.model).names_nobody
    assert child.voice.names_nobody
