"""Adapters added to a base as it computes, another one for each row: to W x comes s B (A x), in two batched products.

That is S-LoRA's way (https://arxiv.org/abs/2311.03285), without its kernels. The base's weights stay as they are.

Not covered: adapters that are more than A and B for some layers; `is_plain` tells.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from huggingtweets.adapters import CONFIG, WEIGHTS
from huggingtweets.botdir import read_json
from huggingtweets.errors import BotError

Matrices = dict[str, tuple[Tensor, Tensor]]  # by layer: A (r, in) and s B (out, r)

# What PEFT's settings say of a plain one. Whatever else is set changes what is computed.
_PLAIN = {"peft_type": "LORA", "bias": "none"}
_FALSE = (
    "use_dora",
    "use_rslora",
    "lora_bias",
    "alpha_pattern",
    "rank_pattern",
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
)


def is_plain(folder: Path) -> bool:
    """Whether the adapter in a folder is A and B alone. Raises BotError where it is damaged."""
    settings = read_json(folder / CONFIG)
    return all(settings.get(name) == value for name, value in _PLAIN.items()) and not any(map(settings.get, _FALSE))


def read_adapter(folder: Path) -> Matrices:
    """In float32, of a folder in PEFT's format; raises BotError where it is damaged."""
    settings = read_json(folder / CONFIG)
    try:
        tensors = {name.removeprefix("base_model.model."): part for name, part in load_file(folder / WEIGHTS).items()}
        scale = settings["lora_alpha"] / settings["r"]
        layers = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
        return {
            layer: (tensors[f"{layer}.lora_A.weight"].float(), scale * tensors[f"{layer}.lora_B.weight"].float())
            for layer in layers
        }
    except (SafetensorError, OSError, KeyError, TypeError, ZeroDivisionError) as error:
        raise BotError(f"The adapter in {folder} is damaged: {error}.") from error


def size_of(adapter: Matrices) -> int:
    """In bytes."""
    return sum(part.nbytes for pair in adapter.values() for part in pair)


class Adapted:
    """A base whose layers add what the adapters of the present rows say."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = dict(model.named_modules())
        self._hooked: set[str] = set()
        self._stacked: dict[str, tuple[Tensor, Tensor]] = {}

    def fitting(self, adapter: Matrices) -> Matrices:
        """The adapter where the base is; raises BotError for one of another base."""
        there: Matrices = {}
        for name, (a, b) in adapter.items():
            weight = getattr(self._layers.get(name), "weight", None)
            if weight is None or sorted(weight.shape) != sorted((a.shape[1], b.shape[0])):
                raise BotError(f"The adapter is of another base than the one that is here: {name} doesn't fit.")
            there[name] = a.to(weight.device), b.to(weight.device)
        return there

    def set(self, adapters: Sequence[Matrices]) -> None:
        """One adapter a row, from now on."""
        names = dict.fromkeys(name for adapter in _different(adapters) for name in adapter)
        for name in names.keys() - self._hooked:
            self._layers[name].register_forward_hook(functools.partial(self._add, name))
            self._hooked.add(name)
        self._stacked = {name: _stacked([adapter.get(name) for adapter in adapters]) for name in names}

    def _add(self, name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if name not in self._stacked:
            return output
        a, b = self._stacked[name]
        return output + inputs[0] @ a.mT @ b.mT  # (B, T, in) to (B, T, r) to (B, T, out)


def _different(adapters: Iterable[Any]) -> list[Any]:
    return list({id(adapter): adapter for adapter in adapters}.values())


def _stacked(pairs: Sequence[tuple[Tensor, Tensor] | None]) -> tuple[Tensor, Tensor]:
    """A (B, r, in) and s B (B, out, r), smaller ranks filled up with zeros; one pair where all rows have the same."""
    first, *others = _different(pair for pair in pairs if pair is not None)
    if not others and None not in pairs:
        return first  # type: ignore[no-any-return]
    rank = max(len(a) for a, _ in (first, *others))
    nothing = (first[0][:0], first[1][:, :0])
    chosen = [pair or nothing for pair in pairs]
    a = torch.stack([F.pad(a, (0, 0, 0, rank - len(a))) for a, _ in chosen])
    b = torch.stack([F.pad(b, (0, rank - b.shape[1])) for _, b in chosen])
    return a, b
