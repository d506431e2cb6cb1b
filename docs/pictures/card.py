"""Photographs a bot's card as the Hugging Face Hub shows it.

    python docs/pictures/card.py bots/nasa docs/pictures/card.png

The Markdown is rendered by markdown-it-py and photographed by a Chromium that is on the PATH.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt

WIDTH, HEIGHT = 820, 1180

STYLE = """
body { margin: 0; padding: 28px 40px; color: #1f2937; background: #fff; font: 16px/1.6 "Noto Sans", sans-serif }
h1, h2 { line-height: 1.25 } h2 { margin-top: 1.6em; padding-bottom: .2em; border-bottom: 1px solid #e5e7eb }
pre { background: #f3f4f6; padding: 14px; border-radius: 8px; font-size: 14px; overflow: hidden }
code { background: #f3f4f6; border-radius: 4px; padding: 0 .3em } pre code { padding: 0 }
table { border-collapse: collapse } td, th { border: 1px solid #e5e7eb; padding: 5px 12px }
img[width="100%"] { border: 1px solid #e5e7eb; border-radius: 8px }
.tags { color: #4b5563; font-size: 13px }
.tags span { border: 1px solid #e5e7eb; border-radius: 999px; padding: 3px 11px }
.tags span { margin: 0 6px 6px 0; display: inline-block }
"""


def page(card: Path) -> str:
    """The card's own folder as base, so that its pictures are found."""
    header, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card.read_text(encoding="utf-8"), re.DOTALL).groups()  # type: ignore[union-attr]
    tags = re.findall(r"^(?:- |pipeline_tag: |license: |base_model: )([\w./-]+)$", header, re.MULTILINE)[:6]
    shown = "".join(f"<span>{tag}</span>" for tag in tags)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    head = f'<meta charset="utf-8"><base href="{card.parent.resolve().as_uri()}/"><style>{STYLE}</style>'
    return f'<!doctype html>{head}<p class="tags">{shown}</p>{html}'


def photograph(bot: Path, picture: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "card.html"
        file.write_text(page(bot / "README.md"), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
        size = f"--window-size={WIDTH},{HEIGHT}"
        command = [browser, *options, size, f"--screenshot={picture.resolve()}", f"--user-data-dir={folder}/profile"]
        subprocess.run([*command, file.as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
