"""The files of a Space: what the Hub reads of them, what hostile names can do, and the posts that they write.

The page itself is driven by Gradio.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from huggingtweets.posts import Account
from huggingtweets.space import SpaceFacts, render_space, space_name
from huggingtweets.voice import Voice

ROOT = Path(__file__).parent.parent
TEMPLATES = ROOT / "src/huggingtweets/templates/space"
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # of the Hub
URL = "https://huggingface.co/alice/nasa"


def facts(*accounts: Account, private: bool = False, commit: str = "c0ffee") -> SpaceFacts:
    return SpaceFacts("alice/nasa", URL, commit, private, accounts or (Account("nasa", "x", "NASA", avatar="n.png"),))


def header(files: dict[str, bytes]) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", files["README.md"].decode(), re.DOTALL)
    assert found is not None
    return dict(yaml.safe_load(found[1]))


def test_the_files_are_those_of_a_gradio_space() -> None:
    files = render_space(facts())
    assert set(files) == {"README.md", "app.py", "requirements.txt", "space.json", "voice.py"}
    card = header(files)
    assert card["sdk"] == "gradio"
    assert card["app_file"] == "app.py"
    assert card["models"] == ["alice/nasa"]
    assert card["tags"] == ["huggingtweets"]
    assert {card["colorFrom"], card["colorTo"]} <= COLOURS
    assert len(str(card["short_description"])) <= 60
    assert json.loads(files["space.json"])["model"] == "alice/nasa"


def test_the_versions_are_those_that_everything_was_tried_with() -> None:
    files = render_space(facts())
    pins = dict(line.split("==") for line in files["requirements.txt"].decode().splitlines())
    tried = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert set(pins) == {"torch", "transformers", "gradio"}
    assert pins["torch"] == tried["torch"]
    assert pins["transformers"] == tried["transformers"]
    assert header(files)["sdk_version"] == pins["gradio"]
    assert pins["gradio"] == tried.get("gradio", pins["gradio"])


@pytest.mark.parametrize("name", ["app.py", "voice.py"])
def test_the_code_needs_nothing_but_the_requirements(name: str) -> None:
    tree = ast.parse((TEMPLATES / name).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    packages = {module.partition(".")[0] for module in imported} - sys.stdlib_module_names
    assert packages <= {"gradio", "torch", "transformers", "voice"}


def test_every_template_comes_with_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    package = ROOT / "src/huggingtweets"
    packed = {file for pattern in patterns["huggingtweets"] for file in package.glob(pattern)}
    templates = {file for file in (package / "templates").rglob("*") if "__pycache__" not in file.parts}
    assert {file for file in templates if file.is_file()} <= packed


@pytest.mark.parametrize(
    "name", ['"""\nimport os', "</h1><script>alert(1)</script>", "a: [b\n---\n", "\u202eback", "", "🚀" * 90, "\ud800"]
)
def test_a_hostile_name_is_data_and_never_code(name: str) -> None:
    plain, hostile = render_space(facts()), render_space(facts(Account(name or "x", "x", name), Account("b", "x")))
    for same in ("app.py", "voice.py", "requirements.txt"):
        assert hostile[same] == plain[same]
    card = header(hostile)
    assert card.keys() == header(plain).keys()
    assert card["models"] == ["alice/nasa"]
    assert "\n" not in str(card["title"])
    assert b"<script>" not in hostile["README.md"].partition(b"\n---\n")[2]
    assert len(json.loads(hostile["space.json"])["handles"]) == 2


def test_a_private_bot_says_what_its_space_needs() -> None:
    assert b"HF_TOKEN" in render_space(facts(private=True))["README.md"]
    assert b"HF_TOKEN" not in render_space(facts())["README.md"]


def test_a_new_commit_of_the_bot_is_a_new_space() -> None:
    one, other = render_space(facts(commit="1")), render_space(facts(commit="2"))
    assert [name for name in one if one[name] != other[name]] == ["space.json"]


def test_a_long_name_stays_one_that_the_hub_allows() -> None:
    assert len(space_name(f"alice/{'x' * 96}").partition("/")[2]) == 96
    assert space_name("alice/" + "x" * 89 + ".-yz") == "alice/" + "x" * 89 + "-space"


# --- the posts ----------------------------------------------------------------------------------------------------


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: Path) -> Iterator[Path]:
    """A Space on this machine, for a bot in a folder."""
    for name, content in render_space(facts()).items():
        (tmp_path / name).write_bytes(content)
    data = json.loads((tmp_path / "space.json").read_text())
    (tmp_path / "space.json").write_text(json.dumps({**data, "model": str(saved), "title": "<b>NASA</b>"}))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("app", "voice"):
        sys.modules.pop(name, None)


