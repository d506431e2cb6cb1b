"""`model/` and `dataset/` in; `eval.json` and `samples.jsonl` out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from huggingtweets.bot import Bot
from huggingtweets.botdir import BotDir, file_digest, key_of, read_as, write_json, write_jsonl
from huggingtweets.config import DEFAULT_PROMPT, LARGEST_SEED, BotSettings
from huggingtweets.copies import find_copies
from huggingtweets.dataset import read_texts
from huggingtweets.errors import StageMissing
from huggingtweets.reports import Advanced, EvalReport, Listener, Notice, Sample, StageDone, StageStarted
from huggingtweets.stages.inputs import data_digest, need

SHOWN_PREDICTIONS = 10  # original
UNPROMPTED_PREDICTIONS = 50  # enough to see copying of a few percent; half a minute on two cores
PREDICTION_WORK = 7  # for the progress bar: writing one post takes as long as scoring so many; measured
OWN_POSTS = 300  # of the account, held to the same copy measure


def evaluate(bot: BotDir, settings: BotSettings, listen: Listener) -> EvalReport:
    """model/ and dataset/ in; eval.json and samples.jsonl out."""
    need(bot, bot.train_report, "train")
    for file in (bot.train_posts, bot.holdout_posts):
        need(bot, file, "build")
    trained, key = bot.stage("train") or {}, _key(bot, settings)
    if trained.get("data") != data_digest(bot):
        raise StageMissing(
            f"The dataset of {bot.name} has changed since its training.",
            why="Posts that are held out now may have been trained on, so a score would be worth nothing.",
            next=f"huggingtweets train {bot.name} --again",
        )
    if is_scored(bot, settings):
        report = read_as(bot.eval_report, EvalReport.from_json)
        listen(StageDone("evaluate", _eval_summary(report), skipped=True))
        return report
    listen(StageStarted("evaluate", "Scoring and predicting"))
    report, samples = _score(bot, settings, listen)
    write_json(bot.eval_report, report.to_json())
    write_jsonl(bot.samples, (sample.to_json() for sample in samples))
    bot.mark_done("evaluate", key, weights=trained.get("weights"))
    listen(StageDone("evaluate", _eval_summary(report)))
    return report


def is_scored(bot: BotDir, settings: BotSettings) -> bool:
    """Whether the scores are there, of this model and this dataset."""
    return bot.is_done("evaluate", _key(bot, settings), [bot.eval_report, bot.samples])


def _key(bot: BotDir, settings: BotSettings) -> str:
    weights = (bot.stage("train") or {}).get("weights")
    return key_of(weights, settings.seed, file_digest(bot.holdout_posts), file_digest(bot.train_posts))


def _score(bot: BotDir, settings: BotSettings, listen: Listener) -> tuple[EvalReport, list[Sample]]:
    from huggingtweets import evaluation
    from huggingtweets.bases import find_base, load_base, load_folder
    from huggingtweets.devices import choose_device

    device = choose_device(settings.training.device, settings.training.threads)
    held_out = [text.text for text in read_texts(bot.holdout_posts)]
    predicting = PREDICTION_WORK * (SHOWN_PREDICTIONS + UNPROMPTED_PREDICTIONS)
    total = predicting + 2 * len(held_out)

    def advance(before: int, work: int = 1) -> Callable[[int], None]:
        return lambda done: listen(Advanced("evaluate", before + work * done, total))

    samples = _predict(Bot(bot.path), settings, listen, advance(0, PREDICTION_WORK))
    scores = {}
    for number in range(2 if held_out else 0):
        model, tokenizer = load_base(find_base(settings.base)) if number else load_folder(bot.model)
        progress = advance(predicting + number * len(held_out))
        scores[number] = evaluation.score_held_out(model, tokenizer, held_out, device, progress)
    unprompted = [sample for sample in samples if not sample.prompt]
    number = sum(1 for _ in _own_posts(bot))
    places = set(random.Random(settings.seed).sample(range(number), min(OWN_POSTS, number)))
    own = {place: text for place, text in enumerate(_own_posts(bot)) if place in places}
    report = EvalReport(
        bot=scores.get(0),
        base=scores.get(1),
        copying=evaluation.copying([sample.copied_from for sample in unprompted], _own_posts(bot), own),
        distinct_1=evaluation.distinct([sample.text for sample in unprompted], 1),
        distinct_2=evaluation.distinct([sample.text for sample in unprompted], 2),
    )
    return report, samples


def _own_posts(bot: BotDir) -> Iterator[str]:
    """What was trained on, one at a time."""
    return (text.text for text in read_texts(bot.train_posts))


def _predict(bot: Bot, settings: BotSettings, listen: Listener, on_progress: Callable[[int], None]) -> list[Sample]:
    """The predictions to show, then the unprompted ones that are scored, each with the post it copies."""
    texts: list[tuple[str, str]] = []
    for number, (prompt, n) in enumerate(((DEFAULT_PROMPT, SHOWN_PREDICTIONS), ("", UNPROMPTED_PREDICTIONS))):
        some = bot.generate(
            prompt,
            n,
            seed=(settings.seed + number) % LARGEST_SEED,
            device=settings.training.device,
            threads=settings.training.threads,
            say=lambda text: listen(Notice(text)),
        )
        texts += [(prompt, text) for text in some]
        on_progress(len(texts))
    copies = find_copies([text for _, text in texts], _own_posts(bot.dir))
    return [Sample(prompt, text, copy) for (prompt, text), copy in zip(texts, copies, strict=True)]


def _eval_summary(report: EvalReport) -> str:
    copied = f"{report.copying.share:.0%} of predictions copy a post"
    if report.base is None or report.bot is None:
        return f"nothing held out, {copied}"
    return f"{report.base.bits_per_byte:.3f} to {report.bot.bits_per_byte:.3f} bits per byte, {copied}"
