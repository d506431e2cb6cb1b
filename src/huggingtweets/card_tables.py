"""The sections of a model card that are mostly numbers: training data, scores, training procedure."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from huggingtweets.card_header import NAME_LETTERS, CardFacts
from huggingtweets.config import COPIED_SHARE, COPIED_WORDS, MIN_WORDS, DatasetSettings
from huggingtweets.escaping import attribute, inline, plain
from huggingtweets.reports import Copying, Counts, DatasetReport, EvalReport, TrainReport, reasons

SMALL_GAIN = 0.05  # below this the card says that the bot learned little


def training_data(facts: CardFacts) -> str:
    report = facts.dataset
    paragraphs = [
        "## Training data",
        _cleaning_words(facts.cleaning),
        _counts_table(report),
        _privacy_words(facts.cleaning, report.scrubbed_posts),
        f"{_split_words(report)} The posts themselves are not part of this repository.",
        _language_words(report),
        *(f"> ⚠️ {inline(warning)}" for warning in report.warnings),
        _balance_words(facts),
        _run_link(facts.run_url),
    ]
    return "\n\n".join(filter(None, paragraphs))


def _cleaning_words(cleaning: DatasetSettings) -> str:
    duplicates = " Posts that came twice count once." if cleaning.drop_duplicates else ""
    return (
        "Links are taken out of the posts. Retweets are other people's words and train nothing; neither do posts"
        f" with fewer than {MIN_WORDS} plain words.{duplicates}"
    )


def _privacy_words(cleaning: DatasetSettings, scrubbed_posts: int) -> str:
    sentences = []
    if cleaning.scrub:
        found = f"removed from {scrubbed_posts:,} of the kept posts" if scrubbed_posts else "looked for, and none found"
        sentences.append(f"E-mail addresses and phone numbers were {found}.")
    if cleaning.mentions == "neutral":
        sentences.append("Mentions name nobody, so that the bot pings no real people.")
    return " ".join(sentences)


def _counts_table(report: DatasetReport) -> str:
    """A column an account, and one for all of them where there are several."""
    columns = [
        (code(plain(f"@{handle}", NAME_LETTERS)), counts, report.characters.get(handle, 0))
        for handle, counts in report.counts.items()
    ]
    if len(columns) > 1:
        columns.append(("All", _sum(list(report.counts.values())), sum(report.characters.values())))
    dropped = [
        [f"− {_row_name(reason)}", *(f"{counts.dropped.get(reason, 0):,}" for _, counts, _ in columns)]
        for reason in reasons(report.counts.values())
    ]
    return _table(
        ["", *(heading for heading, _, _ in columns)],
        [
            ["Posts downloaded", *(f"{counts.downloaded:,}" for _, counts, _ in columns)],
            *dropped,
            ["**= Posts kept**", *(f"**{counts.kept:,}**" for _, counts, _ in columns)],
            ["Characters kept", *(f"{characters:,}" for _, _, characters in columns)],
        ],
        numbers=True,
    )


def _row_name(reason: str) -> str:
    """
    >>> _row_name("short"), _row_name("behind a warning")
    ('Short posts', 'Behind a warning')
    """
    names = {"short": "Short posts", "joined": "Joined to the post before"}
    return names.get(reason) or inline(reason[:1].upper() + reason[1:])


def _sum(counts: Sequence[Counts]) -> Counts:
    left_out: Counter[str] = Counter()
    for each in counts:
        left_out.update(each.left_out)
    names = ("retweets", "short", "duplicates", "kept", "joined")
    sums = {name: sum(getattr(each, name) for each in counts) for name in names}
    return dataclasses.replace(Counts(**sums), left_out=left_out)


def _split_words(report: DatasetReport) -> str:
    if report.holdout_posts == 0:
        return f"All {report.train_posts:,} of them trained the bot; none were held out."
    aside = ""
    if report.set_aside_posts:
        aside = f" {report.set_aside_posts:,} that nearly repeat a held-out post were used for neither."
    return (
        f"{report.train_posts:,} of them trained the bot; {report.holdout_posts:,} were held out for the scores"
        f" below.{aside}"
    )


def _balance_words(facts: CardFacts) -> str:
    if len(facts.dataset.counts) < 2:
        return ""
    return "Every account weighs the same: shorter ones are repeated until they are as long as the longest."


def _language_words(report: DatasetReport) -> str:
    """
    >>> report = DatasetReport({}, {}, 0, 0, 0, "ja", {"ja": 0.91, "en": 0.06})
    >>> _language_words(report)
    'Languages, as detected: ja 91%, en 6%.'
    """
    shares = ", ".join(f"{inline(code)} {percent(share)}" for code, share in report.languages.items())
    return f"Languages, as detected: {shares}." if shares else "The language could not be told."


def _run_link(url: str | None) -> str:
    """Only an address that is nothing but one becomes a link."""
    if url is None or not re.fullmatch(r"https://[\w.:-]+(/[\w./~%=?&-]*)?", url, re.ASCII):
        return ""
    return f'<a href="{attribute(url)}">The tracked run</a> holds the data, the curves and the model as artifacts.'


def scores_section(facts: CardFacts) -> str:
    scores = facts.evaluation
    copying = scores.copying
    rows = _held_out_rows(scores) + _prediction_rows(scores)
    table = _table(["", "This bot", "To compare with"], rows) if rows else ""
    paragraphs = ["## Scores", table, _gain_words(scores), _copying_words(copying), _variety_words(copying)]
    return "\n\n".join(filter(None, paragraphs))


def _held_out_rows(scores: EvalReport) -> list[list[str]]:
    if scores.bot is None:
        return []
    bits, nats = f"**{scores.bot.bits_per_byte:.3f}**", f"**{scores.bot.nats_per_token:.3f}**"
    base_bits = base_nats = ""
    if scores.base is not None:
        base_bits = f"{scores.base.bits_per_byte:.3f}, its base model"
        base_nats = f"{scores.base.nats_per_token:.3f}, its base model"
    return [
        [f"Bits per byte, {scores.bot.posts:,} held-out posts", bits, base_bits],
        ["Nats per token, the same posts", nats, base_nats],
    ]


def _prediction_rows(scores: EvalReport) -> list[list[str]]:
    copying = scores.copying
    if copying.predictions == 0:
        return []
    own = f"{percent(copying.own_share)} of {copying.own_posts:,} real posts copy another one"
    return [
        [
            "Predictions that copy a training post",
            f"**{percent(copying.share)}** of {copying.predictions:,}",
            own if copying.own_posts else "",
        ],
        ["Different words (distinct-1)", f"**{scores.distinct_1:.2f}**", ""],
        ["Different word pairs (distinct-2)", f"**{scores.distinct_2:.2f}**", ""],
    ]


def _gain_words(scores: EvalReport) -> str:
    gain = scores.gain
    if scores.bot is None:
        return "No post was held out, so how well the bot knows the voice was **not measured**."
    meaning = "*Bits per byte* tell how much of a post the model still has to be told: the lower, the better."
    if gain is None or not math.isfinite(gain):
        return meaning
    if gain <= 0:
        return f"{meaning} The bot needs no fewer than its base: by this measure **training did not help**."
    verdict = "it learned how these posts are written" if gain >= SMALL_GAIN else "it learned little"
    return f"{meaning} For posts it never saw, the bot needs **{percent(gain)} fewer** than its base: {verdict}."


def _copying_words(copying: Copying) -> str:
    if copying.predictions == 0:
        return "Whether the bot copies posts was **not measured**."
    meaning = (
        f"*Copying* is taking more than {COPIED_WORDS} words in a row from one training post; in shorter texts, more"
        f" than {COPIED_SHARE:.0%} of the words."
    )
    if copying.own_posts == 0:
        return meaning
    more = "more" if copying.share > copying.own_share else "no more"
    return f"{meaning} The bot does so {more} often than the account repeats itself."


def _variety_words(copying: Copying) -> str:
    if copying.predictions == 0:
        return ""
    return "*Different words*, without a given start: near 1 the predictions vary, near 0 they repeat themselves."


def training_procedure(facts: CardFacts) -> str:
    training = facts.training
    return f"""\
