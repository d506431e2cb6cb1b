"""The web app as people meet it: `huggingtweets serve` as a process, Chromium in front of it, a bot that is trained."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from browser import PHONE, Site, chromium, looking, serving, wait_for
from conftest import invented_posts
from huggingtweets.fleet.ledger import Ledger, file_of
from huggingtweets.fleet.members import Member
from huggingtweets.reports import FLEET_FILE
from huggingtweets.web.html import static
from huggingtweets.web.records import Complaint, Job, Prediction
from huggingtweets.web.store import Store
from huggingtweets.web.streams import _line

TEXTS = {
    "German": "Süße Grüße aus Köln: „Straßenbahnhaltestellenüberdachung“ ist ein schönes Wort.",
    "French": "L’été dernier, à Besançon : « Où étiez-vous ? » Nous rêvions d’un cœur léger…",
    "Japanese": "今日はとても良い天気ですね。散歩に行きましょう！🌸",
    "Arabic": "أحلم بأن أطير فوق المدينة مع @nasa عند الساعة 3 مساءً.",
    "a script": "<script>document.title = 'caught'</script><img src=x onerror=\"document.title='caught'\"> & \"'",
    "reversed": "Open invoice\u202egnp.exe\u202c and {{ 7 * 7 }} %s \u2066mixed\u2069",
    "three thousand characters": "endless" * 428 + "word",
}


GOES = "takenxdown"  # the id of a prediction that a test takes down


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(rover: Path, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with one finished bot, a job of each kind, a complaint, and predictions in many scripts."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(rover, folder / "bots" / "rover")
    with serving(folder, "--base", str(tiny_gpt2), "--minutes", "0.05") as site:
        fill(site)
        yield site


def fill(site: Site) -> None:
    store = store_of(site)
    store.add_predictions(
        [
            Prediction("rover", "", text, "script-draw", number, 1, 1.0, 0.95, 160, id=id_of(number))
            for number, text in enumerate(TEXTS.values())
        ]
    )
    store.add_predictions([Prediction("rover", "", "To be gone.", "gone-draw", 0, 1, 1.0, 0.95, 160, id=GOES)])
    store.add_complaint(Complaint("rover", id_of(0), "That sounds like me.\nPlease take it down.", "me@example.org"))
    for state in ("ready", "failed", "word"):
        store.add_job(job_in(state))
    fleet = Ledger([Member("line 1", ("nowhere.csv",))], "accounts.txt", "bots")
    (site.bots_dir / FLEET_FILE).write_bytes(file_of(fleet.to_json()))
    store.close()


def job_in(state: str) -> Job:
    counts = {"alice": {"downloaded": 10, "kept": 6, "dropped": {"retweets": 3, "short": 1}}}
    progress = {"phase": "build", "label": "Sorting", "fraction": 1.0, "counts": counts, "samples": [*TEXTS.values()]}
    error = {"code": "consent_missing", "what": "Whose posts are these?", "why": "", "next": "", "needs": ["word"]}
    return Job(
        "owner",
        ("file:nowhere.csv",),
        ("nowhere.csv",),
        f"bot-{state}",
        "gpt2",
        state=state,  # type: ignore[arg-type]
        progress=progress if state == "ready" else {},
        error={"ready": None, "word": error}.get(state, {**error, "code": "internal", "needs": []}),
        id=f"job{state:x>9}",
    )


def id_of(number: int) -> str:
    return f"sample{number:x>4}"


def store_of(site: Site) -> Store:
    return Store.open(f"sqlite:///{site.bots_dir / '.web' / 'web.sqlite3'}")


def write_csv(path: Path, posts: Sequence[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([post] for post in posts)])
    return path


PAGES = (
    "/",
    "/about",
    "/api",
    "/bots",
    "/bots?q=rover",
    "/login",
    "/reports",
    "/rover",
    f"/rover/{id_of(0)}",
    f"/rover/{id_of(0)}/report",
    "/make/jobxxxxready",
    "/make/jobxxxfailed",
    "/make/jobxxxxxword",
)


def write_ten(page: Page, start: str = "The rover") -> list[str]:
    """Types the start, presses the button and returns what was written."""
    page.get_by_label(re.compile("start", re.IGNORECASE)).first.fill(start)
    page.get_by_role("button", name=re.compile("write ten", re.IGNORECASE)).click()
    return written(page)


def written(page: Page) -> list[str]:
    expect(page.locator("[data-post] .post-actions a").first).to_be_visible()
    return page.locator("[data-post] > .post-text").all_inner_texts()  # not of the real posts beside a copy


def test_a_file_becomes_a_bot_that_speaks_although_the_server_is_killed_half_way(
    browser: Browser, tiny_gpt2: Path, tmp_path: Path
) -> None:
    posts = write_csv(tmp_path / "lander.csv", [*invented_posts(2500, seed=7), *(f"RT @nasa: {n}" for n in range(9))])
    with serving(tmp_path, "--base", str(tiny_gpt2), "--minutes", "0.25") as site, looking(browser, site) as look:
        look.expected = (
            "ERR_CONNECTION_REFUSED",
            "ERR_INCOMPLETE_CHUNKED",
            "ERR_EMPTY_RESPONSE",
            "ERR_CONNECTION_RESET",
        )
        page = look.at("/")
        page.locator("#files").set_input_files(posts)
        expect(page.locator(".voice")).to_contain_text("ready")
        page.get_by_role("button", name="Read the posts").click()
        read_the_counts(page)
        page.get_by_role("button", name="Train").click()
        learn_through_a_kill(page, site)
        page.get_by_role("link", name="Let it speak").click()
        expect(page).to_have_url(f"{site.url}/lander")
        texts = write_ten(page)
        assert len(texts) == 10
        assert all(text.startswith("The rover") for text in texts)


def read_the_counts(page: Page) -> None:
    """They add up: downloaded = dropped + kept."""
    table = page.locator("table.counts")
    expect(table).to_be_visible()
    rows = [row.split("\t") for row in table.locator("tbody").inner_text().splitlines()]
    numbers = [int(re.sub(r"\D", "", row[-1])) for row in rows]
    assert numbers[0] == 2509
    assert numbers[0] == sum(numbers[1:])
    expect(page.locator(".posts li")).not_to_have_count(0)


def learn_through_a_kill(page: Page, site: Site) -> None:
    """Half-way the page is reloaded, the server killed and started again; the page notices by itself."""
    expect(page.locator("progress.meter[value]")).to_be_visible()
    page.reload()
    (job,) = site.ask("/jobs")["jobs"]
    assert job["state"] == "training"
    site.kill()
    site.start()
    expect(page.get_by_role("link", name="Let it speak")).to_be_visible()
    (job,) = site.ask("/jobs")["jobs"]
    assert job["state"] == "done"


def test_a_shared_page_needs_no_script_and_goes_when_somebody_asks(browser: Browser, site: Site) -> None:
    id = GOES
    with looking(browser, site, java_script_enabled=False) as look:
        look.expected = ("410",)
        page = look.at(f"/rover/{id}")
        expect(page.get_by_text("AI-generated").first).to_be_visible()
        assert meta(page, "og:title")
        assert meta(page, "og:image") == f"{site.url}/rover/{id}.png"
        assert meta(page, "og:image:alt")
        assert "noindex" in meta(page, "robots")
        picture = httpx2.get(meta(page, "og:image"))
        assert Image.open(io.BytesIO(picture.content)).size == (1200, 628)
        page.get_by_role("link", name=re.compile("report", re.IGNORECASE)).first.click()
        page.get_by_role("textbox").first.fill("That is about me.")
        page.get_by_role("button", name=re.compile("report|send|take", re.IGNORECASE)).first.click()
        expect(page.get_by_text(re.compile("thank", re.IGNORECASE)).first).to_be_visible()
        report = next(one for one in site.ask("/reports")["reports"] if one["prediction"] == id)
        answer = httpx2.post(f"{site.url}/api/v1/reports/{report['id']}", json={"action": "hide"})
        assert answer.is_success, answer.text
        gone = page.goto(f"{site.url}/rover/{id}")
        assert gone is not None
        assert gone.status == 410
        assert httpx2.get(f"{site.url}/rover/{id}.png").status_code in (404, 410)


def test_ten_posts_are_written_without_a_script_too(browser: Browser, site: Site) -> None:
    with looking(browser, site, java_script_enabled=False) as look:
        page = look.at("/rover")
        page.get_by_label("Start of the post").fill("Our crew")
        page.get_by_role("button", name="Write ten").click()
        expect(page).to_have_url(re.compile(r"/rover\?draw=\w+"))
        texts = written(page)
        assert len(texts) == 10
        assert all(text.startswith("Our crew") for text in texts)


def meta(page: Page, name: str) -> str:
    return page.locator(f"meta[property='{name}'], meta[name='{name}']").first.get_attribute("content") or ""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_shuts_anybody_out(browser: Browser, site: Site, theme: str) -> None:
    """axe finds nothing; the console is silent, nothing is loaded from elsewhere (see `Look`)."""
    found: list[str] = []
    with looking(browser, site, color_scheme=theme, reduced_motion="reduce") as look:
        for path in PAGES:
            look.at(path)
            found += look.violations()
    assert not found, "\n".join(found)


def test_a_phone_shows_every_page_without_scrolling_sideways(browser: Browser, site: Site) -> None:
    with looking(browser, site, viewport=PHONE, has_touch=True, is_mobile=True) as look:
        for path in PAGES:
            page = look.at(path)
            assert look.width_beyond() <= 0, path
            assert not small_targets(page), path


def small_targets(page: Page) -> list[str]:
    """What one taps that is smaller than WCAG 2.2's 24 pixels, but for links within a sentence."""
    return list(
        page.evaluate(
            """[...document.querySelectorAll("button, input, select, summary, a.button, nav a")]
            .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden, .skip"))
            .filter((one) => !one.matches(".visually-hidden, .skip, [type=radio], [type=checkbox]"))
            .filter((one) => { const box = one.getBoundingClientRect(); return box.width < 24 || box.height < 24; })
            .map((one) => one.outerHTML.slice(0, 120))"""
        )
    )


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_any_script_is_shown_as_it_is(browser: Browser, site: Site, name: str) -> None:
    with looking(browser, site, viewport=PHONE) as look:
        page = look.at(f"/rover/{id_of([*TEXTS].index(name))}")
        assert TEXTS[name] in page.locator("main").inner_text()
        assert "caught" not in page.title() or "<script>" in page.title()
        assert look.width_beyond() <= 0


