"""The pictures of docs/web.md, by the browser that the tests use.

    python tests/screenshots.py bots/nasa

Serves a copy of the bot, lets it write ten posts, and takes pictures into docs/pictures/.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from browser import DESK, PHONE, chromium, looking, serving

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
TALL = {**DESK, "height": 1250}
STILL: Any = {"reduced_motion": "reduce"}
START, SEED = "My dream is", "3"


def main(bot: Path, pictures: Path = PICTURES) -> None:
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        shutil.copytree(bot, folder / "bots" / bot.name)
        with serving(folder, "--base", "smollm2") as site:
            with looking(browser, site, viewport=DESK, **STILL) as look:
                save(look.at("/"), pictures / "web-home.webp")
            with looking(browser, site, viewport=TALL, **STILL) as look:
                page = look.at(f"/{bot.name}")
                write_ten(page)
                page.mouse.move(0, 0)
                save(page, pictures / "web-play.webp")
                shared = page.locator("[data-post] .post-actions a").first.get_attribute("href") or ""
            phone = {"viewport": PHONE, "is_mobile": True, "device_scale_factor": 2}
            with looking(browser, site, color_scheme="dark", **phone) as look:
                save(look.at(shared), pictures / "web-share.webp")
            with looking(browser, site, viewport=TALL, **STILL) as look:
                learn(look.at("/"), folder, bot, pictures / "web-learn.webp")


def save(page: Page, path: Path) -> None:
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.save(path, quality=88)


def write_ten(page: Page) -> None:
    page.get_by_label("Start of the post").fill(START)
    page.locator("summary", has_text="More").click()
    page.get_by_label("Seed").fill(SEED)
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Write ten").click()
    expect(page.locator("[data-post] .post-actions a").first).to_be_visible()
    for picture in page.locator(".post-picture img").all()[:2]:
        expect(picture).to_have_js_property("naturalWidth", 1200)


def learn(page: Page, folder: Path, bot: Path, picture: Path) -> None:
    """The bot's posts are learned anew; the picture is of when some steps are made."""
    posts = folder / f"{bot.name}-again.jsonl"
    shutil.copy(bot / "dataset" / "train.jsonl", posts)
    page.locator("#files").set_input_files(posts)
    expect(page.locator(".voice")).to_contain_text("ready")
    page.get_by_role("button", name="Read the posts").click()
    page.get_by_label("Learn for").select_option("3")
    page.get_by_role("button", name="Train").click()
    expect(page.locator(".left")).to_contain_text("Step 12 of", timeout=300_000)
    save(page, picture)
    page.get_by_role("button", name="Cancel").click()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
