"""Outliers taken out of a model's activations, so that int8 loses less. What the model computes stays the same.

int8 stores a token's activations in 255 steps of their largest; a few channels a hundred times larger than the others
leave these hardly any. Two rewritings of the weights, exact but for rounding, even that out:

- the hidden states are rotated, which spreads every outlier over all channels: QuaRot (Ashkboos et al. 2024), here
  with one random rotation that keeps the mean, so that it passes through LayerNorm as well as through RMSNorm;
- where a product of two projections is read, which can't be rotated, its large channels are scaled down in one of
  the two and up in the reader: SmoothQuant (Xiao et al. 2022).

Models of other families stay as they are. Gains: measured, see docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LLAMAS = {"llama", "mistral", "qwen2", "qwen3"}  # one layout, and a norm whose weight is a plain factor
SMALLEST = 1e-5  # SmoothQuant's, for channels that are off


class Branch(NamedTuple):
    """What reads the hidden states (all of it through one norm), and what adds to them."""

    norm: Any
    readers: Sequence[Any]
    writers: Sequence[Any]


def spread_outliers(model: PreTrainedModel, probes: Sequence[Sequence[int]]) -> None:
    """Rewrites the weights in place; an output layer that was the input embedding has weights of its own after.

    `probes` are token ids of texts on which the channels are compared.
    """
    found = _parts(model)
    if found is None:
        return
    embeddings, branches = found
    with torch.no_grad():
        _untie(model)
        for branch in branches:
            _fold(branch.norm, branch.readers)
        if model.config.model_type in LLAMAS:
            _even_out(model, [block.mlp for block in model.model.layers], probes)
        rotation = _rotation(model.config.hidden_size)
        for embedding in embeddings:
            embedding.weight.copy_(embedding.weight @ rotation)
        for branch in branches:
            for reader in branch.readers:
                _weight(reader).copy_(_weight(reader) @ rotation)
            for writer in branch.writers:
                _weight(writer).copy_(rotation.T @ _weight(writer))
                if writer.bias is not None:
                    writer.bias.copy_(writer.bias @ rotation)


def _parts(model: Any) -> tuple[list[Any], list[Branch]] | None:
    """The embeddings and the branches of a model whose family is known."""
    if model.config.model_type == "gpt2":
        body, branches = model.transformer, []
        for block in body.h:
            branches.append(Branch(block.ln_1, [block.attn.c_attn], [block.attn.c_proj]))
            branches.append(Branch(block.ln_2, [block.mlp.c_fc], [block.mlp.c_proj]))
        return [body.wte, body.wpe], [*branches, Branch(body.ln_f, [model.lm_head], [])]
    if model.config.model_type in LLAMAS:
        body, branches = model.model, []
        for block in body.layers:
            attention, mlp = block.self_attn, block.mlp
            queries = [attention.q_proj, attention.k_proj, attention.v_proj]
            branches.append(Branch(block.input_layernorm, queries, [attention.o_proj]))
            branches.append(Branch(block.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj], [mlp.down_proj]))
        return [body.embed_tokens], [*branches, Branch(body.norm, [model.lm_head], [])]
    return None


def _weight(linear: Any) -> torch.Tensor:
    """(out, in), which GPT-2 stores the other way round."""
    weight: torch.Tensor = linear.weight.data
    return weight if isinstance(linear, torch.nn.Linear) else weight.T


def _untie(model: Any) -> None:
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())


def _fold(norm: Any, readers: Sequence[Any]) -> None:
    """Moves a norm's own weight and bias into what reads it."""
    shift = getattr(norm, "bias", None)
    for reader in readers:
        weight = _weight(reader)
        if shift is not None:
            shifted = weight @ shift
            reader.bias = torch.nn.Parameter(shifted if reader.bias is None else reader.bias + shifted)
        weight.mul_(norm.weight)
    norm.weight.fill_(1)
    if shift is not None:
        shift.zero_()


def _even_out(model: PreTrainedModel, mlps: Sequence[Any], probes: Sequence[Sequence[int]]) -> None:
    """Scales the channels that every `down_proj` reads: they are linear in `up_proj`."""
    largest = _largest_inputs(model, [mlp.down_proj for mlp in mlps], probes)
    for mlp, activations in zip(mlps, largest, strict=True):
        weights = mlp.down_proj.weight.abs().amax(0)
        scale = (activations.clamp(min=SMALLEST) / weights.clamp(min=SMALLEST)).sqrt()  # (F,); alpha = 0.5
        mlp.up_proj.weight.div_(scale[:, None])
        if mlp.up_proj.bias is not None:
            mlp.up_proj.bias.div_(scale)
        mlp.down_proj.weight.mul_(scale)


def _largest_inputs(model: Any, linears: Sequence[Any], probes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Of every channel that a layer reads, the largest magnitude."""
    largest = [torch.zeros(linear.in_features) for linear in linears]

    def note(place: int, read: torch.Tensor) -> None:
        largest[place] = torch.maximum(largest[place], read.abs().flatten(end_dim=-2).amax(0))

    hooks = [
        linear.register_forward_pre_hook(lambda layer, arguments, place=place: note(place, arguments[0]))
        for place, linear in enumerate(linears)
    ]
    for ids in probes:
        model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return largest


def _rotation(channels: int) -> torch.Tensor:
    """(C, C): orthogonal, and a vector of ones stays what it is."""
    rng = torch.Generator().manual_seed(0)

    def basis() -> torch.Tensor:  # its first vector along the ones
        noise = torch.randn(channels, channels - 1, generator=rng, dtype=torch.float64)
        vectors: torch.Tensor = torch.linalg.qr(torch.cat([torch.ones(channels, 1).double(), noise], 1)).Q
        return vectors

    return (basis() @ basis().T).float()
