"""The page of a huggingtweets bot: first words in, ten posts out, growing as they are written.

Whose bot it is, and where, stands in `space.json`. A private bot is read with the secret HF_TOKEN of this Space.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr  # after the line above, which it reads
from voice import TooLong, Voice

HERE = Path(__file__).parent
BOT: dict[str, Any] = json.loads((HERE / "space.json").read_text(encoding="utf-8"))
POSTS = 10
START_LETTERS = 1000
LARGEST_SEED = 2**32 - 2
LOWEST, HIGHEST = 0.1, 2.0  # temperature
STYLE = """
.bot { text-align: center }
.bot img { display: inline-block; width: 88px; height: 88px; margin: 0 6px; border-radius: 50%; object-fit: cover }
.bot h1 { margin: 8px 0 4px }
.posts { display: grid; align-items: start; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)) }
.posts p { margin: 0; padding: 12px 14px; border: 1px solid var(--border-color-primary); border-radius: 10px;
  background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere;
  white-space: pre-line }
.posts b { color: var(--body-text-color) }
"""

voice = Voice(BOT["model"], BOT["keeps_newlines"], BOT["replaced"])


def predict(start: str = BOT["start"], temperature: float = 1.0, seed: int | None = None) -> list[str]:
    """Ten posts, for programs."""
    return list(_written(start, temperature, seed))[-1]


def show(start: str, temperature: float, seed: str) -> Iterator[str]:
    """Ten posts as they grow, for the page."""
    if seed.strip() and not seed.strip().isdecimal():
        raise _sentence("A seed is a whole number, or nothing.")
    for texts in _written(start, temperature, int(seed) if seed.strip() else None):
        yield _as_html(start, texts)


def _written(start: str, temperature: float, seed: int | None) -> Iterator[list[str]]:
    if not LOWEST <= temperature <= HIGHEST:
        raise _sentence(f"The temperature is {LOWEST} to {HIGHEST}.")
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        raise _sentence(f"A seed is 0 to {LARGEST_SEED}.")
    _load()
    try:
        yield from voice.write(start[:START_LETTERS], POSTS, temperature, seed)
    except TooLong:
        raise _sentence("That is more than this bot can read. Begin with fewer words.") from None


def _load() -> None:
    try:
        voice.loaded  # noqa: B018 (loads it, once)
    except (OSError, ValueError) as error:  # what transformers raises for a model that it can't get
        raise _sentence(
            f"The model {BOT['model']} could not be loaded. If it is private, this Space needs a secret named "
            "HF_TOKEN, a token that may read it: Settings, Variables and secrets."
        ) from error


def _sentence(text: str) -> gr.Error:
    return gr.Error(text, print_exception=False)


def _as_html(start: str, texts: list[str]) -> str:
    posts = []
    for text in texts:
        given = start if text.startswith(start) else ""
        posts.append(f'<p dir="auto"><b>{html.escape(given)}</b>{html.escape(text[len(given) :])}</p>')
    return f'<div class="posts" aria-label="AI-generated posts">{"".join(posts)}</div>'


def _face(file: str) -> str:
    picture = base64.b64encode((HERE / "avatars" / file).read_bytes()).decode()
    return f'<img alt="" src="data:image/png;base64,{picture}">'


def _introduction() -> str:
    faces = "".join(_face(file) for file in BOT["avatars"] if (HERE / "avatars" / file).is_file())
    whose = "this account" if len(BOT["handles"]) == 1 else "these accounts"
    handles = " · ".join(f"<code>@{html.escape(handle)}</code>" for handle in BOT["handles"])
    return f"""<div class="bot">{faces}
<h1 dir="auto">{html.escape(BOT["title"])}</h1>
<p>{handles}</p>
<p>🤖 <strong>AI-generated.</strong> A small language model that learned to write like {whose}.
Everything it writes is made up by a machine.</p>
<p><a href="{html.escape(BOT["card"])}" target="_blank" rel="noopener">How it was made, and its limits</a></p></div>"""


with gr.Blocks(title=f"{BOT['title']} · AI bot") as page:
    gr.HTML(_introduction())
    start = gr.Textbox(BOT["start"], label="How the posts begin", max_length=START_LETTERS, lines=1)
    with gr.Accordion("More", open=False):
        temperature = gr.Slider(LOWEST, HIGHEST, BOT["temperature"], step=0.05, label="Temperature (higher is wilder)")
        seed = gr.Textbox(label="Seed", placeholder="a number: the same posts each time", max_length=10)
    button = gr.Button("Write ten posts", variant="primary")
    posts = gr.HTML()
    gr.Markdown("If you share a post, say that a machine wrote it.")
    gr.on([button.click, start.submit], show, [start, temperature, seed], posts, api_visibility="private")
    gr.api(predict, api_name="predict")

if __name__ == "__main__":
    with contextlib.suppress(gr.Error):  # said to whoever presses the button
        _load()
    theme = gr.themes.Default(primary_hue="indigo").set(
        button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700"
    )
    page.queue(max_size=32).launch(css=STYLE, theme=theme)
