"""No command imports more than it uses: which packages each may load, seen from outside, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import invented_posts
from test_house import DOORS

INDIRECT = {
    "PIL",
    "accelerate",
    "gguf",
    "gradio",
    "httpx",
    "numpy",
    "pandas",
    "ray",
    "safetensors",
    "tokenizers",
    "yaml",
}
WATCHED = {*DOORS, *INDIRECT} - {"typer"}  # what takes long to load, for us or for another package
SAY_WHAT_IS_LOADED = "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules, file=sys.stderr)); "
CARD = {"rich", "typst", "huggingface_hub", "httpx2", "yaml"}
MAY_LOAD: dict[str, set[str]] = {
    "--version": set(),
    "--help": {"rich"},
    "create --help": {"rich"},
    "show": {"rich"},
    "show --json": set(),
    "show rover": {"rich"},
    "show rover --json": set(),
    "show rover --lineage": {"rich"},
    "verify rover": {"rich"},
    "create rover.csv": {"rich"},  # all of it is done
    "train rover": {"rich"},
    "evaluate rover": {"rich"},
    "build rover": {"rich"},
    "build rover --again": {"rich", "py3langid", "numpy"},
    "card rover": {"rich"},
    "card rover --again": CARD,
    "download rover.csv": {"rich"},
    "download rover.csv --name other": {"rich", "typst"},  # which draws the avatar
    "update rover": {"rich", "typst"},
    "generate rover": {"ctranslate2", "tokenizers"},
    "publish rover --dry-run": CARD,
    "unpublish rover": {"rich"},
    "sync rover": {"rich"},
    "forget @nobody --dry-run": {"rich"},
    "serve --help": {"rich"},
    "user --help": {"rich"},
    "fleet --help": {"rich"},
    "doctor": {"rich", "torch", "numpy", "huggingface_hub", "httpx2", "yaml"},
}


@pytest.fixture(scope="module")
def home(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of posts and the finished bot of it, which has spoken before."""
    import huggingtweets
    from huggingtweets.config import BotSettings, TrainingSettings

    folder = tmp_path_factory.mktemp("startup")
    (folder / "rover.csv").write_text("text\n" + "\n".join(f'"{post}"' for post in invented_posts(150)))
    settings = BotSettings(base=str(tiny_gpt2), training=TrainingSettings(epochs=1, threads=1))
    with pytest.MonkeyPatch.context() as moved:
        moved.chdir(folder)
        huggingtweets.create("rover.csv", settings=settings).generate(seed=0)
    return folder


@pytest.mark.parametrize("command", MAY_LOAD)
def test_a_command_loads_nothing_that_it_does_not_use(home: Path, command: str) -> None:
    loaded = loaded_by(f"{SAY_WHAT_IS_LOADED} from huggingtweets.cli import main; main()", home, *command.split())
    assert loaded & WATCHED <= MAY_LOAD[command]


def test_every_command_has_a_row() -> None:
    import typer

    from huggingtweets.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) <= {row.split()[0] for row in MAY_LOAD}


def test_importing_the_package_imports_none_of_its_modules() -> None:
    loaded = loaded_by(f"{SAY_WHAT_IS_LOADED} import huggingtweets", Path.cwd())
    assert not [module for module in loaded if module.startswith("huggingtweets.")]


def loaded_by(code: str, folder: Path, *arguments: str) -> set[str]:
    """The modules that a fresh Python has loaded when it ends."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert "Traceback" not in done.stderr
    mark, *modules = done.stderr.splitlines()[-1].split()
    assert mark == "loaded"
    return set(modules)