def test_a_start_of_any_script_is_written_on(browser: Browser, site: Site) -> None:
    with looking(browser, site) as look:
        page = look.at("/rover")
        for start in (TEXTS["Arabic"], TEXTS["a script"]):
            assert all(text.startswith(start) for text in write_ten(page, start))
        assert page.title() != "caught"


def test_no_letter_breaks_a_stream(browser: Browser, site: Site) -> None:
    """Line ends of every standard in a text; and a stream that is cut anywhere, within a letter too."""
    texts = ["one\u2028two\u2029three\u0085four", "five\r\nsix\n\nseven", "🚀: data: x", ""]
    events = [("queued", {"ahead": 1}), *(("piece", {"post": 0, "text": text}) for text in texts)]
    sent = "".join(f": still here\n\n{_line(name, value)}" for name, value in events)
    with looking(browser, site) as look:
        found = look.at("/about").evaluate(
            """async ([url, sent]) => {
                const { eventsIn } = await import(url), bytes = new TextEncoder().encode(sent), found = [];
                const body = new ReadableStream({ start(to) {
                    for (let at = 0; at < bytes.length; at += 3) to.enqueue(bytes.slice(at, at + 3));
                    to.close();
                } });
                for await (const event of eventsIn(body)) found.push(event);
                return found;
            }""",
            [static("base.js"), sent],
        )
    assert [tuple(event) for event in found] == events


