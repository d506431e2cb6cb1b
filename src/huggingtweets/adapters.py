"""Low-rank adapters (LoRA, https://arxiv.org/abs/2106.09685): a base that stays as it is, and a few megabytes a bot.

Every matrix W of the base's layers becomes W + s B A, of which only A (rank, in) and B (out, rank) learn and are kept.
In: a base model. Out: the same one learning an adapter, and a folder of PEFT's format, which names the base.

- There is no `config.json` in such a folder: transformers would take it for a whole model's, and look for its weights.

Not covered: where the base is found (see `bases`), and bots of one base that write side by side (`writers.mixed`).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingtweets.botdir import read_as
from huggingtweets.config import HABITS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
SCALE = 2.0  # s


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter alone."""
    return (folder / CONFIG).exists() and not (folder / "config.json").exists()


def base_named_in(folder: Path) -> str:
    """What an adapter was trained over: a Hub id, or a path. Raises BotError where it is damaged."""
    return read_as(folder / CONFIG, lambda record: str(record["base_model_name_or_path"]))


def habits_in(folder: Path) -> dict[str, Any] | None:
    """What else one of ours keeps: how its posts were cleaned, our own name for its base. None: it is another's."""
    file = folder / "generation_config.json"
    found = read_as(file, lambda record: record.get(HABITS)) if file.exists() else None
    return found if isinstance(found, dict) else None


def add_adapter(model: PreTrainedModel, rank: int, seed: int) -> None:
    """From now on a new adapter learns and nothing else; at first it changes nothing."""
    import torch
    from peft import LoraConfig

    torch.manual_seed(seed)  # of A; B begins as zeros
    config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules="all-linear", task_type="CAUSAL_LM")  # type: ignore[arg-type]
    with _quiet():
        model.add_adapter(config)


def go_on_with(model: PreTrainedModel, folder: Path) -> None:
    """From now on the adapter in this folder learns and nothing else."""
    with _quiet():
        model.load_adapter(str(folder), is_trainable=True)


def has_adapter(model: PreTrainedModel) -> bool:
    return bool(getattr(model, "_hf_peft_config_loaded", False))


def save_adapter(model: PreTrainedModel, folder: Path, base: str) -> None:
    """Writes what PEFT and transformers read; `base` is the name by which they find what it belongs to.

    Half precision is enough for what is only added (docs/log.md).
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    anything: Any = model
    (config,) = anything.peft_config.values()
    config.base_model_name_or_path, config.inference_mode = base, True
    config.target_modules = sorted(config.target_modules)  # a set would be written in another order each time
    config.save_pretrained(folder)
    tensors = get_peft_model_state_dict(anything, save_embedding_layers=False)
    halves = {
        f"base_model.model.{name}": tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in tensors.items()
    }
    save_file(halves, folder / WEIGHTS, {"format": "pt"})


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The base with s B A added to its matrices: a model like any other. The base in memory is used up."""
    from peft import PeftModel

    with _quiet():
        adapted: Any = PeftModel.from_pretrained(model, folder)
        whole: PreTrainedModel = adapted.merge_and_unload()
    return whole.requires_grad_(True)  # which PEFT took from the base


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without PEFT's warning of what it settles itself, and transformers' of what PEFT asks it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
