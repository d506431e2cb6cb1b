"""The YAML header of a model card: what the Hub reads to sort, filter and compare bots.

Every key is one that the Hub knows, and every number was measured; what is unknown is left out rather than guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from huggingtweets.config import DEFAULT_PROMPT, DatasetSettings, SamplingSettings
from huggingtweets.escaping import plain
from huggingtweets.posts import Account
from huggingtweets.reports import DatasetReport, EvalReport, Sample, TrainReport

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

PICTURE = "predictions.png"
NAME_LETTERS = 50  # what X allows; longer names are cut
MAIN_LANGUAGE_SHARE = 0.1  # a language of at least every tenth post is named


@dataclass(frozen=True)
class CardFacts:
    """All that a card tells."""

    name: str  # of the bot: "nasa"
    accounts: Sequence[Account]  # each with its avatar's file name
    dataset: DatasetReport
    training: TrainReport
    evaluation: EvalReport
    samples: Sequence[Sample]
    sampling: SamplingSettings
    cleaning: DatasetSettings
    versions: Mapping[str, str]  # of packages, ours among them
    repo_id: str | None = None  # None until published
    repo_url: str | None = None  # where that is; None: on the Hub itself
    run_url: str | None = None  # the tracked training run, where it is public
    chosen: Sample | None = None  # shown on the picture, and none of the samples


def render_header(facts: CardFacts) -> str:
    """The YAML block, without the dashes around it; every key is one that the Hub knows."""
    from huggingface_hub import ModelCardData

    results = _eval_results(facts.evaluation)
    base, is_adapter = _hub_id(facts.training.base_id), facts.training.adapter_parameters is not None
    data = ModelCardData(
        language=_languages(facts.dataset),
        license=_license(facts.training.base_license),
        library_name="peft" if is_adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["huggingtweets", "social-media"],
        base_model=base,
        thumbnail=_thumbnail(facts),
        widget=[{"text": DEFAULT_PROMPT}],
        model_name=(plain(facts.name, NAME_LETTERS) or "bot") if results else None,
        eval_results=results or None,
    )
    if is_adapter and base:
        data["base_model_relation"] = "adapter"
    order = [
        "language",
        "license",
        "library_name",
        "pipeline_tag",
        "tags",
        "base_model",
        "base_model_relation",
        "thumbnail",
        "widget",
    ]
    return data.to_yaml(line_break="\n", original_order=order)


def _languages(report: DatasetReport) -> list[str] | None:
    """The main language first, then others with a fair share; None where the language is not known."""
    if report.language is None:
        return None
    others = [code for code, share in report.languages.items() if share >= MAIN_LANGUAGE_SHARE]
    codes = dict.fromkeys([report.language, *others])
    return [code for code in codes if re.fullmatch("[a-z]{2,3}", code)] or None


def _license(identifier: str | None) -> str | None:
    """As the Hub spells it, or None: an identifier it cannot read would make it refuse the card."""
    lower = (identifier or "").lower()
    return lower if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", lower) else None


def _hub_id(base_id: str) -> str | None:
    """The base as the Hub knows it; a folder is not there.

    >>> _hub_id("openai-community/gpt2"), _hub_id("./gpt2"), _hub_id("my-base")
    ('openai-community/gpt2', None, None)
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(base_id)
    except HFValidationError:
        return None
    return base_id if "/" in base_id else None


def _thumbnail(facts: CardFacts) -> str:
    """Social previews need a whole address, which there is only once the bot has a repository."""
    if facts.repo_id is None:
        return PICTURE
    home = facts.repo_url or f"https://huggingface.co/{facts.repo_id}"
    return f"{quote(home, safe=':/', errors='replace')}/resolve/main/{PICTURE}"


def _eval_results(scores: EvalReport) -> list[EvalResult]:
    results = []
    for model, suffix, words in ((scores.bot, "", ""), (scores.base, "_base", " of the base model")):
        if model is not None:
            results += [
                _eval_result("holdout", f"bits_per_byte{suffix}", f"Bits per byte{words}", model.bits_per_byte),
                _eval_result("holdout", f"nats_per_token{suffix}", f"Nats per token{words}", model.nats_per_token),
            ]
    if scores.copying.predictions:
        results += [
            _eval_result("train", "copied_share", "Predictions that copy a post", scores.copying.share),
            _eval_result("train", "distinct_1", "Different words (distinct-1)", scores.distinct_1),
            _eval_result("train", "distinct_2", "Different word pairs (distinct-2)", scores.distinct_2),
        ]
    return [result for result in results if math.isfinite(result.metric_value)]


def _eval_result(split: str, metric: str, name: str, value: float) -> EvalResult:
    from huggingface_hub import EvalResult

    names = {"holdout": "Held-out posts", "train": "Predictions beside the training posts"}
    return EvalResult(
        task_type="text-generation",
        dataset_type="private",  # the posts are not published
        dataset_name=names[split],
        dataset_split=split,
        metric_type=metric,
        metric_name=name,
        metric_value=round(value, 4),
    )