## Training procedure

{_table(["Base model", code(training.base_id)], _training_rows(training))}

*Why this many steps:* {inline(training.plan)}

<details><summary>All settings</summary>

{_table(["Training", ""], _setting_rows(training.settings))}

{_table(["Cleaning", ""], _setting_rows(dataclasses.asdict(facts.cleaning)))}

</details>"""


def _training_rows(training: TrainReport) -> list[list[str]]:
    rate, seed = (code(training.settings.get(key, "unknown")) for key in ("learning_rate", "seed"))
    return [
        ["Its licence", code(training.base_license or "unknown")],
        ["Parameters", _parameters(training)],
        ["Recipe", code(training.recipe)],
        ["Optimizer steps", f"{training.steps:,}"],
        ["Passes over the posts", f"{training.epochs:.3g}"],
        ["Tokens trained", f"{training.tokens:,}"],
        ["Learning rate", rate],
        ["Seed", seed],
        ["Loss, nats per token", f"{training.first_loss:.3f} at first, {training.final_loss:.3f} at last"],
        ["Time", _duration(training.seconds)],
        ["Device", f"{code(training.device)}, {code(training.dtype)}, {_threads(training.threads)}"],
    ]


def _parameters(training: TrainReport) -> str:
    if training.adapter_parameters is None:
        return f"{_millions(training.parameters)} million"
    base = training.parameters - training.adapter_parameters
    return (
        f"{_millions(base)} million of the base, which stayed as they are, and"
        f" {_millions(training.adapter_parameters)} million of a low-rank adapter"
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _setting_rows(settings: Mapping[str, Any]) -> list[list[str]]:
    """What was left to be derived (None) is in the rows above, as it came out."""
    return [
        [code(key), code(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)]
        for key, value in settings.items()
        if value is not None
    ]


def code(value: object) -> str:
    """For Markdown only: a code span, or the element where the text could end one.

    >>> code("top_p"), code("a`b")
    ('`top_p`', '<code>a&#96;b</code>')
    """
    text = str(value)
    if len(text) <= NAME_LETTERS and re.fullmatch(r"[\w.@/+-]+", text, re.ASCII):
        return f"`{text}`"
    return f"<code>{inline(text)}</code>"


def _duration(seconds: float) -> str:
    """
    >>> _duration(42.4), _duration(612), _duration(7260)
    ('42 s', '10 min 12 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def percent(share: float) -> str:
    """Whole percents, but something is never rounded down to nothing, nor up to all.

    >>> [percent(share) for share in (0, 0.004, 0.031, 0.5, 0.998, 1)]
    ['0%', 'under 1%', '3%', '50%', 'over 99%', '100%']
    """
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share:.0%}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A Markdown table of finished cells; `numbers` aligns all columns but the first to the right."""
    rule = [":--", *("--:" if numbers else ":--" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