@pytest.fixture
def saved(tiny_base: Path, tmp_path: Path) -> Path:
    """A bot's model, of each family in turn."""
    from huggingtweets.bases import load_folder
    from huggingtweets.bot import save_bot

    save_bot(*load_folder(tiny_base), tmp_path / "model")
    return tmp_path / "model"


def module(space: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, space / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_same_seed_writes_what_the_bot_writes(space: Path, saved: Path) -> None:
    voice, bot = module(space, "voice").Voice(str(saved)), Voice(saved)
    for start in ("My dream is", "", "<|endoftext|> 🚀"):
        written = list(voice.write(start, 3, seed=3))
        assert written[-1] == bot.generate(start, 3, seed=3, threads=1)
        assert all(len(texts) == 3 and text.startswith(start) for texts in written for text in texts)


def test_posts_grow_word_by_word(space: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = module(space, "voice")
    monkeypatch.setattr(writer, "SHOW_EVERY_S", 0.0)
    written = list(writer.Voice(str(saved)).write("My dream is", 2, seed=3))
    assert len(written) > 2
    lengths = [sum(map(len, texts)) for texts in written]
    assert lengths == sorted(lengths)
    assert written[-1] == Voice(saved).generate("My dream is", 2, seed=3, threads=1)


def test_a_start_that_fills_the_model_is_told_and_a_long_one_still_has_room(space: Path, saved: Path) -> None:
    writer = module(space, "voice")
    voice = writer.Voice(str(saved))
    with pytest.raises(writer.TooLong):
        list(voice.write("Q" * 400, 1))
    assert len(list(voice.write("Q" * 200, 1, seed=0))[-1][0]) > 200


def test_a_failure_of_the_model_reaches_whoever_asked(space: Path, saved: Path) -> None:
    voice = module(space, "voice").Voice(str(saved))
    with pytest.raises(ValueError, match="temperature"):
        list(voice.write("a", 1, temperature=-1.0))


def test_a_model_that_nobody_listens_to_stops(space: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    writer = module(space, "voice")
    monkeypatch.setattr(writer, "SHOW_EVERY_S", 0.0)
    before = threading.active_count()
    posts = writer.Voice(str(saved)).write("My dream is", 2, seed=3)
    next(posts)
    posts.close()
    for thread in threading.enumerate():
        if thread.daemon and "work" in thread.name:
            thread.join(timeout=60)
    assert threading.active_count() <= before


def test_a_bot_that_names_nobody_writes_no_handle_on_its_page_either(space: Path, saved: Path) -> None:
    quiet = SpaceFacts("alice/nasa", URL, "c0ffee", False, (Account("nasa", "x"),), names_nobody=True)
    replaced = json.loads(render_space(quiet)["space.json"])["replaced"]
    start = "Thanks @alice and @bob@social.example:"
    (text,) = list(module(space, "voice").Voice(str(saved), replaced=replaced).write(start, 1, seed=3))[-1]
    assert [text] == Voice(saved, names_nobody=True).generate(start, 1, seed=3, threads=1)
    assert text.startswith("Thanks @[name] and @[name]:")
    assert json.loads(render_space(facts())["space.json"])["replaced"] == {}


def test_the_page_answers_people_and_programs(space: Path, saved: Path) -> None:
    from gradio_client import Client

    app = module(space, "app")
    app.page.queue().launch(prevent_thread_lock=True, quiet=True)
    try:
        client = Client(app.page.local_url, verbose=False)
        texts = client.predict("My dream is", 1.0, 3, api_name="/predict")
        assert texts == Voice(saved).generate("My dream is", 10, seed=3, threads=1)
        with pytest.raises(Exception, match="temperature"):
            client.predict("My dream is", 9.0, 3, api_name="/predict")
    finally:
        app.page.close()
    shown = list(app.show("My <b>", 1.0, "3"))[-1]
    assert shown.count("<p ") == 10
    assert "My &lt;b&gt;" in shown
    assert "&lt;b&gt;NASA&lt;/b&gt;" in app._introduction()
    assert URL in app._introduction()
    shutil.rmtree(space / "model")
    app.voice.__dict__.pop("loaded")
    with pytest.raises(app.gr.Error, match="HF_TOKEN"):
        list(app.show("My dream is", 1.0, ""))