def test_a_link_writes_the_same_again(browser: Browser, site: Site) -> None:
    with looking(browser, site) as look:
        page = look.at("/rover")
        first = write_ten(page)
        link = page.url
        assert "seed=" in link
        with looking(browser, site) as other:
            other.page.goto(link)
            assert written(other.page) == first


def test_everything_is_done_by_keyboard(browser: Browser, site: Site, tmp_path: Path) -> None:
    with looking(browser, site, permissions=["clipboard-read", "clipboard-write"]) as look:
        page = look.at("/rover")
        reach(page, re.compile("start", re.IGNORECASE))
        page.keyboard.press("Control+A")
        page.keyboard.type("Our crew")
        page.keyboard.press("Enter")
        first = written(page)[0]
        reach(page, re.compile("copy", re.IGNORECASE))
        page.keyboard.press("Enter")
        wait_for(lambda: page.evaluate("navigator.clipboard.readText()") == first, "nothing was copied")


def reach(page: Page, name: re.Pattern[str]) -> None:
    """Presses Tab until what has this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        named = page.evaluate(
            """(() => { const one = document.activeElement;
            return one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent; })()"""
        )
        if name.search(named):
            return
    raise AssertionError(f"no Tab leads to {name.pattern}")


def test_the_first_page_is_light(browser: Browser, site: Site) -> None:
    with looking(browser, site) as look:
        session = look.context.new_cdp_session(look.page)
        session.send("Network.enable")
        sizes: dict[str, float] = {}
        names: dict[str, str] = {}
        session.on(
            "Network.requestWillBeSent", lambda event: names.update({event["requestId"]: event["request"]["url"]})
        )
        session.on(
            "Network.loadingFinished",
            lambda event: sizes.update({names.get(event["requestId"], "?"): event["encodedDataLength"]}),
        )
        look.page.goto(site.url, wait_until="networkidle")
        assert len(sizes) > 3
        # A font for letters that a bot wrote, and that this machine has none for, comes when the page stands.
        own = {url: size for url, size in sizes.items() if "/noto/" not in url}
        assert sum(own.values()) < 100_000, own
